/* ego-embed --prepare: folders of videos to what the benchmarks' readers want, chunks of 600 s and 256 lines
 * (task/chunks.h), DIR/NAME/0.mp4 and so on. */
#ifndef EGO_TOOLS_EMBED_PREPARE_H
#define EGO_TOOLS_EMBED_PREPARE_H

#include "cli.h"

/* All media named by the arguments, a line for each; what fails is said and counted. */
void ego_embed_prepare(ego_cli *cli, const char *directory);

#endif
