/* Seconds a step of pre-training: gradients of all three objectives and the update, on prepared clips.
 *
 *     bench_train [--clips N] [--tokens N] [--threads T] [--set KEY=VALUE] [--keep] [--repeat R] [--serve]
 *
 * N clips (2) and their N partners, each with a narration of so many tokens (15); layers are checkpointed, or
 * all activations kept (--keep). One JSON line a step. With --serve it makes one step to warm up, and then answers
 * each line on stdin with a step: for turns taken with somebody else's program (side_by_side_train.py).
 */
#include "base/rng.h"
#include "model/trainable.h"
#include "recipe/groups.h"
#include "recipe/step.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int fail(void) { return fprintf(stderr, "bench_train: %s\n", ego_err_message()), 1; }

typedef struct bench {
    ego_pool *pool;
    ego_backend *backend;
    ego_model *model;
    ego_step *step;
    ego_trained *params;
    ego_optim optim;
    ego_step_sample *samples;
    float *pixels;
    int64_t *tokens, length, t;
} bench;

static ego_err prepare(bench *b) {
    const ego_config *c = &b->model->config;
    int64_t n = ego_step_local(b->step), floats = c->frames * 3 * c->image_size * c->image_size;
    b->samples = calloc((size_t)n, sizeof *b->samples);
    b->pixels = malloc((size_t)(n * floats) * sizeof *b->pixels);
    b->tokens = malloc((size_t)(n * b->length) * sizeof *b->tokens);
    if (!b->samples || !b->pixels || !b->tokens) return ego_fail(EGO_ENOMEM, "out of memory");
    for (int64_t i = 0; i < n * floats; i++) b->pixels[i] = (float)(4 * ego_rng_unit(1, (uint64_t)i) - 2);
    for (int64_t i = 0; i < n * b->length; i++)
        b->tokens[i] = 4 + ego_rng_below(2, (uint64_t)i, (uint32_t)c->vocab - 5);
    for (int64_t i = 0; i < n; i++)
        b->samples[i] = (ego_step_sample){.pixels = b->pixels + i * floats,
                                          .tokens = b->tokens + i * b->length,
                                          .n_tokens = b->length,
                                          .stream = ego_rng_stream(3, (uint64_t)i)};
    return EGO_OK;
}

static ego_err one_step(bench *b) {
    ego_step_losses losses;
    struct rusage usage;
    double start = now();
    ego_optim_zero_grads(&b->optim);
    ego_model_changed(b->model, b->backend);
    EGO_TRY(ego_step_run(b->step, b->samples, (uint64_t)b->t++, true, &losses));
    EGO_TRY(ego_optim_update(&b->optim, 1e-6));
    double seconds = now() - start;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"seconds_per_step\":%.3f,\"peak_rss_gib\":%.2f,\"egonce\":%.4f,\"mlm\":%.4f,\"vtm\":%.4f}\n", seconds,
           (double)usage.ru_maxrss / (1 << 20), losses.egonce, losses.mlm, losses.vtm);
    return fflush(stdout) == 0 ? EGO_OK : ego_fail(EGO_EIO, "stdout");
}

static ego_err run(bench *b, int rounds, bool serving) {
    char line[64];
    for (int i = 0; i < rounds; i++) EGO_TRY(one_step(b));
    while (serving && fgets(line, sizeof line, stdin)) EGO_TRY(one_step(b));
    return EGO_OK;
}

static ego_err open_bench(bench *b, const ego_config *config, int threads, int64_t clips, bool keep) {
    ego_step_options o = {.objectives = {.egonce = 1, .mlm = 1, .vtm = 2, .temperature = 0.05, .dropout = 0.1f,
                                         .negatives = {.hard = true, .temperature = 0.05}},
                          .rows = clips, .accumulate = 1, .partners = 1, .checkpoint_layers = !keep};
    ego_adamw adamw = ego_adamw_default();
    size_t count;
    EGO_TRY(ego_pool_new((unsigned)threads, &b->pool));
    EGO_TRY(ego_cpu_backend_new(b->pool, &b->backend));
    EGO_TRY(ego_model_create(config, EGO_START_GOLDEN, 0, b->pool, &b->model));
    EGO_TRY(ego_model_make_trainable(b->model, b->backend));
    EGO_TRY(ego_trained_list(b->model, 1, 4, 4, &b->params, &count));
    EGO_TRY(ego_optim_init(&b->optim, &adamw, b->params, count, b->pool));
    EGO_TRY(ego_step_new(b->model, b->backend, &o, &b->step));
    return prepare(b);
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"clips", 1, NULL, 'c'},   {"tokens", 1, NULL, 'n'},
                                            {"threads", 1, NULL, 't'}, {"set", 1, NULL, 's'},
                                            {"keep", 0, NULL, 'k'},    {"repeat", 1, NULL, 'r'},
                                            {"serve", 0, NULL, 'S'},   {0}};
    bench b = {.length = 15};
    int threads = 0, clips = 2, rounds = 3;
    bool serving = false, keep = false;
    ego_config config = ego_config_default();
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'c': clips = atoi(optarg); break;
        case 'n': b.length = atoi(optarg); break;
        case 't': threads = atoi(optarg); break;
        case 'k': keep = true; break;
        case 'r': rounds = atoi(optarg); break;
        case 'S': serving = true; break;
        case 's':
            if (ego_config_override(&config, optarg) != EGO_OK) return fail();
            break;
        default: return 2;
        }
    }
    if (clips < 1 || b.length < 1 || rounds < 1) return 2;
    if (open_bench(&b, &config, threads, clips, keep) != EGO_OK || run(&b, serving ? 1 : rounds, serving) != EGO_OK)
        return fail();
    ego_step_free(b.step);
    ego_optim_release(&b.optim);
    ego_model_close(b.model, b.backend);
    ego_backend_free(b.backend);
    ego_pool_free(b.pool);
    free(b.params);
    free(b.samples);
    free(b.pixels);
    free(b.tokens);
    return 0;
}
