/* egomcq.json: one narration, five clips, which one is it.
 *
 *     {"0":{"answer":3,"types":2,"query":{…},"choices":{"0":{…},…,"4":{…}}},…}
 *
 * A query needs clip_text, a choice video_uid, clip_start and clip_end; the other members of
 * ego_narrated_clip are read where they are (strings NULL, numbers NaN, tags empty where not). Tags
 * are strings that hold Python lists. Questions and choices keep the file's order.
 */
#ifndef EGO_FORMAT_EGOMCQ_H
#define EGO_FORMAT_EGOMCQ_H

#include "base/arena.h"
#include "base/err.h"
#include "format/annotations.h"

#include <stddef.h>

enum { EGO_MCQ_INTER = 1, EGO_MCQ_INTRA = 2 }; /* the other choices: of other videos, of the same */

typedef struct ego_mcq_question {
    const char *id; /* its key */
    int type;
    size_t answer; /* which choice, from 0 */
    ego_narrated_clip query;
    const ego_narrated_clip *choices;
    size_t count;
} ego_mcq_question;

typedef struct ego_mcq {
    const ego_mcq_question *questions;
    size_t count;
} ego_mcq;

ego_err ego_mcq_read(const char *path, ego_arena *arena, ego_mcq *out);
ego_err ego_mcq_parse(const char *text, size_t n, const char *name, ego_arena *arena, ego_mcq *out);

#endif
