#include "recipe/qfvs_task.h"

#include "score/qfvs.h"

#include <stdlib.h>
#include <string.h>

ego_summary_by ego_qfvs_by(const ego_qfvs_data *d) {
    return d->features ? EGO_SUMMARY_HEAD_OF_DUAL : EGO_SUMMARY_HEAD;
}

ego_qfvs_rows_options ego_qfvs_rows_of(const ego_qfvs_data *d, bool held_out,
                                       const ego_training *with) {
    bool own_root = held_out && d->validate_root;
    const char *root = own_root ? d->validate_root : d->root;
    const char *videos = d->video_root && !own_root ? d->video_root : root;
    return (ego_qfvs_rows_options){
        .names = held_out ? d->validate : d->videos,
        .root = root,
        .video_root = held_out && d->validate_video_root ? d->validate_video_root : videos,
        .cache = d->cache,
        .apart = held_out && (own_root || d->validate_video_root),
        .words = (ego_qfvs_words)d->prompts,
        .summary = {.by = ego_qfvs_by(d), .parts = d->parts, .shots = {.seconds = d->shot}},
        .kts = {.pool = with->pool},
        .progress = with->progress};
}

ego_err ego_qfvs_make_head(const ego_qfvs_shape *s, const ego_qfvs_data *d, ego_model *model,
                           uint64_t seed, ego_head **head) {
    const char *id;
    ego_head_config config = {.qfvs = {.width = ego_summary_width(ego_qfvs_by(d), &model->config),
                                       .heads = s->heads,
                                       .layers = s->layers,
                                       .hidden = s->hidden,
                                       .middle = s->middle,
                                       .parts = d->parts > 0 ? d->parts : 1,
                                       .dual = d->features,
                                       .prompts = d->prompts}};
    EGO_TRY(ego_model_id(model, &id));
    EGO_TRY(ego_head_create(&ego_head_qfvs, &config, seed, head));
    ego_head_set_backbone(*head, id);
    return EGO_OK;
}

static ego_err count(const ego_qfvs_rows_options *o, int64_t *queries, ego_qfvs_sizes *sizes) {
    ego_qfvs_rows rows;
    ego_err err = ego_qfvs_rows_list(o, &rows);
    for (size_t i = 0; err == EGO_OK && i < rows.count; i++) {
        const char **prompts;
        size_t n = 0;
        err = ego_qfvs_prompts(&rows.arena, &rows.videos[i], &prompts, &n);
        *queries += (int64_t)rows.videos[i].query_count;
        sizes->shots += (int64_t)rows.videos[i].shots;
        sizes->pairs += (int64_t)(rows.videos[i].shots * n);
    }
    ego_qfvs_rows_release(&rows);
    return err;
}

ego_err ego_qfvs_measure(const ego_qfvs_data *data, const ego_training *with,
                         ego_qfvs_sizes *sizes) {
    ego_qfvs_rows_options train = ego_qfvs_rows_of(data, false, with),
                          held_out = ego_qfvs_rows_of(data, true, with);
    *sizes = (ego_qfvs_sizes){0};
    EGO_TRY(count(&train, &sizes->queries, sizes));
    return held_out.names ? count(&held_out, &sizes->held_out, sizes) : EGO_OK;
}

/* ---- losses -------------------------------------------------------------------------------------- */

static bool in_oracle(const ego_qfvs_oracle *oracle, size_t shot) {
    for (size_t i = 0; i < oracle->count; i++)
        if (oracle->shots[i] == shot) return true;
    return false;
}

/* Whether prompt p of the query is true of shot k. */
static bool is_true(const ego_qfvs_stretch *s, size_t p, size_t k) {
    const ego_qfvs_oracle *oracle = &s->query->oracle;
    return p < 2 ? ego_qfvs_has(s->video, k, p ? oracle->b : oracle->a) : in_oracle(oracle, k);
}

