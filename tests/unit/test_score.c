/* The metrics as functions: small cases by hand, properties, brute force, resampling. */
#include "check.h"

#include "base/keys.h"
#include "base/rng.h"
#include "score/assign.h"
#include "score/bootstrap.h"
#include "score/charades.h"
#include "score/choice.h"
#include "score/mir.h"
#include "score/nlq.h"
#include "score/qfvs.h"
#include "score/ranking.h"
#include "score/retrieval.h"

/* ---- rankings ------------------------------------------------------------------------------------ */

static const double *compared;

static int better(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    double p = isnan(compared[x]) ? -INFINITY : compared[x];
    double q = isnan(compared[y]) ? -INFINITY : compared[y];
    if (isnan(compared[x]) != isnan(compared[y])) return isnan(compared[x]) ? 1 : -1;
    if (p != q) return p > q ? -1 : 1;
    return (x > y) - (x < y);
}

static void check_ranking(ego_ranking *r, const double *scores, size_t n) {
    uint32_t expected[512];
    for (size_t i = 0; i < n; i++) expected[i] = (uint32_t)i;
    compared = scores;
    qsort(expected, n, sizeof *expected, better);
    const uint32_t *order = ego_rank(r, scores, n);
    CHECK(memcmp(order, expected, n * sizeof *order) == 0);
}

static void test_ranking(void) {
    ego_ranking r;
    double scores[512];
    if (!CHECK_OK(ego_ranking_init(&r, 512))) return;
    double edge[] = {0, -0.0, 1, NAN, -INFINITY, INFINITY, 1, -1e-310, 1e-310, -NAN, 0, 5e-324};
    check_ranking(&r, edge, sizeof edge / sizeof *edge);
    for (uint64_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < 512; i++) {
            double value = ego_rng_normal(round, i);
            /* doubles, floats, a few levels with many ties */
            scores[i] = round % 3 == 0 ? value : round % 3 == 1 ? (float)value : floor(2 * value);
        }
        check_ranking(&r, scores, 512 - (size_t)round);
    }
    ego_rank(&r, scores, 0);
    ego_ranking_release(&r);
}

/* ---- the assignment ------------------------------------------------------------------------------ */

/* The best over all ways to match rows from `row` on with columns not in `taken`. */
static double try_all(const double *w, size_t rows, size_t columns, size_t row, unsigned taken) {
    if (row == rows) return 0;
    double best = try_all(w, rows, columns, row + 1, taken); /* this row stays free */
    for (size_t c = 0; c < columns; c++) {
        if (taken >> c & 1) continue;
        double with = w[row * columns + c] + try_all(w, rows, columns, row + 1, taken | 1u << c);
        if (with > best) best = with;
    }
    return best;
}

static void test_assignment(void) {
    double w[36];
    int32_t match[6];
    for (uint64_t round = 0; round < 300; round++) {
        size_t rows = ego_rng_below(round, 100, 7), columns = ego_rng_below(round, 101, 7);
        for (size_t i = 0; i < rows * columns; i++) {
            double u = ego_rng_unit(round, i);
            /* any weights; a few levels, where many matchings are best; some that must stay free */
            w[i] = round % 3 == 0 ? u : round % 3 == 1 ? floor(4 * u) / 3 : u - 0.5;
        }
        double total = -1, sum = 0;
        unsigned taken = 0;
        if (!CHECK_OK(ego_assign(w, rows, columns, &total, match))) return;
        CHECK_NEAR(total, try_all(w, rows, columns, 0, 0), 1e-12);
        for (size_t i = 0; i < rows; i++) {
            if (match[i] < 0) continue;
            CHECK(match[i] < (int32_t)columns && !(taken >> match[i] & 1));
            taken |= 1u << match[i];
            sum += w[i * columns + (size_t)match[i]];
        }
        CHECK_NEAR(sum, total, 1e-12);
    }
}

