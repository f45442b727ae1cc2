/* Bytes that arrive in a pipe, as they come. */
#ifndef EGO_TOOLS_FEED_H
#define EGO_TOOLS_FEED_H

#include "cli.h"

/* Opens "-" (stdin), and what is neither file nor directory; *fd is -1 for these. *name is what it is called. */
ego_err ego_feed_open(const char *path, int *fd, const char **name);
void ego_feed_close(int fd); /* takes -1; leaves stdin open */

/* Appends what can be read now without waiting, at least something and at most a batch's worth. */
ego_err ego_feed_some(int fd, ego_buf *bytes, bool *ended);
/* Appends all until it ends. */
ego_err ego_feed_rest(int fd, ego_buf *bytes);

/* Whether an embedding stream's first record says that it is live; the bytes read for it stay in `bytes`. */
ego_err ego_feed_is_live(ego_cli *cli, int fd, ego_buf *bytes, bool *live);

#endif
