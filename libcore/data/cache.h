/* Pictures of clips on disk, so that a video is decoded once and not in every epoch and every run.
 *
 * A folder with two files that only grow. frames.data holds records: the pictures of a clip one
 * after another behind a table of their CRC-32s. frames.index holds 64 bytes for each record: its
 * key, place, shape, the table's CRC-32 and its own. A picture is given out only when the checksums
 * on the way to it agree; anything else counts as not being there, and the record may be added
 * again. A file of another kind or byte order under these names is an error at opening.
 *
 * Any number of processes and threads may read and add at once: who adds holds an exclusive lock
 * (flock) on the index, who looks for new records a shared one; the data is written before its
 * entry, so that a process killed in between leaves nothing but bytes that the next one overwrites.
 * What others add is seen when a key is not found.
 *
 * When a record would take the two files beyond the limit it is not added, nor is any later one;
 * nothing is ever removed. A full disk counts as full, too. */
#ifndef EGO_DATA_CACHE_H
#define EGO_DATA_CACHE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ego_cache_key {
    uint64_t a, b;
} ego_cache_key;

/* A key from everything that the pictures depend on: SHA-256 of these bytes, its first half. */
ego_err ego_cache_key_of(const void *bytes, size_t n, ego_cache_key *key);

typedef struct ego_cache_record {
    ego_cache_key key;
    uint64_t at; /* in frames.data */
    uint32_t frames, width, height;
    uint32_t table; /* CRC-32 of the pictures' CRC-32s */
} ego_cache_record;

typedef struct ego_cache ego_cache;

/* Makes the folder and its files when missing. `most`: bytes of both files together. */
ego_err ego_cache_open(const char *folder, uint64_t most, ego_cache **cache);
void ego_cache_close(ego_cache *cache); /* takes NULL */

/* Whether there is a record of that key, as far as the index tells. */
bool ego_cache_find(ego_cache *cache, ego_cache_key key, ego_cache_record *record);

/* Reads the pictures which[0..n) into rgb (n, height, width, 3). False when one is damaged or
 * cannot be read: the record is forgotten. */
bool ego_cache_read(ego_cache *cache, const ego_cache_record *record, const int *which, int n,
                    uint8_t *rgb);

/* Adds rgb (frames, height, width, 3) of record->key, unless the key is there already; the rest of
 * *record is filled in. *added tells. Not added because it is full is no error; EGO_EIO when
 * writing failed, after which the cache counts as full. */
ego_err ego_cache_add(ego_cache *cache, ego_cache_record *record, const uint8_t *rgb, bool *added);

bool ego_cache_is_full(ego_cache *cache);
/* Bytes in both files, and records, as far as this process knows. */
uint64_t ego_cache_bytes(ego_cache *cache);
size_t ego_cache_count(ego_cache *cache);

#endif
