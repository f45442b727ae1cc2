/* Where a query of Ego4D's is looked for: its clip's part of the long video or, for whoever has only the cut clips,
 * the clip's own file, which has the same frames. */
#ifndef EGO_TASK_NLQ_PART_H
#define EGO_TASK_NLQ_PART_H

#include "format/nlq.h"
#include "task/clip_grid.h"

/* The clip is one of an official file; the part borrows its texts. *offset: what the clip's own seconds are behind
 * those of the part's video. Found or not, something is returned: reading it says what is missing. */
void ego_nlq_find_part(const char *root, const ego_nlq_clip *clip, ego_video_part *part,
                       double *offset);

#endif
