#include "task/vectors.h"

#include "format/fvecs.h"
#include "format/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static ego_err no_memory(const ego_vectors *v) {
    return ego_fail(EGO_ENOMEM, "%s: out of memory", v->name);
}

static ego_err new_vectors(const char *name, const char *part, bool any_model, ego_vectors *v) {
    *v = (ego_vectors){.name = strdup(name), .part = part, .any_model = any_model};
    return v->name ? EGO_OK : ego_fail(EGO_ENOMEM, "%s: out of memory", name);
}

void ego_vectors_close(ego_vectors *v) {
    free(v->name);
    free(v->items);
    free(v->headers);
    free(v->model);
    free(v->layer);
    free(v->damage);
    ego_calibration_release(&v->calibration);
    ego_stream_close(v->stream);
    ego_map_close(&v->map);
    ego_map_close(&v->lines);
    ego_buf_release(&v->bytes);
    *v = (ego_vectors){0};
}

static ego_err reserve(ego_vectors *v, size_t n) {
    if (n <= v->cap) return EGO_OK;
    size_t cap = v->cap ? v->cap + v->cap / 2 : 256;
    if (cap < n) cap = n;
    if (cap > SIZE_MAX / sizeof *v->items) return no_memory(v);
    ego_vector *items = realloc(v->items, cap * sizeof *items);
    if (items) v->items = items;
    ego_vector_header *headers = realloc(v->headers, cap * sizeof *headers);
    if (headers) v->headers = headers;
    if (!items || !headers) return no_memory(v);
    v->cap = cap;
    return EGO_OK;
}

/* ---- model and layer ----------------------------------------------------------------------------- */

/* Keeps the first value seen and compares later ones with it. */
static ego_err keep_same(ego_vectors *v, const char *what, const char *value, char **kept) {
    if (!value) return EGO_OK;
    if (!*kept) return (*kept = strdup(value)) ? EGO_OK : no_memory(v);
    if (v->any_model || strcmp(*kept, value) == 0) return EGO_OK;
    return ego_fail(EGO_EINPUT, "%s: embeddings of two %ss: expected %.64s as before, found %.64s",
                    v->name, what, *kept, value);
}

static ego_err keep_source(ego_vectors *v, const ego_json *header) {
    const char *model = NULL, *layer = NULL;
    ego_json_string(ego_json_get(header, "model"), &model);
    ego_json_string(ego_json_get(header, "layer"), &layer);
    EGO_TRY(keep_same(v, "model", model, &v->model));
    return keep_same(v, "layer", layer, &v->layer);
}

static ego_err differ(const ego_vectors *a, const ego_vectors *b, const char *what,
                      const char *in_a, const char *in_b) {
    return ego_fail(EGO_EINPUT, "%s and %s are of different %ss: %.64s and %.64s", a->name, b->name,
                    what, in_a, in_b);
}

ego_err ego_vectors_comparable(const ego_vectors *a, const ego_vectors *b, bool any_model) {
    if (a->dim && b->dim && a->dim != b->dim)
        return ego_fail(EGO_EINPUT,
                        "%s holds vectors of %zu elements, %s of %zu: they cannot be compared",
                        a->name, a->dim, b->name, b->dim);
    if (any_model) return EGO_OK;
    if (a->model && b->model && strcmp(a->model, b->model) != 0)
        return differ(a, b, "model", a->model, b->model);
    if (a->layer && b->layer && strcmp(a->layer, b->layer) != 0)
        return differ(a, b, "layer", a->layer, b->layer);
    return EGO_OK;
}

/* ---- streams ------------------------------------------------------------------------------------- */

static bool is_note(const ego_stream_record *r) {
    return r->part && strcmp(r->part, "video") != 0 && strcmp(r->part, "text") != 0 &&
           strcmp(r->part, "fused") != 0;
}

static ego_err read_note(ego_vectors *v, const ego_stream_record *r) {
    ego_calibration read;
    if (r->error || strcmp(r->part, EGO_CALIBRATION_PART) != 0) return EGO_OK;
    ego_err err = ego_calibration_read(r->json, &r->tensor, &read);
    if (err != EGO_OK) return ego_fail_context(err, "%s: record %" PRIu64, v->name, r->number);
    err = ego_calibration_join(&v->calibration, &read);
    ego_calibration_release(&read);
    v->many_lists |= err == EGO_EINPUT;
    return err == EGO_EINPUT ? EGO_OK : err;
}

