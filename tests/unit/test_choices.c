/* Matching by lists: which lists are drawn, what is asked of their scores, and its gradients. */
#include "check.h"
#include "slope.h"

#include "base/rng.h"
#include "base/threads.h"
#include "model/trainable.h"
#include "recipe/groups.h"
#include "recipe/negatives.h"
#include "recipe/objectives.h"

/* ---- the lists --------------------------------------------------------------------------------------- */

enum { N = 12, WRONG = 4, EACH = WRONG + 1 };

typedef struct drawn {
    int64_t text[N * EACH], video[N * EACH], label[N * EACH];
    double weight[N];
} drawn;

static void fill(float *sim) {
    for (uint64_t i = 0; i < N * N; i++) sim[i] = (float)(2 * ego_rng_unit(9, i) - 1);
}

/* Samples whose numbers agree modulo `groups` belong together. */
static void group(int groups, uint8_t *positive) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) positive[i * N + j] = i % groups == j % groups;
}

/* Checks a list and tells whether its clips differ. */
static bool check_list(const drawn *d, const uint8_t *positive, int64_t i, int64_t distinct) {
    const int64_t *text = d->text + i * EACH, *video = d->video + i * EACH, *label = d->label + i * EACH;
    bool clips = video[1] != i;
    CHECK(text[0] == i && video[0] == i && label[0] == 1);
    for (int c = 1; c < EACH; c++) {
        int64_t other = clips ? video[c] : text[c];
        CHECK((clips ? text[c] : video[c]) == i && label[c] == 0);
        CHECK(other >= 0 && other < N && !positive[i * N + other]);
        for (int b = 1; b < c; b++)
            CHECK((other == (clips ? video[b] : text[b])) == ((c - b) % distinct == 0));
    }
    return clips;
}

static void test_lists(bool hard) {
    ego_negatives how = {.hard = hard, .temperature = 0.05};
    float sim[N * N];
    uint8_t positive[N * N];
    drawn d, again;
    int clips = 0;
    fill(sim);
    group(3, positive);
    for (uint64_t stream = 0; stream < 100; stream++) {
        ego_matching_choices(&how, stream, N, WRONG, sim, positive, d.text, d.video, d.label, d.weight);
        for (int64_t i = 0; i < N; i++) clips += check_list(&d, positive, i, WRONG);
    }
    CHECK(clips > 100 * N * 0.45 && clips < 100 * N * 0.55);
    ego_matching_choices(&how, 99, N, WRONG, sim, positive, again.text, again.video, again.label, again.weight);
    CHECK(memcmp(d.text, again.text, sizeof d.text) == 0 && memcmp(d.video, again.video, sizeof d.video) == 0);
}

/* The likest of the wrong ones come first, of the narrations for a clip as of the clips for a narration. */
static void test_hard(void) {
    ego_negatives how = {.hard = true, .temperature = 1e-3};
    float sim[N * N];
    uint8_t positive[N * N];
    drawn d;
    fill(sim);
    group(N, positive);
    ego_matching_choices(&how, 4, N, WRONG, sim, positive, d.text, d.video, d.label, d.weight);
    for (int64_t i = 0; i < N; i++) {
        int64_t text = d.text[i * EACH + 1], video = d.video[i * EACH + 1];
        bool clips = video != i;
        for (int64_t j = 0; j < N; j++) {
            if (j == i) continue;
            float other = clips ? sim[i * N + j] : sim[j * N + i];
            CHECK(other <= sim[text * N + video] + 0.01f);
        }
    }
}

/* The others of a sample's scene come first, each as often, and then the likest. */
static void test_scenes(void) {
    enum { SCENES = 4, OTHERS = N / SCENES - 1 };
    ego_negatives how = {.hard = true, .temperature = 0.05, .scene = 0.5, .groups = SCENES};
    float sim[N * N];
    uint8_t positive[N * N];
    drawn d;
    int of_scene = 0, first[N] = {0};
    fill(sim);
    group(N, positive);
    for (uint64_t stream = 0; stream < 1000; stream++) {
        ego_matching_choices(&how, stream, N, WRONG, sim, positive, d.text, d.video, d.label, d.weight);
        for (int64_t i = 0; i < N; i++) {
            const int64_t *wrong = (check_list(&d, positive, i, WRONG) ? d.video : d.text) + i * EACH + 1;
            bool scene = wrong[0] % SCENES == i % SCENES && wrong[1] % SCENES == i % SCENES;
            of_scene += scene;
            if (i == 0 && scene) first[wrong[0]]++;
        }
    }
    CHECK(of_scene > 1000 * N * 0.5 && of_scene < 1000 * N * 0.6); /* some by their likeness */
    CHECK(abs(first[SCENES] - first[2 * SCENES]) < 100 && first[SCENES] + first[2 * SCENES] > 450);
    how.scene = 1;
    ego_matching_choices(&how, 5, N, WRONG, sim, positive, d.text, d.video, d.label, d.weight);
    for (int64_t i = 0; i < N; i++)
        for (int c = 1; c <= WRONG; c++) {
            int64_t at = i * EACH + c, other = d.video[at] != i ? d.video[at] : d.text[at];
            CHECK((other % SCENES == i % SCENES) == (c <= OTHERS));
        }
}

