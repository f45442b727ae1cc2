/* What training does to clips: random boxes and flips, smaller pictures, drawn instants. */
#include "check.h"

#include "base/rng.h"
#include "media/augment.h"
#include "media/prepare.h"
#include "media/sample.h"
#include "media/shrink.h"

enum { DRAWS = 20000 };

static void boxes(int width, int height) {
    double area = 0, logarithm = 0, low = 1, high = 0, left = 0, top = 0;
    int ends = 0;
    for (int i = 0; i < DRAWS; i++) {
        uint64_t stream = ego_rng_stream(3, (uint64_t)i);
        ego_box b = ego_augment_box(width, height, stream), again;
        again = ego_augment_box(width, height, stream);
        CHECK(memcmp(&b, &again, sizeof b) == 0);
        CHECK(b.left >= 0 && b.top >= 0 && b.width > 0 && b.height > 0 &&
              b.left + b.width <= width && b.top + b.height <= height);
        double part = (double)b.width * b.height / ((double)width * height);
        double aspect = (double)b.width / b.height;
        CHECK(part > 0.49 && part <= 1 && aspect > 0.74 && aspect < 1.35);
        area += part / DRAWS;
        logarithm += log(aspect) / DRAWS;
        low = fmin(low, part);
        high = fmax(high, part);
        left += b.left + b.width / 2.0;
        top += b.top + b.height / 2.0;
        ends += b.left == 0 || b.left + b.width == width;
    }
    CHECK(low < 0.51 && ends > 0 && high > (width == height ? 0.95 : 0.7));
    CHECK_NEAR(left / DRAWS / width, 0.5, 0.01);
    CHECK_NEAR(top / DRAWS / height, 0.5, 0.01);
    if (width != height) return;
    CHECK_NEAR(logarithm, 0, 0.005);
    /* Of a square, an area a fits while |log aspect| <= -log a: its mean is the integral of a times
     * that, over the integral of it. */
    double sum = 0, weight = 0;
    for (double a = 0.50005; a < 1; a += 1e-4) {
        double fits = fmin(1, -log(a) / log(4.0 / 3));
        sum += a * fits;
        weight += fits;
    }
    CHECK_NEAR(area, sum / weight, 0.004);
}

static void boxes_that_never_fit(void) {
    ego_box wide = ego_augment_box(1000, 30, 5), tall = ego_augment_box(30, 1000, 5);
    CHECK(wide.width == 40 && wide.height == 30 && wide.left == 480 && wide.top == 0);
    CHECK(tall.width == 30 && tall.height == 40 && tall.left == 0 && tall.top == 480);
    ego_box one = ego_augment_box(1, 1, 5);
    CHECK(one.width == 1 && one.height == 1 && one.left == 0 && one.top == 0);
}

static void flips(void) {
    int n = 0;
    for (int i = 0; i < DRAWS; i++) n += ego_augment_flip(ego_rng_stream(4, (uint64_t)i));
    CHECK_NEAR(n / (double)DRAWS, 0.5, 0.02);
}

/* Made smaller first, then prepared: the same as prepared at once, but for the 8 bits between. */
static void smaller_pictures(int width, int height) {
    enum { S = 56, R = 64 };
    static float at_once[3 * S * S], after[3 * S * S];
    ego_image image = {0}, small = {0};
    ego_preparer *preparer = NULL;
    CHECK_OK(ego_image_new(width, height, &image));
    for (int i = 0; i < width * height * 3; i++)
        image.rgb[i] = (uint8_t)(128 + 120 * sin(i * 0.011) * cos(i / (3 * width) * 0.07));
    CHECK_OK(ego_preparer_new(EGO_PREPARE_STANDARD, S, &preparer));
    CHECK_OK(ego_shrink(&image, R, &small));
    CHECK((width < height ? small.width : small.height) == R);
    CHECK((width < height ? small.height : small.width) ==
          (width < height ? height * R / width : width * R / height));
    CHECK_OK(ego_prepare(preparer, &image, at_once));
    CHECK_OK(ego_prepare(preparer, &small, after));
    double worst = 0;
    for (int i = 0; i < 3 * S * S; i++) worst = fmax(worst, fabs((double)at_once[i] - after[i]));
    CHECK(worst <= 0.501 / 255 / 0.224);
    CHECK_OK(ego_shrink(&small, R, &image)); /* small enough: as it is */
    CHECK(image.width == small.width && image.height == small.height &&
          memcmp(image.rgb, small.rgb, (size_t)(3 * small.width * small.height)) == 0);
    CHECK_ERR(EGO_EINPUT, ego_shrink(&(ego_image){0}, R, &small));
    ego_preparer_free(preparer);
    ego_image_free(&image);
    ego_image_free(&small);
}

static void instants(void) {
    enum { F = 4, M = 5 };
    double all[F * M], got[F];
    int seen[F * M] = {0}, which[F];
    ego_sample_times(3.1, 7.7, F * M, all);
    for (uint64_t i = 0; i < 2000; i++) {
        uint64_t stream = ego_rng_stream(9, i);
        ego_sample_times_random(3.1, 7.7, F, M, stream, got);
        ego_sample_moments(F, M, stream, which);
        for (int f = 0; f < F; f++) {
            CHECK(which[f] >= f * M && which[f] < (f + 1) * M && got[f] == all[which[f]]);
            seen[which[f]]++;
        }
        ego_sample_times_random(3.1, 7.7, F, 0, stream, got);
        for (int f = 0; f < F; f++)
            CHECK(got[f] >= 3.1 + f * 1.15 && got[f] < 3.1 + (f + 1) * 1.15);
    }
    for (int i = 0; i < F * M; i++) CHECK_NEAR(seen[i], 400, 80);
}

static void reference_numbers(void) {
    int64_t index[8];
    int found = 0;
    for (uint64_t i = 0; i < 500; i++) {
        CHECK_OK(ego_sample_reference_random(2, 4, 4, ego_rng_stream(1, i), index, &found));
        CHECK(found == 4);
        for (int f = 0; f < 4; f++) CHECK(index[f] >= 60 + 15 * f && index[f] <= 60 + 15 * f + 13);
    }
    CHECK_ERR(EGO_EINPUT, ego_sample_reference_random(2, 2.1, 4, 1, index, &found));
    CHECK_OK(ego_sample_reference_random(-2, -1, 4, 1, index, &found));
    CHECK(found == 0);
}

int main(void) {
    boxes(128, 128);
    boxes(171, 128);
    boxes(128, 227);
    boxes_that_never_fit();
    flips();
    smaller_pictures(160, 96);
    smaller_pictures(97, 300);
    instants();
    reference_numbers();
    return check_done();
}
