/* What the readers of the benchmarks' own files share (egoclip.h egomcq.h nlq.h taskqa.h qfvs.h).
 *
 * Each has a read function for a path ("-" and pipes work too) and a parse function for text in
 * memory, whose `name` appears in messages. Everything they return lives in the caller's arena and
 * nothing in it points elsewhere; on failure the arena may have grown, the results are untouched.
 * Order is the file's. Members and columns that a reader does not know are passed over. A fault is
 * EGO_EFORMAT with the file, the line or the keys that lead there, what was expected and what was
 * found. Times are seconds.
 */
#ifndef EGO_FORMAT_ANNOTATIONS_H
#define EGO_FORMAT_ANNOTATIONS_H

#include <stddef.h>
#include <stdint.h>

/* No reader takes a larger file, nor a JSON file larger than the second (its tree is many times as large)
 * or more lines of names or shots than the third. */
enum {
    EGO_ANNOTATIONS_MAX_BYTES = 1 << 30,
    EGO_ANNOTATIONS_MAX_JSON = 1 << 28,
    EGO_ANNOTATIONS_MAX_LINES = 1 << 24
};

/* EgoClip's tag sets: the classes that verbs and nouns are numbered by. */
enum { EGO_VERB_TAGS = 118, EGO_NOUN_TAGS = 582 };

typedef struct ego_tags {
    const uint16_t *ids; /* as written, duplicates included */
    size_t count;
} ego_tags;

/* A stretch of a video and what is said of it: a row of egoclip.csv, a side of an EgoMCQ question.
 */
typedef struct ego_narrated_clip {
    const char *video; /* uid */
    const char *text;
    double start, end;     /* of the clip, from the video's beginning */
    double narration_time; /* NaN where the file does not tell */
    ego_tags verbs, nouns; /* below EGO_VERB_TAGS and EGO_NOUN_TAGS */
} ego_narrated_clip;

#endif
