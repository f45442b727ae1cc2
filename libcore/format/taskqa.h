/* EgoTaskQA: formatted_{train,val,test}_qas_encode.json, answer_set.txt, all_reasoning_types.txt.
 *
 *     [{"interval":"k1|fpv1|0|620","question":"What did I wash?","answer":"cup","answer_encode":17,
 *       "type":["descriptive"],"category":["world"],"semantic":"object",
 *       "reasoning_type":"descriptive$world$object$query$direct"},…]
 *
 * question, answer_encode and interval are required. The text files hold one name a line; the line
 * of an answer, from 0, is its class, so that empty lines count there.
 */
#ifndef EGO_FORMAT_TASKQA_H
#define EGO_FORMAT_TASKQA_H

#include "base/arena.h"
#include "base/err.h"
#include "format/annotations.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ego_qa_question {
    const char *interval; /* the clip is qa_videos/<interval>.mp4 */
    const char *question;
    const char *answer;   /* NULL when missing */
    int64_t answer_class; /* answer_encode */
    const char *const *types, *const *categories;
    size_t type_count, category_count;
    const char *semantic;         /* NULL when missing */
    const char *const *reasoning; /* reasoning_type, cut at each `$` */
    size_t reasoning_count;
} ego_qa_question;

typedef struct ego_qa {
    const ego_qa_question *questions;
    size_t count;
} ego_qa;

ego_err ego_qa_read(const char *path, ego_arena *arena, ego_qa *out);
ego_err ego_qa_parse(const char *text, size_t n, const char *name, ego_arena *arena, ego_qa *out);

typedef struct ego_names {
    const char *const *names;
    size_t count;
} ego_names;

/* One name a line, blanks around it taken off; what is empty at the end of the file is not a line.
 */
ego_err ego_names_read(const char *path, ego_arena *arena, ego_names *out);
ego_err ego_names_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                        ego_names *out);

#endif
