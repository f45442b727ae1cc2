#include "model/config.h"

#include "base/options.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

ego_config ego_config_default(void) {
    return (ego_config){.dim = 768,
                        .heads = 12,
                        .depth = 12,
                        .mlp_ratio = 4,
                        .patch = 16,
                        .image_size = 224,
                        .frames = 4,
                        .vocab = 50265,
                        .max_positions = 514,
                        .fusion = EGO_FUSION_BACKBONE,
                        .fuse_layers = 6,
                        .gate = {.learned = true},
                        .ensemble = 1,
                        .projections = 3,
                        .projection = {4096, 4096, 4096}};
}

/* ---- the keys ------------------------------------------------------------------------------------- */

static const struct whole_key {
    const char *name;
    size_t offset;
    int64_t least, most;
} whole_keys[] = {
    {"dim", offsetof(ego_config, dim), 1, 1 << 16},
    {"heads", offsetof(ego_config, heads), 1, 1 << 12},
    {"depth", offsetof(ego_config, depth), 1, 1 << 10},
    {"mlp_ratio", offsetof(ego_config, mlp_ratio), 1, 64},
    {"patch", offsetof(ego_config, patch), 1, 1 << 10},
    {"image_size", offsetof(ego_config, image_size), 1, 1 << 13},
    {"frames", offsetof(ego_config, frames), 1, 1 << 12},
    {"vocab", offsetof(ego_config, vocab), 4, 1 << 24},
    {"max_positions", offsetof(ego_config, max_positions), 3, 1 << 20},
    {"fuse_layers", offsetof(ego_config, fuse_layers), 0, 1 << 10},
};
enum { WHOLE_KEYS = sizeof whole_keys / sizeof whole_keys[0] };
_Static_assert(WHOLE_KEYS + 4 == EGO_CONFIG_KEYS, "fusion, gate, ensemble and projection are not whole numbers");

static int64_t *whole_value(const struct whole_key *key, ego_config *config) {
    return (int64_t *)(void *)((char *)config + key->offset);
}

static ego_err wrong(const char *key, const char *expected, const ego_json *found) {
    return ego_fail(EGO_EINPUT, "configuration: model%s%s: expected %s, found %s",
                    *key ? "." : "", key, expected, ego_json_kind(found));
}

static const char *const fusions[] = {
    [EGO_FUSION_NONE] = "none",
    [EGO_FUSION_BACKBONE] = "backbone",
    [EGO_FUSION_STACKED] = "stacked",
    [EGO_FUSION_FILM] = "film",
};

static ego_err read_fusion(const ego_json *value, ego_config *config) {
    const char *word;
    if (!ego_json_string(value, &word)) return wrong("fusion", "a word", value);
    for (int i = EGO_FUSION_NONE; i <= EGO_FUSION_FILM; i++)
        if (strcmp(word, fusions[i]) == 0) return config->fusion = (ego_fusion)i, EGO_OK;
    return ego_fail(EGO_EINPUT,
                    "configuration: model.fusion: expected backbone, stacked, film or none, found '%s'",
                    word);
}

static ego_err read_gate(const ego_json *value, ego_config *config) {
    const char *word = NULL;
    double number;
    if (ego_json_number(value, &number)) {
        config->gate = (ego_gate){false, (float)number};
        return EGO_OK;
    }
    if (!ego_json_string(value, &word)) return wrong("gate", "learned, zero, one or a number", value);
    if (strcmp(word, "learned") == 0) return config->gate = (ego_gate){true, 0}, EGO_OK;
    if (strcmp(word, "zero") == 0) return config->gate = (ego_gate){false, 0}, EGO_OK;
    if (strcmp(word, "one") == 0) return config->gate = (ego_gate){false, 1}, EGO_OK;
    return ego_fail(EGO_EINPUT,
                    "configuration: model.gate: expected learned, zero, one or a number, found '%s'", word);
}

static ego_err read_ensemble(const ego_json *value, ego_config *config) {
    double number;
    if (!ego_json_number(value, &number)) return wrong("ensemble", "a number", value);
    config->ensemble = (float)number;
    return EGO_OK;
}

