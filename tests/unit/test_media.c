/* Frames by time in every container, codec and trouble that tests/cli/make_media.sh can make: any
 * order of requests must show what playing from the start shows. */
#include "check.h"
#include "media_files.h"

#include "base/hash.h"
#include "base/rng.h"
#include "media/decode.h"

#include <unistd.h>

enum { MAX_FRAMES = 400, BITS = 10 };

typedef struct shown {
    double time;
    int number;
} shown;

/* The number in the bars; -1 when it is no such picture. */
static int read_number(const ego_image *image) {
    int number = 0;
    for (int bit = 0; bit < BITS; bit++) {
        size_t x = (size_t)((2 * bit + 1) * image->width / (2 * BITS));
        size_t upper = (size_t)(image->height / 4), lower = (size_t)(image->height * 3 / 4);
        int above = image->rgb[(upper * (size_t)image->width + x) * 3 + 1];
        int below = image->rgb[(lower * (size_t)image->width + x) * 3 + 1];
        if (abs(above - below) < 90) return -1;
        if (above > below) number |= 1 << bit;
    }
    return number;
}

/* Plays the file once in small steps. */
static int play(const char *file, const ego_video_options *options, shown *list) {
    ego_video *video = NULL;
    ego_image image = {0};
    int n = 0;
    if (!CHECK_OK(ego_video_open(media_path(file), options, &video))) return 0;
    for (double t = 0; n < MAX_FRAMES; t += 0.008) {
        if (!CHECK_OK(ego_video_seek(video, t))) break;
        if (n == 0 || ego_video_time(video) > list[n - 1].time) {
            CHECK_OK(ego_video_image(video, &image));
            list[n++] = (shown){ego_video_time(video), read_number(&image)};
        }
        if (ego_video_at_last(video)) break;
    }
    ego_image_free(&image);
    ego_video_close(video);
    return n;
}

static int number_at(const shown *list, int n, double t) {
    int i = n - 1;
    while (i > 0 && list[i].time > t + 1e-6) i--;
    return list[i].number;
}

/* Times in no order, and nearly in order, against what playing showed. */
static void check_any_order(const char *file, const ego_video_options *options, const shown *list,
                            int n, int requests) {
    ego_video *video = NULL;
    ego_image image = {0};
    if (n < 1 || !CHECK_OK(ego_video_open(media_path(file), options, &video))) return;
    double length = list[n - 1].time + 0.2;
    int wrong = 0;
    for (int i = 0; i < requests; i++) {
        double u = ego_rng_unit(ego_fnv1a(file), (uint64_t)i);
        double t = i < requests / 2 ? length * u : length * ((i - requests / 2 + u) * 2 / requests);
        if (i % 7 == 0) t = list[(int)(u * n)].time; /* exactly on a frame's beginning */
        if (!CHECK_OK(ego_video_frame_at(video, t, &image))) break;
        int number = read_number(&image);
        if (number != number_at(list, n, t)) {
            if (wrong++ < 3)
                fprintf(stderr, "%s at %.6f s: frame %d, playing shows %d\n", file, t, number,
                        number_at(list, n, t));
        }
    }
    if (!CHECK(wrong == 0)) fprintf(stderr, "    in %s\n", file);
    ego_image_free(&image);
    ego_video_close(video);
}

typedef struct media_case {
    const char *file;
    int frames;      /* in the file */
    int first, step; /* numbers that must be shown: first, first + step, ... */
    double rate;     /* frames a second; 0: given by `when` */
    double duration;
    double (*when)(int i);
    int requests;
    double slack; /* of time stamps: containers round */
} media_case;

static double when_uneven(int i) { return (i + 2 * (i / 3)) / 30.0; }
static double when_gif(int i) { return i / 10.0; }

