/* Multiple choice: which of several scores is the answer. */
#ifndef EGO_SCORE_CHOICE_H
#define EGO_SCORE_CHOICE_H

#include <math.h>
#include <stddef.h>

/* The first of the greatest, as the benchmarks count; NaN is chosen only where all are (n > 0). */
static inline size_t ego_first_best(const double *scores, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (scores[i] > scores[best] || (isnan(scores[best]) && !isnan(scores[i]))) best = i;
    return best;
}

#endif
