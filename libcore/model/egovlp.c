#include "model/egovlp.h"

#include "model/fusion.h"
#include "model/layers.h"
#include "model/roberta.h"
#include "model/stacked.h"
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
        out.video = ego_norm(cx, x, &p->video.norm, 1e-5f);
    }
    if (in->texts.shape.n && in->text) {
        ego_tensor *x = ego_text_embed(cx, p, in->texts.ids, in->texts.shape);
        out.text = text_layers(cx, m, x, in->texts.shape, 0, m->config.depth, in->text);
    }
    return out;
}

/* ---- fused -------------------------------------------------------------------------------------------- */

/* Layers of the encoders that run before the streams meet. */
static int64_t first_fused(const ego_model *m) {
    bool inside = m->config.fusion == EGO_FUSION_BACKBONE || m->config.fusion == EGO_FUSION_FILM;
    return m->config.depth - (inside ? m->config.fuse_layers : 0);
}

ego_tensor *ego_fused_begin_video(ego_ctx *cx, ego_model *m, const ego_tensor *clips) {
    ego_tensor *x =
        ego_video_embed(cx, &m->config, m->params, clips, &m->params->fused_cls, &m->temporal);
    return video_blocks(cx, m, x, clips->shape[0], 0, first_fused(m), EGO_WANT_TOKENS);
}

ego_tensor *ego_fused_begin_text(ego_ctx *cx, ego_model *m, ego_texts texts) {
    ego_tensor *x = ego_text_embed(cx, m->params, texts.ids, texts.shape);
    return text_layers(cx, m, x, texts.shape, 0, first_fused(m), EGO_WANT_TOKENS);
}

/* What the video sees of the text in a fused layer, and the text of the video. */
static ego_cross seen_by_video(ego_ctx *cx, const ego_model *m, ego_states x, ego_clip_shape clips,
                               ego_text_shape texts, bool class_only) {
    if (m->config.fusion == EGO_FUSION_FILM)
        return (ego_cross){.other = ego_first_tokens(cx, x.text, texts),
                           .groups = ego_groups_of_clips(cx, clips, class_only)};
    return (ego_cross){.other = x.text,
                       .segments = ego_segments_video_to_text(cx, texts, clips, class_only)};
}

static ego_cross seen_by_text(ego_ctx *cx, const ego_model *m, ego_states x, ego_clip_shape clips,
                              ego_text_shape texts, bool class_only) {
    if (m->config.fusion == EGO_FUSION_FILM)
        return (ego_cross){.other = ego_class_tokens(cx, x.video, clips),
                           .groups = ego_groups_of_texts(cx, texts, class_only)};
    return (ego_cross){.other = x.video,
                       .segments = ego_segments_text_to_video(cx, texts, clips, class_only)};
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
        ego_cross cross = seen_by_video(cx, m, x, clips, texts, video_class);
        y.video = ego_video_block_forward(cx, &m->config, &m->params->video.blocks[i], x.video, clips,
                                          &cross, video_class);
        trace(cx, m, true, i, y.video);
    }
    if (!last || want_text) {
        ego_cross cross = seen_by_text(cx, m, x, clips, texts, text_class);
        y.text = ego_text_layer_forward(cx, &m->config, &m->params->text.layers[i], i, x.text, texts,
                                        &cross, text_class);
        trace(cx, m, false, i, y.text);
    }
    return y;
}

/* The same on top of both encoders. What a stream reads of the other is its state from before the layer, as
 * the other's own self-attention reads it. */
static ego_states stacked_layer(ego_ctx *cx, ego_model *m, int64_t i, ego_states x,
                                ego_clip_shape clips, ego_text_shape texts, ego_want want_video,
                                ego_want want_text) {
    bool last = i == m->config.fuse_layers - 1;
    bool video_class = last && want_video == EGO_WANT_CLASS;
    bool text_class = last && want_text == EGO_WANT_CLASS;
    ego_stacked_layer *of_video = &m->params->stack.video[i], *of_text = &m->params->stack.text[i];
    ego_tensor *video = ego_stacked_norm(cx, of_video, x.video);
    ego_tensor *text = ego_stacked_norm(cx, of_text, x.text);
    ego_states y = {0};
    if (!last || want_video) {
        ego_stacked_input in = {
            .x = video_class ? ego_class_tokens(cx, x.video, clips) : x.video,
            .queries = video_class ? ego_class_tokens(cx, video, clips) : video,
            .own = video,
            .other = text,
            .self = video_class ? ego_segments_class(cx, clips) : ego_segments_clip(cx, clips),
            .cross = ego_segments_video_to_text(cx, texts, clips, video_class)};
        y.video = ego_stacked_forward(cx, &m->config, of_video, &in);
        trace(cx, m, true, m->config.depth + i, y.video);
    }
    if (!last || want_text) {
        ego_stacked_input in = {.x = text_class ? ego_first_tokens(cx, x.text, texts) : x.text,
                                .queries = text_class ? ego_first_tokens(cx, text, texts) : text,
                                .own = text,
                                .other = video,
                                .self = ego_segments_text(cx, texts, text_class),
                                .cross = ego_segments_text_to_video(cx, texts, clips, text_class)};
        for (int place = 0; place < EGO_PLACES; place++)
            in.drop[place] = ego_text_dropout(cx, texts, text_class, m->config.depth + i + 1,
                                              (ego_text_place)place);
        y.text = ego_stacked_forward(cx, &m->config, of_text, &in);
        trace(cx, m, false, m->config.depth + i, y.text);
    }
    return y;
}

/* The layers in which the streams meet. */
static ego_states meet(ego_ctx *cx, ego_model *m, ego_states x, ego_clip_shape clips,
                       ego_text_shape texts, ego_want want_video, ego_want want_text) {
    ego_steps steps = ego_steps_begin(cx);
    bool stacked = m->config.fusion == EGO_FUSION_STACKED;
    for (int64_t i = 0; i < m->config.fuse_layers; i++) {
        ego_steps_next(cx, &steps);
        x = stacked ? stacked_layer(cx, m, i, x, clips, texts, want_video, want_text)
                    : fused_layer(cx, m, first_fused(m) + i, x, clips, texts, want_video, want_text);
    }
    if (m->config.fuse_layers == 0) { /* they never do: the encoders were everything */
        if (want_video == EGO_WANT_CLASS) x.video = ego_class_tokens(cx, x.video, clips);
        if (want_text == EGO_WANT_CLASS) x.text = ego_first_tokens(cx, x.text, texts);
    }
    return x;
}

ego_states ego_fused_finish(ego_ctx *cx, ego_model *m, const ego_tensor *video,
                            const ego_tensor *text, ego_text_shape texts, ego_want want_video,
                            ego_want want_text) {
    ego_states x = meet(cx, m, (ego_states){video, text}, clip_shape(m, texts.n), texts,
                        want_video, want_text);
    ego_norm_params *norm = &m->params->fused_norm, *text_norm = &m->params->stack.text_norm;
    if (want_video) x.video = ego_norm(cx, x.video, norm, 1e-6f);
    if (want_text && m->config.fusion == EGO_FUSION_STACKED) /* RoBERTa's own layers end with one */
        x.text = ego_norm(cx, x.text, text_norm, 1e-5f);
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
