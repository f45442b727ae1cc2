#include "train/schedule.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const char *const names[] = {"cosine", "linear", "constant"};

bool ego_schedule_parse(const char *name, ego_schedule_kind *kind) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *kind = (ego_schedule_kind)i;
        return true;
    }
    return false;
}

const char *ego_schedule_name(ego_schedule_kind kind) { return names[kind]; }

static double above(const ego_schedule *schedule, double factor) {
    return schedule->floor > 0 ? schedule->floor + (1 - schedule->floor) * factor : factor;
}

double ego_schedule_at(const ego_schedule *schedule, int64_t t) {
    const double pi = 3.14159265358979323846;
    int64_t w = (int64_t)(schedule->warmup * (double)schedule->steps);
    if (t < w) return (double)t / (double)w;
    double share = t < schedule->steps ? (double)(t - w) / (double)(schedule->steps - w) : 1;
    switch (schedule->kind) {
    case EGO_SCHEDULE_COSINE: return above(schedule, 0.5 * (1 + cos(pi * share)));
    case EGO_SCHEDULE_LINEAR: return above(schedule, 1 - share);
    case EGO_SCHEDULE_CONSTANT: break;
    }
    return 1;
}
