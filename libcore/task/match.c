#include "task/match.h"

#include "tensor/panel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Targets go by in blocks. In each, threads first score tiles of rows against every query (a tile
 * stays in cache while the queries' panels pass), then take panels of 16 queries each and enter the
 * scores into their heaps; a heap has one owner, so nothing needs merging. */
enum { TILE = 32, TILES = 64, BLOCK = TILE * TILES, STEP = 4 };

typedef struct heap { /* the best so far, the worst of them at hit[0] */
    ego_match_hit *hit;
    size_t n;
} heap;

typedef struct search {
    const ego_vector *targets;
    size_t dim, k, n_queries, n_panels;
    double min_score;
    float *panels;      /* unit queries in the layout of tensor/panel.h */
    float *scores;      /* (n_panels, BLOCK, 16) of the block at hand */
    float *inverse;     /* (BLOCK): 1 / length of each target; NaN for a bad one */
    float *tiles;       /* (threads, TILE, dim) */
    heap *heaps;        /* (n_queries) */
    size_t first, rows; /* the block at hand */
} search;

/* ---- scoring
 * ------------------------------------------------------------------------------------- */

/* Sixteen partial sums, whatever the width of the machine's vectors: one order of additions. */
static float square_sum(const float *x, size_t n) {
    float part[16] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t j = 0; j < 16; j++) part[j] += x[i + j] * x[i + j];
    for (size_t j = 0; i + j < n; j++) part[j] += x[i + j] * x[i + j];
    for (size_t width = 8; width > 0; width /= 2)
        for (size_t j = 0; j < width; j++) part[j] += part[j + width];
    return part[0];
}

/* The vector as float32 in aligned memory; returns 1 / max(length, 1e-8), NaN when it has no
 * length. */
static float load(const ego_vector *v, float *out, size_t dim) {
    if (v->dtype == EGO_F32) {
        memcpy(out, v->data, dim * sizeof *out);
    } else if ((uintptr_t)v->data % ego_dtype_bytes(v->dtype) == 0) {
        ego_to_f32(v->data, v->dtype, out, dim);
    } else { /* elements of at most 8 bytes, a few at a time through aligned memory */
        size_t bytes = ego_dtype_bytes(v->dtype);
        const unsigned char *from = v->data;
        for (size_t i = 0; i < dim; i++) {
            uint64_t element;
            memcpy(&element, from + i * bytes, bytes);
            ego_to_f32(&element, v->dtype, out + i, 1);
        }
    }
    float length = sqrtf(square_sum(out, dim));
    return isfinite(length) ? 1 / fmaxf(length, 1e-8f) : NAN;
}

/* STEP rows of a tile against one panel of queries. */
static void score_rows(const float *restrict rows, size_t dim, const float *restrict panel,
                       float *restrict out) {
    float sum[STEP][EGO_PANEL] = {{0}};
    for (size_t i = 0; i < dim; i++)
        for (size_t r = 0; r < STEP; r++)
            for (size_t j = 0; j < EGO_PANEL; j++)
                sum[r][j] += rows[r * dim + i] * panel[i * EGO_PANEL + j];
    memcpy(out, sum, sizeof sum);
}

static void score_tile(void *context, size_t index, unsigned worker) {
    search *s = context;
    size_t first = index * TILE, rows = s->rows - first < TILE ? s->rows - first : TILE;
    float *tile = s->tiles + (size_t)worker * TILE * s->dim;
    for (size_t r = 0; r < rows; r++)
        s->inverse[first + r] = load(&s->targets[s->first + first + r], tile + r * s->dim, s->dim);
    /* The rows behind the last one are whatever was there: computed with it, never looked at. */
    for (size_t p = 0; p < s->n_panels; p++) {
        float *out = s->scores + (p * BLOCK + first) * EGO_PANEL;
        for (size_t r = 0; r < rows; r += STEP)
            score_rows(tile + r * s->dim, s->dim, s->panels + p * EGO_PANEL * s->dim,
                       out + r * EGO_PANEL);
    }
}

/* ---- the best k
 * ---------------------------------------------------------------------------------- */

static bool worse(ego_match_hit a, ego_match_hit b) {
    return a.score < b.score || (a.score == b.score && a.target > b.target);
}

static void sink(heap *h, size_t i) {
    ego_match_hit moved = h->hit[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->n) break;
        if (child + 1 < h->n && worse(h->hit[child + 1], h->hit[child])) child++;
        if (!worse(h->hit[child], moved)) break;
        h->hit[i] = h->hit[child];
        i = child;
    }
    h->hit[i] = moved;
}

static void enter(heap *h, size_t k, ego_match_hit hit) {
    if (h->n == k) {
        h->hit[0] = hit;
        sink(h, 0);
        return;
    }
    size_t i = h->n++;
    for (; i > 0 && worse(hit, h->hit[(i - 1) / 2]); i = (i - 1) / 2)
        h->hit[i] = h->hit[(i - 1) / 2];
    h->hit[i] = hit;
}

/* The heap as a list, best first. */
static void unheap(heap h) {
    while (h.n > 1) {
        ego_match_hit last = h.hit[0];
        h.hit[0] = h.hit[--h.n];
        sink(&h, 0);
        h.hit[h.n] = last;
    }
}

