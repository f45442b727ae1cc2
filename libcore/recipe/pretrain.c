#include "recipe/pretrain.h"

#include "base/rng.h"
#include "data/rows.h"
#include "model/trainable.h"
#include "recipe/groups.h"
#include "recipe/initial.h"
#include "recipe/validate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* Names of what is drawn from the run's seed. */
enum { DRAW_SAMPLES, DRAW_STEPS, DRAW_VALIDATION };

typedef struct pretraining {
    const ego_pretrain_options *options;
    const ego_train_config *config;
    ego_backend *backend;
    ego_ctx cx; /* of validation */
    ego_initial initial;
    ego_model *model; /* the initial one, in training */
    ego_rows *rows;
    ego_step *step;
    ego_trained *trained;
    size_t trained_count;
    ego_named_tensor *carried; /* what checkpoints carry beside what learns: the vocabulary, parameters that stay */
    size_t carried_count;
    ego_optim optim;
    int64_t steps, steps_per_epoch, bases; /* base rows of a step on all ranks */
    int64_t local;                         /* samples of a step on this rank */
    ego_row_sample *read;                  /* of the step in hand, `local` each */
    ego_step_sample *samples;
    int64_t next_t, next_i; /* what is submitted next: sample i of the step with t updates before it */
    ego_buf config_text, binding;
} pretraining;

/* ---- which rows --------------------------------------------------------------------------------------- */

/* The stream of sample g of a step. */
static uint64_t stream_of(const pretraining *p, int64_t t, int64_t g) {
    uint64_t samples = ego_rng_stream((uint64_t)p->config->run.seed, DRAW_SAMPLES);
    uint64_t epoch = ego_rng_stream(samples, (uint64_t)(t / p->steps_per_epoch));
    int64_t each = 1 + p->config->partners_per_clip;
    return ego_rng_stream(epoch, (uint64_t)(t % p->steps_per_epoch * each * p->bases + g));
}

/* Base rows follow the epoch's permutation; a partner is drawn from the stream of the one before it, and only the
 * first is chosen: one that is alike leaves room for what else happens in the scene. */
static ego_err submit(pretraining *p, int64_t t, int64_t i) {
    int64_t g = ego_step_number(p->step, i), base = g % p->bases;
    size_t row = ego_rows_order(p->rows, (uint64_t)(t / p->steps_per_epoch),
                                (size_t)(t % p->steps_per_epoch * p->bases + base));
    ego_partners which = g < 2 * p->bases ? p->config->partners : EGO_PARTNERS_ANY;
    if (g >= p->bases) row = ego_rows_partner(p->rows, row, which, stream_of(p, t, g - p->bases));
    return ego_rows_submit(p->rows, row, stream_of(p, t, g));
}

/* Keeps the reader busy, as far ahead as it takes. */
static ego_err submit_ahead(pretraining *p) {
    while (p->next_t < p->steps && ego_rows_room(p->rows)) {
        EGO_TRY(submit(p, p->next_t, p->next_i));
        if (++p->next_i < p->local) continue;
        p->next_i = 0;
        p->next_t++;
    }
    return EGO_OK;
}

/* The samples of step t, in this rank's order. */
static ego_err take(pretraining *p, int64_t t) {
    if (p->next_i == 0 && p->next_t < t) p->next_t = t; /* the first step of a resumed run */
    for (int64_t i = 0; i < p->local; i++) {
        EGO_TRY(submit_ahead(p));
        ego_row_sample *r = &p->read[i];
        EGO_TRY(ego_rows_next(p->rows, r));
        p->samples[i] = (ego_step_sample){.pixels = r->pixels,
                                          .tokens = r->tokens,
                                          .n_tokens = (int64_t)r->n_tokens,
                                          .tags = ego_tag_bits_of(&r->verbs, &r->nouns),
                                          .stream = stream_of(p, t, ego_step_number(p->step, i))};
        const ego_pretrain_task *task = p->options->task;
        if (task && task->say) EGO_TRY(task->say(task->context, r, &p->samples[i]));
    }
    return submit_ahead(p);
}