static void test_summaries(void) {
    static const uint64_t tags[] = {3, 1, 0, 12, 15};
    CHECK_NEAR(ego_concepts_iou(&tags[0], &tags[1], 1), 0.5, 0);
    CHECK_NEAR(ego_concepts_iou(&tags[2], &tags[2], 1), 0, 0);
    const uint32_t a[] = {0, 3}, b[] = {4, 0, 3, 1}, none[] = {2};
    ego_qfvs_scores s;
    CHECK_OK(ego_qfvs_score(a, 2, b, 4, tags, 1, &s));
    CHECK_NEAR(s.precision, 1, 1e-15);
    CHECK_NEAR(s.recall, 0.5, 1e-15);
    CHECK_NEAR(s.f1, 2.0 / 3, 1e-15);
    CHECK_OK(ego_qfvs_score(a, 2, none, 1, tags, 1, &s)); /* nothing in the truth's shots */
    CHECK(s.precision == 0 && s.recall == 0 && s.f1 == 0);
    CHECK_OK(ego_qfvs_score(a, 0, b, 4, tags, 1, &s));
    CHECK(s.precision == 0 && s.recall == 0 && s.f1 == 0);
    CHECK_OK(ego_qfvs_score(a, 0, b, 0, tags, 1, &s));
    CHECK(s.f1 == 0);
}

/* ---- retrieval ----------------------------------------------------------------------------------- */

static void test_mir(void) {
    ego_mir mir;
    if (!CHECK_OK(ego_mir_init(&mir, 5))) return;
    const double sim[] = {0.9, 0.8, 0.7, 0.6, 0.5}, rel[] = {0.5, 1, 0, 1, 0.25};
    ego_mir_query q = ego_mir_score(&mir, sim, rel, 5);
    /* positives at ranks 2 and 4: (0.5 + 1)/2 and (0.5 + 1 + 0 + 1)/4 */
    CHECK_NEAR(q.ap, (0.75 + 0.625) / 2, 1e-15);
    double dcg = 0.5 + 1 / log2(3) + 1 / log2(5);
    double ideal = 1 + 1 / log2(3) + 0.5 / 2 + 0.25 / log2(5);
    CHECK_NEAR(q.ndcg, dcg / ideal, 1e-15);
    const double graded[] = {0.5, 0.5, 0, 0, 0}, nothing[] = {0, 0, 0, 0, 0};
    q = ego_mir_score(&mir, sim, graded, 5);
    CHECK(isnan(q.ap));
    CHECK_NEAR(q.ndcg, 1, 1e-15);
    q = ego_mir_score(&mir, sim, nothing, 5);
    CHECK(isnan(q.ap) && isnan(q.ndcg));
    ego_mir_release(&mir);
}

static void test_first_rank(void) {
    const double scores[] = {0.5, 0.9, 0.5, NAN, 0.1};
    const uint32_t right[] = {4, 2}, first[] = {0}, last[] = {3};
    CHECK(ego_first_rank(scores, 5, right, 2) == 3);
    CHECK(ego_first_rank(scores, 5, right, 1) == 4);
    CHECK(ego_first_rank(scores, 5, first, 1) == 2);
    CHECK(ego_first_rank(scores, 5, last, 1) == 5);
    CHECK(ego_first_rank(scores, 5, right, 0) == 0);
    const double all_bad[] = {NAN, NAN, 2};
    CHECK(ego_first_best(scores, 5) == 1);
    CHECK(ego_first_best(all_bad, 3) == 2 && ego_first_best(all_bad, 2) == 0);
}

static void test_overlap(void) {
    const double a[2] = {0, 10}, b[2] = {5, 15}, c[2] = {20, 30}, point[2] = {3, 3};
    CHECK_NEAR(ego_overlap(a, b), 1.0 / 3, 1e-15);
    CHECK(ego_overlap(a, c) == 0 && ego_overlap(point, point) == 0 && ego_overlap(a, point) == 0);
    const double spans[3][2] = {{20, 30}, {5, 15}, {0, 10}};
    CHECK(!ego_overlap_found(spans, 3, a, 1, 0.01) && ego_overlap_found(spans, 3, a, 2, 0.3));
    CHECK(!ego_overlap_found(spans, 2, a, 5, 1.0 / 3)); /* strictly above */
    CHECK(ego_overlap_found(spans, 3, a, 5, 0.99));
}

