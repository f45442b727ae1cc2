/* ego-sum: the shots of a long video that answer a query, or stand for all of it. */
#include "engine.h"

#include "base/file.h"
#include "data/clips.h"
#include "task/qfvs.h"
#include "task/summary.h"
#include "task/summary_show.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BY_MATCH, BY_DUAL };
static const char *head_path, *oracles, *out_path, *sheet_path;
static ego_option_list queries;
static double ratio = 0.02, seconds, shot_seconds = EGO_SHOT_SECONDS;
static int64_t most_segments = EGO_KTS_SEGMENTS;
static int64_t parts = 1;
static int score_by = BY_MATCH, phrasing = EGO_QFVS_SENTENCE;
static bool by_given, parts_given, phrasing_given, quirks, all_scores, silent;

static const ego_option options[] = {
    {.name = "head", .type = EGO_OPTION_FILE, .arg = "FILE", .value = &head_path, .help = "a trained summary head; without: zero-shot"},
    {.name = "query", .type = EGO_OPTION_LIST, .arg = "STR", .value = &queries, .help = "what the summary is about, \"A_B\" for QFVS's concepts"},
    {.name = "oracles", .type = EGO_OPTION_FILE, .arg = "DIR", .value = &oracles, .help = "queries by the names of QFVS's DIR/A_B_oracle.txt"},
    {.name = "ratio", .type = EGO_OPTION_NUMBER, .arg = "X", .value = &ratio, .min = 1e-9, .max = 1, .help = "part of the shots that is kept (0.02)"},
    {.name = "seconds", .type = EGO_OPTION_NUMBER, .arg = "S", .value = &seconds, .min = 1e-3, .max = 1e9, .help = "length of the summary instead"},
    {.name = "shot", .type = EGO_OPTION_NUMBER, .arg = "S", .value = &shot_seconds, .min = 0.1, .max = 600, .help = "length of a shot (5 s)"},
    {.name = "segments", .type = EGO_OPTION_INT, .arg = "N", .value = &most_segments, .min = 1, .max = EGO_KTS_MAX_SEGMENTS, .help = "at most so many segments (20)"},
    {.name = "score", .type = EGO_OPTION_CHOICE, .arg = "match|dual", .value = &score_by, .given = &by_given, .help = "without a head: by the fused or the dual encoder"},
    {.name = "parts", .type = EGO_OPTION_INT, .arg = "N", .value = &parts, .given = &parts_given, .min = 1, .max = EGO_QFVS_PARTS,
     .help = "look at a shot as N clips (1, or the head's)"},
    {.name = "prompts", .type = EGO_OPTION_CHOICE, .arg = "sentence|narration", .value = &phrasing, .given = &phrasing_given, .help = "how A_B is put (sentence, or the head's)"},
    {.name = "reference-quirks", .type = EGO_OPTION_FLAG, .value = &quirks, .help = "segment and pad as the published program does"},
    {.name = "scores", .type = EGO_OPTION_FLAG, .value = &all_scores, .help = "write every shot's score, too"},
    {.name = "output", .letter = 'o', .type = EGO_OPTION_FILE, .arg = "FILE", .value = &out_path, .help = "the summary as a video that plays (.mp4)"},
    {.name = "no-sound", .type = EGO_OPTION_FLAG, .value = &silent, .help = "leave the sound out of it"},
    {.name = "sheet", .type = EGO_OPTION_FILE, .arg = "FILE", .value = &sheet_path, .help = "its frames as a picture (.png)"},
    {0}};

static const ego_cli_tool tool = {
    .name = "ego-sum",
    .usage = "[OPTIONS] [VIDEO | RECORDS.jsonl]...",
    .summary = "Finds the shots of a long video that answer a query, or stand for all of it.",
    .example = "ego-sum --query \"C washes a cup\" --seconds 60 -o cups.mp4 day.mp4",
    .options = options,
    .uses = EGO_CLI_USES_MODEL | EGO_CLI_USES_VIDEO | EGO_CLI_USES_WORK | EGO_CLI_USES_SHARD |
            EGO_CLI_USES_SEED | EGO_CLI_USES_CONFIG | EGO_CLI_USES_PLAN | EGO_CLI_USES_PROVENANCE};

/* ---- jobs ------------------------------------------------------------------------------------------- */