static void rank_panel(void *context, size_t panel, unsigned worker) {
    search *s = context;
    (void)worker;
    heap *heaps = s->heaps + panel * EGO_PANEL;
    size_t left = s->n_queries - panel * EGO_PANEL, lanes = left < EGO_PANEL ? left : EGO_PANEL;
    const float *scores = s->scores + panel * BLOCK * EGO_PANEL;
    float bar[EGO_PANEL]; /* a score at or below it changes nothing; NaN is above nothing */
    for (size_t j = 0; j < lanes; j++)
        bar[j] = heaps[j].n == s->k ? heaps[j].hit[0].score : -INFINITY;
    for (size_t r = 0; r < s->rows; r++)
        for (size_t j = 0; j < lanes; j++) {
            float score = scores[r * EGO_PANEL + j] * s->inverse[r];
            if (!(score > bar[j]) || (double)score < s->min_score) continue;
            enter(&heaps[j], s->k, (ego_match_hit){s->first + r, score});
            if (heaps[j].n == s->k) bar[j] = heaps[j].hit[0].score;
        }
}

/* ---- the search
 * ---------------------------------------------------------------------------------- */

static ego_err allocate(search *s, ego_match_result *result, unsigned threads) {
    size_t heap_hits, panel_floats, score_floats, tile_floats;
    bool over = __builtin_mul_overflow(s->n_queries, s->k, &heap_hits) ||
                __builtin_mul_overflow(s->n_panels * EGO_PANEL, s->dim, &panel_floats) ||
                __builtin_mul_overflow(s->n_panels, (size_t)BLOCK * EGO_PANEL, &score_floats) ||
                __builtin_mul_overflow((size_t)threads * TILE, s->dim, &tile_floats);
    if (!over) {
        result->hits = calloc(heap_hits + 1, sizeof *result->hits);
        result->n_hits = calloc(s->n_queries + 1, sizeof *result->n_hits);
        result->bad_query = calloc(s->n_queries + 1, sizeof *result->bad_query);
        s->panels = calloc(panel_floats + 1, sizeof *s->panels);
        s->scores = calloc(score_floats + 1, sizeof *s->scores);
        s->tiles = calloc(tile_floats + 1, sizeof *s->tiles);
        s->inverse = calloc(BLOCK, sizeof *s->inverse);
        s->heaps = calloc(s->n_queries + 1, sizeof *s->heaps);
    }
    if (over || !result->hits || !result->n_hits || !result->bad_query || !s->panels ||
        !s->scores || !s->tiles || !s->inverse || !s->heaps)
        return ego_fail(EGO_ENOMEM, "out of memory for the %zu best targets of %zu queries", s->k,
                        s->n_queries);
    return EGO_OK;
}

/* Queries of unit length, 16 side by side; a bad one becomes zeros. */
static void pack_queries(search *s, const ego_vector *queries, ego_match_result *result) {
    float *unit = s->tiles;
    for (size_t q = 0; q < s->n_queries; q++) {
        float inverse = load(&queries[q], unit, s->dim);
        result->bad_query[q] = isnan(inverse);
        if (result->bad_query[q]) continue;
        float *panel = s->panels + q / EGO_PANEL * EGO_PANEL * s->dim + q % EGO_PANEL;
        for (size_t i = 0; i < s->dim; i++) panel[i * EGO_PANEL] = unit[i] * inverse;
    }
}

static void count_bad(const search *s, ego_match_result *result) {
    for (size_t r = 0; r < s->rows; r++)
        if (isnan(s->inverse[r]) && result->n_bad_targets++ == 0)
            result->first_bad_target = s->first + r;
}

ego_err ego_match(const ego_vector *queries, size_t n_queries, const ego_vector *targets,
                  size_t n_targets, size_t dim, const ego_match_options *options,
                  ego_match_result *result) {
    *result = (ego_match_result){.k = options->k < n_targets ? options->k : n_targets};
    if (dim == 0 || options->k == 0)
        return ego_fail(EGO_EINPUT, "expected vectors of at least one element and k of at least 1");
    search s = {.targets = targets,
                .dim = dim,
                .k = result->k,
                .n_queries = n_queries,
                .n_panels = (n_queries + EGO_PANEL - 1) / EGO_PANEL,
                .min_score = options->min_score};
    ego_err err;
    EGO_TRY_OUT(allocate(&s, result, ego_pool_threads(options->pool)));
    for (size_t q = 0; q < n_queries; q++) s.heaps[q].hit = result->hits + q * s.k;
    pack_queries(&s, queries, result);

    for (; s.first < n_targets; s.first += BLOCK) {
        s.rows = n_targets - s.first < BLOCK ? n_targets - s.first : BLOCK;
        ego_parallel(options->pool, (s.rows + TILE - 1) / TILE, score_tile, &s);
        ego_parallel(options->pool, s.n_panels, rank_panel, &s);
        count_bad(&s, result);
        if (!ego_progress_tell(options->progress, "targets", s.first + s.rows, n_targets))
            EGO_TRY_OUT(ego_fail(EGO_ECANCELLED, "search stopped"));
    }
    for (size_t q = 0; q < n_queries; q++) {
        result->n_hits[q] = result->bad_query[q] ? 0 : s.heaps[q].n;
        unheap(s.heaps[q]);
    }
out:
    free(s.panels);
    free(s.scores);
    free(s.tiles);
    free(s.inverse);
    free(s.heaps);
    if (err != EGO_OK) ego_match_release(result);
    return err;
}

void ego_match_release(ego_match_result *result) {
    free(result->hits);
    free(result->n_hits);
    free(result->bad_query);
    *result = (ego_match_result){0};
}
