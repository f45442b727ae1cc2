/* Gradients of the operations on rows and elements. Rows that share nothing go out in ranges; sums over
 * rows go out in blocks of columns, or are taken per range and added up in the order of the ranges. */
#include "tensor/cpu/ranges.h"

#include <math.h>
#include <string.h>

static float *grad_of(const ego_param *p) { return p ? p->grad : NULL; }

/* ---- layer norm -------------------------------------------------------------------------------------- */

enum { BLOCKS = 64, BLOCK_ROWS = 16 };

/* A range's dw and db stand side by side in `sums`. */
static void layer_norm(const ego__ranges *job, int64_t row, int64_t rows) {
    float *sums = job->sums + row / job->step * 2 * job->columns;
    memset(sums, 0, (size_t)(2 * job->columns) * sizeof *sums);
    job->kernels->layer_norm_back(rows, job->columns, ego__in(job, 0, row), job->param[0],
                                  ego__dout(job, row), job->call->as.layer_norm.eps, ego__din(job, 0, row),
                                  sums, sums + job->columns);
}

ego_err ego__cpu_layer_norm_back(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    int64_t rows = ego_tensor_rows(call->out), columns = ego_tensor_columns(call->out);
    ego__ranges job = {.call = call,
                       .kernels = cpu->kernels,
                       .step = (rows + BLOCKS - 1) / BLOCKS,
                       .body = layer_norm};
    if (job.step < BLOCK_ROWS) job.step = BLOCK_ROWS;
    int64_t blocks = (rows + job.step - 1) / job.step;
    EGO_TRY(ego__cpu_floats(cpu, call->param[0], &job.param[0]));
    EGO_TRY(ego__cpu_reserve_shared(cpu, blocks * 2 * columns, &job.sums));
    EGO_TRY(ego__cpu_rows(cpu, job, rows, columns));
    for (int64_t b = 1; b < blocks; b++)
        ego__add(&job, 2 * columns, 1, job.sums + b * 2 * columns, job.sums);
    for (int i = 0; i < 2 && blocks > 0; i++)
        if (grad_of(call->param[i]))
            ego__add(&job, columns, 1, job.sums + i * columns, call->param[i]->grad);
    return EGO_OK;
}

/* ---- elements: rows of one element ------------------------------------------------------------------- */

/* A sum in double precision takes the room of two floats. */
static void gated_add(const ego__ranges *job, int64_t at, int64_t n) {
    if (ego__din(job, 0, at)) ego__add(job, n, 1, ego__dout(job, at), ego__din(job, 0, at));
    if (ego__din(job, 1, at)) ego__add(job, n, job->gate, ego__dout(job, at), ego__din(job, 1, at));
    if (!job->sums) return;
    double sum = job->kernels->dot(n, ego__dout(job, at), ego__in(job, 1, at));
    memcpy(job->sums + at / job->step * 2, &sum, sizeof sum);
}

ego_err ego__cpu_gated_add_back(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    int64_t n = ego_tensor_count(call->out), ranges = (n + EGO__RANGE - 1) / EGO__RANGE;
    float *dgate = grad_of(call->param[0]);
    ego__ranges job = {.call = call, .step = EGO__RANGE, .body = gated_add};
    double sum = 0, part;
    ego_to_f32(call->param[0]->value.data, call->param[0]->value.dtype, &job.gate, 1);
    if (dgate) EGO_TRY(ego__cpu_reserve_shared(cpu, 2 * ranges, &job.sums));
    EGO_TRY(ego__cpu_rows(cpu, job, n, 1));
    for (int64_t i = 0; dgate && i < ranges; i++) {
        memcpy(&part, job.sums + 2 * i, sizeof part);
        sum += part;
    }
    if (dgate) *dgate += (float)sum;
    return EGO_OK;
}

ego_err ego__cpu_add_back(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend,
                         (ego__ranges){.call = call, .gate = 1, .body = gated_add},
                         ego_tensor_count(call->out), 1);
}

static void activate(const ego__ranges *job, int64_t at, int64_t n) {
    ego_act act = job->call->as.activate.act;
    const float *x = act == EGO_ACT_GELU ? ego__in(job, 0, at) : ego__out(job, at);
    job->kernels->activate_back(n, act, x, ego__dout(job, at), ego__din(job, 0, at));
}

ego_err ego__cpu_activate_back(ego_backend *backend, const ego_call *call) {
    if (!ego_grad(call->in[0])) return EGO_OK;
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = activate},
                         ego_tensor_count(call->out), 1);
}

