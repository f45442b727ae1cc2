#include "base/provenance.h"

#include <inttypes.h>
#include <string.h>

#ifndef EGO_VERSION
#define EGO_VERSION "0.0.0"
#endif

const char *ego_version(void) { return EGO_VERSION; }

static void member(ego_buf *json, const char *key, const char *text) {
    ego_buf_json_key(json, key);
    ego_buf_json_string(json, text, strlen(text));
}

void ego_provenance_write(const ego_provenance *p, ego_buf *json) {
    ego_buf_char(json, '{');
    member(json, "tool", p->tool);
    member(json, "version", ego_version());
    if (p->model) member(json, "model", p->model);
    if (p->config) {
        ego_buf_json_key(json, "config");
        ego_buf_text(json, p->config);
    }
    if (p->has_seed) {
        ego_buf_json_key(json, "seed");
        ego_buf_printf(json, "%" PRIu64, p->seed);
    }
    ego_buf_char(json, '}');
}
