/* ego-train: pre-training, and the training of the tasks' heads, each from a configuration. */
#include "cli.h"

#include "recipe/heads.h"
#include "recipe/nlq_train.h"
#include "recipe/pretrain.h"
#include "recipe/qa_head.h"
#include "recipe/qfvs_head.h"
#include "recipe/tune.h"

#include <signal.h>
#include <stdlib.h>
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
               "predictor), qa (an answer head), qfvs (a summary head) or heads (qa and\n"
               "qfvs over one model that learns along).\n"
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

static const ego_recipe *const recipes[] = {&ego_recipe_pretrain, &ego_recipe_mir, &ego_recipe_charades,
                                            &ego_recipe_nlq,      &ego_recipe_qa,  &ego_recipe_qfvs,
                                            &ego_recipe_heads};
enum { RECIPES = sizeof recipes / sizeof *recipes };

static const ego_recipe *find_recipe(const char *name) {
    for (size_t i = 0; i < RECIPES; i++)
        if (strcmp(recipes[i]->name, name) == 0) return recipes[i];
    return NULL;
}

static bool usage_is_good(ego_cli *cli) {
    ego_buf names = {0}; /* "pretrain, qa" */
    bool good = cli->n_args == 2 && find_recipe(cli->args[0]);
    for (size_t i = 0; i < RECIPES; i++) ego_buf_printf(&names, "%s%s", i ? ", " : "", recipes[i]->name);
    if (!good)
        ego_cli_usage(cli, "expected: RECIPE CONFIG.json, RECIPE one of %s", names.data ? names.data : "");
    ego_buf_release(&names);
    return good;
}

/* CONFIG.json, then --config, then each --set; the last word wins. */
static ego_err read_config(const ego_cli *cli, const ego_recipe *recipe, void *config) {
    EGO_TRY(ego_recipe_read_file(recipe, config, cli->args[1]));
    if (cli->config) EGO_TRY(ego_recipe_read_file(recipe, config, cli->config));
    for (size_t i = 0; i < cli->set.n; i++) EGO_TRY(ego_recipe_override(recipe, config, cli->set.items[i]));
    return ego_recipe_check(recipe, config);
}

static ego_err show_plan(ego_cli *cli, const ego_recipe *recipe, void *config, const ego_training *with) {
    ego_buf line = {0};
    ego_err err = recipe->plan(config, with, &line);
    if (err == EGO_OK && ego_dist_rank(with->dist) == 0) err = ego_cli_write_line(cli, &line);
    ego_buf_release(&line);
    return err;
}

static ego_err follow(ego_cli *cli, const ego_recipe *recipe, const ego_training *with) {
    void *config = malloc(recipe->size);
    if (!config) return ego_fail(EGO_ENOMEM, "out of memory for the configuration");
    ego_recipe_init(recipe, config);
    ego_err err = read_config(cli, recipe, config);
    if (err == EGO_OK) err = cli->dry_run ? show_plan(cli, recipe, config, with) : recipe->train(config, with);
    ego_recipe_release(recipe, config);
    free(config);
    return err;
}

static ego_err train(ego_cli *cli, const ego_recipe *recipe, ego_dist *dist) {
    bool first = ego_dist_rank(dist) == 0;
    ego_progress progress = first ? ego_cli_progress(cli) : (ego_progress){.report = go_on, .context = cli};
    ego_notice notice = {say, cli};
    ego_training with = {.dist = dist, .resume = resume, .progress = &progress, .notice = &notice};
    ego_err err = ego_pool_new((unsigned)cli->threads, &with.pool);
    if (err == EGO_OK) err = follow(cli, recipe, &with);
    if (err == EGO_ECANCELLED && first) ego_cli_note(cli, "%s", ego_err_message());
    ego_pool_free(with.pool);
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
