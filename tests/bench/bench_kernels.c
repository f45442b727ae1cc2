/* Speed of the operations at the model's shapes.
 *
 *     bench_kernels [THREADS [SECONDS]]
 *
 * Products stand beside OpenBLAS's sgemm (when the machine has the library), measured in turns in the
 * same run. Each figure is the median of the turns. EGO_CPU chooses the instruction set as always.
 */
#include "base/rng.h"
#include "tensor/backend.h"
#include "tensor/tape.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- OpenBLAS -------------------------------------------------------------------------------------- */

/* cblas_sgemm(order, transA, transB, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc) */
typedef void sgemm_fn(int, int, int, int, int, int, float, const float *, int, const float *, int,
                      float, float *, int);
enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112 };

static sgemm_fn *find_sgemm(int threads) {
    /* Releases older than the processor fall back to kernels from 2004: name the best they know. */
    if (__builtin_cpu_supports("avx512f")) setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
    void *library = dlopen("libopenblas.so.0", RTLD_NOW);
    if (!library) return NULL;
    void (*set_threads)(int);
    sgemm_fn *sgemm;
    *(void **)&set_threads = dlsym(library, "openblas_set_num_threads");
    *(void **)&sgemm = dlsym(library, "cblas_sgemm");
    if (set_threads) set_threads(threads);
    return sgemm;
}

/* ---- medians ---------------------------------------------------------------------------------------- */

enum { TURNS = 9, WAYS = 3 };

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median seconds of one call for each way, measured in turns; a turn lasts about `seconds`. */
static void measure(double seconds, int ways, void (*const run[])(void *), void *context,
                    double median[]) {
    double taken[WAYS][TURNS];
    int calls[WAYS];
    for (int w = 0; w < ways; w++) {
        run[w](context);
        double start = now();
        run[w](context);
        calls[w] = 1 + (int)(seconds / (now() - start + 1e-9));
        if (calls[w] > 100000) calls[w] = 100000;
    }
    for (int t = 0; t < TURNS; t++)
        for (int w = 0; w < ways; w++) {
            double start = now();
            for (int i = 0; i < calls[w]; i++) run[w](context);
            taken[w][t] = (now() - start) / calls[w];
        }
    for (int w = 0; w < ways; w++) {
        qsort(taken[w], TURNS, sizeof taken[w][0], ascending);
        median[w] = taken[w][TURNS / 2];
    }
}

/* ---- what is measured --------------------------------------------------------------------------------- */

typedef struct job {
    ego_ctx cx;
    ego_tensor *x, *y, *out;
    ego_param w, b, norm, gate;
    ego_act act;
    bool residual;
    ego_attention_args attention;
    sgemm_fn *sgemm;
} job;

static void fill(ego_tensor *t, double scale) {
    uint64_t stream = ego_rng_stream(1, (uint64_t)ego_tensor_count(t));
    for (int64_t i = 0; i < ego_tensor_count(t); i++)
        ego_f32(t)[i] = (float)(scale * (ego_rng_unit(stream, (uint64_t)i) - 0.5));
}
static ego_tensor *tensor(ego_ctx *cx, double scale, int64_t rows, int64_t columns) {
    ego_tensor *t = EGO_TENSOR(cx, rows, columns);
    if (!t) {
        fprintf(stderr, "bench_kernels: out of memory\n");
        exit(1);
    }
    fill(t, scale);
    return t;
}
static ego_param parameter(ego_ctx *cx, double scale, int64_t rows, int64_t columns) {
    return (ego_param){.name = "bench", .value = *tensor(cx, scale, rows, columns)};
}

