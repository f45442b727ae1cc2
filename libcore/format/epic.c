#include "format/epic.h"

#include "base/options.h"
#include "format/table.h"

#include <stdlib.h>
#include <string.h>

enum { ID, NARRATION, PARTICIPANT, VIDEO, START, STOP, SENTENCE_COLUMNS = NARRATION + 1 };
enum { VERB = STOP + 1, NOUNS, NOUN, CLIP_COLUMNS };
static const char *const columns[CLIP_COLUMNS] = {
    "narration_id",   "narration",  "participant_id",   "video_id",  "start_timestamp",
    "stop_timestamp", "verb_class", "all_noun_classes", "noun_class"};

enum { MAX_CLASS = UINT16_MAX };

/* ---- values -------------------------------------------------------------------------------------- */

bool ego_epic_time(const char *text, double *seconds) {
    double total = 0;
    for (int part = 0; part < 2; part++) {
        size_t digits = strspn(text, "0123456789");
        uint64_t value;
        if (text[digits] != ':' || !ego__parse_index(text, digits, 1 << 20, &value)) return false;
        total = 60 * total + (double)value;
        text += digits + 1;
    }
    double rest;
    if (*text < '0' || *text > '9' || strpbrk(text, "eE") || !ego_parse_number(text, &rest))
        return false;
    *seconds = 60 * total + rest;
    return true;
}

static int ascending(const void *a, const void *b) {
    return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

/* Ids as written → ascending, each once. The pack made the array; only the view is const. */
static void make_set(ego_tags *tags) {
    uint16_t *ids = (uint16_t *)(uintptr_t)tags->ids;
    size_t kept = 0;
    if (tags->count) qsort(ids, tags->count, sizeof *ids, ascending);
    for (size_t i = 0; i < tags->count; i++)
        if (!kept || ids[kept - 1] != ids[i]) ids[kept++] = ids[i];
    tags->count = kept;
}

static ego_err read_nouns(ego__table *t, ego_epic_clip *clip) {
    const char *list = ego__table_field(t, NOUNS), *one = ego__table_field(t, NOUN);
    ego_tags tags = {0};
    uint64_t noun;
    if (*list) {
        ego_err err = ego__parse_tags(&t->pack, list, MAX_CLASS + 1, &tags);
        if (err != EGO_OK) return ego_fail_context(err, "%s", columns[NOUNS]);
        make_set(&tags);
    } else if (*one) {
        uint16_t *id = ego__pack_alloc(&t->pack, sizeof *id, sizeof *id);
        if (!id) return ego__no_memory();
        if (!ego__parse_index(one, strlen(one), MAX_CLASS, &noun))
            return ego__table_wrong(t, NOUN, "a class");
        *id = (uint16_t)noun;
        tags = (ego_tags){id, 1};
    }
    clip->nouns = tags.ids;
    clip->noun_count = tags.count;
    return EGO_OK;
}

static ego_err read_time(const ego__table *t, size_t column, double *seconds) {
    if (ego_epic_time(ego__table_field(t, column), seconds)) return EGO_OK;
    return ego__table_wrong(t, column, "a time HH:MM:SS.ss");
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static ego_err read_clip(ego__table *t) {
    ego_epic_clip *clip = ego__list_add(&t->rows);
    const char *verb = ego__table_field(t, VERB);
    uint64_t class = 0;
    if (!clip) return ego__no_memory();
    EGO_TRY(ego__table_name(t, ID, &clip->id));
    EGO_TRY(ego__table_name(t, PARTICIPANT, &clip->participant));
    EGO_TRY(ego__table_name(t, VIDEO, &clip->video));
    EGO_TRY(read_time(t, START, &clip->start));
    EGO_TRY(read_time(t, STOP, &clip->stop));
    EGO_TRY(ego__pack_string(&t->pack, ego__table_field(t, NARRATION), &clip->narration));
    if (*verb && !ego__parse_index(verb, strlen(verb), MAX_CLASS, &class))
        return ego__table_wrong(t, VERB, "a class");
    clip->verb = *verb ? (int32_t) class : -1;
    return read_nouns(t, clip);
}

static ego_err read_sentence(ego__table *t) {
    ego_epic_sentence *sentence = ego__list_add(&t->rows);
    if (!sentence) return ego__no_memory();
    EGO_TRY(ego__table_name(t, ID, &sentence->id));
    return ego__pack_string(&t->pack, ego__table_field(t, NARRATION), &sentence->narration);
}

ego_err ego_epic_clips_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                             ego_epic_clips *out) {
    static const ego__table_kind kind = {.delimiter = ',',
                                         .columns = columns,
                                         .count = CLIP_COLUMNS,
                                         .needed = (1u << (STOP + 1)) - 1,
                                         .item_bytes = sizeof(ego_epic_clip),
                                         .read_row = read_clip};
    void *items;
    size_t count, classless = 0;
    EGO_TRY(ego__table_parse(&kind, text, n, name, arena, &items, &count));
    const ego_epic_clip *clips = items;
    for (size_t i = 0; i < count; i++) classless += clips[i].verb < 0;
    *out = (ego_epic_clips){clips, count, classless};
    return EGO_OK;
}

ego_err ego_epic_clips_read(const char *path, ego_arena *arena, ego_epic_clips *out) {
    EGO__READ(path, ego_epic_clips_parse, arena, out);
}

ego_err ego_epic_sentences_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                                 ego_epic_sentences *out) {
    static const ego__table_kind kind = {.delimiter = ',',
                                         .columns = columns,
                                         .count = SENTENCE_COLUMNS,
                                         .needed = (1u << SENTENCE_COLUMNS) - 1,
                                         .item_bytes = sizeof(ego_epic_sentence),
                                         .read_row = read_sentence};
    void *items;
    size_t count;
    EGO_TRY(ego__table_parse(&kind, text, n, name, arena, &items, &count));
    *out = (ego_epic_sentences){items, count};
    return EGO_OK;
}

ego_err ego_epic_sentences_read(const char *path, ego_arena *arena, ego_epic_sentences *out) {
    EGO__READ(path, ego_epic_sentences_parse, arena, out);
}

/* ---- relevancy ----------------------------------------------------------------------------------- */

double ego_epic_relevancy(const ego_epic_clip *a, const ego_epic_clip *b) {
    size_t both = 0, i = 0, j = 0;
    while (i < a->noun_count && j < b->noun_count) {
        both += a->nouns[i] == b->nouns[j];
        if (a->nouns[i] < b->nouns[j])
            i++;
        else if (a->nouns[i] > b->nouns[j])
            j++;
        else
            i++, j++;
    }
    size_t either = a->noun_count + b->noun_count - both;
    double nouns = either ? (double)both / (double)either : 0;
    return ((a->verb >= 0 && a->verb == b->verb) + nouns) / 2;
}
