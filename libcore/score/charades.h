/* Charades-Ego: average precision of one class over videos (spec/tasks.md §3).
 *
 * The benchmark's mAP is the mean over the classes that any video has. A video without any label ranks
 * behind all others in the published evaluation; it holds no positive, so it would change nothing there,
 * but in front of a positive it would. `present` is where such videos are left out.
 */
#ifndef EGO_SCORE_CHARADES_H
#define EGO_SCORE_CHARADES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The mean of the precision at each positive of the ranking `order` (ego_rank of the class's scores, n
 * videos). positive (n): not 0 for the positives. How often a video counts is weight (n) or, where that
 * is NULL, present (n; NULL: all once); its copies rank one behind the other. NaN when no positive
 * counts. */
double ego_class_ap(const uint32_t *order, size_t n, const double *positive, const uint32_t *weight,
                    const bool *present);

#endif
