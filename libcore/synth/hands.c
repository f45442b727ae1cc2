#include "synth/hands.h"

#include "synth/exact.h"

#include <stdbool.h>

enum { ARM_LENGTH = 250 };

static ego_ink ink3(const double rgb[3], double factor, double light, double shade_x,
                    double shade_y) {
    double k = factor * light;
    return (ego_ink){rgb[0] * k, rgb[1] * k, rgb[2] * k, shade_x, shade_y, 1};
}

/* Half the arm's width this far below the grip. */
static double arm_half_width(double y) { return 14 + (y - 44) * 0.055; }

static void paint_sleeve(ego_paint *paint, const ego_person *who, double light) {
    double top = who->sleeve_at, bottom = ARM_LENGTH + 20;
    double a = arm_half_width(top) + 5, b = arm_half_width(bottom) + 9;
    ego_point cloth[] = {{-a, top}, {a, top}, {b, bottom}, {-b, bottom}};
    ego_paint_polygon(paint, cloth, 4, ink3(who->sleeve, 1, light, -0.28, 0));
    ego_ink accent = ink3(who->accent, 1, light, -0.28, 0);
    for (int i = 0; i < 14 && who->pattern != EGO_SLEEVE_PLAIN; i++) {
        double y = top + 14 + i * 15, half = arm_half_width(y) + 4.5;
        bool rings = who->pattern == EGO_SLEEVE_RINGS || who->pattern == EGO_SLEEVE_CHECKS;
        if (rings) ego_paint_box(paint, 0, y, half, 3, 0, accent);
        if (who->pattern == EGO_SLEEVE_DOTS)
            for (int j = -1; j <= 1; j++)
                ego_paint_ellipse(paint, j * 13 + (i % 2 ? 4 : -4), y, 3.4, 3.4, accent);
    }
    if (who->pattern == EGO_SLEEVE_STRIPES || who->pattern == EGO_SLEEVE_CHECKS)
        for (int j = -1; j <= 1; j++)
            ego_paint_stroke(paint, (ego_point){j * a * 0.62, top + 3},
                             (ego_point){j * b * 0.62, bottom - 3}, 2.4, 2.8, accent);
    ego_paint_box(paint, 0, top + 3, a + 1.5, 4.5, 2, ink3(who->sleeve, 0.72, light, -0.2, 0));
}

static void paint_finger(ego_paint *paint, const ego_person *who, double light, ego_point root,
                         ego_point tip, double thick) {
    ego_paint_stroke(paint, root, tip, thick + 1.5, thick + 0.9,
                     ink3(who->skin, 0.62, light, 0, 0));
    ego_paint_stroke(paint, root, tip, thick + 0.4, thick, ink3(who->skin, 1, light, -0.12, -0.08));
}

static void paint_nail(ego_paint *paint, const ego_person *who, double light, ego_point tip) {
    double pale[3];
    for (int c = 0; c < 3; c++) pale[c] = who->skin[c] * 0.6 + 255 * 0.4;
    ego_paint_ellipse(paint, tip.x, tip.y - 1, 2.6, 3, ink3(pale, 1, light, 0, 0));
}

static void paint_thumb(ego_paint *paint, const ego_person *who, double light, bool closed) {
    ego_point root = {-17, 26}, tip = closed ? (ego_point){-5, 2} : (ego_point){-30, 4};
    paint_finger(paint, who, light, root, tip, 6.4);
    paint_nail(paint, who, light, tip);
}

ego_err ego_hand_paint(const ego_person *who, ego_hand_shape shape, double light,
                       ego_sprite *sprite) {
    static const ego_point roots[4] = {{-13, 12}, {-4.5, 8}, {4.5, 8}, {13, 13}};
    static const ego_point tips[EGO_HAND_SHAPES][4] = {
        [EGO_HAND_FLAT] = {{-18, -20}, {-6, -28}, {7, -27}, {19, -16}},
        [EGO_HAND_CUPPED] = {{-17, -6}, {-7, -14}, {7, -14}, {18, -5}},
        [EGO_HAND_FIST] = {{-13, -3}, {-4.5, -7}, {4.5, -6}, {13, -1}},
    };
    ego_paint paint = {0};
    EGO_TRY(ego_paint_init(&paint, -46, -44, 46, ARM_LENGTH + 16));
    if (shape != EGO_HAND_THUMB) {
        ego_paint_stroke(&paint, (ego_point){0, 46}, (ego_point){0, ARM_LENGTH}, 14,
                         arm_half_width(ARM_LENGTH), ink3(who->skin, 0.96, light, -0.2, 0));
        if (shape != EGO_HAND_CUPPED) paint_thumb(&paint, who, light, shape == EGO_HAND_FIST);
        ego_paint_ellipse(&paint, 0, 28, 21, 25, ink3(who->skin, 1, light, -0.14, 0.08));
        for (int i = 0; i < 4; i++)
            paint_finger(&paint, who, light, roots[i], tips[shape][i], i == 3 ? 4.6 : 5.4);
        if (shape == EGO_HAND_FLAT)
            for (int i = 0; i < 4; i++) paint_nail(&paint, who, light, tips[shape][i]);
        else
            for (int i = 0; i < 4; i++) /* knuckles */
                ego_paint_ellipse(&paint, roots[i].x, roots[i].y + 3, 3, 2,
                                  ink3(who->skin, 0.84, light, 0, 0));
        paint_sleeve(&paint, who, light);
    } else {
        paint_thumb(&paint, who, light, true);
    }
    ego_err err = ego_sprite_make(&paint, 1.2, sprite);
    ego_paint_release(&paint);
    return err;
}
