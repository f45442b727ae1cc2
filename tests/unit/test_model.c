/* The model beyond the golden figures: what it costs, what a batch, a shortcut or a file format may not
 * change, and what a damaged or partial file is told. */
#include "check.h"

#include "base/file.h"
#include "base/rng.h"
#include "model/egovlp.h"
#include "model/heads.h"
#include "model/identity.h"
#include "model/info.h"
#include "model/save.h"
#include "task/embed.h"

#include <unistd.h>

static ego_pool *pool;
static ego_backend *backend;
static ego_ctx cx;

static ego_config tiny(void) {
    ego_config c = ego_config_default();
    c.dim = 48, c.heads = 3, c.depth = 4, c.patch = 8, c.image_size = 32, c.frames = 3;
    c.vocab = 300, c.max_positions = 40, c.fuse_layers = 2;
    for (int i = 0; i < 3; i++) c.projection[i] = 40;
    return c;
}

/* ---- costs ------------------------------------------------------------------------------------------------ */

static void test_costs(void) {
    ego_config c = ego_config_default();
    ego_info info;
    CHECK_OK(ego_info_of(&c, 30, &info));
    CHECK(info.parameters == 381611623);
    /* DESIGN.md: linear and convolution products of a pre-training instance at 30 tokens, 300.07 G */
    double linear = (double)(info.video.linear + info.text.linear + info.match.linear + info.mlm.linear);
    CHECK_NEAR(linear * 1e-9, 300.07, 0.01);
    CHECK(info.video_tokens == 785);
    c.fuse_layers = 3;
    CHECK_OK(ego_info_of(&c, 30, &info));
    CHECK_NEAR((double)info.parameters * 1e-6, 367.4, 0.05);
    c.fuse_layers = 12;
    CHECK_OK(ego_info_of(&c, 30, &info));
    CHECK_NEAR((double)info.parameters * 1e-6, 410.0, 0.05);
}

/* ---- configuration ---------------------------------------------------------------------------------------- */

static void test_config(void) {
    ego_config c = tiny(), back = ego_config_default();
    c.gate = (ego_gate){false, 0.25f};
    ego_buf text = {0};
    ego_json *json = NULL;
    ego_config_write(&c, &text);
    CHECK(!strstr(text.data, "ensemble"));
    ego_buf_release(&text);
    CHECK_OK(ego_config_set(&c, "ensemble", "0.125"));
    ego_config_write(&c, &text);
    CHECK_OK(ego_json_parse(text.data, text.len, &json));
    CHECK_OK(ego_config_read(json, &back));
    ego_buf again = {0};
    ego_config_write(&back, &again);
    CHECK_STR(again.data, text.data);
    CHECK(back.ensemble == 0.125f);
    CHECK_OK(ego_config_take(&back, "ensemble", &(ego_config){.ensemble = -1}));
    CHECK_ERR(EGO_EINPUT, ego_config_check(&back));
    CHECK_ERR(EGO_EINPUT, ego_config_set(&c, "ensemble", "much"));
    CHECK_ERR(EGO_EINPUT, ego_config_set(&c, "dimm", "4"));
    CHECK_ERR(EGO_EINPUT, ego_config_set(&c, "dim", "wide"));
    CHECK_ERR(EGO_EINPUT, ego_config_set(&c, "fusion", "sideways"));
    CHECK_OK(ego_config_set(&back, "fusion", "film"));
    CHECK(back.fusion == EGO_FUSION_FILM);
    CHECK_OK(ego_config_set(&c, "model.gate", "one"));
    CHECK(!c.gate.learned && c.gate.value == 1);
    c.heads = 5;
    CHECK_ERR(EGO_EINPUT, ego_config_check(&c));
    ego_json_free(json);
    ego_buf_release(&text);
    ego_buf_release(&again);
}

/* ---- what may not change a result ------------------------------------------------------------------------- */

