#include "format/line_file.h"

#include "base/file.h"
#include "base/partial.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct ego_line_file {
    const char *path;
    ego_partial part;
    ego_map before; /* PATH.part as it was found */
    size_t at;      /* the next line of it */
    uint64_t done, failed, passed;
    ego_json *line;
};

/* The line at *at of a mapped file, which it moves behind. EGO_EEND when there is none that is whole. */
static ego_err read_line(const ego_map *map, size_t *at, ego_json **line) {
    const char *text = (const char *)map->data + *at;
    const char *end = *at < map->size ? memchr(text, '\n', map->size - *at) : NULL;
    if (!end) return ego_fail(EGO_EEND, "no more lines");
    ego_err err = ego_json_parse(text, (size_t)(end - text), line);
    if (err == EGO_ENOMEM) return err;
    if (err != EGO_OK) return ego_fail(EGO_EEND, "no more whole lines");
    if (!ego_json_is_object(*line)) {
        ego_json_free(*line);
        return ego_fail(EGO_EEND, "no more whole lines");
    }
    *at += (size_t)(end - text) + 1;
    return EGO_OK;
}

static ego_err walk(void *context, const char *path, uint64_t *keep) {
    ego_line_file *f = context;
    EGO_TRY(ego_map_open(path, &f->before));
    size_t at = 0;
    ego_json *line;
    ego_err err;
    while ((err = read_line(&f->before, &at, &line)) == EGO_OK) {
        f->done++;
        f->failed += ego_json_get(line, "error") != NULL;
        ego_json_free(line);
    }
    *keep = at;
    return err == EGO_EEND ? EGO_OK : err;
}

ego_err ego_line_file_open(const ego_line_file_options *options, ego_line_file **file) {
    ego_line_file *f = calloc(1, sizeof *f);
    if (!f) return ego_fail(EGO_ENOMEM, "%s: out of memory", options->path);
    f->path = options->path;
    ego_partial_options p = {.path = options->path,
                             .made = options->made,
                             .resume = options->resume,
                             .walk = walk,
                             .context = f};
    ego_err err = ego_partial_open(&p, &f->part);
    if (err != EGO_OK) {
        ego_line_file_close(f);
        return err;
    }
    *file = f;
    return EGO_OK;
}

void ego_line_file_close(ego_line_file *f) {
    if (!f) return;
    ego_json_free(f->line);
    ego_map_close(&f->before);
    ego_partial_close(&f->part);
    free(f);
}

uint64_t ego_line_file_done(const ego_line_file *f) { return f->done; }
uint64_t ego_line_file_failed(const ego_line_file *f) { return f->failed; }

/* The map is read no further than to what was kept: behind that the file is another by now. */
ego_err ego_line_file_next(ego_line_file *f, const ego_json **line) {
    ego_json_free(f->line);
    f->line = NULL;
    if (f->passed == f->done) return ego_fail(EGO_EEND, "no more lines");
    EGO_TRY(read_line(&f->before, &f->at, &f->line));
    f->passed++;
    *line = f->line;
    return EGO_OK;
}

static ego_err write_failed(const ego_line_file *f) {
    return ego_fail(EGO_EIO, "%s: cannot be written: %s", f->path, errno ? strerror(errno) : "write error");
}

ego_err ego_line_file_write(ego_line_file *f, ego_buf *text) {
    ego_buf_char(text, '\n');
    EGO_TRY(ego_buf_err(text));
    errno = 0;
    bool good = fwrite(text->data, 1, text->len, f->part.stream) == text->len;
    ego_buf_clear(text);
    return good ? EGO_OK : write_failed(f);
}

ego_err ego_line_file_flush(ego_line_file *f) {
    errno = 0;
    return fflush(f->part.stream) == 0 ? EGO_OK : write_failed(f);
}

ego_err ego_line_file_commit(ego_line_file *f) {
    if (f->passed < f->done)
        return ego_fail(EGO_EINPUT,
                        "%s.part holds %" PRIu64 " lines, and there are but %" PRIu64
                        " records to have them now: it was begun with others",
                        f->path, f->done, f->passed);
    return ego_partial_commit(&f->part);
}
