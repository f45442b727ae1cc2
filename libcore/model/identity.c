#include "model/identity.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "model/model.h"
#include "tensor/panel.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool ego_weights_panelled(const ego_weights *weights) {
    const char *layout = ego_weights_metadata(weights, EGO_META_LAYOUT);
    return layout && strcmp(layout, "panel16") == 0;
}

bool ego_is_weight(const char *name) {
    return strncmp(name, "tokenizer.", 10) != 0 && strncmp(name, "optim.", 6) != 0;
}

void ego_identity_add(ego_sha256 *hash, const char *name, const ego_tensor *t) {
    char text[EGO_SHAPE_TEXT];
    ego_sha256_update(hash, name, strlen(name) + 1);
    ego_sha256_update(hash, ego_dtype_name(t->dtype), strlen(ego_dtype_name(t->dtype)) + 1);
    ego_shape_text(t->shape, t->ndim, text);
    ego_sha256_update(hash, text, strlen(text) + 1);
    ego_sha256_update(hash, t->data, (size_t)ego_tensor_count(t) * ego_dtype_bytes(t->dtype));
}

/* The true shapes of a file's panelled weights: entry i is that of tensor i, ndim 0 where it is plain. */
typedef struct lookup {
    const ego_weights *weights;
    ego_tensor *shapes;
    size_t count;
} lookup;

static ego_err note_product(void *context, const ego_param_spec *spec) {
    lookup *l = context;
    for (size_t i = 0; spec->product && i < l->count; i++)
        if (strcmp(ego_weights_name(l->weights, i), spec->name) == 0) {
            l->shapes[i] = (ego_tensor){.dtype = EGO_F32, .ndim = spec->ndim};
            memcpy(l->shapes[i].shape, spec->shape, sizeof spec->shape);
            break;
        }
    return EGO_OK;
}

static ego_err add_panelled(ego_sha256 *hash, const char *name, const ego_tensor *panels,
                            ego_tensor plain) {
    int64_t outputs = plain.shape[0], inputs = outputs ? ego_tensor_count(&plain) / outputs : 0;
    if (ego_tensor_count(panels) != ego_panel_count(outputs) * inputs * EGO_PANEL ||
        panels->dtype != EGO_F32)
        return ego_fail(EGO_EMODEL, "'%s' is not in the panels its configuration tells", name);
    plain.data = malloc((size_t)(outputs * inputs + 1) * sizeof(float));
    if (!plain.data) return ego_fail(EGO_ENOMEM, "out of memory for '%s'", name);
    ego_panel_unpack(panels->data, outputs, inputs, plain.data);
    ego_identity_add(hash, name, &plain);
    free(plain.data);
    return EGO_OK;
}

ego_err ego_weights_id(const ego_weights *weights, const ego_config *config, char id[65]) {
    ego_sha256 *hash = NULL;
    ego_err err = EGO_OK;
    ego_arena arena;
    ego_arena_init(&arena, 0);
    lookup l = {weights, NULL, ego_weights_count(weights)};
    if (!(l.shapes = calloc(l.count + 1, sizeof *l.shapes)))
        EGO_TRY_OUT(ego_fail(EGO_ENOMEM, "out of memory"));
    if (ego_weights_panelled(weights)) {
        ego_params *walked;
        EGO_TRY_OUT(ego_params_new(config, &arena, &walked));
        EGO_TRY_OUT(ego_params_visit(config, walked, note_product, &l));
    }
    EGO_TRY_OUT(ego_sha256_new(&hash));
    for (size_t i = 0; i < l.count && err == EGO_OK; i++) {
        const char *name = ego_weights_name(weights, i);
        const ego_tensor *t = ego_weights_tensor(weights, i);
        if (!ego_is_weight(name)) continue;
        if (l.shapes[i].ndim)
            err = add_panelled(hash, name, t, l.shapes[i]);
        else
            ego_identity_add(hash, name, t);
    }
    if (err == EGO_OK) {
        ego_sha256_finish(hash, id);
        hash = NULL;
    }
out:
    ego_sha256_free(hash);
    free(l.shapes);
    ego_arena_release(&arena);
    return err;
}

/* ---- the cache ------------------------------------------------------------------------------------------- */

/* DIR/ego/id-<hash of path, size and time>; false when there is nowhere to keep it. */
static bool cache_path(const char *path, ego_buf *out) {
    struct stat st;
    char *whole = realpath(path, NULL);
    if (!whole || stat(path, &st) != 0) return free(whole), false;
    ego_buf key = {0};
    ego_buf_printf(&key, "%s %lld %lld.%09ld", whole, (long long)st.st_size,
                   (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    free(whole);
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/')
        ego_buf_printf(out, "%s/ego", cache);
    else if (home && home[0] == '/')
        ego_buf_printf(out, "%s/.cache/ego", home);
    bool found = out->len > 0 && !key.failed && !out->failed &&
                 ego_make_directory(out->data) == EGO_OK;
    if (found) ego_buf_printf(out, "/id-%016llx", (unsigned long long)ego_fnv1a(key.data));
    ego_buf_release(&key);
    return found && !out->failed;
}

static bool is_id(const char *text, size_t n) {
    if (n < 64) return false;
    for (int i = 0; i < 64; i++)
        if (!strchr("0123456789abcdef", text[i]) || !text[i]) return false;
    return true;
}

ego_err ego_weights_id_cached(const ego_weights *weights, const ego_config *config, char id[65]) {
    ego_buf path = {0}, text = {0};
    bool keep = cache_path(ego_weights_path(weights), &path);
    if (keep && ego_read_file(path.data, 4096, &text) == EGO_OK && is_id(text.data, text.len)) {
        memcpy(id, text.data, 64);
        id[64] = 0;
        ego_buf_release(&path);
        ego_buf_release(&text);
        return EGO_OK;
    }
    ego_err err = ego_weights_id(weights, config, id);
    if (err == EGO_OK && keep) (void)ego_write_file(path.data, id, 64);
    ego_buf_release(&path);
    ego_buf_release(&text);
    return err;
}
