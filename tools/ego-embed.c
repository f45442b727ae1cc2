/* ego-embed: clips and narrations to embeddings. */
#include "embed_input.h"
#include "embed_prepare.h"
#include "engine.h"

#include "task/embed.h"
#include "task/embed_output.h"
#include "task/unrelated.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text, *output, *update, *calibrate, *prepare;
static double window, stride;
static int layer, format, sampling;
static double follow_timeout = 30;
static bool fused, resume, follow, normalize = true;
static ego_option_list standard_media;

enum { LAYER_PIXELS = 3 }; /* after the three of ego_layer */

static const ego_option options[] = {
    {.name = "text", .type = EGO_OPTION_STRING, .arg = "STR", .value = &text, .help = "embed this narration"},
    {.name = "window", .type = EGO_OPTION_NUMBER, .arg = "S", .value = &window, .min = 0.01, .max = 1e6, .help = "cut media files into clips of S seconds"},
    {.name = "stride", .type = EGO_OPTION_NUMBER, .arg = "S", .value = &stride, .min = 0.01, .max = 1e6, .help = "one every S seconds (as long as the window)"},
    {.name = "layer", .type = EGO_OPTION_CHOICE, .arg = "projected|backbone|tokens|pixels", .value = &layer, .help = "what to write (projected: what is compared)"},
    {.name = "sampling", .type = EGO_OPTION_CHOICE, .arg = "time|reference|epic", .value = &sampling, .help = "which frames: by time, as EgoMCQ's reader, or EK-100's"},
    {.name = "fused", .type = EGO_OPTION_FLAG, .value = &fused, .help = "also, of records with both parts, the fused state"},
    {.name = "no-normalize", .type = EGO_OPTION_CLEAR, .value = &normalize, .help = "leave lengths as they are"},
    {.name = "format", .type = EGO_OPTION_CHOICE, .arg = "stream|npy|fvecs|jsonl", .value = &format, .help = "of the output (stream)"},
    {.name = "output", .letter = 'o', .type = EGO_OPTION_FILE, .arg = "FILE", .value = &output, .help = "write here instead of stdout"},
    {.name = "resume", .type = EGO_OPTION_FLAG, .value = &resume, .help = "go on where an interrupted run to FILE stopped"},
    {.name = "update", .type = EGO_OPTION_FILE, .arg = "INDEX", .value = &update, .help = "index the folders named, computing only what is new"},
    {.name = "calibrate", .type = EGO_OPTION_STRING, .arg = "FILE|builtin|none", .value = &calibrate, .help = "keep what unrelated narrations score (--update: builtin)"},
    {.name = "prepare", .type = EGO_OPTION_FILE, .arg = "DIR", .value = &prepare, .help = "only write chunks of 600 s, 256 lines: DIR/NAME/0.mp4"},
    {.name = "media", .type = EGO_OPTION_LIST, .arg = "FILE", .value = &standard_media, .help = "a media file, or - for a media stream on stdin"},
    {.name = "follow", .type = EGO_OPTION_FLAG, .value = &follow, .help = "media files are being written: go on as they grow"},
    {.name = "follow-timeout", .type = EGO_OPTION_NUMBER, .arg = "S", .value = &follow_timeout, .min = 0.1, .max = 1e6, .help = "they end when they have not grown for S seconds (30)"},
    {0}};

static const ego_cli_tool tool = {
    .name = "ego-embed",
    .usage = "[OPTIONS] [RECORDS.jsonl | LIST.csv | MEDIA]...\n[OPTIONS] --update INDEX FOLDER...\n--prepare DIR FOLDER...",
    .summary = "Turns clips and narrations into embeddings that can be compared.",
    .example = "ego-embed kitchen.mp4 --window 4 --stride 2 -o kitchen.ego",
    .options = options,
    .uses = EGO_CLI_USES_MODEL | EGO_CLI_USES_VIDEO | EGO_CLI_USES_WORK | EGO_CLI_USES_SHARD |
            EGO_CLI_USES_CONFIG | EGO_CLI_USES_PLAN | EGO_CLI_USES_PROVENANCE};

/* ---- the loop ------------------------------------------------------------------------------------------------ */

enum { MAX_BATCH = 64 };

typedef struct run {
    ego_cli *cli;
    ego_engine engine;
    ego_source *source;
    ego_embed_output *output;
    ego_unrelated *unrelated; /* --calibrate */
    ego_embed_options options;
    ego_embed_input input;
    bool more;
    uint64_t done, cut_texts;
    ego_buf provenance; /* JSON text */
    ego_sample samples[MAX_BATCH];
    ego_embed_item items[MAX_BATCH];
} run;

