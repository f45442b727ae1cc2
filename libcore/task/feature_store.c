#include "task/feature_store.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/json.h"
#include "format/safetensors.h"
#include "format/weights.h"

#include <stdlib.h>
#include <string.h>

#define TENSOR "features"
#define META_KEY "ego.features"
#define META_GRID "ego.grid"

enum { HASH_DIGITS = 32 };

static void add_string(ego_buf *json, const char *key, const char *value) {
    if (!value) return;
    ego_buf_json_key(json, key);
    ego_buf_json_string(json, value, strlen(value));
}

static void add_number(ego_buf *json, const char *key, double value) {
    ego_buf_json_key(json, key);
    ego_buf_json_double(json, value);
}

static ego_err describe(const ego_feature_key *key, ego_buf *json) {
    ego_buf_char(json, '{');
    add_string(json, "kind", key->kind);
    add_string(json, "model", key->model);
    if (key->config) {
        ego_buf_json_key(json, "config");
        ego_buf_text(json, key->config);
    }
    add_string(json, "sampling", key->sampling);
    if (key->max_tokens) add_number(json, "max_tokens", (double)key->max_tokens);
    if (key->part) {
        add_string(json, "video", key->part->video);
        add_number(json, "start", key->part->start);
        add_number(json, "end", key->part->end);
    }
    add_string(json, "text", key->text);
    ego_buf_char(json, '}');
    return ego_buf_err(json);
}

/* STORE/KIND, and the file in it. */
static ego_err name_file(const char *store, const ego_feature_key *key, const ego_buf *json,
                         ego_buf *folder, ego_buf *path) {
    ego_sha256 *hash;
    char hex[65];
    EGO_TRY(ego_sha256_new(&hash));
    ego_sha256_update(hash, json->data, json->len);
    ego_sha256_finish(hash, hex);
    ego_buf_printf(folder, "%s/%s", store, key->kind);
    ego_buf_printf(path, "%s/%s/%.*s.safetensors", store, key->kind, HASH_DIGITS, hex);
    EGO_TRY(ego_buf_err(folder));
    return ego_buf_err(path);
}

/* A key's JSON, folder and file. */
typedef struct place {
    ego_buf json, folder, path;
} place;

static ego_err find(const char *store, const ego_feature_key *key, place *p) {
    EGO_TRY(describe(key, &p->json));
    return name_file(store, key, &p->json, &p->folder, &p->path);
}

static void release(place *p) {
    ego_buf_release(&p->json);
    ego_buf_release(&p->folder);
    ego_buf_release(&p->path);
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool read_grid(const char *text, ego_clip_grid *grid) {
    ego_json *json;
    ego_clip_grid g = {0};
    if (!text || ego_json_parse(text, strlen(text), &json) != EGO_OK) return false;
    bool good = ego_json_number(ego_json_get(json, "start"), &g.start) &&
                ego_json_number(ego_json_get(json, "end"), &g.end) &&
                ego_json_number(ego_json_get(json, "step"), &g.step) &&
                ego_json_integer(ego_json_get(json, "count"), &g.count);
    ego_json_free(json);
    if (good && g.start < g.end && g.step > 0 && g.count > 0)
        *grid = g;
    else
        good = false;
    return good;
}

/* Whether the file is what was asked for, and whole. */
static const ego_tensor *check(const ego_weights *file, const place *p, ego_clip_grid *grid) {
    const char *says = ego_weights_metadata(file, META_KEY);
    const ego_tensor *t = ego_weights_find(file, TENSOR);
    if (!says || strcmp(says, p->json.data) != 0 || !t || t->dtype != EGO_F32) return NULL;
    if (t->ndim < 1 || t->ndim > 2 || t->shape[0] < 1) return NULL;
    if (!grid) return t;
    return read_grid(ego_weights_metadata(file, META_GRID), grid) && grid->count == t->shape[0]
               ? t
               : NULL;
}

static ego_err copy(const ego_tensor *from, ego_arena *arena, ego_tensor *to) {
    size_t bytes;
    if (!ego_shape_bytes(from->shape, from->ndim, from->dtype, &bytes)) return EGO_OK;
    void *data = ego_arena_alloc(arena, bytes);
    if (!data) return ego_fail(EGO_ENOMEM, "out of memory for features");
    memcpy(data, from->data, bytes);
    *to = *from;
    to->data = data;
    return EGO_OK;
}

ego_err ego_features_load(const char *store, const ego_feature_key *key, ego_arena *arena,
                          ego_tensor *features, ego_clip_grid *grid) {
    place p = {{0}, {0}, {0}};
    ego_weights *file = NULL;
    *features = (ego_tensor){0};
    ego_err err = find(store, key, &p);
    if (err == EGO_OK && ego_weights_open(p.path.data, &file) == EGO_OK) {
        const ego_tensor *t = check(file, &p, grid);
        if (t) err = copy(t, arena, features);
    }
    ego_weights_close(file);
    release(&p);
    return err;
}

/* ---- writing --------------------------------------------------------------------------------- */

static ego_err write_grid(const ego_clip_grid *grid, ego_buf *json) {
    ego_buf_char(json, '{');
    add_number(json, "start", grid->start);
    add_number(json, "end", grid->end);
    add_number(json, "step", grid->step);
    add_number(json, "count", (double)grid->count);
    ego_buf_char(json, '}');
    return ego_buf_err(json);
}

ego_err ego_features_save(const char *store, const ego_feature_key *key, const ego_tensor *features,
                          const ego_clip_grid *grid) {
    place p = {{0}, {0}, {0}};
    ego_buf grid_json = {0};
    ego_err err = find(store, key, &p);
    if (err == EGO_OK && grid) err = write_grid(grid, &grid_json);
    if (err == EGO_OK) err = ego_make_directory(p.folder.data);
    if (err == EGO_OK) {
        ego_metadata metadata[2] = {{META_KEY, p.json.data}, {META_GRID, grid_json.data}};
        ego_named_tensor tensor = {TENSOR, *features};
        err = ego_safetensors_write(p.path.data, &tensor, 1, metadata, grid ? 2 : 1, NULL, NULL);
    }
    ego_buf_release(&grid_json);
    release(&p);
    return err;
}