static void give_back(pretraining *p) {
    for (int64_t i = 0; i < p->local; i++) ego_row_sample_release(&p->read[i]);
}

/* ---- what the run asks for ------------------------------------------------------------------------------ */

/* Look-alikes teach nothing to who cannot tell any pair yet: matching may begin with what chance brings. */
static bool hard_at(const pretraining *p, int64_t t) {
    const ego_train_config *c = p->config;
    return c->objectives.negatives.hard && (double)t >= c->hard_after * (double)p->steps;
}

static ego_err run_step(void *context, const ego_run_step *step, ego_run_losses *out) {
    pretraining *p = context;
    ego_step_losses losses = {0};
    uint64_t steps = ego_rng_stream((uint64_t)p->config->run.seed, DRAW_STEPS);
    ego_model_changed(p->model, p->backend);
    ego_step_set_hard(p->step, hard_at(p, step->t));
    ego_err err = take(p, step->t);
    if (err == EGO_OK)
        err = ego_step_run(p->step, p->samples, ego_rng_stream(steps, (uint64_t)step->t), true, &losses);
    give_back(p);
    EGO_TRY(err);
    const ego_objectives *w = &p->config->objectives;
    ego_run_add(&out->losses, p->options->task ? p->options->task->loss : "egonce", losses.egonce);
    if (w->mlm != 0) ego_run_add(&out->losses, "mlm", losses.mlm);
    if (w->vtm != 0) ego_run_add(&out->losses, "vtm", losses.vtm);
    if (w->vtm != 0 && w->choices) ego_run_add(&out->losses, "matched", losses.matched);
    out->total = losses.total;
    out->samples = ego_step_global(p->step);
    return EGO_OK;
}

static ego_err reduce(void *context) {
    pretraining *p = context;
    for (size_t i = 0; i < p->trained_count; i++)
        EGO_TRY(ego_dist_sum(p->options->with.dist, p->trained[i].grad, (size_t)p->trained[i].count));
    return EGO_OK;
}

static ego_err validate_task(void *context, int64_t epochs, bool last, ego_run_numbers *out, double *score) {
    pretraining *p = context;
    const ego_pretrain_task *task = p->options->task;
    (void)epochs, (void)last;
    ego_model_changed(p->model, p->backend);
    ego_ctx_mark mark = ego_ctx_save(&p->cx);
    ego_err err = task->validate(task->context, &p->cx, p->model, out, score);
    ego_ctx_rewind(&p->cx, &mark);
    return err;
}

static ego_err validate(void *context, int64_t epochs, bool last, ego_run_numbers *out, double *score) {
    pretraining *p = context;
    (void)epochs;
    const ego_train_data *d = &p->config->data;
    ego_validate_options o = {.questions = d->validate,
                              .clips = {.video_root = d->validate_root ? d->validate_root : d->video_root,
                                        .sampling = d->sampling,
                                        .preparation = EGO_PREPARE_STANDARD},
                              .seed = ego_rng_stream((uint64_t)p->config->run.seed, DRAW_VALIDATION)};
    ego_validation v;
    ego_model_changed(p->model, p->backend);
    ego_ctx_mark mark = ego_ctx_save(&p->cx);
    ego_err err = ego_validate(&p->cx, p->model, &o, last ? 0 : d->validate_questions, p->options->with.progress, &v);
    ego_ctx_rewind(&p->cx, &mark);
    EGO_TRY(err);
    static const char *const inter[] = {"inter_dual", "inter_fused", "inter_ensemble"};
    static const char *const intra[] = {"intra_dual", "intra_fused", "intra_ensemble"};
    bool fused = p->config->objectives.vtm != 0;
    for (int m = 0; m < EGO_VALIDATE_MODES; m++) {
        if (m != EGO_VALIDATE_DUAL && !fused) continue;
        ego_run_add(out, inter[m], v.inter[m]);
        ego_run_add(out, intra[m], v.intra[m]);
    }
    ego_run_add(out, "failed", (double)v.failed);
    int best = fused ? EGO_VALIDATE_ENSEMBLE : EGO_VALIDATE_DUAL;
    double inter_score = v.inter[best], intra_score = v.intra[best]; /* a file may lack one type */
    *score = isnan(inter_score) ? intra_score : isnan(intra_score) ? inter_score : (inter_score + intra_score) / 2;
    return EGO_OK;
}

