#include "train/run.h"

#include "base/file.h"
#include "train/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* How divergence is judged: against the mean of the first FIRST totals, by a mean that forgets with RECENT. */
enum { FIRST = 10, KEEP = 3 };
#define RECENT 0.9

typedef struct running {
    const ego_run_options *options;
    const ego_run_task *task;
    ego_optim *optim;
    ego_schedule schedule;
    int64_t epoch_steps;
    bool writes;       /* rank 0: files are this one's business */
    ego_checkpoint at; /* where we are */
    int64_t saved;     /* the step whose checkpoint is on disk; -1: none */
    double saved_when;
    bool refused; /* the listener to progress wants an end */
    int lock;
    ego_train_log log;
    ego_buf line;
} running;

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void ego_run_add(ego_run_numbers *numbers, const char *name, double value) {
    if (numbers->count == EGO_RUN_NUMBERS) return;
    numbers->list[numbers->count++] = (struct ego_run_number){name, value};
}

/* ---- lines of the log ------------------------------------------------------------------------------- */

static void add_integer(ego_buf *line, const char *key, int64_t value) {
    ego_buf_json_key(line, key);
    ego_buf_printf(line, "%" PRId64, value);
}

static void add_double(ego_buf *line, const char *key, double value) {
    ego_buf_json_key(line, key);
    ego_buf_json_double(line, value);
}

static void add_text(ego_buf *line, const char *key, const char *text) {
    ego_buf_json_key(line, key);
    ego_buf_json_string(line, text, strlen(text));
}

static void add_numbers(ego_buf *line, const char *key, const ego_run_numbers *numbers) {
    ego_buf_json_key(line, key);
    ego_buf_char(line, '{');
    for (size_t i = 0; i < numbers->count; i++)
        add_double(line, numbers->list[i].name, numbers->list[i].value);
    ego_buf_char(line, '}');
}

/* An event's line up to its own members. */
static ego_buf *event(running *r, const char *what, int64_t step) {
    ego_buf_char(&r->line, '{');
    add_text(&r->line, "event", what);
    add_integer(&r->line, "step", step);
    return &r->line;
}

static ego_err log_step(running *r, const ego_run_step *s, const ego_run_losses *l, double square,
                        double seconds) {
    ego_buf_char(&r->line, '{');
    add_integer(&r->line, "step", s->t + 1);
    add_integer(&r->line, "epoch", s->epoch);
    add_double(&r->line, "lr", s->lr);
    add_numbers(&r->line, "losses", &l->losses);
    add_double(&r->line, "total", l->total);
    add_double(&r->line, "gradient_norm", sqrt(square));
    add_double(&r->line, "seconds", seconds);
    add_double(&r->line, "samples_per_second", (double)l->samples / seconds);
    return ego_train_log_write(&r->log, &r->line);
}

static ego_err log_start(running *r) {
    int64_t parameters = 0;
    for (size_t i = 0; i < r->optim->count; i++) parameters += r->optim->params[i].count;
    ego_buf *line = event(r, "start", 0);
    add_integer(line, "steps", r->options->steps);
    add_integer(line, "steps_per_epoch", r->epoch_steps);
    add_integer(line, "parameters", parameters);
    add_integer(line, "ranks", ego_dist_size(r->options->dist));
    return ego_train_log_write(&r->log, line);
}

/* `step`: "event" with the checkpoint's file. */
static ego_err log_file(running *r, const char *what, double seconds) {
    ego_buf path = {0};
    ego_checkpoint_path("", r->at.step, &path);
    ego_buf *line = event(r, what, r->at.step);
    if (path.data) add_text(line, "file", ego_basename(path.data));
    if (seconds >= 0) add_double(line, "seconds", seconds);
    ego_buf_release(&path);
    return ego_train_log_write(&r->log, line);
}

/* The reason is the message of the failure, which stays the latest. */
static void log_stop(running *r, int64_t step) {
    add_text(event(r, "stop", step), "reason", ego_err_message());
    if (ego_train_log_write(&r->log, &r->line) == EGO_OK) ego_train_log_sync(&r->log);
}

/* ---- beginning -------------------------------------------------------------------------------------- */

