/* The model that training starts with: drawn as the paper says, from files of RoBERTa's and ViT's
 * making (small ones, written here), and from checkpoints. */
#include "check.h"

#include "base/file.h"
#include "model/save.h"
#include "recipe/initial.h"

#include <unistd.h>

static ego_pool *pool;
static char folder[] = "/tmp/ego-test-initial-XXXXXX";

static const char *in_folder(const char *name) {
    static char paths[4][256];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* A small model by --set's words, from nothing. */
static void start(ego_train_config *c) {
    static const char small[] =
        "model={\"dim\":8,\"heads\":2,\"depth\":2,\"mlp_ratio\":2,\"patch\":8,\"image_size\":16,"
        "\"frames\":2,"
        "\"vocab\":2000,\"max_positions\":20,\"fuse_layers\":1,\"projection\":[6,5,4]}";
    ego_train_config_init(c);
    CHECK_OK(ego_train_config_override(c, small));
    CHECK_OK(ego_train_config_override(c, "data.annotations=a.csv"));
    CHECK_OK(ego_train_config_override(c, "run.out=o"));
    CHECK_OK(ego_train_config_override(c, "run.seed=7"));
}

static void set(ego_train_config *c, const char *key, const char *value) {
    CHECK_OK(ego_train_config_set(c, key, value));
}

static bool has(const char *name, const char *part) { return strstr(name, part) != NULL; }

/* ---- from nothing ---------------------------------------------------------------------------- */

typedef struct spread {
    double least, most, mean, deviation;
} spread;

static spread spread_of(const ego_tensor *t) {
    const float *x = t->data;
    int64_t n = ego_tensor_count(t);
    spread s = {(double)x[0], (double)x[0], 0, 0};
    for (int64_t i = 0; i < n; i++) {
        s.least = fmin(s.least, (double)x[i]);
        s.most = fmax(s.most, (double)x[i]);
        s.mean += (double)x[i] / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        s.deviation += ((double)x[i] - s.mean) * ((double)x[i] - s.mean) / (double)n;
    s.deviation = sqrt(s.deviation);
    return s;
}

/* spec/pretrain.md, Initialisation, sentence by sentence. */
static ego_err check_start(void *context, const ego_param_spec *spec) {
    bool learnable = *(const bool *)context;
    const char *name = spec->name;
    spread s = spread_of(&spec->param->value);
    size_t length = strlen(name);
    bool bias = length > 4 && strcmp(name + length - 4, "bias") == 0;
    bool norm = has(name, "norm") || has(name, "LayerNorm");
    double constant = NAN, bound = 0;
    if (has(name, "alpha") || has(name, "temporal_embed") || strcmp(name, "cls_token") == 0)
        constant = 0;
    else if (has(name, "timeattn.qkv.weight"))
        constant = learnable ? (double)NAN : 0;
    else if (has(name, "timeattn.proj.weight"))
        constant = learnable ? 0 : 1;
    else if (norm)
        constant = bias ? 0 : 1;
    else if (has(name, "qkv_i2t") || has(name, "qkv_text_i2t") || has(name, "proj_i2t"))
        bound = 1 / sqrt(8); /* dim */
    else if (has(name, "_proj.0.weight"))
        bound = 1 / sqrt(8);
    else if (has(name, "_proj.2."))
        bound = 1 / sqrt(6); /* the first layer's width */
    else if (has(name, "_proj.4."))
        bound = 1 / sqrt(5);
    else if (bias)
        constant = 0;
    bool good;
    if (!isnan(constant))
        good = s.least == constant && s.most == constant;
    else if (bound > 0)
        good = s.least >= -bound && s.most <= bound && s.deviation > 0.2 * bound && s.least < 0 &&
               s.most > 0;
    else /* N(0, 0.02) of 8 numbers at least */
        good = fabs(s.mean) < 0.03 && s.deviation > 0.005 && s.deviation < 0.04 && s.most < 0.12;
    if (!CHECK(good))
        fprintf(stderr, "    %s: %g to %g, mean %g, deviation %g\n", name, s.least, s.most, s.mean,
                s.deviation);
    return EGO_OK;
}

typedef struct comparison {
    const ego_initial *initial;
    size_t i, same, other;
} comparison;

static const ego_param *param_at(const ego_initial *initial, size_t i);

static ego_err compare_one(void *context, const ego_param_spec *spec) {
    comparison *c = context;
    const ego_param *p = param_at(c->initial, c->i++);
    bool equal = p && memcmp(p->value.data, spec->param->value.data,
                             (size_t)ego_tensor_count(&spec->param->value) * sizeof(float)) == 0;
    (equal ? &c->same : &c->other)[0]++;
    return EGO_OK;
}

typedef struct lookup {
    size_t wanted, at;
    const ego_param *found;
} lookup;

static ego_err look(void *context, const ego_param_spec *spec) {
    lookup *l = context;
    if (l->at++ == l->wanted) l->found = spec->param;
    return EGO_OK;
}

static const ego_param *param_at(const ego_initial *initial, size_t i) {
    lookup l = {.wanted = i};
    CHECK_OK(ego_params_visit(&initial->model->config, initial->model->params, look, &l));
    return l.found;
}

static void test_nothing(void) {
    for (int learnable = 0; learnable < 2; learnable++) {
        ego_train_config config;
        ego_initial initial;
        bool flag = learnable;
        start(&config);
        set(&config, "init.time", learnable ? "learnable" : "published");
        CHECK_OK(ego_initialise(&config, pool, &initial));
        CHECK_OK(ego_params_visit(&config.model, initial.model->params, check_start, &flag));
        CHECK(initial.from[EGO_ORIGIN_START] == initial.count && initial.tokenizers == 0);
        CHECK(initial.model->random && initial.model->bpe && ego_bpe_is_bytes(initial.model->bpe));
        /* The same as a model made elsewhere with the seed, whatever the threads; another with
         * another. */
        for (int other = 0; other < 2 && !learnable; other++) {
            ego_model *made;
            CHECK_OK(
                ego_model_create(&config.model, EGO_START_PAPER, 7 + (uint64_t)other, NULL, &made));
            comparison c = {.initial = &initial};
            CHECK_OK(ego_params_visit(&config.model, made->params, compare_one, &c));
            CHECK(c.same + c.other == initial.count);
            CHECK(other ? c.other > 30 : c.other == 0);
            ego_model_close(made, NULL);
        }
        ego_initial_release(&initial, NULL);
        ego_initial_release(&initial, NULL); /* twice is no harm */
        ego_train_config_release(&config);
    }
}

/* How many gates start at a value. */
typedef struct gates {
    float wanted;
    int there, others;
} gates;

static ego_err count_gate(void *context, const ego_param_spec *spec) {
    gates *g = context;
    if (!strstr(spec->name, "alpha_")) return EGO_OK;
    *(ego_f32(&spec->param->value)[0] == g->wanted ? &g->there : &g->others) += 1;
    return EGO_OK;
}

static void test_gates(void) {
    for (int open = 0; open < 2; open++) {
        ego_train_config config;
        ego_initial initial;
        start(&config);
        if (open) set(&config, "init.gate", "0.5");
        CHECK_OK(ego_initialise(&config, pool, &initial));
        gates g = {.wanted = open ? 0.5f : 0};
        CHECK_OK(ego_params_visit(&config.model, initial.model->params, count_gate, &g));
        CHECK(g.there > 0 && g.others == 0);
        ego_initial_release(&initial, NULL);
        ego_train_config_release(&config);
    }
}

static void test_positions(void) {
    spread pos[2], temporal[2];
    for (int i = 0; i < 2; i++) {
        ego_train_config config;
        ego_initial initial;
        start(&config);
        set(&config, "init.positions", i ? "0.5" : "0.25");
        CHECK_OK(ego_initialise(&config, pool, &initial));
        pos[i] = spread_of(&initial.model->params->video.pos.value);
        temporal[i] = spread_of(&initial.model->params->video.temporal.value);
        CHECK(spread_of(&initial.model->params->video.patch.weight.value).deviation < 0.03);
        ego_initial_release(&initial, NULL);
        ego_train_config_release(&config);
    }
    CHECK(fabs(pos[1].deviation - 0.5) < 0.1); /* of 40 numbers; those of the frames are 16 */
    CHECK(temporal[1].deviation > 0.25 && temporal[1].deviation < 0.75);
    CHECK(pos[1].most == 2 * pos[0].most && temporal[1].least == 2 * temporal[0].least);
}

static void test_fused_as_dual(void) {
    for (int dual = 0; dual < 2; dual++) {
        ego_train_config config;
        ego_initial initial;
        start(&config);
        if (dual) set(&config, "init.fused", "dual");
        CHECK_OK(ego_initialise(&config, pool, &initial));
        const ego_params *p = initial.model->params;
        size_t bytes = (size_t)ego_tensor_count(&p->fused_cls.value) * sizeof(float);
        bool same = memcmp(p->fused_cls.value.data, p->video.cls.value.data, bytes) == 0;
        CHECK(same == (dual == 1));
        ego_initial_release(&initial, NULL);
        ego_train_config_release(&config);
    }
}

/* ---- files of other people's making ---------------------------------------------------------- */

/* A donor's parameters under published names. */
typedef struct fake {
    ego_named_tensor list[128];
    size_t count;
    ego_arena arena;
    bool video, prefixed, old_names, half; /* which file, and in which of its ways */
} fake;

static void add(fake *f, const char *name, ego_tensor t) {
    if (!CHECK(f->count < sizeof f->list / sizeof f->list[0])) return;
    f->list[f->count++] = (ego_named_tensor){ego_arena_strdup(&f->arena, name), t};
}

static ego_tensor halved(fake *f, const ego_tensor *t) {
    ego_tensor out = *t;
    int64_t n = ego_tensor_count(t);
    uint16_t *half = ego_arena_alloc(&f->arena, (size_t)n * sizeof *half);
    for (int64_t i = 0; i < n; i++) half[i] = ego_f32_to_f16(ego_f32(t)[i]);
    out.data = half;
    out.dtype = EGO_F16;
    return out;
}

static ego_err add_param(void *context, const ego_param_spec *spec) {
    fake *f = context;
    static const char *const not_text[] = {"t2i"};
    static const char *const not_video[] = {"i2t", "timeattn", "norm3", "temporal_embed"};
    const char *stem = f->video ? "video_model." : "text_model.";
    if (strncmp(spec->name, stem, strlen(stem)) != 0) return EGO_OK;
    for (size_t i = 0; i < (f->video ? 4 : 1); i++)
        if (has(spec->name, f->video ? not_video[i] : not_text[i])) return EGO_OK;
    char name[160];
    snprintf(name, sizeof name, "%s%s", f->prefixed ? "roberta." : "", spec->name + strlen(stem));
    char *norm = f->old_names ? strstr(name, "LayerNorm.") : NULL;
    if (norm) strcpy(norm + 10, strcmp(norm + 10, "weight") == 0 ? "gamma" : "beta");
    add(f, name, f->half ? halved(f, &spec->param->value) : spec->param->value);
    return EGO_OK;
}

static void make_fake(fake *f, ego_model *donor) {
    static int64_t positions[20];
    static float other[64];
    f->count = 0;
    ego_arena_init(&f->arena, 0);
    CHECK_OK(ego_params_visit(&donor->config, donor->params, add_param, f));
    if (f->video) {
        add(f, "head.weight", (ego_tensor){other, EGO_F32, 2, {8, 8}});
        add(f, "head.bias", (ego_tensor){other, EGO_F32, 1, {8}});
    } else {
        add(f, "lm_head.dense.weight", (ego_tensor){other, EGO_F32, 2, {8, 8}});
        add(f, "lm_head.bias", (ego_tensor){other, EGO_F32, 1, {64}});
        add(f, f->prefixed ? "roberta.embeddings.position_ids" : "embeddings.position_ids",
            (ego_tensor){positions, EGO_I64, 2, {1, 20}});
    }
}

static void write_fake(const fake *f, const char *name) {
    CHECK_OK(ego_safetensors_write(in_folder(name), f->list, f->count, NULL, 0, NULL, NULL));
}

/* A model with the rule of golden/README.md: no parameter is what a start would be. */
static ego_model *new_donor(const ego_config *config) {
    ego_model *donor = NULL;
    CHECK_OK(ego_model_create(config, EGO_START_GOLDEN, 0, pool, &donor));
    return donor;
}

typedef struct sources {
    const ego_initial *initial;
    ego_model *start; /* as from nothing */
    bool half, text, video;
    size_t i;
} sources;

static ego_err check_source(void *context, const ego_param_spec *donor) {
    sources *s = context;
    size_t i = s->i++;
    const ego_param *got = param_at(s->initial, i);
    lookup l = {.wanted = i};
    CHECK_OK(ego_params_visit(&s->start->config, s->start->params, look, &l));
    ego_origin want = EGO_ORIGIN_START;
    if (s->text && strncmp(donor->name, "text_model.", 11) == 0 && !has(donor->name, "t2i"))
        want = EGO_ORIGIN_TEXT;
    if (s->video && strncmp(donor->name, "video_model.", 12) == 0 && !has(donor->name, "i2t") &&
        !has(donor->name, "timeattn") && !has(donor->name, "norm3") &&
        !has(donor->name, "temporal"))
        want = EGO_ORIGIN_VIDEO;
    bool good = s->initial->origins[i] == want && strcmp(s->initial->names[i], donor->name) == 0;
    const float *a = got->value.data, *drawn = l.found->value.data,
                *given = donor->param->value.data;
    for (int64_t k = 0; k < ego_tensor_count(&got->value) && good; k++) {
        float stored = s->half ? ego_f16_to_f32(ego_f32_to_f16(given[k])) : given[k];
        good = a[k] == (want == EGO_ORIGIN_START ? drawn[k] : stored);
    }
    if (!CHECK(good)) fprintf(stderr, "    %s\n", donor->name);
    return EGO_OK;
}

static void check_encoders(const ego_model *donor, const fake *text, const fake *video) {
    ego_train_config config;
    ego_initial initial;
    start(&config);
    if (text) set(&config, "init.text", in_folder("text"));
    if (video) set(&config, "init.video", in_folder("video"));
    set(&config, "data.tokenizer", "tests/unit/data/bpe");
    if (CHECK_OK(ego_initialise(&config, pool, &initial))) {
        ego_model *plain;
        CHECK_OK(ego_model_create(&config.model, EGO_START_PAPER, 7, pool, &plain));
        sources s = {&initial, plain, (text ? text : video)->half, text, video, 0};
        CHECK_OK(ego_params_visit(&donor->config, donor->params, check_source, &s));
        CHECK(initial.from[EGO_ORIGIN_TEXT] == (text ? text->count - 3 : 0));
        CHECK(initial.left[EGO_ORIGIN_TEXT] == (text ? 3 : 0));
        CHECK(initial.from[EGO_ORIGIN_VIDEO] == (video ? video->count - 2 : 0));
        CHECK(initial.left[EGO_ORIGIN_VIDEO] == (video ? 2 : 0));
        CHECK(initial.tokenizers == 2 && !ego_bpe_is_bytes(initial.model->bpe));
        ego_model_close(plain, NULL);
    }
    ego_initial_release(&initial, NULL);
    ego_train_config_release(&config);
}

static void test_encoders(ego_model *donor) {
    fake text = {.prefixed = true, .old_names = true, .half = true},
         video = {.video = true, .half = true};
    make_fake(&text, donor);
    make_fake(&video, donor);
    write_fake(&text, "text");
    write_fake(&video, "video");
    check_encoders(donor, &text, &video);
    check_encoders(donor, &text, NULL);
    check_encoders(donor, NULL, &video);
    ego_arena_release(&text.arena);
    text = (fake){0};
    make_fake(&text, donor);
    write_fake(&text, "text");
    check_encoders(donor, &text, NULL);
    ego_arena_release(&text.arena);
    ego_arena_release(&video.arena);
}

/* ---- files that do not suit ------------------------------------------------------------------ */

static void refuse(const char *key, const char *path, const char *word, ego_err code,
                   const char *message) {
    ego_train_config config;
    ego_initial initial;
    start(&config);
    set(&config, key, path);
    if (word) CHECK_OK(ego_train_config_override(&config, word));
    CHECK_ERR(code, ego_initialise(&config, pool, &initial));
    if (!CHECK(has(ego_err_message(), message)))
        fprintf(stderr, "    expected \"%s\", found \"%s\"\n", message, ego_err_message());
    CHECK(initial.model == NULL);
    ego_train_config_release(&config);
}

static ego_named_tensor *named(fake *f, const char *name) {
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->list[i].name, name) == 0) return &f->list[i];
    CHECK(!"the fake has a tensor of that name");
    return &f->list[0];
}

