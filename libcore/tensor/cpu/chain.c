/* Several operations on rows, block of rows by block: what one leaves in a core's second cache the next one
 * finds there, and threads wait for each other once and not after every operation. */
#include "tensor/cpu/blocks.h"

typedef struct chain {
    ego__cpu *cpu;
    const ego_call *calls;
    int count;
    ego__blocks blocks;
} chain;

static ego_tensor some_rows(const ego_tensor *t, int64_t first, int64_t rows) {
    int64_t columns = ego_tensor_columns(t);
    return (ego_tensor){.data = ego_f32(t) + first * columns,
                        .dtype = EGO_F32,
                        .ndim = 2,
                        .shape = {rows, columns}};
}

static void run_block(void *context, size_t i, unsigned worker) {
    const chain *c = context;
    ego__cpu *lane = &c->cpu->lanes[worker];
    int64_t first = ego__block_start(&c->blocks, (int64_t)i);
    int64_t rows = ego__block_start(&c->blocks, (int64_t)i + 1) - first;
    for (int k = 0; k < c->count && lane->failed == EGO_OK; k++) {
        ego_call call = c->calls[k];
        ego_tensor in[3], out = some_rows(call.out, first, rows);
        for (int j = 0; j < 3; j++) {
            if (!call.in[j]) continue;
            in[j] = some_rows(call.in[j], first, rows);
            call.in[j] = &in[j];
        }
        call.out = &out;
        lane->failed = lane->base.forward[call.op](&lane->base, &call);
    }
}

/* What an operation would otherwise do at first use happens here, before threads meet it: parameters are packed,
 * and every lane has room for strips. The operations that need neither (add, gated_add, activate) take no
 * scratch either. */
static ego_err prepare(ego__cpu *cpu, const ego_call *call, int64_t rows) {
    const float *ready;
    if (call->op == EGO_OP_linear) {
        EGO_TRY(ego__cpu_panels(cpu, call->param[0], &ready));
        if (call->param[1]) EGO_TRY(ego__cpu_floats(cpu, call->param[1], &ready));
        int64_t floats = cpu->kernels->strip_floats(rows, ego_tensor_columns(call->in[0]));
        for (size_t t = 0; t < cpu->threads; t++)
            EGO_TRY(ego__cpu_reserve_strips(&cpu->lanes[t], floats));
    }
    if (call->op == EGO_OP_layer_norm)
        for (int i = 0; i < 2; i++) EGO_TRY(ego__cpu_floats(cpu, call->param[i], &ready));
    return EGO_OK;
}

ego_err ego__cpu_chain(ego_backend *backend, const ego_call *calls, int count) {
    ego__cpu *cpu = (ego__cpu *)backend;
    int64_t rows = ego_tensor_rows(calls[0].out);
    if (count == 1 || !ego__rows_are_many(cpu, rows))
        return ego_backend_in_turn(backend, calls, count);
    chain c = {cpu, calls, count, ego__cut_rows(cpu, rows)};
    for (int k = 0; k < count; k++) EGO_TRY(prepare(cpu, &calls[k], ego__block_rows(&c.blocks)));
    for (size_t t = 0; t < cpu->threads; t++) cpu->lanes[t].failed = EGO_OK;
    ego_parallel(cpu->base.pool, (size_t)c.blocks.count, run_block, &c);
    for (size_t t = 0; t < cpu->threads; t++)
        if (cpu->lanes[t].failed != EGO_OK)
            return ego_fail(cpu->lanes[t].failed, "an operation on a block of rows failed");
    return EGO_OK;
}
