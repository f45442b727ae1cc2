#include "score/bootstrap.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A present unit; those of a stratum stand together. */
typedef struct member {
    uint32_t stratum, unit;
} member;

static int by_stratum(const void *a, const void *b) {
    const member *x = a, *y = b;
    if (x->stratum != y->stratum) return x->stratum < y->stratum ? -1 : 1;
    return (x->unit > y->unit) - (x->unit < y->unit);
}

static ego_err gather(const ego_tally *tally, member **members, size_t *count) {
    *members = malloc((tally->units + 1) * sizeof **members);
    if (!*members) return ego_fail(EGO_ENOMEM, "out of memory for %zu units", tally->units);
    *count = 0;
    for (size_t i = 0; i < tally->units; i++)
        if (tally->present[i]) (*members)[(*count)++] = (member){tally->stratum[i], (uint32_t)i};
    qsort(*members, *count, sizeof **members, by_stratum);
    return EGO_OK;
}

static void draw(const member *members, size_t count, uint64_t stream, uint32_t *weight) {
    for (size_t first = 0, end; first < count; first = end) {
        end = first;
        while (end < count && members[end].stratum == members[first].stratum) end++;
        for (size_t i = first; i < end; i++)
            weight[members[first + ego_rng_below(stream, i, (uint32_t)(end - first))].unit]++;
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double ego_quantile(const double *values, size_t n, double q) {
    double at = q * (double)(n - 1);
    size_t below = (size_t)at;
    if (below + 1 >= n) return values[n - 1];
    double part = at - (double)below;
    return values[below] + part * (values[below + 1] - values[below]);
}

/* values: what one metric came to in each resample; sorted here. */
static ego_interval interval(double *values, size_t n, double level) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i])) values[kept++] = values[i];
    if (2 * kept < n || kept == 0) return (ego_interval){NAN, NAN};
    qsort(values, kept, sizeof *values, ascending);
    return (ego_interval){ego_quantile(values, kept, (1 - level) / 2),
                          ego_quantile(values, kept, (1 + level) / 2)};
}

/* All resamples: drawn (metrics, resamples). */
static ego_err resample(const ego_bootstrap *plan, const ego_tally *tally, const ego_tally *other,
                        const ego_progress *progress, double *drawn) {
    size_t M = tally->n_metrics, count = 0;
    member *members = NULL;
    uint32_t *weight = malloc((tally->units + 1) * sizeof *weight);
    double *result = calloc(2 * M + 1, sizeof *result);
    ego_err err = weight && result ? gather(tally, &members, &count)
                                   : ego_fail(EGO_ENOMEM, "out of memory to resample");
    for (size_t r = 0; err == EGO_OK && r < plan->resamples; r++) {
        memset(weight, 0, tally->units * sizeof *weight);
        draw(members, count, ego_rng_stream(plan->seed, r), weight);
        ego_tally_evaluate(tally, weight, result);
        if (other) ego_tally_evaluate(other, weight, result + M);
        for (size_t m = 0; m < M; m++) drawn[m * plan->resamples + r] = result[m] - result[M + m];
        if (!ego_progress_tell(progress, "resamples", r + 1, plan->resamples))
            err = ego_fail(EGO_ECANCELLED, "stopped while resampling");
    }
    free(members);
    free(weight);
    free(result);
    return err;
}

ego_err ego_bootstrap_run(const ego_bootstrap *plan, const ego_tally *tally, const ego_tally *other,
                          const ego_progress *progress, ego_interval *intervals) {
    size_t count;
    if (__builtin_mul_overflow(tally->n_metrics, plan->resamples, &count) || count == SIZE_MAX)
        return ego_fail(EGO_EINPUT, "%zu resamples are too many", plan->resamples);
    double *drawn = calloc(count + 1, sizeof *drawn);
    if (!drawn) return ego_fail(EGO_ENOMEM, "out of memory for %zu resamples", plan->resamples);
    ego_err err = resample(plan, tally, other, progress, drawn);
    for (size_t m = 0; err == EGO_OK && m < tally->n_metrics; m++)
        intervals[m] = interval(drawn + m * plan->resamples, plan->resamples, plan->level);
    free(drawn);
    return err;
}
