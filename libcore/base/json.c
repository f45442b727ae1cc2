#include "base/json.h"

#include "base/buf.h"
#include "base/file.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

/* ego_json is cJSON by another name, so that nothing above this file includes cJSON's header. */
static const cJSON *node_of(const ego_json *node) { return (const cJSON *)(const void *)node; }
static const ego_json *json_of(const cJSON *node) { return (const ego_json *)(const void *)node; }

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* How long the byte order mark at the start is: 3 or 0. */
static size_t mark_bytes(const char *text, size_t n) {
    return n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
}

static size_t skip_digits(const char *text, size_t n, size_t i) {
    while (i < n && is_digit(text[i])) i++;
    return i;
}

/* The offset behind the number that starts at i; i when it is none by RFC 8259. */
static size_t number_end(const char *text, size_t n, size_t i) {
    size_t start = i, digits = i + (text[i] == '-');
    i = skip_digits(text, n, digits);
    if (i == digits || (text[digits] == '0' && i - digits > 1)) return start;
    if (i < n && text[i] == '.') {
        digits = i + 1;
        i = skip_digits(text, n, digits);
        if (i == digits) return start;
    }
    if (i < n && (text[i] == 'e' || text[i] == 'E')) {
        digits = i + 1;
        if (digits < n && (text[digits] == '+' || text[digits] == '-')) digits++;
        i = skip_digits(text, n, digits);
        if (i == digits) return start;
    }
    return i;
}

/* Moves *i from a string's first quote to behind its last (to n when it does not end). */
static ego_err skip_string(const char *text, size_t n, size_t *i) {
    for (++*i; *i < n && text[*i] != '"'; ++*i) {
        if ((unsigned char)text[*i] < 0x20)
            return ego_fail(EGO_EFORMAT, "JSON: byte 0x%02x inside a string at offset %zu",
                            (unsigned char)text[*i], *i);
        if (text[*i] != '\\') continue;
        if (n - *i > 5 && memcmp(text + *i, "\\u0000", 6) == 0)
            return ego_fail(EGO_EFORMAT, "JSON: \\u0000 at offset %zu is not supported", *i);
        if (++*i == n) return EGO_OK;
    }
    if (*i < n) ++*i;
    return EGO_OK;
}

/* What cJSON would take and we do not: it recurses per level, ends strings at NUL, lets control characters
 * pass as white space and in strings, and numbers that no other program reads. */
static ego_err check_bounds(const char *text, size_t n) {
    size_t depth = 0, i = mark_bytes(text, n);
    while (i < n) {
        char c = text[i];
        if (c == '"') {
            EGO_TRY(skip_string(text, n, &i));
        } else if (c == '-' || is_digit(c)) {
            size_t end = number_end(text, n, i);
            if (end == i)
                return ego_fail(EGO_EFORMAT, "not a JSON number at offset %zu of %zu", i, n);
            i = end;
        } else if (c == '{' || c == '[') {
            if (++depth > EGO_JSON_MAX_DEPTH)
                return ego_fail(EGO_EFORMAT, "JSON: nested deeper than %d levels at offset %zu",
                                EGO_JSON_MAX_DEPTH, i);
            i++;
        } else if ((unsigned char)c < 0x20 && !is_space(c)) {
            return ego_fail(EGO_EFORMAT, "JSON: byte 0x%02x at offset %zu", (unsigned char)c, i);
        } else {
            if ((c == '}' || c == ']') && depth) depth--;
            i++;
        }
    }
    return EGO_OK;
}

ego_err ego_json_parse(const char *text, size_t n, ego_json **root) {
    EGO_TRY(check_bounds(text, n));
    const char *end = text;
    cJSON *tree = cJSON_ParseWithLengthOpts(text, n, &end, 0);
    if (!tree) {
        const char *at = cJSON_GetErrorPtr();
        size_t offset = at >= text && at <= text + n ? (size_t)(at - text) : 0;
        return ego_fail(EGO_EFORMAT, "not valid JSON at offset %zu of %zu", offset, n);
    }
    while (end < text + n && is_space(*end)) end++;
    if (end != text + n) {
        cJSON_Delete(tree);
        return ego_fail(EGO_EFORMAT, "JSON: one value expected, more found at offset %zu",
                        (size_t)(end - text));
    }
    *root = (ego_json *)(void *)tree;
    return EGO_OK;
}

