/* Clips in the order of requests, whatever the window, the pauses and the neighbours; their frames
 * held against frames fetched one by one. */
#include "check.h"
#include "media_files.h"

#include "base/rng.h"
#include "data/clips.h"
#include "data/locate.h"
#include "media/decode.h"
#include "media/sample.h"

#include <sys/stat.h>

enum { F = 4, S = 64, FLOATS = 3 * S * S, REQUESTS = 70 };

static float frame[FLOATS];

/* One frame, by time or (number >= 0) by number, prepared. */
static const float *direct(const char *path, double t, int64_t number, bool reference) {
    ego_video_options options = {.reference_colour = reference};
    ego_video *video = NULL;
    ego_preparer *preparer = NULL;
    ego_image image = {0};
    bool found;
    CHECK_OK(ego_preparer_new(EGO_PREPARE_STANDARD, S, &preparer));
    if (CHECK_OK(ego_video_open(path, &options, &video))) {
        CHECK_OK(number < 0 ? ego_video_seek(video, t)
                            : ego_video_seek_number(video, number, &found));
        CHECK_OK(ego_video_image(video, &image));
        CHECK_OK(ego_prepare(preparer, &image, frame));
    }
    ego_image_free(&image);
    ego_video_close(video);
    ego_preparer_free(preparer);
    return frame;
}

static bool same_frame(const ego_clip *clip, int f, const float *want) {
    return memcmp(clip->pixels + (size_t)f * FLOATS, want, FLOATS * sizeof(float)) == 0;
}

static ego_clips *open_clips(ego_sampling sampling, int window) {
    ego_clips *clips = NULL;
    ego_clips_options options = {
        .video_root = media_folder, .sampling = sampling, .frames = F, .size = S, .window = window};
    CHECK_OK(ego_clips_open(&options, &clips));
    return clips;
}

/* One request alone; the caller frees the clip. */
static ego_clip *one(ego_clips *clips, const char *video, double start, double end) {
    ego_clip_request request = {
        .video = video, .start = start, .end = end, .whole = end < 0, .tag = 7};
    ego_clip *clip = NULL;
    CHECK_OK(ego_clips_submit(clips, &request));
    CHECK_OK(ego_clips_next(clips, &clip));
    CHECK(clip && clip->tag == 7);
    return clip;
}

static ego_clip_request request_number(int i) {
    static const char *const videos[] = {"h264.mp4", "opengop", "missing.mp4", "edit.mp4", "h264"};
    uint64_t stream = ego_rng_stream(5, (uint64_t)i);
    double start = 9 * ego_rng_unit(stream, 0), length = 0.05 + 3 * ego_rng_unit(stream, 1);
    ego_clip_request r = {
        .video = videos[i / 3 % 5], .start = start, .end = start + length, .tag = (uint64_t)i};
    if (i % 11 == 10) r.whole = true;
    if (i % 13 == 12) r.end = r.start; /* refused */
    return r;
}

/* Everything asked for, taken as the window and the pauses allow. */
static void collect(int window, int pause, ego_clip *all[REQUESTS]) {
    ego_clips *clips = open_clips(EGO_SAMPLING_TIME, window);
    int asked = 0, taken = 0;
    while (taken < REQUESTS) {
        while (asked < REQUESTS && ego_clips_room(clips) > 0) {
            ego_clip_request r = request_number(asked++);
            CHECK_OK(ego_clips_submit(clips, &r));
            if (pause && asked % pause == 0) CHECK_OK(ego_clips_flush(clips));
        }
        if (!CHECK_OK(ego_clips_next(clips, &all[taken]))) break;
        CHECK(all[taken]->tag == (uint64_t)taken);
        taken++;
    }
    ego_clip *none = NULL;
    CHECK_ERR(EGO_EEND, ego_clips_next(clips, &none));
    ego_clips_counts counts = ego_clips_get_counts(clips);
    CHECK(counts.clips == REQUESTS && counts.failed > 0 && counts.failed < REQUESTS);
    ego_clips_close(clips);
}

