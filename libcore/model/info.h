/* What a model costs: parameters and multiply-adds, by path.
 *
 * Multiply-adds count the products of linear layers, the patch convolution and attention (queries times
 * keys, probabilities times values), one for each pair multiplied; LayerNorm, softmax and the like are
 * not counted, nor is what this implementation leaves out of a last layer.
 */
#ifndef EGO_MODEL_INFO_H
#define EGO_MODEL_INFO_H

#include "model/config.h"

typedef struct ego_cost {
    int64_t linear;    /* linear and convolution products */
    int64_t attention; /* attention products */
} ego_cost;

static inline int64_t ego_cost_total(ego_cost c) { return c.linear + c.attention; }

typedef struct ego_info {
    int64_t parameters;         /* of the configuration: gates and embeddings included */
    int64_t dual_parameters;    /* of them, what retrieval alone needs */
    int64_t stacked_parameters; /* with the fusion layers, if any, stacked on top of both encoders instead */
    int64_t frames, video_tokens, text_tokens;
    ego_cost video, text; /* the dual path, projections included */
    ego_cost match;       /* the fused path as configured with the matching head */
    ego_cost mlm;         /* the fused path with the language-modelling head */
    ego_cost stacked_match, stacked_mlm; /* the stacked alternative's */
} ego_info;

/* One clip of config->frames frames and one narration of text_tokens tokens. A pre-training instance is
 * video + text + match + mlm (the paper's table 6 counts those three passes). */
ego_err ego_info_of(const ego_config *config, int64_t text_tokens, ego_info *info);

#endif
