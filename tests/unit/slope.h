/* Gradients held against differences of the loss, along the gradients themselves: one parameter's, or many at once. */
#ifndef EGO_TESTS_SLOPE_H
#define EGO_TESTS_SLOPE_H

#include "check.h"

#include "model/params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- one parameter --------------------------------------------------------------------------- */

typedef struct slopes {
    double (*loss)(void *context);
    void *context;
    int checked; /* parameters whose gradient is more than noise */
    double worst;
} slopes;

/* The loss along the parameter's gradient rises by its norm. */
static inline void check_own_slope(slopes *s, const ego_param_spec *spec) {
    ego_param *p = spec->param;
    int64_t n = ego_tensor_count(&p->value);
    float *value = p->value.data, *kept = malloc((size_t)n * sizeof *kept);
    double norm = 0, loss[2];
    memcpy(kept, value, (size_t)n * sizeof *kept);
    for (int64_t i = 0; i < n; i++) norm += (double)p->grad[i] * (double)p->grad[i];
    norm = sqrt(norm);
    static const double step = 0x1p-7;
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < n; i++)
            value[i] = kept[i] + (float)((side ? step : -step) * (double)p->grad[i] / (norm > 0 ? norm : 1));
        loss[side] = s->loss(s->context);
    }
    memcpy(value, kept, (size_t)n * sizeof *kept);
    free(kept);
    double slope = (loss[1] - loss[0]) / (2 * step), error = fabs(slope - norm);
    if (!CHECK(error <= 0.01 * norm + 2e-4))
        fprintf(stderr, "    %s: norm %.6g, differences %.6g\n", spec->name, norm, slope);
    if (norm > 0.02 && error / norm > s->worst) s->worst = error / norm;
    s->checked += norm > 0.02;
}

/* ---- many at once ---------------------------------------------------------------------------- */

typedef struct moving {
    double by, square; /* square: of all their gradients together */
    int without;       /* parameters whose gradient is nothing but zeroes */
} moving;

/* For ego_params_visit and ego_head_visit: goes `by` times the gradient, where there is one. */
static inline ego_err move(void *context, const ego_param_spec *spec) {
    moving *m = context;
    const ego_param *p = spec->param;
    double square = 0;
    for (int64_t i = 0; p->grad && i < ego_tensor_count(&p->value); i++) {
        ego_f32(&p->value)[i] += (float)(m->by * (double)p->grad[i]);
        square += (double)p->grad[i] * (double)p->grad[i];
    }
    m->without += p->grad && square == 0;
    m->square += square;
    return EGO_OK;
}

/* Of the parameters of a model, or of a head. */
typedef moving move_fn(void *context, bool head, double by);

/* Along all gradients the loss changes by their square: by 1 %, or over a short way. */
static inline moving check_slope(const char *what, bool head, double loss, move_fn *go, double (*loss_of)(void *context),
                                 void *context) {
    moving m = go(context, head, 0);
    double h = fmin(0.01 / sqrt(m.square), 0.005 * loss / m.square);
    CHECK(m.square > 0);
    go(context, head, h);
    double more = loss_of(context);
    go(context, head, -2 * h);
    double less = loss_of(context);
    go(context, head, h);
    double slope = (more - less) / (2 * h);
    printf("%s: %.6f, slope %.6g, by differences %.6g\n", what, loss, m.square, slope);
    CHECK_NEAR(slope / m.square, 1, 0.05);
    return m;
}

#endif
