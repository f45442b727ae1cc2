#include "recipe/step.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a sample's stream is asked for. */
enum { DRAW_DUAL, DRAW_MASK, DRAW_MASKED, DRAW_PAIRED, DRAW_LISTED };

/* All samples of the step, by number; the same on every rank. */
typedef struct everything {
    float *text, *video, *dtext, *dvideo; /* (N, P) */
    float *sim;                           /* (N, N) */
    uint8_t *positive;                    /* (N, N) */
    ego_tag_bits *tags;
    float *fits;
    uint64_t *streams;
    int64_t *pair_text, *pair_video, *pair_label; /* `each` of a sample, one sample's after the other's */
    double *weight;
    const int64_t **tokens; /* each narration's ids, in `ids` */
    int64_t *n_tokens;
    int64_t *ids;
    size_t ids_cap;
} everything;

struct ego_step {
    ego_model *model;
    ego_step_options o;
    ego_ctx cx;
    ego_tape *tape;
    ego_arena arena; /* everything */
    everything all;
    void *sent, *received; /* ragged exchanges */
    size_t sent_cap, received_cap;
    int64_t portion, local, global, width, clip; /* samples of a portion, rank, step; P; floats of a clip */
    int64_t each; /* pairs that a sample is asked */
    int ranks, rank;
};

static ego_err no_memory(void) { return ego_fail(EGO_ENOMEM, "out of memory for a training step"); }

int64_t ego_step_local(const ego_step *s) { return s->local; }
int64_t ego_step_global(const ego_step *s) { return s->global; }
void ego_step_set_hard(ego_step *s, bool hard) { s->o.objectives.negatives.hard = hard; }
size_t ego_step_peak(const ego_step *s) { return s->cx.arena[0].peak + s->cx.arena[1].peak; }

/* Sample i of rank r. */
static int64_t number_of(const ego_step *s, int rank, int64_t i) {
    int64_t rows = s->o.rows, of_rank = rows * s->o.accumulate;
    int64_t portion = i / s->portion, j = i % s->portion;
    int64_t base = rank * of_rank + portion * rows + j % rows;
    return j / rows * (s->ranks * of_rank) + base;
}
int64_t ego_step_number(const ego_step *s, int64_t i) { return number_of(s, s->rank, i); }

/* The rank that has sample g, and where among its own. */
static int owner_of(const ego_step *s, int64_t g, int64_t *i) {
    int64_t rows = s->o.rows, of_rank = rows * s->o.accumulate, bases = s->ranks * of_rank;
    int64_t base = g % bases, mine = base % of_rank;
    *i = mine / rows * s->portion + g / bases * rows + mine % rows;
    return (int)(base / of_rank);
}

static bool room_for_all(ego_step *s) {
    everything *a = &s->all;
    size_t n = (size_t)s->global, wide = n * (size_t)s->width, pairs = n * (size_t)s->each;
    struct {
        void **where;
        size_t bytes;
    } parts[] = {{(void **)&a->text, wide * sizeof(float)},     {(void **)&a->video, wide * sizeof(float)},
                 {(void **)&a->dtext, wide * sizeof(float)},    {(void **)&a->dvideo, wide * sizeof(float)},
                 {(void **)&a->sim, n * n * sizeof(float)},     {(void **)&a->positive, n * n},
                 {(void **)&a->tags, n * sizeof *a->tags},      {(void **)&a->streams, n * sizeof *a->streams},
                 {(void **)&a->fits, n * sizeof *a->fits},
                 {(void **)&a->pair_text, pairs * sizeof(int64_t)}, {(void **)&a->pair_video, pairs * sizeof(int64_t)},
                 {(void **)&a->pair_label, pairs * sizeof(int64_t)}, {(void **)&a->weight, n * sizeof(double)},
                 {(void **)&a->tokens, n * sizeof *a->tokens},  {(void **)&a->n_tokens, n * sizeof(int64_t)}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!(*parts[i].where = ego_arena_alloc(&s->arena, parts[i].bytes))) return false;
    return true;
}

