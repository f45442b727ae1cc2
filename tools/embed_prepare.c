#include "embed_prepare.h"

#include "base/file.h"
#include "data/folder.h"
#include "task/chunks.h"

#include <string.h>

/* The bytes of a file's name without its suffix. */
static int stem(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && dot > name ? (int)(dot - name) : (int)strlen(name);
}

static ego_err name_folder(const char *directory, const ego_folder *folder, size_t i, ego_buf *path) {
    const char *name = ego_basename(folder->files[i].path);
    int n = stem(name);
    for (size_t j = 0; j < i; j++) {
        const char *other = ego_basename(folder->files[j].path);
        if (stem(other) == n && memcmp(other, name, (size_t)n) == 0)
            return ego_fail(EGO_EINPUT, "%s would also be %.*s", folder->files[j].path, n, name);
    }
    ego_buf_printf(path, "%s/%.*s", directory, n, name);
    return ego_buf_err(path);
}

static ego_err prepare_file(ego_cli *cli, const char *directory, const ego_folder *folder, size_t i) {
    ego_progress progress = ego_cli_progress(cli);
    ego_chunks_counts counts;
    ego_buf path = {0}, line = {0};
    const char *video = folder->files[i].path;
    ego_err err = name_folder(directory, folder, i, &path);
    if (err == EGO_OK) err = ego_chunks_make(video, path.data, 0, &progress, &counts);
    if (err == EGO_OK) {
        const char *name = ego_basename(path.data);
        ego_buf_text(&line, "{\"id\":");
        ego_buf_json_string(&line, name, strlen(name));
        ego_buf_json_key(&line, "video");
        ego_buf_json_string(&line, video, strlen(video));
        ego_buf_json_key(&line, "duration");
        ego_buf_json_double(&line, counts.duration);
        ego_buf_printf(&line, ",\"chunks\":%zu,\"made\":%zu}", counts.chunks, counts.made);
        err = ego_cli_write_line(cli, &line);
    }
    ego_buf_release(&path);
    ego_buf_release(&line);
    return err;
}

void ego_embed_prepare(ego_cli *cli, const char *directory) {
    ego_folder folder;
    ego_err err = ego_folder_list(cli->media, cli->n_media, &folder);
    bool go_on = err == EGO_OK || ego_cli_fatal(cli, err);
    for (size_t i = 0; go_on && i < folder.n && !ego_cli_stopped(cli); i++) {
        ego_record record;
        if (!ego_cli_name_in_shard(cli, folder.files[i].path)) continue;
        err = prepare_file(cli, directory, &folder, i);
        ego_err made = ego_record_whole(folder.files[i].path, &record);
        go_on = ego_cli_record_done(cli, &record, made == EGO_OK ? err : made);
    }
    ego_folder_release(&folder);
}
