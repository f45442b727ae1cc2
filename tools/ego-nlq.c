/* ego-nlq: when in a video is what a text speaks of? */
#include "engine.h"

#include "base/file.h"
#include "format/nlq.h"
#include "media/picture.h"
#include "task/grounding.h"
#include "task/nlq_part.h"
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
static bool fast, fast_given, overlap_given;

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

/* ---- questions ----------------------------------------------------------------------------------- */

/* A question with what must live while it is being answered. */
typedef struct question {
    ego_record record; /* of a JSON line or MEDIA; {0} for one of Ego4D's files */
    const ego_nlq_query *query; /* of that; NULL: a record's */
    const ego_nlq_clip *clip;
    ego_video_part part;
    double offset; /* where the clip's own time begins in the part's video */
    const char *text;
    ego_buf id; /* JSON text */
    char label[256];
    ego_err err; /* wrong from the start */
    char message[512];
} question;

enum { TOGETHER = 256 };

typedef struct run {
    ego_cli *cli;
    ego_engine engine;
    ego_head *head; /* NULL: zero-shot */
    ego_progress progress, bar;
    ego_grounding *grounding;
    ego_outfile file; /* of -o */
    ego_timeline *timeline; /* of --timeline */
    question questions[TOGETHER];
    ego_grounding_item items[TOGETHER];
    size_t n;
    uint64_t written, done, total, no_text;
    double lengths[EGO_GROUNDING_MAX_LENGTHS];
    size_t n_lengths;
} run;

static void release_question(question *q) {
    ego_record_release(&q->record);
    ego_buf_release(&q->id);
    *q = (question){0};
}

