/* Seconds a question: the fused path from pixels for each, beside its lower halves once a clip
 * and once a question and the upper half a pair, as ego-qa does it. In turns, the median of
 * each.
 *
 *     bench_qa [--questions N] [--frames F] [--threads T] [--rounds R] [--set KEY=VALUE]...
 *
 * One JSON line. One clip, N questions of 12 tokens; weights follow the golden formula and are
 * packed before. And the other head: seconds to look at an interval's twenty windows ("look"), and for
 * a question with them before it ("moments").
 */
#include "base/rng.h"
#include "model/egovlp.h"
#include "model/heads.h"
#include "task/qa_moments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TOKENS = 12, MAX_ROUNDS = 64, MAX_QUESTIONS = 256 };

typedef struct bench {
    ego_ctx cx;
    ego_model *model;
    ego_head *moments;
    float *windows; /* (W, P) */
    ego_tensor clip;
    int64_t ids[MAX_QUESTIONS][TOKENS];
    int questions;
} bench;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static const int64_t offsets[2] = {0, TOKENS};

/* Each question with the clip, from the start; the sum of the states is what is compared. */
static double whole(bench *b) {
    double sum = 0;
    for (int q = 0; q < b->questions; q++) {
        ego_ctx_mark mark = ego_ctx_save(&b->cx);
        ego_input in = {
            .clips = &b->clip, .texts = {b->ids[q], {1, offsets}}, .video = EGO_WANT_CLASS};
        ego_tensor *x = (ego_tensor *)(uintptr_t)ego_encode(&b->cx, b->model, &in, EGO_FUSED).video;
        for (int64_t i = 0; x && i < b->model->config.dim; i++) sum += (double)ego_f32(x)[i];
        ego_ctx_rewind(&b->cx, &mark);
    }
    return sum;
}

static double halves(bench *b) {
    double sum = 0;
    ego_ctx_mark mark = ego_ctx_save(&b->cx);
    ego_tensor *video = ego_fused_begin_video(&b->cx, b->model, &b->clip);
    for (int q = 0; q < b->questions; q++) {
        ego_ctx_mark pair = ego_ctx_save(&b->cx);
        ego_text_shape shape = {1, offsets};
        ego_tensor *text = ego_fused_begin_text(&b->cx, b->model, (ego_texts){b->ids[q], shape});
        const ego_tensor *x =
            ego_fused_finish(&b->cx, b->model, video, text, shape, EGO_WANT_CLASS, EGO_WANT_NOTHING)
                .video;
        for (int64_t i = 0; x && i < b->model->config.dim; i++) sum += (double)ego_f32(x)[i];
        ego_ctx_rewind(&b->cx, &pair);
    }
    ego_ctx_rewind(&b->cx, &mark);
    return sum;
}

/* An interval's windows, one after the other, as ego-qa reads them. */
static double look(bench *b) {
    double sum = 0;
    for (int64_t w = 0; w < b->moments->config.qa_moments.windows; w++) {
        ego_ctx_mark mark = ego_ctx_save(&b->cx);
        ego_input in = {.clips = &b->clip, .video = EGO_WANT_CLASS};
        const ego_tensor *x = ego_encode(&b->cx, b->model, &in, EGO_DUAL).video;
        x = ego_l2_normalize(&b->cx, ego_project_video(&b->cx, &b->model->config, b->model->params, x));
        int64_t P = b->moments->config.qa_moments.width;
        if (x) memcpy(b->windows + w * P, x->data, (size_t)P * sizeof(float)), sum += (double)b->windows[w * P];
        ego_ctx_rewind(&b->cx, &mark);
    }
    return sum;
}

static double moments(bench *b) {
    const ego_qa_moments_config *c = &b->moments->config.qa_moments;
    ego_tensor windows = {b->windows, EGO_F32, 2, {c->windows, c->width}};
    double sum = 0;
    for (int q = 0; q < b->questions; q++) {
        ego_ctx_mark mark = ego_ctx_save(&b->cx);
        ego_input in = {.texts = {b->ids[q], {1, offsets}}, .text = EGO_WANT_TOKENS};
        ego_lower words = {ego_encode(&b->cx, b->model, &in, EGO_DUAL).text, in.texts.shape};
        ego_qa_seen seen = {&windows, words};
        const ego_tensor *x = ego_qa_moments_logits(&b->cx, b->moments, b->model, seen, (ego_dropout){0});
        if (x) sum += (double)ego_f32(x)[0];
        ego_ctx_rewind(&b->cx, &mark);
    }
    return sum;
}

static double median_of(bench *b, double (*way)(bench *), int rounds) {
    double seconds[MAX_ROUNDS];
    for (int round = -1; round < rounds; round++) { /* the first packs the weights */
        double start = now();
        way(b);
        if (round >= 0) seconds[round] = now() - start;
    }
    qsort(seconds, (size_t)rounds, sizeof(double), ascending);
    return seconds[rounds / 2];
}

