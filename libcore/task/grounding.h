/* When in a video is what a text speaks of? (Ego4D's natural language queries; spec/tasks.md,
 * section 4.)
 *
 * The video is seen as clips of about half a second (clip_grid.h). With a head (vslnet.h) their
 * features and those of the question's words give the spans. Without one, zero-shot, the clips are
 * taken together in windows of several lengths, and a window's score is
 *     dual      the cosine of the text with the mean of the window's embeddings, each of unit
 *               length: of equally similar windows the one whose clips agree is better
 *     fused     the mean of the probabilities that a clip and the text belong together
 *     ensemble  the sum of both, the latter times the model's config.ensemble
 * and of windows that overlap the best remains. A score compares with others of the same text and
 * video, no further.
 */
#ifndef EGO_TASK_GROUNDING_H
#define EGO_TASK_GROUNDING_H

#include "model/head.h"
#include "task/clip_features.h"
#include "task/spans.h"

typedef enum ego_grounding_mode {
    EGO_GROUNDING_DUAL,
    EGO_GROUNDING_FUSED,
    EGO_GROUNDING_ENSEMBLE
} ego_grounding_mode;

/* The note of a head's file (model/head.h) that says which features it was trained on: "fused"
 * (the published ones, which see the question) or "dual" (the fast ones, which do not). */
#define EGO_GROUNDING_NOTE "features"

enum {
    EGO_GROUNDING_TOKENS = 30,      /* of a question for a head: the published limit */
    EGO_GROUNDING_MAX_LENGTHS = 32, /* of windows */
    EGO_GROUNDING_MAX_ANSWERS = 1000
};

typedef struct ego_grounding_options {
    ego_head *head;          /* borrowed; NULL: zero-shot */
    bool fast;               /* with a head: dual features, query-independent */
    ego_grounding_mode mode; /* zero-shot */
    const double *lengths;   /* zero-shot: seconds, n_lengths of them; NULL: 1 to 16 */
    size_t n_lengths;
    size_t answers;               /* spans to give, at most */
    double overlap;               /* IoU that two of them may have; 1: any */
    ego_feature_options features; /* max_tokens is set here */
} ego_grounding_options;

typedef struct ego_grounding_item {
    const char *text;
    /* out, until ego_grounding_item_release: */
    ego_span *spans; /* seconds of the video, best first */
    size_t found;
    /* How the text fits each of equal parts of [start, end): a head's highlight, or what each clip
     * alone scores. */
    float *curve;
    int64_t curve_count;
    double start, end;
    ego_err err; /* EGO_OK, or why there is no answer */
    char message[512];
} ego_grounding_item;

typedef struct ego_grounding ego_grounding;

/* The EGO_NEEDS_… of the model; of the options head, fast and mode matter. */
unsigned ego_grounding_needs(const ego_grounding_options *options);

/* Context, model and head stay the caller's and must outlive it. EGO_EINPUT when the head does not
 * fit the model. */
ego_err ego_grounding_open(ego_ctx *cx, ego_model *model, const ego_grounding_options *options,
                           ego_grounding **grounding);
void ego_grounding_close(ego_grounding *grounding); /* takes NULL */

/* Answers n questions about one part of a video, which is decoded once (or once for as many as fit
 * into half a gigabyte). An answer depends on its text and the video alone. A video that cannot be
 * read fails every item; what is returned is what the next call would meet too (memory,
 * EGO_ECANCELLED). */
ego_err ego_grounding_ask(ego_grounding *grounding, const ego_video_part *part,
                          ego_grounding_item *items, size_t n);
void ego_grounding_item_release(ego_grounding_item *item);

ego_feature_counts ego_grounding_get_counts(ego_grounding *grounding);

/* What a head is trained on, as ego_grounding_ask computes it: features of n questions about a
 * part. The reader is one with max_tokens EGO_GROUNDING_TOKENS. `features` gets texts[i].words and
 * texts[i].fused or, fast, the one `dual` for all. Release with ego_features_release in any case. */
ego_err ego_grounding_features(ego_feature_reader *reader, const ego_video_part *part,
                               const char *const *questions, size_t n, bool fast,
                               ego_clip_features *features);

/* The windows' lengths when none are given. */
extern const double ego_grounding_lengths[];
extern const size_t ego_grounding_length_count;

#endif