/* ---- copies ------------------------------------------------------------------------------------------- */

/* Rows of the table may come again: columns [first, first + count) of all of them, in order. */
static void scatter(const ego__ranges *job, int64_t first, int64_t count) {
    const ego_call *call = job->call;
    int64_t columns = ego_tensor_columns(call->out);
    float *to = call->param[0] ? call->param[0]->grad : ego_grad(call->in[0]);
    const float *dy = ego_grad(call->out);
    for (int64_t r = 0; r < ego_tensor_rows(call->out); r++)
        ego__add(job, count, 1, dy + r * columns + first,
                 to + call->as.gather.rows[r] * columns + first);
}

ego_err ego__cpu_embedding_back(ego_backend *backend, const ego_call *call) {
    if (!call->param[0]->grad) return EGO_OK;
    return ego__cpu_columns((ego__cpu *)backend, (ego__ranges){.call = call, .body = scatter},
                            ego_tensor_columns(call->out));
}

ego_err ego__cpu_gather_rows_back(ego_backend *backend, const ego_call *call) {
    if (!ego_grad(call->in[0])) return EGO_OK;
    return ego__cpu_columns((ego__cpu *)backend, (ego__ranges){.call = call, .body = scatter},
                            ego_tensor_columns(call->out));
}

static void concat(const ego__ranges *job, int64_t row, int64_t rows) {
    for (int64_t i = 0, from = 0, n; i < 2; i++, from += n) {
        float *dx = ego_grad(job->call->in[i]);
        n = ego_tensor_columns(job->call->in[i]);
        for (int64_t r = row; dx && r < row + rows; r++)
            ego__add(job, n, 1, ego__dout(job, r) + from, dx + r * n);
    }
}

ego_err ego__cpu_concat_back(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = concat},
                         ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

/* Rows of the input's gradient, which are columns of the output's. */
static void transpose(const ego__ranges *job, int64_t row, int64_t rows) {
    const float *dy = ego_grad(job->call->out);
    for (int64_t j = 0; j < job->columns; j++)
        for (int64_t i = row; i < row + rows; i++) ego__din(job, 0, i)[j] += dy[j * job->rows + i];
}

ego_err ego__cpu_transpose_back(ego_backend *backend, const ego_call *call) {
    if (!ego_grad(call->in[0])) return EGO_OK;
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = transpose},
                         ego_tensor_columns(call->out), ego_tensor_rows(call->out));
}

/* Patches do not overlap. */
static void patchify(const ego__ranges *job, int64_t row, int64_t rows) {
    const ego_tensor *x = job->call->in[0];
    int64_t patch = job->call->as.patchify.patch, height = x->shape[3], width = x->shape[4];
    int64_t across = width / patch, patches = height / patch * across, lines = x->shape[2] * patch;
    for (int64_t i = row; i < row + rows; i++) {
        int64_t frame = i / patches, y = i % patches / across * patch, left = i % across * patch;
        for (int64_t line = 0; line < lines; line++) {
            int64_t to = (frame * x->shape[2] + line / patch) * height + y + line % patch;
            ego__add(job, patch, 1, ego__dout(job, i) + line * patch, ego_grad(x) + to * width + left);
        }
    }
}

ego_err ego__cpu_patchify_back(ego_backend *backend, const ego_call *call) {
    if (!ego_grad(call->in[0])) return EGO_OK;
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = patchify},
                         ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

/* Positions [first, first + count) of all frames and clips, of which the first one is the class token's. */
static void positions(const ego__ranges *job, int64_t first, int64_t count) {
    const ego_call *call = job->call;
    int64_t batch = call->as.clip_tokens.batch, frames = call->as.clip_tokens.frames;
    int64_t tokens = ego_tensor_rows(call->out) / batch, patches = job->rows - 1;
    float *cls = grad_of(call->param[0]), *pos = grad_of(call->param[1]);
    for (int64_t n = first; n < first + count; n++)
        for (int64_t i = 0; i < batch * (n ? frames : 1); i++) {
            int64_t clip = n ? i / frames : i, patch = n ? i * patches + n - 1 : 0;
            const float *dy = ego__dout(job, n ? patch + clip + 1 : clip * tokens);
            if (pos) ego__add(job, job->columns, 1, dy, pos + n * job->columns);
            if (n && ego__din(job, 0, 0)) ego__add(job, job->columns, 1, dy, ego__din(job, 0, patch));
            if (!n && cls) ego__add(job, job->columns, 1, dy, cls);
        }
}

