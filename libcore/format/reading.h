/* What the annotation readers are made of: a file's text, small pieces packed into an arena,
 * growing arrays, numbers, tag lists, and members of JSON objects with messages. Inside libego
 * only.
 */
#ifndef EGO_FORMAT_READING_H
#define EGO_FORMAT_READING_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "format/annotations.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- a whole file as text: mapped if it can be, else read ---- */

typedef struct ego__source {
    const char *text;
    size_t n;
    ego_map map;
    ego_buf buf;
} ego__source;

ego_err ego__source_open(const char *path, ego__source *source);
void ego__source_close(ego__source *source);

/* Calls `parse`, a reader's parse function, on the file's text. */
#define EGO__READ(path, parse, arena, out)                                                         \
    do {                                                                                           \
        ego__source source_;                                                                       \
        EGO_TRY(ego__source_open((path), &source_));                                               \
        ego_err err_ = parse(source_.text, source_.n, (path), (arena), (out));                     \
        ego__source_close(&source_);                                                               \
        return err_;                                                                               \
    } while (0)

ego_err ego__check_size(size_t n, size_t most, const char *name);

/* Parses the text as JSON; the top must be an object (or array). */
ego_err ego__parse_json(const char *text, size_t n, const char *name, bool array, ego_json **root);

/* ---- packing ----
 *
 * Arenas align everything to 64 bytes; millions of short strings would mostly be padding. A pack
 * takes larger pieces from the arena and cuts them. NULL when memory ran out. */

typedef struct ego__pack {
    ego_arena *arena;
    char *at;
    size_t left;
} ego__pack; /* {arena} is ready */

void *ego__pack_alloc(ego__pack *pack, size_t bytes, size_t align);
char *ego__pack_text(ego__pack *pack, const char *text, size_t n); /* a NUL behind it */
/* The same for a C string into *out, with the error. */
ego_err ego__pack_string(ego__pack *pack, const char *text, const char **out);

/* ---- arrays that grow outside the arena and end in it ---- */

typedef struct ego__list {
    void *items;
    size_t count, cap, size; /* size: of one item */
} ego__list;

/* Room for one more, cleared, counted; NULL when memory ran out. It moves when the next one comes.
 */
void *ego__list_add(ego__list *list);
/* Copies the items into the arena and releases the list; EGO_OK and NULL for none. */
ego_err ego__list_finish(ego__list *list, ego_arena *arena, void **items);
void ego__list_release(ego__list *list);

/* ---- values ---- */

ego_err ego__no_memory(void);

/* A decimal integer from 0 to most and nothing else. */
bool ego__parse_index(const char *text, size_t n, uint64_t most, uint64_t *value);
/* "[192, 115]" as Python prints it, every element below `limit`. */
ego_err ego__parse_tags(ego__pack *pack, const char *text, unsigned limit, ego_tags *tags);

/* Steps through lines without their ends (\n or \r\n); false behind the last. */
bool ego__next_line(const char *text, size_t n, size_t *at, const char **line, size_t *length);

/* ---- JSON members ----
 *
 * Messages read "'key': a string expected, found nothing"; callers put in front where the object
 * is. */

ego_err ego__member_string(const ego_json *object, const char *key, ego__pack *pack,
                           const char **value);
ego_err ego__member_number(const ego_json *object, const char *key, double *value);
ego_err ego__member_index(const ego_json *object, const char *key, int64_t most, int64_t *value);
/* Absent or null: NULL, NaN. */
ego_err ego__optional_string(const ego_json *object, const char *key, ego__pack *pack,
                             const char **value);
ego_err ego__optional_number(const ego_json *object, const char *key, double *value);
/* Present: of that kind; absent or null: *member is NULL. */
ego_err ego__member_array(const ego_json *object, const char *key, const ego_json **member);
ego_err ego__member_object(const ego_json *object, const char *key, const ego_json **member);
/* An array of strings; a member that is absent gives none. */
ego_err ego__member_strings(const ego_json *object, const char *key, ego__pack *pack,
                            const char *const **values, size_t *count);
ego_err ego__expected(const char *key, const char *what, const ego_json *found);

#endif
