/* QFVS's data and what every training on them does with a head's logits: the losses of prompts and shots, and the F1 of
 * summaries (spec/tasks.md §6).
 *
 * Of each query three prompts are learnt from, each by the binary cross-entropy of shots: "a" and "b", the concepts
 * alone, against the shots' tags, and "summary", both, against the oracle's summary. Which features the logits come
 * from is the training's business: recipe/qfvs_head.h, recipe/qfvs_tuned.h.
 */
#ifndef EGO_RECIPE_QFVS_TASK_H
#define EGO_RECIPE_QFVS_TASK_H

#include "recipe/head_run.h"
#include "recipe/qfvs_rows.h"

typedef struct ego_qfvs_data {
    const char *root;       /* with Oracle_Summaries and Dense_per_shot_tags */
    const char *videos;     /* "P01 P02 P03" */
    const char *video_root; /* where the videos are; NULL: root */
    const char *validate;   /* "P04"; NULL: no validation */
    const char *validate_root, *validate_video_root; /* NULL: as above */
    const char *cache;                               /* folder of features */
    double shot;                                     /* seconds */
    unsigned sampling; /* 0: middles, centre; 1: as the published program reads */
    int64_t parts;     /* of a shot; 0: 1 (task/summary.h) */
    unsigned features; /* 0: fused; 1: dual (task/summary.h) */
    unsigned prompts;  /* an ego_qfvs_words */
} ego_qfvs_data;

/* Of a head, ego_qfvs_config without its width. */
typedef struct ego_qfvs_shape {
    int64_t heads, layers, hidden, middle;
} ego_qfvs_shape;

/* Where annotations and videos are, to train or to validate on; the rest is left {0}. */
ego_qfvs_rows_options ego_qfvs_rows_of(const ego_qfvs_data *data, bool held_out, const ego_training *with);

/* By what a head of such data reads shots. */
ego_summary_by ego_qfvs_by(const ego_qfvs_data *data);

/* A head as its training starts, for a model's features of such data. */
ego_err ego_qfvs_make_head(const ego_qfvs_shape *shape, const ego_qfvs_data *data, ego_model *model,
                           uint64_t seed, ego_head **head);

/* Told by the annotations alone. */
typedef struct ego_qfvs_sizes {
    int64_t queries, held_out; /* to train and to validate on */
    int64_t shots;             /* of all videos, by their tags */
    int64_t pairs;             /* of shots with prompts */
} ego_qfvs_sizes;

ego_err ego_qfvs_measure(const ego_qfvs_data *data, const ego_training *with, ego_qfvs_sizes *sizes);

/* Shots [first, first + count) of a video as rows of logits: shot first + k with prompt p is row
 * p · rows + row[k], or p · rows + k without a list. */
typedef struct ego_qfvs_stretch {
    const ego_qfvs_video *video;
    const ego_qfvs_query *query;
    size_t first, count, rows;
    const int64_t *row;
} ego_qfvs_stretch;

/* The three losses of EGO_QFVS_PROMPTS · rows logits, scale · Σ over the shots, added to `sums` (NULL: nothing yet). */
ego_err ego_qfvs_add_losses(ego_ctx *cx, const ego_tensor *logits, const ego_qfvs_stretch *stretch, float scale,
                            ego_tensor *sums[EGO_QFVS_PROMPTS]);
/* Names them for the step. */
void ego_qfvs_name_losses(ego_tensor *const sums[EGO_QFVS_PROMPTS], ego_head_losses *out);

/* values[video->shots]: the logits of its shots with the query's last prompt. */
typedef ego_err ego_qfvs_scorer(void *context, ego_ctx *cx, const ego_qfvs_video *video, const ego_qfvs_query *query,
                                float *values);

/* "f1", "precision" and "recall" of summaries of all queries, in percent, the mean over videos; the score is f1. */
ego_err ego_qfvs_validate(const ego_qfvs_rows *rows, double ratio, double shot, ego_qfvs_scorer *score_shots,
                          void *context, ego_ctx *cx, ego_run_numbers *out, double *score);

#endif
