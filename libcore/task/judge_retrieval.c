/* Plain retrieval: at which rank each query finds what is right for it. */
#include "task/judge_inside.h"

#include "format/matrix.h"
#include "score/retrieval.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { R1, R5, R10, RANK, WAYS_COLUMNS }; /* of one way: columns of the tally */
static const size_t depths[] = {1, 5, 10};

/* A query and a target by number: right for each other, or one found for the other. */
typedef struct pair {
    uint32_t query, target;
    double score;  /* of one found */
    size_t number; /* where it stood */
} pair;

typedef struct retrieval {
    ego__judge *judge;
    ego_keys targets; /* names in the judge's arena */
    ego__list right;  /* pair, by query and target */
    ego__list found;  /* pair */
} retrieval;

static void put_rank(ego_tally *tally, size_t first_column, size_t unit, size_t rank) {
    for (size_t k = 0; k < 3; k++)
        ego_tally_column(tally, first_column + k)[unit] = rank && rank <= depths[k];
    ego_tally_column(tally, first_column + RANK)[unit] = rank ? (double)rank : INFINITY;
}

static ego_err add_metrics(ego_tally *tally, size_t first_column, const char *prefix) {
    for (size_t k = 0; k < 3; k++)
        EGO_TRY(ego_tally_add(tally, EGO_METRIC_MEAN, first_column + k, 0, NULL, "%sr%zu", prefix,
                              depths[k]));
    ego_metric *rank;
    EGO_TRY(ego_tally_rank(tally, first_column + RANK, NULL));
    EGO_TRY(
        ego_tally_add(tally, EGO_METRIC_MEDIAN, first_column + RANK, 0, &rank, "%srank", prefix));
    rank->scale = 1;
    return EGO_OK;
}

static ego_err add_pair(ego__list *list, pair item) {
    pair *added = ego__list_add(list);
    if (!added) return ego_fail(EGO_ENOMEM, "out of memory for pairs");
    *added = item;
    return EGO_OK;
}

static int by_query_and_target(const void *a, const void *b) {
    const pair *x = a, *y = b;
    if (x->query != y->query) return x->query < y->query ? -1 : 1;
    return (x->target > y->target) - (x->target < y->target);
}

