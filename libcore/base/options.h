/* Command-line options from a declarative table: read over getopt_long, described for -h, and
 * written out as completions for the shells. Nothing here prints.
 *
 * A table is an array of ego_option ending in an entry without a name. Several tables may be read
 * together; of options with the same name the first counts. Values point into argv.
 */
#ifndef EGO_BASE_OPTIONS_H
#define EGO_BASE_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ego_option_type {
    EGO_OPTION_FLAG,   /* bool *: becomes true */
    EGO_OPTION_CLEAR,  /* bool *: becomes false ("--no-normalize") */
    EGO_OPTION_STRING, /* const char ** */
    EGO_OPTION_FILE,   /* const char **, a path: the same but for completions */
    EGO_OPTION_INT,    /* int64_t *, min … max */
    EGO_OPTION_NUMBER, /* double *, finite, min … max */
    EGO_OPTION_CHOICE, /* int *: the index of the word in `arg`, "auto|always|never" */
    EGO_OPTION_LIST,   /* ego_option_list *: may be given several times */
    EGO_OPTION_SHARE   /* ego_option_share *: I/N, 0 ≤ I < N */
} ego_option_type;

typedef struct ego_option {
    const char *name; /* without its dashes; NULL ends the table */
    char letter;      /* 0: none */
    ego_option_type type;
    const char
        *arg;    /* what -h calls the value: "N", "FILE"; the words of a choice; NULL: takes none */
    void *value; /* where it goes; left alone when the option is not given */
    double min, max;  /* of an INT or NUMBER; both 0: any (an INT then: at least 0) */
    const char *help; /* NULL: an option that -h and completions keep to themselves */
    bool *given;      /* set to true when the option was there; may be NULL */
} ego_option;

typedef struct ego_option_list {
    const char **items; /* owned: ego_option_list_release */
    size_t n;
} ego_option_list;

typedef struct ego_option_share {
    int64_t index, count;
} ego_option_share;

void ego_option_list_release(ego_option_list *list);

/* Reads argv by the given tables (n_tables of them). Positional arguments may stand anywhere; they
 * are moved to the end of argv and *first tells where they begin. EGO_EINPUT names the option, what
 * was expected and what was found. */
ego_err ego_options_read(const ego_option *const *tables, size_t n_tables, int argc, char **argv,
                         int *first);

/* One line for each option that has a help: "  -k, --top N        matches for each query". */
void ego_options_help(const ego_option *table, ego_buf *text);
/* The options without their help, wrapped at 80 columns behind `indent` spaces: -m/--model FILE
 * --seed N … */
void ego_options_brief(const ego_option *table, int indent, ego_buf *text);

/* A completion script for the command `name`; shell is "bash" or "zsh". */
ego_err ego_options_completion(const ego_option *const *tables, size_t n_tables, const char *name,
                               const char *shell, ego_buf *script);

/* KEY=VALUE: copies the key into `key` (room bytes, its NUL included); *value points behind the '='. */
ego_err ego_split_setting(const char *word, char *key, size_t room, const char **value);

/* Strictly: decimal digits behind an optional minus, nothing else. */
bool ego_parse_integer(const char *text, int64_t *value);
/* Strictly: a finite decimal number with a point, in any locale. */
bool ego_parse_number(const char *text, double *value);
/* 1 to `max` such numbers with a comma between each two; *n of them. */
bool ego_parse_numbers(const char *text, size_t max, double *values, size_t *n);

#endif
