#include "task/clip_features.h"

#include "model/heads.h"
#include "task/embed.h"
#include "task/feature_store.h"
#include "task/halves.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ego_feature_reader {
    ego_ctx *cx;
    ego_model *model;
    ego_feature_options options;
    ego_buf config; /* the model's, as JSON */
    ego_clips *clips;
    ego_halves *halves; /* of the texts */
    ego_feature_counts counts;
    struct { /* features of the clips read last: the next question is often about the same video */
        char *video;
        double start, end;
        ego_clip_features of; /* projected, dual, and where the clips are */
    } last;
};

static const size_t MAX_LAST_BYTES = (size_t)256 << 20, TEXT_BYTES = (size_t)16 << 20;

enum {
    OF_CLIPS = EGO_FEATURES_PROJECTED | EGO_FEATURES_DUAL,
    OF_PAIRS = EGO_FEATURES_FUSED | EGO_FEATURES_MATCH,
    OF_TEXTS = EGO_FEATURES_SENTENCE | EGO_FEATURES_WORDS
};

unsigned ego_features_need(unsigned wanted) {
    unsigned needs = 0;
    if (wanted & OF_CLIPS) needs |= EGO_NEEDS_VIDEO;
    if (wanted & OF_TEXTS) needs |= EGO_NEEDS_TEXT;
    if (wanted & EGO_FEATURES_PROJECTED) needs |= EGO_NEEDS_VIDEO_PROJECTION;
    if (wanted & EGO_FEATURES_SENTENCE) needs |= EGO_NEEDS_TEXT_PROJECTION;
    if (wanted & OF_PAIRS) needs |= EGO_NEEDS_FUSED;
    if (wanted & EGO_FEATURES_MATCH) needs |= EGO_NEEDS_VTM;
    return needs;
}

ego_err ego_features_open(ego_ctx *cx, ego_model *model, const ego_feature_options *options,
                          ego_feature_reader **reader) {
    ego_feature_reader *r = calloc(1, sizeof *r);
    if (!r) return ego_fail(EGO_ENOMEM, "out of memory");
    *r = (ego_feature_reader){.cx = cx, .model = model, .options = *options};
    if (!r->options.batch) r->options.batch = ego_good_batch(model);
    size_t most = (size_t)model->config.max_positions - 2;
    if (!r->options.max_tokens || r->options.max_tokens > most) r->options.max_tokens = most;
    ego_clips_options o = {.video_root = options->video_root,
                           .sampling = ego_clip_grid_reader(options->sampling),
                           .preparation = EGO_PREPARE_STANDARD,
                           .frames = (int)model->config.frames,
                           .size = (int)model->config.image_size};
    ego_config_write(&model->config, &r->config);
    ego_err err = ego_buf_err(&r->config);
    if (err == EGO_OK) err = ego_clips_open(&o, &r->clips);
    ego_halves_options halves = {.max_tokens = options->max_tokens, .memory = TEXT_BYTES};
    if (err == EGO_OK) err = ego_halves_open(cx, model, EGO_HALF_LOWER, &halves, &r->halves);
    if (err == EGO_OK)
        *reader = r;
    else
        ego_features_close(r);
    return err;
}

static void forget_last(ego_feature_reader *r) {
    free(r->last.video);
    r->last.video = NULL;
    ego_features_release(&r->last.of);
}

void ego_features_close(ego_feature_reader *r) {
    if (!r) return;
    ego_clips_close(r->clips);
    ego_halves_close(r->halves);
    ego_buf_release(&r->config);
    forget_last(r);
    free(r);
}

void ego_features_release(ego_clip_features *f) {
    ego_clip_grid_release(&f->grid);
    if (f->arena.chunk_bytes) ego_arena_release(&f->arena);
    *f = (ego_clip_features){0};
}

ego_feature_counts ego_features_get_counts(ego_feature_reader *r) {
    r->counts.reading = ego_clips_get_counts(r->clips);
    return r->counts;
}

/* ---- one reading ----------------------------------------------------------------------------- */

/* A text on its way. */
typedef struct text_state {
    unsigned missing; /* EGO_FEATURES_… still to be computed */
    ego_half *half;   /* held; NULL: not needed */
} text_state;

typedef struct pass {
    ego_feature_reader *r;
    const ego_video_part *part;
    const char *const *texts;
    size_t n;
    unsigned missing; /* of the clips themselves */
    ego_clip_features *out;
    text_state *text; /* n */
} pass;