static const media_case cases[] = {
    {"h264.mp4", 300, 0, 1, 30, 10, NULL, 120, 1e-6},
    {"opengop.mkv", 300, 0, 1, 30, 10, NULL, 120, 6e-4},
    {"onegop.mp4", 300, 0, 1, 30, 10, NULL, 20, 1e-6},
    {"refresh.mkv", 300, 0, 1, 30, 10, NULL, 60, 6e-4},
    {"hevc.mkv", 300, 0, 1, 30, 10, NULL, 60, 6e-4},
    {"mpeg4.avi", 300, 0, 1, 30, 10, NULL, 20, 1e-6},
    {"h264.avi", 300, 0, 1, 30, 10, NULL, 20, 1e-6},
    {"mjpeg.avi", 300, 0, 1, 30, 10, NULL, 20, 1e-6},
    {"vp9.webm", 300, 0, 1, 30, 10, NULL, 60, 6e-4},
    {"h264.ts", 300, 0, 1, 30, 10, NULL, 20, 2e-5},
    {"mpeg2.ts", 300, 0, 1, 30, 10, NULL, 20, 2e-5},
    {"tenth.gif", 100, 1, 3, 0, 10, when_gif, 20, 1e-6},
    {"vfr.mp4", 300, 0, 1, 0, 0, when_uneven, 120, 1e-4},
    {"vfr.mkv", 300, 0, 1, 0, 0, when_uneven, 120, 6e-4},
    {"ten.mkv", 300, 0, 1, 30, 10, NULL, 40, 6e-4},
    {"full.mp4", 300, 0, 1, 30, 10, NULL, 40, 1e-6},
    {"odd.mp4", 300, 0, 1, 30, 10, NULL, 40, 1e-6},
    {"odd.webm", 300, 0, 1, 30, 10, NULL, 40, 6e-4},
    {"gray.mkv", 300, 0, 1, 30, 10, NULL, 40, 6e-4},
    {"alpha.mov", 60, 0, 1, 30, 2, NULL, 40, 1e-6},
    {"frag.mp4", 300, 0, 1, 30, 10, NULL, 40, 1e-6},
    {"nocues.mkv", 300, 0, 1, 30, 10, NULL, 40, 6e-4},
    {"edit.mp4", 195, 105, 1, 30, 6.5, NULL, 120, 1e-6},
    {"late.ts", 300, 0, 1, 30, 10, NULL, 20, 2e-5},
    {"late.mkv", 300, 0, 1, 30, 10, NULL, 40, 6e-4},
    {"late.mp4", 300, 0, 1, 30, 10, NULL, 40, 1e-6},
    {"joined.ts", 120, 0, 1, 30, 4, NULL, 20, 2e-5},
    {"pictures/%03d.png", 40, 0, 1, 25, 1.6, NULL, 20, 1e-6},
};

static void check_case(const media_case *c) {
    static shown list[MAX_FRAMES];
    if (!strchr(c->file, '%') && access(media_path(c->file), R_OK) != 0) {
        printf("not checked: %s could not be made here\n", c->file);
        return;
    }
    int n = play(c->file, NULL, list), wrong = 0;
    if (!CHECK(n == c->frames))
        fprintf(stderr, "    %s: %d frames, expected %d\n", c->file, n, c->frames);
    for (int i = 0; i < n; i++) {
        double time = c->when ? c->when(i) : i / c->rate;
        int number = c->first + i * c->step;
        if ((list[i].number != number || fabs(list[i].time - time) > c->slack) && wrong++ < 3)
            fprintf(stderr, "%s: frame %d at %.6f s, expected %d at %.6f s\n", c->file,
                    list[i].number, list[i].time, number, time);
    }
    if (!CHECK(wrong == 0)) fprintf(stderr, "    in %s: %d\n", c->file, wrong);
    check_any_order(c->file, NULL, list, n, c->requests);

    ego_video *video = NULL;
    ego_video_info info;
    if (!CHECK_OK(ego_video_open(media_path(c->file), NULL, &video))) return;
    CHECK_OK(ego_video_get_info(video, &info));
    if (c->duration > 0 && !CHECK(info.exact && fabs(info.duration - c->duration) < 2e-3))
        fprintf(stderr, "    %s: lasts %.6f s, expected %.6f s\n", c->file, info.duration,
                c->duration);
    ego_video_close(video);
}

static void test_threads(void) {
    static shown one[MAX_FRAMES], four[MAX_FRAMES];
    ego_video_options options = {.threads = 4};
    int n = play("h264.mp4", NULL, one), m = play("h264.mp4", &options, four);
    CHECK(n == m && memcmp(one, four, (size_t)n * sizeof *one) == 0);
    check_any_order("h264.mp4", &options, one, n, 40);
}

