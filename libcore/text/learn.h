/* Learning a byte-level BPE vocabulary from texts, in the layout of roberta-base.
 *
 *     ego_bpe_learner *learner;
 *     ego_bpe_learned learned;
 *     ego_bpe_learner_new(&learner);
 *     ego_bpe_learner_add(learner, text, n, 1);                    // as often as there are texts
 *     ego_bpe_learn(learner, &(ego_bpe_learning){.tokens = 8192}, &learned);
 *     ego_bpe_learned_write(&learned, "vocabulary");               // for ego_bpe_load
 *
 * Ids: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3; the 256 bytes from 4 on, in the order of the
 * characters that stand for them in vocab.json, which is GPT-2's; then a token for each merge in
 * the order of the merges; `<mask>` is the last.
 *
 * Texts are cut into pieces exactly as for encoding (text/split.h), a piece's bytes are symbols,
 * and in each step the pair of neighbours that occurs most often, over all pieces, is joined
 * wherever it occurs, from the left. A pair's occurrences are the places where the two symbols
 * stand side by side: "aaa" has two of a a. Of pairs that occur equally often the one with the
 * smaller left id is taken, then the one with the smaller right id. Pairs that would make a token
 * of more than EGO_BPE_LEARN_MAX_TOKEN bytes are passed over. So the result depends on the texts
 * and their counts alone, not on their order.
 *
 * Every merge makes a token that was not there before: where the same bytes with token borders at
 * both ends occur, all that was merged between these borders was merged alike. (So no special token
 * can come out either: letters and `<` are never in one piece.)
 */
#ifndef EGO_TEXT_LEARN_H
#define EGO_TEXT_LEARN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/progress.h"

#include <stddef.h>
#include <stdint.h>

enum {
    EGO_BPE_LEARN_MAX_TOKEN = 128,      /* bytes of a token */
    EGO_BPE_LEARN_MAX_PIECES = 1 << 27, /* bytes of all different pieces; 40 times that in memory */
    EGO_BPE_LEARN_LEAST = 2             /* least_count where it is not given */
};

/* The different pieces of the texts so far, and how often each occurs. */
typedef struct ego_bpe_learner ego_bpe_learner;

ego_err ego_bpe_learner_new(ego_bpe_learner **learner);
void ego_bpe_learner_free(ego_bpe_learner *learner); /* takes NULL */

/* Adds a text of at most EGO_BPE_MAX_TEXT bytes (any bytes; it is copied) that occurs `count`
 * times. A special token written in it counts as the characters that it is written with. After a
 * failure a part of the text may have been counted. */
ego_err ego_bpe_learner_add(ego_bpe_learner *learner, const char *text, size_t n, uint64_t count);

typedef struct ego_bpe_learning {
    size_t tokens;        /* ids wanted: EGO_BPE_BYTES_VOCAB to EGO_BPE_MAX_TOKENS */
    uint64_t least_count; /* a pair that occurs less often is not joined; 0: EGO_BPE_LEARN_LEAST */
    const ego_progress *progress; /* "merges"; may be NULL */
} ego_bpe_learning;

/* {0} is empty; the caller owns it. */
typedef struct ego_bpe_learned {
    ego_buf vocab, merges; /* what vocab.json and merges.txt hold */
    size_t tokens;         /* ids in them; fewer than wanted when no pair occurred often enough */
    uint64_t texts, bytes; /* learned from */
    size_t pieces;         /* different ones */
    uint64_t text_tokens;  /* what the texts encode to, all together, special tokens aside */
} ego_bpe_learned;

void ego_bpe_learned_release(ego_bpe_learned *learned); /* frees and empties; safe on {0} */

/* Fills *learned, which must be empty. The learner stays as it is: more texts may be added, or
 * another size asked for. Of texts with S bytes in different pieces it takes O(S log S) time,
 * whatever the texts and the size. */
ego_err ego_bpe_learn(const ego_bpe_learner *learner, const ego_bpe_learning *learning,
                      ego_bpe_learned *learned);

/* Writes DIRECTORY/vocab.json and merges.txt, making the directory if need be. Neither takes its
 * name before both have been written. */
ego_err ego_bpe_learned_write(const ego_bpe_learned *learned, const char *directory);

#endif
