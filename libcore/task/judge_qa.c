/* EgoTaskQA: is the answer the right one, by type of reasoning. */
#include "task/judge_inside.h"

#include "format/taskqa.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALL, OPEN, BINARY, NAMED }; /* columns; from NAMED on one for each type of reasoning */

typedef struct qa {
    ego__judge *judge;
    ego_qa set;
    ego_keys types; /* every type of reasoning; column NAMED + its number */
} qa;

/* ---- the truth ----------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static ego_err collect_types(qa *q) {
    ego_keys found = {0};
    size_t index;
    ego_err err = EGO_OK;
    for (size_t i = 0; i < q->set.count; i++)
        for (size_t t = 0; err == EGO_OK && t < q->set.questions[i].reasoning_count; t++)
            err = ego_keys_add(&found, q->set.questions[i].reasoning[t], &index, NULL);
    if (err == EGO_OK && found.count) qsort(found.names, found.count, sizeof *found.names, by_name);
    for (size_t t = 0; err == EGO_OK && t < found.count; t++)
        err = ego_keys_add(&q->types, found.names[t], &index, NULL);
    ego_keys_release(&found);
    return err;
}

static ego_err name_questions(qa *q) {
    char place[EGO_PREDICTION_KEY];
    for (size_t i = 0; i < q->set.count; i++) {
        snprintf(place, sizeof place, "%zu", i);
        EGO_TRY(ego__judge_unit(q->judge, place, NULL));
    }
    return EGO_OK;
}

/* Into every column that the question counts for. */
static void put(const qa *q, size_t unit, double value) {
    const ego_tally *tally = &q->judge->out->tally;
    const ego_qa_question *question = &q->set.questions[unit];
    size_t type;
    ego_tally_column(tally, ALL)[unit] = value;
    for (size_t t = 0; t < question->reasoning_count; t++) {
        const char *name = question->reasoning[t];
        if (strcmp(name, "query") == 0) ego_tally_column(tally, OPEN)[unit] = value;
        if (strcmp(name, "verify") == 0) ego_tally_column(tally, BINARY)[unit] = value;
        if (ego_keys_find(&q->types, name, &type))
            ego_tally_column(tally, NAMED + type)[unit] = value;
    }
}

/* ---- predictions --------------------------------------------------------------------------------- */

/* A text member of the prediction that must be the truth's where it is there. */
static ego_err same_text(const ego_json *object, const char *member, const char *truth) {
    const char *text;
    if (!ego_json_string(ego_json_get(object, member), &text) || strcmp(text, truth) == 0)
        return EGO_OK;
    return ego_fail(EGO_EFORMAT, "'%s': '%.80s' expected, as in the truth, found '%.80s'", member,
                    truth, text);
}

/* The answer's text: `answer`, else the first of greatest score among `answers`. */
static const char *answer_text(const ego_json *object) {
    const char *text = NULL, *best = NULL;
    double score, most = -INFINITY;
    if (ego_json_string(ego_json_get(object, "answer"), &text)) return text;
    const ego_json *list = ego_json_get(object, "answers");
    for (const ego_json *x = ego_json_first(list); x; x = ego_json_next(x)) {
        if (!ego_json_string(ego_json_get(x, "answer"), &text)) continue;
        if (!ego_json_number(ego_json_get(x, "score"), &score)) score = -INFINITY;
        if (best && !(score > most)) continue;
        best = text;
        most = score;
    }
    return best;
}

static ego_err is_right(const ego_json *object, const ego_qa_question *truth, bool *right) {
    int64_t class;
    EGO_TRY(same_text(object, "question", truth->question));
    EGO_TRY(same_text(object, "interval", truth->interval));
    if (ego_json_integer(ego_json_get(object, "answer_class"), &class))
        return *right = class == truth->answer_class, EGO_OK;
    const char *text = answer_text(object);
    if (!text)
        return ego_fail(EGO_EFORMAT, "'answer', 'answers' or 'answer_class' expected, found none");
    if (!truth->answer)
        return ego_fail(EGO_EFORMAT, "'answer_class' expected: the truth has no answers as text");
    *right = strcmp(text, truth->answer) == 0;
    return EGO_OK;
}

static ego_err read_prediction(void *context, const ego_json *object, size_t number) {
    qa *q = context;
    char room[EGO_PREDICTION_KEY];
    const char *place = ego_prediction_key(object, "index", room);
    size_t unit = 0;
    bool wanted, right = false;
    (void)number;
    if (!place) EGO_TRY(ego__judge_key(object, "id", room, &place));
    if (ego_prediction_failed(object)) return ego__judge_failed(q->judge), EGO_OK;
    ego__judge_place(q->judge, place, &unit, &wanted);
    if (!wanted) return EGO_OK;
    EGO_TRY(is_right(object, &q->set.questions[unit], &right));
    put(q, unit, right);
    return EGO_OK;
}

/* ---- the whole ----------------------------------------------------------------------------------- */

static ego_err add_metrics(const qa *q) {
    static const char *const names[NAMED] = {"all", "open", "binary"};
    ego_tally *tally = &q->judge->out->tally;
    for (size_t c = 0; c < tally->columns; c++) {
        bool counts = false;
        for (size_t i = 0; !counts && i < tally->units; i++)
            counts = !isnan(ego_tally_column(tally, c)[i]);
        if (counts)
            EGO_TRY(ego_tally_add(tally, EGO_METRIC_MEAN, c, 0, NULL, "%s",
                                  c < NAMED ? names[c] : q->types.names[c - NAMED]));
    }
    return EGO_OK;
}

ego_err ego__judge_qa(ego__judge *judge) {
    qa q = {.judge = judge};
    EGO_TRY(ego_qa_read(judge->options->truth, &judge->arena, &q.set));
    ego_err err = collect_types(&q);
    if (err == EGO_OK) err = name_questions(&q);
    if (err == EGO_OK) err = ego__judge_table(judge, NAMED + q.types.count);
    for (size_t i = 0; err == EGO_OK && i < q.set.count; i++) put(&q, i, 0);
    if (err == EGO_OK) err = ego_predictions_read(judge->predictions, read_prediction, &q);
    if (err == EGO_OK) err = add_metrics(&q);
    ego_keys_release(&q.types);
    return err;
}
