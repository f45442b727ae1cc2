#include "train/checkpoint.h"

#include "base/arena.h"
#include "base/hash.h"
#include "base/json.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define META_TRAIN "ego.train"
#define META_SUM "ego.train.sha256"

enum { VERSION = 1 };

void ego_checkpoint_release(ego_checkpoint *checkpoint) {
    free(checkpoint->owned);
    *checkpoint = (ego_checkpoint){0};
}

/* ---- the sum ---------------------------------------------------------------------------------------- */

static void sum_text(ego_sha256 *hash, const char *text) {
    ego_sha256_update(hash, text, strlen(text) + 1);
}

static void sum_tensor(ego_sha256 *hash, const char *name, const ego_tensor *t) {
    char shape[EGO_SHAPE_TEXT];
    sum_text(hash, name);
    sum_text(hash, ego_dtype_name(t->dtype));
    sum_text(hash, ego_shape_text(t->shape, t->ndim, shape));
    ego_sha256_update(hash, t->data, (size_t)ego_tensor_count(t) * ego_dtype_bytes(t->dtype));
}

/* ---- writing ---------------------------------------------------------------------------------------- */

typedef struct writing {
    ego_arena names;
    ego_named_tensor *tensors; /* sorted by name */
    size_t tensor_count;
    ego_metadata *metadata; /* the sum last */
    size_t metadata_count;
    ego_buf train;
    char sum[65];
} writing;

static void train_text(const ego_checkpoint *c, size_t parameters, ego_buf *out) {
    const char *config = c->config ? c->config : "", *state = c->state ? c->state : "";
    ego_buf_printf(out, "{\"version\":%d,\"step\":%" PRId64 ",\"epoch\":%" PRId64, VERSION, c->step,
                   c->epoch);
    ego_buf_printf(out, ",\"validated\":%" PRId64 ",\"seed\":\"%" PRIu64 "\"", c->validated,
                   c->seed);
    ego_buf_json_key(out, "best");
    ego_buf_json_double(out, c->best);
    ego_buf_printf(out, ",\"best_step\":%" PRId64, c->best_step);
    ego_buf_json_key(out, "first_loss");
    ego_buf_json_double(out, c->first_loss);
    ego_buf_json_key(out, "recent_loss");
    ego_buf_json_double(out, c->recent_loss);
    ego_buf_printf(out, ",\"parameters\":%zu", parameters);
    ego_buf_json_key(out, "config");
    ego_buf_json_string(out, config, strlen(config));
    ego_buf_json_key(out, "state");
    ego_buf_json_string(out, state, strlen(state));
    ego_buf_char(out, '}');
}

static const char *prefixed(ego_arena *arena, const char *prefix, const char *name) {
    size_t n = strlen(prefix), m = strlen(name) + 1;
    char *text = ego_arena_alloc(arena, n + m);
    if (!text) return NULL;
    memcpy(text, prefix, n);
    memcpy(text + n, name, m);
    return text;
}

static ego_tensor as_tensor(const ego_trained *p, float *data) {
    ego_tensor t = {.data = data, .dtype = EGO_F32, .ndim = p->ndim};
    memcpy(t.shape, p->shape, sizeof t.shape);
    return t;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const ego_named_tensor *)a)->name, ((const ego_named_tensor *)b)->name);
}

static ego_err list_tensors(writing *w, const ego_optim *optim, const ego_checkpoint_extra *extra) {
    w->tensors = calloc(3 * optim->count + extra->tensor_count + 1, sizeof *w->tensors);
    if (!w->tensors) return ego_fail(EGO_ENOMEM, "out of memory for the tensor list");
    for (size_t i = 0; i < optim->count; i++) {
        const ego_trained *p = &optim->params[i];
        const char *m = prefixed(&w->names, "optim.m/", p->name);
        const char *v = prefixed(&w->names, "optim.v/", p->name);
        if (!m || !v) return ego_fail(EGO_ENOMEM, "out of memory for the tensor list");
        w->tensors[w->tensor_count++] = (ego_named_tensor){p->name, as_tensor(p, p->value)};
        w->tensors[w->tensor_count++] = (ego_named_tensor){m, as_tensor(p, p->m)};
        w->tensors[w->tensor_count++] = (ego_named_tensor){v, as_tensor(p, p->v)};
    }
    for (size_t i = 0; i < extra->tensor_count; i++)
        w->tensors[w->tensor_count++] = extra->tensors[i];
    qsort(w->tensors, w->tensor_count, sizeof *w->tensors, by_name);
    for (size_t i = 1; i < w->tensor_count; i++)
        if (strcmp(w->tensors[i - 1].name, w->tensors[i].name) == 0)
            return ego_fail(EGO_EINPUT, "two tensors are called %s", w->tensors[i].name);
    return EGO_OK;
}

