/* The test videos: made once by tests/cli/make_media.sh into a temporary folder, or found in
 * $EGO_TEST_MEDIA. Programs that need them are run from the repository's root. */
#ifndef EGO_TESTS_MEDIA_FILES_H
#define EGO_TESTS_MEDIA_FILES_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char media_folder[512];
static int media_is_ours;

static inline const char *media_path(const char *file) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", media_folder, file);
    return path;
}

/* The files named ("a.mp4 b.mkv"; "": all). False when there is no ffmpeg command to make them
 * with. */
static inline int media_make(const char *files) {
    const char *given = getenv("EGO_TEST_MEDIA");
    char command[1024];
    if (given) {
        snprintf(media_folder, sizeof media_folder, "%s", given);
        if (access(media_path("h264.mp4"), R_OK) == 0) return 1;
    }
    snprintf(media_folder, sizeof media_folder, "%s/ego-media-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(media_folder)) return 0;
    media_is_ours = 1;
    snprintf(command, sizeof command, "sh tests/cli/make_media.sh '%s' %s", media_folder, files);
    int status = system(command);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static inline void media_remove(void) {
    char command[640];
    snprintf(command, sizeof command, "rm -rf '%s'", media_folder);
    if (media_is_ours && system(command) != 0)
        fprintf(stderr, "%s was not removed\n", media_folder);
}

#endif
