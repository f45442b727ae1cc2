/* .npy, and the same bytes as .fvecs. */
#include "format/fvecs.h"
#include "format/npy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile float sink;

static void read_npy(const uint8_t *data, size_t size) {
    ego_tensor t;
    size_t offset;
    if (ego__npy_parse(data, size, &t, &offset) != EGO_OK) return;
    size_t width = ego_dtype_bytes(t.dtype), n = (size_t)ego_tensor_count(&t);
    for (size_t i = 0; i < n; i++) {
        float value;
        ego_to_f32(data + offset + i * width, t.dtype, &value, 1);
        sink = value;
    }
}

static void read_fvecs(const uint8_t *data, size_t size) {
    ego_fvecs v = {.map = {data, size}};
    if (ego__fvecs_parse(data, size, &v) != EGO_OK) return;
    for (size_t i = 0; i < v.count; i++)
        for (int32_t k = 0; k < v.dim; k++) sink = ego_fvecs_row(&v, i)[k];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_npy(data, size);
    void *aligned = malloc(size ? size : 1); /* as a map is */
    if (!aligned) return 0;
    if (size) memcpy(aligned, data, size);
    read_fvecs(aligned, size);
    free(aligned);
    return 0;
}
