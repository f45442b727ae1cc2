#include "synth/room.h"

#include "base/hash.h"
#include "base/rng.h"
#include "synth/exact.h"

#include <math.h>

typedef struct rgb {
    double r, g, b;
} rgb;

typedef enum pattern {
    PLASTER,
    TILES,
    BRICKS,
    PLANKS,
    STRIPES,
    WOOD,
    MARBLE,
    GRANITE,
    LAMINATE,
    TRAIN_PATTERNS_END,
    DIAMONDS = TRAIN_PATTERNS_END, /* from here on: test only */
    DOTS,
    CHEVRON,
    STEEL,
    TERRAZZO,
} pattern;

typedef struct style {
    uint64_t noise;
    pattern wall, counter;
    rgb wall_a, wall_b, counter_a, counter_b;
    double tile;                   /* size of the wall's pattern */
    double lamp_x, lamp_y, bright; /* where the light falls */
    double warm;                   /* its tint, -1 … 1 */
} style;

/* Muted, so that things stand out. The first four wall and counter pairs are for training. */
static const rgb wall_colours[][2] = {
    {{206, 198, 182}, {180, 170, 152}}, {{176, 190, 196}, {150, 164, 172}},
    {{196, 176, 160}, {164, 140, 124}}, {{170, 184, 164}, {142, 158, 138}},
    {{188, 170, 186}, {158, 140, 158}}, {{150, 150, 152}, {124, 124, 128}},
    {{212, 206, 150}, {176, 168, 116}}, {{132, 164, 170}, {104, 138, 146}},
    {{204, 156, 140}, {170, 122, 108}}, {{120, 126, 148}, {96, 100, 122}},
};
static const rgb counter_colours[][2] = {
    {{172, 128, 84}, {134, 94, 58}},    {{214, 210, 204}, {176, 172, 168}},
    {{122, 120, 118}, {84, 84, 86}},    {{196, 178, 148}, {160, 142, 112}},
    {{110, 84, 64}, {82, 60, 44}},      {{156, 164, 166}, {122, 130, 134}},
    {{150, 156, 136}, {112, 118, 100}}, {{168, 172, 178}, {132, 138, 146}},
    {{206, 180, 168}, {166, 140, 130}}, {{94, 104, 116}, {66, 76, 88}},
};
enum { TRAIN_COLOURS = 6, ALL_COLOURS = 10 };

/* ---- noise ---------------------------------------------------------------------------------------- */

static double lattice(uint64_t seed, int64_t x, int64_t y) {
    return ego_rng_unit(seed, (uint64_t)(x * 65537 + y));
}

/* Smooth noise in [0, 1), features about one unit large. */
static double noise(uint64_t seed, double x, double y) {
    double fx = floor(x), fy = floor(y), u = x - fx, v = y - fy;
    int64_t ix = (int64_t)fx, iy = (int64_t)fy;
    u = u * u * (3 - 2 * u);
    v = v * v * (3 - 2 * v);
    double top = lattice(seed, ix, iy) * (1 - u) + lattice(seed, ix + 1, iy) * u;
    double bottom = lattice(seed, ix, iy + 1) * (1 - u) + lattice(seed, ix + 1, iy + 1) * u;
    return top * (1 - v) + bottom * v;
}

static double clouds(uint64_t seed, double x, double y) {
    return 0.55 * noise(seed, x, y) + 0.3 * noise(seed + 1, x * 2.1, y * 2.1) +
           0.15 * noise(seed + 2, x * 4.3, y * 4.3);
}

static double fraction(double x) { return x - floor(x); }

