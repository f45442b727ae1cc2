#include "tensor/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20, LINE = 64 };

/* The tables this machine can run, narrowest first. */
static size_t supported(const ego__kernels *tables[3]) {
    size_t n = 0;
    tables[n++] = &ego__kernels_generic;
#ifdef __x86_64__
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2) tables[n++] = &ego__kernels_avx2;
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        tables[n++] = &ego__kernels_avx512;
#endif
    return n;
}

static ego_err choose(const ego__kernels **kernels) {
    const ego__kernels *tables[3];
    size_t n = supported(tables);
    const char *forced = getenv("EGO_CPU");
    if (!forced || !*forced) return *kernels = tables[n - 1], EGO_OK;
    for (size_t i = 0; i < n; i++)
        if (strcmp(forced, tables[i]->name) == 0) return *kernels = tables[i], EGO_OK;
    return ego_fail(EGO_EUNSUPPORTED,
                    "EGO_CPU: expected an instruction set of this machine (up to %s), found '%s'",
                    tables[n - 1]->name, forced);
}

float *ego__cpu_allocate(size_t bytes) {
    size_t align = bytes >= HUGE_PAGE ? HUGE_PAGE : LINE;
    size_t rounded = (bytes + align - 1) / align * align;
    float *memory = aligned_alloc(align, rounded ? rounded : align);
    if (memory && align == HUGE_PAGE) madvise(memory, rounded, MADV_HUGEPAGE);
    return memory;
}

/* One piece of *each floats for every thread, at least `floats`. */
static ego_err grow(size_t threads, int64_t floats, float **pieces, size_t *each) {
    size_t wanted = ((size_t)floats + 1023) / 1024 * 1024;
    if (wanted <= *each) return EGO_OK;
    free(*pieces);
    *each = 0;
    if (!(*pieces = ego__cpu_allocate(wanted * threads * sizeof **pieces)))
        return ego_fail(EGO_ENOMEM, "out of memory for %zu floats of scratch a thread", wanted);
    *each = wanted;
    return EGO_OK;
}

ego_err ego__cpu_reserve(ego__cpu *cpu, int64_t floats) {
    return grow(cpu->threads, floats, &cpu->scratch, &cpu->scratch_floats);
}

ego_err ego__cpu_reserve_strips(ego__cpu *cpu, int64_t floats) {
    return grow(cpu->threads, floats, &cpu->strips, &cpu->strip_floats);
}

ego_err ego__cpu_reserve_shared(ego__cpu *cpu, int64_t floats, float **scratch) {
    EGO_TRY(ego__cpu_reserve(cpu, floats / (int64_t)cpu->threads + 1));
    *scratch = cpu->scratch;
    return EGO_OK;
}

static void cpu_free(ego_backend *backend) {
    ego__cpu *cpu = (ego__cpu *)backend;
    for (size_t t = 0; cpu->lanes && t < cpu->threads; t++) {
        free(cpu->lanes[t].scratch);
        free(cpu->lanes[t].strips);
    }
    free(cpu->lanes);
    free(cpu->scratch);
    free(cpu->strips);
    free(cpu);
}

static ego_err make_lanes(ego__cpu *cpu) {
    if (!(cpu->lanes = calloc(cpu->threads, sizeof *cpu->lanes))) {
        cpu_free(&cpu->base);
        return ego_fail(EGO_ENOMEM, "out of memory for %zu threads", cpu->threads);
    }
    for (size_t t = 0; t < cpu->threads; t++) {
        cpu->lanes[t] = (ego__cpu){.base = cpu->base, .kernels = cpu->kernels, .threads = 1};
        cpu->lanes[t].base.pool = NULL;
    }
    return EGO_OK;
}

ego_err ego_cpu_backend_new(ego_pool *pool, ego_backend **backend) {
    const ego__kernels *kernels = NULL;
    EGO_TRY(choose(&kernels));
    ego__cpu *cpu = calloc(1, sizeof *cpu);
    if (!cpu) return ego_fail(EGO_ENOMEM, "out of memory");
#define ENTRIES(name)                                                                              \
    .forward[EGO_OP_##name] = ego__cpu_##name, .backward[EGO_OP_##name] = ego__cpu_##name##_back,
    *cpu = (ego__cpu){
        .base = {.name = "cpu",
                 .pool = pool,
                 .chain = ego__cpu_chain,
                 .changed = ego__cpu_changed,
                 .forget = ego__cpu_forget,
                 .free = cpu_free,
                 EGO_OPS(ENTRIES)},
        .kernels = kernels,
        .threads = ego_pool_threads(pool)};
#undef ENTRIES
    EGO_TRY(make_lanes(cpu));
    *backend = &cpu->base;
    return EGO_OK;
}

void ego_backend_free(ego_backend *backend) {
    if (backend) backend->free(backend);
}
