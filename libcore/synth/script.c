/* The script of a video: a random walk through what can be done with what is at hand. */
#include "base/hash.h"
#include "base/rng.h"
#include "synth/exact.h"
#include "synth/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct dice {
    uint64_t stream, count;
} dice;

static int roll(dice *d, int n) { return (int)ego_rng_below(d->stream, d->count++, (uint32_t)n); }

static int between(dice *d, int low, int high) { return low + roll(d, high - low + 1); }

/* ---- what there is -------------------------------------------------------------------------------- */

static bool has_pair(const ego_script *s, ego_kind kind, ego_hue hue) {
    for (int i = 0; i < s->thing_count; i++)
        if (s->things[i].kind == kind && s->things[i].hue == hue) return true;
    return false;
}

/* Adds a thing of this kind (and, if it is not -1 and exists in this split, this colour); false when
 * no colour is left. Two things of a video always differ in kind or colour. */
static bool add_thing(ego_script *s, dice *d, int kind, int hue) {
    int start = hue >= 0 ? hue : roll(d, EGO_HUE_COUNT);
    for (int i = 0; i < EGO_HUE_COUNT; i++) {
        int h = (start + i) % EGO_HUE_COUNT;
        if (ego_pair_split((ego_kind)kind, (ego_hue)h) != s->split) continue;
        if (has_pair(s, (ego_kind)kind, (ego_hue)h)) continue;
        s->things[s->thing_count++] = (ego_thing){(ego_kind)kind, (ego_hue)h, between(d, -40, 40)};
        return true;
    }
    return false;
}

/* What an action needs stands in every video: a container, something to pour from, something to open,
 * and two tools, each with something to use it on. The rest are distractors: the same kind in another
 * colour, the same colour on another kind. */
static void choose_things(ego_script *s, dice *d) {
    static const ego_kind receive[] = {EGO_KIND_BOWL, EGO_KIND_PAN, EGO_KIND_CUP, EGO_KIND_BOWL};
    static const ego_kind openable[] = {EGO_KIND_BOX, EGO_KIND_BOOK, EGO_KIND_JAR, EGO_KIND_BOX};
    static const ego_kind source[] = {EGO_KIND_BOTTLE, EGO_KIND_KETTLE};
    static const ego_kind small[] = {EGO_KIND_APPLE, EGO_KIND_PHONE, EGO_KIND_SCISSORS};
    static const struct {
        int tool, object;
    } uses[] = {{EGO_KIND_SPOON, -1},
                {EGO_KIND_KNIFE, EGO_KIND_APPLE},
                {EGO_KIND_SPONGE, EGO_KIND_PLATE},
                {EGO_KIND_BRUSH, EGO_KIND_PAN},
                {EGO_KIND_KNIFE, EGO_KIND_SPONGE}};
    int first = roll(d, 5), second = (first + 1 + roll(d, 4)) % 5;
    add_thing(s, d, uses[first].tool, -1);
    add_thing(s, d, (int)receive[roll(d, 4)], -1);
    if (uses[first].object >= 0) add_thing(s, d, uses[first].object, -1);
    add_thing(s, d, (int)openable[roll(d, 4)], -1);
    add_thing(s, d, (int)source[roll(d, 2)], -1);
    add_thing(s, d, uses[second].tool, -1);
    if (uses[second].object >= 0) add_thing(s, d, uses[second].object, -1);
    if (roll(d, 2)) add_thing(s, d, (int)small[roll(d, 3)], -1);
    int wanted = between(d, 8, EGO_THINGS_MAX);
    for (int tries = 0; s->thing_count < wanted && tries < 100; tries++) {
        ego_thing like = s->things[roll(d, s->thing_count)];
        int kind = roll(d, EGO_KIND_COUNT);
        if (roll(d, 2))
            add_thing(s, d, (int)like.kind, -1);
        else
            add_thing(s, d, kind, (int)like.hue);
    }
}

static bool slot_taken(const ego_state *state, const ego_script *s, int slot) {
    for (int i = 0; i < s->thing_count; i++)
        if (state->place[i].where == EGO_ON_COUNTER && state->place[i].index == slot) return true;
    return false;
}

