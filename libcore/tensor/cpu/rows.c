/* Operations on rows and elements: the table's entries cut into ranges for the pool. */
#include "tensor/cpu/ranges.h"
#include "tensor/panel.h"

#include <string.h>

/* Columns of a block: whole cache lines. */
enum { COLUMNS = 128 };

static void run_range(void *context, size_t i, unsigned worker) {
    (void)worker;
    const ego__ranges *job = context;
    int64_t first = (int64_t)i * job->step, left = job->rows - first;
    job->body(job, first, left < job->step ? left : job->step);
}

ego_err ego__cpu_rows(ego__cpu *cpu, ego__ranges job, int64_t rows, int64_t columns) {
    if (rows == 0 || columns == 0) return EGO_OK;
    job.kernels = cpu->kernels;
    job.rows = rows;
    job.columns = columns;
    if (job.step == 0) job.step = columns < EGO__RANGE ? EGO__RANGE / columns : 1;
    ego_parallel(cpu->base.pool, (size_t)((rows + job.step - 1) / job.step), run_range, &job);
    return EGO_OK;
}

ego_err ego__cpu_columns(ego__cpu *cpu, ego__ranges job, int64_t columns) {
    job.step = COLUMNS;
    return ego__cpu_rows(cpu, job, columns, 1);
}

/* ---- rows --------------------------------------------------------------------------------------- */

static void layer_norm(const ego__ranges *job, int64_t row, int64_t rows) {
    job->kernels->layer_norm(rows, job->columns, ego__in(job, 0, row), job->param[0], job->param[1],
                             job->call->as.layer_norm.eps, ego__out(job, row));
}

ego_err ego__cpu_layer_norm(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    ego__ranges job = {.call = call, .body = layer_norm};
    for (int i = 0; i < 2; i++) EGO_TRY(ego__cpu_floats(cpu, call->param[i], &job.param[i]));
    return ego__cpu_rows(cpu, job, ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

static void softmax(const ego__ranges *job, int64_t row, int64_t rows) {
    job->kernels->softmax(rows, job->columns, ego__in(job, 0, row), ego__out(job, row));
}

ego_err ego__cpu_softmax(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = softmax},
                    ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

static void l2_normalize(const ego__ranges *job, int64_t row, int64_t rows) {
    job->kernels->l2_normalize(rows, job->columns, ego__in(job, 0, row), ego__out(job, row));
}

ego_err ego__cpu_l2_normalize(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = l2_normalize},
                    ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

/* ---- elements: rows of one element -------------------------------------------------------------- */

static void gated_add(const ego__ranges *job, int64_t at, int64_t n) {
    job->kernels->gated_add(n, ego__in(job, 0, at), job->gate, ego__in(job, 1, at), ego__out(job, at));
}

ego_err ego__cpu_gated_add(ego_backend *backend, const ego_call *call) {
    ego__ranges job = {.call = call, .body = gated_add};
    ego_to_f32(call->param[0]->value.data, call->param[0]->value.dtype, &job.gate, 1);
    return ego__cpu_rows((ego__cpu *)backend, job, ego_tensor_count(call->out), 1);
}

ego_err ego__cpu_add(ego_backend *backend, const ego_call *call) {
    ego__ranges job = {.call = call, .body = gated_add, .gate = 1.0f};
    return ego__cpu_rows((ego__cpu *)backend, job, ego_tensor_count(call->out), 1);
}

static void activate(const ego__ranges *job, int64_t at, int64_t n) {
    job->kernels->activate(n, job->call->as.activate.act, ego__in(job, 0, at), ego__out(job, at));
}

ego_err ego__cpu_activate(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = activate},
                    ego_tensor_count(call->out), 1);
}

/* ---- copies --------------------------------------------------------------------------------------- */

static void embedding(const ego__ranges *job, int64_t row, int64_t rows) {
    const ego_param *table = job->call->param[0];
    const char *data = table->value.data;
    size_t element = ego_dtype_bytes(table->value.dtype);
    for (int64_t i = row; i < row + rows; i++) {
        int64_t id = job->call->as.gather.rows[i];
        float *out = ego__out(job, i);
        if (!table->panelled) {
            ego_to_f32(data + (size_t)(id * job->columns) * element, table->value.dtype, out,
                       (size_t)job->columns);
            continue;
        }
        size_t at = (size_t)(id / EGO_PANEL * job->columns * EGO_PANEL + id % EGO_PANEL);
        for (int64_t j = 0; j < job->columns; j++, at += EGO_PANEL)
            ego_to_f32(data + at * element, table->value.dtype, &out[j], 1);
    }
}

