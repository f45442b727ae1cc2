/* Questions about clips: texts, intervals, the head against double precision, and the session
 * against the fused encoder itself, whatever stands beside a question and however little is
 * remembered. */
#include "small_world.h"

#include "base/file.h"
#include "base/rng.h"
#include "model/heads.h"
#include "task/qa.h"
#include "task/qa_head.h"

#include <unistd.h>

enum { CLASSES = 7, WIDTH = 48, ROWS = 5, CLIPS = 5 };

static char folder[] = "/tmp/ego-qa-XXXXXX";

static const char *in_folder(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- texts and intervals --------------------------------------------------------------------- */

static void check_texts(void) {
    ego_buf text = {0};
    ego_qa_question_text(" \tWhat did I Wash?\r\n", &text);
    CHECK_STR(text.data, "what did i wash?");
    ego_buf_clear(&text);
    ego_qa_question_text("\xc3\x89T\xc3\xa9 ", &text); /* letters beyond ASCII stay as they are */
    CHECK_STR(text.data, "\xc3\x89t\xc3\xa9");
    ego_buf_clear(&text);
    ego_qa_question_text("  ", &text);
    CHECK(text.len == 0);
    ego_qa_statement(" What did I wash? ", "Cup\n", &text);
    CHECK_STR(text.data, "What did I wash? Cup");
    ego_buf_release(&text);
}

static void touch(const char *name) { CHECK_OK(ego_write_file(in_folder(name), "", 0)); }

static void check_intervals(void) {
    ego_arena arena;
    ego_video_part clip;
    ego_arena_init(&arena, 1 << 12);
    CHECK_OK(ego_make_directory(in_folder("qa_videos")));
    touch("a|fpv1|0|60.mp4");
    touch("qa_videos/a|fpv1|60|90.mp4");
    touch("a.mp4");
    CHECK_OK(ego_qa_find_interval(folder, "a|fpv1|0|60", 30, &arena, &clip));
    CHECK(isnan(clip.start) && isnan(clip.end));
    CHECK_STR(clip.video, "a|fpv1|0|60");
    CHECK_OK(ego_qa_find_interval(folder, "a|fpv1|60|90", 30, &arena, &clip));
    CHECK(isnan(clip.start) && isnan(clip.end));
    CHECK_STR(clip.video, "qa_videos/a|fpv1|60|90");
    CHECK_OK(ego_qa_find_interval(folder, "a|fpv1|90|150", 24, &arena, &clip));
    CHECK(clip.start == 90 / 24. && clip.end == 150 / 24.);
    CHECK_STR(clip.video, "a");
    static const char *const bad[] = {
        "a",    "a|5",    "a|9|5",     "a|x|9",   "a|5|",
        "|5|9", "a|-5|9", "a|5|9x",    "",        "|",
        "a||",  "a|5|5",  "a|1e3|2e3", "b|f|5|9", "a|99999999999999999999|9"};
    CHECK_OK(ego_qa_find_interval(folder, "a|5|9", 30, &arena,
                                  &clip)); /* no view: nothing asks for one */
    touch("whole.mp4");
    CHECK_OK(ego_qa_find_interval(folder, "whole", 30, &arena, &clip));
    CHECK(isnan(clip.start) && isnan(clip.end));
    CHECK(remove(in_folder("a.mp4")) == 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(ego_qa_find_interval(folder, bad[i], 30, &arena, &clip) != EGO_OK);
    ego_arena_release(&arena);
}

static void check_best(void) {
    static const float scores[] = {0.1f, 0.7f, NAN, 0.7f, 0.9f, 0.1f};
    size_t order[6];
    ego_qa_best(scores, 6, 6, order);
    static const size_t want[] = {4, 1, 3, 0, 5, 2};
    CHECK(memcmp(order, want, sizeof want) == 0);
    ego_qa_best(scores, 6, 2, order);
    CHECK(order[0] == 4 && order[1] == 1);
    ego_qa_best(scores + 2, 1, 1, order);
    CHECK(order[0] == 0);
}

/* ---- the head -------------------------------------------------------------------------------- */

static double weight_at(const ego_param *p, int64_t i) { return ego_f32(&p->value)[i]; }

/* The head in double: logits[ROWS · CLASSES]. */
static void reference(const ego_head *head, const float *x, const ego_dropout *drop,
                      double *logits) {
    const ego_linear_params *p = head->params.qa.projector;
    for (int64_t r = 0; r < ROWS; r++) {
        double hidden[CLASSES];
        for (int64_t a = 0; a < CLASSES; a++) {
            double sum = weight_at(&p[0].bias, a);
            for (int64_t c = 0; c < WIDTH; c++)
                sum += weight_at(&p[0].weight, a * WIDTH + c) * x[r * WIDTH + c];
            hidden[a] = sum > 0 ? sum : 0;
            if (!drop->p) continue;
            uint64_t stream = ego_rng_stream(drop->streams[r], drop->site);
            bool stays = ego_rng_unit(stream, (uint64_t)a) >= drop->p;
            hidden[a] = stays ? hidden[a] / (1 - (double)drop->p) : 0;
        }
        for (int64_t a = 0; a < CLASSES; a++) {
            double sum = weight_at(&p[1].bias, a);
            for (int64_t c = 0; c < CLASSES; c++)
                sum += weight_at(&p[1].weight, a * CLASSES + c) * hidden[c];
            logits[r * CLASSES + a] = sum;
        }
    }
}

static void compare(ego_ctx *cx, ego_head *head, const float *x, ego_dropout drop) {
    double want[ROWS * CLASSES], error = 0, norm = 0;
    float copy[ROWS * WIDTH];
    memcpy(copy, x, sizeof copy);
    ego_tensor in = {copy, EGO_F32, 2, {ROWS, WIDTH}};
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_tensor *got = ego_qa_logits(cx, head, &in, drop);
    CHECK_OK(ego_ctx_err(cx));
    reference(head, x, &drop, want);
    for (int i = 0; got && i < ROWS * CLASSES; i++) {
        error += (ego_f32(got)[i] - want[i]) * (ego_f32(got)[i] - want[i]);
        norm += want[i] * want[i];
    }
    CHECK(norm > 0 && sqrt(error / norm) < 1e-6);
    ego_ctx_rewind(cx, &mark);
}

static void check_head(ego_ctx *cx) {
    static const char *const names[] = {"<UNK0>", "yes", "no", "the other person", "", "left", "3"};
    ego_head_config config = {.qa = {.width = WIDTH, .answers = CLASSES}};
    float x[ROWS * WIDTH];
    uint64_t streams[ROWS] = {11, 12, 13, 14, 15};
    ego_head *head = NULL, *again = NULL;
    ego_names read;
    ego_arena arena;
    ego_arena_init(&arena, 1 << 12);
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)ego_rng_normal(5, (uint64_t)i);
    if (!CHECK_OK(ego_head_create(&ego_head_qa, &config, 3, &head))) return;
    compare(cx, head, x, (ego_dropout){0});
    compare(cx, head, x, (ego_dropout){.p = EGO_QA_DROPOUT, .streams = streams, .site = 4});
    CHECK_OK(ego_qa_head_answers(head, NULL, &arena, &read));
    CHECK(read.count == 0);
    CHECK_OK(ego_qa_head_set_answers(head, &(ego_names){names, CLASSES}));
    CHECK_OK(ego_head_save(head, in_folder("head.safetensors"), EGO_F32));
    if (CHECK_OK(ego_head_open(in_folder("head.safetensors"), &ego_head_qa, &again))) {
        compare(cx, again, x, (ego_dropout){0});
        CHECK_OK(ego_qa_head_answers(again, NULL, &arena, &read));
        CHECK(read.count == CLASSES);
        for (size_t i = 0; i < read.count; i++) CHECK_STR(read.names[i], names[i]);
        CHECK_OK(ego_write_file(in_folder("six"), "a\nb\nc\nd\ne\nf\n", 12));
        CHECK_ERR(EGO_EINPUT, ego_qa_head_answers(again, in_folder("six"), &arena, &read));
    }
    ego_head_close(again, cx->backend);
    ego_head_close(head, cx->backend);
    ego_arena_release(&arena);
}

/* A fine-tuned checkpoint as the official trainer writes it; logits computed by PyTorch in
 * double. */
static void check_official(ego_ctx *cx) {
    static const double want[6] = {1.2000968672805998, 3.0728318367745597, -2.358393180270337,
                                   -0.562571490929363, 1.5113154435024738, 1.9941764633828636};
    static const char path[] = "tests/unit/data/qa-finetuned.tar";
    float x[8];
    ego_head *head = NULL;
    ego_model *model = NULL;
    for (int i = 0; i < 8; i++) x[i] = (float)i / 4 - 1;
    ego_tensor in = {x, EGO_F32, 2, {1, 8}};
    if (!CHECK_OK(ego_head_open(path, &ego_head_qa, &head))) return;
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_tensor *logits = ego_qa_logits(cx, head, &in, (ego_dropout){0});
    CHECK_OK(ego_ctx_err(cx));
    for (int i = 0; logits && i < 6; i++) CHECK_NEAR(ego_f32(logits)[i], want[i], 4e-6);
    ego_ctx_rewind(cx, &mark);
    ego_head_close(head, cx->backend);
    ego_model_options options = {.needs = EGO_NEEDS_FUSED | EGO_NEEDS_VTM};
    if (CHECK_OK(ego_model_open(path, &options, &model)))
        CHECK(model->config.frames == 16 && ego_qa_head_inside(model->weights));
    ego_model_close(model, cx->backend);
}

/* ---- the session ----------------------------------------------------------------------------- */

static const char *const words[] = {"what did i wash?", "which hand", "red", "",
                                    "did i open the blue box?"};
enum { TEXTS = sizeof words / sizeof *words };

static void make_video(const char *name, uint64_t seed) { make_noise(in_folder(name), 40, seed, 4, 300); }

static ego_model *small_model(ego_pool *pool) {
    ego_config c = small_config(2, 1);
    ego_model *model = NULL;
    CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 1, pool, &model));
    return model;
}

