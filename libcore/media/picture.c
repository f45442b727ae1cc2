#include "media/picture.h"

#include "base/file.h"
#include "base/utf8.h"
#include "media/font.h"

#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- PNG ------------------------------------------------------------------------------------------ */

static void png_refused(png_structp png, png_const_charp message) {
    (void)message;
    png_longjmp(png, 1);
}

static void png_ignored(png_structp png, png_const_charp message) { (void)png, (void)message; }

/* libpng reports failure by longjmp: nothing that must be cleaned up is owned inside this function. */
static bool png_body(png_structp png, png_infop info, FILE *stream, const ego_image *image) {
    if (setjmp(png_jmpbuf(png))) return false;
    png_init_io(png, stream);
    png_set_IHDR(png, info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int y = 0; y < image->height; y++)
        png_write_row(png, image->rgb + (size_t)y * (size_t)image->width * 3);
    png_write_end(png, info);
    return true;
}

ego_err ego_png_write(const ego_image *image, const char *path) {
    ego_err err = EGO_OK;
    ego_outfile out = {0};
    png_infop info = NULL;
    png_structp png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, png_refused, png_ignored);
    if (png) info = png_create_info_struct(png);
    if (!info) {
        err = ego_fail(EGO_ENOMEM, "%s: out of memory for a PNG writer", path);
        goto out;
    }
    EGO_TRY_OUT(ego_outfile_open(path, &out));
    if (!png_body(png, info, out.stream, image)) {
        err = ego_fail(EGO_EIO, "%s: the PNG could not be written", path);
        goto out;
    }
    err = ego_outfile_commit(&out);
out:
    ego_outfile_abort(&out);
    png_destroy_write_struct(&png, &info);
    return err;
}

/* ---- boxes and text ------------------------------------------------------------------------------- */

static inline uint8_t *pixel_at(const ego_image *image, int x, int y) {
    return image->rgb + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
}