ego_err ego__cpu_embedding(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = embedding},
                    ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

static void gather_rows(const ego__ranges *job, int64_t row, int64_t rows) {
    for (int64_t i = row; i < row + rows; i++)
        memcpy(ego__out(job, i), ego__in(job, 0, job->call->as.gather.rows[i]),
               (size_t)job->columns * sizeof(float));
}

ego_err ego__cpu_gather_rows(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = gather_rows},
                    ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

static void concat(const ego__ranges *job, int64_t row, int64_t rows) {
    int64_t a = ego_tensor_columns(job->call->in[0]), b = job->columns - a;
    for (int64_t i = row; i < row + rows; i++) {
        memcpy(ego__out(job, i), ego_f32(job->call->in[0]) + i * a, (size_t)a * sizeof(float));
        memcpy(ego__out(job, i) + a, ego_f32(job->call->in[1]) + i * b, (size_t)b * sizeof(float));
    }
}

ego_err ego__cpu_concat(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = concat},
                    ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

/* Rows of the result, which are columns of x. */
static void transpose(const ego__ranges *job, int64_t row, int64_t rows) {
    const float *x = ego_f32(job->call->in[0]);
    int64_t stride = ego_tensor_rows(job->call->out);
    for (int64_t j = 0; j < job->columns; j++)
        for (int64_t i = row; i < row + rows; i++) ego__out(job, i)[j] = x[j * stride + i];
}

ego_err ego__cpu_transpose(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = transpose},
                         ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

/* Frames (B, F, C, S, S'); a row of the result is one patch, (C, P, P). */
static void patchify(const ego__ranges *job, int64_t row, int64_t rows) {
    const ego_tensor *x = job->call->in[0];
    int64_t patch = job->call->as.patchify.patch, channels = x->shape[2];
    int64_t height = x->shape[3], width = x->shape[4], across = width / patch;
    int64_t patches = height / patch * across;
    for (int64_t i = row; i < row + rows; i++) {
        int64_t frame = i / patches, y = i % patches / across * patch, x0 = i % across * patch;
        float *out = ego__out(job, i);
        for (int64_t line = 0; line < channels * patch; line++, out += patch) {
            int64_t c = line / patch, dy = line % patch;
            memcpy(out, ego_f32(x) + ((frame * channels + c) * height + y + dy) * width + x0,
                   (size_t)patch * sizeof(float));
        }
    }
}

ego_err ego__cpu_patchify(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = patchify},
                    ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

/* param: class token, pos, temporal. Rows of the result: B·(1 + F·N). */
static void clip_tokens(const ego__ranges *job, int64_t row, int64_t rows) {
    int64_t frames = job->call->as.clip_tokens.frames;
    int64_t tokens = ego_tensor_rows(job->call->out) / job->call->as.clip_tokens.batch;
    int64_t patches = frames ? (tokens - 1) / frames : 0, columns = job->columns;
    for (int64_t i = row; i < row + rows; i++) {
        int64_t b = i / tokens, t = i % tokens - 1;
        const float *x = job->param[0], *pos = job->param[1], *temporal = NULL;
        float *out = ego__out(job, i);
        if (t >= 0) {
            x = ego__in(job, 0, b * frames * patches + t);
            pos += (1 + t % patches) * columns;
            temporal = job->param[2] + t / patches * columns;
        }
        for (int64_t j = 0; j < columns; j++)
            out[j] = x[j] + (temporal ? pos[j] + temporal[j] : pos[j]);
    }
}

ego_err ego__cpu_clip_tokens(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    ego__ranges job = {.call = call, .body = clip_tokens};
    for (int i = 0; i < 3; i++) EGO_TRY(ego__cpu_floats(cpu, call->param[i], &job.param[i]));
    return ego__cpu_rows(cpu, job, ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}
