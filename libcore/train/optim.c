#include "train/optim.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Work is cut into BLOCK elements whatever the threads. Inside, loops of exactly LANES elements are
 * what gcc makes vector code of at -O2; LANES partial sums keep one order of adding. */
enum { BLOCK = 1 << 15, LANES = 16, ALIGN_FLOATS = 16 };

typedef struct ego_optim_block {
    ego_trained *param;
    int64_t from, count;
    bool bad; /* something in it was not finite after the update */
} block;

ego_trained ego_trained_of(const char *name, const ego_tensor *value, float *grad) {
    ego_trained t = {.name = name,
                     .value = ego_f32(value),
                     .grad = grad,
                     .count = ego_tensor_count(value),
                     .ndim = value->ndim,
                     .lr_scale = 1,
                     .decay = true};
    memcpy(t.shape, value->shape, sizeof t.shape);
    return t;
}

ego_adamw ego_adamw_default(void) {
    return (ego_adamw){.beta1 = 0.9, .beta2 = 0.98, .eps = 1e-8, .weight_decay = 0.01};
}

/* ---- making one ------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static ego_err check_names(const ego_trained *params, size_t count) {
    const char **names = malloc((count + 1) * sizeof *names);
    if (!names) return ego_fail(EGO_ENOMEM, "out of memory for %zu parameters", count);
    ego_err err = EGO_OK;
    for (size_t i = 0; i < count; i++) names[i] = params[i].name;
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 1; i < count && err == EGO_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            err = ego_fail(EGO_EINPUT, "two parameters are called %s", names[i]);
    free(names);
    return err;
}

static ego_err check_adamw(const ego_adamw *a) {
    bool good = a->beta1 >= 0 && a->beta1 < 1 && a->beta2 >= 0 && a->beta2 < 1 && a->eps > 0 &&
                a->eps < INFINITY && a->weight_decay >= 0 && a->weight_decay < INFINITY;
    if (good) return EGO_OK;
    return ego_fail(
        EGO_EINPUT,
        "AdamW: expected betas in [0, 1), eps above 0 and weight decay from 0, found %g, "
        "%g, %g, %g",
        a->beta1, a->beta2, a->eps, a->weight_decay);
}

static int64_t padded(int64_t n) { return (n + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS; }

static ego_err allocate(ego_optim *o) {
    size_t floats = 0;
    for (size_t i = 0; i < o->count; i++) {
        floats += 2 * (size_t)padded(o->params[i].count);
        o->block_count += (size_t)((o->params[i].count + BLOCK - 1) / BLOCK);
    }
    size_t bytes = floats * sizeof *o->moments;
    o->moments = aligned_alloc(64, bytes ? bytes : 64);
    o->blocks = calloc(o->block_count + 1, sizeof *o->blocks);
    o->partial = calloc(o->block_count + 1, sizeof *o->partial);
    if (!o->moments || !o->blocks || !o->partial)
        return ego_fail(EGO_ENOMEM, "out of memory for the moments of %zu parameters (%.1f GB)",
                        o->count, (double)bytes * 1e-9);
    memset(o->moments, 0, bytes);
    return EGO_OK;
}

static void lay_out(ego_optim *o) {
    float *at = o->moments;
    block *b = o->blocks;
    for (size_t i = 0; i < o->count; i++) {
        ego_trained *p = &o->params[i];
        p->m = at;
        p->v = at + padded(p->count);
        at += 2 * padded(p->count);
        for (int64_t from = 0; from < p->count; from += BLOCK)
            *b++ = (block){p, from, p->count - from < BLOCK ? p->count - from : BLOCK, false};
    }
}

ego_err ego_optim_init(ego_optim *optim, const ego_adamw *adamw, ego_trained *params, size_t count,
                       ego_pool *pool) {
    *optim = (ego_optim){.adamw = *adamw, .params = params, .count = count, .pool = pool};
    EGO_TRY(check_adamw(adamw));
    EGO_TRY(check_names(params, count));
    ego_err err = allocate(optim);
    if (err == EGO_OK)
        lay_out(optim);
    else
        ego_optim_release(optim);
    return err;
}

void ego_optim_release(ego_optim *optim) {
    free(optim->moments);
    free(optim->blocks);
    free(optim->partial);
    *optim = (ego_optim){0};
}

/* ---- gradients -------------------------------------------------------------------------------------- */

static void zero_block(void *context, size_t i, unsigned worker) {
    (void)worker;
    const block *b = &((ego_optim *)context)->blocks[i];
    memset(b->param->grad + b->from, 0, (size_t)b->count * sizeof(float));
}

void ego_optim_zero_grads(ego_optim *optim) {
    ego_parallel(optim->pool, optim->block_count, zero_block, optim);
}

