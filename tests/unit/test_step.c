/* A step of pre-training gives the same losses and gradients however it is split: in portions (here), over
 * ranks (the same program under mpirun, when it was linked with MPI). Every parameter takes part, dropout
 * included; gradients agree to 1e-5 relative, or 1e-6 absolute where they are rounding noise. Once with matching
 * asked about pairs, once about lists with the dual encoder left as it is.
 */
#include "check.h"

#include "base/rng.h"
#include "base/threads.h"
#include "model/trainable.h"
#include "recipe/groups.h"
#include "recipe/step.h"

enum { ROWS = 8, TOKENS = 9, FRAMES = 2, SIZE = 16 };

static ego_config tiny(void) {
    ego_config c = ego_config_default();
    c.dim = 32, c.heads = 2, c.depth = 3, c.fuse_layers = 2, c.mlp_ratio = 2;
    c.patch = 8, c.image_size = SIZE, c.frames = FRAMES;
    c.vocab = 300, c.max_positions = 20;
    c.projections = 3;
    for (int i = 0; i < 3; i++) c.projection[i] = 24;
    return c;
}

/* Sample number g: everything about it follows from the number. */
typedef struct made {
    float pixels[FRAMES * 3 * SIZE * SIZE];
    int64_t tokens[TOKENS];
} made;

static ego_step_sample make_sample(int64_t g, made *m) {
    static const uint16_t verbs[] = {1, 5, 7, 1}, nouns[] = {100, 200, 300};
    uint64_t stream = ego_rng_stream(11, (uint64_t)g);
    for (size_t i = 0; i < sizeof m->pixels / sizeof m->pixels[0]; i++)
        m->pixels[i] = (float)ego_rng_normal(stream, i);
    int64_t n = 4 + g % (TOKENS - 3);
    m->tokens[0] = 0, m->tokens[n - 1] = 2;
    for (int64_t i = 1; i < n - 1; i++) m->tokens[i] = 4 + ego_rng_below(stream, 5000 + (uint64_t)i, 290);
    ego_tags v = {&verbs[g % 4], 1}, o = {&nouns[g % 3], 1};
    return (ego_step_sample){m->pixels, m->tokens, n, ego_tag_bits_of(&v, &o), stream};
}

typedef struct collected {
    float *all;
    int64_t count;
} collected;

static ego_err collect(void *context, const ego_param_spec *spec) {
    collected *c = context;
    int64_t n = spec->param->grad ? ego_tensor_count(&spec->param->value) : 0;
    if (!n) return EGO_OK;
    c->all = realloc(c->all, (size_t)(c->count + n) * sizeof(float));
    memcpy(c->all + c->count, spec->param->grad, (size_t)n * sizeof(float));
    c->count += n;
    return EGO_OK;
}

typedef struct compared {
    const float *want, *got;
    int64_t at;
    double worst;
} compared;

static ego_err compare(void *context, const ego_param_spec *spec) {
    compared *c = context;
    int64_t n = spec->param->grad ? ego_tensor_count(&spec->param->value) : 0;
    double difference = 0, norm = 0, most = 0;
    for (int64_t i = c->at; i < c->at + n; i++) {
        double d = fabs((double)c->got[i] - c->want[i]);
        difference += d * d;
        norm += (double)c->want[i] * c->want[i];
        if (!(d <= most)) most = d;
    }
    c->at += n;
    if (!CHECK(difference <= 1e-10 * norm || most < 1e-6))
        fprintf(stderr, "    %s: relative %.3g, largest difference %.3g\n", spec->name, sqrt(difference / norm), most);
    if (most >= 1e-6 && sqrt(difference / norm) > c->worst) c->worst = sqrt(difference / norm);
    return EGO_OK;
}

/* The gradient of the whole step, summed over ranks. With choices EgoNCE is told, not learned,
 * and every clip has three partners. */
