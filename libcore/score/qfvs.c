#include "score/qfvs.h"

#include "score/assign.h"

#include <stdlib.h>

double ego_concepts_iou(const uint64_t *a, const uint64_t *b, size_t words) {
    int both = 0, either = 0;
    for (size_t w = 0; w < words; w++) {
        both += __builtin_popcountll(a[w] & b[w]);
        either += __builtin_popcountll(a[w] | b[w]);
    }
    return either ? (double)both / either : 0;
}

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

ego_err ego_qfvs_score(const uint32_t *predicted, size_t n_predicted, const uint32_t *truth,
                       size_t n_truth, const uint64_t *tags, size_t words,
                       ego_qfvs_scores *scores) {
    size_t pairs;
    if (__builtin_mul_overflow(n_predicted, n_truth, &pairs) || pairs == SIZE_MAX)
        return ego_fail(EGO_EUNSUPPORTED, "%zu shots beside %zu", n_predicted, n_truth);
    double *weight = calloc(pairs + 1, sizeof *weight), total = 0;
    if (!weight) return ego_fail(EGO_ENOMEM, "out of memory for %zu pairs of shots", pairs);
    for (size_t i = 0; i < n_predicted; i++)
        for (size_t j = 0; j < n_truth; j++)
            weight[i * n_truth + j] =
                ego_concepts_iou(tags + predicted[i] * words, tags + truth[j] * words, words);
    ego_err err = ego_assign(weight, n_predicted, n_truth, &total, NULL);
    free(weight);
    if (err != EGO_OK) return err;
    double precision = ratio(total, (double)n_predicted), recall = ratio(total, (double)n_truth);
    *scores =
        (ego_qfvs_scores){precision, recall, ratio(2 * precision * recall, precision + recall)};
    return EGO_OK;
}
