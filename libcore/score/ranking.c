#include "score/ranking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, PASSES = (64 + DIGIT_BITS - 1) / DIGIT_BITS };

ego_err ego_ranking_init(ego_ranking *r, size_t most) {
    *r = (ego_ranking){.most = most};
    if (most > UINT32_MAX) return ego_fail(EGO_EUNSUPPORTED, "%zu scores to rank", most);
    r->order = calloc(most + 1, sizeof *r->order);
    r->other = calloc(most + 1, sizeof *r->other);
    r->keys = calloc(most + 1, sizeof *r->keys);
    r->other_keys = calloc(most + 1, sizeof *r->other_keys);
    if (r->order && r->other && r->keys && r->other_keys) return EGO_OK;
    ego_ranking_release(r);
    return ego_fail(EGO_ENOMEM, "out of memory to rank %zu scores", most);
}

void ego_ranking_release(ego_ranking *r) {
    free(r->order);
    free(r->other);
    free(r->keys);
    free(r->other_keys);
    *r = (ego_ranking){0};
}

/* Unsigned numbers that ascend where the scores descend. */
static uint64_t key_of(double score) {
    uint64_t bits;
    if (isnan(score)) return UINT64_MAX;
    score += 0.0; /* −0 equals 0 */
    memcpy(&bits, &score, sizeof bits);
    return bits >> 63 ? bits : ~(bits | 1ull << 63);
}

static void swap_halves(ego_ranking *r) {
    uint64_t *keys = r->keys;
    uint32_t *order = r->order;
    r->keys = r->other_keys;
    r->order = r->other;
    r->other_keys = keys;
    r->other = order;
}

/* One pass over the digit at `shift`, whose counts are known. */
static void scatter(ego_ranking *r, size_t n, const uint32_t counts[DIGITS], int shift) {
    uint32_t starts[DIGITS], at = 0;
    for (int d = 0; d < DIGITS; d++) {
        starts[d] = at;
        at += counts[d];
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t to = starts[r->keys[i] >> shift & (DIGITS - 1)]++;
        r->other_keys[to] = r->keys[i];
        r->other[to] = r->order[i];
    }
    swap_halves(r);
}

/* Least significant digit first. Digits in which all keys agree are skipped: scores that were float32
 * have 29 zero bits at their end. */
const uint32_t *ego_rank(ego_ranking *r, const double *scores, size_t n) {
    static const int shifts[PASSES] = {0, 11, 22, 33, 44, 55};
    uint32_t counts[PASSES][DIGITS];
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i < n; i++) {
        uint64_t key = r->keys[i] = key_of(scores[i]);
        r->order[i] = (uint32_t)i;
        for (int p = 0; p < PASSES; p++) counts[p][key >> shifts[p] & (DIGITS - 1)]++;
    }
    for (int p = 0; n && p < PASSES; p++)
        if (counts[p][r->keys[0] >> shifts[p] & (DIGITS - 1)] != n)
            scatter(r, n, counts[p], shifts[p]);
    return r->order;
}
