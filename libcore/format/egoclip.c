#include "format/egoclip.h"

#include "base/options.h"
#include "format/csv.h"
#include "format/reading.h"

#include <string.h>

enum { VIDEO, NARRATION_TIME, START, END, TEXT, VERBS, NOUNS, COLUMNS };
static const char *const column_names[COLUMNS] = {
    "video_uid", "narration_time", "clip_start", "clip_end", "clip_text", "tag_verb", "tag_noun"};

typedef struct reader {
    const char *name;
    ego__csv csv;
    size_t columns[COLUMNS]; /* where each stands */
    size_t fields;           /* in the header */
    ego__pack pack;
    ego__list clips; /* ego_narrated_clip */
    ego_egoclip out;
} reader;

static ego_err read_header(reader *r) {
    ego_err err = ego__csv_next(&r->csv);
    if (err == EGO_EEND)
        return ego_fail(EGO_EFORMAT, "%s: a header line expected, found nothing", r->name);
    if (err != EGO_OK) return ego_fail_context(err, "%s", r->name);
    r->fields = r->csv.count;
    for (size_t k = 0; k < COLUMNS; k++) {
        if (!ego__csv_find(&r->csv, column_names[k], &r->columns[k]))
            return ego_fail(EGO_EFORMAT,
                            "%s line %zu: a tab-separated header with '%s' expected, found '%.60s' "
                            "and %zu more columns",
                            r->name, r->csv.line, column_names[k], ego__csv_field(&r->csv, 0),
                            r->fields - 1);
    }
    return EGO_OK;
}

static ego_err read_time(const reader *r, int column, double *value) {
    const char *text = ego__csv_field(&r->csv, r->columns[column]);
    if (ego_parse_number(text, value)) return EGO_OK;
    return ego_fail(EGO_EFORMAT, "%s: a number expected, found '%.60s'", column_names[column],
                    text);
}

/* Rows of one video follow each other: they share its name. */
static ego_err read_video(reader *r, const char **video) {
    const char *text = ego__csv_field(&r->csv, r->columns[VIDEO]);
    const ego_narrated_clip *clips = r->clips.items;
    const char *previous = r->clips.count ? clips[r->clips.count - 1].video : NULL;
    if (!*text)
        return ego_fail(EGO_EFORMAT, "%s: a name expected, found nothing", column_names[VIDEO]);
    if (previous && strcmp(previous, text) == 0) return *video = previous, EGO_OK;
    return ego__pack_string(&r->pack, text, video);
}

static ego_err read_tags(reader *r, int column, unsigned limit, ego_tags *tags) {
    const char *text = ego__csv_field(&r->csv, r->columns[column]);
    ego_err err = ego__parse_tags(&r->pack, text, limit, tags);
    return err == EGO_OK ? err : ego_fail_context(err, "%s", column_names[column]);
}

static ego_err read_row(reader *r, ego_narrated_clip *clip) {
    if (r->csv.count != r->fields)
        return ego_fail(EGO_EFORMAT, "%zu fields expected, found %zu", r->fields, r->csv.count);
    if (r->csv.has_nul) return ego_fail(EGO_EFORMAT, "text expected, found a NUL byte");
    EGO_TRY(read_time(r, NARRATION_TIME, &clip->narration_time));
    EGO_TRY(read_time(r, START, &clip->start));
    EGO_TRY(read_time(r, END, &clip->end));
    if (clip->end < clip->start)
        return ego_fail(EGO_EFORMAT, "an end after the start %g expected, found %g", clip->start,
                        clip->end);
    EGO_TRY(read_tags(r, VERBS, EGO_VERB_TAGS, &clip->verbs));
    EGO_TRY(read_tags(r, NOUNS, EGO_NOUN_TAGS, &clip->nouns));
    EGO_TRY(read_video(r, &clip->video));
    return ego__pack_string(&r->pack, ego__csv_field(&r->csv, r->columns[TEXT]), &clip->text);
}

static ego_err count_malformed(reader *r) {
    if (r->out.malformed++) return EGO_OK;
    ego_fail_context(EGO_EFORMAT, "%s line %zu", r->name, r->csv.line);
    return ego__pack_string(&r->pack, ego_err_message(), &r->out.first_fault);
}

static ego_err read_rows(reader *r) {
    for (;;) {
        ego_err err = ego__csv_next(&r->csv);
        if (err == EGO_EEND) return EGO_OK;
        if (err != EGO_OK) return ego_fail_context(err, "%s", r->name);
        ego_narrated_clip clip = {0};
        err = read_row(r, &clip);
        if (err == EGO_OK) {
            ego_narrated_clip *added = ego__list_add(&r->clips);
            if (!added) return ego__no_memory();
            *added = clip;
        } else if (err == EGO_EFORMAT) {
            EGO_TRY(count_malformed(r));
        } else {
            return err;
        }
    }
}

ego_err ego_egoclip_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                          ego_egoclip *out) {
    reader r = {
        .name = name, .pack = {arena, NULL, 0}, .clips = {.size = sizeof(ego_narrated_clip)}};
    ego_err err;
    void *clips = NULL;
    EGO_TRY(ego__check_size(n, EGO_ANNOTATIONS_MAX_BYTES, name));
    ego__csv_init(&r.csv, text, n, '\t');
    EGO_TRY_OUT(read_header(&r));
    EGO_TRY_OUT(read_rows(&r));
    if (!r.clips.count) {
        err = ego_fail(EGO_EFORMAT, "%s: no row could be read of %zu%s%s", name, r.out.malformed,
                       r.out.malformed ? "; the first: " : "",
                       r.out.malformed ? r.out.first_fault : "");
        goto out;
    }
    r.out.count = r.clips.count;
    EGO_TRY_OUT(ego__list_finish(&r.clips, arena, &clips));
    r.out.clips = clips;
    *out = r.out;
out:
    ego__list_release(&r.clips);
    ego__csv_release(&r.csv);
    return err;
}

ego_err ego_egoclip_read(const char *path, ego_arena *arena, ego_egoclip *out) {
    EGO__READ(path, ego_egoclip_parse, arena, out);
}