ego_err ego_qfvs_add_losses(ego_ctx *cx, const ego_tensor *logits, const ego_qfvs_stretch *s,
                            float scale, ego_tensor *sums[EGO_QFVS_PROMPTS]) {
    size_t all = EGO_QFVS_PROMPTS * s->rows;
    float *targets = ego_ctx_alloc(cx, all * sizeof *targets);
    float *weights = ego_ctx_alloc(cx, EGO_QFVS_PROMPTS * all * sizeof *weights);
    if (!targets || !weights) return ego_ctx_err(cx);
    memset(targets, 0, all * sizeof *targets);
    memset(weights, 0, EGO_QFVS_PROMPTS * all * sizeof *weights);
    for (size_t p = 0; p < EGO_QFVS_PROMPTS; p++) {
        for (size_t k = 0; k < s->count; k++) {
            size_t at = p * s->rows + (s->row ? (size_t)s->row[k] : k);
            targets[at] = is_true(s, p, s->first + k);
            weights[p * all + at] = 1;
        }
        ego_tensor *loss = ego_binary_cross_entropy(cx, logits, targets, weights + p * all, scale);
        sums[p] = sums[p] ? ego_add(cx, sums[p], loss) : loss;
    }
    return EGO_OK;
}

void ego_qfvs_name_losses(ego_tensor *const sums[EGO_QFVS_PROMPTS], ego_head_losses *out) {
    static const char *const names[EGO_QFVS_PROMPTS] = {"a", "b", "summary"};
    for (size_t p = 0; p < EGO_QFVS_PROMPTS; p++)
        if (sums[p]) ego_head_losses_add(out, names[p], sums[p], 1);
}

/* ---- validation ---------------------------------------------------------------------------------- */

typedef struct judging {
    double ratio, shot;
    ego_qfvs_scorer *score_shots;
    void *context;
} judging;

static ego_err judge(const judging *j, ego_ctx *cx, const ego_qfvs_video *v,
                     const ego_qfvs_query *q, ego_qfvs_scores *scores) {
    size_t n = v->shots, count = ego_summary_length(n, j->ratio, 0, j->shot);
    float *values = malloc((n + 1) * sizeof *values);
    size_t *chosen = malloc((n + 1) * sizeof *chosen);
    uint32_t *shots = malloc((n + 1) * sizeof *shots);
    ego_err err = values && chosen && shots ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory");
    ego_ctx_mark mark = ego_ctx_save(cx);
    if (err == EGO_OK) err = j->score_shots(j->context, cx, v, q, values);
    ego_ctx_rewind(cx, &mark);
    if (err == EGO_OK) err = ego_summary_choose(values, n, count, chosen);
    for (size_t i = 0; err == EGO_OK && i < count; i++) shots[i] = (uint32_t)chosen[i];
    if (err == EGO_OK)
        err = ego_qfvs_score(shots, count, q->oracle.shots, q->oracle.count, v->concepts, v->words,
                             scores);
    free(values);
    free(chosen);
    free(shots);
    return err;
}

ego_err ego_qfvs_validate(const ego_qfvs_rows *rows, double ratio, double shot,
                          ego_qfvs_scorer *score_shots, void *context, ego_ctx *cx,
                          ego_run_numbers *out, double *score) {
    const judging j = {ratio, shot, score_shots, context};
    ego_qfvs_scores sum = {0};
    for (size_t i = 0; i < rows->count; i++) {
        const ego_qfvs_video *v = &rows->videos[i];
        double share = 100.0 / ((double)rows->count * (double)v->query_count);
        for (size_t q = 0; q < v->query_count; q++) {
            ego_qfvs_scores one;
            EGO_TRY(judge(&j, cx, v, &v->queries[q], &one));
            sum.precision += share * one.precision;
            sum.recall += share * one.recall;
            sum.f1 += share * one.f1;
        }
    }
    ego_run_add(out, "f1", sum.f1);
    ego_run_add(out, "precision", sum.precision);
    ego_run_add(out, "recall", sum.recall);
    *score = sum.f1;
    return EGO_OK;
}
