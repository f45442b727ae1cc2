/* Gradients of attention for one head of one segment. With S = q kᵀ/√d, P = softmax(S), O = P v:
 *     dv = Pᵀ dO,   dP = dO vᵀ,   dS = P ∘ (dP − rowsum(dP ∘ P)),   dq = dS k/√d,   dk = dSᵀ q/√d,
 * and with dropout, which multiplies P by factors F: dv = (P ∘ F)ᵀ dO, dP = (dO vᵀ) ∘ F. P is computed
 * again: it would be the largest thing that a forward pass leaves behind.
 *
 * Large segments are products with panels. In small ones (time attention: 4 queries, 5 keys) and thin ones
 * (a class token: one query) packing costs more than the products: those are done row by row.
 */
#ifndef EGO_TENSOR_CPU_ATTENTION_BACK_INC_H
#define EGO_TENSOR_CPU_ATTENTION_BACK_INC_H

#include "tensor/cpu/attention.inc.h"

/* Floats of P, and of dS, that are at hand together: a frame's 196 queries and 197 keys, and room in the
 * second cache for their panels. */
enum { BACK_FLOATS = 49152 };

/* Packing costs as much as a few pairs of a query and a key for each row. */
static bool row_by_row(int64_t queries, int64_t keys) {
    return queries * keys < 4 * (queries + keys);
}

/* Queries whose P is at hand together. */
static int64_t back_rows(int64_t queries, int64_t keys) {
    int64_t rows = BACK_FLOATS / score_stride(keys) / TILE_ROWS * TILE_ROWS;
    if (rows < TILE_ROWS) rows = TILE_ROWS;
    return rows < queries ? rows : queries;
}

static int64_t attention_back_scratch(int64_t queries, int64_t keys, int64_t width) {
    int64_t stride = score_stride(keys), padded = ego_panel_count(width) * EGO_PANEL;
    int64_t rows = back_rows(queries, keys);
    if (row_by_row(queries, keys)) return 2 * ((queries + 1) * keys + LANES);
    return 2 * stride * width + keys * padded + (2 * rows + 1) * stride + rows * padded +
           (rows > keys ? rows : keys) * padded;
}

/* Of one query, p = e^(S − max S) with sum `sum` and dp = dO vᵀ; then p = P ∘ F and dp = dS/√d. F: of
 * dropout, or NULL. */
static void softmax_back(int64_t n, float sum, float scale, const float *factor, float *p,
                         float *dp) {
    vec sums = {0}, inverse = splat(1.0f / sum);
    if (factor) multiply_row(n, factor, dp);
    for (int64_t j = 0; j < n; j += LANES)
        sums += load_part(p + j, part(n - j), 0) * load_part(dp + j, part(n - j), 0);
    vec mean = splat(sum_lanes(sums)) * inverse, scales = splat(scale);
    for (int64_t j = 0; j < n; j += LANES) {
        int64_t m = part(n - j);
        vec value = load_part(p + j, m, 0) * inverse;
        store_part(dp + j, value * (load_part(dp + j, m, 0) - mean) * scales, m);
        store_part(p + j, factor ? value * load_part(factor + j, m, 0) : value, m);
    }
}

/* Scores of query `row` of the segment and its dO vᵀ become p and dp as above. */
INLINE void query_back(const ego__head *h, int64_t keys, int64_t row, float *p, float *dp,
                       float *factor, bool room) {
    if (h->key_bias) add_key_bias(h, keys, p);
    float scale = 1.0f / sqrtf((float)h->width), sum = exp_row(keys, p, scale, p, room);
    bool drops = dropping(h->drop);
    if (drops)
        drop_factors(keys, h->drop, h->segment->q0 + row * h->segment->q_step, h->number * keys,
                     factor);
    softmax_back(keys, sum, scale, drops ? factor : NULL, p, dp);
}

/* ---- row by row ---------------------------------------------------------------------------------------- */

INLINE vec dot_lanes(const float *x, const float *y, int64_t width) {
    vec sum = {0};
    int64_t d = 0;
    for (; d + LANES <= width; d += LANES) sum += load(x + d) * load(y + d);
    if (d < width) sum += load_part(x + d, width - d, 0) * load_part(y + d, width - d, 0);
    return sum;
}

