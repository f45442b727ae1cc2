/* Every operation: how a sample of it is made, what it gives in double precision, and the shapes it is
 * tried with.
 */
#ifndef EGO_TESTS_OPS_TABLE_H
#define EGO_TESTS_OPS_TABLE_H

#include "ops_sample.h"
#include "ops_table_groups.h"

/* ---- linear: R, I, O, act, with bias, with residual, dtype, panelled, first, count (0: whole) ------ */

static void linear_make(sample *s) {
    const int64_t *n = s->n;
    s->in[0] = random_tensor(s, 1, SHAPE(n[0], n[1]));
    random_param(s, 0, (ego_dtype)n[6], n[1] ? 1 / sqrt((double)n[1]) : 1, SHAPE(n[2], n[1]));
    if (n[4]) random_param(s, 1, (ego_dtype)n[6], 1, SHAPE(n[2]));
    if (n[5]) s->in[1] = random_tensor(s, 1, SHAPE(n[0], n[2]));
    if (n[7]) to_panels(s, &s->param[0]);
}
static ego_tensor *linear_forward(ego_ctx *cx, sample *s) {
    const int64_t *n = s->n;
    ego_param *b = n[4] ? &s->param[1] : NULL;
    if (n[9]) return ego_linear_slice(cx, s->in[0], &s->param[0], b, n[8], n[9]);
    return ego_linear(cx, s->in[0], &s->param[0], b, (ego_act)n[3], s->in[1]);
}
static double act_reference(double x, ego_act act) {
    if (act == EGO_ACT_GELU) return x * erfc(-x / sqrt(2)) / 2;
    if (act == EGO_ACT_RELU) return x < 0 ? 0 : x;
    if (act == EGO_ACT_SIGMOID) return 1 / (1 + exp(-x));
    return act == EGO_ACT_TANH ? tanh(x) : x;
}
static void linear_reference(const sample *s, double *out) {
    const int64_t *n = s->n, count = n[9] ? n[9] : n[2], rows = ego_tensor_rows(s->in[0]);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < count; o++) {
            double sum = n[4] ? param_at(&s->param[1], n[8] + o) : 0;
            for (int64_t i = 0; i < n[1]; i++)
                sum += at(s->in[0], r * n[1] + i) * param_at(&s->param[0], (n[8] + o) * n[1] + i);
            sum = act_reference(sum, (ego_act)n[3]);
            out[r * count + o] = sum + (s->in[1] ? at(s->in[1], r * count + o) : 0);
        }
}

/* ---- layer_norm: R, D, dtype, offset of the rows in standard deviations ----------------------------- */

#define LAYER_NORM_EPS 1e-6

static void layer_norm_make(sample *s) {
    s->in[0] = random_tensor(s, 3, SHAPE(s->n[0], s->n[1]));
    for (int64_t i = 0; i < ego_tensor_count(s->in[0]); i++)
        ego_f32(s->in[0])[i] += (float)(3 * s->n[3]);
    random_param(s, 0, (ego_dtype)s->n[2], 1, SHAPE(s->n[1]));
    random_param(s, 1, (ego_dtype)s->n[2], 1, SHAPE(s->n[1]));
}
static ego_tensor *layer_norm_forward(ego_ctx *cx, sample *s) {
    return ego_layer_norm(cx, s->in[0], &s->param[0], &s->param[1], (float)LAYER_NORM_EPS);
}
static void layer_norm_reference(const sample *s, double *out) {
    int64_t D = s->n[1];
    for (int64_t r = 0; r < ego_tensor_rows(s->in[0]); r++) {
        double mean = 0, var = 0;
        for (int64_t j = 0; j < D; j++) mean += at(s->in[0], r * D + j) / (double)D;
        for (int64_t j = 0; j < D; j++) {
            double d = at(s->in[0], r * D + j) - mean;
            var += d * d / (double)D;
        }
        for (int64_t j = 0; j < D; j++)
            out[r * D + j] =
                (at(s->in[0], r * D + j) - mean) / sqrt(var + LAYER_NORM_EPS) * param_at(&s->param[0], j) +
                param_at(&s->param[1], j);
    }
}

/* ---- attention: pattern, B, F, N, heads, width, key rows of cross attention, dropout %, bias ------------------------- */

enum { SPACE, TIME, CLASS, FULL, CROSS };

