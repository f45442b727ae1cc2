#include "score/assign.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* n rows, m ≥ n columns; both count from 1 in the arrays, 0 standing for none. Cost is −weight. */
typedef struct problem {
    const double *weight;
    size_t n, m, row_step, column_step;
    double *row_potential, *column_potential; /* (n + 1), (m + 1) */
    double *slack;  /* (m + 1): reduced cost of the best edge into a column */
    size_t *row_of; /* (m + 1): the row a column is matched with */
    size_t *from;   /* (m + 1): the column before it on that path */
    bool *reached;  /* (m + 1) */
} problem;

static double cost(const problem *p, size_t row, size_t column) {
    double w = p->weight[(row - 1) * p->row_step + (column - 1) * p->column_step];
    return w > 0 ? -w : 0;
}

/* Lowers the slack of the columns not yet reached by the edges of one row; returns the closest. */
static size_t relax(problem *p, size_t column, double *delta) {
    size_t row = p->row_of[column], best = 0;
    *delta = INFINITY;
    for (size_t j = 1; j <= p->m; j++) {
        if (p->reached[j]) continue;
        double reduced = cost(p, row, j) - p->row_potential[row] - p->column_potential[j];
        if (reduced < p->slack[j]) {
            p->slack[j] = reduced;
            p->from[j] = column;
        }
        if (p->slack[j] < *delta) {
            *delta = p->slack[j];
            best = j;
        }
    }
    return best;
}

static void shift_potentials(problem *p, double delta) {
    for (size_t j = 0; j <= p->m; j++) {
        if (p->reached[j]) {
            p->row_potential[p->row_of[j]] += delta;
            p->column_potential[j] -= delta;
        } else {
            p->slack[j] -= delta;
        }
    }
}

/* Finds the cheapest way to give one more row a column, others moving over. */
static void augment(problem *p, size_t row) {
    size_t column = 0;
    for (size_t j = 0; j <= p->m; j++) {
        p->slack[j] = INFINITY;
        p->reached[j] = false;
    }
    p->row_of[0] = row;
    do {
        double delta;
        p->reached[column] = true;
        size_t next = relax(p, column, &delta);
        shift_potentials(p, delta);
        column = next;
    } while (p->row_of[column] != 0);
    while (column) {
        size_t before = p->from[column];
        p->row_of[column] = p->row_of[before];
        column = before;
    }
}

static double read_match(const problem *p, bool turned, size_t rows, int32_t *match) {
    double total = 0;
    for (size_t i = 0; match && i < rows; i++) match[i] = -1;
    for (size_t j = 1; j <= p->m; j++) {
        size_t i = p->row_of[j];
        if (!i || cost(p, i, j) == 0) continue;
        total -= cost(p, i, j);
        if (match) match[turned ? j - 1 : i - 1] = (int32_t)(turned ? i - 1 : j - 1);
    }
    return total;
}

ego_err ego_assign(const double *weight, size_t rows, size_t columns, double *total,
                   int32_t *match) {
    bool turned = rows > columns;
    problem p = {.weight = weight,
                 .n = turned ? columns : rows,
                 .m = turned ? rows : columns,
                 .row_step = turned ? 1 : columns,
                 .column_step = turned ? columns : 1};
    if (p.m >= INT32_MAX) return ego_fail(EGO_EUNSUPPORTED, "an assignment of %zu", p.m);
    p.row_potential = calloc(p.n + 1, sizeof *p.row_potential);
    p.column_potential = calloc(p.m + 1, sizeof *p.column_potential);
    p.slack = calloc(p.m + 1, sizeof *p.slack);
    p.row_of = calloc(p.m + 1, sizeof *p.row_of);
    p.from = calloc(p.m + 1, sizeof *p.from);
    p.reached = calloc(p.m + 1, sizeof *p.reached);
    ego_err err = EGO_OK;
    if (!p.row_potential || !p.column_potential || !p.slack || !p.row_of || !p.from || !p.reached)
        err = ego_fail(EGO_ENOMEM, "out of memory to assign %zu to %zu", rows, columns);
    for (size_t i = 1; err == EGO_OK && i <= p.n; i++) augment(&p, i);
    if (err == EGO_OK) *total = read_match(&p, turned, rows, match);
    free(p.row_potential);
    free(p.column_potential);
    free(p.slack);
    free(p.row_of);
    free(p.from);
    free(p.reached);
    return err;
}
