/* Bootstrap intervals: how far a figure would move with other questions of the same kind (Efron 1979; the
 * percentile interval).
 *
 * The units of a tally that are present are drawn again with replacement, as many as there are, within
 * each stratum; every metric is evaluated on the draw. Of two tallies over the same units both are
 * evaluated on the same draw, and their difference has an interval of its own: what both find hard cancels.
 * Draws depend on the seed and the number of the resample alone.
 */
#ifndef EGO_SCORE_BOOTSTRAP_H
#define EGO_SCORE_BOOTSTRAP_H

#include "base/progress.h"
#include "score/tally.h"

typedef struct ego_bootstrap {
    size_t resamples; /* at least 1 */
    double level;     /* 0.95: the interval holds this part of the resamples */
    uint64_t seed;
} ego_bootstrap;

typedef struct ego_interval {
    double low, high; /* NaN where the metric was NaN in more than half of the resamples */
} ego_interval;

/* intervals (tally->n_metrics): of tally's metrics or, where `other` is not NULL, of these less the
 * other's; it has the same units, present ones, strata and metrics. EGO_ECANCELLED when progress says
 * stop. */
ego_err ego_bootstrap_run(const ego_bootstrap *plan, const ego_tally *tally, const ego_tally *other,
                          const ego_progress *progress, ego_interval *intervals);

/* The q-quantile (0 to 1) of n ascending values, linear between neighbours (n > 0). */
double ego_quantile(const double *ascending, size_t n, double q);

#endif
