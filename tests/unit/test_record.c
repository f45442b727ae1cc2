/* Records: what is accepted, what is refused and how it is said, what comes out again byte for byte. */
#include "base/lines.h"
#include "base/options.h"
#include "base/progress.h"
#include "base/provenance.h"
#include "check.h"
#include "data/record.h"

#include <unistd.h>

static const char *const reads[] = {"choices", NULL};
static const char *const writes[] = {"score", "rank", NULL};
static const ego_record_rules rules = {reads, writes};

static ego_err parse(const char *text, ego_record *record) {
    return ego_record_parse(text, strlen(text), "clips.jsonl", 12, 40, &rules, record);
}

static void test_members(void) {
    ego_record r;
    CHECK_OK(parse("{\"id\":\"a\\u00e91\", \"video\":\"kitchen.mp4\",\"start\":12.0,\"end\":14.5,"
                   "\"text\":\"#C C picks\",\"choices\":[1]}",
                   &r));
    CHECK_STR(r.label, "clips.jsonl:12");
    CHECK_STR(r.id, "\"a\\u00e91\"");
    CHECK_STR(r.video, "kitchen.mp4");
    CHECK_STR(r.text, "#C C picks");
    CHECK(r.start == 12 && r.end == 14.5 && !r.frames && !r.tokens);
    CHECK(r.has == (EGO_RECORD_VIDEO | EGO_RECORD_START | EGO_RECORD_END | EGO_RECORD_TEXT));
    CHECK(ego_json_is_array(ego_json_get(r.json, "choices")) && r.n_extras == 0);
    ego_record_release(&r);
    ego_record_release(&r);

    CHECK_OK(parse("{\"frames\":\"clip.npy\",\"tokens\":[0, 9226,2]}", &r));
    CHECK_STR(r.id, "40");
    CHECK_STR(r.frames, "clip.npy");
    CHECK(r.n_tokens == 3 && r.tokens[1] == 9226 && r.start == 0);
    ego_record_release(&r);
    CHECK_OK(parse("{\"id\":1e2,\"video\":\"v\",\"start\":3}", &r));
    CHECK_STR(r.id, "1e2");
    CHECK(r.has == (EGO_RECORD_VIDEO | EGO_RECORD_START));
    ego_record_release(&r);
    CHECK_OK(parse("{}", &r));
    ego_record_release(&r);
}

static void test_output(void) {
    ego_record r;
    ego_buf line = {0};
    CHECK_OK(parse(
        "{ \"mine\" : [1,  2e3, {\"x\":\"\\u00e9\"}] ,\"end\":2.50,\"id\":\"a\",\"video\":\"v\","
        "\"n\\u0061me\":1.0,\"choices\":[]}",
        &r));
    ego_record_begin(&r, &line);
    ego_buf_json_key(&line, "score");
    ego_buf_json_double(&line, 0.5);
    ego_record_close(&r, EGO_RECORD_CLIP, &line);
    CHECK_STR(line.data, "{\"id\":\"a\",\"score\":0.5,\"video\":\"v\",\"end\":2.50,"
                         "\"mine\":[1,  2e3, {\"x\":\"\\u00e9\"}],\"n\\u0061me\":1.0}");
    ego_buf_clear(&line);
    ego_record_begin(&r, &line);
    ego_record_close(&r, 0, &line);
    CHECK_STR(line.data,
              "{\"id\":\"a\",\"mine\":[1,  2e3, {\"x\":\"\\u00e9\"}],\"n\\u0061me\":1.0}");
    ego_buf_clear(&line);
    ego_record_error(&r, "no \"such\" file\n", &line);
    CHECK_STR(line.data, "{\"id\":\"a\",\"error\":\"no \\\"such\\\" file\\n\"}");
    ego_buf_release(&line);
    ego_record_release(&r);
}

