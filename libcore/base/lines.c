#include "base/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 1 << 16 };

struct ego_lines {
    char *name;
    int fd, wake_fd;
    bool ended;        /* read() said so */
    size_t limit;      /* longest line, in bytes */
    char *data;        /* cap + 1 bytes: room for a NUL after the last line */
    size_t cap;        /* bytes that fit */
    size_t start, end; /* what was read and not yet returned */
    size_t scanned;    /* no line end before this one */
    uint64_t number;
};

ego_err ego_lines_open(const char *path, size_t limit, int wake_fd, ego_lines **lines) {
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ego_fail(EGO_EIO, "%s: %s", path, strerror(errno));
    ego_lines *l = calloc(1, sizeof *l);
    if (l) {
        *l = (ego_lines){.fd = fd, .wake_fd = wake_fd, .limit = limit, .cap = BLOCK};
        l->name = strdup(standard ? "stdin" : path);
        l->data = malloc(l->cap + 1);
    }
    if (!l || !l->name || !l->data) {
        if (l)
            ego_lines_close(l);
        else if (!standard)
            close(fd);
        return ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    }
    *lines = l;
    return EGO_OK;
}

void ego_lines_close(ego_lines *l) {
    if (!l) return;
    if (l->fd != STDIN_FILENO) close(l->fd);
    free(l->name);
    free(l->data);
    free(l);
}

uint64_t ego_lines_number(const ego_lines *l) { return l->number; }
const char *ego_lines_name(const ego_lines *l) { return l->name; }

static char *line_end(const ego_lines *l) {
    return l->scanned < l->end ? memchr(l->data + l->scanned, '\n', l->end - l->scanned) : NULL;
}

bool ego_lines_paused(const ego_lines *l) {
    if (l->ended || line_end(l)) return false;
    struct pollfd in = {.fd = l->fd, .events = POLLIN};
    return poll(&in, 1, 0) == 0;
}

/* Moves what is left to the front and makes room for one more block, up to a line of `limit` bytes.
 */
static ego_err make_room(ego_lines *l) {
    if (l->start > 0) {
        memmove(l->data, l->data + l->start, l->end - l->start);
        l->end -= l->start;
        l->scanned -= l->start;
        l->start = 0;
    }
    if (l->end < l->cap) return EGO_OK;
    size_t cap = l->cap * 2;
    char *data = realloc(l->data, cap + 1);
    if (!data)
        return ego_fail(EGO_ENOMEM, "%s: out of memory in line %ju", l->name,
                        (uintmax_t)l->number + 1);
    l->data = data;
    l->cap = cap;
    return EGO_OK;
}

/* Waits for bytes and appends them; sets `ended` at the end. */
static ego_err read_more(ego_lines *l) {
    EGO_TRY(make_room(l));
    for (;;) {
        struct pollfd fds[2] = {{.fd = l->fd, .events = POLLIN},
                                {.fd = l->wake_fd, .events = POLLIN}};
        if (l->wake_fd >= 0) {
            if (poll(fds, 2, -1) < 0 && errno != EINTR)
                return ego_fail(EGO_EIO, "%s: %s", l->name, strerror(errno));
            if (fds[1].revents) return ego_fail(EGO_ECANCELLED, "%s: interrupted", l->name);
            if (!fds[0].revents) continue;
        }
        ssize_t n = read(l->fd, l->data + l->end, l->cap - l->end);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            if (errno == EAGAIN) poll(fds, 1, -1); /* somebody made the descriptor non-blocking */
            continue;
        }
        if (n < 0) return ego_fail(EGO_EIO, "%s: cannot be read: %s", l->name, strerror(errno));
        l->ended = n == 0;
        l->end += (size_t)n;
        return EGO_OK;
    }
}

/* Drops the rest of a line that grew beyond the limit. */
static ego_err skip_line(ego_lines *l) {
    char *at;
    while (!(at = line_end(l)) && !l->ended) {
        l->start = l->scanned = l->end;
        EGO_TRY(read_more(l));
    }
    l->start = l->scanned = at ? (size_t)(at + 1 - l->data) : l->end;
    return ego_fail(EGO_EINPUT, "line longer than the limit of %zu bytes", l->limit);
}

static bool is_blank(const char *text, size_t n) {
    size_t i = 0;
    while (i < n && (text[i] == ' ' || text[i] == '\t')) i++;
    return i == n;
}

ego_err ego_lines_next(ego_lines *l, char **text, size_t *n) {
    for (;;) {
        char *at;
        while (!(at = line_end(l)) && !l->ended) {
            l->scanned = l->end;
            if (l->end - l->start > l->limit) break;
            EGO_TRY(read_more(l));
        }
        size_t end = at ? (size_t)(at - l->data) : l->end;
        if (!at && l->ended && end == l->start)
            return ego_fail(EGO_EEND, "%s: no more lines", l->name);
        l->number++;
        if (end - l->start > l->limit) return skip_line(l);

        char *line = l->data + l->start;
        size_t length = end - l->start;
        l->start = l->scanned = at ? end + 1 : end;
        if (length && line[length - 1] == '\r') length--;
        if (l->number == 1 && length >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
            line += 3;
            length -= 3;
        }
        if (is_blank(line, length)) continue;
        line[length] = 0;
        *text = line;
        *n = length;
        return EGO_OK;
    }
}