static int by_pair_and_number(const void *a, const void *b) {
    const pair *x = a, *y = b;
    int order = by_query_and_target(x, y);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

static int by_query_and_score(const void *a, const void *b) {
    const pair *x = a, *y = b;
    if (x->query != y->query) return x->query < y->query ? -1 : 1;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static void sort(ego__list *list, int (*order)(const void *, const void *)) {
    if (list->count) qsort(list->items, list->count, sizeof(pair), order);
}

static bool is_right(const retrieval *r, pair p) {
    return r->right.count &&
           bsearch(&p, r->right.items, r->right.count, sizeof p, by_query_and_target) != NULL;
}

/* ---- matrices ------------------------------------------------------------------------------------ */

/* A truth line of a matrix: numbers of a row and a column. */
typedef struct shape {
    retrieval *r;
    size_t rows, columns;
} shape;

static ego_err read_cell(void *context, const ego_json *object, size_t number) {
    shape *s = context;
    int64_t query, target;
    (void)number;
    if (!ego_json_integer(ego_json_get(object, "query"), &query) ||
        !ego_json_integer(ego_json_get(object, "id"), &target) || query < 0 || target < 0 ||
        query >= (int64_t)s->rows || target >= (int64_t)s->columns)
        return ego_fail(EGO_EFORMAT,
                        "'query' and 'id': a row below %zu and a column below %zu "
                        "expected",
                        s->rows, s->columns);
    return add_pair(&s->r->right, (pair){.query = (uint32_t)query, .target = (uint32_t)target});
}

static ego_err read_diagonal(shape *s) {
    if (s->rows != s->columns)
        return ego_fail(EGO_EINPUT, "%s: without a truth a square matrix expected, found %zu x %zu",
                        s->r->judge->predictions, s->rows, s->columns);
    for (size_t i = 0; i < s->rows; i++)
        EGO_TRY(add_pair(&s->r->right, (pair){.query = (uint32_t)i, .target = (uint32_t)i}));
    return EGO_OK;
}

/* One way: rows of the matrix with what is right for each; the right pairs are sorted by row. */
static ego_err rank_rows(retrieval *r, const ego_matrix *m, size_t first_unit,
                         size_t first_column) {
    enum { BLOCK = 16 };
    const pair *right = r->right.items;
    ego_tally *tally = &r->judge->out->tally;
    double *scores = calloc(BLOCK * m->columns + 1, sizeof *scores);
    uint32_t *targets = calloc(r->right.count + 1, sizeof *targets);
    if (!scores || !targets) {
        free(scores);
        free(targets);
        return ego_fail(EGO_ENOMEM, "out of memory for rows of %zu", m->columns);
    }
    for (size_t row = 0, at = 0; row < m->rows; row++) {
        size_t n = 0;
        if (row % BLOCK == 0)
            ego_matrix_read(m, row, m->rows - row < BLOCK ? m->rows - row : BLOCK, scores);
        for (; at < r->right.count && right[at].query == row; at++) targets[n++] = right[at].target;
        r->judge->asked[first_unit + row] = n > 0;
        if (!n) continue;
        tally->present[first_unit + row] = true;
        put_rank(tally, first_column, first_unit + row,
                 ego_first_rank(scores + row % BLOCK * m->columns, m->columns, targets, n));
    }
    free(scores);
    free(targets);
    return EGO_OK;
}

static ego_err name_numbers(retrieval *r, const char *what, size_t n) {
    char name[48];
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%s %zu", what, i);
        EGO_TRY(ego__judge_unit(r->judge, name, NULL));
    }
    return EGO_OK;
}

static ego_err judge_matrix(retrieval *r, const ego_matrix *m) {
    shape s = {r, m->rows, m->columns};
    const char *truth = r->judge->options->truth, *path = r->judge->predictions;
    size_t row, column;
    if (m->rows >= UINT32_MAX || m->columns >= UINT32_MAX)
        return ego_fail(EGO_EUNSUPPORTED, "%s: %zu x %zu scores", path, m->rows, m->columns);
    if (ego_matrix_fault(m, &row, &column))
        return ego_fail(EGO_EFORMAT, "%s: row %zu, column %zu: a number expected, found NaN", path,
                        row, column);
    EGO_TRY(truth ? ego_predictions_read(truth, read_cell, &s) : read_diagonal(&s));
    EGO_TRY(name_numbers(r, "row", m->rows));
    EGO_TRY(name_numbers(r, "column", m->columns));
    EGO_TRY(ego__judge_table(r->judge, 2 * WAYS_COLUMNS));
    ego_tally *tally = &r->judge->out->tally;
    for (size_t i = 0; i < m->columns; i++) tally->stratum[m->rows + i] = 1;
    sort(&r->right, by_query_and_target);
    EGO_TRY(rank_rows(r, m, 0, 0));

    ego_matrix turned = ego_matrix_turned(m);
    pair *pairs = r->right.items;
    for (size_t i = 0; i < r->right.count; i++)
        pairs[i] = (pair){.query = pairs[i].target, .target = pairs[i].query};
    sort(&r->right, by_query_and_target);
    EGO_TRY(rank_rows(r, &turned, m->rows, WAYS_COLUMNS));
    EGO_TRY(add_metrics(tally, 0, ""));
    return add_metrics(tally, WAYS_COLUMNS, "reverse_");
}

/* ---- lines --------------------------------------------------------------------------------------- */

static ego_err target_number(retrieval *r, const char *name, uint32_t *number) {
    size_t index;
    if (!ego_keys_find(&r->targets, name, &index)) {
        char *copy = ego_arena_strdup(&r->judge->arena, name);
        if (!copy) return ego_fail(EGO_ENOMEM, "out of memory for names");
        EGO_TRY(ego_keys_add(&r->targets, copy, &index, NULL));
    }
    *number = (uint32_t)index;
    return EGO_OK;
}

/* A query named by a line of truth or, without a truth, by a prediction. */
static ego_err query_number(retrieval *r, const char *name, uint32_t *number) {
    size_t index;
    if (!ego_keys_find(&r->judge->keys, name, &index)) {
        EGO_TRY(ego__judge_unit(r->judge, name, NULL));
        index = r->judge->keys.count - 1;
    }
    *number = (uint32_t)index;
    return EGO_OK;
}

static ego_err read_right(void *context, const ego_json *object, size_t number) {
    retrieval *r = context;
    char query_room[EGO_PREDICTION_KEY], id_room[EGO_PREDICTION_KEY];
    const char *query, *id;
    pair p = {.number = number};
    EGO_TRY(ego__judge_key(object, "query", query_room, &query));
    EGO_TRY(ego__judge_key(object, "id", id_room, &id));
    EGO_TRY(query_number(r, query, &p.query));
    EGO_TRY(target_number(r, id, &p.target));
    return add_pair(&r->right, p);
}

static ego_err read_match(void *context, const ego_json *object, size_t number) {
    retrieval *r = context;
    char query_room[EGO_PREDICTION_KEY], id_room[EGO_PREDICTION_KEY];
    const char *query, *id;
    size_t index;
    pair p = {.number = number};
    if (ego_prediction_failed(object)) return ego__judge_failed(r->judge), EGO_OK;
    EGO_TRY(ego__judge_key(object, "query", query_room, &query));
    EGO_TRY(ego__judge_key(object, "id", id_room, &id));
    if (!ego_json_number(ego_json_get(object, "score"), &p.score))
        return ego_fail(EGO_EFORMAT, "'score': a number expected, found %s",
                        ego_json_kind(ego_json_get(object, "score")));
    bool known = ego_keys_find(&r->judge->keys, query, &index);
    if (!known && r->judge->options->truth) return ego__judge_unknown(r->judge, query), EGO_OK;
    EGO_TRY(query_number(r, query, &p.query));
    EGO_TRY(target_number(r, id, &p.target));
    if (!known) { /* no truth: a query's own name is right for it */
        pair own = {.query = p.query};
        EGO_TRY(target_number(r, query, &own.target));
        EGO_TRY(add_pair(&r->right, own));
    }
    return add_pair(&r->found, p);
}

/* Counts pairs that were found twice; the first stays. */
static void drop_doubles(retrieval *r) {
    pair *found = r->found.items;
    size_t kept = 0;
    sort(&r->found, by_pair_and_number);
    for (size_t i = 0; i < r->found.count; i++) {
        if (kept && by_query_and_target(&found[kept - 1], &found[i]) == 0) {
            if (!r->judge->out->doubled++)
                snprintf(r->judge->out->doubled_example, EGO_JUDGE_EXAMPLE, "%.60s with %.60s",
                         r->judge->keys.names[found[i].query], r->targets.names[found[i].target]);
            continue;
        }
        found[kept++] = found[i];
    }
    r->found.count = kept;
}

/* Queries whose list, sorted by query, ends before a recall's depth although there were more targets. */
static void note_short_lists(retrieval *r) {
    size_t most = depths[R10] < r->targets.count ? depths[R10] : r->targets.count, short_lists = 0;
    const pair *found = r->found.items;
    for (size_t i = 0, first = 0; i < r->found.count; i++) {
        if (found[i].query != found[first].query) first = i;
        bool last = i + 1 == r->found.count || found[i + 1].query != found[i].query;
        short_lists += last && i + 1 - first < most;
    }
    if (short_lists)
        snprintf(r->judge->out->note, sizeof r->judge->out->note,
                 "%zu queries list fewer than %zu targets: what is not listed counts as not found",
                 short_lists, most);
}

static ego_err judge_lines(retrieval *r) {
    const char *truth = r->judge->options->truth;
    if (truth) EGO_TRY(ego_predictions_read(truth, read_right, r));
    EGO_TRY(ego_predictions_read(r->judge->predictions, read_match, r));
    EGO_TRY(ego__judge_table(r->judge, WAYS_COLUMNS));
    sort(&r->right, by_query_and_target);
    drop_doubles(r);
    sort(&r->found, by_query_and_score);
    ego_tally *tally = &r->judge->out->tally;
    for (size_t i = 0; i < tally->units; i++) put_rank(tally, 0, i, 0);
    const pair *found = r->found.items;
    for (size_t i = 0, rank = 0; i < r->found.count; i++) {
        bool first = i == 0 || found[i].query != found[i - 1].query;
        size_t unit = found[i].query;
        rank = first ? 1 : rank + 1;
        tally->present[unit] = true;
        if (isinf(ego_tally_column(tally, RANK)[unit]) && is_right(r, found[i]))
            put_rank(tally, 0, unit, rank);
    }
    note_short_lists(r);
    return add_metrics(tally, 0, "");
}

ego_err ego__judge_retrieval(ego__judge *judge) {
    retrieval r = {
        .judge = judge, .right = {.size = sizeof(pair)}, .found = {.size = sizeof(pair)}};
    ego_err err;
    if (ego_matrix_is(judge->predictions)) {
        ego_matrix m;
        err = ego_matrix_open(judge->predictions, NULL, &m);
        if (err == EGO_OK) {
            err = judge_matrix(&r, &m);
            ego_matrix_close(&m);
        }
    } else {
        err = judge_lines(&r);
    }
    ego__list_release(&r.right);
    ego__list_release(&r.found);
    ego_keys_release(&r.targets);
    return err;
}
