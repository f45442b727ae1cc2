/* Learning-rate groups and decay: every parameter of the full-size model against a table that was
 * written by hand from what the parameters are, not from substrings. */
#include "check.h"

#include "model/trainable.h"
#include "recipe/groups.h"

#define B EGO_GROUP_BASE
#define H EGO_GROUP_HEAD
#define C EGO_GROUP_CROSS

enum { ALL = 12, FUSED = 6 };

/* '#' is the number of a layer. */
static const struct {
    const char *name;
    ego_group group;
    bool decay;
    int count;
} table[] = {
    /* the fused path's own, of the base */
    {"cls_token", B, true, 1},
    {"norm.weight", B, false, 1},
    {"norm.bias", B, false, 1},
    /* text */
    {"text_model.embeddings.word_embeddings.weight", B, true, 1},
    {"text_model.embeddings.position_embeddings.weight", B, true, 1},
    {"text_model.embeddings.token_type_embeddings.weight", B, true, 1},
    {"text_model.embeddings.LayerNorm.weight", B, false, 1},
    {"text_model.embeddings.LayerNorm.bias", B, false, 1},
    {"text_model.encoder.layer.#.attention.self.query.weight", B, true, ALL},
    {"text_model.encoder.layer.#.attention.self.query.bias", B, false, ALL},
    {"text_model.encoder.layer.#.attention.self.key.weight", B, true, ALL},
    {"text_model.encoder.layer.#.attention.self.key.bias", B, false, ALL},
    {"text_model.encoder.layer.#.attention.self.value.weight", B, true, ALL},
    {"text_model.encoder.layer.#.attention.self.value.bias", B, false, ALL},
    {"text_model.encoder.layer.#.attention.output.dense.weight", B, true, ALL},
    {"text_model.encoder.layer.#.attention.output.dense.bias", B, false, ALL},
    {"text_model.encoder.layer.#.attention.output.LayerNorm.weight", B, false, ALL},
    {"text_model.encoder.layer.#.attention.output.LayerNorm.bias", B, false, ALL},
    {"text_model.encoder.layer.#.intermediate.dense.weight", B, true, ALL},
    {"text_model.encoder.layer.#.intermediate.dense.bias", B, false, ALL},
    {"text_model.encoder.layer.#.output.dense.weight", B, true, ALL},
    {"text_model.encoder.layer.#.output.dense.bias", B, false, ALL},
    {"text_model.encoder.layer.#.output.LayerNorm.weight", B, false, ALL},
    {"text_model.encoder.layer.#.output.LayerNorm.bias", B, false, ALL},
    {"text_model.encoder.layer.#.alpha_t2i", C, true, FUSED},
    {"text_model.encoder.layer.#.crossattention_t2i.self.query.weight", C, true, FUSED},
    {"text_model.encoder.layer.#.crossattention_t2i.self.query.bias", C, false, FUSED},
    {"text_model.encoder.layer.#.crossattention_t2i.self.key.weight", C, true, FUSED},
    {"text_model.encoder.layer.#.crossattention_t2i.self.key.bias", C, false, FUSED},
    {"text_model.encoder.layer.#.crossattention_t2i.self.value.weight", C, true, FUSED},
    {"text_model.encoder.layer.#.crossattention_t2i.self.value.bias", C, false, FUSED},
    {"text_model.encoder.layer.#.crossattention_t2i.output.dense.weight", C, true, FUSED},
    {"text_model.encoder.layer.#.crossattention_t2i.output.dense.bias", C, false, FUSED},
    /* video */
    {"video_model.cls_token", B, true, 1},
    {"video_model.pos_embed", B, true, 1},
    {"video_model.temporal_embed", B, true, 1},
    {"video_model.patch_embed.proj.weight", B, true, 1},
    {"video_model.patch_embed.proj.bias", B, false, 1},
    {"video_model.norm.weight", B, false, 1},
    {"video_model.norm.bias", B, false, 1},
    {"video_model.blocks.#.norm1.weight", B, false, ALL},
    {"video_model.blocks.#.norm1.bias", B, false, ALL},
    {"video_model.blocks.#.norm2.weight", B, false, ALL},
    {"video_model.blocks.#.norm2.bias", B, false, ALL},
    {"video_model.blocks.#.norm3.weight", B, true, ALL}, /* the published lists miss it */
    {"video_model.blocks.#.norm3.bias", B, false, ALL},
    {"video_model.blocks.#.attn.qkv.weight", B, true, ALL},
    {"video_model.blocks.#.attn.qkv.bias", B, false, ALL},
    {"video_model.blocks.#.attn.proj.weight", B, true, ALL},
    {"video_model.blocks.#.attn.proj.bias", B, false, ALL},
    {"video_model.blocks.#.timeattn.qkv.weight", B, true, ALL},
    {"video_model.blocks.#.timeattn.qkv.bias", B, false, ALL},
    {"video_model.blocks.#.timeattn.proj.weight", B, true, ALL},
    {"video_model.blocks.#.timeattn.proj.bias", B, false, ALL},
    {"video_model.blocks.#.mlp.fc1.weight", B, true, ALL},
    {"video_model.blocks.#.mlp.fc1.bias", B, false, ALL},
    {"video_model.blocks.#.mlp.fc2.weight", B, true, ALL},
    {"video_model.blocks.#.mlp.fc2.bias", B, false, ALL},
    {"video_model.blocks.#.attn.alpha_i2t", C, true, FUSED},
    {"video_model.blocks.#.attn.qkv_text_i2t.weight", C, true, FUSED},
    {"video_model.blocks.#.attn.qkv_text_i2t.bias", C, false, FUSED},
    {"video_model.blocks.#.attn.qkv_i2t.weight", C, true, FUSED},
    {"video_model.blocks.#.attn.qkv_i2t.bias", C, false, FUSED},
    {"video_model.blocks.#.attn.proj_i2t.weight", C, true, FUSED},
    {"video_model.blocks.#.attn.proj_i2t.bias", C, false, FUSED},
    {"video_model.blocks.#.attn.norm_i2t_i.weight", C, true, FUSED}, /* likewise */
    {"video_model.blocks.#.attn.norm_i2t_i.bias", C, false, FUSED},
    /* heads */
    {"txt_proj.0.weight", H, true, 1},
    {"txt_proj.2.weight", H, true, 1},
    {"txt_proj.2.bias", H, false, 1},
    {"txt_proj.4.weight", H, true, 1},
    {"txt_proj.4.bias", H, false, 1},
    {"vid_proj.0.weight", H, true, 1},
    {"vid_proj.2.weight", H, true, 1},
    {"vid_proj.2.bias", H, false, 1},
    {"vid_proj.4.weight", H, true, 1},
    {"vid_proj.4.bias", H, false, 1},
    {"mlm_score.bias", H, false, 1},
    {"mlm_score.transform.dense.weight", H, true, 1},
    {"mlm_score.transform.dense.bias", H, false, 1},
    {"mlm_score.transform.LayerNorm.weight", H, false, 1},
    {"mlm_score.transform.LayerNorm.bias", H, false, 1},
    {"mlm_score.decoder.weight", H, true, 1},
    {"itm_score.fc.weight", H, true, 1},
    {"itm_score.fc.bias", H, false, 1},
    /* between the two */
    {"cross_modal_text_transform.weight", C, true, 1},
    {"cross_modal_text_transform.bias", C, false, 1},
    {"cross_modal_video_transform.weight", C, true, 1},
    {"cross_modal_video_transform.bias", C, false, 1},
    {"cross_modal_text_pooler.dense.weight", C, true, 1},
    {"cross_modal_text_pooler.dense.bias", C, false, 1},
    {"cross_modal_video_pooler.dense.weight", C, true, 1},
    {"cross_modal_video_pooler.dense.bias", C, false, 1},
};
enum { ROWS = sizeof table / sizeof table[0] };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool matches(const char *pattern, const char *name) {
    while (*pattern && *name) {
        if (*pattern == '#') {
            if (!is_digit(*name)) return false;
            while (is_digit(*name)) name++;
            pattern++;
        } else if (*pattern++ != *name++) {
            return false;
        }
    }
    return *pattern == *name;
}

