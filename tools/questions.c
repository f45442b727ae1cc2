#include "questions.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_CHUNK = 1 << 14 };

ego_err ego_questions_open(ego_questions *qs, ego_cli *cli, const ego_questions_tool *tool,
                           void *run) {
    *qs = (ego_questions){.cli = cli, .tool = tool, .run = run};
    ego_arena_init(&qs->batch, ARENA_CHUNK);
    qs->questions = calloc(tool->batch, tool->bytes);
    qs->good = calloc(tool->batch, sizeof *qs->good);
    return qs->questions && qs->good ? EGO_OK : ego_fail(EGO_ENOMEM, "out of memory");
}

static ego_question *question_at(ego_questions *qs, size_t i) {
    return (ego_question *)(void *)(qs->questions + i * qs->tool->bytes);
}

static void release_questions(ego_questions *qs) {
    for (size_t i = 0; i < qs->n; i++) {
        ego_question *q = question_at(qs, i);
        ego_record_release(&q->record);
        ego_buf_release(&q->id);
    }
    qs->n = 0;
    ego_arena_release(&qs->batch);
    ego_arena_init(&qs->batch, ARENA_CHUNK);
}

void ego_questions_close(ego_questions *qs) {
    if (!qs->tool) return;
    release_questions(qs);
    ego_arena_release(&qs->batch);
    free(qs->questions);
    free(qs->good);
    *qs = (ego_questions){0};
}

/* ---- answers --------------------------------------------------------------------------------- */

void ego_question_fail(ego_question *q, ego_err err, const char *message) {
    q->err = err;
    snprintf(q->message, sizeof q->message, "%s", message);
}

static ego_err write_answer(ego_questions *qs, ego_question *q) {
    ego_buf line = {0};
    ego_err err = EGO_OK;
    ego_buf_text(&line, "{\"id\":");
    ego_buf_text(&line, q->id.data);
    if (q->err == EGO_OK) {
        err = qs->tool->answer(qs->run, q, &line);
        ego_cli_add_provenance(qs->cli, qs->model_id, NULL, &line);
    } else {
        ego_buf_json_key(&line, "error");
        ego_buf_json_string(&line, q->message, strlen(q->message));
        ego_cli_note(qs->cli, "%s: %s", q->label, q->message);
        ego_cli_count_failed(qs->cli);
    }
    if (q->record.id && q->err == EGO_OK)
        ego_record_close(&q->record, qs->tool->carried, &line);
    else
        ego_buf_char(&line, '}');
    if (err == EGO_OK) err = ego_buf_err(&line);
    if (err == EGO_OK) err = ego_cli_write_line(qs->cli, &line);
    ego_buf_release(&line);
    return err;
}

ego_err ego_questions_flush(ego_questions *qs) {
    size_t good = 0;
    for (size_t i = 0; i < qs->n; i++)
        if (question_at(qs, i)->err == EGO_OK) qs->good[good++] = question_at(qs, i);
    ego_err err = qs->tool->ask(qs->run, qs->good, good);
    for (size_t i = 0; i < qs->n && err == EGO_OK; i++) err = write_answer(qs, question_at(qs, i));
    qs->done += qs->n;
    release_questions(qs);
    ego_cli_show_progress(qs->cli, "questions", qs->done, qs->total);
    return err;
}

ego_question *ego_questions_room(ego_questions *qs) {
    return memset(question_at(qs, qs->n), 0, qs->tool->bytes);
}

