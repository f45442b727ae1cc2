/* Halves against the encoders themselves; what is computed once, held, forgotten and computed
 * again; errors that stay where they belong; pairs in any company. */
#include "small_world.h"

#include "model/heads.h"
#include "task/halves.h"

#include <unistd.h>

static char folder[] = "/tmp/ego-halves-XXXXXX";
static const char *const words[] = {"what did i wash?", "red", "", "did i open the blue box?"};
enum { TEXTS = sizeof words / sizeof *words };
static const ego_video_part whole = {"v", NAN, NAN}, part = {"v", 1, 2}, missing = {"w", NAN, NAN};

/* 40 frames of changing noise. */
static void make_video(void) {
    char path[64];
    snprintf(path, sizeof path, "%s/v.mp4", folder);
    make_noise(path, 40, 0, 4, 300);
}

static ego_model *small_model(ego_pool *pool) {
    ego_config c = small_config(2, 1);
    ego_model *model = NULL;
    CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 1, pool, &model));
    return model;
}

static bool same(const ego_tensor *a, const ego_tensor *b) {
    return a && b && a->data && b->data && ego_tensor_same_shape(a, b) &&
           memcmp(a->data, b->data, (size_t)ego_tensor_count(a) * sizeof(float)) == 0;
}

static void check_texts(ego_ctx *cx, ego_model *model) {
    ego_halves_options options = {0};
    ego_halves *h = NULL;
    ego_half *half = NULL, *again = NULL;
    if (!CHECK_OK(ego_halves_open(cx, model, EGO_HALF_EMBEDDING | EGO_HALF_LOWER, &options, &h)))
        return;
    for (int k = 0; k < TEXTS; k++) {
        ego_tokens tokens = {0};
        CHECK_OK(ego_bpe_encode(model->bpe, words[k], strlen(words[k]), 38, &tokens));
        const int64_t offsets[2] = {0, (int64_t)tokens.count};
        ego_texts texts = {tokens.ids, {1, offsets}};
        ego_input in = {.texts = texts, .text = EGO_WANT_CLASS};
        ego_ctx_mark mark = ego_ctx_save(cx);
        const ego_tensor *lower = ego_fused_begin_text(cx, model, texts);
        const ego_tensor *class = ego_encode(cx, model, &in, EGO_DUAL).text;
        class = ego_l2_normalize(cx, ego_project_text(cx, &model->config, model->params, class));
        CHECK_OK(ego_halves_text(h, words[k], &half));
        CHECK_OK(ego_half_err(half));
        CHECK(same(lower, &half->lower) && same(class, &half->embedding));
        ego_halves_drop(h, half);
        CHECK_OK(ego_halves_text(h, words[k], &again)); /* dropped is not forgotten */
        CHECK(again == half);
        ego_halves_drop(h, again);
        ego_ctx_rewind(cx, &mark);
        ego_tokens_release(&tokens);
    }
    CHECK(ego_halves_get_counts(h).texts == TEXTS);
    ego_halves_close(h);
}

static ego_halves *open_clips(ego_ctx *cx, ego_model *model, size_t memory) {
    ego_halves_options options = {
        .clips = {.video_root = folder, .frames = FRAMES, .size = SIDE}, .memory = memory};
    ego_halves *h = NULL;
    CHECK_OK(ego_halves_open(cx, model, EGO_HALF_LOWER, &options, &h));
    return h;
}

/* Two good clips, one of them twice, and one that is not there. */
static void check_clips(ego_ctx *cx, ego_model *model) {
    const ego_video_part *const asked[] = {&whole, &missing, &part, &whole};
    ego_half *half[4] = {NULL};
    ego_halves *h = open_clips(cx, model, 0);
    if (!h) return;
    for (int i = 0; i < 4; i++) CHECK_OK(ego_halves_clip(h, asked[i], &half[i]));
    CHECK_OK(ego_halves_compute(h));
    CHECK(half[0] == half[3] && half[0] != half[2]);
    CHECK_OK(ego_half_err(half[0]));
    CHECK_OK(ego_half_err(half[2]));
    CHECK(half[0]->lower.shape[0] == ego_config_tokens(&model->config, FRAMES));
    CHECK(!half[0]->embedding.data && !same(&half[0]->lower, &half[2]->lower));
    CHECK_ERR(EGO_EIO, ego_half_err(half[1]));
    CHECK(strstr(ego_err_message(), "w: ") && !half[1]->lower.data);
    for (int i = 0; i < 4; i++) ego_halves_drop(h, half[i]);
    CHECK_OK(ego_halves_clip(h, &missing, &half[1])); /* its error is remembered, too */
    CHECK_ERR(EGO_EIO, ego_half_err(half[1]));
    CHECK(ego_halves_get_counts(h).clips == 2 && ego_halves_get_counts(h).reading.failed == 1);
    ego_halves_close(h);
}

