/* The heads on top of the encoders: projections, video-text matching, masked language modelling. */
#ifndef EGO_MODEL_HEADS_H
#define EGO_MODEL_HEADS_H

#include "model/config.h"
#include "model/params.h"
#include "tensor/ops.h"

/* Dual-path class states (R, D) → (R, projection's last width), not normalised. */
ego_tensor *ego_project_video(ego_ctx *cx, const ego_config *config, ego_params *params,
                              const ego_tensor *x);
ego_tensor *ego_project_text(ego_ctx *cx, const ego_config *config, ego_params *params,
                             const ego_tensor *x);

/* Fused class states of the same pairs, text (n, D) and video (n, D) → logits (n, 2): (no match, match). */
ego_tensor *ego_match_logits(ego_ctx *cx, ego_params *params, const ego_tensor *text,
                             const ego_tensor *video);

/* Fused text tokens (R, D) → logits over the vocabulary (R, V). */
ego_tensor *ego_mlm_logits(ego_ctx *cx, ego_params *params, const ego_tensor *text);

#endif
