/* ego-qa: questions about clips, answered by a head or by choice among given answers. */
#include "engine.h"
#include "questions.h"

#include "format/taskqa.h"
#include "task/qa.h"
#include "task/qa_head.h"
#include "task/qa_moments.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *head_path, *answers_path;
static ego_option_list asked;
static int64_t top = 5;
static double fps = 30;
static bool zero_shot;

static const ego_option options[] = {
    {.name = "head", .type = EGO_OPTION_FILE, .arg = "FILE", .value = &head_path, .help = "answer head (the model's own, where its file has one)"},
    {.name = "answers", .type = EGO_OPTION_FILE, .arg = "FILE", .value = &answers_path, .help = "one answer a line: the head's classes, or those to choose from"},
    {.name = "zero-shot", .type = EGO_OPTION_FLAG, .value = &zero_shot, .help = "choose among given answers though there is a head"},
    {.name = "question", .type = EGO_OPTION_LIST, .arg = "STR", .value = &asked, .help = "ask this of every MEDIA"},
    {.name = "top", .letter = 'k', .type = EGO_OPTION_INT, .arg = "N", .value = &top, .min = 1, .max = 1e9, .help = "answers shown of each question (5)"},
    {.name = "interval-fps", .type = EGO_OPTION_NUMBER, .arg = "N", .value = &fps, .min = 0.01, .max = 1000, .help = "frames a second that intervals count in (30)"},
    {0}};

static const ego_cli_tool tool = {
    .name = "ego-qa",
    .usage = "[OPTIONS] [QUESTIONS.json | RECORDS.jsonl]...\n"
             "[OPTIONS] --question STR [--question STR]... MEDIA...",
    .summary = "Answers questions about clips: with a head, or by choice among --answers.",
    .example =
        "ego-qa --head qa.safetensors formatted_test_qas_encode.json > a.jsonl\n"
        "ego-qa --answers colours.txt --question 'What colour is the cup?' kitchen.mp4",
    .options = options,
    .uses = EGO_CLI_USES_MODEL | EGO_CLI_USES_VIDEO | EGO_CLI_USES_WORK | EGO_CLI_USES_SHARD |
            EGO_CLI_USES_SEED | EGO_CLI_USES_CONFIG | EGO_CLI_USES_PLAN | EGO_CLI_USES_PROVENANCE};

/* ---- questions ------------------------------------------------------------------------------- */

/* Texts are the batch's, the record's or the benchmark's file's. */
typedef struct question {
    ego_question base; /* first: questions.h */
    ego_video_part clip;
    const char *interval, *text; /* NULL: none */
    /* To choose from, `count` of them; with a head its classes' names, or NULL. */
    const char *const *answers;
    const char *const *statements;
    size_t count;
    const char *truth;   /* NULL: not told */
    int64_t truth_class; /* -1: not told */
    const ego_qa_question *source;
    float *scores; /* (count) */
} question;

enum { BATCH = 64 };

typedef struct run {
    ego_cli *cli;
    ego_engine engine;
    ego_head *head; /* NULL: zero-shot */
    ego_qa_session *session;
    ego_questions questions;
    ego_qa all;        /* of the benchmark's file in hand */
    ego_names answers; /* the head's classes, or what to choose from; count 0: not told */
    ego_arena names;
    uint64_t told, right;
} run;

static void *room(run *r, size_t bytes) {
    return ego_arena_alloc(&r->questions.batch, bytes ? bytes : 1);
}

static const char *keep_text(run *r, ego_buf *buf) {
    if (ego_buf_err(buf) != EGO_OK) return NULL;
    return ego_arena_strdup(&r->questions.batch, buf->data ? buf->data : "");
}

/* An array of texts of the record; absent: count 0. */
static ego_err read_texts(run *r, const ego_json *array, const char *name,
                          const char *const **texts, size_t *count) {
    size_t n = ego_json_count(array), i = 0;
    *count = 0;
    if (!array) return EGO_OK;
    if (!ego_json_is_array(array) || n < 1 || n > EGO_QA_MAX_ANSWERS)
        return ego_fail(EGO_EINPUT, "%s: expected an array of 1 to %d texts, found %s of %zu", name,
                        EGO_QA_MAX_ANSWERS, ego_json_kind(array), n);
    const char **list = room(r, n * sizeof *list);
    if (!list) return ego_fail(EGO_ENOMEM, "out of memory");
    for (const ego_json *a = ego_json_first(array); a; a = ego_json_next(a), i++)
        if (!ego_json_string(a, &list[i]))
            return ego_fail(EGO_EINPUT, "%s: expected texts, found %s", name, ego_json_kind(a));
    *texts = list;
    *count = n;
    return EGO_OK;
}

