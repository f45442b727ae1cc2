#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

/* Large chunks stand on huge pages where the system has them: products over 30 MB of activations ran 15%
 * faster for it (tests/bench/NOTES.md). */
enum { ALIGN = 64, HUGE_PAGE = 2 << 20 };

struct ego_arena_chunk {
    ego_arena_chunk *older;
    size_t size, used; /* of the bytes after the header */
    char padding[ALIGN - 3 * sizeof(size_t)];
};

static char *chunk_data(ego_arena_chunk *chunk) { return (char *)chunk + sizeof *chunk; }

void ego_arena_init(ego_arena *arena, size_t chunk_bytes) {
    *arena = (ego_arena){.chunk_bytes = chunk_bytes ? chunk_bytes : 1 << 16};
}

static void free_chunk(ego_arena_chunk *chunk) {
    ASAN_UNPOISON_MEMORY_REGION(chunk_data(chunk), chunk->size);
    free(chunk);
}

void ego_arena_release(ego_arena *arena) {
    ego_arena_rewind(arena, (ego_arena_mark){0});
    if (arena->spare) free_chunk(arena->spare);
    ego_arena_init(arena, arena->chunk_bytes);
}

static ego_arena_chunk *new_chunk(ego_arena *arena, size_t bytes) {
    ego_arena_chunk *chunk = arena->spare;
    if (chunk && chunk->size >= bytes) {
        arena->spare = NULL;
        chunk->older = arena->chunk;
        return chunk;
    }
    size_t size = bytes > arena->chunk_bytes ? bytes : arena->chunk_bytes;
    if (size > SIZE_MAX - 2 * HUGE_PAGE) return NULL;
    size_t align = size >= HUGE_PAGE ? HUGE_PAGE : ALIGN;
    size_t whole = (sizeof *chunk + size + align - 1) / align * align;
    if (!(chunk = aligned_alloc(align, whole))) return NULL;
    if (align == HUGE_PAGE) madvise(chunk, whole, MADV_HUGEPAGE);
    *chunk = (ego_arena_chunk){.older = arena->chunk, .size = whole - sizeof *chunk};
    ASAN_POISON_MEMORY_REGION(chunk_data(chunk), chunk->size);
    return chunk;
}

void *ego_arena_alloc(ego_arena *arena, size_t bytes) {
    /* One unused line after each block keeps neighbours apart under the address sanitizer. */
    if (bytes > SIZE_MAX - 2 * ALIGN) return arena->failed = true, NULL;
    size_t need = (bytes + ALIGN - 1) / ALIGN * ALIGN;
#if defined(__SANITIZE_ADDRESS__)
    need += ALIGN;
#endif
    if (!arena->chunk || arena->chunk->size - arena->chunk->used < need) {
        ego_arena_chunk *chunk = new_chunk(arena, need);
        if (!chunk) return arena->failed = true, NULL;
        arena->chunk = chunk;
    }
    char *p = chunk_data(arena->chunk) + arena->chunk->used;
    arena->chunk->used += need;
    arena->used += need;
    if (arena->used > arena->peak) arena->peak = arena->used;
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
    return p;
}

char *ego_arena_strdup(ego_arena *arena, const char *text) {
    size_t n = strlen(text) + 1;
    char *copy = ego_arena_alloc(arena, n);
    return copy ? memcpy(copy, text, n) : NULL;
}

ego_arena_mark ego_arena_save(const ego_arena *arena) {
    return (ego_arena_mark){arena->chunk, arena->chunk ? arena->chunk->used : 0, arena->used};
}

/* Keeps the chunk if it is the largest so far. */
static void give_back(ego_arena *arena, ego_arena_chunk *chunk) {
    ego_arena_chunk *smaller = arena->spare;
    if (!smaller || smaller->size < chunk->size) {
        arena->spare = chunk;
        chunk->used = 0;
        ASAN_POISON_MEMORY_REGION(chunk_data(chunk), chunk->size);
        chunk = smaller;
    }
    if (chunk) free_chunk(chunk);
}

void ego_arena_rewind(ego_arena *arena, ego_arena_mark mark) {
    while (arena->chunk != mark.chunk) {
        ego_arena_chunk *chunk = arena->chunk;
        /* Next time ask for one chunk that holds what these held together. */
        if (arena->chunk_bytes < arena->peak) arena->chunk_bytes = arena->peak;
        arena->chunk = chunk->older;
        give_back(arena, chunk);
    }
    if (arena->chunk) {
        ASAN_POISON_MEMORY_REGION(chunk_data(arena->chunk) + mark.chunk_used,
                                  arena->chunk->used - mark.chunk_used);
        arena->chunk->used = mark.chunk_used;
    }
    arena->used = mark.used;
    arena->failed = false;
}
