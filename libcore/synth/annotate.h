/* Annotation files, written from the scripts alone: what happens in the videos is known, not guessed.
 *
 * Each ego_annotate_* writes the files of one benchmark for one split under set->directory and appends
 * {"NAME":"SHA-256",…} members to set->files for the manifest.
 */
#ifndef EGO_SYNTH_ANNOTATE_H
#define EGO_SYNTH_ANNOTATE_H

#include "base/buf.h"
#include "base/err.h"
#include "synth/world.h"

enum { EGO_CHUNK_SECONDS = 600, EGO_QA_SECONDS = 20, EGO_SHOT_SECONDS = 5 };

typedef struct ego_synth_set {
    const char *directory;
    ego_split split;
    ego_script *scripts;
    int count;
    double alpha; /* the mean gap between narrations over all videos of the set, in seconds */
    uint64_t seed;
    int questions; /* of egomcq.json; 0: two per clip */
    int qa_rounds; /* how often EgoTaskQA's questions are drawn for each interval */
    bool drawn;    /* the videos are there, too */
    ego_buf *files;
} ego_synth_set;

/* EgoVLP's rule: centred on the narration, as long as the video's mean gap over the whole set's. */
typedef struct ego_clip_bounds {
    double start, end;
} ego_clip_bounds;

double ego_mean_gap(const ego_script *script); /* β, in seconds */
ego_clip_bounds ego_clip_of(const ego_synth_set *set, const ego_script *script, int action);

/* EgoTaskQA cuts a video into intervals of at most EGO_QA_SECONDS, between actions: fills at most `max`
 * end frames, the last being the video's end, and returns how many there are. */
int ego_qa_intervals(const ego_script *script, int *ends, int max);
/* "UID|fpv1|START|END", in frames. */
void ego_qa_interval_name(const ego_script *script, int start, int end, ego_buf *name);

ego_err ego_annotate_egoclip(const ego_synth_set *set);
ego_err ego_annotate_egomcq(const ego_synth_set *set);
ego_err ego_annotate_nlq(const ego_synth_set *set);
ego_err ego_annotate_taskqa(const ego_synth_set *set);
ego_err ego_annotate_qfvs(const ego_synth_set *set);
/* SPLIT_clips.jsonl and SPLIT_narrations.jsonl: records for our own tools, ids UID/N in both. */
ego_err ego_annotate_records(const ego_synth_set *set);

/* Writes one file (directories are made) and notes its hash; what the writers share. */
ego_err ego_annotation_write(const ego_synth_set *set, const char *name, const ego_buf *text);
void ego_annotation_seconds(ego_buf *text, double seconds); /* rounded to 10 microseconds */
void ego_annotation_tags(const ego_script *script, const ego_action *action, ego_buf *verbs,
                         ego_buf *nouns); /* "[93]", "[192, 65]" */
/* "red cup" */
void ego_annotation_thing(const ego_script *script, int thing, ego_buf *text);

#endif
