#include "model/roberta.h"

#include "model/layers.h"

static const float EPS = 1e-5f;
enum { PAD = 1 };

ego_tensor *ego_text_embed(ego_ctx *cx, ego_params *p, const int64_t *ids, ego_text_shape t) {
    int64_t rows = t.offsets[t.n];
    int64_t *positions = ego_ctx_alloc(cx, (size_t)rows * sizeof *positions);
    int64_t *types = ego_ctx_alloc(cx, (size_t)rows * sizeof *types);
    if (!positions || !types) return NULL;
    for (int64_t i = 0; i < t.n; i++)
        for (int64_t r = t.offsets[i], next = PAD + 1; r < t.offsets[i + 1]; r++) {
            positions[r] = ids[r] == PAD ? PAD : next++;
            types[r] = 0;
        }
    ego_tensor *x = ego_embedding(cx, &p->text.word, ids, rows);
    x = ego_add(cx, x, ego_embedding(cx, &p->text.type, types, rows));
    x = ego_add(cx, x, ego_embedding(cx, &p->text.position, positions, rows));
    x = ego_norm(cx, x, &p->text.norm, EPS);
    return ego_drop(cx, x, ego_text_dropout(cx, t, false, 0, EGO_PLACE_OUTPUT));
}

ego_tensor *ego_text_layer_forward(ego_ctx *cx, const ego_config *config, ego_text_layer *p, int64_t i,
                                   const ego_tensor *x, ego_text_shape texts, const ego_cross *cross,
                                   bool class_only) {
    const ego_tensor *residual = class_only ? ego_first_tokens(cx, x, texts) : x;
    ego_segments segments = ego_segments_text(cx, texts, class_only);
    ego_dropout drop[EGO_PLACES];
    for (int place = 0; place < EGO_PLACES; place++)
        drop[place] = ego_text_dropout(cx, texts, class_only, i + 1, (ego_text_place)place);
    ego_chain_begin(cx);
    ego_tensor *a = ego_attention(
        cx, &(ego_attention_args){.q = ego_dense(cx, residual, &p->query, EGO_ACT_NONE, NULL),
                                  .k = ego_dense(cx, x, &p->key, EGO_ACT_NONE, NULL),
                                  .v = ego_dense(cx, x, &p->value, EGO_ACT_NONE, NULL),
                                  .heads = config->heads,
                                  .width = ego_config_head_width(config),
                                  .segments = segments.at,
                                  .count = segments.count,
                                  .drop = drop[EGO_PLACE_SELF]});
    ego_tensor *h;
    if (cross) {
        ego_cross video = *cross;
        video.drop = drop[EGO_PLACE_CROSS];
        video.drop_output = drop[EGO_PLACE_CROSS_OUTPUT];
        h = ego_drop(cx, ego_dense(cx, a, &p->out, EGO_ACT_NONE, NULL), drop[EGO_PLACE_SELF_OUTPUT]);
        h = ego_add(cx, ego_cross_text(cx, config, p, h, &video), residual);
    } else {
        h = ego_dense_drop_add(cx, a, &p->out, drop[EGO_PLACE_SELF_OUTPUT], residual);
    }
    h = ego_norm(cx, h, &p->out_norm, EPS);
    ego_tensor *hidden = ego_dense(cx, h, &p->fc1, EGO_ACT_GELU, NULL);
    ego_tensor *out = ego_dense_drop_add(cx, hidden, &p->fc2, drop[EGO_PLACE_OUTPUT], h);
    out = ego_norm(cx, out, &p->fc_norm, EPS);
    ego_chain_end(cx);
    return out;
}
