#include "recipe/initial.h"

#include "base/file.h"
#include "model/identity.h"
#include "tensor/panel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 256, LISTED = 12 };

typedef struct making {
    const ego_train_config *config;
    ego_initial *initial;
    ego_weights *files[EGO_ORIGINS]; /* NULL: none; that of FROM is the source's */
    ego_model *source;               /* init.from, opened */
    unsigned needs;
    ego_param_spec *starting; /* parameters that no file has */
    size_t starting_count;
    ego_buf missing; /* of the file that is lacking first */
    size_t missing_count;
    ego_origin lacking;
} making;

unsigned ego_objectives_need(const ego_train_config *config) {
    const ego_objectives *o = &config->objectives;
    bool fusion = config->model.fusion != EGO_FUSION_NONE;
    unsigned needs = 0;
    if (o->egonce > 0 || (o->vtm > 0 && o->negatives.hard))
        needs |= EGO_NEEDS_VIDEO | EGO_NEEDS_TEXT | EGO_NEEDS_VIDEO_PROJECTION |
                 EGO_NEEDS_TEXT_PROJECTION;
    if (o->mlm > 0) needs |= EGO_NEEDS_MLM | (fusion ? EGO_NEEDS_FUSED : EGO_NEEDS_TEXT);
    if (o->vtm > 0) needs |= EGO_NEEDS_VTM | EGO_NEEDS_FUSED;
    return needs;
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

static bool has_any(const char *name, const char *const *parts) {
    for (size_t i = 0; parts[i]; i++)
        if (strstr(name, parts[i])) return true;
    return false;
}

/* What the encoders were given beyond the originals. */
static const char *const text_additions[] = {"crossattention_t2i", "alpha_t2i", NULL};
static const char *const video_additions[] = {"temporal_embed", "timeattn.", "norm3.", "i2t", NULL};

static bool expected_in(ego_origin origin, const char *name) {
    switch (origin) {
    case EGO_ORIGIN_TEXT: return starts(name, "text_model.") && !has_any(name, text_additions);
    case EGO_ORIGIN_VIDEO: return starts(name, "video_model.") && !has_any(name, video_additions);
    default: return true;
    }
}

static const ego_tensor *find_behind(const ego_weights *file, const char *prefix,
                                     const char *name) {
    char full[NAME_BYTES];
    int n = snprintf(full, sizeof full, "%s%s", prefix, name);
    return n < (int)sizeof full ? ego_weights_find(file, full) : NULL;
}

/* RoBERTa's name for ours (less its "text_model."), in any of the ways it was published. */
static const ego_tensor *find_text(const ego_weights *file, const char *name) {
    static const struct {
        const char *now, *then;
    } renamed[] = {{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}};
    char old[NAME_BYTES] = "";
    for (size_t i = 0; i < sizeof renamed / sizeof renamed[0]; i++) {
        const char *at = strstr(name, renamed[i].now);
        if (at) snprintf(old, sizeof old, "%.*s%s", (int)(at - name), name, renamed[i].then);
    }
    const ego_tensor *t = find_behind(file, "roberta.", name);
    if (!t) t = find_behind(file, "", name);
    if (!t && *old) t = find_behind(file, "roberta.", old);
    if (!t && *old) t = find_behind(file, "", old);
    return t;
}

static const ego_tensor *find_in(const making *m, ego_origin origin, const char *name) {
    const ego_weights *file = m->files[origin];
    switch (origin) {
    case EGO_ORIGIN_TEXT: return find_text(file, name + strlen("text_model."));
    case EGO_ORIGIN_VIDEO: return ego_weights_find(file, name + strlen("video_model."));
    default: return ego_weights_find(file, name);
    }
}

/* ---- values ---------------------------------------------------------------------------------- */

/* The side of the square grid behind a class token's row; 0: they are none. */
static int64_t grid_side(int64_t positions) {
    int64_t side = (int64_t)llround(sqrt((double)(positions > 1 ? positions - 1 : 0)));
    return side * side == positions - 1 ? side : 0;
}

/* Whether it is the temporal embedding of another number of frames, or positions of another image size. */
static bool can_resize(const making *m, ego_origin origin, const ego_tensor *t,
                       const ego_param_spec *spec) {
    const ego_params *p = m->initial->model->params;
    if (!ego_dtype_is_float(t->dtype) || t->ndim != 3 || t->shape[0] != 1 || t->shape[1] < 1 ||
        t->shape[2] != spec->shape[2])
        return false;
    if (spec->param == &p->video.pos) return grid_side(t->shape[1]) > 0;
    return spec->param == &p->video.temporal && origin == EGO_ORIGIN_FROM;
}

static ego_err resize(const ego_tensor *t, const ego_param_spec *spec, bool grid) {
    size_t n = (size_t)ego_tensor_count(t);
    ego_arena scratch;
    ego_arena_init(&scratch, n * sizeof(float));
    float *rows = ego_arena_alloc(&scratch, n * sizeof *rows);
    if (rows) {
        ego_to_f32(t->data, t->dtype, rows, n);
        int64_t from = t->shape[1], to = spec->shape[1], D = spec->shape[2];
        if (grid)
            ego_spatial_resize(rows, grid_side(from), grid_side(to), D, spec->param->value.data);
        else
            ego_temporal_resize(rows, from, to, D, spec->param->value.data);
    }
    ego_arena_release(&scratch);
    return rows ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for '%s'", spec->name);
}

static ego_err copy(const making *m, ego_origin origin, const ego_tensor *t,
                    const ego_param_spec *spec) {
    const ego_weights *file = m->files[origin];
    ego_param *p = spec->param;
    int64_t count = ego_tensor_count(&p->value), inputs = count / spec->shape[0];
    if (ego_param_fits(spec, t)) {
        ego_to_f32(t->data, t->dtype, p->value.data, (size_t)count);
        return EGO_OK;
    }
    if (origin == EGO_ORIGIN_FROM && ego_weights_panelled(file) && ego_param_fits_panels(spec, t)) {
        ego_panel_unpack(t->data, spec->shape[0], inputs, p->value.data);
        return EGO_OK;
    }
    if (can_resize(m, origin, t, spec))
        return resize(t, spec, p == &m->initial->model->params->video.pos);
    char want[EGO_SHAPE_TEXT], found[EGO_SHAPE_TEXT];
    return ego_fail(EGO_EMODEL, "%s: '%s': expected numbers of shape %s, found %s %s",
                    ego_weights_path(file), spec->name,
                    ego_shape_text(spec->shape, spec->ndim, want), ego_dtype_name(t->dtype),
                    ego_shape_text(t->shape, t->ndim, found));
}

static void note_missing(making *m, ego_origin origin, const char *name) {
    if (m->missing_count && m->lacking != origin) return;
    m->lacking = origin;
    if (m->missing_count++ < LISTED) ego_buf_printf(&m->missing, " %s", name);
}

/* How a parameter starts, as the configuration has it. */
static void adapt_start(const ego_train_init *init, ego_param_spec *spec) {
    bool learnable = init->time == EGO_TIME_LEARNABLE;
    bool position = strstr(spec->name, "temporal_embed") || strstr(spec->name, "video_model.pos_embed");
    if (learnable && strstr(spec->name, "timeattn.qkv.weight")) spec->init = EGO_INIT_NORMAL;
    if (learnable && strstr(spec->name, "timeattn.proj.weight")) spec->init = EGO_INIT_ZERO;
    if (position && init->positions > 0) spec->init = EGO_INIT_NORMAL;
    if (spec->init == EGO_INIT_NORMAL)
        spec->amount = position && init->positions > 0 ? init->positions : init->std;
}

/* The frames' positions, which a file from a training deaf to them has near zero. */
static bool drawn_anew(const ego_train_init *init, const ego_param_spec *spec) {
    return init->positions > 0 && strstr(spec->name, "temporal_embed");
}

/* The dual encoder does without it, and the file was trained with another kind of fusion, or with none: encoders from
 * there, fusion anew. */
static bool of_other_fusion(const making *m, const ego_param_spec *spec) {
    unsigned dual = EGO_NEEDS_VIDEO | EGO_NEEDS_TEXT | EGO_NEEDS_VIDEO_PROJECTION | EGO_NEEDS_TEXT_PROJECTION;
    return m->source->config.fusion != m->config->model.fusion && !(spec->needs & dual);
}

/* Where a parameter comes from; what no file has is noted, to be drawn later by all threads. */
static ego_err settle(void *context, const ego_param_spec *spec) {
    making *m = context;
    ego_initial *initial = m->initial;
    ego_param *p = spec->param;
    size_t i = initial->count++;
    initial->names[i] = p->name;
    initial->origins[i] = EGO_ORIGIN_START;
    bool fixed = p->value.data == p->constant;
    for (ego_origin o = EGO_ORIGIN_TEXT; o < EGO_ORIGINS && !fixed; o++) {
        if (!m->files[o] || !expected_in(o, spec->name) || drawn_anew(&m->config->init, spec)) continue;
        const ego_tensor *t = find_in(m, o, spec->name);
        if (t) {
            initial->origins[i] = o;
            initial->from[o]++;
            return copy(m, o, t, spec);
        }
        if (o == EGO_ORIGIN_FROM && (of_other_fusion(m, spec) || !(spec->needs & m->needs))) continue;
        note_missing(m, o, spec->name);
    }
    initial->from[EGO_ORIGIN_START]++;
    if (fixed) return EGO_OK;
    ego_param_spec *own = &m->starting[m->starting_count++];
    *own = *spec;
    own->name = p->name;
    adapt_start(&m->config->init, own);
    return EGO_OK;
}

static void draw(void *context, size_t i, unsigned worker) {
    const making *m = context;
    const ego_param_spec *spec = &m->starting[i];
    (void)worker;
    ego_param_init(spec, (uint64_t)m->config->run.seed, spec->param->value.data);
}

/* A learned gate that is shut, drawn so or left so by a file's training without fusion. */
static ego_err open_gate(void *context, const ego_param_spec *spec) {
    const making *m = context;
    ego_param *p = spec->param;
    if (!strstr(spec->name, "alpha_") || p->value.data == p->constant) return EGO_OK;
    if (ego_f32(&p->value)[0] == 0) ego_f32(&p->value)[0] = (float)m->config->init.gate;
    return EGO_OK;
}

static void copy_values(const ego_param *from, ego_param *to) {
    memcpy(to->value.data, from->value.data, (size_t)ego_tensor_count(&to->value) * sizeof(float));
}

/* init.fused: dual. */
static void start_fused_as_dual(ego_params *p) {
    copy_values(&p->video.cls, &p->fused_cls);
    copy_values(&p->video.norm.weight, &p->fused_norm.weight);
    copy_values(&p->video.norm.bias, &p->fused_norm.bias);
}

/* ---- files ----------------------------------------------------------------------------------- */

static ego_err open_files(making *m, ego_train_config *config) {
    const ego_train_init *init = &config->init;
    if (init->text) EGO_TRY(ego_weights_open(init->text, &m->files[EGO_ORIGIN_TEXT]));
    if (init->video) EGO_TRY(ego_weights_open(init->video, &m->files[EGO_ORIGIN_VIDEO]));
    if (!init->from) return EGO_OK;
    EGO_TRY(ego_model_open(init->from, NULL, &m->source));
    m->files[EGO_ORIGIN_FROM] = m->source->weights;
    ego_config shape = m->source->config;
    for (size_t i = 0; i < config->n_model_keys; i++)
        EGO_TRY(ego_config_take(&shape, config->model_keys[i], &config->model));
    if (shape.depth < m->source->config.depth)
        return ego_fail(EGO_EMODEL, "%s: has %lld layers, model.depth is %lld", init->from,
                        (long long)m->source->config.depth, (long long)shape.depth);
    config->model = shape;
    return EGO_OK;
}

/* The originals may not have more layers than the model: half an encoder is nobody's intention. */
static ego_err check_depth(const making *m) {
    static const struct {
        ego_origin origin;
        const char *format;
    } layers[] = {{EGO_ORIGIN_TEXT, "text_model.encoder.layer.%lld.output.dense.weight"},
                  {EGO_ORIGIN_VIDEO, "video_model.blocks.%lld.mlp.fc2.weight"}};
    long long depth = (long long)m->config->model.depth;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, layers[i].format, depth);
        if (m->files[layers[i].origin] && find_in(m, layers[i].origin, name))
            return ego_fail(EGO_EMODEL, "%s: has more layers than model.depth, %lld",
                            ego_weights_path(m->files[layers[i].origin]), depth);
    }
    return EGO_OK;
}

