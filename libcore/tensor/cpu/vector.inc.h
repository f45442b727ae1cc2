/* Vectors of floats: as wide as the instruction set allows, and the functions of one variable on them.
 *
 * GCC's vector extensions do most of it; intrinsics only where a comparison or a partial access would
 * not become the one instruction that it is. Nothing here loses a NaN.
 */
#ifndef EGO_TENSOR_CPU_VECTOR_INC_H
#define EGO_TENSOR_CPU_VECTOR_INC_H

#include "tensor/ops.h"

#include <math.h>
#include <string.h>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
enum { LANES = 16 };
#define FIRST_HALVES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#elif defined(__AVX2__)
enum { LANES = 8 };
#define FIRST_HALVES 0, 8, 1, 9, 2, 10, 3, 11
#else
enum { LANES = 4 };
#define FIRST_HALVES 0, 4, 1, 5
#endif

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef int32_t ivec __attribute__((vector_size(LANES * 4)));
typedef float vec_anywhere __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const float *p) { return *(const vec_anywhere *)p; }
INLINE void store(float *p, vec v) { *(vec_anywhere *)p = v; }
INLINE vec splat(float s) { return s - (vec){0}; }

/* The first n lanes (0 ≤ n ≤ LANES) from memory, the others `fill`; and back. */
INLINE vec load_part(const float *p, int64_t n, float fill) {
    if (__builtin_constant_p(n) && n == LANES) return load(p);
#if defined(__AVX512F__)
    return (vec)_mm512_mask_loadu_ps((__m512)splat(fill), (__mmask16)((1u << n) - 1), p);
#else
    if (n >= LANES) return load(p);
    vec v = splat(fill);
    for (int i = 0; i < LANES - 1; i++)
        if (i < n) v[i] = p[i];
    return v;
#endif
}
INLINE void store_part(float *p, vec v, int64_t n) {
    if (__builtin_constant_p(n) && n == LANES) {
        store(p, v);
        return;
    }
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
    if (n >= LANES) {
        store(p, v);
        return;
    }
    for (int i = 0; i < LANES - 1; i++)
        if (i < n) p[i] = v[i];
#endif
}
INLINE int64_t part(int64_t left) { return left < LANES ? left : LANES; }

/* limit or v; v when it is NaN. */
INLINE vec at_least(float limit, vec v) {
#if defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)splat(limit), (__m512)v);
#elif defined(__AVX2__)
    return (vec)_mm256_max_ps((__m256)splat(limit), (__m256)v);
#else
    ivec less = v < splat(limit);
    return (vec)((less & (ivec)splat(limit)) | (~less & (ivec)v));
#endif
}
INLINE vec at_most(float limit, vec v) {
#if defined(__AVX512F__)
    return (vec)_mm512_min_ps((__m512)splat(limit), (__m512)v);
#elif defined(__AVX2__)
    return (vec)_mm256_min_ps((__m256)splat(limit), (__m256)v);
#else
    ivec more = v > splat(limit);
    return (vec)((more & (ivec)splat(limit)) | (~more & (ivec)v));
#endif
}
/* The larger in each lane; b when either is NaN. */
INLINE vec larger(vec a, vec b) {
#if defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    ivec more = a > b;
    return (vec)((more & (ivec)a) | (~more & (ivec)b));
#endif
}

/* Across the lanes, always in the same order: each lane with the one half the remaining distance away. */
INLINE ivec lane_swap(int distance) {
    ivec lanes;
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) lanes[i] = i ^ distance;
    return lanes;
}
INLINE float sum_lanes(vec v) {
#pragma GCC unroll 4
    for (int half = LANES / 2; half > 0; half /= 2) v += __builtin_shuffle(v, lane_swap(half));
    return v[0];
}
INLINE float max_lanes(vec v) {
#pragma GCC unroll 4
    for (int half = LANES / 2; half > 0; half /= 2)
        v = larger(v, __builtin_shuffle(v, lane_swap(half)));
    return v[0];
}

/* n rows, a power of two up to LANES or more, become one list of their columns: row i and row i + n/2 are
 * interleaved log2(n) times over. */
INLINE void interleave(vec row[], const int n) {
    const ivec first = {FIRST_HALVES}, second = first + LANES / 2;
    vec old[LANES > 8 ? LANES : 8];
#pragma GCC unroll 4
    for (int stage = 1; stage < n; stage *= 2) {
#pragma GCC unroll 16
        for (int i = 0; i < n; i++) old[i] = row[i];
#pragma GCC unroll 16
        for (int i = 0; i < n / 2; i++) {
            row[2 * i] = __builtin_shuffle(old[i], old[i + n / 2], first);
            row[2 * i + 1] = __builtin_shuffle(old[i], old[i + n / 2], second);
        }
    }
}

/* Rows become columns. */
INLINE void transpose(vec row[LANES]) { interleave(row, LANES); }

INLINE vec abs_vec(vec x) { return (vec)((ivec)x & 0x7FFFFFFF); }

/* The nearest integer n of x (|x| < 2^22) as a float, and 2^n (n in [-126, 127]). Adding 1.5 · 2^23 leaves
 * n in the low bits of the sum. */
INLINE vec nearest(vec x, vec *power) {
    const vec shift = splat(0x1.8p23f);
    vec sum = x + shift;
    *power = (vec)(((ivec)sum << 23) + 0x3F800000);
    return sum - shift;
}

