/* Fusion in the backbone (section 3.2): the gated cross-attention that sits inside the top layers of both
 * encoders. Both streams read the other's state from before the layer. */
#ifndef EGO_MODEL_FUSION_H
#define EGO_MODEL_FUSION_H

#include "model/attention.h"
#include "model/config.h"
#include "model/params.h"

/* What one stream sees of the other: its rows before this layer, and who attends to which of them. */
typedef struct ego_cross {
    const ego_tensor *other;
    ego_segments segments;
    ego_dropout drop, drop_output; /* of the text's attention and of its dense output, in training */
} ego_cross;

/* s + α_i2t · proj(attention(q = norm(s), keys and values of the text)).   s (R, D): space-attention output
 * after its projection → (R, D) */
ego_tensor *ego_cross_video(ego_ctx *cx, const ego_config *config, ego_video_block *block,
                            const ego_tensor *s, const ego_cross *cross);

/* a + α_t2i · dense(attention(query = a, keys and values of the video)).   a (R, D): self-attention output
 * after its dense layer, without the residual → (R, D) */
ego_tensor *ego_cross_text(ego_ctx *cx, const ego_config *config, ego_text_layer *layer,
                           const ego_tensor *a, const ego_cross *cross);

#endif
