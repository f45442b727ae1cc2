#include "task/kts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    TILE = 32,          /* columns of the kernel computed together */
    LANES = 8,          /* of these in registers at a time */
    ROWS = 64,          /* rows of the kernel: one thread's work */
    FIRST_LENGTH = 198, /* the published program's limits: see kts.h */
    LATER_LENGTH = 199,
    MAX_SHOTS = 1 << 20 /* 60 days of 5 s each */
};

typedef struct work {
    const float *x; /* (n, D) */
    size_t n, D, most;
    const ego_kts_options *options;

    double *columns; /* (D, TILE): the tile's shots, element by element */
    double *tile;    /* (n, TILE): their products with the shots up to the tile's last */
    size_t from, to; /* the tile: shots [from, to) */

    double *norms;   /* n + 1: the sum of the first squared lengths */
    double *block;   /* n: the kernel's sum over [a, b] x [a, b], b the latest shot */
    float *sums;     /* reference: (n + 1)² prefix sums of the kernel both ways; else NULL */
    double *scatter; /* n: J(a, b + 1) for all a */
    double *least;   /* (most, n + 1): what segments [0, l) cost at least with k changes */
    uint32_t *last;  /* (most, n + 1): where the last of those segments starts */
} work;

static void release(work *w) {
    free(w->columns);
    free(w->tile);
    free(w->norms);
    free(w->block);
    free(w->sums);
    free(w->scatter);
    free(w->least);
    free(w->last);
}

static ego_err allocate(work *w) {
    size_t n = w->n, table = w->most * (n + 1); /* both far below SIZE_MAX / 8 */
    w->columns = malloc(w->D * TILE * sizeof *w->columns);
    w->tile = malloc(n * TILE * sizeof *w->tile);
    w->norms = malloc((n + 1) * sizeof *w->norms);
    w->block = malloc(n * sizeof *w->block);
    w->scatter = malloc(n * sizeof *w->scatter);
    w->least = malloc(table * sizeof *w->least);
    w->last = malloc(table * sizeof *w->last);
    if (w->options->reference) w->sums = calloc((n + 1) * (n + 1), sizeof *w->sums);
    if (w->columns && w->tile && w->norms && w->block && w->scatter && w->least && w->last &&
        (w->sums || !w->options->reference))
        return EGO_OK;
    return ego_fail(EGO_ENOMEM, "out of memory for segmenting %zu shots", n);
}

/* ---- the kernel ---------------------------------------------------------------------------------- */

/* Two rows of the kernel times LANES columns: every sum runs over the elements in order, whichever
 * thread has it. */
static void multiply(const work *w, size_t row, size_t lane) {
    const float *a = w->x + row * w->D, *b = row + 1 < w->n ? a + w->D : a;
    const double *c = w->columns + lane;
    double p[LANES] = {0}, q[LANES] = {0};
    for (size_t d = 0; d < w->D; d++, c += TILE) {
        double ad = (double)a[d], bd = (double)b[d];
        for (size_t j = 0; j < LANES; j++) p[j] += ad * c[j], q[j] += bd * c[j];
    }
    memcpy(w->tile + row * TILE + lane, p, sizeof p);
    if (row + 1 < w->n) memcpy(w->tile + (row + 1) * TILE + lane, q, sizeof q);
}

static void multiply_rows(void *context, size_t i, unsigned worker) {
    const work *w = context;
    (void)worker;
    size_t end = (i + 1) * ROWS < w->to ? (i + 1) * ROWS : w->to;
    for (size_t lane = 0; lane < w->to - w->from; lane += LANES)
        for (size_t row = i * ROWS; row < end; row += 2) multiply(w, row, lane);
}

/* Products of the shots from `from` on with every shot up to the tile's last. */
static void fill_tile(work *w, size_t from) {
    w->from = from;
    w->to = from + TILE < w->n ? from + TILE : w->n;
    for (size_t d = 0; d < w->D; d++)
        for (size_t j = 0; j < TILE; j++)
            w->columns[d * TILE + j] = from + j < w->to ? (double)w->x[(from + j) * w->D + d] : 0;
    ego_parallel(w->options->pool, (w->to + ROWS - 1) / ROWS, multiply_rows, w);
}

/* K(t, b), t ≤ b, b in the tile. */
static double kernel(const work *w, size_t t, size_t b) {
    return w->tile[t * TILE + (b - w->from)];
}

/* ---- scatters ------------------------------------------------------------------------------------ */

static void scatters(work *w, size_t b) {
    double square = kernel(w, b, b), cross = 0;
    w->norms[b + 1] = w->norms[b] + square;
    w->block[b] = 0;
    for (size_t a = b + 1; a-- > 0;) {
        w->block[a] += 2 * cross + square;
        w->scatter[a] = w->norms[b + 1] - w->norms[a] - w->block[a] / (double)(b + 1 - a);
        if (a > 0) cross += kernel(w, a - 1, b);
    }
}

/* The published program's sums: down the columns first, then along the rows, in float32. Here the
 * matrix is symmetric but the order of summing is not, so both of its triangles are needed; it is
 * kept whole. */
