#include "synth/paint.h"

#include "synth/exact.h"
#include "synth/world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- painting ------------------------------------------------------------------------------------- */

ego_err ego_paint_init(ego_paint *paint, double left, double top, double right, double bottom) {
    paint->left = left;
    paint->top = top;
    paint->width = (int)((right - left) * EGO_SPRITE_SCALE);
    paint->height = (int)((bottom - top) * EGO_SPRITE_SCALE);
    paint->rgba = calloc((size_t)paint->width * (size_t)paint->height * 4, sizeof *paint->rgba);
    return paint->rgba ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for a sprite");
}

void ego_paint_release(ego_paint *paint) {
    free(paint->rgba);
    *paint = (ego_paint){0};
}

/* A shape is its signed distance function (negative inside) and the box its shading refers to. */
typedef struct shape {
    double (*distance)(const struct shape *shape, double x, double y);
    double x, y, rx, ry; /* middle and half sizes */
    double radius, thickness;
    ego_point a, b;
    double ra, rb;
    const ego_point *points;
    int n;
} shape;

static double clamp(double v, double low, double high) {
    return v < low ? low : v > high ? high : v;
}

/* Composes the ink over the sheet where the shape is, half a texture pixel of soft edge. */
static void fill(ego_paint *paint, const shape *s, ego_ink ink) {
    for (int row = 0; row < paint->height; row++) {
        double y = paint->top + (row + 0.5) / EGO_SPRITE_SCALE;
        if (y < s->y - s->ry - 2 || y > s->y + s->ry + 2) continue;
        for (int column = 0; column < paint->width; column++) {
            double x = paint->left + (column + 0.5) / EGO_SPRITE_SCALE;
            if (x < s->x - s->rx - 2 || x > s->x + s->rx + 2) continue;
            double cover = clamp(0.5 - s->distance(s, x, y) * EGO_SPRITE_SCALE, 0, 1) * ink.alpha;
            if (cover <= 0) continue;
            double shade = 1 + ink.shade_x * (x - s->x) / s->rx + ink.shade_y * (y - s->y) / s->ry;
            double colour[3] = {ink.r, ink.g, ink.b};
            double *p = paint->rgba + ((size_t)row * (size_t)paint->width + (size_t)column) * 4;
            for (int c = 0; c < 3; c++)
                p[c] = p[c] * (1 - cover) + clamp(colour[c] * shade, 0, 255) * cover;
            p[3] = p[3] * (1 - cover) + 255 * cover;
        }
    }
}

static double ellipse_distance(const shape *s, double x, double y) {
    double u = (x - s->x) / s->rx, v = (y - s->y) / s->ry;
    double k = sqrt(u * u + v * v);
    double gx = u / s->rx, gy = v / s->ry, slope = sqrt(gx * gx + gy * gy);
    return slope > 0 ? (k - 1) * k / slope : -fmin(s->rx, s->ry);
}

void ego_paint_ellipse(ego_paint *paint, double x, double y, double rx, double ry, ego_ink ink) {
    fill(paint, &(shape){ellipse_distance, .x = x, .y = y, .rx = rx, .ry = ry}, ink);
}

static double ring_distance(const shape *s, double x, double y) {
    shape middle = *s;
    middle.rx -= s->thickness;
    middle.ry -= s->thickness;
    return fabs(ellipse_distance(&middle, x, y)) - s->thickness;
}

void ego_paint_ring(ego_paint *paint, double x, double y, double rx, double ry,
                    double half_thickness, ego_ink ink) {
    fill(paint,
         &(shape){ring_distance, .x = x, .y = y, .rx = rx + half_thickness,
                  .ry = ry + half_thickness, .thickness = half_thickness},
         ink);
}

static double box_distance(const shape *s, double x, double y) {
    double u = fabs(x - s->x) - s->rx + s->radius, v = fabs(y - s->y) - s->ry + s->radius;
    double outside_u = fmax(u, 0), outside_v = fmax(v, 0);
    return sqrt(outside_u * outside_u + outside_v * outside_v) + fmin(fmax(u, v), 0) - s->radius;
}

void ego_paint_box(ego_paint *paint, double x, double y, double half_width, double half_height,
                   double radius, ego_ink ink) {
    fill(paint,
         &(shape){box_distance, .x = x, .y = y, .rx = half_width, .ry = half_height,
                  .radius = radius},
         ink);
}

static double stroke_distance(const shape *s, double x, double y) {
    double dx = s->b.x - s->a.x, dy = s->b.y - s->a.y, length = dx * dx + dy * dy;
    double t = length > 0 ? clamp(((x - s->a.x) * dx + (y - s->a.y) * dy) / length, 0, 1) : 0;
    double u = x - s->a.x - t * dx, v = y - s->a.y - t * dy;
    return sqrt(u * u + v * v) - (s->ra + t * (s->rb - s->ra));
}

