#include "base/partial.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static ego_err name_files(const char *path, ego_partial *p) {
    ego_buf_text(&p->whole, path);
    ego_buf_printf(&p->path, "%s.part", path);
    ego_buf_printf(&p->made_path, "%s.part.json", path);
    EGO_TRY(ego_buf_err(&p->whole));
    EGO_TRY(ego_buf_err(&p->path));
    return ego_buf_err(&p->made_path);
}

static ego_err open_locked(ego_partial *p) {
    int fd = open(p->path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || !(p->stream = fdopen(fd, "r+b"))) {
        if (fd >= 0) close(fd);
        return ego_fail(EGO_EIO, "%s: cannot be written: %s", p->path.data, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return ego_fail(EGO_EIO, "%s: another run is writing it", p->path.data);
    return EGO_OK;
}

/* The same model and options, or the two halves would not belong together. */
static ego_err check_made(const ego_partial *p, const char *made) {
    ego_buf before = {0};
    ego_err err = ego_read_file(p->made_path.data, 1 << 20, &before);
    if (err == EGO_OK && strcmp(before.data ? before.data : "", made) != 0)
        err = ego_fail(EGO_EINPUT, "%s was begun with another model or other options: %s",
                       p->path.data, before.data ? before.data : "");
    ego_buf_release(&before);
    return err;
}

static ego_err begin(const ego_partial_options *o, ego_partial *p) {
    EGO_TRY(name_files(o->path, p));
    EGO_TRY(open_locked(p));
    int fd = fileno(p->stream);
    uint64_t keep = 0;
    if (o->resume && lseek(fd, 0, SEEK_END) > 0) {
        EGO_TRY(check_made(p, o->made));
        EGO_TRY(o->walk(o->context, p->path.data, &keep));
    }
    if (ftruncate(fd, (off_t)keep) != 0 || fseeko(p->stream, (off_t)keep, SEEK_SET) != 0)
        return ego_fail(EGO_EIO, "%s: cannot be cut: %s", p->path.data, strerror(errno));
    return ego_write_file(p->made_path.data, o->made, strlen(o->made));
}

ego_err ego_partial_open(const ego_partial_options *options, ego_partial *partial) {
    *partial = (ego_partial){0};
    ego_err err = begin(options, partial);
    if (err != EGO_OK) ego_partial_close(partial);
    return err;
}

ego_err ego_partial_commit(ego_partial *p) {
    bool bad = ferror(p->stream) | (fflush(p->stream) != 0);
    bad |= fsync(fileno(p->stream)) != 0 && errno != EINVAL && errno != ENOTSUP;
    if (!bad) bad = rename(p->path.data, p->whole.data) != 0;
    if (bad)
        return ego_fail(EGO_EIO, "%s: cannot be written: %s", p->whole.data, strerror(errno));
    unlink(p->made_path.data);
    return EGO_OK;
}

void ego_partial_close(ego_partial *p) {
    if (p->stream) fclose(p->stream);
    ego_buf_release(&p->whole);
    ego_buf_release(&p->path);
    ego_buf_release(&p->made_path);
    *p = (ego_partial){0};
}
