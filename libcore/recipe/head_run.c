#include "recipe/head_run.h"

#include "base/hash.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names of what is drawn from the run's seed. */
enum { DRAW_ORDER = 100, DRAW_SAMPLES };

void ego_head_losses_add(ego_head_losses *losses, const char *name, ego_tensor *value,
                         double weight) {
    if (losses->count == EGO_HEAD_LOSSES) return;
    losses->list[losses->count++] = (struct ego_head_loss){name, value, weight};
}

/* ---- which samples -------------------------------------------------------------------------------------- */

int64_t ego_head_steps(int64_t samples, int64_t batch) {
    return samples / batch + (samples % batch != 0);
}

static int64_t all_steps(const ego_head_run_settings *run, int64_t steps_per_epoch) {
    return run->steps ? run->steps : run->epochs * steps_per_epoch;
}

ego_err ego_head_end_plan(const ego_head_run_settings *run, int64_t steps_per_epoch, int64_t batch,
                          ego_buf *line) {
    ego_buf_printf(line, ",\"steps\":%lld,\"steps_per_epoch\":%lld,\"samples_per_step\":%lld}",
                   (long long)all_steps(run, steps_per_epoch), (long long)steps_per_epoch,
                   (long long)batch);
    return ego_buf_err(line);
}

ego_err ego_head_order_init(ego_head_order *order, uint64_t seed, int64_t samples, int64_t batch) {
    *order = (ego_head_order){.seed = seed, .samples = samples, .batch = batch, .epoch = -1};
    if (samples < 1 || samples > UINT32_MAX || batch < 1)
        return ego_fail(EGO_EINPUT,
                        "%lld samples in batches of %lld: expected at least one of each",
                        (long long)samples, (long long)batch);
    order->order = malloc((size_t)samples * sizeof *order->order);
    return order->order ? EGO_OK
                        : ego_fail(EGO_ENOMEM, "out of memory for the order of %lld samples",
                                   (long long)samples);
}

void ego_head_order_release(ego_head_order *order) {
    free(order->order);
    order->order = NULL;
}

int64_t ego_head_order_batch(ego_head_order *o, int64_t t, int64_t *samples, uint64_t *streams) {
    int64_t steps = ego_head_steps(o->samples, o->batch), epoch = t / steps,
            first = t % steps * o->batch;
    int64_t n = o->samples - first < o->batch ? o->samples - first : o->batch;
    uint64_t drawn = ego_rng_stream(ego_rng_stream(o->seed, DRAW_SAMPLES), (uint64_t)epoch);
    if (o->epoch != epoch)
        ego_rng_permute(ego_rng_stream(ego_rng_stream(o->seed, DRAW_ORDER), (uint64_t)epoch),
                        (uint32_t)o->samples, o->order);
    o->epoch = epoch;
    for (int64_t i = 0; i < n; i++) {
        samples[i] = o->order[first + i];
        streams[i] = ego_rng_stream(drawn, (uint64_t)(first + i));
    }
    return n;
}

/* ---- a step --------------------------------------------------------------------------------------------- */

enum { NAMES = 16, NAME_LENGTH = 48 };

/* A task at work. */
typedef struct part {
    const ego_head_task *task;
    ego_head_order order;
    int64_t *samples; /* of the batch in hand */
    uint64_t *streams;
    char names[NAMES][NAME_LENGTH]; /* for the log, "NAME.NUMBER" */
    size_t name_count;
} part;

typedef struct running {
    const ego_head_run_options *options;
    part parts[EGO_HEAD_TASKS];
    size_t count;
    int64_t epoch; /* steps */
    ego_ctx cx;
    ego_tape *tape;
    ego_trained *trained;
    size_t trained_count;
    ego_arena names; /* of parameters among several heads, "TASK.NAME" */
    ego_optim optim;
    double best; /* the score that what is written into OUT has; NaN: it is not there */
    ego_buf described, binding;
    ego_metadata *metadata;
    size_t metadata_count;
} running;

/* What a number is called in the log; more names than there is room for stay as they are. */
static const char *name_in(part *p, const char *name) {
    char full[NAME_LENGTH];
    if (!p->task->name) return name;
    snprintf(full, sizeof full, "%s.%s", p->task->name, name);
    for (size_t i = 0; i < p->name_count; i++)
        if (strcmp(p->names[i], full) == 0) return p->names[i];
    if (p->name_count == NAMES) return name;
    memcpy(p->names[p->name_count], full, sizeof full);
    return p->names[p->name_count++];
}

/* What a batch's losses come to, portion by portion. */
typedef struct sums {
    size_t count;
    const char *names[EGO_HEAD_LOSSES];
    double values[EGO_HEAD_LOSSES], total;
} sums;

