#include "format/safetensors.h"

#include "base/buf.h"
#include "base/json.h"
#include "format/weights_build.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    PREFIX_BYTES = 8,
    /* The reference reader takes 100 MB. A tree of that would need gigabytes, and 16 MiB describe more
     * than a hundred thousand tensors. */
    MAX_HEADER = 16 << 20,
    ALIGN = 64,
    BLOCK = 1 << 20,
};

/* ---- reading ------------------------------------------------------------------------------------- */

static uint64_t read_u64(const uint8_t *p) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | p[i];
    return value;
}

bool ego__is_safetensors(const ego_map *map) {
    return map->size > PREFIX_BYTES && map->data[PREFIX_BYTES] == '{';
}

/* At most EGO_MAX_DIMS elements, the caller has counted. */
static ego_err read_shape(const ego_json *list, ego_tensor *tensor) {
    if (!ego_json_is_array(list))
        return ego_fail(EGO_EFORMAT, "\"shape\": expected an array, found %s", ego_json_kind(list));
    tensor->ndim = 0;
    for (const ego_json *x = ego_json_first(list); x; x = ego_json_next(x)) {
        int64_t n;
        if (!ego_json_integer(x, &n) || n < 0)
            return ego_fail(EGO_EFORMAT, "\"shape\": expected whole numbers from 0, found %s",
                            ego_json_kind(x));
        tensor->shape[tensor->ndim++] = n;
    }
    return EGO_OK;
}

/* Where a tensor lies after the header. */
typedef struct extent {
    size_t from, to;
} extent;

/* One member of the header; `data` and `size` are the part of the file after it. */
static ego_err read_tensor(ego_weights *weights, const ego_json *entry, const uint8_t *data,
                           size_t size, extent *place) {
    const char *name = ego_json_key(entry), *dtype;
    ego_tensor tensor = {0};
    if (!ego_json_string(ego_json_get(entry, "dtype"), &dtype))
        return ego_fail(EGO_EFORMAT, "\"dtype\": expected a string, found %s",
                        ego_json_kind(ego_json_get(entry, "dtype")));
    const ego_json *offsets = ego_json_get(entry, "data_offsets");
    int64_t from, to;
    if (ego_json_count(offsets) != 2 || !ego_json_integer(ego_json_first(offsets), &from) ||
        !ego_json_integer(ego_json_next(ego_json_first(offsets)), &to))
        return ego_fail(EGO_EFORMAT, "\"data_offsets\": expected two whole numbers");
    if (from < 0 || to < from || (uint64_t)to > size)
        return ego_fail(EGO_EFORMAT,
                        "cut short? Its bytes %" PRId64 " to %" PRId64
                        " are not within the data's %zu",
                        from, to, size);
    *place = (extent){(size_t)from, (size_t)to};

    if (!ego_dtype_parse(dtype, &tensor.dtype))
        return ego__weights_skip(weights, "%s: dtype %s, skipped", name, dtype);
    if (ego_json_count(ego_json_get(entry, "shape")) > EGO_MAX_DIMS)
        return ego__weights_skip(weights, "%s: more than %d dimensions, skipped", name,
                                 EGO_MAX_DIMS);
    EGO_TRY(read_shape(ego_json_get(entry, "shape"), &tensor));
    size_t bytes;
    char text[EGO_SHAPE_TEXT];
    if (!ego_shape_bytes(tensor.shape, tensor.ndim, tensor.dtype, &bytes) ||
        bytes != (uint64_t)(to - from))
        return ego_fail(EGO_EFORMAT, "shape %s of %s does not fill its %" PRId64 " bytes",
                        ego_shape_text(tensor.shape, tensor.ndim, text), dtype, to - from);
    EGO_TRY(ego__weights_place(weights, data + from, bytes, &tensor));
    return ego__weights_add(weights, name, strlen(name), &tensor);
}

