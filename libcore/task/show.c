#include "task/show.h"

#include "data/locate.h"
#include "media/decode.h"
#include "media/encode.h"
#include "media/picture.h"
#include "media/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WIDTH = 1280 };

/* A place that is read forward: the file, or whichever chunk holds the time asked for. */
typedef struct reel {
    ego_place place;
    ego_video *video; /* the file or chunk that is open; NULL: none yet */
    int64_t chunk;
    double start, end; /* of the record, cut to the file */
} reel;

static ego_err open_chunk(reel *r, int64_t chunk) {
    if (r->video && chunk == r->chunk) return EGO_OK;
    ego_video_close(r->video);
    r->video = NULL;
    char *path = r->place.chunked ? ego_place_chunk(&r->place, chunk) : strdup(r->place.path);
    if (!path) return ego_fail(EGO_ENOMEM, "%s: out of memory", r->place.path);
    ego_err err = ego_video_open(path, NULL, &r->video);
    free(path);
    r->chunk = chunk;
    return err;
}

static ego_err frame_at(reel *r, double t, ego_image *image) {
    double base = 0;
    if (r->place.chunked) {
        int64_t chunk = (int64_t)(t / EGO_CHUNK_SECONDS);
        while (chunk > 0 && !ego_place_has_chunk(&r->place, chunk)) chunk--;
        EGO_TRY(open_chunk(r, chunk));
        base = (double)chunk * EGO_CHUNK_SECONDS;
    }
    return ego_video_frame_at(r->video, t - base, image);
}

/* The end of the whole: of the last chunk, where there are some. */
static ego_err duration_of(reel *r, double *duration) {
    int64_t last = 0;
    while (r->place.chunked && ego_place_has_chunk(&r->place, last + 1)) last++;
    ego_video_info info;
    EGO_TRY(open_chunk(r, last));
    EGO_TRY(ego_video_get_info(r->video, &info));
    *duration = (double)last * EGO_CHUNK_SECONDS + info.duration;
    return EGO_OK;
}

static void close_reel(reel *r) {
    ego_video_close(r->video);
    ego_place_release(&r->place);
}

/* Release with close_reel in any case. */
static ego_err open_reel(const char *root, const ego_record *clip, reel *r) {
    double duration;
    *r = (reel){.start = clip->start, .end = clip->end};
    if (!clip->video) return ego_fail(EGO_EINPUT, "%s: has no \"video\" to show", clip->id);
    EGO_TRY(ego_locate(root, clip->video, &r->place));
    EGO_TRY(duration_of(r, &duration));
    if (r->start >= duration)
        return ego_fail(EGO_EINPUT, "%s: expected a start before its end at %g s, found %g",
                        clip->video, duration, r->start);
    if (!(clip->has & EGO_RECORD_END) || r->end > duration) r->end = duration;
    return EGO_OK;
}

/* The frame on display at t, `height` pixels high; `whole` is memory to decode into. */
static ego_err small_frame_at(reel *r, double t, int height, ego_image *whole, ego_image *image) {
    if (height == 0) return frame_at(r, t, image);
    EGO_TRY(frame_at(r, t, whole));
    int width = (int)((int64_t)whole->width * height / whole->height);
    EGO_TRY(ego_image_new(width < 1 ? 1 : width, height, image));
    ego_draw_image(image, 0, 0, image->width, height, whole);
    return EGO_OK;
}

ego_err ego_show_frames(const char *root, const ego_record *clip, int height, int n,
                        ego_image *frames) {
    reel r;
    ego_image whole = {0};
    double times[EGO_SHOW_MAX_FRAMES];
    ego_err err = open_reel(root, clip, &r);
    if (err == EGO_OK) ego_sample_times(r.start, r.end, n, times);
    for (int i = 0; err == EGO_OK && i < n; i++)
        err = small_frame_at(&r, times[i], height, &whole, &frames[i]);
    ego_image_free(&whole);
    close_reel(&r);
    return err;
}

/* ---- a clip as a file ---------------------------------------------------------------------------- */

static int even(double pixels) { return pixels < 16 ? 16 : (int)(pixels / 2) * 2; }

static ego_encode_options options_for(const ego_video_info *info) {
    double fps = info->fps > 0 && info->fps <= 240 ? info->fps : 30;
    double scale = info->width > MAX_WIDTH ? (double)MAX_WIDTH / info->width : 1;
    return (ego_encode_options){.width = even(info->width * scale),
                                .height = even(info->height * scale),
                                .fps_num = (int)lrint(fps * 1000),
                                .fps_den = 1000,
                                .speed = EGO_ENCODE_GOOD,
                                .threads = 1};
}

static ego_err write_frames(reel *r, const ego_encode_options *o, ego_encoder *encoder) {
    ego_image frame = {0}, fitted = {0};
    double fps = (double)o->fps_num / o->fps_den;
    int64_t n = (int64_t)ceil((r->end - r->start) * fps - 1e-6);
    ego_err err = ego_image_new(o->width, o->height, &fitted);
    for (int64_t i = 0; err == EGO_OK && i < (n < 1 ? 1 : n); i++) {
        /* The middle of its place, so that rounding of time stamps cannot pick a neighbour. */
        err = frame_at(r, r->start + ((double)i + 0.5) / fps, &frame);
        if (err != EGO_OK) break;
        bool fits = frame.width == o->width && frame.height == o->height;
        if (!fits) ego_draw_image(&fitted, 0, 0, o->width, o->height, &frame);
        err = ego_encode_write(encoder, fits ? &frame : &fitted);
    }
    ego_image_free(&frame);
    ego_image_free(&fitted);
    return err;
}

ego_err ego_show_save(const char *root, const ego_record *clip, const char *path) {
    reel r;
    ego_video_info info;
    ego_encoder *encoder = NULL;
    ego_err err;
    EGO_TRY_OUT(open_reel(root, clip, &r));
    EGO_TRY_OUT(ego_video_get_info(r.video, &info));
    ego_encode_options options = options_for(&info);
    EGO_TRY_OUT(ego_encode_open(path, &options, &encoder));
    EGO_TRY_OUT(write_frames(&r, &options, encoder));
    err = ego_encode_close(encoder);
    encoder = NULL;
out:
    ego_encode_abort(encoder);
    close_reel(&r);
    return err;
}
