/* Training EgoTaskQA's answer head (spec/tasks.md §5) on the states of a model, which stays as
 * it is (`backbone` frozen) or learns along from the layer on where clip and question meet
 * (fused), and in all layers that read the question (text): a small vocabulary's model has not met
 * a question's words before.
 *
 *     questions + clips → recipe/qa_rows (the fused class state of each, computed once and cached)
 *         → recipe/qa_task in recipe/head_run: batches → task/qa_head → cross-entropy → gradients, updates, log
 *         → accuracy on the validation questions at the end of each epoch; the best is what is kept
 *
 * RUN.OUT holds log, checkpoints and, at the end, head.safetensors: the weights of the best
 * validation (without one: the last), with the answers' names inside; with a backbone that
 * learns it is the model, too. Published: torch's AdamW with decay of everything, 2e-4 (direct)
 * or 1e-4 (indirect), cosine with 10 % of warm-up, 36 epochs, 8 questions a batch.
 */
#ifndef EGO_RECIPE_QA_HEAD_H
#define EGO_RECIPE_QA_HEAD_H

#include "recipe/qa_task.h"

/* What learns. With a head of moments: nothing of the model, or the text encoder of the dual path (EGO_QA_TEXT).
 * With one of states all but frozen keep every clip's lower half in memory: (tokens, width) floats each. */
typedef enum ego_qa_backbone { EGO_QA_FROZEN, EGO_QA_FUSED, EGO_QA_TEXT } ego_qa_backbone;

typedef struct ego_qa_train_config {
    const char *model;     /* the encoders */
    const char *tokenizer; /* folder of a vocabulary; NULL: the model's own */
    int64_t frames;        /* of a clip; 0 (null): the model's */
    ego_qa_data data;
    ego_qa_kind kind;
    ego_qa_moments_config moments; /* with that kind */
    ego_qa_backbone backbone;
    double backbone_lr; /* times optim.lr */
    double dropout;
    ego_head_optim optim;
    ego_head_run_settings run;
    ego_arena texts;
} ego_qa_train_config;

/* `qa`; its configuration is an ego_qa_train_config. Every rank reads all rows and trains its share of a batch. A plan
 * tells the parameters that learn, answers, questions and those to validate on, unreadable clips not yet left out. */
extern const ego_recipe ego_recipe_qa;

#endif
