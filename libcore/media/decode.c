#include "media/decode.h"

#include "media/convert.h"
#include "media/demux.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_FRUITLESS = 5000, /* packets in a row without a frame before reading is given up */
    MAX_READ_ERRORS = 64, /* the same for packets that cannot be read */
    MAX_PIXELS = 1 << 26, /* 8K and some */
    KEY_GAIN = 12,        /* frames that a jump to a key frame must save */
    HISTORY_BYTES = 1 << 26,
    PACKET_BYTES = 512, /* what keeping a packet takes besides its data: many are smaller than that */
};
static const double CLOCK = 1e-6; /* time stamps are compared to the microsecond */

/* The packets of a pipe that can be played again; the oldest is a key frame. */
typedef struct history {
    AVPacket **packets;
    size_t n, capacity, bytes;
    size_t next; /* the one to play next; n: read on from the pipe */
} history;

struct ego_video {
    char *path;
    ego_video_options options;
    ego__bytes bytes;
    ego__demuxer in;
    AVCodecContext *codec;
    ego__converter *converter;
    AVPacket *packet;
    AVFrame *now, *next;        /* on display, and decoded ahead */
    double now_time, next_time; /* seconds */
    bool has_now, has_next, draining, ended;
    bool has_origin;
    bool in_order;      /* damage was met behind a jump: no more jumps */
    int64_t origin;     /* time stamp of the first frame: time 0 */
    int64_t trust_from; /* after a seek: earlier frames may miss what they refer to */
    int fruitless, read_errors;
    ego__orientation orientation;
    history history;
    ego__complaints complaints; /* of the decoder */
    ego_video_info info;
    bool measured;
    ego_video_damage damage;
};

static bool is_pipe(const ego_video *v) { return v->bytes.size < 0; }

static void note_damage(ego_video *v, int code, const char *what) {
    v->damage.errors++;
    if (!v->damage.what[0]) ego__describe_av(v->damage.what, sizeof v->damage.what, code, what);
}

/* ---- a pipe's past --------------------------------------------------------------------------- */

static void forget_history(history *h, size_t n) {
    if (n == 0) return;
    for (size_t i = 0; i < n; i++) {
        h->bytes -= (size_t)h->packets[i]->size + PACKET_BYTES;
        av_packet_free(&h->packets[i]);
    }
    memmove(h->packets, h->packets + n, (h->n - n) * sizeof *h->packets);
    h->n -= n;
    h->next = h->next > n ? h->next - n : 0;
}

/* Packets from the oldest key frame to the next, which is the first that could be kept alone. */
static size_t oldest_group(const history *h) {
    size_t group = 1;
    while (group < h->n && !(h->packets[group]->flags & AV_PKT_FLAG_KEY)) group++;
    return group;
}

/* Keeps a packet just read; whole groups from key frame to key frame go when there are too many. */
static int remember(history *h, const AVPacket *packet) {
    if (h->n == h->capacity) {
        size_t capacity = h->capacity ? 2 * h->capacity : 256;
        AVPacket **packets = realloc(h->packets, capacity * sizeof(AVPacket *));
        if (!packets) return AVERROR(ENOMEM);
        h->packets = packets;
        h->capacity = capacity;
    }
    if (!(h->packets[h->n] = av_packet_clone(packet))) return AVERROR(ENOMEM);
    h->bytes += (size_t)packet->size + PACKET_BYTES;
    h->next = ++h->n;
    while (h->bytes > HISTORY_BYTES) forget_history(h, oldest_group(h));
    return 0;
}

static int next_packet(ego_video *v) {
    history *h = &v->history;
    av_packet_unref(v->packet);
    if (h->next < h->n) return av_packet_ref(v->packet, h->packets[h->next++]);
    int rc = ego__demux_read(&v->in, v->packet);
    return rc == 0 && is_pipe(v) ? remember(h, v->packet) : rc;
}

/* ---- frames in order ------------------------------------------------------------------------- */

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

/* Groups that end before the past that is asked for. */
static void forget_past(ego_video *v) {
    history *h = &v->history;
    double needed = v->now_time - v->options.past;
    while (v->options.past > 0 && v->has_now && h->n) {
        size_t next = oldest_group(h);
        if (next >= h->next || h->packets[next]->pts == AV_NOPTS_VALUE ||
            seconds(v, h->packets[next]->pts) > needed)
            return;
        forget_history(h, next);
    }
}