static ego_err read_projection(const ego_json *value, ego_config *config) {
    size_t n = ego_json_count(value);
    if (!ego_json_is_array(value) || (n != 1 && n != 3))
        return wrong("projection", "one or three widths", value);
    config->projections = (int64_t)n;
    size_t i = 0;
    for (const ego_json *x = ego_json_first(value); x; x = ego_json_next(x))
        if (!ego_json_integer(x, &config->projection[i++])) return wrong("projection", "widths", x);
    return EGO_OK;
}

static ego_err read_key(const char *key, const ego_json *value, ego_config *config) {
    for (size_t i = 0; i < WHOLE_KEYS; i++)
        if (strcmp(key, whole_keys[i].name) == 0)
            return ego_json_integer(value, whole_value(&whole_keys[i], config))
                       ? EGO_OK
                       : wrong(key, "a whole number", value);
    if (strcmp(key, "fusion") == 0) return read_fusion(value, config);
    if (strcmp(key, "gate") == 0) return read_gate(value, config);
    if (strcmp(key, "ensemble") == 0) return read_ensemble(value, config);
    if (strcmp(key, "projection") == 0) return read_projection(value, config);
    return ego_fail(EGO_EINPUT, "configuration: unknown key 'model.%s'", key);
}

ego_err ego_config_read(const ego_json *object, ego_config *config) {
    if (!ego_json_is_object(object)) return wrong("", "an object", object);
    for (const ego_json *x = ego_json_first(object); x; x = ego_json_next(x))
        EGO_TRY(read_key(ego_json_key(x), x, config));
    return EGO_OK;
}

ego_err ego_config_read_file(const char *path, ego_config *config) {
    enum { LIMIT = 1 << 20 };
    ego_json *root;
    EGO_TRY(ego_json_read(path, LIMIT, &root));
    const ego_json *model = ego_json_get(root, "model");
    ego_err err = ego_config_read(model ? model : root, config);
    ego_json_free(root);
    return err == EGO_OK ? EGO_OK : ego_fail_context(err, "%s", path);
}

ego_err ego_config_set(ego_config *config, const char *key, const char *value) {
    if (strncmp(key, "model.", 6) == 0) key += 6;
    ego_json *node;
    EGO_TRY(ego_json_parse_word(value, &node));
    ego_err err = read_key(key, node, config);
    ego_json_free(node);
    return err;
}

ego_err ego_config_override(ego_config *config, const char *word) {
    char key[64];
    const char *value;
    EGO_TRY(ego_split_setting(word, key, sizeof key, &value));
    return ego_config_set(config, key, value);
}

ego_err ego_config_take(ego_config *config, const char *key, const ego_config *from) {
    ego_config copy = *from;
    for (size_t i = 0; i < WHOLE_KEYS; i++)
        if (strcmp(key, whole_keys[i].name) == 0)
            return *whole_value(&whole_keys[i], config) = *whole_value(&whole_keys[i], &copy), EGO_OK;
    if (strcmp(key, "fusion") == 0) return config->fusion = from->fusion, EGO_OK;
    if (strcmp(key, "gate") == 0) return config->gate = from->gate, EGO_OK;
    if (strcmp(key, "ensemble") == 0) return config->ensemble = from->ensemble, EGO_OK;
    if (strcmp(key, "projection") != 0)
        return ego_fail(EGO_EINPUT, "configuration: unknown key 'model.%s'", key);
    config->projections = from->projections;
    memcpy(config->projection, from->projection, sizeof config->projection);
    return EGO_OK;
}

