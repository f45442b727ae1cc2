/* Exact search in memory: seconds and bytes of targets a second.
 *
 *     match [TARGETS [DIM [QUERIES [THREADS]]]]          1000000 256 100, a thread a core
 */
#include "task/match.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *random_rows(size_t n, size_t dim, uint64_t stream) {
    float *rows = malloc(n * dim * sizeof *rows);
    for (size_t i = 0; rows && i < n * dim; i++) rows[i] = (float)ego_rng_unit(stream, i) - 0.5f;
    return rows;
}

static ego_vector *vectors_of(const float *rows, size_t n, size_t dim) {
    ego_vector *vectors = malloc(n * sizeof *vectors);
    for (size_t i = 0; vectors && i < n; i++) vectors[i] = (ego_vector){rows + i * dim, EGO_F32};
    return vectors;
}

int main(int argc, char **argv) {
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    size_t dim = argc > 2 ? strtoul(argv[2], NULL, 10) : 256;
    size_t n_queries = argc > 3 ? strtoul(argv[3], NULL, 10) : 100;
    unsigned threads = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
    float *rows = random_rows(n, dim, 1), *query_rows = random_rows(n_queries, dim, 2);
    ego_vector *targets = vectors_of(rows, n, dim);
    ego_vector *queries = vectors_of(query_rows, n_queries, dim);
    ego_pool *pool;
    if (!rows || !query_rows || !targets || !queries || ego_pool_new(threads, &pool) != EGO_OK)
        return 1;

    ego_match_options options = {.k = 10, .min_score = -INFINITY, .pool = pool};
    double best = INFINITY;
    for (int round = 0; round < 3; round++) {
        ego_match_result found;
        double start = now();
        if (ego_match(queries, n_queries, targets, n, dim, &options, &found) != EGO_OK) return 1;
        best = fmin(best, now() - start);
        ego_match_release(&found);
    }
    printf("%zu x %zu targets, %zu queries, %u threads: %.3f s, %.2f GB/s, %.1f GFLOP/s\n", n, dim,
           n_queries, ego_pool_threads(pool), best, (double)(n * dim * 4) / best / 1e9,
           2.0 * (double)(n * dim * n_queries) / best / 1e9);
    ego_pool_free(pool);
    free(queries);
    free(targets);
    free(query_rows);
    free(rows);
    return 0;
}
