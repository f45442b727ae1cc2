/* Lists of the retrieval benchmarks as records. */
#include "check.h"

#include "base/file.h"
#include "data/listing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/ego-listing.XXXXXX";
static const ego_record_rules rules;

#define CLIPS                                                                                      \
    "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,"     \
    "start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_"         \
    "classes\n"

static ego_err open_text(const char *text, ego_listing *listing) {
    CHECK_OK(ego_write_file(path, text, strlen(text)));
    return ego_listing_open(path, listing);
}

static void clips(void) {
    ego_listing l;
    ego_record r;
    CHECK_OK(open_text(
        CLIPS
        "P99_01_7,P99,P99_01,00:00:05.0,00:00:04.50,00:01:06.25,225,312,"
        "\"wipe \"\"tray\"\",\ntwice\",wipe,2,tray,30,\"['tray', 'cloth']\",\"[30, 12]\"\n"
        "P99_01_8,P99,P99_01,00:00:05.0,00:00:07.00,00:00:08.00,1,2,cut,cut,3,pan,4,['pan'],[4]\n",
        &l));
    CHECK_OK(ego_listing_next(&l, 10, &rules, &r));
    CHECK(strcmp(r.id, "\"P99_01_7\"") == 0);
    CHECK(strcmp(r.video, "P99/P99_01") == 0);
    CHECK(r.start == 4.5 && r.end == 66.25);
    CHECK(strcmp(r.text, "wipe \"tray\",\ntwice") == 0);
    ego_record_release(&r);
    CHECK_OK(ego_listing_next(&l, 10, &rules, &r));
    CHECK(strcmp(r.text, "cut") == 0);
    ego_record_release(&r);
    CHECK(ego_listing_next(&l, 10, &rules, &r) == EGO_EEND);
    CHECK(l.number == 2);
    ego_listing_close(&l);
    ego_listing_close(&l);
}

static void sentences_and_videos(void) {
    ego_listing l;
    ego_record r;
    CHECK_OK(open_text("narration_id,narration\nP99_01_7,wipe tray\n", &l));
    CHECK_OK(ego_listing_next(&l, 0, &rules, &r));
    CHECK(!r.video && strcmp(r.text, "wipe tray") == 0);
    ego_record_release(&r);
    ego_listing_close(&l);
    CHECK_OK(open_text("id,script,actions\nA1EGO,\"x, y\",c009 0.0 4.2\n", &l));
    CHECK_OK(ego_listing_next(&l, 0, &rules, &r));
    CHECK(strcmp(r.video, "A1EGO") == 0 && !r.text && !(r.has & EGO_RECORD_START));
    ego_record_release(&r);
    ego_listing_close(&l);
    CHECK(open_text("narration_id,narration\n", &l) == EGO_EFORMAT);
}

static void refused(void) {
    ego_listing l;
    CHECK(open_text("", &l) == EGO_EFORMAT);
    CHECK(open_text("id,name\n1,x\n", &l) == EGO_EFORMAT);
    CHECK(open_text(CLIPS "a,b\n", &l) == EGO_EFORMAT);
    CHECK(ego_listing_open("/tmp/none/such.csv", &l) == EGO_EIO);
    CHECK(ego_is_listing("a.csv") && ego_is_listing("A.CSV") && !ego_is_listing("a.jsonl"));
}

int main(void) {
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    if (fd >= 0) close(fd);
    clips();
    sentences_and_videos();
    refused();
    unlink(path);
    return check_done();
}
