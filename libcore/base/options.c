#include "base/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTIONS = 96, FIRST_VALUE = 1000, HELP_COLUMN = 24, LINE_WIDTH = 80 };

/* ---- values
 * -------------------------------------------------------------------------------------- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

ego_err ego_split_setting(const char *word, char *key, size_t room, const char **value) {
    const char *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : 0;
    if (n == 0 || n >= room)
        return ego_fail(EGO_EINPUT, "configuration: expected KEY=VALUE, found '%s'", word);
    memcpy(key, word, n);
    key[n] = '\0';
    *value = equals + 1;
    return EGO_OK;
}

bool ego_parse_integer(const char *text, int64_t *value) {
    const char *at = text + (*text == '-');
    if (!is_digit(*at)) return false;
    while (is_digit(*at)) at++;
    if (*at) return false;
    errno = 0;
    long long number = strtoll(text, NULL, 10);
    if (errno) return false;
    *value = number;
    return true;
}

bool ego_parse_number(const char *text, double *value) {
    char copy[64];
    size_t n = strlen(text), digits = 0;
    const char *point = localeconv()->decimal_point;
    if (n == 0 || n >= sizeof copy - 8 || strlen(point) > 4) return false;
    /* strtod takes the locale's point, and much that is no decimal number. */
    char *out = copy;
    for (const char *at = text; *at; at++) {
        if (*at == '.') {
            memcpy(out, point, strlen(point));
            out += strlen(point);
            if (strchr(at + 1, '.')) return false;
            continue;
        }
        if (!is_digit(*at) && !strchr("+-eE", *at)) return false;
        digits += is_digit(*at);
        *out++ = *at;
    }
    *out = 0;
    char *end;
    double number = strtod(copy, &end);
    if (*end || !digits || !isfinite(number)) return false;
    *value = number;
    return true;
}

bool ego_parse_numbers(const char *text, size_t max, double *values, size_t *n) {
    for (*n = 0; *n < max; text++) {
        char word[64];
        size_t length = strcspn(text, ",");
        if (length >= sizeof word) return false;
        memcpy(word, text, length);
        word[length] = 0;
        if (!ego_parse_number(word, &values[*n])) return false;
        ++*n;
        text += length;
        if (!*text) return true;
    }
    return false;
}

/* The index of `word` in "one|two|three", or -1. */
static int choice_index(const char *words, const char *word) {
    size_t n = strlen(word);
    for (int i = 0;; i++) {
        const char *bar = strchr(words, '|');
        size_t length = bar ? (size_t)(bar - words) : strlen(words);
        if (length == n && memcmp(words, word, n) == 0) return i;
        if (!bar) return -1;
        words = bar + 1;
    }
}

static ego_err wrong(const ego_option *o, const char *what, const char *found) {
    return ego_fail(EGO_EINPUT, "--%s: expected %s, found '%s'", o->name, what, found);
}

static ego_err read_integer(const ego_option *o, const char *text) {
    bool any = o->min == 0 && o->max == 0;
    double most = any ? 0x1p53 : o->max;
    int64_t value;
    char what[80];
    if (any)
        strcpy(what, "a whole number from 0 up");
    else
        snprintf(what, sizeof what, "a whole number from %.0f to %.0f", o->min, o->max);
    if (!ego_parse_integer(text, &value)) return wrong(o, what, text);
    if ((double)value < o->min || (double)value > most) return wrong(o, what, text);
    *(int64_t *)o->value = value;
    return EGO_OK;
}

static ego_err read_number(const ego_option *o, const char *text) {
    double value;
    if (!ego_parse_number(text, &value)) return wrong(o, "a number", text);
    if ((o->min != 0 || o->max != 0) && (value < o->min || value > o->max)) {
        char what[80];
        snprintf(what, sizeof what, "a number from %g to %g", o->min, o->max);
        return wrong(o, what, text);
    }
    *(double *)o->value = value;
    return EGO_OK;
}

static ego_err read_share(const ego_option *o, const char *text) {
    char copy[48];
    const char *slash = strchr(text, '/');
    ego_option_share share;
    bool good = slash && strlen(text) < sizeof copy;
    if (good) {
        memcpy(copy, text, strlen(text) + 1);
        copy[slash - text] = 0;
        good = ego_parse_integer(copy, &share.index) &&
               ego_parse_integer(slash + 1, &share.count) && share.index >= 0 &&
               share.index < share.count;
    }
    if (!good) return wrong(o, "I/N with I from 0 to N-1", text);
    *(ego_option_share *)o->value = share;
    return EGO_OK;
}

static ego_err append(ego_option_list *list, const char *text) {
    const char **items = realloc(list->items, (list->n + 1) * sizeof *items);
    if (!items) return ego_fail(EGO_ENOMEM, "out of memory");
    list->items = items;
    items[list->n++] = text;
    return EGO_OK;
}

void ego_option_list_release(ego_option_list *list) {
    free(list->items);
    *list = (ego_option_list){0};
}

