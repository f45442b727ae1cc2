/* Pictures and sound cut together: a flash and a beep at every full second must still meet
 * afterwards. */
#include "check.h"
#include "media_files.h"

#include "media/encode.h"
#include "media/picture.h"
#include "media/sound.h"
#include "task/cut.h"

enum { MOST = 16, FPS = 25, RATE = 44100, WIDTH = 64, HEIGHT = 48, SECONDS = 8 };
static const double LENGTH = 0.12; /* of a flash and a beep */

static const ego_part parts[] = {{2, 3}, {5, 6.6}, {0, 0.52}}; /* whole frames */
static const double wanted[] = {0, 1, 2, 2.6}; /* flashes and beeps of these parts put together */
enum { PARTS = 3, WANTED = 4 };

/* ---- a file of our own --------------------------------------------------------------------------- */

static bool on(double t) { return t - floor(t) < LENGTH; }

static void make_own(const char *path) {
    ego_encode_options o = {.width = WIDTH,
                            .height = HEIGHT,
                            .fps_num = FPS,
                            .fps_den = 1,
                            .rate = RATE,
                            .channels = 1};
    ego_encoder *e = NULL;
    ego_image image = {0};
    CHECK_OK(ego_image_new(WIDTH, HEIGHT, &image));
    if (!CHECK_OK(ego_encode_open(path, &o, &e))) return;
    for (int i = 0; i < FPS * SECONDS; i++) {
        static float sound[RATE / FPS];
        uint8_t light = on((double)i / FPS) ? 255 : 0;
        ego_draw_fill(&image, (ego_colour){light, light, light});
        for (int k = 0; k < RATE / FPS; k++) {
            double t = (i * (RATE / FPS) + k) / (double)RATE;
            sound[k] = on(t) ? (float)(0.5 * sin(2 * 3.14159265358979 * 1000 * t)) : 0;
        }
        CHECK_OK(ego_encode_write(e, &image));
        CHECK_OK(ego_encode_sound(e, sound, RATE / FPS));
    }
    CHECK_OK(ego_encode_close(e));
    ego_image_free(&image);
}

/* ---- what is seen and heard ---------------------------------------------------------------------- */

/* Times at which it gets light. */
static size_t flashes(const char *path, double *times, double *duration, double *origin) {
    ego_video *video = NULL;
    ego_video_info info;
    ego_image image = {0};
    size_t n = 0;
    bool before = false;
    if (!CHECK_OK(ego_video_open(path, NULL, &video))) return 0;
    CHECK_OK(ego_video_get_info(video, &info));
    for (int i = 0; i < (int)lround(info.duration * info.fps); i++) {
        CHECK_OK(ego_video_frame_at(video, (i + 0.5) / info.fps, &image));
        bool light = image.rgb && image.rgb[0] > 128;
        if (light && !before && n < MOST) times[n++] = ego_video_time(video);
        before = light;
    }
    *duration = info.duration;
    *origin = ego_video_origin(video);
    ego_image_free(&image);
    ego_video_close(video);
    return n;
}

/* Times at which it gets loud. */
static size_t beeps(const char *path, double origin, double duration, double *times, int rate) {
    ego_sound *sound = NULL;
    size_t n = 0;
    if (!CHECK_OK(ego_sound_open(path, origin, &sound)) || !CHECK(sound != NULL)) return 0;
    int channels = ego_sound_channels(sound);
    int64_t count = (int64_t)(duration * rate), quiet = rate;
    float *all = malloc((size_t)(count * channels) * sizeof *all);
    CHECK_OK(ego_sound_read(sound, 0, rate, count, all));
    for (int64_t i = 0; i < count; i++, quiet++) {
        if (fabsf(all[i * channels]) < 0.1f) continue;
        if (quiet > rate / 20 && n < MOST) times[n++] = (double)i / rate;
        quiet = 0;
    }
    free(all);
    ego_sound_close(sound);
    return n;
}

static void check_times(const char *what, const char *path, const double *times, size_t n,
                        double tolerance) {
    if (CHECK(n == WANTED))
        for (size_t i = 0; i < n; i++) CHECK_NEAR(times[i], wanted[i], tolerance);
    for (size_t i = 0; i < n && n != WANTED; i++)
        fprintf(stderr, "    %s of %s at %.4f\n", what, path, times[i]);
}

