/* Ego4D's queries as rows of numbers: what a span predictor is trained and validated on while the encoders stay
 * as they are.
 *
 * Features of every clip and question are computed once and kept in a folder, the same that ego-nlq --features
 * keeps (task/feature_store.h): a run that was stopped goes on where it was, and so does whoever answers
 * the same questions. Rows are then read from there, one at a time. A video is known by its name: when a file
 * changes under its name, its features must be deleted.
 */
#ifndef EGO_RECIPE_NLQ_ROWS_H
#define EGO_RECIPE_NLQ_ROWS_H

#include "model/model.h"
#include "recipe/nlq_head.h"
#include "task/clip_features.h"

typedef struct ego_nlq_rows_options {
    const char *annotations; /* nlq_*.json */
    const char *video_root;
    const char *store; /* a folder */
    const char *model_id;
    ego_sampling sampling;
    bool fast;                    /* features of clips that do not depend on the question */
    const ego_progress *progress; /* may be NULL */
    const ego_notice *notice;     /* may be NULL */
} ego_nlq_rows_options;

typedef struct ego_nlq_row {
    ego_video_part part;
    const char *question;
    ego_nlq_sample sample;
} ego_nlq_row;

typedef struct ego_nlq_rows {
    ego_nlq_row *list;
    size_t count;
    size_t untold; /* queries without a text or an answer, left out */
    size_t failed; /* queries whose video cannot be read, left out; a notice tells each video */
    ego_feature_counts work; /* what had to be computed */
    /* private */
    bool fast;
    ego_feature_reader *reader;
    ego_clip_features at_hand; /* of the row asked for last */
    ego_arena arena;
} ego_nlq_rows; /* {0} is none */

/* Reads the annotations alone: rows whose clips are not counted yet. For a plan. */
ego_err ego_nlq_rows_list(const ego_nlq_rows_options *options, ego_nlq_rows *rows);
/* The same, and the features are made that the store lacks. Context and model must outlive the rows.
 * EGO_EINPUT when no row is left. EGO_ECANCELLED when progress says stop: what was made is kept. */
ego_err ego_nlq_rows_read(ego_ctx *cx, ego_model *model, const ego_nlq_rows_options *options,
                          ego_nlq_rows *rows);
void ego_nlq_rows_release(ego_nlq_rows *rows); /* safe on {0}; needed after a failure, too */

/* Rows as a training takes them; they must outlive it. */
ego_nlq_source ego_nlq_rows_source(ego_nlq_rows *rows);

#endif
