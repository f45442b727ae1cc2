#include "tensor/ops.h"

#include "tensor/backend.h"
#include "tensor/tape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void ego_ctx_init(ego_ctx *cx, ego_backend *backend) {
    *cx = (ego_ctx){.backend = backend};
    for (int i = 0; i < 2; i++) ego_arena_init(&cx->arena[i], (size_t)1 << 20);
}

void ego_ctx_release(ego_ctx *cx) {
    for (int i = 0; i < 2; i++) ego_arena_release(&cx->arena[i]);
}

ego_ctx_mark ego_ctx_save(const ego_ctx *cx) {
    return (ego_ctx_mark){{ego_arena_save(&cx->arena[0]), ego_arena_save(&cx->arena[1])},
                          cx->current};
}

void ego_ctx_rewind(ego_ctx *cx, const ego_ctx_mark *mark) {
    for (int i = 0; i < 2; i++) ego_arena_rewind(&cx->arena[i], mark->arena[i]);
    cx->current = mark->current;
}

ego_steps ego_steps_begin(const ego_ctx *cx) { return (ego_steps){.mark = ego_ctx_save(cx)}; }

void ego_steps_next(ego_ctx *cx, ego_steps *steps) {
    int64_t step = steps->taken++;
    if (cx->tape && !ego__tape_step(cx, step)) return;
    if (step == 0) return;
    cx->current = !cx->current;
    ego_arena_rewind(&cx->arena[cx->current], steps->mark.arena[cx->current]);
}

ego_err ego_ctx_err(ego_ctx *cx) {
    ego_err err = cx->err;
    cx->err = EGO_OK;
    return err == EGO_OK ? EGO_OK : ego_fail(err, "%s", cx->message);
}

void *ego__ctx_fail(ego_ctx *cx, ego_err err) {
    if (cx->err == EGO_OK) {
        cx->err = err;
        snprintf(cx->message, sizeof cx->message, "%s", ego_err_message());
    }
    return NULL;
}

/* ---- what waits ------------------------------------------------------------------------------------ */

enum { CHAIN_CALLS = 8 };
struct ego_chain {
    ego_call calls[CHAIN_CALLS];
    int count;
};

bool ego_op_by_row(ego_op op) {
    return op == EGO_OP_linear || op == EGO_OP_layer_norm || op == EGO_OP_add ||
           op == EGO_OP_gated_add || op == EGO_OP_activate;
}

ego_err ego_backend_in_turn(ego_backend *backend, const ego_call *calls, int count) {
    for (int i = 0; i < count; i++) EGO_TRY(backend->forward[calls[i].op](backend, &calls[i]));
    return EGO_OK;
}

/* Everything that waits. */
static ego_err run_chain(ego_ctx *cx) {
    int count = cx->chain->count;
    cx->chain->count = 0;
    return count ? cx->backend->chain(cx->backend, cx->chain->calls, count) : EGO_OK;
}

/* Waits with the others, which run first where it is not of as many rows, or there are enough. */
static ego_err join_chain(ego_ctx *cx, const ego_call *call) {
    struct ego_chain *chain = cx->chain;
    if (chain->count == CHAIN_CALLS ||
        (chain->count && ego_tensor_rows(chain->calls[0].out) != ego_tensor_rows(call->out)))
        EGO_TRY(run_chain(cx));
    chain->calls[chain->count++] = *call;
    return EGO_OK;
}

void ego_chain_begin(ego_ctx *cx) {
    if (cx->tape || !(cx->chain = ego_ctx_alloc(cx, sizeof *cx->chain))) return;
    cx->chain->count = 0;
}

void ego_chain_end(ego_ctx *cx) {
    if (!cx->chain) return;
    ego_err err = cx->err == EGO_OK ? run_chain(cx) : EGO_OK;
    cx->chain = NULL;
    if (err != EGO_OK) ego__ctx_fail(cx, err);
}

/* ---- running ----------------------------------------------------------------------------------------- */

