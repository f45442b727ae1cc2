#include "recipe/nlq_train.h"

#include "base/rng.h"
#include "recipe/nlq_head.h"
#include "recipe/nlq_rows.h"
#include "task/grounding.h"
#include "task/vslnet.h"

#include <math.h>
#include <string.h>

/* ---- configuration ---------------------------------------------------------------------------------------- */

#define AT(field) offsetof(ego_nlq_train_config, field)
static const char *const feature_words[] = {"fused", "dual", NULL};
static const char *const sampling_words[] = {"time", "reference", NULL};
static const char *const kind_words[] = {"vslnet", "vslnet_small", NULL};

static const ego_setting keys[] = {
    {"model", EGO_SETTING_TEXT, EGO_SETTING_BINDS, AT(model), 0, 0, NULL},
    {"tokenizer", EGO_SETTING_TEXT, EGO_SETTING_BINDS, AT(tokenizer), 0, 0, NULL},
    {"frames", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(frames), 1, 64, NULL},
    {"data.train", EGO_SETTING_TEXT, EGO_SETTING_BINDS, AT(data.train), 0, 0, NULL},
    {"data.validate", EGO_SETTING_TEXT, EGO_SETTING_BINDS, AT(data.validate), 0, 0, NULL},
    {"data.video_root", EGO_SETTING_TEXT, EGO_SETTING_FREE, AT(data.video_root), 0, 0, NULL},
    {"data.validate_root", EGO_SETTING_TEXT, EGO_SETTING_FREE, AT(data.validate_root), 0, 0, NULL},
    {"data.cache", EGO_SETTING_TEXT, EGO_SETTING_FREE, AT(data.cache), 0, 0, NULL},
    {"data.features", EGO_SETTING_WORD, EGO_SETTING_BINDS, AT(data.features), 0, 0, feature_words},
    {"data.sampling", EGO_SETTING_WORD, EGO_SETTING_BINDS, AT(data.sampling), 0, 0, sampling_words},
    {"head.kind", EGO_SETTING_WORD, EGO_SETTING_BINDS, AT(head.kind), 0, 0, kind_words},
    {"head.dim", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(head.dim), 1, 1 << 13, NULL},
    {"head.heads", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(head.heads), 1, 1 << 10, NULL},
    {"head.positions", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(head.positions),
     EGO_GROUNDING_TOKENS, 1 << 16, NULL},
    {"dropout", EGO_SETTING_NUMBER, EGO_SETTING_BINDS, AT(dropout), 0, 0.9, NULL},
    {"reference_quirks", EGO_SETTING_FLAG, EGO_SETTING_BINDS, AT(reference_quirks), 0, 0, NULL},
    EGO_HEAD_SETTINGS(ego_nlq_train_config)};

void ego_nlq_train_config_init(ego_nlq_train_config *config) {
    ego_head_config head = ego_head_config_default(&ego_head_vslnet);
    *config = (ego_nlq_train_config){
        .frames = 4,
        .head = {0, head.vslnet.dim, head.vslnet.heads, head.vslnet.positions},
        .dropout = 0.2, /* EGO_VSLNET_DROPOUT, as it is written */
    };
    ego_nlq_head_defaults(&config->optim, &config->run);
    ego_arena_init(&config->texts, 1 << 12);
}

void ego_nlq_train_config_release(ego_nlq_train_config *config) {
    ego_arena_release(&config->texts);
    *config = (ego_nlq_train_config){0};
}

ego_settings ego_nlq_train_settings(ego_nlq_train_config *config) {
    return (ego_settings){keys, sizeof keys / sizeof *keys, config, &config->texts};
}

ego_err ego_nlq_train_config_check(ego_nlq_train_config *config) {
    static const char *const needed[] = {"model", "data.train", "data.cache", "run.out"};
    ego_settings s = ego_nlq_train_settings(config);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        EGO_TRY(ego_settings_require(&s, needed[i]));
    return EGO_OK;
}

/* ---- setting up ------------------------------------------------------------------------------------------- */

typedef struct training {
    const ego_nlq_train_options *options;
    const ego_nlq_train_config *config;
    ego_backend *backend;
    ego_ctx cx; /* of the encoders */
    ego_model *model;
    ego_head *head;
    ego_nlq_rows rows, held_out;
    ego_buf binding;
} training;

static bool fast(const ego_nlq_train_config *c) { return c->data.features == 1; }

static ego_nlq_rows_options rows_options(const ego_nlq_train_options *o, bool held_out) {
    const ego_nlq_train_config *c = o->config;
    const char *root =
        held_out && c->data.validate_root ? c->data.validate_root : c->data.video_root;
    return (ego_nlq_rows_options){.annotations = held_out ? c->data.validate : c->data.train,
                                  .video_root = root,
                                  .store = c->data.cache,
                                  .sampling =
                                      c->data.sampling ? EGO_SAMPLING_REFERENCE : EGO_SAMPLING_TIME,
                                  .fast = fast(c),
                                  .progress = o->progress,
                                  .notice = o->notice};
}

static ego_err open_model(const ego_nlq_train_config *c, ego_model **model) {
    unsigned wanted = EGO_FEATURES_WORDS | (fast(c) ? EGO_FEATURES_DUAL : EGO_FEATURES_FUSED);
    ego_model_options o = {
        .tokenizer = c->tokenizer, .frames = c->frames, .needs = ego_features_need(wanted)};
    return ego_model_open(c->model, &o, model);
}

