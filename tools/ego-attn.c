/* ego-attn: where the fused encoder looks. */
#include "engine.h"

#include "base/file.h"
#include "data/source.h"
#include "format/npy.h"
#include "media/picture.h"
#include "task/attn.h"
#include "task/attn_show.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *text, *output, *overlay;
static int64_t layer = -1, head = -1;
static ego_option_list wanted;

static const ego_option options[] = {
    {.name = "output", .letter = 'o', .type = EGO_OPTION_FILE, .arg = "DIR", .value = &output, .help = "write the maps here, two .npy a record"},
    {.name = "overlay", .type = EGO_OPTION_FILE, .arg = "PNG", .value = &overlay, .help = "draw the maps on the frames, a row for each word"},
    {.name = "word", .type = EGO_OPTION_LIST, .arg = "WORD", .value = &wanted, .help = "draw this word only (may be given several times)"},
    {.name = "layer", .type = EGO_OPTION_INT, .arg = "N", .value = &layer, .max = 1 << 11, .help = "this layer only, counted from 0 (all that fuse)"},
    {.name = "head", .type = EGO_OPTION_INT, .arg = "N", .value = &head, .max = 1 << 12, .help = "this head only, counted from 0 (all)"},
    {.name = "text", .type = EGO_OPTION_STRING, .arg = "STR", .value = &text, .help = "what media files are read with"},
    {0}};

static const ego_cli_tool tool = {
    .name = "ego-attn",
    .usage = "[OPTIONS] [RECORDS.jsonl | MEDIA]...",
    .summary = "Shows which patches each word attends to, and which words the clip attends to.",
    .example = "ego-attn kitchen.mp4 --text '#C C washes a cup' --overlay attention.png",
    .options = options,
    .uses = EGO_CLI_USES_MODEL | EGO_CLI_USES_VIDEO | EGO_CLI_USES_WORK | EGO_CLI_USES_SHARD |
            EGO_CLI_USES_CONFIG | EGO_CLI_USES_PLAN | EGO_CLI_USES_PROVENANCE};

typedef struct run {
    ego_cli *cli;
    ego_engine engine;
    ego_source *source;
    size_t media; /* next of the media arguments */
    uint64_t done;
    ego_image picture; /* of all records so far, one below the other */
} run;

/* ---- what comes in --------------------------------------------------------------------------- */

static const ego_record_rules rules = {
    .writes = (const char *const[]){"layers", "heads", "grid", "words", "text_gates", "video_gates",
                                    "class_to_text", "text_to_video", "video_to_text", NULL}};

/* A media file and --text, read like any other record: as the JSON line it would have been. */
static ego_err make_record(const char *path, ego_record *record) {
    ego_buf line = {0};
    ego_buf_text(&line, "{\"id\":");
    ego_buf_json_string(&line, path, strlen(path));
    ego_buf_json_key(&line, "video");
    ego_buf_json_string(&line, path, strlen(path));
    if (text) {
        ego_buf_json_key(&line, "text");
        ego_buf_json_string(&line, text, strlen(text));
    }
    ego_buf_char(&line, '}');
    ego_err err = ego_buf_err(&line);
    if (err == EGO_OK) err = ego_record_parse(line.data, line.len, path, 1, 1, &rules, record);
    ego_buf_release(&line);
    return err;
}

static ego_err next_record(run *r, ego_record *record) {
    ego_cli *cli = r->cli;
    *record = (ego_record){0};
    while (r->media < cli->n_media) {
        const char *path = cli->media[r->media++];
        if (ego_cli_name_in_shard(cli, path)) return make_record(path, record);
    }
    return cli->n_media && !cli->n_files ? EGO_EEND : ego_cli_next_record(cli, &rules, record);
}

/* The record's clip and tokens; it is the sample's from here on. */
static ego_err read_sample(run *r, ego_record *record, ego_sample *sample) {
    EGO_TRY(ego_source_push(r->source, record));
    EGO_TRY(ego_source_flush(r->source));
    EGO_TRY(ego_source_next(r->source, sample));
    if (sample->err != EGO_OK)
        return ego_fail(sample->err, "%s", sample->message ? sample->message : "cannot be read");
    if (!sample->clip || !sample->tokens)
        return ego_fail(EGO_EINPUT, "expected a clip and a text, found no %s",
                        sample->clip ? "text" : "clip");
    return EGO_OK;
}

