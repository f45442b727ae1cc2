/* A backend: one table of functions, no optional holes.
 *
 * ops.c checks shapes and allocates `out`; a backend only computes. Whatever a backend needs beside its
 * inputs it takes from scratch of its own, which grows to the largest need seen.
 *
 * backward[op](call) knows ego_grad(call->out) and adds to ego_grad(call->in[i]) and call->param[i]->grad,
 * each where it is not NULL. It may read inputs, parameters and the output's value. Sums run in one order
 * whatever the number of threads.
 */
#ifndef EGO_TENSOR_BACKEND_H
#define EGO_TENSOR_BACKEND_H

#include "base/threads.h"
#include "tensor/ops.h"

#define EGO_OPS(X)                                                                                 \
    X(linear)                                                                                      \
    X(layer_norm)                                                                                  \
    X(attention)                                                                                   \
    X(gated_add)                                                                                   \
    X(add)                                                                                         \
    X(activate)                                                                                    \
    X(embedding)                                                                                   \
    X(gather_rows)                                                                                 \
    X(patchify)                                                                                    \
    X(clip_tokens)                                                                                 \
    X(concat)                                                                                      \
    X(transpose)                                                                                   \
    X(multiply)                                                                                    \
    X(scale)                                                                                       \
    X(scale_rows)                                                                                  \
    X(scale_columns)                                                                               \
    X(add_outer)                                                                                   \
    X(depthwise_conv)                                                                              \
    X(modulate)                                                                                    \
    X(mean_rows)                                                                                   \
    X(softmax)                                                                                     \
    X(l2_normalize)                                                                                \
    X(dropout)                                                                                     \
    X(product)                                                                                     \
    X(cross_entropy)                                                                               \
    X(binary_cross_entropy)                                                                        \
    X(egonce)                                                                                      \
    X(max_margin)

typedef enum ego_op {
#define EGO_OPS_ENUM(name) EGO_OP_##name,
    EGO_OPS(EGO_OPS_ENUM)
#undef EGO_OPS_ENUM
        EGO_OP_COUNT
} ego_op;

/* One operation about to run (and, with a tape, one that ran): inputs and parameters in the order of
 * ops.h, shapes already checked. */
typedef struct ego_call {
    ego_op op;
    const ego_tensor *in[3];
    ego_param *param[3];
    ego_tensor *out;
    union {
        struct {
            ego_act act;
            int64_t first; /* output columns [first, first + out's columns) of the weight */
        } linear;          /* in: x, residual or NULL; param: w, b or NULL */
        struct {
            float eps;
        } layer_norm;
        ego_attention_args attention; /* in: q, k, v */
        struct {
            ego_act act;
        } activate;
        struct {
            const int64_t *rows;
        } gather; /* embedding and gather_rows */
        struct {
            int64_t patch;
        } patchify;
        struct {
            int64_t batch, frames;
        } clip_tokens;
        struct {
            float factor;
        } scale;
        ego_groups groups; /* depthwise_conv, modulate, mean_rows */
        struct {
            ego_dropout drop;
        } dropout;
        struct {
            const int64_t *labels;
            float scale;
        } cross_entropy;
        struct {
            const float *targets, *weights;
            float scale;
        } binary_cross_entropy;
        struct {
            const uint8_t *positive;
            float temperature;
        } egonce;
        struct {
            const float *weight;
            float margin;
        } max_margin;
    } as;
} ego_call;

struct ego_backend {
    const char *name;
    ego_pool *pool; /* borrowed; NULL: one thread */
    ego_err (*forward[EGO_OP_COUNT])(ego_backend *backend, const ego_call *call);
    ego_err (*backward[EGO_OP_COUNT])(ego_backend *backend, const ego_call *call);
    /* forward of one call after the other, all of them of ops that ego_op_by_row() names, and of as many rows. */
    ego_err (*chain)(ego_backend *backend, const ego_call *calls, int count);
    /* The value changed: what is kept in param->packed is made again, in the same memory, at its next use. */
    void (*changed)(ego_backend *backend, ego_param *param);
    /* Frees what the backend keeps in param->packed. */
    void (*forget)(ego_backend *backend, ego_param *param);
    void (*free)(ego_backend *backend);
};

/* The processor itself, on the pool's threads (borrowed; NULL: one thread). Kernels are chosen for the
 * instruction sets found at run time; EGO_CPU=generic|avx2|avx512 in the environment forces one. */
ego_err ego_cpu_backend_new(ego_pool *pool, ego_backend **backend);
void ego_backend_free(ego_backend *backend); /* takes NULL */

/* True for operations that make row r of `out` of the inputs' rows r alone: those that may wait in a chain. */
bool ego_op_by_row(ego_op op);
/* A chain as plain calls. */
ego_err ego_backend_in_turn(ego_backend *backend, const ego_call *calls, int count);

#endif
