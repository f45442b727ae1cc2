#include "data/clips_inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double FOREVER = 1e8; /* seconds */

/* The number of a path in the plan's list; -1 when out of memory. Takes the path over. */
static int add_file(ego__clip_plan *p, char *path) {
    if (!path) return -1;
    for (int i = 0; i < p->n_files; i++)
        if (strcmp(p->files[i], path) == 0) {
            free(path);
            return i;
        }
    p->files[p->n_files] = path;
    return p->n_files++;
}

/* ---- which frames ---------------------------------------------------------------------------- */

static int64_t chunk_of(double t) { return t > 0 ? (int64_t)floor(t / EGO_CHUNK_SECONDS) : 0; }

static ego_err locate_chunks(const ego_clips *clips, ego__clip_seat *s) {
    const ego__clip_job *j = s->job;
    if (clips->options.sampling == EGO_SAMPLING_REFERENCE) {
        if (j->whole)
            return ego_fail(EGO_EINPUT,
                            "%s: reference sampling of a chunked video needs start and end",
                            j->video);
        s->first_chunk = chunk_of(j->clip.start);
        s->last_chunk = chunk_of(j->clip.end);
        return EGO_OK;
    }
    if (clips->options.sampling == EGO_SAMPLING_EPIC)
        return ego_fail(EGO_EINPUT, "%s: EK-100 sampling of a chunked video is not defined",
                        j->video);
    if (clips->options.sampling == EGO_SAMPLING_TASKQA)
        return ego_fail(EGO_EINPUT, "%s: EgoTaskQA's sampling of a chunked video is not defined",
                        j->video);
    if (clips->options.sampling == EGO_SAMPLING_NUMBERS) {
        s->first_chunk = chunk_of(j->clip.start / EGO_REFERENCE_FPS);
        s->last_chunk = chunk_of(j->clip.end / EGO_REFERENCE_FPS);
        return EGO_OK;
    }
    double last = ceil(j->clip.end / EGO_CHUNK_SECONDS) - 1;
    s->first_chunk = j->whole ? 0 : chunk_of(j->clip.start);
    if (!ego_place_has_chunk(&s->place, s->first_chunk))
        return ego_fail(EGO_EIO, "%s: expected the chunk %s/%lld.mp4, found none", j->video,
                        s->place.path, (long long)s->first_chunk);
    int64_t k = s->first_chunk;
    while ((j->whole || (double)k < last) && ego_place_has_chunk(&s->place, k + 1)) k++;
    s->last_chunk = k;
    s->open_end = !ego_place_has_chunk(&s->place, k + 1);
    return EGO_OK;
}

ego_err ego__clips_locate(const ego_clips *clips, ego__clip_plan *p, ego__clip_seat *s) {
    ego__clip_job *j = s->job;
    s->open_end = true;
    if (!j->whole && !(j->clip.start < j->clip.end && j->clip.start > -1e9 && j->clip.end < 1e9))
        return ego_fail(EGO_EINPUT, "expected a start before the end, found [%g, %g)",
                        j->clip.start, j->clip.end);
    if (clips->options.sampling != EGO_SAMPLING_REFERENCE && j->clip.start < 0) j->clip.start = 0;
    EGO_TRY(ego_locate(clips->root, j->video, &s->place));
    if (s->place.chunked) EGO_TRY(locate_chunks(clips, s));
    s->last_file = add_file(p, s->place.chunked ? ego_place_chunk(&s->place, s->last_chunk)
                                                : strdup(s->place.path));
    return s->last_file < 0 ? ego_fail(EGO_ENOMEM, "out of memory") : EGO_OK;
}

static ego_err add_need(ego__clip_plan *p, ego__clip_seat *s, int64_t chunk, double at, int frame) {
    int file = s->last_file;
    if (s->place.chunked && chunk != s->last_chunk)
        file = add_file(p, ego_place_chunk(&s->place, chunk));
    if (file < 0) return ego_fail(EGO_ENOMEM, "out of memory");
    p->needs[p->n_needs++] = (ego__clip_need){file, at, s, frame, false};
    return EGO_OK;
}

