/* Folders of videos to an index, computing only what is new: `ego-embed --update`.
 *
 *     ego_update_open(&options, &update);
 *     while (ego_update_next(update, &record) != EGO_EEND) …embed, in order…
 *         ego_update_write(update, output, &record, &vector, NULL);
 *     ego_update_finish(update, output);
 *
 * Files that neither size, time of change nor content tell from before give their vectors again under the
 * names and times that they have now; files that are gone are left out. The result is the same, byte for
 * byte, as that of making the index anew, but for times of change. What an interrupted run left in
 * INDEX.part serves as well: it is put aside as INDEX.part.old until the new index is whole.
 */
#ifndef EGO_TASK_UPDATE_H
#define EGO_TASK_UPDATE_H

#include "data/record.h"
#include "task/embed_output.h"
#include "task/unrelated.h"

typedef struct ego_update ego_update;

typedef struct ego_update_options {
    const char *path;           /* of the index */
    const char *const *sources; /* files and folders */
    size_t n_sources;
    const char *made;      /* all that a vector depends on, as text: model, layer, sampling … */
    double window, stride; /* seconds; window 0: as the index has them, or 4 and 2 */
    ego_unrelated *unrelated; /* borrowed; NULL: without a calibration */
} ego_update_options;

typedef struct ego_update_counts {
    size_t files, kept, dropped; /* in the new index; of those not computed; no longer there */
    bool remade;                 /* there was an index, but made with something else */
} ego_update_counts;

ego_err ego_update_open(const ego_update_options *options, ego_update **update);
void ego_update_close(ego_update *update); /* takes NULL */

/* The next clip to compute, as a record. EGO_EEND after the last; errors as of ego_windows_next. */
ego_err ego_update_next(ego_update *update, ego_record *record);

/* One clip's vector (tensor NULL: it failed, `message` says why), in the order of ego_update_next. Writes
 * the notes and kept files that come before it, too. */
ego_err ego_update_write(ego_update *update, ego_embed_output *output, const ego_record *record,
                         const ego_tensor *tensor, const char *message);
/* What remains, and the calibration; commit the output after it. *failed: clips that were kept with an
 * error in their place. */
ego_err ego_update_finish(ego_update *update, ego_embed_output *output, size_t *failed);
/* After the commit: what was put aside is removed. */
void ego_update_committed(ego_update *update);

/* Complete when all was written. */
ego_update_counts ego_update_get_counts(const ego_update *update);

#endif
