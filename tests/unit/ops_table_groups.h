/* More of the table of operations: what scales and adds, rows in groups, and the losses of fine-tuning. */
#ifndef EGO_TESTS_OPS_TABLE_GROUPS_H
#define EGO_TESTS_OPS_TABLE_GROUPS_H

#include "ops_sample.h"

/* ---- scaled and added: R, D, dtype or which operands --------------------------------------------- */

static ego_tensor *multiply_forward(ego_ctx *cx, sample *s) {
    return ego_multiply(cx, s->in[0], s->in[1]);
}
static void multiply_reference(const sample *s, double *out) {
    for (int64_t i = 0; i < ego_tensor_count(s->in[0]); i++)
        out[i] = at(s->in[0], i) * at(s->in[1], i);
}
/* A tensor with itself: both shares of its gradient. */
static void square_make(sample *s) {
    s->in[0] = s->in[1] = random_tensor(s, 2, SHAPE(s->n[0], s->n[1]));
}

static ego_tensor *scale_forward(ego_ctx *cx, sample *s) { return ego_scale(cx, s->in[0], -0.75f); }
static void scale_reference(const sample *s, double *out) {
    for (int64_t i = 0; i < ego_tensor_count(s->in[0]); i++) out[i] = -0.75 * at(s->in[0], i);
}

static void scale_rows_make(sample *s) {
    s->in[0] = random_tensor(s, 2, SHAPE(s->n[0], s->n[1]));
    s->in[1] = random_tensor(s, 2, SHAPE(s->n[0], 1));
}
static ego_tensor *scale_rows_forward(ego_ctx *cx, sample *s) {
    return ego_scale_rows(cx, s->in[0], s->in[1]);
}
static void scale_rows_reference(const sample *s, double *out) {
    for (int64_t i = 0; i < ego_tensor_count(s->in[0]); i++)
        out[i] = at(s->in[0], i) * at(s->in[1], i / s->n[1]);
}

static void scale_columns_make(sample *s) {
    s->in[0] = random_tensor(s, 2, SHAPE(s->n[0], s->n[1]));
    random_param(s, 0, (ego_dtype)s->n[2], 1, SHAPE(1, 1, s->n[1]));
}
static ego_tensor *scale_columns_forward(ego_ctx *cx, sample *s) {
    return ego_scale_columns(cx, s->in[0], &s->param[0]);
}
static void scale_columns_reference(const sample *s, double *out) {
    for (int64_t i = 0; i < ego_tensor_count(s->in[0]); i++)
        out[i] = at(s->in[0], i) * param_at(&s->param[0], i % s->n[1]);
}

enum { OF_ROWS = 1, OF_COLUMNS = 2 };

static void add_outer_make(sample *s) {
    s->in[0] = random_tensor(s, 2, SHAPE(s->n[0], s->n[1]));
    if (s->n[2] & OF_ROWS) s->in[1] = random_tensor(s, 2, SHAPE(s->n[0], 1));
    if (s->n[2] & OF_COLUMNS) s->in[2] = random_tensor(s, 2, SHAPE(s->n[1]));
}
static ego_tensor *add_outer_forward(ego_ctx *cx, sample *s) {
    return ego_add_outer(cx, s->in[0], s->in[1], s->in[2]);
}
static void add_outer_reference(const sample *s, double *out) {
    for (int64_t i = 0; i < ego_tensor_count(s->in[0]); i++)
        out[i] = at(s->in[0], i) + (s->in[1] ? at(s->in[1], i / s->n[1]) : 0) +
                 (s->in[2] ? at(s->in[2], i % s->n[1]) : 0);
}

/* A softmax that every third column is left out of, by a tensor made by hand. */
static float mask_of(int64_t column) { return column % 3 == 2 ? -1e30f : 0; }
static ego_tensor *masked_forward(ego_ctx *cx, sample *s) {
    ego_tensor *mask = EGO_TENSOR(cx, s->n[1]);
    for (int64_t j = 0; mask && j < s->n[1]; j++) ego_f32(mask)[j] = mask_of(j);
    return ego_softmax(cx, ego_add_outer(cx, s->in[0], NULL, mask));
}
static void masked_reference(const sample *s, double *out) {
    int64_t D = s->n[1];
    for (int64_t r = 0; r < s->n[0]; r++, out += D) {
        double sum = 0;
        for (int64_t j = 0; j < D; j++)
            sum += out[j] = exp(at(s->in[0], r * D + j) + (double)mask_of(j));
        for (int64_t j = 0; j < D; j++) out[j] /= sum;
    }
}

static ego_tensor *transpose_forward(ego_ctx *cx, sample *s) { return ego_transpose(cx, s->in[0]); }
static void transpose_reference(const sample *s, double *out) {
    for (int64_t j = 0; j < s->n[1]; j++)
        for (int64_t r = 0; r < s->n[0]; r++) *out++ = at(s->in[0], r * s->n[1] + j);
}

/* ---- rows in groups: R, D, groups, taps, dtype --------------------------------------------------- */

/* Longer and longer ones; the first may be empty. Even: none is, and they differ by at most one row. */
static void random_groups(sample *s, bool even) {
    int64_t count = s->n[2],
            *first = ego_arena_alloc(&s->arena, (size_t)(count + 1) * sizeof *first);
    for (int64_t g = 0; g <= count; g++)
        first[g] = even ? g * s->n[0] / count : g * g * s->n[0] / (count * count);
    s->groups = (ego_groups){first, count};
}
static int64_t group_reference(const sample *s, int64_t row) {
    int64_t g = 0;
    while (row >= s->groups.first[g + 1]) g++;
    return g;
}