ego_err ego_step_new(ego_model *model, ego_backend *backend, const ego_step_options *options, ego_step **out) {
    const ego_config *c = &model->config;
    if (c->fusion == EGO_FUSION_NONE && options->objectives.vtm != 0)
        return ego_fail(EGO_EINPUT, "objectives.vtm: a model without fusion cannot be trained to match");
    ego_step *s = calloc(1, sizeof *s);
    if (!s) return no_memory();
    s->model = model;
    s->o = *options;
    s->ranks = ego_dist_size(options->dist);
    s->rank = ego_dist_rank(options->dist);
    s->portion = options->rows * (1 + options->partners);
    s->local = s->portion * options->accumulate;
    s->global = s->local * s->ranks;
    s->each = options->objectives.choices + 1;
    s->o.objectives.negatives.groups = s->global / (1 + options->partners);
    s->width = c->projection[c->projections - 1];
    s->clip = c->frames * 3 * c->image_size * c->image_size;
    ego_ctx_init(&s->cx, backend);
    ego_arena_init(&s->arena, 1 << 16);
    ego_err err;
    EGO_TRY_OUT(ego_tape_new(options->checkpoint_layers, &s->tape));
    if (!room_for_all(s)) EGO_TRY_OUT(no_memory());
    *out = s;
    return EGO_OK;
out:
    ego_step_free(s);
    return err;
}

void ego_step_free(ego_step *s) {
    if (!s) return;
    ego_tape_free(s->tape);
    ego_ctx_release(&s->cx);
    ego_arena_release(&s->arena);
    free(s->all.ids);
    free(s->sent);
    free(s->received);
    free(s);
}

static ego_err grow(void **memory, size_t *cap, size_t bytes) {
    if (bytes <= *cap) return EGO_OK;
    void *more = realloc(*memory, bytes);
    if (!more) return no_memory();
    *memory = more;
    *cap = bytes;
    return EGO_OK;
}

/* ---- what all ranks must know ------------------------------------------------------------------------ */

/* `bytes` of each of this rank's samples, in its order; to `all` by number. */
static ego_err gather(ego_step *s, const void *mine, size_t bytes, void *all) {
    EGO_TRY(grow(&s->received, &s->received_cap, (size_t)s->global * bytes));
    EGO_TRY(ego_dist_gather(s->o.dist, mine, (size_t)s->local * bytes, s->received));
    for (int r = 0; r < s->ranks; r++)
        for (int64_t i = 0; i < s->local; i++)
            memcpy((char *)all + (size_t)number_of(s, r, i) * bytes,
                   (char *)s->received + (size_t)(r * s->local + i) * bytes, bytes);
    return EGO_OK;
}

/* Tags, fits, streams and tokens. */
static ego_err gather_samples(ego_step *s, const ego_step_sample *samples) {
    everything *a = &s->all;
    size_t mine = 0, total = 0, sizes[1 << 10];
    if (s->ranks > 1 << 10) return ego_fail(EGO_EUNSUPPORTED, "more than 1024 ranks");
    ego_tag_bits *tags = ego_ctx_alloc(&s->cx, (size_t)s->local * sizeof *tags);
    float *fits = ego_ctx_alloc(&s->cx, (size_t)s->local * sizeof *fits);
    uint64_t *streams = ego_ctx_alloc(&s->cx, (size_t)s->local * sizeof *streams);
    int64_t *lengths = ego_ctx_alloc(&s->cx, (size_t)s->local * sizeof *lengths);
    for (int64_t i = 0; i < s->local; i++) mine += (size_t)samples[i].n_tokens;
    int64_t *ids = ego_ctx_alloc(&s->cx, mine * sizeof *ids);
    EGO_TRY(ego_ctx_err(&s->cx));
    for (int64_t i = 0, at = 0; i < s->local; at += samples[i++].n_tokens) {
        tags[i] = samples[i].tags;
        fits[i] = samples[i].fit;
        streams[i] = samples[i].stream;
        lengths[i] = samples[i].n_tokens;
        memcpy(ids + at, samples[i].tokens, (size_t)samples[i].n_tokens * sizeof *ids);
    }
    EGO_TRY(gather(s, tags, sizeof *tags, a->tags));
    EGO_TRY(gather(s, fits, sizeof *fits, a->fits));
    EGO_TRY(gather(s, streams, sizeof *streams, a->streams));
    EGO_TRY(gather(s, lengths, sizeof *lengths, a->n_tokens));
    EGO_TRY(ego_dist_gather_sizes(s->o.dist, mine * sizeof *ids, sizes));
    for (int r = 0; r < s->ranks; r++) total += sizes[r];
    EGO_TRY(grow((void **)&a->ids, &a->ids_cap, total));
    EGO_TRY(ego_dist_gather_ragged(s->o.dist, ids, sizes, a->ids));
    const int64_t *at = a->ids;
    for (int r = 0; r < s->ranks; r++)
        for (int64_t i = 0; i < s->local; i++) {
            int64_t g = number_of(s, r, i);
            a->tokens[g] = at;
            at += a->n_tokens[g];
        }
    return EGO_OK;
}

