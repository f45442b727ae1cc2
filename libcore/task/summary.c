#include "task/summary.h"

#include "model/heads.h"
#include "model/layers.h"
#include "task/halves.h"
#include "task/qfvs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BATCH = 16, MAX_PROMPTS = 4096 };
static const double FIT = 4; /* a part weighs e^(4 cosine) beside the others of its shot */

static bool is_dual(ego_summary_by by) {
    return by == EGO_SUMMARY_DUAL || by == EGO_SUMMARY_HEAD_OF_DUAL;
}

static bool is_head(ego_summary_by by) {
    return by == EGO_SUMMARY_HEAD || by == EGO_SUMMARY_HEAD_OF_DUAL;
}

unsigned ego_summary_needs(ego_summary_by by) {
    switch (by) {
    case EGO_SUMMARY_WHOLE: return EGO_NEEDS_FUSED;
    case EGO_SUMMARY_DUAL:
    case EGO_SUMMARY_HEAD_OF_DUAL:
        return EGO_NEEDS_VIDEO | EGO_NEEDS_TEXT | EGO_NEEDS_VIDEO_PROJECTION |
               EGO_NEEDS_TEXT_PROJECTION;
    default: return EGO_NEEDS_FUSED | EGO_NEEDS_VTM;
    }
}

int64_t ego_summary_width(ego_summary_by by, const ego_config *c) {
    return by == EGO_SUMMARY_HEAD_OF_DUAL ? c->projection[c->projections - 1] : c->dim;
}

/* ---- the table ----------------------------------------------------------------------------------- */

void ego_summary_release(ego_summary_table *t) {
    free(t->states);
    free(t->scores);
    free(t->features);
    free(t->empty);
    free(t->times);
    *t = (ego_summary_table){0};
}

static ego_err allocate(const ego_summary_options *o, ego_summary_table *t) {
    size_t row = (size_t)t->W * sizeof(float), cells = 0, bytes = 0;
    bool head = is_head(o->by), scored = t->prompts && !head, ok;
    ok = !__builtin_mul_overflow(t->n, t->prompts, &cells) &&
         !__builtin_mul_overflow(cells, row, &bytes);
    t->times = malloc((t->n + 1) * sizeof *t->times);
    t->states = ok ? malloc(t->n * (size_t)t->D * sizeof(float)) : NULL;
    if (ok && scored) t->scores = malloc(cells * sizeof *t->scores);
    if (ok && head) t->features = malloc(bytes);
    if (ok && head && o->reference) t->empty = malloc(t->prompts * row);
    if (t->times && t->states && (t->scores || !scored) && (t->features || !head) &&
        (t->empty || !head || !o->reference))
        return EGO_OK;
    return ego_fail(EGO_ENOMEM, "out of memory for %zu shots with %zu prompts", t->n, t->prompts);
}

/* ---- looking ------------------------------------------------------------------------------------- */

typedef struct look {
    ego_ctx *cx;
    ego_model *model;
    const ego_summary_options *options;
    ego_summary_table *table;
    ego_shots *shots;
    ego_halves *halves; /* of the prompts */
    ego_half **prompts;
    int64_t parts, batch; /* of a shot; shots */
} look;

static ego_err encode_prompts(look *l, const char *const *prompts) {
    unsigned wanted = is_dual(l->options->by) ? EGO_HALF_EMBEDDING : EGO_HALF_LOWER;
    ego_halves_options o = {.max_tokens = l->options->max_tokens};
    ego_model *m = l->model;
    if (l->table->prompts && !m->bpe)
        return ego_fail(EGO_EUNSUPPORTED, "%s: has no vocabulary for a prompt", m->path);
    if (!(l->prompts = calloc(l->table->prompts + 1, sizeof *l->prompts)))
        return ego_fail(EGO_ENOMEM, "out of memory");
    EGO_TRY(ego_halves_open(l->cx, m, wanted, &o, &l->halves));
    for (size_t k = 0; k < l->table->prompts; k++) {
        EGO_TRY(ego_halves_text(l->halves, prompts[k], &l->prompts[k]));
        EGO_TRY(ego_half_err(l->prompts[k]));
    }
    return EGO_OK;
}

/* ---- shots --------------------------------------------------------------------------------------- */

