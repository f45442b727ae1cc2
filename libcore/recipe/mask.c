#include "recipe/mask.h"

#include "base/rng.h"

#include <stdbool.h>

enum { SPECIAL = 4, DRAWS = 3 };

static bool special(const ego_masking *m, int64_t id) { return id < SPECIAL || id == m->mask; }

int64_t ego_mask_tokens(const ego_masking *m, uint64_t stream, const int64_t *ids, int64_t n,
                        int64_t *masked, int64_t *hidden) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        uint64_t draw = (uint64_t)i * DRAWS;
        masked[i] = ids[i];
        if (special(m, ids[i]) || ego_rng_unit(stream, draw) >= 0.15) continue;
        double how = ego_rng_unit(stream, draw + 1);
        if (how < 0.8)
            masked[i] = m->mask;
        else if (how < 0.9)
            masked[i] = (int64_t)ego_rng_below(stream, draw + 2, (uint32_t)m->vocab);
        hidden[count++] = i;
    }
    return count;
}
