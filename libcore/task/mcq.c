#include "task/mcq.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/rng.h"
#include "model/heads.h"
#include "task/memo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WINDOW = 16 };

struct ego_mcq_session {
    ego_ctx *cx;
    ego_model *model;
    ego_mcq_options options;
    ego_memo *memo;
    ego_clips *clips;
    ego_mcq_counts counts;
};

static bool wants_dual(const ego_mcq_session *s) {
    return s->options.scores & (EGO_MCQ_DUAL | EGO_MCQ_ENSEMBLE);
}
static bool wants_fused(const ego_mcq_session *s) {
    return s->options.scores & (EGO_MCQ_FUSED | EGO_MCQ_ENSEMBLE);
}

unsigned ego_mcq_needs(const ego_mcq_options *options) {
    unsigned needs = 0;
    if (options->scores & (EGO_MCQ_DUAL | EGO_MCQ_ENSEMBLE))
        needs |= EGO_NEEDS_VIDEO | EGO_NEEDS_TEXT | EGO_NEEDS_VIDEO_PROJECTION |
                 EGO_NEEDS_TEXT_PROJECTION;
    if (options->scores & (EGO_MCQ_FUSED | EGO_MCQ_ENSEMBLE)) needs |= EGO_NEEDS_FUSED | EGO_NEEDS_VTM;
    return needs;
}

ego_err ego_mcq_open(ego_ctx *cx, ego_model *model, const ego_mcq_options *options,
                     ego_mcq_session **out) {
    ego_mcq_session *s = calloc(1, sizeof *s);
    if (!s) return ego_fail(EGO_ENOMEM, "out of memory");
    s->cx = cx;
    s->model = model;
    s->options = *options;
    if (!s->options.memory) s->options.memory = (size_t)512 << 20;
    ego_err err = ego_memo_new(s->options.memory, &s->memo);
    if (err == EGO_OK) err = ego_clips_open(&s->options.clips, &s->clips);
    if (err != EGO_OK) {
        ego_mcq_close(s);
        return err;
    }
    *out = s;
    return EGO_OK;
}

void ego_mcq_close(ego_mcq_session *s) {
    if (!s) return;
    ego_clips_close(s->clips);
    ego_memo_free(s->memo);
    free(s);
}

ego_err ego_mcq_item_of(const ego_mcq_question *q, ego_mcq_choice *choices, ego_mcq_item *item) {
    if (q->count > EGO_MCQ_MAX_CHOICES || q->count < 2)
        return ego_fail(EGO_EINPUT, "expected 2 to %d choices, found %zu", EGO_MCQ_MAX_CHOICES, q->count);
    for (size_t k = 0; k < q->count; k++)
        choices[k] = (ego_mcq_choice){.video = q->choices[k].video, .start = q->choices[k].start,
                                      .end = q->choices[k].end};
    *item = (ego_mcq_item){.text = q->query.text, .choices = choices, .count = q->count};
    return EGO_OK;
}

size_t ego_mcq_window(const ego_mcq_session *s, size_t choices) {
    const ego_config *c = &s->model->config;
    size_t state = (size_t)(ego_config_tokens(c, c->frames) * c->dim) * sizeof(float);
    size_t n = s->options.memory / 2 / (state * (choices ? choices : 1));
    return n < 1 ? 1 : n > MAX_WINDOW ? MAX_WINDOW : n;
}

size_t ego_mcq_best(const float *scores, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}

ego_mcq_counts ego_mcq_get_counts(ego_mcq_session *s) {
    s->counts.reading = ego_clips_get_counts(s->clips);
    return s->counts;
}

/* ---- one clip or narration: its two results --------------------------------------------------------------- */

static ego_err keep(ego_mcq_session *s, ego_memo_entry *e, const ego_tensor *embedding,
                    const ego_tensor *state) {
    EGO_TRY(ego_ctx_err(s->cx));
    if (embedding) EGO_TRY(ego_memo_keep(s->memo, e, &e->embedding, embedding, 0, 1));
    if (state) EGO_TRY(ego_memo_keep(s->memo, e, &e->state, state, 0, ego_tensor_rows(state)));
    return EGO_OK;
}