/* What can be decoded of a file that was cut short is shown; beyond it, its last frame. */
static void test_cut(void) {
    static const char *const files[] = {"cut_h264.mp4", "cut_opengop.mkv", "cut_h264.ts",
                                        "cut_mpeg4.avi"};
    static shown list[MAX_FRAMES];
    for (size_t i = 0; i < 4; i++) {
        if (access(media_path(files[i]), R_OK) != 0) continue;
        int n = play(files[i], NULL, list), wrong = 0;
        ego_video *video = NULL;
        ego_video_info info;
        CHECK(n > 60 && n < 290);
        for (int k = 0; k < n - 1; k++) wrong += list[k].number != k;
        CHECK(wrong == 0);
        if (!CHECK_OK(ego_video_open(media_path(files[i]), NULL, &video))) continue;
        CHECK_OK(ego_video_get_info(video, &info));
        if (!CHECK(fabs(info.duration - (list[n - 1].time + 1 / 30.0)) < 0.1))
            fprintf(stderr, "    %s: lasts %.3f s, the last frame is at %.3f s\n", files[i],
                    info.duration, list[n - 1].time);
        if (i < 1) CHECK(ego_video_get_damage(video)->cut);
        ego_video_close(video);
        check_any_order(files[i], NULL, list, n, 20);
    }
}

static void test_numbers(void) {
    static const char *const files[] = {"h264.mp4", "opengop.mkv", "vp9.webm", "h264.ts",
                                        "edit.mp4"};
    for (size_t i = 0; i < 5; i++) {
        ego_video *video = NULL;
        ego_image image = {0};
        bool found = false;
        if (access(media_path(files[i]), R_OK) != 0) continue;
        if (!CHECK_OK(ego_video_open(media_path(files[i]), NULL, &video))) continue;
        int last = i == 4 ? 194 : 299, offset = i == 4 ? 105 : 0;
        for (int k = 0; k < 40; k++) {
            int want = k == 0 ? 0 : k == 1 ? last : (k * 89) % (last + 1);
            CHECK_OK(ego_video_seek_number(video, want, &found));
            CHECK_OK(ego_video_image(video, &image));
            if (!CHECK(found && read_number(&image) == want + offset))
                fprintf(stderr, "    %s: frame %d is %d\n", files[i], want, read_number(&image));
        }
        CHECK_OK(ego_video_seek_number(video, last + 1, &found));
        CHECK(!found);
        ego_image_free(&image);
        ego_video_close(video);
    }
}

static void test_colours(void) {
    static const char *const files[] = {"unsaid_480", "unsaid_720", "601_720",
                                        "709_480",    "2020_480",   "full_480"};
    for (size_t i = 0; i < 6; i++) {
        char name[64];
        ego_video *video = NULL;
        ego_image image = {0};
        snprintf(name, sizeof name, "colour_%s.mp4", files[i]);
        if (access(media_path(name), R_OK) != 0) continue;
        if (!CHECK_OK(ego_video_open(media_path(name), NULL, &video))) continue;
        CHECK_OK(ego_video_frame_at(video, 0, &image));
        const uint8_t *p = image.rgb + 3 * (20 * 64 + 20);
        if (!CHECK(abs(p[0] - 200) < 4 && abs(p[1] - 60) < 4 && abs(p[2] - 30) < 4))
            fprintf(stderr, "    %s: (%d, %d, %d), expected (200, 60, 30)\n", name, p[0], p[1],
                    p[2]);
        ego_image_free(&image);
        ego_video_close(video);
    }
}

/* A pipe gives the same frames, forward and (from its latest packets) back. */
static void test_pipe(void) {
    static shown list[MAX_FRAMES];
    int n = play("nocues.mkv", NULL, list), saved = dup(STDIN_FILENO), wrong = 0;
    char command[1200];
    snprintf(command, sizeof command, "cat '%s'", media_path("nocues.mkv"));
    FILE *pipe = popen(command, "r");
    ego_video *video = NULL;
    ego_image image = {0};
    ego_video_info info;
    if (!CHECK(pipe && saved >= 0 && dup2(fileno(pipe), STDIN_FILENO) >= 0)) return;
    if (CHECK_OK(ego_video_open("-", NULL, &video))) {
        for (double t = 0.05; t < 9; t += 0.31) {
            CHECK_OK(ego_video_frame_at(video, t, &image));
            wrong += read_number(&image) != number_at(list, n, t);
        }
        CHECK(wrong == 0);
        CHECK_OK(ego_video_seek(video, 20));
        CHECK_OK(ego_video_get_info(video, &info));
        CHECK(info.exact && fabs(info.duration - 10) < 0.01);
        for (int i = 0; i < 40; i++) {
            double t = 10 * ego_rng_unit(77, (uint64_t)i);
            CHECK_OK(ego_video_frame_at(video, t, &image));
            wrong += read_number(&image) != number_at(list, n, t);
        }
        CHECK(wrong == 0);
    }
    ego_image_free(&image);
    ego_video_close(video);
    dup2(saved, STDIN_FILENO);
    close(saved);
    pclose(pipe);
}

