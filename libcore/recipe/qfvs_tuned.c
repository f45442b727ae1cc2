#include "recipe/qfvs_tuned.h"

#include "base/rng.h"
#include "model/layers.h"
#include "task/halves.h"
#include "task/qfvs.h"

#include <stdlib.h>
#include <string.h>

/* Lower halves of a video's shots. */
typedef struct seen {
    ego_tensor *lower; /* [count], each (T, D) */
    size_t count;
} seen;

typedef struct videos {
    ego_qfvs_rows rows;
    seen *seen; /* of each */
} videos;

typedef struct sample {
    const ego_qfvs_video *video;
    const ego_qfvs_query *query;
    const seen *seen;
} sample;

struct ego_qfvs_tuned {
    ego_qfvs_tuned_options options;
    ego_model *model;
    ego_head *head;
    ego_halves *prompts;
    videos train, held_out;
    sample *samples;
    int64_t sample_count;
};

bool ego_param_of_summaries(const ego_model *m, const ego_param *p) {
    const ego_linear_params *transform = &m->params->video_transform;
    return p == &transform->weight || p == &transform->bias || ego_param_where_streams_meet(m, p);
}

/* ---- what learns ------------------------------------------------------------------------------- */

/* Lower halves of `count` shots from `first` on and of n prompts, pair by pair. */
static ego_err stack(ego_qfvs_tuned *t, ego_ctx *cx, const seen *s, size_t first, size_t count,
                     char *const *prompts, size_t n, ego_lower *shots, ego_lower *texts) {
    const ego_tensor **left = ego_ctx_alloc(cx, n * count * sizeof *left);
    const ego_tensor **right = ego_ctx_alloc(cx, n * count * sizeof *right);
    if (!left || !right) return ego_ctx_err(cx);
    for (size_t p = 0; p < n; p++) {
        ego_half *half;
        EGO_TRY(ego_halves_text(t->prompts, prompts[p], &half));
        ego_halves_drop(t->prompts, half); /* it is never forgotten */
        if (half->err != EGO_OK) return ego_fail(half->err, "'%s': %s", prompts[p], half->message);
        for (size_t k = 0; k < count; k++) {
            left[p * count + k] = &s->lower[first + k];
            right[p * count + k] = &half->lower;
        }
    }
    *shots = ego_lower_stack(cx, left, (int64_t)(n * count));
    *texts = ego_lower_stack(cx, right, (int64_t)(n * count));
    return ego_ctx_err(cx);
}

/* What the head takes: (n · count, D), prompt by prompt. */
static ego_err features(ego_qfvs_tuned *t, ego_ctx *cx, const seen *s, size_t first, size_t count,
                        char *const *prompts, size_t n, ego_tensor **out) {
    ego_lower shots, texts;
    EGO_TRY(stack(t, cx, s, first, count, prompts, n, &shots, &texts));
    ego_met met = ego_meet(cx, t->model, shots.rows, texts, false);
    *out = ego_dense(cx, met.video, &t->model->params->video_transform, EGO_ACT_NONE, NULL);
    return ego_ctx_err(cx);
}

/* The stretch around a shot that is drawn. */
static ego_qfvs_stretch draw(const ego_qfvs_tuned *t, const sample *s, uint64_t stream) {
    const ego_kts *k = &s->video->segments;
    size_t shot = ego_rng_below(stream, 0, (uint32_t)s->video->shots),
           most = (size_t)t->options.stretch, i = 0;
    while (k->starts[i + 1] <= shot) i++;
    size_t first = shot - (shot - k->starts[i]) % most, end = k->starts[i + 1];
    if (end > s->video->shots) end = s->video->shots; /* what the tags do not have */
    size_t count = end - first < most ? end - first : most;
    return (ego_qfvs_stretch){
        .video = s->video, .query = s->query, .first = first, .count = count, .rows = count};
}

static ego_err one_sample(ego_qfvs_tuned *t, ego_ctx *cx, const sample *s, uint64_t stream,
                          float share, ego_tensor *sums[EGO_QFVS_PROMPTS]) {
    ego_qfvs_stretch part = draw(t, s, stream);
    int64_t *starts = ego_ctx_alloc(cx, (EGO_QFVS_PROMPTS + 1) * sizeof *starts);
    ego_tensor *x;
    if (!starts) return ego_ctx_err(cx);
    for (size_t p = 0; p <= EGO_QFVS_PROMPTS; p++) starts[p] = (int64_t)(p * part.count);
    EGO_TRY(
        features(t, cx, s->seen, part.first, part.count, s->query->prompts, EGO_QFVS_PROMPTS, &x));
    ego_tensor *logits =
        ego_qfvs_logits(cx, t->head, x, (ego_groups){starts, EGO_QFVS_PROMPTS}, NULL);
    return ego_qfvs_add_losses(cx, logits, &part, share / (float)part.count, sums);
}

