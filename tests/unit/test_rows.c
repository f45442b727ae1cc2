/* Training rows: what comes out depends on the row and the stream alone, with and without a cache,
 * and equals what the pieces give when they are put together by hand. */
#include "check.h"

#include "base/file.h"
#include "base/rng.h"
#include "data/rows_inside.h"
#include "media/augment.h"
#include "media/decode.h"
#include "media/encode.h"
#include "media/sample.h"
#include "media/shrink.h"
#include "text/colours.h"

#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

enum { F = 4, S = 64, R = 73, M = 3, WIDTH = 160, HEIGHT = 96, FPS = 15, SECONDS = 9 };
enum { FLOATS = F * 3 * S * S, GOOD = 36, MISSING = 36, LATE, EMPTY, ROWS };
static char folder[512];
static ego_bpe *bpe;

static const char *path_of(const char *file) {
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return path;
}

/* ---- videos and annotations ------------------------------------------------------------------ */

static void make_video(const char *name, int number) {
    ego_encode_options options = {
        .width = WIDTH, .height = HEIGHT, .fps_num = FPS, .fps_den = 1, .quality = 20};
    ego_encoder *encoder = NULL;
    ego_image image = {0};
    CHECK_OK(ego_image_new(WIDTH, HEIGHT, &image));
    if (!CHECK_OK(ego_encode_open(path_of(name), &options, &encoder))) return;
    for (int n = 0; n < FPS * SECONDS; n++) {
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++) {
                uint8_t *pixel = image.rgb + 3 * (y * WIDTH + x);
                pixel[0] = (uint8_t)(x + 5 * n);
                pixel[1] = (uint8_t)(2 * y - 3 * n + 40 * number);
                pixel[2] = (uint8_t)((x / 20 + y / 20 + n / 4) % 2 ? 220 : 30);
            }
        CHECK_OK(ego_encode_write(encoder, &image));
    }
    CHECK_OK(ego_encode_close(encoder));
    ego_image_free(&image);
}

/* GOOD rows of three videos in turn, one of them in chunks, and three that cannot be used. Half of them share
 * a noun, all but a fourth a verb. */
static void write_rows(const char *file, int from, int to) {
    static const char *const videos[] = {"a", "b.mp4", "c"};
    ego_buf text = {0};
    ego_buf_text(&text, "clip_idx\tvideo_uid\tnarration_time\tclip_start\tclip_end\tclip_text\t"
                        "tag_verb\ttag_noun\n");
    for (int i = from; i < to; i++) {
        int tenths = i * 17 % 70; /* of a second */
        const char *video = i == MISSING ? "none" : videos[i % 3];
        if (i == LATE) tenths = 200;
        ego_buf_printf(&text,
                       "%d\t%s\t%d.5\t%d.%d\t%d.%d\t#C C moves thing number %d\t[%d%s]\t"
                       "[%s]\n",
                       i, video, i * 13 % 100, tenths / 10, tenths % 10,
                       (tenths + (i == EMPTY ? 0 : 19)) / 10, (tenths + (i == EMPTY ? 0 : 19)) % 10,
                       i, 50 - i, i % 4 == 3 ? "" : ", 4, 4", i % 4 > 1 ? "7" : "");
    }
    ego_buf_text(&text, "a line\tthat is\tmalformed\n");
    CHECK_OK(ego_write_file(path_of(file), text.data, text.len));
    ego_buf_release(&text);
}

/* ---- opening --------------------------------------------------------------------------------- */

static char reports[4096];
static int full_reports;

static void keep_report(void *context, size_t row, const char *message) {
    size_t n = strlen(reports);
    CHECK(context == reports && message && message[0]);
    if (row == SIZE_MAX)
        full_reports++;
    else
        snprintf(reports + n, sizeof reports - n, "%zu: %s\n", row, message);
}