/* Of every `parts` rows of x, `stride` apart, the mean of the first D values: out (n, D). */
static void average(const float *x, size_t stride, size_t parts, size_t n, size_t D, float *out) {
    for (size_t i = 0; i < n; i++, x += parts * stride)
        for (size_t d = 0; d < D; d++) {
            double sum = 0;
            for (size_t p = 0; p < parts; p++) sum += (double)x[p * stride + d];
            *out++ = (float)(sum / (double)parts);
        }
}

/* Upper halves of n clips with one prompt: the parts of shots from `at` on; at NULL: one of nothing, into
 * table->empty. */
static ego_err meet(look *l, const ego_tensor *lower, int64_t n, size_t k, const size_t *at) {
    ego_summary_table *t = l->table;
    ego_params *params = l->model->params;
    bool head = l->options->by == EGO_SUMMARY_HEAD;
    ego_ctx_mark mark = ego_ctx_save(l->cx);
    ego_lower text = ego_lower_repeat(l->cx, &l->prompts[k]->lower, n);
    ego_met met = ego_meet(l->cx, l->model, lower, text, !head);
    const ego_tensor *out = met.match;
    if (head) out = ego_dense(l->cx, met.video, &params->video_transform, EGO_ACT_NONE, NULL);
    ego_err err = ego_ctx_err(l->cx);
    size_t D = (size_t)t->D, parts = (size_t)l->parts, count = (size_t)n / parts;
    if (err != EGO_OK)
        ;
    else if (!at)
        memcpy(t->empty + k * D, ego_f32(out), D * sizeof(float));
    else if (head)
        average(ego_f32(out), D, parts, count, D, t->features + (k * t->n + *at) * D);
    else
        average(ego_f32(out) + 1, 2, parts, count, 1, t->scores + k * t->n + *at);
    ego_ctx_rewind(l->cx, &mark);
    return err;
}

static ego_err fused_batch(look *l, const ego_tensor *clips, size_t at) {
    const ego_config *c = &l->model->config;
    int64_t n = clips->shape[0];
    ego_clip_shape shape = {n, c->frames, ego_config_patches(c)};
    ego_tensor *lower = ego_fused_begin_video(l->cx, l->model, clips);
    ego_tensor *states = ego_class_tokens(l->cx, lower, shape);
    EGO_TRY(ego_ctx_err(l->cx));
    size_t D = (size_t)l->table->D, parts = (size_t)l->parts;
    average(ego_f32(states), D, parts, (size_t)n / parts, D, l->table->states + at * D);
    for (size_t k = 0; k < l->table->prompts; k++) EGO_TRY(meet(l, lower, n, k, &at));
    return EGO_OK;
}

static double dot(const float *x, const float *y, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)y[i];
    return sum;
}

/* Embeddings y (shots · parts, W), of length 1, with one prompt's: a cosine each, or the head's features. */
static void compare(look *l, const float *y, size_t count, size_t k, size_t at) {
    ego_summary_table *t = l->table;
    const float *text = ego_f32(&l->prompts[k]->embedding);
    size_t W = (size_t)t->W, parts = (size_t)l->parts;
    for (size_t i = 0; i < count; i++, y += parts * W) {
        double weights[EGO_QFVS_PARTS], cosines = 0, sum = 0;
        for (size_t p = 0; p < parts; p++) {
            double cosine = dot(y + p * W, text, W);
            weights[p] = exp(FIT * cosine);
            sum += weights[p];
            cosines += weights[p] * cosine;
        }
        if (t->scores) t->scores[k * t->n + at + i] = (float)(cosines / sum);
        for (size_t d = 0; t->features && d < W; d++) {
            double mean = 0;
            for (size_t p = 0; p < parts; p++) mean += weights[p] * (double)y[p * W + d];
            t->features[(k * t->n + at + i) * W + d] =
                (float)((double)W * (double)text[d] * mean / sum);
        }
    }
}

