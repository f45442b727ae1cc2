#include "model/save.h"

#include "base/file.h"
#include "base/hash.h"
#include "format/safetensors.h"
#include "model/head.h"
#include "model/identity.h"
#include "tensor/panel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One tensor to write: where its elements come from and what they become. */
typedef struct item {
    const char *name;
    ego_tensor from;   /* row-major, or already panels when the source file is packed */
    bool from_panels;
    bool product;      /* a linear weight of `plain` shape */
    ego_tensor plain;  /* its true shape and the dtype it is stored in; data unused */
} item;

typedef struct saving {
    item *items;
    size_t count, cap;
    bool pack;
    float *whole; /* item `held`, converted */
    size_t held, whole_bytes;
    ego_buf vocab, merges;
} saving;

/* ---- what to write ---------------------------------------------------------------------------------------- */

static ego_err add(saving *s, item it) {
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 256;
        item *items = realloc(s->items, cap * sizeof *items);
        if (!items) return ego_fail(EGO_ENOMEM, "out of memory for the tensor list");
        s->items = items;
        s->cap = cap;
    }
    s->items[s->count++] = it;
    return EGO_OK;
}

static ego_dtype stored_as(const ego_tensor *t, ego_dtype wanted) {
    if (wanted == EGO_F32 || t->ndim < 2 || !ego_dtype_is_float(t->dtype)) return t->dtype;
    return wanted;
}

typedef struct collecting {
    saving *saving;
    const ego_model *model;
    ego_dtype dtype;
} collecting;

/* Parameters of a model in memory; for one from a file, marks which of its tensors are linear weights. */
static ego_err collect_param(void *context, const ego_param_spec *spec) {
    collecting *c = context;
    ego_tensor plain = {.dtype = spec->param->value.dtype, .ndim = spec->ndim};
    memcpy(plain.shape, spec->shape, sizeof spec->shape);
    plain.dtype = stored_as(&plain, c->dtype);
    if (!c->model->weights)
        return add(c->saving, (item){.name = spec->param->name,
                                     .from = spec->param->value,
                                     .product = spec->product,
                                     .plain = plain});
    for (size_t i = 0; i < c->saving->count; i++) {
        item *it = &c->saving->items[i];
        if (strcmp(it->name, spec->name) != 0) continue;
        if (it->from.ndim == plain.ndim && it->from.shape[1] != plain.shape[1] &&
            spec->param == &c->model->params->video.pos) { /* interpolated for another image size */
            it->from = spec->param->value;
            memcpy(it->plain.shape, plain.shape, sizeof plain.shape);
        }
        if (!spec->product) continue;
        it->product = true;
        it->from_panels = spec->param->panelled;
        if (it->from_panels) it->plain = plain;
    }
    return EGO_OK;
}

/* A checkpoint's moments stay behind: what is written is a model. */
static ego_err collect_file(saving *s, const ego_weights *weights, ego_dtype dtype) {
    for (size_t i = 0; i < ego_weights_count(weights); i++) {
        const char *name = ego_weights_name(weights, i);
        const ego_tensor *t = ego_weights_tensor(weights, i);
        if (!ego_is_weight(name) && strncmp(name, "tokenizer.", 10) != 0) continue;
        ego_tensor plain = *t;
        plain.dtype = stored_as(t, dtype);
        EGO_TRY(add(s, (item){.name = name, .from = *t, .plain = plain}));
    }
    return EGO_OK;
}

static ego_err add_bytes(saving *s, const char *name, const ego_buf *text) {
    ego_tensor t = {text->data, EGO_U8, 1, {(int64_t)text->len}};
    for (size_t i = 0; i < s->count; i++) /* a directory given now replaces what the file had */
        if (strcmp(s->items[i].name, name) == 0) {
            s->items[i].from = s->items[i].plain = t;
            return EGO_OK;
        }
    return add(s, (item){.name = name, .from = t, .plain = t});
}

