/* EgoTaskQA's questions as rows of numbers: what a head is trained and validated on while the
 * encoders stay as they are.
 *
 * The fused class state of every (clip, question) of an annotation file is computed once, by
 * task/qa.h, and kept in CACHE/qa/HASH-PART.safetensors, so many questions a file: a part that
 * is whole need not be computed again. HASH is of everything that the states depend on but the
 * videos themselves: the model, how clips are read and the annotation file's bytes. When a video
 * changes under its name its part must be deleted.
 */
#ifndef EGO_RECIPE_QA_ROWS_H
#define EGO_RECIPE_QA_ROWS_H

#include "base/progress.h"
#include "format/taskqa.h"
#include "model/model.h"
#include "task/qa.h"
#include "train/checkpoint.h"

typedef struct ego_qa_rows_options {
    const char *annotations; /* formatted_*_qas_encode.json */
    const char *video_root;
    double interval_fps;
    bool drawn; /* frames as the published reader draws them, from `seed`; else the middles */
    uint64_t seed;
    const char *cache; /* folder; NULL: states are computed each time */
    int64_t classes;   /* answer_encode must be below it */
    /* For training from where the streams meet: all lower halves are computed and stay in memory,
     * with the session that has them; nothing is cached. */
    bool halves;
    bool text_learns; /* with halves: only those of clips stay, texts are read anew (task/qa.h) */
    /* For a head of moments (task/qa_moments.h): so many windows of each interval, as embeddings; texts are read anew.
     * Not with halves. */
    int64_t windows;
    const ego_progress *progress; /* may be NULL */
    const ego_notice *notice;     /* may be NULL */
} ego_qa_rows_options;

typedef struct ego_qa_rows {
    size_t count;
    int64_t width;           /* of a row of states: D; with windows W·P */
    float *states;           /* (count, width); with windows (intervals, width); NULL with halves */
    int64_t *interval;       /* (count), with windows: which of them; else NULL */
    const char **texts;      /* (count), with windows */
    ego_qa_item *items;      /* (count), with halves: what ego_qa_states takes */
    ego_qa_session *session; /* with halves or windows: it uses the model and context of ego_qa_rows_read */
    int64_t *labels;         /* (count) */
    const ego_qa_question **questions; /* (count): what each row was */
    size_t failed; /* questions left out, their clips unreadable; each is told in a notice */
    /* private */
    ego_arena arena;
} ego_qa_rows; /* {0} is none */

/* EGO_EINPUT when no question is left. EGO_ECANCELLED when progress says stop: whole parts are
 * kept. */
ego_err ego_qa_rows_read(ego_ctx *cx, ego_model *model, const ego_qa_rows_options *options,
                         ego_qa_rows *rows);
void ego_qa_rows_release(ego_qa_rows *rows); /* safe on {0} and twice */

#endif
