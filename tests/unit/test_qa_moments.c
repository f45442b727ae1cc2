/* The head of moments: its gradients against differences of its loss, rows that do not see each other, what order
 * means to it, and windows that are the clips they say. */
#include "slope.h"
#include "small_world.h"

#include "base/file.h"
#include "model/save.h"
#include "model/trainable.h"
#include "recipe/groups.h"
#include "task/qa.h"
#include "task/qa_head.h"
#include "task/qa_moments.h"
#include "tensor/tape.h"

#include <unistd.h>

enum { W = 5, K = 3, ANSWERS = 4, QUESTIONS = 3 };

static char folder[] = "/tmp/ego-qa-moments-XXXXXX";
static ego_pool *pool;
static const char *const texts[QUESTIONS] = {"did i?", "what did i do just after i put it down?", "cup"};

static const char *in_folder(const char *name) {
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- a bench --------------------------------------------------------------------------------- */

typedef struct bench {
    ego_backend *backend;
    ego_ctx cx;
    ego_model *model;
    ego_head *head;
    ego_qa_session *session;
    float windows[QUESTIONS * W * D];
} bench;

static void open_bench(bench *b) {
    ego_head_config config = {
        .qa_moments = {D, D, .dim = 16, .heads = 2, .layers = 2, .hidden = 24, .windows = W, .moments = K,
                       .answers = ANSWERS}};
    ego_qa_options o = {.windows = W,
                        .halves = {.max_tokens = EGO_QA_TOKENS,
                                   .clips = {.video_root = folder, .frames = FRAMES, .size = SIDE}}};
    *b = (bench){0};
    CHECK_OK(ego_cpu_backend_new(pool, &b->backend));
    ego_ctx_init(&b->cx, b->backend);
    CHECK_OK(ego_model_open(in_folder("m.safetensors"), &(ego_model_options){0}, &b->model));
    CHECK_OK(ego_head_create(&ego_head_qa_moments, &config, 3, &b->head));
    if (!CHECK_OK(ego_qa_open(&b->cx, b->model, &o, &b->session))) exit(check_done());
    for (int r = 0; r < QUESTIONS * W; r++) {
        double square = 0;
        for (int i = 0; i < D; i++) {
            double x = ego_rng_normal(9, (uint64_t)(r * D + i));
            b->windows[r * D + i] = (float)x;
            square += x * x;
        }
        for (int i = 0; i < D; i++) b->windows[r * D + i] /= (float)sqrt(square);
    }
}

static void close_bench(bench *b) {
    ego_qa_close(b->session);
    ego_head_close(b->head, b->backend);
    ego_model_close(b->model, b->backend);
    ego_ctx_release(&b->cx);
    ego_backend_free(b->backend);
}

/* Logits of questions first … first + n − 1. */
static const ego_tensor *ask(bench *b, int first, int n, ego_dropout drop) {
    ego_tensor *x = EGO_TENSOR(&b->cx, n * W, D);
    ego_qa_seen seen = {.windows = x};
    memcpy(x->data, b->windows + first * W * D, (size_t)(n * W * D) * sizeof(float));
    CHECK_OK(ego_qa_words(b->session, &b->cx, texts + first, (size_t)n, &seen.words));
    const ego_tensor *logits = ego_qa_moments_logits(&b->cx, b->head, b->model, seen, drop);
    CHECK_OK(ego_ctx_err(&b->cx));
    return logits;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void check_alone_and_together(void) {
    bench b;
    open_bench(&b);
    ego_ctx_mark mark = ego_ctx_save(&b.cx);
    const ego_tensor *all = ask(&b, 0, QUESTIONS, (ego_dropout){0});
    CHECK(ego_tensor_rows(all) == QUESTIONS && ego_tensor_columns(all) == ANSWERS);
    for (int i = 0; i < QUESTIONS; i++)
        CHECK(memcmp(ego_f32(ask(&b, i, 1, (ego_dropout){0})), ego_f32(all) + i * ANSWERS,
                     ANSWERS * sizeof(float)) == 0);
    ego_ctx_rewind(&b.cx, &mark);
    close_bench(&b);
}

/* How far the logits of question 1 are from `before`. */
static double distance(bench *b, const float *before) {
    double most = 0;
    ego_ctx_mark mark = ego_ctx_save(&b->cx);
    const float *now = ego_f32(ask(b, 1, 1, (ego_dropout){0}));
    for (int a = 0; a < ANSWERS; a++) most = fmax(most, fabs((double)now[a] - (double)before[a]));
    ego_ctx_rewind(&b->cx, &mark);
    return most;
}

static void swap_windows(bench *b, int i, int j) {
    for (int d = 0; d < D; d++) {
        float *x = b->windows + (W + i) * D + d, *y = b->windows + (W + j) * D + d, kept = *x;
        *x = *y;
        *y = kept;
    }
}

/* When a window comes is told by `times` and `positions` alone. */
static void check_order(void) {
    float before[ANSWERS];
    bench b;
    open_bench(&b);
    memcpy(before, ego_f32(ask(&b, 1, 1, (ego_dropout){0})), sizeof before);
    swap_windows(&b, 0, 3);
    CHECK(distance(&b, before) > 1e-4);
    swap_windows(&b, 0, 3);
    ego_param *order[] = {&b.head->params.qa_moments.times, &b.head->params.qa_moments.positions};
    for (int i = 0; i < 2; i++)
        memset(order[i]->value.data, 0, (size_t)ego_tensor_count(&order[i]->value) * sizeof(float));
    memcpy(before, ego_f32(ask(&b, 1, 1, (ego_dropout){0})), sizeof before);
    swap_windows(&b, 0, 3);
    CHECK(distance(&b, before) < 1e-5);
    close_bench(&b);
}

/* ---- gradients ------------------------------------------------------------------------------- */

static double loss_of(bench *b, ego_tape *tape) {
    static const int64_t labels[QUESTIONS] = {2, 0, 3};
    static const uint64_t streams[QUESTIONS] = {5, 6, 7};
    ego_model_changed(b->model, b->backend);
    ego_head_changed(b->head, b->backend);
    ego_ctx_mark mark = ego_ctx_save(&b->cx);
    ego_tape_attach(&b->cx, tape);
    const ego_tensor *logits = ask(b, 0, QUESTIONS, (ego_dropout){.p = 0.2f, .streams = streams});
    ego_tensor *loss = ego_cross_entropy(&b->cx, logits, labels, 1);
    double value = (double)ego_f32(loss)[0];
    if (tape) ego_grad_add(&b->cx, loss, 1, NULL), ego_tape_backward(&b->cx);
    CHECK_OK(ego_ctx_err(&b->cx));
    ego_tape_attach(&b->cx, NULL);
    ego_ctx_rewind(&b->cx, &mark);
    return value;
}

static double loss_again(void *context) { return loss_of(context, NULL); }

static moving move_all(void *context, bool head, double by) {
    bench *b = context;
    moving m = {.by = by};
    if (head)
        CHECK_OK(ego_head_visit(b->head, move, &m));
    else
        CHECK_OK(ego_params_visit(&b->model->config, b->model->params, move, &m));
    return m;
}

static void check_gradients(void) {
    ego_tape *tape = NULL;
    bench b;
    open_bench(&b);
    CHECK_OK(ego_head_make_trainable(b.head));
    CHECK_OK(ego_model_make_partly_trainable(b.model, b.backend, ego_param_of_dual_text));
    CHECK_OK(ego_tape_new(false, &tape));
    double loss = loss_of(&b, tape);
    CHECK_NEAR(loss_again(&b), loss, 1e-6);
    moving head = check_slope("head", true, loss, move_all, loss_again, &b);
    CHECK(head.without == 0);
    check_slope("text", false, loss, move_all, loss_again, &b);
    ego_tape_free(tape);
    close_bench(&b);
}

/* ---- looking --------------------------------------------------------------------------------- */

static void check_windows(void) {
    float told[W * D], whole[W * D], one[D];
    bench b, each;
    open_bench(&b);
    ego_qa_item items[] = {{.clip = {"v.mp4", 0, 4}, .texts = texts, .count = 1, .states = told},
                           {.clip = {"v.mp4", NAN, NAN}, .texts = texts, .count = 1, .states = whole},
                           {.clip = {"none.mp4", 0, 4}, .texts = texts, .count = 1, .states = one}};
    CHECK_OK(ego_qa_look(b.session, items, 3));
    CHECK(items[0].err == EGO_OK && items[1].err == EGO_OK);
    CHECK(items[2].err == EGO_EIO && strstr(items[2].message, "none"));
    CHECK(memcmp(told, whole, sizeof told) == 0);
    CHECK(memcmp(told, told + D, D * sizeof(float)) != 0);

    ego_halves *halves = NULL;
    ego_half *half = NULL;
    open_bench(&each);
    ego_halves_options o = {.clips = {.video_root = folder, .frames = FRAMES, .size = SIDE}};
    CHECK_OK(ego_halves_open(&each.cx, each.model, EGO_HALF_EMBEDDING, &o, &halves));
    CHECK_OK(ego_halves_clip(halves, &(ego_video_part){"v.mp4", 1.6, 2.4000000000000004}, &half));
    CHECK_OK(ego_halves_compute(halves));
    CHECK(ego_half_err(half) == EGO_OK && memcmp(half->embedding.data, told + 2 * D, D * sizeof(float)) == 0);
    ego_halves_close(halves);
    close_bench(&each);

    float scores[ANSWERS], sum = 0;
    CHECK_OK(ego_qa_answer(b.session, b.head, &items[0], scores));
    for (int a = 0; a < ANSWERS; a++) sum += scores[a];
    CHECK_NEAR(sum, 1, 1e-5);
    close_bench(&b);
}

/* ---- a file ---------------------------------------------------------------------------------- */

static void check_file(void) {
    ego_head *again = NULL, *other = NULL;
    ego_head_config narrow = {.qa_moments = {D + 1, D, .dim = 16, .heads = 2, .layers = 1, .hidden = 8, .windows = W,
                                             .moments = 2, .answers = 2}};
    bench b;
    open_bench(&b);
    CHECK_OK(ego_head_save(b.head, in_folder("h.safetensors"), EGO_F32));
    CHECK_OK(ego_qa_head_open(in_folder("h.safetensors"), &again));
    CHECK(again && ego_qa_head_windows(again) == W && ego_qa_head_classes(again) == ANSWERS);
    CHECK(again && memcmp(&again->config, &b.head->config, sizeof again->config.qa_moments) == 0);
    CHECK_OK(ego_qa_moments_fits(again, b.model));
    CHECK_OK(ego_head_create(&ego_head_qa_moments, &narrow, 3, &other));
    CHECK_ERR(EGO_EMODEL, ego_qa_moments_fits(other, b.model));
    ego_head_close(again, NULL);
    ego_head_close(other, NULL);
    close_bench(&b);
}

int main(void) {
    char remove_all[64];
    ego_config c = small_config(3, 2);
    ego_model *model = NULL;
    if (!CHECK(mkdtemp(folder) != NULL)) return check_done();
    CHECK_OK(ego_pool_new(2, &pool));
    CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 1, pool, &model));
    CHECK_OK(ego_model_save(model, in_folder("m.safetensors"), &(ego_save_options){0}));
    ego_model_close(model, NULL);
    make_noise(in_folder("v.mp4"), 40, 7, 5, 500);
    check_alone_and_together();
    check_order();
    check_gradients();
    check_windows();
    check_file();
    ego_pool_free(pool);
    snprintf(remove_all, sizeof remove_all, "rm -rf '%s'", folder);
    CHECK(system(remove_all) == 0);
    return check_done();
}
