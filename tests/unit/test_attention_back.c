/* Attention in training: gradients and dropout, forward and backward, over every kind of segment list that
 * model/attention.c makes. Against a double-precision reference, that one against finite differences; added to
 * what a gradient holds; the same bits for any number of threads; for each instruction set this machine has.
 */
#include "check.h"

#include "base/rng.h"
#include "tensor/backend.h"
#include "tensor/tape.h"

#include <stdbool.h>

enum { Q, K, V, INPUTS, POOLS = 3 };

/* Lists of model/attention.c, and SHUFFLED: space attention in an order that keeps no clip together. */
typedef enum pattern {
    SPACE,
    TIME,
    SHUFFLED,
    TEXT,
    CLASS,
    TEXT_CLASS,
    TEXT_TO_VIDEO,
    VIDEO_TO_TEXT,
} pattern;

/* How q, k and v stand: columns of one tensor; q alone, k and v in one; three tensors of odd widths. */
typedef enum layout { TOGETHER, PAIR, APART } layout;

typedef struct sample_case {
    pattern pattern;
    layout layout;
    int64_t batch, frames, patches, words; /* narration i has words + i tokens */
    int64_t heads, width;
    float p;
    double scale; /* of q and k: how sharp the softmax is */
} sample_case;

static const sample_case cases[] = {
    /* the full-size model's width, then the small one's and odd ones */
    {SPACE, TOGETHER, 1, 2, 196, 0, 2, 64, 0, 1},
    {SPACE, TOGETHER, 3, 2, 49, 0, 2, 32, 0, 1},
    {SPACE, TOGETHER, 2, 3, 64, 0, 1, 48, 0.1f, 2},
    {SPACE, TOGETHER, 2, 2, 17, 0, 3, 20, 0.5f, 1},
    {SPACE, APART, 2, 2, 33, 0, 2, 7, 0.25f, 1},
    {SHUFFLED, TOGETHER, 3, 2, 24, 0, 2, 16, 0, 1},
    {SHUFFLED, PAIR, 2, 2, 9, 0, 2, 33, 0.1f, 1},
    {TIME, TOGETHER, 1, 4, 196, 0, 2, 64, 0, 1},
    {TIME, TOGETHER, 3, 4, 10, 0, 3, 32, 0, 3},
    {TIME, TOGETHER, 2, 16, 9, 0, 2, 64, 0.1f, 1},
    {TIME, TOGETHER, 2, 40, 3, 0, 1, 24, 0, 1},
    {TIME, APART, 2, 5, 7, 0, 2, 19, 0.3f, 1},
    {TIME, TOGETHER, 2, 1, 1, 0, 1, 1, 0, 1},
    {CLASS, PAIR, 2, 4, 98, 0, 2, 64, 0, 1},
    {CLASS, APART, 3, 2, 11, 0, 2, 5, 0.2f, 1},
    {TEXT, TOGETHER, 3, 0, 0, 12, 4, 64, 0.1f, 1},
    {TEXT, TOGETHER, 3, 0, 0, 15, 2, 32, 0, 4},
    {TEXT, APART, 3, 0, 0, 1, 2, 9, 0, 1},
    {TEXT, TOGETHER, 1, 0, 0, 230, 1, 32, 0.1f, 1},
    {TEXT_CLASS, PAIR, 3, 0, 0, 10, 2, 64, 0.1f, 1},
    {TEXT_TO_VIDEO, PAIR, 1, 4, 196, 12, 2, 64, 0.1f, 1},
    {TEXT_TO_VIDEO, PAIR, 3, 2, 30, 4, 2, 21, 0, 1},
    {TEXT_TO_VIDEO, APART, 2, 2, 30, 11, 1, 40, 0.1f, 1},
    {VIDEO_TO_TEXT, PAIR, 1, 4, 196, 12, 1, 64, 0, 1},
    {VIDEO_TO_TEXT, PAIR, 3, 2, 30, 11, 2, 32, 0.9f, 1},
    {VIDEO_TO_TEXT, APART, 2, 2, 30, 1, 2, 13, 0.1f, 1},
};

/* A double for every float of a tensor; q, k and v may be one. */
typedef struct reference {
    double *x[INPUTS], *dx[INPUTS], *out;
} reference;

typedef struct sample {
    const sample_case *c;
    ego_arena arena;
    ego_tensor *in[INPUTS], *dout;
    float *before[INPUTS]; /* what the gradients hold before */
    ego_attention_args args;
    ego_segment *segments;
} sample;

