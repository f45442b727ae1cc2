#include "recipe/nlq_head.h"

#include "score/nlq.h"
#include "task/vslnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWERS = 5, VALIDATIONS = 2 };

void ego_nlq_head_defaults(ego_head_optim *optim, ego_head_run_settings *run) {
    *optim =
        (ego_head_optim){.lr = 1e-3,
                         .adamw = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-6, .weight_decay = 0.01},
                         .schedule = EGO_SCHEDULE_LINEAR};
    *run = (ego_head_run_settings){.epochs = 50, .batch = 32, .keep = 3, .seed = 1};
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- one question through the network --------------------------------------------------------------------- */

/* The features as the head takes them; *input lacks dropout and stream. */
static ego_err load(ego_ctx *cx, const ego_head *head, const ego_nlq_source *source, int64_t i,
                    ego_vslnet_input *input) {
    const ego_vslnet_config *c = &head->config.vslnet;
    ego_nlq_features f = {0};
    EGO_TRY(source->features(source->context, i, &f));
    int64_t told = source->sample(source->context, i).clips, clips;
    if (f.clips < 1 || f.tokens < 1 || f.clips != told)
        return ego_fail(EGO_EINPUT, "question %lld: %lld clips of the %lld told, and %lld words",
                        (long long)i, (long long)f.clips, (long long)told, (long long)f.tokens);
    ego_tensor *video = EGO_TENSOR(cx, least(f.clips, c->positions), c->video_width);
    ego_tensor *words = EGO_TENSOR(cx, f.tokens, c->query_width);
    EGO_TRY(ego_ctx_err(cx));
    ego_vslnet_pool(f.video, f.clips, c->video_width, c->positions, ego_f32(video), &clips);
    memcpy(words->data, f.words, (size_t)ego_tensor_count(words) * sizeof(float));
    *input = (ego_vslnet_input){.video = video, .query = words, .clips = clips, .tokens = f.tokens};
    return EGO_OK;
}

/* ---- training --------------------------------------------------------------------------------------------- */

typedef struct training {
    const ego_nlq_head_options *options;
    int64_t *kept;           /* which questions of the source are trained on */
    ego_vslnet_span *labels; /* theirs */
    int64_t count;
} training;

static int64_t clips_of(const training *t, int64_t kept) {
    const ego_nlq_source *s = &t->options->train;
    return least(s->sample(s->context, t->kept[kept]).clips,
                 t->options->head->config.vslnet.positions);
}

static ego_err one_sample(const training *t, ego_ctx *cx, const ego_head_batch *batch, int64_t i,
                          ego_vslnet_batch whole, ego_vslnet_losses *losses) {
    const ego_nlq_head_options *o = t->options;
    int64_t kept = batch->samples[i];
    ego_vslnet_input in;
    ego_vslnet_output out;
    EGO_TRY(load(cx, o->head, &o->train, t->kept[kept], &in));
    in.dropout = (float)o->dropout;
    in.stream = batch->streams[i];
    EGO_TRY(ego_vslnet_forward(cx, o->head, &in, &out));
    return ego_vslnet_loss(cx, &out, in.clips, t->labels[kept], whole, losses);
}

static ego_err losses_of(void *context, ego_ctx *cx, const ego_head_batch *batch, int64_t from,
                         int64_t n, ego_head_losses *out) {
    const training *t = context;
    ego_vslnet_batch whole = {.samples = batch->count};
    ego_vslnet_losses sum = {0};
    for (int64_t i = 0; i < batch->count; i++) whole.clips += clips_of(t, batch->samples[i]);
    for (int64_t i = from; i < from + n; i++) {
        ego_vslnet_losses one;
        EGO_TRY(one_sample(t, cx, batch, i, whole, &one));
        sum.span = sum.span ? ego_add(cx, sum.span, one.span) : one.span;
        sum.highlight = sum.highlight ? ego_add(cx, sum.highlight, one.highlight) : one.highlight;
    }
    ego_head_losses_add(out, "span", sum.span, 1);
    ego_head_losses_add(out, "highlight", sum.highlight, EGO_VSLNET_HIGHLIGHT_WEIGHT);
    return ego_ctx_err(cx);
}

/* Labels; and which questions have one. */
static ego_err label_all(training *t) {
    const ego_nlq_head_options *o = t->options;
    const ego_nlq_source *s = &o->train;
    size_t room = (size_t)(s->count > 0 ? s->count : 1);
    t->kept = calloc(room, sizeof *t->kept);
    t->labels = calloc(room, sizeof *t->labels);
    if (!t->kept || !t->labels)
        return ego_fail(EGO_ENOMEM, "out of memory for %zu questions", room);
    for (int64_t i = 0; i < s->count; i++) {
        ego_nlq_sample q = s->sample(s->context, i);
        int64_t clips = least(q.clips, o->head->config.vslnet.positions);
        if (clips < 1)
            return ego_fail(EGO_EINPUT, "question %lld is asked of no clip", (long long)i);
        if (!ego_vslnet_label(q.start, q.end, clips, q.duration, &t->labels[t->count]) &&
            !o->keep_empty)
            continue;
        t->kept[t->count++] = i;
    }
    if (t->count < s->count && o->with.notice && o->with.notice->say) {
        char text[128];
        snprintf(text, sizeof text,
                 "%lld of %lld questions are left out: their answers have no length",
                 (long long)(s->count - t->count), (long long)s->count);
        o->with.notice->say(o->with.notice->context, text);
    }
    return t->count ? EGO_OK : ego_fail(EGO_EINPUT, "no question has an answer to learn from");
}

