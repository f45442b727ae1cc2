/* Summaries: how many shots, which, what the table holds, and that nothing depends on what stands
 * beside it. */
#include "check.h"

#include "base/file.h"
#include "media/encode.h"
#include "media/picture.h"
#include "task/qfvs.h"
#include "task/summary.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[512];

static const char *path_of(const char *file) {
    static char path[4][1024];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, file);
    return p;
}

/* ---- choosing ------------------------------------------------------------------------------------ */

static void test_length(void) {
    CHECK(ego_summary_length(100, 0.02, 0, 5) == 2);
    CHECK(ego_summary_length(149, 0.02, 0, 5) == 2);
    CHECK(ego_summary_length(150, 0.02, 0, 5) == 3);
    CHECK(ego_summary_length(10, 0.02, 0, 5) == 1); /* at least one */
    CHECK(ego_summary_length(10, 0.02, 14.9, 5) == 2);
    CHECK(ego_summary_length(10, 0.02, 1000, 5) == 10);
    CHECK(ego_summary_length(2783, 0.02, 0, 5) == 55);
}

static void test_choose(void) {
    const float scores[] = {0.5f, 0.9f, NAN, 0.9f, 0.1f, 0.9f};
    size_t chosen[6];
    CHECK_OK(ego_summary_choose(scores, 6, 2, chosen));
    CHECK(chosen[0] == 1 && chosen[1] == 3); /* of equal ones the first */
    CHECK_OK(ego_summary_choose(scores, 6, 5, chosen));
    CHECK(chosen[0] == 0 && chosen[2] == 3 && chosen[3] == 4); /* what is no number comes last */
}

static void test_spread(void) {
    size_t starts[] = {0, 2, 10, 14, 20};
    const ego_kts segments = {.count = 4, .starts = starts};
    float scores[20];
    size_t chosen[20];
    for (size_t i = 0; i < 20; i++) scores[i] = (float)(i % 3);
    CHECK_OK(ego_summary_spread(scores, &segments, 1, chosen));
    CHECK(chosen[0] == 2); /* the longest segment, its best shot, the first of equal ones */
    CHECK_OK(ego_summary_spread(scores, &segments, 4, chosen));
    CHECK(chosen[0] == 1 && chosen[1] == 2 && chosen[2] == 11 && chosen[3] == 14);
    CHECK_OK(ego_summary_spread(scores, &segments, 6, chosen));
    CHECK(chosen[1] == 2 && chosen[2] == 8); /* 8 shots for two, then 6 for two */
    CHECK(chosen[4] == 14 && chosen[5] == 17);
    CHECK_OK(ego_summary_spread(scores, &segments, 20, chosen));
    for (size_t i = 0; i < 20; i++) CHECK(chosen[i] == i);
}

