#include "data/clips_inside.h"

#include <stdlib.h>
#include <string.h>

enum { USUAL_WINDOW = 32, MAX_WINDOW = 1024 };
static const size_t USUAL_MEMORY = (size_t)256 << 20;

void ego_clip_free(ego_clip *clip) {
    if (!clip) return;
    ego__clip_job *j = (ego__clip_job *)(void *)clip;
    free(j->video);
    free(j->at);
    free(clip->message);
    free(clip->pixels);
    free(clip->pictures);
    free(j);
}

static void *reading_thread(void *context) {
    ego_clips *clips = context;
    void *item;
    while (ego_queue_pop(clips->todo, &item)) ego__clips_work(clips, item);
    ego__clips_close_files(clips);
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
    if (options->moments < 0 || options->moments > EGO_SAMPLE_MAX_FRAMES / options->frames)
        return ego_fail(EGO_EINPUT, "%d moments for each of %d frames: expected 0 to %d",
                        options->moments, options->frames, EGO_SAMPLE_MAX_FRAMES / options->frames);
    if (options->shorter < 0 || options->shorter > EGO_IMAGE_MAX_SIDE)
        return ego_fail(EGO_EINPUT, "pictures with a short side of %d: expected 1 to %d",
                        options->shorter, EGO_IMAGE_MAX_SIDE);
    return EGO_OK;
}

/* What the pictures of a clip take: a guess, for only the video tells the other side. */
static size_t picture_bytes(const ego_clips_options *options) {
    size_t shorter = (size_t)options->shorter;
    return (size_t)options->frames * 3 * shorter * shorter * 16 / 9;
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
    if (options->shorter) bytes = picture_bytes(options);
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
    for (ego__clip_job *j = clips->head, *next; j; j = next) {
        next = j->next;
        ego_clip_free(&j->clip);
    }
    free(clips->filling);
    ego_queue_free(clips->todo);
    ego_queue_free(clips->finished);
    ego_preparer_free(clips->preparer);
    free(clips->latest);
    ego_image_free(&clips->small);
    pthread_mutex_destroy(&clips->lock);
    free(clips->root);
    free(clips);
}

int ego_clips_room(const ego_clips *clips) { return 2 * clips->window - clips->outstanding; }
int ego_clips_outstanding(const ego_clips *clips) { return clips->outstanding; }

/* The places as given, and a range that holds them all. */
static ego_err copy_places(const ego_clips *clips, const double *at, ego__clip_job *j) {
    size_t bytes = (size_t)clips->options.frames * sizeof *at;
    if (!(j->at = malloc(bytes))) return ego_fail(EGO_ENOMEM, "out of memory for a request");
    memcpy(j->at, at, bytes);
    j->whole = false;
    j->clip.start = at[0];
    j->clip.end = at[clips->options.frames - 1] + 1e-6; /* decode.h's smallest step of time */
    return EGO_OK;
}

ego_err ego_clips_submit(ego_clips *clips, const ego_clip_request *request) {
    if (ego_clips_room(clips) < 1)
        return ego_fail(EGO_EINPUT, "%d clips are outstanding: take one first", clips->outstanding);
    if (!clips->filling)
        clips->filling =
            calloc(1, sizeof *clips->filling + (size_t)clips->window * sizeof(ego__clip_seat));
    ego__clip_job *j = calloc(1, sizeof *j);
    if (j) j->video = strdup(request->video);
    if (!clips->filling || !j || !j->video) {
        free(j);
        return ego_fail(EGO_ENOMEM, "out of memory for a request");
    }
    j->clip.tag = request->tag;
    j->clip.start = request->whole ? 0 : request->start;
    j->clip.end = request->whole ? 0 : request->end;
    j->whole = request->whole;
    j->draw = request->draw;
    j->stream = request->stream;
    ego_err err = request->at ? copy_places(clips, request->at, j) : EGO_OK;
    if (err != EGO_OK) {
        ego_clip_free(&j->clip);
        return err;
    }
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
    ego__clip_batch *b = clips->filling;
    clips->filling = NULL;
    ego_queue_push(clips->todo, b); /* never full: each batch holds a request, `room` at most */
    return EGO_OK;
}

static bool filling_holds(const ego_clips *clips, const ego__clip_job *j) {
    for (int i = 0; clips->filling && i < clips->filling->n; i++)
        if (clips->filling->seats[i].job == j) return true;
    return false;
}

bool ego_clips_ready(ego_clips *clips, double seconds) {
    const ego__clip_job *first = clips->head;
    void *item;
    /* What comes out of turn is counted off; the wait begins anew for the rest. */
    while (first && !first->done && ego_queue_pop_within(clips->finished, seconds, &item))
        ((ego__clip_job *)item)->done = true;
    return !first || first->done;
}

ego_err ego_clips_next(ego_clips *clips, ego_clip **clip) {
    ego__clip_job *first = clips->head;
    if (!first) return ego_fail(EGO_EEND, "no clip is outstanding");
    if (!first->done && filling_holds(clips, first)) EGO_TRY(ego_clips_flush(clips));
    while (!first->done) {
        void *item;
        if (!ego_queue_pop(clips->finished, &item)) return ego_fail(EGO_ECANCELLED, "stopped");
        ((ego__clip_job *)item)->done = true;
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
