/* y = act(x Wᵀ + b) + residual: the product cut into blocks for the pool. */
#include "tensor/cpu/cpu.h"
#include "tensor/panel.h"

/* Rows of a block stay in a core's second cache while the weight streams past; several blocks for each
 * thread even out what threads do. */
enum { BLOCK_TILES = 12, BLOCKS_PER_THREAD = 8 };

typedef struct linear {
    const ego__cpu *cpu;
    ego__product whole;
    int64_t tiles, row_blocks, groups, column_blocks, step;
} linear;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Rows are cut between tiles and columns between groups of panels, so that cuts cost nothing. */
static void run_block(void *context, size_t i, unsigned worker) {
    (void)worker;
    const linear *l = context;
    ego__product p = l->whole;
    int64_t r = (int64_t)i / l->column_blocks, c = (int64_t)i % l->column_blocks;
    int64_t row = r * l->tiles / l->row_blocks * p.rows / l->tiles;
    int64_t end = (r + 1) * l->tiles / l->row_blocks * p.rows / l->tiles;
    int64_t from = p.first / EGO_PANEL * EGO_PANEL;
    int64_t first = from + c * l->groups / l->column_blocks * l->step;
    int64_t last = from + (c + 1) * l->groups / l->column_blocks * l->step;
    if (first > p.first) p.first = first;
    if (last < p.last) p.last = last;
    p.rows = end - row;
    p.a += row * p.a_stride;
    p.c += row * p.c_stride;
    if (p.residual) p.residual += row * p.residual_stride;
    l->cpu->kernels->product(&p);
}

static void split(linear *l) {
    const ego__product *p = &l->whole;
    int64_t wanted = l->cpu->threads == 1 ? 1 : (int64_t)l->cpu->threads * BLOCKS_PER_THREAD;
    l->step = l->cpu->kernels->product_step(p->rows);
    l->tiles = ceil_div(p->rows, l->cpu->kernels->tile_rows);
    l->row_blocks = ceil_div(l->tiles, BLOCK_TILES);
    l->groups = ceil_div(p->last - p->first / EGO_PANEL * EGO_PANEL, l->step);
    l->column_blocks = ceil_div(wanted, l->row_blocks);
    if (l->column_blocks > l->groups) l->column_blocks = l->groups;
}

ego_err ego__cpu_linear(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    const ego_tensor *x = call->in[0], *residual = call->in[1];
    ego_param *w = call->param[0], *b = call->param[1];
    const float *panels = NULL, *bias = NULL;
    EGO_TRY(ego__cpu_panels(cpu, w, &panels));
    if (b) EGO_TRY(ego__cpu_floats(cpu, b, &bias));
    int64_t first = call->as.linear.first, columns = ego_tensor_columns(call->out);
    int64_t inputs = ego_tensor_columns(x);
    linear l = {.cpu = cpu,
                .whole = {.rows = ego_tensor_rows(x),
                          .k = inputs,
                          .a = x->data,
                          .a_stride = inputs,
                          .panels = panels,
                          .c = ego_f32(call->out) - first,
                          .c_stride = columns,
                          .first = first,
                          .last = first + columns,
                          .bias = bias,
                          .residual = residual ? ego_f32(residual) - first : NULL,
                          .residual_stride = columns,
                          .act = call->as.linear.act}};
    if (l.whole.rows == 0 || columns == 0) return EGO_OK;
    split(&l);
    ego_parallel(cpu->pool, (size_t)(l.row_blocks * l.column_blocks), run_block, &l);
    return EGO_OK;
}
