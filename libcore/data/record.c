#include "data/record.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bit number in EGO_RECORD_… → member. */
static const char *const own_names[6] = {"video", "start", "end", "frames", "text", "tokens"};

/* Members that every output line may have, whatever the tool. */
static const char *const always_written[] = {"error", "provenance", NULL};

static bool listed(const char *const *names, const char *name) {
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0) return true;
    return false;
}

static int own_index(const char *name) {
    for (int i = 0; i < 6; i++)
        if (strcmp(own_names[i], name) == 0) return i;
    return -1;
}

static ego_err out_of_memory(const char *file, uint64_t line) {
    return ego_fail(EGO_ENOMEM, "%s:%" PRIu64 ": out of memory", file, line);
}

/* ---- the values of the record's own members
 * ------------------------------------------------------ */

static ego_err expected(const char *member, const char *what, const ego_json *found) {
    return ego_fail(EGO_EINPUT, "\"%s\": expected %s, found %s", member, what,
                    ego_json_kind(found));
}

static ego_err read_string(const ego_json *value, const char *member, const char **text) {
    if (!ego_json_string(value, text)) return expected(member, "a string", value);
    return EGO_OK;
}

static ego_err read_path(const ego_json *value, const char *member, const char **path) {
    EGO_TRY(read_string(value, member, path));
    return **path ? EGO_OK : ego_fail(EGO_EINPUT, "\"%s\": expected a path, found \"\"", member);
}

static ego_err read_time(const ego_json *value, const char *member, double *seconds) {
    if (!ego_json_number(value, seconds)) return expected(member, "seconds, a number", value);
    if (!isfinite(*seconds) || *seconds < 0)
        return ego_fail(EGO_EINPUT, "\"%s\": expected seconds from 0 up, found %g", member,
                        *seconds);
    return EGO_OK;
}

static ego_err read_tokens(const ego_json *value, ego_record *r) {
    if (!ego_json_is_array(value)) return expected("tokens", "an array of integers", value);
    size_t n = ego_json_count(value), i = 0;
    if (n == 0)
        return ego_fail(EGO_EINPUT, "\"tokens\": expected at least one, found an empty array");
    r->token_memory = malloc(n * sizeof *r->token_memory);
    if (!r->token_memory) return ego_fail(EGO_ENOMEM, "out of memory for %zu tokens", n);
    for (const ego_json *x = ego_json_first(value); x; x = ego_json_next(x), i++) {
        int64_t *token = &r->token_memory[i];
        if (!ego_json_integer(x, token) || *token < 0)
            return ego_fail(EGO_EINPUT,
                            "\"tokens\": expected integers from 0 up, found %s at index %zu",
                            ego_json_kind(x), i);
    }
    r->tokens = r->token_memory;
    r->n_tokens = n;
    return EGO_OK;
}

static ego_err read_own(int which, const ego_json *value, ego_record *r) {
    switch (1u << which) {
    case EGO_RECORD_VIDEO: return read_path(value, "video", &r->video);
    case EGO_RECORD_START: return read_time(value, "start", &r->start);
    case EGO_RECORD_END: return read_time(value, "end", &r->end);
    case EGO_RECORD_FRAMES: return read_path(value, "frames", &r->frames);
    case EGO_RECORD_TEXT: return read_string(value, "text", &r->text);
    default: return read_tokens(value, r);
    }
}

/* ---- members
 * ------------------------------------------------------------------------------------- */

static ego_err check_twice(const ego_json *member) {
    const char *key = ego_json_key(member);
    for (const ego_json *x = ego_json_next(member); x; x = ego_json_next(x))
        if (strcmp(ego_json_key(x), key) == 0)
            return ego_fail(EGO_EINPUT, "member \"%s\" is given twice", key);
    return EGO_OK;
}

static ego_err read_id(const ego_json *value, ego_json_span span, ego_record *r) {
    const char *text;
    double number;
    if (!ego_json_string(value, &text) && !ego_json_number(value, &number))
        return expected("id", "a string or a number", value);
    char *id = strndup(r->source + span.value, span.value_bytes);
    if (!id) return ego_fail(EGO_ENOMEM, "out of memory");
    free(r->id);
    r->id = id;
    return EGO_OK;
}

static ego_err read_member(const ego_json *member, ego_json_span span,
                           const ego_record_rules *rules, ego_record *r) {
    const char *key = ego_json_key(member);
    EGO_TRY(check_twice(member));
    if (strcmp(key, "id") == 0) return EGO_OK; /* read before all others */
    if (listed(rules->reads, key)) return EGO_OK;
    int which = own_index(key);
    if (which >= 0) {
        r->has |= 1u << which;
        r->own[which] = span;
        return read_own(which, member, r);
    }
    if (listed(rules->writes, key) || listed(always_written, key))
        return ego_fail(EGO_EINPUT,
                        "member \"%s\" would collide with the output's \"%s\": rename it", key,
                        key);
    r->extras[r->n_extras++] = span;
    return EGO_OK;
}