/* Without room what is held stays, and what is not is computed again, to the same bits. */
static void check_memory(ego_ctx *cx, ego_model *model) {
    float before[64];
    ego_half *held = NULL, *half = NULL, *text = NULL;
    ego_halves *h = open_clips(cx, model, 1);
    if (!h) return;
    CHECK_OK(ego_halves_clip(h, &whole, &held));
    CHECK_OK(ego_halves_compute(h));
    memcpy(before, held->lower.data, sizeof before);
    for (int k = 0; k < 2 * TEXTS; k++) {
        CHECK_OK(ego_halves_text(h, words[k % TEXTS], &text));
        ego_halves_drop(h, text);
    }
    CHECK(ego_halves_get_counts(h).texts == 2 * TEXTS);
    CHECK_OK(ego_halves_clip(h, &whole, &half));
    CHECK(half == held && ego_halves_get_counts(h).clips == 1);
    ego_halves_drop(h, half);
    ego_halves_drop(h, held);
    CHECK_OK(ego_halves_clip(h, &whole, &half));
    CHECK_OK(ego_halves_compute(h));
    CHECK(ego_halves_get_counts(h).clips == 2);
    CHECK(memcmp(before, half->lower.data, sizeof before) == 0);
    ego_halves_drop(h, NULL);
    CHECK(ego_halves_window(h, 5, 16) == 1);
    ego_halves_close(h);
    if (!(h = open_clips(cx, model, 0))) return;
    CHECK(ego_halves_window(h, 5, 16) == 16);
    ego_halves_close(h);
}

/* Every clip with every text in one pass, and each clip with one text repeated. */
static void check_pairs(ego_ctx *cx, ego_model *model) {
    enum { PAIRS = 2 * TEXTS };
    const ego_tensor *clips[PAIRS], *texts[PAIRS];
    ego_half *clip[2] = {NULL}, *text[TEXTS] = {NULL};
    ego_halves *h = open_clips(cx, model, 0);
    if (!h) return;
    CHECK_OK(ego_halves_clip(h, &whole, &clip[0]));
    CHECK_OK(ego_halves_clip(h, &part, &clip[1]));
    for (int k = 0; k < TEXTS; k++) CHECK_OK(ego_halves_text(h, words[k], &text[k]));
    CHECK_OK(ego_halves_compute(h));
    for (int i = 0; i < PAIRS; i++) {
        clips[i] = &clip[i % 2]->lower;
        texts[i] = &text[i / 2]->lower;
    }
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_met all = ego_meet(cx, model, ego_lower_stack(cx, clips, PAIRS).rows,
                           ego_lower_stack(cx, texts, PAIRS), true);
    CHECK_OK(ego_ctx_err(cx));
    for (int k = 0; k < TEXTS; k++) {
        ego_lower two = ego_lower_stack(cx, clips, 2);
        ego_met met = ego_meet(cx, model, two.rows, ego_lower_repeat(cx, texts[2 * k], 2), true);
        ego_met alone = ego_meet(cx, model, clips[0], ego_lower_repeat(cx, texts[2 * k], 1), false);
        CHECK_OK(ego_ctx_err(cx));
        const float *both = ego_f32(all.video) + 2 * k * D;
        CHECK(memcmp(met.video->data, both, 2 * D * sizeof(float)) == 0);
        CHECK(memcmp(ego_f32(met.match), ego_f32(all.match) + 4 * k, 4 * sizeof(float)) == 0);
        CHECK(!alone.match && memcmp(alone.video->data, met.video->data, D * sizeof(float)) == 0);
    }
    ego_ctx_rewind(cx, &mark);
    ego_halves_close(h);
}

int main(void) {
    ego_pool *pool = NULL;
    ego_backend *backend = NULL;
    ego_ctx cx;
    char remove_all[64];
    if (!CHECK(mkdtemp(folder) != NULL)) return check_done();
    CHECK_OK(ego_pool_new(2, &pool));
    CHECK_OK(ego_cpu_backend_new(pool, &backend));
    ego_ctx_init(&cx, backend);
    make_video();
    ego_model *model = small_model(pool);
    if (model) {
        check_texts(&cx, model);
        check_clips(&cx, model);
        check_memory(&cx, model);
        check_pairs(&cx, model);
    }
    ego_model_close(model, backend);
    ego_ctx_release(&cx);
    ego_backend_free(backend);
    ego_pool_free(pool);
    snprintf(remove_all, sizeof remove_all, "rm -rf '%s'", folder);
    CHECK(system(remove_all) == 0);
    return check_done();
}
