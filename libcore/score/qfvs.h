/* Query-focused summaries: two sets of shots compared by what is in them (spec/tasks.md §6).
 *
 * A shot has a set of concepts. Two shots are alike by intersection over union of their concepts (0
 * when neither has any); the two summaries are matched one to one so that the sum M of likeness is
 * greatest. Precision is M over the shots predicted, recall M over those of the truth.
 */
#ifndef EGO_SCORE_QFVS_H
#define EGO_SCORE_QFVS_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ego_qfvs_scores {
    double precision, recall, f1; /* 0 where the division would be by 0 */
} ego_qfvs_scores;

/* Intersection over union of two sets of 64 · words bits. */
double ego_concepts_iou(const uint64_t *a, const uint64_t *b, size_t words);

/* tags: (shots, words). The lists hold shots from 0, each below the number of shots and once. */
ego_err ego_qfvs_score(const uint32_t *predicted, size_t n_predicted, const uint32_t *truth,
                       size_t n_truth, const uint64_t *tags, size_t words, ego_qfvs_scores *scores);

#endif
