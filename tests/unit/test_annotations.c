/* The benchmarks' own files: small ones of the published shape, then the ways in which they can be wrong. */
#include <locale.h>
#include <math.h>

#include "base/buf.h"
#include "check.h"
#include "format/egoclip.h"
#include "format/egomcq.h"
#include "format/nlq.h"
#include "format/qfvs.h"
#include "format/taskqa.h"

#define DATA "tests/unit/data/annotations/"

static ego_arena arena;

/* The last failure's message holds this. */
static void check_message(const char *part) {
    if (!CHECK(strstr(ego_err_message(), part) != NULL))
        fprintf(stderr, "    '%s' expected in '%s'\n", part, ego_err_message());
}

static void test_egoclip(void) {
    ego_egoclip set;
    if (!CHECK_OK(ego_egoclip_read(DATA "egoclip.csv", &arena, &set))) return;
    CHECK(set.count == 4 && set.malformed == 3);
    CHECK_STR(set.first_fault,
              DATA "egoclip.csv line 4: narration_time: a number expected, found 'seven'");
    const ego_narrated_clip *c = set.clips;
    CHECK_STR(c[0].video, "u-1");
    CHECK_STR(c[0].text, "#C C picks up a cup");
    CHECK(c[0].narration_time == 3.25 && c[0].start == 2.5 && c[0].end == 4);
    CHECK(c[0].verbs.count == 1 && c[0].verbs.ids[0] == 93);
    CHECK(c[0].nouns.count == 2 && c[0].nouns.ids[0] == 192 && c[0].nouns.ids[1] == 115);
    CHECK_STR(c[1].text, "#C C says \"no\"\tand more");
    CHECK(c[1].video == c[0].video && c[1].verbs.count == 0 && c[1].nouns.ids[0] == 581);
    CHECK_STR(c[2].text, "#O man \"X\" waves");
    CHECK(c[2].start == -0.5);
    CHECK_STR(c[3].text, "#C C reads\ntwo lines");
    CHECK(c[3].nouns.count == 1 && c[3].nouns.ids[0] == 8);
}

#define HEADER "video_uid\tnarration_time\tclip_start\tclip_end\tclip_text\ttag_verb\ttag_noun\n"

static void egoclip_fails(const char *text, const char *message) {
    ego_egoclip set;
    CHECK_ERR(EGO_EFORMAT, ego_egoclip_parse(text, strlen(text), "e.csv", &arena, &set));
    check_message(message);
}

static void test_egoclip_faults(void) {
    egoclip_fails("", "e.csv: a header line expected");
    egoclip_fails("a,b\n1,2\n", "with 'video_uid' expected, found 'a,b'");
    egoclip_fails(HEADER, "e.csv: no row could be read of 0");
    egoclip_fails(HEADER "u\t1\t2\t1\tx\t[]\t[]\n",
                  "line 2: an end after the start 2 expected, found 1");
    egoclip_fails(HEADER "u\t1\t2\tnan\tx\t[]\t[]\n", "clip_end: a number expected, found 'nan'");
    egoclip_fails(HEADER "\n\nu\t1\t2\t3\tx\t[1\t[]\n", "line 4: tag_verb: a list [i, …]");
    egoclip_fails(HEADER "u\t1\t2\t3\tx\t[1]]\t[]\n", "tag_verb: a list");
    egoclip_fails(HEADER "u\t1\t2\t3\tx\t[1 2]\t[]\n", "tag_verb: a list");
    egoclip_fails(HEADER "u\t1\t2\t3\tx\t[]\t[582]\n",
                  "tag_noun: a list [i, …] of numbers below 582");
    egoclip_fails(HEADER "u\t1\t2\t3\t\"x\t[]\t[]\n", "e.csv: line 2: a quote is opened");
    egoclip_fails(HEADER "\t1\t2\t3\tx\t[]\t[]\n", "video_uid: a name expected");
    ego_egoclip set;
    const char nul[] = HEADER "u\t1\t2\t3\tx\0y\t[]\t[]\nv\t1\t2\t3\tz\t[]\t[]\n";
    CHECK_OK(ego_egoclip_parse(nul, sizeof nul - 1, "e.csv", &arena, &set));
    CHECK(set.count == 1 && set.malformed == 1);
    CHECK_ERR(EGO_EIO, ego_egoclip_read(DATA "none.csv", &arena, &set));
}