static void exchange(float *a, float *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

/* Puts the frames of a clip (F, 3, S, S) into the order asked for. */
static void reorder(const ego_mcq_session *s, const char *name, float *pixels) {
    const ego_config *c = &s->model->config;
    size_t frame = (size_t)(3 * c->image_size * c->image_size), F = (size_t)c->frames;
    uint64_t stream = ego_rng_stream(s->options.seed, ego_fnv1a(name));
    if (s->options.order == EGO_FRAMES_REVERSED)
        for (size_t i = 0; i < F / 2; i++)
            exchange(pixels + i * frame, pixels + (F - 1 - i) * frame, frame);
    if (s->options.order == EGO_FRAMES_SHUFFLED)
        for (size_t i = F - 1; i > 0; i--) {
            size_t j = ego_rng_below(stream, i, (uint32_t)i + 1);
            if (j != i) exchange(pixels + i * frame, pixels + j * frame, frame);
        }
}

static ego_err compute_clip(ego_mcq_session *s, ego_memo_entry *e, float *pixels) {
    ego_model *m = s->model;
    const ego_config *c = &m->config;
    reorder(s, e->name, pixels);
    ego_tensor clip = {pixels, EGO_F32, 5, {1, c->frames, 3, c->image_size, c->image_size}};
    const ego_tensor *embedding = NULL, *state = NULL;
    ego_ctx_mark mark = ego_ctx_save(s->cx);
    if (wants_dual(s)) {
        ego_input in = {.clips = &clip, .video = EGO_WANT_CLASS};
        embedding = ego_project_video(s->cx, c, m->params, ego_encode(s->cx, m, &in, EGO_DUAL).video);
        embedding = ego_l2_normalize(s->cx, embedding);
    }
    if (wants_fused(s)) state = ego_fused_begin_video(s->cx, m, &clip);
    ego_err err = keep(s, e, embedding, state);
    ego_ctx_rewind(s->cx, &mark);
    s->counts.clips++;
    return err;
}

static ego_err compute_text(ego_mcq_session *s, ego_memo_entry *e, const char *text) {
    ego_model *m = s->model;
    ego_tokens tokens = {0};
    if (!m->bpe)
        return ego_fail(EGO_EINPUT, "the model has no vocabulary: give --tokenizer DIR");
    EGO_TRY(ego_bpe_encode(m->bpe, text, strlen(text), (size_t)m->config.max_positions - 2, &tokens));
    int64_t offsets[2] = {0, (int64_t)tokens.count};
    ego_texts texts = {tokens.ids, {1, offsets}};
    const ego_tensor *embedding = NULL, *state = NULL;
    ego_ctx_mark mark = ego_ctx_save(s->cx);
    if (wants_dual(s)) {
        ego_input in = {.texts = texts, .text = EGO_WANT_CLASS};
        embedding = ego_project_text(s->cx, &m->config, m->params,
                                     ego_encode(s->cx, m, &in, EGO_DUAL).text);
        embedding = ego_l2_normalize(s->cx, embedding);
    }
    if (wants_fused(s)) state = ego_fused_begin_text(s->cx, m, texts);
    ego_err err = keep(s, e, embedding, state);
    ego_ctx_rewind(s->cx, &mark);
    ego_tokens_release(&tokens);
    s->counts.texts++;
    return err;
}

/* ---- a window of questions --------------------------------------------------------------------------------- */

/* What the questions of a window hold on to. */
typedef struct window {
    ego_memo_entry *text[MAX_WINDOW];
    ego_memo_entry *clip[MAX_WINDOW][EGO_MCQ_MAX_CHOICES];
} window;

static ego_err clip_name(const ego_mcq_choice *c, ego_buf *name) {
    ego_buf_clear(name);
    if (c->whole)
        ego_buf_printf(name, "clip %s", c->video);
    else
        ego_buf_printf(name, "clip %a %a %s", c->start, c->end, c->video);
    return ego_buf_err(name);
}

static void fail_entry(ego_memo_entry *e, ego_err err) {
    e->err = err;
    e->message = strdup(ego_err_message());
}

/* Takes the clips that were asked for, in order, and computes them while the next are read. */
static ego_err take_clip(ego_mcq_session *s) {
    ego_clip *clip;
    EGO_TRY(ego_clips_next(s->clips, &clip));
    ego_memo_entry *e = (ego_memo_entry *)(uintptr_t)clip->tag;
    ego_err err = clip->err;
    if (err != EGO_OK)
        ego_fail(err, "%s", clip->message ? clip->message : "");
    else
        err = compute_clip(s, e, clip->pixels);
    if (err != EGO_OK) fail_entry(e, err);
    ego_clip_free(clip);
    return err == EGO_ENOMEM ? err : EGO_OK;
}

static ego_err ask_clip(ego_mcq_session *s, const ego_mcq_choice *c, ego_memo_entry *e) {
    while (!ego_clips_room(s->clips)) EGO_TRY(take_clip(s));
    return ego_clips_submit(s->clips, &(ego_clip_request){.video = c->video,
                                                          .whole = c->whole,
                                                          .start = c->start,
                                                          .end = c->end,
                                                          .tag = (uint64_t)(uintptr_t)e});
}

static ego_err gather(ego_mcq_session *s, ego_mcq_item *items, size_t n, window *w, ego_buf *name) {
    bool fresh;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < items[i].count; k++) {
            EGO_TRY(clip_name(&items[i].choices[k], name));
            EGO_TRY(ego_memo_get(s->memo, name->data, &w->clip[i][k], &fresh));
            if (fresh) EGO_TRY(ask_clip(s, &items[i].choices[k], w->clip[i][k]));
        }
        ego_buf_clear(name);
        ego_buf_printf(name, "text %s", items[i].text);
        EGO_TRY(ego_buf_err(name));
        EGO_TRY(ego_memo_get(s->memo, name->data, &w->text[i], &fresh));
        if (!fresh) continue;
        ego_err err = compute_text(s, w->text[i], items[i].text);
        if (err != EGO_OK) fail_entry(w->text[i], err);
    }
    EGO_TRY(ego_clips_flush(s->clips));
    while (ego_clips_outstanding(s->clips)) EGO_TRY(take_clip(s));
    return EGO_OK;
}

