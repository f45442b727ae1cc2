#include "data/windows.h"

#include "media/decode.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool ego_medium_is_pipe(const char *path) {
    struct stat st;
    bool standard = strcmp(path, "-") == 0;
    if ((standard ? fstat(STDIN_FILENO, &st) : stat(path, &st)) != 0) return false;
    return !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

ego_err ego_medium_measure(const char *path, double *duration) {
    ego_video *video;
    ego_video_info info;
    EGO_TRY(ego_video_open(path, NULL, &video));
    ego_err err = ego_video_get_info(video, &info);
    ego_video_close(video);
    EGO_TRY(err);
    *duration = info.duration;
    return info.duration > 0 ? EGO_OK : ego_fail(EGO_EINPUT, "%s: holds no video that lasts", path);
}

static void add_string(ego_buf *line, const char *key, const char *value) {
    ego_buf_json_key(line, key);
    ego_buf_json_string(line, value, strlen(value));
}

static void add_number(ego_buf *line, const char *key, double value) {
    ego_buf_json_key(line, key);
    ego_buf_json_double(line, value);
}

static void write_id(const ego_medium *m, double start, double end, ego_buf *line) {
    ego_buf id = {0};
    if (end <= start && !(m->recording && m->duration > 0))
        ego_buf_text(&id, m->path);
    else
        ego_media_id(&id, m->recording ? m->recording : m->path, m->offset + start,
                     m->offset + (end > start ? end : m->duration));
    ego_buf_text(line, "{\"id\":");
    ego_buf_json_string(line, id.data ? id.data : "", id.len);
    line->failed = line->failed || id.failed;
    ego_buf_release(&id);
}

/* A record made here is read like any other: as the JSON line it would have been. */
ego_err ego_window_record(const ego_medium *m, double start, double end, const char *text,
                          ego_record *record) {
    static const ego_record_rules none;
    ego_buf line = {0};
    write_id(m, start, end, &line);
    add_string(&line, "video", m->path);
    if (end > start) {
        add_number(&line, "start", start);
        add_number(&line, "end", end);
    }
    if (text) add_string(&line, "text", text);
    if (m->recording) {
        add_string(&line, "recording", m->recording);
        add_number(&line, "t", m->offset + start);
    }
    if (m->live) ego_buf_text(&line, ",\"live\":true");
    ego_buf_char(&line, '}');
    ego_err err = ego_buf_err(&line);
    if (err == EGO_OK) err = ego_record_parse(line.data, line.len, m->path, 1, 1, &none, record);
    ego_buf_release(&line);
    return err;
}

ego_windows ego_windows_of(const ego_windows_options *options, ego_medium *media, size_t n) {
    ego_windows w = {.options = *options, .media = media, .n = n};
    if (w.options.stride <= 0) w.options.stride = w.options.window;
    return w;
}

bool ego_windows_live(const ego_windows *w) { return w->at < w->n && w->media[w->at].live; }

void ego_windows_ended(ego_windows *w) {
    w->at++;
    w->window = w->windows = 0;
}

/* How many windows the medium at hand has. */
static ego_err count_windows(ego_windows *w) {
    ego_medium *m = &w->media[w->at];
    w->window = 0;
    w->windows = 1;
    w->duration = m->duration;
    if (m->live || w->options.window <= 0) return EGO_OK;
    if (!(w->duration > 0)) EGO_TRY(ego_medium_measure(m->path, &w->duration));
    w->windows = ego_window_count(w->duration, w->options.window, w->options.stride);
    return EGO_OK;
}

static ego_err window_record(ego_windows *w, ego_record *record) {
    const ego_medium *m = &w->media[w->at];
    double start = (double)w->window++ * w->options.stride, end = start + w->options.window;
    if (w->options.window <= 0) return ego_window_record(m, 0, 0, w->options.text, record);
    if (!m->live && end > w->duration) end = w->duration;
    return ego_window_record(m, start, end, w->options.text, record);
}

ego_err ego_windows_next(ego_windows *w, ego_record *record) {
    if (w->at < w->n && w->windows && w->window == w->windows && !w->media[w->at].live)
        ego_windows_ended(w);
    if (w->at == w->n) return ego_fail(EGO_EEND, "no more media");
    if (w->windows) return window_record(w, record);
    ego_err err = count_windows(w);
    if (err == EGO_OK) return window_record(w, record);
    w->window = w->windows; /* one failed record stands for the file */
    ego_err made = ego_window_record(&w->media[w->at], 0, 0, w->options.text, record);
    return made == EGO_OK ? err : made;
}