/* ---- headers that are patched ---------------------------------------------------------------- */

static uint8_t *load(const char *file, size_t *n) {
    FILE *in = fopen(media_path(file), "rb");
    uint8_t *bytes = malloc(1 << 20);
    if (!CHECK(in && bytes)) exit(1);
    *n = fread(bytes, 1, 1 << 20, in);
    fclose(in);
    return bytes;
}

static void put32(uint8_t *at, int64_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* The first box of this type. */
static uint8_t *find_box(uint8_t *bytes, size_t n, const char *type) {
    for (size_t i = 0; i + 100 < n; i++)
        if (memcmp(bytes + i, type, 4) == 0) return bytes + i;
    return NULL;
}

/* The eight ways to hold a picture: every pixel must be where the file's matrix puts it. */
static void test_orientation(void) {
    static const int ways[8][4] = {/* a b c d: x' = ax + cy, y' = bx + dy */
                                   {1, 0, 0, 1},  {0, 1, -1, 0}, {-1, 0, 0, -1}, {0, -1, 1, 0},
                                   {-1, 0, 0, 1}, {1, 0, 0, -1}, {0, 1, 1, 0},   {0, -1, -1, 0}};
    size_t n;
    uint8_t *bytes = load(access(media_path("odd.mp4"), R_OK) == 0 ? "odd.mp4" : "h264.mp4", &n);
    uint8_t *header = find_box(bytes, n, "tkhd");
    ego_image upright = {0}, image = {0};
    for (int w = 0; w < 8 && CHECK(header != NULL); w++) {
        const int *m = ways[w];
        ego_video *video = NULL;
        ego_video_info info;
        for (int i = 0; i < 4; i++) put32(header + 44 + (i < 2 ? 4 * i : 4 * i + 4), m[i] * 65536);
        if (!CHECK_OK(ego_video_open_memory(bytes, n, "turned", NULL, &video))) break;
        CHECK_OK(ego_video_get_info(video, &info));
        CHECK_OK(ego_video_frame_at(video, 2.5, w == 0 ? &upright : &image));
        ego_image *got = w == 0 ? &upright : &image;
        CHECK(info.width == got->width && info.height == got->height);
        CHECK(got->width == (m[0] ? upright.width : upright.height));
        int wrong = 0, x0 = m[0] + m[2] < 0 ? got->width - 1 : 0,
            y0 = m[1] + m[3] < 0 ? got->height - 1 : 0;
        for (int y = 0; y < upright.height; y++)
            for (int x = 0; x < upright.width; x++) {
                int to = (y0 + m[1] * x + m[3] * y) * got->width + x0 + m[0] * x + m[2] * y;
                wrong +=
                    memcmp(got->rgb + 3 * to, upright.rgb + 3 * (y * upright.width + x), 3) != 0;
            }
        CHECK(wrong == 0);
        ego_video_close(video);
    }
    CHECK(read_number(&upright) == 75);
    ego_image_free(&upright);
    ego_image_free(&image);
    free(bytes);
}

/* Headers that say 40 s or 3 s of a file that holds 10. */
static void test_lies(void) {
    static const int claims[] = {40, 3, 0};
    size_t n;
    uint8_t *bytes = load("h264.mp4", &n);
    for (int i = 0; i < 3; i++) {
        static const char *const boxes[] = {"mvhd", "mdhd", "tkhd"};
        ego_video *video = NULL;
        ego_video_info info;
        ego_image image = {0};
        for (int b = 0; b < 3; b++) {
            uint8_t *at = find_box(bytes, n, boxes[b]);
            if (!CHECK(at != NULL)) return;
            int64_t scale =
                b == 1 ? (int64_t)at[16] << 24 | at[17] << 16 | at[18] << 8 | at[19] : 1000;
            put32(at + (b == 2 ? 24 : 20), claims[i] * scale);
        }
        if (!CHECK_OK(ego_video_open_memory(bytes, n, "lying", NULL, &video))) break;
        CHECK_OK(ego_video_get_info(video, &info));
        CHECK(info.exact && info.frames == 300);
        CHECK_NEAR(info.duration, 10, 1e-6);
        CHECK(claims[i] == 40 || !ego_video_get_damage(video)->cut);
        CHECK_OK(ego_video_frame_at(video, 9.05, &image));
        CHECK(read_number(&image) == 271);
        ego_image_free(&image);
        ego_video_close(video);
    }
    free(bytes);
}

/* ---- the same pixels, also of damaged files -------------------------------------------------- */

static uint64_t hash_image(const ego_image *image) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < 3 * (size_t)image->width * (size_t)image->height; i++)
        hash = (hash ^ image->rgb[i]) * 0x100000001b3u;
    return hash;
}