static ego_rows_options usual(void) {
    static char annotations[600];
    snprintf(annotations, sizeof annotations, "%s/rows.csv", folder);
    return (ego_rows_options){.annotations = annotations,
                              .video_root = folder,
                              .frames = F,
                              .size = S,
                              .moments = M,
                              .augment = true,
                              .flip = true,
                              .seed = 11,
                              .bpe = bpe,
                              .max_tokens = 15,
                              .scene_seconds = 60,
                              .report = keep_report,
                              .report_context = reports};
}

static ego_rows *opened(const ego_rows_options *options) {
    ego_rows *rows = NULL;
    reports[0] = 0;
    full_reports = 0;
    if (!CHECK_OK(ego_rows_open(options, &rows))) exit(check_done());
    return rows;
}

static void remove_cache(void) {
    unlink(path_of("cache/frames.index"));
    unlink(path_of("cache/frames.data"));
    rmdir(path_of("cache"));
}

static ego_rows_options with_cache(void) {
    static char cache[600];
    ego_rows_options options = usual();
    snprintf(cache, sizeof cache, "%s/cache", folder);
    options.cache = cache;
    options.cache_bytes = (uint64_t)1 << 30;
    return options;
}

/* ---- what comes out -------------------------------------------------------------------------- */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n) {
    const uint8_t *from = bytes;
    for (size_t i = 0; i < n; i++) hash = (hash ^ from[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t hash_sample(const ego_row_sample *s) {
    uint64_t hash = hash_bytes(0xcbf29ce484222325u, s->pixels, FLOATS * sizeof(float));
    hash = hash_bytes(hash, s->tokens, s->n_tokens * sizeof *s->tokens);
    hash = hash_bytes(hash, s->verbs.ids, s->verbs.count * sizeof *s->verbs.ids);
    hash = hash_bytes(hash, s->nouns.ids, s->nouns.count * sizeof *s->nouns.ids);
    return hash_bytes(hash, &s->row, sizeof s->row);
}

enum { DRAWS = 120 };

/* Asks for DRAWS (row, stream) pairs, in order or backward, and keeps a hash of each. */
static void collect(ego_rows *rows, bool backward, uint64_t hash[DRAWS]) {
    int asked = 0;
    for (int taken = 0; taken < DRAWS; taken++) {
        ego_row_sample sample = {0};
        for (; asked < DRAWS && ego_rows_room(rows); asked++) {
            int i = backward ? DRAWS - 1 - asked : asked;
            size_t row = (size_t)i * 7 % ego_rows_count(rows);
            CHECK_OK(ego_rows_submit(rows, row, 1000 + (uint64_t)i));
        }
        int i = backward ? DRAWS - 1 - taken : taken;
        if (!CHECK_OK(ego_rows_next(rows, &sample))) continue;
        CHECK(sample.asked == (size_t)i * 7 % ego_rows_count(rows));
        CHECK(sample.replaced == (sample.row != sample.asked));
        hash[i] = hash_sample(&sample);
        ego_row_sample_release(&sample);
    }
    ego_row_sample none;
    CHECK_ERR(EGO_EEND, ego_rows_next(rows, &none));
}

static uint64_t expected[DRAWS];

static bool as_expected(const ego_rows_options *options, bool backward, ego_rows_counts *counts) {
    uint64_t hash[DRAWS];
    ego_rows *rows = opened(options);
    collect(rows, backward, hash);
    *counts = ego_rows_get_counts(rows);
    ego_rows_close(rows);
    return memcmp(hash, expected, sizeof hash) == 0;
}

static void nothing_but_row_and_stream_matters(void) {
    ego_rows_options options = usual();
    ego_rows_counts counts;
    ego_rows *rows = opened(&options);
    collect(rows, false, expected);
    ego_rows_close(rows);
    int different = 0;
    for (int i = 1; i < DRAWS; i++) different += expected[i] != expected[i - 1];
    CHECK(different == DRAWS - 1);
    CHECK(as_expected(&options, false, &counts));
    CHECK(counts.samples == DRAWS && counts.malformed == 1 && counts.bad > 0 && !counts.cached);
    CHECK(as_expected(&options, true, &counts));
    options.threads = 3;
    options.memory = 1;
    if (!getenv("EGO_TSAN")) options.decoder_threads = 2; /* libavcodec's own cannot be watched */
    CHECK(as_expected(&options, false, &counts));
    options.seed++;
    CHECK(!as_expected(&options, false, &counts));
}

static void the_cache_changes_nothing(void) {
    ego_rows_options options = with_cache();
    ego_rows_counts cold, warm;
    remove_cache();
    CHECK(as_expected(&options, false, &cold));
    CHECK(cold.stored == GOOD && cold.decoded >= GOOD);
    options.threads = 2;
    CHECK(as_expected(&options, true, &warm));
    CHECK(warm.decoded == 0 && warm.stored == 0 && warm.cached == DRAWS);
    CHECK(warm.bad == cold.bad);
}

/* Every record of the cache loses a byte somewhere; all are read again, and put in again. */
static void damage_changes_nothing(void) {
    ego_rows_options options = with_cache();
    ego_rows_counts counts;
    struct stat st;
    int data = open(path_of("cache/frames.data"), O_RDWR);
    CHECK(data >= 0 && fstat(data, &st) == 0);
    off_t step = st.st_size / GOOD / (F * M);
    for (off_t at = step / 2; at < st.st_size; at += step) {
        uint8_t byte = 0;
        CHECK(pread(data, &byte, 1, at) == 1);
        byte ^= 0x80;
        CHECK(pwrite(data, &byte, 1, at) == 1);
    }
    close(data);
    CHECK(as_expected(&options, false, &counts));
    CHECK(counts.stored == GOOD);
    CHECK(as_expected(&options, false, &counts));
    CHECK(counts.stored == 0 && counts.decoded == 0 && counts.cached == DRAWS);
}

static void a_full_cache_changes_nothing(void) {
    ego_rows_options options = with_cache();
    ego_rows_counts counts;
    remove_cache();
    options.cache_bytes = 10 * (F * M * (uint64_t)(R * 121 * 3 + 4) + 64) + 64;
    CHECK(as_expected(&options, false, &counts));
    CHECK(counts.stored == 10 && counts.cached > 0 && counts.decoded > 10);
    CHECK(full_reports == 1);
}

/* A file that changed has another key. */
static void a_new_video_is_read_anew(void) {
    ego_rows_options options = with_cache();
    ego_rows_counts counts;
    struct timespec times[2] = {{1000000000, 0}, {1000000000, 7}};
    remove_cache();
    CHECK(as_expected(&options, false, &counts));
    CHECK(utimensat(AT_FDCWD, path_of("a.mp4"), times, 0) == 0);
    CHECK(utimensat(AT_FDCWD, path_of("c/0.mp4"), times, 0) == 0);
    CHECK(as_expected(&options, false, &counts));
    CHECK(counts.stored == 2 * GOOD / 3);
}

/* ---- filling --------------------------------------------------------------------------------- */

static bool stop_at_once(void *context, const char *what, uint64_t done, uint64_t total) {
    (void)what;
    *(uint64_t *)context = total;
    return done > total;
}

static bool go_on(void *context, const char *what, uint64_t done, uint64_t total) {
    (void)what;
    uint64_t *latest = context;
    CHECK(done >= *latest && done <= total);
    *latest = done;
    return true;
}

static void filling(void) {
    ego_rows_options options = with_cache();
    ego_rows_counts counts;
    uint64_t seen = 0;
    remove_cache();
    ego_rows *rows = opened(&options);
    ego_progress stopping = {stop_at_once, &seen}, going = {go_on, &seen};
    CHECK_ERR(EGO_ECANCELLED, ego_rows_fill(rows, 0, 1, &stopping));
    CHECK(seen == ROWS);
    ego_rows_close(rows);
    remove_cache();
    options.threads = 2;
    rows = opened(&options);
    ego_rows *other = NULL;
    CHECK_OK(ego_rows_open(&options, &other));
    seen = 0;
    CHECK_OK(ego_rows_fill(rows, 0, 2, &going));
    CHECK_OK(ego_rows_fill(other, 1, 2, NULL));
    CHECK(ego_rows_get_counts(rows).stored + ego_rows_get_counts(other).stored == GOOD);
    CHECK(ego_rows_get_counts(rows).bad + ego_rows_get_counts(other).bad == 3);
    seen = 0;
    CHECK_OK(ego_rows_fill(rows, 0, 1, &going));
    CHECK(seen == ROWS);
    counts = ego_rows_get_counts(rows);
    CHECK(counts.decoded == counts.stored); /* the second time nothing was read */
    CHECK_ERR(EGO_EINPUT, ego_rows_fill(rows, 2, 2, NULL));
    ego_rows_close(other);
    ego_rows_close(rows);
    CHECK(as_expected(&options, false, &counts));
    CHECK(counts.decoded == 0 && counts.cached == DRAWS);
    remove_cache();
    options.cache_bytes = 300000 + 4 * F * M * R * 121 * 3;
    rows = opened(&options);
    CHECK_OK(ego_rows_fill(rows, 0, 1, NULL));
    CHECK(ego_rows_get_counts(rows).stored >= 4 && full_reports == 1);
    ego_rows_close(rows);
    options = usual();
    rows = opened(&options);
    CHECK_OK(ego_rows_fill(rows, 0, 1, NULL));
    ego_rows_close(rows);
}

/* ---- by hand --------------------------------------------------------------------------------- */

static void frames_by_hand(const ego_rows *rows, size_t row, const double *times, uint64_t stream,
                           float *out) {
    static const char *const files[] = {"a.mp4", "b.mp4", "c/0.mp4"};
    ego_video *video = NULL;
    ego_preparer *preparer = NULL;
    ego_image image = {0}, small = {0};
    CHECK_OK(ego_preparer_new(EGO_PREPARE_STANDARD, S, &preparer));
    if (!CHECK_OK(ego_video_open(path_of(files[row % 3]), NULL, &video))) return;
    for (int f = 0; f < F; f++, out += 3 * S * S) {
        CHECK_OK(ego_video_frame_at(video, times[f], &image));
        if (!rows->shorter) {
            CHECK_OK(ego_prepare(preparer, &image, out));
            continue;
        }
        CHECK_OK(ego_shrink(&image, R, &small));
        ego_box box =
            ego_augment_box(small.width, small.height, ego__rows_draw(rows, stream, EGO__ROW_BOX));
        bool flip = ego_augment_flip(ego__rows_draw(rows, stream, EGO__ROW_FLIP));
        CHECK_OK(ego_prepare_box(preparer, &small, box, flip && rows->options.flip, out));
    }
    ego_image_free(&image);
    ego_image_free(&small);
    ego_video_close(video);
    ego_preparer_free(preparer);
}

/* Every clip recoloured: the same box and moments with the channels in another order, and no word for a colour. */
static void recoloured(void) {
    ego_rows_options options = usual();
    ego_rows *plain = opened(&options);
    options.recolor = 1;
    ego_rows *all = opened(&options);
    size_t plane = S * S;
    for (size_t row = 0; row < 9; row++) {
        ego_row_sample a = {0}, b = {0};
        int order[3];
        CHECK(ego_augment_channels(ego__rows_draw(all, row, EGO__ROW_COLOUR), 1, order));
        CHECK_OK(ego_rows_submit(plain, row, row));
        CHECK_OK(ego_rows_submit(all, row, row));
        CHECK_OK(ego_rows_next(plain, &a));
        CHECK_OK(ego_rows_next(all, &b));
        static const float mean[] = {0.485f, 0.456f, 0.406f}, spread[] = {0.229f, 0.224f, 0.225f};
        float most = 0;
        for (size_t i = 0; i < F * 3 * plane; i++) {
            size_t f = i / (3 * plane), c = i / plane % 3, from = (size_t)order[c];
            float was = a.pixels[(f * 3 + from) * plane + i % plane] * spread[from] + mean[from];
            float is = b.pixels[i] * spread[c] + mean[c];
            most = fmaxf(most, fabsf(was - is));
        }
        CHECK(most < 1e-5f);
        ego_row_sample_release(&a);
        ego_row_sample_release(&b);
    }
    ego_rows_close(plain);
    ego_rows_close(all);
}

static void words_for_colours(void) {
    static const char *const pairs[][2] = {
        {"#C C pours the red bottle into the blue bowl", "#C C pours the bottle into the bowl"},
        {"black", ""},
        {"a  grey  reddish Red ", "a  reddish Red "},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char *left = ego_colours_drop(pairs[i][0]);
        CHECK(left && strcmp(left, pairs[i][1]) == 0);
        free(left);
    }
}

static void equals_what_is_made_by_hand(bool augment, int moments, bool flip) {
    static float want[FLOATS];
    ego_rows_options options = usual();
    options.augment = augment;
    options.moments = moments;
    options.flip = flip;
    ego_rows *rows = opened(&options);
    for (size_t row = 0; row < 9; row++) {
        const ego_narrated_clip *clip = ego_rows_get(rows, row);
        ego_row_sample sample = {0};
        ego_tokens tokens = {0};
        double times[F];
        uint64_t moment = ego__rows_draw(rows, row, EGO__ROW_MOMENT);
        CHECK_OK(ego_rows_submit(rows, row, row));
        CHECK_OK(ego_rows_next(rows, &sample));
        if (augment)
            ego_sample_times_random(clip->start, clip->end, F, moments, moment, times);
        else
            ego_sample_times(clip->start, clip->end, F, times);
        frames_by_hand(rows, row, times, row, want);
        CHECK(sample.row == row && memcmp(sample.pixels, want, sizeof want) == 0);
        CHECK_OK(ego_bpe_encode(bpe, clip->text, strlen(clip->text), 15, &tokens));
        CHECK(sample.n_tokens == tokens.count && sample.n_tokens == 15 &&
              memcmp(sample.tokens, tokens.ids, 15 * sizeof *tokens.ids) == 0);
        size_t last = row % 4 == 3 ? 0 : 1;
        CHECK(sample.verbs.count == last + 1 && sample.verbs.ids[last] == 50 - row);
        CHECK(!last || sample.verbs.ids[0] == 4);
        CHECK(sample.nouns.count == (row % 4 > 1) && (row % 4 < 2 || sample.nouns.ids[0] == 7));
        ego_tokens_release(&tokens);
        ego_row_sample_release(&sample);
    }
    CHECK(ego_rows_get_counts(rows).cut == 9);
    ego_rows_close(rows);
}

/* The published reader's sampling: its own tests are clips' and sample's; here, that it is asked. */
static void reference_sampling(bool augment) {
    ego_rows_options options = usual();
    options.sampling = EGO_SAMPLING_REFERENCE;
    options.moments = 0;
    options.augment = augment;
    uint64_t first[DRAWS], second[DRAWS];
    ego_rows *rows = opened(&options);
    collect(rows, false, first);
    ego_rows_close(rows);
    options.threads = 2;
    rows = opened(&options);
    collect(rows, true, second);
    CHECK(strstr(reports, "36: ") && strstr(reports, "none")); /* no black frames */
    CHECK(!strstr(reports, "37: ") == !augment); /* the reader repeats the last frame */
    ego_rows_close(rows);
    CHECK(memcmp(first, second, sizeof first) == 0);
    CHECK(memcmp(first, expected, sizeof first) != 0);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void bad_rows_are_replaced(void) {
    ego_rows_options options = usual();
    ego_rows *rows = opened(&options);
    size_t bad[] = {MISSING, LATE, EMPTY, MISSING, LATE};
    for (int i = 0; i < 5; i++) CHECK_OK(ego_rows_submit(rows, bad[i], (uint64_t)i));
    for (int i = 0; i < 5; i++) {
        ego_row_sample sample = {0};
        CHECK_OK(ego_rows_next(rows, &sample));
        CHECK(sample.replaced && sample.asked == bad[i] && sample.row < GOOD);
        ego_row_sample_release(&sample);
    }
    CHECK(ego_rows_get_counts(rows).bad >= 5);
    char *missing = strstr(reports, "36: "), *late = strstr(reports, "37: "),
         *empty = strstr(reports, "38: ");
    CHECK(missing && late && empty && strstr(missing, "none") && strstr(late, "20.000"));
    CHECK(missing && !strstr(missing + 1, "36: ") && late && !strstr(late + 1, "37: "));
    CHECK_ERR(EGO_EINPUT, ego_rows_submit(rows, ROWS, 0));
    ego_rows_close(rows);

    write_rows("bad.csv", MISSING, ROWS);
    char annotations[600];
    snprintf(annotations, sizeof annotations, "%s", path_of("bad.csv"));
    options.annotations = annotations;
    rows = opened(&options);
    CHECK_OK(ego_rows_submit(rows, 0, 5));
    CHECK_OK(ego_rows_submit(rows, 1, 6));
    for (int i = 0; i < 2; i++) {
        ego_row_sample sample = {0};
        CHECK_ERR(EGO_EINPUT, ego_rows_next(rows, &sample));
        CHECK(strstr(ego_err_message(), "drawn in its place") != NULL);
    }
    CHECK(ego_rows_get_counts(rows).bad == 2 * EGO_ROWS_TRIES);
    ego_rows_close(rows);
}

static void order_and_partners(void) {
    const ego_partners which = EGO_PARTNERS_ANY;
    ego_rows_options options = usual();
    ego_rows *rows = opened(&options);
    size_t n = ego_rows_count(rows), moved = 0, first[ROWS];
    CHECK(n == ROWS);
    for (uint64_t epoch = 0; epoch < 5; epoch++) {
        int seen[ROWS] = {0};
        for (size_t i = 0; i < n; i++) {
            size_t row = ego_rows_order(rows, epoch, i);
            CHECK(row < n && !seen[row]++);
            if (epoch == 0) first[i] = row;
            moved += epoch > 0 && row != first[i];
        }
    }
    CHECK(moved > 4 * n * 3 / 4);
    for (size_t i = 0; i < n; i++) CHECK(ego_rows_order(rows, 0, i) == first[i]);

    for (size_t row = 0; row < n; row++) {
        const ego_narrated_clip *a = ego_rows_get(rows, row);
        int seen[ROWS] = {0}, times = 4000, mates = 0;
        for (int k = 0; k < times; k++)
            seen[ego_rows_partner(rows, row, which, ego_rng_stream(8, (uint64_t)k))]++;
        for (size_t i = 0; i < n; i++) {
            const ego_narrated_clip *b = ego_rows_get(rows, i);
            bool mate = strcmp(a->video, b->video) == 0 &&
                        floor(a->narration_time / 60) == floor(b->narration_time / 60);
            mates += mate;
            CHECK(mate == (seen[i] > 0));
        }
        for (size_t i = 0; i < n; i++)
            if (seen[i])
                CHECK_NEAR(seen[i], (double)times / mates, 6 * sqrt((double)times / mates));
    }
    ego_rows_close(rows);
    options.scene_seconds = 0;
    rows = opened(&options);
    for (size_t row = 0; row < n; row++) CHECK(ego_rows_partner(rows, row, which, row) == row);
    ego_rows_close(rows);
}

static bool share(const ego_tags *a, const ego_tags *b) {
    for (size_t i = 0; i < a->count * b->count; i++)
        if (a->ids[i / b->count] == b->ids[i % b->count]) return true;
    return false;
}

/* Every row of the scene with a shared noun and no shared verb is drawn, and no other where there is one. */
static void alike_partners(void) {
    ego_rows_options options = usual();
    const ego_partners which = EGO_PARTNERS_ALIKE;
    ego_rows *rows = opened(&options);
    size_t n = ego_rows_count(rows), with = 0, without = 0;
    for (size_t row = 0; row < n; row++) {
        const ego_narrated_clip *a = ego_rows_get(rows, row);
        int seen[ROWS] = {0}, times = 2000, mates = 0, others = 0, drawn = 0;
        for (int k = 0; k < times; k++)
            seen[ego_rows_partner(rows, row, which, ego_rng_stream(8, (uint64_t)k))]++;
        for (size_t i = 0; i < n; i++) {
            const ego_narrated_clip *b = ego_rows_get(rows, i);
            if (strcmp(a->video, b->video) != 0 ||
                floor(a->narration_time / 60) != floor(b->narration_time / 60))
                continue;
            bool alike = share(&a->nouns, &b->nouns) && !share(&a->verbs, &b->verbs);
            mates++;
            others += alike;
            drawn += seen[i] > 0 && alike;
            if (alike) CHECK(seen[i] > 0);
        }
        int kinds = 0;
        for (size_t i = 0; i < n; i++) kinds += seen[i] > 0;
        CHECK(kinds == (others ? others : mates) && drawn == others);
        *(others ? &with : &without) += 1;
    }
    CHECK(with > 0 && without > 0);
    ego_rows_close(rows);
}

static void options_that_make_no_sense(void) {
    ego_rows *rows = NULL;
    ego_rows_options o = with_cache();
    o.moments = 0;
    CHECK_ERR(EGO_EINPUT, ego_rows_open(&o, &rows));
    CHECK(strstr(ego_err_message(), "moments") != NULL);
    o = with_cache();
    o.augment = false;
    CHECK_ERR(EGO_EINPUT, ego_rows_open(&o, &rows));
    o = usual();
    o.sampling = EGO_SAMPLING_REFERENCE;
    CHECK_ERR(EGO_EINPUT, ego_rows_open(&o, &rows));
    o.sampling = EGO_SAMPLING_EPIC;
    CHECK_ERR(EGO_EINPUT, ego_rows_open(&o, &rows));
    o = usual();
    o.frames = 0;
    CHECK_ERR(EGO_EINPUT, ego_rows_open(&o, &rows));
    o = usual();
    o.size = 1 << 20;
    CHECK_ERR(EGO_EINPUT, ego_rows_open(&o, &rows));
    o = usual();
    o.scene_seconds = NAN;
    CHECK_ERR(EGO_EINPUT, ego_rows_open(&o, &rows));
    o = usual();
    o.annotations = "/nowhere.csv";
    CHECK_ERR(EGO_EIO, ego_rows_open(&o, &rows));
}

/* Closed with work in every queue. */
static void closed_early(void) {
    for (int k = 0; k < 8; k++) {
        ego_rows_options options = k % 2 ? with_cache() : usual();
        options.threads = 2;
        ego_rows *rows = opened(&options);
        for (size_t i = 0; i < 30; i++) CHECK_OK(ego_rows_submit(rows, i, i));
        for (int i = 0; i < k; i++) {
            ego_row_sample sample = {0};
            CHECK_OK(ego_rows_next(rows, &sample));
            ego_row_sample_release(&sample);
        }
        CHECK(ego_rows_outstanding(rows) == 30 - (size_t)k);
        ego_rows_close(rows);
    }
    ego_rows_close(NULL);
}

int main(void) {
    snprintf(folder, sizeof folder, "%s/ego-rows-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(folder)) return 1;
    CHECK(mkdir(path_of("c"), 0777) == 0);
    make_video("a.mp4", 0);
    make_video("b.mp4", 1);
    make_video("c/0.mp4", 2);
    write_rows("rows.csv", 0, ROWS);
    CHECK_OK(ego_bpe_new_bytes(EGO_BPE_BYTES_VOCAB, &bpe));
    nothing_but_row_and_stream_matters();
    the_cache_changes_nothing();
    damage_changes_nothing();
    a_full_cache_changes_nothing();
    a_new_video_is_read_anew();
    filling();
    equals_what_is_made_by_hand(true, M, true);
    recoloured();
    words_for_colours();
    equals_what_is_made_by_hand(true, 0, false);
    equals_what_is_made_by_hand(false, 0, true);
    reference_sampling(true);
    reference_sampling(false);
    bad_rows_are_replaced();
    order_and_partners();
    alike_partners();
    options_that_make_no_sense();
    closed_early();
    ego_bpe_free(bpe);
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0);
    return check_done();
}
