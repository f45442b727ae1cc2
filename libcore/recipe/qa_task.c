#include "recipe/qa_task.h"

#include "base/rng.h"
#include "task/qa_head.h"
#include "task/qa_moments.h"

#include <math.h>
#include <string.h>

/* Names of what is drawn from the run's seed beside what recipe/head_run.h draws. */
enum { DRAW_HEAD = 100, DRAW_FRAMES };
enum { VALIDATION_BATCH = 256 };

const char *const ego_qa_kind_words[] = {"states", "moments", NULL};
const char *const ego_qa_sampling_words[] = {"time", "reference", NULL};

/* ---- losses ---------------------------------------------------------------------------------- */

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

/* What a head of moments sees of them. */
static ego_err seen_of(ego_ctx *cx, const ego_qa_rows *from, const int64_t *rows, int64_t n, int64_t W,
                       ego_qa_seen *seen) {
    int64_t P = from->width / W;
    ego_tensor *x = EGO_TENSOR(cx, n * W, P);
    const char **texts = ego_ctx_alloc(cx, (size_t)n * sizeof *texts);
    if (!x || !texts) return ego_ctx_err(cx);
    for (int64_t i = 0; i < n; i++) {
        const float *interval = from->states + from->interval[rows[i]] * from->width;
        memcpy(ego_f32(x) + i * from->width, interval, (size_t)from->width * sizeof(float));
        texts[i] = from->texts[rows[i]];
    }
    seen->windows = x;
    return ego_qa_words(from->session, cx, texts, (size_t)n, &seen->words);
}

/* A logit for each of rows[0] … rows[n − 1] and answer; NULL after a failure that the context keeps or *err has. */
static const ego_tensor *logits_of(ego_qa_task *t, ego_ctx *cx, ego_qa_rows *from, const int64_t *rows, int64_t n,
                                   ego_dropout drop, ego_err *err) {
    int64_t W = ego_qa_head_windows(t->head);
    ego_qa_seen seen = {0};
    if (!W) {
        const ego_tensor *x = states_of(cx, from, rows, n, err);
        return *err == EGO_OK ? ego_qa_logits(cx, t->head, x, drop) : NULL;
    }
    *err = seen_of(cx, from, rows, n, W, &seen);
    return *err == EGO_OK ? ego_qa_moments_logits(cx, t->head, t->model, seen, drop) : NULL;
}

