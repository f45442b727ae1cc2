/* Forward results, losses and gradients against the published reference (golden/README.md).
 *
 *     test_golden [FOLDER…]
 *
 * A folder of tiny's layout (meta.json, checkpoint.pth, *.npy) or of base4f's (no checkpoint: the weights
 * follow the formula). Everything is read from the folder: widths, depths, fused layers, frames, patches.
 * Without arguments: all folders in tests/golden/made, tests/golden/base4f, and golden/tiny and the real
 * clip of ../shared where that is there. EGO_SKIP_FULL_SIZE=1 leaves the full-size model out.
 */
#include "adamw.h"

#include <dirent.h>

/* ---- the checks ------------------------------------------------------------------------------------------- */

typedef struct tracing {
    fixture *f;
    const char *path; /* "dual" or "vtm" */
    ego_text_shape texts;
    int64_t batch;
} tracing;

/* The class-token state after each layer: rows 0, T, 2T … or offsets[i], or every row of the last one. */
static void on_layer(void *context, bool video, int64_t layer, const ego_tensor *x) {
    tracing *t = context;
    char name[64];
    snprintf(name, sizeof name, "%s_%s%d_cls", t->path, video ? "video_block" : "text_layer", (int)layer);
    if (!exists(t->f->folder, "dual_video_block0_cls.npy")) return;
    int64_t rows = ego_tensor_rows(x), columns = ego_tensor_columns(x);
    if (video) {
        compare_rows(t->f, name, ego_f32(x), rows / t->batch * columns, NULL);
        return;
    }
    float picked[MAX_TEXTS * 1024];
    for (int64_t i = 0; i < t->texts.n; i++)
        memcpy(picked + i * columns,
               ego_f32(x) + (rows == t->texts.n ? i : t->texts.offsets[i]) * columns,
               (size_t)columns * sizeof(float));
    compare_rows(t->f, name, picked, columns, NULL);
}

static void similarities(const ego_tensor *text, const ego_tensor *video, float *out) {
    for (int64_t i = 0; i < text->shape[0]; i++)
        for (int64_t j = 0; j < video->shape[0]; j++) {
            double dot = 0;
            for (int64_t k = 0; k < text->shape[1]; k++)
                dot += (double)ego_f32(text)[i * text->shape[1] + k] *
                       ego_f32(video)[j * text->shape[1] + k];
            out[i * video->shape[0] + j] = (float)dot;
        }
}

static void check_dual(fixture *f) {
    ego_ctx *cx = &f->cx;
    ego_model *m = f->model;
    narrations n;
    if (!CHECK(load_texts(f, "input_ids", NULL, 0, &n))) return;
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_tensor *clips = load_clips(f, NULL, 0);
    tracing t = {f, "dual", n.texts.shape, clips->shape[0]};
    m->trace = on_layer, m->trace_context = &t;
    ego_states s = ego_encode(
        cx, m, &(ego_input){clips, n.texts, EGO_WANT_CLASS, EGO_WANT_CLASS}, EGO_DUAL);
    m->trace = NULL;
    const ego_tensor *video = ego_project_video(cx, &m->config, m->params, s.video);
    const ego_tensor *text = ego_project_text(cx, &m->config, m->params, s.text);
    bool full = exists(f->folder, "dual_video_embed.npy");
    compare(f, "dual_video_feature", s.video);
    compare(f, full ? "dual_video_embed" : "video_embed", video);
    compare(f, full ? "dual_text_embed" : "text_embed", text);
    video = ego_l2_normalize(cx, video);
    text = ego_l2_normalize(cx, text);
    if (video && text) {
        float sim[MAX_TEXTS * MAX_TEXTS];
        similarities(text, video, sim);
        compare_rows(f, full ? "dual_sim" : "sim", sim, video->shape[0], NULL);
    }
    ego_ctx_rewind(cx, &mark);
}

