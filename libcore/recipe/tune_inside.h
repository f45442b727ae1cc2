/* The inside of recipe/tune.h: what tune.c (configuration, the run), tune_mir.c, tune_charades.c and
 * tune_embed.c share. Not for others. */
#ifndef EGO_RECIPE_TUNE_INSIDE_H
#define EGO_RECIPE_TUNE_INSIDE_H

#include "data/clips.h"
#include "recipe/tune.h"

typedef struct ego__tuning {
    const ego_tune_config *config;
    const ego_progress *progress;
    ego_arena arena; /* annotations and tokens */
    void *set;       /* of the benchmark; see its file */
    ego_pretrain_task task;
} ego__tuning;

/* Read the annotations and fill in set and task. What they hold is freed by the second, also after a failure. */
ego_err ego__tune_mir(ego__tuning *tuning);
void ego__tune_mir_release(ego__tuning *tuning);
ego_err ego__tune_charades(ego__tuning *tuning);
void ego__tune_charades_release(ego__tuning *tuning);

/* Narrations as token ids. */
typedef struct ego__tune_text {
    const int64_t *ids;
    size_t count;
} ego__tune_text;

/* Encodes one; its ids live in the arena. max_tokens 0: no limit but the model's positions. */
ego_err ego__tune_encode(const ego_model *model, ego_arena *arena, const char *text, size_t max_tokens,
                         ego__tune_text *out);

/* Unit embeddings (n, width), width being the projection's last; out is the caller's, room for all. */
ego_err ego__tune_embed_texts(ego_ctx *cx, ego_model *model, const ego__tune_text *texts, size_t n, float *out);
/* The same of clips, as they are read; requests[i].tag is overwritten. One that cannot be read is zeros and counted in
 * *failed. EGO_ECANCELLED when progress says stop. */
ego_err ego__tune_embed_clips(ego_ctx *cx, ego_model *model, const ego_clips_options *options,
                              ego_clip_request *requests, size_t n, const ego_progress *progress, float *out,
                              int64_t *failed);
/* A row of a times all rows of b: out[j] = Σ_k a[k] b[j, k]. */
void ego__tune_similarities(const float *a, const float *b, size_t n, size_t width, double *out);

#endif
