#include "task/vslnet.h"

#include "base/rng.h"

#include <string.h>

#define EPS 1e-6f     /* of every LayerNorm here */
#define MASKED -1e30f /* what a logit of padding is */

/* Each dropout draws for itself; an encoder has SITES_OF_ENCODER of them in a row. */
enum {
    SITE_VIDEO,
    SITE_CONTEXT,
    SITE_QUERY,
    SITES_OF_ENCODER = EGO_VSLNET_CONVS + 5,
    SITE_VIDEO_ENCODER = 100,
    SITE_QUERY_ENCODER = 200,
    SITE_START_ENCODER = 300,
    SITE_END_ENCODER = 400
};

/* What one pass hands down: where it computes, with what, and the rows' streams. */
typedef struct pass {
    ego_ctx *cx;
    const ego_vslnet_config *config;
    ego_vslnet_params *params;
    float dropout;
    uint64_t *streams; /* of row r, be it of the video or the query; NULL: nothing is dropped */
} pass;

static ego_dropout dropout_at(const pass *p, uint64_t site) {
    return (ego_dropout){.p = p->dropout, .streams = p->streams, .site = site};
}

static ego_tensor *drop(const pass *p, ego_tensor *x, uint64_t site) {
    return ego_drop(p->cx, x, dropout_at(p, site));
}

static ego_tensor *norm(const pass *p, const ego_tensor *x, ego_norm_params *n) {
    return ego_layer_norm(p->cx, x, &n->weight, &n->bias, EPS);
}

static ego_tensor *linear(const pass *p, const ego_tensor *x, ego_linear_params *l, ego_act act,
                          const ego_tensor *residual) {
    return ego_linear(p->cx, x, &l->weight, &l->bias, act, residual);
}

/* Rows 0, 1, … of a table, or `same` row 0 as often as is asked for. */
static int64_t *row_numbers(ego_ctx *cx, int64_t n, bool same) {
    int64_t *rows = ego_ctx_alloc(cx, (size_t)n * sizeof *rows);
    for (int64_t i = 0; rows && i < n; i++) rows[i] = same ? 0 : i;
    return rows;
}

/* To be added to n columns, of which the first `valid` count. */
static ego_tensor *column_mask(ego_ctx *cx, int64_t n, int64_t valid) {
    ego_tensor *mask = EGO_TENSOR(cx, n);
    for (int64_t i = 0; mask && i < n; i++) ego_f32(mask)[i] = i < valid ? 0 : MASKED;
    return mask;
}

/* Softmax over the first `valid` columns of x (R, C). */
static ego_tensor *masked_softmax(ego_ctx *cx, const ego_tensor *x, int64_t valid) {
    if (cx->err != EGO_OK) return NULL;
    ego_tensor *mask = column_mask(cx, ego_tensor_columns(x), valid);
    return ego_softmax(cx, ego_add_outer(cx, x, NULL, mask));
}

/* ---- the encoder ------------------------------------------------------------------------------------------ */

static ego_tensor *positioned(const pass *p, const ego_tensor *x, ego_param *table) {
    if (p->cx->err != EGO_OK) return NULL;
    int64_t rows = ego_tensor_rows(x), *numbers = row_numbers(p->cx, rows, false);
    return ego_add(p->cx, x, ego_embedding(p->cx, table, numbers, rows));
}

static ego_tensor *convolve(const pass *p, ego_tensor *x, ego_vslnet_encoder *e, uint64_t site) {
    if (p->cx->err != EGO_OK) return NULL;
    int64_t *first = ego_ctx_alloc(p->cx, 2 * sizeof *first);
    if (!first) return NULL;
    first[0] = 0;
    first[1] = ego_tensor_rows(x);
    for (int i = 0; i < EGO_VSLNET_CONVS; i++) {
        ego_tensor *y = norm(p, x, &e->conv[i].norm);
        y = ego_depthwise_conv(p->cx, y, &e->conv[i].depthwise, (ego_groups){first, 1});
        y = linear(p, y, &e->conv[i].pointwise, EGO_ACT_RELU, NULL);
        x = ego_add(p->cx, drop(p, y, site + (uint64_t)i), x);
    }
    return x;
}

/* The merged heads are not projected, as published. Keys are the first `valid` rows. */
static ego_tensor *attend(const pass *p, ego_tensor *x, int64_t valid, ego_vslnet_encoder *e,
                          uint64_t site) {
    ego_segment *all = ego_ctx_alloc(p->cx, sizeof *all);
    ego_tensor *y = drop(p, norm(p, x, &e->norm1), site);
    ego_attention_args a = {.q = linear(p, y, &e->query, EGO_ACT_NONE, NULL),
                            .k = linear(p, y, &e->key, EGO_ACT_NONE, NULL),
                            .v = linear(p, y, &e->value, EGO_ACT_NONE, NULL),
                            .heads = p->config->heads,
                            .width = p->config->dim / p->config->heads,
                            .segments = all,
                            .count = 1,
                            .drop = dropout_at(p, site + 1)};
    if (p->cx->err != EGO_OK) return NULL;
    *all =
        (ego_segment){.q_step = 1, .nq = ego_tensor_rows(x), .k_step = 1, .nk = valid, .extra = -1};
    x = ego_add(p->cx, drop(p, ego_attention(p->cx, &a), site + 2), x);
    y = drop(p, norm(p, x, &e->norm2), site + 3);
    y = linear(p, y, &e->out, EGO_ACT_NONE, NULL);
    return ego_add(p->cx, drop(p, y, site + 4), x);
}

