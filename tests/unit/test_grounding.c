/* From a video and texts to spans: the grid's clips against clips read one by one, features against the encoders run
 * on each clip and pair alone, the store, zero-shot scores against their definition, a head's answer. */
#include "check.h"
#include "media_files.h"

#include "base/file.h"
#include "model/heads.h"
#include "task/grounding.h"
#include "task/timeline.h"
#include "task/vslnet.h"

enum { DIM = 32, SIZE = 16, FRAMES = 4, WIDTH = 24, FLOATS = FRAMES * 3 * SIZE * SIZE };

static ego_pool *pool;
static ego_backend *backend;
static ego_ctx cx;
static ego_model *model;
static char mine[64], store[600]; /* a folder of our own with the video in it, and one in that */

static const ego_video_part part = {"h264.mp4", 1.5, 7};
static const char *const texts[] = {"C opens the bottle", "#C C waits"};

static void open_model(void) {
    ego_config c = ego_config_default();
    c.dim = DIM, c.heads = 4, c.depth = 3, c.mlp_ratio = 2, c.fuse_layers = 2;
    c.patch = 8, c.image_size = SIZE, c.frames = FRAMES, c.vocab = 300, c.max_positions = 40;
    for (int i = 0; i < 3; i++) c.projection[i] = WIDTH;
    CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 1, NULL, &model));
}

static ego_feature_options reading(void) {
    return (ego_feature_options){.video_root = mine, .batch = 3, .model_id = "a model"};
}

/* ---- the grid ------------------------------------------------------------------------------------ */

static float *pixels; /* (T, FLOATS), clips read one by one */
static int64_t clip_count;

static void read_alone(const ego_clip_grid *g, ego_sampling sampling, float *out) {
    ego_clips *clips = NULL;
    ego_clips_options o = {.video_root = mine,
                           .sampling = ego_clip_grid_reader(sampling),
                           .frames = FRAMES,
                           .size = SIZE};
    CHECK_OK(ego_clips_open(&o, &clips));
    for (int64_t i = g->count; i-- > 0;) { /* backwards: order changes nothing */
        ego_clip *clip = NULL;
        ego_clip_request request = {.video = "h264.mp4", .at = g->at + i * FRAMES};
        CHECK_OK(ego_clips_submit(clips, &request));
        CHECK_OK(ego_clips_next(clips, &clip));
        if (CHECK(clip && clip->err == EGO_OK))
            memcpy(out + i * FLOATS, clip->pixels, FLOATS * sizeof *out);
        ego_clip_free(clip);
    }
    ego_clips_close(clips);
}

typedef struct seen {
    int64_t clips, calls;
    bool same;
    ego_err fail;
} seen;

static ego_err see(void *context, const ego_tensor *clips, int64_t first) {
    seen *s = context;
    CHECK(first == s->clips);
    s->same &= memcmp(clips->data, pixels + first * FLOATS,
                      (size_t)clips->shape[0] * FLOATS * sizeof(float)) == 0;
    s->clips += clips->shape[0];
    s->calls++;
    return s->fail ? ego_fail(s->fail, "enough") : EGO_OK;
}

static void test_grid(void) {
    ego_clip_grid g = {0};
    ego_clips *clips = NULL;
    ego_clips_options o = {.video_root = mine, .frames = FRAMES, .size = SIZE, .window = 4};
    CHECK_OK(ego_clip_grid_make(mine, &part, EGO_SAMPLING_TIME, FRAMES, &g));
    CHECK(g.count == 10 && g.start == 1.5 && g.end == 7); /* trunc(5.5·1.87·4 + 1) = 42 */
    CHECK_NEAR(g.step, 5.5 / 42 * 4, 1e-12);
    clip_count = g.count;
    pixels = calloc((size_t)clip_count * FLOATS, sizeof *pixels);
    read_alone(&g, EGO_SAMPLING_TIME, pixels);
    CHECK_OK(ego_clips_open(&o, &clips));
    seen s = {.same = true};
    CHECK_OK(ego_clip_grid_read(&g, "h264.mp4", clips, SIZE, 3, see, &s));
    CHECK(s.same && s.clips == 10 && s.calls == 4);
    s = (seen){.same = true, .fail = EGO_ECANCELLED}; /* a visit's failure empties the reader */
    CHECK_ERR(EGO_ECANCELLED, ego_clip_grid_read(&g, "h264.mp4", clips, SIZE, 3, see, &s));
    CHECK_STR(ego_err_message(), "enough");
    CHECK(ego_clips_outstanding(clips) == 0 && s.calls == 1);
    ego_clips_close(clips);
    ego_clip_grid_release(&g);
}

