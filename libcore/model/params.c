#include "model/params.h"

#include "base/hash.h"
#include "base/rng.h"
#include "tensor/panel.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

ego_err ego_params_new(const ego_config *config, ego_arena *arena, ego_params **out) {
    ego_params *p = ego_arena_alloc(arena, sizeof *p);
    size_t blocks = (size_t)config->depth * sizeof(ego_video_block);
    size_t layers = (size_t)config->depth * sizeof(ego_text_layer);
    bool stacked = config->fusion == EGO_FUSION_STACKED;
    size_t stack = stacked ? 2 * (size_t)config->fuse_layers * sizeof(ego_stacked_layer) : 0;
    if (p) {
        memset(p, 0, sizeof *p);
        p->video.blocks = ego_arena_alloc(arena, blocks);
        p->text.layers = ego_arena_alloc(arena, layers);
        if (stack) p->stack.video = ego_arena_alloc(arena, stack);
    }
    if (!p || !p->video.blocks || !p->text.layers || (stack && !p->stack.video))
        return ego_fail(EGO_ENOMEM, "out of memory for the parameter list");
    memset(p->video.blocks, 0, blocks);
    memset(p->text.layers, 0, layers);
    if (stack) {
        memset(p->stack.video, 0, stack);
        p->stack.text = p->stack.video + config->fuse_layers;
    }
    *out = p;
    return EGO_OK;
}

/* ---- the walk: small words for the kinds of parameters ------------------------------------------------ */

typedef struct walk {
    const ego_config *config;
    ego_param_visitor *visit;
    void *context;
    unsigned needs; /* of what is being walked */
    bool product;   /* likewise */
    ego_err err;
    char prefix[96];
} walk;

static void one(walk *w, ego_param *param, ego_init init, int64_t fan_in, const char *suffix,
                int ndim, const int64_t *shape) {
    char name[160];
    if (w->err != EGO_OK) return;
    snprintf(name, sizeof name, "%s%s", w->prefix, suffix);
    ego_param_spec spec = {.name = name,
                           .ndim = ndim,
                           .needs = w->needs,
                           .init = init,
                           .fan_in = fan_in,
                           .product = w->product,
                           .param = param,
                           .amount = init == EGO_INIT_NORMAL ? 0.02 : 0};
    memcpy(spec.shape, shape, (size_t)ndim * sizeof shape[0]);
    w->err = w->visit(w->context, &spec);
}
#define SHAPE(...)                                                                                 \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }

/* A weight that ego_linear multiplies by. */
static void product(walk *w, ego_param *param, ego_init init, const char *suffix, int ndim,
                    const int64_t *shape) {
    w->product = true;
    one(w, param, init, shape[1], suffix, ndim, shape);
    w->product = false;
}

