/* ego-train: pre-training from a configuration. */
#include "cli.h"

#include "recipe/pretrain.h"

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
    .usage = "pretrain CONFIG.json [--set KEY=VALUE]... [--resume]\n"
             "pretrain CONFIG.json --dry-run",
    .summary = "Trains EgoVLPv2 with EgoNCE, masked language modelling and video-text matching.\n"
               "Writes log.jsonl and checkpoints to the configuration's run.out.",
    .example = "ego-train pretrain weights/ego-small.json --resume\n"
               "mpirun -n 4 ego-train pretrain big.json --set run.batch=8",
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

static ego_err show_plan(ego_cli *cli, const ego_pretrain_options *o) {
    ego_pretrain_plan p;
    ego_buf line = {0};
    EGO_TRY(ego_pretrain_measure(o, &p));
    if (ego_dist_rank(o->dist) != 0) return EGO_OK;
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

static ego_err pretrain(ego_cli *cli, const char *path, ego_dist *dist) {
    ego_train_config config = {0};
    ego_pool *pool = NULL;
    bool first = ego_dist_rank(dist) == 0;
    ego_progress progress = first ? ego_cli_progress(cli) : (ego_progress){.report = go_on, .context = cli};
    ego_notice notice = {say, cli};
    ego_err err = read_config(cli, path, &config);
    if (err == EGO_OK) err = ego_pool_new((unsigned)cli->threads, &pool);
    if (err == EGO_OK) {
        ego_pretrain_options o = {.config = &config,
                                  .pool = pool,
                                  .dist = dist,
                                  .resume = resume,
                                  .progress = &progress,
                                  .notice = &notice};
        err = cli->dry_run ? show_plan(cli, &o) : ego_pretrain(&o);
    }
    if (err == EGO_ECANCELLED && first) ego_cli_note(cli, "%s", ego_err_message());
    ego_pool_free(pool);
    ego_train_config_release(&config);
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
    else if (cli.n_args != 2 || strcmp(cli.args[0], "pretrain") != 0)
        ego_cli_usage(&cli, "expected: pretrain CONFIG.json");
    else if ((err = pretrain(&cli, cli.args[1], dist)) != EGO_OK) {
        if (err == EGO_ECANCELLED) agree_on_signal(&cli, dist);
        ego_cli_fatal(&cli, err);
        if (err != EGO_ECANCELLED) ego_dist_abort(dist, cli.status); /* the others would wait for ever */
    }
    ego_dist_end(dist);
    return ego_cli_end(&cli);
}
