/* Clips by the hundred: requests in, prepared frames out, in the same order.
 *
 * A reader looks ahead over a window of requests, sorts what they need by file and time, and reads
 * each file once, forward, on a thread of its own, while the caller computes. A decoder stays open
 * from one window to the next. What comes out depends on the request alone, never on what stood
 * beside it in the window, on timing or on how often the input paused. A request that fails comes
 * back in its place with its error; the others go on.
 *
 *     while (more) {
 *         while (ego_clips_room(clips) && (more = read a record)) 
 *             ego_clips_submit(clips, &request);
 *         if (the input pauses) ego_clips_flush(clips);   // do not wait for a full window
 *         EGO_TRY(ego_clips_next(clips, &clip));          // EGO_EEND: nothing is outstanding
 *         ...compute...
 *         ego_clip_free(clip);
 *     }
 *
 * Training asks for draws and for pictures instead: see `draw`, `moments` and `shorter`. There no
 * picture is ever made up: a clip behind the end, or without one good frame, is an error with any
 * sampling.
 *
 * How long a pipe (video "-") lasts is known only when it ends. Its clips are read until their end
 * has passed; one that the pipe's end cuts is then read again at the right places, from what
 * decode.h keeps of the pipe. A clip that starts behind the end of a pipe has the error EGO_EEND:
 * no more will come.
 *
 * A reader is used by one thread. */
#ifndef EGO_DATA_CLIPS_H
#define EGO_DATA_CLIPS_H

#include "base/err.h"
#include "media/prepare.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part of a video. */
typedef struct ego_video_part {
    const char *video; /* path or uid (data/locate.h) */
    double start, end; /* seconds; NaN: from the beginning, to the end */
} ego_video_part;

typedef enum ego_sampling {
    EGO_SAMPLING_TIME, /* the frames on display at the middles of equal parts of [start, end) */
    EGO_SAMPLING_REFERENCE, /* as the published EgoMCQ reader (media/sample.h), its faults too */
    EGO_SAMPLING_EPIC,      /* as the published EK-100 reader */
    EGO_SAMPLING_TASKQA,    /* as the published EgoTaskQA reader: always drawn from the request's stream */
    EGO_SAMPLING_NUMBERS    /* the frames of these numbers: see ego_clip_request.at */
} ego_sampling;

typedef struct ego_clips_options {
    const char *video_root; /* NULL: none; copied */
    ego_sampling sampling;
    ego_preparation preparation;
    int frames, size; /* F and S of a clip, (F, 3, S, S) */
    int shorter;      /* 0; else clips are 8-bit pictures, made this small (media/shrink.h) */
    int moments;      /* for requests that draw, sampling by time (media/sample.h) */
    unsigned decoder_threads; /* 0: one */
    int window;               /* requests looked at together; 0: 32 */
    size_t memory; /* bytes of prepared clips held at a time; 0: 256 MiB. At least two clips. */
    double past, follow; /* of live streams (media/decode.h): seconds a pipe can go back to; how long a
                            file that is being written may rest */
} ego_clips_options;

typedef struct ego_clip_request {
    const char *video; /* path or uid (data/locate.h); copied */
    bool whole;        /* the whole file: start and end are not used */
    double start, end; /* seconds */
    /* Instead of start and end: where each of the F frames is, ascending (copied). Seconds, sampling by
     * time; with EGO_SAMPLING_NUMBERS how many frames are displayed before it, in a chunked set as if its
     * chunks held 30 frames a second. Behind the end the last frame stands in. NULL: not told. */
    const double *at;
    uint64_t tag;      /* the caller's; comes back with the clip */
    bool draw;         /* frames are drawn from `stream`, not the middles */
    uint64_t stream;
} ego_clip_request;

typedef struct ego_clip {
    uint64_t tag;
    ego_err err;       /* EGO_OK, or why there are no pixels */
    char *message;     /* with err: what went wrong */
    double start, end; /* seconds, after cutting to the file */
    bool last;         /* of a pipe: it ended where the clip does, or within it */
    float *pixels;     /* (F, 3, S, S); NULL with pictures */
    uint8_t *pictures; /* (F, height, width, 3), or NULL */
    int width, height; /* of the pictures: one size for all, or it is an error */
    int substituted; /* frames that stand in for ones that could not be read (reference sampling) */
} ego_clip;

/* What was put in the place of something else, since the reader was opened. */
typedef struct ego_clips_counts {
    int64_t clips, failed;
    int64_t dropped;     /* frames that the published reader fails to read, too */
    int64_t repeated;    /* frames filled with the last good one */
    int64_t black;       /* clips without one good frame: a black one and zeros */
    int64_t cut_files;   /* files that end before their header says */
    int64_t read_errors; /* packets that could not be read or decoded */
    int64_t damaged;     /* frames decoded with errors, and used */
} ego_clips_counts;

typedef struct ego_clips ego_clips;

ego_err ego_clips_open(const ego_clips_options *options, ego_clips **clips);
/* Stops the reading thread and frees clips not yet taken. Takes NULL. */
void ego_clips_close(ego_clips *clips);

/* How many requests may be submitted now without taking a clip first. */
int ego_clips_room(const ego_clips *clips);
/* Requests submitted whose clips were not taken yet. */
int ego_clips_outstanding(const ego_clips *clips);

/* EGO_EINPUT when there is no room. */
ego_err ego_clips_submit(ego_clips *clips, const ego_clip_request *request);
/* Reading starts on what was submitted, though the window is not full. */
ego_err ego_clips_flush(ego_clips *clips);
/* Waits at most `seconds`; true when ego_clips_next would not wait (any more). Reading must have started. */
bool ego_clips_ready(ego_clips *clips, double seconds);
/* The next clip in the order of requests; waits for it. EGO_EEND when none is outstanding. The clip
 * is the caller's. A failure of the clip itself is in clip->err, not returned. */
ego_err ego_clips_next(ego_clips *clips, ego_clip **clip);
void ego_clip_free(ego_clip *clip); /* takes NULL */

/* Exact once all clips were taken. */
ego_clips_counts ego_clips_get_counts(ego_clips *clips);

#endif
