#include "format/pickled.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The parts of an array before they are checked. */
typedef struct parts {
    const ego_pickle_value *shape, *dtype, *elements;
    bool column_major;
} parts;

/* numpy 2 moved numpy.core to numpy._core. */
static bool is_numpy(const ego_pickle_value *callee, const char *name) {
    char full[64];
    static const char *const homes[] = {"numpy.core", "numpy._core"};
    for (size_t i = 0; i < sizeof homes / sizeof *homes; i++) {
        snprintf(full, sizeof full, "%s.%s", homes[i], name);
        if (ego_pickle_is_global(callee, full)) return true;
    }
    return false;
}

static ego_err take_apart(const ego_pickle_value *value, parts *p) {
    bool object = value && value->kind == EGO_PICKLE_OBJECT;
    if (object && is_numpy(value->callee, "multiarray._reconstruct")) {
        const ego_pickle_value *order = ego_pickle_element(value->state, 3);
        p->shape = ego_pickle_element(value->state, 1);
        p->dtype = ego_pickle_element(value->state, 2);
        p->elements = ego_pickle_element(value->state, 4);
        p->column_major = order && order->kind != EGO_PICKLE_NONE && order->integer != 0;
    } else if (object && is_numpy(value->callee, "numeric._frombuffer")) {
        p->elements = ego_pickle_element(value->args, 0);
        p->dtype = ego_pickle_element(value->args, 1);
        p->shape = ego_pickle_element(value->args, 2);
        p->column_major = ego_pickle_is_text(ego_pickle_element(value->args, 3), "F");
    } else {
        return ego_fail(EGO_EFORMAT, "a NumPy array expected, found %s", ego_pickle_type(value));
    }
    if (p->shape && p->dtype && p->elements) return EGO_OK;
    return ego_fail(EGO_EFORMAT, "a NumPy array without shape, dtype or elements");
}

/* numpy.dtype('f8', …) with the state (3, '<', …). */
static ego_err read_dtype(const ego_pickle_value *value, ego_dtype *dtype) {
    const ego_pickle_value *name = NULL, *order = NULL;
    if (value->kind == EGO_PICKLE_OBJECT && ego_pickle_is_global(value->callee, "numpy.dtype")) {
        name = ego_pickle_element(value->args, 0);
        order = ego_pickle_element(value->state, 1);
    }
    if (ego_pickle_is_text(order, ">"))
        return ego_fail(EGO_EUNSUPPORTED, "little-endian elements expected, found big-endian ones");
    if (ego_pickle_is_text(name, "f4")) return *dtype = EGO_F32, EGO_OK;
    if (ego_pickle_is_text(name, "f8")) return *dtype = EGO_F64, EGO_OK;
    bool text = name && name->kind == EGO_PICKLE_STRING;
    return ego_fail(EGO_EUNSUPPORTED, "elements f4 or f8 expected, found %.*s",
                    text ? (int)(name->text.length < 20 ? name->text.length : 20) : 9,
                    text ? name->text.bytes : "something");
}

static ego_err read_shape(const ego_pickle_value *tuple, ego_pickled *array, size_t *bytes) {
    if (tuple->kind != EGO_PICKLE_TUPLE || tuple->count > EGO_MAX_DIMS)
        return ego_fail(EGO_EFORMAT, "a shape of at most %d numbers expected, found %s of %zu",
                        EGO_MAX_DIMS, ego_pickle_type(tuple), tuple->count);
    for (const ego_pickle_item *x = tuple->first; x; x = x->next)
        if (!ego_pickle_integer(x->value, &array->shape[array->ndim++]))
            return ego_fail(EGO_EFORMAT, "a shape of whole numbers expected, found %s in it",
                            ego_pickle_type(x->value));
    char text[EGO_SHAPE_TEXT];
    if (ego_shape_bytes(array->shape, array->ndim, array->dtype, bytes)) return EGO_OK;
    return ego_fail(EGO_EFORMAT, "impossible shape %s",
                    ego_shape_text(array->shape, array->ndim, text));
}

/* Text whose characters, all below 256, are the bytes meant. */
static ego_err decode_latin1(const ego_pickle_value *text, size_t bytes, ego_arena *arena,
                             const uint8_t **data) {
    uint8_t *out = bytes <= text->text.length ? ego_arena_alloc(arena, bytes + 1) : NULL;
    size_t at = 0, n = 0;
    if (bytes > text->text.length)
        return ego_fail(EGO_EFORMAT, "%zu bytes of elements expected, found %zu", bytes,
                        text->text.length);
    if (!out) return ego_fail(EGO_ENOMEM, "out of memory for %zu bytes", bytes);
    while (at < text->text.length && n < bytes) {
        uint32_t c = 0;
        size_t width = ego_utf8_decode(text->text.bytes + at, text->text.length - at, &c);
        if (!width || c > 255) break;
        out[n++] = (uint8_t)c;
        at += width;
    }
    if (n != bytes || at != text->text.length)
        return ego_fail(EGO_EFORMAT, "%zu bytes of elements expected, found text of other length",
                        bytes);
    *data = out;
    return EGO_OK;
}

