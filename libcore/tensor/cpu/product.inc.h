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

/* c (+)= a · panels, m rows and np panels of c; k steps. panel_stride: floats from panel to panel. What
 * stands at `soon` and every soon_step floats behind is fetched, one place a step: the panels wanted next
 * stream in from memory meanwhile. */
typedef void tile_fn(int64_t k, const float *a, int64_t a_stride, const float *panels,
                     int64_t panel_stride, float *c, int64_t c_stride, bool add, const float *soon, int64_t soon_step);

/* Element s of row i of a stands at i * a_stride + s * a_step. */
INLINE void tile(const int m, const int np, int64_t k, const float *a, int64_t a_stride,
                 int64_t a_step, const float *panels, int64_t panel_stride, float *c,
                 int64_t c_stride, bool add, const float *soon, int64_t soon_step) {
    enum { VECS = PANELS_MAX * PANEL_VECS };
    vec sum[TILE_ROWS][VECS];
    const int nv = np * PANEL_VECS;
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 16
        for (int j = 0; j < nv; j++) sum[i][j] = (vec){0};
    for (int64_t s = 0; s < k; s++) {
        vec b[VECS];
#pragma GCC unroll 16
        for (int j = 0; j < nv; j++)
            b[j] = load(panels + j / PANEL_VECS * panel_stride + s * EGO_PANEL +
                        j % PANEL_VECS * LANES);
        __builtin_prefetch(soon + s * soon_step, 0, 2);
#pragma GCC unroll 16
        for (int i = 0; i < m; i++) {
            vec x = splat(a[i * a_stride + s * a_step]);
#pragma GCC unroll 16
            for (int j = 0; j < nv; j++) sum[i][j] += x * b[j];
        }
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
    static void tile_##m##x##np(int64_t k, const float *a, int64_t a_stride, const float *panels,  \
                                int64_t panel_stride, float *c, int64_t c_stride, bool add,        \
                                const float *soon, int64_t soon_step) {                            \
        tile(m, np, k, a, a_stride, 1, panels, panel_stride, c, c_stride, add, soon, soon_step);   \
    }                                                                                              \
    static void across_##m##x##np(int64_t k, const float *a, int64_t a_stride,                     \
                                  const float *panels, int64_t panel_stride, float *c,             \
                                  int64_t c_stride, bool add, const float *soon,                   \
                                  int64_t soon_step) {                                             \
        tile(m, np, k, a, 1, a_stride, panels, panel_stride, c, c_stride, add, soon, soon_step);   \
    }
TILES(TILE_FUNCTION)
#define TILE_ENTRY(m, np) [m][np] = tile_##m##x##np,
static tile_fn *const tiles[TILE_ROWS + 1][PANELS_MAX + 1] = {TILES(TILE_ENTRY)};
#define ACROSS_ENTRY(m, np) [m][np] = across_##m##x##np,
static tile_fn *const tiles_across[TILE_ROWS + 1][PANELS_MAX + 1] = {TILES(ACROSS_ENTRY)};

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
static void edge_tile(tile_fn *run, int64_t m, int64_t first, int64_t last, int64_t k,
                      const float *a, int64_t a_stride, const float *panels, int64_t panel_stride,
                      float *c, int64_t c_stride, bool add) {
    enum { WIDTH = PANELS_MAX * EGO_PANEL };
    float whole[TILE_ROWS * WIDTH];
    run(k, a, a_stride, panels, panel_stride, whole, WIDTH, false, panels, 0);
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

/* One block of K for one group of panels, down all rows. */
static void product_column(const ego__product *p, tile_rows cut, int64_t panel, int np, int64_t k,
                           int64_t steps, const float *soon, int64_t soon_panels) {
    int64_t panel_stride = p->k * EGO_PANEL, row = 0;
    const float *b = p->panels + panel * panel_stride + k * EGO_PANEL;
    int64_t column = panel * EGO_PANEL, end = column + np * EGO_PANEL;
    int64_t first = column < p->first ? p->first : column, last = end > p->last ? p->last : end;
    bool whole = first == column && last == end, add = k > 0;
    /* Up to four tiles share the fetching of a panel, a piece each: an even stream, not a burst. */
    int64_t share = cut.count >= 4 * soon_panels ? 4 : cut.count >= 2 * soon_panels ? 2 : 1;
    for (int64_t t = 0; t < cut.count; t++) {
        int64_t m = cut.least + (t < cut.taller);
        const float *a = p->a_across ? p->a + row + k * p->a_stride : p->a + row * p->a_stride + k;
        float *c = p->c + row * p->c_stride + column;
        tile_fn *run = (p->a_across ? tiles_across : tiles)[m][np];
        if (whole)
            run(steps, a, p->a_stride, b, panel_stride, c, p->c_stride, add,
                t / share < soon_panels
                    ? soon + t / share * panel_stride + t % share * (steps / share) * EGO_PANEL
                    : b,
                t / share < soon_panels ? EGO_PANEL / share : 0);
        else
            edge_tile(run, m, first - column, last - column, steps, a, p->a_stride, b, panel_stride,
                      c, p->c_stride, add);
        if (k + steps == p->k) finish(p, row, m, first, last);
        row += m;
    }
}

/* Each group of panels once for all rows: the panels stream past, the rows stay in the second cache. */
static void product(const ego__product *p) {
    if (p->rows == 0 || p->first >= p->last) return;
    tile_rows cut = cut_rows(p->rows);
    int64_t tallest = cut.least + (cut.taller > 0);
    int64_t panel = p->first / EGO_PANEL, end = ego_panel_count(p->last);
    while (panel < end) {
        int np = tile_width(tallest, end - panel);
        const float *b = p->panels + panel * p->k * EGO_PANEL;
        int64_t k = 0;
        do {
            int64_t steps = p->k - k < K_BLOCK ? p->k - k : K_BLOCK;
            const float *soon = b + (k + steps) * EGO_PANEL; /* these panels' next block of K … */
            int64_t soon_panels = np;
            if (k + steps == p->k) { /* … or the next panels' first */
                soon = b + np * p->k * EGO_PANEL;
                if (soon_panels > end - panel - np) soon_panels = end - panel - np;
            }
            product_column(p, cut, panel, np, k, steps, soon, soon_panels);
            k += steps;
        } while (k < p->k);
        panel += np;
    }
}

#endif
