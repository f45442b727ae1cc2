#include "task/match.h"

#include "tensor/backend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Targets go by in blocks that stay in cache. Of each, threads first bring the rows together as aligned
 * float32; one product scores them against all queries, which stand where a layer's weights would;
 * then threads take queries, sixteen at a time, and enter their scores into heaps. A heap has one owner,
 * so nothing needs merging and ties fall the same way for any number of threads. */
enum { BLOCK = 2048, GATHER = 64, LANES = 16 };

typedef struct heap { /* the best so far, the worst of them at hit[0] */
    ego_match_hit *hit;
    size_t n;
} heap;

typedef struct search {
    const ego_vector *targets;
    size_t dim, k, n_queries;
    double min_score;
    ego_arena memory;    /* of the arrays below */
    float *rows;         /* (BLOCK, dim) */
    float *inverse;      /* (BLOCK): 1 / length of each row; NaN for a bad one */
    heap *heaps;         /* (n_queries) */
    ego_param weight;    /* queries of unit length (n_queries, dim) */
    const float *scores; /* (n, n_queries) of the block at hand, not yet divided by the lengths */
    size_t first, n;     /* the block: targets [first, first + n) */
} search;

/* ---- scoring
 * ------------------------------------------------------------------------------------- */

/* Eight partial sums: wide enough for any machine's vectors, and one order of additions on all. */
static float square_sum(const float *x, size_t n) {
    float part[8] = {0}, rest = 0;
    size_t whole = n / 8 * 8;
    for (size_t i = 0; i < whole; i += 8)
        for (size_t j = 0; j < 8; j++) part[j] += x[i + j] * x[i + j];
    for (size_t i = whole; i < n; i++) rest += x[i] * x[i];
    return rest + (((part[0] + part[4]) + (part[2] + part[6])) +
                   ((part[1] + part[5]) + (part[3] + part[7])));
}

/* The vector as float32 in aligned memory; returns 1 / max(length, 1e-8), NaN when it has no
 * length. */
