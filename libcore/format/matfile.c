#include "format/matfile.h"

#include "base/file.h"
#include "format/reading.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    HEADER = 128,
    MAX_FILE = 1 << 28,
    MAX_UNPACKED = 1 << 26,
    MAX_VALUES = 1 << 21,
    ITEM_VALUES = 8, /* what an array within another counts for: its memory */
    MAX_NAME = 64,   /* MATLAB's own limit is 63 letters */
    FIRST_ROOM = 1 << 14
};

enum {
    INT8 = 1,
    UINT8,
    INT16,
    UINT16,
    INT32,
    UINT32,
    SINGLE,
    DOUBLE = 9,
    INT64 = 12,
    UINT64,
    MATRIX,
    COMPRESSED,
    UTF8,
    UTF16,
    UTF32
};
enum {
    CLASS_CELL = 1,
    CLASS_STRUCT,
    CLASS_OBJECT,
    CLASS_CHAR,
    CLASS_SPARSE,
    CLASS_DOUBLE,
    CLASS_UINT64 = 15
};
enum { FLAG_COMPLEX = 0x0800 };

typedef struct reader {
    const char *name;
    ego_arena *arena;
    ego__pack pack;
    bool swap;       /* the file's bytes are in the other order */
    size_t unpacked; /* bytes so far */
    size_t values;   /* of any kind so far */
    ego__list variables;
} reader;

/* Bytes of an element, and what follows it. */
typedef struct span {
    const uint8_t *at;
    size_t left;
} span;

typedef struct element {
    uint32_t type;
    span data;
} element;

/* ---- elements ------------------------------------------------------------------------------------ */

static uint64_t get(const reader *r, const uint8_t *p, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) value |= (uint64_t)p[i] << 8 * (r->swap ? bytes - 1 - i : i);
    return value;
}

static ego_err bad(const reader *r, const char *what) {
    return ego_fail(EGO_EFORMAT, "%s: not a MATLAB 5 file: %s", r->name, what);
}

/* Takes the next element off. */
static ego_err next(const reader *r, span *from, element *e) {
    if (from->left < 8) return bad(r, "an element is cut short");
    uint32_t word = (uint32_t)get(r, from->at, 4);
    size_t bytes = word >> 16, whole = 8, start = 4;
    e->type = word & 0xFFFF;
    if (!bytes) {
        e->type = word;
        bytes = (size_t)get(r, from->at + 4, 4);
        start = 8;
        if (bytes > from->left - 8) return bad(r, "an element is longer than what holds it");
        whole = 8 + (e->type == COMPRESSED ? bytes : (bytes + 7) / 8 * 8);
        if (whole > from->left) whole = from->left; /* the last may lack its padding */
    } else if (bytes > 4) {
        return bad(r, "a small element of more than 4 bytes");
    }
    e->data = (span){from->at + start, bytes};
    from->at += whole;
    from->left -= whole;
    return EGO_OK;
}

static ego_err expect(const reader *r, span *from, uint32_t type, const char *what, element *e) {
    EGO_TRY(next(r, from, e));
    return e->type == type ? EGO_OK : bad(r, what);
}

static size_t width_of(uint32_t type) {
    switch (type) {
    case INT8:
    case UINT8:
    case UTF8: return 1;
    case INT16:
    case UINT16:
    case UTF16: return 2;
    case INT32:
    case UINT32:
    case SINGLE:
    case UTF32: return 4;
    case DOUBLE:
    case INT64:
    case UINT64: return 8;
    default: return 0;
    }
}

static double number(const reader *r, uint32_t type, const uint8_t *p) {
    uint64_t bits = get(r, p, width_of(type));
    uint32_t half = (uint32_t)bits;
    float f;
    double d;
    switch (type) {
    case INT8: return (int8_t)bits;
    case INT16: return (int16_t)bits;
    case INT32: return (int32_t)bits;
    case INT64: return (double)(int64_t)bits;
    case SINGLE: return memcpy(&f, &half, sizeof f), (double)f;
    case DOUBLE: return memcpy(&d, &bits, sizeof d), d;
    default: return (double)bits;
    }
}

/* ---- arrays -------------------------------------------------------------------------------------- */

static ego_err read_matrix(reader *r, span data, int depth, ego_mat *m);

static ego_err count_values(reader *r, size_t n) {
    if (n > MAX_VALUES - r->values)
        return ego_fail(EGO_EUNSUPPORTED, "%s: more than %d values", r->name, MAX_VALUES);
    r->values += n;
    return EGO_OK;
}

static ego_err read_numbers(reader *r, span *from, ego_mat *m) {
    element e;
    EGO_TRY(next(r, from, &e));
    size_t width = width_of(e.type);
    if (!width || e.data.left % width || e.data.left / width != m->count)
        return bad(r, "an array with more or fewer numbers than its dimensions say");
    EGO_TRY(count_values(r, m->count));
    double *numbers =
        ego__pack_alloc(&r->pack, (m->count ? m->count : 1) * sizeof *numbers, sizeof *numbers);
    if (!numbers) return ego__no_memory();
    for (size_t i = 0; i < m->count; i++) numbers[i] = number(r, e.type, e.data.at + i * width);
    m->numbers = numbers;
    return EGO_OK;
}

