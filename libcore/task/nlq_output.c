#include "task/nlq_output.h"

#include "base/file.h"
#include "format/line_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ego_nlq_output {
    ego_nlq_output_options options;
    ego_line_file *lines; /* lines in a file */
    ego_outfile file;     /* the challenge's */
    uint64_t results, met; /* written of the challenge's; questions met of an interrupted run */
    ego_buf line;
};

/* ---- a line, a result ------------------------------------------------------------------------------------ */

static void add_text(ego_buf *line, const char *key, const char *text) {
    ego_buf_json_key(line, key);
    ego_buf_json_string(line, text, strlen(text));
}

static void add_number(ego_buf *line, const char *key, double value) {
    ego_buf_json_key(line, key);
    ego_buf_json_double(line, value);
}

/* The members by which the challenge knows a query. */
static void add_names(const ego_nlq_question *q, ego_buf *line) {
    if (!q->query) return;
    add_text(line, "clip_uid", q->clip->uid);
    add_text(line, "annotation_uid", q->query->annotation);
    ego_buf_json_key(line, "query_idx");
    ego_buf_printf(line, "%" PRId64, q->query->index);
}

/* To the microsecond: what a frame's time is known to. */
static double rounded(double seconds) { return rint(seconds * 1e6) / 1e6; }

static void add_spans(const ego_nlq_question *q, const ego_grounding_item *item, ego_buf *line) {
    ego_buf_json_key(line, "predicted_times");
    ego_buf_char(line, '[');
    for (size_t i = 0; i < item->found; i++) {
        ego_buf_text(line, i ? ",[" : "[");
        ego_buf_json_double(line, rounded(item->spans[i].start - q->offset));
        ego_buf_char(line, ',');
        ego_buf_json_double(line, rounded(item->spans[i].end - q->offset));
        ego_buf_char(line, ']');
    }
    ego_buf_char(line, ']');
}

static void add_scores(const ego_grounding_item *item, ego_buf *line) {
    ego_buf_json_key(line, "scores");
    ego_buf_char(line, '[');
    for (size_t i = 0; i < item->found; i++) {
        if (i) ego_buf_char(line, ',');
        ego_buf_json_float(line, (float)item->spans[i].score);
    }
    ego_buf_char(line, ']');
}

/* What was asked: a record's own members, or what they would be. */
static void add_question(const ego_nlq_question *q, ego_buf *line) {
    if (!q->query) {
        ego_record_close(&q->record, EGO_RECORD_ALL, line);
        return;
    }
    add_text(line, "video", q->part.video);
    add_number(line, "start", q->part.start);
    add_number(line, "end", q->part.end);
    add_text(line, "text", q->text);
    ego_buf_char(line, '}');
}

static void add_line(const ego_nlq_question *q, const ego_grounding_item *item, const char *provenance,
                     ego_buf *line) {
    ego_buf_printf(line, "{\"id\":%s", q->id.data);
    add_names(q, line);
    if (item->err != EGO_OK) {
        add_text(line, "error", item->message);
        ego_buf_char(line, '}');
        return;
    }
    add_spans(q, item, line);
    add_scores(item, line);
    if (provenance) ego_buf_json_key(line, "provenance");
    if (provenance) ego_buf_text(line, provenance);
    add_question(q, line);
}

static void add_result(const ego_nlq_question *q, const ego_grounding_item *item, ego_buf *line) {
    ego_buf_char(line, '{');
    add_names(q, line);
    add_spans(q, item, line);
    ego_buf_char(line, '}');
}

/* ---- lines of an earlier run ----------------------------------------------------------------------------- */

static bool same_id(const ego_json *a, const ego_json *b) {
    const char *x, *y;
    double m, n;
    if (ego_json_string(a, &x)) return ego_json_string(b, &y) && strcmp(x, y) == 0;
    return ego_json_number(a, &m) && ego_json_number(b, &n) && m == n;
}

/* A member that a line may lack, or have as null: NaN then. */
static bool is_number(const ego_json *line, const char *key, double wanted) {
    double found = NAN;
    (void)ego_json_number(ego_json_get(line, key), &found);
    return found == wanted || (isnan(found) && isnan(wanted));
}

static bool is_text(const ego_json *line, const char *key, const char *wanted) {
    const char *found;
    return ego_json_string(ego_json_get(line, key), &found) && wanted && strcmp(found, wanted) == 0;
}

