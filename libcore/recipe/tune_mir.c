/* Multi-instance retrieval on EPIC-Kitchens-100: whose captions are whose, and how good the two are found. */
#include "base/keys.h"
#include "base/rng.h"
#include "data/locate.h"
#include "format/epic.h"
#include "format/matrix.h"
#include "recipe/tune_inside.h"
#include "score/mir.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t DRAW_CAPTION = 0x63617074; /* sets this apart from what else a sample's stream is asked for */
enum { BLOCK = 16 };

/* The clips and the captions of a split. */
typedef struct split {
    ego_epic_clips clips;
    ego_epic_sentences sentences;
    const ego_epic_clip **named; /* (sentences): the clip a sentence is named after; NULL with a matrix */
    ego_matrix relevancy;        /* clips × sentences; rows 0: computed from the classes */
    ego_narrated_clip *rows;     /* (clips) */
} split;

typedef struct mir_set {
    split train, held_out;
    ego__tune_text *captions; /* (train.sentences) */
    double *relevancy;        /* (train.sentences) of the clip in hand */
    uint32_t *relevant;       /* (train.sentences) which of them are drawn from */
    double relevant_above;
    const ego_model *model;
} mir_set;

/* ---- annotations --------------------------------------------------------------------------------------- */

/* Sentences are named after clips, whose classes are theirs. */
static ego_err find_named(ego_arena *arena, const char *path, const char *sentences, split *s) {
    ego_keys ids = {0};
    ego_err err;
    size_t at = 0;
    if (s->clips.classless)
        return ego_fail(EGO_EINPUT,
                        "%s: %zu of %zu clips have no verb_class to compute relevancy from: give the published matrix",
                        path, s->clips.classless, s->clips.count);
    s->named = ego_arena_alloc(arena, (s->sentences.count + 1) * sizeof *s->named);
    if (!s->named) return ego_fail(EGO_ENOMEM, "out of memory for %zu sentences", s->sentences.count);
    for (size_t i = 0; i < s->clips.count; i++) EGO_TRY_OUT(ego_keys_add(&ids, s->clips.clips[i].id, &at, NULL));
    err = EGO_OK;
    for (size_t j = 0; j < s->sentences.count && err == EGO_OK; j++) {
        if (ego_keys_find(&ids, s->sentences.sentences[j].id, &at))
            s->named[j] = &s->clips.clips[at];
        else
            err = ego_fail(EGO_EFORMAT, "%s: '%.60s' is no narration_id of %s", sentences,
                           s->sentences.sentences[j].id, path);
    }
out:
    ego_keys_release(&ids);
    return err;
}

static ego_err open_matrix(const char *path, split *s) {
    EGO_TRY(ego_matrix_open(path, NULL, &s->relevancy));
    if (s->relevancy.rows == s->clips.count && s->relevancy.columns == s->sentences.count) return EGO_OK;
    return ego_fail(EGO_EFORMAT, "%s: %zu clips by %zu sentences expected, found %zu by %zu", path, s->clips.count,
                    s->sentences.count, s->relevancy.rows, s->relevancy.columns);
}

/* Videos lie in a folder for each participant, as published, or all in one. */
static ego_err name_video(ego_arena *arena, const char *root, const ego_epic_clip *clip, const char **name) {
    size_t n = strlen(clip->participant) + strlen(clip->video) + 2;
    char *path = ego_arena_alloc(arena, n);
    ego_place place = {0};
    if (!path) return ego_fail(EGO_ENOMEM, "out of memory");
    snprintf(path, n, "%s/%s", clip->participant, clip->video);
    *name = ego_locate(root, path, &place) == EGO_OK ? path : clip->video;
    ego_place_release(&place);
    return EGO_OK;
}

static ego_err make_rows(ego_arena *arena, const char *root, split *s) {
    const ego_epic_clip *before = NULL;
    s->rows = ego_arena_alloc(arena, (s->clips.count + 1) * sizeof *s->rows);
    if (!s->rows) return ego_fail(EGO_ENOMEM, "out of memory for %zu clips", s->clips.count);
    for (size_t i = 0; i < s->clips.count; i++) {
        const ego_epic_clip *c = &s->clips.clips[i];
        s->rows[i] = (ego_narrated_clip){.text = c->narration, .start = c->start, .end = c->stop, .narration_time = NAN};
        if (before && strcmp(before->video, c->video) == 0 && strcmp(before->participant, c->participant) == 0)
            s->rows[i].video = s->rows[i - 1].video;
        else
            EGO_TRY(name_video(arena, root, c, &s->rows[i].video));
        before = c;
    }
    return EGO_OK;
}

static ego_err read_split(ego_arena *arena, const char *clips, const char *sentences, const char *relevancy,
                          const char *root, split *s) {
    EGO_TRY(ego_epic_clips_read(clips, arena, &s->clips));
    EGO_TRY(ego_epic_sentences_read(sentences, arena, &s->sentences));
    if (s->clips.count == 0 || s->sentences.count == 0)
        return ego_fail(EGO_EFORMAT, "%s: clips and sentences expected, found %zu and %zu", clips, s->clips.count,
                        s->sentences.count);
    EGO_TRY(relevancy ? open_matrix(relevancy, s) : find_named(arena, clips, sentences, s));
    return make_rows(arena, root, s);
}

