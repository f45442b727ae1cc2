#include "media/sound.h"

#include "media/demux.h"

#include <errno.h>
#include <fcntl.h>
#include <libavutil/samplefmt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_RATE = 768000,
    MAX_FRUITLESS = 5000, /* packets in a row without a sample before reading is given up */
    BLOCK = 4096,         /* samples read at a time where the rate changes */
};
/* Seconds decoded before what is wanted: codecs lean on what was before. */
static const double PREROLL = 0.5;
/* A time stamp this close to where the last frame ended, in seconds, is rounding. */
static const double JITTER = 0.02;

struct ego_sound {
    char *path;
    ego__bytes bytes;
    ego__demuxer in;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    double origin;
    int rate, channels;
    ego__complaints complaints;

    /* the frame that is decoded, as samples: `n` of them from number `first` on */
    float *block;
    int64_t first, n, room;
    int64_t next; /* where the next frame begins unless its time stamp says otherwise; -1: not known */
    bool draining, ended;
    int fruitless;
};

static int channel_count(const AVFrame *frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 28, 100)
    return frame->ch_layout.nb_channels;
#else
    return frame->channels;
#endif
}

static int codec_channels(const AVCodecParameters *par) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 28, 100)
    return par->ch_layout.nb_channels;
#else
    return par->channels;
#endif
}

/* ---- samples ------------------------------------------------------------------------------------- */

/* Sample i of a plane, or of interleaved samples. */
static float sample_at(const uint8_t *data, enum AVSampleFormat packed, int64_t i) {
    int16_t s16;
    int32_t s32;
    int64_t s64;
    float f;
    double d;
    switch (packed) {
    case AV_SAMPLE_FMT_U8: return ((float)data[i] - 128) / 128;
    case AV_SAMPLE_FMT_S16: return memcpy(&s16, data + i * 2, 2), (float)s16 / 0x1p15f;
    case AV_SAMPLE_FMT_S32: return memcpy(&s32, data + i * 4, 4), (float)s32 / 0x1p31f;
    case AV_SAMPLE_FMT_S64: return memcpy(&s64, data + i * 8, 8), (float)s64 / 0x1p63f;
    case AV_SAMPLE_FMT_FLT: return memcpy(&f, data + i * 4, 4), f;
    case AV_SAMPLE_FMT_DBL: return memcpy(&d, data + i * 8, 8), (float)d;
    default: return 0;
    }
}

/* The decoded frame becomes the block, placed by its time stamp. */
static ego_err take_frame(ego_sound *s) {
    const AVFrame *f = s->frame;
    int channels = channel_count(f), kept = s->channels;
    if (f->nb_samples < 1 || channels < 1 || f->sample_rate != s->rate) return EGO_OK; /* silence */
    if (f->nb_samples > s->room) {
        float *block = realloc(s->block, (size_t)f->nb_samples * 2 * sizeof *block);
        if (!block) return ego_fail(EGO_ENOMEM, "%s: out of memory", s->path);
        s->block = block;
        s->room = f->nb_samples;
    }
    enum AVSampleFormat format = (enum AVSampleFormat)f->format;
    bool planar = av_sample_fmt_is_planar(format);
    enum AVSampleFormat packed = av_get_packed_sample_fmt(format);
    for (int c = 0; c < kept; c++) {
        int from = c < channels ? c : 0;
        const uint8_t *plane = planar ? f->extended_data[from] : f->extended_data[0];
        for (int64_t i = 0; i < f->nb_samples; i++)
            s->block[i * kept + c] = sample_at(plane, packed, planar ? i : i * channels + from);
    }
    int64_t stamp = f->best_effort_timestamp, at = s->next;
    if (stamp != AV_NOPTS_VALUE) {
        AVRational base = s->in.stream->time_base;
        double t = (double)stamp * base.num / base.den - s->origin;
        int64_t told = llround(t * s->rate);
        if (at < 0 || llabs(told - at) > (int64_t)(JITTER * s->rate)) at = told;
    }
    s->first = at;
    s->n = f->nb_samples;
    s->next = at + s->n;
    s->fruitless = 0;
    return EGO_OK;
}

