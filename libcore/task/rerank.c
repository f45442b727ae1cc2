#include "task/rerank.h"

#include "task/embed.h"
#include "task/halves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PAIRS = 64, WORDS = EGO_RECORD_TEXT | EGO_RECORD_TOKENS };

struct ego_reranker {
    ego_ctx *cx;
    ego_model *model;
    ego_source *source;
};

ego_err ego_rerank_open(ego_ctx *cx, ego_model *model, const ego_rerank_options *options,
                        ego_reranker **reranker) {
    ego_reranker *r = calloc(1, sizeof *r);
    if (!r) return ego_fail(EGO_ENOMEM, "out of memory");
    *r = (ego_reranker){.cx = cx, .model = model};
    ego_source_options o = {.clips = {.video_root = options->video_root,
                                      .sampling = options->sampling,
                                      .preparation = EGO_PREPARE_STANDARD,
                                      .frames = (int)model->config.frames,
                                      .size = (int)model->config.image_size},
                            .bpe = model->bpe,
                            .max_tokens = (size_t)(model->config.max_positions - 2)};
    ego_err err = ego_source_open(&o, &r->source);
    if (err != EGO_OK)
        free(r);
    else
        *reranker = r;
    return err;
}

void ego_rerank_close(ego_reranker *r) {
    if (!r) return;
    ego_source_close(r->source);
    free(r);
}

/* ---- halves of pairs ----------------------------------------------------------------------------- */

/* The lower halves of n clips or n narrations, as ego_lower has them; of clips without offsets. */
static ego_lower begin_clips(ego_reranker *r, const ego_sample *const *samples, int64_t n) {
    int64_t F = r->model->config.frames, S = r->model->config.image_size;
    ego_tensor *clips = EGO_TENSOR(r->cx, n, F, 3, S, S);
    size_t each = (size_t)(F * 3 * S * S);
    for (int64_t i = 0; clips && i < n; i++)
        memcpy(ego_f32(clips) + (size_t)i * each, samples[i]->clip, each * sizeof(float));
    return (ego_lower){clips ? ego_fused_begin_video(r->cx, r->model, clips) : NULL, {.n = n}};
}

static ego_lower begin_texts(ego_reranker *r, const ego_sample *const *samples, int64_t n) {
    int64_t rows = 0;
    for (int64_t i = 0; i < n; i++) rows += (int64_t)samples[i]->n_tokens;
    int64_t *ids = ego_ctx_alloc(r->cx, (size_t)rows * sizeof *ids);
    int64_t *offsets = ego_ctx_alloc(r->cx, (size_t)(n + 1) * sizeof *offsets);
    if (!ids || !offsets) return (ego_lower){0};
    offsets[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        memcpy(ids + offsets[i], samples[i]->tokens, samples[i]->n_tokens * sizeof *ids);
        offsets[i + 1] = offsets[i] + (int64_t)samples[i]->n_tokens;
    }
    ego_text_shape shape = {n, offsets};
    return (ego_lower){ego_fused_begin_text(r->cx, r->model, (ego_texts){ids, shape}), shape};
}

/* P(match) of n pairs. */
static ego_err finish(ego_reranker *r, ego_lower clips, ego_lower texts, int64_t n, double *vtm) {
    ego_met met = ego_meet(r->cx, r->model, clips.rows, texts, true);
    EGO_TRY(ego_ctx_err(r->cx));
    for (int64_t i = 0; i < n; i++) vtm[i] = (double)ego_f32(met.match)[2 * i + 1];
    return EGO_OK;
}

/* ---- reading ------------------------------------------------------------------------------------- */

/* A record of its own with nothing but the members in `which`. */
static ego_err push(ego_reranker *r, const ego_record *from, unsigned which) {
    static const ego_record_rules none;
    ego_buf line = {0};
    ego_record copy;
    ego_buf_text(&line, "{\"id\":0");
    ego_record_carry(from, which, &line);
    ego_buf_char(&line, '}');
    ego_err err = ego_buf_err(&line);
    if (err == EGO_OK) {
        err = ego_record_parse(line.data, line.len, "pair", 1, 1, &none, &copy);
        err = err == EGO_OK ? ego_source_push(r->source, &copy)
                            : ego_source_push_failed(r->source, &copy, err);
    }
    ego_buf_release(&line);
    return err;
}

/* Reading has its own errors, in sample->err; a sample without the part it was read for has one, too. */
static ego_err take(ego_reranker *r, unsigned which, ego_sample *sample) {
    EGO_TRY(ego_source_next(r->source, sample));
    if (sample->err != EGO_OK) return EGO_OK;
    if (which == WORDS && sample->tokens)
        sample->err = ego_embed_check_tokens(r->model, sample->tokens, sample->n_tokens);
    else if (which == WORDS ? !sample->tokens : !sample->clip)
        sample->err = EGO_EINPUT;
    return EGO_OK;
}

