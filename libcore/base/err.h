/* Errors: one code, one message, forwarded by hand.
 *
 * Every function that can fail returns ego_err: EGO_OK (0) or a code from the list below. The function
 * that notices the fault calls ego_fail(), which also keeps a message for the calling thread: what was
 * expected, what was found, where. Callers forward with EGO_TRY, or add where they were with
 * ego_fail_context(). Results come back through pointers and are untouched on failure unless the
 * header says otherwise. The library never prints, exits or aborts on bad data.
 */
#ifndef EGO_BASE_ERR_H
#define EGO_BASE_ERR_H

/* What libego shows to programs that link it; all else is hidden. */
#define EGO_API __attribute__((visibility("default")))

#define EGO_ERRORS(X)                                                                              \
    X(OK, "success")                                                                               \
    X(EIO, "a file could not be opened, read or written")                                          \
    X(EFORMAT, "a file's contents are not what its format says")                                   \
    X(EINPUT, "a record or value given by the user is wrong")                                      \
    X(EMODEL, "the model lacks a tensor or has one of the wrong shape")                            \
    X(ENOMEM, "out of memory")                                                                     \
    X(EUNSUPPORTED, "valid, but this build cannot do it")                                          \
    X(EEND, "no more records")                                                                     \
    X(ECANCELLED, "stopped by the user")                                                           \
    X(EDIVERGED, "training diverged: a loss, gradient or parameter is not finite or far too large")

typedef enum ego_err {
#define EGO_ERRORS_ENUM(name, text) EGO_##name,
    EGO_ERRORS(EGO_ERRORS_ENUM)
#undef EGO_ERRORS_ENUM
} ego_err;

/* ego_fail(code, format, …) keeps the formatted message for this thread (at most 1023 bytes) and is
 * `code`, which is evaluated once, after the message. ego_fail_context(code, format, …) puts "context: " before the message
 * that is kept. They are macros so that the compiler sees which code comes out, and that a constant one
 * is not EGO_OK. */
#define ego_fail(code, ...) (ego__keep_message(__VA_ARGS__), ego__code(code))
#define ego_fail_context(code, ...) (ego__keep_context(__VA_ARGS__), ego__code(code))

void ego__keep_message(const char *format, ...) __attribute__((format(printf, 1, 2), cold));
void ego__keep_context(const char *format, ...) __attribute__((format(printf, 1, 2), cold));
static inline ego_err ego__code(ego_err code) { return code; }

/* The message of this thread's latest failure; "" when there was none. Valid until the next failure. */
EGO_API const char *ego_err_message(void);

/* The meaning of a code, as in the list above. */
EGO_API const char *ego_err_text(ego_err code);

/* Forward a failure to the caller. */
#define EGO_TRY(expr)                                                                              \
    do {                                                                                           \
        ego_err ego_try_err_ = (expr);                                                             \
        if (ego_try_err_ != EGO_OK) return ego_try_err_;                                           \
    } while (0)

/* The same in functions that clean up at one `out:` label; `err` is their result. */
#define EGO_TRY_OUT(expr)                                                                          \
    do {                                                                                           \
        if ((err = (expr)) != EGO_OK) goto out;                                                    \
    } while (0)

#endif
