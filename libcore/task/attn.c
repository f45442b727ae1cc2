#include "task/attn.h"

#include "task/embed.h"
#include "tensor/backend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- which layers there are ------------------------------------------------------------------ */

static bool meets(const ego_config *c) {
    return (c->fusion == EGO_FUSION_BACKBONE || c->fusion == EGO_FUSION_STACKED) &&
           c->fuse_layers > 0;
}

/* The number of the first layer with cross-attention. */
static int64_t first_layer(const ego_config *c) {
    return c->fusion == EGO_FUSION_STACKED ? c->depth : c->depth - c->fuse_layers;
}

ego_err ego_attn_check(const ego_config *c, const ego_attn_options *o) {
    if (!meets(c))
        return ego_fail(EGO_EUNSUPPORTED,
                        "the model has no cross-attention to look at: expected fusion backbone or "
                        "stacked in at least one layer");
    int64_t first = first_layer(c), last = first + c->fuse_layers - 1;
    if (o->layer != -1 && (o->layer < first || o->layer > last))
        return ego_fail(EGO_EINPUT, "layer: cross-attention is in layers %lld to %lld, found %lld",
                        (long long)first, (long long)last, (long long)o->layer);
    if (o->head < -1 || o->head >= c->heads)
        return ego_fail(EGO_EINPUT, "head: expected 0 to %lld, found %lld", (long long)c->heads - 1,
                        (long long)o->head);
    return EGO_OK;
}

/* ---- the observer ---------------------------------------------------------------------------- */

/* One direction of one layer: the weights that make its queries and keys, what they made, and where
 * the map of them goes. */
typedef struct crossing {
    const ego_param *query, *key;
    const ego_tensor *q, *k;
    int64_t nq, nk;
    float *map; /* (H, nq, nk) */
    bool done;
} crossing;

typedef struct observer {
    ego_backend backend; /* what operations call; first, so that it is the observer, too */
    ego_backend *real;
    int64_t width, first_head, heads;
    crossing *crossings;
    int64_t count;
    double *row; /* room for the longest row of a map */
} observer;

/* softmax(q·kᵀ/√d) of one head. */
static void make_map(const observer *o, const crossing *c, int64_t head, float *map) {
    int64_t column = head * o->width, q_step = ego_tensor_columns(c->q),
            k_step = ego_tensor_columns(c->k);
    double scale = 1 / sqrt((double)o->width);
    for (int64_t r = 0; r < c->nq; r++) {
        const float *q = ego_f32(c->q) + r * q_step + column;
        double most = -INFINITY, sum = 0;
        for (int64_t j = 0; j < c->nk; j++) {
            const float *k = ego_f32(c->k) + j * k_step + column;
            double score = 0;
            for (int64_t d = 0; d < o->width; d++) score += (double)q[d] * (double)k[d];
            o->row[j] = score * scale;
            if (o->row[j] > most) most = o->row[j];
        }
        for (int64_t j = 0; j < c->nk; j++) sum += o->row[j] = exp(o->row[j] - most);
        for (int64_t j = 0; j < c->nk; j++) map[r * c->nk + j] = (float)(o->row[j] / sum);
    }
}

static ego_err hand_on(ego_backend *backend, const ego_call *call) {
    ego_backend *real = ((observer *)(void *)backend)->real;
    return real->forward[call->op](real, call);
}

static ego_err observe_linear(ego_backend *backend, const ego_call *call) {
    observer *o = (observer *)(void *)backend;
    EGO_TRY(hand_on(backend, call));
    for (int64_t i = 0; i < o->count; i++) {
        crossing *c = &o->crossings[i];
        if (call->param[0] == c->query) c->q = call->out;
        if (call->param[0] == c->key) c->k = call->out;
        if (!c->q || !c->k || c->done) continue;
        for (int64_t h = 0; h < o->heads; h++)
            make_map(o, c, o->first_head + h, c->map + h * c->nq * c->nk);
        c->done = true;
    }
    return EGO_OK;
}

static void hand_on_forget(ego_backend *backend, ego_param *param) {
    ego_backend *real = ((observer *)(void *)backend)->real;
    real->forget(real, param);
}

