/* AdamW over named arrays of float32: the optimiser and what it is told about each parameter.
 *
 * It knows no model: the caller lists the parameters, who keeps owning their values and gradients, and
 * says of each by what factor the learning rate is multiplied and whether it decays. The optimiser owns
 * the two moments (one allocation for all). Loops run on the pool in blocks of fixed size and sums are
 * taken in the order of the blocks: every result is the same to the bit for any number of threads.
 */
#ifndef EGO_TRAIN_OPTIM_H
#define EGO_TRAIN_OPTIM_H

#include "base/err.h"
#include "base/threads.h"
#include "tensor/tensor.h"

#include <stdbool.h>
#include <stdint.h>

/* One parameter in training. */
typedef struct ego_trained {
    const char *name; /* as in the checkpoint; differs from all others */
    float *value;     /* the caller's */
    float *grad;      /* the caller's, same shape */
    int64_t count;    /* elements */
    int ndim;         /* the shape, which checkpoints keep */
    int64_t shape[EGO_MAX_DIMS];
    double lr_scale; /* 4 for heads and cross-attention in the paper */
    bool decay;      /* weight decay applies */
    float *m, *v;    /* first and second moment; set by ego_optim_init */
} ego_trained;

/* A float32 tensor and its gradient as a parameter: lr_scale 1, with decay. */
ego_trained ego_trained_of(const char *name, const ego_tensor *value, float *grad);

typedef struct ego_adamw {
    double beta1, beta2, eps, weight_decay;
    bool torch; /* as torch.optim.AdamW: see ego_optim_update; false: as transformers.AdamW */
} ego_adamw;

/* As torch.optim.AdamW starts, but for the decay. */
#define EGO_ADAMW_OF_TORCH(decay)                                                                  \
    { .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = (decay), .torch = true }

/* The paper's: 0.9, 0.98, 1e-8, 0.01. */
ego_adamw ego_adamw_default(void);

typedef struct ego_optim {
    ego_adamw adamw;
    ego_trained *params; /* the caller's array, `count` of them */
    size_t count;
    int64_t updates; /* made so far: the t of the bias corrections */
    /* private */
    float *moments;
    struct ego_optim_block *blocks;
    size_t block_count;
    double *partial; /* a number a block */
    ego_pool *pool;
} ego_optim;

/* Moments of zero. The parameter array (not only what it points to) must outlive the optimiser; pool may
 * be NULL and stays the caller's. EGO_EINPUT: two parameters of one name, or an impossible number. */
ego_err ego_optim_init(ego_optim *optim, const ego_adamw *adamw, ego_trained *params, size_t count,
                       ego_pool *pool);
void ego_optim_release(ego_optim *optim); /* safe on {0} */

void ego_optim_zero_grads(ego_optim *optim);

/* The sum of squares of all gradients, in double. Not finite exactly when some gradient is not. */
double ego_optim_square_norm(ego_optim *optim);

/* EGO_EDIVERGED naming the first parameter (in the caller's order) whose gradient has a NaN or an
 * infinity, and where. */
ego_err ego_optim_check_grads(const ego_optim *optim);

/* Multiplies every gradient. */
void ego_optim_scale_grads(ego_optim *optim, double factor);

/* One update with learning rate lr · lr_scale:
 *     m = β1·m + (1−β1)·g        v = β2·v + (1−β2)·g²
 *     p = p − lr·√(1−β2^t)/(1−β1^t) · m/(√v + eps)
 *     p = p − lr·weight_decay·p               (of the p just updated, where it decays)
 * With `torch` eps is added after the correction of v, √(v/(1−β2^t)) + eps, and p decays before it is updated.
 * EGO_EDIVERGED naming the first parameter that has a value or second moment which is not finite
 * afterwards; the update is made all the same. */
ego_err ego_optim_update(ego_optim *optim, double lr);

#endif
