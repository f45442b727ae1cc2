/* Several heads over one model: the summary task's gradients through head and shared layers against differences of its
 * loss, stretches that cover a video, and tasks side by side that share nothing and so do not disturb each other. */
#include "slope.h"
#include "small_world.h"

#include "base/file.h"
#include "base/rng.h"
#include "model/save.h"
#include "model/trainable.h"
#include "recipe/head_run.h"
#include "recipe/qfvs_tuned.h"
#include "recipe/tuned.h"
#include "task/qa_head.h"

#include <sys/stat.h>
#include <unistd.h>

enum { SHOTS = 5 };

static char folder[] = "/tmp/ego-heads-XXXXXX";
static ego_pool *pool;
static const ego_training alone = {0};

static const char *in_folder(const char *name) {
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

/* ---- a world --------------------------------------------------------------------------------- */

/* A second each of something else. */
static void make_video(void) { make_noise(in_folder("P01.mp4"), 10 * SHOTS, 7, 10, 500); }

static void make_world(void) {
    static const char *const folders[] = {"Dense_per_shot_tags", "Dense_per_shot_tags/P01",
                                          "Oracle_Summaries", "Oracle_Summaries/P01"};
    static const char tags[] = "Cup\nPan\nCup,Pan\nHand\nCup,Hand\n", oracle[] = "2\n3\n";
    ego_config c = small_config(3, 2);
    ego_model *model = NULL;
    CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 1, pool, &model));
    CHECK_OK(
        ego_model_save(model, in_folder("m.safetensors"), &(ego_save_options){.dtype = EGO_F16}));
    ego_model_close(model, NULL);
    make_video();
    for (size_t i = 0; i < 4; i++) CHECK(mkdir(in_folder(folders[i]), 0777) == 0);
    CHECK_OK(ego_write_file(in_folder("Dense_per_shot_tags/P01/P01.txt"), tags, sizeof tags - 1));
    CHECK_OK(ego_write_file(in_folder("Oracle_Summaries/P01/Cup_Pan_oracle.txt"), oracle,
                            sizeof oracle - 1));
    CHECK_OK(ego_write_file(in_folder("Oracle_Summaries/P01/Cup_Hand_oracle.txt"), oracle,
                            sizeof oracle - 1));
}

/* ---- gradients ------------------------------------------------------------------------------- */

typedef struct bench {
    ego_backend *backend;
    ego_ctx below, cx;
    ego_model *model;
    ego_tuned tuned;
    ego_qfvs_tuned *qfvs;
    ego_head_task task;
} bench;

static const ego_qfvs_shape shape = {.heads = 2, .layers = 1, .hidden = 16, .middle = 4};

static void open_bench(bench *b, const ego_qfvs_data *data, int64_t stretch) {
    ego_qfvs_tuned_options o = {
        .data = data, .head = &shape, .ratio = 0.4, .stretch = stretch, .seed = 3, .with = &alone};
    *b = (bench){0};
    CHECK_OK(ego_cpu_backend_new(pool, &b->backend));
    ego_ctx_init(&b->below, b->backend);
    ego_ctx_init(&b->cx, b->backend);
    CHECK_OK(ego_model_open(in_folder("m.safetensors"), &(ego_model_options){0}, &b->model));
    if (!CHECK_OK(ego_qfvs_tuned_open(&b->below, b->model, &o, &b->qfvs))) exit(check_done());
    b->task = ego_qfvs_tuned_task(b->qfvs);
    CHECK_OK(ego_head_make_trainable(b->task.head));
    CHECK_OK(ego_tuned_begin(b->model, b->backend, ego_param_of_summaries, 1, &b->tuned));
}

static void close_bench(bench *b) {
    ego_qfvs_tuned_close(b->qfvs, b->backend);
    ego_tuned_end(&b->tuned);
    ego_model_close(b->model, b->backend);
    ego_ctx_release(&b->below);
    ego_ctx_release(&b->cx);
    ego_backend_free(b->backend);
}