static void run_linear(void *context) {
    job *j = context;
    ego_ctx_mark mark = ego_ctx_save(&j->cx);
    ego_linear(&j->cx, j->x, &j->w, &j->b, j->act, j->residual ? j->y : NULL);
    ego_ctx_rewind(&j->cx, &mark);
}
static void linear_back(job *j, const ego_tensor *x, ego_param w, ego_param *b) {
    ego_call call = {
        .op = EGO_OP_linear, .in = {x}, .param = {&w, b}, .out = j->y, .as.linear = {j->act, 0}};
    j->cx.backend->backward[EGO_OP_linear](j->cx.backend, &call);
}
static void run_input_gradient(void *context) {
    job *j = context;
    ego_param w = j->w;
    w.grad = NULL;
    linear_back(j, j->x, w, NULL);
}
static void run_weight_gradient(void *context) {
    job *j = context;
    ego_tensor x = *j->x;
    x.node = NULL;
    linear_back(j, &x, j->w, &j->b);
}
static void run_sgemm(void *context) {
    job *j = context;
    int m = (int)ego_tensor_rows(j->x), k = (int)ego_tensor_columns(j->x);
    int n = (int)j->w.value.shape[0];
    j->sgemm(ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE, m, n, k, 1, j->x->data, k, j->w.value.data, k, 0,
             j->y->data, n);
}
static void run_attention(void *context) {
    job *j = context;
    ego_ctx_mark mark = ego_ctx_save(&j->cx);
    ego_attention(&j->cx, &j->attention);
    ego_ctx_rewind(&j->cx, &mark);
}
static void run_attention_back(void *context) {
    job *j = context;
    const ego_attention_args *a = &j->attention;
    ego_call call = {.op = EGO_OP_attention,
                     .in = {a->q, a->k, a->v},
                     .out = j->out,
                     .as.attention = *a};
    j->cx.backend->backward[EGO_OP_attention](j->cx.backend, &call);
}
/* Gives x a gradient, of zeros. */
static void give_gradient(ego_ctx *cx, ego_tensor *x, ego_node *node) {
    *node = (ego_node){.tensor = x, .wanted = true, .grad = tensor(cx, 0, x->shape[0], x->shape[1])->data};
    x->node = node;
}

#define ROW_OPS(X)                                                                                 \
    X(layer_norm, 2, ego_layer_norm(&j->cx, j->x, &j->norm, &j->b, 1e-6f))                         \
    X(softmax, 2, ego_softmax(&j->cx, j->x))                                                       \
    X(l2_normalize, 2, ego_l2_normalize(&j->cx, j->x))                                             \
    X(gelu, 2, ego_activate(&j->cx, j->x, EGO_ACT_GELU))                                           \
    X(tanh, 2, ego_activate(&j->cx, j->x, EGO_ACT_TANH))                                           \
    X(add, 3, ego_add(&j->cx, j->x, j->y))                                                         \
    X(gated_add, 3, ego_gated_add(&j->cx, j->x, &j->gate, j->y))                                   \
    X(concat, 4, ego_concat(&j->cx, j->x, j->y))
#define ROW_OP_RUN(name, passes, call)                                                             \
    static void run_##name(void *context) {                                                        \
        job *j = context;                                                                          \
        ego_ctx_mark mark = ego_ctx_save(&j->cx);                                                  \
        call;                                                                                      \
        ego_ctx_rewind(&j->cx, &mark);                                                             \
    }
ROW_OPS(ROW_OP_RUN)

static const struct {
    const char *name;
    void (*run)(void *);
    int passes; /* tensors read and written */
} row_ops[] = {
#define ROW_OP_ENTRY(name, passes, call) {#name, run_##name, passes},
    ROW_OPS(ROW_OP_ENTRY)};

/* ---- tables --------------------------------------------------------------------------------------------- */

