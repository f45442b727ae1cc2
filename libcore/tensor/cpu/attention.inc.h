/* Attention of one head: scores of a few queries at a time against all keys, their softmax, and the
 * weighted sum of values, with both products done by product(). Keys and values are packed first, as if
 * they were weights: the keys as W with a row per key, the values as W transposed.
 */
#ifndef EGO_TENSOR_CPU_ATTENTION_INC_H
#define EGO_TENSOR_CPU_ATTENTION_INC_H

#include "tensor/cpu/product.inc.h"
#include "tensor/cpu/rows.inc.h"

/* Panels of keys, panels of values, and a block of scores. */
static int64_t score_stride(int64_t keys) { return ego_panel_count(keys) * EGO_PANEL; }

static int64_t attention_scratch(int64_t keys, int64_t width) {
    return score_stride(keys) * width + keys * ego_panel_count(width) * EGO_PANEL +
           TILE_ROWS * score_stride(keys);
}

static int64_t segment_keys(const ego_segment *s) { return s->nk + (s->extra >= 0); }

static int64_t key_row(const ego_segment *s, int64_t j) {
    if (s->extra >= 0 && j-- == 0) return s->extra;
    return s->k0 + j * s->k_step;
}

static void pack_keys(const ego__head *h, int64_t keys, float *to) {
    for (int64_t base = 0; base < keys; base += EGO_PANEL, to += h->width * EGO_PANEL) {
        int64_t n = keys - base < EGO_PANEL ? keys - base : EGO_PANEL;
        if (n < EGO_PANEL) memset(to, 0, (size_t)(h->width * EGO_PANEL) * sizeof *to);
        for (int64_t j = 0; j < n; j++) {
            const float *from = h->k + key_row(h->segment, base + j) * h->k_stride;
            for (int64_t d = 0; d < h->width; d++) to[d * EGO_PANEL + j] = from[d];
        }
    }
}

static void pack_values(const ego__head *h, int64_t keys, float *to) {
    for (int64_t j = 0; j < keys; j++) {
        const float *from = h->v + key_row(h->segment, j) * h->v_stride;
        for (int64_t d = 0; d < h->width; d += LANES) {
            float *at = to + (d / EGO_PANEL * keys + j) * EGO_PANEL + d % EGO_PANEL;
            store(at, load_part(from + d, part(h->width - d), 0));
        }
        /* the lanes of the last panel that no vector above reached */
        for (int64_t d = (h->width + LANES - 1) / LANES * LANES; d % EGO_PANEL; d += LANES)
            store(to + (d / EGO_PANEL * keys + j) * EGO_PANEL + d % EGO_PANEL, (vec){0});
    }
}

static void attention(const ego__head *h) {
    const ego_segment *s = h->segment;
    int64_t keys = segment_keys(s), stride = score_stride(keys);
    float *key_panels = h->scratch, *value_panels = key_panels + stride * h->width;
    float *scores = value_panels + keys * ego_panel_count(h->width) * EGO_PANEL;
    float scale = 1.0f / sqrtf((float)h->width);
    pack_keys(h, keys, key_panels);
    pack_values(h, keys, value_panels);

    int64_t blocks = (h->q_count + TILE_ROWS - 1) / TILE_ROWS;
    for (int64_t block = 0; block < blocks; block++) {
        int64_t first = block * h->q_count / blocks, rows = (block + 1) * h->q_count / blocks - first;
        int64_t row = s->q0 + (h->q_first + first) * s->q_step;
        float *out = h->out + row * h->out_stride;
        float sums[TILE_ROWS];
        product(&(ego__product){.rows = rows,
                                .k = h->width,
                                .a = h->q + row * h->q_stride,
                                .a_stride = s->q_step * h->q_stride,
                                .panels = key_panels,
                                .c = scores,
                                .c_stride = stride,
                                .last = stride});
        for (int64_t i = 0; i < rows; i++)
            sums[i] = exp_row(keys, scores + i * stride, scale, scores + i * stride);
        product(&(ego__product){.rows = rows,
                                .k = keys,
                                .a = scores,
                                .a_stride = stride,
                                .panels = value_panels,
                                .c = out,
                                .c_stride = s->q_step * h->out_stride,
                                .last = h->width});
        for (int64_t i = 0; i < rows; i++)
            scale_row(h->width, 1.0f / sums[i], out + i * s->q_step * h->out_stride);
    }
}

#endif
