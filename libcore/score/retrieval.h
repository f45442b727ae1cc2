/* Plain retrieval: where in its ranking a query finds what is right for it. */
#ifndef EGO_SCORE_RETRIEVAL_H
#define EGO_SCORE_RETRIEVAL_H

#include <stddef.h>
#include <stdint.h>

/* The rank, from 1, of the best placed of the right targets (n_right of them, each below n), among n
 * scores; equal scores rank the lower index first, NaN ranks last. 0 when nothing is right. Recall at K
 * is how often this is from 1 to K. */
size_t ego_first_rank(const double *scores, size_t n, const uint32_t *right, size_t n_right);

#endif
