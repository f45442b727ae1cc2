/* Attention of one head: scores of a few queries at a time against all keys, their softmax, and the
 * weighted sum of values, with both products done by product(). Keys and values are packed first, as if
 * they were weights: the keys as W with a row per key, the values as W transposed.
 */
#ifndef EGO_TENSOR_CPU_ATTENTION_INC_H
#define EGO_TENSOR_CPU_ATTENTION_INC_H

#include "tensor/cpu/drop.inc.h"
#include "tensor/cpu/product.inc.h"
#include "tensor/cpu/rows.inc.h"

/* Queries whose scores are in the first cache together. */
enum { SCORE_ROWS = 3 * TILE_ROWS };

static int64_t score_stride(int64_t keys) { return ego_panel_count(keys) * EGO_PANEL; }

/* Panels of keys, panels of values, a block of scores, and what dropout keeps of one row of them. */
static int64_t attention_scratch(int64_t keys, int64_t width) {
    return score_stride(keys) * width + keys * ego_panel_count(width) * EGO_PANEL +
           (SCORE_ROWS + 1) * score_stride(keys);
}

/* Where the rows of a segment begin, in floats: [extra, if ≥ 0], first, first + step, … */
typedef struct row_list {
    int64_t extra, first, step;
} row_list;

static row_list query_rows(const ego_segment *s, int64_t stride) {
    return (row_list){-1, s->q0 * stride, s->q_step * stride};
}
static row_list key_rows(const ego_segment *s, int64_t stride) {
    return (row_list){s->extra < 0 ? -1 : s->extra * stride, s->k0 * stride, s->k_step * stride};
}
INLINE int64_t row_at(row_list r, int64_t j) {
    if (r.extra >= 0 && j-- == 0) return r.extra;
    return r.first + j * r.step;
}

/* Rows of one head lie far apart, where no hardware looks ahead: fetch what comes a panel later. */
INLINE void fetch_row(const float *x, row_list r, int64_t n, int64_t width, int64_t j) {
    enum { LINE = 16 };
    if (j >= n) return;
    const float *row = x + row_at(r, j);
    for (int64_t d = 0; d < width; d += LINE) __builtin_prefetch(row + d);
}

/* Up to LANES rows from row `base` on, dimensions d …, as columns of their panel. */
INLINE void pack_block(const float *x, row_list r, int64_t n, int64_t width, int64_t base,
                       int64_t d, float *to) {
    vec block[LANES];
    int64_t left = width - d;
    for (int64_t i = 0; i < LANES; i++)
        block[i] = base + i < n ? load_part(x + row_at(r, base + i) + d, part(left), 0) : (vec){0};
    transpose(block);
    for (int64_t i = 0; i < LANES && i < left; i++) store(to + i * EGO_PANEL, block[i]);
}

/* n rows of `width` as panels for products a · xᵀ. */
static void pack_across(const float *x, row_list r, int64_t n, int64_t width, float *to) {
    for (int64_t base = 0; base < n; base += EGO_PANEL, to += width * EGO_PANEL) {
        for (int64_t j = 0; j < EGO_PANEL; j++) fetch_row(x, r, n, width, base + EGO_PANEL + j);
        for (int64_t d = 0; d < width; d += LANES)
            for (int64_t j = 0; j < EGO_PANEL; j += LANES)
                pack_block(x, r, n, width, base + j, d, to + d * EGO_PANEL + j);
    }
}

/* The same for products a · x. */
static void pack_along(const float *x, row_list r, int64_t n, int64_t width, float *to) {
    int64_t padded = ego_panel_count(width) * EGO_PANEL;
    for (int64_t j = 0; j < n; j++) {
        const float *from = x + row_at(r, j);
        fetch_row(x, r, n, width, j + EGO_PANEL);
        for (int64_t d = 0; d < padded; d += LANES) {
            int64_t left = d < width ? part(width - d) : 0;
            store(to + (d / EGO_PANEL * n + j) * EGO_PANEL + d % EGO_PANEL,
                  left ? load_part(from + d, left, 0) : (vec){0});
        }
    }
}

/* What is added to one query's scores, which are multiplied by 1/√width after it. */
static void add_key_bias(const ego__head *h, int64_t keys, float *scores) {
    row_list rows = key_rows(h->segment, 1);
    float root = sqrtf((float)h->width);
    for (int64_t j = 0; j < keys; j++) scores[j] += h->key_bias[row_at(rows, j)] * root;
}

/* Dropout of the scores of queries [first, first + rows). */
static void drop_scores(const ego__head *h, int64_t keys, float *scores, int64_t first,
                        int64_t rows) {
    const ego_segment *s = h->segment;
    float *factor = scores + SCORE_ROWS * score_stride(keys);
    for (int64_t i = 0; i < rows; i++, scores += score_stride(keys)) {
        drop_factors(keys, h->drop, s->q0 + (first + i) * s->q_step, h->number * keys, factor);
        multiply_row(keys, factor, scores);
    }
}

/* Queries [first, first + rows) of the segment. */
static void attend(const ego__head *h, int64_t keys, const float *key_panels,
                   const float *value_panels, float *scores, int64_t first, int64_t rows) {
    const ego_segment *s = h->segment;
    int64_t stride = score_stride(keys), row = s->q0 + first * s->q_step;
    int64_t out_stride = s->q_step * h->out_stride;
    float *out = h->out + row * h->out_stride, scale = 1.0f / sqrtf((float)h->width);
    float sums[SCORE_ROWS];
    product(&(ego__product){.rows = rows,
                            .k = h->width,
                            .a = h->q + row * h->q_stride,
                            .a_stride = s->q_step * h->q_stride,
                            .panels = key_panels,
                            .c = scores,
                            .c_stride = stride,
                            .last = stride});
    for (int64_t i = 0; h->key_bias && i < rows; i++) add_key_bias(h, keys, scores + i * stride);
    for (int64_t i = 0; i < rows; i++)
        sums[i] = exp_row(keys, scores + i * stride, scale, scores + i * stride, true);
    if (dropping(h->drop)) drop_scores(h, keys, scores, first, rows);
    product(&(ego__product){.rows = rows,
                            .k = keys,
                            .a = scores,
                            .a_stride = stride,
                            .panels = value_panels,
                            .c = out,
                            .c_stride = out_stride,
                            .last = h->width});
    for (int64_t i = 0; i < rows; i++) scale_row(h->width, 1.0f / sums[i], out + i * out_stride);
}

static void attention(const ego__head *h) {
    const ego_segment *s = h->segment;
    int64_t keys = s->nk + (s->extra >= 0);
    float *key_panels = h->scratch, *value_panels = key_panels + score_stride(keys) * h->width;
    float *scores = value_panels + keys * ego_panel_count(h->width) * EGO_PANEL;
    pack_across(h->k, key_rows(s, h->k_stride), keys, h->width, key_panels);
    pack_along(h->v, key_rows(s, h->v_stride), keys, h->width, value_panels);
    tile_rows cut = cut_rows(h->q_count);
    for (int64_t t = 0, row = 0; t < cut.count; t += 3) {
        int64_t rows = 0;
        for (int64_t i = t; i < t + 3 && i < cut.count; i++) rows += cut.least + (i < cut.taller);
        attend(h, keys, key_panels, value_panels, scores, h->q_first + row, rows);
        row += rows;
    }
}

#endif
