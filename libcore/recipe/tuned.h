/* A model whose upper layers learn with the heads on top of them, and the file of what comes of it.
 *
 * Which layers is the head's business: those that what it reads goes through from where the streams meet on
 * (model/trainable.h's ego_param_where_streams_meet, recipe/qfvs_tuned.h's ego_param_of_summaries). What lies below
 * stays what it was, so it is computed once for each clip and each text.
 */
#ifndef EGO_RECIPE_TUNED_H
#define EGO_RECIPE_TUNED_H

#include "model/head.h"
#include "model/trainable.h"
#include "train/optim.h"

typedef struct ego_tuned {
    ego_trained *list; /* `count`, owned; values and gradients stay the model's */
    size_t count;
} ego_tuned; /* {0} is none */

/* Gives these layers gradients; decay of everything, as published, and `rate` times the learning rate. */
ego_err ego_tuned_begin(ego_model *model, ego_backend *backend, ego_param_choice *which,
                        double rate, ego_tuned *tuned);
void ego_tuned_end(ego_tuned *tuned); /* safe on {0} */
/* How many numbers they have. */
ego_err ego_tuned_count(ego_model *model, ego_param_choice *which, int64_t *count);

/* One .safetensors, written whole or not at all: every parameter of the model as it is in memory, its file's
 * vocabulary where it has one, and the head (NULL: none) with its notes. It opens as the model and as the head, as the
 * official fine-tuned checkpoints do; names do not meet, for heads have their own. */
ego_err ego_tuned_save(ego_model *model, ego_head *head, const char *path);

#endif
