/* TimeSformer: the video encoder (section 3.1), block by block. */
#ifndef EGO_MODEL_TIMESFORMER_H
#define EGO_MODEL_TIMESFORMER_H

#include "model/fusion.h"

/* A clip of prepared frames (B, F, 3, S, S) → tokens (B·T, D), T = 1 + F·N. `cls` is the class token of the path:
 * params->video.cls (dual) or params->fused_cls (fused); `temporal` has at least F rows. */
ego_tensor *ego_video_embed(ego_ctx *cx, const ego_config *config, ego_params *params,
                            const ego_tensor *clips, ego_param *cls, ego_param *temporal);

/* One block:  r = x + time(norm3 x);  x' = x + space(norm1 r);  out = x' + mlp(norm2 x').
 * The second residual starts from x, not from r. x (B·T, D) → (B·T, D). With `cross`, the space output
 * also attends to the text. With class_only, everything that only the other tokens would need is left
 * out: → (B, D), the class tokens, bit for bit those of the whole block. */
ego_tensor *ego_video_block_forward(ego_ctx *cx, const ego_config *config, ego_video_block *block,
                                    const ego_tensor *x, ego_clip_shape clips, const ego_cross *cross,
                                    bool class_only);

#endif
