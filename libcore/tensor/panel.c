#include "tensor/panel.h"

#include <string.h>

/* Inputs converted at once: 16 rows of them fit the first cache. */
enum { CHUNK = 128 };

/* inputs [start, start + n) of up to 16 rows, transposed */
static void pack_chunk(const char *rows, size_t row_bytes, ego_dtype dtype, int64_t count,
                       int64_t n, float *out) {
    float in[EGO_PANEL][CHUNK];
    for (int64_t j = 0; j < EGO_PANEL; j++) {
        if (j < count)
            ego_to_f32(rows + (size_t)j * row_bytes, dtype, in[j], (size_t)n);
        else
            memset(in[j], 0, (size_t)n * sizeof in[j][0]);
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < EGO_PANEL; j++) out[i * EGO_PANEL + j] = in[j][i];
}

void ego_panel_pack(const void *weight, ego_dtype dtype, int64_t outputs, int64_t inputs,
                    int64_t first, int64_t count, float *out) {
    size_t element = ego_dtype_bytes(dtype), row_bytes = (size_t)inputs * element;
    for (int64_t p = first; p < first + count; p++) {
        int64_t row = p * EGO_PANEL, rows = outputs - row < EGO_PANEL ? outputs - row : EGO_PANEL;
        const char *from = (const char *)weight + (size_t)row * row_bytes;
        for (int64_t i = 0; i < inputs; i += CHUNK) {
            int64_t n = inputs - i < CHUNK ? inputs - i : CHUNK;
            pack_chunk(from + (size_t)i * element, row_bytes, dtype, rows, n, out);
            out += n * EGO_PANEL;
        }
    }
}

void ego_panel_unpack(const float *panels, int64_t outputs, int64_t inputs, float *weight) {
    for (int64_t row = 0; row < outputs; row++) {
        const float *panel = panels + row / EGO_PANEL * inputs * EGO_PANEL + row % EGO_PANEL;
        for (int64_t i = 0; i < inputs; i++) weight[row * inputs + i] = panel[i * EGO_PANEL];
    }
}
