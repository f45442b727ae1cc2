/* What a product's gradients begin with: see ego__outer. */
#ifndef EGO_TENSOR_CPU_OUTER_INC_H
#define EGO_TENSOR_CPU_OUTER_INC_H

#include "tensor/cpu/kernels.h"
#include "tensor/cpu/vector.inc.h"

/* Columns summed together, and rows between two roundings into the sum of all. */
enum { SUM_COLUMNS = 64, SUM_ROWS = 256 };

/* act'(z) from y = act(z). */
INLINE vec slope(ego_act act, vec y) {
    const vec one = splat(1.0f);
    switch (act) {
    case EGO_ACT_RELU: return (vec)((ivec)one & (ivec)(y > (vec){0}));
    case EGO_ACT_TANH: return one - y * y;
    case EGO_ACT_SIGMOID: return y * (one - y);
    case EGO_ACT_GELU:
    case EGO_ACT_NONE: break;
    }
    return one;
}

/* `n` floats from offset `at` on; returns what they became. */
INLINE vec outer_vec(const ego__outer *o, ego_act act, int64_t at, int64_t n) {
    vec dz = load_part(o->dz + at, n, 0);
    if (o->dresidual) store_part(o->dresidual + at, load_part(o->dresidual + at, n, 0) + dz, n);
    if (act == EGO_ACT_NONE) return dz;
    dz *= slope(act, load_part(o->y + at, n, 0));
    store_part(o->dz + at, dz, n);
    return dz;
}

INLINE void outer_as(const ego__outer *o, ego_act act) {
    for (int64_t column = 0; column < o->columns; column += SUM_COLUMNS) {
        int64_t end = column + SUM_COLUMNS < o->columns ? column + SUM_COLUMNS : o->columns;
        for (int64_t row = 0; row < o->rows; row += SUM_ROWS) {
            int64_t last = row + SUM_ROWS < o->rows ? row + SUM_ROWS : o->rows;
            vec sum[SUM_COLUMNS / LANES] = {{0}};
            for (int64_t r = row; r < last; r++) {
                int64_t j = column, v = 0;
                for (; j + LANES <= end; j += LANES)
                    sum[v++] += outer_vec(o, act, r * o->stride + j, LANES);
                if (j < end) sum[v] += outer_vec(o, act, r * o->stride + j, end - j);
            }
            for (int64_t j = column, v = 0; o->db && j < end; j += LANES, v++)
                store_part(o->db + j, load_part(o->db + j, part(end - j), 0) + sum[v], part(end - j));
        }
    }
}

static void outer(const ego__outer *o) {
    switch (o->act) {
    case EGO_ACT_RELU: outer_as(o, EGO_ACT_RELU); break;
    case EGO_ACT_TANH: outer_as(o, EGO_ACT_TANH); break;
    case EGO_ACT_SIGMOID: outer_as(o, EGO_ACT_SIGMOID); break;
    case EGO_ACT_GELU:
    case EGO_ACT_NONE: outer_as(o, EGO_ACT_NONE); break;
    }
}

#endif
