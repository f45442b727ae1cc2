/* NumPy arrays inside plain pickles: data, like everything format/pickle.h reads.
 *
 * Python pickles an array as a call of _reconstruct (protocols 0 to 4) with the state
 * (version, shape, dtype, column-major?, elements), or of _frombuffer (protocol 5) with elements,
 * dtype, shape and order. Elements are bytes; Python 3 writes them into protocols 0 to 2 as text to be
 * encoded to latin1. An array of objects has a list there. Little-endian float32 and float64, and
 * text and whole numbers as objects or in lists, are read here.
 */
#ifndef EGO_FORMAT_PICKLED_H
#define EGO_FORMAT_PICKLED_H

#include "base/arena.h"
#include "format/pickle.h"
#include "tensor/tensor.h"

typedef struct ego_pickled {
    ego_dtype dtype; /* EGO_F32 or EGO_F64 */
    int ndim;
    int64_t shape[EGO_MAX_DIMS];
    bool column_major;   /* the first index varies fastest */
    const uint8_t *data; /* in the pickle's bytes or in the arena, aligned to nothing */
} ego_pickled;

/* EGO_EFORMAT names what was found when the value is no array, or one whose shape and bytes disagree;
 * EGO_EUNSUPPORTED an element type or order that is not read. */
ego_err ego_pickled_array(const ego_pickle_value *value, ego_arena *arena, ego_pickled *array);

/* A list, tuple or array of objects holding text and whole numbers, as C strings in the arena. */
ego_err ego_pickled_names(const ego_pickle_value *value, ego_arena *arena,
                          const char *const **names, size_t *count);

/* The value of a text key in a dict; NULL when it has none or is none. */
const ego_pickle_value *ego_pickled_member(const ego_pickle_value *dict, const char *key);

#endif
