/* RoBERTa: the text encoder, layer by layer, on narrations of any lengths one after the other. */
#ifndef EGO_MODEL_ROBERTA_H
#define EGO_MODEL_ROBERTA_H

#include "model/fusion.h"

/* Ids of all narrations (R of them) → (R, D): norm(word + position + type). Positions count from 2; pad
 * tokens (id 1), if any, stand at position 1 and do not count. */
ego_tensor *ego_text_embed(ego_ctx *cx, ego_params *params, const int64_t *ids, ego_text_shape texts);

/* Layer i:  h = norm(x + dense(self-attention x));  out = norm(h + mlp h). x (R, D) → (R, D). With `cross`,
 * the dense output also attends to the video. With class_only: → (n, D), the first tokens alone, bit for
 * bit those of the whole layer. In training (texts.dropout) values are dropped where the reference drops
 * them: after the embedding's norm, from the attention's softmax, from the outputs of dense layers. */
ego_tensor *ego_text_layer_forward(ego_ctx *cx, const ego_config *config, ego_text_layer *layer, int64_t i,
                                   const ego_tensor *x, ego_text_shape texts, const ego_cross *cross,
                                   bool class_only);

#endif
