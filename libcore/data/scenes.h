/* Scenes: which narrated clips are of the same video and the same stretch of its time.
 *
 * A scene is a video and a bin floor(narration_time / seconds) of it. Rows without a finite time are
 * in a bin of their own, one a video. */
#ifndef EGO_DATA_SCENES_H
#define EGO_DATA_SCENES_H

#include "base/err.h"
#include "format/annotations.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ego_scenes ego_scenes;

/* `seconds` above 0; n below 2^32. The clips are not needed afterwards. */
ego_err ego_scenes_new(const ego_narrated_clip *clips, size_t n, double seconds,
                       ego_scenes **scenes);
void ego_scenes_free(ego_scenes *scenes); /* takes NULL */

/* The rows of the scene that `row` is in, ascending, itself among them. */
const uint32_t *ego_scenes_of(const ego_scenes *scenes, size_t row, size_t *count);

#endif
