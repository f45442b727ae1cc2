/* Gradients of attention over all segments and heads, in tasks for the pool.
 *
 * Segments of one clip share key rows (the class token is in all of them), and their shares of its gradient
 * are added one after the other; so segments that share rows stay in one task, in the order of the list.
 * Which do, the list alone says: it names clip after clip, so a new group begins where all rows from there on
 * lie above all rows so far. Heads own their columns and may go to different tasks.
 */
#include "tensor/cpu/cpu.h"
#include "tensor/tape.h"

/* At most this many chunks of segments: enough for any number of threads, and no list to allocate. */
enum { CHUNKS = 64 };

typedef struct attention_back {
    const ego__cpu *cpu;
    const ego_attention_args *args;
    const float *dout;
    float *dq, *dk, *dv;
    int64_t chunks, slices;     /* of segments, of heads */
    int64_t begins[CHUNKS + 1]; /* the first segment of each chunk of whole groups */
} attention_back;

typedef struct range {
    int64_t least, most;
} range;

static void widen(range *r, int64_t first, int64_t step, int64_t n) {
    if (n == 0) return;
    int64_t last = first + (n - 1) * step, least = first < last ? first : last;
    if (least < r->least) r->least = least;
    if (first + last - least > r->most) r->most = first + last - least;
}

/* The rows that a segment adds to and others may: its keys, and its queries where one tensor holds both.
 * (No two segments have a query in common.) */
static range shared_rows(const attention_back *t, const ego_segment *s) {
    range r = {INT64_MAX, -1};
    widen(&r, s->k0, s->k_step, s->nk);
    if (s->extra >= 0) widen(&r, s->extra, 0, 1);
    if (t->dq == t->dk || t->dq == t->dv) widen(&r, s->q0, s->q_step, s->nq);
    return r;
}

static int64_t pairs_of(const ego_segment *s) { return s->nq * (s->nk + (s->extra >= 0)); }

/* Chunks are whole groups, as even as groups allow. */
static void cut_segments(attention_back *t) {
    const ego_segment *s = t->args->segments;
    int64_t all = 0, so_far = 0, top = -1, below[CHUNKS]; /* the highest row before each chunk */
    for (int64_t i = 0; i < t->args->count; i++) all += pairs_of(&s[i]);
    for (int64_t i = 0; i < t->args->count; i++) {
        range r = shared_rows(t, &s[i]);
        while (t->chunks > 0 && r.least <= below[t->chunks - 1]) t->chunks--;
        if (r.least > top && so_far >= t->chunks * (all / CHUNKS + 1)) {
            below[t->chunks] = top;
            t->begins[t->chunks++] = i;
        }
        so_far += pairs_of(&s[i]);
        if (r.most > top) top = r.most;
    }
    t->begins[t->chunks] = t->args->count;
}

static void segment_back(const attention_back *t, const ego_segment *s, int64_t head,
                         float *scratch) {
    const ego_attention_args *a = t->args;
    int64_t column = head * a->width, q = a->q_column + column, k = a->k_column + column;
    int64_t v = a->v_column + column;
    ego__head h = {.segment = s,
                   .q_count = s->nq,
                   .q = ego_f32(a->q) + q,
                   .k = ego_f32(a->k) + k,
                   .v = ego_f32(a->v) + v,
                   .q_stride = ego_tensor_columns(a->q),
                   .k_stride = ego_tensor_columns(a->k),
                   .v_stride = ego_tensor_columns(a->v),
                   .out_stride = a->heads * a->width,
                   .width = a->width,
                   .number = head,
                   .drop = &a->drop,
                   .key_bias = a->key_bias,
                   .scratch = scratch};
    t->cpu->kernels->attention_back(&(ego__head_back){.head = h,
                                                      .dout = t->dout + column,
                                                      .dq = t->dq ? t->dq + q : NULL,
                                                      .dk = t->dk ? t->dk + k : NULL,
                                                      .dv = t->dv ? t->dv + v : NULL});
}

/* Heads of a segment one after the other: they share pages. */
static void run_task(void *context, size_t i, unsigned worker) {
    const attention_back *t = context;
    int64_t chunk = (int64_t)i / t->slices, slice = (int64_t)i % t->slices, heads = t->args->heads;
    int64_t first = slice * heads / t->slices, last = (slice + 1) * heads / t->slices;
    for (int64_t s = t->begins[chunk]; s < t->begins[chunk + 1]; s++)
        for (int64_t head = first; head < last; head++)
            segment_back(t, &t->args->segments[s], head, ego__cpu_scratch(t->cpu, worker));
}

ego_err ego__cpu_attention_back(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    const ego_attention_args *a = &call->as.attention;
    attention_back t = {.cpu = cpu,
                        .args = a,
                        .dout = ego_grad(call->out),
                        .dq = ego_grad(call->in[0]),
                        .dk = ego_grad(call->in[1]),
                        .dv = ego_grad(call->in[2])};
    int64_t floats = 0;
    for (int64_t i = 0; i < a->count; i++) {
        const ego_segment *s = &a->segments[i];
        int64_t need =
            cpu->kernels->attention_back_scratch(s->nq, s->nk + (s->extra >= 0), a->width);
        if (need > floats) floats = need;
    }
    if (floats == 0 || a->heads * a->width == 0) return EGO_OK;
    EGO_TRY(ego__cpu_reserve(cpu, floats));
    cut_segments(&t);
    int64_t wanted = cpu->threads > 1 ? 4 * (int64_t)cpu->threads : 1;
    t.slices = (wanted + t.chunks - 1) / t.chunks;
    if (t.slices > a->heads) t.slices = a->heads;
    ego_parallel(cpu->base.pool, (size_t)(t.chunks * t.slices), run_task, &t);
    return EGO_OK;
}
