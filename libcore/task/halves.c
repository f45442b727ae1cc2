#include "task/halves.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/rng.h"
#include "model/heads.h"
#include "task/embed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1 << 14 };

struct ego_halves {
    ego_ctx *cx;
    ego_model *model;
    unsigned wanted;
    ego_halves_options options;
    ego_clips *clips; /* NULL: texts alone */
    ego_halves_counts counts;
    ego_buf name; /* of what is asked for */
    size_t used;  /* bytes, of options.memory */
    ego_half *newest, *oldest; /* by last use */
    ego_half *bucket[BUCKETS];
};

unsigned ego_halves_needs(unsigned wanted) {
    const unsigned dual = EGO_NEEDS_VIDEO | EGO_NEEDS_TEXT | EGO_NEEDS_VIDEO_PROJECTION |
                          EGO_NEEDS_TEXT_PROJECTION;
    return (wanted & EGO_HALF_EMBEDDING ? dual : 0u) |
           (wanted & EGO_HALF_LOWER ? EGO_NEEDS_FUSED : 0u);
}

ego_err ego_halves_open(ego_ctx *cx, ego_model *model, unsigned wanted,
                        const ego_halves_options *options, ego_halves **halves) {
    size_t positions = (size_t)model->config.max_positions - 2;
    ego_halves *h = calloc(1, sizeof *h);
    if (!h) return ego_fail(EGO_ENOMEM, "out of memory");
    *h = (ego_halves){.cx = cx, .model = model, .wanted = wanted, .options = *options};
    if (!h->options.memory) h->options.memory = (size_t)512 << 20;
    if (!h->options.max_tokens || h->options.max_tokens > positions)
        h->options.max_tokens = positions;
    ego_err err = options->clips.frames ? ego_clips_open(&options->clips, &h->clips) : EGO_OK;
    if (err == EGO_OK)
        *halves = h;
    else
        ego_halves_close(h);
    return err;
}

static void free_half(ego_half *half) {
    free(half->name);
    free(half->embedding.data);
    free(half->lower.data);
    free(half->message);
    free(half);
}

void ego_halves_close(ego_halves *h) {
    if (!h) return;
    ego_clips_close(h->clips);
    for (ego_half *half = h->newest, *older; half; half = older) {
        older = half->older;
        free_half(half);
    }
    ego_buf_release(&h->name);
    free(h);
}

size_t ego_halves_window(const ego_halves *h, size_t clips, size_t most) {
    const ego_config *c = &h->model->config;
    size_t each = (size_t)(ego_config_tokens(c, c->frames) * c->dim) * sizeof(float);
    size_t n = h->options.memory / 2 / (each * (clips ? clips : 1));
    return n < 1 ? 1 : n > most ? most : n;
}

ego_halves_counts ego_halves_get_counts(const ego_halves *h) {
    ego_halves_counts counts = h->counts;
    if (h->clips) counts.reading = ego_clips_get_counts(h->clips);
    return counts;
}

/* ---- by name, within the budget -------------------------------------------------------------- */

static void unlink_half(ego_halves *h, ego_half *half) {
    *(half->newer ? &half->newer->older : &h->newest) = half->older;
    *(half->older ? &half->older->newer : &h->oldest) = half->newer;
}

static void link_newest(ego_halves *h, ego_half *half) {
    half->newer = NULL;
    half->older = h->newest;
    *(h->newest ? &h->newest->newer : &h->oldest) = half;
    h->newest = half;
}

static ego_half **bucket_of(ego_halves *h, const char *name) {
    return &h->bucket[ego_fnv1a(name) % BUCKETS];
}

/* The half that h->name names, held once more; a new one is empty, and *fresh says so. */
static ego_err hold(ego_halves *h, ego_half **out, bool *fresh) {
    EGO_TRY(ego_buf_err(&h->name));
    ego_half **bucket = bucket_of(h, h->name.data), *half = *bucket;
    while (half && strcmp(half->name, h->name.data) != 0) half = half->next;
    *fresh = !half;
    if (half) {
        unlink_half(h, half);
    } else {
        half = calloc(1, sizeof *half);
        if (!half || !(half->name = strdup(h->name.data)))
            return free(half), ego_fail(EGO_ENOMEM, "out of memory");
        half->next = *bucket;
        *bucket = half;
    }
    link_newest(h, half);
    half->holds++;
    *out = half;
    return EGO_OK;
}

