#include "base/keys.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

void ego_keys_release(ego_keys *keys) {
    free(keys->names);
    free(keys->slots);
    *keys = (ego_keys){0};
}

/* Where the name is, or the empty slot where it would be. The table is never full. */
static size_t slot_of(const ego_keys *keys, const char *name) {
    size_t mask = keys->slot_count - 1, at = (size_t)ego_fnv1a(name) & mask;
    while (keys->slots[at] && strcmp(keys->names[keys->slots[at] - 1], name) != 0)
        at = (at + 1) & mask;
    return at;
}

static ego_err grow(ego_keys *keys) {
    size_t cap = keys->cap ? keys->cap * 2 : 64, bytes;
    if (cap > UINT32_MAX / 2 || __builtin_mul_overflow(cap, sizeof *keys->names, &bytes))
        return ego_fail(EGO_ENOMEM, "more than %zu names", keys->cap);
    const char **names = realloc(keys->names, bytes);
    if (names) keys->names = names;
    uint32_t *slots = calloc(cap * 2, sizeof *slots);
    if (!names || !slots) {
        free(slots);
        return ego_fail(EGO_ENOMEM, "out of memory for %zu names", cap);
    }
    free(keys->slots);
    keys->slots = slots;
    keys->slot_count = cap * 2;
    keys->cap = cap;
    for (size_t i = 0; i < keys->count; i++) slots[slot_of(keys, keys->names[i])] = (uint32_t)i + 1;
    return EGO_OK;
}

ego_err ego_keys_add(ego_keys *keys, const char *name, size_t *index, bool *added) {
    if (keys->count == keys->cap) EGO_TRY(grow(keys));
    size_t at = slot_of(keys, name);
    bool is_new = !keys->slots[at];
    if (is_new) {
        keys->names[keys->count++] = name;
        keys->slots[at] = (uint32_t)keys->count;
    }
    *index = keys->slots[at] - 1;
    if (added) *added = is_new;
    return EGO_OK;
}

bool ego_keys_find(const ego_keys *keys, const char *name, size_t *index) {
    if (!keys->count) return false;
    uint32_t found = keys->slots[slot_of(keys, name)];
    if (found) *index = found - 1;
    return found != 0;
}
