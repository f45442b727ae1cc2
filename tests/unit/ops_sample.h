/* What the table of operations (ops_table.h) is made of: an operation, a sample of its inputs and parameters,
 * and the machines it is tried on.
 *
 * References read inputs and parameters through at() and param_at(), in double precision; what is `nudged`
 * reads a little more or less there than the operation sees. So a reference has derivatives, as exact as
 * double precision gives them, whatever the type of the parameter.
 */
#ifndef EGO_TESTS_OPS_SAMPLE_H
#define EGO_TESTS_OPS_SAMPLE_H

#include "check.h"

#include "base/rng.h"
#include "tensor/backend.h"
#include "tensor/panel.h"

#include <stdbool.h>

enum { DIMS = 10, INPUTS = 3 };

typedef struct sample sample;

/* How an operation is tried. dims mean what `make` says. */
typedef struct operation {
    const char *name;
    void (*make)(sample *s);
    ego_tensor *(*forward)(ego_ctx *cx, sample *s);
    void (*reference)(const sample *s, double *out);
    double tolerance; /* times the largest magnitude of the result, or 1 */
    double gradient;  /* tolerance times the largest magnitude of a gradient */
    unsigned by_row;  /* bit i: row r of the result depends on row r of in[i], and no other row */
} operation;

struct sample {
    const operation *op;
    size_t number; /* in the table of cases */
    int64_t n[DIMS];
    ego_arena arena;
    ego_tensor *in[INPUTS];
    ego_param param[INPUTS];
    ego_segment *segments;
    int64_t count;
    int64_t *rows;     /* numbers of rows, or labels */
    uint8_t *positive; /* of EgoNCE */
    ego_groups groups;
    float *numbers[2]; /* targets and weights of losses, biases of keys */
    ego_dropout drop;
};

/* ---- samples --------------------------------------------------------------------------------------- */

static ego_tensor *new_tensor(sample *s, int ndim, const int64_t *shape) {
    ego_tensor *t = ego_arena_alloc(&s->arena, sizeof *t);
    *t = (ego_tensor){.dtype = EGO_F32, .ndim = ndim};
    memcpy(t->shape, shape, (size_t)ndim * sizeof *shape);
    t->data = ego_arena_alloc(&s->arena, (size_t)ego_tensor_count(t) * sizeof(float));
    return t;
}
#define SHAPE(...)                                                                                 \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }

static uint64_t streams;

static ego_tensor *random_tensor(sample *s, double scale, int ndim, const int64_t *shape) {
    ego_tensor *t = new_tensor(s, ndim, shape);
    uint64_t stream = ego_rng_stream(7, streams++);
    for (int64_t i = 0; i < ego_tensor_count(t); i++)
        ego_f32(t)[i] = (float)(scale * ego_rng_normal(stream, (uint64_t)i));
    return t;
}

/* A parameter as a file would hold it: in any float type. */
static void random_param(sample *s, int which, ego_dtype dtype, double scale, int ndim,
                         const int64_t *shape) {
    ego_tensor *t = random_tensor(s, scale, ndim, shape);
    size_t n = (size_t)ego_tensor_count(t);
    if (dtype != EGO_F32) {
        uint16_t *half = ego_arena_alloc(&s->arena, n * sizeof *half);
        for (size_t i = 0; i < n; i++)
            half[i] =
                dtype == EGO_F16 ? ego_f32_to_f16(ego_f32(t)[i]) : ego_f32_to_bf16(ego_f32(t)[i]);
        t->data = half;
        t->dtype = dtype;
    }
    s->param[which] = (ego_param){.name = "test", .value = *t};
}

static void to_panels(sample *s, ego_param *w) {
    int64_t outputs = w->value.shape[0], inputs = ego_tensor_count(&w->value) / outputs;
    float *panels = ego_arena_alloc(&s->arena, ego_panel_bytes(outputs, inputs));
    ego_panel_pack(w->value.data, w->value.dtype, outputs, inputs, 0, ego_panel_count(outputs),
                   panels);
    w->value.data = panels;
    w->value.dtype = EGO_F32;
    w->panelled = true;
}

/* What references see more of than operations: one element of a tensor or parameter, or all of them, each
 * with a sign of its own. */
enum { EVERY = -1 };

static struct {
    const void *of;
    int64_t element;
    double by;
} nudge;

static double sign_of(int64_t i) { return ego_rng_mix((uint64_t)i) & 1 ? 1 : -1; }

