#include "task/judge.h"

#include "task/judge_inside.h"

#include <stdio.h>
#include <string.h>

enum { ARENA_CHUNK = 1 << 16 };

typedef struct kind {
    ego_err (*judge)(ego__judge *judge);
    const char *name, *units, *truth;
} kind;

static const kind kinds[EGO_JUDGE_COUNT] = {
#define EGO_JUDGES_ROW(name, units, truth) {ego__judge_##name, #name, units, truth},
    EGO_JUDGES(EGO_JUDGES_ROW)
#undef EGO_JUDGES_ROW
};

static void keep(char example[EGO_JUDGE_EXAMPLE], const char *name) {
    if (!example[0]) snprintf(example, EGO_JUDGE_EXAMPLE, "%s", name);
}

/* ---- for the judges ------------------------------------------------------------------------------ */

ego_err ego__judge_alloc(ego__judge *judge, size_t count, size_t size, void *pointer) {
    size_t bytes;
    void *memory = NULL;
    if (!__builtin_mul_overflow(count, size, &bytes))
        memory = ego_arena_alloc(&judge->arena, bytes ? bytes : 1);
    if (!memory) return ego_fail(EGO_ENOMEM, "out of memory for %zu times %zu bytes", count, size);
    memset(memory, 0, bytes);
    memcpy(pointer, &memory, sizeof memory);
    return EGO_OK;
}

ego_err ego__judge_unit(ego__judge *judge, const char *name, const void *item) {
    size_t unit;
    bool added = false;
    char *copy = ego_arena_strdup(&judge->arena, name);
    if (!copy) return ego_fail(EGO_ENOMEM, "out of memory for names");
    EGO_TRY(ego_keys_add(&judge->keys, copy, &unit, &added));
    if (!added)
        return ego_fail(EGO_EFORMAT, "%s: each of the %s once expected, found '%.80s' twice",
                        judge->options->truth, judge->out->units, name);
    void *kept = item ? ego__list_add(&judge->truth) : NULL;
    if (item && !kept) return ego_fail(EGO_ENOMEM, "out of memory for the truth");
    if (item) memcpy(kept, item, judge->truth.size);
    return EGO_OK;
}

ego_err ego__judge_table(ego__judge *judge, size_t columns) {
    size_t units = judge->keys.count;
    EGO_TRY(ego_tally_init(&judge->out->tally, units, columns));
    EGO_TRY(ego__judge_alloc(judge, units, sizeof(bool), &judge->asked));
    EGO_TRY(ego__judge_alloc(judge, units, sizeof(bool), &judge->had));
    for (size_t i = 0; i < units; i++) judge->asked[i] = true;
    return EGO_OK;
}

void ego__judge_unknown(ego__judge *judge, const char *name) {
    judge->out->unknown++;
    keep(judge->out->unknown_example, name);
}

void ego__judge_place_unit(ego__judge *judge, size_t unit, bool *wanted) {
    *wanted = false;
    if (!judge->asked[unit]) {
        ego__judge_unknown(judge, judge->keys.names[unit]);
    } else if (judge->had[unit]) {
        judge->out->doubled++;
        keep(judge->out->doubled_example, judge->keys.names[unit]);
    } else {
        *wanted = judge->had[unit] = judge->out->tally.present[unit] = true;
    }
}

void ego__judge_place(ego__judge *judge, const char *name, size_t *unit, bool *wanted) {
    *wanted = false;
    if (ego_keys_find(&judge->keys, name, unit))
        ego__judge_place_unit(judge, *unit, wanted);
    else
        ego__judge_unknown(judge, name);
}

void ego__judge_failed(ego__judge *judge) { judge->out->failed++; }

ego_err ego__judge_key(const ego_json *object, const char *member, char room[EGO_PREDICTION_KEY],
                       const char **key) {
    *key = ego_prediction_key(object, member, room);
    if (*key) return EGO_OK;
    return ego_fail(EGO_EFORMAT, "'%s': text or a number expected, found %s", member,
                    ego_json_kind(ego_json_get(object, member)));
}

/* ---- judging ------------------------------------------------------------------------------------- */

static void count_missing(ego__judge *judge) {
    ego_judgement *out = judge->out;
    for (size_t i = 0; i < out->tally.units; i++) {
        if (!judge->asked[i]) continue;
        out->asked++;
        if (out->tally.present[i]) continue;
        out->missing++;
        keep(out->missing_example, judge->keys.names[i]);
    }
}

ego_err ego_judge(ego_judge_task task, const char *predictions, const ego_judge_options *options,
                  ego_judgement *judgement) {
    const kind *k = &kinds[task];
    *judgement = (ego_judgement){.units = k->units};
    if (!options->truth && task != EGO_JUDGE_retrieval)
        return ego_fail(EGO_EINPUT, "%s: a truth is missing: %s", k->name, k->truth);
    ego__judge judge = {.predictions = predictions, .options = options, .out = judgement};
    ego_arena_init(&judge.arena, ARENA_CHUNK);
    ego_err err = k->judge(&judge);
    if (err == EGO_OK) count_missing(&judge);
    if (err == EGO_OK && !judgement->asked)
        err = ego_fail(EGO_EINPUT, "%s: %s with an answer expected, found none",
                       options->truth ? options->truth : predictions, k->units);
    if (err != EGO_OK) ego_judgement_release(judgement);
    ego__list_release(&judge.truth);
    ego_keys_release(&judge.keys);
    ego_arena_release(&judge.arena);
    return err;
}

void ego_judgement_release(ego_judgement *judgement) {
    ego_tally_release(&judgement->tally);
    *judgement = (ego_judgement){0};
}

ego_err ego_judgements_pair(ego_judgement *a, ego_judgement *b, size_t *dropped) {
    ego_tally *x = &a->tally, *y = &b->tally;
    bool same = x->units == y->units && x->n_metrics == y->n_metrics;
    for (size_t m = 0; same && m < x->n_metrics; m++)
        same = strcmp(x->metrics[m].name, y->metrics[m].name) == 0;
    if (!same)
        return ego_fail(EGO_EINPUT, "predictions to compare have metrics of their own: the same "
                                    "modes and targets expected in both");
    *dropped = 0;
    for (size_t i = 0; i < x->units; i++) {
        *dropped += x->present[i] && !y->present[i];
        x->present[i] = y->present[i] = x->present[i] && y->present[i];
    }
    return EGO_OK;
}
