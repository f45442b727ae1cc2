#include "base/file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

ego_err ego_map_open(const char *path, ego_map *map) {
    ego_err err = EGO_OK;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ego_fail(EGO_EIO, "%s: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0) {
        err = ego_fail(EGO_EIO, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        err = ego_fail(EGO_EIO, "%s: expected a regular file, found a %s", path,
                       S_ISDIR(st.st_mode) ? "directory" : "device or pipe");
    } else if (st.st_size == 0) {
        *map = (ego_map){(const uint8_t *)"", 0};
    } else {
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            err = ego_fail(EGO_EIO, "%s: cannot be mapped: %s", path, strerror(errno));
        else
            *map = (ego_map){data, (size_t)st.st_size};
    }
    close(fd);
    return err;
}

void ego_map_close(ego_map *map) {
    if (map->size) munmap((void *)(uintptr_t)map->data, map->size);
    *map = (ego_map){0};
}

void ego_map_forget(const void *start, size_t bytes) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)start + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)start + bytes) / page * page;
    if (to > from) madvise((void *)from, to - from, MADV_DONTNEED);
}

ego_err ego_read_file(const char *path, size_t limit, ego_buf *buf) {
    bool standard = strcmp(path, "-") == 0;
    FILE *in = standard ? stdin : fopen(path, "rbe");
    if (!in) return ego_fail(EGO_EIO, "%s: %s", path, strerror(errno));
    ego_err err = EGO_OK;
    size_t start = buf->len, n;
    char block[1 << 14];
    while (err == EGO_OK && (n = fread(block, 1, sizeof block, in)) > 0) {
        ego_buf_append(buf, block, n);
        if (buf->len - start > limit)
            err = ego_fail(EGO_EINPUT, "%s: larger than the limit of %zu bytes", path, limit);
    }
    if (err == EGO_OK && ferror(in)) err = ego_fail(EGO_EIO, "%s: %s", path, strerror(errno));
    if (err == EGO_OK) err = ego_buf_err(buf);
    if (!standard) fclose(in);
    return err;
}

ego_err ego_outfile_open(const char *path, ego_outfile *out) {
    *out = (ego_outfile){0};
    size_t n = strlen(path) + 32;
    out->path = strdup(path);
    out->temporary = malloc(n);
    if (!out->path || !out->temporary) {
        ego_outfile_abort(out);
        return ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    }
    snprintf(out->temporary, n, "%s.tmp-%ld", path, (long)getpid());
    out->stream = fopen(out->temporary, "wbe");
    if (out->stream) return EGO_OK;
    ego_err err = ego_fail(EGO_EIO, "%s: cannot be written: %s", path, strerror(errno));
    ego_outfile_abort(out);
    return err;
}

static void outfile_release(ego_outfile *out) {
    free(out->path);
    free(out->temporary);
    *out = (ego_outfile){0};
}

/* Makes a rename in the directory of `path` last. Where directories cannot be opened or synced, nothing more
 * can be done. */
static bool sync_directory(char *path) {
    char *slash = strrchr(path, '/');
    char kept = slash ? slash[1] : 0;
    if (slash) slash[1] = 0; /* "/name" leaves "/" */
    int fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (slash) slash[1] = kept;
    if (fd < 0) return true;
    bool good = fsync(fd) == 0 || errno != EIO;
    close(fd);
    return good;
}

ego_err ego_outfile_commit(ego_outfile *out) {
    ego_err err = EGO_OK;
    errno = 0;
    bool bad = ferror(out->stream) | (fflush(out->stream) != 0);
    bad |= fsync(fileno(out->stream)) != 0 && errno != EINVAL && errno != ENOTSUP;
    bad |= fclose(out->stream) != 0;
    out->stream = NULL;
    if (bad || rename(out->temporary, out->path) != 0) {
        err = ego_fail(EGO_EIO, "%s: cannot be written: %s", out->path,
                       errno ? strerror(errno) : "write error");
        unlink(out->temporary);
    } else if (!sync_directory(out->path)) {
        err = ego_fail(EGO_EIO, "%s: its directory cannot be synced: %s", out->path, strerror(EIO));
    }
    outfile_release(out);
    return err;
}

void ego_outfile_abort(ego_outfile *out) {
    if (out->stream) {
        fclose(out->stream);
        unlink(out->temporary);
    }
    outfile_release(out);
}

ego_err ego_write_file(const char *path, const void *bytes, size_t n) {
    ego_outfile out;
    EGO_TRY(ego_outfile_open(path, &out));
    fwrite(bytes, 1, n, out.stream);
    return ego_outfile_commit(&out);
}

ego_err ego_make_directory(const char *path) {
    char *copy = strdup(path);
    if (!copy) return ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    ego_err err = EGO_OK;
    for (char *at = copy + 1; err == EGO_OK; at++) {
        if (*at != '/' && *at != 0) continue;
        char end = *at;
        *at = 0;
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            err = ego_fail(EGO_EIO, "%s: cannot be created: %s", copy, strerror(errno));
        *at = end;
        if (!end) break;
    }
    free(copy);
    return err;
}

bool ego_same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino &&
           S_ISREG(x.st_mode);
}

const char *ego_basename(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool ego_has_suffix(const char *path, const char *suffix) {
    size_t n = strlen(path), m = strlen(suffix);
    if (n < m) return false;
    for (size_t i = 0; i < m; i++)
        if (tolower((unsigned char)path[n - m + i]) != tolower((unsigned char)suffix[i])) return false;
    return true;
}
