#include "task/summary_store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t PASS_BYTES = (size_t)512 << 20;

static const char *const fused_kinds[] = {"shot-states", "shot-features", "shot-empty"};
static const char *const dual_kinds[] = {"shot-dual-states", "shot-dual", ""};

ego_err ego_summary_store_init(const char *folder, ego_model *model,
                               const ego_summary_options *options, ego_summary_store *store) {
    const ego_shots_options *o = &options->shots;
    *store = (ego_summary_store){.folder = folder, .max_tokens = (int64_t)options->max_tokens};
    bool dual = options->by == EGO_SUMMARY_HEAD_OF_DUAL;
    store->kinds = dual ? dual_kinds : fused_kinds;
    EGO_TRY(ego_model_id(model, &store->model));
    ego_config_write(&model->config, &store->config);
    snprintf(store->shots, sizeof store->shots, "shots of %.17g s%s",
             o->seconds > 0 ? o->seconds : EGO_SHOT_SECONDS,
             o->whole_seconds ? ", whole seconds" : "");
    size_t n = strlen(store->shots);
    if (o->random_crops)
        snprintf(store->shots + n, sizeof store->shots - n, ", crops %llu",
                 (unsigned long long)o->seed);
    n = strlen(store->shots);
    if (options->parts > 1)
        snprintf(store->shots + n, sizeof store->shots - n, ", %lld parts%s",
                 (long long)options->parts, dual ? ", weighed" : "");
    return ego_buf_err(&store->config);
}

void ego_summary_store_release(ego_summary_store *store) {
    ego_buf_release(&store->config);
    *store = (ego_summary_store){0};
}

static ego_feature_key key_of(const ego_summary_store *s, ego_summary_kind kind,
                              const ego_video_part *part, const char *prompt) {
    bool empty = kind == EGO_SUMMARY_EMPTY;
    return (ego_feature_key){.kind = s->kinds[kind],
                             .model = s->model,
                             .config = s->config.data,
                             .sampling = empty ? NULL : s->shots,
                             .part = empty ? NULL : part,
                             .text = kind == EGO_SUMMARY_STATES ? NULL : prompt,
                             .max_tokens = s->max_tokens};
}

static ego_video_part whole(const char *video) { return (ego_video_part){video, NAN, NAN}; }

ego_err ego_summary_store_load(const ego_summary_store *s, ego_summary_kind kind, const char *video,
                               const char *prompt, ego_arena *arena, ego_tensor *out) {
    ego_video_part part = whole(video);
    ego_feature_key key = key_of(s, kind, &part, prompt);
    return ego_features_load(s->folder, &key, arena, out, NULL);
}

static ego_err save(const ego_summary_store *s, ego_summary_kind kind, const char *video,
                    const char *prompt, float *values, size_t rows, int64_t D) {
    ego_video_part part = whole(video);
    ego_feature_key key = key_of(s, kind, &part, prompt);
    ego_tensor t = {values, EGO_F32, 2, {(int64_t)rows, D}};
    return ego_features_save(s->folder, &key, &t, NULL);
}

static ego_err has(const ego_summary_store *s, ego_summary_kind kind, const char *video,
                   const char *prompt, bool *there) {
    ego_arena arena;
    ego_tensor t = {0};
    ego_arena_init(&arena, 1 << 16);
    ego_err err = ego_summary_store_load(s, kind, video, prompt, &arena, &t);
    *there = err == EGO_OK && t.data;
    ego_arena_release(&arena);
    return err;
}

static ego_err look(const ego_summary_store *s, ego_ctx *cx, ego_model *model,
                    const ego_summary_options *o, const char *video, const char *const *prompts,
                    size_t n, size_t *shots) {
    ego_summary_table t = {0};
    EGO_TRY(ego_summary_look(cx, model, o, video, prompts, n, &t));
    size_t W = (size_t)t.W;
    ego_err err = save(s, EGO_SUMMARY_STATES, video, NULL, t.states, t.n, t.D);
    for (size_t k = 0; err == EGO_OK && k < n; k++) {
        err = save(s, EGO_SUMMARY_FEATURES, video, prompts[k], t.features + k * t.n * W, t.n, t.W);
        if (err == EGO_OK && t.empty)
            err = save(s, EGO_SUMMARY_EMPTY, video, prompts[k], t.empty + k * W, 1, t.W);
    }
    *shots = t.n;
    ego_summary_release(&t);
    return err;
}

ego_err ego_summary_store_fill(const ego_summary_store *s, ego_ctx *cx, ego_model *model,
                               const ego_summary_options *o, const char *video,
                               const char *const *prompts, size_t n) {
    const char **missing = malloc((n + 1) * sizeof *missing);
    size_t count = 0, shots = 0, W = (size_t)ego_summary_width(o->by, &model->config);
    bool states = false;
    if (!missing) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_err err = has(s, EGO_SUMMARY_STATES, video, NULL, &states);
    for (size_t k = 0; err == EGO_OK && k < n; k++) {
        bool there = false, empty = true;
        err = has(s, EGO_SUMMARY_FEATURES, video, prompts[k], &there);
        if (err == EGO_OK && o->reference)
            err = has(s, EGO_SUMMARY_EMPTY, video, prompts[k], &empty);
        if (!there || !empty || (!states && k == 0)) missing[count++] = prompts[k];
    }
    /* The first pass has one prompt: it tells how many shots there are. */
    for (size_t at = 0, each = 1; err == EGO_OK && at < count; at += each) {
        if (at) each = PASS_BYTES / (shots * W * sizeof(float));
        if (each < 1) each = 1;
        if (each > count - at) each = count - at;
        err = look(s, cx, model, o, video, missing + at, each, &shots);
    }
    free(missing);
    return err;
}
