/* Decoded frames to RGB images; private to media (decode.c is the way in).
 *
 * The accurate conversion takes the frame's own matrix and range (a matrix that is not stated:
 * BT.601 below 720 lines, else BT.709), full chroma resolution and correct rounding; HLG, PQ and
 * BT.2020's primaries are brought to BT.709's SDR (media/tonemap.h). The reference
 * one is swscale's defaults, as OpenCV uses it: BT.601 whatever the file says, chroma not
 * interpolated, and 1.0 to 1.4 of 255 too dark on average (tests/golden/test_clip.c).
 */
#ifndef EGO_MEDIA_CONVERT_H
#define EGO_MEDIA_CONVERT_H

#include "base/err.h"
#include "media/image.h"

#include <libavutil/frame.h>
#include <stdbool.h>

/* Where pixels go: x' = xx x + xy y, y' = yx x + yy y, moved into the picture; each -1, 0 or 1. */
typedef struct ego__orientation {
    int xx, xy, yx, yy;
} ego__orientation;

/* From a display matrix (9 numbers, or NULL: upright). What is no multiple of 90 degrees, with or
 * without a mirror, goes to the nearest. */
ego__orientation ego__orientation_of(const int32_t *matrix);
bool ego__orientation_turns(ego__orientation o); /* width and height change places */

typedef struct ego__converter ego__converter;

ego_err ego__converter_new(bool reference, ego__converter **converter);
void ego__converter_free(ego__converter *converter); /* takes NULL */
/* `o` is the file's; a matrix of the frame's own goes before it. `path` is for messages. */
ego_err ego__convert(ego__converter *converter, const AVFrame *frame, ego__orientation o,
                     const char *path, ego_image *image);

#endif
