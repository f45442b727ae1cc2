#include "text/bpe.h"

#include "text/split.h"
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>

void ego_tokens_release(ego_tokens *tokens) {
    free(tokens->ids);
    *tokens = (ego_tokens){0};
}

static ego_err push(ego_tokens *tokens, int64_t id) {
    if (tokens->count == tokens->cap) {
        size_t cap = tokens->cap ? tokens->cap * 2 : 32;
        int64_t *ids = realloc(tokens->ids, cap * sizeof *ids);
        if (!ids) return ego_fail(EGO_ENOMEM, "out of memory for %zu tokens", cap);
        tokens->ids = ids;
        tokens->cap = cap;
    }
    tokens->ids[tokens->count++] = id;
    return EGO_OK;
}

/* ---- merging one piece ----
 *
 * The piece's symbols are a linked list; every pair that could be joined waits in a heap under its
 * rank and place, so that a piece of n bytes takes O(n log n) even when it is a megabyte without a
 * blank. A pair that changed since it was put there is noticed when it comes up, by its rank. */

enum { NONE = -1 };

typedef struct symbol {
    int32_t id; /* NONE: joined to its left neighbour */
    int32_t previous, next;
} symbol;

typedef struct workspace {
    symbol *symbols;
    uint64_t *heap;         /* rank << 32 | index of the left symbol; the least first */
    size_t heap_count, cap; /* cap symbols, twice as many in the heap */
} workspace;

static ego_err reserve(workspace *work, size_t n) {
    if (n <= work->cap) return EGO_OK;
    size_t cap = n < 256 ? 256 : n;
    free(work->symbols);
    free(work->heap);
    *work = (workspace){.symbols = malloc(cap * sizeof *work->symbols),
                        .heap = malloc(2 * cap * sizeof *work->heap)};
    if (!work->symbols || !work->heap)
        return ego_fail(EGO_ENOMEM, "out of memory for a word of %zu bytes", n);
    work->cap = cap;
    return EGO_OK;
}

static void heap_push(workspace *work, uint64_t key) {
    size_t i = work->heap_count++;
    for (; i && work->heap[(i - 1) / 2] > key; i = (i - 1) / 2)
        work->heap[i] = work->heap[(i - 1) / 2];
    work->heap[i] = key;
}

static uint64_t heap_pop(workspace *work) {
    uint64_t least = work->heap[0], key = work->heap[--work->heap_count];
    size_t i = 0, n = work->heap_count;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && work->heap[child + 1] < work->heap[child]) child++;
        if (work->heap[child] >= key) break;
        work->heap[i] = work->heap[child];
    }
    work->heap[i] = key;
    return least;
}

static const ego__merge *merge_at(const ego_bpe *bpe, const symbol *symbols, int32_t left) {
    int32_t right = symbols[left].next;
    if (symbols[left].id == NONE || right == NONE) return NULL;
    return ego__merge_find(bpe, symbols[left].id, symbols[right].id);
}

static void offer(const ego_bpe *bpe, workspace *work, int32_t left) {
    const ego__merge *merge = merge_at(bpe, work->symbols, left);
    if (merge) heap_push(work, (uint64_t)merge->rank << 32 | (uint32_t)left);
}

static void merge_all(const ego_bpe *bpe, workspace *work) {
    symbol *symbols = work->symbols;
    while (work->heap_count) {
        uint64_t key = heap_pop(work);
        int32_t left = (int32_t)(key & 0xFFFFFFFFu);
        const ego__merge *merge = merge_at(bpe, symbols, left);
        if (!merge || merge->rank != key >> 32) continue;
        int32_t right = symbols[left].next;
        symbols[left].id = merge->joined;
        symbols[left].next = symbols[right].next;
        symbols[right].id = NONE;
        if (symbols[left].next != NONE) symbols[symbols[left].next].previous = left;
        if (symbols[left].previous != NONE) offer(bpe, work, symbols[left].previous);
        offer(bpe, work, left);
    }
}

/* Each merge takes one pair out of the heap and puts at most two in: n - 1 pairs and n - 1 merges
 * never need more than 2n places. */
static ego_err encode_piece(const ego_bpe *bpe, workspace *work, const char *text, size_t n,
                            ego_tokens *tokens) {
    EGO_TRY(reserve(work, n));
    for (size_t i = 0; i < n; i++)
        work->symbols[i] = (symbol){.id = bpe->byte_id[(unsigned char)text[i]],
                                    .previous = (int32_t)i - 1,
                                    .next = i + 1 < n ? (int32_t)i + 1 : NONE};
    if (bpe->merges) {
        for (size_t i = 0; i + 1 < n; i++) offer(bpe, work, (int32_t)i);
        merge_all(bpe, work);
    }
    for (int32_t i = 0; i != NONE; i = work->symbols[i].next)
        EGO_TRY(push(tokens, work->symbols[i].id));
    return EGO_OK;
}

/* ---- whole texts ---- */

