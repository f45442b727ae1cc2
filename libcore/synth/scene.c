#include "synth/scene.h"

#include "base/hash.h"
#include "base/rng.h"
#include "synth/exact.h"
#include "synth/hands.h"
#include "synth/paint.h"
#include "synth/room.h"
#include "synth/stage.h"
#include "synth/things.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKS = EGO_OPEN_STEPS * 4 };

struct ego_scene {
    const ego_script *script;
    ego_room room;
    ego_sprite things[EGO_THINGS_MAX][LOOKS]; /* painted when first seen */
    ego_sprite hands[EGO_HAND_SHAPES], other[EGO_HAND_SHAPES];
    ego_sprite shadow, stream;
};

/* ---- the people ----------------------------------------------------------------------------------- */

static void choose_person(uint64_t r, ego_split split, ego_person *who) {
    static const double skins[][3] = {{236, 194, 164}, {222, 170, 134}, {190, 134, 98},
                                      {146, 98, 68},   {104, 68, 48},   {244, 208, 184}};
    /* The last four sleeves, dots and checks are worn in the test set only. */
    static const double sleeves[][3] = {{70, 92, 130},   {120, 60, 66},  {84, 112, 84},
                                        {198, 190, 176}, {64, 64, 72},   {150, 128, 96},
                                        {108, 84, 126},  {176, 110, 70}, {52, 120, 124},
                                        {188, 150, 160}, {116, 118, 60}, {222, 214, 150}};
    enum { TRAIN = 8, ALL = 12 };
    uint32_t first = split == EGO_TEST ? TRAIN : 0, n = split == EGO_TEST ? ALL - TRAIN : TRAIN;
    uint32_t cloth = first + ego_rng_below(r, 0, n);
    uint32_t accent = first + (cloth - first + 1 + ego_rng_below(r, 1, n - 1)) % n;
    memcpy(who->skin, skins[ego_rng_below(r, 2, 6)], sizeof who->skin);
    memcpy(who->sleeve, sleeves[cloth], sizeof who->sleeve);
    memcpy(who->accent, sleeves[accent], sizeof who->accent);
    who->pattern = split == EGO_TEST ? EGO_SLEEVE_DOTS + (int)ego_rng_below(r, 3, 2)
                                     : (int)ego_rng_below(r, 3, EGO_SLEEVE_DOTS);
    who->sleeve_at = 62 + (int)ego_rng_below(r, 4, 60);
}

static ego_err paint_people(ego_scene *scene) {
    const ego_script *s = scene->script;
    ego_person self, other;
    choose_person(ego_rng_stream(s->seed, ego_fnv1a("self")), s->split, &self);
    choose_person(ego_rng_stream(s->seed, ego_fnv1a("other person")), s->split, &other);
    for (int shape = 0; shape < EGO_HAND_SHAPES; shape++) {
        EGO_TRY(
            ego_hand_paint(&self, (ego_hand_shape)shape, scene->room.light, &scene->hands[shape]));
        EGO_TRY(
            ego_hand_paint(&other, (ego_hand_shape)shape, scene->room.light, &scene->other[shape]));
    }
    return EGO_OK;
}

/* ---- making --------------------------------------------------------------------------------------- */

static ego_err paint_shadow(ego_sprite *sprite) {
    ego_paint paint = {0};
    EGO_TRY(ego_paint_init(&paint, -44, -16, 44, 16));
    for (int i = 0; i < 5; i++)
        ego_paint_ellipse(&paint, 0, 0, 42 - i * 6, 13 - i * 2, (ego_ink){0, 0, 0, 0, 0, 0.11});
    ego_err err = ego_sprite_make(&paint, 0, sprite);
    ego_paint_release(&paint);
    return err;
}

static ego_err paint_stream(ego_sprite *sprite) {
    ego_paint paint = {0};
    EGO_TRY(ego_paint_init(&paint, -6, -2, 6, 34));
    ego_paint_stroke(&paint, (ego_point){0, 2}, (ego_point){0, 30}, 3.6, 2.6,
                     (ego_ink){140, 205, 240, -0.2, 0, 0.9});
    ego_err err = ego_sprite_make(&paint, 0.5, sprite);
    ego_paint_release(&paint);
    return err;
}

