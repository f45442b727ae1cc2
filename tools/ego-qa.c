/* ego-qa: questions about clips, answered by a head or by choice among given answers. */
#include "engine.h"

#include "base/file.h"
#include "format/taskqa.h"
#include "task/qa.h"
#include "task/qa_head.h"

#include <inttypes.h>
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

/* A question with what must live while it is being answered. Texts are the run's arena's, the
 * record's or the benchmark's file's. */
typedef struct question {
    ego_record record; /* of a JSON line or MEDIA; {0} for EgoTaskQA's own file */
    ego_buf id;        /* JSON text */
    char label[256];
    ego_qa_clip clip;
    const char *interval, *text; /* NULL: none */
    /* To choose from, `count` of them; with a head its classes' names, or NULL. */
    const char *const *answers;
    const char *const *statements;
    size_t count;
    const char *truth;   /* NULL: not told */
    int64_t truth_class; /* -1: not told */
    const ego_qa_question *source;
    float *scores; /* (count) */
    ego_err err;
    char message[512];
} question;

enum { BATCH = 64 };

typedef struct run {
    ego_cli *cli;
    ego_engine engine;
    ego_head *head; /* NULL: zero-shot */
    ego_qa_session *session;
    ego_names answers; /* the head's classes, or what to choose from; count 0: not told */
    ego_arena names, texts;
    question questions[BATCH];
    size_t n;
    uint64_t done, total, told, right;
} run;

static void *room(run *r, size_t bytes) { return ego_arena_alloc(&r->texts, bytes ? bytes : 1); }

static const char *keep_text(run *r, ego_buf *buf) {
    return ego_buf_err(buf) == EGO_OK ? ego_arena_strdup(&r->texts, buf->data ? buf->data : "")
                                      : NULL;
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
        q->count = (size_t)r->head->config.qa.answers;
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
    const ego_record *rec = &q->record;
    if (rec->frames) return ego_fail(EGO_EINPUT, "frames: expected a video here");
    if (rec->video) {
        bool part = rec->has & EGO_RECORD_START;
        q->clip = (ego_qa_clip){rec->video, !part, rec->start, rec->end};
        return EGO_OK;
    }
    if (!q->interval) return ego_fail(EGO_EINPUT, "expected a video or an interval, found neither");
    return ego_qa_find_interval(r->cli->video_root, q->interval, fps, &r->texts, &q->clip);
}

/* {"video":…,"start":…,"end":…,"question":…,"answers":[…],"statements":[…],"answer":…} */
static ego_err from_record(run *r, ego_record *record, question *q) {
    *q = (question){.record = *record, .truth_class = -1};
    *record = (ego_record){0};
    const ego_json *own = q->record.json;
    snprintf(q->label, sizeof q->label, "%s", q->record.label ? q->record.label : "");
    ego_buf_text(&q->id, q->record.id);
    if (!ego_json_string(ego_json_get(own, "question"), &q->text))
        return ego_fail(EGO_EINPUT, "expected a question, found %s",
                        ego_json_kind(ego_json_get(own, "question")));
    ego_json_string(ego_json_get(own, "interval"), &q->interval);
    ego_json_integer(ego_json_get(own, "answer_encode"), &q->truth_class);
    const ego_json *answer = ego_json_get(own, "answer");
    if (answer && !ego_json_string(answer, &q->truth))
        return ego_fail(EGO_EINPUT, "answer: expected a text, found %s", ego_json_kind(answer));
    EGO_TRY(settle_answers(r, own, q));
    EGO_TRY(read_clip(r, q));
    return ego_buf_err(&q->id);
}

static ego_err from_media(run *r, const char *path, const char *text, question *q) {
    *q = (question){.truth_class = -1, .text = text, .clip = {.video = path, .whole = true}};
    EGO_TRY(ego_record_whole(path, &q->record));
    snprintf(q->label, sizeof q->label, "%s", path);
    ego_buf_text(&q->id, q->record.id);
    EGO_TRY(settle_answers(r, NULL, q));
    return ego_buf_err(&q->id);
}

