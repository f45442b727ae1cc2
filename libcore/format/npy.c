#include "format/npy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";

enum {
    MAGIC_BYTES = sizeof magic - 1,
    MAX_HEADER = 1 << 20,
    ALIGN = 64,
    WRITTEN_HEADER = 128, /* all of it: leaves 60 characters for the shape */
};

static const struct {
    const char *descr; /* without the byte order */
    ego_dtype dtype;
} descrs[] = {
    {"f4", EGO_F32}, {"f2", EGO_F16}, {"f8", EGO_F64}, {"i8", EGO_I64},  {"i4", EGO_I32},
    {"i2", EGO_I16}, {"i1", EGO_I8},  {"u1", EGO_U8},  {"b1", EGO_BOOL},
};

/* ---- the header's dict ---------------------------------------------------------------------------- */

typedef struct text {
    const char *at, *end;
} text;

static void skip_space(text *t) {
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\n')) t->at++;
}

static bool accept(text *t, const char *word) {
    skip_space(t);
    size_t n = strlen(word);
    if ((size_t)(t->end - t->at) < n || memcmp(t->at, word, n) != 0) return false;
    t->at += n;
    return true;
}

/* A quoted string without escapes. */
static bool read_string(text *t, char *out, size_t max) {
    skip_space(t);
    if (t->at == t->end || (*t->at != '\'' && *t->at != '"')) return false;
    const char *from = t->at + 1, *to = memchr(from, *t->at, (size_t)(t->end - from));
    if (!to || (size_t)(to - from) >= max) return false;
    memcpy(out, from, (size_t)(to - from));
    out[to - from] = 0;
    t->at = to + 1;
    return true;
}

static ego_err read_shape(text *t, ego_tensor *tensor) {
    if (!accept(t, "(")) return ego_fail(EGO_EFORMAT, "'shape': expected a tuple");
    tensor->ndim = 0;
    while (!accept(t, ")")) {
        int64_t n = 0;
        int digits = 0;
        for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++, digits++)
            if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *t->at - '0', &n))
                return ego_fail(EGO_EFORMAT, "'shape': a number beyond 64 bits");
        if (!digits) return ego_fail(EGO_EFORMAT, "'shape': expected whole numbers from 0");
        accept(t, "L"); /* Python 2's long */
        if (tensor->ndim == EGO_MAX_DIMS)
            return ego_fail(EGO_EUNSUPPORTED, "more than %d dimensions", EGO_MAX_DIMS);
        tensor->shape[tensor->ndim++] = n;
        if (!accept(t, ",")) {
            if (!accept(t, ")")) return ego_fail(EGO_EFORMAT, "'shape': expected ',' or ')'");
            break;
        }
        skip_space(t);
    }
    return EGO_OK;
}

static ego_err read_descr(text *t, ego_dtype *dtype) {
    char descr[16];
    if (!read_string(t, descr, sizeof descr))
        return ego_fail(EGO_EUNSUPPORTED, "'descr': a structured or unknown element type");
    if (descr[0] == '>') return ego_fail(EGO_EUNSUPPORTED, "big-endian elements ('%s')", descr);
    for (size_t i = 0; i < sizeof descrs / sizeof *descrs; i++)
        if (descr[0] && strcmp(descr + 1, descrs[i].descr) == 0)
            return *dtype = descrs[i].dtype, EGO_OK;
    return ego_fail(EGO_EUNSUPPORTED, "elements of type '%s'", descr);
}

static ego_err read_dict(text *t, ego_tensor *tensor) {
    enum { DESCR = 1, ORDER = 2, SHAPE = 4 };
    int seen = 0;
    bool fortran = false;
    if (!accept(t, "{")) return ego_fail(EGO_EFORMAT, "the header is not a dict");
    while (!accept(t, "}")) {
        char key[16];
        if (!read_string(t, key, sizeof key) || !accept(t, ":"))
            return ego_fail(EGO_EFORMAT, "the header is not a dict of known keys");
        if (strcmp(key, "descr") == 0) {
            EGO_TRY(read_descr(t, &tensor->dtype));
            seen |= DESCR;
        } else if (strcmp(key, "fortran_order") == 0) {
            if (!(fortran = accept(t, "True")) && !accept(t, "False"))
                return ego_fail(EGO_EFORMAT, "'fortran_order': expected True or False");
            seen |= ORDER;
        } else if (strcmp(key, "shape") == 0) {
            EGO_TRY(read_shape(t, tensor));
            seen |= SHAPE;
        } else {
            return ego_fail(EGO_EFORMAT, "unknown key '%s'", key);
        }
        if (!accept(t, ",")) {
            if (!accept(t, "}")) return ego_fail(EGO_EFORMAT, "the header's dict does not end");
            break;
        }
    }
    if (seen != (DESCR | ORDER | SHAPE))
        return ego_fail(EGO_EFORMAT, "the header lacks one of 'descr', 'fortran_order', 'shape'");
    if (fortran && tensor->ndim > 1)
        return ego_fail(EGO_EUNSUPPORTED,
                        "column-major (fortran_order): save numpy.ascontiguousarray(x)");
    return EGO_OK;
}