static ego_err check_options(const ego_run_options *o) {
    if (o->steps < 1 || o->steps_per_epoch < 0 || o->keep < 0)
        return ego_fail(EGO_EINPUT,
                        "a run of %" PRId64 " steps, %" PRId64 " an epoch, keeping %d checkpoints",
                        o->steps, o->steps_per_epoch, o->keep);
    if (!(o->lr >= 0 && o->lr < INFINITY))
        return ego_fail(EGO_EINPUT, "a learning rate of %g", o->lr);
    if (o->validate_steps < 0 || !(o->clip_norm >= 0))
        return ego_fail(EGO_EINPUT, "a run validating every %" PRId64 " steps, its gradients clipped to %g",
                        o->validate_steps, o->clip_norm);
    if (!(o->schedule.warmup >= 0 && o->schedule.warmup <= 1))
        return ego_fail(EGO_EINPUT, "warm-up: expected a share from 0 to 1, found %g",
                        o->schedule.warmup);
    return EGO_OK;
}

/* Holds the directory for this run. File systems that know no such lock are taken at their word. */
static ego_err lock_directory(running *r) {
    const char *out = r->options->out;
    EGO_TRY(ego_make_directory(out));
    r->lock = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->lock < 0) return ego_fail(EGO_EIO, "%s: %s", out, strerror(errno));
    if (flock(r->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return ego_fail(EGO_EIO, "%s: another run is writing there", out);
    return EGO_OK;
}

static ego_err open_log(running *r) {
    ego_buf path = {0};
    if (r->options->log)
        ego_buf_text(&path, r->options->log);
    else
        ego_buf_printf(&path, "%s/log.jsonl", r->options->out);
    ego_err err = ego_buf_err(&path);
    if (err == EGO_OK) err = ego_train_log_open(path.data, &r->log);
    ego_buf_release(&path);
    return err;
}

/* What two texts say where they first differ, from a little before. */
static ego_err other_config(const running *r, const char *theirs, const char *ours) {
    size_t at = 0;
    while (theirs[at] && theirs[at] == ours[at]) at++;
    size_t from = at > 24 ? at - 24 : 0;
    return ego_fail(EGO_EINPUT,
                    "%s: the run there has another configuration: \"%.64s\" there, \"%.64s\" here",
                    r->options->out, theirs + from, ours + from);
}

static ego_err check_resumed(const running *r, const ego_checkpoint *c) {
    const ego_run_options *o = r->options;
    const char *config = o->config ? o->config : "";
    if (strcmp(c->config, config) != 0) return other_config(r, c->config, config);
    if (c->seed != o->seed)
        return ego_fail(EGO_EINPUT, "%s: the run there has seed %" PRIu64 ", not %" PRIu64, o->out,
                        c->seed, o->seed);
    if (c->step > o->steps)
        return ego_fail(EGO_EINPUT,
                        "%s: the run there is at step %" PRId64 ", beyond the %" PRId64
                        " asked for",
                        o->out, c->step, o->steps);
    return EGO_OK;
}

/* Rank 0: the files. *read is the checkpoint to go on from. */
static ego_err open_files(running *r, ego_checkpoint *read, bool *found) {
    const ego_run_options *o = r->options;
    int64_t logged;
    EGO_TRY(lock_directory(r));
    EGO_TRY(open_log(r));
    EGO_TRY(ego_train_log_size(&r->log, &logged));
    if (!o->resume && (logged || ego_checkpoint_any(o->out)))
        return ego_fail(EGO_EINPUT,
                        "%s: there is a run already: resume it or name another directory",
                        logged ? r->log.path : o->out);
    ego_checkpoint_sweep(o->out);
    if (o->resume) EGO_TRY(ego_checkpoint_newest(o->out, read, r->optim, o->notice, found));
    if (*found) EGO_TRY(check_resumed(r, read));
    EGO_TRY(ego_train_log_cut(&r->log, *found ? read->step : -1));
    r->at.step = *found ? read->step : 0;
    return *found ? log_file(r, "resume", -1) : log_start(r);
}

/* What rank 0 tells the others about the beginning. */
typedef struct news {
    ego_err err;
    bool found;
    ego_checkpoint read; /* its texts follow by themselves */
    size_t text_bytes;
} news;

static ego_err share_arrays(running *r) {
    ego_dist *dist = r->options->dist;
    for (size_t i = 0; i < r->optim->count; i++) {
        const ego_trained *p = &r->optim->params[i];
        size_t bytes = (size_t)p->count * sizeof(float);
        EGO_TRY(ego_dist_broadcast(dist, p->value, bytes, 0));
        EGO_TRY(ego_dist_broadcast(dist, p->m, bytes, 0));
        EGO_TRY(ego_dist_broadcast(dist, p->v, bytes, 0));
    }
    return EGO_OK;
}

/* The texts of a checkpoint lie behind one another in `owned`. */
static ego_err share_texts(running *r, news *n) {
    ego_checkpoint *c = &n->read;
    if (!r->writes) c->owned = malloc(n->text_bytes);
    if (!c->owned) return ego_fail(EGO_ENOMEM, "out of memory");
    EGO_TRY(ego_dist_broadcast(r->options->dist, c->owned, n->text_bytes, 0));
    c->config = c->owned;
    c->state = c->owned + strlen(c->owned) + 1;
    return EGO_OK;
}

static ego_err share(running *r, news *n) {
    ego_dist *dist = r->options->dist;
    if (ego_dist_size(dist) == 1) return n->err;
    if (n->found) n->text_bytes = strlen(n->read.config) + strlen(n->read.state) + 2;
    char *owned = n->read.owned;
    EGO_TRY(ego_dist_broadcast(dist, n, sizeof *n, 0));
    n->read.owned = owned;
    if (n->err != EGO_OK)
        return r->writes ? n->err : ego_fail(n->err, "the first rank could not begin");
    if (n->found) EGO_TRY(share_texts(r, n));
    return share_arrays(r);
}

static ego_err begin(running *r) {
    news n = {0};
    EGO_TRY(check_options(r->options));
    if (r->writes) n.err = open_files(r, &n.read, &n.found);
    ego_err err = share(r, &n);
    if (err == EGO_OK && n.found) {
        r->at = n.read;
        r->optim->updates = r->saved = r->at.step;
        if (r->task->restore) err = r->task->restore(r->task->context, r->at.state);
    }
    r->at.config = r->options->config;
    r->at.state = r->at.owned = NULL;
    r->at.seed = r->options->seed;
    ego_checkpoint_release(&n.read);
    r->saved_when = seconds_now();
    ego_progress_start(r->options->progress, (uint64_t)r->at.step);
    return err;
}

/* ---- one step --------------------------------------------------------------------------------------- */

static ego_err check_losses(const ego_run_losses *l) {
    for (size_t i = 0; i < l->losses.count; i++)
        if (!isfinite(l->losses.list[i].value))
            return ego_fail(EGO_EDIVERGED, "the loss %s is %g", l->losses.list[i].name,
                            l->losses.list[i].value);
    if (!isfinite(l->total)) return ego_fail(EGO_EDIVERGED, "the total loss is %g", l->total);
    return EGO_OK;
}

static ego_err check_trend(running *r, double total) {
    double n = (double)r->at.step, limit = r->options->diverged;
    if (r->at.step == 0) r->at.first_loss = r->at.recent_loss = total;
    if (r->at.step < FIRST) r->at.first_loss = (n * r->at.first_loss + total) / (n + 1);
    r->at.recent_loss = RECENT * r->at.recent_loss + (1 - RECENT) * total;
    if (!(limit > 0) || r->at.step < FIRST || !(r->at.first_loss > 0)) return EGO_OK;
    if (r->at.recent_loss <= limit * r->at.first_loss) return EGO_OK;
    return ego_fail(EGO_EDIVERGED,
                    "the total loss has risen to %.6g, from %.6g in the first %d steps: a lower "
                    "learning rate or more warm-up may mend it",
                    r->at.recent_loss, r->at.first_loss, FIRST);
}

/* As torch's clip_grad_norm_, its 1e-6 included. */
static void clip(running *r, double norm) {
    double limit = r->options->clip_norm, factor = limit / (norm + 1e-6);
    if (limit > 0 && factor < 1) ego_optim_scale_grads(r->optim, factor);
}

/* Losses, gradients and the update; what one rank finds wrong stops all. */
static ego_err update(running *r, const ego_run_step *s, const ego_run_losses *l, double *square) {
    ego_err err = check_losses(l);
    *square = ego_optim_square_norm(r->optim);
    if (err == EGO_OK && !isfinite(*square)) err = ego_optim_check_grads(r->optim);
    if (err == EGO_OK) err = check_trend(r, l->total);
    if (err == EGO_OK) clip(r, sqrt(*square));
    if (err == EGO_OK) err = ego_optim_update(r->optim, s->lr);
    bool any = false;
    EGO_TRY(ego_dist_any(r->options->dist, err != EGO_OK, &any));
    if (err == EGO_OK && any) return ego_fail(EGO_EDIVERGED, "another rank has stopped");
    return err;
}

static void show(running *r, double total) {
    const ego_progress *progress = r->options->progress;
    char note[48];
    snprintf(note, sizeof note, "loss %.4g", total);
    ego_progress_note(progress, note);
    if (!ego_progress_tell(progress, "steps", (uint64_t)r->at.step, (uint64_t)r->options->steps))
        r->refused = true;
}

static ego_err one_step(running *r) {
    double began = seconds_now(), square = 0;
    ego_run_losses losses = {0};
    ego_run_step s = {.t = r->at.step,
                      .epoch = r->at.step / r->epoch_steps,
                      .in_epoch = r->at.step % r->epoch_steps,
                      .lr = r->options->lr * ego_schedule_at(&r->schedule, r->at.step)};
    ego_optim_zero_grads(r->optim);
    ego_err err = r->task->step(r->task->context, &s, &losses);
    if (err == EGO_OK && r->task->reduce) err = r->task->reduce(r->task->context);
    if (err == EGO_OK) err = update(r, &s, &losses, &square);
    if (err == EGO_ECANCELLED) return err; /* nothing was changed: the loop saves and leaves */
    if (err != EGO_OK) {
        ego_fail_context(err, "step %" PRId64, s.t + 1);
        log_stop(r, s.t + 1);
        return err;
    }
    EGO_TRY(log_step(r, &s, &losses, square, seconds_now() - began));
    r->at.step++;
    show(r, losses.total);
    return EGO_OK;
}

/* ---- checkpoints, validation, the end --------------------------------------------------------------- */

static ego_err write_checkpoint(running *r) {
    const ego_run_options *o = r->options;
    ego_buf path = {0}, state = {0};
    ego_err err = EGO_OK;
    if (r->task->save) err = r->task->save(r->task->context, &state);
    ego_checkpoint_path(o->out, r->at.step, &path);
    if (err == EGO_OK) err = ego_buf_err(&state);
    if (err == EGO_OK) err = ego_buf_err(&path);
    r->at.state = state.data;
    /* The log first: no checkpoint may be ahead of it. */
    if (err == EGO_OK) err = ego_train_log_sync(&r->log);
    if (err == EGO_OK) err = ego_checkpoint_write(path.data, &r->at, r->optim, o->extra);
    if (err == EGO_OK)
        err = ego_checkpoint_prune(o->out, r->at.step, o->keep ? o->keep : KEEP,
                                   o->keep_best ? r->at.best_step : -1);
    r->at.state = NULL;
    ego_buf_release(&path);
    ego_buf_release(&state);
    return err;
}

static ego_err save(running *r) {
    double began = seconds_now();
    if (r->writes) {
        EGO_TRY(write_checkpoint(r));
        EGO_TRY(log_file(r, "checkpoint", seconds_now() - began));
    }
    r->saved = r->at.step;
    r->saved_when = seconds_now();
    return EGO_OK;
}

/* Whole epochs done; the run's last may be a short one. */
static int64_t epochs_done(const running *r) {
    int64_t whole = r->at.step / r->epoch_steps;
    bool rest = r->at.step == r->options->steps && r->at.step % r->epoch_steps;
    return whole + rest;
}

static bool at_epoch_end(const running *r) {
    return r->at.step > 0 && (r->at.step % r->epoch_steps == 0 || r->at.step == r->options->steps);
}

/* How many validations a run has behind it that is where this one is. With those of epochs alone it is
 * the number of epochs done. */
static int64_t validations_due(const running *r) {
    int64_t every = r->options->validate_steps, due = epochs_done(r);
    for (int64_t step = every; every > 0 && step <= r->at.step; step += every)
        due += step % r->epoch_steps != 0 && step != r->options->steps;
    return due;
}

static ego_err validate(running *r) {
    double began = seconds_now(), score = NAN;
    ego_run_numbers numbers = {0};
    bool last = r->at.step == r->options->steps, cancelled;
    ego_err err = r->task->validate(r->task->context, r->at.epoch, last, &numbers, &score);
    if (err != EGO_OK && err != EGO_ECANCELLED) return err;
    EGO_TRY(ego_dist_any(r->options->dist, err == EGO_ECANCELLED, &cancelled));
    ego_progress_start(r->options->progress,
                       (uint64_t)r->at.step); /* it may have told of its own */
    if (cancelled) return ego_fail(EGO_ECANCELLED, "stopped while validating");

    bool best = isfinite(score) && !(score <= r->at.best);
    if (best) {
        r->at.best = score;
        r->at.best_step = r->at.step;
    }
    ego_buf *line = event(r, "validation", r->at.step);
    add_integer(line, "epoch", r->at.epoch);
    add_numbers(line, "numbers", &numbers);
    add_double(line, "score", score);
    ego_buf_json_key(line, "best");
    ego_buf_text(line, best ? "true" : "false");
    add_double(line, "seconds", seconds_now() - began);
    return ego_train_log_write(&r->log, line);
}

/* Between two steps: what an epoch's end or a clock asks for. */
static ego_err between(running *r) {
    const ego_run_options *o = r->options;
    r->at.epoch = epochs_done(r);
    int64_t due = validations_due(r);
    bool end = at_epoch_end(r), validates = r->task->validate && r->at.validated < due;
    if (validates) EGO_TRY(validate(r));
    r->at.validated = due;
    if (validates) return save(r); /* again, where a stop before the validation has saved */
    if (r->saved == r->at.step || r->at.step == 0) return EGO_OK;
    if (end || (o->checkpoint_steps > 0 && r->at.step % o->checkpoint_steps == 0) ||
        (o->checkpoint_seconds > 0 && seconds_now() - r->saved_when >= o->checkpoint_seconds))
        return save(r);
    return EGO_OK;
}

/* Saves what there is and says where the run stands. */
static ego_err leave(running *r) {
    r->at.epoch = epochs_done(r);
    if (r->saved != r->at.step) EGO_TRY(save(r));
    ego_err err =
        ego_fail(EGO_ECANCELLED, "stopped after step %" PRId64 " of %" PRId64 "; saved in %s",
                 r->at.step, r->options->steps, r->options->out);
    log_stop(r, r->at.step);
    return err;
}

static ego_err loop(running *r) {
    for (;;) {
        bool mine = r->refused || (r->options->stop && *r->options->stop), stop;
        EGO_TRY(ego_dist_any(r->options->dist, mine, &stop));
        if (stop) return leave(r);
        ego_err err = between(r);
        if (err == EGO_OK && r->at.step == r->options->steps) return ego_train_log_sync(&r->log);
        if (err == EGO_OK) err = one_step(r);
        if (err == EGO_ECANCELLED) return leave(r);
        EGO_TRY(err);
    }
}

ego_err ego_run(const ego_run_options *options, const ego_run_task *task, ego_optim *optim) {
    running r = {.options = options,
                 .task = task,
                 .optim = optim,
                 .schedule = options->schedule,
                 .epoch_steps =
                     options->steps_per_epoch ? options->steps_per_epoch : options->steps,
                 .writes = ego_dist_rank(options->dist) == 0,
                 .at = {.best = NAN, .best_step = -1, .first_loss = NAN, .recent_loss = NAN},
                 .saved = -1,
                 .lock = -1,
                 .log = {.fd = -1}};
    if (!r.schedule.steps) r.schedule.steps = options->steps;
    ego_err err = begin(&r);
    if (err == EGO_OK) err = loop(&r);
    ego_train_log_close(&r.log);
    ego_buf_release(&r.line);
    if (r.lock >= 0) close(r.lock);
    return err;
}