static void add_segment(sample *s, ego_segment segment) { s->segments[s->count++] = segment; }

/* Clips of 1 + F·N tokens; each pattern beside the class tokens' own segments so that all rows of q are
 * covered. FULL and CROSS take all tokens of a clip at once. */
static void attention_make(sample *s) {
    const int64_t *n = s->n, B = n[1], F = n[2], N = n[3], T = 1 + F * N, D = n[4] * n[5];
    s->segments = ego_arena_alloc(&s->arena, (size_t)(B * (F + N + 2)) * sizeof *s->segments);
    for (int64_t b = 0; b < B; b++) {
        int64_t cls = b * T, patch = cls + 1;
        if (n[0] == FULL) add_segment(s, (ego_segment){cls, 1, T, cls, 1, T, -1});
        if (n[0] == CROSS) add_segment(s, (ego_segment){cls, 1, T, b * n[6], 1, n[6], -1});
        if (n[0] <= CLASS) add_segment(s, (ego_segment){cls, 1, 1, cls, 1, T, -1});
        for (int64_t f = 0; f < F && n[0] == SPACE; f++)
            add_segment(s, (ego_segment){patch + f * N, 1, N, patch + f * N, 1, N, cls});
        for (int64_t i = 0; i < N && n[0] == TIME; i++)
            add_segment(s, (ego_segment){patch + i, N, F, patch + i, N, F, cls});
        if (n[0] == CLASS) add_segment(s, (ego_segment){patch, 1, F * N, cls, 1, 1, -1});
    }
    if (n[0] == CROSS) {
        s->in[0] = random_tensor(s, 1, SHAPE(B * T, D + 3));
        s->in[1] = random_tensor(s, 2, SHAPE(B * n[6], D));
        s->in[2] = random_tensor(s, 1, SHAPE(B * n[6], D + 1));
    } else
        s->in[0] = s->in[1] = s->in[2] = random_tensor(s, 2, SHAPE(B * T, 3 * D));
    if (n[7]) random_drop(s, B * T, n[7]);
    if (n[8]) random_numbers(s, 0, ego_tensor_rows(s->in[1]));
}
static ego_attention_args attention_args(const sample *s) {
    int64_t D = s->n[4] * s->n[5];
    bool cross = s->n[0] == CROSS;
    return (ego_attention_args){.q = s->in[0],
                                .k = s->in[1],
                                .v = s->in[2],
                                .q_column = cross ? 3 : 0,
                                .k_column = cross ? 0 : D,
                                .v_column = cross ? 1 : 2 * D,
                                .heads = s->n[4],
                                .width = s->n[5],
                                .segments = s->segments,
                                .count = s->count,
                                .key_bias = s->numbers[0],
                                .drop = s->drop};
}
static ego_tensor *attention_forward(ego_ctx *cx, sample *s) {
    ego_attention_args args = attention_args(s);
    return ego_attention(cx, &args);
}
static void attention_row(const sample *s, const ego_segment *g, int64_t row, int64_t head,
                          double *out) {
    ego_attention_args a = attention_args(s);
    int64_t nk = g->nk + (g->extra >= 0), column = head * a.width;
    int64_t q = row * ego_tensor_columns(a.q) + a.q_column + column;
    double *p = calloc((size_t)nk + 1, sizeof *p), max = -INFINITY, sum = 0;
    for (int64_t pass = 0; pass < 3; pass++)
        for (int64_t j = 0; j < nk; j++) {
            int64_t key =
                g->extra < 0 ? g->k0 + j * g->k_step : (j ? g->k0 + (j - 1) * g->k_step : g->extra);
            int64_t k = key * ego_tensor_columns(a.k) + a.k_column + column;
            int64_t v = key * ego_tensor_columns(a.v) + a.v_column + column;
            if (pass == 0) {
                for (int64_t d = 0; d < a.width; d++) p[j] += at(a.q, q + d) * at(a.k, k + d);
                p[j] = p[j] / sqrt((double)a.width) + (a.key_bias ? a.key_bias[key] : 0);
                if (p[j] > max) max = p[j];
            } else if (pass == 1)
                sum += p[j] = exp(p[j] - max);
            else {
                double weight = p[j] / sum * drop_reference(s, row, head * nk + j);
                for (int64_t d = 0; d < a.width; d++) out[d] += weight * at(a.v, v + d);
            }
        }
    free(p);
}
static void attention_reference(const sample *s, double *out) {
    ego_attention_args a = attention_args(s);
    int64_t D = a.heads * a.width;
    memset(out, 0, (size_t)(ego_tensor_rows(a.q) * D) * sizeof *out);
    for (int64_t i = 0; i < s->count; i++)
        for (int64_t q = 0; q < s->segments[i].nq; q++)
            for (int64_t h = 0; h < a.heads; h++) {
                int64_t row = s->segments[i].q0 + q * s->segments[i].q_step;
                attention_row(s, &s->segments[i], row, h, out + row * D + h * a.width);
            }
}

