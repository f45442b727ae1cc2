/* Ego4D's natural language queries: questions about one video whose answer is a stretch of it.
 *
 * A question is asked only where exactly one action answers it, or where "first" and "last" make it so.
 */
#include "base/hash.h"
#include "base/rng.h"
#include "synth/annotate.h"
#include "synth/exact.h"

#include <math.h>
#include <string.h>

enum { QUERIES_MAX = 16, CLIP_SECONDS = 480 };

/* One way to ask for an action: {t} its thing, {s} the second, {l} "", "first " or "last ". `by_second`:
 * the action must be the only one of its verb with that second thing, else with that thing. */
typedef struct asking {
    ego_verb verb;
    bool by_second;
    const char *template, *query;
} asking;

static const asking askings[] = {
    {EGO_PUT_DOWN, false, "Place: Where did I put X?", "Where did I {l}put down the {t}?"},
    {EGO_PUT_IN, false, "Place: Where did I put X?", "In what did I {l}put the {t}?"},
    {EGO_PUT_IN, true, "Objects: What did I put in X?", "What did I {l}put in the {s}?"},
    {EGO_TAKE_OUT, true, "Objects: What X did I Y?", "What did I {l}take out of the {s}?"},
    {EGO_TAKE_OUT, false, "Objects: Where is object X before / after event Y?",
     "Where was the {t} before I {l}took it out?"},
    {EGO_TAKE_FROM, false, "People: Who did I interact with when I did activity X?",
     "Who {l}handed me the {t}?"},
    {EGO_HAND_TO, false, "People: Who did I interact with when I did activity X?",
     "To whom did I {l}give the {t}?"},
    {EGO_OPEN, false, "Objects: State of an object", "When did I {l}open the {t}?"},
    {EGO_CLOSE, false, "Objects: State of an object", "When did I {l}close the {t}?"},
    {EGO_POUR, true, "Objects: What X did I Y?", "What did I {l}pour into the {s}?"},
    {EGO_POUR, false, "Objects: What did I put in X?", "Into what did I {l}pour the {t}?"},
    {EGO_STIR, false, "Objects: What X did I Y?", "With what did I {l}stir the {t}?"},
    {EGO_CUT, false, "Objects: What X did I Y?", "With what did I {l}cut the {t}?"},
    {EGO_SCRUB, false, "Objects: What X did I Y?", "With what did I {l}scrub the {t}?"},
    {EGO_WIPE, true, "Objects: What X did I Y?", "What did I {l}wipe with the {s}?"},
    {EGO_PICK_UP, false, "Objects: Where is object X before / after event Y?",
     "Where was the {t} before I {l}picked it up?"},
    {EGO_SHAKE, false, "Objects: What X did I Y?", "When did I {l}shake the {t}?"},
    {EGO_WAVE, false, "Objects: What X did I Y?", "When did I {l}wave the {t}?"},
    {EGO_PUSH_LEFT, false, "Place: Where did I put X?", "When did I {l}push the {t} to the left?"},
    {EGO_PUSH_RIGHT, false, "Place: Where did I put X?",
     "When did I {l}push the {t} to the right?"},
};
enum { ASKINGS = sizeof askings / sizeof *askings };

typedef struct query {
    const asking *asking;
    int action;
    const char *which; /* "", "first " or "last " */
} query;

static bool answers(const asking *q, const ego_action *a, const ego_action *b) {
    if (a->verb != b->verb) return false;
    return q->by_second ? a->second == b->second : a->thing == b->thing;
}

/* Is the action the only one, the first or the last that answers? NULL: neither. */
static const char *which_one(const ego_script *s, int from, int to, const asking *q, int action) {
    int before = 0, after = 0;
    for (int i = from; i < to; i++) {
        if (i == action || !answers(q, &s->actions[action], &s->actions[i])) continue;
        if (i < action)
            before++;
        else
            after++;
    }
    return before + after == 0 ? "" : !before ? "first " : !after ? "last " : NULL;
}

static void write_text(const ego_script *s, const query *q, ego_buf *text) {
    const ego_action *a = &s->actions[q->action];
    for (const char *p = q->asking->query; *p; p++) {
        if (*p != '{') {
            ego_buf_char(text, *p);
            continue;
        }
        if (p[1] == 't')
            ego_annotation_thing(s, a->thing, text);
        else if (p[1] == 's')
            ego_annotation_thing(s, a->second, text);
        else
            ego_buf_text(text, q->which);
        p += 2;
    }
}