static void test_faults(ego_model *donor) {
    fake text = {.prefixed = true}, video = {.video = true};
    make_fake(&text, donor);
    make_fake(&video, donor);
    const char *path = in_folder("bad");

    ego_named_tensor *t = named(&text, "roberta.encoder.layer.1.output.dense.bias"), kept = *t;
    t->name = "roberta.encoder.layer.1.output.dense.offset";
    write_fake(&text, "bad");
    refuse("init.text", path, NULL, EGO_EMODEL,
           "1 tensors are missing: text_model.encoder.layer.1.output.dense.bias");
    *t = kept;
    t->tensor.dtype = EGO_I32;
    write_fake(&text, "bad");
    refuse("init.text", path, NULL, EGO_EMODEL, "expected numbers of shape [8], found I32 [8]");
    *t = kept;
    write_fake(&text, "bad");
    refuse("init.text", path, "model.vocab=1999", EGO_EMODEL,
           "'text_model.embeddings.word_embeddings.weight': expected numbers of shape [1999, 8], "
           "found F32 [2000, 8]");
    refuse("init.text", path, "model.depth=1", EGO_EMODEL, "has more layers than model.depth, 1");
    refuse("init.text", path, "model.depth=3", EGO_EMODEL, "16 tensors are missing");
    refuse("init.video", path, NULL, EGO_EMODEL, "tensors are missing: video_model.cls_token");
    write_fake(&video, "bad");
    refuse("init.video", path, "model.depth=1", EGO_EMODEL, "has more layers than model.depth, 1");
    refuse("init.video", in_folder("none"), NULL, EGO_EIO, "none");
    refuse("init.from", path, NULL, EGO_EMODEL, "not an EgoVLPv2 checkpoint");
    CHECK_OK(ego_write_file(path, "not weights at all", 18));
    refuse("init.text", path, NULL, EGO_EFORMAT, "bad");
    ego_arena_release(&text.arena);
    ego_arena_release(&video.arena);
}

