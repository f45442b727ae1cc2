/* The layout in which products read weights.
 *
 * A linear weight W[O][I] (O outputs, I inputs) is cut into panels of 16 outputs:
 *     panel[p][i][j] = W[16 p + j][i],   0 ≤ p < ceil(O/16), 0 ≤ i < I, 0 ≤ j < 16,
 * zeros where 16 p + j ≥ O. One panel is contiguous: a kernel walks i and reads 16 outputs at once, or 32
 * or 48 from neighbouring panels. The layout is the same for every instruction set, so a file packed on
 * one machine (`ego-model convert --pack`) is mapped and used on any other.
 */
#ifndef EGO_TENSOR_PANEL_H
#define EGO_TENSOR_PANEL_H

#include "tensor/tensor.h"

enum { EGO_PANEL = 16 };

static inline int64_t ego_panel_count(int64_t outputs) {
    return (outputs + EGO_PANEL - 1) / EGO_PANEL;
}
static inline size_t ego_panel_bytes(int64_t outputs, int64_t inputs) {
    return (size_t)(ego_panel_count(outputs) * inputs * EGO_PANEL) * sizeof(float);
}

/* Writes panels [first, first + count) of a weight stored row-major in `dtype` to out (which is where
 * panel `first` begins). */
void ego_panel_pack(const void *weight, ego_dtype dtype, int64_t outputs, int64_t inputs,
                    int64_t first, int64_t count, float *out);
/* The inverse: rows of W from panels, float32. */
void ego_panel_unpack(const float *panels, int64_t outputs, int64_t inputs, float *weight);

#endif
