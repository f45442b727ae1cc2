/* The whole data set: scripts, annotation files, videos on all cores, the manifest. */
#include "synth/synth.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/provenance.h"
#include "base/threads.h"
#include "media/encode.h"
#include "media/picture.h"
#include "synth/annotate.h"
#include "synth/exact.h"
#include "synth/scene.h"
#include "synth/world.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- one video ------------------------------------------------------------------------------------ */

/* 64-bit FNV-1a over little-endian words of eight bytes: an order of magnitude faster than bytes, and
 * frames are whole words. */
static uint64_t hash_image(uint64_t hash, const ego_image *image) {
    const uint8_t *p = image->rgb, *end = p + (size_t)image->width * (size_t)image->height * 3;
    for (; p < end; p += 8) {
        uint64_t word = 0;
        for (int i = 0; i < 8; i++) word |= (uint64_t)p[i] << (8 * i);
        hash = (hash ^ word) * 0x100000001b3u;
    }
    return hash;
}

typedef struct video_job {
    const ego_synth_options *options;
    const ego_script *script;
    uint64_t hash; /* of all frames before encoding */
    ego_err err;
    char message[512];
} video_job;

typedef struct video_work {
    video_job *jobs;
    const ego_progress *progress;
    uint64_t total;
    atomic_ullong done;
    atomic_bool stop;
} video_work;

/* The two files that a video's frames go to; either may be closed. */
typedef struct outputs {
    ego_encoder *chunk, *interval;
    int *interval_ends, intervals, next_interval;
} outputs;

static ego_err open_file(const ego_buf *path, ego_encoder **encoder) {
    EGO_TRY(ego_buf_err(path));
    ego_encode_options options = {.width = EGO_VIEW_WIDTH,
                                  .height = EGO_VIEW_HEIGHT,
                                  .fps_num = EGO_SYNTH_FPS,
                                  .fps_den = 1,
                                  .speed = EGO_ENCODE_FAST};
    return ego_encode_open(path->data, &options, encoder);
}

static ego_err open_chunk(const video_job *job, int number, ego_encoder **encoder) {
    ego_buf path = {0};
    ego_buf_printf(&path, "%s/videos/%s", job->options->directory, job->script->uid);
    ego_err err = ego_buf_err(&path);
    if (err == EGO_OK) err = ego_make_directory(path.data);
    ego_buf_printf(&path, "/%d.mp4", number);
    if (err == EGO_OK) err = open_file(&path, encoder);
    ego_buf_release(&path);
    return err;
}

static ego_err open_interval(const video_job *job, int start, int end, ego_encoder **encoder) {
    ego_buf path = {0};
    ego_buf_printf(&path, "%s/qa_videos/", job->options->directory);
    ego_qa_interval_name(job->script, start, end, &path);
    ego_buf_text(&path, ".mp4");
    ego_err err = open_file(&path, encoder);
    ego_buf_release(&path);
    return err;
}

static ego_err close_file(ego_encoder **encoder) {
    ego_encoder *e = *encoder;
    *encoder = NULL;
    return e ? ego_encode_close(e) : EGO_OK;
}

static ego_err write_frame(const video_job *job, outputs *out, int frame, const ego_image *image) {
    int per_chunk = EGO_CHUNK_SECONDS * EGO_SYNTH_FPS;
    if (frame % per_chunk == 0) {
        EGO_TRY(close_file(&out->chunk));
        EGO_TRY(open_chunk(job, frame / per_chunk, &out->chunk));
    }
    EGO_TRY(ego_encode_write(out->chunk, image));
    if (out->next_interval >= out->intervals) return EGO_OK;
    if (!out->interval)
        EGO_TRY(open_interval(job, frame, out->interval_ends[out->next_interval], &out->interval));
    EGO_TRY(ego_encode_write(out->interval, image));
    if (frame + 1 < out->interval_ends[out->next_interval]) return EGO_OK;
    out->next_interval++;
    return close_file(&out->interval);
}

enum { INTERVALS_MAX = 1024, REPORT_EVERY = 30 };

