#include "model/stacked.h"

static ego_tensor *norm(ego_ctx *cx, const ego_tensor *x, ego_norm_params *p) {
    return ego_layer_norm(cx, x, &p->weight, &p->bias, 1e-5f);
}

ego_tensor *ego_stacked_norm(ego_ctx *cx, ego_stacked_layer *p, const ego_tensor *x) {
    return norm(cx, x, &p->attn_norm);
}

static ego_tensor *linear(ego_ctx *cx, const ego_tensor *x, ego_linear_params *p) {
    return ego_linear(cx, x, &p->weight, &p->bias, EGO_ACT_NONE, NULL);
}

/* residual + dropout(x W + b) */
static ego_tensor *linear_drop_add(ego_ctx *cx, const ego_tensor *x, ego_linear_params *p,
                                   ego_dropout drop, const ego_tensor *residual) {
    if (drop.p <= 0) return ego_linear(cx, x, &p->weight, &p->bias, EGO_ACT_NONE, residual);
    return ego_add(cx, ego_drop(cx, linear(cx, x, p), drop), residual);
}

/* Attention whose queries stand in q and whose keys and values follow one another in kv. */
static ego_tensor *attend(ego_ctx *cx, const ego_config *config, const ego_tensor *q,
                          const ego_tensor *kv, int64_t k_column, ego_segments segments,
                          ego_dropout drop) {
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

static ego_tensor *self(ego_ctx *cx, const ego_config *config, ego_stacked_layer *p,
                        const ego_stacked_input *in) {
    int64_t D = config->dim;
    ego_linear_params *w = &p->qkv;
    ego_dropout drop = in->drop[EGO_PLACE_SELF];
    if (in->queries == in->own) {
        ego_tensor *qkv = linear(cx, in->own, w);
        return attend(cx, config, qkv, qkv, D, in->self, drop);
    }
    ego_tensor *q = ego_linear_slice(cx, in->queries, &w->weight, &w->bias, 0, D);
    ego_tensor *kv = ego_linear_slice(cx, in->own, &w->weight, &w->bias, D, 2 * D);
    return attend(cx, config, q, kv, 0, in->self, drop);
}

ego_tensor *ego_stacked_forward(ego_ctx *cx, const ego_config *config, ego_stacked_layer *p,
                                const ego_stacked_input *in) {
    ego_tensor *a = self(cx, config, p, in);
    ego_tensor *x = linear_drop_add(cx, a, &p->proj, in->drop[EGO_PLACE_SELF_OUTPUT], in->x);

    ego_tensor *q = linear(cx, norm(cx, x, &p->cross_norm), &p->cross_q);
    ego_tensor *kv = linear(cx, in->other, &p->cross_kv);
    a = attend(cx, config, q, kv, 0, in->cross, in->drop[EGO_PLACE_CROSS]);
    x = linear_drop_add(cx, a, &p->cross_proj, in->drop[EGO_PLACE_CROSS_OUTPUT], x);

    ego_tensor *hidden =
        ego_linear(cx, norm(cx, x, &p->mlp_norm), &p->fc1.weight, &p->fc1.bias, EGO_ACT_GELU, NULL);
    return linear_drop_add(cx, hidden, &p->fc2, in->drop[EGO_PLACE_OUTPUT], x);
}
