/* A question about a part of a video: out of a record, of one of Ego4D's files (format/nlq.h), or of a medium and
 * a text. One that is wrong from the start keeps its place, with what is wrong.
 */
#ifndef EGO_TASK_NLQ_QUESTION_H
#define EGO_TASK_NLQ_QUESTION_H

#include "data/record.h"
#include "format/nlq.h"
#include "task/clip_grid.h"

typedef struct ego_nlq_question {
    ego_record record;          /* {0} for one of Ego4D's; owned, and what is borrowed from it stands with it */
    const ego_nlq_query *query; /* of Ego4D's, with its clip: borrowed from their file; NULL: a record's */
    const ego_nlq_clip *clip;
    ego_video_part part;
    double offset; /* where the clip's own time begins in the part's video */
    const char *text;
    ego_buf id;      /* JSON text */
    char label[256]; /* file and line, for messages */
    ego_err err;     /* EGO_OK, or why it cannot be asked; `message` says it in words */
    char message[512];
} ego_nlq_question; /* {0} is none */

/* Each fills *q, to be released in any case; what is returned is what the next one would meet too (memory). */

/* {"id":…,"video":…,"start":…,"end":…,"text":…}; takes the record over. err: the record's own fault, whose message
 * is the thread's; EGO_OK: none. */
ego_err ego_nlq_question_of_record(ego_record *record, ego_err err, ego_nlq_question *q);
/* One of Ego4D's that has a text. `root`: where videos are (task/nlq_part.h); `file`: for its label. */
ego_err ego_nlq_question_of_query(const ego_nlq *all, const ego_nlq_query *query, const char *root,
                                  const char *file, ego_nlq_question *q);
/* As a record would stand in a line; `number` is its id. */
ego_err ego_nlq_question_of_medium(const char *path, const char *text, uint64_t number, ego_nlq_question *q);

void ego_nlq_question_release(ego_nlq_question *q); /* safe on {0} and twice */

/* Whether both are about the same part of a video, so that one reading answers both. */
bool ego_nlq_same_part(const ego_nlq_question *a, const ego_nlq_question *b);

#endif