static void add_losses(ego_ctx *cx, const ego_head_losses *losses, double task_weight, sums *s) {
    for (size_t i = 0; i < losses->count; i++) {
        const struct ego_head_loss *l = &losses->list[i];
        double value = (double)ego_f32(l->value)[0],
               weight = task_weight > 0 ? task_weight * l->weight : l->weight;
        s->names[i] = l->name;
        s->values[i] += value;
        s->total += weight * value;
        ego_grad_add(cx, l->value, (float)weight, NULL);
    }
    s->count = losses->count;
}

/* Forward and backward of some samples; their gradients are added, their memory is given back. */
static ego_err one_portion(running *r, const ego_head_task *task, const ego_head_batch *batch,
                           int64_t from, int64_t n, sums *s) {
    ego_ctx *cx = &r->cx;
    ego_head_losses losses = {0};
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_tape_attach(cx, r->tape);
    ego_err err = task->losses(task->context, cx, batch, from, n, &losses), late = ego_ctx_err(cx);
    if (err == EGO_OK) err = late;
    if (err == EGO_OK) {
        add_losses(cx, &losses, task->weight, s);
        ego_tape_backward(cx);
        err = ego_ctx_err(cx);
    }
    ego_tape_attach(cx, NULL);
    ego_ctx_rewind(cx, &mark);
    return err;
}

/* The losses of all ranks, the same on each. */
static ego_err share(const running *r, sums *s) {
    float all[EGO_HEAD_LOSSES + 1] = {0};
    if (ego_dist_size(r->options->with.dist) == 1) return EGO_OK;
    for (size_t i = 0; i < s->count; i++) all[i] = (float)s->values[i];
    all[EGO_HEAD_LOSSES] = (float)s->total;
    EGO_TRY(ego_dist_sum(r->options->with.dist, all, EGO_HEAD_LOSSES + 1));
    for (size_t i = 0; i < s->count; i++) s->values[i] = (double)all[i];
    s->total = (double)all[EGO_HEAD_LOSSES];
    return EGO_OK;
}

static void values_changed(running *r) {
    const ego_head_beside *b = r->options->beside;
    for (size_t i = 0; i < r->count; i++)
        ego_head_changed(r->parts[i].task->head, r->options->backend);
    if (b) b->changed(b->context);
}

static ego_err step_of(running *r, part *p, int64_t t, ego_run_losses *out) {
    sums s = {0};
    ego_head_batch batch = {.samples = p->samples, .streams = p->streams};
    batch.count = ego_head_order_batch(&p->order, t, p->samples, p->streams);
    int64_t rank = ego_dist_rank(r->options->with.dist),
            ranks = ego_dist_size(r->options->with.dist);
    /* The first rank has the first sample: it is the one that knows the names for the log. */
    int64_t from = (batch.count * rank + ranks - 1) / ranks,
            to = (batch.count * (rank + 1) + ranks - 1) / ranks;
    int64_t portion = p->task->portion > 0 ? p->task->portion : batch.count;
    for (int64_t at = from; at < to; at += portion)
        EGO_TRY(one_portion(r, p->task, &batch, at, to - at < portion ? to - at : portion, &s));
    EGO_TRY(share(r, &s));
    for (size_t i = 0; i < s.count; i++)
        ego_run_add(&out->losses, name_in(p, s.names[i]), s.values[i]);
    out->total += s.total;
    out->samples += batch.count;
    return EGO_OK;
}

static ego_err run_step(void *context, const ego_run_step *step, ego_run_losses *out) {
    running *r = context;
    values_changed(r);
    out->total = 0;
    out->samples = 0;
    for (size_t i = 0; i < r->count; i++) EGO_TRY(step_of(r, &r->parts[i], step->t, out));
    return EGO_OK;
}

static ego_err reduce(void *context) {
    running *r = context;
    for (size_t i = 0; i < r->trained_count; i++)
        EGO_TRY(
            ego_dist_sum(r->options->with.dist, r->trained[i].grad, (size_t)r->trained[i].count));
    return EGO_OK;
}

/* ---- the best ------------------------------------------------------------------------------------------- */

static ego_err write_best(running *r) {
    const ego_head_run_options *o = r->options;
    ego_buf path = {0};
    if (ego_dist_rank(o->with.dist) != 0) return EGO_OK;
    if (o->beside) return o->beside->write(o->beside->context, o->run->out);
    ego_buf_printf(&path, "%s/head.safetensors", o->run->out);
    ego_err err = ego_buf_err(&path);
    if (err == EGO_OK) err = ego_head_save(r->parts[0].task->head, path.data, o->dtype);
    ego_buf_release(&path);
    return err;
}

