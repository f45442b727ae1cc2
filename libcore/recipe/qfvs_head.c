#include "recipe/qfvs_head.h"

#include "recipe/head_run.h"
#include "recipe/qfvs_rows.h"
#include "score/qfvs.h"
#include "task/qfvs.h"

#include <stdlib.h>
#include <string.h>

/* ---- configuration ------------------------------------------------------------------------------- */

#define AT(field) offsetof(ego_qfvs_train_config, field)
static const char *const sampling_words[] = {"time", "reference", NULL};
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
        .data = {.shot = EGO_SHOT_SECONDS},
        .head = {head.qfvs.heads, head.qfvs.layers, head.qfvs.hidden, head.qfvs.middle},
        .ratio = 0.02,
        .optim = {.lr = 1e-5,
                  .adamw = {.beta1 = 0.9,
                            .beta2 = 0.999,
                            .eps = 1e-8,
                            .weight_decay = 0.1,
                            .torch = true},
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

static bool in_oracle(const ego_qfvs_oracle *oracle, size_t shot) {
    for (size_t i = 0; i < oracle->count; i++)
        if (oracle->shots[i] == shot) return true;
    return false;
}

static ego_err one_sample(const training *t, ego_ctx *cx, const sample *s,
                          ego_tensor *sums[EGO_QFVS_PROMPTS]) {
    input in;
    ego_tensor *logits;
    EGO_TRY(forward(t, cx, &t->rows, s->video, s->query->prompts, EGO_QFVS_PROMPTS, &in, &logits));
    size_t all = (size_t)(in.prompts * in.rows), n = s->video->shots;
    float *targets = ego_ctx_alloc(cx, all * sizeof *targets);
    float *weights = ego_ctx_alloc(cx, EGO_QFVS_PROMPTS * all * sizeof *weights);
    if (!targets || !weights) return ego_ctx_err(cx);
    memset(targets, 0, all * sizeof *targets);
    memset(weights, 0, EGO_QFVS_PROMPTS * all * sizeof *weights);
    const char *concepts[] = {s->query->oracle.a, s->query->oracle.b};
    for (size_t p = 0; p < EGO_QFVS_PROMPTS; p++) {
        for (size_t k = 0; k < n; k++) {
            size_t at = p * (size_t)in.rows + (size_t)in.row[k];
            bool wanted =
                p < 2 ? ego_qfvs_has(s->video, k, concepts[p]) : in_oracle(&s->query->oracle, k);
            targets[at] = wanted;
            weights[p * all + at] = 1;
        }
        ego_tensor *loss = ego_binary_cross_entropy(cx, logits, targets, weights + p * all,
                                                    1 / (float)(n ? n : 1));
        sums[p] = sums[p] ? ego_add(cx, sums[p], loss) : loss;
    }
    return EGO_OK;
}

static ego_err losses(void *context, ego_ctx *cx, const ego_head_batch *batch, int64_t from,
                      int64_t n, ego_head_losses *out) {
    static const char *const names[EGO_QFVS_PROMPTS] = {"a", "b", "summary"};
    const training *t = context;
    ego_tensor *sums[EGO_QFVS_PROMPTS] = {0};
    for (int64_t i = from; i < from + n; i++)
        EGO_TRY(one_sample(t, cx, &t->samples[batch->samples[i]], sums));
    for (size_t p = 0; n > 0 && p < EGO_QFVS_PROMPTS; p++)
        ego_head_losses_add(out, names[p], sums[p], 1);
    return EGO_OK;
}

static double published_rate(const ego_param_spec *spec) {
    return spec->ndim > 1 ? MATRIX_RATE : VECTOR_RATE;
}

/* ---- validation ---------------------------------------------------------------------------------- */

static ego_err score_query(const training *t, ego_ctx *cx, const ego_qfvs_video *v,
                           const ego_qfvs_query *q, ego_qfvs_scores *scores) {
    input in;
    ego_tensor *logits;
    size_t n = v->shots, count = ego_summary_length(n, t->config->ratio, 0, t->config->data.shot);
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_err err =
        forward(t, cx, &t->held_out, v, &q->prompts[EGO_QFVS_PROMPTS - 1], 1, &in, &logits);
    if (err == EGO_OK) err = ego_ctx_err(cx);
    float *values = malloc((n + 1) * sizeof *values);
    size_t *chosen = malloc((n + 1) * sizeof *chosen);
    uint32_t *shots = malloc((n + 1) * sizeof *shots);
    if (!values || !chosen || !shots) err = ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t k = 0; err == EGO_OK && k < n; k++) values[k] = ego_f32(logits)[in.row[k]];
    ego_ctx_rewind(cx, &mark);
    if (err == EGO_OK) err = ego_summary_choose(values, n, count, chosen);
    for (size_t i = 0; err == EGO_OK && i < count; i++) shots[i] = (uint32_t)chosen[i];
    if (err == EGO_OK)
        err = ego_qfvs_score(shots, count, q->oracle.shots, q->oracle.count, v->concepts, v->words,
                             scores);
    free(values);
    free(chosen);
    free(shots);
    return err;
}

