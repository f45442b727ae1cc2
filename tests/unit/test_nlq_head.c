/* Training of heads on VSLNet: ten questions learnt by heart; stopped, killed and resumed with the same bits; portions
 * and threads change rounding or nothing; what is left out; the best is kept. */
#include "check.h"

#include "base/file.h"
#include "base/rng.h"
#include "recipe/nlq_head.h"

#include <unistd.h>

enum { QUESTIONS = 10, MOST_CLIPS = 30, POSITIONS = 20, VIDEO = 12, WORD = 8 };

/* Clips and words of noise, lengths all different; some beyond the head's positions. */
typedef struct toy {
    float video[MOST_CLIPS * VIDEO], words[8 * WORD];
    int64_t asked;
    int64_t stop_after; /* answers to features; 0: never */
    volatile sig_atomic_t stop;
    double empty; /* question 3 has no length where it is 0 */
} toy;

static ego_nlq_sample sample(void *context, int64_t i) {
    const toy *t = context;
    int64_t clips = 8 + 5 * i % 23;
    double duration = 0.5 * (double)clips, start = duration * ego_rng_unit(1, (uint64_t)i) * 0.7;
    double length = i == 3 ? t->empty : duration * 0.2;
    return (ego_nlq_sample){start, start + length, duration, clips};
}

static ego_err features(void *context, int64_t i, ego_nlq_features *out) {
    toy *t = context;
    ego_nlq_sample s = sample(context, i);
    out->clips = s.clips;
    out->tokens = 3 + i % 5;
    for (int64_t k = 0; k < out->clips * VIDEO; k++)
        t->video[k] = (float)ego_rng_normal(ego_rng_stream(2, (uint64_t)i), (uint64_t)k);
    for (int64_t k = 0; k < out->tokens * WORD; k++)
        t->words[k] = (float)ego_rng_normal(ego_rng_stream(3, (uint64_t)i), (uint64_t)k);
    out->video = t->video;
    out->words = t->words;
    if (++t->asked == t->stop_after) t->stop = 1;
    return EGO_OK;
}

typedef struct bench {
    toy toy;
    ego_head *head;
    ego_backend *backend;
    ego_pool *pool;
    ego_head_optim optim;
    ego_head_run_settings run;
    ego_nlq_head_options options;
    char out[128];
    int notices;
} bench;

static void say(void *context, const char *message) {
    ++*(int *)context;
    CHECK(strstr(message, "left out") != NULL);
}

static ego_notice notice = {.say = say};

static bool set_up(bench *b, const char *where, const char *name, unsigned threads) {
    *b = (bench){.toy = {.empty = 1}};
    ego_head_config c = {.vslnet = {VIDEO, WORD, 16, 2, POSITIONS, 0}};
    if (!CHECK_OK(ego_head_create(&ego_head_vslnet, &c, 4, &b->head))) return false;
    if (!CHECK_OK(ego_pool_new(threads, &b->pool)) ||
        !CHECK_OK(ego_cpu_backend_new(b->pool, &b->backend)))
        return false;
    ego_head_set_backbone(b->head, "abc");
    CHECK_OK(ego_head_set_note(b->head, "features", "fused"));
    ego_nlq_head_defaults(&b->optim, &b->run);
    snprintf(b->out, sizeof b->out, "%s/%s", where, name);
    b->run.out = b->out;
    b->run.epochs = 12;
    b->run.batch = 4;
    ego_nlq_source source = {&b->toy, QUESTIONS, sample, features};
    b->options = (ego_nlq_head_options){.head = b->head,
                                        .train = source,
                                        .validate = source,
                                        .optim = &b->optim,
                                        .run = &b->run,
                                        .dropout = 0.2,
                                        .backend = b->backend,
                                        .with = {.pool = b->pool,
                                                 .stop = &b->toy.stop,
                                                 .notice = &notice}};
    notice.context = &b->notices;
    return true;
}

static void tear_down(bench *b) {
    ego_head_close(b->head, b->backend);
    ego_backend_free(b->backend);
    ego_pool_free(b->pool);
}

static const char *in(const bench *b, const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", b->out, name);
    return path;
}

/* ---- learning --------------------------------------------------------------------------------------------- */

static void test_by_heart(const char *where) {
    bench b;
    ego_ctx cx;
    ego_nlq_recall before, after;
    if (!set_up(&b, where, "heart", 2)) return;
    ego_ctx_init(&cx, b.backend);
    b.run.epochs = 50;
    b.run.batch = 5;
    b.options.dropout = 0;
    CHECK_OK(ego_nlq_head_validate(&cx, b.head, &b.options.validate, NULL, &before));
    CHECK_OK(ego_nlq_head_train(&b.options));
    CHECK_OK(ego_nlq_head_validate(&cx, b.head, &b.options.validate, NULL, &after));
    printf("by heart: R@1 at 0.3 from %.0f to %.0f, at 0.5 to %.0f, mean IoU %.0f\n", before.r1_03,
           after.r1_03, after.r1_05, after.mean_iou);
    CHECK(after.r1_03 == 100 && after.r5_05 == 100 && after.mean_iou > 60 && before.mean_iou < 50);
    CHECK(b.notices == 0);

    ego_head *best = NULL; /* the best validation's, with all that belongs to it */
    if (CHECK_OK(ego_head_open(in(&b, "head.safetensors"), &ego_head_vslnet, &best))) {
        CHECK_OK(ego_nlq_head_validate(&cx, best, &b.options.validate, NULL, &after));
        CHECK(after.r1_03 == 100 && !best->random);
        CHECK_STR(best->backbone, "abc");
        CHECK_STR(ego_head_note(best, "features"), "fused");
        ego_head_close(best, b.backend);
    }
    if (CHECK_OK(ego_head_open(in(&b, "checkpoint-100.safetensors"), NULL,
                               &best))) { /* a checkpoint is a head */
        CHECK(best->unused_count == 0 && best->kind == &ego_head_vslnet);
        CHECK_STR(ego_head_note(best, "features"), "fused");
        ego_head_close(best, b.backend);
    }
    ego_ctx_release(&cx);
    tear_down(&b);
}

