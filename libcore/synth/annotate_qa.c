/* EgoTaskQA-like questions about short intervals: what, which, how many, did I, before and after.
 *
 * `direct` questions name things by kind and colour, `indirect` ones by what was done to them. The
 * answer classes are a closed list that depends on nothing, so every split and run agrees. A question
 * with the answer "no" takes its action from another interval of the same video: yes and no look alike.
 * What is asked of an interval is drawn; several rounds draw as often.
 */
#include "base/hash.h"
#include "base/rng.h"
#include "synth/annotate.h"

#include <stdlib.h>
#include <string.h>

/* ---- intervals ------------------------------------------------------------------------------------ */

int ego_qa_intervals(const ego_script *s, int *ends, int max) {
    int n = 0, start = 0, limit = EGO_QA_SECONDS * EGO_SYNTH_FPS;
    for (int i = 0; i < s->action_count && n < max; i++) {
        int border =
            i + 1 < s->action_count ? (s->actions[i].end + s->actions[i + 1].start) / 2 : s->frames;
        int next = i + 2 < s->action_count ? (s->actions[i + 1].end + s->actions[i + 2].start) / 2
                                           : s->actions[s->action_count - 1].end + 10;
        if (i + 1 < s->action_count && next - start <= limit) continue;
        if (border - start > limit) border = start + limit;
        ends[n++] = start = border;
    }
    while (start < s->frames && n < max) { /* what is left after the last action */
        start = start + limit < s->frames ? start + limit : s->frames;
        ends[n++] = start;
    }
    return n;
}

void ego_qa_interval_name(const ego_script *s, int start, int end, ego_buf *name) {
    ego_buf_printf(name, "%s|fpv1|%d|%d", s->uid, start, end);
}

/* ---- answers -------------------------------------------------------------------------------------- */

enum { COUNTS = 10 };

static const char *const fixed_answers[] = {
    "<UNK0>", "<UNK1>", "yes", "no", "left", "right", "me", "the other person", "nobody"};
enum { FIXED = sizeof fixed_answers / sizeof *fixed_answers };

static void answer_text(int answer, ego_buf *text) {
    if (answer < FIXED)
        ego_buf_text(text, fixed_answers[answer]);
    else if ((answer -= FIXED) < COUNTS)
        ego_buf_printf(text, "%d", answer);
    else if ((answer -= COUNTS) < EGO_HUE_COUNT)
        ego_buf_text(text, ego_hue_words[answer]);
    else if ((answer -= EGO_HUE_COUNT) < EGO_KIND_COUNT)
        ego_buf_text(text, ego_kind_infos[answer].word);
    else
        ego_buf_text(text, ego_verb_infos[answer - EGO_KIND_COUNT].word);
}

enum {
    YES = 2,
    NO,
    LEFT,
    ME = 6,
    OTHER,
    FIRST_COUNT = FIXED,
    FIRST_HUE = FIRST_COUNT + COUNTS,
    FIRST_KIND = FIRST_HUE + EGO_HUE_COUNT,
    FIRST_VERB = FIRST_KIND + EGO_KIND_COUNT,
    ANSWERS = FIRST_VERB + EGO_VERB_COUNT
};

/* ---- words ---------------------------------------------------------------------------------------- */

/* {t} the thing, {s} the second, for "Did I …" and "after I …". */
static const char *const present[EGO_VERB_COUNT] = {"pick up the {t}",
                                                    "put down the {t}",
                                                    "open the {t}",
                                                    "close the {t}",
                                                    "push the {t} to the left",
                                                    "push the {t} to the right",
                                                    "get the {t} handed",
                                                    "hand over the {t}",
                                                    "put the {t} in the {s}",
                                                    "take the {t} out of the {s}",
                                                    "shake the {t}",
                                                    "wave the {t}",
                                                    "stir the {t}",
                                                    "cut the {t}",
                                                    "wipe the counter",
                                                    "scrub the {t}",
                                                    "pour the {t} into the {s}",
                                                    "look around"};
static const char *const past[EGO_VERB_COUNT] = {"picked up the {t}",
                                                 "put down the {t}",
                                                 "opened the {t}",
                                                 "closed the {t}",
                                                 "pushed the {t} to the left",
                                                 "pushed the {t} to the right",
                                                 "was handed the {t}",
                                                 "handed over the {t}",
                                                 "put the {t} in the {s}",
                                                 "took the {t} out of the {s}",
                                                 "shook the {t}",
                                                 "waved the {t}",
                                                 "stirred the {t}",
                                                 "cut the {t}",
                                                 "wiped the counter",
                                                 "scrubbed the {t}",
                                                 "poured the {t} into the {s}",
                                                 "looked around"};

