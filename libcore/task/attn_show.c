#include "task/attn_show.h"

#include "media/picture.h"
#include "media/prepare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARGIN = 16, TILE = 160, GAP = 6, LABEL = 176, LETTER = 12, LINE = 20, SMALL = 10 };
enum { BAR = 56, BAR_WIDTH = 24, BAR_LINE = BAR + SMALL + LINE + 2 * GAP, LEGEND = 240 };

static const ego_colour paper = {255, 255, 255}, ink = {24, 24, 32}, faint = {120, 120, 128},
                        bar = {104, 32, 144}, rule = {214, 214, 218};

/* What is drawn, and where the pen is. */
typedef struct sheet {
    const ego_attn_view *view;
    ego_image *image;
    ego_image *frames; /* F, TILE pixels wide and high */
    double *over_video, *over_text;
    float *map; /* one frame's */
    int y;
} sheet;

static void draw_line(sheet *s, int x, int y, int scale, const char *text, ego_colour colour) {
    ego_draw_text(s->image, x, y, scale, text, strlen(text), colour);
}

/* ---- the clip -------------------------------------------------------------------------------- */

static ego_err make_frames(sheet *s) {
    ego_preparer *preparer;
    ego_image whole = {0};
    EGO_TRY(ego_preparer_new(EGO_PREPARE_STANDARD, (int)s->view->size, &preparer));
    size_t each = ego_prepared_floats(preparer);
    ego_err err = EGO_OK;
    for (int64_t f = 0; err == EGO_OK && f < s->view->attn->frames; f++) {
        err = ego_unprepare(preparer, s->view->clip + (size_t)f * each, &whole);
        if (err == EGO_OK) err = ego_image_new(TILE, TILE, &s->frames[f]);
        if (err == EGO_OK) ego_draw_image(&s->frames[f], 0, 0, TILE, TILE, &whole);
    }
    ego_image_free(&whole);
    ego_preparer_free(preparer);
    return err;
}

static int frame_x(int64_t f) { return MARGIN + LABEL + (int)f * (TILE + GAP); }

static void draw_clip(sheet *s) {
    ego_draw_paragraph(s->image, MARGIN, s->y, LABEL - GAP, TILE, 1, s->view->title, faint);
    for (int64_t f = 0; f < s->view->attn->frames; f++)
        ego_draw_image(s->image, frame_x(f), s->y, TILE, TILE, &s->frames[f]);
    s->y += TILE + GAP;
}

/* ---- text to video --------------------------------------------------------------------------- */

/* A word's weights as shares above the even one, its highest being 1. Returns the highest in even
 * shares. */
static double scale_weights(double *weights, int64_t n) {
    double even = 1 / (double)n, most = 0;
    for (int64_t t = 1; t < n; t++) most = fmax(most, weights[t]);
    for (int64_t t = 1; t < n; t++)
        weights[t] = most > even ? fmax(0, weights[t] - even) / (most - even) : 0;
    return most / even;
}

static ego_err draw_word(sheet *s, int64_t word) {
    const ego_attn *a = s->view->attn;
    char note[64];
    ego_image tile = {0};
    EGO_TRY(ego_image_new(TILE, TILE, &tile));
    ego_attn_of_word(a, word, s->over_video);
    double of_class = s->over_video[0], most = scale_weights(s->over_video, a->tokens);
    int y = ego_draw_paragraph(s->image, MARGIN, s->y, LABEL - GAP, TILE - 3 * SMALL, 2,
                               s->view->words->at[word].text, ink);
    snprintf(note, sizeof note, "peak %.1f x even", most);
    draw_line(s, MARGIN, y + 2, 1, note, faint);
    snprintf(note, sizeof note, "on the class token %.0f %%", 100 * of_class);
    draw_line(s, MARGIN, y + 2 + SMALL, 1, note, faint);
    int64_t N = a->rows * a->columns;
    for (int64_t f = 0; f < a->frames; f++) {
        for (int64_t n = 0; n < N; n++) s->map[n] = (float)s->over_video[1 + f * N + n];
        memcpy(tile.rgb, s->frames[f].rgb, (size_t)3 * TILE * TILE);
        ego_draw_pale(&tile, 0.9f);
        ego_draw_heat(&tile, s->map, (int)a->columns, (int)a->rows, 0.85f);
        ego_draw_image(s->image, frame_x(f), s->y, TILE, TILE, &tile);
    }
    ego_image_free(&tile);
    s->y += TILE + GAP;
    return EGO_OK;
}

static void draw_legend(sheet *s) {
    static const char least[] = "an even share", most[] = "the word's most";
    int x = MARGIN + LABEL, y = s->y + GAP;
    x = ego_draw_text(s->image, x, y + 2, 1, least, strlen(least), faint) + GAP;
    for (int i = 0; i < LEGEND; i++) {
        float v = ((float)i + 0.5f) / LEGEND, hide = 0.85f * v;
        ego_colour c = ego_heat_colour(v);
        c.r = (uint8_t)(c.r * hide + 192 * (1 - hide));
        c.g = (uint8_t)(c.g * hide + 192 * (1 - hide));
        c.b = (uint8_t)(c.b * hide + 192 * (1 - hide));
        ego_draw_box(s->image, x + i, y, 1, 12, c);
    }
    draw_line(s, x + LEGEND + GAP, y + 2, 1, most, faint);
    s->y += 12 + 3 * GAP;
}

