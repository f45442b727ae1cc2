#include "media/encode.h"

#include "base/file.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IO_BYTES = 1 << 16, DEFAULT_QUALITY = 23 };

struct ego_encoder {
    ego_outfile file;
    AVFormatContext *format;
    AVIOContext *io;
    AVCodecContext *codec;
    AVStream *stream;
    AVFrame *frame;
    AVPacket *packet;
    struct SwsContext *convert;
    char *path;
    int64_t count; /* frames written so far: the next one's time stamp */
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
    avcodec_free_context(&e->codec);
    avformat_free_context(e->format);
    if (e->io) av_freep(&e->io->buffer);
    avio_context_free(&e->io);
    av_frame_free(&e->frame);
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
    AVCodecContext *c = e->codec = avcodec_alloc_context3(codec);
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
        /* What the fast presets switch off is named here, so that B-frames and the group of pictures stay. */
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

static ego_err open_stream(ego_encoder *e) {
    e->stream = avformat_new_stream(e->format, NULL);
    if (!e->stream) return fail_av(e, "opening the MP4 writer", AVERROR(ENOMEM));
    e->stream->time_base = e->codec->time_base;
    e->stream->avg_frame_rate = e->codec->framerate;
    int code = avcodec_parameters_from_context(e->stream->codecpar, e->codec);
    if (code >= 0) code = avformat_write_header(e->format, NULL);
    return code < 0 ? fail_av(e, "writing the MP4 header", code) : EGO_OK;
}

static ego_err open_frame(ego_encoder *e, const ego_encode_options *o) {
    e->frame = av_frame_alloc();
    e->packet = av_packet_alloc();
    if (!e->frame || !e->packet) return fail_av(e, "opening the encoder", AVERROR(ENOMEM));
    e->frame->width = o->width;
    e->frame->height = o->height;
    e->frame->format = AV_PIX_FMT_YUV420P;
    int code = av_frame_get_buffer(e->frame, 0);
    if (code < 0) return fail_av(e, "opening the encoder", code);
    e->convert = sws_getContext(o->width, o->height, AV_PIX_FMT_RGB24, o->width, o->height,
                                AV_PIX_FMT_YUV420P, SWS_POINT, NULL, NULL, NULL);
    if (!e->convert) return fail_av(e, "opening the colour conversion", AVERROR(ENOMEM));
    const int *matrix = sws_getCoefficients(o->height >= 720 ? SWS_CS_ITU709 : SWS_CS_SMPTE170M);
    sws_setColorspaceDetails(e->convert, matrix, 1, matrix, 0, 0, 1 << 16, 1 << 16);
    return EGO_OK;
}

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
    if (err == EGO_OK) err = open_stream(e);
    if (err == EGO_OK) err = open_frame(e, o);
    if (err == EGO_OK)
        *encoder = e;
    else
        encoder_free(e);
    return err;
}

/* Hands a frame (NULL: no more) to the encoder and writes every packet it has ready. */
static ego_err encode_frame(ego_encoder *e, const AVFrame *frame) {
    int code = avcodec_send_frame(e->codec, frame);
    if (code < 0) return fail_av(e, "encoding", code);
    while ((code = avcodec_receive_packet(e->codec, e->packet)) >= 0) {
        e->packet->stream_index = e->stream->index;
        if (!e->packet->duration) e->packet->duration = 1;
        av_packet_rescale_ts(e->packet, e->codec->time_base, e->stream->time_base);
        code = av_write_frame(e->format, e->packet);
        av_packet_unref(e->packet);
        if (code < 0) return fail_av(e, "writing", code);
    }
    return code == AVERROR(EAGAIN) || code == AVERROR_EOF ? EGO_OK : fail_av(e, "encoding", code);
}

ego_err ego_encode_write(ego_encoder *e, const ego_image *image) {
    if (image->width != e->frame->width || image->height != e->frame->height)
        return ego_fail(EGO_EINPUT, "%s: a picture of %dx%d in a video of %dx%d", e->path,
                        image->width, image->height, e->frame->width, e->frame->height);
    int code = av_frame_make_writable(e->frame);
    if (code < 0) return fail_av(e, "encoding", code);
    const uint8_t *rows[4] = {image->rgb};
    int strides[4] = {image->width * 3};
    sws_scale(e->convert, rows, strides, 0, image->height, e->frame->data, e->frame->linesize);
    e->frame->pts = e->count++;
    return encode_frame(e, e->frame);
}

ego_err ego_encode_close(ego_encoder *e) {
    ego_err err = EGO_OK;
    if (e->count == 0) {
        err = ego_fail(EGO_EINPUT, "%s: a video without frames", e->path);
        goto out;
    }
    EGO_TRY_OUT(encode_frame(e, NULL));
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
