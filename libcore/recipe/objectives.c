#include "recipe/objectives.h"

#include "model/heads.h"

#include <string.h>

/* ---- the dual encoder ---------------------------------------------------------------------------------- */

ego_embeddings ego_dual_embeddings(ego_ctx *cx, ego_model *m, const ego_samples *s) {
    ego_states x = ego_encode(
        cx, m, &(ego_input){.clips = s->clips, .texts = s->texts, .video = EGO_WANT_CLASS, .text = EGO_WANT_CLASS},
        EGO_DUAL);
    return (ego_embeddings){ego_l2_normalize(cx, ego_project_text(cx, &m->config, m->params, x.text)),
                            ego_l2_normalize(cx, ego_project_video(cx, &m->config, m->params, x.video))};
}

static ego_tensor *leaf(ego_ctx *cx, int64_t n, int64_t width, const float *values) {
    ego_tensor *x = ego_tape_leaf(cx, EGO_TENSOR(cx, n, width));
    if (x) memcpy(x->data, values, (size_t)(n * width) * sizeof *values);
    return x;
}

static ego_tensor *contrast(ego_ctx *cx, const ego_tensor *sim, const ego_contrast_terms *terms) {
    return terms->kind == EGO_CONTRAST_MARGIN ? ego_max_margin(cx, sim, terms->fit, terms->margin)
                                              : ego_egonce(cx, sim, terms->positive, terms->temperature);
}

/* Gradients stop at the gathered embeddings, so this has a tape of its own. */
ego_err ego_contrast_all(ego_ctx *cx, int64_t n, int64_t width, const float *text, const float *video,
                         const ego_contrast_terms *terms, float weight, ego_contrast_result *result) {
    ego_tape *tape;
    EGO_TRY(ego_tape_new(false, &tape));
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_tape *before = ego_tape_attach(cx, tape);
    ego_tensor *t = leaf(cx, n, width, text), *v = leaf(cx, n, width, video);
    ego_tensor *sim = ego_product(cx, t, v);
    ego_tensor *loss = contrast(cx, sim, terms);
    if (cx->err == EGO_OK) {
        result->loss = *ego_f32(loss);
        if (result->sim) memcpy(result->sim, sim->data, (size_t)(n * n) * sizeof(float));
    }
    if (result->dtext && result->dvideo) {
        ego_grad_add(cx, loss, weight, NULL);
        ego_tape_backward(cx);
        if (cx->err == EGO_OK) {
            memcpy(result->dtext, ego_grad(t), (size_t)(n * width) * sizeof(float));
            memcpy(result->dvideo, ego_grad(v), (size_t)(n * width) * sizeof(float));
        }
    }
    ego_tape_attach(cx, before);
    ego_ctx_rewind(cx, &mark);
    ego_tape_free(tape);
    return ego_ctx_err(cx);
}

/* ---- MLM and VTM: the fused encoder ----------------------------------------------------------------- */

/* The states of clips in the order of pairs: clip[i]'s T rows for pair i. */
static ego_tensor *states_of(ego_ctx *cx, const ego_model *m, const ego_tensor *states, const int64_t *clip,
                             int64_t n) {
    int64_t T = ego_config_tokens(&m->config, m->config.frames);
    int64_t *rows = ego_ctx_alloc(cx, (size_t)(n * T) * sizeof *rows);
    for (int64_t i = 0; rows && i < n * T; i++) rows[i] = clip[i / T] * T + i % T;
    return ego_gather_rows(cx, states, rows, n * T);
}

static const ego_tensor *masked_tokens(ego_ctx *cx, ego_model *m, const ego_fused_task *task,
                                       const ego_tensor *clips) {
    if (!clips)
        return ego_encode(cx, m, &(ego_input){.texts = task->masked, .text = EGO_WANT_TOKENS}, EGO_DUAL).text;
    const ego_tensor *video = states_of(cx, m, clips, task->masked_clip, task->masked.shape.n);
    const ego_tensor *text = ego_fused_begin_text(cx, m, task->masked);
    return ego_fused_finish(cx, m, video, text, task->masked.shape, EGO_WANT_NOTHING, EGO_WANT_TOKENS).text;
}

