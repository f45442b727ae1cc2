/* EK-100 multi-instance retrieval: nDCG and mAP, from videos to sentences and back. */
#include "task/judge_inside.h"

#include "format/epic.h"
#include "format/matrix.h"
#include "score/mir.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NDCG_V2T, NDCG_T2V, MAP_V2T, MAP_T2V, COLUMNS, BLOCK = 16 };

typedef struct mir {
    ego__judge *judge;
    ego_epic_clips clips;              /* (V) */
    ego_epic_sentences sentences;      /* (T) */
    const ego_epic_clip **sentence_of; /* (T): the clip a sentence is named after */
    ego_keys videos, texts;            /* narration_ids of clips and of sentences */
    ego_matrix relevancy;              /* V × T; rows 0: computed from the classes */
    ego_matrix scores;                 /* V × T, rows and columns as in the predictions */
    size_t *row_of, *column_of;        /* where a clip and a sentence stand there; NULL: in order */
    double *listed;                    /* V × T scores of lines; NaN: not there */
} mir;

/* ---- the truth ----------------------------------------------------------------------------------- */

static ego_err sentences_path(ego__judge *judge, const char **path) {
    const char *truth = judge->options->truth;
    size_t n = strlen(truth);
    if ((*path = judge->options->sentences)) return EGO_OK;
    char *made = ego_arena_alloc(&judge->arena, n + 16);
    if (!made) return ego_fail(EGO_ENOMEM, "out of memory");
    if (n > 4 && strcmp(truth + n - 4, ".csv") == 0) n -= 4;
    snprintf(made, n + 16, "%.*s_sentence.csv", (int)n, truth);
    *path = made;
    return EGO_OK;
}

static ego_err add_names(mir *m) {
    char name[160];
    size_t index;
    for (size_t i = 0; i < m->clips.count; i++) {
        snprintf(name, sizeof name, "video %.140s", m->clips.clips[i].id);
        EGO_TRY(ego__judge_unit(m->judge, name, NULL));
        EGO_TRY(ego_keys_add(&m->videos, m->clips.clips[i].id, &index, NULL));
    }
    for (size_t j = 0; j < m->sentences.count; j++) {
        snprintf(name, sizeof name, "sentence %.140s", m->sentences.sentences[j].id);
        EGO_TRY(ego__judge_unit(m->judge, name, NULL));
        EGO_TRY(ego_keys_add(&m->texts, m->sentences.sentences[j].id, &index, NULL));
    }
    return EGO_OK;
}

static ego_err find_sentences(mir *m, const char *path) {
    size_t clip = 0;
    EGO_TRY(
        ego__judge_alloc(m->judge, m->sentences.count, sizeof *m->sentence_of, &m->sentence_of));
    for (size_t j = 0; j < m->sentences.count; j++) {
        if (!ego_keys_find(&m->videos, m->sentences.sentences[j].id, &clip))
            return ego_fail(EGO_EFORMAT, "%s: '%.60s' is no narration_id of %s", path,
                            m->sentences.sentences[j].id, m->judge->options->truth);
        m->sentence_of[j] = &m->clips.clips[clip];
    }
    return EGO_OK;
}

static ego_err open_relevancy(mir *m) {
    const char *path = m->judge->options->relevancy;
    size_t row, column;
    if (!path) {
        if (!m->clips.classless) return EGO_OK;
        return ego_fail(EGO_EINPUT,
                        "%s: %zu of %zu clips have no verb_class to compute relevancy from: give "
                        "the published matrix (--relevancy)",
                        m->judge->options->truth, m->clips.classless, m->clips.count);
    }
    EGO_TRY(ego_matrix_open(path, NULL, &m->relevancy));
    if (m->relevancy.rows != m->clips.count || m->relevancy.columns != m->sentences.count)
        return ego_fail(EGO_EFORMAT, "%s: %zu clips by %zu sentences expected, found %zu by %zu",
                        path, m->clips.count, m->sentences.count, m->relevancy.rows,
                        m->relevancy.columns);
    if (ego_matrix_fault(&m->relevancy, &row, &column))
        return ego_fail(EGO_EFORMAT, "%s: row %zu, column %zu: a number expected, found NaN", path,
                        row, column);
    return EGO_OK;
}

static ego_err read_truth(mir *m) {
    const char *path;
    EGO_TRY(ego_epic_clips_read(m->judge->options->truth, &m->judge->arena, &m->clips));
    EGO_TRY(sentences_path(m->judge, &path));
    EGO_TRY(ego_epic_sentences_read(path, &m->judge->arena, &m->sentences));
    EGO_TRY(add_names(m));
    EGO_TRY(open_relevancy(m));
    return m->judge->options->relevancy ? EGO_OK : find_sentences(m, path);
}

/* ---- predictions --------------------------------------------------------------------------------- */

