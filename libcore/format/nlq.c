#include "format/nlq.h"

#include "format/reading.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    const char *name;
    ego__pack pack;
    ego__list clips, queries;
} reader;

static reader start(const char *name, ego_arena *arena) {
    return (reader){.name = name,
                    .pack = {arena, NULL, 0},
                    .clips = {.size = sizeof(ego_nlq_clip)},
                    .queries = {.size = sizeof(ego_nlq_query)}};
}

static void release(reader *r) {
    ego__list_release(&r->clips);
    ego__list_release(&r->queries);
}

static ego_err finish(reader *r, ego_nlq *out) {
    ego_nlq result = {.clip_count = r->clips.count, .query_count = r->queries.count};
    void *clips, *queries;
    EGO_TRY(ego__list_finish(&r->clips, r->pack.arena, &clips));
    EGO_TRY(ego__list_finish(&r->queries, r->pack.arena, &queries));
    result.clips = clips;
    result.queries = queries;
    *out = result;
    return EGO_OK;
}

static ego_nlq_clip *last_clip(reader *r) {
    return (ego_nlq_clip *)r->clips.items + (r->clips.count - 1);
}

static ego_err add_clip(reader *r, ego_nlq_clip clip) {
    ego_nlq_clip *added = ego__list_add(&r->clips);
    if (!added) return ego__no_memory();
    clip.first = r->queries.count;
    *added = clip;
    return EGO_OK;
}

static ego_err add_query(reader *r, ego_nlq_query query) {
    ego_nlq_query *added = ego__list_add(&r->queries);
    if (!added) return ego__no_memory();
    query.clip = r->clips.count - 1;
    *added = query;
    last_clip(r)->count++;
    return EGO_OK;
}

/* ---- official files: object by object, each level naming itself in messages ---- */

static ego_err read_query(reader *r, const ego_json *object, const char *annotation,
                          int64_t index) {
    ego_nlq_query query = {
        .annotation = annotation, .index = index, .frame_start = NAN, .frame_end = NAN};
    ego_err err = ego_json_is_object(object)
                      ? ego__optional_string(object, "query", &r->pack, &query.text)
                      : ego__expected("language_queries", "an array of objects", object);
    if (err == EGO_OK) err = ego__optional_number(object, "clip_start_sec", &query.start);
    if (err == EGO_OK) err = ego__optional_number(object, "clip_end_sec", &query.end);
    if (err == EGO_OK) err = add_query(r, query);
    return err == EGO_OK ? err : ego_fail_context(err, "language query %lld", (long long)index);
}

static ego_err read_annotation(reader *r, const ego_json *object) {
    const char *uid;
    const ego_json *queries;
    int64_t index = 0;
    if (!ego_json_is_object(object))
        return ego__expected("annotations", "an array of objects", object);
    EGO_TRY(ego__member_string(object, "annotation_uid", &r->pack, &uid));
    ego_err err = ego__member_array(object, "language_queries", &queries);
    for (const ego_json *q = ego_json_first(queries); q && err == EGO_OK; q = ego_json_next(q))
        err = read_query(r, q, uid, index++);
    return err == EGO_OK ? err : ego_fail_context(err, "annotation '%.60s'", uid);
}

static ego_err read_clip(reader *r, const ego_json *object, const char *video) {
    ego_nlq_clip clip = {.video = video, .fps = NAN, .frames = NAN};
    const ego_json *annotations = NULL;
    if (!ego_json_is_object(object)) return ego__expected("clips", "an array of objects", object);
    EGO_TRY(ego__member_string(object, "clip_uid", &r->pack, &clip.uid));
    ego_err err = ego__member_number(object, "video_start_sec", &clip.start);
    if (err == EGO_OK) err = ego__member_number(object, "video_end_sec", &clip.end);
    if (err == EGO_OK) err = ego__member_array(object, "annotations", &annotations);
    if (err == EGO_OK) err = add_clip(r, clip);
    for (const ego_json *a = ego_json_first(annotations); a && err == EGO_OK; a = ego_json_next(a))
        err = read_annotation(r, a);
    return err == EGO_OK ? err : ego_fail_context(err, "clip '%.60s'", clip.uid);
}

