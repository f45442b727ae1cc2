/* Second look: how probable it is, by the fused encoder, that a query and each of its best targets belong
 * together. One side must be a clip and the other a narration. What the fused encoder computes below its
 * first gate is computed once for the query. */
#ifndef EGO_TASK_RERANK_H
#define EGO_TASK_RERANK_H

#include "data/source.h"
#include "model/egovlp.h"

typedef struct ego_rerank_options {
    const char *video_root; /* NULL: none; must live as long as the reranker */
    ego_sampling sampling;
} ego_rerank_options;

typedef struct ego_reranker ego_reranker;

/* The context and the model (with EGO_NEEDS_FUSED | EGO_NEEDS_VTM) stay the caller's and must outlive it. */
ego_err ego_rerank_open(ego_ctx *cx, ego_model *model, const ego_rerank_options *options,
                        ego_reranker **reranker);
void ego_rerank_close(ego_reranker *reranker); /* takes NULL */

/* vtm[n]: the probability of "match" (VTM head) for the query with each target; NaN where the target's
 * clip or text cannot be read. EGO_EINPUT when the query cannot, or query and targets are no clip and
 * text. A value depends on its pair alone. */
ego_err ego_rerank(ego_reranker *reranker, const ego_record *query,
                   const ego_record *const *targets, size_t n, double *vtm);

#endif