static ego_err add_tokenizer(saving *s, const char *directory) {
    ego_bpe *check;
    EGO_TRY(ego_bpe_load(directory, &check)); /* nothing unreadable goes into a model */
    ego_bpe_free(check);
    ego_buf path = {0};
    ego_buf_printf(&path, "%s/vocab.json", directory);
    ego_err err = ego_buf_err(&path);
    if (err == EGO_OK) err = ego_read_file(path.data, EGO_BPE_MAX_FILE, &s->vocab);
    ego_buf_clear(&path);
    ego_buf_printf(&path, "%s/merges.txt", directory);
    if (err == EGO_OK) err = ego_read_file(path.data, EGO_BPE_MAX_FILE, &s->merges);
    if (err == EGO_OK) err = add_bytes(s, "tokenizer.vocab", &s->vocab);
    if (err == EGO_OK) err = add_bytes(s, "tokenizer.merges", &s->merges);
    ego_buf_release(&path);
    return err;
}

/* ---- the elements ----------------------------------------------------------------------------------------- */

static void narrow(const float *in, ego_dtype dtype, void *out, size_t n) {
    uint16_t *half = out;
    for (size_t i = 0; i < n; i++)
        half[i] = dtype == EGO_F16 ? ego_f32_to_f16(in[i]) : ego_f32_to_bf16(in[i]);
}

/* Elements of an item in its plain shape and stored dtype; *made says that they are the caller's to free. */
static ego_err plain_elements(const item *it, void **data, bool *made) {
    size_t n = (size_t)ego_tensor_count(&it->plain);
    *made = it->from_panels || it->plain.dtype != it->from.dtype;
    *data = it->from.data;
    if (!*made) return EGO_OK;
    float *wide = malloc((n + 1) * sizeof *wide);
    if (!wide) return ego_fail(EGO_ENOMEM, "out of memory for '%s'", it->name);
    if (it->from_panels)
        ego_panel_unpack(it->from.data, it->plain.shape[0],
                         (int64_t)n / (it->plain.shape[0] ? it->plain.shape[0] : 1), wide);
    else
        ego_to_f32(it->from.data, it->from.dtype, wide, n);
    *data = wide;
    if (it->plain.dtype == EGO_F32) return EGO_OK;
    *data = malloc((n + 1) * sizeof(uint16_t));
    if (*data) narrow(wide, it->plain.dtype, *data, n);
    free(wide);
    return *data ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for '%s'", it->name);
}

static int64_t inputs_of(const ego_tensor *plain) {
    return plain->shape[0] ? ego_tensor_count(plain) / plain->shape[0] : 0;
}

/* The tensor as it will stand in the file. */
static ego_tensor written(const saving *s, const item *it) {
    if (!s->pack || !it->product) return it->plain;
    return (ego_tensor){NULL,
                        EGO_F32,
                        3,
                        {ego_panel_count(it->plain.shape[0]), inputs_of(&it->plain), EGO_PANEL}};
}

static ego_err hold(saving *s, size_t i) {
    if (s->whole && s->held == i) return EGO_OK;
    free(s->whole);
    s->whole = NULL;
    const item *it = &s->items[i];
    ego_tensor out = written(s, it);
    size_t bytes = (size_t)ego_tensor_count(&out) * ego_dtype_bytes(out.dtype);
    void *data;
    bool made;
    EGO_TRY(plain_elements(it, &data, &made));
    s->whole = malloc(bytes + 1);
    if (s->whole && s->pack && it->product)
        ego_panel_pack(data, it->plain.dtype, it->plain.shape[0], inputs_of(&it->plain), 0,
                       ego_panel_count(it->plain.shape[0]), s->whole);
    else if (s->whole)
        memcpy(s->whole, data, bytes);
    if (made) free(data);
    s->held = i;
    return s->whole ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for '%s'", it->name);
}

static ego_err fill(void *context, size_t i, size_t from, void *block, size_t bytes) {
    saving *s = context;
    EGO_TRY(hold(s, i));
    memcpy(block, (const char *)s->whole + from, bytes);
    return EGO_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const item *)a)->name, ((const item *)b)->name);
}

