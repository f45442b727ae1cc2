/* ego-nlq: when in a video is what a text speaks of? */
#include "engine.h"
#include "nlq_input.h"

#include "task/nlq_output.h"
#include "task/timeline.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT_JSONL, FORMAT_EGO4D };

static const char *head_path, *annotations_path, *output_path, *store_path, *timeline_path, *windows_text;
static ego_option_list asked;
static int64_t top = 5;
static double overlap;
static int mode = EGO_GROUNDING_DUAL, format = FORMAT_JSONL;
static bool fast, fast_given, overlap_given, resume;

static const ego_option options[] = {
    {.name = "query", .type = EGO_OPTION_LIST, .arg = "STR", .value = &asked, .help = "look for this in every MEDIA"},
    {.name = "head", .type = EGO_OPTION_FILE, .arg = "FILE", .value = &head_path, .help = "a trained span predictor; without it zero-shot"},
    {.name = "fast", .type = EGO_OPTION_FLAG, .value = &fast, .given = &fast_given, .help = "a head's features that do not see the query: one pass a clip"},
    {.name = "mode", .type = EGO_OPTION_CHOICE, .arg = "dual|fused|ensemble", .value = &mode, .help = "zero-shot scores (dual)"},
    {.name = "windows", .type = EGO_OPTION_STRING, .arg = "S,S,...", .value = &windows_text, .help = "zero-shot: lengths to try, in seconds (1,1.5,2,3,4,6,8,12,16)"},
    {.name = "top", .letter = 'k', .type = EGO_OPTION_INT, .arg = "N", .value = &top, .min = 1, .max = EGO_GROUNDING_MAX_ANSWERS, .help = "spans for each query (5)"},
    {.name = "overlap", .type = EGO_OPTION_NUMBER, .arg = "X", .value = &overlap, .given = &overlap_given, .min = 0, .max = 1, .help = "IoU that two of them may have (0.3; with a head 1)"},
    {.name = "annotations", .type = EGO_OPTION_FILE, .arg = "FILE", .value = &annotations_path, .help = "Ego4D's nlq_*.json: answer all its queries"},
    {.name = "format", .type = EGO_OPTION_CHOICE, .arg = "jsonl|ego4d", .value = &format, .help = "lines, or the challenge's file"},
    {.name = "output", .letter = 'o', .type = EGO_OPTION_FILE, .arg = "FILE", .value = &output_path, .help = "instead of standard output"},
    {.name = "resume", .type = EGO_OPTION_FLAG, .value = &resume, .help = "go on where an interrupted run to FILE stopped"},
    {.name = "features", .type = EGO_OPTION_FILE, .arg = "DIR", .value = &store_path, .help = "keep features here, and take from here what is kept"},
    {.name = "timeline", .type = EGO_OPTION_FILE, .arg = "FILE.png", .value = &timeline_path, .help = "a picture of the answers along the videos"},
    {0}};

static const ego_cli_tool tool = {
    .name = "ego-nlq",
    .usage = "[OPTIONS] [NLQ.json | RECORDS.jsonl]...\n"
             "[OPTIONS] --query STR [--query STR]... MEDIA...",
    .summary = "Finds when in a video what a text speaks of is to be seen.",
    .example = "ego-nlq --query 'C opens the fridge' kitchen.mp4\n"
               "ego-nlq --head nlq.safetensors --format ego4d -o sent.json nlq_val.json",
    .options = options,
    .uses = EGO_CLI_USES_MODEL | EGO_CLI_USES_VIDEO | EGO_CLI_USES_WORK | EGO_CLI_USES_SHARD |
            EGO_CLI_USES_CONFIG | EGO_CLI_USES_PLAN | EGO_CLI_USES_PROVENANCE};

enum { TOGETHER = 256 };

