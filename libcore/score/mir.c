#include "score/mir.h"

#include <math.h>
#include <stdlib.h>

ego_err ego_mir_init(ego_mir *mir, size_t most) {
    *mir = (ego_mir){0};
    EGO_TRY(ego_ranking_init(&mir->ranking, most));
    mir->discounts = malloc((most + 1) * sizeof *mir->discounts);
    mir->positive = malloc((most + 1) * sizeof *mir->positive);
    if (!mir->discounts || !mir->positive) {
        ego_mir_release(mir);
        return ego_fail(EGO_ENOMEM, "out of memory for rows of %zu", most);
    }
    for (size_t k = 0; k < most; k++) mir->discounts[k] = 1 / log2((double)k + 2);
    return EGO_OK;
}

void ego_mir_release(ego_mir *mir) {
    ego_ranking_release(&mir->ranking);
    free(mir->discounts);
    free(mir->positive);
    *mir = (ego_mir){0};
}

static double gain(const ego_mir *mir, const uint32_t *order, const double *relevancy, size_t k) {
    double sum = 0;
    for (size_t i = 0; i < k; i++) sum += relevancy[order[i]] * mir->discounts[i];
    return sum;
}

static double average_precision(const uint32_t *order, const double *relevancy, size_t n) {
    double sum = 0, seen = 0;
    size_t positives = 0;
    for (size_t i = 0; i < n; i++) {
        double rel = relevancy[order[i]];
        seen += rel;
        if (rel != 1) continue;
        positives++;
        sum += seen / (double)(i + 1);
    }
    return positives ? sum / (double)positives : NAN;
}

ego_mir_query ego_mir_score(ego_mir *mir, const double *similarity, const double *relevancy,
                            size_t n) {
    size_t relevant = 0;
    for (size_t i = 0; i < n; i++)
        if (relevancy[i] > 0) mir->positive[relevant++] = relevancy[i];
    const uint32_t *order = ego_rank(&mir->ranking, similarity, n);
    double reached = gain(mir, order, relevancy, relevant);
    double ap = average_precision(order, relevancy, n);
    order = ego_rank(&mir->ranking, mir->positive, relevant); /* those at 0 would follow */
    return (ego_mir_query){relevant ? reached / gain(mir, order, mir->positive, relevant) : NAN,
                           ap};
}
