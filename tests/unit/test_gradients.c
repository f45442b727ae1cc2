/* The gradients of every operation of the table: against central differences of its double-precision
 * reference, added to what is there, the same bits for any number of threads and whichever others are
 * wanted; for each instruction set this machine has.
 *
 * The loss is Σ dout · out with random dout. Differences are taken of each element where there are few, else
 * of the first, the last and one between, and of all of them together, each with a sign of its own.
 */
#include "ops_table.h"

#include "tensor/tape.h"

enum { TARGETS = 2 * INPUTS, FEW = 6, PROBES = 4 };

/* What a gradient is wanted of: an input or a parameter. */
typedef struct target {
    ego_tensor *in;
    ego_param *param;
    const void *of; /* one of the two */
    int64_t count;
} target;

static size_t targets_of(sample *s, target targets[TARGETS]) {
    size_t n = 0;
    for (int i = 0; i < INPUTS; i++) {
        bool again = false;
        for (int j = 0; j < i; j++) again |= s->in[j] == s->in[i];
        if (s->in[i] && !again)
            targets[n++] = (target){s->in[i], NULL, s->in[i], ego_tensor_count(s->in[i])};
    }
    for (int i = 0; i < INPUTS; i++)
        if (s->param[i].value.data)
            targets[n++] =
                (target){NULL, &s->param[i], &s->param[i], ego_tensor_count(&s->param[i].value)};
    return n;
}

static float *random_floats(int64_t n, uint64_t stream) {
    float *x = calloc((size_t)n + 1, sizeof *x);
    for (int64_t i = 0; x && i < n; i++) x[i] = (float)ego_rng_normal(stream, (uint64_t)i);
    return x;
}

/* ---- what the operation says ---------------------------------------------------------------------------- */

typedef struct gradients {
    float *of[TARGETS]; /* NULL: not wanted */
} gradients;

static void gradients_release(gradients *g) {
    for (size_t i = 0; i < TARGETS; i++) free(g->of[i]);
}

/* The gradients of the targets in the set `wanted`, on top of `before`'s. */
static gradients gradients_from(sample *s, ego_backend *backend, unsigned wanted,
                                const gradients *before) {
    target t[TARGETS];
    size_t n = targets_of(s, t);
    gradients g = {0};
    ego_ctx cx;
    ego_tape *tape;
    ego_ctx_init(&cx, backend);
    if (!CHECK_OK(ego_tape_new(false, &tape))) return g;
    ego_tape_attach(&cx, tape);
    for (size_t i = 0; i < n; i++) {
        if (!(wanted & 1u << i)) continue;
        g.of[i] = calloc((size_t)t[i].count + 1, sizeof(float));
        if (before) memcpy(g.of[i], before->of[i], (size_t)t[i].count * sizeof(float));
        if (t[i].param)
            t[i].param->grad = g.of[i];
        else {
            ego_tape_leaf(&cx, t[i].in);
            if (before) ego_grad_add(&cx, t[i].in, 1, before->of[i]);
        }
    }
    ego_tensor *out = s->op->forward(&cx, s);
    float *dout = random_floats(out ? ego_tensor_count(out) : 0, ego_rng_stream(9, s->number));
    ego_grad_add(&cx, out, 1, dout);
    ego_tape_backward(&cx);
    CHECK_OK(ego_ctx_err(&cx));
    for (size_t i = 0; i < n; i++) {
        if (t[i].param)
            t[i].param->grad = NULL;
        else {
            if (ego_grad(t[i].in))
                memcpy(g.of[i], ego_grad(t[i].in), (size_t)t[i].count * sizeof(float));
            t[i].in->node = NULL;
        }
    }
    for (int i = 0; i < INPUTS; i++) backend->forget(backend, &s->param[i]);
    free(dout);
    ego_tape_free(tape);
    ego_ctx_release(&cx);
    return g;
}

static gradients all_gradients(sample *s, ego_backend *backend) {
    return gradients_from(s, backend, (1u << TARGETS) - 1, NULL);
}

/* ---- what differences say ------------------------------------------------------------------------------- */

typedef struct probe {
    size_t target;
    int64_t element;
    double want;
} probe;

