#include "score/retrieval.h"

#include <math.h>
#include <stdbool.h>

static bool before(const double *scores, size_t a, size_t b) {
    if (isnan(scores[a]) || isnan(scores[b]))
        return isnan(scores[a]) == isnan(scores[b]) ? a < b : isnan(scores[b]);
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
}

size_t ego_first_rank(const double *scores, size_t n, const uint32_t *right, size_t n_right) {
    if (!n_right) return 0;
    size_t best = right[0], rank = 1;
    for (size_t k = 1; k < n_right; k++)
        if (before(scores, right[k], best)) best = right[k];
    for (size_t i = 0; i < n; i++) rank += i != best && before(scores, i, best);
    return rank;
}
