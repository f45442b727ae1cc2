#include "format/reading.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- files ---- */

ego_err ego__source_open(const char *path, ego__source *source) {
    struct stat info;
    *source = (ego__source){0};
    if (strcmp(path, "-") == 0 || stat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
        ego_err err = ego_read_file(path, EGO_ANNOTATIONS_MAX_BYTES, &source->buf);
        if (err != EGO_OK) ego_buf_release(&source->buf);
        source->text = source->buf.data ? source->buf.data : "";
        source->n = source->buf.len;
        return err;
    }
    EGO_TRY(ego_map_open(path, &source->map));
    source->text = (const char *)source->map.data;
    source->n = source->map.size;
    return EGO_OK;
}

void ego__source_close(ego__source *source) {
    ego_map_close(&source->map);
    ego_buf_release(&source->buf);
}

ego_err ego__check_size(size_t n, size_t most, const char *name) {
    if (n <= most) return EGO_OK;
    return ego_fail(EGO_EFORMAT, "%s: at most %zu bytes expected, found %zu", name, most, n);
}

ego_err ego__parse_json(const char *text, size_t n, const char *name, bool array, ego_json **root) {
    ego_json *tree = NULL;
    EGO_TRY(ego__check_size(n, EGO_ANNOTATIONS_MAX_JSON, name));
    ego_err err = ego_json_parse(text, n, &tree);
    if (err != EGO_OK) return ego_fail_context(err, "%s", name);
    if (array ? ego_json_is_array(tree) : ego_json_is_object(tree)) return *root = tree, EGO_OK;
    err = ego_fail(EGO_EFORMAT, "%s: %s expected, found %s", name, array ? "an array" : "an object",
                   ego_json_kind(tree));
    ego_json_free(tree);
    return err;
}

/* ---- memory ---- */

enum { PACK_BYTES = 1 << 16 };

ego_err ego__no_memory(void) { return ego_fail(EGO_ENOMEM, "out of memory for annotations"); }

void *ego__pack_alloc(ego__pack *pack, size_t bytes, size_t align) {
    if (bytes == 0) bytes = 1;
    size_t padding =
        pack->left % align; /* pieces begin aligned and have a size divisible by align */
    if (padding + bytes > pack->left || bytes > PACK_BYTES) {
        if (bytes > PACK_BYTES / 4) return ego_arena_alloc(pack->arena, bytes);
        pack->at = ego_arena_alloc(pack->arena, PACK_BYTES);
        pack->left = pack->at ? PACK_BYTES : 0;
        padding = 0;
        if (!pack->at) return NULL;
    }
    void *piece = pack->at + padding;
    pack->at += padding + bytes;
    pack->left -= padding + bytes;
    return piece;
}

char *ego__pack_text(ego__pack *pack, const char *text, size_t n) {
    char *copy = ego__pack_alloc(pack, n + 1, 1);
    if (!copy) return NULL;
    memcpy(copy, text, n);
    copy[n] = 0;
    return copy;
}

ego_err ego__pack_string(ego__pack *pack, const char *text, const char **out) {
    const char *copy = ego__pack_text(pack, text, strlen(text));
    if (!copy) return ego__no_memory();
    *out = copy;
    return EGO_OK;
}

void *ego__list_add(ego__list *list) {
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap + list->cap / 2 : 16, bytes;
        if (__builtin_mul_overflow(cap, list->size, &bytes)) return NULL;
        void *items = realloc(list->items, bytes);
        if (!items) return NULL;
        list->items = items;
        list->cap = cap;
    }
    return memset((char *)list->items + list->count++ * list->size, 0, list->size);
}

ego_err ego__list_finish(ego__list *list, ego_arena *arena, void **items) {
    size_t bytes = list->count * list->size;
    void *copy = bytes ? ego_arena_alloc(arena, bytes) : NULL;
    if (bytes && !copy) return ego__no_memory();
    if (bytes) memcpy(copy, list->items, bytes);
    ego__list_release(list);
    *items = copy;
    return EGO_OK;
}

void ego__list_release(ego__list *list) {
    free(list->items);
    list->items = NULL;
    list->count = list->cap = 0;
}

/* ---- values ---- */

bool ego__parse_index(const char *text, size_t n, uint64_t most, uint64_t *value) {
    uint64_t number = 0;
    if (n == 0) return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        if (__builtin_mul_overflow(number, 10u, &number)) return false;
        if (__builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number)) return false;
    }
    if (number > most) return false;
    *value = number;
    return true;
}

static const char *skip_blanks(const char *p) { return p + strspn(p, " \t"); }

