/* What was seen of videos for the summary head, kept on disk (task/feature_store.h): states of
 * shots, features of shots with a prompt, features of nothing with a prompt, a file each. A video
 * is known by its name. */
#ifndef EGO_TASK_SUMMARY_STORE_H
#define EGO_TASK_SUMMARY_STORE_H

#include "task/feature_store.h"
#include "task/summary.h"

typedef enum ego_summary_kind {
    EGO_SUMMARY_STATES,   /* (n, D); no prompt */
    EGO_SUMMARY_FEATURES, /* (n, W) */
    EGO_SUMMARY_EMPTY     /* (1, W); no video */
} ego_summary_kind;

typedef struct ego_summary_store {
    const char *folder; /* borrowed, as is the model's name */
    const char *const *kinds; /* names of the kinds */
    const char *model;
    ego_buf config;
    char shots[96]; /* how they are read */
    int64_t max_tokens;
} ego_summary_store; /* released by ego_summary_store_release; safe on {0} */

/* options->by must be a head's; everything of them that features depend on goes into the
 * files' keys. */
ego_err ego_summary_store_init(const char *folder, ego_model *model,
                               const ego_summary_options *options, ego_summary_store *store);
void ego_summary_store_release(ego_summary_store *store);

/* data NULL and EGO_OK: it is not there. */
ego_err ego_summary_store_load(const ego_summary_store *store, ego_summary_kind kind,
                               const char *video, const char *prompt, ego_arena *arena,
                               ego_tensor *out);

/* Looks at the video with the prompts that the store lacks, as many in one pass as fit into 512
 * MiB. Not opened when it lacks none. */
ego_err ego_summary_store_fill(const ego_summary_store *store, ego_ctx *cx, ego_model *model,
                               const ego_summary_options *options, const char *video,
                               const char *const *prompts, size_t n);

#endif
