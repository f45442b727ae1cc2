#include "data/rows_inside.h"

#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

/* ---- jobs ------------------------------------------------------------------------------------ */

static void free_job(ego__row_job *job) {
    ego_row_sample_release(&job->sample);
    ego__rows_free_faults(job->faults);
    free(job->message);
    free(job);
}

/* The job's row is looked for where it may be. */
static void ask_for(ego_rows *rows, ego__row_job *job) {
    ego_queue_push(rows->cache ? rows->todo : rows->missing, job);
}

/* The job goes back with this thread's latest message. */
static void fail_job(ego_rows *rows, ego__row_job *job, ego_err err) {
    job->err = err;
    job->message = strdup(ego_err_message());
    ego_queue_push(rows->finished, job);
}

/* The job's row is bad, as this thread's latest message says: another takes its place. */
static void replace(ego_rows *rows, ego__row_job *job) {
    uint64_t stream = ego__rows_draw(rows, job->stream, EGO__ROW_REPLACE);
    ego__rows_add_fault(&job->faults, job->sample.row);
    ego__rows_count(rows, &rows->counts.bad, 1);
    ego_clip_free(job->sample.read);
    job->sample.read = NULL;
    job->has_key = false;
    if (++job->tries == EGO_ROWS_TRIES) {
        ego_fail_context(EGO_EINPUT, "row %zu and the %d drawn in its place are bad, the last for",
                         job->sample.asked, EGO_ROWS_TRIES - 1);
        fail_job(rows, job, EGO_EINPUT);
        return;
    }
    job->sample.row = ego_rng_below(stream, (uint64_t)job->tries, (uint32_t)rows->table.count);
    job->sample.replaced = job->sample.row != job->sample.asked;
    ask_for(rows, job);
}

/* ---- decoding -------------------------------------------------------------------------------- */

static ego_err request(ego_rows *rows, ego_clips *clips, ego__row_job *job) {
    const ego_narrated_clip *row = &rows->table.clips[job->sample.row];
    return ego_clips_submit(
        clips, &(ego_clip_request){.video = row->video,
                                   .whole = rows->options.clips && row->start == 0 && row->end == 0,
                                   .start = row->start,
                                   .end = row->end,
                                   .tag = (uint64_t)(uintptr_t)job,
                                   .draw = rows->options.augment && !rows->cache,
                                   .stream = ego__rows_draw(rows, job->stream, EGO__ROW_MOMENT)});
}

/* A clip was read: it is kept and goes on to be prepared, or its row is bad. */
static void receive(ego_rows *rows, ego_clip *clip) {
    ego__row_job *job = (ego__row_job *)(uintptr_t)clip->tag;
    job->sample.read = clip;
    if (!clip->err && clip->substituted == rows->options.frames)
        clip->err = ego_fail(EGO_EINPUT, "%s: no frame of [%g, %g) can be read",
                             rows->table.clips[job->sample.row].video, clip->start, clip->end);
    else if (clip->err)
        ego_fail(clip->err, "%s", clip->message ? clip->message : "");
    if (clip->err == EGO_ENOMEM || clip->err == EGO_ECANCELLED) {
        fail_job(rows, job, clip->err); /* that is not the row's fault */
    } else if (clip->err) {
        replace(rows, job);
    } else {
        ego__rows_count(rows, &rows->counts.decoded, 1);
        if (job->has_key) ego__rows_store(rows, job->key, clip);
        ego_queue_push(rows->todo, job);
    }
}

/* Reads what is missing: as much as came together, so that clips of one video are read together. */
static void *decoding_thread(void *context) {
    ego_rows *rows = ((ego__rows_thread *)context)->rows;
    ego_clips_options options = ego__rows_clips(rows, rows->cache != NULL);
    ego_clips *clips = NULL;
    ego_clip *clip;
    void *item;
    for (;;) {
        bool waiting = clips && ego_clips_outstanding(clips) > 0;
        bool room = !clips || ego_clips_room(clips) > 0;
        if (room && (waiting ? ego_queue_try_pop(rows->missing, &item)
                             : ego_queue_pop(rows->missing, &item))) {
            ego_err err = clips ? EGO_OK : ego_clips_open(&options, &clips);
            if (!err) err = request(rows, clips, item);
            if (err) fail_job(rows, item, err);
        } else if (!waiting || atomic_load(&rows->stop)) {
            break;
        } else if (ego_clips_next(clips, &clip) == EGO_OK) {
            receive(rows, clip);
        }
    }
    ego_clips_close(clips);
    return NULL;
}

