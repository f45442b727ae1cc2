/* EPIC-Kitchens' and Charades-Ego's files, and predictions of anybody: small ones of the published shape, then
 * the ways in which they can be wrong. */
#include <locale.h>

#include "check.h"
#include "format/charades.h"
#include "format/epic.h"
#include "format/predictions.h"

static ego_arena arena;

static void check_message(const char *part) {
    if (!CHECK(strstr(ego_err_message(), part) != NULL))
        fprintf(stderr, "    '%s' expected in '%s'\n", part, ego_err_message());
}

/* ---- EPIC-Kitchens ------------------------------------------------------------------------------- */

#define EPIC_HEADER                                                                                \
    "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,"     \
    "start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_"         \
    "classes\n"
#define TIMES "00:00:05.0,00:00:04.50,00:01:06.25,225,312,"

static const char epic[] = EPIC_HEADER
    "P99_01_7,P99,P99_01," TIMES "wipe tray,wipe,2,tray,30,\"['tray', 'cloth']\",\"[30, 12]\"\n"
    "P99_01_8,P99,P99_01," TIMES "\"wipe tray, again\",wipe,2,tray,30,['tray'],[30]\r\n"
    "P99_02_0,P99,P99_02,00:00:05.0,01:02:03,01:02:03.5,1,2,look,look,7,,,[],[]\n"
    "P99_02_1,P99,P99_02," TIMES "put cup,put,1,cup,13,,\n";

static void test_epic(void) {
    ego_epic_clips set;
    if (!CHECK_OK(ego_epic_clips_parse(epic, sizeof epic - 1, "e.csv", &arena, &set))) return;
    const ego_epic_clip *c = set.clips;
    CHECK(set.count == 4 && set.classless == 0);
    CHECK_STR(c[0].id, "P99_01_7");
    CHECK_STR(c[0].participant, "P99");
    CHECK_STR(c[0].video, "P99_01");
    CHECK_STR(c[1].narration, "wipe tray, again");
    CHECK(c[0].start == 4.5 && c[0].stop == 66.25 && c[2].start == 3723 && c[2].stop == 3723.5);
    CHECK(c[0].verb == 2 && c[0].noun_count == 2 && c[0].nouns[0] == 12 && c[0].nouns[1] == 30);
    CHECK(c[2].noun_count == 0 && c[3].noun_count == 1 && c[3].nouns[0] == 13);
    CHECK_NEAR(ego_epic_relevancy(&c[0], &c[0]), 1, 0);
    CHECK_NEAR(ego_epic_relevancy(&c[0], &c[1]), 0.75, 0);
    CHECK_NEAR(ego_epic_relevancy(&c[2], &c[2]), 0.5, 0); /* no nouns: that half is 0 */
    CHECK_NEAR(ego_epic_relevancy(&c[0], &c[3]), 0, 0);

    static const char sentences[] =
        "narration_id,narration\nP99_01_7,wipe tray\nP99_02_1,put cup\n";
    ego_epic_sentences captions;
    CHECK_OK(ego_epic_sentences_parse(sentences, sizeof sentences - 1, "s.csv", &arena, &captions));
    CHECK(captions.count == 2);
    CHECK_STR(captions.sentences[1].id, "P99_02_1");
    CHECK_STR(captions.sentences[1].narration, "put cup");

    /* the challenge's split comes without classes */
    static const char blind[] = "narration_id,participant_id,video_id,start_timestamp,"
                                "stop_timestamp,narration\nP1_1,P1,P1_0,00:00:01.5,00:00:02,x\n";
    CHECK_OK(ego_epic_clips_parse(blind, sizeof blind - 1, "b.csv", &arena, &set));
    CHECK(set.classless == 1 && set.clips[0].verb == -1);
}

static void epic_fails(const char *text, const char *message) {
    ego_epic_clips set;
    CHECK_ERR(EGO_EFORMAT, ego_epic_clips_parse(text, strlen(text), "e.csv", &arena, &set));
    check_message(message);
}

