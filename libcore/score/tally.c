#include "score/tally.h"

#include "score/charades.h"
#include "score/ranking.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ego_err ego_tally_init(ego_tally *tally, size_t units, size_t columns) {
    size_t count = 0;
    *tally = (ego_tally){.units = units, .columns = columns};
    if (units >= UINT32_MAX || __builtin_mul_overflow(units, columns, &count) || count == SIZE_MAX)
        return ego_fail(EGO_EUNSUPPORTED, "a table of %zu by %zu", units, columns);
    tally->values = calloc(count + 1, sizeof *tally->values);
    tally->present = calloc(units + 1, sizeof *tally->present);
    tally->stratum = calloc(units + 1, sizeof *tally->stratum);
    tally->rankings = calloc(columns + 1, sizeof *tally->rankings);
    if (!tally->values || !tally->present || !tally->stratum || !tally->rankings) {
        ego_tally_release(tally);
        return ego_fail(EGO_ENOMEM, "out of memory for a table of %zu by %zu", units, columns);
    }
    for (size_t i = 0; i < count; i++) tally->values[i] = NAN;
    return EGO_OK;
}

void ego_tally_release(ego_tally *tally) {
    for (size_t c = 0; tally->rankings && c < tally->columns; c++) free(tally->rankings[c]);
    free(tally->rankings);
    free(tally->values);
    free(tally->present);
    free(tally->stratum);
    free(tally->metrics);
    *tally = (ego_tally){0};
}

ego_err ego_tally_rank(ego_tally *tally, size_t column, const double *scores) {
    ego_ranking ranking;
    EGO_TRY(ego_ranking_init(&ranking, tally->units));
    ego_rank(&ranking, scores ? scores : ego_tally_column(tally, column), tally->units);
    free(tally->rankings[column]);
    tally->rankings[column] = ranking.order;
    ranking.order = NULL;
    ego_ranking_release(&ranking);
    return EGO_OK;
}

ego_err ego_tally_add(ego_tally *tally, ego_metric_kind kind, size_t first, size_t count,
                      ego_metric **added, const char *name, ...) {
    if (tally->n_metrics == tally->metric_room) {
        size_t room = tally->metric_room ? 2 * tally->metric_room : 16;
        ego_metric *metrics = realloc(tally->metrics, room * sizeof *metrics);
        if (!metrics) return ego_fail(EGO_ENOMEM, "out of memory for %zu metrics", room);
        tally->metrics = metrics;
        tally->metric_room = room;
    }
    ego_metric *metric = &tally->metrics[tally->n_metrics++];
    double scale = kind == EGO_METRIC_AVERAGE ? 1 : 100; /* what is averaged is scaled already */
    *metric = (ego_metric){.kind = kind, .first = first, .count = count, .scale = scale};
    va_list args;
    va_start(args, name);
    vsnprintf(metric->name, sizeof metric->name, name, args);
    va_end(args);
    if (added) *added = metric;
    return EGO_OK;
}

/* ---- evaluating ---------------------------------------------------------------------------------- */

static double weight_of(const ego_tally *tally, const uint32_t *weight, size_t unit) {
    return weight ? weight[unit] : tally->present[unit];
}

static double mean(const ego_tally *tally, const uint32_t *weight, size_t column) {
    const double *values = ego_tally_column(tally, column);
    double sum = 0, total = 0;
    for (size_t i = 0; i < tally->units; i++) { /* without branches: a third of the weights are 0 */
        bool counts = !isnan(values[i]);
        double w = counts ? weight_of(tally, weight, i) : 0;
        sum += w * (counts ? values[i] : 0);
        total += w;
    }
    return total > 0 ? sum / total : NAN;
}

/* The ranking has NaN, which does not count, at its end. */
static double median(const ego_tally *tally, const uint32_t *weight, size_t column) {
    const double *values = ego_tally_column(tally, column);
    const uint32_t *order = tally->rankings[column];
    double total = 0, seen = 0, upper = NAN;
    for (size_t i = 0; i < tally->units; i++)
        if (!isnan(values[i])) total += weight_of(tally, weight, i);
    for (size_t i = 0; i < tally->units && total > 0; i++) {
        seen += weight_of(tally, weight, order[i]);
        if (isnan(upper) && 2 * seen >= total) upper = values[order[i]];
        if (2 * seen > total) return (upper + values[order[i]]) / 2;
    }
    return NAN;
}

static double average(const ego_metric *metric, const double *result) {
    double sum = 0;
    size_t n = 0;
    for (size_t m = metric->first; m < metric->first + metric->count; m++)
        if (!isnan(result[m])) sum += result[m], n++;
    return n ? sum / (double)n : NAN;
}

static double class_ap(const ego_tally *tally, const uint32_t *weight, size_t column) {
    return ego_class_ap(tally->rankings[column], tally->units, ego_tally_column(tally, column),
                        weight, tally->present);
}

void ego_tally_evaluate(const ego_tally *tally, const uint32_t *weight, double *result) {
    for (size_t m = 0; m < tally->n_metrics; m++) {
        const ego_metric *metric = &tally->metrics[m];
        double value = NAN;
        switch (metric->kind) {
        case EGO_METRIC_MEAN: value = mean(tally, weight, metric->first); break;
        case EGO_METRIC_MEDIAN: value = median(tally, weight, metric->first); break;
        case EGO_METRIC_AP: value = class_ap(tally, weight, metric->first); break;
        case EGO_METRIC_AVERAGE: value = average(metric, result); break;
        }
        result[m] = metric->scale * value;
    }
}

static void count_metrics(const ego_tally *tally, const ego_metric *metric, size_t *n, size_t *of) {
    *of = metric->count;
    for (size_t m = metric->first; m < metric->first + metric->count; m++) {
        size_t some, all;
        ego_tally_count(tally, m, &some, &all);
        *n += some > 0;
    }
}

void ego_tally_count(const ego_tally *tally, size_t metric, size_t *n, size_t *of) {
    const ego_metric *m = &tally->metrics[metric];
    *n = *of = 0;
    if (m->kind == EGO_METRIC_AVERAGE) {
        count_metrics(tally, m, n, of);
        return;
    }
    const double *values = ego_tally_column(tally, m->first);
    for (size_t i = 0; i < tally->units; i++) {
        bool counts = m->kind == EGO_METRIC_AP ? values[i] != 0 : !isnan(values[i]);
        *of += counts;
        *n += counts && tally->present[i];
    }
}