/* Relevancies of clip i to all sentences. */
static void relevancies(const split *s, size_t i, double *out) {
    if (s->relevancy.rows)
        ego_matrix_read(&s->relevancy, i, 1, out);
    else
        for (size_t j = 0; j < s->sentences.count; j++)
            out[j] = ego_epic_relevancy(&s->clips.clips[i], s->named[j]);
}

/* ---- training ------------------------------------------------------------------------------------------ */

static ego_err begin(void *context, ego_model *model) {
    ego__tuning *t = context;
    mir_set *set = t->set;
    size_t n = set->train.sentences.count;
    set->model = model;
    for (size_t j = 0; j < n; j++)
        EGO_TRY(ego__tune_encode(model, &t->arena, set->train.sentences.sentences[j].narration,
                                 (size_t)t->config->data.max_tokens, &set->captions[j]));
    return EGO_OK;
}

/* Draws the sample's caption. */
static ego_err say(void *context, const ego_row_sample *row, ego_step_sample *sample) {
    ego__tuning *t = context;
    mir_set *set = t->set;
    uint32_t n = 0;
    relevancies(&set->train, row->row, set->relevancy);
    for (size_t j = 0; j < set->train.sentences.count; j++)
        if (set->relevancy[j] > set->relevant_above) set->relevant[n++] = (uint32_t)j;
    sample->fit = 1;
    if (n == 0) return EGO_OK; /* the clip's own */
    uint32_t drawn = set->relevant[ego_rng_below(sample->stream, DRAW_CAPTION, n)];
    sample->tokens = set->captions[drawn].ids;
    sample->n_tokens = (int64_t)set->captions[drawn].count;
    sample->fit = (float)set->relevancy[drawn];
    return EGO_OK;
}

/* ---- validation ---------------------------------------------------------------------------------------- */

typedef struct mean {
    double sum;
    size_t count;
} mean;

/* Where a figure is not defined (no exact match, nothing relevant) it does not count. */
static void add(mean *m, double x) {
    if (isnan(x)) return;
    m->sum += x;
    m->count++;
}
static double percent(const mean *m) { return m->count ? 100 * m->sum / (double)m->count : NAN; }

typedef struct judging {
    const split *s;
    const float *clips, *texts;
    size_t width;
    ego_mir scratch;
    double *similarity, *relevancy; /* (most), (BLOCK, most) */
} judging;

static void judge_one(judging *g, const double *relevancy, size_t n, mean *ndcg, mean *ap) {
    ego_mir_query q = ego_mir_score(&g->scratch, g->similarity, relevancy, n);
    add(ndcg, q.ndcg);
    add(ap, q.ap);
}

static void judge_clips(judging *g, mean *ndcg, mean *ap) {
    size_t n = g->s->sentences.count;
    for (size_t i = 0; i < g->s->clips.count; i++) {
        relevancies(g->s, i, g->relevancy);
        ego__tune_similarities(g->clips + i * g->width, g->texts, n, g->width, g->similarity);
        judge_one(g, g->relevancy, n, ndcg, ap);
    }
}

static void judge_texts(judging *g, mean *ndcg, mean *ap) {
    const split *s = g->s;
    size_t n = s->clips.count;
    ego_matrix turned = ego_matrix_turned(&s->relevancy);
    for (size_t from = 0; from < s->sentences.count; from += BLOCK) {
        size_t count = s->sentences.count - from < BLOCK ? s->sentences.count - from : BLOCK;
        if (turned.rows || s->relevancy.rows) ego_matrix_read(&turned, from, count, g->relevancy);
        for (size_t r = 0; r < count; r++) {
            double *relevancy = g->relevancy + r * n;
            for (size_t i = 0; !s->relevancy.rows && i < n; i++)
                relevancy[i] = ego_epic_relevancy(&s->clips.clips[i], s->named[from + r]);
            ego__tune_similarities(g->texts + (from + r) * g->width, g->clips, n, g->width, g->similarity);
            judge_one(g, relevancy, n, ndcg, ap);
        }
    }
}

static ego_err judge(judging *g, int64_t failed, ego_run_numbers *out, double *score) {
    size_t V = g->s->clips.count, T = g->s->sentences.count, most = V > T ? V : T;
    mean ndcg[2] = {0}, ap[2] = {0};
    ego_err err;
    g->similarity = calloc(most, sizeof *g->similarity);
    g->relevancy = calloc(BLOCK * most, sizeof *g->relevancy);
    if (!g->similarity || !g->relevancy) EGO_TRY_OUT(ego_fail(EGO_ENOMEM, "out of memory for %zu scores", most));
    EGO_TRY_OUT(ego_mir_init(&g->scratch, most));
    judge_clips(g, &ndcg[0], &ap[0]);
    judge_texts(g, &ndcg[1], &ap[1]);
    double ndcg_avg = (percent(&ndcg[0]) + percent(&ndcg[1])) / 2, map_avg = (percent(&ap[0]) + percent(&ap[1])) / 2;
    ego_run_add(out, "ndcg_v2t", percent(&ndcg[0]));
    ego_run_add(out, "ndcg_t2v", percent(&ndcg[1]));
    ego_run_add(out, "ndcg_avg", ndcg_avg);
    ego_run_add(out, "map_v2t", percent(&ap[0]));
    ego_run_add(out, "map_t2v", percent(&ap[1]));
    ego_run_add(out, "map_avg", map_avg);
    ego_run_add(out, "failed", (double)failed);
    *score = map_avg;
out:
    ego_mir_release(&g->scratch);
    free(g->similarity);
    free(g->relevancy);
    return err;
}

