/* Search against the obvious way of doing it, and what must not change the answer. */
#include "base/rng.h"
#include "check.h"
#include "task/match.h"

enum { DIM = 37, TARGETS = 2500, QUERIES = 21, K = 7 };

static float target_data[TARGETS][DIM], query_data[QUERIES][DIM];
static ego_vector targets[TARGETS], queries[QUERIES];

static void fill(void) {
    for (size_t t = 0; t < TARGETS; t++)
        for (size_t i = 0; i < DIM; i++)
            target_data[t][i] = (float)(3 * ego_rng_normal(1, t * DIM + i));
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t i = 0; i < DIM; i++) query_data[q][i] = (float)ego_rng_normal(2, q * DIM + i);
    memcpy(target_data[2001], target_data[13], sizeof target_data[13]); /* ties */
    memcpy(target_data[14], target_data[13], sizeof target_data[13]);
    memcpy(query_data[4], target_data[13], sizeof target_data[13]);
    for (size_t t = 0; t < TARGETS; t++) targets[t] = (ego_vector){target_data[t], EGO_F32};
    for (size_t q = 0; q < QUERIES; q++) queries[q] = (ego_vector){query_data[q], EGO_F32};
}

static double cosine(const float *a, const float *b) {
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < DIM; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return dot / sqrt(aa * bb);
}

static void check_against_double(const ego_match_result *found) {
    for (size_t q = 0; q < QUERIES; q++) {
        const ego_match_hit *hit = found->hits + q * K;
        CHECK(found->n_hits[q] == K);
        double worst = 2;
        for (size_t i = 0; i < K; i++) {
            CHECK_NEAR(hit[i].score, cosine(query_data[q], target_data[hit[i].target]), 2e-6);
            CHECK(hit[i].score <= worst);
            worst = hit[i].score;
        }
        size_t better = 0;
        for (size_t t = 0; t < TARGETS; t++)
            better += cosine(query_data[q], target_data[t]) > worst + 2e-6;
        CHECK(better < K);
    }
}

static void check_same(const ego_match_result *a, size_t qa, const ego_match_result *b, size_t qb) {
    CHECK(a->n_hits[qa] == b->n_hits[qb]);
    for (size_t i = 0; i < a->n_hits[qa]; i++) {
        CHECK(a->hits[qa * a->k + i].target == b->hits[qb * b->k + i].target);
        CHECK(a->hits[qa * a->k + i].score == b->hits[qb * b->k + i].score);
    }
}

static void test_invariance(const ego_match_result *all) {
    ego_pool *pool;
    CHECK_OK(ego_pool_new(3, &pool));
    ego_match_options options = {.k = K, .min_score = -INFINITY, .pool = pool};
    ego_match_result other;
    CHECK_OK(ego_match(queries, QUERIES, targets, TARGETS, DIM, &options, &other));
    for (size_t q = 0; q < QUERIES; q++) check_same(all, q, &other, q);
    ego_match_release(&other);

    CHECK_OK(ego_match(queries + 17, 1, targets, TARGETS, DIM, &options, &other)); /* alone */
    check_same(all, 17, &other, 0);
    ego_match_release(&other);

    /* Other targets in front move rows to other places of their tiles: scores keep their bits. */
    size_t best = all->hits[17 * K].target;
    if (best >= 3) {
        CHECK_OK(ego_match(queries + 17, 1, targets + 3, TARGETS - 3, DIM, &options, &other));
        CHECK(other.hits[0].score == all->hits[17 * K].score && other.hits[0].target == best - 3);
        ego_match_release(&other);
    }
    ego_pool_free(pool);
}

static void test_ties(const ego_match_result *all) {
    const ego_match_hit *hit = all->hits + 4 * K;
    CHECK(hit[0].target == 13 && hit[1].target == 14 && hit[2].target == 2001);
    CHECK_NEAR(hit[0].score, 1, 1e-6);
    ego_match_options options = {.k = 1, .min_score = -INFINITY};
    ego_match_result one;
    CHECK_OK(ego_match(queries + 4, 1, targets, TARGETS, DIM, &options, &one));
    CHECK(one.hits[0].target == 13);
    ego_match_release(&one);
}

