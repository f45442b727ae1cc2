#include "recipe/qa_head.h"

#include "recipe/groups.h"
#include "recipe/tuned.h"
#include "task/qa_head.h"

/* ---- configuration --------------------------------------------------------------------------- */

#define AT(field) offsetof(ego_qa_train_config, field)
static const char *const backbone_words[] = {"frozen", "fused", "text", NULL};

static const ego_setting keys[] = {
    {"model", EGO_SETTING_TEXT, EGO_SETTING_BINDS, AT(model), 0, 0, NULL},
    {"tokenizer", EGO_SETTING_TEXT, EGO_SETTING_BINDS, AT(tokenizer), 0, 0, NULL},
    {"frames", EGO_SETTING_COUNT, EGO_SETTING_BINDS, AT(frames), 1, 1024, NULL},
    {"data.train", EGO_SETTING_TEXT, EGO_SETTING_BINDS, AT(data.train), 0, 0, NULL},
    {"data.validate", EGO_SETTING_TEXT, EGO_SETTING_BINDS, AT(data.validate), 0, 0, NULL},
    {"data.answers", EGO_SETTING_TEXT, EGO_SETTING_BINDS, AT(data.answers), 0, 0, NULL},
    {"data.video_root", EGO_SETTING_TEXT, EGO_SETTING_FREE, AT(data.video_root), 0, 0, NULL},
    {"data.validate_root", EGO_SETTING_TEXT, EGO_SETTING_FREE, AT(data.validate_root), 0, 0, NULL},
    {"data.cache", EGO_SETTING_TEXT, EGO_SETTING_FREE, AT(data.cache), 0, 0, NULL},
    {"data.interval_fps", EGO_SETTING_NUMBER, EGO_SETTING_BINDS, AT(data.interval_fps), 0.01, 1000,
     NULL},
    {"data.sampling", EGO_SETTING_WORD, EGO_SETTING_BINDS, AT(data.sampling), 0, 0,
     ego_qa_sampling_words},
    {"head.kind", EGO_SETTING_WORD, EGO_SETTING_BINDS, AT(kind), 0, 0, ego_qa_kind_words},
    {"head.dim", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(moments.dim), 1, 1 << 13, NULL},
    {"head.heads", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(moments.heads), 1, 1 << 10, NULL},
    {"head.layers", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(moments.layers), 1, EGO_QA_MOMENTS_LAYERS, NULL},
    {"head.hidden", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(moments.hidden), 1, 1 << 16, NULL},
    {"head.windows", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(moments.windows), 1, EGO_QA_WINDOWS, NULL},
    {"head.moments", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(moments.moments), 2, 64, NULL},
    {"dropout", EGO_SETTING_NUMBER, EGO_SETTING_BINDS, AT(dropout), 0, 0.9, NULL},
    {"backbone", EGO_SETTING_WORD, EGO_SETTING_BINDS, AT(backbone), 0, 0, backbone_words},
    {"optim.backbone", EGO_SETTING_NUMBER, EGO_SETTING_BINDS, AT(backbone_lr), 0, 1e6, NULL},
    EGO_HEAD_SETTINGS(ego_qa_train_config)};

static void defaults(void *config) {
    *(ego_qa_train_config *)config =
        (ego_qa_train_config){.data = {.interval_fps = 30},
                              .moments = ego_head_config_default(&ego_head_qa_moments).qa_moments,
                              .backbone_lr = 1,
                              .dropout = (double)EGO_QA_DROPOUT,
                              .optim = {.lr = 2e-4,
                                        .adamw = EGO_ADAMW_OF_TORCH(0.01),
                                        .schedule = EGO_SCHEDULE_COSINE,
                                        .warmup = 0.1},
                              .run = {.epochs = 36, .batch = 8, .keep = 2, .seed = 1}};
}

/* ---- a training ------------------------------------------------------------------------------ */

typedef struct training {
    const ego_qa_train_config *config;
    const ego_training *with;
    ego_backend *backend;
    ego_ctx cx; /* of the model */
    ego_model *model;
    ego_tuned tuned; /* what of the model learns along */
    ego_qa_task task;
    ego_buf binding;
} training;

static ego_err open_model(const ego_qa_train_config *c, ego_model **model) {
    unsigned needs = c->kind == EGO_QA_MOMENTS ? ego_halves_needs(EGO_HALF_EMBEDDING) : EGO_NEEDS_FUSED;
    ego_model_options o = {.tokenizer = c->tokenizer, .frames = c->frames, .needs = needs};
    return ego_model_open(c->model, &o, model);
}

/* NULL: nothing of the model. */
static ego_param_choice *what_learns(const ego_qa_train_config *c) {
    static ego_param_choice *const choices[] = {
        [EGO_QA_FUSED] = ego_param_where_streams_meet, [EGO_QA_TEXT] = ego_param_text_and_where_streams_meet};
    if (c->kind == EGO_QA_MOMENTS) return c->backbone == EGO_QA_TEXT ? ego_param_of_dual_text : NULL;
    return choices[c->backbone];
}