static ego_err make_head(const ego_nlq_train_config *c, int64_t width, ego_head **head) {
    const ego_head_kind *kind = c->head.kind ? &ego_head_vslnet_small : &ego_head_vslnet;
    ego_head_config config = {.vslnet = {.video_width = width,
                                         .query_width = width,
                                         .dim = c->head.dim,
                                         .heads = c->head.heads,
                                         .positions = c->head.positions}};
    if (c->head.kind) config.vslnet.highlighted = !c->reference_quirks;
    return ego_head_create(kind, &config, (uint64_t)c->run.seed, head);
}

static ego_err read_rows(training *t, const char *id, bool held_out, ego_nlq_rows *rows) {
    ego_nlq_rows_options o = rows_options(t->options, held_out);
    o.model_id = id;
    return ego_nlq_rows_read(&t->cx, t->model, &o, rows);
}

/* The first rank makes the features; the others find them made. */
static ego_err read_all(training *t, const char *id) {
    ego_dist *dist = t->options->dist;
    bool first = ego_dist_rank(dist) == 0, failed;
    ego_err err = EGO_OK;
    for (int turn = 0; turn < 2; turn++) {
        bool mine = first == (turn == 0);
        if (mine) err = read_rows(t, id, false, &t->rows);
        if (mine && err == EGO_OK && t->config->data.validate)
            err = read_rows(t, id, true, &t->held_out);
        EGO_TRY(ego_dist_any(dist, err != EGO_OK, &failed));
        if (failed)
            return err != EGO_OK
                       ? err
                       : ego_fail(EGO_ECANCELLED, "another rank could not read its questions");
    }
    return EGO_OK;
}

static ego_err set_up(training *t, const ego_nlq_train_options *options) {
    const char *id;
    ego_settings settings = ego_nlq_train_settings(options->config);
    *t = (training){.options = options, .config = options->config};
    EGO_TRY(ego_cpu_backend_new(options->pool, &t->backend));
    ego_ctx_init(&t->cx, t->backend);
    EGO_TRY(open_model(t->config, &t->model));
    EGO_TRY(ego_model_id(t->model, &id));
    EGO_TRY(make_head(t->config, t->model->config.dim, &t->head));
    ego_head_set_backbone(t->head, id);
    EGO_TRY(
        ego_head_set_note(t->head, EGO_GROUNDING_NOTE, feature_words[t->config->data.features]));
    EGO_TRY(read_all(t, id));
    ego_settings_write(&settings, true, &t->binding);
    return ego_buf_err(&t->binding);
}

static void tear_down(training *t) {
    ego_nlq_rows_release(&t->rows);
    ego_nlq_rows_release(&t->held_out);
    ego_head_close(t->head, t->backend);
    ego_model_close(t->model, t->backend);
    ego_ctx_release(&t->cx);
    ego_backend_free(t->backend);
    ego_buf_release(&t->binding);
}

/* ---- the whole -------------------------------------------------------------------------------------------- */

ego_err ego_nlq_train(const ego_nlq_train_options *options) {
    training t;
    ego_err err = set_up(&t, options);
    const ego_nlq_train_config *c = t.config;
    if (err == EGO_OK) {
        ego_nlq_head_options o = {.head = t.head,
                                  .train = ego_nlq_rows_source(&t.rows),
                                  .optim = &c->optim,
                                  .run = &c->run,
                                  .dropout = c->dropout,
                                  .keep_empty = c->reference_quirks,
                                  .binding = t.binding.data,
                                  .backend = t.backend,
                                  .pool = options->pool,
                                  .dist = options->dist,
                                  .resume = options->resume,
                                  .progress = options->progress,
                                  .notice = options->notice};
        if (c->data.validate) o.validate = ego_nlq_rows_source(&t.held_out);
        err = ego_nlq_head_train(&o);
    }
    tear_down(&t);
    return err;
}

/* ---- a plan ----------------------------------------------------------------------------------------------- */

/* As the grid of clips has it, of the times told: 1.87 clips a second. */
static int64_t clips_of(const ego_nlq_row *row) {
    double n = row->sample.duration * 1.87;
    return n >= 1 ? (int64_t)n : 1;
}

static ego_err count(const ego_nlq_train_options *options, bool held_out, int64_t *queries,
                     ego_nlq_train_plan *plan) {
    ego_nlq_rows_options o = rows_options(options, held_out);
    ego_nlq_rows rows;
    ego_err err = ego_nlq_rows_list(&o, &rows);
    for (size_t i = 0; err == EGO_OK && i < rows.count; i++) {
        const ego_nlq_row *row = &rows.list[i], *before = i ? row - 1 : NULL;
        bool same = before && before->part.video == row->part.video &&
                    before->part.start == row->part.start;
        if (!same) plan->clips += clips_of(row);
        if (!fast(options->config)) plan->pairs += clips_of(row);
    }
    *queries = (int64_t)rows.count;
    ego_nlq_rows_release(&rows);
    return err;
}

ego_err ego_nlq_train_measure(const ego_nlq_train_options *options, ego_nlq_train_plan *plan) {
    const ego_nlq_train_config *c = options->config;
    ego_model *model;
    ego_head *head;
    *plan = (ego_nlq_train_plan){.batch = c->run.batch};
    EGO_TRY(count(options, false, &plan->queries, plan));
    if (c->data.validate) EGO_TRY(count(options, true, &plan->held_out, plan));
    EGO_TRY(open_model(c, &model));
    ego_err err = make_head(c, model->config.dim, &head);
    ego_model_close(model, NULL);
    EGO_TRY(err);
    plan->parameters = ego_head_parameters(head);
    ego_head_close(head, NULL);
    plan->steps_per_epoch = ego_head_steps(plan->queries, c->run.batch);
    plan->steps = c->run.steps ? c->run.steps : c->run.epochs * plan->steps_per_epoch;
    return EGO_OK;
}
