/* Records in, samples out: a record becomes a prepared clip and token ids, ahead of need and in order.
 *
 * Clips are read on a thread of their own (data/clips.h) while the caller computes:
 *
 *     while (more || ego_source_outstanding(source)) {
 *         while (more && ego_source_room(source)) { read a record; ego_source_push(source, &record); }
 *         if (the input paused) ego_source_flush(source);
 *         ego_source_next(source, &sample); …compute…; ego_sample_release(&sample);
 *     }
 *
 * A record that cannot become a sample comes back in its place with its error.
 */
#ifndef EGO_DATA_SOURCE_H
#define EGO_DATA_SOURCE_H

#include "data/clips.h"
#include "data/record.h"
#include "text/bpe.h"

typedef struct ego_source_options {
    ego_clips_options clips; /* frames and size also hold for records that bring their own frames */
    const ego_bpe *bpe;      /* borrowed; NULL: records must bring tokens */
    size_t max_tokens;       /* longer texts are cut to this, special tokens included; 0: no limit */
    bool ignore_video, ignore_text; /* parts that the caller has no use for */
} ego_source_options;

typedef struct ego_sample {
    ego_record record;
    ego_err err;       /* EGO_OK, or why there is no sample; `message` says it in words */
    char *message;
    const float *clip; /* (F, 3, S, S), or NULL: no such part */
    const int64_t *tokens; /* or NULL: no such part */
    size_t n_tokens;
    bool cut_text;     /* the text was longer than max_tokens */
    int substituted;   /* frames of the clip that stand in for unreadable ones */
    double end;        /* of the clip, seconds, after cutting to the file */
    bool last;         /* its pipe ended with it */

    /* private */
    bool from_video;
    ego_clip *read;
    float *made;
    ego_tokens encoded;
} ego_sample;

typedef struct ego_source ego_source;

ego_err ego_source_open(const ego_source_options *options, ego_source **source);
void ego_source_close(ego_source *source); /* takes NULL */

bool ego_source_room(const ego_source *source);
size_t ego_source_outstanding(const ego_source *source);
/* Takes over the record: *record is {0} afterwards, whatever is returned. A failure returned here is not
 * the record's own (memory); the record's own come with its sample. */
ego_err ego_source_push(ego_source *source, ego_record *record);
/* A record that was bad from the start takes its place in the order, with the error of this thread. */
ego_err ego_source_push_failed(ego_source *source, ego_record *record, ego_err err);
ego_err ego_source_flush(ego_source *source);
/* Waits at most `seconds`; true when ego_source_next would not wait for a clip (any more). After a flush. */
bool ego_source_ready(ego_source *source, double seconds);
/* Waits for the next sample; EGO_EEND when none is outstanding. */
ego_err ego_source_next(ego_source *source, ego_sample *sample);
void ego_sample_release(ego_sample *sample);

ego_clips_counts ego_source_get_counts(ego_source *source);

#endif