/* The task as it is, but for the seed and who is told. */
static ego_qa_task_options task_of(const ego_qa_train_config *c) {
    bool states = c->kind == EGO_QA_STATES;
    return (ego_qa_task_options){.data = &c->data,
                                 .kind = c->kind,
                                 .moments = c->moments,
                                 .seed = (uint64_t)c->run.seed,
                                 .halves = states && c->backbone != EGO_QA_FROZEN,
                                 .text_learns = states && c->backbone == EGO_QA_TEXT,
                                 .dropout = c->dropout};
}

static ego_err check_kind(const ego_qa_train_config *c) {
    if (c->kind != EGO_QA_MOMENTS || c->backbone != EGO_QA_FUSED) return EGO_OK;
    return ego_fail(EGO_EINPUT, "backbone: expected frozen or text with a head of moments, which reads the dual "
                                "encoder, found fused");
}

static ego_err set_up(training *t) {
    const ego_qa_train_config *c = t->config;
    ego_param_choice *which = what_learns(c);
    ego_qa_task_options o = task_of(c);
    o.with = t->with;
    EGO_TRY(check_kind(c));
    EGO_TRY(ego_cpu_backend_new(t->with->pool, &t->backend));
    ego_ctx_init(&t->cx, t->backend);
    EGO_TRY(open_model(c, &t->model));
    EGO_TRY(ego_qa_task_open(&t->cx, t->model, &o, &t->task));
    if (which) return ego_tuned_begin(t->model, t->backend, which, c->backbone_lr, &t->tuned);
    if (c->kind == EGO_QA_MOMENTS) /* it reads questions, and the head learns what to look for through it */
        return ego_model_make_passable(t->model, t->backend, ego_param_of_dual_text);
    ego_model_close(t->model, t->backend); /* all that was wanted of it are the rows */
    t->model = NULL;
    return EGO_OK;
}

static void changed(void *context) {
    training *t = context;
    ego_model_changed(t->model, t->backend);
}

static ego_err write_both(void *context, const char *out) {
    training *t = context;
    ego_buf path = {0};
    ego_buf_printf(&path, "%s/head.safetensors", out);
    ego_err err = ego_buf_err(&path);
    if (err == EGO_OK) err = ego_tuned_save(t->model, t->task.head, path.data);
    ego_buf_release(&path);
    return err;
}

static ego_err run(training *t) {
    const ego_qa_train_config *c = t->config;
    ego_head_task task = ego_qa_task_of(&t->task);
    ego_head_beside beside = {t->tuned.list, t->tuned.count, t, changed, write_both};
    EGO_TRY(ego_recipe_bind(&ego_recipe_qa, c, &t->binding));
    ego_head_run_options r = {.optim = &c->optim,
                              .run = &c->run,
                              .beside = what_learns(c) ? &beside : NULL,
                              .binding = t->binding.data,
                              .backend = t->backend,
                              .with = *t->with};
    return ego_head_run(&r, &task, 1);
}

static ego_err train(void *config, const ego_training *with) {
    training t = {.config = config, .with = with};
    ego_err err = set_up(&t);
    if (err == EGO_OK) err = run(&t);
    ego_qa_task_release(&t.task, t.backend);
    ego_tuned_end(&t.tuned);
    ego_model_close(t.model, t.backend);
    ego_ctx_release(&t.cx);
    ego_backend_free(t.backend);
    ego_buf_release(&t.binding);
    return err;
}

static ego_err plan(void *config, const ego_training *with, ego_buf *line) {
    const ego_qa_train_config *c = config;
    ego_qa_sizes n;
    ego_model *model;
    int64_t beside = 0;
    (void)with;
    ego_qa_task_options o = task_of(c);
    EGO_TRY(check_kind(c));
    EGO_TRY(open_model(c, &model));
    ego_err err = ego_qa_task_measure(&o, model, &n);
    if (err == EGO_OK && what_learns(c)) err = ego_tuned_count(model, what_learns(c), &beside);
    ego_model_close(model, NULL);
    EGO_TRY(err);
    ego_buf_printf(line,
                   "{\"parameters\":%lld,\"answers\":%lld,\"questions\":%lld,\"validate\":%lld",
                   (long long)(n.parameters + beside), (long long)n.answers, (long long)n.questions,
                   (long long)n.held_out);
    return ego_head_end_plan(&c->run, ego_head_steps(n.questions, c->run.batch), c->run.batch,
                             line);
}

const ego_recipe ego_recipe_qa = {.name = "qa",
                                  .size = sizeof(ego_qa_train_config),
                                  .texts = AT(texts),
                                  .init = defaults,
                                  .keys = keys,
                                  .key_count = sizeof keys / sizeof *keys,
                                  .needs = {"model", "data.train", "data.answers", "run.out"},
                                  .plan = plan,
                                  .train = train};
