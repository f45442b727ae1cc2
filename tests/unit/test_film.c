/* FiLM as fusion: its formula in double precision over one block's own pieces, identity at the start, its names
 * and groups. Gradients, cost and training are test_stacked's part, batches and shortcuts test_model's. */
#include "check.h"

#include "base/rng.h"
#include "model/egovlp.h"
#include "model/fusion.h"
#include "model/info.h"
#include "model/trainable.h"
#include "recipe/groups.h"

enum { DIM = 24, PATCH = 8, SIZE = 16, FRAMES = 2, PAIRS = 2, DEPTH = 3, FUSED = 2 };
enum { TOKENS = 1 + FRAMES * (SIZE / PATCH) * (SIZE / PATCH), TEXT = 9 };

static ego_pool *pool;
static ego_backend *backend;
static ego_ctx cx;

static ego_config tiny(ego_fusion fusion) {
    ego_config c = ego_config_default();
    c.dim = DIM, c.heads = 2, c.depth = DEPTH, c.mlp_ratio = 2, c.fuse_layers = FUSED;
    c.patch = PATCH, c.image_size = SIZE, c.frames = FRAMES;
    c.vocab = 300, c.max_positions = 20;
    for (int i = 0; i < 3; i++) c.projection[i] = 20;
    c.fusion = fusion;
    return c;
}

/* Two clips and their narrations, of 5 and 4 tokens. */
static int64_t offsets[PAIRS + 1] = {0, 5, TEXT};
static int64_t ids[TEXT] = {0, 17, 44, 9, 2, 0, 250, 31, 2};
static const ego_texts texts = {ids, {PAIRS, offsets, 0, NULL}};

static ego_tensor clips(void) {
    static float pixels[PAIRS * FRAMES * 3 * SIZE * SIZE];
    for (size_t i = 0; i < sizeof pixels / sizeof pixels[0]; i++)
        pixels[i] = (float)ego_rng_normal(3, i);
    return (ego_tensor){pixels, EGO_F32, 5, {PAIRS, FRAMES, 3, SIZE, SIZE}};
}

static ego_tensor *random_rows(int64_t rows, uint64_t stream) {
    ego_tensor *x = EGO_TENSOR(&cx, rows, DIM);
    for (int64_t i = 0; x && i < rows * DIM; i++)
        ego_f32(x)[i] = (float)ego_rng_normal(stream, (uint64_t)i);
    return x;
}

/* x ∘ (1 + γ) + β of row r and column d, where [γ; β] = W c + b for class token number `of`. */
static double reference(const ego_linear_params *p, const ego_tensor *x, const ego_tensor *c,
                        int64_t of, int64_t r, int64_t d) {
    const float *w = p->weight.value.data, *b = p->bias.value.data;
    double gamma = b[d], beta = b[DIM + d];
    for (int64_t i = 0; i < DIM; i++) {
        gamma += (double)w[d * DIM + i] * ego_f32(c)[of * DIM + i];
        beta += (double)w[(DIM + d) * DIM + i] * ego_f32(c)[of * DIM + i];
    }
    return ego_f32(x)[r * DIM + d] * (1 + gamma) + beta;
}

static void check_formula(const ego_linear_params *p, const ego_tensor *x, const ego_tensor *c,
                          ego_groups groups, const ego_tensor *got) {
    double worst = 0;
    if (!CHECK_OK(ego_ctx_err(&cx))) return;
    for (int64_t g = 0; g < groups.count; g++)
        for (int64_t r = groups.first[g]; r < groups.first[g + 1]; r++)
            for (int64_t d = 0; d < DIM; d++) {
                double e = fabs(ego_f32(got)[r * DIM + d] - reference(p, x, c, g, r, d));
                if (!(e <= worst)) worst = e;
            }
    CHECK_NEAR(worst, 0, 1e-5);
}

/* Whose token modulates whose rows: all of them, and class tokens alone. */
static void test_formula(ego_model *m) {
    ego_video_block *block = &m->params->video.blocks[DEPTH - 1];
    ego_text_layer *layer = &m->params->text.layers[DEPTH - FUSED];
    const ego_clip_shape shape = {PAIRS, FRAMES, (TOKENS - 1) / FRAMES};
    for (int class_only = 0; class_only < 2; class_only++) {
        ego_ctx_mark mark = ego_ctx_save(&cx);
        ego_tensor *c = random_rows(PAIRS, 1);
        ego_tensor *s = random_rows(class_only ? PAIRS : PAIRS * TOKENS, 2);
        ego_tensor *a = random_rows(class_only ? PAIRS : TEXT, 3);
        ego_cross cross = {.other = c, .groups = ego_groups_of_clips(&cx, shape, class_only)};
        check_formula(&block->film, s, c, cross.groups,
                      ego_cross_video(&cx, &m->config, block, s, &cross));
        cross.groups = ego_groups_of_texts(&cx, texts.shape, class_only);
        check_formula(&layer->film, a, c, cross.groups,
                      ego_cross_text(&cx, &m->config, layer, a, &cross));
        ego_ctx_rewind(&cx, &mark);
    }
}