static void test_refusals(void) {
    static const struct {
        const char *text, *id, *message; /* a part of the message */
    } cases[] = {
        {"", "40", "JSON"},
        {"[1]", "40", "expected a JSON object, found an array"},
        {"{\"id\":1", "40", "JSON"},
        {"{\"id\":[1]}", "40", "\"id\": expected a string or a number, found an array"},
        {"{\"id\":null}", "40", "found null"},
        {"{\"video\":1,\"id\":7}", "7", "\"video\": expected a string, found a number"},
        {"{\"video\":\"\"}", "40", "expected a path"},
        {"{\"frames\":{}}", "40", "\"frames\": expected a string, found an object"},
        {"{\"video\":\"v\",\"start\":\"1\"}", "40", "\"start\": expected seconds"},
        {"{\"video\":\"v\",\"start\":-1}", "40", "from 0 up"},
        {"{\"video\":\"v\",\"start\":1e999}", "40", "\"start\": expected seconds"},
        {"{\"video\":\"v\",\"start\":2,\"end\":2}", "40", "\"start\" before \"end\""},
        {"{\"video\":\"v\",\"end\":0}", "40", "\"start\" before \"end\""},
        {"{\"start\":1}", "40", "there is none"},
        {"{\"frames\":\"a.npy\",\"end\":1}", "40", "there is none"},
        {"{\"video\":\"v\",\"frames\":\"f\"}", "40", "found both"},
        {"{\"text\":[]}", "40", "\"text\": expected a string"},
        {"{\"text\":\"a\",\"tokens\":[1]}", "40", "found both"},
        {"{\"tokens\":[]}", "40", "empty array"},
        {"{\"tokens\":[0,-1]}", "40", "at index 1"},
        {"{\"tokens\":[0.5]}", "40", "at index 0"},
        {"{\"tokens\":\"0\"}", "40", "an array of integers"},
        {"{\"x\":1,\"x\":2}", "40", "\"x\" is given twice"},
        {"{\"x\":1,\"\\u0078\":2}", "40", "\"x\" is given twice"},
        {"{\"id\":1,\"id\":2}", "1", "\"id\" is given twice"},
        {"{\"score\":1,\"id\":\"q\"}", "\"q\"", "\"score\" would collide"},
        {"{\"provenance\":1}", "40", "would collide"},
        {"{\"error\":\"x\"}", "40", "would collide"},
        {"{\"text\":\"\xff\"}", "40", "expected UTF-8, found byte 0xff at offset 9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ego_record r;
        ego_err err = parse(cases[i].text, &r);
        CHECK(err == EGO_EINPUT || err == EGO_EFORMAT);
        if (!CHECK(strstr(ego_err_message(), cases[i].message) != NULL))
            fprintf(stderr, "    %s: %s\n", cases[i].text, ego_err_message());
        CHECK_STR(r.id, cases[i].id);
        CHECK_STR(r.label, "clips.jsonl:12");
        ego_record_release(&r);
    }
}

static void test_many_members(void) {
    ego_buf text = {0};
    ego_record r;
    for (int n = EGO_RECORD_MAX_MEMBERS; n <= EGO_RECORD_MAX_MEMBERS + 1; n++) {
        ego_buf_clear(&text);
        for (int i = 0; i < n; i++) ego_buf_printf(&text, "%s\"m%d\":%d", i ? "," : "{", i, i);
        ego_buf_char(&text, '}');
        if (n == EGO_RECORD_MAX_MEMBERS)
            CHECK_OK(parse(text.data, &r));
        else
            CHECK_ERR(EGO_EINPUT, parse(text.data, &r));
        ego_record_release(&r);
    }
    ego_buf_release(&text);
}

static void check_id(double start, double end, const char *want) {
    ego_buf id = {0};
    ego_media_id(&id, "k.mp4", start, end);
    CHECK_STR(id.data, want);
    ego_buf_release(&id);
}

static void test_media(void) {
    check_id(2, 6, "k.mp4#t=2,6");
    check_id(0, 0.1 + 0.2, "k.mp4#t=0,0.3");
    check_id(1.0 / 3, 1e6 + 0.25, "k.mp4#t=0.333333,1000000.25");

    ego_record r;
    ego_buf line = {0};
    CHECK_OK(ego_record_window("my \"k\".mp4", 2, 6.5, &r));
    CHECK(r.start == 2 && r.end == 6.5 && (r.has & EGO_RECORD_END));
    CHECK_STR(r.video, "my \"k\".mp4");
    CHECK_STR(r.label, "my \"k\".mp4#t=2,6.5");
    ego_record_begin(&r, &line);
    ego_record_close(&r, EGO_RECORD_ALL, &line);
    CHECK_STR(line.data,
              "{\"id\":\"my \\\"k\\\".mp4#t=2,6.5\",\"video\":\"my \\\"k\\\".mp4\",\"start\":2,"
              "\"end\":6.5}");
    ego_record_release(&r);
    ego_buf_clear(&line);
    CHECK_OK(ego_record_whole("k.mp4", &r));
    ego_record_begin(&r, &line);
    ego_record_close(&r, EGO_RECORD_ALL, &line);
    CHECK_STR(line.data, "{\"id\":\"k.mp4\",\"video\":\"k.mp4\"}");
    ego_record_release(&r);
    ego_buf_release(&line);

    CHECK(ego_window_count(10, 4, 2) == 4); /* 0-4 2-6 4-8 6-10 */
    CHECK(ego_window_count(10.5, 4, 2) == 5);
    CHECK(ego_window_count(3, 4, 2) == 1);
    CHECK(ego_window_count(4, 4, 2) == 1);
    CHECK(ego_window_count(10, 2, 2) == 5);
    CHECK(ego_window_count(0.3, 0.1, 0.1) == 3);
}

static void test_lines(void) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    int saved = dup(STDIN_FILENO);
    dup2(ends[0], STDIN_FILENO);
    static const char text[] = "\xEF\xBB\xBF"
                               "one\r\n\n  \t\ntwo";
    CHECK(write(ends[1], text, sizeof text - 1) == sizeof text - 1);
    ego_lines *lines;
    char *line;
    size_t n;
    CHECK_OK(ego_lines_open("-", 8, -1, &lines));
    CHECK_OK(ego_lines_next(lines, &line, &n));
    CHECK_STR(line, "one");
    CHECK(n == 3 && ego_lines_number(lines) == 1);
    CHECK(ego_lines_paused(lines) == false); /* blank lines are lines that have arrived */
    CHECK(write(ends[1], "2345678\n123456789\n", 18) == 18);
    CHECK_ERR(EGO_EINPUT, ego_lines_next(lines, &line, &n));
    CHECK(ego_lines_number(lines) == 4); /* "two2345678" is too long */
    CHECK_ERR(EGO_EINPUT, ego_lines_next(lines, &line, &n));
    CHECK(ego_lines_paused(lines));
    CHECK(write(ends[1], "last", 4) == 4);
    close(ends[1]);
    CHECK_OK(ego_lines_next(lines, &line, &n));
    CHECK_STR(line, "last");
    CHECK(ego_lines_number(lines) == 6);
    CHECK_ERR(EGO_EEND, ego_lines_next(lines, &line, &n));
    CHECK(!ego_lines_paused(lines));
    ego_lines_close(lines);
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(ends[0]);
    CHECK_ERR(EGO_EIO, ego_lines_open("/nonexistent/file", 8, -1, &lines));
}

