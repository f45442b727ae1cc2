#include "model_text.h"

#include "engine.h"

#include "base/file.h"
#include "format/egoclip.h"
#include "text/learn.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* ---- tokenize --------------------------------------------------------------------------------------------- */

static ego_err tokenize_record(ego_cli *cli, const ego_bpe *bpe, const ego_record *record) {
    if (!record->text) return ego_fail(EGO_EINPUT, "expected a text, found none");
    ego_tokens tokens = {0};
    ego_buf line = {0};
    ego_err err = ego_bpe_encode(bpe, record->text, strlen(record->text), 0, &tokens);
    ego_record_begin(record, &line);
    ego_buf_json_key(&line, "tokens");
    ego_buf_char(&line, '[');
    for (size_t i = 0; err == EGO_OK && i < tokens.count; i++)
        ego_buf_printf(&line, "%s%lld", i ? "," : "", (long long)tokens.ids[i]);
    ego_buf_char(&line, ']');
    ego_record_close(record, EGO_RECORD_ALL & ~EGO_RECORD_TOKENS, &line);
    if (err == EGO_OK) err = ego_buf_err(&line);
    if (err == EGO_OK) err = ego_cli_write_line(cli, &line);
    ego_buf_release(&line);
    ego_tokens_release(&tokens);
    return err;
}

ego_err ego_model_tokenize(ego_cli *cli) {
    static const char *const writes[] = {"tokens", NULL};
    static const ego_record_rules rules = {.writes = writes};
    ego_model *m = NULL;
    ego_bpe *own = NULL;
    if (cli->tokenizer) {
        EGO_TRY(ego_bpe_load(cli->tokenizer, &own));
    } else {
        const char *path = ego_engine_model_path(cli);
        if (!path) return EGO_ECANCELLED; /* already said */
        EGO_TRY(ego_model_open(path, NULL, &m));
        if (!m->bpe) {
            ego_model_close(m, NULL);
            return ego_fail(EGO_EINPUT, "%s has no vocabulary: give --tokenizer DIR", path);
        }
        if (ego_bpe_is_bytes(m->bpe))
            ego_cli_note(cli, "%s: no vocabulary in the file: text goes in byte by byte", path);
    }
    ego_record record;
    for (ego_err err; (err = ego_cli_next_record(cli, &rules, &record)) != EGO_EEND;) {
        if (err == EGO_OK) err = tokenize_record(cli, own ? own : m->bpe, &record);
        if (!ego_cli_record_done(cli, &record, err)) break;
    }
    ego_bpe_free(own);
    ego_model_close(m, NULL);
    return EGO_OK;
}

/* ---- learn-tokenizer --------------------------------------------------------------------------------------- */

static ego_err learn_text(ego_bpe_learner *learner, const char *text) {
    if (!text) return ego_fail(EGO_EINPUT, "expected a text, found none");
    return ego_bpe_learner_add(learner, text, strlen(text), 1);
}

static ego_err learn_egoclip(ego_cli *cli, const char *path, ego_bpe_learner *learner) {
    ego_arena arena;
    ego_egoclip rows;
    ego_arena_init(&arena, 1 << 20);
    ego_err err = ego_egoclip_read(path, &arena, &rows);
    if (err == EGO_OK && rows.malformed)
        ego_cli_note(cli, "%zu malformed rows left out, the first: %s", rows.malformed, rows.first_fault);
    for (size_t i = 0; err == EGO_OK && i < rows.count && !ego_cli_stopped(cli); i++)
        err = learn_text(learner, rows.clips[i].text);
    ego_arena_release(&arena);
    return err;
}

static ego_err learn_lines(ego_cli *cli, const char *path, ego_bpe_learner *learner) {
    ego_lines *lines;
    char *text;
    size_t n;
    EGO_TRY(ego_lines_open(path, EGO_BPE_MAX_TEXT, -1, &lines));
    ego_err err = EGO_OK;
    while (err == EGO_OK && !ego_cli_stopped(cli)) {
        err = ego_lines_next(lines, &text, &n);
        if (err == EGO_OK) err = ego_bpe_learner_add(learner, text, n, 1);
    }
    ego_lines_close(lines);
    return err == EGO_EEND ? EGO_OK : err;
}

