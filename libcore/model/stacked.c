#include "model/stacked.h"

#include "model/layers.h"

static const float EPS = 1e-5f;

ego_tensor *ego_stacked_norm(ego_ctx *cx, ego_stacked_layer *p, const ego_tensor *x) {
    return ego_norm(cx, x, &p->attn_norm, EPS);
}

static ego_tensor *self(ego_ctx *cx, const ego_config *config, ego_stacked_layer *p,
                        const ego_stacked_input *in) {
    int64_t D = config->dim;
    ego_linear_params *w = &p->qkv;
    ego_dropout drop = in->drop[EGO_PLACE_SELF];
    if (in->queries == in->own) {
        ego_tensor *qkv = ego_dense(cx, in->own, w, EGO_ACT_NONE, NULL);
        return ego_attend(cx, config, qkv, qkv, D, in->self, drop);
    }
    ego_tensor *q = ego_linear_slice(cx, in->queries, &w->weight, &w->bias, 0, D);
    ego_tensor *kv = ego_linear_slice(cx, in->own, &w->weight, &w->bias, D, 2 * D);
    return ego_attend(cx, config, q, kv, 0, in->self, drop);
}

ego_tensor *ego_stacked_forward(ego_ctx *cx, const ego_config *config, ego_stacked_layer *p,
                                const ego_stacked_input *in) {
    ego_tensor *a = self(cx, config, p, in);
    ego_tensor *x = ego_dense_drop_add(cx, a, &p->proj, in->drop[EGO_PLACE_SELF_OUTPUT], in->x);

    ego_tensor *q = ego_dense(cx, ego_norm(cx, x, &p->cross_norm, EPS), &p->cross_q, EGO_ACT_NONE, NULL);
    ego_tensor *kv = ego_dense(cx, in->other, &p->cross_kv, EGO_ACT_NONE, NULL);
    a = ego_attend(cx, config, q, kv, 0, in->cross, in->drop[EGO_PLACE_CROSS]);
    x = ego_dense_drop_add(cx, a, &p->cross_proj, in->drop[EGO_PLACE_CROSS_OUTPUT], x);

    ego_tensor *hidden =
        ego_dense(cx, ego_norm(cx, x, &p->mlp_norm, EPS), &p->fc1, EGO_ACT_GELU, NULL);
    return ego_dense_drop_add(cx, hidden, &p->fc2, in->drop[EGO_PLACE_OUTPUT], x);
}
