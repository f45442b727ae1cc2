#include "model/heads.h"

static ego_tensor *linear(ego_ctx *cx, const ego_tensor *x, ego_linear_params *p, ego_act act) {
    return ego_linear(cx, x, &p->weight, &p->bias, act, NULL);
}

static ego_tensor *project(ego_ctx *cx, const ego_config *config, ego_linear_params *p,
                           const ego_tensor *x, bool text) {
    if (config->projections == 1) {
        if (text) x = ego_activate(cx, x, EGO_ACT_RELU); /* the small family's text side only */
        return linear(cx, x, &p[0], EGO_ACT_NONE);
    }
    ego_tensor *h = ego_linear(cx, x, &p[0].weight, NULL, EGO_ACT_RELU, NULL);
    return linear(cx, linear(cx, h, &p[1], EGO_ACT_RELU), &p[2], EGO_ACT_NONE);
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
    ego_tensor *t = linear(cx, text, &p->text_transform, EGO_ACT_NONE);
    ego_tensor *v = linear(cx, video, &p->video_transform, EGO_ACT_NONE);
    ego_tensor *z = ego_concat(cx, linear(cx, t, &p->text_pooler, EGO_ACT_TANH),
                               linear(cx, v, &p->video_pooler, EGO_ACT_TANH));
    return linear(cx, z, &p->match, EGO_ACT_NONE);
}

ego_tensor *ego_mlm_logits(ego_ctx *cx, ego_params *p, const ego_tensor *text) {
    ego_tensor *h = linear(cx, text, &p->text_transform, EGO_ACT_NONE);
    h = linear(cx, h, &p->mlm.dense, EGO_ACT_GELU);
    h = ego_layer_norm(cx, h, &p->mlm.norm.weight, &p->mlm.norm.bias, 1e-12f);
    return linear(cx, h, &p->mlm.decoder, EGO_ACT_NONE);
}
