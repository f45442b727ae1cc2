#include "task/calibration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 }; /* narrations of a list */

ego_err ego_calibration_init(const char *list, size_t n, ego_calibration *c) {
    *c = (ego_calibration){.n = n, .best = n <= MOST ? malloc((n + 1) * sizeof(float)) : NULL};
    if (!c->best) return ego_fail(EGO_ENOMEM, "out of memory for %zu unrelated narrations", n);
    strncpy(c->list, list, sizeof c->list - 1);
    for (size_t i = 0; i < n; i++) c->best[i] = -2;
    return EGO_OK;
}

void ego_calibration_release(ego_calibration *c) {
    free(c->best);
    *c = (ego_calibration){0};
}

ego_err ego_calibration_join(ego_calibration *all, const ego_calibration *more) {
    if (!all->best) EGO_TRY(ego_calibration_init(more->list, more->n, all));
    if (all->n != more->n || strcmp(all->list, more->list) != 0)
        return ego_fail(EGO_EINPUT, "calibrated on two lists of unrelated narrations: %s and %s",
                        all->list, more->list);
    for (size_t i = 0; i < all->n; i++)
        if (more->best[i] > all->best[i]) all->best[i] = more->best[i];
    all->clips += more->clips;
    return EGO_OK;
}

/* How many unrelated narrations a likely match may leave above it, and one more. */
static size_t rank_of_threshold(const ego_calibration *c) {
    return (size_t)floor(EGO_CALIBRATION_LEVEL * (double)(c->n + 1) + 1e-9);
}

bool ego_calibration_holds(const ego_calibration *c) {
    return c->best && c->clips > 0 && rank_of_threshold(c) > 0;
}

double ego_calibration_p(const ego_calibration *c, double score) {
    size_t above = 0;
    for (size_t i = 0; i < c->n; i++) above += c->best[i] >= score;
    return (double)(1 + above) / (double)(c->n + 1);
}

/* The value of that rank: found by counting, which needs no sorted copy. */
double ego_calibration_threshold(const ego_calibration *c) {
    size_t rank = rank_of_threshold(c);
    float threshold = -2;
    for (size_t i = 0; i < c->n; i++) {
        size_t above = 0;
        for (size_t j = 0; j < c->n; j++) above += c->best[j] >= c->best[i];
        if (above >= rank && c->best[i] > threshold) threshold = c->best[i];
    }
    return threshold;
}

ego_err ego_calibration_record(const ego_calibration *c, ego_record *record, ego_tensor *elements) {
    static const ego_record_rules none;
    ego_buf line = {0};
    ego_buf_printf(&line, "{\"id\":\"" EGO_CALIBRATION_PART "\",\"list\":\"%s\",\"clips\":%llu}",
                   c->list, (unsigned long long)c->clips);
    ego_err err = ego_buf_err(&line);
    if (err == EGO_OK)
        err = ego_record_parse(line.data, line.len, EGO_CALIBRATION_PART, 1, 1, &none, record);
    ego_buf_release(&line);
    *elements = (ego_tensor){c->best, EGO_F32, 1, {(int64_t)c->n}};
    return err;
}

ego_err ego_calibration_read(const ego_json *header, const ego_tensor *elements,
                             ego_calibration *c) {
    const char *list;
    int64_t clips;
    *c = (ego_calibration){0};
    if (!ego_json_string(ego_json_get(header, "list"), &list) ||
        strlen(list) >= EGO_CALIBRATION_LIST)
        return ego_fail(EGO_EFORMAT, "calibration: \"list\": expected up to %d characters",
                        EGO_CALIBRATION_LIST - 1);
    if (!ego_json_integer(ego_json_get(header, "clips"), &clips) || clips < 0)
        return ego_fail(EGO_EFORMAT, "calibration: \"clips\": expected a whole number");
    if (elements->dtype != EGO_F32 || elements->ndim != 1 || elements->shape[0] > MOST)
        return ego_fail(EGO_EFORMAT, "calibration: expected float32 (N), N to %d", MOST);
    EGO_TRY(ego_calibration_init(list, (size_t)elements->shape[0], c));
    c->clips = (uint64_t)clips;
    if (c->n) memcpy(c->best, elements->data, c->n * sizeof *c->best);
    return EGO_OK;
}
