/* A run of the training engine on a toy: stopped, killed and resumed anywhere it ends with the same bits; its
 * log says each step once; what is not finite stops it. */
#include "check.h"
#include "train/run.h"

#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"

#include <fcntl.h>
#include <math.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the toy: least squares, y = s·(W x + b) ----------------------------------------------------------- */

enum { IN = 6, OUT = 5, BATCH = 4, STEPS = 300, EPOCH = 70, WEIGHTS = IN * OUT + OUT + 1 };

typedef struct toy {
    float value[WEIGHTS], grad[WEIGHTS]; /* W [5, 6], b [5], s [] */
    ego_trained params[3];
    ego_optim optim;
    ego_run_options options;
    char out[128];
    volatile sig_atomic_t stop;
    /* faults to make */
    int64_t stop_at, nan_loss_at, nan_grad_at, cancel_validation, grow_from;
    /* what was seen */
    int64_t steps_made, validations, restored;
    int64_t last_epochs;
} toy;

static void lay_out(toy *y) {
    float *v = y->value, *g = y->grad;
    ego_tensor w = {.data = v, .dtype = EGO_F32, .ndim = 2, .shape = {OUT, IN}};
    ego_tensor b = {.data = v + IN * OUT, .dtype = EGO_F32, .ndim = 1, .shape = {OUT}};
    ego_tensor s = {.data = v + IN * OUT + OUT, .dtype = EGO_F32, .ndim = 0};
    y->params[0] = ego_trained_of("w", &w, g);
    y->params[1] = ego_trained_of("b", &b, g + IN * OUT);
    y->params[2] = ego_trained_of("s", &s, g + IN * OUT + OUT);
    y->params[1].decay = false;
    y->params[2].lr_scale = 4;
    for (int i = 0; i < WEIGHTS; i++) v[i] = (float)(0.3 * ego_rng_normal(1, (uint64_t)i));
    v[WEIGHTS - 1] = 1;
}

static bool toy_init(toy *y, const char *where, const char *name) {
    *y = (toy){.stop_at = -1,
               .nan_loss_at = -1,
               .nan_grad_at = -1,
               .cancel_validation = -1,
               .grow_from = -1};
    lay_out(y);
    snprintf(y->out, sizeof y->out, "%s/%s", where, name);
    y->options = (ego_run_options){.steps = STEPS,
                                   .steps_per_epoch = EPOCH,
                                   .lr = 0.05,
                                   .schedule = {EGO_SCHEDULE_COSINE, 0.1, 0},
                                   .out = y->out,
                                   .checkpoint_steps = 7,
                                   .keep = 2,
                                   .seed = 5,
                                   .config = "{\"width\":5}",
                                   .stop = &y->stop};
    ego_adamw adamw = ego_adamw_default();
    return CHECK_OK(ego_optim_init(&y->optim, &adamw, y->params, 3, NULL));
}

static double one_sample(toy *y, uint64_t stream) {
    float *w = y->value, *b = w + IN * OUT, *s = b + OUT, x[IN];
    float *dw = y->grad, *db = dw + IN * OUT, *ds = db + OUT;
    double loss = 0;
    for (int i = 0; i < IN; i++) x[i] = (float)ego_rng_normal(stream, (uint64_t)i);
    for (int o = 0; o < OUT; o++) {
        float inner = b[o], want = x[o] * 2 - x[(o + 1) % IN] + 0.5f;
        for (int i = 0; i < IN; i++) inner += w[o * IN + i] * x[i];
        float off = *s * inner - want;
        loss += 0.5 * (double)off * (double)off;
        for (int i = 0; i < IN; i++) dw[o * IN + i] += off * *s * x[i];
        db[o] += off * *s;
        *ds += off * inner;
    }
    return loss;
}

static ego_err toy_step(void *context, const ego_run_step *step, ego_run_losses *out) {
    toy *y = context;
    double loss = 0;
    CHECK(step->epoch == step->t / EPOCH && step->in_epoch == step->t % EPOCH);
    for (int i = 0; i < WEIGHTS; i++) CHECK(y->grad[i] == 0);
    for (int i = 0; i < BATCH; i++)
        loss += one_sample(y, ego_rng_stream(ego_rng_stream(5, (uint64_t)step->t), (uint64_t)i));
    if (y->grow_from >= 0 && step->t >= y->grow_from) loss *= 1e5;
    if (step->t == y->nan_grad_at) y->grad[IN * OUT + 2] = INFINITY;
    ego_run_add(&out->losses, "square", loss);
    ego_run_add(&out->losses, "spare", step->t == y->nan_loss_at ? (double)NAN : 0);
    out->total = loss;
    out->samples = BATCH;
    y->steps_made++;
    if (step->t == y->stop_at) y->stop = 1;
    return EGO_OK;
}