static ego_tensor *slot(pass *p, size_t i, unsigned what) {
    switch (what) {
    case EGO_FEATURES_PROJECTED: return &p->out->projected;
    case EGO_FEATURES_DUAL: return &p->out->dual;
    case EGO_FEATURES_FUSED: return &p->out->texts[i].fused;
    case EGO_FEATURES_MATCH: return &p->out->texts[i].match;
    case EGO_FEATURES_SENTENCE: return &p->out->texts[i].sentence;
    default: return &p->out->texts[i].words;
    }
}

static ego_feature_key key_of(const pass *p, size_t i, unsigned what) {
    const ego_feature_options *o = &p->r->options;
    const char *kind = what == EGO_FEATURES_PROJECTED  ? "projected"
                       : what == EGO_FEATURES_DUAL     ? "dual"
                       : what == EGO_FEATURES_FUSED    ? "fused"
                       : what == EGO_FEATURES_MATCH    ? "match"
                       : what == EGO_FEATURES_SENTENCE ? "sentence"
                                                       : "words";
    ego_feature_key key = {.kind = kind, .model = o->model_id, .config = p->r->config.data};
    if (!(what & OF_TEXTS)) {
        key.sampling = o->sampling == EGO_SAMPLING_TIME ? "time" : "reference";
        key.part = p->part;
    }
    if (!(what & OF_CLIPS)) {
        key.text = p->texts[i];
        key.max_tokens = (int64_t)o->max_tokens;
    }
    return key;
}

/* Takes one kind of features from the store, and its bit out of *missing if they were there. */
static ego_err load(pass *p, size_t i, unsigned what, unsigned *missing) {
    ego_tensor *t = slot(p, i, what);
    ego_clip_grid grid = {0};
    if (!(*missing & what) || !p->r->options.store) return EGO_OK;
    ego_feature_key key = key_of(p, i, what);
    bool video = !(what & OF_TEXTS);
    EGO_TRY(ego_features_load(p->r->options.store, &key, &p->out->arena, t, video ? &grid : NULL));
    if (!t->data) return EGO_OK;
    if (video) p->out->grid = grid;
    *missing &= ~what;
    p->r->counts.stored++;
    return EGO_OK;
}

static ego_err save(pass *p, size_t i, unsigned what, unsigned missing) {
    const ego_tensor *t = slot(p, i, what);
    if (!(missing & what) || !t->data || !p->r->options.store) return EGO_OK;
    ego_feature_key key = key_of(p, i, what);
    return ego_features_save(p->r->options.store, &key, t, what & OF_TEXTS ? NULL : &p->out->grid);
}

/* A tensor of the results with room for the given shape; a second dimension of 0: none. */
static ego_err make_room(pass *p, ego_tensor *t, int64_t rows, int64_t columns) {
    *t = (ego_tensor){.dtype = EGO_F32, .ndim = columns ? 2 : 1, .shape = {rows, columns}};
    size_t bytes;
    if (!ego_shape_bytes(t->shape, t->ndim, EGO_F32, &bytes) ||
        !(t->data = ego_arena_alloc(&p->out->arena, bytes)))
        return ego_fail(EGO_ENOMEM, "%s: out of memory for the features of %lld clips",
                        p->part->video, (long long)p->out->grid.count);
    return EGO_OK;
}

/* Copies the rows of x to row `first` of t. */
static void keep(ego_tensor *t, int64_t first, const ego_tensor *x) {
    size_t count = (size_t)ego_tensor_count(x);
    memcpy(ego_f32(t) + first * ego_tensor_columns(x), x->data, count * sizeof(float));
}

/* ---- texts ----------------------------------------------------------------------------------- */

static ego_err dual_tokens(pass *p, size_t i, const ego_tokens *tokens) {
    ego_ctx *cx = p->r->cx;
    ego_model *m = p->r->model;
    unsigned missing = p->text[i].missing;
    const int64_t offsets[2] = {0, (int64_t)tokens->count};
    ego_texts one = {tokens->ids, {1, offsets}};
    ego_input in = {.texts = one, .text = EGO_WANT_TOKENS};
    const ego_tensor *words = ego_encode(cx, m, &in, EGO_DUAL).text, *sentence = NULL;
    if (missing & EGO_FEATURES_SENTENCE) {
        const int64_t first = 0;
        sentence = ego_gather_rows(cx, words, &first, 1);
        sentence = ego_project_text(cx, &m->config, m->params, sentence);
        sentence = ego_l2_normalize(cx, sentence);
    }
    EGO_TRY(ego_ctx_err(cx));
    ego_text_features *f = &p->out->texts[i];
    if (sentence) {
        EGO_TRY(make_room(p, &f->sentence, ego_tensor_columns(sentence), 0));
        keep(&f->sentence, 0, sentence);
    }
    if (missing & EGO_FEATURES_WORDS) {
        EGO_TRY(make_room(p, &f->words, ego_tensor_rows(words), ego_tensor_columns(words)));
        keep(&f->words, 0, words);
    }
    return EGO_OK;
}

