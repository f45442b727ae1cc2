/* The learning rate over a run, as a factor of its peak. */
#ifndef EGO_TRAIN_SCHEDULE_H
#define EGO_TRAIN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum ego_schedule_kind {
    EGO_SCHEDULE_COSINE, /* half a period, down to 0 */
    EGO_SCHEDULE_LINEAR, /* down to 0 */
    EGO_SCHEDULE_CONSTANT,
} ego_schedule_kind;

typedef struct ego_schedule {
    ego_schedule_kind kind;
    double warmup; /* share of the steps, 0 … 1 */
    int64_t steps; /* in all */
    double floor;  /* what it goes down to instead of 0, as a factor of the peak */
} ego_schedule;

/* "cosine", "linear", "constant". */
bool ego_schedule_parse(const char *name, ego_schedule_kind *kind);
const char *ego_schedule_name(ego_schedule_kind kind);

/* The factor for the update that has `t` updates before it. With w = trunc(warmup·steps): t/w below w
 * (the first update of a run with warm-up changes nothing), then floor + (1 − floor) times ½(1 + cos π(t−w)/(steps−w)),
 * or 1 − (t−w)/(steps−w), or 1. From t = steps on it stays at its end. */
double ego_schedule_at(const ego_schedule *schedule, int64_t t);

#endif