static void check_match(fixture *f) {
    ego_ctx *cx = &f->cx;
    ego_npy texts = {0}, videos = {0}, prob = {0};
    narrations n;
    bool pairs = load(f, "vtm_text_index", &texts) && load(f, "vtm_video_index", &videos);
    int64_t count = pairs ? ego_tensor_count(&texts.tensor) : 0;
    if (!CHECK(load_texts(f, "input_ids", pairs ? texts.tensor.data : NULL, count, &n))) return;
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_tensor *clips = load_clips(f, pairs ? videos.tensor.data : NULL, count);
    tracing t = {f, "vtm", n.texts.shape, clips->shape[0]};
    f->model->trace = on_layer, f->model->trace_context = &t;
    ego_states s = ego_encode(
        cx, f->model, &(ego_input){clips, n.texts, EGO_WANT_CLASS, EGO_WANT_CLASS}, EGO_FUSED);
    f->model->trace = NULL;
    const ego_tensor *logits = ego_match_logits(cx, f->model->params, s.text, s.video);
    compare(f, "vtm_logits", logits);
    const ego_tensor *p = ego_softmax(cx, logits);
    if (load(f, "vtm_prob", &prob))
        for (int64_t i = 0; p && i < ego_tensor_count(&prob.tensor); i++)
            CHECK_NEAR(ego_f32(p)[2 * i + 1], ego_f32(&prob.tensor)[i], 2e-6);
    ego_ctx_rewind(cx, &mark);
    ego_npy_close(&texts);
    ego_npy_close(&videos);
    ego_npy_close(&prob);
}

/* Logits of every token (tiny; padding has none here) or of the one masked token of each narration. */
static void check_mlm(fixture *f) {
    ego_ctx *cx = &f->cx;
    narrations n;
    ego_npy mask = {0};
    if (!load_texts(f, "mlm_input_ids", NULL, 0, &n) || !load(f, "attention_mask", &mask)) return;
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_states s = ego_encode(
        cx, f->model,
        &(ego_input){load_clips(f, NULL, 0), n.texts, EGO_WANT_NOTHING, EGO_WANT_TOKENS}, EGO_FUSED);
    const ego_tensor *states = s.text;
    bool masked_only = exists(f->folder, "mlm_logits_masked.npy");
    int64_t rows[MAX_TEXTS], count = 0, all = n.offsets[n.texts.shape.n];
    for (int64_t i = 0; masked_only && i < all; i++)
        if (n.ids[i] == 50264) rows[count++] = i;
    if (masked_only) states = ego_gather_rows(cx, states, rows, count);
    const ego_tensor *logits = ego_mlm_logits(cx, f->model->params, states);
    if (CHECK_OK(ego_ctx_err(cx)))
        compare_rows(f, masked_only ? "mlm_logits_masked" : "mlm_logits", ego_f32(logits),
                     ego_tensor_columns(logits), masked_only ? NULL : mask.tensor.data);
    ego_ctx_rewind(cx, &mark);
    ego_npy_close(&mask);
}

/* What a 16-frame model gets from this checkpoint, exact to 1e-6. */
static void check_inflation(fixture *f) {
    ego_npy ref = {0};
    if (!load(f, "temporal_embed_inflated_to_16", &ref)) return;
    char path[512];
    ego_model *m;
    snprintf(path, sizeof path, "%s/checkpoint.pth", f->folder);
    if (CHECK_OK(ego_model_open(path, &(ego_model_options){.frames = 16}, &m))) {
        for (int64_t i = 0; i < ego_tensor_count(&ref.tensor); i++)
            CHECK_NEAR(ego_f32(&m->temporal.value)[i], ego_f32(&ref.tensor)[i], 1e-6);
        ego_model_close(m, NULL);
    }
    ego_npy_close(&ref);
}

/* The full-size model on the real clip: golden/clip holds the network's input and what comes out. */
static void check_real_clip(fixture *f, const char *folder) {
    fixture clip = *f;
    clip.folder = folder;
    ego_npy pixels = {0};
    if (!load(&clip, "clip_tensor", &pixels)) {
        printf("skipped: %s is not there: the real clip was not checked\n", folder);
        return;
    }
    ego_ctx *cx = &f->cx;
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_tensor clips = {.data = pixels.tensor.data, .dtype = EGO_F32, .ndim = 5, .shape = {1, 4, 3, 224, 224}};
    ego_states s = ego_encode(cx, f->model, &(ego_input){.clips = &clips, .video = EGO_WANT_CLASS},
                              EGO_DUAL);
    const ego_tensor *e = ego_project_video(cx, &f->model->config, f->model->params, s.video);
    ego_err err = ego_ctx_err(cx);
    if (CHECK_OK(err))
        compare_rows(&clip, "dual_video_embed_base4f", ego_f32(e), ego_tensor_columns(e), NULL);
    if (clip.worst > f->worst) f->worst = clip.worst;
    ego_ctx_rewind(cx, &mark);
    ego_npy_close(&pixels);
}

/* ---- folders ------------------------------------------------------------------------------------------------ */