/* One summary to make. Those of one video that stand together are made in one pass over it. */
typedef struct job {
    ego_record record; /* {0}: of a media argument */
    ego_buf prompt;    /* empty: no query */
    ego_buf query;     /* as it is written out, JSON; empty: none */
} job;

enum { GROUP = 256 };

typedef struct run {
    ego_cli *cli;
    ego_engine engine;
    ego_head *head;
    job jobs[GROUP];
    size_t n;
    char *video; /* of the jobs; NULL: there are none */
    double start, end;
    const char *name; /* the video in the output, where it is not `video` */
    bool cannot_write; /* a film or a sheet: no fault of the video */
    uint64_t videos, shots, summaries;
} run;

static void release_job(job *j) {
    ego_record_release(&j->record);
    ego_buf_release(&j->prompt);
    ego_buf_release(&j->query);
    *j = (job){0};
}

/* "Face_Cupglass": two concepts, as in the name of an oracle's file. Anything with a blank is a sentence. */
static bool split_concepts(const char *text, char *a, size_t room, const char **b) {
    const char *bar = strchr(text, '_');
    size_t n = bar ? (size_t)(bar - text) : 0;
    if (!n || n >= room || !bar[1] || strpbrk(text, " \t") || strchr(bar + 1, '_')) return false;
    memcpy(a, text, n);
    a[n] = '\0';
    *b = bar + 1;
    return true;
}

static ego_err ask(job *j, const char *query) {
    char a[128];
    const char *b;
    if (split_concepts(query, a, sizeof a, &b))
        ego_qfvs_prompt((ego_qfvs_words)phrasing, a, b, &j->prompt);
    else
        ego_buf_text(&j->prompt, query);
    if (!query[0]) return ego_fail(EGO_EINPUT, "query: expected some text, found none");
    ego_buf_json_string(&j->query, query, strlen(query));
    EGO_TRY(ego_buf_err(&j->prompt));
    return ego_buf_err(&j->query);
}

/* A record's "query": a sentence, "A_B", or [A, B]; else its text; else it asks nothing. */
static ego_err ask_record(job *j) {
    const ego_record *r = &j->record;
    const ego_json *q = r->json ? ego_json_get(r->json, "query") : NULL;
    const char *text = r->text, *a, *b;
    if (!r->video) return ego_fail(EGO_EINPUT, "expected a video, found none");
    if (ego_json_is_array(q) && ego_json_count(q) == 2 && ego_json_string(ego_json_first(q), &a) &&
        ego_json_string(ego_json_next(ego_json_first(q)), &b)) {
        ego_qfvs_prompt((ego_qfvs_words)phrasing, a, b, &j->prompt);
        ego_buf_char(&j->query, '[');
        ego_buf_json_string(&j->query, a, strlen(a));
        ego_buf_char(&j->query, ',');
        ego_buf_json_string(&j->query, b, strlen(b));
        ego_buf_char(&j->query, ']');
        return ego_buf_err(&j->query);
    }
    if (q && !ego_json_is_null(q) && !ego_json_string(q, &text))
        return ego_fail(EGO_EINPUT, "query: expected text or two concepts, found %s", ego_json_kind(q));
    return text ? ask(j, text) : EGO_OK;
}

/* ---- answers ------------------------------------------------------------------------------------------ */

typedef struct answer {
    ego_summary_options options;
    ego_summary_table table;
    ego_kts segments; /* at most so many: */
    size_t most_segments;
    float *scores;
    size_t *chosen, count;
} answer;

static void release_answer(answer *a) {
    ego_summary_release(&a->table);
    ego_kts_release(&a->segments);
    free(a->scores);
    free(a->chosen);
}

static void add_numbers(ego_buf *line, const char *key, const answer *a) {
    ego_buf_json_key(line, key);
    ego_buf_char(line, '[');
    for (size_t i = 0; i < a->count; i++) {
        if (i) ego_buf_char(line, ',');
        ego_buf_json_float(line, a->scores[a->chosen[i]]);
    }
    ego_buf_char(line, ']');
}

