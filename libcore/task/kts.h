/* Kernel temporal segmentation (Potapov et al. 2014): where a video's content changes.
 *
 * A segment of shots [a, b) costs what its states scatter around their mean, which for the linear
 * kernel is
 *     J(a, b) = Σ ‖x_t‖² − ‖Σ x_t‖² / (b − a),   t in [a, b).
 * The segmentation into m + 1 segments that costs least is found exactly by dynamic programming,
 * and m by
 *     cost(m) = Σ J / n + penalty · m / 2n · (ln(n / m) + 1),   the first least one counting.
 *
 * Memory: the kernel's n x n matrix is never there. Scatters of all segments that end at a shot are
 * made from those that end at the shot before and one column of the kernel; as many columns as fill
 * a tile are computed together. Beside the features, which are the caller's, that is 8 · n · (tile
 * + 3) bytes and 12 · n for each segment allowed. Work: n² D / 2 multiply-adds (fewer do not do:
 * every pair of shots is looked at), in double precision, shared by the pool's threads, and n² / 2
 * additions and comparisons for each segment allowed. Results do not depend on the number of
 * threads.
 *
 * The published program sums the kernel in float32 and allows at most 20 segments, the first of at
 * most 198 shots, the others of at most 199: so not more than 3,979 shots, nor fewer than 20.
 * `reference` does the same.
 */
#ifndef EGO_TASK_KTS_H
#define EGO_TASK_KTS_H

#include "base/err.h"
#include "base/threads.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EGO_KTS_SEGMENTS = 20,      /* what the published program allows */
    EGO_KTS_MAX_SEGMENTS = 4096 /* more are an error */
};

typedef struct ego_kts_options {
    size_t most;    /* segments; 0: EGO_KTS_SEGMENTS. Never more than there are shots */
    double penalty; /* of a change; 0: 1, the published one */
    bool reference; /* float32 sums, and the limits above (in the place of `most`) */
    ego_pool *pool; /* NULL: the caller's thread alone */
} ego_kts_options;  /* {0}: the defaults */

typedef struct ego_kts {
    size_t count;   /* segments, at least 1 */
    size_t *starts; /* [count + 1]: segment i is [starts[i], starts[i + 1]); the last is n */
    size_t n_costs;
    double *costs; /* [n_costs]: cost(m), the best with m changes; infinite: there is none */
} ego_kts;         /* {0} is empty */

/* x: (n, D) states of n ≥ 1 shots in order. EGO_EINPUT when one is not finite. */
ego_err ego_kts_segment(const float *x, size_t n, size_t D, const ego_kts_options *options,
                        ego_kts *out);
void ego_kts_release(ego_kts *kts); /* leaves {0}; safe on {0} */

#endif