static double difference(const sample *s, const void *of, int64_t element, int64_t n,
                         const float *dout, double *lower, double *upper) {
    static const double step = 0x1p-20;
    double sum = 0;
    nudge.of = of;
    nudge.element = element;
    nudge.by = -step;
    s->op->reference(s, lower);
    nudge.by = step;
    s->op->reference(s, upper);
    nudge.of = NULL;
    for (int64_t i = 0; i < n; i++) sum += (double)dout[i] * (upper[i] - lower[i]);
    return sum / (2 * step);
}

/* The case's probes, taken once for all machines. */
static size_t probes_of(sample *s, int64_t n, probe **probes) {
    static probe kept[TARGETS * FEW];
    static size_t count, number = CASES;
    *probes = kept;
    if (number == s->number) return count;
    target t[TARGETS];
    size_t targets = targets_of(s, t);
    double *lower = calloc((size_t)n + 1, sizeof *lower),
           *upper = calloc((size_t)n + 1, sizeof *upper);
    float *dout = random_floats(n, ego_rng_stream(9, s->number));
    count = 0;
    number = s->number;
    for (size_t i = 0; i < targets; i++) {
        int64_t elements[PROBES] = {0, t[i].count - 1, t[i].count / 3, EVERY};
        int64_t many = t[i].count <= FEW ? t[i].count : PROBES;
        for (int64_t j = 0; j < many; j++) {
            int64_t element = many == PROBES && t[i].count > FEW ? elements[j] : j;
            kept[count++] =
                (probe){i, element, difference(s, t[i].of, element, n, dout, lower, upper)};
        }
    }
    free(lower);
    free(upper);
    free(dout);
    return count;
}

/* ---- columns ------------------------------------------------------------------------------------------- */

/* The largest magnitude of a gradient: what its errors are measured by. */
static double scale_of(const float *g, int64_t n) {
    double scale = 0.02;
    for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs((double)g[i]));
    return scale;
}

/* How far a gradient may be from what differences say: a share of its scale.
 *
 * Not so of what layer normalisation of a single column passes to x, which is 0, so that it has no scale. It is
 * (g − mean(g)) / √(variance + eps) with g = dout · w, the mean g itself, rounded, and the variance 0. A machine that
 * contracts dout · w − mean(g) rounds only the mean: what is left of g is at most u |g|, u = 2⁻²⁴, and is then divided
 * by √eps. The two roundings of that quotient add 2u of it; 2⁻²⁰ is more. */
static double allowed(const sample *s, const target *t, int64_t element, double scale) {
    if (s->op != &op_layer_norm || s->n[1] != 1 || !t->in) return s->op->gradient * scale;
    double sum = 0;
    float *dout = random_floats(t->count, ego_rng_stream(9, s->number));
    for (int64_t i = 0; dout && i < t->count; i++)
        if (element == EVERY || element == i) sum += fabs(dout[i] * param_at(&s->param[0], 0));
    free(dout);
    return 0x1p-24 * sum / sqrt(LAYER_NORM_EPS) * (1 + 0x1p-20);
}

/* With a tape an operation may be several: they are to give the same. Returns its size. */
static int64_t check_taped(sample *s, const machine *m) {
    ego_ctx cx;
    ego_tape *tape;
    double worst = 0;
    ego_ctx_init(&cx, m->backend[0]);
    CHECK_OK(ego_tape_new(false, &tape));
    ego_tape_attach(&cx, tape);
    ego_tensor *out = s->op->forward(&cx, s);
    int64_t n = out ? ego_tensor_count(out) : 0;
    CHECK_OK(ego_ctx_err(&cx));
    if (!CHECK(out && close_to_reference(s, out, &worst))) say(s, m, "a tape changes the result");
    for (int i = 0; i < INPUTS; i++) m->backend[0]->forget(m->backend[0], &s->param[i]);
    ego_tape_free(tape);
    ego_ctx_release(&cx);
    return n;
}