static ego_err list_metadata(writing *w, const ego_checkpoint_extra *extra) {
    w->metadata = calloc(extra->metadata_count + 2, sizeof *w->metadata);
    if (!w->metadata) return ego_fail(EGO_ENOMEM, "out of memory for metadata");
    for (size_t i = 0; i < extra->metadata_count; i++)
        w->metadata[w->metadata_count++] = extra->metadata[i];
    EGO_TRY(ego_buf_err(&w->train));
    w->metadata[w->metadata_count++] = (ego_metadata){META_TRAIN, w->train.data};

    ego_sha256 *hash;
    EGO_TRY(ego_sha256_new(&hash));
    for (size_t i = 0; i < w->metadata_count; i++) {
        sum_text(hash, w->metadata[i].key);
        sum_text(hash, w->metadata[i].value);
    }
    for (size_t i = 0; i < w->tensor_count; i++)
        sum_tensor(hash, w->tensors[i].name, &w->tensors[i].tensor);
    ego_sha256_finish(hash, w->sum);
    w->metadata[w->metadata_count++] = (ego_metadata){META_SUM, w->sum};
    return EGO_OK;
}

ego_err ego_checkpoint_write(const char *path, const ego_checkpoint *checkpoint,
                             const ego_optim *optim, const ego_checkpoint_extra *extra) {
    static const ego_checkpoint_extra nothing = {0};
    if (!extra) extra = &nothing;
    writing w = {0};
    ego_arena_init(&w.names, 1 << 16);
    train_text(checkpoint, optim->count, &w.train);
    ego_err err = list_tensors(&w, optim, extra);
    if (err == EGO_OK) err = list_metadata(&w, extra);
    if (err == EGO_OK)
        err = ego_safetensors_write(path, w.tensors, w.tensor_count, w.metadata, w.metadata_count,
                                    NULL, NULL);
    ego_arena_release(&w.names);
    ego_buf_release(&w.train);
    free(w.tensors);
    free(w.metadata);
    return err;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static ego_err check_sum(const ego_weights *weights) {
    const char *path = ego_weights_path(weights), *stored = ego_weights_metadata(weights, META_SUM);
    if (!stored || !ego_weights_metadata(weights, META_TRAIN))
        return ego_fail(EGO_EFORMAT, "%s: no checkpoint of a run: " META_TRAIN " is missing", path);
    ego_sha256 *hash;
    char sum[65];
    EGO_TRY(ego_sha256_new(&hash));
    for (size_t i = 0; i < ego_weights_metadata_count(weights); i++) {
        const char *key, *value = ego_weights_metadata_at(weights, i, &key);
        if (strcmp(key, META_SUM) == 0) continue;
        sum_text(hash, key);
        sum_text(hash, value);
    }
    for (size_t i = 0; i < ego_weights_count(weights); i++)
        sum_tensor(hash, ego_weights_name(weights, i), ego_weights_tensor(weights, i));
    ego_sha256_finish(hash, sum);
    if (strcmp(sum, stored) == 0) return EGO_OK;
    return ego_fail(EGO_EFORMAT, "%s: damaged: its contents do not match their SHA-256", path);
}

/* A number, or NaN for null. */
static bool get_double(const ego_json *root, const char *key, double *value) {
    const ego_json *x = ego_json_get(root, key);
    *value = NAN;
    return ego_json_is_null(x) || ego_json_number(x, value);
}

/* The two texts copied into one allocation. */
static ego_err own_texts(ego_checkpoint *c, const char *config, const char *state) {
    size_t n = strlen(config) + 1, m = strlen(state) + 1;
    c->owned = malloc(n + m);
    if (!c->owned) return ego_fail(EGO_ENOMEM, "out of memory");
    c->config = memcpy(c->owned, config, n);
    c->state = memcpy(c->owned + n, state, m);
    return EGO_OK;
}

static ego_err read_train(const char *text, ego_checkpoint *c, size_t *parameters) {
    ego_json *root;
    EGO_TRY(ego_json_parse(text, strlen(text), &root));
    const char *seed, *config, *state;
    int64_t version = 0, count = 0;
    bool good = ego_json_integer(ego_json_get(root, "version"), &version) && version == VERSION &&
                ego_json_integer(ego_json_get(root, "step"), &c->step) && c->step >= 0 &&
                ego_json_integer(ego_json_get(root, "epoch"), &c->epoch) &&
                ego_json_integer(ego_json_get(root, "validated"), &c->validated) &&
                ego_json_integer(ego_json_get(root, "best_step"), &c->best_step) &&
                ego_json_integer(ego_json_get(root, "parameters"), &count) && count >= 0 &&
                get_double(root, "best", &c->best) &&
                get_double(root, "first_loss", &c->first_loss) &&
                get_double(root, "recent_loss", &c->recent_loss) &&
                ego_json_string(ego_json_get(root, "seed"), &seed) &&
                ego_json_string(ego_json_get(root, "config"), &config) &&
                ego_json_string(ego_json_get(root, "state"), &state);
    ego_err err = EGO_OK;
    if (!good)
        err = version == VERSION || !version
                  ? ego_fail(EGO_EFORMAT, "a member is missing or of the wrong kind")
                  : ego_fail(EGO_EUNSUPPORTED, "version %" PRId64 " is not known", version);
    if (err == EGO_OK) {
        c->seed = strtoull(seed, NULL, 10);
        *parameters = (size_t)count;
        err = own_texts(c, config, state);
    }
    ego_json_free(root);
    return err;
}

/* The three arrays of a parameter in the file. */
typedef struct arrays {
    const float *value, *m, *v;
} arrays;

static ego_err find(const ego_weights *weights, const ego_trained *p, const char *prefix,
                    ego_buf *name, const float **data) {
    ego_buf_clear(name);
    ego_buf_printf(name, "%s%s", prefix, p->name);
    EGO_TRY(ego_buf_err(name));
    const ego_tensor *t = ego_weights_find(weights, name->data), wanted = as_tensor(p, NULL);
    const char *path = ego_weights_path(weights);
    char want[EGO_SHAPE_TEXT], have[EGO_SHAPE_TEXT];
    if (!t) return ego_fail(EGO_EINPUT, "%s: it has no %s", path, name->data);
    if (t->dtype != EGO_F32 || !ego_tensor_same_shape(t, &wanted))
        return ego_fail(EGO_EINPUT, "%s: %s: expected F32 %s, found %s %s", path, name->data,
                        ego_shape_text(p->shape, p->ndim, want), ego_dtype_name(t->dtype),
                        ego_shape_text(t->shape, t->ndim, have));
    *data = ego_f32(t);
    return EGO_OK;
}

static ego_err take(const ego_weights *weights, size_t parameters, ego_optim *optim) {
    if (parameters != optim->count)
        return ego_fail(EGO_EINPUT, "%s: it is of %zu parameters, not of %zu",
                        ego_weights_path(weights), parameters, optim->count);
    ego_err err = EGO_OK;
    ego_buf name = {0};
    arrays *all = calloc(optim->count + 1, sizeof *all);
    if (!all) return ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < optim->count; i++) {
        const ego_trained *p = &optim->params[i];
        EGO_TRY_OUT(find(weights, p, "", &name, &all[i].value));
        EGO_TRY_OUT(find(weights, p, "optim.m/", &name, &all[i].m));
        EGO_TRY_OUT(find(weights, p, "optim.v/", &name, &all[i].v));
    }
    for (size_t i = 0; i < optim->count; i++) {
        const ego_trained *p = &optim->params[i];
        size_t bytes = (size_t)p->count * sizeof(float);
        if (!bytes) continue;
        memcpy(p->value, all[i].value, bytes);
        memcpy(p->m, all[i].m, bytes);
        memcpy(p->v, all[i].v, bytes);
    }
out:
    ego_buf_release(&name);
    free(all);
    return err;
}

