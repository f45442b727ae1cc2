#include "task/summary_show.h"

#include "media/font.h"
#include "media/picture.h"
#include "task/cut.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- as a file that plays ------------------------------------------------------------------------ */

ego_err ego_summary_save(const ego_summary_show *s, const char *path) {
    ego_reel *reel = NULL;
    ego_err err;
    size_t n = 0;
    ego_part *parts = malloc((s->count ? s->count : 1) * sizeof *parts);
    if (!parts) return ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < s->count; i++) {
        size_t shot = s->chosen[i];
        if (i == 0 || shot != s->chosen[i - 1] + 1) parts[n++].start = s->table->times[shot];
        parts[n - 1].end = s->table->times[shot + 1];
    }
    ego_cut_options o = {.silent = s->silent, .threads = s->threads, .progress = s->progress};
    EGO_TRY_OUT(ego_reel_open(s->video_root, s->video, &reel));
    err = ego_cut(reel, parts, n, &o, path);
out:
    ego_reel_close(reel);
    free(parts);
    return err;
}

/* ---- as a picture -------------------------------------------------------------------------------- */

enum {
    WIDTH = 1120, /* inside the margins */
    MARGIN = 16,
    GAP = 8,
    CAPTION = 22,
    LEAST_COLUMNS = 3,
    MOST_COLUMNS = 6,
    GRAPH = 96, /* height of the curve */
    MARK = 10   /* of the marks above it */
};

static const ego_colour paper = {250, 250, 247}, ink = {24, 26, 30}, faint = {120, 122, 126},
                        rule = {205, 205, 200}, ground[2] = {{242, 241, 235}, {230, 229, 222}},
                        curve = {150, 163, 178},
                        accent = {208, 78, 28}; /* dark enough beside the curve in grey, too */

typedef struct sheet {
    const ego_summary_show *show;
    ego_image image;
    size_t frames, columns, rows; /* of pictures */
    int cell_width, cell_height;  /* of one */
    int top, graph;               /* where pictures and curve begin */
} sheet;

/* "1:02:03" or "2:03". */
static void clock_text(double seconds, char *text, size_t n) {
    long t = lround(seconds);
    if (t >= 3600)
        snprintf(text, n, "%ld:%02ld:%02ld", t / 3600, t / 60 % 60, t % 60);
    else
        snprintf(text, n, "%ld:%02ld", t / 60, t % 60);
}

static int text_width(const char *text, int scale) {
    return (int)strlen(text) * EGO_FONT_ADVANCE * scale;
}

static void write_text(ego_image *image, int x, int y, int scale, const char *text,
                       ego_colour colour) {
    ego_draw_text(image, x, y, scale, text, strlen(text), colour);
}

/* The shot that picture number i shows. */
static size_t shot_of(const sheet *s, size_t i) {
    return s->show->chosen[i * s->show->count / s->frames];
}

/* As few rows as there can be, and the same number in each. */
static void lay_out(sheet *s, const ego_image *first) {
    s->rows = (s->frames + MOST_COLUMNS - 1) / MOST_COLUMNS;
    s->columns = (s->frames + s->rows - 1) / s->rows;
    if (s->columns < LEAST_COLUMNS) s->columns = LEAST_COLUMNS;
    s->cell_width = (WIDTH - (int)(s->columns - 1) * GAP) / (int)s->columns;
    int height = (int)((int64_t)first->height * s->cell_width / first->width);
    int most = s->cell_width; /* an upright picture is made to fit */
    s->cell_height = height < 1 ? 1 : height < most ? height : most;
    s->top = MARGIN + 2 * EGO_FONT_LINE + GAP;
    s->graph = s->top + (int)s->rows * (s->cell_height + CAPTION) + GAP + MARK;
}

static void draw_title(sheet *s) {
    char right[64], length[32];
    const ego_summary_show *show = s->show;
    clock_text(show->table->times[show->table->n] - show->table->times[0], length, sizeof length);
    snprintf(right, sizeof right, "%zu of %zu shots, %s", show->count, show->table->n, length);
    int at = MARGIN + WIDTH - text_width(right, 1);
    write_text(&s->image, at, MARGIN + EGO_FONT_LINE / 2, 1, right, faint);
    ego_draw_paragraph(&s->image, MARGIN, MARGIN, at - MARGIN - GAP, 2 * EGO_FONT_LINE, 2,
                       show->title ? show->title : "Summary", ink);
}

