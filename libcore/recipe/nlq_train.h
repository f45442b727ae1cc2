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

#include "recipe/settings.h"
#include "train/run.h"

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

/* The published settings. Released by ego_nlq_train_config_release, which is safe on {0}. */
void ego_nlq_train_config_init(ego_nlq_train_config *config);
void ego_nlq_train_config_release(ego_nlq_train_config *config);
/* Its keys, for reading and writing. */
ego_settings ego_nlq_train_settings(ego_nlq_train_config *config);
/* EGO_EINPUT when something it cannot do without is missing. */
ego_err ego_nlq_train_config_check(ego_nlq_train_config *config);

typedef struct ego_nlq_train_options {
    ego_nlq_train_config *config; /* checked */
    ego_pool *pool;
    ego_dist *dist; /* NULL: one rank */
    bool resume;
    const ego_progress *progress; /* NULL: nobody listens */
    const ego_notice *notice;     /* may be NULL */
} ego_nlq_train_options;

/* Runs, or resumes, to the end; returns what ego_run returns. */
ego_err ego_nlq_train(const ego_nlq_train_options *options);

/* What a run would be, told from annotations and configuration without reading a video. */
typedef struct ego_nlq_train_plan {
    int64_t parameters;
    int64_t queries, held_out; /* to train and to validate on */
    int64_t clips;             /* that features are made of when none is kept */
    int64_t pairs;             /* of clips with questions likewise; 0 for dual features */
    int64_t steps, steps_per_epoch, batch;
} ego_nlq_train_plan;

ego_err ego_nlq_train_measure(const ego_nlq_train_options *options, ego_nlq_train_plan *plan);

#endif
