/* Charades-Ego: segments with their descriptions to train on, 157 prompts to tell whole videos by. */
#include "format/charades.h"
#include "recipe/tune_inside.h"
#include "score/charades.h"
#include "score/ranking.h"

#include <math.h>
#include <stdlib.h>

enum { PROMPT_TOKENS = 30 };

typedef struct charades_set {
    ego_charades_rows train;
    ego_narrated_clip *rows; /* (train) */
    ego_charades held_out;
    ego_charades_classes classes;
} charades_set;

/* ---- validation ---------------------------------------------------------------------------------------- */

typedef struct judging {
    const charades_set *set;
    const float *videos, *prompts;
    size_t width;
    ego_ranking ranking;
    double *scores, *positive; /* (videos) of one class */
    bool *present;             /* (videos): those with a label */
} judging;

static void mark_class(const judging *g, size_t class) {
    for (size_t v = 0; v < g->set->held_out.count; v++) {
        const ego_charades_video *video = &g->set->held_out.videos[v];
        g->positive[v] = 0;
        g->present[v] = video->count > 0;
        for (size_t k = 0; k < video->count; k++)
            if (video->actions[k].action == class) g->positive[v] = 1;
    }
}

/* The mean over the classes that any video has. */
static ego_err judge(judging *g, double *map) {
    size_t n = g->set->held_out.count, counted = 0;
    double sum = 0;
    ego_err err;
    g->scores = calloc(n, sizeof *g->scores);
    g->positive = calloc(n, sizeof *g->positive);
    g->present = calloc(n, sizeof *g->present);
    if (!g->scores || !g->positive || !g->present) EGO_TRY_OUT(ego_fail(EGO_ENOMEM, "out of memory for scores"));
    EGO_TRY_OUT(ego_ranking_init(&g->ranking, n));
    for (size_t class = 0; class < g->set->classes.count; class ++) {
        mark_class(g, class);
        ego__tune_similarities(g->prompts + class * g->width, g->videos, n, g->width, g->scores);
        double ap = ego_class_ap(ego_rank(&g->ranking, g->scores, n), n, g->positive, NULL, g->present);
        if (isnan(ap)) continue;
        sum += ap;
        counted++;
    }
    *map = counted ? 100 * sum / (double)counted : NAN;
    err = EGO_OK;
out:
    ego_ranking_release(&g->ranking);
    free(g->scores);
    free(g->positive);
    free(g->present);
    return err;
}

static ego_err embed_prompts(ego_ctx *cx, ego_model *m, const ego_charades_classes *classes, float *out) {
    ego_arena arena;
    ego_arena_init(&arena, 1 << 16);
    ego__tune_text *texts = ego_arena_alloc(&arena, classes->count * sizeof *texts);
    ego_err err = texts ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for prompts");
    for (size_t k = 0; k < classes->count && err == EGO_OK; k++)
        err = ego__tune_encode(m, &arena, classes->names[k], PROMPT_TOKENS, &texts[k]);
    if (err == EGO_OK) err = ego__tune_embed_texts(cx, m, texts, classes->count, out);
    ego_arena_release(&arena);
    return err;
}

static ego_err embed_videos(ego__tuning *t, ego_ctx *cx, ego_model *m, const ego_charades *set, float *out,
                            int64_t *failed) {
    const ego_tune_config *c = t->config;
    ego_clips_options o = {.video_root = c->data.validate_root ? c->data.validate_root : c->data.video_root,
                           .sampling = EGO_SAMPLING_TIME,
                           .preparation = EGO_PREPARE_STANDARD};
    ego_clip_request *requests = calloc(set->count, sizeof *requests);
    if (!requests) return ego_fail(EGO_ENOMEM, "out of memory for %zu videos", set->count);
    for (size_t v = 0; v < set->count; v++)
        requests[v] = (ego_clip_request){.video = set->videos[v].id, .whole = true};
    ego_err err = ego__tune_embed_clips(cx, m, &o, requests, set->count, t->progress, out, failed);
    free(requests);
    return err;
}