static void test_numbers(void) {
    static const char *const bad[] = {"", ",", "1,", ",1", "1,,2", "1 2", "a", "1,2,3,4", "nan"};
    double x[3];
    size_t n;
    CHECK(ego_parse_numbers("2", 3, x, &n) && n == 1 && x[0] == 2);
    CHECK(ego_parse_numbers("-1,.5,1e1", 3, x, &n) && n == 3 && x[0] == -1 && x[1] == 0.5 && x[2] == 10);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!ego_parse_numbers(bad[i], 3, x, &n));
}

static void test_options(void) {
    int64_t k = 10;
    double least = -1;
    int word = 0;
    bool fast = false, slow = true, given = false;
    const char *name = NULL;
    ego_option_list list = {0};
    ego_option_share share = {0, 1};
    const ego_option table[] = {
        {"top", 'k', EGO_OPTION_INT, "N", &k, 1, 100, "how many", &given},
        {"min-score", 0, EGO_OPTION_NUMBER, "X", &least, -1, 1, "least", NULL},
        {"progress", 0, EGO_OPTION_CHOICE, "auto|always|never", &word, 0, 0, "bar", NULL},
        {"fast", 'f', EGO_OPTION_FLAG, NULL, &fast, 0, 0, "fast", NULL},
        {"no-slow", 0, EGO_OPTION_CLEAR, NULL, &slow, 0, 0, "fast", NULL},
        {"name", 0, EGO_OPTION_STRING, "STR", &name, 0, 0, "name", NULL},
        {"set", 0, EGO_OPTION_LIST, "KEY=VALUE", &list, 0, 0, "set", NULL},
        {"shard", 0, EGO_OPTION_SHARE, "I/N", &share, 0, 0, "part", NULL},
        {0}};
    const ego_option *tables[] = {table};
    char *good[] = {"t",       "-k7",       "a",     "--min-score", "-.5",   "--progress=never",
                    "-f",      "--no-slow", "--set", "x=1",         "--set", "y=2",
                    "--shard", "1/3",       "--",    "-b",          NULL};
    int first;
    CHECK_OK(ego_options_read(tables, 1, 16, good, &first));
    CHECK(k == 7 && given && least == -0.5 && word == 2 && fast && !slow && list.n == 2);
    CHECK(share.index == 1 && share.count == 3 && first == 14);
    CHECK_STR(good[first], "a");
    CHECK_STR(good[first + 1], "-b");
    CHECK_STR(list.items[1], "y=2");
    ego_option_list_release(&list);

    static const char *const bad[] = {"-k0",
                                      "-k101",
                                      "-kx",
                                      "-k",
                                      "-k0x5",
                                      "--min-score=2",
                                      "--min-score=nan",
                                      "--min-score=1,5",
                                      "--progress=x",
                                      "--fast=1",
                                      "--shard=3/3",
                                      "--shard=1",
                                      "--shard=-1/2",
                                      "--nothing",
                                      "-z",
                                      "--min-score="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char option[32];
        snprintf(option, sizeof option, "%s", bad[i]);
        char *argv[] = {"t", option, NULL};
        CHECK_ERR(EGO_EINPUT, ego_options_read(tables, 1, 2, argv, &first));
        CHECK(strstr(ego_err_message(), "-") != NULL);
    }
    ego_buf text = {0};
    ego_options_help(table, &text);
    CHECK(strstr(text.data, "  -k, --top N           how many\n") != NULL);
    ego_buf_clear(&text);
    ego_options_brief(table, 2, &text);
    CHECK(strncmp(text.data, "  -k/--top N  --min-score X  ", 29) == 0);
    ego_buf_clear(&text);
    CHECK_OK(ego_options_completion(tables, 1, "ego-t", "bash", &text));
    CHECK(strstr(text.data, "complete") != NULL);
    CHECK_ERR(EGO_EINPUT, ego_options_completion(tables, 1, "ego-t", "fish", &text));
    ego_buf_release(&text);
}

