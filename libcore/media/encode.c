#include "media/encode.h"

#include "base/file.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IO_BYTES = 1 << 16,
    DEFAULT_QUALITY = 23,
    SOUND_BITS =
        96000, /* a second and channel: speech and what a camera hears, without audible loss */
    ANY_FRAME = 1024 /* samples handed over at a time to an encoder that takes any number */
};

/* One stream of the file. */
typedef struct track {
    AVCodecContext *codec; /* NULL: there is none */
    AVStream *stream;
    AVFrame *frame;
    int64_t count; /* frames, or samples, written so far: the next one's time stamp */
} track;

struct ego_encoder {
    ego_outfile file;
    AVFormatContext *format;
    AVIOContext *io;
    track video, sound;
    int channels, filled; /* of the sound; samples in its frame */
    AVPacket *packet;
    struct SwsContext *convert;
    char *path;
};

static ego_err fail_av(const ego_encoder *e, const char *doing, int code) {
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    ego_err kind = code == AVERROR(ENOMEM) ? EGO_ENOMEM : EGO_EIO;
    return ego_fail(kind, "%s: %s: %s", e->path, doing, text);
}

/* The muxer writes through base/file.h, so that the name appears only when the file is whole. */
static int io_write(void *opaque, uint8_t *bytes, int n) {
    FILE *stream = opaque;
    return fwrite(bytes, 1, (size_t)n, stream) == (size_t)n ? n : AVERROR(errno ? errno : EIO);
}

static int64_t io_seek(void *opaque, int64_t offset, int whence) {
    FILE *stream = opaque;
    if (whence == AVSEEK_SIZE) return AVERROR(ENOSYS);
    if (fseeko(stream, (off_t)offset, whence & ~AVSEEK_FORCE) != 0) return AVERROR(errno);
    return (int64_t)ftello(stream);
}

static const AVCodec *find_codec(void) {
    const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
    return codec ? codec : avcodec_find_encoder(AV_CODEC_ID_MPEG4);
}

const char *ego_encode_name(void) {
    const AVCodec *codec = find_codec();
    if (!codec) return "none";
    return strcmp(codec->name, "libx264") == 0 ? "libx264 (" LIBAVCODEC_IDENT ")"
                                               : "mpeg4 (" LIBAVCODEC_IDENT ")";
}

static void encoder_free(ego_encoder *e) {
    avcodec_free_context(&e->video.codec);
    avcodec_free_context(&e->sound.codec);
    avformat_free_context(e->format);
    if (e->io) av_freep(&e->io->buffer);
    avio_context_free(&e->io);
    av_frame_free(&e->video.frame);
    av_frame_free(&e->sound.frame);
    av_packet_free(&e->packet);
    sws_freeContext(e->convert);
    ego_outfile_abort(&e->file);
    free(e->path);
    free(e);
}

void ego_encode_abort(ego_encoder *encoder) {
    if (encoder) encoder_free(encoder);
}

static ego_err open_codec(ego_encoder *e, const ego_encode_options *o) {
    const AVCodec *codec = find_codec();
    if (!codec)
        return ego_fail(EGO_EUNSUPPORTED,
                        "%s: this FFmpeg has neither libx264 nor an MPEG-4 encoder", e->path);
    AVCodecContext *c = e->video.codec = avcodec_alloc_context3(codec);
    if (!c) return fail_av(e, "opening the encoder", AVERROR(ENOMEM));
    c->width = o->width;
    c->height = o->height;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->time_base = (AVRational){o->fps_den, o->fps_num};
    c->framerate = (AVRational){o->fps_num, o->fps_den};
    c->gop_size = EGO_ENCODE_GOP;
    c->max_b_frames = EGO_ENCODE_B_FRAMES;
    c->thread_count = o->threads > 0 ? o->threads : 1;
    c->thread_type = FF_THREAD_FRAME;
    bool hd = o->height >= 720;
    c->color_range = AVCOL_RANGE_MPEG;
    c->colorspace = hd ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    c->color_primaries = hd ? AVCOL_PRI_BT709 : AVCOL_PRI_SMPTE170M;
    c->color_trc = hd ? AVCOL_TRC_BT709 : AVCOL_TRC_SMPTE170M;
    if (e->format->oformat->flags & AVFMT_GLOBALHEADER) c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    int quality = o->quality ? o->quality : DEFAULT_QUALITY;
    if (codec->id == AV_CODEC_ID_H264) {
        /* What the fast presets switch off is named here, so that B-frames and the group of
         * pictures stay. */
        av_opt_set(c->priv_data, "preset", o->speed == EGO_ENCODE_FAST ? "ultrafast" : "fast", 0);
        av_opt_set_double(c->priv_data, "crf", quality, 0);
        av_opt_set_int(c->priv_data, "b_strategy", o->speed == EGO_ENCODE_FAST ? 0 : 1, 0);
        av_opt_set_int(c->priv_data, "forced-idr", 1, 0);
        av_opt_set(c->priv_data, "x264-params", "log-level=error", 0);
    } else {
        c->flags |= AV_CODEC_FLAG_QSCALE;
        c->global_quality = FF_QP2LAMBDA * (1 + quality / 4);
    }
    int code = avcodec_open2(c, codec, NULL);
    return code < 0 ? fail_av(e, "opening the encoder", code) : EGO_OK;
}

