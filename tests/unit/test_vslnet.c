/* VSLNet's spans and seconds, what is dropped and when, the small network, what does not fit. */
#include "check.h"

#include "base/rng.h"
#include "task/vslnet.h"
#include "tensor/backend.h"
#include "tensor/tape.h"

enum { CLIPS = 11, WORDS = 5, VIDEO = 10, QUERY = 6 };

typedef struct fixture {
    ego_backend *backend;
    ego_pool *pool;
    ego_ctx cx;
} fixture;

/* ---- seconds and clips ------------------------------------------------------------------------------------ */

static void check_pool(void) {
    enum { MOST = 4 };
    float in[12], out[12];
    int64_t pooled;
    for (int i = 0; i < 12; i++) in[i] = (float)i;
    ego_vslnet_pool(in, 3, 1, MOST, out, &pooled);
    CHECK(pooled == 3 && out[2] == 2);
    ego_vslnet_pool(in, 2, 2, MOST, out, &pooled);
    CHECK(pooled == 2 && out[3] == 3);
    /* 5 in 4: edges 0, 1.25, 2.5, 3.75, 5 round to 0, 1, 2, 4, 4 (half to even, then the last clip) */
    ego_vslnet_pool(in, 5, 1, MOST, out, &pooled);
    CHECK(pooled == 4 && out[0] == 0 && out[1] == 1 && out[2] == 2.5f && out[3] == 4);
    /* 6 in 4: edges 0, 1.5, 3, 4.5, 6 round to 0, 2, 3, 4, 5: the last clip is not looked at */
    ego_vslnet_pool(in, 6, 1, MOST, out, &pooled);
    CHECK(pooled == 4 && out[0] == 0.5f && out[1] == 2 && out[2] == 3 && out[3] == 4);
    ego_vslnet_pool(in, 6, 2, MOST, out, &pooled);
    CHECK(out[0] == 1 && out[1] == 2 && out[7] == 9);
}

static void check_label(double start, double end, int64_t n, double duration, bool found, int64_t i,
                        int64_t j) {
    ego_vslnet_span label = {-1, -1};
    CHECK(ego_vslnet_label(start, end, n, duration, &label) == found);
    if (!CHECK(label.start == i && label.end == j))
        fprintf(stderr, "    [%g, %g] of %g s in %lld: %lld to %lld\n", start, end, duration,
                (long long)n, (long long)label.start, (long long)label.end);
}

static void check_labels(void) {
    check_label(2, 4, 10, 10, true, 2, 3);
    check_label(2.3, 4.3, 10, 10, true, 2, 3); /* 1.7/2.3, before 2/3 of [2, 5] */
    check_label(2.5, 4.5, 10, 10, true, 2, 4);
    check_label(0, 10, 10, 10, true, 0, 9);
    check_label(9.9, 12, 10, 10, true, 9, 9);
    check_label(3.2, 3.3, 10, 10, true, 3, 3); /* shorter than a clip */
    check_label(3, 3, 10, 10, false, 0, 0);    /* no length */
    check_label(3.5, 3.5, 10, 10, false, 0, 0);
    check_label(5, 2, 10, 10, false, 0, 0);
    check_label(20, 30, 10, 10, false, 0, 0);
    check_label(1, 2, 0, 10, false, 0, 0);
}

static void check_highlights(void) {
    float y[12];
    ego_vslnet_highlight((ego_vslnet_span){4, 9}, 12, y); /* a tenth of 6 rounds to 1 */
    for (int i = 0; i < 12; i++) CHECK(y[i] == (i >= 3 && i <= 10));
    ego_vslnet_highlight((ego_vslnet_span){0, 4}, 12, y); /* half of one rounds to none */
    for (int i = 0; i < 12; i++) CHECK(y[i] == (i <= 4));
    ego_vslnet_highlight((ego_vslnet_span){0, 11}, 12, y);
    for (int i = 0; i < 12; i++) CHECK(y[i] == 1);
}