static ego_err run_now(ego_ctx *cx, const ego_call *call) {
    if (cx->chain) EGO_TRY(run_chain(cx));
    EGO_TRY(cx->backend->forward[call->op](cx->backend, call));
    return cx->tape ? ego__tape_record(cx, call) : EGO_OK;
}

static ego_tensor *run(ego_ctx *cx, ego_call call) {
    if (cx->err != EGO_OK || !call.out) return NULL;
    bool waits = cx->chain && ego_op_by_row(call.op);
    ego_err err = waits ? join_chain(cx, &call) : run_now(cx, &call);
    return err == EGO_OK ? call.out : ego__ctx_fail(cx, err);
}

/* A shape that does not fit is the caller's mistake, or a model file's. */
static void *misfit(ego_ctx *cx, const char *op, const ego_tensor *a, const char *name,
                    const ego_tensor *b) {
    char left[EGO_SHAPE_TEXT] = "nothing", right[EGO_SHAPE_TEXT] = "nothing";
    if (a) ego_shape_text(a->shape, a->ndim, left);
    if (b) ego_shape_text(b->shape, b->ndim, right);
    return ego__ctx_fail(cx, ego_fail(EGO_EMODEL, "%s: %s does not fit %s %s", op, left,
                             name ? name : "the other operand", right));
}

/* A parameter that the path needs must be there: files may lack some. */
static bool present(ego_ctx *cx, const char *op, const ego_param *p) {
    if (cx->err != EGO_OK) return false;
    if (p && p->value.data) return true;
    ego__ctx_fail(cx, ego_fail(EGO_EMODEL, "%s: the model has no tensor '%s'", op, p && p->name ? p->name : "?"));
    return false;
}

static void *allocate(ego_ctx *cx, ego_arena *arena, size_t bytes) {
    if (cx->err != EGO_OK) return NULL;
    void *p = ego_arena_alloc(arena, bytes);
    return p ? p : ego__ctx_fail(cx, ego_fail(EGO_ENOMEM, "out of memory for %zu bytes", bytes));
}

float *ego__ctx_floats(ego_ctx *cx, int64_t n) {
    return allocate(cx, &cx->arena[cx->current], (size_t)n * sizeof(float));
}

void *ego_ctx_alloc(ego_ctx *cx, size_t bytes) {
    return allocate(cx, cx->tape ? ego__tape_records(cx->tape) : &cx->arena[cx->current], bytes);
}

ego_tensor *ego_tensor_new(ego_ctx *cx, int ndim, const int64_t *shape) {
    if (cx->err != EGO_OK) return NULL;
    size_t bytes;
    if (!ego_shape_bytes(shape, ndim, EGO_F32, &bytes))
        return ego__ctx_fail(cx, ego_fail(EGO_EMODEL, "a tensor of %d dimensions is too large", ndim));
    ego_tensor *t = ego_ctx_alloc(cx, sizeof *t);
    void *data = ego__ctx_floats(cx, (int64_t)(bytes / sizeof(float)));
    if (!data) return NULL;
    *t = (ego_tensor){.data = data, .dtype = EGO_F32, .ndim = ndim};
    memcpy(t->shape, shape, (size_t)ndim * sizeof shape[0]);
    return t;
}

/* A tensor like x but with another last dimension. */
static ego_tensor *with_columns(ego_ctx *cx, const ego_tensor *x, int64_t columns) {
    int64_t shape[EGO_MAX_DIMS];
    memcpy(shape, x->shape, sizeof shape);
    shape[x->ndim - 1] = columns;
    return ego_tensor_new(cx, x->ndim, shape);
}

/* ---- products -------------------------------------------------------------------------------------- */

/* Outputs and inputs of a linear weight: (O, I) or a filter (O, C, P, P). */
static int64_t weight_inputs(const ego_param *w) {
    int64_t n = 1;
    for (int i = 1; i < w->value.ndim; i++) n *= w->value.shape[i];
    return n;
}

