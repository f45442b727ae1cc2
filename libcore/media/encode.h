/* Pictures and sound in, a video file out: H.264 and AAC in MP4.
 *
 * ego_encode_open, one ego_encode_write per frame, ego_encode_close; with sound, ego_encode_sound
 * as samples come, in any order with the frames: the first frame and the first sample are shown and
 * heard together. What one of them is ahead of the other is held in memory, so they should take
 * turns. The file has a constant frame rate, B-frames and a keyframe at least every EGO_ENCODE_GOP
 * frames; colour is yuv420p, limited range, tagged BT.601 below 720 lines and BT.709 from there on.
 * It appears under its name when it is whole: until ego_encode_close has returned EGO_OK nothing of
 * that name is there or an older file still is.
 *
 * libx264 does the work; a build of FFmpeg without it gives MPEG-4 part 2 (`ego_encode_name` says
 * which). The same frames and options give the same bytes, but not from one encoder version to
 * another.
 */
#ifndef EGO_MEDIA_ENCODE_H
#define EGO_MEDIA_ENCODE_H

#include "base/err.h"
#include "media/image.h"

#include <stdint.h>

enum { EGO_ENCODE_GOP = 200, EGO_ENCODE_B_FRAMES = 2 };

typedef enum ego_encode_speed {
    EGO_ENCODE_FAST, /* data sets: several thousand small frames a second */
    EGO_ENCODE_GOOD  /* clips and summaries that people keep */
} ego_encode_speed;

typedef struct ego_encode_options {
    int width, height;    /* even, 16 to 8192 */
    int fps_num, fps_den; /* frames a second as a fraction, 30/1 */
    ego_encode_speed speed;
    int quality; /* x264's constant rate factor, 1 (best) to 51; 0: 23 */
    int threads; /* of the encoder; 0: 1 */
    int rate,
        channels; /* of the sound: one that ego_encode_rate returned, and 1 or 2; 0: no sound */
} ego_encode_options;

typedef struct ego_encoder ego_encoder;

ego_err ego_encode_open(const char *path, const ego_encode_options *options, ego_encoder **encoder);
/* The picture must have the size given at opening. It is copied. */
ego_err ego_encode_write(ego_encoder *encoder, const ego_image *image);
/* n samples of each channel, -1 to 1, interleaved: (n, channels). */
ego_err ego_encode_sound(ego_encoder *encoder, const float *samples, int64_t n);
/* Finishes and renames the file and frees the encoder, whatever the result. */
ego_err ego_encode_close(ego_encoder *encoder);
void ego_encode_abort(ego_encoder *encoder); /* frees and leaves no file; takes NULL */

/* The sampling rate nearest to this one, from above where there is one, that sound can be written
 * in; 0: this build of FFmpeg has no encoder for it. */
int ego_encode_rate(int rate);

/* The encoder in use, with its library's version: "libx264 (Lavc59.37.100)". Static text. */
const char *ego_encode_name(void);

#endif