/* Reads ahead as long as that needs no waiting, or nothing is in hand: neither here nor, when `idle` is
 * false, with the caller. */
static ego_err fill(run *r, bool idle) {
    while (r->more && ego_source_room(r->source)) {
        idle = idle && !ego_source_outstanding(r->source);
        if (!idle && ego_cli_input_paused(r->cli)) break;
        if (!ego_embed_input_go_on(&r->input, ego_source_outstanding(r->source) > 0)) break;
        ego_record record;
        ego_err err = ego_embed_input_next(&r->input, &record);
        if (err == EGO_EEND) {
            r->more = false;
            break;
        }
        bool own = err == EGO_OK || ((err == EGO_EINPUT || err == EGO_EFORMAT || err == EGO_EIO) && record.id);
        if (!own) return err;
        if (ego_embed_output_has(r->output)) {
            err = ego_embed_output_skip(r->output, &record);
            ego_record_release(&record);
            EGO_TRY(err);
        } else if (err == EGO_OK) {
            EGO_TRY(ego_source_push(r->source, &record));
        } else {
            EGO_TRY(ego_source_push_failed(r->source, &record, err));
        }
    }
    return ego_source_flush(r->source);
}

static ego_err write_pixels(run *r, const ego_sample *s) {
    const ego_config *c = &r->engine.model->config;
    union {
        const float *in;
        void *data;
    } pixels = {s->clip};
    ego_tensor t = {pixels.data, EGO_F32, 4, {c->frames, 3, c->image_size, c->image_size}};
    return ego_embed_output_write(r->output, &s->record, "video", &t, 0);
}

static ego_err write_error(run *r, const ego_sample *s) {
    const char *message = s->message ? s->message : "failed";
    ego_cli_note(r->cli, "%s: %s", s->record.label, message);
    ego_cli_count_failed(r->cli);
    if (r->input.update) return ego_update_write(r->input.update, r->output, &s->record, NULL, message);
    return ego_embed_output_error(r->output, &s->record, message);
}

static ego_err meet_unrelated(run *r, const ego_tensor *clip) {
    ego_vector vector = {clip->data, EGO_F32};
    if (!r->unrelated) return EGO_OK;
    return ego_unrelated_meet(r->unrelated, &vector, 1, (size_t)ego_tensor_count(clip), NULL);
}

static ego_err write_sample(run *r, const ego_sample *s, const ego_embed_item *it) {
    if (s->err != EGO_OK) return write_error(r, s);
    if (layer == LAYER_PIXELS) return s->clip ? write_pixels(r, s) : EGO_OK;
    if (r->input.update) return ego_update_write(r->input.update, r->output, &s->record, &it->video, NULL);
    if (it->video.data) {
        EGO_TRY(meet_unrelated(r, &it->video));
        EGO_TRY(ego_embed_output_write(r->output, &s->record, "video", &it->video, 0));
    }
    if (it->text.data)
        EGO_TRY(ego_embed_output_write(r->output, &s->record, "text", &it->text, 0));
    if (it->fused.data)
        EGO_TRY(ego_embed_output_write(r->output, &s->record, "fused", &it->fused, it->match));
    return EGO_OK;
}

/* A sample's own faults become its error; what is left can be computed. */
static void check_sample(run *r, ego_sample *s) {
    if (s->err != EGO_OK || !s->tokens) return;
    ego_err err = ego_embed_check_tokens(r->engine.model, s->tokens, s->n_tokens);
    if (err == EGO_OK) return;
    s->err = err;
    s->message = strdup(ego_err_message());
}

/* Of a live medium what is there now is enough, and a signal ends the wait for more. */
static bool wait_for_sample(run *r, bool idle) {
    if (!ego_windows_live(&r->input.windows)) return true;
    while (!ego_source_ready(r->source, idle ? 0.1 : 0))
        if (!idle || ego_cli_stopped(r->cli)) return false;
    return true;
}

