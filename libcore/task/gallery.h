/* The matches of a search to look at: rows of frames for a sheet, and files that play. */
#ifndef EGO_TASK_GALLERY_H
#define EGO_TASK_GALLERY_H

#include "data/record.h"
#include "media/picture.h"

enum { EGO_GALLERY_ROWS = 100 };

typedef struct ego_gallery {
    const char *video_root; /* borrowed; NULL: none */
    const char *folder;     /* for files that play, borrowed; NULL: none are written */
    bool rows_wanted;
    int frames; /* of a row; 0: 4 */

    /* private */
    ego_sheet_row rows[EGO_GALLERY_ROWS]; /* labels and frames are ours */
    size_t n_rows;
} ego_gallery; /* {0} is empty and wants nothing */

/* A match of query number `query` (from 1): its row, as long as there is room, and its file
 * FOLDER/0001-01-kitchen.mp4_t_2_6.mp4: query, rank, and the target's id as far as a file name can say it. */
ego_err ego_gallery_add(ego_gallery *gallery, uint64_t query, const ego_record *asked,
                        const ego_record *target, size_t rank, double score);
/* Writes the rows, if there are any, as a picture. */
ego_err ego_gallery_write(const ego_gallery *gallery, const char *path);
void ego_gallery_release(ego_gallery *gallery);

#endif