static ego_err add_record(ego_vectors *v, const ego_stream_record *r, const char *header) {
    if (is_note(r)) return read_note(v, r);
    if (r->part && v->part && strcmp(r->part, v->part) != 0) return EGO_OK;
    EGO_TRY(reserve(v, v->n + 1));
    if (!r->error) {
        char shape[EGO_SHAPE_TEXT];
        size_t dim = (size_t)ego_tensor_columns(&r->tensor);
        if ((int64_t)dim != ego_tensor_count(&r->tensor) || dim == 0)
            return ego_fail(EGO_EINPUT,
                            "%s: record %" PRIu64 " (id %.*s): expected one vector, found shape %s",
                            v->name, r->number, (int)r->id_bytes, r->id,
                            ego_shape_text(r->tensor.shape, r->tensor.ndim, shape));
        if (v->dim && dim != v->dim)
            return ego_fail(EGO_EINPUT,
                            "%s: record %" PRIu64
                            " (id %.*s): expected %zu elements as before, found %zu",
                            v->name, r->number, (int)r->id_bytes, r->id, v->dim, dim);
        v->dim = dim;
        EGO_TRY(keep_source(v, r->json));
    }
    v->items[v->n] = (ego_vector){r->error ? NULL : r->tensor.data, r->tensor.dtype};
    v->headers[v->n++] = (ego_vector_header){header, r->header_bytes};
    v->n_failed += r->error != NULL;
    return EGO_OK;
}

ego_err ego_vectors_feed(ego_vectors *v, const uint8_t *data, size_t size, bool ended,
                         size_t *used) {
    ego_stream_record r;
    ego_err err;
    uint64_t base = 0;
    v->first += v->n;
    v->n = v->n_failed = 0;
    *used = 0;
    ego_stream_feed(v->stream, data, size);
    for (bool first = true; (err = ego_stream_next(v->stream, &r)) == EGO_OK; first = false) {
        if (first) base = r.offset;
        size_t start = (size_t)(r.offset - base);
        size_t elements = (size_t)ego_tensor_count(&r.tensor) * ego_dtype_bytes(r.tensor.dtype);
        EGO_TRY(add_record(v, &r, (const char *)data + start));
        *used = start + r.header_bytes + 1 + elements;
    }
    if (err == EGO_EEND || (!ended && ego_stream_was_cut(v->stream))) return EGO_OK;
    if (err != EGO_EFORMAT) return err;
    return (v->damage = strdup(ego_err_message())) ? EGO_OK : no_memory(v);
}

ego_err ego_vectors_open_feed(const char *name, const char *part, bool any_model, ego_vectors *v) {
    EGO_TRY(new_vectors(name, part, any_model, v));
    return ego_stream_open_feed(name, &v->stream);
}

ego_err ego_vectors_one(const char *name, const char *header, const float *data, size_t dim,
                        const char *model, const char *layer, ego_vectors *v) {
    size_t bytes = dim * sizeof *data, length = strlen(header);
    EGO_TRY(new_vectors(name, NULL, true, v));
    EGO_TRY(keep_same(v, "model", model, &v->model));
    EGO_TRY(keep_same(v, "layer", layer, &v->layer));
    EGO_TRY(reserve(v, 1));
    ego_buf_append(&v->bytes, data, bytes);
    ego_buf_append(&v->bytes, header, length);
    EGO_TRY(ego_buf_err(&v->bytes));
    v->items[0] = (ego_vector){v->bytes.data, EGO_F32};
    v->headers[0] = (ego_vector_header){v->bytes.data + bytes, length};
    v->n = 1;
    v->dim = dim;
    return EGO_OK;
}

/* ---- matrices ------------------------------------------------------------------------------------ */

static bool next_line(const ego_map *text, size_t *at, ego_vector_header *line) {
    while (*at < text->size) {
        const char *start = (const char *)text->data + *at;
        size_t left = text->size - *at;
        const char *end = memchr(start, '\n', left);
        size_t n = end ? (size_t)(end - start) : left;
        *at += n + (end != NULL);
        *line = (ego_vector_header){start, n && start[n - 1] == '\r' ? n - 1 : n};
        if (line->bytes) return true;
    }
    return false;
}

/* Records that failed have a line but no row. */
static bool is_error(const ego_vector_header *line) {
    ego_json *json;
    if (ego_json_parse(line->text, line->bytes, &json) != EGO_OK) return false;
    bool error = ego_json_get(json, "error") != NULL;
    ego_json_free(json);
    return error;
}

static ego_err read_lines(ego_vectors *v, const char *path) {
    ego_vector_header line;
    size_t count = 0, kept = 0, at = 0;
    while (next_line(&v->lines, &at, &line)) count++;
    at = 0;
    while (next_line(&v->lines, &at, &line)) {
        if (count > v->n && is_error(&line)) continue;
        if (kept < v->n) v->headers[kept] = line;
        kept++;
    }
    if (kept != v->n)
        return ego_fail(EGO_EFORMAT, "%s: expected %zu lines, one for each vector of %s, found %zu",
                        path, v->n, v->name, kept);
    ego_json *json;
    if (v->n == 0) return EGO_OK;
    ego_err err = ego_json_parse(v->headers[0].text, v->headers[0].bytes, &json);
    if (err != EGO_OK) return ego_fail_context(err, "%s:1", path);
    err = keep_source(v, json);
    ego_json_free(json);
    return err;
}

/* The .jsonl beside a matrix, if there is one. */
static ego_err open_lines(ego_vectors *v, const char *path) {
    const char *dot = strrchr(ego_basename(path), '.');
    int stem = dot ? (int)(dot - path) : (int)strlen(path);
    ego_buf beside = {0};
    struct stat st;
    ego_buf_printf(&beside, "%.*s.jsonl", stem, path);
    ego_err err = ego_buf_err(&beside);
    if (err == EGO_OK && stat(beside.data, &st) == 0) {
        err = ego_map_open(beside.data, &v->lines);
        if (err == EGO_OK) err = read_lines(v, beside.data);
    }
    ego_buf_release(&beside);
    return err;
}