/* meta.json's own short names. */
static ego_config config_of(const ego_json *meta) {
    const ego_json *j = ego_json_get(meta, "config");
    ego_config c = ego_config_default();
    c.dim = (int64_t)number(j, "dim", 0), c.heads = (int64_t)number(j, "heads", 0);
    c.depth = (int64_t)number(j, "depth", 0), c.vocab = (int64_t)number(j, "vocab", 0);
    c.frames = (int64_t)number(j, "frames", 0), c.fuse_layers = (int64_t)number(j, "fuse", 0);
    c.image_size = (int64_t)number(j, "img", 0), c.patch = (int64_t)number(j, "patch", 0);
    c.max_positions = (int64_t)number(j, "maxpos", 0), c.mlp_ratio = (int64_t)number(j, "mlp", 4);
    for (int i = 0; i < 3; i++) c.projection[i] = (int64_t)number(j, "proj", 0);
    return c;
}

static bool open_model(fixture *f) {
    char path[512];
    snprintf(path, sizeof path, "%s/checkpoint.pth", f->folder);
    ego_config want = config_of(f->meta);
    if (!exists(f->folder, "checkpoint.pth"))
        return CHECK_OK(ego_model_create(&want, EGO_START_GOLDEN, 0, f->pool, &f->model));
    ego_model_options options = {.needs = EGO_NEEDS_VIDEO | EGO_NEEDS_TEXT | EGO_NEEDS_FUSED |
                                          EGO_NEEDS_VTM | EGO_NEEDS_MLM |
                                          EGO_NEEDS_VIDEO_PROJECTION | EGO_NEEDS_TEXT_PROJECTION};
    if (!CHECK_OK(ego_model_open(path, &options, &f->model))) return false;
    ego_config c = f->model->config; /* what the file told must be what meta.json says */
    return CHECK(c.dim == want.dim && c.heads == want.heads && c.depth == want.depth) &&
           CHECK(c.vocab == want.vocab && c.frames == want.frames && c.patch == want.patch) &&
           CHECK(c.fuse_layers == want.fuse_layers && c.image_size == want.image_size) &&
           CHECK(c.max_positions == want.max_positions && c.mlp_ratio == want.mlp_ratio);
}

static void check_folder(const char *folder, ego_pool *pool, const char *real_clip) {
    fixture f = {.folder = folder, .pool = pool};
    char path[512];
    snprintf(path, sizeof path, "%s/meta.json", folder);
    if (CHECK_OK(ego_json_read(path, 1 << 24, &f.meta)) &&
        CHECK_OK(ego_cpu_backend_new(pool, &f.backend))) {
        ego_ctx_init(&f.cx, f.backend);
        if (open_model(&f)) {
            check_dual(&f);
            check_match(&f);
            check_mlm(&f);
            check_inflation(&f);
            check_training(&f);
            check_adamw(&f, "tests/golden/adamw100.json");
            if (real_clip) check_real_clip(&f, real_clip);
            printf("%s: largest relative error %.2g\n", folder, f.worst);
        }
        ego_ctx_release(&f.cx);
    }
    ego_model_close(f.model, f.backend);
    ego_backend_free(f.backend);
    ego_json_free(f.meta);
}

static void check_made(const char *folder, ego_pool *pool) {
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.' && exists(path, "meta.json")) check_folder(path, pool, NULL);
    }
    if (dir) closedir(dir);
}

int main(int argc, char **argv) {
    ego_pool *pool = NULL;
    if (!CHECK_OK(ego_pool_new(0, &pool))) return check_done();
    const char *shared = getenv("EGO_SHARED") ? getenv("EGO_SHARED") : "../shared";
    char tiny[512], clip[512];
    snprintf(tiny, sizeof tiny, "%s/golden/tiny", shared);
    snprintf(clip, sizeof clip, "%s/golden/clip", shared);
    for (int i = 1; i < argc; i++) check_folder(argv[i], pool, NULL);
    if (argc == 1) {
        check_made("tests/golden/made", pool);
        if (exists(tiny, "meta.json"))
            check_folder(tiny, pool, NULL);
        else
            printf("skipped: %s is not there\n", tiny);
        if (getenv("EGO_SKIP_FULL_SIZE"))
            printf("skipped: the full-size model (EGO_SKIP_FULL_SIZE is set)\n");
        else
            check_folder("tests/golden/base4f", pool, clip);
    }
    ego_pool_free(pool);
    return check_done();
}
