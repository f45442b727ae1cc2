#include "task/chunks.h"

#include "base/file.h"
#include "data/locate.h"
#include "media/decode.h"
#include "media/encode.h"
#include "media/reduce.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

enum { FRAMES = EGO_CHUNK_RATE * 600, TELL = 30 };

typedef struct work {
    ego_video *video;
    ego_image frame, small;
    int64_t frames; /* of the whole */
    int width, height;
    int quality;
    const ego_progress *progress;
} work;

/* The short side 256, both even. */
static void find_size(work *w, const ego_video_info *info) {
    double shorter = info->width < info->height ? info->width : info->height;
    double scale = shorter > EGO_CHUNK_SIDE ? EGO_CHUNK_SIDE / shorter : 1;
    w->width = (int)floor(info->width * scale + 1e-9) & ~1;
    w->height = (int)floor(info->height * scale + 1e-9) & ~1;
}

static ego_err write_frames(work *w, int64_t first, int64_t end, ego_encoder *encoder) {
    for (int64_t n = first; n < end; n++) {
        EGO_TRY(ego_video_frame_at(w->video, (double)n / EGO_CHUNK_RATE, &w->frame));
        EGO_TRY(ego_reduce(&w->frame, w->width, w->height, &w->small));
        EGO_TRY(ego_encode_write(encoder, &w->small));
        if (n % TELL == 0 && !ego_progress_tell(w->progress, "frames", (uint64_t)n, (uint64_t)w->frames))
            return ego_fail(EGO_ECANCELLED, "stopped");
    }
    return EGO_OK;
}

static ego_err make_chunk(work *w, int64_t k, const char *path) {
    ego_encoder *encoder;
    ego_encode_options o = {.width = w->width,
                            .height = w->height,
                            .fps_num = EGO_CHUNK_RATE,
                            .fps_den = 1,
                            .speed = EGO_ENCODE_GOOD,
                            .quality = w->quality};
    int64_t end = (k + 1) * FRAMES < w->frames ? (k + 1) * FRAMES : w->frames;
    EGO_TRY(ego_encode_open(path, &o, &encoder));
    ego_err err = write_frames(w, k * FRAMES, end, encoder);
    if (err == EGO_OK) return ego_encode_close(encoder);
    ego_encode_abort(encoder);
    return err;
}

static ego_err make_all(work *w, const char *folder, ego_chunks_counts *counts) {
    for (int64_t k = 0; k * FRAMES < w->frames; k++) {
        ego_buf path = {0};
        ego_buf_printf(&path, "%s/%lld.mp4", folder, (long long)k);
        ego_err err = ego_buf_err(&path);
        bool there = err == EGO_OK && access(path.data, F_OK) == 0;
        if (err == EGO_OK && !there) err = make_chunk(w, k, path.data);
        ego_buf_release(&path);
        EGO_TRY(err);
        counts->chunks++;
        counts->made += !there;
    }
    return EGO_OK;
}

ego_err ego_chunks_make(const char *video, const char *folder, int quality,
                        const ego_progress *progress, ego_chunks_counts *counts) {
    work w = {.quality = quality, .progress = progress};
    ego_video_info info;
    *counts = (ego_chunks_counts){0};
    EGO_TRY(ego_video_open(video, NULL, &w.video));
    ego_err err = ego_video_get_info(w.video, &info);
    if (err == EGO_OK && !(info.duration > 0 && info.duration < 1e8))
        err = ego_fail(EGO_EINPUT, "%s: holds no video that lasts", video);
    if (err == EGO_OK) err = ego_make_directory(folder);
    if (err == EGO_OK) {
        counts->duration = info.duration;
        w.frames = (int64_t)ceil((info.duration - 1e-6) * EGO_CHUNK_RATE);
        find_size(&w, &info);
        err = make_all(&w, folder, counts);
    }
    ego_image_free(&w.frame);
    ego_image_free(&w.small);
    ego_video_close(w.video);
    return err;
}
