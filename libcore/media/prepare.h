/* From a picture to what the network sees: resized, cropped, normalised; (3, S, S) float32.
 *
 * EGO_PREPARE_STANDARD: RGB / 255; the short side resized to R = round(S * 256 / 224) (256 for the
 * published 224; skipped when it has that size already), the long side to trunc(R * long / short);
 * the R x R centre; that resized to S; ImageNet's mean and deviation.
 *
 * EGO_PREPARE_EPIC, for EK-100: RGB from 0 to 255; the short side resized to S; the S x S centre; a
 * mean and deviation of its own.
 *
 * EGO_PREPARE_SHORT, for query-focused summaries: RGB / 255; the short side resized to S; the S x S centre;
 * ImageNet's mean and deviation.
 *
 * Resizing is torch's bilinear: half-pixel centres, no antialiasing, positions in float32. Resizing
 * twice is linear and separable, so each output sample is taken straight from at most 4 x 4 pixels
 * of the picture, with weights computed once for each size of picture: equal to the reference's
 * steps to float32 rounding, and only pixels that matter are touched.
 */
#ifndef EGO_MEDIA_PREPARE_H
#define EGO_MEDIA_PREPARE_H

#include "base/err.h"
#include "media/image.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum ego_preparation {
    EGO_PREPARE_STANDARD,
    EGO_PREPARE_EPIC,
    EGO_PREPARE_SHORT
} ego_preparation;

/* Holds the weights for the latest picture size; belongs to one thread at a time. */
typedef struct ego_preparer ego_preparer;

/* `size`: S, from 1 to 4096. */
ego_err ego_preparer_new(ego_preparation preparation, int size, ego_preparer **preparer);
void ego_preparer_free(ego_preparer *preparer); /* takes NULL */

/* Floats in one prepared frame: 3 * S * S. */
size_t ego_prepared_floats(const ego_preparer *preparer);

ego_err ego_prepare(ego_preparer *preparer, const ego_image *image, float *out);

/* Training's crop instead: the box, in pixels of the picture, resized to S x S in one step,
 * mirrored left to right when `flip`; then normalised. */
typedef struct ego_box {
    int left, top, width, height;
} ego_box;
ego_err ego_prepare_box(ego_preparer *preparer, const ego_image *image, ego_box box, bool flip,
                        float *out);

/* A prepared frame as a picture again, to show what the network sees. */
ego_err ego_unprepare(const ego_preparer *preparer, const float *prepared, ego_image *image);

/* A black picture, prepared. */
void ego_prepare_black(const ego_preparer *preparer, float *out);

#endif
