/* The metrics against what the published evaluations compute: tests/golden/heads. */
#include "check.h"

#include "base/json.h"
#include "format/npy.h"
#include "score/charades.h"
#include "score/mir.h"
#include "score/qfvs.h"
#include "score/ranking.h"
#include "task/judge.h"

#include <unistd.h>

#define HEADS "tests/golden/heads/"
enum { META_MAX = 1 << 20 };

static ego_json *meta;

static double figure(const char *part, const char *name) {
    double value = NAN;
    CHECK(ego_json_number(ego_json_get(ego_json_get(meta, part), name), &value));
    return value;
}

/* ---- EK-100 MIR ---------------------------------------------------------------------------------- */

/* rows of a matrix of floats, or its columns */
static void row_of(const ego_npy *npy, bool turned, int64_t i, int64_t n, double *row) {
    int64_t columns = npy->tensor.shape[1];
    const float *at = ego_f32(&npy->tensor);
    for (int64_t k = 0; k < n; k++) row[k] = turned ? at[k * columns + i] : at[i * columns + k];
}

static void mir_one_way(const ego_npy *sim, const ego_npy *rel, bool turned, const char *ndcg,
                        const char *map) {
    int64_t rows = sim->tensor.shape[turned], n = sim->tensor.shape[!turned];
    double s[64], r[64], sum_ndcg = 0, sum_ap = 0;
    ego_mir mir;
    if (!CHECK(n <= 64) || !CHECK_OK(ego_mir_init(&mir, (size_t)n))) return;
    for (int64_t i = 0; i < rows; i++) {
        row_of(sim, turned, i, n, s);
        row_of(rel, turned, i, n, r);
        ego_mir_query q = ego_mir_score(&mir, s, r, (size_t)n);
        sum_ndcg += q.ndcg;
        sum_ap += q.ap;
    }
    ego_mir_release(&mir);
    CHECK_NEAR(sum_ndcg / (double)rows, figure("mir", ndcg), 1e-6);
    CHECK_NEAR(sum_ap / (double)rows, figure("mir", map), 1e-6);
}

static void test_mir(void) {
    ego_npy sim = {0}, rel = {0};
    if (CHECK_OK(ego_npy_open(HEADS "metric_sim.npy", &sim)) &&
        CHECK_OK(ego_npy_open(HEADS "metric_rel.npy", &rel))) {
        mir_one_way(&sim, &rel, false, "nDCG_V2T", "mAP_V2T");
        mir_one_way(&sim, &rel, true, "nDCG_T2V", "mAP_T2V");
    }
    ego_npy_close(&sim);
    ego_npy_close(&rel);
}

/* ---- Charades-Ego -------------------------------------------------------------------------------- */

/* Videos with no label at all rank last in the published evaluation: here they are not present. */
static void test_charades(void) {
    enum { VIDEOS = 50, CLASSES = 12 };
    ego_npy score = {0}, truth = {0};
    if (!CHECK_OK(ego_npy_open(HEADS "charades_score.npy", &score)) ||
        !CHECK_OK(ego_npy_open(HEADS "charades_gt.npy", &truth)) ||
        !CHECK(score.tensor.shape[0] == VIDEOS && score.tensor.shape[1] == CLASSES))
        return;
    const int32_t *labels = truth.tensor.data;
    bool present[VIDEOS] = {false};
    for (int i = 0; i < VIDEOS * CLASSES; i++) present[i / CLASSES] |= labels[i] != 0;
    const ego_json *want = ego_json_get(ego_json_get(meta, "charades"), "per_class");
    ego_ranking ranking;
    CHECK_OK(ego_ranking_init(&ranking, VIDEOS));
    double sum = 0;
    int classes = 0;
    want = ego_json_first(want);
    for (int c = 0; c < CLASSES; c++, want = ego_json_next(want)) {
        double scores[VIDEOS], positive[VIDEOS], expected;
        for (int v = 0; v < VIDEOS; v++) {
            scores[v] = ego_f32(&score.tensor)[v * CLASSES + c];
            positive[v] = labels[v * CLASSES + c];
        }
        double ap =
            ego_class_ap(ego_rank(&ranking, scores, VIDEOS), VIDEOS, positive, NULL, present);
        if (ego_json_number(want, &expected))
            CHECK_NEAR(ap, expected, 1e-6);
        else
            CHECK(isnan(ap));
        if (isnan(ap)) continue;
        sum += ap;
        classes++;
    }
    CHECK_NEAR(sum / classes, figure("charades", "mAP"), 1e-6);
    ego_ranking_release(&ranking);
    ego_npy_close(&score);
    ego_npy_close(&truth);
}

