/* ego-mcq: which of several clips does a narration belong to? */
#include "engine.h"
#include "questions.h"

#include "format/egomcq.h"
#include "task/mcq.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODE_DUAL, MODE_FUSED, MODE_ENSEMBLE, MODES };
static const char *const mode_names[MODES] = {"dual", "fused", "ensemble"};
static int mode = MODE_ENSEMBLE, order = EGO_FRAMES_FILMED;

static const ego_option options[] = {
    {.name = "mode", .type = EGO_OPTION_CHOICE, .arg = "dual|fused|ensemble", .value = &mode, .help = "which scores to compute (ensemble: all three)"},
    {.name = "frame-order", .type = EGO_OPTION_CHOICE, .arg = "filmed|shuffled|reversed", .value = &order, .help = "show the encoder each clip's frames in another order (--seed)"},
    {0}};

static const ego_cli_tool tool = {
    .name = "ego-mcq",
    .usage = "[OPTIONS] [EGOMCQ.json | RECORDS.jsonl]...",
    .summary = "Chooses the clip that a narration belongs to; counts how often that is right.",
    .example = "ego-mcq --frames 16 --sampling reference --video-root v egomcq.json > a.jsonl",
    .options = options,
    .uses = EGO_CLI_USES_MODEL | EGO_CLI_USES_VIDEO | EGO_CLI_USES_WORK | EGO_CLI_USES_SHARD |
            EGO_CLI_USES_SEED | EGO_CLI_USES_CONFIG | EGO_CLI_USES_PLAN | EGO_CLI_USES_PROVENANCE};

/* ---- questions ------------------------------------------------------------------------------- */

typedef struct question {
    ego_question base; /* first: questions.h */
    ego_mcq_item item;
    ego_video_part choices[EGO_MCQ_MAX_CHOICES];
    int type;      /* EGO_MCQ_INTER, EGO_MCQ_INTRA, 0: not told */
    int64_t truth; /* -1: not told */
} question;

enum { BATCH = 16 };

typedef struct run {
    ego_cli *cli;
    ego_engine engine;
    ego_mcq_session *session;
    ego_questions questions;
    ego_mcq all; /* of the benchmark's file in hand */
    ego_mcq_item items[BATCH];
    uint64_t choices;                   /* --dry-run */
    uint64_t asked[3], right[3][MODES]; /* by type */
} run;

static ego_err load(void *context, const char *path, ego_arena *arena, size_t *count) {
    run *r = context;
    EGO_TRY(ego_mcq_read(path, arena, &r->all));
    *count = r->all.count;
    return EGO_OK;
}

static bool mine(void *context, size_t i) {
    const run *r = context;
    const ego_mcq_question *q = &r->all.questions[i];
    return ego_cli_name_in_shard(r->cli, q->query.video ? q->query.video : q->id);
}

static ego_err from_benchmark(void *context, const char *path, size_t i, ego_question *base) {
    const run *r = context;
    const ego_mcq_question *in = &r->all.questions[i];
    question *q = (question *)base;
    q->type = in->type;
    q->truth = (int64_t)in->answer;
    snprintf(base->label, sizeof base->label, "%s: question %s", path, in->id);
    ego_buf_json_string(&base->id, in->id, strlen(in->id));
    return ego_mcq_item_of(in, q->choices, &q->item);
}

static ego_err read_choice(const ego_json *j, size_t k, ego_video_part *c) {
    *c = (ego_video_part){.start = NAN, .end = NAN};
    if (!ego_json_string(ego_json_get(j, "video"), &c->video))
        return ego_fail(EGO_EINPUT, "choice %zu: expected an object with a video, found %s", k,
                        ego_json_kind(j));
    bool start = ego_json_number(ego_json_get(j, "start"), &c->start);
    bool end = ego_json_number(ego_json_get(j, "end"), &c->end);
    if (start != end || (start && !(c->end > c->start)))
        return ego_fail(EGO_EINPUT, "choice %zu: expected start before end, or neither", k);
    return EGO_OK;
}

