#include "format/fvecs.h"

#include <string.h>

static int32_t dim_at(const uint8_t *data, size_t offset) {
    int32_t dim;
    memcpy(&dim, data + offset, sizeof dim);
    return dim;
}

ego_err ego__fvecs_parse(const uint8_t *data, size_t size, ego_fvecs *vectors) {
    vectors->dim = 0;
    vectors->count = 0;
    if (size == 0) return EGO_OK;
    if (size < sizeof(int32_t))
        return ego_fail(EGO_EFORMAT, ".fvecs: %zu bytes, too short for a dimension", size);
    int32_t dim = dim_at(data, 0);
    if (dim < 1 || dim > EGO_FVECS_MAX_DIM)
        return ego_fail(EGO_EFORMAT, ".fvecs: dimension %d, expected 1 to %d", (int)dim,
                        EGO_FVECS_MAX_DIM);
    size_t row = ((size_t)dim + 1) * 4, count = size / row;
    if (size % row)
        return ego_fail(EGO_EFORMAT,
                        ".fvecs: cut short: %zu bytes, vectors of dimension %d take %zu each", size,
                        (int)dim, row);
    for (size_t i = 1; i < count; i++)
        if (dim_at(data, i * row) != dim)
            return ego_fail(EGO_EFORMAT, ".fvecs: vector %zu has dimension %d, the first has %d", i,
                            (int)dim_at(data, i * row), (int)dim);
    vectors->dim = dim;
    vectors->count = count;
    return EGO_OK;
}

ego_err ego_fvecs_open(const char *path, ego_fvecs *vectors) {
    *vectors = (ego_fvecs){0};
    EGO_TRY(ego_map_open(path, &vectors->map));
    ego_err err = ego__fvecs_parse(vectors->map.data, vectors->map.size, vectors);
    if (err == EGO_OK) return EGO_OK;
    ego_fvecs_close(vectors);
    return ego_fail_context(err, "%s", path);
}

void ego_fvecs_close(ego_fvecs *vectors) {
    ego_map_close(&vectors->map);
    *vectors = (ego_fvecs){0};
}

const float *ego_fvecs_row(const ego_fvecs *vectors, size_t i) {
    size_t row = ((size_t)vectors->dim + 1) * 4;
    return (const float *)(const void *)(vectors->map.data + i * row + 4);
}

void ego_fvecs_write(FILE *out, const float *vector, int32_t dim) {
    fwrite(&dim, sizeof dim, 1, out);
    fwrite(vector, sizeof *vector, (size_t)dim, out);
}
