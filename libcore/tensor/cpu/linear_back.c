/* Gradients of products: dx = dz W, dW = dzᵀ x, db = Σ_r dz, with dz = dy · act'(y). */
#include "tensor/cpu/cpu.h"
#include "tensor/tape.h"

/* What a thread takes at once of what comes before the products. */
enum { OUTER_COLUMNS = 64 };

typedef struct outer {
    const ego__cpu *cpu;
    ego__outer whole;
} outer;

static void outer_some(void *context, size_t i, unsigned worker) {
    (void)worker;
    const outer *t = context;
    ego__outer o = t->whole;
    int64_t column = (int64_t)i * OUTER_COLUMNS, left = o.columns - column;
    o.columns = left < OUTER_COLUMNS ? left : OUTER_COLUMNS;
    o.y += column;
    o.dz += column;
    if (o.dresidual) o.dresidual += column;
    if (o.db) o.db += column;
    t->cpu->kernels->outer(&o);
}

/* dx += dz b of dz (rows, k) and b (k, columns); across: of dz (k, rows), transposed. */
static ego_err add_product(ego__cpu *cpu, int64_t rows, int64_t k, int64_t columns, const float *dz,
                           bool across, const float *b, float *dx) {
    if (k == 0 || !dx) return EGO_OK;
    return ego__cpu_run_product(cpu, &(ego__product){.rows = rows,
                                                  .k = k,
                                                  .a = dz,
                                                  .a_stride = across ? rows : k,
                                                  .a_across = across,
                                                  .panels = b,
                                                  .plain = columns,
                                                  .c = dx,
                                                  .add = true,
                                                  .c_stride = columns,
                                                  .last = columns});
}

ego_err ego__cpu_linear_back(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    const ego_param *w = call->param[0], *b = call->param[1];
    int64_t rows = ego_tensor_rows(call->out), outputs = ego_tensor_columns(call->out);
    int64_t inputs = ego_tensor_columns(call->in[0]), first = call->as.linear.first;
    outer o = {cpu,
               {.rows = rows,
                .columns = outputs,
                .stride = outputs,
                .act = call->as.linear.act,
                .y = ego_f32(call->out),
                .dz = ego_grad(call->out),
                .dresidual = ego_grad(call->in[1]),
                .db = b && b->grad ? b->grad + first : NULL}};
    if (o.whole.act != EGO_ACT_NONE || o.whole.dresidual || o.whole.db)
        ego_parallel(cpu->base.pool, (size_t)((outputs + OUTER_COLUMNS - 1) / OUTER_COLUMNS), outer_some,
                     &o);
    const float *dz = o.whole.dz;
    EGO_TRY(add_product(cpu, rows, outputs, inputs, dz, false, ego_f32(&w->value) + first * inputs,
                        ego_grad(call->in[0])));
    return add_product(cpu, outputs, rows, inputs, dz, true, ego_f32(call->in[0]),
                       w->grad ? w->grad + first * inputs : NULL);
}

ego_err ego__cpu_product_back(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    const ego_tensor *x = call->in[0], *y = call->in[1];
    const float *dz = ego_grad(call->out);
    int64_t rows = ego_tensor_rows(x), columns = ego_tensor_rows(y), k = ego_tensor_columns(x);
    EGO_TRY(add_product(cpu, rows, columns, k, dz, false, ego_f32(y), ego_grad(x)));
    return add_product(cpu, columns, rows, k, dz, true, ego_f32(x), ego_grad(y));
}