typedef struct asked {
    ego_qa_item item;
    float states[TEXTS * D], matches[TEXTS];
} asked;

static void ask(ego_ctx *cx, ego_model *model, const ego_qa_options *options,
                const ego_video_part *clips, const int *which, size_t n, asked *out) {
    ego_qa_session *session = NULL;
    ego_qa_item items[2 * CLIPS];
    if (!CHECK_OK(ego_qa_open(cx, model, options, &session))) return;
    for (size_t i = 0; i < n; i++)
        items[i] = (ego_qa_item){.clip = clips[which[i]],
                                 .texts = words,
                                 .count = TEXTS,
                                 .states = out[which[i]].states,
                                 .matches = out[which[i]].matches};
    CHECK_OK(ego_qa_ask(session, items, n));
    for (size_t i = 0; i < n; i++) {
        out[which[i]].item = items[i];
        if (which[i] == CLIPS - 1)
            CHECK(items[i].err == EGO_EIO && strstr(items[i].message, "missing"));
        else
            CHECK_OK(items[i].err);
    }
    ego_qa_close(session);
}

/* The pair through ego_encode, from the pixels. */
static void encode(ego_ctx *cx, ego_model *model, float *pixels, const char *text, float *state,
                   float *match) {
    ego_tokens tokens = {0};
    CHECK_OK(ego_bpe_encode(model->bpe, text, strlen(text), EGO_QA_TOKENS, &tokens));
    int64_t offsets[2] = {0, (int64_t)tokens.count};
    ego_tensor clip = {pixels, EGO_F32, 5, {1, FRAMES, 3, SIDE, SIDE}};
    ego_input in = {.clips = &clip,
                    .texts = {tokens.ids, {1, offsets}},
                    .video = EGO_WANT_CLASS,
                    .text = EGO_WANT_CLASS};
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_states x = ego_encode(cx, model, &in, EGO_FUSED);
    ego_tensor *p = ego_softmax(cx, ego_match_logits(cx, model->params, x.text, x.video));
    CHECK_OK(ego_ctx_err(cx));
    memcpy(state, ego_f32(x.video), D * sizeof *state);
    *match = ego_f32(p)[1];
    ego_ctx_rewind(cx, &mark);
    ego_tokens_release(&tokens);
}

