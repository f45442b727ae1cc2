#include "format/torchfile.h"

#include "base/buf.h"
#include "format/pickle.h"
#include "format/weights_build.h"
#include "format/zip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A run of elements of one type that tensors are views of. */
typedef struct storage {
    const char *key;
    size_t key_bytes;
    size_t width; /* bytes an element */
    const uint8_t *data;
    size_t bytes;
} storage;

typedef struct reader {
    ego_weights *weights;
    ego_pickle pickle;
    ego_zip zip; /* of the zip container: */
    const char *prefix;
    size_t prefix_bytes; /* "archive/" */
    storage *storages;   /* of the older one, sorted by key */
    size_t storage_count;
} reader;

/* ---- storages ------------------------------------------------------------------------------------ */

/* Storage classes and the bytes of their elements; EGO_DTYPE_COUNT: we have no tensors of it, but the
 * older container must know where it ends. */
static const struct {
    const char *name;
    ego_dtype dtype;
    size_t width;
} storage_classes[] = {
    {"torch.FloatStorage", EGO_F32, 4},
    {"torch.HalfStorage", EGO_F16, 2},
    {"torch.BFloat16Storage", EGO_BF16, 2},
    {"torch.DoubleStorage", EGO_F64, 8},
    {"torch.LongStorage", EGO_I64, 8},
    {"torch.IntStorage", EGO_I32, 4},
    {"torch.ShortStorage", EGO_I16, 2},
    {"torch.CharStorage", EGO_I8, 1},
    {"torch.ByteStorage", EGO_U8, 1},
    {"torch.BoolStorage", EGO_BOOL, 1},
    {"torch.ComplexFloatStorage", EGO_DTYPE_COUNT, 8},
    {"torch.ComplexDoubleStorage", EGO_DTYPE_COUNT, 16},
    {"torch.QInt8Storage", EGO_DTYPE_COUNT, 1},
    {"torch.QUInt8Storage", EGO_DTYPE_COUNT, 1},
    {"torch.QInt32Storage", EGO_DTYPE_COUNT, 4},
    {"torch.storage.UntypedStorage", EGO_DTYPE_COUNT, 1},
};

/* The persistent id of a storage: ("storage", class, key, device, elements[, view]). */
typedef struct storage_id {
    const char *class_name;
    ego_dtype dtype;
    const char *key;
    size_t key_bytes, width;
    uint64_t elements;
    bool view; /* of another storage: written by PyTorch before 0.4 only */
} storage_id;

static ego_err read_storage_id(const ego_pickle_value *value, storage_id *id) {
    if (!value || value->kind != EGO_PICKLE_PERSISTENT)
        return ego_fail(EGO_EFORMAT, "expected a storage, found %s", ego_pickle_type(value));
    const ego_pickle_value *tuple = value->args;
    const ego_pickle_value *class = ego_pickle_element(tuple, 1);
    const ego_pickle_value *key = ego_pickle_element(tuple, 2);
    const ego_pickle_value *view = ego_pickle_element(tuple, 5);
    int64_t elements;
    if (!ego_pickle_is_text(ego_pickle_element(tuple, 0), "storage") || !class ||
        class->kind != EGO_PICKLE_GLOBAL || !key || key->kind != EGO_PICKLE_STRING ||
        !ego_pickle_integer(ego_pickle_element(tuple, 4), &elements) || elements < 0)
        return ego_fail(EGO_EFORMAT,
                        "a storage's id is not (storage, class, key, device, elements)");
    for (size_t i = 0; i < sizeof storage_classes / sizeof *storage_classes; i++) {
        if (!ego_pickle_is_global(class, storage_classes[i].name)) continue;
        *id = (storage_id){
            .class_name = storage_classes[i].name,
            .dtype = storage_classes[i].dtype,
            .width = storage_classes[i].width,
            .key = key->text.bytes,
            .key_bytes = key->text.length,
            .elements = (uint64_t)elements,
            .view = view && view->kind != EGO_PICKLE_NONE,
        };
        return EGO_OK;
    }
    return ego_fail(EGO_EUNSUPPORTED, "elements of class %s", class->text.bytes);
}

