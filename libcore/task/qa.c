#include "task/qa.h"

#include "base/hash.h"
#include "base/options.h"
#include "base/rng.h"
#include "data/locate.h"
#include "model/heads.h"
#include "task/memo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WINDOW = 64 };

struct ego_qa_session {
    ego_ctx *cx;
    ego_model *model;
    ego_qa_options options;
    ego_memo *memo;
    ego_clips *clips;
    ego_qa_counts counts;
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
                             ego_qa_clip *clip) {
    size_t n = strlen(interval) + sizeof "qa_videos/", uid = strcspn(interval, "|");
    char *name = ego_arena_alloc(arena, n);
    int64_t from, to;
    if (!name) return ego_fail(EGO_ENOMEM, "out of memory");
    snprintf(name, n, "%s", interval);
    *clip = (ego_qa_clip){.video = name, .whole = true};
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
    *clip = (ego_qa_clip){.video = name, .start = (double)from / fps, .end = (double)to / fps};
    return EGO_OK;
}

/* ---- the session ----------------------------------------------------------------------------- */

unsigned ego_qa_needs(const ego_qa_options *options) {
    return EGO_NEEDS_FUSED | (options->match ? EGO_NEEDS_VTM : 0u);
}

ego_err ego_qa_open(ego_ctx *cx, ego_model *model, const ego_qa_options *options,
                    ego_qa_session **out) {
    size_t positions = (size_t)model->config.max_positions - 2;
    ego_qa_session *s = calloc(1, sizeof *s);
    if (!s) return ego_fail(EGO_ENOMEM, "out of memory");
    *s = (ego_qa_session){.cx = cx, .model = model, .options = *options};
    if (!s->options.memory) s->options.memory = (size_t)512 << 20;
    if (!s->options.max_tokens || s->options.max_tokens > positions)
        s->options.max_tokens = positions;
    ego_err err = ego_model_require(model, ego_qa_needs(options));
    if (err == EGO_OK && !model->bpe)
        err = ego_fail(EGO_EINPUT, "the model has no vocabulary: give --tokenizer DIR");
    if (err == EGO_OK) err = ego_memo_new(s->options.memory, &s->memo);
    if (err == EGO_OK) err = ego_clips_open(&s->options.clips, &s->clips);
    if (err != EGO_OK) {
        ego_qa_close(s);
        return err;
    }
    *out = s;
    return EGO_OK;
}

void ego_qa_close(ego_qa_session *s) {
    if (!s) return;
    ego_clips_close(s->clips);
    ego_memo_free(s->memo);
    free(s);
}

ego_qa_counts ego_qa_get_counts(const ego_qa_session *s) { return s->counts; }

/* ---- lower halves ---------------------------------------------------------------------------- */

static void fail_entry(ego_memo_entry *e, ego_err err) {
    e->err = err;
    e->message = strdup(ego_err_message());
}

static ego_err keep(ego_qa_session *s, ego_memo_entry *e, const ego_tensor *state) {
    EGO_TRY(ego_ctx_err(s->cx));
    return ego_memo_keep(s->memo, e, &e->state, state, 0, ego_tensor_rows(state));
}

static ego_err compute_clip(ego_qa_session *s, ego_memo_entry *e, float *pixels) {
    const ego_config *c = &s->model->config;
    ego_tensor clip = {pixels, EGO_F32, 5, {1, c->frames, 3, c->image_size, c->image_size}};
    ego_ctx_mark mark = ego_ctx_save(s->cx);
    ego_err err = keep(s, e, ego_fused_begin_video(s->cx, s->model, &clip));
    ego_ctx_rewind(s->cx, &mark);
    s->counts.clips++;
    return err;
}

static ego_err compute_text(ego_qa_session *s, ego_memo_entry *e, const char *text) {
    ego_tokens tokens = {0};
    EGO_TRY(ego_bpe_encode(s->model->bpe, text, strlen(text), s->options.max_tokens, &tokens));
    int64_t offsets[2] = {0, (int64_t)tokens.count};
    ego_ctx_mark mark = ego_ctx_save(s->cx);
    ego_err err =
        keep(s, e, ego_fused_begin_text(s->cx, s->model, (ego_texts){tokens.ids, {1, offsets}}));
    ego_ctx_rewind(s->cx, &mark);
    ego_tokens_release(&tokens);
    s->counts.texts++;
    return err;
}

