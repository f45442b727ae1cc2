/* A model whose weights change: what training needs of it beside what inference does. */
#ifndef EGO_MODEL_TRAINABLE_H
#define EGO_MODEL_TRAINABLE_H

#include "model/model.h"

/* From here on every parameter that is there is float32 in memory of the model's own and has a gradient,
 * zero at first; a gate set by configuration stays a constant without one. The model must be opened or made
 * for as many frames as its temporal embedding has rows (EGO_EINPUT otherwise): nothing trains through
 * inflation. Costs 8 bytes a weight. The backend forgets what it had packed. */
ego_err ego_model_make_trainable(ego_model *model, ego_backend *backend);

/* After the values changed: the backend packs them again when they are next used. */
void ego_model_changed(ego_model *model, ego_backend *backend);

/* Zeroes every gradient. */
void ego_model_zero_gradients(ego_model *model);

#endif
