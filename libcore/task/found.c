#include "task/found.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

ego_err ego_found_rerank(ego_reranker *reranker, const ego_record *query, ego_found *c, size_t n) {
    if (n == 0) return EGO_OK;
    const ego_record **targets = calloc(n, sizeof(*targets));
    double *vtm = calloc(n, sizeof *vtm);
    ego_err err = targets && vtm ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; err == EGO_OK && i < n; i++) targets[i] = &c[i].target;
    if (err == EGO_OK) err = ego_rerank(reranker, query, targets, n, vtm);
    for (size_t i = 0; err == EGO_OK && i < n; i++) c[i].vtm = vtm[i];
    for (size_t i = 1; err == EGO_OK && i < n; i++) { /* insertion keeps the order of equals */
        ego_found moved = c[i];
        double key = isnan(moved.vtm) ? -1 : moved.vtm;
        size_t j = i;
        for (; j > 0 && (isnan(c[j - 1].vtm) ? -1 : c[j - 1].vtm) < key; j--) c[j] = c[j - 1];
        c[j] = moved;
    }
    free((void *)targets);
    free(vtm);
    return err;
}

static bool has_part(const ego_record *record, const char *wanted) {
    const char *found;
    return ego_json_string(ego_json_get(record->json, "part"), &found) && strcmp(found, wanted) == 0;
}

const ego_calibration *ego_found_calibration(const ego_calibration *c, const ego_record *query,
                                             const ego_record *target) {
    if (!c || !has_part(query, "text") || !has_part(target, "video")) return NULL;
    return ego_calibration_holds(c) ? c : NULL;
}

bool ego_found_likely(const ego_calibration *c, double score) {
    return ego_calibration_p(c, score) <= EGO_CALIBRATION_LEVEL;
}

void ego_found_write(const ego_found *c, const ego_record *query, size_t rank, const ego_calibration *calibration,
                     ego_buf *line) {
    ego_buf_printf(line, "{\"query\":%s", query->id);
    if (rank) ego_buf_printf(line, ",\"rank\":%zu", rank);
    ego_buf_printf(line, ",\"id\":%s,\"score\":", c->target.id);
    if (isnan(c->vtm)) {
        ego_buf_json_float(line, c->hit.score);
    } else {
        ego_buf_json_float(line, (float)c->vtm);
        ego_buf_json_key(line, "dual");
        ego_buf_json_float(line, c->hit.score);
        ego_buf_json_key(line, "vtm");
        ego_buf_json_float(line, (float)c->vtm);
    }
    if (calibration) {
        ego_buf_json_key(line, "p");
        ego_buf_json_float(line, (float)ego_calibration_p(calibration, c->hit.score));
        ego_buf_json_key(line, "likely");
        ego_buf_text(line, ego_found_likely(calibration, c->hit.score) ? "true" : "false");
    }
}