/* ---- the picture ----------------------------------------------------------------------------- */

/* A word without the punctuation around it, unless that is all there is. */
static const char *core(const char *word, size_t *n) {
    const char *from = word, *to = word + strlen(word);
    while (from < to && (unsigned char)*from < 0x80 && ispunct((unsigned char)*from)) from++;
    while (to > from && (unsigned char)to[-1] < 0x80 && ispunct((unsigned char)to[-1])) to--;
    *n = from < to ? (size_t)(to - from) : strlen(word);
    return from < to ? from : word;
}

static bool is_wanted(const ego_word *word) {
    if (!wanted.n) return !word->special;
    for (size_t i = 0; i < wanted.n; i++) {
        size_t n, m;
        const char *a = core(word->text, &n), *b = core(wanted.items[i], &m);
        if (strcmp(word->text, wanted.items[i]) == 0 || (n == m && strncasecmp(a, b, n) == 0))
            return true;
    }
    return false;
}

static ego_err choose(const ego_words *words, bool *chosen) {
    size_t n = 0;
    for (size_t i = 0; i < words->n; i++) n += chosen[i] = is_wanted(&words->at[i]);
    if (n || !wanted.n) return EGO_OK;
    ego_buf all = {0};
    for (size_t i = 0; i < words->n; i++)
        ego_buf_printf(&all, "%s%s", i ? " " : "", words->at[i].text);
    ego_fail(EGO_EINPUT, "--word: none of the words asked for is among: %.400s",
             all.data ? all.data : "");
    ego_buf_release(&all);
    return EGO_EINPUT;
}

static void describe_layers(const ego_attn *a, const char *id, ego_buf *title) {
    ego_buf_printf(title, "%s\n", id);
    if (a->layers == 1)
        ego_buf_printf(title, "layer %" PRId64 ", ", a->first_layer);
    else
        ego_buf_printf(title, "mean of layers %" PRId64 " to %" PRId64 ", ", a->first_layer,
                       a->first_layer + a->layers - 1);
    if (a->heads == 1)
        ego_buf_printf(title, "head %" PRId64, a->first_head);
    else
        ego_buf_printf(title, "%" PRId64 " heads", a->heads);
}

/* Puts `below` under what there is. */
static ego_err append_picture(run *r, const ego_image *below) {
    ego_image both = {0};
    int width = r->picture.width > below->width ? r->picture.width : below->width;
    int height = r->picture.height + below->height;
    if (height > EGO_ATTN_MAX_SIDE)
        return ego_fail(
            EGO_EINPUT,
            "the picture is full: one below the other they would be more than %d pixels high",
            EGO_ATTN_MAX_SIDE);
    EGO_TRY(ego_image_new(width, height, &both));
    ego_draw_fill(&both, (ego_colour){255, 255, 255});
    ego_draw_image(&both, 0, 0, r->picture.width, r->picture.height, &r->picture);
    ego_draw_image(&both, 0, r->picture.height, below->width, below->height, below);
    ego_image_free(&r->picture);
    r->picture = both;
    return EGO_OK;
}

static const char *plain_id(const ego_record *record) {
    const char *id;
    return ego_json_string(ego_json_get(record->json, "id"), &id) ? id : record->id;
}

static ego_err draw(run *r, const ego_sample *s, const ego_attn *a, const ego_words *words) {
    ego_image image = {0};
    ego_buf title = {0};
    bool *chosen = calloc(words->n + 1, sizeof *chosen);
    describe_layers(a, plain_id(&s->record), &title);
    ego_err err = chosen ? ego_buf_err(&title) : ego_fail(EGO_ENOMEM, "out of memory");
    if (err == EGO_OK) err = choose(words, chosen);
    ego_attn_view view = {a,         words, chosen, s->clip, r->engine.model->config.image_size,
                          title.data};
    if (err == EGO_OK) err = ego_attn_draw(&view, &image);
    if (err == EGO_OK) err = append_picture(r, &image);
    ego_image_free(&image);
    ego_buf_release(&title);
    free(chosen);
    return err;
}