ego_err ego__clips_too_late(const ego__clip_job *j, double end, bool pipe) {
    return ego_fail(pipe ? EGO_EEND : EGO_EINPUT,
                    "%s: the clip starts at %.3f s, the video ends at %.3f s", j->video,
                    j->clip.start, end);
}

void ego__clips_times(const ego_clips *clips, const ego__clip_job *j, double *times) {
    int F = clips->options.frames, moments = clips->options.moments;
    if (j->at)
        memcpy(times, j->at, (size_t)F * sizeof *times);
    else if (j->draw)
        ego_sample_times_random(j->clip.start, j->clip.end, F, moments, j->stream, times);
    else
        ego_sample_times(j->clip.start, j->clip.end, F, times);
}

static ego_err plan_times(const ego_clips *clips, ego__clip_plan *p, ego__clip_seat *s,
                          const ego_video_info *info) {
    double times[EGO_SAMPLE_MAX_FRAMES];
    ego__clip_job *j = s->job;
    bool unknown = info->pipe && !info->exact;
    double end = info->duration + (double)s->last_chunk * EGO_CHUNK_SECONDS;
    if (unknown) {
        if (j->whole) j->clip.end = FOREVER;
        EGO_TRY(add_need(p, s, 0, j->clip.end, -1));
        if (j->whole) return EGO_OK;
    } else if (j->whole || (s->open_end && j->clip.end > end)) {
        j->clip.end = end;
    }
    j->clip.last = info->pipe && !unknown && j->clip.end + EGO_CLIP_ROUNDING >= end;
    if (!(j->clip.start < j->clip.end)) return ego__clips_too_late(j, end, info->pipe);
    ego__clips_times(clips, j, times);
    for (int f = 0; f < clips->options.frames; f++) {
        int64_t k = s->place.chunked ? chunk_of(times[f]) : 0;
        if (k > s->last_chunk) k = s->last_chunk;
        EGO_TRY(add_need(p, s, k, times[f] - (double)k * EGO_CHUNK_SECONDS, f));
    }
    return EGO_OK;
}

static ego_err plan_reference(const ego_clips *clips, ego__clip_plan *p, ego__clip_seat *s,
                              const ego_video_info *info) {
    int64_t index[EGO_SAMPLE_MAX_FRAMES];
    ego__clip_job *j = s->job;
    int F = clips->options.frames, n = 0;
    double video_end = info->duration + (double)s->last_chunk * EGO_CHUNK_SECONDS;
    if (clips->options.shorter && !j->whole && j->clip.start >= video_end)
        return ego__clips_too_late(j, video_end, info->pipe); /* the reader shows the last frame */
    if (j->whole)
        n = ego_sample_reference_whole(info->frames, F, index);
    else if (j->draw)
        EGO_TRY(ego_sample_reference_random(j->clip.start, j->clip.end, F, j->stream, index, &n));
    else
        n = ego_sample_reference(j->clip.start, j->clip.end, F, index);
    if (j->whole) j->clip.end = info->duration;
    for (int f = 0; f < n; f++) {
        bool in_end = true;
        if (s->place.chunked)
            index[f] = ego_sample_reference_chunk(j->clip.start, index[f], &in_end);
        EGO_TRY(add_need(p, s, in_end ? s->last_chunk : s->first_chunk, (double)index[f], f));
    }
    return EGO_OK;
}