static bool linear_fits(const ego_tensor *x, const ego_param *w, const ego_param *b) {
    return x->ndim > 0 && w->value.ndim >= 2 && ego_tensor_columns(x) == weight_inputs(w) &&
           (!b || ego_tensor_count(&b->value) == w->value.shape[0]);
}

/* Gradients are of, and pass through, weights in rows of float32. */
static bool trainable(ego_ctx *cx, const ego_tensor *x, const ego_param *w) {
    if (!cx->tape || !(w->grad || ego_wants_grad(x))) return true;
    if (w->value.dtype == EGO_F32 && !w->panelled) return true;
    ego__ctx_fail(cx, ego_fail(EGO_EUNSUPPORTED,
                               "linear: expected '%s' in rows of F32 for its gradients, found %s%s",
                               w->name ? w->name : "?", ego_dtype_name(w->value.dtype),
                               w->panelled ? " in panels" : ""));
    return false;
}

ego_tensor *ego_linear(ego_ctx *cx, const ego_tensor *x, ego_param *w, ego_param *b, ego_act act,
                       const ego_tensor *residual) {
    if (!present(cx, "linear", w) || (b && !present(cx, "linear", b))) return NULL;
    if (!linear_fits(x, w, b)) return misfit(cx, "linear", x, w->name, &w->value);
    if (!trainable(cx, x, w)) return NULL;
    /* Gradients need what GELU was applied to, and what the others gave before anything was added. */
    if (cx->tape && act != EGO_ACT_NONE && residual)
        return ego_add(cx, ego_linear(cx, x, w, b, act, NULL), residual);
    if (cx->tape && act == EGO_ACT_GELU)
        return ego_activate(cx, ego_linear(cx, x, w, b, EGO_ACT_NONE, NULL), act);
    ego_tensor *out = with_columns(cx, x, w->value.shape[0]);
    if (out && residual && ego_tensor_count(residual) != ego_tensor_count(out))
        return misfit(cx, "linear residual", residual, w->name, out);
    return run(cx, (ego_call){.op = EGO_OP_linear,
                              .in = {x, residual},
                              .param = {w, b},
                              .out = out,
                              .as.linear = {act, 0}});
}

ego_tensor *ego_linear_slice(ego_ctx *cx, const ego_tensor *x, ego_param *w, ego_param *b,
                             int64_t first, int64_t count) {
    if (!present(cx, "linear", w) || (b && !present(cx, "linear", b))) return NULL;
    if (!linear_fits(x, w, b) || first < 0 || count < 0 || first + count > w->value.shape[0])
        return misfit(cx, "linear slice", x, w->name, &w->value);
    if (!trainable(cx, x, w)) return NULL;
    return run(cx, (ego_call){.op = EGO_OP_linear,
                              .in = {x},
                              .param = {w, b},
                              .out = with_columns(cx, x, count),
                              .as.linear = {EGO_ACT_NONE, first}});
}

ego_tensor *ego_attention(ego_ctx *cx, const ego_attention_args *a) {
    if (cx->err != EGO_OK) return NULL;
    int64_t columns = a->heads * a->width;
    if (a->q_column + columns > ego_tensor_columns(a->q) ||
        a->k_column + columns > ego_tensor_columns(a->k) ||
        a->v_column + columns > ego_tensor_columns(a->v) ||
        ego_tensor_rows(a->k) != ego_tensor_rows(a->v))
        return misfit(cx, "attention", a->q, "keys", a->k);
    return run(cx, (ego_call){.op = EGO_OP_attention,
                              .in = {a->q, a->k, a->v},
                              .out = EGO_TENSOR(cx, ego_tensor_rows(a->q), columns),
                              .as.attention = *a});
}

/* ---- rows ------------------------------------------------------------------------------------------- */

