/* Predictions beside a benchmark's truth: who predicted what, what is missing or there twice, and the tally
 * that the metrics are made of (score/tally.h).
 *
 * What a prediction looks like for each task, and the names of the metrics, stand in ego-formats(5). Nothing
 * here knows a model. Only what is present is tallied; whether that is enough is the caller's to say.
 */
#ifndef EGO_TASK_JUDGE_H
#define EGO_TASK_JUDGE_H

#include "base/err.h"
#include "base/progress.h"
#include "score/tally.h"

/* name, what is predicted for, what the truth is */
#define EGO_JUDGES(X)                                                                              \
    X(mcq, "questions", "egomcq.json or .jsonl")                                                   \
    X(mir, "videos and sentences", "EPIC_100_retrieval_test.csv")                                  \
    X(charades, "videos", "CharadesEgo_v1_test_only1st.csv")                                       \
    X(nlq, "queries", "Ego4D's annotations or .jsonl")                                             \
    X(qa, "questions", "formatted_test_qas_encode.json")                                           \
    X(qfvs, "queries", "the folder of Oracle_Summaries and Dense_per_shot_tags")                   \
    X(retrieval, "queries", ".jsonl, or nothing")

typedef enum ego_judge_task {
#define EGO_JUDGES_ENUM(name, units, truth) EGO_JUDGE_##name,
    EGO_JUDGES(EGO_JUDGES_ENUM)
#undef EGO_JUDGES_ENUM
        EGO_JUDGE_COUNT
} ego_judge_task;

typedef struct ego_judge_options {
    const char *truth;     /* a path; retrieval: may be NULL */
    const char *sentences; /* mir: NULL: TRUTH_sentence.csv beside TRUTH.csv */
    const char *relevancy; /* mir: a matrix; NULL: computed from the classes in the truth */
    bool undefined_rows;   /* mir: a query without an exact match makes mAP NaN, as published */
    const char *tags;      /* qfvs: a Tags.mat; NULL: TRUTH/Tags.mat, else Dense_per_shot_tags */
    bool per_class;        /* charades: a metric for each class as well */
    const ego_progress *progress; /* NULL: nobody */
} ego_judge_options;

enum { EGO_JUDGE_EXAMPLE = 128 };

typedef struct ego_judgement {
    ego_tally tally;
    const char *units; /* "questions" */
    size_t asked;      /* units of the truth that want a prediction … */
    size_t missing;    /* … have none … */
    size_t failed;     /* … of these because the prediction is an error line */
    size_t doubled;    /* predictions beyond the first of a unit */
    size_t unknown;    /* predictions for what the truth does not ask */
    char missing_example[EGO_JUDGE_EXAMPLE], doubled_example[EGO_JUDGE_EXAMPLE],
        unknown_example[EGO_JUDGE_EXAMPLE];
    char note[256]; /* what else a reader should know; "" for nothing */
} ego_judgement;

ego_err ego_judge(ego_judge_task task, const char *predictions, const ego_judge_options *options,
                  ego_judgement *judgement);
void ego_judgement_release(ego_judgement *judgement); /* safe on {0} */

/* Before two judgements of one truth are compared: units that either lacks are present in neither.
 * EGO_EINPUT when their metrics differ; *dropped: how many units left the first. */
ego_err ego_judgements_pair(ego_judgement *a, ego_judgement *b, size_t *dropped);

#endif
