/* Files of torch.save: both containers, every dtype and stride, where the state dict is, what is refused.
 * The files come from tests/reference/make_fixtures.py. */
#include "check.h"
#include "format/pickle.h"
#include "format/weights.h"
#include "format/weights_build.h"

#define DATA "tests/unit/data/"

static float at(const ego_weights *w, const char *name, int64_t i) {
    const ego_tensor *t = ego_weights_find(w, name);
    float value = NAN;
    if (CHECK(t && i < ego_tensor_count(t)))
        ego_to_f32((const char *)t->data + (size_t)i * ego_dtype_bytes(t->dtype), t->dtype, &value,
                   1);
    return value;
}

static void check_shape(const ego_weights *w, const char *name, ego_dtype dtype,
                        const char *shape) {
    const ego_tensor *t = ego_weights_find(w, name);
    char text[EGO_SHAPE_TEXT];
    if (!CHECK(t != NULL)) return;
    CHECK_STR(ego_dtype_name(t->dtype), ego_dtype_name(dtype));
    CHECK_STR(ego_shape_text(t->shape, t->ndim, text), shape);
    CHECK((uintptr_t)t->data % ego_dtype_bytes(t->dtype) == 0);
}

static bool skipped(const ego_weights *w, const char *line) {
    for (size_t i = 0; i < ego_weights_skipped_count(w); i++)
        if (strcmp(ego_weights_skipped(w, i), line) == 0) return true;
    fprintf(stderr, "not listed as skipped: %s\n", line);
    return false;
}

static void check_everything(const char *path, const char *format) {
    static const struct {
        const char *name;
        ego_dtype dtype;
    } ramps[] = {{"float16", EGO_F16}, {"bfloat16", EGO_BF16}, {"float64", EGO_F64},
                 {"int64", EGO_I64},   {"int32", EGO_I32},     {"int16", EGO_I16},
                 {"int8", EGO_I8},     {"uint8", EGO_U8}};
    ego_weights *w;
    if (!CHECK_OK(ego_weights_open(path, &w))) return;
    CHECK_STR(ego_weights_format(w), format);
    CHECK_STR(ego_weights_path(w), path);
    CHECK(ego_weights_count(w) == 19);
    for (size_t i = 1; i < ego_weights_count(w); i++)
        CHECK(strcmp(ego_weights_name(w, i - 1), ego_weights_name(w, i)) < 0);
    for (size_t i = 0; i < sizeof ramps / sizeof *ramps; i++) {
        check_shape(w, ramps[i].name, ramps[i].dtype, "[5]");
        for (int64_t k = 0; k < 5; k++) CHECK(at(w, ramps[i].name, k) == (float)(k + 1));
    }
    check_shape(w, "f32", EGO_F32, "[2, 3]");
    for (int64_t k = 0; k < 6; k++) CHECK(at(w, "f32", k) == (float)k / 4);
    check_shape(w, "bool", EGO_BOOL, "[3]");
    CHECK(at(w, "bool", 0) == 1 && at(w, "bool", 1) == 0 && at(w, "bool", 2) == 1);
    check_shape(w, "scalar", EGO_F32, "[]");
    CHECK(at(w, "scalar", 0) == 2.5f);
    check_shape(w, "empty", EGO_F32, "[0, 3]");
    check_shape(w, "parameter", EGO_F32, "[4]");
    CHECK(at(w, "parameter", 3) == 3);

    check_shape(w, "transposed", EGO_F32, "[4, 3]");
    for (int64_t i = 0; i < 4; i++)
        for (int64_t k = 0; k < 3; k++) CHECK(at(w, "transposed", i * 3 + k) == (float)(k * 4 + i));
    check_shape(w, "permuted", EGO_F32, "[4, 2, 3]");
    for (int64_t i = 0; i < 24; i++)
        CHECK(at(w, "permuted", i) == (float)(i / 3 % 2 * 12 + i % 3 * 4 + i / 6));
    for (int64_t i = 0; i < 6; i++) CHECK(at(w, "expanded", i) == 7);
    for (int64_t i = 0; i < 5; i++) CHECK(at(w, "sliced", i) == (float)(5 + 2 * i));
    for (int64_t i = 0; i < 4; i++) CHECK(at(w, "shared_b", i) == at(w, "shared_a", 4 + i));

    CHECK(skipped(w, "module.complex: elements of class torch.ComplexFloatStorage, skipped"));
    CHECK(skipped(w, "module.six: more than 5 dimensions, skipped"));
    CHECK(skipped(w, "module.sparse: torch._utils._rebuild_sparse_tensor, skipped"));
    CHECK(skipped(w, "module.quantised: torch._utils._rebuild_qtensor, skipped"));
    CHECK(skipped(w, "module.count: int, skipped"));
    CHECK(skipped(w, "optimizer: dict, skipped"));
    CHECK(skipped(w, "config: parse_config.ConfigParser, skipped"));
    CHECK(ego_weights_metadata(w, "anything") == NULL);
    CHECK(ego_weights_find(w, "module.f32") == NULL);
    ego_weights_close(w);
}

