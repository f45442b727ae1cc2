/* Clips for people: their frames for a contact sheet, or the clip itself as a file that plays. */
#ifndef EGO_TASK_SHOW_H
#define EGO_TASK_SHOW_H

#include "base/err.h"
#include "data/record.h"
#include "media/image.h"

enum { EGO_SHOW_MAX_FRAMES = 64 };

/* The frames on display at the middles of n (1 … EGO_SHOW_MAX_FRAMES) equal parts of the record's video
 * between its start and end, `height` pixels high (0: as in the file). frames[n] are images or {0} and
 * are the caller's to free, whatever is returned. root as in data/locate.h. */
ego_err ego_show_frames(const char *root, const ego_record *clip, int height, int n,
                        ego_image *frames);

/* The record's video between its start and end, encoded anew as `path` (media/encode.h). Even sides; at
 * most 1280 pixels wide; with its sound. */
ego_err ego_show_save(const char *root, const ego_record *clip, const char *path);

#endif
