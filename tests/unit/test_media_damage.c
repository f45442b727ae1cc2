/* Small videos with one byte changed, or cut anywhere: an error or a picture, never a crash or a
 * hang. A sample of places; with EGO_NIGHTLY in the environment every byte. */
#include "check.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/rng.h"
#include "media/decode.h"

#include <time.h>

static const char *const names[] = {"b.mp4", "frag.mp4", "edit.mp4", "b.mkv", "v.webm",
                                    "m.avi", "t.ts",     "g.gif",    "p.png", "p.jpg"};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* 1: read, 0: refused. */
static int try_video(const char *bytes, size_t n) {
    static const double times[] = {0.4, 0.1, 100};
    ego_video *video = NULL;
    ego_video_info info;
    ego_image image = {0};
    if (ego_video_open_memory(bytes, n, "damaged", NULL, &video) != EGO_OK) return 0;
    int ok = ego_video_get_info(video, &info) == EGO_OK && info.duration >= 0;
    if (ok && (int64_t)info.width * info.height <= 1 << 20)
        for (size_t i = 0; i < 3; i++)
            if (ego_video_frame_at(video, times[i], &image) != EGO_OK) break;
    ego_image_free(&image);
    ego_video_close(video);
    return ok;
}

static void damage(const char *name) {
    char path[256];
    ego_buf file = {0};
    snprintf(path, sizeof path, "tests/fuzz/corpus/media/%s", name);
    if (!CHECK_OK(ego_read_file(path, 1 << 20, &file))) return;
    CHECK(try_video(file.data, file.len) == 1);
    bool all = getenv("EGO_NIGHTLY") != NULL;
    size_t step = all ? 1 : file.len / 60 + 1;
    uint64_t stream = ego_rng_stream(1, file.len);
    int read = 0, tried = 0;
    double longest = 0;
    for (size_t at = 0; at < file.len; at += step) {
        size_t place = all ? at : at + ego_rng_below(stream, at, (uint32_t)step);
        if (place >= file.len) break;
        char kept = file.data[place];
        double began = now();
        file.data[place] = (char)(kept ^ (1 << ego_rng_below(stream, at + 1, 8)));
        read += try_video(file.data, file.len);
        file.data[place] = (char)~kept;
        read += try_video(file.data, file.len);
        file.data[place] = kept;
        read += try_video(file.data, place);
        tried += 3;
        longest = fmax(longest, now() - began);
    }
    printf("%s: %d of %d could be read, the longest took %.3f s\n", name, read, tried, longest);
    CHECK(longest < 10);
    ego_buf_release(&file);
}

int main(void) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) damage(names[i]);
    return check_done();
}
