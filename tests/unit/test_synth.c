/* The synthetic world: scripts that hold together, frames that never change, annotation files that the
 * benchmarks' readers accept, and questions that text alone does not answer. */
#include "check.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "format/egoclip.h"
#include "format/egomcq.h"
#include "format/nlq.h"
#include "format/qfvs.h"
#include "format/taskqa.h"
#include "media/decode.h"
#include "synth/annotate.h"
#include "synth/scene.h"
#include "synth/stage.h"
#include "synth/synth.h"
#include "synth/world.h"

#include <stdio.h>
#include <unistd.h>

static char folder[] = "/tmp/ego-synth-XXXXXX";

static char *in_folder(const char *name) {
    static char paths[4][300];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* ---- the world ------------------------------------------------------------------------------------ */

static void test_sine(void) {
    for (int i = -2000; i <= 2000; i++)
        CHECK_NEAR(ego_turn_sin(i / 333.0), sin(i / 333.0 * 6.283185307179586), 1e-11);
}

static void test_pairs(void) {
    int test_of_hue[EGO_HUE_COUNT] = {0};
    for (int k = 0; k < EGO_KIND_COUNT; k++) {
        int test = 0;
        for (int h = 0; h < EGO_HUE_COUNT; h++)
            if (ego_pair_split((ego_kind)k, (ego_hue)h) == EGO_TEST) test++, test_of_hue[h]++;
        CHECK(test == 2); /* enough to tell colours apart in the test set, and six to learn from */
        CHECK(ego_kind_infos[k].tag < 582);
        for (int j = 0; j < k; j++) CHECK(ego_kind_infos[k].tag != ego_kind_infos[j].tag);
    }
    for (int h = 0; h < EGO_HUE_COUNT; h++) CHECK(test_of_hue[h] >= 2);
    for (int v = 0; v < EGO_VERB_COUNT; v++) {
        CHECK(ego_verb_infos[v].tag < 118);
        for (int j = 0; j < v; j++) CHECK(ego_verb_infos[v].tag != ego_verb_infos[j].tag);
    }
}

static void check_state(const ego_script *s, const ego_state *state) {
    int on_counter = 0, slots[EGO_SLOTS] = {0}, hands[2] = {0};
    for (int i = 0; i < s->thing_count; i++) {
        ego_place p = state->place[i];
        if (p.where == EGO_ON_COUNTER) on_counter++, slots[p.index]++;
        if (p.where == EGO_IN_HAND) hands[p.index]++;
        if (p.where == EGO_INSIDE) CHECK(state->place[p.index].where == EGO_ON_COUNTER);
    }
    CHECK(on_counter >= 3 && on_counter <= EGO_ON_COUNTER_MAX);
    CHECK(hands[0] <= 1 && hands[1] <= 1);
    for (int i = 0; i < EGO_SLOTS; i++) CHECK(slots[i] <= 1);
}

/* What the action needs is so just before it. */
static void check_action(const ego_script *s, const ego_state *state, const ego_action *a) {
    int holds = ego_held_by(state, s, a->hand);
    switch (a->verb) {
    case EGO_PICK_UP: CHECK(holds < 0 && state->place[a->thing].where == EGO_ON_COUNTER); break;
    case EGO_TAKE_FROM: CHECK(holds < 0 && state->place[a->thing].where == EGO_AWAY); break;
    case EGO_TAKE_OUT: CHECK(holds < 0 && state->place[a->thing].index == a->second); break;
    case EGO_OPEN: CHECK(holds < 0 && !state->open[a->thing]); break;
    case EGO_CLOSE: CHECK(holds < 0 && state->open[a->thing]); break;
    case EGO_PUT_DOWN:
    case EGO_HAND_TO:
    case EGO_PUT_IN:
    case EGO_SHAKE:
    case EGO_WAVE:
    case EGO_POUR: CHECK(holds == a->thing); break;
    case EGO_STIR:
    case EGO_CUT:
    case EGO_WIPE:
    case EGO_SCRUB: CHECK(holds == a->second); break;
    default: break;
    }
}

static void test_scripts(void) {
    int seen[EGO_VERB_COUNT] = {0};
    for (int v = 0; v < 40; v++) {
        ego_script s;
        ego_split split = v % 2 ? EGO_TEST : EGO_TRAIN;
        if (!CHECK_OK(ego_script_make(3, split, v / 2, 3600, &s))) return;
        CHECK(s.action_count >= 20 && s.action_count <= 80);
        CHECK(s.thing_count >= 6 && s.thing_count <= EGO_THINGS_MAX);
        for (int i = 0; i < s.thing_count; i++) {
            CHECK(ego_pair_split(s.things[i].kind, s.things[i].hue) == split);
            for (int j = 0; j < i; j++)
                CHECK(s.things[i].kind != s.things[j].kind || s.things[i].hue != s.things[j].hue);
        }
        ego_state state = s.initial;
        for (int i = 0, end = 0; i < s.action_count; i++) {
            const ego_action *a = &s.actions[i];
            CHECK(a->start >= end && a->end - a->start >= 24 && a->end - a->start <= 120);
            CHECK(a->end <= s.frames && strncmp(a->text, "#", 1) == 0 && !strchr(a->text, '{'));
            check_state(&s, &state);
            check_action(&s, &state, a);
            CHECK(ego_narration_fits(&s, a, &s, a));
            ego_state_apply(&state, a);
            end = a->end;
            seen[a->verb]++;
        }
        ego_state last;
        ego_state_at(&s, s.frames, &last);
        CHECK(memcmp(&last.place, &state.place, sizeof last.place) == 0);
        ego_script_release(&s);
    }
    for (int v = 0; v < EGO_VERB_COUNT; v++) CHECK(seen[v] >= 10);
}

/* ---- frames --------------------------------------------------------------------------------------- */

static uint64_t hash(const ego_image *image) {
    uint64_t h = 0xcbf29ce484222325u;
    for (int i = 0; i < image->width * image->height * 3; i++)
        h = (h ^ image->rgb[i]) * 0x100000001b3u;
    return h;
}

/* The same bytes on every machine: these were computed once. A change of the drawing changes them and
 * is said in the change log: data sets of another version are other data sets. */
static const struct {
    ego_split split;
    int frame;
    uint64_t hash;
} golden[] = {
    {EGO_TRAIN, 0, 0x48a89bf7f90dd928},
    {EGO_TRAIN, 700, 0x17b717933a5cd392},
    {EGO_TEST, 333, 0x206503523c9e8e49},
    {EGO_TEST, 1500, 0xd5c4af11eeafabaf},
};

static void test_frames(void) {
    ego_image image = {0}, again = {0};
    ego_script scripts[2] = {{.uid = ""}, {.uid = ""}};
    ego_scene *scenes[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        if (!CHECK_OK(ego_script_make(7, (ego_split)i, 2, 1800, &scripts[i]))) return;
        if (!CHECK_OK(ego_scene_new(&scripts[i], &scenes[i]))) return;
    }
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        CHECK_OK(ego_scene_draw(scenes[golden[i].split], golden[i].frame, &image));
        CHECK(image.width == EGO_VIEW_WIDTH && image.height == EGO_VIEW_HEIGHT);
        uint64_t h = hash(&image);
        if (!CHECK(h == golden[i].hash))
            printf("frame %d: 0x%016llx\n", golden[i].frame, (unsigned long long)h);
    }
    /* In any order: backwards gives the same. */
    for (size_t i = sizeof golden / sizeof *golden; i-- > 0;) {
        CHECK_OK(ego_scene_draw(scenes[golden[i].split], golden[i].frame, &again));
        CHECK(hash(&again) == golden[i].hash);
    }
    for (int i = 0; i < 2; i++) {
        ego_scene_free(scenes[i]);
        ego_script_release(&scripts[i]);
    }
    ego_image_free(&image);
    ego_image_free(&again);
    ego_scene_free(NULL);
}