/* n arrays one after the other; each takes 8 bytes at least, so n cannot be made up. */
static ego_err read_items(reader *r, span *from, size_t n, int depth, ego_mat *m) {
    if (n > from->left / 8) return bad(r, "more cells or fields than there are bytes");
    EGO_TRY(count_values(r, ITEM_VALUES * n));
    ego_mat *items = ego__pack_alloc(&r->pack, (n ? n : 1) * sizeof *items, sizeof(void *));
    if (!items) return ego__no_memory();
    for (size_t i = 0; i < n; i++) {
        element e;
        EGO_TRY(expect(r, from, MATRIX, "a cell or field that is no array", &e));
        EGO_TRY(read_matrix(r, e.data, depth + 1, &items[i]));
    }
    m->items = items;
    return EGO_OK;
}

static ego_err read_structs(reader *r, span *from, int depth, ego_mat *m) {
    element length, names;
    size_t each, n;
    EGO_TRY(expect(r, from, INT32, "the length of field names is missing", &length));
    EGO_TRY(expect(r, from, INT8, "the names of fields are missing", &names));
    each = length.data.left == 4 ? (size_t)get(r, length.data.at, 4) : 0;
    if (each < 1 || each > MAX_NAME || names.data.left % each)
        return bad(r, "names of fields of no good length");
    m->n_fields = names.data.left / each;
    if (__builtin_mul_overflow(m->count, m->n_fields, &n)) return bad(r, "too many fields");
    EGO_TRY(count_values(r, m->n_fields));
    const char **fields =
        ego__pack_alloc(&r->pack, (m->n_fields + 1) * sizeof *fields, sizeof *fields);
    if (!fields) return ego__no_memory();
    for (size_t i = 0; i < m->n_fields; i++) {
        const char *name = (const char *)names.data.at + i * each;
        const char *end = memchr(name, 0, each);
        fields[i] = ego__pack_text(&r->pack, name, end ? (size_t)(end - name) : each);
        if (!fields[i]) return ego__no_memory();
    }
    m->fields = fields;
    return read_items(r, from, n, depth, m);
}

static ego_err read_shape(const reader *r, span data, ego_mat *m) {
    if (data.left % 4 || data.left < 8 || data.left > 4 * EGO_MAT_MAX_DIMS)
        return bad(r, "an array of fewer than 2 or more than 8 dimensions");
    m->ndim = (int)(data.left / 4);
    m->count = 1;
    for (int i = 0; i < m->ndim; i++) {
        m->shape[i] = (uint32_t)get(r, data.at + 4 * i, 4);
        if (m->shape[i] > INT32_MAX ||
            __builtin_mul_overflow(m->count, (size_t)m->shape[i], &m->count))
            return bad(r, "an array larger than can be");
    }
    return EGO_OK;
}

static ego_err refuse(const reader *r, unsigned class) {
    return ego_fail(EGO_EUNSUPPORTED, "%s: a MATLAB %s is not read here", r->name,
                    class == CLASS_SPARSE   ? "sparse array"
                    : class == CLASS_OBJECT ? "object"
                    : class == 0            ? "array with imaginary parts"
                                            : "function or object of another kind");
}

static ego_err read_matrix(reader *r, span data, int depth, ego_mat *m) {
    element flags, shape, name;
    *m = (ego_mat){.name = ""};
    if (depth > EGO_MAT_MAX_DEPTH) return bad(r, "more than 16 levels");
    if (data.left == 0) { /* an empty cell */
        m->ndim = 2;
        return EGO_OK;
    }
    EGO_TRY(expect(r, &data, UINT32, "an array without flags", &flags));
    if (flags.data.left != 8) return bad(r, "an array without flags");
    uint32_t word = (uint32_t)get(r, flags.data.at, 4);
    unsigned class = word & 0xFF;
    EGO_TRY(expect(r, &data, INT32, "an array without dimensions", &shape));
    EGO_TRY(read_shape(r, shape.data, m));
    EGO_TRY(expect(r, &data, INT8, "an array without a name", &name));
    if (name.data.left &&
        !(m->name = ego__pack_text(&r->pack, (const char *)name.data.at, name.data.left)))
        return ego__no_memory();
    if (word & FLAG_COMPLEX) return refuse(r, 0);
    m->kind = class == CLASS_CELL     ? EGO_MAT_CELLS
              : class == CLASS_STRUCT ? EGO_MAT_STRUCTS
              : class == CLASS_CHAR   ? EGO_MAT_TEXT
                                      : EGO_MAT_NUMBERS;
    if (class == CLASS_CELL) return read_items(r, &data, m->count, depth, m);
    if (class == CLASS_STRUCT) return read_structs(r, &data, depth, m);
    if (class == CLASS_CHAR || (class >= CLASS_DOUBLE && class <= CLASS_UINT64))
        return read_numbers(r, &data, m);
    return refuse(r, class);
}

