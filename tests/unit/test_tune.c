/* Fine-tuning's losses through a whole tiny model: their gradient against differences of the loss along it, the same in
 * portions, and a step against it that lowers the loss. Published sampling of EK-100 in training.
 */
#include "check.h"

#include "base/rng.h"
#include "base/threads.h"
#include "media/sample.h"
#include "model/trainable.h"
#include "recipe/groups.h"
#include "recipe/step.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = 6, TOKENS = 6, FRAMES = 2, SIZE = 16 };

static ego_config tiny(void) {
    ego_config c = ego_config_default();
    c.dim = 32, c.heads = 2, c.depth = 2, c.fuse_layers = 1, c.mlp_ratio = 2;
    c.patch = 8, c.image_size = SIZE, c.frames = FRAMES;
    c.vocab = 300, c.max_positions = 20;
    c.projections = 1;
    c.projection[0] = 24;
    return c;
}

typedef struct made {
    float pixels[FRAMES * 3 * SIZE * SIZE];
    int64_t tokens[TOKENS];
} made;

static ego_step_sample make_sample(int64_t g, made *m) {
    uint64_t stream = ego_rng_stream(7, (uint64_t)g);
    for (size_t i = 0; i < sizeof m->pixels / sizeof m->pixels[0]; i++)
        m->pixels[i] = (float)ego_rng_normal(stream, i);
    m->tokens[0] = 0, m->tokens[TOKENS - 1] = 2;
    for (int64_t i = 1; i < TOKENS - 1; i++) m->tokens[i] = 4 + ego_rng_below(stream, 9000 + (uint64_t)i, 290);
    return (ego_step_sample){
        .pixels = m->pixels, .tokens = m->tokens, .n_tokens = TOKENS, .fit = 0.2f + 0.15f * (float)g, .stream = stream};
}

/* The loss of the whole batch; its gradient is added to the model's. */
static double loss_of(ego_model *m, ego_backend *backend, const ego_objectives *objectives, int64_t accumulate,
                      bool gradients) {
    ego_step_options o = {.objectives = *objectives, .rows = ROWS / accumulate, .accumulate = accumulate};
    static made memory[ROWS];
    ego_step_sample samples[ROWS];
    ego_step_losses losses = {0};
    ego_step *step;
    ego_model_changed(m, backend);
    ego_model_zero_gradients(m);
    if (!CHECK_OK(ego_step_new(m, backend, &o, &step))) return NAN;
    for (int64_t i = 0; i < ROWS; i++) samples[i] = make_sample(ego_step_number(step, i), &memory[i]);
    CHECK_OK(ego_step_run(step, samples, 1, gradients, &losses));
    CHECK(losses.total == losses.egonce && losses.mlm == 0 && losses.vtm == 0);
    ego_step_free(step);
    return losses.egonce;
}

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* Values move by `by` along the gradient that was copied. */
static void move(const ego_trained *list, size_t count, const float *gradient, double by) {
    for (size_t k = 0; k < count; gradient += list[k++].count)
        for (int64_t i = 0; i < list[k].count; i++) list[k].value[i] += (float)(by * (double)gradient[i]);
}

static void check_loss(ego_model *m, ego_backend *backend, const char *name, const ego_objectives *objectives) {
    ego_trained *list;
    size_t count;
    int64_t n = 0, at = 0;
    if (!CHECK_OK(ego_trained_list(m, 1, 1, 1, &list, &count))) return;
    ego_trained_leave(m, EGO_NEEDS_VIDEO | EGO_NEEDS_TEXT | EGO_NEEDS_VIDEO_PROJECTION | EGO_NEEDS_TEXT_PROJECTION, list);
    for (size_t k = 0; k < count; k++) n += list[k].count;
    float *gradient = malloc((size_t)n * sizeof *gradient);
    double loss = loss_of(m, backend, objectives, 1, true), norm = 0, apart = 0;
    for (size_t k = 0; k < count; at += list[k++].count) {
        memcpy(gradient + at, list[k].grad, (size_t)list[k].count * sizeof *gradient);
        double square = dot(list[k].grad, list[k].grad, list[k].count);
        if (list[k].lr_scale == 0) CHECK(square == 0); /* the fused path */
        norm += square;
    }
    CHECK(loss > 0 && norm > 0);
    /* In portions it is the same. */
    CHECK_NEAR(loss_of(m, backend, objectives, 3, true) / loss, 1, 1e-6);
    at = 0;
    for (size_t k = 0; k < count; at += list[k++].count)
        for (int64_t i = 0; i < list[k].count; i++)
            apart += pow((double)list[k].grad[i] - (double)gradient[at + i], 2);
    CHECK(apart <= 1e-9 * norm);
    /* Along the gradient the loss changes by its square. A change of 1 % of the loss is far above rounding. */
    double h = 0.005 * loss / norm;
    move(list, count, gradient, h);
    double more = loss_of(m, backend, objectives, 1, false);
    move(list, count, gradient, -2 * h);
    double less = loss_of(m, backend, objectives, 1, false);
    move(list, count, gradient, h);
    printf("%s: %.6f, slope %.6g, by differences %.6g\n", name, loss, norm, (more - less) / (2 * h));
    CHECK_NEAR((more - less) / (2 * h) / norm, 1, 0.02);
    CHECK(less < loss && loss < more);
    free(gradient);
    free(list);
}

static void check_sampling(void) {
    int64_t from[4] = {0}, to[4] = {0}, index[4], middle[4];
    ego_sample_epic(50, 1, 2.5, 4, middle);
    for (int k = 0; k < 4; k++) from[k] = INT64_MAX;
    for (uint64_t stream = 0; stream < 2000; stream++) {
        ego_sample_epic_random(50, 1, 2.5, 4, stream, index);
        for (int k = 0; k < 4; k++) {
            if (index[k] < from[k]) from[k] = index[k];
            if (index[k] > to[k]) to[k] = index[k];
        }
    }
    /* s 50, e 125, g 18.5: parts round(18.5 k) + 50, half to even, both ends drawn. */
    static const int64_t edges[] = {50, 68, 87, 106, 124};
    for (int k = 0; k < 4; k++) {
        CHECK(from[k] == edges[k] && to[k] == edges[k + 1]);
        CHECK(middle[k] == (edges[k] + edges[k + 1]) / 2);
    }
    ego_sample_epic_random(50, 1, 1, 4, 3, index); /* nothing to draw from: still near its place */
    for (int k = 0; k < 4; k++) CHECK(index[k] >= 48 && index[k] <= 51);
}

int main(void) {
    ego_pool *pool;
    ego_backend *backend;
    ego_model *m;
    ego_config config = tiny();
    CHECK_OK(ego_pool_new(1, &pool));
    CHECK_OK(ego_cpu_backend_new(pool, &backend));
    CHECK_OK(ego_model_create(&config, EGO_START_GOLDEN, 0, pool, &m));
    CHECK_OK(ego_model_make_trainable(m, backend));
    check_loss(m, backend, "max-margin",
               &(ego_objectives){.egonce = 1, .contrast = EGO_CONTRAST_MARGIN, .margin = 0.2,
                                 .temperature = 0.05, .positives = EGO_POSITIVES_DIAGONAL});
    check_loss(m, backend, "cross-entropy over the diagonal",
               &(ego_objectives){.egonce = 1, .temperature = 0.05, .positives = EGO_POSITIVES_DIAGONAL});
    check_sampling();
    ego_model_close(m, backend);
    ego_backend_free(backend);
    ego_pool_free(pool);
    return check_done();
}
