/* Spans of time with scores: which windows to look at, and which answers to give. */
#ifndef EGO_TASK_SPANS_H
#define EGO_TASK_SPANS_H

#include "base/err.h"

#include <stddef.h>

typedef struct ego_span {
    double start, end; /* seconds */
    double score;      /* comparable among the spans of one question */
} ego_span;

/* What two spans share, of what they cover together, gaps included: the benchmark's intersection over union. 0 for
 * spans of no length. */
double ego_span_iou(const ego_span *a, const ego_span *b);

enum { EGO_MAX_WINDOWS = 1 << 20 };

/* Windows of each of n lengths over [start, end): the k-th of a length begins k * length * step behind the start,
 * as far as it ends in time; one more ends at the very end where they leave something over. Lengths beyond
 * the whole are left out, but when all are, the whole is the one window. Writes the first `room`
 * (start and end alone) into windows[room]; returns how many there are, at most EGO_MAX_WINDOWS. */
size_t ego_windows(double start, double end, const double *lengths, size_t n, double step,
                   ego_span *windows, size_t room);

/* Non-maximum suppression: the best span, then the best of those whose IoU with all that were taken is at most
 * `overlap`, and so on, k of them if there are as many; best[k]. Returns how many. Equal scores: the earlier
 * span, then the shorter. A NaN is the worst score. EGO_ENOMEM is the only failure. */
ego_err ego_spans_best(const ego_span *spans, size_t n, double overlap, size_t k, ego_span *best,
                       size_t *found);

#endif
