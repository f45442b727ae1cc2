#include "media/augment.h"

#include "base/rng.h"

#include <math.h>
#include <string.h>

enum { TRIES = 10, DRAWS = 4 /* of one try: area, aspect, top, left */ };
static const double LEAST_AREA = 0.5, LEAST_ASPECT = 3.0 / 4, MOST_ASPECT = 4.0 / 3;
static const uint64_t FLIP = UINT64_MAX; /* the number of a draw that no try makes */

static double between(double low, double high, uint64_t stream, uint64_t index) {
    return low + (high - low) * ego_rng_unit(stream, index);
}

static ego_box centre(int width, int height) {
    ego_box box = {.width = width, .height = height};
    double aspect = (double)width / height;
    if (aspect < LEAST_ASPECT) box.height = (int)rint(width / LEAST_ASPECT);
    if (aspect > MOST_ASPECT) box.width = (int)rint(height * MOST_ASPECT);
    box.left = (width - box.width) / 2;
    box.top = (height - box.height) / 2;
    return box;
}

ego_box ego_augment_box(int width, int height, uint64_t stream) {
    return ego_augment_box_from(LEAST_AREA, width, height, stream);
}

ego_box ego_augment_box_from(double least, int width, int height, uint64_t stream) {
    for (uint64_t draw = 0; draw < (uint64_t)TRIES * DRAWS; draw += DRAWS) {
        double area = (double)width * height * between(least, 1, stream, draw);
        double aspect = exp(between(log(LEAST_ASPECT), log(MOST_ASPECT), stream, draw + 1));
        int w = (int)rint(sqrt(area * aspect)), h = (int)rint(sqrt(area / aspect));
        if (w < 1 || h < 1 || w > width || h > height) continue;
        return (ego_box){.top = (int)ego_rng_below(stream, draw + 2, (uint32_t)(height - h + 1)),
                         .left = (int)ego_rng_below(stream, draw + 3, (uint32_t)(width - w + 1)),
                         .width = w,
                         .height = h};
    }
    return centre(width, height);
}

bool ego_augment_channels(uint64_t stream, double chance, int order[3]) {
    static const int others[5][3] = {{0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    memcpy(order, others[ego_rng_below(stream, 1, 5)], sizeof others[0]);
    return ego_rng_unit(stream, 0) < chance;
}

bool ego_augment_flip(uint64_t stream) { return ego_rng_below(stream, FLIP, 2) == 1; }
