/* ego-train nlq: a span predictor for Ego4D's natural language queries (spec/tasks.md, section 4), from annotations and
 * videos to a head's file.
 *
 *     annotations + videos → recipe/nlq_rows (features, computed once and kept) → recipe/nlq_head
 *
 * RUN.OUT holds log, checkpoints and head.safetensors, the best by R@1 at IoU 0.3 of the validation's queries; it
 * says which model and which features it was trained on, as ego-nlq wants to know.
 */
#ifndef EGO_RECIPE_NLQ_TRAIN_H
#define EGO_RECIPE_NLQ_TRAIN_H

#include "recipe/recipe.h"

typedef struct ego_nlq_train_config {
    const char *model;     /* the encoders */
    const char *tokenizer; /* folder of a vocabulary; NULL: the model's own */
    int64_t frames;        /* of a clip (4) */
    struct {
        const char *train;    /* nlq_train.json */
        const char *validate; /* nlq_val.json; NULL: no validation */
        const char *video_root;
        const char *validate_root; /* NULL: video_root */
        const char *cache;         /* folder of features, as ego-nlq --features has it */
        unsigned features;         /* 0: fused, which see the question; 1: dual, which do not */
        unsigned sampling;         /* 0: by time; 1: as the published program reads */
    } data;
    struct {
        unsigned kind; /* 0: nlq.vslnet; 1: nlq.vslnet_small */
        int64_t dim, heads, positions;
    } head;
    double dropout;
    bool reference_quirks; /* answers of no length teach the first clip; the small head's spans
                              do not see its highlight */
    ego_head_optim optim;
    ego_head_run_settings run;
    ego_arena texts;
} ego_nlq_train_config;

/* `nlq`; its configuration is an ego_nlq_train_config. A plan tells queries and those to validate on, the clips that
 * features are made of when none is kept, and the pairs of clips with questions likewise: 0 for dual features. */
extern const ego_recipe ego_recipe_nlq;

#endif