static ego_err toy_validate(void *context, int64_t epochs, bool last, ego_run_numbers *out,
                            double *score) {
    toy *y = context;
    y->validations++;
    if (epochs == y->cancel_validation) {
        y->stop = 1;
        return ego_fail(EGO_ECANCELLED, "enough");
    }
    CHECK(last == (epochs == (STEPS + EPOCH - 1) / EPOCH));
    ego_run_add(out, "epochs", (double)epochs);
    *score = epochs == 2 ? 9 : (double)epochs; /* the second is the best */
    y->last_epochs = epochs;
    return EGO_OK;
}

static ego_err toy_save(void *context, ego_buf *state) {
    ego_buf_printf(state, "made \"%d\"\n", (int)((toy *)context)->optim.updates);
    return EGO_OK;
}

static ego_err toy_restore(void *context, const char *state) {
    toy *y = context;
    int made = -1;
    CHECK(sscanf(state, "made \"%d\"\n", &made) == 1 && made == y->optim.updates);
    y->restored++;
    return EGO_OK;
}

static ego_err toy_run(toy *y, bool resume) {
    ego_run_task task = {y, toy_step, NULL, toy_validate, toy_save, toy_restore};
    y->options.resume = resume;
    y->stop = 0;
    return ego_run(&y->options, &task, &y->optim);
}

static bool same(const toy *a, const toy *b) {
    bool good = memcmp(a->value, b->value, sizeof a->value) == 0;
    for (int i = 0; i < 3; i++) {
        size_t bytes = (size_t)a->params[i].count * sizeof(float);
        good = good && memcmp(a->params[i].m, b->params[i].m, bytes) == 0 &&
               memcmp(a->params[i].v, b->params[i].v, bytes) == 0;
    }
    return good;
}

/* ---- the log ------------------------------------------------------------------------------------------ */

typedef struct log_sum {
    int64_t steps, validations, checkpoints, resumes, starts, stops;
    double first_lr, last_total;
} log_sum;

static bool is_event(const ego_json *line, const char *name, int64_t *count) {
    const char *text;
    if (!ego_json_string(ego_json_get(line, "event"), &text) || strcmp(text, name) != 0)
        return false;
    ++*count;
    return true;
}

/* Every line is JSON; steps are 1, 2, 3, … */
static log_sum read_log(const toy *y) {
    log_sum sum = {0};
    char path[160];
    ego_buf text = {0};
    snprintf(path, sizeof path, "%s/log.jsonl", y->out);
    CHECK_OK(ego_read_file(path, 1 << 24, &text));
    CHECK(text.len && text.data[text.len - 1] == '\n');
    char *end;
    for (char *at = text.data; at && *at; at = end + 1) {
        ego_json *line;
        int64_t step;
        end = strchr(at, '\n');
        if (!CHECK(end != NULL) || !CHECK_OK(ego_json_parse(at, (size_t)(end - at), &line))) break;
        CHECK(ego_json_integer(ego_json_get(line, "step"), &step));
        if (!ego_json_get(line, "event")) {
            const ego_json *losses = ego_json_get(line, "losses");
            double norm, number;
            CHECK(step == ++sum.steps);
            CHECK(ego_json_number(ego_json_get(line, "lr"), &number));
            if (step == 1) sum.first_lr = number;
            CHECK(ego_json_number(ego_json_get(line, "total"), &sum.last_total));
            CHECK(ego_json_number(ego_json_get(losses, "square"), &number) &&
                  number == sum.last_total);
            CHECK(ego_json_number(ego_json_get(line, "gradient_norm"), &norm) && norm > 0);
            CHECK(ego_json_number(ego_json_get(line, "seconds"), &number) && number >= 0);
        } else {
            CHECK(is_event(line, "validation", &sum.validations) ||
                  is_event(line, "checkpoint", &sum.checkpoints) ||
                  is_event(line, "resume", &sum.resumes) || is_event(line, "start", &sum.starts) ||
                  is_event(line, "stop", &sum.stops));
            CHECK(step == sum.steps);
        }
        ego_json_free(line);
    }
    ego_buf_release(&text);
    return sum;
}