static void check_two(const char *path) {
    ego_weights *w;
    if (!CHECK_OK(ego_weights_open(path, &w))) return;
    CHECK(ego_weights_count(w) == 2);
    check_shape(w, "a", EGO_F32, "[3]");
    check_shape(w, "b", EGO_F32, "[2]");
    CHECK(at(w, "a", 2) == 2 && at(w, "b", 1) == 1);
    CHECK(skipped(w, "note: str, skipped"));
    ego_weights_close(w);
}

static void check_nested(void) {
    ego_weights *w;
    if (!CHECK_OK(ego_weights_open(DATA "nested.pth", &w))) return;
    CHECK(ego_weights_count(w) == 2);
    check_shape(w, "x.w", EGO_F32, "[2]");
    check_shape(w, "y.w", EGO_F32, "[3]");
    CHECK(skipped(w, "z: list, skipped"));
    ego_weights_close(w);
}

static void check_refused(const char *path, ego_err code, const char *word) {
    ego_weights *w = NULL;
    CHECK_ERR(code, ego_weights_open(path, &w));
    if (!CHECK(strstr(ego_err_message(), word) && strstr(ego_err_message(), path)))
        fprintf(stderr, "    message: %s\n", ego_err_message());
    ego_weights_close(w);
}

/* A tar of PyTorch 0.1 has its mark at offset 257. */
static void check_tar(void) {
    uint8_t tar[1024] = {0};
    ego_weights *w;
    memcpy(tar + 257, "ustar", 5);
    CHECK_ERR(EGO_EUNSUPPORTED, ego__weights_open_memory("old.pth", tar, sizeof tar, &w));
    CHECK(strstr(ego_err_message(), "tar format") != NULL);
}

/* ---- the pickle machine on its own ----------------------------------------------------------------- */

static ego_err run(ego_pickle *p, const char *text, size_t n, const ego_pickle_value **root) {
    size_t used = 0;
    ego_err err = ego_pickle_read(p, (const uint8_t *)text, n, &used, root);
    if (err == EGO_OK) CHECK(used == n);
    return err;
}
#define RUN(text, root) run(&p, text, sizeof text - 1, root)

static void check_pickle_values(void) {
    ego_pickle p;
    const ego_pickle_value *v;
    int64_t i;
    ego_pickle_init(&p);
    CHECK_OK(RUN("J\xfe\xff\xff\xff.", &v));
    CHECK(ego_pickle_integer(v, &i) && i == -2);
    CHECK_OK(RUN("\x8a\x02\x00\x80.", &v));
    CHECK(ego_pickle_integer(v, &i) && i == -32768);
    CHECK_OK(RUN("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.", &v));
    CHECK(ego_pickle_integer(v, &i) && i == INT64_MAX);
    CHECK_OK(RUN("L-12L\n.", &v));
    CHECK(ego_pickle_integer(v, &i) && i == -12);
    CHECK_OK(RUN("I01\n.", &v));
    CHECK(v->kind == EGO_PICKLE_BOOL && v->integer == 1);
    CHECK_OK(RUN("S'abc'\n.", &v));
    CHECK(ego_pickle_is_text(v, "abc"));
    CHECK_OK(RUN("G\x3f\xf8\0\0\0\0\0\0.", &v));
    CHECK(v->kind == EGO_PICKLE_FLOAT && v->real == 1.5);
    CHECK_OK(RUN("(K\1K\2l.", &v));
    CHECK(v->kind == EGO_PICKLE_LIST && v->count == 2);
    CHECK(ego_pickle_integer(ego_pickle_element(v, 1), &i) && i == 2);
    CHECK(ego_pickle_element(v, 2) == NULL);
    /* Named classes are only names, whatever they would do. */
    CHECK_OK(RUN("cos\nsystem\n(S'false'\ntR.", &v));
    CHECK_STR(ego_pickle_type(v), "os.system");
    CHECK_OK(RUN("(ios\nsystem\n.", &v));
    CHECK_STR(ego_pickle_type(v), "os.system");
    CHECK_OK(RUN("(cos\nsystem\nK\1o}b.", &v));
    CHECK_STR(ego_pickle_type(v), "os.system");
    CHECK_OK(RUN("\x8c\x02os\x8c\x06system\x93)\x81.", &v));
    CHECK_STR(ego_pickle_type(v), "os.system");
    CHECK_OK(RUN("\x8f\x94(K\1K\2\x90h\0\x86.", &v));
    CHECK(v->kind == EGO_PICKLE_TUPLE && v->first->value == v->first->next->value);
    /* A list that holds itself is a value like any other. */
    CHECK_OK(RUN("]q\0h\0a.", &v));
    CHECK(ego_pickle_element(v, 0) == v);
    ego_pickle_release(&p);
}

