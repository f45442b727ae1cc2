/* Ego4D natural language queries: overlap of the spans predicted with the answer. */
#include "task/judge_inside.h"

#include "base/file.h"
#include "format/nlq.h"
#include "score/nlq.h"

#include <math.h>
#include <string.h>

static const double thresholds[] = {0.3, 0.5, 0.01};
static const char *const threshold_names[] = {"0.3", "0.5", "0.01"};
static const size_t ranks[] = {1, 3, 5};
enum { THRESHOLDS = 3, RANKS = 3, MIOU = THRESHOLDS * RANKS, COLUMNS, SPANS = 5 };

typedef struct nlq {
    ego__judge *judge;
    bool by_id; /* the truth is lines with ids */
} nlq;

typedef struct answer {
    double span[2]; /* NaN: has no text or no answer */
} answer;

/* ---- the truth ----------------------------------------------------------------------------------- */

static const answer *answers(const nlq *n) { return n->judge->truth.items; }

static ego_err name_query(const char *clip, const char *annotation, int64_t index, ego_buf *name) {
    ego_buf_clear(name);
    ego_buf_printf(name, "%s/%s/%lld", clip, annotation, (long long)index);
    return ego_buf_err(name);
}

static ego_err read_official(nlq *n) {
    ego_nlq set;
    ego_buf name = {0};
    EGO_TRY(ego_nlq_read(n->judge->options->truth, &n->judge->arena, &set));
    ego_err err = EGO_OK;
    for (size_t i = 0; err == EGO_OK && i < set.query_count; i++) {
        const ego_nlq_query *q = &set.queries[i];
        bool asked = q->text && *q->text;
        err = name_query(set.clips[q->clip].uid, q->annotation, q->index, &name);
        const answer item = {{asked ? q->start : NAN, asked ? q->end : NAN}};
        if (err == EGO_OK) err = ego__judge_unit(n->judge, name.data, &item);
    }
    ego_buf_release(&name);
    return err;
}

static ego_err read_line(void *context, const ego_json *object, size_t number) {
    nlq *n = context;
    char room[EGO_PREDICTION_KEY];
    const char *id;
    answer item;
    (void)number;
    EGO_TRY(ego__judge_key(object, "id", room, &id));
    if (!ego_json_number(ego_json_get(object, "start"), &item.span[0]) ||
        !ego_json_number(ego_json_get(object, "end"), &item.span[1]))
        return ego_fail(EGO_EFORMAT, "'start' and 'end' expected: the answer in seconds");
    return ego__judge_unit(n->judge, id, &item);
}

/* ---- predictions --------------------------------------------------------------------------------- */

static ego_err read_spans(const ego_json *list, double (*spans)[2], size_t *count) {
    *count = 0;
    if (!ego_json_is_array(list))
        return ego_fail(EGO_EFORMAT, "'predicted_times': an array expected, found %s",
                        ego_json_kind(list));
    for (const ego_json *x = ego_json_first(list); x; x = ego_json_next(x)) {
        double pair[2] = {0, 0};
        if (ego_json_count(x) != 2 || !ego_json_number(ego_json_first(x), &pair[0]) ||
            !ego_json_number(ego_json_next(ego_json_first(x)), &pair[1]))
            return ego_fail(EGO_EFORMAT, "'predicted_times': pairs [start, end] expected, found %s",
                            ego_json_kind(x));
        if (*count < SPANS) memcpy(spans[(*count)++], pair, sizeof pair);
    }
    return EGO_OK;
}

static ego_err read_name(const nlq *n, const ego_json *object, ego_buf *name) {
    char clip_room[EGO_PREDICTION_KEY], uid_room[EGO_PREDICTION_KEY];
    const char *clip, *annotation;
    int64_t index;
    if (n->by_id) {
        EGO_TRY(ego__judge_key(object, "id", clip_room, &clip));
        ego_buf_text(name, clip);
        return ego_buf_err(name);
    }
    EGO_TRY(ego__judge_key(object, "clip_uid", clip_room, &clip));
    EGO_TRY(ego__judge_key(object, "annotation_uid", uid_room, &annotation));
    if (!ego_json_integer(ego_json_get(object, "query_idx"), &index))
        return ego_fail(EGO_EFORMAT, "'query_idx': a whole number expected, found %s",
                        ego_json_kind(ego_json_get(object, "query_idx")));
    return name_query(clip, annotation, index, name);
}

static void tally_spans(nlq *n, size_t unit, const double (*spans)[2], size_t count) {
    const ego_tally *tally = &n->judge->out->tally;
    const double *truth = answers(n)[unit].span;
    for (size_t t = 0; t < THRESHOLDS; t++)
        for (size_t k = 0; k < RANKS; k++)
            ego_tally_column(tally, t * RANKS + k)[unit] =
                ego_overlap_found(spans, count, truth, ranks[k], thresholds[t]);
    ego_tally_column(tally, MIOU)[unit] = count ? ego_overlap(spans[0], truth) : 0;
}

static ego_err read_prediction(void *context, const ego_json *object, size_t number) {
    nlq *n = context;
    double spans[SPANS][2];
    size_t count, unit = 0;
    bool wanted;
    ego_buf name = {0};
    (void)number;
    if (ego_prediction_failed(object)) return ego__judge_failed(n->judge), EGO_OK;
    ego_err err = read_name(n, object, &name);
    if (err == EGO_OK) err = read_spans(ego_json_get(object, "predicted_times"), spans, &count);
    if (err == EGO_OK) {
        ego__judge_place(n->judge, name.data, &unit, &wanted);
        if (wanted) tally_spans(n, unit, (const double(*)[2])spans, count);
    }
    ego_buf_release(&name);
    return err;
}

/* ---- the whole ----------------------------------------------------------------------------------- */

static ego_err add_metrics(ego_tally *tally) {
    for (size_t t = 0; t < THRESHOLDS; t++)
        for (size_t k = 0; k < RANKS; k++)
            EGO_TRY(ego_tally_add(tally, EGO_METRIC_MEAN, t * RANKS + k, 0, NULL, "r%zu@%s",
                                  ranks[k], threshold_names[t]));
    return ego_tally_add(tally, EGO_METRIC_MEAN, MIOU, 0, NULL, "miou");
}

ego_err ego__judge_nlq(ego__judge *judge) {
    nlq n = {.judge = judge, .by_id = ego_has_suffix(judge->options->truth, ".jsonl")};
    judge->truth.size = sizeof(answer);
    EGO_TRY(n.by_id ? ego_predictions_read(judge->options->truth, read_line, &n)
                    : read_official(&n));
    EGO_TRY(ego__judge_table(judge, COLUMNS));
    for (size_t i = 0; i < judge->keys.count; i++) {
        judge->asked[i] = !isnan(answers(&n)[i].span[0]) && !isnan(answers(&n)[i].span[1]);
        for (size_t c = 0; judge->asked[i] && c < COLUMNS; c++)
            ego_tally_column(&judge->out->tally, c)[i] = 0;
    }
    EGO_TRY(ego_predictions_read(judge->predictions, read_prediction, &n));
    return add_metrics(&judge->out->tally);
}
