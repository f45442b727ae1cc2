/* ego-mcq: which of several clips does a narration belong to? */
#include "engine.h"

#include "base/file.h"
#include "format/egomcq.h"
#include "task/mcq.h"

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

/* ---- questions --------------------------------------------------------------------------------------------- */

/* A question with what must live while it is being answered. */
typedef struct question {
    ego_mcq_item item;
    ego_mcq_choice choices[EGO_MCQ_MAX_CHOICES];
    ego_record record; /* of a JSON line; {0} for EgoMCQ's own file */
    ego_buf id;        /* JSON text */
    char label[256];
    int type;          /* EGO_MCQ_INTER, EGO_MCQ_INTRA, 0: not told */
    int64_t truth;     /* -1: not told */
} question;

enum { BATCH = 16 };

typedef struct run {
    ego_cli *cli;
    ego_engine engine;
    ego_mcq_session *session;
    question questions[BATCH];
    ego_mcq_item items[BATCH];
    size_t n;
    uint64_t done, total;
    uint64_t asked[3], right[3][MODES]; /* by type */
} run;

static void release_question(question *q) {
    ego_record_release(&q->record);
    ego_buf_release(&q->id);
    *q = (question){0};
}

static ego_err from_benchmark(const ego_mcq_question *in, const char *file, question *q) {
    *q = (question){.type = in->type, .truth = (int64_t)in->answer};
    snprintf(q->label, sizeof q->label, "%s: question %s", file, in->id);
    ego_buf_json_string(&q->id, in->id, strlen(in->id));
    EGO_TRY(ego_mcq_item_of(in, q->choices, &q->item));
    return ego_buf_err(&q->id);
}

static ego_err read_choice(const ego_json *j, size_t k, ego_mcq_choice *c) {
    *c = (ego_mcq_choice){0};
    if (!ego_json_string(ego_json_get(j, "video"), &c->video))
        return ego_fail(EGO_EINPUT, "choice %zu: expected an object with a video, found %s", k,
                        ego_json_kind(j));
    bool start = ego_json_number(ego_json_get(j, "start"), &c->start);
    bool end = ego_json_number(ego_json_get(j, "end"), &c->end);
    if (start != end || (start && !(c->end > c->start)))
        return ego_fail(EGO_EINPUT, "choice %zu: expected start before end, or neither", k);
    c->whole = !start;
    return EGO_OK;
}

/* {"text":…,"choices":[{"video":…,"start":…,"end":…},…],"answer":3,"type":"intra"} */
static ego_err from_record(ego_record *record, question *q) {
    *q = (question){.record = *record, .truth = -1};
    *record = (ego_record){0};
    const ego_record *r = &q->record;
    snprintf(q->label, sizeof q->label, "%s", r->label);
    ego_buf_text(&q->id, r->id);
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
    q->item = (ego_mcq_item){.text = r->text, .count = n};
    return ego_buf_err(&q->id);
}

/* ---- answers ------------------------------------------------------------------------------------------------- */

static bool computed(int m) { return mode == MODE_ENSEMBLE || m == mode; }

static const float *scores_of(const ego_mcq_item *item, int m) {
    return m == MODE_DUAL ? item->dual : m == MODE_FUSED ? item->fused : item->ensemble;
}

static void tally(run *r, const question *q, const ego_mcq_item *item) {
    if (q->truth < 0) return;
    r->asked[q->type]++;
    for (int m = 0; m < MODES; m++)
        if (computed(m) && ego_mcq_best(scores_of(item, m), item->count) == (size_t)q->truth)
            r->right[q->type][m]++;
}

static void add_answer(const question *q, const ego_mcq_item *item, ego_buf *line) {
    static const char *const types[] = {NULL, "inter", "intra"};
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
}