static ego_err read_video(reader *r, const ego_json *object) {
    const char *uid;
    const ego_json *clips;
    if (!ego_json_is_object(object)) return ego__expected("videos", "an array of objects", object);
    EGO_TRY(ego__member_string(object, "video_uid", &r->pack, &uid));
    ego_err err = ego__member_array(object, "clips", &clips);
    for (const ego_json *c = ego_json_first(clips); c && err == EGO_OK; c = ego_json_next(c))
        err = read_clip(r, c, uid);
    return err == EGO_OK ? err : ego_fail_context(err, "video '%.60s'", uid);
}

static ego_err read_videos(reader *r, const ego_json *root) {
    const ego_json *videos;
    EGO_TRY(ego__member_array(root, "videos", &videos));
    if (!videos) return ego__expected("videos", "an array", NULL);
    for (const ego_json *v = ego_json_first(videos); v; v = ego_json_next(v))
        EGO_TRY(read_video(r, v));
    return EGO_OK;
}

/* ---- processed files ---- */

typedef struct columns { /* NULL: the array is missing */
    const ego_json *timestamps, *exact_times, *sentences, *annotations, *indices;
} columns;

static ego_err check_length(const char *key, const ego_json *array, size_t n) {
    if (ego_json_count(array) == n) return EGO_OK;
    return ego_fail(EGO_EFORMAT, "'%s': %zu elements expected, as in 'sentences', found %zu", key,
                    n, ego_json_count(array));
}

static ego_err read_columns(const ego_json *object, columns *c) {
    EGO_TRY(ego__member_array(object, "sentences", &c->sentences));
    EGO_TRY(ego__member_array(object, "annotation_uids", &c->annotations));
    EGO_TRY(ego__member_array(object, "query_idx", &c->indices));
    EGO_TRY(ego__member_array(object, "timestamps", &c->timestamps));
    EGO_TRY(ego__member_array(object, "exact_times", &c->exact_times));
    if (!c->sentences) return ego__expected("sentences", "an array", NULL);
    size_t n = ego_json_count(c->sentences);
    EGO_TRY(check_length("annotation_uids", c->annotations, n));
    EGO_TRY(check_length("query_idx", c->indices, n));
    if (c->timestamps) EGO_TRY(check_length("timestamps", c->timestamps, n));
    if (c->exact_times) EGO_TRY(check_length("exact_times", c->exact_times, n));
    return EGO_OK;
}

/* [start, end]; NaN both for NULL. */
static ego_err read_pair(const char *key, const ego_json *pair, double *from, double *to) {
    *from = *to = NAN;
    if (!pair) return EGO_OK;
    const ego_json *first = ego_json_first(pair), *second = first ? ego_json_next(first) : NULL;
    if (ego_json_is_array(pair) && ego_json_count(pair) == 2 && ego_json_number(first, from) &&
        ego_json_number(second, to))
        return EGO_OK;
    return ego__expected(key, "an array of pairs [start, end]", pair);
}

static const ego_json *next(const ego_json *node) { return node ? ego_json_next(node) : NULL; }

static ego_err read_rows(reader *r, const columns *c) {
    columns at = {ego_json_first(c->timestamps), ego_json_first(c->exact_times),
                  ego_json_first(c->sentences), ego_json_first(c->annotations),
                  ego_json_first(c->indices)};
    while (at.sentences) {
        ego_nlq_query query = {0};
        const char *text, *annotation;
        if (!ego_json_string(at.sentences, &text))
            return ego__expected("sentences", "an array of strings", at.sentences);
        if (!ego_json_string(at.annotations, &annotation))
            return ego__expected("annotation_uids", "an array of strings", at.annotations);
        if (!ego_json_integer(at.indices, &query.index) || query.index < 0)
            return ego__expected("query_idx", "an array of indices", at.indices);
        EGO_TRY(read_pair("timestamps", at.timestamps, &query.frame_start, &query.frame_end));
        EGO_TRY(read_pair("exact_times", at.exact_times, &query.start, &query.end));
        EGO_TRY(ego__pack_string(&r->pack, text, &query.text));
        EGO_TRY(ego__pack_string(&r->pack, annotation, &query.annotation));
        EGO_TRY(add_query(r, query));
        at = (columns){next(at.timestamps), next(at.exact_times), next(at.sentences),
                       next(at.annotations), next(at.indices)};
    }
    return EGO_OK;
}