/* A forward pass calls nothing else of a backend. */
static void observe(observer *o, ego_backend *real) {
    o->real = real;
    o->backend = *real;
    for (int op = 0; op < EGO_OP_COUNT; op++) o->backend.forward[op] = hand_on;
    o->backend.forward[EGO_OP_linear] = observe_linear;
    o->backend.chain = ego_backend_in_turn;
    o->backend.forget = hand_on_forget;
}

/* ---- computing ------------------------------------------------------------------------------- */

/* The two crossings of layer i of the kept ones, and their gates. */
static void describe(const ego_model *m, const ego_attn *a, int64_t i, crossing *text,
                     crossing *video) {
    int64_t layer = a->first_layer + i, HWT = a->heads * a->words * a->tokens;
    *text = (crossing){.nq = a->words, .nk = a->tokens, .map = a->text_to_video + i * HWT};
    *video = (crossing){.nq = a->tokens, .nk = a->words, .map = a->video_to_text + i * HWT};
    if (m->config.fusion == EGO_FUSION_STACKED) {
        const ego_stacked_layer *t = &m->params->stack.text[layer - m->config.depth];
        const ego_stacked_layer *v = &m->params->stack.video[layer - m->config.depth];
        text->query = &t->cross_q.weight, text->key = &t->cross_kv.weight;
        video->query = &v->cross_q.weight, video->key = &v->cross_kv.weight;
        a->text_gate[i] = a->video_gate[i] = 1;
    } else {
        const ego_text_layer *t = &m->params->text.layers[layer];
        const ego_video_block *v = &m->params->video.blocks[layer];
        float gates[2];
        text->query = &t->cross_query.weight, text->key = &t->cross_key.weight;
        video->query = &v->cross_q.weight, video->key = &v->cross_kv.weight;
        ego_to_f32(t->gate.value.data, t->gate.value.dtype, &gates[0], 1);
        ego_to_f32(v->gate.value.data, v->gate.value.dtype, &gates[1], 1);
        a->text_gate[i] = (double)gates[0];
        a->video_gate[i] = (double)gates[1];
    }
}

static ego_err make_room(const ego_model *m, const ego_attn_options *o, size_t n_tokens,
                         ego_attn *a) {
    const ego_config *c = &m->config;
    int64_t side = c->image_size / c->patch;
    *a = (ego_attn){.layers = o->layer < 0 ? c->fuse_layers : 1,
                    .first_layer = o->layer < 0 ? first_layer(c) : o->layer,
                    .heads = o->head < 0 ? c->heads : 1,
                    .first_head = o->head < 0 ? 0 : o->head,
                    .words = (int64_t)n_tokens,
                    .tokens = ego_config_tokens(c, c->frames),
                    .frames = c->frames,
                    .rows = side,
                    .columns = side};
    int64_t shape[] = {a->layers, a->heads, a->words, a->tokens};
    size_t bytes;
    if (!ego_shape_bytes(shape, 4, EGO_F32, &bytes))
        return ego_fail(EGO_ENOMEM, "the maps are too large");
    a->text_to_video = malloc(bytes);
    a->video_to_text = malloc(bytes);
    a->text_gate = calloc((size_t)a->layers, sizeof *a->text_gate);
    a->video_gate = calloc((size_t)a->layers, sizeof *a->video_gate);
    if (a->text_to_video && a->video_to_text && a->text_gate && a->video_gate) return EGO_OK;
    return ego_fail(EGO_ENOMEM, "out of memory for maps of %zu bytes", 2 * bytes);
}

/* The fused pass, watched. */
static ego_err run(ego_ctx *cx, ego_model *m, const float *clip, const int64_t *ids, observer *o,
                   int64_t n_tokens) {
    int64_t F = m->config.frames, S = m->config.image_size, offsets[] = {0, n_tokens};
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_backend *real = cx->backend;
    ego_tensor *clips = EGO_TENSOR(cx, 1, F, 3, S, S);
    if (clips) memcpy(clips->data, clip, (size_t)(F * 3 * S * S) * sizeof *clip);
    ego_input input = {
        clips, {ids, {.n = 1, .offsets = offsets}}, EGO_WANT_TOKENS, EGO_WANT_TOKENS};
    observe(o, real);
    cx->backend = &o->backend;
    if (clips) ego_encode(cx, m, &input, EGO_FUSED);
    cx->backend = real;
    ego_err err = ego_ctx_err(cx);
    ego_ctx_rewind(cx, &mark);
    return err;
}