static void check_best(void) {
    const float start[] = {0, 2, 1, -1}, end[] = {3, 0, 1, 2};
    ego_vslnet_answer a[12];
    CHECK(ego_vslnet_best(start, end, 4, 12, a) == 10);
    double ps = exp(0) + exp(2) + exp(1) + exp(-1), pe = exp(3) + exp(0) + exp(1) + exp(2), sum = 0;
    CHECK(a[0].span.start == 1 && a[0].span.end == 3);
    CHECK_NEAR(a[0].score, exp(4) / ps / pe, 1e-12);
    /* e³ three times: (0, 0), (1, 2), (2, 3), in this order */
    CHECK(a[1].span.start == 0 && a[1].span.end == 0 && a[2].span.start == 1 &&
          a[2].span.end == 2 && a[3].span.start == 2 && a[3].span.end == 3);
    for (int i = 0; i < 10; i++) {
        CHECK(a[i].span.start <= a[i].span.end && (i == 0 || a[i].score <= a[i - 1].score));
        sum += a[i].score;
    }
    CHECK(sum < 1);
    ego_vslnet_answer few[3];
    CHECK(ego_vslnet_best(start, end, 4, 3, few) == 3 && memcmp(few, a, sizeof few) == 0);
    CHECK(ego_vslnet_best(start, end, 1, 5, a) == 1 && a[0].score == 1);
    CHECK(ego_vslnet_best(start, end, 0, 5, a) == 0 && ego_vslnet_best(start, end, 4, 0, a) == 0);
    CHECK(ego_vslnet_start(3, 7, 10) == 3 * 10.f / 7 && ego_vslnet_end(6, 7, 10) == 10);
}

/* ---- the network ------------------------------------------------------------------------------------------ */

static ego_head *make(const ego_head_kind *kind) {
    ego_head *head = NULL;
    ego_head_config c = {.vslnet = {VIDEO, QUERY, 8, 2, 16, 0}};
    CHECK_OK(ego_head_create(kind, &c, 5, &head));
    return head;
}

static ego_tensor *noise(ego_ctx *cx, int64_t rows, int64_t columns, uint64_t seed) {
    ego_tensor *x = EGO_TENSOR(cx, rows, columns);
    for (int64_t i = 0; x && i < rows * columns; i++)
        ego_f32(x)[i] = (float)ego_rng_normal(seed, (uint64_t)i);
    return x;
}

/* Highlight, start and end of one sample, one after the other. */
typedef struct numbers {
    float all[3 * CLIPS];
} numbers;

static numbers run(fixture *f, ego_head *head, float dropout, uint64_t stream) {
    numbers n = {{0}};
    ego_ctx_mark mark = ego_ctx_save(&f->cx);
    ego_vslnet_input in = {.video = noise(&f->cx, CLIPS, VIDEO, 1),
                           .query = noise(&f->cx, WORDS, QUERY, 2),
                           .clips = CLIPS,
                           .tokens = WORDS,
                           .dropout = dropout,
                           .stream = stream};
    ego_vslnet_output out;
    if (CHECK_OK(ego_vslnet_forward(&f->cx, head, &in, &out))) {
        memcpy(n.all, out.highlight->data, CLIPS * sizeof(float));
        memcpy(n.all + CLIPS, out.start->data, CLIPS * sizeof(float));
        memcpy(n.all + 2 * CLIPS, out.end->data, CLIPS * sizeof(float));
    }
    ego_ctx_rewind(&f->cx, &mark);
    return n;
}

static bool same(numbers a, numbers b, int from, int to) {
    return memcmp(a.all + from, b.all + from, (size_t)(to - from) * sizeof(float)) == 0;
}

/* Inference drops nothing whatever the stream; training draws from the stream alone. */
static void check_dropout(fixture *f, const ego_head_kind *kind) {
    ego_head *head = make(kind);
    numbers plain = run(f, head, 0, 1), again = run(f, head, 0, 2);
    CHECK(same(plain, again, 0, 3 * CLIPS));
    numbers a = run(f, head, 0.2f, 1), b = run(f, head, 0.2f, 1), c = run(f, head, 0.2f, 2);
    CHECK(same(a, b, 0, 3 * CLIPS));
    for (int part = 0; part < 3; part++) {
        CHECK(!same(a, plain, part * CLIPS, (part + 1) * CLIPS));
        CHECK(!same(a, c, part * CLIPS, (part + 1) * CLIPS));
    }
    ego_head_close(head, f->backend);
}