/* Feeds the decoder one packet, or the end. */
static ego_err feed(ego_sound *s) {
    int rc = ego__demux_read(&s->in, s->packet);
    if (rc == AVERROR(ENOMEM)) return ego__fail_av(s->path, rc, "reading");
    if (rc == AVERROR_EOF) {
        s->draining = true;
        avcodec_send_packet(s->codec, NULL);
    } else if (rc == 0) {
        rc = avcodec_send_packet(s->codec, s->packet);
        if (rc == AVERROR(ENOMEM)) return ego__fail_av(s->path, rc, "decoding");
    }
    av_packet_unref(s->packet);
    if (++s->fruitless > MAX_FRUITLESS) s->ended = true;
    return EGO_OK;
}

/* Makes the next frame the block; s->n is 0 at the end. */
static ego_err decode_next(ego_sound *s) {
    s->n = 0;
    while (s->n == 0 && !s->ended) {
        int rc = avcodec_receive_frame(s->codec, s->frame);
        if (rc == 0) {
            ego_err err = take_frame(s);
            av_frame_unref(s->frame);
            EGO_TRY(err);
        } else if (rc == AVERROR_EOF || (rc == AVERROR(EAGAIN) && s->draining)) {
            s->ended = true;
        } else if (rc == AVERROR(ENOMEM)) {
            return ego__fail_av(s->path, rc, "decoding");
        } else {
            EGO_TRY(feed(s)); /* it wants more, or could not make sense of what it had */
        }
    }
    return EGO_OK;
}

static ego_err open_stream(ego_sound *s, bool *found);

/* Decodes from somewhat before sample `at` on. Near the beginning, and where the file cannot be
 * sought, from its first packet: what codecs put before the sound is cut off there alone. */
static ego_err go_to(ego_sound *s, int64_t at) {
    double t = (double)at / s->rate - PREROLL;
    AVRational base = s->in.stream->time_base;
    int64_t stamp = (int64_t)floor((t + s->origin) * base.den / base.num);
    if (t <= 0 ||
        av_seek_frame(s->in.format, s->in.stream->index, stamp, AVSEEK_FLAG_BACKWARD) < 0) {
        bool found;
        EGO_TRY(open_stream(s, &found));
        if (!found) return ego_fail(EGO_EIO, "%s: its sound is gone", s->path);
    }
    avcodec_flush_buffers(s->codec);
    s->in.last = AV_NOPTS_VALUE;
    s->in.add = 0;
    s->draining = s->ended = false;
    s->fruitless = 0;
    s->next = -1;
    return decode_next(s);
}

/* Samples [at, at + n) at the file's own rate. */
static ego_err read_own(ego_sound *s, int64_t at, int64_t n, float *out) {
    size_t each = (size_t)s->channels * sizeof *out;
    memset(out, 0, (size_t)n * each);
    int64_t end = at + n;
    bool near = s->n > 0 && at >= s->first && at < s->next + s->rate;
    if (!near && !(s->ended && s->next >= 0 && at >= s->next)) EGO_TRY(go_to(s, at));
    while (s->n > 0 && s->first < end) {
        int64_t from = s->first > at ? s->first : at, to = s->next < end ? s->next : end;
        if (from < to)
            memcpy(out + (from - at) * s->channels, s->block + (from - s->first) * s->channels,
                   (size_t)(to - from) * each);
        if (s->next > end) break; /* the rest of the block is for the next request */
        EGO_TRY(decode_next(s));
    }
    return EGO_OK;
}