typedef struct run {
    ego_cli *cli;
    ego_engine engine;
    ego_head *head; /* NULL: zero-shot */
    ego_progress progress, bar;
    ego_grounding *grounding;
    ego_nlq_output *output;
    ego_timeline *timeline;   /* of --timeline */
    ego_buf provenance, made; /* texts of the output's */
    ego_nlq_input input;
    ego_nlq_question questions[TOGETHER];
    ego_grounding_item items[TOGETHER];
    size_t n;
    uint64_t done;
    double lengths[EGO_GROUNDING_MAX_LENGTHS];
    size_t n_lengths;
} run;

/* ---- answers ------------------------------------------------------------------------------------- */

/* What cannot be drawn is said; the answer itself stands. */
static void draw(run *r, const ego_nlq_question *q, const ego_grounding_item *item) {
    if (!r->timeline || item->err != EGO_OK) return;
    ego_timeline_row row = {.text = q->text, .answer = item, .true_start = NAN, .true_end = NAN};
    if (q->query) {
        row.true_start = q->query->start + q->offset;
        row.true_end = q->query->end + q->offset;
    }
    ego_err err = ego_timeline_add(r->timeline, &q->part, &row);
    if (err != EGO_OK) ego_cli_fault(r->cli, "%s: cannot be drawn: %s", q->label, ego_err_message());
}

static void report_failure(run *r, const ego_nlq_question *q, const ego_grounding_item *item) {
    ego_cli_note(r->cli, "%s: %s", q->label, item->message);
    ego_cli_count_failed(r->cli);
}

/* Answers what was gathered, all about one part of a video; those wrong from the start keep their place. */
static ego_err answer(run *r) {
    size_t n = 0;
    const ego_video_part *part = NULL;
    for (size_t i = 0; i < r->n; i++) {
        const ego_nlq_question *q = &r->questions[i];
        if (q->err != EGO_OK) continue;
        part = &q->part;
        r->items[n++] = (ego_grounding_item){.text = q->text};
    }
    ego_err err = n ? ego_grounding_ask(r->grounding, part, r->items, n) : EGO_OK;
    for (size_t i = 0, k = 0; i < r->n; i++) {
        ego_nlq_question *q = &r->questions[i];
        ego_grounding_item bad = {.err = q->err};
        if (q->err != EGO_OK) snprintf(bad.message, sizeof bad.message, "%s", q->message);
        ego_grounding_item *item = q->err == EGO_OK ? &r->items[k++] : &bad;
        if (err == EGO_OK && item->err != EGO_OK) report_failure(r, q, item);
        if (err == EGO_OK) err = ego_nlq_output_write(r->output, q, item);
        if (err == EGO_OK) draw(r, q, item);
        ego_grounding_item_release(item);
        ego_nlq_question_release(q);
    }
    if (err == EGO_OK) err = ego_nlq_output_flush(r->output);
    r->done += r->n;
    r->n = 0;
    return err;
}

/* ---- questions in -------------------------------------------------------------------------------- */

/* Of a benchmark the bar counts queries, and says how far the video in hand has come. */
static bool show_progress(void *context, const char *what, uint64_t done, uint64_t total) {
    run *r = context;
    char note[64];
    if (!r->input.total) return ego_progress_tell(&r->bar, what, done, total);
    snprintf(note, sizeof note, "clip %" PRIu64 " of %" PRIu64, done, total);
    ego_progress_note(&r->bar, note);
    return ego_progress_tell(&r->bar, "queries", r->done, r->input.total);
}

/* Takes over a question; what was gathered before is answered first when it is about something else. */
static ego_err add(run *r, ego_nlq_question *q) {
    const ego_nlq_question *other = NULL;
    for (size_t i = 0; i < r->n && !other; i++)
        if (r->questions[i].err == EGO_OK) other = &r->questions[i];
    bool apart = other && q->err == EGO_OK && !ego_nlq_same_part(other, q);
    ego_err err = apart || r->n == TOGETHER ? answer(r) : EGO_OK;
    if (err == EGO_OK)
        r->questions[r->n++] = *q;
    else
        ego_nlq_question_release(q);
    return err;
}