static ego_err read_processed_clip(reader *r, const ego_json *object) {
    ego_nlq_clip clip = {.start = NAN, .end = NAN};
    columns c;
    if (!ego_json_is_object(object))
        return ego_fail(EGO_EFORMAT, "an object expected, found %s", ego_json_kind(object));
    EGO_TRY(ego__pack_string(&r->pack, ego_json_key(object), &clip.uid));
    EGO_TRY(ego__member_number(object, "fps", &clip.fps));
    EGO_TRY(ego__member_number(object, "num_frames", &clip.frames));
    if (!(clip.fps > 0))
        return ego_fail(EGO_EFORMAT, "'fps': a positive number expected, found %g", clip.fps);
    EGO_TRY(read_columns(object, &c));
    EGO_TRY(add_clip(r, clip));
    return read_rows(r, &c);
}

static ego_err read_processed_clips(reader *r, const ego_json *root) {
    for (const ego_json *c = ego_json_first(root); c; c = ego_json_next(c)) {
        ego_err err = read_processed_clip(r, c);
        if (err != EGO_OK) return ego_fail_context(err, "clip '%.60s'", ego_json_key(c));
    }
    return EGO_OK;
}

/* ---- both ---- */

static ego_err parse(const char *text, size_t n, const char *name, ego_arena *arena,
                     ego_err (*walk)(reader *, const ego_json *), ego_nlq *out) {
    reader r = start(name, arena);
    ego_json *root = NULL;
    EGO_TRY(ego__parse_json(text, n, name, false, &root));
    ego_err err = walk(&r, root);
    if (err == EGO_OK)
        err = finish(&r, out);
    else
        ego_fail_context(err, "%s", name);
    release(&r);
    ego_json_free(root);
    return err;
}

ego_err ego_nlq_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                      ego_nlq *out) {
    return parse(text, n, name, arena, read_videos, out);
}

ego_err ego_nlq_parse_processed(const char *text, size_t n, const char *name, ego_arena *arena,
                                ego_nlq *out) {
    return parse(text, n, name, arena, read_processed_clips, out);
}

ego_err ego_nlq_read(const char *path, ego_arena *arena, ego_nlq *out) {
    EGO__READ(path, ego_nlq_parse, arena, out);
}

ego_err ego_nlq_read_processed(const char *path, ego_arena *arena, ego_nlq *out) {
    EGO__READ(path, ego_nlq_parse_processed, arena, out);
}

/* ---- what a file is ---- */

bool ego_nlq_is_official(const char *path) {
    enum { LOOK_AT = 1 << 16 };
    char *text = calloc(1, LOOK_AT + 1);
    FILE *file = strcmp(path, "-") == 0 || !text ? NULL : fopen(path, "rb");
    bool found = false;
    if (file) {
        size_t n = fread(text, 1, LOOK_AT, file);
        text[n] = 0;
        const char *at = text + strspn(text, " \t\r\n\xef\xbb\xbf");
        const char *key = *at == '{' ? strstr(at, "\"videos\"") : NULL;
        if (key) key += strlen("\"videos\"") + strspn(key + strlen("\"videos\""), " \t\r\n");
        if (key && *key == ':') found = key[1 + strspn(key + 1, " \t\r\n")] == '[';
        fclose(file);
    }
    free(text);
    return found;
}