static ego_err open_output(ego_encoder *e) {
    int code = avformat_alloc_output_context2(&e->format, NULL, "mp4", NULL);
    if (code < 0) return fail_av(e, "opening the MP4 writer", code);
    EGO_TRY(ego_outfile_open(e->path, &e->file));
    uint8_t *buffer = av_malloc(IO_BYTES);
    if (buffer)
        e->io = avio_alloc_context(buffer, IO_BYTES, 1, e->file.stream, NULL, io_write, io_seek);
    if (!e->io) {
        av_free(buffer);
        return fail_av(e, "opening the MP4 writer", AVERROR(ENOMEM));
    }
    e->format->pb = e->io;
    e->format->flags |=
        AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT; /* no dates or versions inside */
    return EGO_OK;
}

static ego_err add_stream(ego_encoder *e, track *t) {
    t->stream = avformat_new_stream(e->format, NULL);
    if (!t->stream) return fail_av(e, "opening the MP4 writer", AVERROR(ENOMEM));
    t->stream->time_base = t->codec->time_base;
    int code = avcodec_parameters_from_context(t->stream->codecpar, t->codec);
    return code < 0 ? fail_av(e, "opening the MP4 writer", code) : EGO_OK;
}

static ego_err open_streams(ego_encoder *e) {
    EGO_TRY(add_stream(e, &e->video));
    e->video.stream->avg_frame_rate = e->video.codec->framerate;
    if (e->sound.codec) EGO_TRY(add_stream(e, &e->sound));
    int code = avformat_write_header(e->format, NULL);
    return code < 0 ? fail_av(e, "writing the MP4 header", code) : EGO_OK;
}

static ego_err open_frame(ego_encoder *e, const ego_encode_options *o) {
    AVFrame *frame = e->video.frame = av_frame_alloc();
    e->packet = av_packet_alloc();
    if (!frame || !e->packet) return fail_av(e, "opening the encoder", AVERROR(ENOMEM));
    frame->width = o->width;
    frame->height = o->height;
    frame->format = AV_PIX_FMT_YUV420P;
    int code = av_frame_get_buffer(frame, 0);
    if (code < 0) return fail_av(e, "opening the encoder", code);
    e->convert = sws_getContext(o->width, o->height, AV_PIX_FMT_RGB24, o->width, o->height,
                                AV_PIX_FMT_YUV420P, SWS_POINT, NULL, NULL, NULL);
    if (!e->convert) return fail_av(e, "opening the colour conversion", AVERROR(ENOMEM));
    const int *matrix = sws_getCoefficients(o->height >= 720 ? SWS_CS_ITU709 : SWS_CS_SMPTE170M);
    sws_setColorspaceDetails(e->convert, matrix, 1, matrix, 0, 0, 1 << 16, 1 << 16);
    return EGO_OK;
}

/* ---- sound --------------------------------------------------------------------------------------- */

static const AVCodec *find_sound_codec(void) {
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_AAC);
    return codec ? codec : avcodec_find_encoder(AV_CODEC_ID_MP2);
}

int ego_encode_rate(int rate) {
    const AVCodec *codec = find_sound_codec();
    if (!codec || rate < 1) return 0;
    int above = 0, most = 0;
    for (const int *r = codec->supported_samplerates; r && *r; r++) {
        if (*r >= rate && (!above || *r < above)) above = *r;
        if (*r > most) most = *r;
    }
    return above ? above : most ? most : rate;
}

