#include "model/head.h"

#include "base/file.h"
#include "base/hash.h"
#include "model/identity.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

enum { LISTED = 12 }; /* missing tensors that a message names */

typedef struct ego_head_note {
    struct ego_head_note *next;
    const char *key; /* with its prefix */
    const char *text;
} note;

void ego_head_describe(const ego_head *head, ego_buf *out) {
    ego_buf_text(out, "{\"kind\":");
    ego_buf_json_string(out, head->kind->name, strlen(head->kind->name));
    ego_buf_json_key(out, "backbone");
    if (head->backbone[0])
        ego_buf_json_string(out, head->backbone, strlen(head->backbone));
    else
        ego_buf_text(out, "null");
    if (head->random) ego_buf_text(out, ",\"random\":true");
    ego_buf_json_key(out, "config");
    ego_head_config_write(head->kind, &head->config, out);
    ego_buf_char(out, '}');
}

/* ---- what the names and shapes of a file tell ------------------------------------------------------------- */

typedef struct counting {
    const ego_weights *weights;
    size_t names, found;
} counting;

static ego_err count_name(void *context, const ego_param_spec *spec) {
    counting *c = context;
    c->names++;
    c->found += ego_weights_find(c->weights, spec->name) != NULL;
    return EGO_OK;
}

/* The kind with the largest share of its tensors there, the first of equals; NULL when no kind has half. */
static const ego_head_kind *kind_from_names(const ego_weights *weights, bool *whole) {
    const ego_head_kind *best = NULL;
    double best_share = 0.5;
    *whole = false;
    for (size_t i = 0; ego_head_kinds[i]; i++) {
        counting c = {.weights = weights};
        ego_head_params params;
        ego_head_config config = ego_head_config_default(ego_head_kinds[i]);
        (void)ego_head_kinds[i]->visit(&config, &params, count_name,
                                       &c); /* count_name never fails */
        double share = (double)c.found / (double)c.names;
        if (best ? share <= best_share : share < best_share) continue;
        best = ego_head_kinds[i];
        best_share = share;
        *whole = c.found == c.names;
    }
    return best;
}

bool ego_weights_are_head(const ego_weights *weights) {
    bool whole;
    if (ego_weights_find(weights, "video_model.pos_embed") ||
        ego_weights_find(weights, "text_model.embeddings.word_embeddings.weight"))
        return false;
    return ego_weights_metadata(weights, EGO_META_HEAD) ||
           (kind_from_names(weights, &whole) && whole);
}

/* ---- what a file says of itself --------------------------------------------------------------------------- */

/* {"kind","backbone","config"}, all optional, on top of what is known; from "ego.head" or a sidecar. */
static ego_err read_description(ego_head *head, const ego_json *root, const ego_weights *weights) {
    const char *name, *backbone;
    const ego_json *config = ego_json_get(root, "config");
    if (ego_json_string(ego_json_get(root, "kind"), &name)) {
        const ego_head_kind *kind = ego_head_kind_of(name);
        if (!kind)
            return ego_fail(EGO_EUNSUPPORTED, "a head of kind '%.64s', which is not known", name);
        if (kind != head->kind) head->config = ego_head_config_from_shapes(kind, weights);
        head->kind = kind;
    }
    if (!head->kind)
        return ego_fail(EGO_EMODEL, "no head: expected a \"kind\", or the tensors of one");
    if (ego_json_string(ego_json_get(root, "backbone"), &backbone))
        ego_head_set_backbone(head, backbone);
    (void)ego_json_bool(ego_json_get(root, "random"), &head->random);
    return config ? ego_head_config_read(head->kind, config, &head->config) : EGO_OK;
}

static ego_err describe_from_metadata(ego_head *head, const ego_weights *weights) {
    const char *text = ego_weights_metadata(weights, EGO_META_HEAD);
    if (!text) return EGO_OK;
    ego_json *root;
    ego_err err = ego_json_parse(text, strlen(text), &root);
    if (err == EGO_OK) {
        err = read_description(head, root, weights);
        ego_json_free(root);
    }
    return err == EGO_OK ? EGO_OK : ego_fail_context(err, "%s: " EGO_META_HEAD, head->path);
}

