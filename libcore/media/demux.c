#include "media/demux.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    IO_BYTES = 1 << 16,
    GROWTH_MS = 50,       /* between two looks at a file that is being written */
    SOON_US = 500 * 1000, /* of a live stream, read ahead to guess what its header does not say */
    MAX_READ_ERRORS = 64, /* packets in a row that cannot be read before measuring gives up */
};

/* ---- what libav says ------------------------------------------------------------------------- */

static void (*log_sink)(const char *line);
static _Thread_local char log_last[256]; /* its latest complaint on this thread, for messages */

static void note_complaint(void *context) {
    const AVClass *class = context ? *(const AVClass **)context : NULL;
    if (!class || class != avcodec_get_class()) return;
    ego__complaints *complaints = ((AVCodecContext *)context)->opaque;
    if (complaints && !atomic_load(&complaints->excused)) atomic_fetch_add(&complaints->count, 1);
}

static void on_log(void *context, int level, const char *format, va_list args) {
    if (level > AV_LOG_WARNING) return;
    if (level <= AV_LOG_ERROR) note_complaint(context);
    char line[256];
    int prefix = 1;
    av_log_format_line(context, level, format, args, line, sizeof line, &prefix);
    line[strcspn(line, "\r\n")] = '\0';
    if (log_sink) log_sink(line);
    if (level > AV_LOG_ERROR) return;
    const char *text = line[0] == '[' ? strstr(line, "] ") : NULL; /* without "[mov @ 0x…] " */
    text = text ? text + 2 : line;
    memmove(log_last, text, strlen(text) + 1);
}

/* One block of memory for libav: frames of 8K and the index of a day fit; tables whose size a damaged header
 * makes up do not (found by fuzzing: 2.5 KB of mp4 asked for gigabytes). */
enum { MAX_BLOCK = 1 << 28 };

static void install_log(void) {
    av_log_set_callback(on_log);
    av_max_alloc(MAX_BLOCK);
}

void ego__quiet_av(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install_log);
    log_last[0] = '\0';
}

void ego_video_log(void (*sink)(const char *line)) {
    log_sink = sink;
    ego__quiet_av();
}

void ego__describe_av(char *text, size_t n, int code, const char *what) {
    char meaning[AV_ERROR_MAX_STRING_SIZE];
    if (av_strerror(code, meaning, sizeof meaning) != 0) strcpy(meaning, "unknown error");
    snprintf(text, n, "%s: %s%s%.120s", what, meaning, log_last[0] ? ": " : "", log_last);
}

ego_err ego__fail_av(const char *path, int code, const char *doing) {
    char text[256];
    if (code == AVERROR(ENOMEM)) return ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    if (code == AVERROR_EXIT) return ego_fail(EGO_ECANCELLED, "%s: stopped", path);
    ego__describe_av(text, sizeof text, code, doing);
    return ego_fail(EGO_EFORMAT, "%s: %s", path, text);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A file that another process is writing ends when it has not grown for a while. */
static int read_growing(ego__bytes *s, uint8_t *out, int n) {
    double until = now() + s->follow;
    while (!s->ended) {
        if (s->stop && atomic_load(s->stop)) return AVERROR_EXIT;
        ssize_t got = read(s->fd, out, (size_t)n);
        if (got > 0) return (int)got;
        if (got < 0 && errno != EINTR) return AVERROR(errno);
        s->ended = got == 0 && now() >= until;
        if (!s->ended) poll(NULL, 0, GROWTH_MS);
    }
    return AVERROR_EOF; /* demuxers ask again */
}

static int read_pipe(ego__bytes *s, uint8_t *out, int n) {
    if (s->follow > 0) return read_growing(s, out, n);
    for (;;) {
        if (s->stop && atomic_load(s->stop)) return AVERROR_EXIT;
        struct pollfd wait = {.fd = s->fd, .events = POLLIN};
        int ready = poll(&wait, 1, s->stop ? 100 : -1);
        if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
        ssize_t got = read(s->fd, out, (size_t)n);
        if (got > 0) return (int)got;
        if (got == 0) return AVERROR_EOF;
        if (errno != EINTR && errno != EAGAIN) return AVERROR(errno);
    }
}

static int read_bytes(void *opaque, uint8_t *out, int n) {
    ego__bytes *s = opaque;
    if (s->size < 0) return read_pipe(s, out, n);
    ssize_t got = 0;
    if (s->fd < 0) {
        if (s->at < s->size) got = s->size - s->at < n ? s->size - s->at : n;
        if (got > 0) memcpy(out, s->data + s->at, (size_t)got);
    } else {
        do got = pread(s->fd, out, (size_t)n, s->at);
        while (got < 0 && errno == EINTR);
        if (got < 0) return AVERROR(errno);
    }
    s->at += got;
    return got > 0 ? (int)got : AVERROR_EOF;
}

static int64_t seek_bytes(void *opaque, int64_t offset, int whence) {
    ego__bytes *s = opaque;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) return s->size;
    if (whence == SEEK_CUR) offset += s->at;
    if (whence == SEEK_END) offset += s->size;
    return offset < 0 ? AVERROR(EINVAL) : (s->at = offset);
}