static void test_progress(void) {
    ego_meter meter = {.what = "clips", .done = 400, .total = 2000, .started = 10, .now = 20};
    ego_buf line = {0};
    ego_meter_line(&meter, 79, &line);
    CHECK_STR(line.data,
              "clips  400/2000 [#######------------------------------]  20%  40.0/s  0:40 left");
    ego_buf_clear(&line);
    ego_meter_line(&meter, 20, &line);
    CHECK(line.len <= 20);
    meter.note = "loss 3.21";
    ego_buf_clear(&line);
    ego_meter_line(&meter, 79, &line);
    CHECK(line.len <= 79 && strstr(line.data, "left  loss 3.21") && strchr(line.data, '#'));
    ego_buf_clear(&line);
    ego_meter_line(&meter, 40, &line);
    CHECK(line.len <= 40 && !strstr(line.data, "loss"));
    meter.total = 0;
    meter.note = NULL;
    ego_buf_clear(&line);
    ego_meter_line(&meter, 79, &line);
    CHECK_STR(line.data, "clips  400  40.0/s");
    ego_buf_clear(&line);
    ego_meter_time(3 * 3600 + 2 * 60 + 11, &line);
    CHECK_STR(line.data, "3:02:11");
    ego_buf_clear(&line);
    ego_provenance_write(
        &(ego_provenance){
            .tool = "ego-t", .model = "ab", .config = "{}", .has_seed = true, .seed = 3},
        &line);
    CHECK(strstr(line.data, "{\"tool\":\"ego-t\",\"version\":\"") == line.data);
    CHECK(strstr(line.data, "\"model\":\"ab\",\"config\":{},\"seed\":3}") != NULL);
    ego_buf_release(&line);
}

int main(void) {
    test_members();
    test_output();
    test_refusals();
    test_many_members();
    test_media();
    test_lines();
    test_numbers();
    test_options();
    test_progress();
    return check_done();
}
