/* Kernel temporal segmentation against a search of everything, and against the published order of sums. */
#include "check.h"

#include "base/rng.h"
#include "task/kts.h"

enum { SMALL = 12, DIM = 5 };

static void draw(uint64_t seed, size_t n, size_t D, size_t every, float *x) {
    for (size_t t = 0; t < n; t++)
        for (size_t d = 0; d < D; d++) {
            double mean = every ? 8 * ego_rng_normal(ego_rng_stream(seed, t / every), d) : 0;
            x[t * D + d] = (float)(mean + ego_rng_normal(seed, t * D + d));
        }
}

/* J(a, b) by its definition. */
static double scatter(const float *x, size_t D, size_t a, size_t b) {
    double sum = 0;
    for (size_t d = 0; d < D; d++) {
        double mean = 0;
        for (size_t t = a; t < b; t++) mean += (double)x[t * D + d] / (double)(b - a);
        for (size_t t = a; t < b; t++)
            sum += ((double)x[t * D + d] - mean) * ((double)x[t * D + d] - mean);
    }
    return sum;
}

/* Every way to cut n shots: bit t of `cuts` says that one is before shot t + 1. */
static void test_everything(uint64_t seed) {
    float x[SMALL * DIM];
    draw(seed, SMALL, DIM, 4, x);
    double least[SMALL];
    for (size_t m = 0; m < SMALL; m++) least[m] = INFINITY;
    for (unsigned cuts = 0; cuts < 1u << (SMALL - 1); cuts++) {
        double cost = 0;
        size_t m = 0, from = 0;
        for (size_t t = 1; t <= SMALL; t++)
            if (t == SMALL || cuts >> (t - 1) & 1) {
                cost += scatter(x, DIM, from, t);
                from = t;
                m += t < SMALL;
            }
        if (cost < least[m]) least[m] = cost;
    }
    ego_kts kts = {0};
    CHECK_OK(ego_kts_segment(x, SMALL, DIM, NULL, &kts));
    CHECK(kts.n_costs == SMALL);
    size_t best = 0;
    double costs[SMALL];
    for (size_t m = 0; m < SMALL; m++) {
        costs[m] = least[m] / SMALL +
                   (m ? (double)m / (2 * SMALL) * (log((double)SMALL / (double)m) + 1) : 0);
        CHECK_NEAR(kts.costs[m], costs[m], 1e-10);
        if (costs[m] < costs[best]) best = m;
    }
    CHECK(kts.count == best + 1 && kts.starts[0] == 0 && kts.starts[kts.count] == SMALL);
    double cost = 0;
    for (size_t i = 0; i < kts.count; i++)
        cost += scatter(x, DIM, kts.starts[i], kts.starts[i + 1]);
    CHECK_NEAR(cost, least[best], 1e-10);
    ego_kts_release(&kts);
}

enum { MANY = 300 };

static void test_threads_and_length(void) {
    static float x[MANY * DIM];
    ego_pool *pool = NULL;
    draw(7, MANY, DIM, 10, x);
    CHECK_OK(ego_pool_new(3, &pool));
    ego_kts one = {0}, many = {0};
    CHECK_OK(ego_kts_segment(x, MANY, DIM, &(ego_kts_options){.most = 60, .penalty = 20}, &one));
    CHECK_OK(ego_kts_segment(x, MANY, DIM,
                             &(ego_kts_options){.most = 60, .penalty = 20, .pool = pool}, &many));
    CHECK(one.count == 30); /* more than the published program has: one change every ten shots */
    for (size_t i = 0; i < one.count; i++) CHECK(one.starts[i] == 10 * i);
    CHECK(one.count == many.count &&
          memcmp(one.costs, many.costs, one.n_costs * sizeof *one.costs) == 0);
    ego_kts_release(&one);
    ego_kts_release(&many);

    draw(8, MANY, DIM, 0,
         x); /* nothing ever changes: one segment, longer than the published limit */
    CHECK_OK(ego_kts_segment(x, MANY, DIM, &(ego_kts_options){.penalty = 10, .pool = pool}, &one));
    CHECK(one.count == 1);
    ego_kts_release(&one);
    CHECK_OK(
        ego_kts_segment(x, MANY, DIM, &(ego_kts_options){.penalty = 10, .reference = true}, &one));
    CHECK(one.count == 2 && one.starts[1] <= 198 && MANY - one.starts[1] <= 199);
    CHECK(isinf(one.costs[0]));
    ego_kts_release(&one);
    ego_pool_free(pool);
}

/* Integers: float32 sums are exact, so both orders of summing agree. */
static void test_reference(void) {
    static float x[100 * DIM];
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)(int)ego_rng_below(3, i, 7) + (float)((i / DIM / 25) * 4 % 9);
    ego_kts ours = {0}, theirs = {0};
    CHECK_OK(ego_kts_segment(x, 100, DIM, NULL, &ours));
    CHECK_OK(ego_kts_segment(x, 100, DIM, &(ego_kts_options){.reference = true}, &theirs));
    CHECK(ours.count == theirs.count);
    CHECK(ours.count == theirs.count &&
          memcmp(ours.starts, theirs.starts, (ours.count + 1) * sizeof *ours.starts) == 0);
    for (size_t m = 0; m < ours.n_costs; m++) CHECK_NEAR(ours.costs[m], theirs.costs[m], 1e-9);
    ego_kts_release(&ours);
    ego_kts_release(&theirs);
}

static void test_refused(void) {
    static float x[4000];
    ego_kts kts = {0};
    CHECK_ERR(EGO_EINPUT, ego_kts_segment(x, 0, 1, NULL, &kts));
    CHECK_ERR(EGO_EINPUT, ego_kts_segment(x, 10, 1, &(ego_kts_options){.most = 5000}, &kts));
    CHECK_ERR(EGO_EINPUT, ego_kts_segment(x, 19, 1, &(ego_kts_options){.reference = true}, &kts));
    CHECK_ERR(EGO_EINPUT, ego_kts_segment(x, 3980, 1, &(ego_kts_options){.reference = true}, &kts));
    CHECK_OK(ego_kts_segment(x, 1, 1, NULL, &kts)); /* one shot is one segment */
    CHECK(kts.count == 1 && kts.starts[0] == 0 && kts.starts[1] == 1);
    ego_kts_release(&kts);
    CHECK_OK(ego_kts_segment(x, 50, 1, NULL, &kts)); /* all alike: nothing to gain by a change */
    CHECK(kts.count == 1);
    ego_kts_release(&kts);
    x[3] = NAN;
    CHECK_ERR(EGO_EINPUT, ego_kts_segment(x, 10, 1, NULL, &kts));
}

int main(void) {
    for (uint64_t seed = 1; seed <= 5; seed++) test_everything(seed);
    test_threads_and_length();
    test_reference();
    test_refused();
    return check_done();
}
