#include "text/split.h"

#include "base/utf8.h"
#include "text/unicode_table.h"

#include <string.h>

static int ascii_kind(unsigned char c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return LETTER;
    if (c >= '0' && c <= '9') return NUMBER;
    return c == ' ' || (c >= '\t' && c <= '\r') ? SPACE : OTHER;
}

static int unicode_kind(uint32_t c) {
    size_t low = 0, high = sizeof unicode_table / sizeof *unicode_table;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c > unicode_table[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == sizeof unicode_table / sizeof *unicode_table) return OTHER;
    return c >= unicode_table[low].first ? (int)unicode_table[low].kind : OTHER;
}

/* What the character at the start of text[0..n) is, and how many bytes it has; n > 0. */
static int kind_at(const char *text, size_t n, size_t *width) {
    unsigned char first = (unsigned char)text[0];
    uint32_t c;
    *width = 1;
    if (first < 0x80) return ascii_kind(first);
    size_t valid = ego_utf8_decode(text, n, &c);
    if (!valid) return OTHER;
    *width = valid;
    return unicode_kind(c);
}

/* The end of the run of one kind that begins at i. */
static size_t run_end(const char *text, size_t n, size_t i, int kind) {
    size_t width;
    while (i < n && kind_at(text + i, n - i, &width) == kind) i += width;
    return i;
}

static size_t contraction(const char *text, size_t n) {
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t length = strlen(endings[i]);
        if (n >= length && memcmp(text, endings[i], length) == 0) return length;
    }
    return 0;
}

/* White space before something else leaves its last character to that: a blank joins the word. */
static size_t space_piece(const char *text, size_t n) {
    size_t last = 0, i = 0, width;
    while (i < n && kind_at(text + i, n - i, &width) == SPACE) {
        last = i;
        i += width;
    }
    return i == n || last == 0 ? i : last;
}

size_t ego__split_next(const char *text, size_t n) {
    size_t length = text[0] == '\'' ? contraction(text, n) : 0, width;
    if (length) return length;
    size_t start = text[0] == ' ' && n > 1; /* the blank that a piece may begin with */
    int kind = kind_at(text + start, n - start, &width);
    if (kind == SPACE) return space_piece(text, n);
    return run_end(text, n, start + width, kind);
}

/* Where the last character of text[0..n) begins; n > 0. */
static size_t last_character(const char *text, size_t n) {
    for (size_t width = 1; width <= 4 && width <= n; width++) {
        uint32_t c;
        if (ego_utf8_decode(text + n - width, width, &c) == width) return n - width;
    }
    return n - 1;
}

size_t ego__trim_right(const char *text, size_t n) {
    while (n) {
        size_t at = last_character(text, n), width;
        if (kind_at(text + at, n - at, &width) != SPACE) break;
        n = at;
    }
    return n;
}
