/* The tape: chains of steps with and without checkpointing, towers one after the other, leaves, recordings
 * that follow each other, failures in the middle. What operations do is in test_gradients.c.
 */
#include "check.h"

#include "base/rng.h"
#include "tensor/backend.h"
#include "tensor/tape.h"

enum { ROWS = 24, HEADS = 2, WIDTH = 8, D = HEADS * WIDTH, HIDDEN = 48, BLOCKS = 3, TENSORS = 10 };

/* Three blocks of an encoder; chains longer than that take turns. */
typedef struct block {
    ego_param param[TENSORS]; /* norm w b, qkv w b, projection w b, fc1 w b, fc2 w, gate */
} block;

typedef struct tower {
    block blocks[BLOCKS];
    float *values, *grads;
    int64_t count; /* floats in all */
    uint64_t streams[ROWS];
} tower;

static const int64_t shapes[TENSORS][2] = {{1, D}, {1, D},      {3 * D, D},  {1, 3 * D},  {D, D},
                                           {1, D}, {HIDDEN, D}, {1, HIDDEN}, {D, HIDDEN}, {1, 1}};

static tower *tower_new(void) {
    tower *t = calloc(1, sizeof *t);
    for (int i = 0; i < TENSORS; i++) t->count += BLOCKS * shapes[i][0] * shapes[i][1];
    t->values = calloc((size_t)t->count, sizeof(float));
    t->grads = calloc((size_t)t->count, sizeof(float));
    int64_t at = 0;
    for (int b = 0; b < BLOCKS; b++)
        for (int i = 0; i < TENSORS; i++) {
            int64_t n = shapes[i][0] * shapes[i][1];
            t->blocks[b].param[i] = (ego_param){.name = "test",
                                                .value = {.data = t->values + at,
                                                          .dtype = EGO_F32,
                                                          .ndim = 2,
                                                          .shape = {shapes[i][0], shapes[i][1]}},
                                                .grad = t->grads + at};
            for (int64_t j = 0; j < n; j++, at++)
                t->values[at] = (float)(0.3 * ego_rng_normal(3, (uint64_t)at));
        }
    for (int r = 0; r < ROWS; r++) t->streams[r] = ego_rng_u64(5, (uint64_t)r);
    return t;
}

static void tower_free(tower *t, ego_backend *backend) {
    for (int b = 0; b < BLOCKS; b++)
        for (int i = 0; i < TENSORS; i++) backend->forget(backend, &t->blocks[b].param[i]);
    free(t->values);
    free(t->grads);
    free(t);
}

/* x + gate · first, attention, a perceptron, dropout. */
static ego_tensor *step(ego_ctx *cx, tower *t, int i, const ego_tensor *x,
                        const ego_tensor *first) {
    ego_param *p = t->blocks[i % BLOCKS].param;
    ego_segment *segments = ego_ctx_alloc(cx, 2 * sizeof *segments);
    for (int64_t s = 0; segments && s < 2; s++)
        segments[s] = (ego_segment){s * ROWS / 2, 1, ROWS / 2, s * ROWS / 2, 1, ROWS / 2, -1};
    ego_tensor *h = ego_layer_norm(cx, ego_gated_add(cx, x, &p[9], first), &p[0], &p[1], 1e-5f);
    ego_tensor *qkv = ego_linear(cx, h, &p[2], &p[3], EGO_ACT_NONE, NULL);
    h = ego_attention(cx, &(ego_attention_args){.q = qkv,
                                                .k = qkv,
                                                .v = qkv,
                                                .k_column = D,
                                                .v_column = 2L * D,
                                                .heads = HEADS,
                                                .width = WIDTH,
                                                .segments = segments,
                                                .count = 2});
    ego_tensor *y = ego_linear(cx, h, &p[4], &p[5], EGO_ACT_NONE, x);
    h = ego_linear(cx, ego_linear(cx, y, &p[6], &p[7], EGO_ACT_GELU, NULL), &p[8], NULL,
                   EGO_ACT_NONE, y);
    return ego_drop(cx, h, (ego_dropout){0.1f, t->streams, (uint64_t)i});
}