static int by_key(const void *a, const void *b) {
    const storage *x = a, *y = b;
    int order = memcmp(x->key, y->key, x->key_bytes < y->key_bytes ? x->key_bytes : y->key_bytes);
    if (order) return order;
    return (x->key_bytes > y->key_bytes) - (x->key_bytes < y->key_bytes);
}

static storage *find_storage(const reader *r, const char *key, size_t key_bytes) {
    storage wanted = {.key = key, .key_bytes = key_bytes};
    return r->storage_count ? bsearch(&wanted, r->storages, r->storage_count, sizeof wanted, by_key)
                            : NULL;
}

static ego_err find_in_zip(const reader *r, const storage_id *id, const uint8_t **data,
                           size_t *bytes) {
    ego_buf name = {0};
    ego_buf_append(&name, r->prefix, r->prefix_bytes);
    ego_buf_text(&name, "data/");
    ego_buf_append(&name, id->key, id->key_bytes);
    ego_err err = ego_buf_err(&name);
    const ego_zip_entry *entry = err == EGO_OK ? ego_zip_find(&r->zip, name.data, name.len) : NULL;
    if (entry) {
        err = ego_zip_data(&r->zip, entry, data);
        *bytes = (size_t)entry->size;
    } else if (err == EGO_OK) {
        err = ego_fail(EGO_EFORMAT, "the archive has no entry %s", name.data);
    }
    ego_buf_release(&name);
    return err;
}

/* The elements that the id stands for. */
static ego_err find_elements(const reader *r, const storage_id *id, const uint8_t **data,
                             size_t *bytes) {
    if (r->zip.data) {
        EGO_TRY(find_in_zip(r, id, data, bytes));
    } else {
        const storage *s = find_storage(r, id->key, id->key_bytes);
        if (!s || !s->data) return ego_fail(EGO_EFORMAT, "its storage is not in the file");
        *data = s->data;
        *bytes = s->bytes;
    }
    if (id->elements > *bytes / id->width)
        return ego_fail(EGO_EFORMAT,
                        "a storage of %" PRIu64 " elements has only %zu bytes in the file",
                        id->elements, *bytes);
    return EGO_OK;
}

/* ---- tensors ------------------------------------------------------------------------------------- */

/* A tensor as the pickle describes it. */
typedef struct view {
    storage_id id;
    int64_t offset; /* all in elements */
    int64_t stride[EGO_MAX_DIMS];
    ego_tensor tensor; /* data not set yet */
} view;

/* The call that rebuilds a tensor, below the calls that make it a parameter; NULL when it is no tensor. */
static const ego_pickle_value *tensor_call(const ego_pickle_value *value) {
    enum { MAX_WRAPPERS = 4 };
    for (int i = 0; i < MAX_WRAPPERS && value && value->kind == EGO_PICKLE_OBJECT; i++) {
        if (ego_pickle_is_global(value->callee, "torch._utils._rebuild_tensor_v2") ||
            ego_pickle_is_global(value->callee, "torch._utils._rebuild_tensor"))
            return value;
        if (!ego_pickle_is_global(value->callee, "torch._utils._rebuild_parameter") &&
            !ego_pickle_is_global(value->callee, "torch._utils._rebuild_parameter_with_state"))
            return NULL;
        value = ego_pickle_element(value->args, 0);
    }
    return NULL;
}

/* A tuple of whole numbers ≥ 0 into `out`; *n: how many, EGO_MAX_DIMS + 1 for too many. */
static ego_err read_sizes(const ego_pickle_value *tuple, const char *what,
                          int64_t out[EGO_MAX_DIMS], int *n) {
    if (!tuple || (tuple->kind != EGO_PICKLE_TUPLE && tuple->kind != EGO_PICKLE_LIST))
        return ego_fail(EGO_EFORMAT, "%s: expected a tuple, found %s", what,
                        ego_pickle_type(tuple));
    *n = 0;
    for (const ego_pickle_item *x = tuple->first; x && *n <= EGO_MAX_DIMS; x = x->next, ++*n) {
        int64_t size;
        if (!ego_pickle_integer(x->value, &size) || size < 0)
            return ego_fail(EGO_EFORMAT, "%s: expected whole numbers from 0, found %s", what,
                            ego_pickle_type(x->value));
        if (*n < EGO_MAX_DIMS) out[*n] = size;
    }
    return EGO_OK;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata]) */
