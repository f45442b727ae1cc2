#include "model/model.h"

#include "base/file.h"
#include "base/hash.h"
#include "model/identity.h"

#include <stdlib.h>
#include <string.h>

/* ---- configuration ------------------------------------------------------------------------------------ */

/* The configuration the file carries in its metadata; false when it carries none. */
static ego_err config_of_file(const ego_weights *weights, ego_config *config) {
    const char *text = ego_weights_metadata(weights, EGO_META_CONFIG);
    if (!text) return ego_config_from_weights(weights, config);
    ego_json *root;
    EGO_TRY(ego_json_parse(text, strlen(text), &root));
    *config = ego_config_default();
    const ego_json *model = ego_json_get(root, "model");
    ego_err err = ego_config_read(model ? model : root, config);
    ego_json_free(root);
    return err == EGO_OK ? EGO_OK
                         : ego_fail_context(err, "%s: %s", ego_weights_path(weights), EGO_META_CONFIG);
}

/* NAME.json beside NAME.pth says what shapes do not tell. Absent is fine. */
static ego_err config_of_sidecar(const char *path, ego_config *config) {
    ego_buf name = {0};
    const char *dot = strrchr(ego_basename(path), '.');
    ego_buf_append(&name, path, dot ? (size_t)(dot - path) : strlen(path));
    ego_buf_text(&name, ".json");
    ego_map probe = {0};
    ego_err err = ego_buf_err(&name);
    if (err == EGO_OK && strcmp(name.data, path) != 0 && ego_map_open(name.data, &probe) == EGO_OK) {
        ego_map_close(&probe);
        err = ego_config_read_file(name.data, config);
    }
    ego_buf_release(&name);
    return err;
}

static ego_err make_config(ego_model *m, const ego_model_options *options) {
    EGO_TRY(config_of_file(m->weights, &m->config));
    EGO_TRY(config_of_sidecar(m->path, &m->config));
    m->stored_size = m->config.image_size;
    if (options->config) EGO_TRY(ego_config_read_file(options->config, &m->config));
    for (size_t i = 0; i < options->n_overrides; i++)
        EGO_TRY(ego_config_override(&m->config, options->overrides[i]));
    return ego_config_check(&m->config);
}

/* ---- binding --------------------------------------------------------------------------------------------- */

typedef struct binding {
    ego_model *model;
    bool panelled;
} binding;

/* A gate set by configuration: a constant of the parameter's own, whatever a file has. */
static bool fix_gate(const ego_config *config, const ego_param_spec *spec) {
    if (config->gate.learned || !strstr(spec->name, "alpha")) return false;
    spec->param->constant[0] = config->gate.value;
    spec->param->value.data = spec->param->constant;
    return true;
}

/* Positions of a file's own image size, for the one that was asked for instead. */
static ego_err interpolate_positions(ego_model *m, const ego_tensor *t, ego_param *p) {
    int64_t D = m->config.dim, from = m->stored_size / m->config.patch,
            to = m->config.image_size / m->config.patch;
    size_t have = (size_t)((1 + from * from) * D), want = (size_t)((1 + to * to) * D);
    float *in = ego_arena_alloc(&m->arena, have * sizeof *in);
    float *out = ego_arena_alloc(&m->arena, want * sizeof *out);
    if (!in || !out) return ego_fail(EGO_ENOMEM, "out of memory for '%s'", p->name);
    ego_to_f32(t->data, t->dtype, in, have);
    ego_spatial_resize(in, from, to, D, out);
    p->value.data = out;
    return EGO_OK;
}

/* Whether these are positions of the file's image size, and another one is wanted. */
static bool other_size(const ego_model *m, const ego_param_spec *spec, const ego_tensor *t) {
    if (spec->param != &m->params->video.pos || m->stored_size == m->config.image_size) return false;
    int64_t side = m->stored_size / m->config.patch;
    ego_param_spec stored = *spec;
    stored.shape[1] = 1 + side * side;
    return m->stored_size % m->config.patch == 0 && ego_param_fits(&stored, t);
}