static void test_order(void) {
    static ego_clip *first[REQUESTS], *other[REQUESTS];
    static const int windows[] = {32, 1, 5, 3}, pauses[] = {0, 0, 2, 1};
    for (int k = 0; k < 4; k++) {
        ego_clip **all = k == 0 ? first : other;
        collect(windows[k], pauses[k], all);
        for (int i = 0; i < REQUESTS && k > 0; i++) {
            CHECK(first[i]->err == other[i]->err && first[i]->start == other[i]->start &&
                  first[i]->end == other[i]->end);
            if (first[i]->err)
                CHECK_STR(other[i]->message, first[i]->message);
            else
                CHECK(memcmp(first[i]->pixels, other[i]->pixels, F * FLOATS * sizeof(float)) == 0);
            ego_clip_free(other[i]);
        }
    }
    for (int i = 0; i < REQUESTS; i++) {
        ego_clip_request r = request_number(i);
        bool missing = strcmp(r.video, "missing.mp4") == 0;
        double length = strcmp(r.video, "edit.mp4") == 0 ? 6.5 : 10;
        if (missing || (!r.whole && (r.end <= r.start || r.start >= length))) {
            CHECK(first[i]->err != EGO_OK && first[i]->message);
        } else if (CHECK(first[i]->err == EGO_OK) && i % 3 == 0) {
            double end = r.whole || r.end > length ? length : r.end, times[F];
            CHECK_NEAR(first[i]->end, end, 1e-3);
            ego_sample_times(first[i]->start, first[i]->end, F, times);
            const char *path = media_path(r.video);
            char name[1100];
            snprintf(name, sizeof name, "%s%s", path,
                     strchr(r.video, '.')           ? ""
                     : strcmp(r.video, "h264") == 0 ? ".mp4"
                                                    : ".mkv");
            for (int f = 0; f < F; f++)
                CHECK(same_frame(first[i], f, direct(name, times[f], -1, false)));
        }
        ego_clip_free(first[i]);
    }
}

static void link_chunk(const char *set, int k, const char *file) {
    char from[1100], to[1100];
    snprintf(from, sizeof from, "%s/%s", media_folder, file);
    snprintf(to, sizeof to, "%s/%s", media_folder, set);
    mkdir(to, 0777);
    snprintf(to, sizeof to, "%s/%s/%d.mp4", media_folder, set, k);
    if (access(to, R_OK) != 0) CHECK(symlink(from, to) == 0);
}

static void test_chunks(void) {
    link_chunk("uid", 0, "chunk.mp4");
    link_chunk("uid", 1, "h264.mp4");
    ego_clips *clips = open_clips(EGO_SAMPLING_TIME, 0);
    ego_clip *clip = one(clips, "uid", 596, 604); /* the middles are 597, 599, 601 and 603 */
    CHECK(clip->err == EGO_OK && clip->start == 596 && clip->end == 604);
    char first[1100], second[1100];
    snprintf(first, sizeof first, "%s/chunk.mp4", media_folder);
    snprintf(second, sizeof second, "%s/h264.mp4", media_folder);
    CHECK(same_frame(clip, 0, direct(first, 597, -1, false)));
    CHECK(same_frame(clip, 1, direct(first, 599, -1, false)));
    CHECK(same_frame(clip, 2, direct(second, 1, -1, false)));
    CHECK(same_frame(clip, 3, direct(second, 3, -1, false)));
    ego_clip_free(clip);
    clip = one(clips, "uid", 605, 900);
    CHECK(clip->err == EGO_OK);
    CHECK_NEAR(clip->end, 610, 1e-3);
    ego_clip_free(clip);
    clip = one(clips, "uid", 0, -1);
    CHECK(clip->err == EGO_OK);
    CHECK_NEAR(clip->end, 610, 1e-3);
    ego_clip_free(clip);
    clip = one(clips, "uid", 700, 701);
    CHECK(clip->err == EGO_EINPUT);
    ego_clip_free(clip);
    clip = one(clips, "uid", 1300, 1301);
    CHECK(clip->err == EGO_EIO);
    ego_clip_free(clip);
    ego_clips_close(clips);
}