static void test_grid_by_number(void) {
    ego_clip_grid g = {0};
    double bits = 0;
    CHECK_OK(ego_clip_grid_make(mine, &(ego_video_part){"h264.mp4", 8, 12}, EGO_SAMPLING_REFERENCE,
                                FRAMES, &g));
    CHECK(g.count == 7 && g.end == 12); /* by what was told, though the file ends at 10 s */
    CHECK(g.at[0] == 240 && g.at[7 * 4 - 1] < 300);
    float *numbered = calloc((size_t)g.count * FLOATS, sizeof *numbered);
    read_alone(&g, EGO_SAMPLING_REFERENCE, numbered);
    for (int i = 0; i < FLOATS; i++) bits += (double)numbered[i];
    CHECK(bits != 0);
    free(numbered);
    ego_clip_grid_release(&g);
}

static void test_grid_faults(void) {
    ego_clip_grid g = {0};
    const ego_video_part late = {"h264.mp4", 11, 12}, empty = {"h264.mp4", 3, 3},
                         gone = {"gone.mp4", 0, 1}, flash = {"h264.mp4", 2, 2.1},
                         whole = {"h264.mp4", NAN, NAN};
    CHECK_ERR(EGO_EINPUT, ego_clip_grid_make(mine, &late, EGO_SAMPLING_TIME, FRAMES, &g));
    CHECK_ERR(EGO_EINPUT, ego_clip_grid_make(mine, &empty, EGO_SAMPLING_TIME, FRAMES, &g));
    CHECK_ERR(EGO_EIO, ego_clip_grid_make(mine, &gone, EGO_SAMPLING_TIME, FRAMES, &g));
    CHECK_ERR(EGO_EINPUT, ego_clip_grid_make(mine, &flash, EGO_SAMPLING_REFERENCE, FRAMES, &g));
    CHECK_OK(ego_clip_grid_make(mine, &flash, EGO_SAMPLING_TIME, FRAMES, &g));
    CHECK(g.count == 1 && fabs(g.step - 0.1) < 1e-9 && fabs(g.at[0] - 2.0125) < 1e-9);
    ego_clip_grid_release(&g);
    CHECK_OK(ego_clip_grid_make(mine, &whole, EGO_SAMPLING_TIME, FRAMES, &g));
    CHECK(g.start == 0 && fabs(g.end - 10) < 1e-6 && g.count == 18);
    ego_clip_grid_release(&g);
}

/* ---- features ------------------------------------------------------------------------------------- */

enum { ALL = 63 };

static ego_clip_features read_all(const char *folder, const ego_video_part *p,
                                  ego_feature_counts *counts) {
    ego_feature_reader *reader = NULL;
    ego_clip_features f = {0};
    ego_feature_options o = reading();
    o.store = folder;
    CHECK_OK(ego_features_open(&cx, model, &o, &reader));
    CHECK_OK(ego_features_read(reader, p, texts, 2, ALL, &f));
    *counts = ego_features_get_counts(reader);
    ego_features_close(reader);
    return f;
}

static bool same_rows(const ego_tensor *got, int64_t row, const ego_tensor *want) {
    int64_t n = ego_tensor_columns(want);
    return ego_tensor_columns(got) == n &&
           memcmp(ego_f32(got) + row * n, want->data, (size_t)n * sizeof(float)) == 0;
}

