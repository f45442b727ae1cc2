/* Files: mapped for reading, written whole or not at all.
 *
 * ego_outfile writes PATH.tmp-PID beside PATH and renames it when everything arrived; an interrupted or
 * failed run leaves the old file. Everything here names the path in its message.
 */
#ifndef EGO_BASE_FILE_H
#define EGO_BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A read-only view of a whole regular file; page-aligned; data is non-NULL even for an empty file. */
typedef struct ego_map {
    const uint8_t *data;
    size_t size;
} ego_map;

ego_err ego_map_open(const char *path, ego_map *map);
void ego_map_close(ego_map *map); /* safe on {0} and twice */
/* Tells the system that these pages will not be read again soon: they leave the resident set and come
 * back from the file if they are. Only whole pages inside the range are released. */
void ego_map_forget(const void *start, size_t bytes);

/* Reads a file (or "-": stdin) to its end, appending to buf; more than `limit` bytes is an error. */
ego_err ego_read_file(const char *path, size_t limit, ego_buf *buf);

typedef struct ego_outfile {
    FILE *stream; /* write here; NULL when not open */
    char *path, *temporary;
} ego_outfile;

ego_err ego_outfile_open(const char *path, ego_outfile *out);
/* Flushes, checks every write, syncs, closes and renames, and syncs the directory: what has its name
 * outlives a loss of power. On failure removes the temporary file. */
ego_err ego_outfile_commit(ego_outfile *out);
void ego_outfile_abort(ego_outfile *out); /* closes and removes; safe on {0} and after commit */

/* Writes n bytes as the whole of `path`, atomically. */
ego_err ego_write_file(const char *path, const void *bytes, size_t n);

/* Creates the directory and its parents where missing. */
ego_err ego_make_directory(const char *path);

/* Whether both paths are there and are one regular file, by whichever names. */
bool ego_same_file(const char *a, const char *b);

/* "a/b.c" → "b.c"; the result points into path. */
const char *ego_basename(const char *path);
/* True when the path ends in the suffix (".jsonl"), ignoring ASCII case. */
bool ego_has_suffix(const char *path, const char *suffix);

#endif
