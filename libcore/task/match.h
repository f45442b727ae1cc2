/* Exact search: for every query the k targets of greatest cosine, none missed, none approximate.
 *
 * A score is one fixed sequence of float32 operations on its query and its target alone: the same
 * bits whatever else is searched with it, on any number of threads. Equal scores rank the lower
 * target index first. Vectors may stand anywhere (a mapped file, at any alignment) and in any
 * numeric dtype; they need not be of unit length. A vector with a NaN or infinity among its
 * elements matches nothing and is reported.
 */
#ifndef EGO_TASK_MATCH_H
#define EGO_TASK_MATCH_H

#include "base/err.h"
#include "base/progress.h"
#include "base/threads.h"
#include "tensor/tensor.h"

#include <stdbool.h>
#include <stddef.h>

/* Where one vector's elements begin, little-endian; owned elsewhere. A positive factor common to
 * the elements (an i8 vector's scale) does not change a cosine and is not kept. Without data there is no
 * vector: it matches nothing. */
typedef struct ego_vector {
    const void *data;
    ego_dtype dtype;
} ego_vector;

typedef struct ego_match_options {
    size_t k;                     /* hits for each query, at least 1 */
    double min_score;             /* hits below are left out; -INFINITY: none */
    ego_pool *pool;               /* borrowed; NULL: one thread */
    const ego_progress *progress; /* told of targets seen; NULL: nobody */
} ego_match_options;

typedef struct ego_match_hit {
    size_t target; /* index among the targets */
    float score;   /* cosine */
} ego_match_hit;

typedef struct ego_match_result {
    size_t k;             /* room for hits of one query: the smaller of options.k and the targets */
    ego_match_hit *hits;  /* (queries, k): those of query q begin at hits[q * k], best first */
    size_t *n_hits;       /* (queries) */
    bool *bad_query;      /* (queries): not all of its elements are finite */
    size_t n_bad_targets; /* targets left out because not all of their elements are finite … */
    size_t first_bad_target; /* … and the first of them */
} ego_match_result;

/* Scores all queries against all targets, vectors of `dim` elements each. The result is the
 * caller's, to be given to ego_match_release. Memory: queries · (k · 16 + dim · 4) bytes and a few
 * MB. EGO_ECANCELLED when progress says stop. */
ego_err ego_match(const ego_vector *queries, size_t n_queries, const ego_vector *targets,
                  size_t n_targets, size_t dim, const ego_match_options *options,
                  ego_match_result *result);
void ego_match_release(ego_match_result *result); /* safe on {0} */

#endif