/* Each clip and each pair through the encoders alone. */
static void test_features(void) {
    ego_feature_counts counts;
    ego_clip_features f = read_all(NULL, &part, &counts);
    CHECK(counts.videos == 1 && counts.clips == (uint64_t)clip_count && counts.stored == 0);
    CHECK(counts.pairs == 2 * (uint64_t)clip_count);
    for (size_t q = 0; q < 2; q++) {
        ego_tokens tokens = {0};
        CHECK_OK(ego_bpe_encode(model->bpe, texts[q], strlen(texts[q]), 38, &tokens));
        int64_t offsets[2] = {0, (int64_t)tokens.count};
        ego_input in = {.texts = {tokens.ids, {1, offsets, 0, NULL}}, .text = EGO_WANT_TOKENS};
        ego_ctx_mark mark = ego_ctx_save(&cx);
        const ego_tensor *words = ego_encode(&cx, model, &in, EGO_DUAL).text;
        CHECK(ego_tensor_same_shape(words, &f.texts[q].words));
        CHECK(memcmp(words->data, f.texts[q].words.data, (size_t)ego_tensor_count(words) * 4) == 0);
        ego_ctx_rewind(&cx, &mark);
        for (int64_t t = 0; t < clip_count; t++) {
            ego_tensor clip = {pixels + t * FLOATS, EGO_F32, 5, {1, FRAMES, 3, SIZE, SIZE}, NULL};
            in.clips = &clip;
            in.video = in.text = EGO_WANT_CLASS;
            ego_states dual = ego_encode(&cx, model, &in, EGO_DUAL);
            ego_tensor *projected =
                ego_project_video(&cx, &model->config, model->params, dual.video);
            ego_tensor *sentence = ego_project_text(&cx, &model->config, model->params, dual.text);
            ego_states fused = ego_encode(&cx, model, &in, EGO_FUSED);
            ego_tensor *match =
                ego_softmax(&cx, ego_match_logits(&cx, model->params, fused.text, fused.video));
            CHECK(same_rows(&f.dual, t, dual.video));
            CHECK(same_rows(&f.projected, t, ego_l2_normalize(&cx, projected)));
            CHECK(same_rows(&f.texts[q].sentence, 0, ego_l2_normalize(&cx, sentence)));
            CHECK(same_rows(&f.texts[q].fused, t, fused.video));
            CHECK(ego_f32(&f.texts[q].match)[t] == ego_f32(match)[1]);
            CHECK_OK(ego_ctx_err(&cx));
            ego_ctx_rewind(&cx, &mark);
        }
        ego_tokens_release(&tokens);
    }
    ego_features_release(&f);
}

static void damage(void) {
    char command[700];
    snprintf(command, sizeof command,
             "for f in '%s'/fused/*; do echo damaged > \"$f\"; break; done", store);
    CHECK(system(command) == 0);
}

/* The next question about the same part finds its clips encoded. */
static void test_last(void) {
    ego_feature_reader *reader = NULL;
    ego_clip_features a = {0}, b = {0};
    ego_feature_options o = reading();
    CHECK_OK(ego_features_open(&cx, model, &o, &reader));
    CHECK_OK(ego_features_read(reader, &part, texts, 1,
                               EGO_FEATURES_PROJECTED | EGO_FEATURES_SENTENCE, &a));
    CHECK_OK(ego_features_read(reader, &part, texts + 1, 1,
                               EGO_FEATURES_PROJECTED | EGO_FEATURES_SENTENCE, &b));
    CHECK(ego_features_get_counts(reader).videos == 1 && b.grid.count == clip_count &&
          b.grid.end == 7);
    CHECK(memcmp(a.projected.data, b.projected.data, (size_t)clip_count * WIDTH * 4) == 0);
    ego_features_release(&b);
    CHECK_OK(
        ego_features_read(reader, &part, NULL, 0, EGO_FEATURES_DUAL | EGO_FEATURES_PROJECTED, &b));
    CHECK(ego_features_get_counts(reader).videos == 2 && b.dual.data);
    ego_features_release(&a);
    ego_features_release(&b);
    const ego_video_part rest = {"h264.mp4", 1.5, NAN};
    CHECK_OK(ego_features_read(reader, &rest, NULL, 0, EGO_FEATURES_PROJECTED, &b));
    CHECK_OK(ego_features_read(reader, &rest, NULL, 0, EGO_FEATURES_PROJECTED, &a));
    CHECK(ego_features_get_counts(reader).videos == 3 && b.grid.count == a.grid.count);
    ego_features_release(&a);
    ego_features_release(&b);
    ego_features_close(reader);
}

