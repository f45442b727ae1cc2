#include "data/rows_inside.h"

#include "base/rng.h"
#include "media/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t SEED_NAME = 0x73776f72; /* sets these draws apart from others of the seed */

uint64_t ego__rows_draw(const ego_rows *rows, uint64_t stream, ego__row_draw what) {
    return ego_rng_stream(ego_rng_stream(rows->seed, stream), (uint64_t)what);
}

void ego__rows_count(ego_rows *rows, int64_t *counter, int64_t by) {
    pthread_mutex_lock(&rows->lock);
    *counter += by;
    pthread_mutex_unlock(&rows->lock);
}

ego_clips_options ego__rows_clips(const ego_rows *rows, bool all) {
    const ego_rows_options *o = &rows->options;
    return (ego_clips_options){.video_root = o->video_root,
                               .sampling = o->sampling,
                               .preparation = o->preparation,
                               .frames = all ? o->frames * o->moments : o->frames,
                               .size = o->size,
                               .shorter = rows->shorter,
                               .moments = all ? 0 : o->moments,
                               .decoder_threads = o->decoder_threads,
                               .memory = o->memory};
}

/* ---- open and close -------------------------------------------------------------------------- */

static ego_err check_options(const ego_rows_options *o) {
    if (o->sampling != EGO_SAMPLING_TIME && o->sampling != EGO_SAMPLING_REFERENCE &&
        o->sampling != EGO_SAMPLING_EPIC)
        return ego_fail(EGO_EINPUT, "training samples by time, as the reference or as EK-100's reader, "
                                    "not otherwise");
    if (o->frames < 1 || o->frames > EGO_SAMPLE_MAX_FRAMES)
        return ego_fail(EGO_EINPUT, "%d frames a clip: expected 1 to %d", o->frames,
                        EGO_SAMPLE_MAX_FRAMES);
    if (o->moments < 0 || o->moments > EGO_SAMPLE_MAX_FRAMES / o->frames)
        return ego_fail(EGO_EINPUT, "%d moments for each of %d frames: expected 0 to %d",
                        o->moments, o->frames, EGO_SAMPLE_MAX_FRAMES / o->frames);
    if (o->moments && o->sampling != EGO_SAMPLING_TIME)
        return ego_fail(EGO_EINPUT, "moments go with sampling by time: the published readers draw any "
                                    "frame of each part");
    if (o->cache && !o->augment)
        return ego_fail(EGO_EINPUT, "a frame cache goes with augmenting: without it each frame is "
                                    "prepared from the video itself");
    if (o->cache && !o->moments)
        return ego_fail(EGO_EINPUT, "a frame cache needs moments: without them any instant of a "
                                    "clip may be asked for, and no cache holds them all");
    if (!(o->scene_seconds >= 0 && o->scene_seconds < 1e9))
        return ego_fail(EGO_EINPUT, "scenes of %g seconds: expected 0 or more", o->scene_seconds);
    return EGO_OK;
}

static ego_err copy_text(ego_rows *rows, int which, const char **text) {
    if (!*text) return EGO_OK;
    *text = rows->texts[which] = strdup(*text);
    return *text ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for training rows");
}

static ego_err read_table(ego_rows *rows) {
    const ego_rows_options *o = &rows->options;
    if (o->clips)
        rows->table = (ego_egoclip){.clips = o->clips, .count = o->count};
    else
        EGO_TRY(ego_egoclip_read(o->annotations, &rows->arena, &rows->table));
    size_t n = rows->table.count;
    rows->counts.malformed = rows->table.malformed;
    rows->order = malloc(n * sizeof *rows->order);
    rows->told = calloc(n, sizeof *rows->told);
    if (!rows->order || !rows->told)
        return ego_fail(EGO_ENOMEM, "%s: out of memory for %zu rows", o->annotations, n);
    if (o->scene_seconds == 0) return EGO_OK;
    return ego_scenes_new(rows->table.clips, n, o->scene_seconds, &rows->scenes);
}

/* How many samples may be held, of which there is always a handful. */
static size_t samples_held(const ego_rows_options *o) {
    enum { LEAST = 4, MOST = 1024 };
    size_t sample = (size_t)o->frames * 3 * (size_t)o->size * (size_t)o->size * sizeof(float);
    size_t most = (o->memory ? o->memory : (size_t)256 << 20) / sample;
    return most < LEAST ? LEAST : most > MOST ? MOST : most;
}