static void test_epic_faults(void) {
    epic_fails("", "e.csv: a header line expected, found nothing");
    epic_fails("a,b\n1,2\n",
               "line 1: a comma-separated header with 'narration_id' expected, found 'a'");
    epic_fails(EPIC_HEADER, "e.csv: lines expected behind the header");
    epic_fails(EPIC_HEADER ",P,v," TIMES "x,v,1,n,2,[],[]\n",
               "e.csv: line 2: narration_id: a name expected, found ''");
    epic_fails(EPIC_HEADER "a,P,v,,00:00:4x,00:00:05,1,2,x,v,1,n,2,[],[]\n",
               "start_timestamp: a time HH:MM:SS.ss expected, found '00:00:4x'");
    epic_fails(EPIC_HEADER "a,P,v,,4.5,00:00:05,1,2,x,v,1,n,2,[],[]\n", "start_timestamp");
    epic_fails(EPIC_HEADER "a,P,v," TIMES "x,v,one,n,2,[],[]\n", "verb_class: a class expected");
    epic_fails(EPIC_HEADER "a,P,v," TIMES "x,v,1,n,2,[],[99999]\n", "all_noun_classes: a list");
    epic_fails(EPIC_HEADER "a,P,v," TIMES "x,v,1,n,two,,\n", "noun_class: a class expected");
    double seconds;
    CHECK(ego_epic_time("00:00:00.0", &seconds) && seconds == 0);
    CHECK(!ego_epic_time("", &seconds) && !ego_epic_time("1:2", &seconds) &&
          !ego_epic_time("::3", &seconds) && !ego_epic_time("1:2:-3", &seconds) &&
          !ego_epic_time("1:2:1e3", &seconds) && !ego_epic_time("1:2:3:4", &seconds));
}

/* ---- Charades-Ego -------------------------------------------------------------------------------- */

static const char charades[] =
    "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n"
    "A1EGO,S1,Kitchen,7,7,Yes,\"A \"\"quoted\"\" script, long\",cup;tray,x,"
    "c009 0.0 4.20;c011 3.10 8.00,30.5\n"
    "B2EGO,S2,Hall,,,No,y,,z,,12\n";

static void test_charades(void) {
    ego_charades set;
    if (!CHECK_OK(ego_charades_parse(charades, sizeof charades - 1, "c.csv", &arena, &set))) return;
    CHECK(set.count == 2 && set.videos[0].count == 2 && set.videos[1].count == 0);
    CHECK_STR(set.videos[0].id, "A1EGO");
    const ego_charades_action *a = set.videos[0].actions;
    CHECK(a[0].action == 9 && a[0].start == 0 && a[0].end == 4.2 && a[1].action == 11);

    static const char rows[] = "id\tcls\tt_start\tt_end\tnarration\n"
                               "A1EGO\t9\t0.0\t4.2\tPutting a book somewhere\n";
    ego_charades_rows train;
    CHECK_OK(ego_charades_rows_parse(rows, sizeof rows - 1, "m.csv", &arena, &train));
    CHECK(train.count == 1 && train.rows[0].action.action == 9 && train.rows[0].action.end == 4.2);
    CHECK_STR(train.rows[0].narration, "Putting a book somewhere");

    static const char names[] = "c000 Holding some clothes\r\nc001 Putting clothes, somewhere\n\n";
    ego_charades_classes classes;
    CHECK_OK(ego_charades_classes_parse(names, sizeof names - 1, "k.txt", &arena, &classes));
    CHECK(classes.count == 2);
    CHECK_STR(classes.names[1],
              "Putting clothes, somewhere"); /* the reference loses what follows a comma */
}

