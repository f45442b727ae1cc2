/* Which frames of a clip are looked at: times, or the frame numbers of the published readers.
 *
 * Everything here is arithmetic in double, in the order of operations that the reference's numpy
 * code has, so that the same frames come out; rounding to even means C's rint in its default mode.
 */
#ifndef EGO_MEDIA_SAMPLE_H
#define EGO_MEDIA_SAMPLE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    EGO_REFERENCE_FPS = 30,  /* what the published EgoMCQ and NLQ readers assume of every video */
    EGO_CHUNK_SECONDS = 600, /* chunked sets: UID/0.mp4, UID/1.mp4, ... of this length */
    EGO_SAMPLE_MAX_FRAMES = 1024 /* more frames in one clip are an error */
};

/* The middles of n equal parts of [start, end): times[n], seconds. */
void ego_sample_times(double start, double end, int n, double *times);
/* One instant from each of n equal parts of [start, end), drawn from the stream's numbers 0 to n-1:
 * one of the middles of `moments` equal parts of it, so that times[k] is one of
 * ego_sample_times(start, end, n * moments), or, moments being 0, any instant. */
void ego_sample_times_random(double start, double end, int n, int moments, uint64_t stream,
                             double *times);
/* Which: index[k] is the number of that one, from k * moments on. */
void ego_sample_moments(int n, int moments, uint64_t stream, int *index);

/* edges[n + 1]: e_k = trunc(k * ((hi - lo) / n) + lo), the last trunc(hi); n >= 1. */
void ego_sample_edges(double lo, double hi, int n, int64_t *edges);
/* The middle of each bin: floor((e_k + e_k+1 - 1) / 2); index[n]. */
void ego_sample_middle(const int64_t *edges, int n, int64_t *index);
/* One frame from [e_k, e_k+1 - 2] of each bin, drawn from the stream's numbers 0 to n-1
 * (base/rng.h). A bin narrower than 2 is EGO_EINPUT: the reference fails there. */
ego_err ego_sample_random(const int64_t *edges, int n, uint64_t stream, int64_t *index);

/* EgoMCQ's reader: the middles over frames [trunc(30 start), trunc(30 end)); at most n, and no more
 * than the last frame's number (so, as in the reference, not what the range holds). Writes
 * index[n]; returns how many, 0 when the range ends at 0. */
int ego_sample_reference(double start, double end, int n, int64_t *index);
/* The same reader in training: Rand (ego_sample_random) over that range, with *found indices. */
ego_err ego_sample_reference_random(double start, double end, int n, uint64_t stream,
                                    int64_t *index, int *found);
/* The same over a whole video of `frames` frames. */
int ego_sample_reference_whole(int64_t frames, int n, int64_t *index);
/* Where that reader looks for index i of a clip that starts at `start` in a chunked set: in the
 * chunk of the clip's end (*in_end true) or its start, frame number i mod 18000 there. An index on
 * the border itself asks the start's chunk for its frame 0, as the reference does. */
int64_t ego_sample_reference_chunk(double start, int64_t i, bool *in_end);

/* EK-100's reader (decord): the middles of n parts of [round(fps start), ceil(fps end)).
 * index[n]. */
void ego_sample_epic(double fps, double start, double end, int n, int64_t *index);
/* The same reader in training: one frame from each part, both of its ends included, drawn from the stream's
 * numbers 0 to n-1. */
void ego_sample_epic_random(double fps, double start, double end, int n, uint64_t stream, int64_t *index);

/* The grid of Ego4D's NLQ and MQ features: 1.87 clips a second of `frames` frames each, one behind the
 * other. How many clips `seconds` hold: F = trunc(seconds * 1.87 * frames + 1) frames make F / frames whole
 * clips; at most EGO_SAMPLE_MAX_CLIPS. */
enum { EGO_SAMPLE_MAX_CLIPS = 1 << 20 };
int64_t ego_sample_grid(double seconds, int frames);
/* Seconds from one of these clips to the next. */
double ego_sample_grid_step(double seconds, int frames);
/* Where the frames of `clips` such clips are, at[clips * frames], ascending: the middles of F equal parts of
 * [start, end), in seconds; */
void ego_sample_grid_times(double start, double end, int frames, int64_t clips, double *at);
/* or as the published reader (decord) has them, the numbers of the middles of F parts of
 * [30 start, min(video_frames, 30 end)). */
void ego_sample_grid_numbers(double start, double end, int64_t video_frames, int frames, int64_t clips,
                             double *at);

/* EgoTaskQA's reader (decord): Rand over a clip of `frames` frames, tests included. index[n]. A clip so
 * short that a bin is narrower than 2 is EGO_EINPUT. */
ego_err ego_sample_taskqa(int64_t frames, int n, uint64_t stream, int64_t *index);

#endif
