#include "base/hash.h"

#include "base/file.h"

#include <openssl/evp.h>

/* ego_sha256 is an EVP_MD_CTX by another name. */
static EVP_MD_CTX *context(ego_sha256 *hash) { return (EVP_MD_CTX *)(void *)hash; }

ego_err ego_sha256_new(ego_sha256 **hash) {
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (!md || !EVP_DigestInit_ex(md, EVP_sha256(), NULL)) {
        EVP_MD_CTX_free(md);
        return ego_fail(EGO_ENOMEM, "SHA-256 is not available");
    }
    *hash = (ego_sha256 *)(void *)md;
    return EGO_OK;
}

void ego_sha256_update(ego_sha256 *hash, const void *bytes, size_t n) {
    EVP_DigestUpdate(context(hash), bytes, n);
}

void ego_sha256_finish(ego_sha256 *hash, char hex[65]) {
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_DigestFinal_ex(context(hash), digest, &n);
    for (unsigned i = 0; i < n && i < 32; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[64] = 0;
    ego_sha256_free(hash);
}

void ego_sha256_free(ego_sha256 *hash) { EVP_MD_CTX_free(context(hash)); }

ego_err ego_sha256_file(const char *path, char hex[65]) {
    ego_map map;
    EGO_TRY(ego_map_open(path, &map));
    ego_sha256 *hash;
    ego_err err = ego_sha256_new(&hash);
    if (err == EGO_OK) {
        ego_sha256_update(hash, map.data, map.size);
        ego_sha256_finish(hash, hex);
    }
    ego_map_close(&map);
    return err;
}
