/* Several heads over one model whose upper layers learn from all of them: the multi-task fine-tuning that the paper
 * wishes for in its conclusion.
 *
 *     questions + clips       → recipe/qa_task    ┐                         ┌ the answer head
 *                                                 ├ the layers where clip   ┤
 *     videos, queries + shots → recipe/qfvs_tuned ┘ and text meet           └ the summary head
 *
 *     a step: a batch of each task → its head and the shared layers → weight · losses → one update of everything
 *         → at the end of an epoch: each task's validation; the best mean of their scores is what is kept
 *
 * Both heads read the fused class state of (clip, text), the answer head as it is, the summary head behind
 * cross_modal_video_transform, which learns along. What lies below the first fused layer stays what it was; it is
 * computed once for each clip, shot and text, and stays in memory. A task is trained when the configuration names its
 * data. An epoch is the longest task's (recipe/head_run.h).
 *
 * RUN.OUT holds log and checkpoints and, of the best validation (without one: of the end), model.safetensors and a
 * head-TASK.safetensors for each task, which names that model.
 */
#ifndef EGO_RECIPE_HEADS_H
#define EGO_RECIPE_HEADS_H

#include "recipe/qa_task.h"
#include "recipe/qfvs_task.h"

/* How a task counts among the others. */
typedef struct ego_heads_share {
    double weight; /* of its losses */
    double rate;   /* of its head: times optim.lr */
    int64_t batch; /* 0 (null): run.batch */
} ego_heads_share;

typedef struct ego_heads_config {
    const char *model;     /* what all start from */
    const char *tokenizer; /* folder of a vocabulary; NULL: the model's own */
    int64_t frames;        /* of a clip and of a shot; 0 (null): the model's */
    struct {
        ego_qa_data data; /* train NULL: this task is not trained */
        double dropout;
        ego_heads_share share;
    } qa;
    struct {
        ego_qfvs_data data; /* videos NULL: likewise */
        ego_qfvs_shape head;
        double ratio;
        int64_t stretch; /* shots of a sample */
        ego_heads_share share;
    } qfvs;
    double backbone; /* the shared layers' rate, times optim.lr */
    ego_head_optim optim;
    ego_head_run_settings run;
    ego_arena texts;
} ego_heads_config;

/* `heads`; its configuration is an ego_heads_config. A plan tells the parameters that learn and how many of them are
 * shared, what qa and qfvs tell of each task, and how many bytes of shots' lower halves stay in memory. */
extern const ego_recipe ego_recipe_heads;

#endif
