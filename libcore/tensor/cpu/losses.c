/* Losses: sums in double precision, one value each. */
#include "tensor/cpu/cpu.h"
#include "tensor/tape.h"

#include <math.h>

/* log Σ_j e^(x_j / temperature) over n elements `step` apart; with `among`, over those it marks. */
static double log_sum_exp(int64_t n, const float *x, int64_t step, const uint8_t *among, double temperature) {
    double most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++)
        if ((!among || among[j * step]) && x[j * step] > most) most = x[j * step];
    for (int64_t j = 0; j < n; j++)
        if (!among || among[j * step]) sum += exp((x[j * step] - most) / temperature);
    return most / temperature + log(sum);
}

ego_err ego__cpu_cross_entropy(ego_backend *backend, const ego_call *call) {
    (void)backend;
    int64_t rows = ego_tensor_rows(call->in[0]), columns = ego_tensor_columns(call->in[0]);
    double sum = 0;
    for (int64_t r = 0; r < rows; r++) {
        const float *x = ego_f32(call->in[0]) + r * columns;
        sum += log_sum_exp(columns, x, 1, NULL, 1) - x[call->as.cross_entropy.labels[r]];
    }
    *ego_f32(call->out) = (float)(call->as.cross_entropy.scale * sum);
    return EGO_OK;
}

ego_err ego__cpu_cross_entropy_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    int64_t rows = ego_tensor_rows(call->in[0]), columns = ego_tensor_columns(call->in[0]);
    double weight = (double)call->as.cross_entropy.scale * *ego_grad(call->out);
    float *dx = ego_grad(call->in[0]);
    for (int64_t r = 0; dx && r < rows; r++, dx += columns) {
        const float *x = ego_f32(call->in[0]) + r * columns;
        double total = log_sum_exp(columns, x, 1, NULL, 1);
        for (int64_t j = 0; j < columns; j++) dx[j] += (float)(weight * exp(x[j] - total));
        dx[call->as.cross_entropy.labels[r]] -= (float)weight;
    }
    return EGO_OK;
}

/* One direction: rows when step is 1, columns when it is n. Line i begins at i · (n or 1). */
static double egonce_line(const ego_call *call, int64_t n, int64_t i, int64_t step, bool back) {
    int64_t from = step == 1 ? i * n : i;
    const float *x = ego_f32(call->in[0]) + from;
    const uint8_t *positive = call->as.egonce.positive + from;
    double temperature = call->as.egonce.temperature;
    double all = log_sum_exp(n, x, step, NULL, temperature), good = log_sum_exp(n, x, step, positive, temperature);
    if (!back) return all - good;
    float *dx = ego_grad(call->in[0]) + from;
    double weight = *ego_grad(call->out) / (double)n / temperature;
    for (int64_t j = 0; j < n * step; j += step) {
        double d = exp(x[j] / temperature - all);
        if (positive[j]) d -= exp(x[j] / temperature - good);
        dx[j] += (float)(weight * d);
    }
    return 0;
}

ego_err ego__cpu_egonce(ego_backend *backend, const ego_call *call) {
    (void)backend;
    int64_t n = ego_tensor_rows(call->in[0]);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += egonce_line(call, n, i, 1, false) + egonce_line(call, n, i, n, false);
    *ego_f32(call->out) = (float)(sum / (double)n);
    return EGO_OK;
}

ego_err ego__cpu_egonce_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    int64_t n = ego_tensor_rows(call->in[0]);
    for (int64_t i = 0; ego_grad(call->in[0]) && i < n; i++) {
        egonce_line(call, n, i, 1, true);
        egonce_line(call, n, i, n, true);
    }
    return EGO_OK;
}
