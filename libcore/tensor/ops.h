/* The operations of the model.
 *
 * An operation runs at once and returns its result, allocated from the context's arena. The first
 * failure (a shape that does not fit, memory) is kept in the context and every later operation returns
 * NULL without doing anything, NULL inputs included; so model code reads like the paper and the caller
 * asks ego_ctx_err() once. Rows are independent: the result for a row never depends, not even in its
 * last bit, on how many rows stand beside it, nor on the number of threads.
 *
 * Lists of numbers are borrowed: they must live as long as the call, or the tape that records it.
 *
 * Every operation goes through one function (ops.c: run), which fills an ego_call and hands it to the
 * backend's table. That is where a tape, when one is attached, records the call (tensor/tape.h).
 */
#ifndef EGO_TENSOR_OPS_H
#define EGO_TENSOR_OPS_H

#include "tensor/tensor.h"

typedef struct ego_backend ego_backend;

typedef struct ego_ctx {
    ego_backend *backend;
    ego_arena arena[2]; /* activations; which one is in use: see ego_steps_next */
    int current;
    struct ego_tape *tape; /* records what runs, for its gradients; NULL: inference */
    struct ego_chain *chain; /* what waits between ego_chain_begin and _end; NULL: nothing waits */
    ego_err err; /* the first failure; its message is kept below */
    char message[256];
} ego_ctx;

void ego_ctx_init(ego_ctx *cx, ego_backend *backend);
void ego_ctx_release(ego_ctx *cx);
/* The first failure since the last call, with its message restored; clears it. */
ego_err ego_ctx_err(ego_ctx *cx);

/* All activations of the context: save before a pass, rewind when its results were read. */
typedef struct ego_ctx_mark {
    ego_arena_mark arena[2];
    int current;
} ego_ctx_mark;

ego_ctx_mark ego_ctx_save(const ego_ctx *cx);
void ego_ctx_rewind(ego_ctx *cx, const ego_ctx_mark *mark);

/* In a chain of steps, each needing only the result of the one before (block after block of an encoder),
 * two arenas take turns, so that memory holds two steps however long the chain:
 *     ego_steps steps = ego_steps_begin(cx);
 *     for (…) { ego_steps_next(cx, &steps); x = step(x); }
 * What the step before the last allocated is given back. A tape that checkpoints notes it as
 * something to run again in the backward pass; any other tape keeps everything. */
typedef struct ego_steps {
    ego_ctx_mark mark;
    int64_t taken;
} ego_steps;

ego_steps ego_steps_begin(const ego_ctx *cx);
void ego_steps_next(ego_ctx *cx, ego_steps *steps);

/* In between, operations that work on each row by itself (linear, layer_norm, add, gated_add, activate) may wait
 * for each other and then run block of rows by block, the next one finding in the cache what the last one
 * left there. No value may be read before the end; other operations may be called, and wait for what waits.
 * With a tape everything runs at once. The bits are the same either way. */
void ego_chain_begin(ego_ctx *cx);
void ego_chain_end(ego_ctx *cx);

/* Room for lists that operations read (it lives as long as the activations, or the tape); NULL after
 * a failure. */
void *ego_ctx_alloc(ego_ctx *cx, size_t bytes);

