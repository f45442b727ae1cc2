/* Lines of text from a file or pipe, bounded in length, read as they arrive.
 *
 * Reading goes straight to the file descriptor, so that a tool can tell "nothing more yet" from
 * "the end" and flush what it has before it waits. Lines end in \n or \r\n; a last line without one
 * counts; a UTF-8 byte order mark at the start is dropped; lines of nothing but blanks are skipped
 * (and counted).
 */
#ifndef EGO_BASE_LINES_H
#define EGO_BASE_LINES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ego_lines ego_lines;

/* "-" is stdin, called "stdin" in messages. A line of more than `limit` bytes is an error. When
 * wake_fd is not -1, ego_lines_next stops waiting as soon as that descriptor becomes readable (the
 * self-pipe of a signal handler). `path` is copied. */
ego_err ego_lines_open(const char *path, size_t limit, int wake_fd, ego_lines **lines);
void ego_lines_close(ego_lines *lines); /* takes NULL; leaves stdin open */

/* The next line, NUL-terminated and without its end; it lives until the next call and may be
 * changed by the caller. EGO_EEND after the last; EGO_EINPUT for a line too long, after which the
 * next call goes on behind it; EGO_ECANCELLED when wake_fd became readable; EGO_EIO when reading
 * failed. */
ego_err ego_lines_next(ego_lines *lines, char **text, size_t *n);

/* The number, from 1, of the line that ego_lines_next last returned or refused. */
uint64_t ego_lines_number(const ego_lines *lines);
const char *ego_lines_name(const ego_lines *lines);

/* True when ego_lines_next would have to wait for whoever writes the other end. */
bool ego_lines_paused(const ego_lines *lines);

#endif
