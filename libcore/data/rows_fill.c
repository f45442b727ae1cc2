#include "data/rows_inside.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const long BEAT = 100000000; /* nanoseconds between looks at what was done */

/* The rows in the order of videos and time, and what the threads that read them share. */
typedef struct fill {
    ego_rows *rows;
    uint32_t *order;     /* (n) rows */
    uint32_t *first;     /* (videos + 1) where each video begins in `order` */
    ego_cache_key *keys; /* (rows) of those being read */
    size_t videos, part, parts, n;
    atomic_size_t video; /* the next of this part's to be taken */
    atomic_size_t done;  /* rows */
    atomic_bool stop;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned running;
    ego__row_fault *faults;
    ego_err err; /* the first that is no row's own */
    char *message;
} fill;

/* One thread's way through the rows. */
typedef struct filler {
    fill *f;
    pthread_t thread;
    ego_clips *clips;
} filler;

/* ---- what is to be read ---------------------------------------------------------------------- */

typedef struct place {
    const char *video;
    double start;
    uint32_t row;
} place;

static int by_video(const void *x, const void *y) {
    const place *a = x, *b = y;
    int videos = a->video == b->video ? 0 : strcmp(a->video, b->video);
    if (videos) return videos;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static ego_err plan(fill *f) {
    size_t n = f->n = f->rows->table.count;
    const ego_narrated_clip *clips = f->rows->table.clips;
    place *places = malloc(n * sizeof *places);
    f->order = malloc(n * sizeof *f->order);
    f->first = malloc((n + 1) * sizeof *f->first);
    f->keys = malloc(n * sizeof *f->keys);
    if (!places || !f->order || !f->first || !f->keys) {
        free(places);
        return ego_fail(EGO_ENOMEM, "out of memory for filling the frame cache");
    }
    for (size_t i = 0; i < n; i++) places[i] = (place){clips[i].video, clips[i].start, (uint32_t)i};
    qsort(places, n, sizeof *places, by_video);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(places[i - 1].video, places[i].video) != 0)
            f->first[f->videos++] = (uint32_t)i;
        f->order[i] = places[i].row;
    }
    f->first[f->videos] = (uint32_t)n;
    free(places);
    return EGO_OK;
}

