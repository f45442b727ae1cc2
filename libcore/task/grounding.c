#include "task/grounding.h"

#include "media/sample.h"
#include "task/qa.h"
#include "task/vslnet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const double ego_grounding_lengths[] = {1, 1.5, 2, 3, 4, 6, 8, 12, 16};
const size_t ego_grounding_length_count =
    sizeof ego_grounding_lengths / sizeof *ego_grounding_lengths;

enum { MAX_TOGETHER = 256 };
static const int64_t MAX_BYTES = (int64_t)512 << 20; /* of fused features held at a time */

struct ego_grounding {
    ego_ctx *cx;
    ego_model *model;
    ego_grounding_options options;
    double lengths[EGO_GROUNDING_MAX_LENGTHS];
    ego_feature_reader *reader;
};

static unsigned wanted_by_head(bool fast) {
    return EGO_FEATURES_WORDS | (fast ? EGO_FEATURES_DUAL : EGO_FEATURES_FUSED);
}

static unsigned wanted(const ego_grounding_options *o) {
    if (o->head) return wanted_by_head(o->fast);
    unsigned bits = 0;
    if (o->mode != EGO_GROUNDING_FUSED) bits |= EGO_FEATURES_PROJECTED | EGO_FEATURES_SENTENCE;
    if (o->mode != EGO_GROUNDING_DUAL) bits |= EGO_FEATURES_MATCH;
    return bits;
}

unsigned ego_grounding_needs(const ego_grounding_options *options) {
    return ego_features_need(wanted(options));
}

/* ---- opening --------------------------------------------------------------------------------- */

static ego_err check_head(const ego_head *head, const ego_model *model) {
    if (head->kind != &ego_head_vslnet && head->kind != &ego_head_vslnet_small)
        return ego_fail(EGO_EINPUT, "%s: expected a head of kind %s or %s, found %s", head->path,
                        ego_head_vslnet.name, ego_head_vslnet_small.name, head->kind->name);
    const ego_vslnet_config *c = &head->config.vslnet;
    if (c->video_width != model->config.dim || c->query_width != model->config.dim)
        return ego_fail(EGO_EINPUT,
                        "%s: expects features %lld and %lld wide, those of the model are %lld wide",
                        head->path, (long long)c->video_width, (long long)c->query_width,
                        (long long)model->config.dim);
    return EGO_OK;
}

static ego_err take_lengths(ego_grounding *g) {
    const double *lengths = g->options.lengths ? g->options.lengths : ego_grounding_lengths;
    size_t n = g->options.lengths ? g->options.n_lengths : ego_grounding_length_count;
    if (n < 1 || n > EGO_GROUNDING_MAX_LENGTHS)
        return ego_fail(EGO_EINPUT, "windows: expected 1 to %d lengths, found %zu",
                        EGO_GROUNDING_MAX_LENGTHS, n);
    memcpy(g->lengths, lengths, n * sizeof *lengths);
    g->options.lengths = g->lengths;
    g->options.n_lengths = n;
    for (size_t i = 0; i < n; i++)
        if (!(lengths[i] > 0))
            return ego_fail(EGO_EINPUT, "windows: expected lengths above 0 s, found %g",
                            lengths[i]);
    return EGO_OK;
}

ego_err ego_grounding_open(ego_ctx *cx, ego_model *model, const ego_grounding_options *options,
                           ego_grounding **grounding) {
    ego_grounding *g = calloc(1, sizeof *g);
    if (!g) return ego_fail(EGO_ENOMEM, "out of memory");
    *g = (ego_grounding){.cx = cx, .model = model, .options = *options};
    if (g->options.answers < 1) g->options.answers = 1;
    if (g->options.answers > EGO_GROUNDING_MAX_ANSWERS)
        g->options.answers = EGO_GROUNDING_MAX_ANSWERS;
    g->options.features.max_tokens = options->head ? EGO_GROUNDING_TOKENS : 0;
    ego_err err = take_lengths(g);
    if (err == EGO_OK && options->head) err = check_head(options->head, model);
    if (err == EGO_OK) err = ego_features_open(cx, model, &g->options.features, &g->reader);
    if (err == EGO_OK)
        *grounding = g;
    else
        ego_grounding_close(g);
    return err;
}

void ego_grounding_close(ego_grounding *g) {
    if (!g) return;
    ego_features_close(g->reader);
    free(g);
}

ego_feature_counts ego_grounding_get_counts(ego_grounding *g) {
    return ego_features_get_counts(g->reader);
}

