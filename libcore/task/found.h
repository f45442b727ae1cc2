/* Targets found for a query: looked at again by the fused encoder, told likely or not, written as a line.
 *
 *     {"query":"open","rank":1,"id":"a1","score":0.41,…}
 *     {"query":"open","rank":1,"id":"a1","score":0.93,"dual":0.41,"vtm":0.93,"p":0.02,"likely":true,…}
 */
#ifndef EGO_TASK_FOUND_H
#define EGO_TASK_FOUND_H

#include "data/record.h"
#include "task/calibration.h"
#include "task/match.h"
#include "task/rerank.h"

typedef struct ego_found {
    ego_match_hit hit;
    double vtm; /* NaN: not looked at again, or that could not be read */
    ego_record target;
} ego_found;

/* Sets vtm of the n and puts the most probable first; of equals, and of those that could not be read, which come
 * last, the order stays. */
ego_err ego_found_rerank(ego_reranker *reranker, const ego_record *query, ego_found *found, size_t n);

/* The calibration, if it tells what is likely of this pair: of a narration and a clip; else NULL. c may be NULL. */
const ego_calibration *ego_found_calibration(const ego_calibration *c, const ego_record *query,
                                             const ego_record *target);
bool ego_found_likely(const ego_calibration *c, double score);

/* Appends the line up to what the target's own record adds, and leaves the object open. rank 0: of a target that
 * was answered as it came. c may be NULL. */
void ego_found_write(const ego_found *found, const ego_record *query, size_t rank, const ego_calibration *c,
                     ego_buf *line);

#endif