/* ---- element by element: R, D, act or gate's dtype -------------------------------------------------- */

static void pair_make(sample *s) {
    for (int i = 0; i < 2; i++) s->in[i] = random_tensor(s, 2, SHAPE(s->n[0], s->n[1]));
    random_param(s, 0, (ego_dtype)s->n[2], 1, SHAPE(1));
}
static ego_tensor *gated_add_forward(ego_ctx *cx, sample *s) {
    return ego_gated_add(cx, s->in[0], &s->param[0], s->in[1]);
}
static void gated_add_reference(const sample *s, double *out) {
    for (int64_t i = 0; i < ego_tensor_count(s->in[0]); i++)
        out[i] = at(s->in[0], i) + param_at(&s->param[0], 0) * at(s->in[1], i);
}
static ego_tensor *add_forward(ego_ctx *cx, sample *s) { return ego_add(cx, s->in[0], s->in[1]); }
static void add_reference(const sample *s, double *out) {
    for (int64_t i = 0; i < ego_tensor_count(s->in[0]); i++)
        out[i] = at(s->in[0], i) + at(s->in[1], i);
}

static void single_make(sample *s) { s->in[0] = random_tensor(s, 3, SHAPE(s->n[0], s->n[1])); }
static ego_tensor *activate_forward(ego_ctx *cx, sample *s) {
    return ego_activate(cx, s->in[0], (ego_act)s->n[2]);
}
static void activate_reference(const sample *s, double *out) {
    for (int64_t i = 0; i < ego_tensor_count(s->in[0]); i++)
        out[i] = act_reference(at(s->in[0], i), (ego_act)s->n[2]);
}

/* ---- rows: R, D -------------------------------------------------------------------------------------- */

static ego_tensor *softmax_forward(ego_ctx *cx, sample *s) { return ego_softmax(cx, s->in[0]); }
static void softmax_reference(const sample *s, double *out) {
    int64_t D = s->n[1];
    for (int64_t r = 0; r < ego_tensor_rows(s->in[0]); r++, out += D) {
        double max = -INFINITY, sum = 0;
        for (int64_t j = 0; j < D; j++) max = fmax(max, at(s->in[0], r * D + j));
        for (int64_t j = 0; j < D; j++) sum += out[j] = exp(at(s->in[0], r * D + j) - max);
        for (int64_t j = 0; j < D; j++) out[j] /= sum;
    }
}
static ego_tensor *l2_forward(ego_ctx *cx, sample *s) { return ego_l2_normalize(cx, s->in[0]); }
static void l2_reference(const sample *s, double *out) {
    int64_t D = s->n[1];
    for (int64_t r = 0; r < ego_tensor_rows(s->in[0]); r++, out += D) {
        double sum = 0;
        for (int64_t j = 0; j < D; j++) sum += at(s->in[0], r * D + j) * at(s->in[0], r * D + j);
        double norm = sqrt(sum) < 1e-8 ? 1e-8 : sqrt(sum);
        for (int64_t j = 0; j < D; j++) out[j] = at(s->in[0], r * D + j) / norm;
    }
}

/* ---- by number: table rows V, D, n, dtype, panelled --------------------------------------------------- */

