/* MATLAB's files as SciPy 1.x writes them, by hand in the other byte order, and damaged. */
#include "check.h"

#include "base/file.h"
#include "format/matfile.h"
#include "format/qfvs.h"

#define DATA "tests/unit/data/mat/"

static const ego_mat *need(const ego_mat_file *file, const char *name, ego_mat_kind kind,
                           size_t count) {
    static const double zeros[16];
    static const ego_mat none = {.numbers = zeros, .name = ""};
    const ego_mat *m = ego_mat_find(file, name);
    if (CHECK(m != NULL) && CHECK(m->kind == kind) && CHECK(m->count == count)) return m;
    fprintf(stderr, "    variable %s\n", name);
    return &none;
}

static void test_kinds(void) {
    ego_arena arena;
    ego_mat_file f = {0};
    ego_arena_init(&arena, 1 << 12);
    if (!CHECK_OK(ego_mat_read(DATA "kinds.mat", &arena, &f))) goto out;
    CHECK(f.count == 11 && !ego_mat_find(&f, "nothing"));
    const ego_mat *m = need(&f, "d", EGO_MAT_NUMBERS, 4); /* column by column */
    CHECK(m->numbers[0] == 1.5 && m->numbers[1] == 3 && m->numbers[2] == -2 &&
          m->numbers[3] == 4.25);
    m = need(&f, "s", EGO_MAT_NUMBERS, 3);
    CHECK(m->numbers[2] == 3 && m->ndim == 2 && m->shape[0] == 1 && m->shape[1] == 3);
    CHECK(need(&f, "u", EGO_MAT_NUMBERS, 2)->numbers[1] == 65535);
    CHECK(need(&f, "f", EGO_MAT_NUMBERS, 1)->numbers[0] == 0.5);
    CHECK(need(&f, "b", EGO_MAT_NUMBERS, 2)->numbers[0] == 1);
    CHECK(need(&f, "big", EGO_MAT_NUMBERS, 1)->numbers[0] == 0x1p40);
    CHECK(need(&f, "t", EGO_MAT_TEXT, 9)->numbers[4] == 'w');
    CHECK(need(&f, "e", EGO_MAT_NUMBERS, 0)->shape[1] == 3);
    m = need(&f, "three", EGO_MAT_NUMBERS, 24);
    CHECK(m->ndim == 3 && m->shape[2] == 4 && m->numbers[1] == 12);
    m = need(&f, "c", EGO_MAT_CELLS, 2);
    CHECK(m->items && m->items[0].numbers[0] == 1 && m->items[1].kind == EGO_MAT_TEXT);
    m = ego_mat_field(ego_mat_field(need(&f, "n", EGO_MAT_STRUCTS, 1), 0, "in"), 0, "ner");
    CHECK(m && m->numbers[0] == 7);
    CHECK(!ego_mat_field(ego_mat_find(&f, "n"), 1, "in") &&
          !ego_mat_field(ego_mat_find(&f, "d"), 0, "in"));
out:
    ego_arena_release(&arena);
}

static void test_tags(void) {
    static const size_t shots[] = {7, 5, 3, 4}, second[] = {1, 4, 6, 18, 23, 25, 30, 40};
    ego_arena arena;
    const ego_qfvs_vectors *v = NULL;
    size_t n = 0;
    ego_arena_init(&arena, 1 << 12);
    if (CHECK_OK(ego_qfvs_vectors_read(DATA "tags.mat", &arena, &v, &n)) && CHECK(n == 4)) {
        for (size_t i = 0; i < n; i++) CHECK(v[i].shots == shots[i] && v[i].concepts == 48);
        size_t there = 0;
        for (size_t c = 0; c < 48; c++) there += v[1].bits[c];
        CHECK(there == sizeof second / sizeof *second);
        for (size_t i = 0; i < there; i++) CHECK(v[1].bits[second[i]] == 1);
    }
    CHECK_ERR(EGO_EFORMAT, ego_qfvs_vectors_read(DATA "kinds.mat", &arena, &v, &n));
    ego_arena_release(&arena);
}