static const struct {
    int64_t rows, outputs, inputs;
    ego_act act;
    bool residual;
} products[] = {
    {785, 2304, 768, EGO_ACT_NONE, false}, {785, 768, 768, EGO_ACT_NONE, true},
    {785, 3072, 768, EGO_ACT_GELU, false}, {785, 768, 3072, EGO_ACT_NONE, true},
    {784, 768, 768, EGO_ACT_NONE, false},  {3140, 2304, 768, EGO_ACT_NONE, false},
    {3140, 768, 768, EGO_ACT_NONE, true},  {3140, 3072, 768, EGO_ACT_GELU, false},
    {3140, 768, 3072, EGO_ACT_NONE, true}, {1, 768, 768, EGO_ACT_NONE, true},
    {1, 3072, 768, EGO_ACT_GELU, false},   {1, 768, 3072, EGO_ACT_NONE, true},
    {1, 4096, 4096, EGO_ACT_RELU, false},  {10, 768, 768, EGO_ACT_NONE, true},
    {10, 3072, 768, EGO_ACT_GELU, false},  {10, 768, 3072, EGO_ACT_NONE, true},
    {30, 768, 768, EGO_ACT_NONE, true},    {30, 3072, 768, EGO_ACT_GELU, false},
    {30, 768, 3072, EGO_ACT_NONE, true},   {4, 4096, 768, EGO_ACT_RELU, false},
    {4, 4096, 4096, EGO_ACT_RELU, false},  {64, 4096, 4096, EGO_ACT_RELU, false},
};

/* Forward, dx and dW (with db) of training: batches of clips, narrations, heads, a small model. */
static const struct {
    int64_t rows, outputs, inputs;
} trained[] = {{785, 768, 768},  {785, 3072, 768}, {785, 768, 3072},  {3140, 2304, 768}, {3140, 768, 3072},
               {10, 50265, 768}, {64, 4096, 768},  {1570, 128, 128}, {1570, 512, 128},  {3140, 192, 768}};

enum { SPACE, TIME, CLASS, FULL, CROSS, PATTERNS };
static const char *const pattern_names[PATTERNS] = {"space", "time", "class token", "full",
                                                    "cross"};
static const struct {
    int pattern;
    int64_t batch, frames, patches; /* FULL, CROSS: `frames` queries on `patches` keys */
} attentions[] = {
    {SPACE, 1, 4, 196}, {TIME, 1, 4, 196}, {TIME, 1, 16, 196},  {CLASS, 1, 4, 196},
    {FULL, 8, 30, 30},  {FULL, 1, 10, 10}, {CROSS, 1, 10, 785}, {CROSS, 1, 785, 10},
    {SPACE, 4, 4, 196}, {TIME, 4, 4, 196}, {FULL, 8, 12, 12},   {CROSS, 4, 12, 785},
    {CROSS, 4, 785, 12}, {SPACE, 8, 4, 49},
};

static void bench_products(ego_backend *backend, sgemm_fn *sgemm, double seconds) {
    printf("%6s %6s %6s  %-14s %10s %10s %7s\n", "rows", "out", "in", "then", "GFLOP/s", "OpenBLAS",
           "ratio");
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        job j = {.act = products[i].act, .residual = products[i].residual, .sgemm = sgemm};
        int64_t m = products[i].rows, n = products[i].outputs, k = products[i].inputs;
        ego_ctx_init(&j.cx, backend);
        j.x = tensor(&j.cx, 2, m, k);
        j.y = tensor(&j.cx, 2, m, n);
        j.w = parameter(&j.cx, 0.1, n, k);
        j.b = parameter(&j.cx, 1, 1, n);
        double median[WAYS], flop = 2e-9 * (double)m * (double)n * (double)k;
        measure(seconds, sgemm ? 2 : 1, (void (*const[])(void *)){run_linear, run_sgemm}, &j,
                median);
        printf("%6lld %6lld %6lld  %-14s %10.1f", (long long)m, (long long)n, (long long)k,
               j.act == EGO_ACT_GELU   ? "gelu"
               : j.act == EGO_ACT_RELU ? "relu"
               : j.residual            ? "residual"
                                       : "",
               flop / median[0]);
        if (sgemm) printf(" %10.1f %7.2f", flop / median[1], median[1] / median[0]);
        printf("  %9.3f ms  %6.1f GB/s of weights\n", median[0] * 1e3,
               4e-9 * (double)(n * k) / median[0]);
        backend->forget(backend, &j.w);
        ego_ctx_release(&j.cx);
    }
}

