/* ego-train: pre-training, and the training of the tasks' heads, each from a configuration. */
#include "cli.h"

#include "recipe/nlq_train.h"
#include "recipe/pretrain.h"
#include "recipe/qa_head.h"
#include "recipe/qfvs_head.h"
#include "recipe/tune.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <string.h>

static bool resume;

static const ego_option options[] = {
    {.name = "resume", .type = EGO_OPTION_FLAG, .value = &resume, .help = "go on from the newest whole checkpoint, if there is one"},
    {0}};

static const ego_cli_tool tool = {
    .name = "ego-train",
    .usage = "RECIPE CONFIG.json [--set KEY=VALUE]... [--resume]\n"
             "RECIPE CONFIG.json --dry-run",
    .summary = "Trains what RECIPE names: pretrain (EgoVLPv2 with EgoNCE, masked words and\n"
               "matching), mir or charades (its dual path for retrieval), nlq (a span\n"
               "predictor), qa (an answer head) or qfvs (a summary head).\n"
               "Writes log.jsonl and checkpoints to the configuration's run.out.",
    .example = "ego-train pretrain weights/small/dual.json --resume\n"
               "mpirun -n 4 ego-train pretrain big.json --set run.batch=8\n"
               "ego-train qa qa.json --set run.epochs=10",
    .options = options,
    .uses = EGO_CLI_USES_WORK | EGO_CLI_USES_CONFIG | EGO_CLI_USES_PLAN};

static void say(void *context, const char *message) { ego_cli_note(context, "%s", message); }

/* What a rank other than the first does with progress: a signal stops it, and with it all. */
static bool go_on(void *context, const char *what, uint64_t done, uint64_t total) {
    (void)what, (void)done, (void)total;
    return !ego_cli_stopped(context);
}

/* CONFIG.json, then --config, then each --set; the last word wins. */
static ego_err read_config(const ego_cli *cli, const char *path, ego_train_config *config) {
    EGO_TRY(ego_train_config_new(config));
    EGO_TRY(ego_train_config_read_file(path, config));
    if (cli->config) EGO_TRY(ego_train_config_read_file(cli->config, config));
    for (size_t i = 0; i < cli->set.n; i++) EGO_TRY(ego_train_config_override(config, cli->set.items[i]));
    return ego_train_config_check(config);
}

static double rounded(double x, double parts) { return round(x * parts) / parts; }

static ego_err show_plan(ego_cli *cli, const ego_pretrain_plan *plan, const ego_dist *dist) {
    ego_pretrain_plan p = *plan;
    ego_buf line = {0};
    if (ego_dist_rank(dist) != 0) return EGO_OK;
    ego_buf_printf(&line, "{\"parameters\":%" PRId64 ",\"rows\":%" PRId64 ",\"steps\":%" PRId64
                          ",\"steps_per_epoch\":%" PRId64 ",\"samples_per_step\":%" PRId64,
                   p.parameters, p.rows, p.steps, p.steps_per_epoch, p.batch);
    ego_buf_printf(&line, ",\"weights_bytes\":%zu,\"activation_bytes\":%zu,\"resident_bytes\":%zu", p.weights_bytes,
                   p.activation_bytes, p.resident_bytes);
    ego_buf_json_key(&line, "seconds_per_step");
    ego_buf_json_double(&line, rounded(p.seconds, 1e4));
    ego_buf_json_key(&line, "hours");
    ego_buf_json_double(&line, rounded(p.seconds * (double)p.steps / 3600, 1e4));
    ego_buf_char(&line, '}');
    ego_err err = ego_cli_write_line(cli, &line);
    ego_buf_release(&line);
    return err;
}

/* What every recipe gets. */
typedef struct job {
    ego_cli *cli;
    const char *path; /* of the configuration */
    ego_dist *dist;
    ego_pool *pool;
    const ego_progress *progress;
    const ego_notice *notice;
} job;

static ego_err pretrain(const job *j) {
    ego_train_config config = {0};
    ego_err err = read_config(j->cli, j->path, &config);
    if (err == EGO_OK) {
        ego_pretrain_options o = {.config = &config,
                                  .pool = j->pool,
                                  .dist = j->dist,
                                  .resume = resume,
                                  .progress = j->progress,
                                  .notice = j->notice};
        ego_pretrain_plan plan;
        err = j->cli->dry_run ? ego_pretrain_measure(&o, &plan) : ego_pretrain(&o);
        if (err == EGO_OK && j->cli->dry_run) err = show_plan(j->cli, &plan, j->dist);
    }
    ego_train_config_release(&config);
    return err;
}

/* ---- heads --------------------------------------------------------------------------------------- */

