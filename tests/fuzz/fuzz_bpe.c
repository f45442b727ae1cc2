/* text/bpe. The first byte says how the rest is used: '0' text for a fixed small vocabulary, '1' text for
 * bytes, '2' a vocabulary, its merges and a text with \x01 between (a special token and byte that is missing is
 * added, so that more inputs get past the start). */
#include "text/bpe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int truth) {
    if (!truth) abort();
}

/* Encodes, cuts, and gets every token back. */
static void use(const ego_bpe *bpe, const char *text, size_t n) {
    ego_tokens whole = {0}, cut = {0};
    ego_buf back = {0};
    expect(ego_bpe_encode(bpe, text, n, 0, &whole) == EGO_OK);
    expect(whole.count >= 2 && whole.ids[0] == ego_bpe_start_id(bpe) &&
           whole.ids[whole.count - 1] == ego_bpe_end_id(bpe) && whole.count <= n + 2);
    bool masked = false;
    for (size_t i = 0; i < whole.count; i++) {
        expect(whole.ids[i] >= 0 && (size_t)whole.ids[i] < ego_bpe_count(bpe));
        masked |= whole.ids[i] == ego_bpe_mask_id(bpe);
    }
    expect(ego_bpe_decode(bpe, whole.ids + 1, whole.count - 2, true, &back) == EGO_OK);
    if (!masked) expect(back.len == n && (n == 0 || !memcmp(back.data, text, n)));
    for (size_t limit = 2; limit < 8; limit++) {
        expect(ego_bpe_encode(bpe, text, n, limit, &cut) == EGO_OK);
        expect(cut.count == (whole.count < limit ? whole.count : limit));
        expect(!memcmp(cut.ids, whole.ids, (cut.count - 1) * sizeof *cut.ids));
    }
    ego_buf_release(&back);
    ego_tokens_release(&whole);
    ego_tokens_release(&cut);
}

/* `extra`: members, each with a comma before it. */
static void put_vocab(ego_buf *vocab, const char *extra, size_t n) {
    ego_buf_text(vocab, "{\"<s>\":0,\"<pad>\":1,\"</s>\":2,\"<mask>\":3");
    for (int b = 0, next = 0x100; b < 256; b++) {
        int visible = (b >= 33 && b < 127) || (b >= 161 && b != 173);
        ego_buf_printf(vocab, ",\"\\u%04x\":%d", (unsigned)(visible ? b : next++), b + 4);
    }
    ego_buf_append(vocab, extra, n);
    ego_buf_char(vocab, '}');
}

static ego_bpe *fixed_vocabulary(void) {
    static ego_bpe *bpe;
    static const char extra[] =
        ",\"th\":260,\"the\":261,\"\\u0120the\":262,\"\\u0120\\u0120\":263,\"he\":264";
    static const char merges[] = "#version: 0.2\nt h\nh e\nth e\n\304\240 the\n\304\240 \304\240\n";
    if (bpe) return bpe;
    ego_buf vocab = {0};
    put_vocab(&vocab, extra, sizeof extra - 1);
    expect(ego_bpe_from_memory(vocab.data, vocab.len, merges, sizeof merges - 1, &bpe) == EGO_OK);
    ego_buf_release(&vocab);
    return bpe;
}

static void own_vocabulary(const char *data, size_t n) {
    const char *first = memchr(data, 1, n);
    size_t vocab_bytes = first ? (size_t)(first - data) : n;
    const char *rest = first ? first + 1 : data + n;
    size_t left = (size_t)(data + n - rest);
    const char *second = memchr(rest, 1, left);
    size_t merges_bytes = second ? (size_t)(second - rest) : left;
    ego_buf vocab = {0};
    ego_bpe *bpe = NULL;
    put_vocab(&vocab, data, vocab_bytes);
    if (ego_bpe_from_memory(vocab.data, vocab.len, rest, merges_bytes, &bpe) == EGO_OK && second)
        use(bpe, second + 1, left - merges_bytes - 1);
    ego_bpe_free(bpe);
    bpe = NULL;
    if (ego_bpe_from_memory(data, vocab_bytes, rest, merges_bytes, &bpe) == EGO_OK)
        ego_bpe_free(bpe);
    ego_buf_release(&vocab);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static ego_bpe *bytes;
    if (!bytes) expect(ego_bpe_new_bytes(261, &bytes) == EGO_OK);
    if (size == 0) return 0;
    size_t n = size - 1;
    char *text = malloc(n ? n : 1); /* of its own, so that reading past the end is seen */
    if (!text) return 0;
    memcpy(text, data + 1, n);
    if (data[0] == '2')
        own_vocabulary(text, n);
    else
        use(data[0] == '1' ? bytes : fixed_vocabulary(), text, n);
    free(text);
    return 0;
}
