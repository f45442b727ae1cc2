#include "text/vocab.h"

#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const ego__special_text[EGO__SPECIALS] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>"};

enum { NONE = -1 };

/* ---- GPT-2's names for bytes ---- */

static bool is_visible(unsigned byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

void ego__byte_names_make(ego__byte_names *map) {
    uint32_t next = 0x100;
    for (unsigned c = 0; c < EGO__BYTE_NAMES_END; c++) map->bytes[c] = NONE;
    for (unsigned byte = 0; byte < 256; byte++) {
        map->names[byte] = is_visible(byte) ? byte : next++;
        map->bytes[map->names[byte]] = (int)byte;
    }
}

/* ---- reading ---- */

typedef struct entry {
    const char *text; /* as vocab.json writes it; NULL: no token has this id */
    size_t n;
} entry;

typedef struct reader {
    const char *vocab_name, *merges_name; /* for messages */
    ego_json *vocab;
    entry *entries; /* one per id */
    int32_t *ids;   /* hash table of the entries; NONE where free */
    size_t slots;
    ego__byte_names map;
    ego_bpe *bpe;
} reader;

static ego_err out_of_memory(const reader *r) {
    return ego_fail(EGO_ENOMEM, "%s: out of memory for %zu tokens", r->vocab_name, r->bpe->count);
}

/* The slot of the text a·b, or the free one where it would stand. */
static size_t slot_of(const reader *r, const char *a, size_t na, const char *b, size_t nb) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < na; i++) hash = (hash ^ (unsigned char)a[i]) * 0x100000001b3u;
    for (size_t i = 0; i < nb; i++) hash = (hash ^ (unsigned char)b[i]) * 0x100000001b3u;
    size_t slot = (size_t)ego_rng_mix(hash) & (r->slots - 1);
    for (; r->ids[slot] != NONE; slot = (slot + 1) & (r->slots - 1)) {
        const entry *e = &r->entries[r->ids[slot]];
        if (e->n == na + nb && !memcmp(e->text, a, na) && !memcmp(e->text + na, b, nb)) break;
    }
    return slot;
}

static int32_t id_of(const reader *r, const char *text, size_t n) {
    return r->ids[slot_of(r, text, n, "", 0)];
}

static size_t power_of_two_over(size_t n) {
    size_t power = 16;
    while (power <= n) power *= 2;
    return power;
}

static ego_err check_member(const reader *r, const ego_json *member, size_t *largest) {
    int64_t id;
    const char *key = ego_json_key(member);
    if (!*key) return ego_fail(EGO_EFORMAT, "%s: an empty token", r->vocab_name);
    if (!ego_json_integer(member, &id) || id < 0 || id >= EGO_BPE_MAX_TOKENS)
        return ego_fail(EGO_EFORMAT, "%s: token '%.40s': an id from 0 to %d expected, found %s%s",
                        r->vocab_name, key, EGO_BPE_MAX_TOKENS - 1, ego_json_kind(member),
                        ego_json_integer(member, &id) ? " outside" : "");
    if ((size_t)id > *largest) *largest = (size_t)id;
    return EGO_OK;
}

static ego_err add_member(reader *r, const ego_json *member) {
    int64_t id = 0;
    ego_json_integer(member, &id);
    entry e = {ego_json_key(member), strlen(ego_json_key(member))};
    if (r->entries[id].text)
        return ego_fail(EGO_EFORMAT, "%s: tokens '%.40s' and '%.40s' have the same id %lld",
                        r->vocab_name, r->entries[id].text, e.text, (long long)id);
    size_t slot = slot_of(r, e.text, e.n, "", 0);
    if (r->ids[slot] != NONE)
        return ego_fail(EGO_EFORMAT, "%s: token '%.40s' stands there twice", r->vocab_name, e.text);
    r->entries[id] = e;
    r->ids[slot] = (int32_t)id;
    return EGO_OK;
}

