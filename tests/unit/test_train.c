/* The parts of the training engine: AdamW against its formula in double, the schedule, checkpoints and
 * what happens to them. test_train_run.c puts them together. */
#include "check.h"
#include "train/checkpoint.h"
#include "train/optim.h"
#include "train/schedule.h"

#include "base/file.h"
#include "base/rng.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COUNT = 3, LARGEST = 70001 }; /* more than two blocks, and a rest */

static const int64_t sizes[COUNT] = {1, 37, LARGEST};
static const char *const names[COUNT] = {"gate", "norm.bias", "layer.weight"};

/* Three parameters with their memory. */
typedef struct bench {
    ego_trained params[COUNT];
    ego_optim optim;
    float *memory;
} bench;

static bool set_up(bench *b, ego_pool *pool) {
    *b = (bench){0};
    size_t total = 0;
    for (int i = 0; i < COUNT; i++) total += (size_t)sizes[i];
    b->memory = calloc(2 * total, sizeof *b->memory);
    if (!CHECK(b->memory != NULL)) return false;
    float *at = b->memory;
    for (int i = 0; i < COUNT; i++) {
        ego_tensor t = {.data = at, .dtype = EGO_F32, .ndim = 1, .shape = {sizes[i]}};
        b->params[i] = ego_trained_of(names[i], &t, at + sizes[i]);
        for (int64_t j = 0; j < sizes[i]; j++)
            at[j] = (float)ego_rng_normal((uint64_t)i, (uint64_t)j);
        at += 2 * sizes[i];
    }
    b->params[0].lr_scale = 4;
    b->params[1].decay = false;
    ego_adamw adamw = ego_adamw_default();
    return CHECK_OK(ego_optim_init(&b->optim, &adamw, b->params, COUNT, pool));
}

static void tear_down(bench *b) {
    ego_optim_release(&b->optim);
    free(b->memory);
}

static float gradient(int param, int64_t j, int step) {
    uint64_t stream = ego_rng_stream((uint64_t)(100 + step), (uint64_t)param);
    double size = j % 5 == 0 ? 1e-6 : j % 5 == 1 ? 100 : 1;
    return (float)(size * ego_rng_normal(stream, (uint64_t)j));
}

static void set_gradients(bench *b, int step) {
    for (int i = 0; i < COUNT; i++)
        for (int64_t j = 0; j < sizes[i]; j++) b->params[i].grad[j] = gradient(i, j, step);
}

/* ---- the update ------------------------------------------------------------------------------------- */

static void test_one_number(void) {
    float value = 1, grad = 0.5f;
    ego_tensor t = {.data = &value, .dtype = EGO_F32, .ndim = 0};
    ego_trained p = ego_trained_of("x", &t, &grad);
    CHECK(p.count == 1 && p.lr_scale == 1 && p.decay);
    ego_adamw adamw = ego_adamw_default();
    ego_optim optim;
    if (!CHECK_OK(ego_optim_init(&optim, &adamw, &p, 1, NULL))) return;
    CHECK_OK(ego_optim_update(&optim, 0.1)); /* 1 − 0.1 by the step, then a thousandth of that */
    CHECK_NEAR((double)value, 0.9 - 0.0009, 1e-7);
    CHECK_NEAR((double)p.m[0], 0.05, 1e-8);
    CHECK_NEAR((double)p.v[0], 0.005, 1e-9);
    float before = value;
    CHECK_OK(ego_optim_update(&optim, 0)); /* the moments move, the value does not */
    CHECK(value == before && p.m[0] > 0.05f && optim.updates == 2);
    ego_optim_release(&optim);
}

