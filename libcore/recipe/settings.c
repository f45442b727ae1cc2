#include "recipe/settings.h"

#include "base/options.h"

#include <stdio.h>
#include <string.h>

const char *const ego_schedule_words[] = {"cosine", "linear", "constant", NULL};

_Static_assert(offsetof(ego_adamw, beta2) == offsetof(ego_adamw, beta1) + sizeof(double),
               "optim.betas are read as a pair");
_Static_assert(sizeof(ego_schedule_kind) == sizeof(unsigned), "words are kept as unsigned numbers");

static void *place(const ego_settings *s, const ego_setting *k) {
    return (char *)s->values + k->offset;
}

static const ego_setting *find(const ego_settings *s, const char *name) {
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->keys[i].name, name) == 0) return &s->keys[i];
    return NULL;
}

/* Whether some key is "name.…". */
static bool is_section(const ego_settings *s, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i < s->count; i++)
        if (strncmp(s->keys[i].name, name, n) == 0 && s->keys[i].name[n] == '.') return true;
    return false;
}

/* ---- reading --------------------------------------------------------------------------------- */

static ego_err wrong(const char *name, const char *expected, const ego_json *found) {
    return ego_fail(EGO_EINPUT, "configuration: %s: expected %s, found %s", name, expected,
                    ego_json_kind(found));
}

static ego_err read_text(const ego_settings *s, const ego_setting *k, const ego_json *node) {
    const char **text = place(s, k), *found;
    const char *expected = k->kind == EGO_SETTING_PATH ? "a path or null" : "a text or null";
    if (ego_json_is_null(node)) return *text = NULL, EGO_OK;
    if (!ego_json_string(node, &found)) return wrong(k->name, expected, node);
    if (!*found)
        return ego_fail(EGO_EINPUT, "configuration: %s: expected %s, found \"\"", k->name, expected);
    const char *kept = ego_arena_strdup(s->texts, found);
    if (!kept) return ego_fail(EGO_ENOMEM, "out of memory for the configuration");
    *text = kept;
    return EGO_OK;
}

static ego_err check_number(const ego_setting *k, double value) {
    if (value >= k->least && value <= k->most) return EGO_OK;
    return ego_fail(EGO_EINPUT, "configuration: %s: expected %.15g to %.15g, found %.15g", k->name,
                    k->least, k->most, value);
}

static ego_err read_pair(const ego_settings *s, const ego_setting *k, const ego_json *node) {
    double pair[2];
    const ego_json *first = ego_json_first(node), *second = first ? ego_json_next(first) : NULL;
    if (!ego_json_is_array(node) || ego_json_count(node) != 2 ||
        !ego_json_number(first, &pair[0]) || !ego_json_number(second, &pair[1]))
        return wrong(k->name, "two numbers", node);
    EGO_TRY(check_number(k, pair[0]));
    EGO_TRY(check_number(k, pair[1]));
    memcpy(place(s, k), pair, sizeof pair);
    return EGO_OK;
}

static ego_err read_word(const ego_settings *s, const ego_setting *k, const ego_json *node) {
    char expected[96] = "";
    const char *found;
    size_t n = 0;
    for (unsigned i = 0; k->words[i] && n < sizeof expected; i++) {
        const char *between = i == 0 ? "" : k->words[i + 1] ? ", " : " or ";
        n += (size_t)snprintf(expected + n, sizeof expected - n, "%s%s", between, k->words[i]);
    }
    if (!ego_json_string(node, &found)) return wrong(k->name, expected, node);
    for (unsigned i = 0; k->words[i]; i++) {
        if (strcmp(k->words[i], found) != 0) continue;
        memcpy(place(s, k), &i, sizeof i);
        return EGO_OK;
    }
    return ego_fail(EGO_EINPUT, "configuration: %s: expected %s, found '%s'", k->name, expected,
                    found);
}

static ego_err read_whole(const ego_settings *s, const ego_setting *k, const ego_json *node) {
    int64_t number;
    bool count = k->kind == EGO_SETTING_COUNT;
    if (count && ego_json_is_null(node)) return *(int64_t *)place(s, k) = 0, EGO_OK;
    if (!ego_json_integer(node, &number))
        return wrong(k->name, count ? "a whole number or null" : "a whole number", node);
    EGO_TRY(check_number(k, (double)number)); /* a count of 0 is written null */
    *(int64_t *)place(s, k) = number;
    return EGO_OK;
}