/* NAME.json beside NAME.pth; absent is fine. */
static ego_err describe_from_sidecar(ego_head *head, const ego_weights *weights) {
    enum { LIMIT = 1 << 20 };
    ego_buf name = {0};
    ego_json *root;
    const char *dot = strrchr(ego_basename(head->path), '.');
    ego_buf_append(&name, head->path, dot ? (size_t)(dot - head->path) : strlen(head->path));
    ego_buf_text(&name, ".json");
    ego_map probe = {0};
    ego_err err = ego_buf_err(&name);
    if (err == EGO_OK && ego_map_open(name.data, &probe) == EGO_OK) {
        ego_map_close(&probe);
        err = ego_json_read(name.data, LIMIT, &root);
        if (err == EGO_OK) {
            err = read_description(head, root, weights);
            if (err != EGO_OK) ego_fail_context(err, "%s", name.data);
            ego_json_free(root);
        }
    }
    ego_buf_release(&name);
    return err;
}

static ego_err describe(ego_head *head, const ego_weights *weights, const ego_head_kind *wanted) {
    bool whole;
    head->kind =
        ego_weights_metadata(weights, EGO_META_HEAD) ? NULL : kind_from_names(weights, &whole);
    if (!head->kind && wanted) head->kind = wanted; /* its missing tensors will be listed */
    if (head->kind) head->config = ego_head_config_from_shapes(head->kind, weights);
    EGO_TRY(describe_from_metadata(head, weights));
    if (strcmp(ego_weights_format(weights), "safetensors") != 0)
        EGO_TRY(describe_from_sidecar(head, weights));
    if (!head->kind)
        return ego_fail(EGO_EMODEL, "%s: no head: its tensors are of no kind of head that is known",
                        head->path);
    if (wanted && wanted != head->kind)
        return ego_fail(EGO_EMODEL, "%s: expected a head of kind %s, found %s", head->path,
                        wanted->name, head->kind->name);
    ego_err err = ego_head_config_check(head->kind, &head->config);
    return err == EGO_OK ? EGO_OK : ego_fail_context(err, "%s (a sidecar can say it)", head->path);
}

/* ---- parameters ------------------------------------------------------------------------------------------- */

static ego_err give_room(ego_head *head, const ego_param_spec *spec) {
    ego_param *p = spec->param;
    *p = (ego_param){.name = ego_arena_strdup(&head->arena, spec->name),
                     .value = {.dtype = EGO_F32, .ndim = spec->ndim}};
    memcpy(p->value.shape, spec->shape, sizeof spec->shape);
    if (spec->column) p->value.shape[0] = 1, p->value.shape[1] = spec->shape[0];
    size_t bytes;
    if (!ego_shape_bytes(spec->shape, spec->ndim, EGO_F32, &bytes) || !p->name ||
        !(p->value.data = ego_arena_alloc(&head->arena, bytes)))
        return ego_fail(EGO_ENOMEM, "out of memory for '%s'", spec->name);
    return EGO_OK;
}

typedef struct binding {
    ego_head *head;
    const ego_weights *weights;
    bool *used; /* of each tensor of the file */
    ego_buf missing;
    size_t missing_count;
} binding;

static ego_err bind(void *context, const ego_param_spec *spec) {
    binding *b = context;
    char want[EGO_SHAPE_TEXT], found[EGO_SHAPE_TEXT];
    const ego_tensor *t = ego_weights_find(b->weights, spec->name);
    if (!t) {
        if (b->missing_count++ < LISTED) ego_buf_printf(&b->missing, " %s", spec->name);
        return EGO_OK;
    }
    if (!ego_param_fits(spec, t))
        return ego_fail(EGO_EMODEL, "%s: '%s': expected numbers of shape %s, found %s %s",
                        b->head->path, spec->name, ego_shape_text(spec->shape, spec->ndim, want),
                        ego_dtype_name(t->dtype), ego_shape_text(t->shape, t->ndim, found));
    if (t->dtype == EGO_F16) b->head->dtype = EGO_F16;
    EGO_TRY(give_room(b->head, spec));
    ego_to_f32(t->data, t->dtype, ego_f32(&spec->param->value), (size_t)ego_tensor_count(t));
    for (size_t i = 0; i < ego_weights_count(b->weights); i++)
        b->used[i] |= ego_weights_tensor(b->weights, i) == t;
    return EGO_OK;
}