static ego_err answer_input(run *r) {
    for (;;) {
        ego_nlq_question q;
        bool done = false;
        if (r->n && ego_nlq_input_paused(&r->input)) EGO_TRY(answer(r));
        ego_err err = ego_nlq_input_next(&r->input, &q);
        if (err == EGO_EEND) return answer(r);
        if (err == EGO_OK) err = ego_nlq_output_has(r->output, &q, &done);
        if (err != EGO_OK || done)
            ego_nlq_question_release(&q);
        else
            err = add(r, &q);
        r->done += done;
        EGO_TRY(err);
    }
}

/* ---- opening ------------------------------------------------------------------------------------- */

static bool read_windows(run *r) {
    if (!windows_text) return true;
    if (!*windows_text) return ego_cli_usage(r->cli, "--windows: expected numbers, found none");
    bool good = ego_parse_numbers(windows_text, EGO_GROUNDING_MAX_LENGTHS, r->lengths, &r->n_lengths);
    for (size_t i = 0; good && i < r->n_lengths; i++) good = r->lengths[i] > 0;
    return good || ego_cli_usage(r->cli, "--windows: expected 1 to %d numbers above 0 between commas, found '%s'",
                                 EGO_GROUNDING_MAX_LENGTHS, windows_text);
}

static bool check_usage(run *r) {
    ego_cli *cli = r->cli;
    if (asked.n && !cli->n_media) return ego_cli_usage(cli, "--query: expected MEDIA to look in, found none");
    if (cli->n_media && !asked.n)
        return ego_cli_usage(cli, "%s: expected --query STR, what to look for in it", cli->media[0]);
    if (asked.n && (cli->n_files || annotations_path))
        return ego_cli_usage(cli, "--query: expected MEDIA alone; records bring their own text");
    if (asked.n && format == FORMAT_EGO4D)
        return ego_cli_usage(cli, "--format ego4d answers Ego4D's own files, not --query");
    if (resume && (!output_path || format == FORMAT_EGO4D))
        return ego_cli_usage(cli, "--resume continues lines in a file: give -o FILE%s",
                             format == FORMAT_EGO4D ? ", without --format ego4d" : "");
    if (resume && timeline_path)
        return ego_cli_usage(cli, "--resume: a timeline shows every answer: leave out --timeline");
    if (head_path && windows_text) return ego_cli_usage(cli, "--windows: a head finds its own lengths");
    return read_windows(r);
}

/* The head, and which features it wants: those it was trained on, unless told. */
static ego_err open_head(run *r) {
    ego_buf warning = {0};
    EGO_TRY(ego_head_open(head_path, NULL, &r->head));
    if (ego_head_foreign(r->head, r->engine.model_id, &warning)) ego_cli_note(r->cli, "%s", warning.data);
    ego_buf_release(&warning);
    if (r->head->random)
        ego_cli_note(r->cli, "%s: its weights are random: its spans mean nothing until it is trained", head_path);
    const char *features = ego_head_note(r->head, EGO_GROUNDING_NOTE);
    bool dual = features && strcmp(features, "dual") == 0;
    if (fast_given && features && !dual)
        ego_cli_note(r->cli, "%s was trained on %s features: --fast gives it others", head_path, features);
    if (!fast_given) fast = dual;
    return EGO_OK;
}

static ego_grounding_options grounding_options(run *r) {
    return (ego_grounding_options){.head = r->head,
                                   .fast = fast,
                                   .mode = (ego_grounding_mode)mode,
                                   .lengths = r->n_lengths ? r->lengths : NULL,
                                   .n_lengths = r->n_lengths,
                                   .answers = (size_t)top,
                                   .overlap = overlap_given ? overlap : r->head ? 1 : 0.3,
                                   .features = {.video_root = r->cli->video_root,
                                                .sampling = (ego_sampling)r->cli->sampling,
                                                .store = store_path,
                                                .model_id = r->engine.model_id,
                                                .batch = r->cli->batch,
                                                .progress = &r->progress}};
}