/* Columns [first, first + count) of all frames. */
static void frames_of(const ego__ranges *job, int64_t first, int64_t count) {
    const ego_call *call = job->call;
    int64_t columns = ego_tensor_columns(call->out), frames = call->as.clip_tokens.frames;
    int64_t patches = ego_tensor_rows(&call->param[1]->value) - 1;
    float *temporal = call->param[2]->grad + first;
    const float *dy = ego_grad(call->out) + first;
    for (int64_t b = 0; b < call->as.clip_tokens.batch; b++) {
        dy += columns; /* the class token */
        for (int64_t i = 0; i < frames * patches; i++, dy += columns)
            ego__add(job, count, 1, dy, temporal + i / patches * columns);
    }
}

ego_err ego__cpu_clip_tokens_back(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    int64_t columns = ego_tensor_columns(call->out);
    EGO_TRY(ego__cpu_rows(cpu, (ego__ranges){.call = call, .step = 4, .body = positions},
                          ego_tensor_rows(&call->param[1]->value), columns));
    if (!call->param[2]->grad) return EGO_OK;
    return ego__cpu_columns(cpu, (ego__ranges){.call = call, .body = frames_of}, columns);
}

/* ---- rows -------------------------------------------------------------------------------------------- */

static void softmax(const ego__ranges *job, int64_t row, int64_t rows) {
    for (int64_t r = row; r < row + rows; r++) {
        const float *y = ego__out(job, r), *dy = ego__dout(job, r);
        float *dx = ego__din(job, 0, r);
        double mean = job->kernels->dot(job->columns, y, dy);
        for (int64_t j = 0; j < job->columns; j++) dx[j] += (float)(y[j] * (dy[j] - mean));
    }
}

ego_err ego__cpu_softmax_back(ego_backend *backend, const ego_call *call) {
    if (!ego_grad(call->in[0])) return EGO_OK;
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = softmax},
                         ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

/* y = x/‖x‖: dx = (dy − y (y·dy)) / ‖x‖; below the smallest norm y is x times a constant. */
static void l2_normalize(const ego__ranges *job, int64_t row, int64_t rows) {
    static const double least = 1e-8;
    for (int64_t r = row; r < row + rows; r++) {
        const float *x = ego__in(job, 0, r), *y = ego__out(job, r), *dy = ego__dout(job, r);
        float *dx = ego__din(job, 0, r);
        double norm = sqrt(job->kernels->dot(job->columns, x, x));
        double along = job->kernels->dot(job->columns, y, dy);
        if (norm < least) norm = least, along = 0;
        for (int64_t j = 0; j < job->columns; j++) dx[j] += (float)((dy[j] - y[j] * along) / norm);
    }
}

ego_err ego__cpu_l2_normalize_back(ego_backend *backend, const ego_call *call) {
    if (!ego_grad(call->in[0])) return EGO_OK;
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = l2_normalize},
                         ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

/* ---- dropout: the same draws both ways ---------------------------------------------------------------- */

static bool drops(const ego_dropout *drop) { return drop->streams && drop->p > 0; }

static void dropout(const ego__ranges *job, int64_t row, int64_t rows) {
    const ego_dropout *drop = &job->call->as.dropout.drop;
    for (int64_t r = row; r < row + rows && drops(drop); r++)
        job->kernels->drop(job->columns, drop, r, ego__in(job, 0, r),
                           ego_f32(job->call->out) + r * job->columns, false);
    if (!drops(drop))
        memcpy(ego_f32(job->call->out) + row * job->columns, ego__in(job, 0, row),
               (size_t)(rows * job->columns) * sizeof(float));
}

ego_err ego__cpu_dropout(ego_backend *backend, const ego_call *call) {
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = dropout},
                         ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}

static void dropout_back(const ego__ranges *job, int64_t row, int64_t rows) {
    const ego_dropout *drop = &job->call->as.dropout.drop;
    for (int64_t r = row; r < row + rows; r++)
        if (drops(drop))
            job->kernels->drop(job->columns, drop, r, ego__dout(job, r), ego__din(job, 0, r), true);
        else
            ego__add(job, job->columns, 1, ego__dout(job, r), ego__din(job, 0, r));
}

ego_err ego__cpu_dropout_back(ego_backend *backend, const ego_call *call) {
    if (!ego_grad(call->in[0])) return EGO_OK;
    return ego__cpu_rows((ego__cpu *)backend, (ego__ranges){.call = call, .body = dropout_back},
                         ego_tensor_rows(call->out), ego_tensor_columns(call->out));
}
