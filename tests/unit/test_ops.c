/* Every operation from one table: against double precision, against itself (other rows beside it, other
 * thread counts), with NaN in its input; for each instruction set this machine has.
 *
 * A column of checks is one function over a sample (see `columns` at the end). Gradients have columns of
 * their own (test_gradients.c).
 */
#include "ops_table.h"

#include "base/file.h"

#include <unistd.h>

/* ---- columns ------------------------------------------------------------------------------------------ */

static ego_tensor *forward(ego_ctx *cx, ego_backend *backend, sample *s) {
    ego_ctx_init(cx, backend);
    ego_tensor *out = s->op->forward(cx, s);
    CHECK_OK(ego_ctx_err(cx));
    return out;
}
/* `keep` is the sample whose parameters these are packed for. */
static void done(ego_ctx *cx, sample *keep) {
    for (int i = 0; i < INPUTS; i++) cx->backend->forget(cx->backend, &keep->param[i]);
    ego_ctx_release(cx);
}

/* Against double precision. */
static void check_reference(sample *s, const machine *m) {
    ego_ctx cx;
    double worst = 0;
    ego_tensor *out = forward(&cx, m->backend[0], s);
    char text[64];
    bool good = out && close_to_reference(s, out, &worst);
    snprintf(text, sizeof text, "error %.3g, expected at most %.3g", worst, s->op->tolerance);
    if (!CHECK(good)) say(s, m, text);
    done(&cx, s);
}

/* The same bits for any number of threads. */
static void check_threads(sample *s, const machine *m) {
    ego_ctx cx[POOLS];
    ego_tensor *out[POOLS];
    for (int i = 0; i < POOLS; i++) out[i] = forward(&cx[i], m->backend[i], s);
    for (int i = 1; i < POOLS && out[0] && out[i]; i++)
        if (!CHECK(memcmp(out[0]->data, out[i]->data, (size_t)ego_tensor_count(out[0]) * 4) == 0))
            say(s, m, "threads change the result");
    for (int i = 0; i < POOLS; i++) done(&cx[i], s);
}

static ego_tensor some_rows(const ego_tensor *t, int64_t first, int64_t count) {
    ego_tensor piece = *t;
    piece.data = ego_f32(t) + first * ego_tensor_columns(t);
    piece.shape[0] = count;
    return piece;
}

/* Rows [first, first + count) alone. Attention: their segments, one per query, in another order. */
static bool take_rows(const sample *s, int64_t first, int64_t count, sample *piece,
                      ego_tensor *in) {
    *piece = *s;
    for (int i = 0; i < INPUTS; i++) piece->param[i].packed = NULL; /* it packs its own */
    if (s->drop.streams) piece->drop.streams += first;
    for (int i = 0; i < INPUTS; i++)
        if (s->op->by_row & 1u << i && s->in[i]) {
            in[i] = some_rows(s->in[i], first, count);
            piece->in[i] = &in[i];
        }
    if (s->op->by_row) return true;
    if (s->op != &op_attention) return false;
    in[0] = some_rows(s->in[0], first, count);
    piece->in[0] = &in[0];
    piece->segments = malloc((size_t)(count + 1) * sizeof *piece->segments);
    piece->count = 0;
    for (int64_t i = s->count - 1; i >= 0; i--)
        for (int64_t q = 0; q < s->segments[i].nq; q++) {
            ego_segment one = s->segments[i];
            one.q0 = one.q0 + q * one.q_step - first;
            one.nq = 1;
            if (one.q0 >= 0 && one.q0 < count) piece->segments[piece->count++] = one;
        }
    return true;
}

/* The same bits for a row whatever rows stand beside it. */
static void check_rows(sample *s, const machine *m) {
    ego_ctx whole_cx, cx;
    sample piece;
    ego_tensor in[INPUTS], *whole = forward(&whole_cx, m->backend[0], s);
    int64_t rows = whole ? ego_tensor_rows(whole) : 0,
            columns = whole ? ego_tensor_columns(whole) : 0;
    for (int64_t first = 0, count = 1; first < rows; first += count, count = count * 2 + 1) {
        if (count > rows - first) count = rows - first;
        if (!take_rows(s, first, count, &piece, in)) break;
        ego_tensor *out = forward(&cx, m->backend[count % POOLS], &piece);
        size_t bytes = (size_t)(count * columns) * sizeof(float);
        if (!CHECK(out && memcmp(out->data, ego_f32(whole) + first * columns, bytes) == 0))
            say(s, m, "neighbours change a row");
        done(&cx, &piece);
        if (piece.segments != s->segments) free(piece.segments);
    }
    done(&whole_cx, s);
}

/* What the reference does with NaN and +infinity in one element, and nothing else. */
static void check_special(sample *s, const machine *m) {
    int64_t n = s->in[0] ? ego_tensor_count(s->in[0]) : 0;
    if (n == 0) return;
    float *element = ego_f32(s->in[0]) + n / 2, was = *element;
    for (int i = 0; i < (s->op == &op_activate ? 2 : 1); i++) {
        ego_ctx cx;
        double worst = 0;
        *element = i ? INFINITY : NAN;
        ego_tensor *out = forward(&cx, m->backend[0], s);
        if (!CHECK(out && close_to_reference(s, out, &worst)))
            say(s, m, i ? "infinity went wrong" : "NaN went wrong");
        done(&cx, s);
    }
    *element = was;
}

