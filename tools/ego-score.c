/* ego-score: every metric of the papers, on anybody's predictions. */
#include "cli.h"

#include "score/bootstrap.h"
#include "task/judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT_JSON, FORMAT_TABLE };

static bool partial, ci, per_class, undefined_rows;
static const char *against, *sentences, *relevancy, *tags;
static int64_t resamples = 2000;
static int format = FORMAT_JSON;

static const ego_option options[] = {
    {.name = "partial",
     .type = EGO_OPTION_FLAG,
     .value = &partial,
     .help = "average over what is there, though something is missing or double"},
    {.name = "ci",
     .type = EGO_OPTION_FLAG,
     .value = &ci,
     .help = "bootstrap intervals of 95 % (--seed)"},
    {.name = "resamples",
     .type = EGO_OPTION_INT,
     .arg = "N",
     .value = &resamples,
     .min = 10,
     .max = 1000000,
     .help = "draws for the intervals (2000)"},
    {.name = "against",
     .type = EGO_OPTION_FILE,
     .arg = "OTHER",
     .value = &against,
     .help = "other predictions: the difference, paired"},
    {.name = "format",
     .type = EGO_OPTION_CHOICE,
     .arg = "json|table",
     .value = &format,
     .help = "a JSON line a metric, or a table to read"},
    {.name = "sentences",
     .type = EGO_OPTION_FILE,
     .arg = "FILE.csv",
     .value = &sentences,
     .help = "mir: the captions (TRUTH_sentence.csv beside TRUTH.csv)"},
    {.name = "relevancy",
     .type = EGO_OPTION_FILE,
     .arg = "FILE.pkl",
     .value = &relevancy,
     .help = "mir: the published relevancies (computed from the classes)"},
    {.name = "undefined-rows",
     .type = EGO_OPTION_FLAG,
     .value = &undefined_rows,
     .help = "mir: a query without an exact match makes mAP undefined, as published"},
    {.name = "tags",
     .type = EGO_OPTION_FILE,
     .arg = "FILE.mat",
     .value = &tags,
     .help = "qfvs: the published concepts (TRUTH/Tags.mat, else by name)"},
    {.name = "per-class",
     .type = EGO_OPTION_FLAG,
     .value = &per_class,
     .help = "charades: a line for each class as well"},
    {0}};

static const ego_cli_tool tool = {
    .name = "ego-score",
    .usage = "[OPTIONS] mcq|mir|charades|nlq|qa|qfvs PREDICTIONS TRUTH\n"
             "[OPTIONS] retrieval PREDICTIONS [TRUTH]",
    .summary = "Scores predictions of any program against a benchmark's annotations.",
    .example = "ego-score --ci --format table nlq spans.jsonl nlq_val.json",
    .options = options,
    .uses = EGO_CLI_USES_SEED | EGO_CLI_USES_PROVENANCE};

/* ---- what was found --------------------------------------------------------------------------------- */

typedef struct results {
    size_t n; /* metrics */
    const ego_judgement *judgement;
    bool has_other;
    double *value, *other;               /* (n) */
    ego_interval *interval, *difference; /* (n); NULL without --ci */
    void *memory;
} results;

/* Says what is missing or double; false when that forbids an average. */
static bool check_whole(ego_cli *cli, const char *path, const ego_judgement *j) {
    ego_buf text = {0};
    if (j->missing)
        ego_buf_printf(&text, "%zu of %zu %s have no prediction (the first: %s)", j->missing,
                       j->asked, j->units, j->missing_example);
    if (j->failed) ego_buf_printf(&text, ", %zu predictions are error lines", j->failed);
    if (j->doubled)
        ego_buf_printf(&text, "%s%zu are there more than once (the first: %s)",
                       j->missing ? "; " : "", j->doubled, j->doubled_example);
    if (j->unknown)
        ego_cli_note(cli, "%s: %zu predictions are for nothing that the truth asks (the first: %s)",
                     path, j->unknown, j->unknown_example);
    if (*j->note) ego_cli_note(cli, "%s: %s", path, j->note);
    bool whole = !j->missing && !j->doubled;
    if (!whole && partial)
        ego_cli_note(cli, "%s: %s%s", path, text.data,
                     j->doubled ? "; the first of each counts" : "");
    else if (!whole)
        ego_cli_fault(cli, "%s: %s: no figure is given (--partial averages over what is there)",
                      path, text.data);
    ego_buf_release(&text);
    return whole || partial;
}