static ego_err dual_text(pass *p, size_t i) {
    const ego_model *m = p->r->model;
    const char *text = p->texts[i];
    ego_tokens tokens = {0};
    if (!m->bpe) return ego_fail(EGO_EINPUT, "the model has no vocabulary: give --tokenizer DIR");
    EGO_TRY(ego_bpe_encode(m->bpe, text, strlen(text), p->r->options.max_tokens, &tokens));
    ego_ctx_mark mark = ego_ctx_save(p->r->cx);
    ego_err err = ego_embed_check_tokens(m, tokens.ids, tokens.count);
    if (err == EGO_OK) err = dual_tokens(p, i, &tokens);
    ego_ctx_rewind(p->r->cx, &mark);
    ego_tokens_release(&tokens);
    return err;
}

static ego_err fused_text(pass *p, size_t i) {
    EGO_TRY(ego_halves_text(p->r->halves, p->texts[i], &p->text[i].half));
    return ego_half_err(p->text[i].half);
}

static ego_err encode_text(pass *p, size_t i) {
    if (p->text[i].missing & OF_TEXTS) EGO_TRY(dual_text(p, i));
    return p->text[i].missing & OF_PAIRS ? fused_text(p, i) : EGO_OK;
}

/* A text's own fault stays with it. */
static ego_err encode_texts(pass *p) {
    for (size_t i = 0; i < p->n; i++) {
        ego_text_features *f = &p->out->texts[i];
        ego_err err = encode_text(p, i);
        if (err == EGO_ENOMEM) return err;
        if (err == EGO_OK) continue;
        f->err = err;
        snprintf(f->message, sizeof f->message, "%s", ego_err_message());
        p->text[i].missing = 0;
    }
    return EGO_OK;
}

/* ---- clips ----------------------------------------------------------------------------------- */

static ego_err dual_clips(pass *p, const ego_tensor *clips, int64_t first) {
    ego_ctx *cx = p->r->cx;
    ego_model *m = p->r->model;
    ego_input in = {.clips = clips, .video = EGO_WANT_CLASS};
    const ego_tensor *state = ego_encode(cx, m, &in, EGO_DUAL).video, *projected = NULL;
    if (p->missing & EGO_FEATURES_PROJECTED)
        projected = ego_l2_normalize(cx, ego_project_video(cx, &m->config, m->params, state));
    EGO_TRY(ego_ctx_err(cx));
    if (projected) keep(&p->out->projected, first, projected);
    if (p->missing & EGO_FEATURES_DUAL) keep(&p->out->dual, first, state);
    return EGO_OK;
}

/* One text with n clips: the upper halves in one pass. */
static ego_err pair(pass *p, size_t i, const ego_tensor *video, int64_t first, int64_t n) {
    ego_ctx *cx = p->r->cx;
    const text_state *s = &p->text[i];
    ego_met met = ego_meet(cx, p->r->model, video, ego_lower_repeat(cx, &s->half->lower, n),
                           s->missing & EGO_FEATURES_MATCH);
    EGO_TRY(ego_ctx_err(cx));
    if (s->missing & EGO_FEATURES_FUSED) keep(&p->out->texts[i].fused, first, met.video);
    for (int64_t k = 0; met.match && k < n; k++)
        ego_f32(&p->out->texts[i].match)[first + k] = ego_f32(met.match)[2 * k + 1];
    p->r->counts.pairs += (uint64_t)n;
    return EGO_OK;
}

static ego_err fused_clips(pass *p, const ego_tensor *clips, int64_t first) {
    ego_ctx *cx = p->r->cx;
    const ego_tensor *video = NULL;
    for (size_t i = 0; i < p->n; i++) {
        if (!(p->text[i].missing & OF_PAIRS)) continue;
        if (!video) video = ego_fused_begin_video(cx, p->r->model, clips);
        ego_ctx_mark mark = ego_ctx_save(cx);
        ego_err err = pair(p, i, video, first, clips->shape[0]);
        ego_ctx_rewind(cx, &mark);
        EGO_TRY(err);
    }
    return EGO_OK;
}