/* Two that do not belong where four are wanted: they come twice. None: the sample stands for itself. */
static void test_too_few(void) {
    ego_negatives how = {.hard = true, .temperature = 0.05};
    float sim[N * N];
    uint8_t positive[N * N];
    drawn d;
    fill(sim);
    memset(positive, 1, sizeof positive);
    for (int i = 2; i < N; i++)
        for (int j = 0; j < 2; j++) positive[i * N + j] = positive[j * N + i] = 0;
    ego_matching_choices(&how, 1, N, WRONG, sim, positive, d.text, d.video, d.label, d.weight);
    for (int64_t i = 2; i < N; i++) check_list(&d, positive, i, 2);
    memset(positive, 1, sizeof positive);
    ego_matching_choices(&how, 1, N, WRONG, sim, positive, d.text, d.video, d.label, d.weight);
    for (int64_t k = 0; k < N * EACH; k++)
        CHECK(d.text[k] == k / EACH && d.video[k] == k / EACH && d.label[k] == 1);
}

/* Sponge into pan and apple into pan belong together by default, and not where all tags count. */
static void test_same(void) {
    static const uint16_t put[] = {4}, take[] = {9}, of[4][2] = {{7, 30}, {8, 30}, {7, 30}, {7, 30}};
    ego_tag_bits tags[5] = {{{0}, {0}}};
    uint8_t positive[25];
    for (int i = 0; i < 4; i++) {
        ego_tags verbs = {i == 3 ? take : put, 1}, nouns = {of[i], 2};
        tags[i] = ego_tag_bits_of(&verbs, &nouns);
    }
    ego_positive_pairs(EGO_POSITIVES_NOUN_VERB, 5, tags, positive);
    CHECK(positive[0 * 5 + 1] && positive[0 * 5 + 2] && !positive[0 * 5 + 3] && !positive[0 * 5 + 4]);
    ego_positive_pairs(EGO_POSITIVES_SAME, 5, tags, positive);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++) CHECK(positive[i * 5 + j] == (i == j || (i + j == 2 && i != 1)));
}

/* ---- the loss ---------------------------------------------------------------------------------------- */

enum { FRAMES = 2, SIZE = 16, PIXELS = FRAMES * 3 * SIZE * SIZE, CLIPS = 3, LISTS = 2, LIST = 3, PAIRS = LISTS * LIST };

static ego_pool *pool;
static ego_backend *backend;
static ego_ctx cx;

static ego_config tiny(void) {
    ego_config c = ego_config_default();
    c.dim = 32, c.heads = 2, c.depth = 3, c.fuse_layers = 2, c.mlp_ratio = 2;
    c.patch = 8, c.image_size = SIZE, c.frames = FRAMES;
    c.vocab = 100, c.max_positions = 20;
    c.projections = 1, c.projection[0] = 24;
    return c;
}

/* Narration 0 among clips 0, 1, 2; clip 1 among narrations 1, 2, 0. */
static double loss_of(ego_model *m, bool gradients, double *expected) {
    static const int64_t ids[] = {0, 10, 2, 0, 20, 30, 2, 0, 40, 50, 60, 2}, offsets[] = {0, 3, 7, 12};
    static const int64_t text[] = {0, 0, 0, 1, 2, 0}, clip[] = {0, 1, 2, 1, 1, 1}, label[] = {1, 0, 0, 1, 0, 0};
    static const uint64_t streams[] = {5, 6, 7}, of_pairs[] = {11, 12, 13, 14, 15, 16};
    ego_tape *tape = NULL;
    ego_ctx_mark mark = ego_ctx_save(&cx);
    ego_tensor *pixels = EGO_TENSOR(&cx, CLIPS, FRAMES, 3, SIZE, SIZE);
    for (size_t i = 0; pixels && i < (size_t)CLIPS * PIXELS; i++) ego_f32(pixels)[i] = (float)ego_rng_normal(3, i);
    ego_fused_task task = {.clips = pixels,
                           .paired = {ids, {3, offsets, 0.1f, streams}},
                           .paired_clip = clip,
                           .paired_label = label,
                           .list = LIST,
                           .lists = LISTS,
                           .paired_text = text,
                           .pair_streams = of_pairs};
    ego_model_changed(m, backend);
    if (gradients && CHECK_OK(ego_tape_new(true, &tape))) ego_tape_attach(&cx, tape);
    ego_fused_losses l = ego_fused_objectives(&cx, m, &task, 0, 1.0f / LISTS);
    double loss = cx.err == EGO_OK ? (double)*ego_f32(l.vtm) : NAN;
    for (int i = 0; expected && cx.err == EGO_OK && i < LISTS; i++) {
        double z[LIST], sum = 0;
        for (int c = 0; c < LIST; c++) {
            const float *logit = ego_f32(l.vtm_logits) + 2 * (i * LIST + c);
            z[c] = (double)logit[1] - logit[0];
            sum += exp(z[c]);
            double p = 1 / (1 + exp(-z[c]));
            *expected -= (c == 0 ? log(p) : log(1 - p) / (LIST - 1)) / 2 / LISTS;
        }
        *expected += (log(sum) - z[0]) / LISTS;
    }
    if (tape) {
        ego_grad_add(&cx, l.vtm, 1, NULL);
        ego_tape_backward(&cx);
        ego_tape_attach(&cx, NULL);
    }
    CHECK_OK(ego_ctx_err(&cx));
    ego_ctx_rewind(&cx, &mark);
    ego_tape_free(tape);
    return loss;
}

