/* The frame cache: what was put in comes out, or nothing does; by several processes at once, with
 * bytes flipped, files cut short, and writers killed. */
#include "check.h"

#include "base/file.h"
#include "base/rng.h"
#include "data/cache.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FRAMES = 3, WIDTH = 20, HEIGHT = 10, PICTURE = WIDTH * HEIGHT * 3, ENTRY = 64 };
static const uint64_t PLENTY = (uint64_t)1 << 30;
static char folder[512];

static const char *path_of(const char *file) {
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return path;
}

static void start_anew(void) {
    unlink(path_of("frames.index"));
    unlink(path_of("frames.data"));
}

static uint64_t size_of(const char *file) {
    struct stat st;
    return stat(path_of(file), &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void flip_byte(const char *file, uint64_t at) {
    uint8_t byte = 0;
    int fd = open(path_of(file), O_RDWR);
    CHECK(fd >= 0 && pread(fd, &byte, 1, (off_t)at) == 1);
    byte ^= 0x10;
    CHECK(pwrite(fd, &byte, 1, (off_t)at) == 1);
    close(fd);
}

static ego_cache *opened(uint64_t most) {
    ego_cache *cache = NULL;
    CHECK_OK(ego_cache_open(folder, most, &cache));
    return cache;
}

static ego_cache_key key_number(int i) {
    ego_cache_key key = {0};
    CHECK_OK(ego_cache_key_of(&i, sizeof i, &key));
    return key;
}

static void fill_pictures(int number, uint8_t *rgb) {
    for (size_t i = 0; i < (size_t)FRAMES * PICTURE; i++)
        rgb[i] = (uint8_t)(ego_rng_u64((uint64_t)number, i / 64) >> i % 56);
}

static bool add(ego_cache *cache, int number) {
    uint8_t rgb[FRAMES * PICTURE];
    bool added = false;
    ego_cache_record record = {
        .key = key_number(number), .frames = FRAMES, .width = WIDTH, .height = HEIGHT};
    fill_pictures(number, rgb);
    CHECK_OK(ego_cache_add(cache, &record, rgb, &added));
    return added;
}

/* 1: there and right, 0: not there, -1: there and wrong, which must never be. */
static int look(ego_cache *cache, int number) {
    static const int which[] = {2, 0};
    uint8_t want[FRAMES * PICTURE], got[2 * PICTURE];
    ego_cache_record record;
    if (!ego_cache_find(cache, key_number(number), &record)) return 0;
    if (record.frames != FRAMES || record.width != WIDTH || record.height != HEIGHT) return -1;
    if (!ego_cache_read(cache, &record, which, 2, got)) return 0;
    fill_pictures(number, want);
    return memcmp(got, want + 2 * PICTURE, PICTURE) == 0 &&
                   memcmp(got + PICTURE, want, PICTURE) == 0
               ? 1
               : -1;
}

static int count_right(ego_cache *cache, int n) {
    int right = 0;
    for (int i = 0; i < n; i++) {
        int found = look(cache, i);
        CHECK(found >= 0);
        right += found == 1;
    }
    return right;
}

static void goes_in_and_out(void) {
    enum { N = 3000 }; /* beyond the first size of the table */
    start_anew();
    ego_cache *cache = opened(PLENTY), *other = opened(PLENTY);
    CHECK(look(cache, 0) == 0);
    for (int i = 0; i < N; i++) CHECK(add(i % 2 ? cache : other, i));
    CHECK(!add(cache, 7));
    CHECK(!add(other, 7));
    CHECK(count_right(cache, N) == N && count_right(other, N) == N);
    CHECK(ego_cache_count(cache) == N && !ego_cache_is_full(cache));
    CHECK(ego_cache_bytes(cache) == size_of("frames.index") + size_of("frames.data"));
    CHECK(look(cache, N) == 0);
    ego_cache_close(other);
    ego_cache_close(cache);
    cache = opened(PLENTY);
    CHECK(ego_cache_count(cache) == N && count_right(cache, N) == N);
    ego_cache_close(cache);
}

static void damage_is_a_miss(void) {
    enum { N = 40 };
    start_anew();
    ego_cache *cache = opened(PLENTY);
    for (int i = 0; i < N; i++) add(cache, i);
    uint64_t record = size_of("frames.data") / N, pictures = record - FRAMES * sizeof(uint32_t);
    CHECK(pictures == FRAMES * PICTURE);
    flip_byte("frames.data", 3 * record + 1);            /* the table of number 3 */
    flip_byte("frames.data", 5 * record + 100);          /* its first picture */
    flip_byte("frames.data", 6 * record + 12 + PICTURE); /* one that nobody asks for */
    flip_byte("frames.data", 8 * record - 1);            /* the last byte of number 7 */
    for (int at = 0; at < ENTRY; at += 7)                /* the entries of 10 to 19 */
        flip_byte("frames.index", (uint64_t)(1 + 10 + at / 7) * ENTRY + (uint64_t)at);
    CHECK(count_right(cache, N) == N - 3); /* the index was read before */
    ego_cache_close(cache);
    cache = opened(PLENTY);
    CHECK(count_right(cache, N) == N - 3 - 10);
    for (int i = 0; i < N; i++) add(cache, i);
    CHECK(count_right(cache, N) == N);
    ego_cache_close(cache);
    cache = opened(PLENTY); /* the later record counts */
    CHECK(count_right(cache, N) == N);
    ego_cache_close(cache);
}

static void cut_files_are_gone_on_with(void) {
    enum { N = 20 };
    start_anew();
    ego_cache *cache = opened(PLENTY);
    for (int i = 0; i < N; i++) add(cache, i);
    uint64_t record = size_of("frames.data") / N;
    CHECK(truncate(path_of("frames.index"), (off_t)(ENTRY * N + 13)) == 0);
    CHECK(truncate(path_of("frames.data"), (off_t)(record * (N - 3) + 50)) == 0);
    ego_cache_close(cache);
    cache = opened(PLENTY);
    CHECK(count_right(cache, N) == N - 3);
    for (int i = 0; i < N; i++) add(cache, i);
    CHECK(count_right(cache, N) == N);
    ego_cache_close(cache);
}

static void stays_below_its_limit(void) {
    enum { N = 20, LIMIT = 20000 };
    start_anew();
    ego_cache *cache = opened(LIMIT);
    int added = 0;
    for (int i = 0; i < N; i++) added += add(cache, i);
    CHECK(added == 10 && ego_cache_is_full(cache));
    CHECK(size_of("frames.index") + size_of("frames.data") <= LIMIT);
    CHECK(count_right(cache, N) == added);
    ego_cache_close(cache);
    cache = opened(LIMIT);
    CHECK(!ego_cache_is_full(cache) && !add(cache, N - 1) && ego_cache_is_full(cache));
    ego_cache_close(cache);
    uint8_t rgb[3] = {0};
    bool sink;
    cache = opened(PLENTY);
    ego_cache_record no_frames = {.frames = 0, .width = 1, .height = 1};
    ego_cache_record too_wide = {.frames = 1, .width = 1 << 16, .height = 1};
    CHECK_ERR(EGO_EINPUT, ego_cache_add(cache, &no_frames, rgb, &sink));
    CHECK_ERR(EGO_EINPUT, ego_cache_add(cache, &too_wide, rgb, &sink));
    ego_cache_close(cache);
}

static void refuses_other_files(void) {
    ego_cache *cache = NULL;
    start_anew();
    CHECK_OK(ego_write_file(
        path_of("frames.index"),
        "some text that is longer than the head of an index of frames, and no such thing", 80));
    CHECK_ERR(EGO_EFORMAT, ego_cache_open(folder, PLENTY, &cache));
    CHECK(strstr(ego_err_message(), "frames.index") != NULL);
    start_anew();
    CHECK_OK(ego_write_file(path_of("frames.index"), "torn", 4)); /* killed while it was made */
    cache = opened(PLENTY);
    CHECK(add(cache, 1) && look(cache, 1) == 1);
    ego_cache_close(cache);
    CHECK_ERR(EGO_EIO, ego_cache_open("/dev/null/folder", PLENTY, &cache));
}

/* Processes that add the same records in different orders. */
static void many_write_at_once(void) {
    enum { PROCESSES = 4, N = 150 };
    pid_t children[PROCESSES];
    start_anew();
    for (int p = 0; p < PROCESSES; p++)
        if ((children[p] = fork()) == 0) {
            check_failed = 0;
            ego_cache *cache = opened(PLENTY);
            for (int i = 0; i < N; i++) add(cache, (i * 7 + p * 31) % N);
            bool good = count_right(cache, N) == N;
            ego_cache_close(cache);
            _exit(good && !check_failed ? 0 : 1);
        }
    for (int p = 0; p < PROCESSES; p++) {
        int status = 1;
        CHECK(waitpid(children[p], &status, 0) == children[p] && status == 0);
    }
    ego_cache *cache = opened(PLENTY);
    CHECK(ego_cache_count(cache) == N && count_right(cache, N) == N);
    CHECK(size_of("frames.index") == (N + 1) * ENTRY); /* each was added once */
    ego_cache_close(cache);
}

static void writers_are_killed(void) {
    enum { TIMES = 20, N = 100000 };
    start_anew();
    for (int k = 0; k < TIMES; k++) {
        struct timespec while_it_runs = {0, 1000000 + 700000 * k};
        pid_t child = fork();
        if (child == 0) {
            ego_cache *cache = opened(PLENTY);
            for (int i = 0; cache && i < N; i++) add(cache, i);
            _exit(0);
        }
        nanosleep(&while_it_runs, NULL);
        kill(child, SIGKILL);
        CHECK(waitpid(child, NULL, 0) == child);
    }
    ego_cache *cache = opened(PLENTY);
    int n = (int)ego_cache_count(cache);
    CHECK(n > 0 && count_right(cache, n) == n); /* the first n, each right */
    CHECK(add(cache, n) && look(cache, n) == 1);
    ego_cache_close(cache);
}

int main(void) {
    snprintf(folder, sizeof folder, "%s/ego-cache-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(folder)) return 1;
    goes_in_and_out();
    damage_is_a_miss();
    cut_files_are_gone_on_with();
    stays_below_its_limit();
    refuses_other_files();
    many_write_at_once();
    writers_are_killed();
    start_anew();
    rmdir(folder);
    ego_cache_close(NULL);
    return check_done();
}
