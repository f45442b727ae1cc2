/* A hundred AdamW steps on tiny's one batch, against our own PyTorch reference (tests/reference/
 * train_reference.py, in float64): losses to 1e-3 relative, or 1e-5 absolute once they are nearly 0; and single
 * parameters of every group, so that a wrong group can be told. */
#ifndef EGO_TESTS_GOLDEN_ADAMW_H
#define EGO_TESTS_GOLDEN_ADAMW_H

#include "training.h"

#include "recipe/groups.h"
#include "train/schedule.h"

static bool near_loss(double got, double want) {
    return fabs(got - want) < 1e-3 * fabs(want) || fabs(got - want) < 1e-5;
}

static void check_probes(const ego_json *wanted, int64_t updates, const ego_trained *params, size_t count) {
    const ego_json *after = ego_json_get(wanted, "probe_after_updates");
    size_t which = 0;
    for (const ego_json *a = ego_json_first(after); a; a = ego_json_next(a), which++) {
        double at;
        if (!ego_json_number(a, &at) || (int64_t)at != updates) continue;
        for (const ego_json *p = ego_json_first(ego_json_get(wanted, "probes")); p; p = ego_json_next(p)) {
            const char *name = "";
            ego_json_string(ego_json_get(p, "name"), &name);
            const ego_json *value = ego_json_first(ego_json_get(p, "values"));
            for (size_t k = 0; k < which; k++) value = ego_json_next(value);
            double want = NAN, got = NAN;
            ego_json_number(value, &want);
            for (size_t i = 0; i < count; i++)
                if (strcmp(params[i].name, name) == 0) got = params[i].value[(int64_t)number(p, "index", 0)];
            if (!CHECK(fabs(got - want) < 1e-4))
                fprintf(stderr, "    %s after %d updates: %.9g, expected %.9g\n", name, (int)updates, got, want);
        }
    }
}

static void follow(fixture *f, const step_input *in, const ego_json *wanted) {
    const ego_json *o = ego_json_get(wanted, "optim");
    ego_adamw adamw = ego_adamw_default();
    ego_schedule schedule = {EGO_SCHEDULE_COSINE, number(o, "warmup", 0), (int64_t)number(o, "steps", 0)};
    ego_trained *params = NULL;
    ego_optim optim = {0};
    ego_tape *tape = NULL;
    size_t count;
    double worst = 0;
    if (!CHECK_OK(ego_trained_list(f->model, 1, number(o, "head", 0), number(o, "cross", 0), &params, &count)) ||
        !CHECK_OK(ego_optim_init(&optim, &adamw, params, count, f->pool)) || !CHECK_OK(ego_tape_new(false, &tape)))
        goto out;
    int64_t t = 0;
    for (const ego_json *s = ego_json_first(ego_json_get(wanted, "steps")); s; s = ego_json_next(s), t++) {
        step_losses l = {0};
        ego_optim_zero_grads(&optim);
        ego_model_changed(f->model, f->backend);
        if (!CHECK_OK(run_step(f, in, tape, &l))) break;
        double got[] = {l.egonce, l.mlm, l.vtm, l.egonce + l.mlm + 2 * l.vtm};
        static const char *const names[] = {"egonce", "mlm", "vtm", "total"};
        for (int i = 0; i < 4; i++) {
            double want = number(s, names[i], NAN);
            if (!CHECK(near_loss(got[i], want)))
                fprintf(stderr, "    step %d: %s %.9g, expected %.9g\n", (int)t, names[i], got[i], want);
            if (i == 3 && fabs(got[i] - want) / want > worst) worst = fabs(got[i] - want) / want;
        }
        double lr = number(o, "lr", 0) * ego_schedule_at(&schedule, t);
        CHECK_NEAR(lr, number(s, "lr", NAN), 1e-12);
        if (!CHECK_OK(ego_optim_update(&optim, lr))) break;
        check_probes(wanted, t + 1, params, count);
    }
    CHECK(t == schedule.steps);
    printf("%s: %d AdamW steps: largest relative difference of the total loss %.2g\n", f->folder, (int)t, worst);
out:
    ego_tape_free(tape);
    ego_optim_release(&optim);
    free(params);
}

/* The folder must be the one that the fixture was made from: it is told by its first loss. */
static void check_adamw(fixture *f, const char *path) {
    ego_json *wanted;
    if (!exists(f->folder, "grad") || !CHECK_OK(ego_json_read(path, 1 << 24, &wanted))) return;
    double first = number(ego_json_first(ego_json_get(wanted, "steps")), "total", NAN);
    double own = number(ego_json_get(f->meta, "losses"), "total", NAN);
    step_input *in = calloc(1, sizeof *in);
    ego_ctx_mark mark = ego_ctx_save(&f->cx);
    if (fabs(first - own) < 1e-9 && CHECK(load_step(f, in))) follow(f, in, wanted);
    release_step(in);
    free(in);
    ego_ctx_rewind(&f->cx, &mark);
    ego_json_free(wanted);
}

#endif