typedef enum how { WHOLE, STEPS, CHECKPOINTS } how;

/* What a pass leaves: the sum of losses, gradients of the parameters and of the two leaves, the most memory. */
typedef struct result {
    float loss;
    float *grads, leaf[2][ROWS * D];
    size_t peak;
} result;

static ego_tensor *new_leaf(ego_ctx *cx, uint64_t stream) {
    ego_tensor *x = ego_tape_leaf(cx, EGO_TENSOR(cx, ROWS, D));
    for (int64_t i = 0; x && i < ROWS * D; i++)
        ego_f32(x)[i] = (float)ego_rng_normal(stream, (uint64_t)i);
    return x;
}

static ego_tensor *chain(ego_ctx *cx, tower *t, int steps, how h, ego_tensor *x) {
    const ego_tensor *first = x;
    ego_steps s = ego_steps_begin(cx);
    for (int i = 0; i < steps; i++) {
        if (h != WHOLE) ego_steps_next(cx, &s);
        x = step(cx, t, i, x, first);
    }
    return x;
}

/* Towers one after the other, each reading its leaf; the second one's result meets the first one's. */
static void record(ego_ctx *cx, tower *t, int steps, int towers, how h, ego_tensor *leaf[2],
                   ego_tensor **loss) {
    static const int64_t labels[ROWS] = {3, 1, 4, 1, 5, 9, 2, 6};
    ego_tensor *y[2] = {0};
    leaf[0] = leaf[1] = NULL;
    for (int i = 0; i < towers; i++) {
        leaf[i] = new_leaf(cx, 40 + (uint64_t)i);
        y[i] = chain(cx, t, steps, h, leaf[i]);
    }
    *loss = ego_cross_entropy(cx, towers == 2 ? ego_product(cx, y[0], y[1]) : y[0], labels, 0.1f);
}

static void result_of(tower *t, ego_backend *backend, int steps, int towers, how h, result *r) {
    ego_ctx cx;
    ego_tape *tape;
    ego_tensor *leaf[2], *loss;
    ego_ctx_init(&cx, backend);
    CHECK_OK(ego_tape_new(h == CHECKPOINTS, &tape));
    memset(t->grads, 0, (size_t)t->count * sizeof(float));
    ego_tape_attach(&cx, tape);
    record(&cx, t, steps, towers, h, leaf, &loss);
    r->loss = loss ? *ego_f32(loss) : NAN;
    ego_grad_add(&cx, loss, 2, NULL);
    ego_tape_backward(&cx);
    CHECK_OK(ego_ctx_err(&cx));
    r->grads = calloc((size_t)t->count, sizeof(float));
    memcpy(r->grads, t->grads, (size_t)t->count * sizeof(float));
    for (int i = 0; i < towers; i++)
        if (CHECK(ego_grad(leaf[i]) != NULL))
            memcpy(r->leaf[i], ego_grad(leaf[i]), sizeof r->leaf[i]);
    r->peak = cx.arena[0].peak + cx.arena[1].peak + ego_tape_peak(tape);
    ego_tape_free(tape);
    ego_ctx_release(&cx);
}

static bool same(const result *a, const result *b, const tower *t, int towers) {
    return a->loss == b->loss &&
           memcmp(a->grads, b->grads, (size_t)t->count * sizeof(float)) == 0 &&
           memcmp(a->leaf, b->leaf, (size_t)towers * sizeof a->leaf[0]) == 0;
}

static void check_chains(tower *t, ego_backend *backend) {
    static const int lengths[] = {1, 2, 3, 12};
    for (int towers = 1; towers <= 2; towers++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            static result r[3];
            for (how h = WHOLE; h <= CHECKPOINTS; h++)
                result_of(t, backend, lengths[i], towers, h, &r[h]);
            double most = 0;
            for (int64_t j = 0; j < t->count; j++) most = fmax(most, fabs((double)r[0].grads[j]));
            CHECK(isfinite(r[0].loss) && most > 0 && isfinite(most));
            CHECK(same(&r[WHOLE], &r[STEPS], t, towers));
            CHECK(same(&r[WHOLE], &r[CHECKPOINTS], t, towers));
            printf("%2d steps, %d towers: %zu bytes, with checkpoints %zu\n", lengths[i], towers,
                   r[STEPS].peak, r[CHECKPOINTS].peak);
            if (lengths[i] == 12) CHECK(r[CHECKPOINTS].peak < r[STEPS].peak / 2);
            for (int h = 0; h < 3; h++) free(r[h].grads);
        }
}

