#include "task/qa.h"

#include "base/options.h"
#include "data/locate.h"
#include "data/windows.h"
#include "task/qa_head.h"
#include "task/qa_moments.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WINDOW = 64 };

struct ego_qa_session {
    ego_ctx *cx;
    ego_model *model;
    bool match, text_learns;
    int64_t windows; /* 0: a clip is one */
    const char *video_root;
    ego_halves *halves;
    uint64_t pairs;
};

/* ---- texts ----------------------------------------------------------------------------------- */

static const char blanks[] = " \t\r\n\v\f";

static void add_stripped(const char *text, bool lower, ego_buf *out) {
    text += strspn(text, blanks);
    size_t n = strlen(text);
    while (n && strchr(blanks, text[n - 1])) n--;
    for (size_t i = 0; i < n; i++) {
        bool capital = lower && text[i] >= 'A' && text[i] <= 'Z';
        ego_buf_char(out, capital ? (char)(text[i] - 'A' + 'a') : text[i]);
    }
}

void ego_qa_question_text(const char *question, ego_buf *text) {
    add_stripped(question, true, text);
}

void ego_qa_statement(const char *question, const char *answer, ego_buf *text) {
    add_stripped(question, false, text);
    ego_buf_char(text, ' ');
    add_stripped(answer, false, text);
}

/* ---- intervals ------------------------------------------------------------------------------- */

static bool exists(const char *root, const char *video) {
    ego_place place = {0};
    bool found = ego_locate(root, video, &place) == EGO_OK;
    ego_place_release(&place);
    return found;
}

/* "…|FROM|TO" → its two numbers. */
static bool split_interval(const char *interval, int64_t *from, int64_t *to) {
    char number[24];
    const char *last = strrchr(interval, '|'), *before = last;
    while (before && before > interval && before[-1] != '|') before--;
    if (!before || before == interval || (size_t)(last - before) >= sizeof number) return false;
    memcpy(number, before, (size_t)(last - before));
    number[last - before] = 0;
    return ego_parse_integer(number, from) && ego_parse_integer(last + 1, to) && *from >= 0 &&
           *from < *to;
}

ego_err ego_qa_find_interval(const char *root, const char *interval, double fps, ego_arena *arena,
                             ego_video_part *clip) {
    size_t n = strlen(interval) + sizeof "qa_videos/", uid = strcspn(interval, "|");
    char *name = ego_arena_alloc(arena, n);
    int64_t from, to;
    if (!name) return ego_fail(EGO_ENOMEM, "out of memory");
    snprintf(name, n, "%s", interval);
    *clip = (ego_video_part){name, NAN, NAN};
    if (*name && exists(root, name)) return EGO_OK;
    snprintf(name, n, "qa_videos/%s", interval);
    if (*interval && exists(root, name)) return EGO_OK;
    if (!split_interval(interval, &from, &to))
        return ego_fail(EGO_EINPUT,
                        "interval %s: no such clip, and VIDEO|VIEW|FROM|TO with frame numbers "
                        "expected to cut it from a video",
                        interval);
    snprintf(name, n, "%.*s", (int)uid, interval);
    if (!exists(root, name))
        return ego_fail(
            EGO_EIO,
            "interval %s: expected %s.mp4, qa_videos/%s.mp4 or the video %s%s%s, found none",
            interval, interval, interval, name,
            root ? " under " : "; --video-root names a folder to look in", root ? root : "");
    *clip = (ego_video_part){name, (double)from / fps, (double)to / fps};
    return EGO_OK;
}

/* ---- the session ----------------------------------------------------------------------------- */

/* What is wanted of clips and texts. */
static unsigned halves_of(const ego_qa_options *o) { return o->windows ? EGO_HALF_EMBEDDING : EGO_HALF_LOWER; }

unsigned ego_qa_needs(const ego_qa_options *options) {
    return ego_halves_needs(halves_of(options)) | (options->match ? EGO_NEEDS_VTM : 0u);
}

ego_err ego_qa_open(ego_ctx *cx, ego_model *model, const ego_qa_options *options,
                    ego_qa_session **out) {
    ego_qa_session *s = calloc(1, sizeof *s);
    if (!s) return ego_fail(EGO_ENOMEM, "out of memory");
    *s = (ego_qa_session){.cx = cx,
                          .model = model,
                          .match = options->match,
                          .text_learns = options->text_learns,
                          .windows = options->windows,
                          .video_root = options->halves.clips.video_root};
    ego_err err = ego_model_require(model, ego_qa_needs(options));
    if (err == EGO_OK && !model->bpe)
        err = ego_fail(EGO_EINPUT, "the model has no vocabulary: give --tokenizer DIR");
    if (err == EGO_OK)
        err = ego_halves_open(cx, model, halves_of(options), &options->halves, &s->halves);
    if (err == EGO_OK)
        *out = s;
    else
        ego_qa_close(s);
    return err;
}