/* Which answers the question can have: the head's, the record's own, or those of --answers. */
static ego_err settle_answers(run *r, const ego_json *own, question *q) {
    size_t statements = 0;
    if (r->head) {
        if (ego_json_get(own, "answers") || ego_json_get(own, "statements"))
            return ego_fail(EGO_EINPUT,
                            "answers: the head has its own: expected --zero-shot to choose "
                            "among the record's");
        q->answers = r->answers.count ? r->answers.names : NULL;
        q->count = (size_t)ego_qa_head_classes(r->head);
        return EGO_OK;
    }
    EGO_TRY(read_texts(r, ego_json_get(own, "answers"), "answers", &q->answers, &q->count));
    EGO_TRY(
        read_texts(r, ego_json_get(own, "statements"), "statements", &q->statements, &statements));
    if (!q->count) q->answers = r->answers.names, q->count = r->answers.count;
    if (!q->count)
        return ego_fail(
            EGO_EINPUT,
            "answers: expected --head FILE, --answers FILE or the record's own, found none");
    if (statements && statements != q->count)
        return ego_fail(EGO_EINPUT, "statements: expected one an answer, %zu, found %zu", q->count,
                        statements);
    return EGO_OK;
}

static ego_err read_clip(run *r, question *q) {
    const ego_record *rec = &q->base.record;
    if (rec->frames) return ego_fail(EGO_EINPUT, "frames: expected a video here");
    if (rec->video) {
        bool part = rec->has & EGO_RECORD_START;
        q->clip = (ego_video_part){rec->video, part ? rec->start : NAN, part ? rec->end : NAN};
        return EGO_OK;
    }
    if (!q->interval) return ego_fail(EGO_EINPUT, "expected a video or an interval, found neither");
    return ego_qa_find_interval(r->cli->video_root, q->interval, fps, &r->questions.batch,
                                &q->clip);
}

/* {"video":…,"start":…,"end":…,"question":…,"answers":[…],"statements":[…],"answer":…} */
static ego_err from_record(void *context, ego_question *base) {
    run *r = context;
    question *q = (question *)base;
    const ego_json *own = base->record.json;
    q->truth_class = -1;
    if (!ego_json_string(ego_json_get(own, "question"), &q->text))
        return ego_fail(EGO_EINPUT, "expected a question, found %s",
                        ego_json_kind(ego_json_get(own, "question")));
    ego_json_string(ego_json_get(own, "interval"), &q->interval);
    ego_json_integer(ego_json_get(own, "answer_encode"), &q->truth_class);
    const ego_json *answer = ego_json_get(own, "answer");
    if (answer && !ego_json_string(answer, &q->truth))
        return ego_fail(EGO_EINPUT, "answer: expected a text, found %s", ego_json_kind(answer));
    EGO_TRY(settle_answers(r, own, q));
    return read_clip(r, q);
}

static ego_err from_media(run *r, const char *path, const char *text, ego_question *base) {
    question *q = (question *)base;
    q->truth_class = -1;
    q->text = text;
    q->clip = (ego_video_part){path, NAN, NAN};
    EGO_TRY(ego_record_whole(path, &base->record));
    snprintf(base->label, sizeof base->label, "%s", path);
    ego_buf_text(&base->id, base->record.id);
    return settle_answers(r, NULL, q);
}

static ego_err load(void *context, const char *path, ego_arena *arena, size_t *count) {
    run *r = context;
    EGO_TRY(ego_qa_read(path, arena, &r->all));
    *count = r->all.count;
    return EGO_OK;
}

static bool mine(void *context, size_t i) {
    const run *r = context;
    const char *interval = r->all.questions[i].interval;
    char video[256];
    snprintf(video, sizeof video, "%.*s", (int)strcspn(interval, "|"), interval);
    return ego_cli_name_in_shard(r->cli, video);
}

