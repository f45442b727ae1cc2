/* Clips and narrations to embeddings, in batches. */
#ifndef EGO_TASK_EMBED_H
#define EGO_TASK_EMBED_H

#include "model/egovlp.h"

typedef enum ego_layer {
    EGO_LAYER_PROJECTED, /* what the two encoders are compared by: (projection's last width) */
    EGO_LAYER_BACKBONE,  /* the class token before the projection: (D) */
    EGO_LAYER_TOKENS     /* every token of the last layer: (T, D) */
} ego_layer;

typedef struct ego_embed_options {
    ego_layer layer;
    bool normalize; /* rows of unit length */
    bool fused;     /* items with both parts also go through the fused encoder */
} ego_embed_options;

typedef struct ego_embed_item {
    /* in; either part may be absent */
    const float *clip; /* (F, 3, S, S) prepared frames of the model's shape */
    const int64_t *tokens;
    size_t n_tokens;
    /* out: float32, owned by the item until ego_embed_item_release; data NULL where there is none */
    ego_tensor video, text;
    ego_tensor fused; /* the fused path's video class token (D), with options.fused and both parts */
    float match;      /* and the probability that the parts belong together */
} ego_embed_item;

/* The parameters that these options need: EGO_NEEDS_… bits. */
unsigned ego_embed_needs(const ego_embed_options *options);

/* Fills every item. An item's result does not depend on the others. Tokens must be within the model's
 * vocabulary and positions: ego_embed_check_tokens. */
ego_err ego_embed(ego_ctx *cx, ego_model *model, const ego_embed_options *options,
                  ego_embed_item *items, size_t n);
void ego_embed_item_release(ego_embed_item *item);

/* EGO_EINPUT when the model cannot take these tokens: none, too many, or an id it does not know. */
ego_err ego_embed_check_tokens(const ego_model *model, const int64_t *tokens, size_t n);

#endif
