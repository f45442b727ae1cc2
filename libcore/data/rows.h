/* Training rows: egoclip.csv and its videos in, augmented clips and their token ids out.
 *
 * The caller says which rows; they are read, augmented and encoded ahead of need on threads of the
 * reader's own and come back in the order of submission:
 *
 *     while (more && ego_rows_room(rows)) {
 *         row = ego_rows_order(rows, epoch, position);
 *         EGO_TRY(ego_rows_submit(rows, row, stream));
 *     }
 *     EGO_TRY(ego_rows_next(rows, &sample)); ...; ego_row_sample_release(&sample);
 *
 * `stream` names a draw: any number that belongs to this step and place alone, another for a row's
 * partner. What comes out is a function of (seed, row, stream): not of timing, threads or order,
 * nor of whether a cache is there.
 *
 * Which frames. When augmenting, sampling by time divides [start, end) into F equal parts; each
 * offers `moments` instants, the middles of as many equal parts of it, and one is drawn (moments 0:
 * any instant is). Reference sampling is the published Rand: one frame number from each of F bins
 * at 30 frames a second (media/sample.h), failed reads repeating the last good frame. Not
 * augmenting, both take the middles.
 *
 * EK-100's sampling draws one frame number from each of the F parts that its reader makes, at the video's
 * own rate; its preparation crops the box from the frame as it was decoded, without a smaller picture between.
 *
 * How they look. When augmenting, a frame becomes 8-bit RGB with a short side of
 * R = round(S * 256 / 224) (media/shrink.h; this is what a cache keeps), and one random box and
 * flip (media/augment.h) hold for all frames of the clip. Not augmenting, the preparation as it is.
 * A clip may be recoloured: its red, green and blue change places, and its text no longer tells a
 * colour (text/colours.h), so that things are learned by their shape, too.
 *
 * A row whose clip cannot be read (no such video, a segment behind its end, not one good frame; not
 * augmenting, reference sampling takes the last frame for what is behind the end, as published) is
 * counted, told to `report`, and replaced by another, drawn from the same stream; no frame is ever
 * black in its place. EGO_ROWS_TRIES bad rows in a row are an error.
 *
 * A reader is used by one thread. */
#ifndef EGO_DATA_ROWS_H
#define EGO_DATA_ROWS_H

#include "base/progress.h"
#include "data/clips.h"
#include "format/annotations.h"
#include "text/bpe.h"

enum { EGO_ROWS_TRIES = 16 };

/* Told of a row that cannot be used, once for each row, and of a cache that takes no more (row
 * SIZE_MAX), once; from within ego_rows_next and ego_rows_fill, so on the caller's thread. */
typedef void ego_rows_report(void *context, size_t row, const char *message);

/* Which row of a scene is a partner. Any, as published, is most often one that a bag of frames tells apart;
 * alike is one that shares a noun and no verb (the cup put down beside the cup picked up), any where there is
 * none such. */
typedef enum ego_partners { EGO_PARTNERS_ANY, EGO_PARTNERS_ALIKE } ego_partners;

typedef struct ego_rows_options {
    const char *annotations; /* egoclip.csv; with `clips` a name for messages */
    const ego_narrated_clip *clips; /* instead of a file: `count` rows, borrowed. One from 0 to 0 is the
                                       whole video. NULL: none */
    size_t count;
    const char *video_root;  /* or NULL */
    ego_sampling sampling;   /* by time, as the reference, EK-100's */
    ego_preparation preparation;
    int frames, size;        /* F and S of a clip, (F, 3, S, S) */
    int moments;             /* with time sampling: instants offered a part; 0: any */
    bool augment;            /* false: middles, the standard preparation, no draws */
    bool flip;               /* with augment: mirror half of the clips */
    double recolor;          /* with augment: the share of clips that are recoloured, 0 to 1 */
    uint64_t seed;
    const ego_bpe *bpe;   /* borrowed; NULL: no tokens */
    size_t max_tokens;    /* longer texts are cut to this, special tokens included; 0: no limit */
    double scene_seconds; /* of a partner's bin; the paper has 60; 0: no partners */
    const char *cache;    /* folder of data/cache.h, made when missing; NULL: none */
    uint64_t cache_bytes; /* the most it may hold */
    unsigned threads;     /* that augment, and that fill a cache; 0: one */
    unsigned decoder_threads; /* of each video's decoder; 0: one */
    size_t memory;            /* bytes of samples held ahead; 0: 256 MiB. At least four samples. */
    ego_rows_report *report;  /* or NULL */
    void *report_context;
} ego_rows_options;