/* ---- lists of narrations and clips ------------------------------------------------------------------- */

/* Narrations text[0 … n): their ids one after the other. stream_of[i] is the sample that dropout draws for. */
static ego_texts texts_of(ego_step *s, const int64_t *text, const int64_t *stream_of, int64_t n, int purpose) {
    const everything *a = &s->all;
    int64_t rows = 0, *offsets = ego_ctx_alloc(&s->cx, (size_t)(n + 1) * sizeof *offsets);
    uint64_t *streams = ego_ctx_alloc(&s->cx, (size_t)n * sizeof *streams);
    for (int64_t i = 0; i < n; i++) rows += a->n_tokens[text[i]];
    int64_t *ids = ego_ctx_alloc(&s->cx, (size_t)rows * sizeof *ids);
    if (s->cx.err != EGO_OK) return (ego_texts){0};
    offsets[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t length = a->n_tokens[text[i]];
        memcpy(ids + offsets[i], a->tokens[text[i]], (size_t)length * sizeof *ids);
        offsets[i + 1] = offsets[i] + length;
        streams[i] = ego_rng_stream(a->streams[stream_of[i]], (uint64_t)purpose);
    }
    return (ego_texts){ids, {n, offsets, s->o.objectives.dropout, streams}};
}

static ego_tensor *clips_of(ego_step *s, const float *const *pixels, int64_t n) {
    const ego_config *c = &s->model->config;
    ego_tensor *clips = EGO_TENSOR(&s->cx, n, c->frames, 3, c->image_size, c->image_size);
    for (int64_t i = 0; clips && i < n; i++)
        memcpy(ego_f32(clips) + i * s->clip, pixels[i], (size_t)s->clip * sizeof(float));
    return clips;
}

/* The numbers of a portion's samples, in its order. */
static int64_t *portion_numbers(ego_step *s, int64_t portion) {
    int64_t *numbers = ego_ctx_alloc(&s->cx, (size_t)s->portion * sizeof *numbers);
    for (int64_t i = 0; numbers && i < s->portion; i++)
        numbers[i] = ego_step_number(s, portion * s->portion + i);
    return numbers;
}

/* ---- the dual path ------------------------------------------------------------------------------------ */

static ego_embeddings embed(ego_step *s, const ego_step_sample *samples, int64_t portion) {
    ego_ctx *cx = &s->cx;
    const int64_t *numbers = portion_numbers(s, portion);
    const float **pixels = ego_ctx_alloc(cx, (size_t)s->portion * sizeof *pixels);
    if (!numbers || !pixels) return (ego_embeddings){0};
    for (int64_t i = 0; i < s->portion; i++) pixels[i] = samples[portion * s->portion + i].pixels;
    ego_samples in = {clips_of(s, pixels, s->portion), texts_of(s, numbers, numbers, s->portion, DRAW_DUAL)};
    if (cx->err != EGO_OK) return (ego_embeddings){0};
    return ego_dual_embeddings(cx, s->model, &in);
}

