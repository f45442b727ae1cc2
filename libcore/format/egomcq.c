#include "format/egomcq.h"

#include "format/reading.h"

#include <math.h>
#include <string.h>

/* ---- one clip ---- */

static ego_err optional_tags(const ego_json *object, const char *key, unsigned limit,
                             ego__pack *pack, ego_tags *tags) {
    const ego_json *member = ego_json_get(object, key);
    const char *text;
    if (!member || ego_json_is_null(member)) return EGO_OK;
    if (!ego_json_string(member, &text))
        return ego__expected(key, "a string holding a list", member);
    ego_err err = ego__parse_tags(pack, text, limit, tags);
    return err == EGO_OK ? err : ego_fail_context(err, "'%s'", key);
}

static ego_err read_clip(const ego_json *object, ego__pack *pack, ego_narrated_clip *clip) {
    EGO_TRY(ego__optional_string(object, "video_uid", pack, &clip->video));
    EGO_TRY(ego__optional_string(object, "clip_text", pack, &clip->text));
    EGO_TRY(ego__optional_number(object, "clip_start", &clip->start));
    EGO_TRY(ego__optional_number(object, "clip_end", &clip->end));
    EGO_TRY(ego__optional_number(object, "narration_time", &clip->narration_time));
    EGO_TRY(optional_tags(object, "tag_verb", EGO_VERB_TAGS, pack, &clip->verbs));
    return optional_tags(object, "tag_noun", EGO_NOUN_TAGS, pack, &clip->nouns);
}

static ego_err read_query(const ego_json *object, ego__pack *pack, ego_narrated_clip *clip) {
    EGO_TRY(read_clip(object, pack, clip));
    return clip->text ? EGO_OK : ego__expected("clip_text", "a string", NULL);
}

static ego_err read_choice(const ego_json *object, ego__pack *pack, ego_narrated_clip *clip) {
    EGO_TRY(read_clip(object, pack, clip));
    if (!clip->video) return ego__expected("video_uid", "a string", NULL);
    if (isnan(clip->start)) return ego__expected("clip_start", "a number", NULL);
    if (isnan(clip->end)) return ego__expected("clip_end", "a number", NULL);
    if (clip->end < clip->start)
        return ego_fail(EGO_EFORMAT, "'clip_end': at least the start %g expected, found %g",
                        clip->start, clip->end);
    return EGO_OK;
}

/* ---- one question ---- */

static ego_err read_choices(const ego_json *choices, ego__pack *pack, ego_mcq_question *question) {
    size_t n = ego_json_count(choices), i = 0;
    if (n == 0) return ego__expected("choices", "an object with the choices", choices);
    ego_narrated_clip *clips = ego__pack_alloc(pack, n * sizeof *clips, sizeof(double));
    if (!clips) return ego__no_memory();
    memset(clips, 0, n * sizeof *clips);
    for (const ego_json *c = ego_json_first(choices); c; c = ego_json_next(c), i++) {
        ego_err err = ego_json_is_object(c) ? read_choice(c, pack, &clips[i])
                                            : ego__expected(ego_json_key(c), "an object", c);
        if (err != EGO_OK) return ego_fail_context(err, "choice '%.60s'", ego_json_key(c));
    }
    question->choices = clips;
    question->count = n;
    return EGO_OK;
}

static ego_err read_question(const ego_json *object, ego__pack *pack, ego_mcq_question *question) {
    const ego_json *query, *choices;
    int64_t answer = 0, type = 0;
    if (!ego_json_is_object(object))
        return ego__expected(ego_json_key(object), "an object", object);
    EGO_TRY(ego__member_object(object, "choices", &choices));
    EGO_TRY(ego__member_object(object, "query", &query));
    if (!query) return ego__expected("query", "an object", NULL);
    EGO_TRY(read_choices(choices, pack, question));
    EGO_TRY(ego__member_index(object, "answer", (int64_t)question->count - 1, &answer));
    EGO_TRY(ego__member_index(object, "types", EGO_MCQ_INTRA, &type));
    if (type < EGO_MCQ_INTER)
        return ego_fail(EGO_EFORMAT, "'types': 1 (inter) or 2 (intra) expected, found %d",
                        (int)type);
    question->answer = (size_t)answer;
    question->type = (int)type;
    ego_err err = read_query(query, pack, &question->query);
    if (err != EGO_OK) return ego_fail_context(err, "query");
    return ego__pack_string(pack, ego_json_key(object), &question->id);
}

ego_err ego_mcq_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                      ego_mcq *out) {
    ego__pack pack = {arena, NULL, 0};
    ego__list questions = {.size = sizeof(ego_mcq_question)};
    ego_json *root = NULL;
    void *items = NULL;
    ego_err err;
    EGO_TRY_OUT(ego__parse_json(text, n, name, false, &root));
    for (const ego_json *q = ego_json_first(root); q; q = ego_json_next(q)) {
        ego_mcq_question *question = ego__list_add(&questions);
        err = question ? read_question(q, &pack, question) : ego__no_memory();
        if (err != EGO_OK) {
            ego_fail_context(err, "%s: question '%.60s'", name, ego_json_key(q));
            goto out;
        }
    }
    size_t count = questions.count;
    EGO_TRY_OUT(ego__list_finish(&questions, arena, &items));
    *out = (ego_mcq){items, count};
out:
    ego__list_release(&questions);
    ego_json_free(root);
    return err;
}

ego_err ego_mcq_read(const char *path, ego_arena *arena, ego_mcq *out) {
    EGO__READ(path, ego_mcq_parse, arena, out);
}
