/* EgoMCQ: the choice of greatest score, by type of question and mode of scoring. */
#include "task/judge_inside.h"

#include "base/file.h"
#include "format/egomcq.h"
#include "score/choice.h"

#include <stdio.h>
#include <string.h>

enum { DUAL, FUSED, ENSEMBLE, SCORES, PREDICTED, MODES, MAX_CHOICES = 256 };
static const char *const modes[MODES] = {"dual", "fused", "ensemble", "scores", "predicted"};
enum { UNTYPED, INTER, INTRA, TYPES };
static const char *const types[TYPES] = {"untyped", "inter", "intra"};

typedef struct question {
    size_t answer, count; /* count 0: not known */
    int type;
} question;

typedef struct mcq {
    ego__judge *judge;
    bool used[MODES]; /* what the first prediction has; all others must, too */
    bool any;
} mcq;

/* ---- the truth ----------------------------------------------------------------------------------- */

static const question *questions(const mcq *m) { return m->judge->truth.items; }

static ego_err read_benchmark(mcq *m) {
    ego_mcq set;
    EGO_TRY(ego_mcq_read(m->judge->options->truth, &m->judge->arena, &set));
    for (size_t i = 0; i < set.count; i++) {
        const ego_mcq_question *q = &set.questions[i];
        const question item = {q->answer, q->count, q->type};
        EGO_TRY(ego__judge_unit(m->judge, q->id, &item));
    }
    return EGO_OK;
}

static ego_err read_question(void *context, const ego_json *object, size_t number) {
    mcq *m = context;
    char room[EGO_PREDICTION_KEY], line[EGO_PREDICTION_KEY];
    const ego_json *choices = ego_json_get(object, "choices"), *type = ego_json_get(object, "type");
    const char *id = ego_prediction_key(object, "id", room), *word = "";
    int64_t answer = -1;
    question q = {.count = ego_json_is_array(choices) ? ego_json_count(choices) : 0};
    snprintf(line, sizeof line, "%zu", number);
    if (!ego_json_integer(ego_json_get(object, "answer"), &answer) &&
        !ego_json_integer(ego_json_get(object, "truth"), &answer))
        return ego_fail(EGO_EFORMAT, "'answer': the right choice expected, found %s",
                        ego_json_kind(ego_json_get(object, "answer")));
    if (answer < 0 || (q.count && answer >= (int64_t)q.count))
        return ego_fail(EGO_EFORMAT, "'answer': a choice, from 0, expected, found %lld",
                        (long long)answer);
    ego_json_string(type, &word);
    q.answer = (size_t)answer;
    q.type = strcmp(word, "inter") == 0 ? INTER : strcmp(word, "intra") == 0 ? INTRA : UNTYPED;
    return ego__judge_unit(m->judge, id ? id : line, &q);
}

/* ---- predictions --------------------------------------------------------------------------------- */

static ego_err read_scores(const ego_json *array, const char *mode, size_t count, size_t *best) {
    double scores[MAX_CHOICES];
    size_t n = 0;
    if (ego_json_count(array) == 0 || ego_json_count(array) > MAX_CHOICES ||
        (count && ego_json_count(array) != count))
        return ego_fail(EGO_EFORMAT, "'%s': a score a choice expected, %zu, found %zu", mode, count,
                        ego_json_count(array));
    for (const ego_json *x = ego_json_first(array); x; x = ego_json_next(x))
        if (!ego_json_number(x, &scores[n++]))
            return ego_fail(EGO_EFORMAT, "'%s': numbers expected, found %s", mode,
                            ego_json_kind(x));
    *best = ego_first_best(scores, n);
    return EGO_OK;
}

/* What the prediction chose by one mode; *found false when it does not tell. */
static ego_err read_choice(const ego_json *object, int mode, size_t count, size_t *choice,
                           bool *found) {
    const ego_json *scores = ego_json_get(object, modes[mode]);
    const ego_json *predicted = ego_json_get(object, "predicted");
    int64_t index = 0;
    *found = true;
    if (mode != PREDICTED && ego_json_is_array(scores))
        return read_scores(scores, modes[mode], count, choice);
    *found = ego_json_integer(mode == PREDICTED ? predicted : ego_json_get(predicted, modes[mode]),
                              &index);
    if (*found && (index < 0 || (count && index >= (int64_t)count)))
        return ego_fail(EGO_EFORMAT, "'predicted': a choice from 0 to %zu expected, found %lld",
                        count ? count - 1 : (size_t)MAX_CHOICES, (long long)index);
    *choice = (size_t)index;
    return EGO_OK;
}

static ego_err read_prediction(void *context, const ego_json *object, size_t number) {
    mcq *m = context;
    char room[EGO_PREDICTION_KEY];
    const char *id;
    size_t unit = 0, choice = 0;
    bool wanted, found;
    (void)number;
    EGO_TRY(ego__judge_key(object, "id", room, &id));
    if (ego_prediction_failed(object)) return ego__judge_failed(m->judge), EGO_OK;
    ego__judge_place(m->judge, id, &unit, &wanted);
    if (!wanted) return EGO_OK;
    const question *q = &questions(m)[unit];
    bool first = !m->any;
    for (int mode = 0; mode < MODES; mode++) {
        EGO_TRY(read_choice(object, mode, q->count, &choice, &found));
        if (first) m->used[mode] = found, m->any |= found;
        if (m->used[mode] && !found)
            return ego_fail(EGO_EFORMAT, "'%s' expected, as the first prediction has it",
                            modes[mode]);
        if (m->used[mode])
            ego_tally_column(&m->judge->out->tally, (size_t)(mode * TYPES + q->type))[unit] =
                choice == q->answer;
    }
    if (m->any) return EGO_OK;
    return ego_fail(EGO_EFORMAT, "scores ('dual', 'fused', 'ensemble' or 'scores') or 'predicted' "
                                 "expected, found neither");
}

/* ---- the whole ----------------------------------------------------------------------------------- */

/* Columns are modes by types; a question that has no prediction counts for those of its type. */
static ego_err add_metrics(mcq *m) {
    ego_tally *tally = &m->judge->out->tally;
    size_t asked[TYPES] = {0};
    for (size_t i = 0; i < tally->units; i++) {
        int type = questions(m)[i].type;
        tally->stratum[i] = (uint32_t)type;
        asked[type]++;
        for (int mode = 0; mode < MODES; mode++)
            if (m->used[mode] && !tally->present[i])
                ego_tally_column(tally, (size_t)(mode * TYPES + type))[i] = 0;
    }
    static const int shown[TYPES] = {INTER, INTRA, UNTYPED};
    for (int mode = 0; mode < MODES; mode++)
        for (int t = 0; m->used[mode] && t < TYPES; t++)
            if (asked[shown[t]])
                EGO_TRY(ego_tally_add(tally, EGO_METRIC_MEAN, (size_t)(mode * TYPES + shown[t]), 0,
                                      NULL, mode < SCORES ? "%s_%s" : "%s", types[shown[t]],
                                      modes[mode]));
    return EGO_OK;
}

ego_err ego__judge_mcq(ego__judge *judge) {
    mcq m = {.judge = judge};
    judge->truth.size = sizeof(question);
    const char *truth = judge->options->truth;
    EGO_TRY(ego_has_suffix(truth, ".jsonl") ? ego_predictions_read(truth, read_question, &m)
                                            : read_benchmark(&m));
    EGO_TRY(ego__judge_table(judge, MODES * TYPES));
    EGO_TRY(ego_predictions_read(judge->predictions, read_prediction, &m));
    return add_metrics(&m);
}
