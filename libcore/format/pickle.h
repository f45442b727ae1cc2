/* Python's pickle format, protocols 0 to 5, read as data.
 *
 * The stack machine runs, but nothing it names does: a class or function is only its name, calling one
 * gives an EGO_PICKLE_OBJECT that remembers the callee, its arguments, the items it was filled with and
 * the state that was set on it. What an object means (a tensor, say) is for the caller to decide.
 *
 * Bounds: every opcode takes at least a byte of input, nothing copies a container, and memory for the
 * values is limited to EGO_PICKLE_MAX_MEMORY. Values may share parts and may even contain themselves;
 * walk them to a fixed depth. Text points into the input where it can: keep both alive together.
 */
#ifndef EGO_FORMAT_PICKLE_H
#define EGO_FORMAT_PICKLE_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EGO_PICKLE_MAX_MEMORY = 256 << 20 };

/* kind, what Python calls it */
#define EGO_PICKLE_KINDS(X)                                                                        \
    X(NONE, "None")                                                                                \
    X(BOOL, "bool")                                                                                \
    X(INT, "int")                                                                                  \
    X(FLOAT, "float")                                                                              \
    X(STRING, "str")                                                                               \
    X(BYTES, "bytes")                                                                              \
    X(TUPLE, "tuple")                                                                              \
    X(LIST, "list")                                                                                \
    X(DICT, "dict")                                                                                \
    X(GLOBAL, "class or function")                                                                 \
    X(PERSISTENT, "persistent id")                                                                 \
    X(OBJECT, "object")

typedef enum ego_pickle_kind {
#define EGO_PICKLE_ENUM(name, text) EGO_PICKLE_##name,
    EGO_PICKLE_KINDS(EGO_PICKLE_ENUM)
#undef EGO_PICKLE_ENUM
} ego_pickle_kind;

typedef struct ego_pickle_value ego_pickle_value;

/* An element of a tuple or list (key NULL), or a pair of a dict, in the order written. */
typedef struct ego_pickle_item {
    const ego_pickle_value *key, *value;
    struct ego_pickle_item *next;
} ego_pickle_item;

struct ego_pickle_value {
    ego_pickle_kind kind;
    union {
        int64_t integer; /* BOOL (0 or 1) and INT; beyond 64 bits the nearest limit */
        double real;     /* FLOAT */
        struct {
            const char *bytes; /* STRING, BYTES; GLOBAL: "module.name", NUL-terminated */
            size_t length;
        } text;
        struct {
            const ego_pickle_value *callee; /* OBJECT: what was called or instantiated */
            const ego_pickle_value *args;   /* its arguments; PERSISTENT: the id */
            const ego_pickle_value *state;  /* OBJECT: the last that was set; NULL: none */
        };
    };
    ego_pickle_item *first, *last; /* TUPLE, LIST, DICT, and what an OBJECT was filled with */
    size_t count;
};

typedef struct ego_pickle {
    ego_arena arena;
    char *block; /* where the next value goes, and how much room there is */
    size_t block_left;
    ego_pickle_item *persistent_first, *persistent_last; /* every PERSISTENT value, in order */
} ego_pickle;

void ego_pickle_init(ego_pickle *pickle);
void ego_pickle_release(ego_pickle *pickle);

/* Reads the pickle at the start of the n bytes. *used: its length, STOP included. *root lives until
 * the release. Several pickles may be read into one ego_pickle. */
ego_err ego_pickle_read(ego_pickle *pickle, const uint8_t *data, size_t n, size_t *used,
                        const ego_pickle_value **root);

/* What Python calls it: "dict", or the class of an object ("torch.optim.adam.Adam"). NULL: "nothing". */
const char *ego_pickle_type(const ego_pickle_value *value);
bool ego_pickle_is_text(const ego_pickle_value *value, const char *text);
/* The class or function of that full name; false for NULL and other kinds. */
bool ego_pickle_is_global(const ego_pickle_value *value, const char *name);
/* True and *integer for an INT. */
bool ego_pickle_integer(const ego_pickle_value *value, int64_t *integer);
/* Element i of a tuple or list; NULL when it has fewer. */
const ego_pickle_value *ego_pickle_element(const ego_pickle_value *value, size_t i);

#endif