static ego_err check_together(const ego_record *r) {
    if (r->video && r->frames)
        return ego_fail(EGO_EINPUT, "expected \"video\" or \"frames\", found both");
    if (!r->video && (r->has & (EGO_RECORD_START | EGO_RECORD_END)))
        return ego_fail(EGO_EINPUT,
                        "\"start\" and \"end\" are times in a \"video\", and there is none");
    if (r->text && r->tokens)
        return ego_fail(EGO_EINPUT, "expected \"text\" or \"tokens\", found both");
    if ((r->has & EGO_RECORD_END) && !(r->start < r->end))
        return ego_fail(EGO_EINPUT, "expected \"start\" before \"end\", found %g and %g", r->start,
                        r->end);
    return EGO_OK;
}

static ego_err read_members(size_t n, const ego_record_rules *rules, ego_record *r) {
    if (!ego_json_is_object(r->root))
        return ego_fail(EGO_EFORMAT, "expected a JSON object, found %s", ego_json_kind(r->root));
    size_t count = ego_json_count(r->root), i = 0;
    if (count > EGO_RECORD_MAX_MEMBERS)
        return ego_fail(EGO_EINPUT, "expected at most %d members, found %zu",
                        EGO_RECORD_MAX_MEMBERS, count);
    ego_json_span *spans = malloc((count + 1) * sizeof *spans);
    r->extras = malloc((count + 1) * sizeof *r->extras);
    ego_err err = EGO_OK;
    if (!spans || !r->extras) EGO_TRY_OUT(ego_fail(EGO_ENOMEM, "out of memory"));
    if (ego_json_spans(r->source, n, spans, count) != count)
        EGO_TRY_OUT(ego_fail(EGO_EFORMAT, "not valid JSON"));

    /* The id first: the error line of a record with a bad member should bear its name. */
    for (const ego_json *m = ego_json_first(r->root); m; m = ego_json_next(m), i++)
        if (strcmp(ego_json_key(m), "id") == 0) {
            EGO_TRY_OUT(read_id(m, spans[i], r));
            break;
        }
    i = 0;
    for (const ego_json *m = ego_json_first(r->root); m; m = ego_json_next(m), i++)
        EGO_TRY_OUT(read_member(m, spans[i], rules, r));
    r->json = r->root;
    err = check_together(r);
out:
    free(spans);
    return err;
}

/* ---- records
 * ------------------------------------------------------------------------------------- */