static void check_differences(sample *s, const machine *m) {
    target t[TARGETS];
    probe *probes;
    targets_of(s, t);
    gradients g = all_gradients(s, m->backend[0]);
    for (size_t n = probes_of(s, check_taped(s, m), &probes); n-- > 0;) {
        const probe *p = &probes[n];
        int64_t count = t[p->target].count;
        const float *got = g.of[p->target];
        double sum = 0, scale = scale_of(got, count);
        if (p->element != EVERY)
            sum = got[p->element];
        else {
            scale *= sqrt((double)count);
            for (int64_t i = 0; i < count; i++) sum += sign_of(i) * got[i];
        }
        double error = fabs(sum - p->want), limit = allowed(s, &t[p->target], p->element, scale);
        char text[160];
        snprintf(text, sizeof text,
                 "%s %zu, element %lld: gradient %.9g, expected %.9g, error %.2g of %.2g",
                 t[p->target].param ? "parameter" : "input", p->target, (long long)p->element, sum,
                 p->want, error, limit);
        if (!CHECK(error <= limit)) say(s, m, text);
    }
    gradients_release(&g);
}

/* Gradients are added to what is there. */
static void check_added(sample *s, const machine *m) {
    target t[TARGETS];
    size_t n = targets_of(s, t);
    gradients before = {0}, g = all_gradients(s, m->backend[0]);
    for (size_t i = 0; i < n; i++)
        before.of[i] = random_floats(t[i].count, ego_rng_stream(s->number, i));
    gradients sum = gradients_from(s, m->backend[0], (1u << TARGETS) - 1, &before);
    for (size_t i = 0; i < n; i++) {
        bool good = true;
        double scale = scale_of(g.of[i], t[i].count);
        for (int64_t j = 0; j < t[i].count; j++) {
            double want = (double)before.of[i][j] + g.of[i][j];
            good &= fabs(sum.of[i][j] - want) <= s->op->gradient * fmax(scale, 4);
        }
        if (!CHECK(good)) say(s, m, "a gradient is not added");
    }
    gradients_release(&before);
    gradients_release(&g);
    gradients_release(&sum);
}

static bool same(const gradients *a, const gradients *b, size_t i, int64_t count) {
    return memcmp(a->of[i], b->of[i], (size_t)count * sizeof(float)) == 0;
}

/* The same bits for any number of threads. */
static void check_threads(sample *s, const machine *m) {
    target t[TARGETS];
    size_t n = targets_of(s, t);
    gradients one = all_gradients(s, m->backend[0]);
    for (int p = 1; p < POOLS; p++) {
        gradients g = all_gradients(s, m->backend[p]);
        for (size_t i = 0; i < n; i++)
            if (!CHECK(same(&one, &g, i, t[i].count))) say(s, m, "threads change a gradient");
        gradients_release(&g);
    }
    gradients_release(&one);
}

/* The same bits when it is the only one wanted: the others are constants or frozen. */
static void check_alone(sample *s, const machine *m) {
    target t[TARGETS];
    size_t n = targets_of(s, t);
    gradients all = all_gradients(s, m->backend[0]);
    for (size_t i = 0; i < n; i++) {
        gradients g = gradients_from(s, m->backend[0], 1u << i, NULL);
        if (!CHECK(same(&all, &g, i, t[i].count))) say(s, m, "frozen parameters change a gradient");
        gradients_release(&g);
    }
    gradients_release(&all);
}

static void (*const columns[])(sample *, const machine *) = {
    check_differences,
    check_added,
    check_threads,
    check_alone,
};

/* Gradients of products are of, and pass through, weights in rows of float32; others are refused. */
static bool has_gradients(const sample *s) {
    return s->op != &op_linear || (s->param[0].value.dtype == EGO_F32 && !s->param[0].panelled);
}
static void check_refused(sample *s, const machine *m) {
    ego_ctx cx;
    ego_tape *tape;
    ego_ctx_init(&cx, m->backend[0]);
    CHECK_OK(ego_tape_new(false, &tape));
    ego_tape_attach(&cx, tape);
    ego_tape_leaf(&cx, s->in[0]);
    CHECK(!s->op->forward(&cx, s));
    CHECK_ERR(EGO_EUNSUPPORTED, ego_ctx_err(&cx));
    ego_tape_free(tape);
    ego_ctx_release(&cx);
}

int main(void) {
    machine machines[MACHINES];
    size_t n = machines_open(machines);
    for (size_t c = 0; c < CASES; c++)
        for (size_t column = 0; column < sizeof columns / sizeof *columns; column++)
            for (size_t m = 0; m < n; m++) {
                sample s;
                sample_make(&s, c);
                (has_gradients(&s) ? columns[column] : check_refused)(&s, &machines[m]);
                sample_release(&s);
            }
    machines_close(machines, n);
    return check_done();
}
