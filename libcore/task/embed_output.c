#include "task/embed_output.h"

#include "base/file.h"
#include "format/fvecs.h"
#include "format/npy.h"
#include "format/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct ego_embed_output {
    ego_embed_output_options options;
    ego_buf path, run_path; /* FILE.part and FILE.part.json of a stream; FILE.npy and so on */
    FILE *part;             /* of a stream to a file */
    ego_outfile file, ids;
    ego_npy_writer npy;
    bool npy_open;
    uint64_t rows, done, failed;
    ego_buf line;
};

/* ---- an interrupted stream ------------------------------------------------------------------------------ */

static int part_rank(const char *part) {
    if (!part) return 3;
    return strcmp(part, "video") == 0 ? 0 : strcmp(part, "text") == 0 ? 1 : 2;
}

/* Walks the whole records of FILE.part: *groups counts the input records they came from but for the
 * last, which may lack a part, *failed those of them with an error; *keep is where the last begins. */
static ego_err walk_part(const char *path, uint64_t *groups, uint64_t *failed, uint64_t *keep) {
    ego_stream *stream;
    EGO_TRY(ego_stream_open(path, &stream));
    ego_stream_record r;
    ego_buf id = {0};
    int rank = 3;
    bool error = false;
    *groups = *failed = *keep = 0;
    ego_err err;
    while ((err = ego_stream_next(stream, &r)) == EGO_OK) {
        bool same = id.len == r.id_bytes && id.data && memcmp(id.data, r.id, id.len) == 0;
        int now = r.error ? 3 : part_rank(r.part);
        if (!same || now <= rank || rank == 3) {
            ++*groups;
            *failed += error; /* the one before this one */
            *keep = r.offset;
        }
        error = r.error != NULL;
        rank = now;
        ego_buf_clear(&id);
        ego_buf_append(&id, r.id, r.id_bytes);
    }
    ego_buf_release(&id);
    ego_stream_close(stream);
    if (*groups) --*groups;
    return EGO_OK; /* the end, or the cut that the interruption left */
}

/* The same model and options, or the two halves would not belong together. */
static ego_err check_run(const ego_embed_output *o) {
    ego_buf before = {0};
    ego_err err = ego_read_file(o->run_path.data, 1 << 20, &before);
    if (err == EGO_OK && strcmp(before.data ? before.data : "", o->options.run) != 0)
        err = ego_fail(EGO_EINPUT, "%s was begun with another model or other options: %s",
                       o->path.data, before.data ? before.data : "");
    ego_buf_release(&before);
    return err;
}