/* What a checkpoint carries beside its parameters. */
static bool is_baggage(const char *name) {
    return !ego_is_weight(name) || strcmp(name, "text_model.embeddings.position_ids") == 0;
}

static void count_left(making *m) {
    for (ego_origin o = EGO_ORIGIN_TEXT; o < EGO_ORIGINS; o++) {
        size_t count = m->files[o] ? ego_weights_count(m->files[o]) : 0, all = count;
        for (size_t i = 0; o == EGO_ORIGIN_FROM && i < count; i++)
            all -= is_baggage(ego_weights_name(m->files[o], i));
        m->initial->left[o] = all - m->initial->from[o];
    }
}

/* ---- the tokenizer --------------------------------------------------------------------------- */

static ego_err keep_bytes(ego_initial *initial, const char *name, const void *bytes, size_t n) {
    void *kept = ego_arena_alloc(&initial->arena, n + 1);
    if (!kept) return ego_fail(EGO_ENOMEM, "out of memory for %s", name);
    memcpy(kept, bytes, n);
    initial->tokenizer[initial->tokenizers++] =
        (ego_named_tensor){name, {.data = kept, .dtype = EGO_U8, .ndim = 1, .shape = {(int64_t)n}}};
    return EGO_OK;
}

static ego_err keep_file(ego_initial *initial, const char *name, const char *directory,
                         const char *file) {
    ego_buf path = {0}, bytes = {0};
    ego_err err;
    ego_buf_printf(&path, "%s/%s", directory, file);
    EGO_TRY_OUT(ego_buf_err(&path));
    EGO_TRY_OUT(ego_read_file(path.data, EGO_BPE_MAX_FILE, &bytes));
    EGO_TRY_OUT(keep_bytes(initial, name, bytes.data ? bytes.data : "", bytes.len));
out:
    ego_buf_release(&path);
    ego_buf_release(&bytes);
    return err;
}

