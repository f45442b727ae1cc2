/* The video files of folders, in the order in which they were filmed as far as their names tell.
 *
 * A folder is walked with all below it; hidden names and links to folders are passed over, and of other
 * files those that end like a video. What is named itself is taken as it is. Order: by folder, then by
 * name, byte by byte, but for the chapters of one GoPro recording, which stand together:
 *
 *     GH010123.MP4 GH020123.MP4 …    GX…, GL… alike    recording GH0123, chapters 1, 2, …
 *     GOPR0123.MP4 GP010123.MP4 …                      recording GOPR0123, chapters 0, 1, …
 *
 * A recording's name is its folder and that, "day/GH0123". A file alone is no recording.
 */
#ifndef EGO_DATA_FOLDER_H
#define EGO_DATA_FOLDER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EGO_CHAPTER_NAME = 16 };

typedef struct ego_folder_file {
    char *path;
    char *recording; /* NULL: a file alone */
    int chapter;
    int64_t size, seconds, nanoseconds; /* when it was changed last */
} ego_folder_file;

typedef struct ego_folder {
    ego_folder_file *files;
    size_t n, capacity;
} ego_folder; /* {0} is empty */

/* All below `paths`, files or folders, each once. A path that is not there is EGO_EIO. */
ego_err ego_folder_list(const char *const *paths, size_t n, ego_folder *folder);
void ego_folder_release(ego_folder *folder); /* safe on {0} */

/* "GX020123.MP4" is chapter 2 of "GX0123". False for other names. */
bool ego_folder_chapter(const char *name, char recording[EGO_CHAPTER_NAME], int *chapter);

#endif