ego_tensor *ego_layer_norm(ego_ctx *cx, const ego_tensor *x, ego_param *w, ego_param *b, float eps) {
    if (!present(cx, "layer_norm", w) || !present(cx, "layer_norm", b)) return NULL;
    int64_t columns = ego_tensor_columns(x);
    if (ego_tensor_count(&w->value) != columns || ego_tensor_count(&b->value) != columns)
        return misfit(cx, "layer_norm", x, w->name, &w->value);
    return run(cx, (ego_call){.op = EGO_OP_layer_norm,
                              .in = {x},
                              .param = {w, b},
                              .out = ego_tensor_new(cx, x->ndim, x->shape),
                              .as.layer_norm = {eps}});
}

ego_tensor *ego_gated_add(ego_ctx *cx, const ego_tensor *x, ego_param *gate, const ego_tensor *y) {
    if (!present(cx, "gated_add", gate)) return NULL;
    if (ego_tensor_count(x) != ego_tensor_count(y)) return misfit(cx, "gated_add", x, NULL, y);
    if (ego_tensor_count(&gate->value) != 1)
        return misfit(cx, "gated_add", x, gate->name, &gate->value);
    return run(cx, (ego_call){.op = EGO_OP_gated_add,
                              .in = {x, y},
                              .param = {gate},
                              .out = ego_tensor_new(cx, x->ndim, x->shape)});
}

ego_tensor *ego_add(ego_ctx *cx, const ego_tensor *x, const ego_tensor *y) {
    if (cx->err != EGO_OK) return NULL;
    if (!ego_tensor_same_shape(x, y)) return misfit(cx, "add", x, NULL, y);
    return run(cx, (ego_call){
                       .op = EGO_OP_add, .in = {x, y}, .out = ego_tensor_new(cx, x->ndim, x->shape)});
}

ego_tensor *ego_activate(ego_ctx *cx, const ego_tensor *x, ego_act act) {
    if (cx->err != EGO_OK) return NULL;
    return run(cx, (ego_call){.op = EGO_OP_activate,
                              .in = {x},
                              .out = ego_tensor_new(cx, x->ndim, x->shape),
                              .as.activate = {act}});
}

ego_tensor *ego_concat(ego_ctx *cx, const ego_tensor *a, const ego_tensor *b) {
    if (cx->err != EGO_OK) return NULL;
    int64_t rows = ego_tensor_rows(a);
    if (ego_tensor_rows(b) != rows) return misfit(cx, "concat", a, NULL, b);
    ego_tensor *out = EGO_TENSOR(cx, rows, ego_tensor_columns(a) + ego_tensor_columns(b));
    return run(cx, (ego_call){.op = EGO_OP_concat, .in = {a, b}, .out = out});
}

ego_tensor *ego_softmax(ego_ctx *cx, const ego_tensor *x) {
    if (cx->err != EGO_OK) return NULL;
    return run(cx, (ego_call){
                       .op = EGO_OP_softmax, .in = {x}, .out = ego_tensor_new(cx, x->ndim, x->shape)});
}

ego_tensor *ego_l2_normalize(ego_ctx *cx, const ego_tensor *x) {
    if (cx->err != EGO_OK) return NULL;
    return run(cx, (ego_call){.op = EGO_OP_l2_normalize,
                              .in = {x},
                              .out = ego_tensor_new(cx, x->ndim, x->shape)});
}

ego_tensor *ego_transpose(ego_ctx *cx, const ego_tensor *x) {
    if (cx->err != EGO_OK) return NULL;
    return run(cx, (ego_call){.op = EGO_OP_transpose,
                              .in = {x},
                              .out = EGO_TENSOR(cx, ego_tensor_columns(x), ego_tensor_rows(x))});
}

/* ---- scaled and added -------------------------------------------------------------------------------- */

ego_tensor *ego_multiply(ego_ctx *cx, const ego_tensor *x, const ego_tensor *y) {
    if (cx->err != EGO_OK) return NULL;
    if (!ego_tensor_same_shape(x, y)) return misfit(cx, "multiply", x, NULL, y);
    return run(cx, (ego_call){.op = EGO_OP_multiply,
                              .in = {x, y},
                              .out = ego_tensor_new(cx, x->ndim, x->shape)});
}

