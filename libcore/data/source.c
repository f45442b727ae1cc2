#include "data/source.h"

#include "format/npy.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY = 128 };

struct ego_source {
    ego_source_options options;
    ego_clips *clips;         /* opened when the first record needs one */
    ego_preparer *preparer;   /* likewise, for pictures in .npy files */
    ego_sample queue[CAPACITY];
    size_t head, count;
};

ego_err ego_source_open(const ego_source_options *options, ego_source **out) {
    ego_source *s = calloc(1, sizeof *s);
    if (!s) return ego_fail(EGO_ENOMEM, "out of memory");
    s->options = *options;
    *out = s;
    return EGO_OK;
}

void ego_sample_release(ego_sample *sample) {
    ego_record_release(&sample->record);
    free(sample->message);
    ego_clip_free(sample->read);
    free(sample->made);
    ego_tokens_release(&sample->encoded);
    *sample = (ego_sample){0};
}

void ego_source_close(ego_source *s) {
    if (!s) return;
    ego_clips_close(s->clips);
    ego_preparer_free(s->preparer);
    for (; s->count; s->count--, s->head = (s->head + 1) % CAPACITY)
        ego_sample_release(&s->queue[s->head]);
    free(s);
}

bool ego_source_room(const ego_source *s) {
    return s->count < CAPACITY && (!s->clips || ego_clips_room(s->clips) > 0);
}

size_t ego_source_outstanding(const ego_source *s) { return s->count; }

static void keep_error(ego_sample *sample, ego_err err) {
    sample->err = err;
    sample->message = strdup(ego_err_message());
}

/* ---- in -------------------------------------------------------------------------------------------------- */

static ego_err submit(ego_source *s, ego_sample *sample) {
    const ego_record *r = &sample->record;
    if (!s->clips) EGO_TRY(ego_clips_open(&s->options.clips, &s->clips));
    bool start = r->has & EGO_RECORD_START, end = r->has & EGO_RECORD_END;
    if (start != end)
        return ego_fail(EGO_EINPUT, "expected start and end together, found only %s",
                        start ? "start" : "end");
    EGO_TRY(ego_clips_submit(s->clips, &(ego_clip_request){.video = r->video,
                                                           .whole = !start,
                                                           .start = r->start,
                                                           .end = r->end}));
    sample->from_video = true;
    return EGO_OK;
}

static ego_err encode(ego_source *s, ego_sample *sample) {
    const ego_record *r = &sample->record;
    size_t most = s->options.max_tokens;
    if (r->tokens) {
        sample->tokens = r->tokens;
        sample->n_tokens = r->n_tokens;
        return EGO_OK;
    }
    if (!s->options.bpe)
        return ego_fail(EGO_EINPUT, "the model has no vocabulary: give tokens, or --tokenizer DIR");
    EGO_TRY(ego_bpe_encode(s->options.bpe, r->text, strlen(r->text), 0, &sample->encoded));
    if (most && sample->encoded.count > most) {
        sample->cut_text = true;
        EGO_TRY(ego_bpe_encode(s->options.bpe, r->text, strlen(r->text), most, &sample->encoded));
    }
    sample->tokens = sample->encoded.ids;
    sample->n_tokens = sample->encoded.count;
    return EGO_OK;
}

static ego_sample *append(ego_source *s, ego_record *record) {
    if (s->count == CAPACITY) {
        ego_record_release(record);
        return ego_fail(EGO_EINPUT, "no room: take a sample first"), NULL;
    }
    ego_sample *sample = &s->queue[(s->head + s->count++) % CAPACITY];
    *sample = (ego_sample){.record = *record};
    *record = (ego_record){0};
    return sample;
}

ego_err ego_source_push(ego_source *s, ego_record *record) {
    ego_sample *sample = append(s, record);
    if (!sample) return EGO_EINPUT;
    const ego_record *r = &sample->record;
    ego_err err = EGO_OK;
    bool has_text = !s->options.ignore_text && (r->text || r->tokens);
    bool has_clip = !s->options.ignore_video && (r->video || r->frames);
    if (!has_text && !has_clip)
        err = ego_fail(EGO_EINPUT, "expected %s, found nothing of the kind",
                       s->options.ignore_video  ? "text or tokens"
                       : s->options.ignore_text ? "video or frames"
                                                : "video, frames, text or tokens");
    if (err == EGO_OK && has_text) err = encode(s, sample);
    if (err == EGO_OK && has_clip && r->video) err = submit(s, sample);
    if (err != EGO_OK) keep_error(sample, err);
    return EGO_OK;
}

