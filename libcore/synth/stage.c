#include "synth/stage.h"

#include "base/hash.h"
#include "base/rng.h"
#include "synth/exact.h"

#include <math.h>

/* ---- shapes of motion ----------------------------------------------------------------------------- */

static double clamp(double v, double low, double high) {
    return v < low ? low : v > high ? high : v;
}

/* 0 before `from`, 1 after `to`, smooth between. */
static double ease(double p, double from, double to) {
    double t = clamp((p - from) / (to - from), 0, 1);
    return t * t * (3 - 2 * t);
}

static double lerp(double a, double b, double t) { return a + (b - a) * t; }

static ego_point between(ego_point a, ego_point b, double t) {
    return (ego_point){lerp(a.x, b.x, t), lerp(a.y, b.y, t)};
}

/* From a to b by way of c (a quadratic Bézier curve). */
static ego_point arc(ego_point a, ego_point c, ego_point b, double t) {
    return between(between(a, c, t), between(c, b, t), t);
}

static ego_point add(ego_point a, double dx, double dy) { return (ego_point){a.x + dx, a.y + dy}; }

static ego_point turned(ego_point a, double turns, double scale) {
    double c = ego_turn_cos(turns) * scale, s = ego_turn_sin(turns) * scale;
    return (ego_point){a.x * c - a.y * s, a.x * s + a.y * c};
}

double ego_depth_scale(double world_y) {
    return clamp(0.9 + (world_y - 200) / 78 * 0.16, 0.85, 1.15);
}

/* ---- the camera ----------------------------------------------------------------------------------- */

static double wave(double frame, double period, double phase) {
    return ego_turn_sin(frame / period + phase);
}

/* Smooth noise in [-1, 1] along time. */
static double tremor(uint64_t stream, double t) {
    double f = floor(t), u = t - f;
    u = u * u * (3 - 2 * u);
    double a = ego_rng_unit(stream, (uint64_t)(int64_t)f);
    double b = ego_rng_unit(stream, (uint64_t)(int64_t)f + 1);
    return 2 * lerp(a, b, u) - 1;
}

/* Where the eyes rest during an action: near what it is done to. `last` is where they were. */
static ego_point gaze(const ego_script *s, const ego_action *a, const ego_state *state,
                      ego_point last) {
    int thing = a->thing, slot = -1;
    if (thing >= 0 && state->place[thing].where == EGO_ON_COUNTER) slot = state->place[thing].index;
    if (a->second >= 0 && state->place[a->second].where == EGO_ON_COUNTER)
        slot = state->place[a->second].index;
    if (a->verb == EGO_PUT_DOWN) slot = a->slot;
    if (slot < 0) return last;
    double x = s->slot_x[slot], y = s->slot_y[slot];
    if (a->slot >= 0) x = (x + s->slot_x[a->slot]) / 2;
    return (ego_point){EGO_WORLD_WIDTH / 2.0 * 0.15 + x * 0.85, y > 240 ? 224 : 206};
}

/* The gaze at a frame: resting during actions, turning between them, now and then further. */
static ego_point gaze_at(const ego_script *s, int frame) {
    ego_point from = {EGO_WORLD_WIDTH / 2.0, 212}, to = from;
    ego_state state = s->initial;
    int left = 0;
    for (int i = 0; i < s->action_count; i++) {
        const ego_action *a = &s->actions[i];
        uint64_t stream = ego_rng_stream(s->seed, (uint64_t)i + 1000);
        from = to;
        to = gaze(s, a, &state, from);
        if (frame < a->end) {
            ego_point at = between(from, to, ease(frame, left, a->start + 6));
            double side = ego_rng_unit(stream, 0) < 0.5 ? -1 : 1;
            if (a->verb == EGO_LOOK && frame >= a->start) {
                double p = (double)(frame - a->start) / (a->end - a->start);
                double reach = side * (95 + 40 * ego_rng_unit(stream, 1));
                double swing = ease(p, 0, 0.3) - 2 * ease(p, 0.35, 0.7) + ease(p, 0.75, 1);
                return add(at, reach * swing, -16 * ease(p, 0, 0.3) * (1 - ease(p, 0.75, 1)));
            }
            if (a->start - left > 34 && frame < a->start && ego_rng_unit(stream, 2) < 0.5) {
                double p = (double)(frame - left) / (a->start - left);
                double reach = side * (25 + 35 * ego_rng_unit(stream, 3));
                return add(at, reach * ease(p, 0, 0.45) * (1 - ease(p, 0.5, 1)), 0);
            }
            return at;
        }
        left = a->end;
        ego_state_apply(&state, a);
    }
    return to;
}

