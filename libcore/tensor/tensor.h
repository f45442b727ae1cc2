/* Tensors: contiguous, row-major, at most five dimensions.
 *
 * A tensor never owns its elements: they live in an arena (activations) or a mapped file (weights).
 * Activations are float32. Weights may be stored in 16 bits; the backend converts when it packs them.
 * Dimension letters everywhere: B batch, F frames, N patches of a frame, T tokens (1 + F·N), H heads,
 * D width, R rows (all leading dimensions together).
 */
#ifndef EGO_TENSOR_TENSOR_H
#define EGO_TENSOR_TENSOR_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, bytes an element, the name safetensors gives it */
#define EGO_DTYPES(X)                                                                              \
    X(F32, 4, "F32")                                                                               \
    X(F16, 2, "F16")                                                                               \
    X(BF16, 2, "BF16")                                                                             \
    X(F64, 8, "F64")                                                                               \
    X(I64, 8, "I64")                                                                               \
    X(I32, 4, "I32")                                                                               \
    X(I16, 2, "I16")                                                                               \
    X(I8, 1, "I8")                                                                                 \
    X(U8, 1, "U8")                                                                                 \
    X(BOOL, 1, "BOOL")

typedef enum ego_dtype {
#define EGO_DTYPES_ENUM(name, bytes, text) EGO_##name,
    EGO_DTYPES(EGO_DTYPES_ENUM)
#undef EGO_DTYPES_ENUM
        EGO_DTYPE_COUNT
} ego_dtype;

size_t ego_dtype_bytes(ego_dtype dtype);
const char *ego_dtype_name(ego_dtype dtype);
bool ego_dtype_is_float(ego_dtype dtype);
bool ego_dtype_parse(const char *name, ego_dtype *dtype);

enum { EGO_MAX_DIMS = 5 };

typedef struct ego_tensor {
    void *data;
    ego_dtype dtype;
    int ndim;
    int64_t shape[EGO_MAX_DIMS];
    struct ego_node *node; /* the tape's account of it (tensor/tape.h); NULL: no gradient is wanted */
} ego_tensor;

static inline float *ego_f32(const ego_tensor *t) { return t->data; }

/* Number of elements; 1 for ndim 0. */
int64_t ego_tensor_count(const ego_tensor *t);
/* The last dimension, and all others together. */
int64_t ego_tensor_columns(const ego_tensor *t);
int64_t ego_tensor_rows(const ego_tensor *t);
bool ego_tensor_same_shape(const ego_tensor *a, const ego_tensor *b);

/* True when every dimension is ≥ 0 and the element count times the element size fits in size_t and
 * INT64_MAX; *bytes is that product. For shapes that came from a file. */
bool ego_shape_bytes(const int64_t *shape, int ndim, ego_dtype dtype, size_t *bytes);

/* "[2, 4, 3]" into out (for messages); returns out. */
enum { EGO_SHAPE_TEXT = 128 };
const char *ego_shape_text(const int64_t *shape, int ndim, char out[EGO_SHAPE_TEXT]);

/* Elements of any numeric dtype to float32. */
void ego_to_f32(const void *in, ego_dtype dtype, float *out, size_t n);
/* float32 to 16 bits, rounding to nearest even; NaN stays NaN. */
uint16_t ego_f32_to_f16(float value);
uint16_t ego_f32_to_bf16(float value);
float ego_f16_to_f32(uint16_t value);

/* A weight: a named tensor as the model file stores it, and what backends make of it. */
typedef struct ego_param {
    const char *name;  /* as in the checkpoint; owned by whoever made the parameter */
    ego_tensor value;  /* as stored: any float dtype, mapped or in an arena; data NULL: not present */
    bool panelled;     /* value.data is already in the layout of tensor/panel.h */
    bool mapped;       /* value.data lies in a mapped file: its pages may be forgotten once packed */
    void *packed;      /* the backend's own form, made at first use, freed by the backend */
    bool stale;        /* `packed` is of a value that is gone */
    float *grad;       /* value's shape: where gradients are added; NULL: it is not trained */
    float constant[1]; /* room for one-element parameters set by configuration (a fixed gate) */
} ego_param;

#endif