ego_err ego_source_push_failed(ego_source *s, ego_record *record, ego_err err) {
    char *message = strdup(ego_err_message());
    ego_sample *sample = append(s, record);
    if (!sample) return free(message), EGO_EINPUT;
    sample->err = err;
    sample->message = message;
    return EGO_OK;
}

ego_err ego_source_flush(ego_source *s) { return s->clips ? ego_clips_flush(s->clips) : EGO_OK; }

/* ---- out ------------------------------------------------------------------------------------------------- */

static ego_err wrong_frames(const ego_source *s, const char *path, const ego_tensor *t) {
    char found[EGO_SHAPE_TEXT];
    const ego_clips_options *o = &s->options.clips;
    return ego_fail(EGO_EINPUT,
                    "%s: expected float32 (%d, 3, %d, %d) or uint8 (%d, H, W, 3), found %s %s", path,
                    o->frames, o->size, o->size, o->frames, ego_dtype_name(t->dtype),
                    ego_shape_text(t->shape, t->ndim, found));
}

/* uint8 pictures (F, H, W, 3), prepared like the frames of a video. */
static ego_err prepare_pictures(ego_source *s, const ego_tensor *t, float *out) {
    const ego_clips_options *o = &s->options.clips;
    if (!s->preparer) EGO_TRY(ego_preparer_new(o->preparation, o->size, &s->preparer));
    size_t bytes = (size_t)(t->shape[1] * t->shape[2] * 3);
    for (int f = 0; f < o->frames; f++) {
        ego_image image = {.width = (int)t->shape[2],
                           .height = (int)t->shape[1],
                           .rgb = (uint8_t *)t->data + (size_t)f * bytes};
        EGO_TRY(ego_prepare(s->preparer, &image, out + (size_t)f * ego_prepared_floats(s->preparer)));
    }
    return EGO_OK;
}

static ego_err load_frames(ego_source *s, ego_sample *sample) {
    const ego_clips_options *o = &s->options.clips;
    const char *path = sample->record.frames;
    size_t floats = (size_t)o->frames * 3 * (size_t)o->size * (size_t)o->size;
    ego_npy npy;
    EGO_TRY(ego_npy_open(path, &npy));
    const ego_tensor *t = &npy.tensor;
    ego_err err = EGO_OK;
    bool ready = t->dtype == EGO_F32 && t->ndim == 4 && t->shape[0] == o->frames &&
                 t->shape[1] == 3 && t->shape[2] == o->size && t->shape[3] == o->size;
    bool pictures = t->dtype == EGO_U8 && t->ndim == 4 && t->shape[0] == o->frames &&
                    t->shape[3] == 3 && t->shape[1] > 0 && t->shape[1] <= 1 << 15 &&
                    t->shape[2] > 0 && t->shape[2] <= 1 << 15;
    if (!ready && !pictures)
        err = wrong_frames(s, path, t);
    else if (!(sample->made = malloc(floats * sizeof(float))))
        err = ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    else if (ready)
        memcpy(sample->made, t->data, floats * sizeof(float));
    else
        err = prepare_pictures(s, t, sample->made);
    if (err == EGO_OK) sample->clip = sample->made;
    ego_npy_close(&npy);
    return err;
}

bool ego_source_ready(ego_source *s, double seconds) {
    return s->count == 0 || !s->queue[s->head].from_video || ego_clips_ready(s->clips, seconds);
}

ego_err ego_source_next(ego_source *s, ego_sample *out) {
    if (s->count == 0) return EGO_EEND;
    ego_sample *sample = &s->queue[s->head];
    if (sample->from_video) {
        EGO_TRY(ego_clips_next(s->clips, &sample->read));
        sample->substituted = sample->read->substituted;
        sample->end = sample->read->end;
        sample->last = sample->read->last;
        if (sample->read->err == EGO_OK) {
            sample->clip = sample->read->pixels;
        } else if (sample->err == EGO_OK) {
            ego_fail(sample->read->err, "%s", sample->read->message ? sample->read->message : "");
            keep_error(sample, sample->read->err);
        }
    } else if (sample->err == EGO_OK && sample->record.frames && !s->options.ignore_video) {
        ego_err err = load_frames(s, sample);
        if (err != EGO_OK) keep_error(sample, err);
    }
    *out = *sample;
    *sample = (ego_sample){0};
    s->head = (s->head + 1) % CAPACITY;
    s->count--;
    return EGO_OK;
}

ego_clips_counts ego_source_get_counts(ego_source *s) {
    return s->clips ? ego_clips_get_counts(s->clips) : (ego_clips_counts){0};
}
