/* A table of what every unit of a benchmark (question, query, video) came to, and the metrics that are
 * made of it under any weights of the units: the figure itself with weights of 1, its interval with the
 * weights of each resample (score/bootstrap.h).
 *
 * The table owns its memory. A value is NaN where its column does not count for the unit (a question of
 * another type). A unit that is not present has no prediction: it stays out of every metric.
 */
#ifndef EGO_SCORE_TALLY_H
#define EGO_SCORE_TALLY_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ego_metric_kind {
    EGO_METRIC_MEAN,   /* of column `first`, over the units it counts for; no infinities */
    EGO_METRIC_MEDIAN, /* the same: the middle value, or the mean of the two in the middle */
    EGO_METRIC_AP,     /* average precision in the order rankings[first] of the units whose column
                          `first` is not 0 (no NaN here) */
    EGO_METRIC_AVERAGE /* of the metrics first … first + count − 1, those that are NaN left out */
} ego_metric_kind;

enum { EGO_METRIC_NAME = 64 };

typedef struct ego_metric {
    char name[EGO_METRIC_NAME];
    ego_metric_kind kind;
    size_t first, count;
    double scale; /* what the figure is multiplied by: 100 for per cent */
    bool hidden;  /* a step to others, not to be shown */
} ego_metric;

typedef struct ego_tally {
    size_t units, columns;
    double *values;      /* (columns, units) */
    bool *present;       /* (units) */
    uint32_t *stratum;   /* (units): resampled among its like; all 0 unless set */
    uint32_t **rankings; /* (columns): NULL, or (units), best first; see ego_tally_rank */
    ego_metric *metrics;
    size_t n_metrics;

    /* private */
    size_t metric_room;
} ego_tally;

/* All values NaN, nothing present, one stratum, no metrics. */
ego_err ego_tally_init(ego_tally *tally, size_t units, size_t columns);
void ego_tally_release(ego_tally *tally); /* safe on {0} */

static inline double *ego_tally_column(const ego_tally *tally, size_t column) {
    return tally->values + column * tally->units;
}

/* Keeps the ranking of `scores` (units) for a column; a MEDIAN needs that of the column's own values,
 * NULL stands for them. */
ego_err ego_tally_rank(ego_tally *tally, size_t column, const double *scores);

/* Adds a metric with scale 100 (an AVERAGE: 1); the name is cut at EGO_METRIC_NAME − 1 bytes. An AVERAGE must come
 * behind what it averages. *added (may be NULL) lives until the next is added. */
ego_err ego_tally_add(ego_tally *tally, ego_metric_kind kind, size_t first, size_t count,
                      ego_metric **added, const char *name, ...)
    __attribute__((format(printf, 6, 7)));

/* Every metric into result (n_metrics); NaN where nothing counts. weight (units): 0 for units that are
 * not present; NULL: 1 for those that are. */
void ego_tally_evaluate(const ego_tally *tally, const uint32_t *weight, double *result);

/* How many present units a metric is made of, and how many there would be if all were. Of an average: how
 * many of its metrics are not NaN, and how many it has. */
void ego_tally_count(const ego_tally *tally, size_t metric, size_t *n, size_t *of);

#endif
