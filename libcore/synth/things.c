#include "synth/things.h"

#include "synth/exact.h"

const ego_touch ego_touches[EGO_KIND_COUNT] = {
    [EGO_KIND_CUP] = {{0, -20}, {0, -46}, {0, -44}, 22},
    [EGO_KIND_BOTTLE] = {{0, -30}, {0, -84}, {0, -40}, 17},
    [EGO_KIND_BOWL] = {{0, -16}, {-34, -34}, {0, -34}, 37},
    [EGO_KIND_PLATE] = {{0, -12}, {0, -18}, {0, -18}, 42},
    [EGO_KIND_PAN] = {{-4, -14}, {-34, -18}, {-6, -20}, 36},
    [EGO_KIND_KNIFE] = {{24, -4}, {-18, 2}, {0, -4}, 44},
    [EGO_KIND_SPOON] = {{26, -5}, {-32, -5}, {0, -5}, 44},
    [EGO_KIND_SPONGE] = {{0, -16}, {0, -4}, {0, -18}, 31},
    [EGO_KIND_BOX] = {{4, -22}, {0, -48}, {4, -48}, 34},
    [EGO_KIND_BOOK] = {{0, -18}, {0, -40}, {0, -22}, 31},
    [EGO_KIND_PHONE] = {{0, -26}, {0, -60}, {0, -30}, 20},
    [EGO_KIND_APPLE] = {{0, -20}, {0, -40}, {0, -20}, 25},
    [EGO_KIND_JAR] = {{0, -24}, {0, -56}, {0, -46}, 23},
    [EGO_KIND_KETTLE] = {{4, -54}, {-46, -46}, {0, -30}, 32},
    [EGO_KIND_SCISSORS] = {{24, -6}, {-40, -6}, {0, -6}, 42},
    [EGO_KIND_BRUSH] = {{26, -8}, {-22, 8}, {0, -6}, 44},
};

void ego_hue_rgb(ego_hue hue, double rgb[3]) {
    static const double table[EGO_HUE_COUNT][3] = {
        [EGO_RED] = {212, 28, 30},     [EGO_ORANGE] = {245, 132, 14}, [EGO_YELLOW] = {250, 222, 44},
        [EGO_GREEN] = {34, 152, 58},   [EGO_BLUE] = {30, 84, 214},    [EGO_PURPLE] = {146, 54, 178},
        [EGO_WHITE] = {244, 244, 240}, [EGO_BLACK] = {40, 40, 46},
    };
    for (int c = 0; c < 3; c++) rgb[c] = table[hue][c];
}

/* The colours a thing is painted with. */
typedef struct palette {
    double body[3], light;
} palette;

static ego_ink ink_of(const palette *p, double r, double g, double b, double shade_x,
                      double shade_y) {
    return (ego_ink){r * p->light, g * p->light, b * p->light, shade_x, shade_y, 1};
}

/* The thing's own colour times `factor`, lifted towards white by `white` in [0, 1]. */
static ego_ink own(const palette *p, double factor, double white, double shade_x, double shade_y) {
    double rgb[3];
    for (int c = 0; c < 3; c++) rgb[c] = p->body[c] * factor * (1 - white) + 255 * white;
    return ink_of(p, rgb[0], rgb[1], rgb[2], shade_x, shade_y);
}

static ego_ink grey(const palette *p, double level, double shade_x, double shade_y) {
    return ink_of(p, level, level, level + 4, shade_x, shade_y);
}

static ego_ink water(const palette *p) { return ink_of(p, 120, 190, 225, -0.1, 0.1); }

/* A window reflected in something glossy. */
static void gloss(ego_paint *paint, double x, double y, double rx, double ry) {
    ego_paint_ellipse(paint, x, y, rx, ry, (ego_ink){255, 255, 255, 0, 0, 0.38});
}