static ego_err make_video(video_work *work, video_job *job, bool reports) {
    ego_scene *scene = NULL;
    ego_image image = {0};
    outputs out = {0};
    ego_err err;
    if (!job->options->no_qa_videos) {
        out.interval_ends = malloc(INTERVALS_MAX * sizeof *out.interval_ends);
        if (!out.interval_ends) return ego_fail(EGO_ENOMEM, "%s: out of memory", job->script->uid);
        out.intervals = ego_qa_intervals(job->script, out.interval_ends, INTERVALS_MAX);
    }
    EGO_TRY_OUT(ego_scene_new(job->script, &scene));
    job->hash = 0xcbf29ce484222325u;
    for (int frame = 0; frame < job->script->frames; frame++) {
        EGO_TRY_OUT(ego_scene_draw(scene, frame, &image));
        job->hash = hash_image(job->hash, &image);
        EGO_TRY_OUT(write_frame(job, &out, frame, &image));
        uint64_t done = atomic_fetch_add(&work->done, 1) + 1;
        if (frame % REPORT_EVERY) continue;
        /* Progress is told on the caller's thread alone. */
        if (reports && !ego_progress_tell(work->progress, "frames", done, work->total))
            atomic_store(&work->stop, true);
        if (atomic_load(&work->stop)) {
            err = EGO_ECANCELLED;
            goto out;
        }
    }
    EGO_TRY_OUT(close_file(&out.interval));
    err = close_file(&out.chunk);
out:
    ego_encode_abort(out.chunk);
    ego_encode_abort(out.interval);
    ego_scene_free(scene);
    ego_image_free(&image);
    free(out.interval_ends);
    return err;
}

static void make_one(void *context, size_t i, unsigned worker) {
    video_work *w = context;
    video_job *job = &w->jobs[i];
    if (atomic_load(&w->stop)) {
        job->err = EGO_ECANCELLED;
        return;
    }
    job->err = make_video(w, job, worker == 0);
    if (job->err == EGO_OK) return;
    snprintf(job->message, sizeof job->message, "%s", ego_err_message());
    atomic_store(&w->stop, true);
}

/* Draws and encodes every script; hashes[i] becomes that of its frames. */
static ego_err make_videos(const ego_synth_options *o, const ego_script *scripts, int count,
                           uint64_t *hashes, const ego_progress *progress) {
    ego_pool *pool = NULL;
    ego_buf directory = {0};
    ego_err err = EGO_OK;
    video_work work = {.progress = progress, .jobs = calloc((size_t)count, sizeof *work.jobs)};
    if (!work.jobs) return ego_fail(EGO_ENOMEM, "out of memory for %d videos", count);
    for (int i = 0; i < count; i++) {
        work.jobs[i] = (video_job){.options = o, .script = &scripts[i]};
        work.total += (uint64_t)scripts[i].frames;
    }
    ego_buf_printf(&directory, "%s/qa_videos", o->directory);
    EGO_TRY_OUT(ego_buf_err(&directory));
    if (!o->no_qa_videos) EGO_TRY_OUT(ego_make_directory(directory.data));
    EGO_TRY_OUT(ego_pool_new(o->threads, &pool));
    ego_parallel(pool, (size_t)count, make_one, &work);
    for (int i = 0; i < count; i++) {
        hashes[i] = work.jobs[i].hash;
        video_job *job = &work.jobs[i];
        if (job->err == EGO_OK || (err != EGO_OK && err != EGO_ECANCELLED)) continue;
        err = job->err == EGO_ECANCELLED ? job->err : ego_fail(job->err, "%s", job->message);
    }
    if (err == EGO_OK) ego_progress_tell(progress, "frames", work.total, work.total);
out:
    ego_pool_free(pool);
    ego_buf_release(&directory);
    free(work.jobs);
    return err;
}

/* ---- one split ------------------------------------------------------------------------------------ */

static ego_err annotate(const ego_synth_set *set) {
    EGO_TRY(ego_annotate_records(set));
    if (set->split == EGO_TRAIN)
        EGO_TRY(ego_annotate_egoclip(set));
    else
        EGO_TRY(ego_annotate_egomcq(set));
    EGO_TRY(ego_annotate_nlq(set));
    EGO_TRY(ego_annotate_taskqa(set));
    return ego_annotate_qfvs(set);
}

/* The set's part of the manifest: {"videos":{UID:{…}},"annotations":{FILE:SHA-256}}. */
static void describe(const ego_synth_set *set, const uint64_t *hashes, const ego_buf *files,
                     ego_buf *json) {
    ego_buf_printf(json, "{\"seed\":%llu,\"narrations\":", (unsigned long long)set->seed);
    int narrations = 0;
    for (int v = 0; v < set->count; v++) narrations += set->scripts[v].action_count;
    ego_buf_printf(json, "%d,\"mean_gap\":", narrations);
    ego_annotation_seconds(json, set->alpha);
    ego_buf_text(json, ",\"annotations\":{");
    if (files->data) ego_buf_text(json, files->data);
    ego_buf_text(json, "},\"videos\":{");
    for (int v = 0; v < set->count; v++) {
        ego_buf_json_key(json, set->scripts[v].uid);
        ego_buf_printf(json, "{\"frames\":%d,\"narrations\":%d", set->scripts[v].frames,
                       set->scripts[v].action_count);
        if (hashes)
            ego_buf_printf(json, ",\"frames_fnv1a64\":\"%016llx\"", (unsigned long long)hashes[v]);
        ego_buf_char(json, '}');
    }
    ego_buf_text(json, "}}");
}

