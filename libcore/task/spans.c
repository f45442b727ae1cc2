#include "task/spans.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

double ego_span_iou(const ego_span *a, const ego_span *b) {
    double inter = fmin(a->end, b->end) - fmax(a->start, b->start);
    double hull = fmax(a->end, b->end) - fmin(a->start, b->start);
    return inter > 0 ? inter / fmax(hull, 1e-12) : 0;
}

static int64_t clips_of(double length, double step) {
    double clips = rint(length / step);
    return clips < 1 ? 1 : clips < 1e9 ? (int64_t)clips : 1000000000;
}

/* Whether an earlier length rounds to as many clips. */
static bool seen(const double *lengths, size_t i, double step) {
    for (size_t j = 0; j < i; j++)
        if (clips_of(lengths[j], step) == clips_of(lengths[i], step)) return true;
    return false;
}

/* The last window ends where the clips do. */
static int64_t next_first(int64_t first, int64_t stride, int64_t last) {
    return first == last ? last + 1 : first + stride < last ? first + stride : last;
}

size_t ego_windows(int64_t clips, double step, const double *lengths, size_t n, ego_window *windows,
                   size_t room) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t count = clips_of(lengths[i], step), stride = count < 8 ? 1 : count / 4;
        if (count > clips || seen(lengths, i, step)) continue;
        for (int64_t first = 0; first <= clips - count;
             first = next_first(first, stride, clips - count)) {
            if (found < room) windows[found] = (ego_window){first, count};
            found++;
        }
    }
    if (found == 0 && room > 0) windows[0] = (ego_window){0, clips};
    return found ? found : 1;
}

/* Whether a comes before b. */
static bool better(const ego_span *a, const ego_span *b) {
    if (isnan(a->score) || isnan(b->score)) return !isnan(a->score) && isnan(b->score);
    if (a->score != b->score) return a->score > b->score;
    if (a->start != b->start) return a->start < b->start;
    return a->end < b->end;
}

static int by_score(const void *a, const void *b) {
    return better(a, b) ? -1 : better(b, a) ? 1 : 0;
}

static bool overlaps(const ego_span *taken, size_t n, const ego_span *span, double overlap) {
    for (size_t i = 0; i < n; i++)
        if (ego_span_iou(&taken[i], span) > overlap) return true;
    return false;
}

ego_err ego_spans_best(const ego_span *spans, size_t n, double overlap, size_t k, ego_span *best,
                       size_t *found) {
    ego_span *order = malloc((n + 1) * sizeof *order);
    if (!order) return ego_fail(EGO_ENOMEM, "out of memory for %zu spans", n);
    if (n) memcpy(order, spans, n * sizeof *order);
    qsort(order, n, sizeof *order, by_score);
    *found = 0;
    for (size_t i = 0; i < n && *found < k; i++)
        if (!overlaps(best, *found, &order[i], overlap)) best[(*found)++] = order[i];
    free(order);
    return EGO_OK;
}
