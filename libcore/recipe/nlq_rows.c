#include "recipe/nlq_rows.h"

#include "task/grounding.h"
#include "task/nlq_part.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TOGETHER = 32 }; /* questions of one clip whose features are held at a time */

/* ---- annotations ------------------------------------------------------------------------------------------ */

static void add_queries(const ego_nlq_rows_options *o, const ego_nlq *all, const ego_nlq_clip *clip,
                        ego_nlq_rows *rows) {
    ego_video_part part;
    double offset;
    ego_nlq_find_part(o->video_root, clip, &part, &offset);
    for (size_t i = clip->first; i < clip->first + clip->count; i++) {
        const ego_nlq_query *q = &all->queries[i];
        if (!q->text || !isfinite(q->start) || !isfinite(q->end)) {
            rows->untold++;
            continue;
        }
        rows->list[rows->count++] =
            (ego_nlq_row){.part = part,
                          .question = q->text,
                          .sample = {.start = q->start + offset - part.start,
                                     .end = q->end + offset - part.start,
                                     .duration = part.end - part.start}};
    }
}

ego_err ego_nlq_rows_list(const ego_nlq_rows_options *o, ego_nlq_rows *rows) {
    ego_nlq all;
    *rows = (ego_nlq_rows){.fast = o->fast};
    ego_arena_init(&rows->arena, 1 << 16);
    EGO_TRY(ego_nlq_read(o->annotations, &rows->arena, &all));
    rows->list = ego_arena_alloc(&rows->arena, (all.query_count + 1) * sizeof *rows->list);
    if (!rows->list)
        return ego_fail(EGO_ENOMEM, "out of memory for %zu questions", all.query_count);
    for (size_t i = 0; i < all.clip_count; i++) add_queries(o, &all, &all.clips[i], rows);
    return rows->count
               ? EGO_OK
               : ego_fail(EGO_EINPUT, "%s: no query has both a text and an answer", o->annotations);
}

/* ---- features --------------------------------------------------------------------------------------------- */

static ego_err open_reader(ego_ctx *cx, ego_model *model, const ego_nlq_rows_options *o,
                           const ego_progress *progress, ego_feature_reader **reader) {
    ego_feature_options options = {.video_root = o->video_root,
                                   .sampling = o->sampling,
                                   .max_tokens = EGO_GROUNDING_TOKENS,
                                   .store = o->store,
                                   .model_id = o->model_id,
                                   .progress = progress};
    return ego_features_open(cx, model, &options, reader);
}

static bool same_part(const ego_video_part *a, const ego_video_part *b) {
    return strcmp(a->video, b->video) == 0 && a->start == b->start && a->end == b->end;
}

/* How many rows from here on are about one part, TOGETHER at most. */
static size_t stretch(const ego_nlq_rows *rows, size_t first) {
    size_t n = 1;
    while (first + n < rows->count && n < TOGETHER &&
           same_part(&rows->list[first].part, &rows->list[first + n].part))
        n++;
    return n;
}

/* Makes what is missing of n rows of one part, and notes how many clips these are asked of. */
static ego_err make_features(ego_feature_reader *reader, ego_nlq_row *row, size_t n, bool fast) {
    const char *questions[TOGETHER] = {0};
    ego_clip_features f;
    for (size_t i = 0; i < n; i++) questions[i] = row[i].question;
    ego_err err = ego_grounding_features(reader, &row->part, questions, n, fast, &f);
    for (size_t i = 0; i < n && err == EGO_OK; i++) {
        ego_nlq_sample *s = &row[i].sample;
        double from = isfinite(row[i].part.start) ? f.grid.start - row[i].part.start : 0;
        s->start -= from;
        s->end -= from;
        s->duration = f.grid.end - f.grid.start;
        s->clips = f.texts[i].err == EGO_OK ? f.grid.count : 0;
    }
    ego_features_release(&f);
    return err;
}

static void tell_failure(const ego_nlq_rows_options *o, const ego_nlq_row *row, size_t n) {
    char text[640];
    if (!o->notice || !o->notice->say) return;
    snprintf(text, sizeof text, "%s: %zu of its questions are left out: %s", row->part.video, n,
             ego_err_message());
    o->notice->say(o->notice->context, text);
}

/* What stays is moved to the front. */
static ego_err make_all(ego_feature_reader *reader, const ego_nlq_rows_options *o,
                        ego_nlq_rows *rows) {
    size_t kept = 0;
    for (size_t i = 0, n; i < rows->count; i += n) {
        n = stretch(rows, i);
        ego_err err = make_features(reader, &rows->list[i], n, o->fast);
        if (err == EGO_ENOMEM || err == EGO_ECANCELLED) return err;
        if (err != EGO_OK) tell_failure(o, &rows->list[i], n);
        for (size_t k = i; k < i + n; k++) {
            if (err == EGO_OK && rows->list[k].sample.clips > 0)
                rows->list[kept++] = rows->list[k];
            else
                rows->failed++;
        }
    }
    rows->count = kept;
    return kept ? EGO_OK
                : ego_fail(EGO_EINPUT, "%s: of no query the video can be read", o->annotations);
}

ego_err ego_nlq_rows_read(ego_ctx *cx, ego_model *model, const ego_nlq_rows_options *o,
                          ego_nlq_rows *rows) {
    ego_feature_reader *maker;
    EGO_TRY(ego_nlq_rows_list(o, rows));
    EGO_TRY(open_reader(cx, model, o, o->progress, &maker));
    ego_err err = make_all(maker, o, rows);
    rows->work = ego_features_get_counts(maker);
    ego_features_close(maker);
    EGO_TRY(err);
    return open_reader(cx, model, o, NULL, &rows->reader); /* quiet: it reads what is there */
}

void ego_nlq_rows_release(ego_nlq_rows *rows) {
    ego_features_release(&rows->at_hand);
    ego_features_close(rows->reader);
    if (rows->arena.chunk_bytes) ego_arena_release(&rows->arena);
    *rows = (ego_nlq_rows){0};
}

/* ---- a source --------------------------------------------------------------------------------------------- */

static ego_nlq_sample sample(void *context, int64_t i) {
    return ((const ego_nlq_rows *)context)->list[i].sample;
}

static ego_err features(void *context, int64_t i, ego_nlq_features *out) {
    ego_nlq_rows *rows = context;
    const ego_nlq_row *row = &rows->list[i];
    ego_clip_features *f = &rows->at_hand;
    ego_features_release(f);
    EGO_TRY(ego_grounding_features(rows->reader, &row->part, &row->question, 1, rows->fast, f));
    if (f->texts[0].err != EGO_OK)
        return ego_fail(f->texts[0].err, "%s: %s", row->question, f->texts[0].message);
    const ego_tensor *video = rows->fast ? &f->dual : &f->texts[0].fused,
                     *words = &f->texts[0].words;
    *out = (ego_nlq_features){.video = ego_f32(video),
                              .words = ego_f32(words),
                              .clips = ego_tensor_rows(video),
                              .tokens = ego_tensor_rows(words)};
    return EGO_OK;
}

ego_nlq_source ego_nlq_rows_source(ego_nlq_rows *rows) {
    return (ego_nlq_source){rows, (int64_t)rows->count, sample, features};
}
