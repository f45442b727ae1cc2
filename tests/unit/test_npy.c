/* .npy and .fvecs: NumPy's own files, what we write, what is refused. */
#include "check.h"
#include "format/fvecs.h"
#include "format/npy.h"

#include "base/file.h"

#include <unistd.h>

#define DATA "tests/unit/data/"

static float value(const ego_npy *npy, size_t i) {
    float out;
    const ego_tensor *t = &npy->tensor;
    ego_to_f32((const char *)t->data + i * ego_dtype_bytes(t->dtype), t->dtype, &out, 1);
    return out;
}

static void check_numpy(const char *path, ego_dtype dtype, const char *shape, size_t i,
                        float want) {
    ego_npy npy;
    char text[EGO_SHAPE_TEXT];
    if (!CHECK_OK(ego_npy_open(path, &npy))) return;
    CHECK_STR(ego_dtype_name(npy.tensor.dtype), ego_dtype_name(dtype));
    CHECK_STR(ego_shape_text(npy.tensor.shape, npy.tensor.ndim, text), shape);
    CHECK(value(&npy, i) == want);
    ego_npy_close(&npy);
    ego_npy_close(&npy);
}

static void check_refused(const char *path, ego_err code, const char *word) {
    ego_npy npy;
    CHECK_ERR(code, ego_npy_open(path, &npy));
    if (!CHECK(strstr(ego_err_message(), word) && strstr(ego_err_message(), path)))
        fprintf(stderr, "    message: %s\n", ego_err_message());
}

static void check_header(ego_err code, const char *dict, size_t data) {
    uint8_t file[512] = "\x93NUMPY\1";
    size_t n = strlen(dict), offset = 0;
    file[8] = (uint8_t)n;
    memcpy(file + 10, dict, n);
    uint8_t *copy = malloc(10 + n + data);
    memcpy(copy, file, 10 + n);
    memset(copy + 10 + n, 0, data);
    ego_tensor t;
    if (!CHECK_ERR(code, ego__npy_parse(copy, 10 + n + data, &t, &offset)))
        fprintf(stderr, "    %s\n", dict);
    if (code == EGO_OK) CHECK(offset == 10 + n);
    free(copy);
}

static void check_headers(void) {
    check_header(EGO_OK, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  \n", 24);
    check_header(EGO_OK, "{\"shape\":(2L,3L),\"descr\":\"|u1\",\"fortran_order\":False}", 6);
    check_header(EGO_OK, "{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", 8);
    check_header(EGO_OK, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", 4);
    check_header(EGO_OK, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3)}", 0);
    check_header(EGO_EFORMAT, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 23);
    check_header(EGO_EFORMAT, "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3), }", 24);
    check_header(EGO_EFORMAT, "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 24);
    check_header(EGO_EFORMAT, "{'descr': '<f4', 'fortran_order': False, 'shape': 3, }", 24);
    check_header(EGO_EFORMAT, "{'descr': '<f4', 'fortran_order': False, }", 24);
    check_header(EGO_EFORMAT, "{'descr': '<f4', 'fortran_order': maybe, 'shape': (1,), }", 24);
    check_header(EGO_EFORMAT, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}",
                 24);
    check_header(EGO_EFORMAT, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)", 24);
    check_header(EGO_EFORMAT, "", 24);
    check_header(EGO_EFORMAT,
                 "{'descr': '<f8', 'fortran_order': False, "
                 "'shape': (9223372036854775807, 2), }",
                 24);
    check_header(EGO_EFORMAT,
                 "{'descr': '<f8', 'fortran_order': False, "
                 "'shape': (99999999999999999999,), }",
                 24);
    check_header(EGO_EUNSUPPORTED, "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", 24);
    check_header(EGO_EUNSUPPORTED,
                 "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1), }", 24);
}

static void check_written(void) {
    const char *path = "/tmp/ego-test.npy";
    float data[6] = {0, 1, 2, 3, 4, 5};
    ego_tensor t = {data, EGO_F32, 2, {2, 3}};
    CHECK_OK(ego_npy_write(path, &t));
    check_numpy(path, EGO_F32, "[2, 3]", 5, 5);
    t = (ego_tensor){data, EGO_F32, 0, {0}};
    CHECK_OK(ego_npy_write(path, &t));
    check_numpy(path, EGO_F32, "[]", 0, 0);
    t = (ego_tensor){data, EGO_BF16, 1, {2}};
    CHECK_ERR(EGO_EUNSUPPORTED, ego_npy_write(path, &t));

    ego_tensor row = {.dtype = EGO_F32, .ndim = 1, .shape = {3}};
    ego_npy_writer writer;
    ego_npy npy;
    CHECK_OK(ego_npy_writer_open(path, &row, &writer));
    CHECK_OK(ego_npy_writer_add(&writer, data, 2));
    CHECK_OK(ego_npy_writer_add(&writer, data + 3, 1));
    CHECK_OK(ego_npy_writer_commit(&writer));
    check_numpy(path, EGO_F32, "[3, 3]", 6, 3);
    if (CHECK_OK(ego_npy_open(path, &npy))) CHECK((uintptr_t)npy.tensor.data % 64 == 0);
    ego_npy_close(&npy);

    CHECK_OK(ego_npy_writer_open(path, &row, &writer));
    CHECK_OK(ego_npy_writer_commit(&writer));
    CHECK_OK(ego_npy_open(path, &npy));
    CHECK(npy.tensor.shape[0] == 0 && npy.tensor.shape[1] == 3);
    ego_npy_close(&npy);
    CHECK_OK(ego_npy_writer_open(path, &row, &writer));
    ego_npy_writer_abort(&writer);
    unlink(path);
}

/* A header of an odd length leaves the elements unaligned: they are copied. */
static void check_unaligned(void) {
    const char *path = "/tmp/ego-test-unaligned.npy";
    char file[128] = "\x93NUMPY\1";
    const char *dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}\n ";
    size_t n = strlen(dict);
    float data[2] = {1.5f, 2.5f};
    file[8] = (char)n;
    memcpy(file + 10, dict, n);
    memcpy(file + 10 + n, data, sizeof data);
    CHECK((10 + n) % 4 != 0);
    CHECK_OK(ego_write_file(path, file, 10 + n + sizeof data));
    check_numpy(path, EGO_F32, "[2]", 1, 2.5f);
    unlink(path);
}