/* ---- from a checkpoint ----------------------------------------------------------------------- */

static void check_same(const ego_initial *initial, ego_model *donor) {
    comparison c = {.initial = initial};
    CHECK_OK(ego_params_visit(&donor->config, donor->params, compare_one, &c));
    CHECK(c.same == initial->count && c.other == 0);
    CHECK(initial->from[EGO_ORIGIN_FROM] == initial->count && initial->left[EGO_ORIGIN_FROM] == 0);
}

/* Only "from" and what the words say: the shape is the file's. */
static ego_err from_file(const char *path, const char *const *words, ego_train_config *config,
                         ego_initial *initial) {
    ego_train_config_init(config);
    set(config, "init.from", path);
    for (size_t i = 0; words && words[i]; i++)
        CHECK_OK(ego_train_config_override(config, words[i]));
    return ego_initialise(config, pool, initial);
}

static void test_from(ego_model *donor) {
    ego_train_config config;
    ego_initial initial;
    const char *path = in_folder("from");
    static const char *const heads[] = {"model.heads=4", NULL};
    for (int packed = 0; packed < 2; packed++) {
        ego_save_options o = {EGO_F32, packed, packed ? "tests/unit/data/bpe" : NULL};
        CHECK_OK(ego_model_save(donor, path, &o));
        CHECK_OK(from_file(path, packed ? heads : NULL, &config, &initial));
        check_same(&initial, donor);
        CHECK(config.model.dim == 8 && config.model.heads == (packed ? 4 : 2));
        CHECK(initial.model->config.heads == config.model.heads);
        CHECK(initial.tokenizers == (packed ? 2 : 0)); /* the file's own is kept */
        CHECK(ego_bpe_is_bytes(initial.model->bpe) == !packed);
        ego_initial_release(&initial, NULL);
        ego_train_config_release(&config);
    }

    /* Another number of frames and another image size, and a gate that is none any more. */
    static const char *const changed[] = {"model.frames=3", "model.image_size=24", "model.gate=one", NULL};
    CHECK_OK(from_file(path, changed, &config, &initial));
    float rows[24];
    ego_temporal_resize(ego_f32(&donor->params->video.temporal.value), 2, 3, 8, rows);
    CHECK(memcmp(initial.model->params->video.temporal.value.data, rows, sizeof rows) == 0);
    float grid[80];
    ego_spatial_resize(ego_f32(&donor->params->video.pos.value), 2, 3, 8, grid);
    CHECK(memcmp(initial.model->params->video.pos.value.data, grid, sizeof grid) == 0);
    CHECK(initial.model->params->text.layers[1].gate.constant[0] == 1);
    CHECK(initial.from[EGO_ORIGIN_START] == 2 && initial.left[EGO_ORIGIN_FROM] == 2);
    ego_initial_release(&initial, NULL);
    ego_train_config_release(&config);

    /* The frames' positions alone are drawn anew when they are asked for. */
    static const char *const louder[] = {"init.positions=5", NULL};
    CHECK_OK(from_file(path, louder, &config, &initial));
    CHECK(initial.from[EGO_ORIGIN_START] == 1 && initial.left[EGO_ORIGIN_FROM] == 1);
    CHECK(spread_of(&initial.model->params->video.temporal.value).deviation > 2);
    const ego_tensor *pos = &donor->params->video.pos.value;
    CHECK(memcmp(initial.model->params->video.pos.value.data, pos->data,
                 (size_t)ego_tensor_count(pos) * sizeof(float)) == 0);
    ego_initial_release(&initial, NULL);
    ego_train_config_release(&config);

    /* Another fusion's layers, which the file cannot have, are drawn; the encoders are the file's. */
    static const char *const stacked[] = {"model.fusion=stacked", NULL};
    CHECK_OK(from_file(path, stacked, &config, &initial));
    for (size_t i = 0; i < initial.count; i++)
        CHECK((initial.origins[i] == EGO_ORIGIN_START) == has(initial.names[i], "cross_modal_stack"));
    ego_initial_release(&initial, NULL);
    ego_train_config_release(&config);

    refuse("init.from", path, "model.depth=1", EGO_EMODEL, "has 2 layers, model.depth is 1");
    refuse("init.from", path, "model.patch=4", EGO_EMODEL, "'video_model.patch_embed.proj.weight'");
    refuse("init.from", path, "model.fuse_layers=2", EGO_EMODEL, "alpha_t2i");
    refuse("init.from", path, "data.max_tokens=19", EGO_EINPUT,
           "data.max_tokens: expected at most 18");
}

