#include "media/decode.h"

#include <errno.h>
#include <fcntl.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    IO_BYTES = 1 << 16,
    MAX_FRUITLESS = 5000, /* packets in a row without a frame before reading is given up */
    MAX_READ_ERRORS = 64, /* the same for packets that cannot be read */
    MAX_PIXELS = 1 << 26, /* 8K and some */
    KEY_GAIN = 12,        /* frames that a jump to a key frame must save */
};
static const double CLOCK = 1e-6; /* time stamps are compared to the microsecond */

/* ---- where the bytes come from -------------------------------------------------------------------- */

typedef struct source {
    int fd;              /* -1: memory */
    const uint8_t *data; /* when in memory */
    int64_t size;        /* -1 for a pipe */
    int64_t at;
    const atomic_bool *stop;
} source;

static int read_pipe(source *s, uint8_t *out, int n) {
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
    source *s = opaque;
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
    source *s = opaque;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) return s->size;
    if (whence == SEEK_CUR) offset += s->at;
    if (whence == SEEK_END) offset += s->size;
    return offset < 0 ? AVERROR(EINVAL) : (s->at = offset);
}

/* ---- packets in order ----------------------------------------------------------------------------- */

typedef struct demuxer {
    source bytes; /* its own position in the shared file */
    AVIOContext *io;
    AVFormatContext *format;
    AVStream *stream;
    bool indexed;      /* an index that names key frames, and time stamps that hold after a seek */
    int64_t last, add; /* repairs clocks that start again, in formats without an index */
} demuxer;

struct ego_video {
    char *path;
    bool pattern;
    ego_video_options options;
    source bytes;
    demuxer in;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *now, *next;          /* on display, and decoded ahead */
    double now_time, next_time;   /* seconds */
    bool has_now, has_next, draining, ended;
    int64_t origin;               /* time stamp of the first frame: time 0 */
    bool has_origin;
    int64_t trust_from;           /* after a seek: earlier frames may miss what they refer to */
    int fruitless, read_errors;
    double orientation[4];        /* x' = [0]x + [1]y, y' = [2]x + [3]y: -1, 0 and 1 */
    struct SwsContext *sws;
    int sws_width, sws_height, sws_format, sws_space, sws_range;
    uint8_t *rows;                /* what swscale writes: padded rows */
    size_t rows_bytes;
    ego_video_info info;
    bool measured;
    ego_video_damage damage;
};

static void (*log_sink)(const char *line);
static _Thread_local char log_last[256]; /* libav's latest complaint on this thread, for messages */

static void on_log(void *context, int level, const char *format, va_list args) {
    if (level > AV_LOG_WARNING) return;
    char line[256];
    int prefix = 1;
    av_log_format_line(context, level, format, args, line, sizeof line, &prefix);
    line[strcspn(line, "\r\n")] = '\0';
    if (level <= AV_LOG_ERROR) {
        const char *text = line[0] == '[' ? strstr(line, "] ") : NULL;
        if (text) memmove(line, text + 2, strlen(text + 2) + 1);
        memcpy(log_last, line, sizeof line);
    }
    if (log_sink) log_sink(line);
}

static void install_log(void) { av_log_set_callback(on_log); }

static void prepare_libav(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install_log);
    log_last[0] = '\0';
}

void ego_video_log(void (*sink)(const char *line)) {
    prepare_libav();
    log_sink = sink;
}

static const char *av_text(int code, char text[static AV_ERROR_MAX_STRING_SIZE]) {
    return av_strerror(code, text, AV_ERROR_MAX_STRING_SIZE) == 0 ? text : "unknown error";
}

/* A failure of libav: its own words, if it said any, else the meaning of the code. */
static ego_err fail_av(const ego_video *v, int code, const char *doing) {
    char text[AV_ERROR_MAX_STRING_SIZE];
    if (code == AVERROR(ENOMEM)) return ego_fail(EGO_ENOMEM, "%s: out of memory", v->path);
    if (code == AVERROR_EXIT) return ego_fail(EGO_ECANCELLED, "%s: stopped", v->path);
    return ego_fail(EGO_EFORMAT, "%s: %s: %s%s%s", v->path, doing, av_text(code, text),
                    log_last[0] ? ": " : "", log_last);
}

