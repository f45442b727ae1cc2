/* Two sets of weights side by side. */
#ifndef EGO_MODEL_COMPARE_H
#define EGO_MODEL_COMPARE_H

#include "format/weights.h"

/* What is said of each tensor that one of the files has. */
typedef struct ego_difference {
    const char *name;
    const ego_tensor *a, *b; /* NULL: missing on that side */
    bool comparable;         /* both are numbers of one shape */
    double relative;         /* ‖a − b‖ / ‖a‖ in double; NaN where either has one */
    double largest;          /* largest absolute difference */
} ego_difference;

/* Walks the weights of both in order of name (ego_is_weight). One that one file keeps in panels is compared
 * with the same one of the other as if it were plain. visit returning false stops. */
ego_err ego_weights_compare(const ego_weights *a, const ego_weights *b,
                            bool (*visit)(void *context, const ego_difference *difference),
                            void *context);

/* The first tensor with a NaN or infinity, or NULL; *element says which. */
const char *ego_weights_not_finite(const ego_weights *weights, int64_t *element);

#endif