static ego_err read_number(const ego_settings *s, const ego_setting *k, const ego_json *node) {
    double number;
    if (!ego_json_number(node, &number)) return wrong(k->name, "a number", node);
    EGO_TRY(check_number(k, number));
    *(double *)place(s, k) = number;
    return EGO_OK;
}

static ego_err read_single(const ego_settings *s, const ego_setting *k, const ego_json *node) {
    double number;
    if (!ego_json_number(node, &number)) return wrong(k->name, "a number", node);
    EGO_TRY(check_number(k, (double)(float)number));
    *(float *)place(s, k) = (float)number;
    return EGO_OK;
}

static ego_err read_value(const ego_settings *s, const ego_setting *k, const ego_json *node) {
    switch (k->kind) {
    case EGO_SETTING_TEXT:
    case EGO_SETTING_PATH: return read_text(s, k, node);
    case EGO_SETTING_WORD: return read_word(s, k, node);
    case EGO_SETTING_PAIR: return read_pair(s, k, node);
    case EGO_SETTING_NUMBER: return read_number(s, k, node);
    case EGO_SETTING_SINGLE: return read_single(s, k, node);
    case EGO_SETTING_COUNT:
    case EGO_SETTING_WHOLE: return read_whole(s, k, node);
    case EGO_SETTING_FLAG: break;
    }
    return ego_json_bool(node, place(s, k)) ? EGO_OK : wrong(k->name, "true or false", node);
}

ego_err ego_settings_read_member(const ego_settings *s, const char *name, const ego_json *node) {
    const ego_setting *k = find(s, name);
    if (k) return read_value(s, k, node);
    if (!is_section(s, name)) return ego_fail(EGO_EINPUT, "configuration: unknown key '%s'", name);
    if (!ego_json_is_object(node)) return wrong(name, "an object", node);
    for (const ego_json *x = ego_json_first(node); x; x = ego_json_next(x)) {
        char member[128];
        int n = snprintf(member, sizeof member, "%s.%s", name, ego_json_key(x));
        k = n < (int)sizeof member ? find(s, member) : NULL;
        if (!k) return ego_fail(EGO_EINPUT, "configuration: unknown key '%s'", member);
        EGO_TRY(read_value(s, k, x));
    }
    return EGO_OK;
}

ego_err ego_settings_read(const ego_settings *s, const ego_json *object) {
    if (!ego_json_is_object(object))
        return ego_fail(EGO_EINPUT, "configuration: expected an object, found %s",
                        ego_json_kind(object));
    for (const ego_json *x = ego_json_first(object); x; x = ego_json_next(x))
        EGO_TRY(ego_settings_read_member(s, ego_json_key(x), x));
    return EGO_OK;
}

ego_err ego_settings_read_file(const ego_settings *s, const char *path) {
    enum { LIMIT = 1 << 20 };
    ego_json *root;
    EGO_TRY(ego_json_read(path, LIMIT, &root));
    ego_err err = ego_settings_read(s, root);
    ego_json_free(root);
    return err == EGO_OK ? EGO_OK : ego_fail_context(err, "%s", path);
}

ego_err ego_settings_set(const ego_settings *s, const char *name, const char *value) {
    const char *text;
    ego_json *node;
    const ego_setting *k = find(s, name);
    EGO_TRY(ego_json_parse_word(value, &node));
    bool wants_text = k && (k->kind == EGO_SETTING_TEXT || k->kind == EGO_SETTING_PATH);
    if (wants_text && !ego_json_is_null(node) && !ego_json_string(node, &text)) {
        ego_json_free(node); /* a folder may be called 12 or true */
        EGO_TRY(ego_json_of_text(value, &node));
    }
    ego_err err = ego_settings_read_member(s, name, node);
    ego_json_free(node);
    return err;
}

ego_err ego_settings_override(const ego_settings *s, const char *word) {
    char name[64];
    const char *value;
    EGO_TRY(ego_split_setting(word, name, sizeof name, &value));
    return ego_settings_set(s, name, value);
}