static ego_err dual_batch(look *l, const ego_tensor *clips, size_t at) {
    ego_summary_table *t = l->table;
    ego_model *m = l->model;
    int64_t n = clips->shape[0];
    ego_input in = {.clips = clips, .video = EGO_WANT_CLASS};
    const ego_tensor *x = ego_encode(l->cx, m, &in, EGO_DUAL).video;
    const ego_tensor *y =
        ego_l2_normalize(l->cx, ego_project_video(l->cx, &m->config, m->params, x));
    EGO_TRY(ego_ctx_err(l->cx));
    size_t D = (size_t)t->D, parts = (size_t)l->parts, count = (size_t)n / parts;
    average(ego_f32(x), D, parts, count, D, t->states + at * D);
    for (size_t k = 0; k < t->prompts; k++) compare(l, ego_f32(y), count, k, at);
    return EGO_OK;
}

static ego_err run_batch(look *l, size_t at, int64_t n) {
    const ego_config *c = &l->model->config;
    int64_t each = l->parts * c->frames * 3 * c->image_size * c->image_size;
    ego_ctx_mark mark = ego_ctx_save(l->cx);
    ego_tensor *clips = EGO_TENSOR(l->cx, n * l->parts, c->frames, 3, c->image_size, c->image_size);
    ego_err err = EGO_OK;
    for (int64_t i = 0; clips && err == EGO_OK && i < n; i++)
        err = ego_shots_next(l->shots, ego_f32(clips) + i * each);
    if (err == EGO_OK && clips)
        err = is_dual(l->options->by) ? dual_batch(l, clips, at) : fused_batch(l, clips, at);
    ego_err failed = ego_ctx_err(l->cx);
    ego_ctx_rewind(l->cx, &mark);
    return err != EGO_OK ? err : failed;
}

static ego_err look_at_nothing(look *l) {
    const ego_config *c = &l->model->config;
    int64_t T = ego_config_tokens(c, c->frames);
    ego_ctx_mark mark = ego_ctx_save(l->cx);
    ego_tensor *zero = EGO_TENSOR(l->cx, T, l->table->D);
    ego_err err = ego_ctx_err(l->cx);
    if (err == EGO_OK) memset(zero->data, 0, (size_t)(T * l->table->D) * sizeof(float));
    for (size_t k = 0; err == EGO_OK && k < l->table->prompts; k++) err = meet(l, zero, 1, k, NULL);
    ego_ctx_rewind(l->cx, &mark);
    return err;
}

static ego_err look_at_all(look *l, const char *const *prompts) {
    ego_summary_table *t = l->table;
    EGO_TRY(encode_prompts(l, prompts));
    if (t->empty) EGO_TRY(look_at_nothing(l));
    for (size_t at = 0; at < t->n; at += (size_t)l->batch) {
        if (!ego_progress_tell(l->options->progress, "shots", at, t->n))
            return ego_fail(EGO_ECANCELLED, "stopped");
        size_t left = t->n - at;
        EGO_TRY(run_batch(l, at, left < (size_t)l->batch ? (int64_t)left : l->batch));
    }
    ego_progress_tell(l->options->progress, "shots", t->n, t->n);
    return EGO_OK;
}

ego_err ego_summary_look(ego_ctx *cx, ego_model *model, const ego_summary_options *options,
                         const char *video, const char *const *prompts, size_t n,
                         ego_summary_table *table) {
    int64_t W = ego_summary_width(options->by, &model->config);
    ego_summary_table t = {.prompts = n, .D = model->config.dim, .W = W};
    look l = {.cx = cx, .model = model, .options = options, .table = &t};
    ego_shots_options shots = options->shots;
    l.parts = options->parts > 0 ? options->parts : 1;
    shots.frames = (int)(l.parts * model->config.frames);
    shots.size = (int)model->config.image_size;
    l.batch = ego_good_batch(model) < MAX_BATCH ? ego_good_batch(model) : MAX_BATCH;
    l.batch = l.batch > l.parts ? l.batch / l.parts : 1;
    ego_err err;
    bool none = options->by == EGO_SUMMARY_WHOLE, some = !none && options->by != EGO_SUMMARY_DUAL,
         quirks = options->by == EGO_SUMMARY_HEAD_OF_DUAL && options->reference;
    if (n > MAX_PROMPTS || (none && n) || (some && !n))
        return ego_fail(EGO_EINPUT, "expected %s, found %zu", n ? "fewer prompts" : "a prompt", n);
    if (l.parts > EGO_QFVS_PARTS)
        return ego_fail(EGO_EINPUT, "expected shots of at most %d parts, found %lld", EGO_QFVS_PARTS,
                        (long long)l.parts);
    if (quirks)
        return ego_fail(EGO_EINPUT,
                        "the published padding is of fused features, this head is of dual ones");
    EGO_TRY_OUT(ego_shots_open(video, &shots, &l.shots));
    t.n = ego_shots_count(l.shots);
    EGO_TRY_OUT(allocate(options, &t));
    for (size_t k = 0; k < t.n; k++) ego_shots_time(l.shots, k, &t.times[k], &t.times[k + 1]);
    EGO_TRY_OUT(look_at_all(&l, prompts));
    *table = t;
    t = (ego_summary_table){0};
out:
    ego_halves_close(l.halves);
    free(l.prompts);
    ego_shots_close(l.shots);
    ego_summary_release(&t);
    return err;
}

