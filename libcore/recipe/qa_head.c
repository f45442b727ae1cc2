#include "recipe/qa_head.h"

#include "base/rng.h"
#include "model/trainable.h"
#include "recipe/groups.h"
#include "recipe/head_run.h"
#include "recipe/qa_rows.h"
#include "recipe/tuned.h"
#include "task/qa_head.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- configuration --------------------------------------------------------------------------- */

#define AT(field) offsetof(ego_qa_train_config, field)
static const char *const backbone_words[] = {"frozen", "fused", NULL};
static const char *const sampling_words[] = {"time", "reference", NULL};

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
    {"data.sampling", EGO_SETTING_WORD, EGO_SETTING_BINDS, AT(data.sampling), 0, 0, sampling_words},
    {"dropout", EGO_SETTING_NUMBER, EGO_SETTING_BINDS, AT(dropout), 0, 0.9, NULL},
    {"backbone", EGO_SETTING_WORD, EGO_SETTING_BINDS, AT(backbone), 0, 0, backbone_words},
    {"optim.backbone", EGO_SETTING_NUMBER, EGO_SETTING_BINDS, AT(backbone_lr), 0, 1e6, NULL},
    EGO_HEAD_SETTINGS(ego_qa_train_config)};

static void defaults(void *config) {
    *(ego_qa_train_config *)config =
        (ego_qa_train_config){.data = {.interval_fps = 30},
                              .backbone_lr = 1,
                              .dropout = (double)EGO_QA_DROPOUT,
                              .optim = {.lr = 2e-4,
                                        .adamw = {.beta1 = 0.9,
                                                  .beta2 = 0.999,
                                                  .eps = 1e-8,
                                                  .weight_decay = 0.01,
                                                  .torch = true},
                                        .schedule = EGO_SCHEDULE_COSINE,
                                        .warmup = 0.1},
                              .run = {.epochs = 36, .batch = 8, .keep = 2, .seed = 1}};
}

/* ---- a training ------------------------------------------------------------------------------ */

/* Names of what is drawn from the run's seed beside what recipe/head_run.h draws. */
enum { DRAW_HEAD = 100, DRAW_FRAMES };
enum { VALIDATION_BATCH = 256 };

typedef struct training {
    const ego_qa_train_config *config;
    const ego_training *with;
    ego_backend *backend;
    ego_ctx cx; /* of the model */
    ego_model *model;
    ego_trained *learning; /* of the model's parameters, `learning_count` */
    size_t learning_count;
    ego_arena arena;
    ego_names answers;
    ego_head *head;
    ego_qa_rows rows, held_out; /* to train and to validate on */
    ego_buf binding;
} training;

static uint64_t draws(const training *t, int what) {
    return ego_rng_stream((uint64_t)t->config->run.seed, (uint64_t)what);
}

/* States of rows[0] … rows[n − 1], as they were computed, or through the layers that learn; NULL
 * after a failure that the context keeps or *err has. */
static const ego_tensor *states_of(ego_ctx *cx, ego_qa_rows *from, const int64_t *rows, int64_t n,
                                   ego_err *err) {
    int64_t D = from->width;
    const ego_tensor *met = NULL;
    *err = EGO_OK;
    if (from->session) {
        ego_qa_item **items = ego_ctx_alloc(cx, (size_t)n * sizeof *items);
        if (!items) return NULL;
        for (int64_t i = 0; i < n; i++) items[i] = &from->items[rows[i]];
        *err = ego_qa_states(from->session, cx, items, (size_t)n, &met);
        return met;
    }
    ego_tensor *x = EGO_TENSOR(cx, n, D);
    for (int64_t i = 0; x && i < n; i++)
        memcpy(ego_f32(x) + i * D, from->states + rows[i] * D, (size_t)D * sizeof(float));
    return x;
}

/* Cross-entropy of samples from … from + n of the batch: their share of its mean. */
static ego_err losses(void *context, ego_ctx *cx, const ego_head_batch *batch, int64_t from,
                      int64_t n, ego_head_losses *out) {
    training *t = context;
    ego_err err;
    int64_t *labels = ego_ctx_alloc(cx, (size_t)n * sizeof *labels);
    if (!labels) return ego_ctx_err(cx);
    for (int64_t i = 0; i < n; i++) labels[i] = t->rows.labels[batch->samples[from + i]];
    const ego_tensor *x = states_of(cx, &t->rows, batch->samples + from, n, &err);
    EGO_TRY(err);
    ego_dropout drop = {.p = (float)t->config->dropout, .streams = batch->streams + from};
    ego_tensor *logits = ego_qa_logits(cx, t->head, x, drop);
    ego_head_losses_add(out, "answer",
                        ego_cross_entropy(cx, logits, labels, 1 / (float)batch->count), 1);
    return EGO_OK;
}

static void model_changed(void *context) {
    training *t = context;
    ego_model_changed(t->model, t->backend);
}

static ego_err write_both(void *context, const char *path) {
    training *t = context;
    return ego_tuned_save(t->model, t->head, path);
}

