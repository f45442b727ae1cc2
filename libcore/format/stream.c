#include "format/stream.h"

#include "base/buf.h"
#include "base/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ALIGN = 64, READ_BLOCK = 1 << 20, MAX_MEMBERS = 64 };

struct ego_stream {
    char *name;
    FILE *in;       /* of a pipe; NULL for a map */
    bool closes_in; /* we opened it */
    bool owns_map;
    ego_map map;
    size_t at; /* in the map */
    uint64_t offset, number;
    bool cut;         /* the latest error is an end in the middle of a record */
    ego_buf line;     /* the header line */
    ego_json *json;   /* the same, parsed */
    ego_buf elements; /* of the latest record from a pipe */
    ego_arena arena;  /* elements that were not aligned in the map */
};

/* ---- opening ------------------------------------------------------------------------------------- */

static ego_err new_stream(const char *name, ego_stream **stream) {
    ego_stream *s = calloc(1, sizeof *s);
    if (s) s->name = strdup(name);
    if (!s || !s->name) {
        free(s);
        return ego_fail(EGO_ENOMEM, "%s: out of memory", name);
    }
    ego_arena_init(&s->arena, 0);
    *stream = s;
    return EGO_OK;
}

ego_err ego_stream_open(const char *path, ego_stream **stream) {
    ego_stream *s;
    struct stat st;
    bool standard = strcmp(path, "-") == 0;
    EGO_TRY(new_stream(standard ? "stdin" : path, &s));
    ego_err err = EGO_OK;
    if (standard) {
        s->in = stdin;
    } else if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        err = ego_map_open(path, &s->map);
        s->owns_map = err == EGO_OK;
    } else if ((s->in = fopen(path, "rbe"))) {
        s->closes_in = true;
    } else {
        err = ego_fail(EGO_EIO, "%s: %s", path, strerror(errno));
    }
    if (err != EGO_OK)
        ego_stream_close(s);
    else
        *stream = s;
    return err;
}

ego_err ego_stream_open_pipe(FILE *in, const char *name, ego_stream **stream) {
    EGO_TRY(new_stream(name, stream));
    (*stream)->in = in;
    return EGO_OK;
}

ego_err ego_stream_open_feed(const char *name, ego_stream **stream) {
    return new_stream(name, stream);
}

void ego_stream_feed(ego_stream *stream, const uint8_t *data, size_t size) {
    stream->map = (ego_map){data, size};
    stream->at = 0;
    stream->cut = false;
}

bool ego_stream_was_cut(const ego_stream *stream) { return stream->cut; }

ego_err ego__stream_open_memory(const uint8_t *data, size_t size, ego_stream **stream) {
    EGO_TRY(new_stream("memory", stream));
    (*stream)->map = (ego_map){data, size};
    return EGO_OK;
}

void ego_stream_close(ego_stream *stream) {
    if (!stream) return;
    if (stream->closes_in) fclose(stream->in);
    if (stream->owns_map) ego_map_close(&stream->map);
    ego_json_free(stream->json);
    ego_buf_release(&stream->line);
    ego_buf_release(&stream->elements);
    ego_arena_release(&stream->arena);
    free(stream->name);
    free(stream);
}

bool ego_stream_is_mapped(const ego_stream *stream) { return stream->in == NULL; }

/* ---- reading ------------------------------------------------------------------------------------- */

static ego_err read_error(const ego_stream *s) {
    return ego_fail(EGO_EIO, "%s: %s", s->name, strerror(errno));
}

static ego_err line_too_long(void) {
    return ego_fail(EGO_EFORMAT, "no end of the JSON line within %d bytes", EGO_STREAM_MAX_HEADER);
}

static ego_err not_a_header(void) {
    return ego_fail(EGO_EFORMAT, "expected a line of JSON from '{' on: not a stream, or damaged");
}

static ego_err line_cut(ego_stream *s, char first, size_t found) {
    if (first != '{') return not_a_header();
    s->cut = true;
    return ego_fail(EGO_EFORMAT, "cut short after %zu bytes of its JSON line", found);
}

