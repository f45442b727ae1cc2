#include "base/rng.h"

#include <math.h>

double ego_rng_normal(uint64_t stream, uint64_t index) {
    double u = ((double)(ego_rng_u64(stream, 2 * index) >> 11) + 1) * 0x1p-53; /* (0, 1] */
    double v = (double)(ego_rng_u64(stream, 2 * index + 1) >> 11) * 0x1p-53;
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

void ego_rng_permute(uint64_t stream, uint32_t n, uint32_t *order) {
    for (uint32_t i = 0; i < n; i++) order[i] = i;
    for (uint32_t i = n; i-- > 1;) {
        uint32_t j = ego_rng_below(stream, i, i + 1), other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}