ego_err ego_sound_read(ego_sound *s, double t, int rate, int64_t n, float *out) {
    if (!(fabs(t) < 1e9) || rate < 1 || rate > MAX_RATE || n < 0)
        return ego_fail(EGO_EINPUT, "%s: expected a time and a rate of sound, found %g and %d",
                        s->path, t, rate);
    if (rate == s->rate) return read_own(s, llround(t * rate), n, out);
    float *own = NULL;
    double step = (double)s->rate / rate;
    int64_t room = (int64_t)ceil(BLOCK * step) + 3;
    ego_err err = EGO_OK;
    if (!(own = malloc((size_t)(room * s->channels) * sizeof *own)))
        return ego_fail(EGO_ENOMEM, "%s: out of memory", s->path);
    for (int64_t done = 0; err == EGO_OK && done < n; done += BLOCK) {
        int64_t count = n - done < BLOCK ? n - done : BLOCK;
        double from = t * s->rate + (double)done * step;
        int64_t first = (int64_t)floor(from);
        err = read_own(s, first, (int64_t)ceil((double)count * step) + 2, own);
        for (int64_t i = 0; err == EGO_OK && i < count; i++) {
            double at = from - (double)first + (double)i * step;
            int64_t low = (int64_t)at;
            float part = (float)(at - (double)low);
            for (int c = 0; c < s->channels; c++)
                out[(done + i) * s->channels + c] = (1 - part) * own[low * s->channels + c] +
                                                    part * own[(low + 1) * s->channels + c];
        }
    }
    free(own);
    return err;
}

int ego_sound_rate(const ego_sound *s) { return s->rate; }
int ego_sound_channels(const ego_sound *s) { return s->channels; }

/* ---- open and close ------------------------------------------------------------------------------ */

static ego_err open_stream(ego_sound *s, bool *found) {
    avcodec_free_context(&s->codec);
    ego__demux_close(&s->in);
    EGO_TRY(ego__demux_open_sound(&s->bytes, &s->in, found));
    if (!*found) return EGO_OK;
    const AVCodecParameters *par = s->in.stream->codecpar;
    const AVCodec *decoder = avcodec_find_decoder(par->codec_id);
    *found = decoder && par->sample_rate > 0 && par->sample_rate <= MAX_RATE;
    if (!*found) return EGO_OK;
    s->rate = par->sample_rate;
    s->channels = codec_channels(par) > 1 ? 2 : 1;
    if (!(s->codec = avcodec_alloc_context3(decoder)))
        return ego_fail(EGO_ENOMEM, "%s: out of memory", s->path);
    int rc = avcodec_parameters_to_context(s->codec, par);
    s->codec->thread_count = 1;
    s->codec->pkt_timebase = s->in.stream->time_base;
    s->codec->opaque = &s->complaints;
    if (rc < 0 || avcodec_open2(s->codec, decoder, NULL) < 0) *found = false;
    return EGO_OK;
}

ego_err ego_sound_open(const char *path, double origin, ego_sound **out) {
    ego__quiet_av();
    ego_err err = EGO_OK;
    bool found = false;
    struct stat st;
    *out = NULL;
    ego_sound *s = calloc(1, sizeof *s);
    if (!s) return ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    s->bytes.fd = -1;
    s->origin = origin;
    s->next = -1;
    s->path = strdup(path);
    s->packet = av_packet_alloc();
    s->frame = av_frame_alloc();
    if (!s->path || !s->packet || !s->frame) {
        err = ego_fail(EGO_ENOMEM, "%s: out of memory", path);
        goto out;
    }
    s->bytes = (ego__bytes){.path = s->path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (s->bytes.fd < 0 || fstat(s->bytes.fd, &st) != 0) {
        err = ego_fail(EGO_EIO, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(st.st_mode)) goto out; /* a pipe was read by whoever decoded its frames */
    s->bytes.size = st.st_size;
    EGO_TRY_OUT(open_stream(s, &found));
    if (found) *out = s;
out:
    if (!*out) ego_sound_close(s);
    return err;
}

void ego_sound_close(ego_sound *s) {
    if (!s) return;
    av_packet_free(&s->packet);
    av_frame_free(&s->frame);
    avcodec_free_context(&s->codec);
    ego__demux_close(&s->in);
    if (s->bytes.fd >= 0) close(s->bytes.fd);
    free(s->block);
    free(s->path);
    free(s);
}
