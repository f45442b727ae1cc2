/* The shots of a video: 5 seconds each, five frames of each prepared for the network, one shot
 * after the other.
 *
 * A shot's frames are those on display at the middles of five equal parts of it. As published, they
 * are a second apart from its beginning on (what a second of a video was saved as for the
 * benchmark). What is left at the end and makes no whole shot belongs to none; a video shorter than
 * a shot is one.
 *
 * A directory of pictures (.jpg, .jpeg, .png) is a video of one picture a second, in the order of
 * their names: five pictures are a shot.
 *
 * Frames are resized by the short side and cut to their centre. The published program takes a
 * random crop of every frame (RandomResizedCrop, 8 % to all of the area), also when it is tested;
 * `random_crops` does so from a seed. Reading runs ahead on a thread of its own. */
#ifndef EGO_TASK_SHOTS_H
#define EGO_TASK_SHOTS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EGO_SHOT_SECONDS = 5, EGO_SHOT_FRAMES = 5 }; /* QFVS's (Sharghi et al. 2017) */

typedef struct ego_shots_options {
    const char *video_root;
    double seconds;     /* of a shot; 0: EGO_SHOT_SECONDS */
    int frames, size;   /* F and S */
    bool whole_seconds; /* frames from the shot's beginning on, equally far apart */
    bool random_crops;
    uint64_t seed;
    double start, end; /* of the video: shots are counted from start; end 0: its end */
} ego_shots_options;

typedef struct ego_shots ego_shots;

ego_err ego_shots_open(const char *video, const ego_shots_options *options, ego_shots **shots);
void ego_shots_close(ego_shots *shots); /* takes NULL */

size_t ego_shots_count(const ego_shots *shots); /* at least 1 */
/* When shot k begins and ends, in seconds of the video (of a directory: in pictures). */
void ego_shots_time(const ego_shots *shots, size_t k, double *start, double *end);

/* The next shot's frames: out (F, 3, S, S). EGO_EEND after the last. */
ego_err ego_shots_next(ego_shots *shots, float *out);

#endif
