/* An index read again: whole files only, found by what has not changed. */
#include "check.h"

#include "base/file.h"
#include "base/hash.h"
#include "format/stream.h"
#include "task/index.h"

static char *bytes;
static size_t size;
static FILE *out;

static void put(const char *id, const char *part, size_t n, const char *extra) {
    float elements[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    ego_stream_record r = {.id = id, .id_bytes = strlen(id), .part = part, .model = "m", .scale = 1};
    r.tensor = (ego_tensor){elements, EGO_F32, 1, {(int64_t)n}};
    CHECK_OK(ego_stream_write(out, &r, extra));
}

static void put_head(void) {
    put("\"index\"", "index", 0, "\"made\":\"0123\",\"window\":4,\"stride\":2");
}

static void put_file(const char *id, int clips, const char *content) {
    char extra[256];
    snprintf(extra, sizeof extra,
             "\"size\":5,\"changed\":\"12.000000034\",\"sha256\":\"%s\",\"duration\":6.5,\"t\":0,\"clips\":%d",
             content, clips);
    put(id, "file", 0, extra);
}

static void put_error(void) {
    ego_stream_record r = {.id = "1", .id_bytes = 1, .error = "why", .scale = 1};
    CHECK_OK(ego_stream_write(out, &r, NULL));
}

static void begin(void) { out = open_memstream(&bytes, &size); }

static ego_err parse(ego_index *x) {
    fclose(out);
    ego_err err = ego__index_parse((const uint8_t *)bytes, size, x);
    return err;
}

static void whole_files(void) {
    ego_index x;
    begin();
    put_head();
    put_file("\"b\"", 2, "bb");
    put("1", "video", 3, NULL);
    put_error();
    put("9", "video", 3, NULL); /* one too many */
    put_file("\"gone\"", 2, "cc");
    put("1", "video", 3, NULL);
    put_file("\"a\"", 1, "aa");
    put("1", "video", 3, NULL);
    put_file("\"last\"", 2, "dd");
    put("1", "video", 3, NULL);
    if (CHECK_OK(parse(&x))) {
        CHECK(x.window == 4 && x.stride == 2 && x.dim == 3);
        CHECK_STR(x.made, "0123");
        CHECK(x.n_files == 2);
        CHECK_STR(x.files[0].path, "a");
        CHECK_STR(x.files[1].path, "b");
        CHECK(x.files[1].clips == 2 && x.files[1].seconds == 12 && x.files[1].nanoseconds == 34);
        CHECK(x.clips[x.files[1].first].vector && x.clips[x.files[1].first].vector[2] == 3);
        CHECK_STR(x.clips[x.files[1].first + 1].error, "why");
        ego_index_close(&x);
    }
    free(bytes);
}

static void damage(void) {
    ego_index x;
    begin();
    put_head();
    put_file("\"a\"", 1, "aa");
    put("1", "video", 3, NULL);
    put_file("\"b\"", 1, "bb");
    put("1", "video", 2, NULL); /* of another length */
    put_file("\"c\"", 1, "cc");
    put("1", "video", 3, NULL);
    if (CHECK_OK(parse(&x))) {
        CHECK(x.n_files == 1);
        ego_index_close(&x);
    }
    for (size_t n = 0; n < size; n++) { /* cut anywhere */
        ego_err err = ego__index_parse((const uint8_t *)bytes, n, &x);
        CHECK(err == EGO_OK || err == EGO_EINPUT);
        if (err == EGO_OK) ego_index_close(&x);
    }
    free(bytes);
    begin();
    put_file("\"a\"", 1, "aa");
    CHECK_ERR(EGO_EINPUT, parse(&x));
    free(bytes);
    CHECK_OK(ego_index_open("/no/such/index", &x));
    CHECK(x.n_files == 0);
    ego_index_close(&x);
}

static void found(void) {
    static const char path[] = "/tmp/ego-test-index-file";
    ego_index x;
    char hex[65], content[65] = "";
    const ego_index_file *f;
    CHECK_OK(ego_write_file(path, "12345", 5));
    CHECK_OK(ego_sha256_file(path, hex));
    begin();
    put_head();
    put_file("\"kept\"", 1, "aa");
    put("1", "video", 3, NULL);
    put_file("\"renamed\"", 1, hex);
    put("1", "video", 3, NULL);
    if (!CHECK_OK(parse(&x))) return;
    ego_folder_file file = {.path = (char[]){"kept"}, .size = 5, .seconds = 12, .nanoseconds = 34};
    CHECK_OK(ego_index_find(&x, &file, content, &f));
    CHECK(f && strcmp(f->path, "kept") == 0 && !content[0]);
    file = (ego_folder_file){.path = (char *)(uintptr_t)path, .size = 5};
    CHECK_OK(ego_index_find(&x, &file, content, &f));
    CHECK(f && strcmp(f->path, "renamed") == 0);
    CHECK_STR(content, hex);
    content[0] = '\0';
    file.size = 6; /* no file of that size: it is not read */
    CHECK_OK(ego_index_find(&x, &file, content, &f));
    CHECK(!f && !content[0]);
    ego_index_close(&x);
    free(bytes);
    remove(path);
}

int main(void) {
    whole_files();
    damage();
    found();
    return check_done();
}