static ego_err set_value(const ego_option *o, char *text) {
    if (o->given) *o->given = true;
    switch (o->type) {
    case EGO_OPTION_FLAG: *(bool *)o->value = true; return EGO_OK;
    case EGO_OPTION_CLEAR: *(bool *)o->value = false; return EGO_OK;
    case EGO_OPTION_STRING: *(const char **)o->value = text; return EGO_OK;
    case EGO_OPTION_FILE:
        if (!*text) return wrong(o, "a path", text);
        *(const char **)o->value = text;
        return EGO_OK;
    case EGO_OPTION_INT: return read_integer(o, text);
    case EGO_OPTION_NUMBER: return read_number(o, text);
    case EGO_OPTION_LIST: return append(o->value, text);
    case EGO_OPTION_SHARE: return read_share(o, text);
    case EGO_OPTION_CHOICE: break;
    }
    int index = choice_index(o->arg, text);
    if (index < 0) return wrong(o, o->arg, text);
    *(int *)o->value = index;
    return EGO_OK;
}

/* ---- reading argv
 * -------------------------------------------------------------------------------- */

/* All tables as one list, the first of each name. */
static size_t collect(const ego_option *const *tables, size_t n_tables, const ego_option *all[]) {
    size_t n = 0;
    for (size_t t = 0; t < n_tables; t++)
        for (const ego_option *o = tables[t]; o && o->name; o++) {
            bool known = n == MAX_OPTIONS;
            for (size_t i = 0; i < n && !known; i++) known = strcmp(all[i]->name, o->name) == 0;
            if (!known) all[n++] = o;
        }
    return n;
}

static const ego_option *find(const ego_option *const *all, size_t n, int code) {
    if (code >= FIRST_VALUE && code < FIRST_VALUE + (int)n) return all[code - FIRST_VALUE];
    for (size_t i = 0; i < n; i++)
        if (all[i]->letter && all[i]->letter == code) return all[i];
    return NULL;
}

/* What getopt_long refused: code is '?' or ':'. */
static ego_err refused(const ego_option *const *all, size_t n, int code, char *const *argv) {
    const ego_option *o = optopt ? find(all, n, optopt) : NULL;
    if (code == ':' && o)
        return ego_fail(EGO_EINPUT, "--%s: expected %s, found nothing", o->name, o->arg);
    if (o) return ego_fail(EGO_EINPUT, "--%s takes no value", o->name);
    if (optopt) return ego_fail(EGO_EINPUT, "unknown option -%c", optopt);
    return ego_fail(EGO_EINPUT, "unknown or ambiguous option %s", argv[optind - 1]);
}