static ego_err read_view(const ego_pickle_value *args, view *v) {
    int strides;
    *v = (view){.offset = -1};
    EGO_TRY(read_storage_id(ego_pickle_element(args, 0), &v->id));
    if (!ego_pickle_integer(ego_pickle_element(args, 1), &v->offset) || v->offset < 0)
        return ego_fail(EGO_EFORMAT, "offset: expected a whole number from 0");
    EGO_TRY(read_sizes(ego_pickle_element(args, 2), "size", v->tensor.shape, &v->tensor.ndim));
    EGO_TRY(read_sizes(ego_pickle_element(args, 3), "stride", v->stride, &strides));
    if (strides != v->tensor.ndim)
        return ego_fail(EGO_EFORMAT, "%d sizes but %d strides", v->tensor.ndim, strides);
    v->tensor.dtype = v->id.dtype;
    return EGO_OK;
}

static bool is_contiguous(const view *v) {
    int64_t expected = 1;
    for (int i = v->tensor.ndim - 1; i >= 0; i--) {
        if (v->tensor.shape[i] != 1 && v->stride[i] != expected) return false;
        expected *= v->tensor.shape[i];
    }
    return true;
}

/* True when the farthest element lies within the storage. */
static bool view_fits(const view *v, size_t elements) {
    int64_t far = v->offset, reach;
    for (int i = 0; i < v->tensor.ndim; i++)
        if (__builtin_mul_overflow(v->tensor.shape[i] - 1, v->stride[i], &reach) ||
            __builtin_add_overflow(far, reach, &far))
            return false;
    return (uint64_t)far < elements;
}

/* Copies a strided view, row-major, to `out`: the dimensions count up like an odometer. */
static void gather(const view *v, const uint8_t *from, uint8_t *out) {
    const ego_tensor *t = &v->tensor;
    size_t width = ego_dtype_bytes(t->dtype);
    int64_t index[EGO_MAX_DIMS] = {0}, count = ego_tensor_count(t);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = 0;
        for (int d = 0; d < t->ndim; d++) at += index[d] * v->stride[d];
        memcpy(out + (size_t)i * width, from + (size_t)at * width, width);
        for (int d = t->ndim - 1; d >= 0 && ++index[d] == t->shape[d]; d--) index[d] = 0;
    }
}

static ego_err place_view(reader *r, view *v) {
    const uint8_t *data;
    size_t bytes, wanted, width = ego_dtype_bytes(v->tensor.dtype);
    char text[EGO_SHAPE_TEXT];
    EGO_TRY(find_elements(r, &v->id, &data, &bytes));
    ego_shape_text(v->tensor.shape, v->tensor.ndim, text);
    if (!ego_shape_bytes(v->tensor.shape, v->tensor.ndim, v->tensor.dtype, &wanted))
        return ego_fail(EGO_EFORMAT, "impossible size %s", text);
    if (wanted == 0) {
        v->tensor.data = (void *)(uintptr_t)r->weights->map.data;
        return EGO_OK;
    }
    if (!view_fits(v, bytes / width))
        return ego_fail(EGO_EFORMAT,
                        "size %s at offset %" PRId64 " leaves its storage of %zu elements", text,
                        v->offset, bytes / width);
    data += (size_t)v->offset * width;
    if (is_contiguous(v)) return ego__weights_place(r->weights, data, wanted, &v->tensor);
    EGO_TRY(ego__weights_alloc(r->weights, wanted, &v->tensor.data));
    gather(v, data, v->tensor.data);
    return EGO_OK;
}

static ego_err add_tensor(reader *r, const char *name, size_t name_bytes,
                          const ego_pickle_value *call) {
    view v;
    ego_err err = read_view(call->args, &v);
    int width = name_bytes < 200 ? (int)name_bytes : 200;
    if (err == EGO_EUNSUPPORTED)
        return ego__weights_skip(r->weights, "%.*s: %s, skipped", width, name, ego_err_message());
    if (err == EGO_OK && v.id.dtype == EGO_DTYPE_COUNT)
        return ego__weights_skip(r->weights, "%.*s: elements of class %s, skipped", width, name,
                                 v.id.class_name);
    if (err == EGO_OK && v.tensor.ndim > EGO_MAX_DIMS)
        return ego__weights_skip(r->weights, "%.*s: more than %d dimensions, skipped", width, name,
                                 EGO_MAX_DIMS);
    if (err == EGO_OK && v.id.view)
        return ego__weights_skip(r->weights, "%.*s: a view of another storage, skipped", width,
                                 name);
    if (err == EGO_OK) err = place_view(r, &v);
    if (err != EGO_OK)
        return ego_fail_context(err, "%s: tensor %.*s", r->weights->path, width, name);
    return ego__weights_add(r->weights, name, name_bytes, &v.tensor);
}

