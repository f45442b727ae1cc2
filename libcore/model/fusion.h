/* Fusion inside the top layers of both encoders. Both streams read the other's state from before the layer.
 *
 * In the backbone (section 3.2): gated cross-attention.
 *
 * FiLM (Perez et al. 2018): one linear
 * layer of the other stream's class token c scales and shifts every row of the clip or narration,
 *     [γ; β] = W c + b,   x ← x ∘ (1 + γ) + β,   W (2D, D), b (2D), both 0 at the start: identity.
 * x stands where cross-attention would be added: of video the space attention's output after its projection,
 * of text the self-attention's after its dense layer, both before the residual. */
#ifndef EGO_MODEL_FUSION_H
#define EGO_MODEL_FUSION_H

#include "model/attention.h"
#include "model/config.h"
#include "model/params.h"

/* What one stream sees of the other: its state before this layer, and who sees which of it. */
typedef struct ego_cross {
    const ego_tensor *other; /* its rows; FiLM: its class tokens alone */
    ego_segments segments;
    ego_groups groups; /* FiLM: this stream's rows that each of them modulates */
    ego_dropout drop, drop_output; /* of the text's attention and of its dense output, in training */
} ego_cross;

/* s + α_i2t · proj(attention(q = norm(s), keys and values of the text)), or FiLM.   s (R, D): space-attention
 * output after its projection → (R, D) */
ego_tensor *ego_cross_video(ego_ctx *cx, const ego_config *config, ego_video_block *block,
                            const ego_tensor *s, const ego_cross *cross);

/* a + α_t2i · dense(attention(query = a, keys and values of the video)), or FiLM.   a (R, D): self-attention
 * output after its dense layer, without the residual → (R, D) */
ego_tensor *ego_cross_text(ego_ctx *cx, const ego_config *config, ego_text_layer *layer,
                           const ego_tensor *a, const ego_cross *cross);

#endif