/* ---- packets --------------------------------------------------------------------------------- */

void ego__demux_close(ego__demuxer *in) {
    avformat_close_input(&in->format);
    if (in->io) av_freep(&in->io->buffer);
    avio_context_free(&in->io);
    *in = (ego__demuxer){0};
}

/* Nothing but the file itself is ever opened: playlists and the like stay closed. */
static int refuse_open(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                       AVDictionary **options) {
    (void)format, (void)io, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

static int open_format(ego__demuxer *in) {
    AVDictionary *options = NULL;
    const AVInputFormat *format = NULL;
    if (!(in->format = avformat_alloc_context())) return AVERROR(ENOMEM);
    if (in->bytes.pattern) {
        char rate[32];
        snprintf(rate, sizeof rate, "%lld/1000", llround(in->bytes.picture_rate * 1000));
        av_dict_set(&options, "framerate", rate, 0);
        format = av_find_input_format("image2");
    } else {
        uint8_t *buffer = av_malloc(IO_BYTES);
        if (buffer)
            in->io = avio_alloc_context(buffer, IO_BYTES, 0, &in->bytes, read_bytes, NULL,
                                        in->bytes.size < 0 ? NULL : seek_bytes);
        if (!in->io) {
            av_free(buffer);
            return AVERROR(ENOMEM);
        }
        in->format->pb = in->io;
        in->format->io_open = refuse_open;
        if (in->bytes.soon) in->format->max_analyze_duration = SOON_US;
    }
    /* FFmpeg 4 takes the format without const, and only reads it. */
    int rc = avformat_open_input(&in->format, in->bytes.path, (AVInputFormat *)(uintptr_t)format,
                                 &options);
    av_dict_free(&options);
    return rc;
}

static void take_stream(ego__demuxer *in, int number) {
    for (unsigned i = 0; i < in->format->nb_streams; i++)
        if ((int)i != number) in->format->streams[i]->discard = AVDISCARD_ALL;
    in->stream = in->format->streams[number];
}

ego_err ego__demux_open(const ego__bytes *bytes, bool probe, ego__demuxer *in) {
    *in = (ego__demuxer){.bytes = *bytes, .last = AV_NOPTS_VALUE};
    int rc = open_format(in);
    if (rc < 0) return ego__fail_av(bytes->path, rc, "cannot be read as media");
    const char *name = in->format->iformat->name;
    bool matroska = strncmp(name, "matroska", 8) == 0;
    in->indexed =
        bytes->size >= 0 && !bytes->pattern && (matroska || strncmp(name, "mov,", 4) == 0);
    if ((probe || !in->indexed) && (rc = avformat_find_stream_info(in->format, NULL)) < 0)
        return ego__fail_av(bytes->path, rc, "no stream can be read");
    int best = av_find_best_stream(in->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (best < 0)
        return ego_fail(EGO_EFORMAT, "%s: expected a video stream, found none", bytes->path);
    take_stream(in, best);
    /* Matroska reads its index on the first seek; before that no key frame ahead is known. */
    if (in->indexed && matroska) av_seek_frame(in->format, best, 0, AVSEEK_FLAG_BACKWARD);
    return EGO_OK;
}

ego_err ego__demux_open_sound(const ego__bytes *bytes, ego__demuxer *in, bool *found) {
    *in = (ego__demuxer){.bytes = *bytes, .last = AV_NOPTS_VALUE};
    int rc = open_format(in);
    if (rc < 0) return ego__fail_av(bytes->path, rc, "cannot be read as media");
    if ((rc = avformat_find_stream_info(in->format, NULL)) < 0)
        return ego__fail_av(bytes->path, rc, "no stream can be read");
    int best = av_find_best_stream(in->format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
    *found = best >= 0;
    if (*found) take_stream(in, best);
    return EGO_OK;
}

/* A clock that jumps back by more than a second starts again (joined recordings): time goes on. */
static void mend_clock(ego__demuxer *in, AVPacket *packet) {
    if (packet->dts == AV_NOPTS_VALUE) return;
    int64_t second = av_rescale_q(1, (AVRational){1, 1}, in->stream->time_base);
    if (in->last != AV_NOPTS_VALUE && packet->dts + in->add < in->last - second)
        in->add = in->last + (packet->duration > 0 ? packet->duration : 1) - packet->dts;
    packet->dts += in->add;
    if (packet->pts != AV_NOPTS_VALUE) packet->pts += in->add;
    in->last = packet->dts;
}

int ego__demux_read(ego__demuxer *in, AVPacket *packet) {
    for (;;) {
        av_packet_unref(packet);
        int rc = av_read_frame(in->format, packet);
        if (rc < 0) return rc;
        if (packet->stream_index != in->stream->index) continue;
        /* In an indexed format a packet is called corrupt when the file ends in it. */
        if (in->indexed && (packet->flags & AV_PKT_FLAG_CORRUPT)) continue;
        if (!in->indexed) mend_clock(in, packet);
        return 0;
    }
}

static const AVIndexEntry *index_entry(AVStream *stream, int i) {
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(58, 79, 100)
    return avformat_index_get_entry(stream, i);
#else
    return i >= 0 && i < stream->nb_index_entries ? &stream->index_entries[i] : NULL;
#endif
}

bool ego__demux_key_before(const ego__demuxer *in, int64_t goal, int64_t *key) {
    if (!in->indexed) return false;
    int i = av_index_search_timestamp(in->stream, goal, AVSEEK_FLAG_BACKWARD);
    const AVIndexEntry *entry = i < 0 ? NULL : index_entry(in->stream, i);
    if (entry) *key = entry->timestamp;
    return entry != NULL;
}

const int32_t *ego__demux_matrix(const ego__demuxer *in) {
    const void *data = NULL;
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
    const AVCodecParameters *par = in->stream->codecpar;
    const AVPacketSideData *side = av_packet_side_data_get(
        par->coded_side_data, par->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    if (side && side->size >= 9 * sizeof(int32_t)) data = side->data;
#else
    for (int i = 0; i < in->stream->nb_side_data; i++) {
        const AVPacketSideData *side = &in->stream->side_data[i];
        if (side->type == AV_PKT_DATA_DISPLAYMATRIX && (size_t)side->size >= 9 * sizeof(int32_t))
            data = side->data;
    }
#endif
    return data;
}

/* ---- where the stream ends ------------------------------------------------------------------- */

typedef struct extent {
    bool any;
    int64_t first, last; /* the least beginning and the greatest end of any packet */
} extent;

/* Reads packets to the end. */
static extent scan(ego__demuxer *in, AVPacket *packet, int64_t usual) {
    extent e = {0};
    int errors = 0, rc;
    while ((rc = ego__demux_read(in, packet)) != AVERROR_EOF && errors < MAX_READ_ERRORS) {
        errors = rc < 0 ? errors + 1 : 0;
        if (rc < 0 || (packet->flags & AV_PKT_FLAG_DISCARD)) continue;
        int64_t stamp = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
        if (stamp == AV_NOPTS_VALUE) continue;
        int64_t end = stamp + (packet->duration > 0 ? packet->duration : usual);
        if (!e.any || stamp < e.first) e.first = stamp;
        if (!e.any || end > e.last) e.last = end;
        e.any = true;
    }
    return e;
}

/* Reads on from the last key frame whose bytes the file really has. */
static extent scan_tail(ego__demuxer *in, AVPacket *packet, int64_t usual) {
    extent e = {0};
    int stream = in->stream->index;
    int i = av_index_search_timestamp(in->stream, INT64_MAX, AVSEEK_FLAG_BACKWARD);
    for (; i > 0 && !e.any; i = i * 7 / 8) {
        const AVIndexEntry *entry = index_entry(in->stream, i);
        if (!entry || entry->pos >= in->bytes.size || !(entry->flags & AVINDEX_KEYFRAME)) continue;
        int rc = av_seek_frame(in->format, stream, entry->timestamp, AVSEEK_FLAG_BACKWARD);
        if (rc >= 0) e = scan(in, packet, usual);
    }
    if (!e.any && av_seek_frame(in->format, stream, INT64_MIN, 0) >= 0) e = scan(in, packet, usual);
    return e;
}

ego_err ego__demux_measure(const ego__bytes *bytes, int64_t origin, int64_t usual, double *seconds,
                           bool *found) {
    ego_err err = EGO_OK;
    ego__demuxer in = {0};
    AVPacket *packet = av_packet_alloc();
    if (!packet) return ego_fail(EGO_ENOMEM, "%s: out of memory", bytes->path);
    EGO_TRY_OUT(ego__demux_open(bytes, false, &in));
    extent e = in.indexed ? scan_tail(&in, packet, usual) : scan(&in, packet, usual);
    AVRational base = in.stream->time_base;
    *found = e.any;
    if (e.any) *seconds = (double)(e.last - (in.indexed ? origin : e.first)) * base.num / base.den;
out:
    av_packet_free(&packet);
    ego__demux_close(&in);
    return err;
}