static void paint_cup(ego_paint *paint, const palette *p, ego_look look) {
    ego_paint_ring(paint, 24, -25, 11, 13, 3.6, own(p, 0.8, 0, -0.1, 0.1));
    ego_point body[] = {{-22, -46}, {22, -46}, {19, -5}, {12, 0}, {-12, 0}, {-19, -5}};
    ego_paint_polygon(paint, body, 6, own(p, 1, 0, -0.3, 0.12));
    ego_paint_ellipse(paint, 0, -46, 22, 7.5, own(p, 1, 0.35, 0, 0));
    ego_paint_ellipse(paint, 0, -45.5, 18.5, 5.5, own(p, 0.45, 0, 0, -0.2));
    if (look.filled) ego_paint_ellipse(paint, 0, -44.5, 17, 4.6, water(p));
    gloss(paint, -12, -26, 3.5, 14);
}

static void paint_bottle(ego_paint *paint, const palette *p, ego_look look) {
    (void)look;
    ego_paint_box(paint, 0, -27, 16, 27, 6, own(p, 1, 0, -0.35, 0.05));
    ego_point shoulder[] = {{-16, -46}, {16, -46}, {6, -66}, {-6, -66}};
    ego_paint_polygon(paint, shoulder, 4, own(p, 1, 0, -0.3, 0.05));
    ego_paint_box(paint, 0, -71, 6, 9, 1, own(p, 0.95, 0, -0.3, 0));
    ego_paint_box(paint, 0, -84, 7.5, 5, 2, grey(p, 205, -0.2, 0.1));
    ego_paint_box(paint, 0, -25, 16, 12, 0, own(p, 0.9, 0.72, -0.2, 0));
    ego_paint_box(paint, 0, -25, 9, 2.5, 0, own(p, 0.8, 0, 0, 0));
    gloss(paint, -9, -40, 2.5, 14);
}

static void paint_bowl(ego_paint *paint, const palette *p, ego_look look) {
    ego_paint_box(paint, 0, -3, 16, 4, 2, own(p, 0.6, 0, 0, 0));
    ego_paint_half_ellipse(paint, 0, -35, 38, 34, own(p, 1, 0, -0.25, 0.2));
    ego_paint_ellipse(paint, 0, -35, 38, 11, own(p, 1, 0.35, 0, 0));
    ego_paint_ellipse(paint, 0, -34, 33.5, 8.5, own(p, 0.55, 0.05, 0.1, -0.2));
    if (look.filled) ego_paint_ellipse(paint, 0, -32.5, 29, 6.2, water(p));
    gloss(paint, -20, -20, 5, 8);
}

static void paint_plate(ego_paint *paint, const palette *p, ego_look look) {
    (void)look;
    ego_paint_ellipse(paint, 0, -17, 42, 20, own(p, 0.6, 0, 0, 0));
    ego_paint_ellipse(paint, 0, -20, 42, 20, own(p, 1, 0, -0.12, 0.1));
    ego_paint_ellipse(paint, 0, -20, 28, 12.5, own(p, 0.75, 0, 0, 0));
    ego_paint_ellipse(paint, 0, -18.5, 26.5, 11.5, own(p, 1, 0.14, -0.1, 0.1));
    gloss(paint, -26, -28, 8, 2.5);
}

static void paint_pan(ego_paint *paint, const palette *p, ego_look look) {
    ego_paint_stroke(paint, (ego_point){24, -22}, (ego_point){66, -34}, 5, 6.5,
                     own(p, 0.55, 0, 0, -0.2));
    ego_paint_ellipse(paint, -6, -17, 34, 18, own(p, 0.62, 0, -0.2, 0.1));
    ego_paint_ellipse(paint, -6, -22, 34, 17, own(p, 1, 0.05, -0.12, 0.1));
    ego_paint_ellipse(paint, -6, -21, 27, 12.5, grey(p, 70, 0.1, -0.2));
    if (look.filled) ego_paint_ellipse(paint, -6, -20, 24, 10, water(p));
    gloss(paint, -20, -26, 6, 2);
}

