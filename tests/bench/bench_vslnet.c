/* Milliseconds a question: VSLNet at its published size, answering and learning.
 *
 *     bench_vslnet [THREADS [SECONDS]]
 *
 * 256 clips and 15 words, 768 wide. One JSON line: medians of answering (forward and the five best
 * spans) and of learning (forward with dropout, losses, gradients), of as many as fit into so many
 * seconds (2) each: by the clock, and of the processor's time, which a busy machine leaves alone.
 */
#include "base/rng.h"
#include "task/vslnet.h"
#include "tensor/backend.h"
#include "tensor/tape.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CLIPS = 256, WORDS = 15, WIDTH = 768, BEST = 5, MOST = 1000 };

typedef struct bench {
    ego_pool *pool;
    ego_backend *backend;
    ego_head *head;
    ego_tape *tape;
    ego_ctx cx;
} bench;

static double now(clockid_t clock_id) {
    struct timespec t;
    clock_gettime(clock_id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static ego_tensor *noise(ego_ctx *cx, int64_t rows, uint64_t seed) {
    ego_tensor *x = EGO_TENSOR(cx, rows, WIDTH);
    for (int64_t i = 0; x && i < rows * WIDTH; i++)
        ego_f32(x)[i] = (float)(2 * ego_rng_unit(seed, (uint64_t)i) - 1);
    return x;
}

static ego_err answer(bench *b, ego_vslnet_input *in) {
    ego_vslnet_output out;
    ego_vslnet_answer best[BEST];
    EGO_TRY(ego_vslnet_forward(&b->cx, b->head, in, &out));
    ego_vslnet_best(ego_f32(out.start), ego_f32(out.end), CLIPS, BEST, best);
    return EGO_OK;
}

static ego_err learn(bench *b, ego_vslnet_input *in) {
    ego_vslnet_output out;
    ego_vslnet_losses losses;
    in->dropout = EGO_VSLNET_DROPOUT;
    EGO_TRY(ego_vslnet_forward(&b->cx, b->head, in, &out));
    EGO_TRY(ego_vslnet_loss(&b->cx, &out, CLIPS, (ego_vslnet_span){100, 110},
                            (ego_vslnet_batch){1, CLIPS}, &losses));
    ego_grad_add(&b->cx, losses.span, 1, NULL);
    ego_grad_add(&b->cx, losses.highlight, EGO_VSLNET_HIGHLIGHT_WEIGHT, NULL);
    ego_tape_backward(&b->cx);
    return ego_ctx_err(&b->cx);
}

static int rising(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct medians {
    double wall, processor;
} medians;

static ego_err measure(bench *b, ego_err (*work)(bench *, ego_vslnet_input *), bool taped,
                       double seconds, medians *m) {
    double wall[MOST], processor[MOST], until = now(CLOCK_MONOTONIC) + seconds;
    int n = 0;
    while (n < 3 || (n < MOST && now(CLOCK_MONOTONIC) < until)) {
        ego_ctx_mark mark = ego_ctx_save(&b->cx);
        ego_vslnet_input in = {.clips = CLIPS, .tokens = WORDS, .stream = (uint64_t)n};
        in.video = noise(&b->cx, CLIPS, 1);
        in.query = noise(&b->cx, WORDS, 2);
        double began = now(CLOCK_MONOTONIC), used = now(CLOCK_PROCESS_CPUTIME_ID);
        if (taped) ego_tape_attach(&b->cx, b->tape);
        ego_err err = work(b, &in);
        ego_tape_attach(&b->cx, NULL);
        processor[n] = 1e3 * (now(CLOCK_PROCESS_CPUTIME_ID) - used);
        wall[n++] = 1e3 * (now(CLOCK_MONOTONIC) - began);
        ego_ctx_rewind(&b->cx, &mark);
        EGO_TRY(err);
    }
    qsort(wall, (size_t)n, sizeof *wall, rising);
    qsort(processor, (size_t)n, sizeof *processor, rising);
    *m = (medians){wall[n / 2], processor[n / 2]};
    return EGO_OK;
}

static ego_err run(bench *b, unsigned threads, double seconds) {
    medians answering, learning;
    ego_head_config config = ego_head_config_default(&ego_head_vslnet);
    EGO_TRY(ego_pool_new(threads, &b->pool));
    EGO_TRY(ego_cpu_backend_new(b->pool, &b->backend));
    ego_ctx_init(&b->cx, b->backend);
    EGO_TRY(ego_head_create(&ego_head_vslnet, &config, 1, &b->head));
    EGO_TRY(ego_tape_new(false, &b->tape));
    EGO_TRY(measure(b, answer, false, seconds, &answering));
    EGO_TRY(ego_head_make_trainable(b->head));
    EGO_TRY(measure(b, learn, true, seconds, &learning));
    printf("{\"threads\":%u,\"answer_ms\":%.2f,\"answer_processor_ms\":%.2f,\"learn_ms\":%.2f,"
           "\"learn_processor_ms\":%.2f}\n",
           threads, answering.wall, answering.processor, learning.wall, learning.processor);
    return EGO_OK;
}

int main(int argc, char **argv) {
    bench b = {0};
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    ego_err err = run(&b, (unsigned)(threads > 0 ? threads : 1), argc > 2 ? atof(argv[2]) : 2);
    if (err != EGO_OK) fprintf(stderr, "bench_vslnet: %s\n", ego_err_message());
    ego_tape_free(b.tape);
    ego_head_close(b.head, b.backend);
    ego_ctx_release(&b.cx);
    ego_backend_free(b.backend);
    ego_pool_free(b.pool);
    return err != EGO_OK;
}