/* ---- reading ------------------------------------------------------------------------------------- */

ego_err ego__npy_parse(const uint8_t *data, size_t size, ego_tensor *tensor, size_t *offset) {
    *tensor = (ego_tensor){0};
    if (size < MAGIC_BYTES + 4 || memcmp(data, magic, MAGIC_BYTES) != 0)
        return ego_fail(EGO_EFORMAT, "not a .npy file (%zu bytes)", size);
    const uint8_t *p = data + MAGIC_BYTES;
    int version = p[0];
    if (version < 1 || version > 3)
        return ego_fail(EGO_EUNSUPPORTED, ".npy version %d.%d, 1 to 3 are read", p[0], p[1]);
    size_t start = MAGIC_BYTES + (version == 1 ? 4 : 6);
    if (size < start) return ego_fail(EGO_EFORMAT, "cut short: %zu bytes", size);
    uint64_t header = p[2] | (uint64_t)p[3] << 8;
    if (version > 1) header |= (uint64_t)p[4] << 16 | (uint64_t)p[5] << 24;
    if (header > size - start || header > MAX_HEADER)
        return ego_fail(EGO_EFORMAT,
                        "a header of %" PRIu64 " bytes in a file of %zu (at most %d are read)",
                        header, size, MAX_HEADER);
    text t = {(const char *)data + start, (const char *)data + start + header};
    EGO_TRY(read_dict(&t, tensor));
    *offset = start + (size_t)header;

    size_t bytes;
    char shape[EGO_SHAPE_TEXT];
    ego_shape_text(tensor->shape, tensor->ndim, shape);
    if (!ego_shape_bytes(tensor->shape, tensor->ndim, tensor->dtype, &bytes))
        return ego_fail(EGO_EFORMAT, "impossible shape %s", shape);
    if (bytes > size - *offset)
        return ego_fail(EGO_EFORMAT, "cut short: shape %s of %s needs %zu bytes, found %zu", shape,
                        ego_dtype_name(tensor->dtype), bytes, size - *offset);
    return EGO_OK;
}

ego_err ego_npy_open(const char *path, ego_npy *npy) {
    *npy = (ego_npy){0};
    EGO_TRY(ego_map_open(path, &npy->map));
    size_t offset, bytes;
    ego_err err = ego__npy_parse(npy->map.data, npy->map.size, &npy->tensor, &offset);
    if (err != EGO_OK) {
        ego_npy_close(npy);
        return ego_fail_context(err, "%s", path);
    }
    const uint8_t *data = npy->map.data + offset;
    npy->tensor.data = (void *)(uintptr_t)data; /* mapped read-only */
    if ((uintptr_t)data % ego_dtype_bytes(npy->tensor.dtype) == 0) return EGO_OK;
    ego_shape_bytes(npy->tensor.shape, npy->tensor.ndim, npy->tensor.dtype, &bytes);
    if (!(npy->copy = malloc(bytes + 1))) {
        ego_npy_close(npy);
        return ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    }
    npy->tensor.data = memcpy(npy->copy, data, bytes);
    return EGO_OK;
}

void ego_npy_close(ego_npy *npy) {
    free(npy->copy);
    ego_map_close(&npy->map);
    *npy = (ego_npy){0};
}

/* ---- writing ------------------------------------------------------------------------------------- */