/* The other AdamW, with an eps and a decay that tell them apart: what torch 2's own makes of it in double. */
static void test_torch(void) {
    float value[] = {1, -2, 0.5f}, grad[3];
    static const double want[] = {0.9466530025477354, -1.9650699300349936, 0.46971107827462255};
    ego_tensor t = {.data = value, .dtype = EGO_F32, .ndim = 1, .shape = {3}};
    ego_trained p = ego_trained_of("x", &t, grad);
    ego_adamw adamw = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-3, .weight_decay = 0.1, .torch = true};
    ego_optim optim;
    if (!CHECK_OK(ego_optim_init(&optim, &adamw, &p, 1, NULL))) return;
    for (int step = 0; step < 5; step++) {
        grad[0] = 2 * 0.5f * (float)(step + 1); /* and halved */
        grad[1] = -2e-3f;
        grad[2] = 2 * (0.2f - 0.1f * (float)step);
        ego_optim_scale_grads(&optim, 0.5);
        CHECK_OK(ego_optim_update(&optim, 1e-2));
    }
    for (int i = 0; i < 3; i++) CHECK_NEAR((double)value[i], want[i], 1e-6);
    ego_optim_release(&optim);
}

/* 50 updates of a few elements of each parameter, in double. */
static void test_formula(void) {
    const int steps = 50;
    bench b;
    if (!set_up(&b, NULL)) return;
    double p[COUNT][64], m[COUNT][64] = {{0}}, v[COUNT][64] = {{0}}, worst = 0;
    int64_t stride[COUNT];
    for (int i = 0; i < COUNT; i++) {
        stride[i] = sizes[i] / 64 + 1;
        for (int64_t j = 0; j < 64 && j * stride[i] < sizes[i]; j++)
            p[i][j] = (double)b.params[i].value[j * stride[i]];
    }
    for (int step = 1; step <= steps; step++) {
        double lr = 1e-3 * step / steps;
        set_gradients(&b, step);
        CHECK_OK(ego_optim_update(&b.optim, lr));
        for (int i = 0; i < COUNT; i++)
            for (int64_t j = 0; j < 64 && j * stride[i] < sizes[i]; j++) {
                double g = (double)gradient(i, j * stride[i], step),
                       rate = lr * b.params[i].lr_scale;
                m[i][j] = 0.9 * m[i][j] + 0.1 * g;
                v[i][j] = 0.98 * v[i][j] + 0.02 * g * g;
                p[i][j] -= rate * sqrt(1 - pow(0.98, step)) / (1 - pow(0.9, step)) * m[i][j] /
                           (sqrt(v[i][j]) + 1e-8);
                if (b.params[i].decay) p[i][j] -= rate * 0.01 * p[i][j];
            }
    }
    for (int i = 0; i < COUNT; i++)
        for (int64_t j = 0; j < 64 && j * stride[i] < sizes[i]; j++) {
            double off = fabs((double)b.params[i].value[j * stride[i]] - p[i][j]);
            if (off > worst) worst = off;
        }
    printf("AdamW: %d updates are within %.1e of their formula in double\n", steps, worst);
    CHECK(worst < 2e-6);
    tear_down(&b);
}

static void test_threads(void) {
    bench one, many;
    ego_pool *pool;
    if (!CHECK_OK(ego_pool_new(3, &pool)) || !set_up(&one, NULL) || !set_up(&many, pool)) return;
    for (int step = 0; step < 3; step++) {
        set_gradients(&one, step);
        set_gradients(&many, step);
        double a = ego_optim_square_norm(&one.optim), b = ego_optim_square_norm(&many.optim);
        CHECK(memcmp(&a, &b, sizeof a) == 0);
        CHECK_OK(ego_optim_update(&one.optim, 1e-3));
        CHECK_OK(ego_optim_update(&many.optim, 1e-3));
    }
    for (int i = 0; i < COUNT; i++) {
        size_t bytes = (size_t)sizes[i] * sizeof(float);
        CHECK(memcmp(one.params[i].value, many.params[i].value, bytes) == 0);
        CHECK(memcmp(one.params[i].m, many.params[i].m, bytes) == 0);
        CHECK(memcmp(one.params[i].v, many.params[i].v, bytes) == 0);
    }
    ego_optim_zero_grads(&many.optim);
    CHECK(ego_optim_square_norm(&many.optim) == 0);
    tear_down(&one);
    tear_down(&many);
    ego_pool_free(pool);
}

