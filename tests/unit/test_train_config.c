/* The configuration of pre-training: defaults, what is read and written, and what wrong values are
 * told. */
#include "check.h"

#include "base/file.h"
#include "recipe/config.h"

#include <unistd.h>

static ego_err read_text(const char *text, ego_train_config *config) {
    ego_json *root;
    EGO_TRY(ego_json_parse(text, strlen(text), &root));
    ego_err err = ego_train_config_read(root, config);
    ego_json_free(root);
    return err;
}

/* The caller's to free. */
static char *written(const ego_train_config *config, bool binding) {
    ego_buf out = {0};
    (binding ? ego_train_config_write_binding : ego_train_config_write)(config, &out);
    CHECK_OK(ego_buf_err(&out));
    return out.data;
}

#define MODEL                                                                                      \
    "\"model\":{\"dim\":768,\"heads\":12,\"depth\":12,\"mlp_ratio\":4,\"patch\":16,"               \
    "\"image_size\":224,\"frames\":4,\"vocab\":50265,\"max_positions\":514,"                       \
    "\"fuse_layers\":6,\"fusion\":\"backbone\",\"gate\":\"learned\","                              \
    "\"projection\":[4096,4096,4096]}"

/* The paper's settings, spelt out once more. */
static const char defaults[] =
    "{" MODEL ",\"init\":{\"text\":null,\"video\":null,\"from\":null,\"time\":\"published\","
    "\"fused\":\"own\",\"std\":0.02,\"positions\":0,\"gate\":0},"
    "\"data\":{\"annotations\":null,\"video_root\":null,\"validate\":null,\"validate_root\":null,"
    "\"validate_questions\":200,\"cache\":null,\"cache_bytes\":0,\"augment\":true,\"flip\":true,"
    "\"recolor\":0,\"moments\":4,\"sampling\":\"time\",\"max_tokens\":15,\"tokenizer\":null},"
    "\"objectives\":{\"egonce\":1,\"mlm\":1,\"vtm\":2,\"choices\":0,\"scene_choices\":0},\"temperature\":0.05,"
    "\"positives\":\"noun_verb\","
    "\"hard_negatives\":true,\"hard_after\":0,\"scene_negatives\":60,\"scene_partners\":\"any\",\"partners_per_clip\":1,\"dropout\":0.1,"
    "\"optim\":{\"lr\":3e-05,\"encoders\":1,\"head\":4,\"cross\":4,\"betas\":[0.9,0.98],\"eps\":1e-08,"
    "\"weight_decay\":0.01,\"schedule\":\"cosine\",\"warmup\":0.1},"
    "\"run\":{\"out\":null,\"epochs\":20,\"steps\":null,\"batch\":32,\"accumulate\":1,"
    "\"checkpoint_layers\":true,\"keep\":3,\"checkpoint_minutes\":0,\"seed\":1},"
    "\"reference_quirks\":false}";

/* Every key away from its default. */
static const char everything[] =
    "{\"model\":{\"dim\":64,\"heads\":4,\"depth\":3,\"mlp_ratio\":2,\"patch\":8,\"image_size\":64,"
    "\"frames\":2,\"vocab\":600,\"max_positions\":40,\"fuse_layers\":2,\"fusion\":\"backbone\","
    "\"gate\":0.5,\"ensemble\":0.25,\"projection\":[96]},"
    "\"init\":{\"text\":\"t.bin\",\"video\":\"v.pth\",\"from\":\"f\",\"time\":\"learnable\","
    "\"fused\":\"dual\",\"std\":0.05,\"positions\":0.5,\"gate\":1},"
    "\"data\":{\"annotations\":\"a.csv\",\"video_root\":\"videos \\u00e9\",\"validate\":\"m.json\","
    "\"validate_root\":\"other\",\"validate_questions\":0,\"cache\":\"c\","
    "\"cache_bytes\":1000000000000,"
    "\"augment\":false,\"flip\":false,\"recolor\":0.5,\"moments\":0,\"sampling\":\"reference\",\"max_tokens\":20,"
    "\"tokenizer\":\"dir\"},\"objectives\":{\"egonce\":0.5,\"mlm\":0,\"vtm\":3,\"choices\":4,\"scene_choices\":0.5},"
    "\"temperature\":0.07,"
    "\"positives\":\"diagonal\",\"hard_negatives\":false,\"hard_after\":0.25,\"scene_negatives\":0,"
    "\"scene_partners\":\"alike\",\"partners_per_clip\":3,\"dropout\":0,"
    "\"optim\":{\"lr\":0.001,\"encoders\":0.5,\"head\":1,\"cross\":2.5,\"betas\":[0.8,0.999],\"eps\":1e-06,"
    "\"weight_decay\":0,\"schedule\":\"linear\",\"warmup\":0},"
    "\"run\":{\"out\":\"o\",\"epochs\":3,\"steps\":700,\"batch\":8,\"accumulate\":4,"
    "\"checkpoint_layers\":false,\"keep\":1,\"checkpoint_minutes\":2.5,\"seed\":99},"
    "\"reference_quirks\":true}";

