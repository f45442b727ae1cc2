#include "task/index.h"

#include "base/hash.h"
#include "format/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- reading ------------------------------------------------------------------------------------- */

static ego_err no_memory(void) { return ego_fail(EGO_ENOMEM, "out of memory for an index"); }

static bool read_text(const ego_json *json, const char *key, char *to, size_t room) {
    const char *text;
    if (!ego_json_string(ego_json_get(json, key), &text) || strlen(text) >= room) return false;
    strcpy(to, text);
    return true;
}

static bool has_part(const ego_stream_record *r, const char *part) {
    return !r->error && r->part && strcmp(r->part, part) == 0;
}

static ego_err read_head(const char *path, const ego_stream_record *r, ego_index *x) {
    if (has_part(r, EGO_INDEX_PART) && read_text(r->json, "made", x->made, sizeof x->made) &&
        ego_json_number(ego_json_get(r->json, "window"), &x->window) && x->window > 0 &&
        ego_json_number(ego_json_get(r->json, "stride"), &x->stride) && x->stride > 0)
        return EGO_OK;
    return ego_fail(EGO_EINPUT, "%s: is no index that --update made: name another file", path);
}

/* Clips that promised more than came are taken back, and their file with them. */
static void drop_unfinished(ego_index *x, size_t promised) {
    if (!x->n_files || x->files[x->n_files - 1].clips == promised) return;
    ego_index_file *f = &x->files[--x->n_files];
    while (x->n_clips > f->first) free(x->clips[--x->n_clips].error);
    free(f->path);
}

static ego_err add_file(ego_index *x, const ego_stream_record *r, size_t *promised) {
    if (x->n_files == x->files_room) {
        size_t room = x->files_room ? 2 * x->files_room : 64;
        ego_index_file *files = realloc(x->files, room * sizeof *files);
        if (!files) return no_memory();
        x->files = files;
        x->files_room = room;
    }
    ego_index_file f = {.first = x->n_clips};
    char changed[48];
    const char *path;
    int64_t clips;
    long long seconds, nanoseconds;
    bool good = ego_json_string(ego_json_get(r->json, "id"), &path) &&
                ego_json_integer(ego_json_get(r->json, "size"), &f.size) &&
                read_text(r->json, "changed", changed, sizeof changed) &&
                sscanf(changed, "%lld.%9lld", &seconds, &nanoseconds) == 2 &&
                read_text(r->json, "sha256", f.content, sizeof f.content) &&
                ego_json_number(ego_json_get(r->json, "duration"), &f.duration) &&
                ego_json_integer(ego_json_get(r->json, "clips"), &clips) && clips > 0;
    if (!good) return ego_fail(EGO_EFORMAT, "record %llu: not what --update writes of a file",
                               (unsigned long long)r->number);
    f.seconds = seconds;
    f.nanoseconds = nanoseconds;
    *promised = (size_t)clips;
    if (!(f.path = strdup(path))) return no_memory();
    x->files[x->n_files++] = f;
    return EGO_OK;
}

static ego_err add_clip(ego_index *x, const ego_stream_record *r) {
    if (x->n_clips == x->clips_room) {
        size_t room = x->clips_room ? 2 * x->clips_room : 1024;
        ego_index_clip *clips = realloc(x->clips, room * sizeof *clips);
        if (!clips) return no_memory();
        x->clips = clips;
        x->clips_room = room;
    }
    ego_index_clip clip = {0};
    size_t dim = (size_t)ego_tensor_count(&r->tensor);
    if (r->error) {
        if (!(clip.error = strdup(r->error))) return no_memory();
    } else {
        if (r->tensor.dtype != EGO_F32 || r->tensor.ndim != 1 || !dim || (x->dim && dim != x->dim))
            return ego_fail(EGO_EFORMAT, "record %llu: not a vector like those before",
                            (unsigned long long)r->number);
        x->dim = dim;
        clip.vector = r->tensor.data;
    }
    x->clips[x->n_clips++] = clip;
    x->files[x->n_files - 1].clips++;
    return EGO_OK;
}

/* What comes before the first damage serves. */
static ego_err read_records(ego_index *x) {
    ego_stream_record r;
    size_t promised = 0;
    ego_err err;
    while ((err = ego_stream_next(x->stream, &r)) == EGO_OK) {
        bool open = x->n_files && x->files[x->n_files - 1].clips < promised;
        if (has_part(&r, EGO_INDEX_FILE_PART)) {
            drop_unfinished(x, promised);
            err = add_file(x, &r, &promised);
        } else if (open && (r.error || has_part(&r, "video"))) {
            err = add_clip(x, &r);
        }
        if (err != EGO_OK) break;
    }
    drop_unfinished(x, promised);
    return err == EGO_ENOMEM ? err : EGO_OK;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const ego_index_file *)a)->path, ((const ego_index_file *)b)->path);
}

/* x->stream is open. */
static ego_err read_index(const char *path, ego_index *x) {
    ego_stream_record head;
    ego_err err = ego_stream_is_mapped(x->stream)
                      ? ego_stream_next(x->stream, &head)
                      : ego_fail(EGO_EINPUT, "%s: expected a file", path);
    if (err == EGO_OK) err = read_head(path, &head, x);
    if (err == EGO_EEND || err == EGO_EFORMAT)
        err = ego_fail(EGO_EINPUT, "%s: is no index that --update made: name another file", path);
    if (err == EGO_OK) err = read_records(x);
    if (err != EGO_OK)
        ego_index_close(x);
    else if (x->n_files)
        qsort(x->files, x->n_files, sizeof *x->files, by_path);
    return err;
}

ego_err ego_index_open(const char *path, ego_index *x) {
    *x = (ego_index){0};
    if (access(path, F_OK) != 0) return EGO_OK;
    EGO_TRY(ego_stream_open(path, &x->stream));
    return read_index(path, x);
}

ego_err ego__index_parse(const uint8_t *data, size_t size, ego_index *x) {
    *x = (ego_index){0};
    EGO_TRY(ego__stream_open_memory(data, size, &x->stream));
    return read_index("memory", x);
}

void ego_index_close(ego_index *x) {
    for (size_t i = 0; i < x->n_files; i++) free(x->files[i].path);
    for (size_t i = 0; i < x->n_clips; i++) free(x->clips[i].error);
    free(x->files);
    free(x->clips);
    ego_stream_close(x->stream);
    *x = (ego_index){0};
}

/* ---- looking up ---------------------------------------------------------------------------------- */

ego_err ego_index_find(const ego_index *x, const ego_folder_file *file, char content[65],
                       const ego_index_file **found) {
    ego_index_file key = {.path = file->path};
    *found = NULL;
    if (x->n_files) *found = bsearch(&key, x->files, x->n_files, sizeof key, by_path);
    const ego_index_file *f = *found;
    if (f && f->size == file->size && f->seconds == file->seconds && f->nanoseconds == file->nanoseconds)
        return EGO_OK;
    *found = NULL;
    for (size_t i = 0; i < x->n_files; i++) { /* only a file of that size can be the same */
        if (x->files[i].size != file->size) continue;
        if (!content[0]) EGO_TRY(ego_sha256_file(file->path, content));
        if (strcmp(content, x->files[i].content) != 0) continue;
        *found = &x->files[i];
        return EGO_OK;
    }
    return EGO_OK;
}