static ego_err add_rows(ego_vectors *v, const uint8_t *data, size_t n, size_t stride,
                        ego_dtype dtype) {
    EGO_TRY(reserve(v, n));
    for (size_t i = 0; i < n; i++) {
        v->items[i] = (ego_vector){data + i * stride, dtype};
        v->headers[i] = (ego_vector_header){NULL, 0};
    }
    v->n = n;
    return EGO_OK;
}

static ego_err read_npy(ego_vectors *v, const uint8_t *data, size_t size) {
    ego_tensor t;
    size_t offset;
    char shape[EGO_SHAPE_TEXT];
    ego_err err = ego__npy_parse(data, size, &t, &offset);
    if (err != EGO_OK) return ego_fail_context(err, "%s", v->name);
    if (t.ndim < 1 || t.ndim > 2 || ego_tensor_columns(&t) == 0)
        return ego_fail(EGO_EINPUT, "%s: expected rows of vectors (N, D), found shape %s", v->name,
                        ego_shape_text(t.shape, t.ndim, shape));
    v->dim = (size_t)ego_tensor_columns(&t);
    return add_rows(v, data + offset, (size_t)ego_tensor_rows(&t),
                    v->dim * ego_dtype_bytes(t.dtype), t.dtype);
}

static ego_err read_fvecs(ego_vectors *v, const uint8_t *data, size_t size) {
    ego_fvecs f = {0};
    ego_err err = ego__fvecs_parse(data, size, &f);
    if (err != EGO_OK) return ego_fail_context(err, "%s", v->name);
    v->dim = (size_t)f.dim;
    size_t stride = (v->dim + 1) * sizeof(float);
    return add_rows(v, data + sizeof(int32_t), f.count, stride, EGO_F32);
}

/* ---- files --------------------------------------------------------------------------------------- */

static ego_err read_bytes(ego_vectors *v, const char *path) {
    struct stat st;
    if (strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode))
        return ego_map_open(path, &v->map);
    return ego_read_file(path, SIZE_MAX / 4, &v->bytes);
}

/* What read_bytes brought. */
static ego_err understand(ego_vectors *v, const char *path) {
    size_t used, size = v->map.data ? v->map.size : v->bytes.len;
    const uint8_t *data = v->map.data;
    if (!data) data = (const uint8_t *)(v->bytes.data ? v->bytes.data : "");
    bool npy = size >= 6 && memcmp(data, "\x93NUMPY", 6) == 0;
    if (npy || ego_has_suffix(path, ".fvecs")) {
        EGO_TRY(npy ? read_npy(v, data, size) : read_fvecs(v, data, size));
        return open_lines(v, path);
    }
    EGO_TRY(ego_stream_open_feed(v->name, &v->stream));
    return ego_vectors_feed(v, data, size, true, &used);
}

ego_err ego_vectors_open(const char *path, const char *part, bool any_model, ego_vectors *v) {
    EGO_TRY(new_vectors(strcmp(path, "-") == 0 ? "stdin" : path, part, any_model, v));
    EGO_TRY(read_bytes(v, path));
    return understand(v, path);
}

ego_err ego_vectors_of_bytes(const char *name, ego_buf *bytes, const char *part, bool any_model,
                             ego_vectors *v) {
    EGO_TRY(new_vectors(name, part, any_model, v));
    v->bytes = *bytes;
    *bytes = (ego_buf){0};
    return understand(v, name);
}

/* ---- records ------------------------------------------------------------------------------------- */

ego_err ego_vectors_record(const ego_vectors *v, size_t i, ego_record *record) {
    static const char *const streams_own[] = {"part",      "model", "layer",      "dtype",
                                              "shape",     "scale", "vtm",        "row",
                                              "embedding", "error", "provenance", NULL};
    static const ego_record_rules rules = {.reads = streams_own};
    ego_vector_header header = v->headers[i];
    uint64_t index = v->first + i;
    char none[32];
    if (!header.text) {
        header.bytes = (size_t)snprintf(none, sizeof none, "{\"id\":%" PRIu64 "}", index);
        header.text = none;
    }
    return ego_record_parse(header.text, header.bytes, v->name, index + 1, index + 1, &rules,
                            record);
}

ego_err ego_vectors_fault(const ego_vectors *vectors, size_t i) {
    ego_json *json;
    const char *why = "its record has an error";
    if (vectors->items[i].data)
        return ego_fail(EGO_EINPUT, "the query's embedding holds a NaN or an infinity");
    if (ego_json_parse(vectors->headers[i].text, vectors->headers[i].bytes, &json) != EGO_OK)
        return EGO_EINPUT;
    ego_json_string(ego_json_get(json, "error"), &why);
    ego_fail(EGO_EINPUT, "%s", why);
    ego_json_free(json);
    return EGO_EINPUT;
}
