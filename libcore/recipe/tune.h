/* Fine-tuning the dual path on retrieval benchmarks (spec/tasks.md §2 and §3).
 *
 *     annotations + videos → data/rows (clips, ahead of need) → recipe/step (embeddings gathered over ranks, one
 *         loss, gradients portion by portion) → train/run → the benchmark's own metric after each epoch
 *
 * mir, EPIC-Kitchens-100: a caption is drawn for each clip among the sentences whose relevancy is above 0.1, its
 * own where none is; max-margin loss in both directions, margins in proportion to the drawn relevancy. Frames are
 * drawn and prepared as the published reader does. nDCG and mAP.
 *
 * charades, Charades-Ego: cross-entropy over the batch in both directions, temperature 0.05. Frames are drawn by
 * time, so a segment of a few frames gives a clip like any other (published: black ones). mAP.
 *
 * Published and kept: AdamW with the groups of pre-training, all factors 1, lr 2e-4 (mir) or 1.5e-5 (charades),
 * decay 0.01, cosine with 10 % of warm-up, 16 clips a rank. Not kept: the rate that is set back to 2e-4 for the
 * first step of each epoch; it comes from a line that the scheduler was to overwrite. Parameters that the dual
 * path does not go through stay as they are and stay in the file.
 *
 * RUN.OUT holds log and checkpoints, each of which opens as a model. The run itself is recipe/pretrain.h's:
 * what is drawn, ranks, stopping and going on are as there.
 */
#ifndef EGO_RECIPE_TUNE_H
#define EGO_RECIPE_TUNE_H

#include "recipe/pretrain.h"
#include "recipe/recipe.h"

typedef enum ego_tune_kind { EGO_TUNE_MIR, EGO_TUNE_CHARADES } ego_tune_kind;

typedef struct ego_tune_config {
    ego_tune_kind kind;
    const char *model;     /* what is fine-tuned */
    const char *tokenizer; /* folder of a vocabulary; NULL: the model's own */
    int64_t frames;        /* of a clip; 0 (null): the model's */
    struct {
        const char *train;         /* EPIC_100_retrieval_train.csv; metadata_train.csv */
        const char *validate;      /* EPIC_100_retrieval_test.csv; …_test_only1st.csv; NULL: no validation */
        const char *video_root;    /* P01/P01_01.MP4 or P01_01.mp4; ID.mp4 */
        const char *validate_root; /* NULL: video_root */
        int64_t max_tokens;        /* of a caption in training */
        bool augment;
        /* mir */
        const char *train_sentences, *validate_sentences; /* …_sentence.csv */
        const char *train_relevancy, *validate_relevancy; /* .pkl, .npy; NULL: computed from the classes */
        double relevant;                                  /* captions above this are drawn from */
        /* charades */
        const char *classes; /* Charades_v1_classes.txt; needed to validate */
        bool flip;
    } data;
    double margin;      /* mir */
    double temperature; /* charades */
    double dropout;     /* of the text encoder */
    ego_head_optim optim;
    ego_head_run_settings run;
    int64_t accumulate; /* portions a step */
    bool checkpoint_layers;
    ego_arena texts;
} ego_tune_config;

/* Each with its own keys; their configuration is an ego_tune_config. A plan is as pre-training's. */
extern const ego_recipe ego_recipe_mir, ego_recipe_charades;

#endif
