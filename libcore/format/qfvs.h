/* Query-focused video summaries: the shots' concepts and the summaries people made.
 *
 * Dense_per_shot_tags/P0v/P0v.txt: line k holds the concepts of shot k, separated by commas.
 * Oracle_Summaries/P0v/A_B_oracle.txt: for the query of the concepts A and B a shot per line,
 * counted from 1 in the file and from 0 here. A shot lasts 5 seconds.
 * Tags.mat: a struct for each video, whose field Bin_Vecs is a cell for each shot, whose numbers tell of each of 48
 * concepts whether it is there (format/matfile.h).
 */
#ifndef EGO_FORMAT_QFVS_H
#define EGO_FORMAT_QFVS_H

#include "base/arena.h"
#include "base/err.h"
#include "format/annotations.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ego_qfvs_shot {
    const char *const *concepts; /* as written, blanks around them taken off */
    size_t count;                /* 0 for an empty line */
} ego_qfvs_shot;

typedef struct ego_qfvs_tags {
    const ego_qfvs_shot *shots;
    size_t count;
} ego_qfvs_tags;

ego_err ego_qfvs_tags_read(const char *path, ego_arena *arena, ego_qfvs_tags *out);
ego_err ego_qfvs_tags_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                            ego_qfvs_tags *out);

typedef struct ego_qfvs_oracle {
    const char *a, *b;     /* the query's two concepts, out of the file's name */
    const uint32_t *shots; /* from 0, in the file's order */
    size_t count;
} ego_qfvs_oracle;

/* The name of the file must be A_B_oracle.txt. */
ego_err ego_qfvs_oracle_read(const char *path, ego_arena *arena, ego_qfvs_oracle *out);
ego_err ego_qfvs_oracle_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                              ego_qfvs_oracle *out);

/* Tags.mat's account of a video. */
typedef struct ego_qfvs_vectors {
    const uint8_t *bits; /* (shots, concepts): 0 or 1 */
    size_t shots, concepts;
} ego_qfvs_vectors;

/* Of all its videos, in the file's order. */
ego_err ego_qfvs_vectors_read(const char *path, ego_arena *arena, const ego_qfvs_vectors **videos,
                              size_t *count);

#endif