static ego_err read_elements(const ego_pickle_value *value, size_t bytes, ego_arena *arena,
                             const uint8_t **data) {
    if (value->kind == EGO_PICKLE_OBJECT && value->callee &&
        (ego_pickle_is_global(value->callee, "_codecs.encode") ||
         ego_pickle_is_global(value->callee, "codecs.encode"))) {
        const ego_pickle_value *text = ego_pickle_element(value->args, 0);
        if (text && text->kind == EGO_PICKLE_STRING) return decode_latin1(text, bytes, arena, data);
    }
    /* bytearray(…) and the like, written in band */
    if (value->kind == EGO_PICKLE_OBJECT && value->args &&
        (ego_pickle_is_global(value->callee, "builtins.bytearray") ||
         ego_pickle_is_global(value->callee, "__builtin__.bytearray")))
        value = ego_pickle_element(value->args, 0);
    if (!value || (value->kind != EGO_PICKLE_BYTES && value->kind != EGO_PICKLE_STRING))
        return ego_fail(EGO_EFORMAT, "bytes of elements expected, found %s",
                        ego_pickle_type(value));
    if (value->text.length != bytes)
        return ego_fail(EGO_EFORMAT, "%zu bytes of elements expected, found %zu", bytes,
                        value->text.length);
    *data = (const uint8_t *)value->text.bytes;
    return EGO_OK;
}

ego_err ego_pickled_array(const ego_pickle_value *value, ego_arena *arena, ego_pickled *out) {
    ego_pickled array = {0};
    parts p = {0};
    size_t bytes;
    EGO_TRY(take_apart(value, &p));
    EGO_TRY(read_dtype(p.dtype, &array.dtype));
    EGO_TRY(read_shape(p.shape, &array, &bytes));
    EGO_TRY(read_elements(p.elements, bytes, arena, &array.data));
    array.column_major = p.column_major;
    *out = array;
    return EGO_OK;
}

/* ---- names and dicts ----------------------------------------------------------------------------- */

static ego_err read_name(const ego_pickle_value *value, ego_arena *arena, const char **name) {
    char number[24];
    const char *text = number;
    size_t n;
    if (value && value->kind == EGO_PICKLE_STRING) {
        text = value->text.bytes;
        n = value->text.length;
    } else if (value && value->kind == EGO_PICKLE_INT) {
        n = (size_t)snprintf(number, sizeof number, "%" PRId64, value->integer);
    } else {
        return ego_fail(EGO_EFORMAT, "text or whole numbers expected, found %s",
                        ego_pickle_type(value));
    }
    char *copy = ego_arena_alloc(arena, n + 1);
    if (!copy) return ego_fail(EGO_ENOMEM, "out of memory for names");
    memcpy(copy, text, n);
    copy[n] = 0;
    *name = copy;
    return EGO_OK;
}

ego_err ego_pickled_names(const ego_pickle_value *value, ego_arena *arena,
                          const char *const **names, size_t *count) {
    parts p = {0};
    if (value && value->kind == EGO_PICKLE_OBJECT) {
        EGO_TRY(take_apart(value, &p));
        value = p.elements;
    }
    if (!value || (value->kind != EGO_PICKLE_LIST && value->kind != EGO_PICKLE_TUPLE))
        return ego_fail(EGO_EFORMAT, "a list of names expected, found %s", ego_pickle_type(value));
    const char **out = ego_arena_alloc(arena, (value->count + 1) * sizeof *out);
    if (!out) return ego_fail(EGO_ENOMEM, "out of memory for %zu names", value->count);
    size_t n = 0;
    for (const ego_pickle_item *x = value->first; x; x = x->next, n++)
        EGO_TRY(read_name(x->value, arena, &out[n]));
    *names = out;
    *count = n;
    return EGO_OK;
}

const ego_pickle_value *ego_pickled_member(const ego_pickle_value *dict, const char *key) {
    if (!dict || dict->kind != EGO_PICKLE_DICT) return NULL;
    const ego_pickle_value *found = NULL; /* the last of several, as in Python */
    for (const ego_pickle_item *x = dict->first; x; x = x->next)
        if (ego_pickle_is_text(x->key, key)) found = x->value;
    return found;
}