static ego_err write_answer(run *r, question *q, const ego_mcq_item *item) {
    ego_buf line = {0};
    ego_buf_text(&line, "{\"id\":");
    ego_buf_text(&line, q->id.data);
    if (item->err == EGO_OK) {
        tally(r, q, item);
        add_answer(q, item, &line);
        ego_cli_add_provenance(r->cli, r->engine.model_id, NULL, &line);
    } else {
        ego_buf_json_key(&line, "error");
        ego_buf_json_string(&line, item->message, strlen(item->message));
        ego_cli_note(r->cli, "%s: %s", q->label, item->message);
        ego_cli_count_failed(r->cli);
    }
    if (q->record.id && item->err == EGO_OK)
        ego_record_close(&q->record, EGO_RECORD_ALL & ~EGO_RECORD_TEXT, &line);
    else
        ego_buf_char(&line, '}');
    ego_err err = ego_buf_err(&line);
    if (err == EGO_OK) err = ego_cli_write_line(r->cli, &line);
    ego_buf_release(&line);
    return err;
}

/* Answers what was gathered; questions that were bad from the start keep their place. */
static ego_err answer(run *r) {
    size_t asked[BATCH], n = 0;
    for (size_t i = 0; i < r->n; i++) {
        question *q = &r->questions[i];
        if (q->item.err != EGO_OK) continue;
        q->item.choices = q->choices; /* now that the question stays where it is */
        asked[n] = i;
        r->items[n++] = q->item;
    }
    ego_err err = ego_mcq_answer(r->session, r->items, n);
    for (size_t i = 0, k = 0; i < r->n; i++) {
        question *q = &r->questions[i];
        const ego_mcq_item *item = k < n && asked[k] == i ? &r->items[k++] : &q->item;
        if (err == EGO_OK) err = write_answer(r, q, item);
        release_question(q);
    }
    r->done += r->n;
    r->n = 0;
    ego_cli_show_progress(r->cli, "questions", r->done, r->total);
    return err;
}

static ego_err add(run *r, ego_err err) {
    question *q = &r->questions[r->n];
    if (err == EGO_ENOMEM) return err;
    if (err != EGO_OK) {
        q->item.err = err;
        snprintf(q->item.message, sizeof q->item.message, "%s", ego_err_message());
    }
    return ++r->n == BATCH ? answer(r) : EGO_OK;
}

/* ---- files --------------------------------------------------------------------------------------------------- */

static ego_err answer_benchmark(run *r, const char *path) {
    ego_arena arena;
    ego_mcq all;
    ego_arena_init(&arena, 1 << 16);
    ego_err err = ego_mcq_read(path, &arena, &all);
    for (size_t i = 0; err == EGO_OK && i < all.count; i++) {
        const ego_mcq_question *q = &all.questions[i];
        r->total = all.count;
        if (ego_cli_stopped(r->cli)) break;
        if (!ego_cli_name_in_shard(r->cli, q->query.video ? q->query.video : q->id)) continue;
        err = add(r, from_benchmark(q, path, &r->questions[r->n]));
    }
    if (err == EGO_OK) err = answer(r);
    ego_arena_release(&arena);
    return err;
}

static ego_err next_question(ego_cli *cli, ego_record *record) {
    static const char *const reads[] = {"choices", "answer", "type", NULL};
    static const char *const writes[] = {"truth", "predicted", "dual", "fused", "ensemble", NULL};
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
            EGO_TRY(add(r, from_record(&record, &r->questions[r->n])));
            continue;
        }
        question *q = &r->questions[r->n];
        *q = (question){.record = record, .truth = -1};
        ego_buf_text(&q->id, record.id);
        snprintf(q->label, sizeof q->label, "%s", record.label ? record.label : "");
        EGO_TRY(add(r, err));
    }
    return answer(r);
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static void report(run *r) {
    static const char *const names[] = {"all", "inter", "intra"};
    for (int t = 2; t >= 0; t--)
        for (int m = 0; r->asked[t] && m < MODES; m++)
            if (computed(m))
                ego_cli_note(r->cli, "%s %-8s %5.1f %%  (%llu of %llu)", names[t], mode_names[m],
                             100.0 * (double)r->right[t][m] / (double)r->asked[t],
                             (unsigned long long)r->right[t][m], (unsigned long long)r->asked[t]);
    ego_mcq_counts c = ego_mcq_get_counts(r->session);
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
        .order = (ego_frame_order)order,
        .seed = (uint64_t)cli->seed,
        .clips = {.video_root = cli->video_root,
                  .sampling = (ego_sampling)cli->sampling,
                  .preparation = EGO_PREPARE_STANDARD,
                  .frames = m ? (int)m->config.frames : 0,
                  .size = m ? (int)m->config.image_size : 0}};
}