/* e^x - 1 = power · q + (power - 1) for x in [-87, 88]: q = e^r - 1 with |r| ≤ ln 2 / 2, a polynomial with
 * error below 5.2e-9 relative to e^r. */
INLINE vec exp_parts(vec x, vec *power) {
    vec n = nearest(x * splat(0x1.715476p0f), power);
    vec r = x - n * splat(0x1.62e4p-1f);
    r = r - n * splat(0x1.7f7d1cp-20f);
    vec p = splat(0.0013950476f);
    p = p * r + splat(0.008368882f);
    p = p * r + splat(0.041666206f);
    p = p * r + splat(0.16666518f);
    p = p * r + splat(0.5f);
    return (p * r) * r + r;
}

/* 2^f - 1 for |f| ≤ 1/2, with error below 1.6e-8 relative to 2^f. */
INLINE vec exp2_part(vec f) {
    vec q = splat(0.00015353358f);
    q = q * f + splat(0.0013398875f);
    q = q * f + splat(0.009618437f);
    q = q * f + splat(0.055503324f);
    q = q * f + splat(0.24022648f);
    q = q * f + splat(0.6931472f);
    return q * f;
}

/* 2^x for x ≤ 0; 0 below -126. */
INLINE vec exp2_of_negative(vec x) {
    vec power, clamped = at_least(-126.0f, x);
    vec f = clamped - nearest(clamped, &power);
    vec y = exp2_part(f) * power + power;
    return (vec)((ivec)y & ~(ivec)(x < splat(-126.0f)));
}

/* Φ(-a) = 2^-p(a) with a polynomial p fitted on [0, 6.5], where an error matters in proportion to
 * Φ(-a): below 2e-8 in a Φ(-a). Beyond 6.5 it is 2.6e-10. */
INLINE vec normal_tail(vec a) {
    vec p = splat(1.6905837e-08f);
    p = p * a + splat(-5.540687e-07f);
    p = p * a + splat(7.711158e-06f);
    p = p * a + splat(-5.755287e-05f);
    p = p * a + splat(0.00021476716f);
    p = p * a + splat(0.00013439552f);
    p = p * a + splat(-0.007111313f);
    p = p * a + splat(0.052552942f);
    p = p * a + splat(0.4591837f);
    p = p * a + splat(1.1511087f);
    p = p * a + splat(0.99999994f);
    vec power, f = -p;
    f = f - nearest(f, &power);
    return exp2_part(f) * power + power;
}

/* x Φ(x) = max(x, 0) - |x| Φ(-|x|). */
INLINE vec gelu(vec x) {
    vec a = at_most(6.5f, abs_vec(x));
    return at_least(0.0f, x) - a * normal_tail(a);
}

/* Φ(x) + x φ(x): t = Φ(-a) - a φ(a) for a = |x| where x < 0, and 1 - t elsewhere. */
INLINE vec gelu_slope(vec x) {
    vec a = at_most(6.5f, abs_vec(x));
    vec density = exp2_of_negative(a * a * splat(-0x1.715476p-1f)) * splat(0.3989423f);
    vec t = normal_tail(a) - a * density, other = splat(1.0f) - t;
    ivec below = x < splat(0.0f);
    return (vec)((below & (ivec)t) | (~below & (ivec)other));
}

/* (e^2a - 1) / (e^2a + 1) for a = |x|, which is 1 in float from 9.1 on; the sign put back. */
INLINE vec tanh_vec(vec x) {
    vec power, a = at_most(10.0f, abs_vec(x));
    vec q = exp_parts(a + a, &power);
    vec e = power * q + (power - splat(1.0f));
    vec y = e / (e + splat(2.0f));
    return (vec)((ivec)y | ((ivec)x & (int32_t)0x80000000));
}

/* 1 / (1 + e^-|x|), times e^-|x| where x < 0: small results are as exact as those near 1. */
INLINE vec sigmoid(vec x) {
    const vec one = splat(1.0f);
    vec e = exp2_of_negative(abs_vec(x) * splat(-0x1.715476p0f));
    ivec below = x < splat(0.0f);
    return (vec)((below & (ivec)e) | (~below & (ivec)one)) / (one + e);
}

/* `act` is a constant wherever this is called from a loop. */
INLINE vec activation(vec x, ego_act act) {
    switch (act) {
    case EGO_ACT_GELU: return gelu(x);
    case EGO_ACT_RELU: return at_least(0.0f, x);
    case EGO_ACT_TANH: return tanh_vec(x);
    case EGO_ACT_SIGMOID: return sigmoid(x);
    case EGO_ACT_NONE: break;
    }
    return x;
}

/* act'(x), but for GELU from y = act(x). */
INLINE vec activation_slope(vec v, ego_act act) {
    switch (act) {
    case EGO_ACT_GELU: return gelu_slope(v);
    case EGO_ACT_RELU: return (vec)((ivec)splat(1.0f) & (v > splat(0.0f)));
    case EGO_ACT_TANH: return splat(1.0f) - v * v;
    case EGO_ACT_SIGMOID: return v * (splat(1.0f) - v);
    case EGO_ACT_NONE: break;
    }
    return splat(1.0f);
}

#endif
