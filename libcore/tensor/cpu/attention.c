/* Attention over all segments and heads, in groups of them for the pool. */
#include "tensor/cpu/cpu.h"

/* Work of a group, in products of a query with a key: about ten microseconds. */
enum { GROUP_PAIRS = 4096 };

/* Items are (segment, head) pairs, heads of a segment one after the other: they share cache lines and
 * pages. Loops are over groups of items and pieces of their queries. */
typedef struct attention {
    const ego__cpu *cpu;
    const ego_attention_args *args;
    float *out;
    int64_t group, pieces;
} attention;

static void run_item(const attention *t, int64_t item, int64_t piece, float *scratch) {
    const ego_attention_args *a = t->args;
    const ego_segment *s = &a->segments[item / a->heads];
    int64_t column = item % a->heads * a->width, first = piece * s->nq / t->pieces;
    int64_t count = (piece + 1) * s->nq / t->pieces - first;
    if (count == 0) return;
    t->cpu->kernels->attention(&(ego__head){.segment = s,
                                            .q_first = first,
                                            .q_count = count,
                                            .q = ego_f32(a->q) + a->q_column + column,
                                            .k = ego_f32(a->k) + a->k_column + column,
                                            .v = ego_f32(a->v) + a->v_column + column,
                                            .out = t->out + column,
                                            .q_stride = ego_tensor_columns(a->q),
                                            .k_stride = ego_tensor_columns(a->k),
                                            .v_stride = ego_tensor_columns(a->v),
                                            .out_stride = a->heads * a->width,
                                            .width = a->width,
                                            .number = item % a->heads,
                                            .drop = &a->drop,
                                            .key_bias = a->key_bias,
                                            .scratch = scratch});
}

static void run_group(void *context, size_t i, unsigned worker) {
    const attention *t = context;
    int64_t first = (int64_t)i / t->pieces * t->group, items = t->args->count * t->args->heads;
    int64_t last = first + t->group < items ? first + t->group : items;
    for (int64_t item = first; item < last; item++)
        run_item(t, item, (int64_t)i % t->pieces, ego__cpu_scratch(t->cpu, worker));
}

ego_err ego__cpu_attention(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    const ego_attention_args *a = &call->as.attention;
    int64_t keys = 0, queries = 0, pairs = 0;
    for (int64_t s = 0; s < a->count; s++) {
        int64_t nk = a->segments[s].nk + (a->segments[s].extra >= 0), nq = a->segments[s].nq;
        if (nk > keys) keys = nk;
        if (nq > queries) queries = nq;
        pairs += nq * nk;
    }
    if (a->count == 0 || a->heads * a->width == 0) return EGO_OK;
    EGO_TRY(ego__cpu_reserve(cpu, cpu->kernels->attention_scratch(keys, a->width)));

    attention t = {.cpu = cpu, .args = a, .out = ego_f32(call->out), .group = 1, .pieces = 1};
    int64_t each = pairs / a->count + 1, wanted = 4 * (int64_t)cpu->threads;
    if (each < GROUP_PAIRS) t.group = GROUP_PAIRS / each;
    int64_t groups = (a->count * a->heads + t.group - 1) / t.group;
    if (cpu->threads > 1 && groups < wanted && t.group == 1) {
        t.pieces = (wanted + groups - 1) / groups;
        int64_t tiles = (queries + cpu->kernels->tile_rows - 1) / cpu->kernels->tile_rows;
        if (t.pieces > tiles) t.pieces = tiles;
    }
    ego_parallel(cpu->base.pool, (size_t)(groups * t.pieces), run_group, &t);
    return EGO_OK;
}
