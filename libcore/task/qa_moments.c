#include "task/qa_moments.h"

#include "base/rng.h"
#include "model/heads.h"
#include "model/layers.h"

#include <inttypes.h>
#include <math.h>

/* A softmax over cosines is as sharp as in pre-training; an embedding's elements are about 1/√P, and what it is
 * multiplied by brings them, the products of two, and times, to the size of what they are added to. */
static const float TEMPERATURE = 0.05f, OF_SEEN = 4, OF_MATCH = 20, OF_TIME = 20;

/* ---- who attends to whom --------------------------------------------------------------------------------- */

/* Question i's rows stand from first[i] on: moments, words, windows. */
typedef struct places {
    int64_t n, moments, windows, rows;
    const int64_t *first;
    ego_text_shape words;
} places;

static places lay_out(ego_ctx *cx, const ego_qa_moments_config *c, ego_text_shape words) {
    places at = {.n = words.n, .moments = c->moments, .windows = c->windows, .words = words};
    int64_t *first = ego_ctx_alloc(cx, (size_t)(words.n + 1) * sizeof *first);
    for (int64_t i = 0; first && i <= words.n; i++)
        first[i] = i * (c->moments + c->windows) + words.offsets[i];
    at.first = first;
    if (first) at.rows = first[words.n];
    return at;
}

/* Queries [i·nq, (i + 1)·nq) attend to the keys of question i: its words, or its windows. */
static ego_tensor *pool(ego_ctx *cx, const places *at, int64_t nq, bool over_words, const ego_tensor *q,
                        const ego_tensor *k, const ego_tensor *v) {
    ego_segment *s = ego_ctx_alloc(cx, (size_t)at->n * sizeof *s);
    if (!s || !q || !k || !v) return NULL;
    for (int64_t i = 0; i < at->n; i++) {
        int64_t from = over_words ? at->words.offsets[i] : i * at->windows;
        int64_t count = over_words ? at->words.offsets[i + 1] - from : at->windows;
        s[i] = (ego_segment){i * nq, 1, nq, from, 1, count, -1};
    }
    return ego_attention(cx, &(ego_attention_args){.q = q,
                                                   .k = k,
                                                   .v = v,
                                                   .heads = 1,
                                                   .width = ego_tensor_columns(q),
                                                   .segments = s,
                                                   .count = at->n});
}

/* Rows [0, each) of the table, for each of n. */
static ego_tensor *repeat(ego_ctx *cx, ego_param *table, int64_t each, int64_t n) {
    int64_t *ids = ego_ctx_alloc(cx, (size_t)(n * each) * sizeof *ids);
    for (int64_t i = 0; ids && i < n * each; i++) ids[i] = i % each;
    return ids ? ego_embedding(cx, table, ids, n * each) : NULL;
}

/* Rows of a and then of b. */
static ego_tensor *stack(ego_ctx *cx, const ego_tensor *a, const ego_tensor *b) {
    if (!a || !b) return NULL;
    return ego_transpose(cx, ego_concat(cx, ego_transpose(cx, a), ego_transpose(cx, b)));
}

/* ---- moments --------------------------------------------------------------------------------------------- */

/* (n·K, D): what each moment of each question is looked for with. */
static ego_tensor *sought(ego_ctx *cx, ego_qa_moments_params *p, const places *at, const ego_tensor *words) {
    int64_t n = at->n, K = at->moments;
    ego_tensor *whole = ego_first_tokens(cx, words, at->words);
    ego_tensor *keys = ego_dense(cx, words, &p->chosen, EGO_ACT_NONE, NULL);
    ego_tensor *parts = pool(cx, at, K - 1, true, repeat(cx, &p->chooser, K - 1, n), keys, words);
    int64_t *order = ego_ctx_alloc(cx, (size_t)(n * K) * sizeof *order);
    if (!whole || !parts || !order) return NULL;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < K; k++) order[i * K + k] = k ? n + i * (K - 1) + k - 1 : i;
    return ego_gather_rows(cx, stack(cx, whole, parts), order, n * K);
}

static ego_tensor *add3(ego_ctx *cx, const ego_tensor *a, const ego_tensor *b, const ego_tensor *c) {
    return ego_add(cx, ego_add(cx, a, b), c);
}

/* seen(x) + match(x ∘ q) */
static ego_tensor *held_against(ego_ctx *cx, ego_linear_params *seen, ego_linear_params *match, const ego_tensor *x,
                                const ego_tensor *q) {
    if (!x || !q) return NULL;
    ego_tensor *both = ego_scale(cx, ego_multiply(cx, x, q), OF_MATCH);
    return ego_add(cx, ego_dense(cx, ego_scale(cx, x, OF_SEEN), seen, EGO_ACT_NONE, NULL),
                   ego_dense(cx, both, match, EGO_ACT_NONE, NULL));
}

static ego_tensor *moments_of(ego_ctx *cx, ego_qa_moments_params *p, const places *at, const ego_tensor *q,
                              const ego_tensor *x) {
    if (!q || !x) return NULL;
    float sharp = sqrtf((float)ego_tensor_columns(q)) / TEMPERATURE; /* attention divides by the root */
    ego_tensor *keen = ego_scale(cx, q, sharp);
    ego_tensor *m = pool(cx, at, at->moments, false, keen, x, x);
    ego_tensor *t = pool(cx, at, at->moments, false, keen, x, repeat(cx, &p->times, at->windows, at->n));
    if (!m || !t) return NULL;
    return add3(cx, held_against(cx, &p->moment_seen, &p->moment_match, m, q),
                ego_dense(cx, ego_scale(cx, t, OF_TIME), &p->moment_time, EGO_ACT_NONE, NULL),
                repeat(cx, &p->kinds, at->moments, at->n));
}

