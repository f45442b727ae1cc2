/* Damaged checkpoints: cut anywhere, any byte of the structure changed. Each gives an error or a result
 * whose every element can be read; never a crash (run it under the sanitizers) and never a hang.
 * A sample of places by default, all of them when EGO_NIGHTLY is set. */
#include "check.h"
#include "format/weights.h"
#include "format/weights_build.h"

#include "base/file.h"

static volatile float sink; /* so that the reading happens */

static bool open_and_read(const uint8_t *data, size_t size) {
    ego_weights *w;
    if (ego__weights_open_memory("damaged", data, size, &w) != EGO_OK) {
        CHECK(ego_err_message()[0] != 0);
        return false;
    }
    for (size_t i = 0; i < ego_weights_count(w); i++) {
        const ego_tensor *t = ego_weights_tensor(w, i);
        size_t width = ego_dtype_bytes(t->dtype), n = (size_t)ego_tensor_count(t);
        for (size_t k = 0; k < n; k++) {
            float value;
            ego_to_f32((const char *)t->data + k * width, t->dtype, &value, 1);
            sink = value;
        }
    }
    ego_weights_close(w);
    return true;
}

/* The copy has exactly the bytes that are left, so that reading past them is seen. */
static void cut(const ego_map *map, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    if (size) memcpy(copy, map->data, size);
    bool opened = open_and_read(copy, size);
    if (opened) fprintf(stderr, "a file cut to %zu of %zu bytes was read\n", size, map->size);
    CHECK(!opened);
    free(copy);
}

static void damage(const char *path, size_t step) {
    ego_map map;
    if (!CHECK_OK(ego_map_open(path, &map))) return;
    CHECK(open_and_read(map.data, map.size));
    for (size_t size = 0; size < map.size; size += step) cut(&map, size);
    cut(&map, map.size - 1);

    uint8_t *copy = malloc(map.size);
    memcpy(copy, map.data, map.size);
    size_t opened = 0, tried = 0;
    static const uint8_t flips[] = {0x01, 0x80, 0xFF};
    for (size_t i = 0; i < map.size; i += step)
        for (size_t f = 0; f < sizeof flips; f++, tried++) {
            copy[i] ^= flips[f];
            opened += open_and_read(copy, map.size);
            copy[i] ^= flips[f];
        }
    printf("%s: %zu of %zu damaged files could still be read\n", path, opened, tried);
    free(copy);
    ego_map_close(&map);
}

int main(void) {
    static const char *const files[] = {
        "tests/unit/data/zip.pth",           "tests/unit/data/legacy.pth",
        "tests/unit/data/zip-protocol5.pth", "tests/unit/data/zip64.pth",
        "tests/unit/data/plain.pth",         "tests/unit/data/reference.safetensors",
    };
    size_t step = getenv("EGO_NIGHTLY") ? 1 : 7; /* 7 is prime to every field's width */
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) damage(files[i], step);
    return check_done();
}