/* ---- samples --------------------------------------------------------------------------------------- */

static ego_tensor *random_tensor(sample *s, uint64_t number, double scale, int64_t rows,
                                 int64_t columns) {
    ego_tensor *t = ego_arena_alloc(&s->arena, sizeof *t);
    *t = (ego_tensor){.dtype = EGO_F32, .ndim = 2, .shape = {rows, columns}};
    t->data = ego_arena_alloc(&s->arena, (size_t)(rows * columns) * sizeof(float));
    for (int64_t i = 0; i < rows * columns; i++)
        ego_f32(t)[i] = (float)(scale * ego_rng_normal(ego_rng_stream(5, number), (uint64_t)i));
    return t;
}

static void add(sample *s, ego_segment segment) { s->segments[s->args.count++] = segment; }

static void add_clip(sample *s, int64_t b) {
    const sample_case *c = s->c;
    int64_t F = c->frames, N = c->patches, T = 1 + F * N, cls = b * T, patch = cls + 1;
    add(s, (ego_segment){cls, 1, 1, cls, 1, T, -1});
    for (int64_t n = 0; n < N && c->pattern == TIME; n++)
        add(s, (ego_segment){patch + n, N, F, patch + n, N, F, cls});
    for (int64_t f = 0; f < F && c->pattern != TIME; f++)
        add(s, (ego_segment){patch + f * N, 1, N, patch + f * N, 1, N, cls});
}

static void shuffle(sample *s) {
    for (int64_t i = s->args.count - 1; i > 0; i--) {
        uint32_t j = ego_rng_below(3, (uint64_t)i, (uint32_t)i + 1);
        ego_segment other = s->segments[j];
        s->segments[j] = s->segments[i];
        s->segments[i] = other;
    }
}

/* The segments; how many rows q and the keys have. */
static void make_segments(sample *s, int64_t *queries, int64_t *keys) {
    const sample_case *c = s->c;
    int64_t T = 1 + c->frames * c->patches, text = 0;
    s->segments = ego_arena_alloc(&s->arena, (size_t)(c->batch * (T + 1)) * sizeof *s->segments);
    *queries = *keys = 0;
    for (int64_t b = 0; b < c->batch; text += c->words + b++) {
        int64_t words = c->words + b;
        switch (c->pattern) {
        case SPACE:
        case TIME:
        case SHUFFLED: add_clip(s, b), *queries += T, *keys += T; break;
        case CLASS:
            add(s, (ego_segment){b, 1, 1, b * T, 1, T, -1}), *queries += 1, *keys += T;
            break;
        case TEXT:
            add(s, (ego_segment){text, 1, words, text, 1, words, -1});
            *queries += words, *keys += words;
            break;
        case TEXT_CLASS:
            add(s, (ego_segment){b, 1, 1, text, 1, words, -1});
            *queries += 1, *keys += words;
            break;
        case TEXT_TO_VIDEO:
            add(s, (ego_segment){text, 1, words, b * T, 1, T, -1});
            *queries += words, *keys += T;
            break;
        case VIDEO_TO_TEXT:
            add(s, (ego_segment){b * T, 1, T, text, 1, words, -1});
            *queries += T, *keys += words;
            break;
        }
    }
    if (c->pattern == SHUFFLED) shuffle(s);
}

static void sample_make(sample *s, const sample_case *c) {
    int64_t queries, keys, D = c->heads * c->width;
    *s = (sample){.c = c};
    ego_arena_init(&s->arena, 1 << 16);
    make_segments(s, &queries, &keys);
    int64_t columns[] = {D, D, D}, rows[] = {queries, keys, keys}, at[] = {0, 0, 0};
    int owner[] = {Q, K, V};
    switch (c->layout) {
    case TOGETHER:
        owner[K] = owner[V] = Q;
        columns[Q] = 3 * D, at[K] = D, at[V] = 2 * D;
        break;
    case PAIR:
        owner[V] = K;
        columns[K] = 2 * D, at[K] = D;
        break;
    case APART:
        for (int i = 0; i < INPUTS; i++) columns[i] = D + 2 * i + 1, at[i] = i + 1;
        break;
    }
    for (int i = 0; i < INPUTS; i++) {
        bool own = owner[i] == i;
        s->in[i] =
            own ? random_tensor(s, (uint64_t)i, c->scale, rows[i], columns[i]) : s->in[owner[i]];
        s->before[i] = own ? random_tensor(s, 10 + (uint64_t)i, 1, rows[i], columns[i])->data
                           : s->before[owner[i]];
    }
    s->dout = random_tensor(s, 20, 1, queries, D);
    uint64_t *streams = ego_arena_alloc(&s->arena, (size_t)queries * sizeof *streams);
    for (int64_t r = 0; r < queries; r++) streams[r] = ego_rng_stream(77, (uint64_t)(r * r));
    s->args.q = s->in[Q], s->args.k = s->in[K], s->args.v = s->in[V];
    s->args.q_column = at[Q], s->args.k_column = at[K], s->args.v_column = at[V];
    s->args.heads = c->heads, s->args.width = c->width;
    s->args.segments = s->segments;
    s->args.drop = (ego_dropout){c->p, streams, 9};
}
static void sample_release(sample *s) { ego_arena_release(&s->arena); }

