/* Training a head, or several over one model: what is the same for every task.
 *
 *     order of samples (seed, epoch) → batches → task->losses on a tape, portion by portion → gradients
 *         → train/run (clip, update, log, checkpoints) → task->validate → OUT/head.safetensors, the best so far
 *
 * The task says what a batch's losses are, by operations that its context records; which samples these are,
 * what is drawn for each, gradients, ranks, and going on where it was cut off is done here. Everything drawn
 * depends on (seed, epoch, place in the epoch) alone: neither on portions, threads, ranks nor restarts.
 *
 * Several tasks have a name each. A step takes a batch of every one, in the order of the list, and adds their
 * gradients up. Each has an order of its own, drawn from the seed and its name, and epochs of its own: the run's
 * last as long as the longest, while the others begin anew when they are through. Numbers in the log are called
 * NAME.NUMBER, and the score is the mean of theirs.
 *
 * OUT/head.safetensors is the head of the best validation so far, or of the end where there is none; written
 * whole each time. The head in memory has the last weights. Every checkpoint opens as the head, too.
 */
#ifndef EGO_RECIPE_HEAD_RUN_H
#define EGO_RECIPE_HEAD_RUN_H

#include "model/head.h"
#include "recipe/recipe.h"
#include "tensor/tape.h"
#include "train/run.h"

/* A batch, of all ranks together: losses that are means are divided by its `count`. */
typedef struct ego_head_batch {
    int64_t count;           /* the settings' batch, or what an epoch's end has left */
    const int64_t *samples;  /* their numbers in the training set */
    const uint64_t *streams; /* what is drawn for each: dropout, augmentation */
} ego_head_batch;

enum { EGO_HEAD_LOSSES = 8 };

/* Losses by name: tensors of one element. The gradient is that of Σ weight · value. */
typedef struct ego_head_losses {
    size_t count;
    struct ego_head_loss {
        const char *name; /* lives as long as the run; of all portions alike */
        ego_tensor *value;
        double weight;
    } list[EGO_HEAD_LOSSES];
} ego_head_losses;

void ego_head_losses_add(ego_head_losses *losses, const char *name, ego_tensor *value,
                         double weight);

typedef struct ego_head_task {
    const char *name; /* NULL: it is the only one */
    ego_head *head;   /* becomes trainable */
    void *context;
    int64_t samples; /* of the training set */
    int64_t batch;   /* 0: the settings' */
    int64_t portion; /* samples on a tape at once; 0: all of this rank's */
    double weight;   /* of its losses among those of others; 0: 1 */
    double rate;     /* times the learning rate; 0: 1 */
    /* The losses' share of samples from … from + n of the batch: over all portions of all ranks the values add
     * up to the batch's losses. A tape is attached to cx; its memory is given back after the gradients. */
    ego_err (*losses)(void *context, ego_ctx *cx, const ego_head_batch *batch, int64_t from,
                      int64_t n, ego_head_losses *out);
    /* As ego_run_task's, with a context to compute in (no tape: nothing is dropped, nothing recorded). NULL:
     * no validation. */
    ego_err (*validate)(void *context, ego_ctx *cx, int64_t epochs, bool last, ego_run_numbers *out,
                        double *score);
    /* By what factor a parameter's learning rate differs, `rate` apart. NULL: 1. */
    double (*lr_scale)(const ego_param_spec *spec);
} ego_head_task;

/* Fine-tuning: what is trained beside the heads, the caller's own; what to do when its values have changed; and
 * what is written into OUT in the place of head.safetensors. */
typedef struct ego_head_beside {
    const ego_trained *list;
    size_t count;
    void *context;
    void (*changed)(void *context);
    ego_err (*write)(void *context, const char *out);
} ego_head_beside;

typedef struct ego_head_run_options {
    const ego_head_optim *optim;
    const ego_head_run_settings *run;
    const ego_head_beside *beside; /* NULL: nothing; several tasks need one */
    double floor;        /* of the schedule (train/schedule.h) */
    double clip_norm;    /* 0: gradients are not clipped */
    int64_t validations; /* an epoch; 0: 1, at its end. n: every ⌊steps/n⌋ steps and at its end */
    ego_dtype dtype;     /* of OUT/head.safetensors; EGO_F32, EGO_F16 */
    const char *binding;  /* what must agree for a run to be resumed; any text, NULL: "" */
    ego_backend *backend; /* heads are packed in; the caller's */
    ego_training with;
} ego_head_run_options;

enum { EGO_HEAD_TASKS = 4 };

/* Runs, or resumes, to the end; returns what ego_run returns. EGO_EINPUT when a task has no sample. */
ego_err ego_head_run(const ego_head_run_options *options, const ego_head_task *tasks, size_t count);

/* How many steps an epoch of that many samples has; its last may be a short one. */
int64_t ego_head_steps(int64_t samples, int64_t batch);
/* Ends the object of a plan (recipe/recipe.h) with "steps", "steps_per_epoch" and "samples_per_step", the batch of all
 * tasks together. */
ego_err ego_head_end_plan(const ego_head_run_settings *run, int64_t steps_per_epoch, int64_t batch, ego_buf *line);

/* ---- which samples: for a task that wants to know ahead ------------------------------------------------ */

/* The batches of a training set, as ego_head_run has them. An epoch's order is kept until another is asked for. */
typedef struct ego_head_order {
    uint64_t seed;
    int64_t samples, batch;
    /* private */
    uint32_t *order;
    int64_t epoch;
} ego_head_order; /* released by ego_head_order_release; safe on {0} */

ego_err ego_head_order_init(ego_head_order *order, uint64_t seed, int64_t samples, int64_t batch);
void ego_head_order_release(ego_head_order *order);

/* The batch of the step with t updates before it: samples and streams[batch] are filled; returns their count. */
int64_t ego_head_order_batch(ego_head_order *order, int64_t t, int64_t *samples, uint64_t *streams);

#endif
