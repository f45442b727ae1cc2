/* Losses: sums in double precision, one value each. */
#include "tensor/cpu/ranges.h"

#include <math.h>
#include <string.h>

/* A row's loss in double precision takes the room of two floats. */
static void cross_entropy(const ego__ranges *job, int64_t row, int64_t rows) {
    for (int64_t r = row; r < row + rows; r++) {
        const float *x = ego_f32(job->call->in[0]) + r * job->columns;
        float most;
        double loss = log(job->kernels->sum_exp(job->columns, x, &most));
        loss += (double)most - x[job->call->as.cross_entropy.labels[r]];
        memcpy(job->sums + 2 * r, &loss, sizeof loss);
    }
}

ego_err ego__cpu_cross_entropy(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    int64_t rows = ego_tensor_rows(call->in[0]);
    ego__ranges job = {.call = call, .body = cross_entropy};
    double sum = 0, loss;
    EGO_TRY(ego__cpu_reserve_shared(cpu, 2 * rows, &job.sums));
    EGO_TRY(ego__cpu_rows(cpu, job, rows, ego_tensor_columns(call->in[0])));
    for (int64_t r = 0; r < rows; r++) {
        memcpy(&loss, job.sums + 2 * r, sizeof loss);
        sum += loss;
    }
    *ego_f32(call->out) = (float)(call->as.cross_entropy.scale * sum);
    return EGO_OK;
}

static void cross_entropy_back(const ego__ranges *job, int64_t row, int64_t rows) {
    for (int64_t r = row; r < row + rows; r++) {
        const float *x = ego_f32(job->call->in[0]) + r * job->columns;
        float *dx = ego_grad(job->call->in[0]) + r * job->columns, most;
        double sum = job->kernels->sum_exp(job->columns, x, &most);
        job->kernels->add_exp(job->columns, x, most, (float)(job->weight / sum), dx);
        dx[job->call->as.cross_entropy.labels[r]] -= (float)job->weight;
    }
}

ego_err ego__cpu_cross_entropy_back(ego_backend *backend, const ego_call *call) {
    ego__ranges job = {.call = call, .body = cross_entropy_back};
    if (!ego_grad(call->in[0])) return EGO_OK;
    job.weight = (double)call->as.cross_entropy.scale * *ego_grad(call->out);
    return ego__cpu_rows((ego__cpu *)backend, job, ego_tensor_rows(call->in[0]),
                         ego_tensor_columns(call->in[0]));
}

/* ---- binary cross entropy: as many values as a clip has moments ---------------------------------- */

ego_err ego__cpu_binary_cross_entropy(ego_backend *backend, const ego_call *call) {
    (void)backend;
    const float *x = ego_f32(call->in[0]), *t = call->as.binary_cross_entropy.targets;
    const float *weights = call->as.binary_cross_entropy.weights;
    double sum = 0;
    for (int64_t i = 0, n = ego_tensor_count(call->in[0]); i < n; i++) {
        double above = x[i] < 0 ? 0 : x[i]; /* −log(1 − p) = max(x, 0) + log(1 + e^−|x|), −log p = that − x */
        double loss = above - (double)x[i] * t[i] + log1p(exp(-fabs((double)x[i])));
        sum += weights ? weights[i] * loss : loss;
    }
    *ego_f32(call->out) = (float)(call->as.binary_cross_entropy.scale * sum);
    return EGO_OK;
}

ego_err ego__cpu_binary_cross_entropy_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    const float *x = ego_f32(call->in[0]), *t = call->as.binary_cross_entropy.targets;
    const float *weights = call->as.binary_cross_entropy.weights;
    float *dx = ego_grad(call->in[0]);
    double weight = (double)call->as.binary_cross_entropy.scale * *ego_grad(call->out);
    for (int64_t i = 0, n = dx ? ego_tensor_count(call->in[0]) : 0; i < n; i++) {
        double d = weight * (1 / (1 + exp(-(double)x[i])) - t[i]);
        dx[i] += (float)(weights ? weights[i] * d : d);
    }
    return EGO_OK;
}

/* ---- EgoNCE: a batch squared is small ------------------------------------------------------------ */

/* log Σ_j e^(x_j / temperature) over n elements `step` apart; with `among`, over those it marks. */
static double log_sum_exp(int64_t n, const float *x, int64_t step, const uint8_t *among,
                          double temperature) {
    double most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++)
        if ((!among || among[j * step]) && x[j * step] > most) most = x[j * step];
    for (int64_t j = 0; j < n; j++)
        if (!among || among[j * step]) sum += exp((x[j * step] - most) / temperature);
    return most / temperature + log(sum);
}

/* One direction: rows when step is 1, columns when it is n. Line i begins at i · (n or 1). */
static double egonce_line(const ego_call *call, int64_t n, int64_t i, int64_t step, bool back) {
    int64_t from = step == 1 ? i * n : i;
    const float *x = ego_f32(call->in[0]) + from;
    const uint8_t *positive = call->as.egonce.positive + from;
    double temperature = call->as.egonce.temperature;
    double all = log_sum_exp(n, x, step, NULL, temperature),
           good = log_sum_exp(n, x, step, positive, temperature);
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

/* ---- max margin ---------------------------------------------------------------------------------- */

/* One of the 2N(N − 1) terms is on when its pair is closer than row i's own, less the margin. */
static double margin_term(const ego_call *call, int64_t n, int64_t i, int64_t pair) {
    const float *x = ego_f32(call->in[0]);
    double margin = (double)call->as.max_margin.margin * call->as.max_margin.weight[i];
    return margin - x[i * n + i] + x[pair];
}

ego_err ego__cpu_max_margin(ego_backend *backend, const ego_call *call) {
    (void)backend;
    int64_t n = ego_tensor_rows(call->in[0]);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            if (i == j) continue;
            double row = margin_term(call, n, i, i * n + j);
            double column = margin_term(call, n, i, j * n + i);
            sum += (row < 0 ? 0 : row) + (column < 0 ? 0 : column);
        }
    *ego_f32(call->out) = n < 2 ? 0 : (float)(sum / (double)(2 * n * (n - 1)));
    return EGO_OK;
}

ego_err ego__cpu_max_margin_back(ego_backend *backend, const ego_call *call) {
    (void)backend;
    int64_t n = ego_tensor_rows(call->in[0]);
    float *dx = ego_grad(call->in[0]);
    double each = n < 2 ? 0 : *ego_grad(call->out) / (double)(2 * n * (n - 1));
    for (int64_t i = 0; dx && i < n; i++) {
        int64_t on = 0;
        for (int64_t j = 0; j < n; j++) {
            if (i == j) continue;
            bool row = !(margin_term(call, n, i, i * n + j) <= 0);
            bool column = !(margin_term(call, n, i, j * n + i) <= 0);
            on += row + column;
            if (row) dx[i * n + j] += (float)each;
            if (column) dx[j * n + i] += (float)each;
        }
        dx[i * n + i] -= (float)((double)on * each);
    }
    return EGO_OK;
}