static float dot(const ego_tensor *a, const ego_tensor *b) {
    double sum = 0;
    for (int64_t i = 0; i < ego_tensor_count(a); i++) sum += (double)ego_f32(a)[i] * ego_f32(b)[i];
    return (float)sum;
}

/* Probability of a match for choices [from, to): the pairs' upper halves in one pass. */
static ego_err match(ego_mcq_session *s, ego_mcq_item *item, ego_memo_entry *text,
                     ego_memo_entry **clip, size_t from, size_t to) {
    ego_ctx *cx = s->cx;
    int64_t n = (int64_t)(to - from), T = clip[from]->state.shape[0], D = s->model->config.dim;
    int64_t L = text->state.shape[0], offsets[EGO_MCQ_MAX_CHOICES + 1];
    ego_tensor *video = EGO_TENSOR(cx, n * T, D), *words = EGO_TENSOR(cx, n * L, D);
    for (int64_t i = 0; video && words && i < n; i++) {
        memcpy(ego_f32(video) + i * T * D, clip[from + (size_t)i]->state.data,
               (size_t)(T * D) * sizeof(float));
        memcpy(ego_f32(words) + i * L * D, text->state.data, (size_t)(L * D) * sizeof(float));
    }
    for (int64_t i = 0; i <= n; i++) offsets[i] = i * L;
    ego_states x = ego_fused_finish(cx, s->model, video, words, (ego_text_shape){n, offsets},
                                    EGO_WANT_CLASS, EGO_WANT_CLASS);
    ego_tensor *p = ego_softmax(cx, ego_match_logits(cx, s->model->params, x.text, x.video));
    EGO_TRY(ego_ctx_err(cx));
    for (int64_t i = 0; i < n; i++) item->fused[from + (size_t)i] = ego_f32(p)[2 * i + 1];
    return EGO_OK;
}

static ego_err score(ego_mcq_session *s, ego_mcq_item *item, ego_memo_entry *text,
                     ego_memo_entry **clip) {
    size_t step = (size_t)ego_good_batch(s->model);
    for (size_t k = 0; wants_dual(s) && k < item->count; k++)
        item->dual[k] = dot(&text->embedding, &clip[k]->embedding);
    for (size_t k = 0; wants_fused(s) && k < item->count; k += step) {
        ego_ctx_mark mark = ego_ctx_save(s->cx);
        ego_err err = match(s, item, text, clip, k, k + step < item->count ? k + step : item->count);
        ego_ctx_rewind(s->cx, &mark);
        EGO_TRY(err);
    }
    for (size_t k = 0; k < item->count; k++) item->ensemble[k] = item->dual[k] + item->fused[k];
    return EGO_OK;
}

/* The first of a question's parts that could not be computed becomes the question's error. */
static bool parts_good(ego_mcq_item *item, ego_memo_entry *text, ego_memo_entry **clip) {
    item->err = text->err;
    if (text->err != EGO_OK) snprintf(item->message, sizeof item->message, "text: %s", text->message);
    for (size_t k = 0; item->err == EGO_OK && k < item->count; k++)
        if (clip[k]->err != EGO_OK) {
            item->err = clip[k]->err;
            snprintf(item->message, sizeof item->message, "choice %zu: %s", k, clip[k]->message);
        }
    return item->err == EGO_OK;
}

static ego_err answer_window(ego_mcq_session *s, ego_mcq_item *items, size_t n, ego_buf *name) {
    window *w = calloc(1, sizeof *w);
    if (!w) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_err err = gather(s, items, n, w, name);
    for (size_t i = 0; i < n && err == EGO_OK; i++)
        if (parts_good(&items[i], w->text[i], w->clip[i]))
            err = score(s, &items[i], w->text[i], w->clip[i]);
    for (size_t i = 0; i < n; i++) {
        if (w->text[i]) ego_memo_unpin(s->memo, w->text[i]);
        for (size_t k = 0; k < items[i].count; k++)
            if (w->clip[i][k]) ego_memo_unpin(s->memo, w->clip[i][k]);
    }
    free(w);
    return err;
}

ego_err ego_mcq_answer(ego_mcq_session *s, ego_mcq_item *items, size_t n) {
    ego_buf name = {0};
    ego_err err = EGO_OK;
    for (size_t i = 0, step; i < n && err == EGO_OK; i += step) {
        step = ego_mcq_window(s, items[i].count);
        if (step > n - i) step = n - i;
        err = answer_window(s, items + i, step, &name);
    }
    ego_buf_release(&name);
    return err;
}