static void add_answer(const run *r, const job *j, const answer *a, ego_buf *line) {
    if (!j->record.has) {
        ego_buf_json_key(line, "video");
        const char *name = r->name ? r->name : r->video;
        ego_buf_json_string(line, name, strlen(name));
    }
    ego_buf_json_key(line, "query");
    ego_buf_text(line, j->query.len ? j->query.data : "null");
    ego_buf_json_key(line, "shots");
    for (size_t i = 0; i < a->count; i++) ego_buf_printf(line, "%c%zu", i ? ',' : '[', a->chosen[i] + 1);
    ego_buf_char(line, ']');
    add_numbers(line, "scores", a);
    ego_buf_json_key(line, "times");
    for (size_t i = 0; i < a->count; i++) {
        ego_buf_text(line, i ? ",[" : "[[");
        ego_buf_json_double(line, a->table.times[a->chosen[i]]);
        ego_buf_char(line, ',');
        ego_buf_json_double(line, a->table.times[a->chosen[i] + 1]);
        ego_buf_char(line, ']');
    }
    ego_buf_char(line, ']');
    ego_buf_json_key(line, "of");
    ego_buf_printf(line, "%zu", a->table.n);
    ego_buf_json_key(line, "segments"); /* where each begins: the number of its first shot */
    for (size_t s = 0; s < a->segments.count; s++)
        ego_buf_printf(line, "%c%zu", s ? ',' : '[', a->segments.starts[s] + 1);
    ego_buf_char(line, ']');
    if (!all_scores) return;
    ego_buf_json_key(line, "all");
    for (size_t i = 0; i < a->table.n; i++) {
        ego_buf_char(line, i ? ',' : '[');
        ego_buf_json_float(line, a->scores[i]);
    }
    ego_buf_char(line, ']');
}

static ego_err write_answer(run *r, job *j, const answer *a) {
    ego_buf line = {0};
    if (j->record.id) {
        ego_record_begin(&j->record, &line);
    } else {
        ego_buf_char(&line, '{');
    }
    add_answer(r, j, a, &line);
    ego_cli_add_provenance(r->cli, r->engine.model_id, NULL, &line);
    if (j->record.id)
        ego_record_close(&j->record, EGO_RECORD_VIDEO | EGO_RECORD_START | EGO_RECORD_END, &line);
    else
        ego_buf_char(&line, '}');
    ego_err err = ego_buf_err(&line);
    if (err == EGO_OK) err = ego_cli_write_line(r->cli, &line);
    ego_buf_release(&line);
    r->summaries++;
    return err;
}

static ego_err show(run *r, const job *j, const answer *a) {
    if (!out_path && !sheet_path) return EGO_OK;
    ego_progress progress = ego_cli_progress(r->cli);
    ego_summary_show s = {.video_root = r->cli->video_root,
                          .video = r->video,
                          .title = j->prompt.data,
                          .table = &a->table,
                          .segments = &a->segments,
                          .scores = a->scores,
                          .chosen = a->chosen,
                          .count = a->count,
                          .silent = silent,
                          .threads = (int)r->cli->threads,
                          .progress = &progress};
    ego_err err = sheet_path ? ego_summary_sheet(&s, sheet_path) : EGO_OK;
    if (err == EGO_OK && out_path) err = ego_summary_save(&s, out_path);
    r->cannot_write = err != EGO_OK;
    return err;
}

/* Where the content changes. A summary without a query is a shot of each segment, so there are no more of these. */
static ego_err segment(const run *r, answer *a, bool whole) {
    size_t most = (size_t)most_segments;
    if (whole && most > a->count) most = a->count;
    if (most == a->most_segments) return EGO_OK;
    ego_kts_release(&a->segments);
    a->most_segments = most;
    ego_kts_options kts = {.most = most, .reference = quirks, .pool = r->engine.pool};
    return ego_kts_segment(a->table.states, a->table.n, (size_t)a->table.D, &kts, &a->segments);
}

static ego_err summarize(run *r, size_t number, size_t prompt, answer *a) {
    ego_summary_options o = a->options;
    job *j = &r->jobs[number];
    if (!j->prompt.len) o.by = EGO_SUMMARY_WHOLE;
    a->count = ego_summary_length(a->table.n, ratio, seconds, shot_seconds);
    EGO_TRY(segment(r, a, o.by == EGO_SUMMARY_WHOLE));
    EGO_TRY(ego_summary_score(&r->engine.cx, r->head, &o, &a->table, &a->segments, prompt, a->scores));
    if (o.by == EGO_SUMMARY_WHOLE)
        EGO_TRY(ego_summary_spread(a->scores, &a->segments, a->count, a->chosen));
    else
        EGO_TRY(ego_summary_choose(a->scores, a->table.n, a->count, a->chosen));
    EGO_TRY(write_answer(r, j, a));
    return show(r, j, a);
}

