#include "data/rows_inside.h"

#include "media/augment.h"
#include "media/sample.h"
#include "text/colours.h"

#include <stdlib.h>
#include <string.h>

typedef ego__row_bench bench;

/* Pictures that a sample is made from; those at which[k] are its frames. */
typedef struct pictures {
    int width, height;
    uint8_t *rgb;
    const int *which;
} pictures;

void ego_row_sample_release(ego_row_sample *sample) {
    free(sample->made);
    ego_clip_free(sample->read);
    ego_tokens_release(&sample->encoded);
    free(sample->tags);
    *sample = (ego_row_sample){0};
}

/* ---- pixels ---------------------------------------------------------------------------------- */

static ego_err make_room(bench *b, size_t bytes) {
    if (bytes <= b->bytes) return EGO_OK;
    free(b->rgb);
    b->rgb = malloc(bytes);
    b->bytes = b->rgb ? bytes : 0;
    return b->rgb ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for cached frames");
}

/* The job's pictures from the cache; *found is false when it does not have them. A video that is
 * not to be found is no matter for the cache. */
static ego_err look_up(bench *b, ego__row_job *job, pictures *p, bool *found) {
    ego_rows *rows = b->rows;
    ego_cache_record record;
    int F = rows->options.frames;
    *found = false;
    job->has_key = ego__rows_key(rows, job->sample.row, &job->key) == EGO_OK;
    if (!job->has_key || !ego_cache_find(rows->cache, job->key, &record)) return EGO_OK;
    if (record.frames != (uint32_t)(F * rows->options.moments)) return EGO_OK;
    EGO_TRY(make_room(b, (size_t)F * 3 * record.width * record.height));
    *found = ego_cache_read(rows->cache, &record, b->moments, F, b->rgb);
    *p = (pictures){(int)record.width, (int)record.height, b->rgb, b->in_turn};
    if (*found) ego__rows_count(rows, &rows->counts.cached, 1);
    return EGO_OK;
}

static void recolor(uint8_t *rgb, size_t bytes, const int order[3]) {
    for (uint8_t *p = rgb; p < rgb + bytes; p += 3) {
        uint8_t was[3] = {p[0], p[1], p[2]};
        for (int c = 0; c < 3; c++) p[c] = was[order[c]];
    }
}

/* One box and one flip for all frames, and one order of the channels; NULL: as they are. */
static ego_err augment(bench *b, ego__row_job *job, const pictures *p, const int *order) {
    const ego_rows *rows = b->rows;
    size_t F = (size_t)rows->options.frames, floats = ego_prepared_floats(b->preparer);
    size_t bytes = (size_t)3 * (size_t)p->width * (size_t)p->height;
    ego_box box =
        ego_augment_box(p->width, p->height, ego__rows_draw(rows, job->stream, EGO__ROW_BOX));
    bool flip =
        rows->options.flip && ego_augment_flip(ego__rows_draw(rows, job->stream, EGO__ROW_FLIP));
    job->sample.made = malloc(F * floats * sizeof(float));
    if (!job->sample.made) return ego_fail(EGO_ENOMEM, "out of memory for a clip of %zu frames", F);
    for (size_t f = 0; f < F; f++) {
        ego_image image = {p->width, p->height, p->rgb + (size_t)p->which[f] * bytes};
        if (order) recolor(image.rgb, bytes, order); /* each picture is one frame's */
        EGO_TRY(ego_prepare_box(b->preparer, &image, box, flip, job->sample.made + f * floats));
    }
    job->sample.pixels = job->sample.made;
    return EGO_OK;
}

/* ---- text and tags --------------------------------------------------------------------------- */

static ego_err encode_text(ego_rows *rows, const char *text, ego_row_sample *sample) {
    const ego_rows_options *o = &rows->options;
    EGO_TRY(ego_bpe_encode(o->bpe, text, strlen(text), 0, &sample->encoded));
    if (o->max_tokens && sample->encoded.count > o->max_tokens) {
        EGO_TRY(ego_bpe_encode(o->bpe, text, strlen(text), o->max_tokens, &sample->encoded));
        ego__rows_count(rows, &rows->counts.cut, 1);
    }
    sample->tokens = sample->encoded.ids;
    sample->n_tokens = sample->encoded.count;
    return EGO_OK;
}

