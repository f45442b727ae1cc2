#include "recipe/tune_inside.h"

#include <stdio.h>
#include <string.h>

/* ---- configuration ------------------------------------------------------------------------------------- */

#define AT(field) offsetof(ego_tune_config, field)
#define TEXT(name, field, tie) {name, EGO_SETTING_TEXT, EGO_SETTING_##tie, AT(field), 0, 0, NULL}
#define FLAG(name, field, tie) {name, EGO_SETTING_FLAG, EGO_SETTING_##tie, AT(field), 0, 0, NULL}
#define NUMBER(name, field, least, most) {name, EGO_SETTING_NUMBER, EGO_SETTING_BINDS, AT(field), least, most, NULL}

/* clang-format off */
#define MODEL_KEYS                                                                                 \
    TEXT("model", model, BINDS), TEXT("tokenizer", tokenizer, BINDS),                              \
    {"frames", EGO_SETTING_COUNT, EGO_SETTING_BINDS, AT(frames), 1, 1024, NULL}
#define DATA_KEYS                                                                                  \
    TEXT("data.train", data.train, BINDS), TEXT("data.validate", data.validate, BINDS),            \
    TEXT("data.video_root", data.video_root, FREE),                                                \
    TEXT("data.validate_root", data.validate_root, FREE),                                          \
    {"data.max_tokens", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(data.max_tokens), 3, 1 << 20, NULL}, \
    FLAG("data.augment", data.augment, BINDS)
#define RUN_KEYS                                                                                   \
    EGO_HEAD_SETTINGS(ego_tune_config),                                                            \
    {"run.accumulate", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(accumulate), 1, 1 << 20, NULL},    \
    FLAG("run.checkpoint_layers", checkpoint_layers, FREE)
/* clang-format on */

static const ego_setting mir_keys[] = {
    MODEL_KEYS,
    DATA_KEYS,
    TEXT("data.train_sentences", data.train_sentences, BINDS),
    TEXT("data.validate_sentences", data.validate_sentences, BINDS),
    TEXT("data.train_relevancy", data.train_relevancy, BINDS),
    TEXT("data.validate_relevancy", data.validate_relevancy, BINDS),
    NUMBER("data.relevant", data.relevant, 0, 1),
    NUMBER("margin", margin, 0, 100),
    NUMBER("dropout", dropout, 0, 0.9),
    RUN_KEYS};

static const ego_setting charades_keys[] = {
    MODEL_KEYS,
    DATA_KEYS,
    FLAG("data.flip", data.flip, BINDS),
    TEXT("data.classes", data.classes, BINDS),
    NUMBER("temperature", temperature, 1e-4, 100),
    NUMBER("dropout", dropout, 0, 0.9),
    RUN_KEYS};

static void defaults_of(ego_tune_config *config, ego_tune_kind kind) {
    bool mir = kind == EGO_TUNE_MIR;
    *config = (ego_tune_config){
        .kind = kind,
        .data = {.max_tokens = mir ? 30 : 15, .augment = true, .relevant = 0.1, .flip = !mir},
        .margin = 0.2,
        .temperature = 0.05,
        .dropout = 0.1,
        .optim = {.lr = mir ? 2e-4 : 1.5e-5, .adamw = ego_adamw_default(), .warmup = 0.1},
        .run = {.epochs = mir ? 100 : 20, .batch = 16, .keep = 2, .seed = 1},
        .accumulate = 1,
        .checkpoint_layers = true};
}

static void mir_defaults(void *config) { defaults_of(config, EGO_TUNE_MIR); }
static void charades_defaults(void *config) { defaults_of(config, EGO_TUNE_CHARADES); }

/* What a validation needs. */
static ego_err check(const void *config) {
    const ego_tune_config *c = config;
    bool mir = c->kind == EGO_TUNE_MIR;
    if (!c->data.validate || (mir ? c->data.validate_sentences : c->data.classes)) return EGO_OK;
    return ego_fail(EGO_EINPUT, "configuration: %s: expected a text, found nothing",
                    mir ? "data.validate_sentences" : "data.classes");
}

/* ---- the run ------------------------------------------------------------------------------------------- */

