#include "data/folder.h"

#include "base/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEEPEST = 64, MOST = 1 << 22 };

/* ---- names --------------------------------------------------------------------------------------- */

static bool is_video(const char *name) {
    static const char *const suffixes[] = {".mp4", ".mov",  ".m4v", ".mkv", ".webm", ".avi",
                                           ".mts", ".m2ts", ".ts",  ".mpg", ".mpeg", ".360"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (ego_has_suffix(name, suffixes[i])) return true;
    return false;
}

static bool digits(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isdigit((unsigned char)text[i])) return false;
    return true;
}

static bool is_word(const char *name, const char *word) {
    for (; *word; name++, word++)
        if (toupper((unsigned char)*name) != *word) return false;
    return true;
}

bool ego_folder_chapter(const char *name, char recording[EGO_CHAPTER_NAME], int *chapter) {
    static const struct {
        const char *file, *recording;
    } kinds[] = {{"GH", "GH"}, {"GX", "GX"}, {"GL", "GL"}, {"GP", "GOPR"}};
    if (strlen(name) < 9 || name[8] != '.' || !is_video(name)) return false;
    if (is_word(name, "GOPR") && digits(name + 4, 4)) {
        snprintf(recording, EGO_CHAPTER_NAME, "GOPR%.4s", name + 4);
        *chapter = 0;
        return true;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!is_word(name, kinds[i].file) || !digits(name + 2, 6)) continue;
        snprintf(recording, EGO_CHAPTER_NAME, "%s%.4s", kinds[i].recording, name + 4);
        *chapter = 10 * (name[2] - '0') + (name[3] - '0');
        return true;
    }
    return false;
}

/* ---- the walk ------------------------------------------------------------------------------------ */

static ego_err no_memory(void) { return ego_fail(EGO_ENOMEM, "out of memory for a list of files"); }

static size_t folder_bytes(const char *path) { return (size_t)(ego_basename(path) - path); }

static ego_err name_recording(ego_folder_file *f) {
    char recording[EGO_CHAPTER_NAME];
    if (!ego_folder_chapter(ego_basename(f->path), recording, &f->chapter)) return EGO_OK;
    size_t bytes = folder_bytes(f->path);
    if (!(f->recording = malloc(bytes + sizeof recording))) return no_memory();
    memcpy(f->recording, f->path, bytes);
    strcpy(f->recording + bytes, recording);
    return EGO_OK;
}

static ego_err add_file(ego_folder *folder, const char *path, const struct stat *st) {
    if (folder->n == MOST) return ego_fail(EGO_EINPUT, "%s: more than %d video files", path, MOST);
    if (folder->n == folder->capacity) {
        size_t capacity = folder->capacity ? 2 * folder->capacity : 64;
        ego_folder_file *files = realloc(folder->files, capacity * sizeof *files);
        if (!files) return no_memory();
        folder->files = files;
        folder->capacity = capacity;
    }
    ego_folder_file *f = &folder->files[folder->n];
    *f = (ego_folder_file){.path = strdup(path),
                           .size = st->st_size,
                           .seconds = st->st_mtim.tv_sec,
                           .nanoseconds = st->st_mtim.tv_nsec};
    if (!f->path) return no_memory();
    folder->n++;
    return name_recording(f);
}

static ego_err walk(ego_folder *folder, const char *path, int depth);

static ego_err visit(ego_folder *folder, const char *path, int depth) {
    struct stat own, st;
    if (lstat(path, &own) != 0 || stat(path, &st) != 0) return EGO_OK; /* gone, or a link to nothing */
    if (S_ISDIR(st.st_mode)) return S_ISLNK(own.st_mode) ? EGO_OK : walk(folder, path, depth + 1);
    return S_ISREG(st.st_mode) && is_video(path) ? add_file(folder, path, &st) : EGO_OK;
}

static ego_err walk(ego_folder *folder, const char *path, int depth) {
    if (depth > DEEPEST) return ego_fail(EGO_EINPUT, "%s: folders nest deeper than %d", path, DEEPEST);
    DIR *dir = opendir(path);
    if (!dir) return ego_fail(EGO_EIO, "%s: %s", path, strerror(errno));
    ego_err err = EGO_OK;
    ego_buf name = {0};
    bool slash = path[0] && path[strlen(path) - 1] == '/';
    for (const struct dirent *entry; err == EGO_OK && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        ego_buf_clear(&name);
        ego_buf_text(&name, path);
        if (!slash) ego_buf_char(&name, '/');
        ego_buf_text(&name, entry->d_name);
        err = ego_buf_err(&name);
        if (err == EGO_OK) err = visit(folder, name.data, depth);
    }
    ego_buf_release(&name);
    closedir(dir);
    return err;
}

/* ---- order --------------------------------------------------------------------------------------- */

/* Names that differ in a folder part compare by it: "a/z" is before "ab/a". */
static int compare_folders(const char *a, const char *b) {
    size_t x = folder_bytes(a), y = folder_bytes(b);
    int order = memcmp(a, b, x < y ? x : y);
    return order ? order : (x > y) - (x < y);
}

static int in_order(const void *a, const void *b) {
    const ego_folder_file *x = a, *y = b;
    int order = compare_folders(x->path, y->path);
    if (order) return order;
    const char *u = ego_basename(x->recording ? x->recording : x->path);
    const char *v = ego_basename(y->recording ? y->recording : y->path);
    if ((order = strcmp(u, v))) return order;
    if (x->chapter != y->chapter) return x->chapter < y->chapter ? -1 : 1;
    return strcmp(x->path, y->path);
}

static void release_file(ego_folder_file *f) {
    free(f->path);
    free(f->recording);
}

static void drop_doubles(ego_folder *folder) {
    size_t kept = 0;
    for (size_t i = 0; i < folder->n; i++) {
        if (kept && strcmp(folder->files[kept - 1].path, folder->files[i].path) == 0)
            release_file(&folder->files[i]);
        else
            folder->files[kept++] = folder->files[i];
    }
    folder->n = kept;
}

ego_err ego_folder_list(const char *const *paths, size_t n, ego_folder *folder) {
    *folder = (ego_folder){0};
    ego_err err = EGO_OK;
    for (size_t i = 0; err == EGO_OK && i < n; i++) {
        struct stat st;
        if (stat(paths[i], &st) != 0)
            err = ego_fail(EGO_EIO, "%s: %s", paths[i], strerror(errno));
        else
            err = S_ISDIR(st.st_mode) ? walk(folder, paths[i], 0) : add_file(folder, paths[i], &st);
    }
    if (err != EGO_OK) {
        ego_folder_release(folder);
        return err;
    }
    if (folder->n) qsort(folder->files, folder->n, sizeof *folder->files, in_order);
    drop_doubles(folder);
    return EGO_OK;
}

void ego_folder_release(ego_folder *folder) {
    for (size_t i = 0; i < folder->n; i++) release_file(&folder->files[i]);
    free(folder->files);
    *folder = (ego_folder){0};
}