static void test_written(void) {
    ego_train_config c, back;
    ego_train_config_init(&c);
    char *text = written(&c, false);
    CHECK_STR(text, defaults);
    free(text);
    CHECK_OK(read_text("{}", &c));
    text = written(&c, false);
    CHECK_STR(text, defaults);
    free(text);

    CHECK_OK(read_text(everything, &c));
    text = written(&c, false);
    const char *e = strchr(text, '\xC3'); /* é is written as itself */
    CHECK(e && (unsigned char)e[1] == 0xA9);
    ego_train_config_init(&back);
    CHECK_OK(read_text(text, &back));
    char *again = written(&back, false);
    CHECK_STR(again, text);
    CHECK(strlen(text) + 4 == strlen(everything)); /* nothing came out otherwise than it went in */
    free(text);
    free(again);
    ego_train_config_release(&c);
    ego_train_config_release(&back);
    ego_train_config_release(&back); /* twice is no harm */
}

static void test_values(void) {
    ego_train_config c;
    ego_train_config_init(&c);
    CHECK_OK(read_text(everything, &c));
    CHECK(c.model.dim == 64 && c.model.projections == 1 && c.n_model_keys == EGO_CONFIG_KEYS);
    CHECK_STR(c.init.text, "t.bin");
    CHECK(c.init.time == EGO_TIME_LEARNABLE);
    CHECK(c.init.fused == EGO_FUSED_DUAL);
    CHECK(c.init.std == 0.05);
    CHECK(c.init.positions == 0.5);
    CHECK(c.init.gate == 1);
    CHECK(c.data.cache_bytes == 1000000000000 && !c.data.augment && c.data.moments == 0);
    CHECK(c.data.sampling == EGO_SAMPLING_REFERENCE && c.data.max_tokens == 20);
    CHECK(c.objectives.egonce == 0.5 && c.objectives.mlm == 0 && c.objectives.vtm == 3);
    CHECK(c.objectives.choices == 4 && c.optim.encoders == 0.5);
    CHECK(c.objectives.temperature == 0.07 && c.objectives.negatives.temperature == 0.07);
    CHECK(c.objectives.positives == EGO_POSITIVES_DIAGONAL && !c.objectives.negatives.hard);
    CHECK(c.objectives.negatives.crossed && c.objectives.mlm_nan && c.objectives.dropout == 0);
    CHECK(c.optim.adamw.beta1 == 0.8 && c.optim.adamw.beta2 == 0.999 && c.optim.adamw.eps == 1e-6);
    CHECK(c.optim.schedule == EGO_SCHEDULE_LINEAR && c.optim.cross == 2.5);
    CHECK(c.run.steps == 700 && c.run.checkpoint_minutes == 2.5 && c.run.seed == 99);
    /* Every word means what its module calls by it. */
    static const char *const schedules[] = {"cosine", "linear", "constant"};
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(ego_train_config_set(&c, "optim.schedule", schedules[i]));
        CHECK_STR(ego_schedule_name(c.optim.schedule), schedules[i]);
    }
    static const struct {
        const char *word;
        ego_positives value;
    } positives[] = {{"noun_verb", EGO_POSITIVES_NOUN_VERB},
                     {"noun", EGO_POSITIVES_NOUN},
                     {"verb", EGO_POSITIVES_VERB},
                     {"diagonal", EGO_POSITIVES_DIAGONAL},
                     {"same", EGO_POSITIVES_SAME}};
    for (size_t i = 0; i < 5; i++) {
        CHECK_OK(ego_train_config_set(&c, "positives", positives[i].word));
        CHECK(c.objectives.positives == positives[i].value);
    }
    ego_train_config_release(&c);
}