/* As read_config, of a recipe whose keys are a table. */
static ego_err read_settings(const ego_cli *cli, const char *path, const ego_settings *settings) {
    EGO_TRY(ego_settings_read_file(settings, path));
    if (cli->config) EGO_TRY(ego_settings_read_file(settings, cli->config));
    for (size_t i = 0; i < cli->set.n; i++) EGO_TRY(ego_settings_override(settings, cli->set.items[i]));
    return EGO_OK;
}

/* What every head's plan ends with; writes the line. */
static ego_err end_head_plan(ego_cli *cli, ego_buf *line, int64_t steps, int64_t steps_per_epoch, int64_t batch) {
    ego_buf_printf(line, ",\"steps\":%" PRId64 ",\"steps_per_epoch\":%" PRId64 ",\"samples_per_step\":%" PRId64 "}",
                   steps, steps_per_epoch, batch);
    ego_err err = ego_cli_write_line(cli, line);
    ego_buf_release(line);
    return err;
}

static ego_err show_qa_plan(ego_cli *cli, const ego_qa_train_options *o) {
    ego_qa_train_plan p;
    ego_buf line = {0};
    EGO_TRY(ego_qa_train_measure(o, &p));
    ego_buf_printf(&line, "{\"parameters\":%" PRId64 ",\"answers\":%" PRId64 ",\"questions\":%" PRId64
                          ",\"validate\":%" PRId64, p.parameters, p.answers, p.questions, p.held_out);
    return end_head_plan(cli, &line, p.steps, p.steps_per_epoch, p.batch);
}

static ego_err train_qa(const job *j) {
    ego_qa_train_config config;
    ego_qa_train_config_init(&config);
    ego_settings settings = ego_qa_train_settings(&config);
    ego_err err = read_settings(j->cli, j->path, &settings);
    if (err == EGO_OK) err = ego_qa_train_config_check(&config);
    if (err == EGO_OK) {
        ego_qa_train_options o = {.config = &config,
                                  .pool = j->pool,
                                  .dist = j->dist,
                                  .resume = resume,
                                  .progress = j->progress,
                                  .notice = j->notice};
        err = j->cli->dry_run ? show_qa_plan(j->cli, &o) : ego_qa_train(&o);
    }
    ego_qa_train_config_release(&config);
    return err;
}

static ego_err show_qfvs_plan(ego_cli *cli, const ego_qfvs_train_options *o) {
    ego_qfvs_train_plan p;
    ego_buf line = {0};
    EGO_TRY(ego_qfvs_train_measure(o, &p));
    ego_buf_printf(&line, "{\"parameters\":%" PRId64 ",\"queries\":%" PRId64 ",\"validate\":%" PRId64
                          ",\"shots\":%" PRId64, p.parameters, p.queries, p.held_out, p.shots);
    ego_buf_printf(&line, ",\"lower_halves\":%" PRId64 ",\"upper_halves\":%" PRId64, p.lower, p.upper);
    return end_head_plan(cli, &line, p.steps, p.steps_per_epoch, p.batch);
}

static ego_err train_qfvs(const job *j) {
    ego_qfvs_train_config config;
    ego_qfvs_train_config_init(&config);
    ego_settings settings = ego_qfvs_train_settings(&config);
    ego_err err = read_settings(j->cli, j->path, &settings);
    if (err == EGO_OK) err = ego_qfvs_train_config_check(&config);
    if (err == EGO_OK) {
        ego_qfvs_train_options o = {.config = &config,
                                    .pool = j->pool,
                                    .dist = j->dist,
                                    .resume = resume,
                                    .progress = j->progress,
                                    .notice = j->notice};
        err = j->cli->dry_run ? show_qfvs_plan(j->cli, &o) : ego_qfvs_train(&o);
    }
    ego_qfvs_train_config_release(&config);
    return err;
}

static ego_err show_nlq_plan(ego_cli *cli, const ego_nlq_train_options *o) {
    ego_nlq_train_plan p;
    ego_buf line = {0};
    EGO_TRY(ego_nlq_train_measure(o, &p));
    ego_buf_printf(&line, "{\"parameters\":%" PRId64 ",\"queries\":%" PRId64 ",\"validate\":%" PRId64
                          ",\"clips\":%" PRId64 ",\"pairs\":%" PRId64, p.parameters, p.queries, p.held_out, p.clips,
                   p.pairs);
    return end_head_plan(cli, &line, p.steps, p.steps_per_epoch, p.batch);
}

