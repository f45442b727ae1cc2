#include "recipe/config.h"

#include "base/options.h"
#include "recipe/settings.h"

#include <stddef.h>
#include <string.h>

/* ---- the keys -------------------------------------------------------------------------------- */

static const char *const time_words[] = {"published", "learnable", NULL};
static const char *const fused_words[] = {"own", "dual", NULL};
static const char *const sampling_words[] = {"time", "reference", NULL};
static const char *const partners_words[] = {"any", "alike", NULL};
static const char *const positives_words[] = {"noun_verb", "noun", "verb", "diagonal", "same", NULL};

#define AT(field) offsetof(ego_train_config, field)
#define BIND EGO_SETTING_BINDS
#define LOOSE EGO_SETTING_FREE
#define BIG 9007199254740991.0 /* 2^53 − 1: JSON's numbers are doubles */

/* In the order in which they are written; "model", which has rules of its own (model/config.h), comes before
 * them. */
static const ego_setting keys[] = {
    {"init.text", EGO_SETTING_PATH, BIND, AT(init.text), 0, 0, NULL},
    {"init.video", EGO_SETTING_PATH, BIND, AT(init.video), 0, 0, NULL},
    {"init.from", EGO_SETTING_PATH, BIND, AT(init.from), 0, 0, NULL},
    {"init.time", EGO_SETTING_WORD, BIND, AT(init.time), 0, 0, time_words},
    {"init.fused", EGO_SETTING_WORD, BIND, AT(init.fused), 0, 0, fused_words},
    {"init.std", EGO_SETTING_NUMBER, BIND, AT(init.std), 0, 1, NULL},
    {"init.positions", EGO_SETTING_NUMBER, BIND, AT(init.positions), 0, 100, NULL},
    {"init.gate", EGO_SETTING_NUMBER, BIND, AT(init.gate), -100, 100, NULL},
    {"data.annotations", EGO_SETTING_PATH, BIND, AT(data.annotations), 0, 0, NULL},
    {"data.video_root", EGO_SETTING_PATH, LOOSE, AT(data.video_root), 0, 0, NULL},
    {"data.validate", EGO_SETTING_PATH, BIND, AT(data.validate), 0, 0, NULL},
    {"data.validate_root", EGO_SETTING_PATH, LOOSE, AT(data.validate_root), 0, 0, NULL},
    {"data.validate_questions", EGO_SETTING_WHOLE, BIND, AT(data.validate_questions), 0, 1e9, NULL},
    {"data.cache", EGO_SETTING_PATH, LOOSE, AT(data.cache), 0, 0, NULL},
    {"data.cache_bytes", EGO_SETTING_WHOLE, LOOSE, AT(data.cache_bytes), 0, BIG, NULL},
    {"data.augment", EGO_SETTING_FLAG, BIND, AT(data.augment), 0, 0, NULL},
    {"data.flip", EGO_SETTING_FLAG, BIND, AT(data.flip), 0, 0, NULL},
    {"data.recolor", EGO_SETTING_NUMBER, BIND, AT(data.recolor), 0, 1, NULL},
    {"data.moments", EGO_SETTING_WHOLE, BIND, AT(data.moments), 0, 1024, NULL},
    {"data.sampling", EGO_SETTING_WORD, BIND, AT(data.sampling), 0, 0, sampling_words},
    {"data.max_tokens", EGO_SETTING_WHOLE, BIND, AT(data.max_tokens), 3, 1 << 20, NULL},
    {"data.tokenizer", EGO_SETTING_PATH, BIND, AT(data.tokenizer), 0, 0, NULL},
    {"objectives.egonce", EGO_SETTING_NUMBER, BIND, AT(objectives.egonce), 0, 1e6, NULL},
    {"objectives.mlm", EGO_SETTING_NUMBER, BIND, AT(objectives.mlm), 0, 1e6, NULL},
    {"objectives.vtm", EGO_SETTING_NUMBER, BIND, AT(objectives.vtm), 0, 1e6, NULL},
    {"objectives.choices", EGO_SETTING_WHOLE, BIND, AT(objectives.choices), 0, 1024, NULL},
    {"objectives.scene_choices", EGO_SETTING_NUMBER, BIND, AT(objectives.negatives.scene), 0, 1, NULL},
    {"temperature", EGO_SETTING_NUMBER, BIND, AT(objectives.temperature), 1e-4, 100, NULL},
    {"positives", EGO_SETTING_WORD, BIND, AT(objectives.positives), 0, 0, positives_words},
    {"hard_negatives", EGO_SETTING_FLAG, BIND, AT(objectives.negatives.hard), 0, 0, NULL},
    {"hard_after", EGO_SETTING_NUMBER, BIND, AT(hard_after), 0, 1, NULL},
    {"scene_negatives", EGO_SETTING_NUMBER, BIND, AT(scene_seconds), 0, 1e9, NULL},
    {"scene_partners", EGO_SETTING_WORD, BIND, AT(partners), 0, 0, partners_words},
    {"partners_per_clip", EGO_SETTING_WHOLE, BIND, AT(partners_per_clip), 1, 1024, NULL},
    {"dropout", EGO_SETTING_SINGLE, BIND, AT(objectives.dropout), 0, 0.9, NULL},
    {"optim.lr", EGO_SETTING_NUMBER, BIND, AT(optim.lr), 0, 100, NULL},
    {"optim.encoders", EGO_SETTING_NUMBER, BIND, AT(optim.encoders), 0, 1e6, NULL},
    {"optim.head", EGO_SETTING_NUMBER, BIND, AT(optim.head), 0, 1e6, NULL},
    {"optim.cross", EGO_SETTING_NUMBER, BIND, AT(optim.cross), 0, 1e6, NULL},
    {"optim.betas", EGO_SETTING_PAIR, BIND, AT(optim.adamw.beta1), 0, 0.9999999, NULL},
    {"optim.eps", EGO_SETTING_NUMBER, BIND, AT(optim.adamw.eps), 0, 1, NULL},
    {"optim.weight_decay", EGO_SETTING_NUMBER, BIND, AT(optim.adamw.weight_decay), 0, 100, NULL},
    {"optim.schedule", EGO_SETTING_WORD, BIND, AT(optim.schedule), 0, 0, ego_schedule_words},
    {"optim.warmup", EGO_SETTING_NUMBER, BIND, AT(optim.warmup), 0, 1, NULL},
    {"run.out", EGO_SETTING_PATH, LOOSE, AT(run.out), 0, 0, NULL},
    {"run.epochs", EGO_SETTING_WHOLE, BIND, AT(run.epochs), 1, 1e9, NULL},
    {"run.steps", EGO_SETTING_COUNT, BIND, AT(run.steps), 1, 1e12, NULL},
    {"run.batch", EGO_SETTING_WHOLE, BIND, AT(run.batch), 1, 1 << 20, NULL},
    {"run.accumulate", EGO_SETTING_WHOLE, BIND, AT(run.accumulate), 1, 1 << 20, NULL},
    {"run.checkpoint_layers", EGO_SETTING_FLAG, LOOSE, AT(run.checkpoint_layers), 0, 0, NULL},
    {"run.keep", EGO_SETTING_WHOLE, LOOSE, AT(run.keep), 1, 1 << 20, NULL},
    {"run.checkpoint_minutes", EGO_SETTING_NUMBER, LOOSE, AT(run.checkpoint_minutes), 0, 1e6, NULL},
    {"run.seed", EGO_SETTING_WHOLE, BIND, AT(run.seed), 0, BIG, NULL},
    {"reference_quirks", EGO_SETTING_FLAG, BIND, AT(reference_quirks), 0, 0, NULL},
};