static ego_err make_room(results *r) {
    size_t n = r->n + 1;
    double *memory = calloc(2 * n * sizeof(double) + 2 * n * sizeof(ego_interval), 1);
    if (!memory) return ego_fail(EGO_ENOMEM, "out of memory for %zu metrics", n);
    r->memory = memory;
    r->value = memory;
    r->other = memory + n;
    if (!ci) return EGO_OK;
    r->interval = (ego_interval *)(memory + 2 * n);
    r->difference = r->interval + n;
    return EGO_OK;
}

static ego_err compute(ego_cli *cli, ego_judgement *a, ego_judgement *b, results *r) {
    ego_progress progress = ego_cli_progress(cli);
    ego_bootstrap plan = {
        .resamples = (size_t)resamples, .level = 0.95, .seed = (uint64_t)cli->seed};
    size_t dropped = 0;
    if (b) EGO_TRY(ego_judgements_pair(a, b, &dropped));
    if (dropped)
        ego_cli_note(cli, "%zu %s are in one of the two alone: both are scored without them",
                     dropped, a->units);
    *r = (results){.n = a->tally.n_metrics, .judgement = a, .has_other = b != NULL};
    EGO_TRY(make_room(r));
    ego_tally_evaluate(&a->tally, NULL, r->value);
    if (b) ego_tally_evaluate(&b->tally, NULL, r->other);
    if (!ci) return EGO_OK;
    EGO_TRY(ego_bootstrap_run(&plan, &a->tally, NULL, &progress, r->interval));
    return b ? ego_bootstrap_run(&plan, &a->tally, &b->tally, &progress, r->difference) : EGO_OK;
}

/* ---- output ----------------------------------------------------------------------------------------- */

static void add_number(ego_buf *line, const char *key, double value) {
    ego_buf_json_key(line, key);
    ego_buf_json_double(line, value);
}

static ego_err write_json(ego_cli *cli, const results *r) {
    ego_buf line = {0};
    ego_err err = EGO_OK;
    for (size_t m = 0; err == EGO_OK && m < r->n; m++) {
        const ego_metric *metric = &r->judgement->tally.metrics[m];
        size_t n, of;
        if (metric->hidden) continue;
        ego_tally_count(&r->judgement->tally, m, &n, &of);
        ego_buf_printf(&line, "{\"task\":\"%s\",\"metric\":", cli->args[0]);
        ego_buf_json_string(&line, metric->name, strlen(metric->name));
        add_number(&line, "value", r->value[m]);
        add_number(&line, "n", (double)n);
        add_number(&line, "of", (double)of);
        if (ci) {
            add_number(&line, "low", r->interval[m].low);
            add_number(&line, "high", r->interval[m].high);
        }
        if (r->has_other) {
            add_number(&line, "other", r->other[m]);
            add_number(&line, "difference", r->value[m] - r->other[m]);
        }
        if (r->has_other && ci) {
            add_number(&line, "difference_low", r->difference[m].low);
            add_number(&line, "difference_high", r->difference[m].high);
        }
        ego_cli_add_provenance(cli, NULL, NULL, &line);
        ego_buf_char(&line, '}');
        err = ego_cli_write_line(cli, &line);
    }
    ego_buf_release(&line);
    return err;
}

static void add_cell(ego_buf *line, double value) {
    if (isnan(value))
        ego_buf_printf(line, "  %8s", "-");
    else
        ego_buf_printf(line, "  %8.2f", value);
}

static void add_interval(ego_buf *line, ego_interval i) {
    add_cell(line, i.low);
    ego_buf_text(line, isnan(i.low) ? "   " : " to");
    add_cell(line, i.high);
}

static int name_width(const results *r) {
    size_t width = strlen("metric");
    for (size_t m = 0; m < r->n; m++) {
        const ego_metric *metric = &r->judgement->tally.metrics[m];
        if (!metric->hidden && strlen(metric->name) > width) width = strlen(metric->name);
    }
    return (int)width;
}