static void run(ego_model *m, ego_backend *backend, ego_dist *dist, int64_t choices, int64_t accumulate,
                bool checkpoint, collected *out, ego_step_losses *losses) {
    int64_t partners = choices ? 3 : 1;
    ego_step_options o = {.objectives = {.egonce = choices ? 0 : 1, .mlm = 1, .vtm = 2, .temperature = 0.05,
                                         .negatives = {.hard = true, .temperature = 0.05, .scene = 0.5},
                                         .choices = choices, .dropout = 0.1f},
                          .rows = ROWS / accumulate / ego_dist_size(dist), .accumulate = accumulate, .partners = partners,
                          .checkpoint_layers = checkpoint, .dist = dist};
    ego_step *step;
    if (!CHECK_OK(ego_step_new(m, backend, &o, &step))) return;
    int64_t n = ego_step_local(step);
    CHECK(ego_step_global(step) == (1 + partners) * ROWS);
    made *memory = calloc((size_t)n, sizeof *memory);
    ego_step_sample *samples = calloc((size_t)n, sizeof *samples);
    for (int64_t i = 0; i < n; i++) samples[i] = make_sample(ego_step_number(step, i), &memory[i]);
    ego_model_zero_gradients(m);
    CHECK_OK(ego_step_run(step, samples, 77, true, losses));
    (void)ego_params_visit(&m->config, m->params, collect, out);
    CHECK_OK(ego_dist_sum(dist, out->all, (size_t)out->count));
    free(samples);
    free(memory);
    ego_step_free(step);
}

static void check_same(ego_model *m, const collected *want, const ego_step_losses *wanted, const collected *got,
                       const ego_step_losses *losses, const char *what) {
    compared c = {want->all, got->all, 0, 0};
    CHECK_NEAR(losses->egonce / wanted->egonce, 1, 1e-6);
    CHECK_NEAR(losses->mlm / wanted->mlm, 1, 1e-6);
    CHECK_NEAR(losses->vtm / wanted->vtm, 1, 1e-6);
    CHECK_NEAR(losses->matched, wanted->matched, 1e-6);
    CHECK(losses->hidden == wanted->hidden && losses->hidden > 0);
    if (CHECK(want->count == got->count)) (void)ego_params_visit(&m->config, m->params, compare, &c);
    printf("%s: largest relative difference %.2g\n", what, c.worst);
}

static void test_splits(ego_pool *pool, ego_backend *backend, ego_dist *dist, int64_t choices) {
    ego_model *m;
    ego_config config = tiny();
    CHECK_OK(ego_model_create(&config, EGO_START_GOLDEN, 0, pool, &m));
    CHECK_OK(ego_model_make_partly_trainable(m, backend, choices ? ego_param_beside_encoders : NULL));
    collected whole = {0};
    ego_step_losses losses, wanted;
    run(m, backend, NULL, choices, 1, false, &whole, &wanted);
    for (int64_t accumulate = 1; accumulate <= 4; accumulate *= 2)
        for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
            collected got = {0};
            char what[64];
            int64_t portions = accumulate / ego_dist_size(dist);
            run(m, backend, dist, choices, portions ? portions : 1, checkpoint, &got, &losses);
            snprintf(what, sizeof what, "%d ranks, %d portions%s%s", ego_dist_size(dist), (int)accumulate,
                     checkpoint ? ", checkpointed" : "", choices ? ", lists" : "");
            check_same(m, &whole, &wanted, &got, &losses, what);
            free(got.all);
        }
    free(whole.all);
    ego_model_close(m, backend);
}

int main(int argc, char **argv) {
    ego_pool *pool;
    ego_backend *backend;
    ego_dist *dist;
    CHECK_OK(ego_dist_start(&argc, &argv, &dist));
    CHECK_OK(ego_pool_new(2, &pool));
    CHECK_OK(ego_cpu_backend_new(pool, &backend));
    test_splits(pool, backend, dist, 0);
    test_splits(pool, backend, dist, 3);
    ego_backend_free(backend);
    ego_pool_free(pool);
    ego_dist_end(dist);
    return check_done();
}