_Static_assert(sizeof(ego_time_start) == sizeof(unsigned) && sizeof(ego_fused_start) == sizeof(unsigned) &&
                   sizeof(ego_sampling) == sizeof(unsigned) && sizeof(ego_positives) == sizeof(unsigned) &&
                   sizeof(ego_partners) == sizeof(unsigned),
               "words are kept as unsigned numbers");

static ego_settings settings_of(ego_train_config *config) {
    return (ego_settings){keys, sizeof keys / sizeof *keys, config, &config->texts};
}

/* To check and to write, which change nothing. */
static ego_settings settings_in(const ego_train_config *config) {
    return settings_of((ego_train_config *)(uintptr_t)config);
}

/* ---- defaults -------------------------------------------------------------------------------- */

/* What follows from other keys. */
static void settle(ego_train_config *c) {
    c->objectives.negatives.temperature = c->objectives.temperature;
    c->objectives.negatives.crossed = c->objectives.mlm_nan = c->reference_quirks;
    if (!c->sampling_given)
        c->data.sampling = c->reference_quirks ? EGO_SAMPLING_REFERENCE : EGO_SAMPLING_TIME;
}

void ego_train_config_init(ego_train_config *config) {
    *config = (ego_train_config){
        .model = ego_config_default(),
        .data = {.validate_questions = 200,
                 .augment = true,
                 .flip = true,
                 .moments = 4,
                 .max_tokens = 15},
        .init = {.std = 0.02},
        .objectives = {.egonce = 1,
                       .mlm = 1,
                       .vtm = 2,
                       .temperature = 0.05,
                       .positives = EGO_POSITIVES_NOUN_VERB,
                       .negatives = {.hard = true},
                       .dropout = 0.1f},
        .scene_seconds = 60,
        .partners_per_clip = 1,
        .optim = {.lr = 3e-5, .encoders = 1, .head = 4, .cross = 4, .adamw = ego_adamw_default(), .warmup = 0.1},
        .run = {.epochs = 20,
                .batch = 32,
                .accumulate = 1,
                .checkpoint_layers = true,
                .keep = 3,
                .seed = 1}};
    ego_arena_init(&config->texts, 1 << 12);
    settle(config);
}

