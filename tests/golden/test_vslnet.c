/* VSLNet against what the published program computed: outputs, losses, every gradient's norm, the five best spans. */
#include "check.h"

#include "base/json.h"
#include "format/npy.h"
#include "task/vslnet.h"
#include "tensor/backend.h"
#include "tensor/tape.h"

#define FOLDER "tests/golden/heads/"

enum { SAMPLES = 2, CLIPS = 20, WORDS = 6, BEST = 5 };

typedef struct fixture {
    ego_json *meta; /* the file's, and "vslnet" of it */
    const ego_json *vslnet;
    ego_head *head;
    ego_backend *backend;
    ego_pool *pool;
    ego_ctx cx;
    ego_npy video, query, video_mask, query_mask, start, end;
    float got[3][SAMPLES][CLIPS]; /* highlight (of which the sigmoid is compared), start, end */
} fixture;

static double number(const ego_json *object, const char *key) {
    double value = NAN;
    ego_json_number(ego_json_get(object, key), &value);
    return value;
}

static bool load(const char *name, ego_npy *npy) {
    char path[256];
    snprintf(path, sizeof path, FOLDER "vslnet_%s.npy", name);
    return CHECK_OK(ego_npy_open(path, npy));
}

static void compare(const char *name, const float *got) {
    ego_npy ref = {0};
    double difference = 0, norm = 0;
    if (!load(name, &ref)) return;
    CHECK(ego_tensor_count(&ref.tensor) == SAMPLES * CLIPS);
    for (int64_t i = 0; i < SAMPLES * CLIPS; i++) {
        double want = ego_f32(&ref.tensor)[i], d = got[i] - want;
        if (want < -1e29) {
            CHECK(got[i] < -1e29);
            continue;
        }
        difference += d * d;
        norm += want * want;
    }
    printf("%-12s relative error %.2g\n", name, sqrt(difference / norm));
    CHECK(sqrt(difference / norm) < 1e-5);
    ego_npy_close(&ref);
}

/* How many ones a mask's row begins with; there are none behind. */
static int64_t length(const ego_npy *mask, int64_t row) {
    int64_t n = 0, columns = ego_tensor_columns(&mask->tensor);
    const float *at = ego_f32(&mask->tensor) + row * columns;
    while (n < columns && at[n] != 0) n++;
    for (int64_t i = n; i < columns; i++) CHECK(at[i] == 0);
    return n;
}

static ego_tensor *rows_of(ego_ctx *cx, const ego_npy *all, int64_t sample) {
    int64_t rows = all->tensor.shape[1], columns = all->tensor.shape[2];
    ego_tensor *x = EGO_TENSOR(cx, rows, columns);
    if (x)
        memcpy(x->data, ego_f32(&all->tensor) + sample * rows * columns,
               (size_t)(rows * columns) * sizeof(float));
    return x;
}

/* Forward and backward of one sample; keeps what it gave and adds its losses. */
static void one_sample(fixture *f, int64_t s, int64_t clips, double *span, double *highlight) {
    ego_vslnet_input in = {.video = rows_of(&f->cx, &f->video, s),
                           .query = rows_of(&f->cx, &f->query, s),
                           .clips = length(&f->video_mask, s),
                           .tokens = length(&f->query_mask, s)};
    ego_vslnet_span target = {((int32_t *)f->start.tensor.data)[s],
                              ((int32_t *)f->end.tensor.data)[s]};
    ego_vslnet_output out;
    ego_vslnet_losses losses;
    if (!CHECK_OK(ego_vslnet_forward(&f->cx, f->head, &in, &out))) return;
    if (!CHECK_OK(ego_vslnet_loss(&f->cx, &out, in.clips, target,
                                  (ego_vslnet_batch){SAMPLES, clips}, &losses)))
        return;
    *span += (double)ego_f32(losses.span)[0];
    *highlight += (double)ego_f32(losses.highlight)[0];
    for (int64_t i = 0; i < CLIPS; i++)
        f->got[0][s][i] = 1 / (1 + expf(-ego_f32(out.highlight)[i]));
    memcpy(f->got[1][s], out.start->data, sizeof f->got[1][s]);
    memcpy(f->got[2][s], out.end->data, sizeof f->got[2][s]);
    ego_grad_add(&f->cx, losses.span, 1, NULL);
    ego_grad_add(&f->cx, losses.highlight, EGO_VSLNET_HIGHLIGHT_WEIGHT, NULL);
    ego_tape_backward(&f->cx);
    CHECK_OK(ego_ctx_err(&f->cx));
}

