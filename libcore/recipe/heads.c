#include "recipe/heads.h"

#include "model/identity.h"
#include "recipe/qfvs_tuned.h"
#include "recipe/tuned.h"
#include "task/qa_head.h"

/* ---- configuration --------------------------------------------------------------------------- */

/* clang-format off */
#define AT(field) offsetof(ego_heads_config, field)
#define KEY(name, field, kind, tie, least, most, words) EGO__KEY(ego_heads_config, name, field, kind, tie, least, most, words)
#define TEXT(name, field, tie) KEY(name, field, TEXT, tie, 0, 0, NULL)
#define SHARE_KEYS(task)                                                                           \
    KEY(#task ".weight", task.share.weight, NUMBER, BINDS, 1e-9, 1e9, NULL),                       \
    KEY(#task ".rate", task.share.rate, NUMBER, BINDS, 1e-9, 1e6, NULL),                           \
    KEY(#task ".batch", task.share.batch, COUNT, BINDS, 1, 1 << 20, NULL)

static const ego_setting keys[] = {
    TEXT("model", model, BINDS),
    TEXT("tokenizer", tokenizer, BINDS),
    KEY("frames", frames, COUNT, BINDS, 1, 1024, NULL),
    TEXT("qa.train", qa.data.train, BINDS),
    TEXT("qa.validate", qa.data.validate, BINDS),
    TEXT("qa.answers", qa.data.answers, BINDS),
    TEXT("qa.video_root", qa.data.video_root, FREE),
    TEXT("qa.validate_root", qa.data.validate_root, FREE),
    KEY("qa.interval_fps", qa.data.interval_fps, NUMBER, BINDS, 0.01, 1000, NULL),
    KEY("qa.sampling", qa.data.sampling, WORD, BINDS, 0, 0, ego_qa_sampling_words),
    KEY("qa.dropout", qa.dropout, NUMBER, BINDS, 0, 0.9, NULL),
    SHARE_KEYS(qa),
    TEXT("qfvs.root", qfvs.data.root, FREE),
    TEXT("qfvs.videos", qfvs.data.videos, BINDS),
    TEXT("qfvs.video_root", qfvs.data.video_root, FREE),
    TEXT("qfvs.validate", qfvs.data.validate, BINDS),
    TEXT("qfvs.validate_root", qfvs.data.validate_root, FREE),
    TEXT("qfvs.validate_video_root", qfvs.data.validate_video_root, FREE),
    KEY("qfvs.shot", qfvs.data.shot, NUMBER, BINDS, 0.1, 600, NULL),
    KEY("qfvs.heads", qfvs.head.heads, WHOLE, BINDS, 1, 1 << 10, NULL),
    KEY("qfvs.layers", qfvs.head.layers, WHOLE, BINDS, 1, EGO_QFVS_LAYERS, NULL),
    KEY("qfvs.hidden", qfvs.head.hidden, WHOLE, BINDS, 1, 1 << 16, NULL),
    KEY("qfvs.middle", qfvs.head.middle, WHOLE, BINDS, 1, 1 << 14, NULL),
    KEY("qfvs.ratio", qfvs.ratio, NUMBER, FREE, 1e-9, 1, NULL),
    KEY("qfvs.stretch", qfvs.stretch, WHOLE, BINDS, 1, 1 << 14, NULL),
    SHARE_KEYS(qfvs),
    KEY("optim.backbone", backbone, NUMBER, BINDS, 0, 1e6, NULL),
    EGO_HEAD_SETTINGS(ego_heads_config)};
/* clang-format on */

static void defaults(void *config) {
    ego_head_config head = ego_head_config_default(&ego_head_qfvs);
    *(ego_heads_config *)config = (ego_heads_config){
        .qa = {.data = {.interval_fps = 30},
               .dropout = (double)EGO_QA_DROPOUT,
               .share = {.weight = 1, .rate = 1}},
        .qfvs = {.data = {.shot = EGO_SHOT_SECONDS},
                 .head = {head.qfvs.heads, head.qfvs.layers, head.qfvs.hidden, head.qfvs.middle},
                 .ratio = 0.02,
                 .stretch = 20,
                 .share = {.weight = 1, .rate = 1}},
        .backbone = 1,
        .optim = {.lr = 1e-4,
                  .adamw = EGO_ADAMW_OF_TORCH(0.01),
                  .schedule = EGO_SCHEDULE_COSINE,
                  .warmup = 0.1},
        .run = {.epochs = 20, .batch = 8, .keep = 2, .seed = 1}};
}

static ego_err missing(const char *key) {
    return ego_fail(EGO_EINPUT, "configuration: %s: expected a text, found nothing", key);
}

static ego_err check(const void *config) {
    const ego_heads_config *c = config;
    if (!c->qa.data.train && !c->qfvs.data.videos)
        return ego_fail(
            EGO_EINPUT,
            "configuration: expected a task's data, qa.train or qfvs.videos, found neither");
    if (c->qa.data.train && !c->qa.data.answers) return missing("qa.answers");
    return c->qfvs.data.videos && !c->qfvs.data.root ? missing("qfvs.root") : EGO_OK;
}

/* ---- a training ------------------------------------------------------------------------------ */

typedef struct training {
    const ego_heads_config *config;
    const ego_training *with;
    ego_backend *backend;
    ego_ctx cx; /* of what lies below */
    ego_model *model;
    ego_tuned tuned;
    ego_qa_task qa;
    ego_qfvs_tuned *qfvs;
    ego_head_task tasks[2];
    size_t count;
    ego_buf binding;
} training;

static ego_err open_model(const ego_heads_config *c, ego_model **model) {
    unsigned needs =
        EGO_NEEDS_FUSED | (c->qfvs.data.videos ? ego_summary_needs(EGO_SUMMARY_HEAD) : 0);
    ego_model_options o = {.tokenizer = c->tokenizer, .frames = c->frames, .needs = needs};
    return ego_model_open(c->model, &o, model);
}

static ego_param_choice *what_learns(const ego_heads_config *c) {
    return c->qfvs.data.videos ? ego_param_of_summaries : ego_param_where_streams_meet;
}

static void add_task(training *t, const char *name, const ego_heads_share *share,
                     ego_head_task task) {
    task.name = name;
    task.weight = share->weight;
    task.rate = share->rate;
    task.batch = share->batch;
    t->tasks[t->count++] = task;
}

static ego_err open_qa(training *t) {
    const ego_heads_config *c = t->config;
    ego_qa_task_options o = {.data = &c->qa.data,
                             .seed = (uint64_t)c->run.seed,
                             .halves = true,
                             .dropout = c->qa.dropout,
                             .with = t->with};
    EGO_TRY(ego_qa_task_open(&t->cx, t->model, &o, &t->qa));
    add_task(t, "qa", &c->qa.share, ego_qa_task_of(&t->qa));
    return EGO_OK;
}

static ego_err open_qfvs(training *t) {
    const ego_heads_config *c = t->config;
    ego_qfvs_tuned_options o = {.data = &c->qfvs.data,
                                .head = &c->qfvs.head,
                                .ratio = c->qfvs.ratio,
                                .stretch = c->qfvs.stretch,
                                .seed = (uint64_t)c->run.seed,
                                .with = t->with};
    EGO_TRY(ego_qfvs_tuned_open(&t->cx, t->model, &o, &t->qfvs));
    add_task(t, "qfvs", &c->qfvs.share, ego_qfvs_tuned_task(t->qfvs));
    return EGO_OK;
}

static ego_err set_up(training *t) {
    const ego_heads_config *c = t->config;
    EGO_TRY(ego_cpu_backend_new(t->with->pool, &t->backend));
    ego_ctx_init(&t->cx, t->backend);
    EGO_TRY(open_model(c, &t->model));
    if (c->qa.data.train) EGO_TRY(open_qa(t));
    if (c->qfvs.data.videos) EGO_TRY(open_qfvs(t));
    EGO_TRY(ego_recipe_bind(&ego_recipe_heads, c, &t->binding));
    return ego_tuned_begin(t->model, t->backend, what_learns(c), c->backbone, &t->tuned);
}

static void tear_down(training *t) {
    ego_qa_task_release(&t->qa, t->backend);
    ego_qfvs_tuned_close(t->qfvs, t->backend);
    ego_tuned_end(&t->tuned);
    ego_model_close(t->model, t->backend);
    ego_ctx_release(&t->cx);
    ego_backend_free(t->backend);
    ego_buf_release(&t->binding);
}

static void changed(void *context) {
    training *t = context;
    ego_model_changed(t->model, t->backend);
}

/* What the model that was written is called, so that its heads can name it. */
static ego_err name_of(const training *t, const char *path, char id[65]) {
    ego_weights *file;
    EGO_TRY(ego_weights_open(path, &file));
    ego_err err = ego_weights_id(file, &t->model->config, id);
    ego_weights_close(file);
    return err;
}

static ego_err write_files(void *context, const char *out) {
    training *t = context;
    char id[65];
    ego_buf path = {0};
    ego_buf_printf(&path, "%s/model.safetensors", out);
    ego_err err = ego_buf_err(&path);
    if (err == EGO_OK) err = ego_tuned_save(t->model, NULL, path.data);
    if (err == EGO_OK) err = name_of(t, path.data, id);
    for (size_t i = 0; err == EGO_OK && i < t->count; i++) {
        ego_buf_clear(&path);
        ego_buf_printf(&path, "%s/head-%s.safetensors", out, t->tasks[i].name);
        ego_head_set_backbone(t->tasks[i].head, id);
        err = ego_buf_err(&path);
        if (err == EGO_OK) err = ego_head_save(t->tasks[i].head, path.data, EGO_F32);
    }
    ego_buf_release(&path);
    return err;
}

static ego_err train(void *config, const ego_training *with) {
    training t = {.config = config, .with = with};
    ego_err err = set_up(&t);
    if (err == EGO_OK) {
        ego_head_beside beside = {t.tuned.list, t.tuned.count, &t, changed, write_files};
        err = ego_head_run(&(ego_head_run_options){.optim = &t.config->optim,
                                                   .run = &t.config->run,
                                                   .beside = &beside,
                                                   .binding = t.binding.data,
                                                   .backend = t.backend,
                                                   .with = *with},
                           t.tasks, t.count);
    }
    tear_down(&t);
    return err;
}

/* ---- a plan ---------------------------------------------------------------------------------- */

typedef struct planning {
    const ego_heads_config *config;
    const ego_training *with;
    ego_model *model;
    int64_t parameters, epoch, batch;
    ego_buf tasks; /* ,"qa":{…},"qfvs":{…} */
} planning;

static void add_share(planning *p, const ego_heads_share *share, int64_t samples,
                      int64_t parameters) {
    int64_t batch = share->batch ? share->batch : p->config->run.batch,
            steps = ego_head_steps(samples, batch);
    p->parameters += parameters;
    p->batch += batch;
    if (steps > p->epoch) p->epoch = steps;
}

static ego_err plan_qa(planning *p) {
    ego_qa_sizes n;
    ego_qa_task_options o = {.data = &p->config->qa.data};
    EGO_TRY(ego_qa_task_measure(&o, p->model, &n));
    add_share(p, &p->config->qa.share, n.questions, n.parameters);
    ego_buf_printf(
        &p->tasks,
        ",\"qa\":{\"parameters\":%lld,\"answers\":%lld,\"questions\":%lld,\"validate\":%lld}",
        (long long)n.parameters, (long long)n.answers, (long long)n.questions,
        (long long)n.held_out);
    return EGO_OK;
}

static ego_err plan_qfvs(planning *p) {
    const ego_config *c = &p->model->config;
    ego_qfvs_sizes n;
    ego_head *head;
    EGO_TRY(ego_qfvs_measure(&p->config->qfvs.data, p->with, &n));
    EGO_TRY(ego_qfvs_make_head(&p->config->qfvs.head, &p->config->qfvs.data, p->model, 1, &head));
    int64_t parameters = ego_head_parameters(head),
            bytes = n.shots * ego_config_tokens(c, c->frames) * c->dim * 4;
    ego_head_close(head, NULL);
    add_share(p, &p->config->qfvs.share, n.queries, parameters);
    ego_buf_printf(
        &p->tasks,
        ",\"qfvs\":{\"parameters\":%lld,\"queries\":%lld,\"validate\":%lld,\"shots\":%lld",
        (long long)parameters, (long long)n.queries, (long long)n.held_out, (long long)n.shots);
    ego_buf_printf(&p->tasks, ",\"lower_bytes\":%lld}", (long long)bytes);
    return EGO_OK;
}

static ego_err plan(void *config, const ego_training *with, ego_buf *line) {
    planning p = {.config = config, .with = with};
    int64_t shared;
    ego_err err;
    EGO_TRY_OUT(open_model(p.config, &p.model));
    EGO_TRY_OUT(ego_tuned_count(p.model, what_learns(p.config), &shared));
    if (p.config->qa.data.train) EGO_TRY_OUT(plan_qa(&p));
    if (p.config->qfvs.data.videos) EGO_TRY_OUT(plan_qfvs(&p));
    EGO_TRY_OUT(ego_buf_err(&p.tasks));
    ego_buf_printf(line, "{\"parameters\":%lld,\"shared\":%lld%s",
                   (long long)(p.parameters + shared), (long long)shared, p.tasks.data);
    err = ego_head_end_plan(&p.config->run, p.epoch, p.batch, line);
out:
    ego_model_close(p.model, NULL);
    ego_buf_release(&p.tasks);
    return err;
}

const ego_recipe ego_recipe_heads = {.name = "heads",
                                     .size = sizeof(ego_heads_config),
                                     .texts = AT(texts),
                                     .init = defaults,
                                     .keys = keys,
                                     .key_count = sizeof keys / sizeof *keys,
                                     .needs = {"model", "run.out"},
                                     .check = check,
                                     .plan = plan,
                                     .train = train};
