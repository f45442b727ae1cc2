/* Summaries of long videos: which shots answer a query, or stand for the whole.
 *
 *     ego_summary_look     one pass over the shots: what the encoders make of each, and of each with each prompt
 *     ego_kts_segment      (task/kts.h) where the content changes, from the shots' states
 *     ego_summary_score    a score for every shot, for one prompt
 *     ego_summary_choose   the best of them
 *
 * A model that was trained on clips of a second sees little of an action in a few frames out of five
 * seconds: a shot may be looked at in parts, one after the other, and is then what the encoders make
 * of these in the mean; of the dual encoder's, those that fit the prompt better weigh more.
 *
 * The lower half of the fused path runs once a shot, the upper half once for every shot and prompt;
 * nothing of a shot outlives its pass but what the table holds: 4 D bytes of state, and for each
 * prompt 4 bytes of probability or, for a head, 4 D of features. At D = 768 a video of 3 hours
 * (2,160 shots) has a table of 13.3 MB with one prompt, where all tokens of its shots would be 6.5
 * GB.
 */
#ifndef EGO_TASK_SUMMARY_H
#define EGO_TASK_SUMMARY_H

#include "base/progress.h"
#include "model/egovlp.h"
#include "model/head.h"
#include "task/kts.h"
#include "task/shots.h"

/* What a prompt is held against. */
typedef enum ego_summary_by {
    EGO_SUMMARY_HEAD,  /* the summary head (task/qfvs.h) over fused features */
    EGO_SUMMARY_HEAD_OF_DUAL, /* the same over dual ones: see `features`; more prompts cost nothing */
    EGO_SUMMARY_MATCH, /* without a head: the probability that shot and prompt belong together */
    EGO_SUMMARY_DUAL,  /* without a head: the dual embeddings' cosine; more prompts cost nothing */
    EGO_SUMMARY_WHOLE  /* no prompt: how well a shot stands for its segment */
} ego_summary_by;

/* What was seen of a video. Everything is owned. */
typedef struct ego_summary_table {
    size_t n, prompts; /* shots; prompts */
    int64_t D, W; /* of states; of features: D, or the projection's width */
    float *states;   /* (n, D): class tokens below the first fused layer; DUAL: the dual encoder's */
    float *scores;   /* (prompts, n): MATCH, DUAL; else NULL */
    float *features; /* (prompts, n, W): HEAD: after cross_modal_video_transform; HEAD_OF_DUAL: element by
                        element W times the product of shot's and prompt's embeddings: about as large as
                        the positions that the head adds, and their cosine in the mean; else NULL */
    float *empty;    /* (prompts, W): HEAD: what a shot of zeros gives, for `reference`; else NULL */
    double *times;   /* (n + 1): shot k is [times[k], times[k + 1]) */
} ego_summary_table;

typedef struct ego_summary_options {
    ego_summary_by by;
    int64_t parts; /* of a shot, at most EGO_QFVS_PARTS, 0: 1; each is a clip of the model's frames, the shot is their mean */
    ego_shots_options shots;      /* frames and size are the model's */
    size_t max_tokens;            /* of a prompt; 0: as many as the model takes */
    bool reference;               /* HEAD: with the published program's padding */
    const ego_progress *progress; /* told of shots */
} ego_summary_options;

/* The EGO_NEEDS_… of a model. */
unsigned ego_summary_needs(ego_summary_by by);
/* The width W of a model's features. */
int64_t ego_summary_width(ego_summary_by by, const ego_config *config);

/* Looks at a video with these prompts: none for EGO_SUMMARY_WHOLE, none or some for
 * EGO_SUMMARY_DUAL, whose states then come from the dual encoder. */
ego_err ego_summary_look(ego_ctx *cx, ego_model *model, const ego_summary_options *options,
                         const char *video, const char *const *prompts, size_t n,
                         ego_summary_table *table);
void ego_summary_release(ego_summary_table *table); /* leaves {0}; safe on {0} */

/* scores[table.n] for one prompt. HEAD, HEAD_OF_DUAL: logits of `head`, whose width must be W; with `reference`
 * every segment is filled up to the published program's 200 places (task/qfvs.h). WHOLE: the cosine
 * of a shot's state and its segment's mean. */
ego_err ego_summary_score(ego_ctx *cx, ego_head *head, const ego_summary_options *options,
                          const ego_summary_table *table, const ego_kts *segments, size_t prompt,
                          float *scores);

/* How many shots: ⌊ratio · n⌋ or, seconds being more than 0, as many as fit into them; at least
 * one, at most n. */
size_t ego_summary_length(size_t n, double ratio, double seconds, double shot_seconds);

/* The `count` shots with the highest scores, of equal ones the first; ascending in
 * chosen[count]. */
ego_err ego_summary_choose(const float *scores, size_t n, size_t count, size_t *chosen);

/* The same for no prompt, so that all of the video has a share: each segment is given a shot, the
 * longest first; what is left goes, one by one, to the segment that has most shots for each given,
 * the first of equal ones. A segment that is given k shots is cut into k equal parts, and each
 * gives its highest score. */
ego_err ego_summary_spread(const float *scores, const ego_kts *segments, size_t count,
                           size_t *chosen);

#endif