static ego_summary_by by_head(const run *r) {
    return r->head->config.qfvs.dual ? EGO_SUMMARY_HEAD_OF_DUAL : EGO_SUMMARY_HEAD;
}

static ego_summary_options summary_options(const run *r, size_t prompts, const ego_progress *progress) {
    bool reference = r->cli->sampling == EGO_SAMPLING_REFERENCE;
    return (ego_summary_options){.by = score_by == BY_DUAL ? EGO_SUMMARY_DUAL
                                       : !prompts          ? EGO_SUMMARY_WHOLE
                                       : r->head           ? by_head(r)
                                                           : EGO_SUMMARY_MATCH,
                                 .parts = parts,
                                 .shots = {.video_root = r->cli->video_root,
                                           .seconds = shot_seconds,
                                           .whole_seconds = reference,
                                           .random_crops = reference,
                                           .seed = (uint64_t)r->cli->seed,
                                           .start = r->start,
                                           .end = r->end},
                                 .reference = quirks,
                                 .progress = progress};
}

static ego_err look(run *r, answer *a) {
    const char *prompts[GROUP];
    size_t n = 0;
    ego_progress progress = ego_cli_progress(r->cli);
    for (size_t i = 0; i < r->n; i++)
        if (r->jobs[i].prompt.len) prompts[n++] = r->jobs[i].prompt.data;
    a->options = summary_options(r, n, &progress);
    EGO_TRY(ego_summary_look(&r->engine.cx, r->engine.model, &a->options, r->video, prompts, n, &a->table));
    a->scores = malloc(a->table.n * sizeof *a->scores);
    a->chosen = malloc(a->table.n * sizeof *a->chosen);
    if (!a->scores || !a->chosen) return ego_fail(EGO_ENOMEM, "out of memory");
    r->videos++;
    r->shots += a->table.n;
    return EGO_OK;
}

/* A video that cannot be summarized fails what was asked of it and nothing else. */
static ego_err fail_jobs(run *r, size_t from, ego_err err) {
    if (err == EGO_ENOMEM || err == EGO_ECANCELLED) return err;
    char message[1024];
    snprintf(message, sizeof message, "%s", ego_err_message());
    for (size_t i = from; i < r->n; i++) {
        job *j = &r->jobs[i];
        if (!j->record.id) EGO_TRY(ego_record_whole(r->name ? r->name : r->video, &j->record));
        if (!ego_cli_record_done(r->cli, &j->record, ego_fail(err, "%s", message))) break;
    }
    return EGO_OK;
}

static ego_err finish_group(run *r) {
    if (!r->n) return EGO_OK;
    answer a = {0};
    size_t i = 0, prompt = 0;
    ego_err err = look(r, &a);
    for (; err == EGO_OK && i < r->n; i++) {
        err = summarize(r, i, prompt, &a);
        prompt += r->jobs[i].prompt.len > 0;
        if (err != EGO_OK) break;
    }
    if (err != EGO_OK && !r->cannot_write) err = fail_jobs(r, i, err);
    release_answer(&a);
    for (size_t k = 0; k < r->n; k++) release_job(&r->jobs[k]);
    free(r->video);
    r->video = NULL;
    r->n = 0;
    return err;
}

/* Room for one job more of this video, in r->jobs[r->n]. */
static ego_err begin_job(run *r, const char *video, double start, double end) {
    bool same = r->n && strcmp(r->video, video) == 0 && r->start == start && r->end == end;
    if (r->n && (!same || r->n == GROUP)) EGO_TRY(finish_group(r));
    if (!r->video && !(r->video = strdup(video))) return ego_fail(EGO_ENOMEM, "out of memory");
    r->start = start;
    r->end = end;
    r->jobs[r->n] = (job){0};
    return EGO_OK;
}

