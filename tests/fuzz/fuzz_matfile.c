/* MATLAB's .mat files. */
#include "format/matfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double sink;

/* Looks at everything that was read. */
static void walk(const ego_mat *m) {
    for (size_t i = 0; m->numbers && i < m->count; i++) sink = m->numbers[i];
    size_t n = m->kind == EGO_MAT_CELLS ? m->count : m->kind == EGO_MAT_STRUCTS ? m->count * m->n_fields : 0;
    for (size_t i = 0; m->items && i < n; i++) walk(&m->items[i]);
    for (size_t f = 0; f < m->n_fields; f++) sink = m->fields[f][0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ego_arena arena;
    ego_mat_file file = {0};
    ego_arena_init(&arena, 1 << 16);
    if (ego_mat_parse(data, size, "fuzz", &arena, &file) == EGO_OK)
        for (size_t i = 0; i < file.count; i++) walk(&file.variables[i]);
    ego_arena_release(&arena);
    return 0;
}
