/* Gradients of products: dx = dz W, dW = dzᵀ x, db = Σ_r dz, with dz = dy · act'(y). */
#include "tensor/cpu/cpu.h"
#include "tensor/tape.h"

/* act'(z) from y = act(z); GELU never gets here with a tape (ops.c). */
static float slope(ego_act act, float y) {
    switch (act) {
    case EGO_ACT_RELU: return y > 0 ? 1 : 0;
    case EGO_ACT_TANH: return 1 - y * y;
    default: return 1;
    }
}

typedef struct linear_back {
    int64_t rows, inputs, outputs;
    const float *x, *w, *dz;
    float *dx, *dw, *db;
} linear_back;

static void input_row(void *context, size_t r, unsigned worker) {
    (void)worker;
    const linear_back *l = context;
    const float *dz = l->dz + (int64_t)r * l->outputs;
    float *dx = l->dx + (int64_t)r * l->inputs;
    for (int64_t o = 0; o < l->outputs; o++)
        for (int64_t i = 0; i < l->inputs; i++) dx[i] += dz[o] * l->w[o * l->inputs + i];
}

static void weight_row(void *context, size_t o, unsigned worker) {
    (void)worker;
    const linear_back *l = context;
    for (int64_t r = 0; r < l->rows; r++) {
        float dz = l->dz[r * l->outputs + (int64_t)o];
        if (l->db) l->db[o] += dz;
        for (int64_t i = 0; l->dw && i < l->inputs; i++)
            l->dw[(int64_t)o * l->inputs + i] += dz * l->x[r * l->inputs + i];
    }
}

ego_err ego__cpu_linear_back(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    ego_param *w = call->param[0], *b = call->param[1];
    int64_t first = call->as.linear.first, n = ego_tensor_count(call->out);
    const float *y = ego_f32(call->out);
    float *dz = ego_grad(call->out), *residual = ego_grad(call->in[1]);
    linear_back l = {.rows = ego_tensor_rows(call->out),
                     .inputs = ego_tensor_columns(call->in[0]),
                     .outputs = ego_tensor_columns(call->out),
                     .x = ego_f32(call->in[0]),
                     .dz = dz,
                     .dx = ego_grad(call->in[0])};
    l.w = ego_f32(&w->value) + first * l.inputs;
    if (w->grad) l.dw = w->grad + first * l.inputs;
    if (b && b->grad) l.db = b->grad + first;
    for (int64_t i = 0; i < n; i++) {
        if (residual) residual[i] += dz[i];
        dz[i] *= slope(call->as.linear.act, y[i]);
    }
    if (l.dx) ego_parallel(cpu->pool, (size_t)l.rows, input_row, &l);
    if (l.dw || l.db) ego_parallel(cpu->pool, (size_t)l.outputs, weight_row, &l);
    return EGO_OK;
}

/* ---- product of activations --------------------------------------------------------------------------- */

ego_err ego__cpu_product(ego_backend *backend, const ego_call *call) {
    (void)backend;
    const float *x = ego_f32(call->in[0]), *y = ego_f32(call->in[1]);
    int64_t rows = ego_tensor_rows(call->in[0]), columns = ego_tensor_rows(call->in[1]);
    int64_t k = ego_tensor_columns(call->in[0]);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) {
            double sum = 0;
            for (int64_t i = 0; i < k; i++) sum += (double)x[r * k + i] * y[c * k + i];
            ego_f32(call->out)[r * columns + c] = (float)sum;
        }
    return EGO_OK;
}

ego_err ego__cpu_product_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    const float *x = ego_f32(call->in[0]), *y = ego_f32(call->in[1]), *dz = ego_grad(call->out);
    float *dx = ego_grad(call->in[0]), *dy = ego_grad(call->in[1]);
    int64_t rows = ego_tensor_rows(call->in[0]), columns = ego_tensor_rows(call->in[1]);
    int64_t k = ego_tensor_columns(call->in[0]);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            for (int64_t i = 0; i < k; i++) {
                if (dx) dx[r * k + i] += dz[r * columns + c] * y[c * k + i];
                if (dy) dy[c * k + i] += dz[r * columns + c] * x[r * k + i];
            }
    return EGO_OK;
}