static void note_damage(ego_video *v, int code, const char *what) {
    char text[AV_ERROR_MAX_STRING_SIZE];
    v->damage.errors++;
    if (v->damage.what[0]) return;
    snprintf(v->damage.what, sizeof v->damage.what, "%s: %s%s%.120s", what, av_text(code, text),
             log_last[0] ? ": " : "", log_last);
}

static void close_demuxer(demuxer *in) {
    avformat_close_input(&in->format);
    if (in->io) av_freep(&in->io->buffer);
    avio_context_free(&in->io);
    *in = (demuxer){0};
}

/* Nothing but the file itself is ever opened: playlists and the like stay closed. */
static int refuse_open(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                       AVDictionary **options) {
    (void)format, (void)io, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

static int open_format(const ego_video *v, demuxer *in) {
    AVDictionary *options = NULL;
    const AVInputFormat *format = NULL;
    if (!(in->format = avformat_alloc_context())) return AVERROR(ENOMEM);
    if (v->pattern) {
        char rate[32];
        double fps = v->options.picture_rate > 0 ? v->options.picture_rate : 25;
        snprintf(rate, sizeof rate, "%lld/1000", (long long)llround(fps * 1000));
        av_dict_set(&options, "framerate", rate, 0);
        format = av_find_input_format("image2");
    } else {
        uint8_t *buffer = av_malloc(IO_BYTES);
        in->io = buffer ? avio_alloc_context(buffer, IO_BYTES, 0, &in->bytes, read_bytes, NULL,
                                             v->bytes.size < 0 ? NULL : seek_bytes)
                        : NULL;
        if (!in->io) {
            av_free(buffer);
            return AVERROR(ENOMEM);
        }
        in->format->pb = in->io;
        in->format->io_open = refuse_open;
    }
    int rc = avformat_open_input(&in->format, v->path, (AVInputFormat *)(uintptr_t)format, &options);
    av_dict_free(&options);
    return rc;
}

/* `probe`: look into the stream as well as the header, as decoding needs. */
static ego_err open_demuxer(const ego_video *v, bool probe, demuxer *in) {
    *in = (demuxer){.bytes = v->bytes, .last = AV_NOPTS_VALUE};
    int rc = open_format(v, in);
    if (rc < 0) return fail_av(v, rc, "cannot be read as media");
    const char *name = in->format->iformat->name;
    in->indexed = v->bytes.size >= 0 && !v->pattern &&
                  (strncmp(name, "mov,", 4) == 0 || strncmp(name, "matroska", 8) == 0);
    if ((probe || !in->indexed) && (rc = avformat_find_stream_info(in->format, NULL)) < 0)
        return fail_av(v, rc, "no stream can be read");
    int best = av_find_best_stream(in->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (best < 0) return ego_fail(EGO_EFORMAT, "%s: expected a video stream, found none", v->path);
    for (unsigned i = 0; i < in->format->nb_streams; i++)
        if ((int)i != best) in->format->streams[i]->discard = AVDISCARD_ALL;
    in->stream = in->format->streams[best];
    /* Matroska reads its index on the first seek; without it no key frame ahead would be known. */
    if (in->indexed && name[2] == 't') av_seek_frame(in->format, best, 0, AVSEEK_FLAG_BACKWARD);
    return EGO_OK;
}

/* A clock that jumps back by more than a second starts again (joined recordings): time goes on. */
static void mend_clock(demuxer *in, AVPacket *packet) {
    if (packet->dts == AV_NOPTS_VALUE) return;
    int64_t second = av_rescale_q(1, (AVRational){1, 1}, in->stream->time_base);
    if (in->last != AV_NOPTS_VALUE && packet->dts + in->add < in->last - second)
        in->add = in->last + (packet->duration > 0 ? packet->duration : 1) - packet->dts;
    packet->dts += in->add;
    if (packet->pts != AV_NOPTS_VALUE) packet->pts += in->add;
    in->last = packet->dts;
}

/* The stream's next packet; AVERROR_EOF at the end. */
static int read_packet(demuxer *in, AVPacket *packet) {
    for (;;) {
        av_packet_unref(packet);
        int rc = av_read_frame(in->format, packet);
        if (rc < 0) return rc;
        if (packet->stream_index != in->stream->index) continue;
        if (in->indexed && (packet->flags & AV_PKT_FLAG_CORRUPT)) continue; /* the file ends in it */
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

/* The time stamp in the index of the last key frame not after `goal`. */
static bool key_before(const demuxer *in, int64_t goal, int64_t *key) {
    if (!in->indexed) return false;
    const AVIndexEntry *entry =
        index_entry(in->stream, av_index_search_timestamp(in->stream, goal, AVSEEK_FLAG_BACKWARD));
    if (!entry) return false;
    *key = entry->timestamp;
    return true;
}

/* ---- frames in order ------------------------------------------------------------------------------ */

static double seconds(const ego_video *v, int64_t stamp) {
    AVRational base = v->in.stream->time_base;
    return (double)(stamp - v->origin) * base.num / base.den;
}

static double frame_duration(const ego_video *v, const AVFrame *frame) {
    AVRational base = v->in.stream->time_base, rate = v->in.stream->avg_frame_rate;
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
    int64_t duration = frame ? frame->duration : 0;
#else
    int64_t duration = frame ? frame->pkt_duration : 0;
#endif
    if (duration > 0) return (double)duration * base.num / base.den;
    return rate.num > 0 && rate.den > 0 ? (double)rate.den / rate.num : 1.0 / 25;
}

static void give_up(ego_video *v, int code, const char *what) {
    note_damage(v, code, what);
    v->damage.cut = v->ended = true;
}

/* Feeds the decoder one packet, or the end of the stream. */
static ego_err feed(ego_video *v) {
    int rc = read_packet(&v->in, v->packet);
    if (rc == AVERROR(ENOMEM) || rc == AVERROR_EXIT) return fail_av(v, rc, "cannot be read");
    if (rc < 0 && rc != AVERROR_EOF && ++v->read_errors < MAX_READ_ERRORS) {
        note_damage(v, rc, "a packet cannot be read");
        return EGO_OK;
    }
    if (rc < 0) {
        if (rc != AVERROR_EOF) v->damage.cut = true;
        v->draining = true;
        avcodec_send_packet(v->codec, NULL);
        return EGO_OK;
    }
    v->read_errors = 0;
    rc = avcodec_send_packet(v->codec, v->packet);
    av_packet_unref(v->packet);
    if (rc == AVERROR(ENOMEM)) return fail_av(v, rc, "cannot be decoded");
    if (rc < 0) note_damage(v, rc, "a packet cannot be decoded");
    if (++v->fruitless > MAX_FRUITLESS) give_up(v, AVERROR_INVALIDDATA, "nothing can be decoded any more");
    return EGO_OK;
}

/* Takes the frame in v->next if it may be shown. */
static void accept_frame(ego_video *v) {
    AVFrame *frame = v->next;
    int64_t stamp = frame->best_effort_timestamp;
    if (v->in.indexed && frame->pts != AV_NOPTS_VALUE) stamp = frame->pts;
    if (stamp != AV_NOPTS_VALUE && stamp < v->trust_from) return;
    if (frame->decode_error_flags || (frame->flags & AV_FRAME_FLAG_CORRUPT)) v->damage.damaged++;
    if (!v->has_origin) {
        v->origin = stamp == AV_NOPTS_VALUE ? 0 : stamp;
        v->has_origin = true;
    }
    if (stamp != AV_NOPTS_VALUE)
        v->next_time = seconds(v, stamp);
    else
        v->next_time = v->has_now ? v->now_time + frame_duration(v, v->now) : 0;
    if (v->has_now && v->next_time < v->now_time) v->next_time = v->now_time;
    v->has_next = true;
    v->fruitless = 0;
}

/* Decodes one frame more into v->next, or finds the end. */
static ego_err decode_next(ego_video *v) {
    v->has_next = false;
    while (!v->ended && !v->has_next) {
        int rc = avcodec_receive_frame(v->codec, v->next);
        if (rc == 0)
            accept_frame(v);
        else if (rc == AVERROR_EOF)
            v->ended = true;
        else if (rc == AVERROR(ENOMEM))
            return fail_av(v, rc, "cannot be decoded");
        else if (rc != AVERROR(EAGAIN)) {
            note_damage(v, rc, "a frame cannot be decoded");
            if (++v->fruitless > MAX_FRUITLESS) v->damage.cut = v->ended = true;
        } else if (v->draining)
            v->ended = true;
        else
            EGO_TRY(feed(v));
    }
    return EGO_OK;
}

static void forget_frames(ego_video *v) {
    av_frame_unref(v->now);
    av_frame_unref(v->next);
    av_packet_unref(v->packet);
    v->has_now = v->has_next = v->draining = v->ended = false;
    v->trust_from = INT64_MIN;
    v->fruitless = v->read_errors = 0;
}

static void read_orientation(const int32_t *m, double o[4]) {
    double a = m[0], b = m[1], c = m[3], d = m[4]; /* x' = ax + cy, y' = bx + dy */
    bool upright = fabs(a) + fabs(d) >= fabs(b) + fabs(c);
    /* What is no multiple of 90 degrees goes to the nearest. */
    o[0] = upright ? copysign(1, a) : 0;
    o[1] = upright ? 0 : copysign(1, c);
    o[2] = upright ? 0 : copysign(1, b);
    o[3] = upright ? copysign(1, d) : 0;
}

static void find_orientation(ego_video *v) {
    static const int32_t upright[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    const int32_t *matrix = NULL;
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
    const AVCodecParameters *par = v->in.stream->codecpar;
    const AVPacketSideData *side = av_packet_side_data_get(
        par->coded_side_data, par->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    if (side && side->size >= sizeof upright) matrix = (const int32_t *)(const void *)side->data;
#else
    size_t size = 0;
    uint8_t *data = av_stream_get_side_data(v->in.stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    if (data && size >= sizeof upright) matrix = (const int32_t *)(const void *)data;
#endif
    read_orientation(matrix ? matrix : upright, v->orientation);
}

/* From the beginning: everything is opened anew, so that nothing depends on what was done before. */
static ego_err start(ego_video *v) {
    forget_frames(v);
    avcodec_free_context(&v->codec);
    close_demuxer(&v->in);
    EGO_TRY(open_demuxer(v, true, &v->in));
    const AVCodecParameters *par = v->in.stream->codecpar;
    const AVCodec *decoder = avcodec_find_decoder(par->codec_id);
    if (!decoder)
        return ego_fail(EGO_EUNSUPPORTED, "%s: this build has no decoder for %s video", v->path,
                        avcodec_get_name(par->codec_id));
    if (!(v->codec = avcodec_alloc_context3(decoder)))
        return ego_fail(EGO_ENOMEM, "%s: out of memory", v->path);
    int rc = avcodec_parameters_to_context(v->codec, par);
    v->codec->thread_count = v->options.threads ? (int)v->options.threads : 1;
    v->codec->pkt_timebase = v->in.stream->time_base;
    v->codec->max_pixels = MAX_PIXELS;
    if (rc < 0 || (rc = avcodec_open2(v->codec, decoder, NULL)) < 0)
        return fail_av(v, rc, "the decoder cannot be opened");
    find_orientation(v);
    EGO_TRY(decode_next(v));
    if (v->has_next) return EGO_OK;
    return ego_fail(EGO_EFORMAT, "%s: expected at least one frame, found none%s%s", v->path,
                    v->damage.what[0] ? ": " : "", v->damage.what);
}

/* Jumps to a key frame from which decoding onward shows all that is on display from `target` (a time
 * stamp) on. *done is false when there is none to be had. */
static ego_err jump(ego_video *v, int64_t target, bool *done) {
    int64_t goal = target, key;
    *done = false;
    for (int attempt = 0; attempt < 4 && key_before(&v->in, goal, &key); attempt++) {
        if (av_seek_frame(v->in.format, v->in.stream->index, key, AVSEEK_FLAG_BACKWARD) < 0) break;
        avcodec_flush_buffers(v->codec);
        forget_frames(v);
        if (read_packet(&v->in, v->packet) < 0 || !(v->packet->flags & AV_PKT_FLAG_KEY)) break;
        goal = key - 1;
        if (v->packet->pts == AV_NOPTS_VALUE || v->packet->pts > target) continue;
        v->trust_from = v->packet->pts;
        if (avcodec_send_packet(v->codec, v->packet) < 0) continue;
        EGO_TRY(decode_next(v));
        *done = v->has_next && v->next_time <= seconds(v, target) + CLOCK;
        if (*done) return EGO_OK;
    }
    forget_frames(v);
    return EGO_OK;
}

/* Whether a key frame stands far enough before the target for a jump to save decoding. */
static bool jump_pays(const ego_video *v, int64_t target) {
    int64_t key;
    if (!key_before(&v->in, target, &key)) return false;
    return seconds(v, key) > v->now_time + KEY_GAIN * frame_duration(v, v->now);
}

static ego_err show_next(ego_video *v) {
    AVFrame *old = v->now;
    v->now = v->next;
    v->next = old;
    v->now_time = v->next_time;
    v->has_now = true;
    return decode_next(v);
}

ego_err ego_video_seek(ego_video *v, double t) {
    if (!(fabs(t) < 1e9))
        return ego_fail(EGO_EINPUT, "%s: expected a time in seconds, found %g", v->path, t);
    AVRational base = v->in.stream->time_base;
    int64_t target = v->origin + (int64_t)floor((t > 0 ? t + CLOCK : CLOCK) * base.den / base.num);
    bool back = v->has_now && t + CLOCK < v->now_time && v->now_time > 0, done = false;
    if (!v->has_now && !v->has_next) back = true; /* an earlier request failed on the way */
    if (back && v->bytes.size < 0)
        return ego_fail(EGO_EUNSUPPORTED, "%s: a pipe cannot go back from %.3f to %.3f s", v->path,
                        v->now_time, t);
    if (back || (v->has_now && !v->ended && jump_pays(v, target))) {
        EGO_TRY(jump(v, target, &done));
        if (!done) EGO_TRY(start(v));
    }
    if (!v->has_now) EGO_TRY(show_next(v));
    while (v->has_next && v->next_time <= t + CLOCK) EGO_TRY(show_next(v));
    return EGO_OK;
}

double ego_video_time(const ego_video *v) { return v->now_time; }
bool ego_video_at_last(const ego_video *v) { return v->has_now && !v->has_next; }
const ego_video_damage *ego_video_get_damage(const ego_video *v) { return &v->damage; }

/* ---- pixels --------------------------------------------------------------------------------------- */

static int matrix_of(const AVFrame *frame) {
    switch (frame->colorspace) {
    case AVCOL_SPC_BT709: return SWS_CS_ITU709;
    case AVCOL_SPC_FCC: return SWS_CS_FCC;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M: return SWS_CS_ITU601;
    case AVCOL_SPC_SMPTE240M: return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL: return SWS_CS_BT2020;
    default: return frame->height < 720 ? SWS_CS_ITU601 : SWS_CS_ITU709;
    }
}

/* The converter for frames like this one. */
static ego_err open_converter(ego_video *v, const AVFrame *frame) {
    int space = matrix_of(frame), range = frame->color_range == AVCOL_RANGE_JPEG;
    if (v->sws && v->sws_width == frame->width && v->sws_height == frame->height &&
        v->sws_format == frame->format && v->sws_space == space && v->sws_range == range)
        return EGO_OK;
    bool plain = v->options.reference_colour;
    int flags = plain ? SWS_BICUBIC : SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT;
    sws_freeContext(v->sws);
    v->sws = sws_getContext(frame->width, frame->height, frame->format, frame->width, frame->height,
                            AV_PIX_FMT_RGB24, flags, NULL, NULL, NULL);
    if (!v->sws) {
        const char *name = av_get_pix_fmt_name(frame->format);
        return ego_fail(EGO_EUNSUPPORTED, "%s: cannot convert %d x %d %s to RGB", v->path,
                        frame->width, frame->height, name ? name : "pixels of an unknown kind");
    }
    const AVPixFmtDescriptor *kind = av_pix_fmt_desc_get(frame->format);
    if (!plain && kind && !(kind->flags & AV_PIX_FMT_FLAG_RGB)) {
        bool full = range || strncmp(kind->name, "yuvj", 4) == 0;
        const int *matrix = sws_getCoefficients(space);
        sws_setColorspaceDetails(v->sws, matrix, full, matrix, 1, 0, 1 << 16, 1 << 16);
    }
    v->sws_width = frame->width;
    v->sws_height = frame->height;
    v->sws_format = frame->format;
    v->sws_space = space;
    v->sws_range = range;
    return EGO_OK;
}

/* Copies padded rows into the image, turned and mirrored as the display matrix says. */
static void orient(const double o[4], const uint8_t *rows, size_t pitch, int width, int height,
                   ego_image *image) {
    if (o[0] > 0 && o[3] > 0) {
        for (int y = 0; y < height; y++)
            memcpy(image->rgb + (size_t)y * (size_t)width * 3, rows + (size_t)y * pitch,
                   (size_t)width * 3);
        return;
    }
    int xx = (int)o[0], xy = (int)o[1], yx = (int)o[2], yy = (int)o[3];
    int x0 = (xx < 0 || xy < 0) ? image->width - 1 : 0, y0 = (yx < 0 || yy < 0) ? image->height - 1 : 0;
    for (int y = 0; y < height; y++) {
        const uint8_t *from = rows + (size_t)y * pitch;
        for (int x = 0; x < width; x++, from += 3) {
            size_t to = (size_t)(y0 + yx * x + yy * y) * (size_t)image->width;
            memcpy(image->rgb + 3 * (to + (size_t)(x0 + xx * x + xy * y)), from, 3);
        }
    }
}

ego_err ego_video_image(ego_video *v, ego_image *image) {
    if (!v->has_now) EGO_TRY(ego_video_seek(v, 0));
    const AVFrame *frame = v->now;
    EGO_TRY(open_converter(v, frame));
    /* swscale may write whole vectors: its rows are padded, the image's are not. */
    size_t pitch = ((size_t)frame->width * 3 + 127) / 64 * 64;
    if (pitch * (size_t)frame->height > v->rows_bytes) {
        av_freep(&v->rows);
        v->rows_bytes = 0;
        if (!(v->rows = av_malloc(pitch * (size_t)frame->height)))
            return ego_fail(EGO_ENOMEM, "%s: out of memory for a frame", v->path);
        v->rows_bytes = pitch * (size_t)frame->height;
    }
    uint8_t *planes[4] = {v->rows};
    int pitches[4] = {(int)pitch};
    int rc = sws_scale(v->sws, (const uint8_t *const *)frame->data, frame->linesize, 0,
                       frame->height, planes, pitches);
    if (rc < 0) return fail_av(v, rc, "cannot be converted to RGB");
    double matrix[4];
    memcpy(matrix, v->orientation, sizeof matrix);
    const AVFrameSideData *side = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
    if (side && side->size >= 9 * sizeof(int32_t))
        read_orientation((const int32_t *)(const void *)side->data, matrix);
    bool turned = matrix[0] == 0;
    EGO_TRY(ego_image_new(turned ? frame->height : frame->width,
                          turned ? frame->width : frame->height, image));
    orient(matrix, v->rows, pitch, frame->width, frame->height, image);
    return EGO_OK;
}

ego_err ego_video_frame_at(ego_video *v, double t, ego_image *image) {
    EGO_TRY(ego_video_seek(v, t));
    return ego_video_image(v, image);
}

/* ---- what there is -------------------------------------------------------------------------------- */

/* Reads packets to the end; the greatest end of any, and the least beginning, as time stamps. */
static int scan(const ego_video *v, demuxer *in, AVPacket *packet, int64_t *first, int64_t *last) {
    AVRational rate = in->stream->avg_frame_rate.num > 0 ? in->stream->avg_frame_rate
                                                         : v->in.stream->avg_frame_rate;
    int64_t usual = rate.num > 0 ? av_rescale_q(1, av_inv_q(rate), in->stream->time_base) : 0;
    int seen = 0, errors = 0, rc;
    while ((rc = read_packet(in, packet)) == 0 || (rc != AVERROR_EOF && ++errors < MAX_READ_ERRORS)) {
        int64_t stamp = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
        if (rc < 0 || stamp == AV_NOPTS_VALUE || (packet->flags & AV_PKT_FLAG_DISCARD)) continue;
        int64_t end = stamp + (packet->duration > 0 ? packet->duration : usual);
        if (!seen || stamp < *first) *first = stamp;
        if (!seen || end > *last) *last = end;
        seen = 1;
    }
    return seen;
}

/* Finds the last key frame whose bytes the file really has, and reads on from there. */
static int scan_tail(const ego_video *v, demuxer *in, AVPacket *packet, int64_t *last) {
    int64_t first;
    int i = av_index_search_timestamp(in->stream, INT64_MAX, AVSEEK_FLAG_BACKWARD);
    for (; i > 0; i = i * 7 / 8) {
        const AVIndexEntry *entry = index_entry(in->stream, i);
        if (!entry || entry->pos >= v->bytes.size || !(entry->flags & AVINDEX_KEYFRAME)) continue;
        if (av_seek_frame(in->format, in->stream->index, entry->timestamp, AVSEEK_FLAG_BACKWARD) < 0)
            break;
        if (scan(v, in, packet, &first, last)) return 1;
    }
    return av_seek_frame(in->format, in->stream->index, INT64_MIN, 0) >= 0 &&
           scan(v, in, packet, &first, last);
}

static ego_err measure(ego_video *v) {
    demuxer in = {0};
    int64_t first = 0, last = 0;
    ego_err err = EGO_OK;
    double claimed = v->in.stream->duration > 0
                         ? (double)v->in.stream->duration * av_q2d(v->in.stream->time_base)
                         : v->in.format->duration > 0 ? (double)v->in.format->duration / AV_TIME_BASE : 0;
    v->info.duration = claimed;
    v->info.exact = v->pattern;
    if (v->pattern || v->bytes.size < 0) return EGO_OK; /* the pictures were counted on opening */
    AVPacket *packet = av_packet_alloc();
    if (!packet) return ego_fail(EGO_ENOMEM, "%s: out of memory", v->path);
    EGO_TRY_OUT(open_demuxer(v, false, &in));
    AVRational base = in.stream->time_base;
    if (in.indexed && scan_tail(v, &in, packet, &last))
        v->info.duration = (double)(last - v->origin) * base.num / base.den;
    else if (!in.indexed && scan(v, &in, packet, &first, &last))
        v->info.duration = (double)(last - first) * base.num / base.den;
    if (v->info.duration <= 0) v->info.duration = frame_duration(v, NULL);
    v->info.exact = true;
    if (v->info.duration < claimed - fmax(1, claimed / 50)) {
        v->damage.cut = true;
        if (!v->damage.what[0])
            snprintf(v->damage.what, sizeof v->damage.what,
                     "the video ends at %.3f s, its header says %.3f s", v->info.duration, claimed);
    }
out:
    av_packet_free(&packet);
    close_demuxer(&in);
    return err;
}

ego_err ego_video_get_info(ego_video *v, ego_video_info *info) {
    if (!v->measured) {
        AVStream *stream = v->in.stream;
        bool turned = v->orientation[0] == 0;
        const AVFrame *frame = v->has_now ? v->now : v->next;
        v->info.width = turned ? frame->height : frame->width;
        v->info.height = turned ? frame->width : frame->height;
        AVRational rate = av_guess_frame_rate(v->in.format, stream, NULL);
        if (rate.num <= 0 || rate.den <= 0) rate = stream->avg_frame_rate;
        v->info.fps = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
        EGO_TRY(measure(v));
        double header = v->in.format->duration > 0 ? (double)v->in.format->duration / AV_TIME_BASE
                                                   : v->info.duration;
        v->info.frames = stream->nb_frames > 0 ? stream->nb_frames : llround(header * v->info.fps);
        v->measured = true;
    }
    if (v->bytes.size < 0 && v->ended && v->has_now && !v->info.exact) {
        v->info.duration = v->now_time + frame_duration(v, v->now);
        v->info.exact = true;
    }
    *info = v->info;
    return EGO_OK;
}

ego_err ego_video_seek_number(ego_video *v, int64_t number, bool *found) {
    ego_video_info info;
    EGO_TRY(ego_video_get_info(v, &info));
    double fps = info.fps > 0 ? info.fps : 25, t = ((double)number + 0.5) / fps - 2 * CLOCK;
    EGO_TRY(ego_video_seek(v, number > 0 ? t : 0));
    /* The last frame stands for its own number only. */
    *found = number <= 0 || v->has_next || floor(v->now_time * fps + 0.5) >= (double)number;
    return EGO_OK;
}

/* ---- open and close ------------------------------------------------------------------------------- */

static ego_err open_bytes(ego_video *v, const char *path) {
    struct stat st;
    bool standard = strcmp(path, "-") == 0;
    v->bytes.fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (v->bytes.fd < 0 && errno == ENOENT && strchr(path, '%')) {
        v->pattern = true;
        return EGO_OK;
    }
    if (v->bytes.fd < 0 || fstat(v->bytes.fd, &st) != 0)
        return ego_fail(EGO_EIO, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return ego_fail(EGO_EIO, "%s: expected a video file, found a directory", path);
    v->bytes.size = S_ISREG(st.st_mode) ? st.st_size : -1;
    return EGO_OK;
}

static ego_err open_video(const char *path, source bytes, const ego_video_options *options,
                          ego_video **out) {
    prepare_libav();
    ego_err err = EGO_OK;
    ego_video *v = calloc(1, sizeof *v);
    if (!v) return ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    if (options) v->options = *options;
    v->bytes = bytes;
    v->bytes.stop = v->options.stop;
    v->path = strdup(path);
    v->packet = av_packet_alloc();
    v->now = av_frame_alloc();
    v->next = av_frame_alloc();
    if (!v->path || !v->packet || !v->now || !v->next) {
        err = ego_fail(EGO_ENOMEM, "%s: out of memory", path);
        goto out;
    }
    if (!bytes.data) EGO_TRY_OUT(open_bytes(v, path));
    EGO_TRY_OUT(start(v));
    *out = v;
    v = NULL;
out:
    ego_video_close(v);
    return err;
}

ego_err ego_video_open(const char *path, const ego_video_options *options, ego_video **out) {
    return open_video(path, (source){.fd = -1}, options, out);
}

ego_err ego_video_open_memory(const void *bytes, size_t n, const char *name,
                              const ego_video_options *options, ego_video **out) {
    return open_video(name, (source){.fd = -1, .data = bytes, .size = (int64_t)n}, options, out);
}

void ego_video_close(ego_video *v) {
    if (!v) return;
    sws_freeContext(v->sws);
    av_free(v->rows);
    av_frame_free(&v->now);
    av_frame_free(&v->next);
    av_packet_free(&v->packet);
    avcodec_free_context(&v->codec);
    close_demuxer(&v->in);
    if (v->bytes.fd >= 0) close(v->bytes.fd);
    free(v->path);
    free(v);
}