static ego_err validate(void *context, ego_ctx *cx, int64_t epochs, bool last, ego_run_numbers *out,
                        double *score) {
    const training *t = context;
    ego_qfvs_scores sum = {0};
    (void)epochs, (void)last;
    for (size_t i = 0; i < t->held_out.count; i++) {
        const ego_qfvs_video *v = &t->held_out.videos[i];
        double share = 100.0 / ((double)t->held_out.count * (double)v->query_count);
        for (size_t q = 0; q < v->query_count; q++) {
            ego_qfvs_scores one;
            EGO_TRY(score_query(t, cx, v, &v->queries[q], &one));
            sum.precision += share * one.precision;
            sum.recall += share * one.recall;
            sum.f1 += share * one.f1;
        }
    }
    ego_run_add(out, "f1", sum.f1);
    ego_run_add(out, "precision", sum.precision);
    ego_run_add(out, "recall", sum.recall);
    *score = sum.f1;
    return EGO_OK;
}

/* ---- setting up ---------------------------------------------------------------------------------- */

static ego_qfvs_rows_options rows_options(const ego_qfvs_train_config *c, const ego_training *with, bool held_out) {
    bool own_root = held_out && c->data.validate_root;
    const char *root = own_root ? c->data.validate_root : c->data.root;
    const char *videos = c->data.video_root && !own_root ? c->data.video_root : root;
    bool reference = c->data.sampling != 0;
    return (ego_qfvs_rows_options){.names = held_out ? c->data.validate : c->data.videos,
                                   .root = root,
                                   .video_root = held_out && c->data.validate_video_root
                                                     ? c->data.validate_video_root
                                                     : videos,
                                   .cache = c->data.cache,
                                   .summary = {.reference = c->reference_quirks,
                                               .shots = {.seconds = c->data.shot,
                                                         .whole_seconds = reference,
                                                         .random_crops = reference,
                                                         .seed = (uint64_t)c->run.seed}},
                                   .kts = {.reference = c->reference_quirks, .pool = with->pool},
                                   .progress = with->progress};
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
                           .needs = ego_summary_needs(EGO_SUMMARY_HEAD)};
    return ego_model_open(c->model, &o, model);
}

static ego_head_config head_config(const ego_qfvs_train_config *c, int64_t width) {
    return (ego_head_config){
        .qfvs = {width, c->head.heads, c->head.layers, c->head.hidden, c->head.middle}};
}

static ego_err make_head(training *t, ego_model *model) {
    const char *id;
    ego_head_config config = head_config(t->config, model->config.dim);
    EGO_TRY(ego_model_id(model, &id));
    EGO_TRY(ego_head_create(&ego_head_qfvs, &config, (uint64_t)t->config->run.seed, &t->head));
    ego_head_set_backbone(t->head, id);
    return EGO_OK;
}