static float *random_clip(const ego_config *c, uint64_t name) {
    size_t n = (size_t)(c->frames * 3 * c->image_size * c->image_size);
    float *clip = malloc(n * sizeof *clip);
    for (size_t i = 0; i < n; i++) clip[i] = (float)(4 * ego_rng_unit(name, i) - 2);
    return clip;
}

static bool equal(const ego_tensor *a, const ego_tensor *b) {
    return ego_tensor_same_shape(a, b) &&
           memcmp(a->data, b->data, (size_t)ego_tensor_count(a) * sizeof(float)) == 0;
}

/* Items one by one and all together give the same bits, whatever their lengths. */
static void test_batches(ego_model *m) {
    enum { N = 7 };
    ego_embed_options o = {EGO_LAYER_PROJECTED, true, true};
    ego_embed_item alone[N], together[N];
    int64_t ids[N][12];
    float *clips[N];
    for (int i = 0; i < N; i++) {
        clips[i] = random_clip(&m->config, (uint64_t)i);
        for (int t = 0; t < 12; t++) ids[i][t] = (int64_t)ego_rng_below(99, (uint64_t)(12 * i + t), 300);
        alone[i] = (ego_embed_item){.clip = i == 3 ? NULL : clips[i],
                                    .tokens = i == 5 ? NULL : ids[i],
                                    .n_tokens = (size_t)(2 + i)};
        together[i] = alone[i];
        CHECK_OK(ego_embed(&cx, m, &o, &alone[i], 1));
    }
    CHECK_OK(ego_embed(&cx, m, &o, together, N));
    for (int i = 0; i < N; i++) {
        if (i != 3) CHECK(equal(&alone[i].video, &together[i].video));
        if (i != 5) CHECK(equal(&alone[i].text, &together[i].text));
        if (i != 3 && i != 5) {
            CHECK(equal(&alone[i].fused, &together[i].fused));
            CHECK(alone[i].match == together[i].match);
        }
        ego_embed_item_release(&alone[i]);
        ego_embed_item_release(&together[i]);
        free(clips[i]);
    }
}

/* The class token alone is, bit for bit, the class token of all tokens. */
static void test_shortcut(ego_model *m, ego_mode mode) {
    const ego_config *c = &m->config;
    float *pixels = random_clip(c, 5);
    ego_tensor clip = {pixels, EGO_F32, 5, {1, c->frames, 3, c->image_size, c->image_size}};
    int64_t ids[] = {0, 17, 44, 2}, offsets[] = {0, 4};
    ego_texts texts = {ids, {1, offsets}};
    ego_ctx_mark mark = ego_ctx_save(&cx);
    ego_states all = ego_encode(&cx, m, &(ego_input){&clip, texts, EGO_WANT_TOKENS, EGO_WANT_TOKENS}, mode);
    ego_states one = ego_encode(&cx, m, &(ego_input){&clip, texts, EGO_WANT_CLASS, EGO_WANT_CLASS}, mode);
    CHECK_OK(ego_ctx_err(&cx));
    CHECK(memcmp(all.video->data, one.video->data, (size_t)c->dim * sizeof(float)) == 0);
    CHECK(memcmp(all.text->data, one.text->data, (size_t)c->dim * sizeof(float)) == 0);
    CHECK(ego_tensor_rows(one.video) == 1 && ego_tensor_rows(all.video) == ego_config_tokens(c, c->frames));
    ego_ctx_rewind(&cx, &mark);
    free(pixels);
}

