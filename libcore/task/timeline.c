#include "task/timeline.h"

#include "data/record.h"
#include "media/picture.h"
#include "task/show.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pixels. */
enum {
    WIDTH = 1280,
    MARGIN = 16,
    STRIP = 10, /* frames along the video */
    PLOT_X = MARGIN,
    PLOT_WIDTH = 1030,
    SHOWN_X = PLOT_X + PLOT_WIDTH + MARGIN, /* the best answer's own frame */
    SHOWN_WIDTH = WIDTH - SHOWN_X - MARGIN,
    TEXT = 26, /* height of a line of text of scale 2 */
    LETTER = 12,
    CURVE = 64,
    LANES = 5, /* spans that are drawn */
    LANE = 12,
    BAR = 8,
    AXIS = 34,
    MAX_HEIGHT = 16000
};

static const ego_colour paper = {255, 255, 255}, ground = {243, 244, 246}, ink = {31, 36, 43},
                        faint = {120, 128, 140}, grid_line = {218, 222, 228},
                        curve_fill = {160, 184, 214}, curve_line = {52, 101, 164},
                        found_colour = {230, 110, 20}, truth = {60, 160, 80};

/* A part of the picture, as wide as all of it. */
typedef struct block {
    ego_image image;
    struct block *next;
} block;

struct ego_timeline {
    const char *root;
    block *first, *last;
    int height;
    char *video; /* of the part drawn last; NULL: none yet */
    double start, end;
    bool knows_truth; /* of a question about it */
};

ego_err ego_timeline_new(const char *root, ego_timeline **timeline) {
    ego_timeline *t = calloc(1, sizeof *t);
    if (!t) return ego_fail(EGO_ENOMEM, "out of memory");
    t->root = root;
    *timeline = t;
    return EGO_OK;
}

void ego_timeline_free(ego_timeline *t) {
    if (!t) return;
    for (block *b = t->first, *next; b; b = next) {
        next = b->next;
        ego_image_free(&b->image);
        free(b);
    }
    free(t->video);
    free(t);
}

/* One more block, blank; NULL in *image where the picture is full. */
static ego_err add_block(ego_timeline *t, int height, ego_image **image) {
    *image = NULL;
    if (t->height + height > MAX_HEIGHT) return EGO_OK;
    block *b = calloc(1, sizeof *b);
    if (!b) return ego_fail(EGO_ENOMEM, "out of memory for a picture");
    ego_err err = ego_image_new(WIDTH, height, &b->image);
    if (err != EGO_OK) {
        free(b);
        return err;
    }
    ego_draw_fill(&b->image, paper);
    if (t->last)
        t->last->next = b;
    else
        t->first = b;
    t->last = b;
    t->height += height;
    *image = &b->image;
    return EGO_OK;
}

/* ---- drawing --------------------------------------------------------------------------------- */

static void write(ego_image *image, int x, int y, int scale, const char *text, ego_colour colour) {
    ego_draw_text(image, x, y, scale, text, strlen(text), colour);
}

/* Mixes a colour into a box. */
static void tint(ego_image *image, int x, int y, int width, int height, ego_colour colour,
                 int percent) {
    const int with[3] = {colour.r, colour.g, colour.b};
    for (int row = y < 0 ? 0 : y; row < y + height && row < image->height; row++)
        for (int column = x < 0 ? 0 : x; column < x + width && column < image->width; column++) {
            uint8_t *p = image->rgb + 3 * ((size_t)row * (size_t)image->width + (size_t)column);
            for (int c = 0; c < 3; c++)
                p[c] = (uint8_t)((p[c] * (100 - percent) + with[c] * percent) / 100);
        }
}

/* "1:02:03.4", "2:03.4"; whole seconds without the tenths. */
static const char *clock_text(double seconds, bool tenths, char *text, size_t room) {
    double s = tenths ? rint(seconds * 10) / 10 : rint(seconds);
    long long whole = (long long)s, hours = whole / 3600, minutes = whole / 60 % 60,
              rest = whole % 60;
    int n = hours ? snprintf(text, room, "%lld:%02lld:%02lld", hours, minutes, rest)
                  : snprintf(text, room, "%lld:%02lld", minutes, rest);
    if (tenths && n > 0 && (size_t)n < room)
        snprintf(text + n, room - (size_t)n, ".%d", (int)lrint((s - (double)whole) * 10));
    return text;
}

static int x_of(const ego_timeline *t, double seconds) {
    double share = (seconds - t->start) / (t->end - t->start);
    share = share > 0 ? share < 1 ? share : 1 : 0;
    return PLOT_X + (int)lrint(share * PLOT_WIDTH);
}

/* A span's box: never thinner than can be seen. */
static void span_box(const ego_timeline *t, double start, double end, int *x, int *width) {
    *x = x_of(t, start);
    *width = x_of(t, end) - *x;
    if (*width < 3) *width = 3;
}

/* ---- a part of a video: its name and frames -------------------------------------------------- */

static void release_frames(ego_image *frames, int n) {
    for (int i = 0; i < n; i++) ego_image_free(&frames[i]);
}

