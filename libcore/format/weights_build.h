/* How the readers of the formats (safetensors.c, torchfile.c) fill an ego_weights; for this folder only.
 *
 * weights.c opens the file, picks the reader by content, and finishes the names afterwards. A reader calls
 * these in file order. Names are copied; tensor data must lie in `map` or come from ego__weights_alloc.
 */
#ifndef EGO_FORMAT_WEIGHTS_BUILD_H
#define EGO_FORMAT_WEIGHTS_BUILD_H

#include "base/arena.h"
#include "base/file.h"
#include "format/weights.h"

typedef struct ego_weights_entry {
    char *name;
    ego_tensor tensor;
} ego_weights_entry;

struct ego_weights {
    char *path;
    const char *format;
    ego_map map;
    bool owns_map;
    ego_arena arena; /* names, lines of text and the tensors that could not stay in the map */
    size_t copied;   /* bytes of those tensors */
    ego_weights_entry *entries;
    size_t count, entries_cap;
    char **skipped;
    size_t skipped_count, skipped_cap;
    char **metadata; /* key, value, key, value, … */
    size_t metadata_count, metadata_cap;
};

/* A name is any UTF-8 without NUL. */
ego_err ego__weights_add(ego_weights *weights, const char *name, size_t name_bytes,
                         const ego_tensor *tensor);
ego_err ego__weights_add_metadata(ego_weights *weights, const char *key, const char *value);
ego_err ego__weights_skip(ego_weights *weights, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Memory for a tensor's elements. A file may ask for its own size and a little more in all: strides of
 * zero must not turn a few bytes into gigabytes. */
ego_err ego__weights_alloc(ego_weights *weights, size_t bytes, void **data);

/* Points tensor->data at `bytes` in the map when they are aligned for the dtype, else at a copy. */
ego_err ego__weights_place(ego_weights *weights, const uint8_t *data, size_t bytes,
                           ego_tensor *tensor);

/* ego_weights_open on bytes that stay the caller's, for tests. */
ego_err ego__weights_open_memory(const char *name, const uint8_t *data, size_t size,
                                 ego_weights **weights);

#endif
