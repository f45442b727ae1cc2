/* When a best match is too poor to mean anything: "nothing like this here".
 *
 * A search always finds something. What a cosine is worth differs from model to model, and the best of a
 * million clips is greater than the best of ten whatever was asked. So the index is asked N questions that
 * have nothing to do with it (task/unrelated.h), and B(u), the greatest cosine of narration u with any of
 * its clips, is kept for each.
 *
 * The null hypothesis about a query of greatest cosine b: "it has no more to do with this index than the
 * unrelated narrations", that is, b and the B(u) are exchangeable. Then
 *
 *     p = (1 + how many B(u) >= b) / (N + 1)
 *
 * is a p-value whatever the distribution: the chance of p <= a is at most a. A match is called likely when
 * p <= a = 0.05: when its cosine is greater than the floor(a (N + 1))-th greatest B(u), the threshold; for
 * N = 200 the tenth. Because B is a maximum over the whole index, the claim is about all of its clips at
 * once, and holds for lower ranks as well: of queries about nothing here one in twenty has any match called
 * likely.
 *
 * Narrations of the list that do happen in the index make the threshold higher, never lower: mistakes go to
 * the side of "nothing". Queries in another style than the list's ("#C C washes a cup") are exchangeable
 * with it only as far as the model does not mind.
 *
 * In an embedding stream it is a record of part "calibration": B in the order of the list as elements, and the
 * members "list" (which one) and "clips" (how many clips). Of streams joined together, B is the greater of
 * both, narration by narration.
 */
#ifndef EGO_TASK_CALIBRATION_H
#define EGO_TASK_CALIBRATION_H

#include "base/err.h"
#include "base/json.h"
#include "data/record.h"
#include "tensor/tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EGO_CALIBRATION_PART "calibration"
#define EGO_CALIBRATION_LEVEL 0.05

enum { EGO_CALIBRATION_LIST = 17 }; /* 16 hexadecimal digits and a NUL */

typedef struct ego_calibration {
    float *best; /* (n) B; -2 before any clip was seen */
    size_t n;
    uint64_t clips;
    char list[EGO_CALIBRATION_LIST];
} ego_calibration; /* {0} is none: releasing it is safe */

ego_err ego_calibration_init(const char *list, size_t n, ego_calibration *calibration);
void ego_calibration_release(ego_calibration *calibration);

/* Takes the part of `more` into `all`, which may be {0}. EGO_EINPUT when the lists differ. */
ego_err ego_calibration_join(ego_calibration *all, const ego_calibration *more);

/* False when there is none, it saw no clips, or its list is too short for the level. */
bool ego_calibration_holds(const ego_calibration *calibration);
/* Of one that holds: */
double ego_calibration_p(const ego_calibration *calibration, double score);
double ego_calibration_threshold(const ego_calibration *calibration);

/* As a record of a stream: the record and the elements it goes with; and back from a header and elements
 * (f32). EGO_EFORMAT names what is wrong. */
ego_err ego_calibration_record(const ego_calibration *calibration, ego_record *record,
                               ego_tensor *elements);
ego_err ego_calibration_read(const ego_json *header, const ego_tensor *elements,
                             ego_calibration *calibration);

#endif