static ego_tensor *encode(const pass *p, const ego_tensor *x, int64_t valid, ego_vslnet_encoder *e,
                          uint64_t site) {
    ego_tensor *y = convolve(p, positioned(p, x, &e->positions), e, site);
    return attend(p, y, valid, e, site + EGO_VSLNET_CONVS);
}

/* ---- video and query -------------------------------------------------------------------------------------- */

/* Video C (T, D) reads query Q (L, D) and, through it, itself. Similarities alone see dropped copies. */
static ego_tensor *read_query(const pass *p, ego_tensor *C, ego_tensor *Q, int64_t clips,
                              int64_t tokens) {
    ego_ctx *cx = p->cx;
    ego_vslnet_params *w = p->params;
    ego_tensor *c = drop(p, C, SITE_CONTEXT), *q = drop(p, Q, SITE_QUERY);
    ego_tensor *S = ego_product(cx, ego_scale_columns(cx, c, &w->attention.both), q); /* (T, L) */
    S = ego_add_outer(cx, S, ego_linear(cx, c, &w->attention.video, NULL, EGO_ACT_NONE, NULL),
                      ego_linear(cx, q, &w->attention.query, NULL, EGO_ACT_NONE, NULL));
    ego_tensor *A = masked_softmax(cx, S, tokens); /* (T, L): of each clip over the query */
    ego_tensor *B =
        masked_softmax(cx, ego_transpose(cx, S), clips); /* (L, T): of each token over the video */
    ego_tensor *to_query = ego_product(cx, A, ego_transpose(cx, Q));
    ego_tensor *of_video =
        ego_product(cx, B, ego_transpose(cx, C)); /* (L, D): what each token has found */
    ego_tensor *to_video = ego_product(cx, A, ego_transpose(cx, of_video));
    ego_tensor *both =
        ego_concat(cx, ego_concat(cx, C, to_query),
                   ego_concat(cx, ego_multiply(cx, C, to_query), ego_multiply(cx, C, to_video)));
    return linear(p, both, &w->attention.linear, EGO_ACT_NONE, NULL);
}

/* Beside each clip the one vector that the query comes to. */
static ego_tensor *append_query(const pass *p, const ego_tensor *x, const ego_tensor *Q,
                                int64_t tokens) {
    ego_ctx *cx = p->cx;
    ego_tensor *share =
        ego_transpose(cx, ego_linear(cx, Q, &p->params->pool, NULL, EGO_ACT_NONE, NULL));
    ego_tensor *pooled =
        ego_product(cx, masked_softmax(cx, share, tokens), ego_transpose(cx, Q)); /* (1, D) */
    if (cx->err != EGO_OK) return NULL;
    int64_t rows = ego_tensor_rows(x), *numbers = row_numbers(cx, rows, true);
    ego_tensor *beside = ego_concat(cx, x, ego_gather_rows(cx, pooled, numbers, rows));
    return linear(p, beside, &p->params->concat, EGO_ACT_NONE, NULL);
}

/* ---- spans ------------------------------------------------------------------------------------------------ */

static ego_tensor *span_logits(const pass *p, const ego_tensor *encoded, const ego_tensor *x,
                               int64_t clips, ego_norm_params *n, ego_linear_params block[2]) {
    ego_tensor *y =
        linear(p, ego_concat(p->cx, norm(p, encoded, n), x), &block[0], EGO_ACT_RELU, NULL);
    y = ego_transpose(p->cx, linear(p, y, &block[1], EGO_ACT_NONE, NULL));
    if (p->cx->err != EGO_OK) return NULL;
    return ego_add_outer(p->cx, y, NULL, column_mask(p->cx, ego_tensor_columns(y), clips));
}

/* One encoder, twice: the end is looked for in what the start was looked for in, encoded again. */
static void predict(const pass *p, const ego_tensor *x, int64_t clips, ego_vslnet_output *out) {
    ego_vslnet_params *w = p->params;
    ego_tensor *a = encode(p, x, clips, &w->span_encoder, SITE_START_ENCODER);
    ego_tensor *b = encode(p, a, clips, &w->span_encoder, SITE_END_ENCODER);
    out->start = span_logits(p, a, x, clips, &w->start_norm, w->start);
    out->end = span_logits(p, b, x, clips, &w->end_norm, w->end);
}

/* ---- the whole -------------------------------------------------------------------------------------------- */

