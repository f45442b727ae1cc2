#include "media/shrink.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* One axis of the result: result i is (1 - part) * low + part * high. */
typedef struct tap {
    size_t low, high;
    float part;
} tap;

static void plan(int from, int to, tap *taps) {
    float scale = (float)from / (float)to;
    for (int i = 0; i < to; i++) {
        float at = scale * ((float)i + 0.5f) - 0.5f;
        if (at < 0) at = 0;
        int low = (int)at;
        if (low > from - 1) low = from - 1;
        int high = low < from - 1 ? low + 1 : low;
        taps[i] = (tap){(size_t)low, (size_t)high, at - (float)low};
    }
}

static float mix(uint8_t low, uint8_t high, float part) {
    return (1 - part) * (float)low + part * (float)high;
}

static void shrink_row(const uint8_t *above, const uint8_t *below, float down, const tap *x,
                       int width, uint8_t *row) {
    for (int i = 0; i < width; i++)
        for (size_t c = 0; c < 3; c++) {
            size_t low = 3 * x[i].low + c, high = 3 * x[i].high + c;
            float a = mix(above[low], above[high], x[i].part);
            float b = mix(below[low], below[high], x[i].part);
            row[3 * (size_t)i + c] = (uint8_t)((1 - down) * a + down * b + 0.5f);
        }
}

ego_err ego_shrink(const ego_image *image, int shorter, ego_image *small) {
    if (!image->rgb || image->width < 1 || image->height < 1 || shorter < 1)
        return ego_fail(EGO_EINPUT, "expected a picture to make smaller, found an empty one");
    int side = image->width < image->height ? image->width : image->height;
    bool keep = side <= shorter;
    int width = keep ? image->width : (int)((int64_t)shorter * image->width / side);
    int height = keep ? image->height : (int)((int64_t)shorter * image->height / side);
    EGO_TRY(ego_image_new(width, height, small));
    size_t stride = 3 * (size_t)image->width;
    if (keep) {
        memcpy(small->rgb, image->rgb, stride * (size_t)height);
        return EGO_OK;
    }
    tap *x = malloc(((size_t)width + (size_t)height) * sizeof *x);
    if (!x) return ego_fail(EGO_ENOMEM, "out of memory for making a picture smaller");
    tap *y = x + width;
    plan(image->width, width, x);
    plan(image->height, height, y);
    for (int i = 0; i < height; i++)
        shrink_row(image->rgb + y[i].low * stride, image->rgb + y[i].high * stride, y[i].part, x,
                   width, small->rgb + 3 * (size_t)width * (size_t)i);
    free(x);
    return EGO_OK;
}