ego_err ego_questions_add(ego_questions *qs, ego_err err) {
    ego_question *q = question_at(qs, qs->n++);
    if (err == EGO_ENOMEM) return err;
    EGO_TRY(ego_buf_err(&q->id));
    if (err != EGO_OK) ego_question_fail(q, err, ego_err_message());
    return qs->n == qs->tool->batch ? ego_questions_flush(qs) : EGO_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

typedef ego_err on_file(ego_questions *qs, const char *path);
typedef ego_err on_lines(ego_questions *qs);

/* A benchmark's own files one by one, and then all JSON lines together. */
static ego_err each_input(ego_questions *qs, on_file *benchmark, on_lines *records) {
    ego_cli *cli = qs->cli;
    bool standard = cli->n_files == 0 && cli->n_media == 0;
    size_t lines = 0;
    for (size_t i = 0; i < cli->n_files; i++) {
        if (ego_has_suffix(cli->files[i], ".json"))
            EGO_TRY(benchmark(qs, cli->files[i]));
        else
            cli->files[lines++] = cli->files[i];
    }
    cli->n_files = lines;
    return standard || lines ? records(qs) : EGO_OK;
}

static ego_err answer_benchmark(ego_questions *qs, const char *path) {
    const ego_questions_tool *tool = qs->tool;
    ego_arena arena;
    size_t count = 0;
    ego_arena_init(&arena, 1 << 16);
    ego_err err = tool->load(qs->run, path, &arena, &count);
    qs->total = count;
    for (size_t i = 0; err == EGO_OK && i < count && !ego_cli_stopped(qs->cli); i++)
        if (tool->mine(qs->run, i))
            err = ego_questions_add(
                qs, tool->from_benchmark(qs->run, path, i, ego_questions_room(qs)));
    if (err == EGO_OK) err = ego_questions_flush(qs);
    qs->total = 0;
    ego_arena_release(&arena);
    return err;
}

/* Takes the record over, good or bad. */
static ego_err add_record(ego_questions *qs, const ego_record *record, ego_err err) {
    ego_question *q = ego_questions_room(qs);
    q->record = *record;
    ego_buf_text(&q->id, record->id);
    snprintf(q->label, sizeof q->label, "%s", record->label ? record->label : "");
    return ego_questions_add(qs, err == EGO_OK ? qs->tool->from_record(qs->run, q) : err);
}

static ego_err answer_records(ego_questions *qs) {
    for (;;) {
        if (qs->n && ego_cli_input_paused(qs->cli)) EGO_TRY(ego_questions_flush(qs));
        ego_record record;
        ego_err err = ego_cli_next_record(qs->cli, &qs->tool->rules, &record);
        if (err == EGO_EEND) return ego_questions_flush(qs);
        bool own = err == EGO_OK || ((err == EGO_EINPUT || err == EGO_EFORMAT) && record.id);
        if (!own) return err;
        EGO_TRY(add_record(qs, &record, err));
    }
}

ego_err ego_questions_answer(ego_questions *qs) {
    return each_input(qs, answer_benchmark, answer_records);
}

/* ---- counting -------------------------------------------------------------------------------- */

static void count_one(ego_questions *qs, size_t i, const ego_record *record) {
    qs->total++;
    if (qs->tool->count) qs->tool->count(qs->run, i, record);
}

static ego_err count_benchmark(ego_questions *qs, const char *path) {
    ego_arena arena;
    size_t count = 0;
    ego_arena_init(&arena, 1 << 16);
    ego_err err = qs->tool->load(qs->run, path, &arena, &count);
    for (size_t i = 0; err == EGO_OK && i < count; i++)
        if (qs->tool->mine(qs->run, i)) count_one(qs, i, NULL);
    ego_arena_release(&arena);
    return err;
}

static ego_err count_records(ego_questions *qs) {
    ego_record record;
    ego_err err;
    while ((err = ego_cli_next_record(qs->cli, &qs->tool->rules, &record)) != EGO_EEND) {
        if (!record.id) return err;
        if (err == EGO_OK)
            count_one(qs, 0, &record);
        else
            qs->total++, qs->unreadable++;
        ego_record_release(&record);
    }
    return EGO_OK;
}

ego_err ego_questions_count(ego_questions *qs, uint64_t *count, uint64_t *unreadable) {
    EGO_TRY(each_input(qs, count_benchmark, count_records));
    *count = qs->total;
    *unreadable = qs->unreadable;
    return EGO_OK;
}