/* One tape and one context, recording after recording; taken away and given back in the middle. */
static void check_again(tower *t, ego_backend *backend, bool checkpoint) {
    ego_ctx cx;
    ego_tape *tape;
    static result once;
    result_of(t, backend, 5, 2, checkpoint ? CHECKPOINTS : STEPS, &once);
    ego_ctx_init(&cx, backend);
    CHECK_OK(ego_tape_new(checkpoint, &tape));
    size_t peak = 0;
    for (int again = 0; again < 3; again++) {
        ego_ctx_mark mark = ego_ctx_save(&cx);
        ego_tensor *leaf[2], *loss;
        memset(t->grads, 0, (size_t)t->count * sizeof(float));
        CHECK(ego_tape_attach(&cx, tape) == NULL);
        record(&cx, t, 5, 2, STEPS, leaf, &loss);
        CHECK(ego_tape_attach(&cx, NULL) == tape);
        CHECK(ego_add(&cx, leaf[0], leaf[1]) != NULL); /* nobody's business */
        ego_tape_attach(&cx, tape);
        ego_grad_add(&cx, loss, 0.5f, NULL);
        ego_grad_add(&cx, loss, 1.5f, NULL);
        ego_tape_backward(&cx);
        CHECK_OK(ego_ctx_err(&cx));
        ego_tape_attach(&cx, NULL);
        CHECK(memcmp(t->grads, once.grads, (size_t)t->count * sizeof(float)) == 0);
        ego_ctx_rewind(&cx, &mark);
        CHECK(memcmp(ego_grad(leaf[1]), once.leaf[1], sizeof once.leaf[1]) == 0);
        if (again) CHECK(ego_tape_peak(tape) == peak);
        peak = ego_tape_peak(tape);
    }
    free(once.grads);
    ego_tape_free(tape);
    ego_ctx_release(&cx);
}

/* A failure in the middle of a chain is kept, nothing is added, and the next recording is a clean one. */
static void check_failure(tower *t, ego_backend *backend) {
    ego_ctx cx;
    ego_tape *tape;
    static result once;
    result_of(t, backend, 4, 1, CHECKPOINTS, &once);
    ego_ctx_init(&cx, backend);
    CHECK_OK(ego_tape_new(true, &tape));
    memset(t->grads, 0, (size_t)t->count * sizeof(float));
    for (int backward = 0; backward < 2; backward++) {
        ego_tensor *leaf[2], *loss;
        ego_ctx_mark mark = ego_ctx_save(&cx);
        ego_tape_attach(&cx, tape);
        ego_tensor *x = chain(&cx, t, 4, STEPS, new_leaf(&cx, 40));
        CHECK(!ego_add(&cx, x, EGO_TENSOR(&cx, 1, 1)));
        CHECK(!chain(&cx, t, 4, STEPS, x));
        ego_grad_add(&cx, x, 1, NULL);
        if (backward) ego_tape_backward(&cx);
        ego_tape_attach(&cx, NULL);
        CHECK_ERR(EGO_EMODEL, ego_ctx_err(&cx));
        ego_ctx_rewind(&cx, &mark);
        for (int64_t i = 0; i < t->count; i++) backward += t->grads[i] != 0 ? 100 : 0;
        CHECK(backward < 2);
        ego_tape_attach(&cx, tape);
        record(&cx, t, 4, 1, STEPS, leaf, &loss);
        ego_grad_add(&cx, loss, 2, NULL);
        ego_tape_backward(&cx);
        CHECK_OK(ego_ctx_err(&cx));
        ego_tape_attach(&cx, NULL);
        CHECK(memcmp(t->grads, once.grads, (size_t)t->count * sizeof(float)) == 0);
        memset(t->grads, 0, (size_t)t->count * sizeof(float));
    }
    free(once.grads);
    ego_tape_free(tape);
    ego_ctx_release(&cx);
}

