/* Gradients of the operations on rows and elements. */
#include "tensor/cpu/cpu.h"
#include "tensor/tape.h"

#include "base/rng.h"

#include <math.h>
#include <string.h>

static float *grad_of(const ego_param *p) { return p ? p->grad : NULL; }

static void add_to(float *to, int64_t n, const float *from) {
    for (int64_t i = 0; to && i < n; i++) to[i] += from[i];
}

ego_err ego__cpu_layer_norm_back(ego_backend *backend, const ego_call *call) {
    int64_t rows = ego_tensor_rows(call->out), columns = ego_tensor_columns(call->out);
    const float *x = ego_f32(call->in[0]), *w, *dy = ego_grad(call->out);
    EGO_TRY(ego__cpu_floats((ego__cpu *)backend, call->param[0], &w));
    float *dx = ego_grad(call->in[0]), *dw = grad_of(call->param[0]), *db = grad_of(call->param[1]);
    for (int64_t r = 0; r < rows; r++, x += columns, dy += columns) {
        double mean = 0, var = 0, sum = 0, dot = 0;
        for (int64_t j = 0; j < columns; j++) mean += x[j];
        mean /= (double)columns;
        for (int64_t j = 0; j < columns; j++) var += (x[j] - mean) * (x[j] - mean);
        double scale = 1 / sqrt(var / (double)columns + (double)call->as.layer_norm.eps);
        for (int64_t j = 0; j < columns; j++) {
            double h = (x[j] - mean) * scale, dh = (double)dy[j] * w[j];
            sum += dh;
            dot += dh * h;
            if (dw) dw[j] += (float)(dy[j] * h);
            if (db) db[j] += dy[j];
        }
        for (int64_t j = 0; dx && j < columns; j++) {
            double h = (x[j] - mean) * scale;
            dx[j] += (float)(scale * ((double)dy[j] * w[j] - (sum + h * dot) / (double)columns));
        }
        if (dx) dx += columns;
    }
    return EGO_OK;
}

ego_err ego__cpu_gated_add_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    int64_t n = ego_tensor_count(call->out);
    const float *y = ego_f32(call->in[1]), *dout = ego_grad(call->out);
    float *dx = ego_grad(call->in[0]), *dy = ego_grad(call->in[1]), *dgate = grad_of(call->param[0]), gate;
    double sum = 0;
    ego_to_f32(call->param[0]->value.data, call->param[0]->value.dtype, &gate, 1);
    add_to(dx, n, dout);
    for (int64_t i = 0; i < n; i++) {
        if (dy) dy[i] += gate * dout[i];
        sum += (double)dout[i] * y[i];
    }
    if (dgate) *dgate += (float)sum;
    return EGO_OK;
}

ego_err ego__cpu_add_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    for (int i = 0; i < 2; i++) add_to(ego_grad(call->in[i]), ego_tensor_count(call->out), ego_grad(call->out));
    return EGO_OK;
}

static float slope(ego_act act, float x) {
    switch (act) {
    case EGO_ACT_GELU:
        return 0.5f * (1 + erff(x * 0.70710678f)) + x * 0.39894228f * expf(-0.5f * x * x);
    case EGO_ACT_RELU: return x > 0 ? 1 : 0;
    case EGO_ACT_TANH: return 1 - tanhf(x) * tanhf(x);
    case EGO_ACT_NONE: break;
    }
    return 1;
}

ego_err ego__cpu_activate_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    const float *x = ego_f32(call->in[0]), *dy = ego_grad(call->out);
    float *dx = ego_grad(call->in[0]);
    for (int64_t i = 0, n = ego_tensor_count(call->out); dx && i < n; i++)
        dx[i] += dy[i] * slope(call->as.activate.act, x[i]);
    return EGO_OK;
}

static void scatter(const ego_call *call, float *to) {
    int64_t rows = ego_tensor_rows(call->out), columns = ego_tensor_columns(call->out);
    for (int64_t r = 0; to && r < rows; r++)
        add_to(to + call->as.gather.rows[r] * columns, columns, ego_grad(call->out) + r * columns);
}

ego_err ego__cpu_embedding_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    scatter(call, grad_of(call->param[0]));
    return EGO_OK;
}

ego_err ego__cpu_gather_rows_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    scatter(call, ego_grad(call->in[0]));
    return EGO_OK;
}

ego_err ego__cpu_concat_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    int64_t rows = ego_tensor_rows(call->out), columns = ego_tensor_columns(call->out), from = 0;
    for (int i = 0; i < 2; i++) {
        float *dx = ego_grad(call->in[i]);
        int64_t n = ego_tensor_columns(call->in[i]);
        for (int64_t r = 0; dx && r < rows; r++)
            add_to(dx + r * n, n, ego_grad(call->out) + r * columns + from);
        from += n;
    }
    return EGO_OK;
}