/* A new float32 tensor with undefined elements; shapes in `int64_t`, at most five. */
ego_tensor *ego_tensor_new(ego_ctx *cx, int ndim, const int64_t *shape);
#define EGO_TENSOR(cx, ...)                                                                        \
    ego_tensor_new((cx), (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                \
                   (int64_t[]){__VA_ARGS__})

typedef enum ego_act {
    EGO_ACT_NONE,
    EGO_ACT_GELU,
    EGO_ACT_RELU,
    EGO_ACT_TANH,
    EGO_ACT_SIGMOID
} ego_act;

/* y = act(x Wᵀ + b) + residual.   x (R, I), W (O, I; further dimensions of W count as I), b (O) or NULL,
 * residual (R, O) or NULL → (R, O). GELU is the exact one: x/2 · (1 + erf(x/√2)). */
ego_tensor *ego_linear(ego_ctx *cx, const ego_tensor *x, ego_param *w, ego_param *b, ego_act act,
                       const ego_tensor *residual);
/* The same for outputs [first, first + count) of W and b alone → (R, count). No residual. */
ego_tensor *ego_linear_slice(ego_ctx *cx, const ego_tensor *x, ego_param *w, ego_param *b,
                             int64_t first, int64_t count);

/* y = (x − mean) / √(var + eps) · w + b over the last dimension; biased variance. */
ego_tensor *ego_layer_norm(ego_ctx *cx, const ego_tensor *x, ego_param *w, ego_param *b, float eps);

/* What training forgets at random (Srivastava et al. 2014). Row r draws from streams[r] (base/rng.h), so that a
 * draw depends on the sample and not on its neighbours, and on `site`: which of a model's dropouts this
 * is. Value number c of row r stays, divided by 1 − p, when unit(stream(streams[r], site), c) ≥ p. */
typedef struct ego_dropout {
    float p;                 /* 0: nothing is dropped */
    const uint64_t *streams; /* of each row; must outlive the call; NULL: nothing is dropped */
    uint64_t site;
} ego_dropout;

/* Which rows attend to which: queries q0, q0 + q_step, … (nq of them) attend to the key rows
 * [extra, if ≥ 0] then k0, k0 + k_step, … (nk of them). */
typedef struct ego_segment {
    int64_t q0, q_step, nq;
    int64_t k0, k_step, nk;
    int64_t extra;
} ego_segment;

/* Where queries, keys and values stand: q (Rq, ·) from column q_column on, k (Rk, ·) from k_column on,
 * v (Rk, ·) from v_column on, heads·width columns each, head after head. They may be one tensor. */
typedef struct ego_attention_args {
    const ego_tensor *q, *k, *v;
    int64_t q_column, k_column, v_column;
    int64_t heads, width;
    const ego_segment *segments; /* must cover each row of q exactly once; must outlive the call */
    int64_t count;
    const float *key_bias; /* of each row of k: added to its scores; must outlive the call; NULL: none */
    ego_dropout drop; /* of the softmax; value number c of a row of q: c = head · keys + key, keys as the
                         row's segment counts them, the extra one first */
} ego_attention_args;

/* softmax(q kᵀ / √width + key_bias) v, per segment and head → (Rq, heads·width), rows as in q. */
ego_tensor *ego_attention(ego_ctx *cx, const ego_attention_args *args);

/* x + g · y, g the one element of `gate`. */
ego_tensor *ego_gated_add(ego_ctx *cx, const ego_tensor *x, ego_param *gate, const ego_tensor *y);

/* x + y, same shape. */
ego_tensor *ego_add(ego_ctx *cx, const ego_tensor *x, const ego_tensor *y);

/* act(x). */
ego_tensor *ego_activate(ego_ctx *cx, const ego_tensor *x, ego_act act);

/* Rows of a table (V, D) by number → (n, D). Every id must be in [0, V). */
ego_tensor *ego_embedding(ego_ctx *cx, ego_param *table, const int64_t *ids, int64_t n);

/* Rows of x (R, D) by number → (n, D). */
ego_tensor *ego_gather_rows(ego_ctx *cx, const ego_tensor *x, const int64_t *rows, int64_t n);

/* Non-overlapping patches of frames x (B, F, C, S, S') as rows for the patch filter:
 * (B·F·N, C·P·P), N = (S/P)(S'/P), patches in reading order, elements in (C, y, x) order. */
ego_tensor *ego_patchify(ego_ctx *cx, const ego_tensor *x, int64_t patch);

/* Tokens of a clip: patches (B·F·N, D), class token (D), pos (N+1, D), temporal (≥F, D) → (B·(1+F·N), D),
 * of each clip:
 *   token 0 = cls + pos[0];   token 1 + f·N + n = patch[b,f,n] + pos[1+n] + temporal[f]. */
ego_tensor *ego_clip_tokens(ego_ctx *cx, const ego_tensor *patches, ego_param *cls, ego_param *pos,
                            ego_param *temporal, int64_t batch, int64_t frames);

/* Columns of a, then columns of b: (R, A), (R, B) → (R, A+B). */
ego_tensor *ego_concat(ego_ctx *cx, const ego_tensor *a, const ego_tensor *b);

/* Softmax over the last dimension. */
ego_tensor *ego_softmax(ego_ctx *cx, const ego_tensor *x);

/* Each row divided by max(‖row‖, 1e-8). */
ego_tensor *ego_l2_normalize(ego_ctx *cx, const ego_tensor *x);

/* x (R, C) → (C, R). */
ego_tensor *ego_transpose(ego_ctx *cx, const ego_tensor *x);

/* ---- scaled and added ---------------------------------------------------------------------------------- */

/* x ∘ y, same shape. */
ego_tensor *ego_multiply(ego_ctx *cx, const ego_tensor *x, const ego_tensor *y);

/* factor · x. */
ego_tensor *ego_scale(ego_ctx *cx, const ego_tensor *x, float factor);

/* Row r of x (R, D) times s[r], of R elements. */
ego_tensor *ego_scale_rows(ego_ctx *cx, const ego_tensor *x, const ego_tensor *s);

/* Each row of x (R, D) ∘ w, of D elements. */
ego_tensor *ego_scale_columns(ego_ctx *cx, const ego_tensor *x, ego_param *w);

/* y[r, c] = x[r, c] + a[r] + b[c]: x (R, C), a of R elements or NULL, b of C elements or NULL. What stands
 * in columns is masked before a softmax by a b that is −1e30 there (a tensor made by hand, a constant). */
ego_tensor *ego_add_outer(ego_ctx *cx, const ego_tensor *x, const ego_tensor *a, const ego_tensor *b);

/* ---- rows in groups ------------------------------------------------------------------------------------ */

/* Sequences one after the other in one tensor: group g is rows [first[g], first[g + 1]), first[0] is 0 and
 * first[count] the number of rows. A group may be empty. The list must outlive the call. */
typedef struct ego_groups {
    const int64_t *first; /* count + 1 of them */
    int64_t count;
} ego_groups;

/* A filter for each column, along the rows of each group, zero beyond its ends: x (R, D),
 * w (D, 1, K) with K odd → (R, D),  y[r, d] = Σ_k w[d, k] · x[r + k − (K − 1)/2, d]. */
ego_tensor *ego_depthwise_conv(ego_ctx *cx, const ego_tensor *x, ego_param *w, ego_groups groups);

/* FiLM (Perez et al. 2018): x (R, D), scale and shift (groups, D) → (R, D), of each row of group g
 *     y = x ∘ (1 + scale[g]) + shift[g]. */
ego_tensor *ego_modulate(ego_ctx *cx, const ego_tensor *x, const ego_tensor *scale,
                         const ego_tensor *shift, ego_groups groups);

/* The mean of each group's rows: (R, D) → (groups, D). No group may be empty. */
ego_tensor *ego_mean_rows(ego_ctx *cx, const ego_tensor *x, ego_groups groups);

/* ---- of training ------------------------------------------------------------------------------------- */

/* x itself when nothing is dropped. */
ego_tensor *ego_drop(ego_ctx *cx, ego_tensor *x, ego_dropout drop);

/* x yᵀ of two activations: (R, K), (C, K) → (R, C). */
ego_tensor *ego_product(ego_ctx *cx, const ego_tensor *x, const ego_tensor *y);

/* scale · Σ_r −log softmax(x_r)[labels[r]] → (1). x (R, C), 0 ≤ labels < C, borrowed as lists are. */
ego_tensor *ego_cross_entropy(ego_ctx *cx, const ego_tensor *x, const int64_t *labels, float scale);

/* scale · Σ_i weight_i · BCE(sigmoid(x_i), target_i) → (1). x of any shape, `targets` in [0, 1] and
 * `weights` (NULL: ones) one for each element of x, borrowed as lists are.
 * BCE(p, t) = −t log p − (1 − t) log(1 − p), taken from the logit: exact however large |x| is. */
ego_tensor *ego_binary_cross_entropy(ego_ctx *cx, const ego_tensor *x, const float *targets,
                                     const float *weights, float scale);

/* EgoNCE (section 3.3; spec/pretrain.md): sim (N, N), text rows, video columns; positive[i·N + j] says
 * whether text i and video j belong together; P = softmax of rows of sim/temperature, Q of its transpose:
 * −mean_i log Σ_j positive·P − mean_i log Σ_j positiveᵀ·Q → (1). Every row and column needs a positive.
 * With positives on the diagonal alone it is the loss that Charades-Ego is fine-tuned with (spec/tasks.md,
 * section 3): cross entropy of rows plus that of columns, each a mean, temperature 0.05. */
ego_tensor *ego_egonce(ego_ctx *cx, const ego_tensor *sim, const uint8_t *positive, float temperature);

/* What EPIC-Kitchens is fine-tuned with (spec/tasks.md, section 2): sim (N, N), weight (N), borrowed;
 * the mean over the 2N(N − 1) terms with i ≠ j of max(0, margin·weight[i] − sim[i,i] + sim[i,j]) and
 * max(0, margin·weight[i] − sim[i,i] + sim[j,i]) → (1); 0 for N = 1. */
ego_tensor *ego_max_margin(ego_ctx *cx, const ego_tensor *sim, const float *weight, float margin);

#endif
