#include "text/learn.h"

#include "base/file.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "text/bpe.h"
#include "text/pairs.h"
#include "text/split.h"
#include "text/vocab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = -1, FIRST_ID = 4, REPORT_EVERY = 64 };

/* ---- counting pieces ---- */

typedef struct piece {
    uint32_t start, bytes; /* in the learner's text */
    uint64_t count;
} piece;

struct ego_bpe_learner {
    ego_buf text; /* the different pieces, one after the other */
    piece *pieces;
    size_t count, cap;
    int32_t *slots; /* hash table of the pieces; NONE where free */
    size_t n_slots;
    uint64_t texts, bytes;
};

static ego_err no_memory(const ego_bpe_learner *learner) {
    return ego_fail(EGO_ENOMEM, "out of memory for %zu different words", learner->count);
}

/* The slot of the piece, or the free one where it would stand. */
static size_t slot_of(const ego_bpe_learner *l, const char *text, size_t n) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    size_t slot = (size_t)ego_rng_mix(hash) & (l->n_slots - 1);
    for (; l->slots[slot] != NONE; slot = (slot + 1) & (l->n_slots - 1)) {
        const piece *p = &l->pieces[l->slots[slot]];
        if (p->bytes == n && !memcmp(l->text.data + p->start, text, n)) break;
    }
    return slot;
}

/* Twice the room, for pieces and in their table, which is never more than half full. */
static ego_err grow(ego_bpe_learner *l) {
    size_t cap = l->cap ? 2 * l->cap : 1024;
    piece *pieces = realloc(l->pieces, cap * sizeof *pieces);
    if (pieces) l->pieces = pieces;
    int32_t *slots = malloc(2 * cap * sizeof *slots);
    if (!pieces || !slots) {
        free(slots);
        return no_memory(l);
    }
    free(l->slots);
    l->slots = slots;
    l->cap = cap;
    l->n_slots = 2 * cap;
    for (size_t i = 0; i < l->n_slots; i++) slots[i] = NONE;
    for (size_t i = 0; i < l->count; i++) {
        const piece *p = &l->pieces[i];
        slots[slot_of(l, l->text.data + p->start, p->bytes)] = (int32_t)i;
    }
    return EGO_OK;
}

static ego_err add_piece(ego_bpe_learner *l, const char *text, size_t n, uint64_t count) {
    size_t slot = slot_of(l, text, n);
    if (l->slots[slot] != NONE) {
        l->pieces[l->slots[slot]].count += count;
        return EGO_OK;
    }
    if (n > EGO_BPE_LEARN_MAX_PIECES - l->text.len)
        return ego_fail(EGO_EINPUT, "different words of at most %d bytes in all expected",
                        EGO_BPE_LEARN_MAX_PIECES);
    if (l->count == l->cap) {
        EGO_TRY(grow(l));
        slot = slot_of(l, text, n);
    }
    piece new = {(uint32_t)l->text.len, (uint32_t)n, count};
    ego_buf_append(&l->text, text, n);
    EGO_TRY(ego_buf_err(&l->text));
    l->slots[slot] = (int32_t)l->count;
    l->pieces[l->count++] = new;
    return EGO_OK;
}

ego_err ego_bpe_learner_add(ego_bpe_learner *learner, const char *text, size_t n, uint64_t count) {
    uint64_t bytes, texts;
    if (n > EGO_BPE_MAX_TEXT)
        return ego_fail(EGO_EINPUT, "a text of at most %d bytes expected, found %zu",
                        EGO_BPE_MAX_TEXT, n);
    /* No count of a piece, pair or token is more than the bytes in all: none can overflow. */
    if (__builtin_mul_overflow(count, n, &bytes) ||
        __builtin_add_overflow(learner->bytes, bytes, &bytes) ||
        __builtin_add_overflow(learner->texts, count, &texts))
        return ego_fail(EGO_EINPUT, "texts of fewer than 2^64 bytes in all expected");
    if (count == 0) return EGO_OK;
    learner->bytes = bytes;
    learner->texts = texts;
    while (n) {
        size_t length = ego__split_next(text, n);
        EGO_TRY(add_piece(learner, text, length, count));
        text += length;
        n -= length;
    }
    return EGO_OK;
}