static void phrase(const ego_script *s, const ego_action *a, const char *form, ego_buf *text) {
    for (; *form; form++) {
        if (*form != '{') {
            ego_buf_char(text, *form);
            continue;
        }
        ego_annotation_thing(s, form[1] == 't' ? a->thing : a->second, text);
        form += 2;
    }
}

/* ---- questions ------------------------------------------------------------------------------------ */

typedef enum question_file { DIRECT, INDIRECT, FILES } question_file;

enum { ASKED_MAX = 512 };

typedef struct writer {
    const ego_script *script;
    int start, end; /* the interval in frames */
    int from, to;   /* its actions */
    uint64_t stream, draws;
    int round;
    uint64_t asked[ASKED_MAX]; /* of the interval: the questions' hashes */
    int asked_count;
    ego_buf question;
    ego_buf *files[FILES];
} writer;

/* In later rounds what was asked before is not asked again. */
static bool is_new(writer *w) {
    uint64_t hash = ego_fnv1a(w->question.data ? w->question.data : "");
    for (int i = 0; w->round > 0 && i < w->asked_count; i++)
        if (w->asked[i] == hash) return false;
    if (w->asked_count < ASKED_MAX) w->asked[w->asked_count++] = hash;
    return true;
}

static int draw(writer *w, int n) { return (int)ego_rng_below(w->stream, w->draws++, (uint32_t)n); }

/* What a question is about, in EgoTaskQA's terms. */
typedef struct question_sort {
    const char *type, *category, *semantic, *structure;
} question_sort;

static const question_sort about_action = {"descriptive", "world", "action", "query"};
static const question_sort about_object = {"descriptive", "world", "object", "query"};
static const question_sort about_state = {"predictive", "world", "state", "verify"};
static const question_sort about_goal = {"explanatory", "intent", "action", "query"};
static const question_sort about_person = {"descriptive", "multi-agent", "object", "query"};
static const question_sort whether_action = {"descriptive", "world", "action", "verify"};
static const question_sort whether_object = {"descriptive", "world", "object", "verify"};
static const question_sort whether_order = {"descriptive", "world", "change", "verify"};

static const question_sort *const sorts[] = {&about_action,   &about_object, &about_state,
                                             &about_goal,     &about_person, &whether_action,
                                             &whether_object, &whether_order};

/* Writes the question gathered in w->question and empties it. */
static void ask(writer *w, const question_sort *sort, question_file file, int answer) {
    ego_buf *json = w->files[file];
    if (!is_new(w)) {
        ego_buf_clear(&w->question);
        return;
    }
    const char *reference = file == DIRECT ? "direct" : "indirect";
    ego_buf_text(json, json->len > 1 ? ",\n{" : "\n{");
    ego_buf_json_key(json, "interval");
    ego_buf_char(json, '"');
    ego_qa_interval_name(w->script, w->start, w->end, json);
    ego_buf_char(json, '"');
    ego_buf_json_key(json, "question");
    ego_buf_json_string(json, w->question.data ? w->question.data : "", w->question.len);
    ego_buf_json_key(json, "answer");
    ego_buf_char(json, '"');
    answer_text(answer, json);
    ego_buf_printf(json, "\",\"answer_encode\":%d,\"type\":[\"%s\"],\"category\":[\"%s\"]", answer,
                   sort->type, sort->category);
    ego_buf_printf(json, ",\"semantic\":\"%s\",\"reasoning_type\":\"%s$%s$%s$%s$%s\"}",
                   sort->semantic, sort->type, sort->category, sort->semantic, sort->structure,
                   reference);
    json->failed |= w->question.failed;
    ego_buf_clear(&w->question);
}

static const ego_action *action(const writer *w, int i) { return &w->script->actions[i]; }

static bool same_doing(const ego_action *a, const ego_action *b) {
    return a->verb == b->verb && a->thing == b->thing;
}

/* How often the interval has this verb with this thing (thing -1: with any). */
static int times(const writer *w, ego_verb verb, int thing) {
    int n = 0;
    for (int i = w->from; i < w->to; i++)
        n += action(w, i)->verb == verb && (thing < 0 || action(w, i)->thing == thing);
    return n;
}