/* {"text":…,"choices":[{"video":…,"start":…,"end":…},…],"answer":3,"type":"intra"} */
static ego_err from_record(void *context, ego_question *base) {
    (void)context;
    question *q = (question *)base;
    const ego_record *r = &base->record;
    q->truth = -1;
    const ego_json *choices = ego_json_get(r->json, "choices"), *type = ego_json_get(r->json, "type");
    size_t n = ego_json_count(choices);
    if (!r->text) return ego_fail(EGO_EINPUT, "expected a text, found none");
    if (!ego_json_is_array(choices) || n < 2 || n > EGO_MCQ_MAX_CHOICES)
        return ego_fail(EGO_EINPUT, "choices: expected an array of 2 to %d, found %s of %zu",
                        EGO_MCQ_MAX_CHOICES, ego_json_kind(choices), n);
    size_t k = 0;
    for (const ego_json *c = ego_json_first(choices); c; c = ego_json_next(c), k++)
        EGO_TRY(read_choice(c, k, &q->choices[k]));
    const char *word = "";
    if (type && (!ego_json_string(type, &word) || (strcmp(word, "inter") && strcmp(word, "intra"))))
        return ego_fail(EGO_EINPUT, "type: expected inter or intra, found %s", ego_json_kind(type));
    q->type = !type ? 0 : strcmp(word, "inter") == 0 ? EGO_MCQ_INTER : EGO_MCQ_INTRA;
    const ego_json *answer = ego_json_get(r->json, "answer");
    if (answer && (!ego_json_integer(answer, &q->truth) || q->truth < 0 || q->truth >= (int64_t)n))
        return ego_fail(EGO_EINPUT, "answer: expected a choice from 0 to %zu", n - 1);
    q->item = (ego_mcq_item){.text = r->text, .choices = q->choices, .count = n};
    return EGO_OK;
}

/* ---- answers ------------------------------------------------------------------------------------------------- */

static bool computed(int m) { return mode == MODE_ENSEMBLE || m == mode; }

static const float *scores_of(const ego_mcq_item *item, int m) {
    return m == MODE_DUAL ? item->dual : m == MODE_FUSED ? item->fused : item->ensemble;
}

static void tally(run *r, const question *q) {
    const ego_mcq_item *item = &q->item;
    if (q->truth < 0) return;
    r->asked[q->type]++;
    for (int m = 0; m < MODES; m++)
        if (computed(m) && ego_mcq_best(scores_of(item, m), item->count) == (size_t)q->truth)
            r->right[q->type][m]++;
}

static ego_err add_answer(void *context, const ego_question *base, ego_buf *line) {
    static const char *const types[] = {NULL, "inter", "intra"};
    const question *q = (const question *)base;
    const ego_mcq_item *item = &q->item;
    tally(context, q);
    if (q->type) {
        ego_buf_json_key(line, "type");
        ego_buf_printf(line, "\"%s\"", types[q->type]);
    }
    if (q->truth >= 0) {
        ego_buf_json_key(line, "truth");
        ego_buf_printf(line, "%lld", (long long)q->truth);
    }
    ego_buf_json_key(line, "predicted");
    ego_buf_char(line, '{');
    for (int m = 0; m < MODES; m++) {
        if (!computed(m)) continue;
        ego_buf_json_key(line, mode_names[m]);
        ego_buf_printf(line, "%zu", ego_mcq_best(scores_of(item, m), item->count));
    }
    ego_buf_char(line, '}');
    for (int m = 0; m < MODES; m++) {
        if (!computed(m)) continue;
        ego_buf_json_key(line, mode_names[m]);
        ego_buf_char(line, '[');
        for (size_t k = 0; k < item->count; k++) {
            if (k) ego_buf_char(line, ',');
            ego_buf_json_float(line, scores_of(item, m)[k]);
        }
        ego_buf_char(line, ']');
    }
    return EGO_OK;
}

static ego_err ask(void *context, ego_question *const *questions, size_t n) {
    run *r = context;
    for (size_t i = 0; i < n; i++) r->items[i] = ((const question *)questions[i])->item;
    ego_err err = ego_mcq_answer(r->session, r->items, n);
    for (size_t i = 0; i < n; i++) {
        ((question *)questions[i])->item = r->items[i];
        if (r->items[i].err != EGO_OK)
            ego_question_fail(questions[i], r->items[i].err, r->items[i].message);
    }
    return err;
}

static void count(void *context, size_t i, const ego_record *record) {
    run *r = context;
    r->choices += record ? ego_json_count(ego_json_get(record->json, "choices"))
                         : r->all.questions[i].count;
}