static ego_err learn_files(ego_cli *cli, ego_bpe_learner *learner) {
    static const ego_record_rules rules = {0};
    for (size_t i = 0; i < cli->n_media; i++)
        if (!ego_has_suffix(cli->media[i], ".csv") && !ego_has_suffix(cli->media[i], ".txt"))
            return ego_fail(EGO_EINPUT, "%s: expected a .csv, .jsonl, .json or .txt file", cli->media[i]);
    ego_record record;
    for (ego_err err; (err = ego_cli_next_record(cli, &rules, &record)) != EGO_EEND;) {
        if (err == EGO_OK) err = learn_text(learner, record.text);
        if (!ego_cli_record_done(cli, &record, err)) break;
    }
    for (size_t i = 0; i < cli->n_media && !ego_cli_stopped(cli); i++)
        EGO_TRY(ego_has_suffix(cli->media[i], ".csv") ? learn_egoclip(cli, cli->media[i], learner)
                                                      : learn_lines(cli, cli->media[i], learner));
    return ego_cli_stopped(cli) ? ego_fail(EGO_ECANCELLED, "stopped") : EGO_OK;
}

static void add_count(ego_buf *line, const char *key, size_t n) {
    ego_buf_json_key(line, key);
    ego_buf_printf(line, "%zu", n);
}

static ego_err write_learned(ego_cli *cli, const ego_model_learning *o, const ego_bpe_learned *learned) {
    if (!learned->texts) return ego_fail(EGO_EINPUT, "no text to learn from");
    if (learned->tokens < (size_t)o->size)
        ego_cli_note(cli, "%zu of %lld tokens: no pair is left that occurs %lld times", learned->tokens,
                     (long long)o->size, (long long)o->least);
    EGO_TRY(ego_bpe_learned_write(learned, o->output));
    ego_bpe *written;
    EGO_TRY(ego_bpe_load(o->output, &written)); /* what was written can be read */
    ego_bpe_free(written);
    ego_buf line = {0};
    ego_buf_text(&line, "{\"tokenizer\":");
    ego_buf_json_string(&line, o->output, strlen(o->output));
    add_count(&line, "tokens", learned->tokens);
    add_count(&line, "texts", learned->texts);
    add_count(&line, "words", learned->pieces);
    ego_buf_json_key(&line, "tokens_per_text");
    ego_buf_json_double(&line, round(1e3 * (double)learned->text_tokens / (double)learned->texts) / 1e3);
    ego_buf_char(&line, '}');
    ego_err err = ego_cli_write_line(cli, &line);
    ego_buf_release(&line);
    return err;
}

/* Said before the work, not after it. */
static ego_err check_absent(const ego_model_learning *o, const char *name) {
    ego_buf path = {0};
    ego_buf_printf(&path, "%s/%s", o->output, name);
    ego_err err = ego_buf_err(&path);
    if (err == EGO_OK && !o->force && access(path.data, F_OK) == 0)
        err = ego_fail(EGO_EINPUT, "%s exists: --force overwrites it", path.data);
    ego_buf_release(&path);
    return err;
}

ego_err ego_model_learn(ego_cli *cli, const ego_model_learning *o) {
    if (!o->output) return ego_fail(EGO_EINPUT, "where to? give -o DIR");
    EGO_TRY(check_absent(o, "vocab.json"));
    EGO_TRY(check_absent(o, "merges.txt"));
    ego_progress progress = ego_cli_progress(cli);
    ego_bpe_learning learning = {(size_t)o->size, (uint64_t)o->least, &progress};
    ego_bpe_learned learned = {0};
    ego_bpe_learner *learner;
    EGO_TRY(ego_bpe_learner_new(&learner));
    ego_err err = learn_files(cli, learner);
    if (err == EGO_OK) err = ego_bpe_learn(learner, &learning, &learned);
    if (err == EGO_OK) err = write_learned(cli, o, &learned);
    ego_bpe_learned_release(&learned);
    ego_bpe_learner_free(learner);
    return err;
}