/* Points a parameter at its tensor. A missing one stays empty until a path requires it. */
static ego_err bind(void *context, const ego_param_spec *spec) {
    binding *b = context;
    ego_model *m = b->model;
    ego_param *p = spec->param;
    char want[EGO_SHAPE_TEXT], found[EGO_SHAPE_TEXT];
    if (!(p->name = ego_arena_strdup(&m->arena, spec->name)))
        return ego_fail(EGO_ENOMEM, "out of memory");
    p->value = (ego_tensor){.dtype = EGO_F32, .ndim = spec->ndim};
    memcpy(p->value.shape, spec->shape, sizeof spec->shape);
    if (fix_gate(&m->config, spec)) return EGO_OK;
    const ego_tensor *t = ego_weights_find(m->weights, spec->name);
    if (!t) return EGO_OK;
    if (other_size(m, spec, t)) return interpolate_positions(m, t, p);
    p->panelled = b->panelled && ego_param_fits_panels(spec, t);
    if (!p->panelled && !ego_param_fits(spec, t))
        return ego_fail(EGO_EMODEL, "%s: '%s': expected numbers of shape %s, found %s %s",
                        m->path, spec->name,
                        ego_shape_text(spec->shape, spec->ndim, want), ego_dtype_name(t->dtype),
                        ego_shape_text(t->shape, t->ndim, found));
    p->value.data = t->data;
    p->value.dtype = t->dtype;
    p->mapped = ego_weights_is_mapped(m->weights, t);
    return EGO_OK;
}

typedef struct missing {
    unsigned needs;
    ego_buf names;
    size_t count;
} missing;

static ego_err note_missing(void *context, const ego_param_spec *spec) {
    missing *m = context;
    if (!(spec->needs & m->needs) || spec->param->value.data) return EGO_OK;
    if (m->count++ < 12) ego_buf_printf(&m->names, " %s", spec->name);
    return EGO_OK;
}

ego_err ego_model_require(ego_model *m, unsigned needs) {
    missing found = {.needs = needs & ~m->needs};
    if (!found.needs) return EGO_OK;
    if (m->config.fusion == EGO_FUSION_NONE && needs & (EGO_NEEDS_FUSED | EGO_NEEDS_VTM))
        return ego_fail(EGO_EMODEL, "%s: this model has no fused layers",
                        m->path);
    EGO_TRY(ego_params_visit(&m->config, m->params, note_missing, &found));
    ego_err err = EGO_OK;
    if (found.count)
        err = ego_fail(EGO_EMODEL, "%s: %zu tensors are missing:%s%s", m->path,
                       found.count, found.names.data ? found.names.data : "",
                       found.count > 12 ? " …" : "");
    else
        m->needs |= needs;
    ego_buf_release(&found.names);
    return err;
}

/* The temporal embedding for as many rows as a clip has frames (spec/pretrain.md, Temporal inflation). */
static ego_err make_temporal(ego_model *m, int64_t frames) {
    const ego_tensor *stored = &m->params->video.temporal.value;
    m->temporal = m->params->video.temporal;
    if (frames == 0 || frames == m->config.frames || !stored->data) return EGO_OK;
    if (frames < 1 || frames > 1 << 12)
        return ego_fail(EGO_EINPUT, "frames: expected 1 to 4096, found %lld", (long long)frames);
    size_t have = (size_t)(m->config.frames * m->config.dim);
    size_t want = (size_t)(frames * m->config.dim);
    float *in = ego_arena_alloc(&m->arena, have * sizeof *in);
    float *out = ego_arena_alloc(&m->arena, want * sizeof *out);
    if (!in || !out) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_to_f32(stored->data, stored->dtype, in, have);
    ego_temporal_resize(in, m->config.frames, frames, m->config.dim, out);
    m->temporal.value = (ego_tensor){.data = out, .dtype = EGO_F32, .ndim = 3, .shape = {1, frames, m->config.dim}};
    m->config.frames = frames;
    return EGO_OK;
}