static ego_err print_text(char **text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static ego_err print_text(char **text, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *memory = n < 0 ? NULL : malloc((size_t)n + 1);
    if (!memory) return ego_fail(EGO_ENOMEM, "out of memory");
    va_start(args, format);
    vsnprintf(memory, (size_t)n + 1, format, args);
    va_end(args);
    *text = memory;
    return EGO_OK;
}

/* What is carried byte for byte must be fit for JSON output. */
static ego_err check_utf8(const char *text, size_t n) {
    for (size_t i = 0, width; i < n; i += width) {
        uint32_t c;
        width = ego_utf8_decode(text + i, n - i, &c);
        if (!width)
            return ego_fail(EGO_EFORMAT, "expected UTF-8, found byte 0x%02x at offset %zu",
                            (unsigned char)text[i], i);
    }
    return EGO_OK;
}

ego_err ego_record_parse(const char *text, size_t n, const char *file, uint64_t line,
                         uint64_t number, const ego_record_rules *rules, ego_record *r) {
    static const ego_record_rules none = {NULL, NULL};
    *r = (ego_record){0};
    EGO_TRY(print_text(&r->label, "%s:%" PRIu64, file, line));
    EGO_TRY(print_text(&r->id, "%" PRIu64, number));
    r->source = malloc(n + 1);
    if (!r->source) return out_of_memory(file, line);
    memcpy(r->source, text, n);
    r->source[n] = 0;

    EGO_TRY(check_utf8(r->source, n));
    ego_err err = ego_json_parse(r->source, n, &r->root);
    return err == EGO_OK ? read_members(n, rules ? rules : &none, r) : err;
}

void ego_record_release(ego_record *r) {
    free(r->label);
    free(r->id);
    free(r->source);
    free(r->extras);
    ego_json_free(r->root);
    free(r->token_memory);
    free(r->path_memory);
    *r = (ego_record){0};
}

/* ---- media arguments
 * ----------------------------------------------------------------------------- */

/* A JSON member "name":value into the record's source, so that begin and close find it there. */
static void source_member(ego_record *r, ego_buf *source, int which, const char *value, size_t n) {
    ego_json_span *span = &r->own[which];
    if (source->len) ego_buf_char(source, ',');
    span->key = source->len;
    ego_buf_json_string(source, own_names[which], strlen(own_names[which]));
    span->key_bytes = source->len - span->key;
    ego_buf_char(source, ':');
    span->value = source->len;
    ego_buf_append(source, value, n);
    span->value_bytes = source->len - span->value;
    r->has |= 1u << which;
}

/* Seconds to the microsecond, without zeros at the end and in any locale. */
static void append_seconds(ego_buf *out, double seconds) {
    double limit = 9e12; /* microseconds stay below 2^63 */
    uint64_t micro = (uint64_t)llround(fmin(fmax(seconds, 0), limit) * 1e6);
    ego_buf_printf(out, "%" PRIu64, micro / 1000000);
    unsigned rest = (unsigned)(micro % 1000000);
    if (!rest) return;
    char digits[8];
    int n = snprintf(digits, sizeof digits, "%06u", rest);
    while (n > 0 && digits[n - 1] == '0') n--;
    ego_buf_char(out, '.');
    ego_buf_append(out, digits, (size_t)n);
}

void ego_media_id(ego_buf *id, const char *path, double start, double end) {
    ego_buf_text(id, path);
    ego_buf_text(id, "#t=");
    append_seconds(id, start);
    ego_buf_char(id, ',');
    append_seconds(id, end);
}

static ego_err media_record(const char *path, bool window, double start, double end,
                            ego_record *r) {
    *r = (ego_record){.start = start, .end = end};
    ego_buf source = {0}, id = {0}, quoted = {0}, value = {0};
    ego_buf_json_string(&value, path, strlen(path));
    source_member(r, &source, 0, value.data ? value.data : "", value.len);
    if (window) {
        ego_buf_clear(&value);
        append_seconds(&value, start);
        source_member(r, &source, 1, value.data ? value.data : "", value.len);
        ego_buf_clear(&value);
        append_seconds(&value, end);
        source_member(r, &source, 2, value.data ? value.data : "", value.len);
        ego_media_id(&id, path, start, end);
    } else {
        ego_buf_text(&id, path);
    }
    ego_buf_json_string(&quoted, id.data ? id.data : "", id.len);
    bool failed = source.failed | id.failed | quoted.failed | value.failed;
    ego_buf_release(&value);
    r->source = source.data;
    r->label = id.data;
    r->id = quoted.data;
    r->video = r->path_memory = strdup(path);
    if (failed || !r->path_memory) {
        ego_record_release(r);
        return ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    }
    return EGO_OK;
}

ego_err ego_record_whole(const char *path, ego_record *record) {
    return media_record(path, false, 0, 0, record);
}

ego_err ego_record_window(const char *path, double start, double end, ego_record *record) {
    return media_record(path, true, start, end, record);
}

size_t ego_window_count(double duration, double window, double stride) {
    if (!(duration > window)) return 1;
    /* A tail shorter than a microsecond is rounding of the duration, not film. */
    double more = ceil((duration - window - 1e-6) / stride);
    return more < 1 ? 1 : more > 1e9 ? (size_t)1000000001 : (size_t)more + 1;
}

/* ---- output
 * -------------------------------------------------------------------------------------- */

void ego_record_begin(const ego_record *r, ego_buf *line) {
    ego_buf_text(line, "{\"id\":");
    ego_buf_text(line, r->id ? r->id : "null");
}

static void carry(const ego_record *r, ego_json_span span, ego_buf *line) {
    ego_buf_char(line, ',');
    ego_buf_append(line, r->source + span.key, span.key_bytes);
    ego_buf_char(line, ':');
    ego_buf_append(line, r->source + span.value, span.value_bytes);
}

void ego_record_carry(const ego_record *r, unsigned own, ego_buf *line) {
    for (int i = 0; i < 6; i++)
        if (r->has & own & 1u << i) carry(r, r->own[i], line);
}

void ego_record_close(const ego_record *r, unsigned own, ego_buf *line) {
    ego_record_carry(r, own, line);
    for (size_t i = 0; i < r->n_extras; i++) carry(r, r->extras[i], line);
    ego_buf_char(line, '}');
}

void ego_record_error(const ego_record *r, const char *message, ego_buf *line) {
    ego_record_begin(r, line);
    ego_buf_json_key(line, "error");
    ego_buf_json_string(line, message, strlen(message));
    ego_buf_char(line, '}');
}
