/* Halves: what the encoders make of a clip and of a text as long as neither has seen the other.
 *
 *     clip → data/clips, reading ahead: frames → ego_fused_begin_video: (T, D) ┐
 *                                                                              ├ ego_meet
 *     text → text/bpe: tokens ─────────────────→ ego_fused_begin_text:  (L, D) ┘
 *
 * Below the first fused layer a clip knows no text and a text no clip: that half is computed once
 * for each, however many pairs they form, and remembered under its name; so is, where it is wanted,
 * the embedding that the dual encoders are compared by. Memory is bounded: what was used longest
 * ago is forgotten, and computed again when it is asked for again. What is held stays.
 *
 *     ego_halves_clip(h, &part, &clip);    held from here on; clips are read ahead and together
 *     ego_halves_text(h, "a cup", &text);  held from here on, and computed
 *     ego_halves_compute(h);               all clips that were asked for
 *     … ego_half_err(clip), ego_half_err(text), ego_meet(…) …
 *     ego_halves_drop(h, clip);
 *     ego_halves_drop(h, text);
 *
 * A clip or text that cannot be computed keeps its own error; any other failure is returned, and
 * the session can only be closed then. Results depend on the clip or text alone, never on what
 * stood beside it, nor on the budget.
 *
 * Who reads a long video from end to end (clip_features.h, summary.h) remembers texts alone: its
 * clips come by the batch and are not wanted twice.
 */
#ifndef EGO_TASK_HALVES_H
#define EGO_TASK_HALVES_H

#include "data/clips.h"
#include "model/egovlp.h"

typedef struct ego_half {
    ego_tensor embedding; /* (1, P): of the dual encoder, of unit length; data NULL: not wanted */
    ego_tensor lower;     /* (T, D) or (L, D): below the first fused layer; data NULL: not wanted */

    /* private */
    char *name, *message;
    ego_err err;
    unsigned holds;
    size_t bytes;
    struct ego_half *newer, *older, *next;
} ego_half;

/* What is wanted of every clip and text; bits. */
enum { EGO_HALF_EMBEDDING = 1, EGO_HALF_LOWER = 2 };

/* In which order the encoder sees a clip's frames: to find out what it makes of time. */
typedef enum ego_frame_order {
    EGO_FRAMES_FILMED,
    EGO_FRAMES_SHUFFLED, /* an order drawn from the seed and the clip's name */
    EGO_FRAMES_REVERSED
} ego_frame_order;

typedef struct ego_halves_options {
    ego_clips_options clips; /* how clips are read; of 0 frames: texts alone */
    ego_frame_order order;
    uint64_t seed;     /* of frames drawn or shuffled: they depend on it and the clip alone */
    size_t max_tokens; /* of a text; 0: as many as the model has positions */
    size_t memory;     /* bytes to remember results in; 0: 512 MiB */
} ego_halves_options;

typedef struct ego_halves ego_halves;

unsigned ego_halves_needs(unsigned wanted); /* the EGO_NEEDS_… of the model */
/* The context and the model stay the caller's and must outlive the session. */
ego_err ego_halves_open(ego_ctx *cx, ego_model *model, unsigned wanted,
                        const ego_halves_options *options, ego_halves **halves);
void ego_halves_close(ego_halves *halves); /* takes NULL */

/* Of a part start and end are both told or both NaN. */
ego_err ego_halves_clip(ego_halves *halves, const ego_video_part *part, ego_half **clip);
ego_err ego_halves_text(ego_halves *halves, const char *text, ego_half **half);
ego_err ego_halves_compute(ego_halves *halves);
void ego_halves_drop(ego_halves *halves, ego_half *half); /* takes NULL */

/* EGO_OK, or why there is nothing of a clip or text, as a failure of this thread. */
ego_err ego_half_err(const ego_half *half);

/* How many items of so many clips are best held at once: in half the budget, 1 … most. */
size_t ego_halves_window(const ego_halves *halves, size_t clips, size_t most);

typedef struct ego_halves_counts {
    uint64_t clips, texts; /* computed, repetitions included */
    ego_clips_counts reading;
} ego_halves_counts;
ego_halves_counts ego_halves_get_counts(const ego_halves *halves);

/* ---- pairs: the upper half ------------------------------------------------------------------- */

/* Lower halves of n clips or n texts, one behind the other, as activations. */
typedef struct ego_lower {
    const ego_tensor *rows; /* (R, D); NULL after a failure, which the context keeps */
    ego_text_shape shape;   /* rows offsets[i] … offsets[i + 1] are the i-th's */
} ego_lower;

/* Copies of each, or of one n times. */
ego_lower ego_lower_stack(ego_ctx *cx, const ego_tensor *const *each, int64_t n);
ego_lower ego_lower_repeat(ego_ctx *cx, const ego_tensor *one, int64_t n);
/* Of texts whose encoder learns, so that nothing can be remembered: computed by operations of `cx`, which may
 * record them. One bad text fails all. */
ego_err ego_lower_texts(const ego_halves *halves, ego_ctx *cx, const char *const *texts, int64_t n,
                        ego_lower *lower);

/* The same of the whole dual encoder: every token's final state. */
ego_err ego_dual_words(const ego_halves *halves, ego_ctx *cx, const char *const *texts, int64_t n,
                       ego_lower *words);

typedef struct ego_met {
    const ego_tensor *video; /* (n, D): class states of the clips, which have read the texts */
    const ego_tensor *match; /* (n, 2): probabilities of no match, of a match; NULL: not wanted */
} ego_met;

/* Pairs of clip i, of (n·T, D), with text i in one pass, by operations of `cx`, which may record
 * them. NULL members after a failure, which the context keeps. */
ego_met ego_meet(ego_ctx *cx, ego_model *model, const ego_tensor *clips, ego_lower texts,
                 bool match);

#endif