/* Of a file without fusion: all of it is used, and what joins the encoders is drawn. */
static void check_dual_is_from(const ego_initial *initial) {
    CHECK(initial->from[EGO_ORIGIN_START] > 20 && initial->left[EGO_ORIGIN_FROM] == 0);
    for (size_t i = 0; i < initial->count; i++)
        CHECK(initial->origins[i] == EGO_ORIGIN_FROM || has(initial->names[i], "2") ||
              has(initial->names[i], "cross") || has(initial->names[i], "itm_score") ||
              strncmp(initial->names[i], "norm", 4) == 0 ||
              strcmp(initial->names[i], "cls_token") == 0);
}

/* What no objective asks for may be missing. */
static void test_from_partly(void) {
    ego_train_config config, dual;
    ego_initial initial;
    const char *path = in_folder("dual");
    start(&dual);
    set(&dual, "model.fusion", "none");
    ego_model *donor = new_donor(&dual.model);
    CHECK_OK(ego_model_save(donor, path, &(ego_save_options){.dtype = EGO_F32}));
    static const char *const alone[] = {"model.fusion=backbone", "model.fuse_layers=1",
                                        "objectives.mlm=0", "objectives.vtm=0", NULL};
    CHECK_OK(from_file(path, alone, &config, &initial));
    CHECK(ego_objectives_need(&config) == (EGO_NEEDS_VIDEO | EGO_NEEDS_TEXT |
                                           EGO_NEEDS_VIDEO_PROJECTION | EGO_NEEDS_TEXT_PROJECTION));
    check_dual_is_from(&initial);
    ego_initial_release(&initial, NULL);
    ego_train_config_release(&config);
    /* Nor what joins the encoders, where the file has none and the model is to. */
    static const char *const joined[] = {"model.fusion=backbone", "model.fuse_layers=1", NULL};
    CHECK_OK(from_file(path, joined, &config, &initial));
    check_dual_is_from(&initial);
    ego_initial_release(&initial, NULL);
    ego_train_config_release(&config);

    CHECK_ERR(EGO_EINPUT, from_file(path, NULL, &config, &initial)); /* VTM without fusion */
    CHECK(has(ego_err_message(), "objectives.vtm"));
    ego_train_config_release(&config);
    ego_model_close(donor, NULL);
    ego_train_config_release(&dual);
}

