/* Clips and questions a second of grounding: reading alone, zero-shot both ways, and a head's features both ways.
 *
 *     bench_nlq MODEL VIDEO [QUESTIONS [SECONDS [THREADS]]]
 *
 * QUESTIONS (4) are asked of the first SECONDS (30) of the video. One JSON line a way; processor seconds are those of the
 * whole process. The head is drawn at random: what it says does not matter to how long it takes. */
#include "task/grounding.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { MAX_QUESTIONS = 256 };

static ego_ctx cx;
static ego_model *model;
static ego_video_part part;
static size_t questions = 4;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double processor(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static ego_err ignore(void *context, const ego_tensor *clips, int64_t first) {
    *(int64_t *)context = first + clips->shape[0];
    return EGO_OK;
}

static void tell(const char *what, double began, double used, int64_t clips) {
    double wall = now() - began, busy = processor() - used;
    printf("{\"what\":\"%s\",\"clips\":%lld,\"questions\":%zu,\"seconds\":%.2f,\"processor_"
           "seconds\":%.2f,"
           "\"clips_per_second\":%.1f}\n",
           what, (long long)clips, questions, wall, busy, (double)clips / wall);
    fflush(stdout);
}

static ego_err read_only(void) {
    ego_clip_grid grid;
    ego_clips *clips;
    int64_t seen = 0;
    int F = (int)model->config.frames, S = (int)model->config.image_size;
    ego_clips_options o = {.frames = F, .size = S};
    double began = now(), used = processor();
    EGO_TRY(ego_clips_open(&o, &clips));
    ego_err err = ego_clip_grid_make(NULL, &part, EGO_SAMPLING_TIME, F, &grid);
    if (err == EGO_OK) {
        err = ego_clip_grid_read(&grid, part.video, clips, S, ego_good_batch(model), ignore, &seen);
        ego_clip_grid_release(&grid);
    }
    ego_clips_close(clips);
    if (err == EGO_OK) tell("reading", began, used, seen);
    return err;
}

static ego_err ask(const char *what, ego_grounding_options o) {
    static char texts[MAX_QUESTIONS][64];
    static ego_grounding_item items[MAX_QUESTIONS];
    ego_grounding *g;
    o.answers = 5;
    o.overlap = o.head ? 1 : 0.3;
    EGO_TRY(ego_model_require(model, ego_grounding_needs(&o)));
    for (size_t i = 0; i < questions; i++) {
        snprintf(texts[i], sizeof texts[i], "#C C washes cup number %zu under the tap", i);
        items[i] = (ego_grounding_item){.text = texts[i]};
    }
    double began = now(), used = processor();
    EGO_TRY(ego_grounding_open(&cx, model, &o, &g));
    ego_err err = ego_grounding_ask(g, &part, items, questions);
    for (size_t i = 0; i < questions && err == EGO_OK; i++)
        if (items[i].err != EGO_OK) err = ego_fail(items[i].err, "%s", items[i].message);
    if (err == EGO_OK) tell(what, began, used, (int64_t)ego_grounding_get_counts(g).clips);
    for (size_t i = 0; i < questions; i++) ego_grounding_item_release(&items[i]);
    ego_grounding_close(g);
    return err;
}

static ego_err run(void) {
    ego_head *head;
    ego_head_config c = ego_head_config_default(&ego_head_vslnet);
    c.vslnet.video_width = c.vslnet.query_width = model->config.dim;
    EGO_TRY(read_only());
    EGO_TRY(ask("zero-shot dual", (ego_grounding_options){.mode = EGO_GROUNDING_DUAL}));
    EGO_TRY(ego_head_create(&ego_head_vslnet, &c, 1, &head));
    ego_err err = ask("head, fast", (ego_grounding_options){.head = head, .fast = true});
    if (err == EGO_OK) err = ask("head", (ego_grounding_options){.head = head});
    ego_head_close(head, cx.backend);
    EGO_TRY(err);
    return ask("zero-shot fused", (ego_grounding_options){.mode = EGO_GROUNDING_FUSED});
}

int main(int argc, char **argv) {
    ego_pool *pool = NULL;
    ego_backend *backend = NULL;
    ego_model_options o = {0};
    if (argc < 3)
        return fputs("usage: bench_nlq MODEL VIDEO [QUESTIONS [SECONDS [THREADS]]]\n", stderr), 2;
    part = (ego_video_part){argv[2], NAN, argc > 4 ? strtod(argv[4], NULL) : 30};
    if (argc > 3) questions = strtoul(argv[3], NULL, 10);
    if (questions > MAX_QUESTIONS) questions = MAX_QUESTIONS;
    ego_err err = ego_pool_new(argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 0, &pool);
    if (err == EGO_OK) err = ego_cpu_backend_new(pool, &backend);
    if (err == EGO_OK) ego_ctx_init(&cx, backend);
    if (err == EGO_OK) err = ego_model_open(argv[1], &o, &model);
    if (err == EGO_OK) err = run();
    if (err != EGO_OK) fprintf(stderr, "bench_nlq: %s\n", ego_err_message());
    ego_model_close(model, backend);
    if (backend) ego_ctx_release(&cx);
    ego_backend_free(backend);
    ego_pool_free(pool);
    return err == EGO_OK ? 0 : 1;
}