static void test_cut(const char *path) {
    char out[1100];
    double seen[MOST], heard[MOST], duration = 0, origin = 0;
    ego_reel *reel = NULL;
    snprintf(out, sizeof out, "%s-cut.mp4", path);
    if (!CHECK_OK(ego_reel_open(NULL, path, &reel))) return;
    CHECK_OK(ego_cut(reel, parts, PARTS, NULL, out));
    size_t n = flashes(out, seen, &duration, &origin);
    CHECK_NEAR(duration, 3.12, 1e-3);
    check_times("flash", path, seen, n, 1e-3);
    n = beeps(out, origin, duration, heard, 48000);
    check_times("beep", path, heard, n, 0.01);
    CHECK_OK(ego_cut(reel, parts, PARTS, &(ego_cut_options){.silent = true}, out));
    ego_sound *sound = NULL;
    CHECK_OK(ego_sound_open(out, 0, &sound));
    CHECK(sound == NULL);
    CHECK_ERR(EGO_EINPUT, ego_cut(reel, &(ego_part){100, 101}, 1, NULL, out));
    CHECK_ERR(EGO_EINPUT, ego_cut(reel, &(ego_part){2, 1}, 1, NULL, out));
    CHECK_ERR(EGO_EINPUT, ego_cut(reel, NULL, 0, NULL, out));
    ego_reel_close(reel);
}

/* Samples do not depend on what was read before. */
static void test_random_access(const char *path) {
    static const double starts[] = {0, 5.3, 5.31, 0.2, 2.9, 7.9, 0, 6};
    ego_sound *one = NULL, *two = NULL;
    double seen[MOST], duration, origin;
    flashes(path, seen, &duration, &origin);
    CHECK_OK(ego_sound_open(path, origin, &one));
    for (size_t i = 0; one && i < sizeof starts / sizeof *starts; i++) {
        enum { N = 4000 };
        static float a[2 * N], b[2 * N];
        int rate = ego_sound_rate(one), channels = ego_sound_channels(one);
        CHECK_OK(ego_sound_read(one, starts[i], rate, N, a));
        CHECK_OK(ego_sound_open(path, origin, &two));
        for (int64_t k = 0; k < N; k += 500) /* in pieces, from the beginning */
            CHECK_OK(
                ego_sound_read(two, starts[i] + (double)k / rate, rate, 500, b + k * channels));
        double worst = 0;
        for (int k = 0; k < N * channels; k++)
            worst = fmax(worst, fabs((double)a[k] - (double)b[k]));
        CHECK(worst < 1e-6);
        ego_sound_close(two);
    }
    if (one) CHECK_ERR(EGO_EINPUT, ego_sound_read(one, NAN, 48000, 10, (float[20]){0}));
    ego_sound_close(one);
}

/* The ffmpeg command's files: other codecs, containers, clocks. */
static void test_foreign(void) {
    static const char *const kinds[][2] = {
        {"aac.mp4", "-c:v libx264 -g 60 -c:a aac"},
        {"mp3.mkv", "-c:v libx264 -g 60 -c:a libmp3lame -ac 2 -ar 44100"},
        {"mp2.ts", "-c:v mpeg2video -c:a mp2"},
        {"pcm.avi", "-c:v mpeg4 -c:a pcm_s16le -ar 22050"},
        {"pcm96.mov", "-c:v libx264 -c:a pcm_s24le -ar 96000"},
        {"opus.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char command[2048];
        snprintf(command, sizeof command,
                 "ffmpeg -nostdin -v quiet -y -f lavfi -i \"color=black:s=64x48:r=25:d=8,"
                 "drawbox=color=white:t=fill:enable='lt(mod(t+0.001,1),0.12)'\" -f lavfi -i "
                 "\"aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t,1),0.12)':s=48000:d=8\" -pix_fmt "
                 "yuv420p %s '%s'",
                 kinds[i][1], media_path(kinds[i][0]));
        if (system(command) != 0) {
            printf("without %s: this ffmpeg cannot make it\n", kinds[i][0]);
            continue;
        }
        test_cut(media_path(kinds[i][0]));
    }
    if (access(media_path("aac.mp4"), R_OK) == 0) test_random_access(media_path("aac.mp4"));
}

int main(void) {
    snprintf(media_folder, sizeof media_folder, "%s/ego-cut-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(media_folder)) return check_skip("no temporary folder");
    media_is_ours = 1;
    make_own(media_path("own.mp4"));
    test_cut(media_path("own.mp4"));
    test_random_access(media_path("own.mp4"));
    if (system("command -v ffmpeg >/dev/null 2>&1") == 0)
        test_foreign();
    else
        printf("skipped: files of other programs, there is no ffmpeg command\n");
    media_remove();
    return check_done();
}