static void check_pair(ego_ctx *cx, ego_model *model, ego_clips *reader, const ego_video_part *c,
                       const asked *got) {
    ego_clip *clip = NULL;
    float state[D], match;
    ego_clip_request request = {
        .video = c->video, .whole = isnan(c->start), .start = c->start, .end = c->end};
    CHECK_OK(ego_clips_submit(reader, &request));
    CHECK_OK(ego_clips_next(reader, &clip));
    for (int k = 0; clip && clip->pixels && k < TEXTS; k++) {
        encode(cx, model, clip->pixels, words[k], state, &match);
        CHECK(memcmp(state, got->states + k * D, sizeof state) == 0);
        CHECK(match == got->matches[k]);
    }
    ego_clip_free(clip);
}

static void check_session(ego_ctx *cx, ego_pool *pool) {
    static const ego_video_part clips[CLIPS] = {
        {"v.mp4", NAN, NAN}, {"v.mp4", 1, 2}, {"w", NAN, NAN}, {"w", 0.5, 9}, {"missing", NAN, NAN}};
    static const int order[] = {0, 1, 2, 3, 4}, other[] = {4, 3, 1, 0, 2, 3, 0};
    static asked first[CLIPS], second[CLIPS];
    ego_model *model = small_model(pool);
    ego_clips *reader = NULL;
    if (!model) return;
    make_video("v.mp4", 100);
    make_video("w.mp4", 900);
    ego_qa_options options = {.match = true,
                              .halves = {.max_tokens = EGO_QA_TOKENS,
                                         .clips = {.video_root = folder, .frames = FRAMES, .size = SIDE}}};
    ask(cx, model, &options, clips, order, 5, first);
    CHECK_OK(ego_clips_open(&options.halves.clips, &reader));
    for (int i = 0; i < CLIPS - 1; i++) check_pair(cx, model, reader, &clips[i], &first[i]);
    ego_clips_close(reader);
    options.halves.memory = 1; /* nothing can be remembered */
    ask(cx, model, &options, clips, other, 7, second);
    for (int i = 0; i < CLIPS - 1; i++)
        CHECK(memcmp(first[i].states, second[i].states, sizeof first[i].states) == 0 &&
              memcmp(first[i].matches, second[i].matches, sizeof first[i].matches) == 0);
    /* Frames that are drawn depend on seed and clip alone. */
    options.halves.clips.sampling = EGO_SAMPLING_TASKQA;
    options.halves.seed = 1;
    ask(cx, model, &options, clips, order, 5, first);
    ask(cx, model, &options, clips, other, 7, second);
    for (int i = 0; i < CLIPS - 1; i++)
        CHECK(memcmp(first[i].states, second[i].states, sizeof first[i].states) == 0);
    options.halves.seed = 2;
    ask(cx, model, &options, clips, order, 5, second);
    CHECK(memcmp(first[0].states, second[0].states, sizeof first[0].states) != 0);
    ego_model_close(model, cx->backend);
}

int main(void) {
    ego_pool *pool = NULL;
    ego_backend *backend = NULL;
    ego_ctx cx;
    char remove_all[64];
    if (!CHECK(mkdtemp(folder) != NULL)) return check_done();
    CHECK_OK(ego_pool_new(2, &pool));
    CHECK_OK(ego_cpu_backend_new(pool, &backend));
    ego_ctx_init(&cx, backend);
    check_texts();
    check_intervals();
    check_best();
    check_head(&cx);
    check_official(&cx);
    check_session(&cx, pool);
    ego_ctx_release(&cx);
    ego_backend_free(backend);
    ego_pool_free(pool);
    snprintf(remove_all, sizeof remove_all, "rm -rf '%s'", folder);
    CHECK(system(remove_all) == 0);
    return check_done();
}
