/* What the encoders make of the clips of a long video, and of the texts it is asked about: one
 * decoding pass whatever is wanted, each lower half of the fused encoder once a clip and once a
 * text.
 *
 * Cost, in passes of one clip (ego-model info tells what one is in multiply-adds): of a video with
 * T clips and n texts, the dual encoder T, the fused encoder T lower halves and n T upper ones.
 * Features that do not depend on the text are therefore the fast ones where there are many.
 */
#ifndef EGO_TASK_CLIP_FEATURES_H
#define EGO_TASK_CLIP_FEATURES_H

#include "base/progress.h"
#include "model/egovlp.h"
#include "task/clip_grid.h"

/* What is wanted; several bits may be set. */
enum {
    EGO_FEATURES_PROJECTED = 1, /* of each clip: the dual embedding, of unit length (P) */
    EGO_FEATURES_DUAL = 2,      /* of each clip: the dual class state before the projection (D) */
    EGO_FEATURES_FUSED = 4,     /* of each clip with each text: the video's fused class state (D) */
    EGO_FEATURES_MATCH = 8,     /* of each clip with each text: how probably they belong together */
    EGO_FEATURES_SENTENCE = 16, /* of each text: the dual embedding, of unit length (P) */
    EGO_FEATURES_WORDS = 32     /* of each text: the dual encoder's last hidden states (L, D) */
};

/* Features of one text. Elements are NULL where they were not wanted, or `err` says why there are
 * none. */
typedef struct ego_text_features {
    ego_tensor fused;    /* (T, D) */
    ego_tensor match;    /* (T) */
    ego_tensor sentence; /* (P) */
    ego_tensor words;    /* (L, D), without padding */
    ego_err err;
    char message[256];
} ego_text_features;

typedef struct ego_clip_features {
    ego_clip_grid grid;         /* where the clips are; `at` may be NULL */
    ego_tensor projected, dual; /* (T, P), (T, D) */
    ego_text_features *texts;   /* n of them */
    size_t n;
    ego_arena arena; /* owns all of it */
} ego_clip_features; /* {0} is none */

typedef struct ego_feature_options {
    const char *video_root; /* NULL: none; must outlive the reader, as must the other texts */
    ego_sampling sampling;  /* EGO_SAMPLING_TIME or EGO_SAMPLING_REFERENCE: see clip_grid.h */
    size_t max_tokens;      /* of a text, special tokens included; 0: as many as the model takes */
    const char *store;      /* a folder that keeps features (feature_store.h); NULL: none is kept */
    const char *model_id;   /* needed with a store */
    int64_t batch;          /* clips in a pass; 0: as many as are good for it */
    const ego_progress *progress; /* told of clips */
} ego_feature_options;

typedef struct ego_feature_reader ego_feature_reader;

/* The EGO_NEEDS_… of a model. */
unsigned ego_features_need(unsigned wanted);

/* The context and the model stay the caller's and must outlive the reader. */
ego_err ego_features_open(ego_ctx *cx, ego_model *model, const ego_feature_options *options,
                          ego_feature_reader **reader);
void ego_features_close(ego_feature_reader *reader); /* takes NULL */

/* Features of a part of a video and n texts. What the store has is taken from there, and where it
 * has all, the video is not even opened; what was computed is put there. A text that cannot be
 * encoded has its own error, a video that cannot be read fails the call. Release in any case. */
ego_err ego_features_read(ego_feature_reader *reader, const ego_video_part *part,
                          const char *const *texts, size_t n, unsigned wanted,
                          ego_clip_features *features);
void ego_features_release(ego_clip_features *features); /* safe on {0} */

typedef struct ego_feature_counts {
    uint64_t videos;       /* decoded */
    uint64_t clips, pairs; /* encoded: dual or lower halves, and upper halves */
    uint64_t stored;       /* features taken from the store */
    ego_clips_counts reading;
} ego_feature_counts;
ego_feature_counts ego_features_get_counts(ego_feature_reader *reader);

#endif
