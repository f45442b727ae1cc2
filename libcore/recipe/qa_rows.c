#include "recipe/qa_rows.h"

#include "base/file.h"
#include "base/hash.h"
#include "format/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PART = 2048, WINDOW = 64, TOLD = 5 };

static const char tensor_name[] = "states", metadata_key[] = "ego.features";

typedef struct reading {
    const ego_qa_rows_options *options;
    ego_ctx *cx;
    ego_model *model;
    ego_qa all;
    ego_qa looked_at; /* all; with windows: the first question of each interval */
    int64_t *interval; /* with windows: where in looked_at a question's interval is */
    int64_t width;     /* of a state */
    ego_qa_session *session;
    float *states;      /* of every question that is looked at; NULL with halves */
    ego_qa_item *items; /* with halves: likewise */
    bool *failed;
    size_t failed_count;
    ego_buf key; /* JSON: what the states depend on */
    char hash[65];
    ego_arena *arena;
} reading;

/* ---- the cache ------------------------------------------------------------------------------- */

/* What is asked about: the file as it is, or with windows, which no question has a say in, its intervals. */
static ego_err hash_subjects(const reading *r, char hash[65]) {
    ego_sha256 *names;
    if (!r->interval) return ego_sha256_file(r->options->annotations, hash);
    EGO_TRY(ego_sha256_new(&names));
    for (size_t i = 0; i < r->looked_at.count; i++) {
        const char *name = r->looked_at.questions[i].interval;
        ego_sha256_update(names, name, strlen(name) + 1);
    }
    ego_sha256_finish(names, hash);
    return EGO_OK;
}

static ego_err describe(reading *r) {
    const ego_qa_rows_options *o = r->options;
    char subjects[65];
    const char *model;
    ego_sha256 *hash;
    EGO_TRY(ego_model_id(r->model, &model));
    EGO_TRY(hash_subjects(r, subjects));
    ego_buf_printf(&r->key, "{\"kind\":\"qa\",\"model\":\"%s\",\"config\":", model);
    ego_config_write(&r->model->config, &r->key);
    ego_buf_printf(&r->key, r->interval ? ",\"intervals\":\"%s\"" : ",\"annotations\":\"%s\"", subjects);
    ego_buf_printf(&r->key, ",\"max_tokens\":%d,\"interval_fps\":", EGO_QA_TOKENS);
    ego_buf_json_double(&r->key, o->interval_fps);
    if (o->windows) ego_buf_printf(&r->key, ",\"windows\":%" PRId64, o->windows);
    if (o->drawn) ego_buf_printf(&r->key, ",\"sampling\":\"reference\",\"seed\":%" PRIu64, o->seed);
    ego_buf_char(&r->key, '}');
    EGO_TRY(ego_buf_err(&r->key));
    EGO_TRY(ego_sha256_new(&hash));
    ego_sha256_update(hash, r->key.data, r->key.len);
    ego_sha256_finish(hash, r->hash);
    return EGO_OK;
}

static ego_err part_path(const reading *r, size_t first, ego_buf *path) {
    ego_buf_printf(path, "%s/qa/%.32s-%04zu.safetensors", r->options->cache, r->hash, first / PART);
    return ego_buf_err(path);
}

/* Whether the part stood in the cache; a file that is damaged or of something else is made anew. */
static bool load_part(reading *r, const char *path, size_t first, size_t n) {
    int64_t D = r->width;
    ego_weights *file = NULL;
    if (access(path, R_OK) != 0 || ego_weights_open(path, &file) != EGO_OK) return false;
    const ego_tensor *t = ego_weights_find(file, tensor_name);
    const char *key = ego_weights_metadata(file, metadata_key);
    bool fits = t && key && strcmp(key, r->key.data) == 0 && t->dtype == EGO_F32 && t->ndim == 2 &&
                t->shape[0] == (int64_t)n && t->shape[1] == D;
    if (fits) memcpy(r->states + (int64_t)first * D, t->data, n * (size_t)D * sizeof(float));
    ego_weights_close(file);
    return fits;
}

