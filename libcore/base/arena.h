/* Arenas: memory with one lifetime, taken in order and given back all at once.
 *
 * An arena owns a list of chunks. ego_arena_alloc never fails loudly in the middle of arithmetic: when
 * memory runs out it returns NULL and the arena stays `failed` until the next rewind to an earlier mark,
 * so a caller may test once. Memory is aligned to 64 bytes and not cleared. Not thread-safe: one
 * arena belongs to one thread.
 */
#ifndef EGO_BASE_ARENA_H
#define EGO_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ego_arena_chunk ego_arena_chunk;

typedef struct ego_arena {
    ego_arena_chunk *chunk; /* the newest chunk; older ones behind it */
    ego_arena_chunk *spare; /* the largest that was given back: the next need that fits takes it */
    size_t chunk_bytes;     /* the least a new chunk holds */
    size_t peak;            /* most bytes in use at once so far */
    size_t used;            /* bytes in use now, padding included */
    bool failed;            /* an allocation was refused since the last rewind */
} ego_arena;

typedef struct ego_arena_mark {
    ego_arena_chunk *chunk;
    size_t chunk_used, used;
} ego_arena_mark;

void ego_arena_init(ego_arena *arena, size_t chunk_bytes);
void ego_arena_release(ego_arena *arena);

void *ego_arena_alloc(ego_arena *arena, size_t bytes);
char *ego_arena_strdup(ego_arena *arena, const char *text);

/* ego_arena_rewind gives back all that was allocated since the mark was taken; the largest chunk is
 * kept for reuse, so a loop that marks and rewinds soon asks the system for no more memory. */
ego_arena_mark ego_arena_save(const ego_arena *arena);
void ego_arena_rewind(ego_arena *arena, ego_arena_mark mark);

#endif
