/* MATLAB's .mat files, version 5 (as QFVS's Tags.mat): numbers, text, cells and structs.
 *
 *     header   116 bytes of text, 8 of an offset that is not used here, version 0x0100, "IM" (little-endian; big:
 *              "MI")
 *     element  type u32, bytes u32, that many bytes, up to a multiple of 8; or, up to 4 bytes long:
 *              bytes u16 above type u16 in one word, then the bytes
 *     miCOMPRESSED (15)  zlib's stream of one element
 *     miMATRIX (14)      elements: flags and class, dimensions, name, then by class
 *                        numbers of any type; for text its units; for a cell array a miMATRIX each; for a
 *                        struct array the length of a field's name, the names, a miMATRIX for each field of each element
 *
 * Elements of arrays stand column by column, as MATLAB has them. Numbers become doubles. Sparse
 * arrays, objects, functions and imaginary parts are refused with a message that names them; so are
 * version 4 and 7.3 files. Bounds: 256 MiB of file, 64 MiB unpacked, 16 levels, 2 million values of
 * which an array within another counts for 8 (QFVS's file has 12,215 such and 586,320 numbers);
 * nothing is allocated that bytes do not stand for.
 */
#ifndef EGO_FORMAT_MATFILE_H
#define EGO_FORMAT_MATFILE_H

#include "base/arena.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { EGO_MAT_MAX_DIMS = 8, EGO_MAT_MAX_DEPTH = 16 };

typedef enum ego_mat_kind {
    EGO_MAT_NUMBERS,
    EGO_MAT_TEXT,
    EGO_MAT_CELLS,
    EGO_MAT_STRUCTS
} ego_mat_kind;

typedef struct ego_mat {
    ego_mat_kind kind;
    const char *name; /* "" for what is inside something else */
    int ndim;         /* 2 … EGO_MAT_MAX_DIMS */
    uint32_t shape[EGO_MAT_MAX_DIMS];
    size_t count;                /* of elements */
    const double *numbers;       /* (count) of NUMBERS and TEXT (UTF-16 units or bytes) */
    const struct ego_mat *items; /* CELLS: (count); STRUCTS: (count, fields) */
    const char *const *fields;   /* STRUCTS: names */
    size_t n_fields;
} ego_mat;

/* A file's variables, in its order. All belongs to the arena. */
typedef struct ego_mat_file {
    const ego_mat *variables;
    size_t count;
} ego_mat_file;

ego_err ego_mat_read(const char *path, ego_arena *arena, ego_mat_file *out);
ego_err ego_mat_parse(const uint8_t *data, size_t n, const char *name, ego_arena *arena,
                      ego_mat_file *out);

/* By name; NULL when there is none. */
const ego_mat *ego_mat_find(const ego_mat_file *file, const char *name);
/* A field of element i of a struct array; NULL when it is none or has none of that name. */
const ego_mat *ego_mat_field(const ego_mat *structs, size_t i, const char *name);

#endif