/* out[i * keys + j] = x_i · y_j; the lanes of LANES products are added up together. */
static void dots(const float *x, row_list xr, int64_t queries, const float *y, row_list yr,
                 int64_t keys, int64_t width, float *out) {
    int64_t i = 0, j = 0;
    for (int64_t done = 0, n = queries * keys; done < n; done += LANES) {
        vec sum[LANES];
        for (int64_t l = 0; l < LANES; l++) {
            bool there = i < queries;
            sum[l] = there ? dot_lanes(x + row_at(xr, i), y + row_at(yr, j), width) : (vec){0};
            if (++j == keys) i++, j = 0;
        }
        transpose(sum);
#pragma GCC unroll 4
        for (int half = LANES / 2; half > 0; half /= 2)
#pragma GCC unroll 8
            for (int l = 0; l < half; l++) sum[l] += sum[l + half];
        store_part(out + done, sum[0], part(n - done));
    }
}

/* Columns [d, d + vecs · LANES) of y_i += Σ_j w[i · w_row + j · w_step] x_j; of the last vector, `last`
 * lanes. */
INLINE void add_piece(const int vecs, int64_t last, float *y, int64_t m, const float *w,
                      int64_t w_step, const float *x, row_list xr) {
    vec sum[4];
#pragma GCC unroll 4
    for (int v = 0; v < vecs; v++)
        sum[v] = load_part(y + v * LANES, v < vecs - 1 ? LANES : last, 0);
    for (int64_t j = 0; j < m; j++) {
        const float *row = x + row_at(xr, j);
        vec weight = splat(w[j * w_step]);
#pragma GCC unroll 4
        for (int v = 0; v < vecs; v++)
            sum[v] += weight * load_part(row + v * LANES, v < vecs - 1 ? LANES : last, 0);
    }
#pragma GCC unroll 4
    for (int v = 0; v < vecs; v++) store_part(y + v * LANES, sum[v], v < vecs - 1 ? LANES : last);
}

/* y_i += Σ_j w[i · w_row + j · w_step] x_j for n rows y and m rows x. */
static void add_weighted(float *y, row_list yr, int64_t n, const float *w, int64_t w_row,
                         int64_t w_step, const float *x, row_list xr, int64_t m, int64_t width) {
    for (int64_t i = 0; i < n; i++, w += w_row) {
        float *to = y + row_at(yr, i);
        int64_t d = 0;
        for (; d + 4 * LANES <= width; d += 4 * LANES)
            add_piece(4, LANES, to + d, m, w, w_step, x + d, xr);
        for (; d + LANES <= width; d += LANES) add_piece(1, LANES, to + d, m, w, w_step, x + d, xr);
        if (d < width) add_piece(1, width - d, to + d, m, w, w_step, x + d, xr);
    }
}

static void back_by_rows(const ego__head_back *b, int64_t keys) {
    const ego__head *h = &b->head;
    const ego_segment *s = h->segment;
    int64_t n = s->nq, width = h->width;
    row_list q = query_rows(s, h->q_stride), k = key_rows(s, h->k_stride);
    row_list v = key_rows(s, h->v_stride), out = query_rows(s, h->out_stride);
    float *p = h->scratch, *dp = p + n * keys, *factor = dp + n * keys;
    dots(h->q, q, n, h->k, k, keys, width, p);
    dots(b->dout, out, n, h->v, v, keys, width, dp);
    for (int64_t i = 0; i < n; i++)
        query_back(h, keys, i, p + i * keys, dp + i * keys, factor, false);
    if (b->dv) add_weighted(b->dv, v, keys, p, 1, keys, b->dout, out, n, width);
    if (b->dk) add_weighted(b->dk, k, keys, dp, 1, keys, h->q, q, n, width);
    if (b->dq) add_weighted(b->dq, q, n, dp, keys, 1, h->k, k, keys, width);
}

/* ---- with panels --------------------------------------------------------------------------------------- */

/* Row i of y, for n rows, += row i of x, `stride` apart. */
static void add_rows(float *y, row_list r, int64_t n, int64_t width, const float *x,
                     int64_t stride) {
    for (int64_t i = 0; i < n; i++, x += stride) {
        float *to = y + row_at(r, i);
        for (int64_t d = 0; d < width; d += LANES) {
            int64_t m = part(width - d);
            store_part(to + d, load_part(to + d, m, 0) + load(x + d), m);
        }
    }
}

