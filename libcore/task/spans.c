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

/* Windows of one length; how many there are in all comes back. */
static size_t add_length(double start, double end, double length, double step, ego_span *windows,
                         size_t room, size_t n) {
    const double nothing = 1e-6; /* decode.h's smallest step of time */
    double last = start;
    for (size_t k = 0; n < EGO_MAX_WINDOWS; k++) {
        double from = start + (double)k * length * step;
        if (from + length > end + nothing) break;
        last = from;
        if (n < room) windows[n] = (ego_span){from, fmin(from + length, end), 0};
        n++;
    }
    if (last + length < end - nothing && n < EGO_MAX_WINDOWS) {
        if (n < room) windows[n] = (ego_span){end - length, end, 0};
        n++;
    }
    return n;
}

size_t ego_windows(double start, double end, const double *lengths, size_t n, double step,
                   ego_span *windows, size_t room) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (lengths[i] <= end - start)
            count = add_length(start, end, lengths[i], step, windows, room, count);
    if (count == 0 && room > 0) windows[0] = (ego_span){start, end, 0};
    return count ? count : 1;
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
