/* Gradients of attention. With S = q kᵀ/√d, P = softmax(S), O = P v, per segment and head:
 *     dv = Pᵀ dO,   dP = dO vᵀ,   dS = P ∘ (dP − rowsum(dP ∘ P)),   dq = dS k/√d,   dk = dSᵀ q/√d.
 * P is computed again. Segments share keys (the class token), so one thread takes all segments of a head. */
#include "tensor/cpu/cpu.h"
#include "tensor/tape.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

typedef struct attention_back {
    const ego_attention_args *a;
    const float *dout;
    float *dq, *dk, *dv;
    int64_t keys; /* the most of a segment */
    float *scratch;
} attention_back;

static int64_t key_row(const ego_segment *s, int64_t j) {
    if (s->extra >= 0 && j-- == 0) return s->extra;
    return s->k0 + j * s->k_step;
}

static float dot(int64_t n, const float *x, const float *y) {
    float sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}
static void axpy(int64_t n, float a, const float *x, float *y) {
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

static void query_back(const attention_back *t, const ego_segment *s, int64_t head, int64_t row,
                       float *p, float *dp) {
    const ego_attention_args *a = t->a;
    int64_t d = a->width, keys = s->nk + (s->extra >= 0), out_columns = a->heads * d;
    int64_t qc = ego_tensor_columns(a->q), kc = ego_tensor_columns(a->k), vc = ego_tensor_columns(a->v);
    int64_t qo = row * qc + a->q_column + head * d, ko = a->k_column + head * d, vo = a->v_column + head * d;
    const float *q = ego_f32(a->q) + qo, *dout = t->dout + row * out_columns + head * d;
    float scale = 1.0f / sqrtf((float)d), most = -INFINITY, sum = 0, mean = 0;
    bool drop = a->drop.streams && a->drop.p > 0;
    uint64_t stream = drop ? ego_rng_stream(a->drop.streams[row], a->drop.site) : 0;
    for (int64_t j = 0; j < keys; j++) {
        p[j] = scale * dot(d, q, ego_f32(a->k) + key_row(s, j) * kc + ko);
        if (p[j] > most) most = p[j];
    }
    for (int64_t j = 0; j < keys; j++) sum += p[j] = expf(p[j] - most);
    for (int64_t j = 0; j < keys; j++) {
        int64_t r = key_row(s, j);
        float stays = 1;
        p[j] /= sum;
        if (drop)
            stays = ego_rng_unit(stream, (uint64_t)(head * keys + j)) >= a->drop.p ? 1 / (1 - a->drop.p) : 0;
        if (t->dv) axpy(d, p[j] * stays, dout, t->dv + r * vc + vo);
        dp[j] = stays * dot(d, dout, ego_f32(a->v) + r * vc + vo);
        mean += dp[j] * p[j];
    }
    for (int64_t j = 0; j < keys; j++) {
        int64_t r = key_row(s, j);
        float ds = scale * p[j] * (dp[j] - mean);
        if (t->dq) axpy(d, ds, ego_f32(a->k) + r * kc + ko, t->dq + qo);
        if (t->dk) axpy(d, ds, q, t->dk + r * kc + ko);
    }
}

static void head_back(void *context, size_t head, unsigned worker) {
    const attention_back *t = context;
    float *p = t->scratch + (int64_t)worker * 2 * t->keys;
    for (int64_t i = 0; i < t->a->count; i++) {
        const ego_segment *s = &t->a->segments[i];
        for (int64_t j = 0; j < s->nq; j++)
            query_back(t, s, (int64_t)head, s->q0 + j * s->q_step, p, p + t->keys);
    }
}

ego_err ego__cpu_attention_back(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    attention_back t = {.a = &call->as.attention,
                        .dout = ego_grad(call->out),
                        .dq = ego_grad(call->in[0]),
                        .dk = ego_grad(call->in[1]),
                        .dv = ego_grad(call->in[2])};
    for (int64_t i = 0; i < t.a->count; i++) {
        int64_t keys = t.a->segments[i].nk + (t.a->segments[i].extra >= 0);
        if (keys > t.keys) t.keys = keys;
    }
    t.scratch = malloc((size_t)t.keys * 2 * cpu->threads * sizeof(float) + 1);
    if (!t.scratch) return ego_fail(EGO_ENOMEM, "out of memory for attention");
    ego_parallel(cpu->pool, (size_t)t.a->heads, head_back, &t);
    free(t.scratch);
    return EGO_OK;
}
