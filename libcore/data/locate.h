/* Where a record's video is: a file, or a chunked set (a directory UID with 0.mp4,
 * 1.mp4, ... of 600 s each).
 *
 * Looked for in this order: the name as it is; under the video root; there with .mp4, .MP4, .mkv or
 * .webm added. Whichever is found first and is a directory is taken for a chunked set.
 */
#ifndef EGO_DATA_LOCATE_H
#define EGO_DATA_LOCATE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ego_place {
    char *path; /* the file, or the directory of the chunks; heap */
    bool chunked;
} ego_place; /* {0} is none */

/* root may be NULL. "-" (stdin) and patterns of numbered pictures are taken as they are. Not found:
 * EGO_EIO, with what was tried. */
ego_err ego_locate(const char *root, const char *video, ego_place *place);
void ego_place_release(ego_place *place);

/* The file of chunk k (of a chunked place), on the heap; NULL when out of memory. */
char *ego_place_chunk(const ego_place *place, int64_t k);
/* Whether chunk k can be read. */
bool ego_place_has_chunk(const ego_place *place, int64_t k);

#endif
