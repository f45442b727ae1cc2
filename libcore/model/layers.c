#include "model/layers.h"

ego_tensor *ego_norm(ego_ctx *cx, const ego_tensor *x, ego_norm_params *p, float eps) {
    return ego_layer_norm(cx, x, &p->weight, &p->bias, eps);
}

ego_tensor *ego_dense(ego_ctx *cx, const ego_tensor *x, ego_linear_params *p, ego_act act,
                      const ego_tensor *residual) {
    return ego_linear(cx, x, &p->weight, &p->bias, act, residual);
}

ego_tensor *ego_dense_drop_add(ego_ctx *cx, const ego_tensor *x, ego_linear_params *p, ego_dropout drop,
                               const ego_tensor *residual) {
    if (drop.p <= 0) return ego_dense(cx, x, p, EGO_ACT_NONE, residual);
    return ego_add(cx, ego_drop(cx, ego_dense(cx, x, p, EGO_ACT_NONE, NULL), drop), residual);
}

ego_tensor *ego_attend(ego_ctx *cx, const ego_config *config, const ego_tensor *q, const ego_tensor *kv,
                       int64_t k_column, ego_segments segments, ego_dropout drop) {
    return ego_attention(cx, &(ego_attention_args){.q = q,
                                                   .k = kv,
                                                   .v = kv,
                                                   .k_column = k_column,
                                                   .v_column = k_column + config->dim,
                                                   .heads = config->heads,
                                                   .width = ego_config_head_width(config),
                                                   .segments = segments.at,
                                                   .count = segments.count,
                                                   .drop = drop});
}

ego_tensor *ego_attend_within(ego_ctx *cx, const ego_tensor *qkv, int64_t heads, ego_groups groups,
                              const float *key_bias) {
    ego_segment *own = ego_ctx_alloc(cx, (size_t)groups.count * sizeof *own);
    if (!own || !qkv) return NULL;
    int64_t width = ego_tensor_columns(qkv) / 3;
    for (int64_t g = 0; g < groups.count; g++) {
        int64_t first = groups.first[g], n = groups.first[g + 1] - first;
        own[g] = (ego_segment){first, 1, n, first, 1, n, -1};
    }
    return ego_attention(cx, &(ego_attention_args){.q = qkv,
                                                   .k = qkv,
                                                   .v = qkv,
                                                   .k_column = width,
                                                   .v_column = 2 * width,
                                                   .heads = heads,
                                                   .width = width / heads,
                                                   .segments = own,
                                                   .count = groups.count,
                                                   .key_bias = key_bias});
}
