/* Products and sums with what goes along with elements, rows or columns; each with its gradients. */
#include "tensor/cpu/ranges.h"

/* ---- elements: rows of one ----------------------------------------------------------------------- */

static void multiply(const ego__ranges *job, int64_t at, int64_t n) {
    job->kernels->multiply(n, ego__in(job, 0, at), ego__in(job, 1, at), ego__out(job, at), false);
}

ego_err ego__cpu_multiply(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = multiply},
                         ego_tensor_count(call->out), 1);
}

static void multiply_back(const ego__ranges *job, int64_t at, int64_t n) {
    for (int i = 0; i < 2; i++)
        if (ego__din(job, i, at))
            job->kernels->multiply(n, ego__dout(job, at), ego__in(job, 1 - i, at),
                                   ego__din(job, i, at), true);
}

ego_err ego__cpu_multiply_back(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = multiply_back},
                         ego_tensor_count(call->out), 1);
}

static void scale(const ego__ranges *job, int64_t at, int64_t n) {
    job->kernels->scale(n, job->call->as.scale.factor, ego__in(job, 0, at), ego__out(job, at));
}

ego_err ego__cpu_scale(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = scale},
                         ego_tensor_count(call->out), 1);
}

static void scale_back(const ego__ranges *job, int64_t at, int64_t n) {
    ego__add(job, n, job->call->as.scale.factor, ego__dout(job, at), ego__din(job, 0, at));
}

ego_err ego__cpu_scale_back(ego_backend *backend, const ego_call *call) {
    if (!ego_grad(call->in[0])) return EGO_OK;
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = scale_back},
                         ego_tensor_count(call->out), 1);
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static void scale_rows(const ego__ranges *job, int64_t row, int64_t rows) {
    const float *s = ego_f32(job->call->in[1]);
    for (int64_t r = row; r < row + rows; r++)
        job->kernels->scale(job->columns, s[r], ego__in(job, 0, r), ego__out(job, r));
}

ego_err ego__cpu_scale_rows(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = scale_rows},
                         ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

static void scale_rows_back(const ego__ranges *job, int64_t row, int64_t rows) {
    const float *s = ego_f32(job->call->in[1]);
    float *ds = ego_grad(job->call->in[1]);
    for (int64_t r = row; r < row + rows; r++) {
        if (ego__din(job, 0, r))
            ego__add(job, job->columns, s[r], ego__dout(job, r), ego__din(job, 0, r));
        if (ds)
            ds[r] += (float)job->kernels->dot(job->columns, ego__dout(job, r), ego__in(job, 0, r));
    }
}

ego_err ego__cpu_scale_rows_back(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = scale_rows_back},
                         ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

/* ---- columns ------------------------------------------------------------------------------------- */

static void scale_columns(const ego__ranges *job, int64_t row, int64_t rows) {
    for (int64_t r = row; r < row + rows; r++)
        job->kernels->multiply(job->columns, ego__in(job, 0, r), job->param[0], ego__out(job, r),
                               false);
}

ego_err ego__cpu_scale_columns(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    ego__ranges job = {.call = call, .body = scale_columns};
    EGO_TRY(ego__cpu_floats(cpu, call->param[0], &job.param[0]));
    return ego__cpu_rows(cpu, job, ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

static void scale_columns_dx(const ego__ranges *job, int64_t row, int64_t rows) {
    for (int64_t r = row; r < row + rows; r++)
        job->kernels->multiply(job->columns, ego__dout(job, r), job->param[0], ego__din(job, 0, r),
                               true);
}

/* Columns [first, first + count) of all rows. */
static void scale_columns_dw(const ego__ranges *job, int64_t first, int64_t count) {
    const float *x = ego_f32(job->call->in[0]) + first, *dy = ego_grad(job->call->out) + first;
    int64_t columns = ego_tensor_columns(job->call->out);
    for (int64_t r = 0; r < ego_tensor_rows(job->call->out); r++, x += columns, dy += columns)
        job->kernels->multiply(count, x, dy, job->call->param[0]->grad + first, true);
}

ego_err ego__cpu_scale_columns_back(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    int64_t rows = ego_tensor_rows(call->out), columns = ego_tensor_columns(call->out);
    ego__ranges job = {.call = call, .body = scale_columns_dx};
    EGO_TRY(ego__cpu_floats(cpu, call->param[0], &job.param[0]));
    if (ego_grad(call->in[0])) EGO_TRY(ego__cpu_rows(cpu, job, rows, columns));
    job.body = scale_columns_dw;
    return call->param[0]->grad ? ego__cpu_columns(cpu, job, columns) : EGO_OK;
}

/* ---- a number for each row and one for each column ----------------------------------------------- */

static void add_outer(const ego__ranges *job, int64_t row, int64_t rows) {
    const ego_tensor *a = job->call->in[1], *b = job->call->in[2];
    for (int64_t r = row; r < row + rows; r++) {
        const float *x = ego__in(job, 0, r);
        float *y = ego__out(job, r), of_row = a ? ego_f32(a)[r] : 0;
        for (int64_t j = 0; j < job->columns; j++)
            y[j] = x[j] + (b ? of_row + ego_f32(b)[j] : of_row);
    }
}

ego_err ego__cpu_add_outer(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = add_outer},
                         ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

static void add_outer_back(const ego__ranges *job, int64_t row, int64_t rows) {
    float *da = ego_grad(job->call->in[1]);
    for (int64_t r = row; r < row + rows; r++) {
        const float *dy = ego__dout(job, r);
        double sum = 0;
        if (ego__din(job, 0, r)) ego__add(job, job->columns, 1, dy, ego__din(job, 0, r));
        for (int64_t j = 0; da && j < job->columns; j++) sum += dy[j];
        if (da) da[r] += (float)sum;
    }
}

/* Columns [first, first + count) of all rows. */
static void add_outer_db(const ego__ranges *job, int64_t first, int64_t count) {
    const float *dy = ego_grad(job->call->out) + first;
    int64_t columns = ego_tensor_columns(job->call->out);
    for (int64_t r = 0; r < ego_tensor_rows(job->call->out); r++, dy += columns)
        ego__add(job, count, 1, dy, ego_grad(job->call->in[2]) + first);
}

ego_err ego__cpu_add_outer_back(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    int64_t rows = ego_tensor_rows(call->out), columns = ego_tensor_columns(call->out);
    ego__ranges job = {.call = call, .body = add_outer_back};
    EGO_TRY(ego__cpu_rows(cpu, job, rows, columns));
    job.body = add_outer_db;
    return ego_grad(call->in[2]) ? ego__cpu_columns(cpu, job, columns) : EGO_OK;
}
