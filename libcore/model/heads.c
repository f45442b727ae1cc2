#include "model/heads.h"

#include "model/layers.h"

static ego_tensor *project(ego_ctx *cx, const ego_config *config, ego_linear_params *p,
                           const ego_tensor *x, bool text) {
    if (config->projections == 1) {
        if (text) x = ego_activate(cx, x, EGO_ACT_RELU); /* the small family's text side only */
        return ego_dense(cx, x, &p[0], EGO_ACT_NONE, NULL);
    }
    ego_tensor *h = ego_linear(cx, x, &p[0].weight, NULL, EGO_ACT_RELU, NULL);
    h = ego_dense(cx, h, &p[1], EGO_ACT_RELU, NULL);
    return ego_dense(cx, h, &p[2], EGO_ACT_NONE, NULL);
}

ego_tensor *ego_project_video(ego_ctx *cx, const ego_config *config, ego_params *p,
                              const ego_tensor *x) {
    return project(cx, config, p->video_projection, x, false);
}

ego_tensor *ego_project_text(ego_ctx *cx, const ego_config *config, ego_params *p,
                             const ego_tensor *x) {
    return project(cx, config, p->text_projection, x, true);
}

ego_tensor *ego_match_logits(ego_ctx *cx, ego_params *p, const ego_tensor *text,
                             const ego_tensor *video) {
    ego_tensor *t = ego_dense(cx, text, &p->text_transform, EGO_ACT_NONE, NULL);
    ego_tensor *v = ego_dense(cx, video, &p->video_transform, EGO_ACT_NONE, NULL);
    ego_tensor *z = ego_concat(cx, ego_dense(cx, t, &p->text_pooler, EGO_ACT_TANH, NULL),
                               ego_dense(cx, v, &p->video_pooler, EGO_ACT_TANH, NULL));
    return ego_dense(cx, z, &p->match, EGO_ACT_NONE, NULL);
}

ego_tensor *ego_mlm_logits(ego_ctx *cx, ego_params *p, const ego_tensor *text) {
    ego_tensor *h = ego_dense(cx, text, &p->text_transform, EGO_ACT_NONE, NULL);
    h = ego_dense(cx, h, &p->mlm.dense, EGO_ACT_GELU, NULL);
    h = ego_norm(cx, h, &p->mlm.norm, 1e-12f);
    return ego_dense(cx, h, &p->mlm.decoder, EGO_ACT_NONE, NULL);
}
