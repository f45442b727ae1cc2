/* A record: one clip, one narration, or both, and what is to be carried along with them.
 *
 *     {"id":"a1","video":"kitchen.mp4","start":12.0,"end":14.5,"text":"#C C picks up the
 * cup","mine":[1]}
 *
 * Members that are understood: id (a string or number; the line number when absent), video with
 * start and end in seconds (both optional: the whole file), or frames (a .npy) in the place of
 * video; text, or tokens (integer ids, special tokens included). What a tool reads besides
 * (`choices`) it names in its rules and finds in `json`. Every other member is an extra: carried to
 * the output byte for byte.
 *
 * An ego_record owns all it points to, until ego_record_release; it does not need the line it was
 * read from any more.
 */
#ifndef EGO_DATA_RECORD_H
#define EGO_DATA_RECORD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which of the record's own members are meant; sets of them. */
enum {
    EGO_RECORD_VIDEO = 1,
    EGO_RECORD_START = 2,
    EGO_RECORD_END = 4,
    EGO_RECORD_FRAMES = 8,
    EGO_RECORD_TEXT = 16,
    EGO_RECORD_TOKENS = 32,
    EGO_RECORD_CLIP = EGO_RECORD_VIDEO | EGO_RECORD_START | EGO_RECORD_END | EGO_RECORD_FRAMES,
    EGO_RECORD_ALL = 63
};

enum { EGO_RECORD_MAX_MEMBERS = 1024 };

typedef struct ego_record {
    char *label;  /* "clips.jsonl:12", for messages */
    char *id;     /* JSON text as it stood in the line ("\"a1\"" with its quotes), or the number */
    unsigned has; /* EGO_RECORD_… members that are present */
    const char *video;  /* NULL when absent; so are frames, text and tokens */
    const char *frames; /* path of a .npy */
    double start, end;  /* seconds; 0 where absent: see `has` */
    const char *text;   /* UTF-8 */
    const int64_t *tokens;
    size_t n_tokens;
    const ego_json *json; /* the whole object; NULL for a record made from a media argument */

    /* private */
    char *source;         /* the line; spans count from its start */
    ego_json_span own[6]; /* where the members of `has` stand, by bit number */
    ego_json_span *extras;
    size_t n_extras;
    ego_json *root;
    int64_t *token_memory;
    char *path_memory;
} ego_record; /* {0} is an empty record, safe to release */

/* What a tool does with members. Lists end in NULL; a NULL list is empty. */
typedef struct ego_record_rules {
    const char *const *reads;  /* input members it reads from `json` itself: not carried */
    const char *const *writes; /* members of its output (besides id, error, provenance): an extra of
                                  such a name is an error */
} ego_record_rules;

/* Reads one line. `file` and `line` are for the label; `number` is the id of a record without one:
 * the line's number over all inputs, so that `tool a b` and `cat a b | tool` give the same ids. On
 * failure (EGO_EFORMAT: not a JSON object; EGO_EINPUT: a member is wrong) label and id are set all
 * the same, where memory allows. The message does not repeat the label: it goes into the error
 * line, which must not depend on how the record arrived. Release in either case. */
ego_err ego_record_parse(const char *text, size_t n, const char *file, uint64_t line,
                         uint64_t number, const ego_record_rules *rules, ego_record *record);
void ego_record_release(ego_record *record);

/* A record for a media file named as an argument: all of it, with the path for id, or the window
 * [start, end) with the id PATH#t=START,END. */
ego_err ego_record_whole(const char *path, ego_record *record);
ego_err ego_record_window(const char *path, double start, double end, ego_record *record);

/* Windows of `window` seconds every `stride` seconds from 0, the last one cut at the end, none
 * beyond the first that reaches it. All arguments > 0; at least one window. */
size_t ego_window_count(double duration, double window, double stride);

/* PATH#t=START,END with as few decimals as tell microseconds apart: "kitchen.mp4#t=2,6.5". */
void ego_media_id(ego_buf *id, const char *path, double start, double end);

/* An output line: begin writes {"id":…, the tool appends its own members with ego_buf_json_key, and
 * close adds the record's own members that are in the set `own` and present, then the extras, each
 * byte for byte, and "}" (no newline). */
void ego_record_begin(const ego_record *record, ego_buf *line);
void ego_record_close(const ego_record *record, unsigned own, ego_buf *line);
/* Only the record's own members of that set, each behind a comma. */
void ego_record_carry(const ego_record *record, unsigned own, ego_buf *line);

/* {"id":…,"error":"…"} (no newline). */
void ego_record_error(const ego_record *record, const char *message, ego_buf *line);

#endif