static void test_faults(void) {
    bench b;
    if (!set_up(&b, NULL)) return;
    set_gradients(&b, 1);
    double sum = 0;
    for (int i = 0; i < COUNT; i++)
        for (int64_t j = 0; j < sizes[i]; j++)
            sum += (double)b.params[i].grad[j] * (double)b.params[i].grad[j];
    CHECK_NEAR(ego_optim_square_norm(&b.optim) / sum, 1, 1e-12);
    CHECK_OK(ego_optim_check_grads(&b.optim));

    b.params[2].grad[LARGEST - 1] = NAN; /* the last of all, in the rest of a block */
    CHECK(!isfinite(ego_optim_square_norm(&b.optim)));
    CHECK_ERR(EGO_EDIVERGED, ego_optim_check_grads(&b.optim));
    CHECK_STR(ego_err_message(), "the gradient of layer.weight is NaN at element 70000 of 70001");
    CHECK_ERR(EGO_EDIVERGED, ego_optim_update(&b.optim, 1e-3));
    CHECK(strstr(ego_err_message(), "value of layer.weight is NaN at element 70000") != NULL);
    tear_down(&b);

    if (!set_up(&b, NULL)) return;
    b.params[1].grad[3] =
        1e25f; /* finite, its square is not: the parameter would never move again */
    CHECK(isfinite(ego_optim_square_norm(&b.optim)));
    CHECK_ERR(EGO_EDIVERGED, ego_optim_update(&b.optim, 1e-3));
    CHECK(strstr(ego_err_message(), "second moment of norm.bias is infinite at element 3") != NULL);
    tear_down(&b);

    ego_adamw adamw = ego_adamw_default();
    b.params[0].name = b.params[2].name = "twin";
    CHECK_ERR(EGO_EINPUT, ego_optim_init(&b.optim, &adamw, b.params, COUNT, NULL));
    CHECK_STR(ego_err_message(), "two parameters are called twin");
    adamw.beta2 = 1;
    CHECK_ERR(EGO_EINPUT, ego_optim_init(&b.optim, &adamw, b.params, 1, NULL));
}

/* ---- the schedule ----------------------------------------------------------------------------------- */

static void test_schedule(void) {
    ego_schedule s = {EGO_SCHEDULE_COSINE, 0.1, 109}; /* w = trunc(10.9) */
    CHECK(ego_schedule_at(&s, 0) == 0);
    CHECK_NEAR(ego_schedule_at(&s, 7), 0.7, 1e-15);
    CHECK(ego_schedule_at(&s, 10) == 1);
    CHECK_NEAR(ego_schedule_at(&s, 43), 0.5 * (1 + cos(3.14159265358979 / 3)), 1e-12);
    CHECK_NEAR(ego_schedule_at(&s, 108), 0.5 * (1 + cos(3.14159265358979 * 98 / 99)), 1e-12);
    CHECK(ego_schedule_at(&s, 109) == 0 && ego_schedule_at(&s, 500) == 0);
    s.kind = EGO_SCHEDULE_LINEAR;
    CHECK(ego_schedule_at(&s, 10) == 1);
    CHECK_NEAR(ego_schedule_at(&s, 43), 2.0 / 3, 1e-15);
    CHECK(ego_schedule_at(&s, 109) == 0);
    s.floor = 0.25;
    CHECK_NEAR(ego_schedule_at(&s, 43), 0.25 + 0.75 * 2 / 3, 1e-15);
    CHECK(ego_schedule_at(&s, 5) == 0.5 && ego_schedule_at(&s, 109) == 0.25);
    s.kind = EGO_SCHEDULE_CONSTANT;
    CHECK_NEAR(ego_schedule_at(&s, 5), 0.5, 1e-15);
    CHECK(ego_schedule_at(&s, 60) == 1 && ego_schedule_at(&s, 109) == 1);
    s = (ego_schedule){EGO_SCHEDULE_COSINE, 0, 10}; /* without warm-up the first update counts */
    CHECK(ego_schedule_at(&s, 0) == 1);
    s = (ego_schedule){EGO_SCHEDULE_COSINE, 1, 10}; /* nothing but warm-up */
    CHECK(ego_schedule_at(&s, 9) == 0.9 && ego_schedule_at(&s, 10) == 0);

    ego_schedule_kind kind;
    CHECK(ego_schedule_parse("linear", &kind) && kind == EGO_SCHEDULE_LINEAR);
    CHECK(!ego_schedule_parse("step", &kind));
    CHECK_STR(ego_schedule_name(EGO_SCHEDULE_COSINE), "cosine");
}

