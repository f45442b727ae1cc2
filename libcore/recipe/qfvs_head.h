/* Training QFVS's summary head (spec/tasks.md §6) on features of a model that stays as it is.
 *
 *     videos + queries → recipe/qfvs_rows (features, computed once and kept) → recipe/head_run: batches
 *         → task/qfvs → the mean binary cross-entropy over a video's shots, for each of three prompts:
 *           "There is a A" against the shots' concepts, "… B" likewise, "… A and a B" against the oracle's summary
 *         → F1 of the summaries of the validation videos at the end of each epoch; the best is what is kept
 *
 * data.prompts may put the concepts in the words of narrations instead (task/qfvs.h); the head's file keeps that
 * and data.parts, so that ego-sum asks and looks as it was trained.
 *
 * A sample is a query of a video. Losses are summed over a batch. Published: torch's AdamW, decay
 * 0.1 of everything, rates 0.2 and 0.0048 of 1e-5 for matrices and vectors, cosine down to 1e-8
 * with 10 % of warm-up, 20 epochs, 4 queries a batch; dropout is never on (the published program is
 * in evaluation mode all the time).
 */
#ifndef EGO_RECIPE_QFVS_HEAD_H
#define EGO_RECIPE_QFVS_HEAD_H

#include "recipe/qfvs_task.h"

typedef struct ego_qfvs_train_config {
    const char *model;     /* the encoders */
    const char *tokenizer; /* folder of a vocabulary; NULL: the model's own */
    int64_t frames;        /* of a shot */
    ego_qfvs_data data;
    ego_qfvs_shape head;
    double ratio;          /* of a summary, when validating */
    unsigned rates;        /* 0: published; 1: even, optim.lr for all */
    bool reference_quirks; /* segments and padding as the published program has them */
    ego_head_optim optim;
    ego_head_run_settings run;
    ego_arena texts;
} ego_qfvs_train_config;

/* `qfvs`; its configuration is an ego_qfvs_train_config. A plan tells queries and those to validate on, the videos' shots
 * by their tags, and the halves of fused passes that features cost when none is kept. */
extern const ego_recipe ego_recipe_qfvs;

#endif