static void paint_knife(ego_paint *paint, const palette *p, ego_look look) {
    (void)look;
    /* A coated blade: the hand that holds the handle hides its colour. */
    ego_point blade[] = {{-48, 1}, {-36, -11}, {6, -11}, {6, 4}, {-38, 4}};
    ego_paint_polygon(paint, blade, 5, own(p, 0.95, 0.16, 0, 0.1));
    ego_point edge[] = {{-48, 1}, {-44, -3}, {6, -2}, {6, 5}, {-38, 5}};
    ego_paint_polygon(paint, edge, 5, grey(p, 226, 0, 0.1));
    ego_paint_box(paint, 27, -4, 23, 8, 5, own(p, 1, 0, 0, 0.25));
    ego_paint_ellipse(paint, 17, -4, 1.8, 1.8, grey(p, 220, 0, 0));
    ego_paint_ellipse(paint, 35, -4, 1.8, 1.8, grey(p, 220, 0, 0));
}

static void paint_spoon(ego_paint *paint, const palette *p, ego_look look) {
    (void)look;
    ego_paint_stroke(paint, (ego_point){-20, -5}, (ego_point){46, -5}, 3.6, 5.4,
                     own(p, 1, 0, 0, 0.2));
    ego_paint_ellipse(paint, -32, -5, 17, 13, own(p, 1, 0, -0.1, 0.2));
    ego_paint_ellipse(paint, -32, -5, 12, 8.5, own(p, 0.66, 0, 0.2, -0.2));
}

static void paint_sponge(ego_paint *paint, const palette *p, ego_look look) {
    ego_paint_box(paint, 0, -14, 31, 14, 5, own(p, 0.6, 0, 0, 0.1));
    ego_paint_box(paint, 0, -19, 31, 13, 6, own(p, 1, 0.08, -0.15, 0.15));
    for (int i = 0; i < 11; i++)
        ego_paint_ellipse(paint, -24 + i * 37 % 49, -26 + i * 23 % 15, 2 + i % 3 * 0.6, 1.6,
                          own(p, 0.68, 0, 0, 0));
    if (look.cut)
        ego_paint_stroke(paint, (ego_point){4, -34}, (ego_point){-2, 0}, 2.2, 2.2,
                         grey(p, 30, 0, 0));
}

/* A box seen from its front left: front, right side, top with two flaps. */
static void paint_box(ego_paint *paint, const palette *p, ego_look look) {
    double open = look.open / (double)(EGO_OPEN_STEPS - 1);
    double c = ego_turn_cos(open * 0.4), s = ego_turn_sin(open * 0.4);
    ego_point left_flap[] = {
        {-29, -40}, {-19, -56}, {-19 + 29 * c, -56 - 26 * s}, {-29 + 29 * c, -40 - 26 * s}};
    ego_point right_flap[] = {
        {29, -40}, {39, -56}, {39 - 29 * c, -56 - 26 * s}, {29 - 29 * c, -40 - 26 * s}};
    ego_point side[] = {{29, -40}, {39, -56}, {39, -15}, {29, 0}};
    ego_point top[] = {{-29, -40}, {29, -40}, {39, -56}, {-19, -56}};
    ego_point hole[] = {{-26, -41}, {27, -41}, {36, -54}, {-18, -54}};
    ego_paint_polygon(paint, side, 4, own(p, 0.58, 0, 0, 0));
    ego_paint_polygon(paint, top, 4, own(p, 0.8, 0.1, 0, 0));
    if (open > 0) ego_paint_polygon(paint, hole, 4, own(p, 0.22, 0, 0, 0));
    ego_paint_box(paint, 0, -20, 29, 20, 0, own(p, 1, 0, -0.1, 0.1));
    ego_paint_box(paint, 0, -14, 12, 6, 1, own(p, 0.9, 0.75, 0, 0));
    double lift = 0.85 + 0.25 * s;
    ego_paint_polygon(paint, left_flap, 4, own(p, lift, 0.18, 0, 0));
    ego_paint_polygon(paint, right_flap, 4, own(p, lift, 0.10, 0, 0));
    if (open == 0) {
        ego_point tape[] = {{-3, -40}, {4, -40}, {13, -56}, {6, -56}};
        ego_paint_polygon(paint, tape, 4, grey(p, 214, 0, 0));
        ego_paint_box(paint, 0.5, -34, 3.5, 6, 0, grey(p, 214, 0, 0));
    }
}