static ego_err encode_clips(void *context, const ego_tensor *clips, int64_t first) {
    pass *p = context;
    ego_ctx_mark mark = ego_ctx_save(p->r->cx);
    ego_err err = p->missing ? dual_clips(p, clips, first) : EGO_OK;
    if (err == EGO_OK) err = fused_clips(p, clips, first);
    ego_ctx_rewind(p->r->cx, &mark);
    EGO_TRY(err);
    p->r->counts.clips += (uint64_t)clips->shape[0];
    uint64_t done = (uint64_t)(first + clips->shape[0]);
    if (!ego_progress_tell(p->r->options.progress, "clips", done, (uint64_t)p->out->grid.count))
        return ego_fail(EGO_ECANCELLED, "stopped");
    return EGO_OK;
}

static bool needs_video(const pass *p) {
    bool needs = p->missing;
    for (size_t i = 0; i < p->n; i++) needs |= (p->text[i].missing & OF_PAIRS) != 0;
    return needs;
}

static ego_err make_room_for_clips(pass *p) {
    const ego_config *c = &p->r->model->config;
    int64_t T = p->out->grid.count, D = c->dim, P = c->projection[c->projections - 1];
    if (p->missing & EGO_FEATURES_PROJECTED) EGO_TRY(make_room(p, &p->out->projected, T, P));
    if (p->missing & EGO_FEATURES_DUAL) EGO_TRY(make_room(p, &p->out->dual, T, D));
    for (size_t i = 0; i < p->n; i++) {
        ego_text_features *f = &p->out->texts[i];
        if (p->text[i].missing & EGO_FEATURES_FUSED) EGO_TRY(make_room(p, &f->fused, T, D));
        if (p->text[i].missing & EGO_FEATURES_MATCH) EGO_TRY(make_room(p, &f->match, T, 0));
    }
    return EGO_OK;
}

static ego_err check_clips(const pass *p, const ego_tensor *stored) {
    if (!stored->data || stored->shape[0] == p->out->grid.count) return EGO_OK;
    return ego_fail(
        EGO_EINPUT,
        "%s: the store %s has features of %lld clips, the video has %lld: it is another file "
        "now; delete what the store has",
        p->part->video, p->r->options.store, (long long)stored->shape[0],
        (long long)p->out->grid.count);
}

/* What came from the store must be of the video that is read for the rest. */
static ego_err check_stored(const pass *p) {
    EGO_TRY(check_clips(p, &p->out->projected));
    EGO_TRY(check_clips(p, &p->out->dual));
    for (size_t i = 0; i < p->n; i++) {
        EGO_TRY(check_clips(p, &p->out->texts[i].fused));
        EGO_TRY(check_clips(p, &p->out->texts[i].match));
    }
    return EGO_OK;
}

static ego_err read_video(pass *p) {
    ego_feature_reader *r = p->r;
    const ego_config *c = &r->model->config;
    if (!needs_video(p)) return EGO_OK;
    ego_clip_grid_release(&p->out->grid);
    EGO_TRY(ego_clip_grid_make(r->options.video_root, p->part, r->options.sampling, (int)c->frames,
                               &p->out->grid));
    EGO_TRY(check_stored(p));
    EGO_TRY(make_room_for_clips(p));
    r->counts.videos++;
    return ego_clip_grid_read(&p->out->grid, p->part->video, r->clips, (int)c->image_size,
                              r->options.batch, encode_clips, p);
}

/* ---- what was read last ---------------------------------------------------------------------- */