static void place_things(ego_script *s, dice *d) {
    for (int slot = 0; slot < EGO_SLOTS; slot++) {
        int column = slot % EGO_SLOT_COLUMNS, row = slot / EGO_SLOT_COLUMNS;
        s->slot_x[slot] = EGO_WORLD_WIDTH / 2 + (2 * column - EGO_SLOT_COLUMNS + 1) * 34 +
                          (row ? 10 : -10) + between(d, -4, 4);
        s->slot_y[slot] = (row ? 278 : 204) + between(d, -4, 4);
    }
    int on_counter = between(d, 5, EGO_ON_COUNTER_MAX - 1);
    for (int i = 0; i < s->thing_count; i++) s->initial.place[i] = (ego_place){EGO_AWAY, 0};
    for (int i = 0; i < s->thing_count && i < on_counter; i++) {
        int slot;
        do slot = roll(d, EGO_SLOTS);
        while (slot_taken(&s->initial, s, slot));
        s->initial.place[i] = (ego_place){EGO_ON_COUNTER, slot};
    }
}

/* ---- what can be done ----------------------------------------------------------------------------- */

static unsigned abilities(const ego_script *s, int thing) {
    return ego_kind_infos[s->things[thing].kind].abilities;
}

static bool on_counter(const ego_state *state, int thing) {
    return state->place[thing].where == EGO_ON_COUNTER;
}

static bool in_hand(const ego_state *state, int thing, int hand) {
    return state->place[thing].where == EGO_IN_HAND && state->place[thing].index == hand;
}

static int inside(const ego_state *state, const ego_script *s, int container) {
    for (int i = 0; i < s->thing_count; i++)
        if (state->place[i].where == EGO_INSIDE && state->place[i].index == container) return i;
    return -1;
}

/* Ready to get something: on the counter, open if it has a lid, and nothing in it. */
static bool gets(const ego_state *state, const ego_script *s, int thing, unsigned ability) {
    if (!on_counter(state, thing) || !(abilities(s, thing) & ability)) return false;
    if ((abilities(s, thing) & EGO_CAN_OPEN) && !state->open[thing]) return false;
    return inside(state, s, thing) < 0;
}

static int counter_count(const ego_state *state, const ego_script *s) {
    int count = 0;
    for (int i = 0; i < s->thing_count; i++) count += on_counter(state, i);
    return count;
}

/* A hand does not reach the far end of the other side. */
static bool reaches(int hand, int slot) {
    int column = slot % EGO_SLOT_COLUMNS;
    return hand ? column >= 1 : column <= EGO_SLOT_COLUMNS - 2;
}

static int pushed_slot(ego_verb verb, int slot) {
    int column = slot % EGO_SLOT_COLUMNS + (verb == EGO_PUSH_LEFT ? -1 : 1);
    if (column < 0 || column >= EGO_SLOT_COLUMNS) return -1;
    return slot + (verb == EGO_PUSH_LEFT ? -1 : 1);
}

static bool is_kind(const ego_script *s, int thing, ego_kind kind) {
    return s->things[thing].kind == kind;
}

/* Can `hand` do `verb` to `thing` with `second`, ending in `slot`? Arguments a verb has no use for
 * must be -1 (thing, second, slot). */