static ego_err from_benchmark(run *r, const ego_qa_question *in, const char *file, size_t number,
                              question *q) {
    *q = (question){.text = in->question,
                    .interval = in->interval,
                    .truth = in->answer,
                    .truth_class = in->answer_class,
                    .source = in};
    snprintf(q->label, sizeof q->label, "%s: question %zu", file, number);
    ego_buf_printf(&q->id, "%zu", number);
    EGO_TRY(settle_answers(r, NULL, q));
    EGO_TRY(ego_qa_find_interval(r->cli->video_root, in->interval, fps, &r->texts, &q->clip));
    return ego_buf_err(&q->id);
}

static void release_question(question *q) {
    ego_record_release(&q->record);
    ego_buf_release(&q->id);
    *q = (question){0};
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
    size_t D = (size_t)r->engine.model->config.dim;
    *item = (ego_qa_item){.clip = q->clip};
    q->scores = room(r, q->count * sizeof *q->scores);
    if (r->head)
        item->states = room(r, D * sizeof(float));
    else
        item->matches = q->scores;
    if (!q->scores || (r->head && !item->states)) return ego_fail(EGO_ENOMEM, "out of memory");
    return form_texts(r, q, item);
}

/* Probabilities of the head's classes, for one question. */
static ego_err ask_head(run *r, question *q, const ego_qa_item *item) {
    ego_ctx *cx = &r->engine.cx;
    int64_t D = r->engine.model->config.dim;
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_tensor x = {item->states, EGO_F32, 2, {1, D}};
    const ego_tensor *p = ego_softmax(cx, ego_qa_logits(cx, r->head, &x, (ego_dropout){0}));
    ego_err err = ego_ctx_err(cx);
    if (err == EGO_OK) memcpy(q->scores, ego_f32(p), q->count * sizeof *q->scores);
    ego_ctx_rewind(cx, &mark);
    return err;
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

static ego_err write_answer(run *r, question *q) {
    ego_buf line = {0};
    ego_err err = EGO_OK;
    ego_buf_text(&line, "{\"id\":");
    ego_buf_text(&line, q->id.data);
    if (q->err == EGO_OK) {
        err = add_answers(r, q, &line);
        add_truth(q, &line);
        ego_cli_add_provenance(r->cli, r->engine.model_id, NULL, &line);
    } else {
        ego_buf_json_key(&line, "error");
        ego_buf_json_string(&line, q->message, strlen(q->message));
        ego_cli_note(r->cli, "%s: %s", q->label, q->message);
        ego_cli_count_failed(r->cli);
    }
    if (q->record.id && q->err == EGO_OK)
        ego_record_close(&q->record, EGO_RECORD_ALL, &line);
    else
        ego_buf_char(&line, '}');
    if (err == EGO_OK) err = ego_buf_err(&line);
    if (err == EGO_OK) err = ego_cli_write_line(r->cli, &line);
    ego_buf_release(&line);
    return err;
}

static void fail_question(question *q, ego_err err, const char *message) {
    q->err = err;
    snprintf(q->message, sizeof q->message, "%s", message);
}

/* Answers what was gathered; questions that were bad from the start keep their place. */
static ego_err answer(run *r) {
    ego_qa_item *items = calloc(BATCH, sizeof *items);
    question *of[BATCH];
    size_t n = 0;
    ego_err err = items ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < r->n && err == EGO_OK; i++) {
        if (r->questions[i].err != EGO_OK) continue;
        of[n] = &r->questions[i];
        err = prepare_item(r, of[n], &items[n]);
        n++;
    }
    if (err == EGO_OK) err = ego_qa_ask(r->session, items, n);
    for (size_t i = 0; i < n && err == EGO_OK; i++) {
        if (items[i].err != EGO_OK)
            fail_question(of[i], items[i].err, items[i].message);
        else if (r->head)
            err = ask_head(r, of[i], &items[i]);
    }
    for (size_t i = 0; i < r->n; i++) {
        if (err == EGO_OK) err = write_answer(r, &r->questions[i]);
        release_question(&r->questions[i]);
    }
    free(items);
    r->done += r->n;
    r->n = 0;
    ego_arena_release(&r->texts);
    ego_arena_init(&r->texts, 1 << 14);
    ego_cli_show_progress(r->cli, "questions", r->done, r->total);
    return err;
}