static bool same_number(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static bool is_last(const pass *p) {
    const ego_feature_reader *r = p->r;
    return r->last.video && strcmp(r->last.video, p->part->video) == 0 &&
           same_number(r->last.start, p->part->start) && same_number(r->last.end, p->part->end);
}

static ego_err copy_last(pass *p, unsigned what, const ego_tensor *from, ego_tensor *to) {
    if (!(p->missing & what) || !from->data) return EGO_OK;
    const ego_clip_grid *g = &p->r->last.of.grid;
    p->out->grid = (ego_clip_grid){g->start, g->end, g->step, g->frames, g->count, NULL};
    EGO_TRY(make_room(p, to, from->shape[0], from->shape[1]));
    keep(to, 0, from);
    p->missing &= ~what;
    return EGO_OK;
}

static ego_err load_last(pass *p) {
    if (!is_last(p)) return EGO_OK;
    EGO_TRY(copy_last(p, EGO_FEATURES_PROJECTED, &p->r->last.of.projected, &p->out->projected));
    return copy_last(p, EGO_FEATURES_DUAL, &p->r->last.of.dual, &p->out->dual);
}

static size_t bytes_of(const ego_tensor *t) {
    return t->data ? (size_t)ego_tensor_count(t) * sizeof(float) : 0;
}

static bool copy_to(ego_arena *arena, const ego_tensor *from, ego_tensor *to) {
    *to = *from;
    if (!from->data) return true;
    to->data = ego_arena_alloc(arena, bytes_of(from));
    if (to->data) memcpy(to->data, from->data, bytes_of(from));
    return to->data;
}

/* Not being able to is no failure. */
static void keep_last(pass *p) {
    ego_feature_reader *r = p->r;
    const ego_clip_features *f = p->out;
    size_t bytes = bytes_of(&f->projected) + bytes_of(&f->dual);
    if (is_last(p) || bytes == 0) return;
    forget_last(r);
    if (bytes > MAX_LAST_BYTES) return;
    ego_arena_init(&r->last.of.arena, 1 << 20);
    r->last.video = strdup(p->part->video);
    r->last.start = p->part->start;
    r->last.end = p->part->end;
    r->last.of.grid = f->grid;
    r->last.of.grid.at = NULL;
    if (!r->last.video || !copy_to(&r->last.of.arena, &f->projected, &r->last.of.projected) ||
        !copy_to(&r->last.of.arena, &f->dual, &r->last.of.dual))
        forget_last(r);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static const unsigned clip_kinds[] = {EGO_FEATURES_PROJECTED, EGO_FEATURES_DUAL};
static const unsigned text_kinds[] = {EGO_FEATURES_FUSED, EGO_FEATURES_MATCH, EGO_FEATURES_SENTENCE,
                                      EGO_FEATURES_WORDS};

static ego_err load_all(pass *p) {
    for (size_t k = 0; k < sizeof clip_kinds / sizeof *clip_kinds; k++)
        EGO_TRY(load(p, 0, clip_kinds[k], &p->missing));
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < sizeof text_kinds / sizeof *text_kinds; k++)
            EGO_TRY(load(p, i, text_kinds[k], &p->text[i].missing));
    return EGO_OK;
}

static ego_err save_all(pass *p) {
    for (size_t k = 0; k < sizeof clip_kinds / sizeof *clip_kinds; k++)
        EGO_TRY(save(p, 0, clip_kinds[k], p->missing));
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < sizeof text_kinds / sizeof *text_kinds; k++)
            EGO_TRY(save(p, i, text_kinds[k], p->text[i].missing));
    return EGO_OK;
}

/* Elements that are NULL, for n texts. */
static ego_err begin(pass *p, unsigned wanted) {
    ego_arena_init(&p->out->arena, 1 << 20);
    p->missing = wanted & OF_CLIPS;
    p->out->n = p->n;
    p->out->texts = ego_arena_alloc(&p->out->arena, (p->n + 1) * sizeof *p->out->texts);
    p->text = calloc(p->n + 1, sizeof *p->text);
    if (!p->out->texts || !p->text) return ego_fail(EGO_ENOMEM, "out of memory for features");
    memset(p->out->texts, 0, (p->n + 1) * sizeof *p->out->texts);
    for (size_t i = 0; i < p->n; i++) p->text[i].missing = wanted & (OF_PAIRS | OF_TEXTS);
    return EGO_OK;
}

ego_err ego_features_read(ego_feature_reader *reader, const ego_video_part *part,
                          const char *const *texts, size_t n, unsigned wanted,
                          ego_clip_features *features) {
    *features = (ego_clip_features){0};
    pass p = {.r = reader, .part = part, .texts = texts, .n = n, .out = features};
    ego_err err = begin(&p, wanted);
    if (err == EGO_OK) err = load_last(&p);
    if (err == EGO_OK) err = load_all(&p);
    if (err == EGO_OK) err = encode_texts(&p);
    if (err == EGO_OK) err = read_video(&p);
    if (err == EGO_OK) err = save_all(&p);
    if (err == EGO_OK) keep_last(&p);
    for (size_t i = 0; p.text && i < n; i++) ego_halves_drop(reader->halves, p.text[i].half);
    free(p.text);
    return err;
}
