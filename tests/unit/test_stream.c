/* The embedding stream: round trips through files and pipes, concatenation, cuts and damage. */
#include "check.h"
#include "format/stream.h"

#include "base/buf.h"
#include "base/file.h"

#include <unistd.h>

static const char *const path = "/tmp/ego-test.stream";
static const char *const model = "0123abcd";
static float values[6] = {0, 1, 2, 3, 4, 5};
static int8_t small[3] = {-2, 0, 2};
static uint16_t half[2] = {0x3C00, 0xC000}; /* 1, -2 */

static ego_stream_record record(const char *id, const char *part) {
    return (ego_stream_record){
        .id = id, .id_bytes = strlen(id), .part = part, .model = model, .scale = 1};
}

/* Five records: two of floats, a failed one, 16 and 8 bits. */
static void write_all(FILE *out) {
    ego_stream_record r = record("\"a 1\"", "video");
    r.tensor = (ego_tensor){values, EGO_F32, 1, {6}};
    CHECK_OK(ego_stream_write(out, &r, "\"start\":1.50,\"text\":\"caf\xC3\xA9\""));
    r = record("7", "text");
    r.tensor = (ego_tensor){values, EGO_F32, 2, {2, 3}};
    CHECK_OK(ego_stream_write(out, &r, NULL));
    r = record("{\"k\":[1,2]}", NULL);
    r.error = "no such \"video\"";
    r.model = NULL;
    CHECK_OK(ego_stream_write(out, &r, ""));
    r = record("8", "text");
    r.tensor = (ego_tensor){half, EGO_F16, 1, {2}};
    CHECK_OK(ego_stream_write(out, &r, NULL));
    r = record("9", "fused");
    r.tensor = (ego_tensor){small, EGO_I8, 1, {3}};
    r.scale = 0.5f;
    CHECK_OK(ego_stream_write(out, &r, NULL));
}

enum { RECORDS = 5 };

static void check_id(const ego_stream_record *r, const char *id) {
    CHECK(r->id_bytes == strlen(id) && memcmp(r->id, id, r->id_bytes) == 0);
}

static void check_all(ego_stream *s, uint64_t first) {
    ego_stream_record r;
    float out[6];
    double start;
    const char *text;
    if (!CHECK_OK(ego_stream_next(s, &r))) return;
    check_id(&r, "\"a 1\"");
    CHECK_STR(r.part, "video");
    CHECK_STR(r.model, model);
    CHECK(r.number == first && !r.error);
    CHECK(r.tensor.ndim == 1 && r.tensor.shape[0] == 6 && ego_f32(&r.tensor)[5] == 5);
    CHECK(ego_json_number(ego_json_get(r.json, "start"), &start) && start == 1.5);
    CHECK(ego_json_string(ego_json_get(r.json, "text"), &text) && strcmp(text, "caf\xC3\xA9") == 0);
    CHECK((r.header_bytes + 1) % 64 == 0 && r.header[0] == '{');
    if (!CHECK_OK(ego_stream_next(s, &r))) return;
    check_id(&r, "7");
    CHECK(r.tensor.ndim == 2 && r.tensor.shape[1] == 3);
    if (!CHECK_OK(ego_stream_next(s, &r))) return;
    check_id(&r, "{\"k\":[1,2]}");
    CHECK_STR(r.error, "no such \"video\"");
    CHECK(r.tensor.data == NULL && ego_tensor_count(&r.tensor) == 0 && !r.part && !r.model);
    if (!CHECK_OK(ego_stream_next(s, &r))) return;
    CHECK(r.tensor.dtype == EGO_F16);
    ego_stream_to_f32(&r, out);
    CHECK(out[0] == 1 && out[1] == -2);
    if (!CHECK_OK(ego_stream_next(s, &r))) return;
    CHECK_STR(r.part, "fused");
    CHECK(r.tensor.dtype == EGO_I8 && r.scale == 0.5f && r.number == first + 4);
    ego_stream_to_f32(&r, out);
    CHECK(out[0] == -1 && out[1] == 0 && out[2] == 1);
}

