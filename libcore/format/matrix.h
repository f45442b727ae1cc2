/* Matrices of numbers in files: similarities, scores, relevancies.
 *
 * .npy (row-major), or a pickle that holds a NumPy array, alone or as a member of a dict: EPIC-Kitchens'
 * relevancy files and submissions. Told apart by content. Elements stay in the mapped file, whose own
 * order and type are kept; rows are read as doubles.
 */
#ifndef EGO_FORMAT_MATRIX_H
#define EGO_FORMAT_MATRIX_H

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "tensor/tensor.h"

typedef struct ego_matrix {
    size_t rows, columns;
    /* Names of rows and columns where the file has them (a submission's vis_ids and txt_ids), else NULL. */
    const char *const *row_names, *const *column_names;

    /* private */
    const uint8_t *data;
    ego_dtype dtype;              /* EGO_F32 or EGO_F64 */
    size_t row_step, column_step; /* elements from one to the next */
    ego_map map;
    ego_arena arena;
} ego_matrix;

/* Which dict members hold what, when the pickle is a dict. */
typedef struct ego_matrix_members {
    const char *matrix, *row_names, *column_names; /* NULL: none is looked for */
} ego_matrix_members;

/* members may be NULL: the pickle must be an array then. EGO_EUNSUPPORTED for other than two dimensions
 * and other elements than float32 and float64. */
ego_err ego_matrix_open(const char *path, const ego_matrix_members *members, ego_matrix *matrix);
void ego_matrix_close(ego_matrix *matrix); /* safe on {0}; views of it end with it */

/* True when the name ends in .npy, .pkl or .pickle. */
bool ego_matrix_is(const char *path);

/* Views: of numbers in memory; with rows and columns exchanged. Never close one. */
ego_matrix ego_matrix_of(const double *data, size_t rows, size_t columns);
ego_matrix ego_matrix_turned(const ego_matrix *matrix);

/* Rows first … first + count − 1 as doubles, (count, columns). Reads along the file's order: several rows
 * of a turned view at a time cost little more than one. */
void ego_matrix_read(const ego_matrix *matrix, size_t first, size_t count, double *out);

/* The first element that is NaN; false when none is. */
bool ego_matrix_fault(const ego_matrix *matrix, size_t *row, size_t *column);

/* The same as opening, on bytes in memory that outlive the matrix. */
ego_err ego__matrix_parse(const uint8_t *data, size_t n, const ego_matrix_members *members,
                          ego_matrix *matrix);

#endif
