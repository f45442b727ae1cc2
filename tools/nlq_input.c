#include "nlq_input.h"

#include "base/file.h"

void ego_nlq_input_open(ego_cli *cli, const ego_nlq_input_options *options, ego_nlq_input *in) {
    bool media = options->asked->n > 0;
    *in = (ego_nlq_input){.cli = cli, .options = *options};
    ego_arena_init(&in->arena, 1 << 16);
    in->annotations = options->annotations != NULL;
    in->n_files = media ? 0 : cli->n_files;
    in->records = !media && cli->n_args == 0 && !in->annotations;
}

void ego_nlq_input_close(ego_nlq_input *in) { ego_arena_release(&in->arena); }

/* ---- every --query of every MEDIA ------------------------------------------------------------------------ */

static ego_err next_of_media(ego_nlq_input *in, ego_nlq_question *q) {
    const ego_option_list *asked = in->options.asked;
    while (asked->n && in->medium < in->cli->n_media) {
        const char *path = in->cli->media[in->medium], *text = asked->items[in->query];
        in->number++;
        if (++in->query == asked->n) in->query = 0, in->medium++;
        if (ego_cli_name_in_shard(in->cli, path)) return ego_nlq_question_of_medium(path, text, in->number, q);
    }
    return ego_fail(EGO_EEND, "no more media");
}

/* ---- Ego4D's own files ----------------------------------------------------------------------------------- */

/* Goes on to the next query of this shard that has a text, or to the file's end. */
static void seek(ego_nlq_input *in) {
    for (; in->at < in->all.query_count; in->at++) {
        const ego_nlq_query *query = &in->all.queries[in->at];
        if (!ego_cli_name_in_shard(in->cli, in->all.clips[query->clip].video)) continue;
        if (query->text) return;
        in->no_text++; /* one of the validation set's */
    }
}

static ego_err open_file(ego_nlq_input *in, const char *path) {
    EGO_TRY(ego_nlq_read(path, &in->arena, &in->all));
    in->path = path;
    in->at = 0;
    in->total = in->cli->shard.count == 1 ? in->given + in->all.query_count : 0;
    seek(in);
    return EGO_OK;
}

/* Opens the next of them; the others come to the front of cli->files. EGO_EEND when there is none. */
static ego_err next_file(ego_nlq_input *in) {
    ego_cli *cli = in->cli;
    if (in->annotations) return in->annotations = false, open_file(in, in->options.annotations);
    while (in->file < in->n_files) {
        const char *path = cli->files[in->file++];
        if (ego_has_suffix(path, ".json") && ego_nlq_is_official(path)) return open_file(in, path);
        cli->files[in->n_lines++] = path;
        in->records = true;
    }
    if (in->n_files) cli->n_files = in->n_lines;
    return ego_fail(EGO_EEND, "no more files");
}

static ego_err next_of_files(ego_nlq_input *in, ego_nlq_question *q) {
    while (!in->path || in->at == in->all.query_count) {
        in->path = NULL;
        in->total = 0;
        EGO_TRY(next_file(in));
    }
    const ego_nlq_query *query = &in->all.queries[in->at++];
    seek(in);
    return ego_nlq_question_of_query(&in->all, query, in->cli->video_root, in->path, q);
}

/* ---- lines ----------------------------------------------------------------------------------------------- */

static ego_err next_of_records(ego_nlq_input *in, ego_nlq_question *q) {
    static const char *const writes[] = {"predicted_times", "scores", "clip_uid", "annotation_uid",
                                         "query_idx", NULL};
    static const ego_record_rules rules = {NULL, writes};
    if (!in->records) return ego_fail(EGO_EEND, "no more records");
    if (in->options.official)
        return ego_fail(EGO_EINPUT, "--format ego4d answers Ego4D's own files: expected an nlq_*.json, found records");
    ego_record record;
    ego_err err = ego_cli_next_record(in->cli, &rules, &record);
    bool own = err == EGO_OK || ((err == EGO_EINPUT || err == EGO_EFORMAT) && record.id);
    return own ? ego_nlq_question_of_record(&record, err, q) : err;
}

/* ---- all of them ----------------------------------------------------------------------------------------- */

ego_err ego_nlq_input_next(ego_nlq_input *in, ego_nlq_question *q) {
    *q = (ego_nlq_question){0};
    if (ego_cli_stopped(in->cli)) return ego_fail(EGO_EEND, "stopped");
    ego_err err = next_of_media(in, q);
    if (err == EGO_EEND) err = next_of_files(in, q);
    if (err == EGO_EEND) err = next_of_records(in, q);
    in->given += err == EGO_OK;
    return err;
}

bool ego_nlq_input_paused(const ego_nlq_input *in) {
    if (in->path) return in->at == in->all.query_count;
    return ego_cli_input_paused(in->cli);
}