static void test_prompts(void) {
    static const struct {
        ego_qfvs_words words;
        const char *a, *b, *prompt;
    } cases[] = {{EGO_QFVS_SENTENCE, "Face", "Cupglass", "There is a Face and a Glass"},
                 {EGO_QFVS_SENTENCE, "Petsanimal", NULL, "There is a Animal"},
                 {EGO_QFVS_SENTENCE, NULL, "Musicalinstrument", "There is a Instrument"},
                 {EGO_QFVS_NARRATION, "PicksUp", "Cup", "#C C picks up cup"},
                 {EGO_QFVS_NARRATION, NULL, "Caf\xc3\xa9", "#C C caf\xc3\xa9"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ego_buf text = {0};
        ego_qfvs_prompt(cases[i].words, cases[i].a, cases[i].b, &text);
        CHECK_STR(text.data, cases[i].prompt);
        ego_buf_release(&text);
    }
}

/* ---- a video and a model ------------------------------------------------------------------------- */

enum { SHOTS = 6, FPS = 4, SIDE = 32 };

static ego_colour colour_of(int k) {
    return (ego_colour){(uint8_t)(40 * k), (uint8_t)(255 - 30 * k), (uint8_t)(90 * (k % 3))};
}

/* Six shots of a colour each, and a bit that makes no shot. */
static void make_video(const char *path) {
    ego_encoder *e = NULL;
    ego_image image = {0};
    CHECK_OK(ego_image_new(48, SIDE, &image));
    ego_encode_options o = {.width = 48, .height = SIDE, .fps_num = FPS, .fps_den = 1};
    if (!CHECK_OK(ego_encode_open(path, &o, &e))) return;
    for (int i = 0; i < FPS * (EGO_SHOT_SECONDS * SHOTS + 2); i++) {
        ego_draw_fill(&image, colour_of(i / (FPS * EGO_SHOT_SECONDS)));
        ego_draw_box(&image, i % 40, 8, 6, 6, (ego_colour){255, 255, 255});
        CHECK_OK(ego_encode_write(e, &image));
    }
    CHECK_OK(ego_encode_close(e));
    ego_image_free(&image);
}

/* The same as pictures, one a second. */
static void make_pictures(void) {
    ego_image image = {0};
    CHECK_OK(ego_image_new(48, SIDE, &image));
    CHECK(mkdir(path_of("pictures"), 0777) == 0);
    for (int i = 0; i < EGO_SHOT_SECONDS * 2 + 3; i++) {
        char name[64];
        snprintf(name, sizeof name, "pictures/%05d.png", i);
        ego_draw_fill(&image, colour_of(i / EGO_SHOT_SECONDS));
        CHECK_OK(ego_png_write(&image, path_of(name)));
    }
    ego_image_free(&image);
}

typedef struct bench {
    ego_pool *pool;
    ego_backend *backend;
    ego_ctx cx;
    ego_model *model;
} bench;

static void open_bench(bench *b) {
    ego_config c = ego_config_default();
    c.dim = 32;
    c.heads = 2;
    c.depth = 2;
    c.fuse_layers = 1;
    c.patch = 16;
    c.image_size = SIDE;
    c.frames = EGO_SHOT_FRAMES;
    c.vocab = 300;
    c.max_positions = 60;
    c.projections = 1;
    c.projection[0] = 32;
    CHECK_OK(ego_pool_new(2, &b->pool));
    CHECK_OK(ego_cpu_backend_new(b->pool, &b->backend));
    ego_ctx_init(&b->cx, b->backend);
    CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 1, b->pool, &b->model));
    if (!b->model->bpe) CHECK_OK(ego_bpe_new_bytes(300, &b->model->bpe));
}

static void close_bench(bench *b) {
    ego_model_close(b->model, b->backend);
    ego_ctx_release(&b->cx);
    ego_backend_free(b->backend);
    ego_pool_free(b->pool);
}

/* ---- looking ------------------------------------------------------------------------------------- */

static void test_shots(void) {
    ego_shots *shots = NULL;
    ego_shots_options o = {.frames = EGO_SHOT_FRAMES, .size = SIDE};
    enum { FLOATS = EGO_SHOT_FRAMES * 3 * SIDE * SIDE };
    static float a[FLOATS], b[FLOATS];
    double start, end;
    CHECK_OK(ego_shots_open(path_of("v.mp4"), &o, &shots));
    CHECK(ego_shots_count(shots) == SHOTS);
    ego_shots_time(shots, 2, &start, &end);
    CHECK(start == 10 && end == 15);
    for (int k = 0; k < SHOTS; k++) CHECK_OK(ego_shots_next(shots, a));
    CHECK_ERR(EGO_EEND, ego_shots_next(shots, a));
    ego_shots_close(shots);
    o.random_crops = true; /* drawn from the seed alone */
    o.seed = 5;
    CHECK_OK(ego_shots_open(path_of("v.mp4"), &o, &shots));
    CHECK_OK(ego_shots_next(shots, a));
    ego_shots_close(shots);
    CHECK_OK(ego_shots_open(path_of("v.mp4"), &o, &shots));
    CHECK_OK(ego_shots_next(shots, b));
    ego_shots_close(shots);
    CHECK(memcmp(a, b, sizeof a) == 0);
    o.random_crops = false;
    o.start = 12;
    o.end = 20;
    CHECK_OK(ego_shots_open(path_of("v.mp4"), &o, &shots));
    CHECK(ego_shots_count(shots) == 1);
    ego_shots_time(shots, 0, &start, &end);
    CHECK(start == 12 && end == 17);
    ego_shots_close(shots);
    o.start = 100;
    o.end = 200;
    CHECK_ERR(EGO_EINPUT, ego_shots_open(path_of("v.mp4"), &o, &shots));
    o.start = o.end = 0;
    CHECK_OK(ego_shots_open(path_of("pictures"), &o, &shots));
    CHECK(ego_shots_count(shots) == 2); /* what is left over is left out */
    CHECK_OK(ego_shots_next(shots, a));
    CHECK_OK(ego_shots_next(shots, b));
    CHECK_ERR(EGO_EEND, ego_shots_next(shots, b));
    CHECK(memcmp(a, b, sizeof a) != 0);
    ego_shots_close(shots);
}

