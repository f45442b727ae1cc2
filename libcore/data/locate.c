#include "data/locate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *join(const char *a, const char *between, const char *b, const char *suffix) {
    size_t n = strlen(a) + strlen(between) + strlen(b) + strlen(suffix) + 1;
    char *path = malloc(n);
    if (path) snprintf(path, n, "%s%s%s%s", a, between, b, suffix);
    return path;
}

/* Takes over `path`: into the place when it exists, else back to the heap. */
static bool try_path(char *path, ego_place *place) {
    struct stat st;
    if (!path || stat(path, &st) != 0) {
        free(path);
        return false;
    }
    *place = (ego_place){path, S_ISDIR(st.st_mode)};
    return true;
}

ego_err ego_locate(const char *root, const char *video, ego_place *place) {
    static const char *const suffix[] = {"", ".mp4", ".MP4", ".mkv", ".webm"};
    ego_place found = {0};
    bool absolute = video[0] == '/';
    if (strcmp(video, "-") == 0) found.path = strdup(video);
    if (!video[0]) return ego_fail(EGO_EINPUT, "expected the name of a video, found an empty one");
    if (!found.path) try_path(strdup(video), &found);
    for (size_t i = 0; !found.path && root && !absolute && i < sizeof suffix / sizeof *suffix; i++)
        try_path(join(root, "/", video, suffix[i]), &found);
    if (!found.path && strchr(video, '%')) found.path = strdup(video);
    if (!found.path && !root)
        return ego_fail(EGO_EIO, "%s: no such file (--video-root names a folder to look in)",
                        video);
    if (!found.path)
        return ego_fail(EGO_EIO,
                        "%s: not found as it is, nor in %s under this name or with .mp4, .MP4, "
                        ".mkv or .webm, nor as a folder of chunks there",
                        video, root);
    *place = found;
    return EGO_OK;
}

void ego_place_release(ego_place *place) {
    free(place->path);
    *place = (ego_place){0};
}

char *ego_place_chunk(const ego_place *place, int64_t k) {
    char name[32];
    snprintf(name, sizeof name, "%lld", (long long)k);
    return join(place->path, "/", name, ".mp4");
}

bool ego_place_has_chunk(const ego_place *place, int64_t k) {
    char *path = ego_place_chunk(place, k);
    bool has = path && access(path, R_OK) == 0;
    free(path);
    return has;
}
