#include "model/fusion.h"

#include "model/layers.h"

/* Epsilon of every LayerNorm inside the two encoders (spec/tasks.md §0). */
static const float EPS = 1e-5f;

static ego_tensor *film(ego_ctx *cx, ego_linear_params *p, const ego_tensor *x,
                        const ego_cross *cross) {
    int64_t D = ego_tensor_columns(x);
    ego_tensor *scale = ego_linear_slice(cx, cross->other, &p->weight, &p->bias, 0, D);
    ego_tensor *shift = ego_linear_slice(cx, cross->other, &p->weight, &p->bias, D, D);
    return ego_modulate(cx, x, scale, shift, cross->groups);
}

ego_tensor *ego_cross_video(ego_ctx *cx, const ego_config *config, ego_video_block *p,
                            const ego_tensor *s, const ego_cross *cross) {
    if (config->fusion == EGO_FUSION_FILM) return film(cx, &p->film, s, cross);
    ego_tensor *h = ego_norm(cx, s, &p->cross_norm, EPS);
    ego_tensor *q = ego_dense(cx, h, &p->cross_q, EGO_ACT_NONE, NULL);
    ego_tensor *kv = ego_dense(cx, cross->other, &p->cross_kv, EGO_ACT_NONE, NULL);
    ego_tensor *a = ego_attend(cx, config, q, kv, 0, cross->segments, cross->drop);
    ego_tensor *y = ego_dense(cx, a, &p->cross_proj, EGO_ACT_NONE, NULL);
    return ego_gated_add(cx, s, &p->gate, y);
}

ego_tensor *ego_cross_text(ego_ctx *cx, const ego_config *config, ego_text_layer *p,
                           const ego_tensor *a, const ego_cross *cross) {
    if (config->fusion == EGO_FUSION_FILM) return film(cx, &p->film, a, cross);
    const ego_tensor *video = cross->other;
    ego_tensor *q = ego_dense(cx, a, &p->cross_query, EGO_ACT_NONE, NULL);
    ego_tensor *k = ego_dense(cx, video, &p->cross_key, EGO_ACT_NONE, NULL);
    ego_tensor *v = ego_dense(cx, video, &p->cross_value, EGO_ACT_NONE, NULL);
    ego_tensor *c = ego_attention(cx, &(ego_attention_args){.q = q,
                                                            .k = k,
                                                            .v = v,
                                                            .heads = config->heads,
                                                            .width = ego_config_head_width(config),
                                                            .segments = cross->segments.at,
                                                            .count = cross->segments.count,
                                                            .drop = cross->drop});
    ego_tensor *y = ego_dense(cx, c, &p->cross_out, EGO_ACT_NONE, NULL);
    y = ego_drop(cx, y, cross->drop_output);
    return ego_gated_add(cx, a, &p->gate, y);
}