/* ---- scores -------------------------------------------------------------------------------------- */

/* The published grid: every segment 200 places long, what is empty filled with the features of
 * nothing. */
static ego_tensor *fill_places(ego_ctx *cx, const ego_summary_table *t, const ego_kts *segments,
                               size_t prompt, int64_t *first, float *bias) {
    size_t W = (size_t)t->W;
    ego_tensor *x = EGO_TENSOR(cx, (int64_t)segments->count * EGO_QFVS_PLACES, t->W);
    for (size_t s = 0; x && s < segments->count; s++) {
        size_t length = segments->starts[s + 1] - segments->starts[s];
        first[s + 1] = first[s] + EGO_QFVS_PLACES;
        for (size_t p = 0; p < EGO_QFVS_PLACES; p++) {
            size_t row = s * EGO_QFVS_PLACES + p;
            bias[row] = p < length ? 0 : 1;
            const float *from = p < length
                                    ? t->features + (prompt * t->n + segments->starts[s] + p) * W
                                    : t->empty + prompt * W;
            memcpy(ego_f32(x) + row * W, from, W * sizeof(float));
        }
    }
    return x;
}

static ego_err score_head(ego_ctx *cx, ego_head *head, bool reference, const ego_summary_table *t,
                          const ego_kts *segments, size_t prompt, float *scores) {
    size_t count = segments->count, W = (size_t)t->W;
    for (size_t s = 0; reference && s < count; s++)
        if (segments->starts[s + 1] - segments->starts[s] > EGO_QFVS_PLACES)
            return ego_fail(EGO_EINPUT, "the published padding takes segments of at most %d shots",
                            EGO_QFVS_PLACES);
    ego_ctx_mark mark = ego_ctx_save(cx);
    int64_t *first = ego_ctx_alloc(cx, (count + 1) * sizeof *first);
    float *bias = reference ? ego_ctx_alloc(cx, count * EGO_QFVS_PLACES * sizeof *bias) : NULL;
    ego_tensor *x = NULL;
    if (first && reference && bias) {
        first[0] = 0;
        x = fill_places(cx, t, segments, prompt, first, bias);
    } else if (first && !reference) {
        for (size_t s = 0; s <= count; s++) first[s] = (int64_t)segments->starts[s];
        if ((x = EGO_TENSOR(cx, (int64_t)t->n, t->W)))
            memcpy(x->data, t->features + prompt * t->n * W, t->n * W * sizeof(float));
    }
    const ego_tensor *y =
        x ? ego_qfvs_logits(cx, head, x, (ego_groups){first, (int64_t)count}, bias) : NULL;
    ego_err err = ego_ctx_err(cx);
    for (size_t s = 0; err == EGO_OK && s < count; s++)
        memcpy(scores + segments->starts[s], ego_f32(y) + first[s],
               (segments->starts[s + 1] - segments->starts[s]) * sizeof *scores);
    ego_ctx_rewind(cx, &mark);
    return err;
}

static double cosine(const float *x, const double *mean, size_t D) {
    double dot = 0, xx = 0, mm = 0;
    for (size_t d = 0; d < D; d++) {
        dot += (double)x[d] * mean[d];
        xx += (double)x[d] * (double)x[d];
        mm += mean[d] * mean[d];
    }
    return dot / (fmax(sqrt(xx), 1e-8) * fmax(sqrt(mm), 1e-8));
}

