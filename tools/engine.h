/* Opening what computing tools need: the pool, the backend, the model, a context. */
#ifndef EGO_TOOLS_ENGINE_H
#define EGO_TOOLS_ENGINE_H

#include "cli.h"
#include "model/egovlp.h"

typedef struct ego_engine {
    ego_pool *pool;
    ego_backend *backend;
    ego_model *model;
    ego_ctx cx;
    const char *model_id;
} ego_engine;

/* Opens the model that the options name (-m, $EGO_MODEL, the installed default) with every tensor that
 * `needs` asks for; says so when its weights are random or when it has no vocabulary. False after
 * a failure that was reported: end with ego_cli_end. */
bool ego_engine_open(ego_engine *engine, ego_cli *cli, unsigned needs);
void ego_engine_close(ego_engine *engine); /* safe on {0} */

/* The file that the options name, or NULL after saying what to do. */
const char *ego_engine_model_path(ego_cli *cli);

#endif