ego_err ego_bpe_learner_new(ego_bpe_learner **learner) {
    ego_bpe_learner *l = calloc(1, sizeof *l);
    if (!l) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_err err = grow(l);
    if (err == EGO_OK)
        *learner = l;
    else
        ego_bpe_learner_free(l);
    return err;
}

void ego_bpe_learner_free(ego_bpe_learner *learner) {
    if (!learner) return;
    ego_buf_release(&learner->text);
    free(learner->pieces);
    free(learner->slots);
    free(learner);
}

/* ---- joining ----
 *
 * The symbols of all pieces stand in one array, those of a piece linked. A step visits the places of
 * one pair and touches only the neighbours there, and every visit that joins leaves a symbol less:
 * that is why the time does not depend on how many merges there are or how long a piece is. */

typedef struct symbol {
    int32_t token; /* its id - FIRST_ID; NONE: joined to its left neighbour */
    int32_t previous, next;
    int32_t piece;
} symbol;

typedef struct learning {
    const ego_bpe_learner *from;
    ego__byte_names map;
    symbol *symbols;
    ego__pairs pairs;
    ego_buf spelled; /* the tokens' bytes one after the other */
    uint32_t *start; /* where token i begins there; [tokens] is the end */
    size_t tokens;   /* without special ones */
    uint64_t text_tokens;
    ego_bpe_learned *to;
} learning;

static uint64_t count_at(const learning *s, int32_t at) {
    return s->from->pieces[s->symbols[at].piece].count;
}

static ego_err add_pair(learning *s, int32_t at) {
    const symbol *left = &s->symbols[at];
    return ego__pairs_add(&s->pairs, left->token, s->symbols[left->next].token, count_at(s, at),
                          at);
}

static void remove_pair(learning *s, int32_t at) {
    const symbol *left = &s->symbols[at];
    ego__pairs_remove(&s->pairs, left->token, s->symbols[left->next].token, count_at(s, at));
}

static ego_err join(learning *s, const ego__pair *pair, int32_t joined, int32_t at) {
    symbol *left = &s->symbols[at];
    if (left->token != pair->left || left->next == NONE) return EGO_OK;
    symbol *right = &s->symbols[left->next];
    if (right->token != pair->right) return EGO_OK;
    if (left->previous != NONE) remove_pair(s, left->previous);
    if (right->next != NONE) remove_pair(s, left->next);
    left->token = joined;
    left->next = right->next;
    right->token = NONE;
    s->text_tokens -= count_at(s, at);
    if (left->previous != NONE) EGO_TRY(add_pair(s, left->previous));
    if (left->next == NONE) return EGO_OK;
    s->symbols[left->next].previous = at;
    return add_pair(s, at);
}

/* Places come from left to right within a piece: in "aaa" the first two are joined. */
static ego_err join_everywhere(learning *s, const ego__pair *pair, int32_t joined) {
    for (int32_t i = pair->first; i != EGO__NOWHERE; i = s->pairs.places[i].next)
        EGO_TRY(join(s, pair, joined, s->pairs.places[i].at));
    ego__pairs_forget(&s->pairs, pair);
    return EGO_OK;
}

static uint32_t bytes_of(const learning *s, int32_t token) {
    return s->start[token + 1] - s->start[token];
}

static void close_token(learning *s) { s->start[++s->tokens] = (uint32_t)s->spelled.len; }

static void spell_joined(learning *s, const ego__pair *pair) {
    char bytes[EGO_BPE_LEARN_MAX_TOKEN];
    uint32_t left = bytes_of(s, pair->left), right = bytes_of(s, pair->right);
    memcpy(bytes, s->spelled.data + s->start[pair->left], left);
    memcpy(bytes + left, s->spelled.data + s->start[pair->right], right);
    ego_buf_append(&s->spelled, bytes, left + right);
    close_token(s);
}