/* A file by hand: x = 1.5, in the byte order asked for. */
static size_t put(uint8_t *out, bool big) {
    static const uint32_t words[] = {14, 56, 6, 8, 6, 0, 5, 8, 1, 1, 1 << 16 | 1, 0, 9, 8};
    memset(out, ' ', 124);
    size_t n = 124;
    out[n++] = big ? 1 : 0;
    out[n++] = big ? 0 : 1;
    out[n++] = big ? 'M' : 'I';
    out[n++] = big ? 'I' : 'M';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        for (int b = 0; b < 4; b++) {
            uint32_t word = i == 11 ? (uint32_t)'x' << (big ? 24 : 0) : words[i];
            out[n++] = (uint8_t)(word >> (big ? 24 - 8 * b : 8 * b));
        }
    static const uint8_t value[] = {0x3F, 0xF8, 0, 0, 0, 0, 0, 0};
    for (int b = 0; b < 8; b++) out[n++] = value[big ? b : 7 - b];
    return n;
}

static void test_orders(void) {
    ego_arena arena;
    ego_arena_init(&arena, 1 << 12);
    for (int big = 0; big < 2; big++) {
        uint8_t bytes[256];
        ego_mat_file f = {0};
        size_t n = put(bytes, big);
        CHECK_OK(ego_mat_parse(bytes, n, "by hand", &arena, &f));
        const ego_mat *m = need(&f, "x", EGO_MAT_NUMBERS, 1);
        CHECK(m->numbers[0] == 1.5);
        bytes[124 + big] ^= 4; /* another version */
        CHECK_ERR(EGO_EFORMAT, ego_mat_parse(bytes, n, "by hand", &arena, &f));
    }
    ego_arena_release(&arena);
}

/* Every prefix, and every byte with each bit flipped: an answer or a message. */
static void test_damage(const char *path) {
    ego_buf file = {0};
    ego_arena arena;
    ego_mat_file f = {0};
    CHECK_OK(ego_read_file(path, 1 << 20, &file));
    ego_arena_init(&arena, 1 << 16);
    ego_arena_mark mark = ego_arena_save(&arena);
    size_t cut = 0;
    for (size_t n = 0; n < file.len; n++) {
        uint8_t *copy = malloc(n ? n : 1); /* of its own, so that a step behind it is seen */
        memcpy(copy, file.data, n);
        cut += ego_mat_parse(copy, n, path, &arena, &f) != EGO_OK;
        free(copy);
        ego_arena_rewind(&arena, mark);
    }
    CHECK(cut >= 128);
    for (size_t i = 0; i < file.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            file.data[i] = (char)(file.data[i] ^ 1 << bit);
            if (ego_mat_parse((const uint8_t *)file.data, file.len, path, &arena, &f) != EGO_OK)
                CHECK(strstr(ego_err_message(), path) || strstr(ego_err_message(), "memory"));
            file.data[i] = (char)(file.data[i] ^ 1 << bit);
            ego_arena_rewind(&arena, mark);
        }
    ego_arena_release(&arena);
    ego_buf_release(&file);
}

static void test_refused(void) {
    ego_arena arena;
    ego_mat_file f;
    static const char hdf[128] = "MATLAB 7.3 MAT-file, Platform: GLNXA64";
    ego_arena_init(&arena, 1 << 12);
    CHECK_ERR(EGO_EUNSUPPORTED, ego_mat_read(DATA "sparse.mat", &arena, &f));
    CHECK_ERR(EGO_EUNSUPPORTED, ego_mat_read("tests/fuzz/corpus/matfile/complex", &arena, &f));
    CHECK_ERR(EGO_EUNSUPPORTED, ego_mat_parse((const uint8_t *)hdf, sizeof hdf, "hdf", &arena, &f));
    CHECK(strstr(ego_err_message(), "7.3") != NULL);
    CHECK_ERR(EGO_EIO, ego_mat_read(DATA "none.mat", &arena, &f));
    ego_arena_release(&arena);
}

int main(void) {
    test_kinds();
    test_tags();
    test_orders();
    test_refused();
    test_damage(DATA "tags.mat");
    test_damage("tests/fuzz/corpus/matfile/kinds");
    test_damage("tests/fuzz/corpus/matfile/plain");
    return check_done();
}
