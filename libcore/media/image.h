/* A picture in memory: 8-bit RGB, rows from the top, 3 * width bytes each with nothing between.
 *
 * The struct is the caller's; its pixels are on the heap and belong to whoever holds the struct.
 */
#ifndef EGO_MEDIA_IMAGE_H
#define EGO_MEDIA_IMAGE_H

#include "base/err.h"

#include <stdint.h>

enum { EGO_IMAGE_MAX_SIDE = 1 << 15 }; /* beyond any camera; keeps sizes far from overflow */

typedef struct ego_image {
    int width, height;
    uint8_t *rgb; /* (height, width, 3) */
} ego_image;      /* {0} is no image */

/* Makes `image` (an image or {0}) width x height, keeping its memory when the size is the same. The
 * pixels are not cleared. On failure the image is left as it was. */
ego_err ego_image_new(int width, int height, ego_image *image);
void ego_image_free(ego_image *image); /* leaves {0}; safe on {0} */

#endif