typedef struct ego_row_sample {
    size_t row;            /* whose clip, text and tags these are */
    size_t asked;          /* the row that was submitted */
    bool replaced;         /* they differ, for the clip of the latter is bad */
    const float *pixels;   /* (F, 3, S, S) */
    const int64_t *tokens; /* (n_tokens), not padded; NULL without a vocabulary */
    size_t n_tokens;
    ego_tags verbs, nouns; /* ascending, each once */

    /* private */
    float *made;
    ego_clip *read;
    ego_tokens encoded;
    uint16_t *tags;
} ego_row_sample;

typedef struct ego_rows_counts {
    int64_t samples;  /* taken */
    int64_t bad;      /* reads of rows that cannot be used */
    int64_t cut;      /* texts longer than max_tokens */
    int64_t cached;   /* clips that came from the cache */
    int64_t decoded;  /* clips that came from videos */
    int64_t stored;   /* clips added to the cache */
    size_t malformed; /* lines of the annotations left out (format/egoclip.h) */
} ego_rows_counts;

typedef struct ego_rows ego_rows;

/* Reads the annotations; a bad combination of options is EGO_EINPUT. A cache serves augmenting by
 * time with moments > 0 only: elsewhere any frame may be asked for, or none is kept. */
ego_err ego_rows_open(const ego_rows_options *options, ego_rows **rows);
/* Stops the threads and frees what was not taken. Takes NULL. */
void ego_rows_close(ego_rows *rows);

size_t ego_rows_count(const ego_rows *rows);
const ego_narrated_clip *ego_rows_get(const ego_rows *rows, size_t row);

/* The row at a position (below the count) of an epoch's permutation. The epoch asked for last is
 * kept: another costs one shuffle. */
size_t ego_rows_order(ego_rows *rows, uint64_t epoch, size_t position);
/* One of the rows with the same video and floor(narration_time / scene_seconds), uniformly among all, itself
 * included, or among those alike; the row itself when there are no partners. */
size_t ego_rows_partner(const ego_rows *rows, size_t row, ego_partners which, uint64_t stream);

/* How many rows may be submitted now without taking a sample first. */
size_t ego_rows_room(const ego_rows *rows);
size_t ego_rows_outstanding(const ego_rows *rows);
/* EGO_EINPUT when there is no room. */
ego_err ego_rows_submit(ego_rows *rows, size_t row, uint64_t stream);
/* Waits for the next sample, which is the caller's. EGO_EEND when none is outstanding. Any other
 * error is that sample's (no usable row was found; memory); the next call goes on behind it. */
ego_err ego_rows_next(ego_rows *rows, ego_row_sample *sample);
void ego_row_sample_release(ego_row_sample *sample); /* leaves {0}; safe on {0} */

/* Reads all rows into the cache, each video once from front to back, `threads` videos at a time;
 * what is there already is skipped, and it ends early when the cache is full. Of `parts` callers
 * (ranks) with the same options each fills its own share, 0 <= part < parts. Without a cache:
 * nothing to do. Bad rows are told to `report` and are no error. `progress` may be NULL. */
ego_err ego_rows_fill(ego_rows *rows, size_t part, size_t parts, const ego_progress *progress);

ego_rows_counts ego_rows_get_counts(ego_rows *rows);

#endif