/* What the store gives is what was computed; without the video too. */
static void test_store(void) {
    ego_feature_counts counts;
    ego_clip_features f = read_all(NULL, &part, &counts);
    ego_clip_features first = read_all(store, &part, &counts);
    CHECK(counts.stored == 0 && counts.videos == 1);
    damage();
    ego_clip_features second = read_all(store, &part, &counts);
    CHECK(counts.stored == 9 && counts.videos == 1); /* all but one of 2 + 2·4 */
    char here[100], away[100];
    snprintf(here, sizeof here, "%s/h264.mp4", mine);
    snprintf(away, sizeof away, "%s/away.mp4", mine);
    CHECK(rename(here, away) == 0);
    ego_clip_features third = read_all(store, &part, &counts);
    CHECK(counts.stored == 10 && counts.videos == 0);
    CHECK(rename(away, here) == 0);
    const ego_clip_features *all[] = {&first, &second, &third};
    size_t D = (size_t)clip_count * DIM * sizeof(float);
    for (int i = 0; i < 3; i++) {
        CHECK(all[i]->grid.count == clip_count && all[i]->grid.step == f.grid.step &&
              all[i]->grid.start == 1.5 && all[i]->grid.end == 7);
        CHECK(memcmp(all[i]->dual.data, f.dual.data, D) == 0);
        for (int q = 0; q < 2; q++) {
            CHECK(memcmp(all[i]->texts[q].fused.data, f.texts[q].fused.data, D) == 0);
            CHECK(memcmp(all[i]->texts[q].match.data, f.texts[q].match.data,
                         (size_t)clip_count * 4) == 0);
            CHECK(ego_tensor_same_shape(&all[i]->texts[q].words, &f.texts[q].words));
        }
    }
    ego_features_release(&f);
    ego_features_release(&first);
    ego_features_release(&second);
    ego_features_release(&third);
}

/* ---- answers -------------------------------------------------------------------------------------- */

static ego_grounding *ask(ego_grounding_options o, const ego_video_part *p,
                          ego_grounding_item *items, size_t n) {
    ego_grounding *g = NULL;
    o.features.video_root = mine;
    CHECK_OK(ego_grounding_open(&cx, model, &o, &g));
    CHECK_OK(ego_grounding_ask(g, p, items, n));
    return g;
}

/* The score of a span by its definition: clips first … first + count − 1. */
static double score_of(const ego_clip_features *f, size_t q, const ego_span *s,
                       ego_grounding_mode mode) {
    int64_t first = llrint((s->start - f->grid.start) / f->grid.step),
            last = llrint((s->end - f->grid.start) / f->grid.step);
    double sum[WIDTH] = {0}, dot = 0, square = 0, match = 0;
    for (int64_t t = first; t < last; t++) {
        for (int c = 0; c < WIDTH; c++) sum[c] += (double)ego_f32(&f->projected)[t * WIDTH + c];
        match += (double)ego_f32(&f->texts[q].match)[t] / (double)(last - first);
    }
    for (int c = 0; c < WIDTH; c++) {
        dot += sum[c] * (double)ego_f32(&f->texts[q].sentence)[c];
        square += sum[c] * sum[c];
    }
    dot /= sqrt(square);
    return mode == EGO_GROUNDING_DUAL ? dot : mode == EGO_GROUNDING_FUSED ? match : dot + match;
}

static void test_zero_shot(void) {
    ego_feature_counts counts;
    ego_clip_features f = read_all(NULL, &part, &counts);
    for (int mode = EGO_GROUNDING_DUAL; mode <= EGO_GROUNDING_ENSEMBLE; mode++) {
        ego_grounding_item items[3] = {{.text = texts[0]}, {.text = texts[1]}, {.text = texts[0]}};
        ego_grounding_options o = {.mode = (ego_grounding_mode)mode, .answers = 4, .overlap = 0.3};
        ego_grounding_close(ask(o, &part, items, 3));
        for (size_t i = 0; i < 3; i++) {
            const ego_grounding_item *it = &items[i];
            CHECK(it->err == EGO_OK && it->found >= 1 && it->found <= 4 &&
                  it->curve_count == clip_count);
            for (size_t k = 0; k < it->found; k++) {
                CHECK_NEAR(it->spans[k].score,
                           score_of(&f, i % 2, &it->spans[k], (ego_grounding_mode)mode), 1e-6);
                CHECK(it->spans[k].start >= 1.5 && it->spans[k].end <= 7);
                CHECK(k == 0 || it->spans[k].score <= it->spans[k - 1].score);
                for (size_t m = 0; m < k; m++)
                    CHECK(ego_span_iou(&it->spans[k], &it->spans[m]) <= 0.3);
            }
        }
        CHECK(memcmp(items[0].spans, items[2].spans, items[0].found * sizeof(ego_span)) == 0);
        for (int i = 0; i < 3; i++) ego_grounding_item_release(&items[i]);
    }
    ego_features_release(&f);
}