/* Cross-entropy of samples from … from + n of the batch: their share of its mean. */
static ego_err losses(void *context, ego_ctx *cx, const ego_head_batch *batch, int64_t from,
                      int64_t n, ego_head_losses *out) {
    ego_qa_task *t = context;
    ego_err err;
    int64_t *labels = ego_ctx_alloc(cx, (size_t)n * sizeof *labels);
    if (!labels) return ego_ctx_err(cx);
    for (int64_t i = 0; i < n; i++) labels[i] = t->rows.labels[batch->samples[from + i]];
    ego_dropout drop = {.p = (float)t->dropout, .streams = batch->streams + from};
    const ego_tensor *logits = logits_of(t, cx, &t->rows, batch->samples + from, n, drop, &err);
    EGO_TRY(err);
    ego_head_losses_add(out, "answer",
                        ego_cross_entropy(cx, logits, labels, 1 / (float)batch->count), 1);
    return EGO_OK;
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
static ego_err judge(ego_qa_task *t, ego_ctx *cx, int64_t from, int64_t n, tally *sums) {
    int64_t rows[VALIDATION_BATCH], A = ego_qa_head_classes(t->head);
    ego_err err;
    for (int64_t i = 0; i < n; i++) rows[i] = from + i;
    const ego_tensor *logits = logits_of(t, cx, &t->held_out, rows, n, (ego_dropout){0}, &err);
    EGO_TRY(err);
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
    ego_qa_task *t = context;
    int64_t count = (int64_t)t->held_out.count, step = t->portion ? t->portion : VALIDATION_BATCH;
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

ego_head_task ego_qa_task_of(ego_qa_task *t) {
    return (ego_head_task){.head = t->head,
                           .context = t,
                           .samples = (int64_t)t->rows.count,
                           .portion = t->portion,
                           .losses = losses,
                           .validate = t->held_out.count ? validate : NULL};
}

/* ---- setting up ------------------------------------------------------------------------------ */

static ego_err read_rows(ego_ctx *cx, ego_model *model, const ego_qa_task_options *o, bool held_out,
                         int64_t answers, ego_qa_rows *rows) {
    const ego_qa_data *d = o->data;
    ego_qa_rows_options r = {.annotations = held_out ? d->validate : d->train,
                             .video_root =
                                 held_out && d->validate_root ? d->validate_root : d->video_root,
                             .interval_fps = d->interval_fps,
                             .drawn = d->sampling != 0,
                             .seed = ego_rng_stream(o->seed, DRAW_FRAMES),
                             .cache = d->cache,
                             .classes = answers,
                             .halves = o->halves,
                             .text_learns = o->text_learns,
                             .windows = o->kind == EGO_QA_MOMENTS ? o->moments.windows : 0,
                             .progress = o->with->progress,
                             .notice = o->with->notice};
    return ego_qa_rows_read(cx, model, &r, rows);
}

/* A head's numbers for this model and so many answers. */
static ego_head_config numbers_of(const ego_qa_task_options *o, const ego_model *model, int64_t answers) {
    const ego_config *c = &model->config;
    ego_head_config config = {.qa = {.width = c->dim, .answers = answers}};
    if (o->kind != EGO_QA_MOMENTS) return config;
    config.qa_moments = o->moments;
    config.qa_moments.width = c->projection[c->projections - 1];
    config.qa_moments.text = c->dim;
    config.qa_moments.answers = answers;
    return config;
}

static const ego_head_kind *kind_of(const ego_qa_task_options *o) {
    return o->kind == EGO_QA_MOMENTS ? &ego_head_qa_moments : &ego_head_qa;
}

static ego_err make_head(ego_model *model, const ego_qa_task_options *o, const ego_names *answers, ego_head **head) {
    const char *id;
    ego_head_config config = numbers_of(o, model, (int64_t)answers->count);
    EGO_TRY(ego_model_id(model, &id));
    EGO_TRY(ego_head_create(kind_of(o), &config, ego_rng_stream(o->seed, DRAW_HEAD), head));
    ego_head_set_backbone(*head, id);
    return ego_qa_head_set_answers(*head, answers);
}

ego_err ego_qa_task_open(ego_ctx *cx, ego_model *model, const ego_qa_task_options *o,
                         ego_qa_task *task) {
    ego_arena arena;
    ego_names answers;
    ego_err err;
    ego_arena_init(&arena, 1 << 14);
    *task = (ego_qa_task){.model = model, .dropout = o->dropout, .portion = o->halves ? ego_good_batch(model) : 0};
    EGO_TRY_OUT(ego_names_read(o->data->answers, &arena, &answers));
    EGO_TRY_OUT(make_head(model, o, &answers, &task->head));
    EGO_TRY_OUT(read_rows(cx, model, o, false, (int64_t)answers.count, &task->rows));
    if (o->data->validate)
        EGO_TRY_OUT(read_rows(cx, model, o, true, (int64_t)answers.count, &task->held_out));
out:
    ego_arena_release(&arena);
    return err;
}

void ego_qa_task_release(ego_qa_task *task, ego_backend *backend) {
    ego_qa_rows_release(&task->rows);
    ego_qa_rows_release(&task->held_out);
    ego_head_close(task->head, backend);
    *task = (ego_qa_task){0};
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static ego_err count_questions(const char *path, int64_t *n) {
    ego_arena arena;
    ego_qa all;
    ego_arena_init(&arena, 1 << 16);
    ego_err err = ego_qa_read(path, &arena, &all);
    if (err == EGO_OK) *n = (int64_t)all.count;
    ego_arena_release(&arena);
    return err;
}

/* Of a head that nobody drew. */
static ego_err count_one(void *context, const ego_param_spec *spec) {
    int64_t count = 1;
    for (int i = 0; i < spec->ndim; i++) count *= spec->shape[i];
    *(int64_t *)context += count;
    return EGO_OK;
}

ego_err ego_qa_task_measure(const ego_qa_task_options *o, const ego_model *model, ego_qa_sizes *sizes) {
    const ego_qa_data *data = o->data;
    ego_arena arena;
    ego_names answers;
    *sizes = (ego_qa_sizes){0};
    ego_arena_init(&arena, 1 << 14);
    ego_err err = ego_names_read(data->answers, &arena, &answers);
    if (err == EGO_OK) sizes->answers = (int64_t)answers.count;
    ego_arena_release(&arena);
    EGO_TRY(err);
    EGO_TRY(count_questions(data->train, &sizes->questions));
    if (data->validate) EGO_TRY(count_questions(data->validate, &sizes->held_out));
    ego_head_config config = numbers_of(o, model, sizes->answers);
    ego_head_params params;
    return kind_of(o)->visit(&config, &params, count_one, &sizes->parameters);
}
