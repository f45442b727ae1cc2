#include "recipe/head_run.h"

#include "base/rng.h"

#include <math.h>
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

ego_err ego_head_end_plan(const ego_head_run_settings *run, int64_t samples, ego_buf *line) {
    int64_t epoch = ego_head_steps(samples, run->batch);
    ego_buf_printf(line, ",\"steps\":%lld,\"steps_per_epoch\":%lld,\"samples_per_step\":%lld}",
                   (long long)all_steps(run, epoch), (long long)epoch, (long long)run->batch);
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

typedef struct running {
    const ego_head_run_options *options;
    const ego_head_task *task;
    ego_ctx cx;
    ego_tape *tape;
    ego_head_order order;
    int64_t *samples; /* of the batch in hand */
    uint64_t *streams;
    ego_trained *trained;
    size_t trained_count;
    ego_optim optim;
    double best; /* the score that OUT/head.safetensors has; NaN: it is not there */
    ego_buf path, described, binding;
    ego_metadata *metadata;
    size_t metadata_count;
} running;

/* What a batch's losses come to, portion by portion. */
typedef struct sums {
    size_t count;
    const char *names[EGO_HEAD_LOSSES];
    double values[EGO_HEAD_LOSSES], total;
} sums;

static void add_losses(ego_ctx *cx, const ego_head_losses *losses, sums *s) {
    for (size_t i = 0; i < losses->count; i++) {
        const struct ego_head_loss *l = &losses->list[i];
        double value = (double)ego_f32(l->value)[0];
        s->names[i] = l->name;
        s->values[i] += value;
        s->total += l->weight * value;
        ego_grad_add(cx, l->value, (float)l->weight, NULL);
    }
    s->count = losses->count;
}

/* Forward and backward of some samples; their gradients are added, their memory is given back. */
static ego_err one_portion(running *r, const ego_head_batch *batch, int64_t from, int64_t n,
                           sums *s) {
    ego_ctx *cx = &r->cx;
    ego_head_losses losses = {0};
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_tape_attach(cx, r->tape);
    ego_err err = r->task->losses(r->task->context, cx, batch, from, n, &losses),
            late = ego_ctx_err(cx);
    if (err == EGO_OK) err = late;
    if (err == EGO_OK) {
        add_losses(cx, &losses, s);
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
    ego_head_changed(r->options->head, r->options->backend);
    if (r->task->changed) r->task->changed(r->task->context);
}

static ego_err run_step(void *context, const ego_run_step *step, ego_run_losses *out) {
    running *r = context;
    sums s = {0};
    ego_head_batch batch = {.samples = r->samples, .streams = r->streams};
    batch.count = ego_head_order_batch(&r->order, step->t, r->samples, r->streams);
    int64_t rank = ego_dist_rank(r->options->with.dist), ranks = ego_dist_size(r->options->with.dist);
    /* The first rank has the first sample: it is the one that knows the names for the log. */
    int64_t from = (batch.count * rank + ranks - 1) / ranks,
            to = (batch.count * (rank + 1) + ranks - 1) / ranks;
    int64_t portion = r->options->portion > 0 ? r->options->portion : batch.count;
    values_changed(r);
    for (int64_t at = from; at < to; at += portion)
        EGO_TRY(one_portion(r, &batch, at, to - at < portion ? to - at : portion, &s));
    EGO_TRY(share(r, &s));
    for (size_t i = 0; i < s.count; i++) ego_run_add(&out->losses, s.names[i], s.values[i]);
    out->total = s.total;
    out->samples = batch.count;
    return EGO_OK;
}

static ego_err reduce(void *context) {
    running *r = context;
    for (size_t i = 0; i < r->trained_count; i++)
        EGO_TRY(ego_dist_sum(r->options->with.dist, r->trained[i].grad, (size_t)r->trained[i].count));
    return EGO_OK;
}

/* ---- the best ------------------------------------------------------------------------------------------- */

static ego_err write_head(running *r) {
    if (ego_dist_rank(r->options->with.dist) != 0) return EGO_OK;
    if (r->task->write) return r->task->write(r->task->context, r->path.data);
    return ego_head_save(r->options->head, r->path.data, r->options->dtype);
}

static ego_err validate(void *context, int64_t epochs, bool last, ego_run_numbers *out,
                        double *score) {
    running *r = context;
    values_changed(r);
    ego_ctx_mark mark = ego_ctx_save(&r->cx);
    ego_err err = r->task->validate(r->task->context, &r->cx, epochs, last, out, score),
            late = ego_ctx_err(&r->cx);
    ego_ctx_rewind(&r->cx, &mark);
    EGO_TRY(err);
    EGO_TRY(late);
    if (!isfinite(*score) || *score <= r->best) return EGO_OK;
    r->best = *score;
    return write_head(r);
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

static ego_err add_trained(void *context, const ego_param_spec *spec) {
    running *r = context;
    const ego_param *p = spec->param;
    if (r->trained) {
        ego_trained *t = &r->trained[r->trained_count];
        *t = ego_trained_of(p->name, &p->value, p->grad);
        memcpy(t->shape, spec->shape, sizeof t->shape); /* as a head's file has it */
        t->decay = spec->decay;
        if (r->task->lr_scale) t->lr_scale = r->task->lr_scale(spec);
    }
    r->trained_count++;
    return EGO_OK;
}

static ego_err list_trained(running *r) {
    ego_head *head = r->options->head;
    EGO_TRY(ego_head_make_trainable(head));
    EGO_TRY(ego_head_visit(head, add_trained, r));
    r->trained = calloc(r->trained_count + r->task->beside_count, sizeof *r->trained);
    if (!r->trained) return ego_fail(EGO_ENOMEM, "out of memory for the list of parameters");
    r->trained_count = 0;
    EGO_TRY(ego_head_visit(head, add_trained, r));
    for (size_t i = 0; i < r->task->beside_count; i++)
        r->trained[r->trained_count++] = r->task->beside[i];
    return EGO_OK;
}

/* What decides a run's course and is not in the caller's text. */
static ego_err bind(running *r) {
    const ego_head_run_options *o = r->options;
    ego_buf *b = &r->binding;
    ego_buf_printf(b, "{\"head\":%s,\"samples\":%lld,\"batch\":%lld,\"validations\":%lld",
                   r->described.data, (long long)r->order.samples, (long long)r->order.batch,
                   (long long)o->validations);
    ego_buf_json_key(b, "clip_norm");
    ego_buf_json_double(b, o->clip_norm);
    ego_buf_json_key(b, "floor");
    ego_buf_json_double(b, o->floor);
    ego_buf_printf(b, ",\"settings\":%s}", o->binding && o->binding[0] ? o->binding : "null");
    return ego_buf_err(b);
}

static ego_err set_up(running *r) {
    const ego_head_run_options *o = r->options;
    o->head->random = false; /* what is saved of it was trained */
    EGO_TRY(
        ego_head_order_init(&r->order, (uint64_t)o->run->seed, r->task->samples, o->run->batch));
    size_t batch = (size_t)(o->run->batch < r->task->samples ? o->run->batch : r->task->samples);
    r->samples = calloc(batch, sizeof *r->samples);
    r->streams = calloc(batch, sizeof *r->streams);
    if (!r->samples || !r->streams)
        return ego_fail(EGO_ENOMEM, "out of memory for a batch of %zu", batch);
    EGO_TRY(ego_tape_new(false, &r->tape));
    EGO_TRY(list_trained(r));
    EGO_TRY(ego_optim_init(&r->optim, &o->optim->adamw, r->trained, r->trained_count, o->with.pool));
    EGO_TRY(ego_head_metadata(o->head, &r->described, &r->metadata, &r->metadata_count));
    ego_buf_printf(&r->path, "%s/head.safetensors", o->run->out);
    EGO_TRY(ego_buf_err(&r->path));
    return bind(r);
}

static void tear_down(running *r) {
    ego_optim_release(&r->optim);
    ego_head_order_release(&r->order);
    ego_tape_free(r->tape);
    ego_ctx_release(&r->cx);
    free(r->samples);
    free(r->streams);
    free(r->trained);
    free(r->metadata);
    ego_buf_release(&r->path);
    ego_buf_release(&r->described);
    ego_buf_release(&r->binding);
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

static ego_err run(running *r) {
    const ego_head_run_options *o = r->options;
    const ego_head_run_settings *s = o->run;
    int64_t epoch = ego_head_steps(r->order.samples, r->order.batch);
    ego_checkpoint_extra extra = {.metadata = r->metadata, .metadata_count = r->metadata_count};
    ego_run_task task = {.context = r, .step = run_step, .save = save, .restore = restore};
    if (ego_dist_size(o->with.dist) > 1) task.reduce = reduce;
    if (r->task->validate) task.validate = validate;
    ego_run_options options = {.steps = all_steps(s, epoch),
                               .steps_per_epoch = epoch,
                               .lr = o->optim->lr,
                               .schedule = {o->optim->schedule, o->optim->warmup, 0, o->floor},
                               .out = s->out,
                               .resume = o->with.resume,
                               .checkpoint_seconds = 60 * s->checkpoint_minutes,
                               .keep = (int)s->keep,
                               .clip_norm = o->clip_norm,
                               .validate_steps = o->validations > 1 ? epoch / o->validations : 0,
                               .seed = (uint64_t)s->seed,
                               .config = r->binding.data,
                               .extra = &extra,
                               .progress = o->with.progress,
                               .stop = o->with.stop,
                               .notice = o->with.notice,
                               .dist = o->with.dist};
    EGO_TRY(ego_run(&options, &task, &r->optim));
    return isnan(r->best) ? write_head(r) : EGO_OK;
}

ego_err ego_head_run(const ego_head_run_options *options, const ego_head_task *task) {
    running r = {.options = options, .task = task, .best = NAN};
    ego_ctx_init(&r.cx, options->backend);
    ego_err err = set_up(&r);
    if (err == EGO_OK) err = run(&r);
    values_changed(&r);
    tear_down(&r);
    return err;
}
