/* Which learning rate a parameter gets and whether it decays: the paper's six groups, told from
 * the name (spec/pretrain.md, Optimiser). */
#ifndef EGO_RECIPE_GROUPS_H
#define EGO_RECIPE_GROUPS_H

#include "model/trainable.h"
#include "train/optim.h"

#include <stdbool.h>

typedef enum ego_group {
    EGO_GROUP_BASE, /* the two encoders: 1 × lr */
    EGO_GROUP_HEAD, /* mlm_score, itm_score, txt_proj, vid_proj */
    EGO_GROUP_CROSS /* cross_modal, i2t, t2i: what text and video exchange */
} ego_group;

/* Substrings of the name decide. Those that stop decay miss norm3, norm_i2t_i, the gates, class
 * tokens and embeddings, as published: these decay. */
ego_group ego_group_of(const char *name, bool *decay);

/* A choice (model/trainable.h): what may learn while the dual encoder stays as it is. The base and the two dual
 * projections are left, and with them everything below the first layer where the streams meet. */
ego_param_choice ego_param_beside_encoders;
/* Another: what the dual encoder's embedding of a text goes through, its projection included. */
ego_param_choice ego_param_of_dual_text;

/* Every parameter of a trainable model (model/trainable.h) in the checkpoint's order that has a gradient, with
 * its group's factor of the learning rate. Names, values and gradients stay the model's; the list is the
 * caller's to free(). */
ego_err ego_trained_list(const ego_model *model, double encoders, double head, double cross,
                         ego_trained **list, size_t *count);

/* In such a list: what none of the EGO_NEEDS_… paths goes through keeps its values, decay or not, and
 * is in checkpoints all the same. */
void ego_trained_leave(const ego_model *model, unsigned needs, ego_trained *list);

#endif
