/* What the layers of both encoders are made of: operations given their parameters by the pair. */
#ifndef EGO_MODEL_LAYERS_H
#define EGO_MODEL_LAYERS_H

#include "model/attention.h"
#include "model/config.h"
#include "model/params.h"

/* norm(x) · weight + bias; eps is 1e-5 inside the encoders (spec/tasks.md §0). */
ego_tensor *ego_norm(ego_ctx *cx, const ego_tensor *x, ego_norm_params *p, float eps);

/* act(x Wᵀ + b) + residual; act or residual may be none. */
ego_tensor *ego_dense(ego_ctx *cx, const ego_tensor *x, ego_linear_params *p, ego_act act,
                      const ego_tensor *residual);

/* dropout(x Wᵀ + b) + residual */
ego_tensor *ego_dense_drop_add(ego_ctx *cx, const ego_tensor *x, ego_linear_params *p, ego_dropout drop,
                               const ego_tensor *residual);

/* Attention whose queries stand in q and whose keys and values follow one another in kv from column k_column. */
ego_tensor *ego_attend(ego_ctx *cx, const ego_config *config, const ego_tensor *q, const ego_tensor *kv,
                       int64_t k_column, ego_segments segments, ego_dropout drop);

/* Attention of each group's rows to one another, of queries, keys and values side by side, (R, 3D). key_bias: added to
 * the scores of a row as key, (R), or NULL. */
ego_tensor *ego_attend_within(ego_ctx *cx, const ego_tensor *qkv, int64_t heads, ego_groups groups,
                              const float *key_bias);

#endif