static ego_err take(run *r, size_t most, size_t *n) {
    for (*n = 0; *n < most && wait_for_sample(r, *n == 0);) {
        ego_sample *s = &r->samples[*n];
        bool keep = true;
        ego_err err = ego_source_next(r->source, s);
        if (err == EGO_EEND) return EGO_OK;
        EGO_TRY(err);
        ++*n;
        EGO_TRY(ego_embed_input_meet(&r->input, s, &keep));
        if (!keep) {
            ego_sample_release(&r->samples[--*n]);
            continue;
        }
        check_sample(r, s);
        r->cut_texts += s->cut_text;
        r->items[*n - 1] = (ego_embed_item){0};
        if (s->err == EGO_OK)
            r->items[*n - 1] = (ego_embed_item){
                .clip = s->clip, .tokens = s->tokens, .n_tokens = s->n_tokens};
    }
    return EGO_OK;
}

static ego_err compute_and_write(run *r, size_t n) {
    ego_err err = EGO_OK;
    if (layer != LAYER_PIXELS)
        err = ego_embed(&r->engine.cx, r->engine.model, &r->options, r->items, n);
    for (size_t i = 0; i < n; i++) {
        if (err == EGO_OK) err = write_sample(r, &r->samples[i], &r->items[i]);
        ego_embed_item_release(&r->items[i]);
        ego_sample_release(&r->samples[i]);
    }
    r->done += n;
    ego_cli_show_progress(r->cli, "records", r->done, 0);
    return err;
}

/* A live medium has no other end than being stopped: what was computed is whole. */
static ego_err stopped(const run *r) {
    return ego_embed_input_any_live(&r->input) ? EGO_OK : ego_fail(EGO_ECANCELLED, "stopped");
}

