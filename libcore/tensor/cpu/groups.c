/* Operations on rows in groups, with their gradients. What is summed over rows goes out in blocks of
 * columns, row after row. */
#include "tensor/cpu/ranges.h"

#include <string.h>

/* The group that row belongs to. */
static int64_t group_of(ego_groups groups, int64_t row) {
    int64_t low = 0, high = groups.count;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (groups.first[middle] <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* ---- a filter for each column -------------------------------------------------------------------- */

static int64_t taps_of(const ego_param *w) { return w->value.shape[2]; }

/* Row r reads row r + k − half through tap k, and r gets gradients from r − k + half: rows from `row` on, of
 * `x`, are added to those of y. job->param[0]: the filter with taps as rows. */
static void filter(const ego__ranges *job, int64_t row, int64_t rows, const float *x, float *y,
                   int64_t direction) {
    ego_groups groups = job->call->as.groups;
    int64_t taps = taps_of(job->call->param[0]), half = taps / 2, g = group_of(groups, row);
    for (int64_t r = row; r < row + rows; r++) {
        while (r >= groups.first[g + 1]) g++;
        for (int64_t k = 0; k < taps; k++) {
            int64_t from = r + direction * (k - half);
            if (from >= groups.first[g] && from < groups.first[g + 1])
                job->kernels->multiply(job->columns, x + from * job->columns,
                                       job->param[0] + k * job->columns, y + r * job->columns,
                                       true);
        }
    }
}

/* The filter (D, 1, K) as (K, D), in scratch. */
static ego_err taps_as_rows(ego__cpu *cpu, ego_param *w, ego__ranges *job) {
    int64_t columns = w->value.shape[0], taps = taps_of(w);
    const float *from;
    float *to;
    EGO_TRY(ego__cpu_floats(cpu, w, &from));
    EGO_TRY(ego__cpu_reserve_shared(cpu, taps * columns, &to));
    for (int64_t k = 0; k < taps; k++)
        for (int64_t d = 0; d < columns; d++) to[k * columns + d] = from[d * taps + k];
    job->param[0] = to;
    return EGO_OK;
}

static void depthwise_conv(const ego__ranges *job, int64_t row, int64_t rows) {
    memset(ego__out(job, row), 0, (size_t)(rows * job->columns) * sizeof(float));
    filter(job, row, rows, ego_f32(job->call->in[0]), ego_f32(job->call->out), 1);
}

ego_err ego__cpu_depthwise_conv(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    ego__ranges job = {.call = call, .body = depthwise_conv};
    EGO_TRY(taps_as_rows(cpu, call->param[0], &job));
    return ego__cpu_rows(cpu, job, ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

static void depthwise_conv_dx(const ego__ranges *job, int64_t row, int64_t rows) {
    filter(job, row, rows, ego_grad(job->call->out), ego_grad(job->call->in[0]), -1);
}

/* Columns [first, first + count) of all taps, summed in `sums` as rows. */
static void depthwise_conv_dw(const ego__ranges *job, int64_t first, int64_t count) {
    const ego_call *call = job->call;
    ego_groups groups = call->as.groups;
    int64_t columns = ego_tensor_columns(call->out), taps = taps_of(call->param[0]),
            half = taps / 2;
    for (int64_t k = 0; k < taps; k++) {
        float *sums = job->sums + k * columns + first;
        memset(sums, 0, (size_t)count * sizeof *sums);
        for (int64_t g = 0; g < groups.count; g++)
            for (int64_t r = groups.first[g]; r < groups.first[g + 1]; r++) {
                int64_t from = r + k - half;
                if (from >= groups.first[g] && from < groups.first[g + 1])
                    job->kernels->multiply(count, ego_f32(call->in[0]) + from * columns + first,
                                           ego_grad(call->out) + r * columns + first, sums, true);
            }
        for (int64_t d = 0; d < count; d++) call->param[0]->grad[(first + d) * taps + k] += sums[d];
    }
}

ego_err ego__cpu_depthwise_conv_back(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    int64_t rows = ego_tensor_rows(call->out), columns = ego_tensor_columns(call->out);
    ego__ranges job = {.call = call, .body = depthwise_conv_dx};
    if (ego_grad(call->in[0])) {
        EGO_TRY(taps_as_rows(cpu, call->param[0], &job));
        EGO_TRY(ego__cpu_rows(cpu, job, rows, columns));
    }
    if (!call->param[0]->grad) return EGO_OK;
    EGO_TRY(ego__cpu_reserve_shared(cpu, taps_of(call->param[0]) * columns, &job.sums));
    job.body = depthwise_conv_dw;
    return ego__cpu_columns(cpu, job, columns);
}

/* ---- FiLM ---------------------------------------------------------------------------------------- */

static void modulate(const ego__ranges *job, int64_t row, int64_t rows) {
    ego_groups groups = job->call->as.groups;
    for (int64_t r = row, g = group_of(groups, row); r < row + rows; r++) {
        while (r >= groups.first[g + 1]) g++;
        const float *x = ego__in(job, 0, r);
        job->kernels->gated_add(job->columns, x, 1, ego__in(job, 2, g), ego__out(job, r));
        job->kernels->multiply(job->columns, x, ego__in(job, 1, g), ego__out(job, r), true);
    }
}

ego_err ego__cpu_modulate(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = modulate},
                         ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

static void modulate_dx(const ego__ranges *job, int64_t row, int64_t rows) {
    ego_groups groups = job->call->as.groups;
    for (int64_t r = row, g = group_of(groups, row); r < row + rows; r++) {
        while (r >= groups.first[g + 1]) g++;
        ego__add(job, job->columns, 1, ego__dout(job, r), ego__din(job, 0, r));
        job->kernels->multiply(job->columns, ego__dout(job, r), ego__in(job, 1, g),
                               ego__din(job, 0, r), true);
    }
}

/* Columns [first, first + count) of all groups. */
static void modulate_by(const ego__ranges *job, int64_t first, int64_t count) {
    const ego_call *call = job->call;
    ego_groups groups = call->as.groups;
    int64_t columns = ego_tensor_columns(call->out);
    float *dscale = ego_grad(call->in[1]), *dshift = ego_grad(call->in[2]);
    for (int64_t g = 0; g < groups.count; g++)
        for (int64_t r = groups.first[g]; r < groups.first[g + 1]; r++) {
            int64_t at = r * columns + first, to = g * columns + first;
            const float *dy = ego_grad(call->out) + at;
            if (dshift) ego__add(job, count, 1, dy, dshift + to);
            if (dscale)
                job->kernels->multiply(count, dy, ego_f32(call->in[0]) + at, dscale + to, true);
        }
}

ego_err ego__cpu_modulate_back(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    int64_t rows = ego_tensor_rows(call->out), columns = ego_tensor_columns(call->out);
    ego__ranges job = {.call = call, .body = modulate_dx};
    if (ego_grad(call->in[0])) EGO_TRY(ego__cpu_rows(cpu, job, rows, columns));
    if (!ego_grad(call->in[1]) && !ego_grad(call->in[2])) return EGO_OK;
    job.body = modulate_by;
    return ego__cpu_columns(cpu, job, columns);
}

/* ---- means --------------------------------------------------------------------------------------- */

static int64_t size_of(ego_groups groups, int64_t g) {
    return groups.first[g + 1] - groups.first[g];
}

/* Rows of the result are groups. */
static void mean_rows(const ego__ranges *job, int64_t group, int64_t count) {
    ego_groups groups = job->call->as.groups;
    for (int64_t g = group; g < group + count; g++) {
        float *y = ego__out(job, g);
        memset(y, 0, (size_t)job->columns * sizeof *y);
        for (int64_t r = groups.first[g]; r < groups.first[g + 1]; r++)
            ego__add(job, job->columns, 1, ego__in(job, 0, r), y);
        job->kernels->scale(job->columns, 1.0f / (float)size_of(groups, g), y, y);
    }
}

ego_err ego__cpu_mean_rows(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = mean_rows},
                         ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

static void mean_rows_back(const ego__ranges *job, int64_t group, int64_t count) {
    ego_groups groups = job->call->as.groups;
    for (int64_t g = group; g < group + count; g++)
        for (int64_t r = groups.first[g]; r < groups.first[g + 1]; r++)
            ego__add(job, job->columns, 1.0f / (float)size_of(groups, g), ego__dout(job, g),
                     ego__din(job, 0, r));
}

ego_err ego__cpu_mean_rows_back(ego_backend *backend, const ego_call *call) {
    if (!ego_grad(call->in[0])) return EGO_OK;
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = mean_rows_back},
                         ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}