static bool feasible(const ego_script *s, const ego_state *state, const ego_action *a) {
    int thing = a->thing, second = a->second, slot = a->slot, hand = a->hand;
    bool needs_slot = a->verb == EGO_PUT_DOWN;
    bool needs_second = a->verb == EGO_PUT_IN || a->verb == EGO_TAKE_OUT ||
                        (a->verb >= EGO_STIR && a->verb <= EGO_POUR);
    bool needs_thing = a->verb != EGO_WIPE && a->verb != EGO_LOOK;
    if ((thing >= 0) != needs_thing || (second >= 0) != needs_second || (slot >= 0) != needs_slot)
        return false;
    if (thing >= 0 && thing == second) return false;
    bool free_hand = ego_held_by(state, s, hand) < 0;
    bool reached =
        thing >= 0 && on_counter(state, thing) && reaches(hand, state->place[thing].index);
    switch (a->verb) {
    case EGO_PICK_UP:
        return free_hand && reached && !state->open[thing] && inside(state, s, thing) < 0 &&
               counter_count(state, s) > 3;
    case EGO_PUT_DOWN:
        return in_hand(state, thing, hand) && reaches(hand, slot) && !slot_taken(state, s, slot) &&
               counter_count(state, s) < EGO_ON_COUNTER_MAX;
    case EGO_OPEN:
        return free_hand && reached && (abilities(s, thing) & EGO_CAN_OPEN) && !state->open[thing];
    case EGO_CLOSE: return free_hand && reached && state->open[thing];
    case EGO_PUSH_LEFT:
    case EGO_PUSH_RIGHT: {
        if (!free_hand || !reached) return false;
        int to = pushed_slot(a->verb, state->place[thing].index);
        return to >= 0 && reaches(hand, to) && !slot_taken(state, s, to);
    }
    case EGO_TAKE_FROM: return free_hand && state->place[thing].where == EGO_AWAY;
    case EGO_HAND_TO: return in_hand(state, thing, hand);
    case EGO_PUT_IN:
        return in_hand(state, thing, hand) && (abilities(s, thing) & EGO_CAN_GO_IN) &&
               gets(state, s, second, EGO_CAN_HOLD) && !state->filled[second] &&
               reaches(hand, state->place[second].index);
    case EGO_TAKE_OUT:
        return free_hand && state->place[thing].where == EGO_INSIDE &&
               state->place[thing].index == second && on_counter(state, second) &&
               (!(abilities(s, second) & EGO_CAN_OPEN) || state->open[second]) &&
               reaches(hand, state->place[second].index);
    case EGO_SHAKE:
    case EGO_WAVE: return in_hand(state, thing, hand) && !state->filled[thing];
    case EGO_STIR:
        return in_hand(state, second, hand) && is_kind(s, second, EGO_KIND_SPOON) &&
               gets(state, s, thing, EGO_CAN_RECEIVE) && reached;
    case EGO_CUT:
        return in_hand(state, second, hand) && is_kind(s, second, EGO_KIND_KNIFE) && reached &&
               (abilities(s, thing) & EGO_CAN_CUT);
    case EGO_WIPE: return in_hand(state, second, hand) && is_kind(s, second, EGO_KIND_SPONGE);
    case EGO_SCRUB:
        return in_hand(state, second, hand) && reached && inside(state, s, thing) < 0 &&
               (is_kind(s, second, EGO_KIND_SPONGE) || is_kind(s, second, EGO_KIND_BRUSH)) &&
               (abilities(s, thing) & EGO_CAN_SCRUB);
    case EGO_POUR:
        return in_hand(state, thing, hand) && (abilities(s, thing) & EGO_CAN_POUR) &&
               (!(abilities(s, thing) & EGO_CAN_RECEIVE) || state->filled[thing]) &&
               (hand || !is_kind(s, thing, EGO_KIND_KETTLE)) && /* its spout is at the left */
               gets(state, s, second, EGO_CAN_RECEIVE) && reaches(hand, state->place[second].index);
    case EGO_LOOK: return true;
    case EGO_VERB_COUNT: break;
    }
    return false;
}

/* How much a hand wants this thing: what more can be done with is picked up more often. */
static int appeal(const ego_script *s, const ego_action *a) {
    if (a->verb != EGO_PICK_UP && a->verb != EGO_TAKE_FROM) return 1;
    switch (s->things[a->thing].kind) {
    case EGO_KIND_SPOON:
    case EGO_KIND_KNIFE:
    case EGO_KIND_SPONGE:
    case EGO_KIND_BRUSH: return 5;
    case EGO_KIND_BOTTLE:
    case EGO_KIND_KETTLE:
    case EGO_KIND_APPLE:
    case EGO_KIND_PHONE:
    case EGO_KIND_SCISSORS: return 3;
    default: return 1;
    }
}

/* Counts the ways to do `verb` now, by appeal; the one that number `want` falls on is left in *found. */
static int ways(const ego_script *s, const ego_state *state, ego_verb verb, int want,
                ego_action *found) {
    int count = 0;
    for (int hand = 0; hand < 2; hand++)
        for (int thing = -1; thing < s->thing_count; thing++)
            for (int second = -1; second < s->thing_count; second++)
                for (int slot = -1; slot < EGO_SLOTS; slot++) {
                    if (slot >= 0 && verb != EGO_PUT_DOWN) break;
                    ego_action a = {
                        .verb = verb, .thing = thing, .second = second, .hand = hand, .slot = slot};
                    if (!feasible(s, state, &a)) continue;
                    int more = appeal(s, &a);
                    if (want >= count && want < count + more) *found = a;
                    count += more;
                }
    return count;
}