static ego_err losses(void *context, ego_ctx *cx, const ego_head_batch *batch, int64_t from,
                      int64_t n, ego_head_losses *out) {
    ego_qfvs_tuned *t = context;
    ego_tensor *sums[EGO_QFVS_PROMPTS] = {0};
    for (int64_t i = from; i < from + n; i++)
        EGO_TRY(one_sample(t, cx, &t->samples[batch->samples[i]], batch->streams[i],
                           1 / (float)batch->count, sums));
    ego_qfvs_name_losses(sums, out);
    return EGO_OK;
}

/* ---- validation -------------------------------------------------------------------------------- */

/* All shots with one prompt, so many in a pass as the model likes. */
static ego_err look_through(ego_qfvs_tuned *t, ego_ctx *cx, const seen *s, char *const *prompt,
                            ego_tensor *x) {
    size_t step = (size_t)ego_good_batch(t->model), D = (size_t)ego_tensor_columns(x);
    for (size_t at = 0; at < s->count; at += step) {
        size_t n = s->count - at < step ? s->count - at : step;
        ego_tensor *part;
        ego_ctx_mark mark = ego_ctx_save(cx);
        ego_err err = features(t, cx, s, at, n, prompt, 1, &part);
        if (err == EGO_OK) memcpy(ego_f32(x) + at * D, part->data, n * D * sizeof(float));
        ego_ctx_rewind(cx, &mark);
        EGO_TRY(err);
    }
    return EGO_OK;
}

static ego_err score_shots(void *context, ego_ctx *cx, const ego_qfvs_video *v,
                           const ego_qfvs_query *q, float *values) {
    ego_qfvs_tuned *t = context;
    const ego_kts *k = &v->segments;
    const seen *s = &t->held_out.seen[v - t->held_out.rows.videos];
    ego_tensor *x = EGO_TENSOR(cx, (int64_t)s->count, t->model->config.dim);
    int64_t *starts = ego_ctx_alloc(cx, (k->count + 1) * sizeof *starts);
    EGO_TRY(ego_ctx_err(cx));
    for (size_t i = 0; i <= k->count; i++) starts[i] = (int64_t)k->starts[i];
    EGO_TRY(look_through(t, cx, s, q->prompts + EGO_QFVS_PROMPTS - 1, x));
    const ego_tensor *logits =
        ego_qfvs_logits(cx, t->head, x, (ego_groups){starts, (int64_t)k->count}, NULL);
    EGO_TRY(ego_ctx_err(cx));
    memcpy(values, logits->data, v->shots * sizeof *values);
    return EGO_OK;
}

static ego_err validate(void *context, ego_ctx *cx, int64_t epochs, bool last, ego_run_numbers *out,
                        double *score) {
    ego_qfvs_tuned *t = context;
    const ego_qfvs_tuned_options *o = &t->options;
    (void)epochs, (void)last;
    return ego_qfvs_validate(&t->held_out.rows, o->ratio, o->data->shot, score_shots, t, cx, out,
                             score);
}

ego_head_task ego_qfvs_tuned_task(ego_qfvs_tuned *t) {
    return (ego_head_task){.head = t->head,
                           .context = t,
                           .samples = t->sample_count,
                           .portion = 1,
                           .losses = losses,
                           .validate = t->held_out.rows.count ? validate : NULL};
}

/* ---- what is below ----------------------------------------------------------------------------- */

/* A shot's lower half, and its class token there, which tells segments. */
static ego_err look(ego_ctx *cx, ego_model *m, const ego_tensor *clip, ego_arena *arena,
                    ego_tensor *lower, float *state) {
    const ego_config *c = &m->config;
    ego_ctx_mark mark = ego_ctx_save(cx);
    const ego_tensor *x = ego_fused_begin_video(cx, m, clip);
    const ego_tensor *token =
        ego_class_tokens(cx, x, (ego_clip_shape){1, c->frames, ego_config_patches(c)});
    ego_err err = ego_ctx_err(cx);
    size_t bytes = err == EGO_OK ? (size_t)ego_tensor_count(x) * sizeof(float) : 0;
    void *kept = err == EGO_OK ? ego_arena_alloc(arena, bytes) : NULL;
    if (err == EGO_OK && !kept)
        err = ego_fail(EGO_ENOMEM, "out of memory for a shot's %zu bytes", bytes);
    if (err == EGO_OK) {
        memcpy(kept, x->data, bytes);
        memcpy(state, token->data, (size_t)c->dim * sizeof *state);
        *lower = (ego_tensor){kept, EGO_F32, 2, {ego_tensor_rows(x), c->dim}};
    }
    ego_ctx_rewind(cx, &mark);
    return err;
}

