/* A model whose weights change: what training needs of it beside what inference does. */
#ifndef EGO_MODEL_TRAINABLE_H
#define EGO_MODEL_TRAINABLE_H

#include "model/model.h"

/* From here on every parameter that is there is float32 in memory of the model's own and has a gradient,
 * zero at first; a gate set by configuration stays a constant without one. The model must be opened or made
 * for as many frames as its temporal embedding has rows (EGO_EINPUT otherwise): nothing trains through
 * inflation. Costs 8 bytes a weight. The backend forgets what it had packed. */
ego_err ego_model_make_trainable(ego_model *model, ego_backend *backend);

/* The same of those parameters alone that `which` says yes to; the others stay as they are, without gradients.
 * The number of frames matters only where the temporal embedding is one of them. */
typedef bool ego_param_choice(const ego_model *model, const ego_param *param);
ego_err ego_model_make_partly_trainable(ego_model *model, ego_backend *backend, ego_param_choice *which);

/* Only what gradients ask of a parameter that they pass through on their way to others, and that keeps its value: plain
 * float32 rows, in memory of the model's own. */
ego_err ego_model_make_passable(ego_model *model, ego_backend *backend, ego_param_choice *which);

/* A choice: what the fused class state of the video goes through from the layer on where the streams meet
 * (model/egovlp.h: ego_fused_finish). The lower halves stay what they were. */
ego_param_choice ego_param_where_streams_meet;
/* The same and the text's layers below with the embeddings: only the video's lower half stays. */
ego_param_choice ego_param_text_and_where_streams_meet;

/* After the values changed: the backend packs them again when they are next used. */
void ego_model_changed(ego_model *model, ego_backend *backend);

/* Zeroes every gradient. */
void ego_model_zero_gradients(ego_model *model);

#endif
