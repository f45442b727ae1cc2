/* What a tokenizer knows: its tokens' bytes, its merges, its special tokens. Inside libego only:
 * bpe.c encodes and decodes with it, vocab.c reads it, learn.c makes such files. */
#ifndef EGO_TEXT_VOCAB_H
#define EGO_TEXT_VOCAB_H

#include "base/err.h"
#include "text/bpe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EGO__START, EGO__PAD, EGO__END, EGO__UNK, EGO__MASK, EGO__SPECIALS };
extern const char *const ego__special_text[EGO__SPECIALS]; /* "<s>", … */

/* GPT-2's names for bytes: in the two files every byte is written as one printable character. Those
 * of Latin-1 that are visible stand for themselves, the 68 others for U+0100 onwards in order. */
enum { EGO__BYTE_NAMES_END = 0x100 + 68 };
typedef struct ego__byte_names {
    uint32_t names[256];            /* of byte b: the character */
    int bytes[EGO__BYTE_NAMES_END]; /* of a character: the byte, or -1 */
} ego__byte_names;

void ego__byte_names_make(ego__byte_names *map);

/* A merge stands at the first free slot from its pair's hash on; rank is its line in merges.txt. */
typedef struct ego__merge {
    int32_t left, right; /* left is -1 in a free slot */
    uint32_t rank;
    int32_t joined;
} ego__merge;

struct ego_bpe {
    size_t count;       /* ids 0…count-1; an id without a token has no bytes */
    char *bytes;        /* all tokens' bytes one after the other, a NUL behind each */
    uint32_t *start;    /* where token i begins in bytes; [count] is the end */
    ego__merge *merges; /* NULL when there are none */
    size_t slots;       /* a power of two */
    int32_t byte_id[256];
    int32_t special[EGO__SPECIALS]; /* -1: not in the vocabulary */
    bool is_bytes;
};

/* The merge of two neighbours, or NULL. */
const ego__merge *ego__merge_find(const ego_bpe *bpe, int32_t left, int32_t right);

#endif
