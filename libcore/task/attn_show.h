/* Cross-attention for people: a picture of where each word looks, and of what the clip reads.
 *
 * One row a word: the clip's frames as the network sees them, paled, and over them the word's
 * weights, mean over the layers and heads at hand. Colour begins where a patch has more than an
 * even share of the word's attention (1/T) and is full at the word's own highest, which is written
 * beside it in even shares. Below, the class token's weights over the words, as bars.
 */
#ifndef EGO_TASK_ATTN_SHOW_H
#define EGO_TASK_ATTN_SHOW_H

#include "media/image.h"
#include "task/attn.h"

typedef struct ego_attn_view {
    const ego_attn *attn; /* by words */
    const ego_words *words;
    const bool *chosen; /* (W): words that get a row */
    const float *clip;  /* (F, 3, S, S), prepared */
    int64_t size;       /* S */
    const char *title;  /* UTF-8 */
} ego_attn_view;

/* Makes `image` (an image or {0}) the picture. EGO_EINPUT when it would be larger than
 * EGO_ATTN_MAX_SIDE pixels in a direction. */
enum { EGO_ATTN_MAX_SIDE = 16384 };
ego_err ego_attn_draw(const ego_attn_view *view, ego_image *image);

#endif