/* What makes the lines: two runs with the same text give the same bytes for the same questions. */
static ego_err describe_run(run *r, ego_buf *json) {
    ego_cli *cli = r->cli;
    ego_buf config = {0};
    ego_config_write(&r->engine.model->config, &config);
    ego_provenance p = ego_cli_provenance(cli, r->engine.model_id, config.data);
    ego_grounding_options o = grounding_options(r);
    ego_buf_text(json, "{\"provenance\":");
    ego_provenance_write(&p, json);
    ego_buf_printf(json, ",\"head\":\"%s\",\"fast\":%d,\"mode\":%d,\"windows\":\"%s\",\"top\":%zu,\"overlap\":",
                   r->head ? r->head->id : "", o.fast, mode, windows_text ? windows_text : "", o.answers);
    ego_buf_json_double(json, o.overlap);
    ego_buf_printf(json, ",\"sampling\":%d,\"shard\":\"%" PRId64 "/%" PRId64 "\",\"traced\":%d}", cli->sampling,
                   cli->shard.index, cli->shard.count, cli->provenance);
    ego_buf_release(&config);
    return ego_buf_err(json);
}

static ego_err standard_output(void *context, ego_buf *line) { return ego_cli_write_line(context, line); }

static ego_err open_output(run *r) {
    ego_cli *cli = r->cli;
    ego_provenance p = ego_cli_provenance(cli, r->engine.model_id, NULL);
    if (cli->provenance) ego_provenance_write(&p, &r->provenance);
    EGO_TRY(ego_buf_err(&r->provenance));
    EGO_TRY(describe_run(r, &r->made));
    ego_nlq_output_options o = {.path = output_path,
                                .standard = standard_output,
                                .context = cli,
                                .challenge = format == FORMAT_EGO4D,
                                .provenance = r->provenance.data,
                                .made = r->made.data,
                                .resume = resume};
    EGO_TRY(ego_nlq_output_open(&o, &r->output));
    if (ego_nlq_output_failed(r->output)) ego_cli_count_failed(cli);
    if (ego_nlq_output_done(r->output))
        ego_cli_note(cli, "%s: %" PRIu64 " questions are done already", output_path, ego_nlq_output_done(r->output));
    return EGO_OK;
}

static void report(run *r) {
    ego_feature_counts c = ego_grounding_get_counts(r->grounding);
    if (r->input.no_text)
        ego_cli_verbose(r->cli, "%" PRIu64 " queries have no text and are left out, as the benchmark does",
                        r->input.no_text);
    ego_cli_verbose(r->cli,
                    "%" PRIu64 " videos decoded, %" PRIu64 " clips and %" PRIu64
                    " pairs of clip and query encoded, %" PRIu64 " features taken from the store",
                    c.videos, c.clips, c.pairs, c.stored);
    if (c.reading.cut_files || c.reading.read_errors || c.reading.damaged)
        ego_cli_note(r->cli, "damaged media: %lld files end early, %lld packets were unreadable, %lld frames damaged",
                     (long long)c.reading.cut_files, (long long)c.reading.read_errors,
                     (long long)c.reading.damaged);
}

static ego_err answer_all(run *r) {
    ego_grounding_options o = grounding_options(r);
    EGO_TRY(ego_grounding_open(&r->engine.cx, r->engine.model, &o, &r->grounding));
    EGO_TRY(open_output(r));
    if (timeline_path) EGO_TRY(ego_timeline_new(r->cli->video_root, &r->timeline));
    EGO_TRY(answer_input(r));
    EGO_TRY(ego_nlq_output_end(r->output));
    if (!ego_cli_stopped(r->cli)) EGO_TRY(ego_nlq_output_commit(r->output));
    report(r);
    return timeline_path ? ego_timeline_write(r->timeline, timeline_path) : EGO_OK;
}

/* ---- --dry-run ----------------------------------------------------------------------------------- */

typedef struct census {
    uint64_t queries, unreadable, parts, clips;
} census;