ego_err ego_checkpoint_read(const char *path, ego_checkpoint *checkpoint, ego_optim *optim) {
    ego_checkpoint c = {0};
    size_t parameters = 0;
    ego_weights *weights;
    EGO_TRY(ego_weights_open(path, &weights));
    ego_err err = check_sum(weights);
    if (err == EGO_OK) {
        err = read_train(ego_weights_metadata(weights, META_TRAIN), &c, &parameters);
        if (err != EGO_OK) ego_fail_context(err, "%s: " META_TRAIN, path);
    }
    if (err == EGO_OK) err = take(weights, parameters, optim);
    ego_weights_close(weights);
    if (err != EGO_OK) {
        ego_checkpoint_release(&c);
        return err;
    }
    optim->updates = c.step;
    *checkpoint = c;
    return EGO_OK;
}

/* ---- a directory of them ---------------------------------------------------------------------------- */

#define NAME_START "checkpoint-"
#define NAME_END ".safetensors"

void ego_checkpoint_path(const char *directory, int64_t step, ego_buf *path) {
    ego_buf_printf(path, "%s/" NAME_START "%" PRId64 NAME_END, directory, step);
}

/* Exactly what ego_checkpoint_path writes. */
static bool parse_name(const char *name, int64_t *step) {
    size_t digits = 0, start = strlen(NAME_START);
    if (strncmp(name, NAME_START, start) != 0) return false;
    name += start;
    for (*step = 0; name[digits] >= '0' && name[digits] <= '9' && digits < 18; digits++)
        *step = 10 * *step + (name[digits] - '0');
    return digits && (name[0] != '0' || digits == 1) && strcmp(name + digits, NAME_END) == 0;
}

