#include "train/log.h"

#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ego_err failed(const ego_train_log *log, const char *what) {
    return ego_fail(EGO_EIO, "%s: cannot be %s: %s", log->path, what, strerror(errno));
}

ego_err ego_train_log_open(const char *path, ego_train_log *log) {
    *log = (ego_train_log){.fd = -1, .path = strdup(path)};
    if (!log->path) return ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    log->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    return log->fd < 0 ? failed(log, "opened") : EGO_OK;
}

void ego_train_log_close(ego_train_log *log) {
    if (log->fd >= 0) close(log->fd);
    free(log->path);
    *log = (ego_train_log){.fd = -1};
}

ego_err ego_train_log_size(const ego_train_log *log, int64_t *bytes) {
    struct stat st;
    if (fstat(log->fd, &st) != 0) return failed(log, "read");
    *bytes = st.st_size;
    return EGO_OK;
}

/* A line that says no step belongs to whatever is before it. */
static bool is_after(const char *line, size_t n, int64_t step) {
    ego_json *root;
    int64_t at = 0;
    if (ego_json_parse(line, n, &root) != EGO_OK) return false;
    bool after = ego_json_integer(ego_json_get(root, "step"), &at) && at > step;
    ego_json_free(root);
    return after;
}

ego_err ego_train_log_cut(ego_train_log *log, int64_t step) {
    ego_map map;
    EGO_TRY(ego_map_open(log->path, &map));
    const char *text = (const char *)map.data, *end = text + map.size, *at = text, *newline;
    while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        if (is_after(at, (size_t)(newline - at), step)) break;
        at = newline + 1;
    }
    int64_t keep = at - text, all = (int64_t)map.size;
    ego_map_close(&map);
    if (keep < all && ftruncate(log->fd, keep) != 0) return failed(log, "cut");
    return EGO_OK;
}

ego_err ego_train_log_write(ego_train_log *log, ego_buf *object) {
    ego_buf_text(object, "}\n");
    ego_err err = ego_buf_err(object);
    const char *at = object->data;
    size_t left = object->len;
    while (err == EGO_OK && log->fd >= 0 && left) {
        ssize_t n = write(log->fd, at, left);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            err = failed(log, "written");
        } else {
            at += n;
            left -= (size_t)n;
        }
    }
    ego_buf_clear(object);
    return err;
}

ego_err ego_train_log_sync(const ego_train_log *log) {
    if (log->fd < 0 || fsync(log->fd) == 0 || errno == EINVAL || errno == ENOTSUP) return EGO_OK;
    return failed(log, "written");
}
