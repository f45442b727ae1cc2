/* Preparation in one pass against its definition step by step, and the sampling rules against
 * values worked out by hand or with numpy. */
#include "check.h"

#include "base/rng.h"
#include "media/prepare.h"
#include "media/sample.h"

/* ---- preparation, step by step, in double ---------------------------------------------------- */

typedef struct plane3 {
    int width, height;
    double *at; /* (3, height, width) */
} plane3;

static plane3 new_plane(int width, int height) {
    plane3 p = {width, height, malloc(3 * sizeof(double) * (size_t)width * (size_t)height)};
    return p;
}

/* torch's bilinear: positions in float32, everything else here exact. */
static void position(int i, int from, int to, int *low, int *high, double *part) {
    float scale = (float)from / (float)to, at = scale * ((float)i + 0.5f) - 0.5f;
    if (at < 0) at = 0;
    *low = (int)at < from ? (int)at : from - 1;
    *high = *low + 1 < from ? *low + 1 : *low;
    *part = (double)at - *low;
}

static plane3 resize(plane3 in, int width, int height) {
    plane3 out = new_plane(width, height);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                int x0, x1, y0, y1;
                double px, py;
                position(x, in.width, width, &x0, &x1, &px);
                position(y, in.height, height, &y0, &y1, &py);
                const double *p = in.at + (size_t)c * (size_t)in.width * (size_t)in.height;
                const double *upper = p + (size_t)y0 * (size_t)in.width;
                const double *lower = p + (size_t)y1 * (size_t)in.width;
                out.at[((size_t)c * (size_t)height + (size_t)y) * (size_t)width + (size_t)x] =
                    (1 - py) * ((1 - px) * upper[x0] + px * upper[x1]) +
                    py * ((1 - px) * lower[x0] + px * lower[x1]);
            }
    free(in.at);
    return out;
}

static plane3 crop(plane3 in, int left, int top, int width, int height) {
    plane3 out = new_plane(width, height);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                out.at[((size_t)c * (size_t)height + (size_t)y) * (size_t)width + (size_t)x] =
                    in.at[((size_t)c * (size_t)in.height + (size_t)(top + y)) * (size_t)in.width +
                          (size_t)(left + x)];
    free(in.at);
    return out;
}

static plane3 from_image(const ego_image *image) {
    plane3 p = new_plane(image->width, image->height);
    size_t n = (size_t)image->width * (size_t)image->height;
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < n; i++) p.at[c * n + i] = image->rgb[3 * i + c];
    return p;
}

static void normalise(plane3 p, ego_preparation kind) {
    static const double mean[2][3] = {{.485, .456, .406}, {123.675, 116.28, 103.53}};
    static const double deviation[2][3] = {{.229, .224, .225}, {58.395, 57.12, 57.375}};
    bool epic = kind == EGO_PREPARE_EPIC;
    size_t n = (size_t)p.width * (size_t)p.height;
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < n; i++)
            p.at[c * n + i] =
                (p.at[c * n + i] / (epic ? 1 : 255) - mean[epic][c]) / deviation[epic][c];
}

static plane3 by_steps(const ego_image *image, ego_preparation kind, int size) {
    int first = kind == EGO_PREPARE_STANDARD ? (int)lround(size * 256.0 / 224) : size;
    plane3 p = from_image(image);
    int shorter = p.width < p.height ? p.width : p.height;
    if (shorter != first) {
        int w = p.width <= p.height ? first : (int)((long)first * p.width / p.height);
        int h = p.height < p.width ? first : (int)((long)first * p.height / p.width);
        p = resize(p, w, h);
    }
    p = crop(p, (int)rint((p.width - first) / 2.0), (int)rint((p.height - first) / 2.0), first,
             first);
    if (first != size) p = resize(p, size, size);
    normalise(p, kind);
    return p;
}

static ego_image noise_image(int width, int height, uint64_t seed) {
    ego_image image = {0};
    CHECK_OK(ego_image_new(width, height, &image));
    for (size_t i = 0; i < 3 * (size_t)width * (size_t)height; i++)
        image.rgb[i] = (uint8_t)(ego_rng_u64(seed, i / 24) >> (i % 8 * 8));
    return image;
}

static double worst_difference(const float *got, plane3 want) {
    double worst = 0;
    size_t n = 3 * (size_t)want.width * (size_t)want.height;
    for (size_t i = 0; i < n; i++) worst = fmax(worst, fabs((double)got[i] - want.at[i]));
    free(want.at);
    return worst;
}