/* What is acted upon is in view, at the size promised, in the part that a centre crop keeps. */
static void test_view(void) {
    ego_script s;
    ego_stage stage;
    if (!CHECK_OK(ego_script_make(11, EGO_TRAIN, 0, 9000, &s))) return;
    int inside = 0, all = 0;
    for (int i = 0; i < s.action_count; i++) {
        const ego_action *a = &s.actions[i];
        if (a->verb == EGO_LOOK) continue;
        ego_stage_set(&s, (a->start + a->end) / 2, &stage);
        const ego_actor *hand = &stage.hands[a->hand];
        double x = hand->at.x - stage.camera_x, y = hand->at.y - stage.camera_y;
        inside += x > 32 && x < 288 && y > 20 && y < 236;
        all++;
    }
    CHECK(all > 50 && inside >= all * 95 / 100);
    ego_script_release(&s);
}

/* ---- text alone ----------------------------------------------------------------------------------- */

static size_t shared_words(const char *a, const char *b) {
    size_t n = 0;
    char word[64];
    for (const char *p = a; *p;) {
        size_t length = strcspn(p, " ");
        if (length > 0 && length < sizeof word) {
            memcpy(word, p, length);
            word[length] = 0;
            n += strstr(b, word) != NULL;
        }
        p += length + (p[length] == ' ');
    }
    return n;
}

