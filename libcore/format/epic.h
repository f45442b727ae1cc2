/* EPIC-Kitchens-100 multi-instance retrieval: the clips and the sentences of a split.
 *
 * EPIC_100_retrieval_{train,test}.csv, comma-separated with a header:
 *     narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,
 *     start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes
 *     P99_01_7,P99,P99_01,00:00:05.0,00:00:04.50,00:00:06.25,225,312,wipe tray,wipe,2,tray,30,
 *     "['tray', 'cloth']","[30, 12]"
 * Columns are found by name. narration_id, participant_id, video_id, start_timestamp, stop_timestamp and
 * narration must be there; verb_class and all_noun_classes (else noun_class) are read where they are.
 *
 * EPIC_100_retrieval_{train,test}_sentence.csv: narration_id, narration: one line for each distinct
 * caption, the narration_id being that of one of its clips.
 *
 * Relevancy. A clip i and a sentence j, which has the classes of the clip it is named after, are relevant
 * to each other by
 *     ½ |V_i ∩ V_j| / |V_i ∪ V_j| + ½ |N_i ∩ N_j| / |N_i ∪ N_j|
 * with V the set of the one verb_class and N that of all_noun_classes (Damen et al. 2022, section 6.4);
 * a half is 0 where both sets are empty. The published .pkl holds the same as a matrix
 * (format/matrix.h).
 */
#ifndef EGO_FORMAT_EPIC_H
#define EGO_FORMAT_EPIC_H

#include "base/arena.h"
#include "base/err.h"
#include "format/annotations.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ego_epic_clip {
    const char *id; /* narration_id */
    const char *participant, *video;
    double start, stop; /* seconds of the video, as written: one bad row does not spoil a benchmark */
    const char *narration;
    int32_t verb;          /* class; -1 when not given */
    const uint16_t *nouns; /* classes, ascending, each once */
    size_t noun_count;
} ego_epic_clip;

typedef struct ego_epic_clips {
    const ego_epic_clip *clips;
    size_t count;
    size_t classless; /* how many have no verb class */
} ego_epic_clips;

ego_err ego_epic_clips_read(const char *path, ego_arena *arena, ego_epic_clips *out);
ego_err ego_epic_clips_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                             ego_epic_clips *out);

typedef struct ego_epic_sentence {
    const char *id; /* narration_id of a clip that has it */
    const char *narration;
} ego_epic_sentence;

typedef struct ego_epic_sentences {
    const ego_epic_sentence *sentences;
    size_t count;
} ego_epic_sentences;

ego_err ego_epic_sentences_read(const char *path, ego_arena *arena, ego_epic_sentences *out);
ego_err ego_epic_sentences_parse(const char *text, size_t n, const char *name, ego_arena *arena,
                                 ego_epic_sentences *out);

/* The formula above for two clips. */
double ego_epic_relevancy(const ego_epic_clip *a, const ego_epic_clip *b);

/* "00:01:04.25" in seconds; false when it is something else. */
bool ego_epic_time(const char *text, double *seconds);

#endif
