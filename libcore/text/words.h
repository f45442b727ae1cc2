/* Tokens joined back to words, for whoever shows what belongs to a token.
 *
 * A word is what white space or a special token separates: pieces that BPE cut it into and
 * punctuation that touches it are its tokens. Every token belongs to exactly one word; special
 * tokens are words of their own. Without a vocabulary each token is a word, shown as its number.
 */
#ifndef EGO_TEXT_WORDS_H
#define EGO_TEXT_WORDS_H

#include "text/bpe.h"

typedef struct ego_word {
    size_t first, end; /* its tokens: [first, end) */
    bool special;
    const char *text; /* NUL-terminated, as the tokens' bytes are: cut UTF-8 stays cut */
} ego_word;

typedef struct ego_words {
    ego_word *at;
    size_t n;
    char *bytes; /* of all texts */
} ego_words;     /* {0} is empty */

/* bpe may be NULL. */
ego_err ego_words_of(const ego_bpe *bpe, const int64_t *ids, size_t count, ego_words *words);
void ego_words_release(ego_words *words); /* safe on {0} */

#endif
