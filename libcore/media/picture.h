/* Pictures for people: PNG files, text in a small built-in alphabet, contact sheets, overlays.
 *
 * Everything draws into an ego_image (media/image.h) and clips what falls outside it; coordinates are
 * pixels from the top left corner. Drawing cannot fail; making and writing pictures can.
 */
#ifndef EGO_MEDIA_PICTURE_H
#define EGO_MEDIA_PICTURE_H

#include "base/err.h"
#include "media/image.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ego_colour {
    uint8_t r, g, b;
} ego_colour;

/* Writes the whole picture as an 8-bit RGB PNG, atomically (base/file.h). */
ego_err ego_png_write(const ego_image *image, const char *path);

void ego_draw_fill(ego_image *image, ego_colour colour);
void ego_draw_box(ego_image *image, int x, int y, int width, int height, ego_colour colour);
/* The outline only, one pixel wide, inside the box. */
void ego_draw_frame(ego_image *image, int x, int y, int width, int height, ego_colour colour);

/* Draws text[0..n) (UTF-8; what the alphabet lacks becomes a box) on one line, its cell's top left at
 * (x, y), each font pixel scale by scale pixels. Returns the x after the last cell. */
int ego_draw_text(ego_image *image, int x, int y, int scale, const char *text, size_t n,
                  ego_colour colour);
/* The same broken between words into lines of at most `width` pixels (long words are cut), until
 * `height` is used up; the last line that fits ends in ".." when something is left. Returns the y after it. */
int ego_draw_paragraph(ego_image *image, int x, int y, int width, int height, int scale,
                       const char *text, ego_colour colour);

/* Scales `from` into the box: area average where it shrinks, bilinear where it grows. */
void ego_draw_image(ego_image *image, int x, int y, int width, int height, const ego_image *from);

/* Takes colour out of the whole picture and lifts it towards white, both by `strength` in [0, 1]: what is laid
 * over it stands out. */
void ego_draw_pale(ego_image *image, float strength);

/* The scale of heat maps: from dark blue over violet and orange to pale yellow. Ever lighter, and blue against
 * yellow, so that it reads in grey and for eyes that do not tell red from green. v in [0, 1]. */
ego_colour ego_heat_colour(float v);

/* Lays a map of `columns` by `rows` values in [0, 1] over the whole picture in that scale, interpolated between the
 * cells' centres; `strength` in [0, 1] is how much of the picture the highest value may hide. Values
 * outside [0, 1] are clamped, NaN counts as 0. */
void ego_draw_heat(ego_image *image, const float *map, int columns, int rows, float strength);

/* A contact sheet: one row per item, its label at the left, its frames left to right. */
typedef struct ego_sheet_row {
    const char *label;       /* UTF-8; '\n' breaks a line */
    const ego_image *frames; /* borrowed; frames may differ in size */
    size_t frame_count;
} ego_sheet_row;

/* Makes `sheet` (an image or {0}) the sheet, each frame scaled to `frame_height` lines. EGO_EINPUT when
 * it would be larger than 16384 pixels in a direction. */
ego_err ego_sheet(const ego_sheet_row *rows, size_t row_count, int frame_height, ego_image *sheet);

#endif