enum { GUESSERS = 10 };

/* What a guesser sees in a choice: the highest wins. None may look at the question's own text, which
 * the answer repeats. */
static double guess(int guesser, const ego_mcq_question *q, size_t choice, const int *verb_counts) {
    const ego_narrated_clip *c = &q->choices[choice];
    double others = 0;
    for (size_t i = 0; i < q->count; i++)
        if (i != choice) others += (double)shared_words(q->choices[i].text, c->text);
    int verb = c->verbs.count ? verb_counts[c->verbs.ids[0]] : 0;
    switch (guesser) {
    case 0: return (double)strlen(c->text);
    case 1: return -(double)strlen(c->text);
    case 2: return others; /* the most like the rest */
    case 3: return -others;
    case 4: return verb; /* the commonest action */
    case 5: return -verb;
    case 6: return c->start;
    case 7: return -c->start;
    case 8: return c->end - c->start;
    default: return (double)choice;
    }
}

static void test_text_alone(const ego_mcq *mcq) {
    int verb_counts[EGO_VERB_TAGS] = {0}, right[GUESSERS][2] = {{0}}, all[2] = {0};
    for (size_t i = 0; i < mcq->count; i++)
        for (size_t k = 0; k < mcq->questions[i].count; k++)
            verb_counts[mcq->questions[i].choices[k].verbs.ids[0]]++;
    for (size_t i = 0; i < mcq->count; i++) {
        const ego_mcq_question *q = &mcq->questions[i];
        int type = q->type == EGO_MCQ_INTRA;
        all[type]++;
        for (int g = 0; g < GUESSERS; g++) {
            size_t best = 0;
            for (size_t k = 1; k < q->count; k++)
                if (guess(g, q, k, verb_counts) > guess(g, q, best, verb_counts)) best = k;
            right[g][type] += best == q->answer;
        }
    }
    for (int type = 0; type < 2; type++) {
        CHECK(all[type] >= 400);
        double noise = 4 * sqrt(0.2 * 0.8 / all[type]);
        for (int g = 0; g < GUESSERS; g++)
            CHECK_NEAR((double)right[g][type] / all[type], 0.2, noise);
    }
}

/* ---- annotation files ----------------------------------------------------------------------------- */

static void check_question(const ego_mcq_question *q) {
    CHECK(q->count == 5 && q->answer < 5);
    CHECK_STR(q->choices[q->answer].text, q->query.text);
    CHECK(q->choices[q->answer].start == q->query.start);
    CHECK(q->query.verbs.count == 1 && q->query.nouns.count >= 1);
    for (size_t i = 0; i < 5; i++) {
        CHECK(q->choices[i].end > q->choices[i].start);
        for (size_t k = 0; k < i; k++) {
            bool same = strcmp(q->choices[i].video, q->choices[k].video) == 0;
            CHECK(same == (q->type == EGO_MCQ_INTRA));
            CHECK(strcmp(q->choices[i].text, q->choices[k].text) != 0);
        }
    }
}

static void test_mcq(ego_arena *arena) {
    ego_mcq mcq;
    if (!CHECK_OK(ego_mcq_read(in_folder("egomcq.json"), arena, &mcq))) return;
    CHECK(mcq.count == 1000);
    int answers[5] = {0};
    for (size_t i = 0; i < mcq.count; i++) {
        check_question(&mcq.questions[i]);
        answers[mcq.questions[i].answer]++;
    }
    for (int i = 0; i < 5; i++) CHECK_NEAR(answers[i], mcq.count / 5.0, 60);
    test_text_alone(&mcq);
}

