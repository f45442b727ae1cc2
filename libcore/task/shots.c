#include "task/shots.h"

#include "base/file.h"
#include "base/rng.h"
#include "data/clips.h"
#include "data/locate.h"
#include "media/augment.h"
#include "media/decode.h"
#include "task/reel.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_PICTURES = 1 << 22,
    MAX_FRAMES = 64,
    AS_IT_IS = EGO_IMAGE_MAX_SIDE /* a short side that no picture is larger than */
};
static const double LEAST_AREA =
    0.08; /* RandomResizedCrop's own default, which the published program takes */

struct ego_shots {
    ego_shots_options options;
    char *video;
    size_t n, submitted, next;
    ego_clips *clips; /* of a video */
    char **pictures;  /* of a directory: paths */
    size_t n_pictures;
    ego_preparer *preparer; /* where frames are not prepared by the clips' reader */
    ego_image image;
};

/* ---- a directory of pictures --------------------------------------------------------------------- */

static bool is_picture(const char *name) {
    return name[0] != '.' && (ego_has_suffix(name, ".jpg") || ego_has_suffix(name, ".jpeg") ||
                              ego_has_suffix(name, ".png"));
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static ego_err add_picture(ego_shots *s, const char *folder, const char *name, size_t *room) {
    if (s->n_pictures == MAX_PICTURES)
        return ego_fail(EGO_EINPUT, "%s: more than %d pictures", folder, MAX_PICTURES);
    if (s->n_pictures == *room) {
        *room = *room ? 2 * *room : 1024;
        char **grown = realloc(s->pictures, *room * sizeof(char *));
        if (!grown) return ego_fail(EGO_ENOMEM, "%s: out of memory", folder);
        s->pictures = grown;
    }
    ego_buf path = {0};
    ego_buf_printf(&path, "%s/%s", folder, name);
    s->pictures[s->n_pictures++] = path.data;
    return ego_buf_err(&path);
}

static ego_err list_pictures(ego_shots *s, const char *folder) {
    DIR *dir = opendir(folder);
    if (!dir) return ego_fail(EGO_EIO, "%s: %s", folder, strerror(errno));
    ego_err err = EGO_OK;
    size_t room = 0;
    for (struct dirent *e; err == EGO_OK && (e = readdir(dir));)
        if (is_picture(e->d_name)) err = add_picture(s, folder, e->d_name, &room);
    closedir(dir);
    if (err == EGO_OK && s->n_pictures) qsort(s->pictures, s->n_pictures, sizeof(char *), by_name);
    return err;
}

/* ---- what there is ------------------------------------------------------------------------------- */

static ego_err measure(ego_shots *s) {
    ego_reel *reel = NULL;
    ego_video_info info;
    ego_shots_options *o = &s->options;
    EGO_TRY(ego_reel_open(o->video_root, s->video, &reel));
    ego_err err = ego_reel_info(reel, &info);
    double end = ego_reel_duration(reel), frame = err == EGO_OK && info.fps > 0 ? 1 / info.fps : 0;
    ego_reel_close(reel);
    EGO_TRY(err);
    if (info.pipe)
        return ego_fail(EGO_EUNSUPPORTED,
                        "%s: a summary needs to know how long the video is: save it to a file",
                        s->video);
    if (o->end <= 0 || o->end > end) o->end = end;
    if (!(o->start >= 0 && o->start < o->end))
        return ego_fail(EGO_EINPUT, "%s: expected a start before its end at %g s, found %g",
                        s->video, o->end, o->start);
    /* A video cut at whole shots may lack a frame. */
    double n = floor((o->end - o->start + frame) / o->seconds);
    s->n = n < 1 ? 1 : (size_t)n;
    return EGO_OK;
}

/* A directory without 0.mp4 is one of pictures. */
static ego_err find(ego_shots *s) {
    ego_place place;
    if (strcmp(s->video, "-") == 0) return measure(s);
    EGO_TRY(ego_locate(s->options.video_root, s->video, &place));
    ego_err err = EGO_OK;
    if (place.chunked && !ego_place_has_chunk(&place, 0)) err = list_pictures(s, place.path);
    ego_place_release(&place);
    if (err != EGO_OK || !s->n_pictures) return err != EGO_OK ? err : measure(s);
    size_t each = (size_t)s->options.frames;
    s->options.start = 0; /* pictures have no other clock than their number */
    s->n = s->n_pictures / each;
    if (s->n == 0)
        return ego_fail(EGO_EINPUT, "%s: expected at least %zu pictures, found %zu", s->video, each,
                        s->n_pictures);
    return EGO_OK;
}

static ego_err open_clips(ego_shots *s) {
    const ego_shots_options *o = &s->options;
    ego_clips_options c = {.video_root = o->video_root,
                           .sampling = EGO_SAMPLING_TIME,
                           .preparation = EGO_PREPARE_SHORT,
                           .frames = o->frames,
                           .size = o->size,
                           .shorter = o->random_crops ? AS_IT_IS : 0};
    return ego_clips_open(&c, &s->clips);
}

ego_err ego_shots_open(const char *video, const ego_shots_options *options, ego_shots **out) {
    ego_err err;
    ego_shots *s = calloc(1, sizeof *s);
    if (!s || !(s->video = strdup(video))) {
        free(s);
        return ego_fail(EGO_ENOMEM, "%s: out of memory", video);
    }
    s->options = *options;
    if (!(s->options.seconds > 0)) s->options.seconds = EGO_SHOT_SECONDS;
    if (options->frames < 1 || options->frames > MAX_FRAMES) {
        err = ego_fail(EGO_EINPUT, "expected shots of 1 to %d frames, found %d", MAX_FRAMES,
                       options->frames);
        goto out;
    }
    EGO_TRY_OUT(find(s));
    if (!s->n_pictures) EGO_TRY_OUT(open_clips(s));
    if (s->n_pictures || s->options.random_crops)
        EGO_TRY_OUT(ego_preparer_new(EGO_PREPARE_SHORT, s->options.size, &s->preparer));
    *out = s;
    s = NULL;
out:
    ego_shots_close(s);
    return err;
}

void ego_shots_close(ego_shots *s) {
    if (!s) return;
    ego_clips_close(s->clips);
    ego_preparer_free(s->preparer);
    ego_image_free(&s->image);
    for (size_t i = 0; i < s->n_pictures; i++) free(s->pictures[i]);
    free(s->pictures);
    free(s->video);
    free(s);
}

size_t ego_shots_count(const ego_shots *s) { return s->n; }

void ego_shots_time(const ego_shots *s, size_t k, double *start, double *end) {
    double each = s->n_pictures ? s->options.frames : s->options.seconds;
    *start = s->options.start + (double)k * each;
    *end = *start + each;
    if (!s->n_pictures && *end > s->options.end) *end = s->options.end;
}

/* ---- reading ------------------------------------------------------------------------------------- */

static ego_err prepare(ego_shots *s, int frame, const ego_image *image, float *out) {
    out += (size_t)frame * ego_prepared_floats(s->preparer);
    if (!s->options.random_crops) return ego_prepare(s->preparer, image, out);
    uint64_t stream = ego_rng_stream(ego_rng_stream(s->options.seed, s->next), (uint64_t)frame);
    ego_box box = ego_augment_box_from(LEAST_AREA, image->width, image->height, stream);
    return ego_prepare_box(s->preparer, image, box, false, out);
}

static ego_err next_pictures(ego_shots *s, float *out) {
    for (int f = 0; f < s->options.frames; f++) {
        ego_video *picture = NULL;
        EGO_TRY(ego_video_open(s->pictures[s->next * (size_t)s->options.frames + (size_t)f], NULL,
                               &picture));
        ego_err err = ego_video_image(picture, &s->image);
        ego_video_close(picture);
        EGO_TRY(err);
        EGO_TRY(prepare(s, f, &s->image, out));
    }
    return EGO_OK;
}

static ego_err submit(ego_shots *s) {
    const ego_shots_options *o = &s->options;
    while (s->submitted < s->n && ego_clips_room(s->clips) > 0) {
        double at[MAX_FRAMES], start, end;
        ego_shots_time(s, s->submitted, &start, &end);
        for (int f = 0; f < o->frames; f++) at[f] = start + f * o->seconds / o->frames;
        ego_clip_request r = {.video = s->video,
                              .start = start,
                              .end = end,
                              .at = o->whole_seconds ? at : NULL,
                              .tag = s->submitted++};
        EGO_TRY(ego_clips_submit(s->clips, &r));
    }
    return ego_clips_flush(s->clips);
}

static ego_err take(ego_shots *s, const ego_clip *clip, float *out) {
    size_t floats =
        (size_t)s->options.frames * 3 * (size_t)s->options.size * (size_t)s->options.size;
    if (clip->err != EGO_OK)
        return ego_fail(clip->err, "%s", clip->message ? clip->message : "a shot cannot be read");
    if (clip->pixels) {
        memcpy(out, clip->pixels, floats * sizeof *out);
        return EGO_OK;
    }
    size_t each = 3 * (size_t)clip->width * (size_t)clip->height;
    for (int f = 0; f < s->options.frames; f++) {
        ego_image view = {clip->width, clip->height, clip->pictures + (size_t)f * each};
        EGO_TRY(prepare(s, f, &view, out));
    }
    return EGO_OK;
}

ego_err ego_shots_next(ego_shots *s, float *out) {
    ego_clip *clip = NULL;
    ego_err err = EGO_OK;
    if (s->next == s->n) return EGO_EEND;
    if (s->n_pictures) {
        err = next_pictures(s, out);
    } else {
        EGO_TRY(submit(s));
        EGO_TRY(ego_clips_next(s->clips, &clip));
        err = take(s, clip, out);
        ego_clip_free(clip);
    }
    s->next++;
    return err;
}
