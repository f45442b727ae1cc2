#include "recipe/qfvs_head.h"

#include "task/qfvs.h"

#include <stdlib.h>
#include <string.h>

/* ---- configuration ------------------------------------------------------------------------------- */

#define AT(field) offsetof(ego_qfvs_train_config, field)
static const char *const sampling_words[] = {"time", "reference", NULL};
static const char *const prompt_words[] = {"sentence", "narration", NULL}; /* ego_qfvs_words */
static const char *const feature_words[] = {"fused", "dual", NULL};
static const char *const rate_words[] = {"published", "even", NULL};

static const ego_setting keys[] = {
    {"model", EGO_SETTING_TEXT, EGO_SETTING_BINDS, AT(model), 0, 0, NULL},
    {"tokenizer", EGO_SETTING_TEXT, EGO_SETTING_BINDS, AT(tokenizer), 0, 0, NULL},
    {"frames", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(frames), 1, 64, NULL},
    {"data.root", EGO_SETTING_TEXT, EGO_SETTING_FREE, AT(data.root), 0, 0, NULL},
    {"data.videos", EGO_SETTING_TEXT, EGO_SETTING_BINDS, AT(data.videos), 0, 0, NULL},
    {"data.video_root", EGO_SETTING_TEXT, EGO_SETTING_FREE, AT(data.video_root), 0, 0, NULL},
    {"data.validate", EGO_SETTING_TEXT, EGO_SETTING_BINDS, AT(data.validate), 0, 0, NULL},
    {"data.validate_root", EGO_SETTING_TEXT, EGO_SETTING_FREE, AT(data.validate_root), 0, 0, NULL},
    {"data.validate_video_root", EGO_SETTING_TEXT, EGO_SETTING_FREE, AT(data.validate_video_root),
     0, 0, NULL},
    {"data.cache", EGO_SETTING_TEXT, EGO_SETTING_FREE, AT(data.cache), 0, 0, NULL},
    {"data.shot", EGO_SETTING_NUMBER, EGO_SETTING_BINDS, AT(data.shot), 0.1, 600, NULL},
    {"data.sampling", EGO_SETTING_WORD, EGO_SETTING_BINDS, AT(data.sampling), 0, 0, sampling_words},
    {"data.parts", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(data.parts), 1, EGO_QFVS_PARTS, NULL},
    {"data.prompts", EGO_SETTING_WORD, EGO_SETTING_BINDS, AT(data.prompts), 0, 0, prompt_words},
    {"data.features", EGO_SETTING_WORD, EGO_SETTING_BINDS, AT(data.features), 0, 0, feature_words},
    {"head.heads", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(head.heads), 1, 1 << 10, NULL},
    {"head.layers", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(head.layers), 1, EGO_QFVS_LAYERS,
     NULL},
    {"head.hidden", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(head.hidden), 1, 1 << 16, NULL},
    {"head.middle", EGO_SETTING_WHOLE, EGO_SETTING_BINDS, AT(head.middle), 1, 1 << 14, NULL},
    {"ratio", EGO_SETTING_NUMBER, EGO_SETTING_FREE, AT(ratio), 1e-9, 1, NULL},
    {"rates", EGO_SETTING_WORD, EGO_SETTING_BINDS, AT(rates), 0, 0, rate_words},
    {"reference_quirks", EGO_SETTING_FLAG, EGO_SETTING_BINDS, AT(reference_quirks), 0, 0, NULL},
    EGO_HEAD_SETTINGS(ego_qfvs_train_config)};

/* What matrices and vectors learn at, of the published base rate, and where its cosine ends. */
static const double MATRIX_RATE = 0.2, VECTOR_RATE = 0.0048, LAST_RATE = 1e-3;

static void defaults(void *config) {
    ego_head_config head = ego_head_config_default(&ego_head_qfvs);
    *(ego_qfvs_train_config *)config = (ego_qfvs_train_config){
        .frames = EGO_SHOT_FRAMES,
        .data = {.shot = EGO_SHOT_SECONDS, .parts = 1},
        .head = {head.qfvs.heads, head.qfvs.layers, head.qfvs.hidden, head.qfvs.middle},
        .ratio = 0.02,
        .optim = {.lr = 1e-5,
                  .adamw = EGO_ADAMW_OF_TORCH(0.1),
                  .schedule = EGO_SCHEDULE_COSINE,
                  .warmup = 0.1},
        .run = {.epochs = 20, .batch = 4, .keep = 2, .seed = 1}};
}

