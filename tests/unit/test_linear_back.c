/* Gradients of products against loops in double precision, over shapes that tiles do not divide; the same
 * bits for any number of threads, and a row's for any rows beside it; for each instruction set. */
#include "check.h"

#include "base/rng.h"
#include "tensor/backend.h"
#include "tensor/tape.h"

#include <stdbool.h>

enum { THREADS_MAX = 3 };

/* Output columns [first, first + count) of the weight; count 0: all of them, with activation and residual. */
typedef struct shape {
    int64_t rows, outputs, inputs;
    ego_act act;
    int64_t first, count;
} shape;

static const shape shapes[] = {
    {1, 1, 1, EGO_ACT_NONE, 0, 0},      {5, 3, 2, EGO_ACT_TANH, 0, 0},
    {7, 16, 16, EGO_ACT_RELU, 0, 0},    {13, 17, 33, EGO_ACT_NONE, 0, 0},
    {64, 50, 48, EGO_ACT_NONE, 0, 0},   {65, 129, 70, EGO_ACT_NONE, 0, 0},
    {97, 100, 64, EGO_ACT_TANH, 0, 0},  {300, 48, 1024, EGO_ACT_NONE, 0, 0},
    {401, 385, 31, EGO_ACT_RELU, 0, 0}, {385, 96, 208, EGO_ACT_NONE, 32, 43},
    {790, 65, 129, EGO_ACT_NONE, 0, 0}, {4, 770, 40, EGO_ACT_NONE, 3, 700},
    {0, 8, 8, EGO_ACT_NONE, 0, 0},      {150, 1024, 1030, EGO_ACT_NONE, 0, 0},
    {400, 140, 272, EGO_ACT_NONE, 0, 0}, {300, 769, 90, EGO_ACT_RELU, 0, 0},
};

/* What is differentiated, and its gradients. */
typedef struct sample {
    shape s;
    int64_t count; /* columns of the result */
    float *x, *w, *b, *residual, *dy;
    float *y, *dx, *dw, *db, *dresidual;
} sample;

static float *noise(int64_t n, double scale) {
    static uint64_t streams;
    uint64_t stream = ego_rng_stream(3, streams++);
    float *f = malloc((size_t)(n + 1) * sizeof *f);
    for (int64_t i = 0; i < n; i++) f[i] = (float)(scale * ego_rng_normal(stream, (uint64_t)i));
    return f;
}
static float *zeros(int64_t n) { return calloc((size_t)n + 1, sizeof(float)); }
static float *copy_of(const float *from, int64_t n) {
    return memcpy(zeros(n), from, (size_t)n * sizeof *from);
}