/* Float planes where the encoder takes them, else what it likes best, if that is 16-bit. */
static enum AVSampleFormat sound_format(const AVCodec *codec) {
    enum AVSampleFormat first = codec->sample_fmts ? codec->sample_fmts[0] : AV_SAMPLE_FMT_FLTP;
    for (const enum AVSampleFormat *f = codec->sample_fmts; f && *f != AV_SAMPLE_FMT_NONE; f++)
        if (*f == AV_SAMPLE_FMT_FLTP) first = *f;
    return first;
}

static void set_channels(AVCodecContext *c, AVFrame *frame, int channels) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 28, 100)
    if (c) av_channel_layout_default(&c->ch_layout, channels);
    if (frame) av_channel_layout_default(&frame->ch_layout, channels);
#else
    uint64_t layout = (uint64_t)av_get_default_channel_layout(channels);
    if (c) c->channels = channels, c->channel_layout = layout;
    if (frame) frame->channels = channels, frame->channel_layout = layout;
#endif
}

static ego_err open_sound(ego_encoder *e, const ego_encode_options *o) {
    const AVCodec *codec = find_sound_codec();
    if (!codec || ego_encode_rate(o->rate) != o->rate || o->channels < 1 || o->channels > 2)
        return ego_fail(EGO_EUNSUPPORTED,
                        "%s: this FFmpeg cannot encode %d channels of sound at %d Hz", e->path,
                        o->channels, o->rate);
    AVCodecContext *c = e->sound.codec = avcodec_alloc_context3(codec);
    AVFrame *frame = e->sound.frame = av_frame_alloc();
    if (!c || !frame) return fail_av(e, "opening the sound's encoder", AVERROR(ENOMEM));
    c->sample_fmt = sound_format(codec);
    c->sample_rate = o->rate;
    c->time_base = (AVRational){1, o->rate};
    c->bit_rate = (int64_t)SOUND_BITS * o->channels;
    e->channels = o->channels;
    set_channels(c, frame, o->channels);
    if (e->format->oformat->flags & AVFMT_GLOBALHEADER) c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    c->flags |= AV_CODEC_FLAG_BITEXACT;
    int code = avcodec_open2(c, codec, NULL);
    if (code < 0) return fail_av(e, "opening the sound's encoder", code);
    if (c->sample_fmt != AV_SAMPLE_FMT_FLTP && c->sample_fmt != AV_SAMPLE_FMT_S16)
        return ego_fail(EGO_EUNSUPPORTED, "%s: the sound's encoder takes neither float nor 16 bits",
                        e->path);
    frame->format = c->sample_fmt;
    frame->sample_rate = o->rate;
    frame->nb_samples = c->frame_size > 0 ? c->frame_size : ANY_FRAME;
    code = av_frame_get_buffer(frame, 0);
    return code < 0 ? fail_av(e, "opening the sound's encoder", code) : EGO_OK;
}

/* ---- open ---------------------------------------------------------------------------------------- */

ego_err ego_encode_open(const char *path, const ego_encode_options *options,
                        ego_encoder **encoder) {
    const ego_encode_options *o = options;
    if (o->width < 16 || o->height < 16 || o->width > 8192 || o->height > 8192 || o->width % 2 ||
        o->height % 2)
        return ego_fail(EGO_EINPUT, "%s: a video of %dx%d: both sides must be even and 16 to 8192",
                        path, o->width, o->height);
    if (o->fps_num < 1 || o->fps_den < 1 || o->fps_num / o->fps_den > 1000)
        return ego_fail(EGO_EINPUT, "%s: %d/%d frames a second cannot be encoded", path, o->fps_num,
                        o->fps_den);
    if (o->quality < 0 || o->quality > 51)
        return ego_fail(EGO_EINPUT, "%s: quality %d is not in 1 to 51", path, o->quality);
    av_log_set_level(AV_LOG_FATAL); /* the library never prints */
    ego_encoder *e = calloc(1, sizeof *e);
    if (e) e->path = strdup(path);
    if (!e || !e->path) {
        free(e);
        return ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    }
    ego_err err = open_output(e);
    if (err == EGO_OK) err = open_codec(e, o);
    if (err == EGO_OK && o->rate) err = open_sound(e, o);
    if (err == EGO_OK) err = open_streams(e);
    if (err == EGO_OK) err = open_frame(e, o);
    if (err == EGO_OK)
        *encoder = e;
    else
        encoder_free(e);
    return err;
}