/* ---- a training ---------------------------------------------------------------------------------- */

typedef struct sample {
    const ego_qfvs_video *video;
    const ego_qfvs_query *query;
} sample;

typedef struct training {
    const ego_qfvs_train_config *config;
    const ego_training *with;
    ego_backend *backend;
    ego_head *head;
    ego_qfvs_rows rows, held_out;
    sample *samples;
    int64_t sample_count;
    ego_buf binding;
} training;

/* ---- what the head takes ------------------------------------------------------------------------- */

/* Rows of a video's shots with some prompts: for each prompt segment after segment; with the
 * published padding each segment has EGO_QFVS_PLACES rows, those without a shot filled with the
 * features of nothing. */
typedef struct input {
    int64_t prompts, shots, rows; /* rows of one prompt */
    ego_tensor *x;                /* (prompts · rows, D) */
    int64_t *first;               /* of the segments, prompts · count + 1 */
    int64_t *row;                 /* (shots): where each stands within a prompt's rows */
    float *key_bias;              /* of each row; NULL without padding */
    ego_groups segments;
} input;

static ego_err load(const training *t, const ego_qfvs_rows *rows, ego_summary_kind kind,
                    const char *video, const char *prompt, int64_t n, ego_arena *arena,
                    ego_tensor *out) {
    EGO_TRY(ego_summary_store_load(&rows->store, kind, video, prompt, arena, out));
    if (out->data && out->ndim == 2 && out->shape[0] == n &&
        out->shape[1] == t->head->config.qfvs.width)
        return EGO_OK;
    return ego_fail(EGO_EIO, "%s: the features of %s with \"%s\" were there and are gone",
                    rows->store.folder, video, prompt);
}

/* Where rows are, and room for them. */
static ego_err lay_out(ego_ctx *cx, const ego_kts *k, int64_t prompts, int64_t D, bool padded,
                       input *in) {
    int64_t count = (int64_t)k->count;
    *in = (input){.prompts = prompts, .shots = (int64_t)k->starts[k->count]};
    in->rows = padded ? count * EGO_QFVS_PLACES : in->shots;
    in->x = EGO_TENSOR(cx, prompts * in->rows, D);
    in->first = ego_ctx_alloc(cx, (size_t)(prompts * count + 1) * sizeof *in->first);
    in->row = ego_ctx_alloc(cx, (size_t)in->shots * sizeof *in->row);
    if (padded)
        in->key_bias = ego_ctx_alloc(cx, (size_t)(prompts * in->rows) * sizeof *in->key_bias);
    EGO_TRY(ego_ctx_err(cx));
    for (int64_t s = 0; s < count; s++) {
        int64_t at = padded ? s * EGO_QFVS_PLACES : (int64_t)k->starts[s];
        for (int64_t p = 0; p < prompts; p++) in->first[p * count + s] = p * in->rows + at;
        for (size_t i = k->starts[s]; i < k->starts[s + 1]; i++)
            in->row[i] = at + (int64_t)(i - k->starts[s]);
    }
    in->first[prompts * count] = prompts * in->rows;
    in->segments = (ego_groups){in->first, prompts * count};
    return EGO_OK;
}

static ego_err fill(const training *t, const ego_qfvs_rows *rows, const char *video,
                    const char *prompt, int64_t p, ego_arena *arena, input *in) {
    ego_tensor features = {0}, empty = {0};
    int64_t D = ego_tensor_columns(in->x);
    size_t bytes = (size_t)D * sizeof(float);
    float *x = ego_f32(in->x) + p * in->rows * D,
          *bias = in->key_bias ? in->key_bias + p * in->rows : NULL;
    EGO_TRY(load(t, rows, EGO_SUMMARY_FEATURES, video, prompt, in->shots, arena, &features));
    if (bias) EGO_TRY(load(t, rows, EGO_SUMMARY_EMPTY, video, prompt, 1, arena, &empty));
    for (int64_t r = 0; bias && r < in->rows; r++) {
        memcpy(x + r * D, empty.data, bytes);
        bias[r] = 1;
    }
    for (int64_t k = 0; k < in->shots; k++) {
        memcpy(x + in->row[k] * D, ego_f32(&features) + k * D, bytes);
        if (bias) bias[in->row[k]] = 0;
    }
    return EGO_OK;
}

