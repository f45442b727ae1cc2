/* JSON read into a tree (cJSON behind this one file), bounded in size and depth.
 *
 * ego_json_parse owns the tree it returns; every pointer obtained from a node lives until
 * ego_json_free of the root. Writing JSON is base/buf.h's business.
 */
#ifndef EGO_BASE_JSON_H
#define EGO_BASE_JSON_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ego_json ego_json; /* one node */

enum { EGO_JSON_MAX_DEPTH = 64 };

/* Parses exactly one value as RFC 8259 has it, white space around it and a byte order mark before it
 * allowed. Nesting beyond EGO_JSON_MAX_DEPTH, a raw control character or a \u0000 inside, and anything
 * after the value are errors naming the byte offset. */
ego_err ego_json_parse(const char *text, size_t n, ego_json **root);
/* The same for a whole file ("-": stdin) of at most `limit` bytes. */
ego_err ego_json_read(const char *path, size_t limit, ego_json **root);
/* A value as it is written after KEY= in a shell: JSON, or a string where it is none. */
ego_err ego_json_parse_word(const char *word, ego_json **root);
/* The text itself as a string, whatever it looks like. */
ego_err ego_json_of_text(const char *text, ego_json **root);
void ego_json_free(ego_json *root); /* takes NULL */

bool ego_json_is_object(const ego_json *node);
bool ego_json_is_array(const ego_json *node);
bool ego_json_is_null(const ego_json *node);
/* What kind of value it is, for messages: "an object", "a number", "nothing" for NULL. */
const char *ego_json_kind(const ego_json *node);

/* These return false (and leave *value alone) when node is NULL or of another kind. */
bool ego_json_string(const ego_json *node, const char **value);
bool ego_json_number(const ego_json *node, double *value);
bool ego_json_integer(const ego_json *node, int64_t *value); /* a whole number below 2^53 */
bool ego_json_bool(const ego_json *node, bool *value);

/* Object members and array elements, in file order. get: NULL when missing (first of several). */
const ego_json *ego_json_get(const ego_json *object, const char *key);
const ego_json *ego_json_first(const ego_json *container); /* for (x = first(c); x; x = next(x)) */
const ego_json *ego_json_next(const ego_json *node);
const char *ego_json_key(const ego_json *member); /* NULL for array elements */
size_t ego_json_count(const ego_json *container);

/* Where each member of a top-level object stands in the text that was parsed, so that members can be
 * carried through byte for byte. Order as ego_json_first/next. */
typedef struct ego_json_span {
    size_t key, key_bytes;     /* with its quotes */
    size_t value, value_bytes; /* without surrounding white space */
} ego_json_span;

/* `text` must have been accepted by ego_json_parse and be an object. Fills at most `max` spans;
 * returns how many members there are. */
size_t ego_json_spans(const char *text, size_t n, ego_json_span *spans, size_t max);

#endif