static void check_pickle_faults(void) {
    static const struct {
        const char *text;
        size_t n;
    } bad[] = {
#define BAD(text) {text, sizeof text - 1}
        BAD(""),
        BAD("."),
        BAD("0."),
        BAD("K"),
        BAD("N"),
        BAD("t."),
        BAD("(."),
        BAD("NNs."),
        BAD("NNNs."),
        BAD("}(Nu."),
        BAD("h\0."),
        BAD("r\xff\xff\xff\xff."),
        BAD("q\0."),
        BAD("\x80\x09N."),
        BAD("\xff."),
        BAD("c\n"),
        BAD("cos\n."),
        BAD("NN\x93."),
        BAD("Inope\n."),
        BAD("S'abc\n."),
        BAD("X\xff\xff\xff\xffN."),
        BAD("\x8b\xff\xff\xff\x7fN."),
        BAD("NR."),
        BAD("(NNd}b"),
        BAD("o."),
        BAD("g9\n."),
        BAD("(N)e."),
        BAD("\x8d\xff\xff\xff\xff\xff\xff\xff\xffN."),
#undef BAD
    };
    const ego_pickle_value *v;
    size_t used;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ego_pickle p;
        ego_pickle_init(&p);
        ego_err err = ego_pickle_read(&p, (const uint8_t *)bad[i].text, bad[i].n, &used, &v);
        bool too_new = bad[i].text[0] == (char)0x80;
        if (!CHECK(err == (too_new ? EGO_EUNSUPPORTED : EGO_EFORMAT)))
            fprintf(stderr, "    case %zu\n", i);
        ego_pickle_release(&p);
    }
}

/* Two bytes an element cannot grow into gigabytes: the limit on memory stops it. */
static void check_pickle_memory(void) {
    size_t n = 16 << 20, used;
    uint8_t *text = malloc(n);
    const ego_pickle_value *v;
    ego_pickle p;
    ego_pickle_init(&p);
    for (size_t i = 0; i < n; i += 2) memcpy(text + i, "N0", 2);
    CHECK_ERR(EGO_EFORMAT, ego_pickle_read(&p, text, n, &used, &v));
    CHECK(strstr(ego_err_message(), "MiB") != NULL);
    ego_pickle_release(&p);
    free(text);
}

int main(void) {
    check_everything(DATA "zip.pth", "torch zip");
    check_everything(DATA "zip-protocol5.pth", "torch zip");
    check_everything(DATA "legacy.pth", "torch legacy");
    check_everything(DATA "legacy-protocol4.pth", "torch legacy");
    check_two(DATA "plain.pth");
    check_two(DATA "model-member.pth");
    check_two(DATA "zip64.pth");
    check_nested();
    check_refused(DATA "no-tensors.pth", EGO_EFORMAT, "no tensors");
    check_refused(DATA "module.pth", EGO_EFORMAT, "parse_config.Wrapped");
    check_refused(DATA "deflated.pth", EGO_EUNSUPPORTED, "compressed");
    check_refused(DATA "big-endian.pth", EGO_EUNSUPPORTED, "big-endian");
    check_refused(DATA "f4.npy", EGO_EFORMAT, "neither");
    check_refused(DATA, EGO_EIO, "directory");
    check_refused("no such file", EGO_EIO, "No such file");
    check_tar();
    check_pickle_values();
    check_pickle_faults();
    check_pickle_memory();
    return check_done();
}
