#include "task/gallery.h"

#include "base/file.h"
#include "task/show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_HEIGHT = 112, USUAL_FRAMES = 4, LONGEST_NAME = 80 };

/* "kitchen.mp4#t=2,6": what an id says without its quotes. */
static const char *plain_id(const ego_record *record) {
    const char *id;
    return ego_json_string(ego_json_get(record->json, "id"), &id) ? id : record->id;
}

static ego_err add_row(ego_gallery *g, const ego_record *asked, const ego_record *target, size_t rank,
                       double score) {
    if (g->n_rows == EGO_GALLERY_ROWS) return EGO_OK;
    int n = g->frames ? g->frames : USUAL_FRAMES;
    ego_image *frames = calloc(EGO_SHOW_MAX_FRAMES, sizeof *frames);
    ego_buf label = {0};
    ego_buf_printf(&label, "%s\n%zu. %.4f\n%s", asked->text ? asked->text : plain_id(asked), rank,
                   score, plain_id(target));
    if (target->text) ego_buf_printf(&label, "\n%s", target->text);
    if (!frames || label.failed) {
        free(frames);
        ego_buf_release(&label);
        return ego_fail(EGO_ENOMEM, "out of memory");
    }
    if (n > EGO_SHOW_MAX_FRAMES) n = EGO_SHOW_MAX_FRAMES;
    g->rows[g->n_rows++] = (ego_sheet_row){label.data, frames, (size_t)n};
    return ego_show_frames(g->video_root, target, ROW_HEIGHT, n, frames);
}

static ego_err save_clip(const ego_gallery *g, uint64_t query, const ego_record *target, size_t rank) {
    static const char file_letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    ego_buf path = {0};
    ego_buf_printf(&path, "%s/%04" PRIu64 "-%02zu-", g->folder, query, rank);
    const char *id = ego_basename(plain_id(target));
    for (size_t i = 0; id[i] && i < LONGEST_NAME; i++) {
        bool kept = (unsigned char)id[i] >= 0x80 || strchr(file_letters, id[i]);
        ego_buf_char(&path, kept ? id[i] : '_');
    }
    ego_buf_text(&path, ".mp4");
    ego_err err = ego_buf_err(&path);
    if (err == EGO_OK) err = ego_show_save(g->video_root, target, path.data);
    ego_buf_release(&path);
    return err;
}

ego_err ego_gallery_add(ego_gallery *g, uint64_t query, const ego_record *asked,
                        const ego_record *target, size_t rank, double score) {
    if (g->rows_wanted) EGO_TRY(add_row(g, asked, target, rank, score));
    return g->folder ? save_clip(g, query, target, rank) : EGO_OK;
}

ego_err ego_gallery_write(const ego_gallery *g, const char *path) {
    ego_image sheet = {0};
    if (!g->n_rows) return EGO_OK;
    ego_err err = ego_sheet(g->rows, g->n_rows, ROW_HEIGHT, &sheet);
    if (err == EGO_OK) err = ego_png_write(&sheet, path);
    ego_image_free(&sheet);
    return err;
}

void ego_gallery_release(ego_gallery *g) {
    for (size_t i = 0; i < g->n_rows; i++) {
        ego_image *frames = (ego_image *)(uintptr_t)g->rows[i].frames;
        for (size_t f = 0; f < g->rows[i].frame_count; f++) ego_image_free(&frames[f]);
        free(frames);
        free((char *)(uintptr_t)g->rows[i].label);
    }
    g->n_rows = 0;
}