static void square_block(void *context, size_t i, unsigned worker) {
    (void)worker;
    ego_optim *o = context;
    const block *b = &o->blocks[i];
    const float *g = b->param->grad + b->from;
    double lane[LANES] = {0}, sum = 0;
    int64_t at = 0;
    for (; at + LANES <= b->count; at += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += (double)g[at + l] * (double)g[at + l];
    for (int l = 0; at < b->count; at++, l++) lane[l] += (double)g[at] * (double)g[at];
    for (int l = 0; l < LANES; l++) sum += lane[l];
    o->partial[i] = sum;
}

/* Squares of floats stay below 1.2e77, so that no number of them overflows a double: the sum is finite
 * exactly when every gradient is. */
double ego_optim_square_norm(ego_optim *optim) {
    double sum = 0;
    ego_parallel(optim->pool, optim->block_count, square_block, optim);
    for (size_t i = 0; i < optim->block_count; i++) sum += optim->partial[i];
    return sum;
}

static ego_err check_array(const char *what, const char *name, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return ego_fail(EGO_EDIVERGED, "%s of %s is %s at element %" PRId64 " of %" PRId64,
                            what, name, isnan(x[i]) ? "NaN" : "infinite", i, n);
    return EGO_OK;
}

ego_err ego_optim_check_grads(const ego_optim *optim) {
    for (size_t i = 0; i < optim->count; i++) {
        const ego_trained *p = &optim->params[i];
        EGO_TRY(check_array("the gradient", p->name, p->grad, p->count));
    }
    return EGO_OK;
}

typedef struct scaling {
    const ego_optim *optim;
    float factor;
} scaling;

static void scale_block(void *context, size_t i, unsigned worker) {
    (void)worker;
    const scaling *s = context;
    const block *b = &s->optim->blocks[i];
    float *g = b->param->grad + b->from;
    for (int64_t k = 0; k < b->count; k++) g[k] *= s->factor;
}

void ego_optim_scale_grads(ego_optim *optim, double factor) {
    scaling s = {optim, (float)factor};
    ego_parallel(optim->pool, optim->block_count, scale_block, &s);
}

/* ---- the update ------------------------------------------------------------------------------------- */

typedef struct factors {
    ego_optim *optim;
    float beta1, beta2, rest1, rest2, eps; /* rest: 1 − β */
    double lr, size;                       /* size: lr with the bias corrections */
} factors;

/* How much of a parameter the update moves, and how much of it decays before or after. */
typedef struct moves {
    float size, before, after;
} moves;

/* LANES elements; returns whether any is not finite. An infinite v would freeze its parameter for good, so it
 * counts. Exponent bits all ones: NaN or infinite. */
static uint32_t update_lanes(const factors *f, moves by, float *restrict p, const float *restrict g,
                             float *restrict m, float *restrict v) {
    uint32_t bits[2 * LANES], bad = 0;
    for (int l = 0; l < LANES; l++) {
        m[l] = f->beta1 * m[l] + f->rest1 * g[l];
        v[l] = f->beta2 * v[l] + f->rest2 * (g[l] * g[l]);
        float moved = p[l] - by.before * p[l] - by.size * (m[l] / (sqrtf(v[l]) + f->eps));
        p[l] = moved - by.after * moved;
    }
    memcpy(bits, p, LANES * sizeof *bits);
    memcpy(bits + LANES, v, LANES * sizeof *bits);
    for (int l = 0; l < 2 * LANES; l++) bad |= (bits[l] & 0x7f800000u) == 0x7f800000u;
    return bad;
}

static void update_block(void *context, size_t i, unsigned worker) {
    (void)worker;
    const factors *f = context;
    block *b = &f->optim->blocks[i];
    const ego_trained *t = b->param;
    float *p = t->value + b->from, *m = t->m + b->from, *v = t->v + b->from;
    const float *g = t->grad + b->from;
    float decay = t->decay ? (float)(f->lr * t->lr_scale * f->optim->adamw.weight_decay) : 0;
    bool first = f->optim->adamw.torch;
    moves by = {(float)(f->size * t->lr_scale), first ? decay : 0, first ? 0 : decay};
    uint32_t bad = 0;
    int64_t at = 0;
    for (; at + LANES <= b->count; at += LANES)
        bad |= update_lanes(f, by, p + at, g + at, m + at, v + at);
    if (at < b->count) {
        float rest[4][LANES] = {{0}}; /* p, g, m, v */
        size_t bytes = (size_t)(b->count - at) * sizeof(float);
        memcpy(rest[0], p + at, bytes);
        memcpy(rest[1], g + at, bytes);
        memcpy(rest[2], m + at, bytes);
        memcpy(rest[3], v + at, bytes);
        bad |= update_lanes(f, by, rest[0], rest[1], rest[2], rest[3]);
        memcpy(p + at, rest[0], bytes);
        memcpy(m + at, rest[2], bytes);
        memcpy(v + at, rest[3], bytes);
    }
    b->bad = bad != 0;
}

ego_err ego_optim_update(ego_optim *optim, double lr) {
    const ego_adamw *a = &optim->adamw;
    double t = (double)++optim->updates, second = sqrt(1 - pow(a->beta2, t));
    factors f = {.optim = optim,
                 .beta1 = (float)a->beta1,
                 .beta2 = (float)a->beta2,
                 .rest1 = (float)(1 - a->beta1),
                 .rest2 = (float)(1 - a->beta2),
                 .eps = (float)(a->torch ? a->eps * second : a->eps), /* with the correction divided out */
                 .lr = lr,
                 .size = lr * second / (1 - pow(a->beta1, t))};
    ego_parallel(optim->pool, optim->block_count, update_block, &f);
    for (size_t i = 0; i < optim->block_count; i++) {
        const ego_trained *p = optim->blocks[i].param;
        if (!optim->blocks[i].bad) continue;
        EGO_TRY(check_array("the value", p->name, p->value, p->count));
        EGO_TRY(check_array("the second moment", p->name, p->v, p->count));
    }
    return EGO_OK;
}