static bool same_number(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static bool same_part(const ego_video_part *a, const ego_video_part *b) {
    return a->video && b->video && strcmp(a->video, b->video) == 0 && same_number(a->start, b->start) &&
           same_number(a->end, b->end);
}

/* {"id":…,"video":…,"start":…,"end":…,"text":…}; takes the record over. */
static ego_err from_record(ego_record *record, question *q) {
    *q = (question){.record = *record};
    *record = (ego_record){0};
    const ego_record *r = &q->record;
    snprintf(q->label, sizeof q->label, "%s", r->label);
    ego_buf_text(&q->id, r->id);
    if (!r->video) return ego_fail(EGO_EINPUT, "expected a \"video\" to look in, found none");
    if (!r->text) return ego_fail(EGO_EINPUT, "expected a \"text\" to look for, found none");
    q->text = r->text;
    q->part = (ego_video_part){r->video, r->has & EGO_RECORD_START ? r->start : NAN,
                               r->has & EGO_RECORD_END ? r->end : NAN};
    return ego_buf_err(&q->id);
}

static ego_err from_benchmark(const ego_nlq *all, const ego_nlq_query *query, const char *root,
                              const char *file, question *q) {
    *q = (question){.query = query, .clip = &all->clips[query->clip], .text = query->text};
    ego_buf id = {0};
    ego_buf_printf(&id, "%s/%" PRId64, query->annotation, query->index);
    ego_err err = ego_buf_err(&id);
    if (err == EGO_OK) ego_buf_json_string(&q->id, id.data, id.len);
    snprintf(q->label, sizeof q->label, "%s: %s", file, id.data ? id.data : "");
    ego_buf_release(&id);
    EGO_TRY(err);
    ego_nlq_find_part(root, q->clip, &q->part, &q->offset);
    return ego_buf_err(&q->id);
}

/* ---- answers ------------------------------------------------------------------------------------- */

static ego_err put(run *r, ego_buf *line) {
    if (!r->file.stream) return ego_cli_write_line(r->cli, line);
    ego_buf_char(line, '\n');
    ego_err err = ego_buf_err(line);
    if (err == EGO_OK && fwrite(line->data, 1, line->len, r->file.stream) != line->len)
        err = ego_fail(EGO_EIO, "%s: cannot be written", output_path);
    ego_buf_clear(line);
    return err;
}

static void add_text(ego_buf *line, const char *key, const char *text) {
    ego_buf_json_key(line, key);
    ego_buf_json_string(line, text, strlen(text));
}

static void add_number(ego_buf *line, const char *key, double value) {
    ego_buf_json_key(line, key);
    ego_buf_json_double(line, value);
}

/* The members by which the challenge knows a query. */
static void add_names(const question *q, ego_buf *line) {
    if (!q->query) return;
    add_text(line, "clip_uid", q->clip->uid);
    add_text(line, "annotation_uid", q->query->annotation);
    ego_buf_json_key(line, "query_idx");
    ego_buf_printf(line, "%" PRId64, q->query->index);
}

/* To the microsecond: what a frame's time is known to. */
static double rounded(double seconds) { return rint(seconds * 1e6) / 1e6; }

static void add_spans(const question *q, const ego_grounding_item *item, ego_buf *line) {
    ego_buf_json_key(line, "predicted_times");
    ego_buf_char(line, '[');
    for (size_t i = 0; i < item->found; i++) {
        ego_buf_text(line, i ? ",[" : "[");
        ego_buf_json_double(line, rounded(item->spans[i].start - q->offset));
        ego_buf_char(line, ',');
        ego_buf_json_double(line, rounded(item->spans[i].end - q->offset));
        ego_buf_char(line, ']');
    }
    ego_buf_char(line, ']');
}

static void add_scores(const ego_grounding_item *item, ego_buf *line) {
    ego_buf_json_key(line, "scores");
    ego_buf_char(line, '[');
    for (size_t i = 0; i < item->found; i++) {
        if (i) ego_buf_char(line, ',');
        ego_buf_json_float(line, (float)item->spans[i].score);
    }
    ego_buf_char(line, ']');
}

static void add_members(run *r, const question *q, const ego_grounding_item *item, ego_buf *line) {
    add_names(q, line);
    add_spans(q, item, line);
    add_scores(item, line);
    ego_cli_add_provenance(r->cli, r->engine.model_id, NULL, line);
    if (!q->query) {
        ego_record_close(&q->record, EGO_RECORD_ALL, line);
        return;
    }
    add_text(line, "video", q->part.video);
    add_number(line, "start", q->part.start);
    add_number(line, "end", q->part.end);
    add_text(line, "text", q->text);
    ego_buf_char(line, '}');
}

static void report_failure(run *r, const question *q, const char *message) {
    ego_cli_note(r->cli, "%s: %s", q->label, message);
    ego_cli_count_failed(r->cli);
}

static ego_err write_line(run *r, const question *q, const ego_grounding_item *item) {
    ego_buf line = {0};
    ego_buf_printf(&line, "{\"id\":%s", q->id.data);
    if (item->err == EGO_OK) {
        add_members(r, q, item, &line);
    } else {
        add_names(q, &line);
        add_text(&line, "error", item->message);
        ego_buf_char(&line, '}');
    }
    ego_err err = ego_buf_err(&line);
    if (err == EGO_OK) err = put(r, &line);
    ego_buf_release(&line);
    return err;
}

/* One of the challenge's results; a query without an answer is none. */
static ego_err write_result(run *r, const question *q, const ego_grounding_item *item) {
    ego_buf line = {0};
    if (item->err != EGO_OK) return EGO_OK;
    ego_buf_text(&line, r->written++ ? " ,{" : "  {");
    add_names(q, &line);
    add_spans(q, item, &line);
    ego_buf_char(&line, '}');
    ego_err err = ego_buf_err(&line);
    if (err == EGO_OK) err = put(r, &line);
    ego_buf_release(&line);
    return err;
}

static ego_err write_answer(run *r, const question *q, const ego_grounding_item *item) {
    if (item->err != EGO_OK) report_failure(r, q, item->message);
    return format == FORMAT_EGO4D ? write_result(r, q, item) : write_line(r, q, item);
}

/* What cannot be drawn is said; the answer itself stands. */
static void draw(run *r, const question *q, const ego_grounding_item *item) {
    if (!r->timeline || item->err != EGO_OK) return;
    ego_timeline_row row = {.text = q->text, .answer = item, .true_start = NAN, .true_end = NAN};
    if (q->query) {
        row.true_start = q->query->start + q->offset;
        row.true_end = q->query->end + q->offset;
    }
    ego_err err = ego_timeline_add(r->timeline, &q->part, &row);
    if (err != EGO_OK) ego_cli_fault(r->cli, "%s: cannot be drawn: %s", q->label, ego_err_message());
}

/* Answers what was gathered, all about one part of a video; those wrong from the start keep their place. */
static ego_err answer(run *r) {
    size_t n = 0;
    const ego_video_part *part = NULL;
    for (size_t i = 0; i < r->n; i++) {
        const question *q = &r->questions[i];
        if (q->err != EGO_OK) continue;
        part = &q->part;
        r->items[n++] = (ego_grounding_item){.text = q->text};
    }
    ego_err err = n ? ego_grounding_ask(r->grounding, part, r->items, n) : EGO_OK;
    for (size_t i = 0, k = 0; i < r->n; i++) {
        question *q = &r->questions[i];
        ego_grounding_item bad = {.err = q->err};
        if (q->err != EGO_OK) snprintf(bad.message, sizeof bad.message, "%s", q->message);
        ego_grounding_item *item = q->err == EGO_OK ? &r->items[k++] : &bad;
        if (err == EGO_OK) err = write_answer(r, q, item);
        if (err == EGO_OK) draw(r, q, item);
        ego_grounding_item_release(item);
        release_question(q);
    }
    r->done += r->n;
    r->n = 0;
    return err;
}

/* Takes over a question (which may be wrong from the start: err); what was gathered before is answered first when it
 * is about something else. */
static ego_err add(run *r, question *q, ego_err err) {
    q->err = err;
    if (err != EGO_OK) snprintf(q->message, sizeof q->message, "%s", ego_err_message());
    const question *other = NULL;
    for (size_t i = 0; i < r->n && !other; i++)
        if (r->questions[i].err == EGO_OK) other = &r->questions[i];
    bool apart = other && err == EGO_OK && !same_part(&other->part, &q->part);
    err = apart || r->n == TOGETHER ? answer(r) : EGO_OK;
    if (err == EGO_OK)
        r->questions[r->n++] = *q;
    else
        release_question(q);
    return err;
}

/* ---- questions in -------------------------------------------------------------------------------- */

/* Of a benchmark the bar counts queries, and says how far the video in hand has come. */
static bool show_progress(void *context, const char *what, uint64_t done, uint64_t total) {
    run *r = context;
    char note[64];
    if (!r->total) return ego_progress_tell(&r->bar, what, done, total);
    snprintf(note, sizeof note, "clip %" PRIu64 " of %" PRIu64, done, total);
    ego_progress_note(&r->bar, note);
    return ego_progress_tell(&r->bar, "queries", r->done, r->total);
}

static ego_err answer_benchmark(run *r, const char *path) {
    ego_arena arena;
    ego_nlq all;
    ego_arena_init(&arena, 1 << 16);
    ego_err err = ego_nlq_read(path, &arena, &all);
    if (err == EGO_OK && r->cli->shard.count == 1) r->total = r->done + all.query_count;
    for (size_t i = 0; err == EGO_OK && i < all.query_count && !ego_cli_stopped(r->cli); i++) {
        const ego_nlq_query *query = &all.queries[i];
        if (!ego_cli_name_in_shard(r->cli, all.clips[query->clip].video)) continue;
        if (!query->text) { /* one of the validation set's */
            r->no_text++;
            continue;
        }
        question q;
        err = from_benchmark(&all, query, r->cli->video_root, path, &q);
        if (err != EGO_ENOMEM) err = add(r, &q, err);
    }
    if (err == EGO_OK) err = answer(r);
    r->total = 0;
    ego_arena_release(&arena);
    return err;
}

static ego_err next_record(ego_cli *cli, ego_record *record) {
    static const char *const writes[] = {"predicted_times", "scores", "clip_uid", "annotation_uid",
                                         "query_idx", NULL};
    static const ego_record_rules rules = {NULL, writes};
    return ego_cli_next_record(cli, &rules, record);
}

static ego_err add_record(run *r, ego_record *record, ego_err err) {
    question q;
    if (err == EGO_OK) {
        err = from_record(record, &q);
        return err == EGO_ENOMEM ? err : add(r, &q, err);
    }
    q = (question){.record = *record};
    ego_buf_text(&q.id, record->id);
    snprintf(q.label, sizeof q.label, "%s", record->label ? record->label : "");
    return add(r, &q, err);
}

static ego_err answer_records(run *r) {
    for (;;) {
        if (r->n && ego_cli_input_paused(r->cli)) EGO_TRY(answer(r));
        ego_record record;
        ego_err err = next_record(r->cli, &record);
        if (err == EGO_EEND) break;
        bool own = err == EGO_OK || ((err == EGO_EINPUT || err == EGO_EFORMAT) && record.id);
        if (!own) return err;
        EGO_TRY(add_record(r, &record, err));
    }
    return answer(r);
}

/* A record as it would stand in a line; its id is its number. */
static ego_err media_record(const char *path, const char *text, uint64_t number, ego_record *record) {
    static const ego_record_rules none;
    ego_buf line = {0};
    ego_buf_char(&line, '{');
    add_text(&line, "video", path);
    add_text(&line, "text", text);
    ego_buf_char(&line, '}');
    ego_err err = ego_buf_err(&line);
    if (err == EGO_OK) err = ego_record_parse(line.data, line.len, path, number, number, &none, record);
    ego_buf_release(&line);
    return err;
}

static ego_err answer_media(run *r) {
    uint64_t number = 0;
    for (size_t i = 0; i < r->cli->n_media; i++)
        for (size_t k = 0; k < asked.n && !ego_cli_stopped(r->cli); k++) {
            ego_record record = {0};
            number++;
            ego_err err = media_record(r->cli->media[i], asked.items[k], number, &record);
            if (err == EGO_OK && !ego_cli_in_shard(r->cli, &record)) {
                ego_record_release(&record);
                continue;
            }
            if (err != EGO_OK && !record.id) return err;
            EGO_TRY(add_record(r, &record, err));
        }
    return answer(r);
}

/* Ego4D's file is one object with an array "videos"; anything else is lines. */
static bool looks_like_ego4d(const char *path) {
    enum { LOOK_AT = 1 << 16 };
    char *text = calloc(1, LOOK_AT + 1);
    FILE *file = strcmp(path, "-") == 0 || !text ? NULL : fopen(path, "rb");
    bool found = false;
    if (file) {
        size_t n = fread(text, 1, LOOK_AT, file);
        text[n] = 0;
        const char *at = text + strspn(text, " \t\r\n\xef\xbb\xbf");
        const char *key = *at == '{' ? strstr(at, "\"videos\"") : NULL;
        if (key) key += strlen("\"videos\"") + strspn(key + strlen("\"videos\""), " \t\r\n");
        if (key && *key == ':') found = key[1 + strspn(key + 1, " \t\r\n")] == '[';
        fclose(file);
    }
    free(text);
    return found;
}

/* Calls one of the two for every named file, in order: Ego4D's own, and all others together as lines. */
static ego_err each_input(ego_cli *cli, void *context, ego_err (*benchmark)(void *context, const char *path),
                          ego_err (*records)(void *context)) {
    size_t lines = 0;
    bool standard = cli->n_args == 0 && !annotations_path;
    if (annotations_path) EGO_TRY(benchmark(context, annotations_path));
    for (size_t i = 0; i < cli->n_files; i++) {
        if (ego_has_suffix(cli->files[i], ".json") && looks_like_ego4d(cli->files[i]))
            EGO_TRY(benchmark(context, cli->files[i]));
        else
            cli->files[lines++] = cli->files[i];
    }
    cli->n_files = lines;
    return standard || lines ? records(context) : EGO_OK;
}

static ego_err benchmark_answered(void *context, const char *path) { return answer_benchmark(context, path); }

static ego_err records_answered(void *context) {
    if (format == FORMAT_EGO4D)
        return ego_fail(EGO_EINPUT, "--format ego4d answers Ego4D's own files: expected an nlq_*.json, found records");
    return answer_records(context);
}

/* ---- opening ------------------------------------------------------------------------------------- */

static bool read_windows(run *r) {
    const char *at = windows_text;
    while (at && *at) {
        char word[32];
        size_t n = strcspn(at, ",");
        bool good = n > 0 && n < sizeof word && r->n_lengths < EGO_GROUNDING_MAX_LENGTHS;
        if (good) {
            memcpy(word, at, n);
            word[n] = 0;
            good = ego_parse_number(word, &r->lengths[r->n_lengths]) && r->lengths[r->n_lengths] > 0;
        }
        if (!good || (at[n] && !at[n + 1]))
            return ego_cli_usage(r->cli, "--windows: expected 1 to %d numbers above 0 between commas, found '%s'",
                                 EGO_GROUNDING_MAX_LENGTHS, windows_text);
        r->n_lengths++;
        at += n + (at[n] != 0);
    }
    if (windows_text && !r->n_lengths) return ego_cli_usage(r->cli, "--windows: expected numbers, found none");
    return true;
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

static ego_err write_header(run *r) {
    ego_buf line = {0};
    if (format != FORMAT_EGO4D) return EGO_OK;
    ego_buf_text(&line, "{\"version\":\"1.0\",\"challenge\":\"ego4d_nlq_challenge\",\"results\":[");
    ego_err err = put(r, &line);
    ego_buf_release(&line);
    return err;
}

static ego_err write_end(run *r) {
    ego_buf line = {0};
    ego_err err = EGO_OK;
    if (format == FORMAT_EGO4D) {
        ego_buf_text(&line, "]}");
        err = put(r, &line);
    }
    ego_buf_release(&line);
    if (err == EGO_OK && r->file.stream && ego_cli_stopped(r->cli)) return EGO_OK; /* not whole */
    return err == EGO_OK && r->file.stream ? ego_outfile_commit(&r->file) : err;
}

static void report(run *r) {
    ego_feature_counts c = ego_grounding_get_counts(r->grounding);
    if (r->no_text)
        ego_cli_verbose(r->cli, "%" PRIu64 " queries have no text and are left out, as the benchmark does",
                        r->no_text);
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
    if (output_path) EGO_TRY(ego_outfile_open(output_path, &r->file));
    if (timeline_path) EGO_TRY(ego_timeline_new(r->cli->video_root, &r->timeline));
    EGO_TRY(write_header(r));
    if (asked.n)
        EGO_TRY(answer_media(r));
    else
        EGO_TRY(each_input(r->cli, r, benchmark_answered, records_answered));
    EGO_TRY(write_end(r));
    report(r);
    return timeline_path ? ego_timeline_write(r->timeline, timeline_path) : EGO_OK;
}

/* ---- --dry-run ----------------------------------------------------------------------------------- */

typedef struct census {
    ego_cli *cli;
    uint64_t queries, no_text, unreadable, parts, clips;
    ego_buf last; /* the part counted last */
} census;

/* One question about a part: parts that stand together are one. */
static ego_err count_part(census *c, const ego_video_part *part) {
    ego_buf name = {0};
    ego_clip_grid grid;
    c->queries++;
    ego_buf_printf(&name, "%a %a %s", part->start, part->end, part->video);
    EGO_TRY(ego_buf_err(&name));
    bool same = c->last.data && strcmp(c->last.data, name.data) == 0;
    ego_buf_release(&c->last);
    c->last = name;
    if (same) return EGO_OK;
    c->parts++;
    int frames = c->cli->frames ? (int)c->cli->frames : 4;
    ego_err err = ego_clip_grid_make(c->cli->video_root, part, (ego_sampling)c->cli->sampling, frames, &grid);
    if (err == EGO_OK)
        c->clips += (uint64_t)grid.count;
    else
        c->unreadable++;
    if (err == EGO_OK) ego_clip_grid_release(&grid);
    return EGO_OK;
}

static ego_err benchmark_counted(void *context, const char *path) {
    census *c = context;
    ego_arena arena;
    ego_nlq all;
    ego_arena_init(&arena, 1 << 16);
    ego_err err = ego_nlq_read(path, &arena, &all);
    for (size_t i = 0; err == EGO_OK && i < all.query_count; i++) {
        const ego_nlq_query *query = &all.queries[i];
        question q = {.clip = &all.clips[query->clip]};
        if (!ego_cli_name_in_shard(c->cli, q.clip->video)) continue;
        c->no_text += !query->text;
        if (!query->text) continue;
        ego_nlq_find_part(c->cli->video_root, q.clip, &q.part, &q.offset);
        err = count_part(c, &q.part);
    }
    ego_arena_release(&arena);
    return err;
}

static ego_err count_record(census *c, ego_record *record, ego_err err) {
    question q = {0};
    if (err == EGO_OK) err = from_record(record, &q);
    if (err == EGO_OK)
        err = count_part(c, &q.part);
    else
        c->queries++, c->unreadable++, err = EGO_OK;
    release_question(&q);
    return err;
}

static ego_err records_counted(void *context) {
    census *c = context;
    ego_record record;
    for (ego_err err; (err = next_record(c->cli, &record)) != EGO_EEND;) {
        if (!record.id) return err;
        err = count_record(c, &record, err);
        ego_record_release(&record);
        EGO_TRY(err);
    }
    return EGO_OK;
}

static ego_err media_counted(census *c) {
    for (size_t i = 0; i < c->cli->n_media; i++)
        for (size_t k = 0; k < asked.n; k++)
            if (ego_cli_name_in_shard(c->cli, c->cli->media[i]))
                EGO_TRY(count_part(c, &(ego_video_part){c->cli->media[i], NAN, NAN}));
    return EGO_OK;
}

/* What would be done: how many clips are decoded, and how many passes of the encoders that takes. */
static ego_err plan(ego_cli *cli) {
    census c = {.cli = cli};
    ego_err err = asked.n ? media_counted(&c) : each_input(cli, &c, benchmark_counted, records_counted);
    if (err == EGO_OK)
        printf("{\"queries\":%" PRIu64 ",\"without_text\":%" PRIu64 ",\"unreadable\":%" PRIu64
               ",\"videos\":%" PRIu64 ",\"clips\":%" PRIu64 "}\n",
               c.queries, c.no_text, c.unreadable, c.parts, c.clips);
    ego_buf_release(&c.last);
    return err;
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
    for (size_t i = 0; i < r->n; i++) release_question(&r->questions[i]);
    ego_timeline_free(r->timeline);
    ego_outfile_abort(&r->file);
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
        ego_err err = EGO_OK;
        if (!cli.dry_run)
            run_all(r);
        else if ((err = plan(&cli)) != EGO_OK)
            ego_cli_fatal(&cli, err);
    }
    ego_option_list_release(&asked);
    free(r);
    return ego_cli_end(&cli);
}
