#include "format/qfvs.h"

#include "format/matfile.h"
#include "format/reading.h"

#include <string.h>

enum { MAX_SHOTS = EGO_ANNOTATIONS_MAX_LINES };

static void trim(const char **text, size_t *n) {
    while (*n && strchr(" \t", (*text)[*n - 1])) --*n;
    while (*n && strchr(" \t", **text)) ++*text, --*n;
}

/* ---- tags ---- */

static ego_err read_shot(ego__pack *pack, const char *line, size_t n, ego_qfvs_shot *shot) {
    size_t most = 1;
    for (size_t i = 0; i < n; i++) most += line[i] == ',';
    const char **concepts = ego__pack_alloc(pack, most * sizeof *concepts, sizeof *concepts);
    if (!concepts) return ego__no_memory();
    shot->concepts = concepts;
    for (size_t at = 0; at <= n;) {
        const char *part = line + at, *comma = memchr(part, ',', n - at);
        size_t length = comma ? (size_t)(comma - part) : n - at;
        at += length + 1;
        trim(&part, &length);
        if (!length) continue;
        concepts[shot->count] = ego__pack_text(pack, part, length);
        if (!concepts[shot->count++]) return ego__no_memory();
    }
    return EGO_OK;
}

ego_err ego_qfvs_tags_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                            ego_qfvs_tags *out) {
    ego__pack pack = {arena, NULL, 0};
    ego__list shots = {.size = sizeof(ego_qfvs_shot)};
    const char *line;
    size_t at = 0, length;
    void *items = NULL;
    ego_err err = ego__check_size(n, EGO_ANNOTATIONS_MAX_BYTES, name);
    if (err == EGO_OK && n && memchr(text, 0, n))
        err = ego_fail(EGO_EFORMAT, "%s: text expected, found a NUL byte", name);
    while (err == EGO_OK && ego__next_line(text, n, &at, &line, &length)) {
        ego_qfvs_shot *shot = ego__list_add(&shots);
        if (shots.count > MAX_SHOTS)
            err =
                ego_fail(EGO_EFORMAT, "%s: at most %d shots expected, found more", name, MAX_SHOTS);
        else
            err = shot ? read_shot(&pack, line, length, shot) : ego__no_memory();
    }
    size_t count = shots.count;
    if (err == EGO_OK) err = ego__list_finish(&shots, arena, &items);
    if (err == EGO_OK) *out = (ego_qfvs_tags){items, count};
    ego__list_release(&shots);
    return err;
}

ego_err ego_qfvs_tags_read(const char *path, ego_arena *arena, ego_qfvs_tags *out) {
    EGO__READ(path, ego_qfvs_tags_parse, arena, out);
}

/* ---- oracle summaries ---- */

static ego_err read_query(const char *name, ego__pack *pack, ego_qfvs_oracle *oracle) {
    static const char end[] = "_oracle.txt";
    const char *base = ego_basename(name), *bar = strchr(base, '_');
    size_t n = strlen(base), k = sizeof end - 1, a = bar ? (size_t)(bar - base) : 0;
    if (!a || n < a + 2 + k || strcmp(base + n - k, end) != 0)
        return ego_fail(EGO_EFORMAT,
                        "%s: a file name A_B_oracle.txt expected, A and B being the concepts",
                        name);
    oracle->a = ego__pack_text(pack, base, a);
    oracle->b = ego__pack_text(pack, bar + 1, n - a - 1 - k);
    return oracle->a && oracle->b ? EGO_OK : ego__no_memory();
}

static ego_err read_number(ego__list *shots, const char *line, size_t n) {
    uint64_t number = 0;
    trim(&line, &n);
    if (n == 0) return EGO_OK;
    if (!ego__parse_index(line, n, MAX_SHOTS, &number) || number == 0)
        return ego_fail(EGO_EFORMAT, "the number of a shot, from 1 to %d, expected, found '%.*s'",
                        MAX_SHOTS, (int)(n < 40 ? n : 40), line);
    uint32_t *added = ego__list_add(shots);
    if (!added) return ego__no_memory();
    *added = (uint32_t)number - 1;
    return EGO_OK;
}

ego_err ego_qfvs_oracle_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                              ego_qfvs_oracle *out) {
    ego__pack pack = {arena, NULL, 0};
    ego__list shots = {.size = sizeof(uint32_t)};
    ego_qfvs_oracle oracle = {0};
    const char *line;
    size_t at = 0, length, number = 0;
    void *items = NULL;
    ego_err err = ego__check_size(n, EGO_ANNOTATIONS_MAX_BYTES, name);
    if (err == EGO_OK) err = read_query(name, &pack, &oracle);
    while (err == EGO_OK && ego__next_line(text, n, &at, &line, &length)) {
        err = read_number(&shots, line, length);
        number++;
        if (err != EGO_OK) ego_fail_context(err, "%s line %zu", name, number);
    }
    oracle.count = shots.count;
    if (err == EGO_OK) err = ego__list_finish(&shots, arena, &items);
    oracle.shots = items;
    if (err == EGO_OK) *out = oracle;
    ego__list_release(&shots);
    return err;
}

ego_err ego_qfvs_oracle_read(const char *path, ego_arena *arena, ego_qfvs_oracle *out) {
    EGO__READ(path, ego_qfvs_oracle_parse, arena, out);
}

/* ---- Tags.mat ---- */

static ego_err read_vectors(const char *path, const ego_mat *cells, ego_arena *arena, ego_qfvs_vectors *v) {
    if (!cells || cells->kind != EGO_MAT_CELLS || cells->count == 0)
        return ego_fail(EGO_EFORMAT, "%s: a video whose Bin_Vecs is no cell array", path);
    *v = (ego_qfvs_vectors){.shots = cells->count, .concepts = cells->items[0].count};
    uint8_t *bits = ego_arena_alloc(arena, v->shots * v->concepts + 1);
    if (!bits) return ego__no_memory();
    for (size_t k = 0; k < v->shots; k++) {
        const ego_mat *m = &cells->items[k];
        if (m->kind != EGO_MAT_NUMBERS || m->count != v->concepts)
            return ego_fail(EGO_EFORMAT, "%s: shot %zu: expected %zu numbers, found %zu", path, k + 1, v->concepts,
                            m->kind == EGO_MAT_NUMBERS ? m->count : 0);
        for (size_t c = 0; c < v->concepts; c++) bits[k * v->concepts + c] = m->numbers[c] != 0;
    }
    v->bits = bits;
    return EGO_OK;
}

ego_err ego_qfvs_vectors_read(const char *path, ego_arena *arena, const ego_qfvs_vectors **videos,
                              size_t *count) {
    ego_mat_file file;
    EGO_TRY(ego_mat_read(path, arena, &file));
    for (size_t i = 0; i < file.count; i++) {
        const ego_mat *all = &file.variables[i];
        if (!ego_mat_field(all, 0, "Bin_Vecs")) continue;
        ego_qfvs_vectors *v = ego_arena_alloc(arena, all->count * sizeof *v);
        if (!v) return ego__no_memory();
        for (size_t k = 0; k < all->count; k++)
            EGO_TRY(read_vectors(path, ego_mat_field(all, k, "Bin_Vecs"), arena, &v[k]));
        *videos = v;
        *count = all->count;
        return EGO_OK;
    }
    return ego_fail(EGO_EFORMAT, "%s: expected a struct array with a field Bin_Vecs, found none", path);
}
