/* Between seconds and clips: what VSLNet is asked, and what its answer means (spec/tasks.md, section 4).
 *
 * A stretch of D seconds is seen as n clips, i·D/n to (i + 1)·D/n. A span is two of them, the first and the
 * last, both inside. Edges are computed in float32, i·D first, as published: spans end on the same bits.
 */
#ifndef EGO_TASK_VSLNET_SPANS_H
#define EGO_TASK_VSLNET_SPANS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Where clip i of n begins and ends, seconds. */
float ego_vslnet_start(int64_t i, int64_t n, double duration);
float ego_vslnet_end(int64_t i, int64_t n, double duration);

/* As many clips as the head has positions: features (count, width) → out (*pooled, width). With count > most,
 * clip k is the mean of [id_k, id_{k+1}), id_k = min(round(k·count/most), count − 1), or clip id_k where that is
 * empty; so from count ≥ 1.5·most on the last clip is not looked at, as published. Else they are copied.
 * out has room for min(count, most). */
void ego_vslnet_pool(const float *features, int64_t count, int64_t width, int64_t most, float *out,
                     int64_t *pooled);

typedef struct ego_vslnet_span {
    int64_t start, end; /* clips; start ≤ end */
} ego_vslnet_span;

/* The span of n clips with the largest overlap (intersection over hull) with [start, end] seconds,
 * cut to the duration, the first of equal ones. False, and clips (0, 0), when none overlaps: a
 * target of no length, which the published training teaches all the same. */
bool ego_vslnet_label(double start, double end, int64_t n, double duration, ego_vslnet_span *label);

/* Which of n clips belong to the highlight: the span and a tenth of its length on both sides (halves rounded
 * to even). target[n]: 0 or 1. */
void ego_vslnet_highlight(ego_vslnet_span span, int64_t n, float *target);

typedef struct ego_vslnet_answer {
    ego_vslnet_span span;
    double score; /* p(start) · p(end) */
} ego_vslnet_answer;

/* The k best spans by p(start)·p(end), start ≤ end < n, best first, of equal ones the first start, then the
 * first end. Logits, n of each. answers[k]; returns how many there are, min(k, n(n + 1)/2). */
int64_t ego_vslnet_best(const float *start, const float *end, int64_t n, int64_t k,
                        ego_vslnet_answer *answers);

#endif