/* The gradient of the global loss to this portion's embeddings, and from there to the parameters. */
static void embed_back(ego_step *s, ego_embeddings e, int64_t portion) {
    size_t row = (size_t)s->width * sizeof(float);
    float *dtext = ego_ctx_alloc(&s->cx, (size_t)s->portion * row);
    float *dvideo = ego_ctx_alloc(&s->cx, (size_t)s->portion * row);
    for (int64_t i = 0; dtext && dvideo && i < s->portion; i++) {
        int64_t g = ego_step_number(s, portion * s->portion + i);
        memcpy(dtext + i * s->width, s->all.dtext + g * s->width, row);
        memcpy(dvideo + i * s->width, s->all.dvideo + g * s->width, row);
    }
    ego_grad_add(&s->cx, e.text, 1, dtext);
    ego_grad_add(&s->cx, e.video, 1, dvideo);
    ego_tape_backward(&s->cx);
}

/* Embeddings of all samples, their similarities, the loss and, with gradients, its backward. */
static ego_err dual_pass(ego_step *s, const ego_step_sample *samples, bool gradients, ego_step_losses *out) {
    ego_ctx *cx = &s->cx;
    everything *a = &s->all;
    const ego_objectives *w = &s->o.objectives;
    bool back = gradients && w->egonce != 0, at_once = back && s->o.accumulate == 1;
    float *text = ego_ctx_alloc(cx, (size_t)(s->local * s->width) * sizeof *text);
    float *video = ego_ctx_alloc(cx, (size_t)(s->local * s->width) * sizeof *video);
    ego_ctx_mark mark = ego_ctx_save(cx);
    ego_embeddings e = {0};
    for (int64_t p = 0; p < s->o.accumulate && cx->err == EGO_OK; p++) {
        if (at_once) ego_tape_attach(cx, s->tape);
        e = embed(s, samples, p);
        ego_tape_attach(cx, NULL);
        if (cx->err != EGO_OK) break;
        size_t n = (size_t)(s->portion * s->width);
        memcpy(text + (size_t)p * n, e.text->data, n * sizeof *text);
        memcpy(video + (size_t)p * n, e.video->data, n * sizeof *video);
        if (!at_once) ego_ctx_rewind(cx, &mark);
    }
    EGO_TRY(ego_ctx_err(cx));
    EGO_TRY(gather(s, text, (size_t)s->width * sizeof *text, a->text));
    EGO_TRY(gather(s, video, (size_t)s->width * sizeof *video, a->video));
    ego_positive_pairs(w->positives, s->global, a->tags, a->positive);
    ego_contrast_terms terms = {w->contrast, a->positive, (float)w->temperature, a->fits, (float)w->margin};
    ego_contrast_result result = {.sim = a->sim, .dtext = back ? a->dtext : NULL, .dvideo = back ? a->dvideo : NULL};
    EGO_TRY(ego_contrast_all(cx, s->global, s->width, a->text, a->video, &terms, (float)w->egonce, &result));
    out->egonce = result.loss;
    for (int64_t p = 0; back && p < s->o.accumulate && cx->err == EGO_OK; p++) {
        ego_tape_attach(cx, s->tape);
        if (!at_once) e = embed(s, samples, p);
        embed_back(s, e, p);
        ego_tape_attach(cx, NULL);
        ego_ctx_rewind(cx, &mark);
    }
    return ego_ctx_err(cx);
}

/* ---- MLM and VTM ----------------------------------------------------------------------------------- */

