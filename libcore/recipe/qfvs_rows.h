/* QFVS's videos as a head is trained on them: shots, segments, concepts, queries, and where their
 * features are.
 *
 *     ROOT/Oracle_Summaries/P01/A_B_oracle.txt     a query each
 *     ROOT/Dense_per_shot_tags/P01/P01.txt         the concepts of each shot
 *     VIDEOS/P01.mp4, or VIDEOS/P01-moviepy/ of pictures
 *
 * Features are computed once and kept in a folder (task/summary_store.h), and read from there
 * sample by sample: what is in memory does not grow with the number of queries. */
#ifndef EGO_RECIPE_QFVS_ROWS_H
#define EGO_RECIPE_QFVS_ROWS_H

#include "format/qfvs.h"
#include "task/kts.h"
#include "task/qfvs.h"
#include "task/summary_store.h"

enum { EGO_QFVS_PROMPTS = 3 }; /* of a query: one concept, the other, both */

typedef struct ego_qfvs_query {
    ego_qfvs_oracle oracle;
    char *prompts[EGO_QFVS_PROMPTS];
} ego_qfvs_query;

typedef struct ego_qfvs_video {
    const char *name; /* "P01" */
    char *video;      /* what it is found by under the root */
    size_t shots;     /* those that the video and its tags both have */
    ego_kts segments; /* of all that the video has */
    ego_qfvs_tags tags;
    uint64_t *concepts; /* (shots, words): bit c says that concept c of the set is in the shot */
    size_t words;
    ego_qfvs_query *queries;
    size_t query_count;
} ego_qfvs_video;

typedef struct ego_qfvs_rows {
    ego_qfvs_video *videos;
    size_t count;
    ego_summary_store store;
    ego_arena arena; /* owns all but segments and the store */
} ego_qfvs_rows;     /* {0} is empty */

typedef struct ego_qfvs_rows_options {
    const char *names; /* "P01 P02 P03": of the videos, between blanks or commas */
    const char *root, *video_root;
    const char *cache;
    bool apart; /* these are other videos than those of the same names in the cache: a folder of their own */
    ego_qfvs_words words;
    ego_summary_options summary; /* by a head */
    ego_kts_options kts;
    const ego_progress *progress;
} ego_qfvs_rows_options;

/* Reads the annotations alone. Release in any case. */
ego_err ego_qfvs_rows_list(const ego_qfvs_rows_options *options, ego_qfvs_rows *rows);
/* That, and computes what features the cache lacks, and the segments. */
ego_err ego_qfvs_rows_read(ego_ctx *cx, ego_model *model, const ego_qfvs_rows_options *options,
                           ego_qfvs_rows *rows);
void ego_qfvs_rows_release(ego_qfvs_rows *rows); /* safe on {0} */

/* Prompts of all queries of a video, each once. */
ego_err ego_qfvs_prompts(ego_arena *arena, const ego_qfvs_video *video, const char ***prompts,
                         size_t *n);

/* Whether shot k has a concept; letters' case does not matter. */
bool ego_qfvs_has(const ego_qfvs_video *video, size_t k, const char *concept);

#endif
