/* The inside of data/clips.c: what it shares with the parts that plan (clips_plan.c) and read
 * (clips_read.c) on the reading thread. Not for others. */
#ifndef EGO_DATA_CLIPS_INSIDE_H
#define EGO_DATA_CLIPS_INSIDE_H

#include "base/threads.h"
#include "data/clips.h"
#include "data/locate.h"
#include "media/decode.h"
#include "media/sample.h"

#include <pthread.h>
#include <stdatomic.h>

/* Seconds: less than this at the end of a video is rounding of its duration, not film. */
#define EGO_CLIP_ROUNDING 1e-6

/* A request on its way. The caller's thread owns it until it is handed over in a batch, then the
 * reading thread, until it comes back through `finished`. */
typedef struct ego__clip_job {
    ego_clip clip; /* first: what the caller gets is the job */
    struct ego__clip_job *next;
    bool done; /* it came back; known to the caller's thread */
    bool whole, draw;
    uint64_t stream;
    double *at; /* (F), or NULL */
    char *video;
} ego__clip_job;

/* What the reading thread knows of a job; it outlives the job, which the caller may free. */
typedef struct ego__clip_seat {
    ego__clip_job *job;
    bool back; /* handed back: the job must not be touched any more */
    ego_place place;
    int64_t first_chunk, last_chunk; /* of a chunked place */
    bool open_end;                   /* nothing follows the last file: the clip is cut to its end */
    int last_file;                   /* in the plan's list: where the clip ends; -1: none */
    int wanted;                      /* frames not yet dealt with */
    bool *good;                      /* (F) frames that could be read */
} ego__clip_seat;

typedef struct ego__clip_batch {
    int n;
    ego__clip_seat seats[];
} ego__clip_batch;

/* One frame that a clip needs; or (frame -1) whether a pipe goes on until the clip's end. */
typedef struct ego__clip_need {
    int file;
    double at; /* seconds in the file, or the frame's number with the numbered samplings */
    ego__clip_seat *seat;
    int frame;
    bool dealt;
} ego__clip_need;

/* A file that is open, or why it is not. */
typedef struct ego__clip_file {
    char *path;
    ego_video *video;
    ego_video_info info;
    ego_err err;
    char *message;
} ego__clip_file;

/* What the reading thread works on. */
typedef struct ego__clip_plan {
    ego__clip_batch *batch;
    char **files; /* paths */
    int n_files;
    ego__clip_need *needs;
    int n_needs;
} ego__clip_plan;

struct ego_clips {
    ego_clips_options options;
    char *root;
    int window;
    size_t frame_floats;
    /* the caller's side */
    ego__clip_job *head, *tail; /* outstanding, in order */
    int outstanding;
    ego__clip_batch *filling;
    /* between */
    ego_queue *todo, *finished;
    pthread_t thread;
    bool started;
    atomic_bool stop;
    pthread_mutex_t lock; /* counts */
    ego_clips_counts counts;
    /* the reading thread's side */
    ego_preparer *preparer;
    float *latest;   /* the frame prepared last: neighbours may show the same */
    ego_image small; /* the same as a picture */
    ego__clip_file file,
        pipe; /* stdin cannot be opened twice: it stays open in a place of its own */
};

/* ---- clips_plan.c ---- */

/* Finds the clip's files; the one where it ends goes to the plan. */
ego_err ego__clips_locate(const ego_clips *clips, ego__clip_plan *p, ego__clip_seat *s);
/* Turns a clip whose last file is open into needs. A file that cannot be opened is the clip's
 * error, except for the reference, which goes on with black. */
ego_err ego__clips_plan(const ego_clips *clips, ego__clip_plan *p, ego__clip_seat *s,
                        const ego__clip_file *file);
/* Where in [start, end) of the clip its frames are, sampling by time: times[F]. */
void ego__clips_times(const ego_clips *clips, const ego__clip_job *j, double *times);
ego_err ego__clips_too_late(const ego__clip_job *j, double end, bool pipe);

/* ---- clips_read.c ---- */

/* Reads the clips of a batch, hands each back through `finished`, and frees the batch. */
void ego__clips_work(ego_clips *clips, ego__clip_batch *b);
void ego__clips_close_files(ego_clips *clips);

#endif