/* The head and the features; the model is not needed any more after that. */
static ego_err set_up(training *t) {
    ego_model *model = NULL;
    ego_ctx cx;
    ego_err err;
    EGO_TRY(ego_cpu_backend_new(t->with->pool, &t->backend));
    ego_ctx_init(&cx, t->backend);
    ego_qfvs_rows_options train = rows_options(t->config, t->with, false),
                          held_out = rows_options(t->config, t->with, true);
    EGO_TRY_OUT(open_model(t->config, &model));
    EGO_TRY_OUT(make_head(t, model));
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
    ego_head_task task = {.context = t,
                          .samples = t->sample_count,
                          .losses = losses,
                          .validate = c->data.validate ? validate : NULL,
                          .lr_scale = c->rates == 0 ? published_rate : NULL};
    EGO_TRY(ego_recipe_bind(&ego_recipe_qfvs, c, &t->binding));
    ego_head_run_options r = {.head = t->head,
                              .optim = &c->optim,
                              .run = &c->run,
                              .floor = LAST_RATE,
                              .portion = 1,
                              .binding = t->binding.data,
                              .backend = t->backend,
                              .with = *t->with};
    return ego_head_run(&r, &task);
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

typedef struct costs {
    int64_t shots, lower, upper; /* halves of fused passes */
} costs;

static ego_err count(const ego_qfvs_rows_options *o, int64_t *queries, costs *sum) {
    ego_qfvs_rows rows;
    ego_err err = ego_qfvs_rows_list(o, &rows);
    for (size_t i = 0; err == EGO_OK && i < rows.count; i++) {
        const char **prompts;
        size_t n = 0;
        err = ego_qfvs_prompts(&rows.arena, &rows.videos[i], &prompts, &n);
        *queries += (int64_t)rows.videos[i].query_count;
        sum->shots += (int64_t)rows.videos[i].shots;
        sum->lower += (int64_t)rows.videos[i].shots;
        sum->upper += (int64_t)(rows.videos[i].shots * n);
    }
    ego_qfvs_rows_release(&rows);
    return err;
}

static ego_err plan(void *config, const ego_training *with, ego_buf *line) {
    const ego_qfvs_train_config *c = config;
    ego_qfvs_rows_options train = rows_options(c, with, false), held_out = rows_options(c, with, true);
    int64_t queries = 0, others = 0;
    costs all = {0};
    ego_model *model = NULL;
    ego_head *head = NULL;
    EGO_TRY(count(&train, &queries, &all));
    if (held_out.names) EGO_TRY(count(&held_out, &others, &all));
    EGO_TRY(open_model(c, &model));
    ego_head_config shape = head_config(c, model->config.dim);
    ego_model_close(model, NULL);
    EGO_TRY(ego_head_create(&ego_head_qfvs, &shape, 1, &head));
    ego_buf_printf(line, "{\"parameters\":%lld,\"queries\":%lld,\"validate\":%lld,\"shots\":%lld",
                   (long long)ego_head_parameters(head), (long long)queries, (long long)others, (long long)all.shots);
    ego_buf_printf(line, ",\"lower_halves\":%lld,\"upper_halves\":%lld", (long long)all.lower, (long long)all.upper);
    ego_head_close(head, NULL);
    return ego_head_end_plan(&c->run, queries, line);
}

const ego_recipe ego_recipe_qfvs = {.name = "qfvs",
                                    .size = sizeof(ego_qfvs_train_config),
                                    .texts = AT(texts),
                                    .init = defaults,
                                    .keys = keys,
                                    .key_count = sizeof keys / sizeof *keys,
                                    .needs = {"model", "data.root", "data.videos", "data.cache", "run.out"},
                                    .plan = plan,
                                    .train = train};
