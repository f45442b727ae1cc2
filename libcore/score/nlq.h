/* Ego4D natural language queries: how well spans of time fit (spec/tasks.md §4).
 *
 * Spans are [start, end] in seconds. The benchmark counts a query as found at K when one of its first K
 * spans overlaps the answer by more than a threshold (strictly), and gives the mean overlap of the
 * first span of each query.
 */
#ifndef EGO_SCORE_NLQ_H
#define EGO_SCORE_NLQ_H

#include <stdbool.h>
#include <stddef.h>

/* Intersection over the hull of the two, which is their union whenever they meet; 0 for a hull of no
 * length (NaN in the published evaluation). */
double ego_overlap(const double a[2], const double b[2]);

/* Whether one of the first k of n spans has an IoU with the answer above the threshold. */
bool ego_overlap_found(const double (*spans)[2], size_t n, const double answer[2], size_t k,
                       double threshold);

#endif
