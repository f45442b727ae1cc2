/* Parts of a video as one file that plays: pictures and sound, cut at exact times. */
#ifndef EGO_TASK_CUT_H
#define EGO_TASK_CUT_H

#include "base/progress.h"
#include "task/reel.h"

#include <stddef.h>

typedef struct ego_part {
    double start, end; /* seconds, start < end */
} ego_part;

typedef struct ego_cut_options {
    bool silent;                  /* leave the sound out */
    int threads;                  /* of the encoder; 0: 1 */
    const ego_progress *progress; /* told of frames; NULL: nobody is */
} ego_cut_options;                /* {0}: the defaults */

/* Writes the parts one after the other, encoded anew, as `path` (media/encode.h): even sides, at
 * most 1280 pixels wide, at the video's average rate. A part begins with the picture on display at
 * its start and the sound heard then, and lasts to the frame nearest to its end; both streams are
 * as long as the pictures last, so nothing drifts. Sound is faded over a few milliseconds at the
 * cuts. Parts behind the video's end are an error, ends are cut to it. */
ego_err ego_cut(ego_reel *reel, const ego_part *parts, size_t n, const ego_cut_options *options,
                const char *path);

#endif