static ego_err look_at_shots(ego_ctx *cx, ego_model *m, ego_shots *shots,
                             const ego_qfvs_rows_options *o, ego_arena *arena, seen *s,
                             float *states) {
    const ego_config *c = &m->config;
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_tensor *clip = EGO_TENSOR(cx, 1, c->frames, 3, c->image_size, c->image_size);
    ego_err err = ego_ctx_err(cx);
    for (size_t k = 0; err == EGO_OK && k < s->count; k++) {
        err = ego_shots_next(shots, ego_f32(clip));
        if (err == EGO_OK)
            err = look(cx, m, clip, arena, &s->lower[k], states + k * (size_t)c->dim);
        if (err == EGO_OK && !ego_progress_tell(o->progress, "shots", k + 1, s->count))
            err = ego_fail(EGO_ECANCELLED, "stopped after %zu of %zu shots", k + 1, s->count);
    }
    ego_ctx_rewind(cx, &mark);
    return err;
}

static ego_err look_at_video(ego_ctx *cx, ego_model *m, const ego_qfvs_rows_options *o,
                             ego_arena *arena, ego_qfvs_video *v, seen *s) {
    ego_shots_options how = o->summary.shots;
    ego_shots *shots = NULL;
    float *states = NULL;
    size_t D = (size_t)m->config.dim;
    ego_err err;
    how.video_root = o->video_root;
    how.frames = (int)m->config.frames;
    how.size = (int)m->config.image_size;
    EGO_TRY_OUT(ego_shots_open(v->video, &how, &shots));
    s->count = ego_shots_count(shots);
    s->lower = ego_arena_alloc(arena, s->count * sizeof *s->lower);
    states = malloc(s->count * D * sizeof *states);
    if (!s->lower || !states)
        EGO_TRY_OUT(ego_fail(EGO_ENOMEM, "%s: out of memory for %zu shots", v->video, s->count));
    EGO_TRY_OUT(look_at_shots(cx, m, shots, o, arena, s, states));
    EGO_TRY_OUT(ego_kts_segment(states, s->count, D, &o->kts, &v->segments));
    if (v->shots > s->count) v->shots = s->count;
    if (!v->shots) EGO_TRY_OUT(ego_fail(EGO_EINPUT, "%s: its tags have no shot", v->name));
out:
    free(states);
    ego_shots_close(shots);
    return err;
}

static ego_err read_videos(ego_qfvs_tuned *t, ego_ctx *cx, bool held_out, videos *to) {
    ego_qfvs_rows_options o = ego_qfvs_rows_of(t->options.data, held_out, t->options.with);
    if (!o.names) return EGO_OK;
    EGO_TRY(ego_qfvs_rows_list(&o, &to->rows));
    to->seen = calloc(to->rows.count, sizeof *to->seen);
    if (!to->seen) return ego_fail(EGO_ENOMEM, "out of memory for %zu videos", to->rows.count);
    ego_progress_start(o.progress, 0);
    for (size_t i = 0; i < to->rows.count; i++)
        EGO_TRY(
            look_at_video(cx, t->model, &o, &to->rows.arena, &to->rows.videos[i], &to->seen[i]));
    return EGO_OK;
}

static ego_err list_samples(ego_qfvs_tuned *t) {
    const ego_qfvs_rows *rows = &t->train.rows;
    size_t n = 0;
    for (size_t i = 0; i < rows->count; i++) n += rows->videos[i].query_count;
    if (!(t->samples = calloc(n + 1, sizeof *t->samples)))
        return ego_fail(EGO_ENOMEM, "out of memory for %zu queries", n);
    for (size_t i = 0; i < rows->count; i++)
        for (size_t q = 0; q < rows->videos[i].query_count; q++)
            t->samples[t->sample_count++] =
                (sample){&rows->videos[i], &rows->videos[i].queries[q], &t->train.seen[i]};
    return EGO_OK;
}

static ego_err set_up(ego_qfvs_tuned *t, ego_ctx *cx) {
    const ego_qfvs_tuned_options *o = &t->options;
    ego_halves_options texts = {.memory = SIZE_MAX / 2};
    EGO_TRY(ego_qfvs_make_head(o->head, o->data, t->model, o->seed, &t->head));
    EGO_TRY(ego_halves_open(cx, t->model, EGO_HALF_LOWER, &texts, &t->prompts));
    EGO_TRY(read_videos(t, cx, false, &t->train));
    EGO_TRY(read_videos(t, cx, true, &t->held_out));
    return list_samples(t);
}

ego_err ego_qfvs_tuned_open(ego_ctx *cx, ego_model *model, const ego_qfvs_tuned_options *options,
                            ego_qfvs_tuned **task) {
    ego_qfvs_tuned *t = *task = calloc(1, sizeof *t);
    if (!t) return ego_fail(EGO_ENOMEM, "out of memory");
    t->options = *options;
    t->model = model;
    return set_up(t, cx);
}

static void release(videos *v) {
    ego_qfvs_rows_release(&v->rows);
    free(v->seen);
}

void ego_qfvs_tuned_close(ego_qfvs_tuned *t, ego_backend *backend) {
    if (!t) return;
    release(&t->train);
    release(&t->held_out);
    ego_halves_close(t->prompts);
    ego_head_close(t->head, backend);
    free(t->samples);
    free(t);
}