/* The published reader: index - 1, the count of frames as the bound, 30 frames a second assumed. */
static void test_reference(void) {
    char first[1100], second[1100];
    snprintf(first, sizeof first, "%s/chunk.mp4", media_folder);
    snprintf(second, sizeof second, "%s/h264.mp4", media_folder);
    ego_clips *clips = open_clips(EGO_SAMPLING_REFERENCE, 0);
    ego_clip *clip = one(clips, "h264.mp4", 1, 3); /* [30, 90): 37 - 1 = 36, 51, 66, 81 */
    CHECK(clip->err == EGO_OK && clip->substituted == 0);
    CHECK(same_frame(clip, 0, direct(second, 0, 36, true)));
    CHECK(same_frame(clip, 3, direct(second, 0, 81, true)));
    ego_clip_free(clip);
    /* Beyond the end every index becomes the count of frames, 300, and that the last frame. */
    clip = one(clips, "h264.mp4", 20, 22);
    CHECK(clip->err == EGO_OK && clip->substituted == 0);
    CHECK(same_frame(clip, 1, direct(second, 0, 299, true)));
    ego_clip_free(clip);
    /* [17940, 18060) gives 17954, 17984, 18014, 18044: two in the first chunk (600 frames there, so
     * its last one) and 14 - 1 and 44 - 1 in the second. */
    clip = one(clips, "uid", 598, 602);
    CHECK(clip->err == EGO_OK && clip->substituted == 0);
    CHECK(same_frame(clip, 0, direct(first, 0, 599, true)));
    CHECK(same_frame(clip, 1, direct(first, 0, 599, true)));
    CHECK(same_frame(clip, 2, direct(second, 0, 13, true)));
    CHECK(same_frame(clip, 3, direct(second, 0, 43, true)));
    ego_clip_free(clip);
    /* No second chunk: the frames read are repeated. */
    link_chunk("short", 0, "chunk.mp4");
    clip = one(clips, "short", 598, 602);
    CHECK(clip->err == EGO_OK && clip->substituted == 2);
    CHECK(same_frame(clip, 3, direct(first, 0, 599, true)));
    ego_clip_free(clip);
    /* Two frames in the range, and the last frame's number bounds how many are asked for. */
    clip = one(clips, "h264.mp4", 0, 0.09);
    CHECK(clip->err == EGO_OK && clip->substituted == 2);
    ego_clip_free(clip);
    /* Nothing at all: one black frame, prepared, and zeros. */
    clip = one(clips, "short", 700, 702);
    CHECK(clip->err == EGO_OK && clip->substituted == 4);
    CHECK_NEAR(clip->pixels[0], -0.485 / 0.229, 1e-6);
    CHECK(clip->pixels[FLOATS] == 0 && clip->pixels[4 * FLOATS - 1] == 0);
    ego_clip_free(clip);
    ego_clips_counts counts = ego_clips_get_counts(clips);
    CHECK(counts.black == 1 && counts.repeated == 4 && counts.dropped == 6 && counts.failed == 0);
    ego_clips_close(clips);
}

static void test_locate(void) {
    ego_place place = {0};
    CHECK_OK(ego_locate(media_folder, "h264", &place));
    CHECK_STR(place.path, media_path("h264.mp4"));
    CHECK(!place.chunked);
    ego_place_release(&place);
    CHECK_OK(ego_locate(media_folder, "uid", &place));
    CHECK(place.chunked && ego_place_has_chunk(&place, 1) && !ego_place_has_chunk(&place, 2));
    ego_place_release(&place);
    CHECK_OK(ego_locate(NULL, "-", &place));
    ego_place_release(&place);
    CHECK_ERR(EGO_EIO, ego_locate(NULL, "nowhere", &place));
    CHECK_ERR(EGO_EIO, ego_locate(media_folder, "nowhere", &place));
    CHECK_ERR(EGO_EINPUT, ego_locate(media_folder, "", &place));
}

/* Closing with work under way neither hangs nor leaks. */
static void test_close_early(void) {
    for (int i = 0; i < 4; i++) {
        ego_clips *clips = open_clips(EGO_SAMPLING_TIME, 8);
        for (int k = 0; k < 4 * i; k++) {
            ego_clip_request r = request_number(k);
            CHECK_OK(ego_clips_submit(clips, &r));
        }
        ego_clip *clip = NULL;
        if (i > 1) {
            CHECK_OK(ego_clips_next(clips, &clip));
            ego_clip_free(clip);
        }
        ego_clips_close(clips);
    }
}

/* The same clips from a file and from a pipe, ones cut by its end among them; asked for one by one,
 * or all at once. */
