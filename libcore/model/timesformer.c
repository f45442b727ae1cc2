#include "model/timesformer.h"

static const float EPS = 1e-5f;

ego_tensor *ego_video_embed(ego_ctx *cx, const ego_config *config, ego_params *p,
                            const ego_tensor *clips, ego_param *cls, ego_param *temporal) {
    ego_tensor *pixels = ego_patchify(cx, clips, config->patch);
    ego_tensor *patches = ego_linear(cx, pixels, &p->video.patch.weight, &p->video.patch.bias,
                                     EGO_ACT_NONE, NULL);
    return ego_clip_tokens(cx, patches, cls, &p->video.pos, temporal, clips->shape[0], clips->shape[1]);
}

static ego_tensor *norm(ego_ctx *cx, const ego_tensor *x, ego_norm_params *p) {
    return ego_layer_norm(cx, x, &p->weight, &p->bias, EPS);
}

static ego_tensor *linear(ego_ctx *cx, const ego_tensor *x, ego_linear_params *p,
                          const ego_tensor *residual) {
    return ego_linear(cx, x, &p->weight, &p->bias, EGO_ACT_NONE, residual);
}

/* Attention whose queries stand in q and whose keys and values follow one another in kv. */
static ego_tensor *attend(ego_ctx *cx, const ego_config *config, const ego_tensor *q,
                          const ego_tensor *kv, int64_t k_column, ego_segments segments) {
    return ego_attention(cx, &(ego_attention_args){.q = q,
                                                   .k = kv,
                                                   .v = kv,
                                                   .k_column = k_column,
                                                   .v_column = k_column + config->dim,
                                                   .heads = config->heads,
                                                   .width = ego_config_head_width(config),
                                                   .segments = segments.at,
                                                   .count = segments.count});
}

/* Space attention over all rows of h = norm1(r), for every token or for the class tokens alone. */
static ego_tensor *space(ego_ctx *cx, const ego_config *config, ego_video_block *p,
                         const ego_tensor *h, ego_clip_shape clips, bool class_only) {
    int64_t D = config->dim;
    if (!class_only) {
        ego_tensor *qkv = linear(cx, h, &p->space_qkv, NULL);
        return attend(cx, config, qkv, qkv, D, ego_segments_space(cx, clips));
    }
    ego_linear_params *w = &p->space_qkv;
    ego_tensor *q = ego_linear_slice(cx, ego_class_tokens(cx, h, clips), &w->weight, &w->bias, 0, D);
    ego_tensor *kv = ego_linear_slice(cx, h, &w->weight, &w->bias, D, 2 * D);
    return attend(cx, config, q, kv, 0, ego_segments_class(cx, clips));
}

ego_tensor *ego_video_block_forward(ego_ctx *cx, const ego_config *config, ego_video_block *p,
                                    const ego_tensor *x, ego_clip_shape clips, const ego_cross *cross,
                                    bool class_only) {
    ego_tensor *qkv = linear(cx, norm(cx, x, &p->norm3), &p->time_qkv, NULL);
    ego_tensor *a = attend(cx, config, qkv, qkv, config->dim, ego_segments_time(cx, clips));
    ego_tensor *r = ego_linear(cx, a, &p->time_proj.weight, &p->time_proj.bias, EGO_ACT_NONE, x);

    a = space(cx, config, p, norm(cx, r, &p->norm1), clips, class_only);
    const ego_tensor *residual = class_only ? ego_class_tokens(cx, x, clips) : x;
    ego_tensor *y;
    if (cross) {
        ego_tensor *s = ego_cross_video(cx, config, p, linear(cx, a, &p->space_proj, NULL), cross);
        y = ego_add(cx, s, residual);
    } else {
        y = linear(cx, a, &p->space_proj, residual);
    }
    ego_tensor *hidden = ego_linear(cx, norm(cx, y, &p->norm2), &p->fc1.weight, &p->fc1.bias,
                                    EGO_ACT_GELU, NULL);
    return linear(cx, hidden, &p->fc2, y);
}