void ego_grounding_item_release(ego_grounding_item *item) {
    free(item->spans);
    free(item->curve);
    item->spans = NULL;
    item->curve = NULL;
    item->found = 0;
    item->curve_count = 0;
}

static void fail_item(ego_grounding_item *item, ego_err err, const char *message) {
    item->err = err;
    snprintf(item->message, sizeof item->message, "%s", message);
}

static ego_err make_answer(const ego_grounding *g, const ego_clip_grid *grid, int64_t curve_count,
                           ego_grounding_item *item) {
    item->start = grid->start;
    item->end = grid->end;
    item->spans = calloc(g->options.answers, sizeof *item->spans);
    item->curve = calloc((size_t)curve_count, sizeof *item->curve);
    item->curve_count = curve_count;
    return item->spans && item->curve ? EGO_OK
                                      : ego_fail(EGO_ENOMEM, "out of memory for an answer");
}

/* ---- zero-shot ------------------------------------------------------------------------------- */

/* The windows of one video, and what of their scores does not depend on the text. */
typedef struct windows {
    ego_window *of;
    double *length; /* of the sum of a window's embeddings; NULL: not wanted */
    ego_span *spans;
    double *upto; /* (T + 1): sums of a curve up to each clip */
    size_t n;
} windows;

static void release_windows(windows *w) {
    free(w->of);
    free(w->length);
    free(w->spans);
    free(w->upto);
}

static ego_err make_windows(const ego_grounding *g, const ego_clip_grid *grid, windows *w) {
    const ego_grounding_options *o = &g->options;
    w->n = ego_windows(grid->count, grid->step, o->lengths, o->n_lengths, NULL, 0);
    w->of = calloc(w->n, sizeof *w->of);
    w->length = calloc(w->n, sizeof *w->length);
    w->spans = calloc(w->n, sizeof *w->spans);
    w->upto = calloc((size_t)grid->count + 1, sizeof *w->upto);
    if (!w->of || !w->length || !w->spans || !w->upto)
        return ego_fail(EGO_ENOMEM, "out of memory for %zu windows", w->n);
    ego_windows(grid->count, grid->step, o->lengths, o->n_lengths, w->of, w->n);
    for (size_t i = 0; i < w->n; i++) {
        int64_t end = w->of[i].first + w->of[i].count;
        w->spans[i].start = grid->start + (double)w->of[i].first * grid->step;
        w->spans[i].end = end == grid->count
                              ? fmin(grid->end, grid->start + (double)end * grid->step)
                              : grid->start + (double)end * grid->step;
    }
    return EGO_OK;
}

static void add_row(const ego_tensor *x, int64_t row, double sign, double *sum) {
    int64_t P = ego_tensor_columns(x);
    for (int64_t c = 0; c < P; c++) sum[c] += sign * (double)ego_f32(x)[row * P + c];
}

/* |Σ e| of each window. Windows of one length follow each other: what a window shares with the one
 * before it stays in the sum, clips move in and out. */
static ego_err measure_windows(const ego_tensor *embeddings, windows *w) {
    int64_t P = ego_tensor_columns(embeddings), from = 0, to = 0;
    double *sum = calloc((size_t)P, sizeof *sum);
    if (!sum) return ego_fail(EGO_ENOMEM, "out of memory for windows");
    for (size_t i = 0; i < w->n; i++) {
        int64_t first = w->of[i].first, end = first + w->of[i].count;
        if (first < from || first >= to) { /* another length: from nothing */
            memset(sum, 0, (size_t)P * sizeof *sum);
            from = to = first;
        }
        while (to < end) add_row(embeddings, to++, 1, sum);
        while (from < first) add_row(embeddings, from++, -1, sum);
        double square = 0;
        for (int64_t c = 0; c < P; c++) square += sum[c] * sum[c];
        w->length[i] = sqrt(square);
    }
    free(sum);
    return EGO_OK;
}

/* Adds to each window's score `weight` times the sum of a curve over it, divided by its length or its number
 * of clips. */
static void add_scores(windows *w, const float *curve, int64_t T, double weight, bool dual) {
    w->upto[0] = 0;
    for (int64_t i = 0; i < T; i++) w->upto[i + 1] = w->upto[i] + (double)curve[i];
    for (size_t i = 0; i < w->n; i++) {
        int64_t first = w->of[i].first, count = w->of[i].count;
        double sum = w->upto[first + count] - w->upto[first];
        w->spans[i].score += weight * sum / (dual ? fmax(w->length[i], 1e-8) : (double)count);
    }
}