/* The line without its newline into s->line; EGO_EEND when the stream ended before it. */
static ego_err read_line_pipe(ego_stream *s) {
    int c = 0;
    ego_buf_clear(&s->line);
    flockfile(s->in);
    while (s->line.len < EGO_STREAM_MAX_HEADER && (c = getc_unlocked(s->in)) != EOF && c != '\n')
        ego_buf_char(&s->line, (char)c);
    funlockfile(s->in);
    EGO_TRY(ego_buf_err(&s->line));
    if (c == '\n') return EGO_OK;
    if (c != EOF) return line_too_long();
    if (ferror(s->in)) return read_error(s);
    return s->line.len ? line_cut(s, s->line.data[0], s->line.len) : EGO_EEND;
}

static ego_err read_line_map(ego_stream *s) {
    size_t left = s->map.size - s->at;
    size_t most = left < EGO_STREAM_MAX_HEADER ? left : EGO_STREAM_MAX_HEADER;
    const uint8_t *from = s->map.data + s->at, *end = left ? memchr(from, '\n', most) : NULL;
    if (!left) return EGO_EEND;
    if (!end)
        return left < EGO_STREAM_MAX_HEADER ? line_cut(s, (char)from[0], left) : line_too_long();
    ego_buf_clear(&s->line);
    ego_buf_append(&s->line, from, (size_t)(end - from));
    s->at += (size_t)(end - from) + 1;
    return ego_buf_err(&s->line);
}

static ego_err read_shape(const ego_json *list, ego_tensor *tensor) {
    if (!ego_json_is_array(list))
        return ego_fail(EGO_EFORMAT, "\"shape\": expected an array, found %s", ego_json_kind(list));
    for (const ego_json *x = ego_json_first(list); x; x = ego_json_next(x)) {
        int64_t n;
        if (tensor->ndim == EGO_MAX_DIMS)
            return ego_fail(EGO_EFORMAT, "\"shape\": more than %d dimensions", EGO_MAX_DIMS);
        if (!ego_json_integer(x, &n) || n < 0)
            return ego_fail(EGO_EFORMAT, "\"shape\": expected whole numbers from 0, found %s",
                            ego_json_kind(x));
        tensor->shape[tensor->ndim++] = n;
    }
    return EGO_OK;
}

static const struct {
    const char *name;
    ego_dtype dtype;
} dtypes[] = {{"f32", EGO_F32}, {"f16", EGO_F16}, {"i8", EGO_I8}};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

static ego_err read_dtype(const ego_json *json, ego_stream_record *record) {
    const char *name;
    const ego_json *dtype = ego_json_get(json, "dtype");
    if (!ego_json_string(dtype, &name))
        return ego_fail(EGO_EFORMAT, "\"dtype\": expected a string, found %s",
                        ego_json_kind(dtype));
    size_t i = 0;
    while (i < DTYPES && strcmp(name, dtypes[i].name) != 0) i++;
    if (i == DTYPES)
        return ego_fail(EGO_EFORMAT, "\"dtype\": expected f32, f16 or i8, found \"%.40s\"", name);
    record->tensor.dtype = dtypes[i].dtype;
    double scale = 1;
    if (record->tensor.dtype == EGO_I8 && !ego_json_number(ego_json_get(json, "scale"), &scale))
        return ego_fail(EGO_EFORMAT, "\"scale\": expected a number with dtype i8, found %s",
                        ego_json_kind(ego_json_get(json, "scale")));
    record->scale = (float)scale;
    return EGO_OK;
}

/* A string member; absent leaves *value NULL. */
static ego_err read_member(const ego_json *json, const char *key, bool required,
                           const char **value) {
    const ego_json *member = ego_json_get(json, key);
    if (!member && !required) return EGO_OK;
    if (!ego_json_string(member, value))
        return ego_fail(EGO_EFORMAT, "\"%s\": expected a string, found %s", key,
                        ego_json_kind(member));
    return EGO_OK;
}

/* The raw text of "id". */
static ego_err find_id(const ego_stream *s, ego_stream_record *record) {
    ego_json_span spans[MAX_MEMBERS];
    size_t n = ego_json_spans(s->line.data, s->line.len, spans, MAX_MEMBERS);
    for (size_t i = 0; i < n && i < MAX_MEMBERS; i++) {
        if (spans[i].key_bytes != 4 || memcmp(s->line.data + spans[i].key, "\"id\"", 4) != 0)
            continue;
        record->id = s->line.data + spans[i].value;
        record->id_bytes = spans[i].value_bytes;
        return EGO_OK;
    }
    return ego_fail(EGO_EFORMAT, "no \"id\" among the first %d members", MAX_MEMBERS);
}