static ego_err validate(void *context, ego_ctx *cx, ego_model *m, ego_run_numbers *out, double *score) {
    ego__tuning *t = context;
    const charades_set *set = t->set;
    int64_t failed = 0;
    size_t width = (size_t)m->config.projection[m->config.projections - 1];
    float *videos = calloc(set->held_out.count * width, sizeof *videos);
    float *prompts = calloc(set->classes.count * width, sizeof *prompts);
    ego_err err = videos && prompts ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for embeddings");
    if (err == EGO_OK) err = embed_videos(t, cx, m, &set->held_out, videos, &failed);
    if (err == EGO_OK) err = embed_prompts(cx, m, &set->classes, prompts);
    if (err == EGO_OK) err = judge(&(judging){.set = set, .videos = videos, .prompts = prompts, .width = width}, score);
    if (err == EGO_OK) ego_run_add(out, "map", *score);
    if (err == EGO_OK) ego_run_add(out, "failed", (double)failed);
    free(videos);
    free(prompts);
    return err;
}

/* ---- setting up ---------------------------------------------------------------------------------------- */

/* A segment that ends where it starts, but for the whole video, has no time to draw from: it gets the shortest. */
static ego_narrated_clip row_of(const ego_charades_row *row) {
    static const double SHORTEST = 1.0 / 30;
    double start = row->action.start, end = row->action.end;
    if (end <= start && (start != 0 || end != 0)) end = start + SHORTEST;
    return (ego_narrated_clip){
        .video = row->id, .text = row->narration, .start = start, .end = end, .narration_time = NAN};
}

static ego_err read_held_out(ego__tuning *t, charades_set *set) {
    const ego_tune_config *c = t->config;
    EGO_TRY(ego_charades_classes_read(c->data.classes, &t->arena, &set->classes));
    EGO_TRY(ego_charades_read(c->data.validate, &t->arena, &set->held_out));
    if (set->held_out.count == 0) return ego_fail(EGO_EFORMAT, "%s: videos expected, found none", c->data.validate);
    for (size_t v = 0; v < set->held_out.count; v++)
        for (size_t k = 0; k < set->held_out.videos[v].count; k++)
            if (set->held_out.videos[v].actions[k].action >= set->classes.count)
                return ego_fail(EGO_EFORMAT, "%s: video '%.60s': a class below the %zu of %s expected, found %d",
                                c->data.validate, set->held_out.videos[v].id, set->classes.count, c->data.classes,
                                set->held_out.videos[v].actions[k].action);
    return EGO_OK;
}

ego_err ego__tune_charades(ego__tuning *t) {
    const ego_tune_config *c = t->config;
    charades_set *set = t->set = calloc(1, sizeof *set);
    if (!set) return ego_fail(EGO_ENOMEM, "out of memory");
    EGO_TRY(ego_charades_rows_read(c->data.train, &t->arena, &set->train));
    if (set->train.count == 0) return ego_fail(EGO_EFORMAT, "%s: segments expected, found none", c->data.train);
    if (c->data.validate) EGO_TRY(read_held_out(t, set));
    set->rows = ego_arena_alloc(&t->arena, set->train.count * sizeof *set->rows);
    if (!set->rows) return ego_fail(EGO_ENOMEM, "out of memory for %zu segments", set->train.count);
    for (size_t i = 0; i < set->train.count; i++) set->rows[i] = row_of(&set->train.rows[i]);
    t->task = (ego_pretrain_task){.clips = set->rows,
                                  .count = set->train.count,
                                  .sampling = EGO_SAMPLING_TIME,
                                  .preparation = EGO_PREPARE_STANDARD,
                                  .loss = "nce",
                                  .validate = c->data.validate ? validate : NULL};
    return EGO_OK;
}

void ego__tune_charades_release(ego__tuning *t) { free(t->set); }