void ego_config_write(const ego_config *config, ego_buf *out) {
    ego_buf_char(out, '{');
    for (size_t i = 0; i < WHOLE_KEYS; i++) {
        ego_config copy = *config;
        ego_buf_json_key(out, whole_keys[i].name);
        ego_buf_printf(out, "%lld", (long long)*whole_value(&whole_keys[i], &copy));
    }
    ego_buf_json_key(out, "fusion");
    ego_buf_printf(out, "\"%s\"", fusions[config->fusion]);
    ego_buf_json_key(out, "gate");
    if (config->gate.learned)
        ego_buf_text(out, "\"learned\"");
    else
        ego_buf_json_float(out, config->gate.value);
    if (config->ensemble != 1) { /* the published sum goes without saying */
        ego_buf_json_key(out, "ensemble");
        ego_buf_json_float(out, config->ensemble);
    }
    ego_buf_json_key(out, "projection");
    ego_buf_char(out, '[');
    for (int64_t i = 0; i < config->projections; i++)
        ego_buf_printf(out, "%s%lld", i ? "," : "", (long long)config->projection[i]);
    ego_buf_text(out, "]}");
}

ego_err ego_config_check(const ego_config *config) {
    for (size_t i = 0; i < WHOLE_KEYS; i++) {
        const struct whole_key *key = &whole_keys[i];
        ego_config copy = *config;
        int64_t value = *whole_value(key, &copy);
        if (value < key->least || value > key->most)
            return ego_fail(EGO_EINPUT, "configuration: model.%s: expected %lld to %lld, found %lld",
                            key->name, (long long)key->least, (long long)key->most,
                            (long long)value);
    }
    for (int64_t i = 0; i < config->projections; i++)
        if (config->projection[i] < 1 || config->projection[i] > 1 << 16)
            return ego_fail(EGO_EINPUT, "configuration: model.projection: expected 1 to 65536, found %lld",
                            (long long)config->projection[i]);
    if (config->dim % config->heads)
        return ego_fail(EGO_EINPUT, "configuration: model.dim %lld does not divide by heads %lld",
                        (long long)config->dim, (long long)config->heads);
    if (config->image_size % config->patch)
        return ego_fail(EGO_EINPUT, "configuration: model.image_size %lld does not divide by patch %lld",
                        (long long)config->image_size, (long long)config->patch);
    if (config->fuse_layers > config->depth)
        return ego_fail(EGO_EINPUT, "configuration: model.fuse_layers %lld is more than depth %lld",
                        (long long)config->fuse_layers, (long long)config->depth);
    if (!isfinite(config->gate.value))
        return ego_fail(EGO_EINPUT, "configuration: model.gate is not a finite number");
    if (!(config->ensemble >= 0 && config->ensemble <= 1000))
        return ego_fail(EGO_EINPUT, "configuration: model.ensemble: expected 0 to 1000, found %g",
                        (double)config->ensemble);
    if ((config->fusion == EGO_FUSION_STACKED || config->fusion == EGO_FUSION_FILM) &&
        !config->gate.learned)
        return ego_fail(EGO_EINPUT,
                        "configuration: model.gate: expected learned, for %s fusion has no gates, "
                        "found %g",
                        fusions[config->fusion], (double)config->gate.value);
    return EGO_OK;
}

/* ---- from tensors ----------------------------------------------------------------------------------- */

static const ego_tensor *find_block(const ego_weights *weights, const char *format, int64_t i) {
    char name[128];
    snprintf(name, sizeof name, format, (int)i);
    return ego_weights_find(weights, name);
}

static ego_err need(const ego_weights *weights, const char *name, int ndim, const ego_tensor **out) {
    const ego_tensor *t = ego_weights_find(weights, name);
    char shape[EGO_SHAPE_TEXT];
    if (!t)
        return ego_fail(EGO_EMODEL, "%s: not an EgoVLPv2 checkpoint: no tensor '%s'",
                        ego_weights_path(weights), name);
    if (t->ndim != ndim)
        return ego_fail(EGO_EMODEL, "%s: '%s': expected %d dimensions, found %s",
                        ego_weights_path(weights), name, ndim,
                        ego_shape_text(t->shape, t->ndim, shape));
    *out = t;
    return EGO_OK;
}