/* ---- checkpoints ------------------------------------------------------------------------------------ */

enum { SMALL = 2 }; /* parameters of the small bench: the file is cut and flipped at every place */

typedef struct small {
    float value[2][6], grad[2][6];
    ego_trained params[SMALL];
    ego_optim optim;
} small;

static bool small_init(small *s, float first) {
    *s = (small){0};
    for (int i = 0; i < SMALL; i++) {
        ego_tensor t = {.data = s->value[i], .dtype = EGO_F32, .ndim = 2, .shape = {2, 3}};
        s->params[i] = ego_trained_of(i ? "b" : "a", &t, s->grad[i]);
    }
    ego_adamw adamw = ego_adamw_default();
    if (!CHECK_OK(ego_optim_init(&s->optim, &adamw, s->params, SMALL, NULL))) return false;
    for (int i = 0; i < 6; i++) {
        s->value[0][i] = first + (float)i;
        s->params[0].m[i] = first * 2 + (float)i;
        s->params[1].v[i] = first * 3 + (float)i;
    }
    s->value[1][0] = -0.0f;
    s->value[1][1] = 1e-42f;
    return true;
}

static bool small_same(const small *a, const small *b) {
    bool same = memcmp(a->value, b->value, sizeof a->value) == 0;
    for (int i = 0; i < SMALL; i++)
        same = same && memcmp(a->params[i].m, b->params[i].m, sizeof a->value[i]) == 0 &&
               memcmp(a->params[i].v, b->params[i].v, sizeof a->value[i]) == 0;
    return same;
}

static const ego_checkpoint example = {.step = 12,
                                       .epoch = 3,
                                       .validated = 2,
                                       .seed = 18446744073709551557u,
                                       .best = 0.1,
                                       .best_step = 8,
                                       .first_loss = 1.0 / 3,
                                       .recent_loss = NAN,
                                       .config = "{\"a\":\"\xC3\xA9\"}",
                                       .state = "line\nline \"two\""};

static uint8_t vocab[5] = {1, 2, 3, 4, 5};

static ego_err write_example(const char *path, const small *s) {
    ego_named_tensor tensor = {"tokenizer.vocab",
                               {.data = vocab, .dtype = EGO_U8, .ndim = 1, .shape = {5}}};
    ego_metadata metadata = {"ego.config", "{\"model\":{}}"};
    ego_checkpoint_extra extra = {&tensor, 1, &metadata, 1};
    return ego_checkpoint_write(path, &example, &s->optim, &extra);
}

static bool example_same(const ego_checkpoint *c) {
    return c->step == 12 && c->epoch == 3 && c->validated == 2 && c->seed == example.seed &&
           c->best == 0.1 && c->best_step == 8 && c->first_loss == 1.0 / 3 &&
           isnan(c->recent_loss) && strcmp(c->config, example.config) == 0 &&
           strcmp(c->state, example.state) == 0;
}