static void depthwise_make(sample *s) {
    s->in[0] = random_tensor(s, 2, SHAPE(s->n[0], s->n[1]));
    random_param(s, 0, (ego_dtype)s->n[4], 1, SHAPE(s->n[1], 1, s->n[3]));
    random_groups(s, false);
}
static ego_tensor *depthwise_forward(ego_ctx *cx, sample *s) {
    return ego_depthwise_conv(cx, s->in[0], &s->param[0], s->groups);
}
static void depthwise_reference(const sample *s, double *out) {
    int64_t D = s->n[1], K = s->n[3];
    for (int64_t r = 0; r < s->n[0]; r++)
        for (int64_t d = 0, g = group_reference(s, r); d < D; d++, out++) {
            *out = 0;
            for (int64_t k = 0, from = r - (K - 1) / 2; k < K; k++, from++)
                if (from >= s->groups.first[g] && from < s->groups.first[g + 1])
                    *out += param_at(&s->param[0], d * K + k) * at(s->in[0], from * D + d);
        }
}

static void modulate_make(sample *s) {
    s->in[0] = random_tensor(s, 2, SHAPE(s->n[0], s->n[1]));
    for (int i = 1; i < 3; i++) s->in[i] = random_tensor(s, 1, SHAPE(s->n[2], s->n[1]));
    random_groups(s, false);
}
static ego_tensor *modulate_forward(ego_ctx *cx, sample *s) {
    return ego_modulate(cx, s->in[0], s->in[1], s->in[2], s->groups);
}
static void modulate_reference(const sample *s, double *out) {
    int64_t D = s->n[1];
    for (int64_t i = 0; i < s->n[0] * D; i++) {
        int64_t of = group_reference(s, i / D) * D + i % D;
        out[i] = at(s->in[0], i) * (1 + at(s->in[1], of)) + at(s->in[2], of);
    }
}

static void mean_rows_make(sample *s) {
    s->in[0] = random_tensor(s, 2, SHAPE(s->n[0], s->n[1]));
    random_groups(s, true);
}
static ego_tensor *mean_rows_forward(ego_ctx *cx, sample *s) {
    return ego_mean_rows(cx, s->in[0], s->groups);
}
static void mean_rows_reference(const sample *s, double *out) {
    int64_t D = s->n[1];
    for (int64_t g = 0; g < s->n[2]; g++)
        for (int64_t d = 0; d < D; d++, out++) {
            int64_t first = s->groups.first[g], last = s->groups.first[g + 1];
            *out = 0;
            for (int64_t r = first; r < last; r++)
                *out += at(s->in[0], r * D + d) / (double)(last - first);
        }
}

/* ---- losses: R, C, weighted; N ------------------------------------------------------------------- */

static void random_numbers(sample *s, int which, int64_t n) {
    s->numbers[which] = ego_arena_alloc(&s->arena, (size_t)(n + 1) * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        s->numbers[which][i] = (float)ego_rng_unit(ego_rng_stream(8, streams), (uint64_t)i);
    streams++;
}

/* Logits large and small; among the weighted ones some that are masked. */
static void bce_make(sample *s) {
    int64_t n = s->n[0] * s->n[1];
    s->in[0] = random_tensor(s, 20, SHAPE(s->n[0], s->n[1]));
    random_numbers(s, 0, n);
    for (int64_t i = 0; i < n; i += 2) s->numbers[0][i] = i % 4 ? 1 : 0;
    if (!s->n[2]) return;
    random_numbers(s, 1, n);
    for (int64_t i = 0; i < n; i += 3) {
        if (i == n / 2) continue; /* where NaN is tried */
        s->numbers[1][i] = 0;
        ego_f32(s->in[0])[i] = -1e30f;
    }
}
static float bce_scale(const sample *s) {
    int64_t n = s->n[0] * s->n[1];
    return n ? 2 / (float)n : 1;
}
static ego_tensor *bce_forward(ego_ctx *cx, sample *s) {
    return ego_binary_cross_entropy(cx, s->in[0], s->numbers[0], s->numbers[1], bce_scale(s));
}
static void bce_reference(const sample *s, double *out) {
    *out = 0;
    for (int64_t i = 0; i < ego_tensor_count(s->in[0]); i++) {
        double x = at(s->in[0], i), t = s->numbers[0][i],
               weight = s->numbers[1] ? s->numbers[1][i] : 1;
        double softplus = x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
        *out += bce_scale(s) * weight * (softplus - x * t);
    }
}

static void max_margin_make(sample *s) {
    s->in[0] = random_tensor(s, 0.3, SHAPE(s->n[0], s->n[0]));
    random_numbers(s, 0, s->n[0]);
}
static ego_tensor *max_margin_forward(ego_ctx *cx, sample *s) {
    return ego_max_margin(cx, s->in[0], s->numbers[0], 0.2f);
}
static void max_margin_reference(const sample *s, double *out) {
    int64_t N = s->n[0];
    *out = 0;
    for (int64_t i = 0; i < N; i++)
        for (int64_t pair = 0; pair < N * N; pair++) {
            bool row = pair / N == i, column = pair % N == i;
            double term =
                0.2f * (double)s->numbers[0][i] - at(s->in[0], i * N + i) + at(s->in[0], pair);
            if (row != column && !(term < 0)) *out += term / (double)(2 * N * (N - 1));
        }
}

#endif