/* ---- setting up --------------------------------------------------------------------------------------- */

static void report_row(void *context, size_t row, const char *message) {
    pretraining *p = context;
    const ego_notice *notice = p->options->with.notice;
    char text[512];
    if (!notice || !notice->say) return;
    if (row == SIZE_MAX)
        snprintf(text, sizeof text, "%s", message);
    else
        snprintf(text, sizeof text, "row %zu (%s) is replaced: %s", row, ego_rows_get(p->rows, row)->video, message);
    notice->say(notice->context, text);
}

static ego_err open_rows(pretraining *p) {
    const ego_train_data *d = &p->config->data;
    const ego_config *c = &p->model->config;
    const ego_pretrain_task *task = p->options->task;
    ego_rows_options o = {.annotations = d->annotations,
                          .video_root = d->video_root,
                          .sampling = d->sampling,
                          .frames = (int)c->frames,
                          .size = (int)c->image_size,
                          .moments = (int)d->moments,
                          .augment = d->augment,
                          .flip = d->flip,
                          .recolor = d->recolor,
                          .seed = (uint64_t)p->config->run.seed,
                          .bpe = p->model->bpe,
                          .max_tokens = (size_t)d->max_tokens,
                          .scene_seconds = p->config->scene_seconds,
                          .cache = d->cache,
                          .cache_bytes = d->cache_bytes ? (uint64_t)d->cache_bytes : UINT64_MAX,
                          .threads = ego_pool_threads(p->options->with.pool),
                          .report = report_row,
                          .report_context = p};
    if (task) {
        o.clips = task->clips;
        o.count = task->count;
        o.sampling = task->sampling;
        o.preparation = task->preparation;
    }
    return ego_rows_open(&o, &p->rows);
}

static ego_err make_step(pretraining *p) {
    const ego_train_config *c = p->config;
    ego_step_options o = {.objectives = c->objectives,
                          .rows = c->run.batch,
                          .accumulate = c->run.accumulate,
                          .partners = c->scene_seconds > 0 ? c->partners_per_clip : 0,
                          .checkpoint_layers = c->run.checkpoint_layers,
                          .dist = p->options->with.dist};
    EGO_TRY(ego_step_new(p->model, p->backend, &o, &p->step));
    p->local = ego_step_local(p->step);
    p->bases = c->run.batch * c->run.accumulate * ego_dist_size(p->options->with.dist);
    p->steps_per_epoch = (int64_t)ego_rows_count(p->rows) / p->bases;
    if (p->steps_per_epoch == 0)
        return ego_fail(EGO_EINPUT, "%s: %zu rows are fewer than the %lld of one step", c->data.annotations,
                        ego_rows_count(p->rows), (long long)p->bases);
    p->steps = c->run.steps ? c->run.steps : c->run.epochs * p->steps_per_epoch;
    p->read = calloc((size_t)p->local, sizeof *p->read);
    p->samples = calloc((size_t)p->local, sizeof *p->samples);
    return p->read && p->samples ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for %lld samples", (long long)p->local);
}

static ego_err carry_one(void *context, const ego_param_spec *spec) {
    pretraining *p = context;
    const ego_param *x = spec->param;
    if (x->grad || !x->value.data || x->value.data == x->constant) return EGO_OK;
    if (p->carried) p->carried[p->carried_count] = (ego_named_tensor){x->name, x->value};
    p->carried_count++;
    return EGO_OK;
}