static void test_round_trip(const char *path) {
    small a, b;
    if (!small_init(&a, 10) || !small_init(&b, 77)) return;
    CHECK_OK(write_example(path, &a));
    ego_checkpoint c = {0};
    if (CHECK_OK(ego_checkpoint_read(path, &c, &b.optim))) {
        CHECK(small_same(&a, &b) && example_same(&c) && b.optim.updates == 12);
        ego_checkpoint_release(&c);
    }
    ego_weights *w; /* it is a model's file too */
    if (CHECK_OK(ego_weights_open(path, &w))) {
        const ego_tensor *t = ego_weights_find(w, "tokenizer.vocab");
        CHECK(t && t->dtype == EGO_U8 && memcmp(t->data, vocab, 5) == 0);
        CHECK_STR(ego_weights_metadata(w, "ego.config"), "{\"model\":{}}");
        CHECK(ego_weights_find(w, "a") && ego_weights_find(w, "optim.v/b"));
        ego_weights_close(w);
    }

    b.params[1].name = "c";
    CHECK_ERR(EGO_EINPUT, ego_checkpoint_read(path, &c, &b.optim));
    CHECK(strstr(ego_err_message(), "it has no c") != NULL);
    b.params[1].name = "b";
    b.params[1].shape[0] = 3, b.params[1].shape[1] = 2;
    CHECK_ERR(EGO_EINPUT, ego_checkpoint_read(path, &c, &b.optim));
    CHECK(strstr(ego_err_message(), "b: expected F32 [3, 2], found F32 [2, 3]") != NULL);
    b.optim.count = 1;
    CHECK_ERR(EGO_EINPUT, ego_checkpoint_read(path, &c, &b.optim));
    ego_named_tensor twice = {"a", {.data = vocab, .dtype = EGO_U8, .ndim = 1, .shape = {5}}};
    ego_checkpoint_extra extra = {&twice, 1, NULL, 0};
    CHECK_ERR(EGO_EINPUT, ego_checkpoint_write("/nowhere", &example, &a.optim, &extra));
    CHECK_ERR(EGO_EIO, ego_checkpoint_write("/nowhere/x", &example, &a.optim, NULL));
    ego_optim_release(&a.optim);
    ego_optim_release(&b.optim);
}

/* A file cut anywhere or with any bit changed is refused, and nothing of the reader's has changed. */
static void test_damage(const char *path) {
    small a, b, untouched;
    ego_buf whole = {0};
    size_t tried = 0, step = getenv("EGO_NIGHTLY") ? 1 : 5;
    if (!small_init(&a, 10) || !small_init(&b, 77) || !small_init(&untouched, 77)) return;
    CHECK_OK(write_example(path, &a));
    CHECK_OK(ego_read_file(path, 1 << 20, &whole));
    for (size_t at = 0; at < whole.len; at += step)
        for (int cut = 0; cut < 2; cut++, tried++) {
            char byte = whole.data[at];
            whole.data[at] ^= (char)(1 << at / step % 8);
            CHECK_OK(ego_write_file(path, whole.data, cut ? at : whole.len));
            whole.data[at] = byte;
            ego_checkpoint c = {0};
            CHECK(ego_checkpoint_read(path, &c, &b.optim) != EGO_OK);
            ego_checkpoint_release(&c);
        }
    CHECK(small_same(&b, &untouched) && b.optim.updates == 0);
    printf("damage: %zu files refused\n", tried);
    ego_buf_release(&whole);
    ego_optim_release(&a.optim);
    ego_optim_release(&b.optim);
    ego_optim_release(&untouched.optim);
}

/* ---- a directory ------------------------------------------------------------------------------------ */

static int said;
static void hear(void *context, const char *message) {
    said += strstr(message, "passed over: ") == message && strstr(message, context) != NULL;
}

