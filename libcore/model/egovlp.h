/* EgoVLPv2 forward: the paper's figure 2 as one function with one switch.
 *
 * EGO_DUAL: two encoders that do not see each other; their projected class tokens compare at once.
 * EGO_FUSED: one encoder; the top `fuse_layers` layers of both exchange gated cross-attention. With stacked
 *            fusion both encoders run to their end instead, and as many layers of model/stacked.h follow.
 *
 * Results are activations of the context: read them, then rewind to a mark saved before. Everything here
 * follows ops.h's rule: after a failure results are NULL and ego_ctx_err() tells.
 */
#ifndef EGO_MODEL_EGOVLP_H
#define EGO_MODEL_EGOVLP_H

#include "model/attention.h"
#include "model/model.h"

typedef enum ego_mode { EGO_DUAL, EGO_FUSED } ego_mode;

/* What is wanted of a stream: its class tokens cost less than all tokens. */
typedef enum ego_want { EGO_WANT_NOTHING, EGO_WANT_CLASS, EGO_WANT_TOKENS } ego_want;

/* A batch of narrations: ids of all, one after the other; offsets[i] … offsets[i+1] are narration i's. */
typedef struct ego_texts {
    const int64_t *ids;
    ego_text_shape shape;
} ego_texts;

typedef struct ego_input {
    const ego_tensor *clips; /* (B, F, 3, S, S) prepared frames, F = config.frames; NULL: none */
    ego_texts texts;         /* shape.n 0: none. In EGO_FUSED n = B: narration i belongs to clip i */
    ego_want video, text;
} ego_input;

typedef struct ego_states {
    const ego_tensor *video; /* after the final norm: (B, D) or, all tokens wanted, (B·T, D); NULL: not wanted */
    const ego_tensor *text;  /* (n, D) or (R, D) */
} ego_states;

ego_states ego_encode(ego_ctx *cx, ego_model *model, const ego_input *input, ego_mode mode);

/* EGO_FUSED in two halves. Below the first layer with cross-attention neither stream sees the other, so
 * this half is computed once per clip and once per narration, however many pairs they form:
 *   ego_fused_begin_video: clips → (B·T, D);   ego_fused_begin_text: texts → (R, D);
 *   ego_fused_finish: pairs (clip i, narration i) of such states → states, as ego_encode gives. */
ego_tensor *ego_fused_begin_video(ego_ctx *cx, ego_model *model, const ego_tensor *clips);
ego_tensor *ego_fused_begin_text(ego_ctx *cx, ego_model *model, ego_texts texts);
ego_states ego_fused_finish(ego_ctx *cx, ego_model *model, const ego_tensor *video,
                            const ego_tensor *text, ego_text_shape texts, ego_want want_video,
                            ego_want want_text);

/* How many clips of the model's size make a pass worth its overhead: about 1,000 tokens, at least one clip.
 * More would only move activations out of the caches (tests/bench/NOTES.md). */
int64_t ego_good_batch(const ego_model *model);

#endif
