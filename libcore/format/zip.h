/* The directory of a .zip archive in memory, as torch.save writes them: stored entries, zip64.
 *
 * Nothing is copied or decompressed: entries point into the caller's bytes, which must outlive the
 * ego_zip. Names and sizes come from the central directory at the end (so entries whose size follows
 * them in a data descriptor are no special case); every offset is checked against the archive.
 * Check sums are not verified: torch can be told not to compute them.
 */
#ifndef EGO_FORMAT_ZIP_H
#define EGO_FORMAT_ZIP_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ego_zip_entry {
    const char *name; /* not NUL-terminated */
    size_t name_bytes;
    unsigned method; /* 0: stored */
    uint64_t packed, size, header_offset;
} ego_zip_entry;

typedef struct ego_zip {
    const uint8_t *data;
    size_t size;
    ego_zip_entry *entries; /* sorted by name */
    size_t count;
} ego_zip;

/* True when the bytes begin like an archive with at least one entry. */
bool ego_zip_probe(const uint8_t *data, size_t size);
ego_err ego_zip_open(const uint8_t *data, size_t size, ego_zip *zip);
void ego_zip_close(ego_zip *zip); /* safe on {0} */

/* NULL when there is none of that name. */
const ego_zip_entry *ego_zip_find(const ego_zip *zip, const char *name, size_t name_bytes);
/* The entry's bytes, entry->size of them. A compressed or encrypted entry is EGO_EUNSUPPORTED. */
ego_err ego_zip_data(const ego_zip *zip, const ego_zip_entry *entry, const uint8_t **data);

#endif