ego_err ego_json_read(const char *path, size_t limit, ego_json **root) {
    ego_buf buf = {0};
    ego_err err = ego_read_file(path, limit, &buf);
    if (err == EGO_OK) {
        err = ego_json_parse(buf.data ? buf.data : "", buf.len, root);
        if (err != EGO_OK) ego_fail_context(err, "%s", path);
    }
    ego_buf_release(&buf);
    return err;
}

ego_err ego_json_parse_word(const char *word, ego_json **root) {
    if (ego_json_parse(word, strlen(word), root) == EGO_OK) return EGO_OK;
    return ego_json_of_text(word, root);
}

ego_err ego_json_of_text(const char *text, ego_json **root) {
    cJSON *node = cJSON_CreateString(text);
    if (!node) return ego_fail(EGO_ENOMEM, "out of memory");
    *root = (ego_json *)(void *)node;
    return EGO_OK;
}

void ego_json_free(ego_json *root) { cJSON_Delete((cJSON *)(void *)root); }

bool ego_json_is_object(const ego_json *node) { return cJSON_IsObject(node_of(node)); }
bool ego_json_is_array(const ego_json *node) { return cJSON_IsArray(node_of(node)); }
bool ego_json_is_null(const ego_json *node) { return cJSON_IsNull(node_of(node)); }

const char *ego_json_kind(const ego_json *node) {
    const cJSON *j = node_of(node);
    if (!j) return "nothing";
    if (cJSON_IsObject(j)) return "an object";
    if (cJSON_IsArray(j)) return "an array";
    if (cJSON_IsString(j)) return "a string";
    if (cJSON_IsNumber(j)) return "a number";
    if (cJSON_IsBool(j)) return cJSON_IsTrue(j) ? "true" : "false";
    return "null";
}

bool ego_json_string(const ego_json *node, const char **value) {
    if (!cJSON_IsString(node_of(node))) return false;
    *value = node_of(node)->valuestring;
    return true;
}

bool ego_json_number(const ego_json *node, double *value) {
    if (!cJSON_IsNumber(node_of(node))) return false;
    *value = node_of(node)->valuedouble;
    return true;
}

bool ego_json_integer(const ego_json *node, int64_t *value) {
    double number;
    if (!ego_json_number(node, &number)) return false;
    if (!(fabs(number) < 0x1p53) || number != floor(number)) return false;
    *value = (int64_t)number;
    return true;
}

bool ego_json_bool(const ego_json *node, bool *value) {
    if (!cJSON_IsBool(node_of(node))) return false;
    *value = cJSON_IsTrue(node_of(node));
    return true;
}

const ego_json *ego_json_get(const ego_json *object, const char *key) {
    return json_of(cJSON_GetObjectItemCaseSensitive(node_of(object), key));
}

const ego_json *ego_json_first(const ego_json *container) {
    return container ? json_of(node_of(container)->child) : NULL;
}
const ego_json *ego_json_next(const ego_json *node) { return json_of(node_of(node)->next); }
const char *ego_json_key(const ego_json *member) { return node_of(member)->string; }

size_t ego_json_count(const ego_json *container) {
    size_t n = 0;
    for (const ego_json *x = ego_json_first(container); x; x = ego_json_next(x)) n++;
    return n;
}

/* The offset just past the value that starts at i. */
static size_t skip_value(const char *text, size_t n, size_t i) {
    size_t depth = 0;
    do {
        char c = text[i];
        if (c == '"') {
            for (i++; i < n && text[i] != '"'; i++) i += text[i] == '\\';
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (depth == 0) { /* a number or word: up to whatever cannot belong to it */
            while (i + 1 < n && !is_space(text[i + 1]) && !strchr(",}]", text[i + 1])) i++;
        }
        i++;
    } while (depth && i < n);
    return i;
}

static size_t skip_space(const char *text, size_t n, size_t i, char also) {
    while (i < n && (is_space(text[i]) || text[i] == also)) i++;
    return i;
}

size_t ego_json_spans(const char *text, size_t n, ego_json_span *spans, size_t max) {
    size_t count = 0, i = skip_space(text, n, mark_bytes(text, n), '{');
    while (i < n && text[i] == '"') {
        ego_json_span span = {.key = i};
        i = skip_value(text, n, i);
        span.key_bytes = i - span.key;
        i = skip_space(text, n, i, ':');
        span.value = i;
        i = skip_value(text, n, i);
        span.value_bytes = i - span.value;
        if (count < max) spans[count] = span;
        count++;
        i = skip_space(text, n, i, ',');
    }
    return count;
}