/* The best window overall is found: every window's score is at most that of the first answer. */
static void test_all_windows(void) {
    ego_feature_counts counts;
    ego_clip_features f = read_all(NULL, &part, &counts);
    ego_grounding_item item = {.text = texts[0]};
    const double lengths[] = {1, 3};
    ego_grounding_options o = {.answers = 1000, .overlap = 1, .lengths = lengths, .n_lengths = 2};
    ego_grounding_close(ask(o, &part, &item, 1));
    CHECK(item.found == 9 + 5); /* 2 and 6 of 10 clips */
    for (size_t k = 0; k < item.found; k++)
        CHECK_NEAR(item.spans[k].score, score_of(&f, 0, &item.spans[k], EGO_GROUNDING_DUAL), 1e-6);
    ego_grounding_item_release(&item);
    ego_features_release(&f);
}

static void test_faults(void) {
    ego_grounding_item items[2] = {{.text = "x"}, {.text = "y"}};
    const ego_video_part gone = {"gone.mp4", NAN, NAN};
    ego_grounding *g = ask((ego_grounding_options){.answers = 1}, &gone, items, 2);
    CHECK(items[0].err == EGO_EIO && items[1].err == EGO_EIO &&
          strstr(items[1].message, "gone.mp4"));
    CHECK_OK(ego_grounding_ask(g, &part, items, 1)); /* and the next is answered */
    CHECK(items[0].err == EGO_OK && items[0].found == 1);
    ego_grounding_item_release(&items[0]);
    ego_grounding_close(g);
    const double bad[] = {1, -1};
    ego_grounding_options o = {.lengths = bad, .n_lengths = 2};
    CHECK_ERR(EGO_EINPUT, ego_grounding_open(&cx, model, &o, &g));
}

/* ---- a head --------------------------------------------------------------------------------------- */

static ego_head *make_head(const ego_head_kind *kind, int64_t width, int64_t positions) {
    ego_head *head = NULL;
    ego_head_config c = ego_head_config_default(kind);
    c.vslnet = (ego_vslnet_config){width, width, 16, 2, positions};
    CHECK_OK(ego_head_create(kind, &c, 3, &head));
    return head;
}

/* What ego_vslnet_forward makes of the features, in seconds. */
static void check_head(ego_head *head, bool fast, const ego_grounding_item *item) {
    ego_feature_reader *reader = NULL;
    ego_clip_features f = {0};
    ego_feature_options o = reading();
    float pooled[16 * DIM];
    ego_vslnet_answer best[3];
    ego_vslnet_output out;
    int64_t n, most = head->config.vslnet.positions;
    const char *shouted = " IT\n"; /* blanks and case are no part of a question */
    o.max_tokens = EGO_GROUNDING_TOKENS;
    CHECK_OK(ego_features_open(&cx, model, &o, &reader));
    CHECK_OK(ego_grounding_features(reader, &part, &shouted, 1, fast, &f));
    const ego_tensor *x = fast ? &f.dual : &f.texts[0].fused;
    ego_vslnet_pool(ego_f32(x), clip_count, DIM, most, pooled, &n);
    ego_tensor video = {pooled, EGO_F32, 2, {n, DIM}, NULL};
    ego_vslnet_input in = {.video = &video,
                           .query = &f.texts[0].words,
                           .clips = n,
                           .tokens = f.texts[0].words.shape[0]};
    ego_ctx_mark mark = ego_ctx_save(&cx);
    CHECK_OK(ego_vslnet_forward(&cx, head, &in, &out));
    CHECK(ego_vslnet_best(ego_f32(out.start), ego_f32(out.end), n, 3, best) == 3 &&
          item->found == 3);
    CHECK(item->curve_count == n && memcmp(item->curve, out.highlight->data, (size_t)n * 4) == 0);
    for (size_t k = 0; k < item->found; k++) {
        CHECK(item->spans[k].score == best[k].score);
        CHECK_NEAR(item->spans[k].start, 1.5 + 5.5 * (double)best[k].span.start / (double)n, 1e-5);
        CHECK_NEAR(item->spans[k].end, 1.5 + 5.5 * (double)(best[k].span.end + 1) / (double)n,
                   1e-5);
    }
    ego_ctx_rewind(&cx, &mark);
    ego_features_release(&f);
    ego_features_close(reader);
}