ego_err ego_attn_compute(ego_ctx *cx, ego_model *m, const float *clip, const int64_t *tokens,
                         size_t n_tokens, const ego_attn_options *options, ego_attn *out) {
    EGO_TRY(ego_attn_check(&m->config, options));
    EGO_TRY(ego_embed_check_tokens(m, tokens, n_tokens));
    ego_attn a = {0};
    observer o = {.width = ego_config_head_width(&m->config)};
    ego_err err;
    EGO_TRY_OUT(make_room(m, options, n_tokens, &a));
    o.heads = a.heads, o.first_head = a.first_head, o.count = 2 * a.layers;
    o.crossings = calloc((size_t)o.count, sizeof *o.crossings);
    o.row = calloc((size_t)(a.tokens > a.words ? a.tokens : a.words), sizeof *o.row);
    if (!o.crossings || !o.row) EGO_TRY_OUT(ego_fail(EGO_ENOMEM, "out of memory for the maps"));
    for (int64_t i = 0; i < a.layers; i++)
        describe(m, &a, i, &o.crossings[2 * i], &o.crossings[2 * i + 1]);
    EGO_TRY_OUT(run(cx, m, clip, tokens, &o, a.words));
    for (int64_t i = 0; i < o.count; i++)
        if (!o.crossings[i].done)
            EGO_TRY_OUT(ego_fail(EGO_EUNSUPPORTED, "layer %lld attended to nothing",
                                 (long long)(a.first_layer + i / 2)));
    *out = a;
    a = (ego_attn){0};
out:
    ego_attn_release(&a);
    free(o.crossings);
    free(o.row);
    return err;
}

void ego_attn_release(ego_attn *a) {
    free(a->text_to_video);
    free(a->video_to_text);
    free(a->text_gate);
    free(a->video_gate);
    *a = (ego_attn){0};
}

/* ---- words, means ---------------------------------------------------------------------------- */

/* In place: what is written never passes what is still to be read, for a word has at least one
 * token. */
static void join_rows(float *map, int64_t columns, const ego_words *words, float *to) {
    for (size_t w = 0; w < words->n; w++) {
        const ego_word *word = &words->at[w];
        double n = (double)(word->end - word->first);
        for (int64_t c = 0; c < columns; c++) {
            double sum = 0;
            for (size_t i = word->first; i < word->end; i++)
                sum += (double)map[(int64_t)i * columns + c];
            to[(int64_t)w * columns + c] = (float)(sum / n);
        }
    }
}

static void join_columns(const float *row, const ego_words *words, float *to) {
    for (size_t w = 0; w < words->n; w++) {
        double sum = 0;
        for (size_t i = words->at[w].first; i < words->at[w].end; i++) sum += (double)row[i];
        to[w] = (float)sum;
    }
}

void ego_attn_join(ego_attn *a, const ego_words *words) {
    int64_t maps = a->layers * a->heads, W = (int64_t)words->n;
    for (int64_t i = 0; i < maps; i++) {
        join_rows(a->text_to_video + i * a->words * a->tokens, a->tokens, words,
                  a->text_to_video + i * W * a->tokens);
        for (int64_t t = i * a->tokens; t < (i + 1) * a->tokens; t++)
            join_columns(a->video_to_text + t * a->words, words, a->video_to_text + t * W);
    }
    a->words = W;
}

/* The mean over layers and heads of row r of maps (·, R, C). */
static void mean_row(const ego_attn *a, const float *maps, int64_t R, int64_t C, int64_t r,
                     double *mean) {
    int64_t n = a->layers * a->heads;
    for (int64_t c = 0; c < C; c++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += (double)maps[(i * R + r) * C + c];
        mean[c] = sum / (double)n;
    }
}

void ego_attn_of_word(const ego_attn *a, int64_t word, double *weights) {
    mean_row(a, a->text_to_video, a->words, a->tokens, word, weights);
}

void ego_attn_of_class(const ego_attn *a, double *weights) {
    mean_row(a, a->video_to_text, a->tokens, a->words, 0, weights);
}