/* Takes the clips that were asked for, in order, and computes them while the next are read. */
static ego_err take_clip(ego_qa_session *s) {
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

static ego_err ask_clip(ego_qa_session *s, const ego_qa_clip *c, const char *name,
                        ego_memo_entry *e) {
    while (!ego_clips_room(s->clips)) EGO_TRY(take_clip(s));
    return ego_clips_submit(
        s->clips, &(ego_clip_request){.video = c->video,
                                      .whole = c->whole,
                                      .start = c->start,
                                      .end = c->end,
                                      .tag = (uint64_t)(uintptr_t)e,
                                      .draw = s->options.clips.sampling == EGO_SAMPLING_TASKQA,
                                      .stream = ego_rng_stream(s->options.seed, ego_fnv1a(name))});
}

/* The entries of the items' clips, each pinned by its item. */
static ego_err gather_clips(ego_qa_session *s, const ego_qa_item *items, size_t n,
                            ego_memo_entry **clips, ego_buf *name) {
    bool fresh;
    for (size_t i = 0; i < n; i++) {
        const ego_qa_clip *c = &items[i].clip;
        ego_buf_clear(name);
        if (c->whole)
            ego_buf_printf(name, "clip %s", c->video);
        else
            ego_buf_printf(name, "clip %a %a %s", c->start, c->end, c->video);
        EGO_TRY(ego_buf_err(name));
        EGO_TRY(ego_memo_get(s->memo, name->data, &clips[i], &fresh));
        if (fresh) EGO_TRY(ask_clip(s, c, name->data, clips[i]));
    }
    EGO_TRY(ego_clips_flush(s->clips));
    while (ego_clips_outstanding(s->clips)) EGO_TRY(take_clip(s));
    return EGO_OK;
}

static ego_err find_text(ego_qa_session *s, const char *text, ego_memo_entry **entry,
                         ego_buf *name) {
    bool fresh;
    ego_buf_clear(name);
    ego_buf_printf(name, "text %s", text);
    EGO_TRY(ego_buf_err(name));
    EGO_TRY(ego_memo_get(s->memo, name->data, entry, &fresh));
    if (!fresh) return EGO_OK;
    ego_err err = compute_text(s, *entry, text);
    if (err != EGO_OK) fail_entry(*entry, err);
    return err == EGO_ENOMEM ? err : EGO_OK;
}

/* ---- upper halves ---------------------------------------------------------------------------- */

typedef struct pair {
    ego_qa_item *item;
    size_t k; /* which of its texts */
    ego_memo_entry *clip, *text;
} pair;

static ego_tensor *stack_clips(ego_ctx *cx, const pair *pairs, int64_t n) {
    const ego_tensor *first = &pairs[0].clip->state;
    int64_t T = first->shape[0], D = first->shape[1];
    ego_tensor *all = EGO_TENSOR(cx, n * T, D);
    for (int64_t i = 0; all && i < n; i++)
        memcpy(ego_f32(all) + i * T * D, pairs[i].clip->state.data,
               (size_t)(T * D) * sizeof(float));
    return all;
}

static ego_tensor *stack_texts(ego_ctx *cx, const pair *pairs, int64_t n, int64_t *offsets) {
    int64_t D = pairs[0].text->state.shape[1];
    offsets[0] = 0;
    for (int64_t i = 0; i < n; i++) offsets[i + 1] = offsets[i] + pairs[i].text->state.shape[0];
    ego_tensor *all = EGO_TENSOR(cx, offsets[n], D);
    for (int64_t i = 0; all && i < n; i++)
        memcpy(ego_f32(all) + offsets[i] * D, pairs[i].text->state.data,
               (size_t)((offsets[i + 1] - offsets[i]) * D) * sizeof(float));
    return all;
}

/* The upper half of all pairs in one pass; {NULL} after a failure, which the context keeps. */
static ego_states meet(const ego_qa_session *s, ego_ctx *cx, const pair *pairs, size_t count,
                       ego_want want_text) {
    int64_t n = (int64_t)count, *offsets = ego_ctx_alloc(cx, (count + 1) * sizeof *offsets);
    if (!offsets) return (ego_states){0};
    ego_tensor *video = stack_clips(cx, pairs, n), *text = stack_texts(cx, pairs, n, offsets);
    return ego_fused_finish(cx, s->model, video, text, (ego_text_shape){n, offsets}, EGO_WANT_CLASS,
                            want_text);
}

static ego_err finish(ego_qa_session *s, const pair *pairs, size_t count) {
    ego_ctx *cx = s->cx;
    int64_t n = (int64_t)count, D = s->model->config.dim;
    ego_tensor *p = NULL;
    ego_states x = meet(s, cx, pairs, count, s->options.match ? EGO_WANT_CLASS : EGO_WANT_NOTHING);
    if (s->options.match)
        p = ego_softmax(cx, ego_match_logits(cx, s->model->params, x.text, x.video));
    EGO_TRY(ego_ctx_err(cx));
    for (int64_t i = 0; i < n; i++) {
        const pair *q = &pairs[i];
        if (q->item->states)
            memcpy(q->item->states + (int64_t)q->k * D, ego_f32(x.video) + i * D,
                   (size_t)D * sizeof(float));
        if (q->item->matches && p) q->item->matches[q->k] = ego_f32(p)[2 * i + 1];
    }
    s->counts.pairs += count;
    return EGO_OK;
}

static ego_err finish_pairs(ego_qa_session *s, pair *pairs, size_t n) {
    ego_ctx_mark mark = ego_ctx_save(s->cx);
    ego_err err = n ? finish(s, pairs, n) : EGO_OK;
    ego_ctx_rewind(s->cx, &mark);
    for (size_t i = 0; i < n; i++) ego_memo_unpin(s->memo, pairs[i].text);
    return err;
}

static void fail_item(ego_qa_item *item, const ego_memo_entry *text) {
    item->err = text->err;
    snprintf(item->message, sizeof item->message, "text: %s", text->message ? text->message : "");
}

/* All pairs of a window, so many in a pass as the model likes. pairs: room for `most`. */
static ego_err ask_pairs(ego_qa_session *s, ego_qa_item *items, size_t n, ego_memo_entry **clips,
                         pair *pairs, size_t most, ego_buf *name) {
    size_t gathered = 0;
    ego_err err = EGO_OK;
    for (size_t i = 0; i < n && err == EGO_OK; i++)
        for (size_t k = 0; k < items[i].count && items[i].err == EGO_OK && err == EGO_OK; k++) {
            ego_memo_entry *text = NULL;
            err = find_text(s, items[i].texts[k], &text, name);
            if (!text) break;
            pairs[gathered++] = (pair){&items[i], k, clips[i], text};
            if (text->err != EGO_OK) {
                fail_item(&items[i], text);
                ego_memo_unpin(s->memo, pairs[--gathered].text);
            }
            if (gathered < most || err != EGO_OK) continue;
            err = finish_pairs(s, pairs, gathered);
            gathered = 0;
        }
    if (err == EGO_OK) return finish_pairs(s, pairs, gathered);
    for (size_t i = 0; i < gathered; i++) ego_memo_unpin(s->memo, pairs[i].text);
    return err;
}

/* The clips of a window, with their errors told to its items. */
static ego_err open_window(ego_qa_session *s, ego_qa_item *items, size_t n, ego_memo_entry **clips,
                           ego_buf *name) {
    EGO_TRY(gather_clips(s, items, n, clips, name));
    for (size_t i = 0; i < n; i++) {
        items[i].err = clips[i]->err;
        if (clips[i]->err != EGO_OK)
            snprintf(items[i].message, sizeof items[i].message, "%s",
                     clips[i]->message ? clips[i]->message : "");
    }
    return EGO_OK;
}

static void close_window(ego_qa_session *s, size_t n, ego_memo_entry **clips) {
    for (size_t i = 0; i < n; i++)
        if (clips[i]) ego_memo_unpin(s->memo, clips[i]);
}

static ego_err ask_window(ego_qa_session *s, ego_qa_item *items, size_t n, ego_buf *name) {
    ego_memo_entry *clips[MAX_WINDOW] = {NULL};
    size_t most = (size_t)ego_good_batch(s->model);
    pair *pairs = malloc(most * sizeof *pairs);
    if (!pairs) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_err err = open_window(s, items, n, clips, name);
    if (err == EGO_OK) err = ask_pairs(s, items, n, clips, pairs, most, name);
    close_window(s, n, clips);
    free(pairs);
    return err;
}

static ego_err prepare_window(ego_qa_session *s, ego_qa_item *items, size_t n, ego_buf *name) {
    ego_memo_entry *clips[MAX_WINDOW] = {NULL}, *text;
    ego_err err = open_window(s, items, n, clips, name);
    for (size_t i = 0; i < n && err == EGO_OK; i++)
        for (size_t k = 0; k < items[i].count && err == EGO_OK; k++) {
            text = NULL;
            err = find_text(s, items[i].texts[k], &text, name);
            if (!text) break;
            if (text->err != EGO_OK && items[i].err == EGO_OK) fail_item(&items[i], text);
            ego_memo_unpin(s->memo, text);
        }
    close_window(s, n, clips);
    return err;
}

/* How many clips' states may be held on to at once. */
static size_t window_of(const ego_qa_session *s) {
    const ego_config *c = &s->model->config;
    size_t state = (size_t)(ego_config_tokens(c, c->frames) * c->dim) * sizeof(float);
    size_t n = s->options.memory / 2 / state;
    return n < 1 ? 1 : n > MAX_WINDOW ? MAX_WINDOW : n;
}

typedef ego_err window_work(ego_qa_session *s, ego_qa_item *items, size_t n, ego_buf *name);

static ego_err by_windows(ego_qa_session *s, ego_qa_item *items, size_t n, window_work *work) {
    ego_buf name = {0};
    ego_err err = EGO_OK;
    for (size_t i = 0, step = window_of(s); i < n && err == EGO_OK; i += step)
        err = work(s, items + i, step < n - i ? step : n - i, &name);
    ego_buf_release(&name);
    return err;
}

ego_err ego_qa_ask(ego_qa_session *s, ego_qa_item *items, size_t n) {
    return by_windows(s, items, n, ask_window);
}

ego_err ego_qa_prepare(ego_qa_session *s, ego_qa_item *items, size_t n) {
    return by_windows(s, items, n, prepare_window);
}

/* ---- states that gradients can be taken of --------------------------------------------------- */

static ego_err find_pair(ego_qa_session *s, ego_qa_item *item, pair *p, ego_buf *name) {
    *p = (pair){.item = item};
    EGO_TRY(gather_clips(s, item, 1, &p->clip, name));
    EGO_TRY(find_text(s, item->texts[0], &p->text, name));
    const ego_memo_entry *bad = p->clip->err != EGO_OK ? p->clip : p->text;
    return bad->err == EGO_OK ? EGO_OK : ego_fail(bad->err, "%s", bad->message ? bad->message : "");
}

ego_err ego_qa_states(ego_qa_session *s, ego_ctx *cx, ego_qa_item *const *items, size_t n,
                      const ego_tensor **states) {
    ego_buf name = {0};
    pair *pairs = calloc(n ? n : 1, sizeof *pairs);
    ego_err err = pairs ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && err == EGO_OK; i++) err = find_pair(s, items[i], &pairs[i], &name);
    if (err == EGO_OK) *states = meet(s, cx, pairs, n, EGO_WANT_NOTHING).video;
    for (size_t i = 0; i < n && pairs; i++) {
        if (pairs[i].clip) ego_memo_unpin(s->memo, pairs[i].clip);
        if (pairs[i].text) ego_memo_unpin(s->memo, pairs[i].text);
    }
    s->counts.pairs += n;
    ego_buf_release(&name);
    free(pairs);
    return err;
}
