/* A folder of golden data: opened, read, compared with. For the programs of this folder. */
#ifndef EGO_TESTS_GOLDEN_FIXTURE_H
#define EGO_TESTS_GOLDEN_FIXTURE_H

#include "check.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/threads.h"
#include "format/npy.h"
#include "model/egovlp.h"
#include "model/heads.h"

#include <sys/stat.h>

static const double LIMIT = 5e-6; /* ‖out − ref‖ / ‖ref‖ in float32 */

typedef struct fixture {
    const char *folder;
    ego_json *meta;
    ego_model *model;
    ego_backend *backend;
    ego_pool *pool;
    ego_ctx cx;
    double worst;
} fixture;

static bool exists(const char *folder, const char *name) {
    char path[512];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return stat(path, &st) == 0;
}

static bool load(const fixture *f, const char *name, ego_npy *npy) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s.npy", f->folder, name);
    return ego_npy_open(path, npy) == EGO_OK;
}

/* ---- comparing ------------------------------------------------------------------------------------------ */

/* Rows of `out`, `step` floats apart, against the rows of the reference that `keep` selects (NULL: all). */
static void compare_rows(fixture *f, const char *name, const float *out, int64_t step,
                         const int32_t *keep) {
    ego_npy ref = {0};
    if (!load(f, name, &ref)) return;
    int64_t columns = ego_tensor_columns(&ref.tensor), rows = ego_tensor_rows(&ref.tensor);
    double difference = 0, norm = 0, largest = 0;
    for (int64_t r = 0, at = 0; r < rows; r++) {
        if (keep && !keep[r]) continue;
        for (int64_t c = 0; c < columns; c++) {
            double want = ego_f32(&ref.tensor)[r * columns + c], d = out[at * step + c] - want;
            difference += d * d;
            norm += want * want;
            if (fabs(d) > largest) largest = fabs(d);
            if (isnan(d)) difference = NAN;
        }
        at++;
    }
    double error = sqrt(difference / norm);
    /* A cosine near 0 is itself rounding noise: there an absolute 1e-6 does. */
    bool noise = strstr(name, "sim") && largest < 1e-6;
    if (error > f->worst) f->worst = error;
    if (!CHECK(noise || error < LIMIT))
        fprintf(stderr, "    %s/%s: relative error %.3g (limit %.1g), largest difference %.3g\n",
                f->folder, name, error, LIMIT, largest);
    ego_npy_close(&ref);
}

static void compare(fixture *f, const char *name, const ego_tensor *out) {
    ego_err err = ego_ctx_err(&f->cx);
    if (err != EGO_OK || !out) {
        CHECK_OK(err == EGO_OK ? EGO_EMODEL : err);
        fprintf(stderr, "    while computing %s/%s\n", f->folder, name);
        return;
    }
    compare_rows(f, name, ego_f32(out), ego_tensor_columns(out), NULL);
}

/* ---- inputs ----------------------------------------------------------------------------------------------- */

enum { MAX_TOKENS = 4096, MAX_TEXTS = 64 };

typedef struct narrations {
    int64_t ids[MAX_TOKENS], offsets[MAX_TEXTS + 1];
    ego_texts texts;
} narrations;

/* Padded ids and their mask, as the reference takes them, to narrations one after the other. `order` lists
 * which rows (NULL: all, in order). */
static bool load_texts(const fixture *f, const char *name, const int32_t *order, int64_t count,
                       narrations *out) {
    ego_npy ids = {0}, mask = {0};
    if (!load(f, name, &ids) || !load(f, "attention_mask", &mask)) return false;
    int64_t rows = order ? count : ids.tensor.shape[0], length = ids.tensor.shape[1], n = 0;
    for (int64_t i = 0; i < rows; i++) {
        int64_t row = order ? order[i] : i;
        out->offsets[i] = n;
        for (int64_t t = 0; t < length && n < MAX_TOKENS; t++)
            if (((int32_t *)mask.tensor.data)[row * length + t])
                out->ids[n++] = ((int32_t *)ids.tensor.data)[row * length + t];
    }
    out->offsets[rows] = n;
    out->texts = (ego_texts){out->ids, {rows, out->offsets}};
    ego_npy_close(&ids);
    ego_npy_close(&mask);
    return true;
}

/* The clips: stored, or 2u of the name "input.video". */
static ego_tensor *load_clips(fixture *f, const int32_t *order, int64_t count) {
    const ego_config *c = &f->model->config;
    ego_npy stored = {0};
    int64_t batch = 2;
    if (load(f, "input_video", &stored)) batch = stored.tensor.shape[0];
    int64_t each = c->frames * 3 * c->image_size * c->image_size;
    ego_tensor *clips = EGO_TENSOR(&f->cx, order ? count : batch, c->frames, 3, c->image_size,
                                   c->image_size);
    uint64_t stream = ego_fnv1a("input.video");
    for (int64_t i = 0; clips && i < clips->shape[0]; i++) {
        int64_t from = (order ? order[i] : i) * each;
        for (int64_t k = 0; k < each; k++)
            ego_f32(clips)[i * each + k] = stored.tensor.data
                                               ? ego_f32(&stored.tensor)[from + k]
                                               : (float)(2 * ego_golden_unit(stream, from + k));
    }
    ego_npy_close(&stored);
    return clips;
}

static double number(const ego_json *object, const char *key, double otherwise) {
    double value = otherwise;
    ego_json_number(ego_json_get(object, key), &value);
    return value;
}

#endif