void ego_paint_stroke(ego_paint *paint, ego_point a, ego_point b, double ra, double rb,
                      ego_ink ink) {
    double thick = fmax(ra, rb);
    fill(paint,
         &(shape){stroke_distance, .x = (a.x + b.x) / 2, .y = (a.y + b.y) / 2,
                  .rx = fabs(a.x - b.x) / 2 + thick, .ry = fabs(a.y - b.y) / 2 + thick, .a = a,
                  .b = b, .ra = ra, .rb = rb},
         ink);
}

static double polygon_distance(const shape *s, double x, double y) {
    double nearest = 1e18;
    int inside = 0;
    for (int i = 0, j = s->n - 1; i < s->n; j = i++) {
        ego_point a = s->points[i], b = s->points[j];
        shape edge = {.a = a, .b = b};
        nearest = fmin(nearest, stroke_distance(&edge, x, y));
        if ((a.y > y) != (b.y > y) && x < (b.x - a.x) * (y - a.y) / (b.y - a.y) + a.x)
            inside = !inside;
    }
    return inside ? -nearest : nearest;
}

void ego_paint_polygon(ego_paint *paint, const ego_point *points, int n, ego_ink ink) {
    double left = 1e18, right = -1e18, top = 1e18, bottom = -1e18;
    for (int i = 0; i < n; i++) {
        left = fmin(left, points[i].x), right = fmax(right, points[i].x);
        top = fmin(top, points[i].y), bottom = fmax(bottom, points[i].y);
    }
    fill(paint,
         &(shape){polygon_distance, .x = (left + right) / 2, .y = (top + bottom) / 2,
                  .rx = (right - left) / 2 + 0.01, .ry = (bottom - top) / 2 + 0.01,
                  .points = points, .n = n},
         ink);
}

void ego_paint_half_ellipse(ego_paint *paint, double x, double y, double rx, double ry,
                            ego_ink ink) {
    ego_point points[25];
    for (int i = 0; i < 25; i++)
        points[i] = (ego_point){x + rx * ego_turn_cos(i / 48.0), y + ry * ego_turn_sin(i / 48.0)};
    ego_paint_polygon(paint, points, 25, ink);
}

/* ---- sprites -------------------------------------------------------------------------------------- */

/* How much of the outline reaches this texture pixel: the most opaque pixel within `radius`. */
static double dilated(const ego_paint *paint, int column, int row, int radius) {
    double most = 0;
    for (int dy = -radius; dy <= radius; dy++)
        for (int dx = -radius; dx <= radius; dx++) {
            int x = column + dx, y = row + dy;
            if (dx * dx + dy * dy > radius * radius + 1) continue;
            if (x < 0 || y < 0 || x >= paint->width || y >= paint->height) continue;
            most = fmax(most, paint->rgba[((size_t)y * (size_t)paint->width + (size_t)x) * 4 + 3]);
        }
    return most;
}

ego_err ego_sprite_make(const ego_paint *paint, double outline, ego_sprite *sprite) {
    int border = 1;
    sprite->width = paint->width + 2 * border;
    sprite->height = paint->height + 2 * border;
    sprite->left = paint->left - (double)border / EGO_SPRITE_SCALE;
    sprite->top = paint->top - (double)border / EGO_SPRITE_SCALE;
    sprite->rgba = calloc((size_t)sprite->width * (size_t)sprite->height, sizeof *sprite->rgba);
    if (!sprite->rgba) return ego_fail(EGO_ENOMEM, "out of memory for a sprite");
    int radius = (int)(outline * EGO_SPRITE_SCALE + 0.5);
    for (int row = 0; row < paint->height; row++)
        for (int column = 0; column < paint->width; column++) {
            const double *p =
                paint->rgba + ((size_t)row * (size_t)paint->width + (size_t)column) * 4;
            double under = radius ? dilated(paint, column, row, radius) * (1 - p[3] / 255) : 0;
            uint32_t packed = 0;
            for (int c = 0; c < 4; c++) {
                double line = c == 3 ? under : under * 0.11; /* nearly black */
                packed |= (uint32_t)clamp(p[c] + line + 0.5, 0, 255) << (8 * c);
            }
            sprite
                ->rgba[(size_t)(row + border) * (size_t)sprite->width + (size_t)(column + border)] =
                packed;
        }
    return EGO_OK;
}

void ego_sprite_release(ego_sprite *sprite) {
    free(sprite->rgba);
    *sprite = (ego_sprite){0};
}

/* a + (b - a) * f / 256 in all four bytes at once. */
static inline uint32_t mix(uint32_t a, uint32_t b, uint32_t f) {
    uint32_t low_a = a & 0xff00ff, high_a = a >> 8 & 0xff00ff;
    uint32_t low_b = b & 0xff00ff, high_b = b >> 8 & 0xff00ff;
    uint32_t low = (low_a * (256 - f) + low_b * f) >> 8 & 0xff00ff;
    uint32_t high = (high_a * (256 - f) + high_b * f) & 0xff00ff00;
    return low | high;
}