static ego_err measure(bench *b, int rounds, unsigned threads) {
    double seconds[2][MAX_ROUNDS], sums[2];
    for (int round = -1; round < rounds; round++) /* the first packs the weights */
        for (int way = 0; way < 2; way++) {
            double start = now();
            sums[way] = way ? halves(b) : whole(b);
            EGO_TRY(ego_ctx_err(&b->cx));
            if (round >= 0) seconds[way][round] = (now() - start) / b->questions;
        }
    if (sums[0] != sums[1])
        return ego_fail(EGO_EDIVERGED, "two ways, two sums: %.17g and %.17g", sums[0], sums[1]);
    for (int way = 0; way < 2; way++)
        qsort(seconds[way], (size_t)rounds, sizeof(double), ascending);
    double looked = median_of(b, look, rounds), asked = median_of(b, moments, rounds) / b->questions;
    printf("{\"what\":\"question\",\"questions\":%d,\"frames\":%lld,\"threads\":%u,\"whole\":%.6f,"
           "\"halves\":%.6f,\"look\":%.6f,\"moments\":%.6f}\n",
           b->questions, (long long)b->model->config.frames, threads, seconds[0][rounds / 2],
           seconds[1][rounds / 2], looked, asked);
    return ego_ctx_err(&b->cx);
}

static ego_err fill(bench *b) {
    const ego_config *c = &b->model->config;
    b->clip = (ego_tensor){NULL, EGO_F32, 5, {1, c->frames, 3, c->image_size, c->image_size}};
    int64_t n = ego_tensor_count(&b->clip);
    float *pixels = malloc((size_t)n * sizeof *pixels);
    if (!pixels) return ego_fail(EGO_ENOMEM, "out of memory for a clip");
    for (int64_t i = 0; i < n; i++) pixels[i] = (float)ego_rng_normal(1, (uint64_t)i);
    b->clip.data = pixels;
    for (int q = 0; q < b->questions; q++)
        for (int t = 0; t < TOKENS; t++)
            b->ids[q][t] = (int64_t)ego_rng_below((uint64_t)q, (uint64_t)t, (uint32_t)c->vocab);
    return EGO_OK;
}

static ego_err make_head(bench *b) {
    ego_head_config c = ego_head_config_default(&ego_head_qa_moments);
    c.qa_moments.width = b->model->config.projection[b->model->config.projections - 1];
    c.qa_moments.text = b->model->config.dim;
    b->windows = malloc((size_t)(c.qa_moments.windows * c.qa_moments.width) * sizeof *b->windows);
    if (!b->windows) return ego_fail(EGO_ENOMEM, "out of memory for windows");
    return ego_head_create(&ego_head_qa_moments, &c, 1, &b->moments);
}

static ego_err run(const ego_config *config, int questions, int rounds, unsigned threads) {
    bench *b = calloc(1, sizeof *b);
    ego_pool *pool = NULL;
    ego_backend *backend = NULL;
    ego_err err = b ? ego_config_check(config) : ego_fail(EGO_ENOMEM, "out of memory");
    if (err == EGO_OK) b->questions = questions;
    if (err == EGO_OK) err = ego_pool_new(threads, &pool);
    if (err == EGO_OK) err = ego_cpu_backend_new(pool, &backend);
    if (err == EGO_OK) {
        ego_ctx_init(&b->cx, backend);
        err = ego_model_create(config, EGO_START_GOLDEN, 1, pool, &b->model);
        if (err == EGO_OK) err = fill(b);
        if (err == EGO_OK) err = make_head(b);
        if (err == EGO_OK) err = measure(b, rounds, threads);
        free(b->windows);
        ego_head_close(b->moments, backend);
        free(b->clip.data);
        ego_model_close(b->model, backend);
        ego_ctx_release(&b->cx);
    }
    ego_backend_free(backend);
    ego_pool_free(pool);
    free(b);
    return err;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"questions", 1, 0, 'q'}, {"frames", 1, 0, 'f'},
                                            {"threads", 1, 0, 't'},   {"rounds", 1, 0, 'r'},
                                            {"set", 1, 0, 's'},       {0}};
    ego_config config = ego_config_default();
    int questions = 8, rounds = 3;
    unsigned threads = 2;
    ego_err err = EGO_OK;
    for (int o; err == EGO_OK && (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (o) {
        case 'q': questions = atoi(optarg); break;
        case 'f': config.frames = atoi(optarg); break;
        case 't': threads = (unsigned)atoi(optarg); break;
        case 'r': rounds = atoi(optarg); break;
        case 's': err = ego_config_override(&config, optarg); break;
        default: return 2;
        }
    if (questions < 1 || questions > MAX_QUESTIONS || rounds < 1 || rounds > MAX_ROUNDS)
        return fprintf(stderr, "bench_qa: 1 to %d questions, 1 to %d rounds\n", MAX_QUESTIONS,
                       MAX_ROUNDS),
               2;
    if (err == EGO_OK) err = run(&config, questions, rounds, threads);
    if (err != EGO_OK) fprintf(stderr, "bench_qa: %s\n", ego_err_message());
    return err != EGO_OK;
}
