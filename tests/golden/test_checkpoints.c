/* The checkpoints of ../shared/golden: every weight of tiny/checkpoint.pth against the formula it follows
 * (golden/README.md), the heads' files, and the large file cut and damaged at a sample of places. */
#include "check.h"

#include "base/file.h"
#include "base/hash.h"
#include "format/weights.h"
#include "format/weights_build.h"

#include <unistd.h>

static char path[1024];

static const char *shared(const char *name) {
    const char *root = getenv("EGO_SHARED") ? getenv("EGO_SHARED") : "../shared";
    snprintf(path, sizeof path, "%s/golden/%s", root, name);
    return path;
}

static double unit(uint64_t seed, uint64_t i) {
    uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return 2 * ((double)(z >> 40) * 0x1p-24) - 1;
}

static bool ends_in(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static float formula(const char *name, const ego_tensor *t, double u) {
    if (strstr(name, "alpha")) return (float)(0.5 + 0.25 * u);
    if (t->ndim <= 1) return (float)(ends_in(name, "weight") ? 1 + 0.1 * u : 0.05 * u);
    int64_t fan_in = t->ndim == 4 ? t->shape[1] * t->shape[2] * t->shape[3] : ego_tensor_columns(t);
    return (float)(u * sqrt(3.0 / (double)fan_in));
}

static void check_tiny(void) {
    ego_weights *w;
    if (!CHECK_OK(ego_weights_open(shared("tiny/checkpoint.pth"), &w))) return;
    CHECK(ego_weights_count(w) == 214);
    size_t wrong = 0, compared = 0;
    for (size_t i = 0; i < ego_weights_count(w); i++) {
        const ego_tensor *t = ego_weights_tensor(w, i);
        const char *name = ego_weights_name(w, i);
        uint64_t seed = ego_fnv1a(name);
        CHECK(strncmp(name, "module.", 7) != 0);
        if (t->dtype != EGO_F32) continue;
        for (int64_t k = 0; k < ego_tensor_count(t); k++, compared++)
            wrong += ego_f32(t)[k] != formula(name, t, unit(seed, (uint64_t)k));
    }
    printf("%zu weights compared, %zu differ\n", compared, wrong);
    CHECK(compared > 600000 && wrong == 0);
    const ego_tensor *ids = ego_weights_find(w, "text_model.embeddings.position_ids");
    if (CHECK(ids && ids->dtype == EGO_I64))
        for (int64_t k = 0; k < ego_tensor_count(ids); k++)
            CHECK(((const int64_t *)ids->data)[k] == k);
    CHECK(ego_weights_skipped_count(w) == 6);
    ego_weights_close(w);
}

static void check_head(const char *name, size_t count, const char *tensor) {
    ego_weights *w;
    if (!CHECK_OK(ego_weights_open(shared(name), &w))) return;
    CHECK(ego_weights_count(w) == count && ego_weights_skipped_count(w) == 0);
    CHECK(ego_weights_find(w, tensor) != NULL);
    ego_weights_close(w);
}

static bool opens(const uint8_t *data, size_t size) {
    ego_weights *w;
    if (ego__weights_open_memory("damaged", data, size, &w) != EGO_OK) return false;
    ego_weights_close(w);
    return true;
}

/* The structure is at both ends: the pickle first, the directory last. */
static void check_damage(void) {
    ego_map map;
    enum { PICKLE = 80000, DIRECTORY = 20000, STEP = 997 };
    if (!CHECK_OK(ego_map_open(shared("tiny/checkpoint.pth"), &map))) return;
    for (size_t size = 0; size < map.size; size += map.size / 50) CHECK(!opens(map.data, size));
    uint8_t *copy = malloc(map.size);
    memcpy(copy, map.data, map.size);
    for (size_t i = 0; i < map.size; i += STEP) {
        if (i > PICKLE && i < map.size - DIRECTORY) continue;
        copy[i] ^= 0x10;
        opens(copy, map.size); /* either is right; the sanitizers watch */
        copy[i] ^= 0x10;
    }
    CHECK(opens(copy, map.size));
    free(copy);
    ego_map_close(&map);
}

int main(void) {
    if (access(shared("tiny/checkpoint.pth"), R_OK) != 0)
        return check_skip("no ../shared/golden (set EGO_SHARED)");
    check_tiny();
    check_head("heads/vslnet.pth", 92, "cq_attention.w4mlu");
    check_head("heads/qfvs.pth", 41, "encoder_layer.linear1.weight");
    check_damage();
    return check_done();
}