static int clamp_int(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

void ego_draw_box(ego_image *image, int x, int y, int width, int height, ego_colour colour) {
    int x0 = clamp_int(x, 0, image->width), x1 = clamp_int(x + width, 0, image->width);
    int y0 = clamp_int(y, 0, image->height), y1 = clamp_int(y + height, 0, image->height);
    for (int row = y0; row < y1; row++) {
        uint8_t *p = image->rgb + ((size_t)row * (size_t)image->width + (size_t)x0) * 3;
        for (int column = x0; column < x1; column++, p += 3)
            p[0] = colour.r, p[1] = colour.g, p[2] = colour.b;
    }
}

void ego_draw_fill(ego_image *image, ego_colour colour) {
    ego_draw_box(image, 0, 0, image->width, image->height, colour);
}

void ego_draw_frame(ego_image *image, int x, int y, int width, int height, ego_colour colour) {
    ego_draw_box(image, x, y, width, 1, colour);
    ego_draw_box(image, x, y + height - 1, width, 1, colour);
    ego_draw_box(image, x, y, 1, height, colour);
    ego_draw_box(image, x + width - 1, y, 1, height, colour);
}

static void draw_glyph(ego_image *image, int x, int y, int scale, uint32_t c, ego_colour colour) {
    int index = c >= EGO_FONT_FIRST && c <= EGO_FONT_LAST ? (int)c : EGO_FONT_BOX;
    const uint8_t *rows = ego_font[index - EGO_FONT_FIRST];
    for (int row = 0; row < EGO_FONT_ROWS; row++)
        for (int column = 0; column < EGO_FONT_WIDTH; column++)
            if (rows[row] >> (EGO_FONT_WIDTH - 1 - column) & 1)
                ego_draw_box(image, x + column * scale, y + row * scale, scale, scale, colour);
}

/* The next character of the text; a byte that is no UTF-8 counts as one unknown character. */
static size_t next_character(const char *text, size_t n, uint32_t *c) {
    size_t width = ego_utf8_decode(text, n, c);
    if (width) return width;
    *c = 0xFFFD;
    return 1;
}

int ego_draw_text(ego_image *image, int x, int y, int scale, const char *text, size_t n,
                  ego_colour colour) {
    for (size_t at = 0; at < n;) {
        uint32_t c;
        at += next_character(text + at, n - at, &c);
        draw_glyph(image, x, y, scale, c, colour);
        x += EGO_FONT_ADVANCE * scale;
    }
    return x;
}

/* How many bytes of text[0..n) go on one line of `columns` characters, broken after a word where one
 * ends there. *skip: white space after them that the break swallows. */
static size_t line_bytes(const char *text, size_t n, size_t columns, size_t *skip) {
    size_t at = 0, word_end = 0;
    *skip = 0;
    for (size_t column = 0; at < n && text[at] != '\n'; column++) {
        if (text[at] == ' ') word_end = at;
        if (column == columns) {
            if (word_end) at = word_end;
            *skip = text[at] == ' ';
            return at;
        }
        uint32_t c;
        at += next_character(text + at, n - at, &c);
    }
    *skip = at < n;
    return at;
}

int ego_draw_paragraph(ego_image *image, int x, int y, int width, int height, int scale,
                       const char *text, ego_colour colour) {
    int line = EGO_FONT_LINE * scale, end = y + height;
    int columns = width / (EGO_FONT_ADVANCE * scale);
    if (columns < 3) return y;
    for (size_t n = strlen(text); n > 0 && y + line <= end; y += line) {
        size_t skip, bytes = line_bytes(text, n, (size_t)columns, &skip);
        bool last = y + 2 * line > end && bytes + skip < n;
        if (last) bytes = line_bytes(text, n, (size_t)columns - 2, &skip);
        int after = ego_draw_text(image, x, y, scale, text, bytes, colour);
        if (last) ego_draw_text(image, after, y, scale, "..", 2, colour);
        text += bytes + skip;
        n -= bytes + skip;
    }
    return y;
}

/* ---- scaling -------------------------------------------------------------------------------------- */

/* How one target pixel reads a line of source pixels: the weights of `count` pixels from `first` on. */
typedef struct span {
    int first, count;
    const float *weights;
} span;

typedef struct span_table {
    span *at;
    float *weights;
} span_table;

/* Area average when it shrinks (each source pixel weighs by how much of it the target pixel covers),
 * bilinear with half-pixel centres when it grows. */
static bool spans_init(span_table *spans, int from, int to) {
    double ratio = (double)from / to;
    int most = (int)(ratio > 1 ? ratio : 1) + 2;
    spans->at = malloc((size_t)to * sizeof *spans->at);
    spans->weights = malloc((size_t)to * (size_t)most * sizeof *spans->weights);
    if (!spans->at || !spans->weights) return false;
    for (int i = 0; i < to; i++) {
        float *weights = spans->weights + (size_t)i * (size_t)most;
        double low = i * ratio, high = (i + 1) * ratio;
        if (ratio <= 1) low = (i + 0.5) * ratio - 0.5, high = low + 1;
        int first = (int)floor(low), count = 0;
        int begin = clamp_int(first, 0, from - 1);
        double sum = 0;
        for (int j = first; j < high && count < most; j++) {
            double cover = fmin(high, j + 1) - fmax(low, j);
            if (cover <= 1e-9) continue;
            int at = clamp_int(j, 0, from - 1) - begin; /* what lies outside repeats the border */
            while (count <= at) weights[count++] = 0;
            weights[at] += (float)cover;
            sum += cover;
        }
        for (int k = 0; k < count; k++) weights[k] = (float)(weights[k] / sum);
        spans->at[i] = (span){begin, count, weights};
    }
    return true;
}

static void spans_release(span_table *spans) {
    free(spans->at);
    free(spans->weights);
}

static void scale_pixel(const ego_image *from, span across, span down, uint8_t *to) {
    float sum[3] = {0.5f, 0.5f, 0.5f};
    for (int j = 0; j < down.count; j++) {
        const uint8_t *p = pixel_at(from, across.first, down.first + j);
        float row[3] = {0};
        for (int i = 0; i < across.count; i++, p += 3)
            for (int c = 0; c < 3; c++) row[c] += across.weights[i] * p[c];
        for (int c = 0; c < 3; c++) sum[c] += down.weights[j] * row[c];
    }
    for (int c = 0; c < 3; c++) to[c] = (uint8_t)fminf(sum[c], 255);
}

void ego_draw_image(ego_image *image, int x, int y, int width, int height, const ego_image *from) {
    if (width < 1 || height < 1 || from->width < 1 || from->height < 1) return;
    span_table across = {0}, down = {0};
    /* Without the memory for the weights nothing is drawn: a picture for people, not data. */
    if (spans_init(&across, from->width, width) && spans_init(&down, from->height, height))
        for (int row = 0; row < height; row++) {
            if (y + row < 0 || y + row >= image->height) continue;
            for (int column = 0; column < width; column++)
                if (x + column >= 0 && x + column < image->width)
                    scale_pixel(from, across.at[column], down.at[row],
                                pixel_at(image, x + column, y + row));
        }
    spans_release(&across);
    spans_release(&down);
}

/* ---- overlays ------------------------------------------------------------------------------------- */

static float heat_value(const float *map, int columns, int rows, int column, int row) {
    float v = map[clamp_int(row, 0, rows - 1) * columns + clamp_int(column, 0, columns - 1)];
    return v > 0 ? fminf(v, 1) : 0;
}

static uint8_t mix(float a, float b, float part) { return (uint8_t)(a * (1 - part) + b * part + 0.5f); }

void ego_draw_pale(ego_image *image, float strength) {
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            uint8_t *p = pixel_at(image, x, y);
            float grey = 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2]; /* BT.601's luma */
            float pale = 0.75f * grey + 64;
            for (int c = 0; c < 3; c++) p[c] = mix(p[c], pale, strength);
        }
}

