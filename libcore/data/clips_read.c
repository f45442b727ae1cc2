#include "data/clips_inside.h"

#include "media/shrink.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void count(ego_clips *clips, int64_t *counter, int64_t by) {
    pthread_mutex_lock(&clips->lock);
    *counter += by;
    pthread_mutex_unlock(&clips->lock);
}

static void hand_back(ego_clips *clips, ego__clip_seat *s) {
    count(clips, &clips->counts.clips, 1);
    count(clips, &clips->counts.failed, s->job->clip.err != EGO_OK);
    s->back = true;
    ego_queue_push(clips->finished, s->job);
}

/* The clip goes back with this thread's latest message. */
static void fail_job(ego_clips *clips, ego__clip_seat *s, ego_err err) {
    s->job->clip.err = err;
    s->job->clip.message = strdup(ego_err_message());
    hand_back(clips, s);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void close_file(ego_clips *clips, ego__clip_file *file) {
    if (file->video) {
        const ego_video_damage *damage = ego_video_get_damage(file->video);
        count(clips, &clips->counts.cut_files, damage->cut);
        count(clips, &clips->counts.read_errors, damage->errors);
        count(clips, &clips->counts.damaged, damage->damaged);
        ego_video_close(file->video);
    }
    free(file->path);
    free(file->message);
    *file = (ego__clip_file){0};
}

/* The file, open; or with its error, which is kept for everyone who asks for it. */
static ego__clip_file *use_file(ego_clips *clips, const char *path) {
    ego__clip_file *file = strcmp(path, "-") == 0 ? &clips->pipe : &clips->file;
    if (file->path && strcmp(file->path, path) == 0) return file;
    close_file(clips, file);
    ego_video_options options = {.threads = clips->options.decoder_threads,
                                 .reference_colour =
                                     clips->options.sampling == EGO_SAMPLING_REFERENCE ||
                                     clips->options.sampling == EGO_SAMPLING_TASKQA ||
                                     clips->options.sampling == EGO_SAMPLING_NUMBERS,
                                 .past = clips->options.past,
                                 .follow = clips->options.follow,
                                 .stop = &clips->stop};
    file->path = strdup(path);
    file->err = file->path ? ego_video_open(path, &options, &file->video)
                           : ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    if (!file->err) file->err = ego_video_get_info(file->video, &file->info);
    if (file->err) file->message = strdup(ego_err_message());
    return file;
}

/* ---- reading --------------------------------------------------------------------------------- */

static size_t frame_bytes(const ego_clips *clips, const ego_clip *clip) {
    if (!clips->options.shorter) return clips->frame_floats * sizeof(float);
    return (size_t)clip->width * (size_t)clip->height * 3;
}

/* As the published reader fills gaps: bad frames are dropped, the last good one repeated. Pictures
 * are never black: without one good frame there is no clip. */
static ego_err close_gaps(ego_clips *clips, ego__clip_seat *s) {
    ego_clip *clip = &s->job->clip;
    size_t bytes = frame_bytes(clips, clip), F = (size_t)clips->options.frames, n = 0;
    uint8_t *frames = clip->pixels ? (uint8_t *)clip->pixels : clip->pictures;
    for (size_t f = 0; f < F; f++) {
        if (!s->good[f]) continue;
        if (n < f) memcpy(frames + n * bytes, frames + f * bytes, bytes);
        n++;
    }
    clip->substituted = (int)(F - n);
    if (n == 0 && clips->options.shorter)
        return ego_fail(EGO_EINPUT, "%s: no frame of [%g, %g) can be read", s->job->video,
                        clip->start, clip->end);
    if (n == 0) {
        memset(frames, 0, F * bytes);
        ego_prepare_black(clips->preparer, clip->pixels);
        count(clips, &clips->counts.black, 1);
        return EGO_OK;
    }
    count(clips, &clips->counts.repeated, (int64_t)(F - n));
    for (size_t f = n; f < F; f++) memcpy(frames + f * bytes, frames + (n - 1) * bytes, bytes);
    return EGO_OK;
}

static void finish_job(ego_clips *clips, ego__clip_seat *s) {
    ego_err err = EGO_OK;
    if (clips->options.sampling == EGO_SAMPLING_REFERENCE) err = close_gaps(clips, s);
    if (err)
        fail_job(clips, s, err);
    else
        hand_back(clips, s);
}

/* Makes the frame that `want` asks for current; *found is false when the video ends before it. */
static ego_err seek_need(const ego_clips *clips, const ego__clip_file *file,
                         const ego__clip_need *want, bool *found) {
    *found = true;
    if (clips->options.sampling == EGO_SAMPLING_TIME) return ego_video_seek(file->video, want->at);
    int64_t number = (int64_t)want->at;
    if (clips->options.sampling == EGO_SAMPLING_REFERENCE) {
        /* The published reader seeks to one before, and there is no frame before the first. */
        if (number > file->info.frames) number = file->info.frames;
        number = number > 0 ? number - 1 : 0;
    }
    return ego_video_seek_number(file->video, number, found);
}

/* Keeps a frame as a picture. All of a clip have one size: that of the first. */
static ego_err keep_picture(ego_clips *clips, ego__clip_seat *s, int frame) {
    ego_clip *clip = &s->job->clip;
    const ego_image *small = &clips->small;
    if (!clip->pictures) {
        clip->width = small->width;
        clip->height = small->height;
        clip->pictures = malloc((size_t)clips->options.frames * frame_bytes(clips, clip));
        if (!clip->pictures) return ego_fail(EGO_ENOMEM, "out of memory for a clip's pictures");
    }
    if (clip->width != small->width || clip->height != small->height)
        return ego_fail(EGO_EINPUT,
                        "%s: the frames of [%g, %g) have two sizes, %d x %d and %d x %d",
                        s->job->video, clip->start, clip->end, clip->width, clip->height,
                        small->width, small->height);
    size_t bytes = frame_bytes(clips, clip);
    memcpy(clip->pictures + (size_t)frame * bytes, small->rgb, bytes);
    return EGO_OK;
}

/* Puts the video's current frame into its place. *shown: the time of the frame in clips->latest or
 * clips->small. */
static ego_err take_frame(ego_clips *clips, const ego__clip_file *file, ego__clip_seat *s,
                          int frame, ego_image *image, double *shown) {
    int shorter = clips->options.shorter;
    double time = ego_video_time(file->video);
    if (*shown != time) {
        *shown = NAN;
        EGO_TRY(ego_video_image(file->video, image));
        EGO_TRY(shorter ? ego_shrink(image, shorter, &clips->small)
                        : ego_prepare(clips->preparer, image, clips->latest));
        *shown = time;
    }
    if (shorter)
        EGO_TRY(keep_picture(clips, s, frame));
    else
        memcpy(s->job->clip.pixels + (size_t)frame * clips->frame_floats, clips->latest,
               clips->frame_floats * sizeof(float));
    s->good[frame] = true;
    return EGO_OK;
}

/* Reads a pipe until the clip's end has passed. If the pipe ended before, the clip is cut there,
 * and read again. */
static ego_err look_for_end(ego_clips *clips, ego__clip_file *file, ego__clip_seat *s,
                            ego_image *image, double *shown) {
    double times[EGO_SAMPLE_MAX_FRAMES];
    ego_clip *clip = &s->job->clip;
    EGO_TRY(ego_video_seek(file->video, clip->end));
    if (!ego_video_at_last(file->video)) return EGO_OK;
    EGO_TRY(ego_video_get_info(file->video, &file->info));
    clip->last = clip->end + EGO_CLIP_ROUNDING >= file->info.duration;
    if (clip->end <= file->info.duration) return EGO_OK;
    clip->end = file->info.duration;
    if (!(clip->start < clip->end)) return ego__clips_too_late(s->job, clip->end, true);
    ego__clips_times(clips, s->job, times);
    for (int f = 0; f < clips->options.frames; f++) {
        EGO_TRY(ego_video_seek(file->video, times[f]));
        EGO_TRY(take_frame(clips, file, s, f, image, shown));
    }
    return EGO_OK;
}

static ego_err read_need(ego_clips *clips, ego__clip_file *file, const ego__clip_need *want,
                         ego_image *image, double *shown) {
    bool found;
    if (want->frame < 0) return look_for_end(clips, file, want->seat, image, shown);
    EGO_TRY(seek_need(clips, file, want, &found));
    if (!found && clips->options.sampling == EGO_SAMPLING_REFERENCE) {
        count(clips, &clips->counts.dropped, 1);
        return EGO_OK;
    }
    if (!found) want->seat->job->clip.substituted++; /* the last frame stands in */
    return take_frame(clips, file, want->seat, want->frame, image, shown);
}

static int by_time(const void *a, const void *b) {
    const ego__clip_need *x = *(ego__clip_need *const *)a, *y = *(ego__clip_need *const *)b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Deals with every need for this file, in the order of time. `order` is room for all of them. */
static void read_file(ego_clips *clips, ego__clip_plan *p, ego__clip_file *file, int number,
                      ego__clip_need **order) {
    int n = 0;
    for (int i = 0; i < p->n_needs; i++)
        if (p->needs[i].file == number && !p->needs[i].dealt) order[n++] = &p->needs[i];
    qsort(order, (size_t)n, sizeof *order, by_time);
    ego_image image = {0};
    double shown = NAN;
    for (int i = 0; i < n; i++) {
        ego__clip_seat *s = order[i]->seat;
        ego_err err = EGO_OK;
        order[i]->dealt = true;
        if (s->back) continue;
        if (atomic_load(&clips->stop))
            err = ego_fail(EGO_ECANCELLED, "stopped");
        else if (!file->err)
            err = read_need(clips, file, order[i], &image, &shown);
        else if (clips->options.sampling == EGO_SAMPLING_REFERENCE)
            count(clips, &clips->counts.dropped, 1);
        else
            err = ego_fail(file->err, "%s", file->message ? file->message : "");
        if (err)
            fail_job(clips, s, err);
        else if (--s->wanted == 0)
            finish_job(clips, s);
    }
    ego_image_free(&image);
}

static bool file_is_wanted(const ego__clip_plan *p, int file, bool to_plan) {
    for (int i = 0; i < p->batch->n && to_plan; i++)
        if (!p->batch->seats[i].back && p->batch->seats[i].last_file == file) return true;
    for (int i = 0; i < p->n_needs; i++)
        if (p->needs[i].file == file && !p->needs[i].dealt && !p->needs[i].seat->back) return true;
    return false;
}

/* A clip is planned when the file it ends in is open, for its end may be the file's. What it needs
 * of chunks that were read before then is read in a second round. */
static void work_on(ego_clips *clips, ego__clip_plan *p, ego__clip_need **order) {
    for (int i = 0; i < p->batch->n; i++) {
        ego_err err = ego__clips_locate(clips, p, &p->batch->seats[i]);
        if (err) fail_job(clips, &p->batch->seats[i], err);
    }
    for (int round = 0; round < 2; round++)
        for (int f = 0; f < p->n_files; f++) {
            if (atomic_load(&clips->stop) || !file_is_wanted(p, f, round == 0)) continue;
            ego__clip_file *file = use_file(clips, p->files[f]);
            for (int i = 0; i < p->batch->n && round == 0; i++) {
                ego__clip_seat *s = &p->batch->seats[i];
                if (s->back || s->last_file != f) continue;
                ego_err err = ego__clips_plan(clips, p, s, file);
                if (err)
                    fail_job(clips, s, err);
                else if (s->wanted == 0)
                    finish_job(clips, s);
            }
            read_file(clips, p, file, f, order);
        }
}

void ego__clips_work(ego_clips *clips, ego__clip_batch *b) {
    size_t frames = (size_t)clips->options.frames, n = (size_t)b->n, most = n * (frames + 1);
    ego__clip_plan p = {.batch = b};
    p.files = calloc(most, sizeof *p.files); /* each frame could be in a chunk of its own */
    p.needs = calloc(most, sizeof *p.needs);
    ego__clip_need **order = calloc(most, sizeof *order);
    bool *good = calloc(n * frames, sizeof *good);
    for (size_t i = 0; i < n; i++) {
        b->seats[i].last_file = -1;
        b->seats[i].good = good ? good + i * frames : NULL;
    }
    if (p.files && p.needs && order && good)
        work_on(clips, &p, order);
    else
        ego_fail(EGO_ENOMEM, "out of memory for reading clips");
    for (size_t i = 0; i < n; i++) {
        ego__clip_seat *s =
            &b->seats[i]; /* left over when memory ran out or everything is to stop */
        if (!s->back) fail_job(clips, s, atomic_load(&clips->stop) ? EGO_ECANCELLED : EGO_ENOMEM);
        ego_place_release(&s->place);
    }
    for (int i = 0; i < p.n_files; i++) free(p.files[i]);
    free(p.files);
    free(p.needs);
    free(order);
    free(good);
    free(b);
}

void ego__clips_close_files(ego_clips *clips) {
    close_file(clips, &clips->file);
    close_file(clips, &clips->pipe);
}