/* Clips of other ranks that the pairs of this one need: by number, NULL where it is not here. */
static ego_err exchange_clips(ego_step *s, const ego_step_sample *samples, const float **pixels) {
    bool *wanted = ego_ctx_alloc(&s->cx, (size_t)s->global * sizeof *wanted);
    size_t sizes[1 << 10] = {0}, total = 0, each = (size_t)s->clip * sizeof(float);
    if (!wanted) return ego_ctx_err(&s->cx);
    memset(wanted, 0, (size_t)s->global * sizeof *wanted);
    for (int64_t g = 0, i; g < s->global; g++) {
        int owner = owner_of(s, g, &i);
        pixels[g] = owner == s->rank ? samples[i].pixels : NULL;
        for (int64_t k = g * s->each; k < (g + 1) * s->each; k++)
            if (owner != owner_of(s, s->all.pair_video[k], &i)) wanted[s->all.pair_video[k]] = true;
    }
    if (s->ranks == 1) return EGO_OK;
    for (int64_t g = 0, i; g < s->global; g++)
        if (wanted[g]) sizes[owner_of(s, g, &i)] += each;
    for (int r = 0; r < s->ranks; r++) total += sizes[r];
    EGO_TRY(grow(&s->sent, &s->sent_cap, sizes[s->rank]));
    EGO_TRY(grow(&s->received, &s->received_cap, total));
    size_t at = 0;
    for (int64_t i = 0; i < s->local; i++)
        if (wanted[ego_step_number(s, i)]) {
            memcpy((char *)s->sent + at, samples[i].pixels, each);
            at += each;
        }
    EGO_TRY(ego_dist_gather_ragged(s->o.dist, s->sent, sizes, s->received));
    const float *from = s->received;
    for (int r = 0; r < s->ranks; r++)
        for (int64_t i = 0; i < s->local; i++) {
            int64_t g = number_of(s, r, i);
            if (!wanted[g]) continue;
            if (r != s->rank) pixels[g] = from;
            from += s->clip;
        }
    return EGO_OK;
}

static ego_masking masking_of(const ego_model *m) {
    return (ego_masking){m->config.vocab, m->bpe ? ego_bpe_mask_id(m->bpe) : m->config.vocab - 1};
}

/* The portion's masked narrations: ids are changed in place, hidden rows listed. */
static void add_masked(ego_step *s, const int64_t *numbers, const int64_t *own, ego_fused_task *task) {
    ego_masking masking = masking_of(s->model);
    ego_texts texts = texts_of(s, numbers, numbers, s->portion, DRAW_MASKED);
    if (s->cx.err != EGO_OK) return;
    int64_t all = texts.shape.offsets[s->portion];
    int64_t *ids = ego_ctx_alloc(&s->cx, (size_t)all * sizeof *ids);
    int64_t *rows = ego_ctx_alloc(&s->cx, (size_t)all * sizeof *rows);
    int64_t *hidden = ego_ctx_alloc(&s->cx, (size_t)all * sizeof *hidden);
    for (int64_t i = 0; ids && rows && hidden && i < s->portion; i++) {
        int64_t from = texts.shape.offsets[i], n = texts.shape.offsets[i + 1] - from;
        int64_t *found = rows + task->hidden;
        int64_t count = ego_mask_tokens(&masking, ego_rng_stream(s->all.streams[numbers[i]], DRAW_MASK),
                                        texts.ids + from, n, ids + from, found);
        for (int64_t k = 0; k < count; k++) {
            found[k] += from;
            hidden[task->hidden++] = texts.ids[found[k]];
        }
    }
    task->masked = (ego_texts){ids, texts.shape};
    task->masked_clip = own;
    task->hidden_rows = rows;
    task->hidden_ids = hidden;
}

/* The pairs' narrations: one each, or of lists each once. */
static void add_texts(ego_step *s, const int64_t *numbers, int64_t *text, ego_fused_task *task) {
    int64_t n = s->portion * s->each, texts = 0;
    if (s->each == 1) {
        task->paired = texts_of(s, text, numbers, n, DRAW_PAIRED);
        return;
    }
    int64_t *once = ego_ctx_alloc(&s->cx, (size_t)n * sizeof *once);
    uint64_t *streams = ego_ctx_alloc(&s->cx, (size_t)n * sizeof *streams);
    for (int64_t i = 0; once && streams && i < n; i++) {
        int64_t k = 0, wanted = text[i];
        while (k < texts && once[k] != wanted) k++;
        if (k == texts) once[texts++] = wanted;
        text[i] = k;
        streams[i] = ego_rng_stream(ego_rng_stream(s->all.streams[numbers[i / s->each]], DRAW_LISTED),
                                    (uint64_t)(i % s->each));
    }
    task->paired = texts_of(s, once, once, texts, DRAW_PAIRED);
    task->paired_text = text;
    task->pair_streams = streams;
    task->list = s->each;
    task->lists = s->portion;
}