ego_colour ego_heat_colour(float v) {
    static const float scale[][3] = {
        {24, 24, 110}, {104, 32, 144}, {192, 60, 110}, {240, 128, 48}, {252, 236, 140}};
    enum { LAST = sizeof scale / sizeof scale[0] - 1 };
    float at = (v > 0 ? fminf(v, 1) : 0) * LAST, rgb[3];
    int low = at < LAST ? (int)at : LAST - 1;
    for (int c = 0; c < 3; c++)
        rgb[c] = scale[low][c] + (at - (float)low) * (scale[low + 1][c] - scale[low][c]) + 0.5f;
    return (ego_colour){(uint8_t)rgb[0], (uint8_t)rgb[1], (uint8_t)rgb[2]};
}

void ego_draw_heat(ego_image *image, const float *map, int columns, int rows, float strength) {
    for (int y = 0; y < image->height; y++) {
        float fy = ((float)y + 0.5f) * (float)rows / (float)image->height - 0.5f;
        int row = (int)floorf(fy);
        fy -= (float)row;
        for (int x = 0; x < image->width; x++) {
            float fx = ((float)x + 0.5f) * (float)columns / (float)image->width - 0.5f;
            int column = (int)floorf(fx);
            fx -= (float)column;
            float v = (1 - fy) * ((1 - fx) * heat_value(map, columns, rows, column, row) +
                                  fx * heat_value(map, columns, rows, column + 1, row)) +
                      fy * ((1 - fx) * heat_value(map, columns, rows, column, row + 1) +
                            fx * heat_value(map, columns, rows, column + 1, row + 1));
            float hide = strength * v;
            ego_colour heat = ego_heat_colour(v);
            uint8_t *p = pixel_at(image, x, y);
            p[0] = mix(p[0], heat.r, hide);
            p[1] = mix(p[1], heat.g, hide);
            p[2] = mix(p[2], heat.b, hide);
        }
    }
}

/* ---- contact sheets ------------------------------------------------------------------------------- */

enum { SHEET_GAP = 4, SHEET_LABEL = 222, SHEET_MIN_LABEL_LINES = 3, SHEET_MAX_SIDE = 16384 };

static int scaled_width(const ego_image *frame, int height) {
    if (frame->height < 1 || frame->width < 1) return height;
    long long width = ((long long)frame->width * height + frame->height / 2) / frame->height;
    return width < 1 ? 1 : width > SHEET_MAX_SIDE ? SHEET_MAX_SIDE : (int)width;
}

/* Letters twice as large where the label has room for them. */
static int label_scale(const char *label, int height) {
    int columns = (SHEET_LABEL - SHEET_GAP) / (2 * EGO_FONT_ADVANCE), lines = 0;
    for (size_t n = strlen(label), skip, bytes; n > 0;
         n -= bytes + skip, label += bytes + skip, lines++)
        bytes = line_bytes(label, n, (size_t)columns, &skip);
    return lines * 2 * EGO_FONT_LINE <= height ? 2 : 1;
}

ego_err ego_sheet(const ego_sheet_row *rows, size_t row_count, int frame_height, ego_image *sheet) {
    const ego_colour paper = {250, 250, 247}, ink = {20, 20, 24}, rule = {205, 205, 200};
    if (frame_height < 1) return ego_fail(EGO_EINPUT, "a contact sheet with frames of no height");
    int row_height = frame_height;
    if (row_height < SHEET_MIN_LABEL_LINES * EGO_FONT_LINE)
        row_height = SHEET_MIN_LABEL_LINES * EGO_FONT_LINE;
    long long widest = 0, height = SHEET_GAP;
    for (size_t i = 0; i < row_count; i++) {
        long long width = 0;
        for (size_t j = 0; j < rows[i].frame_count && width <= SHEET_MAX_SIDE; j++)
            width += scaled_width(&rows[i].frames[j], frame_height) + SHEET_GAP;
        if (width > widest) widest = width;
        height += row_height + SHEET_GAP;
        if (height > SHEET_MAX_SIDE) break;
    }
    widest += SHEET_LABEL + 2 * SHEET_GAP;
    if (widest > SHEET_MAX_SIDE || height > SHEET_MAX_SIDE)
        return ego_fail(EGO_EINPUT, "a contact sheet of %zu rows would be larger than %d pixels",
                        row_count, SHEET_MAX_SIDE);
    EGO_TRY(ego_image_new((int)widest, (int)height, sheet));
    ego_draw_fill(sheet, paper);
    int y = SHEET_GAP;
    for (size_t i = 0; i < row_count; i++, y += row_height + SHEET_GAP) {
        int scale = label_scale(rows[i].label, row_height);
        ego_draw_paragraph(sheet, SHEET_GAP, y, SHEET_LABEL - SHEET_GAP, row_height, scale,
                           rows[i].label, ink);
        int x = SHEET_LABEL + SHEET_GAP;
        for (size_t j = 0; j < rows[i].frame_count; j++) {
            int width = scaled_width(&rows[i].frames[j], frame_height);
            ego_draw_image(sheet, x, y, width, frame_height, &rows[i].frames[j]);
            x += width + SHEET_GAP;
        }
        ego_draw_box(sheet, 0, y + row_height + SHEET_GAP / 2, sheet->width, 1, rule);
    }
    return EGO_OK;
}
