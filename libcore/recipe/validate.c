#include "recipe/validate.h"

#include "base/rng.h"
#include "format/egomcq.h"
#include "task/mcq.h"

#include <math.h>
#include <stdlib.h>

enum { BATCH = 16, TYPES = 3 };

typedef struct validating {
    ego_mcq all;
    bool *asked; /* of each question of the file: in the sample */
    ego_mcq_session *session;
    bool fused;
    int64_t count[TYPES], right[TYPES][EGO_VALIDATE_MODES], failed;
} validating;

/* Marks `sample` questions of a type, drawn without replacement; all when there are no more. */
static void choose(validating *v, int type, int64_t sample, uint64_t stream) {
    int64_t left = 0;
    for (size_t i = 0; i < v->all.count; i++) left += v->all.questions[i].type == type;
    if (sample == 0 || sample > left) sample = left;
    for (size_t i = 0; i < v->all.count && sample > 0; i++) {
        if (v->all.questions[i].type != type) continue;
        v->asked[i] = (int64_t)ego_rng_below(stream, i, (uint32_t)left--) < sample;
        sample -= v->asked[i];
    }
}

static void tally(validating *v, const ego_mcq_question *q, const ego_mcq_item *item) {
    const float *scores[EGO_VALIDATE_MODES] = {item->dual, item->fused, item->ensemble};
    v->count[q->type]++;
    v->failed += item->err != EGO_OK;
    for (int m = 0; m < EGO_VALIDATE_MODES && item->err == EGO_OK; m++)
        v->right[q->type][m] += ego_mcq_best(scores[m], item->count) == q->answer;
}

/* The next BATCH questions of the sample from *at on. */
static ego_err answer_some(validating *v, size_t *at, int64_t *done) {
    static const size_t each = EGO_MCQ_MAX_CHOICES;
    ego_mcq_item *items = calloc(BATCH, sizeof *items);
    ego_video_part *choices = calloc(BATCH * each, sizeof *choices);
    const ego_mcq_question *from[BATCH];
    size_t n = 0;
    ego_err err = items && choices ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory");
    for (; err == EGO_OK && n < BATCH && *at < v->all.count; ++*at)
        if (v->asked[*at]) {
            from[n] = &v->all.questions[*at];
            err = ego_mcq_item_of(from[n], choices + n * each, &items[n]);
            n++;
        }
    if (err == EGO_OK) err = ego_mcq_answer(v->session, items, n);
    for (size_t i = 0; i < n && err == EGO_OK; i++) tally(v, from[i], &items[i]);
    *done += (int64_t)n;
    free(items);
    free(choices);
    return err;
}

static ego_err answer_sample(validating *v, const ego_progress *progress) {
    int64_t done = 0, total = 0;
    for (size_t i = 0; i < v->all.count; i++) total += v->asked[i];
    for (size_t at = 0; at < v->all.count;) {
        EGO_TRY(answer_some(v, &at, &done));
        if (!ego_progress_tell(progress, "questions", (uint64_t)done, (uint64_t)total))
            return ego_fail(EGO_ECANCELLED, "stopped while validating");
    }
    return EGO_OK;
}

static void percentages(const validating *v, ego_validation *out) {
    for (int m = 0; m < EGO_VALIDATE_MODES; m++) {
        bool has = v->fused || m == EGO_VALIDATE_DUAL;
        double *to[TYPES] = {NULL, &out->inter[m], &out->intra[m]};
        for (int t = EGO_MCQ_INTER; t <= EGO_MCQ_INTRA; t++)
            *to[t] = has && v->count[t] ? 100.0 * (double)v->right[t][m] / (double)v->count[t] : NAN;
    }
    out->questions = v->count[EGO_MCQ_INTER] + v->count[EGO_MCQ_INTRA];
    out->failed = v->failed;
}

ego_err ego_validate(ego_ctx *cx, ego_model *m, const ego_validate_options *options, int64_t sample,
                     const ego_progress *progress, ego_validation *out) {
    validating v = {.fused = m->config.fusion != EGO_FUSION_NONE};
    ego_arena arena;
    ego_arena_init(&arena, 1 << 16);
    ego_mcq_options o = {.scores = v.fused ? EGO_MCQ_DUAL | EGO_MCQ_FUSED | EGO_MCQ_ENSEMBLE : EGO_MCQ_DUAL,
                         .halves = {.clips = options->clips}};
    o.halves.clips.frames = (int)m->config.frames;
    o.halves.clips.size = (int)m->config.image_size;
    ego_err err;
    EGO_TRY_OUT(ego_mcq_read(options->questions, &arena, &v.all));
    if (!(v.asked = calloc(v.all.count + 1, sizeof *v.asked))) EGO_TRY_OUT(ego_fail(EGO_ENOMEM, "out of memory"));
    for (int type = EGO_MCQ_INTER; type <= EGO_MCQ_INTRA; type++)
        choose(&v, type, sample, ego_rng_stream(options->seed, (uint64_t)type));
    EGO_TRY_OUT(ego_mcq_open(cx, m, &o, &v.session));
    EGO_TRY_OUT(answer_sample(&v, progress));
    percentages(&v, out);
    err = EGO_OK;
out:
    ego_mcq_close(v.session);
    free(v.asked);
    ego_arena_release(&arena);
    return err;
}
