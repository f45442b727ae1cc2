#include "recipe/negatives.h"

#include "base/rng.h"

#include <math.h>
#include <string.h>

ego_tag_bits ego_tag_bits_of(const ego_tags *verbs, const ego_tags *nouns) {
    ego_tag_bits bits = {0};
    for (size_t i = 0; i < verbs->count; i++)
        bits.verbs[verbs->ids[i] / 64] |= UINT64_C(1) << verbs->ids[i] % 64;
    for (size_t i = 0; i < nouns->count; i++)
        bits.nouns[nouns->ids[i] / 64] |= UINT64_C(1) << nouns->ids[i] % 64;
    return bits;
}

static bool share(const uint64_t *a, const uint64_t *b, size_t words) {
    uint64_t common = 0;
    for (size_t i = 0; i < words; i++) common |= a[i] & b[i];
    return common != 0;
}

static bool belong(ego_positives kind, const ego_tag_bits *a, const ego_tag_bits *b) {
    bool verb = share(a->verbs, b->verbs, sizeof a->verbs / sizeof a->verbs[0]);
    bool noun = share(a->nouns, b->nouns, sizeof a->nouns / sizeof a->nouns[0]);
    switch (kind) {
    case EGO_POSITIVES_NOUN_VERB: return verb && noun;
    case EGO_POSITIVES_NOUN: return noun;
    case EGO_POSITIVES_VERB: return verb;
    case EGO_POSITIVES_DIAGONAL: break;
    case EGO_POSITIVES_SAME: return verb && noun && memcmp(a, b, sizeof *a) == 0;
    }
    return false;
}

void ego_positive_pairs(ego_positives kind, int64_t n, const ego_tag_bits *tags, uint8_t *positive) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            positive[i * n + j] = i == j || belong(kind, &tags[i], &tags[j]);
}

void ego_negative_weights(int64_t n, const float *sim, const uint8_t *positive, double temperature,
                          bool columns, int64_t i, double *weight) {
    int64_t from = columns ? i : i * n, step = columns ? n : 1;
    double most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++)
        if (sim[from + j * step] > most) most = sim[from + j * step];
    for (int64_t j = 0; j < n; j++) sum += weight[j] = exp((sim[from + j * step] - most) / temperature);
    for (int64_t j = 0; j < n; j++) weight[j] = positive[from + j * step] ? 0 : weight[j] / sum;
}

/* One index with probability proportional to weight + 1e-9. */
static int64_t draw(int64_t n, const double *weight, double unit) {
    static const double least = 1e-9;
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += weight[j] + least;
    double at = unit * sum;
    for (int64_t j = 0; j < n; j++)
        if ((at -= weight[j] + least) < 0) return j;
    return n - 1;
}

/* The first half of a permutation (Fisher and Yates's, backwards) gets label 1. */
static void draw_labels(uint64_t stream, int64_t n, int64_t *label) {
    for (int64_t i = 0; i < n; i++) label[i] = i < n / 2;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = ego_rng_below(stream, (uint64_t)i, (uint32_t)(i + 1)), kept = label[i];
        label[i] = label[j];
        label[j] = kept;
    }
}

/* Weights of what may stand in the place of sample i's video, or of its text. */
static void weigh(const ego_negatives *how, int64_t n, const float *sim, const uint8_t *positive,
                  bool other_video, int64_t i, double *weight) {
    bool columns = other_video == how->crossed;
    if (how->hard)
        ego_negative_weights(n, sim, positive, how->temperature, columns, i, weight);
    else
        for (int64_t j = 0; j < n; j++) weight[j] = !positive[columns ? j * n + i : i * n + j];
}

void ego_matching_pairs(const ego_negatives *how, uint64_t stream, int64_t n, const float *sim,
                        const uint8_t *positive, int64_t *text, int64_t *video, int64_t *label,
                        double *weight) {
    draw_labels(ego_rng_stream(stream, 0), n, label);
    uint64_t draws = ego_rng_stream(stream, 1);
    for (int64_t i = 0; i < n; i++) {
        text[i] = video[i] = i;
        if (label[i]) continue;
        bool other_video = ego_rng_unit(draws, (uint64_t)(2 * i)) < 0.5;
        weigh(how, n, sim, positive, other_video, i, weight);
        int64_t drawn = draw(n, weight, ego_rng_unit(draws, (uint64_t)(2 * i + 1)));
        *(other_video ? &video[i] : &text[i]) = drawn;
    }
}

/* So that those of sample i's scene are drawn before others, each as likely. */
static void prefer_scene(const ego_negatives *how, int64_t n, int64_t i, double *weight) {
    static const double before_all = 1e6; /* the others' sum to at most n */
    for (int64_t j = i % how->groups; j < n; j += how->groups) weight[j] += before_all;
}

/* Positives are out, and what was drawn is from then on; the floor is for weights that underflowed. */
static int64_t draw_anew(int64_t n, double *weight, double unit) {
    static const double least = 1e-9;
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += weight[j] < 0 ? 0 : weight[j] + least;
    int64_t drawn = -1;
    double at = unit * sum;
    for (int64_t j = 0; j < n && at >= 0; j++) {
        if (weight[j] < 0) continue;
        drawn = j;
        at -= weight[j] + least;
    }
    if (drawn >= 0) weight[drawn] = -1;
    return drawn;
}

void ego_matching_choices(const ego_negatives *how, uint64_t stream, int64_t n, int64_t wrong, const float *sim,
                          const uint8_t *positive, int64_t *text, int64_t *video, int64_t *label,
                          double *weight) {
    uint64_t draws = ego_rng_stream(stream, 2), scenes = ego_rng_stream(stream, 3);
    int64_t each = wrong + 1;
    for (int64_t i = 0; i < n; i++) {
        bool other_video = ego_rng_unit(draws, (uint64_t)(i * each)) < 0.5;
        int64_t *drawn = (other_video ? video : text) + i * each, found = 0;
        for (int64_t c = 0; c < each; c++) text[i * each + c] = video[i * each + c] = i;
        weigh(how, n, sim, positive, other_video, i, weight);
        if (ego_rng_unit(scenes, (uint64_t)i) < how->scene) prefer_scene(how, n, i, weight);
        for (int64_t j = 0; j < n; j++)
            if (positive[i * n + j]) weight[j] = -1;
        for (int64_t c = 1, j; c < each; c++) {
            j = draw_anew(n, weight, ego_rng_unit(draws, (uint64_t)(i * each + c)));
            if (j >= 0)
                drawn[++found] = j;
            else if (found)
                drawn[c] = drawn[1 + (c - 1) % found];
        }
        for (int64_t c = 0; c < each; c++) label[i * each + c] = drawn[c] == i;
    }
}