static ego_err validate_task(running *r, part *p, int64_t epochs, bool last, ego_run_numbers *out,
                             double *score) {
    ego_run_numbers own = {0};
    ego_ctx_mark mark = ego_ctx_save(&r->cx);
    ego_err err = p->task->validate(p->task->context, &r->cx, epochs, last, &own, score),
            late = ego_ctx_err(&r->cx);
    ego_ctx_rewind(&r->cx, &mark);
    for (size_t i = 0; i < own.count; i++)
        ego_run_add(out, name_in(p, own.list[i].name), own.list[i].value);
    return err == EGO_OK ? late : err;
}

static size_t validated(const running *r) {
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++) n += r->parts[i].task->validate != NULL;
    return n;
}

static ego_err validate(void *context, int64_t epochs, bool last, ego_run_numbers *out,
                        double *score) {
    running *r = context;
    double sum = 0;
    values_changed(r);
    for (size_t i = 0; i < r->count; i++) {
        double one = NAN;
        if (!r->parts[i].task->validate) continue;
        EGO_TRY(validate_task(r, &r->parts[i], epochs, last, out, &one));
        sum += one;
    }
    *score = sum / (double)validated(r);
    if (!isfinite(*score) || *score <= r->best) return EGO_OK;
    r->best = *score;
    return write_best(r);
}

/* The best score is what a resumed run has to know; the file it is of is on the disk. */
static ego_err save(void *context, ego_buf *state) {
    ego_buf_json_double(state, ((running *)context)->best);
    return EGO_OK;
}

static ego_err restore(void *context, const char *state) {
    running *r = context;
    ego_json *value;
    EGO_TRY(ego_json_parse(state, strlen(state), &value));
    r->best = NAN;
    (void)ego_json_number(value, &r->best); /* null: none yet */
    ego_json_free(value);
    return EGO_OK;
}

/* ---- setting up ----------------------------------------------------------------------------------------- */

/* A walk over a task's head; it counts before there is a list. */
typedef struct listing {
    running *r;
    const ego_head_task *task;
} listing;

static const char *name_among(running *r, const ego_head_task *task, const char *name) {
    if (!task->name) return name;
    size_t n = strlen(task->name) + 1 + strlen(name) + 1;
    char *full = ego_arena_alloc(&r->names, n);
    if (full) snprintf(full, n, "%s.%s", task->name, name);
    return full;
}

static ego_err add_trained(void *context, const ego_param_spec *spec) {
    const listing *l = context;
    running *r = l->r;
    const ego_param *p = spec->param;
    if (r->trained) {
        ego_trained *t = &r->trained[r->trained_count];
        const char *name = name_among(r, l->task, p->name);
        if (!name) return ego_fail(EGO_ENOMEM, "out of memory for a parameter's name");
        *t = ego_trained_of(name, &p->value, p->grad);
        memcpy(t->shape, spec->shape, sizeof t->shape); /* as a head's file has it */
        t->decay = spec->decay;
        if (l->task->lr_scale) t->lr_scale = l->task->lr_scale(spec);
        if (l->task->rate > 0) t->lr_scale *= l->task->rate;
    }
    r->trained_count++;
    return EGO_OK;
}

static ego_err visit_heads(running *r) {
    for (size_t i = 0; i < r->count; i++)
        EGO_TRY(
            ego_head_visit(r->parts[i].task->head, add_trained, &(listing){r, r->parts[i].task}));
    return EGO_OK;
}

static ego_err list_trained(running *r) {
    const ego_head_beside none = {0}, *b = r->options->beside ? r->options->beside : &none;
    for (size_t i = 0; i < r->count; i++) EGO_TRY(ego_head_make_trainable(r->parts[i].task->head));
    EGO_TRY(visit_heads(r));
    r->trained = calloc(r->trained_count + b->count, sizeof *r->trained);
    if (!r->trained) return ego_fail(EGO_ENOMEM, "out of memory for the list of parameters");
    r->trained_count = 0;
    EGO_TRY(visit_heads(r));
    for (size_t i = 0; i < b->count; i++) r->trained[r->trained_count++] = b->list[i];
    return EGO_OK;
}

/* What decides a run's course and is not in the caller's text. */
static ego_err bind(running *r) {
    const ego_head_run_options *o = r->options;
    ego_buf *b = &r->binding;
    ego_buf_char(b, '{');
    for (size_t i = 0; i < r->count; i++) {
        const part *p = &r->parts[i];
        if (p->task->name) ego_buf_printf(b, "\"%s\":{", p->task->name);
        ego_buf_text(b, "\"head\":");
        ego_head_describe(p->task->head, b);
        ego_buf_printf(b, ",\"samples\":%lld,\"batch\":%lld%s", (long long)p->order.samples,
                       (long long)p->order.batch, p->task->name ? "}," : ",");
    }
    ego_buf_printf(b, "\"validations\":%lld", (long long)o->validations);
    ego_buf_json_key(b, "clip_norm");
    ego_buf_json_double(b, o->clip_norm);
    ego_buf_json_key(b, "floor");
    ego_buf_json_double(b, o->floor);
    ego_buf_printf(b, ",\"settings\":%s}", o->binding && o->binding[0] ? o->binding : "null");
    return ego_buf_err(b);
}

