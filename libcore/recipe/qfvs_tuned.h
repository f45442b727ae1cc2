/* QFVS as a task over a model whose upper layers learn along (recipe/heads.h).
 *
 *     shot   → its lower half, once ┐
 *                                   ├→ the layers where they meet → cross_modal_video_transform → task/qfvs
 *     prompt → its lower half, once ┘
 *
 * A sample is a query of a video. What is heard of the video for it is a stretch: a shot is drawn, and with it come
 * those of its segment (task/kts.h), no more than `stretch` of them: 3 · stretch pairs are on the tape at once,
 * however long the video is. Every shot is drawn alike, so the losses, means over the stretch, stand for those of
 * recipe/qfvs_head.h, means over the video. A batch's losses are the mean over its samples. Validation looks at whole
 * videos; its numbers are recipe/qfvs_task.h's.
 *
 * Lower halves stay in memory: (T, D) floats a shot.
 */
#ifndef EGO_RECIPE_QFVS_TUNED_H
#define EGO_RECIPE_QFVS_TUNED_H

#include "model/trainable.h"
#include "recipe/qfvs_task.h"

typedef struct ego_qfvs_tuned_options {
    const ego_qfvs_data *data; /* its cache and sampling are not used */
    const ego_qfvs_shape *head;
    double ratio;    /* of a summary, when validating */
    int64_t stretch; /* shots */
    uint64_t seed;   /* of the head, as recipe/qfvs_head.h draws it */
    const ego_training *with;
} ego_qfvs_tuned_options;

typedef struct ego_qfvs_tuned ego_qfvs_tuned;

/* Draws a head and computes what lies below. Context, model and options must outlive the task. */
ego_err ego_qfvs_tuned_open(ego_ctx *cx, ego_model *model, const ego_qfvs_tuned_options *options,
                            ego_qfvs_tuned **task);
void ego_qfvs_tuned_close(ego_qfvs_tuned *task, ego_backend *backend); /* takes NULL */

/* A choice: what the head's features go through from where the streams meet on. These and no others have gradients
 * when it learns. */
ego_param_choice ego_param_of_summaries;

/* As ego_head_run takes it. */
ego_head_task ego_qfvs_tuned_task(ego_qfvs_tuned *task);

#endif