static sample new_sample(shape s) {
    sample t = {.s = s, .count = s.count ? s.count : s.outputs};
    int64_t out = s.rows * t.count;
    t.x = noise(s.rows * s.inputs, 1);
    t.w = noise(s.outputs * s.inputs, 0.3);
    t.b = noise(s.outputs, 0.3);
    t.residual = s.act == EGO_ACT_NONE && !s.count ? noise(out, 1) : NULL;
    t.dy = noise(out, 1);
    t.y = zeros(out);
    t.dx = zeros(s.rows * s.inputs);
    t.dw = zeros(s.outputs * s.inputs);
    t.db = zeros(s.outputs);
    t.dresidual = zeros(out);
    return t;
}
/* The same inputs, `rows` of them; results empty. */
static sample again(const sample *from, int64_t rows) {
    sample t = *from;
    const shape *s = &from->s;
    int64_t out = rows * t.count;
    t.s.rows = rows;
    t.x = copy_of(from->x, rows * s->inputs);
    t.w = copy_of(from->w, s->outputs * s->inputs);
    t.b = copy_of(from->b, s->outputs);
    t.residual = from->residual ? copy_of(from->residual, out) : NULL;
    t.dy = copy_of(from->dy, out);
    t.y = zeros(out);
    t.dx = zeros(rows * s->inputs);
    t.dw = zeros(s->outputs * s->inputs);
    t.db = zeros(s->outputs);
    t.dresidual = zeros(out);
    return t;
}
static void free_sample(sample *t) {
    float *all[] = {t->x, t->w, t->b, t->residual, t->dy, t->y, t->dx, t->dw, t->db, t->dresidual};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static ego_tensor matrix(float *data, int64_t rows, int64_t columns) {
    return (ego_tensor){.data = data, .dtype = EGO_F32, .ndim = 2, .shape = {rows, columns}};
}
static void keep_grad(const ego_tensor *t, float *out) {
    const float *g = ego_grad(t);
    if (g) memcpy(out, g, (size_t)ego_tensor_count(t) * sizeof *g);
}

/* Two uses of the same operands: gradients of the second come on top of the first's. */
static void linear_by_tape(ego_backend *backend, sample *t, bool with_dx, bool with_dw) {
    const shape *s = &t->s;
    ego_ctx cx;
    ego_tape *tape;
    ego_ctx_init(&cx, backend);
    if (!CHECK_OK(ego_tape_new(false, &tape))) return;
    ego_tape_attach(&cx, tape);
    ego_tensor x = matrix(t->x, s->rows, s->inputs), r = matrix(t->residual, s->rows, t->count);
    ego_param w = {.name = "w", .value = matrix(t->w, s->outputs, s->inputs)}, b = w;
    b.value = (ego_tensor){.data = t->b, .dtype = EGO_F32, .ndim = 1, .shape = {s->outputs}};
    if (with_dw) w.grad = t->dw, b.grad = t->db;
    if (with_dx) ego_tape_leaf(&cx, &x);
    if (t->residual) ego_tape_leaf(&cx, &r);
    for (int use = 0; use < 2; use++) {
        ego_tensor *y = s->count ? ego_linear_slice(&cx, &x, &w, &b, s->first, s->count)
                                 : ego_linear(&cx, &x, &w, &b, s->act, t->residual ? &r : NULL);
        ego_grad_add(&cx, y, use ? 0.5f : 1, t->dy);
        if (y) memcpy(t->y, y->data, (size_t)ego_tensor_count(y) * sizeof(float));
    }
    ego_tape_backward(&cx);
    CHECK_OK(ego_ctx_err(&cx));
    keep_grad(&x, t->dx);
    if (t->residual) keep_grad(&r, t->dresidual);
    backend->forget(backend, &w);
    ego_tape_free(tape);
    ego_ctx_release(&cx);
}

/* ---- the reference ------------------------------------------------------------------------------------ */

static bool near(const float *got, const double *want, const double *size, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= 2e-6 * size[i] + 1e-6)) {
            fprintf(stderr, "    element %lld: expected %.9g, found %.9g\n", (long long)i, want[i], got[i]);
            return false;
        }
    return true;
}
/* sums[0] += v, sums[1] += |v|, of element i of n */
static void account(double *sums, int64_t n, int64_t i, double v) {
    sums[i] += v;
    sums[n + i] += fabs(v);
}

static double slope_at(ego_act act, double y) {
    return act == EGO_ACT_RELU ? y > 0 : act == EGO_ACT_TANH ? 1 - y * y : 1;
}

static void check_linear(const sample *t) {
    const shape *s = &t->s;
    int64_t nx = s->rows * s->inputs, nw = s->outputs * s->inputs, out = s->rows * t->count;
    double *dx = calloc((size_t)nx * 2 + 1, sizeof *dx), *dw = calloc((size_t)nw * 2 + 1, sizeof *dw);
    double *db = calloc((size_t)s->outputs * 2 + 1, sizeof *db);
    bool passes = true;
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t c = 0; c < t->count; c++) {
            int64_t o = s->first + c;
            double dz = 1.5 * t->dy[r * t->count + c] * slope_at(s->act, t->y[r * t->count + c]);
            account(db, s->outputs, o, dz);
            for (int64_t i = 0; i < s->inputs; i++) {
                account(dx, nx, r * s->inputs + i, dz * t->w[o * s->inputs + i]);
                account(dw, nw, o * s->inputs + i, dz * t->x[r * s->inputs + i]);
            }
        }
    CHECK(near(t->dx, dx, dx + nx, nx));
    CHECK(near(t->dw, dw, dw + nw, nw));
    CHECK(near(t->db, db, db + s->outputs, s->outputs));
    for (int64_t i = 0; t->residual && i < out; i++)
        passes = passes && fabs(t->dresidual[i] - 1.5 * t->dy[i]) <= 1e-6 * fabs(t->dy[i]);
    CHECK(passes);
    free(dx);
    free(dw);
    free(db);
}

