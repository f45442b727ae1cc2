/* Seconds a clip: the whole dual encoder on prepared clips, as ego-embed runs it.
 *
 *     bench_model [--clips N] [--frames F] [--batch B] [--what video|text|both] [--threads T]
 *                 [--set KEY=VALUE] [--repeat R] [--serve]
 *
 * One JSON line: the median over R rounds of N clips each. Weights follow the golden formula; making and
 * packing them is not timed. A narration has 12 tokens. With --serve it prepares once, and then answers
 * each line on stdin with such a line: for turns taken with somebody else's program.
 */
#include "base/hash.h"
#include "base/rng.h"
#include "task/embed.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TOKENS = 12, MAX_ROUNDS = 64 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int fail(void) { return fprintf(stderr, "bench_model: %s\n", ego_err_message()), 1; }

typedef struct bench {
    ego_ctx cx;
    ego_model *model;
    ego_pool *pool;
    const char *what;
    int clips, batch, rounds;
    float *pixels; /* of one batch */
    int64_t ids[TOKENS];
} bench;

static ego_err prepare(bench *b) {
    const ego_config *c = &b->model->config;
    size_t floats = (size_t)(b->batch * c->frames * 3 * c->image_size * c->image_size);
    if (!(b->pixels = malloc(floats * sizeof *b->pixels))) return ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < floats; i++)
        b->pixels[i] = (float)(2 * (2 * ego_rng_unit(ego_fnv1a("input.video"), i) - 1));
    for (int t = 0; t < TOKENS; t++)
        b->ids[t] = (int64_t)ego_rng_below(7, (uint64_t)t, (uint32_t)c->vocab);
    return EGO_OK;
}

static ego_err run_clips(bench *b, double *seconds_per_clip) {
    static const ego_embed_options options = {EGO_LAYER_PROJECTED, true, false};
    const ego_config *c = &b->model->config;
    size_t floats = (size_t)(c->frames * 3 * c->image_size * c->image_size);
    ego_embed_item items[64];
    double start = now();
    for (int done = 0; done < b->clips; done += b->batch) {
        int n = b->clips - done < b->batch ? b->clips - done : b->batch;
        for (int i = 0; i < n; i++)
            items[i] = (ego_embed_item){
                .clip = strcmp(b->what, "text") ? b->pixels + (size_t)i * floats : NULL,
                .tokens = strcmp(b->what, "video") ? b->ids : NULL,
                .n_tokens = TOKENS};
        EGO_TRY(ego_embed(&b->cx, b->model, &options, items, (size_t)n));
        for (int i = 0; i < n; i++) ego_embed_item_release(&items[i]);
    }
    *seconds_per_clip = (now() - start) / b->clips;
    return EGO_OK;
}

static ego_err measure(bench *b) {
    double seconds[MAX_ROUNDS];
    for (int round = 0; round < b->rounds; round++) EGO_TRY(run_clips(b, &seconds[round]));
    qsort(seconds, (size_t)b->rounds, sizeof *seconds, ascending);
    printf("{\"what\":\"%s\",\"threads\":%u,\"frames\":%lld,\"batch\":%d,\"clips\":%d,"
           "\"seconds_per_clip\":%.6f}\n",
           b->what, ego_pool_threads(b->pool), (long long)b->model->config.frames, b->batch, b->clips,
           seconds[b->rounds / 2]);
    return fflush(stdout) == 0 ? EGO_OK : ego_fail(EGO_EIO, "stdout");
}

static ego_err serve(bench *b) {
    char line[64];
    printf("{\"ready\":true}\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) EGO_TRY(measure(b));
    return EGO_OK;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"clips", 1, NULL, 'c'},   {"frames", 1, NULL, 'f'}, {"batch", 1, NULL, 'b'},
        {"what", 1, NULL, 'w'},    {"threads", 1, NULL, 't'}, {"set", 1, NULL, 's'},
        {"repeat", 1, NULL, 'r'},  {"serve", 0, NULL, 'S'},  {0}};
    bench b = {.what = "video", .clips = 4, .batch = 1, .rounds = 5};
    int threads = 0;
    bool serving = false;
    ego_config config = ego_config_default();
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'c': b.clips = atoi(optarg); break;
        case 'f': config.frames = atoi(optarg); break;
        case 'b': b.batch = atoi(optarg); break;
        case 'w': b.what = optarg; break;
        case 't': threads = atoi(optarg); break;
        case 'r': b.rounds = atoi(optarg); break;
        case 'S': serving = true; break;
        case 's':
            if (ego_config_override(&config, optarg) != EGO_OK) return fail();
            break;
        default: return 2;
        }
    }
    if (b.clips < 1 || b.batch < 1 || b.batch > 64 || b.rounds < 1 || b.rounds > MAX_ROUNDS) return 2;
    ego_backend *backend;
    double warm;
    if (ego_pool_new((unsigned)threads, &b.pool) != EGO_OK ||
        ego_cpu_backend_new(b.pool, &backend) != EGO_OK ||
        ego_model_create(&config, EGO_START_GOLDEN, 0, b.pool, &b.model) != EGO_OK)
        return fail();
    ego_ctx_init(&b.cx, backend);
    if (prepare(&b) != EGO_OK || run_clips(&b, &warm) != EGO_OK) return fail(); /* packs the weights */
    if ((serving ? serve(&b) : measure(&b)) != EGO_OK) return fail();
    free(b.pixels);
    ego_ctx_release(&b.cx);
    ego_model_close(b.model, backend);
    ego_backend_free(backend);
    ego_pool_free(b.pool);
    return 0;
}