static double loss_again(void *context) { return loss_of(context, false, NULL); }

static ego_err check_gradient(void *context, const ego_param_spec *spec) {
    if (spec->param->grad) check_own_slope(context, spec);
    return EGO_OK;
}

static ego_err add_floats(void *context, const ego_param_spec *spec) {
    if (spec->param->grad) *(int64_t *)context += ego_tensor_count(&spec->param->value);
    return EGO_OK;
}

/* ---- what stays ------------------------------------------------------------------------------------- */

static int linear_back;
static ego_err (*backward_linear)(ego_backend *, const ego_call *);

static ego_err count_linear(ego_backend *b, const ego_call *call) {
    linear_back++;
    return backward_linear(b, call);
}

/* How many linear layers the backward pass goes through. */
static int backward_layers(ego_model *m) {
    backward_linear = backend->backward[EGO_OP_linear];
    backend->backward[EGO_OP_linear] = count_linear;
    linear_back = 0;
    ego_model_zero_gradients(m);
    loss_of(m, true, NULL);
    backend->backward[EGO_OP_linear] = backward_linear;
    return linear_back;
}

typedef struct kept_gradients {
    float *at;
    int same;
} kept_gradients;

static ego_err keep_gradient(void *context, const ego_param_spec *spec) {
    kept_gradients *k = context;
    if (!spec->param->grad || !ego_param_beside_encoders(NULL, spec->param)) return EGO_OK;
    int64_t n = ego_tensor_count(&spec->param->value);
    memcpy(k->at, spec->param->grad, (size_t)n * sizeof(float));
    k->at += n;
    return EGO_OK;
}

static ego_err compare_gradient(void *context, const ego_param_spec *spec) {
    kept_gradients *k = context;
    if (!spec->param->grad) {
        CHECK(!ego_param_beside_encoders(NULL, spec->param) || !spec->param->value.data);
        return EGO_OK;
    }
    int64_t n = ego_tensor_count(&spec->param->value);
    CHECK(spec->needs & (EGO_NEEDS_FUSED | EGO_NEEDS_VTM | EGO_NEEDS_MLM));
    CHECK(!(spec->needs & (EGO_NEEDS_VIDEO | EGO_NEEDS_TEXT | EGO_NEEDS_VIDEO_PROJECTION | EGO_NEEDS_TEXT_PROJECTION)));
    k->same += CHECK(memcmp(k->at, spec->param->grad, (size_t)n * sizeof(float)) == 0);
    k->at += n;
    return EGO_OK;
}

/* Gradients of lists; then the same of what lies beside the dual encoder, bit for bit, with the layers below left. */
static void test_loss(void) {
    ego_config c = tiny();
    ego_model *m, *part;
    if (!CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 0, pool, &m)) ||
        !CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 0, pool, &part)))
        return;
    CHECK_OK(ego_model_make_trainable(m, backend));
    CHECK_OK(ego_model_make_partly_trainable(part, backend, ego_param_beside_encoders));
    double expected = 0, loss = loss_of(m, false, &expected);
    CHECK_NEAR(loss, expected, 1e-5);
    int all = backward_layers(m), above = backward_layers(part);
    printf("linear layers of a backward pass: %d, with the dual encoder left as it is %d\n", all, above);
    CHECK(above < all);

    int64_t floats = 0;
    CHECK_OK(ego_params_visit(&m->config, m->params, add_floats, &floats));
    float *memory = calloc((size_t)floats, sizeof *memory);
    kept_gradients k = {memory, 0};
    CHECK_OK(ego_params_visit(&m->config, m->params, keep_gradient, &k));
    k.at = memory;
    CHECK_OK(ego_params_visit(&part->config, part->params, compare_gradient, &k));
    CHECK(k.same >= 40);
    free(memory);

    slopes d = {.loss = loss_again, .context = m};
    CHECK_OK(ego_params_visit(&m->config, m->params, check_gradient, &d));
    CHECK(d.checked >= 40);
    printf("gradients of %d tensors: largest relative difference %.2g\n", d.checked, d.worst);
    ego_model_close(part, backend);
    ego_model_close(m, backend);
}

int main(void) {
    CHECK_OK(ego_pool_new(2, &pool));
    CHECK_OK(ego_cpu_backend_new(pool, &backend));
    ego_ctx_init(&cx, backend);
    test_lists(true);
    test_lists(false);
    test_hard();
    test_scenes();
    test_too_few();
    test_same();
    test_loss();
    ego_ctx_release(&cx);
    ego_backend_free(backend);
    ego_pool_free(pool);
    return check_done();
}
