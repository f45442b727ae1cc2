/* Products with panels.
 *
 * A register tile of `m` rows and `np` panels walks K: one vector multiply-add per element and step. K is
 * cut every K_BLOCK steps at the same places for every row, and the blocks' sums are added in memory: that
 * keeps rounding errors small and the walked pieces of rows and panels in the caches.
 */
#ifndef EGO_TENSOR_CPU_PRODUCT_INC_H
#define EGO_TENSOR_CPU_PRODUCT_INC_H

#include "tensor/cpu/kernels.h"
#include "tensor/cpu/vector.inc.h"
#include "tensor/panel.h"

enum { K_BLOCK = 384, PANEL_VECS = EGO_PANEL / LANES, PANELS_MAX = 4 };

/* The tallest tile, and all (rows, panels) that leave room for the operands in the registers. Eight rows
 * by three panels load 11 vectors for 24 multiply-adds; taller, narrower tiles load more. */
#if defined(__AVX512F__)
enum { TILE_ROWS = 8 };
#define TILES(X)                                                                                   \
    X(1, 1)                                                                                        \
    X(2, 1)                                                                                        \
    X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) X(8, 1) X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2)        \
        X(6, 2) X(7, 2) X(8, 2) X(1, 3) X(2, 3) X(3, 3) X(4, 3) X(5, 3) X(6, 3) X(7, 3) X(8, 3)    \
            X(1, 4) X(2, 4) X(3, 4) X(4, 4) X(5, 4) X(6, 4)
#elif defined(__AVX2__)
enum { TILE_ROWS = 6 };
#define TILES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(1, 2) X(2, 2) X(3, 2) X(1, 4)
#elif defined(__aarch64__)
enum { TILE_ROWS = 6 };
#define TILES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(1, 2) X(2, 2) X(3, 2)
#else
enum { TILE_ROWS = 3 };
#define TILES(X) X(1, 1) X(2, 1) X(3, 1)
#endif

/* Where a tile reads: row i of a, column j of panel p, and step s of k stand at
 *     a[i · a_stride + s · a_step],   b[p · panel + s · step + j].
 * What stands at `soon` and every soon_step floats behind is fetched, one place a step: what is wanted next
 * streams in from memory meanwhile. */
typedef struct operands {
    const float *a;
    int64_t a_stride, a_step;
    const float *b;
    int64_t panel, step;
    const float *soon;
    int64_t soon_step;
} operands;

/* c (+)= a · b, m rows and np panels of c; k steps. */
typedef void tile_fn(int64_t k, const operands *o, float *c, int64_t c_stride, bool add);

INLINE void tile(const int m, const int np, int64_t k, const operands *o, float *c,
                 int64_t c_stride, bool add) {
    enum { VECS = PANELS_MAX * PANEL_VECS };
    vec sum[TILE_ROWS][VECS];
    const int nv = np * PANEL_VECS;
    const float *a = o->a, *panels = o->b, *soon = o->soon;
    const int64_t a_stride = o->a_stride, a_step = o->a_step, panel = o->panel, step = o->step,
                  soon_step = o->soon_step;
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 16
        for (int j = 0; j < nv; j++) sum[i][j] = (vec){0};
    for (int64_t s = 0; s < k; s++) {
        vec b[VECS];
#pragma GCC unroll 16
        for (int j = 0; j < nv; j++)
            b[j] = load(panels + j / PANEL_VECS * panel + j % PANEL_VECS * LANES);
        __builtin_prefetch(soon, 0, 2);
#pragma GCC unroll 16
        for (int i = 0; i < m; i++) {
            vec x = splat(a[i * a_stride]);
#pragma GCC unroll 16
            for (int j = 0; j < nv; j++) sum[i][j] += x * b[j];
        }
        a += a_step;
        panels += step;
        soon += soon_step;
    }
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 16
        for (int j = 0; j < nv; j++) {
            float *at = c + i * c_stride + j * LANES;
            store(at, add ? load(at) + sum[i][j] : sum[i][j]);
        }
}

#define TILE_FUNCTION(m, np)                                                                       \
    static void tile_##m##x##np(int64_t k, const operands *o, float *c, int64_t c_stride,          \
                                bool add) {                                                        \
        tile(m, np, k, o, c, c_stride, add);                                                       \
    }
