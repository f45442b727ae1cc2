#include "task/mcq.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_WINDOW = 16 };

struct ego_mcq_session {
    ego_ctx *cx;
    ego_model *model;
    unsigned wanted; /* EGO_HALF_… bits */
    ego_halves *halves;
};

static unsigned halves_wanted(unsigned scores) {
    bool dual = scores & (EGO_MCQ_DUAL | EGO_MCQ_ENSEMBLE);
    bool fused = scores & (EGO_MCQ_FUSED | EGO_MCQ_ENSEMBLE);
    return (dual ? EGO_HALF_EMBEDDING : 0u) | (fused ? EGO_HALF_LOWER : 0u);
}

unsigned ego_mcq_needs(const ego_mcq_options *options) {
    unsigned wanted = halves_wanted(options->scores);
    return ego_halves_needs(wanted) | (wanted & EGO_HALF_LOWER ? EGO_NEEDS_VTM : 0u);
}

ego_err ego_mcq_open(ego_ctx *cx, ego_model *model, const ego_mcq_options *options,
                     ego_mcq_session **out) {
    ego_mcq_session *s = calloc(1, sizeof *s);
    if (!s) return ego_fail(EGO_ENOMEM, "out of memory");
    *s = (ego_mcq_session){.cx = cx, .model = model, .wanted = halves_wanted(options->scores)};
    ego_err err = ego_halves_open(cx, model, s->wanted, &options->halves, &s->halves);
    if (err == EGO_OK)
        *out = s;
    else
        ego_mcq_close(s);
    return err;
}

void ego_mcq_close(ego_mcq_session *s) {
    if (!s) return;
    ego_halves_close(s->halves);
    free(s);
}

ego_halves_counts ego_mcq_get_counts(const ego_mcq_session *s) {
    return ego_halves_get_counts(s->halves);
}

ego_err ego_mcq_item_of(const ego_mcq_question *q, ego_video_part *choices, ego_mcq_item *item) {
    if (q->count > EGO_MCQ_MAX_CHOICES || q->count < 2)
        return ego_fail(EGO_EINPUT, "expected 2 to %d choices, found %zu", EGO_MCQ_MAX_CHOICES,
                        q->count);
    for (size_t k = 0; k < q->count; k++)
        choices[k] = (ego_video_part){q->choices[k].video, q->choices[k].start, q->choices[k].end};
    *item = (ego_mcq_item){.text = q->query.text, .choices = choices, .count = q->count};
    return EGO_OK;
}

size_t ego_mcq_best(const float *scores, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}

/* ---- a window of questions ------------------------------------------------------------------- */

/* What the questions of a window hold on to. */
typedef struct window {
    ego_half *text[MAX_WINDOW];
    ego_half *clip[MAX_WINDOW][EGO_MCQ_MAX_CHOICES];
} window;

static ego_err gather(ego_mcq_session *s, const ego_mcq_item *items, size_t n, window *w) {
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < items[i].count; k++)
            EGO_TRY(ego_halves_clip(s->halves, &items[i].choices[k], &w->clip[i][k]));
        EGO_TRY(ego_halves_text(s->halves, items[i].text, &w->text[i]));
    }
    return ego_halves_compute(s->halves);
}

static void let_go(ego_mcq_session *s, const ego_mcq_item *items, size_t n, const window *w) {
    for (size_t i = 0; i < n; i++) {
        ego_halves_drop(s->halves, w->text[i]);
        for (size_t k = 0; k < items[i].count; k++) ego_halves_drop(s->halves, w->clip[i][k]);
    }
}

static float dot(const ego_tensor *a, const ego_tensor *b) {
    double sum = 0;
    for (int64_t i = 0; i < ego_tensor_count(a); i++) sum += (double)ego_f32(a)[i] * ego_f32(b)[i];
    return (float)sum;
}

/* Probability of a match for the `count` choices from number `from` on: in one pass. */
static ego_err match(ego_mcq_session *s, ego_mcq_item *item, const ego_half *text,
                     ego_half *const *clip, size_t from, size_t count) {
    const ego_tensor *lower[EGO_MCQ_MAX_CHOICES];
    int64_t n = (int64_t)count;
    for (size_t i = 0; i < count; i++) lower[i] = &clip[from + i]->lower;
    ego_met met = ego_meet(s->cx, s->model, ego_lower_stack(s->cx, lower, n).rows,
                           ego_lower_repeat(s->cx, &text->lower, n), true);
    EGO_TRY(ego_ctx_err(s->cx));
    for (size_t i = 0; i < count; i++) item->fused[from + i] = ego_f32(met.match)[2 * i + 1];
    return EGO_OK;
}

static ego_err score(ego_mcq_session *s, ego_mcq_item *item, const ego_half *text,
                     ego_half *const *clip) {
    size_t n = item->count, step = (size_t)ego_good_batch(s->model);
    for (size_t k = 0; s->wanted & EGO_HALF_EMBEDDING && k < n; k++)
        item->dual[k] = dot(&text->embedding, &clip[k]->embedding);
    for (size_t k = 0; s->wanted & EGO_HALF_LOWER && k < n; k += step) {
        ego_ctx_mark mark = ego_ctx_save(s->cx);
        ego_err err = match(s, item, text, clip, k, step < n - k ? step : n - k);
        ego_ctx_rewind(s->cx, &mark);
        EGO_TRY(err);
    }
    float weight = s->model->config.ensemble;
    for (size_t k = 0; k < n; k++) item->ensemble[k] = item->dual[k] + weight * item->fused[k];
    return EGO_OK;
}

/* The first of a question's parts that could not be computed becomes the question's error. */
static bool parts_good(ego_mcq_item *item, const ego_half *text, ego_half *const *clip) {
    char *to = item->message;
    if ((item->err = ego_half_err(text)) != EGO_OK)
        snprintf(to, sizeof item->message, "text: %s", ego_err_message());
    for (size_t k = 0; item->err == EGO_OK && k < item->count; k++)
        if ((item->err = ego_half_err(clip[k])) != EGO_OK)
            snprintf(to, sizeof item->message, "choice %zu: %s", k, ego_err_message());
    return item->err == EGO_OK;
}

static ego_err answer_window(ego_mcq_session *s, ego_mcq_item *items, size_t n) {
    window *w = calloc(1, sizeof *w);
    if (!w) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_err err = gather(s, items, n, w);
    for (size_t i = 0; i < n && err == EGO_OK; i++)
        if (parts_good(&items[i], w->text[i], w->clip[i]))
            err = score(s, &items[i], w->text[i], w->clip[i]);
    let_go(s, items, n, w);
    free(w);
    return err;
}

ego_err ego_mcq_answer(ego_mcq_session *s, ego_mcq_item *items, size_t n) {
    for (size_t i = 0, step; i < n; i += step) {
        step = ego_halves_window(s->halves, items[i].count, MAX_WINDOW);
        if (step > n - i) step = n - i;
        EGO_TRY(answer_window(s, items + i, step));
    }
    return EGO_OK;
}
