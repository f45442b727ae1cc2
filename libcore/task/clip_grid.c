#include "task/clip_grid.h"

#include "data/locate.h"
#include "media/decode.h"
#include "media/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BATCH = 64 };

/* ---- how long a video is --------------------------------------------------------------------- */

typedef struct extent {
    double seconds;
    int64_t frames; /* as decord counts; in a chunked set 30 a second of all chunks but the last */
} extent;

static ego_err measure_file(const char *path, ego_video_info *info) {
    ego_video *video;
    EGO_TRY(ego_video_open(path, NULL, &video));
    ego_err err = ego_video_get_info(video, info);
    ego_video_close(video);
    if (err == EGO_OK && info->pipe && !info->exact)
        return ego_fail(EGO_EUNSUPPORTED,
                        "%s: how long a pipe lasts is not known before its end: save it to a file",
                        path);
    return err;
}

static ego_err measure(const char *root, const char *video, extent *whole) {
    ego_place place;
    ego_video_info info;
    int64_t last = 0;
    EGO_TRY(ego_locate(root, video, &place));
    while (place.chunked && ego_place_has_chunk(&place, last + 1)) last++;
    char *path = place.chunked ? ego_place_chunk(&place, last) : strdup(place.path);
    ego_err err = path ? measure_file(path, &info) : ego_fail(EGO_ENOMEM, "out of memory");
    free(path);
    ego_place_release(&place);
    if (err != EGO_OK) return err;
    *whole = (extent){(double)last * EGO_CHUNK_SECONDS + info.duration,
                      last * EGO_CHUNK_SECONDS * EGO_REFERENCE_FPS + info.frames};
    return EGO_OK;
}

/* ---- where the clips are --------------------------------------------------------------------- */

static ego_err range_of(const ego_video_part *part, const extent *whole, bool told,
                        ego_clip_grid *g) {
    g->start = isnan(part->start) || part->start < 0 ? 0 : part->start;
    g->end = isnan(part->end) ? whole->seconds : part->end;
    if (!told && g->end > whole->seconds) g->end = whole->seconds;
    if (g->start >= whole->seconds)
        return ego_fail(EGO_EINPUT, "%s: expected a start before its end at %.3f s, found %.3f s",
                        part->video, whole->seconds, g->start);
    if (!(g->start < g->end))
        return ego_fail(EGO_EINPUT, "%s: expected a start before the end, found [%g, %g)",
                        part->video, g->start, g->end);
    return EGO_OK;
}

static ego_err place_clips(const ego_video_part *part, const extent *whole, bool numbers,
                           ego_clip_grid *g) {
    double seconds = g->end - g->start;
    g->count = ego_sample_grid(seconds, g->frames);
    bool short_of_one = g->count == 0;
    if (short_of_one && numbers)
        return ego_fail(EGO_EINPUT, "%s: %g s are too short for a clip of %d frames", part->video,
                        seconds, g->frames);
    if (short_of_one) g->count = 1;
    g->at = malloc((size_t)g->count * (size_t)g->frames * sizeof *g->at);
    if (!g->at) return ego_fail(EGO_ENOMEM, "%s: out of memory for its clips", part->video);
    if (short_of_one)
        ego_sample_times(g->start, g->end, g->frames, g->at);
    else if (numbers)
        ego_sample_grid_numbers(g->start, g->end, whole->frames, g->frames, g->count, g->at);
    else
        ego_sample_grid_times(g->start, g->end, g->frames, g->count, g->at);
    g->step = short_of_one ? seconds : ego_sample_grid_step(seconds, g->frames);
    return EGO_OK;
}

ego_err ego_clip_grid_make(const char *root, const ego_video_part *part, ego_sampling sampling,
                           int frames, ego_clip_grid *grid) {
    extent whole;
    ego_clip_grid g = {.frames = frames};
    bool numbers = ego_clip_grid_reader(sampling) == EGO_SAMPLING_NUMBERS;
    EGO_TRY(measure(root, part->video, &whole));
    EGO_TRY(range_of(part, &whole, numbers, &g));
    EGO_TRY(place_clips(part, &whole, numbers, &g));
    *grid = g;
    return EGO_OK;
}

void ego_clip_grid_release(ego_clip_grid *grid) {
    free(grid->at);
    *grid = (ego_clip_grid){0};
}

ego_sampling ego_clip_grid_reader(ego_sampling sampling) {
    return sampling == EGO_SAMPLING_TIME ? EGO_SAMPLING_TIME : EGO_SAMPLING_NUMBERS;
}

/* ---- reading them ---------------------------------------------------------------------------- */

typedef struct walk {
    const ego_clip_grid *grid;
    const char *video;
    ego_clips *reader;
    int64_t size, batch, asked;
    ego_clip_grid_visit *visit;
    void *context;
    float *pixels; /* (batch, F, 3, S, S) */
} walk;

/* Asks for as many clips as there is room for. */
static ego_err ask(walk *w) {
    const ego_clip_grid *g = w->grid;
    for (; w->asked < g->count && ego_clips_room(w->reader) > 0; w->asked++) {
        ego_clip_request request = {
            .video = w->video, .at = g->at + w->asked * g->frames, .tag = (uint64_t)w->asked};
        EGO_TRY(ego_clips_submit(w->reader, &request));
    }
    return w->asked == g->count ? ego_clips_flush(w->reader) : EGO_OK;
}

static ego_err take(walk *w, float *pixels, size_t floats) {
    ego_clip *clip;
    EGO_TRY(ask(w));
    EGO_TRY(ego_clips_next(w->reader, &clip));
    ego_err err = clip->err;
    if (err != EGO_OK)
        ego_fail(err, "%s", clip->message ? clip->message : "");
    else
        memcpy(pixels, clip->pixels, floats * sizeof *pixels);
    ego_clip_free(clip);
    return err;
}

static ego_err read_all(walk *w) {
    int64_t F = w->grid->frames, S = w->size, count = w->grid->count;
    size_t floats = (size_t)(F * 3 * S * S);
    w->pixels = malloc((size_t)w->batch * floats * sizeof *w->pixels);
    if (!w->pixels) return ego_fail(EGO_ENOMEM, "%s: out of memory for clips", w->video);
    for (int64_t first = 0; first < count; first += w->batch) {
        int64_t n = first + w->batch < count ? w->batch : count - first;
        for (int64_t i = 0; i < n; i++) EGO_TRY(take(w, w->pixels + (size_t)i * floats, floats));
        ego_tensor clips = {
            .data = w->pixels, .dtype = EGO_F32, .ndim = 5, .shape = {n, F, 3, S, S}};
        EGO_TRY(ask(w)); /* reading goes on meanwhile */
        EGO_TRY(w->visit(w->context, &clips, first));
    }
    return EGO_OK;
}

ego_err ego_clip_grid_read(const ego_clip_grid *grid, const char *video, ego_clips *reader,
                           int size, int64_t batch, ego_clip_grid_visit *visit, void *context) {
    walk w = {.grid = grid,
              .video = video,
              .reader = reader,
              .size = size,
              .batch = batch < 1           ? 1
                       : batch > MAX_BATCH ? MAX_BATCH
                                           : batch,
              .visit = visit,
              .context = context};
    ego_clip *left;
    ego_err err = read_all(&w);
    while (ego_clips_outstanding(reader) && ego_clips_next(reader, &left) == EGO_OK)
        ego_clip_free(left);
    free(w.pixels);
    return err;
}