typedef struct panel_back {
    const ego__head_back *b;
    int64_t keys, stride, padded;
    float *across_k, *across_v, *along_k; /* panels */
    float *p, *dp, *factor;
    float *along_x; /* panels of queries or of dO */
    float *sum;     /* rows of a gradient before they are added to it */
} panel_back;

static panel_back panel_back_new(const ego__head_back *b, int64_t keys) {
    panel_back t = {b, keys, score_stride(keys), ego_panel_count(b->head.width) * EGO_PANEL};
    int64_t rows = back_rows(b->head.segment->nq, keys);
    t.across_k = b->head.scratch;
    t.across_v = t.across_k + t.stride * b->head.width;
    t.along_k = t.across_v + t.stride * b->head.width;
    t.p = t.along_k + keys * t.padded;
    t.dp = t.p + rows * t.stride;
    t.factor = t.dp + rows * t.stride;
    t.along_x = t.factor + t.stride;
    t.sum = t.along_x + rows * t.padded;
    return t;
}

/* to (rows, keys) = x_first …, their products with the rows behind `panels`. */
static void scores_of(const panel_back *t, const float *x, row_list r, int64_t first, int64_t rows,
                      const float *panels, float *to) {
    product(&(ego__product){.rows = rows,
                            .k = t->b->head.width,
                            .a = x + row_at(r, first),
                            .a_stride = r.step,
                            .panels = panels,
                            .c = to,
                            .c_stride = t->stride,
                            .last = t->stride});
}

/* y += wᵀ x: y are rows of keys or values, x of the queries from number `first` on. */
static void add_to_keys(const panel_back *t, float *y, row_list yr, const float *w, const float *x,
                        row_list xr, int64_t first, int64_t rows) {
    xr.first += first * xr.step;
    pack_along(x, xr, rows, t->b->head.width, t->along_x);
    product(&(ego__product){.rows = t->keys,
                            .k = rows,
                            .a = w,
                            .a_stride = t->stride,
                            .a_across = true,
                            .panels = t->along_x,
                            .c = t->sum,
                            .c_stride = t->padded,
                            .last = t->padded});
    add_rows(y, yr, t->keys, t->b->head.width, t->sum, t->padded);
}

static void add_to_queries(const panel_back *t, float *y, row_list yr, int64_t first,
                           int64_t rows) {
    yr.first += first * yr.step;
    product(&(ego__product){.rows = rows,
                            .k = t->keys,
                            .a = t->dp,
                            .a_stride = t->stride,
                            .panels = t->along_k,
                            .c = t->sum,
                            .c_stride = t->padded,
                            .last = t->padded});
    add_rows(y, yr, rows, t->b->head.width, t->sum, t->padded);
}

static void back_by_panels(const ego__head_back *b, int64_t keys) {
    panel_back t = panel_back_new(b, keys);
    const ego__head *h = &b->head;
    const ego_segment *s = h->segment;
    row_list q = query_rows(s, h->q_stride), k = key_rows(s, h->k_stride);
    row_list v = key_rows(s, h->v_stride), out = query_rows(s, h->out_stride);
    pack_across(h->k, k, keys, h->width, t.across_k);
    pack_across(h->v, v, keys, h->width, t.across_v);
    if (b->dq) pack_along(h->k, k, keys, h->width, t.along_k);
    for (int64_t first = 0, rows, most = back_rows(s->nq, keys); first < s->nq; first += rows) {
        rows = s->nq - first < most ? s->nq - first : most;
        scores_of(&t, h->q, q, first, rows, t.across_k, t.p);
        scores_of(&t, b->dout, out, first, rows, t.across_v, t.dp);
        for (int64_t i = 0; i < rows; i++)
            query_back(h, keys, first + i, t.p + i * t.stride, t.dp + i * t.stride, t.factor, true);
        if (b->dv) add_to_keys(&t, b->dv, v, t.p, b->dout, out, first, rows);
        if (b->dk) add_to_keys(&t, b->dk, k, t.dp, h->q, q, first, rows);
        if (b->dq) add_to_queries(&t, b->dq, q, first, rows);
    }
}

static void attention_back(const ego__head_back *b) {
    const ego_segment *s = b->head.segment;
    int64_t keys = s->nk + (s->extra >= 0);
    if (s->nq == 0 || keys == 0) return;
    if (row_by_row(s->nq, keys))
        back_by_rows(b, keys);
    else
        back_by_panels(b, keys);
}

#endif
