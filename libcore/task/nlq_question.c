#include "task/nlq_question.h"

#include "task/nlq_part.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- questions ------------------------------------------------------------------------------------------- */

/* It cannot be asked, for what the thread's message says. */
static void fail_question(ego_nlq_question *q, ego_err err) {
    q->err = err;
    snprintf(q->message, sizeof q->message, "%s", ego_err_message());
}

static ego_err check_record(const ego_record *r) {
    if (!r->video) return ego_fail(EGO_EINPUT, "expected a \"video\" to look in, found none");
    if (!r->text) return ego_fail(EGO_EINPUT, "expected a \"text\" to look for, found none");
    return EGO_OK;
}

ego_err ego_nlq_question_of_record(ego_record *record, ego_err err, ego_nlq_question *q) {
    *q = (ego_nlq_question){.record = *record};
    *record = (ego_record){0};
    const ego_record *r = &q->record;
    if (err == EGO_OK) err = check_record(r);
    if (err != EGO_OK) fail_question(q, err);
    snprintf(q->label, sizeof q->label, "%s", r->label ? r->label : "");
    ego_buf_text(&q->id, r->id);
    q->text = r->text;
    q->part = (ego_video_part){r->video, r->has & EGO_RECORD_START ? r->start : NAN,
                               r->has & EGO_RECORD_END ? r->end : NAN};
    return ego_buf_err(&q->id);
}

ego_err ego_nlq_question_of_query(const ego_nlq *all, const ego_nlq_query *query, const char *root,
                                  const char *file, ego_nlq_question *q) {
    *q = (ego_nlq_question){.query = query, .clip = &all->clips[query->clip], .text = query->text};
    ego_buf id = {0};
    ego_buf_printf(&id, "%s/%" PRId64, query->annotation, query->index);
    ego_err err = ego_buf_err(&id);
    if (err == EGO_OK) ego_buf_json_string(&q->id, id.data, id.len);
    snprintf(q->label, sizeof q->label, "%s: %s", file, id.data ? id.data : "");
    ego_buf_release(&id);
    EGO_TRY(err);
    ego_nlq_find_part(root, q->clip, &q->part, &q->offset);
    return ego_buf_err(&q->id);
}

static void add_text(ego_buf *line, const char *key, const char *text) {
    ego_buf_json_key(line, key);
    ego_buf_json_string(line, text, strlen(text));
}

ego_err ego_nlq_question_of_medium(const char *path, const char *text, uint64_t number, ego_nlq_question *q) {
    static const ego_record_rules none;
    ego_buf line = {0};
    ego_record record = {0};
    *q = (ego_nlq_question){0};
    ego_buf_char(&line, '{');
    add_text(&line, "video", path);
    add_text(&line, "text", text);
    ego_buf_char(&line, '}');
    ego_err err = ego_buf_err(&line);
    if (err == EGO_OK) err = ego_record_parse(line.data, line.len, path, number, number, &none, &record);
    ego_buf_release(&line);
    return err == EGO_OK || record.id ? ego_nlq_question_of_record(&record, err, q) : err;
}

void ego_nlq_question_release(ego_nlq_question *q) {
    ego_record_release(&q->record);
    ego_buf_release(&q->id);
    *q = (ego_nlq_question){0};
}

static bool same_number(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

bool ego_nlq_same_part(const ego_nlq_question *a, const ego_nlq_question *b) {
    const ego_video_part *p = &a->part, *q = &b->part;
    return p->video && q->video && strcmp(p->video, q->video) == 0 && same_number(p->start, q->start) &&
           same_number(p->end, q->end);
}