static ego_err plan_epic(const ego_clips *clips, ego__clip_plan *p, ego__clip_seat *s,
                         const ego_video_info *info) {
    int64_t index[EGO_SAMPLE_MAX_FRAMES];
    ego__clip_job *j = s->job;
    if (!(info->fps > 0))
        return ego_fail(EGO_EINPUT, "%s: EK-100 sampling needs a frame rate, found none", j->video);
    if (clips->options.shorter && !j->whole && j->clip.start >= info->duration)
        return ego__clips_too_late(j, info->duration, info->pipe); /* no frame is made up in training */
    if (j->whole) j->clip.end = info->duration;
    if (j->draw)
        ego_sample_epic_random(info->fps, j->clip.start, j->clip.end, clips->options.frames, j->stream, index);
    else
        ego_sample_epic(info->fps, j->clip.start, j->clip.end, clips->options.frames, index);
    for (int f = 0; f < clips->options.frames; f++) EGO_TRY(add_need(p, s, 0, (double)index[f], f));
    return EGO_OK;
}

static ego_err plan_numbers(const ego_clips *clips, ego__clip_plan *p, ego__clip_seat *s) {
    const ego__clip_job *j = s->job;
    if (!j->at) return ego_fail(EGO_EINPUT, "%s: expected the numbers of its frames", j->video);
    for (int f = 0; f < clips->options.frames; f++) {
        int64_t k = s->place.chunked ? chunk_of(j->at[f] / EGO_REFERENCE_FPS) : 0;
        double first = (double)k * EGO_CHUNK_SECONDS * EGO_REFERENCE_FPS;
        EGO_TRY(add_need(p, s, k, j->at[f] - first, f));
    }
    return EGO_OK;
}

/* A part of a video is what it would be as the file of its own that the published reader wants. */
static ego_err plan_taskqa(const ego_clips *clips, ego__clip_plan *p, ego__clip_seat *s,
                           const ego_video_info *info) {
    int64_t index[EGO_SAMPLE_MAX_FRAMES], first = 0, last = info->frames;
    ego__clip_job *j = s->job;
    if (!j->whole && !(info->fps > 0))
        return ego_fail(EGO_EINPUT, "%s: EgoTaskQA's sampling of a part needs a frame rate, found none",
                        j->video);
    if (!j->whole) first = (int64_t)rint(info->fps * j->clip.start);
    if (!j->whole && rint(info->fps * j->clip.end) < (double)last)
        last = (int64_t)rint(info->fps * j->clip.end);
    if (first >= last) return ego__clips_too_late(j, info->duration, info->pipe);
    if (j->whole || j->clip.end > info->duration) j->clip.end = info->duration;
    EGO_TRY(ego_sample_taskqa(last - first, clips->options.frames, j->stream, index));
    for (int f = 0; f < clips->options.frames; f++)
        EGO_TRY(add_need(p, s, 0, (double)(first + index[f]), f));
    return EGO_OK;
}

ego_err ego__clips_plan(const ego_clips *clips, ego__clip_plan *p, ego__clip_seat *s,
                        const ego__clip_file *file) {
    ego_sampling sampling = clips->options.sampling;
    int before = p->n_needs;
    bool pictures = clips->options.shorter > 0;
    if (file->err && (sampling != EGO_SAMPLING_REFERENCE || pictures))
        return ego_fail(file->err, "%s", file->message ? file->message : "");
    size_t floats = (size_t)clips->options.frames * clips->frame_floats;
    if (!pictures && !(s->job->clip.pixels = malloc(floats * sizeof(float))))
        return ego_fail(EGO_ENOMEM, "out of memory for a clip of %d frames", clips->options.frames);
    if (sampling == EGO_SAMPLING_REFERENCE)
        EGO_TRY(plan_reference(clips, p, s, &file->info));
    else if (sampling == EGO_SAMPLING_EPIC)
        EGO_TRY(plan_epic(clips, p, s, &file->info));
    else if (sampling == EGO_SAMPLING_TASKQA)
        EGO_TRY(plan_taskqa(clips, p, s, &file->info));
    else if (sampling == EGO_SAMPLING_NUMBERS)
        EGO_TRY(plan_numbers(clips, p, s));
    else
        EGO_TRY(plan_times(clips, p, s, &file->info));
    s->wanted = p->n_needs - before;
    return EGO_OK;
}