/* ---- video to text --------------------------------------------------------------------------- */

static size_t letters(const char *text) {
    size_t n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80; /* beginnings of UTF-8 */
    return n;
}

static int word_width(const char *text) {
    int width = (int)(letters(text) < 64 ? letters(text) : 64) * LETTER;
    return (width > BAR_WIDTH ? width : BAR_WIDTH) + LETTER;
}

/* Draws the words with their bars, line by line; with no image only measures. Returns the y below.
 */
static int draw_bars(const sheet *s, int y, int right, const double *weights) {
    double most = 1e-9;
    int left = MARGIN + LABEL, x = left;
    for (int64_t w = 0; weights && w < s->view->attn->words; w++) most = fmax(most, weights[w]);
    for (int64_t w = 0; w < s->view->attn->words; w++) {
        const ego_word *word = &s->view->words->at[w];
        int width = word_width(word->text);
        if (x > left && x + width - LETTER > right) x = left, y += BAR_LINE;
        if (weights) {
            char share[16];
            int height = (int)lrint(BAR * weights[w] / most), base = y + SMALL + GAP + BAR;
            int middle = x + (width - LETTER - BAR_WIDTH) / 2; /* bars are as wide as each other */
            snprintf(share, sizeof share, "%.0f%%", 100 * weights[w]);
            ego_draw_text(s->image, middle, base - height - SMALL, 1, share, strlen(share), faint);
            ego_draw_box(s->image, middle, base - height, BAR_WIDTH, height,
                         word->special ? rule : bar);
            ego_draw_text(s->image, x, base + 4, 2, word->text, strnlen(word->text, 255),
                          word->special ? faint : ink);
        }
        x += width;
    }
    return y + BAR_LINE;
}

static void draw_reading(sheet *s) {
    ego_draw_box(s->image, MARGIN, s->y, s->image->width - 2 * MARGIN, 1, rule);
    s->y += GAP;
    ego_attn_of_class(s->view->attn, s->over_text);
    ego_draw_paragraph(s->image, MARGIN, s->y + SMALL + GAP, LABEL - GAP, BAR, 1,
                       "what the clip's class token reads", faint);
    s->y = draw_bars(s, s->y, s->image->width - MARGIN, s->over_text);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static ego_err make_sheet(sheet *s) {
    const ego_attn *a = s->view->attn;
    int64_t rows = 0, least = MARGIN + LABEL + LEGEND + 200 + MARGIN;
    for (int64_t w = 0; w < a->words; w++) rows += s->view->chosen[w];
    int64_t width = MARGIN + LABEL + a->frames * (TILE + GAP) - GAP + MARGIN;
    if (width < least) width = least;
    int64_t height = MARGIN + (1 + rows) * (TILE + GAP) + 12 + 4 * GAP + MARGIN;
    if (width <= EGO_ATTN_MAX_SIDE) height += draw_bars(s, 0, (int)width - MARGIN, NULL);
    if (width > EGO_ATTN_MAX_SIDE || height > EGO_ATTN_MAX_SIDE)
        return ego_fail(EGO_EINPUT,
                        "%lld rows of %lld frames would be larger than %d pixels: choose words or "
                        "take fewer frames",
                        (long long)rows, (long long)a->frames, EGO_ATTN_MAX_SIDE);
    EGO_TRY(ego_image_new((int)width, (int)height, s->image));
    s->frames = calloc((size_t)a->frames, sizeof *s->frames);
    s->over_video = calloc((size_t)a->tokens, sizeof *s->over_video);
    s->over_text = calloc((size_t)a->words, sizeof *s->over_text);
    s->map = calloc((size_t)(a->rows * a->columns), sizeof *s->map);
    if (!s->frames || !s->over_video || !s->over_text || !s->map)
        return ego_fail(EGO_ENOMEM, "out of memory for a picture");
    ego_draw_fill(s->image, paper);
    s->y = MARGIN;
    return EGO_OK;
}

ego_err ego_attn_draw(const ego_attn_view *view, ego_image *image) {
    sheet s = {.view = view, .image = image};
    ego_err err;
    EGO_TRY_OUT(make_sheet(&s));
    EGO_TRY_OUT(make_frames(&s));
    draw_clip(&s);
    for (int64_t w = 0; w < view->attn->words; w++)
        if (view->chosen[w]) EGO_TRY_OUT(draw_word(&s, w));
    draw_legend(&s);
    draw_reading(&s);
out:
    for (int64_t f = 0; s.frames && f < view->attn->frames; f++) ego_image_free(&s.frames[f]);
    free(s.frames);
    free(s.over_video);
    free(s.over_text);
    free(s.map);
    return err;
}
