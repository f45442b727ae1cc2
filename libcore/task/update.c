#include "task/update.h"

#include "base/file.h"
#include "base/hash.h"
#include "data/folder.h"
#include "data/windows.h"
#include "task/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const double USUAL_WINDOW = 4, USUAL_STRIDE = 2;

/* What becomes of a file. */
typedef struct planned {
    const ego_index *from; /* NULL: it is computed */
    const ego_index_file *old;
    double duration, offset; /* seconds; of the chapters before it */
    char content[65];
    size_t clips;
    bool failed; /* it cannot be measured: one error in its place */
} planned;

struct ego_update {
    ego_update_options options;
    char made[EGO_INDEX_MADE];
    ego_folder folder;
    ego_index before, remains; /* the index, and what an interrupted run left */
    ego_buf remains_path;
    planned *plan;      /* (folder.n) */
    size_t at, planned; /* the file whose clips are handed out; files that are planned */
    ego_medium medium;
    ego_windows windows;
    size_t out, out_left; /* the file that is written, and its clips still to come */
    bool begun;
    size_t failed;
    ego_update_counts counts;
};

/* ---- opening ------------------------------------------------------------------------------------- */

static ego_err hash_made(const char *text, char made[EGO_INDEX_MADE]) {
    ego_sha256 *hash;
    char hex[65];
    EGO_TRY(ego_sha256_new(&hash));
    ego_sha256_update(hash, text, strlen(text));
    ego_sha256_finish(hash, hex);
    memcpy(made, hex, EGO_INDEX_MADE - 1);
    made[EGO_INDEX_MADE - 1] = '\0';
    return EGO_OK;
}

static bool larger(const char *a, const char *b) {
    struct stat x, y;
    return stat(b, &y) != 0 || (stat(a, &x) == 0 && x.st_size > y.st_size);
}

/* INDEX.part, unless another run is writing it, goes out of the way: the new one will have its name. One that
 * was interrupted before it had caught up with what it was put beside is of no use. */
