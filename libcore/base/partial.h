/* Outputs that go on where an interrupted run stopped.
 *
 * What is written goes to PATH.part, locked while in use, and gets its name PATH when it is whole; an
 * interrupted run leaves it. PATH.part.json beside it holds what made it, as text: to be gone on with, a
 * file must have been begun by the same. A walk of the caller's says how much of it is whole; it is cut
 * back to that.
 *
 * EGO_EIO when it cannot be written or another run is writing it; EGO_EINPUT when something else began it.
 */
#ifndef EGO_BASE_PARTIAL_H
#define EGO_BASE_PARTIAL_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Walks the whole records of an interrupted run's file, `path`; *keep (0 before) becomes their bytes. */
typedef ego_err ego_partial_walk(void *context, const char *path, uint64_t *keep);

typedef struct ego_partial_options {
    const char *path; /* of the whole output */
    const char *made; /* what makes it: the model, the options; at most 1 MiB */
    bool resume;      /* false: what is there is written anew */
    ego_partial_walk *walk;
    void *context;
} ego_partial_options;

typedef struct ego_partial {
    FILE *stream; /* write here; NULL when not open */

    /* private */
    ego_buf whole, path, made_path;
} ego_partial;

ego_err ego_partial_open(const ego_partial_options *options, ego_partial *partial);
/* The output is whole: checks every write, syncs, renames. Close it in either case. */
ego_err ego_partial_commit(ego_partial *partial);
/* Without a commit the file stays, to be gone on with. Safe on {0} and twice. */
void ego_partial_close(ego_partial *partial);

#endif