/* Logits of a video's shots with some prompts, (prompts · rows, 1). */
static ego_err forward(const training *t, ego_ctx *cx, const ego_qfvs_rows *rows,
                       const ego_qfvs_video *v, char *const *prompts, int64_t n, input *in,
                       ego_tensor **logits) {
    bool padded = t->config->reference_quirks;
    ego_arena arena;
    ego_arena_init(&arena, 1 << 16);
    ego_err err = lay_out(cx, &v->segments, n, t->head->config.qfvs.width, padded, in);
    for (int64_t p = 0; err == EGO_OK && p < n; p++)
        err = fill(t, rows, v->video, prompts[p], p, &arena, in);
    ego_arena_release(&arena);
    EGO_TRY(err);
    *logits = ego_qfvs_logits(cx, t->head, in->x, in->segments, in->key_bias);
    return EGO_OK;
}

/* ---- losses -------------------------------------------------------------------------------------- */

static ego_err one_sample(const training *t, ego_ctx *cx, const sample *s,
                          ego_tensor *sums[EGO_QFVS_PROMPTS]) {
    input in;
    ego_tensor *logits;
    size_t n = s->video->shots;
    EGO_TRY(forward(t, cx, &t->rows, s->video, s->query->prompts, EGO_QFVS_PROMPTS, &in, &logits));
    ego_qfvs_stretch all = {s->video, s->query, 0, n, (size_t)in.rows, in.row};
    return ego_qfvs_add_losses(cx, logits, &all, 1 / (float)(n ? n : 1), sums);
}

static ego_err losses(void *context, ego_ctx *cx, const ego_head_batch *batch, int64_t from,
                      int64_t n, ego_head_losses *out) {
    const training *t = context;
    ego_tensor *sums[EGO_QFVS_PROMPTS] = {0};
    for (int64_t i = from; i < from + n; i++)
        EGO_TRY(one_sample(t, cx, &t->samples[batch->samples[i]], sums));
    ego_qfvs_name_losses(sums, out);
    return EGO_OK;
}

static double published_rate(const ego_param_spec *spec) {
    return spec->ndim > 1 ? MATRIX_RATE : VECTOR_RATE;
}

/* ---- validation ---------------------------------------------------------------------------------- */

static ego_err score_shots(void *context, ego_ctx *cx, const ego_qfvs_video *v,
                           const ego_qfvs_query *q, float *values) {
    const training *t = context;
    input in;
    ego_tensor *logits;
    EGO_TRY(forward(t, cx, &t->held_out, v, q->prompts + EGO_QFVS_PROMPTS - 1, 1, &in, &logits));
    EGO_TRY(ego_ctx_err(cx));
    for (size_t k = 0; k < v->shots; k++) values[k] = ego_f32(logits)[in.row[k]];
    return EGO_OK;
}

static ego_err validate(void *context, ego_ctx *cx, int64_t epochs, bool last, ego_run_numbers *out,
                        double *score) {
    const training *t = context;
    (void)epochs, (void)last;
    return ego_qfvs_validate(&t->held_out, t->config->ratio, t->config->data.shot, score_shots,
                             context, cx, out, score);
}

/* ---- setting up ---------------------------------------------------------------------------------- */

static ego_qfvs_rows_options rows_options(const training *t, bool held_out) {
    const ego_qfvs_train_config *c = t->config;
    bool drawn = c->data.sampling != 0;
    ego_qfvs_rows_options o = ego_qfvs_rows_of(&c->data, held_out, t->with);
    o.summary.reference = o.kts.reference = c->reference_quirks;
    o.summary.shots.whole_seconds = o.summary.shots.random_crops = drawn;
    o.summary.shots.seed = (uint64_t)c->run.seed;
    return o;
}

static ego_err list_samples(training *t) {
    size_t n = 0;
    for (size_t i = 0; i < t->rows.count; i++) n += t->rows.videos[i].query_count;
    if (!(t->samples = malloc((n ? n : 1) * sizeof *t->samples)))
        return ego_fail(EGO_ENOMEM, "out of memory for %zu queries", n);
    for (size_t i = 0; i < t->rows.count; i++)
        for (size_t q = 0; q < t->rows.videos[i].query_count; q++)
            t->samples[t->sample_count++] =
                (sample){&t->rows.videos[i], &t->rows.videos[i].queries[q]};
    return EGO_OK;
}

