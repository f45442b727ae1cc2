/* Where rows are cut for the pool.
 *
 * The rows of a block stay in a core's second cache while weights stream past. Enough rows are cut into blocks of
 * BLOCK_TILES tiles, the last ones into lower ones: cores that share their machine with others are not equally
 * fast, and whoever is done waits for the rest. Fewer rows are cut evenly.
 */
#ifndef EGO_TENSOR_CPU_BLOCKS_H
#define EGO_TENSOR_CPU_BLOCKS_H

#include "tensor/cpu/cpu.h"

enum { BLOCK_TILES = 6, LAST_TILES = 2, BLOCKS_ARE_ENOUGH = 4 /* for each thread */ };

typedef struct ego__blocks {
    int64_t rows, count;
    int64_t whole, height; /* the first `whole` blocks have `height` rows, the others share the rest evenly */
} ego__blocks;

static inline int64_t ego__ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static inline bool ego__rows_are_many(const ego__cpu *cpu, int64_t rows) {
    int64_t tiles = ego__ceil_div(rows, cpu->kernels->tile_rows);
    return tiles >= BLOCKS_ARE_ENOUGH * BLOCK_TILES * (int64_t)cpu->threads;
}

static inline ego__blocks ego__cut_rows(const ego__cpu *cpu, int64_t rows) {
    int64_t threads = (int64_t)cpu->threads, tiles = ego__ceil_div(rows, cpu->kernels->tile_rows);
    ego__blocks b = {.rows = rows, .height = BLOCK_TILES * cpu->kernels->tile_rows};
    b.count = ego__ceil_div(tiles, BLOCK_TILES);
    if (threads > 1 && ego__rows_are_many(cpu, rows)) {
        b.whole = tiles / BLOCK_TILES - threads;
        b.count = b.whole + ego__ceil_div(tiles - b.whole * BLOCK_TILES, LAST_TILES);
    } else if (b.count > threads) {
        b.count = ego__ceil_div(b.count, threads) * threads;
    }
    if (b.count > tiles) b.count = tiles;
    return b;
}

/* The first row of block i; for i = count the number of rows. */
static inline int64_t ego__block_start(const ego__blocks *b, int64_t i) {
    if (i <= b->whole) return i * b->height;
    return b->whole * b->height +
           (i - b->whole) * (b->rows - b->whole * b->height) / (b->count - b->whole);
}

/* Rows of the tallest block, at most. */
static inline int64_t ego__block_rows(const ego__blocks *b) {
    int64_t low = ego__ceil_div(b->rows - b->whole * b->height, b->count - b->whole);
    return b->whole && b->height > low ? b->height : low;
}

#endif