static ego_err save_part(reading *r, const char *path, size_t first, size_t n) {
    int64_t D = r->width;
    ego_named_tensor tensor = {tensor_name,
                               {r->states + (int64_t)first * D, EGO_F32, 2, {(int64_t)n, D}}};
    ego_metadata metadata = {metadata_key, r->key.data};
    ego_buf folder = {0};
    ego_buf_printf(&folder, "%s/qa", r->options->cache);
    ego_err err = ego_buf_err(&folder);
    if (err == EGO_OK) err = ego_make_directory(folder.data);
    if (err == EGO_OK) err = ego_safetensors_write(path, &tensor, 1, &metadata, 1, NULL, NULL);
    ego_buf_release(&folder);
    return err;
}

/* ---- states ---------------------------------------------------------------------------------- */

static void tell_failed(reading *r, size_t i, const char *message) {
    const ego_notice *notice = r->options->notice;
    char text[640];
    r->failed[i] = true;
    if (++r->failed_count > TOLD || !notice || !notice->say) return;
    if (r->interval)
        snprintf(text, sizeof text, "%s: interval %s is left out: %s", r->options->annotations,
                 r->looked_at.questions[i].interval, message);
    else
        snprintf(text, sizeof text, "%s: question %zu is left out: %s", r->options->annotations, i, message);
    notice->say(notice->context, text);
}

/* The question as the encoder reads it; the arena's. */
static ego_err keep_question(reading *r, const ego_qa_question *q, const char **kept) {
    ego_buf text = {0};
    ego_qa_question_text(q->question, &text);
    bool whole = ego_buf_err(&text) == EGO_OK &&
                 (*kept = ego_arena_strdup(r->arena, text.data ? text.data : "")) != NULL;
    ego_buf_release(&text);
    return whole ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory");
}

/* What is asked of one question; its texts are the arena's. EGO_EIO, EGO_EINPUT: it has no clip. */
static ego_err form_item(reading *r, const ego_qa_question *q, ego_qa_item *item) {
    const char **texts = ego_arena_alloc(r->arena, sizeof *texts);
    *item = (ego_qa_item){.texts = texts, .count = 1};
    ego_err err = ego_qa_find_interval(r->options->video_root, q->interval,
                                       r->options->interval_fps, r->arena, &item->clip);
    if (err != EGO_OK) return err;
    return texts ? keep_question(r, q, &texts[0]) : ego_fail(EGO_ENOMEM, "out of memory");
}

/* What is looked at, [first, first + n), at most a window of it. */
static ego_err ask_window(reading *r, size_t first, size_t n) {
    ego_qa_item items[WINDOW];
    size_t of[WINDOW], asked = 0;
    ego_arena_mark mark = ego_arena_save(r->arena);
    ego_err err = EGO_OK;
    for (size_t i = first; i < first + n && err == EGO_OK; i++) {
        err = form_item(r, &r->looked_at.questions[i], &items[asked]);
        if (err == EGO_EIO || err == EGO_EINPUT) {
            tell_failed(r, i, ego_err_message());
            err = EGO_OK;
            continue;
        }
        if (r->states) items[asked].states = r->states + (int64_t)i * r->width;
        of[asked++] = i;
    }
    if (err == EGO_OK)
        err = r->items      ? ego_qa_prepare(r->session, items, asked)
              : r->interval ? ego_qa_look(r->session, items, asked)
                            : ego_qa_ask(r->session, items, asked);
    for (size_t k = 0; k < asked && err == EGO_OK; k++) {
        if (items[k].err != EGO_OK) tell_failed(r, of[k], items[k].message);
        if (r->items) r->items[of[k]] = items[k];
    }
    if (!r->items) ego_arena_rewind(r->arena, mark);
    return err;
}