static void numbers(sample *s) {
    s->rows = ego_arena_alloc(&s->arena, (size_t)(s->n[2] + 1) * sizeof *s->rows);
    for (int64_t i = 0; i < s->n[2]; i++) s->rows[i] = (i * 7 + 3) % s->n[0];
}
static void embedding_make(sample *s) {
    random_param(s, 0, (ego_dtype)s->n[3], 1, SHAPE(s->n[0], s->n[1]));
    if (s->n[4]) to_panels(s, &s->param[0]);
    numbers(s);
}
static ego_tensor *embedding_forward(ego_ctx *cx, sample *s) {
    return ego_embedding(cx, &s->param[0], s->rows, s->n[2]);
}
static void embedding_reference(const sample *s, double *out) {
    for (int64_t i = 0; i < s->n[2] * s->n[1]; i++)
        out[i] = param_at(&s->param[0], s->rows[i / s->n[1]] * s->n[1] + i % s->n[1]);
}
static void gather_make(sample *s) {
    s->in[2] = random_tensor(s, 1, SHAPE(s->n[0], s->n[1]));
    numbers(s);
}
static ego_tensor *gather_forward(ego_ctx *cx, sample *s) {
    return ego_gather_rows(cx, s->in[2], s->rows, s->n[2]);
}
static void gather_reference(const sample *s, double *out) {
    for (int64_t i = 0; i < s->n[2] * s->n[1]; i++)
        out[i] = at(s->in[2], s->rows[i / s->n[1]] * s->n[1] + i % s->n[1]);
}

/* ---- clips: B, F, C, S, S', P; and B, F, N, D, dtype ---------------------------------------------------- */

static void patchify_make(sample *s) {
    s->in[2] = random_tensor(s, 1, SHAPE(s->n[0], s->n[1], s->n[2], s->n[3], s->n[4]));
}
static ego_tensor *patchify_forward(ego_ctx *cx, sample *s) {
    return ego_patchify(cx, s->in[2], s->n[5]);
}
static void patchify_reference(const sample *s, double *out) {
    const int64_t *n = s->n, P = n[5];
    for (int64_t bf = 0; bf < n[0] * n[1]; bf++)
        for (int64_t y = 0; y < n[3]; y += P)
            for (int64_t x = 0; x < n[4]; x += P)
                for (int64_t c = 0; c < n[2]; c++)
                    for (int64_t dy = 0; dy < P; dy++)
                        for (int64_t dx = 0; dx < P; dx++)
                            *out++ =
                                at(s->in[2], ((bf * n[2] + c) * n[3] + y + dy) * n[4] + x + dx);
}
static void clip_tokens_make(sample *s) {
    const int64_t *n = s->n;
    s->in[2] = random_tensor(s, 1, SHAPE(n[0] * n[1] * n[2], n[3]));
    random_param(s, 0, (ego_dtype)n[4], 1, SHAPE(1, 1, n[3]));
    random_param(s, 1, (ego_dtype)n[4], 1, SHAPE(1, n[2] + 1, n[3]));
    random_param(s, 2, (ego_dtype)n[4], 1, SHAPE(1, n[1] + 2, n[3]));
}
static ego_tensor *clip_tokens_forward(ego_ctx *cx, sample *s) {
    return ego_clip_tokens(cx, s->in[2], &s->param[0], &s->param[1], &s->param[2], s->n[0],
                           s->n[1]);
}
static void clip_tokens_reference(const sample *s, double *out) {
    const int64_t B = s->n[0], F = s->n[1], N = s->n[2], D = s->n[3];
    for (int64_t b = 0; b < B; b++) {
        for (int64_t d = 0; d < D; d++)
            *out++ = param_at(&s->param[0], d) + param_at(&s->param[1], d);
        for (int64_t i = 0; i < F * N * D; i++)
            *out++ = at(s->in[2], b * F * N * D + i) +
                     param_at(&s->param[1], (1 + i / D % N) * D + i % D) +
                     param_at(&s->param[2], i / D / N * D + i % D);
    }
}
static void concat_make(sample *s) {
    s->in[0] = random_tensor(s, 1, SHAPE(s->n[0], s->n[1]));
    s->in[1] = random_tensor(s, 1, SHAPE(s->n[0], s->n[2]));
}
static ego_tensor *concat_forward(ego_ctx *cx, sample *s) {
    return ego_concat(cx, s->in[0], s->in[1]);
}
static void concat_reference(const sample *s, double *out) {
    for (int64_t r = 0; r < ego_tensor_rows(s->in[0]); r++) {
        for (int64_t j = 0; j < s->n[1]; j++) *out++ = at(s->in[0], r * s->n[1] + j);
        for (int64_t j = 0; j < s->n[2]; j++) *out++ = at(s->in[1], r * s->n[2] + j);
    }
}