/* ---- double precision --------------------------------------------------------------------------------- */

static double *doubles(const float *from, int64_t n) {
    double *to = calloc((size_t)n + 1, sizeof *to);
    for (int64_t i = 0; from && i < n; i++) to[i] = from[i];
    return to;
}
static void reference_make(const sample *s, reference *r) {
    for (int i = 0; i < INPUTS; i++) {
        int same = 0;
        while (s->in[same] != s->in[i]) same++;
        int64_t n = ego_tensor_count(s->in[i]);
        r->x[i] = same < i ? r->x[same] : doubles(s->in[i]->data, n);
        r->dx[i] = same < i ? r->dx[same] : doubles(s->before[i], n);
    }
    r->out = doubles(NULL, ego_tensor_count(s->dout));
}
static void reference_free(const sample *s, reference *r) {
    for (int i = 0; i < INPUTS; i++)
        if (i == 0 || s->in[i] != s->in[i - 1]) {
            free(r->x[i]);
            free(r->dx[i]);
        }
    free(r->out);
}

/* Where row r of a head of q, k or v begins. */
static int64_t at(const sample *s, int which, int64_t row, int64_t head) {
    const ego_attention_args *a = &s->args;
    const int64_t column[] = {a->q_column, a->k_column, a->v_column};
    return row * ego_tensor_columns(s->in[which]) + column[which] + head * a->width;
}
static int64_t key_row(const ego_segment *g, int64_t j) {
    if (g->extra >= 0 && j == 0) return g->extra;
    return g->k0 + (j - (g->extra >= 0)) * g->k_step;
}
static double dot(const double *x, const double *y, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}
static void axpy(double a, const double *x, double *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

/* One query: its output, and with `back` its share of the gradients. */
static void reference_query(const sample *s, reference *r, const ego_segment *g, int64_t row,
                            int64_t head, bool back) {
    const ego_attention_args *a = &s->args;
    int64_t keys = g->nk + (g->extra >= 0), D = a->width, o = (row * a->heads + head) * D;
    const double *q = r->x[Q] + at(s, Q, row, head);
    double *p = calloc(4 * (size_t)keys + (size_t)D, sizeof *p), *f = p + keys, *dp = f + keys;
    double *dout = dp + keys, sum = 0, mean = 0, most = -INFINITY, scale = 1 / sqrt((double)D);
    uint64_t stream = ego_rng_stream(a->drop.streams[row], a->drop.site);
    for (int64_t d = 0; d < D; d++) dout[d] = ego_f32(s->dout)[o + d];
    for (int64_t j = 0; j < keys; j++) {
        p[j] = scale * dot(q, r->x[K] + at(s, K, key_row(g, j), head), D);
        if (p[j] > most) most = p[j];
    }
    for (int64_t j = 0; j < keys; j++) sum += p[j] = exp(p[j] - most);
    for (int64_t j = 0; j < keys; j++) {
        const double *v = r->x[V] + at(s, V, key_row(g, j), head);
        p[j] /= sum;
        f[j] = ego_rng_unit(stream, (uint64_t)(head * keys + j)) >= a->drop.p
                   ? 1 / (1 - (double)a->drop.p)
                   : 0;
        axpy(p[j] * f[j], v, r->out + o, D);
        dp[j] = f[j] * dot(dout, v, D);
        mean += p[j] * dp[j];
    }
    for (int64_t j = 0; j < keys && back; j++) {
        int64_t k = at(s, K, key_row(g, j), head);
        double ds = scale * p[j] * (dp[j] - mean);
        axpy(p[j] * f[j], dout, r->dx[V] + at(s, V, key_row(g, j), head), D);
        axpy(ds, r->x[K] + k, r->dx[Q] + at(s, Q, row, head), D);
        axpy(ds, q, r->dx[K] + k, D);
    }
    free(p);
}

/* Σ out · dout, the loss whose gradients these are. */
static double reference_run(const sample *s, reference *r, bool back) {
    int64_t n = ego_tensor_count(s->dout);
    double loss = 0;
    memset(r->out, 0, (size_t)n * sizeof *r->out);
    for (int64_t i = 0; i < s->args.count; i++)
        for (int64_t j = 0; j < s->segments[i].nq; j++)
            for (int64_t head = 0; head < s->args.heads; head++)
                reference_query(s, r, &s->segments[i],
                                s->segments[i].q0 + j * s->segments[i].q_step, head, back);
    for (int64_t i = 0; i < n; i++) loss += r->out[i] * ego_f32(s->dout)[i];
    return loss;
}

/* The reference's gradients against differences of its loss, a few elements of each input. */
static void check_differences(const sample *s, reference *r) {
    for (int i = 0; i < INPUTS; i++)
        for (int64_t spot = 0; spot < 4; spot++) {
            int64_t n = ego_tensor_count(s->in[i]), at_spot = (spot * 2 + 1) * n / 8 % n;
            double *x = r->x[i] + at_spot, was = *x, step = 1e-5;
            *x = was + step;
            double more = reference_run(s, r, false);
            *x = was - step;
            double less = reference_run(s, r, false);
            *x = was;
            CHECK_NEAR(r->dx[i][at_spot] - s->before[i][at_spot], (more - less) / (2 * step), 1e-6);
        }
}

/* ---- what is tested ----------------------------------------------------------------------------------- */

typedef struct result {
    ego_ctx cx;
    ego_tensor *out;
    ego_node nodes[INPUTS + 1];
    float *dx[INPUTS]; /* NULL: not wanted */
} result;

static void say(const sample *s, const char *isa, const char *what) {
    fprintf(stderr, "    case %d, %s: %s\n", (int)(s->c - cases), isa, what);
}

/* Forward and backward, gradients of those inputs whose bit is set. */
static void run(const sample *s, ego_backend *backend, unsigned wanted, result *r) {
    *r = (result){0};
    ego_ctx_init(&r->cx, backend);
    r->out = ego_attention(&r->cx, &s->args);
    CHECK_OK(ego_ctx_err(&r->cx));
    for (int i = 0; i < INPUTS; i++) {
        size_t bytes = (size_t)ego_tensor_count(s->in[i]) * sizeof(float);
        int same = 0;
        while (s->in[same] != s->in[i]) same++;
        s->in[i]->node = &r->nodes[same];
        if (same == i && wanted & 1u << i) {
            r->nodes[i].wanted = true;
            r->nodes[i].grad = ego_ctx_alloc(&r->cx, bytes);
            memcpy(r->nodes[i].grad, s->before[i], bytes);
        }
        r->dx[i] = r->nodes[same].grad;
    }
    r->nodes[INPUTS].grad = ego_f32(s->dout);
    r->out->node = &r->nodes[INPUTS];
    ego_call call = {.op = EGO_OP_attention,
                     .in = {s->in[Q], s->in[K], s->in[V]},
                     .out = r->out,
                     .as.attention = s->args};
    CHECK_OK(backend->backward[EGO_OP_attention](backend, &call));
    for (int i = 0; i < INPUTS; i++) s->in[i]->node = NULL;
}

static double worst_error(const float *got, const double *want, int64_t n) {
    double worst = 0, scale = 1;
    for (int64_t i = 0; i < n; i++)
        if (fabs(want[i]) > scale) scale = fabs(want[i]);
    for (int64_t i = 0; i < n; i++) {
        double error = fabs(got[i] - want[i]) / scale;
        if (!(error <= worst)) worst = error;
    }
    return worst;
}

static double worst_seen;

static void check_close(const sample *s, const char *isa, const char *what, const float *got,
                        const double *want, int64_t n) {
    double worst = worst_error(got, want, n);
    if (!CHECK(worst < 3e-6)) {
        say(s, isa, what);
        fprintf(stderr, "    error %.3g\n", worst);
    }
    if (worst > worst_seen) worst_seen = worst;
}

static void check_case(const sample *s, const reference *want, ego_backend *const backend[POOLS],
                       const char *isa) {
    static const char *const names[] = {"dq", "dk", "dv"};
    result all, other;
    run(s, backend[0], 7, &all);
    check_close(s, isa, "out", all.out->data, want->out, ego_tensor_count(all.out));
    for (int i = 0; i < INPUTS; i++)
        check_close(s, isa, names[i], all.dx[i], want->dx[i], ego_tensor_count(s->in[i]));
    for (int p = 1; p < POOLS; p++) {
        run(s, backend[p], 7, &other);
        bool same = memcmp(all.out->data, other.out->data,
                           (size_t)ego_tensor_count(all.out) * sizeof(float)) == 0;
        for (int i = 0; i < INPUTS; i++)
            same &= memcmp(all.dx[i], other.dx[i],
                           (size_t)ego_tensor_count(s->in[i]) * sizeof(float)) == 0;
        if (!CHECK(same)) say(s, isa, "threads change the result");
        ego_ctx_release(&other.cx);
    }
    /* Any subset of the gradients, the same bits. */
    for (unsigned wanted = 0; wanted < 7 && s->c->layout == APART; wanted++) {
        run(s, backend[wanted % POOLS], wanted, &other);
        for (int i = 0; i < INPUTS; i++)
            if (!CHECK(!other.dx[i] ||
                       memcmp(all.dx[i], other.dx[i],
                              (size_t)ego_tensor_count(s->in[i]) * sizeof(float)) == 0))
                say(s, isa, "which gradients are wanted changes them");
        ego_ctx_release(&other.cx);
    }
    ego_ctx_release(&all.cx);
}

/* About p of the values fall, and with p = 0 or without streams none does: the same bits as inference. */
static void check_off(ego_backend *backend) {
    sample s;
    sample_make(&s, &cases[2]);
    ego_dropout drops[] = {{0}, {0, s.args.drop.streams, 9}, {0.5f, NULL, 9}, s.args.drop};
    ego_ctx cx;
    ego_tensor *out[4];
    ego_ctx_init(&cx, backend);
    for (int i = 0; i < 4; i++) {
        s.args.drop = drops[i];
        out[i] = ego_attention(&cx, &s.args);
    }
    CHECK_OK(ego_ctx_err(&cx));
    size_t bytes = (size_t)ego_tensor_count(out[0]) * sizeof(float);
    CHECK(memcmp(out[0]->data, out[1]->data, bytes) == 0);
    CHECK(memcmp(out[0]->data, out[2]->data, bytes) == 0);
    CHECK(memcmp(out[0]->data, out[3]->data, bytes) != 0);
    ego_ctx_release(&cx);
    sample_release(&s);
}

static size_t make_backends(const char *isa, ego_pool *const pools[POOLS],
                            ego_backend *backend[POOLS]) {
    setenv("EGO_CPU", isa, 1);
    for (size_t i = 0; i < POOLS; i++)
        if (ego_cpu_backend_new(pools[i], &backend[i]) != EGO_OK) {
            printf("%s: left out: %s\n", isa, ego_err_message());
            return i;
        }
    return POOLS;
}

int main(void) {
    static const char *const isas[] = {"generic", "avx2", "avx512"};
    enum { ISAS = sizeof isas / sizeof *isas };
    ego_pool *pools[POOLS] = {0};
    ego_backend *backend[ISAS][POOLS];
    size_t n[ISAS];
    for (unsigned i = 1; i < POOLS; i++) CHECK_OK(ego_pool_new(i + 1, &pools[i]));
    for (size_t i = 0; i < ISAS; i++) n[i] = make_backends(isas[i], pools, backend[i]);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        sample s;
        reference want;
        sample_make(&s, &cases[c]);
        reference_make(&s, &want);
        reference_run(&s, &want, true);
        for (size_t i = 0; i < ISAS; i++)
            if (n[i]) check_case(&s, &want, backend[i], isas[i]);
        if (ego_tensor_count(s.dout) < 4000) check_differences(&s, &want);
        reference_free(&s, &want);
        sample_release(&s);
    }
    for (size_t i = 0; i < ISAS; i++)
        if (n[i]) check_off(backend[i][0]);
    for (size_t i = 0; i < ISAS; i++)
        for (size_t j = 0; j < n[i]; j++) ego_backend_free(backend[i][j]);
    for (int i = 0; i < POOLS; i++) ego_pool_free(pools[i]);
    printf("largest error %.2g of the largest value\n", worst_seen);
    return check_done();
}
