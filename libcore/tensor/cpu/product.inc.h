/* Products with panels.
 *
 * A register tile of `m` rows and `np` panels walks K: one vector multiply-add per element and step. K is
 * cut every K_BLOCK steps at the same places for every row, which keeps rounding errors small. The sums of a block
 * stand in the first cache and go out from there, the last ones with bias, activation and residual.
 */
#ifndef EGO_TENSOR_CPU_PRODUCT_INC_H
#define EGO_TENSOR_CPU_PRODUCT_INC_H

#include "tensor/cpu/kernels.h"
#include "tensor/cpu/vector.inc.h"
#include "tensor/panel.h"

enum { K_BLOCK = 768, PANEL_VECS = EGO_PANEL / LANES, PANELS_MAX = 4 };

/* The tallest tile, and all (rows, panels) that leave room for the operands in the registers. Eight rows
 * by three panels load 11 vectors for 24 multiply-adds; taller, narrower tiles load more. A strip holds a
 * tile's rows side by side. */
#if defined(__AVX512F__)
enum { TILE_ROWS = 8, STRIP = 8 };
#define TILES(X)                                                                                   \
    X(1, 1)                                                                                        \
    X(2, 1)                                                                                        \
    X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) X(8, 1) X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2)        \
        X(6, 2) X(7, 2) X(8, 2) X(1, 3) X(2, 3) X(3, 3) X(4, 3) X(5, 3) X(6, 3) X(7, 3) X(8, 3)    \
            X(1, 4) X(2, 4) X(3, 4) X(4, 4) X(5, 4) X(6, 4)
#elif defined(__AVX2__)
enum { TILE_ROWS = 6, STRIP = 8 };
#define TILES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(1, 2) X(2, 2) X(3, 2) X(1, 4)
#elif defined(__aarch64__)
enum { TILE_ROWS = 6, STRIP = 8 };
#define TILES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(1, 2) X(2, 2) X(3, 2)
#else
enum { TILE_ROWS = 3, STRIP = 4 };
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

INLINE void tile(const int m, const int np, const int ahead, int64_t k, const operands *o, float *c,
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
        for (int j = 0; j < np && ahead; j++)
            __builtin_prefetch(panels + j * panel + ahead * step, 0, 3);
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

/* Steps from the second cache to the first. */
enum { AHEAD = 16 };

/* Each for any strides, and for strips and packed panels, whose strides are constants: with those the loop
 * keeps its addresses in registers, and has room for fetching ahead. */
#define TILE_FUNCTIONS(m, np)                                                                      \
    static void tile_##m##x##np(int64_t k, const operands *o, float *c, int64_t c_stride,          \
                                bool add) {                                                        \
        tile(m, np, 0, k, o, c, c_stride, add);                                                    \
    }                                                                                              \
    static void strip_##m##x##np(int64_t k, const operands *o, float *c, int64_t c_stride,         \
                                 bool add) {                                                       \
        operands of_strip = *o;                                                                    \
        of_strip.a_stride = 1;                                                                     \
        of_strip.a_step = STRIP;                                                                   \
        of_strip.step = EGO_PANEL;                                                                 \
        tile(m, np, AHEAD, k, &of_strip, c, c_stride, add);                                        \
    }
TILES(TILE_FUNCTIONS)
#define TILE_ENTRY(m, np) [m][np] = tile_##m##x##np,
#define STRIP_ENTRY(m, np) [m][np] = strip_##m##x##np,
typedef tile_fn *tile_table[TILE_ROWS + 1][PANELS_MAX + 1];
static const tile_table tiles = {TILES(TILE_ENTRY)}, strip_tiles = {TILES(STRIP_ENTRY)};

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

/* Rows [row, row + rows), columns [first, last) of c, from a tile's sums, which are in the first cache. */
enum { SUMS_STRIDE = PANELS_MAX * EGO_PANEL };
typedef struct piece {
    int64_t row, rows, first, last;
    const float *sums; /* of the first row and column */
} piece;

INLINE void finish_vec(const ego__product *p, ego_act act, const float *sums, float *c,
                       const float *residual, int64_t column, int64_t n) {
    vec x = load_part(sums, n, 0);
    if (p->add) x += load_part(c + column, n, 0);
    if (p->bias) x += load_part(p->bias + column, n, 0);
    x = activation(x, act);
    if (residual) x += load_part(residual + column, n, 0);
    store_part(c + column, x, n);
}

INLINE void finish_as(const ego__product *p, ego_act act, piece out) {
    const float *sums = out.sums;
    for (int64_t i = out.row; i < out.row + out.rows; i++, sums += SUMS_STRIDE) {
        float *c = p->c + i * p->c_stride;
        const float *residual = p->residual ? p->residual + i * p->residual_stride : NULL;
        int64_t j = out.first, last = out.last;
        for (; j + LANES <= last; j += LANES)
            finish_vec(p, act, sums + j - out.first, c, residual, j, LANES);
        if (j < last) finish_vec(p, act, sums + j - out.first, c, residual, j, last - j);
    }
}

