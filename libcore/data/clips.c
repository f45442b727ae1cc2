#include "data/clips.h"

#include "base/threads.h"
#include "data/locate.h"
#include "media/decode.h"
#include "media/sample.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { USUAL_WINDOW = 32, MAX_WINDOW = 1024 };
static const size_t USUAL_MEMORY = (size_t)256 << 20;
static const double FOREVER = 1e8; /* seconds */

/* A request on its way. The caller's thread owns it until it is handed over in a batch, then the
 * reading thread, until it comes back through `finished`. */
typedef struct job {
    ego_clip clip; /* first: what the caller gets is the job */
    struct job *next;
    bool done; /* it came back; known to the caller's thread */
    bool whole;
    char *video;
} job;

/* What the reading thread knows of a job; it outlives the job, which the caller may free. */
typedef struct seat {
    job *job;
    bool back; /* handed back: the job must not be touched any more */
    ego_place place;
    int64_t first_chunk, last_chunk; /* of a chunked place */
    bool open_end;                   /* nothing follows the last file: the clip is cut to its end */
    int last_file;                   /* in the plan's list: where the clip ends; -1: none */
    int wanted;                      /* frames not yet dealt with */
    bool *good;                      /* (F) frames that could be read */
} seat;

typedef struct batch {
    int n;
    seat seats[];
} batch;

/* One frame that a clip needs; or (frame -1) whether a pipe goes on until the clip's end. */
typedef struct need {
    int file;
    double at; /* seconds in the file, or the frame's number with the numbered samplings */
    seat *seat;
    int frame;
    bool dealt;
} need;

/* A file that is open, or why it is not. */
typedef struct open_file {
    char *path;
    ego_video *video;
    ego_video_info info;
    ego_err err;
    char *message;
} open_file;

/* What the reading thread works on. */
typedef struct plan {
    batch *batch;
    char **files; /* paths */
    int n_files;
    need *needs;
    int n_needs;
} plan;

struct ego_clips {
    ego_clips_options options;
    char *root;
    int window;
    size_t frame_floats;
    /* the caller's side */
    job *head, *tail; /* outstanding, in order */
    int outstanding;
    batch *filling;
    /* between */
    ego_queue *todo, *finished;
    pthread_t thread;
    bool started;
    atomic_bool stop;
    pthread_mutex_t lock; /* counts */
    ego_clips_counts counts;
    /* the reading thread's side */
    ego_preparer *preparer;
    float *latest;        /* the frame prepared last: neighbours may show the same */
    open_file file, pipe; /* stdin cannot be opened twice: it stays open in a place of its own */
};

/* ---- jobs ------------------------------------------------------------------------------------ */

void ego_clip_free(ego_clip *clip) {
    if (!clip) return;
    job *j = (job *)(void *)clip;
    free(j->video);
    free(clip->message);
    free(clip->pixels);
    free(j);
}

static void count(ego_clips *clips, int64_t *counter, int64_t by) {
    pthread_mutex_lock(&clips->lock);
    *counter += by;
    pthread_mutex_unlock(&clips->lock);
}

static void hand_back(ego_clips *clips, seat *s) {
    count(clips, &clips->counts.clips, 1);
    count(clips, &clips->counts.failed, s->job->clip.err != EGO_OK);
    s->back = true;
    ego_queue_push(clips->finished, s->job);
}