/* s->line into *record; *bytes: of elements that follow. */
static ego_err read_header(ego_stream *s, ego_stream_record *record, size_t *bytes) {
    if (s->line.len == 0 || s->line.data[0] != '{') return not_a_header();
    ego_json_free(s->json);
    s->json = NULL;
    EGO_TRY(ego_json_parse(s->line.data, s->line.len, &s->json));
    *record = (ego_stream_record){.header = s->line.data,
                                  .header_bytes = s->line.len,
                                  .json = s->json,
                                  .number = s->number,
                                  .offset = s->offset,
                                  .scale = 1};
    EGO_TRY(find_id(s, record));
    EGO_TRY(read_member(s->json, "error", false, &record->error));
    bool required = !record->error;
    EGO_TRY(read_member(s->json, "part", required, &record->part));
    EGO_TRY(read_member(s->json, "model", required, &record->model));
    *bytes = 0;
    if (record->error) {
        record->tensor = (ego_tensor){.ndim = 1};
        return EGO_OK;
    }
    EGO_TRY(read_dtype(s->json, record));
    EGO_TRY(read_shape(ego_json_get(s->json, "shape"), &record->tensor));
    char text[EGO_SHAPE_TEXT];
    if (!ego_shape_bytes(record->tensor.shape, record->tensor.ndim, record->tensor.dtype, bytes) ||
        *bytes > EGO_STREAM_MAX_ELEMENTS)
        return ego_fail(EGO_EFORMAT, "shape %s is beyond the limit of %d bytes",
                        ego_shape_text(record->tensor.shape, record->tensor.ndim, text),
                        EGO_STREAM_MAX_ELEMENTS);
    return EGO_OK;
}

static ego_err elements_cut(ego_stream *s, size_t expected, size_t found) {
    s->cut = true;
    return ego_fail(EGO_EFORMAT, "cut short: %zu bytes of elements expected, %zu found", expected,
                    found);
}

/* Memory grows with what really arrives, not with what the header promises. */
static ego_err read_elements_pipe(ego_stream *s, size_t bytes, ego_tensor *tensor) {
    ego_buf_clear(&s->elements);
    static const char zeros[READ_BLOCK];
    while (s->elements.len < bytes) {
        size_t from = s->elements.len, n = bytes - from < READ_BLOCK ? bytes - from : READ_BLOCK;
        ego_buf_append(&s->elements, zeros, n);
        EGO_TRY(ego_buf_err(&s->elements));
        size_t got = fread(s->elements.data + from, 1, n, s->in);
        if (got == n) continue;
        if (ferror(s->in)) return read_error(s);
        return elements_cut(s, bytes, from + got);
    }
    tensor->data = s->elements.data ? s->elements.data : s->line.data;
    return EGO_OK;
}

static ego_err read_elements_map(ego_stream *s, size_t bytes, ego_tensor *tensor) {
    const uint8_t *data = s->map.data + s->at;
    if (bytes > s->map.size - s->at) return elements_cut(s, bytes, s->map.size - s->at);
    s->at += bytes;
    tensor->data = (void *)(uintptr_t)data; /* mapped read-only */
    if ((uintptr_t)data % ego_dtype_bytes(tensor->dtype) == 0) return EGO_OK;
    if (!(tensor->data = ego_arena_alloc(&s->arena, bytes)))
        return ego_fail(EGO_ENOMEM, "out of memory");
    memcpy(tensor->data, data, bytes);
    return EGO_OK;
}

static ego_err read_record(ego_stream *s, ego_stream_record *record) {
    size_t bytes = 0;
    EGO_TRY(s->in ? read_line_pipe(s) : read_line_map(s));
    EGO_TRY(read_header(s, record, &bytes));
    if (!record->error)
        EGO_TRY(s->in ? read_elements_pipe(s, bytes, &record->tensor)
                      : read_elements_map(s, bytes, &record->tensor));
    s->offset += s->line.len + 1 + bytes;
    return EGO_OK;
}

