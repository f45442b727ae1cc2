/* A whole video as the benchmarks' readers want it: FOLDER/0.mp4, 1.mp4, … of 600 s, the short side 256.
 *
 * Ego4D's videos are prepared in this way by the code published with EgoVLP; this does it from the
 * originals. Frame n of the whole, in chunk floor(n / 18000), is the one on display at n / 30 s: a chunk
 * has 18000 frames, as readers that assume 30 frames a second expect. The picture keeps its shape, sides are
 * rounded down to even numbers, and a smaller one stays as it is. H.264, no sound: the published code keeps
 * it, and nothing reads it.
 *
 * A chunk appears under its name when it is whole. One that is there is not made again: after an
 * interruption the same call goes on.
 */
#ifndef EGO_TASK_CHUNKS_H
#define EGO_TASK_CHUNKS_H

#include "base/err.h"
#include "base/progress.h"

#include <stddef.h>

enum { EGO_CHUNK_RATE = 30, EGO_CHUNK_SIDE = 256 };

typedef struct ego_chunks_counts {
    size_t chunks, made; /* of the video; of them, now */
    double duration;     /* seconds */
} ego_chunks_counts;

/* `quality`: the encoder's, 0 for its usual. The folder is made where it is missing. progress is told of
 * frames. */
ego_err ego_chunks_make(const char *video, const char *folder, int quality,
                        const ego_progress *progress, ego_chunks_counts *counts);

#endif