/* Did I …? Yes with an action of the interval, no with one of another interval of the video. */
static void ask_whether(writer *w) {
    const ego_script *s = w->script;
    int i = w->from + draw(w, w->to - w->from);
    ego_buf_text(&w->question, "Did I ");
    phrase(s, action(w, i), present[action(w, i)->verb], &w->question);
    ego_buf_char(&w->question, '?');
    ask(w, &whether_action, DIRECT, YES);
    for (int tries = 0; tries < 40; tries++) {
        const ego_action *a = &s->actions[draw(w, s->action_count)];
        bool happened = false;
        for (int k = w->from; k < w->to; k++) happened |= same_doing(action(w, k), a);
        if (happened) continue;
        ego_buf_text(&w->question, "Did I ");
        phrase(s, a, present[a->verb], &w->question);
        ego_buf_char(&w->question, '?');
        ask(w, &whether_action, DIRECT, NO);
        return;
    }
}

static void ask_order(writer *w) {
    int n = w->to - w->from;
    if (n < 2) return;
    int first = w->from + draw(w, n - 1), second = first + 1 + draw(w, w->to - first - 1);
    const ego_action *a = action(w, first), *b = action(w, second);
    if (same_doing(a, b) || times(w, a->verb, a->thing) > 1 || times(w, b->verb, b->thing) > 1)
        return;
    bool yes = draw(w, 2);
    ego_buf_text(&w->question, "Did I ");
    phrase(w->script, yes ? a : b, present[(yes ? a : b)->verb], &w->question);
    ego_buf_text(&w->question, " before I ");
    phrase(w->script, yes ? b : a, past[(yes ? b : a)->verb], &w->question);
    ego_buf_char(&w->question, '?');
    ask(w, &whether_order, DIRECT, yes ? YES : NO);
}

static void ask_next(writer *w) {
    int n = w->to - w->from;
    if (n < 2) return;
    int i = w->from + draw(w, n - 1);
    bool after = draw(w, 2);
    const ego_action *known = action(w, after ? i : i + 1), *asked = action(w, after ? i + 1 : i);
    if (times(w, known->verb, known->thing) > 1) return;
    ego_buf_printf(&w->question, "What did I do just %s I ", after ? "after" : "before");
    phrase(w->script, known, past[known->verb], &w->question);
    ego_buf_char(&w->question, '?');
    ask(w, &about_action, DIRECT, FIRST_VERB + (int)asked->verb);
}

static void ask_details(writer *w) {
    const ego_action *a = action(w, w->from + draw(w, w->to - w->from));
    const ego_script *s = w->script;
    if (a->thing < 0 || times(w, a->verb, a->thing) > 1) return;
    ego_buf_text(&w->question, "Which hand did I use when I ");
    phrase(s, a, past[a->verb], &w->question);
    ego_buf_char(&w->question, '?');
    ask(w, &about_action, DIRECT, LEFT + a->hand);
    if (times(w, a->verb, -1) > 1) return;
    static const char *const doing[EGO_VERB_COUNT] = {"pick up",
                                                      "put down",
                                                      "open",
                                                      "close",
                                                      "push to the left",
                                                      "push to the right",
                                                      "get handed",
                                                      "hand over",
                                                      "put in something",
                                                      "take out of something",
                                                      "shake",
                                                      "wave",
                                                      "stir",
                                                      "cut",
                                                      NULL,
                                                      "scrub",
                                                      "pour from",
                                                      NULL};
    ego_thing thing = s->things[a->thing];
    ego_buf_printf(&w->question, "What did I %s?", doing[a->verb]);
    ask(w, &about_object, DIRECT, FIRST_KIND + (int)thing.kind);
    ego_buf_printf(&w->question, "What colour is the %s that I ", ego_kind_infos[thing.kind].word);
    const char *form = past[a->verb], *t = strstr(form, " the {t}");
    ego_buf_append(&w->question, form, (size_t)(t - form));
    if (!strchr(t + 8, '{')) ego_buf_text(&w->question, t + 8);
    ego_buf_char(&w->question, '?');
    ask(w, &about_object, DIRECT, FIRST_HUE + (int)thing.hue);
}

static void ask_count(writer *w) {
    static const char *const things[] = {"pick something up", "put something down",
                                         "use the left hand", "use the right hand"};
    int what = draw(w, 4), n = 0;
    for (int i = w->from; i < w->to; i++) {
        const ego_action *a = action(w, i);
        if (what < 2)
            n += a->verb == (what ? EGO_PUT_DOWN : EGO_PICK_UP);
        else
            n += a->verb != EGO_LOOK && a->hand == what - 2;
    }
    ego_buf_printf(&w->question, "How many times did I %s?", things[what]);
    ask(w, &about_action, DIRECT, FIRST_COUNT + (n < COUNTS ? n : COUNTS - 1));
}