/* The folder named, else the source's own, else the bytes that the model has from the start. */
static ego_err set_tokenizer(making *m) {
    static const char vocab_name[] = "tokenizer.vocab", merges_name[] = "tokenizer.merges";
    ego_initial *initial = m->initial;
    ego_model *model = initial->model;
    const char *directory = m->config->data.tokenizer;
    const ego_weights *file = m->files[EGO_ORIGIN_FROM];
    const ego_tensor *vocab = file ? ego_weights_find(file, vocab_name) : NULL;
    const ego_tensor *merges = file ? ego_weights_find(file, merges_name) : NULL;
    if (directory) {
        EGO_TRY(keep_file(initial, vocab_name, directory, "vocab.json"));
        EGO_TRY(keep_file(initial, merges_name, directory, "merges.txt"));
    } else if (vocab && merges) { /* ego_model_open has read them: they are bytes */
        EGO_TRY(keep_bytes(initial, vocab_name, vocab->data, (size_t)ego_tensor_count(vocab)));
        EGO_TRY(keep_bytes(initial, merges_name, merges->data, (size_t)ego_tensor_count(merges)));
    } else {
        return EGO_OK;
    }
    const ego_tensor *v = &initial->tokenizer[0].tensor, *g = &initial->tokenizer[1].tensor;
    const char *where = directory ? directory : m->config->init.from;
    ego_bpe *bpe;
    ego_err err =
        ego_bpe_from_memory(v->data, (size_t)v->shape[0], g->data, (size_t)g->shape[0], &bpe);
    if (err != EGO_OK) return ego_fail_context(err, "%s", where);
    ego_bpe_free(model->bpe);
    model->bpe = bpe;
    if ((int64_t)ego_bpe_count(bpe) > model->config.vocab)
        return ego_fail(EGO_EMODEL, "%s: the vocabulary has %zu tokens, model.vocab is %lld", where,
                        ego_bpe_count(bpe), (long long)model->config.vocab);
    return EGO_OK;
}