static void check_fvecs(void) {
    const char *path = "/tmp/ego-test.fvecs";
    float data[6] = {0, 1, 2, 3, 4, 5};
    ego_outfile out;
    ego_fvecs v;
    CHECK_OK(ego_outfile_open(path, &out));
    ego_fvecs_write(out.stream, data, 3);
    ego_fvecs_write(out.stream, data + 3, 3);
    CHECK_OK(ego_outfile_commit(&out));
    if (CHECK_OK(ego_fvecs_open(path, &v))) {
        CHECK(v.count == 2 && v.dim == 3);
        CHECK(ego_fvecs_row(&v, 0)[2] == 2 && ego_fvecs_row(&v, 1)[0] == 3);
    }
    ego_fvecs_close(&v);
    unlink(path);

    int32_t words[6] = {2, 0, 0, 3, 0, 0};
    const uint8_t *bytes = (const uint8_t *)words;
    CHECK_ERR(EGO_EFORMAT, ego__fvecs_parse(bytes, 24, &v)); /* dimensions differ */
    CHECK_ERR(EGO_EFORMAT, ego__fvecs_parse(bytes, 20, &v)); /* cut */
    CHECK_ERR(EGO_EFORMAT, ego__fvecs_parse(bytes, 2, &v));
    CHECK_OK(ego__fvecs_parse(bytes, 12, &v));
    CHECK_OK(ego__fvecs_parse(bytes, 0, &v));
    CHECK(v.count == 0);
    words[0] = -1;
    CHECK_ERR(EGO_EFORMAT, ego__fvecs_parse(bytes, 24, &v));
}

int main(void) {
    check_numpy(DATA "f4.npy", EGO_F32, "[2, 3]", 5, 5);
    check_numpy(DATA "f2.npy", EGO_F16, "[3]", 2, 2);
    check_numpy(DATA "b1.npy", EGO_BOOL, "[2]", 0, 1);
    check_numpy(DATA "scalar.npy", EGO_F64, "[]", 0, 2.5f);
    check_numpy(DATA "version2.npy", EGO_I64, "[4]", 3, 3);
    check_numpy(DATA "version3.npy", EGO_I64, "[4]", 3, 3);
    check_refused(DATA "fortran.npy", EGO_EUNSUPPORTED, "ascontiguousarray");
    check_refused(DATA "big.npy", EGO_EUNSUPPORTED, "big-endian");
    check_refused(DATA "structured.npy", EGO_EUNSUPPORTED, "structured");
    check_refused(DATA "plain.pth", EGO_EFORMAT, "not a .npy");
    check_headers();
    check_written();
    check_unaligned();
    check_fvecs();
    return check_done();
}
