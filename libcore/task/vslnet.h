/* VSLNet: the span of a clip sequence that answers a question (Zhang et al., Span-based Localizing Network for
 * Natural Language Video Localization, ACL 2020), as EgoVLPv2 trains it for Ego4D NLQ (spec/tasks.md, section 4).
 *
 *     video (T, W) ─ affine ─ encoder ─┐                                       ┌─ start logits
 *                                      ├ attention ─ pooled query ─ highlight ─┤
 *     query (L, Q) ─ affine ─ encoder ─┘                                       └─ end logits
 *
 * The encoder is one for both: learned positions, four depthwise convolutions, one layer of attention. The
 * head's parameters are model/head.h's kinds "nlq.vslnet" and "nlq.vslnet_small" (without attention
 * between video and query). Seconds and clips: task/vslnet_spans.h.
 */
#ifndef EGO_TASK_VSLNET_H
#define EGO_TASK_VSLNET_H

#include "model/head.h"
#include "task/vslnet_spans.h"
#include "tensor/ops.h"

/* What is published: of training, and of the loss. */
#define EGO_VSLNET_DROPOUT 0.2f
#define EGO_VSLNET_HIGHLIGHT_WEIGHT 5.0

/* One question and the clips it is asked of. Rows from clips and tokens on are padding: nobody attends to them and
 * they have no logits to speak of; but convolutions reach three rows into them, as in the reference.
 * Without padding, which is the rule here, the answer depends on nothing but the sample. */
typedef struct ego_vslnet_input {
    ego_tensor *video;     /* (T, video_width) */
    ego_tensor *query;     /* (L, query_width) */
    int64_t clips, tokens; /* rows that count, 1 … T and 1 … L */
    float dropout;         /* 0: inference */
    uint64_t stream;       /* what is dropped depends on it alone */
} ego_vslnet_input;

/* Logits, −1e30 on padding; in the context's memory. */
typedef struct ego_vslnet_output {
    ego_tensor *highlight;   /* (1, T) */
    ego_tensor *start, *end; /* (1, T) */
} ego_vslnet_output;

/* EGO_EINPUT when the features do not fit the head. A failure of the context's, from before too, is returned and
 * cleared. */
ego_err ego_vslnet_forward(ego_ctx *cx, ego_head *head, const ego_vslnet_input *input,
                           ego_vslnet_output *output);

/* What a batch's losses are divided by. */
typedef struct ego_vslnet_batch {
    int64_t samples; /* B */
    int64_t clips;   /* of all samples together, without padding */
} ego_vslnet_batch;

/* One sample's share of the batch's losses; a batch's are the sums. */
typedef struct ego_vslnet_losses {
    ego_tensor *span;      /* (1): (CE(start) + CE(end)) / B */
    ego_tensor *highlight; /* (1): Σ (2 if y else 1)·BCE(h, y) / (Σ clips + 1e-12) */
} ego_vslnet_losses;

/* The target of the highlight is that of the span. clips: as in the input. */
ego_err ego_vslnet_loss(ego_ctx *cx, const ego_vslnet_output *output, int64_t clips,
                        ego_vslnet_span target, ego_vslnet_batch batch, ego_vslnet_losses *losses);

#endif