static ego_err from_benchmark(void *context, const char *path, size_t i, ego_question *base) {
    run *r = context;
    const ego_qa_question *in = &r->all.questions[i];
    question *q = (question *)base;
    q->text = in->question;
    q->interval = in->interval;
    q->truth = in->answer;
    q->truth_class = in->answer_class;
    q->source = in;
    snprintf(base->label, sizeof base->label, "%s: question %zu", path, i);
    ego_buf_printf(&base->id, "%zu", i);
    EGO_TRY(settle_answers(r, NULL, q));
    return read_clip(r, q);
}

/* ---- scores ---------------------------------------------------------------------------------- */

/* What the encoder is asked: the question, or a statement an answer. */
static ego_err form_texts(run *r, const question *q, ego_qa_item *item) {
    ego_buf text = {0};
    item->count = r->head ? 1 : q->count;
    const char **texts = room(r, item->count * sizeof *texts);
    bool whole = texts != NULL;
    for (size_t k = 0; whole && k < item->count; k++) {
        ego_buf_clear(&text);
        if (r->head)
            ego_qa_question_text(q->text, &text);
        else if (q->statements)
            ego_buf_text(&text, q->statements[k]);
        else
            ego_qa_statement(q->text, q->answers[k], &text);
        texts[k] = keep_text(r, &text);
        whole = texts[k] != NULL;
    }
    ego_buf_release(&text);
    item->texts = texts;
    return whole ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for a question's texts");
}

static ego_err prepare_item(run *r, question *q, ego_qa_item *item) {
    const ego_config *c = &r->engine.model->config;
    int64_t windows = r->head ? ego_qa_head_windows(r->head) : 0;
    size_t state = (size_t)(windows ? windows * c->projection[c->projections - 1] : c->dim);
    *item = (ego_qa_item){.clip = q->clip};
    q->scores = room(r, q->count * sizeof *q->scores);
    if (r->head)
        item->states = room(r, state * sizeof(float));
    else
        item->matches = q->scores;
    if (!q->scores || (r->head && !item->states)) return ego_fail(EGO_ENOMEM, "out of memory");
    return form_texts(r, q, item);
}

/* ---- answers out ----------------------------------------------------------------------------- */

static void add_name(const question *q, size_t k, ego_buf *line) {
    if (q->answers)
        ego_buf_json_string(line, q->answers[k], strlen(q->answers[k]));
    else
        ego_buf_printf(line, "\"%zu\"", k);
}

static ego_err add_answers(run *r, const question *q, ego_buf *line) {
    size_t shown = (size_t)top < q->count ? (size_t)top : q->count;
    size_t *order = room(r, shown * sizeof *order);
    if (!order) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_qa_best(q->scores, q->count, shown, order);
    ego_buf_json_key(line, "answer");
    add_name(q, order[0], line);
    if (r->head) {
        ego_buf_json_key(line, "answer_class");
        ego_buf_printf(line, "%zu", order[0]);
    }
    ego_buf_json_key(line, "answers");
    ego_buf_char(line, '[');
    for (size_t i = 0; i < shown; i++) {
        ego_buf_text(line, i ? ",{\"answer\":" : "{\"answer\":");
        add_name(q, order[i], line);
        ego_buf_json_key(line, "score");
        ego_buf_json_float(line, q->scores[order[i]]);
        ego_buf_char(line, '}');
    }
    ego_buf_char(line, ']');
    bool by_class = r->head && q->truth_class >= 0;
    if (by_class || (q->truth && q->answers)) {
        r->told++;
        r->right += by_class ? order[0] == (size_t)q->truth_class
                             : strcmp(q->truth, q->answers[order[0]]) == 0;
    }
    return EGO_OK;
}

static void add_text(const char *key, const char *text, ego_buf *line) {
    if (!text) return;
    ego_buf_json_key(line, key);
    ego_buf_json_string(line, text, strlen(text));
}

/* What is known of the question goes along, so that ego-score needs no second file to say by
 * type. */
