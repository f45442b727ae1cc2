/* Rankings: descending order of scores, the lower index first among equals, NaN behind everything.
 *
 * The published evaluations sort with numpy's unstable quicksort; a stable order gives the same
 * figures wherever no scores are equal, and the same on every machine.
 */
#ifndef EGO_SCORE_RANKING_H
#define EGO_SCORE_RANKING_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ego_ranking {
    uint32_t *order; /* (n) of the last ego_rank: order[0] has the greatest score */

    /* private: room for `most` scores */
    size_t most;
    uint32_t *other;
    uint64_t *keys, *other_keys;
} ego_ranking;

ego_err ego_ranking_init(ego_ranking *ranking, size_t most);
void ego_ranking_release(ego_ranking *ranking); /* safe on {0} */

/* Sorts n ≤ most scores; the result is ranking->order, overwritten by the next call. O(n). */
const uint32_t *ego_rank(ego_ranking *ranking, const double *scores, size_t n);

#endif
