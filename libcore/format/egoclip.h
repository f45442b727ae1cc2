/* egoclip.csv: the narrated clips that EgoVLPv2 is pre-trained on.
 *
 * Tab-separated with a header line; video_uid, narration_time, clip_start, clip_end, clip_text,
 * tag_verb and tag_noun are found by name, in any order, others may stand between. `"` quotes as
 * pandas reads it (csv.h). A row with another number of fields than the header, a time that is no
 * number, an end before its start or a tag list that is none is malformed: counted and left out, as
 * the reference does with those it notices.
 */
#ifndef EGO_FORMAT_EGOCLIP_H
#define EGO_FORMAT_EGOCLIP_H

#include "base/arena.h"
#include "base/err.h"
#include "format/annotations.h"

#include <stddef.h>

typedef struct ego_egoclip {
    const ego_narrated_clip
        *clips; /* of the same video: the same pointer in `video` when neighbours */
    size_t count;
    size_t malformed; /* rows left out */
    const char
        *first_fault; /* what was wrong with the first of them, with its line; NULL without one */
} ego_egoclip;

/* A file without one good row is an error. */
ego_err ego_egoclip_read(const char *path, ego_arena *arena, ego_egoclip *out);
ego_err ego_egoclip_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                          ego_egoclip *out);

#endif