static bool exists(const toy *y, int64_t step) {
    ego_buf path = {0};
    ego_checkpoint_path(y->out, step, &path);
    bool there = access(path.data, F_OK) == 0;
    ego_buf_release(&path);
    return there;
}

/* ---- left alone --------------------------------------------------------------------------------------- */

static int reports;
static char noted[64];
static uint64_t started;
static bool report(void *context, const char *what, uint64_t done, uint64_t total) {
    reports++;
    CHECK(strcmp(what, "steps") == 0 && total == STEPS && done <= total);
    return !context || done < 20;
}
static void note(void *context, const char *text) {
    (void)context;
    snprintf(noted, sizeof noted, "%s", text);
}
static void start(void *context, uint64_t done) {
    (void)context;
    started = done;
}

static void test_alone(toy *whole, const char *where) {
    if (!toy_init(whole, where, "whole")) return;
    ego_progress progress = {.report = report, .note = note, .start = start};
    whole->options.progress = &progress;
    whole->options.keep_best = true;
    CHECK_OK(toy_run(whole, false));
    CHECK(reports == STEPS && strncmp(noted, "loss ", 5) == 0);
    CHECK(whole->validations == 5 && whole->last_epochs == 5);
    CHECK(exists(whole, 300) && exists(whole, 294) && !exists(whole, 287));
    CHECK(exists(whole, 2 * EPOCH)); /* the best */
    log_sum log = read_log(whole);
    CHECK(log.steps == STEPS && log.validations == 5 && log.starts == 1 && log.first_lr == 0);
    CHECK(log.checkpoints == 42 + 1 && log.resumes == 0 &&
          log.stops == 0); /* 70, 140 … are multiples of 7 */
    CHECK(log.last_total < 2);

    whole->steps_made = 0; /* nothing is left to do */
    started = 0;
    CHECK_OK(toy_run(whole, true));
    CHECK(whole->steps_made == 0 && whole->validations == 5 && started == STEPS);
    whole->options.progress = NULL;
}

static void test_threads(const toy *whole, const char *where) {
    toy y;
    ego_pool *pool;
    if (!CHECK_OK(ego_pool_new(3, &pool)) || !toy_init(&y, where, "threads")) return;
    y.optim.pool = pool;
    CHECK_OK(toy_run(&y, false));
    CHECK(same(whole, &y));
    ego_optim_release(&y.optim);
    ego_pool_free(pool);
}

/* ---- stopped and killed ------------------------------------------------------------------------------- */

static void test_stops(const toy *whole, const char *where) {
    toy y;
    if (!toy_init(&y, where, "stops")) return;
    int stops = 0;
    ego_err err = EGO_ECANCELLED;
    for (int64_t at = 0; err == EGO_ECANCELLED && stops < 100; stops++) {
        at +=
            (int64_t)ego_rng_below(3, (uint64_t)stops, 40); /* now and then before the first step */
        y.stop_at = at;
        y.cancel_validation = stops == 1 ? 1 : stops == 4 ? 2 : -1;
        err = toy_run(&y, stops > 0);
        if (err == EGO_ECANCELLED) {
            CHECK(strstr(ego_err_message(), "of 300; saved in /tmp/") != NULL);
            CHECK(exists(&y, y.optim.updates));
            at = y.optim.updates;
            for (int i = 0; i < WEIGHTS; i++)
                y.value[i] = NAN; /* all of it must come back from the file */
        }
    }
    CHECK_OK(err);
    CHECK(stops > 8 && y.restored == stops - 1 && same(whole, &y));
    CHECK(y.steps_made == STEPS);
    log_sum log = read_log(&y);
    CHECK(log.steps == STEPS && log.validations == 5 && log.resumes == stops - 1 &&
          log.starts == 1);
    ego_optim_release(&y.optim);
}