/* Whether the line answers this question: the same id and, unless it is an error, the same part and text. */
static ego_err check_line(const ego_nlq_question *q, const ego_json *line) {
    ego_json *id;
    EGO_TRY(ego_json_parse(q->id.data, q->id.len, &id));
    bool same = same_id(ego_json_get(line, "id"), id);
    ego_json_free(id);
    if (!same) return ego_fail(EGO_EINPUT, "expected the answer to question %s, found another's", q->id.data);
    if (ego_json_get(line, "error")) return EGO_OK;
    if (q->err != EGO_OK)
        return ego_fail(EGO_EINPUT, "expected no answer to question %s, which cannot be asked, found one",
                        q->id.data);
    if (!is_text(line, "video", q->part.video) || !is_number(line, "start", q->part.start) ||
        !is_number(line, "end", q->part.end))
        return ego_fail(EGO_EINPUT, "expected question %s about %s, found it about another part of a video",
                        q->id.data, q->part.video);
    if (!is_text(line, "text", q->text))
        return ego_fail(EGO_EINPUT, "expected question %s to be '%s', found another text", q->id.data, q->text);
    return EGO_OK;
}

uint64_t ego_nlq_output_done(const ego_nlq_output *o) { return o->lines ? ego_line_file_done(o->lines) : 0; }
uint64_t ego_nlq_output_failed(const ego_nlq_output *o) { return o->lines ? ego_line_file_failed(o->lines) : 0; }

ego_err ego_nlq_output_has(ego_nlq_output *o, const ego_nlq_question *q, bool *has) {
    const ego_json *line;
    *has = false;
    ego_err err = o->lines ? ego_line_file_next(o->lines, &line) : EGO_EEND;
    if (err == EGO_EEND) return EGO_OK;
    EGO_TRY(err);
    *has = true;
    o->met++;
    err = check_line(q, line);
    if (err != EGO_EINPUT) return err;
    return ego_fail_context(err, "%s.part was begun with other questions: line %" PRIu64, o->options.path, o->met);
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static ego_err put(ego_nlq_output *o) {
    if (o->lines) return ego_line_file_write(o->lines, &o->line);
    if (!o->file.stream) return o->options.standard(o->options.context, &o->line);
    ego_buf_char(&o->line, '\n');
    EGO_TRY(ego_buf_err(&o->line));
    bool good = fwrite(o->line.data, 1, o->line.len, o->file.stream) == o->line.len;
    ego_buf_clear(&o->line);
    return good ? EGO_OK : ego_fail(EGO_EIO, "%s: cannot be written", o->options.path);
}

ego_err ego_nlq_output_write(ego_nlq_output *o, const ego_nlq_question *q, const ego_grounding_item *item) {
    if (!o->options.challenge) {
        add_line(q, item, o->options.provenance, &o->line);
    } else if (item->err == EGO_OK) {
        ego_buf_text(&o->line, o->results++ ? " ," : "  ");
        add_result(q, item, &o->line);
    } else {
        return EGO_OK;
    }
    EGO_TRY(ego_buf_err(&o->line));
    return put(o);
}

ego_err ego_nlq_output_flush(ego_nlq_output *o) { return o->lines ? ego_line_file_flush(o->lines) : EGO_OK; }

/* ---- opening and closing --------------------------------------------------------------------------------- */

static ego_err begin(ego_nlq_output *o) {
    const ego_nlq_output_options *options = &o->options;
    if (options->path && !options->challenge)
        return ego_line_file_open(
            &(ego_line_file_options){options->path, options->made, options->resume}, &o->lines);
    if (options->path) EGO_TRY(ego_outfile_open(options->path, &o->file));
    if (!options->challenge) return EGO_OK;
    ego_buf_text(&o->line, "{\"version\":\"1.0\",\"challenge\":\"ego4d_nlq_challenge\",\"results\":[");
    return put(o);
}

ego_err ego_nlq_output_open(const ego_nlq_output_options *options, ego_nlq_output **output) {
    ego_nlq_output *o = calloc(1, sizeof *o);
    if (!o) return ego_fail(EGO_ENOMEM, "out of memory");
    o->options = *options;
    ego_err err = begin(o);
    if (err == EGO_OK)
        *output = o;
    else
        ego_nlq_output_close(o);
    return err;
}

ego_err ego_nlq_output_end(ego_nlq_output *o) {
    if (!o->options.challenge) return EGO_OK;
    ego_buf_text(&o->line, "]}");
    return put(o);
}

ego_err ego_nlq_output_commit(ego_nlq_output *o) {
    if (o->lines) return ego_line_file_commit(o->lines);
    return o->file.stream ? ego_outfile_commit(&o->file) : EGO_OK;
}

void ego_nlq_output_close(ego_nlq_output *o) {
    if (!o) return;
    ego_line_file_close(o->lines);
    ego_outfile_abort(&o->file);
    ego_buf_release(&o->line);
    free(o);
}