static ego_err make_split(const ego_synth_options *o, ego_split split, ego_script *scripts,
                          int count, const uint64_t *hashes, ego_buf *json) {
    ego_buf files = {0};
    ego_synth_set set = {.directory = o->directory,
                         .split = split,
                         .scripts = scripts,
                         .count = count,
                         .seed = o->seed,
                         .questions = o->questions,
                         .qa_rounds = o->qa_rounds ? o->qa_rounds : 1,
                         .drawn = hashes != NULL,
                         .files = &files};
    for (int v = 0; v < count; v++) set.alpha += ego_mean_gap(&scripts[v]) / count;
    ego_err err = annotate(&set);
    if (err == EGO_OK) err = ego_buf_err(&files);
    if (err == EGO_OK) describe(&set, hashes, &files, json);
    ego_buf_release(&files);
    return err;
}

/* ---- the manifest --------------------------------------------------------------------------------- */

enum { MANIFEST_LIMIT = 1 << 26, MANIFEST_MEMBERS = 16 };

/* What an earlier run wrote about the other split is kept, byte for byte. */
static void keep_member(const char *path, const char *key, ego_buf *json) {
    ego_buf old = {0};
    ego_json *root = NULL;
    ego_json_span spans[MANIFEST_MEMBERS];
    if (access(path, R_OK) == 0 && ego_read_file(path, MANIFEST_LIMIT, &old) == EGO_OK &&
        ego_json_parse(old.data, old.len, &root) == EGO_OK && ego_json_is_object(root)) {
        size_t n = ego_json_spans(old.data, old.len, spans, MANIFEST_MEMBERS);
        for (size_t i = 0; i < n && i < MANIFEST_MEMBERS; i++) {
            if (spans[i].key_bytes != strlen(key) + 2) continue;
            if (memcmp(old.data + spans[i].key + 1, key, strlen(key)) != 0) continue;
            ego_buf_char(json, ',');
            ego_buf_append(json, old.data + spans[i].key, spans[i].key_bytes);
            ego_buf_char(json, ':');
            ego_buf_append(json, old.data + spans[i].value, spans[i].value_bytes);
        }
    }
    ego_json_free(root);
    ego_buf_release(&old);
}

static ego_err write_manifest(const ego_synth_options *o, const ego_buf *train,
                              const ego_buf *test) {
    ego_buf path = {0}, json = {0};
    ego_err err;
    ego_buf_printf(&path, "%s/manifest.json", o->directory);
    EGO_TRY_OUT(ego_buf_err(&path));
    ego_buf_printf(&json, "{\"tool\":\"ego-synth\",\"version\":\"%s\",\"encoder\":\"%s\"",
                   ego_version(), o->annotations_only ? "none" : ego_encode_name());
    ego_buf_printf(&json, ",\"fps\":%d,\"width\":%d,\"height\":%d", EGO_SYNTH_FPS, EGO_VIEW_WIDTH,
                   EGO_VIEW_HEIGHT);
    if (train->data)
        ego_buf_printf(&json, ",\"train\":%s", train->data);
    else
        keep_member(path.data, "train", &json);
    if (test->data)
        ego_buf_printf(&json, ",\"test\":%s", test->data);
    else
        keep_member(path.data, "test", &json);
    ego_buf_text(&json, "}\n");
    EGO_TRY_OUT(ego_buf_err(&json));
    err = ego_write_file(path.data, json.data, json.len);
out:
    ego_buf_release(&path);
    ego_buf_release(&json);
    return err;
}

/* ---- the preview ---------------------------------------------------------------------------------- */

enum { PREVIEW_FRAMES = 6, PREVIEW_HEIGHT = 150, PREVIEW_ROWS = 2 * EGO_VERB_COUNT };

/* Up to two rows of the same verb, from different videos where there are. */
typedef struct preview {
    ego_sheet_row rows[PREVIEW_ROWS];
    ego_image frames[PREVIEW_ROWS][PREVIEW_FRAMES];
    int taken[EGO_VERB_COUNT];
} preview;

static ego_err preview_action(ego_scene *scene, const ego_action *a,
                              ego_image frames[PREVIEW_FRAMES]) {
    for (int k = 0; k < PREVIEW_FRAMES; k++) {
        int frame = a->start + (a->end - a->start) * (2 * k + 1) / (2 * PREVIEW_FRAMES);
        EGO_TRY(ego_scene_draw(scene, frame, &frames[k]));
    }
    return EGO_OK;
}