void ego_qa_close(ego_qa_session *s) {
    if (!s) return;
    ego_halves_close(s->halves);
    free(s);
}

ego_qa_counts ego_qa_get_counts(const ego_qa_session *s) {
    return (ego_qa_counts){ego_halves_get_counts(s->halves), s->pairs};
}

/* ---- pairs ----------------------------------------------------------------------------------- */

typedef struct pair {
    ego_qa_item *item;
    size_t k; /* which of its texts */
    ego_half *clip, *text;
} pair;

/* All pairs in one pass; NULL members after a failure, which the context keeps. */
static ego_met meet(const ego_qa_session *s, ego_ctx *cx, const pair *pairs, size_t n, ego_lower texts) {
    const ego_tensor **clips = ego_ctx_alloc(cx, n * sizeof *clips);
    if (!clips) return (ego_met){0};
    for (size_t i = 0; i < n; i++) clips[i] = &pairs[i].clip->lower;
    return ego_meet(cx, s->model, ego_lower_stack(cx, clips, (int64_t)n).rows, texts, s->match);
}

static ego_lower remembered_texts(ego_ctx *cx, const pair *pairs, size_t n) {
    const ego_tensor **texts = ego_ctx_alloc(cx, n * sizeof *texts);
    for (size_t i = 0; texts && i < n; i++) texts[i] = &pairs[i].text->lower;
    return texts ? ego_lower_stack(cx, texts, (int64_t)n) : (ego_lower){0};
}

static ego_err finish(ego_qa_session *s, const pair *pairs, size_t n) {
    size_t D = (size_t)s->model->config.dim;
    ego_met met = meet(s, s->cx, pairs, n, remembered_texts(s->cx, pairs, n));
    EGO_TRY(ego_ctx_err(s->cx));
    for (size_t i = 0; i < n; i++) {
        ego_qa_item *item = pairs[i].item;
        size_t k = pairs[i].k;
        if (item->states)
            memcpy(item->states + k * D, ego_f32(met.video) + i * D, D * sizeof(float));
        if (item->matches && met.match) item->matches[k] = ego_f32(met.match)[2 * i + 1];
    }
    s->pairs += n;
    return EGO_OK;
}

static ego_err finish_pairs(ego_qa_session *s, pair *pairs, size_t n) {
    ego_ctx_mark mark = ego_ctx_save(s->cx);
    ego_err err = n ? finish(s, pairs, n) : EGO_OK;
    ego_ctx_rewind(s->cx, &mark);
    for (size_t i = 0; i < n; i++) ego_halves_drop(s->halves, pairs[i].text);
    return err;
}

/* What is wrong with a half is wrong with the item. */
static ego_err inherit(ego_qa_item *item, const char *what, const ego_half *half) {
    if ((item->err = ego_half_err(half)) != EGO_OK)
        snprintf(item->message, sizeof item->message, "%s%s", what, ego_err_message());
    return item->err;
}

/* All pairs of a window, so many in a pass as the model likes. pairs: room for `most`. */
static ego_err ask_pairs(ego_qa_session *s, ego_qa_item *items, size_t n, ego_half **clips,
                         pair *pairs, size_t most) {
    size_t gathered = 0;
    ego_err err = EGO_OK;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; err == EGO_OK && items[i].err == EGO_OK && k < items[i].count; k++) {
            ego_half *text = NULL;
            err = ego_halves_text(s->halves, items[i].texts[k], &text);
            if (err != EGO_OK || inherit(&items[i], "text: ", text) != EGO_OK) {
                ego_halves_drop(s->halves, text);
                continue;
            }
            pairs[gathered++] = (pair){&items[i], k, clips[i], text};
            if (gathered < most) continue;
            err = finish_pairs(s, pairs, gathered);
            gathered = 0;
        }
    if (err == EGO_OK) return finish_pairs(s, pairs, gathered);
    for (size_t i = 0; i < gathered; i++) ego_halves_drop(s->halves, pairs[i].text);
    return err;
}