/* Of this part: how many rows it has. */
static size_t share(const fill *f) {
    size_t rows = 0;
    for (size_t v = f->part; v < f->videos; v += f->parts) rows += f->first[v + 1] - f->first[v];
    return rows;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool is_over(fill *f) { return atomic_load(&f->stop) || ego_cache_is_full(f->rows->cache); }

/* This thread's latest message ends the whole. */
static void give_up(fill *f, ego_err err) {
    pthread_mutex_lock(&f->lock);
    if (!f->err) f->message = strdup(ego_err_message());
    if (!f->err) f->err = err;
    pthread_mutex_unlock(&f->lock);
    atomic_store(&f->stop, true);
}

/* A row is bad, as this thread's latest message says. */
static void add_fault(fill *f, size_t row) {
    pthread_mutex_lock(&f->lock);
    ego__rows_add_fault(&f->faults, row);
    pthread_mutex_unlock(&f->lock);
    ego__rows_count(f->rows, &f->rows->counts.bad, 1);
}

/* Takes the next clip into the cache. Its error is returned only when it is not the row's own. */
static ego_err take_clip(filler *one) {
    fill *f = one->f;
    ego_clip *clip = NULL;
    EGO_TRY(ego_clips_next(one->clips, &clip));
    ego_err err = clip->err;
    if (err) {
        ego_fail(err, "%s", clip->message ? clip->message : "");
        if (err != EGO_ENOMEM && err != EGO_ECANCELLED) {
            add_fault(f, (size_t)clip->tag);
            err = EGO_OK;
        }
    } else {
        ego__rows_count(f->rows, &f->rows->counts.decoded, 1);
        ego__rows_store(f->rows, f->keys[clip->tag], clip);
    }
    atomic_fetch_add(&f->done, 1);
    ego_clip_free(clip);
    return err;
}

/* Asks for a row, unless it is there. */
static ego_err ask_for(filler *one, uint32_t row) {
    fill *f = one->f;
    const ego_narrated_clip *clip = &f->rows->table.clips[row];
    ego_cache_record record;
    bool bad = ego__rows_key(f->rows, row, &f->keys[row]) != EGO_OK;
    if (bad) add_fault(f, row);
    if (bad || ego_cache_find(f->rows->cache, f->keys[row], &record)) {
        atomic_fetch_add(&f->done, 1);
        return EGO_OK;
    }
    ego_clips_options options = ego__rows_clips(f->rows, true);
    if (!one->clips) EGO_TRY(ego_clips_open(&options, &one->clips));
    while (!ego_clips_room(one->clips)) EGO_TRY(take_clip(one));
    ego_clip_request request = {
        .video = clip->video, .start = clip->start, .end = clip->end, .tag = row};
    return ego_clips_submit(one->clips, &request);
}

/* Video after video, until there is none or it was told to stop. */
static ego_err fill_share(filler *one) {
    fill *f = one->f;
    for (;;) {
        size_t v = f->part + f->parts * atomic_fetch_add(&f->video, 1);
        if (v >= f->videos) break;
        for (uint32_t i = f->first[v]; i < f->first[v + 1]; i++) {
            if (is_over(f)) return EGO_OK;
            EGO_TRY(ask_for(one, f->order[i]));
        }
    }
    while (one->clips && ego_clips_outstanding(one->clips) && !is_over(f)) EGO_TRY(take_clip(one));
    return EGO_OK;
}

static void *filling_thread(void *context) {
    filler *one = context;
    fill *f = one->f;
    ego_err err = fill_share(one);
    if (err) give_up(f, err);
    ego_clips_close(one->clips);
    pthread_mutex_lock(&f->lock);
    f->running--;
    pthread_cond_signal(&f->ended);
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* ---- watching -------------------------------------------------------------------------------- */

/* Until the threads have ended: tells of bad rows and of progress. */
static ego_err watch(fill *f, const ego_progress *progress) {
    size_t all = share(f);
    bool running = true, wanted = true;
    while (running) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += BEAT;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_mutex_lock(&f->lock);
        if (f->running) pthread_cond_timedwait(&f->ended, &f->lock, &until);
        running = f->running > 0;
        ego__row_fault *faults = f->faults;
        f->faults = NULL;
        pthread_mutex_unlock(&f->lock);
        ego__rows_tell(f->rows, faults);
        wanted = wanted && ego_progress_tell(progress, "rows", atomic_load(&f->done), all);
        if (!wanted) atomic_store(&f->stop, true);
    }
    if (f->err) return ego_fail(f->err, "%s", f->message ? f->message : "out of memory");
    return wanted ? EGO_OK : ego_fail(EGO_ECANCELLED, "stopped while the frame cache was filled");
}

static ego_err start_thread(fill *f, filler *one) {
    one->f = f;
    if (pthread_create(&one->thread, NULL, filling_thread, one) != 0)
        return ego_fail(EGO_ENOMEM, "cannot start a thread that fills the frame cache");
    return EGO_OK;
}

/* `running` counts a thread before it starts. */
static ego_err run(fill *f, filler *fillers, unsigned n, const ego_progress *progress) {
    unsigned started = 0;
    f->running = n;
    while (started < n && start_thread(f, &fillers[started]) == EGO_OK) started++;
    if (started < n) give_up(f, EGO_ENOMEM);
    pthread_mutex_lock(&f->lock);
    f->running -= n - started;
    pthread_mutex_unlock(&f->lock);
    ego_err err = watch(f, progress);
    for (unsigned i = 0; i < started; i++) pthread_join(fillers[i].thread, NULL);
    return err;
}

ego_err ego_rows_fill(ego_rows *rows, size_t part, size_t parts, const ego_progress *progress) {
    fill f = {.rows = rows, .part = part, .parts = parts};
    unsigned n = rows->options.threads ? rows->options.threads : 1;
    if (part >= parts) return ego_fail(EGO_EINPUT, "part %zu of %zu", part, parts);
    if (!rows->cache) return EGO_OK;
    filler *fillers = calloc(n, sizeof *fillers);
    pthread_mutex_init(&f.lock, NULL);
    pthread_cond_init(&f.ended, NULL);
    ego_err err = fillers ? plan(&f) : ego_fail(EGO_ENOMEM, "out of memory for threads");
    if (!err) err = run(&f, fillers, n, progress);
    free(fillers);
    free(f.order);
    free(f.first);
    free(f.keys);
    free(f.message);
    ego__rows_free_faults(f.faults);
    pthread_mutex_destroy(&f.lock);
    pthread_cond_destroy(&f.ended);
    return err;
}