/* A gate of zero is the absence of fusion: only the fused path's own class token and norm differ. */
static void test_gate(void) {
    ego_config c = tiny();
    ego_model *open, *closed;
    CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 0, pool, &open));
    CHECK_OK(ego_model_create(&c, EGO_START_PAPER, 1, pool, &closed)); /* gates start at zero */
    int64_t a[] = {0, 17, 44, 2}, b[] = {0, 9, 9, 9, 2}, at[] = {0, 4}, bt[] = {0, 5};
    ego_model *models[] = {open, closed};
    for (int k = 0; k < 2; k++) {
        float *pixels = random_clip(&c, 6);
        ego_tensor clip = {pixels, EGO_F32, 5, {1, c.frames, 3, c.image_size, c.image_size}};
        ego_ctx_mark mark = ego_ctx_save(&cx);
        ego_input in = {&clip, {a, {1, at}}, EGO_WANT_CLASS, EGO_WANT_CLASS};
        ego_states x = ego_encode(&cx, models[k], &in, EGO_FUSED);
        in.texts = (ego_texts){b, {1, bt}};
        ego_states y = ego_encode(&cx, models[k], &in, EGO_FUSED);
        CHECK_OK(ego_ctx_err(&cx));
        CHECK(equal(x.video, y.video) == (k == 1)); /* the text reaches the video only through gates */
        ego_ctx_rewind(&cx, &mark);
        free(pixels);
    }
    ego_model_close(open, backend);
    ego_model_close(closed, backend);
}

/* ---- files ---------------------------------------------------------------------------------------------------- */

static ego_tensor embed_text(ego_model *m) {
    static const int64_t ids[] = {0, 5, 6, 7, 2};
    ego_embed_options o = {EGO_LAYER_PROJECTED, true, false};
    ego_embed_item item = {.tokens = ids, .n_tokens = 5};
    CHECK_OK(ego_embed(&cx, m, &o, &item, 1));
    return item.text;
}

static void test_files(ego_model *m, const char *folder) {
    char plain[256], packed[256], half[256];
    snprintf(plain, sizeof plain, "%s/plain.safetensors", folder);
    snprintf(packed, sizeof packed, "%s/packed.safetensors", folder);
    snprintf(half, sizeof half, "%s/half.safetensors", folder);
    CHECK_OK(ego_model_save(m, plain, &(ego_save_options){.dtype = EGO_F32}));
    CHECK_OK(ego_model_save(m, packed, &(ego_save_options){.dtype = EGO_F32, .pack = true}));
    CHECK_OK(ego_model_save(m, half, &(ego_save_options){.dtype = EGO_BF16}));
    CHECK_ERR(EGO_EUNSUPPORTED, ego_model_save(m, half, &(ego_save_options){EGO_F16, true, NULL}));

    const char *paths[] = {plain, packed, half}, *id[3];
    ego_tensor want = embed_text(m);
    ego_model *opened[3];
    for (int i = 0; i < 3; i++) {
        CHECK_OK(ego_model_open(paths[i], &(ego_model_options){.needs = EGO_NEEDS_MLM | EGO_NEEDS_VTM}, &opened[i]));
        CHECK_OK(ego_model_id(opened[i], &id[i]));
        char computed[65];
        CHECK_OK(ego_weights_id(opened[i]->weights, &opened[i]->config, computed));
        CHECK_STR(computed, id[i]);
        CHECK(opened[i]->random);
        ego_tensor got = embed_text(opened[i]);
        if (i < 2) CHECK(equal(&got, &want)); /* packed or not: the same bits */
        free(got.data);
    }
    CHECK_STR(id[1], id[0]);
    CHECK(strcmp(id[2], id[0]) != 0);
    for (int i = 0; i < 3; i++) ego_model_close(opened[i], backend);
    free(want.data);

    /* A path that the file cannot serve names what is missing. */
    ego_config none = m->config;
    none.fusion = EGO_FUSION_NONE;
    ego_model *dual, *asked;
    CHECK_OK(ego_model_create(&none, EGO_START_PAPER, 3, pool, &dual));
    CHECK_OK(ego_model_save(dual, half, &(ego_save_options){.dtype = EGO_F32}));
    CHECK_ERR(EGO_EMODEL, ego_model_open(half, &(ego_model_options){.needs = EGO_NEEDS_FUSED}, &asked));
    const char *force[] = {"fusion=backbone"};
    CHECK_ERR(EGO_EMODEL, ego_model_open(half, &(ego_model_options){.overrides = force, .n_overrides = 1, .needs = EGO_NEEDS_FUSED}, &asked));
    CHECK(strstr(ego_err_message(), "alpha_t2i") != NULL);
    ego_model_close(dual, backend);
    unlink(plain), unlink(packed), unlink(half);
}

