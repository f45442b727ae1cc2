/* Losses: sums in double precision, one value each. */
#include "tensor/cpu/ranges.h"
#include "tensor/tape.h"

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

/* ---- EgoNCE: a batch squared is small ------------------------------------------------------------------- */

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
