/* Embeddings to be searched, from whatever file holds them, each with the JSON text that came with it.
 *
 * Told apart by content: an embedding stream; .npy (rows of a matrix, or one vector); .fvecs by its name.
 * Beside FILE.npy or FILE.fvecs a FILE.jsonl may stand, one line for each vector. Regular files are
 * mapped: a million vectors are not read before they are looked at. Pipes are read to their end, or, for
 * queries or targets that are to be answered as they come, fed piece by piece.
 *
 * Records of a stream whose part is none of video, text and fused are notes about it, not vectors: passed
 * over, but for "calibration", which is kept.
 */
#ifndef EGO_TASK_VECTORS_H
#define EGO_TASK_VECTORS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "data/record.h"
#include "format/stream.h"
#include "task/calibration.h"
#include "task/match.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ego_vector_header {
    const char *text; /* a JSON object of `bytes` bytes; NULL: the vector came without */
    size_t bytes;
} ego_vector_header;

typedef struct ego_vectors {
    char *name;        /* the path, or "stdin" */
    ego_vector *items; /* (n); data NULL: that record of a stream has an error in its place */
    ego_vector_header *headers; /* (n) */
    size_t n, n_failed;         /* n_failed of the n have no data */
    uint64_t first;             /* index of items[0] since the beginning; 0 but for fed vectors */
    size_t dim;                 /* elements of every vector; 0 before the first */
    char *model, *layer;        /* what the headers say; NULL: nothing */
    char *
        damage; /* why the stream could not be read to its end; NULL: it could. Items are what came before */
    ego_calibration calibration; /* the stream's own; of several lists the first */
    bool many_lists;             /* there were several: it says nothing about all of it */

    /* private */
    size_t cap;
    bool any_model;
    const char *part;
    ego_stream *stream;
    ego_map map, lines;
    ego_buf bytes; /* of a pipe */
} ego_vectors;     /* {0} is safe to close */

/* The whole of a file, or of stdin for "-". part (not copied; NULL: all) keeps only records of that part
 * ("video"). Vectors of different lengths are an error; so are different models or layers in one file,
 * unless any_model. A stream that ends inside a record, or is damaged, gives what came before and
 * `damage`. Close in any case. */
ego_err ego_vectors_open(const char *path, const char *part, bool any_model, ego_vectors *vectors);
void ego_vectors_close(ego_vectors *vectors);
/* The same from all of a pipe's bytes, which are taken over: *bytes is {0} afterwards. */
ego_err ego_vectors_of_bytes(const char *name, ego_buf *bytes, const char *part, bool any_model,
                             ego_vectors *vectors);

/* A stream fed piece by piece: `data` begins where the last whole record ended (see *used) and stays the
 * caller's while the items are used. The items of the feed before are dropped. When `ended`, a record cut
 * short is damage; else it is left for the next feed. */
ego_err ego_vectors_open_feed(const char *name, const char *part, bool any_model,
                              ego_vectors *vectors);
ego_err ego_vectors_feed(ego_vectors *vectors, const uint8_t *data, size_t size, bool ended,
                         size_t *used);

/* One vector made here, with its JSON text; everything is copied. model and layer may be NULL. */
ego_err ego_vectors_one(const char *name, const char *header, const float *data, size_t dim,
                        const char *model, const char *layer, ego_vectors *vectors);

/* EGO_EINPUT, naming both, when the two cannot be compared: lengths differ, or model or layer do and
 * any_model is false. */
ego_err ego_vectors_comparable(const ego_vectors *a, const ego_vectors *b, bool any_model);

/* What came with vector i as a record: its id (the index from 0 when it came without), video, start, end,
 * text and extras. The stream's own members (part, model, dtype, …) are not among the extras. Release it. */
ego_err ego_vectors_record(const ego_vectors *vectors, size_t i, ego_record *record);

/* Why query i can have no answer, as EGO_EINPUT: it failed where it was made, or its embedding is not finite. */
ego_err ego_vectors_fault(const ego_vectors *vectors, size_t i);

#endif