static void test_look(bench *b) {
    static const char *const prompts[] = {"There is a cup", "C runs"};
    ego_summary_table two = {0}, one = {0}, dual = {0}, whole = {0};
    ego_summary_options o = {.by = EGO_SUMMARY_MATCH};
    const char *video = path_of("v.mp4");
    CHECK_OK(ego_summary_look(&b->cx, b->model, &o, video, prompts, 2, &two));
    CHECK_OK(ego_summary_look(&b->cx, b->model, &o, video, prompts + 1, 1, &one));
    CHECK(two.n == SHOTS && two.prompts == 2 && !two.features && two.times[SHOTS] == 30);
    CHECK(memcmp(two.states, one.states, SHOTS * 32 * sizeof(float)) == 0);
    CHECK(memcmp(two.scores + SHOTS, one.scores, SHOTS * sizeof(float)) == 0);
    for (size_t i = 0; i < 2 * SHOTS; i++) CHECK(two.scores[i] > 0 && two.scores[i] < 1);
    o.by = EGO_SUMMARY_WHOLE;
    CHECK_OK(ego_summary_look(&b->cx, b->model, &o, video, NULL, 0, &whole));
    CHECK(memcmp(two.states, whole.states, SHOTS * 32 * sizeof(float)) == 0);
    CHECK_ERR(EGO_EINPUT, ego_summary_look(&b->cx, b->model, &o, video, prompts, 1, &dual));
    o.by = EGO_SUMMARY_DUAL;
    CHECK_OK(ego_summary_look(&b->cx, b->model, &o, video, prompts, 2, &dual));
    for (size_t i = 0; i < 2 * SHOTS; i++) CHECK(fabsf(dual.scores[i]) <= 1.0001f);
    o.by = EGO_SUMMARY_HEAD;
    CHECK_ERR(EGO_EINPUT, ego_summary_look(&b->cx, b->model, &o, video, prompts, 0, &one));
    CHECK_ERR(EGO_EIO,
              ego_summary_look(&b->cx, b->model, &o, path_of("none.mp4"), prompts, 1, &one));
    ego_summary_release(&two);
    ego_summary_release(&one);
    ego_summary_release(&dual);
    ego_summary_release(&whole);
}

/* A shot's score, or the mean of its features: of dual ones that is the cosine. */
static double value_of(const ego_summary_table *t, size_t shot) {
    double sum = 0;
    if (t->scores) return (double)t->scores[shot];
    for (int64_t d = 0; d < t->W; d++) sum += (double)t->features[(int64_t)shot * t->W + d];
    return t->W ? sum / (double)t->W : 0;
}

/* In two parts, a shot is the mean of two shots of half its length; of dual embeddings, of parts that fit the better
 * the more. */
