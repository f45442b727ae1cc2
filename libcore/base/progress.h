/* Progress: a callback that long work makes, and the line of text that a terminal may show for it.
 *
 * Library functions that take long accept a `const ego_progress *` (NULL: nobody listens) and call
 * ego_progress_tell now and then. A false answer means "stop": the function then ends what it has
 * in hand and returns EGO_ECANCELLED. Nothing here prints; tools/cli.c draws what ego_meter_line
 * writes.
 */
#ifndef EGO_BASE_PROGRESS_H
#define EGO_BASE_PROGRESS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ego_progress {
    /* `done` of `total` (0: unknown) units of `what` ("clips"); returns false to stop the work. */
    bool (*report)(void *context, const char *what, uint64_t done, uint64_t total);
    void *context;
    /* A few words that the next reports carry ("loss 3.21"); may be NULL. */
    void (*note)(void *context, const char *text);
    /* Work starts that an earlier run did `done` units of: the rate counts from here. May be NULL. */
    void (*start)(void *context, uint64_t done);
} ego_progress;

static inline bool ego_progress_tell(const ego_progress *progress, const char *what, uint64_t done,
                                     uint64_t total) {
    return !progress || !progress->report || progress->report(progress->context, what, done, total);
}

static inline void ego_progress_note(const ego_progress *progress, const char *text) {
    if (progress && progress->note) progress->note(progress->context, text);
}

static inline void ego_progress_start(const ego_progress *progress, uint64_t done) {
    if (progress && progress->start) progress->start(progress->context, done);
}

/* Rate and time left. Times are seconds of any steady clock. */
typedef struct ego_meter {
    const char *what;
    uint64_t done, total;
    uint64_t done_before; /* of an earlier run that is being continued */
    double started, now;
    const char *note; /* may be NULL */
} ego_meter;

/* The meter as text of at most `columns` ASCII characters, without a newline:
 * "clips  412/2000 [####------]  20%  31.5/s  0:50 left"; without a total: "clips  412  31.5/s".
 * A note follows at the end, and goes first when there is no room. */
void ego_meter_line(const ego_meter *meter, int columns, ego_buf *line);

/* "0:07", "12:30", "3:02:11". */
void ego_meter_time(double seconds, ego_buf *line);

#endif