ego_err ego_rows_open(const ego_rows_options *options, ego_rows **out) {
    ego_err err = EGO_OK;
    ego_preparer *preparer = NULL;
    EGO_TRY(check_options(options));
    EGO_TRY(ego_preparer_new(options->preparation, options->size, &preparer)); /* checks the size */
    ego_preparer_free(preparer);
    ego_rows *rows = calloc(1, sizeof *rows);
    if (!rows) return ego_fail(EGO_ENOMEM, "out of memory for training rows");
    pthread_mutex_init(&rows->lock, NULL);
    ego_arena_init(&rows->arena, (size_t)1 << 20);
    rows->options = *options;
    ego_rows_options *o = &rows->options;
    rows->seed = ego_rng_stream(o->seed, SEED_NAME);
    rows->most = samples_held(o);
    if (o->augment)
        rows->shorter = o->preparation == EGO_PREPARE_STANDARD ? (int)lround(o->size * 256.0 / 224.0)
                                                               : EGO_IMAGE_MAX_SIDE;
    EGO_TRY_OUT(copy_text(rows, 0, &o->annotations));
    EGO_TRY_OUT(copy_text(rows, 1, &o->video_root));
    EGO_TRY_OUT(copy_text(rows, 2, &o->cache));
    EGO_TRY_OUT(read_table(rows));
    if (o->cache) EGO_TRY_OUT(ego_cache_open(o->cache, o->cache_bytes, &rows->cache));
    EGO_TRY_OUT(ego__rows_start(rows));
    *out = rows;
    rows = NULL;
out:
    ego_rows_close(rows);
    return err;
}

void ego_rows_close(ego_rows *rows) {
    if (!rows) return;
    ego__rows_stop(rows);
    ego_cache_close(rows->cache);
    ego_scenes_free(rows->scenes);
    free(rows->order);
    free(rows->told);
    free(rows->trouble);
    for (int i = 0; i < 3; i++) free(rows->texts[i]);
    ego_arena_release(&rows->arena);
    pthread_mutex_destroy(&rows->lock);
    free(rows);
}

/* ---- the table ------------------------------------------------------------------------------- */

size_t ego_rows_count(const ego_rows *rows) { return rows->table.count; }

const ego_narrated_clip *ego_rows_get(const ego_rows *rows, size_t row) {
    return &rows->table.clips[row];
}

/* Fisher and Yates, from the back. */
static void shuffle(ego_rows *rows, uint64_t epoch) {
    ego_rng_permute(ego__rows_draw(rows, epoch, EGO__ROW_ORDER), (uint32_t)rows->table.count, rows->order);
    rows->epoch = epoch;
    rows->ordered = true;
}

size_t ego_rows_order(ego_rows *rows, uint64_t epoch, size_t position) {
    if (!rows->ordered || rows->epoch != epoch) shuffle(rows, epoch);
    return rows->order[position];
}

static bool share(const ego_tags *a, const ego_tags *b) {
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            if (a->ids[i] == b->ids[j]) return true;
    return false;
}

static bool alike(const ego_narrated_clip *a, const ego_narrated_clip *b) {
    return share(&a->nouns, &b->nouns) && !share(&a->verbs, &b->verbs);
}

size_t ego_rows_partner(const ego_rows *rows, size_t row, ego_partners which, uint64_t stream) {
    size_t n;
    if (!rows->scenes) return row;
    const uint32_t *scene = ego_scenes_of(rows->scenes, row, &n);
    const ego_narrated_clip *clips = rows->table.clips, *clip = &clips[row];
    uint64_t draw = ego__rows_draw(rows, stream, EGO__ROW_PARTNER);
    uint32_t others = 0;
    for (size_t i = 0; i < n && which == EGO_PARTNERS_ALIKE; i++)
        others += alike(clip, &clips[scene[i]]);
    if (!others) return scene[ego_rng_below(draw, 0, (uint32_t)n)];
    uint32_t before = (uint32_t)ego_rng_below(draw, 0, others);
    const uint32_t *at = scene;
    while (!alike(clip, &clips[*at]) || before--) at++;
    return *at;
}

ego_rows_counts ego_rows_get_counts(ego_rows *rows) {
    pthread_mutex_lock(&rows->lock);
    ego_rows_counts counts = rows->counts;
    pthread_mutex_unlock(&rows->lock);
    return counts;
}

/* ---- faults ---------------------------------------------------------------------------------- */

void ego__rows_add_fault(ego__row_fault **faults, size_t row) {
    ego__row_fault *fault = malloc(sizeof *fault);
    if (!fault) return; /* it is still counted */
    *fault = (ego__row_fault){row, strdup(ego_err_message()), *faults};
    *faults = fault;
}

void ego__rows_free_faults(ego__row_fault *faults) {
    for (ego__row_fault *next; faults; faults = next) {
        next = faults->next;
        free(faults->message);
        free(faults);
    }
}

static void tell(const ego_rows *rows, size_t row, const char *message) {
    const ego_rows_options *o = &rows->options;
    if (o->report) o->report(o->report_context, row, message ? message : "out of memory");
}

void ego__rows_tell(ego_rows *rows, ego__row_fault *faults) {
    ego__row_fault *forward = NULL;
    for (ego__row_fault *next; faults; faults = next) {
        next = faults->next;
        faults->next = forward;
        forward = faults;
    }
    for (const ego__row_fault *f = forward; f; f = f->next) {
        if (!rows->told[f->row]) tell(rows, f->row, f->message);
        rows->told[f->row] = true;
    }
    ego__rows_free_faults(forward);
    pthread_mutex_lock(&rows->lock);
    char *trouble = rows->trouble;
    rows->trouble = NULL;
    pthread_mutex_unlock(&rows->lock);
    if (trouble) tell(rows, SIZE_MAX, trouble);
    free(trouble);
}
