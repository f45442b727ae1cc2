/* The ground floor: errors, arenas, buffers, UTF-8, files, threads, random numbers, hashes. */
#include "check.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/threads.h"
#include "base/utf8.h"

#include <locale.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_errors(void) {
    CHECK(ego_fail(EGO_EIO, "disk %d", 7) == EGO_EIO);
    CHECK_STR(ego_err_message(), "disk 7");
    CHECK(ego_fail_context(EGO_EIO, "while reading %s", "x") == EGO_EIO);
    CHECK_STR(ego_err_message(), "while reading x: disk 7");
    CHECK(ego_fail(EGO_EIO, "again: %s", ego_err_message()) == EGO_EIO); /* its own message as argument */
    CHECK_STR(ego_err_message(), "again: while reading x: disk 7");
    char longer[3000];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    ego_fail(EGO_EIO, "%s", longer);
    CHECK(strlen(ego_err_message()) == 1023);
}

static void test_arena(void) {
    ego_arena arena;
    ego_arena_init(&arena, 1024);
    ego_arena_mark empty = ego_arena_save(&arena);
    char *first = ego_arena_alloc(&arena, 100);
    memset(first, 1, 100);
    ego_arena_mark mark = ego_arena_save(&arena);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) {
            char *p = ego_arena_alloc(&arena, 333);
            CHECK(p && (uintptr_t)p % 64 == 0);
            memset(p, 2, 333);
        }
        ego_arena_rewind(&arena, mark);
        CHECK(arena.used == mark.used);
    }
    for (int i = 0; i < 100; i++) CHECK(first[i] == 1);
    CHECK(!ego_arena_alloc(&arena, SIZE_MAX) && arena.failed);
    ego_arena_rewind(&arena, empty);
    CHECK(!arena.failed && arena.used == 0);
    CHECK_STR(ego_arena_strdup(&arena, "kept"), "kept");
    ego_arena_release(&arena);
}

static void test_numbers(void) {
    ego_buf b = {0};
    const double values[] = {0.1, 1.0 / 3, 1e300, -0.0, 123456789.125, 5e-324};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        ego_buf_clear(&b);
        ego_buf_json_double(&b, values[i]);
        CHECK(strtod(b.data, NULL) == values[i]);
        if (values[i] > 1e38) continue;
        ego_buf_clear(&b);
        ego_buf_json_float(&b, (float)values[i]);
        CHECK(strtof(b.data, NULL) == (float)values[i]);
    }
    ego_buf_clear(&b);
    ego_buf_json_double(&b, NAN);
    CHECK_STR(b.data, "null");
    if (setlocale(LC_ALL, "de_DE.UTF-8")) { /* a host program's locale must not reach the output */
        ego_buf_clear(&b);
        ego_buf_json_double(&b, 0.5);
        CHECK_STR(b.data, "0.5");
        setlocale(LC_ALL, "C");
    }
    ego_buf_clear(&b);
    ego_buf_json_string(&b, "a\"\\\n\x01\xC3\xA9\xFFz", 9);
    CHECK_STR(b.data, "\"a\\\"\\\\\\n\\u0001\xC3\xA9\xEF\xBF\xBDz\"");
    ego_buf_release(&b);
}

static void test_utf8(void) {
    uint32_t c, back;
    char text[4];
    for (uint32_t i = 1; i <= 0x10FFFF; i += i < 0x3000 ? 1 : 97) {
        if (i >= 0xD800 && i <= 0xDFFF) continue;
        size_t n = ego_utf8_encode(i, text);
        if (ego_utf8_decode(text, n, &back) != n || back != i) CHECK(!"round trip");
        if (n > 1 && ego_utf8_decode(text, n - 1, &back)) CHECK(!"cut character accepted");
    }
    CHECK(ego_utf8_decode("\xC0\x80", 2, &c) == 0);         /* overlong */
    CHECK(ego_utf8_decode("\xED\xA0\x80", 3, &c) == 0);     /* surrogate */
    CHECK(ego_utf8_decode("\xF4\x90\x80\x80", 4, &c) == 0); /* beyond U+10FFFF */
    CHECK(ego_utf8_decode("\x80", 1, &c) == 0 && ego_utf8_decode("", 0, &c) == 0);
}

