/* JSON lines in a file, an object each, that an interrupted run leaves so that the next goes on behind the
 * last whole one (base/partial.h): what a stream of embeddings has, for answers.
 *
 *     ego_line_file_open(&(ego_line_file_options){path, made, resume}, &file);
 *     while (there are records)
 *         if ((err = ego_line_file_next(file, &line)) == EGO_OK) …this record has its line: is it its own?…
 *         else if (err == EGO_EEND) …compute…, ego_line_file_write(file, &text);
 *     ego_line_file_commit(file);
 *     ego_line_file_close(file);
 *
 * A line is whole when it has its end and is one JSON object; what stands behind the last such is cut off.
 */
#ifndef EGO_FORMAT_LINE_FILE_H
#define EGO_FORMAT_LINE_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ego_line_file_options {
    const char *path;
    const char *made; /* the model and options that make the lines; see base/partial.h */
    bool resume;
} ego_line_file_options;

typedef struct ego_line_file ego_line_file;

/* Errors as of ego_partial_open. */
ego_err ego_line_file_open(const ego_line_file_options *options, ego_line_file **file);
/* Without a commit PATH.part stays. Takes NULL. */
void ego_line_file_close(ego_line_file *file);

/* Lines that an interrupted run wrote, and those of them with an "error"; 0 without resume. */
uint64_t ego_line_file_done(const ego_line_file *file);
uint64_t ego_line_file_failed(const ego_line_file *file);

/* Those lines one after the other: each lives until the next call or the close. EGO_EEND after the last. */
ego_err ego_line_file_next(ego_line_file *file, const ego_json **line);

/* Appends the text and a newline, and empties it. */
ego_err ego_line_file_write(ego_line_file *file, ego_buf *text);
/* Hands what was written to the system: an interruption from now on leaves it there. */
ego_err ego_line_file_flush(ego_line_file *file);
/* The file is whole. EGO_EINPUT when lines of an interrupted run were not asked for: there were more records
 * then than now. */
ego_err ego_line_file_commit(ego_line_file *file);

#endif