static void paint_lines(ego_paint *paint, const palette *p, double from, double to) {
    for (int i = 0; i < 5; i++)
        ego_paint_box(paint, (from + to) / 2, -36 + i * 6.5, (to - from) / 2, 0.8, 0,
                      grey(p, 120, 0, 0));
}

/* A book lying on the counter; its cover turns over its left edge. */
static void paint_book(ego_paint *paint, const palette *p, ego_look look) {
    double open = look.open / (double)(EGO_OPEN_STEPS - 1);
    double c = ego_turn_cos(open * 0.5), s = ego_turn_sin(open * 0.5);
    ego_paint_box(paint, 0, -20, 34, 27, 2, own(p, 0.9, 0, 0, 0.1)); /* the back cover */
    ego_paint_box(paint, 0, -21, 27, 21, 1, grey(p, 238, 0, 0.08));
    paint_lines(paint, p, -20, 24);
    ego_paint_box(paint, 0, 3, 30, 3, 1, grey(p, 225, 0, 0));
    ego_point cover[] = {
        {-31, 2}, {-31, -46}, {-31 + 64 * c, -46 - 34 * s}, {-31 + 64 * c, 2 - 34 * s}};
    bool inside = c < 0;
    ego_paint_polygon(paint, cover, 4, inside ? own(p, 0.8, 0.1, 0, 0) : own(p, 1, 0, -0.1, 0.1));
    if (inside && open > 0.9) {
        ego_paint_box(paint, -60, -22, 25, 17, 1, grey(p, 232, 0, 0.08));
        paint_lines(paint, p, -84, -40);
    }
    if (open == 0) {
        ego_paint_box(paint, 2, -30, 20, 6, 1, own(p, 0.9, 0.72, 0, 0));
        ego_paint_box(paint, 2, -10, 12, 1.8, 0, own(p, 0.9, 0.72, 0, 0));
        ego_paint_box(paint, -27, -22, 2, 22, 0, own(p, 0.7, 0, 0, 0));
    }
}

static void paint_phone(ego_paint *paint, const palette *p, ego_look look) {
    (void)look;
    ego_paint_box(paint, 0, -32, 20, 32, 7, own(p, 0.6, 0, 0, 0));
    ego_paint_box(paint, 0, -33, 19, 31, 6.5, own(p, 1, 0, -0.15, 0.12));
    ego_paint_box(paint, -8, -53, 8.5, 8.5, 4, grey(p, 22, 0, 0));
    ego_paint_ellipse(paint, -11, -56, 3, 3, grey(p, 120, -0.4, -0.4));
    ego_paint_ellipse(paint, -5, -50, 3, 3, grey(p, 120, -0.4, -0.4));
    ego_paint_ellipse(paint, 0, -24, 4.5, 4.5, own(p, 0.8, 0.6, 0, 0));
}

