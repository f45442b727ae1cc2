/* Multiple choice: which of several clips does a narration belong to (EgoMCQ; spec/tasks.md §1)?
 *
 * Each distinct clip and narration is computed once and remembered by task/halves.h: its embedding
 * for the dual scores, its lower half for the fused ones.
 */
#ifndef EGO_TASK_MCQ_H
#define EGO_TASK_MCQ_H

#include "format/egomcq.h"
#include "task/halves.h"

/* Which scores; bits. The ensemble needs both others. */
enum { EGO_MCQ_DUAL = 1, EGO_MCQ_FUSED = 2, EGO_MCQ_ENSEMBLE = 4 };
enum { EGO_MCQ_MAX_CHOICES = 64 };

typedef struct ego_mcq_item {
    /* in: borrowed */
    const char *text;
    const ego_video_part *choices;
    size_t count; /* 2 to EGO_MCQ_MAX_CHOICES */
    /* out: a score a choice, as far as asked for */
    float dual[EGO_MCQ_MAX_CHOICES];     /* cosine of the two embeddings */
    float fused[EGO_MCQ_MAX_CHOICES];    /* probability of a match */
    float ensemble[EGO_MCQ_MAX_CHOICES]; /* their sum, the latter times the model's config.ensemble */
    ego_err err;                         /* EGO_OK, or why there are none */
    char message[512];
} ego_mcq_item;

/* A question of the benchmark's file as an item, which borrows `choices`: room for
 * EGO_MCQ_MAX_CHOICES of them. */
ego_err ego_mcq_item_of(const ego_mcq_question *question, ego_video_part *choices,
                        ego_mcq_item *item);

typedef struct ego_mcq_options {
    unsigned scores; /* EGO_MCQ_… bits */
    ego_halves_options halves;
} ego_mcq_options;

typedef struct ego_mcq_session ego_mcq_session;

unsigned ego_mcq_needs(const ego_mcq_options *options);
ego_err ego_mcq_open(ego_ctx *cx, ego_model *model, const ego_mcq_options *options,
                     ego_mcq_session **session);
void ego_mcq_close(ego_mcq_session *session); /* takes NULL */

/* Fills every item's scores. A clip that cannot be read fails the questions it belongs to. */
ego_err ego_mcq_answer(ego_mcq_session *session, ego_mcq_item *items, size_t n);

/* The first of the largest: what the benchmark counts. */
size_t ego_mcq_best(const float *scores, size_t n);

ego_halves_counts ego_mcq_get_counts(const ego_mcq_session *session);

#endif