static void test_listener(const toy *whole, const char *where) {
    toy y;
    int context = 1;
    if (!toy_init(&y, where, "listener")) return;
    ego_progress progress = {.report = report, .context = &context};
    y.options.progress = &progress;
    y.options.checkpoint_steps = 0;
    y.options.checkpoint_seconds = 1e-9;
    CHECK_ERR(EGO_ECANCELLED, toy_run(&y, false));
    CHECK(y.optim.updates == 20 && exists(&y, 20));
    CHECK(exists(&y, 19) && !exists(&y, 18)); /* by the clock, after every step */
    y.options.progress = NULL;
    y.options.checkpoint_seconds = 0;
    CHECK_OK(toy_run(&y, true));
    CHECK(same(whole, &y));
    ego_optim_release(&y.optim);
}

/* Validation between the ends of epochs, stopped in one of them; gradients clipped. */
static void test_between(const toy *whole, const char *where) {
    toy a, b;
    if (!toy_init(&a, where, "between") || !toy_init(&b, where, "between2")) return;
    a.options.validate_steps = b.options.validate_steps = EPOCH / 2;
    a.options.clip_norm = b.options.clip_norm = 0.5;
    CHECK_OK(toy_run(&a, false));
    CHECK(a.validations == 5 + 4 && read_log(&a).validations == 9);
    CHECK(!same(whole, &a)); /* clipped */
    b.cancel_validation = 1; /* at the end of the first epoch, the second of them */
    CHECK_ERR(EGO_ECANCELLED, toy_run(&b, false));
    CHECK(b.validations == 2 && b.optim.updates == EPOCH);
    b.cancel_validation = -1;
    b.stop_at = 90;
    CHECK_ERR(EGO_ECANCELLED, toy_run(&b, true));
    b.stop_at = -1;
    b.cancel_validation = 1; /* at step 105, an epoch and a half */
    CHECK_ERR(EGO_ECANCELLED, toy_run(&b, true));
    CHECK(b.optim.updates == 105);
    b.cancel_validation = -1;
    CHECK_OK(toy_run(&b, true));
    CHECK(same(&a, &b) && read_log(&b).validations == 9);
    b.options.clip_norm = -1;
    CHECK_ERR(EGO_EINPUT, toy_run(&b, true));
    ego_optim_release(&a.optim);
    ego_optim_release(&b.optim);
}

static void sleep_for(double seconds) {
    struct timespec t = {(time_t)seconds, (long)(fmod(seconds, 1) * 1e9)};
    nanosleep(&t, NULL);
}

/* A child that trains, killed without warning. Returns false when it had already ended. */
static bool kill_one(toy *y, bool resume, double after) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        y->options.checkpoint_steps = 3; /* most of the time is spent writing */
        _exit(toy_run(y, resume) == EGO_OK ? 0 : 1);
    }
    int status = 0;
    sleep_for(after);
    kill(child, SIGKILL);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

static void test_kills(const toy *whole, const char *where) {
    toy y;
    int kills = 0, runs = 0;
    uint64_t stream = (uint64_t)time(NULL);
    for (; kills < 20 && runs < 60; runs++) {
        char name[32];
        snprintf(name, sizeof name, "kills%d", runs);
        if (!toy_init(&y, where, name)) return;
        bool killed = true; /* over and over until it gets to its end */
        for (int go = 0; killed && go < 4; go++) {
            killed = kill_one(&y, go > 0, 0.25 * ego_rng_unit(stream, (uint64_t)(8 * runs + go)));
            kills += killed;
        }
        CHECK_OK(toy_run(&y, true));
        if (!CHECK(same(whole, &y)))
            printf("seed of the moments: %llu\n", (unsigned long long)stream);
        log_sum log = read_log(&y);
        CHECK(log.steps == STEPS && log.validations == 5);
        char command[200];
        snprintf(command, sizeof command, "ls %s | grep -q tmp", y.out);
        CHECK(system(command) != 0);
        ego_optim_release(&y.optim);
    }
    printf("%d kills in %d runs\n", kills, runs);
    CHECK(kills >= 20);
}

/* ---- what goes wrong ---------------------------------------------------------------------------------- */

