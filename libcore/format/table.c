#include "format/table.h"

enum { NOT_THERE = EGO__CSV_MAX_FIELDS }; /* a field that no row has */

static ego_err read_header(ego__table *t) {
    const ego__table_kind *kind = t->kind;
    ego_err err = ego__csv_next(&t->csv);
    if (err == EGO_EEND) return ego_fail(EGO_EFORMAT, "a header line expected, found nothing");
    if (err != EGO_OK) return err;
    for (size_t c = 0; c < kind->count; c++) {
        t->at[c] = NOT_THERE;
        if (!ego__csv_find(&t->csv, kind->columns[c], &t->at[c]) && (kind->needed >> c & 1))
            return ego_fail(EGO_EFORMAT,
                            "line %zu: a %s-separated header with '%s' expected, found '%.60s' and "
                            "%zu more columns",
                            t->csv.line, kind->delimiter == '\t' ? "tab" : "comma",
                            kind->columns[c], ego__csv_field(&t->csv, 0), t->csv.count - 1);
    }
    return EGO_OK;
}

static ego_err read_rows(ego__table *t) {
    for (;;) {
        ego_err err = ego__csv_next(&t->csv);
        if (err == EGO_EEND) break;
        if (err != EGO_OK) return err;
        err = t->csv.has_nul ? ego_fail(EGO_EFORMAT, "text expected, found a NUL byte")
                             : t->kind->read_row(t);
        if (err != EGO_OK) return ego_fail_context(err, "line %zu", t->csv.line);
    }
    return t->rows.count ? EGO_OK : ego_fail(EGO_EFORMAT, "lines expected behind the header");
}

ego_err ego__table_parse(const ego__table_kind *kind, const char *text, size_t n, const char *name,
                         ego_arena *arena, void **items, size_t *count) {
    ego__table t = {.kind = kind, .pack = {arena, NULL, 0}, .rows = {.size = kind->item_bytes}};
    EGO_TRY(ego__check_size(n, EGO_ANNOTATIONS_MAX_BYTES, name));
    ego__csv_init(&t.csv, text, n, kind->delimiter);
    ego_err err = read_header(&t);
    if (err == EGO_OK) err = read_rows(&t);
    if (err != EGO_OK) ego_fail_context(err, "%s", name);
    size_t rows = t.rows.count;
    if (err == EGO_OK) err = ego__list_finish(&t.rows, arena, items);
    if (err == EGO_OK) *count = rows;
    ego__list_release(&t.rows);
    ego__csv_release(&t.csv);
    return err;
}

const char *ego__table_field(const ego__table *t, size_t column) {
    return ego__csv_field(&t->csv, t->at[column]);
}

ego_err ego__table_name(ego__table *t, size_t column, const char **name) {
    if (!*ego__table_field(t, column)) return ego__table_wrong(t, column, "a name");
    return ego__pack_string(&t->pack, ego__table_field(t, column), name);
}

ego_err ego__table_wrong(const ego__table *t, size_t column, const char *expected) {
    return ego_fail(EGO_EFORMAT, "%s: %s expected, found '%.60s'", t->kind->columns[column],
                    expected, ego__table_field(t, column));
}
