/* A video to cut from: a file or a chunked set (data/locate.h), as one piece of time with pictures
 * and sound.
 *
 * Times are seconds from the beginning of the whole; a chunk's begin at its number times 600. One
 * reel belongs to one thread at a time. */
#ifndef EGO_TASK_REEL_H
#define EGO_TASK_REEL_H

#include "base/err.h"
#include "media/decode.h"

#include <stdint.h>

typedef struct ego_reel ego_reel;

ego_err ego_reel_open(const char *root, const char *video, ego_reel **reel);
void ego_reel_close(ego_reel *reel); /* takes NULL */

/* Where the last frame ends; of a set, its last chunk's. */
double ego_reel_duration(const ego_reel *reel);
/* Of the file, or of the chunk that was opened last. */
ego_err ego_reel_info(ego_reel *reel, ego_video_info *info);

/* The frame on display at t. `image` as in media/decode.h. */
ego_err ego_reel_frame(ego_reel *reel, double t, ego_image *image);
/* The same, `height` pixels high (0: as it is). */
ego_err ego_reel_small(ego_reel *reel, double t, int height, ego_image *image);

/* Samples a second of the sound at t; 0: there is none. */
ego_err ego_reel_sound(ego_reel *reel, double t, int *rate);
/* n samples of two channels from t on, `rate` a second: out (n, 2); silence where there are
 * none. */
ego_err ego_reel_samples(ego_reel *reel, double t, int rate, int64_t n, float *out);

#endif
