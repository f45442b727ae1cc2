#include "embed_input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static void add_medium(ego_embed_input *in, size_t *n, const char *path) {
    if (!ego_cli_name_in_shard(in->cli, path)) return;
    bool live = in->options.window > 0 && (in->options.follow > 0 || ego_medium_is_pipe(path));
    in->media[(*n)++] = (ego_medium){.path = path, .live = live};
}

ego_err ego_embed_input_open(ego_cli *cli, const ego_embed_input_options *o, ego_embed_input *in) {
    size_t named = cli->n_media + o->n_media, n = 0;
    *in = (ego_embed_input){.cli = cli, .options = *o, .media = calloc(named + 1, sizeof *in->media)};
    if (!in->media) return ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < o->n_media; i++) add_medium(in, &n, o->media[i]);
    for (size_t i = 0; !o->no_arguments && i < cli->n_media; i++) add_medium(in, &n, cli->media[i]);
    ego_windows_options w = {.window = o->window, .stride = o->stride, .text = o->text};
    in->windows = ego_windows_of(&w, in->media, n);
    in->records = cli->n_files > 0 || (!named && !o->text);
    in->text_given = o->text != NULL && !named;
    return EGO_OK;
}

void ego_embed_input_close(ego_embed_input *in) {
    free(in->media);
    *in = (ego_embed_input){0};
}

/* --text alone is one record without a clip. */
static ego_err text_record(const char *text, ego_record *record) {
    static const ego_record_rules none;
    ego_buf line = {0};
    ego_buf_text(&line, "{\"id\":\"text\",\"text\":");
    ego_buf_json_string(&line, text, strlen(text));
    ego_buf_char(&line, '}');
    ego_err err = ego_buf_err(&line);
    if (err == EGO_OK) err = ego_record_parse(line.data, line.len, "--text", 1, 1, &none, record);
    ego_buf_release(&line);
    return err;
}

/* A file that is to be followed may not be there yet. */
static void await_file(const ego_embed_input *in) {
    const ego_windows *w = &in->windows;
    if (in->options.follow <= 0 || w->window || !ego_windows_live(w)) return;
    struct stat st;
    const struct timespec nap = {0, 50 * 1000 * 1000};
    for (double waited = 0; waited < in->options.follow && !ego_cli_stopped(in->cli); waited += 0.05) {
        if (stat(in->media[w->at].path, &st) != 0 ? errno != ENOENT : st.st_size > 0) return;
        nanosleep(&nap, NULL);
    }
}

ego_err ego_embed_input_next(ego_embed_input *in, ego_record *record) {
    static const char *const writes[] = {"part", "model", "layer", "dtype",     "shape",
                                         "scale", "vtm",  "row",   "embedding", NULL};
    static const ego_record_rules rules = {.writes = writes};
    *record = (ego_record){0};
    if (in->update) return ego_update_next(in->update, record);
    if (in->text_given) return in->text_given = false, text_record(in->options.text, record);
    await_file(in);
    ego_err err = ego_windows_next(&in->windows, record);
    if (err != EGO_EEND || !in->records) return err;
    return ego_cli_next_record(in->cli, &rules, record);
}

/* ---- live media ------------------------------------------------------------------------------------------ */

bool ego_embed_input_any_live(const ego_embed_input *in) {
    for (size_t i = 0; i < in->windows.n; i++)
        if (in->media[i].live) return true;
    return false;
}

bool ego_embed_input_go_on(ego_embed_input *in, bool outstanding) {
    if (!in->ended) return true;
    if (outstanding) return false;
    ego_windows_ended(&in->windows);
    in->ended = false;
    return true;
}

/* Whether this is a window of the medium that is live now, not of a file before it. */
static bool is_live(const ego_embed_input *in, const ego_sample *s) {
    const ego_windows *w = &in->windows;
    return ego_windows_live(w) && s->record.video && strcmp(s->record.video, w->media[w->at].path) == 0;
}

/* A window that cannot be read ends the medium, for so would be the next. */
ego_err ego_embed_input_meet(ego_embed_input *in, ego_sample *s, bool *keep) {
    *keep = true;
    if (!is_live(in, s)) return EGO_OK;
    *keep = !in->ended && s->err != EGO_EEND;
    in->ended = in->ended || s->err != EGO_OK || s->last;
    if (!*keep || s->err != EGO_OK || s->end >= s->record.end) return EGO_OK;
    ego_record cut;
    EGO_TRY(ego_window_record(&in->media[in->windows.at], s->record.start, s->end, in->options.text, &cut));
    ego_record_release(&s->record);
    s->record = cut;
    return EGO_OK;
}