static ego_err set_up_part(running *r, const ego_head_task *task, part *p) {
    const ego_head_run_settings *run = r->options->run;
    uint64_t seed = (uint64_t)run->seed;
    int64_t batch = task->batch ? task->batch : run->batch;
    p->task = task;
    task->head->random = false; /* what is saved of it was trained */
    if (task->name) seed = ego_rng_stream(seed, ego_fnv1a(task->name));
    EGO_TRY(ego_head_order_init(&p->order, seed, task->samples, batch));
    size_t most = (size_t)(batch < task->samples ? batch : task->samples);
    p->samples = calloc(most, sizeof *p->samples);
    p->streams = calloc(most, sizeof *p->streams);
    if (!p->samples || !p->streams)
        return ego_fail(EGO_ENOMEM, "out of memory for a batch of %zu", most);
    int64_t steps = ego_head_steps(task->samples, batch);
    if (steps > r->epoch) r->epoch = steps;
    return EGO_OK;
}

static ego_err set_up(running *r, const ego_head_task *tasks, size_t count) {
    const ego_head_run_options *o = r->options;
    if (count < 1 || count > EGO_HEAD_TASKS)
        return ego_fail(EGO_EINPUT, "expected 1 to %d tasks, found %zu", EGO_HEAD_TASKS, count);
    for (; r->count < count; r->count++)
        EGO_TRY(set_up_part(r, &tasks[r->count], &r->parts[r->count]));
    EGO_TRY(ego_tape_new(false, &r->tape));
    EGO_TRY(list_trained(r));
    EGO_TRY(
        ego_optim_init(&r->optim, &o->optim->adamw, r->trained, r->trained_count, o->with.pool));
    if (count == 1)
        EGO_TRY(ego_head_metadata(tasks[0].head, &r->described, &r->metadata, &r->metadata_count));
    return bind(r);
}

static void tear_down(running *r) {
    ego_optim_release(&r->optim);
    for (size_t i = 0; i < EGO_HEAD_TASKS; i++) {
        ego_head_order_release(&r->parts[i].order);
        free(r->parts[i].samples);
        free(r->parts[i].streams);
    }
    ego_tape_free(r->tape);
    ego_ctx_release(&r->cx);
    free(r->trained);
    ego_arena_release(&r->names);
    free(r->metadata);
    ego_buf_release(&r->described);
    ego_buf_release(&r->binding);
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

static ego_err run(running *r) {
    const ego_head_run_options *o = r->options;
    const ego_head_run_settings *s = o->run;
    ego_checkpoint_extra extra = {.metadata = r->metadata, .metadata_count = r->metadata_count};
    ego_run_task task = {.context = r, .step = run_step, .save = save, .restore = restore};
    if (ego_dist_size(o->with.dist) > 1) task.reduce = reduce;
    if (validated(r)) task.validate = validate;
    ego_run_options options = {.steps = all_steps(s, r->epoch),
                               .steps_per_epoch = r->epoch,
                               .lr = o->optim->lr,
                               .schedule = {o->optim->schedule, o->optim->warmup, 0, o->floor},
                               .out = s->out,
                               .resume = o->with.resume,
                               .checkpoint_seconds = 60 * s->checkpoint_minutes,
                               .keep = (int)s->keep,
                               .clip_norm = o->clip_norm,
                               .validate_steps = o->validations > 1 ? r->epoch / o->validations : 0,
                               .seed = (uint64_t)s->seed,
                               .config = r->binding.data,
                               .extra = &extra,
                               .progress = o->with.progress,
                               .stop = o->with.stop,
                               .notice = o->with.notice,
                               .dist = o->with.dist};
    EGO_TRY(ego_run(&options, &task, &r->optim));
    return isnan(r->best) ? write_best(r) : EGO_OK;
}

ego_err ego_head_run(const ego_head_run_options *options, const ego_head_task *tasks,
                     size_t count) {
    running r = {.options = options, .best = NAN};
    ego_ctx_init(&r.cx, options->backend);
    ego_arena_init(&r.names, 1 << 12);
    ego_err err = set_up(&r, tasks, count);
    if (err == EGO_OK) err = run(&r);
    if (r.count) values_changed(&r);
    tear_down(&r);
    return err;
}