/* ---- validation ------------------------------------------------------------------------------------------- */

static ego_err answer(ego_ctx *cx, ego_head *head, const ego_nlq_source *source, int64_t i,
                      double spans[ANSWERS][2], size_t *found) {
    double duration = source->sample(source->context, i).duration;
    ego_vslnet_answer best[ANSWERS];
    ego_vslnet_input in;
    ego_vslnet_output out;
    EGO_TRY(load(cx, head, source, i, &in));
    EGO_TRY(ego_vslnet_forward(cx, head, &in, &out));
    *found = (size_t)ego_vslnet_best(ego_f32(out.start), ego_f32(out.end), in.clips, ANSWERS, best);
    for (size_t k = 0; k < *found; k++) {
        spans[k][0] = (double)ego_vslnet_start(best[k].span.start, in.clips, duration);
        spans[k][1] = (double)ego_vslnet_end(best[k].span.end, in.clips, duration);
    }
    return EGO_OK;
}

ego_err ego_nlq_head_validate(ego_ctx *cx, ego_head *head, const ego_nlq_source *source,
                              const ego_progress *progress, ego_nlq_recall *recall) {
    ego_nlq_recall sum = {0};
    ego_progress_start(progress, 0);
    for (int64_t i = 0; i < source->count; i++) {
        double spans[ANSWERS][2];
        size_t n = 0;
        ego_nlq_sample q = source->sample(source->context, i);
        double truth[2] = {q.start, q.end};
        ego_ctx_mark mark = ego_ctx_save(cx);
        ego_err err = answer(cx, head, source, i, spans, &n);
        ego_ctx_rewind(cx, &mark);
        EGO_TRY(err);
        sum.r1_03 += ego_overlap_found(spans, n, truth, 1, 0.3);
        sum.r5_03 += ego_overlap_found(spans, n, truth, ANSWERS, 0.3);
        sum.r1_05 += ego_overlap_found(spans, n, truth, 1, 0.5);
        sum.r5_05 += ego_overlap_found(spans, n, truth, ANSWERS, 0.5);
        sum.mean_iou += ego_overlap(spans[0], truth);
        if (!ego_progress_tell(progress, "questions", (uint64_t)i + 1, (uint64_t)source->count))
            return ego_fail(EGO_ECANCELLED, "stopped while validating");
    }
    double share = source->count ? 100.0 / (double)source->count : 0;
    *recall = (ego_nlq_recall){share * sum.r1_03, share * sum.r5_03, share * sum.r1_05,
                               share * sum.r5_05, share * sum.mean_iou};
    return EGO_OK;
}

static ego_err validate(void *context, ego_ctx *cx, int64_t epochs, bool last, ego_run_numbers *out,
                        double *score) {
    const training *t = context;
    const ego_nlq_head_options *o = t->options;
    ego_nlq_recall r;
    (void)epochs, (void)last;
    EGO_TRY(ego_nlq_head_validate(cx, o->head, &o->validate, o->with.progress, &r));
    ego_run_add(out, "r1_iou0.3", r.r1_03);
    ego_run_add(out, "r5_iou0.3", r.r5_03);
    ego_run_add(out, "r1_iou0.5", r.r1_05);
    ego_run_add(out, "r5_iou0.5", r.r5_05);
    ego_run_add(out, "mean_iou", r.mean_iou);
    *score = r.r1_03;
    return EGO_OK;
}

/* ---- the whole -------------------------------------------------------------------------------------------- */

/* What decides the course beside what the caller binds. */
static void bind(const ego_nlq_head_options *o, ego_buf *binding) {
    ego_buf_text(binding, "{\"dropout\":");
    ego_buf_json_double(binding, o->dropout);
    ego_buf_printf(binding, ",\"keep_empty\":%s,\"settings\":%s}", o->keep_empty ? "true" : "false",
                   o->binding && o->binding[0] ? o->binding : "null");
}

static ego_err run(training *t, const ego_buf *binding) {
    const ego_nlq_head_options *o = t->options;
    ego_head_task task = {
        .head = o->head, .context = t, .samples = t->count, .portion = 1, .losses = losses_of};
    if (o->validate.count > 0) task.validate = validate;
    return ego_head_run(&(ego_head_run_options){.optim = o->optim,
                                                .run = o->run,
                                                .clip_norm = 1,
                                                .validations = VALIDATIONS,
                                                .dtype = EGO_F32,
                                                .binding = binding->data,
                                                .backend = o->backend,
                                                .with = o->with},
                        &task, 1);
}

ego_err ego_nlq_head_train(const ego_nlq_head_options *options) {
    training t = {.options = options};
    ego_buf binding = {0};
    if (options->head->kind != &ego_head_vslnet && options->head->kind != &ego_head_vslnet_small)
        return ego_fail(EGO_EINPUT,
                        "%s: expected a head of kind nlq.vslnet or nlq.vslnet_small, found %s",
                        options->head->path, options->head->kind->name);
    bind(options, &binding);
    ego_err err = ego_buf_err(&binding);
    if (err == EGO_OK) err = label_all(&t);
    if (err == EGO_OK) err = run(&t, &binding);
    ego_buf_release(&binding);
    free(t.kept);
    free(t.labels);
    return err;
}
