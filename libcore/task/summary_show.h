/* A summary for people: as a file that plays, and as a picture. */
#ifndef EGO_TASK_SUMMARY_SHOW_H
#define EGO_TASK_SUMMARY_SHOW_H

#include "task/summary.h"

/* All borrowed. */
typedef struct ego_summary_show {
    const char *video_root, *video;
    const char *title; /* what was asked for; NULL: nothing */
    const ego_summary_table *table;
    const ego_kts *segments;
    const float *scores;  /* of every shot */
    const size_t *chosen; /* ascending, `count` of them */
    size_t count;
    bool silent; /* no sound in the file */
    int threads; /* of the encoder */
    const ego_progress *progress;
} ego_summary_show;

/* The chosen shots one after the other, shots that follow on each other in one piece
 * (task/cut.h). */
ego_err ego_summary_save(const ego_summary_show *show, const char *path);

/* A PNG: a frame of each chosen shot with its time and score (of more than EGO_SUMMARY_FRAMES as
 * many, evenly taken), and below the score of every shot over the whole time, the chosen ones
 * marked, segments told apart by their ground. */
enum { EGO_SUMMARY_FRAMES = 60 };
ego_err ego_summary_sheet(const ego_summary_show *show, const char *path);

#endif
