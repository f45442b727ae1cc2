/* One step of pre-training on all ranks: samples in, losses and the gradient of the global batch out.
 *
 * A step has G base rows, each with P partners of its scene: samples g, G + g, ..., P·G + g are base row g and its
 * partners, a scene's group. Ranks own equal, consecutive shares of the base rows and work through theirs in
 * `accumulate` portions. EgoNCE and the hard negatives see all samples, so embeddings come
 * first: they are computed, gathered, compared; with one portion the tape of that pass is kept, with more
 * each portion is embedded again when its gradient is taken. What is drawn depends on the numbers of
 * samples and the step alone, so any split gives the same losses and, rounding aside, the same gradients.
 */
#ifndef EGO_RECIPE_STEP_H
#define EGO_RECIPE_STEP_H

#include "model/egovlp.h"
#include "recipe/mask.h"
#include "recipe/negatives.h"
#include "recipe/objectives.h"
#include "tensor/tape.h"
#include "train/dist.h"

typedef struct ego_objectives {
    double egonce, mlm, vtm; /* weights; 0: the objective is left out */
    ego_contrast contrast;   /* what `egonce` weighs: the loss of the dual path */
    double temperature;
    double margin;           /* EGO_CONTRAST_MARGIN's */
    ego_positives positives;
    ego_negatives negatives;
    int64_t choices;         /* wrong answers that matching is asked to tell the right one from; 0: pairs, yes or no */
    float dropout;           /* of the text encoder */
    bool mlm_nan;            /* the reference's: no hidden token anywhere is NaN, not 0 */
} ego_objectives;

typedef struct ego_step_options {
    ego_objectives objectives;
    int64_t rows;          /* base rows of a portion, B */
    int64_t accumulate;    /* portions a step */
    int64_t partners;      /* P: a portion has (1 + P)·B samples, the rows, then their first partners, ... */
    bool checkpoint_layers;
    ego_dist *dist; /* NULL: one rank */
} ego_step_options;

typedef struct ego_step_sample {
    const float *pixels; /* (F, 3, S, S) */
    const int64_t *tokens;
    int64_t n_tokens;
    ego_tag_bits tags;
    uint64_t stream; /* what is drawn for this sample */
    float fit;       /* of the text to the clip: a factor of the margin */
} ego_step_sample;

typedef struct ego_step_losses {
    double egonce, mlm, vtm; /* unweighted, of the global batch, on every rank; egonce: the dual path's */
    double total;
    int64_t hidden;          /* tokens that MLM was asked about */
    double matched;          /* share of pairs, or of lists, that VTM told right */
} ego_step_losses;

typedef struct ego_step ego_step;

/* The model must be trainable (model/trainable.h); model, backend and dist are borrowed. */
ego_err ego_step_new(ego_model *model, ego_backend *backend, const ego_step_options *options, ego_step **step);
void ego_step_free(ego_step *step); /* takes NULL */

/* Samples of this rank, rows · accumulate · (1 + partners), and of the whole step. */
int64_t ego_step_local(const ego_step *step);
int64_t ego_step_global(const ego_step *step);
/* The number of this rank's sample i. */
int64_t ego_step_number(const ego_step *step, int64_t i);

/* How negatives are drawn from now on: by similarity, or evenly. */
void ego_step_set_hard(ego_step *step, bool hard);

/* samples: ego_step_local of them, portion after portion. Adds this rank's share of the gradients to the
 * parameters; the sum over ranks is the gradient of the global batch. `stream`: what is drawn for the step as a
 * whole. With gradients false (validation): losses alone. */
ego_err ego_step_run(ego_step *step, const ego_step_sample *samples, uint64_t stream, bool gradients,
                     ego_step_losses *losses);

/* Most bytes of activations so far. */
size_t ego_step_peak(const ego_step *step);

#endif