static void test_limits(void) {
    ego_match_result found;
    ego_match_options options = {.k = 100, .min_score = 0.999};
    CHECK_OK(ego_match(queries + 4, 1, targets, TARGETS, DIM, &options, &found));
    CHECK(found.n_hits[0] == 3);
    ego_match_release(&found);

    options = (ego_match_options){.k = 100, .min_score = -INFINITY};
    CHECK_OK(ego_match(queries, 2, targets, 5, DIM, &options, &found));
    CHECK(found.k == 5 && found.n_hits[0] == 5 && found.n_hits[1] == 5);
    ego_match_release(&found);
    CHECK_OK(ego_match(queries, 2, targets, 0, DIM, &options, &found));
    CHECK(found.n_hits[0] == 0);
    ego_match_release(&found);
    CHECK_OK(ego_match(queries, 0, targets, 5, DIM, &options, &found));
    ego_match_release(&found);
    CHECK_ERR(EGO_EINPUT, ego_match(queries, 1, targets, 5, 0, &options, &found));
    options.k = 0;
    CHECK_ERR(EGO_EINPUT, ego_match(queries, 1, targets, 5, DIM, &options, &found));
}

static void test_bad_vectors(void) {
    float broken[4][DIM];
    ego_vector vectors[4];
    for (size_t v = 0; v < 4; v++) {
        memcpy(broken[v], target_data[v], sizeof broken[v]);
        vectors[v] = (ego_vector){broken[v], EGO_F32};
    }
    broken[1][DIM - 1] = NAN;
    broken[2][0] = INFINITY;
    ego_match_options options = {.k = 4, .min_score = -INFINITY};
    ego_match_result found;
    CHECK_OK(ego_match(vectors, 4, vectors, 4, DIM, &options, &found));
    CHECK(found.n_bad_targets == 2 && found.first_bad_target == 1);
    CHECK(found.bad_query[1] && found.bad_query[2] && !found.bad_query[0] && !found.bad_query[3]);
    CHECK(found.n_hits[0] == 2 && found.n_hits[1] == 0);
    CHECK(found.hits[0].target == 0 && found.hits[1].target == 3);
    ego_match_release(&found);

    memset(broken[0], 0, sizeof broken[0]); /* no direction: a cosine of 0 with everything */
    CHECK_OK(ego_match(vectors, 1, vectors, 4, DIM, &options, &found));
    CHECK(found.n_hits[0] == 2 && found.hits[0].score == 0);
    ego_match_release(&found);
}

/* Sixteen and eight bits, and bytes that stand at odd addresses. */
static void test_storage(void) {
    static unsigned char bytes[DIM * 4 + 1];
    static uint16_t half[DIM];
    static int8_t small[DIM];
    float largest = 0;
    for (size_t i = 0; i < DIM; i++) largest = fmaxf(largest, fabsf(target_data[9][i]));
    for (size_t i = 0; i < DIM; i++) {
        half[i] = ego_f32_to_f16(target_data[9][i]);
        small[i] = (int8_t)lrintf(target_data[9][i] / largest * 127);
    }
    ego_match_options options = {.k = 4, .min_score = -INFINITY};
    ego_match_result found;
    ego_vector query = {target_data[9], EGO_F32};
    const struct {
        const void *data;
        ego_dtype dtype;
        double tolerance;
    } cases[] = {{target_data[9], EGO_F32, 1e-6}, {half, EGO_F16, 1e-5}, {small, EGO_I8, 1e-3}};
    for (size_t c = 0; c < 3; c++) {
        memcpy(bytes + 1, cases[c].data, DIM * ego_dtype_bytes(cases[c].dtype));
        ego_vector both[2] = {{cases[c].data, cases[c].dtype}, {bytes + 1, cases[c].dtype}};
        CHECK_OK(ego_match(&query, 1, both, 2, DIM, &options, &found));
        CHECK_NEAR(found.hits[0].score, 1, cases[c].tolerance);
        CHECK(found.hits[0].score == found.hits[1].score && found.hits[0].target == 0);
        ego_match_release(&found);
    }
}

static bool stop(void *context, const char *what, uint64_t done, uint64_t total) {
    (void)what;
    *(uint64_t *)context = done;
    return total == 0;
}

static void test_stop(void) {
    uint64_t seen = 0;
    ego_progress progress = {.report = stop, .context = &seen};
    ego_match_options options = {.k = 4, .min_score = -INFINITY, .progress = &progress};
    ego_match_result found;
    CHECK_ERR(EGO_ECANCELLED, ego_match(queries, 1, targets, TARGETS, DIM, &options, &found));
    CHECK(seen > 0 && seen < TARGETS && found.hits == NULL);
}

int main(void) {
    fill();
    ego_match_options options = {.k = K, .min_score = -INFINITY};
    ego_match_result all;
    CHECK_OK(ego_match(queries, QUERIES, targets, TARGETS, DIM, &options, &all));
    CHECK(all.n_bad_targets == 0);
    check_against_double(&all);
    test_invariance(&all);
    test_ties(&all);
    ego_match_release(&all);
    test_limits();
    test_bad_vectors();
    test_storage();
    test_stop();
    return check_done();
}
