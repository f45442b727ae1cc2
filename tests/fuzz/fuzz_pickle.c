/* The pickle machine; what it built is walked to a fixed depth, as its callers do. */
#include "format/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile size_t sink;

/* Values may contain themselves: both the depth and the number of steps are bounded. */
static void walk(const ego_pickle_value *value, int depth, int *steps) {
    if (!value || depth == 0 || --*steps < 0) return;
    const char *type = ego_pickle_type(value);
    while (*type) sink += (size_t)*type++;
    if (value->kind == EGO_PICKLE_STRING || value->kind == EGO_PICKLE_BYTES ||
        value->kind == EGO_PICKLE_GLOBAL)
        for (size_t i = 0; i < value->text.length; i++) sink += (size_t)value->text.bytes[i];
    if (value->kind == EGO_PICKLE_OBJECT || value->kind == EGO_PICKLE_PERSISTENT) {
        walk(value->callee, depth - 1, steps);
        walk(value->args, depth - 1, steps);
    }
    size_t count = 0;
    for (const ego_pickle_item *x = value->first; x; x = x->next, count++) {
        walk(x->key, depth - 1, steps);
        walk(x->value, depth - 1, steps);
    }
    if (count != value->count) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ego_pickle pickle;
    const ego_pickle_value *root;
    size_t used;
    int steps = 1000;
    ego_pickle_init(&pickle);
    if (ego_pickle_read(&pickle, data, size, &used, &root) == EGO_OK) {
        if (used > size) __builtin_trap();
        walk(root, 6, &steps);
    }
    for (const ego_pickle_item *x = pickle.persistent_first; x; x = x->next)
        walk(x->value, 6, &steps);
    ego_pickle_release(&pickle);
    return 0;
}
