/* The embedding stream: the binary that flows through pipes.
 *
 * A sequence of records with nothing between them. A record is one line of JSON, padded with spaces to a
 * multiple of 64 bytes so that what follows is aligned, then the raw little-endian elements:
 *
 *     {"id":"a1","part":"video","model":"…","dtype":"f32","shape":[256],"video":"kitchen.mp4"}   \n
 *     1024 bytes
 *
 * "id" is any JSON value; "part" is video, text or fused; "dtype" is f32, f16, or i8 with "scale" (value =
 * scale × element); other members are the record's own. A record with "error" has no elements and needs
 * no part, model, dtype or shape. Padding is not required of other writers: what is not aligned is copied.
 *
 * Because records stand alone, files may be concatenated and appended to, and a cut stream is noticed at
 * the record where it happens.
 */
#ifndef EGO_FORMAT_STREAM_H
#define EGO_FORMAT_STREAM_H

#include "base/err.h"
#include "base/json.h"
#include "tensor/tensor.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    EGO_STREAM_MAX_HEADER = 1 << 20,   /* bytes of the JSON line */
    EGO_STREAM_MAX_ELEMENTS = 1 << 30, /* bytes after it */
};

typedef struct ego_stream_record {
    const char *id; /* the JSON value as written, quotes included */
    size_t id_bytes;
    const char *part, *model; /* NULL when absent, which only a failed record may be */
    const char *error;        /* why the record failed; NULL: it did not */
    float scale;              /* of I8 elements; 1 for others */
    ego_tensor tensor;        /* F32, F16 or I8; empty with data NULL when it failed */

    /* Only from a reader: */
    const char *header; /* the line as it came, without the newline */
    size_t header_bytes;
    const ego_json *json;    /* the same, parsed */
    uint64_t number, offset; /* of this record: from 1; in bytes from the start */
} ego_stream_record;

typedef struct ego_stream ego_stream;

/* A file is mapped where it is a regular one, and its records' elements live until the close; "-" (stdin)
 * and pipes are read as they come, and elements live until the next call, as all other pointers of
 * a record do in both cases. */
ego_err ego_stream_open(const char *path, ego_stream **stream);
/* Reads from `in`, which stays the caller's; `name` is for messages. */
ego_err ego_stream_open_pipe(FILE *in, const char *name, ego_stream **stream);
/* Reads bytes that the caller fetches. ego_stream_feed gives what is there now: it replaces what was given
 * before, begins where the last whole record ended, stays the caller's, and lives as long as elements are
 * used. When ego_stream_next fails and ego_stream_was_cut, the rest of that record may still come: feed
 * again, with more behind the same beginning. */
ego_err ego_stream_open_feed(const char *name, ego_stream **stream);
void ego_stream_feed(ego_stream *stream, const uint8_t *data, size_t size);
bool ego_stream_was_cut(const ego_stream *stream);
void ego_stream_close(ego_stream *stream); /* takes NULL */
bool ego_stream_is_mapped(const ego_stream *stream);

/* The next record; EGO_EEND after the last whole one when nothing follows it. EGO_EFORMAT names the
 * record, the bytes expected and the bytes found; nothing can be read after it. */
ego_err ego_stream_next(ego_stream *stream, ego_stream_record *record);

/* Elements as float32, the scale applied; out holds ego_tensor_count(&record->tensor). */
void ego_stream_to_f32(const ego_stream_record *record, float *out);

/* Writes one record: id, part, model, error, scale and tensor count. `extra` is the text of further
 * members without the braces ("\"start\":1,\"text\":\"…\""), NULL or "" for none; it must be valid and hold no
 * member written here. Neither it nor the id may hold a newline: the header is one line. */
ego_err ego_stream_write(FILE *out, const ego_stream_record *record, const char *extra);

/* For --resume: the bytes up to the end of the last whole record, and how many records that is. The rest,
 * if any, was cut while being written. What is damaged otherwise, or no stream, is an error. */
ego_err ego_stream_whole(const char *path, uint64_t *bytes, uint64_t *records);

/* Reads from bytes in memory, which stay the caller's, as from a mapped file; for tests. */
ego_err ego__stream_open_memory(const uint8_t *data, size_t size, ego_stream **stream);

#endif