static bool exists(const char *directory, int64_t step) {
    ego_buf path = {0};
    ego_checkpoint_path(directory, step, &path);
    bool there = access(path.data, F_OK) == 0;
    ego_buf_release(&path);
    return there;
}

static void write_at(const char *directory, int64_t step, const small *s) {
    ego_buf path = {0};
    ego_checkpoint c = example;
    c.step = step;
    ego_checkpoint_path(directory, step, &path);
    CHECK_OK(ego_checkpoint_write(path.data, &c, &s->optim, NULL));
    ego_buf_release(&path);
}

static void put(const char *directory, const char *name, const char *text) {
    ego_buf path = {0};
    ego_buf_printf(&path, "%s/%s", directory, name);
    CHECK_OK(ego_write_file(path.data, text, strlen(text)));
    ego_buf_release(&path);
}

static void test_newest(const char *directory, small *s) {
    ego_checkpoint c = {0};
    bool found = true;
    ego_notice notice = {hear, "checkpoint-100.safetensors"};
    CHECK_OK(ego_checkpoint_newest(directory, &c, &s->optim, &notice, &found));
    CHECK(!found && !ego_checkpoint_any(directory));
    CHECK_OK(ego_checkpoint_newest("/nowhere/at/all", &c, &s->optim, &notice, &found));
    CHECK(!found);
    put(directory, "checkpoint-007.safetensors", "no name of ours");
    put(directory, "checkpoint-.safetensors", "nor this");
    put(directory, "checkpoint-9.safetensors.tmp-12", "nor this");
    CHECK(!ego_checkpoint_any(directory));
    ego_checkpoint_sweep(directory);

    write_at(directory, 9, s);
    write_at(directory, 20, s); /* by number, not by letter */
    put(directory, "checkpoint-100.safetensors", "garbage");
    CHECK_OK(ego_checkpoint_newest(directory, &c, &s->optim, &notice, &found));
    CHECK(found && c.step == 20 && s->optim.updates == 20 && said == 1);
    ego_checkpoint_release(&c);
    CHECK_OK(ego_checkpoint_prune(directory, 100, 1, -1));
    CHECK_ERR(EGO_EFORMAT, ego_checkpoint_newest(directory, &c, &s->optim, NULL, &found));
    CHECK(strstr(ego_err_message(), "no checkpoint is whole") != NULL && !found);
    put(directory, "checkpoint-100.safetensors", "");
    CHECK_ERR(EGO_EFORMAT, ego_checkpoint_newest(directory, &c, &s->optim, NULL, &found));
}

static void test_prune(const char *directory, const small *s) {
    const int64_t steps[] = {0, 5, 10, 15, 20, 25};
    for (int i = 0; i < 6; i++) write_at(directory, steps[i], s);
    CHECK_OK(ego_checkpoint_prune(directory, 25, 3, 5)); /* 100, a later one, is not of this time */
    CHECK(exists(directory, 25) && exists(directory, 20) && exists(directory, 15));
    CHECK(!exists(directory, 10) && exists(directory, 5) && !exists(directory, 0));
    CHECK(exists(directory, 100));
    CHECK_OK(ego_checkpoint_prune(directory, 25, 0, -1));
    CHECK(exists(directory, 25) && !exists(directory, 20) && !exists(directory, 5));
}

int main(void) {
    char directory[] = "/tmp/ego-train-XXXXXX", command[64], path[64];
    if (!CHECK(mkdtemp(directory) != NULL)) return check_done();
    snprintf(path, sizeof path, "%s/one.safetensors", directory);
    test_one_number();
    test_torch();
    test_formula();
    test_threads();
    test_faults();
    test_schedule();
    test_round_trip(path);
    test_damage(path);
    small s;
    if (small_init(&s, 1)) {
        test_newest(directory, &s);
        test_prune(directory, &s);
        ego_optim_release(&s.optim);
    }
    snprintf(command, sizeof command, "rm -rf %s", directory);
    CHECK(system(command) == 0);
    return check_done();
}