/* The clips of a window, with their errors told to its items. */
static ego_err open_window(ego_qa_session *s, ego_qa_item *items, size_t n, ego_half **clips) {
    for (size_t i = 0; i < n; i++)
        EGO_TRY(ego_halves_clip(s->halves, &items[i].clip, &clips[i]));
    EGO_TRY(ego_halves_compute(s->halves));
    for (size_t i = 0; i < n; i++) inherit(&items[i], "", clips[i]);
    return EGO_OK;
}

static void close_window(ego_qa_session *s, size_t n, ego_half **clips) {
    for (size_t i = 0; i < n; i++) ego_halves_drop(s->halves, clips[i]);
}

static ego_err ask_window(ego_qa_session *s, ego_qa_item *items, size_t n) {
    ego_half *clips[MAX_WINDOW] = {NULL};
    size_t most = (size_t)ego_good_batch(s->model);
    pair *pairs = malloc(most * sizeof *pairs);
    if (!pairs) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_err err = open_window(s, items, n, clips);
    if (err == EGO_OK) err = ask_pairs(s, items, n, clips, pairs, most);
    close_window(s, n, clips);
    free(pairs);
    return err;
}

static ego_err prepare_texts(ego_qa_session *s, ego_qa_item *item) {
    for (size_t k = 0; k < item->count; k++) {
        ego_half *text = NULL;
        ego_err err = ego_halves_text(s->halves, item->texts[k], &text);
        if (err == EGO_OK && item->err == EGO_OK) inherit(item, "text: ", text);
        ego_halves_drop(s->halves, text);
        EGO_TRY(err);
    }
    return EGO_OK;
}

static ego_err prepare_window(ego_qa_session *s, ego_qa_item *items, size_t n) {
    ego_half *clips[MAX_WINDOW] = {NULL};
    ego_err err = open_window(s, items, n, clips);
    for (size_t i = 0; i < n && err == EGO_OK; i++) err = prepare_texts(s, &items[i]);
    close_window(s, n, clips);
    return err;
}

typedef ego_err window_work(ego_qa_session *s, ego_qa_item *items, size_t n);

static ego_err by_windows(ego_qa_session *s, ego_qa_item *items, size_t n, window_work *work) {
    size_t step = ego_halves_window(s->halves, 1, MAX_WINDOW);
    for (size_t i = 0; i < n; i += step)
        EGO_TRY(work(s, items + i, step < n - i ? step : n - i));
    return EGO_OK;
}

ego_err ego_qa_ask(ego_qa_session *s, ego_qa_item *items, size_t n) {
    return by_windows(s, items, n, ask_window);
}

ego_err ego_qa_prepare(ego_qa_session *s, ego_qa_item *items, size_t n) {
    return by_windows(s, items, n, prepare_window);
}

/* ---- windows --------------------------------------------------------------------------------- */

static ego_err ends_of(const ego_qa_session *s, const ego_video_part *part, double *start, double *end) {
    ego_place place = {0};
    *start = part->start;
    *end = part->end;
    if (!isnan(part->start)) return EGO_OK;
    *start = 0;
    EGO_TRY(ego_locate(s->video_root, part->video, &place));
    ego_err err = ego_medium_measure(place.path, end);
    ego_place_release(&place);
    return err;
}

/* Asks for an item's windows; half: room for them. */
static ego_err ask_windows(ego_qa_session *s, const ego_qa_item *item, ego_half **half) {
    double start, end;
    EGO_TRY(ends_of(s, &item->clip, &start, &end));
    double step = (end - start) / (double)s->windows;
    for (int64_t w = 0; w < s->windows; w++) {
        ego_video_part part = {item->clip.video, start + (double)w * step, start + (double)(w + 1) * step};
        EGO_TRY(ego_halves_clip(s->halves, &part, &half[w]));
    }
    return EGO_OK;
}

/* Copies what they came to, and lets go of them. */
static void take_windows(ego_qa_session *s, ego_qa_item *item, ego_half **half) {
    for (int64_t w = 0; w < s->windows; w++) {
        if (half[w] && item->err == EGO_OK && inherit(item, "", half[w]) == EGO_OK) {
            size_t P = (size_t)ego_tensor_columns(&half[w]->embedding);
            memcpy(item->states + (size_t)w * P, half[w]->embedding.data, P * sizeof(float));
        }
        ego_halves_drop(s->halves, half[w]);
    }
}

