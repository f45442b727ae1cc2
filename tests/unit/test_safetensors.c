/* safetensors: files of the reference implementation, our own, and damaged headers. */
#include "check.h"
#include "format/safetensors.h"
#include "format/weights.h"
#include "format/weights_build.h"

#include "base/file.h"

#include <unistd.h>

static void check_reference(void) {
    ego_weights *w;
    if (!CHECK_OK(ego_weights_open("tests/unit/data/reference.safetensors", &w))) return;
    CHECK_STR(ego_weights_format(w), "safetensors");
    CHECK(ego_weights_count(w) == 3);
    CHECK_STR(ego_weights_metadata(w, "note"), "n\xC3\xA9");
    CHECK(ego_weights_metadata(w, "missing") == NULL);
    const ego_tensor *a = ego_weights_find(w, "a"), *b = ego_weights_find(w, "b");
    const ego_tensor *z = ego_weights_find(w, "z");
    if (CHECK(a && b && z)) {
        float values[6];
        CHECK(a->dtype == EGO_BF16 && a->ndim == 1 && a->shape[0] == 3);
        ego_to_f32(a->data, a->dtype, values, 3);
        CHECK(values[2] == 2);
        CHECK(b->dtype == EGO_F32 && b->ndim == 2 && b->shape[0] == 2 && b->shape[1] == 3);
        CHECK(ego_f32(b)[5] == 5);
        CHECK(z->dtype == EGO_I64 && z->ndim == 0);
    }
    CHECK(ego_weights_find(w, "c") == NULL);
    ego_weights_close(w);
}

static float even[32], ramp[5];
static uint8_t bytes[3] = {1, 2, 3};

static ego_err fill_with_index(void *context, size_t i, size_t from, void *block, size_t n) {
    (void)from;
    memset(block, (int)i, n);
    ++*(int *)context;
    return EGO_OK;
}

static ego_err fill_fails(void *context, size_t i, size_t from, void *block, size_t n) {
    (void)context, (void)i, (void)from, (void)block, (void)n;
    return ego_fail(EGO_ECANCELLED, "enough");
}

static void check_written(void) {
    const char *path = "/tmp/ego-test-safetensors.safetensors";
    for (int i = 0; i < 32; i++) even[i] = (float)i;
    for (int i = 0; i < 5; i++) ramp[i] = (float)-i;
    ego_named_tensor tensors[] = {
        {"module.tokenizer.vocab", {bytes, EGO_U8, 1, {3}}},
        {"module.odd \"quoted\"", {ramp, EGO_F32, 1, {5}}},
        {"module.even", {even, EGO_F32, 2, {4, 8}}},
        {"module.empty", {even, EGO_F32, 2, {0, 8}}},
        {"module.scalar", {ramp + 1, EGO_F32, 0, {0}}},
        {"module.half", {even, EGO_F16, 1, {32}}},
    };
    enum { COUNT = sizeof tensors / sizeof *tensors };
    ego_metadata metadata[] = {{"ego.config", "{\"model\":{\"dim\":64}}"}, {"model", "abc"}};
    CHECK_OK(ego_safetensors_write(path, tensors, COUNT, metadata, 2, NULL, NULL));

    ego_weights *w;
    if (!CHECK_OK(ego_weights_open(path, &w))) return;
    CHECK(ego_weights_count(w) == COUNT);
    CHECK_STR(ego_weights_metadata(w, "ego.config"), "{\"model\":{\"dim\":64}}");
    for (size_t i = 0; i < COUNT; i++) {
        const ego_tensor *t = ego_weights_find(w, tensors[i].name + strlen("module."));
        size_t n;
        if (!CHECK(t && t->dtype == tensors[i].tensor.dtype)) continue;
        CHECK(ego_tensor_same_shape(t, &tensors[i].tensor));
        CHECK(ego_shape_bytes(t->shape, t->ndim, t->dtype, &n));
        CHECK(memcmp(t->data, tensors[i].tensor.data, n) == 0);
        if (n % 64 == 0) CHECK((uintptr_t)t->data % 64 == 0);
    }
    ego_weights_close(w);

    int calls = 0;
    CHECK_OK(ego_safetensors_write(path, tensors, COUNT, NULL, 0, fill_with_index, &calls));
    CHECK(calls == COUNT - 1); /* nothing is asked for the empty one */
    if (CHECK_OK(ego_weights_open(path, &w))) {
        const ego_tensor *t = ego_weights_find(w, "even");
        CHECK(t && ((const uint8_t *)t->data)[127] == 2);
        ego_weights_close(w);
    }
    CHECK_ERR(EGO_ECANCELLED,
              ego_safetensors_write(path, tensors, COUNT, NULL, 0, fill_fails, NULL));
    CHECK_OK(ego_weights_open(path, &w)); /* the old file is still there, whole */
    ego_weights_close(w);
    CHECK_OK(ego_safetensors_write(path, NULL, 0, NULL, 0, NULL, NULL));
    CHECK_OK(ego_weights_open(path, &w));
    CHECK(ego_weights_count(w) == 0);
    ego_weights_close(w);
    unlink(path);
}