/* A frame in the middle of its cell, its time on the left below it and its score on the right. */
static void draw_frame(sheet *s, size_t i, const ego_image *frame) {
    const ego_summary_show *show = s->show;
    int x = MARGIN + (int)(i % s->columns) * (s->cell_width + GAP);
    int y = s->top + (int)(i / s->columns) * (s->cell_height + CAPTION);
    int width = s->cell_width, height = (int)((int64_t)frame->height * width / frame->width);
    if (height > s->cell_height) {
        height = s->cell_height;
        width = (int)((int64_t)frame->width * height / frame->height);
    }
    ego_draw_box(&s->image, x, y, s->cell_width, s->cell_height, ground[1]);
    ego_draw_image(&s->image, x + (s->cell_width - width) / 2, y, width < 1 ? 1 : width, height,
                   frame);
    char time[32], score[32];
    size_t shot = shot_of(s, i);
    clock_text(show->table->times[shot], time, sizeof time);
    snprintf(score, sizeof score, "%.3f", (double)show->scores[shot]);
    write_text(&s->image, x, y + s->cell_height + 5, 1, time, ink);
    write_text(&s->image, x + s->cell_width - text_width(score, 1), y + s->cell_height + 5, 1,
               score, faint);
}

/* Where shot k begins on the time line. */
static int place(const sheet *s, size_t k) {
    return MARGIN + (int)((int64_t)k * WIDTH / (int64_t)s->show->table->n);
}

static void score_range(const ego_summary_show *show, double *low, double *high) {
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0; i < show->table->n; i++) {
        double score = (double)show->scores[i];
        if (score < *low) *low = score;
        if (score > *high) *high = score;
    }
    if (!(*low < *high)) *low -= 1;
}

static void draw_curve(sheet *s) {
    const ego_summary_show *show = s->show;
    double low, high;
    score_range(show, &low, &high);
    for (size_t g = 0; g < show->segments->count; g++) {
        int x = place(s, show->segments->starts[g]), end = place(s, show->segments->starts[g + 1]);
        ego_draw_box(&s->image, x, s->graph, end - x, GRAPH, ground[g % 2]);
    }
    for (size_t i = 0, c = 0; i < show->table->n; i++) {
        bool chosen = c < show->count && show->chosen[c] == i;
        c += chosen;
        int x = place(s, i), width = place(s, i + 1) - x;
        int height = 1 + (int)lround(((double)show->scores[i] - low) / (high - low) * (GRAPH - 4));
        if (width < 1 && !chosen) continue; /* a neighbour has its place */
        if (width < 2) width = chosen ? 2 : 1;
        ego_draw_box(&s->image, x, s->graph + GRAPH - height, width, height,
                     chosen ? accent : curve);
        if (chosen)
            ego_draw_box(&s->image, x, s->graph - MARK, width < 3 ? 3 : width, MARK - 3, accent);
    }
    ego_draw_box(&s->image, MARGIN, s->graph + GRAPH, WIDTH, 1, rule);
}

/* Five times below the line, the first and the last at its ends. */
static void draw_axis(sheet *s) {
    const ego_summary_table *t = s->show->table;
    for (int i = 0; i <= 4; i++) {
        char text[32];
        int x = MARGIN + WIDTH * i / 4;
        clock_text(t->times[0] + (t->times[t->n] - t->times[0]) * i / 4, text, sizeof text);
        int width = text_width(text, 1), left = i == 0 ? x : i == 4 ? x - width : x - width / 2;
        ego_draw_box(&s->image, i == 4 ? x - 1 : x, s->graph + GRAPH, 1, 4, faint);
        write_text(&s->image, left, s->graph + GRAPH + 6, 1, text, faint);
    }
}

/* The first frame tells how large the sheet is. */
static ego_err begin(sheet *s, const ego_image *first) {
    lay_out(s, first);
    int height = s->graph + GRAPH + EGO_FONT_LINE + MARGIN;
    EGO_TRY(ego_image_new(WIDTH + 2 * MARGIN, height, &s->image));
    ego_draw_fill(&s->image, paper);
    draw_title(s);
    draw_curve(s);
    draw_axis(s);
    return EGO_OK;
}

static ego_err draw(sheet *s, ego_reel *reel, ego_image *frame) {
    const double *times = s->show->table->times;
    s->frames = s->show->count < EGO_SUMMARY_FRAMES ? s->show->count : EGO_SUMMARY_FRAMES;
    for (size_t i = 0; i < s->frames; i++) {
        size_t shot = shot_of(s, i);
        EGO_TRY(ego_reel_frame(reel, (times[shot] + times[shot + 1]) / 2, frame));
        if (i == 0) EGO_TRY(begin(s, frame));
        draw_frame(s, i, frame);
    }
    return EGO_OK;
}

ego_err ego_summary_sheet(const ego_summary_show *show, const char *path) {
    sheet s = {.show = show};
    ego_reel *reel = NULL;
    ego_image frame = {0};
    ego_err err;
    if (show->count == 0) return ego_fail(EGO_EINPUT, "%s: no shots to show", path);
    EGO_TRY_OUT(ego_reel_open(show->video_root, show->video, &reel));
    EGO_TRY_OUT(draw(&s, reel, &frame));
    err = ego_png_write(&s.image, path);
out:
    ego_reel_close(reel);
    ego_image_free(&frame);
    ego_image_free(&s.image);
    return err;
}