static void test_not_finite(const toy *whole, const char *where) {
    toy y;
    if (!toy_init(&y, where, "nan")) return;
    y.nan_loss_at = 22;
    CHECK_ERR(EGO_EDIVERGED, toy_run(&y, false));
    CHECK(strstr(ego_err_message(), "step 23: the loss spare is ") == ego_err_message());
    CHECK(exists(&y, 21) && exists(&y, 14) && !exists(&y, 22) && !exists(&y, 23));
    y.nan_loss_at = -1;
    y.nan_grad_at = 30;
    CHECK_ERR(EGO_EDIVERGED, toy_run(&y, true));
    CHECK_STR(ego_err_message(), "step 31: the gradient of b is infinite at element 2 of 5");
    y.nan_grad_at = -1;
    y.grow_from = 40;
    y.options.diverged = 3;
    CHECK_ERR(EGO_EDIVERGED, toy_run(&y, true));
    CHECK(strstr(ego_err_message(), ": the total loss has risen to ") != NULL);
    y.grow_from = -1;
    CHECK_OK(toy_run(&y, true));
    CHECK(same(whole, &y));
    log_sum log = read_log(&y);
    CHECK(log.steps == STEPS && log.resumes == 3 && log.stops == 0);
    ego_optim_release(&y.optim);
}

static int heard;
static void hear(void *context, const char *message) {
    (void)context;
    heard += strstr(message, "damaged") != NULL;
}

static void test_refusals(const toy *whole, const char *where) {
    toy y;
    if (!toy_init(&y, where, "refusals")) return;
    y.stop_at = 29;
    CHECK_ERR(EGO_ECANCELLED, toy_run(&y, false));
    y.stop_at = -1;
    CHECK_ERR(EGO_EINPUT, toy_run(&y, false));
    CHECK(strstr(ego_err_message(), "there is a run already") != NULL);
    y.options.config = "{\"width\":6}";
    CHECK_ERR(EGO_EINPUT, toy_run(&y, true));
    CHECK(strstr(ego_err_message(), "\"{\"width\":5}\" there, \"{\"width\":6}\" here") != NULL);
    y.options.config = "{\"width\":5}";
    y.options.seed = 6;
    CHECK_ERR(EGO_EINPUT, toy_run(&y, true));
    y.options.seed = 5;
    y.options.steps = 20;
    CHECK_ERR(EGO_EINPUT, toy_run(&y, true));
    y.options.steps = 0;
    CHECK_ERR(EGO_EINPUT, toy_run(&y, true));
    y.options.steps = STEPS;
    int fd = open(y.out, O_RDONLY | O_DIRECTORY);
    CHECK(flock(fd, LOCK_EX) == 0);
    CHECK_ERR(EGO_EIO, toy_run(&y, true));
    CHECK(strstr(ego_err_message(), "another run is writing there") != NULL);
    close(fd);

    /* The newest file is damaged, and the log goes on past it with a line that was cut: both are mended. */
    char path[160];
    snprintf(path, sizeof path, "%s/checkpoint-30.safetensors", y.out);
    FILE *file = fopen(path, "r+b");
    if (CHECK(file != NULL)) {
        fseek(file, -3, SEEK_END);
        fputc(0x55, file);
        fclose(file);
    }
    snprintf(path, sizeof path, "%s/log.jsonl", y.out);
    file = fopen(path, "ab");
    if (CHECK(file != NULL)) {
        fputs("{\"step\":31,\"epoch\":0}\n{\"step\":32,\"ep", file);
        fclose(file);
    }
    ego_notice notice = {hear, NULL};
    y.options.notice = &notice;
    CHECK_OK(toy_run(&y, true));
    CHECK(heard == 1 && same(whole, &y));
    log_sum log = read_log(&y);
    CHECK(log.steps == STEPS && log.resumes == 1);
    ego_optim_release(&y.optim);
}

int main(void) {
    char where[] = "/tmp/ego-run-XXXXXX", command[64];
    toy whole;
    if (!CHECK(mkdtemp(where) != NULL)) return check_done();
    test_alone(&whole, where);
    test_stops(&whole, where);
    test_kills(&whole, where); /* it forks: before there are threads */
    test_listener(&whole, where);
    test_between(&whole, where);
    test_not_finite(&whole, where);
    test_refusals(&whole, where);
    test_threads(&whole, where);
    ego_optim_release(&whole.optim);
    snprintf(command, sizeof command, "rm -rf %s", where);
    CHECK(system(command) == 0);
    return check_done();
}