static ego_err open_model(const ego_qfvs_train_config *c, ego_model **model) {
    ego_model_options o = {.tokenizer = c->tokenizer,
                           .frames = c->frames,
                           .needs = ego_summary_needs(ego_qfvs_by(&c->data))};
    return ego_model_open(c->model, &o, model);
}

/* The head and the features; the model is not needed any more after that. */
static ego_err set_up(training *t) {
    ego_model *model = NULL;
    ego_ctx cx;
    ego_err err;
    EGO_TRY(ego_cpu_backend_new(t->with->pool, &t->backend));
    ego_ctx_init(&cx, t->backend);
    ego_qfvs_rows_options train = rows_options(t, false), held_out = rows_options(t, true);
    EGO_TRY_OUT(open_model(t->config, &model));
    EGO_TRY_OUT(ego_qfvs_make_head(&t->config->head, &t->config->data, model,
                                   (uint64_t)t->config->run.seed, &t->head));
    EGO_TRY_OUT(ego_qfvs_rows_read(&cx, model, &train, &t->rows));
    if (held_out.names) EGO_TRY_OUT(ego_qfvs_rows_read(&cx, model, &held_out, &t->held_out));
    err = list_samples(t);
out:
    /* The stores name the model by its own text: closing it here would take that away. */
    t->rows.store.model = t->held_out.store.model = t->head ? t->head->backbone : "";
    ego_model_close(model, t->backend);
    ego_ctx_release(&cx);
    return err;
}

static ego_err run(training *t) {
    const ego_qfvs_train_config *c = t->config;
    ego_head_task task = {.head = t->head,
                          .context = t,
                          .samples = t->sample_count,
                          .portion = 1,
                          .losses = losses,
                          .validate = c->data.validate ? validate : NULL,
                          .lr_scale = c->rates == 0 ? published_rate : NULL};
    EGO_TRY(ego_recipe_bind(&ego_recipe_qfvs, c, &t->binding));
    ego_head_run_options r = {.optim = &c->optim,
                              .run = &c->run,
                              .floor = LAST_RATE,
                              .binding = t->binding.data,
                              .backend = t->backend,
                              .with = *t->with};
    return ego_head_run(&r, &task, 1);
}

static ego_err train(void *config, const ego_training *with) {
    training t = {.config = config, .with = with};
    ego_err err = set_up(&t);
    if (err == EGO_OK) err = run(&t);
    ego_qfvs_rows_release(&t.rows);
    ego_qfvs_rows_release(&t.held_out);
    ego_head_close(t.head, t.backend);
    ego_backend_free(t.backend);
    ego_buf_release(&t.binding);
    free(t.samples);
    return err;
}

/* ---- measuring ----------------------------------------------------------------------------------- */

static ego_err plan(void *config, const ego_training *with, ego_buf *line) {
    const ego_qfvs_train_config *c = config;
    ego_qfvs_sizes n;
    ego_model *model = NULL;
    ego_head *head = NULL;
    EGO_TRY(ego_qfvs_measure(&c->data, with, &n));
    EGO_TRY(open_model(c, &model));
    ego_err err = ego_qfvs_make_head(&c->head, &c->data, model, 1, &head);
    ego_model_close(model, NULL);
    EGO_TRY(err);
    ego_buf_printf(line, "{\"parameters\":%lld,\"queries\":%lld,\"validate\":%lld,\"shots\":%lld",
                   (long long)ego_head_parameters(head), (long long)n.queries,
                   (long long)n.held_out, (long long)n.shots);
    ego_buf_printf(line, ",\"lower_halves\":%lld,\"upper_halves\":%lld", (long long)n.shots,
                   (long long)n.pairs);
    ego_head_close(head, NULL);
    return ego_head_end_plan(&c->run, ego_head_steps(n.queries, c->run.batch), c->run.batch, line);
}

const ego_recipe ego_recipe_qfvs = {
    .name = "qfvs",
    .size = sizeof(ego_qfvs_train_config),
    .texts = AT(texts),
    .init = defaults,
    .keys = keys,
    .key_count = sizeof keys / sizeof *keys,
    .needs = {"model", "data.root", "data.videos", "data.cache", "run.out"},
    .plan = plan,
    .train = train};