static void at(walk *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void at(walk *w, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(w->prefix, sizeof w->prefix, format, args);
    va_end(args);
}

static void linear(walk *w, ego_linear_params *p, const char *name, int64_t outputs, int64_t inputs,
                   ego_init weight, ego_init bias) {
    char suffix[96];
    snprintf(suffix, sizeof suffix, "%s.weight", name);
    product(w, &p->weight, weight, suffix, SHAPE(outputs, inputs));
    snprintf(suffix, sizeof suffix, "%s.bias", name);
    one(w, &p->bias, bias, inputs, suffix, SHAPE(outputs));
}

/* The usual case: N(0, .02) and zero. */
static void dense(walk *w, ego_linear_params *p, const char *name, int64_t outputs, int64_t inputs) {
    linear(w, p, name, outputs, inputs, EGO_INIT_NORMAL, EGO_INIT_ZERO);
}

static void norm(walk *w, ego_norm_params *p, const char *name) {
    char suffix[96];
    snprintf(suffix, sizeof suffix, "%s.weight", name);
    one(w, &p->weight, EGO_INIT_ONE, 0, suffix, SHAPE(w->config->dim));
    snprintf(suffix, sizeof suffix, "%s.bias", name);
    one(w, &p->bias, EGO_INIT_ZERO, 0, suffix, SHAPE(w->config->dim));
}

/* ---- the list ------------------------------------------------------------------------------------------- */

static void text_layer(walk *w, ego_text_layer *p, int64_t i) {
    int64_t D = w->config->dim, hidden = D * w->config->mlp_ratio;
    unsigned all = EGO_NEEDS_TEXT | EGO_NEEDS_FUSED;
    bool fused = ego_config_fused(w->config, i);
    at(w, "text_model.encoder.layer.%d.", (int)i);
    w->needs = EGO_NEEDS_FUSED;
    if (fused) one(w, &p->gate, EGO_INIT_ZERO, 0, "alpha_t2i", SHAPE(1));
    w->needs = all;
    dense(w, &p->query, "attention.self.query", D, D);
    dense(w, &p->key, "attention.self.key", D, D);
    dense(w, &p->value, "attention.self.value", D, D);
    dense(w, &p->out, "attention.output.dense", D, D);
    norm(w, &p->out_norm, "attention.output.LayerNorm");
    if (fused) {
        w->needs = EGO_NEEDS_FUSED;
        dense(w, &p->cross_query, "crossattention_t2i.self.query", D, D);
        dense(w, &p->cross_key, "crossattention_t2i.self.key", D, D);
        dense(w, &p->cross_value, "crossattention_t2i.self.value", D, D);
        dense(w, &p->cross_out, "crossattention_t2i.output.dense", D, D);
        w->needs = all;
    }
    dense(w, &p->fc1, "intermediate.dense", hidden, D);
    dense(w, &p->fc2, "output.dense", D, hidden);
    norm(w, &p->fc_norm, "output.LayerNorm");
}

static void text_model(walk *w, ego_params *p) {
    const ego_config *c = w->config;
    w->needs = EGO_NEEDS_TEXT | EGO_NEEDS_FUSED;
    at(w, "text_model.embeddings.");
    one(w, &p->text.word, EGO_INIT_NORMAL, 0, "word_embeddings.weight", SHAPE(c->vocab, c->dim));
    one(w, &p->text.position, EGO_INIT_NORMAL, 0, "position_embeddings.weight",
        SHAPE(c->max_positions, c->dim));
    one(w, &p->text.type, EGO_INIT_NORMAL, 0, "token_type_embeddings.weight", SHAPE(1, c->dim));
    norm(w, &p->text.norm, "LayerNorm");
    for (int64_t i = 0; i < c->depth; i++) text_layer(w, &p->text.layers[i], i);
}

static void video_block(walk *w, ego_video_block *p, int64_t i) {
    int64_t D = w->config->dim, hidden = D * w->config->mlp_ratio;
    unsigned all = EGO_NEEDS_VIDEO | EGO_NEEDS_FUSED;
    bool fused = ego_config_fused(w->config, i);
    at(w, "video_model.blocks.%d.", (int)i);
    w->needs = all;
    norm(w, &p->norm1, "norm1");
    if (fused) {
        w->needs = EGO_NEEDS_FUSED;
        one(w, &p->gate, EGO_INIT_ZERO, 0, "attn.alpha_i2t", SHAPE(1));
        w->needs = all;
    }
    dense(w, &p->space_qkv, "attn.qkv", 3 * D, D);
    dense(w, &p->space_proj, "attn.proj", D, D);
    if (fused) {
        w->needs = EGO_NEEDS_FUSED;
        linear(w, &p->cross_kv, "attn.qkv_text_i2t", 2 * D, D, EGO_INIT_UNIFORM, EGO_INIT_UNIFORM);
        linear(w, &p->cross_q, "attn.qkv_i2t", D, D, EGO_INIT_UNIFORM, EGO_INIT_UNIFORM);
        linear(w, &p->cross_proj, "attn.proj_i2t", D, D, EGO_INIT_UNIFORM, EGO_INIT_UNIFORM);
        norm(w, &p->cross_norm, "attn.norm_i2t_i");
        w->needs = all;
    }
    linear(w, &p->time_qkv, "timeattn.qkv", 3 * D, D, EGO_INIT_ZERO, EGO_INIT_ZERO);
    linear(w, &p->time_proj, "timeattn.proj", D, D, EGO_INIT_ONE, EGO_INIT_ZERO);
    norm(w, &p->norm2, "norm2");
    dense(w, &p->fc1, "mlp.fc1", hidden, D);
    dense(w, &p->fc2, "mlp.fc2", D, hidden);
    norm(w, &p->norm3, "norm3");
}

static void video_model(walk *w, ego_params *p) {
    const ego_config *c = w->config;
    int64_t D = c->dim;
    at(w, "video_model.");
    w->needs = EGO_NEEDS_VIDEO;
    one(w, &p->video.cls, EGO_INIT_NORMAL, 0, "cls_token", SHAPE(1, 1, D));
    w->needs = EGO_NEEDS_VIDEO | EGO_NEEDS_FUSED;
    one(w, &p->video.pos, EGO_INIT_NORMAL, 0, "pos_embed", SHAPE(1, ego_config_patches(c) + 1, D));
    one(w, &p->video.temporal, EGO_INIT_ZERO, 0, "temporal_embed", SHAPE(1, c->frames, D));
    product(w, &p->video.patch.weight, EGO_INIT_NORMAL, "patch_embed.proj.weight",
            SHAPE(D, 3, c->patch, c->patch));
    one(w, &p->video.patch.bias, EGO_INIT_ZERO, 0, "patch_embed.proj.bias", SHAPE(D));
    for (int64_t i = 0; i < c->depth; i++) video_block(w, &p->video.blocks[i], i);
    at(w, "video_model.");
    w->needs = EGO_NEEDS_VIDEO;
    norm(w, &p->video.norm, "norm");
}

static void stacked_layer(walk *w, ego_stacked_layer *p, const char *modality, int64_t i) {
    int64_t D = w->config->dim, hidden = D * w->config->mlp_ratio;
    at(w, "cross_modal_stack.%s.%d.", modality, (int)i);
    norm(w, &p->attn_norm, "attn.norm");
    dense(w, &p->qkv, "attn.qkv", 3 * D, D);
    dense(w, &p->proj, "attn.proj", D, D);
    norm(w, &p->cross_norm, "cross.norm");
    dense(w, &p->cross_q, "cross.q", D, D);
    dense(w, &p->cross_kv, "cross.kv", 2 * D, D);
    dense(w, &p->cross_proj, "cross.proj", D, D);
    norm(w, &p->mlp_norm, "mlp.norm");
    dense(w, &p->fc1, "mlp.fc1", hidden, D);
    dense(w, &p->fc2, "mlp.fc2", D, hidden);
}

static void stack(walk *w, ego_params *p) {
    w->needs = EGO_NEEDS_FUSED;
    int64_t n = w->config->fuse_layers;
    for (int64_t i = 0; i < n; i++) stacked_layer(w, &p->stack.text[i], "text", i);
    for (int64_t i = 0; i < n; i++) stacked_layer(w, &p->stack.video[i], "video", i);
    at(w, "cross_modal_stack.");
    norm(w, &p->stack.text_norm, "text.norm");
}

/* γ and β of each layer from the other stream's class token; zero: fusion starts as identity. */
static void film(walk *w, ego_params *p) {
    const ego_config *c = w->config;
    int64_t first = c->depth - c->fuse_layers;
    w->needs = EGO_NEEDS_FUSED;
    for (int modality = 0; modality < 2; modality++)
        for (int64_t i = 0; i < c->fuse_layers; i++) {
            ego_linear_params *to = modality ? &p->video.blocks[first + i].film
                                             : &p->text.layers[first + i].film;
            char number[8];
            snprintf(number, sizeof number, "%d", (int)i);
            at(w, "cross_modal_film.%s.", modality ? "video" : "text");
            linear(w, to, number, 2 * c->dim, c->dim, EGO_INIT_ZERO, EGO_INIT_ZERO);
        }
}

/* Large family: three layers, the first without bias; small: one, at index 1 behind a ReLU for text. */
static void projection(walk *w, ego_linear_params *p, bool text) {
    const ego_config *c = w->config;
    const char *stem = text ? "txt_proj" : "vid_proj";
    w->needs = text ? EGO_NEEDS_TEXT_PROJECTION : EGO_NEEDS_VIDEO_PROJECTION;
    at(w, "%s.", stem);
    if (c->projections == 1) {
        linear(w, &p[0], text ? "1" : "0", c->projection[0], c->dim, EGO_INIT_UNIFORM,
               EGO_INIT_UNIFORM);
        return;
    }
    product(w, &p[0].weight, EGO_INIT_UNIFORM, "0.weight", SHAPE(c->projection[0], c->dim));
    linear(w, &p[1], "2", c->projection[1], c->projection[0], EGO_INIT_UNIFORM, EGO_INIT_UNIFORM);
    linear(w, &p[2], "4", c->projection[2], c->projection[1], EGO_INIT_UNIFORM, EGO_INIT_UNIFORM);
}

static void match_head(walk *w, ego_params *p) {
    int64_t D = w->config->dim;
    w->needs = EGO_NEEDS_VTM | EGO_NEEDS_MLM;
    dense(w, &p->text_transform, "cross_modal_text_transform", D, D);
    w->needs = EGO_NEEDS_VTM;
    dense(w, &p->video_transform, "cross_modal_video_transform", D, D);
    w->needs = EGO_NEEDS_FUSED;
    norm(w, &p->fused_norm, "norm");
    w->needs = EGO_NEEDS_VTM;
    dense(w, &p->video_pooler, "cross_modal_video_pooler.dense", D, D);
    dense(w, &p->text_pooler, "cross_modal_text_pooler.dense", D, D);
}

static void mlm_head(walk *w, ego_params *p) {
    int64_t D = w->config->dim, V = w->config->vocab;
    w->needs = EGO_NEEDS_MLM;
    one(w, &p->mlm.decoder.bias, EGO_INIT_ZERO, 0, "mlm_score.bias", SHAPE(V));
    dense(w, &p->mlm.dense, "mlm_score.transform.dense", D, D);
    norm(w, &p->mlm.norm, "mlm_score.transform.LayerNorm");
    product(w, &p->mlm.decoder.weight, EGO_INIT_NORMAL, "mlm_score.decoder.weight", SHAPE(V, D));
}

ego_err ego_params_visit(const ego_config *config, ego_params *p, ego_param_visitor *visit,
                         void *context) {
    walk w = {.config = config, .visit = visit, .context = context};
    bool fusion = config->fusion != EGO_FUSION_NONE;
    w.needs = EGO_NEEDS_FUSED;
    if (fusion) one(&w, &p->fused_cls, EGO_INIT_ZERO, 0, "cls_token", SHAPE(1, 1, config->dim));
    text_model(&w, p);
    video_model(&w, p);
    projection(&w, p->text_projection, true);
    projection(&w, p->video_projection, false);
    if (config->fusion == EGO_FUSION_STACKED) stack(&w, p);
    if (config->fusion == EGO_FUSION_FILM) film(&w, p);
    at(&w, "%s", "");
    if (fusion) match_head(&w, p);
    if (!fusion) { /* MLM sees text alone: it still goes through its transform */
        w.needs = EGO_NEEDS_MLM;
        dense(&w, &p->text_transform, "cross_modal_text_transform", config->dim, config->dim);
    }
    mlm_head(&w, p);
    w.needs = EGO_NEEDS_VTM;
    if (fusion) dense(&w, &p->match, "itm_score.fc", 2, 2 * config->dim);
    return w.err;
}

/* ---- stored tensors --------------------------------------------------------------------------------------- */

bool ego_param_fits(const ego_param_spec *spec, const ego_tensor *t) {
    return ego_dtype_is_float(t->dtype) && t->ndim == spec->ndim &&
           memcmp(t->shape, spec->shape, (size_t)t->ndim * sizeof t->shape[0]) == 0;
}

bool ego_param_fits_panels(const ego_param_spec *spec, const ego_tensor *t) {
    int64_t inputs = 1;
    for (int d = 1; d < spec->ndim; d++) inputs *= spec->shape[d];
    return spec->product && t->dtype == EGO_F32 && t->ndim == 3 && t->shape[2] == EGO_PANEL &&
           t->shape[0] == ego_panel_count(spec->shape[0]) && t->shape[1] == inputs;
}

/* ---- values ------------------------------------------------------------------------------------------------ */

double ego_golden_unit(uint64_t stream, int64_t i) {
    return 2 * ego_rng_unit(stream, (uint64_t)i) - 1;
}

float ego_golden_weight(const ego_param_spec *spec, uint64_t stream, int64_t i) {
    double u = ego_golden_unit(stream, i);
    size_t n = strlen(spec->name);
    int64_t count = 1, fan_in = spec->ndim == 4 ? spec->shape[1] * spec->shape[2] * spec->shape[3]
                                : spec->ndim    ? spec->shape[spec->ndim - 1]
                                                : 1;
    for (int d = 0; d < spec->ndim; d++) count *= spec->shape[d];
    if (count == 1 && strstr(spec->name, "alpha")) return (float)(0.5 + 0.25 * u);
    if (spec->ndim >= 2) return (float)(u * sqrt(3.0 / (double)fan_in));
    bool weight = n >= 6 && strcmp(spec->name + n - 6, "weight") == 0;
    return (float)(weight ? 1 + 0.1 * u : 0.05 * u);
}

void ego_param_init(const ego_param_spec *spec, uint64_t seed, float *out) {
    uint64_t stream = ego_rng_stream(seed, ego_fnv1a(spec->name));
    int64_t n = 1;
    for (int d = 0; d < spec->ndim; d++) n *= spec->shape[d];
    double bound = spec->fan_in > 0 ? 1 / sqrt((double)spec->fan_in) : 0, both = (double)(spec->fan_in + spec->fan_out);
    if (spec->init == EGO_INIT_XAVIER) bound = both > 0 ? sqrt(6 / both) : 0;
    for (int64_t i = 0; i < n; i++) switch (spec->init) {
        case EGO_INIT_NORMAL: out[i] = (float)(spec->amount * ego_rng_normal(stream, (uint64_t)i)); break;
        case EGO_INIT_UNIFORM:
        case EGO_INIT_XAVIER: out[i] = (float)(bound * ego_golden_unit(stream, i)); break;
        case EGO_INIT_ZERO: out[i] = 0; break;
        case EGO_INIT_ONE: out[i] = 1; break;
        case EGO_INIT_CONSTANT: out[i] = (float)spec->amount; break;
        }
}

void ego_temporal_resize(const float *in, int64_t rows, int64_t n, int64_t dim, float *out) {
    for (int64_t k = 0; k < n; k++) {
        double at_row = rows >= n || n == 1 ? (double)k : (double)k * (double)(rows - 1) / (double)(n - 1);
        int64_t low = (int64_t)at_row, high = low + 1 < rows ? low + 1 : low;
        float part = (float)(at_row - (double)low);
        for (int64_t d = 0; d < dim; d++)
            out[k * dim + d] = (1 - part) * in[low * dim + d] + part * in[high * dim + d];
    }
}

/* Keys's kernel for a point `part` behind the second of four neighbours. */
static void cubic_weights(double part, double w[4]) {
    const double a = -0.75;
    for (int k = 0; k < 4; k++) {
        double x = fabs(part + 1 - k);
        w[k] = x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1
                      : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    }
}

/* Where line `i` of `to` lies among `from`: its four neighbours, and their weights. */
static void cubic_line(int64_t i, int64_t from, int64_t to, int64_t at[4], double w[4]) {
    double x = ((double)i + 0.5) * (double)from / (double)to - 0.5, low = floor(x);
    cubic_weights(x - low, w);
    for (int k = 0; k < 4; k++) {
        int64_t line = (int64_t)low - 1 + k;
        at[k] = line < 0 ? 0 : line >= from ? from - 1 : line;
    }
}

void ego_spatial_resize(const float *in, int64_t from, int64_t to, int64_t dim, float *out) {
    memcpy(out, in, (size_t)dim * sizeof *out);
    for (int64_t y = 0; y < to; y++)
        for (int64_t x = 0; x < to; x++) {
            int64_t rows[4], columns[4];
            double down[4], across[4];
            cubic_line(y, from, to, rows, down);
            cubic_line(x, from, to, columns, across);
            float *row = out + (1 + y * to + x) * dim;
            for (int64_t d = 0; d < dim; d++) {
                double sum = 0;
                for (int j = 0; j < 4; j++)
                    for (int i = 0; i < 4; i++)
                        sum += down[j] * across[i] *
                               (double)in[(1 + rows[j] * from + columns[i]) * dim + d];
                row[d] = (float)sum;
            }
        }
}
