/* The processor as a backend: what its files share. */
#ifndef EGO_TENSOR_CPU_CPU_H
#define EGO_TENSOR_CPU_CPU_H

#include "tensor/backend.h"
#include "tensor/cpu/kernels.h"

typedef struct ego__cpu {
    ego_backend base;
    const ego__kernels *kernels;
    size_t threads;
    float *scratch; /* one piece per worker, grown when an operation needs more */
    size_t scratch_floats;
    float *strips; /* the same for products, which may read from scratch */
    size_t strip_floats;
    struct ego__cpu *lanes; /* of a whole backend: each thread as a backend of its own, without a pool */
    ego_err failed;         /* of a lane: what a loop's body cannot return */
} ego__cpu;

/* Memory for free(), 64-byte aligned; large pieces stand on huge pages where the system gives them: fewer
 * address translations. NULL if there is none. */
float *ego__cpu_allocate(size_t bytes);
/* Sees to it that each worker has `floats` of scratch (kept from call to call, undefined contents), and
 * where worker's stands: 64-byte aligned. */
ego_err ego__cpu_reserve(ego__cpu *cpu, int64_t floats);
static inline float *ego__cpu_scratch(const ego__cpu *cpu, unsigned worker) {
    return cpu->scratch + worker * cpu->scratch_floats;
}
/* The same as one piece for all workers. */
ego_err ego__cpu_reserve_shared(ego__cpu *cpu, int64_t floats, float **scratch);

/* The same for strips: worker's stand at worker * cpu->strip_floats. */
ego_err ego__cpu_reserve_strips(ego__cpu *cpu, int64_t floats);

/* The table's `chain`. */
ego_err ego__cpu_chain(ego_backend *backend, const ego_call *calls, int count);

/* The product on the pool's threads. A plain one may not have bias, residual or activation. */
ego_err ego__cpu_run_product(ego__cpu *cpu, const ego__product *p);

/* A linear weight as panels; a vector (bias, norm, position table) as float32 in row-major order. Packed
 * at first use; a parameter is used in one of the two ways only. */
ego_err ego__cpu_panels(ego__cpu *cpu, ego_param *w, const float **panels);
ego_err ego__cpu_floats(ego__cpu *cpu, ego_param *p, const float **floats);
void ego__cpu_changed(ego_backend *backend, ego_param *p);
void ego__cpu_forget(ego_backend *backend, ego_param *p);

/* The table's entries: of each operation its forward and its backward. */
#define EGO__CPU_ENTRIES(name)                                                                     \
    ego_err ego__cpu_##name(ego_backend *backend, const ego_call *call);                           \
    ego_err ego__cpu_##name##_back(ego_backend *backend, const ego_call *call);
EGO_OPS(EGO__CPU_ENTRIES)
#undef EGO__CPU_ENTRIES

#endif
