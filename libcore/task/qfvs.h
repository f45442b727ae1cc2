/* The head of query-focused summaries (spec/tasks.md, section 6): how well each shot answers the
 * query.
 *
 * What goes in are the shots' fused features for one query, in the order of time and cut into
 * segments (task/kts.h). Positions count from a segment's start: row p of a width D gets, i even,
 *     pe[p, i] = sin(p / 10000^(2i/D)),   pe[p, i+1] = cos(p / 10000^(2(i+1)/D)),
 * which is twice the usual exponent, as published, and goes on behind the 200 positions of the
 * published buffer: a segment may have any length. Then `layers` times Vaswani et al.'s encoder
 * layer with ReLU, the norms behind the residuals (eps 1e-5), a projector with ReLU, and a score, a
 * logit.
 *
 * A shot attends to its segment. The published program gives each segment 200 places, features of
 * nothing in the empty ones, and hands its padding mask over as numbers, so that what is empty is
 * not left out but gets +1.0 on its attention logits. `key_bias` does that: 1 in the rows that are
 * padding, 0 in the others.
 */
#ifndef EGO_TASK_QFVS_H
#define EGO_TASK_QFVS_H

#include "model/head.h"
#include "tensor/ops.h"

enum { EGO_QFVS_PLACES = 200 }; /* of a segment, in the published program */

/* x (R, D) of the segments, one after the other → logits (R, 1). key_bias: of each row, added to
 * its attention logits as a key; NULL: none; it must outlive the call, or the tape. Follows ops.h's
 * rule for errors. */
ego_tensor *ego_qfvs_logits(ego_ctx *cx, ego_head *head, const ego_tensor *x, ego_groups segments,
                            const float *key_bias);

/* How two concepts become a prompt. */
typedef enum ego_qfvs_words {
    /* As published: "There is a Face and a Cup". Three concepts are called otherwise in sentences:
     * Cupglass a Glass, Musicalinstrument an Instrument, Petsanimal an Animal. */
    EGO_QFVS_SENTENCE,
    /* In words that a model has read in narrations: PicksUp and Cup are "#C C picks up cup". */
    EGO_QFVS_NARRATION
} ego_qfvs_words;

/* What is asked of a shot. a or b NULL: the other alone, "There is a Face", "#C C cup". */
void ego_qfvs_prompt(ego_qfvs_words words, const char *a, const char *b, ego_buf *text);

#endif