static void test_files(void) {
    char dir[] = "/tmp/ego-test-base-XXXXXX", path[256], deep[256];
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/file", dir);
    snprintf(deep, sizeof deep, "%s/a/b/c", dir);
    CHECK_OK(ego_write_file(path, "old", 3));
    ego_outfile out;
    CHECK_OK(ego_outfile_open(path, &out));
    fputs("new but unfinished", out.stream);
    ego_outfile_abort(&out);
    ego_buf b = {0};
    CHECK_OK(ego_read_file(path, 100, &b));
    CHECK_STR(b.data, "old"); /* an interrupted writer leaves the old file */
    CHECK_ERR(EGO_EINPUT, ego_read_file(path, 2, &b));
    CHECK_ERR(EGO_EIO, ego_outfile_open("/nowhere/at/all", &out));
    CHECK(strstr(ego_err_message(), "/nowhere/at/all") != NULL);
    if (access("/dev/full", W_OK) == 0) { /* a full disk is noticed at the latest at the commit */
        CHECK_OK(ego_outfile_open(path, &out));
        CHECK(freopen("/dev/full", "w", out.stream) != NULL);
        fputs("lost", out.stream);
        CHECK_ERR(EGO_EIO, ego_outfile_commit(&out));
    }
    ego_map map;
    CHECK_OK(ego_map_open(path, &map));
    CHECK(map.size == 3 && memcmp(map.data, "old", 3) == 0);
    ego_map_close(&map);
    CHECK_ERR(EGO_EIO, ego_map_open(dir, &map));
    CHECK_OK(ego_write_file(path, "", 0));
    CHECK_OK(ego_map_open(path, &map));
    CHECK(map.size == 0 && map.data != NULL);
    ego_map_close(&map);
    CHECK_OK(ego_make_directory(deep));
    CHECK_OK(ego_make_directory(deep));
    struct stat st;
    CHECK(stat(deep, &st) == 0 && S_ISDIR(st.st_mode));
    CHECK(ego_has_suffix("A.JSONL", ".jsonl") && !ego_has_suffix("l", ".jsonl"));
    CHECK_STR(ego_basename("a/b.c"), "b.c");
    ego_buf_release(&b);
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    CHECK(system(command) == 0);
}

enum { LOOP = 10000 };
typedef struct counting {
    atomic_int times[LOOP];
    atomic_uint workers;
} counting;

static void count(void *context, size_t i, unsigned worker) {
    counting *c = context;
    atomic_fetch_add(&c->times[i], 1);
    atomic_fetch_or(&c->workers, 1u << worker);
}

static void test_pool(void) {
    static counting c;
    for (unsigned threads = 1; threads <= 4; threads++) {
        ego_pool *pool;
        CHECK_OK(ego_pool_new(threads, &pool));
        CHECK(ego_pool_threads(pool) == threads);
        memset(&c, 0, sizeof c);
        for (int round = 0; round < 50; round++) ego_parallel(pool, LOOP, count, &c);
        int wrong = 0;
        for (int i = 0; i < LOOP; i++) wrong += atomic_load(&c.times[i]) != 50;
        CHECK(wrong == 0);
        CHECK(atomic_load(&c.workers) < 1u << threads);
        ego_pool_free(pool);
    }
    ego_parallel(NULL, 3, count, &c);
    CHECK(ego_core_count() >= 1);
}

static void *produce(void *argument) {
    ego_queue *queue = argument;
    for (uintptr_t i = 1; i <= 1000; i++)
        if (!ego_queue_push(queue, (void *)i)) break;
    ego_queue_close(queue);
    return NULL;
}

static void test_queue(void) {
    ego_queue *queue;
    pthread_t thread;
    void *item;
    CHECK_OK(ego_queue_new(3, &queue));
    CHECK(!ego_queue_try_pop(queue, &item));
    CHECK(pthread_create(&thread, NULL, produce, queue) == 0);
    uintptr_t expected = 0;
    bool ordered = true;
    while (ego_queue_pop(queue, &item)) ordered &= (uintptr_t)item == ++expected;
    CHECK(ordered && expected == 1000);
    pthread_join(thread, NULL);
    CHECK(!ego_queue_push(queue, &item)); /* closed */
    ego_queue_free(queue);
}

static void test_random(void) {
    /* golden/README.md: "text_model.embeddings.word_embeddings.weight" starts at 0.018817737698554993,
     * which is u · √(3/768). */
    uint64_t stream = ego_fnv1a("text_model.embeddings.word_embeddings.weight");
    CHECK_NEAR((2 * ego_rng_unit(stream, 0) - 1) * sqrt(3.0 / 768), 0.018817737698554993, 1e-9);
    double mean = 0, square = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        double x = ego_rng_normal(5, i);
        mean += x / 1e5, square += x * x / 1e5;
    }
    CHECK_NEAR(mean, 0, 0.02);
    CHECK_NEAR(square, 1, 0.02);
    for (uint64_t i = 0; i < 1000; i++) CHECK(ego_rng_below(3, i, 7) < 7);
}

static void test_hash(void) {
    ego_sha256 *hash;
    char hex[65];
    CHECK_OK(ego_sha256_new(&hash));
    ego_sha256_update(hash, "abc", 3);
    ego_sha256_finish(hash, hex);
    CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180-2 */
}

int main(void) {
    test_errors();
    test_arena();
    test_numbers();
    test_utf8();
    test_files();
    test_pool();
    test_queue();
    test_random();
    test_hash();
    return check_done();
}
