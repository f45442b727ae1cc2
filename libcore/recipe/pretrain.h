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
#include "recipe/recipe.h"
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
    ego_training with;
    const ego_pretrain_task *task; /* NULL: pre-training itself */
} ego_pretrain_options;

/* Runs, or resumes, to the end; returns what ego_run returns. */
ego_err ego_pretrain(const ego_pretrain_options *options);

/* Appends what a run would cost, measured on two steps of it that change nothing: a JSON object of parameters, rows, steps,
 * steps_per_epoch, samples_per_step (of all ranks, partners included), weights_bytes (values, gradients, moments),
 * activation_bytes (most in use during a step), resident_bytes (of the process, at most so far), seconds_per_step (of
 * the second, update left out) and hours. */
ego_err ego_pretrain_plan(const ego_pretrain_options *options, ego_buf *line);

/* `pretrain`; its configuration is an ego_train_config. */
extern const ego_recipe ego_recipe_pretrain;

#endif
