/* A much smaller picture: each pixel is the mean of what it covers, so that nothing flickers.
 *
 * For keeping videos at a fraction of their size. What goes into a model is made smaller as the published
 * code does it, without this care: media/shrink.h, media/prepare.h. */
#ifndef EGO_MEDIA_REDUCE_H
#define EGO_MEDIA_REDUCE_H

#include "media/image.h"

/* width x height, neither greater than the picture's: EGO_EINPUT. `small` is an image or {0}; its memory is
 * used again when the size agrees. */
ego_err ego_reduce(const ego_image *image, int width, int height, ego_image *small);

#endif
