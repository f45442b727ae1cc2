#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { ALIGN = 64 };

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
    while (arena->chunk) {
        ego_arena_chunk *older = arena->chunk->older;
        free_chunk(arena->chunk);
        arena->chunk = older;
    }
    ego_arena_init(arena, arena->chunk_bytes);
}

static ego_arena_chunk *new_chunk(ego_arena *arena, size_t bytes) {
    size_t size = bytes > arena->chunk_bytes ? bytes : arena->chunk_bytes;
    if (size > SIZE_MAX - 2 * ALIGN) return NULL;
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    ego_arena_chunk *chunk = aligned_alloc(ALIGN, sizeof *chunk + size);
    if (!chunk) return NULL;
    *chunk = (ego_arena_chunk){.older = arena->chunk, .size = size};
    ASAN_POISON_MEMORY_REGION(chunk_data(chunk), size);
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

void ego_arena_rewind(ego_arena *arena, ego_arena_mark mark) {
    while (arena->chunk != mark.chunk) {
        ego_arena_chunk *older = arena->chunk->older;
        if (older == mark.chunk && mark.chunk_used == 0 && !older) {
            /* The last one of an arena rewound to empty is the largest needed so far: keep it. */
            arena->chunk->used = 0;
            ASAN_POISON_MEMORY_REGION(chunk_data(arena->chunk), arena->chunk->size);
            break;
        }
        /* Next time ask for one chunk that holds what these held together. */
        if (arena->chunk_bytes < arena->peak) arena->chunk_bytes = arena->peak;
        free_chunk(arena->chunk);
        arena->chunk = older;
    }
    if (arena->chunk && arena->chunk == mark.chunk) {
        ASAN_POISON_MEMORY_REGION(chunk_data(arena->chunk) + mark.chunk_used,
                                  arena->chunk->used - mark.chunk_used);
        arena->chunk->used = mark.chunk_used;
    }
    arena->used = mark.used;
    arena->failed = false;
}
