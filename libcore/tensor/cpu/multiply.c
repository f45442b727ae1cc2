/* A product cut into blocks for the pool.
 *
 * Where cuts are depends on threads; what an element's sum adds in which order does not: a block of K ends
 * at the same place for every row and column (product.inc.h), here and there.
 */
#include "tensor/cpu/cpu.h"
#include "tensor/panel.h"

#include <string.h>

/* Rows of a block stay in a core's second cache while the other side streams past; several blocks for
 * each thread even out what threads do. */
enum { BLOCK_TILES = 12, BLOCKS_PER_THREAD = 8 };
/* With so short a K writing c is the work: it goes from top to bottom once. */
enum { SHORT_K = 64 };

typedef struct cuts {
    const ego__cpu *cpu;
    ego__product whole;
    int64_t tiles, row_blocks, groups, column_blocks, step;
} cuts;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Rows are cut between tiles and columns between groups of panels, so that cuts cost nothing. */
static void run_block(void *context, size_t i, unsigned worker) {
    (void)worker;
    const cuts *l = context;
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
    p.a += p.a_across ? row : row * p.a_stride;
    p.c += row * p.c_stride;
    if (p.residual) p.residual += row * p.residual_stride;
    l->cpu->kernels->product(&p);
}

static void cut(cuts *l) {
    const ego__product *p = &l->whole;
    int64_t wanted = l->cpu->threads == 1 ? 1 : (int64_t)l->cpu->threads * BLOCKS_PER_THREAD;
    l->step = l->cpu->kernels->product_step(p->rows);
    l->tiles = ceil_div(p->rows, l->cpu->kernels->tile_rows);
    l->row_blocks = p->plain && p->k <= SHORT_K ? l->tiles : ceil_div(l->tiles, BLOCK_TILES);
    l->groups = ceil_div(p->last - p->first / EGO_PANEL * EGO_PANEL, l->step);
    l->column_blocks = ceil_div(wanted, l->row_blocks);
    if (l->column_blocks > l->groups) l->column_blocks = l->groups;
}

void ego__cpu_multiply(ego__cpu *cpu, const ego__product *p) {
    if (p->rows == 0 || p->first >= p->last) return;
    cuts l = {.cpu = cpu, .whole = *p};
    cut(&l);
    ego_parallel(cpu->pool, (size_t)(l.row_blocks * l.column_blocks), run_block, &l);
}