static void test_prepare(void) {
    static const int sizes[][3] = {
        /* width, height, S */
        {384, 288, 224}, {455, 256, 224}, {1920, 1080, 224}, {1080, 1920, 224}, {224, 224, 224},
        {256, 256, 224}, {341, 256, 64},  {640, 480, 112},   {3, 2, 64},        {1, 1, 16},
        {161, 97, 224},  {7680, 24, 64},  {4096, 2160, 64},  {73, 64, 56}};
    static float out[3 * 224 * 224];
    for (int kind = 0; kind < 3; kind++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            ego_image image = noise_image(sizes[i][0], sizes[i][1], i);
            ego_preparer *preparer = NULL;
            CHECK_OK(ego_preparer_new((ego_preparation)kind, sizes[i][2], &preparer));
            CHECK(ego_prepared_floats(preparer) == 3 * (size_t)sizes[i][2] * (size_t)sizes[i][2]);
            CHECK_OK(ego_prepare(preparer, &image, out));
            double worst =
                worst_difference(out, by_steps(&image, (ego_preparation)kind, sizes[i][2]));
            if (!CHECK(worst < 1e-5))
                fprintf(stderr, "    %d x %d to %d: %.3g\n", sizes[i][0], sizes[i][1], sizes[i][2],
                        worst);
            ego_preparer_free(preparer);
            ego_image_free(&image);
        }
}

/* One preparer for pictures of changing sizes, boxes between. */
static void test_boxes(void) {
    enum { S = 64 };
    static float out[3 * S * S], mirrored[3 * S * S], again[3 * S * S];
    ego_preparer *preparer = NULL;
    CHECK_OK(ego_preparer_new(EGO_PREPARE_STANDARD, S, &preparer));
    ego_image image = noise_image(200, 150, 3), other = noise_image(120, 300, 4);
    ego_box box = {30, 20, 117, 93};
    CHECK_OK(ego_prepare(preparer, &image, again));
    CHECK_OK(ego_prepare_box(preparer, &image, box, false, out));
    CHECK_OK(ego_prepare_box(preparer, &image, box, true, mirrored));
    plane3 want = resize(crop(from_image(&image), 30, 20, 117, 93), S, S);
    normalise(want, EGO_PREPARE_STANDARD);
    CHECK(worst_difference(out, want) < 1e-5);
    int wrong = 0;
    for (int y = 0; y < 3 * S; y++)
        for (int x = 0; x < S; x++) wrong += out[y * S + x] != mirrored[y * S + S - 1 - x];
    CHECK(wrong == 0);
    CHECK_OK(ego_prepare(preparer, &other, mirrored));
    CHECK_OK(ego_prepare(preparer, &image, mirrored));
    CHECK(memcmp(again, mirrored, sizeof again) == 0);
    ego_image small = {0}; /* S pixels a side stay as they are, there and back */
    CHECK_OK(ego_prepare_box(preparer, &image, (ego_box){7, 5, S, S}, false, out));
    CHECK_OK(ego_unprepare(preparer, out, &small));
    CHECK(small.width == S && small.height == S);
    for (int y = 0; y < S; y++)
        CHECK(memcmp(small.rgb + 3 * y * S, image.rgb + 3 * ((5 + y) * 200 + 7), 3 * S) == 0);
    out[0] = NAN, out[1] = -1e9f, out[2] = 1e9f;
    CHECK_OK(ego_unprepare(preparer, out, &small));
    CHECK(small.rgb[0] == 0 && small.rgb[3] == 0 && small.rgb[6] == 255);
    ego_image_free(&small);
    ego_box bad[] = {
        {-1, 0, 10, 10}, {0, 0, 201, 10}, {0, 0, 0, 10}, {199, 0, 2, 2}, {0, 2147483647, 1, 1}};
    for (int i = 0; i < 5; i++)
        CHECK_ERR(EGO_EINPUT, ego_prepare_box(preparer, &image, bad[i], false, out));
    CHECK_ERR(EGO_EINPUT, ego_prepare(preparer, &(ego_image){0}, out));
    memset(image.rgb, 0, 200 * 150 * 3);
    CHECK_OK(ego_prepare(preparer, &image, out));
    ego_prepare_black(preparer, mirrored);
    CHECK(memcmp(out, mirrored, sizeof out) == 0);
    ego_image_free(&image);
    ego_image_free(&other);
    ego_preparer_free(preparer);
    CHECK_ERR(EGO_EINPUT, ego_preparer_new(EGO_PREPARE_STANDARD, 0, &preparer));
    CHECK_ERR(EGO_EINPUT, ego_preparer_new(EGO_PREPARE_STANDARD, 5000, &preparer));
    CHECK_ERR(EGO_EINPUT, ego_image_new(0, 4, &image));
    CHECK_ERR(EGO_EINPUT, ego_image_new(4, 1 << 20, &image));
}

