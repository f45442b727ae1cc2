/* Checkpoints: all that a run needs to go on bit for bit, in one .safetensors file.
 *
 *     NAME, optim.m/NAME, optim.v/NAME    each parameter and its moments, float32
 *     the caller's own tensors and metadata, so that the file opens as a model too
 *     __metadata__ "ego.train"            JSON: the members of ego_checkpoint below
 *     __metadata__ "ego.train.sha256"     over every tensor and all other metadata
 *
 * A file appears under its name when it is whole and on the disk (file and directory are synced). Reading
 * checks the sum before it touches anything of the caller's, so a damaged file is found out as such.
 * In a directory they are called checkpoint-STEP.safetensors.
 */
#ifndef EGO_TRAIN_CHECKPOINT_H
#define EGO_TRAIN_CHECKPOINT_H

#include "base/buf.h"
#include "base/err.h"
#include "format/safetensors.h"
#include "train/optim.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ego_checkpoint {
    int64_t step;      /* updates made */
    int64_t epoch;     /* whole epochs done */
    int64_t validated; /* validations behind us: epochs, and those between */
    uint64_t seed;
    double best;       /* best validation score so far, higher is better; NaN: none yet */
    int64_t best_step; /* the step it was found at; -1: none */
    double first_loss, recent_loss; /* what divergence is judged by (run.h); NaN: not yet */
    const char *
        config; /* what must be the same for the run to be continued; any text, never NULL once read */
    const char *state; /* the caller's own */
    char *owned;       /* of a checkpoint that was read: the memory of the two texts */
} ego_checkpoint;

void ego_checkpoint_release(ego_checkpoint *checkpoint); /* of one that was read; safe on {0} */

/* Passed through into the file. Values are read while it is written. */
typedef struct ego_checkpoint_extra {
    const ego_named_tensor *tensors;
    size_t tensor_count;
    const ego_metadata *metadata;
    size_t metadata_count;
} ego_checkpoint_extra;

/* Writes one file, atomically. extra may be NULL. */
ego_err ego_checkpoint_write(const char *path, const ego_checkpoint *checkpoint,
                             const ego_optim *optim, const ego_checkpoint_extra *extra);

/* Reads values and moments into the optimiser's arrays and sets its update count. EGO_EFORMAT: the file
 * is damaged or no checkpoint. EGO_EINPUT: it is of other parameters (a name that is missing or too
 * many, another shape). The arrays are untouched then. */
ego_err ego_checkpoint_read(const char *path, ego_checkpoint *checkpoint, ego_optim *optim);

/* "DIR/checkpoint-STEP.safetensors" appended. */
void ego_checkpoint_path(const char *directory, int64_t step, ego_buf *path);

/* Takes a message about something that was passed over; NULL function: nobody listens. */
typedef struct ego_notice {
    void (*say)(void *context, const char *message);
    void *context;
} ego_notice;

/* Reads the whole checkpoint with the highest step in a directory; damaged ones are passed over with a
 * notice. *found is false when there is none at all (or no directory); EGO_EFORMAT when all are damaged. */
ego_err ego_checkpoint_newest(const char *directory, ego_checkpoint *checkpoint, ego_optim *optim,
                              const ego_notice *notice, bool *found);

/* True when the directory holds any checkpoint, damaged or not. */
bool ego_checkpoint_any(const char *directory);

/* Deletes checkpoints of the directory older than `newest` but for the keep − 1 latest of them and that
 * of step `best` (-1: none); that of `newest` always stays. keep below 1 is 1. A file that cannot be deleted is
 * an error, after the others were tried. */
ego_err ego_checkpoint_prune(const char *directory, int64_t newest, int keep, int64_t best);

/* Deletes what writers that were killed have left: checkpoint-*.safetensors.tmp-*. Nobody may be writing. */
void ego_checkpoint_sweep(const char *directory);

#endif