/* Where each of the truth's names stands among those of a submission. */
static ego_err find_order(mir *m, const ego_keys *names, const char *const *given, size_t n,
                          const char *what, size_t **order) {
    size_t index = 0;
    if (!given) return EGO_OK;
    EGO_TRY(ego__judge_alloc(m->judge, n, sizeof **order, order));
    for (size_t i = 0; i < n; i++) (*order)[i] = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        if (!ego_keys_find(names, given[i], &index) || (*order)[index] != SIZE_MAX)
            return ego_fail(EGO_EFORMAT,
                            "%s: %s: each narration_id of the truth once expected, "
                            "found '%.60s'",
                            m->judge->predictions, what, given[i]);
        (*order)[index] = i;
    }
    return EGO_OK;
}

static ego_err open_matrix(mir *m) {
    static const ego_matrix_members members = {"sim_mat", "vis_ids", "txt_ids"};
    const char *path = m->judge->predictions;
    size_t V = m->clips.count, T = m->sentences.count, row, column;
    EGO_TRY(ego_matrix_open(path, &members, &m->scores));
    if (ego_matrix_fault(&m->scores, &row, &column))
        return ego_fail(EGO_EFORMAT, "%s: row %zu, column %zu: a number expected, found NaN", path,
                        row, column);
    bool straight = m->scores.rows == V && m->scores.columns == T;
    bool turned = m->scores.rows == T && m->scores.columns == V;
    if (straight || turned) return EGO_OK;
    return ego_fail(EGO_EFORMAT, "%s: %zu clips by %zu sentences expected, found %zu by %zu", path,
                    V, T, m->scores.rows, m->scores.columns);
}

static ego_err read_match(void *context, const ego_json *object, size_t number) {
    mir *m = context;
    char query_room[EGO_PREDICTION_KEY], id_room[EGO_PREDICTION_KEY];
    const char *query, *id;
    size_t video, text;
    double score;
    (void)number;
    if (ego_prediction_failed(object)) return ego__judge_failed(m->judge), EGO_OK;
    EGO_TRY(ego__judge_key(object, "query", query_room, &query));
    EGO_TRY(ego__judge_key(object, "id", id_room, &id));
    if (!ego_json_number(ego_json_get(object, "score"), &score))
        return ego_fail(EGO_EFORMAT, "'score': a number expected, found %s",
                        ego_json_kind(ego_json_get(object, "score")));
    if (!ego_keys_find(&m->texts, query, &text)) return ego__judge_unknown(m->judge, query), EGO_OK;
    if (!ego_keys_find(&m->videos, id, &video)) return ego__judge_unknown(m->judge, id), EGO_OK;
    double *at = &m->listed[video * m->sentences.count + text];
    if (isnan(*at)) {
        *at = score;
    } else if (!m->judge->out->doubled++) {
        snprintf(m->judge->out->doubled_example, EGO_JUDGE_EXAMPLE, "%.60s with %.60s", query, id);
    }
    return EGO_OK;
}

static ego_err read_lines(mir *m) {
    size_t V = m->clips.count, T = m->sentences.count, count;
    if (__builtin_mul_overflow(V, T, &count) || count == SIZE_MAX)
        return ego_fail(EGO_EUNSUPPORTED, "%zu clips by %zu sentences", V, T);
    m->listed = calloc(count + 1, sizeof *m->listed);
    if (!m->listed) return ego_fail(EGO_ENOMEM, "out of memory for %zu x %zu scores", V, T);
    for (size_t i = 0; i < count; i++) m->listed[i] = NAN;
    m->scores = ego_matrix_of(m->listed, V, T);
    return ego_predictions_read(m->judge->predictions, read_match, m);
}

/* ---- scoring ------------------------------------------------------------------------------------- */

/* One way: every row against all columns. */
typedef struct way {
    ego_matrix scores, relevancy;
    const size_t *row_of, *column_of;
    size_t first_unit; /* of the tally */
    int ndcg, map;     /* its columns */
    bool from_text;
    size_t undefined; /* rows without an exact match */
} way;

static void compute_relevancy(const mir *m, const way *w, size_t row, double *out) {
    for (size_t k = 0; k < w->scores.columns; k++)
        out[k] = w->from_text ? ego_epic_relevancy(&m->clips.clips[k], m->sentence_of[row])
                              : ego_epic_relevancy(&m->clips.clips[row], m->sentence_of[k]);
}

/* Rows first … first + count − 1 of the truth's order; spare has room for one. */
static void read_rows(const mir *m, const way *w, size_t first, size_t count, double *scores,
                      double *relevancy, double *spare) {
    size_t n = w->scores.columns;
    if (!w->row_of && !w->column_of) ego_matrix_read(&w->scores, first, count, scores);
    for (size_t r = 0; (w->row_of || w->column_of) && r < count; r++) {
        ego_matrix_read(&w->scores, w->row_of ? w->row_of[first + r] : first + r, 1, spare);
        for (size_t k = 0; k < n; k++)
            scores[r * n + k] = spare[w->column_of ? w->column_of[k] : k];
    }
    if (w->relevancy.rows) ego_matrix_read(&w->relevancy, first, count, relevancy);
    for (size_t r = 0; !w->relevancy.rows && r < count; r++)
        compute_relevancy(m, w, first + r, relevancy + r * n);
}