/* ---- where they come from ----------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The names A_B of DIR/A_B_oracle.txt, in order, into the list of queries. */
static ego_err list_oracles(char ***names, size_t *n) {
    static const char end[] = "_oracle.txt";
    DIR *dir = opendir(oracles);
    if (!dir) return ego_fail(EGO_EIO, "%s: %s", oracles, strerror(errno));
    ego_err err = EGO_OK;
    for (struct dirent *e; err == EGO_OK && (e = readdir(dir));) {
        size_t length = strlen(e->d_name);
        if (length <= sizeof end - 1 || !ego_has_suffix(e->d_name, end)) continue;
        char **grown = realloc(*names, (*n + 1) * sizeof(char *));
        if (grown) *names = grown;
        if (!grown || !(grown[*n] = strdup(e->d_name))) {
            err = ego_fail(EGO_ENOMEM, "out of memory");
            break;
        }
        grown[(*n)++][length - (sizeof end - 1)] = '\0';
    }
    closedir(dir);
    if (err == EGO_OK && *n == 0)
        err = ego_fail(EGO_EINPUT, "%s: expected files A_B_oracle.txt, found none", oracles);
    if (err == EGO_OK) qsort(*names, *n, sizeof(char *), by_name);
    return err;
}

static ego_err ask_each(run *r, const char *video, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++) {
        EGO_TRY(begin_job(r, video, 0, 0));
        ego_err err = ask(&r->jobs[r->n], words[i]);
        r->n++;
        EGO_TRY(err);
    }
    return EGO_OK;
}

static ego_err summarize_media(run *r, const char *video) {
    if (!ego_cli_name_in_shard(r->cli, video)) return EGO_OK;
    char **names = NULL;
    size_t n = 0;
    ego_err err = EGO_OK;
    if (oracles) err = list_oracles(&names, &n);
    if (err == EGO_OK && (n || queries.n)) {
        r->name = oracles ? ego_basename(oracles) : NULL;
        err = ask_each(r, video, (const char *const *)names, n);
        if (err == EGO_OK) err = ask_each(r, video, queries.items, queries.n);
    } else if (err == EGO_OK) {
        err = begin_job(r, video, 0, 0);
        if (err == EGO_OK) r->n++;
    }
    if (err == EGO_OK) err = finish_group(r);
    for (size_t i = 0; i < n; i++) free(names[i]);
    free(names);
    return err;
}

static ego_err summarize_records(run *r) {
    static const char *const reads[] = {"query", NULL};
    static const char *const writes[] = {"shots", "scores", "times", "of", "segments", "all", NULL};
    static const ego_record_rules rules = {reads, writes};
    for (;;) {
        if (r->n && ego_cli_input_paused(r->cli)) EGO_TRY(finish_group(r));
        ego_record record;
        ego_err err = ego_cli_next_record(r->cli, &rules, &record);
        if (err == EGO_EEND) break;
        job j = {.record = record};
        if (err == EGO_OK) err = ask_record(&j);
        if (err == EGO_OK) {
            EGO_TRY(begin_job(r, j.record.video, j.record.start, j.record.end));
            r->jobs[r->n++] = j;
            continue;
        }
        char message[1024];
        snprintf(message, sizeof message, "%s", ego_err_message());
        EGO_TRY(finish_group(r)); /* answers keep the order of the records */
        bool go_on = ego_cli_record_done(r->cli, &j.record, ego_fail(err, "%s", message));
        release_job(&j);
        if (!go_on) return EGO_OK;
    }
    return finish_group(r);
}

