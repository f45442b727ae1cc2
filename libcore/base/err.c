#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 1024 };
static _Thread_local char message[MESSAGE_BYTES];

void ego__keep_message(const char *format, ...) {
    char text[MESSAGE_BYTES]; /* not straight into `message`: it may be one of the arguments */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(message, text, sizeof message);
}

void ego__keep_context(const char *format, ...) {
    char text[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n >= 0 && n < MESSAGE_BYTES) snprintf(text + n, sizeof text - (size_t)n, ": %s", message);
    memcpy(message, text, sizeof message);
}

const char *ego_err_message(void) { return message; }

const char *ego_err_text(ego_err code) {
    switch (code) {
#define EGO_ERRORS_TEXT(name, text)                                                                \
    case EGO_##name: return text;
        EGO_ERRORS(EGO_ERRORS_TEXT)
#undef EGO_ERRORS_TEXT
    }
    return "unknown error";
}