/* ---- all together ---------------------------------------------------------------------------- */

static ego_err count_one(void *context, const ego_param_spec *spec) {
    (void)spec;
    return ++*(size_t *)context, EGO_OK;
}

static ego_err make_lists(making *m) {
    ego_initial *initial = m->initial;
    size_t n = 0;
    EGO_TRY(ego_params_visit(&m->config->model, initial->model->params, count_one, &n));
    initial->names = ego_arena_alloc(&initial->arena, n * sizeof *initial->names);
    initial->origins = ego_arena_alloc(&initial->arena, n * sizeof *initial->origins);
    m->starting = ego_arena_alloc(&initial->arena, n * sizeof *m->starting);
    if (!initial->names || !initial->origins || !m->starting)
        return ego_fail(EGO_ENOMEM, "out of memory for the list of parameters");
    return EGO_OK;
}

static ego_err fill(making *m, ego_pool *pool) {
    EGO_TRY(make_lists(m));
    EGO_TRY(ego_params_visit(&m->config->model, m->initial->model->params, settle, m));
    if (m->missing_count)
        return ego_fail(EGO_EMODEL, "%s: %zu tensors are missing:%s%s",
                        ego_weights_path(m->files[m->lacking]), m->missing_count,
                        m->missing.data ? m->missing.data : "",
                        m->missing_count > LISTED ? " …" : "");
    ego_parallel(pool, m->starting_count, draw, m);
    count_left(m);
    if (m->config->init.fused == EGO_FUSED_DUAL) start_fused_as_dual(m->initial->model->params);
    return ego_params_visit(&m->config->model, m->initial->model->params, open_gate, m);
}

