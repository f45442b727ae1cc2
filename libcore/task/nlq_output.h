/* Where answers to questions go, and how they are written: lines,
 *
 *     {"id":"a1","predicted_times":[[3.2,5.9],…],"scores":[0.41,…],…the record's own members…}
 *     {"id":"UID/0","clip_uid":…,"annotation_uid":…,"query_idx":0,"predicted_times":…,"scores":…,
 *      "video":…,"start":…,"end":…,"text":…}
 *
 * or Ego4D's challenge file, one object whose results have no scores, and lack what was not answered. Seconds
 * are the video's for a record and the clip's for a query of Ego4D's.
 *
 * A file is renamed into place when it is whole. Lines go to FILE.part before, which an interrupted run leaves
 * and `resume` goes on with, if the same model, options and questions began it (format/line_file.h).
 */
#ifndef EGO_TASK_NLQ_OUTPUT_H
#define EGO_TASK_NLQ_OUTPUT_H

#include "task/grounding.h"
#include "task/nlq_question.h"

/* Writes a line and a newline to standard output and empties it. */
typedef ego_err ego_nlq_standard(void *context, ego_buf *line);

typedef struct ego_nlq_output_options {
    const char *path; /* NULL: standard output, through `standard` with `context` */
    ego_nlq_standard *standard;
    void *context;
    bool challenge;         /* Ego4D's file instead of lines */
    const char *provenance; /* JSON text for that member of every line; NULL: none */
    const char *made;       /* what makes these lines: the model and options, as text */
    bool resume;            /* of lines in a file */
} ego_nlq_output_options;

typedef struct ego_nlq_output ego_nlq_output;

/* The options' texts are borrowed until the close. */
ego_err ego_nlq_output_open(const ego_nlq_output_options *options, ego_nlq_output **output);
/* Without a commit a file is not there, but for the FILE.part of lines. Takes NULL. */
void ego_nlq_output_close(ego_nlq_output *output);

/* Questions that an interrupted run answered, and those of them that it could not; 0 without resume. */
uint64_t ego_nlq_output_done(const ego_nlq_output *output);
uint64_t ego_nlq_output_failed(const ego_nlq_output *output);
/* For every question in turn before it is asked: whether it is one of them. EGO_EINPUT when another stands in
 * its place. */
ego_err ego_nlq_output_has(ego_nlq_output *output, const ego_nlq_question *question, bool *has);

/* The next question's answer: spans, or item->err and its message. */
ego_err ego_nlq_output_write(ego_nlq_output *output, const ego_nlq_question *question,
                             const ego_grounding_item *item);
/* What was written to a file outlives this process. */
ego_err ego_nlq_output_flush(ego_nlq_output *output);
/* That was all of them. */
ego_err ego_nlq_output_end(ego_nlq_output *output);
/* The file is whole: it gets its name. */
ego_err ego_nlq_output_commit(ego_nlq_output *output);

#endif
