#include "format/predictions.h"

#include "format/reading.h"

#include <stdio.h>
#include <string.h>

const char *ego_prediction_key(const ego_json *object, const char *member,
                               char room[EGO_PREDICTION_KEY]) {
    const ego_json *value = ego_json_get(object, member);
    const char *text;
    double number;
    if (ego_json_string(value, &text)) return text;
    if (!ego_json_number(value, &number)) return NULL;
    ego_buf buf = {0};
    ego_buf_json_double(&buf, number);
    if (ego_buf_err(&buf) == EGO_OK)
        snprintf(room, EGO_PREDICTION_KEY, "%s", buf.data);
    else
        room[0] = 0;
    ego_buf_release(&buf);
    return room;
}

static ego_err read_one(const ego_json *object, const char *name, size_t number,
                        ego_prediction_reader *reader, void *context) {
    ego_err err = ego_json_is_object(object) ? reader(context, object, number)
                                             : ego_fail(EGO_EFORMAT, "an object expected, found %s",
                                                        ego_json_kind(object));
    return err == EGO_OK ? err : ego_fail_context(err, "%s:%zu", name, number);
}

/* ---- one JSON value ------------------------------------------------------------------------------ */

static ego_err read_array(const ego_json *array, const char *name, ego_prediction_reader *reader,
                          void *context) {
    size_t number = 0;
    for (const ego_json *x = ego_json_first(array); x; x = ego_json_next(x))
        EGO_TRY(read_one(x, name, ++number, reader, context));
    return EGO_OK;
}

static ego_err read_value(const char *text, size_t n, const char *name,
                          ego_prediction_reader *reader, void *context) {
    ego_json *root = NULL;
    EGO_TRY(ego__check_size(n, EGO_ANNOTATIONS_MAX_JSON, name));
    ego_err err = ego_json_parse(text, n, &root);
    if (err != EGO_OK) return ego_fail_context(err, "%s", name);
    const ego_json *results = ego_json_is_array(root) ? root : ego_json_get(root, "results");
    if (ego_json_is_array(results))
        err = read_array(results, name, reader, context);
    else
        err = ego_fail(EGO_EFORMAT,
                       "%s: predictions expected, as JSON lines, an array of objects or an object "
                       "with 'results', found %s",
                       name, ego_json_kind(root));
    ego_json_free(root);
    return err;
}

/* ---- lines --------------------------------------------------------------------------------------- */

static bool blank(const char *line, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (line[i] != ' ' && line[i] != '\t') return false;
    return true;
}

/* Whether the first line that is not blank is an object of its own, and no challenge's. */
static bool has_lines(const char *text, size_t n) {
    const char *line = "";
    size_t at = 0, length = 0;
    while (ego__next_line(text, n, &at, &line, &length) && blank(line, length)) continue;
    ego_json *root;
    if (length > EGO_ANNOTATIONS_MAX_JSON || ego_json_parse(line, length, &root) != EGO_OK)
        return false;
    bool lines = ego_json_is_object(root) && !ego_json_is_array(ego_json_get(root, "results"));
    ego_json_free(root);
    return lines;
}

static ego_err read_lines(const char *text, size_t n, const char *name,
                          ego_prediction_reader *reader, void *context) {
    const char *line;
    size_t at = 0, length, number = 0;
    while (ego__next_line(text, n, &at, &line, &length)) {
        ego_json *object;
        number++;
        if (blank(line, length)) continue;
        ego_err err = ego__check_size(length, EGO_ANNOTATIONS_MAX_JSON, "a line");
        if (err == EGO_OK) err = ego_json_parse(line, length, &object);
        if (err != EGO_OK) return ego_fail_context(err, "%s:%zu", name, number);
        err = read_one(object, name, number, reader, context);
        ego_json_free(object);
        EGO_TRY(err);
    }
    return EGO_OK;
}

ego_err ego_predictions_parse(const char *text, size_t n, const char *name,
                              ego_prediction_reader *reader, void *context) {
    if (n >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3)) text += 3, n -= 3; /* a byte order mark */
    if (blank(text, n))
        return ego_fail(EGO_EFORMAT, "%s: predictions expected, found nothing", name);
    return has_lines(text, n) ? read_lines(text, n, name, reader, context)
                              : read_value(text, n, name, reader, context);
}

ego_err ego_predictions_read(const char *path, ego_prediction_reader *reader, void *context) {
    ego__source source;
    EGO_TRY(ego__source_open(path, &source));
    ego_err err = ego_predictions_parse(source.text, source.n,
                                        strcmp(path, "-") == 0 ? "stdin" : path, reader, context);
    ego__source_close(&source);
    return err;
}