/* The states of narrations in the order of pairs, and their shape. */
static const ego_tensor *texts_of_pairs(ego_ctx *cx, const ego_fused_task *task, const ego_tensor *states,
                                        ego_text_shape *shape) {
    int64_t n = task->lists * task->list, count = 0;
    const int64_t *from = task->paired.shape.offsets;
    int64_t *offsets = ego_ctx_alloc(cx, (size_t)(n + 1) * sizeof *offsets);
    for (int64_t i = 0; offsets && i < n; i++) {
        offsets[i] = count;
        count += from[task->paired_text[i] + 1] - from[task->paired_text[i]];
    }
    int64_t *rows = ego_ctx_alloc(cx, (size_t)count * sizeof *rows);
    if (!offsets || !rows) return NULL;
    offsets[n] = count;
    for (int64_t i = 0, r = 0; i < n; i++)
        for (int64_t row = from[task->paired_text[i]]; r < offsets[i + 1]; r++) rows[r] = row++;
    *shape = (ego_text_shape){n, offsets, task->paired.shape.dropout, task->pair_streams};
    return ego_gather_rows(cx, states, rows, count);
}

/* logits (lists · list, 2) → log-odds (lists, list). */
static ego_tensor *log_odds(ego_ctx *cx, const ego_fused_task *task, const ego_tensor *logits) {
    ego_tensor *less = EGO_TENSOR(cx, 1, 2), *odds = NULL;
    if (!less) return NULL;
    ego_f32(less)[0] = -1;
    ego_f32(less)[1] = 1;
    for (int64_t c = 0; c < task->list; c++) {
        int64_t *rows = ego_ctx_alloc(cx, (size_t)task->lists * sizeof *rows);
        for (int64_t i = 0; rows && i < task->lists; i++) rows[i] = i * task->list + c;
        ego_tensor *column = ego_product(cx, ego_gather_rows(cx, logits, rows, task->lists), less);
        odds = odds ? ego_concat(cx, odds, column) : column;
    }
    return odds;
}

static ego_tensor *list_loss(ego_ctx *cx, const ego_fused_task *task, const ego_tensor *logits, float scale) {
    int64_t n = task->lists * task->list;
    int64_t *first = ego_ctx_alloc(cx, (size_t)task->lists * sizeof *first);
    float *targets = ego_ctx_alloc(cx, (size_t)n * sizeof *targets);
    float *weights = ego_ctx_alloc(cx, (size_t)n * sizeof *weights);
    if (!first || !targets || !weights) return NULL;
    memset(first, 0, (size_t)task->lists * sizeof *first);
    for (int64_t i = 0; i < n; i++) {
        targets[i] = (float)task->paired_label[i];
        weights[i] = i % task->list == 0 ? 0.5f : 0.5f / (float)(task->list - 1);
    }
    ego_tensor *odds = log_odds(cx, task, logits);
    return ego_add(cx, ego_cross_entropy(cx, odds, first, scale),
                   ego_binary_cross_entropy(cx, odds, targets, weights, scale));
}

ego_fused_losses ego_fused_objectives(ego_ctx *cx, ego_model *m, const ego_fused_task *task,
                                      float mlm_scale, float vtm_scale) {
    ego_fused_losses out = {0};
    bool fused = m->config.fusion != EGO_FUSION_NONE;
    const ego_tensor *clips = fused ? ego_fused_begin_video(cx, m, task->clips) : NULL;
    if (task->masked.shape.n && task->hidden) {
        const ego_tensor *text = masked_tokens(cx, m, task, clips);
        text = ego_gather_rows(cx, text, task->hidden_rows, task->hidden);
        out.mlm = ego_cross_entropy(cx, ego_mlm_logits(cx, m->params, text), task->hidden_ids, mlm_scale);
    }
    if (task->paired.shape.n && fused) {
        ego_text_shape pairs = task->paired.shape;
        const ego_tensor *text = ego_fused_begin_text(cx, m, task->paired);
        if (task->list) text = texts_of_pairs(cx, task, text, &pairs);
        const ego_tensor *video = states_of(cx, m, clips, task->paired_clip, pairs.n);
        ego_states x = ego_fused_finish(cx, m, video, text, pairs, EGO_WANT_CLASS, EGO_WANT_CLASS);
        out.vtm_logits = ego_match_logits(cx, m->params, x.text, x.video);
        out.vtm = task->list ? list_loss(cx, task, out.vtm_logits, vtm_scale)
                             : ego_cross_entropy(cx, out.vtm_logits, task->paired_label, vtm_scale);
    }
    return out;
}
