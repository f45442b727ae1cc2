/* Attention of one head: scores of a few queries at a time against all keys, their softmax, and the
 * weighted sum of values, with both products done by product(). Keys and values are packed first, as if
 * they were weights: the keys as W with a row per key, the values as W transposed.
 */
#ifndef EGO_TENSOR_CPU_ATTENTION_INC_H
#define EGO_TENSOR_CPU_ATTENTION_INC_H

#include "tensor/cpu/product.inc.h"
#include "tensor/cpu/rows.inc.h"

/* Queries whose scores are in the first cache together. */
enum { SCORE_ROWS = 3 * TILE_ROWS };

static int64_t score_stride(int64_t keys) { return ego_panel_count(keys) * EGO_PANEL; }

/* Panels of keys, panels of values, and a block of scores. */
static int64_t attention_scratch(int64_t keys, int64_t width) {
    return score_stride(keys) * width + keys * ego_panel_count(width) * EGO_PANEL +
           SCORE_ROWS * score_stride(keys);
}

static int64_t key_row(const ego_segment *s, int64_t j) {
    if (s->extra >= 0 && j-- == 0) return s->extra;
    return s->k0 + j * s->k_step;
}

/* Rows of one head lie far apart, where no hardware looks ahead: fetch what comes a panel later. */
INLINE void fetch_row(const ego__head *h, const float *base, int64_t stride, int64_t j,
                      int64_t keys) {
    enum { LINE = 16 };
    if (j >= keys) return;
    const float *row = base + key_row(h->segment, j) * stride;
    for (int64_t d = 0; d < h->width; d += LINE) __builtin_prefetch(row + d);
}

/* Up to LANES keys from key `base` on, dimensions d …, as columns of their panel. */
INLINE void pack_key_block(const ego__head *h, int64_t base, int64_t keys, int64_t d, float *to) {
    vec block[LANES];
    int64_t n = h->width - d;
    for (int64_t i = 0; i < LANES; i++)
        block[i] =
            base + i < keys
                ? load_part(h->k + key_row(h->segment, base + i) * h->k_stride + d, part(n), 0)
                : (vec){0};
    transpose(block);
    for (int64_t i = 0; i < LANES && i < n; i++) store(to + i * EGO_PANEL, block[i]);
}

static void pack_keys(const ego__head *h, int64_t keys, float *to) {
    for (int64_t base = 0; base < keys; base += EGO_PANEL, to += h->width * EGO_PANEL) {
        for (int64_t j = 0; j < EGO_PANEL; j++)
            fetch_row(h, h->k, h->k_stride, base + EGO_PANEL + j, keys);
        for (int64_t d = 0; d < h->width; d += LANES)
            for (int64_t j = 0; j < EGO_PANEL; j += LANES)
                pack_key_block(h, base + j, keys, d, to + d * EGO_PANEL + j);
    }
}

static void pack_values(const ego__head *h, int64_t keys, float *to) {
    int64_t padded = ego_panel_count(h->width) * EGO_PANEL;
    for (int64_t j = 0; j < keys; j++) {
        const float *from = h->v + key_row(h->segment, j) * h->v_stride;
        fetch_row(h, h->v, h->v_stride, j + EGO_PANEL, keys);
        for (int64_t d = 0; d < padded; d += LANES) {
            int64_t n = d < h->width ? part(h->width - d) : 0;
            store(to + (d / EGO_PANEL * keys + j) * EGO_PANEL + d % EGO_PANEL,
                  n ? load_part(from + d, n, 0) : (vec){0});
        }
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
    for (int64_t i = 0; i < rows; i++)
        sums[i] = exp_row(keys, scores + i * stride, scale, scores + i * stride, true);
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
    pack_keys(h, keys, key_panels);
    pack_values(h, keys, value_panels);
    tile_rows cut = cut_rows(h->q_count);
    for (int64_t t = 0, row = 0; t < cut.count; t += 3) {
        int64_t rows = 0;
        for (int64_t i = t; i < t + 3 && i < cut.count; i++) rows += cut.least + (i < cut.taller);
        attend(h, keys, key_panels, value_panels, scores, h->q_first + row, rows);
        row += rows;
    }
}

#endif
