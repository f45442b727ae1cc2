/* A smaller picture, still 8-bit RGB: what training keeps of a frame before it crops it.
 *
 * The short side becomes `shorter`, the long one trunc(shorter * long / short), by torch's bilinear
 * resizing (half-pixel centres, no antialiasing, positions in float32), rounded to the nearest
 * value. It is the first half of EGO_PREPARE_STANDARD (media/prepare.h). A picture whose short side
 * is no longer than `shorter` stays as it is. */
#ifndef EGO_MEDIA_SHRINK_H
#define EGO_MEDIA_SHRINK_H

#include "media/image.h"

/* `small` is an image or {0}; its memory is used again when the size agrees. */
ego_err ego_shrink(const ego_image *image, int shorter, ego_image *small);

#endif
