/* The answer head of EgoTaskQA (spec/tasks.md §5): the video's fused class state, which has read
 * the question, to a score for each answer of a closed list.
 *
 *     logits = projector_2( drop( ReLU( projector_1(x) ) ) )        x (R, D) → (R, A) → (R, A)
 *
 * Its file is model/head.h's kind "qa"; the answers are its note "answers", one a line, the line
 * being the class. Official fine-tuned checkpoints hold backbone and head, and open as either;
 * they name no answers.
 */
#ifndef EGO_TASK_QA_HEAD_H
#define EGO_TASK_QA_HEAD_H

#include "format/taskqa.h"
#include "model/head.h"
#include "tensor/ops.h"

/* The published dropout, in training. */
#define EGO_QA_DROPOUT 0.2f

/* One answer logit a row and class. drop is EgoTaskQA's in training; {0} drops nothing. */
ego_tensor *ego_qa_logits(ego_ctx *cx, ego_head *head, const ego_tensor *x, ego_dropout drop);

/* A head of either kind, states ("qa") or moments ("qa.moments", task/qa_moments.h). */
ego_err ego_qa_head_open(const char *path, ego_head **head);
int64_t ego_qa_head_classes(const ego_head *head);
/* How many windows it looks at; 0: it is one of states. */
int64_t ego_qa_head_windows(const ego_head *head);

/* The names of the classes: those of `path` (one a line), or with NULL the head's own.
 * names->count is 0 when it has none. EGO_EINPUT when there are not as many as classes. */
ego_err ego_qa_head_answers(const ego_head *head, const char *path, ego_arena *arena,
                            ego_names *names);
/* Puts them into the head, for its file. */
ego_err ego_qa_head_set_answers(ego_head *head, const ego_names *names);

/* Whether a file holds such a head, be it alone or behind a model. */
bool ego_qa_head_inside(const ego_weights *weights);

/* The k best of n scores, best first, of equal ones the first first: order[k]. A score that is
 * not a number comes last. k ≤ n. */
void ego_qa_best(const float *scores, size_t n, size_t k, size_t *order);

#endif