ego_err ego__parse_tags(ego__pack *pack, const char *text, unsigned limit, ego_tags *tags) {
    size_t most = 1, count = 0;
    for (const char *p = text; *p; p++) most += *p == ',';
    uint16_t *ids = ego__pack_alloc(pack, most * sizeof *ids, sizeof *ids);
    if (!ids) return ego__no_memory();
    const char *p = skip_blanks(text);
    bool opened = *p == '[', good = opened;
    p = skip_blanks(p + opened);
    while (good && *p != ']') {
        size_t digits = strspn(p, "0123456789");
        uint64_t id = 0;
        good = ego__parse_index(p, digits, limit - 1, &id);
        if (!good) break;
        ids[count++] = (uint16_t)id;
        p = skip_blanks(p + digits);
        if (*p == ',')
            p = skip_blanks(p + 1);
        else
            good = *p == ']';
    }
    if (!good || *skip_blanks(p + 1))
        return ego_fail(EGO_EFORMAT, "a list [i, …] of numbers below %u expected, found '%.60s'",
                        limit, text);
    *tags = (ego_tags){ids, count};
    return EGO_OK;
}

bool ego__next_line(const char *text, size_t n, size_t *at, const char **line, size_t *length) {
    if (*at >= n) return false;
    *line = text + *at;
    const char *end = memchr(*line, '\n', n - *at);
    *length = end ? (size_t)(end - *line) : n - *at;
    *at += *length + 1;
    if (*length && (*line)[*length - 1] == '\r') --*length;
    return true;
}

/* ---- JSON members ---- */

ego_err ego__expected(const char *key, const char *what, const ego_json *found) {
    return ego_fail(EGO_EFORMAT, "'%.60s': %s expected, found %s", key, what, ego_json_kind(found));
}

ego_err ego__member_string(const ego_json *object, const char *key, ego__pack *pack,
                           const char **value) {
    const ego_json *member = ego_json_get(object, key);
    const char *text;
    if (!ego_json_string(member, &text)) return ego__expected(key, "a string", member);
    return ego__pack_string(pack, text, value);
}

ego_err ego__member_number(const ego_json *object, const char *key, double *value) {
    const ego_json *member = ego_json_get(object, key);
    double number;
    if (!ego_json_number(member, &number) || !isfinite(number))
        return ego__expected(key, "a finite number", member);
    *value = number;
    return EGO_OK;
}

ego_err ego__optional_string(const ego_json *object, const char *key, ego__pack *pack,
                             const char **value) {
    const ego_json *member = ego_json_get(object, key);
    *value = NULL;
    if (!member || ego_json_is_null(member)) return EGO_OK;
    return ego__member_string(object, key, pack, value);
}

ego_err ego__optional_number(const ego_json *object, const char *key, double *value) {
    const ego_json *member = ego_json_get(object, key);
    *value = NAN;
    if (!member || ego_json_is_null(member)) return EGO_OK;
    return ego__member_number(object, key, value);
}

ego_err ego__member_index(const ego_json *object, const char *key, int64_t most, int64_t *value) {
    const ego_json *member = ego_json_get(object, key);
    int64_t number = 0;
    if (!ego_json_integer(member, &number)) return ego__expected(key, "a whole number", member);
    if (number < 0 || number > most)
        return ego_fail(EGO_EFORMAT, "'%s': a whole number from 0 to %lld expected, found %lld",
                        key, (long long)most, (long long)number);
    *value = number;
    return EGO_OK;
}

ego_err ego__member_array(const ego_json *object, const char *key, const ego_json **member) {
    const ego_json *found = ego_json_get(object, key);
    *member = NULL;
    if (!found || ego_json_is_null(found)) return EGO_OK;
    if (!ego_json_is_array(found)) return ego__expected(key, "an array", found);
    *member = found;
    return EGO_OK;
}

ego_err ego__member_object(const ego_json *object, const char *key, const ego_json **member) {
    const ego_json *found = ego_json_get(object, key);
    *member = NULL;
    if (!found || ego_json_is_null(found)) return EGO_OK;
    if (!ego_json_is_object(found)) return ego__expected(key, "an object", found);
    *member = found;
    return EGO_OK;
}

ego_err ego__member_strings(const ego_json *object, const char *key, ego__pack *pack,
                            const char *const **values, size_t *count) {
    const ego_json *array;
    EGO_TRY(ego__member_array(object, key, &array));
    size_t n = ego_json_count(array), i = 0;
    const char **texts = ego__pack_alloc(pack, n * sizeof *texts, sizeof *texts);
    if (!texts) return ego__no_memory();
    for (const ego_json *x = ego_json_first(array); x; x = ego_json_next(x), i++) {
        const char *text;
        if (!ego_json_string(x, &text)) return ego__expected(key, "an array of strings", x);
        EGO_TRY(ego__pack_string(pack, text, &texts[i]));
    }
    *values = texts;
    *count = n;
    return EGO_OK;
}
