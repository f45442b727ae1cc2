#include "task/embed.h"

#include "model/heads.h"

#include <stdlib.h>
#include <string.h>

unsigned ego_embed_needs(const ego_embed_options *options) {
    unsigned needs = EGO_NEEDS_VIDEO | EGO_NEEDS_TEXT;
    if (options->layer == EGO_LAYER_PROJECTED)
        needs |= EGO_NEEDS_VIDEO_PROJECTION | EGO_NEEDS_TEXT_PROJECTION;
    if (options->fused) needs |= EGO_NEEDS_FUSED | EGO_NEEDS_VTM;
    return needs;
}

ego_err ego_embed_check_tokens(const ego_model *model, const int64_t *tokens, size_t n) {
    int64_t most = model->config.max_positions - 2;
    if (n == 0) return ego_fail(EGO_EINPUT, "expected at least one token, found none");
    if ((int64_t)n > most)
        return ego_fail(EGO_EINPUT, "expected at most %lld tokens, found %zu", (long long)most, n);
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || tokens[i] >= model->config.vocab)
            return ego_fail(EGO_EINPUT, "token %zu: expected an id below %lld, found %lld", i,
                            (long long)model->config.vocab, (long long)tokens[i]);
    return EGO_OK;
}

void ego_embed_item_release(ego_embed_item *item) {
    free(item->video.data);
    free(item->text.data);
    free(item->fused.data);
    item->video.data = item->text.data = item->fused.data = NULL;
}

/* ---- a batch ------------------------------------------------------------------------------------------- */

enum { MAX_BATCH = 64 };

/* Items that have what a pass needs, at most `most` of them, from *next on. */
typedef struct batch {
    ego_embed_item *item[MAX_BATCH];
    int64_t n;
} batch;

static bool take(ego_embed_item *items, size_t n, size_t *next, int64_t most, bool video, bool text,
                 batch *b) {
    b->n = 0;
    for (; *next < n && b->n < most && b->n < MAX_BATCH; ++*next) {
        ego_embed_item *it = &items[*next];
        if ((video && !it->clip) || (text && !it->tokens)) continue;
        b->item[b->n++] = it;
    }
    return b->n > 0;
}

static ego_tensor *batch_clips(ego_ctx *cx, const ego_model *m, const batch *b) {
    int64_t S = m->config.image_size;
    ego_tensor *clips = EGO_TENSOR(cx, b->n, m->config.frames, 3, S, S);
    size_t each = (size_t)(m->config.frames * 3 * S * S);
    for (int64_t i = 0; clips && i < b->n; i++)
        memcpy(ego_f32(clips) + (size_t)i * each, b->item[i]->clip, each * sizeof(float));
    return clips;
}

static ego_texts batch_texts(ego_ctx *cx, const batch *b) {
    int64_t rows = 0;
    for (int64_t i = 0; i < b->n; i++) rows += (int64_t)b->item[i]->n_tokens;
    int64_t *ids = ego_ctx_alloc(cx, (size_t)rows * sizeof *ids);
    int64_t *offsets = ego_ctx_alloc(cx, (size_t)(b->n + 1) * sizeof *offsets);
    if (!ids || !offsets) return (ego_texts){0};
    offsets[0] = 0;
    for (int64_t i = 0; i < b->n; i++) {
        memcpy(ids + offsets[i], b->item[i]->tokens, b->item[i]->n_tokens * sizeof *ids);
        offsets[i + 1] = offsets[i] + (int64_t)b->item[i]->n_tokens;
    }
    return (ego_texts){ids, {b->n, offsets}};
}

/* Copies rows [from, to) of x out of the activations: (rows, D), or (D) when class_only. */
static ego_err keep(const ego_tensor *x, int64_t from, int64_t to, bool class_only, ego_tensor *out) {
    int64_t columns = ego_tensor_columns(x);
    size_t bytes = (size_t)((to - from) * columns) * sizeof(float);
    *out = class_only ? (ego_tensor){.data = NULL, .dtype = EGO_F32, .ndim = 1, .shape = {columns}}
                      : (ego_tensor){.data = NULL, .dtype = EGO_F32, .ndim = 2, .shape = {to - from, columns}};
    if (!(out->data = malloc(bytes ? bytes : 1))) return ego_fail(EGO_ENOMEM, "out of memory");
    memcpy(out->data, ego_f32(x) + from * columns, bytes);
    return EGO_OK;
}