static ego_err identify(const saving *s, char id[65]) {
    ego_sha256 *hash;
    EGO_TRY(ego_sha256_new(&hash));
    for (size_t i = 0; i < s->count; i++) {
        const item *it = &s->items[i];
        if (!ego_is_weight(it->name)) continue;
        ego_tensor plain = it->plain;
        bool made;
        ego_err err = plain_elements(it, &plain.data, &made);
        if (err != EGO_OK) return ego_sha256_free(hash), err;
        ego_identity_add(hash, it->name, &plain);
        if (made) free(plain.data);
    }
    ego_sha256_finish(hash, id);
    return EGO_OK;
}

/* ---- the file --------------------------------------------------------------------------------------------- */

static ego_err collect(saving *s, ego_model *m, const ego_save_options *options) {
    collecting c = {s, m, options->dtype};
    if (m->weights) EGO_TRY(collect_file(s, m->weights, options->dtype));
    EGO_TRY(ego_params_visit(&m->config, m->params, collect_param, &c));
    if (options->tokenizer) EGO_TRY(add_tokenizer(s, options->tokenizer));
    qsort(s->items, s->count, sizeof *s->items, by_name);
    return EGO_OK;
}

/* What a fine-tuned file says of the head that stands behind the model (model/head.h) goes along. */
static size_t carry_head(const ego_weights *weights, ego_metadata *metadata) {
    size_t n = 0;
    for (size_t i = 0; weights && i < ego_weights_metadata_count(weights); i++) {
        ego_metadata m;
        m.value = ego_weights_metadata_at(weights, i, &m.key);
        bool note = strncmp(m.key, EGO_META_NOTE, strlen(EGO_META_NOTE)) == 0;
        if (note || strcmp(m.key, EGO_META_HEAD) == 0) metadata[n++] = m;
    }
    return n;
}

static ego_err write_file(saving *s, const ego_model *m, const char *path, const char *id) {
    enum { OWN = 4 };
    ego_buf config = {0};
    ego_config_write(&m->config, &config);
    size_t given = m->weights ? ego_weights_metadata_count(m->weights) : 0, n = 0;
    ego_metadata *metadata = malloc((OWN + given) * sizeof *metadata);
    ego_named_tensor *list = malloc((s->count + 1) * sizeof *list);
    ego_err err = ego_buf_err(&config);
    if (!list || !metadata) err = ego_fail(EGO_ENOMEM, "out of memory");
    if (metadata) {
        metadata[n++] = (ego_metadata){EGO_META_CONFIG, config.data};
        metadata[n++] = (ego_metadata){EGO_META_ID, id};
        if (s->pack) metadata[n++] = (ego_metadata){EGO_META_LAYOUT, "panel16"};
        if (m->random) metadata[n++] = (ego_metadata){EGO_META_RANDOM, "true"};
        n += carry_head(m->weights, metadata + n);
    }
    for (size_t i = 0; err == EGO_OK && i < s->count; i++)
        list[i] = (ego_named_tensor){s->items[i].name, written(s, &s->items[i])};
    if (err == EGO_OK) err = ego_safetensors_write(path, list, s->count, metadata, n, fill, s);
    free(metadata);
    free(list);
    ego_buf_release(&config);
    return err;
}

ego_err ego_model_save(ego_model *m, const char *path, const ego_save_options *options) {
    if (options->pack && options->dtype != EGO_F32)
        return ego_fail(EGO_EUNSUPPORTED, "panels are float32: pack or store in 16 bits, not both");
    saving s = {.pack = options->pack};
    char id[65];
    ego_err err = collect(&s, m, options);
    if (err == EGO_OK) err = identify(&s, id);
    if (err == EGO_OK) err = write_file(&s, m, path, id);
    free(s.items);
    free(s.whole);
    ego_buf_release(&s.vocab);
    ego_buf_release(&s.merges);
    return err;
}