/* ---- the file ------------------------------------------------------------------------------------ */

/* zlib's stream, as far as it goes within the bounds; on the heap, the caller's. */
static ego_err inflate_all(reader *r, span packed, uint8_t **out, size_t *n) {
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)packed.at, .avail_in = (uInt)packed.left};
    size_t room = 0;
    int rc = Z_OK;
    *out = NULL;
    *n = 0;
    if (inflateInit(&z) != Z_OK) return ego__no_memory();
    while (rc == Z_OK) {
        size_t more = room ? room : FIRST_ROOM;
        if (more > MAX_UNPACKED - r->unpacked) break;
        uint8_t *grown = realloc(*out, room + more);
        if (!grown) rc = Z_MEM_ERROR;
        if (!grown) break;
        *out = grown;
        z.next_out = grown + room;
        z.avail_out = (uInt)more;
        rc = inflate(&z, Z_NO_FLUSH);
        room += more;
        r->unpacked += more;
        *n = room - z.avail_out;
        if (rc == Z_OK && z.avail_out) rc = Z_DATA_ERROR; /* it ends before its end */
    }
    inflateEnd(&z);
    if (rc == Z_STREAM_END) return EGO_OK;
    free(*out);
    *out = NULL;
    if (rc == Z_MEM_ERROR) return ego__no_memory();
    return rc == Z_OK ? ego_fail(EGO_EUNSUPPORTED, "%s: more than %d bytes unpacked", r->name,
                                 MAX_UNPACKED)
                      : bad(r, "a compressed element is damaged");
}

static ego_err add_variable(reader *r, const element *e) {
    if (e->type != MATRIX) return EGO_OK; /* what MATLAB puts beside the variables */
    EGO_TRY(count_values(r, 1));
    ego_mat *m = ego__list_add(&r->variables);
    return m ? read_matrix(r, e->data, 0, m) : ego__no_memory();
}

static ego_err add_compressed(reader *r, span packed) {
    uint8_t *bytes;
    size_t n;
    element e;
    EGO_TRY(inflate_all(r, packed, &bytes, &n));
    span whole = {bytes, n};
    ego_err err = next(r, &whole, &e);
    if (err == EGO_OK) err = add_variable(r, &e);
    free(bytes);
    return err;
}

static ego_err read_header(reader *r, span *file) {
    static const char hdf[] = "MATLAB 7.3";
    if (file->left < HEADER) return bad(r, "shorter than its header");
    if (memcmp(file->at, hdf, sizeof hdf - 1) == 0)
        return ego_fail(EGO_EUNSUPPORTED, "%s: MATLAB 7.3 (HDF5); save it with -v7", r->name);
    bool little = memcmp(file->at + 126, "IM", 2) == 0, big = memcmp(file->at + 126, "MI", 2) == 0;
    r->swap = big;
    if (!little && !big) return bad(r, "no byte order mark at 126");
    if (get(r, file->at + 124, 2) != 0x0100) return bad(r, "version 0x0100 expected");
    file->at += HEADER;
    file->left -= HEADER;
    return EGO_OK;
}

ego_err ego_mat_parse(const uint8_t *data, size_t n, const char *name, ego_arena *arena,
                      ego_mat_file *out) {
    reader r = {.name = name,
                .arena = arena,
                .pack = {arena, NULL, 0},
                .variables = {.size = sizeof(ego_mat)}};
    span file = {data, n};
    void *items = NULL;
    ego_err err = ego__check_size(n, MAX_FILE, name);
    if (err == EGO_OK) err = read_header(&r, &file);
    while (err == EGO_OK && file.left) {
        element e;
        err = next(&r, &file, &e);
        if (err == EGO_OK)
            err = e.type == COMPRESSED ? add_compressed(&r, e.data) : add_variable(&r, &e);
    }
    size_t count = r.variables.count;
    if (err == EGO_OK) err = ego__list_finish(&r.variables, arena, &items);
    ego__list_release(&r.variables);
    if (err == EGO_OK) *out = (ego_mat_file){items, count};
    return err;
}

static ego_err parse_text(const char *text, size_t n, const char *name, ego_arena *arena,
                          ego_mat_file *out) {
    return ego_mat_parse((const uint8_t *)text, n, name, arena, out);
}

ego_err ego_mat_read(const char *path, ego_arena *arena, ego_mat_file *out) {
    EGO__READ(path, parse_text, arena, out);
}

const ego_mat *ego_mat_find(const ego_mat_file *file, const char *name) {
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->variables[i].name, name) == 0) return &file->variables[i];
    return NULL;
}

const ego_mat *ego_mat_field(const ego_mat *m, size_t i, const char *name) {
    if (!m || m->kind != EGO_MAT_STRUCTS || i >= m->count) return NULL;
    for (size_t f = 0; f < m->n_fields; f++)
        if (strcmp(m->fields[f], name) == 0) return &m->items[i * m->n_fields + f];
    return NULL;
}