static ego_err encode(ego_rows *rows, bool recolored, ego_row_sample *sample) {
    const char *text = rows->table.clips[sample->row].text;
    if (!rows->options.bpe) return EGO_OK;
    if (!recolored) return encode_text(rows, text, sample);
    char *colourless = ego_colours_drop(text);
    if (!colourless) return ego_fail(EGO_ENOMEM, "out of memory for a narration");
    ego_err err = encode_text(rows, colourless, sample);
    free(colourless);
    return err;
}

static int by_id(const void *a, const void *b) {
    return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

static ego_tags sorted(const ego_tags *tags, uint16_t *room) {
    size_t n = 0;
    if (tags->count) memcpy(room, tags->ids, tags->count * sizeof *room);
    qsort(room, tags->count, sizeof *room, by_id);
    for (size_t i = 0; i < tags->count; i++)
        if (n == 0 || room[n - 1] != room[i]) room[n++] = room[i];
    return (ego_tags){room, n};
}

static ego_err copy_tags(const ego_rows *rows, ego_row_sample *sample) {
    const ego_narrated_clip *clip = &rows->table.clips[sample->row];
    sample->tags = malloc((clip->verbs.count + clip->nouns.count + 1) * sizeof *sample->tags);
    if (!sample->tags) return ego_fail(EGO_ENOMEM, "out of memory for tags");
    sample->verbs = sorted(&clip->verbs, sample->tags);
    sample->nouns = sorted(&clip->nouns, sample->tags + clip->verbs.count);
    return EGO_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* What the clip gives, and with it the row's text and tags. */
static ego_err finish(bench *b, ego__row_job *job, pictures *cached) {
    ego_rows *rows = b->rows;
    ego_clip *clip = job->sample.read;
    int order[3];
    bool recolored = rows->options.augment &&
                     ego_augment_channels(ego__rows_draw(rows, job->stream, EGO__ROW_COLOUR),
                                          rows->options.recolor, order);
    if (clip && clip->pixels) {
        job->sample.pixels = clip->pixels;
    } else {
        pictures read = {0};
        if (clip)
            read = (pictures){clip->width, clip->height, clip->pictures,
                              rows->cache ? b->moments : b->in_turn};
        EGO_TRY(augment(b, job, clip ? &read : cached, recolored ? order : NULL));
        ego_clip_free(clip);
        job->sample.read = NULL;
    }
    EGO_TRY(encode(rows, recolored, &job->sample));
    return copy_tags(rows, &job->sample);
}

ego_err ego__row_prepare(bench *b, ego__row_job *job, bool *missing) {
    const ego_rows *rows = b->rows;
    const ego_rows_options *o = &rows->options;
    pictures cached = {0};
    bool found = false;
    *missing = false;
    if (rows->cache)
        ego_sample_moments(o->frames, o->moments,
                           ego__rows_draw(rows, job->stream, EGO__ROW_MOMENT), b->moments);
    if (job->sample.read) return finish(b, job, &cached);
    if (rows->cache) EGO_TRY(look_up(b, job, &cached, &found));
    *missing = !found;
    return found ? finish(b, job, &cached) : EGO_OK;
}

ego_err ego__row_bench_init(ego_rows *rows, bench *b) {
    size_t F = (size_t)rows->options.frames;
    *b = (bench){.rows = rows};
    EGO_TRY(ego_preparer_new(rows->options.preparation, rows->options.size, &b->preparer));
    b->moments = calloc(2 * F, sizeof *b->moments);
    if (!b->moments) return ego_fail(EGO_ENOMEM, "out of memory for preparing frames");
    b->in_turn = b->moments + F;
    for (size_t f = 0; f < F; f++) b->in_turn[f] = (int)f;
    return EGO_OK;
}

void ego__row_bench_release(bench *b) {
    ego_preparer_free(b->preparer);
    free(b->moments);
    free(b->rgb);
    *b = (bench){0};
}