static ego_err read_frames(const ego_timeline *t, const char *video, double start, double end,
                           int n, ego_image *frames) {
    ego_record record = {0};
    ego_err err = ego_record_window(video, start, end, &record);
    if (err == EGO_OK) err = ego_show_frames(t->root, &record, 0, n, frames);
    ego_record_release(&record);
    return err;
}

static int height_for(const ego_image *frame, int width, int most) {
    int height = (int)((int64_t)width * frame->height / frame->width);
    return height < 1 ? 1 : height < most ? height : most;
}

static ego_err draw_strip(ego_timeline *t, const char *video) {
    ego_image frames[STRIP] = {{0}}, *image;
    char from[32], to[32], name[160];
    const int cell = PLOT_WIDTH / STRIP;
    ego_err err = read_frames(t, video, t->start, t->end, STRIP, frames);
    int height = err == EGO_OK ? height_for(&frames[0], cell - 2, 2 * cell) : 0;
    if (err == EGO_OK) err = add_block(t, MARGIN + TEXT + height + 6, &image);
    if (err == EGO_OK && image) {
        snprintf(name, sizeof name, "%.70s", video);
        write(image, PLOT_X, MARGIN, 2, name, ink);
        snprintf(name, sizeof name, "%s - %s", clock_text(t->start, false, from, sizeof from),
                 clock_text(t->end, false, to, sizeof to));
        write(image, PLOT_X + PLOT_WIDTH - LETTER * (int)strlen(name), MARGIN, 2, name, faint);
        write(image, SHOWN_X, MARGIN, 2, "best answer", faint);
        for (int i = 0; i < STRIP; i++)
            ego_draw_image(image, PLOT_X + i * cell + 1, MARGIN + TEXT, cell - 2, height,
                           &frames[i]);
    }
    release_frames(frames, STRIP);
    return err;
}

/* Seconds between marks so that about ten fit. */
static double mark_every(double seconds) {
    static const double steps[] = {1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600};
    const size_t n = sizeof steps / sizeof *steps;
    for (size_t i = 0; i < n; i++)
        if (seconds / steps[i] <= 12) return steps[i];
    return 3600 * ceil(seconds / 3600 / 12);
}

/* What the colours mean, behind the axis. */
static void draw_legend(const ego_timeline *t, ego_image *image) {
    ego_draw_box(image, SHOWN_X, 14, 12, 12, found_colour);
    write(image, SHOWN_X + 18, 12, 2, "found", faint);
    if (!t->knows_truth) return;
    ego_draw_box(image, SHOWN_X + 96, 14, 12, 12, truth);
    write(image, SHOWN_X + 114, 12, 2, "true", faint);
}

static ego_err draw_axis(ego_timeline *t) {
    ego_image *image;
    char text[32];
    if (!t->video) return EGO_OK;
    EGO_TRY(add_block(t, AXIS, &image));
    if (!image) return EGO_OK;
    double every = mark_every(t->end - t->start);
    ego_draw_box(image, PLOT_X, 2, PLOT_WIDTH, 1, faint);
    for (double at = ceil(t->start / every) * every; at <= t->end; at += every) {
        int x = x_of(t, at);
        clock_text(at, false, text, sizeof text);
        int width = LETTER * (int)strlen(text), left = x - width / 2;
        if (left < 2) left = 2;
        ego_draw_box(image, x, 2, 1, 6, faint);
        if (left + width > SHOWN_X - 12) left = SHOWN_X - 12 - width;
        write(image, left, 12, 2, text, faint);
    }
    draw_legend(t, image);
    return EGO_OK;
}

static ego_err begin_part(ego_timeline *t, const ego_video_part *part,
                          const ego_grounding_item *answer) {
    EGO_TRY(draw_axis(t));
    free(t->video);
    t->start = answer->start;
    t->end = answer->end;
    t->knows_truth = false;
    if (!(t->video = strdup(part->video)))
        return ego_fail(EGO_ENOMEM, "out of memory for a picture");
    return draw_strip(t, part->video);
}

/* ---- a question ------------------------------------------------------------------------------ */

/* The curve's value at column x of the plot: linear between the middles of its parts. */
static double curve_at(const ego_grounding_item *a, int x) {
    double at = ((double)x + 0.5) / PLOT_WIDTH * (double)a->curve_count - 0.5;
    int64_t last = a->curve_count - 1, i = (int64_t)floor(at);
    if (i < 0) return (double)a->curve[0];
    if (i >= last) return (double)a->curve[last];
    double share = at - (double)i;
    return (double)a->curve[i] * (1 - share) + (double)a->curve[i + 1] * share;
}

