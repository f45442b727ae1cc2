/* Many processes as one: ranks 0 … size−1 that add and exchange arrays.
 *
 * dist.c is the one file that knows MPI. It is compiled twice: plainly into libego (one rank, nothing to
 * link) and, where MPI is installed, with -DEGO_MPI into an object of its own that ego-train links before
 * the library. A NULL ego_dist is one rank everywhere.
 *
 * Every rank calls the same function in the same order with sizes that agree; all calls wait for all. A
 * rank that cannot go on calls ego_dist_abort: the others would wait for ever. One thread calls these.
 */
#ifndef EGO_TRAIN_DIST_H
#define EGO_TRAIN_DIST_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ego_dist ego_dist;

/* Joins the other ranks (MPI_Init, when a launcher such as mpirun or srun started this process). argc and argv lose what the launcher put there; both may be NULL. */
ego_err ego_dist_start(int *argc, char ***argv, ego_dist **dist);
void ego_dist_end(ego_dist *dist); /* takes NULL */
/* Ends every rank's process with this status, this one's too. With one rank (or NULL) it returns. */
void ego_dist_abort(ego_dist *dist, int status);
/* "MPI", or "none" for the one-rank build. */
const char *ego_dist_kind(void);

int ego_dist_rank(const ego_dist *dist);
int ego_dist_size(const ego_dist *dist);

/* x[i] becomes the sum over the ranks, taken in double and in the order of the ranks: the same bits on every
 * rank, every time, whatever algorithms MPI has. Each rank adds a share and the shares are exchanged, so
 * what travels is what a ring all-reduce sends. */
ego_err ego_dist_sum(ego_dist *dist, float *x, size_t n);

/* True on every rank when `mine` is true on any. */
ego_err ego_dist_any(ego_dist *dist, bool mine, bool *any);

/* Each rank's `bytes` bytes one after the other in `all` (size · bytes), in order of rank. `mine` may lie
 * in its own place of `all`. */
ego_err ego_dist_gather(ego_dist *dist, const void *mine, size_t bytes, void *all);
/* The lengths first: sizes[r] bytes come from rank r. */
ego_err ego_dist_gather_sizes(ego_dist *dist, size_t bytes, size_t *sizes);
/* Then the blocks, one after the other in `all`. */
ego_err ego_dist_gather_ragged(ego_dist *dist, const void *mine, const size_t *sizes, void *all);

ego_err ego_dist_broadcast(ego_dist *dist, void *data, size_t bytes, int root);
ego_err ego_dist_barrier(ego_dist *dist);

#endif
