#include "synth/world.h"
#include "synth/exact.h"

#include <math.h>

const ego_kind_info ego_kind_infos[EGO_KIND_COUNT] = {
    [EGO_KIND_CUP] = {"cup", {"mug"}, EGO_CAN_HOLD | EGO_CAN_POUR | EGO_CAN_RECEIVE, 192},
    [EGO_KIND_BOTTLE] = {"bottle", {NULL}, EGO_CAN_POUR, 58},
    [EGO_KIND_BOWL] = {"bowl", {NULL}, EGO_CAN_HOLD | EGO_CAN_RECEIVE, 65},
    [EGO_KIND_PLATE] = {"plate", {"dish"}, EGO_CAN_SCRUB, 401},
    [EGO_KIND_PAN] = {"pan",
                      {"frying pan", "skillet"},
                      EGO_CAN_HOLD | EGO_CAN_RECEIVE | EGO_CAN_SCRUB,
                      365},
    [EGO_KIND_KNIFE] = {"knife", {NULL}, EGO_CAN_GO_IN | EGO_LONG, 277},
    [EGO_KIND_SPOON] = {"spoon", {NULL}, EGO_CAN_GO_IN | EGO_LONG, 491},
    [EGO_KIND_SPONGE] = {"sponge", {NULL}, EGO_CAN_GO_IN | EGO_CAN_CUT, 490},
    [EGO_KIND_BOX] = {"box", {"carton"}, EGO_CAN_OPEN | EGO_CAN_HOLD, 68},
    [EGO_KIND_BOOK] = {"book", {NULL}, EGO_CAN_OPEN, 55},
    [EGO_KIND_PHONE] = {"phone", {"mobile phone", "cell phone"}, EGO_CAN_GO_IN, 381},
    [EGO_KIND_APPLE] = {"apple", {NULL}, EGO_CAN_GO_IN | EGO_CAN_CUT, 7},
    [EGO_KIND_JAR] = {"jar", {NULL}, EGO_CAN_OPEN, 263},
    [EGO_KIND_KETTLE] = {"kettle", {NULL}, EGO_CAN_POUR, 271},
    [EGO_KIND_SCISSORS] = {"scissors", {"pair of scissors"}, EGO_CAN_GO_IN | EGO_LONG, 446},
    [EGO_KIND_BRUSH] = {"brush", {NULL}, EGO_CAN_GO_IN | EGO_LONG, 77},
};

const char *const ego_hue_words[EGO_HUE_COUNT] = {"red",  "orange", "yellow", "green",
                                                  "blue", "purple", "white",  "black"};

const ego_verb_info ego_verb_infos[EGO_VERB_COUNT] = {
    [EGO_PICK_UP] = {"pick up", 93, 40, 58, 12, 0},
    [EGO_PUT_DOWN] = {"put down", 69, 40, 58, 8, 0},
    [EGO_OPEN] = {"open", 64, 38, 56, 12, 0},
    [EGO_CLOSE] = {"close", 18, 38, 56, 12, 0},
    [EGO_PUSH_LEFT] = {"push left", 75, 36, 52, 6, 0},
    [EGO_PUSH_RIGHT] = {"push right", 76, 36, 52, 6, 0},
    [EGO_TAKE_FROM] = {"receive", 97, 50, 72, 7, 0},
    [EGO_HAND_TO] = {"hand over", 39, 50, 72, 5, 0},
    [EGO_PUT_IN] = {"put in", 45, 48, 68, 30, 0},
    [EGO_TAKE_OUT] = {"take out", 78, 48, 68, 34, 0},
    [EGO_SHAKE] = {"shake", 83, 48, 84, 5, 4.2},
    [EGO_WAVE] = {"wave", 112, 60, 96, 5, 1.1},
    [EGO_STIR] = {"stir", 57, 66, 110, 45, 1.3},
    [EGO_CUT] = {"cut", 23, 64, 100, 50, 2.2},
    [EGO_WIPE] = {"wipe", 113, 66, 108, 26, 0.9},
    [EGO_SCRUB] = {"scrub", 81, 54, 90, 50, 3.1},
    [EGO_POUR] = {"pour", 68, 66, 100, 34, 0},
    [EGO_LOOK] = {"look around", 52, 48, 72, 1, 0},
};

ego_split ego_pair_split(ego_kind kind, ego_hue hue) {
    unsigned first = (unsigned)kind * 3 % EGO_HUE_COUNT, second = (first + 4) % EGO_HUE_COUNT;
    if (kind % 2) second = (first + 5) % EGO_HUE_COUNT;
    return hue == first || hue == second ? EGO_TEST : EGO_TRAIN;
}

double ego_turn_sin(double turns) {
    /* One quarter turn by its Taylor series (error below 4e-12), the rest by symmetry. */
    double t = turns - floor(turns);
    double sign = 1;
    if (t >= 0.5) t -= 0.5, sign = -1;
    if (t > 0.25) t = 0.5 - t;
    double x = t * 6.283185307179586, x2 = x * x;
    double sum = 1 - x2 / 210;
    sum = 1 - x2 / 156 * sum;
    sum = 1 - x2 / 110 * sum;
    sum = 1 - x2 / 72 * sum;
    sum = 1 - x2 / 42 * sum;
    sum = 1 - x2 / 20 * sum;
    sum = 1 - x2 / 6 * sum;
    return sign * x * sum;
}

double ego_action_time(const ego_action *action) {
    return (double)(action->start + action->end) / (2.0 * EGO_SYNTH_FPS);
}

int ego_held_by(const ego_state *state, const ego_script *script, int hand) {
    for (int i = 0; i < script->thing_count; i++)
        if (state->place[i].where == EGO_IN_HAND && state->place[i].index == hand) return i;
    return -1;
}

void ego_state_apply(ego_state *state, const ego_action *a) {
    switch (a->verb) {
    case EGO_PICK_UP:
    case EGO_TAKE_FROM:
    case EGO_TAKE_OUT: state->place[a->thing] = (ego_place){EGO_IN_HAND, a->hand}; break;
    case EGO_PUT_DOWN:
    case EGO_PUSH_LEFT:
    case EGO_PUSH_RIGHT: state->place[a->thing] = (ego_place){EGO_ON_COUNTER, a->slot}; break;
    case EGO_HAND_TO: state->place[a->thing] = (ego_place){EGO_AWAY, 0}; break;
    case EGO_PUT_IN: state->place[a->thing] = (ego_place){EGO_INSIDE, a->second}; break;
    case EGO_OPEN: state->open[a->thing] = true; break;
    case EGO_CLOSE: state->open[a->thing] = false; break;
    case EGO_POUR:
        state->filled[a->second] = 1 + a->thing;
        state->filled[a->thing] = 0;
        break;
    case EGO_CUT: state->cuts[a->thing]++; break;
    default: break; /* the others leave everything where it was */
    }
}

void ego_state_at(const ego_script *script, int frame, ego_state *state) {
    *state = script->initial;
    for (int i = 0; i < script->action_count && script->actions[i].end <= frame; i++)
        ego_state_apply(state, &script->actions[i]);
}
