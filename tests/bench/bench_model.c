/* Seconds a clip: the whole dual encoder on prepared clips, as ego-embed runs it.
 *
 *     bench_model [--clips N] [--frames F] [--batch B] [--what video|text|both] [--threads T]
 *                 [--set KEY=VALUE] [--repeat R]
 *
 * One JSON line: the median over R rounds of N clips each. Weights follow the golden formula; making and
 * packing them is not timed. A narration has 12 tokens.
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

static ego_err measure(ego_ctx *cx, ego_model *m, const char *what, int clips, int batch, int rounds,
                       double *median) {
    const ego_config *c = &m->config;
    size_t floats = (size_t)(c->frames * 3 * c->image_size * c->image_size);
    float *pixels = malloc(floats * (size_t)batch * sizeof *pixels);
    int64_t ids[TOKENS];
    ego_embed_item items[64];
    double seconds[MAX_ROUNDS];
    if (!pixels) return ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < floats * (size_t)batch; i++)
        pixels[i] = (float)(2 * (2 * ego_rng_unit(ego_fnv1a("input.video"), i) - 1));
    for (int t = 0; t < TOKENS; t++) ids[t] = (int64_t)ego_rng_below(7, (uint64_t)t, (uint32_t)c->vocab);
    ego_embed_options options = {EGO_LAYER_PROJECTED, true, false};
    ego_err err = EGO_OK;
    for (int round = -1; round < rounds && err == EGO_OK; round++) { /* the first packs the weights */
        double start = now();
        for (int done = 0; done < clips && err == EGO_OK; done += batch) {
            int n = clips - done < batch ? clips - done : batch;
            for (int i = 0; i < n; i++)
                items[i] = (ego_embed_item){
                    .clip = strcmp(what, "text") ? pixels + (size_t)i * floats : NULL,
                    .tokens = strcmp(what, "video") ? ids : NULL,
                    .n_tokens = TOKENS};
            err = ego_embed(cx, m, &options, items, (size_t)n);
            for (int i = 0; err == EGO_OK && i < n; i++) ego_embed_item_release(&items[i]);
        }
        if (round >= 0) seconds[round] = (now() - start) / clips;
    }
    free(pixels);
    qsort(seconds, (size_t)rounds, sizeof *seconds, ascending);
    *median = seconds[rounds / 2];
    return err;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"clips", 1, NULL, 'c'}, {"frames", 1, NULL, 'f'},
                                            {"batch", 1, NULL, 'b'}, {"what", 1, NULL, 'w'},
                                            {"threads", 1, NULL, 't'}, {"set", 1, NULL, 's'},
                                            {"repeat", 1, NULL, 'r'}, {0}};
    int clips = 4, batch = 1, rounds = 5, threads = 0;
    const char *what = "video";
    ego_config config = ego_config_default();
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        char *equals;
        switch (o) {
        case 'c': clips = atoi(optarg); break;
        case 'f': config.frames = atoi(optarg); break;
        case 'b': batch = atoi(optarg); break;
        case 'w': what = optarg; break;
        case 't': threads = atoi(optarg); break;
        case 'r': rounds = atoi(optarg); break;
        case 's':
            if (!(equals = strchr(optarg, '='))) return 2;
            *equals = 0;
            if (ego_config_set(&config, optarg, equals + 1) != EGO_OK) return fail();
            break;
        default: return 2;
        }
    }
    if (clips < 1 || batch < 1 || batch > 64 || rounds < 1 || rounds > MAX_ROUNDS) return 2;
    ego_pool *pool;
    ego_backend *backend;
    ego_model *model;
    ego_ctx cx;
    double median;
    if (ego_pool_new((unsigned)threads, &pool) != EGO_OK || ego_cpu_backend_new(pool, &backend) != EGO_OK ||
        ego_model_create(&config, EGO_START_GOLDEN, 0, pool, &model) != EGO_OK)
        return fail();
    ego_ctx_init(&cx, backend);
    if (measure(&cx, model, what, clips, batch, rounds, &median) != EGO_OK) return fail();
    printf("{\"what\":\"%s\",\"backend\":\"%s\",\"threads\":%u,\"frames\":%lld,\"batch\":%d,\"clips\":%d,"
           "\"seconds_per_clip\":%.6f}\n",
           what, backend->name, ego_pool_threads(pool), (long long)config.frames, batch, clips, median);
    ego_ctx_release(&cx);
    ego_model_close(model, backend);
    ego_backend_free(backend);
    ego_pool_free(pool);
    return 0;
}