static ego_err summarize_all(run *r) {
    ego_cli *cli = r->cli;
    for (size_t i = 0; i < cli->n_media && !ego_cli_stopped(cli); i++) EGO_TRY(summarize_media(r, cli->media[i]));
    if (cli->n_files || !cli->n_media) EGO_TRY(summarize_records(r));
    ego_cli_verbose(cli, "%llu summaries of %llu videos with %llu shots", (unsigned long long)r->summaries,
                    (unsigned long long)r->videos, (unsigned long long)r->shots);
    return EGO_OK;
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

static ego_err open_head(run *r) {
    if (!head_path) return EGO_OK;
    ego_err err = ego_head_open(head_path, &ego_head_qfvs, &r->head);
    if (err != EGO_OK) return err == EGO_ENOMEM ? err : EGO_EIO; /* as a model that cannot be read */
    parts = r->head->config.qfvs.parts;
    phrasing = (int)r->head->config.qfvs.prompts;
    return EGO_OK;
}

static ego_err check_head(run *r) {
    if (!r->head) return EGO_OK;
    ego_buf warning = {0};
    if (ego_head_foreign(r->head, r->engine.model_id, &warning)) ego_cli_note(r->cli, "%s", warning.data);
    ego_buf_release(&warning);
    int64_t width = r->head->config.qfvs.width, its = ego_summary_width(by_head(r), &r->engine.model->config);
    if (width == its) return EGO_OK;
    return ego_fail(EGO_EINPUT, "%s: a head for features of width %lld, the model's are %lld wide", head_path,
                    (long long)width, (long long)its);
}

/* --dry-run: how many shots there are. */
static ego_err plan(ego_cli *cli) {
    char **names = NULL;
    size_t asked = 0;
    if (oracles) EGO_TRY(list_oracles(&names, &asked));
    for (size_t i = 0; i < asked; i++) free(names[i]);
    free(names);
    asked += queries.n;
    ego_shots_options o = {.video_root = cli->video_root,
                           .seconds = shot_seconds,
                           .frames = EGO_SHOT_FRAMES,
                           .size = 16};
    for (size_t i = 0; i < cli->n_media; i++) {
        ego_shots *shots = NULL;
        ego_buf line = {0};
        EGO_TRY(ego_shots_open(cli->media[i], &o, &shots));
        size_t n = ego_shots_count(shots);
        ego_shots_close(shots);
        ego_buf_text(&line, "{\"video\":");
        ego_buf_json_string(&line, cli->media[i], strlen(cli->media[i]));
        ego_buf_printf(&line, ",\"of\":%zu,\"shots\":%zu,\"queries\":%zu}", n,
                       ego_summary_length(n, ratio, seconds, shot_seconds), asked);
        ego_err err = ego_cli_write_line(cli, &line);
        ego_buf_release(&line);
        EGO_TRY(err);
    }
    return EGO_OK;
}

static bool check_usage(ego_cli *cli) {
    size_t videos = cli->n_media, asked = queries.n;
    if (oracles && (videos != 1 || cli->n_files))
        return ego_cli_usage(cli, "--oracles: expected the one video that they are of, found %zu", videos);
    if ((out_path || sheet_path) && (videos != 1 || cli->n_files || asked > 1 || oracles))
        return ego_cli_usage(cli, "%s: expected one video and at most one query", out_path ? "-o" : "--sheet");
    if (out_path && !ego_has_suffix(out_path, ".mp4"))
        return ego_cli_usage(cli, "%s: expected a name that ends in .mp4", out_path);
    if (asked && (cli->n_files || !videos))
        return ego_cli_usage(cli, "--query: expected videos, found records, which bring their own queries");
    if (head_path && by_given)
        return ego_cli_usage(cli, "--head and --score: expected one of them");
    if (head_path && (parts_given || phrasing_given))
        return ego_cli_usage(cli, "%s: a head brings its own: expected that or --head", parts_given ? "--parts" : "--prompts");
    if (cli->dry_run && cli->n_files)
        return ego_cli_usage(cli, "--dry-run: expected videos, found records");
    return true;
}

/* What asks nothing is looked at by the fused encoder, with a dual head beside it, too. */
static unsigned needs(const run *r) {
    if (score_by == BY_DUAL) return ego_summary_needs(EGO_SUMMARY_DUAL);
    return ego_summary_needs(EGO_SUMMARY_MATCH) | (r->head ? ego_summary_needs(by_head(r)) : 0);
}

int main(int argc, char **argv) {
    ego_cli cli;
    if (!ego_cli_begin(&cli, &tool, argc, argv)) return ego_cli_end(&cli);
    run *r = calloc(1, sizeof *r);
    ego_err err = r ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory");
    if (!cli.frames) cli.frames = EGO_SHOT_FRAMES;
    if (!check_usage(&cli)) {
        /* said */
    } else if (err != EGO_OK) {
        ego_cli_fatal(&cli, err);
    } else if (cli.dry_run) {
        if ((err = plan(&cli)) != EGO_OK) ego_cli_fatal(&cli, err);
    } else if (r->cli = &cli, (err = open_head(r)) != EGO_OK) {
        ego_cli_fatal(&cli, err);
    } else if (ego_engine_open(&r->engine, &cli, needs(r))) {
        err = check_head(r);
        if (err == EGO_OK) err = summarize_all(r);
        if (err != EGO_OK) ego_cli_fatal(&cli, err);
        for (size_t i = 0; i < r->n; i++) release_job(&r->jobs[i]);
        free(r->video);
        ego_head_close(r->head, r->engine.backend);
        r->head = NULL;
        ego_engine_close(&r->engine);
    }
    if (r) ego_head_close(r->head, NULL);
    free(r);
    ego_option_list_release(&queries);
    return ego_cli_end(&cli);
}
