/* Media files cut into windows: the records of `--window S --stride S`.
 *
 *     {"id":"kitchen.mp4#t=2,6","video":"kitchen.mp4","start":2,"end":6}
 *
 * Windows begin every `stride` seconds from 0; the first that reaches the end is cut there and is the last.
 *
 * A chapter of a longer recording counts its ids, and the member "t", from the recording's beginning, so
 * that they go on from chapter to chapter, while start and end stay the file's own and open the right place:
 *
 *     {"id":"day/GX0123#t=708,712","video":"day/GX020123.MP4","start":2,"end":6,
 *      "recording":"day/GX0123","t":708}
 *
 * How long a live medium lasts (a pipe, or a file that is still being written) is not known before it ends:
 * its windows go on, and carry "live":true, until ego_windows_ended says that the one behind the end was
 * met. Errors: EGO_EINPUT, EGO_EFORMAT and EGO_EIO with record->id set are a file's own that cannot be
 * measured, and the next call goes on with the next; any other ends the work.
 */
#ifndef EGO_DATA_WINDOWS_H
#define EGO_DATA_WINDOWS_H

#include "data/record.h"

typedef struct ego_medium {
    const char *path; /* "-" is stdin; borrowed, like all strings here */
    bool live;
    const char *recording; /* what this is a chapter of; NULL: of nothing */
    double offset;         /* seconds of the chapters before it */
    double duration;       /* seconds; 0: it is to be measured */
} ego_medium;

typedef struct ego_windows_options {
    double window, stride; /* seconds; window 0: each medium is one clip, whole */
    const char *text;      /* a narration for every clip; NULL: none */
} ego_windows_options;

typedef struct ego_windows {
    ego_windows_options options;
    ego_medium *media;
    size_t n, at;
    size_t window, windows; /* the next, and how many, of the medium at hand; windows 0: not known yet */
    double duration;
} ego_windows; /* of plain values: {0} is over at once */

/* Whether reading this to its end means waiting for someone: a pipe. */
bool ego_medium_is_pipe(const char *path);

/* `media` is borrowed. */
ego_windows ego_windows_of(const ego_windows_options *options, ego_medium *media, size_t n);

/* The next window as a record; EGO_EEND after the last. */
ego_err ego_windows_next(ego_windows *windows, ego_record *record);

/* Whether the medium that the next window is of is live. */
bool ego_windows_live(const ego_windows *windows);
/* The live medium is over. */
void ego_windows_ended(ego_windows *windows);

/* The record of [start, end) of a medium; start == end: of the whole. */
ego_err ego_window_record(const ego_medium *medium, double start, double end, const char *text,
                          ego_record *record);

/* How long a file lasts. */
ego_err ego_medium_measure(const char *path, double *duration);

#endif
