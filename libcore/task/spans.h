/* Spans of time with scores: which windows to look at, and which answers to give. */
#ifndef EGO_TASK_SPANS_H
#define EGO_TASK_SPANS_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ego_span {
    double start, end; /* seconds */
    double score;      /* comparable among the spans of one question */
} ego_span;

/* What two spans share, of what they cover together, gaps included: the benchmark's intersection
 * over union. 0 for spans of no length. */
double ego_span_iou(const ego_span *a, const ego_span *b);

/* Clips first … first + count - 1 of a sequence, looked at together. */
typedef struct ego_window {
    int64_t first, count;
} ego_window;

/* Windows over `clips` clips of `step` seconds each: for each of n lengths (seconds, rounded to
 * clips; those that round alike count once) one every quarter of its length, and one at the very
 * end. Lengths beyond the whole are left out, but when all are, the whole is the one window.
 * Writes the first `room` into windows[room]; returns how many there are. */
size_t ego_windows(int64_t clips, double step, const double *lengths, size_t n, ego_window *windows,
                   size_t room);

/* Non-maximum suppression: the best span, then the best of those whose IoU with all that were
 * taken is at most `overlap`, and so on, k of them if there are as many; best[k]. Returns how
 * many. Equal scores: the earlier span, then the shorter. A NaN is the worst score. EGO_ENOMEM is
 * the only failure. */
ego_err ego_spans_best(const ego_span *spans, size_t n, double overlap, size_t k, ego_span *best,
                       size_t *found);

#endif