static ego_tensor *windows_of(ego_ctx *cx, ego_qa_moments_params *p, const places *at, const ego_tensor *q,
                              const ego_tensor *x) {
    int64_t *first = ego_ctx_alloc(cx, (size_t)(at->n * at->windows) * sizeof *first);
    if (!first || !q || !x) return NULL;
    for (int64_t r = 0; r < at->n * at->windows; r++) first[r] = r / at->windows * at->moments;
    ego_tensor *asked = ego_gather_rows(cx, q, first, at->n * at->windows);
    return ego_add(cx, held_against(cx, &p->window_seen, &p->window_match, x, asked),
                   repeat(cx, &p->positions, at->windows, at->n));
}

/* Question after question its moments, words and windows. */
static ego_tensor *line_up(ego_ctx *cx, const places *at, const ego_tensor *moments, const ego_tensor *words,
                           const ego_tensor *windows) {
    int64_t *order = ego_ctx_alloc(cx, (size_t)at->rows * sizeof *order), K = at->moments, W = at->windows, r = 0;
    if (!order || !moments || !words || !windows) return NULL;
    int64_t text = at->n * K, film = text + ego_tensor_rows(words);
    for (int64_t i = 0; i < at->n; i++) {
        for (int64_t k = 0; k < K; k++) order[r++] = i * K + k;
        for (int64_t t = at->words.offsets[i]; t < at->words.offsets[i + 1]; t++) order[r++] = text + t;
        for (int64_t w = 0; w < W; w++) order[r++] = film + i * W + w;
    }
    return ego_gather_rows(cx, stack(cx, stack(cx, moments, words), windows), order, at->rows);
}

/* ---- the Transformer ------------------------------------------------------------------------------------- */

/* A question's stream for each of its rows. */
static ego_dropout by_row(ego_ctx *cx, const places *at, ego_dropout drop) {
    if (drop.p <= 0 || !drop.streams) return (ego_dropout){0};
    uint64_t *streams = ego_ctx_alloc(cx, (size_t)at->rows * sizeof *streams);
    if (!streams) return (ego_dropout){0};
    for (int64_t i = 0; i < at->n; i++)
        for (int64_t r = at->first[i]; r < at->first[i + 1]; r++)
            streams[r] = ego_rng_stream(drop.streams[i], (uint64_t)(r - at->first[i]));
    return (ego_dropout){.p = drop.p, .streams = streams};
}

static ego_tensor *encoder(ego_ctx *cx, ego_head *head, const places *at, ego_tensor *x, ego_dropout drop) {
    const ego_qa_moments_config *c = &head->config.qa_moments;
    ego_dropout rows = by_row(cx, at, drop);
    for (int64_t i = 0; i < c->layers && x; i++) {
        ego_encoder_layer *p = &head->params.qa_moments.layer[i];
        ego_tensor *qkv = ego_dense(cx, ego_norm(cx, x, &p->norm1, 1e-5f), &p->qkv, EGO_ACT_NONE, NULL);
        ego_tensor *a = ego_attend_within(cx, qkv, c->heads, (ego_groups){at->first, at->n}, NULL);
        rows.site = 2 * (uint64_t)i + 1;
        x = ego_dense_drop_add(cx, a, &p->out, rows, x);
        ego_tensor *h = ego_dense(cx, ego_norm(cx, x, &p->norm2, 1e-5f), &p->fc1, EGO_ACT_GELU, NULL);
        rows.site++;
        x = ego_dense_drop_add(cx, h, &p->fc2, rows, x);
    }
    return x;
}

ego_tensor *ego_qa_moments_logits(ego_ctx *cx, ego_head *head, ego_model *model, ego_qa_seen seen, ego_dropout drop) {
    ego_qa_moments_params *p = &head->params.qa_moments;
    const ego_tensor *words = seen.words.rows;
    if (!words || !seen.windows) return NULL;
    places at = lay_out(cx, &head->config.qa_moments, seen.words.shape);
    if (!at.first) return NULL;
    ego_tensor *e = sought(cx, p, &at, words);
    ego_tensor *q = e ? ego_l2_normalize(cx, ego_project_text(cx, &model->config, model->params, e)) : NULL;
    ego_tensor *x = line_up(cx, &at, moments_of(cx, p, &at, q, seen.windows),
                            ego_dense(cx, words, &p->word, EGO_ACT_NONE, NULL),
                            windows_of(cx, p, &at, q, seen.windows));
    x = encoder(cx, head, &at, x, drop);
    if (!x) return NULL;
    x = ego_norm(cx, ego_gather_rows(cx, x, at.first, at.n), &p->norm, 1e-5f);
    ego_tensor *h = ego_dense(cx, x, &p->projector[0], EGO_ACT_RELU, NULL);
    drop.site = 0;
    return ego_dense(cx, ego_drop(cx, h, drop), &p->projector[1], EGO_ACT_NONE, NULL);
}

ego_err ego_qa_moments_fits(const ego_head *head, const ego_model *model) {
    const ego_qa_moments_config *c = &head->config.qa_moments;
    int64_t P = model->config.projection[model->config.projections - 1], D = model->config.dim;
    if (c->width == P && c->text == D) return EGO_OK;
    return ego_fail(EGO_EMODEL,
                    "%s: expected a head for the model's embeddings of %" PRId64 " and states of %" PRId64
                    ", found %" PRId64 " and %" PRId64,
                    head->path ? head->path : "the head", P, D, c->width, c->text);
}
