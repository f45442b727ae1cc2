/* Shapes painted once into sprites, and sprites drawn many times into frames.
 *
 * Painting measures distances in doubles in a fixed order and happens once per video; drawing a sprite
 * is integer arithmetic from its pose on. Units are world pixels; a sprite's origin (0, 0) is where it
 * is put, y grows downwards. Texture has EGO_SPRITE_SCALE pixels per world pixel.
 */
#ifndef EGO_SYNTH_PAINT_H
#define EGO_SYNTH_PAINT_H

#include "base/err.h"
#include "media/image.h"

#include <stdint.h>

enum { EGO_SPRITE_SCALE = 2 };

/* What a shape is filled with: a colour, lighter or darker along x and y across the shape. */
typedef struct ego_ink {
    double r, g, b; /* 0 … 255 */
    double shade_x,
        shade_y;  /* -0.3: 30 % lighter at the left (top), 30 % darker at the right (bottom) */
    double alpha; /* 0 … 1 */
} ego_ink;

typedef struct ego_point {
    double x, y;
} ego_point;

/* A sheet being painted: premultiplied RGBA in doubles. */
typedef struct ego_paint {
    int width, height;
    double left, top; /* world coordinates of its top left corner */
    double *rgba;
} ego_paint;

/* A transparent sheet that covers [left, right) x [top, bottom) in world pixels. */
ego_err ego_paint_init(ego_paint *paint, double left, double top, double right, double bottom);
void ego_paint_release(ego_paint *paint); /* safe on {0} */

void ego_paint_ellipse(ego_paint *paint, double x, double y, double rx, double ry, ego_ink ink);
void ego_paint_ring(ego_paint *paint, double x, double y, double rx, double ry,
                    double half_thickness, ego_ink ink);
void ego_paint_box(ego_paint *paint, double x, double y, double half_width, double half_height,
                   double radius, ego_ink ink);
/* A stroke from a to b with round ends, half as thick as ra at a and rb at b. */
void ego_paint_stroke(ego_paint *paint, ego_point a, ego_point b, double ra, double rb,
                      ego_ink ink);
void ego_paint_polygon(ego_paint *paint, const ego_point *points, int n, ego_ink ink);
/* The lower half of an ellipse: a bowl seen from the side. */
void ego_paint_half_ellipse(ego_paint *paint, double x, double y, double rx, double ry,
                            ego_ink ink);

typedef struct ego_sprite {
    int width, height;
    double left, top; /* as of the sheet it was painted on */
    uint32_t *rgba;   /* premultiplied, r lowest byte; a border of one pixel is transparent */
} ego_sprite;

/* Makes the sheet a sprite with a dark outline `outline` world pixels thick around everything painted. */
ego_err ego_sprite_make(const ego_paint *paint, double outline, ego_sprite *sprite);
void ego_sprite_release(ego_sprite *sprite); /* safe on {0} */

/* How a sprite is put into a frame: its origin at (x, y), scaled, then turned clockwise by the angle
 * whose cosine and sine are given. */
typedef struct ego_pose {
    double x, y;
    double scale_x, scale_y; /* negative: mirrored */
    double cosine, sine;
    int above; /* only rows above this one are drawn; 0: all */
    int alpha; /* 0 … 256 */
} ego_pose;

void ego_sprite_draw(ego_image *image, const ego_sprite *sprite, const ego_pose *pose);

#endif