static ego_err read_vocab(reader *r, const char *text, size_t n) {
    ego_err err = ego_json_parse(text, n, &r->vocab);
    if (err != EGO_OK) return ego_fail_context(err, "%s", r->vocab_name);
    if (!ego_json_is_object(r->vocab) || !ego_json_first(r->vocab))
        return ego_fail(EGO_EFORMAT, "%s: an object {\"token\": id, …} expected, found %s",
                        r->vocab_name,
                        ego_json_is_object(r->vocab) ? "an empty one" : ego_json_kind(r->vocab));
    size_t largest = 0, members = 0;
    for (const ego_json *m = ego_json_first(r->vocab); m; m = ego_json_next(m), members++)
        EGO_TRY(check_member(r, m, &largest));
    r->bpe->count = largest + 1;
    r->slots = power_of_two_over(2 * members);
    r->entries = calloc(r->bpe->count, sizeof *r->entries);
    r->ids = malloc(r->slots * sizeof *r->ids);
    if (!r->entries || !r->ids) return out_of_memory(r);
    for (size_t i = 0; i < r->slots; i++) r->ids[i] = NONE;
    for (const ego_json *m = ego_json_first(r->vocab); m; m = ego_json_next(m))
        EGO_TRY(add_member(r, m));
    return EGO_OK;
}

/* Appends what the token stands for: bytes when all its characters name bytes, else itself. */
static size_t put_bytes(const ego__byte_names *map, entry e, char *out) {
    size_t n = 0;
    for (size_t i = 0, width; i < e.n; i += width) {
        uint32_t c;
        width = ego_utf8_decode(e.text + i, e.n - i, &c);
        if (!width || c >= EGO__BYTE_NAMES_END || map->bytes[c] == NONE) {
            memcpy(out, e.text, e.n);
            return e.n;
        }
        out[n++] = (char)map->bytes[c];
    }
    return n;
}

static ego_err fill_tokens(reader *r) {
    ego_bpe *bpe = r->bpe;
    size_t most = bpe->count; /* a NUL each; no token is longer than it is written */
    for (size_t i = 0; i < bpe->count; i++) most += r->entries[i].n;
    bpe->start = malloc((bpe->count + 1) * sizeof *bpe->start);
    bpe->bytes = malloc(most);
    if (!bpe->start || !bpe->bytes) return out_of_memory(r);
    size_t at = 0;
    for (size_t i = 0; i < bpe->count; i++) {
        bpe->start[i] = (uint32_t)at;
        at += put_bytes(&r->map, r->entries[i], bpe->bytes + at);
        bpe->bytes[at++] = 0;
    }
    bpe->start[bpe->count] = (uint32_t)at;
    return EGO_OK;
}

static ego_err find_bytes_and_specials(reader *r) {
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[4];
        size_t n = ego_utf8_encode(r->map.names[byte], name);
        r->bpe->byte_id[byte] = id_of(r, name, n);
        if (r->bpe->byte_id[byte] == NONE)
            return ego_fail(EGO_EFORMAT, "%s: '%.*s', the token of byte 0x%02X, is missing",
                            r->vocab_name, (int)n, name, byte);
    }
    for (int k = 0; k < EGO__SPECIALS; k++) {
        r->bpe->special[k] = id_of(r, ego__special_text[k], strlen(ego__special_text[k]));
        if (r->bpe->special[k] == NONE && k != EGO__UNK && k != EGO__MASK)
            return ego_fail(EGO_EFORMAT, "%s: the token '%s' is missing", r->vocab_name,
                            ego__special_text[k]);
    }
    return EGO_OK;
}

/* ---- merges ---- */

static ego__merge *merge_slot(const ego_bpe *bpe, int32_t left, int32_t right) {
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t slot = (size_t)ego_rng_mix(pair) & (bpe->slots - 1);
    while (bpe->merges[slot].left != NONE &&
           (bpe->merges[slot].left != left || bpe->merges[slot].right != right))
        slot = (slot + 1) & (bpe->slots - 1);
    return &bpe->merges[slot];
}

