#include "task/vslnet_spans.h"

#include <math.h>
#include <string.h>

float ego_vslnet_start(int64_t i, int64_t n, double duration) {
    return (float)i * (float)duration / (float)n;
}

float ego_vslnet_end(int64_t i, int64_t n, double duration) {
    return ego_vslnet_start(i + 1, n, duration);
}

/* ---- pooling ---------------------------------------------------------------------------------------------- */

static int64_t pool_edge(int64_t k, int64_t most, int64_t count) {
    int64_t id = (int64_t)rint((double)k / (double)most * (double)count); /* halves to even */
    return id < count ? id : count - 1;
}

static void mean_rows(const float *rows, int64_t n, int64_t width, float *out) {
    memcpy(out, rows, (size_t)width * sizeof *out);
    for (int64_t r = 1; r < n; r++)
        for (int64_t c = 0; c < width; c++) out[c] += rows[r * width + c];
    for (int64_t c = 0; n > 1 && c < width; c++) out[c] /= (float)n;
}

void ego_vslnet_pool(const float *features, int64_t count, int64_t width, int64_t most, float *out,
                     int64_t *pooled) {
    *pooled = count < most ? count : most;
    if (count <= most) {
        if (count > 0) memcpy(out, features, (size_t)(count * width) * sizeof *out);
        return;
    }
    for (int64_t k = 0; k < most; k++) {
        int64_t from = pool_edge(k, most, count), to = pool_edge(k + 1, most, count);
        mean_rows(features + from * width, to > from ? to - from : 1, width, out + k * width);
    }
}

/* ---- targets ---------------------------------------------------------------------------------------------- */

static float overlap(float a0, float a1, float b0, float b1) {
    float inter = fminf(a1, b1) - fmaxf(a0, b0), hull = fmaxf(a1, b1) - fminf(a0, b0);
    return inter > 0 ? inter / fmaxf(hull, 1e-12f) : 0;
}

bool ego_vslnet_label(double start, double end, int64_t n, double duration,
                      ego_vslnet_span *label) {
    float best = 0, from = (float)start, to = (float)fmin(end, duration);
    *label = (ego_vslnet_span){0, 0};
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i; j < n; j++) { /* one that ends before it starts overlaps nothing */
            float o =
                overlap(ego_vslnet_start(i, n, duration), ego_vslnet_end(j, n, duration), from, to);
            if (!(o > best)) continue;
            best = o;
            *label = (ego_vslnet_span){i, j};
        }
    return best > 0;
}

void ego_vslnet_highlight(ego_vslnet_span span, int64_t n, float *target) {
    int64_t more = (int64_t)rint(0.1 * (double)(span.end - span.start + 1));
    int64_t from = span.start - more > 0 ? span.start - more : 0;
    int64_t to = span.end + more < n - 1 ? span.end + more : n - 1;
    for (int64_t i = 0; i < n; i++) target[i] = i >= from && i <= to;
}

/* ---- answers ---------------------------------------------------------------------------------------------- */

/* log Σ exp, so that log p = logit − this. */
static double log_total(const float *logits, int64_t n) {
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, (double)logits[i]);
    for (int64_t i = 0; i < n; i++) sum += exp((double)logits[i] - most);
    return most + log(sum);
}

int64_t ego_vslnet_best(const float *start, const float *end, int64_t n, int64_t k,
                        ego_vslnet_answer *answers) {
    int64_t found = 0;
    double total = n > 0 ? log_total(start, n) + log_total(end, n) : 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i; j < n; j++) {
            double score = exp((double)start[i] + (double)end[j] - total);
            if (found == k && (k == 0 || !(score > answers[k - 1].score))) continue;
            int64_t at = found < k ? found++ : k - 1;
            for (; at > 0 && score > answers[at - 1].score; at--) answers[at] = answers[at - 1];
            answers[at] = (ego_vslnet_answer){{i, j}, score};
        }
    return found;
}
