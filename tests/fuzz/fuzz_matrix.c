/* Matrices in .npy and in pickles; every element that the shape promises is read, both ways round. */
#include "format/matrix.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double sink;

static void touch(const ego_matrix *m) {
    if (!m->columns || m->columns > 1 << 20) return;
    double *row = malloc(m->columns * sizeof *row);
    for (size_t r = 0; row && r < m->rows && r < 64; r++) {
        ego_matrix_read(m, r, 1, row);
        sink += row[m->columns - 1];
    }
    free(row);
}

static void touch_names(const char *const *names, size_t n) {
    for (size_t i = 0; names && i < n; i++) sink += (double)strlen(names[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const ego_matrix_members members = {"sim_mat", "vis_ids", "txt_ids"};
    ego_matrix matrix;
    if (ego__matrix_parse(data, size, &members, &matrix) != EGO_OK) return 0;
    ego_matrix turned = ego_matrix_turned(&matrix);
    touch(&matrix);
    touch(&turned);
    touch_names(matrix.row_names, matrix.rows);
    touch_names(matrix.column_names, matrix.columns);
    ego_matrix_close(&matrix);
    return 0;
}
