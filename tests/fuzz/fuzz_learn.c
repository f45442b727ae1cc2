/* text/learn. The first byte says how many tokens beyond the bytes are wanted, the second how often a pair must
 * occur; the rest are texts, one a line. What was learned must load, and give every text back in as many
 * tokens as it said. */
#include "text/bpe.h"
#include "text/learn.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int truth) {
    if (!truth) abort();
}

/* Calls `use` on each line, which is a copy of its own, so that reading past its end is seen. */
static void each_line(const uint8_t *data, size_t size,
                      void (*use)(void *context, const char *text, size_t n), void *context) {
    while (size) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t n = end ? (size_t)(end - data) : size, whole = end ? n + 1 : n;
        char *text = malloc(n ? n : 1);
        expect(text != NULL);
        memcpy(text, data, n);
        use(context, text, n);
        free(text);
        data += whole;
        size -= whole;
    }
}

static void add(void *learner, const char *text, size_t n) {
    expect(ego_bpe_learner_add(learner, text, n, 1) == EGO_OK);
}

typedef struct counting {
    const ego_bpe *bpe;
    uint64_t tokens;
    bool special;
} counting;

static void check(void *context, const char *text, size_t n) {
    counting *c = context;
    ego_tokens tokens = {0};
    ego_buf back = {0};
    bool special = false;
    expect(ego_bpe_encode(c->bpe, text, n, 0, &tokens) == EGO_OK);
    for (size_t i = 1; i + 1 < tokens.count; i++)
        special |= ego_bpe_is_special(c->bpe, tokens.ids[i]);
    c->tokens += tokens.count - 2;
    c->special |= special;
    expect(ego_bpe_decode(c->bpe, tokens.ids + 1, tokens.count - 2, true, &back) == EGO_OK);
    if (!special) expect(back.len == n && (n == 0 || !memcmp(back.data, text, n)));
    ego_buf_release(&back);
    ego_tokens_release(&tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    ego_bpe_learner *learner;
    ego_bpe_learned learned = {0};
    counting c = {0};
    ego_bpe *bpe;
    ego_bpe_learning learning = {.tokens = EGO_BPE_BYTES_VOCAB + data[0], .least_count = data[1]};
    expect(ego_bpe_learner_new(&learner) == EGO_OK);
    each_line(data + 2, size - 2, add, learner);
    expect(ego_bpe_learn(learner, &learning, &learned) == EGO_OK);
    expect(learned.tokens <= learning.tokens);
    expect(ego_bpe_from_memory(learned.vocab.data, learned.vocab.len, learned.merges.data,
                               learned.merges.len, &bpe) == EGO_OK);
    expect(ego_bpe_count(bpe) == learned.tokens);
    c.bpe = bpe;
    each_line(data + 2, size - 2, check, &c);
    expect(c.special || c.tokens == learned.text_tokens);
    ego_bpe_free(bpe);
    ego_bpe_learned_release(&learned);
    ego_bpe_learner_free(learner);
    return 0;
}
