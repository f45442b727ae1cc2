#include "base/buf.h"

#include "base/utf8.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ego_buf_release(ego_buf *buf) {
    free(buf->data);
    *buf = (ego_buf){0};
}

void ego_buf_clear(ego_buf *buf) {
    buf->len = 0;
    if (buf->data) buf->data[0] = 0;
}

static bool reserve(ego_buf *buf, size_t more) {
    if (buf->failed) return false;
    if (more >= SIZE_MAX / 2 - buf->len) return buf->failed = true, false;
    size_t need = buf->len + more + 1;
    if (need <= buf->cap) return true;
    size_t cap = buf->cap ? buf->cap : 64;
    while (cap < need) cap += cap / 2 + 16;
    char *data = realloc(buf->data, cap);
    if (!data) return buf->failed = true, false;
    buf->data = data;
    buf->cap = cap;
    return true;
}

void ego_buf_append(ego_buf *buf, const void *bytes, size_t n) {
    if (!reserve(buf, n)) return;
    if (n) memcpy(buf->data + buf->len, bytes, n);
    buf->len += n;
    buf->data[buf->len] = 0;
}

void ego_buf_text(ego_buf *buf, const char *text) { ego_buf_append(buf, text, strlen(text)); }
void ego_buf_char(ego_buf *buf, char c) { ego_buf_append(buf, &c, 1); }

void ego_buf_printf(ego_buf *buf, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) {
        buf->failed = true;
    } else if (reserve(buf, (size_t)n)) {
        vsnprintf(buf->data + buf->len, (size_t)n + 1, format, again);
        buf->len += (size_t)n;
    }
    va_end(again);
}

void ego_buf_json_string(ego_buf *buf, const char *text, size_t n) {
    ego_buf_char(buf, '"');
    for (size_t i = 0; i < n;) {
        uint32_t c;
        size_t width = ego_utf8_decode(text + i, n - i, &c);
        if (!width) {
            ego_buf_text(buf, "\xEF\xBF\xBD");
            i++;
            continue;
        }
        if (c == '"' || c == '\\') {
            ego_buf_char(buf, '\\');
            ego_buf_char(buf, (char)c);
        } else if (c == '\n') {
            ego_buf_text(buf, "\\n");
        } else if (c == '\t') {
            ego_buf_text(buf, "\\t");
        } else if (c < 0x20 || c == 0x7F) {
            ego_buf_printf(buf, "\\u%04x", c);
        } else {
            ego_buf_append(buf, text + i, width);
        }
        i += width;
    }
    ego_buf_char(buf, '"');
}

/* The locale's decimal point, which a host program may have changed, becomes '.'. */
static void append_number(ego_buf *buf, char *text) {
    const char *point = localeconv()->decimal_point;
    char *at = point[0] == '.' ? NULL : strstr(text, point);
    if (at) {
        *at = '.';
        memmove(at + 1, at + strlen(point), strlen(at + strlen(point)) + 1);
    }
    ego_buf_text(buf, text);
}

void ego_buf_json_double(ego_buf *buf, double value) {
    char text[40];
    if (!isfinite(value)) {
        ego_buf_text(buf, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    append_number(buf, text);
}

void ego_buf_json_float(ego_buf *buf, float value) {
    char text[40];
    if (!isfinite(value)) {
        ego_buf_text(buf, "null");
        return;
    }
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) break;
    }
    append_number(buf, text);
}

void ego_buf_json_key(ego_buf *buf, const char *key) {
    char last = buf->len ? buf->data[buf->len - 1] : '{';
    if (last != '{' && last != '[') ego_buf_char(buf, ',');
    ego_buf_json_string(buf, key, strlen(key));
    ego_buf_char(buf, ':');
}

ego_err ego_buf_err(const ego_buf *buf) {
    return buf->failed ? ego_fail(EGO_ENOMEM, "out of memory in a text buffer of %zu bytes", buf->len)
                       : EGO_OK;
}
