#include "engine.h"

#include <string.h>
#include <unistd.h>

#ifndef EGO_DATADIR
#define EGO_DATADIR "/usr/local/share/ego"
#endif

static const char relative[] = "/share/ego/model.safetensors";

/* DIR/share/ego/model.safetensors of a tool in DIR/bin: a tree that was built or installed works
 * wherever it stands. False where the system does not tell what file this program is. */
static bool beside_the_tool(char *path, size_t size) {
    ssize_t n = readlink("/proc/self/exe", path, size);
    if (n < 0 || (size_t)n >= size) return false;
    path[n] = '\0';
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(path, '/');
        if (!slash) return false;
        *slash = '\0';
    }
    if (strlen(path) + sizeof relative > size) return false;
    strcat(path, relative);
    return access(path, R_OK) == 0;
}

const char *ego_engine_model_path(ego_cli *cli) {
    static const char installed[] = EGO_DATADIR "/model.safetensors";
    static char beside[4096];
    if (cli->model) return cli->model;
    if (beside_the_tool(beside, sizeof beside)) return beside;
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
