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
    int64_t rows, tiles, count;
    int64_t whole; /* blocks of BLOCK_TILES, before the lower ones; 0: all are as high as one another */
} ego__blocks;

static inline int64_t ego__ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static inline bool ego__rows_are_many(const ego__cpu *cpu, int64_t rows) {
    int64_t tiles = ego__ceil_div(rows, cpu->kernels->tile_rows);
    return tiles >= BLOCKS_ARE_ENOUGH * BLOCK_TILES * (int64_t)cpu->threads;
}

static inline ego__blocks ego__cut_rows(const ego__cpu *cpu, int64_t rows) {
    int64_t threads = (int64_t)cpu->threads;
    ego__blocks b = {.rows = rows, .tiles = ego__ceil_div(rows, cpu->kernels->tile_rows)};
    b.count = ego__ceil_div(b.tiles, BLOCK_TILES);
    if (threads > 1 && ego__rows_are_many(cpu, rows)) {
        b.whole = b.tiles / BLOCK_TILES - threads;
        b.count = b.whole + ego__ceil_div(b.tiles - b.whole * BLOCK_TILES, LAST_TILES);
    } else if (b.count > threads) {
        b.count = ego__ceil_div(b.count, threads) * threads;
    }
    if (b.count > b.tiles) b.count = b.tiles;
    return b;
}

/* The first row of block i; for i = count the number of rows. */
static inline int64_t ego__block_start(const ego__blocks *b, int64_t i) {
    int64_t tile = i * b->tiles / (b->count ? b->count : 1);
    if (b->whole) {
        tile = i * BLOCK_TILES;
        if (i > b->whole) tile = b->whole * BLOCK_TILES + (i - b->whole) * LAST_TILES;
        if (tile > b->tiles) tile = b->tiles;
    }
    return b->tiles ? tile * b->rows / b->tiles : 0;
}

/* The tallest block, in tiles. */
static inline int64_t ego__block_tiles(const ego__blocks *b) {
    return b->whole ? BLOCK_TILES : ego__ceil_div(b->tiles, b->count ? b->count : 1);
}

#endif