/* ---- QFVS ---------------------------------------------------------------------------------------- */

static size_t shots_of(const char *name, uint32_t shots[16]) {
    const ego_json *list = ego_json_get(ego_json_get(meta, "qfvs_score"), name);
    size_t n = 0;
    for (const ego_json *x = ego_json_first(list); x && n < 16; x = ego_json_next(x)) {
        int64_t shot = 0;
        CHECK(ego_json_integer(x, &shot));
        shots[n++] = (uint32_t)shot;
    }
    return n;
}

static void test_qfvs(void) {
    enum { SHOTS = 80, CONCEPTS = 48 };
    ego_npy tags = {0};
    if (!CHECK_OK(ego_npy_open(HEADS "qfvs_tags.npy", &tags)) ||
        !CHECK(tags.tensor.shape[0] == SHOTS && tags.tensor.shape[1] == CONCEPTS))
        return;
    uint64_t bits[SHOTS] = {0};
    for (int i = 0; i < SHOTS * CONCEPTS; i++)
        bits[i / CONCEPTS] |= (uint64_t)(((const int32_t *)tags.tensor.data)[i] != 0)
                              << i % CONCEPTS;
    uint32_t machine[16], truth[16];
    size_t n = shots_of("machine", machine), m = shots_of("truth", truth);
    ego_qfvs_scores scores = {0};
    CHECK_OK(ego_qfvs_score(machine, n, truth, m, bits, 1, &scores));
    CHECK_NEAR(scores.precision, figure("qfvs_score", "precision"), 1e-6);
    CHECK_NEAR(scores.recall, figure("qfvs_score", "recall"), 1e-6);
    CHECK_NEAR(scores.f1, figure("qfvs_score", "f1"), 1e-6);
    ego_npy_close(&tags);
}

/* ---- Ego4D NLQ ----------------------------------------------------------------------------------- */

/* From the challenge's file and the official annotations to the table: r1@0.3 r3@0.3 … r5@0.01 miou. */
static void test_nlq(void) {
    ego_judge_options options = {.truth = HEADS "nlq_ground_truth.json"};
    ego_judgement judgement;
    double found[16];
    if (!CHECK_OK(ego_judge(EGO_JUDGE_nlq, HEADS "nlq_predictions.json", &options, &judgement)))
        return;
    CHECK(judgement.missing == 0 && judgement.doubled == 0 && judgement.unknown == 0);
    if (CHECK(judgement.tally.n_metrics == 10)) {
        ego_tally_evaluate(&judgement.tally, NULL, found);
        size_t m = 0;
        const ego_json *table =
            ego_json_get(ego_json_get(meta, "nlq"), "recall_rows_threshold_columns_topk");
        for (const ego_json *row = ego_json_first(table); row; row = ego_json_next(row))
            for (const ego_json *x = ego_json_first(row); x && m < 9; x = ego_json_next(x), m++) {
                double want = NAN;
                CHECK(ego_json_number(x, &want));
                CHECK_NEAR(found[m] / 100, want, 1e-6);
            }
        CHECK(m == 9);
        CHECK_STR(judgement.tally.metrics[9].name, "miou");
        CHECK_NEAR(found[9] / 100, figure("nlq", "mIoU"), 1e-6);
    }
    ego_judgement_release(&judgement);
}

int main(void) {
    if (access(HEADS "meta.json", R_OK) != 0) return check_skip("no " HEADS "meta.json here");
    if (!CHECK_OK(ego_json_read(HEADS "meta.json", META_MAX, &meta))) return check_done();
    test_mir();
    test_charades();
    test_qfvs();
    test_nlq();
    ego_json_free(meta);
    return check_done();
}