/* Which special token's text begins here; NONE if none does. */
static int special_at(const ego_bpe *bpe, const char *text, size_t n) {
    for (int k = 0; k < EGO__SPECIALS; k++) {
        size_t length = strlen(ego__special_text[k]);
        if (bpe->special[k] != NONE && n >= length && !memcmp(text, ego__special_text[k], length))
            return k;
    }
    return NONE;
}

/* The first special token in text[0..n): which, and where; NONE and n without one. */
static int next_special(const ego_bpe *bpe, const char *text, size_t n, size_t *at) {
    for (const char *p = text; (p = memchr(p, '<', n - (size_t)(p - text))) != NULL; p++) {
        *at = (size_t)(p - text);
        int k = special_at(bpe, p, n - *at);
        if (k != NONE) return k;
    }
    *at = n;
    return NONE;
}

static ego_err encode_ordinary(const ego_bpe *bpe, workspace *work, const char *text, size_t n,
                               size_t limit, ego_tokens *tokens) {
    while (n && tokens->count < limit) {
        size_t length = ego__split_next(text, n);
        EGO_TRY(encode_piece(bpe, work, text, length, tokens));
        text += length;
        n -= length;
    }
    return EGO_OK;
}

static ego_err encode_text(const ego_bpe *bpe, workspace *work, const char *text, size_t n,
                           size_t limit, ego_tokens *tokens) {
    while (n && tokens->count < limit) {
        size_t at;
        int k = next_special(bpe, text, n, &at);
        size_t ordinary = k == EGO__MASK ? ego__trim_right(text, at) : at;
        EGO_TRY(encode_ordinary(bpe, work, text, ordinary, limit, tokens));
        if (k == NONE) break;
        EGO_TRY(push(tokens, bpe->special[k]));
        at += strlen(ego__special_text[k]);
        text += at;
        n -= at;
    }
    return EGO_OK;
}

ego_err ego_bpe_encode(const ego_bpe *bpe, const char *text, size_t n, size_t max_tokens,
                       ego_tokens *tokens) {
    if (n > EGO_BPE_MAX_TEXT)
        return ego_fail(EGO_EINPUT, "a text of at most %d bytes expected, found %zu",
                        EGO_BPE_MAX_TEXT, n);
    if (max_tokens == 1)
        return ego_fail(EGO_EINPUT, "room for at least 2 tokens (<s> and </s>) expected, found 1");
    size_t limit = max_tokens ? max_tokens - 1 : SIZE_MAX; /* without </s> */
    workspace work = {0};
    tokens->count = 0;
    ego_err err = push(tokens, bpe->special[EGO__START]);
    if (err == EGO_OK) err = encode_text(bpe, &work, text, n, limit, tokens);
    if (tokens->count > limit) tokens->count = limit;
    if (err == EGO_OK) err = push(tokens, bpe->special[EGO__END]);
    free(work.symbols);
    free(work.heap);
    return err;
}

ego_err ego_bpe_decode(const ego_bpe *bpe, const int64_t *ids, size_t count, bool keep_special,
                       ego_buf *text) {
    for (size_t i = 0; i < count; i++) {
        size_t bytes;
        const char *token = ego_bpe_token(bpe, ids[i], &bytes);
        if (!token)
            return ego_fail(EGO_EINPUT,
                            "token %zu: an id of the vocabulary of %zu expected, found %lld", i,
                            bpe->count, (long long)ids[i]);
        if (keep_special || !ego_bpe_is_special(bpe, ids[i])) ego_buf_append(text, token, bytes);
    }
    return ego_buf_err(text);
}

/* ---- what a tokenizer says of itself ---- */

size_t ego_bpe_count(const ego_bpe *bpe) { return bpe->count; }
int64_t ego_bpe_start_id(const ego_bpe *bpe) { return bpe->special[EGO__START]; }
int64_t ego_bpe_pad_id(const ego_bpe *bpe) { return bpe->special[EGO__PAD]; }
int64_t ego_bpe_end_id(const ego_bpe *bpe) { return bpe->special[EGO__END]; }
int64_t ego_bpe_unk_id(const ego_bpe *bpe) { return bpe->special[EGO__UNK]; }
bool ego_bpe_is_bytes(const ego_bpe *bpe) { return bpe->is_bytes; }

int64_t ego_bpe_mask_id(const ego_bpe *bpe) {
    return bpe->special[EGO__MASK] != NONE ? bpe->special[EGO__MASK] : (int64_t)bpe->count - 1;
}

bool ego_bpe_is_special(const ego_bpe *bpe, int64_t id) {
    for (int k = 0; k < EGO__SPECIALS; k++)
        if (id >= 0 && id == bpe->special[k]) return true;
    return false;
}

const char *ego_bpe_token(const ego_bpe *bpe, int64_t id, size_t *bytes) {
    if (id < 0 || (uint64_t)id >= bpe->count) return NULL;
    size_t n = bpe->start[id + 1] - bpe->start[id] - 1; /* without the NUL */
    if (n == 0) return NULL;
    *bytes = n;
    return bpe->bytes + bpe->start[id];
}