static int seen[ROWS];

static ego_err check_one(void *context, const ego_param_spec *spec) {
    size_t *parameters = context;
    bool decay;
    ego_group group = ego_group_of(spec->name, &decay);
    size_t row = 0;
    while (row < ROWS && !matches(table[row].name, spec->name)) row++;
    ++*parameters;
    if (row == ROWS) {
        CHECK(!"every parameter is in the table");
        fprintf(stderr, "    %s is not\n", spec->name);
        return EGO_OK;
    }
    seen[row]++;
    if (!CHECK(group == table[row].group && decay == table[row].decay))
        fprintf(stderr, "    %s: group %d, decay %d\n", spec->name, (int)group, (int)decay);
    return EGO_OK;
}

static void test_names(void) {
    ego_config full = ego_config_default();
    ego_arena arena;
    ego_params *params;
    size_t parameters = 0, expected = 0;
    ego_arena_init(&arena, 0);
    CHECK_OK(ego_params_new(&full, &arena, &params));
    CHECK_OK(ego_params_visit(&full, params, check_one, &parameters));
    for (size_t i = 0; i < ROWS; i++) {
        if (!CHECK(seen[i] == table[i].count))
            fprintf(stderr, "    %s: %d times\n", table[i].name, seen[i]);
        expected += (size_t)table[i].count;
    }
    CHECK(parameters == expected);
    ego_arena_release(&arena);
}