ego_tensor *ego_scale(ego_ctx *cx, const ego_tensor *x, float factor) {
    if (cx->err != EGO_OK) return NULL;
    return run(cx, (ego_call){.op = EGO_OP_scale,
                              .in = {x},
                              .out = ego_tensor_new(cx, x->ndim, x->shape),
                              .as.scale = {factor}});
}

ego_tensor *ego_scale_rows(ego_ctx *cx, const ego_tensor *x, const ego_tensor *s) {
    if (cx->err != EGO_OK) return NULL;
    if (ego_tensor_count(s) != ego_tensor_rows(x)) return misfit(cx, "scale_rows", x, NULL, s);
    return run(cx, (ego_call){.op = EGO_OP_scale_rows,
                              .in = {x, s},
                              .out = ego_tensor_new(cx, x->ndim, x->shape)});
}

ego_tensor *ego_scale_columns(ego_ctx *cx, const ego_tensor *x, ego_param *w) {
    if (!present(cx, "scale_columns", w)) return NULL;
    if (ego_tensor_count(&w->value) != ego_tensor_columns(x))
        return misfit(cx, "scale_columns", x, w->name, &w->value);
    return run(cx, (ego_call){.op = EGO_OP_scale_columns,
                              .in = {x},
                              .param = {w},
                              .out = ego_tensor_new(cx, x->ndim, x->shape)});
}

ego_tensor *ego_add_outer(ego_ctx *cx, const ego_tensor *x, const ego_tensor *a, const ego_tensor *b) {
    if (cx->err != EGO_OK) return NULL;
    if (a && ego_tensor_count(a) != ego_tensor_rows(x)) return misfit(cx, "add_outer", x, NULL, a);
    if (b && ego_tensor_count(b) != ego_tensor_columns(x)) return misfit(cx, "add_outer", x, NULL, b);
    return run(cx, (ego_call){.op = EGO_OP_add_outer,
                              .in = {x, a, b},
                              .out = ego_tensor_new(cx, x->ndim, x->shape)});
}

/* ---- rows in groups ------------------------------------------------------------------------------------ */

static bool groups_cover(ego_ctx *cx, const char *op, ego_groups groups, int64_t rows, bool empty) {
    const int64_t *first = groups.first;
    bool good = groups.count >= 0 && first[0] == 0 && first[groups.count] == rows;
    for (int64_t g = 0; g < groups.count; g++) good &= first[g] + !empty <= first[g + 1];
    if (good) return true;
    ego__ctx_fail(cx, ego_fail(EGO_EMODEL, "%s: groups do not make up %lld rows%s", op,
                               (long long)rows, empty ? "" : ", or one is empty"));
    return false;
}

ego_tensor *ego_depthwise_conv(ego_ctx *cx, const ego_tensor *x, ego_param *w, ego_groups groups) {
    if (!present(cx, "depthwise_conv", w)) return NULL;
    const ego_tensor *v = &w->value;
    if (v->ndim != 3 || v->shape[0] != ego_tensor_columns(x) || v->shape[1] != 1 || v->shape[2] % 2 == 0)
        return misfit(cx, "depthwise_conv", x, w->name, v);
    if (!groups_cover(cx, "depthwise_conv", groups, ego_tensor_rows(x), true)) return NULL;
    return run(cx, (ego_call){.op = EGO_OP_depthwise_conv,
                              .in = {x},
                              .param = {w},
                              .out = ego_tensor_new(cx, x->ndim, x->shape),
                              .as.groups = groups});
}