/* ---- preparing ------------------------------------------------------------------------------- */

static void *preparing_thread(void *context) {
    ego_rows *rows = ((ego__rows_thread *)context)->rows;
    ego__row_bench b;
    void *item;
    ego_err ready = ego__row_bench_init(rows, &b);
    while (ego_queue_pop(rows->todo, &item) && !atomic_load(&rows->stop)) {
        bool missing = false;
        ego_err err = ready ? ego_fail(ready, "out of memory for preparing frames")
                            : ego__row_prepare(&b, item, &missing);
        if (err)
            fail_job(rows, item, err);
        else
            ego_queue_push(missing ? rows->missing : rows->finished, item);
    }
    ego__row_bench_release(&b);
    return NULL;
}

/* ---- threads --------------------------------------------------------------------------------- */

static ego_err start_thread(ego_rows *rows, void *(*body)(void *)) {
    ego__rows_thread *t = &rows->threads[rows->n_threads];
    t->rows = rows;
    if (pthread_create(&t->thread, NULL, body, t) != 0)
        return ego_fail(EGO_ENOMEM, "cannot start a thread that makes training samples");
    rows->n_threads++;
    return EGO_OK;
}

ego_err ego__rows_start(ego_rows *rows) {
    unsigned n = rows->options.threads ? rows->options.threads : 1;
    EGO_TRY(ego_queue_new(rows->most, &rows->missing));
    EGO_TRY(ego_queue_new(rows->most, &rows->todo));
    EGO_TRY(ego_queue_new(rows->most, &rows->finished));
    if (!(rows->threads = calloc(2 * (size_t)n, sizeof *rows->threads)))
        return ego_fail(EGO_ENOMEM, "out of memory for threads");
    for (unsigned i = 0; i < n; i++) {
        EGO_TRY(start_thread(rows, preparing_thread));
        EGO_TRY(start_thread(rows, decoding_thread));
    }
    return EGO_OK;
}

void ego__rows_stop(ego_rows *rows) {
    atomic_store(&rows->stop, true);
    if (rows->missing) ego_queue_close(rows->missing);
    if (rows->todo) ego_queue_close(rows->todo);
    for (unsigned i = 0; i < rows->n_threads; i++) pthread_join(rows->threads[i].thread, NULL);
    free(rows->threads);
    for (ego__row_job *job = rows->head, *next; job; job = next) {
        next = job->next;
        free_job(job);
    }
    ego_queue_free(rows->missing);
    ego_queue_free(rows->todo);
    ego_queue_free(rows->finished);
}

/* ---- the caller's side ----------------------------------------------------------------------- */

size_t ego_rows_room(const ego_rows *rows) { return rows->most - rows->outstanding; }
size_t ego_rows_outstanding(const ego_rows *rows) { return rows->outstanding; }

ego_err ego_rows_submit(ego_rows *rows, size_t row, uint64_t stream) {
    if (row >= rows->table.count)
        return ego_fail(EGO_EINPUT, "row %zu of %zu was asked for", row, rows->table.count);
    if (rows->outstanding == rows->most)
        return ego_fail(EGO_EINPUT, "%zu rows are outstanding: take one first", rows->outstanding);
    ego__row_job *job = calloc(1, sizeof *job);
    if (!job) return ego_fail(EGO_ENOMEM, "out of memory for a row");
    job->sample.row = job->sample.asked = row;
    job->stream = stream;
    if (rows->tail)
        rows->tail->next = job;
    else
        rows->head = job;
    rows->tail = job;
    rows->outstanding++;
    ask_for(rows, job);
    return EGO_OK;
}

ego_err ego_rows_next(ego_rows *rows, ego_row_sample *sample) {
    ego__row_job *job = rows->head;
    void *item;
    if (!job) return ego_fail(EGO_EEND, "no row is outstanding");
    while (!job->done) {
        if (!ego_queue_pop(rows->finished, &item)) return ego_fail(EGO_ECANCELLED, "stopped");
        ((ego__row_job *)item)->done = true;
    }
    rows->head = job->next;
    if (!rows->head) rows->tail = NULL;
    rows->outstanding--;
    ego__rows_tell(rows, job->faults);
    job->faults = NULL;
    ego_err err = job->err;
    if (err) {
        ego_fail(err, "%s", job->message ? job->message : "out of memory");
    } else {
        *sample = job->sample;
        job->sample = (ego_row_sample){0};
        ego__rows_count(rows, &rows->counts.samples, 1);
    }
    free_job(job);
    return err;
}