static void sum_reference(work *w) {
    size_t n = w->n, wide = n + 1;
    for (size_t from = 0; from < n; from = w->to) {
        fill_tile(w, from);
        for (size_t b = w->from; b < w->to; b++)
            for (size_t t = 0; t <= b; t++)
                w->sums[(t + 1) * wide + b + 1] = w->sums[(b + 1) * wide + t + 1] =
                    (float)kernel(w, t, b);
    }
    for (size_t t = 0; t < n; t++)
        w->norms[t + 1] = w->norms[t] + (double)w->sums[(t + 1) * wide + t + 1];
    for (size_t i = 2; i <= n; i++)
        for (size_t j = 1; j <= n; j++) w->sums[i * wide + j] += w->sums[(i - 1) * wide + j];
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 2; j <= n; j++) w->sums[i * wide + j] += w->sums[i * wide + j - 1];
}

static void scatters_reference(work *w, size_t b) {
    const float *s = w->sums;
    size_t wide = w->n + 1, e = b + 1;
    for (size_t a = 0; a <= b; a++) {
        double block = (double)s[e * wide + e] + (double)s[a * wide + a] - (double)s[e * wide + a] -
                       (double)s[a * wide + e];
        w->scatter[a] = w->norms[e] - w->norms[a] - block / (double)(e - a);
    }
}

/* ---- dynamic programming ------------------------------------------------------------------------- */

/* What [0, end) costs at least with k changes, for every k: all that is needed of shorter ones is
 * there. */
static void extend(work *w, size_t end) {
    size_t wide = w->n + 1;
    bool limited = w->options->reference;
    w->least[end] = limited && end > FIRST_LENGTH ? INFINITY : w->scatter[0];
    w->last[end] = 0;
    for (size_t k = 1; k < w->most; k++) {
        const double *before = w->least + (k - 1) * wide;
        double least = INFINITY;
        size_t at = k, first = k;
        if (limited && end > LATER_LENGTH && end - LATER_LENGTH > first) first = end - LATER_LENGTH;
        for (size_t t = first; t < end; t++) {
            double cost = before[t] + w->scatter[t];
            if (cost < least) least = cost, at = t;
        }
        w->least[k * wide + end] = least;
        w->last[k * wide + end] = (uint32_t)at;
    }
}

static void solve(work *w) {
    w->norms[0] = 0;
    for (size_t k = 0; k < w->most; k++) w->least[k * (w->n + 1)] = INFINITY;
    if (w->options->reference) sum_reference(w);
    w->to = 0;
    for (size_t b = 0; b < w->n; b++) {
        if (w->options->reference) {
            scatters_reference(w, b);
        } else {
            if (b == w->to) fill_tile(w, b);
            scatters(w, b);
        }
        extend(w, b + 1);
    }
}

/* ---- the answer ---------------------------------------------------------------------------------- */

static ego_err answer(const work *w, ego_kts *out) {
    size_t wide = w->n + 1, best = 0;
    double n = (double)w->n, penalty = w->options->penalty > 0 ? w->options->penalty : 1;
    *out = (ego_kts){.n_costs = w->most, .costs = malloc(w->most * sizeof *out->costs)};
    out->starts = malloc((w->most + 1) * sizeof *out->starts);
    if (!out->costs || !out->starts) {
        ego_kts_release(out);
        return ego_fail(EGO_ENOMEM, "out of memory for segmenting %zu shots", w->n);
    }
    for (size_t m = 0; m < w->most; m++) {
        double changes = (double)m;
        out->costs[m] = w->least[m * wide + w->n] / n;
        if (m > 0) out->costs[m] += penalty * changes / (2 * n) * (log(n / changes) + 1);
        if (out->costs[m] < out->costs[best]) best = m;
    }
    out->count = best + 1;
    out->starts[best + 1] = w->n;
    for (size_t k = best + 1; k-- > 0;) out->starts[k] = w->last[k * wide + out->starts[k + 1]];
    return EGO_OK;
}

void ego_kts_release(ego_kts *kts) {
    free(kts->starts);
    free(kts->costs);
    *kts = (ego_kts){0};
}

static ego_err check(const work *w) {
    size_t most_reference = FIRST_LENGTH + (EGO_KTS_SEGMENTS - 1) * LATER_LENGTH;
    if (w->n < 1 || w->n > MAX_SHOTS || w->D < 1)
        return ego_fail(EGO_EINPUT, "expected 1 to %d shots to segment, found %zu", MAX_SHOTS,
                        w->n);
    if (w->options->most > EGO_KTS_MAX_SEGMENTS)
        return ego_fail(EGO_EINPUT, "expected at most %d segments, found %zu", EGO_KTS_MAX_SEGMENTS,
                        w->options->most);
    if (w->options->reference && (w->n < EGO_KTS_SEGMENTS || w->n > most_reference))
        return ego_fail(EGO_EINPUT, "the published segmentation takes %d to %zu shots, found %zu",
                        EGO_KTS_SEGMENTS, most_reference, w->n);
    for (size_t t = 0; t < w->n; t++)
        for (size_t d = 0; d < w->D; d++)
            if (!isfinite(w->x[t * w->D + d]))
                return ego_fail(EGO_EINPUT, "the state of shot %zu is not finite", t);
    return EGO_OK;
}

ego_err ego_kts_segment(const float *x, size_t n, size_t D, const ego_kts_options *options,
                        ego_kts *out) {
    static const ego_kts_options defaults;
    work w = {.x = x, .n = n, .D = D, .options = options ? options : &defaults};
    w.most = w.options->most && !w.options->reference ? w.options->most : EGO_KTS_SEGMENTS;
    if (w.most > n) w.most = n;
    ego_err err;
    EGO_TRY_OUT(check(&w));
    EGO_TRY_OUT(allocate(&w));
    solve(&w);
    err = answer(&w, out);
out:
    release(&w);
    return err;
}
