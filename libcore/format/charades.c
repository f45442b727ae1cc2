#include "format/charades.h"

#include "base/options.h"
#include "format/table.h"

#include <string.h>

/* ---- videos with actions ------------------------------------------------------------------------- */

/* "c009 0.0 4.2" up to `end`. */
static ego_err read_action(const char *text, const char *end, ego_charades_action *action) {
    char word[3][32];
    const char *at = text;
    size_t n = 0;
    uint64_t number = 0;
    for (; n < 3 && at < end; n++) {
        size_t length = 0;
        while (at < end && *at == ' ') at++;
        while (at + length < end && at[length] != ' ') length++;
        if (length == 0 || length >= sizeof word[n]) break;
        memcpy(word[n], at, length);
        word[n][length] = 0;
        at += length;
    }
    while (at < end && *at == ' ') at++;
    if (n == 3 && at == end && word[0][0] == 'c' &&
        ego__parse_index(word[0] + 1, strlen(word[0] + 1), EGO_CHARADES_MAX_CLASSES - 1, &number) &&
        ego_parse_number(word[1], &action->start) && ego_parse_number(word[2], &action->end)) {
        action->action = (uint16_t)number;
        return EGO_OK;
    }
    size_t shown = (size_t)(end - text) < 60 ? (size_t)(end - text) : 60;
    return ego_fail(EGO_EFORMAT, "actions: 'c000 START END' expected, found '%.*s'", (int)shown,
                    text);
}

enum { ID, ACTIONS };

static ego_err read_video(ego__table *t) {
    ego_charades_video *video = ego__list_add(&t->rows);
    size_t most = 1, count = 0;
    if (!video) return ego__no_memory();
    EGO_TRY(ego__table_name(t, ID, &video->id));
    const char *text = ego__table_field(t, ACTIONS);
    for (const char *p = text; *p; p++) most += *p == ';';
    ego_charades_action *actions =
        ego__pack_alloc(&t->pack, most * sizeof *actions, sizeof(double));
    if (!actions) return ego__no_memory();
    while (*text) {
        size_t length = strcspn(text, ";");
        if (length) {
            actions[count] = (ego_charades_action){0};
            EGO_TRY(read_action(text, text + length, &actions[count++]));
        }
        text += length + (text[length] == ';');
    }
    video->actions = actions;
    video->count = count;
    return EGO_OK;
}

ego_err ego_charades_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                           ego_charades *out) {
    static const char *const columns[] = {"id", "actions"};
    static const ego__table_kind kind = {.delimiter = ',',
                                         .columns = columns,
                                         .count = 2,
                                         .needed = 3,
                                         .item_bytes = sizeof(ego_charades_video),
                                         .read_row = read_video};
    void *items;
    size_t count;
    EGO_TRY(ego__table_parse(&kind, text, n, name, arena, &items, &count));
    *out = (ego_charades){items, count};
    return EGO_OK;
}

ego_err ego_charades_read(const char *path, ego_arena *arena, ego_charades *out) {
    EGO__READ(path, ego_charades_parse, arena, out);
}

/* ---- rows of training ---------------------------------------------------------------------------- */

enum { ROW_ID, CLASS, ROW_START, ROW_END, ROW_TEXT, ROW_COLUMNS };

static ego_err read_row(ego__table *t) {
    ego_charades_row *row = ego__list_add(&t->rows);
    uint64_t class = 0;
    if (!row) return ego__no_memory();
    EGO_TRY(ego__table_name(t, ROW_ID, &row->id));
    const char *text = ego__table_field(t, CLASS);
    if (!ego__parse_index(text, strlen(text), EGO_CHARADES_MAX_CLASSES - 1, &class))
        return ego__table_wrong(t, CLASS, "a class");
    row->action.action = (uint16_t) class;
    if (!ego_parse_number(ego__table_field(t, ROW_START), &row->action.start))
        return ego__table_wrong(t, ROW_START, "a number");
    if (!ego_parse_number(ego__table_field(t, ROW_END), &row->action.end))
        return ego__table_wrong(t, ROW_END, "a number");
    return ego__pack_string(&t->pack, ego__table_field(t, ROW_TEXT), &row->narration);
}

ego_err ego_charades_rows_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                                ego_charades_rows *out) {
    static const char *const columns[] = {"id", "cls", "t_start", "t_end", "narration"};
    static const ego__table_kind kind = {.delimiter = '\t',
                                         .columns = columns,
                                         .count = ROW_COLUMNS,
                                         .needed = (1u << ROW_COLUMNS) - 1,
                                         .item_bytes = sizeof(ego_charades_row),
                                         .read_row = read_row};
    void *items;
    size_t count;
    EGO_TRY(ego__table_parse(&kind, text, n, name, arena, &items, &count));
    *out = (ego_charades_rows){items, count};
    return EGO_OK;
}

ego_err ego_charades_rows_read(const char *path, ego_arena *arena, ego_charades_rows *out) {
    EGO__READ(path, ego_charades_rows_parse, arena, out);
}

/* ---- classes ------------------------------------------------------------------------------------- */

static ego_err read_class(ego__list *names, ego__pack *pack, const char *line, size_t n) {
    uint64_t number = 0;
    bool good = n > 5 && line[0] == 'c' && line[4] == ' ' && !memchr(line, 0, n) &&
                ego__parse_index(line + 1, 3, EGO_CHARADES_MAX_CLASSES - 1, &number) &&
                number == names->count;
    if (!good)
        return ego_fail(EGO_EFORMAT, "'c%03zu NAME' expected, found '%.*s'", names->count,
                        (int)(n < 60 ? n : 60), line);
    const char **name = ego__list_add(names);
    if (name) *name = ego__pack_text(pack, line + 5, n - 5);
    return name && *name ? EGO_OK : ego__no_memory();
}

ego_err ego_charades_classes_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                                   ego_charades_classes *out) {
    ego__pack pack = {arena, NULL, 0};
    ego__list names = {.size = sizeof(const char *)};
    const char *line;
    size_t at = 0, length, number = 0;
    void *items = NULL;
    ego_err err = ego__check_size(n, EGO_ANNOTATIONS_MAX_BYTES, name);
    while (err == EGO_OK && ego__next_line(text, n, &at, &line, &length)) {
        number++;
        if (!length) continue;
        err = read_class(&names, &pack, line, length);
        if (err != EGO_OK) ego_fail_context(err, "%s line %zu", name, number);
    }
    size_t count = names.count;
    if (err == EGO_OK && !count) err = ego_fail(EGO_EFORMAT, "%s: classes expected", name);
    if (err == EGO_OK) err = ego__list_finish(&names, arena, &items);
    if (err == EGO_OK) *out = (ego_charades_classes){items, count};
    ego__list_release(&names);
    return err;
}

ego_err ego_charades_classes_read(const char *path, ego_arena *arena, ego_charades_classes *out) {
    EGO__READ(path, ego_charades_classes_parse, arena, out);
}