ego_err ego_settings_require(const ego_settings *s, const char *name) {
    const ego_setting *k = find(s, name);
    if (k && *(const char *const *)place(s, k)) return EGO_OK;
    return ego_fail(EGO_EINPUT, "configuration: %s: expected a text, found nothing", name);
}

static ego_err check_value(const ego_settings *s, const ego_setting *k) {
    const void *value = place(s, k);
    const double *numbers = value;
    switch (k->kind) {
    case EGO_SETTING_COUNT:
        if (*(const int64_t *)value == 0) break;
        /* fall through */
    case EGO_SETTING_WHOLE: return check_number(k, (double)*(const int64_t *)value);
    case EGO_SETTING_NUMBER: return check_number(k, *numbers);
    case EGO_SETTING_SINGLE: return check_number(k, (double)*(const float *)value);
    case EGO_SETTING_PAIR: EGO_TRY(check_number(k, numbers[0])); return check_number(k, numbers[1]);
    case EGO_SETTING_TEXT:
    case EGO_SETTING_PATH:
    case EGO_SETTING_FLAG:
    case EGO_SETTING_WORD: break;
    }
    return EGO_OK;
}

ego_err ego_settings_check(const ego_settings *s) {
    for (size_t i = 0; i < s->count; i++) EGO_TRY(check_value(s, &s->keys[i]));
    return EGO_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_text(const char *text, ego_buf *out) {
    if (text)
        ego_buf_json_string(out, text, strlen(text));
    else
        ego_buf_text(out, "null");
}

static void write_value(const ego_settings *s, const ego_setting *k, ego_buf *out) {
    const void *value = place(s, k);
    const double *numbers = value;
    unsigned word;
    switch (k->kind) {
    case EGO_SETTING_TEXT:
    case EGO_SETTING_PATH: write_text(*(const char *const *)value, out); break;
    case EGO_SETTING_FLAG: ego_buf_text(out, *(const bool *)value ? "true" : "false"); break;
    case EGO_SETTING_COUNT:
        if (*(const int64_t *)value == 0) {
            ego_buf_text(out, "null");
            break;
        } /* fall through */
    case EGO_SETTING_WHOLE: ego_buf_printf(out, "%lld", (long long)*(const int64_t *)value); break;
    case EGO_SETTING_NUMBER: ego_buf_json_double(out, *numbers); break;
    case EGO_SETTING_SINGLE: ego_buf_json_float(out, *(const float *)value); break;
    case EGO_SETTING_PAIR:
        ego_buf_char(out, '[');
        ego_buf_json_double(out, numbers[0]);
        ego_buf_char(out, ',');
        ego_buf_json_double(out, numbers[1]);
        ego_buf_char(out, ']');
        break;
    case EGO_SETTING_WORD:
        memcpy(&word, value, sizeof word);
        write_text(k->words[word], out);
        break;
    }
}

void ego_settings_write_members(const ego_settings *s, bool binding_only, ego_buf *out) {
    const char *section = ""; /* of the key before; its name counts up to the point */
    size_t inside = 0;
    for (size_t i = 0; i < s->count; i++) {
        const ego_setting *k = &s->keys[i];
        if (binding_only && k->tie == EGO_SETTING_FREE) continue;
        const char *point = strchr(k->name, '.');
        size_t n = point ? (size_t)(point - k->name) : 0;
        if (inside && (n != inside || memcmp(section, k->name, n) != 0)) {
            ego_buf_char(out, '}');
            inside = 0;
        }
        if (n && !inside) {
            char name[64];
            snprintf(name, sizeof name, "%.*s", (int)n, k->name);
            ego_buf_json_key(out, name);
            ego_buf_char(out, '{');
            section = k->name;
            inside = n;
        }
        ego_buf_json_key(out, point ? point + 1 : k->name);
        write_value(s, k, out);
    }
    if (inside) ego_buf_char(out, '}');
}

void ego_settings_write(const ego_settings *s, bool binding_only, ego_buf *out) {
    ego_buf_char(out, '{');
    ego_settings_write_members(s, binding_only, out);
    ego_buf_char(out, '}');
}
