/* Questions in, answers out: the loop of the tools that are asked by a benchmark's own file or by
 * records (ego-mcq, ego-qa).
 *
 *     FILE.json → tool->load, from_benchmark ┐
 *                                            ├ a batch is full → tool->ask → a line for each
 *     JSON lines → from_record ──────────────┘
 *
 * Answers come in the order of the questions, files in the order of the arguments with all JSON
 * lines behind the benchmarks' files. A question that is wrong from the start keeps its place, and
 * its line its error. What was gathered is answered when the input pauses.
 */
#ifndef EGO_TOOLS_QUESTIONS_H
#define EGO_TOOLS_QUESTIONS_H

#include "base/arena.h"
#include "cli.h"

/* What every tool's question begins with. */
typedef struct ego_question {
    ego_record record; /* of a JSON line or MEDIA; {0}: of a benchmark's own file */
    ego_buf id;        /* JSON text */
    char label[256];   /* for messages */
    ego_err err;       /* EGO_OK, or why there is no answer */
    char message[512];
} ego_question;

typedef struct ego_questions_tool {
    size_t bytes; /* of the tool's own question, which begins with an ego_question */
    size_t batch; /* so many are asked together */
    ego_record_rules rules;
    unsigned carried; /* EGO_RECORD_… members of a record that its answer repeats */

    /* A benchmark's own file: read into `arena`; whether its question i is of this shard; that one
     * with label and id. */
    ego_err (*load)(void *run, const char *path, ego_arena *arena, size_t *count);
    bool (*mine)(void *run, size_t i);
    ego_err (*from_benchmark)(void *run, const char *path, size_t i, ego_question *q);
    /* q->record, label and id are there. */
    ego_err (*from_record)(void *run, ego_question *q);
    /* Answers the n questions or gives them errors of their own (ego_question_fail). */
    ego_err (*ask)(void *run, ego_question *const *questions, size_t n);
    /* The members of an answer's line. */
    ego_err (*answer)(void *run, const ego_question *q, ego_buf *line);
    /* --dry-run: question i of the benchmark's file (or this record) is counted. May be NULL. */
    void (*count)(void *run, size_t i, const ego_record *record);
} ego_questions_tool;

typedef struct ego_questions {
    ego_cli *cli;
    const ego_questions_tool *tool;
    void *run;            /* the tool's, for its functions */
    const char *model_id; /* for provenance */
    ego_arena batch;      /* memory until the questions in hand are answered */

    /* private */
    char *questions;     /* the batch in hand: room for tool->batch of them, n are there */
    ego_question **good; /* those to be asked */
    size_t n;
    uint64_t done, total, unreadable;
} ego_questions;

ego_err ego_questions_open(ego_questions *questions, ego_cli *cli, const ego_questions_tool *tool,
                           void *run);
void ego_questions_close(ego_questions *questions); /* safe on {0} */

/* Answers, or counts, the questions of the command line's files or of stdin. */
ego_err ego_questions_answer(ego_questions *questions);
ego_err ego_questions_count(ego_questions *questions, uint64_t *count, uint64_t *unreadable);

/* One by one: room for the next question, {0}; once it is filled, or `err` tells why it could not
 * be, it is added; what is left is answered at the end. */
ego_question *ego_questions_room(ego_questions *questions);
ego_err ego_questions_add(ego_questions *questions, ego_err err);
ego_err ego_questions_flush(ego_questions *questions);

void ego_question_fail(ego_question *q, ego_err err, const char *message);

#endif
