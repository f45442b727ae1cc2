/* The lines of tests/unit/data/bpe/lines.gz (tests/reference/check_tokenizer.py says how they are
 * stored and where they come from), for the tests of text/bpe. */
#ifndef EGO_TESTS_BPE_LINES_H
#define EGO_TESTS_BPE_LINES_H

#include <stdint.h>
#include <zlib.h>

#include "check.h"

#define BPE_DATA "tests/unit/data/bpe"

typedef struct bpe_line {
    char text[UINT16_MAX];
    unsigned text_bytes;
    uint16_t ids[UINT16_MAX];
    unsigned count;
} bpe_line;

static inline int read_u16(gzFile file, unsigned *value) {
    unsigned char b[2];
    if (gzread(file, b, 2) != 2) return 0;
    *value = b[0] | (unsigned)b[1] << 8;
    return 1;
}

/* False at the end of the file; a cut file fails a check. */
static inline int read_bpe_line(gzFile file, bpe_line *line) {
    if (!read_u16(file, &line->text_bytes)) return 0;
    CHECK(gzread(file, line->text, line->text_bytes) == (int)line->text_bytes);
    CHECK(read_u16(file, &line->count));
    for (unsigned i = 0; i < line->count; i++) {
        unsigned id = 0;
        CHECK(read_u16(file, &id));
        line->ids[i] = (uint16_t)id;
    }
    return 1;
}

#endif
