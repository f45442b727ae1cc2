/* Validation during training: EgoMCQ with the weights as they are. */
#ifndef EGO_RECIPE_VALIDATE_H
#define EGO_RECIPE_VALIDATE_H

#include "base/progress.h"
#include "data/clips.h"
#include "model/model.h"

typedef struct ego_validate_options {
    const char *questions;   /* egomcq.json */
    ego_clips_options clips; /* frames and size are the model's, whatever stands here */
    uint64_t seed;           /* chooses the sample */
} ego_validate_options;

/* Percent right by type and mode; NaN where the file has no question of the type, or the model no such mode. */
enum { EGO_VALIDATE_DUAL, EGO_VALIDATE_FUSED, EGO_VALIDATE_ENSEMBLE, EGO_VALIDATE_MODES };
typedef struct ego_validation {
    double inter[EGO_VALIDATE_MODES], intra[EGO_VALIDATE_MODES];
    int64_t questions, failed; /* asked; of them, with a clip that cannot be read: they count as wrong */
} ego_validation;

/* Answers `sample` questions of each type (0: all), the same ones for a seed. EGO_ECANCELLED when progress says
 * stop. */
ego_err ego_validate(ego_ctx *cx, ego_model *model, const ego_validate_options *options, int64_t sample,
                     const ego_progress *progress, ego_validation *out);

#endif