/* ---- of training: R, D, dropout %; R, C, K; R, C, scale; N ----------------------------------------------- */

static void dropout_make(sample *s) {
    s->in[0] = random_tensor(s, 1, SHAPE(s->n[0], s->n[1]));
    if (s->n[2] >= 0) random_drop(s, s->n[0], s->n[2]);
}
static ego_tensor *dropout_forward(ego_ctx *cx, sample *s) {
    return ego_drop(cx, s->in[0], s->drop);
}
static void dropout_reference(const sample *s, double *out) {
    int64_t D = s->n[1];
    for (int64_t i = 0; i < ego_tensor_count(s->in[0]); i++)
        out[i] = at(s->in[0], i) * drop_reference(s, i / D, i % D);
}

static void product_make(sample *s) {
    s->in[0] = random_tensor(s, 1, SHAPE(s->n[0], s->n[2]));
    s->in[1] = random_tensor(s, 1, SHAPE(s->n[1], s->n[2]));
}
static ego_tensor *product_forward(ego_ctx *cx, sample *s) {
    return ego_product(cx, s->in[0], s->in[1]);
}
static void product_reference(const sample *s, double *out) {
    int64_t C = s->n[1], K = s->n[2];
    for (int64_t r = 0; r < ego_tensor_rows(s->in[0]); r++)
        for (int64_t c = 0; c < C; c++, out++) {
            *out = 0;
            for (int64_t k = 0; k < K; k++)
                *out += at(s->in[0], r * K + k) * at(s->in[1], c * K + k);
        }
}

static void cross_entropy_make(sample *s) {
    s->in[0] = random_tensor(s, 4, SHAPE(s->n[0], s->n[1]));
    s->rows = ego_arena_alloc(&s->arena, (size_t)(s->n[0] + 1) * sizeof *s->rows);
    for (int64_t r = 0; r < s->n[0]; r++) s->rows[r] = (r * 31 + s->n[1] / 2) % s->n[1];
}
static float cross_entropy_scale(const sample *s) {
    return s->n[0] ? 1 / (float)s->n[0] : 1;
}
static ego_tensor *cross_entropy_forward(ego_ctx *cx, sample *s) {
    return ego_cross_entropy(cx, s->in[0], s->rows, cross_entropy_scale(s));
}
/* log Σ e^(x_j / temperature) of n elements `step` apart from `first` on, all or the marked ones. */
static double log_sum_exp_reference(const ego_tensor *x, int64_t first, int64_t step, int64_t n,
                                    double temperature, const uint8_t *marked) {
    double max = -INFINITY, sum = 0;
    for (int64_t i = first; i < first + n * step; i += step)
        if (!marked || marked[i]) max = fmax(max, at(x, i) / temperature);
    for (int64_t i = first; i < first + n * step; i += step)
        if (!marked || marked[i]) sum += exp(at(x, i) / temperature - max);
    return max + log(sum);
}
static void cross_entropy_reference(const sample *s, double *out) {
    int64_t C = s->n[1];
    *out = 0;
    for (int64_t r = 0; r < s->n[0]; r++)
        *out += cross_entropy_scale(s) * (log_sum_exp_reference(s->in[0], r * C, 1, C, 1, NULL) -
                                          at(s->in[0], r * C + s->rows[r]));
}

/* Similarities, and who belongs together: a text and its own video, and about a third of the others. */
static void egonce_make(sample *s) {
    int64_t N = s->n[0];
    s->in[0] = random_tensor(s, 0.3, SHAPE(N, N));
    s->positive = ego_arena_alloc(&s->arena, (size_t)(N * N));
    for (int64_t i = 0; i < N * N; i++)
        s->positive[i] = i / N == i % N || ego_rng_below(streams, (uint64_t)i, 3) == 0;
}
static ego_tensor *egonce_forward(ego_ctx *cx, sample *s) {
    return ego_egonce(cx, s->in[0], s->positive, 0.05f);
}
static void egonce_reference(const sample *s, double *out) {
    int64_t N = s->n[0];
    const ego_tensor *x = s->in[0];
    *out = 0;
    for (int64_t i = 0; i < N; i++) {
        *out += log_sum_exp_reference(x, i * N, 1, N, 0.05f, NULL);
        *out -= log_sum_exp_reference(x, i * N, 1, N, 0.05f, s->positive);
        *out += log_sum_exp_reference(x, i, N, N, 0.05f, NULL);
        *out -= log_sum_exp_reference(x, i, N, N, 0.05f, s->positive);
    }
    *out /= (double)N;
}