ego_err ego_scene_new(const ego_script *script, ego_scene **out) {
    ego_scene *scene = calloc(1, sizeof *scene);
    if (!scene) return ego_fail(EGO_ENOMEM, "%s: out of memory for the scene", script->uid);
    scene->script = script;
    ego_err err = ego_room_paint(script->seed, script->split, &scene->room);
    if (err == EGO_OK) err = paint_people(scene);
    if (err == EGO_OK) err = paint_shadow(&scene->shadow);
    if (err == EGO_OK) err = paint_stream(&scene->stream);
    if (err == EGO_OK)
        *out = scene;
    else
        ego_scene_free(scene);
    return err;
}

void ego_scene_free(ego_scene *scene) {
    if (!scene) return;
    for (int i = 0; i < EGO_THINGS_MAX; i++)
        for (int j = 0; j < LOOKS; j++) ego_sprite_release(&scene->things[i][j]);
    for (int i = 0; i < EGO_HAND_SHAPES; i++) {
        ego_sprite_release(&scene->hands[i]);
        ego_sprite_release(&scene->other[i]);
    }
    ego_sprite_release(&scene->shadow);
    ego_sprite_release(&scene->stream);
    ego_room_release(&scene->room);
    free(scene);
}

/* ---- drawing -------------------------------------------------------------------------------------- */

typedef struct canvas {
    ego_scene *scene;
    const ego_stage *stage;
    ego_image *image;
} canvas;

static void draw(const canvas *c, const ego_sprite *sprite, ego_point at, double scale_x,
                 double scale_y, double cosine, double sine, int above, int alpha) {
    int cut = above ? above - c->stage->camera_y : 0;
    if (above && cut <= 0) return;
    ego_sprite_draw(c->image, sprite,
                    &(ego_pose){at.x - c->stage->camera_x, at.y - c->stage->camera_y, scale_x,
                                scale_y, cosine, sine, cut, alpha});
}

static ego_err thing_sprite(const canvas *c, int thing, const ego_sprite **sprite) {
    const ego_thing *t = &c->scene->script->things[thing];
    ego_look look = {(int)(c->stage->open[thing] * (EGO_OPEN_STEPS - 1) + 0.5),
                     c->stage->filled[thing], c->stage->cut[thing]};
    ego_sprite *s = &c->scene->things[thing][look.open * 4 + look.filled * 2 + look.cut];
    if (!s->rgba) EGO_TRY(ego_thing_paint(t->kind, t->hue, look, c->scene->room.light, s));
    *sprite = s;
    return EGO_OK;
}

static ego_err draw_thing(const canvas *c, int thing, ego_point base, double scale, double turns,
                          int above) {
    const ego_sprite *sprite;
    EGO_TRY(thing_sprite(c, thing, &sprite));
    draw(c, sprite, base, scale, scale, ego_turn_cos(turns), ego_turn_sin(turns), above, 256);
    return EGO_OK;
}

static bool is_long(const canvas *c, int thing) {
    return ego_kind_infos[c->scene->script->things[thing].kind].abilities & EGO_LONG;
}

/* What lies in a container sticks out of it; in a shut box nothing is seen. */
static ego_err draw_contents(const canvas *c, int container, ego_point base, double scale) {
    const ego_script *s = c->scene->script;
    ego_kind kind = s->things[container].kind;
    if ((ego_kind_infos[kind].abilities & EGO_CAN_OPEN) && c->stage->open[container] < 0.4)
        return EGO_OK;
    for (int i = 0; i < s->thing_count; i++) {
        ego_place place = c->stage->state.place[i];
        if (place.where != EGO_INSIDE || place.index != container) continue;
        ego_point mouth = ego_touches[kind].opening, grip = ego_touches[s->things[i].kind].grip;
        double turns = is_long(c, i) ? 0.2 : 0, k = 0.8;
        double cosine = ego_turn_cos(turns) * k, sine = ego_turn_sin(turns) * k;
        ego_point at = {base.x + mouth.x * scale - (grip.x * cosine - grip.y * sine),
                        base.y + mouth.y * scale - 4 - (grip.x * sine + grip.y * cosine)};
        EGO_TRY(draw_thing(c, i, at, k, turns, (int)(base.y + mouth.y * scale) + 4));
    }
    return EGO_OK;
}

static void draw_shadow(const canvas *c, ego_point at, double size, double strength) {
    draw(c, &c->scene->shadow, (ego_point){at.x + 3, at.y + 2}, size, size, 1, 0, 0,
         (int)(256 * strength));
}