static void check_header(ego_err code, const char *header, size_t data, const char *word) {
    size_t n = strlen(header);
    uint8_t *file = calloc(1, 8 + n + data);
    file[0] = (uint8_t)(n & 255);
    file[1] = (uint8_t)(n >> 8);
    memcpy(file + 8, header, n);
    ego_weights *w = NULL;
    CHECK_ERR(code, ego__weights_open_memory("file", file, 8 + n + data, &w));
    if (code != EGO_OK && !CHECK(strstr(ego_err_message(), word) != NULL))
        fprintf(stderr, "    message: %s\n", ego_err_message());
    ego_weights_close(code == EGO_OK ? w : NULL);
    free(file);
}

#define T(dtype, shape, from, to)                                                                  \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

static void check_headers(void) {
    check_header(EGO_OK, "{\"a\":" T("F32", "[2]", "0", "8") "}", 8, "");
    check_header(EGO_OK, "{\"a\":" T("F32", "[]", "0", "4") "}   ", 4, "");
    check_header(EGO_OK, "{\"a\":" T("F32", "[0]", "0", "0") "}", 0, "");
    check_header(EGO_OK, "{\"a\":" T("F8_E4M3", "[3]", "0", "3") "}", 3, "");
    check_header(EGO_OK, "{\"a\":" T("F32", "[1,1,1,1,1,1]", "0", "4") "}", 4, "");
    check_header(EGO_EFORMAT, "{\"a\":" T("F32", "[3]", "0", "8") "}", 8, "does not fill");
    check_header(EGO_EFORMAT, "{\"a\":" T("F32", "[2]", "0", "8") "}", 7, "not within");
    check_header(EGO_EFORMAT, "{\"a\":" T("F32", "[2]", "0", "8") "}", 9, "one after the other");
    check_header(EGO_EFORMAT, "{\"a\":" T("F32", "[2]", "4", "12") "}", 12, "one after the other");
    check_header(EGO_EFORMAT,
                 "{\"a\":" T("F32", "[2]", "0", "8") ",\"b\":" T("F32", "[2]", "4", "12") "}", 12,
                 "one after the other");
    check_header(EGO_EFORMAT, "{\"a\":" T("F32", "[2]", "8", "0") "}", 8, "not within");
    check_header(EGO_EFORMAT, "{\"a\":" T("F32", "[2]", "-8", "0") "}", 8, "not within");
    check_header(EGO_EFORMAT, "{\"a\":" T("F32", "[-2]", "0", "8") "}", 8, "shape");
    check_header(EGO_EFORMAT, "{\"a\":" T("F32", "[4294967296,4294967296,4]", "0", "0") "}", 0,
                 "does not fill");
    check_header(EGO_EFORMAT, "{\"a\":" T("F32", "2", "0", "8") "}", 8, "expected an array");
    check_header(EGO_EFORMAT, "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype");
    check_header(EGO_EFORMAT, "{\"a\":3}", 8, "dtype");
    check_header(EGO_EFORMAT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "data_offsets");
    check_header(EGO_EFORMAT,
                 "{\"a\":" T("F32", "[2]", "0", "8") ",\"a\":" T("F32", "[2]", "8", "16") "}", 16,
                 "twice");
    check_header(EGO_EFORMAT, "{\"__metadata__\":{\"a\":1}}", 0, "expected strings");
    check_header(EGO_EFORMAT, "{\"a\":", 0, "header");
    check_header(EGO_EFORMAT, "{\"a\\u0000b\":3}", 0, "header");
}

static void check_lengths(void) {
    ego_weights *w;
    uint8_t file[16] = {255, 255, 255, 255, 255, 255, 255, 255, '{', '}'};
    CHECK_ERR(EGO_EFORMAT, ego__weights_open_memory("file", file, sizeof file, &w));
    CHECK_ERR(EGO_EFORMAT, ego__weights_open_memory("file", file, 9, &w));
    CHECK_ERR(EGO_EFORMAT, ego__weights_open_memory("file", file, 3, &w));
    CHECK_ERR(EGO_EFORMAT, ego__weights_open_memory("file", file, 0, &w));
}

int main(void) {
    check_reference();
    check_written();
    check_headers();
    check_lengths();
    return check_done();
}