ego_tensor *ego_modulate(ego_ctx *cx, const ego_tensor *x, const ego_tensor *scale,
                         const ego_tensor *shift, ego_groups groups) {
    if (cx->err != EGO_OK) return NULL;
    int64_t columns = ego_tensor_columns(x);
    if (ego_tensor_rows(scale) != groups.count || ego_tensor_columns(scale) != columns)
        return misfit(cx, "modulate", x, "scale", scale);
    if (ego_tensor_rows(shift) != groups.count || ego_tensor_columns(shift) != columns)
        return misfit(cx, "modulate", x, "shift", shift);
    if (!groups_cover(cx, "modulate", groups, ego_tensor_rows(x), true)) return NULL;
    return run(cx, (ego_call){.op = EGO_OP_modulate,
                              .in = {x, scale, shift},
                              .out = ego_tensor_new(cx, x->ndim, x->shape),
                              .as.groups = groups});
}

ego_tensor *ego_mean_rows(ego_ctx *cx, const ego_tensor *x, ego_groups groups) {
    if (cx->err != EGO_OK) return NULL;
    if (!groups_cover(cx, "mean_rows", groups, ego_tensor_rows(x), false)) return NULL;
    return run(cx, (ego_call){.op = EGO_OP_mean_rows,
                              .in = {x},
                              .out = EGO_TENSOR(cx, groups.count, ego_tensor_columns(x)),
                              .as.groups = groups});
}

/* ---- rows by number ----------------------------------------------------------------------------------- */

static bool rows_within(ego_ctx *cx, const char *op, const int64_t *rows, int64_t n, int64_t limit) {
    for (int64_t i = 0; i < n; i++)
        if (rows[i] < 0 || rows[i] >= limit) {
            ego__ctx_fail(cx, ego_fail(EGO_EINPUT, "%s: expected a number below %lld, found %lld", op,
                              (long long)limit, (long long)rows[i]));
            return false;
        }
    return true;
}

ego_tensor *ego_embedding(ego_ctx *cx, ego_param *table, const int64_t *ids, int64_t n) {
    if (!present(cx, "embedding", table)) return NULL;
    int64_t columns = ego_tensor_columns(&table->value);
    if (!rows_within(cx, table->name, ids, n, ego_tensor_rows(&table->value))) return NULL;
    return run(cx, (ego_call){.op = EGO_OP_embedding,
                              .param = {table},
                              .out = EGO_TENSOR(cx, n, columns),
                              .as.gather = {ids}});
}

ego_tensor *ego_gather_rows(ego_ctx *cx, const ego_tensor *x, const int64_t *rows, int64_t n) {
    if (cx->err != EGO_OK || !rows_within(cx, "gather_rows", rows, n, ego_tensor_rows(x))) return NULL;
    return run(cx, (ego_call){.op = EGO_OP_gather_rows,
                              .in = {x},
                              .out = EGO_TENSOR(cx, n, ego_tensor_columns(x)),
                              .as.gather = {rows}});
}

/* ---- clips ------------------------------------------------------------------------------------------- */

ego_tensor *ego_patchify(ego_ctx *cx, const ego_tensor *x, int64_t patch) {
    if (cx->err != EGO_OK) return NULL;
    if (x->ndim != 5 || patch < 1 || x->shape[3] % patch || x->shape[4] % patch)
        return misfit(cx, "patchify", x, "patches", NULL);
    int64_t patches = (x->shape[3] / patch) * (x->shape[4] / patch);
    return run(cx, (ego_call){.op = EGO_OP_patchify,
                              .in = {x},
                              .out = EGO_TENSOR(cx, x->shape[0] * x->shape[1] * patches,
                                                x->shape[2] * patch * patch),
                              .as.patchify = {patch}});
}

