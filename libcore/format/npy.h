/* NumPy's .npy files.
 *
 *     "\x93NUMPY", version (1, 2 or 3), header length (u16; u32 from version 2), little-endian
 *     header   a Python dict: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
 *     data     row-major elements
 *
 * Read: float, int and bool dtypes of tensor/tensor.h, little-endian, at most five dimensions; the
 * elements stay in the mapped file. Column-major arrays and other dtypes are refused with a message.
 * Written: version 1, data at a multiple of 64 bytes, whole or not at all.
 */
#ifndef EGO_FORMAT_NPY_H
#define EGO_FORMAT_NPY_H

#include "base/err.h"
#include "base/file.h"
#include "tensor/tensor.h"

typedef struct ego_npy {
    ego_tensor tensor; /* read-only; lives until ego_npy_close */
    ego_map map;
    void *copy; /* of elements that are not aligned in the file */
} ego_npy;

ego_err ego_npy_open(const char *path, ego_npy *npy);
void ego_npy_close(ego_npy *npy); /* safe on {0} and twice */

ego_err ego_npy_write(const char *path, const ego_tensor *tensor);

/* Rows as they come, their number known at the end: shape (rows, row shape…). */
typedef struct ego_npy_writer {
    ego_outfile out;
    ego_tensor row; /* dtype and shape of one row, at most four dimensions; data unused */
    int64_t rows;   /* written so far */
} ego_npy_writer;

ego_err ego_npy_writer_open(const char *path, const ego_tensor *row, ego_npy_writer *writer);
ego_err ego_npy_writer_add(ego_npy_writer *writer, const void *rows, int64_t count);
ego_err ego_npy_writer_commit(ego_npy_writer *writer);
void ego_npy_writer_abort(ego_npy_writer *writer); /* safe on {0} and after commit */

/* The same on bytes in memory, for tests: *offset is where the elements start, all of them inside. */
ego_err ego__npy_parse(const uint8_t *data, size_t size, ego_tensor *tensor, size_t *offset);

#endif
