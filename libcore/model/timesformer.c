#include "model/timesformer.h"

#include "model/layers.h"

static const float EPS = 1e-5f;
static const ego_dropout NO_DROPOUT; /* there is none in the video encoder */

ego_tensor *ego_video_embed(ego_ctx *cx, const ego_config *config, ego_params *p,
                            const ego_tensor *clips, ego_param *cls, ego_param *temporal) {
    ego_tensor *pixels = ego_patchify(cx, clips, config->patch);
    ego_tensor *patches = ego_dense(cx, pixels, &p->video.patch, EGO_ACT_NONE, NULL);
    return ego_clip_tokens(cx, patches, cls, &p->video.pos, temporal, clips->shape[0], clips->shape[1]);
}

/* Space attention over all rows of h = norm1(r), for every token or for the class tokens alone. */
static ego_tensor *space(ego_ctx *cx, const ego_config *config, ego_video_block *p,
                         const ego_tensor *h, ego_clip_shape clips, bool class_only) {
    int64_t D = config->dim;
    if (!class_only) {
        ego_tensor *qkv = ego_dense(cx, h, &p->space_qkv, EGO_ACT_NONE, NULL);
        return ego_attend(cx, config, qkv, qkv, D, ego_segments_space(cx, clips), NO_DROPOUT);
    }
    ego_linear_params *w = &p->space_qkv;
    ego_tensor *q = ego_linear_slice(cx, ego_class_tokens(cx, h, clips), &w->weight, &w->bias, 0, D);
    ego_tensor *kv = ego_linear_slice(cx, h, &w->weight, &w->bias, D, 2 * D);
    return ego_attend(cx, config, q, kv, 0, ego_segments_class(cx, clips), NO_DROPOUT);
}

ego_tensor *ego_video_block_forward(ego_ctx *cx, const ego_config *config, ego_video_block *p,
                                    const ego_tensor *x, ego_clip_shape clips, const ego_cross *cross,
                                    bool class_only) {
    ego_chain_begin(cx);
    ego_tensor *qkv = ego_dense(cx, ego_norm(cx, x, &p->norm3, EPS), &p->time_qkv, EGO_ACT_NONE, NULL);
    ego_tensor *a = ego_attend(cx, config, qkv, qkv, config->dim, ego_segments_time(cx, clips), NO_DROPOUT);
    ego_tensor *r = ego_dense(cx, a, &p->time_proj, EGO_ACT_NONE, x);

    a = space(cx, config, p, ego_norm(cx, r, &p->norm1, EPS), clips, class_only);
    const ego_tensor *residual = class_only ? ego_class_tokens(cx, x, clips) : x;
    ego_tensor *y;
    if (cross) {
        ego_tensor *s = ego_dense(cx, a, &p->space_proj, EGO_ACT_NONE, NULL);
        y = ego_add(cx, ego_cross_video(cx, config, p, s, cross), residual);
    } else {
        y = ego_dense(cx, a, &p->space_proj, EGO_ACT_NONE, residual);
    }
    ego_tensor *hidden = ego_dense(cx, ego_norm(cx, y, &p->norm2, EPS), &p->fc1, EGO_ACT_GELU, NULL);
    ego_tensor *out = ego_dense(cx, hidden, &p->fc2, EGO_ACT_NONE, y);
    ego_chain_end(cx);
    return out;
}