static void add_truth(const question *q, ego_buf *line) {
    add_text("truth", q->truth, line);
    if (q->truth_class >= 0) {
        ego_buf_json_key(line, "truth_class");
        ego_buf_printf(line, "%" PRId64, q->truth_class);
    }
    add_text("interval", q->interval, line);
    add_text("question", q->text, line);
    if (!q->source || !q->source->reasoning_count) return;
    ego_buf_json_key(line, "types");
    for (size_t i = 0; i < q->source->reasoning_count; i++) {
        ego_buf_char(line, i ? ',' : '[');
        ego_buf_json_string(line, q->source->reasoning[i], strlen(q->source->reasoning[i]));
    }
    ego_buf_char(line, ']');
}

static ego_err answer(void *context, const ego_question *base, ego_buf *line) {
    const question *q = (const question *)base;
    EGO_TRY(add_answers(context, q, line));
    add_truth(q, line);
    return EGO_OK;
}

static ego_err ask(void *context, ego_question *const *questions, size_t n) {
    run *r = context;
    ego_qa_item *items = room(r, n * sizeof *items);
    if (!items) return ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) EGO_TRY(prepare_item(r, (question *)questions[i], &items[i]));
    EGO_TRY(r->head && ego_qa_head_windows(r->head) ? ego_qa_look(r->session, items, n)
                                                    : ego_qa_ask(r->session, items, n));
    for (size_t i = 0; i < n; i++) {
        question *q = (question *)questions[i];
        if (items[i].err == EGO_OK && r->head) {
            items[i].err = ego_qa_answer(r->session, r->head, &items[i], q->scores);
            if (items[i].err != EGO_OK && items[i].err != EGO_EINPUT) return items[i].err;
            snprintf(items[i].message, sizeof items[i].message, "%s", items[i].err ? ego_err_message() : "");
        }
        if (items[i].err != EGO_OK) ego_question_fail(questions[i], items[i].err, items[i].message);
    }
    return EGO_OK;
}

static const char *const reads[] = {"question", "interval",      "answers", "statements",
                                    "answer",   "answer_encode", NULL};
static const char *const writes[] = {"truth", "truth_class", "answer_class", NULL};
static const ego_questions_tool questions_tool = {.bytes = sizeof(question),
                                                  .batch = BATCH,
                                                  .rules = {reads, writes},
                                                  .carried = EGO_RECORD_ALL,
                                                  .load = load,
                                                  .mine = mine,
                                                  .from_benchmark = from_benchmark,
                                                  .from_record = from_record,
                                                  .ask = ask,
                                                  .answer = answer};