static ego_err answer_all(run *r) {
    ego_cli *cli = r->cli;
    ego_mcq_options o = session_options(cli, r->engine.model);
    EGO_TRY(ego_mcq_open(&r->engine.cx, r->engine.model, &o, &r->session));
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

typedef struct census {
    uint64_t questions, choices, unreadable;
} census;

static ego_err count_benchmark(ego_cli *cli, const char *path, census *c) {
    ego_arena arena;
    ego_mcq all;
    ego_arena_init(&arena, 1 << 16);
    ego_err err = ego_mcq_read(path, &arena, &all);
    for (size_t i = 0; err == EGO_OK && i < all.count; i++) {
        const ego_mcq_question *q = &all.questions[i];
        if (!ego_cli_name_in_shard(cli, q->query.video ? q->query.video : q->id)) continue;
        c->questions++;
        c->choices += q->count;
    }
    ego_arena_release(&arena);
    return err;
}

static ego_err count_records(ego_cli *cli, census *c) {
    ego_record record;
    for (ego_err err; (err = next_question(cli, &record)) != EGO_EEND;) {
        if (!record.id) return err;
        c->questions++;
        c->unreadable += err != EGO_OK;
        if (err == EGO_OK) c->choices += ego_json_count(ego_json_get(record.json, "choices"));
        ego_record_release(&record);
    }
    return EGO_OK;
}

/* --dry-run: counts the questions instead of answering them. */
static ego_err plan(ego_cli *cli) {
    census c = {0};
    bool records = cli->n_files == 0;
    size_t lines = 0;
    for (size_t i = 0; i < cli->n_files; i++) {
        if (ego_has_suffix(cli->files[i], ".json"))
            EGO_TRY(count_benchmark(cli, cli->files[i], &c));
        else
            cli->files[lines++] = cli->files[i], records = true;
    }
    cli->n_files = lines;
    if (records) EGO_TRY(count_records(cli, &c));
    printf("{\"questions\":%llu,\"choices\":%llu,\"unreadable\":%llu}\n",
           (unsigned long long)c.questions, (unsigned long long)c.choices,
           (unsigned long long)c.unreadable);
    return EGO_OK;
}

int main(int argc, char **argv) {
    ego_cli cli;
    if (!ego_cli_begin(&cli, &tool, argc, argv)) return ego_cli_end(&cli);
    run *r = calloc(1, sizeof *r);
    ego_mcq_options o = session_options(&cli, NULL);
    if (cli.n_media) {
        ego_cli_usage(&cli, "%s: expected EgoMCQ's .json, records in .jsonl, or -", cli.media[0]);
    } else if (!r) {
        ego_cli_fatal(&cli, ego_fail(EGO_ENOMEM, "out of memory"));
    } else if (cli.dry_run) {
        ego_err err = plan(&cli);
        if (err != EGO_OK) ego_cli_fatal(&cli, err);
    } else if (r->cli = &cli, ego_engine_open(&r->engine, &cli, ego_mcq_needs(&o))) {
        ego_err err = answer_all(r);
        if (err != EGO_OK) ego_cli_fatal(&cli, err);
        if (r->session) report(r);
        for (size_t i = 0; i < r->n; i++) release_question(&r->questions[i]);
        ego_mcq_close(r->session);
        ego_engine_close(&r->engine);
    }
    free(r);
    return ego_cli_end(&cli);
}
