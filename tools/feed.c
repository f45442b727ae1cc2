#include "feed.h"

#include "base/json.h"
#include "format/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ego_err ego_feed_open(const char *path, int *fd, const char **name) {
    struct stat st;
    bool standard = strcmp(path, "-") == 0;
    *name = standard ? "stdin" : path;
    *fd = standard ? STDIN_FILENO : -1;
    if (standard || stat(path, &st) != 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) return EGO_OK;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    return *fd >= 0 ? EGO_OK : ego_fail(EGO_EIO, "%s: %s", path, strerror(errno));
}

void ego_feed_close(int fd) {
    if (fd >= 0 && fd != STDIN_FILENO) close(fd);
}

ego_err ego_feed_some(int fd, ego_buf *bytes, bool *ended) {
    enum { BLOCK = 1 << 16, MOST = 1 << 24 };
    static char block[BLOCK];
    size_t start = bytes->len;
    do {
        ssize_t n = read(fd, block, BLOCK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return ego_fail(EGO_EIO, "queries: cannot be read: %s", strerror(errno));
        ego_buf_append(bytes, block, (size_t)n);
        *ended = n == 0;
    } while (!*ended && bytes->len - start < MOST && !ego_cli_would_wait(fd));
    return ego_buf_err(bytes);
}

ego_err ego_feed_rest(int fd, ego_buf *bytes) {
    bool ended = false;
    while (!ended) EGO_TRY(ego_feed_some(fd, bytes, &ended));
    return EGO_OK;
}

ego_err ego_feed_is_live(ego_cli *cli, int fd, ego_buf *bytes, bool *live) {
    bool ended = false;
    const char *end = NULL;
    *live = false;
    while (!end && !ended && bytes->len < EGO_STREAM_MAX_HEADER && ego_cli_wait(cli, fd)) {
        EGO_TRY(ego_feed_some(fd, bytes, &ended));
        if (!bytes->len || bytes->data[0] != '{') return EGO_OK;
        end = memchr(bytes->data, '\n', bytes->len);
    }
    ego_json *header;
    if (!end || ego_json_parse(bytes->data, (size_t)(end - bytes->data), &header) != EGO_OK) return EGO_OK;
    bool says = false;
    *live = ego_json_bool(ego_json_get(header, "live"), &says) && says;
    ego_json_free(header);
    return EGO_OK;
}
