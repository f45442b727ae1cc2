/* Reading video: the frame on display at a time.
 *
 * Time is the presentation's, in seconds: 0 is the first frame on display after edit lists,
 * whatever the container's own clock says. A frame is on display from its time stamp until the next
 * one's; before the first the first, after the last the last. Time stamps are compared to the
 * microsecond, so that 0.1 finds the frame that begins at 3/30 s. Requests may come in any order:
 * going forward decodes onward (or jumps to a key frame on the way), going back seeks, and the
 * frame is always the one that decoding from the start would show.
 *
 * What is delivered: RGB after rotation and mirroring from the file's display matrix, at the size
 * of the stored frame (the pixel aspect ratio is not applied: neither does OpenCV, whose frames the
 * published models were trained on), transparency dropped, fields left woven. A stream that changes
 * size on the way delivers each frame at its own size.
 *
 * Damage: a frame that the decoder marks as damaged is used as it is; packets cut off by the end of
 * the file are not. Reading goes on behind errors until nothing came out for a bounded while. What
 * happened stands in ego_video_damage; it is no failure, as long as one frame could be shown. Only
 * where the container's own structure is damaged may a seek show frames that playing from the start
 * loses.
 *
 * One ego_video belongs to one thread at a time.
 */
#ifndef EGO_MEDIA_DECODE_H
#define EGO_MEDIA_DECODE_H

#include "base/err.h"
#include "media/image.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ego_video ego_video;

typedef struct ego_video_options {
    unsigned threads;        /* of the decoder; 0: one. Results do not depend on it. */
    bool reference_colour;   /* swscale's defaults, as OpenCV has them, not the file's matrix */
    double picture_rate;     /* frames a second of a numbered picture sequence; 0: 25 */
    const atomic_bool *stop; /* NULL, or set by another thread to give up waiting for a pipe */
    /* A pipe that is answered as it comes: seconds before the frame on display that it can still go
     * back to (0: all that fits into 64 MiB). It also begins sooner: less is read ahead to guess what
     * the header does not say. */
    double past;
    double follow; /* seconds; not 0: a regular file is being written and read like a pipe, which ends when
                      nothing was added for so long */
} ego_video_options; /* {0}: the defaults */

/* `path`: a file, "-" for stdin, or a printf pattern of numbered pictures ("dir/%05d.jpg") when no
 * file of that name exists. Names are never taken for network addresses, and playlists may not name
 * other files. options may be NULL. */
ego_err ego_video_open(const char *path, const ego_video_options *options, ego_video **video);
/* The bytes of a file in memory; they must outlive the video. `name` is for messages. */
ego_err ego_video_open_memory(const void *bytes, size_t n, const char *name,
                              const ego_video_options *options, ego_video **video);
void ego_video_close(ego_video *video); /* takes NULL */

typedef struct ego_video_info {
    int width, height; /* of the first frame, as delivered */
    double fps;        /* average; 0 when unknown */
    int64_t frames;    /* as OpenCV counts: the container's number, else duration times fps */
    /* The end of the last frame. `exact`: found from the packets themselves, not believed from the
     * header; a pipe's is exact only when reading reached it, and 0 when the header states none. */
    double duration;
    bool exact, pipe;
} ego_video_info;

/* May read the file's last part (or, in formats without an index, all of it) the first time. Apart
 * from pipes the answer never depends on what was decoded before. */
ego_err ego_video_get_info(ego_video *video, ego_video_info *info);

/* Makes the frame on display at `t` the current one. A pipe can go back as far as its latest
 * 64 MiB reach, or `past`; beyond that it is EGO_EUNSUPPORTED. */
ego_err ego_video_seek(ego_video *video, double t);
/* What the container's clock shows, in seconds, at time 0: sound is found by it (media/sound.h). */
double ego_video_origin(const ego_video *video);
/* The current frame's time stamp in seconds; and whether it is the last (known by decoding on). */
double ego_video_time(const ego_video *video);
bool ego_video_at_last(const ego_video *video);
/* The current frame as RGB; `image` is {0} or an earlier result, whose memory is used again. */
ego_err ego_video_image(ego_video *video, ego_image *image);

/* ego_video_seek and ego_video_image in one. */
ego_err ego_video_frame_at(ego_video *video, double t, ego_image *image);

/* Seeks to frame `number` in display order, from 0, as OpenCV's CAP_PROP_POS_FRAMES finds it: the
 * last frame whose time stamp times fps rounds to no more than `number`. *found is false when the
 * video ends before it; then the last frame is current. */
ego_err ego_video_seek_number(ego_video *video, int64_t number, bool *found);

typedef struct ego_video_damage {
    int64_t errors;  /* packets that could not be read or decoded */
    int64_t damaged; /* frames that were decoded with errors */
    bool cut;        /* the file ends before its header says, or reading was given up */
    char what[256];  /* the first trouble in words; "" for none */
} ego_video_damage;

/* What went wrong since the video was opened. */
const ego_video_damage *ego_video_get_damage(const ego_video *video);

/* libav's own messages go to `sink`, a line each, from any thread; NULL (the default): nowhere. */
void ego_video_log(void (*sink)(const char *line));

#endif
