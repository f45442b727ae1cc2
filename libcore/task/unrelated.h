/* Narrations that have nothing to do with an index, and what they score in it: see task/calibration.h.
 *
 * The built-in list is 200 first-person narrations of our own, from as many occasions as we could think of,
 * no two alike, so that any one video shares few with it. A list of one's own is a text file with a
 * narration a line; empty lines are passed over.
 */
#ifndef EGO_TASK_UNRELATED_H
#define EGO_TASK_UNRELATED_H

#include "model/egovlp.h"
#include "task/calibration.h"
#include "task/embed.h"
#include "task/match.h"

typedef struct ego_unrelated ego_unrelated;

/* Embeds the list: of the file `path`, or (NULL or "builtin") the built-in one. The model needs a tokenizer.
 * `layer` is that of the clips to come. */
ego_err ego_unrelated_open(ego_ctx *cx, ego_model *model, ego_layer layer, const char *path,
                           ego_unrelated **unrelated);
void ego_unrelated_close(ego_unrelated *unrelated); /* takes NULL */

/* Compares all with more clips of that layer, of `dim` elements. pool may be NULL. */
ego_err ego_unrelated_meet(ego_unrelated *unrelated, const ego_vector *clips, size_t n, size_t dim,
                           ego_pool *pool);

/* What was found in all clips so far; lives as long as `unrelated`. */
const ego_calibration *ego_unrelated_calibration(const ego_unrelated *unrelated);

#endif
