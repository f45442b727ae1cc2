/* Training's crop: where a random box lies, as torchvision's RandomResizedCrop draws it.
 *
 * Ten times an area of 0.5 (or `least`) to 1 of the picture's and an aspect of 3/4 to 4/3, uniform in its
 * logarithm, are drawn, rounded to a whole box; the first that fits in the picture is put at a
 * uniform place. If none fits, the centre: all of the picture, with its longer side cut where the
 * aspect is outside the limits. */
#ifndef EGO_MEDIA_AUGMENT_H
#define EGO_MEDIA_AUGMENT_H

#include "media/prepare.h"

#include <stdbool.h>
#include <stdint.h>

/* A function of its arguments alone (base/rng.h). The sides are 1 or more. */
ego_box ego_augment_box(int width, int height, uint64_t stream);
ego_box ego_augment_box_from(double least, int width, int height, uint64_t stream);
/* True for half of the streams. */
bool ego_augment_flip(uint64_t stream);
/* True for `chance` of the streams: red, green and blue are to change places, and order[c] is where the new
 * channel c comes from; never all from themselves. */
bool ego_augment_channels(uint64_t stream, double chance, int order[3]);

#endif