/* The portion's pairs. Clips that are not its own are appended to `pixels`, each once; returns how many
 * clips there are then. */
static int64_t add_pairs(ego_step *s, const int64_t *numbers, const float *const *by_number,
                         const float **pixels, ego_fused_task *task) {
    int64_t n = s->portion * s->each, clips = s->portion;
    int64_t *text = ego_ctx_alloc(&s->cx, (size_t)n * sizeof *text);
    int64_t *clip = ego_ctx_alloc(&s->cx, (size_t)n * sizeof *clip);
    int64_t *label = ego_ctx_alloc(&s->cx, (size_t)n * sizeof *label);
    if (!text || !clip || !label) return clips;
    for (int64_t i = 0; i < n; i++) {
        int64_t pair = numbers[i / s->each] * s->each + i % s->each;
        const float *wanted = by_number[s->all.pair_video[pair]];
        text[i] = s->all.pair_text[pair];
        label[i] = s->all.pair_label[pair];
        for (clip[i] = 0; clip[i] < clips && pixels[clip[i]] != wanted;) clip[i]++;
        if (clip[i] == clips) pixels[clips++] = wanted;
    }
    add_texts(s, numbers, text, task);
    task->paired_clip = clip;
    task->paired_label = label;
    return clips;
}

/* The task of one portion; its lists live in the context. */
static ego_fused_task portion_task(ego_step *s, const float *const *by_number, int64_t portion) {
    const ego_objectives *w = &s->o.objectives;
    ego_fused_task task = {0};
    int64_t *numbers = portion_numbers(s, portion), n = s->portion, clips = n;
    int64_t *own = ego_ctx_alloc(&s->cx, (size_t)n * sizeof *own);
    const float **pixels = ego_ctx_alloc(&s->cx, (size_t)(n + n * s->each) * sizeof *pixels);
    if (!numbers || !own || !pixels) return task;
    for (int64_t i = 0; i < n; i++) {
        own[i] = i;
        pixels[i] = by_number[numbers[i]];
    }
    if (w->mlm != 0) add_masked(s, numbers, own, &task);
    if (w->vtm != 0) clips = add_pairs(s, numbers, by_number, pixels, &task);
    task.clips = clips_of(s, pixels, clips);
    return task;
}

/* How many tokens are hidden in the whole step: masks are drawn by number, so every rank can tell. */
static int64_t count_hidden(ego_step *s) {
    ego_masking masking = masking_of(s->model);
    int64_t count = 0, most = 0;
    for (int64_t g = 0; g < s->global; g++)
        if (s->all.n_tokens[g] > most) most = s->all.n_tokens[g];
    int64_t *masked = ego_ctx_alloc(&s->cx, (size_t)(2 * most) * sizeof *masked);
    for (int64_t g = 0; masked && g < s->global; g++)
        count += ego_mask_tokens(&masking, ego_rng_stream(s->all.streams[g], DRAW_MASK), s->all.tokens[g],
                                 s->all.n_tokens[g], masked, masked + most);
    return count;
}

static void add_value(const ego_tensor *loss, double *sum) {
    if (loss) *sum += *ego_f32(loss);
}

static double right_pairs(const ego_tensor *logits, const int64_t *label) {
    double right = 0;
    for (int64_t i = 0; logits && i < ego_tensor_rows(logits); i++)
        right += (ego_f32(logits)[2 * i + 1] > ego_f32(logits)[2 * i]) == (label[i] == 1);
    return right;
}

static double odds(const ego_tensor *logits, int64_t pair) {
    return ego_f32(logits)[2 * pair + 1] - ego_f32(logits)[2 * pair];
}

static double right_lists(const ego_tensor *logits, int64_t list) {
    double right = 0;
    for (int64_t i = 0; logits && i < ego_tensor_rows(logits); i += list) {
        int64_t c = 1;
        while (c < list && odds(logits, i) > odds(logits, i + c)) c++;
        right += c == list;
    }
    return right;
}

