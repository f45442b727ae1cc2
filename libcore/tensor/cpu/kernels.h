/* What one thread computes: a table of functions per instruction set.
 *
 * kernels.c is compiled once for each set (see the Makefile) and exports one of these tables; cpu.c picks
 * the widest the processor has and hands out work to the pool. Nothing here allocates, takes a lock or
 * looks at the number of threads. Every element of a result is one fixed sequence of operations,
 * wherever the tile that holds it begins or ends: that is what keeps rows independent of each other.
 */
#ifndef EGO_TENSOR_CPU_KERNELS_H
#define EGO_TENSOR_CPU_KERNELS_H

#include "tensor/ops.h"

/* c = act(a · b + bias) + residual for some rows and some columns.
 * a (rows, k), b (k, columns), c and residual of equal shape. b is read in panels of 16 columns: those of
 * tensor/panel.h, or a matrix as it stands. Columns are counted from the first panel on: [first, last) are
 * computed, and c, bias and residual point to where column 0 would be. */
typedef struct ego__product {
    int64_t rows, k;
    const float *a;
    int64_t a_stride; /* floats from row to row, here and below */
    bool a_across;    /* a is stored as (k, rows): a_stride floats from step to step */
    float *strips;    /* strip_floats(rows, k) floats to copy a to on its way, or NULL: read as it stands */
    const float *panels;
    int64_t plain; /* b is a matrix, its rows this many floats apart, with `last` columns; 0: packed */
    float *c;
    bool add; /* to what c holds */
    int64_t c_stride, first, last;
    const float *bias;     /* or NULL */
    const float *residual; /* or NULL */
    int64_t residual_stride;
    ego_act act;
} ego__product;

/* Before the gradients of y = act(z) + residual, z = x Wᵀ + b; all of (rows, columns), their rows `stride`
 * floats apart:  dresidual += dz;  dz *= act'(z);  db += column sums of dz. */
typedef struct ego__outer {
    int64_t rows, columns, stride;
    ego_act act;      /* not GELU: its slope is not known from y */
    const float *y;   /* act(z): read for an act that has no residual */
    float *dz;        /* comes as dy */
    float *dresidual; /* or NULL */
    float *db;        /* or NULL */
} ego__outer;

/* One head of one segment, queries [q_first, q_first + q_count) of it. Pointers stand at row 0 and the
 * head's first column of q, k, v and out. */
typedef struct ego__head {
    const ego_segment *segment;
    int64_t q_first, q_count;
    const float *q, *k, *v;
    float *out;
    int64_t q_stride, k_stride, v_stride, out_stride, width;
    int64_t number;          /* which head this is, for … */
    const ego_dropout *drop; /* … or NULL */
    const float *key_bias;   /* of row 0 of k on, or NULL */
    float *scratch;          /* attention_scratch(keys, width) floats, 64-byte aligned */
} ego__head;

/* The same head for its gradients, which are added to: dq, dk and dv stand as q, k and v do, dout as out;
 * NULL where not wanted. scratch: attention_back_scratch(queries, keys, width) floats. */
typedef struct ego__head_back {
    ego__head head; /* all queries; without out */
    const float *dout;
    float *dq, *dk, *dv;
} ego__head_back;

typedef struct ego__kernels {
    const char *name;
    int64_t tile_rows; /* of the register tile: multiples of it make the fastest blocks */
    int64_t k_block;   /* of products: sums of so many steps are added up one by one */
    int64_t (*product_step)(int64_t rows); /* columns computed together: where best to cut them */
    int64_t (*strip_floats)(int64_t rows, int64_t k);
    void (*product)(const ego__product *p);
    void (*outer)(const ego__outer *o);
    int64_t (*attention_scratch)(int64_t keys, int64_t width);
    void (*attention)(const ego__head *h);
    int64_t (*attention_back_scratch)(int64_t queries, int64_t keys, int64_t width);
    void (*attention_back)(const ego__head_back *b);
    void (*layer_norm)(int64_t rows, int64_t columns, const float *x, const float *w,
                       const float *b, float eps, float *y);
    void (*softmax)(int64_t rows, int64_t columns, const float *x, float *y);
    void (*l2_normalize)(int64_t rows, int64_t columns, const float *x, float *y);
    void (*activate)(int64_t n, ego_act act, const float *x, float *y);
    void (*gated_add)(int64_t n, const float *x, float gate, const float *y, float *out);
    void (*scale)(int64_t n, float factor, const float *x, float *y);
    /* out = x ∘ y, or out += x ∘ y. */
    void (*multiply)(int64_t n, const float *x, const float *y, float *out, bool add);
    /* Gradients add to what is there. dx may be NULL; dw and db not. */
    void (*layer_norm_back)(int64_t rows, int64_t columns, const float *x, const float *w,
                            const float *dy, float eps, float *dx, float *dw, float *db);
    void (*activate_back)(int64_t n, ego_act act, const float *x, const float *dy, float *dx);
    double (*dot)(int64_t n, const float *x, const float *y);
    /* Values [0, columns) of row `row` that stay: y = x · factor, or y += x · factor. */
    void (*drop)(int64_t columns, const ego_dropout *drop, int64_t row, const float *x, float *y,
                 bool add);
    /* The largest of x and Σ e^(x − largest); dx += weight · e^(x − largest). */
    double (*sum_exp)(int64_t columns, const float *x, float *largest);
    void (*add_exp)(int64_t columns, const float *x, float largest, float weight, float *dx);
} ego__kernels;

extern const ego__kernels ego__kernels_generic;
#ifdef __x86_64__
extern const ego__kernels ego__kernels_avx2;
extern const ego__kernels ego__kernels_avx512;
#endif

#endif
