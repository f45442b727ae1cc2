/* What dropout keeps of a row. */
#ifndef EGO_TENSOR_CPU_DROP_INC_H
#define EGO_TENSOR_CPU_DROP_INC_H

#include "base/rng.h"
#include "tensor/cpu/vector.inc.h"

static bool dropping(const ego_dropout *drop) { return drop && drop->streams && drop->p > 0; }

/* factor[i] = 1/(1 − p) where value number first + i of row `row` stays, else 0; written up to the next
 * multiple of LANES. A draw u · 2^-24 ≥ p is u ≥ ⌈p · 2^24⌉: whole numbers, which vectorise. */
static void drop_factors(int64_t n, const ego_dropout *drop, int64_t row, int64_t first,
                         float *factor) {
    uint64_t stream = ego_rng_stream(drop->streams[row], drop->site), number = (uint64_t)first;
    uint32_t least = (uint32_t)ceil((double)drop->p * 0x1p24);
    float stays = 1 / (1 - drop->p);
    for (int64_t j = 0; j < n; j += LANES, number += LANES)
        for (uint64_t i = 0; i < LANES; i++)
            factor[j + (int64_t)i] =
                (uint32_t)(ego_rng_u64(stream, number + i) >> 40) >= least ? stays : 0;
}

static void multiply_row(int64_t n, const float *factor, float *y) {
    for (int64_t j = 0; j < n; j += LANES) {
        int64_t m = part(n - j);
        store_part(y + j, load_part(y + j, m, 0) * load_part(factor + j, m, 0), m);
    }
}

#endif
