/* Multiple choice: which of several clips does a narration belong to (EgoMCQ; spec/tasks.md §1)?
 *
 * Each distinct clip and narration is computed once and remembered: its embedding for the dual scores, its
 * state below the first fused layer for the fused ones. Memory is bounded; what had to be forgotten is
 * computed again and counted.
 */
#ifndef EGO_TASK_MCQ_H
#define EGO_TASK_MCQ_H

#include "base/progress.h"
#include "data/clips.h"
#include "format/egomcq.h"
#include "model/egovlp.h"

enum { EGO_MCQ_DUAL = 1, EGO_MCQ_FUSED = 2, EGO_MCQ_ENSEMBLE = 4 }; /* which scores; ensemble needs both */
enum { EGO_MCQ_MAX_CHOICES = 64 };

typedef struct ego_mcq_choice {
    const char *video;
    bool whole; /* the whole file */
    double start, end;
} ego_mcq_choice;

typedef struct ego_mcq_item {
    /* in: borrowed */
    const char *text;
    const ego_mcq_choice *choices;
    size_t count; /* 2 to EGO_MCQ_MAX_CHOICES */
    /* out: a score a choice, as far as asked for */
    float dual[EGO_MCQ_MAX_CHOICES];     /* cosine of the two embeddings */
    float fused[EGO_MCQ_MAX_CHOICES];    /* probability of a match */
    float ensemble[EGO_MCQ_MAX_CHOICES]; /* their sum */
    ego_err err;                         /* EGO_OK, or why there are none */
    char message[512];
} ego_mcq_item;

/* A question of the benchmark's file as an item; choices: room for EGO_MCQ_MAX_CHOICES, which the item borrows. */
ego_err ego_mcq_item_of(const ego_mcq_question *question, ego_mcq_choice *choices, ego_mcq_item *item);

/* In which order the encoder sees a clip's frames: to find out what it makes of time. */
typedef enum ego_frame_order {
    EGO_FRAMES_FILMED,
    EGO_FRAMES_SHUFFLED, /* an order drawn from the seed and the clip's name */
    EGO_FRAMES_REVERSED
} ego_frame_order;

typedef struct ego_mcq_options {
    unsigned scores;         /* EGO_MCQ_… bits */
    ego_clips_options clips; /* how clips are read */
    ego_frame_order order;
    uint64_t seed;           /* of shuffled frames */
    size_t memory;           /* bytes to remember results in; 0: 512 MiB */
} ego_mcq_options;

typedef struct ego_mcq_session ego_mcq_session;

unsigned ego_mcq_needs(const ego_mcq_options *options);
ego_err ego_mcq_open(ego_ctx *cx, ego_model *model, const ego_mcq_options *options,
                     ego_mcq_session **session);
void ego_mcq_close(ego_mcq_session *session); /* takes NULL */

/* How many questions of `choices` choices are best answered together. */
size_t ego_mcq_window(const ego_mcq_session *session, size_t choices);
/* Fills every item's scores. A clip that cannot be read fails the questions it belongs to. */
ego_err ego_mcq_answer(ego_mcq_session *session, ego_mcq_item *items, size_t n);

/* The first of the largest: what the benchmark counts. */
size_t ego_mcq_best(const float *scores, size_t n);

typedef struct ego_mcq_counts {
    uint64_t clips, texts; /* computed, repetitions included */
    ego_clips_counts reading;
} ego_mcq_counts;
ego_mcq_counts ego_mcq_get_counts(ego_mcq_session *session);

#endif