/* With the vocabulary and what does not learn inside, a checkpoint opens as a whole model. */
static ego_err list_carried(pretraining *p) {
    (void)ego_params_visit(&p->model->config, p->model->params, carry_one, p); /* carry_one never fails */
    p->carried = calloc(p->carried_count + p->initial.tokenizers + 1, sizeof *p->carried);
    if (!p->carried) return ego_fail(EGO_ENOMEM, "out of memory for the list of tensors");
    p->carried_count = 0;
    for (size_t i = 0; i < p->initial.tokenizers; i++) p->carried[p->carried_count++] = p->initial.tokenizer[i];
    return ego_params_visit(&p->model->config, p->model->params, carry_one, p);
}

static ego_err set_up(pretraining *p, const ego_pretrain_options *options) {
    *p = (pretraining){.options = options, .config = options->config};
    EGO_TRY(ego_cpu_backend_new(options->with.pool, &p->backend));
    ego_ctx_init(&p->cx, p->backend);
    EGO_TRY(ego_initialise(options->config, options->with.pool, &p->initial));
    p->model = p->initial.model;
    const ego_train_optim *o = &options->config->optim;
    EGO_TRY(ego_model_make_partly_trainable(p->model, p->backend,
                                            o->encoders == 0 ? ego_param_beside_encoders : NULL));
    const ego_pretrain_task *task = options->task;
    if (task && task->begin) EGO_TRY(task->begin(task->context, p->model));
    EGO_TRY(open_rows(p));
    EGO_TRY(make_step(p));
    EGO_TRY(ego_trained_list(p->model, o->encoders, o->head, o->cross, &p->trained, &p->trained_count));
    EGO_TRY(list_carried(p));
    /* A head that is not asked would only decay beside encoders that stay. */
    if (task || o->encoders == 0) ego_trained_leave(p->model, ego_objectives_need(p->config), p->trained);
    ego_config_write(&p->model->config, &p->config_text);
    if (task)
        ego_buf_text(&p->binding, task->binding);
    else
        ego_train_config_write_binding(options->config, &p->binding);
    EGO_TRY(ego_buf_err(&p->config_text));
    return ego_buf_err(&p->binding);
}