/* The undoing of what was just done to the same thing is rare, or half of a video would be that. */
static int wish(const ego_script *s, const ego_state *state, ego_verb verb,
                const ego_action *last) {
    int weight = ego_verb_infos[verb].weight * 4;
    if (last && verb == last->verb) weight /= 4;
    if (last && verb < EGO_SHAKE && last->verb < EGO_SHAKE && ((int)verb ^ 1) == (int)last->verb)
        weight /= 3;
    bool both = ego_held_by(state, s, 0) >= 0 && ego_held_by(state, s, 1) >= 0;
    if (both && (verb == EGO_PUT_DOWN || verb == EGO_HAND_TO)) weight *= 2;
    return weight;
}

static ego_action choose_action(const ego_script *s, const ego_state *state, dice *d,
                                const ego_action *last) {
    int counts[EGO_VERB_COUNT], total = 0;
    ego_action action = {.verb = EGO_LOOK, .thing = -1, .second = -1, .slot = -1};
    for (int v = 0; v < EGO_VERB_COUNT; v++) {
        counts[v] = ways(s, state, (ego_verb)v, -1, &action);
        if (counts[v]) total += wish(s, state, (ego_verb)v, last);
    }
    int draw = roll(d, total); /* LOOK is always possible: total > 0 */
    for (int v = 0; v < EGO_VERB_COUNT; v++) {
        if (!counts[v]) continue;
        draw -= wish(s, state, (ego_verb)v, last);
        if (draw >= 0) continue;
        ways(s, state, (ego_verb)v, roll(d, counts[v]), &action);
        break;
    }
    if (action.verb == EGO_PUSH_LEFT || action.verb == EGO_PUSH_RIGHT)
        action.slot = pushed_slot(action.verb, state->place[action.thing].index);
    return action;
}

static void choose_actions(ego_script *s, dice *d) {
    ego_state state = s->initial;
    int pace = between(d, 70, 130); /* per cent of the usual pause */
    int now = between(d, 20, 50);
    while (s->action_count < EGO_ACTIONS_MAX) {
        const ego_action *last = s->action_count ? &s->actions[s->action_count - 1] : NULL;
        ego_action a = choose_action(s, &state, d, last);
        const ego_verb_info *verb = &ego_verb_infos[a.verb];
        a.start = now;
        a.end = now + between(d, verb->least, verb->most);
        a.cycles = (int)((double)(a.end - a.start) / EGO_SYNTH_FPS * verb->rate * 0.7 + 0.5);
        if (a.end + 15 > s->frames) break;
        s->actions[s->action_count++] = a;
        ego_state_apply(&state, &a);
        now = a.end + between(d, 14, 70) * pace / 100;
    }
}

ego_err ego_script_make(uint64_t seed, ego_split split, int index, int frames, ego_script *script) {
    *script = (ego_script){.split = split, .frames = frames};
    ego_script *s = script;
    s->seed = ego_rng_stream(ego_rng_stream(seed, 1 + (uint64_t)split), (uint64_t)index);
    snprintf(s->uid, sizeof s->uid, "%s-%llx-%04d", split == EGO_TRAIN ? "train" : "test",
             (unsigned long long)seed, index);
    dice d = {ego_rng_stream(s->seed, ego_fnv1a("script")), 0};
    s->other_is_woman = roll(&d, 2);
    s->other_name = (char)('X' + roll(&d, 3));
    s->actions = calloc(EGO_ACTIONS_MAX, sizeof *s->actions);
    if (!s->actions) return ego_fail(EGO_ENOMEM, "%s: out of memory for its script", s->uid);
    choose_things(s, &d);
    place_things(s, &d);
    choose_actions(s, &d);
    ego_err err = ego_narrate(s);
    if (err != EGO_OK) ego_script_release(s);
    return err;
}

void ego_script_release(ego_script *script) {
    for (int i = 0; i < script->action_count; i++) free(script->actions[i].text);
    free(script->actions);
    *script = (ego_script){0};
}
