/* The tape: what ran, so that gradients can be taken.
 *
 *     ego_tape_attach(cx, tape);
 *     …operations; losses are tensors of one element…
 *     ego_grad_add(cx, loss, 2, NULL);          // the weight of this loss: its gradient is 2
 *     ego_tape_backward(cx);                    // adds to the `grad` of every parameter that has one
 *     ego_tape_attach(cx, NULL);
 *
 * A tape holds the calls of operations, not their code: backward is written once per operation, and running
 * a piece of the forward pass again (gradient checkpointing, Chen et al. 2016) is calling the same
 * operations on the same inputs. A checkpointing tape forgets what happened inside the steps of a chain
 * (ops.h: ego_steps), keeps what crosses from one to the next, and runs a step again when its turn comes
 * in the backward pass. That changes memory and time, never a bit of the result: dropout draws from counters.
 *
 * What a step may read: parameters, what was there before its chain began, the step before it. To read a
 * result of two steps back is an error, which only a checkpointing tape notices. Inside a step tensors come
 * from operations or are leaves: one filled by hand would not be there when the step is run again.
 *
 * Only tensors that depend on a parameter with a gradient, or on a leaf, have one themselves. All gradients
 * are added to, never assigned. Everything follows ops.h's rule for errors: after a failure backward does
 * nothing but empty the tape, and so does taking the tape away.
 */
#ifndef EGO_TENSOR_TAPE_H
#define EGO_TENSOR_TAPE_H

#include "tensor/ops.h"

typedef struct ego_tape ego_tape;
struct ego_call;

/* A tensor's account with the tape. */
typedef struct ego_node {
    ego_tensor *tensor;
    bool wanted;  /* its gradient is */
    float *grad;  /* same shape, NULL while nothing was added */
    int64_t span; /* the stretch of calls it came from */
    bool kept;    /* its data outlives that stretch */
} ego_node;

ego_err ego_tape_new(bool checkpoint, ego_tape **tape);
void ego_tape_free(ego_tape *tape); /* takes NULL */

/* From now on operations of this context are recorded on `tape` (NULL: on none). An empty tape starts
 * anew, and tensors of its last recording are gone; any other goes on. Returns the one before. */
ego_tape *ego_tape_attach(ego_ctx *cx, ego_tape *tape);

/* The most bytes the tape itself held at once so far: results between steps, their gradients, records. What
 * happens inside a step is in the context's arenas. */
size_t ego_tape_peak(const ego_tape *tape);

/* A tensor made by hand (ego_tensor_new) whose gradient is wanted; returns it. Fill it afterwards, through
 * its data: they may have moved. Without a tape nothing happens. */
ego_tensor *ego_tape_leaf(ego_ctx *cx, ego_tensor *x);

/* The gradient of a tensor, NULL when there is none (it needs none, or nothing was added yet). */
static inline float *ego_grad(const ego_tensor *t) { return t && t->node ? t->node->grad : NULL; }
static inline bool ego_wants_grad(const ego_tensor *t) { return t && t->node && t->node->wanted; }

/* Adds weight · grad (x's shape; NULL: ones) to the gradient of x. */
void ego_grad_add(ego_ctx *cx, const ego_tensor *x, float weight, const float *grad);

/* Runs the tape from its end to its beginning and empties it. Leaves' gradients stay readable until it is
 * attached again. */
void ego_tape_backward(ego_ctx *cx);

/* For ops.c alone. */
ego_err ego__tape_record(ego_ctx *cx, const struct ego_call *call);
ego_arena *ego__tape_records(ego_tape *tape);
/* Step number `step` of a chain begins. True: memory of the step before the last is to be given back. */
bool ego__tape_step(ego_ctx *cx, int64_t step);
void *ego__ctx_fail(ego_ctx *cx, ego_err err); /* keeps the first failure; returns NULL */
float *ego__ctx_floats(ego_ctx *cx, int64_t n);

#endif
