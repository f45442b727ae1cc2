/* base/json: whatever is accepted has spans that say the same as the tree. */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int truth) {
    if (!truth) abort();
}

/* Visits every node; depth is bounded by the parser. */
static size_t walk(const ego_json *node) {
    const char *text;
    double number;
    int64_t integer;
    bool truth;
    size_t nodes = 1;
    int kinds = ego_json_string(node, &text) + ego_json_number(node, &number) +
                ego_json_bool(node, &truth) + ego_json_is_null(node) + ego_json_is_array(node) +
                ego_json_is_object(node);
    expect(kinds == 1 && ego_json_kind(node) != NULL);
    if (ego_json_integer(node, &integer)) expect(ego_json_number(node, &number));
    for (const ego_json *x = ego_json_first(node); x; x = ego_json_next(x)) {
        if (ego_json_is_object(node)) expect(ego_json_get(node, ego_json_key(x)) != NULL);
        nodes += walk(x);
    }
    return nodes;
}

/* The text at one place is a JSON value of the kind expected. */
static ego_json *part(const char *text, size_t n, size_t at, size_t bytes) {
    ego_json *root = NULL;
    expect(bytes > 0 && at <= n && bytes <= n - at);
    expect(ego_json_parse(text + at, bytes, &root) == EGO_OK);
    return root;
}

static void check_spans(const char *text, size_t n, const ego_json *root) {
    ego_json_span spans[32];
    size_t count = ego_json_spans(text, n, spans, 32), i = 0;
    expect(count == ego_json_count(root));
    for (const ego_json *m = ego_json_first(root); m && i < 32; m = ego_json_next(m), i++) {
        ego_json *key = part(text, n, spans[i].key, spans[i].key_bytes);
        ego_json *value = part(text, n, spans[i].value, spans[i].value_bytes);
        const char *name = NULL;
        expect(ego_json_string(key, &name) && strcmp(name, ego_json_key(m)) == 0);
        expect(strcmp(ego_json_kind(value), ego_json_kind(m)) == 0);
        ego_json_free(key);
        ego_json_free(value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size ? size : 1); /* of its own, so that reading past the end is seen */
    ego_json *root = NULL;
    if (!text) return 0;
    if (size) memcpy(text, data, size);
    if (ego_json_parse(text, size, &root) == EGO_OK) {
        walk(root);
        if (ego_json_is_object(root)) check_spans(text, size, root);
    }
    ego_json_free(root);
    free(text);
    return 0;
}