/* ---- which tensors ------------------------------------------------------------------------------- */

/* The pairs of a dict or of anything filled like one. Python 2 wrote an OrderedDict as a call with a list
 * of pairs. */
static const ego_pickle_item *first_pair(const ego_pickle_value *value) {
    if (!value) return NULL;
    if (value->kind == EGO_PICKLE_DICT) return value->first;
    if (value->kind != EGO_PICKLE_OBJECT) return NULL;
    if (value->first || !ego_pickle_is_global(value->callee, "collections.OrderedDict"))
        return value->first;
    const ego_pickle_value *list = ego_pickle_element(value->args, 0);
    return list && list->kind == EGO_PICKLE_LIST ? list->first : NULL;
}

/* False when the key is not a string. */
static bool read_pair(const ego_pickle_item *item, const ego_pickle_value **key,
                      const ego_pickle_value **value) {
    *key = item->key ? item->key : ego_pickle_element(item->value, 0);
    *value = item->key ? item->value : ego_pickle_element(item->value, 1);
    return *key && (*key)->kind == EGO_PICKLE_STRING && *value;
}

static bool has_tensors(const ego_pickle_value *dict) {
    const ego_pickle_value *key, *value;
    for (const ego_pickle_item *x = first_pair(dict); x; x = x->next)
        if (read_pair(x, &key, &value) && tensor_call(value)) return true;
    return false;
}

static const ego_pickle_value *get(const ego_pickle_value *dict, const char *name) {
    const ego_pickle_value *key, *value;
    for (const ego_pickle_item *x = first_pair(dict); x; x = x->next)
        if (read_pair(x, &key, &value) && ego_pickle_is_text(key, name)) return value;
    return NULL;
}

/* Adds the tensors of one dict as PREFIX + name, and lists what else it holds. */
static ego_err add_dict(reader *r, const char *prefix, size_t prefix_bytes,
                        const ego_pickle_value *dict) {
    ego_err err = EGO_OK;
    ego_buf name = {0};
    const ego_pickle_value *key, *value;
    for (const ego_pickle_item *x = first_pair(dict); x; x = x->next) {
        if (!read_pair(x, &key, &value)) continue;
        ego_buf_clear(&name);
        if (prefix) {
            ego_buf_append(&name, prefix, prefix_bytes);
            ego_buf_char(&name, '.');
        }
        ego_buf_append(&name, key->text.bytes, key->text.length);
        EGO_TRY_OUT(ego_buf_err(&name));
        const ego_pickle_value *call = tensor_call(value);
        EGO_TRY_OUT(call ? add_tensor(r, name.data, name.len, call)
                         : ego__weights_skip(r->weights, "%s: %s, skipped", name.data,
                                             ego_pickle_type(value)));
    }
out:
    ego_buf_release(&name);
    return err;
}

/* Lists the members of the outermost dict; the tensors of its dicts too when `flatten`. */
static ego_err visit_outer(reader *r, const ego_pickle_value *root, const ego_pickle_value *except,
                           bool flatten) {
    const ego_pickle_value *key, *value;
    for (const ego_pickle_item *x = first_pair(root); x; x = x->next) {
        if (!read_pair(x, &key, &value) || value == except) continue;
        int width = key->text.length < 200 ? (int)key->text.length : 200;
        if (flatten && has_tensors(value))
            EGO_TRY(add_dict(r, key->text.bytes, key->text.length, value));
        else
            EGO_TRY(ego__weights_skip(r->weights, "%.*s: %s, skipped", width, key->text.bytes,
                                      tensor_call(value) ? "tensor" : ego_pickle_type(value)));
    }
    return EGO_OK;
}