/* Feeds the decoder one packet, or the end of the stream. */
static ego_err feed(ego_video *v) {
    int rc = next_packet(v);
    forget_past(v);
    if (rc == AVERROR(ENOMEM) || rc == AVERROR_EXIT) return ego__fail_av(v->path, rc, "reading");
    if (rc < 0 && rc != AVERROR_EOF) {
        note_damage(v, rc, "a packet cannot be read");
        if (++v->read_errors < MAX_READ_ERRORS) return EGO_OK;
        v->damage.cut = true;
    }
    if (rc < 0) {
        v->draining = true;
        avcodec_send_packet(v->codec, NULL);
        return EGO_OK;
    }
    v->read_errors = 0;
    bool trusted = v->packet->pts == AV_NOPTS_VALUE || v->packet->pts >= v->trust_from;
    atomic_store(&v->complaints.excused, !trusted);
    rc = avcodec_send_packet(v->codec, v->packet);
    if (rc == AVERROR(ENOMEM)) return ego__fail_av(v->path, rc, "decoding");
    if (rc < 0 && trusted) note_damage(v, rc, "a packet cannot be decoded");
    if (++v->fruitless > MAX_FRUITLESS) v->damage.cut = v->ended = true;
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
        else if (rc == AVERROR_EOF || (rc == AVERROR(EAGAIN) && v->draining))
            v->ended = true;
        else if (rc == AVERROR(EAGAIN))
            EGO_TRY(feed(v));
        else if (rc == AVERROR(ENOMEM))
            return ego__fail_av(v->path, rc, "decoding");
        else {
            note_damage(v, rc, "a frame cannot be decoded");
            if (++v->fruitless > MAX_FRUITLESS) v->damage.cut = v->ended = true;
        }
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

/* From the beginning: all is opened anew, so that nothing depends on what was done before. */
static ego_err start(ego_video *v) {
    forget_frames(v);
    avcodec_free_context(&v->codec);
    ego__demux_close(&v->in);
    EGO_TRY(ego__demux_open(&v->bytes, true, &v->in));
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
    v->codec->opaque = &v->complaints;
    if (rc < 0 || (rc = avcodec_open2(v->codec, decoder, NULL)) < 0)
        return ego__fail_av(v->path, rc, "the decoder cannot be opened");
    v->orientation = ego__orientation_of(ego__demux_matrix(&v->in));
    EGO_TRY(decode_next(v));
    if (v->has_next) return EGO_OK;
    return ego_fail(EGO_EFORMAT, "%s: expected at least one frame, found none%s%s", v->path,
                    v->damage.what[0] ? ": " : "", v->damage.what);
}

/* ---- going elsewhere ------------------------------------------------------------------------- */

/* Decodes from the key frame in v->packet on. *done: what is on display at `target` will be seen.
 * Frames shown before the key frame may refer to what was not decoded: they are not trusted. */
static ego_err start_at_key(ego_video *v, int64_t target, bool *done) {
    v->trust_from = v->packet->pts;
    if (avcodec_send_packet(v->codec, v->packet) < 0) return EGO_OK;
    EGO_TRY(decode_next(v));
    *done = v->has_next && v->next_time <= seconds(v, target) + CLOCK;
    return EGO_OK;
}

/* Jumps to a key frame by the index. *done is false when there is none that serves. */
static ego_err jump(ego_video *v, int64_t target, bool *done) {
    int64_t goal = target, key;
    *done = false;
    for (int attempt = 0; attempt < 4 && ego__demux_key_before(&v->in, goal, &key); attempt++) {
        int stream = v->in.stream->index;
        if (av_seek_frame(v->in.format, stream, key, AVSEEK_FLAG_BACKWARD) < 0) break;
        avcodec_flush_buffers(v->codec);
        forget_frames(v);
        if (next_packet(v) < 0 || !(v->packet->flags & AV_PKT_FLAG_KEY)) break;
        goal = key - 1;
        if (v->packet->pts == AV_NOPTS_VALUE || v->packet->pts > target) continue;
        EGO_TRY(start_at_key(v, target, done));
        if (*done) return EGO_OK;
    }
    return EGO_OK;
}

/* The same in what is remembered of a pipe. */
static ego_err replay(ego_video *v, int64_t target, double t) {
    history *h = &v->history;
    for (size_t i = h->n; i-- > 0;) {
        const AVPacket *packet = h->packets[i];
        bool done = false;
        if (!(packet->flags & AV_PKT_FLAG_KEY) || packet->pts == AV_NOPTS_VALUE ||
            packet->pts > target)
            continue;
        h->next = i;
        avcodec_flush_buffers(v->codec);
        forget_frames(v);
        if (next_packet(v) == 0) EGO_TRY(start_at_key(v, target, &done));
        if (done) return EGO_OK;
    }
    return ego_fail(EGO_EUNSUPPORTED, "%s: a pipe cannot go back to %.3f s any more", v->path, t);
}

/* Whether a key frame stands far enough before the target for a jump to save decoding. */
static bool jump_pays(const ego_video *v, int64_t target) {
    int64_t key;
    return !v->in_order && v->has_now && !v->ended && ego__demux_key_before(&v->in, target, &key) &&
           seconds(v, key) > v->now_time + KEY_GAIN * frame_duration(v, v->now);
}

static ego_err show_next(ego_video *v) {
    AVFrame *old = v->now;
    v->now = v->next;
    v->next = old;
    v->now_time = v->next_time;
    v->has_now = true;
    return decode_next(v);
}

static ego_err show_until(ego_video *v, double t) {
    if (!v->has_now) EGO_TRY(show_next(v));
    while (v->has_next && v->next_time <= t + CLOCK) EGO_TRY(show_next(v));
    return EGO_OK;
}

static int64_t trouble(ego_video *v) {
    return v->damage.errors + v->damage.damaged + atomic_load(&v->complaints.count);
}

/* By the index, or else from the beginning. How a decoder hides damage may depend on frames before
 * the key frame: a jump that met any is taken back, and the file read in order from then on. */
static ego_err go_to(ego_video *v, int64_t target, double t) {
    int64_t before = trouble(v);
    bool done = false;
    if (!v->in_order) EGO_TRY(jump(v, target, &done));
    if (done) EGO_TRY(show_until(v, t));
    if (done && trouble(v) == before) return EGO_OK;
    v->in_order = v->in_order || done;
    EGO_TRY(start(v));
    return show_until(v, t);
}

ego_err ego_video_seek(ego_video *v, double t) {
    if (!(fabs(t) < 1e9))
        return ego_fail(EGO_EINPUT, "%s: expected a time in seconds, found %g", v->path, t);
    AVRational base = v->in.stream->time_base;
    double from_origin = fmax(t, 0) + CLOCK;
    int64_t target = v->origin + (int64_t)floor(from_origin * base.den / base.num);
    bool lost = !v->has_now && !v->has_next; /* an earlier request failed on the way */
    bool back = lost || (v->has_now && v->now_time > 0 && from_origin < v->now_time);
    if (back && is_pipe(v))
        EGO_TRY(replay(v, target, t));
    else if (back || jump_pays(v, target))
        return go_to(v, target, t);
    return show_until(v, t);
}

double ego_video_origin(const ego_video *v) {
    return (double)v->origin * v->in.stream->time_base.num / v->in.stream->time_base.den;
}

double ego_video_time(const ego_video *v) { return v->now_time; }
bool ego_video_at_last(const ego_video *v) { return v->has_now && !v->has_next; }
const ego_video_damage *ego_video_get_damage(const ego_video *v) { return &v->damage; }

ego_err ego_video_image(ego_video *v, ego_image *image) {
    if (!v->has_now) EGO_TRY(ego_video_seek(v, 0));
    return ego__convert(v->converter, v->now, v->orientation, v->path, image);
}

ego_err ego_video_frame_at(ego_video *v, double t, ego_image *image) {
    EGO_TRY(ego_video_seek(v, t));
    return ego_video_image(v, image);
}

/* ---- what there is --------------------------------------------------------------------------- */

static ego_err measure(ego_video *v) {
    ego_video_info *info = &v->info;
    AVStream *stream = v->in.stream;
    AVRational base = stream->time_base;
    double header = v->in.format->duration > 0 ? (double)v->in.format->duration / AV_TIME_BASE : 0;
    double claimed = stream->duration > 0 ? (double)stream->duration * base.num / base.den : header;
    info->duration = claimed;
    info->pipe = is_pipe(v);
    info->exact = v->bytes.pattern; /* pictures were counted on opening */
    if (!v->bytes.pattern && !is_pipe(v)) {
        int64_t usual = llround(frame_duration(v, NULL) * base.den / base.num);
        EGO_TRY(ego__demux_measure(&v->bytes, v->origin, usual, &info->duration, &info->exact));
        info->exact = info->exact && info->duration > 0;
        if (!info->exact) info->duration = claimed > 0 ? claimed : frame_duration(v, v->next);
    }
    if (info->exact && info->duration < claimed - fmax(1, claimed / 50)) {
        v->damage.cut = true;
        if (!v->damage.what[0])
            snprintf(v->damage.what, sizeof v->damage.what,
                     "the video ends at %.3f s, its header says %.3f s", info->duration, claimed);
    }
    double length = header > 0 ? header : info->duration;
    info->frames = stream->nb_frames > 0 ? stream->nb_frames : llround(length * info->fps);
    return EGO_OK;
}

ego_err ego_video_get_info(ego_video *v, ego_video_info *info) {
    if (!v->measured) {
        const AVFrame *frame = v->has_now ? v->now : v->next;
        bool turns = ego__orientation_turns(v->orientation);
        v->info.width = turns ? frame->height : frame->width;
        v->info.height = turns ? frame->width : frame->height;
        AVRational rate = av_guess_frame_rate(v->in.format, v->in.stream, NULL);
        if (rate.num <= 0 || rate.den <= 0) rate = v->in.stream->avg_frame_rate;
        v->info.fps = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
        EGO_TRY(measure(v));
        v->measured = true;
    }
    if (is_pipe(v) && v->ended && v->has_now && !v->info.exact) {
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

/* ---- open and close -------------------------------------------------------------------------- */

static ego_err open_bytes(ego_video *v) {
    struct stat st;
    bool standard = strcmp(v->path, "-") == 0;
    v->bytes.fd = standard ? dup(STDIN_FILENO) : open(v->path, O_RDONLY | O_CLOEXEC);
    if (v->bytes.fd < 0 && errno == ENOENT && strchr(v->path, '%')) {
        v->bytes.pattern = true;
        return EGO_OK;
    }
    if (v->bytes.fd < 0 || fstat(v->bytes.fd, &st) != 0)
        return ego_fail(EGO_EIO, "%s: %s", v->path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return ego_fail(EGO_EIO, "%s: expected a video file, found a directory", v->path);
    if (!S_ISREG(st.st_mode)) v->bytes.follow = 0; /* a pipe tells its end */
    v->bytes.size = S_ISREG(st.st_mode) && !v->bytes.follow ? st.st_size : -1;
    return EGO_OK;
}

/* `memory`: NULL to open the path. */
static ego_err open_video(const char *path, const void *memory, size_t n,
                          const ego_video_options *options, ego_video **out) {
    ego__quiet_av();
    ego_err err = EGO_OK;
    ego_video *v = calloc(1, sizeof *v);
    if (!v) return ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    if (options) v->options = *options;
    v->path = strdup(path);
    v->packet = av_packet_alloc();
    v->now = av_frame_alloc();
    v->next = av_frame_alloc();
    v->bytes = (ego__bytes){
        .path = v->path, .fd = -1, .data = memory, .size = (int64_t)n, .stop = v->options.stop};
    v->bytes.follow = v->options.follow;
    v->bytes.soon = v->options.past > 0;
    v->bytes.picture_rate = v->options.picture_rate > 0 ? v->options.picture_rate : 25;
    if (!v->path || !v->packet || !v->now || !v->next) {
        err = ego_fail(EGO_ENOMEM, "%s: out of memory", path);
        goto out;
    }
    EGO_TRY_OUT(ego__converter_new(v->options.reference_colour, &v->converter));
    if (!memory) EGO_TRY_OUT(open_bytes(v));
    EGO_TRY_OUT(start(v));
    *out = v;
    v = NULL;
out:
    ego_video_close(v);
    return err;
}

ego_err ego_video_open(const char *path, const ego_video_options *options, ego_video **out) {
    return open_video(path, NULL, 0, options, out);
}

ego_err ego_video_open_memory(const void *bytes, size_t n, const char *name,
                              const ego_video_options *options, ego_video **out) {
    return open_video(name, n ? bytes : "", n, options, out);
}

void ego_video_close(ego_video *v) {
    if (!v) return;
    forget_history(&v->history, v->history.n);
    free(v->history.packets);
    ego__converter_free(v->converter);
    av_frame_free(&v->now);
    av_frame_free(&v->next);
    av_packet_free(&v->packet);
    avcodec_free_context(&v->codec);
    ego__demux_close(&v->in);
    if (v->bytes.fd >= 0) close(v->bytes.fd);
    free(v->path);
    free(v);
}