/* The sum of a batch's losses; gradients are added when there is a tape. */
static double loss_of(bench *b, const ego_head_batch *batch, ego_tape *tape) {
    ego_head_losses losses = {0};
    double sum = 0;
    ego_model_changed(b->model, b->backend);
    ego_head_changed(b->task.head, b->backend);
    ego_ctx_mark mark = ego_ctx_save(&b->cx);
    ego_tape_attach(&b->cx, tape);
    CHECK_OK(b->task.losses(b->task.context, &b->cx, batch, 0, batch->count, &losses));
    CHECK_OK(ego_ctx_err(&b->cx));
    CHECK(losses.count == EGO_QFVS_PROMPTS);
    for (size_t i = 0; i < losses.count; i++) {
        sum += (double)ego_f32(losses.list[i].value)[0];
        if (tape) ego_grad_add(&b->cx, losses.list[i].value, 1, NULL);
    }
    if (tape) ego_tape_backward(&b->cx);
    CHECK_OK(ego_ctx_err(&b->cx));
    ego_tape_attach(&b->cx, NULL);
    ego_ctx_rewind(&b->cx, &mark);
    return sum;
}

static moving move_all(void *context, bool head, double by) {
    bench *b = context;
    moving m = {.by = by};
    if (head)
        CHECK_OK(ego_head_visit(b->task.head, move, &m));
    else
        CHECK_OK(ego_params_visit(&b->model->config, b->model->params, move, &m));
    return m;
}

static const int64_t three_samples[] = {0, 1, 0};
static const uint64_t three_streams[] = {11, 12, 13};
static const ego_head_batch three = {3, three_samples, three_streams};

static double loss_of_three(void *context) { return loss_of(context, &three, NULL); }

static void check_gradients(void) {
    ego_qfvs_data data = {.root = folder, .videos = "P01", .shot = 1};
    ego_tape *tape = NULL;
    bench b;
    open_bench(&b, &data, 3);
    CHECK(b.task.samples == 2 && b.task.portion == 1 && !b.task.validate);
    CHECK_OK(ego_tape_new(false, &tape));
    double loss = loss_of(&b, &three, tape);
    CHECK_NEAR(loss_of_three(&b), loss, 1e-6);
    check_slope("head", true, loss, move_all, loss_of_three, &b);
    check_slope("shared layers", false, loss, move_all, loss_of_three, &b);
    ego_tape_free(tape);
    close_bench(&b);
}

/* Over all that may be drawn, a loss over stretches of one shot is that over the shots, each as often. */
static void check_stretches(void) {
    enum { DRAWS = 400 };
    ego_qfvs_data data = {.root = folder, .videos = "P01", .shot = 1};
    int64_t sample = 0;
    double seen[SHOTS] = {0};
    size_t kinds = 0, times[SHOTS] = {0};
    bench b;
    open_bench(&b, &data, 1);
    for (uint64_t i = 0; i < DRAWS; i++) {
        uint64_t stream = ego_rng_stream(5, i);
        double loss = loss_of(&b, &(ego_head_batch){1, &sample, &stream}, NULL);
        size_t k = 0;
        while (k < kinds && seen[k] != loss) k++;
        if (k == kinds && CHECK(kinds < SHOTS)) seen[kinds++] = loss;
        if (k < SHOTS) times[k]++;
    }
    CHECK(kinds == SHOTS);
    for (size_t k = 0; k < kinds; k++)
        CHECK(times[k] > DRAWS / SHOTS / 2 && times[k] < 2 * DRAWS / SHOTS);
    close_bench(&b);
}

/* ---- side by side ---------------------------------------------------------------------------- */

/* Answers from states that are drawn; nothing is shared. */
typedef struct toy {
    ego_head *head;
    int64_t asked; /* samples, over all steps */
} toy;

enum { STATE = 8, CLASSES = 3 };

