#include "tensor/tape.h"

#include "tensor/backend.h"

#include <stdlib.h>
#include <string.h>

/* A stretch of calls that is kept, or forgotten and run again, as a whole. */
typedef struct span {
    size_t first;
    bool step;      /* a step of a chain: may be forgotten */
    bool forgotten; /* the data of its tensors is gone, but for those kept */
} span;

struct ego_tape {
    bool checkpoint;
    ego_arena records; /* tensors, nodes, lists that calls point to */
    ego_arena kept;    /* data and gradients that outlive their span */
    ego_call *calls;
    size_t n_calls, calls_cap;
    span *spans;
    size_t n_spans, spans_cap;
};

ego_err ego_tape_new(bool checkpoint, ego_tape **out) {
    ego_tape *tape = calloc(1, sizeof *tape);
    if (!tape) return ego_fail(EGO_ENOMEM, "out of memory");
    tape->checkpoint = checkpoint;
    ego_arena_init(&tape->records, (size_t)1 << 20);
    ego_arena_init(&tape->kept, (size_t)1 << 20);
    *out = tape;
    return EGO_OK;
}

void ego_tape_free(ego_tape *tape) {
    if (!tape) return;
    ego_arena_release(&tape->records);
    ego_arena_release(&tape->kept);
    free(tape->calls);
    free(tape->spans);
    free(tape);
}

/* Forgets every call. The memory stays for the next ones, and with it what leaves point to. */
static void empty(ego_tape *tape) { tape->n_calls = tape->n_spans = 0; }

/* A new recording takes the memory of the last one. */
static void reuse(ego_tape *tape) {
    ego_arena_rewind(&tape->records, (ego_arena_mark){0});
    ego_arena_rewind(&tape->kept, (ego_arena_mark){0});
}

ego_tape *ego_tape_attach(ego_ctx *cx, ego_tape *tape) {
    ego_tape *before = cx->tape;
    if (before && cx->err != EGO_OK) empty(before);
    cx->tape = tape;
    if (tape && tape->n_spans == 0) reuse(tape);
    return before;
}

size_t ego_tape_peak(const ego_tape *tape) { return tape->records.peak + tape->kept.peak; }

ego_arena *ego__tape_records(ego_tape *tape) { return &tape->records; }

/* ---- long stretches of memory, on all threads ------------------------------------------------------------ */

enum { STRETCH = 1 << 16 }; /* floats */

typedef struct filling {
    const float *from; /* NULL: zeros */
    float *to;
    size_t count;
} filling;

static void fill_stretch(void *context, size_t i, unsigned worker) {
    (void)worker;
    const filling *f = context;
    size_t at = i * STRETCH, n = f->count - at < STRETCH ? f->count - at : STRETCH;
    if (f->from)
        memcpy(f->to + at, f->from + at, n * sizeof *f->to);
    else
        memset(f->to + at, 0, n * sizeof *f->to);
}

/* `count` floats from `from`, or zeros. */
static float *fill(const ego_ctx *cx, float *to, const float *from, int64_t count) {
    filling f = {from, to, (size_t)count};
    ego_parallel(cx->backend->pool, (f.count + STRETCH - 1) / STRETCH, fill_stretch, &f);
    return to;
}

static ego_err no_memory(void) { return ego_fail(EGO_ENOMEM, "out of memory for the tape"); }

/* ---- recording --------------------------------------------------------------------------------------- */

static ego_err begin_span(ego_tape *tape, bool step) {
    if (tape->n_spans == tape->spans_cap) {
        size_t cap = tape->spans_cap ? 2 * tape->spans_cap : 64;
        span *more = realloc(tape->spans, cap * sizeof *more);
        if (!more) return no_memory();
        tape->spans = more;
        tape->spans_cap = cap;
    }
    tape->spans[tape->n_spans++] = (span){tape->n_calls, step, false};
    return EGO_OK;
}

bool ego__tape_step(ego_ctx *cx, int64_t step) {
    ego_tape *tape = cx->tape;
    if (cx->err != EGO_OK) return false;
    ego_err err = begin_span(tape, tape->checkpoint);
    if (err != EGO_OK) return ego__ctx_fail(cx, err), false;
    if (!tape->checkpoint) return false; /* a span of its own all the same: its gradients end with it */
    if (step >= 2) tape->spans[tape->n_spans - 3].forgotten = true;
    return true;
}

static ego_err new_node(ego_tape *tape, ego_tensor *x, bool wanted) {
    ego_node *node = ego_arena_alloc(&tape->records, sizeof *node);
    if (!node) return no_memory();
    *node = (ego_node){.tensor = x, .wanted = wanted, .span = (int64_t)tape->n_spans - 1};
    x->node = node;
    return EGO_OK;
}

static bool crosses(const ego_tape *tape, const ego_tensor *x) {
    return x && x->node && !x->node->kept && x->node->span != (int64_t)tape->n_spans - 1 &&
           tape->spans[x->node->span].step;
}

/* What one step hands to another must outlive it. */
static ego_err keep(ego_ctx *cx, ego_node *node) {
    ego_tape *tape = cx->tape;
    if (tape->spans[node->span].forgotten)
        return ego_fail(EGO_EUNSUPPORTED,
                        "a step of a chain reads what came before the step before it");
    int64_t n = ego_tensor_count(node->tensor);
    float *data = ego_arena_alloc(&tape->kept, (size_t)n * sizeof *data);
    if (!data) return no_memory();
    node->tensor->data = fill(cx, data, node->tensor->data, n);
    node->kept = true;
    return EGO_OK;
}

