/* A long video as a sequence of short clips, one behind the other, 1.87 a second: what grounding
 * looks at.
 *
 * The clips of a grid are read in one forward pass, ahead of need (data/clips.h), and come in
 * order, several together; memory holds one batch of them however long the video is.
 */
#ifndef EGO_TASK_CLIP_GRID_H
#define EGO_TASK_CLIP_GRID_H

#include "data/clips.h"
#include "tensor/tensor.h"

typedef struct ego_clip_grid {
    double start, end; /* what it covers, seconds of the video */
    double step;       /* seconds from one clip to the next */
    int frames;        /* F, of each clip */
    int64_t count;     /* of clips, at least 1 */
    double *at;        /* (count, F): ego_clip_request.at; owned */
} ego_clip_grid;       /* {0} is none */

/* Where the clips of a part are. By time: equal parts of it, cut to the video's end; what is too
 * short for one clip of the grid's rate is one clip. By reference: the frame numbers of the
 * published reader, which go by the end that was told; there a part too short for a clip is
 * EGO_EINPUT. The file is opened to see how long it is; EGO_EINPUT when it ends before the start.
 * root as in data/locate.h. */
ego_err ego_clip_grid_make(const char *root, const ego_video_part *part, ego_sampling sampling,
                           int frames, ego_clip_grid *grid);
void ego_clip_grid_release(ego_clip_grid *grid); /* safe on {0} */

/* How clips of such a grid are to be read: EGO_SAMPLING_TIME or EGO_SAMPLING_NUMBERS. */
ego_sampling ego_clip_grid_reader(ego_sampling sampling);

/* clips (n, F, 3, S, S), number `first` of the grid and those behind it; valid during the call. */
typedef ego_err ego_clip_grid_visit(void *context, const ego_tensor *clips, int64_t first);

/* Calls visit for all clips in order, `batch` (1 … 64) at a time. The reader is one for clips of
 * the grid's F, and `size` its S. Stops at the first failure: a frame that cannot be read, memory,
 * or the visit's own; the reader is empty afterwards in any case. */
ego_err ego_clip_grid_read(const ego_clip_grid *grid, const char *video, ego_clips *reader,
                           int size, int64_t batch, ego_clip_grid_visit *visit, void *context);

#endif
