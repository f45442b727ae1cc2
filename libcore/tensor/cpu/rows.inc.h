/* Operations on whole rows, and on elements one by one. */
#ifndef EGO_TENSOR_CPU_ROWS_INC_H
#define EGO_TENSOR_CPU_ROWS_INC_H

#include "tensor/cpu/vector.inc.h"

static void layer_norm(int64_t rows, int64_t columns, const float *x, const float *w, const float *b,
                       float eps, float *y) {
    for (int64_t i = 0; i < rows; i++, x += columns, y += columns) {
        vec sum = {0}, squares = {0};
        for (int64_t j = 0; j < columns; j += LANES) sum += load_part(x + j, part(columns - j), 0);
        float mean = sum_lanes(sum) / (float)columns;
        for (int64_t j = 0; j < columns; j += LANES) {
            vec d = load_part(x + j, part(columns - j), mean) - splat(mean);
            squares += d * d;
        }
        float scale = 1.0f / sqrtf(sum_lanes(squares) / (float)columns + eps);
        for (int64_t j = 0; j < columns; j += LANES) {
            int64_t n = part(columns - j);
            vec v = (load_part(x + j, n, 0) - splat(mean)) * splat(scale);
            store_part(y + j, v * load_part(w + j, n, 0) + load_part(b + j, n, 0), n);
        }
    }
}

/* y = e^(scale (x - max x)); returns the sum. y may be x. */
static float exp_row(int64_t columns, const float *x, float scale, float *y) {
    vec most = splat(-INFINITY), sum = {0};
    for (int64_t j = 0; j < columns; j += LANES)
        most = larger(load_part(x + j, part(columns - j), -INFINITY), most);
    float max = max_lanes(most);
    for (int64_t j = 0; j < columns; j += LANES) {
        int64_t n = part(columns - j);
        vec v = exp_of_negative((load_part(x + j, n, -INFINITY) - splat(max)) * splat(scale));
        store_part(y + j, v, n);
        sum += v;
    }
    return sum_lanes(sum);
}

static void scale_row(int64_t columns, float scale, float *y) {
    for (int64_t j = 0; j < columns; j += LANES) {
        int64_t n = part(columns - j);
        store_part(y + j, load_part(y + j, n, 0) * splat(scale), n);
    }
}

static void softmax(int64_t rows, int64_t columns, const float *x, float *y) {
    for (int64_t i = 0; i < rows; i++, x += columns, y += columns)
        scale_row(columns, 1.0f / exp_row(columns, x, 1.0f, y), y);
}

static void l2_normalize(int64_t rows, int64_t columns, const float *x, float *y) {
    for (int64_t i = 0; i < rows; i++, x += columns, y += columns) {
        vec squares = {0};
        for (int64_t j = 0; j < columns; j += LANES) {
            vec v = load_part(x + j, part(columns - j), 0);
            squares += v * v;
        }
        float norm = sqrtf(sum_lanes(squares));
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
    case EGO_ACT_NONE: memcpy(y, x, (size_t)n * sizeof *y); break;
    }
}

static void gated_add(int64_t n, const float *x, float gate, const float *y, float *out) {
    for (int64_t j = 0; j < n; j += LANES) {
        int64_t m = part(n - j);
        store_part(out + j, load_part(x + j, m, 0) + splat(gate) * load_part(y + j, m, 0), m);
    }
}

#endif
