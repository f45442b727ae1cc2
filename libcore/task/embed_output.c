#include "task/embed_output.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/partial.h"
#include "base/rng.h"
#include "format/fvecs.h"
#include "format/npy.h"
#include "format/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct id_list {
    uint64_t count, ids; /* `ids` is made of all of them, in order */
    ego_buf last;
} id_list;

struct ego_embed_output {
    ego_embed_output_options options;
    ego_partial part; /* of a stream to a file */
    ego_outfile file, ids;
    ego_npy_writer npy;
    bool npy_open;
    uint64_t rows, failed;
    id_list found, skipped; /* records that are done: in FILE.part; of the input, so far */
    ego_buf line;
};

/* ---- an interrupted stream ------------------------------------------------------------------------------ */

static int part_rank(const char *part) {
    if (!part) return 3;
    return strcmp(part, "video") == 0 ? 0 : strcmp(part, "text") == 0 ? 1 : 2;
}

static void note_id(id_list *list, const char *id) {
    list->count++;
    list->ids = ego_rng_stream(list->ids, ego_fnv1a(id));
    ego_buf_clear(&list->last);
    ego_buf_text(&list->last, id);
}

/* Walks the whole records of FILE.part: `found` are the input records they came from but for the last,
 * which may lack a part, `failed` counts those of them with an error; *keep is where the last begins. */
static ego_err walk_part(void *context, const char *path, uint64_t *keep) {
    ego_embed_output *o = context;
    ego_stream *stream;
    EGO_TRY(ego_stream_open(path, &stream));
    ego_stream_record r;
    ego_buf id = {0};
    int rank = 3;
    bool error = false;
    ego_err err;
    while ((err = ego_stream_next(stream, &r)) == EGO_OK) {
        bool same = id.len == r.id_bytes && id.data && memcmp(id.data, r.id, id.len) == 0;
        int now = r.error ? 3 : part_rank(r.part);
        if (!same || now <= rank || rank == 3) {
            if (id.len) note_id(&o->found, id.data); /* the one before this one */
            o->failed += error;
            *keep = r.offset;
        }
        error = r.error != NULL;
        rank = now;
        ego_buf_clear(&id);
        ego_buf_append(&id, r.id, r.id_bytes);
    }
    ego_buf_release(&id);
    ego_stream_close(stream);
    return EGO_OK; /* the end, or the cut that the interruption left */
}

static ego_err open_part(ego_embed_output *o) {
    ego_partial_options p = {.path = o->options.path,
                             .made = o->options.run,
                             .resume = o->options.resume,
                             .walk = walk_part,
                             .context = o};
    return ego_partial_open(&p, &o->part);
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

static ego_err spare(const ego_embed_output_options *o, const char *path) {
    for (size_t i = 0; i < o->n_inputs; i++)
        if (ego_same_file(path, o->inputs[i]))
            return ego_fail(EGO_EINPUT, "%s is read: it would be overwritten; choose another -o", o->inputs[i]);
    return EGO_OK;
}

/* `-o clips.npy` also writes clips.jsonl, and that may be where the records are. */
static ego_err spare_inputs(const ego_embed_output_options *o) {
    ego_buf ids = {0};
    if (!o->path) return EGO_OK;
    EGO_TRY(spare(o, o->path));
    if (o->format != EGO_EMBED_NPY && o->format != EGO_EMBED_FVECS) return EGO_OK;
    ego_err err = name_beside(o->path, o->format == EGO_EMBED_NPY ? ".npy" : ".fvecs", ".jsonl", &ids);
    if (err == EGO_OK) err = spare(o, ids.data);
    ego_buf_release(&ids);
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
    EGO_TRY(spare_inputs(options));
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

uint64_t ego_embed_output_done(const ego_embed_output *o) { return o->found.count; }
uint64_t ego_embed_output_failed(const ego_embed_output *o) { return o->failed; }

bool ego_embed_output_has(const ego_embed_output *o) { return o->skipped.count < o->found.count; }

ego_err ego_embed_output_skip(ego_embed_output *o, const ego_record *record) {
    note_id(&o->skipped, record->id);
    EGO_TRY(ego_buf_err(&o->skipped.last));
    if (ego_embed_output_has(o) || o->skipped.ids == o->found.ids) return EGO_OK;
    return ego_fail(EGO_EINPUT,
                    "%s.part: its %llu records are others than the input's first %llu, which end with %s where it has "
                    "%s: start anew, or give the same records",
                    o->options.path, (unsigned long long)o->found.count, (unsigned long long)o->found.count,
                    record->id, o->found.last.data);
}

ego_err ego_embed_output_commit(ego_embed_output *o) {
    if (ego_embed_output_has(o))
        return ego_fail(EGO_EINPUT, "%s.part: has %llu records done, the input only %llu", o->options.path,
                        (unsigned long long)o->found.count, (unsigned long long)o->skipped.count);
    if (o->part.stream) return ego_partial_commit(&o->part);
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
    ego_partial_close(&o->part);
    if (o->npy_open) ego_npy_writer_abort(&o->npy);
    ego_outfile_abort(&o->file);
    ego_outfile_abort(&o->ids);
    ego_buf_release(&o->found.last);
    ego_buf_release(&o->skipped.last);
    ego_buf_release(&o->line);
    free(o);
}

/* ---- writing -------------------------------------------------------------------------------------------- */

static FILE *out_of(ego_embed_output *o) {
    return o->part.stream ? o->part.stream : o->file.stream ? o->file.stream : o->options.standard;
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