static ego_err add_state_dict(reader *r, const ego_pickle_value *root) {
    static const char *const members[] = {"state_dict", "model_state_dict", "model"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const ego_pickle_value *dict = get(root, members[i]);
        if (!has_tensors(dict)) continue;
        EGO_TRY(add_dict(r, NULL, 0, dict));
        return visit_outer(r, root, dict, false);
    }
    if (has_tensors(root)) return add_dict(r, NULL, 0, root);
    EGO_TRY(visit_outer(r, root, NULL, true));
    if (r->weights->count) return EGO_OK;
    return ego_fail(EGO_EFORMAT,
                    "%s: no tensors by name in it: expected a state dict, found %s; save "
                    "model.state_dict()",
                    r->weights->path, ego_pickle_type(root));
}

static void release(reader *r) {
    ego_pickle_release(&r->pickle);
    ego_zip_close(&r->zip);
    free(r->storages);
}

/* ---- the zip container --------------------------------------------------------------------------- */

bool ego__is_torch_zip(const ego_map *map) { return ego_zip_probe(map->data, map->size); }

static const ego_zip_entry *find_data_pkl(reader *r) {
    static const char file[] = "data.pkl";
    size_t n = sizeof file - 1;
    for (size_t i = 0; i < r->zip.count; i++) {
        const ego_zip_entry *entry = &r->zip.entries[i];
        if (entry->name_bytes < n || memcmp(entry->name + entry->name_bytes - n, file, n)) continue;
        r->prefix = entry->name;
        r->prefix_bytes = entry->name_bytes - n;
        if (!r->prefix_bytes || r->prefix[r->prefix_bytes - 1] == '/') return entry;
    }
    return NULL;
}

static ego_err check_byte_order(const reader *r) {
    const uint8_t *data;
    ego_buf name = {0};
    ego_buf_append(&name, r->prefix, r->prefix_bytes);
    ego_buf_text(&name, "byteorder");
    ego_err err = ego_buf_err(&name);
    const ego_zip_entry *entry = err == EGO_OK ? ego_zip_find(&r->zip, name.data, name.len) : NULL;
    ego_buf_release(&name);
    if (!entry) return err;
    EGO_TRY(ego_zip_data(&r->zip, entry, &data));
    if (entry->size != 6 || memcmp(data, "little", 6) != 0)
        return ego_fail(EGO_EUNSUPPORTED, "written on a big-endian machine");
    return EGO_OK;
}

ego_err ego__read_torch_zip(ego_weights *weights) {
    ego_err err = EGO_OK;
    reader r = {.weights = weights};
    const uint8_t *data;
    const ego_pickle_value *root;
    size_t used;
    weights->format = "torch zip";
    ego_pickle_init(&r.pickle);
    if ((err = ego_zip_open(weights->map.data, weights->map.size, &r.zip)) != EGO_OK) goto context;
    const ego_zip_entry *entry = find_data_pkl(&r);
    if (!entry) {
        err = ego_fail(EGO_EFORMAT, "a zip archive without data.pkl: not written by torch.save");
        goto context;
    }
    if ((err = check_byte_order(&r)) != EGO_OK) goto context;
    if ((err = ego_zip_data(&r.zip, entry, &data)) != EGO_OK) goto context;
    err = ego_pickle_read(&r.pickle, data, (size_t)entry->size, &used, &root);
context:
    if (err != EGO_OK)
        ego_fail_context(err, "%s", weights->path);
    else
        err = add_state_dict(&r, root);
    release(&r);
    return err;
}

/* ---- the older container ------------------------------------------------------------------------- */

enum { LEGACY_PROTOCOL = 1001, TAR_MAGIC_OFFSET = 257 };