static bool same(const float *a, const float *b, int64_t n) {
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

static void try_linear(ego_backend *backends[THREADS_MAX], shape s) {
    int64_t nw = s.outputs * s.inputs;
    sample t = new_sample(s);
    linear_by_tape(backends[0], &t, true, true);
    check_linear(&t);
    for (int i = 1; i < THREADS_MAX; i++) {
        sample more = again(&t, s.rows);
        linear_by_tape(backends[i], &more, true, true);
        CHECK(same(more.dx, t.dx, s.rows * s.inputs));
        CHECK(same(more.dw, t.dw, nw) && same(more.db, t.db, s.outputs));
        free_sample(&more);
    }
    sample fewer = again(&t, (s.rows + 1) / 2), only_w = again(&t, s.rows);
    linear_by_tape(backends[1], &fewer, true, false);
    CHECK(same(fewer.dx, t.dx, fewer.s.rows * s.inputs));
    linear_by_tape(backends[1], &only_w, false, true);
    CHECK(same(only_w.dw, t.dw, nw));
    free_sample(&fewer);
    free_sample(&only_w);
    free_sample(&t);
}

/* ---- the product of activations ------------------------------------------------------------------------- */

static void product_by_tape(ego_backend *backend, int64_t rows, int64_t columns, int64_t k, float *x,
                            float *y, const float *dz, float *z, float *dx, float *dy) {
    ego_ctx cx;
    ego_tape *tape;
    ego_ctx_init(&cx, backend);
    if (!CHECK_OK(ego_tape_new(false, &tape))) return;
    ego_tape_attach(&cx, tape);
    ego_tensor tx = matrix(x, rows, k), ty = matrix(y, columns, k);
    ego_tape_leaf(&cx, &tx);
    ego_tape_leaf(&cx, &ty);
    ego_tensor *out = ego_product(&cx, &tx, &ty);
    ego_grad_add(&cx, out, 1, dz);
    if (out) memcpy(z, out->data, (size_t)(rows * columns) * sizeof *z);
    ego_tape_backward(&cx);
    CHECK_OK(ego_ctx_err(&cx));
    keep_grad(&tx, dx);
    keep_grad(&ty, dy);
    ego_tape_free(tape);
    ego_ctx_release(&cx);
}

static void try_product(ego_backend *backends[THREADS_MAX], int64_t rows, int64_t columns, int64_t k) {
    int64_t nz = rows * columns, nx = rows * k, ny = columns * k;
    float *x = noise(nx, 1), *y = noise(ny, 1), *dz = noise(nz, 1);
    float *first = zeros(nz + nx + ny);
    for (int i = 0; i < THREADS_MAX; i++) {
        float *all = i == 0 ? first : zeros(nz + nx + ny);
        product_by_tape(backends[i], rows, columns, k, x, y, dz, all, all + nz, all + nz + nx);
        CHECK(same(all, first, nz + nx + ny));
        if (i) free(all);
    }
    double *want = calloc((size_t)(2 * (nz + nx + ny)), sizeof *want), *wx = want + 2 * nz, *wy = wx + 2 * nx;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            for (int64_t i = 0; i < k; i++) {
                account(want, nz, r * columns + c, (double)x[r * k + i] * y[c * k + i]);
                account(wx, nx, r * k + i, (double)dz[r * columns + c] * y[c * k + i]);
                account(wy, ny, c * k + i, (double)dz[r * columns + c] * x[r * k + i]);
            }
    CHECK(near(first, want, want + nz, nz));
    CHECK(near(first + nz, wx, wx + nx, nx));
    CHECK(near(first + nz + nx, wy, wy + ny, ny));
    free(want);
    free(first);
    free(x);
    free(y);
    free(dz);
}

/* ---- all of it for each instruction set ----------------------------------------------------------------- */

static void try_all(void) {
    ego_pool *pools[THREADS_MAX] = {0};
    ego_backend *backends[THREADS_MAX] = {0};
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        if (!CHECK_OK(ego_pool_new(i + 1, &pools[i]))) return;
        if (!CHECK_OK(ego_cpu_backend_new(pools[i], &backends[i]))) return;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int failed = check_failed;
        try_linear(backends, shapes[i]);
        if (check_failed > failed)
            fprintf(stderr, "    linear (%lld, %lld, %lld), EGO_CPU=%s\n", (long long)shapes[i].rows,
                    (long long)shapes[i].outputs, (long long)shapes[i].inputs, getenv("EGO_CPU"));
    }
    try_product(backends, 1, 1, 1);
    try_product(backends, 6, 9, 70);
    try_product(backends, 64, 64, 256);
    try_product(backends, 37, 130, 1025);
    for (int i = 0; i < THREADS_MAX; i++) {
        ego_backend_free(backends[i]);
        ego_pool_free(pools[i]);
    }
}

int main(void) {
    static const char *const sets[] = {"generic", "avx2", "avx512"};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        ego_backend *backend;
        setenv("EGO_CPU", sets[i], 1);
        if (ego_cpu_backend_new(NULL, &backend) != EGO_OK) continue; /* not of this machine */
        ego_backend_free(backend);
        try_all();
    }
    return check_done();
}
