#include "format/matrix.h"

#include "format/npy.h"
#include "format/pickle.h"
#include "format/pickled.h"

#include <math.h>
#include <string.h>

void ego_matrix_close(ego_matrix *matrix) {
    ego_map_close(&matrix->map);
    ego_arena_release(&matrix->arena);
    *matrix = (ego_matrix){0};
}

static ego_err set_shape(ego_matrix *m, int ndim, const int64_t *shape, ego_dtype dtype,
                         bool column_major) {
    char text[EGO_SHAPE_TEXT];
    if (ndim != 2)
        return ego_fail(EGO_EUNSUPPORTED, "a matrix expected, found shape %s",
                        ego_shape_text(shape, ndim, text));
    if (dtype != EGO_F32 && dtype != EGO_F64)
        return ego_fail(EGO_EUNSUPPORTED, "elements of F32 or F64 expected, found %s",
                        ego_dtype_name(dtype));
    m->rows = (size_t)shape[0];
    m->columns = (size_t)shape[1];
    m->dtype = dtype;
    m->row_step = column_major ? 1 : m->columns;
    m->column_step = column_major ? m->rows : 1;
    return EGO_OK;
}

static ego_err parse_npy(const uint8_t *data, size_t n, ego_matrix *m) {
    ego_tensor tensor;
    size_t offset;
    EGO_TRY(ego__npy_parse(data, n, &tensor, &offset));
    m->data = data + offset;
    return set_shape(m, tensor.ndim, tensor.shape, tensor.dtype, false);
}

static ego_err read_names(ego_matrix *m, const ego_pickle_value *root, const char *key, size_t n,
                          const char *const **names) {
    const ego_pickle_value *list = key ? ego_pickled_member(root, key) : NULL;
    size_t count;
    if (!list || list->kind == EGO_PICKLE_NONE) return EGO_OK;
    ego_err err = ego_pickled_names(list, &m->arena, names, &count);
    if (err == EGO_OK && count != n)
        err = ego_fail(EGO_EFORMAT, "%zu names expected, found %zu", n, count);
    return err == EGO_OK ? err : ego_fail_context(err, "'%s'", key);
}

static ego_err read_pickle(ego_matrix *m, const ego_pickle_value *root,
                           const ego_matrix_members *members) {
    ego_pickled array;
    const ego_pickle_value *value = root;
    if (members && root->kind == EGO_PICKLE_DICT) {
        value = ego_pickled_member(root, members->matrix);
        if (!value)
            return ego_fail(EGO_EFORMAT, "a dict with '%s' expected, found one without",
                            members->matrix);
    }
    EGO_TRY(ego_pickled_array(value, &m->arena, &array));
    EGO_TRY(set_shape(m, array.ndim, array.shape, array.dtype, array.column_major));
    m->data = array.data;
    if (!members) return EGO_OK;
    EGO_TRY(read_names(m, root, members->row_names, m->rows, &m->row_names));
    return read_names(m, root, members->column_names, m->columns, &m->column_names);
}

static ego_err parse_pickle(const uint8_t *data, size_t n, const ego_matrix_members *members,
                            ego_matrix *m) {
    ego_pickle pickle;
    const ego_pickle_value *root;
    size_t used;
    ego_pickle_init(&pickle);
    ego_err err = ego_pickle_read(&pickle, data, n, &used, &root);
    if (err == EGO_OK) err = read_pickle(m, root, members);
    ego_pickle_release(&pickle); /* the elements lie in the data or in our arena */
    return err;
}

static bool is_npy(const uint8_t *data, size_t n) {
    return n >= 6 && memcmp(data, "\x93NUMPY", 6) == 0;
}

ego_err ego__matrix_parse(const uint8_t *data, size_t n, const ego_matrix_members *members,
                          ego_matrix *matrix) {
    *matrix = (ego_matrix){0};
    ego_arena_init(&matrix->arena, 1 << 12);
    ego_err err =
        is_npy(data, n) ? parse_npy(data, n, matrix) : parse_pickle(data, n, members, matrix);
    if (err != EGO_OK) ego_matrix_close(matrix);
    return err;
}

ego_err ego_matrix_open(const char *path, const ego_matrix_members *members, ego_matrix *matrix) {
    ego_map map;
    EGO_TRY(ego_map_open(path, &map));
    ego_err err = ego__matrix_parse(map.data, map.size, members, matrix);
    if (err == EGO_OK) return matrix->map = map, EGO_OK;
    ego_map_close(&map);
    return ego_fail_context(err, "%s", path);
}

bool ego_matrix_is(const char *path) {
    return ego_has_suffix(path, ".npy") || ego_has_suffix(path, ".pkl") ||
           ego_has_suffix(path, ".pickle");
}

ego_matrix ego_matrix_of(const double *data, size_t rows, size_t columns) {
    return (ego_matrix){.rows = rows,
                        .columns = columns,
                        .data = (const uint8_t *)data,
                        .dtype = EGO_F64,
                        .row_step = columns,
                        .column_step = 1};
}

ego_matrix ego_matrix_turned(const ego_matrix *m) {
    return (ego_matrix){.rows = m->columns,
                        .columns = m->rows,
                        .row_names = m->column_names,
                        .column_names = m->row_names,
                        .data = m->data,
                        .dtype = m->dtype,
                        .row_step = m->column_step,
                        .column_step = m->row_step};
}

/* The elements may lie at any address. */
static double element(const ego_matrix *m, size_t row, size_t column) {
    size_t at = row * m->row_step + column * m->column_step;
    if (m->dtype == EGO_F32) {
        float value;
        memcpy(&value, m->data + at * sizeof value, sizeof value);
        return (double)value;
    }
    double value;
    memcpy(&value, m->data + at * sizeof value, sizeof value);
    return value;
}

void ego_matrix_read(const ego_matrix *m, size_t first, size_t count, double *out) {
    if (m->row_step < m->column_step) {
        for (size_t c = 0; c < m->columns; c++)
            for (size_t r = 0; r < count; r++) out[r * m->columns + c] = element(m, first + r, c);
        return;
    }
    for (size_t r = 0; r < count; r++)
        for (size_t c = 0; c < m->columns; c++) out[r * m->columns + c] = element(m, first + r, c);
}

bool ego_matrix_fault(const ego_matrix *m, size_t *row, size_t *column) {
    for (size_t r = 0; r < m->rows; r++)
        for (size_t c = 0; c < m->columns; c++)
            if (isnan(element(m, r, c))) return *row = r, *column = c, true;
    return false;
}