static void test_egoclip(ego_arena *arena) {
    ego_egoclip clips;
    if (!CHECK_OK(ego_egoclip_read(in_folder("egoclip.csv"), arena, &clips))) return;
    CHECK(clips.malformed == 0 && clips.count > 200);
    double length = 0;
    for (size_t i = 0; i < clips.count; i++) {
        const ego_narrated_clip *c = &clips.clips[i];
        length += c->end - c->start;
        CHECK(c->start <= c->narration_time && c->narration_time <= c->end);
        CHECK(c->verbs.count == 1 && c->nouns.count >= 1 && c->text[0] == '#');
    }
    CHECK_NEAR(length / (double)clips.count, 1, 0.1); /* β/α has mean 1 over the videos */
}

static void test_nlq(ego_arena *arena) {
    ego_nlq official, processed;
    if (!CHECK_OK(ego_nlq_read(in_folder("nlq_val.json"), arena, &official))) return;
    if (!CHECK_OK(ego_nlq_read_processed(in_folder("nlq/val.json"), arena, &processed))) return;
    CHECK(official.query_count == processed.query_count && official.query_count > 200);
    CHECK(official.clip_count == processed.clip_count);
    for (size_t i = 0; i < official.query_count && i < processed.query_count; i++) {
        const ego_nlq_query *a = &official.queries[i], *b = &processed.queries[i];
        CHECK_STR(a->text, b->text);
        CHECK(a->start == b->start && a->end == b->end && a->end > a->start);
        CHECK(a->text[strlen(a->text) - 1] == '?' && !strchr(a->text, '{'));
        const ego_nlq_clip *clip = &official.clips[a->clip];
        CHECK(a->end <= clip->end - clip->start);
        /* No other query of the clip has the same words. */
        for (size_t k = clip->first; k < i; k++)
            CHECK(strcmp(official.queries[k].text, a->text) != 0);
    }
    CHECK_OK(ego_nlq_read(in_folder("nlq_train.json"), arena, &official));
    CHECK_OK(ego_nlq_read_processed(in_folder("nlq/test.json"), arena, &processed));
    CHECK(processed.clip_count == 0);
}

static bool has_part(const ego_qa_question *q, const char *part) {
    for (size_t i = 0; i < q->reasoning_count; i++)
        if (strcmp(q->reasoning[i], part) == 0) return true;
    return false;
}

static void test_qa_file(ego_arena *arena, const char *name, const ego_names *answers,
                         const ego_names *types) {
    ego_qa qa;
    if (!CHECK_OK(ego_qa_read(in_folder(name), arena, &qa))) return;
    CHECK(qa.count > 100);
    int binary = 0, yes = 0;
    for (size_t i = 0; i < qa.count; i++) {
        const ego_qa_question *q = &qa.questions[i];
        CHECK(q->answer_class >= 2 && (size_t)q->answer_class < answers->count);
        CHECK_STR(q->answer, answers->names[q->answer_class]);
        CHECK(!strchr(q->question, '{') && strlen(q->question) > 8);
        for (size_t k = 0; k < q->reasoning_count; k++) {
            bool known = false;
            for (size_t t = 0; t < types->count; t++)
                known |= strcmp(types->names[t], q->reasoning[k]) == 0;
            CHECK(known);
        }
        if (!has_part(q, "verify")) continue;
        binary++;
        yes += strcmp(q->answer, "yes") == 0;
    }
    if (binary > 50) CHECK_NEAR((double)yes / binary, 0.5, 0.06 + 2 * sqrt(0.25 / binary));
}

static void test_qa(ego_arena *arena) {
    ego_names answers, types;
    if (!CHECK_OK(ego_names_read(in_folder("qa/answer_set.txt"), arena, &answers))) return;
    if (!CHECK_OK(ego_names_read(in_folder("qa/all_reasoning_types.txt"), arena, &types))) return;
    CHECK_STR(answers.names[0], "<UNK0>");
    CHECK_STR(answers.names[1], "<UNK1>");
    for (size_t i = 0; i < answers.count; i++)
        for (size_t k = 0; k < i; k++) CHECK(strcmp(answers.names[i], answers.names[k]) != 0);
    const char *files[] = {
        "qa/direct/formatted_train_qas_encode.json", "qa/direct/formatted_val_qas_encode.json",
        "qa/direct/formatted_test_qas_encode.json",  "qa/indirect/formatted_train_qas_encode.json",
        "qa/indirect/formatted_val_qas_encode.json", "qa/indirect/formatted_test_qas_encode.json"};
    for (int i = 0; i < 6; i++) test_qa_file(arena, files[i], &answers, &types);
}

