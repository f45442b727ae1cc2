/* Pictures of answers along a video: a strip of its frames, and under it for every question how
 * its text fits each moment, the spans that were found, and the true one where it is known.
 */
#ifndef EGO_TASK_TIMELINE_H
#define EGO_TASK_TIMELINE_H

#include "task/grounding.h"

typedef struct ego_timeline ego_timeline;

typedef struct ego_timeline_row {
    const char *text;                 /* the question */
    const ego_grounding_item *answer; /* read during the call alone */
    double true_start, true_end;      /* seconds of the video; NaN: not known */
} ego_timeline_row;

/* root as in data/locate.h; must outlive it. */
ego_err ego_timeline_new(const char *root, ego_timeline **timeline);
void ego_timeline_free(ego_timeline *timeline); /* takes NULL */

/* Draws one more answer, under the frames of its part of the video; questions about one part that
 * follow each other share them. What is beyond 16,000 pixels in height is left out, without a
 * word. */
ego_err ego_timeline_add(ego_timeline *timeline, const ego_video_part *part,
                         const ego_timeline_row *row);

/* Writes all of it as a PNG. EGO_EINPUT when nothing was added. */
ego_err ego_timeline_write(ego_timeline *timeline, const char *path);

#endif
