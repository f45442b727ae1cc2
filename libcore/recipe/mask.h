/* Masked language modelling: which tokens are hidden, and behind what (spec/pretrain.md, Losses). */
#ifndef EGO_RECIPE_MASK_H
#define EGO_RECIPE_MASK_H

#include <stdint.h>

typedef struct ego_masking {
    int64_t vocab; /* ids are drawn from [0, vocab) */
    int64_t mask;  /* the mask token's id */
} ego_masking;

/* Each of n ids that is not special (0 to 3, and the mask) is selected with probability 0.15; a selected one
 * becomes the mask in 80 of 100 cases, any id in 10, and stays in 10. Writes the n ids to `masked` and the
 * places of the selected ones, ascending, to `hidden` (room for n); returns how many. */
int64_t ego_mask_tokens(const ego_masking *masking, uint64_t stream, const int64_t *ids, int64_t n,
                        int64_t *masked, int64_t *hidden);

#endif