static ego_err read_metadata(ego_weights *weights, const ego_json *metadata) {
    for (const ego_json *x = ego_json_first(metadata); x; x = ego_json_next(x)) {
        const char *key = ego_json_key(x), *value;
        if (!key || !ego_json_string(x, &value))
            return ego_fail(EGO_EFORMAT, "%s: __metadata__: expected strings, found %s",
                            weights->path, ego_json_kind(x));
        EGO_TRY(ego__weights_add_metadata(weights, key, value));
    }
    return EGO_OK;
}

static int by_extent(const void *a, const void *b) {
    const extent *x = a, *y = b;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

/* The format has the tensors cover the data exactly: no two share bytes, none are left over. */
static ego_err check_cover(const ego_weights *weights, extent *places, size_t count, size_t size) {
    size_t at = 0, i = 0;
    if (count) qsort(places, count, sizeof *places, by_extent);
    while (i < count && places[i].from == at) at = places[i++].to;
    if (i == count && at == size) return EGO_OK;
    return ego_fail(EGO_EFORMAT,
                    "%s: tensors must fill the data's %zu bytes one after the other: overlap, hole "
                    "or rest at %zu",
                    weights->path, size, at);
}

static ego_err read_entries(ego_weights *weights, const ego_json *root, const uint8_t *data,
                            size_t size) {
    ego_err err = EGO_OK;
    size_t count = 0;
    extent *places = calloc(ego_json_count(root) + 1, sizeof *places);
    if (!places) return ego_fail(EGO_ENOMEM, "%s: out of memory", weights->path);
    for (const ego_json *x = ego_json_first(root); x; x = ego_json_next(x)) {
        if (strcmp(ego_json_key(x), "__metadata__") == 0) {
            EGO_TRY_OUT(read_metadata(weights, x));
            continue;
        }
        if ((err = read_tensor(weights, x, data, size, &places[count++])) != EGO_OK) {
            ego_fail_context(err, "%s: tensor %s", weights->path, ego_json_key(x));
            goto out;
        }
    }
    err = check_cover(weights, places, count, size);
out:
    free(places);
    return err;
}

ego_err ego__read_safetensors(ego_weights *weights) {
    const ego_map *map = &weights->map;
    weights->format = "safetensors";
    uint64_t header = read_u64(map->data);
    if (header > MAX_HEADER || header > map->size - PREFIX_BYTES)
        return ego_fail(EGO_EFORMAT,
                        "%s: a header of %" PRIu64 " bytes in a file of %zu (at most %d are read)",
                        weights->path, header, map->size, MAX_HEADER);
    const uint8_t *text = map->data + PREFIX_BYTES, *data = text + header;

    ego_json *root = NULL;
    ego_err err = ego_json_parse((const char *)text, (size_t)header, &root);
    if (err == EGO_OK && !ego_json_is_object(root))
        err = ego_fail(EGO_EFORMAT, "expected an object, found %s", ego_json_kind(root));
    if (err != EGO_OK)
        ego_fail_context(err, "%s: header", weights->path);
    else
        err = read_entries(weights, root, data, map->size - PREFIX_BYTES - (size_t)header);
    ego_json_free(root);
    return err;
}

/* ---- writing ------------------------------------------------------------------------------------- */

typedef struct placed {
    const ego_named_tensor *tensor;
    size_t bytes, from;
} placed;

static int by_place(const void *a, const void *b) {
    const placed *x = a, *y = b;
    bool x_rest = x->bytes % ALIGN != 0, y_rest = y->bytes % ALIGN != 0;
    if (x_rest != y_rest) return x_rest ? 1 : -1;
    size_t x_size = ego_dtype_bytes(x->tensor->tensor.dtype);
    size_t y_size = ego_dtype_bytes(y->tensor->tensor.dtype);
    if (x_rest && x_size != y_size) return x_size > y_size ? -1 : 1;
    return strcmp(x->tensor->name, y->tensor->name);
}

static ego_err place_all(const char *path, const ego_named_tensor *tensors, size_t count,
                         placed *order) {
    for (size_t i = 0; i < count; i++) {
        const ego_tensor *t = &tensors[i].tensor;
        order[i].tensor = &tensors[i];
        if (!ego_shape_bytes(t->shape, t->ndim, t->dtype, &order[i].bytes))
            return ego_fail(EGO_EINPUT, "%s: tensor %s has an impossible shape", path,
                            tensors[i].name);
    }
    qsort(order, count, sizeof *order, by_place);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        order[i].from = at;
        if (__builtin_add_overflow(at, order[i].bytes, &at))
            return ego_fail(EGO_EINPUT, "%s: the tensors together are too large", path);
    }
    return EGO_OK;
}

