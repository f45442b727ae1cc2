/* The log of a run: JSON lines, each one write, that can be cut back to a step.
 *
 * Lines carry "step" and are written in rising order of it. Whoever was killed leaves at most one cut line,
 * the last.
 */
#ifndef EGO_TRAIN_LOG_H
#define EGO_TRAIN_LOG_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

typedef struct ego_train_log {
    int fd; /* -1: none, lines go nowhere */
    char *path;
} ego_train_log;

ego_err ego_train_log_open(const char *path, ego_train_log *log); /* made when missing */
void ego_train_log_close(ego_train_log *log); /* safe after a failed open and twice */

/* Bytes in it now. */
ego_err ego_train_log_size(const ego_train_log *log, int64_t *bytes);
/* Drops the first line with a higher "step" and all after it, and a cut last line. */
ego_err ego_train_log_cut(ego_train_log *log, int64_t step);
/* Writes a JSON object that lacks its closing brace: adds that and a newline, and clears the buffer. */
ego_err ego_train_log_write(ego_train_log *log, ego_buf *object);
/* What was written is on the disk. */
ego_err ego_train_log_sync(const ego_train_log *log);

#endif