/* ---- what goes out --------------------------------------------------------------------------- */

/* Writes one direction to DIR/NUMBER-ID.NAME.npy and says so in the line. */
static ego_err write_map(run *r, const ego_sample *s, const char *name, const ego_tensor *map,
                         ego_buf *line) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    ego_buf path = {0};
    const char *id = ego_basename(plain_id(&s->record));
    ego_buf_printf(&path, "%s/%04" PRIu64 "-", output, r->done + 1);
    for (size_t i = 0; id[i] && i < 80; i++)
        ego_buf_char(&path, (unsigned char)id[i] >= 0x80 || strchr(letters, id[i]) ? id[i] : '_');
    ego_buf_printf(&path, ".%s.npy", name);
    ego_err err = ego_buf_err(&path);
    if (err == EGO_OK) err = ego_npy_write(path.data, map);
    if (err == EGO_OK) {
        ego_buf_json_key(line, name);
        ego_buf_json_string(line, path.data, path.len);
    }
    ego_buf_release(&path);
    return err;
}

static ego_err write_maps(run *r, const ego_sample *s, const ego_attn *a, ego_buf *line) {
    ego_tensor to_video = {a->text_to_video,
                           EGO_F32,
                           4,
                           {a->layers, a->heads, a->words, a->tokens}},
               to_text = {a->video_to_text, EGO_F32, 4, {a->layers, a->heads, a->tokens, a->words}};
    if (!output) return EGO_OK;
    EGO_TRY(write_map(r, s, "text_to_video", &to_video, line));
    return write_map(r, s, "video_to_text", &to_text, line);
}

static void add_numbers(ego_buf *line, const char *key, const double *values, int64_t n) {
    ego_buf_json_key(line, key);
    for (int64_t i = 0; i < n; i++) {
        ego_buf_char(line, i ? ',' : '[');
        ego_buf_json_float(line, (float)values[i]);
    }
    ego_buf_char(line, ']');
}

static void add_range(ego_buf *line, const char *key, int64_t first, int64_t n) {
    ego_buf_json_key(line, key);
    for (int64_t i = 0; i < n; i++) ego_buf_printf(line, "%c%" PRId64, i ? ',' : '[', first + i);
    ego_buf_char(line, ']');
}

static ego_err write_line(run *r, const ego_sample *s, const ego_attn *a, const ego_words *words) {
    ego_buf line = {0};
    double *weights = calloc((size_t)a->words, sizeof *weights);
    ego_record_begin(&s->record, &line);
    add_range(&line, "layers", a->first_layer, a->layers);
    add_range(&line, "heads", a->first_head, a->heads);
    ego_buf_printf(&line, ",\"grid\":[%" PRId64 ",%" PRId64 ",%" PRId64 "]", a->frames, a->rows,
                   a->columns);
    add_numbers(&line, "text_gates", a->text_gate, a->layers);
    add_numbers(&line, "video_gates", a->video_gate, a->layers);
    ego_buf_json_key(&line, "words");
    for (size_t i = 0; i < words->n; i++) {
        ego_buf_char(&line, i ? ',' : '[');
        ego_buf_json_string(&line, words->at[i].text, strlen(words->at[i].text));
    }
    ego_buf_char(&line, ']');
    if (weights)
        ego_attn_of_class(a, weights), add_numbers(&line, "class_to_text", weights, a->words);
    ego_err err = weights ? write_maps(r, s, a, &line) : ego_fail(EGO_ENOMEM, "out of memory");
    ego_cli_add_provenance(r->cli, r->engine.model_id, NULL, &line);
    ego_record_close(&s->record, EGO_RECORD_ALL, &line);
    if (err == EGO_OK) err = ego_buf_err(&line);
    if (err == EGO_OK) err = ego_cli_write_line(r->cli, &line);
    ego_buf_release(&line);
    free(weights);
    return err;
}