void ego_train_config_release(ego_train_config *config) {
    ego_arena_release(&config->texts);
    *config = (ego_train_config){0};
}

/* ---- reading --------------------------------------------------------------------------------- */

static ego_err note_model_key(ego_train_config *config, const char *name) {
    for (size_t i = 0; i < config->n_model_keys; i++)
        if (strcmp(config->model_keys[i], name) == 0) return EGO_OK;
    const char *kept = ego_arena_strdup(&config->texts, name);
    if (!kept) return ego_fail(EGO_ENOMEM, "out of memory for the configuration");
    /* There is room: ego_config_read takes no more than EGO_CONFIG_KEYS different ones. */
    config->model_keys[config->n_model_keys++] = kept;
    return EGO_OK;
}

static ego_err read_model(const ego_json *node, ego_train_config *config) {
    EGO_TRY(ego_config_read(node, &config->model));
    for (const ego_json *x = ego_json_first(node); x; x = ego_json_next(x))
        EGO_TRY(note_model_key(config, ego_json_key(x)));
    return EGO_OK;
}

/* No sampling: while values are read, so that one that was given shows. */
static const ego_sampling UNTOLD = (ego_sampling)64;

static void note_sampling(ego_train_config *config, ego_sampling before) {
    if (config->data.sampling == UNTOLD)
        config->data.sampling = before;
    else
        config->sampling_given = true;
}

ego_err ego_train_config_read(const ego_json *object, ego_train_config *config) {
    ego_settings settings = settings_of(config);
    ego_sampling before = config->data.sampling;
    ego_err err = EGO_OK;
    if (!ego_json_is_object(object))
        return ego_fail(EGO_EINPUT, "configuration: expected an object, found %s",
                        ego_json_kind(object));
    config->data.sampling = UNTOLD;
    for (const ego_json *x = ego_json_first(object); x && err == EGO_OK; x = ego_json_next(x))
        err = strcmp(ego_json_key(x), "model") == 0
                  ? read_model(x, config)
                  : ego_settings_read_member(&settings, ego_json_key(x), x);
    note_sampling(config, before);
    settle(config);
    return err;
}

ego_err ego_train_config_read_file(const char *path, ego_train_config *config) {
    enum { LIMIT = 1 << 20 };
    ego_json *root;
    EGO_TRY(ego_json_read(path, LIMIT, &root));
    ego_err err = ego_train_config_read(root, config);
    ego_json_free(root);
    return err == EGO_OK ? EGO_OK : ego_fail_context(err, "%s", path);
}