static void cosines(const ego_tensor *clips, const ego_tensor *sentence, float *out) {
    int64_t T = ego_tensor_rows(clips), P = ego_tensor_columns(clips);
    for (int64_t t = 0; t < T; t++) {
        double sum = 0;
        for (int64_t c = 0; c < P; c++)
            sum += (double)ego_f32(clips)[t * P + c] * (double)ego_f32(sentence)[c];
        out[t] = (float)sum;
    }
}

static ego_err answer_zero_shot(const ego_grounding *g, const ego_clip_features *f, windows *w,
                                size_t i, ego_grounding_item *item) {
    int64_t T = f->grid.count;
    const ego_text_features *text = &f->texts[i];
    EGO_TRY(make_answer(g, &f->grid, T, item));
    for (size_t k = 0; k < w->n; k++) w->spans[k].score = 0;
    if (text->sentence.data) {
        cosines(&f->projected, &text->sentence, item->curve);
        add_scores(w, item->curve, T, 1, true);
    }
    if (text->match.data) {
        float weight = g->options.mode == EGO_GROUNDING_ENSEMBLE ? g->model->config.ensemble : 1;
        add_scores(w, ego_f32(&text->match), T, (double)weight, false);
        for (int64_t t = 0; t < T; t++) item->curve[t] += weight * ego_f32(&text->match)[t];
    }
    return ego_spans_best(w->spans, w->n, g->options.overlap, g->options.answers, item->spans,
                          &item->found);
}

/* ---- with a head ----------------------------------------------------------------------------- */

/* The answer in clips as spans of the video. More of them than are wanted where some must not
 * overlap. */
static ego_err choose(const ego_grounding *g, const ego_clip_grid *grid,
                      const ego_vslnet_output *out, int64_t n, ego_grounding_item *item) {
    double duration = grid->end - grid->start;
    int64_t all = n * (n + 1) / 2, want = (int64_t)g->options.answers;
    int64_t room = g->options.overlap < 1 || want > all ? all : want;
    ego_vslnet_answer *answers = calloc((size_t)room, sizeof *answers);
    ego_span *spans = calloc((size_t)room, sizeof *spans);
    ego_err err = answers && spans ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for answers");
    if (err == EGO_OK) {
        int64_t found = ego_vslnet_best(ego_f32(out->start), ego_f32(out->end), n, room, answers);
        for (int64_t i = 0; i < found; i++) {
            ego_vslnet_span s = answers[i].span;
            spans[i] = (ego_span){grid->start + (double)ego_vslnet_start(s.start, n, duration),
                                  grid->start + (double)ego_vslnet_end(s.end, n, duration),
                                  answers[i].score};
        }
        err = ego_spans_best(spans, (size_t)found, g->options.overlap, (size_t)want, item->spans,
                             &item->found);
    }
    free(answers);
    free(spans);
    return err;
}

static ego_err run_head(const ego_grounding *g, const ego_clip_features *f, size_t i,
                        ego_grounding_item *item) {
    ego_head *head = g->options.head;
    ego_ctx *cx = g->cx;
    const ego_tensor *features = g->options.fast ? &f->dual : &f->texts[i].fused;
    int64_t most = head->config.vslnet.positions, n = features->shape[0], D = features->shape[1];
    ego_tensor *video = EGO_TENSOR(cx, n < most ? n : most, D);
    EGO_TRY(ego_ctx_err(cx));
    ego_vslnet_pool(ego_f32(features), n, D, most, ego_f32(video), &n);
    ego_tensor words = f->texts[i].words;
    ego_vslnet_input in = {.video = video, .query = &words, .clips = n, .tokens = words.shape[0]};
    ego_vslnet_output out;
    EGO_TRY(ego_vslnet_forward(cx, head, &in, &out));
    EGO_TRY(make_answer(g, &f->grid, n, item));
    memcpy(item->curve, out.highlight->data, (size_t)n * sizeof *item->curve);
    return choose(g, &f->grid, &out, n, item);
}

static ego_err answer_by_head(const ego_grounding *g, const ego_clip_features *f, size_t i,
                              ego_grounding_item *item) {
    ego_ctx_mark mark = ego_ctx_save(g->cx);
    ego_err err = run_head(g, f, i, item);
    ego_ctx_rewind(g->cx, &mark);
    return err;
}

