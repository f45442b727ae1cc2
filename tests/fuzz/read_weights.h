/* What fuzz_safetensors and fuzz_torchfile do: the reader goes by content, their corpora lead it. Every
 * element of what opens is read. */
#ifndef EGO_TESTS_FUZZ_READ_WEIGHTS_H
#define EGO_TESTS_FUZZ_READ_WEIGHTS_H

#include "format/weights.h"
#include "format/weights_build.h"

static volatile float sink;

static inline void read_weights(const uint8_t *data, size_t size) {
    ego_weights *w;
    if (ego__weights_open_memory("fuzz", data, size, &w) != EGO_OK) return;
    for (size_t i = 0; i < ego_weights_count(w); i++) {
        const ego_tensor *t = ego_weights_tensor(w, i);
        size_t width = ego_dtype_bytes(t->dtype), n = (size_t)ego_tensor_count(t);
        for (size_t k = 0; k < n; k++) {
            float value;
            ego_to_f32((const char *)t->data + k * width, t->dtype, &value, 1);
            sink = value;
        }
        if (ego_weights_find(w, ego_weights_name(w, i)) != t) __builtin_trap();
    }
    ego_weights_close(w);
}

#endif