/* Is it open in the end? Of what was opened or closed, so that both answers are as likely. */
static void ask_state(writer *w, const ego_state *after) {
    for (int i = w->to - 1; i >= w->from; i--) {
        const ego_action *a = action(w, i);
        if (a->verb != EGO_OPEN && a->verb != EGO_CLOSE) continue;
        bool asked_open = draw(w, 2);
        ego_buf_text(&w->question, "Is the ");
        ego_annotation_thing(w->script, a->thing, &w->question);
        ego_buf_printf(&w->question, " %s at the end?", asked_open ? "open" : "closed");
        ask(w, &about_state, DIRECT, after->open[a->thing] == asked_open ? YES : NO);
        return;
    }
}

static void ask_whose(writer *w, const ego_state *after) {
    const ego_action *a = action(w, w->from + draw(w, w->to - w->from));
    if (a->thing < 0) return;
    ego_where where = after->place[a->thing].where;
    ego_buf_text(&w->question, "Who has the ");
    ego_annotation_thing(w->script, a->thing, &w->question);
    ego_buf_text(&w->question, " at the end?");
    ask(w, &about_person, DIRECT,
        where == EGO_IN_HAND ? ME
        : where == EGO_AWAY  ? OTHER
                             : OTHER + 1);
}

static void ask_why(writer *w) {
    for (int i = w->from; i < w->to; i++) {
        if (action(w, i)->verb != EGO_PICK_UP && action(w, i)->verb != EGO_TAKE_FROM) continue;
        int tool = action(w, i)->thing;
        for (int k = i + 1; k < w->to; k++) {
            const ego_action *use = action(w, k);
            bool used = (use->verb >= EGO_STIR && use->verb <= EGO_SCRUB && use->second == tool) ||
                        (use->verb == EGO_POUR && use->thing == tool);
            if (!used) continue;
            ego_buf_text(&w->question, "For what did I take the ");
            ego_annotation_thing(w->script, tool, &w->question);
            ego_buf_char(&w->question, '?');
            ask(w, &about_goal, DIRECT, FIRST_VERB + (int)use->verb);
            return;
        }
    }
}

/* The first or last thing touched, without its name. */
static void ask_indirect(writer *w) {
    int order[2] = {-1, -1};
    for (int i = w->from; i < w->to; i++) {
        if (action(w, i)->thing < 0) continue;
        if (order[0] < 0) order[0] = i;
        order[1] = i;
    }
    if (order[0] < 0) return;
    bool last = draw(w, 2);
    const ego_action *a = action(w, order[last]);
    const char *which = last ? "last" : "first";
    ego_thing thing = w->script->things[a->thing];
    ego_buf_printf(&w->question, "What is the %s thing that I touched?", which);
    ask(w, &about_object, INDIRECT, FIRST_KIND + (int)thing.kind);
    ego_buf_printf(&w->question, "What colour is the %s thing that I touched?", which);
    ask(w, &about_object, INDIRECT, FIRST_HUE + (int)thing.hue);
    ego_buf_printf(&w->question, "What did I do with the %s thing that I touched?", which);
    ask(w, &about_action, INDIRECT, FIRST_VERB + (int)a->verb);
    /* Its own colour or another thing's, with equal chances. */
    ego_hue hue = thing.hue;
    bool yes = draw(w, 2);
    for (int tries = 0; !yes && hue == thing.hue && tries < 20; tries++)
        hue = w->script->things[draw(w, w->script->thing_count)].hue;
    ego_buf_printf(&w->question, "Is the %s thing that I touched %s?", which, ego_hue_words[hue]);
    ask(w, &whether_object, INDIRECT, hue == thing.hue ? YES : NO);
}

static void ask_all(writer *w) {
    ego_state after;
    ego_state_at(w->script, w->end, &after);
    ask_whether(w);
    ask_order(w);
    ask_next(w);
    ask_details(w);
    ask_count(w);
    ask_state(w, &after);
    ask_whose(w, &after);
    ask_why(w);
    ask_indirect(w);
}

/* Later rounds draw from streams of their own, so that the first is the same however many follow. */
static void ask_rounds(writer *w, int rounds, int interval) {
    w->asked_count = w->round = 0;
    ask_all(w);
    const uint64_t stream = w->stream, draws = w->draws;
    for (w->round = 1; w->round < rounds; w->round++) {
        w->stream = ego_rng_stream(ego_rng_stream(stream, (uint64_t)w->round), (uint64_t)interval);
        w->draws = 0;
        ask_all(w);
    }
    w->stream = stream;
    w->draws = draws;
}

enum { INTERVALS_MAX = 1024 };

