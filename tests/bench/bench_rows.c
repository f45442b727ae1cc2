/* Clips a second of training rows: filling a cache, and reading from a filled one.
 *
 *     bench_rows FOLDER [THREADS [SIZE [FRAMES [MOMENTS]]]]
 *
 * Makes videos and annotations in FOLDER when they are not there, and a cache; 32 rows and their
 * 32 partners are asked for at a time, as a training step does. One JSON line. Processor seconds
 * are those of the whole process: the reader's threads do all there is to do. */
#include "base/file.h"
#include "base/rng.h"
#include "data/rows.h"
#include "media/encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { VIDEOS = 8, ROWS = 800, SECONDS = 60, FPS = 30, WIDTH = 342, HEIGHT = 256, STEP = 32 };
static char path[4096];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double processor(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static ego_err make_video(const char *folder, int number) {
    ego_encode_options options = {
        .width = WIDTH, .height = HEIGHT, .fps_num = FPS, .fps_den = 1, .quality = 28};
    ego_encoder *encoder = NULL;
    ego_image image = {0};
    snprintf(path, sizeof path, "%s/%d.mp4", folder, number);
    if (access(path, R_OK) == 0) return EGO_OK;
    EGO_TRY(ego_image_new(WIDTH, HEIGHT, &image));
    EGO_TRY(ego_encode_open(path, &options, &encoder));
    for (int n = 0; n < FPS * SECONDS; n++) {
        for (int i = 0; i < WIDTH * HEIGHT * 3; i++) {
            int x = i / 3 % WIDTH, y = i / 3 / WIDTH;
            image.rgb[i] = (uint8_t)((x + n * (1 + i % 3)) / 16 * 37 + y / 24 * 19 + 50 * number);
        }
        EGO_TRY(ego_encode_write(encoder, &image));
    }
    ego_image_free(&image);
    return ego_encode_close(encoder);
}

static ego_err make_data(const char *folder) {
    ego_buf text = {0};
    EGO_TRY(ego_make_directory(folder));
    for (int i = 0; i < VIDEOS; i++) EGO_TRY(make_video(folder, i));
    ego_buf_text(&text, "video_uid\tnarration_time\tclip_start\tclip_end\tclip_text\ttag_verb\t"
                        "tag_noun\n");
    for (int i = 0; i < ROWS; i++) {
        int start = (int)ego_rng_below(1, (uint64_t)i, SECONDS - 2);
        ego_buf_printf(&text, "%d\t%d\t%d\t%d.%d\tC opens a box\t[1]\t[2]\n", i % VIDEOS, start,
                       start, start + 1, i % 10);
    }
    snprintf(path, sizeof path, "%s/rows.csv", folder);
    EGO_TRY(ego_write_file(path, text.data, text.len));
    ego_buf_release(&text);
    return EGO_OK;
}

static ego_err read_steps(ego_rows *rows, int steps) {
    uint64_t asked = 0, taken = 0, all = (uint64_t)steps * STEP * 2;
    ego_row_sample sample;
    for (; taken < all; taken++) {
        for (; asked < all && ego_rows_room(rows) > 1; asked += 2) {
            size_t row = ego_rows_order(rows, asked / 2 / ROWS, asked / 2 % ROWS);
            EGO_TRY(ego_rows_submit(rows, row, asked));
            EGO_TRY(ego_rows_submit(rows, ego_rows_partner(rows, row, EGO_PARTNERS_ANY, asked), asked + 1));
        }
        EGO_TRY(ego_rows_next(rows, &sample));
        ego_row_sample_release(&sample);
    }
    return EGO_OK;
}

static ego_err measure(const char *folder, int argc, char **argv) {
    char annotations[4096 + 16], cache[4096 + 16];
    ego_rows *rows = NULL;
    snprintf(annotations, sizeof annotations, "%s/rows.csv", folder);
    snprintf(cache, sizeof cache, "%s/cache", folder);
    ego_rows_options options = {.annotations = annotations,
                                .video_root = folder,
                                .size = argc > 3 ? atoi(argv[3]) : 112,
                                .frames = argc > 4 ? atoi(argv[4]) : 4,
                                .moments = argc > 5 ? atoi(argv[5]) : 4,
                                .augment = true,
                                .flip = true,
                                .scene_seconds = 60,
                                .cache = cache,
                                .cache_bytes = (uint64_t)8 << 30,
                                .threads = argc > 2 ? (unsigned)atoi(argv[2]) : 1};
    EGO_TRY(make_data(folder));
    EGO_TRY(ego_rows_open(&options, &rows));
    double start = now(), used = processor();
    EGO_TRY(ego_rows_fill(rows, 0, 1, NULL));
    double filled = now() - start, fill_used = processor() - used;
    long long stored = (long long)ego_rows_get_counts(rows).stored;
    EGO_TRY(read_steps(rows, 5));
    start = now(), used = processor();
    int steps = 40;
    EGO_TRY(read_steps(rows, steps));
    double seconds = now() - start, clips = steps * STEP * 2;
    used = processor() - used;
    printf("{\"threads\": %u, \"size\": %d, \"frames\": %d, \"moments\": %d, \"stored\": %lld, "
           "\"fill_seconds\": %.2f, \"fill_processor_seconds\": %.2f, \"clips_a_second\": %.0f, "
           "\"clips_a_processor_second\": %.0f, \"decoded\": %lld}\n",
           options.threads, options.size, options.frames, options.moments, stored, filled,
           fill_used, clips / seconds, clips / used, (long long)ego_rows_get_counts(rows).decoded);
    ego_rows_close(rows);
    return EGO_OK;
}

int main(int argc, char **argv) {
    if (argc < 2)
        return fprintf(stderr, "bench_rows FOLDER [THREADS [SIZE [FRAMES [MOMENTS]]]]\n"), 2;
    if (measure(argv[1], argc, argv) == EGO_OK) return 0;
    return fprintf(stderr, "bench_rows: %s\n", ego_err_message()), 1;
}
