/* Packets of a video stream, in file order; private to media (decode.c is the way in).
 *
 * The bytes come from a file, memory or a pipe through one small layer of our own, so that a name
 * is never taken for a network address and a playlist can open nothing else. Functions return
 * libav's codes (0, or negative) unless they say ego_err.
 */
#ifndef EGO_MEDIA_DEMUX_H
#define EGO_MEDIA_DEMUX_H

#include "base/err.h"
#include "media/decode.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

/* Where the bytes are. Each demuxer keeps a position of its own in it. */
typedef struct ego__bytes {
    const char *path;    /* for messages; the caller's */
    bool pattern;        /* path is a pattern of numbered pictures, and nothing else here is used */
    double picture_rate; /* of those, in frames a second */
    int fd;              /* -1: memory */
    const uint8_t *data; /* when in memory */
    int64_t size;        /* -1 for a pipe, and for a file that is followed */
    double follow;       /* seconds that a file being written may rest; 0: it is whole */
    bool ended;          /* it rested that long */
    bool soon;           /* open with little read ahead */
    int64_t at;
    const atomic_bool *stop;
} ego__bytes;

typedef struct ego__demuxer {
    ego__bytes bytes;
    AVIOContext *io;
    AVFormatContext *format;
    AVStream *stream;
    bool indexed;      /* an index names key frames, and time stamps hold after a seek */
    int64_t last, add; /* mends clocks that start again, in formats without an index */
} ego__demuxer;        /* {0} is closed */

/* `probe`: look into the stream as well as the header, as decoding needs. The demuxer must be
 * closed; on failure close it all the same. */
ego_err ego__demux_open(const ego__bytes *bytes, bool probe, ego__demuxer *in);
/* The same for its sound: the best audio stream. *found is false when it has none. */
ego_err ego__demux_open_sound(const ego__bytes *bytes, ego__demuxer *in, bool *found);
void ego__demux_close(ego__demuxer *in);

/* The stream's next packet; AVERROR_EOF at the end. */
int ego__demux_read(ego__demuxer *in, AVPacket *packet);

/* The time stamp in the index of the last key frame not after `goal`; false: there is none. */
bool ego__demux_key_before(const ego__demuxer *in, int64_t goal, int64_t *key);

/* Reads the file through a demuxer of its own for what its packets say, whatever the header says:
 * where the stream ends, counted from `origin` in an indexed format, from its first packet in
 * others. `usual`: the duration, in time stamps, of packets that do not state theirs. *found is
 * false when none could be read. */
ego_err ego__demux_measure(const ego__bytes *bytes, int64_t origin, int64_t usual, double *seconds,
                           bool *found);

/* The display matrix of the file (9 numbers), or NULL. */
const int32_t *ego__demux_matrix(const ego__demuxer *in);

/* A failure of libav: its code's meaning and its own words, if it said any. */
ego_err ego__fail_av(const char *path, int code, const char *doing);
/* The same as text: "what: meaning: words". */
void ego__describe_av(char *text, size_t n, int code, const char *what);

/* Where a decoder's complaints are counted: its context's `opaque` points here. Many decoders hide
 * damage and only mention it. While `excused` they may complain: frames that will not be shown are
 * decoded. */
typedef struct ego__complaints {
    atomic_llong count;
    atomic_bool excused;
} ego__complaints;

/* Silences libav (once) and forgets its latest words on this thread. */
void ego__quiet_av(void);

#endif