const ego__merge *ego__merge_find(const ego_bpe *bpe, int32_t left, int32_t right) {
    const ego__merge *merge = merge_slot(bpe, left, right);
    return merge->left == NONE ? NULL : merge;
}

/* One line, "left right", without its end. */
static ego_err add_merge(reader *r, const char *line, size_t n, size_t number, uint32_t rank) {
    const char *blank = memchr(line, ' ', n);
    size_t left = blank ? (size_t)(blank - line) : 0, right = blank ? n - left - 1 : 0;
    if (!left || !right || memchr(blank + 1, ' ', right))
        return ego_fail(EGO_EFORMAT,
                        "%s line %zu: two tokens with one blank between expected, found '%.*s'",
                        r->merges_name, number, (int)(n < 60 ? n : 60), line);
    ego__merge merge = {.left = id_of(r, line, left),
                        .right = id_of(r, blank + 1, right),
                        .rank = rank,
                        .joined = r->ids[slot_of(r, line, left, blank + 1, right)]};
    if (merge.left == NONE || merge.right == NONE || merge.joined == NONE)
        return ego_fail(EGO_EFORMAT, "%s line %zu: '%.*s': %s is not in the vocabulary",
                        r->merges_name, number, (int)(n < 60 ? n : 60), line,
                        merge.left == NONE    ? "the first"
                        : merge.right == NONE ? "the second"
                                              : "the two joined");
    ego__merge *slot = merge_slot(r->bpe, merge.left, merge.right);
    if (slot->left != NONE)
        return ego_fail(EGO_EFORMAT, "%s line %zu: '%.*s' is already merge %u", r->merges_name,
                        number, (int)(n < 60 ? n : 60), line, slot->rank + 1);
    *slot = merge;
    return EGO_OK;
}

static ego_err read_merges(reader *r, const char *text, size_t n) {
    size_t lines = 1;
    for (const char *p = text; n && (p = memchr(p, '\n', n - (size_t)(p - text))) != NULL; p++)
        lines++;
    r->bpe->slots = power_of_two_over(2 * lines);
    r->bpe->merges = malloc(r->bpe->slots * sizeof *r->bpe->merges);
    if (!r->bpe->merges) return ego_fail(EGO_ENOMEM, "%s: out of memory", r->merges_name);
    for (size_t i = 0; i < r->bpe->slots; i++) r->bpe->merges[i] = (ego__merge){.left = NONE};
    uint32_t rank = 0;
    for (size_t i = 0, number = 1; i < n; number++) {
        const char *line = text + i, *end = memchr(line, '\n', n - i);
        size_t length = end ? (size_t)(end - line) : n - i;
        i += length + 1;
        if (length && line[length - 1] == '\r') length--;
        if (length == 0 || (length >= 8 && !memcmp(line, "#version", 8))) continue;
        EGO_TRY(add_merge(r, line, length, number, rank++));
    }
    return EGO_OK;
}

static ego_err build(const char *vocab_name, const char *vocab, size_t vocab_bytes,
                     const char *merges_name, const char *merges, size_t merges_bytes,
                     ego_bpe **bpe) {
    reader r = {.vocab_name = vocab_name, .merges_name = merges_name};
    ego_err err;
    if (vocab_bytes > EGO_BPE_MAX_FILE || merges_bytes > EGO_BPE_MAX_FILE)
        return ego_fail(EGO_EFORMAT, "%s: at most %d bytes expected",
                        vocab_bytes > EGO_BPE_MAX_FILE ? vocab_name : merges_name,
                        EGO_BPE_MAX_FILE);
    r.bpe = calloc(1, sizeof *r.bpe);
    if (!r.bpe) return ego_fail(EGO_ENOMEM, "%s: out of memory", vocab_name);
    ego__byte_names_make(&r.map);
    EGO_TRY_OUT(read_vocab(&r, vocab, vocab_bytes));
    EGO_TRY_OUT(fill_tokens(&r));
    EGO_TRY_OUT(find_bytes_and_specials(&r));
    EGO_TRY_OUT(read_merges(&r, merges, merges_bytes));
    *bpe = r.bpe;
    r.bpe = NULL;
out:
    ego_json_free(r.vocab);
    free(r.entries);
    free(r.ids);
    ego_bpe_free(r.bpe);
    return err;
}