/* At most QUERIES_MAX of the questions that actions [from, to) answer, in the order of time. */
static int choose_queries(const ego_script *s, uint64_t stream, int from, int to, query *chosen) {
    int seen = 0, n = 0;
    for (int a = from; a < to; a++)
        for (int k = 0; k < ASKINGS; k++) {
            if (askings[k].verb != s->actions[a].verb) continue;
            const char *which = which_one(s, from, to, &askings[k], a);
            if (!which) continue;
            query q = {&askings[k], a, which};
            /* A reservoir keeps each with equal chances. */
            int slot = n < QUERIES_MAX
                           ? n++
                           : (int)ego_rng_below(stream, (uint64_t)seen, (uint32_t)seen + 1);
            seen++;
            if (slot < QUERIES_MAX) chosen[slot] = q;
        }
    return n;
}

typedef struct window {
    int start, end; /* frames of the video */
    int from, to;   /* its actions */
} window;

/* The next clip of at most CLIP_SECONDS; actions that cross its end belong to neither side. */
static bool next_window(const ego_script *s, window *w) {
    w->start = w->end;
    if (w->start >= s->frames) return false;
    w->end = w->start + CLIP_SECONDS * EGO_SYNTH_FPS;
    if (w->end > s->frames) w->end = s->frames;
    w->from = w->to;
    while (w->from < s->action_count && s->actions[w->from].start < w->start) w->from++;
    w->to = w->from;
    while (w->to < s->action_count && s->actions[w->to].end <= w->end) w->to++;
    return true;
}

static void write_member_seconds(ego_buf *json, const char *key, double value) {
    ego_buf_json_key(json, key);
    ego_annotation_seconds(json, value);
}

static void write_official_query(const ego_script *s, const window *w, const query *q,
                                 ego_buf *json) {
    const ego_action *a = &s->actions[q->action];
    double start = (double)(a->start - w->start) / EGO_SYNTH_FPS;
    double end = (double)(a->end - w->start) / EGO_SYNTH_FPS;
    double offset = (double)w->start / EGO_SYNTH_FPS;
    ego_buf text = {0};
    write_text(s, q, &text);
    ego_buf_char(json, '{');
    write_member_seconds(json, "clip_start_sec", start);
    write_member_seconds(json, "clip_end_sec", end);
    write_member_seconds(json, "video_start_sec", start + offset);
    write_member_seconds(json, "video_end_sec", end + offset);
    ego_buf_printf(json, ",\"video_start_frame\":%d,\"video_end_frame\":%d", a->start, a->end);
    ego_buf_printf(json, ",\"template\":\"%s\"", q->asking->template);
    ego_buf_json_key(json, "query");
    ego_buf_json_string(json, text.data, text.len);
    ego_buf_char(json, '}');
    json->failed |= text.failed;
    ego_buf_release(&text);
}

static void clip_uid(const ego_script *s, int index, ego_buf *text) {
    ego_buf_printf(text, "%s-clip%d", s->uid, index);
}

static void write_official_clip(const ego_script *s, const window *w, int index,
                                const query *queries, int n, ego_buf *json) {
    if (index) ego_buf_char(json, ',');
    ego_buf_text(json, "{\"clip_uid\":\"");
    clip_uid(s, index, json);
    ego_buf_char(json, '"');
    double start = (double)w->start / EGO_SYNTH_FPS, end = (double)w->end / EGO_SYNTH_FPS;
    write_member_seconds(json, "video_start_sec", start);
    write_member_seconds(json, "video_end_sec", end);
    ego_buf_printf(json, ",\"video_start_frame\":%d,\"video_end_frame\":%d", w->start, w->end);
    write_member_seconds(json, "clip_start_sec", 0);
    write_member_seconds(json, "clip_end_sec", end - start);
    ego_buf_text(json, ",\"annotations\":[{\"annotation_uid\":\"");
    clip_uid(s, index, json);
    ego_buf_text(json, "-a\",\"language_queries\":[");
    for (int i = 0; i < n; i++) {
        if (i) ego_buf_char(json, ',');
        write_official_query(s, w, &queries[i], json);
    }
    ego_buf_text(json, "]}]}");
}