static void check_pixels(const char *file, const uint8_t *bytes, size_t n, int round) {
    enum { STEPS = 125, REQUESTS = 30 };
    static uint64_t played[STEPS];
    ego_video *video = NULL;
    ego_image image = {0};
    int wrong = 0;
    if (ego_video_open_memory(bytes, n, file, NULL, &video) != EGO_OK) return;
    for (int i = 0; i < STEPS; i++) {
        CHECK_OK(ego_video_frame_at(video, (i + 0.5) * 0.08, &image));
        played[i] = hash_image(&image);
    }
    bool damaged = ego_video_get_damage(video)->errors + ego_video_get_damage(video)->damaged > 0;
    ego_video_close(video);
    CHECK(round > 0 || !damaged);
    if (!CHECK_OK(ego_video_open_memory(bytes, n, file, NULL, &video))) return;
    for (int k = 0; k < REQUESTS; k++) {
        int i = (int)ego_rng_below((uint64_t)round, (uint64_t)k, STEPS);
        CHECK_OK(ego_video_frame_at(video, (i + 0.5) * 0.08, &image));
        wrong += hash_image(&image) != played[i];
    }
    if (!CHECK(wrong == 0))
        fprintf(stderr, "    %s, damage %d: %d of %d frames differ from playing\n", file, round,
                wrong, REQUESTS);
    ego_image_free(&image);
    ego_video_close(video);
}

static void test_pixels(void) {
    static const char *const files[] = {"h264.mp4",    "in_opengop.mp4", "in_hevc.mp4",
                                        "in_vp9.mp4",  "in_refresh.mp4", "in_ten.mp4",
                                        "opengop.mkv", "vp9.webm"};
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        if (access(media_path(files[f]), R_OK) != 0) continue;
        size_t n;
        uint8_t *bytes = load(files[f], &n);
        bool mp4 = strstr(files[f], ".mp4"); /* of others the container would be damaged, too */
        uint8_t *data = mp4 ? find_box(bytes, n, "mdat") : bytes;
        if (!CHECK(data != NULL)) continue;
        size_t first = (size_t)(data - bytes) + 100;
        for (int round = 0; round < (mp4 ? 4 : 1); round++) { /* each round adds damage */
            for (int k = 0; k < 4 * round; k++)
                bytes[first +
                      ego_rng_below(9, (uint64_t)(round * 100 + k), (uint32_t)(n - first))] ^= 0x55;
            check_pixels(files[f], bytes, n, round);
        }
        free(bytes);
    }
}

static void test_refused(void) {
    ego_video *video = NULL;
    CHECK_ERR(EGO_EIO, ego_video_open("/nowhere/at all.mp4", NULL, &video));
    CHECK_ERR(EGO_EIO, ego_video_open("/tmp", NULL, &video));
    CHECK_ERR(EGO_EIO, ego_video_open("http://localhost/x.mp4", NULL, &video));
    CHECK_ERR(EGO_EFORMAT, ego_video_open_memory("not a video", 11, "x", NULL, &video));
    CHECK_ERR(EGO_EFORMAT, ego_video_open_memory("", 0, "empty", NULL, &video));
    /* A list of other files is not followed. */
    char list[1400];
    int bytes =
        snprintf(list, sizeof list, "ffconcat version 1.0\nfile '%s'\n", media_path("h264.mp4"));
    CHECK(ego_video_open_memory(list, (size_t)bytes, "list", NULL, &video) != EGO_OK);
    CHECK(video == NULL);
}

int main(void) {
    if (!media_make("")) return check_skip("the ffmpeg command is needed to make the test videos");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(&cases[i]);
    test_threads();
    test_cut();
    test_numbers();
    test_colours();
    test_pipe();
    test_orientation();
    test_lies();
    test_pixels();
    test_refused();
    media_remove();
    return check_done();
}
