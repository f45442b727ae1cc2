/* Training VSLNet (task/vslnet.h) on features of encoders that stay as they are: spec/tasks.md, section 4.
 *
 *     a source's questions → labels; those without one left out → recipe/head_run (batches, clipped gradients)
 *         → recall of the validation's questions twice an epoch; the best R@1 at IoU 0.3 is what is kept
 *
 * Where features come from is the caller's business: a source hands out what one question is asked of. Clips
 * beyond the head's positions are pooled here. Published: transformers' AdamW with eps 1e-6, lr 1e-3 falling
 * linearly to 0 without warm-up, gradients clipped to norm 1, 32 questions a batch, 50 epochs, dropout 0.2.
 */
#ifndef EGO_RECIPE_NLQ_HEAD_H
#define EGO_RECIPE_NLQ_HEAD_H

#include "recipe/head_run.h"

/* A question: a stretch of video seen as clips, and where in it the answer lies. */
typedef struct ego_nlq_sample {
    double start, end; /* seconds of the stretch */
    double duration;   /* of the stretch, seconds */
    int64_t clips;     /* T, before pooling */
} ego_nlq_sample;

/* What the encoders made of it; lives until the source is asked again. */
typedef struct ego_nlq_features {
    const float *video; /* (clips, video_width) */
    const float *words; /* (tokens, query_width) */
    int64_t clips;      /* as the sample says */
    int64_t tokens;     /* L, at least 1 */
} ego_nlq_features;

typedef struct ego_nlq_source {
    void *context;
    int64_t count;
    ego_nlq_sample (*sample)(void *context, int64_t i);
    ego_err (*features)(void *context, int64_t i, ego_nlq_features *out);
} ego_nlq_source;

/* The published settings, for `run` without its folder. */
void ego_nlq_head_defaults(ego_head_optim *optim, ego_head_run_settings *run);

typedef struct ego_nlq_head_options {
    ego_head *head; /* nlq.vslnet or nlq.vslnet_small, drawn or opened; its backbone is set */
    ego_nlq_source train, validate; /* validate.count 0: no validation */
    const ego_head_optim *optim;
    const ego_head_run_settings *run;
    double dropout;
    bool keep_empty;     /* as published, a target of no length teaches clips (0, 0) */
    const char *binding; /* see ego_head_run_options, as for what follows */
    ego_backend *backend;
    ego_training with; /* its notice is told how many questions were left out */
} ego_nlq_head_options;

/* Runs, or resumes, to the end; returns what ego_run returns. */
ego_err ego_nlq_head_train(const ego_nlq_head_options *options);

/* Recall of a source's questions in percent, and the mean IoU of first answers: R1@.3, R5@.3, R1@.5, R5@.5.
 * A threshold must be exceeded. EGO_ECANCELLED when progress says stop. */
typedef struct ego_nlq_recall {
    double r1_03, r5_03, r1_05, r5_05, mean_iou;
} ego_nlq_recall;

ego_err ego_nlq_head_validate(ego_ctx *cx, ego_head *head, const ego_nlq_source *source,
                              const ego_progress *progress, ego_nlq_recall *recall);

#endif