static ego_err projection_from_weights(const ego_weights *weights, ego_config *config) {
    if (ego_weights_find(weights, "txt_proj.1.weight")) {
        const ego_tensor *only;
        EGO_TRY(need(weights, "txt_proj.1.weight", 2, &only));
        config->projections = 1;
        config->projection[0] = only->shape[0];
        return EGO_OK;
    }
    config->projections = 3;
    for (int i = 0; i < 3; i++) {
        char name[32];
        const ego_tensor *w;
        snprintf(name, sizeof name, "txt_proj.%d.weight", 2 * i);
        if (i == 0 && !ego_weights_find(weights, name)) return EGO_OK; /* none: keep the default */
        EGO_TRY(need(weights, name, 2, &w));
        config->projection[i] = w->shape[0];
    }
    return EGO_OK;
}

/* Of a config that knows its depth. */
static void fusion_from_weights(const ego_weights *weights, ego_config *config) {
    static const char *const stacked = "cross_modal_stack.video.%d.attn.norm.weight",
                            *const film = "cross_modal_film.video.%d.weight";
    config->fuse_layers = 0;
    if (ego_weights_find(weights, "cross_modal_stack.text.norm.weight")) {
        config->fusion = EGO_FUSION_STACKED;
        while (find_block(weights, stacked, config->fuse_layers)) config->fuse_layers++;
        return;
    }
    while (find_block(weights, film, config->fuse_layers)) config->fuse_layers++;
    if (config->fuse_layers > 0) {
        config->fusion = EGO_FUSION_FILM;
        return;
    }
    for (int64_t i = config->depth; i-- > 0; config->fuse_layers++)
        if (!find_block(weights, "video_model.blocks.%d.attn.alpha_i2t", i)) break;
    if (config->fuse_layers == 0) config->fusion = EGO_FUSION_NONE;
}

ego_err ego_config_from_weights(const ego_weights *weights, ego_config *config) {
    const ego_tensor *patch, *pos, *temporal, *words, *positions, *hidden;
    EGO_TRY(need(weights, "video_model.patch_embed.proj.weight", 4, &patch));
    EGO_TRY(need(weights, "video_model.pos_embed", 3, &pos));
    EGO_TRY(need(weights, "video_model.temporal_embed", 3, &temporal));
    EGO_TRY(need(weights, "text_model.embeddings.word_embeddings.weight", 2, &words));
    EGO_TRY(need(weights, "text_model.embeddings.position_embeddings.weight", 2, &positions));
    EGO_TRY(need(weights, "video_model.blocks.0.mlp.fc1.weight", 2, &hidden));

    *config = ego_config_default();
    config->dim = words->shape[1];
    config->vocab = words->shape[0];
    config->max_positions = positions->shape[0];
    config->heads = config->dim / 64 > 0 ? config->dim / 64 : 1;
    config->patch = patch->shape[3];
    int64_t side = (int64_t)llround(sqrt((double)(pos->shape[1] - 1)));
    if (side < 1 || side * side != pos->shape[1] - 1)
        return ego_fail(EGO_EMODEL, "%s: video_model.pos_embed: %lld positions are no square grid",
                        ego_weights_path(weights), (long long)pos->shape[1] - 1);
    config->image_size = side * config->patch;
    config->frames = temporal->shape[1];
    config->mlp_ratio = config->dim ? hidden->shape[0] / config->dim : 0;

    config->depth = 0;
    while (find_block(weights, "video_model.blocks.%d.norm1.weight", config->depth)) config->depth++;
    fusion_from_weights(weights, config);
    EGO_TRY(projection_from_weights(weights, config));
    return ego_config_check(config);
}

int64_t ego_config_patches(const ego_config *config) {
    int64_t side = config->image_size / config->patch;
    return side * side;
}

int64_t ego_config_tokens(const ego_config *config, int64_t frames) {
    return 1 + frames * ego_config_patches(config);
}

int64_t ego_config_head_width(const ego_config *config) { return config->dim / config->heads; }

bool ego_config_fused(const ego_config *config, int64_t layer) {
    return config->fusion == EGO_FUSION_BACKBONE && layer >= config->depth - config->fuse_layers;
}