/* ---- sampling -------------------------------------------------------------------------------- */

static void check_index(const int64_t *got, const int64_t *want, int n, const char *what) {
    for (int i = 0; i < n; i++)
        if (!CHECK(got[i] == want[i]))
            fprintf(stderr, "    %s: [%d] is %lld, expected %lld\n", what, i, (long long)got[i],
                    (long long)want[i]);
}

static void test_sample(void) {
    double times[4];
    ego_sample_times(12, 14, 4, times);
    CHECK(times[0] == 12.25 && times[1] == 12.75 && times[2] == 13.25 && times[3] == 13.75);

    int64_t edges[33], index[32];
    /* numpy.linspace(10, 27, 5).astype(int) = 10 14 18 22 27 */
    ego_sample_edges(10, 27, 4, edges);
    check_index(edges, (const int64_t[]){10, 14, 18, 22, 27}, 5, "edges");
    ego_sample_middle(edges, 4, index);
    check_index(index, (const int64_t[]){11, 15, 19, 24}, 4, "middle");
    ego_sample_edges(1, 120, 7, edges);
    check_index(edges, (const int64_t[]){1, 18, 35, 52, 69, 86, 103, 120}, 8, "edges in sevenths");

    CHECK(ego_sample_reference(0, 2, 4, index) == 4);
    check_index(index, (const int64_t[]){7, 22, 37, 52}, 4, "reference");
    CHECK(ego_sample_reference(10, 10.1, 4, index) ==
          4); /* [300, 303): edges 300 300 301 302 303 */
    check_index(index, (const int64_t[]){299, 300, 301, 302}, 4, "narrow reference");
    CHECK(ego_sample_reference(0, 0.07, 4, index) == 2); /* [0, 2): no more frames than the end */
    check_index(index, (const int64_t[]){0, 1}, 2, "two frames");
    CHECK(ego_sample_reference(0, 0.01, 4, index) == 0);
    CHECK(ego_sample_reference(-1, 1, 4, index) == 4); /* [-30, 30): edges -30 -15 0 15 30 */
    check_index(index, (const int64_t[]){-23, -8, 7, 22}, 4, "negative start");
    CHECK(ego_sample_reference_whole(100, 4, index) == 4);
    check_index(index, (const int64_t[]){12, 37, 62, 87}, 4, "whole");
    CHECK(ego_sample_reference_whole(3, 8, index) == 3);
    CHECK(ego_sample_reference_whole(0, 8, index) == 0);

    bool in_end;
    CHECK(ego_sample_reference_chunk(590, 17999, &in_end) == 17999 && !in_end);
    CHECK(ego_sample_reference_chunk(590, 18000, &in_end) == 0 &&
          !in_end); /* the border: the start's 0 */
    CHECK(ego_sample_reference_chunk(590, 18001, &in_end) == 1 && in_end);
    CHECK(ego_sample_reference_chunk(1250, 40000, &in_end) == 4000 && !in_end);
    CHECK(ego_sample_reference_chunk(-1, -8, &in_end) == 17992 && !in_end);

    for (int seed = 0; seed < 50; seed++) {
        ego_sample_edges(10, 27, 4, edges);
        CHECK_OK(ego_sample_random(edges, 4, (uint64_t)seed, index));
        for (int k = 0; k < 4; k++) CHECK(index[k] >= edges[k] && index[k] <= edges[k + 1] - 2);
    }
    ego_sample_edges(0, 5, 4, edges);
    CHECK_ERR(EGO_EINPUT, ego_sample_random(edges, 4, 1, index));

    /* fps 50, 4.5 s to 6.25 s: s = 225, e = ceil(312.5) = 313, g = 87 / 4 = 21.75;
     * a = 225 247 269 290 (43.5 rounds to 44, 65.25 to 65), b = 247 269 290 312. */
    ego_sample_epic(50, 4.5, 6.25, 4, index);
    check_index(index, (const int64_t[]){236, 258, 279, 301}, 4, "EK-100");
    /* fps 60000 / 1001, 0 to 0.05 s: s = 0, e = 3, g = 0.5; a = 0 0 1 2 (0.5 and 1.5 to even), b =
     * 0 1 2 2. */
    ego_sample_epic(60000 / 1001.0, 0, 0.05, 4, index);
    check_index(index, (const int64_t[]){0, 0, 1, 2}, 4, "EK-100, few frames");
}

int main(void) {
    test_prepare();
    test_boxes();
    test_sample();
    return check_done();
}
