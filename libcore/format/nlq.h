/* Ego4D natural language queries: the official annotation files and the processed ones that
 * VSLNet's training uses.
 *
 * Official, nlq_{train,val,test_unannotated}.json:
 *   {"videos":[{"video_uid":…,"clips":[{"clip_uid":…,"video_start_sec":…,"video_end_sec":…,
 *     "annotations":[{"annotation_uid":…,"language_queries":[{"query":…,"clip_start_sec":…,
 *     "clip_end_sec":…},…]},…]},…]},…]}
 * A query may lack its text (the validation set has one) or its times (the test set).
 *
 * Processed, {train,val,test}.json:
 *   {"CLIP_UID":{"fps":1.875,"num_frames":900,"timestamps":[[10,20]],"exact_times":[[5.4,10.7]],
 *     "sentences":["where is x?"],"annotation_uids":["a1"],"query_idx":[0]},…}
 * The arrays run in parallel; timestamps (in frames at fps) and exact_times (in seconds of the
 * clip) may be missing.
 */
#ifndef EGO_FORMAT_NLQ_H
#define EGO_FORMAT_NLQ_H

#include "base/arena.h"
#include "base/err.h"
#include "format/annotations.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ego_nlq_query {
    size_t clip;                   /* index into the clips */
    const char *annotation;        /* annotation_uid */
    int64_t index;                 /* query_idx: its place among the annotation's queries */
    const char *text;              /* as written; NULL when missing */
    double start, end;             /* the answer, in seconds of the clip; NaN when not given */
    double frame_start, frame_end; /* processed files: `timestamps`; NaN otherwise */
} ego_nlq_query;

typedef struct ego_nlq_clip {
    const char *uid;
    const char *video;   /* official files: video_uid; NULL otherwise */
    double start, end;   /* official: where it lies in the video, in seconds; NaN otherwise */
    double fps, frames;  /* processed: of the features; NaN otherwise */
    size_t first, count; /* its queries */
} ego_nlq_clip;

typedef struct ego_nlq {
    const ego_nlq_clip *clips;
    size_t clip_count;
    const ego_nlq_query *queries; /* those of a clip stand together */
    size_t query_count;
} ego_nlq;

ego_err ego_nlq_read(const char *path, ego_arena *arena, ego_nlq *out);
ego_err ego_nlq_parse(const char *text, size_t n, const char *name, ego_arena *arena, ego_nlq *out);

/* Whether a file is one of the official ones, one object with an array "videos" (in its first 64 KiB), and
 * no lines of records: false for "-", which is not looked at, and for what cannot be opened. */
bool ego_nlq_is_official(const char *path);

ego_err ego_nlq_read_processed(const char *path, ego_arena *arena, ego_nlq *out);
ego_err ego_nlq_parse_processed(const char *text, size_t n, const char *name, ego_arena *arena,
                                ego_nlq *out);

#endif
