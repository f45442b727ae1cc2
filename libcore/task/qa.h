/* Questions about clips: what the fused encoder sees when it looks at a clip with words in mind
 * (EgoTaskQA; spec/tasks.md §5).
 *
 * An item is one clip and any number of texts. With a head (task/qa_head.h) the text is the
 * question and the class state of the video, which has read it, is what the head answers from.
 * Without one each of several given answers forms a statement with the question, and the answer
 * is the statement that most probably belongs to the clip.
 *
 * Below the first fused layer a clip does not know the text nor a text the clip: that half is
 * computed once per clip and once per text, however many items they stand in, and remembered
 * within a budget.
 */
#ifndef EGO_TASK_QA_H
#define EGO_TASK_QA_H

#include "base/buf.h"
#include "data/clips.h"
#include "model/egovlp.h"

enum {
    EGO_QA_TOKENS = 30,       /* of a question, special tokens included: the published limit */
    EGO_QA_MAX_ANSWERS = 4096 /* given answers of one question */
};

/* A clip: a file, or a part of one. */
typedef struct ego_qa_clip {
    const char *video;
    bool whole;
    double start, end; /* seconds */
} ego_qa_clip;

/* The clip of EgoTaskQA's interval "k1|fpv1|0|620": the file of that name under the root or its
 * qa_videos/, else frames [0, 620) of the video "k1" under the root, at `fps` frames a second.
 * Texts are the arena's. */
ego_err ego_qa_find_interval(const char *root, const char *interval, double fps, ego_arena *arena,
                             ego_qa_clip *clip);

/* A question as the published reader has it: blanks around it off, ASCII letters in lower case. */
void ego_qa_question_text(const char *question, ego_buf *text);
/* A question and an answer as one narration: "QUESTION ANSWER", blanks around both off, letters
 * as they are. */
void ego_qa_statement(const char *question, const char *answer, ego_buf *text);

typedef struct ego_qa_item {
    /* in: borrowed */
    ego_qa_clip clip;
    const char *const *texts;
    size_t count;
    /* out: the caller's room, or NULL where not wanted */
    float *states;  /* (count, D): the video's class state of the fused path */
    float *matches; /* (count): probability that clip and text belong together; options.match */
    ego_err err;    /* EGO_OK, or why there is nothing */
    char message[512];
} ego_qa_item;

typedef struct ego_qa_options {
    bool match;              /* items may ask for matches */
    size_t max_tokens;       /* of a text; 0: as many as the model has positions */
    ego_clips_options clips; /* how clips are read */
    uint64_t seed; /* of sampling that draws: a clip's frames depend on it and the clip alone */
    size_t memory; /* bytes to remember results in; 0: 512 MiB */
} ego_qa_options;

typedef struct ego_qa_session ego_qa_session;

/* The EGO_NEEDS_… of the model. */
unsigned ego_qa_needs(const ego_qa_options *options);
ego_err ego_qa_open(ego_ctx *cx, ego_model *model, const ego_qa_options *options,
                    ego_qa_session **session);
void ego_qa_close(ego_qa_session *session); /* takes NULL */

/* Fills every item. A clip that cannot be read fails the items it belongs to and no others. */
ego_err ego_qa_ask(ego_qa_session *session, ego_qa_item *items, size_t n);

/* ---- in training ----------------------------------------------------------------------------- */

/* Computes the items' lower halves and remembers them, within the budget (options.memory;
 * SIZE_MAX / 2: for good). Errors as of ego_qa_ask. */
ego_err ego_qa_prepare(ego_qa_session *session, ego_qa_item *items, size_t n);

/* The states of n items' first texts by operations of `cx`, which may record them: (n, D). Lower
 * halves are taken from what is remembered, the rest computed. A failure of one item fails all. */
ego_err ego_qa_states(ego_qa_session *session, ego_ctx *cx, ego_qa_item *const *items, size_t n,
                      const ego_tensor **states);

typedef struct ego_qa_counts {
    uint64_t clips, texts; /* lower halves computed, repetitions included */
    uint64_t pairs;        /* upper halves */
} ego_qa_counts;
ego_qa_counts ego_qa_get_counts(const ego_qa_session *session);

#endif
