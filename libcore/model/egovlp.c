#include "model/egovlp.h"

#include "model/fusion.h"
#include "model/roberta.h"
#include "model/timesformer.h"

static void trace(ego_ctx *cx, const ego_model *m, bool video, int64_t layer, const ego_tensor *x) {
    if (m->trace && cx->err == EGO_OK) m->trace(m->trace_context, video, layer, x);
}

static ego_clip_shape clip_shape(const ego_model *m, int64_t batch) {
    return (ego_clip_shape){batch, m->config.frames, ego_config_patches(&m->config)};
}

/* Video blocks [from, to) without text; the last of all leaves out what a class token does not need. */
static ego_tensor *video_blocks(ego_ctx *cx, ego_model *m, ego_tensor *x, int64_t batch,
                                int64_t from, int64_t to, ego_want want) {
    ego_steps steps = ego_steps_begin(cx);
    for (int64_t i = from; i < to; i++) {
        bool class_only = want == EGO_WANT_CLASS && i == m->config.depth - 1;
        ego_steps_next(cx, &steps);
        x = ego_video_block_forward(cx, &m->config, &m->params->video.blocks[i], x,
                                    clip_shape(m, batch), NULL, class_only);
        trace(cx, m, true, i, x);
    }
    return x;
}

static ego_tensor *text_layers(ego_ctx *cx, ego_model *m, ego_tensor *x, ego_text_shape texts,
                               int64_t from, int64_t to, ego_want want) {
    ego_steps steps = ego_steps_begin(cx);
    for (int64_t i = from; i < to; i++) {
        bool class_only = want == EGO_WANT_CLASS && i == m->config.depth - 1;
        ego_steps_next(cx, &steps);
        x = ego_text_layer_forward(cx, &m->config, &m->params->text.layers[i], i, x, texts, NULL,
                                   class_only);
        trace(cx, m, false, i, x);
    }
    return x;
}

/* ---- dual -------------------------------------------------------------------------------------------- */

static ego_states encode_dual(ego_ctx *cx, ego_model *m, const ego_input *in) {
    ego_params *p = m->params;
    ego_states out = {0};
    if (in->clips && in->video) {
        ego_tensor *x = ego_video_embed(cx, &m->config, p, in->clips, &p->video.cls, &m->temporal);
        x = video_blocks(cx, m, x, in->clips->shape[0], 0, m->config.depth, in->video);
        out.video = ego_layer_norm(cx, x, &p->video.norm.weight, &p->video.norm.bias, 1e-5f);
    }
    if (in->texts.shape.n && in->text) {
        ego_tensor *x = ego_text_embed(cx, p, in->texts.ids, in->texts.shape);
        out.text = text_layers(cx, m, x, in->texts.shape, 0, m->config.depth, in->text);
    }
    return out;
}

/* ---- fused -------------------------------------------------------------------------------------------- */

static int64_t first_fused(const ego_model *m) { return m->config.depth - m->config.fuse_layers; }

ego_tensor *ego_fused_begin_video(ego_ctx *cx, ego_model *m, const ego_tensor *clips) {
    ego_tensor *x =
        ego_video_embed(cx, &m->config, m->params, clips, &m->params->fused_cls, &m->temporal);
    return video_blocks(cx, m, x, clips->shape[0], 0, first_fused(m), EGO_WANT_TOKENS);
}

ego_tensor *ego_fused_begin_text(ego_ctx *cx, ego_model *m, ego_texts texts) {
    ego_tensor *x = ego_text_embed(cx, m->params, texts.ids, texts.shape);
    return text_layers(cx, m, x, texts.shape, 0, first_fused(m), EGO_WANT_TOKENS);
}

/* One fused layer: both streams read the other's state from before it. A stream that nobody wants any
 * more is not computed in the last layer. */
static ego_states fused_layer(ego_ctx *cx, ego_model *m, int64_t i, ego_states x, ego_clip_shape clips,
                              ego_text_shape texts, ego_want want_video, ego_want want_text) {
    bool last = i == m->config.depth - 1;
    bool video_class = last && want_video == EGO_WANT_CLASS;
    bool text_class = last && want_text == EGO_WANT_CLASS;
    ego_states y = {0};
    if (!last || want_video) {
        ego_cross cross = {.other = x.text,
                           .segments = ego_segments_video_to_text(cx, texts, clips, video_class)};
        y.video = ego_video_block_forward(cx, &m->config, &m->params->video.blocks[i], x.video, clips,
                                          &cross, video_class);
        trace(cx, m, true, i, y.video);
    }
    if (!last || want_text) {
        ego_cross cross = {.other = x.video,
                           .segments = ego_segments_text_to_video(cx, texts, clips, text_class)};
        y.text = ego_text_layer_forward(cx, &m->config, &m->params->text.layers[i], i, x.text, texts,
                                        &cross, text_class);
        trace(cx, m, false, i, y.text);
    }
    return y;
}

ego_states ego_fused_finish(ego_ctx *cx, ego_model *m, const ego_tensor *video,
                            const ego_tensor *text, ego_text_shape texts, ego_want want_video,
                            ego_want want_text) {
    ego_clip_shape clips = clip_shape(m, texts.n);
    ego_states x = {video, text};
    ego_steps steps = ego_steps_begin(cx);
    for (int64_t i = first_fused(m); i < m->config.depth; i++) {
        ego_steps_next(cx, &steps);
        x = fused_layer(cx, m, i, x, clips, texts, want_video, want_text);
    }
    if (m->config.fuse_layers == 0) { /* no gate anywhere: the lower half was everything */
        if (want_video == EGO_WANT_CLASS) x.video = ego_class_tokens(cx, x.video, clips);
        if (want_text == EGO_WANT_CLASS) x.text = ego_first_tokens(cx, x.text, texts);
    }
    ego_norm_params *norm = &m->params->fused_norm;
    if (want_video) x.video = ego_layer_norm(cx, x.video, &norm->weight, &norm->bias, 1e-6f);
    return (ego_states){want_video ? x.video : NULL, want_text ? x.text : NULL};
}

static ego_states encode_fused(ego_ctx *cx, ego_model *m, const ego_input *in) {
    ego_tensor *video = ego_fused_begin_video(cx, m, in->clips);
    ego_tensor *text = ego_fused_begin_text(cx, m, in->texts);
    return ego_fused_finish(cx, m, video, text, in->texts.shape, in->video, in->text);
}

ego_states ego_encode(ego_ctx *cx, ego_model *model, const ego_input *input, ego_mode mode) {
    return mode == EGO_DUAL ? encode_dual(cx, model, input) : encode_fused(cx, model, input);
}

int64_t ego_good_batch(const ego_model *model) {
    int64_t tokens = ego_config_tokens(&model->config, model->config.frames);
    return tokens >= 1000 ? 1 : 1000 / tokens;
}