/* ---- a weight in a mapped file ------------------------------------------------------------------------- */

/* Packing lets the file's pages go; they are there when asked for again. */
static void check_mapped(ego_backend *backend) {
    enum { O = 96, I = 64 };
    char path[64];
    snprintf(path, sizeof path, "/tmp/ego-test-ops-%ld", (long)getpid());
    sample s = {.op = &op_linear, .n = {5, I, O}};
    ego_arena_init(&s.arena, 1 << 16);
    s.op->make(&s);
    ego_map map = {0};
    CHECK_OK(ego_write_file(path, s.param[0].value.data, O * I * sizeof(float)));
    if (CHECK_OK(ego_map_open(path, &map))) {
        union {
            const uint8_t *bytes;
            void *data;
        } mapped = {map.data};
        s.param[0].value.data = mapped.data;
        s.param[0].mapped = true;
        for (int again = 0; again < 2; again++) {
            ego_ctx cx;
            double worst = 0;
            ego_tensor *out = forward(&cx, backend, &s);
            CHECK(out && close_to_reference(&s, out, &worst));
            done(&cx, &s);
        }
    }
    ego_map_close(&map);
    remove(path);
    sample_release(&s);
}

/* ---- what does not fit --------------------------------------------------------------------------------- */

static void check_refused(ego_ctx *cx, const ego_tensor *out) {
    CHECK(!out);
    CHECK_ERR(EGO_EMODEL, ego_ctx_err(cx));
}

static void check_misfits(ego_backend *backend) {
    ego_ctx cx;
    ego_ctx_init(&cx, backend);
    ego_tensor *x = EGO_TENSOR(&cx, 6, 4), *wide = EGO_TENSOR(&cx, 6, 5),
               *two = EGO_TENSOR(&cx, 2, 4);
    float taps[4 * 2] = {0};
    ego_param even = {.name = "even", .value = {taps, EGO_F32, 3, {4, 1, 2}, NULL}};
    ego_param odd = {.name = "odd", .value = {taps, EGO_F32, 3, {4, 1, 1}, NULL}};
    const struct {
        ego_groups groups;
        bool cover, empty;
    } groups[] = {
        {{(const int64_t[]){0, 2, 6}, 2}, true, false},
        {{(const int64_t[]){0, 6, 6}, 2}, true, true},
        {{(const int64_t[]){0, 2, 5}, 2}, false, false},
        {{(const int64_t[]){1, 2, 6}, 2}, false, false},
        {{(const int64_t[]){0, 7, 6}, 2}, false, false},
        {{(const int64_t[]){0}, 0}, false, false},
    };
    check_refused(&cx, ego_multiply(&cx, x, wide));
    check_refused(&cx, ego_scale_rows(&cx, x, two));
    check_refused(&cx, ego_scale_columns(&cx, wide, &odd));
    check_refused(&cx, ego_add_outer(&cx, x, two, NULL));
    check_refused(&cx, ego_add_outer(&cx, x, NULL, wide));
    check_refused(&cx, ego_max_margin(&cx, x, taps, 1));
    check_refused(&cx, ego_depthwise_conv(&cx, x, &even, groups[0].groups));
    check_refused(&cx, ego_depthwise_conv(&cx, wide, &odd, groups[0].groups));
    check_refused(&cx, ego_modulate(&cx, x, wide, two, groups[0].groups));
    check_refused(&cx, ego_modulate(&cx, x, two, x, groups[0].groups));
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        bool good = groups[i].cover && !groups[i].empty;
        CHECK(!ego_mean_rows(&cx, x, groups[i].groups) == !good);
        CHECK_ERR(good ? EGO_OK : EGO_EMODEL, ego_ctx_err(&cx));
        CHECK(!ego_depthwise_conv(&cx, x, &odd, groups[i].groups) == !groups[i].cover);
        CHECK_ERR(groups[i].cover ? EGO_OK : EGO_EMODEL, ego_ctx_err(&cx));
    }
    ego_ctx_release(&cx);
}

static void (*const columns[])(sample *, const machine *) = {
    check_reference,
    check_threads,
    check_rows,
    check_special,
};

int main(void) {
    machine machines[MACHINES];
    size_t n = machines_open(machines);
    for (size_t m = 0; m < n; m++) {
        for (size_t c = 0; c < CASES; c++)
            for (size_t column = 0; column < sizeof columns / sizeof *columns; column++) {
                sample s;
                sample_make(&s, c);
                columns[column](&s, &machines[m]);
                sample_release(&s);
            }
        check_mapped(machines[m].backend[POOLS - 1]);
        check_misfits(machines[m].backend[0]);
    }
    machines_close(machines, n);
    ego_backend *none;
    setenv("EGO_CPU", "abacus", 1);
    CHECK_ERR(EGO_EUNSUPPORTED, ego_cpu_backend_new(NULL, &none));
    return check_done();
}