/* The whole header, always of the same length so that a streamed file's can be written over. */
static ego_err write_header(FILE *out, const char *path, const ego_tensor *tensor) {
    const char *descr = NULL;
    for (size_t i = 0; i < sizeof descrs / sizeof *descrs; i++)
        if (descrs[i].dtype == tensor->dtype) descr = descrs[i].descr;
    if (!descr)
        return ego_fail(EGO_EUNSUPPORTED, "%s: .npy has no type for %s", path,
                        ego_dtype_name(tensor->dtype));
    char order = ego_dtype_bytes(tensor->dtype) > 1 ? '<' : '|';
    char header[2 * WRITTEN_HEADER];
    size_t prefix = MAGIC_BYTES + 4, rest = WRITTEN_HEADER - prefix;
    memcpy(header, magic, MAGIC_BYTES);
    memcpy(header + MAGIC_BYTES, "\1\0", 2);
    header[MAGIC_BYTES + 2] = (char)(rest & 255);
    header[MAGIC_BYTES + 3] = (char)(rest >> 8);
    size_t at = prefix;
    at += (size_t)snprintf(header + at, sizeof header - at,
                           "{'descr': '%c%s', 'fortran_order': False, 'shape': (", order, descr);
    for (int i = 0; i < tensor->ndim; i++) /* (3,) and (3, 4) as Python writes tuples */
        at += (size_t)snprintf(header + at, sizeof header - at, "%s%" PRId64 "%s", i ? " " : "",
                               tensor->shape[i], i + 1 < tensor->ndim || i == 0 ? "," : "");
    at += (size_t)snprintf(header + at, sizeof header - at, "), }");
    if (at >= WRITTEN_HEADER)
        return ego_fail(EGO_EINPUT, "%s: dimensions too large for a .npy header", path);
    memset(header + at, ' ', WRITTEN_HEADER - at);
    header[WRITTEN_HEADER - 1] = '\n';
    fwrite(header, 1, WRITTEN_HEADER, out); /* the commit reports a failure */
    return EGO_OK;
}

ego_err ego_npy_write(const char *path, const ego_tensor *tensor) {
    ego_outfile out;
    size_t bytes;
    if (!ego_shape_bytes(tensor->shape, tensor->ndim, tensor->dtype, &bytes))
        return ego_fail(EGO_EINPUT, "%s: impossible shape", path);
    EGO_TRY(ego_outfile_open(path, &out));
    ego_err err = write_header(out.stream, path, tensor);
    if (err != EGO_OK) {
        ego_outfile_abort(&out);
        return err;
    }
    if (bytes) fwrite(tensor->data, 1, bytes, out.stream);
    return ego_outfile_commit(&out);
}

/* What the file holds so far: one more dimension in front of the row's. */
static ego_err written_shape(const ego_npy_writer *writer, ego_tensor *all) {
    if (writer->row.ndim >= EGO_MAX_DIMS)
        return ego_fail(EGO_EINPUT, "rows of at most %d dimensions", EGO_MAX_DIMS - 1);
    *all = (ego_tensor){.dtype = writer->row.dtype, .ndim = writer->row.ndim + 1};
    all->shape[0] = writer->rows;
    for (int i = 0; i < writer->row.ndim; i++) all->shape[i + 1] = writer->row.shape[i];
    return EGO_OK;
}

ego_err ego_npy_writer_open(const char *path, const ego_tensor *row, ego_npy_writer *writer) {
    ego_tensor all;
    *writer = (ego_npy_writer){.row = *row};
    EGO_TRY(written_shape(writer, &all));
    EGO_TRY(ego_outfile_open(path, &writer->out));
    ego_err err = write_header(writer->out.stream, path, &all);
    if (err != EGO_OK) ego_npy_writer_abort(writer);
    return err;
}

ego_err ego_npy_writer_add(ego_npy_writer *writer, const void *rows, int64_t count) {
    size_t bytes, all;
    if (!ego_shape_bytes(writer->row.shape, writer->row.ndim, writer->row.dtype, &bytes) ||
        count < 0 || __builtin_mul_overflow(bytes, (size_t)count, &all))
        return ego_fail(EGO_EINPUT, "%s: impossible shape", writer->out.path);
    if (all && fwrite(rows, 1, all, writer->out.stream) != all)
        return ego_fail(EGO_EIO, "%s: cannot be written: %s", writer->out.path, strerror(errno));
    writer->rows += count;
    return EGO_OK;
}

ego_err ego_npy_writer_commit(ego_npy_writer *writer) {
    ego_err err = EGO_OK;
    ego_tensor all;
    EGO_TRY_OUT(written_shape(writer, &all));
    if (fseek(writer->out.stream, 0, SEEK_SET) != 0)
        EGO_TRY_OUT(ego_fail(EGO_EIO, "%s: %s", writer->out.path, strerror(errno)));
    EGO_TRY_OUT(write_header(writer->out.stream, writer->out.path, &all));
    err = ego_outfile_commit(&writer->out);
out:
    ego_npy_writer_abort(writer);
    return err;
}

void ego_npy_writer_abort(ego_npy_writer *writer) { ego_outfile_abort(&writer->out); }