static ego_err toy_losses(void *context, ego_ctx *cx, const ego_head_batch *batch, int64_t from,
                          int64_t n, ego_head_losses *out) {
    toy *t = context;
    ego_tensor *x = EGO_TENSOR(cx, n, STATE);
    int64_t *labels = ego_ctx_alloc(cx, (size_t)n * sizeof *labels);
    if (!x || !labels) return ego_ctx_err(cx);
    for (int64_t i = 0; i < n; i++) {
        labels[i] = batch->samples[from + i] % CLASSES;
        for (int64_t d = 0; d < STATE; d++)
            ego_f32(x)[i * STATE + d] =
                (float)ego_rng_below((uint64_t)batch->samples[from + i], (uint64_t)d, 100) / 100;
    }
    t->asked += n;
    ego_tensor *logits = ego_qa_logits(cx, t->head, x, (ego_dropout){0.2f, batch->streams + from});
    ego_head_losses_add(out, "loss", ego_cross_entropy(cx, logits, labels, 1 / (float)batch->count),
                        1);
    return EGO_OK;
}

static void nothing(void *context) { (void)context; }

static ego_err write_toys(void *context, const char *out) {
    toy *t = context;
    char path[300];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%d.safetensors", out, i);
        if (t[i].head) EGO_TRY(ego_head_save(t[i].head, path, EGO_F32));
    }
    return EGO_OK;
}

/* Trains "left", and with it "right" when there are two. */
static void run_toys(const char *out, size_t count, toy toys[2]) {
    static const char *const names[] = {"left", "right"};
    static const int64_t samples[] = {7, 20};
    ego_head_config config = {.qa = {STATE, CLASSES}};
    ego_head_task tasks[2];
    ego_head_beside beside = {NULL, 0, toys, nothing, write_toys};
    ego_head_optim optim = {.lr = 0.05, .adamw = ego_adamw_default()};
    ego_head_run_settings run = {
        .out = in_folder(out), .steps = 10, .batch = 2, .keep = 1, .seed = 4};
    ego_backend *backend = NULL;
    CHECK_OK(ego_cpu_backend_new(pool, &backend));
    for (size_t i = 0; i < count; i++) {
        CHECK_OK(ego_head_create(&ego_head_qa, &config, 9 + i, &toys[i].head));
        tasks[i] = (ego_head_task){.name = names[i],
                                   .head = toys[i].head,
                                   .context = &toys[i],
                                   .samples = samples[i],
                                   .batch = i ? 5 : 0,
                                   .weight = i ? 100 : 1,
                                   .losses = toy_losses};
    }
    ego_head_run_options o = {.optim = &optim,
                              .run = &run,
                              .beside = &beside,
                              .backend = backend,
                              .with = {.pool = pool}};
    CHECK_OK(ego_head_run(&o, tasks, count));
    for (size_t i = 0; i < count; i++) ego_head_close(toys[i].head, backend);
    ego_backend_free(backend);
}

static void check_side_by_side(void) {
    toy one[2] = {0}, two[2] = {0};
    ego_buf a = {0}, b = {0};
    run_toys("one", 1, one);
    run_toys("two", 2, two);
    /* Ten steps of 2, 2, 2 and 1 of 7 samples, and of 5 of 20. */
    CHECK(one[0].asked == 2 * 7 + 4 && two[0].asked == one[0].asked && two[1].asked == 50);
    CHECK_OK(ego_read_file(in_folder("one/0.safetensors"), 1 << 20, &a));
    CHECK_OK(ego_read_file(in_folder("two/0.safetensors"), 1 << 20, &b));
    CHECK(a.len && a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    ego_buf_release(&a);
    ego_buf_release(&b);
    CHECK_ERR(EGO_EINPUT, ego_head_run(&(ego_head_run_options){0}, NULL, 0));
}

int main(void) {
    char remove_all[64];
    if (!CHECK(mkdtemp(folder) != NULL)) return check_done();
    CHECK_OK(ego_pool_new(2, &pool));
    make_world();
    check_gradients();
    check_stretches();
    check_side_by_side();
    ego_pool_free(pool);
    snprintf(remove_all, sizeof remove_all, "rm -rf '%s'", folder);
    CHECK(system(remove_all) == 0);
    return check_done();
}
