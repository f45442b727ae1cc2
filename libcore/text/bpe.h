/* Byte-level BPE: text to token ids exactly as HuggingFace's roberta-base tokenizer, and back.
 *
 * Text is cut into pieces (text/split.h), a piece's bytes become one symbol each, and the
 * neighbouring pair that stands earliest in merges.txt is joined until none is left. No blank is
 * put before the text; `<s>` goes before the ids and `</s>` after them.
 *
 * `<s>`, `<pad>`, `</s>`, `<unk>` and `<mask>` written in the text become their one token, wherever
 * they stand; as in RoBERTa's tokenizer `<mask>` swallows the white space before it, the others do
 * not. Any bytes can be encoded: text that is not UTF-8 goes in byte by byte (text/split.h says as
 * what).
 *
 * An ego_bpe is read-only after it was made: threads may share it.
 */
#ifndef EGO_TEXT_BPE_H
#define EGO_TEXT_BPE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ego_bpe ego_bpe;

enum {
    EGO_BPE_MAX_FILE = 64 << 20,      /* bytes of vocab.json or merges.txt */
    EGO_BPE_MAX_TEXT = 16 << 20,      /* bytes of one text; encoding takes up to 28 times as much */
    EGO_BPE_MAX_TOKENS = 1 << 20,     /* ids in a vocabulary */
    EGO_BPE_BYTES_VOCAB = 4 + 256 + 1 /* the least vocabulary that ego_bpe_new_bytes fills */
};

/* A growable list of ids: {0} is empty; the caller owns it. */
typedef struct ego_tokens {
    int64_t *ids;
    size_t count, cap;
} ego_tokens;

void ego_tokens_release(ego_tokens *tokens); /* frees and empties; safe on {0} */

/* Reads DIR/vocab.json and DIR/merges.txt. The vocabulary must hold `<s>`, `<pad>`, `</s>` and all
 * 256 bytes, the merges only tokens that it holds; `<unk>` and `<mask>` may be missing. */
ego_err ego_bpe_load(const char *directory, ego_bpe **bpe);

/* The same from the two files' contents, such as a model's `tokenizer.vocab` and
 * `tokenizer.merges`. Nothing points into them afterwards. */
ego_err ego_bpe_from_memory(const char *vocab, size_t vocab_bytes, const char *merges,
                            size_t merges_bytes, ego_bpe **bpe);

/* For a model without a vocabulary: every byte is a token. `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3,
 * byte b is 4 + b, `<mask>` is the last of vocab_size ids, of which there must be
 * EGO_BPE_BYTES_VOCAB at least. Special tokens in the text count as above. */
ego_err ego_bpe_new_bytes(size_t vocab_size, ego_bpe **bpe);

void ego_bpe_free(ego_bpe *bpe); /* takes NULL */

/* Replaces *tokens by the ids of text[0..n), `<s>` and `</s>` included. With max_tokens (0: no
 * limit; at least 2) a longer list keeps its first max_tokens - 1 ids and `</s>`, HF's
 * truncation=True. */
ego_err ego_bpe_encode(const ego_bpe *bpe, const char *text, size_t n, size_t max_tokens,
                       ego_tokens *tokens);

/* Appends the bytes that the ids stand for; special tokens as they are written above when
 * keep_special, nothing otherwise. The bytes are valid UTF-8 only if the ids came from such text
 * uncut. */
ego_err ego_bpe_decode(const ego_bpe *bpe, const int64_t *ids, size_t count, bool keep_special,
                       ego_buf *text);

size_t ego_bpe_count(const ego_bpe *bpe);     /* one more than the largest id */
int64_t ego_bpe_start_id(const ego_bpe *bpe); /* <s> */
int64_t ego_bpe_pad_id(const ego_bpe *bpe);
int64_t ego_bpe_end_id(const ego_bpe *bpe);  /* </s> */
int64_t ego_bpe_unk_id(const ego_bpe *bpe);  /* -1 when the vocabulary has none */
int64_t ego_bpe_mask_id(const ego_bpe *bpe); /* the last id when the vocabulary has none */
bool ego_bpe_is_special(const ego_bpe *bpe, int64_t id);
bool ego_bpe_is_bytes(const ego_bpe *bpe); /* made by ego_bpe_new_bytes */

/* The bytes of one token, NUL-terminated; NULL when no token has that id. */
const char *ego_bpe_token(const ego_bpe *bpe, int64_t id, size_t *bytes);

#endif
