/* EK-100 multi-instance retrieval: nDCG and mAP with graded relevance (spec/tasks.md §2).
 *
 * Both are given for one query: the row of similarities to all candidates and the row of relevancies
 * in [0, 1]. The benchmark's figure is the mean over queries, for videos as queries, for sentences as
 * queries, and the mean of the two; ×100.
 */
#ifndef EGO_SCORE_MIR_H
#define EGO_SCORE_MIR_H

#include "score/ranking.h"

typedef struct ego_mir_query {
    /* DCG/IDCG with linear gain, both over the first K ranks, K the number of candidates of relevancy
     * above 0. NaN when K is 0. */
    double ndcg;
    /* (1/#{rel = 1}) Σ over ranks k with rel 1 of (Σ_{j ≤ k} rel_j) / k. As published, the inner sum
     * adds relevancies, not hits; only an exact 1 counts as a positive. NaN without one, as in the
     * published evaluation, where a single such row makes the whole figure NaN. */
    double ap;
} ego_mir_query;

/* Scratch for rows of up to `most` candidates. */
typedef struct ego_mir {
    ego_ranking ranking;
    double *discounts; /* (most): 1/log2(k + 2) */
    double *positive;  /* (most): relevancies above 0 */
} ego_mir;

ego_err ego_mir_init(ego_mir *mir, size_t most);
void ego_mir_release(ego_mir *mir); /* safe on {0} */

ego_mir_query ego_mir_score(ego_mir *mir, const double *similarity, const double *relevancy,
                            size_t n);

#endif
