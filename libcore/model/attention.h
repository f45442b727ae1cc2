/* Who attends to whom: the patterns of section 3.1 as lists of segments for ego_attention.
 *
 * Video tokens of a batch stand clip after clip, T = 1 + F·N rows each: the class token, then frame by
 * frame its N patches. Text tokens of a batch stand narration after narration, as many rows as each
 * has tokens: there is no padding anywhere, so there are no masks.
 */
#ifndef EGO_MODEL_ATTENTION_H
#define EGO_MODEL_ATTENTION_H

#include "tensor/ops.h"

typedef struct ego_clip_shape {
    int64_t batch, frames, patches; /* B F N */
} ego_clip_shape;

static inline int64_t ego_clip_tokens_each(ego_clip_shape s) { return 1 + s.frames * s.patches; }

/* Where each of n narrations begins: offsets[0] = 0 … offsets[n] = all rows. In training, what dropout of the
 * text encoder forgets; the streams of a narration's tokens follow from its own. */
typedef struct ego_text_shape {
    int64_t n;
    const int64_t *offsets;
    float dropout;           /* 0 in inference */
    const uint64_t *streams; /* of each narration; NULL without dropout */
} ego_text_shape;

typedef struct ego_segments {
    const ego_segment *at; /* in the context's arena; NULL after a failure */
    int64_t count;
} ego_segments;

/* Time: a patch attends to the class token and its own position in every frame. Space: to the class token
 * and its own frame. In both the class token attends to every token of its clip. */
ego_segments ego_segments_time(ego_ctx *cx, ego_clip_shape clips);
ego_segments ego_segments_space(ego_ctx *cx, ego_clip_shape clips);
/* Every token of a clip attends to every other, as in a stacked layer. */
ego_segments ego_segments_clip(ego_ctx *cx, ego_clip_shape clips);
/* Class tokens alone, gathered to rows 0 … B−1, each attending to its whole clip. */
ego_segments ego_segments_class(ego_ctx *cx, ego_clip_shape clips);

/* Each narration attends to itself; with class_only its first token alone does, gathered to rows 0 … n−1. */
ego_segments ego_segments_text(ego_ctx *cx, ego_text_shape texts, bool class_only);

/* Narration i attends to clip i, and clip i to narration i. n = B. class_only: queries are the gathered
 * class tokens. */
ego_segments ego_segments_text_to_video(ego_ctx *cx, ego_text_shape texts, ego_clip_shape clips,
                                        bool class_only);
ego_segments ego_segments_video_to_text(ego_ctx *cx, ego_text_shape texts, ego_clip_shape clips,
                                        bool class_only);

/* The rows of each clip and of each narration: all of them, or its class token alone, gathered. */
ego_groups ego_groups_of_clips(ego_ctx *cx, ego_clip_shape clips, bool class_only);
ego_groups ego_groups_of_texts(ego_ctx *cx, ego_text_shape texts, bool class_only);

/* Dropout number `site` of the text encoder for its rows, or for the gathered first tokens; none when the
 * shape has none. A site is a layer's number (from 1; 0: the embedding) and a place in it. */
typedef enum ego_text_place {
    EGO_PLACE_OUTPUT,
    EGO_PLACE_SELF,
    EGO_PLACE_SELF_OUTPUT,
    EGO_PLACE_CROSS,
    EGO_PLACE_CROSS_OUTPUT,
    EGO_PLACES
} ego_text_place;

ego_dropout ego_text_dropout(ego_ctx *cx, ego_text_shape texts, bool class_only, int64_t layer,
                             ego_text_place place);

/* The class tokens of x (B·T, D) → (B, D), and the first tokens of narrations x (R, D) → (n, D). */
ego_tensor *ego_class_tokens(ego_ctx *cx, const ego_tensor *x, ego_clip_shape clips);
ego_tensor *ego_first_tokens(ego_ctx *cx, const ego_tensor *x, ego_text_shape texts);

#endif