static bool has_tag(const ego_qfvs_shot *shot, const char *concept) {
    for (size_t i = 0; i < shot->count; i++)
        if (strcmp(shot->concepts[i], concept) == 0) return true;
    return false;
}

/* Tags tell shots from each other: two of a video share a quarter of them, not most. */
static void test_tags(const ego_qfvs_tags *tags) {
    double alike = 0;
    for (size_t i = 0; i < tags->count; i++) {
        const ego_qfvs_shot *shot = &tags->shots[i];
        CHECK(shot->count >= 1);
        for (size_t k = 0; k < i; k++) {
            double common = 0;
            for (size_t c = 0; c < shot->count; c++)
                common += has_tag(&tags->shots[k], shot->concepts[c]);
            alike += common / ((double)(shot->count + tags->shots[k].count) - common);
        }
    }
    CHECK(alike < 0.35 * (double)(tags->count * (tags->count - 1) / 2));
}

/* A set's last video. */
static void test_qfvs(ego_arena *arena, const char *set, const char *video) {
    ego_qfvs_tags tags;
    char name[200];
    snprintf(name, sizeof name, "%s/Dense_per_shot_tags/%s/%s.txt", set, video, video);
    if (!CHECK_OK(ego_qfvs_tags_read(in_folder(name), arena, &tags))) return;
    CHECK(tags.count == 24);
    test_tags(&tags);
    ego_buf list = {0};
    char command[400];
    snprintf(name, sizeof name, "%s/Oracle_Summaries/%s", set, video);
    snprintf(command, sizeof command, "ls %s > %s", in_folder(name), in_folder("list.txt"));
    CHECK(system(command) == 0);
    CHECK_OK(ego_read_file(in_folder("list.txt"), 1 << 16, &list));
    int n = 0;
    for (char *line = strtok(list.data, "\n"); line; line = strtok(NULL, "\n"), n++) {
        ego_qfvs_oracle oracle;
        snprintf(name, sizeof name, "%s/Oracle_Summaries/%s/%s", set, video, line);
        if (!CHECK_OK(ego_qfvs_oracle_read(in_folder(name), arena, &oracle))) continue;
        CHECK(oracle.count >= 1);
        for (size_t i = 0; i < oracle.count; i++)
            if (CHECK(oracle.shots[i] < tags.count))
                CHECK(has_tag(&tags.shots[oracle.shots[i]], oracle.a) ||
                      has_tag(&tags.shots[oracle.shots[i]], oracle.b));
    }
    CHECK(n >= 4);
    ego_buf_release(&list);
}

static void test_annotations(void) {
    ego_arena arena;
    ego_arena_init(&arena, 1 << 20);
    ego_synth_options options = {.directory = folder,
                                 .train_videos = 12,
                                 .test_videos = 16,
                                 .minutes = 2,
                                 .seed = 5,
                                 .questions = 1000,
                                 .annotations_only = true};
    if (CHECK_OK(ego_synth_run(&options, NULL))) {
        test_egoclip(&arena);
        test_mcq(&arena);
        test_nlq(&arena);
        test_qa(&arena);
        test_qfvs(&arena, "qfvs", "P16");
        test_qfvs(&arena, "qfvs_train", "P12");
    }
    ego_arena_release(&arena);
}

/* More rounds ask more, nothing of an interval twice in a later one; the first round's come first, interval by interval. */
static void test_qa_rounds(void) {
    ego_arena arena;
    ego_qa once = {0}, often = {0};
    ego_arena_init(&arena, 1 << 20);
    for (int rounds = 1; rounds <= 3; rounds += 2) {
        ego_synth_options options = {.directory = in_folder(rounds == 1 ? "once" : "often"),
                                     .train_videos = 2,
                                     .minutes = 1,
                                     .seed = 5,
                                     .qa_rounds = rounds,
                                     .annotations_only = true};
        CHECK_OK(ego_synth_run(&options, NULL));
    }
    CHECK_OK(ego_qa_read(in_folder("once/qa/direct/formatted_train_qas_encode.json"), &arena, &once));
    CHECK_OK(ego_qa_read(in_folder("often/qa/direct/formatted_train_qas_encode.json"), &arena, &often));
    CHECK(once.count > 50 && often.count > once.count * 3 / 2 && often.count < once.count * 3);
    for (size_t i = 0; i < once.count; i++) {
        const ego_qa_question *q = &once.questions[i];
        size_t found = 0;
        for (size_t k = 0; k < often.count; k++)
            found += strcmp(often.questions[k].interval, q->interval) == 0 &&
                     strcmp(often.questions[k].question, q->question) == 0 &&
                     often.questions[k].answer_class == q->answer_class;
        CHECK(found >= 1);
    }
    ego_arena_release(&arena);
}

