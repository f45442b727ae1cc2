#include "engine.h"

#include <string.h>
#include <unistd.h>

#ifndef EGO_DATADIR
#define EGO_DATADIR "/usr/local/share/ego"
#endif

const char *ego_engine_model_path(ego_cli *cli) {
    static const char installed[] = EGO_DATADIR "/model.safetensors";
    if (cli->model) return cli->model;
    if (access(installed, R_OK) == 0) return installed;
    ego_cli_usage(cli, "no model: give --model FILE or set EGO_MODEL (%s is not there; "
                       "`ego-model init -o FILE` makes one with random weights)", installed);
    return NULL;
}

bool ego_engine_open(ego_engine *engine, ego_cli *cli, unsigned needs) {
    *engine = (ego_engine){0};
    const char *path = ego_engine_model_path(cli);
    if (!path) return false;
    ego_model_options options = {.tokenizer = cli->tokenizer,
                                 .config = cli->config,
                                 .overrides = cli->set.items,
                                 .n_overrides = cli->set.n,
                                 .frames = cli->frames,
                                 .needs = needs};
    ego_err err = ego_pool_new((unsigned)cli->threads, &engine->pool);
    if (err == EGO_OK) err = ego_cpu_backend_new(engine->pool, &engine->backend);
    if (err == EGO_OK) ego_ctx_init(&engine->cx, engine->backend);
    if (err == EGO_OK) err = ego_model_open(path, &options, &engine->model);
    if (err == EGO_OK) err = ego_model_id(engine->model, &engine->model_id);
    if (err != EGO_OK) {
        ego_engine_close(engine);
        return ego_cli_fatal(cli, err == EGO_EMODEL || err == EGO_EFORMAT ? EGO_EIO : err);
    }
    if (engine->model->random)
        ego_cli_note(cli, "%s: its weights are random: rankings mean nothing until a trained model "
                          "takes its place", path);
    if (engine->model->bpe && ego_bpe_is_bytes(engine->model->bpe))
        ego_cli_note(cli, "%s: no vocabulary in the file and no --tokenizer: text goes in byte by byte",
                     path);
    return true;
}

void ego_engine_close(ego_engine *engine) {
    ego_model_close(engine->model, engine->backend);
    ego_ctx_release(&engine->cx);
    ego_backend_free(engine->backend);
    ego_pool_free(engine->pool);
    *engine = (ego_engine){0};
}
