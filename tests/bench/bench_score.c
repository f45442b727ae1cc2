/* What scoring costs: EK-100 MIR at its size, the assignment, resampling.
 *
 *     bench_score [VIDEOS [SENTENCES]]          3000 9600
 */
#include "base/rng.h"
#include "score/assign.h"
#include "score/bootstrap.h"
#include "score/mir.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Seconds of this thread's own: nothing here waits, and machines are shared. */
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Rows of float32 similarities and of relevancies of which one in 64 is above 0, as drawn on the way. */
static int mir(size_t rows, size_t n) {
    ego_mir scratch;
    double *sims = malloc(n * sizeof *sims), *rel = malloc(n * sizeof *rel), seconds = 0, sum = 0;
    if (!sims || !rel || ego_mir_init(&scratch, n) != EGO_OK) return 1;
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < n; k++) {
            uint64_t bits = ego_rng_u64(i, k);
            sims[k] = (float)(bits >> 40) * 0x1p-24f;
            rel[k] = bits % 64 ? 0 : (double)(1 + bits / 64 % 4) / 4;
        }
        double start = now();
        ego_mir_query q = ego_mir_score(&scratch, sims, rel, n);
        seconds += now() - start;
        sum += q.ndcg;
    }
    printf("MIR, %zu rows of %zu: %.2f s, %.1f million candidates a second (nDCG %.3f)\n", rows, n,
           seconds, (double)(rows * n) / seconds / 1e6, sum / (double)rows);
    ego_mir_release(&scratch);
    free(sims);
    free(rel);
    return 0;
}

static int assignment(size_t n) {
    double *weight = malloc(n * n * sizeof *weight), total;
    if (!weight) return 1;
    for (size_t i = 0; i < n * n; i++) weight[i] = ego_rng_unit(n, i);
    double start = now();
    if (ego_assign(weight, n, n, &total, NULL) != EGO_OK) return 1;
    printf("assignment, %zu x %zu: %.2f ms\n", n, n, 1e3 * (now() - start));
    free(weight);
    return 0;
}

static int resampling(size_t units, size_t metrics) {
    ego_tally tally;
    ego_interval *intervals = malloc(metrics * sizeof *intervals);
    ego_bootstrap plan = {.resamples = 200, .level = 0.95, .seed = 1};
    if (!intervals || ego_tally_init(&tally, units, metrics) != EGO_OK) return 1;
    for (size_t m = 0; m < metrics; m++) {
        for (size_t i = 0; i < units; i++)
            ego_tally_column(&tally, m)[i] = ego_rng_unit(m, i) < 0.5;
        if (ego_tally_add(&tally, EGO_METRIC_MEAN, m, 0, NULL, "m") != EGO_OK) return 1;
    }
    for (size_t i = 0; i < units; i++) tally.present[i] = true;
    double start = now();
    if (ego_bootstrap_run(&plan, &tally, NULL, NULL, intervals) != EGO_OK) return 1;
    printf("resampling, %zu units, %zu metrics: %.2f ms a resample\n", units, metrics,
           1e3 * (now() - start) / (double)plan.resamples);
    ego_tally_release(&tally);
    free(intervals);
    return 0;
}

int main(int argc, char **argv) {
    size_t videos = argc > 1 ? strtoul(argv[1], NULL, 10) : 3000;
    size_t sentences = argc > 2 ? strtoul(argv[2], NULL, 10) : 9600;
    int bad = mir(videos, sentences) + mir(sentences, videos);
    bad += assignment(50) + assignment(200) + assignment(1000);
    bad += resampling(3874, 10) + resampling(30000, 18);
    return bad != 0;
}
