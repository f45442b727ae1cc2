#include "format/taskqa.h"

#include "format/reading.h"

#include <string.h>

static ego_err read_reasoning(const ego_json *object, ego__pack *pack, ego_qa_question *question) {
    const char *text;
    EGO_TRY(ego__optional_string(object, "reasoning_type", pack, &text));
    if (!text || !*text) return EGO_OK;
    size_t count = 1, i = 0;
    for (const char *p = text; *p; p++) count += *p == '$';
    const char **parts = ego__pack_alloc(pack, count * sizeof *parts, sizeof *parts);
    if (!parts) return ego__no_memory();
    for (const char *p = text;; p++) {
        size_t length = strcspn(p, "$");
        parts[i] = ego__pack_text(pack, p, length);
        if (!parts[i++]) return ego__no_memory();
        p += length;
        if (!*p) break;
    }
    question->reasoning = parts;
    question->reasoning_count = count;
    return EGO_OK;
}

static ego_err read_question(const ego_json *object, ego__pack *pack, ego_qa_question *question) {
    if (!ego_json_is_object(object))
        return ego_fail(EGO_EFORMAT, "an object expected, found %s", ego_json_kind(object));
    EGO_TRY(ego__member_string(object, "interval", pack, &question->interval));
    EGO_TRY(ego__member_string(object, "question", pack, &question->question));
    EGO_TRY(ego__optional_string(object, "answer", pack, &question->answer));
    EGO_TRY(ego__member_index(object, "answer_encode", INT32_MAX, &question->answer_class));
    EGO_TRY(ego__member_strings(object, "type", pack, &question->types, &question->type_count));
    EGO_TRY(ego__member_strings(object, "category", pack, &question->categories,
                                &question->category_count));
    EGO_TRY(ego__optional_string(object, "semantic", pack, &question->semantic));
    return read_reasoning(object, pack, question);
}

ego_err ego_qa_parse(const char *text, size_t n, const char *name, ego_arena *arena, ego_qa *out) {
    ego__pack pack = {arena, NULL, 0};
    ego__list questions = {.size = sizeof(ego_qa_question)};
    ego_json *root = NULL;
    void *items = NULL;
    ego_err err;
    EGO_TRY_OUT(ego__parse_json(text, n, name, true, &root));
    for (const ego_json *q = ego_json_first(root); q; q = ego_json_next(q)) {
        ego_qa_question *question = ego__list_add(&questions);
        err = question ? read_question(q, &pack, question) : ego__no_memory();
        if (err != EGO_OK) {
            ego_fail_context(err, "%s: element %zu", name, questions.count - (question != NULL));
            goto out;
        }
    }
    size_t count = questions.count;
    EGO_TRY_OUT(ego__list_finish(&questions, arena, &items));
    *out = (ego_qa){items, count};
out:
    ego__list_release(&questions);
    ego_json_free(root);
    return err;
}

ego_err ego_qa_read(const char *path, ego_arena *arena, ego_qa *out) {
    EGO__READ(path, ego_qa_parse, arena, out);
}

/* ---- names ---- */

static ego_err add_name(ego__list *names, ego__pack *pack, const char *line, size_t n) {
    while (n && strchr(" \t", line[n - 1])) n--;
    while (n && strchr(" \t", *line)) line++, n--;
    if (memchr(line, 0, n)) return ego_fail(EGO_EFORMAT, "text expected, found a NUL byte");
    if (names->count == EGO_ANNOTATIONS_MAX_LINES)
        return ego_fail(EGO_EFORMAT, "at most %d lines expected", EGO_ANNOTATIONS_MAX_LINES);
    const char **added = ego__list_add(names);
    if (added) *added = ego__pack_text(pack, line, n);
    return added && *added ? EGO_OK : ego__no_memory();
}

ego_err ego_names_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                        ego_names *out) {
    ego__pack pack = {arena, NULL, 0};
    ego__list names = {.size = sizeof(const char *)};
    const char *line;
    size_t at = 0, length;
    void *items = NULL;
    ego_err err = ego__check_size(n, EGO_ANNOTATIONS_MAX_BYTES, name);
    while (err == EGO_OK && ego__next_line(text, n, &at, &line, &length)) {
        err = add_name(&names, &pack, line, length);
        if (err != EGO_OK) ego_fail_context(err, "%s line %zu", name, names.count + 1);
    }
    const char *const *all = names.items;
    while (err == EGO_OK && names.count && !*all[names.count - 1]) names.count--;
    size_t count = names.count;
    if (err == EGO_OK) err = ego__list_finish(&names, arena, &items);
    if (err == EGO_OK) *out = (ego_names){items, count};
    ego__list_release(&names);
    return err;
}

ego_err ego_names_read(const char *path, ego_arena *arena, ego_names *out) {
    EGO__READ(path, ego_names_parse, arena, out);
}
