/* Where the clips of NLQ's grid are, against numbers from numpy; windows, overlap, which spans remain. */
#include "check.h"

#include "media/sample.h"
#include "task/spans.h"

/* edges = np.linspace(30 start, min(frames, 30 end), F + 1).astype(int), F = int((end − start)·1.87·4 + 1). */
static void test_numbers(void) {
    double at[897 * 4];
    CHECK(ego_sample_grid(480, 4) == 897); /* spec/tasks.md, section 4 */
    CHECK(ego_sample_grid(120, 4) == 224);
    CHECK(ego_sample_grid(0.4, 4) == 0);
    CHECK(ego_sample_grid(480, 16) == 897); /* EgoMQ's: trunc(14362.6) / 16 */
    CHECK(ego_sample_grid(1e12, 4) == EGO_SAMPLE_MAX_CLIPS);
    CHECK(ego_sample_grid(-1, 4) == 0);

    ego_sample_grid_numbers(0, 480, 14400, 4, 897, at);
    for (int i = 0; i < 12; i++) CHECK(at[i] == 1 + 4 * i);
    CHECK(at[897 * 4 - 1] == 14384); /* the last three of 3,591 frames are in no clip */

    ego_sample_grid_numbers(10.5, 12.5, 1000000, 4, 3, at);
    for (int i = 0; i < 12; i++) CHECK(at[i] == 316 + 4 * i);

    static const double cut[12] = {316, 319, 322, 326, 329, 332, 336, 339, 342, 346, 349, 352};
    ego_sample_grid_numbers(10.5, 12.5, 365, 4, 3, at); /* the video ends first */
    for (int i = 0; i < 12; i++) CHECK(at[i] == cut[i]);
}

static void test_times(void) {
    double at[12];
    ego_sample_grid_times(10, 12, 4, 3, at); /* 15 parts of 2/15 s */
    for (int i = 0; i < 12; i++) CHECK_NEAR(at[i], 10 + (i + 0.5) * 2 / 15, 1e-12);
    CHECK_NEAR(ego_sample_grid_step(2, 4), 8.0 / 15, 1e-12);
}

static void test_overlap(void) {
    ego_span a = {2, 6, 0}, b = {4, 8, 0}, apart = {7, 9, 0}, none = {3, 3, 0};
    CHECK_NEAR(ego_span_iou(&a, &b), 2.0 / 6, 1e-12);
    CHECK_NEAR(ego_span_iou(&a, &a), 1, 1e-12);
    CHECK(ego_span_iou(&a, &apart) == 0);
    CHECK(ego_span_iou(&a, &none) == 0);
    CHECK(ego_span_iou(&none, &none) == 0);
}

static void test_windows(void) {
    ego_window w[64];
    /* 2 s are 4 clips, at every clip; 1.9 s are as many; 6 s are 12, at every third and at the end; 20 s do not fit. */
    const double lengths[] = {2, 1.9, 6, 20};
    size_t n = ego_windows(20, 0.5, lengths, 4, w, 64);
    CHECK(n == 17 + 4);
    for (int64_t i = 0; i < 17; i++) CHECK(w[i].first == i && w[i].count == 4);
    static const int64_t first[] = {0, 3, 6, 8};
    for (int i = 0; i < 4; i++) CHECK(w[17 + i].first == first[i] && w[17 + i].count == 12);
    CHECK(ego_windows(20, 0.5, lengths, 4, NULL, 0) == 21);
    CHECK(ego_windows(3, 0.5, lengths, 4, w, 64) == 1 && w[0].first == 0 && w[0].count == 3);
    const double tiny[] = {1e-9, 1e30};
    CHECK(ego_windows(3, 0.5, tiny, 2, w, 64) == 3 && w[2].first == 2 && w[2].count == 1);
}

static void test_best(void) {
    const ego_span spans[] = {{0, 4, 0.5}, {1, 5, 0.9}, {6, 8, 0.4},   {6, 8, 0.9},
                              {9, 9, 0.7}, {0, 2, NAN}, {10, 12, 0.4}, {9.9, 12, 0.4}};
    ego_span best[8];
    size_t n;
    CHECK_OK(ego_spans_best(spans, 8, 0.3, 8, best, &n));
    CHECK(
        n ==
        5); /* {0,4} overlaps {1,5}, {6,8} itself, {10,12} {9.9,12}, which is earlier; {0,2} {1,5} by 1/5 */
    CHECK(best[0].start == 1 && best[1].start == 6 && best[1].score == 0.9 && best[2].start == 9);
    CHECK(best[3].start == 9.9 && isnan(best[4].score));
    CHECK_OK(ego_spans_best(spans, 8, 1, 3, best, &n));
    CHECK(n == 3 && best[0].start == 1 && best[1].start == 6 && best[2].start == 9);
    CHECK_OK(ego_spans_best(spans, 8, 0, 8, best, &n));
    CHECK(n == 4);
    CHECK_OK(ego_spans_best(NULL, 0, 0.3, 8, best, &n));
    CHECK(n == 0);
}

int main(void) {
    test_numbers();
    test_times();
    test_overlap();
    test_windows();
    test_best();
    return check_done();
}