static void test_parts(bench *b) {
    static const char *const prompts[] = {"There is a cup"};
    const char *video = path_of("v.mp4");
    for (int by = EGO_SUMMARY_HEAD; by <= EGO_SUMMARY_DUAL; by++) {
        ego_summary_table parts = {0}, halves = {0};
        ego_summary_options o = {.by = (ego_summary_by)by, .parts = 2};
        CHECK_OK(ego_summary_look(&b->cx, b->model, &o, video, prompts, 1, &parts));
        o.parts = 1;
        o.shots.seconds = 2.5;
        CHECK_OK(ego_summary_look(&b->cx, b->model, &o, video, prompts, 1, &halves));
        if (!CHECK(parts.n == SHOTS && halves.n == 2 * SHOTS)) return;
        for (size_t i = 0; i < SHOTS * 32; i++) {
            const float *half = halves.states + i / 32 * 64 + i % 32;
            CHECK_NEAR((double)parts.states[i], ((double)half[0] + (double)half[32]) / 2, 1e-5);
        }
        for (size_t i = 0; i < SHOTS; i++) {
            double first = value_of(&halves, 2 * i), second = value_of(&halves, 2 * i + 1), u = 0.5;
            if (by == EGO_SUMMARY_DUAL || by == EGO_SUMMARY_HEAD_OF_DUAL)
                u = 1 / (1 + exp(4 * (second - first)));
            CHECK_NEAR(value_of(&parts, i), u * first + (1 - u) * second, 1e-5);
        }
        ego_summary_release(&parts);
        ego_summary_release(&halves);
    }
}

/* A segment of 200 has no padding: both ways agree. Shorter ones differ, but not when nothing
 * weighs. */
static void test_head(bench *b) {
    static const char *const prompts[] = {"There is a cup"};
    ego_summary_table t = {0};
    ego_head *head = NULL;
    ego_kts kts = {0};
    float scores[2][SHOTS];
    ego_summary_options o = {.by = EGO_SUMMARY_HEAD, .reference = true};
    ego_head_config c = {
        .qfvs = {.width = 32, .heads = 2, .layers = 2, .hidden = 64, .middle = 8, .parts = 1}};
    CHECK_OK(ego_head_create(&ego_head_qfvs, &c, 3, &head));
    CHECK_OK(ego_summary_look(&b->cx, b->model, &o, path_of("v.mp4"), prompts, 1, &t));
    CHECK(t.features && t.empty && !t.scores);
    CHECK_OK(ego_kts_segment(t.states, t.n, 32, NULL, &kts));
    CHECK_OK(ego_summary_score(&b->cx, head, &o, &t, &kts, 0, scores[0]));
    o.reference = false;
    CHECK_OK(ego_summary_score(&b->cx, head, &o, &t, &kts, 0, scores[1]));
    double difference = 0;
    for (size_t i = 0; i < SHOTS; i++) {
        CHECK(isfinite(scores[0][i]) && isfinite(scores[1][i]));
        difference = fmax(difference, fabs((double)scores[0][i] - (double)scores[1][i]));
    }
    CHECK(difference > 1e-6 && difference < 10);
    CHECK_ERR(EGO_EINPUT, ego_summary_score(&b->cx, head, &o, &t, &kts, 1, scores[0]));
    t.W = 16;
    CHECK_ERR(EGO_EMODEL, ego_summary_score(&b->cx, head, &o, &t, &kts, 0, scores[0]));
    t.W = 32;
    ego_kts_release(&kts);
    ego_summary_release(&t);
    ego_head_close(head, b->backend);
}

int main(void) {
    snprintf(folder, sizeof folder, "%s/ego-summary-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(folder)) return check_skip("no temporary folder");
    test_length();
    test_choose();
    test_spread();
    test_prompts();
    make_video(path_of("v.mp4"));
    make_pictures();
    bench b = {0};
    open_bench(&b);
    test_shots();
    test_look(&b);
    test_parts(&b);
    test_head(&b);
    close_bench(&b);
    char command[640];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0);
    return check_done();
}