static bool is_ignored(const ego_head_kind *kind, const char *name) {
    for (size_t i = 0; kind->ignored[i]; i++)
        if (strncmp(name, kind->ignored[i], strlen(kind->ignored[i])) == 0) return true;
    return !ego_is_weight(name);
}

static ego_err note_unused(binding *b) {
    ego_head *head = b->head;
    size_t n = ego_weights_count(b->weights);
    head->unused = ego_arena_alloc(&head->arena, (n + 1) * sizeof *head->unused);
    if (!head->unused) return ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        const char *name = ego_weights_name(b->weights, i);
        if (b->used[i] || is_ignored(head->kind, name)) continue;
        if (!(head->unused[head->unused_count++] = ego_arena_strdup(&head->arena, name)))
            return ego_fail(EGO_ENOMEM, "out of memory");
    }
    return EGO_OK;
}

/* The name of its own tensors, as stored: the file may hold more. */
static ego_err identify_stored(binding *b) {
    ego_sha256 *hash;
    EGO_TRY(ego_sha256_new(&hash));
    for (size_t i = 0; i < ego_weights_count(b->weights); i++)
        if (b->used[i])
            ego_identity_add(hash, ego_weights_name(b->weights, i),
                             ego_weights_tensor(b->weights, i));
    ego_sha256_finish(hash, b->head->id);
    return EGO_OK;
}

static ego_err bind_all(ego_head *head, const ego_weights *weights) {
    binding b = {.head = head,
                 .weights = weights,
                 .used = calloc(ego_weights_count(weights) + 1, sizeof(bool))};
    if (!b.used) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_err err = ego_head_visit(head, bind, &b);
    if (err == EGO_OK && b.missing_count)
        err = ego_fail(EGO_EMODEL, "%s: of a %s head %zu tensors are missing:%s%s", head->path,
                       head->kind->name, b.missing_count, b.missing.data ? b.missing.data : "",
                       b.missing_count > LISTED ? " …" : "");
    if (err == EGO_OK) err = note_unused(&b);
    if (err == EGO_OK) err = identify_stored(&b);
    ego_buf_release(&b.missing);
    free(b.used);
    return err;
}

/* ---- opening, creating, closing --------------------------------------------------------------------------- */

static ego_err new_head(const char *path, ego_head **head) {
    ego_head *h = calloc(1, sizeof *h);
    if (!h) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_arena_init(&h->arena, 0);
    if (!(h->path = ego_arena_strdup(&h->arena, path))) {
        ego_head_close(h, NULL);
        return ego_fail(EGO_ENOMEM, "out of memory");
    }
    *head = h;
    return EGO_OK;
}

static ego_err read_notes(ego_head *head, const ego_weights *weights) {
    size_t prefix = strlen(EGO_META_NOTE);
    for (size_t i = 0; i < ego_weights_metadata_count(weights); i++) {
        const char *key, *text = ego_weights_metadata_at(weights, i, &key);
        if (strncmp(key, EGO_META_NOTE, prefix) == 0)
            EGO_TRY(ego_head_set_note(head, key + prefix, text));
    }
    return EGO_OK;
}

ego_err ego_head_from_weights(const ego_weights *weights, const ego_head_kind *kind,
                              ego_head **head) {
    ego_head *h;
    EGO_TRY(new_head(ego_weights_path(weights), &h));
    ego_err err = describe(h, weights, kind);
    if (err == EGO_OK) err = bind_all(h, weights);
    if (err == EGO_OK) err = read_notes(h, weights);
    if (err == EGO_OK)
        *head = h;
    else
        ego_head_close(h, NULL);
    return err;
}

ego_err ego_head_open(const char *path, const ego_head_kind *kind, ego_head **head) {
    ego_weights *weights;
    EGO_TRY(ego_weights_open(path, &weights));
    ego_err err = ego_head_from_weights(weights, kind, head);
    ego_weights_close(weights);
    return err;
}

typedef struct drawing {
    ego_head *head;
    uint64_t seed;
} drawing;

static ego_err draw(void *context, const ego_param_spec *spec) {
    drawing *d = context;
    EGO_TRY(give_room(d->head, spec));
    float *out = ego_f32(&spec->param->value);
    if (spec->like)
        memcpy(out, spec->like->value.data,
               (size_t)ego_tensor_count(&spec->param->value) * sizeof *out);
    else
        ego_param_init(spec, d->seed, out);
    return EGO_OK;
}