static void finish(const ego__product *p, piece out) {
    switch (p->act) {
    case EGO_ACT_GELU: finish_as(p, EGO_ACT_GELU, out); break;
    case EGO_ACT_RELU: finish_as(p, EGO_ACT_RELU, out); break;
    case EGO_ACT_TANH: finish_as(p, EGO_ACT_TANH, out); break;
    case EGO_ACT_SIGMOID: finish_as(p, EGO_ACT_SIGMOID, out); break;
    case EGO_ACT_NONE: finish_as(p, EGO_ACT_NONE, out); break;
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

/* Room for all rows' strips. */
static int64_t strip_floats(int64_t rows, int64_t k) {
    return (rows + TILE_ROWS - 1) / TILE_ROWS * STRIP * k;
}

/* m rows of a from `row` on, steps [k, k + steps), side by side: one stream, where rows 12 KB apart fall on the
 * same few sets of the first cache. */
static void fill_strip(const ego__product *p, int64_t row, int64_t m, int64_t k, int64_t steps,
                       float *to) {
    if (p->a_across) {
        const float *a = p->a + row + k * p->a_stride;
        for (int64_t s = 0; s < steps; s++, a += p->a_stride, to += STRIP)
            for (int64_t i = 0; i < m; i++) to[i] = a[i];
        return;
    }
    const float *a = p->a + row * p->a_stride + k;
    for (int64_t s = 0; s < steps; s += LANES, to += LANES * STRIP) {
        vec block[STRIP];
        int64_t n = part(steps - s), floats = n * STRIP;
        for (int64_t i = 0; i < STRIP; i++)
            block[i] = i < m ? load_part(a + i * p->a_stride + s, n, 0) : (vec){0};
        interleave(block, STRIP);
        for (int64_t i = 0; i < STRIP && i * LANES < floats; i++)
            store_part(to + i * LANES, block[i], part(floats - i * LANES));
    }
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

/* A walk's share of fetching what comes next, walk number w of `walks`: up to eight walks fetch a packed
 * panel, a piece each: an even stream, not a burst. */
static void fetch(const ego__product *p, stretch next, int64_t walks, int64_t w, operands *o) {
    layout b = layout_of(p);
    int64_t share = p->plain ? 1 : 8;
    while (share > 1 && walks < share * next.np) share /= 2;
    bool some = w / share < next.np;
    o->soon = some ? stretch_start(p, next) + w / share * b.panel +
                         w % share * (next.steps / share) * b.step
                   : o->b;
    o->soon_step = some ? b.step / share : 0;
}

/* Tile t: its m rows from `row` on, and where its sums go. */
typedef struct place {
    int64_t t, row, m;
    float *sums;
    int64_t stride;
    bool add;
} place;

/* A tile's rows as they stand, or their strip, which the first panels fill. */
static void rows_of(const ego__product *p, stretch now, place at, operands *o) {
    if (p->strips) {
        float *strip = p->strips + (at.t * p->k + now.k) * STRIP;
        if (now.panel == p->first / EGO_PANEL) fill_strip(p, at.row, at.m, now.k, now.steps, strip);
        o->a = strip;
        o->a_stride = 1;
        o->a_step = STRIP;
    } else {
        o->a_stride = p->a_across ? 1 : p->a_stride;
        o->a_step = p->a_across ? p->a_stride : 1;
        o->a = p->a + at.row * o->a_stride + now.k * o->a_step;
    }
}

/* What is left to do to the sums of a stretch: before the last only to add them up. */
static ego__product epilogue(const ego__product *p, stretch now) {
    ego__product e = *p;
    e.add = p->add || now.k > 0;
    if (now.k + now.steps < p->k) {
        e.bias = e.residual = NULL;
        e.act = EGO_ACT_NONE;
    }
    return e;
}

/* One stretch, down all rows; `next` comes after it. */
static void product_column(const ego__product *p, tile_rows cut, stretch now, stretch next) {
    float edge[K_BLOCK * EGO_PANEL], sums[TILE_ROWS * SUMS_STRIDE] __attribute__((aligned(64)));
    layout b = layout_of(p);
    operands o = {.b = stretch_start(p, now), .panel = b.panel, .step = b.step};
    ego__product e = epilogue(p, now);
    int64_t column = now.panel * EGO_PANEL, end = column + now.np * EGO_PANEL, row = 0;
    int64_t first = column < p->first ? p->first : column, last = end > p->last ? p->last : end;
    bool through = first == column && last == end && !e.bias && !e.residual &&
                   e.act == EGO_ACT_NONE; /* right into c */
    if (p->plain && end > last) {
        copy_edge(p, now, edge);
        o.b = edge;
        o.step = EGO_PANEL;
    }
    for (int64_t t = 0; t < cut.count; t++) {
        place at = {t, row, cut.least + (t < cut.taller), sums, SUMS_STRIDE, false};
        if (through) {
            at.sums = p->c + row * p->c_stride + column;
            at.stride = p->c_stride;
            at.add = e.add;
        }
        rows_of(p, now, at, &o);
        fetch(p, next, cut.count, t, &o);
        (p->strips && !p->plain ? strip_tiles : tiles)[at.m][now.np](now.steps, &o, at.sums, at.stride,
                                                                    at.add);
        if (!through) finish(&e, (piece){row, at.m, first, last, sums + first - column});
        row += at.m;
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
