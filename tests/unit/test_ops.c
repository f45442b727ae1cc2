/* Every operation from one table: against double precision, against itself (other rows beside it, other
 * thread counts), with NaN in its input; for each instruction set this machine has.
 *
 * A column of checks is one function over a sample (see `columns` at the end); gradients, other backends
 * and timings go there.
 */
#include "check.h"

#include "base/file.h"
#include "base/rng.h"
#include "tensor/backend.h"
#include "tensor/panel.h"

#include <stdbool.h>
#include <unistd.h>

enum { DIMS = 10, INPUTS = 3 };

typedef struct sample sample;

/* How an operation is tried. dims mean what `make` says. */
typedef struct operation {
    const char *name;
    void (*make)(sample *s);
    ego_tensor *(*forward)(ego_ctx *cx, sample *s);
    void (*reference)(const sample *s, double *out);
    double tolerance; /* times the largest magnitude of the result, or 1 */
    unsigned
        by_row; /* bit i: row r of the result depends on row r of in[i] alone, and no other row */
} operation;

struct sample {
    const operation *op;
    int64_t n[DIMS];
    ego_arena arena;
    ego_tensor *in[INPUTS];
    ego_param param[INPUTS];
    ego_segment *segments;
    int64_t *rows;
    int64_t count;
};

/* ---- samples --------------------------------------------------------------------------------------- */

static ego_tensor *new_tensor(sample *s, int ndim, const int64_t *shape) {
    ego_tensor *t = ego_arena_alloc(&s->arena, sizeof *t);
    *t = (ego_tensor){.dtype = EGO_F32, .ndim = ndim};
    memcpy(t->shape, shape, (size_t)ndim * sizeof *shape);
    t->data = ego_arena_alloc(&s->arena, (size_t)ego_tensor_count(t) * sizeof(float));
    return t;
}
#define SHAPE(...)                                                                                 \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }

static uint64_t streams;

static ego_tensor *random_tensor(sample *s, double scale, int ndim, const int64_t *shape) {
    ego_tensor *t = new_tensor(s, ndim, shape);
    uint64_t stream = ego_rng_stream(7, streams++);
    for (int64_t i = 0; i < ego_tensor_count(t); i++)
        ego_f32(t)[i] = (float)(scale * ego_rng_normal(stream, (uint64_t)i));
    return t;
}

/* A parameter as a file would hold it: in any float type. */
static void random_param(sample *s, int which, ego_dtype dtype, double scale, int ndim,
                         const int64_t *shape) {
    ego_tensor *t = random_tensor(s, scale, ndim, shape);
    size_t n = (size_t)ego_tensor_count(t);
    if (dtype != EGO_F32) {
        uint16_t *half = ego_arena_alloc(&s->arena, n * sizeof *half);
        for (size_t i = 0; i < n; i++)
            half[i] =
                dtype == EGO_F16 ? ego_f32_to_f16(ego_f32(t)[i]) : ego_f32_to_bf16(ego_f32(t)[i]);
        t->data = half;
        t->dtype = dtype;
    }
    s->param[which] = (ego_param){.name = "test", .value = *t};
}

static void to_panels(sample *s, ego_param *w) {
    int64_t outputs = w->value.shape[0], inputs = ego_tensor_count(&w->value) / outputs;
    float *panels = ego_arena_alloc(&s->arena, ego_panel_bytes(outputs, inputs));
    ego_panel_pack(w->value.data, w->value.dtype, outputs, inputs, 0, ego_panel_count(outputs),
                   panels);
    w->value.data = panels;
    w->value.dtype = EGO_F32;
    w->panelled = true;
}

/* Element i of a parameter, whatever its form. */
static double param_at(const ego_param *p, int64_t i) {
    float value;
    if (p->panelled) {
        int64_t inputs = ego_tensor_count(&p->value) / p->value.shape[0], row = i / inputs;
        i = row / EGO_PANEL * EGO_PANEL * inputs + i % inputs * EGO_PANEL + row % EGO_PANEL;
    }
    ego_to_f32((const char *)p->value.data + (size_t)i * ego_dtype_bytes(p->value.dtype),
               p->value.dtype, &value, 1);
    return value;
}

static double at(const ego_tensor *t, int64_t i) { return ego_f32(t)[i]; }

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