static ego_err write_table(ego_cli *cli, const results *r) {
    ego_buf line = {0};
    int width = name_width(r);
    ego_buf_printf(&line, "%-*s  %8s", width, "metric", "value");
    if (ci) ego_buf_printf(&line, "  %21s", "95 % interval");
    if (r->has_other) ego_buf_printf(&line, "  %8s  %8s", "other", "differs");
    if (r->has_other && ci) ego_buf_printf(&line, "  %21s", "95 % interval");
    ego_buf_printf(&line, "  %8s", "n");
    ego_err err = ego_cli_write_line(cli, &line);
    for (size_t m = 0; err == EGO_OK && m < r->n; m++) {
        const ego_metric *metric = &r->judgement->tally.metrics[m];
        size_t n, of;
        if (metric->hidden) continue;
        ego_tally_count(&r->judgement->tally, m, &n, &of);
        ego_buf_printf(&line, "%-*s", width, metric->name);
        add_cell(&line, r->value[m]);
        if (ci) add_interval(&line, r->interval[m]);
        if (r->has_other) add_cell(&line, r->other[m]);
        if (r->has_other) add_cell(&line, r->value[m] - r->other[m]);
        if (r->has_other && ci) add_interval(&line, r->difference[m]);
        ego_buf_printf(&line, "  %8zu", n);
        if (n != of) ego_buf_printf(&line, " of %zu", of);
        err = ego_cli_write_line(cli, &line);
    }
    ego_buf_release(&line);
    return err;
}

/* ---- the whole -------------------------------------------------------------------------------------- */

static bool find_task(ego_cli *cli, ego_judge_task *task) {
    static const char *const names[EGO_JUDGE_COUNT] = {
#define EGO_JUDGES_NAME(name, units, truth) #name,
        EGO_JUDGES(EGO_JUDGES_NAME)
#undef EGO_JUDGES_NAME
    };
    for (int t = 0; cli->n_args && t < EGO_JUDGE_COUNT; t++)
        if (strcmp(cli->args[0], names[t]) == 0) return *task = (ego_judge_task)t, true;
    return ego_cli_usage(cli,
                         "a task expected (mcq, mir, charades, nlq, qa, qfvs, retrieval), found %s",
                         cli->n_args ? cli->args[0] : "nothing");
}

static bool check_arguments(ego_cli *cli, ego_judge_task task) {
    size_t least = task == EGO_JUDGE_retrieval ? 2 : 3;
    if (cli->n_args < least)
        return ego_cli_usage(cli, "%s: %s missing", cli->args[0],
                             cli->n_args < 2 ? "predictions and truth are" : "the truth is");
    if (cli->n_args > 3)
        return ego_cli_usage(cli, "%s: predictions and truth expected, found %zu arguments",
                             cli->args[0], cli->n_args - 1);
    return true;
}

static void score(ego_cli *cli, ego_judge_task task) {
    ego_progress progress = ego_cli_progress(cli);
    ego_judge_options o = {.truth = cli->n_args > 2 ? cli->args[2] : NULL,
                           .sentences = sentences,
                           .relevancy = relevancy,
                           .undefined_rows = undefined_rows,
                           .tags = tags,
                           .per_class = per_class,
                           .progress = &progress};
    ego_judgement a = {0}, b = {0};
    results r = {0};
    ego_err err = ego_judge(task, cli->args[1], &o, &a);
    if (err == EGO_OK && against) err = ego_judge(task, against, &o, &b);
    bool good = err == EGO_OK && check_whole(cli, cli->args[1], &a);
    if (err == EGO_OK && against) good &= check_whole(cli, against, &b);
    if (good) err = compute(cli, &a, against ? &b : NULL, &r);
    if (good && err == EGO_OK)
        err = format == FORMAT_TABLE ? write_table(cli, &r) : write_json(cli, &r);
    if (err != EGO_OK) ego_cli_fatal(cli, err);
    free(r.memory);
    ego_judgement_release(&a);
    ego_judgement_release(&b);
}

int main(int argc, char **argv) {
    ego_cli cli;
    ego_judge_task task = EGO_JUDGE_mcq;
    if (!ego_cli_begin(&cli, &tool, argc, argv)) return ego_cli_end(&cli);
    if (find_task(&cli, &task) && check_arguments(&cli, task)) score(&cli, task);
    return ego_cli_end(&cli);
}
