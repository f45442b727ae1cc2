/* The embedding stream, from memory and from a pipe: both must give the same records. */
#include "format/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile float sink;

static uint64_t read_all(ego_stream *s, ego_err *err) {
    ego_stream_record r;
    uint64_t offset = 0;
    while ((*err = ego_stream_next(s, &r)) == EGO_OK) {
        size_t width = ego_dtype_bytes(r.tensor.dtype), n = (size_t)ego_tensor_count(&r.tensor);
        for (size_t i = 0; i < n; i++) {
            float value;
            ego_to_f32((const char *)r.tensor.data + i * width, r.tensor.dtype, &value, 1);
            sink = value;
        }
        for (size_t i = 0; i < r.id_bytes; i++) sink += (float)r.id[i];
        offset = r.offset + r.number;
    }
    return offset;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ego_stream *s;
    ego_err from_memory, from_pipe;
    if (ego__stream_open_memory(data, size, &s) != EGO_OK) return 0;
    uint64_t records = read_all(s, &from_memory);
    ego_stream_close(s);
    FILE *in = size ? fmemopen((void *)(uintptr_t)data, size, "rb") : NULL;
    if (!in) return 0;
    if (ego_stream_open_pipe(in, "fuzz", &s) == EGO_OK) {
        if (read_all(s, &from_pipe) != records || from_pipe != from_memory) __builtin_trap();
        ego_stream_close(s);
    }
    fclose(in);
    return 0;
}