static void draw_curve(ego_image *image, int top, const ego_grounding_item *a) {
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < a->curve_count; i++) {
        low = fmin(low, (double)a->curve[i]);
        high = fmax(high, (double)a->curve[i]);
    }
    if (!(high > low)) return; /* flat, or no numbers */
    int before = -1;
    for (int x = 0; x < PLOT_WIDTH; x++) {
        double share = (curve_at(a, x) - low) / (high - low);
        if (!(share >= 0)) continue; /* NaN */
        int y = top + CURVE - 4 - (int)lrint(share * (CURVE - 8)), from = before < 0 ? y : before;
        tint(image, PLOT_X + x, y, 1, top + CURVE - y, curve_fill, 60);
        int above = y < from ? y : from, below = y < from ? from : y;
        ego_draw_box(image, PLOT_X + x, above, 1, below - above + 2, curve_line);
        before = y;
    }
}

static void draw_spans(const ego_timeline *t, ego_image *image, int top,
                       const ego_grounding_item *a) {
    int x, width;
    char rank[8];
    for (size_t i = 0; i < a->found && i < LANES; i++) {
        int y = top + CURVE + 4 + (int)i * LANE;
        span_box(t, a->spans[i].start, a->spans[i].end, &x, &width);
        if (i == 0) tint(image, x, top, width, CURVE, found_colour, 35);
        tint(image, x, y, width, BAR, found_colour, i == 0 ? 100 : 65 - 10 * (int)i);
        snprintf(rank, sizeof rank, "%zu", i + 1);
        write(image, x + width + 4, y, 1, rank, faint);
    }
}

/* The true span: a band behind everything, and a line at its top. */
static void draw_truth(ego_timeline *t, ego_image *image, int top, const ego_timeline_row *row) {
    int x, width;
    if (isnan(row->true_start) || isnan(row->true_end)) return;
    t->knows_truth = true;
    span_box(t, row->true_start, row->true_end, &x, &width);
    tint(image, x, top, width, CURVE, truth, 30);
    ego_draw_box(image, x, top - 3, width, 3, truth);
}

/* The best answer's times and score, at the right end of the question's line. */
static int draw_best(ego_image *image, int top, const ego_grounding_item *a) {
    char text[96], from[32], to[32];
    if (!a->found) return PLOT_X + PLOT_WIDTH;
    snprintf(text, sizeof text, "%s - %s  %.3g",
             clock_text(a->spans[0].start, true, from, sizeof from),
             clock_text(a->spans[0].end, true, to, sizeof to), a->spans[0].score);
    int x = PLOT_X + PLOT_WIDTH - LETTER * (int)strlen(text);
    write(image, x, top, 2, text, found_colour);
    return x;
}

static ego_err draw_frame(const ego_timeline *t, ego_image *image, int height,
                          const ego_grounding_item *a) {
    ego_image frame = {0};
    if (!a->found) return EGO_OK;
    ego_err err = read_frames(t, t->video, a->spans[0].start, a->spans[0].end, 1, &frame);
    if (err == EGO_OK) {
        int most = height - 12, h = height_for(&frame, SHOWN_WIDTH, most);
        int width = (int)((int64_t)h * frame.width / frame.height);
        if (width > SHOWN_WIDTH) width = SHOWN_WIDTH;
        ego_draw_image(image, SHOWN_X, 6, width, h, &frame);
        ego_draw_frame(image, SHOWN_X, 6, width, h, found_colour);
    }
    ego_image_free(&frame);
    return err;
}

static ego_err draw_row(ego_timeline *t, const ego_timeline_row *row) {
    const ego_grounding_item *a = row->answer;
    const int top = 8 + TEXT, height = top + CURVE + 4 + LANES * LANE + 6;
    ego_image *image;
    EGO_TRY(add_block(t, height, &image));
    if (!image) return EGO_OK;
    int right = draw_best(image, 6, a);
    ego_draw_paragraph(image, PLOT_X, 6, right - PLOT_X - LETTER, TEXT, 2, row->text, ink);
    ego_draw_box(image, PLOT_X, top, PLOT_WIDTH, CURVE, ground);
    draw_truth(t, image, top, row);
    draw_curve(image, top, a);
    draw_spans(t, image, top, a);
    ego_draw_box(image, PLOT_X, top + CURVE, PLOT_WIDTH, 1, grid_line);
    return draw_frame(t, image, height, a);
}

ego_err ego_timeline_add(ego_timeline *t, const ego_video_part *part, const ego_timeline_row *row) {
    const ego_grounding_item *a = row->answer;
    bool same =
        t->video && strcmp(t->video, part->video) == 0 && t->start == a->start && t->end == a->end;
    if (!same) EGO_TRY(begin_part(t, part, a));
    return draw_row(t, row);
}

/* ---- the file -------------------------------------------------------------------------------- */

ego_err ego_timeline_write(ego_timeline *t, const char *path) {
    ego_image whole = {0};
    if (!t->first) return ego_fail(EGO_EINPUT, "%s: there is no answer to draw", path);
    EGO_TRY(draw_axis(t));
    EGO_TRY(ego_image_new(WIDTH, t->height, &whole));
    size_t at = 0;
    for (const block *b = t->first; b; b = b->next) {
        size_t bytes = (size_t)b->image.width * (size_t)b->image.height * 3;
        memcpy(whole.rgb + at, b->image.rgb, bytes);
        at += bytes;
    }
    ego_err err = ego_png_write(&whole, path);
    ego_image_free(&whole);
    return err;
}