static void paint_apple(ego_paint *paint, const palette *p, ego_look look) {
    ego_paint_ellipse(paint, -9, -20, 16.5, 20, own(p, 1, 0, -0.25, 0.2));
    ego_paint_ellipse(paint, 9, -20, 16.5, 20, own(p, 0.94, 0, -0.25, 0.2));
    ego_paint_ellipse(paint, 0, -21, 14, 18, own(p, 1, 0, -0.12, 0.15));
    if (look.cut) { /* a half: the flesh shows */
        ego_paint_ellipse(paint, 3, -19, 20, 18, ink_of(p, 246, 232, 184, 0, 0.05));
        ego_paint_ellipse(paint, 3, -19, 6, 9, ink_of(p, 214, 190, 130, 0, 0));
        ego_paint_ellipse(paint, 1, -18, 1.7, 3, ink_of(p, 70, 40, 20, 0, 0));
        ego_paint_ellipse(paint, 6, -18, 1.7, 3, ink_of(p, 70, 40, 20, 0, 0));
    } else {
        ego_paint_ellipse(paint, 0, -38, 7, 3, own(p, 0.6, 0, 0, 0));
        gloss(paint, -13, -27, 4.5, 6);
    }
    ego_paint_stroke(paint, (ego_point){0, -37}, (ego_point){4, -49}, 1.8, 2.2,
                     ink_of(p, 92, 60, 30, 0, 0));
    ego_point leaf[] = {{3, -44}, {10, -52}, {22, -51}, {13, -44}};
    ego_paint_polygon(paint, leaf, 4, ink_of(p, 70, 150, 60, 0, 0.1));
}

static ego_point jar_lid(double open) {
    double up = ego_turn_sin(open * 0.5);
    return (ego_point){44 * open, -52 - 26 * up + 47 * open * open};
}

static void paint_jar(ego_paint *paint, const palette *p, ego_look look) {
    double open = look.open / (double)(EGO_OPEN_STEPS - 1);
    ego_paint_box(paint, 0, -23, 23, 23, 8, own(p, 0.9, 0.62, -0.12, 0.05));
    ego_paint_box(paint, 0, -18, 20, 16, 6, own(p, 1, 0, -0.3, 0.1));
    ego_paint_box(paint, 0, -46, 19, 3.5, 1, own(p, 0.9, 0.62, -0.2, 0));
    if (open > 0) ego_paint_ellipse(paint, 0, -49, 17, 4, grey(p, 36, 0, 0));
    ego_point lid = jar_lid(open);
    ego_paint_box(paint, lid.x, lid.y, 22, 6, 2.5, own(p, 0.72, 0, -0.3, 0.1));
    ego_paint_box(paint, lid.x, lid.y - 3.5, 21, 2.2, 2, own(p, 0.9, 0.25, 0, 0));
    gloss(paint, -14, -26, 3, 14);
}

static void paint_kettle(ego_paint *paint, const palette *p, ego_look look) {
    (void)look;
    ego_paint_ring(paint, 2, -46, 21, 20, 3.4, grey(p, 46, -0.2, 0));
    ego_paint_stroke(paint, (ego_point){-22, -20}, (ego_point){-46, -46}, 8.5, 4.5,
                     own(p, 0.85, 0, -0.2, 0.1));
    ego_point body[] = {{-16, -46}, {16, -46}, {26, -36}, {31, -8},
                        {27, 0},    {-27, 0},  {-31, -8}, {-26, -36}};
    ego_paint_polygon(paint, body, 8, own(p, 1, 0, -0.3, 0.15));
    ego_paint_ellipse(paint, 0, -46, 16, 4.5, own(p, 0.75, 0.1, 0, 0));
    ego_paint_ellipse(paint, 0, -50, 4.5, 4, grey(p, 46, 0, 0));
    ego_paint_box(paint, 0, -3, 27, 2.5, 1, grey(p, 120, -0.2, 0));
    gloss(paint, -15, -26, 4, 12);
}

