#include "data/rows_inside.h"

#include "base/buf.h"
#include "data/locate.h"
#include "media/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_CHUNKS = 64 }; /* of one clip; none is nearly as long */

/* What makes a clip's pictures what they are, besides its files. */
typedef struct recipe {
    double start, end;
    int32_t version, sampling, frames, moments, shorter, none;
} recipe;

/* A file as it is now; a missing one has the size -1. */
typedef struct stamp {
    int64_t size, seconds, nanoseconds;
} stamp;

static void add_stamp(ego_buf *text, const char *path) {
    struct stat st;
    stamp s = {-1, 0, 0};
    if (stat(path, &st) == 0)
        s = (stamp){(int64_t)st.st_size, (int64_t)st.st_mtim.tv_sec, (int64_t)st.st_mtim.tv_nsec};
    ego_buf_append(text, &s, sizeof s);
}

/* The chunks that the clip lies in, and the next: whether there is one decides where it is cut. */
static ego_err add_chunks(ego_buf *text, const ego_place *place, const ego_narrated_clip *clip) {
    int64_t first = clip->start > 0 ? (int64_t)floor(clip->start / EGO_CHUNK_SECONDS) : 0;
    int64_t last = (int64_t)floor(fmax(clip->end, 0) / EGO_CHUNK_SECONDS) + 1;
    if (last - first > MAX_CHUNKS)
        return ego_fail(EGO_EINPUT, "%s: a clip from %g s to %g s is too long for the cache",
                        clip->video, clip->start, clip->end);
    for (int64_t k = first; k <= last; k++) {
        char *path = ego_place_chunk(place, k);
        if (!path) return ego_fail(EGO_ENOMEM, "out of memory");
        add_stamp(text, path);
        free(path);
    }
    return EGO_OK;
}

ego_err ego__rows_key(const ego_rows *rows, size_t row, ego_cache_key *key) {
    const ego_narrated_clip *clip = &rows->table.clips[row];
    const ego_rows_options *o = &rows->options;
    recipe r = {clip->start, clip->end,     1, (int32_t)o->sampling, o->frames,
                o->moments,  rows->shorter, 0};
    ego_place place = {0};
    ego_buf text = {0};
    ego_err err = EGO_OK;
    if (!(fabs(clip->start) < 1e9 && fabs(clip->end) < 1e9))
        return ego_fail(EGO_EINPUT, "a clip from %g s to %g s", clip->start, clip->end);
    EGO_TRY(ego_locate(o->video_root, clip->video, &place));
    ego_buf_append(&text, &r, sizeof r);
    ego_buf_append(&text, place.path, strlen(place.path) + 1);
    if (place.chunked)
        EGO_TRY_OUT(add_chunks(&text, &place, clip));
    else
        add_stamp(&text, place.path);
    EGO_TRY_OUT(ego_buf_err(&text));
    EGO_TRY_OUT(ego_cache_key_of(text.data, text.len, key));
out:
    ego_place_release(&place);
    ego_buf_release(&text);
    return err;
}

/* Keeps this thread's latest message, the first time. */
static void keep_trouble(ego_rows *rows) {
    pthread_mutex_lock(&rows->lock);
    if (!rows->trouble_known) rows->trouble = strdup(ego_err_message());
    rows->trouble_known = true;
    pthread_mutex_unlock(&rows->lock);
}

void ego__rows_store(ego_rows *rows, ego_cache_key key, const ego_clip *clip) {
    const ego_rows_options *o = &rows->options;
    ego_cache_record record = {.key = key,
                               .frames = (uint32_t)(o->frames * o->moments),
                               .width = (uint32_t)clip->width,
                               .height = (uint32_t)clip->height};
    bool added = false;
    if (ego_cache_is_full(rows->cache)) return;
    ego_err err = ego_cache_add(rows->cache, &record, clip->pictures, &added);
    if (err == EGO_OK && !added && ego_cache_is_full(rows->cache))
        err = ego_fail(EGO_EINPUT,
                       "the frame cache %s is full with %llu of %llu bytes: it takes "
                       "no more clips",
                       o->cache, (unsigned long long)ego_cache_bytes(rows->cache),
                       (unsigned long long)o->cache_bytes);
    if (err) keep_trouble(rows);
    if (added) ego__rows_count(rows, &rows->counts.stored, 1);
}
