#include "base/rng.h"

#include <math.h>

double ego_rng_normal(uint64_t stream, uint64_t index) {
    double u = ((double)(ego_rng_u64(stream, 2 * index) >> 11) + 1) * 0x1p-53; /* (0, 1] */
    double v = (double)(ego_rng_u64(stream, 2 * index + 1) >> 11) * 0x1p-53;
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}
