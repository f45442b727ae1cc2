/* Operations that wait in a chain against the same ones at once: every bit, for each instruction set, for one to
 * three threads, for few rows and many. */
#include "check.h"

#include "base/rng.h"
#include "tensor/backend.h"

#include <stdlib.h>
#include <string.h>

enum { D = 100, HIDDEN = 176, VALUES = 12, MOST_ROWS = 2311 };

static ego_param norm_w, norm_b, w1, b1, w2, b2, gate, missing = {.name = "missing"};

static void random_floats(float *out, int64_t n, uint64_t key) {
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(ego_rng_unit(ego_rng_stream(20, key), (uint64_t)i) - 0.5);
}

static ego_param parameter(const char *name, uint64_t key, int64_t rows, int64_t columns) {
    float *data = malloc((size_t)(rows * columns) * sizeof *data);
    random_floats(data, rows * columns, key);
    ego_param p = {.name = name, .value = {.data = data, .dtype = EGO_F32, .shape = {rows, columns}}};
    p.value.ndim = columns == 1 ? 1 : 2;
    return p;
}

static ego_tensor *rows_of_noise(ego_ctx *cx, int64_t rows) {
    ego_tensor *x = EGO_TENSOR(cx, rows, D);
    if (x) random_floats(ego_f32(x), rows * D, 99);
    return x;
}

/* Some of everything: more calls than a chain holds, one that does not work row by row, and other rows after it. */
static int compute(ego_ctx *cx, const ego_tensor *x, bool chained, ego_tensor *out[VALUES]) {
    static const int64_t chosen[] = {0, 0, 0};
    int n = 0;
    if (chained) ego_chain_begin(cx);
    out[n++] = ego_layer_norm(cx, x, &norm_w, &norm_b, 1e-5f);
    out[n++] = ego_linear(cx, out[0], &w1, &b1, EGO_ACT_GELU, NULL);
    out[n++] = ego_linear(cx, out[1], &w2, &b2, EGO_ACT_NONE, x);
    out[n++] = ego_add(cx, out[2], x);
    out[n++] = ego_gated_add(cx, out[3], &gate, out[2]);
    out[n++] = ego_activate(cx, out[4], EGO_ACT_TANH);
    out[n++] = ego_linear_slice(cx, out[5], &w1, &b1, 16, 64);
    out[n++] = ego_layer_norm(cx, out[5], &norm_w, &norm_b, 1e-5f);
    out[n++] = ego_linear(cx, out[7], &w1, NULL, EGO_ACT_RELU, out[1]);
    out[n++] = ego_gather_rows(cx, out[7], chosen, 3);
    out[n++] = ego_linear(cx, out[9], &w1, &b1, EGO_ACT_NONE, NULL);
    out[n++] = ego_add(cx, out[7], x);
    if (chained) ego_chain_end(cx);
    return n;
}

static void test_bits(ego_backend *backend, int64_t rows) {
    ego_ctx cx;
    ego_tensor *at_once[VALUES], *later[VALUES];
    ego_ctx_init(&cx, backend);
    const ego_tensor *x = rows_of_noise(&cx, rows);
    CHECK(compute(&cx, x, false, at_once) == VALUES);
    CHECK(compute(&cx, x, true, later) == VALUES);
    if (CHECK_OK(ego_ctx_err(&cx)))
        for (int i = 0; i < VALUES; i++) {
            size_t bytes = (size_t)ego_tensor_count(at_once[i]) * sizeof(float);
            CHECK(memcmp(at_once[i]->data, later[i]->data, bytes) == 0);
        }
    ego_ctx_release(&cx);
}

/* A failure inside ends the chain, is told once, and leaves nothing waiting. */
static void test_failure(ego_backend *backend) {
    ego_ctx cx;
    ego_tensor *out[VALUES];
    ego_ctx_init(&cx, backend);
    const ego_tensor *x = rows_of_noise(&cx, 1000);
    ego_chain_begin(&cx);
    ego_tensor *y = ego_linear(&cx, x, &w1, &b1, EGO_ACT_NONE, NULL);
    CHECK(!ego_linear(&cx, y, &missing, NULL, EGO_ACT_NONE, NULL));
    ego_chain_end(&cx);
    CHECK_ERR(EGO_EMODEL, ego_ctx_err(&cx));
    compute(&cx, x, true, out);
    CHECK_OK(ego_ctx_err(&cx));
    ego_ctx_release(&cx);
}

int main(void) {
    static const char *const isas[] = {"generic", "avx2", "avx512"};
    static const int64_t rows[] = {1, 12, 431, 785, 1000, MOST_ROWS};
    norm_w = parameter("norm.weight", 1, D, 1), norm_b = parameter("norm.bias", 2, D, 1);
    w1 = parameter("fc1.weight", 3, HIDDEN, D), b1 = parameter("fc1.bias", 4, HIDDEN, 1);
    w2 = parameter("fc2.weight", 5, D, HIDDEN), b2 = parameter("fc2.bias", 6, D, 1);
    gate = parameter("gate", 7, 1, 1);
    ego_param *all[] = {&norm_w, &norm_b, &w1, &b1, &w2, &b2, &gate};
    for (unsigned threads = 1; threads <= 3; threads++) {
        ego_pool *pool;
        if (!CHECK_OK(ego_pool_new(threads, &pool))) break;
        for (size_t isa = 0; isa < sizeof isas / sizeof *isas; isa++) {
            ego_backend *backend;
            setenv("EGO_CPU", isas[isa], 1);
            if (ego_cpu_backend_new(pool, &backend) != EGO_OK) continue; /* not this machine's */
            for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) test_bits(backend, rows[i]);
            test_failure(backend);
            for (size_t i = 0; i < sizeof all / sizeof *all; i++) backend->forget(backend, all[i]);
            ego_backend_free(backend);
        }
        ego_pool_free(pool);
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]->value.data);
    return check_done();
}