static void check_small(fixture *f) {
    ego_head *small = make(&ego_head_vslnet_small);
    numbers plain = run(f, small, 0, 0);
    small->config.vslnet.highlighted = 1;
    numbers lit = run(f, small, 0, 0);
    small->config.vslnet.highlighted = 0;
    CHECK(same(plain, lit, 0, CLIPS) && !same(plain, lit, CLIPS, 2 * CLIPS));
    /* Published: the spans do not know the question. */
    float *bias = ego_f32(&small->params.vslnet.query_affine.bias.value);
    for (int i = 0; i < 8; i++) bias[i] = 1;
    numbers other = run(f, small, 0, 0);
    CHECK(same(plain, other, CLIPS, 3 * CLIPS) && !same(plain, other, 0, CLIPS));
    ego_head_close(small, f->backend);
}

/* Padding has no say but where a convolution reaches: no kernel reaches 4 × 3 rows and more back. */
static void check_padding(fixture *f) {
    ego_head *head = make(&ego_head_vslnet);
    ego_vslnet_output out;
    ego_vslnet_input in = {.video = noise(&f->cx, CLIPS, VIDEO, 1),
                           .query = noise(&f->cx, WORDS, QUERY, 2),
                           .clips = CLIPS - 2,
                           .tokens = WORDS - 1};
    if (CHECK_OK(ego_vslnet_forward(&f->cx, head, &in, &out))) {
        CHECK(ego_f32(out.start)[CLIPS - 3] > -1e3f && ego_f32(out.start)[CLIPS - 2] < -1e29f);
        CHECK(ego_f32(out.end)[CLIPS - 1] < -1e29f && ego_f32(out.highlight)[CLIPS - 1] < -1e29f);
        ego_vslnet_losses l;
        CHECK_OK(ego_vslnet_loss(&f->cx, &out, CLIPS - 2, (ego_vslnet_span){1, 3},
                                 (ego_vslnet_batch){1, CLIPS - 2}, &l));
        CHECK(isfinite(ego_f32(l.span)[0]) && isfinite(ego_f32(l.highlight)[0]));
        CHECK_ERR(EGO_EINPUT,
                  ego_vslnet_loss(&f->cx, &out, CLIPS - 2, (ego_vslnet_span){1, CLIPS - 2},
                                  (ego_vslnet_batch){1, 1}, &l));
        CHECK_ERR(EGO_EINPUT, ego_vslnet_loss(&f->cx, &out, CLIPS, (ego_vslnet_span){3, 1},
                                              (ego_vslnet_batch){1, 1}, &l));
    }
    ego_head_close(head, f->backend);
}

static void check_refused(fixture *f) {
    ego_head *head = make(&ego_head_vslnet);
    ego_vslnet_output out;
    ego_tensor *video = noise(&f->cx, 16, VIDEO, 1), *query = noise(&f->cx, WORDS, QUERY, 2);
    ego_vslnet_input bad[] = {
        {.video = query, .query = query, .clips = 1, .tokens = 1},
        {.video = video, .query = video, .clips = 1, .tokens = 1},
        {.video = video, .query = query, .clips = 17, .tokens = 1},
        {.video = video, .query = query, .clips = 0, .tokens = 1},
        {.video = video, .query = query, .clips = 1, .tokens = WORDS + 1},
        {.video = noise(&f->cx, 17, VIDEO, 1), .query = query, .clips = 1, .tokens = 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_ERR(EGO_EINPUT, ego_vslnet_forward(&f->cx, head, &bad[i], &out));
    bad[0] = (ego_vslnet_input){.video = video, .query = query, .clips = 16, .tokens = WORDS};
    CHECK_OK(ego_vslnet_forward(&f->cx, head, &bad[0], &out));
    ego_head_close(head, f->backend);
}

int main(void) {
    fixture f = {0};
    check_pool();
    check_labels();
    check_highlights();
    check_best();
    if (CHECK_OK(ego_pool_new(2, &f.pool)) && CHECK_OK(ego_cpu_backend_new(f.pool, &f.backend))) {
        ego_ctx_init(&f.cx, f.backend);
        check_dropout(&f, &ego_head_vslnet);
        check_small(&f);
        check_padding(&f);
        check_refused(&f);
        ego_ctx_release(&f.cx);
    }
    ego_backend_free(f.backend);
    ego_pool_free(f.pool);
    return check_done();
}