static ego_err train_nlq(const job *j) {
    ego_nlq_train_config config;
    ego_nlq_train_config_init(&config);
    ego_settings settings = ego_nlq_train_settings(&config);
    ego_err err = read_settings(j->cli, j->path, &settings);
    if (err == EGO_OK) err = ego_nlq_train_config_check(&config);
    if (err == EGO_OK) {
        ego_nlq_train_options o = {.config = &config,
                                   .pool = j->pool,
                                   .dist = j->dist,
                                   .resume = resume,
                                   .progress = j->progress,
                                   .notice = j->notice};
        err = j->cli->dry_run ? show_nlq_plan(j->cli, &o) : ego_nlq_train(&o);
    }
    ego_nlq_train_config_release(&config);
    return err;
}

/* ---- fine-tuning --------------------------------------------------------------------------------- */

static ego_err tune(const job *j, ego_tune_kind kind) {
    ego_tune_config config;
    ego_tune_config_init(&config, kind);
    ego_settings settings = ego_tune_settings(&config);
    ego_err err = read_settings(j->cli, j->path, &settings);
    if (err == EGO_OK) err = ego_tune_config_check(&config);
    if (err == EGO_OK) {
        ego_tune_options o = {.config = &config,
                              .pool = j->pool,
                              .dist = j->dist,
                              .resume = resume,
                              .progress = j->progress,
                              .notice = j->notice};
        ego_pretrain_plan plan;
        err = j->cli->dry_run ? ego_tune_measure(&o, &plan) : ego_tune(&o);
        if (err == EGO_OK && j->cli->dry_run) err = show_plan(j->cli, &plan, j->dist);
    }
    ego_tune_config_release(&config);
    return err;
}

static ego_err tune_mir(const job *j) { return tune(j, EGO_TUNE_MIR); }
static ego_err tune_charades(const job *j) { return tune(j, EGO_TUNE_CHARADES); }

/* ---- the recipes --------------------------------------------------------------------------------- */

static const struct recipe {
    const char *name;
    ego_err (*train)(const job *job);
} recipes[] = {
    {"pretrain", pretrain},
    {"mir", tune_mir},
    {"charades", tune_charades},
    {"nlq", train_nlq},
    {"qa", train_qa},
    {"qfvs", train_qfvs},
};

static const struct recipe *find_recipe(const char *name) {
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
        if (strcmp(recipes[i].name, name) == 0) return &recipes[i];
    return NULL;
}

/* "pretrain, qa", for messages. */
static void list_recipes(ego_buf *list) {
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
        ego_buf_printf(list, "%s%s", i ? ", " : "", recipes[i].name);
}

static bool usage_is_good(ego_cli *cli) {
    ego_buf names = {0};
    bool good = cli->n_args == 2 && find_recipe(cli->args[0]);
    list_recipes(&names);
    if (!good)
        ego_cli_usage(cli, "expected: RECIPE CONFIG.json, RECIPE one of %s", names.data ? names.data : "");
    ego_buf_release(&names);
    return good;
}

static ego_err train(ego_cli *cli, const struct recipe *recipe, ego_dist *dist) {
    bool first = ego_dist_rank(dist) == 0;
    ego_progress progress = first ? ego_cli_progress(cli) : (ego_progress){.report = go_on, .context = cli};
    ego_notice notice = {say, cli};
    job j = {.cli = cli, .path = cli->args[1], .dist = dist, .progress = &progress, .notice = &notice};
    ego_err err = ego_pool_new((unsigned)cli->threads, &j.pool);
    if (err == EGO_OK) err = recipe->train(&j);
    if (err == EGO_ECANCELLED && first) ego_cli_note(cli, "%s", ego_err_message());
    ego_pool_free(j.pool);
    return err;
}

/* A signal to one rank stops all of them; they end with the same status, for the launcher reports whichever
 * ends first. Every rank calls this. */
static void agree_on_signal(ego_cli *cli, ego_dist *dist) {
    static const int signals[] = {SIGUSR1, SIGTERM, SIGINT};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        bool any = false;
        if (ego_dist_any(dist, ego_cli_signal() == signals[i], &any) == EGO_OK && any)
            cli->status = EGO_EXIT_SIGNAL + signals[i];
    }
}

int main(int argc, char **argv) {
    ego_cli cli;
    ego_dist *dist = NULL;
    ego_err err = ego_dist_start(&argc, &argv, &dist);
    if (!ego_cli_begin(&cli, &tool, argc, argv)) {
        ego_dist_end(dist);
        return ego_cli_end(&cli);
    }
    if (err != EGO_OK)
        ego_cli_fatal(&cli, err);
    else if (usage_is_good(&cli) && (err = train(&cli, find_recipe(cli.args[0]), dist)) != EGO_OK) {
        if (err == EGO_ECANCELLED) agree_on_signal(&cli, dist);
        ego_cli_fatal(&cli, err);
        if (err != EGO_ECANCELLED) ego_dist_abort(dist, cli.status); /* the others would wait for ever */
    }
    ego_dist_end(dist);
    return ego_cli_end(&cli);
}