static void test_tokenizer(void) {
    ego_bpe *bpe;
    CHECK_OK(ego_bpe_load("tests/unit/data/bpe", &bpe));
    size_t count = ego_bpe_count(bpe);
    ego_bpe_free(bpe);
    char word[64];
    snprintf(word, sizeof word, "model.vocab=%zu", count - 1);
    refuse("data.tokenizer", "tests/unit/data/bpe", word, EGO_EMODEL, "tokens, model.vocab is");
    refuse("data.tokenizer", in_folder("nowhere"), NULL, EGO_EIO, "nowhere");

    ego_train_config config;
    ego_initial initial;
    start(&config);
    set(&config, "data.tokenizer", "tests/unit/data/bpe");
    CHECK_OK(ego_initialise(&config, pool, &initial));
    CHECK(initial.tokenizers == 2 && ego_bpe_count(initial.model->bpe) == count);
    CHECK_STR(initial.tokenizer[0].name, "tokenizer.vocab");
    CHECK_STR(initial.tokenizer[1].name, "tokenizer.merges");
    ego_map file;
    CHECK_OK(ego_map_open("tests/unit/data/bpe/merges.txt", &file));
    CHECK(initial.tokenizer[1].tensor.shape[0] == (int64_t)file.size &&
          memcmp(initial.tokenizer[1].tensor.data, file.data, file.size) == 0);
    ego_map_close(&file);
    ego_initial_release(&initial, NULL);
    ego_train_config_release(&config);
}

