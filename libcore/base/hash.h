/* Hashes: SHA-256 (OpenSSL's libcrypto, which uses the processor's instructions) and FNV-1a. */
#ifndef EGO_BASE_HASH_H
#define EGO_BASE_HASH_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ego_sha256 ego_sha256;

ego_err ego_sha256_new(ego_sha256 **hash);
void ego_sha256_update(ego_sha256 *hash, const void *bytes, size_t n);
/* Writes 64 lower-case hexadecimal digits and a NUL, and frees the hash. */
void ego_sha256_finish(ego_sha256 *hash, char hex[65]);
void ego_sha256_free(ego_sha256 *hash); /* when it is not finished; takes NULL */

/* SHA-256 of a whole file. */
ego_err ego_sha256_file(const char *path, char hex[65]);

/* 64-bit FNV-1a over the bytes of a C string. */
static inline uint64_t ego_fnv1a(const char *text) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

#endif