static ego_err answer_media(run *r) {
    ego_questions *all = &r->questions;
    for (size_t i = 0; i < r->cli->n_media; i++)
        for (size_t k = 0; k < asked.n && !ego_cli_stopped(r->cli); k++) {
            const char *path = r->cli->media[i];
            if (!ego_cli_name_in_shard(r->cli, path)) continue;
            EGO_TRY(ego_questions_add(
                all, from_media(r, path, asked.items[k], ego_questions_room(all))));
        }
    return ego_questions_flush(all);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void report(run *r) {
    ego_qa_counts c = ego_qa_get_counts(r->session);
    if (r->told)
        ego_cli_note(r->cli, "%.1f %% right  (%" PRIu64 " of %" PRIu64 ")",
                     100.0 * (double)r->right / (double)r->told, r->right, r->told);
    ego_cli_verbose(r->cli, "%" PRIu64 " clips and %" PRIu64 " texts computed, %" PRIu64 " pairs",
                    c.halves.clips, c.halves.texts, c.pairs);
}

static ego_qa_options session_options(const run *r) {
    const ego_cli *cli = r->cli;
    const ego_config *c = &r->engine.model->config;
    bool drawn = cli->sampling != EGO_SAMPLING_TIME;
    return (ego_qa_options){
        .match = !r->head,
        .windows = r->head ? ego_qa_head_windows(r->head) : 0,
        .halves = {.max_tokens = r->head ? EGO_QA_TOKENS : 0,
                   .seed = (uint64_t)cli->seed,
                   .clips = {.video_root = cli->video_root,
                             .sampling = drawn ? EGO_SAMPLING_TASKQA : EGO_SAMPLING_TIME,
                             .preparation = EGO_PREPARE_STANDARD,
                             .frames = (int)c->frames,
                             .size = (int)c->image_size}}};
}

/* The head that answers: --head, else the one that stands in the model's own file. */
static ego_err open_head(run *r) {
    const ego_model *m = r->engine.model;
    bool inside = !head_path && !zero_shot && m->weights && ego_qa_head_inside(m->weights);
    const char *path = inside ? m->path : head_path;
    ego_buf warning = {0};
    if (!path) return answers_path ? ego_names_read(answers_path, &r->names, &r->answers) : EGO_OK;
    EGO_TRY(ego_qa_head_open(path, &r->head));
    if (ego_qa_head_windows(r->head))
        EGO_TRY(ego_qa_moments_fits(r->head, m));
    else if (r->head->config.qa.width != m->config.dim)
        return ego_fail(EGO_EINPUT,
                        "%s: expected a head for states of the model's width %" PRId64
                        ", found %" PRId64,
                        path, m->config.dim, r->head->config.qa.width);
    if (!inside && ego_head_foreign(r->head, r->engine.model_id, &warning))
        ego_cli_note(r->cli, "%s", warning.data ? warning.data : "");
    ego_buf_release(&warning);
    EGO_TRY(ego_qa_head_answers(r->head, answers_path, &r->names, &r->answers));
    if (!r->answers.count)
        ego_cli_note(r->cli,
                     "%s: names no answers, so they are numbers (--answers FILE names them)", path);
    return EGO_OK;
}

static ego_err answer_all(run *r) {
    ego_cli *cli = r->cli;
    EGO_TRY(open_head(r));
    ego_qa_options o = session_options(r);
    EGO_TRY(ego_qa_open(&r->engine.cx, r->engine.model, &o, &r->session));
    if (o.halves.clips.sampling == EGO_SAMPLING_TASKQA)
        ego_cli_note(cli,
                     "frames are drawn from seed %" PRId64 ", as the published reader draws them",
                     cli->seed);
    r->questions.model_id = r->engine.model_id;
    return cli->n_media ? answer_media(r) : ego_questions_answer(&r->questions);
}

/* --dry-run: counts the questions instead of answering them. */
static ego_err plan(run *r) {
    uint64_t questions, unreadable;
    EGO_TRY(ego_questions_count(&r->questions, &questions, &unreadable));
    questions += r->cli->n_media * asked.n;
    printf("{\"questions\":%" PRIu64 ",\"unreadable\":%" PRIu64 "}\n", questions, unreadable);
    return EGO_OK;
}

static bool usage_is_good(ego_cli *cli) {
    if (cli->n_media && !asked.n)
        return ego_cli_usage(
            cli, "%s: expected --question STR with MEDIA; or questions in .json, .jsonl or -",
            cli->media[0]);
    if (asked.n && !cli->n_media)
        return ego_cli_usage(cli, "--question: expected MEDIA to ask it of");
    if (cli->n_media && cli->n_files)
        return ego_cli_usage(cli, "%s: expected either questions or MEDIA, found both",
                             cli->files[0]);
    if (head_path && zero_shot)
        return ego_cli_usage(cli, "expected either --head or --zero-shot, found both");
    return true;
}

static void work(run *r) {
    ego_arena_init(&r->names, 1 << 14);
    ego_err err = ego_questions_open(&r->questions, r->cli, &questions_tool, r);
    if (err == EGO_OK && r->cli->dry_run)
        err = plan(r);
    else if (err == EGO_OK && ego_engine_open(&r->engine, r->cli, 0))
        err = answer_all(r);
    if (err != EGO_OK) ego_cli_fatal(r->cli, err);
    if (r->session) report(r);
    ego_questions_close(&r->questions);
    ego_qa_close(r->session);
    ego_head_close(r->head, r->engine.backend);
    ego_arena_release(&r->names);
    ego_engine_close(&r->engine);
}

int main(int argc, char **argv) {
    ego_cli cli;
    if (!ego_cli_begin(&cli, &tool, argc, argv)) return ego_cli_end(&cli);
    run *r = calloc(1, sizeof *r);
    if (!r)
        ego_cli_fatal(&cli, ego_fail(EGO_ENOMEM, "out of memory"));
    else if (usage_is_good(&cli))
        r->cli = &cli, work(r);
    free(r);
    ego_option_list_release(&asked);
    return ego_cli_end(&cli);
}