static ego_err embed_texts(ego_ctx *cx, ego_model *m, const split *s, float *out) {
    ego_arena arena;
    ego_arena_init(&arena, 1 << 16);
    ego__tune_text *texts = ego_arena_alloc(&arena, s->sentences.count * sizeof *texts);
    ego_err err = texts ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for sentences");
    for (size_t j = 0; j < s->sentences.count && err == EGO_OK; j++)
        err = ego__tune_encode(m, &arena, s->sentences.sentences[j].narration, 0, &texts[j]);
    if (err == EGO_OK) err = ego__tune_embed_texts(cx, m, texts, s->sentences.count, out);
    ego_arena_release(&arena);
    return err;
}

static ego_err embed_clips(ego__tuning *t, ego_ctx *cx, ego_model *m, const split *s, float *out, int64_t *failed) {
    const ego_tune_config *c = t->config;
    ego_clips_options o = {.video_root = c->data.validate_root ? c->data.validate_root : c->data.video_root,
                           .sampling = EGO_SAMPLING_EPIC,
                           .preparation = EGO_PREPARE_EPIC};
    ego_clip_request *requests = calloc(s->clips.count, sizeof *requests);
    if (!requests) return ego_fail(EGO_ENOMEM, "out of memory for %zu clips", s->clips.count);
    for (size_t i = 0; i < s->clips.count; i++)
        requests[i] = (ego_clip_request){.video = s->rows[i].video, .start = s->rows[i].start, .end = s->rows[i].end};
    ego_err err =
        ego__tune_embed_clips(cx, m, &o, requests, s->clips.count, t->progress, out, failed);
    free(requests);
    return err;
}

static ego_err validate(void *context, ego_ctx *cx, ego_model *m, ego_run_numbers *out, double *score) {
    ego__tuning *t = context;
    const mir_set *set = t->set;
    const split *s = &set->held_out;
    int64_t failed = 0;
    size_t width = (size_t)m->config.projection[m->config.projections - 1];
    float *clips = calloc(s->clips.count * width, sizeof *clips);
    float *texts = calloc(s->sentences.count * width, sizeof *texts);
    ego_err err = clips && texts ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for embeddings");
    if (err == EGO_OK) err = embed_clips(t, cx, m, s, clips, &failed);
    if (err == EGO_OK) err = embed_texts(cx, m, s, texts);
    if (err == EGO_OK) err = judge(&(judging){.s = s, .clips = clips, .texts = texts, .width = width}, failed, out, score);
    free(clips);
    free(texts);
    return err;
}

/* ---- setting up ---------------------------------------------------------------------------------------- */

ego_err ego__tune_mir(ego__tuning *t) {
    const ego_tune_config *c = t->config;
    mir_set *set = t->set = calloc(1, sizeof *set);
    if (!set) return ego_fail(EGO_ENOMEM, "out of memory");
    set->relevant_above = c->data.relevant;
    EGO_TRY(read_split(&t->arena, c->data.train, c->data.train_sentences, c->data.train_relevancy,
                       c->data.video_root, &set->train));
    if (c->data.validate)
        EGO_TRY(read_split(&t->arena, c->data.validate, c->data.validate_sentences, c->data.validate_relevancy,
                           c->data.validate_root ? c->data.validate_root : c->data.video_root, &set->held_out));
    size_t n = set->train.sentences.count;
    set->captions = calloc(n, sizeof *set->captions);
    set->relevancy = calloc(n, sizeof *set->relevancy);
    set->relevant = calloc(n, sizeof *set->relevant);
    if (!set->captions || !set->relevancy || !set->relevant)
        return ego_fail(EGO_ENOMEM, "out of memory for %zu sentences", n);
    t->task = (ego_pretrain_task){.clips = set->train.rows,
                                  .count = set->train.clips.count,
                                  .sampling = EGO_SAMPLING_EPIC,
                                  .preparation = EGO_PREPARE_EPIC,
                                  .loss = "margin",
                                  .begin = begin,
                                  .say = say,
                                  .validate = c->data.validate ? validate : NULL};
    return EGO_OK;
}

void ego__tune_mir_release(ego__tuning *t) {
    mir_set *set = t->set;
    if (!set) return;
    ego_matrix_close(&set->train.relevancy);
    ego_matrix_close(&set->held_out.relevancy);
    free(set->captions);
    free(set->relevancy);
    free(set->relevant);
    free(set);
}