static ego_err check_input(const ego_vslnet_config *c, const ego_vslnet_input *in) {
    int64_t T = ego_tensor_rows(in->video), L = ego_tensor_rows(in->query);
    if (ego_tensor_columns(in->video) != c->video_width ||
        ego_tensor_columns(in->query) != c->query_width)
        return ego_fail(
            EGO_EINPUT, "the head reads features %lld wide and words %lld wide, not %lld and %lld",
            (long long)c->video_width, (long long)c->query_width,
            (long long)ego_tensor_columns(in->video), (long long)ego_tensor_columns(in->query));
    if (T > c->positions || L > c->positions)
        return ego_fail(EGO_EINPUT, "%lld clips and %lld words: the head has %lld positions",
                        (long long)T, (long long)L, (long long)c->positions);
    if (in->clips < 1 || in->clips > T || in->tokens < 1 || in->tokens > L)
        return ego_fail(
            EGO_EINPUT,
            "%lld clips of %lld, %lld words of %lld: expected at least one, and no more",
            (long long)in->clips, (long long)T, (long long)in->tokens, (long long)L);
    return EGO_OK;
}

static uint64_t *row_streams(ego_ctx *cx, uint64_t stream, int64_t rows) {
    uint64_t *streams = ego_ctx_alloc(cx, (size_t)rows * sizeof *streams);
    for (int64_t r = 0; streams && r < rows; r++) streams[r] = ego_rng_stream(stream, (uint64_t)r);
    return streams;
}

/* How much of each clip goes on: nothing of padding. */
static ego_tensor *highlight_of(const pass *p, const ego_tensor *x, int64_t clips) {
    ego_tensor *logits = linear(p, x, &p->params->highlight, EGO_ACT_NONE, NULL); /* (T, 1) */
    if (p->cx->err != EGO_OK) return NULL;
    return ego_add_outer(p->cx, logits, column_mask(p->cx, ego_tensor_rows(x), clips), NULL);
}

ego_err ego_vslnet_forward(ego_ctx *cx, ego_head *head, const ego_vslnet_input *in,
                           ego_vslnet_output *out) {
    pass p = {.cx = cx,
              .config = &head->config.vslnet,
              .params = &head->params.vslnet,
              .dropout = in->dropout};
    EGO_TRY(ego_ctx_err(cx)); /* an input could not be made */
    EGO_TRY(check_input(p.config, in));
    int64_t T = ego_tensor_rows(in->video), L = ego_tensor_rows(in->query);
    if (in->dropout > 0) p.streams = row_streams(cx, in->stream, T > L ? T : L);

    ego_tensor *video =
        linear(&p, drop(&p, in->video, SITE_VIDEO), &p.params->video_affine, EGO_ACT_NONE, NULL);
    ego_tensor *query = linear(&p, in->query, &p.params->query_affine, EGO_ACT_NONE, NULL);
    video = encode(&p, video, in->clips, &p.params->encoder, SITE_VIDEO_ENCODER);
    query = encode(&p, query, in->tokens, &p.params->encoder, SITE_QUERY_ENCODER);

    bool small = head->kind == &ego_head_vslnet_small;
    ego_tensor *x = small ? video : read_query(&p, video, query, in->clips, in->tokens);
    x = append_query(&p, x, query, in->tokens);
    ego_tensor *highlight = highlight_of(&p, x, in->clips);
    if (small && !p.config->highlighted)
        x = video;
    else
        x = ego_scale_rows(cx, x, ego_activate(cx, highlight, EGO_ACT_SIGMOID));
    ego_vslnet_output result = {.highlight = ego_transpose(cx, highlight)};
    predict(&p, x, in->clips, &result);
    EGO_TRY(ego_ctx_err(cx));
    *out = result;
    return EGO_OK;
}

/* ---- losses ----------------------------------------------------------------------------------------------- */

ego_err ego_vslnet_loss(ego_ctx *cx, const ego_vslnet_output *output, int64_t clips,
                        ego_vslnet_span target, ego_vslnet_batch batch, ego_vslnet_losses *losses) {
    int64_t T = ego_tensor_columns(output->start);
    if (target.start < 0 || target.end < target.start || target.end >= clips)
        return ego_fail(EGO_EINPUT, "a target of clips %lld to %lld, of %lld",
                        (long long)target.start, (long long)target.end, (long long)clips);
    float *y = ego_ctx_alloc(cx, (size_t)T * sizeof *y),
          *weight = ego_ctx_alloc(cx, (size_t)T * sizeof *weight);
    int64_t *labels = ego_ctx_alloc(cx, 2 * sizeof *labels);
    EGO_TRY(ego_ctx_err(cx));
    ego_vslnet_highlight(target, clips, y);
    for (int64_t i = 0; i < T; i++) {
        if (i >= clips) y[i] = 0;
        weight[i] = i >= clips ? 0 : y[i] > 0 ? 2 : 1;
    }
    labels[0] = target.start;
    labels[1] = target.end;
    float share = (float)(1 / (double)batch.samples),
          of_clip = (float)(1 / ((double)batch.clips + 1e-12));
    losses->span = ego_add(cx, ego_cross_entropy(cx, output->start, labels, share),
                           ego_cross_entropy(cx, output->end, labels + 1, share));
    losses->highlight = ego_binary_cross_entropy(cx, output->highlight, y, weight, of_clip);
    return ego_ctx_err(cx);
}