static ego_config tiny(void) {
    ego_config c = ego_config_default();
    c.dim = 8, c.heads = 2, c.depth = 2, c.patch = 8, c.image_size = 16, c.frames = 2;
    c.vocab = 20, c.max_positions = 10, c.fuse_layers = 1;
    for (int i = 0; i < 3; i++) c.projection[i] = 8;
    return c;
}

static ego_err next_name(void *context, const ego_param_spec *spec) {
    ego_trained **at = context;
    if (!spec->param->grad) return EGO_OK;
    CHECK_STR((*at)->name, spec->name);
    CHECK((*at)->value == spec->param->value.data && (*at)->grad == spec->param->grad);
    CHECK((*at)->count == ego_tensor_count(&spec->param->value));
    ++*at;
    return EGO_OK;
}

static void test_list(bool learned) {
    ego_pool *pool;
    ego_backend *backend;
    ego_model *model;
    ego_config config = tiny();
    config.gate = (ego_gate){learned, 1};
    CHECK_OK(ego_pool_new(1, &pool));
    CHECK_OK(ego_cpu_backend_new(pool, &backend));
    CHECK_OK(ego_model_create(&config, EGO_START_PAPER, 1, pool, &model));
    ego_trained *list;
    size_t count, part, gates = 0;
    /* Nothing is trainable yet. */
    CHECK_ERR(EGO_EINPUT, ego_trained_list(model, 1, 4, 3, &list, &count));
    CHECK_OK(ego_model_make_trainable(model, backend));
    CHECK_OK(ego_trained_list(model, 0.5, 4, 3, &list, &count));
    ego_trained *at = list;
    CHECK_OK(ego_params_visit(&model->config, model->params, next_name, &at));
    CHECK(at == list + count);
    for (size_t i = 0; i < count; i++) {
        bool decay;
        ego_group group = ego_group_of(list[i].name, &decay);
        CHECK(list[i].decay == decay);
        CHECK(list[i].lr_scale == (group == B ? 0.5 : group == H ? 4 : 3));
        gates += strstr(list[i].name, "alpha") != NULL;
    }
    CHECK(gates == (learned ? 2 : 0)); /* a gate set by configuration is no parameter */
    free(list);
    ego_model_close(model, backend);

    /* The dual encoder left as it is: heads without the dual projections, and what the streams exchange. */
    CHECK_OK(ego_model_create(&config, EGO_START_PAPER, 1, pool, &model));
    CHECK_OK(ego_model_make_partly_trainable(model, backend, ego_param_beside_encoders));
    CHECK_OK(ego_trained_list(model, 0, 4, 3, &list, &part));
    for (size_t i = 0; i < part; i++) {
        CHECK(list[i].lr_scale == 4 || list[i].lr_scale == 3);
        CHECK(!strstr(list[i].name, "txt_proj") && !strstr(list[i].name, "vid_proj"));
        gates -= strstr(list[i].name, "alpha") != NULL;
    }
    CHECK(part > 0 && part < count && gates == 0);
    free(list);
    ego_model_close(model, backend);
    ego_backend_free(backend);
    ego_pool_free(pool);
}

int main(void) {
    test_names();
    test_list(true);
    test_list(false);
    return check_done();
}