static ego_err preview_video(preview *p, const ego_script *s, int rows_per_verb) {
    ego_scene *scene = NULL;
    ego_err err = ego_scene_new(s, &scene);
    int before[EGO_VERB_COUNT];
    memcpy(before, p->taken, sizeof before);
    for (int i = 0; i < s->action_count && err == EGO_OK; i++) {
        const ego_action *a = &s->actions[i];
        if (p->taken[a->verb] >= rows_per_verb || p->taken[a->verb] > before[a->verb]) continue;
        int row = (int)a->verb * 2 + p->taken[a->verb]++;
        p->rows[row] = (ego_sheet_row){a->text, p->frames[row], PREVIEW_FRAMES};
        err = preview_action(scene, a, p->frames[row]);
    }
    ego_scene_free(scene);
    return err;
}

/* One row per action, in the order of the verbs, so that those that differ in time alone are neighbours. */
static ego_err write_preview(const ego_synth_options *o, const ego_script *scripts, int count) {
    ego_image sheet = {0};
    preview *p = calloc(1, sizeof *p);
    if (!p) return ego_fail(EGO_ENOMEM, "out of memory for the preview");
    ego_err err = EGO_OK;
    for (int v = 0; v < count && v < 24 && err == EGO_OK; v++) {
        bool missing = v < 8;
        for (int k = 0; k < EGO_VERB_COUNT; k++) missing |= !p->taken[k];
        if (missing) err = preview_video(p, &scripts[v], 2);
    }
    size_t rows = 0;
    for (int i = 0; i < PREVIEW_ROWS; i++)
        if (p->rows[i].label) p->rows[rows++] = p->rows[i];
    if (err == EGO_OK) err = ego_sheet(p->rows, rows, PREVIEW_HEIGHT, &sheet);
    if (err == EGO_OK) err = ego_png_write(&sheet, o->preview);
    for (int i = 0; i < PREVIEW_ROWS; i++)
        for (int k = 0; k < PREVIEW_FRAMES; k++) ego_image_free(&p->frames[i][k]);
    ego_image_free(&sheet);
    free(p);
    return err;
}

/* ---- everything ----------------------------------------------------------------------------------- */

static ego_err check_options(const ego_synth_options *o) {
    if (o->train_videos < 0 || o->test_videos < 0 || o->train_videos + o->test_videos < 1 ||
        o->train_videos > 10000 || o->test_videos > 10000)
        return ego_fail(EGO_EINPUT,
                        "%d training and %d test videos: expected 1 to 10000 of a split",
                        o->train_videos, o->test_videos);
    if (!(o->minutes >= 0.5 && o->minutes <= 60))
        return ego_fail(EGO_EINPUT, "videos of %g minutes: expected 0.5 to 60", o->minutes);
    if (!o->directory && !o->preview_only) return ego_fail(EGO_EINPUT, "no directory to write to");
    return EGO_OK;
}

ego_err ego_synth_run(const ego_synth_options *o, const ego_progress *progress) {
    EGO_TRY(check_options(o));
    int count = o->train_videos + o->test_videos;
    int frames = (int)(o->minutes * 60 * EGO_SYNTH_FPS + 0.5);
    ego_buf train = {0}, test = {0};
    uint64_t *hashes = calloc((size_t)count, sizeof *hashes);
    ego_script *scripts = calloc((size_t)count, sizeof *scripts);
    ego_err err = EGO_OK;
    if (!hashes || !scripts) {
        err = ego_fail(EGO_ENOMEM, "out of memory for %d videos", count);
        goto out;
    }
    for (int v = 0; v < count; v++) {
        bool is_test = v >= o->train_videos;
        EGO_TRY_OUT(ego_script_make(o->seed, is_test ? EGO_TEST : EGO_TRAIN,
                                    is_test ? v - o->train_videos : v, frames, &scripts[v]));
    }
    if (o->preview) EGO_TRY_OUT(write_preview(o, scripts, count));
    if (o->preview_only) goto out;
    EGO_TRY_OUT(ego_make_directory(o->directory));
    if (!o->annotations_only) EGO_TRY_OUT(make_videos(o, scripts, count, hashes, progress));
    const uint64_t *known = o->annotations_only ? NULL : hashes;
    if (o->train_videos)
        EGO_TRY_OUT(make_split(o, EGO_TRAIN, scripts, o->train_videos, known, &train));
    if (o->test_videos)
        EGO_TRY_OUT(make_split(o, EGO_TEST, scripts + o->train_videos, o->test_videos,
                               known ? known + o->train_videos : NULL, &test));
    err = write_manifest(o, &train, &test);
out:
    for (int v = 0; scripts && v < count; v++) ego_script_release(&scripts[v]);
    free(scripts);
    free(hashes);
    ego_buf_release(&train);
    ego_buf_release(&test);
    return err;
}
