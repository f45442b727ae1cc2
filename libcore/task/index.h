/* An index that was made of folders, read again so that what has not changed is not computed again.
 *
 * An index is an embedding stream with notes (records of other parts, without elements): first
 *
 *     {"id":"index","part":"index",…,"made":"5c02…","window":4,"stride":2}
 *
 * what everything was made with; then before the clips of each file
 *
 *     {"id":"day/GX020123.MP4","part":"file",…,"size":4000000000,"changed":"1763712000.250000000",
 *      "sha256":"…","duration":708.2,"t":708.2,"clips":354}
 *
 * and "calibration" last (task/calibration.h). A file whose clips are not all there is left out, so that the
 * remains of a run that was interrupted serve like an index.
 *
 * Vectors point into the mapped file and live as long as the index.
 */
#ifndef EGO_TASK_INDEX_H
#define EGO_TASK_INDEX_H

#include "base/err.h"
#include "data/folder.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EGO_INDEX_PART "index"
#define EGO_INDEX_FILE_PART "file"

enum { EGO_INDEX_MADE = 17 }; /* 16 hexadecimal digits and a NUL */

typedef struct ego_index_clip {
    const float *vector; /* (dim), or NULL: */
    char *error;         /* why there is none */
} ego_index_clip;

typedef struct ego_index_file {
    char *path;
    char content[65]; /* SHA-256 */
    int64_t size, seconds, nanoseconds;
    double duration;
    size_t first, clips; /* among the index's clips */
} ego_index_file;

typedef struct ego_index {
    char made[EGO_INDEX_MADE];
    double window, stride;
    size_t dim;
    ego_index_file *files; /* in the order of their paths */
    size_t n_files;
    ego_index_clip *clips;
    size_t n_clips;

    /* private */
    size_t files_room, clips_room;
    struct ego_stream *stream;
} ego_index; /* {0} is empty, and safe to close */

/* A file that is not there gives an empty index; one that is no index is EGO_EINPUT. */
ego_err ego_index_open(const char *path, ego_index *index);
void ego_index_close(ego_index *index);
/* From bytes in memory, which stay the caller's; for tests. */
ego_err ego__index_parse(const uint8_t *data, size_t size, ego_index *index);

/* The entry of this path when neither size nor time of change differ; else one, whatever its name, of the
 * same content, for which *file is read once: its SHA-256 is left in `content`, if it was needed (else
 * ""). NULL: it is new. */
ego_err ego_index_find(const ego_index *index, const ego_folder_file *file, char content[65],
                       const ego_index_file **found);

#endif
