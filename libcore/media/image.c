#include "media/image.h"

#include <stdlib.h>

ego_err ego_image_new(int width, int height, ego_image *image) {
    if (image->rgb && image->width == width && image->height == height) return EGO_OK;
    if (width < 1 || height < 1 || width > EGO_IMAGE_MAX_SIDE || height > EGO_IMAGE_MAX_SIDE)
        return ego_fail(EGO_EINPUT, "an image of %d x %d pixels: expected sides from 1 to %d",
                        width, height, EGO_IMAGE_MAX_SIDE);
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    if (!rgb) return ego_fail(EGO_ENOMEM, "out of memory for a %d x %d image", width, height);
    free(image->rgb);
    *image = (ego_image){width, height, rgb};
    return EGO_OK;
}

void ego_image_free(ego_image *image) {
    free(image->rgb);
    *image = (ego_image){0};
}
