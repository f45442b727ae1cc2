/* Rows of separated values, cut the way pandas does: a field that begins with `"` runs to the next
 * single
 * `"` (two of them are one inside), elsewhere `"` is a character like others; rows end with \n, \r
 * or \r\n outside quotes; empty lines are passed over. Inside libego only.
 */
#ifndef EGO_FORMAT_CSV_H
#define EGO_FORMAT_CSV_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { EGO__CSV_MAX_FIELDS = 64 }; /* further ones are counted, not kept */

typedef struct ego__csv {
    const char *text;
    size_t n, at;
    char delimiter;
    size_t line;        /* where the row last read begins, from 1 */
    size_t line_behind; /* and the line after it */
    size_t count;       /* its fields */
    bool has_nul;       /* one of them holds a NUL byte: its text is cut there */
    size_t starts[EGO__CSV_MAX_FIELDS];
    ego_buf fields; /* their text, a NUL behind each */
} ego__csv;

void ego__csv_init(ego__csv *csv, const char *text, size_t n, char delimiter);
void ego__csv_release(ego__csv *csv);

/* The next row; EGO_EEND behind the last, EGO_EFORMAT when the text ends inside quotes. */
ego_err ego__csv_next(ego__csv *csv);

/* Field i of that row; "" when it has none. Valid until the next row. */
const char *ego__csv_field(const ego__csv *csv, size_t i);

/* Which field of that row, a header, is `name`; false when none is. */
bool ego__csv_find(const ego__csv *csv, const char *name, size_t *i);

#endif