static ego_err look_window(ego_qa_session *s, ego_qa_item *items, size_t n) {
    size_t W = (size_t)s->windows;
    ego_half **half = calloc(n * W, sizeof *half);
    ego_err err = half ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && err == EGO_OK; i++) {
        items[i].err = ask_windows(s, &items[i], half + i * W);
        if (items[i].err == EGO_ENOMEM) err = items[i].err;
        if (items[i].err != EGO_OK) snprintf(items[i].message, sizeof items[i].message, "%s", ego_err_message());
    }
    if (err == EGO_OK) err = ego_halves_compute(s->halves);
    for (size_t i = 0; i < n && half; i++) {
        if (err != EGO_OK) items[i].err = err;
        take_windows(s, &items[i], half + i * W);
    }
    free(half);
    return err;
}

ego_err ego_qa_look(ego_qa_session *s, ego_qa_item *items, size_t n) {
    return by_windows(s, items, n, look_window);
}

ego_err ego_qa_words(const ego_qa_session *s, ego_ctx *cx, const char *const *texts, size_t n, ego_lower *words) {
    return ego_dual_words(s->halves, cx, texts, (int64_t)n, words);
}

/* ---- a head's answer ------------------------------------------------------------------------- */

static ego_err logits_of(ego_qa_session *s, ego_head *head, const ego_qa_item *item, const ego_tensor **logits) {
    const ego_config *c = &s->model->config;
    ego_tensor state = {item->states, EGO_F32, 2, {1, c->dim}};
    if (!s->windows) {
        *logits = ego_qa_logits(s->cx, head, &state, (ego_dropout){0});
        return EGO_OK;
    }
    ego_tensor windows = {item->states, EGO_F32, 2, {s->windows, c->projection[c->projections - 1]}};
    ego_qa_seen seen = {.windows = &windows};
    EGO_TRY(ego_qa_words(s, s->cx, item->texts, 1, &seen.words));
    *logits = ego_qa_moments_logits(s->cx, head, s->model, seen, (ego_dropout){0});
    return EGO_OK;
}

ego_err ego_qa_answer(ego_qa_session *s, ego_head *head, const ego_qa_item *item, float *scores) {
    const ego_tensor *logits = NULL;
    ego_ctx_mark mark = ego_ctx_save(s->cx);
    ego_err err = logits_of(s, head, item, &logits);
    const ego_tensor *p = err == EGO_OK ? ego_softmax(s->cx, logits) : NULL;
    ego_err failed = ego_ctx_err(s->cx);
    if (err == EGO_OK) err = failed;
    if (err == EGO_OK) memcpy(scores, ego_f32(p), (size_t)ego_tensor_columns(p) * sizeof *scores);
    ego_ctx_rewind(s->cx, &mark);
    return err;
}

/* ---- states that gradients can be taken of --------------------------------------------------- */

static ego_err find_pair(ego_qa_session *s, ego_qa_item *item, pair *p) {
    *p = (pair){.item = item};
    EGO_TRY(open_window(s, item, 1, &p->clip));
    EGO_TRY(ego_half_err(p->clip));
    if (s->text_learns) return EGO_OK;
    EGO_TRY(ego_halves_text(s->halves, item->texts[0], &p->text));
    return inherit(item, "text: ", p->text);
}

static ego_err texts_of(const ego_qa_session *s, ego_ctx *cx, const pair *pairs, size_t n,
                        ego_lower *lower) {
    if (!s->text_learns) {
        *lower = remembered_texts(cx, pairs, n);
        return EGO_OK;
    }
    const char **texts = ego_ctx_alloc(cx, n * sizeof *texts);
    if (!texts) return ego_ctx_err(cx);
    for (size_t i = 0; i < n; i++) texts[i] = pairs[i].item->texts[0];
    return ego_lower_texts(s->halves, cx, texts, (int64_t)n, lower);
}

ego_err ego_qa_states(ego_qa_session *s, ego_ctx *cx, ego_qa_item *const *items, size_t n,
                      const ego_tensor **states) {
    pair *pairs = calloc(n ? n : 1, sizeof *pairs);
    ego_err err = pairs ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && err == EGO_OK; i++) err = find_pair(s, items[i], &pairs[i]);
    ego_lower texts;
    if (err == EGO_OK) err = texts_of(s, cx, pairs, n, &texts);
    if (err == EGO_OK) *states = meet(s, cx, pairs, n, texts).video;
    for (size_t i = 0; i < n && pairs; i++) {
        ego_halves_drop(s->halves, pairs[i].clip);
        ego_halves_drop(s->halves, pairs[i].text);
    }
    s->pairs += n;
    free(pairs);
    return err;
}