static bool needs_gradient(const ego_call *call) {
    for (int i = 0; i < 3; i++)
        if (ego_wants_grad(call->in[i]) || (call->param[i] && call->param[i]->grad)) return true;
    return false;
}

ego_err ego__tape_record(ego_ctx *cx, const ego_call *call) {
    ego_tape *tape = cx->tape;
    if (tape->n_spans == 0) EGO_TRY(begin_span(tape, false));
    if (tape->n_calls == tape->calls_cap) {
        size_t cap = tape->calls_cap ? 2 * tape->calls_cap : 1024;
        ego_call *more = realloc(tape->calls, cap * sizeof *more);
        if (!more) return no_memory();
        tape->calls = more;
        tape->calls_cap = cap;
    }
    for (int i = 0; i < 3; i++)
        if (crosses(tape, call->in[i])) EGO_TRY(keep(cx, call->in[i]->node));
    EGO_TRY(new_node(tape, call->out, needs_gradient(call)));
    tape->calls[tape->n_calls++] = *call;
    return EGO_OK;
}

/* A leaf is kept from the start: its gradient is read after its span has passed. */
static ego_err new_leaf(ego_ctx *cx, ego_tensor *x) {
    ego_tape *tape = cx->tape;
    if (tape->n_spans == 0) EGO_TRY(begin_span(tape, false));
    EGO_TRY(new_node(tape, x, true));
    if (tape->spans[x->node->span].step) return keep(cx, x->node);
    x->node->kept = true;
    return EGO_OK;
}

ego_tensor *ego_tape_leaf(ego_ctx *cx, ego_tensor *x) {
    if (cx->err != EGO_OK || !x) return NULL;
    ego_err err = cx->tape ? new_leaf(cx, x) : EGO_OK;
    return err == EGO_OK ? x : ego__ctx_fail(cx, err);
}

/* ---- backward ----------------------------------------------------------------------------------------- */

/* Room for a gradient, zeroed: in the arena of the activations when it ends with the span in hand, else
 * with the tape. */
static void want(ego_ctx *cx, const ego_tensor *x, int64_t span_in_hand) {
    if (!ego_wants_grad(x) || x->node->grad || cx->err != EGO_OK) return;
    int64_t n = ego_tensor_count(x);
    float *grad = x->node->span == span_in_hand && !x->node->kept
                      ? ego__ctx_floats(cx, n)
                      : ego_arena_alloc(&cx->tape->kept, (size_t)n * sizeof *grad);
    if (!grad) {
        ego__ctx_fail(cx, no_memory());
        return;
    }
    x->node->grad = fill(cx, grad, NULL, n);
}

void ego_grad_add(ego_ctx *cx, const ego_tensor *x, float weight, const float *grad) {
    if (cx->err != EGO_OK || !ego_wants_grad(x)) return;
    want(cx, x, -1);
    float *to = ego_grad(x);
    for (int64_t i = 0, n = to ? ego_tensor_count(x) : 0; i < n; i++)
        to[i] += weight * (grad ? grad[i] : 1);
}

static size_t span_end(const ego_tape *tape, size_t i) {
    return i + 1 < tape->n_spans ? tape->spans[i + 1].first : tape->n_calls;
}

/* The data of a forgotten span once more; what was kept is there already. */
static void run_again(ego_ctx *cx, size_t i) {
    ego_tape *tape = cx->tape;
    for (size_t c = tape->spans[i].first; c < span_end(tape, i) && cx->err == EGO_OK; c++) {
        ego_call *call = &tape->calls[c];
        if (call->out->node->kept) continue;
        call->out->data = ego__ctx_floats(cx, ego_tensor_count(call->out));
        if (!call->out->data) return;
        ego_err err = cx->backend->forward[call->op](cx->backend, call);
        if (err != EGO_OK) ego__ctx_fail(cx, err);
    }
}

static void run_back(ego_ctx *cx, size_t i) {
    ego_tape *tape = cx->tape;
    for (size_t c = span_end(tape, i); c-- > tape->spans[i].first && cx->err == EGO_OK;) {
        const ego_call *call = &tape->calls[c];
        if (!ego_grad(call->out)) continue;
        for (int k = 0; k < 3; k++) want(cx, call->in[k], (int64_t)i);
        if (cx->err != EGO_OK) return;
        ego_err err = cx->backend->backward[call->op](cx->backend, call);
        if (err != EGO_OK) ego__ctx_fail(cx, err);
    }
}

/* Whether anything of a span has a gradient: what learns may lie above it alone. */
static bool reached(const ego_tape *tape, size_t i) {
    for (size_t c = tape->spans[i].first; c < span_end(tape, i); c++)
        if (ego_grad(tape->calls[c].out)) return true;
    return false;
}

void ego_tape_backward(ego_ctx *cx) {
    ego_tape *tape = cx->tape;
    for (size_t i = tape->n_spans; i-- > 0 && cx->err == EGO_OK;) {
        if (!reached(tape, i)) continue;
        ego_ctx_mark mark = ego_ctx_save(cx);
        if (tape->spans[i].forgotten) run_again(cx, i);
        run_back(cx, i);
        ego_ctx_rewind(cx, &mark);
    }
    empty(tape);
}