static const char *const reads[] = {"choices", "answer", "type", NULL};
static const char *const writes[] = {"truth", "predicted", "dual", "fused", "ensemble", NULL};
static const ego_questions_tool questions_tool = {.bytes = sizeof(question),
                                                  .batch = BATCH,
                                                  .rules = {reads, writes},
                                                  .carried = EGO_RECORD_ALL & ~EGO_RECORD_TEXT,
                                                  .load = load,
                                                  .mine = mine,
                                                  .from_benchmark = from_benchmark,
                                                  .from_record = from_record,
                                                  .ask = ask,
                                                  .answer = add_answer,
                                                  .count = count};

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static void report(run *r) {
    static const char *const names[] = {"all", "inter", "intra"};
    for (int t = 2; t >= 0; t--)
        for (int m = 0; r->asked[t] && m < MODES; m++)
            if (computed(m))
                ego_cli_note(r->cli, "%s %-8s %5.1f %%  (%llu of %llu)", names[t], mode_names[m],
                             100.0 * (double)r->right[t][m] / (double)r->asked[t],
                             (unsigned long long)r->right[t][m], (unsigned long long)r->asked[t]);
    ego_halves_counts c = ego_mcq_get_counts(r->session);
    ego_cli_verbose(r->cli, "%llu clips and %llu narrations computed", (unsigned long long)c.clips,
                    (unsigned long long)c.texts);
    if (c.reading.dropped || c.reading.repeated || c.reading.black)
        ego_cli_note(r->cli,
                     "reference sampling: %lld frames could not be read, %lld were repeated in their "
                     "place, %lld clips are black",
                     (long long)c.reading.dropped, (long long)c.reading.repeated,
                     (long long)c.reading.black);
}

static ego_mcq_options session_options(const ego_cli *cli, const ego_model *m) {
    return (ego_mcq_options){
        .scores = mode == MODE_DUAL    ? EGO_MCQ_DUAL
                  : mode == MODE_FUSED ? EGO_MCQ_FUSED
                                       : EGO_MCQ_DUAL | EGO_MCQ_FUSED | EGO_MCQ_ENSEMBLE,
        .halves = {.order = (ego_frame_order)order,
                   .seed = (uint64_t)cli->seed,
                   .clips = {.video_root = cli->video_root,
                             .sampling = (ego_sampling)cli->sampling,
                             .preparation = EGO_PREPARE_STANDARD,
                             .frames = m ? (int)m->config.frames : 0,
                             .size = m ? (int)m->config.image_size : 0}}};
}

static ego_err answer_all(run *r) {
    ego_mcq_options o = session_options(r->cli, r->engine.model);
    EGO_TRY(ego_mcq_open(&r->engine.cx, r->engine.model, &o, &r->session));
    r->questions.model_id = r->engine.model_id;
    return ego_questions_answer(&r->questions);
}

/* --dry-run: counts the questions instead of answering them. */
static ego_err plan(run *r) {
    uint64_t questions, unreadable;
    EGO_TRY(ego_questions_count(&r->questions, &questions, &unreadable));
    printf("{\"questions\":%" PRIu64 ",\"choices\":%" PRIu64 ",\"unreadable\":%" PRIu64 "}\n",
           questions, r->choices, unreadable);
    return EGO_OK;
}

static void work(run *r) {
    ego_mcq_options o = session_options(r->cli, NULL);
    ego_err err = ego_questions_open(&r->questions, r->cli, &questions_tool, r);
    if (err == EGO_OK && r->cli->dry_run)
        err = plan(r);
    else if (err == EGO_OK && ego_engine_open(&r->engine, r->cli, ego_mcq_needs(&o)))
        err = answer_all(r);
    if (err != EGO_OK) ego_cli_fatal(r->cli, err);
    if (r->session) report(r);
    ego_questions_close(&r->questions);
    ego_mcq_close(r->session);
    ego_engine_close(&r->engine);
}

int main(int argc, char **argv) {
    ego_cli cli;
    if (!ego_cli_begin(&cli, &tool, argc, argv)) return ego_cli_end(&cli);
    run *r = calloc(1, sizeof *r);
    if (cli.n_media)
        ego_cli_usage(&cli, "%s: expected EgoMCQ's .json, records in .jsonl, or -", cli.media[0]);
    else if (!r)
        ego_cli_fatal(&cli, ego_fail(EGO_ENOMEM, "out of memory"));
    else
        r->cli = &cli, work(r);
    free(r);
    return ego_cli_end(&cli);
}
