/* The public interface: each function one short path through the rooms below. */
#include "ego.h"

#include "base/provenance.h"
#include "data/clips.h"
#include "media/prepare.h"
#include "task/embed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ego {
    ego_pool *pool;
    ego_backend *backend;
    ego_model *model;
    ego_ctx cx;
};

ego_err ego_open(const char *path, const ego_settings *settings, ego **out) {
    static const ego_settings none = {0};
    if (!settings) settings = &none;
    ego *e = calloc(1, sizeof *e);
    if (!e) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_embed_options dual = {.layer = EGO_LAYER_PROJECTED};
    ego_model_options options = {.tokenizer = settings->tokenizer,
                                 .frames = settings->frames,
                                 .needs = ego_embed_needs(&dual)};
    ego_err err = ego_pool_new(settings->threads, &e->pool);
    if (err == EGO_OK) err = ego_cpu_backend_new(e->pool, &e->backend);
    if (err == EGO_OK) ego_ctx_init(&e->cx, e->backend);
    if (err == EGO_OK) err = ego_model_open(path, &options, &e->model);
    if (err != EGO_OK) {
        ego_close(e);
        return err;
    }
    *out = e;
    return EGO_OK;
}

void ego_close(ego *e) {
    if (!e) return;
    ego_model_close(e->model, e->backend);
    ego_ctx_release(&e->cx);
    ego_backend_free(e->backend);
    ego_pool_free(e->pool);
    free(e);
}

size_t ego_dimension(const ego *e) {
    const ego_config *c = &e->model->config;
    return (size_t)c->projection[c->projections - 1];
}

int64_t ego_frames(const ego *e) { return e->model->config.frames; }
int64_t ego_image_size(const ego *e) { return e->model->config.image_size; }
ego_err ego_name(ego *e, const char **name) { return ego_model_id(e->model, name); }

static ego_err encode(ego *e, const char *text, ego_tokens *tokens) {
    if (!e->model->bpe)
        return ego_fail(EGO_EINPUT, "the model has no vocabulary: name a tokenizer in the settings");
    return ego_bpe_encode(e->model->bpe, text, strlen(text),
                          (size_t)e->model->config.max_positions - 2, tokens);
}

static ego_err read_clip(ego *e, const char *video, double start, double end, ego_clip **clip) {
    const ego_config *c = &e->model->config;
    ego_clips *clips;
    EGO_TRY(ego_clips_open(&(ego_clips_options){.frames = (int)c->frames,
                                                .size = (int)c->image_size,
                                                .preparation = EGO_PREPARE_STANDARD,
                                                .window = 1},
                           &clips));
    ego_err err = ego_clips_submit(clips, &(ego_clip_request){.video = video,
                                                              .whole = !(end > start),
                                                              .start = start,
                                                              .end = end});
    if (err == EGO_OK) err = ego_clips_flush(clips);
    if (err == EGO_OK) err = ego_clips_next(clips, clip);
    ego_clips_close(clips);
    if (err == EGO_OK && (*clip)->err != EGO_OK) {
        err = ego_fail((*clip)->err, "%s", (*clip)->message ? (*clip)->message : "");
        ego_clip_free(*clip);
    }
    return err;
}

static ego_err embed_one(ego *e, ego_embed_item *item, float *out) {
    ego_embed_options dual = {.layer = EGO_LAYER_PROJECTED, .normalize = true};
    EGO_TRY(ego_embed(&e->cx, e->model, &dual, item, 1));
    memcpy(out, item->clip ? item->video.data : item->text.data, ego_dimension(e) * sizeof *out);
    ego_embed_item_release(item);
    return EGO_OK;
}

ego_err ego_text_embedding(ego *e, const char *text, float *out) {
    ego_tokens tokens = {0};
    ego_err err = encode(e, text, &tokens);
    ego_embed_item item = {.tokens = tokens.ids, .n_tokens = tokens.count};
    if (err == EGO_OK) err = embed_one(e, &item, out);
    ego_tokens_release(&tokens);
    return err;
}

ego_err ego_clip_embedding(ego *e, const char *video, double start, double end, float *out) {
    ego_clip *clip;
    EGO_TRY(read_clip(e, video, start, end, &clip));
    ego_err err = embed_one(e, &(ego_embed_item){.clip = clip->pixels}, out);
    ego_clip_free(clip);
    return err;
}

ego_err ego_frames_embedding(ego *e, const uint8_t *rgb, int width, int height, float *out) {
    const ego_config *c = &e->model->config;
    if (width < 1 || height < 1 || width > 1 << 15 || height > 1 << 15)
        return ego_fail(EGO_EINPUT, "expected pictures of 1 to 32768 pixels a side, found %d x %d", width,
                        height);
    ego_preparer *preparer;
    EGO_TRY(ego_preparer_new(EGO_PREPARE_STANDARD, (int)c->image_size, &preparer));
    size_t floats = ego_prepared_floats(preparer), bytes = (size_t)width * (size_t)height * 3;
    float *pixels = malloc(floats * (size_t)c->frames * sizeof *pixels);
    ego_err err = pixels ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory");
    for (int64_t f = 0; err == EGO_OK && f < c->frames; f++) {
        ego_image image = {.width = width,
                           .height = height,
                           .rgb = (uint8_t *)(uintptr_t)(rgb + (size_t)f * bytes)};
        err = ego_prepare(preparer, &image, pixels + (size_t)f * floats);
    }
    if (err == EGO_OK) err = embed_one(e, &(ego_embed_item){.clip = pixels}, out);
    free(pixels);
    ego_preparer_free(preparer);
    return err;
}

float ego_cosine(const float *a, const float *b, size_t n) {
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return (float)(dot / (fmax(sqrt(aa), 1e-8) * fmax(sqrt(bb), 1e-8)));
}

ego_err ego_match_probability(ego *e, const char *video, double start, double end, const char *text,
                              float *probability) {
    EGO_TRY(ego_model_require(e->model, EGO_NEEDS_FUSED | EGO_NEEDS_VTM));
    ego_tokens tokens = {0};
    ego_clip *clip = NULL;
    ego_err err = encode(e, text, &tokens);
    if (err == EGO_OK) err = read_clip(e, video, start, end, &clip);
    if (err == EGO_OK) {
        ego_embed_options fused = {.layer = EGO_LAYER_BACKBONE, .fused = true};
        ego_embed_item item = {
            .clip = clip->pixels, .tokens = tokens.ids, .n_tokens = tokens.count};
        err = ego_embed(&e->cx, e->model, &fused, &item, 1);
        if (err == EGO_OK) *probability = item.match;
        ego_embed_item_release(&item);
        ego_clip_free(clip);
    }
    ego_tokens_release(&tokens);
    return err;
}
