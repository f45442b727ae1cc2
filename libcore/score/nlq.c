#include "score/nlq.h"

#include <math.h>

double ego_overlap(const double a[2], const double b[2]) {
    double inter = fmin(a[1], b[1]) - fmax(a[0], b[0]);
    double hull = fmax(a[1], b[1]) - fmin(a[0], b[0]);
    return inter > 0 && hull > 0 ? inter / hull : 0;
}

bool ego_overlap_found(const double (*spans)[2], size_t n, const double answer[2], size_t k,
                       double threshold) {
    for (size_t i = 0; i < n && i < k; i++)
        if (ego_overlap(spans[i], answer) > threshold) return true;
    return false;
}