static void charades_fails(const char *actions, const char *message) {
    char text[256];
    ego_charades set;
    snprintf(text, sizeof text, "id,actions\nA,%s\n", actions);
    CHECK_ERR(EGO_EFORMAT, ego_charades_parse(text, strlen(text), "c.csv", &arena, &set));
    check_message(message);
}

static void test_charades_faults(void) {
    charades_fails("9 0 1", "c.csv: line 2: actions: 'c000 START END' expected, found '9 0 1'");
    charades_fails("c009 0", "found 'c009 0'");
    charades_fails("c009 0 1 2", "found 'c009 0 1 2'");
    charades_fails("c1000 0 1", "found 'c1000 0 1'");
    charades_fails("c009 0 1;c010 x 1", "found 'c010 x 1'");
    ego_charades_classes classes;
    CHECK_ERR(EGO_EFORMAT, ego_charades_classes_parse("c001 x\n", 7, "k.txt", &arena, &classes));
    check_message("k.txt line 1: 'c000 NAME' expected, found 'c001 x'");
    CHECK_ERR(EGO_EFORMAT, ego_charades_classes_parse("", 0, "k.txt", &arena, &classes));
    ego_charades_rows rows;
    static const char bad[] = "id\tcls\tt_start\tt_end\tnarration\nA\t9\t\t1\tx\n";
    CHECK_ERR(EGO_EFORMAT, ego_charades_rows_parse(bad, sizeof bad - 1, "m.csv", &arena, &rows));
    check_message("m.csv: line 2: t_start: a number expected, found ''");
}

/* ---- predictions --------------------------------------------------------------------------------- */

static ego_err collect(void *context, const ego_json *object, size_t number) {
    char *text = context, room[EGO_PREDICTION_KEY];
    const char *key = ego_prediction_key(object, "id", room);
    size_t n = strlen(text);
    if (key && strcmp(key, "bad") == 0) return ego_fail(EGO_EFORMAT, "a good one expected");
    snprintf(text + n, 200 - n, "%zu:%s ", number, key ? key : "-");
    return EGO_OK;
}

static void reads(const char *text, const char *want) {
    char found[200] = "";
    CHECK_OK(ego_predictions_parse(text, strlen(text), "p", collect, found));
    CHECK_STR(found, want);
}

static void fails(const char *text, const char *message) {
    char found[200] = "";
    CHECK_ERR(EGO_EFORMAT, ego_predictions_parse(text, strlen(text), "p", collect, found));
    check_message(message);
}

static void test_predictions(void) {
    reads("{\"id\":\"a\"}\n\n{\"id\":3}\r\n{\"x\":1}", "1:a 3:3 4:- ");
    reads("\xEF\xBB\xBF\n{\"id\":1.5}\n", "2:1.5 ");
    reads("[{\"id\":\"a\"},\n{\"id\":\"b\"}]", "1:a 2:b ");
    reads("{\"version\":\"1.0\",\"results\":[{\"id\":7}]}", "1:7 ");
    reads("{\n \"results\" : [\n {\"id\":true} ] }\n", "1:- ");
    fails("", "p: predictions expected, found nothing");
    fails("{\"id\":1}\nnonsense\n", "p:2: ");
    fails("{\"id\":1}\n[1]\n", "p:2: an object expected, found an array");
    fails("{\"id\":1}\n{\"id\":\"bad\"}\n", "p:2: a good one expected");
    fails("[{\"id\":\"bad\"}]", "p:1: a good one expected");
    fails("[1]", "p:1: an object expected, found a number");
    fails("3", "p: predictions expected, as JSON lines");
    fails("{\n}", "predictions expected, as JSON lines, an array of objects or an object with");
}

int main(void) {
    setlocale(LC_ALL, "de_DE.UTF-8"); /* where it is installed: numbers still have a point */
    ego_arena_init(&arena, 0);
    test_epic();
    test_epic_faults();
    test_charades();
    test_charades_faults();
    test_predictions();
    ego_arena_release(&arena);
    return check_done();
}
