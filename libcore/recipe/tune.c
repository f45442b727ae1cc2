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

void ego_tune_config_init(ego_tune_config *config, ego_tune_kind kind) {
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
    ego_arena_init(&config->texts, 1 << 12);
}

void ego_tune_config_release(ego_tune_config *config) {
    ego_arena_release(&config->texts);
    *config = (ego_tune_config){0};
}

ego_settings ego_tune_settings(ego_tune_config *config) {
    bool mir = config->kind == EGO_TUNE_MIR;
    return (ego_settings){mir ? mir_keys : charades_keys,
                          mir ? sizeof mir_keys / sizeof *mir_keys : sizeof charades_keys / sizeof *charades_keys,
                          config, &config->texts};
}

ego_err ego_tune_config_check(ego_tune_config *config) {
    static const char *const needed[] = {"model", "data.train", "run.out"};
    ego_settings s = ego_tune_settings(config);
    bool mir = config->kind == EGO_TUNE_MIR;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) EGO_TRY(ego_settings_require(&s, needed[i]));
    if (mir) EGO_TRY(ego_settings_require(&s, "data.train_sentences"));
    if (config->data.validate)
        EGO_TRY(ego_settings_require(&s, mir ? "data.validate_sentences" : "data.classes"));
    return EGO_OK;
}

/* ---- the run ------------------------------------------------------------------------------------------- */

/* What pre-training would be told, with the dual path's loss alone. */
static ego_err translate(const ego_tune_config *c, ego_train_config *t) {
    char frames[32];
    EGO_TRY(ego_train_config_new(t));
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
    t->optim = (ego_train_optim){c->optim.lr, 1, 1, c->optim.adamw, c->optim.schedule, c->optim.warmup};
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

/* ego_pretrain's, or what it would cost where there is a plan to fill. */
static ego_err tune(const ego_tune_options *o, ego_pretrain_plan *plan) {
    ego_train_config config = {0};
    ego__tuning tuning = {.config = o->config, .options = o};
    ego_settings settings = ego_tune_settings(o->config);
    ego_buf binding = {0};
    bool mir = o->config->kind == EGO_TUNE_MIR;
    ego_err err;
    ego_arena_init(&tuning.arena, 1 << 16);
    EGO_TRY_OUT(translate(o->config, &config));
    EGO_TRY_OUT(mir ? ego__tune_mir(&tuning) : ego__tune_charades(&tuning));
    ego_settings_write(&settings, true, &binding);
    EGO_TRY_OUT(ego_buf_err(&binding));
    tuning.task.context = &tuning;
    tuning.task.binding = binding.data;
    ego_pretrain_options p = {.config = &config,
                              .pool = o->pool,
                              .dist = o->dist,
                              .resume = o->resume,
                              .progress = o->progress,
                              .notice = o->notice,
                              .task = &tuning.task};
    err = plan ? ego_pretrain_measure(&p, plan) : ego_pretrain(&p);
out:
    mir ? ego__tune_mir_release(&tuning) : ego__tune_charades_release(&tuning);
    ego_arena_release(&tuning.arena);
    ego_train_config_release(&config);
    ego_buf_release(&binding);
    return err;
}

ego_err ego_tune(const ego_tune_options *options) { return tune(options, NULL); }

ego_err ego_tune_measure(const ego_tune_options *options, ego_pretrain_plan *plan) { return tune(options, plan); }