/* ---- frames and samples -------------------------------------------------------------------------- */

/* Hands a frame (NULL: no more) to a stream's encoder and writes every packet it has ready. */
static ego_err encode_frame(ego_encoder *e, track *t, const AVFrame *frame) {
    int code = avcodec_send_frame(t->codec, frame);
    if (code < 0) return fail_av(e, "encoding", code);
    while ((code = avcodec_receive_packet(t->codec, e->packet)) >= 0) {
        e->packet->stream_index = t->stream->index;
        if (!e->packet->duration) e->packet->duration = 1;
        av_packet_rescale_ts(e->packet, t->codec->time_base, t->stream->time_base);
        code = e->sound.codec ? av_interleaved_write_frame(e->format, e->packet)
                              : av_write_frame(e->format, e->packet);
        av_packet_unref(e->packet);
        if (code < 0) return fail_av(e, "writing", code);
    }
    return code == AVERROR(EAGAIN) || code == AVERROR_EOF ? EGO_OK : fail_av(e, "encoding", code);
}

ego_err ego_encode_write(ego_encoder *e, const ego_image *image) {
    AVFrame *frame = e->video.frame;
    if (image->width != frame->width || image->height != frame->height)
        return ego_fail(EGO_EINPUT, "%s: a picture of %dx%d in a video of %dx%d", e->path,
                        image->width, image->height, frame->width, frame->height);
    int code = av_frame_make_writable(frame);
    if (code < 0) return fail_av(e, "encoding", code);
    const uint8_t *rows[4] = {image->rgb};
    int strides[4] = {image->width * 3};
    sws_scale(e->convert, rows, strides, 0, image->height, frame->data, frame->linesize);
    frame->pts = e->video.count++;
    return encode_frame(e, &e->video, frame);
}

/* What the sound's frame holds goes to the encoder; `n` samples, fewer than all at the end
 * alone. */
static ego_err encode_samples(ego_encoder *e, int n) {
    AVFrame *frame = e->sound.frame;
    int whole = frame->nb_samples;
    frame->nb_samples = n;
    frame->pts = e->sound.count;
    e->sound.count += n;
    e->filled = 0;
    ego_err err = encode_frame(e, &e->sound, frame);
    frame->nb_samples = whole;
    int code = err == EGO_OK ? av_frame_make_writable(frame) : 0;
    return code < 0 ? fail_av(e, "encoding", code) : err;
}

ego_err ego_encode_sound(ego_encoder *e, const float *samples, int64_t n) {
    AVFrame *frame = e->sound.frame;
    if (!frame)
        return ego_fail(EGO_EINPUT, "%s: sound for a video that was opened without", e->path);
    bool planar = e->sound.codec->sample_fmt == AV_SAMPLE_FMT_FLTP;
    int channels = e->channels;
    for (int64_t i = 0; i < n; i++) {
        for (int c = 0; c < channels; c++) {
            float x = samples[i * channels + c];
            x = x > -1 ? x < 1 ? x : 1 : -1; /* NaN becomes -1: no encoder takes it */
            if (planar)
                ((float *)(void *)frame->extended_data[c])[e->filled] = x;
            else
                ((int16_t *)(void *)frame->data[0])[e->filled * channels + c] =
                    (int16_t)(x * 32767);
        }
        if (++e->filled == frame->nb_samples) EGO_TRY(encode_samples(e, e->filled));
    }
    return EGO_OK;
}

ego_err ego_encode_close(ego_encoder *e) {
    ego_err err = EGO_OK;
    if (e->video.count == 0) {
        err = ego_fail(EGO_EINPUT, "%s: a video without frames", e->path);
        goto out;
    }
    EGO_TRY_OUT(encode_frame(e, &e->video, NULL));
    if (e->filled) EGO_TRY_OUT(encode_samples(e, e->filled));
    if (e->sound.codec) EGO_TRY_OUT(encode_frame(e, &e->sound, NULL));
    int code = av_write_trailer(e->format);
    avio_flush(e->io);
    if (code >= 0) code = e->io->error;
    if (code < 0) {
        err = fail_av(e, "finishing the file", code);
        goto out;
    }
    err = ego_outfile_commit(&e->file);
out:
    encoder_free(e);
    return err;
}
