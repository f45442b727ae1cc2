#include "model/fusion.h"

/* Epsilon of every LayerNorm inside the two encoders (spec/tasks.md §0). */
static const float EPS = 1e-5f;

ego_tensor *ego_cross_video(ego_ctx *cx, const ego_config *config, ego_video_block *p,
                            const ego_tensor *s, const ego_cross *cross) {
    ego_tensor *h = ego_layer_norm(cx, s, &p->cross_norm.weight, &p->cross_norm.bias, EPS);
    ego_tensor *q = ego_linear(cx, h, &p->cross_q.weight, &p->cross_q.bias, EGO_ACT_NONE, NULL);
    ego_tensor *kv =
        ego_linear(cx, cross->other, &p->cross_kv.weight, &p->cross_kv.bias, EGO_ACT_NONE, NULL);
    ego_tensor *a = ego_attention(cx, &(ego_attention_args){.q = q,
                                                            .k = kv,
                                                            .v = kv,
                                                            .v_column = config->dim,
                                                            .heads = config->heads,
                                                            .width = ego_config_head_width(config),
                                                            .segments = cross->segments.at,
                                                            .count = cross->segments.count});
    ego_tensor *y = ego_linear(cx, a, &p->cross_proj.weight, &p->cross_proj.bias, EGO_ACT_NONE, NULL);
    return ego_gated_add(cx, s, &p->gate, y);
}

ego_tensor *ego_cross_text(ego_ctx *cx, const ego_config *config, ego_text_layer *p,
                           const ego_tensor *a, const ego_cross *cross) {
    const ego_tensor *video = cross->other;
    ego_tensor *q =
        ego_linear(cx, a, &p->cross_query.weight, &p->cross_query.bias, EGO_ACT_NONE, NULL);
    ego_tensor *k =
        ego_linear(cx, video, &p->cross_key.weight, &p->cross_key.bias, EGO_ACT_NONE, NULL);
    ego_tensor *v =
        ego_linear(cx, video, &p->cross_value.weight, &p->cross_value.bias, EGO_ACT_NONE, NULL);
    ego_tensor *c = ego_attention(cx, &(ego_attention_args){.q = q,
                                                            .k = k,
                                                            .v = v,
                                                            .heads = config->heads,
                                                            .width = ego_config_head_width(config),
                                                            .segments = cross->segments.at,
                                                            .count = cross->segments.count,
                                                            .drop = cross->drop});
    ego_tensor *y = ego_linear(cx, c, &p->cross_out.weight, &p->cross_out.bias, EGO_ACT_NONE, NULL);
    y = ego_drop(cx, y, cross->drop_output);
    return ego_gated_add(cx, a, &p->gate, y);
}
