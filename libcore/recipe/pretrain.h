/* Pre-training from a configuration: the model, its data, the step and the run put together.
 *
 *     egoclip.csv + videos → data/rows (augmented clips, token ids, ahead of need)
 *         → recipe/step (EgoNCE, MLM, VTM: losses and gradients) → train/run (update, log, checkpoints)
 *         → recipe/validate (EgoMCQ) at the end of each epoch
 *
 * Everything drawn depends on (seed, epoch, place in the epoch): not on threads, ranks, portions, time or
 * restarts.
 */
#ifndef EGO_RECIPE_PRETRAIN_H
#define EGO_RECIPE_PRETRAIN_H

#include "data/rows.h"
#include "recipe/config.h"
#include "train/run.h"

/* What a fine-tuning of the dual path does its own way (recipe/tune.h). */
typedef struct ego_pretrain_task {
    void *context;
    const ego_narrated_clip *clips; /* its rows, `count`; borrowed */
    size_t count;
    ego_sampling sampling;
    ego_preparation preparation;
    const char *loss;    /* the dual path's, in the log */
    const char *binding; /* what must agree for a run to be resumed, instead of the configuration's */
    ego_err (*begin)(void *context, ego_model *model); /* once, before the first row is asked for; may be NULL */
    /* Sets the text of a sample and how it fits; NULL: the row's own. */
    ego_err (*say)(void *context, const ego_row_sample *row, ego_step_sample *sample);
    /* As ego_run_task's. NULL: no validation. */
    ego_err (*validate)(void *context, ego_ctx *cx, ego_model *model, ego_run_numbers *out, double *score);
} ego_pretrain_task;

typedef struct ego_pretrain_options {
    ego_train_config *config; /* checked; with init.from its model becomes the file's */
    ego_pool *pool;
    ego_dist *dist; /* NULL: one rank */
    bool resume;
    const ego_progress *progress;      /* of each rank; NULL: nobody listens */
    const volatile sig_atomic_t *stop; /* see train/run.h; may be NULL */
    const ego_notice *notice;          /* of each rank: bad clips, checkpoints passed over; may be NULL */
    const ego_pretrain_task *task;     /* NULL: pre-training itself */
} ego_pretrain_options;

/* Runs, or resumes, to the end; returns what ego_run returns. */
ego_err ego_pretrain(const ego_pretrain_options *options);

/* What a run would cost, measured on two steps of it that change nothing. */
typedef struct ego_pretrain_plan {
    int64_t parameters, rows, steps, steps_per_epoch, batch; /* batch: samples of all ranks, partners included */
    size_t weights_bytes;    /* values, gradients, moments */
    size_t activation_bytes; /* most in use during a step */
    size_t resident_bytes;   /* of the process, at most so far */
    double seconds;          /* of the second step, update left out */
} ego_pretrain_plan;

ego_err ego_pretrain_measure(const ego_pretrain_options *options, ego_pretrain_plan *plan);

#endif