static double nudged(const void *of, int64_t i) {
    if (nudge.of != of) return 0;
    if (nudge.element == EVERY) return nudge.by * sign_of(i);
    return nudge.element == i ? nudge.by : 0;
}

static double at(const ego_tensor *t, int64_t i) { return ego_f32(t)[i] + nudged(t, i); }

/* Element i of a parameter, whatever its form. */
static double param_at(const ego_param *p, int64_t i) {
    double more = nudged(p, i);
    float value;
    if (p->panelled) {
        int64_t inputs = ego_tensor_count(&p->value) / p->value.shape[0], row = i / inputs;
        i = row / EGO_PANEL * EGO_PANEL * inputs + i % inputs * EGO_PANEL + row % EGO_PANEL;
    }
    ego_to_f32((const char *)p->value.data + (size_t)i * ego_dtype_bytes(p->value.dtype),
               p->value.dtype, &value, 1);
    return value + more;
}

/* Streams for `rows` rows, of which `percent` of the values are dropped. */
static void random_drop(sample *s, int64_t rows, int64_t percent) {
    uint64_t *of = ego_arena_alloc(&s->arena, (size_t)(rows + 1) * sizeof *of);
    for (int64_t r = 0; r < rows; r++) of[r] = ego_rng_u64(ego_rng_stream(7, streams), (uint64_t)r);
    s->drop = (ego_dropout){.p = (float)percent / 100, .streams = of, .site = streams++};
}
/* What value number c of row r is multiplied by. */
static double drop_reference(const sample *s, int64_t r, int64_t c) {
    const ego_dropout *d = &s->drop;
    if (!d->streams || d->p <= 0) return 1;
    bool stays = ego_rng_unit(ego_rng_stream(d->streams[r], d->site), (uint64_t)c) >= (double)d->p;
    return stays ? 1 / (1 - (double)d->p) : 0;
}

/* ---- machines ---------------------------------------------------------------------------------------- */

enum { MACHINES = 3, POOLS = 3 };

typedef struct machine {
    const char *isa;
    ego_backend *backend[POOLS]; /* on 1, 2 and 3 threads */
} machine;

static ego_pool *pools[POOLS];

/* Those this processor can be; returns how many. */
static size_t machines_open(machine machines[MACHINES]) {
    static const char *const isas[MACHINES] = {"generic", "avx2", "avx512"};
    size_t n = 0;
    for (unsigned i = 1; i < POOLS; i++) CHECK_OK(ego_pool_new(i + 1, &pools[i]));
    for (size_t isa = 0; isa < MACHINES; isa++) {
        machine *m = &machines[n];
        m->isa = isas[isa];
        setenv("EGO_CPU", isas[isa], 1);
        if (ego_cpu_backend_new(pools[0], &m->backend[0]) != EGO_OK) {
            printf("%s: left out: %s\n", isas[isa], ego_err_message());
            continue;
        }
        for (int i = 1; i < POOLS; i++) CHECK_OK(ego_cpu_backend_new(pools[i], &m->backend[i]));
        n++;
    }
    return n;
}

static void machines_close(machine *machines, size_t n) {
    for (size_t m = 0; m < n; m++)
        for (int i = 0; i < POOLS; i++) ego_backend_free(machines[m].backend[i]);
    for (int i = 0; i < POOLS; i++) ego_pool_free(pools[i]);
}

static void say(const sample *s, const machine *m, const char *what) {
    fprintf(stderr, "    %s {", s->op->name);
    for (int i = 0; i < DIMS; i++) fprintf(stderr, "%s%lld", i ? ", " : "", (long long)s->n[i]);
    fprintf(stderr, "}, %s: %s\n", m->isa, what);
}

static bool close_to_reference(const sample *s, const ego_tensor *out, double *worst) {
    int64_t n = ego_tensor_count(out);
    double *want = calloc((size_t)n + 1, sizeof *want), scale = 1;
    bool good = true;
    s->op->reference(s, want);
    for (int64_t i = 0; i < n; i++)
        if (fabs(want[i]) > scale && isfinite(want[i])) scale = fabs(want[i]);
    for (int64_t i = 0; i < n; i++) {
        double got = at(out, i), error = fabs(got - want[i]) / scale;
        if (isnan(want[i]) || isinf(want[i]))
            good &= isnan(want[i]) ? isnan(got) : got == want[i];
        else {
            good &= error <= s->op->tolerance;
            if (!(error <= *worst)) *worst = error;
        }
    }
    free(want);
    return good;
}

#endif