ego_err ego_head_create(const ego_head_kind *kind, const ego_head_config *config, uint64_t seed,
                        ego_head **head) {
    ego_head *h;
    EGO_TRY(ego_head_config_check(kind, config));
    EGO_TRY(new_head("(a head made in memory)", &h));
    h->kind = kind;
    h->config = *config;
    h->random = true;
    drawing d = {h, seed};
    ego_err err = ego_head_visit(h, draw, &d);
    if (err == EGO_OK)
        *head = h;
    else
        ego_head_close(h, NULL);
    return err;
}

static ego_err forget(void *context, const ego_param_spec *spec) {
    ego_backend *backend = context;
    if (spec->param->packed) backend->forget(backend, spec->param);
    return EGO_OK;
}

void ego_head_close(ego_head *head, ego_backend *backend) {
    if (!head) return;
    if (backend && head->kind) (void)ego_head_visit(head, forget, backend);
    ego_arena_release(&head->arena);
    free(head);
}

/* ---- in use ----------------------------------------------------------------------------------------------- */

ego_err ego_head_visit(ego_head *head, ego_param_visitor *visit, void *context) {
    return head->kind->visit(&head->config, &head->params, visit, context);
}

static ego_err count_elements(void *context, const ego_param_spec *spec) {
    *(int64_t *)context += ego_tensor_count(&spec->param->value);
    return EGO_OK;
}

int64_t ego_head_parameters(ego_head *head) {
    int64_t n = 0;
    (void)ego_head_visit(head, count_elements, &n);
    return n;
}

static ego_err give_gradient(void *context, const ego_param_spec *spec) {
    ego_head *head = context;
    size_t bytes = (size_t)ego_tensor_count(&spec->param->value) * sizeof(float);
    if (!spec->param->grad) spec->param->grad = ego_arena_alloc(&head->arena, bytes);
    if (!spec->param->grad)
        return ego_fail(EGO_ENOMEM, "out of memory for the gradient of '%s'", spec->name);
    memset(spec->param->grad, 0, bytes);
    return EGO_OK;
}

ego_err ego_head_make_trainable(ego_head *head) {
    return ego_head_visit(head, give_gradient, head);
}

static ego_err changed(void *context, const ego_param_spec *spec) {
    ego_backend *backend = context;
    backend->changed(backend, spec->param);
    return EGO_OK;
}

void ego_head_changed(ego_head *head, ego_backend *backend) {
    (void)ego_head_visit(head, changed, backend);
    head->id[0] = '\0';
}

void ego_head_set_backbone(ego_head *head, const char *id) {
    size_t n = strlen(id) < sizeof head->backbone ? strlen(id) : sizeof head->backbone - 1;
    memcpy(head->backbone, id, n);
    head->backbone[n] = '\0';
}

bool ego_head_foreign(const ego_head *head, const char *model_id, ego_buf *warning) {
    if (!head->backbone[0] || strcmp(head->backbone, model_id) == 0) return false;
    ego_buf_printf(warning,
                   "%s: trained on features of the model %.12s, not of %.12s, which is in use: "
                   "its answers mean little here",
                   head->path, head->backbone, model_id);
    return true;
}

/* ---- notes ------------------------------------------------------------------------------------------------ */

static note *find_note(const ego_head *head, const char *name) {
    for (note *n = head->notes; n; n = n->next)
        if (strcmp(n->key + strlen(EGO_META_NOTE), name) == 0) return n;
    return NULL;
}

const char *ego_head_note(const ego_head *head, const char *name) {
    const note *n = find_note(head, name);
    return n ? n->text : NULL;
}

ego_err ego_head_set_note(ego_head *head, const char *name, const char *text) {
    note *n = find_note(head, name);
    if (!n && text) {
        size_t prefix = strlen(EGO_META_NOTE), length = strlen(name) + 1;
        char *key = ego_arena_alloc(&head->arena, prefix + length);
        n = ego_arena_alloc(&head->arena, sizeof *n);
        if (!n || !key) return ego_fail(EGO_ENOMEM, "out of memory");
        memcpy(key, EGO_META_NOTE, prefix);
        memcpy(key + prefix, name, length);
        *n = (note){head->notes, key, NULL};
        head->notes = n;
    }
    if (!n) return EGO_OK;
    n->text = text ? ego_arena_strdup(&head->arena, text) : NULL;
    return n->text || !text ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory");
}

