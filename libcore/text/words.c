#include "text/words.h"

#include <stdlib.h>
#include <string.h>

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool all_space(const char *text, size_t n) {
    while (n > 0 && is_space(text[n - 1])) n--;
    return n == 0;
}

/* The token's bytes; its number where the vocabulary has none. */
static void append_token(const ego_bpe *bpe, int64_t id, ego_buf *text) {
    size_t bytes;
    const char *token = bpe ? ego_bpe_token(bpe, id, &bytes) : NULL;
    if (token)
        ego_buf_append(text, token, bytes);
    else
        ego_buf_printf(text, "%lld", (long long)id);
}

/* Whether this token begins another word than the one that `text` from `start` on is. */
static bool begins_word(const ego_bpe *bpe, int64_t id, int64_t before, const ego_buf *text,
                        size_t start) {
    size_t bytes;
    const char *token = bpe ? ego_bpe_token(bpe, id, &bytes) : NULL;
    if (!token || ego_bpe_is_special(bpe, id) || ego_bpe_is_special(bpe, before)) return true;
    if (!is_space(token[0])) return false;
    return !all_space(text->data + start,
                      text->len - start); /* blanks go with the word behind them */
}

/* White space around a word is not shown, unless there is nothing else. */
static const char *trim(char *text) {
    size_t n = strlen(text);
    if (all_space(text, n)) return text;
    while (is_space(text[n - 1])) text[--n] = '\0';
    while (is_space(*text)) text++;
    return text;
}

ego_err ego_words_of(const ego_bpe *bpe, const int64_t *ids, size_t count, ego_words *out) {
    ego_buf text = {0};
    ego_words w = {.at = calloc(count + 1, sizeof *w.at)};
    size_t *starts = calloc(count + 1, sizeof *starts);
    ego_err err =
        w.at && starts ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for %zu words", count);
    for (size_t i = 0; err == EGO_OK && i < count; i++) {
        if (i == 0 || begins_word(bpe, ids[i], ids[i - 1], &text, starts[w.n - 1])) {
            if (i > 0) ego_buf_char(&text, '\0');
            starts[w.n] = text.len;
            w.at[w.n++] = (ego_word){.first = i, .special = bpe && ego_bpe_is_special(bpe, ids[i])};
        }
        append_token(bpe, ids[i], &text);
        w.at[w.n - 1].end = i + 1;
        err = ego_buf_err(&text);
    }
    if (err == EGO_OK) {
        w.bytes = text.data;
        text = (ego_buf){0};
        for (size_t i = 0; i < w.n; i++) w.at[i].text = trim(w.bytes + starts[i]);
        *out = w;
    } else {
        free(w.at);
    }
    free(starts);
    ego_buf_release(&text);
    return err;
}

void ego_words_release(ego_words *w) {
    free(w->at);
    free(w->bytes);
    *w = (ego_words){0};
}
