#include "task/reel.h"

#include "data/locate.h"
#include "media/picture.h"
#include "media/sample.h"
#include "media/sound.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct ego_reel {
    ego_place place;
    ego_video *video; /* the file or chunk that is open; NULL: none yet */
    int64_t chunk;
    double duration;
    ego_sound *sound;    /* of chunk sound_chunk; NULL: it has none, or none was looked for */
    int64_t sound_chunk; /* -1: none was looked for */
    ego_image whole;     /* a frame before it is made small */
};

static char *path_of(const ego_reel *r, int64_t chunk) {
    return r->place.chunked ? ego_place_chunk(&r->place, chunk) : strdup(r->place.path);
}

static ego_err open_chunk(ego_reel *r, int64_t chunk) {
    if (r->video && chunk == r->chunk) return EGO_OK;
    ego_video_close(r->video);
    r->video = NULL;
    char *path = path_of(r, chunk);
    if (!path) return ego_fail(EGO_ENOMEM, "%s: out of memory", r->place.path);
    ego_err err = ego_video_open(path, NULL, &r->video);
    free(path);
    r->chunk = chunk;
    return err;
}

/* The chunk that t is in, or the last one before it that is there. */
static int64_t chunk_at(const ego_reel *r, double t) {
    if (!r->place.chunked) return 0;
    int64_t chunk = t > 0 ? (int64_t)(t / EGO_CHUNK_SECONDS) : 0;
    while (chunk > 0 && !ego_place_has_chunk(&r->place, chunk)) chunk--;
    return chunk;
}

static double begin_of(const ego_reel *r, int64_t chunk) {
    return r->place.chunked ? (double)chunk * EGO_CHUNK_SECONDS : 0;
}

static ego_err measure(ego_reel *r) {
    int64_t last = 0;
    while (r->place.chunked && ego_place_has_chunk(&r->place, last + 1)) last++;
    ego_video_info info;
    EGO_TRY(open_chunk(r, last));
    EGO_TRY(ego_video_get_info(r->video, &info));
    r->duration = begin_of(r, last) + info.duration;
    return EGO_OK;
}

ego_err ego_reel_open(const char *root, const char *video, ego_reel **out) {
    ego_err err;
    ego_reel *r = calloc(1, sizeof *r);
    if (!r) return ego_fail(EGO_ENOMEM, "%s: out of memory", video);
    r->sound_chunk = -1;
    EGO_TRY_OUT(ego_locate(root, video, &r->place));
    EGO_TRY_OUT(measure(r));
    *out = r;
    r = NULL;
out:
    ego_reel_close(r);
    return err;
}

void ego_reel_close(ego_reel *r) {
    if (!r) return;
    ego_video_close(r->video);
    ego_sound_close(r->sound);
    ego_image_free(&r->whole);
    ego_place_release(&r->place);
    free(r);
}

double ego_reel_duration(const ego_reel *r) { return r->duration; }
ego_err ego_reel_info(ego_reel *r, ego_video_info *info) {
    return ego_video_get_info(r->video, info);
}

/* ---- pictures ------------------------------------------------------------------------------------ */

ego_err ego_reel_frame(ego_reel *r, double t, ego_image *image) {
    int64_t chunk = chunk_at(r, t);
    EGO_TRY(open_chunk(r, chunk));
    return ego_video_frame_at(r->video, t - begin_of(r, chunk), image);
}

ego_err ego_reel_small(ego_reel *r, double t, int height, ego_image *image) {
    if (height == 0) return ego_reel_frame(r, t, image);
    EGO_TRY(ego_reel_frame(r, t, &r->whole));
    int width = (int)((int64_t)r->whole.width * height / r->whole.height);
    EGO_TRY(ego_image_new(width < 1 ? 1 : width, height, image));
    ego_draw_image(image, 0, 0, image->width, height, &r->whole);
    return EGO_OK;
}

/* ---- sound --------------------------------------------------------------------------------------- */

/* Where sound is counted from is told by the pictures of the same chunk. */
static ego_err open_sound(ego_reel *r, int64_t chunk) {
    if (r->sound_chunk == chunk) return EGO_OK;
    ego_sound_close(r->sound);
    r->sound = NULL;
    r->sound_chunk = -1;
    EGO_TRY(open_chunk(r, chunk));
    char *path = path_of(r, chunk);
    if (!path) return ego_fail(EGO_ENOMEM, "%s: out of memory", r->place.path);
    ego_err err = ego_sound_open(path, ego_video_origin(r->video), &r->sound);
    free(path);
    if (err == EGO_OK) r->sound_chunk = chunk;
    return err;
}

ego_err ego_reel_sound(ego_reel *r, double t, int *rate) {
    EGO_TRY(open_sound(r, chunk_at(r, t)));
    *rate = r->sound ? ego_sound_rate(r->sound) : 0;
    return EGO_OK;
}

/* Samples within one chunk. */
static ego_err read_part(ego_reel *r, int64_t chunk, double t, int rate, int64_t n, float *out) {
    EGO_TRY(open_sound(r, chunk));
    if (!r->sound) {
        memset(out, 0, (size_t)n * 2 * sizeof *out);
        return EGO_OK;
    }
    EGO_TRY(ego_sound_read(r->sound, t - begin_of(r, chunk), rate, n, out));
    if (ego_sound_channels(r->sound) == 1)
        for (int64_t i = n; i-- > 0;) out[2 * i] = out[2 * i + 1] = out[i];
    return EGO_OK;
}

ego_err ego_reel_samples(ego_reel *r, double t, int rate, int64_t n, float *out) {
    for (int64_t done = 0; done < n;) {
        double at = t + (double)done / rate;
        int64_t chunk = chunk_at(r, at), count = n - done;
        if (r->place.chunked && ego_place_has_chunk(&r->place, chunk + 1)) {
            int64_t left = (int64_t)ceil((begin_of(r, chunk + 1) - at) * rate - 1e-6);
            if (left < count) count = left > 1 ? left : 1;
        }
        EGO_TRY(read_part(r, chunk, at, rate, count, out + 2 * done));
        done += count;
    }
    return EGO_OK;
}