/* What the tensors alone tell of the configuration: all but the number of heads. */
static void test_shape_from_tensors(ego_model *m, const char *folder) {
    char path[256];
    snprintf(path, sizeof path, "%s/shape.safetensors", folder);
    CHECK_OK(ego_model_save(m, path, &(ego_save_options){.dtype = EGO_F32}));
    ego_weights *weights;
    ego_config found;
    if (CHECK_OK(ego_weights_open(path, &weights))) {
        CHECK_OK(ego_config_from_weights(weights, &found));
        CHECK(found.fusion == m->config.fusion && found.fuse_layers == m->config.fuse_layers);
        CHECK(found.depth == m->config.depth && found.dim == m->config.dim);
        ego_weights_close(weights);
    }
    unlink(path);
}

static void test_temporal(void) {
    float in[] = {0, 10, 4, 20, 8, 30}, out[10]; /* three rows of two */
    ego_temporal_resize(in, 3, 5, 2, out);
    float want[] = {0, 10, 2, 15, 4, 20, 6, 25, 8, 30};
    for (int i = 0; i < 10; i++) CHECK_NEAR(out[i], want[i], 1e-6);
    ego_temporal_resize(in, 3, 2, 2, out);
    CHECK(memcmp(out, in, 4 * sizeof(float)) == 0);
}

/* What PyTorch 2.15 makes of a grid of 3 × 3: interpolate(mode="bicubic", align_corners=False). */
static void test_spatial(void) {
    static const float five[] = {-1.655808f, 4.498432f, 10.672f,   5.445088f, -0.138944f,
                                 1.8384f,    4.750032f, 7.428f,    4.027728f, 0.681024f,
                                 6.288f,     4.836f,    3,         2.784f,    3,
                                 6.92736f,   3.986688f, 1.272f,    4.667952f, 8.018976f,
                                 6.498432f,  3.275296f, 0.808f,    6.470944f, 11.618944f},
                       two[] = {3.22947693f, 3.10629272f, 4.82139587f, 6.65968323f};
    float in[20], out[52]; /* rows of two: the grid and its negative, behind a class token */
    for (int i = 0; i < 9; i++) {
        in[2 + 2 * i] = (float)((7 * i * i + 3 * i) % 11);
        in[3 + 2 * i] = -in[2 + 2 * i];
    }
    in[0] = 5, in[1] = 6;
    ego_spatial_resize(in, 3, 5, 2, out);
    CHECK(out[0] == 5 && out[1] == 6);
    for (int i = 0; i < 25; i++) {
        CHECK_NEAR(out[2 + 2 * i], five[i], 2e-6);
        CHECK(out[3 + 2 * i] == -out[2 + 2 * i]);
    }
    ego_spatial_resize(in, 3, 2, 2, out);
    for (int i = 0; i < 4; i++) CHECK_NEAR(out[2 + 2 * i], two[i], 1e-6);
    ego_spatial_resize(in, 3, 3, 2, out);
    for (int i = 0; i < 20; i++) CHECK(out[i] == in[i]);
}

static void embed_clip(ego_model *m, ego_embed_item *item) {
    float *clip = random_clip(&m->config, 5);
    *item = (ego_embed_item){.clip = clip};
    CHECK_OK(ego_embed(&cx, m, &(ego_embed_options){EGO_LAYER_PROJECTED, true, false}, item, 1));
    free(clip);
}