static ego_err open_session(reading *r) {
    const ego_qa_rows_options *o = r->options;
    ego_qa_options session = {
        .text_learns = o->text_learns,
        .windows = o->windows,
        .halves = {.max_tokens = EGO_QA_TOKENS,
                   .seed = o->seed,
                   .memory = o->halves ? SIZE_MAX / 2 : 0,
                   .clips = {.video_root = o->video_root,
                             .sampling = o->drawn ? EGO_SAMPLING_TASKQA : EGO_SAMPLING_TIME,
                             .preparation = EGO_PREPARE_STANDARD,
                             .frames = (int)r->model->config.frames,
                             .size = (int)r->model->config.image_size}}};
    return r->session ? EGO_OK : ego_qa_open(r->cx, r->model, &session, &r->session);
}

static ego_err read_part(reading *r, size_t first) {
    size_t n = r->looked_at.count - first < PART ? r->looked_at.count - first : PART, before = r->failed_count;
    ego_buf path = {0};
    bool cached = r->options->cache && r->states;
    ego_err err = cached ? part_path(r, first, &path) : EGO_OK;
    if (err == EGO_OK && cached && load_part(r, path.data, first, n)) {
        ego_buf_release(&path);
        return EGO_OK;
    }
    if (err == EGO_OK) err = open_session(r);
    for (size_t i = 0; i < n && err == EGO_OK; i += WINDOW) {
        err = ask_window(r, first + i, n - i < WINDOW ? n - i : WINDOW);
        if (err == EGO_OK &&
            !ego_progress_tell(r->options->progress, "features", first + i, r->looked_at.count))
            err = ego_fail(EGO_ECANCELLED, "stopped after the features of %zu of %zu %s", first + i,
                           r->looked_at.count, r->interval ? "intervals" : "questions");
    }
    if (err == EGO_OK && cached && r->failed_count == before)
        err = save_part(r, path.data, first, n);
    ego_buf_release(&path);
    return err;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static ego_err check_classes(const reading *r) {
    for (size_t i = 0; i < r->all.count; i++)
        if (r->all.questions[i].answer_class >= r->options->classes)
            return ego_fail(EGO_EINPUT,
                            "%s: element %zu: expected an answer_encode below %" PRId64
                            ", the number of answers, found %" PRId64,
                            r->options->annotations, i, r->options->classes,
                            r->all.questions[i].answer_class);
    return EGO_OK;
}

/* What was looked at for question i. */
static size_t subject_of(const reading *r, size_t i) { return r->interval ? (size_t)r->interval[i] : i; }

/* A question that stays is row `row`. */
static ego_err keep_row(reading *r, ego_qa_rows *rows, size_t i) {
    size_t row = rows->count++, D = (size_t)r->width;
    rows->labels[row] = r->all.questions[i].answer_class;
    rows->questions[row] = &r->all.questions[i];
    if (r->items) r->items[row] = r->items[i];
    if (!r->interval && r->states) memmove(r->states + row * D, r->states + i * D, D * sizeof(float));
    if (!r->interval) return EGO_OK;
    rows->interval[row] = r->interval[i];
    return keep_question(r, &r->all.questions[i], &rows->texts[row]);
}

/* Those that did not fail, closed up. */
static ego_err gather(reading *r, ego_qa_rows *rows) {
    size_t n = r->all.count;
    rows->states = r->states;
    rows->items = r->items;
    bool asked_again = r->items || r->interval;
    if (asked_again) EGO_TRY(open_session(r));
    rows->session = asked_again ? r->session : NULL;
    if (asked_again) r->session = NULL;
    rows->width = r->width;
    rows->failed = 0;
    rows->labels = ego_arena_alloc(r->arena, (n + 1) * sizeof *rows->labels);
    rows->questions = ego_arena_alloc(r->arena, (n + 1) * sizeof *rows->questions);
    if (r->interval) {
        rows->interval = ego_arena_alloc(r->arena, (n + 1) * sizeof *rows->interval);
        rows->texts = ego_arena_alloc(r->arena, (n + 1) * sizeof *rows->texts);
    }
    if (!rows->labels || !rows->questions || (r->interval && (!rows->interval || !rows->texts)))
        return ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        if (r->failed[subject_of(r, i)])
            rows->failed++;
        else
            EGO_TRY(keep_row(r, rows, i));
    if (rows->count) return EGO_OK;
    return ego_fail(EGO_EINPUT,
                    "%s: expected a question with a clip that can be read, found none of %zu",
                    r->options->annotations, n);
}

/* ---- intervals ------------------------------------------------------------------------------- */

/* Each interval once, by its first question. */
static ego_err list_intervals(reading *r) {
    size_t n = r->all.count, buckets = 2 * n + 1;
    size_t *bucket = calloc(buckets, sizeof *bucket); /* 1 + a place in looked_at */
    ego_qa_question *firsts = ego_arena_alloc(r->arena, (n + 1) * sizeof *firsts);
    r->interval = ego_arena_alloc(r->arena, (n + 1) * sizeof *r->interval);
    r->looked_at = (ego_qa){firsts, 0};
    bool whole = bucket && firsts && r->interval;
    for (size_t i = 0; whole && i < n; i++) {
        const ego_qa_question *q = &r->all.questions[i];
        size_t at = ego_fnv1a(q->interval) % buckets;
        while (bucket[at] && strcmp(firsts[bucket[at] - 1].interval, q->interval) != 0) at = (at + 1) % buckets;
        if (!bucket[at]) {
            firsts[r->looked_at.count++] = *q;
            bucket[at] = r->looked_at.count;
        }
        r->interval[i] = (int64_t)bucket[at] - 1;
    }
    free(bucket);
    return whole ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory for the intervals of %zu questions", n);
}

static ego_err read_all(ego_ctx *cx, reading *r, ego_qa_rows *rows) {
    const ego_qa_rows_options *o = r->options;
    EGO_TRY(ego_qa_read(o->annotations, r->arena, &r->all));
    EGO_TRY(check_classes(r));
    r->looked_at = r->all;
    if (o->windows) EGO_TRY(list_intervals(r));
    EGO_TRY(describe(r));
    const ego_config *c = &r->model->config;
    r->width = o->windows ? o->windows * c->projection[c->projections - 1] : c->dim;
    size_t n = r->looked_at.count + 1;
    if (o->halves)
        r->items = ego_arena_alloc(r->arena, n * sizeof *r->items);
    else
        r->states = ego_arena_alloc(r->arena, n * (size_t)r->width * sizeof(float));
    r->failed = ego_arena_alloc(r->arena, n * sizeof *r->failed);
    if ((!r->states && !r->items) || !r->failed)
        return ego_fail(EGO_ENOMEM, "%s: out of memory for the states of %zu questions",
                        o->annotations, n - 1);
    memset(r->failed, 0, n * sizeof *r->failed);
    ego_progress_start(o->progress, 0);
    r->cx = cx;
    for (size_t first = 0; first < r->looked_at.count; first += PART) EGO_TRY(read_part(r, first));
    ego_progress_tell(o->progress, "features", r->looked_at.count, r->looked_at.count);
    if (r->failed_count > TOLD && o->notice && o->notice->say) {
        char text[512];
        snprintf(text, sizeof text, "%s: %zu %s in all are left out", o->annotations,
                 r->failed_count, r->interval ? "intervals" : "questions");
        o->notice->say(o->notice->context, text);
    }
    return gather(r, rows);
}

ego_err ego_qa_rows_read(ego_ctx *cx, ego_model *model, const ego_qa_rows_options *options,
                         ego_qa_rows *rows) {
    reading r = {.options = options, .model = model};
    *rows = (ego_qa_rows){0};
    ego_arena_init(&rows->arena, 1 << 20);
    r.arena = &rows->arena;
    ego_err err = read_all(cx, &r, rows);
    ego_qa_close(r.session);
    ego_buf_release(&r.key);
    if (err != EGO_OK) ego_qa_rows_release(rows);
    return err;
}

void ego_qa_rows_release(ego_qa_rows *rows) {
    ego_qa_close(rows->session);
    ego_arena_release(&rows->arena);
    *rows = (ego_qa_rows){0};
}
