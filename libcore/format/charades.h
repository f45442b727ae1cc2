/* Charades-Ego: videos with the actions in them.
 *
 * CharadesEgo_v1_{train,test}_only1st.csv, comma-separated with a header of which `id` and `actions` are
 * read; actions are "c009 0.0 4.2;c011 1.2 8.0" (class, start and end in seconds), or nothing.
 * metadata_train.csv, tab-separated, columns id, cls, t_start, t_end, narration: a line an action.
 * Charades_v1_classes.txt: "c000 Holding some clothes", the class being the number of the line, from 0.
 */
#ifndef EGO_FORMAT_CHARADES_H
#define EGO_FORMAT_CHARADES_H

#include "base/arena.h"
#include "base/err.h"
#include "format/annotations.h"

#include <stddef.h>
#include <stdint.h>

enum { EGO_CHARADES_CLASSES = 157, EGO_CHARADES_MAX_CLASSES = 1000 }; /* published; c000 to c999 */

typedef struct ego_charades_action {
    uint16_t action;   /* its class, below EGO_CHARADES_MAX_CLASSES */
    double start, end; /* seconds; as written, the end may lie behind the video's */
} ego_charades_action;

typedef struct ego_charades_video {
    const char *id;
    const ego_charades_action *actions;
    size_t count;
} ego_charades_video;

typedef struct ego_charades {
    const ego_charades_video *videos;
    size_t count;
} ego_charades;

ego_err ego_charades_read(const char *path, ego_arena *arena, ego_charades *out);
ego_err ego_charades_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                           ego_charades *out);

typedef struct ego_charades_row {
    const char *id;
    ego_charades_action action;
    const char *narration;
} ego_charades_row;

typedef struct ego_charades_rows {
    const ego_charades_row *rows;
    size_t count;
} ego_charades_rows;

ego_err ego_charades_rows_read(const char *path, ego_arena *arena, ego_charades_rows *out);
ego_err ego_charades_rows_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                                ego_charades_rows *out);

typedef struct ego_charades_classes {
    const char *const *names; /* "Holding some clothes" */
    size_t count;
} ego_charades_classes;

ego_err ego_charades_classes_read(const char *path, ego_arena *arena, ego_charades_classes *out);
ego_err ego_charades_classes_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                                   ego_charades_classes *out);

#endif