TILES(TILE_FUNCTION)
#define TILE_ENTRY(m, np) [m][np] = tile_##m##x##np,
static tile_fn *const tiles[TILE_ROWS + 1][PANELS_MAX + 1] = {TILES(TILE_ENTRY)};

/* How many panels a tile of m rows takes when `left` remain. Four are two pairs rather than three and a
 * thin one. */
static int tile_width(int64_t m, int64_t left) {
    int np = left < PANELS_MAX ? (int)left : PANELS_MAX;
    if (left == 4 && !tiles[m][4]) np = 2;
    while (!tiles[m][np]) np--;
    return np;
}

/* Columns that are computed together when there are `rows` rows: where to cut between threads. */
static int64_t product_step(int64_t rows) {
    int64_t tallest = rows < TILE_ROWS ? rows : TILE_ROWS;
    return (int64_t)tile_width(tallest, INT64_MAX) * EGO_PANEL;
}

/* One tile of which only columns [first, last) exist in c. */
static void edge_tile(int64_t m, int np, int64_t first, int64_t last, int64_t k, const operands *o,
                      float *c, int64_t c_stride, bool add) {
    enum { WIDTH = PANELS_MAX * EGO_PANEL };
    float whole[TILE_ROWS * WIDTH];
    tiles[m][np](k, o, whole, WIDTH, false);
    for (int64_t i = 0; i < m; i++) {
        float *to = c + i * c_stride;
        const float *from = whole + i * WIDTH;
        for (int64_t j = first; j < last; j++) to[j] = add ? to[j] + from[j] : from[j];
    }
}

/* Bias, activation and residual on a finished piece of c, while it is in the first cache. */
INLINE void finish_vec(const ego__product *p, ego_act act, float *c, const float *residual,
                       int64_t column, int64_t n) {
    vec x = load_part(c + column, n, 0);
    if (p->bias) x += load_part(p->bias + column, n, 0);
    x = activation(x, act);
    if (residual) x += load_part(residual + column, n, 0);
    store_part(c + column, x, n);
}

INLINE void finish_as(const ego__product *p, ego_act act, int64_t row, int64_t rows, int64_t first,
                      int64_t last) {
    for (int64_t i = row; i < row + rows; i++) {
        float *c = p->c + i * p->c_stride;
        const float *residual = p->residual ? p->residual + i * p->residual_stride : NULL;
        int64_t j = first;
        for (; j + LANES <= last; j += LANES) finish_vec(p, act, c, residual, j, LANES);
        if (j < last) finish_vec(p, act, c, residual, j, last - j);
    }
}

static void finish(const ego__product *p, int64_t row, int64_t rows, int64_t first, int64_t last) {
    switch (p->act) {
    case EGO_ACT_GELU: finish_as(p, EGO_ACT_GELU, row, rows, first, last); break;
    case EGO_ACT_RELU: finish_as(p, EGO_ACT_RELU, row, rows, first, last); break;
    case EGO_ACT_TANH: finish_as(p, EGO_ACT_TANH, row, rows, first, last); break;
    case EGO_ACT_SIGMOID: finish_as(p, EGO_ACT_SIGMOID, row, rows, first, last); break;
    case EGO_ACT_NONE:
        if (p->bias || p->residual) finish_as(p, EGO_ACT_NONE, row, rows, first, last);
        break;
    }
}

/* Rows are cut into tiles that differ by at most one row, taller ones first: a last tile of one row would
 * cost as much as a whole one. */
typedef struct tile_rows {
    int64_t count, least, taller;
} tile_rows;

static tile_rows cut_rows(int64_t rows) {
    int64_t count = (rows + TILE_ROWS - 1) / TILE_ROWS;
    return (tile_rows){count, rows / count, rows % count};
}

/* A block of K of a group of `np` neighbouring panels. */
typedef struct stretch {
    int64_t panel, k, steps;
    int np;
} stretch;

/* Where b's stretch begins, and how far apart its panels and steps are. */
typedef struct layout {
    int64_t panel, step;
} layout;

static layout layout_of(const ego__product *p) {
    return p->plain ? (layout){EGO_PANEL, p->plain} : (layout){p->k * EGO_PANEL, EGO_PANEL};
}

static const float *stretch_start(const ego__product *p, stretch s) {
    layout b = layout_of(p);
    return p->panels + s.panel * b.panel + s.k * b.step;
}

/* The last columns of a plain matrix, fewer than a panel, are a stretch of their own, and copied: behind
 * them may stand anything, or nothing. */