static void layer_norm_make(sample *s) {
    s->in[0] = random_tensor(s, 3, SHAPE(s->n[0], s->n[1]));
    for (int64_t i = 0; i < ego_tensor_count(s->in[0]); i++)
        ego_f32(s->in[0])[i] += (float)(3 * s->n[3]);
    random_param(s, 0, (ego_dtype)s->n[2], 1, SHAPE(s->n[1]));
    random_param(s, 1, (ego_dtype)s->n[2], 1, SHAPE(s->n[1]));
}
static ego_tensor *layer_norm_forward(ego_ctx *cx, sample *s) {
    return ego_layer_norm(cx, s->in[0], &s->param[0], &s->param[1], 1e-6f);
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
                (at(s->in[0], r * D + j) - mean) / sqrt(var + 1e-6) * param_at(&s->param[0], j) +
                param_at(&s->param[1], j);
    }
}

/* ---- attention: pattern, B, F, N, heads, width, key rows of cross attention ------------------------- */

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
                                .count = s->count};
}
static ego_tensor *attention_forward(ego_ctx *cx, sample *s) {
    ego_attention_args args = attention_args(s);
    return ego_attention(cx, &args);
}
static void attention_row(const ego_attention_args *a, const ego_segment *g, int64_t row,
                          int64_t head, double *out) {
    int64_t nk = g->nk + (g->extra >= 0), column = head * a->width;
    double *p = calloc((size_t)nk + 1, sizeof *p), max = -INFINITY, sum = 0;
    for (int64_t pass = 0; pass < 3; pass++)
        for (int64_t j = 0; j < nk; j++) {
            int64_t key =
                g->extra < 0 ? g->k0 + j * g->k_step : (j ? g->k0 + (j - 1) * g->k_step : g->extra);
            const float *q = ego_f32(a->q) + row * ego_tensor_columns(a->q) + a->q_column + column;
            const float *k = ego_f32(a->k) + key * ego_tensor_columns(a->k) + a->k_column + column;
            const float *v = ego_f32(a->v) + key * ego_tensor_columns(a->v) + a->v_column + column;
            if (pass == 0) {
                for (int64_t d = 0; d < a->width; d++) p[j] += (double)q[d] * k[d];
                p[j] /= sqrt((double)a->width);
                if (p[j] > max) max = p[j];
            } else if (pass == 1)
                sum += p[j] = exp(p[j] - max);
            else
                for (int64_t d = 0; d < a->width; d++) out[d] += p[j] / sum * v[d];
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
                attention_row(&a, &s->segments[i], row, h, out + row * D + h * a.width);
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

/* ---- the table ---------------------------------------------------------------------------------------- */

/* name, make, forward, reference (each with its suffix), tolerance, rows */
#define OPERATIONS(X)                                                                              \
    X(linear, linear, linear, 2e-6, 3)                                                             \
    X(layer_norm, layer_norm, layer_norm, 2e-6, 1)                                                 \
    X(attention, attention, attention, 3e-6, 0)                                                    \
    X(gated_add, pair, gated_add, 2e-7, 3)                                                         \
    X(add, pair, add, 1e-7, 3)                                                                     \
    X(activate, single, activate, 2e-7, 1)                                                         \
    X(softmax, single, softmax, 5e-7, 1)                                                           \
    X(l2_normalize, single, l2, 3e-7, 1)                                                           \
    X(concat, concat, concat, 0, 3)                                                                \
    X(embedding, embedding, embedding, 0, 0)                                                       \
    X(gather_rows, gather, gather, 0, 0)                                                           \
    X(patchify, patchify, patchify, 0, 0)                                                          \
    X(clip_tokens, clip_tokens, clip_tokens, 2e-7, 0)

#define OPERATION_ROW(name, make, run, tolerance, by_row)                                          \
    static const operation op_##name = {#name,           make##_make, run##_forward,               \
                                        run##_reference, tolerance,   by_row};
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
    {&op_gated_add, {3, 5}},
    {&op_gated_add, {70, 768, EGO_F16}},
    {&op_add, {1, 1}},
    {&op_add, {0, 3}},
    {&op_add, {70, 500}},
    {&op_activate, {3, 5, EGO_ACT_NONE}},
    {&op_activate, {70, 500, EGO_ACT_GELU}},
    {&op_activate, {70, 500, EGO_ACT_RELU}},
    {&op_activate, {70, 500, EGO_ACT_TANH}},
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
};

static void sample_make(sample *s, size_t which) {
    *s = (sample){.op = cases[which].op};
    memcpy(s->n, cases[which].n, sizeof s->n);
    ego_arena_init(&s->arena, 1 << 16);
    streams = which * 100;
    s->op->make(s);
}
static void sample_release(sample *s) { ego_arena_release(&s->arena); }

/* ---- columns ------------------------------------------------------------------------------------------ */

enum { POOLS = 3 };

typedef struct bench {
    const char *isa;
    ego_backend *backend[POOLS]; /* on 1, 2 and 3 threads */
} bench;

static void say(const sample *s, const char *isa, const char *what) {
    fprintf(stderr, "    %s {", s->op->name);
    for (int i = 0; i < DIMS; i++) fprintf(stderr, "%s%lld", i ? ", " : "", (long long)s->n[i]);
    fprintf(stderr, "}, %s: %s\n", isa, what);
}

static ego_tensor *forward(ego_ctx *cx, ego_backend *backend, sample *s) {
    ego_ctx_init(cx, backend);
    ego_tensor *out = s->op->forward(cx, s);
    CHECK_OK(ego_ctx_err(cx));
    return out;
}
/* `keep` is the sample whose parameters these are packed for. */
static void done(ego_ctx *cx, sample *keep) {
    for (int i = 0; i < INPUTS; i++) cx->backend->forget(cx->backend, &keep->param[i]);
    ego_ctx_release(cx);
}

static bool close_to_reference(const sample *s, const ego_tensor *out, double *worst) {
    int64_t n = ego_tensor_count(out);
    double *want = calloc((size_t)n + 1, sizeof *want), scale = 1;
    bool good = true;
    s->op->reference(s, want);
    for (int64_t i = 0; i < n; i++)
        if (fabs(want[i]) > scale && isfinite(want[i])) scale = fabs(want[i]);
    for (int64_t i = 0; i < n; i++) {
        double got = at(out, i), error = fabs(got - want[i]) / scale;
        if (isnan(want[i]) || isinf(want[i]))
            good &= isnan(want[i]) ? isnan(got) : got == want[i];
        else {
            good &= error <= s->op->tolerance;
            if (!(error <= *worst)) *worst = error;
        }
    }
    free(want);
    return good;
}

/* Against double precision. */
static void check_reference(sample *s, const bench *b) {
    ego_ctx cx;
    double worst = 0;
    ego_tensor *out = forward(&cx, b->backend[0], s);
    char text[64];
    bool good = out && close_to_reference(s, out, &worst);
    snprintf(text, sizeof text, "error %.3g, expected at most %.3g", worst, s->op->tolerance);
    if (!CHECK(good)) say(s, b->isa, text);
    done(&cx, s);
}

/* The same bits for any number of threads. */
static void check_threads(sample *s, const bench *b) {
    ego_ctx cx[POOLS];
    ego_tensor *out[POOLS];
    for (int i = 0; i < POOLS; i++) out[i] = forward(&cx[i], b->backend[i], s);
    for (int i = 1; i < POOLS && out[0] && out[i]; i++)
        if (!CHECK(memcmp(out[0]->data, out[i]->data, (size_t)ego_tensor_count(out[0]) * 4) == 0))
            say(s, b->isa, "threads change the result");
    for (int i = 0; i < POOLS; i++) done(&cx[i], s);
}

static ego_tensor some_rows(const ego_tensor *t, int64_t first, int64_t count) {
    ego_tensor piece = *t;
    piece.data = ego_f32(t) + first * ego_tensor_columns(t);
    piece.shape[0] = count;
    return piece;
}

/* Rows [first, first + count) alone. Attention: their segments, one per query, in another order. */
static bool take_rows(const sample *s, int64_t first, int64_t count, sample *piece,
                      ego_tensor *in) {
    *piece = *s;
    for (int i = 0; i < INPUTS; i++) piece->param[i].packed = NULL; /* it packs its own */
    for (int i = 0; i < INPUTS; i++)
        if (s->op->by_row & 1u << i && s->in[i]) {
            in[i] = some_rows(s->in[i], first, count);
            piece->in[i] = &in[i];
        }
    if (s->op->by_row) return true;
    if (s->op != &op_attention) return false;
    in[0] = some_rows(s->in[0], first, count);
    piece->in[0] = &in[0];
    piece->segments = malloc((size_t)(count + 1) * sizeof *piece->segments);
    piece->count = 0;
    for (int64_t i = s->count - 1; i >= 0; i--)
        for (int64_t q = 0; q < s->segments[i].nq; q++) {
            ego_segment one = s->segments[i];
            one.q0 = one.q0 + q * one.q_step - first;
            one.nq = 1;
            if (one.q0 >= 0 && one.q0 < count) piece->segments[piece->count++] = one;
        }
    return true;
}

/* The same bits for a row whatever rows stand beside it. */
static void check_rows(sample *s, const bench *b) {
    ego_ctx whole_cx, cx;
    sample piece;
    ego_tensor in[INPUTS], *whole = forward(&whole_cx, b->backend[0], s);
    int64_t rows = whole ? ego_tensor_rows(whole) : 0,
            columns = whole ? ego_tensor_columns(whole) : 0;
    for (int64_t first = 0, count = 1; first < rows; first += count, count = count * 2 + 1) {
        if (count > rows - first) count = rows - first;
        if (!take_rows(s, first, count, &piece, in)) break;
        ego_tensor *out = forward(&cx, b->backend[count % POOLS], &piece);
        size_t bytes = (size_t)(count * columns) * sizeof(float);
        if (!CHECK(out && memcmp(out->data, ego_f32(whole) + first * columns, bytes) == 0))
            say(s, b->isa, "neighbours change a row");
        done(&cx, &piece);
        if (piece.segments != s->segments) free(piece.segments);
    }
    done(&whole_cx, s);
}

/* What the reference does with NaN and +infinity in one element, and nothing else. */
static void check_special(sample *s, const bench *b) {
    int64_t n = s->in[0] ? ego_tensor_count(s->in[0]) : 0;
    if (n == 0) return;
    float *element = ego_f32(s->in[0]) + n / 2, was = *element;
    for (int i = 0; i < (s->op == &op_activate ? 2 : 1); i++) {
        ego_ctx cx;
        double worst = 0;
        *element = i ? INFINITY : NAN;
        ego_tensor *out = forward(&cx, b->backend[0], s);
        if (!CHECK(out && close_to_reference(s, out, &worst)))
            say(s, b->isa, i ? "infinity went wrong" : "NaN went wrong");
        done(&cx, s);
    }
    *element = was;
}

/* ---- a weight in a mapped file ------------------------------------------------------------------------- */

/* Packing lets the file's pages go; they are there when asked for again. */
static void check_mapped(ego_backend *backend) {
    enum { O = 96, I = 64 };
    char path[64];
    snprintf(path, sizeof path, "/tmp/ego-test-ops-%ld", (long)getpid());
    sample s = {.op = &op_linear, .n = {5, I, O}};
    ego_arena_init(&s.arena, 1 << 16);
    s.op->make(&s);
    ego_map map = {0};
    CHECK_OK(ego_write_file(path, s.param[0].value.data, O * I * sizeof(float)));
    if (CHECK_OK(ego_map_open(path, &map))) {
        union {
            const uint8_t *bytes;
            void *data;
        } mapped = {map.data};
        s.param[0].value.data = mapped.data;
        s.param[0].mapped = true;
        for (int again = 0; again < 2; again++) {
            ego_ctx cx;
            double worst = 0;
            ego_tensor *out = forward(&cx, backend, &s);
            CHECK(out && close_to_reference(&s, out, &worst));
            done(&cx, &s);
        }
    }
    ego_map_close(&map);
    remove(path);
    sample_release(&s);
}

static void (*const columns[])(sample *, const bench *) = {
    check_reference,
    check_threads,
    check_rows,
    check_special,
};

int main(void) {
    static const char *const isas[] = {"generic", "avx2", "avx512"};
    ego_pool *pools[POOLS] = {0};
    for (unsigned i = 1; i < POOLS; i++) CHECK_OK(ego_pool_new(i + 1, &pools[i]));
    for (size_t isa = 0; isa < sizeof isas / sizeof *isas; isa++) {
        bench b = {.isa = isas[isa]};
        setenv("EGO_CPU", isas[isa], 1);
        ego_err err = ego_cpu_backend_new(pools[0], &b.backend[0]);
        if (err != EGO_OK) {
            printf("%s: left out: %s\n", isas[isa], ego_err_message());
            continue;
        }
        for (int i = 1; i < POOLS; i++) CHECK_OK(ego_cpu_backend_new(pools[i], &b.backend[i]));
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
            for (size_t column = 0; column < sizeof columns / sizeof *columns; column++) {
                sample s;
                sample_make(&s, c);
                columns[column](&s, &b);
                sample_release(&s);
            }
        check_mapped(b.backend[POOLS - 1]);
        for (int i = 0; i < POOLS; i++) ego_backend_free(b.backend[i]);
    }
    ego_backend *none;
    setenv("EGO_CPU", "abacus", 1);
    CHECK_ERR(EGO_EUNSUPPORTED, ego_cpu_backend_new(NULL, &none));
    for (int i = 0; i < POOLS; i++) ego_pool_free(pools[i]);
    return check_done();
}