/* Empties the source after a failure, so that the next query finds it in order. */
static void drain(ego_reranker *r) {
    ego_sample sample;
    while (ego_source_outstanding(r->source) && ego_source_next(r->source, &sample) == EGO_OK)
        ego_sample_release(&sample);
}

static ego_err read_query(ego_reranker *r, const ego_record *query, unsigned which,
                          ego_sample *sample) {
    EGO_TRY(push(r, query, which));
    EGO_TRY(ego_source_flush(r->source));
    EGO_TRY(take(r, which, sample));
    if (sample->err == EGO_OK) return EGO_OK;
    ego_err err =
        ego_fail(EGO_EINPUT, "%s", sample->message ? sample->message : "cannot be paired");
    ego_sample_release(sample);
    return err;
}

/* ---- pairs --------------------------------------------------------------------------------------- */

typedef struct pairs {
    ego_reranker *r;
    const ego_record *const *targets;
    size_t n, pushed, taken;
    unsigned which; /* members that the targets are read for */
    ego_lower query;
    double *vtm;
} pairs;

static ego_err fill(pairs *p) {
    while (p->pushed < p->n && ego_source_room(p->r->source))
        EGO_TRY(push(p->r, p->targets[p->pushed++], p->which));
    return ego_source_flush(p->r->source);
}

static ego_err compute(pairs *p, const ego_sample *const *good, int64_t n, double *vtm) {
    ego_ctx_mark mark = ego_ctx_save(p->r->cx);
    ego_lower query = ego_lower_repeat(p->r->cx, p->query.rows, n);
    bool words = p->which == WORDS;
    ego_lower target = words ? begin_texts(p->r, good, n) : begin_clips(p->r, good, n);
    ego_err err = finish(p->r, words ? query : target, words ? target : query, n, vtm);
    ego_ctx_rewind(p->r->cx, &mark);
    return err;
}

/* One batch of targets: those that could be read are computed together. */
static ego_err run_batch(pairs *p, size_t most) {
    ego_sample samples[MAX_PAIRS];
    const ego_sample *good[MAX_PAIRS];
    size_t where[MAX_PAIRS], n = 0, n_good = 0;
    double vtm[MAX_PAIRS];
    ego_err err = fill(p);
    for (; err == EGO_OK && n < most && p->taken < p->n; n++, p->taken++) {
        err = take(p->r, p->which, &samples[n]);
        if (err != EGO_OK) break;
        p->vtm[p->taken] = NAN;
        if (samples[n].err != EGO_OK) continue;
        where[n_good] = p->taken;
        good[n_good++] = &samples[n];
        if (!ego_source_outstanding(p->r->source)) err = fill(p);
    }
    if (err == EGO_OK) err = fill(p); /* reading goes on meanwhile */
    if (err == EGO_OK && n_good) err = compute(p, good, (int64_t)n_good, vtm);
    for (size_t i = 0; err == EGO_OK && i < n_good; i++) p->vtm[where[i]] = vtm[i];
    for (size_t i = 0; i < n; i++) ego_sample_release(&samples[i]);
    return err;
}

static ego_err run_all(pairs *p) {
    int64_t batch = ego_good_batch(p->r->model);
    ego_err err = EGO_OK;
    while (err == EGO_OK && p->taken < p->n)
        err = run_batch(p, batch > MAX_PAIRS ? MAX_PAIRS : (size_t)batch);
    return err;
}

ego_err ego_rerank(ego_reranker *r, const ego_record *query, const ego_record *const *targets,
                   size_t n, double *vtm) {
    if (n == 0) return EGO_OK;
    bool query_words = query->has & WORDS;
    for (size_t i = 0; i < n && !query_words; i++)
        if (!(targets[i]->has & WORDS))
            return ego_fail(EGO_EINPUT,
                            "re-ranking pairs clips with words: expected a query with \"text\" "
                            "or targets with it, found neither");
    pairs p = {.r = r,
               .targets = targets,
               .n = n,
               .vtm = vtm,
               .which = query_words ? EGO_RECORD_CLIP : WORDS};
    ego_sample sample;
    EGO_TRY(read_query(r, query, query_words ? WORDS : EGO_RECORD_CLIP, &sample));
    const ego_sample *one = &sample;
    ego_ctx_mark mark = ego_ctx_save(r->cx);
    p.query = query_words ? begin_texts(r, &one, 1) : begin_clips(r, &one, 1);
    ego_err err = ego_ctx_err(r->cx);
    if (err == EGO_OK) err = run_all(&p);
    ego_ctx_rewind(r->cx, &mark);
    ego_sample_release(&sample);
    drain(r);
    return err;
}
