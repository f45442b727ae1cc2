/* The assignment problem: rows to columns, each used at most once, so that the sum of the weights is
 * the greatest possible.
 *
 * Kuhn's Hungarian method as successive shortest augmenting paths with potentials, O(n² m) for n ≤ m
 * (Kuhn 1955; Jonker and Volgenant 1987 for this form).
 */
#ifndef EGO_SCORE_ASSIGN_H
#define EGO_SCORE_ASSIGN_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* weight: (rows, columns), finite. *total: the greatest sum. match (rows; may be NULL): the column of
 * each row, or -1. A pair whose weight is not above 0 is never matched: it adds nothing. */
ego_err ego_assign(const double *weight, size_t rows, size_t columns, double *total,
                   int32_t *match);

#endif