static void test_pipe(int window) {
    static const double starts[] = {0, 2, 1.5, 8, 9.9, 9.2, 10.5, 0},
                        ends[] = {2, 4, 3.5, 10.1, 14, 10, 12, 0};
    char command[1200];
    int saved = dup(STDIN_FILENO);
    snprintf(command, sizeof command, "cat '%s'", media_path("opengop.mkv"));
    FILE *pipe = popen(command, "r");
    if (!CHECK(pipe && saved >= 0 && dup2(fileno(pipe), STDIN_FILENO) >= 0)) return;
    ego_clips *file = open_clips(EGO_SAMPLING_TIME, 8),
              *piped = open_clips(EGO_SAMPLING_TIME, window);
    for (int asked = 0, taken = 0; taken < 8; taken++) {
        for (; asked < 8 && ego_clips_room(piped) > 0; asked++) {
            ego_clip_request r = {
                .video = "-", .start = starts[asked], .end = ends[asked], .whole = asked == 7};
            CHECK_OK(ego_clips_submit(piped, &r));
        }
        ego_clip *a = one(file, "opengop.mkv", starts[taken], taken == 7 ? -1 : ends[taken]),
                 *b = NULL;
        if (!CHECK_OK(ego_clips_next(piped, &b))) break;
        if (taken == 6) {
            CHECK(a->err == EGO_EINPUT && b->err == EGO_EEND);
        } else if (CHECK(a->err == EGO_OK && b->err == EGO_OK)) {
            CHECK_NEAR(b->end, a->end, 1e-6);
            CHECK(memcmp(a->pixels, b->pixels, F * FLOATS * sizeof(float)) == 0);
        }
        ego_clip_free(a);
        ego_clip_free(b);
    }
    ego_clips_close(file);
    ego_clips_close(piped);
    dup2(saved, STDIN_FILENO);
    close(saved);
    pclose(pipe);
}

static void test_options(void) {
    ego_clips *clips = NULL;
    ego_clips_options bad[] = {{.frames = 0, .size = S},
                               {.frames = F, .size = 0},
                               {.frames = F, .size = S, .window = -1},
                               {.frames = 1 << 20, .size = S}};
    for (int i = 0; i < 4; i++) CHECK_ERR(EGO_EINPUT, ego_clips_open(&bad[i], &clips));
    clips = open_clips(EGO_SAMPLING_TIME, 2);
    ego_clip_request r = request_number(0);
    for (int i = 0; i < 4; i++) CHECK_OK(ego_clips_submit(clips, &r));
    CHECK(ego_clips_room(clips) == 0 && ego_clips_outstanding(clips) == 4);
    CHECK_ERR(EGO_EINPUT, ego_clips_submit(clips, &r));
    ego_clips_close(clips);
}

/* Frames whose places are told: times, or numbers in display order; behind the end the last one. */
static void test_places(void) {
    const double times[F] = {0.5, 1, 1, 9.99}, numbers[F] = {0, 7, 7, 299},
                 late[F] = {298, 299, 300, 4000};
    const struct {
        ego_sampling sampling;
        const double *at;
        int substituted;
    } rows[] = {{EGO_SAMPLING_TIME, times, 0},
                {EGO_SAMPLING_NUMBERS, numbers, 0},
                {EGO_SAMPLING_NUMBERS, late, 2}};
    for (int i = 0; i < 3; i++) {
        bool by_number = rows[i].sampling == EGO_SAMPLING_NUMBERS;
        ego_clips *clips = open_clips(rows[i].sampling, 3);
        ego_clip_request request = {.video = "h264.mp4", .at = rows[i].at};
        ego_clip *clip = NULL;
        CHECK_OK(ego_clips_submit(clips, &request));
        CHECK_OK(ego_clips_next(clips, &clip));
        CHECK(clip->err == EGO_OK && clip->substituted == rows[i].substituted);
        for (int f = 0; f < F && clip->pixels; f++) {
            double at = rows[i].at[f];
            CHECK(same_frame(
                clip, f,
                direct(media_path("h264.mp4"), at, by_number ? (int64_t)at : -1, by_number)));
        }
        ego_clip_free(clip);
        ego_clips_close(clips);
    }
    ego_clips *clips = open_clips(EGO_SAMPLING_NUMBERS, 3);
    ego_clip *clip = one(clips, "h264.mp4", 0, 1);
    CHECK(clip->err == EGO_EINPUT && strstr(clip->message, "numbers"));
    ego_clip_free(clip);
    ego_clips_close(clips);
}

int main(void) {
    if (!media_make("h264.mp4 opengop.mkv edit.mp4 chunk.mp4"))
        return check_skip("the ffmpeg command is needed to make the test videos");
    test_order();
    test_chunks();
    test_reference();
    test_places();
    test_locate();
    test_close_early();
    test_pipe(1);
    test_pipe(8);
    test_options();
    media_remove();
    return check_done();
}