static void bench_gradients(ego_backend *backend, double seconds) {
    enum { FORWARD, DX, DW, TRAINED_WAYS };
    printf("\n%6s %6s %6s  %10s %10s %10s   GFLOP/s of products\n", "rows", "out", "in", "forward", "dx",
           "dW, db");
    for (size_t i = 0; i < sizeof trained / sizeof *trained; i++) {
        int64_t m = trained[i].rows, n = trained[i].outputs, k = trained[i].inputs;
        job j = {0};
        ego_node nodes[2];
        double median[TRAINED_WAYS], flop = 2e-9 * (double)m * (double)n * (double)k;
        ego_ctx_init(&j.cx, backend);
        j.x = tensor(&j.cx, 2, m, k);
        j.y = tensor(&j.cx, 2, m, n);
        j.w = parameter(&j.cx, 0.1, n, k);
        j.b = parameter(&j.cx, 1, 1, n);
        j.w.grad = ego_f32(tensor(&j.cx, 0, n, k));
        j.b.grad = ego_f32(tensor(&j.cx, 0, 1, n));
        give_gradient(&j.cx, j.x, &nodes[0]);
        give_gradient(&j.cx, j.y, &nodes[1]);
        fill(j.y, 2);
        nodes[1].grad = ego_f32(j.y);
        measure(seconds, TRAINED_WAYS,
                (void (*const[])(void *)){run_linear, run_input_gradient, run_weight_gradient}, &j,
                median);
        printf("%6lld %6lld %6lld  %10.1f %10.1f %10.1f\n", (long long)m, (long long)n, (long long)k,
               flop / median[FORWARD], flop / median[DX], flop / median[DW]);
        backend->forget(backend, &j.w);
        ego_ctx_release(&j.cx);
    }
}

/* Fills `segments`, returns their number; *pairs counts products of a query with a key. */
static int64_t make_segments(int pattern, int64_t B, int64_t F, int64_t N, ego_segment *segments,
                             double *pairs) {
    int64_t n = 0, T = 1 + F * N;
    for (int64_t b = 0; b < B; b++) {
        int64_t cls = b * T, patch = cls + 1;
        if (pattern == FULL || pattern == CROSS)
            segments[n++] = (ego_segment){b * F, 1, F, b * N, 1, N, -1};
        if (pattern == CLASS) segments[n++] = (ego_segment){cls, 1, 1, cls, 1, T, -1};
        for (int64_t f = 0; f < F && pattern == SPACE; f++)
            segments[n++] = (ego_segment){patch + f * N, 1, N, patch + f * N, 1, N, cls};
        for (int64_t i = 0; i < N && pattern == TIME; i++)
            segments[n++] = (ego_segment){patch + i, N, F, patch + i, N, F, cls};
    }
    *pairs = 0;
    for (int64_t i = 0; i < n; i++)
        *pairs += (double)segments[i].nq * (double)(segments[i].nk + (segments[i].extra >= 0));
    return n;
}

static void bench_attention(ego_backend *backend, double seconds) {
    static ego_segment segments[1024];
    enum { HEADS = 12, WIDTH = 64, D = HEADS * WIDTH };
    printf("\n%-12s %6s %8s %8s %10s %10s %10s %10s\n", "attention", "batch", "frames", "patches",
           "ms", "GFLOP/s", "back, ms", "GFLOP/s");
    for (size_t i = 0; i < sizeof attentions / sizeof *attentions; i++) {
        int64_t B = attentions[i].batch, F = attentions[i].frames, N = attentions[i].patches;
        int pattern = attentions[i].pattern;
        bool own = pattern == FULL || pattern == CROSS;
        job j = {0};
        double pairs, median[WAYS];
        ego_node nodes[3];
        ego_ctx_init(&j.cx, backend);
        j.x = tensor(&j.cx, 2, own ? B * F : B * (1 + F * N), 3 * D);
        j.y = own ? tensor(&j.cx, 2, B * N, 3 * D) : j.x;
        j.attention = (ego_attention_args){.q = j.x,
                                           .k = j.y,
                                           .v = j.y,
                                           .k_column = D,
                                           .v_column = 2 * D,
                                           .heads = HEADS,
                                           .width = WIDTH,
                                           .segments = segments};
        j.attention.count = make_segments(pattern, B, F, N, segments, &pairs);
        j.out = tensor(&j.cx, 1, ego_tensor_rows(j.x), D);
        give_gradient(&j.cx, j.x, &nodes[0]);
        if (j.y != j.x) give_gradient(&j.cx, j.y, &nodes[1]);
        give_gradient(&j.cx, j.out, &nodes[2]);
        nodes[2].grad = ego_f32(j.out);
        measure(seconds, 2, (void (*const[])(void *)){run_attention, run_attention_back}, &j, median);
        printf("%-12s %6lld %8lld %8lld %10.3f %10.1f %10.3f %10.1f\n", pattern_names[pattern],
               (long long)B, (long long)F, (long long)N, median[0] * 1e3,
               pairs * D * 4e-9 / median[0], median[1] * 1e3, pairs * D * 10e-9 / median[1]);
        ego_ctx_release(&j.cx);
    }
}

