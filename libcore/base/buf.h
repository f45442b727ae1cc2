/* A growable byte string, and JSON text written into it.
 *
 * `data` is always NUL-terminated once anything was appended (the NUL is not counted in `len`).
 * Running out of memory is sticky: further appends do nothing, ego_buf_err() says so once at the end.
 */
#ifndef EGO_BASE_BUF_H
#define EGO_BASE_BUF_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ego_buf {
    char *data;
    size_t len, cap;
    bool failed;
} ego_buf; /* {0} is an empty buffer */

void ego_buf_release(ego_buf *buf); /* frees and empties; safe on {0} */
void ego_buf_clear(ego_buf *buf);   /* empties, keeps the memory */

void ego_buf_append(ego_buf *buf, const void *bytes, size_t n);
void ego_buf_text(ego_buf *buf, const char *text);
void ego_buf_char(ego_buf *buf, char c);
void ego_buf_printf(ego_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* JSON pieces. Strings may hold any bytes: invalid UTF-8 becomes U+FFFD, so the output is always JSON.
 * Numbers are written with a point in any locale; the shortest text that reads back as the same value
 * (as double, or as float for ego_buf_json_float); NaN and infinities become null. */
void ego_buf_json_string(ego_buf *buf, const char *text, size_t n);
void ego_buf_json_double(ego_buf *buf, double value);
void ego_buf_json_float(ego_buf *buf, float value);
/* "key": with a comma before it unless the last byte opens an object or array. */
void ego_buf_json_key(ego_buf *buf, const char *key);

ego_err ego_buf_err(const ego_buf *buf); /* EGO_OK or EGO_ENOMEM */

#endif
