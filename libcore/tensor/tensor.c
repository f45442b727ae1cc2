#include "tensor/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    size_t bytes;
    const char *name;
} dtypes[] = {
#define DTYPE_ROW(name, bytes, text) {bytes, text},
    EGO_DTYPES(DTYPE_ROW)
#undef DTYPE_ROW
};

size_t ego_dtype_bytes(ego_dtype dtype) { return dtypes[dtype].bytes; }
const char *ego_dtype_name(ego_dtype dtype) { return dtypes[dtype].name; }

bool ego_dtype_is_float(ego_dtype dtype) {
    return dtype == EGO_F32 || dtype == EGO_F16 || dtype == EGO_BF16 || dtype == EGO_F64;
}

bool ego_dtype_parse(const char *name, ego_dtype *dtype) {
    for (int i = 0; i < EGO_DTYPE_COUNT; i++)
        if (strcmp(name, dtypes[i].name) == 0) return *dtype = (ego_dtype)i, true;
    return false;
}

int64_t ego_tensor_count(const ego_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= t->shape[i];
    return n;
}

int64_t ego_tensor_columns(const ego_tensor *t) { return t->ndim ? t->shape[t->ndim - 1] : 1; }

int64_t ego_tensor_rows(const ego_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i + 1 < t->ndim; i++) n *= t->shape[i];
    return n;
}

bool ego_tensor_same_shape(const ego_tensor *a, const ego_tensor *b) {
    return a->ndim == b->ndim &&
           memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof a->shape[0]) == 0;
}

bool ego_shape_bytes(const int64_t *shape, int ndim, ego_dtype dtype, size_t *bytes) {
    if (ndim < 0 || ndim > EGO_MAX_DIMS) return false;
    int64_t n = (int64_t)ego_dtype_bytes(dtype);
    for (int i = 0; i < ndim; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(n, shape[i], &n)) return false;
    *bytes = (size_t)n;
    return true;
}

const char *ego_shape_text(const int64_t *shape, int ndim, char out[EGO_SHAPE_TEXT]) {
    size_t at = 1;
    out[0] = '[';
    for (int i = 0; i < ndim && at < EGO_SHAPE_TEXT - 24; i++)
        at += (size_t)snprintf(out + at, EGO_SHAPE_TEXT - at, "%s%" PRId64, i ? ", " : "", shape[i]);
    memcpy(out + at, "]", 2);
    return out;
}

/* ---- element types ------------------------------------------------------------------------------- */

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float ego_f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
    if (exponent == 31) return from_bits(sign | 0x7F800000u | mantissa << 13);
    if (exponent == 0) { /* zero or subnormal: mantissa · 2^-24, exact in float */
        float value = (float)mantissa * 0x1p-24f;
        return sign ? -value : value;
    }
    return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t ego_f32_to_f16(float value) {
    uint32_t bits = to_bits(value), magnitude = bits & 0x7FFFFFFFu;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (magnitude > 0x7F800000u) return sign | 0x7E00; /* NaN */
    if (magnitude >= 0x477FF000u) return sign | 0x7C00; /* rounds to beyond 65504: infinity */
    if (magnitude < 0x38800000u) { /* below 2^-14: the addition does the rounding */
        float scaled = from_bits(magnitude) + 0.5f;
        return sign | (uint16_t)(to_bits(scaled) - 0x3F000000u);
    }
    uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
    return sign | (uint16_t)((rounded - 0x38000000u) >> 13);
}

uint16_t ego_f32_to_bf16(float value) {
    uint32_t bits = to_bits(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

#define CONVERT(TYPE, EXPR)                                                                        \
    do {                                                                                           \
        for (size_t i = 0; i < n; i++) {                                                           \
            TYPE v;                                                                                \
            memcpy(&v, (const char *)in + i * sizeof v, sizeof v);                                 \
            out[i] = (float)(EXPR);                                                                \
        }                                                                                          \
    } while (0)

void ego_to_f32(const void *in, ego_dtype dtype, float *out, size_t n) {
    switch (dtype) {
    case EGO_F32: memcpy(out, in, n * sizeof *out); break;
    case EGO_F16: CONVERT(uint16_t, ego_f16_to_f32(v)); break;
    case EGO_BF16: CONVERT(uint16_t, from_bits((uint32_t)v << 16)); break;
    case EGO_F64: CONVERT(double, v); break;
    case EGO_I64: CONVERT(int64_t, v); break;
    case EGO_I32: CONVERT(int32_t, v); break;
    case EGO_I16: CONVERT(int16_t, v); break;
    case EGO_I8: CONVERT(int8_t, v); break;
    case EGO_U8: CONVERT(uint8_t, v); break;
    case EGO_BOOL: CONVERT(uint8_t, v != 0); break;
    case EGO_DTYPE_COUNT: break;
    }
}
