/* Narrations from a small grammar, in Ego4D's manner: "#C C picks up the red cup with the left hand".
 *
 * A template holds {t} the thing, {s} the second thing, {o} the other person. Details are left out at
 * random: `told` keeps which were said, and ego_narration_fits compares by meaning, never by words.
 */
#include "base/buf.h"
#include "base/hash.h"
#include "base/rng.h"
#include "synth/world.h"

#include <string.h>

enum { FORMS = 5 };

static const char *const forms[EGO_VERB_COUNT][FORMS] = {
    [EGO_PICK_UP] = {"picks up {t}", "lifts {t}", "takes {t} from the counter", "grabs {t}",
                     "picks {t} from the counter"},
    [EGO_PUT_DOWN] = {"puts down {t}", "places {t} on the counter", "puts {t} on the counter",
                      "sets down {t}", "drops {t} on the counter"},
    [EGO_OPEN] = {"opens {t}", "opens up {t}"},
    [EGO_CLOSE] = {"closes {t}", "shuts {t}"},
    [EGO_PUSH_LEFT] = {"pushes {t} to the left", "moves {t} to the left", "slides {t} to the left"},
    [EGO_PUSH_RIGHT] = {"pushes {t} to the right", "moves {t} to the right",
                        "slides {t} to the right"},
    [EGO_TAKE_FROM] = {"takes {t} from {o}", "receives {t} from {o}", "collects {t} from {o}",
                       "#O {o} hands {t} to C", "#O {o} gives {t} to C"},
    [EGO_HAND_TO] = {"hands {t} to {o}", "gives {t} to {o}", "passes {t} to {o}"},
    [EGO_PUT_IN] = {"puts {t} in {s}", "drops {t} into {s}", "places {t} inside {s}"},
    [EGO_TAKE_OUT] = {"takes {t} out of {s}", "removes {t} from {s}", "picks {t} out of {s}"},
    [EGO_SHAKE] = {"shakes {t}", "shakes {t} up and down"},
    [EGO_WAVE] = {"waves {t}", "swings {t} from side to side"},
    [EGO_STIR] = {"stirs {t}", "stirs in {t}", "mixes in {t}"},
    [EGO_CUT] = {"cuts {t}", "slices {t}", "chops {t}"},
    [EGO_WIPE] = {"wipes the counter", "cleans the counter"},
    [EGO_SCRUB] = {"scrubs {t}", "cleans {t}"},
    [EGO_POUR] = {"pours from {t}", "empties {t}"},
    [EGO_LOOK] = {"looks around the room", "looks around", "turns the head"},
};

typedef struct voice {
    uint64_t stream, count;
    ego_buf *text;
    const ego_script *script;
} voice;

static int choice(voice *v, int n) {
    return (int)ego_rng_below(v->stream, v->count++, (uint32_t)n);
}

static bool starts_with_vowel(const char *word) { return strchr("aeiou", *word) != NULL; }

static void say_thing(voice *v, int thing, bool hue) {
    const ego_thing *t = &v->script->things[thing];
    const ego_kind_info *kind = &ego_kind_infos[t->kind];
    const char *noun = kind->word;
    int synonyms = 0;
    while (synonyms < 3 && kind->synonyms[synonyms]) synonyms++;
    int n = choice(v, 2 + synonyms * 2);
    if (n >= 2 + synonyms) noun = kind->synonyms[n - 2 - synonyms];
    const char *first = hue ? ego_hue_words[t->hue] : noun;
    bool plural = t->kind == EGO_KIND_SCISSORS && noun == kind->word;
    bool definite = plural || choice(v, 3) > 0;
    ego_buf_text(v->text, definite ? "the " : starts_with_vowel(first) ? "an " : "a ");
    if (hue) ego_buf_printf(v->text, "%s ", first);
    ego_buf_text(v->text, noun);
}

static void say_form(voice *v, const ego_action *a, const char *form) {
    const ego_script *s = v->script;
    for (; *form; form++) {
        if (*form != '{') {
            ego_buf_char(v->text, *form);
            continue;
        }
        char what = form[1];
        form += 2; /* the closing brace */
        if (what == 't')
            say_thing(v, a->thing, a->told & EGO_TOLD_HUE);
        else if (what == 's')
            say_thing(v, a->second, a->told & EGO_TOLD_SECOND_HUE);
        else
            ego_buf_printf(v->text, "the %s %c", s->other_is_woman ? "woman" : "man",
                           s->other_name);
    }
}

static bool is_tool(const ego_action *a) { return a->verb >= EGO_STIR && a->verb <= EGO_SCRUB; }

static unsigned choose_details(voice *v, const ego_action *a) {
    unsigned told = 0;
    if (a->thing >= 0 && choice(v, 10) < 7) told |= EGO_TOLD_HUE;
    if (a->second >= 0) {
        bool always = a->verb == EGO_PUT_IN || a->verb == EGO_TAKE_OUT;
        if (always || choice(v, 10) < 6) told |= EGO_TOLD_SECOND;
        if ((told & EGO_TOLD_SECOND) && choice(v, 10) < 5) told |= EGO_TOLD_SECOND_HUE;
    }
    if (a->verb != EGO_LOOK && choice(v, 10) < 4) told |= EGO_TOLD_HAND;
    return told;
}

static void say(voice *v, ego_action *a) {
    int n = 0;
    while (n < FORMS && forms[a->verb][n]) n++;
    const char *form = forms[a->verb][choice(v, n)];
    a->told = choose_details(v, a);
    bool other = strncmp(form, "#O", 2) == 0;
    if (other)
        a->told &= ~(unsigned)EGO_TOLD_HAND; /* another person's doing */
    else
        ego_buf_text(v->text, "#C C ");
    say_form(v, a, form);
    if (a->told & EGO_TOLD_SECOND) {
        if (is_tool(a)) say_form(v, a, " with {s}");
        if (a->verb == EGO_POUR) say_form(v, a, " into {s}");
    }
    if (a->told & EGO_TOLD_HAND) {
        bool tool = is_tool(a) && (a->told & EGO_TOLD_SECOND);
        const char *with = tool ? "in" : choice(v, 4) ? "with" : "using";
        ego_buf_printf(v->text, " %s the %s hand", with, a->hand ? "right" : "left");
    }
}

ego_err ego_narrate(ego_script *script) {
    uint64_t stream = ego_rng_stream(script->seed, ego_fnv1a("narration"));
    for (int i = 0; i < script->action_count; i++) {
        ego_buf text = {0};
        voice v = {ego_rng_stream(stream, (uint64_t)i), 0, &text, script};
        say(&v, &script->actions[i]);
        EGO_TRY(ego_buf_err(&text));
        script->actions[i].text = text.data; /* the script owns it now */
    }
    return EGO_OK;
}

bool ego_narration_fits(const ego_script *script, const ego_action *told,
                        const ego_script *other_script, const ego_action *other) {
    if (told->verb != other->verb) return false;
    if ((told->told & EGO_TOLD_HAND) && told->hand != other->hand) return false;
    if (told->thing >= 0) {
        ego_thing a = script->things[told->thing], b = other_script->things[other->thing];
        if (a.kind != b.kind || ((told->told & EGO_TOLD_HUE) && a.hue != b.hue)) return false;
    }
    if (told->told & EGO_TOLD_SECOND) {
        ego_thing a = script->things[told->second], b = other_script->things[other->second];
        if (a.kind != b.kind || ((told->told & EGO_TOLD_SECOND_HUE) && a.hue != b.hue))
            return false;
    }
    return true;
}