/* Narrows [*first, *last) to the columns where start + column * step lies in [0, limit). */
static void clip_range(int64_t start, int64_t step, int64_t limit, int *first, int *last) {
    if (step == 0) {
        if (start < 0 || start >= limit) *last = *first;
        return;
    }
    int64_t low = -start, high = limit - start; /* column * step in [low, high) */
    if (step < 0) {
        int64_t swap = low;
        low = -high + 1, high = -swap + 1, step = -step;
    }
    int64_t from = low <= 0 ? -(-low / step) : (low + step - 1) / step;
    int64_t to = high <= 0 ? -(-high / step) : (high + step - 1) / step;
    if (from > *first) *first = from > *last ? *last : (int)from;
    if (to < *last) *last = to < *first ? *first : (int)to;
}

static void draw_row(uint8_t *to, const ego_sprite *s, int64_t u, int64_t v, int64_t du, int64_t dv,
                     int n, uint32_t alpha) {
    for (int i = 0; i < n; i++, u += du, v += dv, to += 3) {
        const uint32_t *p = s->rgba + (size_t)(v >> 16) * (size_t)s->width + (size_t)(u >> 16);
        uint32_t fu = (uint32_t)(u >> 8) & 255, fv = (uint32_t)(v >> 8) & 255;
        if (!((p[0] | p[1] | p[s->width] | p[s->width + 1]) >> 24)) continue;
        uint32_t c = mix(mix(p[0], p[1], fu), mix(p[s->width], p[s->width + 1], fu), fv);
        if (alpha < 256) c = mix(0, c, alpha);
        uint32_t keep = 256 - (c >> 24) - (c >> 31);
        to[0] = (uint8_t)((c & 255) + (to[0] * keep >> 8));
        to[1] = (uint8_t)((c >> 8 & 255) + (to[1] * keep >> 8));
        to[2] = (uint8_t)((c >> 16 & 255) + (to[2] * keep >> 8));
    }
}

void ego_sprite_draw(ego_image *image, const ego_sprite *s, const ego_pose *pose) {
    /* The frame's bounding box of the four corners. */
    double left = 1e9, right = -1e9, top = 1e9, bottom = -1e9;
    for (int corner = 0; corner < 4; corner++) {
        double x = s->left + (corner & 1 ? (double)s->width / EGO_SPRITE_SCALE : 0);
        double y = s->top + (corner & 2 ? (double)s->height / EGO_SPRITE_SCALE : 0);
        x *= pose->scale_x, y *= pose->scale_y;
        double fx = pose->x + x * pose->cosine - y * pose->sine;
        double fy = pose->y + x * pose->sine + y * pose->cosine;
        left = fmin(left, fx), right = fmax(right, fx), top = fmin(top, fy),
        bottom = fmax(bottom, fy);
    }
    int x0 = (int)clamp(floor(left), 0, image->width),
        x1 = (int)clamp(ceil(right), 0, image->width);
    int y0 = (int)clamp(floor(top), 0, image->height);
    int y1 = (int)clamp(ceil(bottom), 0, pose->above ? pose->above : image->height);
    if (y1 > image->height) y1 = image->height;
    /* Texture coordinates in 16.16 fixed point, of the middle of a frame pixel. */
    double one = 65536.0 * EGO_SPRITE_SCALE;
    double ux = pose->cosine / pose->scale_x * one, uy = pose->sine / pose->scale_x * one;
    double vx = -pose->sine / pose->scale_y * one, vy = pose->cosine / pose->scale_y * one;
    double rx = x0 + 0.5 - pose->x, ry = y0 + 0.5 - pose->y;
    int64_t u0 = (int64_t)floor(rx * ux + ry * uy - s->left * one - 32768 + 0.5);
    int64_t v0 = (int64_t)floor(rx * vx + ry * vy - s->top * one - 32768 + 0.5);
    int64_t dux = (int64_t)floor(ux + 0.5), duy = (int64_t)floor(uy + 0.5);
    int64_t dvx = (int64_t)floor(vx + 0.5), dvy = (int64_t)floor(vy + 0.5);
    for (int y = y0; y < y1; y++) {
        int64_t u = u0 + (y - y0) * duy, v = v0 + (y - y0) * dvy;
        int first = 0, last = x1 - x0;
        clip_range(u, dux, (int64_t)(s->width - 1) << 16, &first, &last);
        clip_range(v, dvx, (int64_t)(s->height - 1) << 16, &first, &last);
        if (first >= last) continue;
        uint8_t *to = image->rgb + ((size_t)y * (size_t)image->width + (size_t)(x0 + first)) * 3;
        draw_row(to, s, u + first * dux, v + first * dvx, dux, dvx, last - first,
                 (uint32_t)pose->alpha);
    }
}