/* ---- the whole run -------------------------------------------------------------------------------- */

static bool stop_at_once(void *context, const char *what, uint64_t done, uint64_t total) {
    (void)context, (void)what, (void)done, (void)total;
    return false;
}

static void test_intervals(void) {
    ego_script s;
    int ends[64];
    if (!CHECK_OK(ego_script_make(1, EGO_TRAIN, 0, 3600, &s))) return;
    int n = ego_qa_intervals(&s, ends, 64);
    for (int i = 0; i < n; i++) {
        int start = i ? ends[i - 1] : 0;
        CHECK(ends[i] > start && ends[i] - start <= EGO_QA_SECONDS * EGO_SYNTH_FPS);
    }
    CHECK(n > 0 && ends[n - 1] == 3600);
    ego_script_release(&s);
}

/* One video drawn and encoded: what is decoded is what was drawn, whatever the number of threads. */
static void test_run(void) {
    ego_synth_options options = {.directory = in_folder("one"),
                                 .train_videos = 1,
                                 .test_videos = 1,
                                 .minutes = 0.5,
                                 .seed = 9,
                                 .threads = 1};
    char first[300], second[300];
    if (!CHECK_OK(ego_synth_run(&options, NULL))) return;
    snprintf(first, sizeof first, "%s/one/manifest.json", folder);
    options.directory = in_folder("two");
    options.threads = 2;
    if (!CHECK_OK(ego_synth_run(&options, NULL))) return;
    snprintf(second, sizeof second, "%s/two/manifest.json", folder);
    ego_buf a = {0}, b = {0};
    CHECK_OK(ego_read_file(first, 1 << 20, &a));
    CHECK_OK(ego_read_file(second, 1 << 20, &b));
    CHECK(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    ego_video *video;
    ego_image shown = {0}, drawn = {0};
    ego_script s;
    ego_scene *scene;
    if (!CHECK_OK(ego_video_open(in_folder("one/videos/test-9-0000/0.mp4"), NULL, &video))) return;
    CHECK_OK(ego_script_make(9, EGO_TEST, 0, 900, &s));
    CHECK_OK(ego_scene_new(&s, &scene));
    for (int frame = 0; frame < 900; frame += 299) {
        CHECK_OK(ego_video_frame_at(video, frame / 30.0, &shown));
        CHECK_OK(ego_scene_draw(scene, frame, &drawn));
        double sum = 0;
        for (int i = 0; i < EGO_VIEW_WIDTH * EGO_VIEW_HEIGHT * 3; i++)
            sum += abs(shown.rgb[i] - drawn.rgb[i]);
        CHECK(sum / (EGO_VIEW_WIDTH * EGO_VIEW_HEIGHT * 3) < 6);
    }
    ego_video_close(video);
    ego_scene_free(scene);
    ego_script_release(&s);
    ego_image_free(&shown);
    ego_image_free(&drawn);
    ego_buf_release(&a);
    ego_buf_release(&b);
}

static void test_refusals(void) {
    ego_synth_options options = {.directory = in_folder("three"), .train_videos = 1, .minutes = 1};
    CHECK_ERR(EGO_ECANCELLED, ego_synth_run(&options, &(ego_progress){.report = stop_at_once}));
    CHECK(access(in_folder("three/egoclip.csv"), F_OK) != 0);
    CHECK(access(in_folder("three/videos/train-0-0000/0.mp4"), F_OK) != 0);
    options.minutes = 0.1;
    CHECK_ERR(EGO_EINPUT, ego_synth_run(&options, NULL));
    options.minutes = 1, options.train_videos = 0;
    CHECK_ERR(EGO_EINPUT, ego_synth_run(&options, NULL));
    options.train_videos = 1, options.directory = "/proc/nowhere";
    CHECK_ERR(EGO_EIO, ego_synth_run(&options, NULL));
}

int main(void) {
    if (!mkdtemp(folder)) return check_skip("no folder for temporary files");
    test_sine();
    test_pairs();
    test_scripts();
    test_frames();
    test_view();
    test_intervals();
    test_annotations();
    test_qa_rounds();
    test_run();
    test_refusals();
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK(system(command) == 0);
    return check_done();
}
