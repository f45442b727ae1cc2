/* .fvecs files: for each vector an int32 dimension and that many float32, little-endian. All vectors
 * of a file have one dimension. Read in place: a row is 4-byte aligned, rows are dim + 1 floats apart.
 */
#ifndef EGO_FORMAT_FVECS_H
#define EGO_FORMAT_FVECS_H

#include "base/err.h"
#include "base/file.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { EGO_FVECS_MAX_DIM = 1 << 20 };

typedef struct ego_fvecs {
    ego_map map;
    size_t count; /* vectors; 0 for an empty file, whose dim is 0 */
    int32_t dim;
} ego_fvecs;

ego_err ego_fvecs_open(const char *path, ego_fvecs *vectors);
void ego_fvecs_close(ego_fvecs *vectors); /* safe on {0} and twice */
/* Vector i (below count), `dim` floats in the map. */
const float *ego_fvecs_row(const ego_fvecs *vectors, size_t i);

/* Appends one vector to a file being written; the caller checks the stream when it closes it. */
void ego_fvecs_write(FILE *out, const float *vector, int32_t dim);

/* The same on bytes in memory, 4-byte aligned, for tests. */
ego_err ego__fvecs_parse(const uint8_t *data, size_t size, ego_fvecs *vectors);

#endif