static void forget(ego_halves *h, ego_half *half) {
    ego_half **at = bucket_of(h, half->name);
    while (*at != half) at = &(*at)->next;
    *at = half->next;
    unlink_half(h, half);
    h->used -= half->bytes;
    free_half(half);
}

void ego_halves_drop(ego_halves *h, ego_half *half) {
    if (half) half->holds--;
    for (ego_half *at = h->oldest, *newer; at && h->used > h->options.memory; at = newer) {
        newer = at->newer;
        if (at->holds == 0) forget(h, at);
    }
}

/* Copies an activation; NULL: not wanted. */
static ego_err keep(ego_halves *h, ego_half *half, const ego_tensor *x, ego_tensor *copy) {
    if (!x) return EGO_OK;
    size_t bytes = (size_t)ego_tensor_count(x) * sizeof(float);
    void *data = malloc(bytes ? bytes : 1);
    if (!data) return ego_fail(EGO_ENOMEM, "out of memory for %zu bytes", bytes);
    memcpy(data, x->data, bytes);
    *copy = (ego_tensor){data, EGO_F32, 2, {ego_tensor_rows(x), ego_tensor_columns(x)}};
    half->bytes += bytes;
    h->used += bytes;
    return EGO_OK;
}

/* ---- computing one --------------------------------------------------------------------------- */

/* The fault of a clip or text stays with it. */
static ego_err settle(ego_half *half, ego_err err) {
    half->err = err;
    if (err != EGO_OK) half->message = strdup(ego_err_message());
    return err == EGO_ENOMEM ? err : EGO_OK;
}

ego_err ego_half_err(const ego_half *half) {
    if (half->err == EGO_OK) return EGO_OK;
    return ego_fail(half->err, "%s", half->message ? half->message : "out of memory");
}

static ego_err keep_both(ego_halves *h, ego_half *half, const ego_tensor *embedding,
                         const ego_tensor *lower) {
    EGO_TRY(ego_ctx_err(h->cx));
    EGO_TRY(keep(h, half, embedding, &half->embedding));
    return keep(h, half, lower, &half->lower);
}

