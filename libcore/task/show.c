#include "task/show.h"

#include "media/sample.h"
#include "task/cut.h"

/* The record's video and where the record begins and ends in it. */
static ego_err open_reel(const char *root, const ego_record *clip, ego_reel **reel, ego_part *part) {
    if (!clip->video) return ego_fail(EGO_EINPUT, "%s: has no \"video\" to show", clip->id);
    EGO_TRY(ego_reel_open(root, clip->video, reel));
    double duration = ego_reel_duration(*reel);
    *part = (ego_part){clip->start, clip->end};
    if (part->start >= duration)
        return ego_fail(EGO_EINPUT, "%s: expected a start before its end at %g s, found %g",
                        clip->video, duration, part->start);
    if (!(clip->has & EGO_RECORD_END) || part->end > duration) part->end = duration;
    return EGO_OK;
}

ego_err ego_show_frames(const char *root, const ego_record *clip, int height, int n,
                        ego_image *frames) {
    ego_reel *reel = NULL;
    ego_part part;
    double times[EGO_SHOW_MAX_FRAMES];
    ego_err err = open_reel(root, clip, &reel, &part);
    if (err == EGO_OK) ego_sample_times(part.start, part.end, n, times);
    for (int i = 0; err == EGO_OK && i < n; i++)
        err = ego_reel_small(reel, times[i], height, &frames[i]);
    ego_reel_close(reel);
    return err;
}

ego_err ego_show_save(const char *root, const ego_record *clip, const char *path) {
    ego_reel *reel = NULL;
    ego_part part;
    ego_err err = open_reel(root, clip, &reel, &part);
    if (err == EGO_OK) err = ego_cut(reel, &part, 1, NULL, path);
    ego_reel_close(reel);
    return err;
}