ego_err ego_initialise(ego_train_config *config, ego_pool *pool, ego_initial *initial) {
    *initial = (ego_initial){0};
    ego_arena_init(&initial->arena, 0);
    making m = {.config = config, .initial = initial};
    ego_err err;
    EGO_TRY_OUT(open_files(&m, config));
    EGO_TRY_OUT(ego_train_config_check_model(config));
    EGO_TRY_OUT(check_depth(&m));
    m.needs = ego_objectives_need(config);
    EGO_TRY_OUT(ego_model_create(&config->model, EGO_START_BLANK, 0, pool, &initial->model));
    EGO_TRY_OUT(fill(&m, pool));
    EGO_TRY_OUT(set_tokenizer(&m));
    if (m.source) initial->model->random = m.source->random;
out:
    ego_buf_release(&m.missing);
    ego_weights_close(m.files[EGO_ORIGIN_TEXT]);
    ego_weights_close(m.files[EGO_ORIGIN_VIDEO]);
    ego_model_close(m.source, NULL);
    if (err != EGO_OK) ego_initial_release(initial, NULL);
    return err;
}

void ego_initial_release(ego_initial *initial, ego_backend *backend) {
    ego_model_close(initial->model, backend);
    ego_arena_release(&initial->arena);
    *initial = (ego_initial){0};
}