static void test_set(void) {
    ego_train_config c;
    ego_train_config_init(&c);
    CHECK_OK(ego_train_config_override(&c, "optim.lr=1e-4"));
    CHECK(c.optim.lr == 1e-4);
    CHECK_OK(ego_train_config_override(&c, "model.depth=6"));
    CHECK_OK(ego_train_config_override(&c, "model.depth=7"));
    CHECK(c.model.depth == 7 && c.n_model_keys == 1);
    CHECK_OK(ego_train_config_override(&c, "model={\"dim\":96,\"gate\":\"one\"}"));
    CHECK(c.model.dim == 96 && !c.model.gate.learned && c.n_model_keys == 3);
    CHECK_OK(ego_train_config_override(&c, "optim={\"betas\":[0.5,0.75],\"warmup\":0}"));
    CHECK(c.optim.adamw.beta1 == 0.5 && c.optim.adamw.beta2 == 0.75 && c.optim.warmup == 0);
    /* Paths need no quotes, whatever they look like. */
    CHECK_OK(ego_train_config_override(&c, "run.out=12"));
    CHECK_STR(c.run.out, "12");
    CHECK_OK(ego_train_config_override(&c, "run.out=a=b"));
    CHECK_STR(c.run.out, "a=b");
    CHECK_OK(ego_train_config_override(&c, "run.out=\"quoted\""));
    CHECK_STR(c.run.out, "quoted");
    CHECK_OK(ego_train_config_override(&c, "run.out=null"));
    CHECK(c.run.out == NULL);
    CHECK_OK(ego_train_config_override(&c, "run.steps=5"));
    CHECK_OK(ego_train_config_override(&c, "run.steps=null"));
    CHECK(c.run.steps == 0);
    /* The quirks take the reference's sampling along, unless one was asked for. */
    CHECK_OK(ego_train_config_override(&c, "reference_quirks=true"));
    CHECK(c.data.sampling == EGO_SAMPLING_REFERENCE && c.objectives.negatives.crossed &&
          c.objectives.mlm_nan);
    CHECK_OK(ego_train_config_override(&c, "data.sampling=time"));
    CHECK(c.data.sampling == EGO_SAMPLING_TIME);
    CHECK_OK(ego_train_config_override(&c, "reference_quirks=false"));
    CHECK(c.data.sampling == EGO_SAMPLING_TIME && !c.objectives.negatives.crossed);
    CHECK_ERR(EGO_EINPUT, ego_train_config_override(&c, "optim.lr"));
    CHECK_ERR(EGO_EINPUT, ego_train_config_override(&c, "=1"));
    ego_train_config_release(&c);
}