ego_err ego_train_config_set(ego_train_config *config, const char *name, const char *value) {
    if (strncmp(name, "model.", 6) == 0) {
        EGO_TRY(ego_config_set(&config->model, name, value));
        return note_model_key(config, name + 6);
    }
    if (strcmp(name, "model") == 0) {
        ego_json *node;
        EGO_TRY(ego_json_parse_word(value, &node));
        ego_err err = read_model(node, config);
        ego_json_free(node);
        return err;
    }
    ego_settings settings = settings_of(config);
    ego_sampling before = config->data.sampling;
    config->data.sampling = UNTOLD;
    ego_err err = ego_settings_set(&settings, name, value);
    note_sampling(config, before);
    settle(config);
    return err;
}

ego_err ego_train_config_override(ego_train_config *config, const char *word) {
    char name[64];
    const char *value;
    EGO_TRY(ego_split_setting(word, name, sizeof name, &value));
    return ego_train_config_set(config, name, value);
}

/* ---- checking -------------------------------------------------------------------------------- */

static ego_err check_paths(const ego_train_config *c) {
    if (!c->data.annotations)
        return ego_fail(EGO_EINPUT,
                        "configuration: data.annotations: expected a path, found nothing");
    if (!c->run.out)
        return ego_fail(EGO_EINPUT, "configuration: run.out: expected a path, found nothing");
    if (c->init.from && (c->init.text || c->init.video))
        return ego_fail(EGO_EINPUT,
                        "configuration: init.from brings both encoders: leave init.%s out",
                        c->init.text ? "text" : "video");
    if (c->init.text && !c->data.tokenizer)
        return ego_fail(EGO_EINPUT,
                        "configuration: data.tokenizer: expected the folder of the vocabulary "
                        "that init.text was trained with, found nothing");
    return EGO_OK;
}

ego_err ego_train_config_check_model(const ego_train_config *c) {
    EGO_TRY(ego_config_check(&c->model));
    if (c->objectives.vtm > 0 && c->model.fusion == EGO_FUSION_NONE)
        return ego_fail(EGO_EINPUT,
                        "configuration: objectives.vtm: expected 0, for model.fusion is none, "
                        "found %.15g",
                        c->objectives.vtm);
    int64_t room = c->model.max_positions - 2; /* positions count from 2 */
    if (c->data.max_tokens > room)
        return ego_fail(EGO_EINPUT,
                        "configuration: data.max_tokens: expected at most %lld, for "
                        "model.max_positions is %lld, found %lld",
                        (long long)room, (long long)c->model.max_positions,
                        (long long)c->data.max_tokens);
    return EGO_OK;
}

ego_err ego_train_config_check(const ego_train_config *c) {
    ego_settings settings = settings_in(c);
    EGO_TRY(ego_settings_check(&settings));
    const ego_objectives *o = &c->objectives;
    if (o->egonce == 0 && o->mlm == 0 && o->vtm == 0)
        return ego_fail(EGO_EINPUT, "configuration: objectives: expected one above 0, found none");
    if (o->egonce > 0 && c->optim.encoders == 0)
        return ego_fail(EGO_EINPUT,
                        "configuration: objectives.egonce: expected 0, for optim.encoders is 0 and nothing that "
                        "EgoNCE is about would learn, found %.15g",
                        o->egonce);
    EGO_TRY(check_paths(c));
    return c->init.from ? EGO_OK : ego_train_config_check_model(c);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_all(const ego_train_config *config, bool binding_only, ego_buf *out) {
    ego_settings settings = settings_in(config);
    ego_buf_char(out, '{');
    ego_buf_json_key(out, "model");
    ego_config_write(&config->model, out);
    ego_settings_write_members(&settings, binding_only, out);
    ego_buf_char(out, '}');
}

void ego_train_config_write(const ego_train_config *config, ego_buf *out) {
    write_all(config, false, out);
}

void ego_train_config_write_binding(const ego_train_config *config, ego_buf *out) {
    write_all(config, true, out);
}
