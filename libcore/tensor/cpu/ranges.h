/* Rows or columns of one operation, cut into ranges for the pool. Where the cuts lie depends on shapes
 * alone, so what is summed per range is summed in the same order by any number of threads. */
#ifndef EGO_TENSOR_CPU_RANGES_H
#define EGO_TENSOR_CPU_RANGES_H

#include "tensor/cpu/cpu.h"
#include "tensor/tape.h"

enum { EGO__RANGE = 16384 }; /* elements: enough to be worth handing out, few enough to balance */

typedef struct ego__ranges {
    const ego_call *call;
    const ego__kernels *kernels;
    const float *param[3];
    float gate;
    int64_t rows, columns;
    int64_t step;  /* rows of a range, 0: as many as EGO__RANGE elements make */
    float *sums;   /* what a body leaves for the caller to add up, or NULL */
    double weight; /* of a loss */
    void (*body)(const struct ego__ranges *job, int64_t first, int64_t count);
} ego__ranges;

/* Calls body for all rows of `columns` elements each. */
ego_err ego__cpu_rows(ego__cpu *cpu, ego__ranges job, int64_t rows, int64_t columns);
/* Calls body for blocks of columns; every row is the body's own affair. */
ego_err ego__cpu_columns(ego__cpu *cpu, ego__ranges job, int64_t columns);

/* Where row `row` of an input, of the output, and of their gradients stands, all of job->columns; din may
 * be NULL. */
static inline const float *ego__in(const ego__ranges *job, int which, int64_t row) {
    return ego_f32(job->call->in[which]) + row * job->columns;
}
static inline float *ego__out(const ego__ranges *job, int64_t row) {
    return ego_f32(job->call->out) + row * job->columns;
}
static inline const float *ego__dout(const ego__ranges *job, int64_t row) {
    return ego_grad(job->call->out) + row * job->columns;
}
static inline float *ego__din(const ego__ranges *job, int which, int64_t row) {
    float *grad = ego_grad(job->call->in[which]);
    return grad ? grad + row * job->columns : NULL;
}

/* to += weight · from */
static inline void ego__add(const ego__ranges *job, int64_t n, float weight, const float *from,
                            float *to) {
    job->kernels->gated_add(n, to, weight, from, to);
}

#endif