/* Each is an error that names the key and, from there on, says what it says here. */
static const struct {
    const char *text, *message;
} faults[] = {
    {"[]", "configuration: expected an object, found an array"},
    {"{\"optims\":{}}", "unknown key 'optims'"},
    {"{\"optim\":{\"rate\":1}}", "unknown key 'optim.rate'"},
    {"{\"optim.lr\":1e-4,\"lr\":1}", "unknown key 'lr'"},
    {"{\"model\":{\"width\":1}}", "unknown key 'model.width'"},
    {"{\"model\":{\"dim\":\"wide\"}}", "model.dim: expected a whole number, found a string"},
    {"{\"model\":{\"dim\":1.5}}", "model.dim: expected a whole number, found a number"},
    {"{\"model\":3}", "model: expected an object, found a number"},
    {"{\"model\":{\"fusion\":\"sideways\"}}",
     "model.fusion: expected backbone, stacked, film or none, found 'sideways'"},
    {"{\"optim\":3}", "optim: expected an object, found a number"},
    {"{\"run\":null}", "run: expected an object, found null"},
    {"{\"optim\":{\"lr\":\"fast\"}}", "optim.lr: expected a number, found a string"},
    {"{\"optim\":{\"lr\":null}}", "optim.lr: expected a number, found null"},
    {"{\"optim\":{\"lr\":-1}}", "optim.lr: expected 0 to 100, found -1"},
    {"{\"optim\":{\"betas\":0.9}}", "optim.betas: expected two numbers, found a number"},
    {"{\"optim\":{\"betas\":[0.9]}}", "optim.betas: expected two numbers, found an array"},
    {"{\"optim\":{\"betas\":[]}}", "optim.betas: expected two numbers, found an array"},
    {"{\"optim\":{\"betas\":[0.9,0.9,0.9]}}", "optim.betas: expected two numbers"},
    {"{\"optim\":{\"betas\":{\"a\":1,\"b\":2}}}",
     "optim.betas: expected two numbers, found an object"},
    {"{\"optim\":{\"betas\":[0.9,1]}}", "optim.betas: expected 0 to 0.9999999, found 1"},
    {"{\"optim\":{\"schedule\":\"step\"}}",
     "optim.schedule: expected cosine, linear or constant, found 'step'"},
    {"{\"optim\":{\"schedule\":1}}",
     "optim.schedule: expected cosine, linear or constant, found a number"},
    {"{\"optim\":{\"warmup\":1.5}}", "optim.warmup: expected 0 to 1, found 1.5"},
    {"{\"data\":{\"sampling\":\"epic\"}}",
     "data.sampling: expected time or reference, found 'epic'"},
    {"{\"data\":{\"augment\":1}}", "data.augment: expected true or false, found a number"},
    {"{\"data\":{\"cache\":7}}", "data.cache: expected a path or null, found a number"},
    {"{\"data\":{\"cache\":\"\"}}", "data.cache: expected a path or null, found \"\""},
    {"{\"data\":{\"max_tokens\":2}}", "data.max_tokens: expected 3 to 1048576, found 2"},
    {"{\"data\":{\"moments\":-1}}", "data.moments: expected 0 to 1024, found -1"},
    {"{\"data\":{\"cache_bytes\":1e300}}",
     "data.cache_bytes: expected a whole number, found a number"},
    {"{\"objectives\":{\"mlm\":-0.5}}", "objectives.mlm: expected 0 to 1000000, found -0.5"},
    {"{\"objectives\":{\"mlm\":1e999}}", "objectives.mlm: expected 0 to 1000000, found inf"},
    {"{\"objectives\":{\"choices\":0.5}}", "objectives.choices: expected"},
    {"{\"objectives\":{\"choices\":1025}}", "objectives.choices: expected 0 to 1024, found 1025"},
    {"{\"objectives\":[1,1,2]}", "objectives: expected an object, found an array"},
    {"{\"temperature\":0}", "temperature: expected 0.0001 to 100, found 0"},
    {"{\"positives\":\"verbs\"}",
     "positives: expected noun_verb, noun, verb, diagonal or same, found 'verbs'"},
    {"{\"positives\":true}", "positives: expected noun_verb, noun, verb, diagonal or same, found true"},
    {"{\"hard_negatives\":\"yes\"}", "hard_negatives: expected true or false, found a string"},
    {"{\"scene_negatives\":-1}", "scene_negatives: expected 0 to 1000000000, found -1"},
    {"{\"dropout\":1}", "dropout: expected 0 to 0.9, found 1"},
    {"{\"run\":{\"steps\":0}}", "run.steps: expected 1 to 1000000000000, found 0"},
    {"{\"run\":{\"steps\":\"all\"}}", "run.steps: expected a whole number or null, found a string"},
    {"{\"run\":{\"epochs\":2.5}}", "run.epochs: expected a whole number, found a number"},
    {"{\"run\":{\"epochs\":null}}", "run.epochs: expected a whole number, found null"},
    {"{\"run\":{\"batch\":0}}", "run.batch: expected 1 to 1048576, found 0"},
    {"{\"run\":{\"seed\":-1}}", "run.seed: expected 0 to"},
    {"{\"reference_quirks\":0}", "reference_quirks: expected true or false, found a number"},
};

static void test_faults(void) {
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        ego_train_config c;
        ego_train_config_init(&c);
        CHECK_ERR(EGO_EINPUT, read_text(faults[i].text, &c));
        if (!CHECK(strstr(ego_err_message(), faults[i].message) != NULL))
            fprintf(stderr, "    expected \"%s\", found \"%s\"\n", faults[i].message,
                    ego_err_message());
        ego_train_config_release(&c);
    }
}

/* What reading lets pass because --set may mend it. */
static const struct {
    const char *word, *message; /* NULL: nothing is wrong */
} checks[] = {
    {"run.seed=3", NULL},
    {"run.out=null", "run.out: expected a path"},
    {"data.annotations=null", "data.annotations: expected a path"},
    {"objectives={\"egonce\":0,\"mlm\":0,\"vtm\":0}", "objectives: expected one above 0"},
    {"init={\"from\":\"a\",\"text\":\"b\"}", "leave init.text out"},
    {"init={\"from\":\"a\",\"video\":\"b\"}", "leave init.video out"},
    {"init.text=roberta.bin", "data.tokenizer: expected"},
    {"model.heads=5", "model.dim 768 does not divide"},
    {"model.fusion=none", "objectives.vtm: expected 0"},
    {"optim.encoders=0", "objectives.egonce: expected 0, for optim.encoders is 0"},
    {"data.max_tokens=513", "data.max_tokens: expected at most 512"},
    {"data.max_tokens=512", NULL},
};