static ego_err answer(run *r, const ego_sample *s) {
    ego_model *m = r->engine.model;
    ego_attn a = {0};
    ego_words words = {0};
    ego_err err;
    EGO_TRY_OUT(ego_attn_compute(&r->engine.cx, m, s->clip, s->tokens, s->n_tokens,
                                 &(ego_attn_options){layer, head}, &a));
    EGO_TRY_OUT(ego_words_of(m->bpe, s->tokens, s->n_tokens, &words));
    ego_attn_join(&a, &words);
    EGO_TRY_OUT(write_line(r, s, &a, &words));
    /* What cannot be drawn is said; the maps stand. */
    if (overlay && draw(r, s, &a, &words) != EGO_OK)
        ego_cli_fault(r->cli, "%s: cannot be drawn: %s", plain_id(&s->record), ego_err_message());
out:
    ego_words_release(&words);
    ego_attn_release(&a);
    return err;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void look(run *r) {
    bool go_on = true;
    while (go_on) {
        ego_record record;
        ego_sample sample = {0};
        ego_err err = next_record(r, &record);
        if (err == EGO_EEND) break;
        if (err == EGO_OK) {
            err = read_sample(r, &record, &sample);
            if (err == EGO_OK) err = answer(r, &sample);
            record = sample.record;
            sample.record = (ego_record){0};
        }
        go_on = ego_cli_record_done(r->cli, &record, err);
        ego_sample_release(&sample);
        ego_cli_show_progress(r->cli, "records", ++r->done, 0);
    }
    if (overlay && r->picture.width && !ego_cli_stopped(r->cli) &&
        ego_png_write(&r->picture, overlay) != EGO_OK)
        ego_cli_fatal(r->cli, EGO_EIO);
}

/* --dry-run: counts the records instead of computing them. */
static void plan(run *r) {
    uint64_t n = 0, bad = 0;
    ego_record record;
    for (ego_err err; (err = next_record(r, &record)) != EGO_EEND; n++) {
        if (!record.id) {
            ego_cli_fatal(r->cli, err);
            return;
        }
        bad += err != EGO_OK;
        ego_record_release(&record);
    }
    printf("{\"records\":%" PRIu64 ",\"unreadable\":%" PRIu64 "}\n", n, bad);
}

static bool open_all(run *r) {
    if (r->cli->n_media && !text)
        return ego_cli_usage(r->cli, "%s: a media file needs --text", r->cli->media[0]);
    if (wanted.n && !overlay)
        return ego_cli_usage(r->cli, "--word chooses what --overlay draws: give both");
    if (r->cli->dry_run) return true;
    if (output && ego_make_directory(output) != EGO_OK) return ego_cli_fatal(r->cli, EGO_EIO);
    /* What has no cross-attention has no parameters of it either: said before they are missed. */
    if (!ego_engine_open(&r->engine, r->cli, 0)) return false;
    ego_model *m = r->engine.model;
    ego_err err = ego_attn_check(&m->config, &(ego_attn_options){layer, head});
    if (err == EGO_OK) err = ego_model_require(m, EGO_NEEDS_FUSED);
    ego_source_options o = {.clips = {.video_root = r->cli->video_root,
                                      .sampling = (ego_sampling)r->cli->sampling,
                                      .preparation = EGO_PREPARE_STANDARD,
                                      .frames = (int)m->config.frames,
                                      .size = (int)m->config.image_size},
                            .bpe = m->bpe,
                            .max_tokens = (size_t)(m->config.max_positions - 2)};
    if (err == EGO_OK) err = ego_source_open(&o, &r->source);
    return err == EGO_OK || ego_cli_fatal(r->cli, err == EGO_EMODEL ? EGO_EIO : err);
}

int main(int argc, char **argv) {
    ego_cli cli;
    run r = {.cli = &cli};
    if (!ego_cli_begin(&cli, &tool, argc, argv)) return ego_cli_end(&cli);
    if (open_all(&r)) {
        if (cli.dry_run)
            plan(&r);
        else
            look(&r);
    }
    ego_source_close(r.source);
    ego_engine_close(&r.engine);
    ego_image_free(&r.picture);
    ego_option_list_release(&wanted);
    return ego_cli_end(&cli);
}
