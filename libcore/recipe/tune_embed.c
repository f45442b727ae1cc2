#include "recipe/tune_inside.h"

#include "task/embed.h"

#include <string.h>

enum { MOST = 64 };

static size_t width_of(const ego_model *m) { return (size_t)m->config.projection[m->config.projections - 1]; }

/* As many at a time as the model works well with. */
static size_t batch_of(const ego_model *m) {
    int64_t good = ego_good_batch(m);
    return good < 1 ? 1 : good > MOST ? MOST : (size_t)good;
}

ego_err ego__tune_encode(const ego_model *m, ego_arena *arena, const char *text, size_t max_tokens,
                         ego__tune_text *out) {
    ego_tokens tokens = {0};
    ego_err err;
    size_t positions = (size_t)(m->config.max_positions - 2); /* the first two are padding's */
    if (max_tokens == 0 || max_tokens > positions) max_tokens = positions;
    EGO_TRY_OUT(ego_bpe_encode(m->bpe, text, strlen(text), max_tokens, &tokens));
    int64_t *ids = ego_arena_alloc(arena, tokens.count * sizeof *ids);
    if (!ids) EGO_TRY_OUT(ego_fail(EGO_ENOMEM, "out of memory for narrations"));
    memcpy(ids, tokens.ids, tokens.count * sizeof *ids);
    *out = (ego__tune_text){ids, tokens.count};
out:
    ego_tokens_release(&tokens);
    return err;
}

/* Computes the items and hands out one part of each as a row. */
static ego_err embed(ego_ctx *cx, ego_model *m, ego_embed_item *items, size_t n, bool video, float *const *rows) {
    static const ego_embed_options options = {.layer = EGO_LAYER_PROJECTED, .normalize = true};
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_err err = ego_embed(cx, m, &options, items, n);
    ego_ctx_rewind(cx, &mark);
    for (size_t i = 0; i < n; i++) {
        const ego_tensor *t = video ? &items[i].video : &items[i].text;
        if (err == EGO_OK) memcpy(rows[i], t->data, width_of(m) * sizeof(float));
        ego_embed_item_release(&items[i]);
    }
    return err;
}

ego_err ego__tune_embed_texts(ego_ctx *cx, ego_model *m, const ego__tune_text *texts, size_t n, float *out) {
    size_t step = batch_of(m);
    for (size_t from = 0; from < n; from += step) {
        ego_embed_item items[MOST] = {0};
        float *rows[MOST];
        size_t count = n - from < step ? n - from : step;
        for (size_t i = 0; i < count; i++) {
            items[i] = (ego_embed_item){.tokens = texts[from + i].ids, .n_tokens = texts[from + i].count};
            rows[i] = out + (from + i) * width_of(m);
        }
        EGO_TRY(embed(cx, m, items, count, false, rows));
    }
    return EGO_OK;
}

/* ---- clips --------------------------------------------------------------------------------------------- */

/* A batch in the making. */
typedef struct batch {
    ego_clip *clips[MOST];
    ego_embed_item items[MOST];
    float *rows[MOST];
    size_t count;
} batch;

static ego_err flush(ego_ctx *cx, ego_model *m, batch *b) {
    ego_err err = b->count ? embed(cx, m, b->items, b->count, true, b->rows) : EGO_OK;
    for (size_t i = 0; i < b->count; i++) ego_clip_free(b->clips[i]);
    b->count = 0;
    return err;
}

static ego_err read_all(ego_ctx *cx, ego_model *m, ego_clips *clips, ego_clip_request *requests, size_t n,
                        const ego_progress *progress, float *out, int64_t *failed, batch *b) {
    size_t asked = 0, width = width_of(m);
    for (size_t done = 0; done < n; done++) {
        ego_clip *clip;
        for (; asked < n && ego_clips_room(clips) > 0; asked++) {
            requests[asked].tag = asked;
            EGO_TRY(ego_clips_submit(clips, &requests[asked]));
        }
        if (asked == n) EGO_TRY(ego_clips_flush(clips));
        EGO_TRY(ego_clips_next(clips, &clip));
        float *row = out + clip->tag * width;
        if (clip->err == EGO_ENOMEM || clip->err == EGO_ECANCELLED) {
            ego_err err = ego_fail(clip->err, "%s", clip->message ? clip->message : "out of memory");
            ego_clip_free(clip);
            return err;
        }
        if (clip->err) {
            memset(row, 0, width * sizeof *row);
            ++*failed;
            ego_clip_free(clip);
        } else {
            b->items[b->count] = (ego_embed_item){.clip = clip->pixels};
            b->rows[b->count] = row;
            b->clips[b->count++] = clip;
        }
        if (b->count == batch_of(m)) EGO_TRY(flush(cx, m, b));
        if (!ego_progress_tell(progress, "clips", done + 1, n))
            return ego_fail(EGO_ECANCELLED, "stopped while validating");
    }
    return flush(cx, m, b);
}

ego_err ego__tune_embed_clips(ego_ctx *cx, ego_model *m, const ego_clips_options *options,
                              ego_clip_request *requests, size_t n, const ego_progress *progress, float *out,
                              int64_t *failed) {
    ego_clips_options o = *options;
    ego_clips *clips;
    batch b = {0};
    o.frames = (int)m->config.frames;
    o.size = (int)m->config.image_size;
    *failed = 0;
    EGO_TRY(ego_clips_open(&o, &clips));
    ego_err err = read_all(cx, m, clips, requests, n, progress, out, failed, &b);
    for (size_t i = 0; i < b.count; i++) ego_clip_free(b.clips[i]); /* after a failure */
    ego_clips_close(clips);
    return err;
}

void ego__tune_similarities(const float *a, const float *b, size_t n, size_t width, double *out) {
    for (size_t j = 0; j < n; j++) {
        double sum = 0;
        for (size_t k = 0; k < width; k++) sum += (double)a[k] * (double)b[j * width + k];
        out[j] = sum;
    }
}