/* ---- saving ----------------------------------------------------------------------------------------------- */

typedef struct saving {
    ego_named_tensor *list;
    size_t count, room;
    ego_dtype dtype;
    ego_arena halves; /* what was narrowed */
} saving;

static ego_err collect(void *context, const ego_param_spec *spec) {
    saving *s = context;
    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 128;
        ego_named_tensor *list = realloc(s->list, room * sizeof *list);
        if (!list) return ego_fail(EGO_ENOMEM, "out of memory for the tensor list");
        s->list = list;
        s->room = room;
    }
    ego_tensor t = spec->param->value;
    memcpy(t.shape, spec->shape, sizeof t.shape);
    if (s->dtype == EGO_F16 && t.ndim >= 2) {
        size_t n = (size_t)ego_tensor_count(&t);
        uint16_t *half = ego_arena_alloc(&s->halves, n * sizeof *half);
        if (!half) return ego_fail(EGO_ENOMEM, "out of memory for '%s'", spec->name);
        for (size_t i = 0; i < n; i++) half[i] = ego_f32_to_f16(ego_f32(&t)[i]);
        t.data = half;
        t.dtype = EGO_F16;
    }
    s->list[s->count++] = (ego_named_tensor){spec->param->name, t};
    return EGO_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const ego_named_tensor *)a)->name, ((const ego_named_tensor *)b)->name);
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const ego_metadata *)a)->key, ((const ego_metadata *)b)->key);
}

static ego_err identify(const saving *s, char id[65]) {
    ego_sha256 *hash;
    EGO_TRY(ego_sha256_new(&hash));
    for (size_t i = 0; i < s->count; i++)
        ego_identity_add(hash, s->list[i].name, &s->list[i].tensor);
    ego_sha256_finish(hash, id);
    return EGO_OK;
}

ego_err ego_head_metadata(const ego_head *head, ego_buf *described, ego_metadata **list,
                          size_t *count) {
    size_t n = 1;
    for (const note *x = head->notes; x; x = x->next) n++;
    ego_metadata *all = calloc(n, sizeof *all);
    if (!all) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_head_describe(head, described);
    n = 0;
    all[n++] = (ego_metadata){EGO_META_HEAD, described->data};
    for (const note *x = head->notes; x; x = x->next)
        if (x->text) all[n++] = (ego_metadata){x->key, x->text};
    qsort(all, n, sizeof *all, by_key);
    ego_err err = ego_buf_err(described);
    if (err != EGO_OK) return free(all), err;
    *list = all;
    *count = n;
    return EGO_OK;
}

static ego_err write_file(const ego_head *head, const saving *s, const char *path) {
    ego_buf described = {0};
    ego_metadata *told = NULL, *all = NULL;
    size_t n = 0;
    ego_err err;
    EGO_TRY_OUT(ego_head_metadata(head, &described, &told, &n));
    all = realloc(told, (n + 1) * sizeof *all);
    if (!all) EGO_TRY_OUT(ego_fail(EGO_ENOMEM, "out of memory"));
    told = NULL;
    all[n] = (ego_metadata){EGO_META_ID, head->id};
    err = ego_safetensors_write(path, s->list, s->count, all, n + 1, NULL, NULL);
out:
    free(told);
    free(all);
    ego_buf_release(&described);
    return err;
}

ego_err ego_head_save(ego_head *head, const char *path, ego_dtype dtype) {
    if (dtype != EGO_F32 && dtype != EGO_F16)
        return ego_fail(EGO_EUNSUPPORTED, "%s: a head is stored as F32 or F16, not as %s", path,
                        ego_dtype_name(dtype));
    saving s = {.dtype = dtype};
    ego_arena_init(&s.halves, 0);
    ego_err err = ego_head_visit(head, collect, &s);
    if (err == EGO_OK) {
        qsort(s.list, s.count, sizeof *s.list, by_name);
        err = identify(&s, head->id);
    }
    if (err == EGO_OK) err = write_file(head, &s, path);
    ego_arena_release(&s.halves);
    free(s.list);
    return err;
}
