/* Query-focused summaries against what the published program computed: segmentation, and the head both ways. */
#include "check.h"

#include "base/hash.h"
#include "base/json.h"
#include "format/npy.h"
#include "task/kts.h"
#include "task/qfvs.h"

#define FOLDER "tests/golden/heads/"

typedef struct fixture {
    ego_json *meta;
    ego_backend *backend;
    ego_pool *pool;
    ego_ctx cx;
} fixture;

static double number(const ego_json *object, const char *key) {
    double value = NAN;
    ego_json_number(ego_json_get(object, key), &value);
    return value;
}

static void test_segments(fixture *f) {
    ego_npy x = {0};
    ego_kts kts = {0};
    if (!CHECK_OK(ego_npy_open(FOLDER "kts_features.npy", &x))) return;
    const ego_json *meta = ego_json_get(f->meta, "kts");
    const ego_json *changes = ego_json_get(meta, "change_points"),
                   *costs = ego_json_get(meta, "costs");
    ego_kts_options o = {.most = (size_t)number(meta, "max_change_points") + 1,
                         .penalty = number(meta, "vmax")};
    CHECK_OK(ego_kts_segment(ego_f32(&x.tensor), (size_t)x.tensor.shape[0],
                             (size_t)x.tensor.shape[1], &o, &kts));
    CHECK(kts.count == ego_json_count(changes) + 1);
    CHECK(kts.n_costs == ego_json_count(costs));
    size_t i = 1;
    for (const ego_json *c = ego_json_first(changes); c && i < kts.count;
         c = ego_json_next(c), i++) {
        int64_t at = -1;
        CHECK(ego_json_integer(c, &at) && (size_t)at == kts.starts[i]);
    }
    i = 0;
    for (const ego_json *c = ego_json_first(costs); c && i < kts.n_costs;
         c = ego_json_next(c), i++) {
        double cost = NAN;
        ego_json_number(c, &cost);
        CHECK_NEAR(kts.costs[i], cost, 1e-12 * cost);
    }
    ego_kts_release(&kts);
    ego_npy_close(&x);
}

enum { SEGMENTS = 3, WIDTH = 64, SHOTS = SEGMENTS * EGO_QFVS_PLACES };

/* Scores of the shots that are there; the error of all together under 1e-5. */
static void compare_scores(fixture *f, const char *name, const ego_tensor *scores,
                           const int32_t *lengths, bool padded) {
    ego_npy ref = {0};
    if (!CHECK_OK(ego_ctx_err(&f->cx)) || !CHECK_OK(ego_npy_open(name, &ref))) return;
    double difference = 0, norm = 0;
    const float *got = ego_f32(scores);
    for (int64_t s = 0; s < SEGMENTS; s++) {
        for (int64_t t = 0; t < lengths[s]; t++) {
            double want = ego_f32(&ref.tensor)[s * EGO_QFVS_PLACES + t], d = (double)got[t] - want;
            difference += d * d;
            norm += want * want;
        }
        got += padded ? EGO_QFVS_PLACES : lengths[s];
    }
    printf("%s: relative error %.2g\n", name, sqrt(difference / norm));
    CHECK(sqrt(difference / norm) < 1e-5);
    ego_npy_close(&ref);
}

static void test_head(fixture *f) {
    ego_npy lengths = {0};
    ego_head *head = NULL;
    if (!CHECK_OK(ego_npy_open(FOLDER "qfvs_segment_lengths.npy", &lengths))) return;
    CHECK_OK(ego_head_open(FOLDER "qfvs.pth", &ego_head_qfvs, &head));
    if (!head) goto out;
    const ego_json *config = ego_json_get(ego_json_get(f->meta, "qfvs"), "config");
    head->config.qfvs.heads = (int64_t)number(config, "nhead");
    CHECK(head->config.qfvs.width == WIDTH && head->config.qfvs.layers == 2);
    const int32_t *n = lengths.tensor.data;
    ego_tensor *all = EGO_TENSOR(&f->cx, SHOTS, WIDTH),
               *real = EGO_TENSOR(&f->cx, n[0] + n[1] + n[2], WIDTH);
    float bias[SHOTS];
    int64_t places[SEGMENTS + 1], ends[SEGMENTS + 1] = {0};
    uint64_t stream = ego_fnv1a("qfvs.features");
    for (int64_t i = 0; i < SHOTS * WIDTH; i++) ego_f32(all)[i] = (float)ego_golden_unit(stream, i);
    for (int64_t s = 0; s <= SEGMENTS; s++) places[s] = s * EGO_QFVS_PLACES;
    for (int64_t s = 0; s < SEGMENTS; s++) {
        ends[s + 1] = ends[s] + n[s];
        for (int64_t t = 0; t < EGO_QFVS_PLACES; t++) bias[places[s] + t] = t < n[s] ? 0 : 1;
        memcpy(ego_f32(real) + ends[s] * WIDTH, ego_f32(all) + places[s] * WIDTH,
               (size_t)(n[s] * WIDTH) * sizeof(float));
    }
    compare_scores(f, FOLDER "qfvs_scores_reference.npy",
                   ego_qfvs_logits(&f->cx, head, all, (ego_groups){places, SEGMENTS}, bias), n,
                   true);
    compare_scores(f, FOLDER "qfvs_scores_true_padding_mask.npy",
                   ego_qfvs_logits(&f->cx, head, real, (ego_groups){ends, SEGMENTS}, NULL), n,
                   false);
    ego_head_close(head, f->backend);
out:
    ego_npy_close(&lengths);
}

int main(void) {
    fixture f = {0};
    CHECK_OK(ego_json_read(FOLDER "meta.json", 1 << 20, &f.meta));
    CHECK_OK(ego_pool_new(1, &f.pool));
    CHECK_OK(ego_cpu_backend_new(f.pool, &f.backend));
    ego_ctx_init(&f.cx, f.backend);
    test_segments(&f);
    test_head(&f);
    ego_ctx_release(&f.cx);
    ego_backend_free(f.backend);
    ego_pool_free(f.pool);
    ego_json_free(f.meta);
    return check_done();
}