static void aim_camera(const ego_script *s, int frame, ego_stage *stage) {
    uint64_t r = ego_rng_stream(s->seed, ego_fnv1a("camera"));
    ego_point eye = gaze_at(s, frame);
    double x =
        eye.x + 5 * wave(frame, 171, ego_rng_unit(r, 0)) + 3 * wave(frame, 67, ego_rng_unit(r, 1));
    double y =
        eye.y + 3 * wave(frame, 139, ego_rng_unit(r, 2)) + 2 * wave(frame, 53, ego_rng_unit(r, 3));
    x += 1.3 * tremor(ego_rng_stream(r, 4), frame / 4.0);
    y += 1.3 * tremor(ego_rng_stream(r, 5), frame / 4.0);
    x = clamp(floor(x - EGO_VIEW_WIDTH / 2.0), 0, EGO_WORLD_WIDTH - EGO_VIEW_WIDTH);
    y = clamp(floor(y - EGO_VIEW_HEIGHT / 2.0), 0, EGO_WORLD_HEIGHT - EGO_VIEW_HEIGHT);
    stage->camera_x = (int)x;
    stage->camera_y = (int)y;
}

/* ---- hands at rest -------------------------------------------------------------------------------- */

static ego_point view(const ego_stage *stage, double x, double y) {
    return (ego_point){stage->camera_x + x, stage->camera_y + y};
}

static double side_of(int hand) { return hand ? 1 : -1; }

static ego_point home(const ego_stage *stage, int hand, bool holding) {
    double x = EGO_VIEW_WIDTH / 2.0 + side_of(hand) * (holding ? 74 : 92);
    return view(stage, x, holding ? 214 : 246);
}

static bool is_long(ego_kind kind) { return ego_kind_infos[kind].abilities & EGO_LONG; }

static double held_turns(ego_kind kind, int hand) { return is_long(kind) ? (hand ? 0.2 : 0.3) : 0; }

static ego_hand_shape holding_shape(ego_kind kind) {
    return is_long(kind) || kind == EGO_KIND_KETTLE ? EGO_HAND_FIST : EGO_HAND_CUPPED;
}

enum { HELD_PERCENT = 108 };

static void hold(ego_actor *actor, const ego_script *s, int thing, int hand) {
    ego_kind kind = s->things[thing].kind;
    actor->thing = thing;
    actor->turns = held_turns(kind, hand);
    actor->scale = HELD_PERCENT / 100.0;
    actor->shape = holding_shape(kind);
}

static void rest_hands(const ego_script *s, ego_stage *stage, int frame) {
    for (int hand = 0; hand < 2; hand++) {
        int thing = ego_held_by(&stage->state, s, hand);
        ego_actor *actor = &stage->hands[hand];
        *actor = (ego_actor){.at = home(stage, hand, thing >= 0),
                             .shape = EGO_HAND_FLAT,
                             .thing = -1,
                             .shown = true,
                             .mirrored = hand == 0};
        actor->at =
            add(actor->at, 2 * wave(frame, 83, hand * 0.37), 3 * wave(frame, 61, hand * 0.61));
        if (thing >= 0) hold(actor, s, thing, hand);
        actor->elbow =
            view(stage, EGO_VIEW_WIDTH / 2.0 + side_of(hand) * 70, EGO_VIEW_HEIGHT + 150);
    }
}

/* Now and then the other person's hand lies on the far edge of the counter. */
static void rest_other(const ego_script *s, ego_stage *stage, int frame) {
    enum { EPOCH = 240 };
    uint64_t r =
        ego_rng_stream(ego_rng_stream(s->seed, ego_fnv1a("other")), (uint64_t)(frame / EPOCH));
    if (ego_rng_unit(r, 0) > 0.3) return;
    double p = (double)(frame % EPOCH) / EPOCH;
    double out = ease(p, 0.05, 0.2) * (1 - ease(p, 0.8, 0.95));
    double x = 200 + 420 * ego_rng_unit(r, 1);
    stage->other.at = (ego_point){x + 6 * wave(frame, 47, 0), lerp(40, 172, out)};
    stage->other.elbow = (ego_point){x + 20, -170};
    stage->other.shown = out > 0;
}

/* ---- actions -------------------------------------------------------------------------------------- */

static ego_point grip_at(const ego_script *s, int thing, ego_point base, double turns,
                         double scale) {
    ego_point grip = turned(ego_touches[s->things[thing].kind].grip, turns, scale);
    return add(base, grip.x, grip.y);
}

