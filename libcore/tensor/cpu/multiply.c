/* A product cut into blocks for the pool.
 *
 * Where cuts are depends on threads; what an element's sum adds in which order does not: a block of K ends
 * at the same place for every row and column (product.inc.h), here and there.
 */
#include "tensor/cpu/blocks.h"
#include "tensor/panel.h"

#include <string.h>

/* Enough rows are cut alone, so that each is copied to its strip once; few rows are cut across columns, too:
 * several blocks for each thread even out what threads do. */
enum { BLOCKS_PER_THREAD = 8 };
/* With so short a K writing c is the work: it goes from top to bottom once. */
enum { SHORT_K = 64 };
/* Matrices are read as they stand where copies would not pay: few rows, or narrow ones; and so are rows
 * that meet few groups of panels. */
enum { COPY_ROWS = 128, COPY_COLUMNS = 256, STRIP_GROUPS = 4, PANELS_AT_ONCE = 4 };

typedef struct cuts {
    ego__cpu *cpu;
    ego__product whole;
    ego__blocks rows;
    int64_t groups, column_blocks, step;
    bool strips; /* workers copy their rows of a */
} cuts;

/* Columns are cut between groups of panels, so that cuts cost nothing. */
static void run_block(void *context, size_t i, unsigned worker) {
    const cuts *l = context;
    ego__product p = l->whole;
    int64_t r = (int64_t)i / l->column_blocks, c = (int64_t)i % l->column_blocks;
    int64_t row = ego__block_start(&l->rows, r), end = ego__block_start(&l->rows, r + 1);
    int64_t from = p.first / EGO_PANEL * EGO_PANEL;
    int64_t first = from + c * l->groups / l->column_blocks * l->step;
    int64_t last = from + (c + 1) * l->groups / l->column_blocks * l->step;
    if (first > p.first) p.first = first;
    if (last < p.last) p.last = last;
    p.rows = end - row;
    p.a += p.a_across ? row : row * p.a_stride;
    p.c += row * p.c_stride;
    if (p.residual) p.residual += row * p.residual_stride;
    if (l->strips) p.strips = l->cpu->strips + worker * l->cpu->strip_floats;
    l->cpu->kernels->product(&p);
}

static void cut(cuts *l) {
    const ego__product *p = &l->whole;
    int64_t threads = (int64_t)l->cpu->threads, wanted = threads == 1 ? 1 : threads * BLOCKS_PER_THREAD;
    l->step = l->cpu->kernels->product_step(p->rows);
    l->rows = ego__cut_rows(l->cpu, p->rows);
    int64_t tiles = ego__ceil_div(p->rows, l->cpu->kernels->tile_rows);
    if (p->plain && p->k <= SHORT_K) l->rows = (ego__blocks){.rows = p->rows, .count = tiles};
    l->groups = ego__ceil_div(p->last - p->first / EGO_PANEL * EGO_PANEL, l->step);
    l->column_blocks = ego__ceil_div(wanted, l->rows.count);
    if (l->column_blocks > l->groups) l->column_blocks = l->groups;
}

static ego_err run(cuts *l) {
    int64_t rows = ego__block_rows(&l->rows);
    if (l->strips)
        EGO_TRY(ego__cpu_reserve_strips(l->cpu, l->cpu->kernels->strip_floats(rows, l->whole.k)));
    ego_parallel(l->cpu->base.pool, (size_t)(l->rows.count * l->column_blocks), run_block, l);
    return EGO_OK;
}

/* Some panels of a plain matrix, k rows of it. */
typedef struct copying {
    const ego__product *from;
    int64_t first, k; /* its rows [first, first + k) */
    float *panels;
} copying;

static void copy_panels(void *context, size_t i, unsigned worker) {
    (void)worker;
    const copying *t = context;
    int64_t first = (int64_t)i * PANELS_AT_ONCE, panels = ego_panel_count(t->from->last);
    for (int64_t p = first; p < first + PANELS_AT_ONCE && p < panels; p++) {
        const float *b = t->from->panels + t->first * t->from->plain + p * EGO_PANEL;
        float *to = t->panels + p * t->k * EGO_PANEL;
        int64_t columns = t->from->last - p * EGO_PANEL;
        for (int64_t s = 0; s < t->k; s++, b += t->from->plain, to += EGO_PANEL)
            if (columns >= EGO_PANEL)
                memcpy(to, b, EGO_PANEL * sizeof *to);
            else
                for (int64_t j = 0; j < EGO_PANEL; j++) to[j] = j < columns ? b[j] : 0;
    }
}

/* A plain product block of K after block of K, each from copies: rows of large matrices are so far apart that
 * they fall on few sets of the caches, and nothing foresees where the next one is. */
static ego_err run_copied(cuts *l) {
    ego__cpu *cpu = l->cpu;
    const ego__product whole = l->whole;
    int64_t block = cpu->kernels->k_block, panels = ego_panel_count(whole.last);
    float *memory;
    EGO_TRY(ego__cpu_reserve_shared(cpu, block * panels * EGO_PANEL, &memory));
    l->strips = true;
    for (int64_t k = 0; k < whole.k; k += block) {
        int64_t steps = whole.k - k < block ? whole.k - k : block;
        ego_parallel(cpu->base.pool, (size_t)ego__ceil_div(panels, PANELS_AT_ONCE), copy_panels,
                     &(copying){&whole, k, steps, memory});
        l->whole.k = steps;
        l->whole.a = whole.a + k * (whole.a_across ? whole.a_stride : 1);
        l->whole.panels = memory;
        l->whole.plain = 0;
        l->whole.add = whole.add || k > 0;
        EGO_TRY(run(l));
    }
    return EGO_OK;
}

/* Whether to copy: a matter of time, not of bits. */
static bool pays(const ego__product *p) {
    int64_t widest = p->a_across && p->a_stride > p->plain ? p->a_stride : p->plain;
    return p->plain && p->k > SHORT_K && p->rows >= COPY_ROWS && widest >= COPY_COLUMNS;
}

/* Whether to read rows of a from strips: copying them once is little beside many groups of panels. */
static bool strips_pay(const cuts *l) {
    return !l->whole.a_across && l->whole.rows > l->cpu->kernels->tile_rows &&
           l->groups / l->column_blocks >= STRIP_GROUPS;
}

ego_err ego__cpu_run_product(ego__cpu *cpu, const ego__product *p) {
    if (p->rows == 0 || p->first >= p->last) return EGO_OK;
    cuts l = {.cpu = cpu, .whole = *p};
    cut(&l);
    if (pays(p)) return run_copied(&l);
    l.strips = strips_pay(&l);
    return run(&l);
}
