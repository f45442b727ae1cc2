#include "task/nlq_part.h"

#include "data/locate.h"

static bool is_there(const char *root, const char *name) {
    ego_place place;
    if (ego_locate(root, name, &place) != EGO_OK) return false;
    ego_place_release(&place);
    return true;
}

void ego_nlq_find_part(const char *root, const ego_nlq_clip *clip, ego_video_part *part,
                       double *offset) {
    *part = (ego_video_part){clip->video, clip->start, clip->end};
    *offset = clip->start;
    if (is_there(root, clip->video) || !is_there(root, clip->uid)) return;
    *part = (ego_video_part){clip->uid, 0, clip->end - clip->start};
    *offset = 0;
}
