/* Parameters as the kernels want them. */
#include "base/file.h"
#include "tensor/cpu/cpu.h"
#include "tensor/panel.h"

#include <stdlib.h>
#include <string.h>

enum { PANELS_AT_ONCE = 4 };

static ego_err no_memory(const ego_param *p, size_t bytes) {
    return ego_fail(EGO_ENOMEM, "out of memory for %zu bytes of '%s'", bytes,
                    p->name ? p->name : "?");
}

static bool readable(const ego_tensor *t, size_t align) {
    return t->dtype == EGO_F32 && (uintptr_t)t->data % align == 0;
}

typedef struct packing {
    const ego_tensor *weight;
    int64_t outputs, inputs;
    float *out;
} packing;

static void pack_some(void *context, size_t i, unsigned worker) {
    (void)worker;
    const packing *p = context;
    int64_t first = (int64_t)i * PANELS_AT_ONCE, count = ego_panel_count(p->outputs) - first;
    ego_panel_pack(p->weight->data, p->weight->dtype, p->outputs, p->inputs, first,
                   count < PANELS_AT_ONCE ? count : PANELS_AT_ONCE,
                   p->out + first * p->inputs * EGO_PANEL);
}

ego_err ego__cpu_panels(ego__cpu *cpu, ego_param *w, const float **panels) {
    if (!w->packed && w->panelled && readable(&w->value, sizeof(float))) {
        *panels = w->value.data;
        return EGO_OK;
    }
    if (!w->packed || w->stale) {
        int64_t outputs = w->value.shape[0], count = ego_panel_count(outputs);
        int64_t inputs = outputs ? ego_tensor_count(&w->value) / outputs : 0;
        size_t bytes = ego_panel_bytes(outputs, inputs);
        float *memory = w->packed ? w->packed : ego__cpu_allocate(bytes);
        if (!memory) return no_memory(w, bytes);
        if (w->panelled)
            ego_to_f32(w->value.data, w->value.dtype, memory, bytes / sizeof *memory);
        else
            ego_parallel(cpu->base.pool, (size_t)((count + PANELS_AT_ONCE - 1) / PANELS_AT_ONCE),
                         pack_some, &(packing){&w->value, outputs, inputs, memory});
        w->packed = memory;
        w->stale = false;
        if (w->mapped)
            ego_map_forget(w->value.data,
                           (size_t)ego_tensor_count(&w->value) * ego_dtype_bytes(w->value.dtype));
    }
    *panels = w->packed;
    return EGO_OK;
}

ego_err ego__cpu_floats(ego__cpu *cpu, ego_param *p, const float **floats) {
    (void)cpu;
    if (!p->packed && readable(&p->value, sizeof(float))) {
        *floats = p->value.data;
        return EGO_OK;
    }
    if (!p->packed || p->stale) {
        size_t n = (size_t)ego_tensor_count(&p->value);
        float *memory = p->packed ? p->packed : ego__cpu_allocate(n * sizeof *memory);
        if (!memory) return no_memory(p, n * sizeof *memory);
        ego_to_f32(p->value.data, p->value.dtype, memory, n);
        p->packed = memory;
        p->stale = false;
    }
    *floats = p->packed;
    return EGO_OK;
}

void ego__cpu_changed(ego_backend *backend, ego_param *p) {
    (void)backend;
    p->stale = p->packed != NULL;
}

void ego__cpu_forget(ego_backend *backend, ego_param *p) {
    (void)backend;
    free(p->packed);
    p->packed = NULL;
    p->stale = false;
}