/* Questions about one part that stand together are answered in one reading of it. */
static void count(const ego_cli *cli, const ego_nlq_question *q, bool same, census *c) {
    c->queries++;
    if (q->err != EGO_OK) c->unreadable++;
    if (q->err != EGO_OK || same) return;
    c->parts++;
    ego_clip_grid grid;
    int frames = cli->frames ? (int)cli->frames : 4;
    ego_err err = ego_clip_grid_make(cli->video_root, &q->part, (ego_sampling)cli->sampling, frames, &grid);
    if (err != EGO_OK) {
        c->unreadable++;
        return;
    }
    c->clips += (uint64_t)grid.count;
    ego_clip_grid_release(&grid);
}

/* What would be done: how many clips are decoded, and how many passes of the encoders that takes. */
static ego_err plan(run *r) {
    census c = {0};
    ego_nlq_question last = {0}, q;
    ego_err err;
    while ((err = ego_nlq_input_next(&r->input, &q)) == EGO_OK) {
        count(r->cli, &q, ego_nlq_same_part(&last, &q), &c);
        if (q.err == EGO_OK) {
            ego_nlq_question_release(&last);
            last = q;
        } else {
            ego_nlq_question_release(&q);
        }
    }
    ego_nlq_question_release(&last);
    if (err != EGO_EEND) return ego_nlq_question_release(&q), err;
    printf("{\"queries\":%" PRIu64 ",\"without_text\":%" PRIu64 ",\"unreadable\":%" PRIu64
           ",\"videos\":%" PRIu64 ",\"clips\":%" PRIu64 "}\n",
           c.queries, r->input.no_text, c.unreadable, c.parts, c.clips);
    return EGO_OK;
}

/* ---- the whole ----------------------------------------------------------------------------------- */

static void run_all(run *r) {
    ego_cli *cli = r->cli;
    ego_grounding_options o = {.mode = (ego_grounding_mode)mode};
    /* A head's needs are known when it was read, but those of zero-shot from the start. */
    if (!ego_engine_open(&r->engine, cli, head_path ? 0 : ego_grounding_needs(&o))) return;
    ego_err err = head_path ? open_head(r) : EGO_OK;
    if (err == EGO_OK && r->head) {
        o = grounding_options(r);
        err = ego_model_require(r->engine.model, ego_grounding_needs(&o));
    }
    if (err == EGO_OK) err = answer_all(r);
    if (err != EGO_OK) ego_cli_fatal(cli, err == EGO_EMODEL || err == EGO_EFORMAT ? EGO_EIO : err);
    for (size_t i = 0; i < r->n; i++) ego_nlq_question_release(&r->questions[i]);
    ego_timeline_free(r->timeline);
    ego_nlq_output_close(r->output);
    ego_grounding_close(r->grounding);
    ego_head_close(r->head, r->engine.backend);
    ego_engine_close(&r->engine);
}

int main(int argc, char **argv) {
    ego_cli cli;
    if (!ego_cli_begin(&cli, &tool, argc, argv)) return ego_cli_end(&cli);
    run *r = calloc(1, sizeof *r);
    if (!r) {
        ego_cli_fatal(&cli, ego_fail(EGO_ENOMEM, "out of memory"));
        return ego_cli_end(&cli);
    }
    r->cli = &cli;
    r->bar = ego_cli_progress(&cli);
    r->progress = (ego_progress){.report = show_progress, .context = r};
    if (check_usage(r)) {
        ego_nlq_input_options o = {annotations_path, &asked, format == FORMAT_EGO4D && !cli.dry_run};
        ego_nlq_input_open(&cli, &o, &r->input);
        ego_err err = EGO_OK;
        if (!cli.dry_run)
            run_all(r);
        else if ((err = plan(r)) != EGO_OK)
            ego_cli_fatal(&cli, err);
        ego_nlq_input_close(&r->input);
    }
    ego_buf_release(&r->provenance);
    ego_buf_release(&r->made);
    ego_option_list_release(&asked);
    free(r);
    return ego_cli_end(&cli);
}
