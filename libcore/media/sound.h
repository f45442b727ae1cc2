/* Reading sound: the samples of a moment.
 *
 * Time is the video's (media/decode.h): 0 is when the first frame is on display, so that what is
 * heard at t belongs to what is seen at t. Samples are numbered from there; what lies before the
 * sound's beginning, behind its end or in a gap is silence. Requests that follow on each other
 * decode onward; any other seeks, and decodes a little from before, so that the samples are those
 * that playing from the start gives. Damage is silence, too: a summary is not lost for a packet.
 *
 * What is delivered: float, -1 to 1, one or two channels, interleaved; of more the first two are
 * kept (front left and right in every common order). Another rate than the file's is made by linear
 * interpolation.
 *
 * One ego_sound belongs to one thread at a time.
 */
#ifndef EGO_MEDIA_SOUND_H
#define EGO_MEDIA_SOUND_H

#include "base/err.h"

#include <stdint.h>

typedef struct ego_sound ego_sound;

/* `path`: a regular file. origin: ego_video_origin of its video. *sound is NULL when the file has
 * no sound that this build can decode: that is no failure. */
ego_err ego_sound_open(const char *path, double origin, ego_sound **sound);
void ego_sound_close(ego_sound *sound); /* takes NULL */

int ego_sound_rate(const ego_sound *sound);     /* samples a second, in the file */
int ego_sound_channels(const ego_sound *sound); /* 1 or 2 */

/* n samples from time t on, `rate` a second: out (n, channels). */
ego_err ego_sound_read(ego_sound *sound, double t, int rate, int64_t n, float *out);

#endif