static void test_egomcq(void) {
    ego_mcq set;
    if (!CHECK_OK(ego_mcq_read(DATA "egomcq.json", &arena, &set))) return;
    const ego_mcq_question *q = set.questions;
    CHECK(set.count == 2 && q[0].count == 3 && q[1].count == 2);
    CHECK_STR(q[0].id, "12"); /* the file's order, not the numbers' */
    CHECK(q[0].type == EGO_MCQ_INTRA && q[0].answer == 1);
    CHECK_STR(q[0].query.text, "#C C lifts a cup");
    CHECK(q[0].query.narration_time == 12.9 && q[0].query.nouns.count == 2);
    CHECK(q[0].query.verbs.ids[0] == 93 && q[0].query.nouns.ids[1] == 3);
    CHECK_STR(q[0].choices[2].text, "#C C wipes");
    CHECK(q[0].choices[2].start == 1199.5 && q[0].choices[2].end == 1200.5);
    CHECK(q[0].choices[0].verbs.count == 0 && isnan(q[0].choices[0].narration_time));
    CHECK(q[1].type == EGO_MCQ_INTER && q[1].answer == 0 && q[1].choices[0].start == -1);
    CHECK_STR(q[1].query.text, "#C C opens the bo\xC3\xAEte");
    CHECK(!q[1].query.video && isnan(q[1].query.start) && !q[1].choices[1].text);
    CHECK_STR(q[1].choices[1].video, "u3");
}

#define CHOICES "\"choices\":{\"0\":{\"video_uid\":\"u\",\"clip_start\":1,\"clip_end\":2}}"
#define QUERY "\"query\":{\"clip_text\":\"x\"}"

static void egomcq_fails(const char *text, const char *message) {
    ego_mcq set;
    CHECK_ERR(EGO_EFORMAT, ego_mcq_parse(text, strlen(text), "m.json", &arena, &set));
    check_message(message);
}

static void test_egomcq_faults(void) {
    egomcq_fails("[]", "m.json: an object expected, found an array");
    egomcq_fails("{\"0\":", "m.json: not valid JSON");
    egomcq_fails("{\"0\":7}", "m.json: question '0'");
    egomcq_fails("{\"0\":{" QUERY "}}",
                 "question '0': 'choices': an object with the choices expected");
    egomcq_fails("{\"0\":{" CHOICES "}}", "'query': an object expected, found nothing");
    egomcq_fails("{\"0\":{" QUERY "," CHOICES "}}",
                 "'answer': a whole number expected, found nothing");
    egomcq_fails("{\"0\":{\"answer\":1," QUERY "," CHOICES "}}",
                 "'answer': a whole number from 0 to 0");
    egomcq_fails("{\"0\":{\"answer\":0,\"types\":0," QUERY "," CHOICES "}}", "'types': 1 (inter)");
    egomcq_fails("{\"0\":{\"answer\":0,\"types\":1,\"query\":{}," CHOICES "}}",
                 "query: 'clip_text': a string expected");
    egomcq_fails("{\"0\":{" QUERY ",\"choices\":{\"4\":{\"clip_start\":1,\"clip_end\":2}}}}",
                 "question '0': choice '4': 'video_uid': a string expected, found nothing");
    egomcq_fails("{\"0\":{" QUERY
                 ",\"choices\":{\"4\":{\"video_uid\":\"u\",\"clip_start\":\"1\"}}}}",
                 "choice '4': 'clip_start': a finite number expected, found a string");
    egomcq_fails("{\"0\":{\"query\":{\"clip_text\":\"x\",\"tag_verb\":\"93\"}," CHOICES
                 ",\"answer\":0,\"types\":1}}",
                 "query: 'tag_verb': a list [i, …] of numbers below 118 expected, found '93'");
}

static void test_nlq(void) {
    ego_nlq set;
    if (!CHECK_OK(ego_nlq_read(DATA "nlq_val.json", &arena, &set))) return;
    CHECK(set.clip_count == 3 && set.query_count == 4);
    const ego_nlq_clip *c = set.clips;
    const ego_nlq_query *q = set.queries;
    CHECK_STR(c[0].uid, "c1");
    CHECK_STR(c[0].video, "v1");
    CHECK(c[0].start == 0.02 && c[0].end == 480.02 && c[0].first == 0 && c[0].count == 3);
    CHECK(c[1].first == 3 && c[1].count == 0 && c[2].first == 3 && c[2].count == 1 &&
          isnan(c[2].fps));
    CHECK_STR(q[0].text, "Where is the cup?");
    CHECK_STR(q[0].annotation, "a1");
    CHECK(q[0].clip == 0 && q[0].index == 0 && q[0].start == 43.4 && q[0].end == 45);
    CHECK(q[1].index == 1 && !q[1].text && q[1].start == 7 && q[1].end == 7);
    CHECK_STR(q[2].annotation, "a2");
    CHECK(q[2].index == 0 && q[3].clip == 2 && isnan(q[3].start) && isnan(q[3].frame_end));
    if (!CHECK_OK(ego_nlq_read_processed(DATA "nlq_processed.json", &arena, &set))) return;
    CHECK(set.clip_count == 2 && set.query_count == 3);
    CHECK(set.clips[0].fps == 1.875 && set.clips[0].frames == 900 && !set.clips[0].video);
    CHECK(set.queries[1].frame_start == 81 && set.queries[1].end == 45 &&
          set.queries[1].index == 1);
    CHECK_STR(set.queries[1].text, "Where is the cup?");
    CHECK(set.queries[2].clip == 1 && isnan(set.queries[2].frame_start) &&
          isnan(set.queries[2].end));
}