/* An official checkpoint: a .pth with a sidecar. */
static void test_official(void) {
    const char *shared = getenv("EGO_SHARED") ? getenv("EGO_SHARED") : "../shared";
    char path[512];
    snprintf(path, sizeof path, "%s/golden/tiny/checkpoint.pth", shared);
    if (access(path, R_OK) != 0) {
        printf("left out: no %s (set EGO_SHARED)\n", path);
        return;
    }
    ego_train_config config;
    ego_initial initial;
    ego_model *opened;
    CHECK_OK(ego_model_open(path, NULL, &opened));
    if (CHECK_OK(from_file(path, NULL, &config, &initial))) {
        check_same(&initial, opened);
        CHECK(config.model.heads == 4);
    }
    ego_initial_release(&initial, NULL);
    ego_model_close(opened, NULL);
    ego_train_config_release(&config);
}

int main(void) {
    CHECK(mkdtemp(folder) != NULL);
    CHECK_OK(ego_pool_new(2, &pool));
    ego_train_config config;
    start(&config);
    ego_model *donor = new_donor(&config.model);
    test_nothing();
    test_gates();
    test_fused_as_dual();
    test_positions();
    test_encoders(donor);
    test_faults(donor);
    test_from(donor);
    test_from_partly();
    test_tokenizer();
    test_official();
    ego_model_close(donor, NULL);
    ego_train_config_release(&config);
    static const char *const made[] = {"text", "video", "bad", "from", "dual"};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) unlink(in_folder(made[i]));
    CHECK(rmdir(folder) == 0);
    ego_pool_free(pool);
    return check_done();
}