ego_tensor *ego_clip_tokens(ego_ctx *cx, const ego_tensor *patches, ego_param *cls, ego_param *pos,
                            ego_param *temporal, int64_t batch, int64_t frames) {
    if (!present(cx, "clip_tokens", cls) || !present(cx, "clip_tokens", pos) ||
        !present(cx, "clip_tokens", temporal))
        return NULL;
    int64_t columns = ego_tensor_columns(patches), rows = ego_tensor_rows(patches);
    int64_t positions = ego_tensor_rows(&pos->value);
    if (rows != batch * frames * (positions - 1) || ego_tensor_columns(&pos->value) != columns)
        return misfit(cx, "clip_tokens", patches, pos->name, &pos->value);
    if (ego_tensor_rows(&temporal->value) < frames ||
        ego_tensor_columns(&temporal->value) != columns || ego_tensor_count(&cls->value) != columns)
        return misfit(cx, "clip_tokens", patches, temporal->name, &temporal->value);
    return run(cx, (ego_call){.op = EGO_OP_clip_tokens,
                              .in = {patches},
                              .param = {cls, pos, temporal},
                              .out = EGO_TENSOR(cx, batch * (1 + frames * (positions - 1)), columns),
                              .as.clip_tokens = {batch, frames}});
}

/* ---- of training -------------------------------------------------------------------------------------- */

ego_tensor *ego_drop(ego_ctx *cx, ego_tensor *x, ego_dropout drop) {
    if (cx->err != EGO_OK) return NULL;
    if (drop.p <= 0 || !drop.streams) return x;
    return run(cx, (ego_call){.op = EGO_OP_dropout,
                              .in = {x},
                              .out = ego_tensor_new(cx, x->ndim, x->shape),
                              .as.dropout = {drop}});
}

ego_tensor *ego_product(ego_ctx *cx, const ego_tensor *x, const ego_tensor *y) {
    if (cx->err != EGO_OK) return NULL;
    if (ego_tensor_columns(x) != ego_tensor_columns(y)) return misfit(cx, "product", x, NULL, y);
    return run(cx, (ego_call){.op = EGO_OP_product,
                              .in = {x, y},
                              .out = EGO_TENSOR(cx, ego_tensor_rows(x), ego_tensor_rows(y))});
}

ego_tensor *ego_cross_entropy(ego_ctx *cx, const ego_tensor *x, const int64_t *labels, float scale) {
    if (cx->err != EGO_OK) return NULL;
    if (!rows_within(cx, "cross_entropy", labels, ego_tensor_rows(x), ego_tensor_columns(x))) return NULL;
    return run(cx, (ego_call){.op = EGO_OP_cross_entropy,
                              .in = {x},
                              .out = EGO_TENSOR(cx, 1),
                              .as.cross_entropy = {labels, scale}});
}

ego_tensor *ego_binary_cross_entropy(ego_ctx *cx, const ego_tensor *x, const float *targets,
                                     const float *weights, float scale) {
    if (cx->err != EGO_OK) return NULL;
    return run(cx, (ego_call){.op = EGO_OP_binary_cross_entropy,
                              .in = {x},
                              .out = EGO_TENSOR(cx, 1),
                              .as.binary_cross_entropy = {targets, weights, scale}});
}

ego_tensor *ego_egonce(ego_ctx *cx, const ego_tensor *sim, const uint8_t *positive, float temperature) {
    if (cx->err != EGO_OK) return NULL;
    if (ego_tensor_rows(sim) != ego_tensor_columns(sim)) return misfit(cx, "egonce", sim, NULL, sim);
    return run(cx, (ego_call){.op = EGO_OP_egonce,
                              .in = {sim},
                              .out = EGO_TENSOR(cx, 1),
                              .as.egonce = {positive, temperature}});
}

ego_tensor *ego_max_margin(ego_ctx *cx, const ego_tensor *sim, const float *weight, float margin) {
    if (cx->err != EGO_OK) return NULL;
    if (ego_tensor_rows(sim) != ego_tensor_columns(sim))
        return misfit(cx, "max_margin", sim, NULL, sim);
    return run(cx, (ego_call){.op = EGO_OP_max_margin,
                              .in = {sim},
                              .out = EGO_TENSOR(cx, 1),
                              .as.max_margin = {weight, margin}});
}