static void nlq_fails(const char *text, const char *message) {
    ego_nlq set;
    CHECK_ERR(EGO_EFORMAT, ego_nlq_parse(text, strlen(text), "n.json", &arena, &set));
    check_message(message);
}

static void processed_fails(const char *text, const char *message) {
    ego_nlq set;
    CHECK_ERR(EGO_EFORMAT, ego_nlq_parse_processed(text, strlen(text), "p.json", &arena, &set));
    check_message(message);
}

#define CLIP "{\"clip_uid\":\"c\",\"video_start_sec\":0,\"video_end_sec\":1,\"annotations\":"
#define COLUMNS "\"fps\":1,\"num_frames\":9,\"sentences\":[\"s\"],\"annotation_uids\":[\"a\"]"

static void test_nlq_faults(void) {
    nlq_fails("{}", "n.json: 'videos': an array expected, found nothing");
    nlq_fails("{\"videos\":[3]}", "'videos': an array of objects expected, found a number");
    nlq_fails("{\"videos\":[{}]}", "'video_uid': a string expected");
    nlq_fails("{\"videos\":[{\"video_uid\":\"v\",\"clips\":[{}]}]}", "video 'v': 'clip_uid'");
    nlq_fails("{\"videos\":[{\"video_uid\":\"v\",\"clips\":[{\"clip_uid\":\"c\"}]}]}",
              "clip 'c': 'video_start_sec': a finite number expected");
    nlq_fails("{\"videos\":[{\"video_uid\":\"v\",\"clips\":[" CLIP "[{}]}]}]}", "'annotation_uid'");
    nlq_fails("{\"videos\":[{\"video_uid\":\"v\",\"clips\":[" CLIP
              "[{\"annotation_uid\":\"a\",\"language_queries\":[{},{\"query\":3}]}]}]}]}",
              "n.json: video 'v': clip 'c': annotation 'a': language query 1: 'query': a string");
    processed_fails("{\"c\":[]}", "p.json: clip 'c': an object expected, found an array");
    processed_fails("{\"c\":{\"fps\":0,\"num_frames\":9}}", "'fps': a positive number expected");
    processed_fails("{\"c\":{\"fps\":1,\"num_frames\":9}}", "'sentences': an array expected");
    processed_fails("{\"c\":{" COLUMNS "}}", "'query_idx': 1 elements expected");
    processed_fails("{\"c\":{" COLUMNS ",\"query_idx\":[-1]}}", "'query_idx': an array of indices");
    processed_fails("{\"c\":{" COLUMNS ",\"query_idx\":[0],\"timestamps\":[[1]]}}",
                    "'timestamps': an array of pairs");
    processed_fails("{\"c\":{" COLUMNS ",\"query_idx\":[0],\"exact_times\":[]}}",
                    "'exact_times': 1 elements");
}

static void test_taskqa(void) {
    ego_qa set;
    ego_names names;
    if (!CHECK_OK(ego_qa_read(DATA "formatted_test_qas_encode.json", &arena, &set))) return;
    const ego_qa_question *q = set.questions;
    CHECK(set.count == 3 && q[0].answer_class == 17 && q[0].reasoning_count == 5);
    CHECK_STR(q[0].interval, "k1|fpv1|0|620");
    CHECK_STR(q[0].reasoning[0], "descriptive");
    CHECK_STR(q[0].reasoning[4], "direct");
    CHECK(q[1].type_count == 2 && q[1].category_count == 1 && q[1].reasoning_count == 1);
    CHECK_STR(q[1].types[1], "intent");
    CHECK_STR(q[1].semantic, "state");
    CHECK(!q[2].answer && !q[2].semantic && q[2].reasoning_count == 0 && q[2].type_count == 0);
    if (!CHECK_OK(ego_names_read(DATA "answer_set.txt", &arena, &names))) return;
    CHECK(names.count == 6);
    CHECK_STR(names.names[3], "wash the cup");
    CHECK_STR(names.names[4], "");
    CHECK_STR(names.names[5], "no");
    CHECK_ERR(EGO_EFORMAT, ego_names_parse("a\nb\0c", 5, "t", &arena, &names));
    check_message("t line 2: text expected");
    CHECK_OK(ego_names_parse("", 0, "t", &arena, &names));
    CHECK(names.count == 0);
}