static ego_err check_gradient(void *context, const ego_param_spec *spec) {
    fixture *f = context;
    double square = 0, want = number(ego_json_get(f->vslnet, "grad_norm"), spec->name);
    for (int64_t i = 0; i < ego_tensor_count(&spec->param->value); i++)
        square += (double)spec->param->grad[i] * (double)spec->param->grad[i];
    double gap = fabs(sqrt(square) - want);
    if (!CHECK(gap <= 1e-4 * want || gap <= 1e-6))
        fprintf(stderr, "    %s: expected %.9g, found %.9g\n", spec->name, want, sqrt(square));
    return EGO_OK;
}

static void test_training(fixture *f) {
    double span = 0, highlight = 0;
    int64_t clips = 0;
    ego_tape *tape;
    if (!CHECK_OK(ego_tape_new(false, &tape))) return;
    CHECK_OK(ego_head_make_trainable(f->head));
    for (int64_t s = 0; s < SAMPLES; s++) clips += length(&f->video_mask, s);
    for (int64_t s = 0; s < SAMPLES; s++) {
        ego_ctx_mark mark = ego_ctx_save(&f->cx);
        ego_tape_attach(&f->cx, tape);
        one_sample(f, s, clips, &span, &highlight);
        ego_tape_attach(&f->cx, NULL);
        ego_ctx_rewind(&f->cx, &mark);
    }
    compare("highlight", f->got[0][0]);
    compare("start_logits", f->got[1][0]);
    compare("end_logits", f->got[2][0]);
    double wanted = number(f->vslnet, "span_loss");
    CHECK_NEAR(span, wanted, 1e-5 * wanted);
    wanted = number(f->vslnet, "highlight_loss");
    CHECK_NEAR(highlight, wanted, 1e-5 * wanted);
    wanted = number(f->vslnet, "total_loss_lambda_5");
    CHECK_NEAR(span + EGO_VSLNET_HIGHLIGHT_WEIGHT * highlight, wanted, 1e-5 * wanted);
    CHECK_OK(ego_head_visit(f->head, check_gradient, f));
    ego_tape_free(tape);
}

static void test_spans(fixture *f) {
    ego_npy starts = {0}, ends = {0}, targets = {0};
    if (!load("top5_start", &starts) || !load("top5_end", &ends) ||
        !load("highlight_labels", &targets))
        return;
    for (int64_t s = 0; s < SAMPLES; s++) {
        ego_vslnet_answer best[BEST];
        float target[CLIPS];
        int64_t n = length(&f->video_mask, s);
        CHECK(ego_vslnet_best(f->got[1][s], f->got[2][s], n, BEST, best) == BEST);
        for (int64_t k = 0; k < BEST; k++) {
            CHECK(best[k].span.start == ((int32_t *)starts.tensor.data)[s * BEST + k]);
            CHECK(best[k].span.end == ((int32_t *)ends.tensor.data)[s * BEST + k]);
        }
        ego_vslnet_span label = {((int32_t *)f->start.tensor.data)[s],
                                 ((int32_t *)f->end.tensor.data)[s]};
        ego_vslnet_highlight(label, n, target);
        for (int64_t i = 0; i < n; i++) CHECK(target[i] == ego_f32(&targets.tensor)[s * CLIPS + i]);
    }
    ego_npy_close(&starts);
    ego_npy_close(&ends);
    ego_npy_close(&targets);
}

static bool set_up(fixture *f) {
    if (!CHECK_OK(ego_json_read(FOLDER "meta.json", 1 << 24, &f->meta))) return false;
    f->vslnet = ego_json_get(f->meta, "vslnet");
    if (!CHECK_OK(ego_head_open(FOLDER "vslnet.pth", NULL, &f->head))) return false;
    if (!CHECK_OK(ego_pool_new(2, &f->pool)) ||
        !CHECK_OK(ego_cpu_backend_new(f->pool, &f->backend)))
        return false;
    ego_ctx_init(&f->cx, f->backend);
    return load("video", &f->video) && load("query", &f->query) &&
           load("video_mask", &f->video_mask) && load("query_mask", &f->query_mask) &&
           load("start_labels", &f->start) && load("end_labels", &f->end);
}

static void tear_down(fixture *f) {
    ego_npy *all[] = {&f->video, &f->query, &f->video_mask, &f->query_mask, &f->start, &f->end};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) ego_npy_close(all[i]);
    ego_head_close(f->head, f->backend);
    ego_ctx_release(&f->cx);
    ego_backend_free(f->backend);
    ego_pool_free(f->pool);
    ego_json_free(f->meta);
}

int main(void) {
    fixture f = {0};
    if (set_up(&f)) {
        test_training(&f);
        test_spans(&f);
    }
    tear_down(&f);
    return check_done();
}