static ego_err ask_video(const ego_script *s, int rounds, ego_buf *direct, ego_buf *indirect) {
    int *ends = malloc(INTERVALS_MAX * sizeof *ends);
    if (!ends) return ego_fail(EGO_ENOMEM, "%s: out of memory for its questions", s->uid);
    int n = ego_qa_intervals(s, ends, INTERVALS_MAX);
    writer w = {.script = s,
                .stream = ego_rng_stream(s->seed, ego_fnv1a("qa")),
                .files = {direct, indirect}};
    for (int i = 0; i < n; i++) {
        w.start = i ? ends[i - 1] : 0;
        w.end = ends[i];
        for (w.from = 0; w.from < s->action_count && s->actions[w.from].start < w.start;) w.from++;
        for (w.to = w.from; w.to < s->action_count && s->actions[w.to].end <= w.end;) w.to++;
        if (w.to > w.from) ask_rounds(&w, rounds, i);
    }
    ego_buf_release(&w.question);
    free(ends);
    return EGO_OK;
}

/* ---- files ---------------------------------------------------------------------------------------- */

static ego_err write_lists(const ego_synth_set *set) {
    ego_buf answers = {0}, types = {0};
    for (int i = 0; i < ANSWERS; i++) {
        answer_text(i, &answers);
        ego_buf_char(&answers, '\n');
    }
    /* Every part of every reasoning type, each once, in the order of the sorts. */
    ego_buf_char(&types, '\n');
    for (size_t i = 0; i < sizeof sorts / sizeof *sorts; i++) {
        const char *parts[] = {sorts[i]->type, sorts[i]->category, sorts[i]->semantic,
                               sorts[i]->structure};
        for (int k = 0; k < 4 && !types.failed; k++) {
            char line[40];
            size_t n = strlen(parts[k]);
            line[0] = '\n';
            memcpy(line + 1, parts[k], n);
            memcpy(line + 1 + n, "\n", 2);
            if (!strstr(types.data, line)) ego_buf_text(&types, line + 1);
        }
    }
    ego_buf_text(&types, "direct\nindirect\n");
    ego_buf body = {0};
    if (types.data) ego_buf_text(&body, types.data + 1);
    ego_err err = ego_annotation_write(set, "qa/answer_set.txt", &answers);
    if (err == EGO_OK) err = ego_annotation_write(set, "qa/all_reasoning_types.txt", &body);
    ego_buf_release(&answers);
    ego_buf_release(&types);
    ego_buf_release(&body);
    return err;
}

static ego_err write_questions(const ego_synth_set *set, const char *part, const char *direct,
                               const char *indirect) {
    ego_buf name = {0}, all = {0};
    ego_buf_printf(&name, "qa/direct/formatted_%s_qas_encode.json", part);
    /* The direct set has every question in every part; the indirect set tests on indirect ones alone. */
    bool both = *direct && *indirect;
    ego_buf_printf(&all, "[%s%s%s\n]\n", direct, both ? "," : "", indirect);
    ego_err err = ego_buf_err(&name);
    if (err == EGO_OK) err = ego_annotation_write(set, name.data, &all);
    ego_buf_clear(&name);
    ego_buf_printf(&name, "qa/indirect/formatted_%s_qas_encode.json", part);
    if (strcmp(part, "test") == 0) {
        ego_buf_clear(&all);
        ego_buf_printf(&all, "[%s\n]\n", indirect);
    }
    if (err == EGO_OK) err = ego_annotation_write(set, name.data, &all);
    ego_buf_release(&name);
    ego_buf_release(&all);
    return err;
}

/* Training videos make the training set; of the test videos every other one validates. */
static ego_err write_part(const ego_synth_set *set, const char *part, int first, int step) {
    ego_buf direct = {0}, indirect = {0};
    ego_err err = EGO_OK;
    for (int v = first; v < set->count && err == EGO_OK; v += step)
        err = ask_video(&set->scripts[v], set->qa_rounds, &direct, &indirect);
    if (err == EGO_OK) err = ego_buf_err(&direct);
    if (err == EGO_OK) err = ego_buf_err(&indirect);
    if (err == EGO_OK)
        err = write_questions(set, part, direct.data ? direct.data : "",
                              indirect.data ? indirect.data : "");
    ego_buf_release(&direct);
    ego_buf_release(&indirect);
    return err;
}

ego_err ego_annotate_taskqa(const ego_synth_set *set) {
    EGO_TRY(write_lists(set));
    if (set->split == EGO_TRAIN) return write_part(set, "train", 0, 1);
    EGO_TRY(write_part(set, "test", 0, 2));
    return write_part(set, "val", 1, 2);
}