static double lying_turns(const ego_script *s, int thing) {
    return is_long(s->things[thing].kind) ? s->things[thing].tilt / 1024.0 : 0;
}

static ego_point opening_of(const ego_script *s, const ego_stage *stage, int thing) {
    ego_point base = stage->stand[thing], local = ego_touches[s->things[thing].kind].opening;
    double scale = ego_depth_scale(base.y);
    return add(base, local.x * scale, local.y * scale);
}

/* Picking something up from where it stands, at progress p; backwards it is putting it down. */
static void lift(const ego_script *s, ego_stage *stage, const ego_action *a, ego_point base,
                 double p) {
    ego_actor *hand = &stage->hands[a->hand];
    ego_kind kind = s->things[a->thing].kind;
    double scale = ego_depth_scale(base.y), lying = lying_turns(s, a->thing);
    ego_point grip = grip_at(s, a->thing, base, lying, scale);
    hand->thing = -1;
    hand->shape = EGO_HAND_FLAT;
    if (p < 0.42) {
        hand->at = between(home(stage, a->hand, false), grip, ease(p, 0, 0.4));
        stage->stand[a->thing] = base;
        return;
    }
    double q = ease(p, 0.47, 1);
    hold(hand, s, a->thing, a->hand);
    hand->at = arc(grip, add(grip, 0, -95), home(stage, a->hand, true), q);
    hand->turns = lerp(lying, held_turns(kind, a->hand), q);
    hand->scale = lerp(scale, HELD_PERCENT / 100.0, q);
    stage->shadow.shown = q < 0.8;
    stage->shadow.at = add(base, 0, 0);
    stage->shadow.strength = 1 - q / 0.8;
}

/* Taking something out of a container; backwards it is putting it in. */
static void draw_out(const ego_script *s, ego_stage *stage, const ego_action *a, double p) {
    ego_actor *hand = &stage->hands[a->hand];
    ego_point mouth = opening_of(s, stage, a->second), inside = add(mouth, 0, -4);
    hand->thing = -1;
    hand->shape = EGO_HAND_FLAT;
    if (p < 0.36) {
        hand->at = between(home(stage, a->hand, false), inside, ease(p, 0, 0.34));
        return;
    }
    hold(hand, s, a->thing, a->hand);
    double up = ease(p, 0.4, 0.62), away = ease(p, 0.6, 1);
    ego_point raised = add(mouth, 0, -58);
    hand->at = between(between(inside, raised, up), home(stage, a->hand, true), away);
    hand->scale = lerp(0.8, HELD_PERCENT / 100.0, up);
    if (up < 1 && away <= 0) hand->above = (int)mouth.y + 4;
}

/* Receiving something from the other person; backwards it is handing it over. */
static void receive(const ego_script *s, ego_stage *stage, const ego_action *a, double p) {
    ego_actor *hand = &stage->hands[a->hand], *other = &stage->other;
    ego_kind kind = s->things[a->thing].kind;
    ego_point meet = view(stage, EGO_VIEW_WIDTH / 2.0 + side_of(a->hand) * 12, 132);
    ego_point away = view(stage, EGO_VIEW_WIDTH / 2.0 + 40, -90);
    double here = ease(p, 0, 0.42) * (1 - ease(p, 0.56, 0.95));
    *other = (ego_actor){.at = add(between(away, meet, here), -4, -8),
                         .thing = -1,
                         .shown = true,
                         .elbow = view(stage, EGO_VIEW_WIDTH / 2.0 + 60, -230),
                         .shape = EGO_HAND_FLAT,
                         .mirrored = true};
    hand->thing = -1;
    hand->shape = EGO_HAND_FLAT;
    if (p < 0.5) {
        hold(other, s, a->thing, a->hand);
        other->turns = held_turns(kind, a->hand);
        other->scale = 1;
        hand->at = between(home(stage, a->hand, false), add(meet, side_of(a->hand) * 10, 14),
                           ease(p, 0.08, 0.44));
    } else {
        hold(hand, s, a->thing, a->hand);
        hand->at = between(meet, home(stage, a->hand, true), ease(p, 0.54, 1));
        hand->scale = lerp(1, HELD_PERCENT / 100.0, ease(p, 0.54, 1));
    }
}

