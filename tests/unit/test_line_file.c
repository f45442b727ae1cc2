/* Lines that an interrupted run leaves, and the run that goes on with them (base/partial.h, format/line_file.h). */
#include "check.h"

#include "base/file.h"
#include "format/line_file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/ego-line-file.XXXXXX", part[64], made[64];

static ego_err open_file(const char *by, bool resume, ego_line_file **file) {
    return ego_line_file_open(&(ego_line_file_options){path, by, resume}, file);
}

static void write_text(ego_line_file *f, const char *text) {
    ego_buf line = {0};
    ego_buf_text(&line, text);
    CHECK_OK(ego_line_file_write(f, &line));
    CHECK(line.len == 0);
    ego_buf_release(&line);
}

static void holds(const char *file, const char *text) {
    ego_buf b = {0};
    CHECK_OK(ego_read_file(file, 1000, &b));
    CHECK_STR(b.data ? b.data : "", text);
    ego_buf_release(&b);
}

static bool absent(const char *file) { return access(file, F_OK) != 0; }

/* The ids of the lines that are there already. */
static void pass(ego_line_file *f, int64_t first, int64_t last) {
    const ego_json *line;
    for (int64_t id = first, found; id <= last; id++) {
        CHECK_OK(ego_line_file_next(f, &line));
        CHECK(ego_json_integer(ego_json_get(line, "id"), &found) && found == id);
    }
}

static void whole_at_once(void) {
    ego_line_file *f;
    const ego_json *line;
    CHECK_OK(open_file("m", false, &f));
    CHECK(ego_line_file_done(f) == 0 && ego_line_file_failed(f) == 0);
    CHECK_ERR(EGO_EEND, ego_line_file_next(f, &line));
    write_text(f, "{\"id\":1}");
    CHECK_OK(ego_line_file_flush(f));
    holds(part, "{\"id\":1}\n");
    holds(made, "m");
    CHECK(absent(path));
    ego_line_file *other;
    CHECK_ERR(EGO_EIO, open_file("m", false, &other));
    CHECK(strstr(ego_err_message(), "another run is writing it") != NULL);
    CHECK_OK(ego_line_file_commit(f));
    ego_line_file_close(f);
    holds(path, "{\"id\":1}\n");
    CHECK(absent(part) && absent(made));
    unlink(path);
}

/* What a run that was cut off in the middle of `text` left. */
static void leave(const char *by, const char *text) {
    CHECK_OK(ego_write_file(part, text, strlen(text)));
    CHECK_OK(ego_write_file(made, by, strlen(by)));
}

static void goes_on(void) {
    static const char *const cuts[] = {"", "{\"id\":3,\"te", "{\"id\":3}", "{\"id\":3]\n{\"id\":4}\n", "[3]\n", "\n"};
    ego_line_file *f;
    const ego_json *line;
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"id\":1}\n{\"id\":2,\"error\":\"gone\"}\n%s", cuts[i]);
        leave("m", text);
        CHECK_OK(open_file("m", true, &f));
        CHECK(ego_line_file_done(f) == 2 && ego_line_file_failed(f) == 1);
        pass(f, 1, 2);
        CHECK_ERR(EGO_EEND, ego_line_file_next(f, &line));
        write_text(f, "{\"id\":5}");
        CHECK_OK(ego_line_file_commit(f));
        ego_line_file_close(f);
        holds(path, "{\"id\":1}\n{\"id\":2,\"error\":\"gone\"}\n{\"id\":5}\n");
        CHECK(absent(part) && absent(made));
        unlink(path);
    }
}

static void refused(void) {
    ego_line_file *f;
    leave("m", "{\"id\":1}\n{\"id\":2}\n");
    CHECK_ERR(EGO_EINPUT, open_file("n", true, &f));
    CHECK(strstr(ego_err_message(), "was begun with another model or other options: m") != NULL);
    holds(part, "{\"id\":1}\n{\"id\":2}\n");
    unlink(made);
    CHECK_ERR(EGO_EIO, open_file("m", true, &f));
    holds(part, "{\"id\":1}\n{\"id\":2}\n");
    /* Fewer records than lines: they were others. */
    leave("m", "{\"id\":1}\n{\"id\":2}\n");
    CHECK_OK(open_file("m", true, &f));
    pass(f, 1, 1);
    CHECK_ERR(EGO_EINPUT, ego_line_file_commit(f));
    CHECK(strstr(ego_err_message(), "holds 2 lines") != NULL);
    ego_line_file_close(f);
    holds(part, "{\"id\":1}\n{\"id\":2}\n");
    /* Without resume it is written anew, with nothing before too. */
    CHECK_OK(open_file("n", false, &f));
    CHECK(ego_line_file_done(f) == 0);
    ego_line_file_close(f);
    holds(part, "");
    holds(made, "n");
    CHECK_OK(open_file("k", true, &f));
    CHECK(ego_line_file_done(f) == 0);
    ego_line_file_close(f);
    ego_line_file_close(NULL);
    unlink(part);
    unlink(made);
    CHECK_ERR(EGO_EIO, ego_line_file_open(&(ego_line_file_options){"/nowhere/at/all", "m", false}, &f));
}

int main(void) {
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    unlink(path);
    snprintf(part, sizeof part, "%s.part", path);
    snprintf(made, sizeof made, "%s.part.json", path);
    whole_at_once();
    goes_on();
    refused();
    return check_done();
}
