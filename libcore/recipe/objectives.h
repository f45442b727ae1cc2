/* The three objectives of pre-training (section 3.3) on samples that are ready: losses and gradients.
 *
 *   total = w_egonce · EgoNCE + w_mlm · MLM + w_vtm · VTM        (published weights 1, 1, 2)
 *
 * Nothing here draws a number or knows how many machines there are: masks and negatives are made by
 * recipe/mask.h and recipe/negatives.h, a step is put together by recipe/step.h. Functions follow ops.h's
 * rule for errors; with a tape attached what they return can be taken back.
 */
#ifndef EGO_RECIPE_OBJECTIVES_H
#define EGO_RECIPE_OBJECTIVES_H

#include "model/egovlp.h"
#include "tensor/tape.h"

/* n clips and the narration of each. */
typedef struct ego_samples {
    const ego_tensor *clips; /* (n, F, 3, S, S) */
    ego_texts texts;
} ego_samples;

/* Unit-length embeddings of the dual encoder, (n, P) each. */
typedef struct ego_embeddings {
    ego_tensor *text, *video;
} ego_embeddings;

ego_embeddings ego_dual_embeddings(ego_ctx *cx, ego_model *model, const ego_samples *samples);

/* What is asked of the similarities of a step's texts and videos. */
typedef enum ego_contrast {
    EGO_CONTRAST_EGONCE, /* pre-training; with positives on the diagonal, Charades-Ego */
    EGO_CONTRAST_MARGIN  /* EK-100: ego_max_margin, by how well each caption fits its clip */
} ego_contrast;

typedef struct ego_contrast_terms {
    ego_contrast kind;
    const uint8_t *positive; /* (n, n), text rows: which belong together. EgoNCE */
    float temperature;       /* EgoNCE */
    const float *fit;        /* (n): factors of the margin */
    float margin;
} ego_contrast_terms;

/* That loss over n embeddings of all samples, wherever they were computed. text, video (n, P) unit rows.
 * Writes the loss, the similarities (n, n) and, times `weight`, the gradients to the embeddings (n, P). */
typedef struct ego_contrast_result {
    double loss;
    float *sim, *dtext, *dvideo; /* the caller's memory; dtext and dvideo NULL: no gradients wanted */
} ego_contrast_result;

ego_err ego_contrast_all(ego_ctx *cx, int64_t n, int64_t width, const float *text, const float *video,
                         const ego_contrast_terms *terms, float weight, ego_contrast_result *result);

/* What the fused encoder is asked: masked narrations about their own clips, and narrations that may or may
 * not belong to a clip. Clips are given once each; the lower half of the video encoder is shared. */
typedef struct ego_fused_task {
    const ego_tensor *clips;  /* (C, F, 3, S, S) */
    ego_texts masked;         /* n 0: no MLM */
    const int64_t *masked_clip;              /* (n) which clip narration i is about */
    const int64_t *hidden_rows, *hidden_ids; /* rows of `masked` that were selected, and what stood there */
    int64_t hidden;
    ego_texts paired;         /* n 0: no VTM */
    const int64_t *paired_clip, *paired_label; /* label 1: they belong together */
    /* Lists of pairs. 0: `paired` has a narration for each pair. Else pairs come in lists of so many, right one first,
     * and `paired` has each narration once: pair i asks narration paired_text[i], with dropout streams of its own
     * where the streams meet (NULL without dropout). */
    int64_t list, lists;
    const int64_t *paired_text;
    const uint64_t *pair_streams;
} ego_fused_task;

/* Cross-entropies summed and scaled: mlm over the hidden tokens, vtm over the pairs; (1) each, NULL where
 * there is nothing to sum. With fusion switched off in the configuration MLM sees text alone.
 *
 * Of a list, z a pair's log-odds of a match: −log softmax(z)[0], by which the right pair comes before the wrong ones,
 * and half of the right pair's binary cross-entropy with half of the wrong ones' mean, by which z stays a
 * probability's and pairs of different lists compare. */
typedef struct ego_fused_losses {
    ego_tensor *mlm, *vtm;
    ego_tensor *vtm_logits; /* (n, 2): no match, match */
} ego_fused_losses;

ego_fused_losses ego_fused_objectives(ego_ctx *cx, ego_model *model, const ego_fused_task *task,
                                      float mlm_scale, float vtm_scale);

#endif