/* Every candidate has a score. */
static bool whole(const double *scores, size_t n) {
    for (size_t k = 0; k < n; k++)
        if (isnan(scores[k])) return false;
    return true;
}

static void put(mir *m, way *w, ego_mir *scratch, size_t row, const double *scores,
                const double *relevancy) {
    ego_tally *tally = &m->judge->out->tally;
    size_t unit = w->first_unit + row;
    tally->present[unit] = whole(scores, w->scores.columns);
    ego_mir_query q = ego_mir_score(scratch, scores, relevancy, w->scores.columns);
    ego_tally_column(tally, (size_t)w->ndcg)[unit] = q.ndcg;
    ego_tally_column(tally, (size_t)w->map)[unit] = q.ap;
    w->undefined += isnan(q.ap);
}

static ego_err score(mir *m, way *w) {
    size_t n = w->scores.columns, rows = w->scores.rows,
           total = m->clips.count + m->sentences.count;
    ego_mir scratch = {0};
    double *memory = calloc((2 * BLOCK + 1) * n + 1, sizeof *memory);
    ego_err err = memory ? ego_mir_init(&scratch, n)
                         : ego_fail(EGO_ENOMEM, "out of memory for rows of %zu", n);
    for (size_t first = 0; err == EGO_OK && first < rows; first += BLOCK) {
        size_t count = rows - first < BLOCK ? rows - first : BLOCK;
        double *relevancy = memory + BLOCK * n;
        read_rows(m, w, first, count, memory, relevancy, relevancy + BLOCK * n);
        for (size_t r = 0; r < count; r++)
            put(m, w, &scratch, first + r, memory + r * n, relevancy + r * n);
        if (!ego_progress_tell(m->judge->options->progress, "rows", w->first_unit + first + count,
                               total))
            err = ego_fail(EGO_ECANCELLED, "stopped while scoring");
    }
    ego_mir_release(&scratch);
    free(memory);
    return err;
}

static ego_err add_metrics(mir *m, const way *v2t, const way *t2v) {
    static const char *const names[] = {"ndcg_v2t", "ndcg_t2v", "ndcg_avg",
                                        "map_v2t",  "map_t2v",  "map_avg"};
    ego_tally *tally = &m->judge->out->tally;
    bool undefined = m->judge->options->undefined_rows;
    for (size_t i = 0; i < 6; i++) {
        bool average = i % 3 == 2;
        ego_metric *metric;
        EGO_TRY(ego_tally_add(tally, average ? EGO_METRIC_AVERAGE : EGO_METRIC_MEAN,
                              average ? i - 2 : i / 3 * 2 + i % 3, average ? 2 : 0, &metric, "%s",
                              names[i]));
        size_t rows = (i % 3 != 1 ? v2t->undefined : 0) + (i % 3 != 0 ? t2v->undefined : 0);
        if (undefined && i >= 3 && rows) metric->scale = NAN;
    }
    if (v2t->undefined || t2v->undefined)
        snprintf(m->judge->out->note, sizeof m->judge->out->note,
                 "%zu videos and %zu sentences have no exact match: %s", v2t->undefined,
                 t2v->undefined,
                 undefined ? "mAP is not defined, as published" : "left out of mAP");
    return EGO_OK;
}

static ego_err judge_all(mir *m) {
    size_t V = m->clips.count, T = m->sentences.count;
    EGO_TRY(ego__judge_table(m->judge, COLUMNS));
    for (size_t j = 0; j < T; j++) m->judge->out->tally.stratum[V + j] = 1;
    EGO_TRY(ego_matrix_is(m->judge->predictions) ? open_matrix(m) : read_lines(m));
    bool turned = m->scores.rows != V;
    ego_matrix straight = turned ? ego_matrix_turned(&m->scores) : m->scores;
    EGO_TRY(find_order(m, &m->videos, straight.row_names, V, "vis_ids", &m->row_of));
    EGO_TRY(find_order(m, &m->texts, straight.column_names, T, "txt_ids", &m->column_of));
    way v2t = {.scores = straight,
               .relevancy = m->relevancy,
               .row_of = m->row_of,
               .column_of = m->column_of,
               .ndcg = NDCG_V2T,
               .map = MAP_V2T};
    way t2v = {.scores = ego_matrix_turned(&straight),
               .relevancy = ego_matrix_turned(&m->relevancy),
               .row_of = m->column_of,
               .column_of = m->row_of,
               .first_unit = V,
               .ndcg = NDCG_T2V,
               .map = MAP_T2V,
               .from_text = true};
    EGO_TRY(score(m, &v2t));
    EGO_TRY(score(m, &t2v));
    return add_metrics(m, &v2t, &t2v);
}

ego_err ego__judge_mir(ego__judge *judge) {
    mir m = {.judge = judge};
    ego_err err = read_truth(&m);
    if (err == EGO_OK) err = judge_all(&m);
    if (m.listed) m.scores = (ego_matrix){0}; /* a view of it */
    ego_matrix_close(&m.scores);
    ego_matrix_close(&m.relevancy);
    free(m.listed);
    ego_keys_release(&m.videos);
    ego_keys_release(&m.texts);
    return err;
}