/* The number 0x1950a86a20f9469cfc6c as a pickle writes it: LONG1, ten bytes. */
static const uint8_t legacy_magic[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                       0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

bool ego__is_torch_legacy(const ego_map *map) {
    enum { PROTO_BYTES = 2, FRAME_BYTES = 9 }; /* a frame follows PROTO from protocol 4 on */
    size_t n = sizeof legacy_magic;
    if (map->size < PROTO_BYTES + FRAME_BYTES + n || map->data[0] != 0x80) return false;
    return memcmp(map->data + PROTO_BYTES, legacy_magic, n) == 0 ||
           memcmp(map->data + PROTO_BYTES + FRAME_BYTES, legacy_magic, n) == 0;
}

bool ego__is_torch_tar(const ego_map *map) {
    return map->size > 512 && memcmp(map->data + TAR_MAGIC_OFFSET, "ustar", 5) == 0;
}

static ego_err next_pickle(reader *r, size_t *at, const ego_pickle_value **value) {
    const ego_map *map = &r->weights->map;
    size_t used;
    EGO_TRY(ego_pickle_read(&r->pickle, map->data + *at, map->size - *at, &used, value));
    *at += used;
    return EGO_OK;
}

/* Every storage the pickle names, sorted by key; their places in the file are not known yet. */
static ego_err list_storages(reader *r) {
    size_t count = 0;
    for (const ego_pickle_item *x = r->pickle.persistent_first; x; x = x->next) count++;
    r->storages = calloc(count + 1, sizeof *r->storages);
    if (!r->storages) return ego_fail(EGO_ENOMEM, "out of memory");
    for (const ego_pickle_item *x = r->pickle.persistent_first; x; x = x->next) {
        storage_id id;
        EGO_TRY(read_storage_id(x->value, &id));
        r->storages[r->storage_count++] =
            (storage){.key = id.key, .key_bytes = id.key_bytes, .width = id.width};
    }
    qsort(r->storages, r->storage_count, sizeof *r->storages, by_key);
    size_t kept = 0;
    for (size_t i = 0; i < r->storage_count; i++)
        if (!kept || by_key(&r->storages[kept - 1], &r->storages[i]) != 0)
            r->storages[kept++] = r->storages[i];
    r->storage_count = kept;
    return EGO_OK;
}

/* After the pickles: for each key an int64 count, then so many elements. */
static ego_err locate_storages(reader *r, const ego_pickle_value *keys, size_t at) {
    const ego_map *map = &r->weights->map;
    if (keys->kind != EGO_PICKLE_LIST)
        return ego_fail(EGO_EFORMAT, "expected the list of storage keys, found %s",
                        ego_pickle_type(keys));
    for (const ego_pickle_item *x = keys->first; x; x = x->next) {
        storage *s = x->value->kind == EGO_PICKLE_STRING
                         ? find_storage(r, x->value->text.bytes, x->value->text.length)
                         : NULL;
        if (!s) return ego_fail(EGO_EFORMAT, "a storage in the list of keys has no known class");
        uint64_t count = 0;
        if (map->size - at < 8) return ego_fail(EGO_EFORMAT, "cut short at offset %zu", at);
        for (int i = 7; i >= 0; i--) count = count << 8 | map->data[at + (size_t)i];
        at += 8;
        if (count > (map->size - at) / s->width)
            return ego_fail(EGO_EFORMAT,
                            "cut short: a storage of %" PRIu64
                            " elements of %zu bytes at offset %zu in a file of %zu",
                            count, s->width, at, map->size);
        s->data = map->data + at;
        s->bytes = (size_t)count * s->width;
        at += s->bytes;
    }
    return EGO_OK;
}

static ego_err read_legacy(reader *r, const ego_pickle_value **root) {
    const ego_pickle_value *value, *keys, *little;
    size_t at = 0;
    int64_t protocol;
    EGO_TRY(next_pickle(r, &at, &value)); /* the magic number */
    EGO_TRY(next_pickle(r, &at, &value));
    if (!ego_pickle_integer(value, &protocol) || protocol != LEGACY_PROTOCOL)
        return ego_fail(EGO_EFORMAT, "expected protocol %d after the magic number",
                        LEGACY_PROTOCOL);
    EGO_TRY(next_pickle(r, &at, &value));
    little = get(value, "little_endian");
    if (!little || little->kind != EGO_PICKLE_BOOL || !little->integer)
        return ego_fail(EGO_EUNSUPPORTED, "written on a big-endian machine");
    EGO_TRY(next_pickle(r, &at, root));
    EGO_TRY(list_storages(r));
    EGO_TRY(next_pickle(r, &at, &keys));
    return locate_storages(r, keys, at);
}

ego_err ego__read_torch_legacy(ego_weights *weights) {
    reader r = {.weights = weights};
    const ego_pickle_value *root;
    weights->format = "torch legacy";
    ego_pickle_init(&r.pickle);
    ego_err err = read_legacy(&r, &root);
    if (err != EGO_OK)
        ego_fail_context(err, "%s", weights->path);
    else
        err = add_state_dict(&r, root);
    release(&r);
    return err;
}