static void exchange(float *a, float *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

/* What is random about a clip comes from this. */
static uint64_t stream_of(const ego_halves *h, const char *name) {
    return ego_rng_stream(h->options.seed, ego_fnv1a(name));
}

/* Puts the frames of a clip (F, 3, S, S) into the order asked for. */
static void reorder(const ego_halves *h, const char *name, float *pixels) {
    const ego_config *c = &h->model->config;
    size_t frame = (size_t)(3 * c->image_size * c->image_size), F = (size_t)c->frames;
    uint64_t stream = stream_of(h, name);
    if (h->options.order == EGO_FRAMES_REVERSED)
        for (size_t i = 0; i < F / 2; i++)
            exchange(pixels + i * frame, pixels + (F - 1 - i) * frame, frame);
    if (h->options.order == EGO_FRAMES_SHUFFLED)
        for (size_t i = F - 1; i > 0; i--) {
            size_t j = ego_rng_below(stream, i, (uint32_t)i + 1);
            if (j != i) exchange(pixels + i * frame, pixels + j * frame, frame);
        }
}

static ego_err compute_clip(ego_halves *h, ego_half *half, float *pixels) {
    ego_ctx *cx = h->cx;
    ego_model *m = h->model;
    const ego_config *c = &m->config;
    const ego_tensor *embedding = NULL, *lower = NULL;
    reorder(h, half->name, pixels);
    ego_tensor clip = {pixels, EGO_F32, 5, {1, c->frames, 3, c->image_size, c->image_size}};
    ego_ctx_mark mark = ego_ctx_save(cx);
    if (h->wanted & EGO_HALF_EMBEDDING) {
        ego_input in = {.clips = &clip, .video = EGO_WANT_CLASS};
        embedding = ego_project_video(cx, c, m->params, ego_encode(cx, m, &in, EGO_DUAL).video);
        embedding = ego_l2_normalize(cx, embedding);
    }
    if (h->wanted & EGO_HALF_LOWER) lower = ego_fused_begin_video(cx, m, &clip);
    ego_err err = keep_both(h, half, embedding, lower);
    ego_ctx_rewind(cx, &mark);
    h->counts.clips++;
    return err;
}

static ego_err compute_tokens(ego_halves *h, ego_half *half, const ego_tokens *tokens) {
    ego_ctx *cx = h->cx;
    ego_model *m = h->model;
    const int64_t offsets[2] = {0, (int64_t)tokens->count};
    ego_texts texts = {tokens->ids, {1, offsets}};
    const ego_tensor *embedding = NULL, *lower = NULL;
    ego_ctx_mark mark = ego_ctx_save(cx);
    if (h->wanted & EGO_HALF_EMBEDDING) {
        ego_input in = {.texts = texts, .text = EGO_WANT_CLASS};
        embedding = ego_encode(cx, m, &in, EGO_DUAL).text;
        embedding = ego_l2_normalize(cx, ego_project_text(cx, &m->config, m->params, embedding));
    }
    if (h->wanted & EGO_HALF_LOWER) lower = ego_fused_begin_text(cx, m, texts);
    ego_err err = keep_both(h, half, embedding, lower);
    ego_ctx_rewind(cx, &mark);
    h->counts.texts++;
    return err;
}

/* The caller releases the tokens, whatever comes back. */
static ego_err encode(const ego_halves *h, const char *text, ego_tokens *tokens) {
    const ego_model *m = h->model;
    if (!m->bpe) return ego_fail(EGO_EINPUT, "the model has no vocabulary: give --tokenizer DIR");
    EGO_TRY(ego_bpe_encode(m->bpe, text, strlen(text), h->options.max_tokens, tokens));
    return ego_embed_check_tokens(m, tokens->ids, tokens->count);
}

static ego_err compute_text(ego_halves *h, ego_half *half, const char *text) {
    ego_tokens tokens = {0};
    ego_err err = encode(h, text, &tokens);
    if (err == EGO_OK) err = compute_tokens(h, half, &tokens);
    ego_tokens_release(&tokens);
    return err;
}

/* ---- asking ---------------------------------------------------------------------------------- */

ego_err ego_halves_text(ego_halves *h, const char *text, ego_half **half) {
    bool fresh;
    ego_buf_clear(&h->name);
    ego_buf_printf(&h->name, "text %s", text);
    EGO_TRY(hold(h, half, &fresh));
    return fresh ? settle(*half, compute_text(h, *half, text)) : EGO_OK;
}

/* Takes the first of the clips that were asked for; the next are read while it is computed. */
static ego_err take_clip(ego_halves *h) {
    ego_clip *clip;
    EGO_TRY(ego_clips_next(h->clips, &clip));
    ego_half *half = (ego_half *)(uintptr_t)clip->tag;
    ego_err err = clip->err;
    if (err == EGO_OK)
        err = compute_clip(h, half, clip->pixels);
    else
        ego_fail(err, "%s", clip->message ? clip->message : "");
    ego_clip_free(clip);
    return settle(half, err);
}

ego_err ego_halves_clip(ego_halves *h, const ego_video_part *part, ego_half **half) {
    bool fresh, whole = isnan(part->start);
    ego_buf_clear(&h->name);
    if (whole)
        ego_buf_printf(&h->name, "clip %s", part->video);
    else
        ego_buf_printf(&h->name, "clip %a %a %s", part->start, part->end, part->video);
    EGO_TRY(hold(h, half, &fresh));
    if (!fresh) return EGO_OK;
    while (!ego_clips_room(h->clips)) EGO_TRY(take_clip(h));
    return ego_clips_submit(
        h->clips, &(ego_clip_request){.video = part->video,
                                      .whole = whole,
                                      .start = part->start,
                                      .end = part->end,
                                      .tag = (uint64_t)(uintptr_t)*half,
                                      .draw = h->options.clips.sampling == EGO_SAMPLING_TASKQA,
                                      .stream = stream_of(h, (*half)->name)});
}

ego_err ego_halves_compute(ego_halves *h) {
    EGO_TRY(ego_clips_flush(h->clips));
    while (ego_clips_outstanding(h->clips)) EGO_TRY(take_clip(h));
    return EGO_OK;
}

/* ---- pairs ----------------------------------------------------------------------------------- */

ego_lower ego_lower_stack(ego_ctx *cx, const ego_tensor *const *each, int64_t n) {
    int64_t *offsets = ego_ctx_alloc(cx, (size_t)(n + 1) * sizeof *offsets);
    if (!offsets) return (ego_lower){0};
    int64_t D = ego_tensor_columns(each[0]);
    offsets[0] = 0;
    for (int64_t i = 0; i < n; i++) offsets[i + 1] = offsets[i] + ego_tensor_rows(each[i]);
    ego_tensor *rows = EGO_TENSOR(cx, offsets[n], D);
    for (int64_t i = 0; rows && i < n; i++)
        memcpy(ego_f32(rows) + offsets[i] * D, each[i]->data,
               (size_t)ego_tensor_count(each[i]) * sizeof(float));
    return (ego_lower){rows, {n, offsets}};
}

ego_lower ego_lower_repeat(ego_ctx *cx, const ego_tensor *one, int64_t n) {
    const ego_tensor **each = ego_ctx_alloc(cx, (size_t)n * sizeof *each);
    for (int64_t i = 0; each && i < n; i++) each[i] = one;
    return each ? ego_lower_stack(cx, each, n) : (ego_lower){0};
}

/* The texts' ids one behind the other, as operations of `cx` read them. */
static ego_err line_up(const ego_halves *h, ego_ctx *cx, const char *const *texts, int64_t n, ego_texts *out) {
    size_t most = h->options.max_tokens, count = 0;
    int64_t *ids = ego_ctx_alloc(cx, (size_t)n * most * sizeof *ids);
    int64_t *offsets = ego_ctx_alloc(cx, (size_t)(n + 1) * sizeof *offsets);
    if (!ids || !offsets) return ego_ctx_err(cx);
    offsets[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        ego_tokens tokens = {0};
        ego_err err = encode(h, texts[i], &tokens);
        if (err == EGO_OK) memcpy(ids + count, tokens.ids, tokens.count * sizeof *ids);
        count += tokens.count;
        offsets[i + 1] = (int64_t)count;
        ego_tokens_release(&tokens);
        EGO_TRY(err);
    }
    *out = (ego_texts){ids, {.n = n, .offsets = offsets}};
    return EGO_OK;
}

ego_err ego_lower_texts(const ego_halves *h, ego_ctx *cx, const char *const *texts, int64_t n,
                        ego_lower *lower) {
    ego_texts all;
    *lower = (ego_lower){0};
    EGO_TRY(line_up(h, cx, texts, n, &all));
    *lower = (ego_lower){ego_fused_begin_text(cx, h->model, all), all.shape};
    return EGO_OK;
}

ego_err ego_dual_words(const ego_halves *h, ego_ctx *cx, const char *const *texts, int64_t n,
                       ego_lower *words) {
    ego_texts all;
    *words = (ego_lower){0};
    EGO_TRY(line_up(h, cx, texts, n, &all));
    ego_input in = {.texts = all, .text = EGO_WANT_TOKENS};
    *words = (ego_lower){ego_encode(cx, h->model, &in, EGO_DUAL).text, all.shape};
    return EGO_OK;
}

ego_met ego_meet(ego_ctx *cx, ego_model *m, const ego_tensor *clips, ego_lower texts, bool match) {
    if (!clips || !texts.rows) return (ego_met){0};
    ego_states x = ego_fused_finish(cx, m, clips, texts.rows, texts.shape, EGO_WANT_CLASS,
                                    match ? EGO_WANT_CLASS : EGO_WANT_NOTHING);
    if (!match) return (ego_met){.video = x.video};
    return (ego_met){x.video, ego_softmax(cx, ego_match_logits(cx, m->params, x.text, x.video))};
}
