/* Gradients of the operations on rows and elements, and dropout. */
#ifndef EGO_TENSOR_CPU_ROWS_BACK_INC_H
#define EGO_TENSOR_CPU_ROWS_BACK_INC_H

#include "tensor/cpu/drop.inc.h"
#include "tensor/cpu/rows.inc.h"

/* With h = (x − mean) · scale and g = dy · w:  dx = scale · (g − mean(g) − h · mean(g h)). */
static void layer_norm_back(int64_t rows, int64_t columns, const float *x, const float *w,
                            const float *dy, float eps, float *dx, float *dw, float *db) {
    for (int64_t i = 0; i < rows; i++, x += columns, dy += columns) {
        float mean = sum_of(columns, x, 0, 1) / (float)columns;
        float scale = 1.0f / sqrtf(sum_of(columns, x, mean, 2) / (float)columns + eps);
        vec sum = {0}, product = {0};
        for (int64_t j = 0; j < columns; j += LANES) {
            int64_t n = part(columns - j);
            vec h = (load_part(x + j, n, mean) - splat(mean)) * splat(scale),
                d = load_part(dy + j, n, 0);
            vec g = d * load_part(w + j, n, 0);
            sum += g;
            product += g * h;
            store_part(dw + j, load_part(dw + j, n, 0) + d * h, n);
            store_part(db + j, load_part(db + j, n, 0) + d, n);
        }
        if (!dx) continue;
        float g_mean = sum_lanes(sum) / (float)columns,
              gh_mean = sum_lanes(product) / (float)columns;
        for (int64_t j = 0; j < columns; j += LANES) {
            int64_t n = part(columns - j);
            vec h = (load_part(x + j, n, mean) - splat(mean)) * splat(scale);
            vec g = load_part(dy + j, n, 0) * load_part(w + j, n, 0);
            vec d = splat(scale) * (g - splat(g_mean) - h * splat(gh_mean));
            store_part(dx + j, load_part(dx + j, n, 0) + d, n);
        }
        dx += columns;
    }
}

INLINE void activate_back_as(int64_t n, ego_act act, const float *x, const float *dy, float *dx) {
    for (int64_t j = 0; j < n; j += LANES) {
        int64_t m = part(n - j);
        vec d = load_part(dy + j, m, 0) * activation_slope(load_part(x + j, m, 0), act);
        store_part(dx + j, load_part(dx + j, m, 0) + d, m);
    }
}

/* x: of GELU what it was applied to, of the others what they gave. */
static void activate_back(int64_t n, ego_act act, const float *x, const float *dy, float *dx) {
    switch (act) {
    case EGO_ACT_GELU: activate_back_as(n, EGO_ACT_GELU, x, dy, dx); break;
    case EGO_ACT_RELU: activate_back_as(n, EGO_ACT_RELU, x, dy, dx); break;
    case EGO_ACT_TANH: activate_back_as(n, EGO_ACT_TANH, x, dy, dx); break;
    case EGO_ACT_SIGMOID: activate_back_as(n, EGO_ACT_SIGMOID, x, dy, dx); break;
    case EGO_ACT_NONE: activate_back_as(n, EGO_ACT_NONE, x, dy, dx); break;
    }
}

/* Sums of up to this many elements are taken in single precision, their sum in double. */
enum { SUMMED = 2048 };

static double dot(int64_t n, const float *x, const float *y) {
    double total = 0;
    for (int64_t from = 0; from < n; from += SUMMED) {
        int64_t to = from + SUMMED < n ? from + SUMMED : n;
        vec sum[2] = {0};
        for (int64_t j = from, i = 0; j < to; j += LANES, i ^= 1)
            sum[i] += load_part(x + j, part(to - j), 0) * load_part(y + j, part(to - j), 0);
        total += (double)sum_lanes(sum[0] + sum[1]);
    }
    return total;
}

static void drop_row(int64_t columns, const ego_dropout *drop, int64_t row, const float *x,
                     float *y, bool add) {
    float factor[256];
    for (int64_t from = 0; from < columns; from += 256) {
        int64_t n = columns - from < 256 ? columns - from : 256;
        drop_factors(n, drop, row, from, factor);
        for (int64_t j = 0; j < n; j += LANES) {
            int64_t m = part(n - j);
            vec v = load_part(x + from + j, m, 0) * load_part(factor + j, m, 0);
            store_part(y + from + j, add ? load_part(y + from + j, m, 0) + v : v, m);
        }
    }
}

/* ---- cross entropy: rows of a vocabulary --------------------------------------------------------------- */

static double sum_exp(int64_t columns, const float *x, float *largest) {
    vec most = splat(-INFINITY);
    for (int64_t j = 0; j < columns; j += LANES)
        most = larger(load_part(x + j, part(columns - j), -INFINITY), most);
    float max = *largest = max_lanes(most);
    double total = 0;
    for (int64_t from = 0; from < columns; from += SUMMED) {
        int64_t to = from + SUMMED < columns ? from + SUMMED : columns;
        vec sum = {0};
        for (int64_t j = from; j < to; j += LANES)
            sum += exp_vec(x + j, max, 0x1.715476p0f, part(to - j));
        total += (double)sum_lanes(sum);
    }
    return total;
}

static void add_exp(int64_t columns, const float *x, float largest, float weight, float *dx) {
    for (int64_t j = 0; j < columns; j += LANES) {
        int64_t n = part(columns - j);
        vec e = exp_vec(x + j, largest, 0x1.715476p0f, n);
        store_part(dx + j, load_part(dx + j, n, 0) + splat(weight) * e, n);
    }
}

#endif
