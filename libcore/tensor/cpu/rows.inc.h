/* Operations on whole rows, and on elements one by one. */
#ifndef EGO_TENSOR_CPU_ROWS_INC_H
#define EGO_TENSOR_CPU_ROWS_INC_H

#include "tensor/cpu/vector.inc.h"

/* Σ (x - shift)^power, power 1 or 2, in four chains that do not wait for each other. */
INLINE float sum_of(int64_t columns, const float *x, float shift, int power) {
    vec sum[4] = {0};
    int64_t j = 0;
    for (; j + 4 * LANES <= columns; j += 4 * LANES)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            vec d = load(x + j + i * LANES) - splat(shift);
            sum[i] += power == 2 ? d * d : d;
        }
    for (; j < columns; j += LANES) {
        vec d = load_part(x + j, part(columns - j), shift) - splat(shift);
        sum[0] += power == 2 ? d * d : d;
    }
    return sum_lanes((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

INLINE void norm_vec(const float *x, const float *w, const float *b, float mean, float scale,
                     float *y, int64_t n) {
    vec v = (load_part(x, n, 0) - splat(mean)) * splat(scale);
    store_part(y, v * load_part(w, n, 0) + load_part(b, n, 0), n);
}

static void layer_norm(int64_t rows, int64_t columns, const float *x, const float *w,
                       const float *b, float eps, float *y) {
    for (int64_t i = 0; i < rows; i++, x += columns, y += columns) {
        float mean = sum_of(columns, x, 0, 1) / (float)columns;
        float scale = 1.0f / sqrtf(sum_of(columns, x, mean, 2) / (float)columns + eps);
        int64_t j = 0;
        for (; j + LANES <= columns; j += LANES)
            norm_vec(x + j, w + j, b + j, mean, scale, y + j, LANES);
        if (j < columns) norm_vec(x + j, w + j, b + j, mean, scale, y + j, columns - j);
    }
}

INLINE vec exp_vec(const float *x, float max, float scale, int64_t n) {
    return exp2_of_negative((load_part(x, n, -INFINITY) - splat(max)) * splat(scale));
}

/* y = e^(scale (x - max x)); returns the sum. y may be x. With `room`, y may be written up to the next
 * multiple of LANES: whole vectors are read back without waiting for them. */
INLINE float exp_row(int64_t columns, const float *x, float scale, float *y, bool room) {
    vec most = splat(-INFINITY), sum = {0}, v;
    int64_t j = 0;
    for (; j + LANES <= columns; j += LANES) most = larger(load(x + j), most);
    if (j < columns) most = larger(load_part(x + j, columns - j, -INFINITY), most);
    float max = max_lanes(most), scale2 = scale * 0x1.715476p0f; /* log2(e) */
    for (j = 0; j + LANES <= columns; j += LANES) {
        store(y + j, v = exp_vec(x + j, max, scale2, LANES));
        sum += v;
    }
    if (j < columns) {
        store_part(y + j, v = exp_vec(x + j, max, scale2, columns - j), room ? LANES : columns - j);
        sum += v;
    }
    return sum_lanes(sum);
}

static void scale_row(int64_t columns, float scale, float *y) {
    int64_t j = 0;
    for (; j + LANES <= columns; j += LANES) store(y + j, load(y + j) * splat(scale));
    if (j < columns)
        store_part(y + j, load_part(y + j, columns - j, 0) * splat(scale), columns - j);
}

static void softmax(int64_t rows, int64_t columns, const float *x, float *y) {
    for (int64_t i = 0; i < rows; i++, x += columns, y += columns)
        scale_row(columns, 1.0f / exp_row(columns, x, 1.0f, y, false), y);
}

static void l2_normalize(int64_t rows, int64_t columns, const float *x, float *y) {
    for (int64_t i = 0; i < rows; i++, x += columns, y += columns) {
        float norm = sqrtf(sum_of(columns, x, 0, 2));
        vec divisor = splat(norm < 1e-8f ? 1e-8f : norm);
        for (int64_t j = 0; j < columns; j += LANES) {
            int64_t n = part(columns - j);
            store_part(y + j, load_part(x + j, n, 0) / divisor, n);
        }
    }
}

INLINE void activate_as(int64_t n, ego_act act, const float *x, float *y) {
    for (int64_t j = 0; j < n; j += LANES)
        store_part(y + j, activation(load_part(x + j, part(n - j), 0), act), part(n - j));
}

static void activate(int64_t n, ego_act act, const float *x, float *y) {
    switch (act) {
    case EGO_ACT_GELU: activate_as(n, EGO_ACT_GELU, x, y); break;
    case EGO_ACT_RELU: activate_as(n, EGO_ACT_RELU, x, y); break;
    case EGO_ACT_TANH: activate_as(n, EGO_ACT_TANH, x, y); break;
    case EGO_ACT_SIGMOID: activate_as(n, EGO_ACT_SIGMOID, x, y); break;
    case EGO_ACT_NONE: memcpy(y, x, (size_t)n * sizeof *y); break;
    }
}

static void gated_add(int64_t n, const float *x, float gate, const float *y, float *out) {
    for (int64_t j = 0; j < n; j += LANES) {
        int64_t m = part(n - j);
        store_part(out + j, load_part(x + j, m, 0) + splat(gate) * load_part(y + j, m, 0), m);
    }
}

static void scale_to(int64_t n, float factor, const float *x, float *y) {
    for (int64_t j = 0; j < n; j += LANES)
        store_part(y + j, splat(factor) * load_part(x + j, part(n - j), 0), part(n - j));
}

static void multiply(int64_t n, const float *x, const float *y, float *out, bool add) {
    for (int64_t j = 0; j < n; j += LANES) {
        int64_t m = part(n - j);
        vec v = load_part(x + j, m, 0) * load_part(y + j, m, 0);
        store_part(out + j, add ? load_part(out + j, m, 0) + v : v, m);
    }
}

#endif