static ego_err make_tokenizer(ego_model *m, const char *directory) {
    if (directory) {
        EGO_TRY(ego_bpe_load(directory, &m->bpe));
    } else {
        const ego_tensor *vocab = ego_weights_find(m->weights, "tokenizer.vocab");
        const ego_tensor *merges = ego_weights_find(m->weights, "tokenizer.merges");
        if (!vocab || !merges) /* the vocabulary of a tiny model may be too small even for bytes */
            return m->config.vocab < EGO_BPE_BYTES_VOCAB
                       ? EGO_OK
                       : ego_bpe_new_bytes((size_t)m->config.vocab, &m->bpe);
        if (vocab->dtype != EGO_U8 || merges->dtype != EGO_U8)
            return ego_fail(EGO_EMODEL, "%s: tokenizer.vocab and tokenizer.merges must be U8",
                            m->path);
        EGO_TRY(ego_bpe_from_memory(vocab->data, (size_t)ego_tensor_count(vocab), merges->data,
                                    (size_t)ego_tensor_count(merges), &m->bpe));
    }
    if ((int64_t)ego_bpe_count(m->bpe) > m->config.vocab)
        return ego_fail(EGO_EMODEL, "%s: the tokenizer has %zu tokens, the model knows %lld",
                        m->path, ego_bpe_count(m->bpe),
                        (long long)m->config.vocab);
    return EGO_OK;
}

ego_err ego_model_open(const char *path, const ego_model_options *options, ego_model **out) {
    static const ego_model_options none = {0};
    if (!options) options = &none;
    ego_model *m = calloc(1, sizeof *m);
    if (!m) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_arena_init(&m->arena, 0);
    ego_err err;
    if (!(m->path = ego_arena_strdup(&m->arena, path)))
        EGO_TRY_OUT(ego_fail(EGO_ENOMEM, "out of memory"));
    EGO_TRY_OUT(ego_weights_open(path, &m->weights));
    EGO_TRY_OUT(make_config(m, options));
    EGO_TRY_OUT(ego_params_new(&m->config, &m->arena, &m->params));
    binding b = {m, ego_weights_panelled(m->weights)};
    EGO_TRY_OUT(ego_params_visit(&m->config, m->params, bind, &b));
    EGO_TRY_OUT(make_temporal(m, options->frames));
    EGO_TRY_OUT(make_tokenizer(m, options->tokenizer));
    EGO_TRY_OUT(ego_model_require(m, options->needs));
    const char *random = ego_weights_metadata(m->weights, EGO_META_RANDOM);
    m->random = random && strcmp(random, "true") == 0;
    *out = m;
    return EGO_OK;
out:
    ego_model_close(m, NULL);
    return err;
}

/* ---- from nothing ------------------------------------------------------------------------------------------ */

typedef struct creation {
    ego_model *model;
    ego_start start;
    uint64_t seed;
    ego_pool *pool;
} creation;

typedef struct golden_fill {
    const ego_param_spec *spec;
    uint64_t stream;
    float *out;
    int64_t count;
} golden_fill;

enum { FILL_BLOCK = 1 << 16 };

static void fill_golden(void *context, size_t block, unsigned worker) {
    golden_fill *f = context;
    (void)worker;
    int64_t from = (int64_t)block * FILL_BLOCK, to = from + FILL_BLOCK;
    for (int64_t i = from; i < to && i < f->count; i++)
        f->out[i] = ego_golden_weight(f->spec, f->stream, i);
}

static ego_err create(void *context, const ego_param_spec *spec) {
    creation *c = context;
    ego_param *p = spec->param;
    p->name = ego_arena_strdup(&c->model->arena, spec->name);
    p->value = (ego_tensor){.dtype = EGO_F32, .ndim = spec->ndim};
    memcpy(p->value.shape, spec->shape, sizeof spec->shape);
    int64_t n = ego_tensor_count(&p->value);
    if (p->name && fix_gate(&c->model->config, spec)) return EGO_OK;
    float *out = p->value.data = ego_arena_alloc(&c->model->arena, (size_t)n * sizeof *out);
    if (!p->name || !out) return ego_fail(EGO_ENOMEM, "out of memory for '%s'", spec->name);
    golden_fill fill = {spec, ego_fnv1a(spec->name), out, n};
    if (c->start == EGO_START_GOLDEN)
        ego_parallel(c->pool, (size_t)((n + FILL_BLOCK - 1) / FILL_BLOCK), fill_golden, &fill);
    else if (c->start == EGO_START_PAPER)
        ego_param_init(spec, c->seed, out);
    return EGO_OK;
}