/* ---- the same bits ---------------------------------------------------------------------------------------- */

/* Weights as bytes, by way of a file. */
static void bytes_of(bench *b, ego_buf *bytes) {
    CHECK_OK(ego_head_save(b->head, in(b, "last.safetensors"), EGO_F32));
    CHECK_OK(ego_read_file(in(b, "last.safetensors"), 1 << 24, bytes));
}

static bool same_head(bench *a, bench *b) {
    ego_buf x = {0}, y = {0};
    bytes_of(a, &x);
    bytes_of(b, &y);
    bool same = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
    ego_buf_clear(&x);
    ego_buf_clear(&y);
    CHECK_OK(ego_read_file(in(a, "head.safetensors"), 1 << 24, &x));
    CHECK_OK(ego_read_file(in(b, "head.safetensors"), 1 << 24, &y));
    same &= x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
    ego_buf_release(&x);
    ego_buf_release(&y);
    return same;
}

static void test_resumed(const char *where) {
    bench whole, cut;
    if (!set_up(&whole, where, "whole", 1) || !set_up(&cut, where, "cut", 3)) return;
    CHECK_OK(ego_nlq_head_train(&whole.options));
    ego_err err = EGO_ECANCELLED;
    int stops = 0;
    for (; err == EGO_ECANCELLED && stops < 50; stops++) {
        cut.toy.stop_after = cut.toy.asked + 31 + 7 * stops;
        cut.toy.stop = 0;
        cut.options.with.resume = stops > 0;
        err = ego_nlq_head_train(&cut.options);
    }
    CHECK_OK(err);
    CHECK(stops > 4);
    CHECK(same_head(&whole, &cut));
    cut.options.dropout = 0.1; /* it would be another run */
    CHECK_ERR(EGO_EINPUT, ego_nlq_head_train(&cut.options));
    tear_down(&whole);
    tear_down(&cut);
}

/* ---- what is left out ------------------------------------------------------------------------------------- */

static void test_left_out(const char *where) {
    bench b;
    if (!set_up(&b, where, "empty", 1)) return;
    b.toy.empty = 0;
    b.run.steps = 3;
    b.options.validate.count = 0;
    CHECK_OK(ego_nlq_head_train(&b.options));
    CHECK(b.notices == 1 &&
          access(in(&b, "head.safetensors"), R_OK) == 0); /* without validation: the last */
    b.options.keep_empty = true;
    snprintf(b.out, sizeof b.out, "%s/kept", where);
    CHECK_OK(ego_nlq_head_train(&b.options));
    CHECK(b.notices == 1);
    b.options.train.count = 0;
    CHECK_ERR(EGO_EINPUT, ego_nlq_head_train(&b.options));
    tear_down(&b);
}

/* ---- which samples ---------------------------------------------------------------------------------------- */

static void test_order(void) {
    enum { N = 11, BATCH = 4 };
    ego_head_order order;
    int64_t samples[BATCH], first[N];
    uint64_t streams[BATCH], seen_streams[2 * N];
    if (!CHECK_OK(ego_head_order_init(&order, 9, N, BATCH))) return;
    CHECK(ego_head_steps(N, BATCH) == 3 && ego_head_steps(8, 4) == 2);
    size_t drawn = 0;
    int moved = 0;
    for (int64_t epoch = 0; epoch < 2; epoch++) {
        int seen[N] = {0};
        int64_t place = 0;
        for (int64_t t = 0; t < 3; t++) {
            int64_t n = ego_head_order_batch(&order, 3 * epoch + t, samples, streams);
            CHECK(n == (t < 2 ? BATCH : N - 2 * BATCH));
            for (int64_t i = 0; i < n; i++, place++) {
                seen[samples[i]]++;
                moved += epoch && first[place] != samples[i];
                first[place] = samples[i];
                for (size_t k = 0; k < drawn; k++) CHECK(seen_streams[k] != streams[i]);
                seen_streams[drawn++] = streams[i];
            }
        }
        for (int i = 0; i < N; i++) CHECK(seen[i] == 1);
    }
    CHECK(moved > 3);
    int64_t again[BATCH];
    uint64_t again_streams[BATCH];
    ego_head_order_batch(&order, 1, samples, streams); /* back, and as it was */
    ego_head_order_batch(&order, 4, again, again_streams);
    ego_head_order_batch(&order, 1, again, again_streams);
    CHECK(memcmp(samples, again, sizeof samples) == 0 &&
          memcmp(streams, again_streams, sizeof streams) == 0);
    ego_head_order_release(&order);
    CHECK_ERR(EGO_EINPUT, ego_head_order_init(&order, 9, 0, BATCH));
    ego_head_order_release(&order);
}

int main(void) {
    char where[] = "/tmp/ego-nlq-head-XXXXXX", command[64];
    if (!CHECK(mkdtemp(where) != NULL)) return check_done();
    test_order();
    test_by_heart(where);
    test_resumed(where);
    test_left_out(where);
    snprintf(command, sizeof command, "rm -rf %s", where);
    CHECK(system(command) == 0);
    return check_done();
}