static ego_err draw_counter(const canvas *c) {
    const ego_script *s = c->scene->script;
    int order[EGO_THINGS_MAX], n = 0;
    for (int i = 0; i < s->thing_count; i++) {
        if (c->stage->state.place[i].where != EGO_ON_COUNTER) continue;
        int at = n++;
        for (; at > 0 && c->stage->stand[order[at - 1]].y > c->stage->stand[i].y; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    for (int i = 0; i < n; i++) {
        double width = ego_touches[s->things[order[i]].kind].half_width / 36;
        draw_shadow(c, c->stage->stand[order[i]], width, 1);
    }
    if (c->stage->shadow.shown) draw_shadow(c, c->stage->shadow.at, 1, c->stage->shadow.strength);
    for (int i = 0; i < n; i++) {
        ego_point base = c->stage->stand[order[i]];
        double scale = ego_depth_scale(base.y);
        double turns = is_long(c, order[i]) ? s->things[order[i]].tilt / 1024.0 : 0;
        EGO_TRY(draw_thing(c, order[i], base, scale, turns, 0));
        EGO_TRY(draw_contents(c, order[i], base, scale));
    }
    return EGO_OK;
}

static ego_err draw_held(const canvas *c, const ego_actor *a) {
    ego_point grip = ego_touches[c->scene->script->things[a->thing].kind].grip;
    double cosine = ego_turn_cos(a->turns) * a->scale, sine = ego_turn_sin(a->turns) * a->scale;
    ego_point base = {a->at.x - (grip.x * cosine - grip.y * sine),
                      a->at.y - (grip.x * sine + grip.y * cosine)};
    return draw_thing(c, a->thing, base, a->scale, a->turns, a->above);
}

static ego_err draw_actor(const canvas *c, const ego_actor *a, const ego_sprite *shapes) {
    if (!a->shown) return EGO_OK;
    double dx = a->elbow.x - a->at.x, dy = a->elbow.y - a->at.y, length = sqrt(dx * dx + dy * dy);
    double cosine = dy / length, sine = -dx / length;
    double size = 0.8 + 0.3 * (a->at.y - c->stage->camera_y - 90) / 130;
    size = size < 0.78 ? 0.78 : size > 1.1 ? 1.1 : size;
    double flip = a->mirrored ? -size : size;
    bool over = a->thing >= 0 && a->shape == EGO_HAND_CUPPED;
    if (a->thing >= 0 && !over) EGO_TRY(draw_held(c, a));
    ego_point at = a->at;
    if (a->thing >= 0 && a->shape == EGO_HAND_FLAT)
        at.y += 14; /* what it presses on shows above it */
    draw(c, &shapes[a->shape], at, flip, size, cosine, sine, 0, 256);
    if (over) {
        EGO_TRY(draw_held(c, a));
        draw(c, &shapes[EGO_HAND_THUMB], a->at, flip, size, cosine, sine, 0, 256);
    }
    return EGO_OK;
}

static void draw_stream(const canvas *c) {
    if (!c->stage->stream.shown) return;
    ego_point from = c->stage->stream.from, to = c->stage->stream.to;
    double length = (to.y - from.y) / 32;
    if (length > 0.1) draw(c, &c->scene->stream, from, 1, length, 1, 0, 0, 256);
}

ego_err ego_scene_draw(ego_scene *scene, int frame, ego_image *image) {
    EGO_TRY(ego_image_new(EGO_VIEW_WIDTH, EGO_VIEW_HEIGHT, image));
    ego_stage stage;
    ego_stage_set(scene->script, frame, &stage);
    const uint8_t *from = scene->room.picture.rgb +
                          ((size_t)stage.camera_y * EGO_WORLD_WIDTH + (size_t)stage.camera_x) * 3;
    for (int y = 0; y < EGO_VIEW_HEIGHT; y++)
        memcpy(image->rgb + (size_t)y * EGO_VIEW_WIDTH * 3, from + (size_t)y * EGO_WORLD_WIDTH * 3,
               EGO_VIEW_WIDTH * 3);
    canvas c = {scene, &stage, image};
    if (stage.other.thing < 0) EGO_TRY(draw_actor(&c, &stage.other, scene->other));
    EGO_TRY(draw_counter(&c));
    if (stage.other.thing >= 0) EGO_TRY(draw_actor(&c, &stage.other, scene->other));
    draw_stream(&c);
    int last = stage.busy >= 0 ? stage.busy : 1;
    EGO_TRY(draw_actor(&c, &stage.hands[1 - last], scene->hands));
    return draw_actor(&c, &stage.hands[last], scene->hands);
}
