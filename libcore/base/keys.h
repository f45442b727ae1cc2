/* Names to numbers: the first name added is 0, the next 1, and so on; each is there once.
 *
 * The names are borrowed and must live as long as the table. Not thread-safe.
 */
#ifndef EGO_BASE_KEYS_H
#define EGO_BASE_KEYS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ego_keys {
    const char **names; /* (count), in the order added */
    size_t count;

    /* private */
    size_t cap;
    uint32_t *slots; /* a power of two of them, at most half full: 1 + index, or 0 */
    size_t slot_count;
} ego_keys; /* {0} is an empty table */

void ego_keys_release(ego_keys *keys); /* safe on {0} */

/* *index: the name's number; *added (may be NULL): whether it is new. EGO_ENOMEM alone. */
ego_err ego_keys_add(ego_keys *keys, const char *name, size_t *index, bool *added);
/* False when the name is not there. */
bool ego_keys_find(const ego_keys *keys, const char *name, size_t *index);

#endif