/* What may be read: see tape.h. */
static void check_reach(ego_backend *backend) {
    ego_ctx cx;
    ego_tape *tape;
    ego_tensor *old[5];
    ego_ctx_init(&cx, backend);
    CHECK_OK(ego_tape_new(true, &tape));
    ego_tape_attach(&cx, tape);
    ego_tensor *x = new_leaf(&cx, 1);
    ego_steps s = ego_steps_begin(&cx);
    for (int i = 0; i < 4; i++) {
        ego_steps_next(&cx, &s);
        old[i] = x = ego_add(&cx, ego_add(&cx, x, x), x);
    }
    CHECK_OK(ego_ctx_err(&cx));
    CHECK(ego_add(&cx, old[2], x) != NULL); /* kept: the last step read it */
    CHECK_OK(ego_ctx_err(&cx));
    ego_grad_add(&cx, x, 1, NULL);
    ego_tape_backward(&cx);
    CHECK_OK(ego_ctx_err(&cx));

    ego_tape_attach(&cx, tape);
    x = new_leaf(&cx, 1);
    s = ego_steps_begin(&cx);
    for (int i = 0; i < 4; i++) {
        ego_steps_next(&cx, &s);
        old[i] = ego_add(&cx, x, x); /* nobody reads it while it is there */
    }
    CHECK(!ego_add(&cx, old[0], x));
    CHECK_ERR(EGO_EUNSUPPORTED, ego_ctx_err(&cx));
    ego_tape_free(tape);
    ego_ctx_release(&cx);
}

/* Leaves anywhere: inside a step, used twice in one operation, not used at all; and without a tape. */
static void check_leaves(ego_backend *backend) {
    ego_ctx cx;
    ego_tape *tape;
    ego_tensor *inside[6], *y = NULL;
    ego_ctx_init(&cx, backend);
    ego_tensor *loose = EGO_TENSOR(&cx, 2, 2);
    CHECK(ego_tape_leaf(&cx, loose) == loose && !ego_grad(loose));
    CHECK_OK(ego_tape_new(true, &tape));
    ego_tape_attach(&cx, tape);
    ego_tensor *first = new_leaf(&cx, 1), *unused = new_leaf(&cx, 2);
    ego_tape_attach(&cx, NULL); /* a tape with leaves alone is not an empty one */
    ego_tape_attach(&cx, tape);
    ego_tensor *x = ego_add(&cx, first, first);
    ego_steps s = ego_steps_begin(&cx);
    for (int i = 0; i < 6; i++) {
        ego_steps_next(&cx, &s);
        inside[i] = new_leaf(&cx, 10 + (uint64_t)i);
        y = ego_add(&cx, x, ego_activate(&cx, inside[i], EGO_ACT_RELU));
        x = ego_add(&cx, y, y);
    }
    ego_grad_add(&cx, x, 1, NULL);
    ego_tape_backward(&cx);
    CHECK_OK(ego_ctx_err(&cx));
    CHECK(!ego_grad(unused));
    for (int64_t j = 0; ego_grad(first) && j < ROWS * D; j++) CHECK(ego_grad(first)[j] == 128);
    for (int i = 0; i < 6; i++)
        for (int64_t j = 0; ego_grad(inside[i]) && j < ROWS * D; j++) {
            double value = (float)ego_rng_normal(10 + (uint64_t)i, (uint64_t)j);
            CHECK(ego_grad(inside[i])[j] == (value > 0 ? (float)(64 >> i) : 0));
        }
    ego_tape_free(tape);
    ego_ctx_release(&cx);
}

int main(void) {
    ego_pool *pool;
    ego_backend *backend;
    CHECK_OK(ego_pool_new(2, &pool));
    CHECK_OK(ego_cpu_backend_new(pool, &backend));
    tower *t = tower_new();
    check_chains(t, backend);
    check_again(t, backend, false);
    check_again(t, backend, true);
    check_failure(t, backend);
    check_reach(backend);
    check_leaves(backend);
    tower_free(t, backend);
    ego_backend_free(backend);
    ego_pool_free(pool);
    return check_done();
}
