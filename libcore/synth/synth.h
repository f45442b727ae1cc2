/* A small first-person data set that anyone may have: videos drawn here, with the annotation files of
 * the benchmarks, under their published names.
 *
 *     DIR/videos/UID/0.mp4 …                  H.264, 256 lines, 30 frames a second, a file per 600 s
 *     DIR/egoclip.csv                         the training set's narrations
 *     DIR/egomcq.json                         the test set's multiple-choice questions
 *     DIR/nlq_{train,val}.json                natural language queries, official form …
 *     DIR/nlq/{train,val,test}.json           … and processed; feature_shapes_{train,val}.json
 *     DIR/qa/{direct,indirect}/formatted_{train,val,test}_qas_encode.json
 *     DIR/qa/answer_set.txt, all_reasoning_types.txt; DIR/qa_videos/INTERVAL.mp4
 *     DIR/qfvs/Dense_per_shot_tags/P01/P01.txt … Oracle_Summaries/P01/A_B_oracle.txt; P01.mp4: of the test
 *     set's first four videos; DIR/qfvs_train/…, the same of the training set's first forty
 *     DIR/{train,test}_{clips,narrations}.jsonl  records for ego-embed
 *     DIR/manifest.json                       hashes, seed, versions
 *
 * The same options give the same frames and annotations on every machine and for any number of threads;
 * the encoded bytes also depend on the encoder, which the manifest names. See synth/world.h for what
 * happens in the videos.
 */
#ifndef EGO_SYNTH_SYNTH_H
#define EGO_SYNTH_SYNTH_H

#include "base/err.h"
#include "base/progress.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ego_synth_options {
    const char *directory;
    int train_videos, test_videos; /* 0: leave that split alone */
    double minutes;                /* a video's length, 0.5 to 60 */
    uint64_t seed;
    unsigned threads;      /* videos made at once; 0: one per core */
    int questions;         /* in egomcq.json at most; 0: twice as many as there are test clips */
    int qa_rounds;         /* how often EgoTaskQA's questions are drawn for each interval; 0: once */
    bool annotations_only; /* draw nothing */
    bool no_qa_videos;     /* leave DIR/qa_videos out */
    const char *preview;   /* write a contact sheet of every action here (PNG); NULL: none */
    bool preview_only;     /* and nothing else */
} ego_synth_options;

/* Reports progress in "frames". EGO_EINPUT for options out of range; EGO_ECANCELLED when told to stop. */
ego_err ego_synth_run(const ego_synth_options *options, const ego_progress *progress);

#endif
