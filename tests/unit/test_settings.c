/* A recipe's settings: read, overridden, refused and written from one table. */
#include "check.h"

#include "recipe/settings.h"

typedef enum colour { RED, GREEN } colour;

typedef struct config {
    const char *name, *data;
    bool flag;
    int64_t whole, count;
    colour colour;
    ego_head_optim optim;
    ego_head_run_settings run;
} config;

static const char *const colours[] = {"red", "green", NULL};
static const ego_setting keys[] = {
    {"name", EGO_SETTING_TEXT, EGO_SETTING_BINDS, offsetof(config, name), 0, 0, NULL},
    {"data.folder", EGO_SETTING_TEXT, EGO_SETTING_FREE, offsetof(config, data), 0, 0, NULL},
    {"data.flag", EGO_SETTING_FLAG, EGO_SETTING_BINDS, offsetof(config, flag), 0, 0, NULL},
    {"data.whole", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, offsetof(config, whole), -2, 5, NULL},
    {"data.count", EGO_SETTING_COUNT, EGO_SETTING_BINDS, offsetof(config, count), 1, 9, NULL},
    {"colour", EGO_SETTING_WORD, EGO_SETTING_BINDS, offsetof(config, colour), 0, 0, colours},
    EGO_HEAD_SETTINGS(config)};

static ego_err parse(const ego_settings *s, const char *text) {
    ego_json *root;
    EGO_TRY(ego_json_parse(text, strlen(text), &root));
    ego_err err = ego_settings_read(s, root);
    ego_json_free(root);
    return err;
}

static void refused(const ego_settings *s, const char *text, const char *message) {
    CHECK_ERR(EGO_EINPUT, parse(s, text));
    if (!CHECK(strstr(ego_err_message(), message) != NULL))
        fprintf(stderr, "    %s: expected '%s', found '%s'\n", text, message, ego_err_message());
}

static void check_refusals(const ego_settings *s) {
    refused(s, "[]", "expected an object, found an array");
    refused(s, "{\"nam\":1}", "unknown key 'nam'");
    refused(s, "{\"data\":{\"fold\":1}}", "unknown key 'data.fold'");
    refused(s, "{\"data\":3}", "data: expected an object, found a number");
    refused(s, "{\"dat\":{}}", "unknown key 'dat'");
    refused(s, "{\"name\":3}", "name: expected a text or null, found a number");
    refused(s, "{\"name\":\"\"}", "name: expected a text or null, found \"\"");
    refused(s, "{\"data\":{\"flag\":1}}", "data.flag: expected true or false");
    refused(s, "{\"data\":{\"whole\":1.5}}", "data.whole: expected a whole number");
    refused(s, "{\"data\":{\"whole\":6}}", "data.whole: expected -2 to 5, found 6");
    refused(s, "{\"data\":{\"whole\":null}}", "data.whole: expected a whole number, found null");
    refused(s, "{\"data\":{\"count\":0}}", "data.count: expected 1 to 9, found 0");
    refused(s, "{\"colour\":\"blue\"}", "colour: expected red or green, found 'blue'");
    refused(s, "{\"colour\":0}", "colour: expected red or green, found a number");
    refused(s, "{\"optim\":{\"lr\":-1}}", "optim.lr: expected 0 to 100, found -1");
    refused(s, "{\"optim\":{\"betas\":[0.9]}}", "optim.betas: expected two numbers");
    refused(s, "{\"optim\":{\"betas\":[0.9,1]}}", "optim.betas: expected 0 to");
    refused(s, "{\"optim\":{\"schedule\":\"step\"}}",
            "optim.schedule: expected cosine, linear or constant");
    CHECK_ERR(EGO_EINPUT, ego_settings_override(s, "optim.lr"));
    CHECK_ERR(EGO_EINPUT, ego_settings_override(s, "optim.rate=1"));
    CHECK_ERR(EGO_EIO, ego_settings_read_file(s, "/nowhere/c.json"));
}

static void check_values(config *c, const ego_settings *s) {
    ego_buf text = {0}, again = {0}, binding = {0};
    CHECK_ERR(EGO_EINPUT, ego_settings_require(s, "name"));
    CHECK_OK(parse(s, "{\"name\":\"a\",\"data\":{\"folder\":\"b\",\"flag\":true,\"whole\":-2,"
                      "\"count\":9},\"colour\":\"green\","
                      "\"optim\":{\"lr\":0.25,\"betas\":[0.5,0.75],\"schedule\":\"linear\"},"
                      "\"run\":{\"out\":\"o\",\"batch\":3}}"));
    CHECK_OK(ego_settings_require(s, "name"));
    CHECK(c->flag && c->whole == -2 && c->count == 9 && c->colour == GREEN && c->run.batch == 3);
    CHECK(c->optim.lr == 0.25 && c->optim.adamw.beta1 == 0.5 && c->optim.adamw.beta2 == 0.75 &&
          c->optim.schedule == EGO_SCHEDULE_LINEAR);
    CHECK_OK(ego_settings_override(s, "data.folder=12"));
    CHECK_STR(c->data, "12");
    CHECK_OK(ego_settings_override(s, "data.folder=null"));
    CHECK(c->data == NULL);
    CHECK_OK(ego_settings_override(s, "data.count=null"));
    CHECK(c->count == 0);
    CHECK_OK(ego_settings_override(s, "colour=red"));
    CHECK_OK(ego_settings_override(s, "data={\"whole\":4,\"folder\":\"x\"}"));
    CHECK(c->whole == 4 && c->colour == RED);
    ego_settings_write(s, false, &text);
    CHECK_OK(parse(s, text.data));
    ego_settings_write(s, false, &again);
    CHECK_STR(again.data, text.data);
    CHECK(strncmp(text.data,
                  "{\"name\":\"a\",\"data\":{\"folder\":\"x\",\"flag\":true,\"whole\":4,\"count\":"
                  "null},\"colour\":\"red\",",
                  70) == 0);
    ego_settings_write(s, true, &binding);
    CHECK(strstr(binding.data, "folder") == NULL && strstr(binding.data, "\"batch\":3") &&
          !strstr(binding.data, "\"out\""));
    ego_buf_release(&text);
    ego_buf_release(&again);
    ego_buf_release(&binding);
}

int main(void) {
    ego_arena texts;
    config c = {.optim = {.adamw = ego_adamw_default()},
                .run = {.epochs = 1, .batch = 1, .keep = 1}};
    ego_arena_init(&texts, 1 << 10);
    ego_settings s = {keys, sizeof keys / sizeof *keys, &c, &texts};
    check_refusals(&s);
    check_values(&c, &s);
    ego_arena_release(&texts);
    return check_done();
}