/* ---- the passes ----------------------------------------------------------------------------------------- */

static ego_err video_pass(ego_ctx *cx, ego_model *m, const ego_embed_options *o, const batch *b) {
    bool tokens = o->layer == EGO_LAYER_TOKENS;
    ego_input in = {.clips = batch_clips(cx, m, b), .video = tokens ? EGO_WANT_TOKENS : EGO_WANT_CLASS};
    const ego_tensor *x = in.clips ? ego_encode(cx, m, &in, EGO_DUAL).video : NULL;
    if (o->layer == EGO_LAYER_PROJECTED) x = ego_project_video(cx, &m->config, m->params, x);
    if (o->normalize) x = ego_l2_normalize(cx, x);
    EGO_TRY(ego_ctx_err(cx));
    int64_t each = tokens ? ego_config_tokens(&m->config, m->config.frames) : 1;
    for (int64_t i = 0; i < b->n; i++)
        EGO_TRY(keep(x, i * each, (i + 1) * each, !tokens, &b->item[i]->video));
    return EGO_OK;
}

static ego_err text_pass(ego_ctx *cx, ego_model *m, const ego_embed_options *o, const batch *b) {
    bool tokens = o->layer == EGO_LAYER_TOKENS;
    ego_input in = {.texts = batch_texts(cx, b), .text = tokens ? EGO_WANT_TOKENS : EGO_WANT_CLASS};
    const ego_tensor *x = ego_encode(cx, m, &in, EGO_DUAL).text;
    if (o->layer == EGO_LAYER_PROJECTED) x = ego_project_text(cx, &m->config, m->params, x);
    if (o->normalize) x = ego_l2_normalize(cx, x);
    EGO_TRY(ego_ctx_err(cx));
    const int64_t *at = in.texts.shape.offsets;
    for (int64_t i = 0; i < b->n; i++)
        EGO_TRY(keep(x, tokens ? at[i] : i, tokens ? at[i + 1] : i + 1, !tokens, &b->item[i]->text));
    return EGO_OK;
}

static ego_err fused_pass(ego_ctx *cx, ego_model *m, const ego_embed_options *o, const batch *b) {
    ego_input in = {.clips = batch_clips(cx, m, b),
                    .texts = batch_texts(cx, b),
                    .video = EGO_WANT_CLASS,
                    .text = EGO_WANT_CLASS};
    EGO_TRY(ego_ctx_err(cx));
    ego_states s = ego_encode(cx, m, &in, EGO_FUSED);
    ego_tensor *p = ego_softmax(cx, ego_match_logits(cx, m->params, s.text, s.video));
    const ego_tensor *x = o->normalize ? ego_l2_normalize(cx, s.video) : s.video;
    EGO_TRY(ego_ctx_err(cx));
    for (int64_t i = 0; i < b->n; i++) {
        b->item[i]->match = ego_f32(p)[2 * i + 1];
        EGO_TRY(keep(x, i, i + 1, true, &b->item[i]->fused));
    }
    return EGO_OK;
}

typedef ego_err pass(ego_ctx *cx, ego_model *m, const ego_embed_options *o, const batch *b);

static ego_err run_pass(ego_ctx *cx, ego_model *m, const ego_embed_options *o, ego_embed_item *items,
                        size_t n, int64_t most, bool video, bool text, pass *run) {
    batch b;
    for (size_t next = 0; take(items, n, &next, most, video, text, &b);) {
        ego_ctx_mark mark = ego_ctx_save(cx);
        ego_err err = run(cx, m, o, &b);
        ego_ctx_rewind(cx, &mark);
        EGO_TRY(err);
    }
    return EGO_OK;
}

ego_err ego_embed(ego_ctx *cx, ego_model *m, const ego_embed_options *o, ego_embed_item *items,
                  size_t n) {
    int64_t clips = ego_good_batch(m);
    ego_err err = run_pass(cx, m, o, items, n, clips, true, false, video_pass);
    if (err == EGO_OK) err = run_pass(cx, m, o, items, n, MAX_BATCH, false, true, text_pass);
    if (err == EGO_OK && o->fused)
        err = run_pass(cx, m, o, items, n, clips, true, true, fused_pass);
    for (size_t i = 0; err != EGO_OK && i < n; i++) ego_embed_item_release(&items[i]);
    return err;
}