/* ---- the table ---------------------------------------------------------------------------------------- */

/* name, make, forward and reference (each with its suffix), tolerances of result and gradients, rows */
#define OPERATIONS(X)                                                                              \
    X(linear, linear, linear, 2e-6, 1e-5, 3)                                                       \
    X(layer_norm, layer_norm, layer_norm, 2e-6, 1e-5, 1)                                           \
    X(attention, attention, attention, 3e-6, 1e-5, 0)                                              \
    X(gated_add, pair, gated_add, 2e-7, 1e-5, 3)                                                   \
    X(add, pair, add, 1e-7, 1e-6, 3)                                                               \
    X(activate, single, activate, 2e-7, 1e-6, 1)                                                   \
    X(softmax, single, softmax, 5e-7, 1e-5, 1)                                                     \
    X(l2_normalize, single, l2, 3e-7, 1e-5, 1)                                                     \
    X(concat, concat, concat, 0, 1e-6, 3)                                                          \
    X(transpose, single, transpose, 0, 1e-6, 0)                                                    \
    X(multiply, pair, multiply, 1e-7, 1e-6, 3)                                                     \
    X(square, square, multiply, 1e-7, 1e-6, 3)                                                     \
    X(scale, single, scale, 1e-7, 1e-6, 1)                                                         \
    X(scale_rows, scale_rows, scale_rows, 1e-7, 1e-5, 3)                                           \
    X(scale_columns, scale_columns, scale_columns, 1e-7, 1e-5, 1)                                  \
    X(add_outer, add_outer, add_outer, 2e-7, 1e-5, 3)                                              \
    X(masked_softmax, single, masked, 5e-7, 1e-5, 1)                                               \
    X(depthwise_conv, depthwise, depthwise, 1e-6, 1e-5, 0)                                         \
    X(modulate, modulate, modulate, 3e-7, 1e-5, 0)                                                 \
    X(mean_rows, mean_rows, mean_rows, 1e-6, 1e-6, 0)                                              \
    X(embedding, embedding, embedding, 0, 1e-6, 0)                                                 \
    X(gather_rows, gather, gather, 0, 1e-6, 0)                                                     \
    X(patchify, patchify, patchify, 0, 1e-6, 0)                                                    \
    X(clip_tokens, clip_tokens, clip_tokens, 2e-7, 1e-6, 0)                                        \
    X(dropout, dropout, dropout, 2e-7, 1e-6, 1)                                                    \
    X(product, product, product, 2e-6, 1e-5, 1)                                                    \
    X(cross_entropy, cross_entropy, cross_entropy, 1e-6, 1e-5, 0)                                  \
    X(binary_cross_entropy, bce, bce, 1e-6, 1e-5, 0)                                               \
    X(egonce, egonce, egonce, 1e-6, 1e-5, 0)                                                       \
    X(max_margin, max_margin, max_margin, 1e-6, 1e-5, 0)

#define OPERATION_ROW(name, make, run, tolerance, gradient, by_row)                                \
    static const operation op_##name = {#name,     make##_make, run##_forward, run##_reference,    \
                                        tolerance, gradient,    by_row};
OPERATIONS(OPERATION_ROW)