typedef struct steps {
    int64_t *list;
    size_t count, cap;
} steps;

static int falling(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* The steps of the directory's checkpoints, the highest first. No directory has none. */
static ego_err list_steps(const char *directory, steps *s) {
    DIR *dir = opendir(directory);
    if (!dir && errno == ENOENT) return EGO_OK;
    if (!dir) return ego_fail(EGO_EIO, "%s: %s", directory, strerror(errno));
    ego_err err = EGO_OK;
    int64_t step;
    for (struct dirent *e; err == EGO_OK && (e = readdir(dir));) {
        if (!parse_name(e->d_name, &step)) continue;
        if (s->count == s->cap) {
            size_t cap = s->cap ? 2 * s->cap : 16;
            int64_t *list = realloc(s->list, cap * sizeof *list);
            if (!list) {
                err = ego_fail(EGO_ENOMEM, "%s: out of memory", directory);
                break;
            }
            s->list = list;
            s->cap = cap;
        }
        s->list[s->count++] = step;
    }
    closedir(dir);
    if (s->count) qsort(s->list, s->count, sizeof *s->list, falling);
    return err;
}

bool ego_checkpoint_any(const char *directory) {
    steps s = {0};
    bool any = list_steps(directory, &s) == EGO_OK && s.count;
    free(s.list);
    return any;
}

ego_err ego_checkpoint_newest(const char *directory, ego_checkpoint *checkpoint, ego_optim *optim,
                              const ego_notice *notice, bool *found) {
    steps s = {0};
    ego_buf path = {0};
    ego_err err = list_steps(directory, &s);
    *found = false;
    for (size_t i = 0; err == EGO_OK && i < s.count && !*found; i++) {
        ego_buf_clear(&path);
        ego_checkpoint_path(directory, s.list[i], &path);
        EGO_TRY_OUT(ego_buf_err(&path));
        err = ego_checkpoint_read(path.data, checkpoint, optim);
        *found = err == EGO_OK;
        bool older = i + 1 < s.count;
        if (err != EGO_EFORMAT || !older) continue;
        if (notice && notice->say) {
            ego_fail_context(err, "passed over");
            notice->say(notice->context, ego_err_message());
        }
        err = EGO_OK;
    }
    if (err == EGO_EFORMAT) ego_fail_context(err, "no checkpoint is whole; the last tried");
out:
    ego_buf_release(&path);
    free(s.list);
    return err;
}

ego_err ego_checkpoint_prune(const char *directory, int64_t newest, int keep, int64_t best) {
    steps s = {0};
    ego_buf path = {0};
    ego_err err = list_steps(directory, &s);
    int kept = 1;
    if (err != EGO_OK) s.count = 0; /* an incomplete list must not decide what goes */
    for (size_t i = 0; i < s.count; i++) {
        if (s.list[i] >= newest || s.list[i] == best || kept++ < keep) continue;
        ego_buf_clear(&path);
        ego_checkpoint_path(directory, s.list[i], &path);
        if (path.failed || (unlink(path.data) != 0 && errno != ENOENT))
            err =
                ego_fail(EGO_EIO, "%s: cannot be deleted: %s", path.failed ? directory : path.data,
                         path.failed ? "out of memory" : strerror(errno));
    }
    ego_buf_release(&path);
    free(s.list);
    return err;
}

void ego_checkpoint_sweep(const char *directory) {
    DIR *dir = opendir(directory);
    if (!dir) return;
    for (struct dirent *e; (e = readdir(dir));)
        if (strncmp(e->d_name, NAME_START, strlen(NAME_START)) == 0 &&
            strstr(e->d_name, NAME_END ".tmp-"))
            unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
}