static ego_err put_remains_aside(ego_update *u) {
    ego_buf part = {0};
    ego_buf_printf(&part, "%s.part", u->options.path);
    ego_buf_printf(&u->remains_path, "%s.part.old", u->options.path);
    ego_err err = ego_buf_err(&part);
    if (err == EGO_OK) err = ego_buf_err(&u->remains_path);
    int fd = err == EGO_OK ? open(part.data, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
        err = ego_fail(EGO_EIO, "%s: another run is writing it", part.data);
    else if (fd >= 0 && larger(part.data, u->remains_path.data) && rename(part.data, u->remains_path.data) != 0)
        err = ego_fail(EGO_EIO, "%s: %s", u->remains_path.data, strerror(errno));
    if (fd >= 0) close(fd);
    ego_buf_release(&part);
    return err;
}

static bool same_making(const ego_update *u, const ego_index *x) {
    return strcmp(u->made, x->made) == 0 && u->options.window == x->window &&
           u->options.stride == x->stride;
}

static ego_err open_before(ego_update *u) {
    ego_update_options *o = &u->options;
    EGO_TRY(ego_index_open(o->path, &u->before));
    if (!(o->window > 0)) {
        o->window = u->before.window > 0 ? u->before.window : USUAL_WINDOW;
        o->stride = u->before.window > 0 ? u->before.stride : USUAL_STRIDE;
    }
    if (!(o->stride > 0)) o->stride = o->window;
    u->counts.remade = u->before.made[0] && !same_making(u, &u->before);
    u->counts.dropped = u->before.n_files;
    if (u->counts.remade) ego_index_close(&u->before);
    EGO_TRY(put_remains_aside(u));
    if (ego_index_open(u->remains_path.data, &u->remains) == EGO_OK && !same_making(u, &u->remains))
        ego_index_close(&u->remains);
    return EGO_OK;
}

ego_err ego_update_open(const ego_update_options *options, ego_update **out) {
    ego_err err = EGO_OK;
    ego_update *u = calloc(1, sizeof *u);
    if (!u) return ego_fail(EGO_ENOMEM, "out of memory");
    u->options = *options;
    EGO_TRY_OUT(hash_made(options->made, u->made));
    EGO_TRY_OUT(ego_folder_list(options->sources, options->n_sources, &u->folder));
    EGO_TRY_OUT(open_before(u));
    u->counts.files = u->folder.n;
    if (!(u->plan = calloc(u->folder.n + 1, sizeof *u->plan)))
        err = ego_fail(EGO_ENOMEM, "out of memory");
    if (err == EGO_OK) {
        *out = u;
        u = NULL;
    }
out:
    ego_update_close(u);
    return err;
}

void ego_update_close(ego_update *u) {
    if (!u) return;
    ego_folder_release(&u->folder);
    ego_index_close(&u->before);
    ego_index_close(&u->remains);
    ego_buf_release(&u->remains_path);
    free(u->plan);
    free(u);
}

void ego_update_committed(ego_update *u) { unlink(u->remains_path.data); }

ego_update_counts ego_update_get_counts(const ego_update *u) { return u->counts; }

/* ---- clips to compute ---------------------------------------------------------------------------- */

static ego_windows windows_of(ego_update *u, size_t i, ego_medium *medium) {
    const ego_folder_file *f = &u->folder.files[i];
    const planned *p = &u->plan[i];
    *medium = (ego_medium){
        .path = f->path, .recording = f->recording, .offset = p->offset, .duration = p->duration};
    ego_windows_options o = {.window = u->options.window, .stride = u->options.stride};
    return ego_windows_of(&o, medium, 1);
}

/* Chapters of a recording stand side by side. */
static double offset_of(const ego_update *u, size_t i) {
    const ego_folder_file *f = &u->folder.files[i];
    if (i == 0 || !f->recording || !f[-1].recording || strcmp(f->recording, f[-1].recording) != 0)
        return 0;
    return u->plan[i - 1].offset + u->plan[i - 1].duration;
}

static ego_err find_old(ego_update *u, size_t i) {
    planned *p = &u->plan[i];
    p->from = &u->before;
    EGO_TRY(ego_index_find(p->from, &u->folder.files[i], p->content, &p->old));
    if (p->old) return EGO_OK;
    p->from = &u->remains;
    EGO_TRY(ego_index_find(p->from, &u->folder.files[i], p->content, &p->old));
    if (!p->old) p->from = NULL;
    return EGO_OK;
}

static ego_err plan_file(ego_update *u, size_t i) {
    const ego_folder_file *f = &u->folder.files[i];
    planned *p = &u->plan[i];
    p->offset = offset_of(u, i);
    EGO_TRY(find_old(u, i));
    if (p->old) {
        p->duration = p->old->duration;
        memcpy(p->content, p->old->content, sizeof p->content);
    } else {
        EGO_TRY(ego_medium_measure(f->path, &p->duration));
        if (!p->content[0]) EGO_TRY(ego_sha256_file(f->path, p->content));
    }
    p->clips = ego_window_count(p->duration, u->options.window, u->options.stride);
    if (p->old && p->old->clips != p->clips) p->from = NULL; /* not as --update writes: anew */
    return EGO_OK;
}

/* A file that cannot be read is one failed record. */
static ego_err fail_file(ego_update *u, ego_err err, ego_record *record) {
    planned *p = &u->plan[u->at];
    if (err != EGO_EIO && err != EGO_EINPUT && err != EGO_EFORMAT && err != EGO_EUNSUPPORTED) return err;
    *p = (planned){.failed = true, .clips = 1, .offset = p->offset};
    windows_of(u, u->at, &u->medium);
    u->medium.recording = NULL;
    ego_err made = ego_window_record(&u->medium, 0, 0, NULL, record);
    return made == EGO_OK ? (err == EGO_EUNSUPPORTED ? EGO_EINPUT : err) : made;
}

ego_err ego_update_next(ego_update *u, ego_record *record) {
    for (; u->at < u->folder.n; u->at++) {
        if (u->planned == u->at) {
            ego_err err = plan_file(u, u->at);
            u->planned++;
            if (err != EGO_OK) return fail_file(u, err, record);
            u->windows = windows_of(u, u->at, &u->medium);
        }
        if (u->plan[u->at].from || u->plan[u->at].failed) continue;
        ego_err err = ego_windows_next(&u->windows, record);
        if (err != EGO_EEND) return err;
    }
    return ego_fail(EGO_EEND, "no more files");
}

/* ---- writing ------------------------------------------------------------------------------------- */

/* A note: a record of another part, with no elements. */
static ego_err write_note(ego_embed_output *output, const char *part, ego_buf *line) {
    static const ego_record_rules none;
    static float nothing[1];
    ego_record record = {0};
    ego_tensor empty = {nothing, EGO_F32, 1, {0}};
    ego_err err = ego_buf_err(line);
    if (err == EGO_OK) err = ego_record_parse(line->data, line->len, part, 1, 1, &none, &record);
    if (err == EGO_OK) err = ego_embed_output_write(output, &record, part, &empty, 0);
    ego_record_release(&record);
    ego_buf_release(line);
    return err;
}

static ego_err write_head(ego_update *u, ego_embed_output *output) {
    ego_buf line = {0};
    if (u->begun) return EGO_OK;
    u->begun = true;
    ego_buf_printf(&line, "{\"id\":\"index\",\"made\":\"%s\",\"window\":", u->made);
    ego_buf_json_double(&line, u->options.window);
    ego_buf_json_key(&line, "stride");
    ego_buf_json_double(&line, u->options.stride);
    ego_buf_char(&line, '}');
    return write_note(output, EGO_INDEX_PART, &line);
}

static ego_err write_file_note(ego_update *u, ego_embed_output *output, size_t i) {
    const ego_folder_file *f = &u->folder.files[i];
    const planned *p = &u->plan[i];
    ego_buf line = {0};
    ego_buf_text(&line, "{\"id\":");
    ego_buf_json_string(&line, f->path, strlen(f->path));
    ego_buf_printf(&line, ",\"size\":%lld,\"changed\":\"%lld.%09lld\",\"sha256\":\"%s\",\"duration\":",
                   (long long)f->size, (long long)f->seconds, (long long)f->nanoseconds, p->content);
    ego_buf_json_double(&line, p->duration);
    ego_buf_json_key(&line, "t");
    ego_buf_json_double(&line, p->offset);
    ego_buf_printf(&line, ",\"clips\":%zu}", p->clips);
    return write_note(output, EGO_INDEX_FILE_PART, &line);
}

static ego_err write_clip(ego_update *u, ego_embed_output *output, const ego_record *record,
                          const ego_tensor *tensor, const char *message) {
    if (!tensor) return ego_embed_output_error(output, record, message);
    if (u->options.unrelated) {
        ego_vector vector = {tensor->data, EGO_F32};
        EGO_TRY(ego_unrelated_meet(u->options.unrelated, &vector, 1, (size_t)ego_tensor_count(tensor),
                                   NULL));
    }
    return ego_embed_output_write(output, record, "video", tensor, 0);
}

static ego_err write_kept(ego_update *u, ego_embed_output *output, size_t i) {
    const planned *p = &u->plan[i];
    ego_medium medium;
    ego_windows windows = windows_of(u, i, &medium);
    ego_err err = write_file_note(u, output, i);
    for (size_t k = 0; err == EGO_OK && k < p->clips; k++) {
        const ego_index_clip *clip = &p->from->clips[p->old->first + k];
        union {
            const float *in;
            void *data;
        } v = {clip->vector};
        ego_tensor tensor = {v.data, EGO_F32, 1, {(int64_t)p->from->dim}};
        ego_record record;
        err = ego_windows_next(&windows, &record);
        if (err == EGO_OK)
            err = write_clip(u, output, &record, clip->vector ? &tensor : NULL, clip->error);
        u->failed += clip->vector == NULL;
        ego_record_release(&record);
    }
    u->counts.kept++;
    return err;
}

/* Files that need no computing, up to the next that does. */
static ego_err write_kept_files(ego_update *u, ego_embed_output *output) {
    EGO_TRY(write_head(u, output));
    for (; u->out < u->planned && u->plan[u->out].from; u->out++)
        EGO_TRY(write_kept(u, output, u->out));
    return EGO_OK;
}

ego_err ego_update_write(ego_update *u, ego_embed_output *output, const ego_record *record,
                         const ego_tensor *tensor, const char *message) {
    if (!u->out_left) {
        EGO_TRY(write_kept_files(u, output));
        const planned *p = &u->plan[u->out];
        if (!p->failed) EGO_TRY(write_file_note(u, output, u->out));
        u->out_left = p->clips;
    }
    EGO_TRY(write_clip(u, output, record, tensor, message));
    if (--u->out_left == 0) u->out++;
    return EGO_OK;
}

/* Files of the old index whose path is not among those of today. */
static size_t count_dropped(const ego_update *u) {
    size_t still = 0;
    for (size_t i = 0; i < u->folder.n; i++)
        for (size_t lo = 0, hi = u->before.n_files; lo < hi;) {
            size_t mid = lo + (hi - lo) / 2;
            int order = strcmp(u->folder.files[i].path, u->before.files[mid].path);
            if (order == 0) {
                still++;
                break;
            }
            if (order < 0)
                hi = mid;
            else
                lo = mid + 1;
        }
    return u->before.n_files - still;
}

ego_err ego_update_finish(ego_update *u, ego_embed_output *output, size_t *failed) {
    EGO_TRY(write_kept_files(u, output));
    const ego_unrelated *unrelated = u->options.unrelated;
    if (unrelated) EGO_TRY(ego_embed_output_calibration(output, ego_unrelated_calibration(unrelated)));
    u->counts.dropped = count_dropped(u);
    *failed = u->failed;
    return EGO_OK;
}
