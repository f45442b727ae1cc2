/* base/json: what is JSON and what is not, and where the members stand in the text. */
#include "base/json.h"
#include "check.h"

static void accepts(const char *text, size_t n) {
    ego_json *root = NULL;
    CHECK_OK(ego_json_parse(text, n, &root));
    ego_json_free(root);
}

static void refuses(const char *text, size_t n) {
    ego_json *root = NULL;
    CHECK_ERR(EGO_EFORMAT, ego_json_parse(text, n, &root));
    ego_json_free(root);
}

static void test_grammar(void) {
    static const char *const good[] = {
        "0",       "-0",   "-1.5e+30",        " [ ] ",
        "{}",      "null", "\"\\u00e9\\\\\"", "\xEF\xBB\xBF{\"a\":1}",
        "[1,2E3]", "10"};
    static const char *const bad[] = {"",        " ",          "01",          "1.",
                                      ".5",      "-",          "+1",          "1e",
                                      "1e+",     "0x10",       "NaN",         "tru",
                                      "[1,]",    "{\"a\":1,}", "{a:1}",       "{\"a\"}",
                                      "[1 2]",   "1 2",        "\"a",         "\"\\",
                                      "\"\\x\"", "\"\t\"",     "\"\n\"",      "{\001\"a\":1}",
                                      "[1]\v",   "'a'",        "\"\\u0000\"", "[\"\\ud800\"]",
                                      "]",       "{\"a\":1}}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) accepts(good[i], strlen(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refuses(bad[i], strlen(bad[i]));
    refuses("[1,\0 2]", 7);
    refuses("\"a\0b\"", 5);
}

static void test_depth(void) {
    char text[2 * EGO_JSON_MAX_DEPTH + 2];
    memset(text, '[', EGO_JSON_MAX_DEPTH);
    memset(text + EGO_JSON_MAX_DEPTH, ']', EGO_JSON_MAX_DEPTH);
    accepts(text, (size_t)2 * EGO_JSON_MAX_DEPTH);
    memset(text, '[', EGO_JSON_MAX_DEPTH + 1);
    memset(text + EGO_JSON_MAX_DEPTH + 1, ']', EGO_JSON_MAX_DEPTH + 1);
    refuses(text, (size_t)2 * EGO_JSON_MAX_DEPTH + 2);
}

static void test_values(void) {
    const char *text =
        "{\"s\":\"x\",\"n\":2.5,\"i\":-7,\"b\":true,\"z\":null,\"a\":[1,2],\"o\":{},\"s\":\"y\"}";
    ego_json *root = NULL;
    const char *s = NULL;
    double number = 0;
    int64_t integer = 0;
    bool truth = false;
    if (!CHECK_OK(ego_json_parse(text, strlen(text), &root))) return;
    CHECK(ego_json_is_object(root) && ego_json_count(root) == 8);
    CHECK(ego_json_string(ego_json_get(root, "s"), &s) && strcmp(s, "x") == 0);
    CHECK(ego_json_number(ego_json_get(root, "n"), &number) && number == 2.5);
    CHECK(ego_json_integer(ego_json_get(root, "i"), &integer) && integer == -7);
    CHECK(!ego_json_integer(ego_json_get(root, "n"), &integer) && integer == -7);
    CHECK(ego_json_bool(ego_json_get(root, "b"), &truth) && truth);
    CHECK(ego_json_is_null(ego_json_get(root, "z")) &&
          ego_json_count(ego_json_get(root, "a")) == 2);
    CHECK(!ego_json_get(root, "S") && !ego_json_string(NULL, &s));
    CHECK_STR(ego_json_kind(ego_json_get(root, "missing")), "nothing");
    CHECK_STR(ego_json_kind(ego_json_get(root, "o")), "an object");
    CHECK_STR(ego_json_key(ego_json_first(root)), "s");
    ego_json_free(root);
}

static void test_spans(void) {
    const char *text = " {\"a\" : {\"x\":[\"}\",\"\\\"\"]} , \"b\\n\":-1.5e3,\"c\":\"d,\\\\\" }";
    static const char *const want[][2] = {
        {"\"a\"", "{\"x\":[\"}\",\"\\\"\"]}"}, {"\"b\\n\"", "-1.5e3"}, {"\"c\"", "\"d,\\\\\""}};
    ego_json_span spans[3];
    accepts(text, strlen(text));
    CHECK(ego_json_spans(text, strlen(text), spans, 3) == 3);
    CHECK(ego_json_spans(text, strlen(text), spans, 0) == 3);
    for (size_t i = 0; i < 3; i++) {
        CHECK(spans[i].key_bytes == strlen(want[i][0]) &&
              !memcmp(text + spans[i].key, want[i][0], spans[i].key_bytes));
        CHECK(spans[i].value_bytes == strlen(want[i][1]) &&
              !memcmp(text + spans[i].value, want[i][1], spans[i].value_bytes));
    }
    CHECK(ego_json_spans("{}", 2, spans, 3) == 0);
}

int main(void) {
    test_grammar();
    test_depth();
    test_values();
    test_spans();
    return check_done();
}
