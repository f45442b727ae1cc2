/* EgoTaskQA's questions as a task of recipe/head_run.h: the only one (recipe/qa_head.h) or one of several
 * (recipe/heads.h).
 *
 * Its loss "answer" is the cross-entropy of the right answer, the mean over a batch. It validates by the percentage
 * of right answers, "all", "open" and "binary", and by "loss"; the score is "all".
 */
#ifndef EGO_RECIPE_QA_TASK_H
#define EGO_RECIPE_QA_TASK_H

#include "recipe/head_run.h"
#include "recipe/qa_rows.h"

typedef struct ego_qa_data {
    const char *train;         /* formatted_train_qas_encode.json */
    const char *validate;      /* …_val_…; NULL: no validation */
    const char *answers;       /* answer_set.txt */
    const char *video_root;    /* where intervals are found */
    const char *validate_root; /* of the validation's; NULL: video_root */
    const char *cache;         /* folder of states; NULL: computed anew each time */
    double interval_fps;
    unsigned sampling; /* 0: middles; 1: as the published reader draws */
} ego_qa_data;

extern const char *const ego_qa_sampling_words[];

/* What answers: the published head of one fused state, or one of moments (task/qa_moments.h). */
typedef enum ego_qa_kind { EGO_QA_STATES, EGO_QA_MOMENTS } ego_qa_kind;
extern const char *const ego_qa_kind_words[];

typedef struct ego_qa_task {
    ego_head *head;             /* owned, drawn */
    ego_model *model;           /* with halves or a head of moments; else NULL */
    ego_qa_rows rows, held_out; /* to train and to validate on */
    double dropout;
    int64_t portion; /* rows in a pass through the model; 0: they do not go through it any more */
} ego_qa_task;       /* {0} is none */

typedef struct ego_qa_task_options {
    const ego_qa_data *data;
    ego_qa_kind kind;
    ego_qa_moments_config moments; /* of that kind; width, text and answers are set here */
    uint64_t seed;
    bool halves; /* the layers where clip and question meet learn along: rows end below them */
    bool text_learns; /* with halves: and those below, that read the question */
    double dropout;
    const ego_training *with;
} ego_qa_task_options;

/* Draws a head and reads the rows. With halves, and for a head of moments, the model and its context are used until
 * the release. */
ego_err ego_qa_task_open(ego_ctx *cx, ego_model *model, const ego_qa_task_options *options,
                         ego_qa_task *task);
void ego_qa_task_release(ego_qa_task *task, ego_backend *backend); /* safe on {0} */

/* As ego_head_run takes it. */
ego_head_task ego_qa_task_of(ego_qa_task *task);

/* Told without computing anything, from options' data, kind and moments; clips that cannot be read are not left out
 * yet. */
typedef struct ego_qa_sizes {
    int64_t answers, questions, held_out;
    int64_t parameters; /* of the head */
} ego_qa_sizes;

ego_err ego_qa_task_measure(const ego_qa_task_options *options, const ego_model *model, ego_qa_sizes *sizes);

#endif