static void test_checks(void) {
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        ego_train_config c;
        ego_train_config_init(&c);
        CHECK_OK(read_text("{\"data\":{\"annotations\":\"a.csv\"},\"run\":{\"out\":\"o\"}}", &c));
        CHECK_OK(ego_train_config_check(&c));
        CHECK_OK(ego_train_config_override(&c, checks[i].word));
        if (!checks[i].message) {
            CHECK_OK(ego_train_config_check(&c));
        } else {
            CHECK_ERR(EGO_EINPUT, ego_train_config_check(&c));
            if (!CHECK(strstr(ego_err_message(), checks[i].message) != NULL))
                fprintf(stderr, "    expected \"%s\", found \"%s\"\n", checks[i].message,
                        ego_err_message());
        }
        ego_train_config_release(&c);
    }
    /* A field set by hand is looked at, too. */
    ego_train_config c;
    ego_train_config_init(&c);
    CHECK_OK(read_text("{\"data\":{\"annotations\":\"a.csv\"},\"run\":{\"out\":\"o\"}}", &c));
    c.optim.lr = (double)NAN;
    CHECK_ERR(EGO_EINPUT, ego_train_config_check(&c));
    ego_train_config_release(&c);
}

/* What a run must keep is in the binding text, what it may change is not. */
static void test_binding(void) {
    static const char *const loose[] = {"run.out=x",
                                        "run.keep=9",
                                        "run.checkpoint_minutes=5",
                                        "run.checkpoint_layers=false",
                                        "data.video_root=x",
                                        "data.validate_root=x",
                                        "data.cache=x",
                                        "data.cache_bytes=77"};
    static const char *const bound[] = {
        "model.dim=96", "optim.lr=1",  "data.annotations=x", "run.seed=2",
        "run.batch=2",  "run.steps=9", "dropout=0",          "reference_quirks=true"};
    ego_train_config c;
    ego_train_config_init(&c);
    char *before = written(&c, true), *after;
    for (size_t i = 0; i < sizeof loose / sizeof loose[0]; i++)
        CHECK_OK(ego_train_config_override(&c, loose[i]));
    after = written(&c, true);
    CHECK_STR(after, before);
    ego_json *json = NULL;
    CHECK_OK(ego_json_parse(after, strlen(after), &json));
    CHECK_OK(ego_train_config_read(json, &c));
    ego_json_free(json);
    free(after);
    for (size_t i = 0; i < sizeof bound / sizeof bound[0]; i++) {
        CHECK_OK(ego_train_config_override(&c, bound[i]));
        after = written(&c, true);
        if (!CHECK(strcmp(after, before) != 0))
            fprintf(stderr, "    %s changed nothing\n", bound[i]);
        free(before);
        before = after;
    }
    free(before);
    ego_train_config_release(&c);
}

static void test_file(void) {
    char path[] = "/tmp/ego-test-config-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    ego_train_config c;
    ego_train_config_init(&c);
    CHECK_OK(ego_write_file(path, everything, strlen(everything)));
    CHECK_OK(ego_train_config_read_file(path, &c));
    CHECK(c.run.batch == 8);
    CHECK_OK(ego_write_file(path, "{\"run\":{\"batch\":\"all\"}}", 23));
    CHECK_ERR(EGO_EINPUT, ego_train_config_read_file(path, &c));
    CHECK(strstr(ego_err_message(), path) && strstr(ego_err_message(), "run.batch"));
    CHECK_OK(ego_write_file(path, "{\"run\":", 7));
    CHECK_ERR(EGO_EFORMAT, ego_train_config_read_file(path, &c));
    unlink(path);
    CHECK_ERR(EGO_EIO, ego_train_config_read_file(path, &c));
    ego_train_config_release(&c);
}

int main(void) {
    test_written();
    test_values();
    test_set();
    test_faults();
    test_checks();
    test_binding();
    test_file();
    return check_done();
}
