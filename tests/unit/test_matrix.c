/* Matrices out of .npy and pickles that NumPy wrote, and what is refused. */
#include "check.h"

#include "format/matrix.h"
#include "format/npy.h"

#define DATA "tests/unit/data/score/"

static const double want[3][2] = {{1, 0.25}, {0, -2.5}, {1.0 / 3, 300}};
static const ego_matrix_members members = {"sim_mat", "vis_ids", "txt_ids"};

static void same(const ego_matrix *m, double tolerance) {
    double rows[6], columns[6];
    if (!CHECK(m->rows == 3 && m->columns == 2)) return;
    ego_matrix turned = ego_matrix_turned(m);
    ego_matrix_read(m, 0, 3, rows);
    ego_matrix_read(&turned, 0, 2, columns);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 2; j++) {
            CHECK_NEAR(rows[i * 2 + j], want[i][j], tolerance);
            CHECK_NEAR(columns[j * 3 + i], want[i][j], tolerance);
        }
    ego_matrix_read(m, 2, 1, rows);
    CHECK_NEAR(rows[1], 300, 0);
}

static void test_pickles(void) {
    static const char *const files[] = {DATA "f8-protocol2.pkl", DATA "f8-protocol3.pkl",
                                        DATA "f8-protocol4.pkl", DATA "f8-protocol5.pkl",
                                        DATA "f8-old-numpy.pkl", DATA "f8-columns-protocol5.pkl"};
    ego_matrix m;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (!CHECK_OK(ego_matrix_open(files[i], NULL, &m))) continue;
        same(&m, 0);
        CHECK(!m.row_names && !m.column_names);
        ego_matrix_close(&m);
    }
    if (!CHECK_OK(ego_matrix_open(DATA "f4-columns.pkl", &members, &m))) return;
    same(&m, 1e-7);
    ego_matrix_close(&m);
}

static void test_submission(void) {
    ego_matrix m;
    if (!CHECK_OK(ego_matrix_open(DATA "submission.pkl", &members, &m))) return;
    same(&m, 0);
    CHECK(m.row_names && m.column_names);
    CHECK_STR(m.row_names[0], "v2");
    CHECK_STR(m.row_names[2], "v1");
    CHECK_STR(m.column_names[1], "7");
    ego_matrix_close(&m);
}

static void refused(ego_err code, const char *file, const char *message) {
    ego_matrix m;
    CHECK_ERR(code, ego_matrix_open(file, NULL, &m));
    if (!CHECK(strstr(ego_err_message(), message) != NULL))
        fprintf(stderr, "    '%s' expected in '%s'\n", message, ego_err_message());
}

static void test_refused(void) {
    refused(EGO_EFORMAT, DATA "list.pkl", "list.pkl: a NumPy array expected, found list");
    refused(EGO_EFORMAT, DATA "submission.pkl", "a NumPy array expected, found dict");
    refused(EGO_EUNSUPPORTED, DATA "i8.pkl", "elements f4 or f8 expected, found i8");
    refused(EGO_EUNSUPPORTED, DATA "big-endian.pkl", "little-endian");
    refused(EGO_EFORMAT, "tests/unit/test_matrix.c", "pickle");
    refused(EGO_EIO, DATA "none.pkl", "none.pkl");
}

/* Every cut of a file is an error or a matrix; nothing is read behind the end. */
static void test_cuts(void) {
    ego_map map;
    ego_matrix m;
    if (!CHECK_OK(ego_map_open(DATA "f8-protocol2.pkl", &map))) return;
    for (size_t n = 0; n < map.size; n++) {
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, map.data, n);
        CHECK(ego__matrix_parse(copy, n, NULL, &m) != EGO_OK);
        free(copy);
    }
    ego_map_close(&map);
}

static void test_npy(void) {
    ego_tensor tensor = {
        .data = (void *)(uintptr_t)want, .dtype = EGO_F64, .ndim = 2, .shape = {3, 2}};
    char path[] = "/tmp/ego-matrix-XXXXXX";
    ego_matrix m;
    size_t row, column;
    if (!CHECK(mkstemp(path) >= 0) || !CHECK_OK(ego_npy_write(path, &tensor))) return;
    if (CHECK_OK(ego_matrix_open(path, &members, &m))) {
        same(&m, 0);
        CHECK(!ego_matrix_fault(&m, &row, &column));
        ego_matrix_close(&m);
    }
    double bad[4] = {1, 2, NAN, -INFINITY};
    tensor = (ego_tensor){.data = bad, .dtype = EGO_F64, .ndim = 2, .shape = {2, 2}};
    CHECK_OK(ego_npy_write(path, &tensor));
    if (CHECK_OK(ego_matrix_open(path, NULL, &m))) {
        CHECK(ego_matrix_fault(&m, &row, &column) && row == 1 && column == 0);
        ego_matrix_close(&m);
    }
    tensor.ndim = 1;
    tensor.shape[0] = 4;
    CHECK_OK(ego_npy_write(path, &tensor));
    CHECK_ERR(EGO_EUNSUPPORTED, ego_matrix_open(path, NULL, &m));
    remove(path);
}

int main(void) {
    test_pickles();
    test_submission();
    test_refused();
    test_cuts();
    test_npy();
    return check_done();
}