static void open_lid(const ego_script *s, ego_stage *stage, const ego_action *a, double p) {
    ego_actor *hand = &stage->hands[a->hand];
    ego_point base = stage->stand[a->thing];
    double scale = ego_depth_scale(base.y), open = ease(p, 0.3, 0.72);
    ego_point lid = ego_lid(s->things[a->thing].kind, open, a->hand ? 1 : -1);
    ego_point grip = add(base, lid.x * scale + side_of(a->hand) * 5, lid.y * scale + 13);
    double there = ease(p, 0, 0.27) * (1 - ease(p, 0.75, 1));
    stage->open[a->thing] = open;
    hand->at = between(home(stage, a->hand, false), grip, there);
    hand->shape = p > 0.25 && p < 0.78 ? EGO_HAND_CUPPED : EGO_HAND_FLAT;
}

static void push(const ego_script *s, ego_stage *stage, const ego_action *a, double p) {
    ego_actor *hand = &stage->hands[a->hand];
    ego_point from = stage->stand[a->thing];
    ego_point to = {s->slot_x[a->slot], s->slot_y[a->slot]};
    ego_point base = between(from, to, ease(p, 0.28, 0.74));
    stage->stand[a->thing] = base;
    /* The fingers at its foot: what is pushed stays in view. */
    hand->at = between(home(stage, a->hand, false), add(base, 0, 10),
                       ease(p, 0, 0.26) * (1 - ease(p, 0.77, 1)));
}

/* How far a tool is where it works (1) or at rest (0), and the phase of its cycles in turns. */
static double at_work(const ego_action *a, double p, double *phase) {
    double part = 13.0 / (a->end - a->start);
    *phase = a->cycles * clamp((p - part) / (1 - 2 * part), 0, 1);
    return ease(p, 0, part) * (1 - ease(p, 1 - part, 1));
}

static void shake_or_wave(ego_stage *stage, const ego_action *a, double p) {
    ego_actor *hand = &stage->hands[a->hand];
    double phase, w = at_work(a, p, &phase);
    ego_point middle = view(stage, EGO_VIEW_WIDTH / 2.0 + side_of(a->hand) * 26, 142);
    double s = ego_turn_sin(phase);
    hand->at = between(home(stage, a->hand, true), middle, w);
    hand->at = a->verb == EGO_SHAKE ? add(hand->at, 0, 24 * s * w) : add(hand->at, 58 * s * w, 0);
}

/* A tool's working end on `target`, turned by `turns`; dx, dy: its swing. */
static void work(const ego_script *s, ego_stage *stage, const ego_action *a, double w,
                 ego_point target, double turns, double dx, double dy) {
    ego_actor *hand = &stage->hands[a->hand];
    int tool = a->verb == EGO_POUR ? a->thing : a->second;
    ego_kind kind = s->things[tool].kind;
    const ego_touch *touch = &ego_touches[kind];
    hand->turns = lerp(held_turns(kind, a->hand), turns, w);
    ego_point local = {touch->work.x - touch->grip.x, touch->work.y - touch->grip.y};
    ego_point arm = turned(local, turns, hand->scale);
    ego_point at = {target.x - arm.x + dx, target.y - arm.y + dy};
    hand->at = between(home(stage, a->hand, true), at, w);
}

static void use_tool(const ego_script *s, ego_stage *stage, const ego_action *a, double p) {
    ego_actor *hand = &stage->hands[a->hand];
    double phase, w = at_work(a, p, &phase);
    double c = ego_turn_cos(phase), d = ego_turn_sin(phase), full = w > 0.9 ? 1 : 0;
    if (a->verb == EGO_WIPE) {
        hand->shape = EGO_HAND_FLAT;
        work(s, stage, a, w, view(stage, EGO_VIEW_WIDTH / 2.0 + side_of(a->hand) * 20, 196), 0,
             62 * d * w, 5 * c * w);
        return;
    }
    ego_point target = opening_of(s, stage, a->thing);
    switch (a->verb) {
    case EGO_STIR:
        work(s, stage, a, w, add(target, 0, 10), a->hand ? -0.13 : 0.63, 17 * c * w, 7 * d * w);
        if (full > 0) hand->above = (int)target.y + 5;
        break;
    case EGO_CUT:
        work(s, stage, a, w, target, a->hand ? 0.04 : 0.46, 5 * d * w, 15 * (d - 0.5) * w);
        break;
    default: /* SCRUB */
        if (s->things[a->second].kind == EGO_KIND_SPONGE) hand->shape = EGO_HAND_FLAT;
        work(s, stage, a, w, target,
             s->things[a->second].kind == EGO_KIND_SPONGE ? 0
             : a->hand                                    ? 0.03
                                                          : 0.47,
             15 * c * w, 8 * d * w);
        break;
    }
}

