/* Questions about clips: what the fused encoder sees when it looks at a clip with words in mind
 * (EgoTaskQA; spec/tasks.md §5).
 *
 * An item is one clip and any number of texts. With a head (task/qa_head.h) the text is the
 * question and the class state of the video, which has read it, is what the head answers from.
 * Without one each of several given answers forms a statement with the question, and the answer
 * is the statement that most probably belongs to the clip.
 *
 * However many items a clip or a text stands in, task/halves.h computes its lower half once and
 * remembers it.
 */
#ifndef EGO_TASK_QA_H
#define EGO_TASK_QA_H

#include "base/buf.h"
#include "model/head.h"
#include "task/halves.h"

enum {
    EGO_QA_TOKENS = 30,       /* of a question, special tokens included: the published limit */
    EGO_QA_MAX_ANSWERS = 4096 /* given answers of one question */
};

/* The clip of EgoTaskQA's interval "k1|fpv1|0|620": the file of that name under the root or its
 * qa_videos/, else frames [0, 620) of the video "k1" under the root, at `fps` frames a second.
 * Texts are the arena's. */
ego_err ego_qa_find_interval(const char *root, const char *interval, double fps, ego_arena *arena,
                             ego_video_part *clip);

/* A question as the published reader has it: blanks around it off, ASCII letters in lower case. */
void ego_qa_question_text(const char *question, ego_buf *text);
/* A question and an answer as one narration: "QUESTION ANSWER", blanks around both off, letters
 * as they are. */
void ego_qa_statement(const char *question, const char *answer, ego_buf *text);

typedef struct ego_qa_item {
    /* in: borrowed */
    ego_video_part clip;
    const char *const *texts;
    size_t count;
    /* out: the caller's room, or NULL where not wanted */
    float *states;  /* (count, D): the video's class state of the fused path; with windows (W, P):
                       their embeddings */
    float *matches; /* (count): probability that clip and text belong together; options.match */
    ego_err err;    /* EGO_OK, or why there is nothing */
    char message[512];
} ego_qa_item;

typedef struct ego_qa_options {
    bool match; /* items may ask for matches */
    bool text_learns; /* ego_qa_states computes the texts' lower halves, too, every time */
    int64_t windows;  /* more than 0: for a head of moments (task/qa_moments.h) clips are looked at in so many */
    ego_halves_options halves;
} ego_qa_options;

typedef struct ego_qa_session ego_qa_session;

/* The EGO_NEEDS_… of the model. */
unsigned ego_qa_needs(const ego_qa_options *options);
ego_err ego_qa_open(ego_ctx *cx, ego_model *model, const ego_qa_options *options,
                    ego_qa_session **session);
void ego_qa_close(ego_qa_session *session); /* takes NULL */

/* Without windows. Fills every item. A clip that cannot be read fails the items it belongs to and no others. */
ego_err ego_qa_ask(ego_qa_session *session, ego_qa_item *items, size_t n);
/* With windows. Fills every item's states, whatever its texts. Of a whole file the length is measured. Errors likewise. */
ego_err ego_qa_look(ego_qa_session *session, ego_qa_item *items, size_t n);

/* The probabilities of the head's classes (A) for an item that was asked, or looked at, with one text. The head is of
 * states or of moments, as the session has windows or not. */
ego_err ego_qa_answer(ego_qa_session *session, ego_head *head, const ego_qa_item *item, float *scores);

/* ---- in training ----------------------------------------------------------------------------- */

/* Computes the items' lower halves and remembers them, within the budget (SIZE_MAX / 2: for good).
 * Errors as of ego_qa_ask. */
ego_err ego_qa_prepare(ego_qa_session *session, ego_qa_item *items, size_t n);

/* The states of n items' first texts by operations of `cx`, which may record them: (n, D). Lower
 * halves are taken from what is remembered, the rest computed. A failure of one item fails all. */
ego_err ego_qa_states(ego_qa_session *session, ego_ctx *cx, ego_qa_item *const *items, size_t n,
                      const ego_tensor **states);

/* The dual encoder's words of n texts, by operations of `cx`, which may record them. One bad text fails all. */
ego_err ego_qa_words(const ego_qa_session *session, ego_ctx *cx, const char *const *texts, size_t n, ego_lower *words);

typedef struct ego_qa_counts {
    ego_halves_counts halves;
    uint64_t pairs; /* upper halves */
} ego_qa_counts;
ego_qa_counts ego_qa_get_counts(const ego_qa_session *session);

#endif