static void bench_rows(ego_backend *backend, double seconds) {
    enum { R = 785, D = 768 };
    printf("\n%-14s %10s %10s   (%d × %d)\n", "rows", "ms", "GB/s", R, D);
    for (size_t i = 0; i < sizeof row_ops / sizeof *row_ops; i++) {
        job j = {0};
        double median[WAYS];
        ego_ctx_init(&j.cx, backend);
        j.x = tensor(&j.cx, 2, R, D);
        j.y = tensor(&j.cx, 2, R, D);
        j.norm = parameter(&j.cx, 1, 1, D);
        j.b = parameter(&j.cx, 1, 1, D);
        j.gate = parameter(&j.cx, 1, 1, 1);
        measure(seconds, 1, (void (*const[])(void *)){row_ops[i].run}, &j, median);
        printf("%-14s %10.3f %10.1f\n", row_ops[i].name, median[0] * 1e3,
               4e-9 * row_ops[i].passes * R * D / median[0]);
        ego_ctx_release(&j.cx);
    }
}

static const struct {
    const char *name;
    ego_op op;
    ego_act act;
    int passes; /* tensors read and written; a gradient is both */
    int64_t rows, columns;
} row_backs[] = {
    {"layer_norm", EGO_OP_layer_norm, EGO_ACT_NONE, 4, 6280, 768},
    {"layer_norm", EGO_OP_layer_norm, EGO_ACT_NONE, 4, 785, 768},
    {"gelu", EGO_OP_activate, EGO_ACT_GELU, 4, 6280, 3072},
    {"gelu", EGO_OP_activate, EGO_ACT_GELU, 4, 785, 3072},
    {"add", EGO_OP_add, EGO_ACT_NONE, 5, 6280, 768},
    {"gated_add", EGO_OP_gated_add, EGO_ACT_NONE, 7, 6280, 768},
    {"dropout", EGO_OP_dropout, EGO_ACT_NONE, 3, 6280, 768},
    {"clip_tokens", EGO_OP_clip_tokens, EGO_ACT_NONE, 3, 6280, 768},
    {"gather_rows", EGO_OP_gather_rows, EGO_ACT_NONE, 3, 6280, 768},
    {"cross_entropy", EGO_OP_cross_entropy, EGO_ACT_NONE, 4, 36, 50265},
};

typedef struct back_job {
    ego_backend *backend;
    ego_call call;
} back_job;

static void run_back(void *context) {
    back_job *j = context;
    j->backend->backward[j->call.op](j->backend, &j->call);
}

/* Lists that operations read: streams, numbers of rows, labels. */
static void give_lists(ego_ctx *cx, ego_call *call, int64_t rows) {
    int64_t *list = ego_ctx_alloc(cx, (size_t)rows * sizeof *list);
    for (int64_t i = 0; i < rows; i++) list[i] = i * 7 % rows;
    if (call->op == EGO_OP_dropout)
        call->as.dropout.drop = (ego_dropout){0.1f, (uint64_t *)list, 3};
    else if (call->op == EGO_OP_cross_entropy) {
        call->as.cross_entropy.labels = list;
        call->as.cross_entropy.scale = 1;
    } else if (call->op == EGO_OP_gather_rows)
        call->as.gather.rows = list;
}