static void tear_down(pretraining *p) {
    ego_step_free(p->step);
    ego_rows_close(p->rows);
    ego_optim_release(&p->optim);
    free(p->trained);
    free(p->carried);
    free(p->read);
    free(p->samples);
    ego_initial_release(&p->initial, p->backend);
    ego_ctx_release(&p->cx);
    ego_backend_free(p->backend);
    ego_buf_release(&p->config_text);
    ego_buf_release(&p->binding);
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

/* Each rank its share; the others hear of one that was stopped, or they would wait for it. */
static ego_err fill_cache(pretraining *p) {
    const ego_pretrain_options *o = p->options;
    size_t rank = (size_t)ego_dist_rank(o->with.dist), ranks = (size_t)ego_dist_size(o->with.dist);
    bool stopped;
    ego_err err = ego_rows_fill(p->rows, rank, ranks, o->with.progress);
    if (err != EGO_OK && err != EGO_ECANCELLED) return err;
    EGO_TRY(ego_dist_any(o->with.dist, err == EGO_ECANCELLED, &stopped));
    return stopped ? ego_fail(EGO_ECANCELLED, "stopped before the first step") : EGO_OK;
}

static ego_err run(pretraining *p) {
    const ego_train_config *c = p->config;
    const ego_pretrain_options *o = p->options;
    ego_metadata metadata = {EGO_META_CONFIG, p->config_text.data};
    ego_checkpoint_extra extra = {p->carried, p->carried_count, &metadata, 1};
    ego_run_task task = {.context = p, .step = run_step, .reduce = ego_dist_size(o->with.dist) > 1 ? reduce : NULL,
                         .validate = c->data.validate ? validate : NULL};
    if (o->task) task.validate = o->task->validate ? validate_task : NULL;
    ego_run_options r = {.steps = p->steps,
                         .steps_per_epoch = p->steps_per_epoch,
                         .lr = c->optim.lr,
                         .schedule = {c->optim.schedule, c->optim.warmup, 0},
                         .out = c->run.out,
                         .resume = o->with.resume,
                         .checkpoint_seconds = 60 * c->run.checkpoint_minutes,
                         .keep = (int)c->run.keep,
                         .keep_best = task.validate != NULL,
                         .seed = (uint64_t)c->run.seed,
                         .config = p->binding.data,
                         .extra = &extra,
                         .progress = o->with.progress,
                         .stop = o->with.stop,
                         .notice = o->with.notice,
                         .dist = o->with.dist};
    EGO_TRY(ego_optim_init(&p->optim, &c->optim.adamw, p->trained, p->trained_count, o->with.pool));
    EGO_TRY(fill_cache(p));
    return ego_run(&r, &task, &p->optim);
}

ego_err ego_pretrain(const ego_pretrain_options *options) {
    pretraining p;
    ego_err err = set_up(&p, options);
    if (err == EGO_OK) err = run(&p);
    tear_down(&p);
    return err;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double rounded(double x) { return round(x * 1e4) / 1e4; }

static void write_plan(const pretraining *p, double seconds, ego_buf *line) {
    int64_t parameters = 0;
    struct rusage usage;
    for (size_t i = 0; i < p->trained_count; i++) parameters += p->trained[i].count;
    getrusage(RUSAGE_SELF, &usage);
    ego_buf_printf(line, "{\"parameters\":%" PRId64 ",\"rows\":%zu,\"steps\":%" PRId64 ",\"steps_per_epoch\":%" PRId64,
                   parameters, ego_rows_count(p->rows), p->steps, p->steps_per_epoch);
    ego_buf_printf(line, ",\"samples_per_step\":%" PRId64 ",\"weights_bytes\":%zu,\"activation_bytes\":%zu",
                   ego_step_global(p->step), (size_t)parameters * 4 * sizeof(float), ego_step_peak(p->step));
    ego_buf_printf(line, ",\"resident_bytes\":%zu", (size_t)usage.ru_maxrss << 10);
    ego_buf_json_key(line, "seconds_per_step");
    ego_buf_json_double(line, rounded(seconds));
    ego_buf_json_key(line, "hours");
    ego_buf_json_double(line, rounded(seconds * (double)p->steps / 3600));
    ego_buf_char(line, '}');
}

ego_err ego_pretrain_plan(const ego_pretrain_options *options, ego_buf *line) {
    pretraining p;
    double seconds = 0;
    ego_err err = set_up(&p, options);
    for (int64_t t = 0; t < 2 && t < p.steps && err == EGO_OK; t++) {
        double from = now();
        ego_run_losses losses = {0};
        err = run_step(&p, &(ego_run_step){.t = t}, &losses);
        seconds = now() - from;
    }
    if (err == EGO_OK) write_plan(&p, seconds, line);
    tear_down(&p);
    return err == EGO_OK ? ego_buf_err(line) : err;
}

/* ---- by name ------------------------------------------------------------------------------------------ */

static void init(void *config) { ego_train_config_init(config); }
static ego_err read_file(void *config, const char *path) { return ego_train_config_read_file(path, config); }
static ego_err override(void *config, const char *word) { return ego_train_config_override(config, word); }
static ego_err check(const void *config) { return ego_train_config_check(config); }

static ego_err plan(void *config, const ego_training *with, ego_buf *line) {
    return ego_pretrain_plan(&(ego_pretrain_options){.config = config, .with = *with}, line);
}

static ego_err train(void *config, const ego_training *with) {
    return ego_pretrain(&(ego_pretrain_options){.config = config, .with = *with});
}

const ego_recipe ego_recipe_pretrain = {.name = "pretrain",
                                        .size = sizeof(ego_train_config),
                                        .texts = offsetof(ego_train_config, texts),
                                        .init = init,
                                        .read_file = read_file,
                                        .override = override,
                                        .check = check,
                                        .plan = plan,
                                        .train = train};