static void test_head(void) {
    const ego_head_kind *const kinds[] = {&ego_head_vslnet, &ego_head_vslnet_small};
    for (int i = 0; i < 4; i++) {
        bool fast = i % 2;
        ego_head *head =
            make_head(kinds[i / 2], DIM, i / 2 ? 16 : 6); /* more positions than clips, and fewer */
        ego_grounding_item items[2] = {{.text = "it"}, {.text = "On"}};
        ego_grounding_options o = {.head = head, .fast = fast, .answers = 3, .overlap = 1};
        ego_grounding_close(ask(o, &part, items, 2));
        CHECK(items[0].err == EGO_OK && items[1].err == EGO_OK);
        check_head(head, fast, &items[0]);
        for (int q = 0; q < 2; q++) ego_grounding_item_release(&items[q]);
        o.overlap = 0.2;
        ego_grounding_close(ask(o, &part, items, 1));
        for (size_t a = 0; a < items[0].found; a++)
            for (size_t b = 0; b < a; b++)
                CHECK(ego_span_iou(&items[0].spans[a], &items[0].spans[b]) <= 0.2);
        ego_grounding_item_release(&items[0]);
        ego_head_close(head, backend);
    }
    ego_grounding *g = NULL;
    ego_head *wide = make_head(&ego_head_vslnet, DIM + 8, 16);
    ego_grounding_options o = {.head = wide};
    CHECK_ERR(EGO_EINPUT, ego_grounding_open(&cx, model, &o, &g));
    CHECK(strstr(ego_err_message(), "40 wide") && strstr(ego_err_message(), "32 wide"));
    ego_head_close(wide, backend);
}

/* ---- the picture ---------------------------------------------------------------------------------- */

static void test_timeline(void) {
    ego_timeline *t = NULL;
    ego_grounding_item items[2] = {{.text = texts[0]}, {.text = texts[1]}};
    char path[700];
    snprintf(path, sizeof path, "%s/timeline.png", store);
    CHECK_OK(ego_timeline_new(mine, &t));
    CHECK_ERR(EGO_EINPUT, ego_timeline_write(t, path));
    ego_grounding_close(
        ask((ego_grounding_options){.answers = 5, .overlap = 0.3}, &part, items, 2));
    ego_timeline_row row = {texts[0], &items[0], 2, 3};
    CHECK_OK(ego_timeline_add(t, &part, &row));
    items[1].curve[2] = NAN; /* is not drawn, and does no harm */
    row = (ego_timeline_row){
        "a question of many words, which are cut where there is no more room for them on its line",
        &items[1], NAN, NAN};
    CHECK_OK(ego_timeline_add(t, &part, &row));
    items[1].found = 0;
    CHECK_OK(ego_timeline_add(t, &part, &row));
    CHECK_OK(ego_timeline_write(t, path));
    CHECK(access(path, R_OK) == 0);
    ego_timeline_free(t);
    for (int i = 0; i < 2; i++) ego_grounding_item_release(&items[i]);
}

static bool make_folder(void) {
    char command[2048];
    snprintf(mine, sizeof mine, "/tmp/ego-grounding-XXXXXX");
    if (!mkdtemp(mine)) return false;
    snprintf(store, sizeof store, "%s/store", mine);
    snprintf(command, sizeof command, "mkdir '%s' && cp '%s' '%s'", store, media_path("h264.mp4"),
             mine);
    return system(command) == 0;
}

static void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", mine);
    CHECK(system(command) == 0);
}

int main(void) {
    if (!media_make("h264.mp4")) return check_skip("no ffmpeg to make a video with");
    if (!make_folder()) return check_skip("no folder to work in");
    CHECK_OK(ego_pool_new(2, &pool));
    CHECK_OK(ego_cpu_backend_new(pool, &backend));
    ego_ctx_init(&cx, backend);
    open_model();
    test_grid();
    test_grid_by_number();
    test_grid_faults();
    test_features();
    test_last();
    test_store();
    test_zero_shot();
    test_all_windows();
    test_faults();
    test_head();
    test_timeline();
    free(pixels);
    ego_model_close(model, backend);
    ego_ctx_release(&cx);
    ego_backend_free(backend);
    ego_pool_free(pool);
    remove_folder();
    media_remove();
    return check_done();
}
