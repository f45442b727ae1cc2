/* The lists of what each kind of head is made of. A kind is a table of numbers and a walk over its parameters; all
 * else (head.c) is the same for all. Names and starts: spec/tasks.md, sections 4 to 6. */
#include "model/head.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- the walk: small words for the kinds of parameters ------------------------------------------------ */

typedef struct walk {
    ego_param_visitor *visit;
    void *context;
    bool (*decays)(const char *name);
    ego_err err;
    char prefix[96];
} walk;

static void at(walk *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void at(walk *w, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(w->prefix, sizeof w->prefix, format, args);
    va_end(args);
}

/* Completes a spec with its name and hands it out. */
static void one(walk *w, const char *suffix, ego_param_spec spec) {
    char name[160];
    if (w->err != EGO_OK) return;
    snprintf(name, sizeof name, "%s%s", w->prefix, suffix);
    spec.name = name;
    spec.decay = w->decays(name);
    w->err = w->visit(w->context, &spec);
}

/* How a layer's weight and bias start. */
typedef struct start {
    ego_init weight, bias;
    double weight_amount, bias_amount;
} start;

static const start xavier = {.weight = EGO_INIT_XAVIER, .bias = EGO_INIT_ZERO};
static const start torch_linear = {.weight = EGO_INIT_UNIFORM, .bias = EGO_INIT_UNIFORM};

/* A linear layer, weight (O, I) or, as a convolution of width one, (O, I, 1). `like`: the layer it starts as. */
static void layer(walk *w, ego_linear_params *p, const char *name, int ndim, int64_t outputs,
                  int64_t inputs, start s, const ego_linear_params *like) {
    char suffix[96];
    snprintf(suffix, sizeof suffix, "%sweight", name);
    one(w, suffix,
        (ego_param_spec){.ndim = ndim,
                         .shape = {outputs, inputs, ndim == 3},
                         .param = &p->weight,
                         .product = true,
                         .init = s.weight,
                         .amount = s.weight_amount,
                         .fan_in = inputs,
                         .fan_out = outputs,
                         .like = like ? &like->weight : NULL});
    snprintf(suffix, sizeof suffix, "%sbias", name);
    one(w, suffix,
        (ego_param_spec){.ndim = 1,
                         .shape = {outputs},
                         .param = &p->bias,
                         .init = s.bias,
                         .amount = s.bias_amount,
                         .fan_in = inputs,
                         .like = like ? &like->bias : NULL});
}

static void linear(walk *w, ego_linear_params *p, const char *name, int64_t outputs, int64_t inputs,
                   start s) {
    layer(w, p, name, 2, outputs, inputs, s, NULL);
}

static void conv1d(walk *w, ego_linear_params *p, const char *name, int64_t outputs,
                   int64_t inputs) {
    layer(w, p, name, 3, outputs, inputs, xavier, NULL);
}

static void norm(walk *w, ego_norm_params *p, const char *name, int64_t dim) {
    char suffix[96];
    snprintf(suffix, sizeof suffix, "%sweight", name);
    one(w, suffix,
        (ego_param_spec){.ndim = 1, .shape = {dim}, .param = &p->weight, .init = EGO_INIT_ONE});
    snprintf(suffix, sizeof suffix, "%sbias", name);
    one(w, suffix,
        (ego_param_spec){.ndim = 1, .shape = {dim}, .param = &p->bias, .init = EGO_INIT_ZERO});
}

/* A layer as PyTorch's TransformerEncoderLayer starts; `like`: as which other. */
static void encoder_layer(walk *w, ego_encoder_layer *p, int64_t D, int64_t hidden, const ego_encoder_layer *like) {
    static const start into = {.weight = EGO_INIT_XAVIER, .bias = EGO_INIT_ZERO};
    static const start out = {.weight = EGO_INIT_UNIFORM, .bias = EGO_INIT_ZERO};
    layer(w, &p->qkv, "self_attn.in_proj_", 2, 3 * D, D, into, like ? &like->qkv : NULL);
    layer(w, &p->out, "self_attn.out_proj.", 2, D, D, out, like ? &like->out : NULL);
    layer(w, &p->fc1, "linear1.", 2, hidden, D, torch_linear, like ? &like->fc1 : NULL);
    layer(w, &p->fc2, "linear2.", 2, D, hidden, torch_linear, like ? &like->fc2 : NULL);
    norm(w, &p->norm1, "norm1.", D);
    norm(w, &p->norm2, "norm2.", D);
}

static bool all_decay(const char *name) {
    (void)name;
    return true;
}

static const char *const nothing[] = {NULL};

static ego_err check_heads(const char *name, int64_t width, int64_t heads) {
    if (width % heads == 0) return EGO_OK;
    return ego_fail(EGO_EINPUT, "%s, %lld, does not divide by heads, %lld", name, (long long)width, (long long)heads);
}

/* ---- nlq.vslnet, nlq.vslnet_small ----------------------------------------------------------------------- */

#define VSLNET(member) offsetof(ego_head_config, vslnet.member)
static const ego_head_key vslnet_keys[] = {
    {"video_width", VSLNET(video_width), 768, 1, 1 << 16, "video_affine.linear.conv1d.weight", 1},
    {"query_width", VSLNET(query_width), 768, 1, 1 << 16, "query_affine.weight", 1},
    {"dim", VSLNET(dim), 128, 1, 1 << 13, "query_affine.weight", 0},
    {"heads", VSLNET(heads), 8, 1, 1 << 10, NULL, 0},
    {"positions", VSLNET(positions), 256, 1, 1 << 16,
     "feature_encoder.pos_embedding.position_embeddings.weight", 0},
    {"highlighted", VSLNET(highlighted), 0, 0, 1, NULL, 0}, /* the last: of the small one alone */
};

static ego_err vslnet_check(const ego_head_config *config) {
    return check_heads("dim", config->vslnet.dim, config->vslnet.heads);
}

/* As published: whatever has one of these in its name. weighted_pool and the w4 decay. */
static bool vslnet_decays(const char *name) {
    return !strstr(name, "bias") && !strstr(name, "layer_norm") && !strstr(name, "LayerNorm");
}

/* A vector that is multiplied by, stored as a column. Glorot's fans are those of the stored shape. */
static void column(walk *w, ego_param *param, const char *suffix, int64_t dim) {
    one(w, suffix,
        (ego_param_spec){.ndim = 2,
                         .shape = {dim, 1},
                         .param = param,
                         .init = EGO_INIT_XAVIER,
                         .fan_in = 1,
                         .fan_out = dim,
                         .product = true,
                         .column = true});
}

static void vslnet_encoder(walk *w, ego_vslnet_encoder *p, const char *prefix,
                           const ego_vslnet_config *c) {
    int64_t D = c->dim;
    at(w, "%s", prefix);
    one(w, "pos_embedding.position_embeddings.weight",
        (ego_param_spec){.ndim = 2,
                         .shape = {c->positions, D},
                         .param = &p->positions,
                         .init = EGO_INIT_NORMAL,
                         .amount = 1});
    for (int i = 0; i < EGO_VSLNET_CONVS; i++) {
        at(w, "%sconv_block.depthwise_separable_conv.%d.", prefix, i);
        one(w, "0.weight",
            (ego_param_spec){.ndim = 3,
                             .shape = {D, 1, EGO_VSLNET_KERNEL},
                             .param = &p->conv[i].depthwise,
                             .init = EGO_INIT_XAVIER,
                             .fan_in = EGO_VSLNET_KERNEL,
                             .fan_out = D * EGO_VSLNET_KERNEL});
        conv1d(w, &p->conv[i].pointwise, "1.", D, D);
    }
    for (int i = 0; i < EGO_VSLNET_CONVS; i++) {
        at(w, "%sconv_block.layer_norms.%d.", prefix, i);
        norm(w, &p->conv[i].norm, "", D);
    }
    at(w, "%sattention_block.", prefix);
    conv1d(w, &p->query, "query.conv1d.", D, D);
    conv1d(w, &p->key, "key.conv1d.", D, D);
    conv1d(w, &p->value, "value.conv1d.", D, D);
    norm(w, &p->norm1, "layer_norm1.", D);
    norm(w, &p->norm2, "layer_norm2.", D);
    conv1d(w, &p->out, "out_layer.conv1d.", D, D);
}

static void vslnet_attention(walk *w, ego_vslnet_params *p, int64_t D) {
    at(w, "cq_attention.");
    column(w, &p->attention.video, "w4C", D);
    column(w, &p->attention.query, "w4Q", D);
    one(w, "w4mlu",
        (ego_param_spec){.ndim = 3,
                         .shape = {1, 1, D},
                         .param = &p->attention.both,
                         .init = EGO_INIT_XAVIER,
                         .fan_in = D,
                         .fan_out = D});
    conv1d(w, &p->attention.linear, "cqa_linear.conv1d.", D, 4 * D);
}

static void vslnet_span(walk *w, ego_vslnet_params *p, const ego_vslnet_config *c) {
    int64_t D = c->dim;
    vslnet_encoder(w, &p->span_encoder, "predictor.encoder.", c);
    at(w, "predictor.");
    norm(w, &p->start_norm, "start_layer_norm.", D);
    norm(w, &p->end_norm, "end_layer_norm.", D);
    conv1d(w, &p->start[0], "start_block.0.conv1d.", D, 2 * D);
    conv1d(w, &p->start[1], "start_block.2.conv1d.", 1, D);
    conv1d(w, &p->end[0], "end_block.0.conv1d.", D, 2 * D);
    conv1d(w, &p->end[1], "end_block.2.conv1d.", 1, D);
}

static ego_err vslnet_walk(const ego_vslnet_config *c, ego_vslnet_params *p, bool attends,
                           ego_param_visitor *visit, void *context) {
    walk w = {.visit = visit, .context = context, .decays = vslnet_decays};
    conv1d(&w, &p->video_affine, "video_affine.linear.conv1d.", c->dim, c->video_width);
    vslnet_encoder(&w, &p->encoder, "feature_encoder.", c);
    if (attends) vslnet_attention(&w, p, c->dim);
    at(&w, "cq_concat.");
    column(&w, &p->pool, "weighted_pool.weight", c->dim);
    conv1d(&w, &p->concat, "conv1d.conv1d.", c->dim, 2 * c->dim);
    at(&w, "%s", "");
    conv1d(&w, &p->highlight, "highlight_layer.conv1d.conv1d.", 1, c->dim);
    vslnet_span(&w, p, c);
    at(&w, "%s", "");
    linear(&w, &p->query_affine, "query_affine.", c->dim, c->query_width, xavier);
    return w.err;
}

static ego_err vslnet_visit(const ego_head_config *config, ego_head_params *params,
                            ego_param_visitor *visit, void *context) {
    return vslnet_walk(&config->vslnet, &params->vslnet, true, visit, context);
}

static ego_err vslnet_small_visit(const ego_head_config *config, ego_head_params *params,
                                  ego_param_visitor *visit, void *context) {
    return vslnet_walk(&config->vslnet, &params->vslnet, false, visit, context);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
const ego_head_kind ego_head_vslnet = {
    "nlq.vslnet", vslnet_keys, COUNT(vslnet_keys) - 1, vslnet_check, vslnet_visit, nothing};
const ego_head_kind ego_head_vslnet_small = {
    "nlq.vslnet_small", vslnet_keys, COUNT(vslnet_keys), vslnet_check, vslnet_small_visit, nothing};

/* ---- qa --------------------------------------------------------------------------------------------------- */

static const ego_head_key qa_keys[] = {
    {"width", offsetof(ego_head_config, qa.width), 768, 1, 1 << 16, "projector_1.weight", 1},
    {"answers", offsetof(ego_head_config, qa.answers), 1, 1, 1 << 16, "projector_1.weight", 0},
};

static ego_err qa_check(const ego_head_config *config) {
    (void)config;
    return EGO_OK;
}

static ego_err qa_visit(const ego_head_config *config, ego_head_params *params,
                        ego_param_visitor *visit, void *context) {
    const ego_qa_config *c = &config->qa;
    walk w = {.visit = visit, .context = context, .decays = all_decay};
    linear(&w, &params->qa.projector[0], "projector_1.", c->answers, c->width, torch_linear);
    linear(&w, &params->qa.projector[1], "projector_2.", c->answers, c->answers, torch_linear);
    return w.err;
}

const ego_head_kind ego_head_qa = {"qa", qa_keys, COUNT(qa_keys), qa_check, qa_visit, nothing};

/* ---- qa.moments --------------------------------------------------------------------------------------------- */

#define MOMENTS(member) offsetof(ego_head_config, qa_moments.member)
static const ego_head_key qa_moments_keys[] = {
    {"width", MOMENTS(width), 256, 1, 1 << 14, "qa_moments.window_seen.weight", 1},
    {"text", MOMENTS(text), 768, 1, 1 << 14, "qa_moments.word.weight", 1},
    {"dim", MOMENTS(dim), 256, 1, 1 << 13, "qa_moments.word.weight", 0},
    {"heads", MOMENTS(heads), 4, 1, 1 << 10, NULL, 0},
    {"layers", MOMENTS(layers), 2, 1, EGO_QA_MOMENTS_LAYERS, "qa_moments.layers.#.linear1.weight",
     EGO_HEAD_COUNT},
    {"hidden", MOMENTS(hidden), 1024, 1, 1 << 16, "qa_moments.layers.0.linear1.weight", 0},
    {"windows", MOMENTS(windows), 20, 1, EGO_QA_WINDOWS, "qa_moments.positions", 0},
    {"moments", MOMENTS(moments), 3, 2, 64, "qa_moments.kinds", 0},
    {"answers", MOMENTS(answers), 1, 1, 1 << 16, "qa_moments.projector_2.weight", 0},
};

static ego_err qa_moments_check(const ego_head_config *config) {
    return check_heads("dim", config->qa_moments.dim, config->qa_moments.heads);
}

/* Rows that are added or asked with, drawn with this deviation. */
static void rows(walk *w, ego_param *param, const char *suffix, int64_t n, int64_t width, double deviation) {
    one(w, suffix,
        (ego_param_spec){
            .ndim = 2, .shape = {n, width}, .param = param, .init = EGO_INIT_NORMAL, .amount = deviation});
}

static ego_err qa_moments_visit(const ego_head_config *config, ego_head_params *params,
                                ego_param_visitor *visit, void *context) {
    const ego_qa_moments_config *c = &config->qa_moments;
    ego_qa_moments_params *p = &params->qa_moments;
    walk w = {.visit = visit, .context = context, .decays = all_decay};
    at(&w, "qa_moments.");
    rows(&w, &p->chooser, "chooser", c->moments - 1, c->text, 0.3);
    linear(&w, &p->chosen, "chosen.", c->text, c->text, torch_linear);
    rows(&w, &p->times, "times", c->windows, c->width, 0.05);
    rows(&w, &p->kinds, "kinds", c->moments, c->dim, 0.05);
    linear(&w, &p->moment_seen, "moment_seen.", c->dim, c->width, torch_linear);
    linear(&w, &p->moment_match, "moment_match.", c->dim, c->width, torch_linear);
    linear(&w, &p->moment_time, "moment_time.", c->dim, c->width, torch_linear);
    linear(&w, &p->window_seen, "window_seen.", c->dim, c->width, torch_linear);
    linear(&w, &p->window_match, "window_match.", c->dim, c->width, torch_linear);
    rows(&w, &p->positions, "positions", c->windows, c->dim, 0.05);
    linear(&w, &p->word, "word.", c->dim, c->text, torch_linear);
    for (int i = 0; i < c->layers; i++) {
        at(&w, "qa_moments.layers.%d.", i);
        encoder_layer(&w, &p->layer[i], c->dim, c->hidden, NULL);
    }
    at(&w, "qa_moments.");
    norm(&w, &p->norm, "norm.", c->dim);
    linear(&w, &p->projector[0], "projector_1.", c->dim, c->dim, torch_linear);
    linear(&w, &p->projector[1], "projector_2.", c->answers, c->dim, torch_linear);
    return w.err;
}

const ego_head_kind ego_head_qa_moments = {
    "qa.moments", qa_moments_keys, COUNT(qa_moments_keys), qa_moments_check, qa_moments_visit, nothing};

/* ---- qfvs ------------------------------------------------------------------------------------------------- */

#define QFVS(member) offsetof(ego_head_config, qfvs.member)
static const ego_head_key qfvs_keys[] = {
    {"width", QFVS(width), 768, 1, 1 << 14, "projector_1.weight", 1},
    {"heads", QFVS(heads), 2, 1, 1 << 10, NULL, 0},
    {"layers", QFVS(layers), 2, 1, EGO_QFVS_LAYERS, "transformer_encoder.layers.#.linear1.weight",
     EGO_HEAD_COUNT},
    {"hidden", QFVS(hidden), 2048, 1, 1 << 16, "transformer_encoder.layers.0.linear1.weight", 0},
    {"middle", QFVS(middle), 8, 1, 1 << 14, "projector_1.weight", 0},
    {"parts", QFVS(parts), 1, 1, EGO_QFVS_PARTS, NULL, 0},
    {"dual", QFVS(dual), 0, 0, 1, NULL, 0},
    {"prompts", QFVS(prompts), 0, 0, 1, NULL, 0},
};

static ego_err qfvs_check(const ego_head_config *config) {
    return check_heads("width", config->qfvs.width, config->qfvs.heads);
}

static ego_err qfvs_visit(const ego_head_config *config, ego_head_params *params,
                          ego_param_visitor *visit, void *context) {
    static const start score = {EGO_INIT_NORMAL, EGO_INIT_CONSTANT, 0.1, -1.91};
    const ego_qfvs_config *c = &config->qfvs;
    walk w = {.visit = visit, .context = context, .decays = all_decay};
    ego_qfvs_params *p = &params->qfvs;
    for (int i = 0; i < c->layers; i++) { /* all start as the first: the published encoder is copies of one layer */
        at(&w, "transformer_encoder.layers.%d.", i);
        encoder_layer(&w, &p->layer[i], c->width, c->hidden, i ? &p->layer[0] : NULL);
    }
    at(&w, "%s", "");
    linear(&w, &params->qfvs.projector, "projector_1.", c->middle, c->width, torch_linear);
    linear(&w, &params->qfvs.score, "summ_head.", 1, c->middle, score);
    return w.err;
}

/* The sinusoid is computed; encoder_layer is what the layers were copied from, and is used for nothing. */
static const char *const qfvs_ignored[] = {"pos.pe", "encoder_layer.", NULL};
const ego_head_kind ego_head_qfvs = {"qfvs",     qfvs_keys,  COUNT(qfvs_keys),
                                     qfvs_check, qfvs_visit, qfvs_ignored};

/* ---- all of them ---------------------------------------------------------------------------------------- */

const ego_head_kind *const ego_head_kinds[] = {&ego_head_vslnet, &ego_head_vslnet_small,
                                               &ego_head_qa, &ego_head_qa_moments, &ego_head_qfvs, NULL};

const ego_head_kind *ego_head_kind_of(const char *name) {
    for (size_t i = 0; ego_head_kinds[i]; i++)
        if (strcmp(ego_head_kinds[i]->name, name) == 0) return ego_head_kinds[i];
    return NULL;
}