/* ---- writing what comes out ---- */

/* Appends the token as the two files write it. */
static void put_written(const learning *s, int32_t token, ego_buf *line) {
    for (uint32_t i = s->start[token]; i < s->start[token + 1]; i++) {
        char name[4];
        ego_buf_append(line, name,
                       ego_utf8_encode(s->map.names[(unsigned char)s->spelled.data[i]], name));
    }
}

static void put_merge(learning *s, const ego__pair *pair) {
    put_written(s, pair->left, &s->to->merges);
    ego_buf_char(&s->to->merges, ' ');
    put_written(s, pair->right, &s->to->merges);
    ego_buf_char(&s->to->merges, '\n');
}

static void put_member(ego_buf *vocab, const char *token, size_t id) {
    ego_buf_json_key(vocab, token);
    ego_buf_printf(vocab, "%zu", id);
}

static ego_err put_vocab(learning *s) {
    ego_buf *vocab = &s->to->vocab, written = {0};
    ego_buf_char(vocab, '{');
    for (size_t i = 0; i < FIRST_ID; i++) put_member(vocab, ego__special_text[i], i);
    for (size_t i = 0; i < s->tokens; i++) {
        ego_buf_clear(&written);
        put_written(s, (int32_t)i, &written);
        if (ego_buf_err(&written) != EGO_OK) break;
        put_member(vocab, written.data, FIRST_ID + i);
    }
    put_member(vocab, ego__special_text[EGO__MASK], FIRST_ID + s->tokens);
    ego_buf_text(vocab, "}\n");
    s->to->tokens = FIRST_ID + s->tokens + 1;
    ego_err err = ego_buf_err(&written);
    ego_buf_release(&written);
    EGO_TRY(err);
    EGO_TRY(ego_buf_err(vocab));
    if (vocab->len > EGO_BPE_MAX_FILE || s->to->merges.len > EGO_BPE_MAX_FILE)
        return ego_fail(EGO_EINPUT, "%zu tokens: their files would have more than %d bytes",
                        s->to->tokens, EGO_BPE_MAX_FILE);
    return EGO_OK;
}

/* ---- learning ---- */

/* Tokens 0…255 in the order of the characters that stand for bytes; numbers[byte] is its token. */
static void make_byte_tokens(learning *s, int32_t numbers[256]) {
    for (unsigned c = 0; c < EGO__BYTE_NAMES_END; c++) {
        if (s->map.bytes[c] == NONE) continue;
        numbers[s->map.bytes[c]] = (int32_t)s->tokens;
        ego_buf_char(&s->spelled, (char)s->map.bytes[c]);
        close_token(s);
    }
}

static ego_err make_symbols(learning *s) {
    int32_t numbers[256];
    make_byte_tokens(s, numbers);
    const ego_bpe_learner *from = s->from;
    for (size_t k = 0; k < from->count; k++) {
        const piece *p = &from->pieces[k];
        int32_t first = (int32_t)p->start, last = first + (int32_t)p->bytes - 1;
        for (int32_t at = first; at <= last; at++)
            s->symbols[at] = (symbol){.token = numbers[(unsigned char)from->text.data[at]],
                                      .previous = at > first ? at - 1 : NONE,
                                      .next = at < last ? at + 1 : NONE,
                                      .piece = (int32_t)k};
        for (int32_t at = first; at < last; at++) EGO_TRY(add_pair(s, at));
    }
    return EGO_OK;
}