static ego_err score_whole(const ego_summary_table *t, const ego_kts *segments, float *scores) {
    size_t D = (size_t)t->D;
    double *mean = malloc(D * sizeof *mean);
    if (!mean) return ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t s = 0; s < segments->count; s++) {
        size_t from = segments->starts[s], to = segments->starts[s + 1];
        memset(mean, 0, D * sizeof *mean);
        for (size_t i = from; i < to; i++)
            for (size_t d = 0; d < D; d++) mean[d] += (double)t->states[i * D + d];
        for (size_t i = from; i < to; i++) scores[i] = (float)cosine(t->states + i * D, mean, D);
    }
    free(mean);
    return EGO_OK;
}

ego_err ego_summary_score(ego_ctx *cx, ego_head *head, const ego_summary_options *o,
                          const ego_summary_table *t, const ego_kts *segments, size_t prompt,
                          float *scores) {
    if (o->by == EGO_SUMMARY_WHOLE) return score_whole(t, segments, scores);
    if (prompt >= t->prompts) return ego_fail(EGO_EINPUT, "no prompt number %zu", prompt);
    if (!is_head(o->by)) {
        memcpy(scores, t->scores + prompt * t->n, t->n * sizeof *scores);
        return EGO_OK;
    }
    if (head->kind != &ego_head_qfvs || head->config.qfvs.width != t->W)
        return ego_fail(EGO_EMODEL, "%s: expected a summary head for features of width %lld",
                        head->path, (long long)t->W);
    return score_head(cx, head, o->reference, t, segments, prompt, scores);
}

/* ---- choosing ------------------------------------------------------------------------------------ */

size_t ego_summary_length(size_t n, double ratio, double seconds, double shot_seconds) {
    double count =
        seconds > 0 ? floor(seconds / shot_seconds + 1e-9) : floor(ratio * (double)n + 1e-9);
    if (!(count >= 1)) return n < 1 ? n : 1;
    return count < (double)n ? (size_t)count : n;
}

typedef struct scored {
    float score;
    size_t shot;
} scored;

/* Higher first, of equal ones the earlier; what is no number last. */
static int by_score(const void *a, const void *b) {
    const scored *x = a, *y = b;
    if (isnan(x->score) != isnan(y->score)) return isnan(x->score) ? 1 : -1;
    if (x->score > y->score) return -1;
    if (x->score < y->score) return 1;
    return x->shot < y->shot ? -1 : x->shot > y->shot;
}

static int by_shot(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

ego_err ego_summary_choose(const float *scores, size_t n, size_t count, size_t *chosen) {
    scored *all = malloc((n ? n : 1) * sizeof *all);
    if (!all) return ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) all[i] = (scored){scores[i], i};
    qsort(all, n, sizeof *all, by_score);
    for (size_t i = 0; i < count; i++) chosen[i] = all[i].shot;
    qsort(chosen, count, sizeof *chosen, by_shot);
    free(all);
    return EGO_OK;
}

static size_t length_of(const ego_kts *segments, size_t s) {
    return segments->starts[s + 1] - segments->starts[s];
}

/* The segment that the next shot is given to: see the header. */
static size_t next_share(const ego_kts *segments, const size_t *given) {
    size_t best = segments->count;
    for (size_t s = 0; s < segments->count; s++) {
        if (given[s] == length_of(segments, s)) continue;
        if (best == segments->count) {
            best = s;
            continue;
        }
        size_t mine = length_of(segments, s), other = length_of(segments, best);
        bool more = !given[s] == !given[best]
                        ? given[s] ? mine * given[best] > other * given[s] : mine > other
                        : !given[s];
        if (more) best = s;
    }
    return best;
}

ego_err ego_summary_spread(const float *scores, const ego_kts *segments, size_t count,
                           size_t *chosen) {
    size_t *given = calloc(segments->count, sizeof *given), n = 0;
    if (!given) return ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) given[next_share(segments, given)]++;
    for (size_t s = 0; s < segments->count; s++)
        for (size_t k = 0; k < given[s]; k++) {
            size_t length = length_of(segments, s),
                   from = segments->starts[s] + k * length / given[s];
            size_t to = segments->starts[s] + (k + 1) * length / given[s], best = from;
            for (size_t i = from + 1; i < to; i++)
                if (scores[i] > scores[best]) best = i;
            chosen[n++] = best;
        }
    free(given);
    return EGO_OK;
}
