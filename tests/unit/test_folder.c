/* Folders: which files, in which order, and GoPro's chapters. */
#include "check.h"

#include "base/file.h"
#include "data/folder.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void chapters(void) {
    static const struct {
        const char *name, *recording;
        int chapter;
    } cases[] = {{"GH010123.MP4", "GH0123", 1},     {"GX120007.mp4", "GX0007", 12},
                 {"gx020007.Mp4", "GX0007", 2},     {"GL010001.mp4", "GL0001", 1},
                 {"GOPR0123.MP4", "GOPR0123", 0},   {"GP010123.MP4", "GOPR0123", 1},
                 {"GH01012.MP4", NULL, 0},          {"GH0101234.MP4", NULL, 0},
                 {"GHAA0123.MP4", NULL, 0},         {"GH010123.THM", NULL, 0},
                 {"XGH010123.MP4", NULL, 0},        {"GOPR012.MP4", NULL, 0},
                 {"GP010123", NULL, 0},             {"", NULL, 0},
                 {"kitchen.mp4", NULL, 0},          {"G", NULL, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char recording[EGO_CHAPTER_NAME] = "";
        int chapter = 0;
        bool is = ego_folder_chapter(cases[i].name, recording, &chapter);
        CHECK(is == (cases[i].recording != NULL));
        if (!is || !cases[i].recording) continue;
        CHECK(strcmp(recording, cases[i].recording) == 0);
        CHECK(chapter == cases[i].chapter);
    }
}

static char root[] = "/tmp/ego-folder.XXXXXX";

static void put(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    CHECK_OK(ego_write_file(path, "x", 1));
}

static void order(void) {
    static const char *const put_names[] = {
        "GX020001.MP4", "b.mp4", "GX010002.MP4", "GX010001.MP4", "a.txt", ".hidden.mp4", "GP010009.MP4",
        "GOPR0009.MP4", "-dash.mov", "sub/GX030001.MP4", "new\nline.mkv", "GX010001.THM"};
    static const struct {
        const char *name, *recording;
    } wanted[] = {{"-dash.mov", NULL},         {"GOPR0009.MP4", "GOPR0009"},
                  {"GP010009.MP4", "GOPR0009"}, {"GX010001.MP4", "GX0001"},
                  {"GX020001.MP4", "GX0001"},   {"GX010002.MP4", "GX0002"},
                  {"b.mp4", NULL},              {"new\nline.mkv", NULL},
                  {"sub/GX030001.MP4", "sub/GX0001"}};
    char path[256], loop[256];
    CHECK(mkdtemp(root) != NULL);
    snprintf(path, sizeof path, "%s/sub", root);
    CHECK_OK(ego_make_directory(path));
    for (size_t i = 0; i < sizeof put_names / sizeof *put_names; i++) put(put_names[i]);
    snprintf(loop, sizeof loop, "%s/sub/loop", root);
    CHECK(symlink("..", loop) == 0);

    snprintf(path, sizeof path, "%s/b.mp4", root);
    const char *paths[] = {root, path}; /* b.mp4 twice */
    ego_folder folder;
    if (!CHECK_OK(ego_folder_list(paths, 2, &folder))) return;
    CHECK(folder.n == sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < folder.n && i < sizeof wanted / sizeof *wanted; i++) {
        const ego_folder_file *f = &folder.files[i];
        CHECK(strcmp(f->path + strlen(root) + 1, wanted[i].name) == 0);
        CHECK((f->recording != NULL) == (wanted[i].recording != NULL));
        if (f->recording && wanted[i].recording)
            CHECK(strcmp(f->recording + strlen(root) + 1, wanted[i].recording) == 0);
        CHECK(f->size == 1);
    }
    ego_folder_release(&folder);
    const char *gone = "/no/such/folder";
    CHECK_ERR(EGO_EIO, ego_folder_list(&gone, 1, &folder));
}

int main(void) {
    chapters();
    order();
    return check_done();
}