/* A checkpoint at another image size: on opening, and written so; at its own size nothing is touched. */
static void test_image_size(ego_model *m, const char *folder) {
    char path[256], large[256], sidecar[256];
    snprintf(path, sizeof path, "%s/size.safetensors", folder);
    snprintf(large, sizeof large, "%s/large.safetensors", folder);
    snprintf(sidecar, sizeof sidecar, "%s/size.json", folder);
    const char *wish[] = {"model.image_size=48"}, *same[] = {"model.image_size=32"}, *odd[] = {"image_size=44"};
    ego_model_options options = {.overrides = wish, .n_overrides = 1};
    const float *own = m->params->video.pos.value.data;
    size_t grid = (1 + 36) * 48;
    float want[(1 + 36) * 48];
    ego_spatial_resize(own, 4, 6, 48, want);
    for (ego_dtype dtype = EGO_F32; dtype <= EGO_F16; dtype++) {
        ego_model *opened, *converted;
        CHECK_OK(ego_model_save(m, path, &(ego_save_options){.dtype = dtype}));
        if (!CHECK_OK(ego_model_open(path, &options, &opened))) return;
        const ego_tensor *pos = &opened->params->video.pos.value;
        CHECK(opened->config.image_size == 48 && opened->stored_size == 32 && pos->shape[1] == 37);
        for (size_t i = 0; i < grid; i++)
            CHECK_NEAR(ego_f32(pos)[i], want[i], dtype == EGO_F32 ? 0 : 2e-3);
        CHECK_OK(ego_model_save(opened, large, &(ego_save_options){.dtype = EGO_F32}));
        if (CHECK_OK(ego_model_open(large, NULL, &converted))) {
            CHECK(converted->config.image_size == 48 && converted->stored_size == 48);
            CHECK(converted->params->video.pos.value.dtype == dtype);
            ego_embed_item a, b;
            embed_clip(opened, &a);
            embed_clip(converted, &b);
            CHECK(dtype != EGO_F32 || equal(&a.video, &b.video));
            ego_embed_item_release(&a);
            ego_embed_item_release(&b);
            ego_model_close(converted, backend);
        }
        ego_model_close(opened, backend);
    }
    ego_model *opened;
    CHECK_OK(ego_model_save(m, path, &(ego_save_options){.dtype = EGO_F32}));
    options.overrides = same;
    if (CHECK_OK(ego_model_open(path, &options, &opened))) {
        CHECK(opened->params->video.pos.mapped);
        CHECK(memcmp(opened->params->video.pos.value.data, own, 17 * 48 * sizeof *own) == 0);
        ego_model_close(opened, backend);
    }
    options.overrides = odd;
    CHECK_ERR(EGO_EINPUT, ego_model_open(path, &options, &opened));
    /* What describes the file must fit it. */
    CHECK_OK(ego_write_file(sidecar, "{\"image_size\":48}", 17));
    CHECK_ERR(EGO_EMODEL, ego_model_open(path, NULL, &opened));
    CHECK(strstr(ego_err_message(), "pos_embed") != NULL);
    unlink(path), unlink(large), unlink(sidecar);
}

int main(void) {
    CHECK_OK(ego_pool_new(2, &pool));
    CHECK_OK(ego_cpu_backend_new(pool, &backend));
    ego_ctx_init(&cx, backend);
    char folder[] = "/tmp/ego-test-model-XXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    test_costs();
    test_config();
    test_temporal();
    test_spatial();
    for (ego_fusion fusion = EGO_FUSION_BACKBONE; fusion <= EGO_FUSION_FILM; fusion++) {
        ego_config c = tiny();
        ego_model *m;
        c.fusion = fusion;
        if (CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 0, pool, &m))) {
            test_batches(m);
            test_shortcut(m, EGO_DUAL);
            test_shortcut(m, EGO_FUSED);
            test_files(m, folder);
            test_shape_from_tensors(m, folder);
            test_image_size(m, folder);
            ego_model_close(m, backend);
        }
    }
    test_gate();
    rmdir(folder);
    ego_ctx_release(&cx);
    ego_backend_free(backend);
    ego_pool_free(pool);
    return check_done();
}
