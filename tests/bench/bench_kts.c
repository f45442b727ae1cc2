/* Kernel temporal segmentation of long videos: bench_kts [SHOTS [WIDTH [THREADS]]]; without
 * arguments 3 hours of 5-second shots at the full model's width. Says what it took, what it would
 * take to hold the kernel, and how much more memory the process had afterwards than before. */
#include "base/rng.h"
#include "task/kts.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static struct rusage usage(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u;
}

int main(int argc, char **argv) {
    size_t n = argc > 1 ? (size_t)atol(argv[1]) : 2160, D = argc > 2 ? (size_t)atol(argv[2]) : 768;
    unsigned threads = argc > 3 ? (unsigned)atoi(argv[3]) : 1;
    float *x = malloc(n * D * sizeof *x);
    ego_pool *pool = NULL;
    ego_kts kts = {0};
    if (!x || ego_pool_new(threads, &pool) != EGO_OK) return 1;
    for (size_t t = 0; t < n; t++) /* a scene every 150 shots */
        for (size_t d = 0; d < D; d++)
            x[t * D + d] =
                (float)(ego_rng_normal(1, t * D + d) * 0.2 + ego_rng_unit(2 + t / 150, d));
    struct rusage before = usage();
    double start = now();
    ego_err err = ego_kts_segment(x, n, D, &(ego_kts_options){.pool = pool}, &kts);
    double seconds = now() - start, cpu;
    struct rusage after = usage();
    cpu = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec) +
          1e-6 * (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec);
    if (err != EGO_OK) return fprintf(stderr, "%s\n", ego_err_message()), 1;
    double products = (double)n * (double)n * (double)D / 2,
           added = (double)n * (double)n / 2 * EGO_KTS_SEGMENTS;
    printf("%zu shots of width %zu, %u threads: %.2f s (%.2f s of processor), %zu segments\n", n, D,
           threads, seconds, cpu, kts.count);
    printf("%.3g multiply-adds, %.3g additions; %.2f thousand million multiply-adds a second of "
           "processor\n",
           products, added, products / cpu / 1e9);
    printf("%.1f MB more at its peak than before; the features %.1f MB, the kernel in double would "
           "be %.1f MB\n",
           (double)(after.ru_maxrss - before.ru_maxrss) / 1024, (double)(n * D) * 4e-6,
           (double)n * (double)n * 8e-6);
    ego_kts_release(&kts);
    ego_pool_free(pool);
    free(x);
    return 0;
}