static ego_err loop(run *r, size_t batch) {
    while (r->more || ego_source_outstanding(r->source)) {
        size_t n;
        if (ego_cli_stopped(r->cli)) return stopped(r);
        EGO_TRY(fill(r, true));
        EGO_TRY(take(r, batch, &n));
        ego_err err = fill(r, n == 0); /* so that reading goes on while this batch is computed */
        if (err != EGO_OK) {
            for (size_t i = 0; i < n; i++) ego_sample_release(&r->samples[i]);
            return err;
        }
        EGO_TRY(compute_and_write(r, n));
        if (!ego_source_outstanding(r->source) || ego_cli_input_paused(r->cli) || ego_windows_live(&r->input.windows))
            EGO_TRY(ego_embed_output_flush(r->output));
    }
    return EGO_OK;
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

/* What made this output: two runs with the same text give the same bytes for the same records. */
static ego_err describe_run(run *r, ego_buf *json) {
    ego_buf config = {0};
    ego_config_write(&r->engine.model->config, &config);
    ego_provenance p = ego_cli_provenance(r->cli, r->engine.model_id, config.data);
    ego_provenance_write(&p, &r->provenance);
    ego_buf_printf(json,
                   "{\"provenance\":%s,\"layer\":%d,\"fused\":%s,\"normalize\":%s,\"sampling\":%d,\"shard\":\"%lld/%lld\","
                   "\"window\":%.9g,\"stride\":%.9g,\"traced\":%s}",
                   r->provenance.data ? r->provenance.data : "null", layer, fused ? "true" : "false", normalize ? "true" : "false", sampling,
                   (long long)r->cli->shard.index, (long long)r->cli->shard.count, window, stride,
                   r->cli->provenance ? "true" : "false");
    ego_buf_release(&config);
    EGO_TRY(ego_buf_err(&r->provenance));
    return ego_buf_err(json);
}

static ego_err open_output(run *r, ego_buf *description) {
    static const char *const layers[] = {"projected", "backbone", "tokens", "pixels"};
    EGO_TRY(describe_run(r, description));
    EGO_TRY(ego_embed_output_open(&(ego_embed_output_options){.format = (ego_embed_format)format,
                                                              .path = output,
                                                              .standard = stdout,
                                                              .inputs = r->cli->args,
                                                              .n_inputs = r->cli->n_args,
                                                              .model = r->engine.model_id,
                                                              .layer = layers[layer],
                                                              .provenance = r->cli->provenance ? r->provenance.data : NULL,
                                                              .run = description->data,
                                                              .resume = resume},
                                  &r->output));
    uint64_t there = ego_embed_output_done(r->output);
    if (ego_embed_output_failed(r->output)) ego_cli_count_failed(r->cli);
    if (there) ego_cli_note(r->cli, "%s: %llu records are done already", output, (unsigned long long)there);
    return EGO_OK;
}

static ego_err open_input(run *r) {
    ego_embed_input_options o = {.window = window,
                                 .stride = stride,
                                 .text = text,
                                 .media = standard_media.items,
                                 .n_media = standard_media.n,
                                 .no_arguments = update != NULL,
                                 .follow = follow ? follow_timeout : 0};
    return ego_embed_input_open(r->cli, &o, &r->input);
}

/* Live windows overlap by less than a window: a pipe need not be kept for longer. */
static ego_err open_source(run *r) {
    const ego_model *m = r->engine.model;
    bool live = ego_embed_input_any_live(&r->input);
    ego_source_options o = {
        .clips = {.video_root = r->cli->video_root,
                  .sampling = (ego_sampling)sampling,
                  .preparation = sampling == EGO_SAMPLING_EPIC ? EGO_PREPARE_EPIC : EGO_PREPARE_STANDARD,
                  .frames = (int)m->config.frames,
                  .size = (int)m->config.image_size,
                  .past = live ? window + 1 : 0,
                  .follow = follow ? follow_timeout : 0},
        .bpe = m->bpe,
        .max_tokens = (size_t)(m->config.max_positions - 2),
        .ignore_text = layer == LAYER_PIXELS};
    return ego_source_open(&o, &r->source);
}

static void report(run *r) {
    ego_clips_counts c = ego_source_get_counts(r->source);
    if (r->cut_texts)
        ego_cli_note(r->cli, "%llu texts were cut to %lld tokens", (unsigned long long)r->cut_texts,
                     (long long)r->engine.model->config.max_positions - 2);
    if (c.dropped || c.repeated || c.black)
        ego_cli_note(r->cli,
                     "reference sampling: %lld frames could not be read, %lld were repeated in their "
                     "place, %lld clips are black",
                     (long long)c.dropped, (long long)c.repeated, (long long)c.black);
    if (c.cut_files || c.read_errors || c.damaged)
        ego_cli_note(r->cli, "damaged media: %lld files end early, %lld packets were unreadable, %lld frames damaged",
                     (long long)c.cut_files, (long long)c.read_errors, (long long)c.damaged);
}

/* Narrations that have nothing to do with what is indexed; an index has them unless told not to. */
static ego_err open_unrelated(run *r) {
    const char *list = calibrate;
    if (!list && update && r->engine.model->bpe) list = "builtin";
    if (!list || strcmp(list, "none") == 0) return EGO_OK;
    return ego_unrelated_open(&r->engine.cx, r->engine.model, r->options.layer, list, &r->unrelated);
}

/* All that an index's vectors depend on but the windows. */
static ego_err describe_index(run *r, ego_buf *made) {
    ego_config_write(&r->engine.model->config, made);
    ego_buf_printf(made, " %s layer %d sampling %d normalize %d", r->engine.model_id, layer,
                   sampling, normalize);
    return ego_buf_err(made);
}

static ego_err open_update(run *r) {
    ego_buf made = {0};
    EGO_TRY(describe_index(r, &made));
    ego_update_options o = {.path = update,
                            .sources = r->cli->media,
                            .n_sources = r->cli->n_media,
                            .made = made.data,
                            .window = window,
                            .stride = stride,
                            .unrelated = r->unrelated};
    ego_err err = ego_update_open(&o, &r->input.update);
    ego_buf_release(&made);
    if (err == EGO_OK && ego_update_get_counts(r->input.update).remade)
        ego_cli_note(r->cli, "%s: made by another model or with other options: all of it is made anew", update);
    return err;
}

static ego_err finish_update(run *r) {
    size_t failed;
    EGO_TRY(ego_update_finish(r->input.update, r->output, &failed));
    EGO_TRY(ego_embed_output_commit(r->output));
    ego_update_committed(r->input.update);
    ego_update_counts c = ego_update_get_counts(r->input.update);
    ego_cli_note(r->cli, "%s: %zu files, %zu of them as before; %zu are gone", update, c.files, c.kept, c.dropped);
    if (failed) ego_cli_fault(r->cli, "%s: %zu clips failed when they were computed", update, failed);
    return EGO_OK;
}

static ego_err embed(run *r, ego_buf *description) {
    EGO_TRY(open_unrelated(r));
    if (update) EGO_TRY(open_update(r));
    EGO_TRY(open_output(r, description));
    EGO_TRY(open_source(r));
    int64_t batch = r->cli->batch ? r->cli->batch : 4 * ego_good_batch(r->engine.model);
    EGO_TRY(loop(r, (size_t)(batch > MAX_BATCH ? MAX_BATCH : batch)));
    report(r);
    if (update) return finish_update(r);
    if (r->unrelated)
        EGO_TRY(ego_embed_output_calibration(r->output, ego_unrelated_calibration(r->unrelated)));
    return ego_embed_output_commit(r->output);
}

/* --dry-run: counts the records instead of computing them. */
static ego_err plan(run *r) {
    uint64_t n = 0, bad = 0;
    ego_record record;
    for (ego_err err; (err = ego_embed_input_next(&r->input, &record)) != EGO_EEND;) {
        if (!record.id) return err;
        n++;
        bad += err != EGO_OK;
        ego_record_release(&record);
    }
    printf("{\"records\":%llu,\"unreadable\":%llu}\n", (unsigned long long)n, (unsigned long long)bad);
    return EGO_OK;
}

static bool check_options(ego_cli *cli) {
    if (stride <= 0) stride = window;
    if (follow && window <= 0)
        return ego_cli_usage(cli, "--follow: give --window S, the length of a clip");
    if (calibrate && (format != EGO_EMBED_STREAM || layer > EGO_LAYER_BACKBONE))
        return ego_cli_usage(cli, "--calibrate: is kept in a stream of vectors: leave out --format and --layer");
    if (calibrate && strcmp(calibrate, "none") != 0 && resume)
        return ego_cli_usage(cli, "--calibrate: counts every clip from the first: leave out --resume");
    if (prepare && (cli->n_files || !cli->n_media || update || output || window > 0))
        return ego_cli_usage(cli, "--prepare: expected nothing but folders or videos");
    if (!update) return true;
    if (cli->n_files || !cli->n_media)
        return ego_cli_usage(cli, "--update: expected folders or videos, found %s", cli->n_files ? cli->files[0] : "none");
    if (output || resume || follow || text || fused || standard_media.n || format != EGO_EMBED_STREAM || layer > EGO_LAYER_BACKBONE ||
        cli->shard.count > 1 || cli->dry_run)
        return ego_cli_usage(cli, "--update: does not go with -o, --resume, --follow, --text, --fused, --media, --format, "
                                  "--layer tokens, --shard or --dry-run");
    output = update;
    return true;
}

static bool check_live(ego_cli *cli, const ego_embed_input *in) {
    if (!ego_embed_input_any_live(in) || (!cli->dry_run && !resume)) return true;
    return ego_cli_usage(cli, "%s: a live stream has no length before it ends",
                         cli->dry_run ? "--dry-run" : "--resume");
}

int main(int argc, char **argv) {
    ego_cli cli;
    if (!ego_cli_begin(&cli, &tool, argc, argv) || !check_options(&cli)) return ego_cli_end(&cli);
    if (prepare) return ego_embed_prepare(&cli, prepare), ego_cli_end(&cli);
    bool binary = format == EGO_EMBED_STREAM && !output && !cli.dry_run;
    if (binary && !ego_cli_binary_stdout(&cli)) return ego_cli_end(&cli);

    run *r = calloc(1, sizeof *r);
    ego_buf description = {0};
    if (!r) return ego_cli_fatal(&cli, ego_fail(EGO_ENOMEM, "out of memory")), ego_cli_end(&cli);
    r->cli = &cli;
    r->more = true;
    ego_err opened = open_input(r);
    r->options = (ego_embed_options){layer == LAYER_PIXELS ? EGO_LAYER_PROJECTED : (ego_layer)layer,
                                     normalize, fused};
    unsigned needs = layer == LAYER_PIXELS ? 0 : ego_embed_needs(&r->options);
    if (opened != EGO_OK) {
        ego_cli_fatal(&cli, opened);
    } else if (!check_live(&cli, &r->input)) {
    } else if (cli.dry_run) {
        ego_err err = plan(r);
        if (err != EGO_OK) ego_cli_fatal(&cli, err);
    } else if (ego_engine_open(&r->engine, &cli, needs)) {
        ego_err err = embed(r, &description);
        if (err != EGO_OK) ego_cli_fatal(&cli, err);
        ego_source_close(r->source);
        ego_update_close(r->input.update);
        ego_embed_output_close(r->output);
        ego_unrelated_close(r->unrelated);
        ego_engine_close(&r->engine);
    }
    ego_buf_release(&r->provenance);
    ego_embed_input_close(&r->input);
    ego_option_list_release(&standard_media);
    ego_buf_release(&description);
    free(r);
    return ego_cli_end(&cli);
}