ego_err ego__cpu_patchify_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    const ego_tensor *x = call->in[0];
    int64_t patch = call->as.patchify.patch, height = x->shape[3], width = x->shape[4];
    int64_t across = width / patch, patches = height / patch * across, lines = x->shape[2] * patch;
    const float *dy = ego_grad(call->out);
    for (int64_t i = 0; ego_grad(x) && i < ego_tensor_rows(call->out); i++) {
        int64_t frame = i / patches, y = i % patches / across * patch, left = i % across * patch;
        for (int64_t line = 0; line < lines; line++, dy += patch)
            add_to(ego_grad(x) + ((frame * x->shape[2] + line / patch) * height + y + line % patch) * width + left,
                   patch, dy);
    }
    return EGO_OK;
}

ego_err ego__cpu_clip_tokens_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    int64_t batch = call->as.clip_tokens.batch, frames = call->as.clip_tokens.frames;
    int64_t tokens = ego_tensor_rows(call->out) / batch, columns = ego_tensor_columns(call->out);
    int64_t patches = (tokens - 1) / frames;
    const float *dy = ego_grad(call->out);
    float *dx = ego_grad(call->in[0]), *cls = grad_of(call->param[0]), *pos = grad_of(call->param[1]);
    float *temporal = grad_of(call->param[2]);
    for (int64_t i = 0; i < batch * tokens; i++, dy += columns) {
        int64_t t = i % tokens - 1;
        if (pos) add_to(pos + (t < 0 ? 0 : 1 + t % patches) * columns, columns, dy);
        if (t < 0) {
            add_to(cls, columns, dy);
            continue;
        }
        if (temporal) add_to(temporal + t / patches * columns, columns, dy);
        if (dx) add_to(dx + (i / tokens * (tokens - 1) + t) * columns, columns, dy);
    }
    return EGO_OK;
}

ego_err ego__cpu_softmax_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    int64_t rows = ego_tensor_rows(call->out), columns = ego_tensor_columns(call->out);
    float *dx = ego_grad(call->in[0]);
    for (int64_t r = 0; dx && r < rows; r++) {
        const float *y = ego_f32(call->out) + r * columns, *dy = ego_grad(call->out) + r * columns;
        double dot = 0;
        for (int64_t j = 0; j < columns; j++) dot += (double)y[j] * dy[j];
        for (int64_t j = 0; j < columns; j++) dx[r * columns + j] += (float)(y[j] * (dy[j] - dot));
    }
    return EGO_OK;
}

/* y = x/‖x‖: dx = (dy − y (y·dy)) / ‖x‖; below the smallest norm y is x times a constant. */
ego_err ego__cpu_l2_normalize_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    static const double least = 1e-8;
    int64_t rows = ego_tensor_rows(call->out), columns = ego_tensor_columns(call->out);
    float *dx = ego_grad(call->in[0]);
    for (int64_t r = 0; dx && r < rows; r++) {
        const float *x = ego_f32(call->in[0]) + r * columns, *y = ego_f32(call->out) + r * columns;
        const float *dy = ego_grad(call->out) + r * columns;
        double squares = 0, dot = 0;
        for (int64_t j = 0; j < columns; j++) squares += (double)x[j] * x[j];
        for (int64_t j = 0; j < columns; j++) dot += (double)y[j] * dy[j];
        double norm = sqrt(squares);
        if (norm < least) norm = least, dot = 0;
        for (int64_t j = 0; j < columns; j++) dx[r * columns + j] += (float)((dy[j] - y[j] * dot) / norm);
    }
    return EGO_OK;
}

/* ---- dropout: the same draws both ways ---------------------------------------------------------------- */

static void drop(const ego_dropout *d, int64_t rows, int64_t columns, const float *from, float *to, bool add) {
    bool active = d->streams && d->p > 0;
    float stays = active ? 1 / (1 - d->p) : 1;
    for (int64_t r = 0; r < rows; r++) {
        uint64_t stream = active ? ego_rng_stream(d->streams[r], d->site) : 0;
        for (int64_t j = r * columns, c = 0; c < columns; c++, j++) {
            bool out = active && ego_rng_unit(stream, (uint64_t)c) < (double)d->p;
            float value = from[j] * (out ? 0 : stays);
            to[j] = add ? to[j] + value : value;
        }
    }
}

ego_err ego__cpu_dropout(ego_backend *backend, const ego_call *call) {
    (void)backend;
    drop(&call->as.dropout.drop, ego_tensor_rows(call->out), ego_tensor_columns(call->out),
         ego_f32(call->in[0]), ego_f32(call->out), false);
    return EGO_OK;
}

ego_err ego__cpu_dropout_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    if (ego_grad(call->in[0]))
        drop(&call->as.dropout.drop, ego_tensor_rows(call->out), ego_tensor_columns(call->out),
             ego_grad(call->out), ego_grad(call->in[0]), true);
    return EGO_OK;
}