/* Twice the same in one file, as `cat a a` makes it; the second is not aligned. */
static void check_round_trip(void) {
    ego_stream *s;
    ego_stream_record r;
    FILE *out = fopen(path, "wb");
    write_all(out);
    write_all(out);
    fclose(out);

    CHECK_OK(ego_stream_open(path, &s));
    CHECK(ego_stream_is_mapped(s));
    check_all(s, 1);
    check_all(s, 1 + RECORDS);
    CHECK_ERR(EGO_EEND, ego_stream_next(s, &r));
    CHECK_ERR(EGO_EEND, ego_stream_next(s, &r));
    ego_stream_close(s);

    FILE *in = fopen(path, "rb");
    CHECK_OK(ego_stream_open_pipe(in, "pipe", &s));
    CHECK(!ego_stream_is_mapped(s));
    check_all(s, 1);
    check_all(s, 1 + RECORDS);
    CHECK_ERR(EGO_EEND, ego_stream_next(s, &r));
    ego_stream_close(s);
    fclose(in);
}

/* Elements of a mapped stream outlive the following calls, aligned in the file or not. */
static void check_lifetime(void) {
    ego_stream *s;
    ego_stream_record r[2 * RECORDS];
    CHECK_OK(ego_stream_open(path, &s));
    for (int i = 0; i < 2 * RECORDS; i++) CHECK_OK(ego_stream_next(s, &r[i]));
    CHECK(ego_f32(&r[0].tensor)[5] == 5 && ego_f32(&r[5].tensor)[5] == 5);
    CHECK((uintptr_t)r[0].tensor.data % 64 == 0);
    CHECK((uintptr_t)r[5].tensor.data % 4 == 0);
    ego_stream_close(s);
}

static ego_err read_pipe(FILE *in, uint64_t *whole) {
    ego_stream *s;
    ego_stream_record r;
    ego_err err;
    *whole = 0;
    CHECK_OK(ego_stream_open_pipe(in, "pipe", &s));
    while ((err = ego_stream_next(s, &r)) == EGO_OK) ++*whole;
    ego_stream_close(s);
    return err;
}

static ego_err read_memory(const uint8_t *data, size_t size, uint64_t *whole) {
    ego_stream *s;
    ego_stream_record r;
    ego_err err;
    *whole = 0;
    CHECK_OK(ego__stream_open_memory(data, size, &s));
    while ((err = ego_stream_next(s, &r)) == EGO_OK) ++*whole;
    ego_stream_close(s);
    return err;
}

/* Cut at every byte: whole records come out, then the end (only at a border) or an error. */
static void check_cuts(void) {
    ego_map map;
    size_t border = 0;
    FILE *out = fopen(path, "wb");
    write_all(out);
    fclose(out);
    CHECK_OK(ego_map_open(path, &map));
    for (size_t size = 0; size <= map.size; size++) {
        const char *cut_path = "/tmp/ego-test-cut.stream";
        uint64_t records, bytes, piped, whole;
        uint8_t *copy = malloc(size + 1);
        memcpy(copy, map.data, size);
        ego_err err = read_memory(copy, size, &records);
        CHECK(err == EGO_EEND || err == EGO_EFORMAT);
        if (err == EGO_EEND) border = size;
        if (err == EGO_EFORMAT)
            CHECK(strstr(ego_err_message(), "cut short") && strstr(ego_err_message(), "record"));
        if (size % 5 == 0 || err == EGO_EEND) {
            FILE *in = size ? fmemopen(copy, size, "rb") : NULL;
            if (in) {
                CHECK(read_pipe(in, &piped) == err && piped == records);
                fclose(in);
            }
            CHECK_OK(ego_write_file(cut_path, copy, size));
            CHECK_OK(ego_stream_whole(cut_path, &bytes, &whole));
            CHECK(bytes == border && whole == records);
            unlink(cut_path);
        }
        free(copy);
    }
    CHECK(border == map.size);
    ego_map_close(&map);
    unlink(path);
}

static void check_header(ego_err code, const char *header, size_t data, const char *word) {
    ego_buf buf = {0};
    ego_stream *s;
    ego_stream_record r;
    static const char zeros[64];
    ego_buf_text(&buf, header);
    ego_buf_append(&buf, zeros, data);
    CHECK_OK(ego__stream_open_memory((const uint8_t *)buf.data, buf.len, &s));
    CHECK_ERR(code, ego_stream_next(s, &r));
    if (code != EGO_OK && !CHECK(strstr(ego_err_message(), word) != NULL))
        fprintf(stderr, "    message: %s\n", ego_err_message());
    ego_stream_close(s);
    ego_buf_release(&buf);
}

#define REST "\"part\":\"video\",\"model\":\"m\",\"dtype\":\"f32\""

