/* A fine-tuned file: one .safetensors that opens as the model and as the head on top of it, as
 * the official fine-tuned checkpoints do. Names do not meet: heads have their own. */
#ifndef EGO_RECIPE_TUNED_H
#define EGO_RECIPE_TUNED_H

#include "model/head.h"
#include "model/model.h"

/* Every parameter of the model as it is in memory, its file's vocabulary where it has one, and
 * the head with its notes. Written whole or not at all. */
ego_err ego_tuned_save(ego_model *model, ego_head *head, const char *path);

#endif