static void bench_rows_back(ego_backend *backend, double seconds) {
    printf("\n%-14s %6s %6s %10s %10s\n", "rows, backward", "rows", "width", "ms", "GB/s");
    for (size_t i = 0; i < sizeof row_backs / sizeof *row_backs; i++) {
        int64_t rows = row_backs[i].rows, columns = row_backs[i].columns;
        bool clip = row_backs[i].op == EGO_OP_clip_tokens,
             loss = row_backs[i].op == EGO_OP_cross_entropy;
        ego_ctx cx;
        ego_ctx_init(&cx, backend);
        ego_tensor *x[3] = {tensor(&cx, 2, rows, columns), tensor(&cx, 2, rows, columns),
                            loss ? tensor(&cx, 2, 1, 1) : tensor(&cx, 2, rows, columns)};
        ego_node nodes[3];
        for (int k = 0; k < 3; k++) give_gradient(&cx, x[k], &nodes[k]);
        ego_param p[3] = {parameter(&cx, 1, 1, clip || !loss ? columns : 1),
                          parameter(&cx, 1, 197, columns), parameter(&cx, 1, 4, columns)};
        if (row_backs[i].op == EGO_OP_gated_add) p[0] = parameter(&cx, 1, 1, 1);
        for (int k = 0; k < 3; k++)
            p[k].grad = ego_f32(tensor(&cx, 0, p[k].value.shape[0], columns));
        bool pair = row_backs[i].op == EGO_OP_add || row_backs[i].op == EGO_OP_gated_add;
        back_job j = {backend,
                      {.op = row_backs[i].op, .in = {x[0], pair ? x[1] : NULL}, .out = x[2]}};
        for (int k = 0; k < 3 && (clip || k < 2) && row_backs[i].op != EGO_OP_gather_rows; k++)
            j.call.param[k] = &p[k];
        if (row_backs[i].op == EGO_OP_activate) j.call.as.activate.act = row_backs[i].act;
        if (row_backs[i].op == EGO_OP_layer_norm) j.call.as.layer_norm.eps = 1e-6f;
        if (clip) {
            j.call.as.clip_tokens.batch = rows / 785;
            j.call.as.clip_tokens.frames = 4;
        }
        give_lists(&cx, &j.call, rows);
        double median[WAYS];
        measure(seconds, 1, (void (*const[])(void *)){run_back}, &j, median);
        printf("%-14s %6lld %6lld %10.3f %10.1f\n", row_backs[i].name, (long long)rows,
               (long long)columns, median[0] * 1e3,
               4e-9 * (double)(row_backs[i].passes * rows * columns) / median[0]);
        ego_ctx_release(&cx);
    }
}

int main(int argc, char **argv) {
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    double seconds = argc > 2 ? atof(argv[2]) : 0.05;
    ego_pool *pool;
    ego_backend *backend;
    if (ego_pool_new(threads, &pool) != EGO_OK || ego_cpu_backend_new(pool, &backend) != EGO_OK) {
        fprintf(stderr, "bench_kernels: %s\n", ego_err_message());
        return 1;
    }
    threads = ego_pool_threads(pool);
    sgemm_fn *sgemm = find_sgemm((int)threads);
    printf("%u threads, EGO_CPU=%s, OpenBLAS %s\n", threads,
           getenv("EGO_CPU") ? getenv("EGO_CPU") : "", sgemm ? "found" : "not found");
    bench_products(backend, sgemm, seconds);
    bench_gradients(backend, seconds);
    bench_attention(backend, seconds);
    bench_rows(backend, seconds);
    bench_rows_back(backend, seconds);
    ego_backend_free(backend);
    ego_pool_free(pool);
    return 0;
}
