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

static void defaults(void *values) {
    ego_nlq_train_config *config = values;
    ego_head_config head = ego_head_config_default(&ego_head_vslnet);
    *config = (ego_nlq_train_config){
        .frames = 4,
        .head = {0, head.vslnet.dim, head.vslnet.heads, head.vslnet.positions},
        .dropout = 0.2, /* EGO_VSLNET_DROPOUT, as it is written */
    };
    ego_nlq_head_defaults(&config->optim, &config->run);
}

/* ---- setting up ------------------------------------------------------------------------------------------- */

typedef struct training {
    const ego_nlq_train_config *config;
    const ego_training *with;
    ego_backend *backend;
    ego_ctx cx; /* of the encoders */
    ego_model *model;
    ego_head *head;
    ego_nlq_rows rows, held_out;
    ego_buf binding;
} training;

static bool fast(const ego_nlq_train_config *c) { return c->data.features == 1; }

static ego_nlq_rows_options rows_options(const ego_nlq_train_config *c, const ego_training *with,
                                         bool held_out) {
    const char *root =
        held_out && c->data.validate_root ? c->data.validate_root : c->data.video_root;
    return (ego_nlq_rows_options){.annotations = held_out ? c->data.validate : c->data.train,
                                  .video_root = root,
                                  .store = c->data.cache,
                                  .sampling =
                                      c->data.sampling ? EGO_SAMPLING_REFERENCE : EGO_SAMPLING_TIME,
                                  .fast = fast(c),
                                  .progress = with->progress,
                                  .notice = with->notice};
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
    ego_nlq_rows_options o = rows_options(t->config, t->with, held_out);
    o.model_id = id;
    return ego_nlq_rows_read(&t->cx, t->model, &o, rows);
}

/* The first rank makes the features; the others find them made. */
static ego_err read_all(training *t, const char *id) {
    ego_dist *dist = t->with->dist;
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

static ego_err set_up(training *t) {
    const char *id;
    EGO_TRY(ego_cpu_backend_new(t->with->pool, &t->backend));
    ego_ctx_init(&t->cx, t->backend);
    EGO_TRY(open_model(t->config, &t->model));
    EGO_TRY(ego_model_id(t->model, &id));
    EGO_TRY(make_head(t->config, t->model->config.dim, &t->head));
    ego_head_set_backbone(t->head, id);
    EGO_TRY(
        ego_head_set_note(t->head, EGO_GROUNDING_NOTE, feature_words[t->config->data.features]));
    EGO_TRY(read_all(t, id));
    return ego_recipe_bind(&ego_recipe_nlq, t->config, &t->binding);
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

static ego_err train(void *config, const ego_training *with) {
    const ego_nlq_train_config *c = config;
    training t = {.config = c, .with = with};
    ego_err err = set_up(&t);
    if (err == EGO_OK) {
        ego_nlq_head_options o = {.head = t.head,
                                  .train = ego_nlq_rows_source(&t.rows),
                                  .optim = &c->optim,
                                  .run = &c->run,
                                  .dropout = c->dropout,
                                  .keep_empty = c->reference_quirks,
                                  .binding = t.binding.data,
                                  .backend = t.backend,
                                  .with = *with};
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

typedef struct costs {
    int64_t clips, pairs; /* of clips with questions */
} costs;

static ego_err count(const ego_nlq_rows_options *o, int64_t *queries, costs *sum) {
    ego_nlq_rows rows;
    ego_err err = ego_nlq_rows_list(o, &rows);
    for (size_t i = 0; err == EGO_OK && i < rows.count; i++) {
        const ego_nlq_row *row = &rows.list[i], *before = i ? row - 1 : NULL;
        bool same = before && before->part.video == row->part.video &&
                    before->part.start == row->part.start;
        if (!same) sum->clips += clips_of(row);
        if (!o->fast) sum->pairs += clips_of(row);
    }
    *queries = (int64_t)rows.count;
    ego_nlq_rows_release(&rows);
    return err;
}

static ego_err plan(void *config, const ego_training *with, ego_buf *line) {
    const ego_nlq_train_config *c = config;
    ego_nlq_rows_options train = rows_options(c, with, false),
                         held_out = rows_options(c, with, true);
    int64_t queries, others = 0;
    costs all = {0};
    ego_model *model;
    ego_head *head;
    EGO_TRY(count(&train, &queries, &all));
    if (c->data.validate) EGO_TRY(count(&held_out, &others, &all));
    EGO_TRY(open_model(c, &model));
    ego_err err = make_head(c, model->config.dim, &head);
    ego_model_close(model, NULL);
    EGO_TRY(err);
    ego_buf_printf(line, "{\"parameters\":%lld,\"queries\":%lld,\"validate\":%lld",
                   (long long)ego_head_parameters(head), (long long)queries, (long long)others);
    ego_buf_printf(line, ",\"clips\":%lld,\"pairs\":%lld", (long long)all.clips,
                   (long long)all.pairs);
    ego_head_close(head, NULL);
    return ego_head_end_plan(&c->run, ego_head_steps(queries, c->run.batch), c->run.batch, line);
}

const ego_recipe ego_recipe_nlq = {.name = "nlq",
                                   .size = sizeof(ego_nlq_train_config),
                                   .texts = AT(texts),
                                   .init = defaults,
                                   .keys = keys,
                                   .key_count = sizeof keys / sizeof *keys,
                                   .needs = {"model", "data.train", "data.cache", "run.out"},
                                   .plan = plan,
                                   .train = train};