static ego_err learn(learning *s, size_t wanted, uint64_t least, const ego_progress *progress) {
    ego__pair pair;
    EGO_TRY(make_symbols(s));
    EGO_TRY(ego__pairs_settle(&s->pairs, least));
    ego_buf_text(&s->to->merges, "#version: 0.2\n");
    while (s->tokens < wanted && ego__pairs_take(&s->pairs, least, &pair)) {
        if (bytes_of(s, pair.left) + bytes_of(s, pair.right) > EGO_BPE_LEARN_MAX_TOKEN) continue;
        EGO_TRY(ego_buf_err(&s->spelled));
        put_merge(s, &pair);
        spell_joined(s, &pair);
        EGO_TRY(join_everywhere(s, &pair, (int32_t)s->tokens - 1));
        EGO_TRY(ego__pairs_settle(&s->pairs, least));
        if (s->tokens % REPORT_EVERY == 0 &&
            !ego_progress_tell(progress, "merges", s->tokens - 256, wanted - 256))
            return ego_fail(EGO_ECANCELLED, "learning stopped");
    }
    EGO_TRY(ego_buf_err(&s->spelled));
    EGO_TRY(ego_buf_err(&s->to->merges));
    return put_vocab(s);
}

ego_err ego_bpe_learn(const ego_bpe_learner *learner, const ego_bpe_learning *options,
                      ego_bpe_learned *learned) {
    if (options->tokens < EGO_BPE_BYTES_VOCAB || options->tokens > EGO_BPE_MAX_TOKENS)
        return ego_fail(EGO_EINPUT, "a vocabulary of %d to %d tokens expected, found %zu",
                        EGO_BPE_BYTES_VOCAB, EGO_BPE_MAX_TOKENS, options->tokens);
    size_t symbols = learner->text.len, wanted = options->tokens - FIRST_ID - 1;
    learning s = {.from = learner, .text_tokens = learner->bytes, .to = learned};
    ego_err err;
    ego__byte_names_make(&s.map);
    EGO_TRY_OUT(ego__pairs_init(&s.pairs));
    s.symbols = malloc((symbols ? symbols : 1) * sizeof *s.symbols);
    s.start = calloc(wanted + 1, sizeof *s.start);
    if (!s.symbols || !s.start) {
        err = no_memory(learner);
        goto out;
    }
    EGO_TRY_OUT(learn(&s, wanted, options->least_count ? options->least_count : EGO_BPE_LEARN_LEAST,
                      options->progress));
    learned->texts = learner->texts;
    learned->bytes = learner->bytes;
    learned->pieces = learner->count;
    learned->text_tokens = s.text_tokens;
out:
    if (err != EGO_OK) ego_bpe_learned_release(learned);
    ego__pairs_release(&s.pairs);
    ego_buf_release(&s.spelled);
    free(s.symbols);
    free(s.start);
    return err;
}

void ego_bpe_learned_release(ego_bpe_learned *learned) {
    ego_buf_release(&learned->vocab);
    ego_buf_release(&learned->merges);
    *learned = (ego_bpe_learned){0};
}

/* ---- files ---- */

static ego_err write_temporary(const char *directory, const char *name, const ego_buf *contents,
                               ego_outfile *file) {
    ego_buf path = {0};
    ego_buf_printf(&path, "%s/%s", directory, name);
    ego_err err = ego_buf_err(&path);
    if (err == EGO_OK) err = ego_outfile_open(path.data, file);
    if (err == EGO_OK && (fwrite(contents->data, 1, contents->len, file->stream) < contents->len ||
                          fflush(file->stream) != 0))
        err = ego_fail(EGO_EIO, "%s: cannot be written: %s", path.data, strerror(errno));
    ego_buf_release(&path);
    return err;
}

ego_err ego_bpe_learned_write(const ego_bpe_learned *learned, const char *directory) {
    ego_outfile vocab = {0}, merges = {0};
    ego_err err;
    EGO_TRY_OUT(ego_make_directory(directory));
    EGO_TRY_OUT(write_temporary(directory, "vocab.json", &learned->vocab, &vocab));
    EGO_TRY_OUT(write_temporary(directory, "merges.txt", &learned->merges, &merges));
    EGO_TRY_OUT(ego_outfile_commit(&merges));
    EGO_TRY_OUT(ego_outfile_commit(&vocab));
out:
    ego_outfile_abort(&vocab);
    ego_outfile_abort(&merges);
    return err;
}
