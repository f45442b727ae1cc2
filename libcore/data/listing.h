/* Clips and sentences of the retrieval benchmarks, as records out of their published lists.
 *
 *     EPIC_100_retrieval_test.csv
 *         {"id":"P99_01_7","video":"P99/P99_01","start":4.5,"end":6.25,"text":"wipe tray"}
 *     EPIC_100_retrieval_test_sentence.csv
 *         {"id":"P99_01_7","text":"wipe tray"}
 *     CharadesEgo_v1_test_only1st.csv
 *         {"id":"A1EGO","video":"A1EGO"}
 *
 * Which of them a file is, its header line tells: participant_id, actions, or neither but
 * narration_id. Each row becomes the JSON line it would have been, and is read like any other
 * record. All of a list is read at opening (format/epic.h, format/charades.h: their bounds and
 * errors). */
#ifndef EGO_DATA_LISTING_H
#define EGO_DATA_LISTING_H

#include "data/record.h"

typedef struct ego_listing {
    const char *path; /* borrowed */
    ego_buf lines;
    size_t at;       /* the next begins there */
    uint64_t number; /* records so far */
} ego_listing;       /* {0} is empty */

/* Whether a name is that of a list: it ends in .csv. */
bool ego_is_listing(const char *path);

ego_err ego_listing_open(const char *path, ego_listing *listing);
void ego_listing_close(ego_listing *listing); /* safe on {0} and twice */

/* `before`: how many records came from other inputs. EGO_EEND after the last. Errors as in
 * ego_record_parse. */
ego_err ego_listing_next(ego_listing *listing, uint64_t before, const ego_record_rules *rules,
                         ego_record *record);

#endif