/* What pre-training would be told, with the dual path's loss alone. */
static ego_err translate(const ego_tune_config *c, ego_train_config *t) {
    char frames[32];
    ego_train_config_init(t);
    t->init.from = c->model;
    t->data.annotations = c->data.train;
    t->data.video_root = c->data.video_root;
    t->data.tokenizer = c->tokenizer;
    t->data.max_tokens = c->data.max_tokens;
    t->data.augment = c->data.augment;
    t->data.flip = c->data.flip;
    t->data.moments = 0;
    t->objectives = (ego_objectives){
        .egonce = 1,
        .contrast = c->kind == EGO_TUNE_MIR ? EGO_CONTRAST_MARGIN : EGO_CONTRAST_EGONCE,
        .temperature = c->temperature,
        .margin = c->margin,
        .positives = EGO_POSITIVES_DIAGONAL,
        .dropout = (float)c->dropout};
    t->scene_seconds = 0;
    t->optim = (ego_train_optim){.lr = c->optim.lr, .encoders = 1, .head = 1, .cross = 1, .adamw = c->optim.adamw,
                                 .schedule = c->optim.schedule, .warmup = c->optim.warmup};
    t->run = (ego_train_run){.out = c->run.out,
                             .epochs = c->run.epochs,
                             .steps = c->run.steps,
                             .batch = c->run.batch,
                             .accumulate = c->accumulate,
                             .checkpoint_layers = c->checkpoint_layers,
                             .keep = c->run.keep,
                             .checkpoint_minutes = c->run.checkpoint_minutes,
                             .seed = c->run.seed};
    if (c->frames) {
        snprintf(frames, sizeof frames, "%lld", (long long)c->frames);
        EGO_TRY(ego_train_config_set(t, "model.frames", frames));
    }
    return ego_train_config_check(t);
}

/* ego_pretrain's, or what it would cost where there is a line for it. */
static ego_err tune(const ego_tune_config *c, const ego_training *with, ego_buf *line) {
    bool mir = c->kind == EGO_TUNE_MIR;
    ego_train_config config = {0};
    ego__tuning tuning = {.config = c, .progress = with->progress};
    ego_buf binding = {0};
    ego_err err;
    ego_arena_init(&tuning.arena, 1 << 16);
    EGO_TRY_OUT(translate(c, &config));
    EGO_TRY_OUT(mir ? ego__tune_mir(&tuning) : ego__tune_charades(&tuning));
    EGO_TRY_OUT(ego_recipe_bind(mir ? &ego_recipe_mir : &ego_recipe_charades, c, &binding));
    tuning.task.context = &tuning;
    tuning.task.binding = binding.data;
    ego_pretrain_options p = {.config = &config, .with = *with, .task = &tuning.task};
    err = line ? ego_pretrain_plan(&p, line) : ego_pretrain(&p);
out:
    mir ? ego__tune_mir_release(&tuning) : ego__tune_charades_release(&tuning);
    ego_arena_release(&tuning.arena);
    ego_train_config_release(&config);
    ego_buf_release(&binding);
    return err;
}

static ego_err plan(void *config, const ego_training *with, ego_buf *line) { return tune(config, with, line); }
static ego_err train(void *config, const ego_training *with) { return tune(config, with, NULL); }

const ego_recipe ego_recipe_mir = {.name = "mir",
                                   .size = sizeof(ego_tune_config),
                                   .texts = AT(texts),
                                   .init = mir_defaults,
                                   .keys = mir_keys,
                                   .key_count = sizeof mir_keys / sizeof *mir_keys,
                                   .needs = {"model", "data.train", "run.out", "data.train_sentences"},
                                   .check = check,
                                   .plan = plan,
                                   .train = train};

const ego_recipe ego_recipe_charades = {.name = "charades",
                                        .size = sizeof(ego_tune_config),
                                        .texts = AT(texts),
                                        .init = charades_defaults,
                                        .keys = charades_keys,
                                        .key_count = sizeof charades_keys / sizeof *charades_keys,
                                        .needs = {"model", "data.train", "run.out"},
                                        .check = check,
                                        .plan = plan,
                                        .train = train};
