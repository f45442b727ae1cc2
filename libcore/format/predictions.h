/* Predictions: JSON objects, one after the other, from whatever file holds them.
 *
 * JSON lines; or one JSON value: an array of objects, or an object whose `results` is such an array (the
 * Ego4D challenges' form). Told apart by content: what stands on the first line alone is an object
 * without `results` in a file of lines. "-" is stdin.
 */
#ifndef EGO_FORMAT_PREDICTIONS_H
#define EGO_FORMAT_PREDICTIONS_H

#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

/* Called for each object, in order; `number` is its line or, in one JSON value, its place, from 1. What
 * it returns ends the reading unless it is EGO_OK; the message then gets the file and line in front. */
typedef ego_err ego_prediction_reader(void *context, const ego_json *object, size_t number);

ego_err ego_predictions_read(const char *path, ego_prediction_reader *reader, void *context);
ego_err ego_predictions_parse(const char *text, size_t n, const char *name,
                              ego_prediction_reader *reader, void *context);

/* The member as a key: a string as it is, a number in its shortest form. `room` holds numbers. NULL when
 * it is missing or of another kind. */
enum { EGO_PREDICTION_KEY = 32 };
const char *ego_prediction_key(const ego_json *object, const char *member,
                               char room[EGO_PREDICTION_KEY]);

/* A line of a record that failed. */
static inline bool ego_prediction_failed(const ego_json *object) {
    return ego_json_get(object, "error") != NULL;
}

#endif
