#include "media/sample.h"

#include "base/rng.h"

#include <math.h>

/* Products and sums stand in statements of their own: a compiler that fuses them would round once
 * where numpy rounds twice. */

void ego_sample_times(double start, double end, int n, double *times) {
    double part = (end - start) / n;
    for (int k = 0; k < n; k++) {
        double middle = (k + 0.5) * part;
        times[k] = start + middle;
    }
}

void ego_sample_moments(int n, int moments, uint64_t stream, int *index) {
    for (int k = 0; k < n; k++)
        index[k] = k * moments + (int)ego_rng_below(stream, (uint64_t)k, (uint32_t)moments);
}

void ego_sample_times_random(double start, double end, int n, int moments, uint64_t stream,
                             double *times) {
    int parts = moments > 0 ? n * moments : n, index[EGO_SAMPLE_MAX_FRAMES];
    double part = (end - start) / parts;
    if (moments > 0) ego_sample_moments(n, moments, stream, index);
    for (int k = 0; k < n; k++) {
        double at = moments > 0 ? index[k] + 0.5 : k + ego_rng_unit(stream, (uint64_t)k);
        at *= part;
        times[k] = start + at;
    }
}

void ego_sample_edges(double lo, double hi, int n, int64_t *edges) {
    double step = (hi - lo) / n;
    for (int k = 0; k < n; k++) {
        double at = k * step;
        at += lo;
        edges[k] = (int64_t)at;
    }
    edges[n] = (int64_t)hi;
}

static int64_t floor_half(int64_t x) { return (x - (x < 0 && x % 2 != 0)) / 2; }

void ego_sample_middle(const int64_t *edges, int n, int64_t *index) {
    for (int k = 0; k < n; k++) index[k] = floor_half(edges[k] + edges[k + 1] - 1);
}

ego_err ego_sample_random(const int64_t *edges, int n, uint64_t stream, int64_t *index) {
    for (int k = 0; k < n; k++) {
        int64_t width = edges[k + 1] - edges[k];
        if (width < 2 || width > UINT32_MAX)
            return ego_fail(EGO_EINPUT,
                            "part %d of %d of the clip holds %lld frames: expected 2 or more",
                            k + 1, n, (long long)width);
        index[k] = edges[k] + ego_rng_below(stream, (uint64_t)k, (uint32_t)(width - 1));
    }
    return EGO_OK;
}

/* The edges of the reader's bins over frames [lo, hi); returns how many bins. */
static int bins(int64_t lo, int64_t hi, int n, int64_t *edges) {
    if (n > hi) n = (int)hi;
    if (n > EGO_SAMPLE_MAX_FRAMES) n = EGO_SAMPLE_MAX_FRAMES;
    if (n < 1) return 0;
    ego_sample_edges((double)lo, (double)hi, n, edges);
    return n;
}

static int middles(int64_t lo, int64_t hi, int n, int64_t *index) {
    int64_t edges[EGO_SAMPLE_MAX_FRAMES + 1];
    n = bins(lo, hi, n, edges);
    if (n > 0) ego_sample_middle(edges, n, index);
    return n;
}

int ego_sample_reference(double start, double end, int n, int64_t *index) {
    double lo = start * EGO_REFERENCE_FPS, hi = end * EGO_REFERENCE_FPS;
    return middles((int64_t)lo, (int64_t)hi, n, index);
}

ego_err ego_sample_reference_random(double start, double end, int n, uint64_t stream,
                                    int64_t *index, int *found) {
    int64_t edges[EGO_SAMPLE_MAX_FRAMES + 1];
    double lo = start * EGO_REFERENCE_FPS, hi = end * EGO_REFERENCE_FPS;
    n = bins((int64_t)lo, (int64_t)hi, n, edges);
    if (n > 0) EGO_TRY(ego_sample_random(edges, n, stream, index));
    *found = n;
    return EGO_OK;
}

int ego_sample_reference_whole(int64_t frames, int n, int64_t *index) {
    return middles(0, frames, n, index);
}

int64_t ego_sample_reference_chunk(double start, int64_t i, bool *in_end) {
    const int64_t chunk = EGO_CHUNK_SECONDS * EGO_REFERENCE_FPS;
    double from = start > 0 ? floor(start / EGO_CHUNK_SECONDS) : 0;
    *in_end = i > chunk * ((int64_t)from + 1);
    return (i % chunk + chunk) % chunk; /* as Python's %: never negative */
}

/* Part i of n, both ends included. */
static void epic_part(double fps, double start, double end, int n, int i, int64_t *from, int64_t *to) {
    double first = rint(fps * start), last = ceil(fps * end), part = (last - first - 1) / n;
    *from = (int64_t)(rint(part * i) + first);
    *to = (int64_t)(rint(part * (i + 1)) + first);
    if (*to > (int64_t)last) *to = (int64_t)last;
}

void ego_sample_epic(double fps, double start, double end, int n, int64_t *index) {
    for (int i = 0; i < n; i++) {
        int64_t from, to;
        epic_part(fps, start, end, n, i, &from, &to);
        index[i] = floor_half(from + to);
    }
}

void ego_sample_epic_random(double fps, double start, double end, int n, uint64_t stream, int64_t *index) {
    for (int i = 0; i < n; i++) {
        int64_t from, to;
        epic_part(fps, start, end, n, i, &from, &to);
        uint32_t width = to > from ? (uint32_t)(to - from) + 1 : 1;
        index[i] = from + (int64_t)ego_rng_below(stream, (uint64_t)i, width);
    }
}

/* F of the grid: the last frames % F of them are in no clip. */
static double grid_frames(double seconds, int frames) {
    double F = seconds * 1.87;
    F *= frames;
    return trunc(F + 1);
}

int64_t ego_sample_grid(double seconds, int frames) {
    double clips = floor(grid_frames(seconds, frames) / frames);
    return clips >= EGO_SAMPLE_MAX_CLIPS ? EGO_SAMPLE_MAX_CLIPS : clips > 0 ? (int64_t)clips : 0;
}

double ego_sample_grid_step(double seconds, int frames) {
    return seconds / grid_frames(seconds, frames) * frames;
}

void ego_sample_grid_times(double start, double end, int frames, int64_t clips, double *at) {
    double part = (end - start) / grid_frames(end - start, frames);
    for (int64_t k = 0; k < clips * frames; k++) {
        double middle = ((double)k + 0.5) * part;
        at[k] = start + middle;
    }
}

static int64_t grid_edge(double lo, double step, int64_t k) {
    double at = (double)k * step;
    at += lo;
    return (int64_t)at;
}

void ego_sample_grid_numbers(double start, double end, int64_t video_frames, int frames, int64_t clips,
                             double *at) {
    double F = grid_frames(end - start, frames), lo = start * EGO_REFERENCE_FPS,
           hi = end * EGO_REFERENCE_FPS;
    if (hi > (double)video_frames) hi = (double)video_frames;
    double step = (hi - lo) / F;
    for (int64_t k = 0; k < clips * frames; k++) {
        bool last = (double)k + 1 == F;
        int64_t to = last ? (int64_t)hi : grid_edge(lo, step, k + 1);
        at[k] = (double)floor_half(grid_edge(lo, step, k) + to - 1);
    }
}

ego_err ego_sample_taskqa(int64_t frames, int n, uint64_t stream, int64_t *index) {
    int64_t edges[EGO_SAMPLE_MAX_FRAMES + 1];
    ego_sample_edges(0, (double)frames, n, edges);
    return ego_sample_random(edges, n, stream, index);
}