/* ---- the three ways to make one ---- */

ego_err ego_bpe_from_memory(const char *vocab, size_t vocab_bytes, const char *merges,
                            size_t merges_bytes, ego_bpe **bpe) {
    return build("vocab.json", vocab, vocab_bytes, "merges.txt", merges, merges_bytes, bpe);
}

ego_err ego_bpe_load(const char *directory, ego_bpe **bpe) {
    ego_buf vocab_path = {0}, merges_path = {0}, vocab = {0}, merges = {0};
    ego_err err;
    ego_buf_printf(&vocab_path, "%s/vocab.json", directory);
    ego_buf_printf(&merges_path, "%s/merges.txt", directory);
    EGO_TRY_OUT(ego_buf_err(&vocab_path));
    EGO_TRY_OUT(ego_buf_err(&merges_path));
    EGO_TRY_OUT(ego_read_file(vocab_path.data, EGO_BPE_MAX_FILE, &vocab));
    EGO_TRY_OUT(ego_read_file(merges_path.data, EGO_BPE_MAX_FILE, &merges));
    err = build(vocab_path.data, vocab.data ? vocab.data : "", vocab.len, merges_path.data,
                merges.data ? merges.data : "", merges.len, bpe);
out:
    ego_buf_release(&vocab_path);
    ego_buf_release(&merges_path);
    ego_buf_release(&vocab);
    ego_buf_release(&merges);
    return err;
}

ego_err ego_bpe_new_bytes(size_t vocab_size, ego_bpe **out) {
    if (vocab_size < EGO_BPE_BYTES_VOCAB || vocab_size > EGO_BPE_MAX_TOKENS)
        return ego_fail(EGO_EINPUT, "bytes as tokens: a vocabulary of %d to %d expected, found %zu",
                        EGO_BPE_BYTES_VOCAB, EGO_BPE_MAX_TOKENS, vocab_size);
    ego_bpe *bpe = calloc(1, sizeof *bpe);
    if (!bpe) return ego_fail(EGO_ENOMEM, "out of memory for a vocabulary");
    *bpe = (ego_bpe){
        .count = vocab_size, .is_bytes = true, .special = {0, 1, 2, 3, (int32_t)vocab_size - 1}};
    bpe->start = malloc((vocab_size + 1) * sizeof *bpe->start);
    bpe->bytes = malloc(2 * vocab_size + 64); /* a byte and a NUL each, the special tokens longer */
    if (!bpe->start || !bpe->bytes) {
        ego_bpe_free(bpe);
        return ego_fail(EGO_ENOMEM, "out of memory for a vocabulary of %zu", vocab_size);
    }
    for (int byte = 0; byte < 256; byte++) bpe->byte_id[byte] = 4 + byte;
    uint32_t at = 0;
    for (size_t i = 0; i < vocab_size; i++) {
        bpe->start[i] = at;
        const char *special = i < 4                 ? ego__special_text[i]
                              : i + 1 == vocab_size ? ego__special_text[EGO__MASK]
                                                    : "";
        size_t n = strlen(special);
        memcpy(bpe->bytes + at, special, n);
        at += (uint32_t)n;
        if (i >= 4 && i < 260) bpe->bytes[at++] = (char)(i - 4);
        bpe->bytes[at++] = 0;
    }
    bpe->start[vocab_size] = at;
    *out = bpe;
    return EGO_OK;
}

void ego_bpe_free(ego_bpe *bpe) {
    if (!bpe) return;
    free(bpe->bytes);
    free(bpe->start);
    free(bpe->merges);
    free(bpe);
}
