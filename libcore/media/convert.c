#include "media/convert.h"

#include "media/tonemap.h"

#include <libavutil/mem.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <stdlib.h>
#include <string.h>

struct ego__converter {
    bool reference;
    struct SwsContext *sws; /* for frames of this kind: */
    int width, height, format, space, to;
    bool full;
    ego_tonemap *tonemap; /* of the latest wide frame; NULL: there was none */
    uint8_t *rows; /* what swscale writes: padded rows */
    size_t rows_bytes;
};

ego_err ego__converter_new(bool reference, ego__converter **out) {
    ego__converter *c = calloc(1, sizeof *c);
    if (!c) return ego_fail(EGO_ENOMEM, "out of memory for converting frames");
    c->reference = reference;
    *out = c;
    return EGO_OK;
}

void ego__converter_free(ego__converter *c) {
    if (!c) return;
    sws_freeContext(c->sws);
    ego_tonemap_free(c->tonemap);
    av_free(c->rows);
    free(c);
}

/* ---- orientation ----------------------------------------------------------------------------- */

ego__orientation ego__orientation_of(const int32_t *m) {
    if (!m) return (ego__orientation){1, 0, 0, 1};
    int64_t a = m[0], b = m[1], c = m[3], d = m[4]; /* x' = ax + cy, y' = bx + dy */
    if (llabs(a) + llabs(d) >= llabs(b) + llabs(c))
        return (ego__orientation){a < 0 ? -1 : 1, 0, 0, d < 0 ? -1 : 1};
    return (ego__orientation){0, c < 0 ? -1 : 1, b < 0 ? -1 : 1, 0};
}

bool ego__orientation_turns(ego__orientation o) { return o.xx == 0; }

static void copy_upright(const uint8_t *rows, size_t pitch, ego_image *image) {
    size_t bytes = (size_t)image->width * 3;
    for (size_t y = 0; y < (size_t)image->height; y++)
        memcpy(image->rgb + y * bytes, rows + y * pitch, bytes);
}

static void copy_turned(ego__orientation o, const uint8_t *rows, size_t pitch, int width,
                        int height, ego_image *image) {
    int x0 = o.xx + o.xy < 0 ? image->width - 1 : 0, y0 = o.yx + o.yy < 0 ? image->height - 1 : 0;
    for (int y = 0; y < height; y++) {
        const uint8_t *from = rows + (size_t)y * pitch;
        for (int x = 0; x < width; x++, from += 3) {
            size_t to_x = (size_t)(x0 + o.xx * x + o.xy * y);
            size_t to_y = (size_t)(y0 + o.yx * x + o.yy * y);
            memcpy(image->rgb + 3 * (to_y * (size_t)image->width + to_x), from, 3);
        }
    }
}

/* ---- colour ---------------------------------------------------------------------------------- */

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

/* Whether a frame's light or colours are not those of SDR, and how they are coded. */
static bool is_wide(const AVFrame *frame, ego_transfer *transfer) {
    switch (frame->color_trc) {
    case AVCOL_TRC_ARIB_STD_B67: return *transfer = EGO_TRANSFER_HLG, true;
    case AVCOL_TRC_SMPTE2084: return *transfer = EGO_TRANSFER_PQ, true;
    case AVCOL_TRC_BT709:
    case AVCOL_TRC_BT2020_10:
    case AVCOL_TRC_BT2020_12:
        *transfer = EGO_TRANSFER_GAMMA;
        return frame->color_primaries == AVCOL_PRI_BT2020;
    default: return false;
    }
}

/* Makes the tone map one for such frames. */
static ego_err prepare_tonemap(ego__converter *c, ego_transfer transfer) {
    if (c->tonemap && ego_tonemap_transfer(c->tonemap) == transfer) return EGO_OK;
    ego_tonemap_free(c->tonemap);
    c->tonemap = NULL;
    return ego_tonemap_new(transfer, &c->tonemap);
}

/* Makes the swscale context one for frames like this. */
static ego_err prepare_sws(ego__converter *c, const AVFrame *frame, int to, const char *path) {
    const AVPixFmtDescriptor *kind = av_pix_fmt_desc_get(frame->format);
    const char *name = kind ? kind->name : "pixels of an unknown kind";
    bool full = frame->color_range == AVCOL_RANGE_JPEG || strncmp(name, "yuvj", 4) == 0;
    int space = matrix_of(frame);
    if (c->sws && c->width == frame->width && c->height == frame->height &&
        c->format == frame->format && c->space == space && c->full == full && c->to == to)
        return EGO_OK;
    int flags = c->reference ? SWS_BICUBIC : SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT;
    sws_freeContext(c->sws);
    c->sws = sws_getContext(frame->width, frame->height, frame->format, frame->width, frame->height,
                            to, flags, NULL, NULL, NULL);
    if (!c->sws)
        return ego_fail(EGO_EUNSUPPORTED, "%s: cannot convert %d x %d %s to RGB", path,
                        frame->width, frame->height, name);
    if (!c->reference && kind && !(kind->flags & AV_PIX_FMT_FLAG_RGB)) {
        const int *matrix = sws_getCoefficients(space);
        sws_setColorspaceDetails(c->sws, matrix, full, matrix, 1, 0, 1 << 16, 1 << 16);
    }
    c->width = frame->width;
    c->height = frame->height;
    c->format = frame->format;
    c->space = space;
    c->full = full;
    c->to = to;
    return EGO_OK;
}

ego_err ego__convert(ego__converter *c, const AVFrame *frame, ego__orientation o, const char *path,
                     ego_image *image) {
    const AVFrameSideData *side = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
    if (side && side->size >= 9 * sizeof(int32_t))
        o = ego__orientation_of((const int32_t *)(const void *)side->data);
    bool turns = ego__orientation_turns(o);
    ego_transfer transfer;
    bool wide = !c->reference && is_wide(frame, &transfer);
    if (wide) EGO_TRY(prepare_tonemap(c, transfer));
    EGO_TRY(prepare_sws(c, frame, wide ? AV_PIX_FMT_RGB48 : AV_PIX_FMT_RGB24, path));
    EGO_TRY(ego_image_new(turns ? frame->height : frame->width,
                          turns ? frame->width : frame->height, image));
    /* swscale may write whole vectors: its rows are padded, the image's are not. */
    size_t pitch = ((size_t)frame->width * (wide ? 6 : 3) + 127) / 64 * 64,
           bytes = pitch * (size_t)frame->height;
    if (bytes > c->rows_bytes) {
        av_freep(&c->rows);
        c->rows_bytes = 0;
        if (!(c->rows = av_malloc(bytes))) return ego_fail(EGO_ENOMEM, "%s: out of memory", path);
        c->rows_bytes = bytes;
    }
    uint8_t *planes[4] = {c->rows};
    int pitches[4] = {(int)pitch};
    if (sws_scale(c->sws, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height,
                  planes, pitches) < 0)
        return ego_fail(EGO_EFORMAT, "%s: a frame cannot be converted to RGB", path);
    for (size_t y = 0; wide && y < (size_t)frame->height; y++) {
        uint8_t *row = c->rows + y * pitch;
        ego_tonemap_row(c->tonemap, (const uint16_t *)(const void *)row, (size_t)frame->width, row);
    }
    if (o.xx == 1 && o.yy == 1)
        copy_upright(c->rows, pitch, image);
    else
        copy_turned(o, c->rows, pitch, frame->width, frame->height, image);
    return EGO_OK;
}
