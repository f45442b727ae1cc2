/* Runs a fuzz target over its corpus without a fuzzer: what CI does. The target's name, fuzz_NAME, says
 * which: tests/fuzz/corpus/NAME. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) return perror(path), 0;
    long size = ftell(f);
    rewind(f);
    uint8_t *data = malloc((size_t)size + 1);
    int good = data && fread(data, 1, (size_t)size, f) == (size_t)size;
    if (good) LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    fclose(f);
    return good;
}

int main(int argc, char **argv) {
    const char *name = strrchr(argv[0], '/');
    name = name ? name + 1 : argv[0];
    if (strncmp(name, "fuzz_", 5) == 0) name += 5;
    char path[1024];
    int n = 0;
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    snprintf(path, sizeof path, "tests/fuzz/corpus/%s", name);
    const char *folder = argc > 1 ? argv[1] : path;
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char file[2048];
        if (e->d_name[0] == '.') continue;
        snprintf(file, sizeof file, "%s/%s", folder, e->d_name);
        n += replay(file);
    }
    if (dir) closedir(dir);
    printf("%d inputs replayed\n", n);
    return n > 0 ? 0 : 1;
}