static void append_text(ego_buf *buf, const char *text) {
    ego_buf_json_string(buf, text, strlen(text));
}

static void append_header(ego_buf *buf, const placed *order, size_t count,
                          const ego_metadata *metadata, size_t metadata_count) {
    ego_buf_char(buf, '{');
    if (metadata_count) {
        ego_buf_json_key(buf, "__metadata__");
        ego_buf_char(buf, '{');
        for (size_t i = 0; i < metadata_count; i++) {
            ego_buf_json_key(buf, metadata[i].key);
            append_text(buf, metadata[i].value);
        }
        ego_buf_char(buf, '}');
    }
    for (size_t i = 0; i < count; i++) {
        const ego_tensor *t = &order[i].tensor->tensor;
        ego_buf_json_key(buf, order[i].tensor->name);
        ego_buf_printf(buf, "{\"dtype\":\"%s\",\"shape\":[", ego_dtype_name(t->dtype));
        for (int d = 0; d < t->ndim; d++)
            ego_buf_printf(buf, "%s%" PRId64, d ? "," : "", t->shape[d]);
        ego_buf_printf(buf, "],\"data_offsets\":[%zu,%zu]}", order[i].from,
                       order[i].from + order[i].bytes);
    }
    ego_buf_char(buf, '}');
    while ((PREFIX_BYTES + buf->len) % ALIGN && !buf->failed) ego_buf_char(buf, ' ');
}

static ego_err write_elements(ego_outfile *out, const placed *p, size_t i,
                              ego_safetensors_fill fill, void *context, void *block) {
    for (size_t from = 0; from < p->bytes; from += BLOCK) {
        size_t n = p->bytes - from < BLOCK ? p->bytes - from : BLOCK;
        const void *bytes = block;
        if (fill)
            EGO_TRY(fill(context, i, from, block, n));
        else
            bytes = (const char *)p->tensor->tensor.data + from;
        if (fwrite(bytes, 1, n, out->stream) != n) break; /* the commit reports it */
    }
    return EGO_OK;
}

ego_err ego_safetensors_write(const char *path, const ego_named_tensor *tensors, size_t count,
                              const ego_metadata *metadata, size_t metadata_count,
                              ego_safetensors_fill fill, void *context) {
    ego_err err = EGO_OK;
    ego_buf header = {0};
    ego_outfile out = {0};
    void *block = malloc(BLOCK);
    placed *order = calloc(count + 1, sizeof *order);
    if (!block || !order) EGO_TRY_OUT(ego_fail(EGO_ENOMEM, "%s: out of memory", path));
    EGO_TRY_OUT(place_all(path, tensors, count, order));
    append_header(&header, order, count, metadata, metadata_count);
    EGO_TRY_OUT(ego_buf_err(&header));
    if (header.len > MAX_HEADER)
        EGO_TRY_OUT(ego_fail(EGO_EINPUT, "%s: a header of %zu bytes, at most %d are read", path,
                             header.len, MAX_HEADER));

    EGO_TRY_OUT(ego_outfile_open(path, &out));
    for (int i = 0; i < PREFIX_BYTES; i++) putc((int)(header.len >> 8 * i & 255), out.stream);
    fwrite(header.data, 1, header.len, out.stream);
    for (size_t i = 0; i < count; i++)
        EGO_TRY_OUT(write_elements(&out, &order[i], (size_t)(order[i].tensor - tensors), fill,
                                   context, block));
    err = ego_outfile_commit(&out);
out:
    ego_outfile_abort(&out);
    ego_buf_release(&header);
    free(block);
    free(order);
    return err;
}