static void test_taskqa_faults(void) {
    static const char *const faults[][2] = {
        {"{}", "q.json: an array expected, found an object"},
        {"[1]", "q.json: element 0: an object expected, found a number"},
        {"[{\"interval\":\"i\",\"question\":\"q\"}]", "element 0: 'answer_encode': a whole number"},
        {"[{\"interval\":\"i\",\"question\":\"q\",\"answer_encode\":-1}]", "from 0 to 2147483647"},
        {"[{\"interval\":\"i\",\"question\":\"q\",\"answer_encode\":1,\"type\":[1]}]",
         "'type': an array of strings"},
        {"[{\"interval\":\"i\",\"question\":\"q\",\"answer_encode\":1,\"type\":\"x\"}]",
         "'type': an array expected"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        ego_qa set;
        CHECK_ERR(EGO_EFORMAT,
                  ego_qa_parse(faults[i][0], strlen(faults[i][0]), "q.json", &arena, &set));
        check_message(faults[i][1]);
    }
}

static void test_qfvs(void) {
    ego_qfvs_tags tags;
    ego_qfvs_oracle oracle;
    if (!CHECK_OK(ego_qfvs_tags_read(DATA "P01.txt", &arena, &tags))) return;
    CHECK(tags.count == 4 && tags.shots[0].count == 3 && tags.shots[1].count == 2);
    CHECK_STR(tags.shots[1].concepts[1], "Car");
    CHECK(tags.shots[2].count == 0 && tags.shots[3].count == 1);
    if (!CHECK_OK(ego_qfvs_oracle_read(DATA "Cupglass_Street_oracle.txt", &arena, &oracle))) return;
    CHECK_STR(oracle.a, "Cupglass");
    CHECK_STR(oracle.b, "Street");
    CHECK(oracle.count == 3 && oracle.shots[0] == 0 && oracle.shots[1] == 1 &&
          oracle.shots[2] == 3);
    CHECK_ERR(EGO_EFORMAT, ego_qfvs_oracle_parse("1\n0\n", 4, "A_B_oracle.txt", &arena, &oracle));
    check_message("A_B_oracle.txt line 2: the number of a shot");
    CHECK_ERR(EGO_EFORMAT, ego_qfvs_oracle_parse("x", 1, "d/A_B_oracle.txt", &arena, &oracle));
    CHECK_ERR(EGO_EFORMAT, ego_qfvs_oracle_parse("1", 1, "d/A_oracle.txt", &arena, &oracle));
    check_message("a file name A_B_oracle.txt expected");
    CHECK_ERR(EGO_EFORMAT, ego_qfvs_tags_parse("a\0", 2, "t", &arena, &tags));
}

/* Rows enough to outgrow every first allocation. */
static void test_many(void) {
    enum { ROWS = 30000 };
    ego_buf text = {0};
    ego_egoclip set;
    ego_buf_text(&text, HEADER);
    for (int i = 0; i < ROWS; i++)
        ego_buf_printf(&text, "uid-%d\t%d\t%d\t%d\tnarration %d\t[%d]\t[%d, %d]\n", i / 7, i + 1, i,
                       i + 2, i, i % 118, i % 582, i % 5);
    CHECK_OK(ego_egoclip_parse(text.data, text.len, "many.csv", &arena, &set));
    CHECK(set.count == ROWS && set.malformed == 0);
    for (size_t i = 0; i < set.count; i++) {
        const ego_narrated_clip *c = &set.clips[i];
        char want[40];
        snprintf(want, sizeof want, "narration %zu", i);
        if (!CHECK(!strcmp(c->text, want) && c->end == (double)i + 2 && c->nouns.ids[0] == i % 582))
            break;
    }
    ego_buf_release(&text);
}

int main(void) {
    setlocale(LC_ALL,
              "de_DE.UTF-8"); /* where it is installed, numbers are still read with a point */
    ego_arena_init(&arena, 0);
    test_egoclip();
    test_egoclip_faults();
    test_egomcq();
    test_egomcq_faults();
    test_nlq();
    test_nlq_faults();
    test_taskqa();
    test_taskqa_faults();
    test_qfvs();
    test_many();
    ego_arena_release(&arena);
    return check_done();
}
