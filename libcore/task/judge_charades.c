/* Charades-Ego: average precision of each class over the videos. */
#include "task/judge_inside.h"

#include "base/file.h"
#include "base/options.h"
#include "format/charades.h"
#include "format/matrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct charades {
    ego__judge *judge;
    ego_charades set;
    size_t classes;
    double *scores; /* (classes, videos) */
} charades;

/* ---- the truth ----------------------------------------------------------------------------------- */

static ego_err read_truth(charades *c) {
    ego__judge *judge = c->judge;
    EGO_TRY(ego_charades_read(judge->options->truth, &judge->arena, &c->set));
    for (size_t v = 0; v < c->set.count; v++) {
        EGO_TRY(ego__judge_unit(judge, c->set.videos[v].id, NULL));
        for (size_t k = 0; k < c->set.videos[v].count; k++)
            if (c->set.videos[v].actions[k].action >= c->classes)
                return ego_fail(EGO_EFORMAT,
                                "%s: video '%.60s': a class below %zu expected, found %d",
                                judge->options->truth, c->set.videos[v].id, c->classes,
                                c->set.videos[v].actions[k].action);
    }
    EGO_TRY(ego__judge_table(judge, c->classes));
    ego_tally *tally = &judge->out->tally;
    memset(tally->values, 0, tally->units * tally->columns * sizeof *tally->values);
    for (size_t v = 0; v < c->set.count; v++) {
        const ego_charades_video *video = &c->set.videos[v];
        judge->asked[v] = video->count > 0; /* without labels it cannot be right or wrong */
        for (size_t k = 0; k < video->count; k++)
            ego_tally_column(tally, video->actions[k].action)[v] = 1;
    }
    return EGO_OK;
}

/* ---- predictions --------------------------------------------------------------------------------- */

static void put(charades *c, size_t video, size_t class, double score) {
    c->scores[class * c->set.count + video] = score;
}

static ego_err read_matrix(charades *c, const char *path) {
    static const ego_matrix_members members = {.matrix = "scores"};
    ego_matrix m;
    size_t row, column;
    bool wanted;
    EGO_TRY(ego_matrix_open(path, &members, &m));
    ego_err err = EGO_OK;
    if (m.rows != c->set.count || m.columns != c->classes)
        err = ego_fail(EGO_EFORMAT, "%s: %zu rows of %zu scores expected, found %zu of %zu", path,
                       c->set.count, c->classes, m.rows, m.columns);
    else if (ego_matrix_fault(&m, &row, &column))
        err = ego_fail(EGO_EFORMAT, "%s: row %zu, column %zu: a number expected, found NaN", path,
                       row, column);
    double *scores = malloc((c->classes + 1) * sizeof *scores);
    if (err == EGO_OK && !scores) err = ego_fail(EGO_ENOMEM, "out of memory for scores");
    for (size_t v = 0; err == EGO_OK && v < c->set.count; v++) {
        if (!c->judge->asked[v]) continue;
        ego__judge_place_unit(c->judge, v, &wanted);
        ego_matrix_read(&m, v, 1, scores);
        for (size_t k = 0; k < c->classes; k++) put(c, v, k, scores[k]);
    }
    free(scores);
    ego_matrix_close(&m);
    return err;
}

static ego_err read_prediction(void *context, const ego_json *object, size_t number) {
    charades *c = context;
    char room[EGO_PREDICTION_KEY];
    const char *id;
    size_t video = 0, k = 0;
    bool wanted;
    double score;
    (void)number;
    EGO_TRY(ego__judge_key(object, "id", room, &id));
    if (ego_prediction_failed(object)) return ego__judge_failed(c->judge), EGO_OK;
    const ego_json *scores = ego_json_get(object, "scores");
    if (!ego_json_is_array(scores) || ego_json_count(scores) != c->classes)
        return ego_fail(EGO_EFORMAT, "'scores': %zu numbers expected, found %zu", c->classes,
                        ego_json_count(scores));
    ego__judge_place(c->judge, id, &video, &wanted);
    for (const ego_json *x = ego_json_first(scores); wanted && x; x = ego_json_next(x)) {
        if (!ego_json_number(x, &score))
            return ego_fail(EGO_EFORMAT, "'scores': numbers expected, found %s", ego_json_kind(x));
        put(c, video, k++, score);
    }
    return EGO_OK;
}

/* "ID 0.1 -0.3 …" of Charades' own evaluation, in a line that may be written to. */
static ego_err read_text_line(charades *c, char *line) {
    char *rest;
    const char *id = strtok_r(line, " \t", &rest), *word;
    size_t video = 0, k = 0;
    bool wanted;
    double score;
    if (!id) return EGO_OK;
    ego__judge_place(c->judge, id, &video, &wanted);
    for (; (word = strtok_r(NULL, " \t", &rest)); k++) {
        if (!ego_parse_number(word, &score))
            return ego_fail(EGO_EFORMAT, "a number expected, found '%.40s'", word);
        if (wanted && k < c->classes) put(c, video, k, score);
    }
    if (k == c->classes) return EGO_OK;
    return ego_fail(EGO_EFORMAT, "%zu numbers behind the video's name expected, found %zu",
                    c->classes, k);
}

static ego_err read_text(charades *c, const char *path) {
    ego_buf text = {0};
    size_t number = 0, length;
    ego_err err = ego_read_file(path, EGO_ANNOTATIONS_MAX_JSON, &text);
    char *line = text.data;
    for (; err == EGO_OK && line && *line; line += length) {
        length = strcspn(line, "\n");
        bool last = !line[length];
        line[length] = 0;
        line[strcspn(line, "\r")] = 0;
        err = read_text_line(c, line);
        number++;
        if (err != EGO_OK) ego_fail_context(err, "%s:%zu", path, number);
        length += !last;
    }
    ego_buf_release(&text);
    return err;
}

/* ---- the whole ----------------------------------------------------------------------------------- */

static ego_err add_metrics(charades *c) {
    ego_tally *tally = &c->judge->out->tally;
    for (size_t k = 0; k < c->classes; k++) {
        ego_metric *metric;
        EGO_TRY(ego_tally_rank(tally, k, c->scores + k * c->set.count));
        EGO_TRY(ego_tally_add(tally, EGO_METRIC_AP, k, 0, &metric, "ap_c%03zu", k));
        metric->hidden = !c->judge->options->per_class;
    }
    return ego_tally_add(tally, EGO_METRIC_AVERAGE, 0, c->classes, NULL, "map");
}

ego_err ego__judge_charades(ego__judge *judge) {
    charades c = {.judge = judge, .classes = EGO_CHARADES_CLASSES};
    const char *path = judge->predictions;
    EGO_TRY(read_truth(&c));
    EGO_TRY(ego__judge_alloc(judge, c.classes * c.set.count, sizeof *c.scores, &c.scores));
    for (size_t i = 0; i < c.classes * c.set.count; i++) c.scores[i] = NAN;
    EGO_TRY(ego_matrix_is(path)            ? read_matrix(&c, path)
            : ego_has_suffix(path, ".txt") ? read_text(&c, path)
                                           : ego_predictions_read(path, read_prediction, &c));
    return add_metrics(&c);
}