static float load(const ego_vector *v, float *out, size_t dim) {
    if (!v->data) return NAN;
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

static void gather_rows(void *context, size_t index, unsigned worker) {
    search *s = context;
    (void)worker;
    size_t first = index * GATHER, end = s->n - first < GATHER ? s->n : first + GATHER;
    for (size_t r = first; r < end; r++)
        s->inverse[r] = load(&s->targets[s->first + r], s->rows + r * s->dim, s->dim);
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

static void rank_queries(void *context, size_t index, unsigned worker) {
    search *s = context;
    (void)worker;
    size_t q = index * LANES, lanes = s->n_queries - q < LANES ? s->n_queries - q : LANES;
    heap *heaps = s->heaps + q;
    float bar[LANES]; /* a score at or below it changes nothing; NaN is above nothing */
    for (size_t j = 0; j < lanes; j++)
        bar[j] = heaps[j].n == s->k ? heaps[j].hit[0].score : -INFINITY;
    for (size_t r = 0; r < s->n; r++) {
        const float *scores = s->scores + r * s->n_queries + q;
        for (size_t j = 0; j < lanes; j++) {
            float score = scores[j] * s->inverse[r];
            if (!(score > bar[j]) || (double)score < s->min_score) continue;
            enter(&heaps[j], s->k, (ego_match_hit){s->first + r, score});
            if (heaps[j].n == s->k) bar[j] = heaps[j].hit[0].score;
        }
    }
}

/* ---- the search ---------------------------------------------------------------------------------- */

static ego_err allocate(search *s, ego_match_result *result) {
    size_t hits, floats;
    bool over = __builtin_mul_overflow(s->n_queries, s->k, &hits) || hits > SIZE_MAX / 32 ||
                __builtin_mul_overflow(s->n_queries + BLOCK, s->dim, &floats) ||
                floats > SIZE_MAX / 8;
    if (!over) {
        result->hits = malloc((hits + 1) * sizeof *result->hits);
        result->n_hits = calloc(s->n_queries + 1, sizeof *result->n_hits);
        result->bad_query = calloc(s->n_queries + 1, sizeof *result->bad_query);
        s->rows = ego_arena_alloc(&s->memory, BLOCK * s->dim * sizeof *s->rows);
        s->inverse = ego_arena_alloc(&s->memory, BLOCK * sizeof *s->inverse);
        s->heaps = ego_arena_alloc(&s->memory, s->n_queries * sizeof *s->heaps);
        s->weight.value.data = ego_arena_alloc(&s->memory, s->n_queries * s->dim * sizeof(float));
    }
    if (over || s->memory.failed || !result->hits || !result->n_hits || !result->bad_query)
        return ego_fail(EGO_ENOMEM, "out of memory for the %zu best targets of %zu queries", s->k,
                        s->n_queries);
    return EGO_OK;
}

/* A bad query becomes zeros. */
static void prepare_queries(search *s, const ego_vector *queries, ego_match_result *result) {
    float *unit = s->weight.value.data;
    for (size_t q = 0; q < s->n_queries; q++, unit += s->dim) {
        float inverse = load(&queries[q], unit, s->dim);
        result->bad_query[q] = isnan(inverse);
        for (size_t i = 0; i < s->dim; i++) unit[i] = isnan(inverse) ? 0 : unit[i] * inverse;
        s->heaps[q] = (heap){result->hits + q * s->k, 0};
    }
    s->weight.name = "queries";
    s->weight.value.dtype = EGO_F32;
    s->weight.value.ndim = 2;
    s->weight.value.shape[0] = (int64_t)s->n_queries;
    s->weight.value.shape[1] = (int64_t)s->dim;
}

static void count_bad(const search *s, ego_match_result *result) {
    for (size_t r = 0; r < s->n; r++)
        if (isnan(s->inverse[r]) && s->targets[s->first + r].data && result->n_bad_targets++ == 0)
            result->first_bad_target = s->first + r;
}

static ego_err search_block(search *s, ego_ctx *cx, const ego_match_options *options) {
    ego_tensor rows = {s->rows, EGO_F32, 2, {(int64_t)s->n, (int64_t)s->dim}};
    ego_parallel(options->pool, (s->n + GATHER - 1) / GATHER, gather_rows, s);
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_tensor *scores = ego_linear(cx, &rows, &s->weight, NULL, EGO_ACT_NONE, NULL);
    EGO_TRY(ego_ctx_err(cx));
    s->scores = ego_f32(scores);
    ego_parallel(options->pool, (s->n_queries + LANES - 1) / LANES, rank_queries, s);
    ego_ctx_rewind(cx, &mark);
    return EGO_OK;
}

static ego_err search_all(search *s, size_t n_targets, const ego_match_options *options,
                          ego_match_result *result) {
    ego_backend *backend;
    ego_ctx cx;
    EGO_TRY(ego_cpu_backend_new(options->pool, &backend));
    ego_ctx_init(&cx, backend);
    ego_err err = EGO_OK;
    for (; err == EGO_OK && s->first < n_targets; s->first += BLOCK) {
        s->n = n_targets - s->first < BLOCK ? n_targets - s->first : BLOCK;
        err = search_block(s, &cx, options);
        count_bad(s, result);
        if (err == EGO_OK &&
            !ego_progress_tell(options->progress, "targets", s->first + s->n, n_targets))
            err = ego_fail(EGO_ECANCELLED, "search stopped");
    }
    backend->forget(backend, &s->weight);
    ego_ctx_release(&cx);
    ego_backend_free(backend);
    return err;
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
                .min_score = options->min_score};
    ego_arena_init(&s.memory, 0);
    ego_err err = allocate(&s, result);
    if (err == EGO_OK) {
        prepare_queries(&s, queries, result);
        if (n_queries > 0) err = search_all(&s, n_targets, options, result);
    }
    for (size_t q = 0; err == EGO_OK && q < n_queries; q++) {
        result->n_hits[q] = result->bad_query[q] ? 0 : s.heaps[q].n;
        unheap(s.heaps[q]);
    }
    ego_arena_release(&s.memory);
    if (err != EGO_OK) ego_match_release(result);
    return err;
}

void ego_match_release(ego_match_result *result) {
    free(result->hits);
    free(result->n_hits);
    free(result->bad_query);
    *result = (ego_match_result){0};
}
