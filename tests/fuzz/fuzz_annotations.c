/* The readers of the benchmarks' files: the first byte chooses which. Everything returned is touched. */
#include "format/charades.h"
#include "format/egoclip.h"
#include "format/egomcq.h"
#include "format/epic.h"
#include "format/nlq.h"
#include "format/predictions.h"
#include "format/qfvs.h"
#include "format/taskqa.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile size_t sink;

static void touch(const char *text) { sink += text ? strlen(text) : 0; }

static void touch_clip(const ego_narrated_clip *clip) {
    touch(clip->video);
    touch(clip->text);
    for (size_t i = 0; i < clip->verbs.count; i++)
        if (clip->verbs.ids[i] >= EGO_VERB_TAGS) abort();
    for (size_t i = 0; i < clip->nouns.count; i++)
        if (clip->nouns.ids[i] >= EGO_NOUN_TAGS) abort();
}

static void egoclip(const char *text, size_t n, ego_arena *arena) {
    ego_egoclip set;
    if (ego_egoclip_parse(text, n, "f", arena, &set) != EGO_OK) return;
    for (size_t i = 0; i < set.count; i++) touch_clip(&set.clips[i]);
    if ((set.malformed > 0) != (set.first_fault != NULL) || !set.count) abort();
}

static void egomcq(const char *text, size_t n, ego_arena *arena) {
    ego_mcq set;
    if (ego_mcq_parse(text, n, "f", arena, &set) != EGO_OK) return;
    for (size_t i = 0; i < set.count; i++) {
        const ego_mcq_question *q = &set.questions[i];
        if (q->answer >= q->count) abort();
        touch(q->id);
        touch_clip(&q->query);
        for (size_t k = 0; k < q->count; k++) touch_clip(&q->choices[k]);
    }
}

static void touch_nlq(const ego_nlq *set) {
    size_t queries = 0;
    for (size_t i = 0; i < set->clip_count; i++) {
        touch(set->clips[i].uid);
        touch(set->clips[i].video);
        if (set->clips[i].first != queries) abort();
        queries += set->clips[i].count;
    }
    if (queries != set->query_count) abort();
    for (size_t i = 0; i < queries; i++) {
        touch(set->queries[i].annotation);
        touch(set->queries[i].text);
        if (set->queries[i].clip >= set->clip_count) abort();
    }
}

static void nlq(const char *text, size_t n, ego_arena *arena) {
    ego_nlq set;
    if (ego_nlq_parse(text, n, "f", arena, &set) == EGO_OK) touch_nlq(&set);
}

static void processed(const char *text, size_t n, ego_arena *arena) {
    ego_nlq set;
    if (ego_nlq_parse_processed(text, n, "f", arena, &set) == EGO_OK) touch_nlq(&set);
}

static void taskqa(const char *text, size_t n, ego_arena *arena) {
    ego_qa set;
    if (ego_qa_parse(text, n, "f", arena, &set) != EGO_OK) return;
    for (size_t i = 0; i < set.count; i++) {
        const ego_qa_question *q = &set.questions[i];
        touch(q->interval);
        touch(q->question);
        touch(q->answer);
        touch(q->semantic);
        for (size_t k = 0; k < q->type_count; k++) touch(q->types[k]);
        for (size_t k = 0; k < q->category_count; k++) touch(q->categories[k]);
        for (size_t k = 0; k < q->reasoning_count; k++) touch(q->reasoning[k]);
    }
}

static void names(const char *text, size_t n, ego_arena *arena) {
    ego_names set;
    if (ego_names_parse(text, n, "f", arena, &set) != EGO_OK) return;
    for (size_t i = 0; i < set.count; i++) touch(set.names[i]);
}

static void tags(const char *text, size_t n, ego_arena *arena) {
    ego_qfvs_tags set;
    if (ego_qfvs_tags_parse(text, n, "f", arena, &set) != EGO_OK) return;
    for (size_t i = 0; i < set.count; i++)
        for (size_t k = 0; k < set.shots[i].count; k++) touch(set.shots[i].concepts[k]);
}