static void paint_scissors(ego_paint *paint, const palette *p, ego_look look) {
    (void)look;
    ego_paint_stroke(paint, (ego_point){-46, -13}, (ego_point){8, -1}, 2.2, 4.6,
                     grey(p, 196, 0, -0.2));
    ego_paint_stroke(paint, (ego_point){-46, 1}, (ego_point){8, -11}, 2.2, 4.6,
                     grey(p, 222, 0, 0.2));
    ego_paint_stroke(paint, (ego_point){-24, -8}, (ego_point){8, -1}, 4.6, 5.4,
                     own(p, 1, 0, 0, -0.1));
    ego_paint_stroke(paint, (ego_point){-24, -4}, (ego_point){8, -11}, 4.6, 5.4,
                     own(p, 1, 0, 0, 0.1));
    ego_paint_stroke(paint, (ego_point){2, -4}, (ego_point){14, 2}, 4, 4, own(p, 1, 0, 0, 0));
    ego_paint_stroke(paint, (ego_point){2, -8}, (ego_point){14, -14}, 4, 4, own(p, 1, 0, 0, 0));
    ego_paint_ring(paint, 28, -18, 15, 9, 4.4, own(p, 1, 0, -0.1, 0.15));
    ego_paint_ring(paint, 28, 6, 15, 9, 4.4, own(p, 1, 0, -0.1, 0.15));
    ego_paint_ellipse(paint, -2, -6, 2.6, 2.6, grey(p, 90, 0, 0));
}

static void paint_brush(ego_paint *paint, const palette *p, ego_look look) {
    (void)look;
    ego_paint_box(paint, -23, 6, 22, 9, 2, ink_of(p, 232, 214, 168, 0, 0.1));
    for (int i = 0; i < 8; i++)
        ego_paint_stroke(paint, (ego_point){-42 + i * 5.5, 0}, (ego_point){-42 + i * 5.5, 14}, 0.8,
                         0.8, ink_of(p, 150, 124, 80, 0, 0));
    ego_paint_stroke(paint, (ego_point){-6, -8}, (ego_point){46, -8}, 5.2, 6.4,
                     own(p, 1, 0, 0, 0.2));
    ego_paint_box(paint, -23, -7, 24, 8, 4, own(p, 1, 0, -0.1, 0.25));
}

ego_point ego_lid(ego_kind kind, double open, int side) {
    if (kind == EGO_KIND_BOX) {
        double c = ego_turn_cos(open * 0.4), s = ego_turn_sin(open * 0.4);
        double reach = (29 + 0 * open) * c;
        return side < 0 ? (ego_point){-24 + reach, -48 - 26 * s}
                        : (ego_point){34 - reach, -48 - 26 * s};
    }
    if (kind == EGO_KIND_BOOK)
        return (ego_point){-31 + 58 * ego_turn_cos(open * 0.5),
                           -20 - 34 * ego_turn_sin(open * 0.5)};
    return jar_lid(open);
}

ego_err ego_thing_paint(ego_kind kind, ego_hue hue, ego_look look, double light,
                        ego_sprite *sprite) {
    static void (*const painters[EGO_KIND_COUNT])(ego_paint *, const palette *, ego_look) = {
        [EGO_KIND_CUP] = paint_cup,           [EGO_KIND_BOTTLE] = paint_bottle,
        [EGO_KIND_BOWL] = paint_bowl,         [EGO_KIND_PLATE] = paint_plate,
        [EGO_KIND_PAN] = paint_pan,           [EGO_KIND_KNIFE] = paint_knife,
        [EGO_KIND_SPOON] = paint_spoon,       [EGO_KIND_SPONGE] = paint_sponge,
        [EGO_KIND_BOX] = paint_box,           [EGO_KIND_BOOK] = paint_book,
        [EGO_KIND_PHONE] = paint_phone,       [EGO_KIND_APPLE] = paint_apple,
        [EGO_KIND_JAR] = paint_jar,           [EGO_KIND_KETTLE] = paint_kettle,
        [EGO_KIND_SCISSORS] = paint_scissors, [EGO_KIND_BRUSH] = paint_brush,
    };
    ego_paint paint = {0};
    palette p = {.light = light};
    ego_hue_rgb(hue, p.body);
    bool wide = kind == EGO_KIND_BOOK && look.open, tall = kind == EGO_KIND_BOTTLE || wide;
    EGO_TRY(ego_paint_init(&paint, wide ? -98 : -58, tall ? -94 : -88, 76, 20));
    painters[kind](&paint, &p, look);
    ego_err err = ego_sprite_make(&paint, 1.4, sprite);
    ego_paint_release(&paint);
    return err;
}