static ego_err add(run *r, ego_err err) {
    question *q = &r->questions[r->n];
    if (err == EGO_ENOMEM) return err;
    if (err != EGO_OK) fail_question(q, err, ego_err_message());
    return ++r->n == BATCH ? answer(r) : EGO_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool in_shard(const ego_cli *cli, const ego_qa_question *q) {
    char video[256];
    snprintf(video, sizeof video, "%.*s", (int)strcspn(q->interval, "|"), q->interval);
    return ego_cli_name_in_shard(cli, video);
}

static ego_err answer_benchmark(run *r, const char *path) {
    ego_arena arena;
    ego_qa all;
    ego_arena_init(&arena, 1 << 16);
    ego_err err = ego_qa_read(path, &arena, &all);
    for (size_t i = 0; err == EGO_OK && i < all.count; i++) {
        r->total = all.count;
        if (ego_cli_stopped(r->cli)) break;
        if (in_shard(r->cli, &all.questions[i]))
            err = add(r, from_benchmark(r, &all.questions[i], path, i, &r->questions[r->n]));
    }
    if (err == EGO_OK) err = answer(r);
    ego_arena_release(&arena);
    return err;
}

static ego_err answer_media(run *r) {
    for (size_t i = 0; i < r->cli->n_media; i++)
        for (size_t k = 0; k < asked.n; k++) {
            if (ego_cli_stopped(r->cli)) break;
            if (!ego_cli_name_in_shard(r->cli, r->cli->media[i])) continue;
            EGO_TRY(add(r, from_media(r, r->cli->media[i], asked.items[k], &r->questions[r->n])));
        }
    return answer(r);
}

static ego_err next_question(ego_cli *cli, ego_record *record) {
    static const char *const reads[] = {"question", "interval",      "answers", "statements",
                                        "answer",   "answer_encode", NULL};
    static const char *const writes[] = {"truth", "truth_class", "answer_class", NULL};
    static const ego_record_rules rules = {reads, writes};
    return ego_cli_next_record(cli, &rules, record);
}

static ego_err answer_records(run *r) {
    for (;;) {
        if (r->n && ego_cli_input_paused(r->cli)) EGO_TRY(answer(r));
        ego_record record;
        ego_err err = next_question(r->cli, &record);
        if (err == EGO_EEND) break;
        bool own = err == EGO_OK || ((err == EGO_EINPUT || err == EGO_EFORMAT) && record.id);
        if (!own) return err;
        if (err == EGO_OK) {
            EGO_TRY(add(r, from_record(r, &record, &r->questions[r->n])));
            continue;
        }
        question *q = &r->questions[r->n];
        *q = (question){.record = record, .truth_class = -1};
        ego_buf_text(&q->id, record.id);
        snprintf(q->label, sizeof q->label, "%s", record.label ? record.label : "");
        EGO_TRY(add(r, err));
    }
    return answer(r);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void report(run *r) {
    ego_qa_counts c = ego_qa_get_counts(r->session);
    if (r->told)
        ego_cli_note(r->cli, "%.1f %% right  (%" PRIu64 " of %" PRIu64 ")",
                     100.0 * (double)r->right / (double)r->told, r->right, r->told);
    ego_cli_verbose(r->cli, "%" PRIu64 " clips and %" PRIu64 " texts computed, %" PRIu64 " pairs",
                    c.clips, c.texts, c.pairs);
}

static ego_qa_options session_options(const run *r) {
    const ego_cli *cli = r->cli;
    const ego_config *c = &r->engine.model->config;
    bool drawn = cli->sampling != EGO_SAMPLING_TIME;
    return (ego_qa_options){.match = !r->head,
                            .max_tokens = r->head ? EGO_QA_TOKENS : 0,
                            .seed = (uint64_t)cli->seed,
                            .clips = {.video_root = cli->video_root,
                                      .sampling = drawn ? EGO_SAMPLING_TASKQA : EGO_SAMPLING_TIME,
                                      .preparation = EGO_PREPARE_STANDARD,
                                      .frames = (int)c->frames,
                                      .size = (int)c->image_size}};
}

/* The head that answers: --head, else the one that stands in the model's own file. */
static ego_err open_head(run *r) {
    const ego_model *m = r->engine.model;
    bool inside = !head_path && !zero_shot && m->weights && ego_qa_head_inside(m->weights);
    const char *path = inside ? m->path : head_path;
    ego_buf warning = {0};
    if (!path) return answers_path ? ego_names_read(answers_path, &r->names, &r->answers) : EGO_OK;
    EGO_TRY(ego_head_open(path, &ego_head_qa, &r->head));
    if (r->head->config.qa.width != m->config.dim)
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
    if (o.clips.sampling == EGO_SAMPLING_TASKQA)
        ego_cli_note(cli,
                     "frames are drawn from seed %" PRId64 ", as the published reader draws them",
                     cli->seed);
    if (cli->n_media) return answer_media(r);
    size_t lines = 0;
    bool none = cli->n_files == 0;
    for (size_t i = 0; i < cli->n_files; i++) { /* the benchmark's own file, or JSON lines */
        if (ego_has_suffix(cli->files[i], ".json"))
            EGO_TRY(answer_benchmark(r, cli->files[i]));
        else
            cli->files[lines++] = cli->files[i];
    }
    cli->n_files = lines;
    r->total = 0;
    return none || lines ? answer_records(r) : EGO_OK;
}

/* --dry-run: counts the questions instead of answering them. */
static ego_err plan(ego_cli *cli) {
    uint64_t questions = cli->n_media * asked.n, unreadable = 0;
    bool records = cli->n_files == 0 && cli->n_media == 0;
    size_t lines = 0;
    for (size_t i = 0; i < cli->n_files; i++) {
        if (!ego_has_suffix(cli->files[i], ".json")) {
            cli->files[lines++] = cli->files[i], records = true;
            continue;
        }
        ego_arena arena;
        ego_qa all;
        ego_arena_init(&arena, 1 << 16);
        ego_err err = ego_qa_read(cli->files[i], &arena, &all);
        for (size_t k = 0; err == EGO_OK && k < all.count; k++)
            questions += in_shard(cli, &all.questions[k]);
        ego_arena_release(&arena);
        EGO_TRY(err);
    }
    cli->n_files = lines;
    ego_record record;
    for (ego_err err; records && (err = next_question(cli, &record)) != EGO_EEND;) {
        if (!record.id) return err;
        questions++;
        unreadable += err != EGO_OK;
        ego_record_release(&record);
    }
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

int main(int argc, char **argv) {
    ego_cli cli;
    if (!ego_cli_begin(&cli, &tool, argc, argv)) return ego_cli_end(&cli);
    run *r = calloc(1, sizeof *r);
    if (!usage_is_good(&cli)) {
        /* said */
    } else if (!r) {
        ego_cli_fatal(&cli, ego_fail(EGO_ENOMEM, "out of memory"));
    } else if (cli.dry_run) {
        ego_err err = plan(&cli);
        if (err != EGO_OK) ego_cli_fatal(&cli, err);
    } else if (r->cli = &cli, ego_engine_open(&r->engine, &cli, EGO_NEEDS_FUSED)) {
        ego_arena_init(&r->names, 1 << 14);
        ego_arena_init(&r->texts, 1 << 14);
        ego_err err = answer_all(r);
        if (err != EGO_OK) ego_cli_fatal(&cli, err);
        if (r->session) report(r);
        for (size_t i = 0; i < r->n; i++) release_question(&r->questions[i]);
        ego_qa_close(r->session);
        ego_head_close(r->head, r->engine.backend);
        ego_arena_release(&r->names);
        ego_arena_release(&r->texts);
        ego_engine_close(&r->engine);
    }
    free(r);
    ego_option_list_release(&asked);
    return ego_cli_end(&cli);
}
