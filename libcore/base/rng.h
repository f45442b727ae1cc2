/* Random numbers without state: the same (seed, stream, index) draws the same number whatever the
 * threads, order or restarts. The mixing function is splitmix64's (Steele, Lea, Flood 2014), the one
 * that golden/README.md defines for the reference weights. */
#ifndef EGO_BASE_RNG_H
#define EGO_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t ego_rng_mix(uint64_t z) {
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* Draw number `index` of a stream. */
static inline uint64_t ego_rng_u64(uint64_t stream, uint64_t index) {
    return ego_rng_mix(stream + (index + 1) * 0x9E3779B97F4A7C15u);
}

/* A stream that depends on a seed and any number of names for what is drawn: chain the calls. */
static inline uint64_t ego_rng_stream(uint64_t seed, uint64_t name) {
    return ego_rng_mix(seed ^ ego_rng_mix(name + 0x9E3779B97F4A7C15u));
}

/* [0, 1), 24 bits: exact in float and double. */
static inline double ego_rng_unit(uint64_t stream, uint64_t index) {
    return (double)(ego_rng_u64(stream, index) >> 40) * 0x1p-24;
}

/* 0 … n−1 without bias worth measuring (n < 2^32). */
static inline uint32_t ego_rng_below(uint64_t stream, uint64_t index, uint32_t n) {
    return (uint32_t)((ego_rng_u64(stream, index) >> 32) * n >> 32);
}

/* Standard normal (Box-Muller), accurate to double rounding. */
double ego_rng_normal(uint64_t stream, uint64_t index);

/* A permutation of 0 … n − 1, from the stream's draws 1 … n − 1 (Fisher and Yates). */
void ego_rng_permute(uint64_t stream, uint32_t n, uint32_t *order);

#endif