/* ---- questions ------------------------------------------------------------------------------- */

/* Questions as the published reader has them; NULL-terminated copies, freed with
 * release_questions. */
static ego_err make_questions(const char *const *texts, size_t n, char **questions) {
    for (size_t i = 0; i < n; i++) {
        ego_buf text = {0};
        ego_qa_question_text(texts[i], &text);
        EGO_TRY(ego_buf_err(&text));
        questions[i] = text.data ? text.data : strdup("");
        if (!questions[i]) return ego_fail(EGO_ENOMEM, "out of memory for questions");
    }
    return EGO_OK;
}

static void release_questions(char **questions, size_t n) {
    for (size_t i = 0; questions && i < n; i++) free(questions[i]);
    free(questions);
}

ego_err ego_grounding_features(ego_feature_reader *reader, const ego_video_part *part,
                               const char *const *questions, size_t n, bool fast,
                               ego_clip_features *features) {
    char **texts = calloc(n + 1, sizeof *texts);
    *features = (ego_clip_features){0};
    ego_err err = texts ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for questions");
    if (err == EGO_OK) err = make_questions(questions, n, texts);
    if (err == EGO_OK)
        err = ego_features_read(reader, part, (const char *const *)texts, n, wanted_by_head(fast),
                                features);
    release_questions(texts, n);
    return err;
}

/* How many questions go through together: their fused features are held at the same time. */
static size_t together(const ego_grounding *g, const ego_video_part *part) {
    if (!g->options.head || g->options.fast) return MAX_TOGETHER;
    ego_clip_grid grid;
    int64_t T =
        1024; /* where the video is gone and the store has its features, about a clip of Ego4D */
    if (ego_clip_grid_make(g->options.features.video_root, part, g->options.features.sampling,
                           (int)g->model->config.frames, &grid) == EGO_OK) {
        T = grid.count;
        ego_clip_grid_release(&grid);
    }
    int64_t n = MAX_BYTES / (T * g->model->config.dim * (int64_t)sizeof(float));
    return n < 1 ? 1 : n > MAX_TOGETHER ? MAX_TOGETHER : (size_t)n;
}

static ego_err read_features(ego_grounding *g, const ego_video_part *part,
                             const ego_grounding_item *items, size_t n, ego_clip_features *f) {
    const char *texts[MAX_TOGETHER];
    for (size_t i = 0; i < n; i++) texts[i] = items[i].text;
    if (g->options.head)
        return ego_grounding_features(g->reader, part, texts, n, g->options.fast, f);
    return ego_features_read(g->reader, part, texts, n, wanted(&g->options), f);
}

static ego_err answer_all(ego_grounding *g, const ego_clip_features *f, ego_grounding_item *items,
                          size_t n) {
    windows w = {0};
    ego_err err = EGO_OK;
    if (!g->options.head) err = make_windows(g, &f->grid, &w);
    if (err == EGO_OK && f->projected.data) err = measure_windows(&f->projected, &w);
    for (size_t i = 0; err == EGO_OK && i < n; i++) {
        if (f->texts[i].err != EGO_OK)
            fail_item(&items[i], f->texts[i].err, f->texts[i].message);
        else
            err = g->options.head ? answer_by_head(g, f, i, &items[i])
                                  : answer_zero_shot(g, f, &w, i, &items[i]);
    }
    release_windows(&w);
    return err;
}

static ego_err ask(ego_grounding *g, const ego_video_part *part, ego_grounding_item *items,
                   size_t n) {
    ego_clip_features f;
    ego_err err = read_features(g, part, items, n, &f);
    if (err == EGO_OK) err = answer_all(g, &f, items, n);
    ego_features_release(&f);
    if (err == EGO_OK || err == EGO_ENOMEM || err == EGO_ECANCELLED) return err;
    for (size_t i = 0; i < n; i++) {
        ego_grounding_item_release(&items[i]);
        fail_item(&items[i], err, ego_err_message());
    }
    return EGO_OK;
}

ego_err ego_grounding_ask(ego_grounding *g, const ego_video_part *part, ego_grounding_item *items,
                          size_t n) {
    for (size_t i = 0; i < n; i++) items[i] = (ego_grounding_item){.text = items[i].text};
    size_t most = n ? together(g, part) : 1;
    for (size_t i = 0; i < n; i += most)
        EGO_TRY(ask(g, part, items + i, n - i < most ? n - i : most));
    return EGO_OK;
}