ego_err ego_stream_next(ego_stream *stream, ego_stream_record *record) {
    ego_stream_record next;
    stream->number++;
    ego_err err = read_record(stream, &next);
    if (err == EGO_OK) {
        *record = next;
    } else {
        stream->number--;
        if (err == EGO_EEND) return ego_fail(err, "%s: no more records", stream->name);
        ego_fail_context(err, "%s: record %" PRIu64 " at byte %" PRIu64, stream->name,
                         stream->number + 1, stream->offset);
    }
    return err;
}

void ego_stream_to_f32(const ego_stream_record *record, float *out) {
    size_t n = (size_t)ego_tensor_count(&record->tensor);
    ego_to_f32(record->tensor.data, record->tensor.dtype, out, n);
    if (record->tensor.dtype != EGO_I8) return;
    for (size_t i = 0; i < n; i++) out[i] *= record->scale;
}

ego_err ego_stream_whole(const char *path, uint64_t *bytes, uint64_t *records) {
    ego_stream *s;
    ego_stream_record record;
    EGO_TRY(ego_stream_open(path, &s));
    ego_err err = EGO_OK;
    while (err == EGO_OK) err = ego_stream_next(s, &record);
    if (err == EGO_EEND || s->cut) {
        *bytes = s->offset;
        *records = s->number;
        err = EGO_OK;
    }
    ego_stream_close(s);
    return err;
}

/* ---- writing ------------------------------------------------------------------------------------- */

static void append_member(ego_buf *line, const char *key, const char *value) {
    if (!value) return;
    ego_buf_json_key(line, key);
    ego_buf_json_string(line, value, strlen(value));
}

static ego_err append_tensor(ego_buf *line, const ego_stream_record *record, size_t *bytes) {
    const ego_tensor *t = &record->tensor;
    size_t i = 0;
    while (i < DTYPES && dtypes[i].dtype != t->dtype) i++;
    if (i == DTYPES)
        return ego_fail(EGO_EINPUT, "a stream holds f32, f16 or i8, not %s",
                        ego_dtype_name(t->dtype));
    if (!ego_shape_bytes(t->shape, t->ndim, t->dtype, bytes) || *bytes > EGO_STREAM_MAX_ELEMENTS)
        return ego_fail(EGO_EINPUT, "a stream's record holds at most %d bytes of elements",
                        EGO_STREAM_MAX_ELEMENTS);
    append_member(line, "dtype", dtypes[i].name);
    if (t->dtype == EGO_I8) {
        ego_buf_json_key(line, "scale");
        ego_buf_json_float(line, record->scale);
    }
    ego_buf_json_key(line, "shape");
    ego_buf_char(line, '[');
    for (int d = 0; d < t->ndim; d++) ego_buf_printf(line, "%s%" PRId64, d ? "," : "", t->shape[d]);
    ego_buf_char(line, ']');
    return EGO_OK;
}

static ego_err append_header(ego_buf *line, const ego_stream_record *record, const char *extra,
                             size_t *bytes) {
    ego_buf_text(line, "{\"id\":");
    ego_buf_append(line, record->id, record->id_bytes);
    append_member(line, "part", record->part);
    append_member(line, "model", record->model);
    append_member(line, "error", record->error);
    if (!record->error) EGO_TRY(append_tensor(line, record, bytes));
    if (extra && *extra) {
        ego_buf_char(line, ',');
        ego_buf_text(line, extra);
    }
    ego_buf_char(line, '}');
    while (!line->failed && (line->len + 1) % ALIGN) ego_buf_char(line, ' ');
    ego_buf_char(line, '\n');
    if (line->len > EGO_STREAM_MAX_HEADER)
        return ego_fail(EGO_EINPUT, "a record's members take %zu bytes, at most %d fit in a stream",
                        line->len, EGO_STREAM_MAX_HEADER);
    return ego_buf_err(line);
}

ego_err ego_stream_write(FILE *out, const ego_stream_record *record, const char *extra) {
    ego_buf line = {0};
    size_t bytes = 0;
    ego_err err = append_header(&line, record, extra, &bytes);
    if (err == EGO_OK && (fwrite(line.data, 1, line.len, out) != line.len ||
                          (bytes && fwrite(record->tensor.data, 1, bytes, out) != bytes)))
        err = ego_fail(EGO_EIO, "the stream cannot be written: %s", strerror(errno));
    ego_buf_release(&line);
    return err;
}