static void check_headers(void) {
    uint64_t bytes, records;
    check_header(EGO_OK, "{\"id\":1," REST ",\"shape\":[2]}\n", 8, "");
    check_header(EGO_OK, "{\"id\":1," REST ",\"shape\":[]}\n", 4, "");
    check_header(EGO_OK, "{\"id\":1," REST ",\"shape\":[0,5]}\n", 0, "");
    check_header(EGO_OK, "{\"error\":\"x\",\"id\":null}\n", 0, "");
    check_header(EGO_EFORMAT, "{\"id\":1," REST ",\"shape\":[2]}\n", 7,
                 "8 bytes of elements expected, 7");
    check_header(EGO_EFORMAT, "{" REST ",\"shape\":[2]}\n", 8, "\"id\"");
    check_header(EGO_EFORMAT, "{\"id\":1," REST "}\n", 8, "shape");
    check_header(EGO_EFORMAT, "{\"id\":1," REST ",\"shape\":[2.5]}\n", 8, "shape");
    check_header(EGO_EFORMAT, "{\"id\":1," REST ",\"shape\":[-2]}\n", 8, "shape");
    check_header(EGO_EFORMAT, "{\"id\":1," REST ",\"shape\":[1,1,1,1,1,2]}\n", 8, "dimensions");
    check_header(EGO_EFORMAT, "{\"id\":1," REST ",\"shape\":[1000000,1000000]}\n", 8, "limit");
    check_header(EGO_EFORMAT, "{\"id\":1," REST ",\"shape\":[4294967296,4294967296]}\n", 8,
                 "limit");
    check_header(EGO_EFORMAT, "{\"id\":1,\"part\":\"video\",\"model\":\"m\",\"shape\":[2]}\n", 8,
                 "dtype");
    check_header(EGO_EFORMAT,
                 "{\"id\":1,\"part\":\"v\",\"model\":\"m\",\"dtype\":\"f64\",\"shape\":[2]}\n", 8,
                 "f64");
    check_header(EGO_EFORMAT,
                 "{\"id\":1,\"part\":\"v\",\"model\":\"m\",\"dtype\":\"i8\",\"shape\":[2]}\n", 8,
                 "scale");
    check_header(EGO_EFORMAT, "{\"id\":1,\"dtype\":\"f32\",\"shape\":[2]}\n", 8, "part");
    check_header(EGO_EFORMAT, "{\"id\":1,\n", 8, "JSON");
    check_header(EGO_EFORMAT, "\n", 8, "'{'");
    check_header(EGO_EFORMAT, "not a stream", 0, "'{'");
    /* Nobody's text file is taken for a cut stream, to be emptied by --resume. */
    CHECK_OK(ego_write_file(path, "a diary", 7));
    CHECK_ERR(EGO_EFORMAT, ego_stream_whole(path, &bytes, &records));
    unlink(path);
}

static void check_limits(void) {
    ego_buf line = {0};
    uint64_t records;
    ego_buf_text(&line, "{\"id\":\"");
    while (line.len <= EGO_STREAM_MAX_HEADER) ego_buf_char(&line, 'x');
    CHECK(read_memory((const uint8_t *)line.data, line.len, &records) == EGO_EFORMAT);
    CHECK(strstr(ego_err_message(), "no end") != NULL);
    FILE *in = fmemopen(line.data, line.len, "rb");
    CHECK(read_pipe(in, &records) == EGO_EFORMAT);
    CHECK(strstr(ego_err_message(), "no end") != NULL);
    fclose(in);

    FILE *out = fopen("/dev/null", "wb");
    ego_stream_record r = record("1", "video");
    r.tensor = (ego_tensor){values, EGO_F64, 1, {1}};
    CHECK_ERR(EGO_EINPUT, ego_stream_write(out, &r, NULL));
    r.tensor = (ego_tensor){values, EGO_F32, 1, {1}};
    CHECK_ERR(EGO_EINPUT, ego_stream_write(out, &r, line.data));
    fclose(out);
    out = fopen("/dev/full", "wb");
    if (out) {
        setvbuf(out, NULL, _IONBF, 0);
        CHECK_ERR(EGO_EIO, ego_stream_write(out, &r, NULL));
        fclose(out);
    }
    ego_buf_release(&line);
}

int main(void) {
    ego_stream *s;
    check_round_trip();
    check_lifetime();
    check_cuts();
    check_headers();
    check_limits();
    CHECK_ERR(EGO_EIO, ego_stream_open("no such file", &s));
    return check_done();
}