static void pour(const ego_script *s, ego_stage *stage, const ego_action *a, double p) {
    ego_actor *hand = &stage->hands[a->hand];
    bool kettle = s->things[a->thing].kind == EGO_KIND_KETTLE;
    double tilt = (kettle ? -0.14 : -0.31) * side_of(a->hand);
    double there = ease(p, 0, 0.24) * (1 - ease(p, 0.82, 1));
    double tilted = ease(p, 0.2, 0.4) * (1 - ease(p, 0.72, 0.86));
    ego_point target = opening_of(s, stage, a->second),
              spout = add(target, side_of(a->hand) * 6, -34);
    work(s, stage, a, there, spout, tilt, 0, 0);
    hand->turns = tilt * tilted;
    stage->stream.shown = p > 0.36 && p < 0.76;
    stage->stream.from = spout;
    stage->stream.to = add(target, 0, 2);
    if (p > 0.5) stage->filled[a->second] = true;
    if (p > 0.7) stage->filled[a->thing] = false;
}

static void perform(const ego_script *s, ego_stage *stage, const ego_action *a, double p) {
    ego_point slot = {0, 0};
    if (a->slot >= 0) slot = (ego_point){s->slot_x[a->slot], s->slot_y[a->slot]};
    stage->busy = a->hand;
    switch (a->verb) {
    case EGO_PICK_UP: lift(s, stage, a, stage->stand[a->thing], p); break;
    case EGO_PUT_DOWN: lift(s, stage, a, slot, 1 - p); break;
    case EGO_TAKE_OUT: draw_out(s, stage, a, p); break;
    case EGO_PUT_IN: draw_out(s, stage, a, 1 - p); break;
    case EGO_TAKE_FROM: receive(s, stage, a, p); break;
    case EGO_HAND_TO: receive(s, stage, a, 1 - p); break;
    case EGO_OPEN: open_lid(s, stage, a, p); break;
    case EGO_CLOSE: open_lid(s, stage, a, 1 - p); break;
    case EGO_PUSH_LEFT:
    case EGO_PUSH_RIGHT: push(s, stage, a, p); break;
    case EGO_SHAKE:
    case EGO_WAVE: shake_or_wave(stage, a, p); break;
    case EGO_STIR:
    case EGO_CUT:
    case EGO_WIPE:
    case EGO_SCRUB:
        use_tool(s, stage, a, p);
        if (a->verb == EGO_CUT && p > 0.5) stage->cut[a->thing] = true;
        break;
    case EGO_POUR: pour(s, stage, a, p); break;
    case EGO_LOOK:
    case EGO_VERB_COUNT: break;
    }
}

/* ---- the whole ------------------------------------------------------------------------------------ */

/* The moving thing must not be drawn twice: at rest where the state says, and where the action has it. */
static void settle(const ego_script *s, ego_stage *stage, const ego_action *a) {
    if (!a || a->thing < 0) return;
    int thing = a->thing;
    bool held = stage->other.thing == thing;
    for (int hand = 0; hand < 2; hand++) held |= stage->hands[hand].thing == thing;
    ego_place *place = &stage->state.place[thing];
    if (held)
        *place = (ego_place){EGO_IN_HAND, a->hand};
    else if (place->where == EGO_IN_HAND && a->verb == EGO_PUT_DOWN)
        *place = (ego_place){EGO_ON_COUNTER, a->slot};
    else if (place->where == EGO_IN_HAND && a->verb == EGO_PUT_IN)
        *place = (ego_place){EGO_INSIDE, a->second};
    (void)s;
}

void ego_stage_set(const ego_script *s, int frame, ego_stage *stage) {
    *stage = (ego_stage){.busy = -1};
    stage->other.thing = -1;
    stage->other.mirrored = true;
    ego_state_at(s, frame, &stage->state);
    aim_camera(s, frame, stage);
    for (int i = 0; i < s->thing_count; i++) {
        if (stage->state.place[i].where == EGO_ON_COUNTER) {
            int slot = stage->state.place[i].index;
            stage->stand[i] = (ego_point){s->slot_x[slot], s->slot_y[slot]};
        }
        stage->open[i] = stage->state.open[i];
        stage->filled[i] = stage->state.filled[i] > 0;
        stage->cut[i] = stage->state.cuts[i] > 0;
    }
    rest_hands(s, stage, frame);
    rest_other(s, stage, frame);
    const ego_action *now = NULL;
    for (int i = 0; i < s->action_count && s->actions[i].start <= frame; i++)
        if (frame < s->actions[i].end) now = &s->actions[i];
    if (now) perform(s, stage, now, (double)(frame - now->start) / (now->end - now->start));
    settle(s, stage, now);
}
