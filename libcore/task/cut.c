#include "task/cut.h"

#include "media/encode.h"
#include "media/picture.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_WIDTH = 1280, MOST_FPS = 240, CHANNELS = 2 };
static const double FADE = 0.005; /* seconds: a cut through a wave is heard as a click */

typedef struct cut {
    ego_reel *reel;
    ego_encoder *encoder;
    ego_encode_options output;
    const ego_progress *progress;
    double fps;
    int64_t frames, samples; /* written so far */
    int64_t total;
    ego_image frame, fitted;
    float *sound; /* of one frame's time */
    int64_t room; /* in samples */
} cut;

static int even(double pixels) { return pixels < 16 ? 16 : (int)(pixels / 2) * 2; }

static ego_err plan(cut *c, const ego_cut_options *o, double start) {
    ego_video_info info;
    int rate = 0;
    EGO_TRY(ego_reel_info(c->reel, &info));
    double fps = info.fps > 0 && info.fps <= MOST_FPS ? info.fps : 30;
    double scale = info.width > MAX_WIDTH ? (double)MAX_WIDTH / info.width : 1;
    if (!o->silent) EGO_TRY(ego_reel_sound(c->reel, start, &rate));
    c->output = (ego_encode_options){.width = even(info.width * scale),
                                     .height = even(info.height * scale),
                                     .fps_num = (int)lrint(fps * 1000),
                                     .fps_den = 1000,
                                     .speed = EGO_ENCODE_GOOD,
                                     .threads = o->threads,
                                     .rate = rate ? ego_encode_rate(rate) : 0};
    c->output.channels = c->output.rate ? CHANNELS : 0;
    c->fps = (double)c->output.fps_num / c->output.fps_den;
    c->room = (int64_t)(c->output.rate / c->fps) + 2;
    if (c->output.rate && !(c->sound = malloc((size_t)c->room * CHANNELS * sizeof *c->sound)))
        return ego_fail(EGO_ENOMEM, "out of memory");
    return ego_image_new(c->output.width, c->output.height, &c->fitted);
}

/* How many frames a part has: at least one. */
static int64_t frames_of(const cut *c, ego_part part) {
    int64_t n = llround((part.end - part.start) * c->fps);
    return n < 1 ? 1 : n;
}

static ego_err write_picture(cut *c, double t) {
    EGO_TRY(ego_reel_frame(c->reel, t, &c->frame));
    bool fits = c->frame.width == c->output.width && c->frame.height == c->output.height;
    if (!fits) ego_draw_image(&c->fitted, 0, 0, c->output.width, c->output.height, &c->frame);
    return ego_encode_write(c->encoder, fits ? &c->frame : &c->fitted);
}

/* Sound up to the end of the frames written; `from` samples into a part that has `all` of them. */
static ego_err write_sound(cut *c, double start, int64_t from, int64_t all) {
    int rate = c->output.rate;
    int64_t n = llround((double)c->frames * rate / c->fps) - c->samples;
    if (n < 1) return EGO_OK;
    if (n > c->room) n = c->room;
    EGO_TRY(ego_reel_samples(c->reel, start + (double)from / rate, rate, n, c->sound));
    double fade = FADE * rate;
    for (int64_t i = 0; i < n; i++) {
        int64_t at = from + i, edge = at < all - 1 - at ? at : all - 1 - at;
        float gain = (double)edge < fade ? (float)((double)(edge < 0 ? 0 : edge) / fade) : 1;
        for (int k = 0; k < CHANNELS; k++) c->sound[CHANNELS * i + k] *= gain;
    }
    c->samples += n;
    return ego_encode_sound(c->encoder, c->sound, n);
}

static ego_err write_part(cut *c, ego_part part) {
    int64_t n = frames_of(c, part), before = c->samples;
    int64_t all =
        c->output.rate ? llround((double)(c->frames + n) * c->output.rate / c->fps) - before : 0;
    for (int64_t i = 0; i < n; i++) {
        /* The middle of its place, so that rounding of time stamps cannot pick a neighbour. */
        EGO_TRY(write_picture(c, part.start + ((double)i + 0.5) / c->fps));
        c->frames++;
        if (c->output.rate) EGO_TRY(write_sound(c, part.start, c->samples - before, all));
        if (!ego_progress_tell(c->progress, "frames", (uint64_t)c->frames, (uint64_t)c->total))
            return ego_fail(EGO_ECANCELLED, "stopped");
    }
    return EGO_OK;
}

static ego_err cut_to_end(const ego_reel *reel, ego_part *part) {
    double end = ego_reel_duration(reel);
    if (!(part->start < part->end) || part->start >= end)
        return ego_fail(EGO_EINPUT, "expected a part that begins before its end and the video's, %g s; "
                        "found [%g, %g)", end, part->start, part->end);
    if (part->end > end) part->end = end;
    return EGO_OK;
}

ego_err ego_cut(ego_reel *reel, const ego_part *parts, size_t n, const ego_cut_options *options,
                const char *path) {
    static const ego_cut_options defaults;
    const ego_cut_options *o = options ? options : &defaults;
    cut c = {.reel = reel, .progress = o->progress};
    ego_err err = EGO_OK;
    if (n == 0) return ego_fail(EGO_EINPUT, "%s: nothing to cut out", path);
    EGO_TRY_OUT(plan(&c, o, parts[0].start));
    for (size_t i = 0; i < n; i++) {
        ego_part part = parts[i];
        EGO_TRY_OUT(cut_to_end(reel, &part));
        c.total += frames_of(&c, part);
    }
    EGO_TRY_OUT(ego_encode_open(path, &c.output, &c.encoder));
    for (size_t i = 0; i < n; i++) {
        ego_part part = parts[i];
        EGO_TRY_OUT(cut_to_end(reel, &part));
        EGO_TRY_OUT(write_part(&c, part));
    }
    err = ego_encode_close(c.encoder);
    c.encoder = NULL;
out:
    ego_encode_abort(c.encoder);
    ego_image_free(&c.frame);
    ego_image_free(&c.fitted);
    free(c.sound);
    return err;
}