/* ---- validation ------------------------------------------------------------------------------ */

typedef struct share {
    const char
        *name; /* of the number, and of the questions' part of reasoning_type; NULL part: all */
    const char *part;
    int64_t asked, right;
} share;

static bool has_part(const ego_qa_question *q, const char *part) {
    for (size_t i = 0; part && i < q->reasoning_count; i++)
        if (strcmp(q->reasoning[i], part) == 0) return true;
    return part == NULL;
}

static double log_sum_exp(const float *x, int64_t n) {
    double most = x[0], sum = 0;
    for (int64_t i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (int64_t i = 0; i < n; i++) sum += exp(x[i] - most);
    return most + log(sum);
}

enum { ALL, OPEN, BINARY, SHARES };

typedef struct tally {
    share shares[SHARES];
    double loss;
} tally;

/* Rows from … from + n of those held out. */
static ego_err judge(training *t, ego_ctx *cx, int64_t from, int64_t n, tally *sums) {
    int64_t rows[VALIDATION_BATCH], A = t->head->config.qa.answers;
    ego_err err;
    for (int64_t i = 0; i < n; i++) rows[i] = from + i;
    const ego_tensor *x = states_of(cx, &t->held_out, rows, n, &err);
    EGO_TRY(err);
    const ego_tensor *logits = ego_qa_logits(cx, t->head, x, (ego_dropout){0});
    EGO_TRY(ego_ctx_err(cx));
    for (int64_t i = 0; i < n; i++) {
        const float *z = ego_f32(logits) + i * A;
        int64_t label = t->held_out.labels[from + i];
        size_t best;
        ego_qa_best(z, (size_t)A, 1, &best);
        sums->loss += log_sum_exp(z, A) - (double)z[label];
        for (size_t k = 0; k < SHARES; k++) {
            if (!has_part(t->held_out.questions[from + i], sums->shares[k].part)) continue;
            sums->shares[k].asked++;
            sums->shares[k].right += (int64_t)best == label;
        }
    }
    return EGO_OK;
}

static double percent(const share *s) { return 100.0 * (double)s->right / (double)s->asked; }

static ego_err validate(void *context, ego_ctx *cx, int64_t epochs, bool last, ego_run_numbers *out,
                        double *score) {
    training *t = context;
    int64_t count = (int64_t)t->held_out.count,
            step = t->model ? ego_good_batch(t->model) : VALIDATION_BATCH;
    tally sums = {.shares = {[ALL] = {.name = "all"},
                             [OPEN] = {.name = "open", .part = "query"},
                             [BINARY] = {.name = "binary", .part = "verify"}}};
    (void)epochs, (void)last;
    if (step > VALIDATION_BATCH) step = VALIDATION_BATCH;
    for (int64_t from = 0; from < count; from += step) {
        ego_ctx_mark mark = ego_ctx_save(cx);
        ego_err err = judge(t, cx, from, count - from < step ? count - from : step, &sums);
        ego_ctx_rewind(cx, &mark);
        EGO_TRY(err);
    }
    for (size_t k = 0; k < SHARES; k++)
        if (sums.shares[k].asked) ego_run_add(out, sums.shares[k].name, percent(&sums.shares[k]));
    ego_run_add(out, "loss", sums.loss / (double)count);
    *score = percent(&sums.shares[ALL]);
    return EGO_OK;
}

/* ---- setting up ------------------------------------------------------------------------------ */

static ego_err read_rows(training *t, const char *annotations, const char *root,
                         ego_qa_rows *rows) {
    const ego_qa_train_config *c = t->config;
    ego_qa_rows_options o = {.annotations = annotations,
                             .video_root = root,
                             .interval_fps = c->data.interval_fps,
                             .drawn = c->data.sampling != 0,
                             .seed = draws(t, DRAW_FRAMES),
                             .cache = c->data.cache,
                             .classes = (int64_t)t->answers.count,
                             .halves = c->backbone == EGO_QA_FUSED,
                             .progress = t->with->progress,
                             .notice = t->with->notice};
    return ego_qa_rows_read(&t->cx, t->model, &o, rows);
}

static ego_err make_head(training *t) {
    const char *id;
    ego_head_config config = {
        .qa = {.width = t->model->config.dim, .answers = (int64_t)t->answers.count}};
    EGO_TRY(ego_model_id(t->model, &id));
    EGO_TRY(ego_head_create(&ego_head_qa, &config, draws(t, DRAW_HEAD), &t->head));
    ego_head_set_backbone(t->head, id);
    return ego_qa_head_set_answers(t->head, &t->answers);
}

static ego_err open_model(const ego_qa_train_config *c, ego_model **model) {
    ego_model_options o = {
        .tokenizer = c->tokenizer, .frames = c->frames, .needs = EGO_NEEDS_FUSED};
    return ego_model_open(c->model, &o, model);
}

/* The model's layers that learn along. */
static ego_err list_learning(training *t) {
    EGO_TRY(ego_model_make_partly_trainable(t->model, t->backend, ego_param_where_streams_meet));
    EGO_TRY(ego_trained_list(t->model, 1, 1, &t->learning, &t->learning_count));
    for (size_t i = 0; i < t->learning_count; i++) {
        t->learning[i].decay = true; /* of everything, as published */
        t->learning[i].lr_scale = t->config->backbone_lr;
    }
    return EGO_OK;
}

static ego_err set_up(training *t) {
    const ego_qa_train_config *c = t->config;
    const char *held_out_root = c->data.validate_root ? c->data.validate_root : c->data.video_root;
    EGO_TRY(ego_cpu_backend_new(t->with->pool, &t->backend));
    ego_ctx_init(&t->cx, t->backend);
    EGO_TRY(ego_names_read(c->data.answers, &t->arena, &t->answers));
    EGO_TRY(open_model(c, &t->model));
    EGO_TRY(make_head(t));
    EGO_TRY(read_rows(t, c->data.train, c->data.video_root, &t->rows));
    if (c->data.validate) EGO_TRY(read_rows(t, c->data.validate, held_out_root, &t->held_out));
    if (c->backbone == EGO_QA_FUSED) return list_learning(t);
    ego_model_close(t->model, t->backend); /* all that was wanted of it are the rows */
    t->model = NULL;
    return EGO_OK;
}

static ego_err run(training *t) {
    const ego_qa_train_config *c = t->config;
    ego_head_task task = {.context = t,
                          .samples = (int64_t)t->rows.count,
                          .losses = losses,
                          .validate = c->data.validate ? validate : NULL,
                          .beside = t->learning,
                          .beside_count = t->learning_count,
                          .changed = t->model ? model_changed : NULL,
                          .write = t->model ? write_both : NULL};
    EGO_TRY(ego_recipe_bind(&ego_recipe_qa, c, &t->binding));
    ego_head_run_options r = {.head = t->head,
                              .optim = &c->optim,
                              .run = &c->run,
                              .portion = t->model ? ego_good_batch(t->model) : 0,
                              .binding = t->binding.data,
                              .backend = t->backend,
                              .with = *t->with};
    return ego_head_run(&r, &task);
}

static ego_err train(void *config, const ego_training *with) {
    training t = {.config = config, .with = with};
    ego_arena_init(&t.arena, 1 << 14);
    ego_err err = set_up(&t);
    if (err == EGO_OK) err = run(&t);
    ego_qa_rows_release(&t.rows);
    ego_qa_rows_release(&t.held_out);
    ego_head_close(t.head, t.backend);
    ego_model_close(t.model, t.backend);
    free(t.learning);
    ego_ctx_release(&t.cx);
    ego_backend_free(t.backend);
    ego_arena_release(&t.arena);
    ego_buf_release(&t.binding);
    return err;
}

static ego_err count_questions(const char *path, int64_t *n) {
    ego_arena arena;
    ego_qa all;
    ego_arena_init(&arena, 1 << 16);
    ego_err err = ego_qa_read(path, &arena, &all);
    if (err == EGO_OK) *n = (int64_t)all.count;
    ego_arena_release(&arena);
    return err;
}

typedef struct learning {
    const ego_model *model;
    int64_t count;
} learning;

static ego_err count_learning(void *context, const ego_param_spec *spec) {
    learning *l = context;
    const ego_param *p = spec->param;
    if (ego_param_where_streams_meet(l->model, p) && p->value.data && p->value.data != p->constant)
        l->count += ego_tensor_count(&p->value);
    return EGO_OK;
}

static ego_err plan(void *config, const ego_training *with, ego_buf *line) {
    const ego_qa_train_config *c = config;
    int64_t questions, held_out = 0, parameters;
    ego_arena arena;
    ego_names answers;
    ego_model *model = NULL;
    ego_err err;
    (void)with;
    ego_arena_init(&arena, 1 << 14);
    EGO_TRY_OUT(ego_names_read(c->data.answers, &arena, &answers));
    EGO_TRY_OUT(count_questions(c->data.train, &questions));
    if (c->data.validate) EGO_TRY_OUT(count_questions(c->data.validate, &held_out));
    EGO_TRY_OUT(open_model(c, &model));
    int64_t A = (int64_t)answers.count;
    parameters = A * (model->config.dim + 1) + A * (A + 1);
    if (c->backbone == EGO_QA_FUSED) {
        learning l = {model, 0};
        EGO_TRY_OUT(ego_params_visit(&model->config, model->params, count_learning, &l));
        parameters += l.count;
    }
    ego_buf_printf(line, "{\"parameters\":%lld,\"answers\":%lld,\"questions\":%lld,\"validate\":%lld",
                   (long long)parameters, (long long)A, (long long)questions, (long long)held_out);
    err = ego_head_end_plan(&c->run, questions, line);
out:
    ego_model_close(model, NULL);
    ego_arena_release(&arena);
    return err;
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
