/* When a match is likely: the p-value, its threshold, joined streams, and records that are wrong. */
#include "check.h"

#include "base/rng.h"
#include "format/stream.h"
#include "task/calibration.h"
#include "task/vectors.h"

static void fill(ego_calibration *c, size_t n, uint64_t seed) {
    CHECK_OK(ego_calibration_init("list", n, c));
    for (size_t i = 0; i < n; i++) c->best[i] = (float)ego_rng_normal(seed, i);
    c->clips = 10;
}

/* The two ways of saying "likely" are one. */
static void threshold(void) {
    ego_calibration c;
    fill(&c, 200, 1);
    CHECK(ego_calibration_holds(&c));
    double t = ego_calibration_threshold(&c);
    size_t above = 0;
    for (size_t i = 0; i < c.n; i++) above += c.best[i] >= t;
    CHECK(above == 10);
    CHECK(ego_calibration_p(&c, t) > EGO_CALIBRATION_LEVEL);
    CHECK(ego_calibration_p(&c, nextafter(t, 9) + 1e-6) <= EGO_CALIBRATION_LEVEL);
    CHECK_NEAR(ego_calibration_p(&c, 100), 1.0 / 201, 1e-12);
    CHECK_NEAR(ego_calibration_p(&c, -100), 1, 1e-12);
    ego_calibration_release(&c);
}

/* Of queries like the list itself at most one in twenty is called likely. */
static void level(void) {
    size_t likely = 0, trials = 4000;
    for (size_t k = 0; k < trials; k++) {
        ego_calibration c;
        fill(&c, 99, 100 + k);
        likely += ego_calibration_p(&c, ego_rng_normal(7, k)) <= EGO_CALIBRATION_LEVEL;
        ego_calibration_release(&c);
    }
    CHECK_NEAR((double)likely / (double)trials, 0.05, 0.012);
}

static void too_little(void) {
    ego_calibration c;
    fill(&c, 18, 1);
    CHECK(!ego_calibration_holds(&c));
    ego_calibration_release(&c);
    fill(&c, 19, 1);
    CHECK(ego_calibration_holds(&c));
    c.clips = 0;
    CHECK(!ego_calibration_holds(&c));
    ego_calibration_release(&c);
    CHECK(!ego_calibration_holds(&c));
}

static void joined(void) {
    ego_calibration all = {0}, a, b, other;
    fill(&a, 50, 1);
    fill(&b, 50, 2);
    CHECK_OK(ego_calibration_join(&all, &a));
    CHECK_OK(ego_calibration_join(&all, &b));
    for (size_t i = 0; i < 50; i++) CHECK(all.best[i] == fmaxf(a.best[i], b.best[i]));
    CHECK(all.clips == 20);
    CHECK_OK(ego_calibration_init("another", 50, &other));
    CHECK_ERR(EGO_EINPUT, ego_calibration_join(&all, &other));
    ego_calibration_release(&all);
    ego_calibration_release(&a);
    ego_calibration_release(&b);
    ego_calibration_release(&other);
}

/* Through a stream and back; the vectors beside it are found, the notes are not vectors. */
static void in_a_stream(void) {
    ego_calibration c;
    ego_record record;
    ego_tensor elements;
    float vector[3] = {1, 2, 3};
    fill(&c, 30, 3);
    char *data = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&data, &size);
    if (!CHECK(out != NULL) || !CHECK_OK(ego_calibration_record(&c, &record, &elements))) return;
    ego_stream_record r = {.id = "1", .id_bytes = 1, .part = "video", .model = "m", .scale = 1};
    r.tensor = (ego_tensor){vector, EGO_F32, 1, {3}};
    CHECK_OK(ego_stream_write(out, &r, NULL));
    r.part = EGO_CALIBRATION_PART;
    r.tensor = elements;
    CHECK_OK(ego_stream_write(out, &r, "\"list\":\"list\",\"clips\":10"));
    r.part = "file";
    r.tensor = (ego_tensor){vector, EGO_F32, 1, {0}};
    CHECK_OK(ego_stream_write(out, &r, "\"size\":1"));
    fclose(out);

    ego_vectors v;
    size_t used;
    CHECK_OK(ego_vectors_open_feed("memory", NULL, false, &v));
    CHECK_OK(ego_vectors_feed(&v, (const uint8_t *)data, size, true, &used));
    CHECK(used <= size && v.n == 1 && v.dim == 3 && !v.damage);
    CHECK(v.calibration.n == 30 && v.calibration.clips == 10);
    CHECK(v.calibration.best && memcmp(v.calibration.best, c.best, 30 * sizeof(float)) == 0);
    ego_vectors_close(&v);
    free(data);
    ego_record_release(&record);
    ego_calibration_release(&c);
}

static void wrong(const char *header, ego_tensor elements) {
    ego_json *json;
    ego_calibration c;
    if (!CHECK_OK(ego_json_of_text(header, &json))) return;
    CHECK_ERR(EGO_EFORMAT, ego_calibration_read(json, &elements, &c));
    ego_calibration_release(&c);
    ego_json_free(json);
}

int main(void) {
    float one[1] = {0};
    ego_tensor good = {one, EGO_F32, 1, {1}};
    threshold();
    level();
    too_little();
    joined();
    in_a_stream();
    wrong("{}", good);
    wrong("{\"list\":1,\"clips\":1}", good);
    wrong("{\"list\":\"a name that is much too long for one\",\"clips\":1}", good);
    wrong("{\"list\":\"l\",\"clips\":-1}", good);
    wrong("{\"list\":\"l\",\"clips\":1.5}", good);
    wrong("{\"list\":\"l\",\"clips\":1}", (ego_tensor){one, EGO_F16, 1, {1}});
    wrong("{\"list\":\"l\",\"clips\":1}", (ego_tensor){one, EGO_F32, 2, {1, 1}});
    wrong("{\"list\":\"l\",\"clips\":1}", (ego_tensor){one, EGO_F32, 1, {1 << 20}});
    return check_done();
}