static void oracle(const char *text, size_t n, ego_arena *arena) {
    ego_qfvs_oracle set;
    if (ego_qfvs_oracle_parse(text, n, "A_B_oracle.txt", arena, &set) != EGO_OK) return;
    for (size_t i = 0; i < set.count; i++) sink += set.shots[i];
}

static void epic_clips(const char *text, size_t n, ego_arena *arena) {
    ego_epic_clips set;
    size_t classless = 0;
    if (ego_epic_clips_parse(text, n, "f", arena, &set) != EGO_OK) return;
    for (size_t i = 0; i < set.count; i++) {
        const ego_epic_clip *c = &set.clips[i];
        double relevancy = ego_epic_relevancy(c, &set.clips[0]);
        if (!(relevancy >= 0 && relevancy <= 1)) abort();
        for (size_t k = 1; k < c->noun_count; k++)
            if (c->nouns[k - 1] >= c->nouns[k]) abort();
        classless += c->verb < 0;
        touch(c->id);
        touch(c->participant);
        touch(c->video);
        touch(c->narration);
    }
    if (!set.count || classless != set.classless) abort();
}

static void epic_sentences(const char *text, size_t n, ego_arena *arena) {
    ego_epic_sentences set;
    if (ego_epic_sentences_parse(text, n, "f", arena, &set) != EGO_OK) return;
    for (size_t i = 0; i < set.count; i++) {
        touch(set.sentences[i].id);
        touch(set.sentences[i].narration);
    }
}

static void charades(const char *text, size_t n, ego_arena *arena) {
    ego_charades set;
    if (ego_charades_parse(text, n, "f", arena, &set) != EGO_OK) return;
    for (size_t i = 0; i < set.count; i++) {
        touch(set.videos[i].id);
        for (size_t k = 0; k < set.videos[i].count; k++)
            if (set.videos[i].actions[k].action >= EGO_CHARADES_MAX_CLASSES) abort();
    }
}

static void charades_rows(const char *text, size_t n, ego_arena *arena) {
    ego_charades_rows set;
    if (ego_charades_rows_parse(text, n, "f", arena, &set) != EGO_OK) return;
    for (size_t i = 0; i < set.count; i++) {
        touch(set.rows[i].id);
        touch(set.rows[i].narration);
        if (set.rows[i].action.action >= EGO_CHARADES_MAX_CLASSES) abort();
    }
}

static void charades_classes(const char *text, size_t n, ego_arena *arena) {
    ego_charades_classes set;
    if (ego_charades_classes_parse(text, n, "f", arena, &set) != EGO_OK) return;
    for (size_t i = 0; i < set.count; i++) touch(set.names[i]);
}

static ego_err touch_prediction(void *context, const ego_json *object, size_t number) {
    char room[EGO_PREDICTION_KEY];
    (void)context;
    if (!number || !ego_json_is_object(object)) abort();
    touch(ego_prediction_key(object, "id", room));
    return EGO_OK;
}

static void predictions(const char *text, size_t n, ego_arena *arena) {
    (void)arena;
    ego_predictions_parse(text, n, "f", touch_prediction, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const readers[])(const char *, size_t, ego_arena *) = {
        egoclip, egomcq, nlq,        processed,      taskqa,   names,         tags,
        oracle,  epic_clips, epic_sentences, charades, charades_rows, charades_classes,
        predictions};
    if (size == 0) return 0;
    size_t n = size - 1;
    char *text = malloc(n ? n : 1); /* of its own, so that reading past the end is seen */
    if (!text) return 0;
    memcpy(text, data + 1, n);
    ego_arena arena;
    ego_arena_init(&arena, 1 << 12);
    readers[(data[0] - (unsigned)'0') % (sizeof readers / sizeof *readers)](text, n, &arena);
    ego_arena_release(&arena);
    free(text);
    return 0;
}