static rgb blend(rgb a, rgb b, double t) {
    return (rgb){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

/* ---- patterns ------------------------------------------------------------------------------------- */

/* 1 in the joint between cells of size w x h, each row shifted by `shift` of a cell; *cell tells them apart. */
static double joint(double x, double y, double w, double h, double shift, double *cell) {
    double row = floor(y / h), u = x / w + shift * row;
    *cell = fraction(row * 0.37 + floor(u) * 0.61);
    double dx = fraction(u) * w, dy = fraction(y / h) * h;
    return dx < 2 || dy < 2 ? 1 : 0;
}

static rgb pattern_at(const style *s, pattern kind, rgb a, rgb b, double size, double x, double y) {
    uint64_t seed = s->noise + (uint64_t)kind * 77;
    double cell, t = clouds(seed, x / 40, y / 40), grain = noise(seed + 9, x * 0.7, y * 0.7);
    switch (kind) {
    case TILES:
        if (joint(x, y, size, size, 0, &cell) > 0) return blend(b, (rgb){90, 90, 90}, 0.3);
        return blend(a, b, cell * 0.35 + t * 0.2);
    case BRICKS:
        if (joint(x, y, size * 1.4, size * 0.6, 0.5, &cell) > 0)
            return blend(a, (rgb){225, 222, 214}, 0.7);
        return blend(a, b, cell * 0.7 + grain * 0.3);
    case PLANKS:
        if (joint(x, y, size, 4000, 0, &cell) > 0) return blend(b, (rgb){40, 30, 24}, 0.5);
        return blend(a, b, cell * 0.4 + noise(seed, x / 3, y / 60) * 0.6);
    case STRIPES: return blend(a, b, (fraction(x / size) < 0.5 ? 0.15 : 0.85) + grain * 0.1);
    case WOOD: {
        double rings = clouds(seed, x / 160, y / 14) * 6;
        return blend(a, b, 0.7 * fraction(rings) + 0.3 * grain);
    }
    case MARBLE: {
        double vein = fabs(fraction(clouds(seed, x / 70, y / 70) * 4 + x / 300) - 0.5) * 2;
        return blend(a, b, vein > 0.9 ? 0.9 : t * 0.4);
    }
    case GRANITE: return blend(a, b, noise(seed, x / 1.7, y / 1.7) > 0.62 ? 1 : grain * 0.5);
    case DIAMONDS:
        if (joint(x + y, x - y, size, size, 0, &cell) > 0) return blend(b, (rgb){60, 60, 60}, 0.4);
        return blend(a, b, cell * 0.8);
    case DOTS: {
        double u = fraction(x / size + (fraction(y / size * 0.5) < 0.5 ? 0 : 0.5)) - 0.5;
        double v = fraction(y / size) - 0.5;
        return blend(a, b, u * u + v * v < 0.06 ? 1 : t * 0.2);
    }
    case CHEVRON: {
        double u = fraction(x / 60), up = u < 0.5 ? u * 60 : (1 - u) * 60;
        if (joint(up + y, y - up, 4000, 22, 0, &cell) > 0) return blend(b, (rgb){40, 34, 30}, 0.4);
        return blend(a, b, cell * 0.5 + noise(seed, (x + y) / 9, (y - up) / 3) * 0.5);
    }
    case STEEL: return blend(a, b, noise(seed, x / 90, y / 1.2) * 0.8 + t * 0.2);
    case TERRAZZO: {
        double chip = noise(seed, x / 7, y / 7);
        if (chip > 0.72) return blend(a, (rgb){230, 226, 220}, 0.45);
        return blend(a, b, chip < 0.25 ? 0.6 : grain * 0.25);
    }
    case PLASTER:
    case LAMINATE: break;
    }
    return blend(a, b, t * 0.5 + grain * 0.08);
}

/* ---- what hangs on the wall ----------------------------------------------------------------------- */

typedef struct ornament {
    double x, y, w, h;
    int kind; /* window, picture, shelf */
    rgb colour;
} ornament;

enum { ORNAMENTS = 5, WINDOW = 0, PICTURE = 1, SHELF = 2 };

static bool ornament_at(const ornament *o, double x, double y, rgb *colour) {
    double u = x - o->x, v = y - o->y;
    if (u < 0 || v < 0 || u >= o->w || v >= o->h) return false;
    bool rim = u < 5 || v < 5 || u >= o->w - 5 || v >= o->h - 5;
    if (o->kind == WINDOW) {
        bool cross = fabs(u - o->w / 2) < 2.5 || fabs(v - o->h / 2) < 2;
        *colour = rim || cross ? (rgb){232, 230, 224}
                               : blend((rgb){190, 214, 232}, (rgb){226, 234, 236}, v / o->h);
    } else if (o->kind == PICTURE) {
        *colour = rim ? (rgb){74, 60, 48}
                      : blend(o->colour, (rgb){228, 226, 218}, fraction(u / 37 + v / 53));
    } else {
        if (v < o->h - 8) return false;
        *colour = v < o->h - 3 ? (rgb){150, 118, 84} : (rgb){104, 80, 56};
    }
    return true;
}

static void choose_ornaments(uint64_t stream, ornament ornaments[ORNAMENTS]) {
    for (int i = 0; i < ORNAMENTS; i++) {
        uint64_t s = ego_rng_stream(stream, (uint64_t)i);
        ornament *o = &ornaments[i];
        o->w = 60 + ego_rng_below(s, 0, 50);
        o->h = 40 + ego_rng_below(s, 1, 40);
        o->x = i * 165 + ego_rng_below(s, 2, 60);
        o->y = 34 + ego_rng_below(s, 3, 30);
        o->kind = (int)ego_rng_below(s, 4, 3);
        o->colour = (rgb){90 + ego_rng_below(s, 5, 110), 90 + ego_rng_below(s, 6, 110),
                          90 + ego_rng_below(s, 7, 110)};
    }
}

/* ---- what lies flat on the counter: mats and boards ------------------------------------------------ */

typedef struct mat {
    double x, y, w, h, slant; /* counter coordinates, before the slant of the view */
    int stripes;
    rgb a, b;
} mat;

enum { MATS = 3 };

static void choose_mats(uint64_t stream, mat mats[MATS]) {
    for (int i = 0; i < MATS; i++) {
        uint64_t s = ego_rng_stream(stream, (uint64_t)i);
        double grey = 90 + ego_rng_below(s, 0, 120), tint = ego_rng_below(s, 1, 44) - 22.0;
        mats[i] = (mat){.x = -250 + i * 180 + ego_rng_below(s, 2, 60),
                        .y = 20 + ego_rng_below(s, 3, 110),
                        .w = 70 + ego_rng_below(s, 4, 60),
                        .h = 40 + ego_rng_below(s, 5, 50),
                        .slant = (ego_rng_below(s, 6, 41) - 20.0) / 80,
                        .stripes = (int)ego_rng_below(s, 7, 3),
                        .a = {grey + tint, grey, grey - tint},
                        .b = {grey + tint - 30, grey - 30, grey - tint - 26}};
        if (ego_rng_below(s, 8, 3) == 0) mats[i].w = 0; /* not there */
    }
}

static void mat_at(const mat *m, double u, double v, rgb *colour) {
    double x = u - m->x - m->slant * (v - m->y), y = v - m->y;
    if (m->w <= 0 || x < 0 || y < 0 || x >= m->w || y >= m->h) return;
    bool rim = x < 3 || y < 2 || x >= m->w - 3 || y >= m->h - 2;
    double t = m->stripes == 1   ? fraction(x / 12) < 0.5
               : m->stripes == 2 ? fraction(y / 9) < 0.5
                                 : 0;
    *colour = rim ? blend(m->b, (rgb){40, 36, 32}, 0.4) : blend(m->a, m->b, t);
}

/* ---- the room ------------------------------------------------------------------------------------- */

static style choose_style(uint64_t seed, ego_split split) {
    static const pattern train_walls[] = {PLASTER, TILES, BRICKS, PLANKS, STRIPES};
    static const pattern test_walls[] = {DIAMONDS, DOTS};
    static const pattern train_counters[] = {WOOD, MARBLE, GRANITE, LAMINATE, TILES};
    static const pattern test_counters[] = {CHEVRON, STEEL, TERRAZZO};
    uint64_t r = ego_rng_stream(seed, ego_fnv1a("room"));
    bool test = split == EGO_TEST;
    uint32_t first = test ? TRAIN_COLOURS : 0;
    uint32_t colours = test ? ALL_COLOURS - TRAIN_COLOURS : TRAIN_COLOURS;
    uint32_t wall = first + ego_rng_below(r, 0, colours),
             counter = first + ego_rng_below(r, 1, colours);
    return (style){
        .noise = ego_rng_stream(r, 1),
        .wall = test ? test_walls[ego_rng_below(r, 2, 2)] : train_walls[ego_rng_below(r, 2, 5)],
        .counter =
            test ? test_counters[ego_rng_below(r, 3, 3)] : train_counters[ego_rng_below(r, 3, 5)],
        .wall_a = wall_colours[wall][0],
        .wall_b = wall_colours[wall][1],
        .counter_a = counter_colours[counter][0],
        .counter_b = counter_colours[counter][1],
        .tile = 22 + ego_rng_below(r, 4, 22),
        .lamp_x = EGO_WORLD_WIDTH * ego_rng_unit(r, 5),
        .lamp_y = 40 + 160 * ego_rng_unit(r, 6),
        .bright = 0.84 + 0.24 * ego_rng_unit(r, 7),
        .warm = 2 * ego_rng_unit(r, 8) - 1,
    };
}

static uint8_t to_byte(double v) { return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v); }

typedef struct furniture {
    ornament ornaments[ORNAMENTS];
    mat mats[MATS];
} furniture;

static rgb colour_at(const style *s, const furniture *f, double x, double y) {
    rgb c;
    if (y < EGO_COUNTER_EDGE) {
        c = pattern_at(s, s->wall, s->wall_a, s->wall_b, s->tile, x, y);
        for (int i = 0; i < ORNAMENTS; i++) ornament_at(&f->ornaments[i], x, y, &c);
        double shadow = fmax(0, 1 - (EGO_COUNTER_EDGE - y) / 30); /* where wall meets counter */
        return blend(c, (rgb){30, 28, 26}, 0.35 * shadow);
    }
    /* The counter is seen at a slant: the same step is smaller farther away. */
    double depth = 1 + (y - EGO_COUNTER_EDGE) / 200.0;
    double u = (x - EGO_WORLD_WIDTH / 2.0) / depth, v = 260 * (depth - 1) / depth * 1.6;
    c = pattern_at(s, s->counter, s->counter_a, s->counter_b, 46, u + 1000, v);
    for (int i = 0; i < MATS; i++) mat_at(&f->mats[i], u, v, &c);
    if (y < EGO_COUNTER_EDGE + 3) c = blend(c, (rgb){40, 36, 32}, 0.55);
    return c;
}

ego_err ego_room_paint(uint64_t seed, ego_split split, ego_room *room) {
    style s = choose_style(seed, split);
    furniture f;
    choose_ornaments(ego_rng_stream(seed, ego_fnv1a("ornaments")), f.ornaments);
    choose_mats(ego_rng_stream(seed, ego_fnv1a("mats")), f.mats);
    EGO_TRY(ego_image_new(EGO_WORLD_WIDTH, EGO_WORLD_HEIGHT, &room->picture));
    room->light = s.bright;
    uint8_t *p = room->picture.rgb;
    for (int y = 0; y < EGO_WORLD_HEIGHT; y++)
        for (int x = 0; x < EGO_WORLD_WIDTH; x++, p += 3) {
            rgb c = colour_at(&s, &f, x, y);
            double dx = (x - s.lamp_x) / 520, dy = (y - s.lamp_y) / 330;
            double light = s.bright * (1.1 - 0.3 * (dx * dx + dy * dy) / (0.6 + dx * dx + dy * dy));
            p[0] = to_byte(c.r * light * (1 + 0.05 * s.warm));
            p[1] = to_byte(c.g * light);
            p[2] = to_byte(c.b * light * (1 - 0.07 * s.warm));
        }
    return EGO_OK;
}

void ego_room_release(ego_room *room) { ego_image_free(&room->picture); }