static ego_states fused(ego_model *m, const ego_tensor *pixels) {
    ego_input in = {pixels, texts, EGO_WANT_TOKENS, EGO_WANT_TOKENS};
    return ego_encode(&cx, m, &in, EGO_FUSED);
}

/* As it starts, a model is one whose streams never meet; then each token of one stream reaches every row of
 * its own pair in the other, and no row of the other pair. */
static void test_start(void) {
    ego_config c = tiny(EGO_FUSION_FILM), apart = tiny(EGO_FUSION_BACKBONE);
    apart.fuse_layers = 0;
    ego_model *m, *alone;
    if (!CHECK_OK(ego_model_create(&c, EGO_START_PAPER, 1, pool, &m))) return;
    if (!CHECK_OK(ego_model_create(&apart, EGO_START_PAPER, 1, pool, &alone))) return;
    ego_tensor pixels = clips();
    ego_ctx_mark mark = ego_ctx_save(&cx);
    ego_states x = fused(m, &pixels), y = fused(alone, &pixels);
    if (CHECK_OK(ego_ctx_err(&cx))) {
        CHECK(memcmp(x.video->data, y.video->data, PAIRS * TOKENS * DIM * sizeof(float)) == 0);
        CHECK(memcmp(x.text->data, y.text->data, TEXT * DIM * sizeof(float)) == 0);
    }
    float *weight = m->params->video.blocks[DEPTH - 1].film.weight.value.data;
    for (int64_t i = 0; i < 2 * DIM * DIM; i++)
        weight[i] = (float)(0.1 * ego_rng_normal(5, (uint64_t)i));
    ego_model_changed(m, backend);
    ego_states before = fused(m, &pixels);
    ids[1]++;
    ego_states after = fused(m, &pixels);
    ids[1]--;
    if (CHECK_OK(ego_ctx_err(&cx)))
        for (int64_t r = 0; r < PAIRS * TOKENS; r++) {
            bool same = memcmp(ego_f32(before.video) + r * DIM, ego_f32(after.video) + r * DIM,
                               DIM * sizeof(float)) == 0;
            CHECK(same == (r >= TOKENS));
        }
    ego_ctx_rewind(&cx, &mark);
    ego_model_close(m, backend);
    ego_model_close(alone, backend);
}

/* ---- names --------------------------------------------------------------------------------------------- */

typedef struct names {
    int count;
    int64_t elements;
} names;

static ego_err check_name(void *context, const ego_param_spec *spec) {
    names *n = context;
    bool decay;
    CHECK(!strstr(spec->name, "i2t") && !strstr(spec->name, "t2i") && !strstr(spec->name, "stack"));
    if (!strstr(spec->name, "cross_modal_film")) return EGO_OK;
    CHECK(ego_group_of(spec->name, &decay) == EGO_GROUP_CROSS && decay == (spec->ndim == 2));
    CHECK(spec->init == EGO_INIT_ZERO && spec->needs == EGO_NEEDS_FUSED);
    CHECK(spec->shape[0] == 2 * DIM && (spec->ndim == 1 || spec->shape[1] == DIM));
    if (n->count == 0) CHECK_STR(spec->name, "cross_modal_film.text.0.weight");
    n->elements += spec->shape[0] * (spec->ndim == 2 ? DIM : 1);
    n->count++;
    return EGO_OK;
}

static void test_names(const ego_model *m) {
    ego_config none = tiny(EGO_FUSION_FILM);
    ego_info info, without;
    names n = {0};
    none.fuse_layers = 0;
    CHECK_OK(ego_params_visit(&m->config, m->params, check_name, &n));
    CHECK(n.count == 2 * 2 * FUSED);
    CHECK_OK(ego_info_of(&m->config, 5, &info));
    CHECK_OK(ego_info_of(&none, 5, &without));
    CHECK(info.parameters - without.parameters == n.elements);
    CHECK(info.dual_parameters == without.dual_parameters);
}

int main(void) {
    CHECK_OK(ego_pool_new(2, &pool));
    CHECK_OK(ego_cpu_backend_new(pool, &backend));
    ego_ctx_init(&cx, backend);
    ego_config c = tiny(EGO_FUSION_FILM);
    ego_model *m;
    if (CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 0, pool, &m))) {
        test_formula(m);
        test_names(m);
        ego_model_close(m, backend);
    }
    test_start();
    ego_ctx_release(&cx);
    ego_backend_free(backend);
    ego_pool_free(pool);
    return check_done();
}
