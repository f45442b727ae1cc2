#include "format/csv.h"

#include <string.h>

void ego__csv_init(ego__csv *csv, const char *text, size_t n, char delimiter) {
    *csv = (ego__csv){.text = text, .n = n, .delimiter = delimiter, .line_behind = 1};
    if (n >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3)) csv->at = 3; /* a byte order mark */
}

void ego__csv_release(ego__csv *csv) { ego_buf_release(&csv->fields); }

static bool ends_row(char c) { return c == '\n' || c == '\r'; }

static void append(ego__csv *csv, size_t from, size_t to) {
    csv->has_nul |= to > from && memchr(csv->text + from, 0, to - from) != NULL;
    ego_buf_append(&csv->fields, csv->text + from, to - from);
}

/* Past the quote that opens a field to behind the one that closes it. */
static ego_err quoted_part(ego__csv *csv) {
    for (size_t from = ++csv->at; csv->at < csv->n; csv->at++) {
        char c = csv->text[csv->at];
        csv->line_behind += c == '\n';
        if (c != '"') continue;
        bool doubled = csv->at + 1 < csv->n && csv->text[csv->at + 1] == '"';
        append(csv, from, csv->at + doubled);
        csv->at += 1 + (size_t)doubled;
        if (!doubled) return EGO_OK;
        from = csv->at--;
    }
    return ego_fail(EGO_EFORMAT, "line %zu: a quote is opened and never closed", csv->line);
}

static ego_err field(ego__csv *csv) {
    if (csv->count < EGO__CSV_MAX_FIELDS) csv->starts[csv->count] = csv->fields.len;
    csv->count++;
    if (csv->at < csv->n && csv->text[csv->at] == '"') EGO_TRY(quoted_part(csv));
    size_t from = csv->at;
    while (csv->at < csv->n && csv->text[csv->at] != csv->delimiter &&
           !ends_row(csv->text[csv->at]))
        csv->at++;
    append(csv, from, csv->at);
    ego_buf_char(&csv->fields, 0);
    return EGO_OK;
}

static void skip_row_end(ego__csv *csv) {
    if (csv->at == csv->n) return;
    bool pair =
        csv->text[csv->at] == '\r' && csv->at + 1 < csv->n && csv->text[csv->at + 1] == '\n';
    csv->at += 1 + (size_t)pair;
    csv->line_behind++;
}

ego_err ego__csv_next(ego__csv *csv) {
    while (csv->at < csv->n && ends_row(csv->text[csv->at])) skip_row_end(csv);
    if (csv->at == csv->n) return EGO_EEND;
    ego_buf_clear(&csv->fields);
    csv->count = 0;
    csv->has_nul = false;
    csv->line = csv->line_behind;
    for (;;) {
        EGO_TRY(field(csv));
        if (csv->at == csv->n || csv->text[csv->at] != csv->delimiter) break;
        csv->at++;
    }
    skip_row_end(csv);
    return ego_buf_err(&csv->fields);
}

const char *ego__csv_field(const ego__csv *csv, size_t i) {
    if (i >= csv->count || i >= EGO__CSV_MAX_FIELDS) return "";
    return csv->fields.data + csv->starts[i];
}

bool ego__csv_find(const ego__csv *csv, const char *name, size_t *i) {
    for (size_t k = 0; k < csv->count && k < EGO__CSV_MAX_FIELDS; k++)
        if (strcmp(ego__csv_field(csv, k), name) == 0) return *i = k, true;
    return false;
}
