/* Where the fused encoder looks: the cross-attention of a clip and a narration (section 3.2), layer
 * by layer and head by head, both ways.
 *
 * The encoders know nothing of it. While they run, an observer stands between operations and
 * backend: it hands every call on, and keeps the queries and keys that come out of the
 * cross-attention's own weights. The maps are softmax(q·kᵀ/√d) of those, in double precision.
 */
#ifndef EGO_TASK_ATTN_H
#define EGO_TASK_ATTN_H

#include "model/egovlp.h"
#include "text/words.h"

typedef struct ego_attn_options {
    /* Which layer and head to keep, -1: all. Layers are numbered as ego_model.trace numbers them:
     * those of the encoders from 0; stacked ones go on from `depth`. */
    int64_t layer, head;
} ego_attn_options;

typedef struct ego_attn {
    int64_t layers, first_layer;   /* L kept, and the number of the first */
    int64_t heads, first_head;     /* H likewise */
    int64_t words;                 /* W: tokens of the text, or words after ego_attn_join */
    int64_t tokens;                /* T = 1 + F·h·w of the video, the class token first */
    int64_t frames, rows, columns; /* F h w */
    float *text_to_video; /* (L, H, W, T): a word's weights over the video; rows sum to 1 */
    float *video_to_text; /* (L, H, T, W): a patch's weights over the text; rows sum to 1 */
    double *text_gate;    /* (L): what the text's layer multiplies what it attended to by; */
    double *video_gate;   /* (L): the video's. Both 1 in stacked layers, which have none */
} ego_attn;

/* clip (F, 3, S, S), prepared, of the model's shape; tokens as ego_embed_check_tokens allows. The
 * model must have EGO_NEEDS_FUSED. EGO_EUNSUPPORTED: its streams do not meet in cross-attention;
 * EGO_EINPUT: no such layer or head. */
ego_err ego_attn_compute(ego_ctx *cx, ego_model *model, const float *clip, const int64_t *tokens,
                         size_t n_tokens, const ego_attn_options *options, ego_attn *attn);
void ego_attn_release(ego_attn *attn); /* safe on {0} */

/* EGO_EUNSUPPORTED or EGO_EINPUT as above, before there is anything to compute. */
ego_err ego_attn_check(const ego_config *config, const ego_attn_options *options);

/* From tokens to words: a word looks where its tokens look on average, and is looked at as much as
 * its tokens together. Rows still sum to 1. */
void ego_attn_join(ego_attn *attn, const ego_words *words);

/* Means over all kept layers and heads: of a word over the video → (T), of the class token over the
 * words → (W). */
void ego_attn_of_word(const ego_attn *attn, int64_t word, double *weights);
void ego_attn_of_class(const ego_attn *attn, double *weights);

#endif
