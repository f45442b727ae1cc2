#include "model/attention.h"

#include "base/rng.h"

static ego_segments list(ego_ctx *cx, int64_t count, ego_segment **out) {
    *out = ego_ctx_alloc(cx, (size_t)count * sizeof **out);
    return (ego_segments){*out, *out ? count : 0};
}

ego_segments ego_segments_time(ego_ctx *cx, ego_clip_shape c) {
    int64_t T = ego_clip_tokens_each(c), N = c.patches;
    ego_segment *s;
    ego_segments all = list(cx, c.batch * (N + 1), &s);
    for (int64_t b = 0; s && b < c.batch; b++) {
        int64_t cls = b * T;
        *s++ = (ego_segment){cls, 1, 1, cls, 1, T, -1};
        for (int64_t n = 0; n < N; n++)
            *s++ = (ego_segment){cls + 1 + n, N, c.frames, cls + 1 + n, N, c.frames, cls};
    }
    return all;
}

ego_segments ego_segments_space(ego_ctx *cx, ego_clip_shape c) {
    int64_t T = ego_clip_tokens_each(c), N = c.patches;
    ego_segment *s;
    ego_segments all = list(cx, c.batch * (c.frames + 1), &s);
    for (int64_t b = 0; s && b < c.batch; b++) {
        int64_t cls = b * T;
        *s++ = (ego_segment){cls, 1, 1, cls, 1, T, -1};
        for (int64_t f = 0; f < c.frames; f++)
            *s++ = (ego_segment){cls + 1 + f * N, 1, N, cls + 1 + f * N, 1, N, cls};
    }
    return all;
}

ego_segments ego_segments_clip(ego_ctx *cx, ego_clip_shape c) {
    int64_t T = ego_clip_tokens_each(c);
    ego_segment *s;
    ego_segments all = list(cx, c.batch, &s);
    for (int64_t b = 0; s && b < c.batch; b++) *s++ = (ego_segment){b * T, 1, T, b * T, 1, T, -1};
    return all;
}

ego_segments ego_segments_class(ego_ctx *cx, ego_clip_shape c) {
    int64_t T = ego_clip_tokens_each(c);
    ego_segment *s;
    ego_segments all = list(cx, c.batch, &s);
    for (int64_t b = 0; s && b < c.batch; b++) *s++ = (ego_segment){b, 1, 1, b * T, 1, T, -1};
    return all;
}

/* Queries of group i: all its rows, or the one row its class token was gathered to. */
static ego_segment queries(int64_t i, int64_t from, int64_t to, bool class_only) {
    return class_only ? (ego_segment){.q0 = i, .q_step = 1, .nq = 1}
                      : (ego_segment){.q0 = from, .q_step = 1, .nq = to - from};
}

static ego_segment attend(ego_segment s, int64_t from, int64_t to) {
    s.k0 = from;
    s.k_step = 1;
    s.nk = to - from;
    s.extra = -1;
    return s;
}

ego_segments ego_segments_text(ego_ctx *cx, ego_text_shape t, bool class_only) {
    ego_segment *s;
    ego_segments all = list(cx, t.n, &s);
    for (int64_t i = 0; s && i < t.n; i++)
        s[i] = attend(queries(i, t.offsets[i], t.offsets[i + 1], class_only), t.offsets[i],
                      t.offsets[i + 1]);
    return all;
}

ego_segments ego_segments_text_to_video(ego_ctx *cx, ego_text_shape t, ego_clip_shape c,
                                        bool class_only) {
    int64_t T = ego_clip_tokens_each(c);
    ego_segment *s;
    ego_segments all = list(cx, t.n, &s);
    for (int64_t i = 0; s && i < t.n; i++)
        s[i] = attend(queries(i, t.offsets[i], t.offsets[i + 1], class_only), i * T, (i + 1) * T);
    return all;
}

ego_segments ego_segments_video_to_text(ego_ctx *cx, ego_text_shape t, ego_clip_shape c,
                                        bool class_only) {
    int64_t T = ego_clip_tokens_each(c);
    ego_segment *s;
    ego_segments all = list(cx, t.n, &s);
    for (int64_t i = 0; s && i < t.n; i++)
        s[i] = attend(queries(i, i * T, (i + 1) * T, class_only), t.offsets[i], t.offsets[i + 1]);
    return all;
}

ego_tensor *ego_class_tokens(ego_ctx *cx, const ego_tensor *x, ego_clip_shape c) {
    int64_t *rows = ego_ctx_alloc(cx, (size_t)c.batch * sizeof *rows);
    for (int64_t b = 0; rows && b < c.batch; b++) rows[b] = b * ego_clip_tokens_each(c);
    return ego_gather_rows(cx, x, rows, c.batch);
}

ego_tensor *ego_first_tokens(ego_ctx *cx, const ego_tensor *x, ego_text_shape t) {
    return ego_gather_rows(cx, x, t.offsets, t.n);
}

/* n groups of `each` rows. */
static ego_groups even_groups(ego_ctx *cx, int64_t n, int64_t each) {
    int64_t *first = ego_ctx_alloc(cx, (size_t)(n + 1) * sizeof *first);
    for (int64_t i = 0; first && i <= n; i++) first[i] = i * each;
    return (ego_groups){first, n};
}

ego_groups ego_groups_of_clips(ego_ctx *cx, ego_clip_shape c, bool class_only) {
    return even_groups(cx, c.batch, class_only ? 1 : ego_clip_tokens_each(c));
}

ego_groups ego_groups_of_texts(ego_ctx *cx, ego_text_shape t, bool class_only) {
    return class_only ? even_groups(cx, t.n, 1) : (ego_groups){t.offsets, t.n};
}

ego_dropout ego_text_dropout(ego_ctx *cx, ego_text_shape t, bool class_only, int64_t layer,
                             ego_text_place place) {
    ego_dropout none = {0};
    if (t.dropout <= 0 || !t.streams) return none;
    uint64_t *streams = ego_ctx_alloc(cx, (size_t)(class_only ? t.n : t.offsets[t.n]) * sizeof *streams);
    if (!streams) return none;
    for (int64_t i = 0, row = 0; i < t.n; i++) {
        int64_t rows = class_only ? 1 : t.offsets[i + 1] - t.offsets[i];
        for (int64_t r = 0; r < rows; r++) streams[row++] = ego_rng_stream(t.streams[i], (uint64_t)r);
    }
    return (ego_dropout){t.dropout, streams, (uint64_t)(layer * EGO_PLACES + place)};
}