ego_err ego_options_read(const ego_option *const *tables, size_t n_tables, int argc, char **argv,
                         int *first) {
    const ego_option *all[MAX_OPTIONS];
    struct option longs[MAX_OPTIONS + 1] = {{0}};
    char letters[2 * MAX_OPTIONS + 2] = ":", *letter = letters + 1;
    size_t n = collect(tables, n_tables, all);
    for (size_t i = 0; i < n; i++) {
        int takes = all[i]->arg ? required_argument : no_argument;
        longs[i] = (struct option){all[i]->name, takes, NULL, FIRST_VALUE + (int)i};
        if (!all[i]->letter) continue;
        *letter++ = all[i]->letter;
        if (all[i]->arg) *letter++ = ':';
    }
    opterr = 0;
    optind = 0; /* GNU: start afresh */
    for (int code; (code = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
        if (code == '?' || code == ':') return refused(all, n, code, argv);
        EGO_TRY(set_value(find(all, n, code), optarg));
    }
    *first = optind;
    return EGO_OK;
}

/* ---- describing
 * ---------------------------------------------------------------------------------- */

static size_t width_of(const char *text) { /* characters, not bytes */
    size_t n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

/* The words of `help` in lines that begin at HELP_COLUMN; the first is that far already. */
static void append_help(const char *help, ego_buf *text) {
    size_t column = HELP_COLUMN;
    while (*help) {
        size_t n = strcspn(help, " ");
        bool first = column == HELP_COLUMN;
        if (!first && column + 1 + n > LINE_WIDTH) {
            ego_buf_printf(text, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN, first = true;
        }
        if (!first) ego_buf_char(text, ' ');
        ego_buf_append(text, help, n);
        column += n + !first;
        help += n;
        while (*help == ' ') help++;
    }
    ego_buf_char(text, '\n');
}

void ego_options_help(const ego_option *table, ego_buf *text) {
    for (const ego_option *o = table; o->name; o++) {
        if (!o->help) continue;
        size_t start = text->len;
        if (o->letter)
            ego_buf_printf(text, "  -%c, --%s", o->letter, o->name);
        else
            ego_buf_printf(text, "  --%s", o->name);
        if (o->arg) ego_buf_printf(text, " %s", o->arg);
        size_t used = text->len - start;
        if (used + 2 > HELP_COLUMN) {
            ego_buf_text(text, "\n");
            used = 0;
        }
        ego_buf_printf(text, "%*s", HELP_COLUMN - (int)used, "");
        append_help(o->help, text);
    }
}

void ego_options_brief(const ego_option *table, int indent, ego_buf *text) {
    int column = LINE_WIDTH;
    bool first = true;
    for (const ego_option *o = table; o->name; o++) {
        if (!o->help) continue;
        char item[96];
        int n = o->letter ? snprintf(item, sizeof item, "-%c/--%s", o->letter, o->name)
                          : snprintf(item, sizeof item, "--%s", o->name);
        if (o->arg) snprintf(item + n, sizeof item - (size_t)n, " %s", o->arg);
        int width = (int)width_of(item);
        if (column + 2 + width > LINE_WIDTH) {
            ego_buf_printf(text, "%s%*s", first ? "" : "\n", indent, "");
            column = indent;
        } else {
            ego_buf_text(text, "  ");
            column += 2;
        }
        ego_buf_text(text, item);
        column += width;
        first = false;
    }
    if (!first) ego_buf_char(text, '\n');
}

/* ---- completions
 * --------------------------------------------------------------------------------- */

static void append_words(const char *words, ego_buf *script) {
    for (; *words; words++) ego_buf_char(script, *words == '|' ? ' ' : *words);
}

/* Function names cannot hold the dash of ego-match. */
static void append_function(const char *name, ego_buf *script) {
    ego_buf_char(script, '_');
    for (; *name; name++) ego_buf_char(script, *name == '-' ? '_' : *name);
}

static void bash_completion(const ego_option *const *all, size_t n, const char *name,
                            ego_buf *script) {
    ego_buf_printf(script, "# bash completion for %s; written by %s --completion bash\n", name,
                   name);
    append_function(name, script);
    ego_buf_text(script,
                 "() {\n"
                 "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                 "    COMPREPLY=()\n"
                 "    case $prev in\n");
    for (size_t i = 0; i < n; i++) {
        if (all[i]->type != EGO_OPTION_CHOICE || !all[i]->help) continue;
        ego_buf_printf(script, "    --%s) COMPREPLY=($(compgen -W '", all[i]->name);
        append_words(all[i]->arg, script);
        ego_buf_text(script, "' -- \"$cur\")); return ;;\n");
    }
    ego_buf_text(script,
                 "    esac\n    if [[ $cur == -* ]]; then\n        COMPREPLY=($(compgen -W '");
    for (size_t i = 0; i < n; i++)
        if (all[i]->help) ego_buf_printf(script, "%s--%s", i ? " " : "", all[i]->name);
    ego_buf_text(script, "' -- \"$cur\"))\n    fi\n}\ncomplete -o bashdefault -o default -F ");
    append_function(name, script);
    ego_buf_printf(script, " %s\n", name);
}

/* A description inside '…[…]' of zsh's _arguments. */
static void append_zsh_text(const char *text, ego_buf *script) {
    for (; *text; text++) {
        if (*text == '\'') {
            ego_buf_text(script, "'\\''");
            continue;
        }
        if (strchr("[]:\\", *text)) ego_buf_char(script, '\\');
        ego_buf_char(script, *text);
    }
}

static void zsh_completion(const ego_option *const *all, size_t n, const char *name,
                           ego_buf *script) {
    ego_buf_printf(script,
                   "#compdef %s\n# zsh completion; written by %s --completion zsh\n_arguments -s",
                   name, name);
    for (size_t i = 0; i < n; i++) {
        const ego_option *o = all[i];
        if (!o->help) continue;
        ego_buf_text(script, " \\\n    ");
        const char *many = o->type == EGO_OPTION_LIST ? "*" : "";
        if (o->letter)
            ego_buf_printf(script, "'(-%c --%s)'{-%c,--%s}'[", o->letter, o->name, o->letter,
                           o->name);
        else
            ego_buf_printf(script, "'%s--%s[", many, o->name);
        append_zsh_text(o->help, script);
        ego_buf_char(script, ']');
        if (o->type == EGO_OPTION_CHOICE) {
            ego_buf_text(script, ":word:(");
            append_words(o->arg, script);
            ego_buf_char(script, ')');
        } else if (o->arg) {
            ego_buf_char(script, ':');
            append_zsh_text(o->arg, script);
            ego_buf_text(script, o->type == EGO_OPTION_FILE ? ":_files" : ":");
        }
        ego_buf_char(script, '\'');
    }
    ego_buf_text(script, " \\\n    '*:file:_files'\n");
}

ego_err ego_options_completion(const ego_option *const *tables, size_t n_tables, const char *name,
                               const char *shell, ego_buf *script) {
    const ego_option *all[MAX_OPTIONS];
    size_t n = collect(tables, n_tables, all);
    if (strcmp(shell, "bash") == 0)
        bash_completion(all, n, name, script);
    else if (strcmp(shell, "zsh") == 0)
        zsh_completion(all, n, name, script);
    else
        return ego_fail(EGO_EINPUT, "--completion: expected bash or zsh, found '%s'", shell);
    return ego_buf_err(script);
}