static void copy_edge(const ego__product *p, stretch s, float edge[K_BLOCK * EGO_PANEL]) {
    const float *b = stretch_start(p, s);
    int64_t columns = p->last - s.panel * EGO_PANEL;
    for (int64_t i = 0; i < s.steps; i++)
        for (int64_t j = 0; j < EGO_PANEL; j++)
            edge[i * EGO_PANEL + j] = j < columns ? b[i * p->plain + j] : 0;
}

/* Tile number t's share of fetching what comes next: up to four tiles fetch a packed panel, a piece each:
 * an even stream, not a burst. */
static void fetch(const ego__product *p, stretch next, int64_t tiles_in_all, int64_t t, operands *o) {
    layout b = layout_of(p);
    int64_t share = p->plain                       ? 1
                    : tiles_in_all >= 4 * next.np ? 4
                    : tiles_in_all >= 2 * next.np ? 2
                                                   : 1;
    bool some = t / share < next.np;
    o->soon = some ? stretch_start(p, next) + t / share * b.panel +
                         t % share * (next.steps / share) * b.step
                   : o->b;
    o->soon_step = some ? b.step / share : 0;
}

/* One stretch, down all rows; `next` comes after it. */
static void product_column(const ego__product *p, tile_rows cut, stretch now, stretch next) {
    float edge[K_BLOCK * EGO_PANEL];
    layout b = layout_of(p);
    operands o = {.a_stride = p->a_across ? 1 : p->a_stride,
                  .a_step = p->a_across ? p->a_stride : 1,
                  .b = stretch_start(p, now),
                  .panel = b.panel,
                  .step = b.step};
    int64_t column = now.panel * EGO_PANEL, end = column + now.np * EGO_PANEL, row = 0;
    int64_t first = column < p->first ? p->first : column, last = end > p->last ? p->last : end;
    bool whole = first == column && last == end, add = p->add || now.k > 0;
    if (p->plain && end > last) {
        copy_edge(p, now, edge);
        o.b = edge;
        o.step = EGO_PANEL;
    }
    for (int64_t t = 0; t < cut.count; t++) {
        int64_t m = cut.least + (t < cut.taller);
        float *c = p->c + row * p->c_stride + column;
        o.a = p->a + row * o.a_stride + now.k * o.a_step;
        fetch(p, next, cut.count, t, &o);
        if (whole)
            tiles[m][now.np](now.steps, &o, c, p->c_stride, add);
        else
            edge_tile(m, now.np, first - column, last - column, now.steps, &o, c, p->c_stride, add);
        if (now.k + now.steps == p->k) finish(p, row, m, first, last);
        row += m;
    }
}

static stretch stretch_at(const ego__product *p, int64_t tallest, int64_t panel, int64_t k) {
    int64_t steps = p->k - k < K_BLOCK ? p->k - k : K_BLOCK;
    int64_t left = (p->plain ? p->last / EGO_PANEL : ego_panel_count(p->last)) - panel;
    return (stretch){panel, k, steps, tile_width(tallest, left > 0 ? left : 1)};
}

/* Packed panels are walked to their ends one group after the other, a plain matrix from its first row to its last:
 * as they lie in memory. np is 0 after the last stretch. */
static stretch stretch_after(const ego__product *p, int64_t tallest, stretch now) {
    int64_t first = p->first / EGO_PANEL, end = ego_panel_count(p->last);
    int64_t panel = now.panel + now.np, k = now.k + now.steps;
    bool last_panel = panel >= end, last_k = k >= p->k;
    if (last_panel && last_k) return (stretch){0};
    if (p->plain)
        return last_panel ? stretch_at(p, tallest, first, k) : stretch_at(p, tallest, panel, now.k);
    return last_k ? stretch_at(p, tallest, panel, 0) : stretch_at(p, tallest, now.panel, k);
}

/* Each stretch once for all rows: b streams past, the rows stay in the second cache. */
static void product(const ego__product *p) {
    if (p->rows == 0 || p->first >= p->last) return;
    tile_rows cut = cut_rows(p->rows);
    int64_t tallest = cut.least + (cut.taller > 0);
    stretch now = stretch_at(p, tallest, p->first / EGO_PANEL, 0);
    while (now.np > 0) {
        stretch next = stretch_after(p, tallest, now);
        product_column(p, cut, now, next);
        now = next;
    }
}

#endif