static void write_processed_clip(const ego_script *s, const window *w, int index,
                                 const query *queries, int n, ego_buf *json) {
    const double fps = 1.875;
    int frames = (int)((double)(w->end - w->start) / EGO_SYNTH_FPS * fps);
    ego_buf_char(json, '"');
    clip_uid(s, index, json);
    ego_buf_printf(json, "\":{\"fps\":1.875,\"num_frames\":%d,\"timestamps\":[", frames);
    for (int i = 0; i < n; i++) {
        const ego_action *a = &s->actions[queries[i].action];
        int start = (int)((double)(a->start - w->start) / EGO_SYNTH_FPS * fps);
        int end = (int)((double)(a->end - w->start) / EGO_SYNTH_FPS * fps);
        ego_buf_printf(json, "%s[%d,%d]", i ? "," : "", start, end);
    }
    ego_buf_text(json, "],\"exact_times\":[");
    for (int i = 0; i < n; i++) {
        const ego_action *a = &s->actions[queries[i].action];
        ego_buf_text(json, i ? ",[" : "[");
        ego_annotation_seconds(json, (double)(a->start - w->start) / EGO_SYNTH_FPS);
        ego_buf_char(json, ',');
        ego_annotation_seconds(json, (double)(a->end - w->start) / EGO_SYNTH_FPS);
        ego_buf_char(json, ']');
    }
    ego_buf_text(json, "],\"sentences\":[");
    for (int i = 0; i < n; i++) {
        ego_buf text = {0};
        write_text(s, &queries[i], &text);
        if (i) ego_buf_char(json, ',');
        ego_buf_json_string(json, text.data, text.len);
        json->failed |= text.failed;
        ego_buf_release(&text);
    }
    ego_buf_text(json, "],\"annotation_uids\":[");
    for (int i = 0; i < n; i++) {
        ego_buf_text(json, i ? ",\"" : "\"");
        clip_uid(s, index, json);
        ego_buf_text(json, "-a\"");
    }
    ego_buf_text(json, "],\"query_idx\":[");
    for (int i = 0; i < n; i++) ego_buf_printf(json, "%s%d", i ? "," : "", i);
    ego_buf_text(json, "]}");
}

/* How many clips of four frames feature extraction makes of it (EgoVLPv2 samples 1.87 times 4 a second). */
static int feature_count(const window *w) {
    return (int)((double)(w->end - w->start) / EGO_SYNTH_FPS * 1.87 * 4 + 1) / 4;
}

ego_err ego_annotate_nlq(const ego_synth_set *set) {
    bool train = set->split == EGO_TRAIN;
    ego_buf official = {0}, processed = {0}, shapes = {0}, none = {0};
    ego_err err;
    int written = 0;
    ego_buf_printf(&official,
                   "{\"version\":\"1.0\",\"description\":\"Synthetic natural language queries\","
                   "\"manifest\":\"manifest.json\",\"split\":\"%s\",\"videos\":[",
                   train ? "train" : "val");
    for (int v = 0; v < set->count; v++) {
        const ego_script *s = &set->scripts[v];
        uint64_t stream = ego_rng_stream(s->seed, ego_fnv1a("nlq"));
        ego_buf_printf(&official, "%s\n{\"video_uid\":\"%s\",\"clips\":[", v ? "," : "", s->uid);
        window w = {0};
        for (int clip = 0; next_window(s, &w); clip++) {
            query queries[QUERIES_MAX];
            int n =
                choose_queries(s, ego_rng_stream(stream, (uint64_t)clip), w.from, w.to, queries);
            write_official_clip(s, &w, clip, queries, n, &official);
            ego_buf_text(&processed, written ? ",\n" : "{\n");
            write_processed_clip(s, &w, clip, queries, n, &processed);
            ego_buf_text(&shapes, written++ ? ",\n\"" : "{\n\"");
            clip_uid(s, clip, &shapes);
            ego_buf_printf(&shapes, "\":%d", feature_count(&w));
        }
        ego_buf_text(&official, "]}");
    }
    ego_buf_text(&official, "]}\n");
    ego_buf_text(&processed, "\n}\n");
    ego_buf_text(&shapes, "\n}\n");
    ego_buf_text(&none, "{}\n");
    EGO_TRY_OUT(ego_annotation_write(set, train ? "nlq_train.json" : "nlq_val.json", &official));
    EGO_TRY_OUT(ego_annotation_write(set, train ? "nlq/train.json" : "nlq/val.json", &processed));
    EGO_TRY_OUT(ego_annotation_write(
        set, train ? "nlq/feature_shapes_train.json" : "nlq/feature_shapes_val.json", &shapes));
    if (!train) EGO_TRY_OUT(ego_annotation_write(set, "nlq/test.json", &none));
out:
    ego_buf_release(&official);
    ego_buf_release(&processed);
    ego_buf_release(&shapes);
    ego_buf_release(&none);
    return err;
}