static const struct {
    const operation *op;
    int64_t n[DIMS];
} cases[] = {
    {&op_linear, {1, 1, 1, 0, 1}},
    {&op_linear, {0, 5, 7}},
    {&op_linear, {3, 3, 16, 0, 1}},
    {&op_linear, {2, 16, 20, EGO_ACT_RELU}},
    {&op_linear, {5, 17, 33, EGO_ACT_TANH, 1, 1}},
    {&op_linear, {6, 40, 64, EGO_ACT_GELU, 1, 1}},
    {&op_linear, {7, 64, 1, 0, 1, 1}},
    {&op_linear, {15, 64, 96, EGO_ACT_GELU, 1}},
    {&op_linear, {29, 385, 81, 0, 1, 1}},
    {&op_linear, {43, 768, 100, 0, 0, 1}},
    {&op_linear, {29, 769, 81, 0, 1, 1}},
    {&op_linear, {113, 785, 300, EGO_ACT_GELU, 1, 1}},
    {&op_linear, {113, 100, 300, EGO_ACT_GELU, 1, 1}},
    {&op_linear, {240, 33, 48, EGO_ACT_RELU, 1, 1}},
    {&op_linear, {4, 3072, 35, 0, 1}},
    {&op_linear, {9, 50, 70, 0, 1, 0, EGO_F16}},
    {&op_linear, {9, 50, 70, 0, 1, 0, EGO_BF16}},
    {&op_linear, {9, 50, 70, 0, 1, 0, EGO_F32, 1}},
    {&op_linear, {9, 50, 96, 0, 1, 0, EGO_F32, 0, 32, 32}},
    {&op_linear, {9, 50, 96, 0, 1, 0, EGO_F32, 0, 5, 77}},
    {&op_linear, {19, 500, 300, 0, 1, 0, EGO_F16, 0, 101, 3}},
    {&op_layer_norm, {1, 1}},
    {&op_layer_norm, {0, 5}},
    {&op_layer_norm, {7, 3}},
    {&op_layer_norm, {5, 16, EGO_F16}},
    {&op_layer_norm, {9, 20, EGO_BF16}},
    {&op_layer_norm, {50, 768}},
    {&op_layer_norm, {3, 769, EGO_F32, 10}},
    {&op_attention, {SPACE, 2, 3, 5, 2, 16}},
    {&op_attention, {SPACE, 1, 2, 49, 3, 64}},
    {&op_attention, {SPACE, 1, 1, 196, 1, 64}},
    {&op_attention, {SPACE, 1, 2, 20, 2, 80}},
    {&op_attention, {TIME, 2, 4, 9, 3, 64}},
    {&op_attention, {TIME, 1, 16, 4, 2, 20}},
    {&op_attention, {TIME, 3, 1, 1, 1, 1}},
    {&op_attention, {CLASS, 2, 4, 50, 2, 64}},
    {&op_attention, {FULL, 1, 1, 0, 1, 3}},
    {&op_attention, {FULL, 2, 5, 6, 2, 20}},
    {&op_attention, {FULL, 1, 1, 411, 1, 3}},
    {&op_attention, {CROSS, 2, 2, 9, 2, 16, 31}},
    {&op_attention, {CROSS, 1, 1, 100, 3, 64, 10}},
    {&op_attention, {CROSS, 1, 1, 4, 2, 64, 785}},
    {&op_attention, {SPACE, 2, 3, 5, 2, 16, 0, 10}},
    {&op_attention, {FULL, 3, 1, 37, 2, 64, 0, 30}},
    {&op_attention, {CROSS, 2, 1, 20, 2, 20, 50, 50}},
    {&op_attention, {FULL, 2, 1, 29, 2, 16, 0, 0, 1}},
    {&op_attention, {SPACE, 2, 3, 5, 2, 20, 0, 0, 1}},
    {&op_attention, {TIME, 2, 4, 9, 3, 64, 0, 10, 1}},
    {&op_attention, {CROSS, 2, 2, 9, 2, 16, 31, 10, 1}},
    {&op_gated_add, {3, 5}},
    {&op_gated_add, {70, 768, EGO_F16}},
    {&op_add, {1, 1}},
    {&op_add, {0, 3}},
    {&op_add, {70, 500}},
    {&op_activate, {3, 5, EGO_ACT_NONE}},
    {&op_activate, {70, 500, EGO_ACT_GELU}},
    {&op_activate, {70, 500, EGO_ACT_RELU}},
    {&op_activate, {70, 500, EGO_ACT_TANH}},
    {&op_activate, {70, 500, EGO_ACT_SIGMOID}},
    {&op_softmax, {4, 1}},
    {&op_softmax, {5, 3}},
    {&op_softmax, {9, 785}},
    {&op_softmax, {40, 1024}},
    {&op_l2_normalize, {3, 1}},
    {&op_l2_normalize, {5, 20}},
    {&op_l2_normalize, {50, 4096}},
    {&op_concat, {3, 5, 7}},
    {&op_concat, {30, 768, 1}},
    {&op_concat, {0, 2, 2}},
    {&op_transpose, {1, 1}},
    {&op_transpose, {0, 3}},
    {&op_transpose, {37, 300}},
    {&op_multiply, {3, 5}},
    {&op_multiply, {70, 500}},
    {&op_square, {7, 33}},
    {&op_scale, {3, 5}},
    {&op_scale, {70, 500}},
    {&op_scale_rows, {3, 5}},
    {&op_scale_rows, {70, 500}},
    {&op_scale_columns, {1, 1}},
    {&op_scale_columns, {0, 9}},
    {&op_scale_columns, {7, 20, EGO_F16}},
    {&op_scale_columns, {70, 500}},
    {&op_add_outer, {3, 5, OF_ROWS | OF_COLUMNS}},
    {&op_add_outer, {70, 300, OF_ROWS | OF_COLUMNS}},
    {&op_add_outer, {9, 17, OF_ROWS}},
    {&op_add_outer, {9, 17, OF_COLUMNS}},
    {&op_masked_softmax, {1, 1}},
    {&op_masked_softmax, {30, 23}},
    {&op_depthwise_conv, {1, 1, 1, 1}},
    {&op_depthwise_conv, {0, 5, 1, 3}},
    {&op_depthwise_conv, {3, 5, 1, 7}},
    {&op_depthwise_conv, {11, 20, 5, 7, EGO_BF16}},
    {&op_depthwise_conv, {300, 128, 3, 7}},
    {&op_modulate, {1, 1, 1}},
    {&op_modulate, {7, 20, 4}},
    {&op_modulate, {200, 300, 3}},
    {&op_mean_rows, {1, 1, 1}},
    {&op_mean_rows, {20, 33, 6}},
    {&op_mean_rows, {200, 300, 3}},
    {&op_embedding, {30, 5, 12}},
    {&op_embedding, {30, 64, 50, EGO_F16}},
    {&op_embedding, {30, 9, 50, EGO_F32, 1}},
    {&op_embedding, {30, 9, 0}},
    {&op_gather_rows, {30, 768, 60}},
    {&op_gather_rows, {1, 1, 3}},
    {&op_patchify, {2, 3, 3, 8, 12, 4}},
    {&op_patchify, {1, 1, 1, 3, 3, 1}},
    {&op_patchify, {1, 2, 3, 32, 32, 16}},
    {&op_clip_tokens, {2, 3, 5, 20}},
    {&op_clip_tokens, {1, 1, 1, 1, EGO_F16}},
    {&op_clip_tokens, {2, 4, 49, 64, EGO_BF16}},
    {&op_dropout, {3, 5, -1}},
    {&op_dropout, {0, 3, 50}},
    {&op_dropout, {7, 100, 30}},
    {&op_dropout, {70, 768, 10}},
    {&op_product, {1, 1, 1}},
    {&op_product, {0, 3, 2}},
    {&op_product, {7, 9, 33}},
    {&op_product, {20, 31, 256}},
    {&op_cross_entropy, {1, 1}},
    {&op_cross_entropy, {0, 5}},
    {&op_cross_entropy, {6, 2}},
    {&op_cross_entropy, {9, 37}},
    {&op_cross_entropy, {5, 50265}},
    {&op_binary_cross_entropy, {1, 1}},
    {&op_binary_cross_entropy, {0, 5}},
    {&op_binary_cross_entropy, {3, 40}},
    {&op_binary_cross_entropy, {3, 40, 1}},
    {&op_egonce, {1}},
    {&op_egonce, {3}},
    {&op_egonce, {32}},
    {&op_max_margin, {1}},
    {&op_max_margin, {2}},
    {&op_max_margin, {20}},
    {&op_linear, {21, 40, 36, EGO_ACT_SIGMOID, 1}},
    {&op_linear, {5, 17, 33, EGO_ACT_SIGMOID, 1, 1}},
};

enum { CASES = sizeof cases / sizeof *cases };

static void sample_make(sample *s, size_t which) {
    *s = (sample){.op = cases[which].op, .number = which};
    memcpy(s->n, cases[which].n, sizeof s->n);
    ego_arena_init(&s->arena, 1 << 16);
    streams = which * 100;
    s->op->make(s);
}
static void sample_release(sample *s) { ego_arena_release(&s->arena); }

#endif
