/* Answers out of moments: a head for questions about intervals that hold several deeds (model/head.h, "qa.moments").
 *
 * The encoders know clips of about a second. An interval of twenty, seen as one clip, is a frame a second: too few to
 * see what is done. Here it is W clips, its windows, one after the other, and what the dual encoders make of each and
 * of the question compares as in retrieval. With x_w a window's embedding, y the states of the question's tokens:
 *
 *     e_1 = y's class state      e_k = y weighted by softmax(chooser_k · chosen(y) / √D)      k = 2 … K
 *     q_k = norm(txt_proj(e_k))  p_k = softmax over w of q_k · x_w / 0.05                     when it is about
 *     m_k = Σ_w p_k[w] x_w       t_k = Σ_w p_k[w] times[w]
 *
 *     moment k:  seen(m_k) + match(q_k ∘ m_k) + time(t_k) + kinds[k]
 *     window w:  seen(x_w) + match(q_1 ∘ x_w) + positions[w]
 *     word:      word(y)
 *
 * and a pre-norm Transformer over moments, words and windows, whose first place answers:
 * logits = projector_2(drop(ReLU(projector_1(norm(first place))))). q ∘ m sums to the cosine of what is asked and
 * what is there: that alone tells "did I …?" of clips the model was trained on.
 */
#ifndef EGO_TASK_QA_MOMENTS_H
#define EGO_TASK_QA_MOMENTS_H

#include "model/head.h"
#include "task/halves.h"

/* n questions, each with its interval. */
typedef struct ego_qa_seen {
    const ego_tensor *windows; /* (n·W, P): of each question its interval's, of unit length */
    ego_lower words;           /* the dual encoder's states of the questions' tokens */
} ego_qa_seen;

/* (n, A). drop: a stream for each question; {0} drops nothing. The projection is the model's, and learns when it has
 * gradients. Follows ops.h's rule for errors. */
ego_tensor *ego_qa_moments_logits(ego_ctx *cx, ego_head *head, ego_model *model, ego_qa_seen seen,
                                  ego_dropout drop);

/* The head's widths are the model's, or EGO_EMODEL. */
ego_err ego_qa_moments_fits(const ego_head *head, const ego_model *model);

#endif
