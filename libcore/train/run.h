/* The run: steps, updates, log, validation, checkpoints, and going on where it was cut off.
 *
 *     for each step:  gradients to zero → task->step (adds gradients, names losses)
 *                     → task->reduce (over ranks) → checks → ego_optim_update → a line in the log
 *     end of an epoch: task->validate → a line → checkpoint
 *
 * "step" in the log, in file names and in messages is the number of updates made: the first is 1. The
 * callbacks get `t`, the updates made before this one: the first is 0. Everything random should depend on the
 * seed, t (or the epoch) and what it is for, so that a resumed run draws what one left alone would; what
 * cannot goes through save and restore.
 *
 * With several ranks (train/dist.h) each calls ego_run with the same options. Rank 0 alone reads and
 * writes files; parameters and moments are sent from it to all before the first step.
 *
 * OUT/log.jsonl, one object a line, numbers with a point and all their digits:
 *     {"step":17,"epoch":0,"lr":2.1e-05,"losses":{"egonce":3.1,"mlm":9.2},"total":12.3,
 *      "gradient_norm":4.5,"seconds":1.25,"samples_per_second":51.2}
 *     {"event":"start","step":0,"steps":9000,"steps_per_epoch":450,"parameters":381611623,"ranks":1}
 *     {"event":"resume","step":450,"file":"checkpoint-450.safetensors"}
 *     {"event":"validation","step":450,"epoch":1,"numbers":{"inter":61.2},"score":61.2,"best":true,"seconds":80.1}
 *     {"event":"checkpoint","step":450,"file":"checkpoint-450.safetensors","seconds":1.9}
 *     {"event":"stop","step":612,"reason":"…"}
 * `epoch` of a step is the one it belongs to, from 0; of a validation, the number of epochs done. Each line is
 * one write. When a run is resumed, a cut last line and everything after the checkpoint's step go first.
 */
#ifndef EGO_TRAIN_RUN_H
#define EGO_TRAIN_RUN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/progress.h"
#include "train/checkpoint.h"
#include "train/dist.h"
#include "train/optim.h"
#include "train/schedule.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum { EGO_RUN_NUMBERS = 32 };

/* Named numbers, in the order of the log. Names live as long as the run. More than fit are dropped. */
typedef struct ego_run_numbers {
    size_t count;
    struct ego_run_number {
        const char *name;
        double value;
    } list[EGO_RUN_NUMBERS];
} ego_run_numbers;

void ego_run_add(ego_run_numbers *numbers, const char *name, double value);

typedef struct ego_run_step {
    int64_t t;        /* updates made before */
    int64_t epoch;    /* from 0 */
    int64_t in_epoch; /* steps of this epoch made before */
    double lr;        /* of this update, before lr_scale */
} ego_run_step;

/* What a step reports; all of it for the global batch, alike on every rank. */
typedef struct ego_run_losses {
    ego_run_numbers losses;
    double total;    /* what the gradients are of */
    int64_t samples; /* clips, for the rate; of all ranks */
} ego_run_losses;

typedef struct ego_run_task {
    void *context;
    /* Adds the gradients of step->t to those of the parameters, which are zero. EGO_ECANCELLED (one rank
     * only): stopped before its end; the run saves what was before it and leaves. */
    ego_err (*step)(void *context, const ego_run_step *step, ego_run_losses *out);
    /* Makes them those of the global batch; NULL: nothing to do. */
    ego_err (*reduce)(void *context);
    /* After `epochs` whole epochs, or between (validate_steps; `last`: the run is over). *score decides the best, higher is better; left
     * alone (NaN): none. It may tell progress of its own after an ego_progress_start. May be NULL.
     * EGO_ECANCELLED, after a stop, leaves the validation to the resumed run. */
    ego_err (*validate)(void *context, int64_t epochs, bool last, ego_run_numbers *out,
                        double *score);
    /* Text that must survive, and its return on every rank before the first resumed step. May be NULL. */
    ego_err (*save)(void *context, ego_buf *state);
    ego_err (*restore)(void *context, const char *state);
} ego_run_task;

typedef struct ego_run_options {
    int64_t steps;           /* in all, resumed ones included */
    int64_t steps_per_epoch; /* 0: the run is one epoch */
    double lr;               /* peak */
    ego_schedule schedule;   /* its `steps` 0: those of the run */
    const char *out;         /* directory, made when missing; one run at a time may use it */
    const char *log;         /* NULL: OUT/log.jsonl */
    bool resume; /* go on from the newest whole checkpoint; from nothing when there is none.
                                Without it a directory that holds a run is refused. */
    double checkpoint_seconds; /* also every so often; 0: no */
    int64_t checkpoint_steps;
    int keep;       /* checkpoints; 0: 3 */
    bool keep_best; /* and that of the best validation */
    double clip_norm;       /* the gradient as a whole is scaled down to this norm where it is larger; 0: never.
                               The log tells the norm before */
    int64_t validate_steps; /* validation also every so many steps, not only at the end of epochs; 0: no */
    double
        diverged; /* stop when the recent total loss is so many times that of the first ten steps; 0: no */
    uint64_t seed;      /* kept in checkpoints, for the record */
    const char *config; /* what must agree for the run to be resumed, any text; NULL: "" */
    const ego_checkpoint_extra *extra; /* into every checkpoint; NULL: nothing */
    const ego_progress *progress;      /* NULL: nobody listens. A false answer stops like `stop` */
    const volatile sig_atomic_t
        *stop;                /* not 0: finish the step in hand, save, leave; may be NULL */
    const ego_notice *notice; /* messages about what was passed over; may be NULL */
    ego_dist *dist;           /* NULL: one rank */
} ego_run_options;

/* Runs (or resumes) to the last step. The optimiser was initialised with the parameters as they start.
 * Returns
 *   EGO_OK          all steps are made; the last checkpoint is on disk
 *   EGO_ECANCELLED  stopped and saved after the step in hand; the message says where
 *   EGO_EDIVERGED   a loss, gradient or parameter is not finite, or the loss has risen past `diverged`: the message names
 *                   the step and the loss or the parameter; the checkpoint before it is left as it was
 *   others          as they come from the callbacks and from files; with several ranks, the caller aborts them */
ego_err ego_run(const ego_run_options *options, const ego_run_task *task, ego_optim *optim);

#endif