static ego_err open_part(ego_embed_output *o) {
    ego_buf_printf(&o->path, "%s.part", o->options.path);
    ego_buf_printf(&o->run_path, "%s.part.json", o->options.path);
    EGO_TRY(ego_buf_err(&o->path));
    EGO_TRY(ego_buf_err(&o->run_path));
    int fd = open(o->path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || !(o->part = fdopen(fd, "r+b"))) {
        if (fd >= 0) close(fd);
        return ego_fail(EGO_EIO, "%s: cannot be written: %s", o->path.data, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return ego_fail(EGO_EIO, "%s: another run is writing it", o->path.data);
    off_t size = lseek(fd, 0, SEEK_END);
    uint64_t keep = 0;
    if (o->options.resume && size > 0) {
        EGO_TRY(check_run(o));
        EGO_TRY(walk_part(o->path.data, &o->done, &o->failed, &keep));
    }
    if (ftruncate(fd, (off_t)keep) != 0 || fseeko(o->part, (off_t)keep, SEEK_SET) != 0)
        return ego_fail(EGO_EIO, "%s: cannot be cut: %s", o->path.data, strerror(errno));
    return ego_write_file(o->run_path.data, o->options.run, strlen(o->options.run));
}

/* ---- opening and closing -------------------------------------------------------------------------------- */

/* FILE with its suffix, where it has it, replaced by `wanted`. */
static ego_err name_beside(const char *path, const char *suffix, const char *wanted, ego_buf *name) {
    ego_buf_append(name, path, strlen(path) - (ego_has_suffix(path, suffix) ? strlen(suffix) : 0));
    ego_buf_text(name, wanted);
    return ego_buf_err(name);
}

static ego_err open_beside(const char *path, const char *suffix, const char *wanted, ego_outfile *out) {
    ego_buf name = {0};
    ego_err err = name_beside(path, suffix, wanted, &name);
    if (err == EGO_OK) err = ego_outfile_open(name.data, out);
    ego_buf_release(&name);
    return err;
}

static ego_err open_files(ego_embed_output *o) {
    const char *path = o->options.path;
    switch (o->options.format) {
    case EGO_EMBED_STREAM: return path ? open_part(o) : EGO_OK;
    case EGO_EMBED_JSONL: return path ? ego_outfile_open(path, &o->file) : EGO_OK;
    case EGO_EMBED_FVECS:
        EGO_TRY(open_beside(path, ".fvecs", ".jsonl", &o->ids));
        return open_beside(path, ".fvecs", ".fvecs", &o->file);
    case EGO_EMBED_NPY: return open_beside(path, ".npy", ".jsonl", &o->ids);
    }
    return EGO_OK;
}

ego_err ego_embed_output_open(const ego_embed_output_options *options, ego_embed_output **out) {
    bool table = options->format == EGO_EMBED_NPY || options->format == EGO_EMBED_FVECS;
    if (table && !options->path)
        return ego_fail(EGO_EINPUT, "this format is two files: name them with -o FILE");
    if (options->resume && (options->format != EGO_EMBED_STREAM || !options->path))
        return ego_fail(EGO_EINPUT, "--resume continues a stream in a file: give -o FILE");
    ego_embed_output *o = calloc(1, sizeof *o);
    if (!o) return ego_fail(EGO_ENOMEM, "out of memory");
    o->options = *options;
    ego_err err = open_files(o);
    if (err != EGO_OK) {
        ego_embed_output_close(o);
        return err;
    }
    *out = o;
    return EGO_OK;
}

uint64_t ego_embed_output_done(const ego_embed_output *o) { return o->done; }
uint64_t ego_embed_output_failed(const ego_embed_output *o) { return o->failed; }

static ego_err commit_part(ego_embed_output *o) {
    bool bad = ferror(o->part) | (fflush(o->part) != 0);
    bad |= fsync(fileno(o->part)) != 0 && errno != EINVAL && errno != ENOTSUP;
    if (!bad) bad = rename(o->path.data, o->options.path) != 0;
    if (bad)
        return ego_fail(EGO_EIO, "%s: cannot be written: %s", o->options.path, strerror(errno));
    unlink(o->run_path.data);
    return EGO_OK;
}

ego_err ego_embed_output_commit(ego_embed_output *o) {
    if (o->part) return commit_part(o);
    if (o->npy_open) {
        EGO_TRY(ego_npy_writer_commit(&o->npy));
        o->npy_open = false;
    } else if (o->options.format == EGO_EMBED_NPY) {
        return ego_fail(EGO_EINPUT, "%s: no record gave an embedding: nothing to write",
                        o->options.path);
    }
    if (o->file.stream) EGO_TRY(ego_outfile_commit(&o->file));
    if (o->ids.stream) EGO_TRY(ego_outfile_commit(&o->ids));
    return EGO_OK;
}

void ego_embed_output_close(ego_embed_output *o) {
    if (!o) return;
    if (o->part) fclose(o->part);
    if (o->npy_open) ego_npy_writer_abort(&o->npy);
    ego_outfile_abort(&o->file);
    ego_outfile_abort(&o->ids);
    ego_buf_release(&o->path);
    ego_buf_release(&o->run_path);
    ego_buf_release(&o->line);
    free(o);
}

/* ---- writing -------------------------------------------------------------------------------------------- */

static FILE *out_of(ego_embed_output *o) {
    return o->part ? o->part : o->file.stream ? o->file.stream : o->options.standard;
}

static ego_err write_failed(const ego_embed_output *o) {
    if (errno == EPIPE) return ego_fail(EGO_ECANCELLED, "its reader has gone");
    return ego_fail(EGO_EIO, "%s: cannot be written: %s",
                    o->options.path ? o->options.path : "stdout", strerror(errno));
}

static ego_err write_line(ego_embed_output *o, FILE *out) {
    ego_buf_char(&o->line, '\n');
    EGO_TRY(ego_buf_err(&o->line));
    errno = 0;
    bool good = fwrite(o->line.data, 1, o->line.len, out) == o->line.len;
    ego_buf_clear(&o->line);
    return good ? EGO_OK : write_failed(o);
}

/* What tells embeddings of one model apart (the layer, or the fused part's probability), and with
 * --provenance where they come from. */
static void add_origin(ego_embed_output *o, const char *part, float match) {
    if (strcmp(part, "fused") == 0) {
        ego_buf_json_key(&o->line, "vtm");
        ego_buf_json_float(&o->line, match);
    } else {
        ego_buf_json_key(&o->line, "layer");
        ego_buf_printf(&o->line, "\"%s\"", o->options.layer);
    }
    if (o->options.provenance) {
        ego_buf_json_key(&o->line, "provenance");
        ego_buf_text(&o->line, o->options.provenance);
    }
}

/* The record's own members as the text between the braces. */
static ego_err own_members(ego_embed_output *o, const ego_record *record, const char *part,
                           float match) {
    ego_buf_clear(&o->line);
    ego_buf_char(&o->line, '{');
    if (part) add_origin(o, part, match);
    ego_record_close(record, EGO_RECORD_ALL, &o->line);
    EGO_TRY(ego_buf_err(&o->line));
    o->line.data[--o->line.len] = 0;
    return EGO_OK;
}

/* What own_members left, without the brace and without a comma before the first member. */
static const char *member_text(const ego_embed_output *o) {
    return o->line.data + (o->line.data[1] == ',' ? 2 : 1);
}

static ego_err write_stream(ego_embed_output *o, const ego_record *record, const char *part,
                            const ego_tensor *tensor, const char *error, float match) {
    EGO_TRY(own_members(o, record, part, match));
    ego_stream_record r = {.id = record->id,
                           .id_bytes = strlen(record->id),
                           .part = part,
                           .model = part ? o->options.model : NULL,
                           .error = error,
                           .scale = 1};
    if (tensor) r.tensor = *tensor;
    errno = 0;
    ego_err err = ego_stream_write(out_of(o), &r, member_text(o));
    return err == EGO_EIO ? write_failed(o) : err;
}

/* {"id":…,"part":…,"model":…,… then `row` or the numbers, then the record's own members. */
static ego_err write_text(ego_embed_output *o, FILE *out, const ego_record *record, const char *part,
                          const ego_tensor *tensor, float match, bool numbers) {
    ego_buf *line = &o->line;
    ego_buf_clear(line);
    ego_record_begin(record, line);
    ego_buf_json_key(line, "part");
    ego_buf_printf(line, "\"%s\"", part);
    ego_buf_json_key(line, "model");
    ego_buf_printf(line, "\"%s\"", o->options.model);
    add_origin(o, part, match);
    if (numbers) {
        char shape[EGO_SHAPE_TEXT];
        ego_buf_json_key(line, "shape");
        ego_buf_text(line, ego_shape_text(tensor->shape, tensor->ndim, shape));
        ego_buf_json_key(line, "embedding");
        ego_buf_char(line, '[');
        for (int64_t i = 0; i < ego_tensor_count(tensor); i++) {
            if (i) ego_buf_char(line, ',');
            ego_buf_json_float(line, ego_f32(tensor)[i]);
        }
        ego_buf_char(line, ']');
    } else {
        ego_buf_json_key(line, "row");
        ego_buf_printf(line, "%llu", (unsigned long long)o->rows);
    }
    ego_record_close(record, EGO_RECORD_ALL, line);
    return write_line(o, out);
}

/* A row of a table: all rows of one shape. */
static ego_err write_row(ego_embed_output *o, const ego_record *record, const char *part,
                         const ego_tensor *tensor, float match) {
    if (o->options.format == EGO_EMBED_NPY) {
        if (!o->npy_open) {
            ego_buf name = {0};
            ego_err err = name_beside(o->options.path, ".npy", ".npy", &name);
            if (err == EGO_OK) err = ego_npy_writer_open(name.data, tensor, &o->npy);
            ego_buf_release(&name);
            EGO_TRY(err);
            o->npy_open = true;
        } else if (!ego_tensor_same_shape(&o->npy.row, tensor)) {
            return ego_fail(EGO_EINPUT, "rows of a .npy have one shape: this one's differs; use stream or jsonl");
        }
        EGO_TRY(ego_npy_writer_add(&o->npy, tensor->data, 1));
    } else {
        if (tensor->ndim != 1)
            return ego_fail(EGO_EINPUT, ".fvecs holds vectors: use another format for this layer");
        ego_fvecs_write(o->file.stream, tensor->data, (int32_t)tensor->shape[0]);
    }
    EGO_TRY(write_text(o, o->ids.stream, record, part, tensor, match, false));
    o->rows++;
    return EGO_OK;
}

ego_err ego_embed_output_write(ego_embed_output *o, const ego_record *record, const char *part,
                               const ego_tensor *tensor, float match) {
    switch (o->options.format) {
    case EGO_EMBED_STREAM: return write_stream(o, record, part, tensor, NULL, match);
    case EGO_EMBED_JSONL: return write_text(o, out_of(o), record, part, tensor, match, true);
    default: return write_row(o, record, part, tensor, match);
    }
}

ego_err ego_embed_output_error(ego_embed_output *o, const ego_record *record, const char *message) {
    if (o->options.format == EGO_EMBED_STREAM)
        return write_stream(o, record, NULL, NULL, message, 0);
    ego_buf_clear(&o->line);
    ego_record_error(record, message, &o->line);
    return write_line(o, o->ids.stream ? o->ids.stream : out_of(o));
}

ego_err ego_embed_output_calibration(ego_embed_output *o, const ego_calibration *calibration) {
    ego_record record = {0};
    ego_tensor elements;
    ego_err err = ego_calibration_record(calibration, &record, &elements);
    if (err == EGO_OK) err = ego_embed_output_write(o, &record, EGO_CALIBRATION_PART, &elements, 0);
    ego_record_release(&record);
    return err;
}

ego_err ego_embed_output_flush(ego_embed_output *o) {
    FILE *out = out_of(o);
    errno = 0;
    return !out || fflush(out) == 0 ? EGO_OK : write_failed(o);
}
