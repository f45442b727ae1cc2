/* A file of separated values with a header, read row by row into a growing list: what the readers of such
 * files share. Inside libego only.
 */
#ifndef EGO_FORMAT_TABLE_H
#define EGO_FORMAT_TABLE_H

#include "format/csv.h"
#include "format/reading.h"

enum { EGO__TABLE_COLUMNS = 16 };

typedef struct ego__table ego__table;

/* Columns are found by name. Of those whose bit in `needed` is not set, ego__table_field gives "" when
 * they are missing. read_row adds one item to table->rows. */
typedef struct ego__table_kind {
    char delimiter;
    const char *const *columns;
    size_t count; /* at most EGO__TABLE_COLUMNS */
    unsigned needed;
    size_t item_bytes;
    ego_err (*read_row)(ego__table *table);
} ego__table_kind;

struct ego__table {
    const ego__table_kind *kind;
    ego__csv csv;
    size_t at[EGO__TABLE_COLUMNS]; /* where each column stands */
    ego__pack pack;
    ego__list rows;
};

/* The whole text: items and their number, in the arena. At least one row must be there. Messages name the
 * file and the line. */
ego_err ego__table_parse(const ego__table_kind *kind, const char *text, size_t n, const char *name,
                         ego_arena *arena, void **items, size_t *count);

const char *ego__table_field(const ego__table *table, size_t column);
/* A copy of the field; an empty one is an error. */
ego_err ego__table_name(ego__table *table, size_t column, const char **name);
/* "verb_class: a class expected, found 'x'". */
ego_err ego__table_wrong(const ego__table *table, size_t column, const char *expected);

#endif