/* The clip goes back with this thread's latest message. */
static void fail_job(ego_clips *clips, seat *s, ego_err err) {
    s->job->clip.err = err;
    s->job->clip.message = strdup(ego_err_message());
    hand_back(clips, s);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void close_file(ego_clips *clips, open_file *file) {
    if (file->video) {
        const ego_video_damage *damage = ego_video_get_damage(file->video);
        count(clips, &clips->counts.cut_files, damage->cut);
        count(clips, &clips->counts.read_errors, damage->errors);
        count(clips, &clips->counts.damaged, damage->damaged);
        ego_video_close(file->video);
    }
    free(file->path);
    free(file->message);
    *file = (open_file){0};
}

/* The file, open; or with its error, which is kept for everyone who asks for it. */
static open_file *use_file(ego_clips *clips, const char *path) {
    open_file *file = strcmp(path, "-") == 0 ? &clips->pipe : &clips->file;
    if (file->path && strcmp(file->path, path) == 0) return file;
    close_file(clips, file);
    ego_video_options options = {.threads = clips->options.decoder_threads,
                                 .reference_colour =
                                     clips->options.sampling == EGO_SAMPLING_REFERENCE,
                                 .stop = &clips->stop};
    file->path = strdup(path);
    file->err = file->path ? ego_video_open(path, &options, &file->video)
                           : ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    if (!file->err) file->err = ego_video_get_info(file->video, &file->info);
    if (file->err) file->message = strdup(ego_err_message());
    return file;
}

/* The number of a path in the plan's list; -1 when out of memory. Takes the path over. */
static int add_file(plan *p, char *path) {
    if (!path) return -1;
    for (int i = 0; i < p->n_files; i++)
        if (strcmp(p->files[i], path) == 0) {
            free(path);
            return i;
        }
    p->files[p->n_files] = path;
    return p->n_files++;
}

/* ---- which frames ---------------------------------------------------------------------------- */

static int64_t chunk_of(double t) { return t > 0 ? (int64_t)floor(t / EGO_CHUNK_SECONDS) : 0; }

static ego_err locate_chunks(const ego_clips *clips, seat *s) {
    const job *j = s->job;
    if (clips->options.sampling == EGO_SAMPLING_REFERENCE) {
        if (j->whole)
            return ego_fail(EGO_EINPUT,
                            "%s: reference sampling of a chunked video needs start and end",
                            j->video);
        s->first_chunk = chunk_of(j->clip.start);
        s->last_chunk = chunk_of(j->clip.end);
        return EGO_OK;
    }
    if (clips->options.sampling == EGO_SAMPLING_EPIC)
        return ego_fail(EGO_EINPUT, "%s: EK-100 sampling of a chunked video is not defined",
                        j->video);
    double last = ceil(j->clip.end / EGO_CHUNK_SECONDS) - 1;
    s->first_chunk = j->whole ? 0 : chunk_of(j->clip.start);
    if (!ego_place_has_chunk(&s->place, s->first_chunk))
        return ego_fail(EGO_EIO, "%s: expected the chunk %s/%lld.mp4, found none", j->video,
                        s->place.path, (long long)s->first_chunk);
    int64_t k = s->first_chunk;
    while ((j->whole || (double)k < last) && ego_place_has_chunk(&s->place, k + 1)) k++;
    s->last_chunk = k;
    s->open_end = !ego_place_has_chunk(&s->place, k + 1);
    return EGO_OK;
}

/* Finds the clip's files; the one where it ends goes to the plan. */
static ego_err locate_job(const ego_clips *clips, plan *p, seat *s) {
    job *j = s->job;
    s->open_end = true;
    if (!j->whole && !(j->clip.start < j->clip.end && j->clip.start > -1e9 && j->clip.end < 1e9))
        return ego_fail(EGO_EINPUT, "expected a start before the end, found [%g, %g)",
                        j->clip.start, j->clip.end);
    if (clips->options.sampling != EGO_SAMPLING_REFERENCE && j->clip.start < 0) j->clip.start = 0;
    EGO_TRY(ego_locate(clips->root, j->video, &s->place));
    if (s->place.chunked) EGO_TRY(locate_chunks(clips, s));
    s->last_file = add_file(p, s->place.chunked ? ego_place_chunk(&s->place, s->last_chunk)
                                                : strdup(s->place.path));
    return s->last_file < 0 ? ego_fail(EGO_ENOMEM, "out of memory") : EGO_OK;
}

static ego_err add_need(plan *p, seat *s, int64_t chunk, double at, int frame) {
    int file = s->last_file;
    if (s->place.chunked && chunk != s->last_chunk)
        file = add_file(p, ego_place_chunk(&s->place, chunk));
    if (file < 0) return ego_fail(EGO_ENOMEM, "out of memory");
    p->needs[p->n_needs++] = (need){file, at, s, frame, false};
    return EGO_OK;
}

static ego_err starts_too_late(const job *j, double end, bool pipe) {
    return ego_fail(pipe ? EGO_EEND : EGO_EINPUT,
                    "%s: the clip starts at %.3f s, the video ends at %.3f s", j->video,
                    j->clip.start, end);
}

static ego_err plan_times(const ego_clips *clips, plan *p, seat *s, const ego_video_info *info) {
    double times[EGO_SAMPLE_MAX_FRAMES];
    job *j = s->job;
    bool unknown = info->pipe && !info->exact;
    double end = info->duration + (double)s->last_chunk * EGO_CHUNK_SECONDS;
    if (unknown) {
        if (j->whole) j->clip.end = FOREVER;
        EGO_TRY(add_need(p, s, 0, j->clip.end, -1));
        if (j->whole) return EGO_OK;
    } else if (j->whole || (s->open_end && j->clip.end > end)) {
        j->clip.end = end;
    }
    if (!(j->clip.start < j->clip.end)) return starts_too_late(j, end, info->pipe);
    ego_sample_times(j->clip.start, j->clip.end, clips->options.frames, times);
    for (int f = 0; f < clips->options.frames; f++) {
        int64_t k = s->place.chunked ? chunk_of(times[f]) : 0;
        if (k > s->last_chunk) k = s->last_chunk;
        EGO_TRY(add_need(p, s, k, times[f] - (double)k * EGO_CHUNK_SECONDS, f));
    }
    return EGO_OK;
}

static ego_err plan_reference(const ego_clips *clips, plan *p, seat *s,
                              const ego_video_info *info) {
    int64_t index[EGO_SAMPLE_MAX_FRAMES];
    job *j = s->job;
    int n = j->whole
                ? ego_sample_reference_whole(info->frames, clips->options.frames, index)
                : ego_sample_reference(j->clip.start, j->clip.end, clips->options.frames, index);
    if (j->whole) j->clip.end = info->duration;
    for (int f = 0; f < n; f++) {
        bool in_end = true;
        if (s->place.chunked)
            index[f] = ego_sample_reference_chunk(j->clip.start, index[f], &in_end);
        EGO_TRY(add_need(p, s, in_end ? s->last_chunk : s->first_chunk, (double)index[f], f));
    }
    return EGO_OK;
}

static ego_err plan_epic(const ego_clips *clips, plan *p, seat *s, const ego_video_info *info) {
    int64_t index[EGO_SAMPLE_MAX_FRAMES];
    job *j = s->job;
    if (!(info->fps > 0))
        return ego_fail(EGO_EINPUT, "%s: EK-100 sampling needs a frame rate, found none", j->video);
    if (j->whole) j->clip.end = info->duration;
    ego_sample_epic(info->fps, j->clip.start, j->clip.end, clips->options.frames, index);
    for (int f = 0; f < clips->options.frames; f++) EGO_TRY(add_need(p, s, 0, (double)index[f], f));
    return EGO_OK;
}

/* Turns a clip whose last file is open into needs. A file that cannot be opened is the clip's
 * error, except for the reference, which goes on with black. */
static ego_err plan_job(const ego_clips *clips, plan *p, seat *s, const open_file *file) {
    ego_sampling sampling = clips->options.sampling;
    int before = p->n_needs;
    if (file->err && sampling != EGO_SAMPLING_REFERENCE)
        return ego_fail(file->err, "%s", file->message ? file->message : "");
    size_t floats = (size_t)clips->options.frames * clips->frame_floats;
    if (!(s->job->clip.pixels = malloc(floats * sizeof(float))))
        return ego_fail(EGO_ENOMEM, "out of memory for a clip of %d frames", clips->options.frames);
    if (sampling == EGO_SAMPLING_REFERENCE)
        EGO_TRY(plan_reference(clips, p, s, &file->info));
    else if (sampling == EGO_SAMPLING_EPIC)
        EGO_TRY(plan_epic(clips, p, s, &file->info));
    else
        EGO_TRY(plan_times(clips, p, s, &file->info));
    s->wanted = p->n_needs - before;
    return EGO_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* As the published reader fills gaps: bad frames are dropped, the last good one repeated. */
static void close_gaps(ego_clips *clips, seat *s) {
    size_t floats = clips->frame_floats, bytes = floats * sizeof(float);
    float *pixels = s->job->clip.pixels;
    size_t F = (size_t)clips->options.frames, n = 0;
    for (size_t f = 0; f < F; f++) {
        if (!s->good[f]) continue;
        if (n < f) memcpy(pixels + n * floats, pixels + f * floats, bytes);
        n++;
    }
    s->job->clip.substituted = (int)(F - n);
    if (n == 0) {
        memset(pixels, 0, F * bytes);
        ego_prepare_black(clips->preparer, pixels);
        count(clips, &clips->counts.black, 1);
        return;
    }
    count(clips, &clips->counts.repeated, (int64_t)(F - n));
    for (size_t f = n; f < F; f++) memcpy(pixels + f * floats, pixels + (n - 1) * floats, bytes);
}

static void finish_job(ego_clips *clips, seat *s) {
    if (clips->options.sampling == EGO_SAMPLING_REFERENCE) close_gaps(clips, s);
    hand_back(clips, s);
}

/* Makes the frame that `want` asks for current; *found is false when the video ends before it. */
static ego_err seek_need(const ego_clips *clips, const open_file *file, const need *want,
                         bool *found) {
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

/* Puts the video's current frame into its place. *shown: the time of the frame in clips->latest. */
static ego_err take_frame(ego_clips *clips, const open_file *file, seat *s, int frame,
                          ego_image *image, double *shown) {
    float *place = s->job->clip.pixels + (size_t)frame * clips->frame_floats;
    double time = ego_video_time(file->video);
    if (*shown != time) {
        *shown = NAN;
        EGO_TRY(ego_video_image(file->video, image));
        EGO_TRY(ego_prepare(clips->preparer, image, clips->latest));
        *shown = time;
    }
    memcpy(place, clips->latest, clips->frame_floats * sizeof(float));
    s->good[frame] = true;
    return EGO_OK;
}

/* Reads a pipe until the clip's end has passed. If the pipe ended before, the clip is cut there,
 * and read again. */
static ego_err look_for_end(ego_clips *clips, open_file *file, seat *s, ego_image *image,
                            double *shown) {
    double times[EGO_SAMPLE_MAX_FRAMES];
    ego_clip *clip = &s->job->clip;
    EGO_TRY(ego_video_seek(file->video, clip->end));
    if (!ego_video_at_last(file->video)) return EGO_OK;
    EGO_TRY(ego_video_get_info(file->video, &file->info));
    if (clip->end <= file->info.duration) return EGO_OK;
    clip->end = file->info.duration;
    if (!(clip->start < clip->end)) return starts_too_late(s->job, clip->end, true);
    ego_sample_times(clip->start, clip->end, clips->options.frames, times);
    for (int f = 0; f < clips->options.frames; f++) {
        EGO_TRY(ego_video_seek(file->video, times[f]));
        EGO_TRY(take_frame(clips, file, s, f, image, shown));
    }
    return EGO_OK;
}

static ego_err read_need(ego_clips *clips, open_file *file, const need *want, ego_image *image,
                         double *shown) {
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
    const need *x = *(need *const *)a, *y = *(need *const *)b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Deals with every need for this file, in the order of time. `order` is room for all of them. */
static void read_file(ego_clips *clips, plan *p, open_file *file, int number, need **order) {
    int n = 0;
    for (int i = 0; i < p->n_needs; i++)
        if (p->needs[i].file == number && !p->needs[i].dealt) order[n++] = &p->needs[i];
    qsort(order, (size_t)n, sizeof *order, by_time);
    ego_image image = {0};
    double shown = NAN;
    for (int i = 0; i < n; i++) {
        seat *s = order[i]->seat;
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

static bool file_is_wanted(const plan *p, int file, bool to_plan) {
    for (int i = 0; i < p->batch->n && to_plan; i++)
        if (!p->batch->seats[i].back && p->batch->seats[i].last_file == file) return true;
    for (int i = 0; i < p->n_needs; i++)
        if (p->needs[i].file == file && !p->needs[i].dealt && !p->needs[i].seat->back) return true;
    return false;
}

/* A clip is planned when the file it ends in is open, for its end may be the file's. What it needs
 * of chunks that were read before then is read in a second round. */
static void work_on(ego_clips *clips, plan *p, need **order) {
    for (int i = 0; i < p->batch->n; i++) {
        ego_err err = locate_job(clips, p, &p->batch->seats[i]);
        if (err) fail_job(clips, &p->batch->seats[i], err);
    }
    for (int round = 0; round < 2; round++)
        for (int f = 0; f < p->n_files; f++) {
            if (atomic_load(&clips->stop) || !file_is_wanted(p, f, round == 0)) continue;
            open_file *file = use_file(clips, p->files[f]);
            for (int i = 0; i < p->batch->n && round == 0; i++) {
                seat *s = &p->batch->seats[i];
                if (s->back || s->last_file != f) continue;
                ego_err err = plan_job(clips, p, s, file);
                if (err)
                    fail_job(clips, s, err);
                else if (s->wanted == 0)
                    finish_job(clips, s);
            }
            read_file(clips, p, file, f, order);
        }
}

static void work_on_batch(ego_clips *clips, batch *b) {
    size_t frames = (size_t)clips->options.frames, n = (size_t)b->n, most = n * (frames + 1);
    plan p = {.batch = b};
    p.files = calloc(most, sizeof *p.files); /* each frame could be in a chunk of its own */
    p.needs = calloc(most, sizeof *p.needs);
    need **order = calloc(most, sizeof *order);
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
        seat *s = &b->seats[i]; /* left over when memory ran out or everything is to stop */
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

static void *reading_thread(void *context) {
    ego_clips *clips = context;
    void *item;
    while (ego_queue_pop(clips->todo, &item)) work_on_batch(clips, item);
    close_file(clips, &clips->file);
    close_file(clips, &clips->pipe);
    return NULL;
}

/* ---- the caller's side ----------------------------------------------------------------------- */

static ego_err check_options(const ego_clips_options *options) {
    if (options->frames < 1 || options->frames > EGO_SAMPLE_MAX_FRAMES)
        return ego_fail(EGO_EINPUT, "%d frames a clip: expected 1 to %d", options->frames,
                        EGO_SAMPLE_MAX_FRAMES);
    if (options->window < 0 || options->window > MAX_WINDOW)
        return ego_fail(EGO_EINPUT, "a window of %d clips: expected at most %d", options->window,
                        MAX_WINDOW);
    return EGO_OK;
}

ego_err ego_clips_open(const ego_clips_options *options, ego_clips **out) {
    ego_err err = EGO_OK;
    EGO_TRY(check_options(options));
    ego_clips *clips = calloc(1, sizeof *clips);
    if (!clips) return ego_fail(EGO_ENOMEM, "out of memory for reading clips");
    pthread_mutex_init(&clips->lock, NULL);
    clips->options = *options;
    EGO_TRY_OUT(ego_preparer_new(options->preparation, options->size, &clips->preparer));
    clips->frame_floats = ego_prepared_floats(clips->preparer);
    clips->latest = malloc(clips->frame_floats * sizeof *clips->latest);
    size_t bytes = clips->frame_floats * sizeof(float) * (size_t)options->frames;
    size_t fit = (options->memory ? options->memory : USUAL_MEMORY) / (2 * bytes);
    clips->window = options->window ? options->window : USUAL_WINDOW;
    if ((size_t)clips->window > fit) clips->window = fit ? (int)fit : 1;
    if (options->video_root) clips->root = strdup(options->video_root);
    if (!clips->latest || (options->video_root && !clips->root)) {
        err = ego_fail(EGO_ENOMEM, "out of memory for reading clips");
        goto out;
    }
    size_t room = 2 * (size_t)clips->window;
    EGO_TRY_OUT(ego_queue_new(room, &clips->todo));
    EGO_TRY_OUT(ego_queue_new(room, &clips->finished));
    if (pthread_create(&clips->thread, NULL, reading_thread, clips) != 0) {
        err = ego_fail(EGO_ENOMEM, "cannot start the thread that reads clips");
        goto out;
    }
    clips->started = true;
    *out = clips;
    clips = NULL;
out:
    ego_clips_close(clips);
    return err;
}

void ego_clips_close(ego_clips *clips) {
    if (!clips) return;
    atomic_store(&clips->stop, true);
    if (clips->todo) ego_queue_close(clips->todo);
    if (clips->started) pthread_join(clips->thread, NULL);
    for (job *j = clips->head, *next; j; j = next) {
        next = j->next;
        ego_clip_free(&j->clip);
    }
    free(clips->filling);
    ego_queue_free(clips->todo);
    ego_queue_free(clips->finished);
    ego_preparer_free(clips->preparer);
    free(clips->latest);
    pthread_mutex_destroy(&clips->lock);
    free(clips->root);
    free(clips);
}

int ego_clips_room(const ego_clips *clips) { return 2 * clips->window - clips->outstanding; }
int ego_clips_outstanding(const ego_clips *clips) { return clips->outstanding; }

ego_err ego_clips_submit(ego_clips *clips, const ego_clip_request *request) {
    if (ego_clips_room(clips) < 1)
        return ego_fail(EGO_EINPUT, "%d clips are outstanding: take one first", clips->outstanding);
    if (!clips->filling)
        clips->filling = calloc(1, sizeof *clips->filling + (size_t)clips->window * sizeof(seat));
    job *j = calloc(1, sizeof *j);
    if (j) j->video = strdup(request->video);
    if (!clips->filling || !j || !j->video) {
        free(j);
        return ego_fail(EGO_ENOMEM, "out of memory for a request");
    }
    j->clip.tag = request->tag;
    j->clip.start = request->whole ? 0 : request->start;
    j->clip.end = request->whole ? 0 : request->end;
    j->whole = request->whole;
    if (clips->tail)
        clips->tail->next = j;
    else
        clips->head = j;
    clips->tail = j;
    clips->outstanding++;
    clips->filling->seats[clips->filling->n++].job = j;
    return clips->filling->n == clips->window ? ego_clips_flush(clips) : EGO_OK;
}

ego_err ego_clips_flush(ego_clips *clips) {
    if (!clips->filling || clips->filling->n == 0) return EGO_OK;
    batch *b = clips->filling;
    clips->filling = NULL;
    ego_queue_push(clips->todo, b); /* never full: each batch holds a request, `room` at most */
    return EGO_OK;
}

static bool filling_holds(const ego_clips *clips, const job *j) {
    for (int i = 0; clips->filling && i < clips->filling->n; i++)
        if (clips->filling->seats[i].job == j) return true;
    return false;
}

ego_err ego_clips_next(ego_clips *clips, ego_clip **clip) {
    job *first = clips->head;
    if (!first) return ego_fail(EGO_EEND, "no clip is outstanding");
    if (!first->done && filling_holds(clips, first)) EGO_TRY(ego_clips_flush(clips));
    while (!first->done) {
        void *item;
        if (!ego_queue_pop(clips->finished, &item)) return ego_fail(EGO_ECANCELLED, "stopped");
        ((job *)item)->done = true;
    }
    clips->head = first->next;
    if (!clips->head) clips->tail = NULL;
    clips->outstanding--;
    *clip = &first->clip;
    return EGO_OK;
}

ego_clips_counts ego_clips_get_counts(ego_clips *clips) {
    pthread_mutex_lock(&clips->lock);
    ego_clips_counts counts = clips->counts;
    pthread_mutex_unlock(&clips->lock);
    return counts;
}
