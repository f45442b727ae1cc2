/* What ego-embed embeds, one record after the other: media files cut into windows, one text, lines of
 * records, or what --update finds to be new.
 *
 * A live medium (a pipe, or a file that is being written) has no length before it ends: its windows go on
 * until one lies behind the end, and only the sample read for it says so.
 */
#ifndef EGO_TOOLS_EMBED_INPUT_H
#define EGO_TOOLS_EMBED_INPUT_H

#include "cli.h"
#include "data/source.h"
#include "data/windows.h"
#include "task/update.h"

typedef struct ego_embed_input_options {
    double window, stride;     /* seconds; window 0: media are clips as they are */
    const char *text;          /* for every medium, or alone; NULL: none */
    const char *const *media;  /* n_media named by --media, before the arguments */
    size_t n_media;
    bool no_arguments;         /* the arguments are folders, and another's */
    double follow;             /* media grow: wait this many seconds for more; 0: they do not */
} ego_embed_input_options;

typedef struct ego_embed_input {
    ego_cli *cli; /* borrowed */
    ego_embed_input_options options;
    ego_update *update; /* NULL, or --update's, and nothing else; borrowed */
    ego_medium *media;  /* those of this shard; owned */
    ego_windows windows;

    /* private */
    bool text_given, records;
    bool ended; /* the live medium is over; its windows behind the end are still on their way back */
} ego_embed_input;

ego_err ego_embed_input_open(ego_cli *cli, const ego_embed_input_options *options, ego_embed_input *input);
void ego_embed_input_close(ego_embed_input *input); /* safe on {0} */

/* The next record. EGO_EEND after the last; EGO_EINPUT, EGO_EFORMAT and EGO_EIO with record->id set are the
 * record's own; any other ends the work. */
ego_err ego_embed_input_next(ego_embed_input *input, ego_record *record);

bool ego_embed_input_any_live(const ego_embed_input *input);
/* Whether the next record can be asked for: not while windows of a live medium that is over are `outstanding`. */
bool ego_embed_input_go_on(ego_embed_input *input, bool outstanding);
/* A sample as it came back. Of a live medium the last window is cut to its end, of which its request knew
 * nothing; *keep is false for windows behind it. */
ego_err ego_embed_input_meet(ego_embed_input *input, ego_sample *sample, bool *keep);

#endif