ego_err ego_model_create(const ego_config *config, ego_start start, uint64_t seed, ego_pool *pool,
                         ego_model **out) {
    EGO_TRY(ego_config_check(config));
    ego_model *m = calloc(1, sizeof *m);
    if (!m) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_arena_init(&m->arena, 0);
    static char path[] = "(a model made in memory)";
    m->path = path;
    m->config = *config;
    m->stored_size = config->image_size;
    m->random = true;
    m->needs = ~0u;
    ego_err err;
    creation c = {m, start, seed, pool};
    EGO_TRY_OUT(ego_params_new(&m->config, &m->arena, &m->params));
    EGO_TRY_OUT(ego_params_visit(&m->config, m->params, create, &c));
    m->temporal = m->params->video.temporal;
    if (config->vocab >= EGO_BPE_BYTES_VOCAB)
        EGO_TRY_OUT(ego_bpe_new_bytes((size_t)config->vocab, &m->bpe));
    *out = m;
    return EGO_OK;
out:
    ego_model_close(m, NULL);
    return err;
}

static ego_err forget(void *backend, const ego_param_spec *spec) {
    ego_backend *b = backend;
    if (spec->param->packed) b->forget(b, spec->param);
    return EGO_OK;
}

void ego_model_close(ego_model *m, ego_backend *backend) {
    if (!m) return;
    if (backend && m->params) {
        (void)ego_params_visit(&m->config, m->params, forget, backend);
        if (m->temporal.packed && m->temporal.packed != m->params->video.temporal.packed)
            backend->forget(backend, &m->temporal);
    }
    ego_bpe_free(m->bpe);
    ego_weights_close(m->weights);
    ego_arena_release(&m->arena);
    free(m);
}

ego_err ego_model_id(ego_model *m, const char **id) {
    if (!m->id[0]) {
        if (!m->weights) return ego_fail(EGO_EUNSUPPORTED, "a model in memory has no name yet");
        const char *stored = ego_weights_metadata(m->weights, EGO_META_ID);
        if (stored && strlen(stored) == 64)
            memcpy(m->id, stored, 65);
        else
            EGO_TRY(ego_weights_id_cached(m->weights, &m->config, m->id));
    }
    *id = m->id;
    return EGO_OK;
}

/* ---- what is left over ----------------------------------------------------------------------------------- */

typedef struct used {
    const ego_weights *weights;
    bool *flags;
} used;

static ego_err note_used(void *context, const ego_param_spec *spec) {
    used *u = context;
    size_t low = 0, high = ego_weights_count(u->weights);
    while (low < high) { /* entries are sorted by name */
        size_t middle = (low + high) / 2;
        int order = strcmp(ego_weights_name(u->weights, middle), spec->name);
        if (order == 0) return u->flags[middle] = true, EGO_OK;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return EGO_OK;
}

void ego_model_unused(const ego_model *m, void (*visit)(void *, const char *), void *context) {
    size_t n = m->weights ? ego_weights_count(m->weights) : 0;
    used u = {m->weights, calloc(n + 1, sizeof(bool))};
    if (!u.flags || !n) return free(u.flags);
    (void)ego_params_visit(&m->config, m->params, note_used, &u);
    for (size_t i = 0; i < n; i++) {
        const char *name = ego_weights_name(m->weights, i);
        if (!u.flags[i] && ego_is_weight(name) &&
            strcmp(name, "text_model.embeddings.position_ids") != 0)
            visit(context, name);
    }
    free(u.flags);
}