/* ---- tallies and resampling ---------------------------------------------------------------------- */

enum { UNITS = 40 };

/* Two columns: coin flips of two strata, and ranks. */
static ego_err fill(ego_tally *t, uint64_t seed) {
    EGO_TRY(ego_tally_init(t, UNITS, 2));
    for (size_t i = 0; i < UNITS; i++) {
        t->present[i] = i != 7;
        t->stratum[i] = i % 2;
        ego_tally_column(t, 0)[i] = ego_rng_unit(seed, i) < 0.5;
        if (i % 3) ego_tally_column(t, 1)[i] = 1 + (double)ego_rng_below(seed + 1, i, 9);
    }
    EGO_TRY(ego_tally_rank(t, 1, NULL));
    EGO_TRY(ego_tally_add(t, EGO_METRIC_MEAN, 0, 0, NULL, "mean"));
    EGO_TRY(ego_tally_add(t, EGO_METRIC_MEDIAN, 1, 0, NULL, "median"));
    return ego_tally_add(t, EGO_METRIC_AVERAGE, 0, 2, NULL, "average of %d", 2);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_tally(void) {
    ego_tally t;
    double result[3], values[2 * UNITS], sum = 0;
    size_t n = 0, of = 0, count = 0;
    if (!CHECK_OK(fill(&t, 3))) return;
    t.metrics[1].scale = 1;
    ego_tally_evaluate(&t, NULL, result);
    for (size_t i = 0; i < UNITS; i++) {
        if (i == 7) continue;
        sum += ego_tally_column(&t, 0)[i];
        if (i % 3) values[count++] = ego_tally_column(&t, 1)[i];
    }
    qsort(values, count, sizeof *values, ascending);
    CHECK_NEAR(result[0], 100 * sum / (UNITS - 1), 1e-12);
    CHECK_NEAR(result[1], (values[(count - 1) / 2] + values[count / 2]) / 2, 0);
    CHECK_NEAR(result[2], (result[0] + result[1]) / 2, 1e-12);
    ego_tally_count(&t, 0, &n, &of);
    CHECK(n == UNITS - 1 && of == UNITS);
    ego_tally_count(&t, 1, &n, &of);
    CHECK(n == count && of == count + 1);
    ego_tally_count(&t, 2, &n, &of);
    CHECK(n == 2 && of == 2);

    /* weights are copies */
    uint32_t weight[UNITS] = {0};
    count = 0;
    for (size_t i = 0; i < UNITS; i++) {
        weight[i] = i == 7 ? 0 : ego_rng_below(9, i, 3);
        for (uint32_t k = 0; i % 3 && k < weight[i]; k++)
            values[count++] = ego_tally_column(&t, 1)[i];
    }
    qsort(values, count, sizeof *values, ascending);
    ego_tally_evaluate(&t, weight, result);
    CHECK_NEAR(result[1], (values[(count - 1) / 2] + values[count / 2]) / 2, 0);
    memset(weight, 0, sizeof weight);
    ego_tally_evaluate(&t, weight, result);
    CHECK(isnan(result[0]) && isnan(result[1]) && isnan(result[2]));
    CHECK_STR(t.metrics[2].name, "average of 2");
    ego_tally_release(&t);
}

/* Copies of a video rank one behind the other. */
static void test_weighted_ap(void) {
    const uint32_t order[] = {2, 0, 1};
    const double positive[] = {1, 0, 1};
    const uint32_t weight[] = {2, 5, 0};
    CHECK_NEAR(ego_class_ap(order, 3, positive, NULL, NULL), 1, 1e-15);
    CHECK_NEAR(ego_class_ap(order, 3, positive, weight, NULL), 1, 1e-15);
    const uint32_t front[] = {1, 0, 2}, once[] = {1, 2, 1};
    CHECK_NEAR(ego_class_ap(front, 3, positive, once, NULL), (1.0 / 3 + 2.0 / 4) / 2, 1e-15);
    const bool present[] = {true, false, true};
    CHECK_NEAR(ego_class_ap(front, 3, positive, NULL, present), 1, 1e-15);
    const double nobody[] = {0, 1, 0};
    CHECK(isnan(ego_class_ap(front, 3, nobody, NULL, present)));
}

static void test_bootstrap(void) {
    ego_tally a, b;
    ego_interval first[3], again[3], difference[3], longer[3];
    double result[3];
    ego_bootstrap plan = {.resamples = 2000, .level = 0.95, .seed = 5};
    if (!CHECK_OK(fill(&a, 3)) || !CHECK_OK(fill(&b, 3))) return;
    ego_tally_evaluate(&a, NULL, result);
    CHECK_OK(ego_bootstrap_run(&plan, &a, NULL, NULL, first));
    CHECK_OK(ego_bootstrap_run(&plan, &a, NULL, NULL, again));
    CHECK(memcmp(first, again, sizeof first) == 0);
    CHECK(first[0].low < result[0] && result[0] < first[0].high);
    /* a proportion of 39: about ± 1.96 √(p q / n) */
    double p = result[0] / 100, half = 196 * sqrt(p * (1 - p) / 39);
    CHECK_NEAR(result[0] - first[0].low, half, 3);
    CHECK_NEAR(first[0].high - result[0], half, 3);
    CHECK_OK(ego_bootstrap_run(&plan, &a, &b, NULL, difference));
    CHECK(difference[0].low == 0 && difference[0].high == 0); /* the same draws for both */
    /* one unit more is right: the difference has the width of that unit alone */
    for (size_t i = 0; i < UNITS; i++)
        if (i != 7 && ego_tally_column(&b, 0)[i] == 1) {
            ego_tally_column(&b, 0)[i] = 0;
            break;
        }
    CHECK_OK(ego_bootstrap_run(&plan, &a, &b, NULL, difference));
    CHECK(difference[0].low == 0 && difference[0].high > 2 && difference[0].high < 11);
    plan.level = 0.5;
    CHECK_OK(ego_bootstrap_run(&plan, &a, NULL, NULL, longer));
    CHECK(longer[0].low >= first[0].low && longer[0].high < first[0].high);
    const double few[] = {1, 2, 4};
    CHECK_NEAR(ego_quantile(few, 3, 0), 1, 0);
    CHECK_NEAR(ego_quantile(few, 3, 0.75), 3, 1e-15);
    CHECK_NEAR(ego_quantile(few, 3, 1), 4, 0);
    ego_tally_release(&a);
    ego_tally_release(&b);
}

static void test_keys(void) {
    ego_keys keys = {0};
    static char names[1000][8];
    size_t at = 9;
    bool added = false;
    CHECK(!ego_keys_find(&keys, "0", &at));
    for (size_t i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof names[i], "%zu", i * 7);
        CHECK_OK(ego_keys_add(&keys, names[i], &at, &added));
        CHECK(at == i && added);
    }
    CHECK_OK(ego_keys_add(&keys, "7", &at, &added));
    CHECK(at == 1 && !added && keys.count == 1000);
    CHECK(ego_keys_find(&keys, "6993", &at) && at == 999);
    CHECK(!ego_keys_find(&keys, "6994", &at) && !ego_keys_find(&keys, "", &at));
    CHECK_STR(keys.names[999], "6993");
    ego_keys_release(&keys);
    ego_keys_release(&keys);
}

int main(void) {
    test_ranking();
    test_assignment();
    test_summaries();
    test_mir();
    test_first_rank();
    test_overlap();
    test_tally();
    test_weighted_ap();
    test_bootstrap();
    test_keys();
    return check_done();
}
