#include "media/reduce.h"

#include <stdlib.h>
#include <string.h>

/* Adds a row's weight to the sums: those of pixel i are the columns [i, i + 1) * from / to. In units of
 * 1 / to of a column all is whole: exact in 64 bits. */
static void add_row(const uint8_t *row, int from, int to, uint64_t weight, uint64_t *sums) {
    int64_t left = 0; /* of the column at hand, what the pixel at hand has not taken */
    const uint8_t *column = row - 3;
    for (int i = 0; i < to; i++, sums += 3)
        for (int64_t need = from; need > 0;) {
            if (left == 0) {
                column += 3;
                left = to;
            }
            int64_t take = need < left ? need : left;
            for (int c = 0; c < 3; c++) sums[c] += weight * (uint64_t)take * column[c];
            need -= take;
            left -= take;
        }
}

ego_err ego_reduce(const ego_image *image, int width, int height, ego_image *small) {
    if (width < 1 || height < 1 || width > image->width || height > image->height)
        return ego_fail(EGO_EINPUT, "expected a size of 1 x 1 to %d x %d, found %d x %d", image->width,
                        image->height, width, height);
    EGO_TRY(ego_image_new(width, height, small));
    size_t n = 3 * (size_t)width;
    uint64_t *sums = malloc(n * sizeof *sums);
    if (!sums) return ego_fail(EGO_ENOMEM, "out of memory for making a picture smaller");
    uint64_t whole = (uint64_t)image->width * (uint64_t)image->height;
    int64_t left = 0;
    const uint8_t *row = image->rgb - 3 * (size_t)image->width;
    for (int y = 0; y < height; y++) {
        memset(sums, 0, n * sizeof *sums);
        for (int64_t need = image->height; need > 0;) {
            if (left == 0) {
                row += 3 * (size_t)image->width;
                left = height;
            }
            int64_t take = need < left ? need : left;
            add_row(row, image->width, width, (uint64_t)take, sums);
            need -= take;
            left -= take;
        }
        for (size_t i = 0; i < n; i++)
            small->rgb[(size_t)y * n + i] = (uint8_t)((sums[i] + whole / 2) / whole);
    }
    free(sums);
    return EGO_OK;
}
