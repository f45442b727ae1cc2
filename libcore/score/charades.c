#include "score/charades.h"

#include <math.h>

double ego_class_ap(const uint32_t *order, size_t n, const double *positive, const uint32_t *weight,
                    const bool *present) {
    double sum = 0, hits = 0, seen = 0;
    for (size_t i = 0; i < n; i++) {
        size_t video = order[i];
        uint32_t copies = weight ? weight[video] : present ? present[video] : 1;
        if (positive[video] == 0) {
            seen += copies;
            continue;
        }
        while (copies--) sum += ++hits / ++seen;
    }
    return hits > 0 ? sum / hits : NAN;
}