/* Nobody can tell clips by narrations that are word for word the same. */
static void join_same_words(const ego_step *s) {
    const everything *a = &s->all;
    for (int64_t i = 0; i < s->global; i++)
        for (int64_t j = 0; j < s->global; j++)
            if (a->n_tokens[i] == a->n_tokens[j] &&
                memcmp(a->tokens[i], a->tokens[j], (size_t)a->n_tokens[i] * sizeof *a->tokens[i]) == 0)
                a->positive[i * s->global + j] = 1;
}

static void draw_matching(ego_step *s, uint64_t stream) {
    everything *a = &s->all;
    const ego_objectives *w = &s->o.objectives;
    if (w->choices == 0) {
        ego_matching_pairs(&w->negatives, stream, s->global, a->sim, a->positive, a->pair_text, a->pair_video,
                           a->pair_label, a->weight);
        return;
    }
    join_same_words(s);
    ego_matching_choices(&w->negatives, stream, s->global, w->choices, a->sim, a->positive, a->pair_text,
                         a->pair_video, a->pair_label, a->weight);
}

static ego_err fused_pass(ego_step *s, const ego_step_sample *samples, uint64_t stream, bool gradients,
                          ego_step_losses *out) {
    ego_ctx *cx = &s->cx;
    const ego_objectives *w = &s->o.objectives;
    if (w->mlm == 0 && w->vtm == 0) return EGO_OK;
    draw_matching(s, stream);
    const float **by_number = ego_ctx_alloc(cx, (size_t)s->global * sizeof *by_number);
    if (!by_number) return ego_ctx_err(cx);
    EGO_TRY(exchange_clips(s, samples, by_number));
    out->hidden = w->mlm != 0 ? count_hidden(s) : 0;
    float mlm_scale = out->hidden ? 1 / (float)out->hidden : 0, vtm_scale = 1 / (float)s->global;
    ego_ctx_mark mark = ego_ctx_save(cx);
    for (int64_t p = 0; p < s->o.accumulate && cx->err == EGO_OK; p++) {
        if (gradients) ego_tape_attach(cx, s->tape);
        ego_fused_task task = portion_task(s, by_number, p);
        if (cx->err != EGO_OK) break;
        ego_fused_losses l = ego_fused_objectives(cx, s->model, &task, mlm_scale, vtm_scale);
        if (cx->err == EGO_OK) {
            add_value(l.mlm, &out->mlm);
            add_value(l.vtm, &out->vtm);
            out->matched += (w->choices ? right_lists(l.vtm_logits, task.list)
                                        : right_pairs(l.vtm_logits, task.paired_label)) / (double)s->global;
        }
        if (gradients) {
            if (l.mlm) ego_grad_add(cx, l.mlm, (float)w->mlm, NULL);
            if (l.vtm) ego_grad_add(cx, l.vtm, (float)w->vtm, NULL);
            ego_tape_backward(cx);
        }
        ego_tape_attach(cx, NULL);
        ego_ctx_rewind(cx, &mark);
    }
    ego_tape_attach(cx, NULL); /* where the loop was left early, with what was recorded forgotten */
    return ego_ctx_err(cx);
}

ego_err ego_step_run(ego_step *s, const ego_step_sample *samples, uint64_t stream, bool gradients,
                     ego_step_losses *out) {
    const ego_objectives *w = &s->o.objectives;
    *out = (ego_step_losses){0};
    ego_ctx_mark mark = ego_ctx_save(&s->cx);
    ego_err err = gather_samples(s, samples);
    if (err == EGO_OK) err = dual_pass(s, samples, gradients, out);
    if (err == EGO_OK) err = fused_pass(s, samples, stream, gradients, out);
    ego_ctx_rewind(&s->cx, &mark);
    EGO_TRY(err);
    float sums[3] = {(float)out->mlm, (float)out->vtm, (float)out->matched};
    EGO_TRY(ego_dist_sum(s->o.dist, sums, 3));
    out->mlm = w->mlm != 0 && !out->hidden && w->mlm_nan ? NAN : (double)sums[0];
    out->vtm = sums[1];
    out->matched = sums[2];
    out->total = w->egonce * out->egonce + w->mlm * out->mlm + w->vtm * out->vtm;
    return EGO_OK;
}
