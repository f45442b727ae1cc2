/* Fusion on top of both encoders: what the paper's table 6 compares fusion in the backbone with.
 *
 * A layer of one modality is self-attention over all its tokens, cross-attention to the other modality and
 * an MLP, each x + f(norm(x)). Self-attention and the other modality's cross-attention read the states
 * through the same LayerNorm, so it is computed once (ego_stacked_norm) for both.
 */
#ifndef EGO_MODEL_STACKED_H
#define EGO_MODEL_STACKED_H

#include "model/attention.h"
#include "model/config.h"
#include "model/params.h"

/* What one stream of a layer reads. R rows are wanted: all, or its class tokens, gathered. */
typedef struct ego_stacked_input {
    const ego_tensor *x,
        *queries; /* (R, D) states before the layer, and normed; `own` itself for all rows */
    const ego_tensor *own, *other; /* all states of this stream and of the other, normed */
    ego_segments self, cross;
    ego_dropout drop[EGO_PLACES]; /* of the text in training, by ego_text_place */
} ego_stacked_input;

/* The states of one stream as a layer's attention reads them. */
ego_tensor *ego_stacked_norm(ego_ctx *cx, ego_stacked_layer *layer, const ego_tensor *x);

/* The layer for one stream → (R, D). */
ego_tensor *ego_stacked_forward(ego_ctx *cx, const ego_config *config, ego_stacked_layer *layer,
                                const ego_stacked_input *in);

#endif
